"""
What the machine at hand needs for the parts of the work that can't be left out, and for the sealing made of them.

Everything here is told in processor seconds for a GiB of the file, at `NEEDED` of `TOTAL`: what happens to every byte
of every share counts as often as there are bytes in shares for each byte of the file.
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile
from time import perf_counter, process_time

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from OpenSSL import SSL
from twisted.internet.ssl import CertificateOptions, TLSVersion

from bench.sizes import GIB, KIB, MB, MIB
from tahoeish.chk.encoder import Encoder
from tahoeish.chk.erasure import ErasureCodec, ZfecCodec, best_codec
from tahoeish.chk.layout import round_up
from tahoeish.chk.segment import Segment
from tahoeish.storage.certificate import ServerCertificate, tls_options
from tahoeish.streams.openssl import Records

NEEDED, TOTAL = 3, 10
EXPANSION = TOTAL / NEEDED
SEGMENT = MIB
AT_ONCE = 256 * KIB
"""What is given to a socket or to TLS in one call."""

WRITTEN_AT_ONCE = 2 * MIB
"""What a storage node gives to a file in one call."""

HEADER = 48
"""A share's bytes begin behind it."""

CIPHER = "AES-128-CTR"
HASHES = "SHA-256, all tagged hashes"
CODE = "erasure code"
TLS_SEND = "TLS, sending the shares"
TLS_RECEIVE = "TLS, receiving the shares"
LOOPBACK = "loopback, the body and the shares"
PAGE_CACHE = "page cache, writing the shares"

SEALING = (CIPHER, HASHES, CODE)
ZFEC = "erasure code, if it were zfec's"
ALL = (*SEALING, TLS_SEND, TLS_RECEIVE, LOOPBACK, PAGE_CACHE)

_MALLOC_OPTIONS = {-3: 4 * MIB, -1: 32 * MIB}
"""Of mallopt(3), as a node sets them: memory for large buffers is kept, so that the kernel needn't clear it again."""


def kernels(scratch: Path, amount: int) -> Mapping[str, float]:
    """Each by its name, measured with so many bytes of a file. To be called in a process of its own."""
    _keep_memory()
    send, receive = _tls(amount)
    return {
        CIPHER: _cipher(amount),
        HASHES: _hashes(amount),
        CODE: _code(amount, best_codec()),
        ZFEC: _code(amount, ZfecCodec()),
        TLS_SEND: send * EXPANSION,
        TLS_RECEIVE: receive * EXPANSION,
        LOOPBACK: _loopback(amount) * (1 + EXPANSION),
        PAGE_CACHE: _page_cache(scratch, amount) * EXPANSION,
    }


def sealing(amount: int) -> float:
    """What a node does with a body before any share leaves it, in one thread."""
    _keep_memory()
    encoder = _encoder(amount)
    body = os.urandom(SEGMENT)

    def seal() -> None:
        for _ in range(amount // SEGMENT):
            for segment in encoder.write(body):
                encoder.absorb(segment.seal())
        encoder.end()
        encoder.finish()

    return _spent(seal, amount)


def sealing_rate(amount: int, threads: int) -> float:
    """The same in several threads at once, in MB/s of a file."""
    _keep_memory()
    encoder = _encoder(amount)
    body = os.urandom(SEGMENT)
    segments = [segment for _ in range(amount // SEGMENT) for segment in encoder.write(body)]
    begun = perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for sealed in pool.map(Segment.seal, segments):
            encoder.absorb(sealed)
    encoder.end()
    encoder.finish()
    return amount / MB / (perf_counter() - begun)


def _encoder(size: int) -> Encoder:
    return Encoder(
        key=os.urandom(16),
        needed=NEEDED,
        total=TOTAL,
        max_segment_size=round_up(SEGMENT, NEEDED),
        size=size,
        codec=best_codec(),
    )


def _cipher(amount: int) -> float:
    keystream = Cipher(algorithms.AES(os.urandom(16)), modes.CTR(bytes(16))).encryptor()
    given, made = os.urandom(SEGMENT), bytearray(SEGMENT)

    def encrypt() -> None:
        for _ in range(amount // SEGMENT):
            keystream.update_into(given, made)

    return _spent(encrypt, amount)


def _hashes(amount: int) -> float:
    segment = os.urandom(SEGMENT)
    block = segment[: round_up(SEGMENT, NEEDED) // NEEDED]
    whole = sha256()

    def hash_all() -> None:
        for _ in range(amount // SEGMENT):
            for _ in range(TOTAL):
                sha256(sha256(block).digest()).digest()
            sha256(sha256(segment).digest()).digest()
            whole.update(segment)

    return _spent(hash_all, amount)


def _code(amount: int, codec: ErasureCodec) -> float:
    blocks = [os.urandom(round_up(SEGMENT, NEEDED) // NEEDED) for _ in range(NEEDED)]

    def encode() -> None:
        for _ in range(amount // SEGMENT):
            codec.encode(NEEDED, TOTAL, blocks)

    return _spent(encode, amount)


def _tls(amount: int) -> tuple[float, float]:
    """For a GiB that is sent, and for one that is received, from memory to memory."""
    sender, receiver = map(Records, _connected())
    piece = os.urandom(AT_ONCE)
    sending = receiving = 0.0
    for _ in range(amount // AT_ONCE):
        begun = process_time()
        (sealed,) = sender.seal([piece])
        sent = process_time()
        opened, _ = receiver.open(sealed)
        assert sum(map(len, opened)) == len(piece)
        sending += sent - begun
        receiving += process_time() - sent
    return sending * GIB / amount, receiving * GIB / amount


def _connected() -> tuple[SSL.Connection, SSL.Connection]:
    """Two ends whose handshake is done, with the options that nodes use."""
    client = SSL.Connection(CertificateOptions(raiseMinimumTo=TLSVersion.TLSv1_2).getContext(), None)
    server = SSL.Connection(tls_options(ServerCertificate.generate()).getContext(), None)
    client.set_connect_state()
    server.set_accept_state()
    done: set[SSL.Connection] = set()
    ends = ((client, server), (server, client))
    while len(done) < len(ends):
        for end, other in ends:
            try:
                end.do_handshake()
                done.add(end)
            except SSL.WantReadError:
                pass
            with suppress(SSL.WantReadError):
                other.bio_write(end.bio_read(MIB))
    # The server's tickets come after its handshake.
    with suppress(SSL.WantReadError):
        client.recv(1)
    return client, server


def _loopback(amount: int) -> float:
    """For a GiB from one socket to the other, both sides."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sender = socket.create_connection(listening.getsockname())
        receiver, _ = listening.accept()
    piece, buffer = os.urandom(AT_ONCE), memoryview(bytearray(AT_ONCE))
    with sender, receiver:
        sender.setblocking(False)

        def copy() -> None:
            for _ in range(amount // AT_ONCE):
                rest = memoryview(piece)
                while rest:
                    sent = sender.send(rest)
                    rest = rest[sent:]
                    while sent:
                        sent -= receiver.recv_into(buffer, sent)

        return _spent(copy, amount)


def _page_cache(scratch: Path, amount: int) -> float:
    """For a GiB; what the kernel does later to bring it to the disk isn't counted."""
    # Without the header, the kernel would take pieces of memory as large as this, which on a virtual machine may have
    # been taken back by the host; those cost ten times as much, and aren't what a storage node gets.
    piece = os.urandom(WRITTEN_AT_ONCE)
    with TemporaryFile(dir=scratch, buffering=0) as file:

        def write() -> None:
            for at in range(0, amount, len(piece)):
                os.pwrite(file.fileno(), piece, HEADER + at)

        return _spent(write, amount)


def _spent(work: Callable[[], None], amount: int) -> float:
    begun = process_time()
    work()
    return (process_time() - begun) * GIB / amount


def _keep_memory() -> None:
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        for option, value in _MALLOC_OPTIONS.items():
            library.mallopt(option, value)
