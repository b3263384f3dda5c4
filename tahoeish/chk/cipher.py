"""The one cipher of the format: AES-128 in counter mode, a single keystream over the whole file."""

from collections.abc import Iterable

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tahoeish.chk.buffers import Buffer

KEY_SIZE = 16
_CIPHER_BLOCK = 16


def apply_keystream(key: bytes, offset: int, pieces: Iterable[Buffer], out: bytearray) -> None:
    """
    Encrypt or decrypt (the same thing) the consecutive `pieces`, which begin at byte `offset` of the
    file, into the start of `out`.
    """
    counter, skipped = divmod(offset, _CIPHER_BLOCK)
    keystream = Cipher(algorithms.AES(key), modes.CTR(counter.to_bytes(16, "big"))).encryptor()
    # Segment sizes are multiples of `needed`, not of the cipher's block.
    keystream.update(bytes(skipped))
    rest = memoryview(out)
    for piece in pieces:
        rest = rest[keystream.update_into(piece, rest) :]
