"""
What OpenSSL does with the records of one connection, many in a row.

pyOpenSSL has a call in Python for each record, which makes room for it, copies it, and raises an exception when there
is none: more work than the cipher's. So OpenSSL's functions are called here by the names by which pyOpenSSL calls them,
and Twisted, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL
from OpenSSL._util import ffi, lib

if TYPE_CHECKING:
    from typing_extensions import Buffer

RECORD = 16 * 1024
"""What a record holds, by TLS's own rules."""

IN_OPENSSL = 2 * RECORD
"""
What OpenSSL is given at a time, either way. It never gives back the memory that a connection's records have once taken,
which hundreds of connections would keep, most of them idle.
"""

MOST_IN_OPENSSL = 8 * RECORD
"""
The same when more than `IN_OPENSSL` is a quarter of what there is to be sealed, which isn't so where there are many
connections. Between two calls, other threads may take the interpreter away.
"""

SEALED_AT_ONCE = 704 * 1024
"""Sealed bytes, of which there is one buffer for all connections: where it lies, the processor has it at hand."""

_OVERHEAD = 256
"""What a record adds to its content, and more."""

_uncleared: Any = ffi.new_allocator(should_clear_after_alloc=False)
_sealed: Any = None


class Records:
    """Those of a connection over memory whose handshake is done."""

    def __init__(self, connection: SSL.Connection) -> None:
        self._connection: Any = connection
        self._ssl = self._connection._ssl
        self._incoming = self._connection._into_ssl
        self._outgoing = self._connection._from_ssl
        # Else OpenSSL takes no more than a record with each call.
        lib.SSL_clear_mode(self._ssl, lib.SSL_MODE_ENABLE_PARTIAL_WRITE)

    def seal(self, buffers: Sequence[Buffer]) -> Iterator[memoryview]:
        """All of them, in pieces that are good until the next is asked for, or others are sealed."""
        content = sum([memoryview(buffer).nbytes for buffer in buffers])
        step = max(IN_OPENSSL, min(content // 4, MOST_IN_OPENSSL))
        # Room for what OpenSSL makes of one step.
        full = SEALED_AT_ONCE - step - step // RECORD * _OVERHEAD - _OVERHEAD
        target = _shared_target()
        end = 0
        for buffer in buffers:
            with ffi.from_buffer(memoryview(buffer).cast("B")) as source:
                begin, size = 0, len(source)
                while begin < size:
                    if end > full:
                        yield memoryview(ffi.buffer(target, end))
                        end = 0
                    written = lib.SSL_write(self._ssl, source + begin, min(size - begin, step))
                    if written <= 0:
                        self._connection._raise_ssl_error(self._ssl, written)
                    begin += written
                    end += max(0, lib.BIO_read(self._outgoing, target + end, SEALED_AT_ONCE - end))
        if end:
            yield memoryview(ffi.buffer(target, end))

    def open(self, sealed: Buffer) -> tuple[list[memoryview], SSL.Error | None]:
        """The content of all records that are whole now, and what ends the connection, if something does."""
        opened: list[memoryview] = []
        with ffi.from_buffer(sealed) as source:
            begin, size = 0, len(source)
            while True:
                # What lay in OpenSSL before is less than a record, but for what has come with the handshake.
                room = size - begin + RECORD
                target, end = _uncleared("char[]", room), 0
                while end < room:
                    read = lib.SSL_read(self._ssl, target + end, room - end)
                    if read > 0:
                        end += read
                    elif begin < size and lib.SSL_get_error(self._ssl, read) == lib.SSL_ERROR_WANT_READ:
                        begin += lib.BIO_write(self._incoming, source + begin, min(size - begin, IN_OPENSSL))
                    else:
                        if end:
                            opened.append(memoryview(ffi.buffer(target, end)))
                        return opened, self._ended(read)
                opened.append(memoryview(ffi.buffer(target, end)))

    def _ended(self, result: int) -> SSL.Error | None:
        try:
            self._connection._raise_ssl_error(self._ssl, result)
        except SSL.WantReadError:
            return None
        except SSL.Error as error:
            return error
        raise AssertionError(f"OpenSSL has read nothing, and doesn't say why: {result}")


def _shared_target() -> Any:
    global _sealed
    if _sealed is None:
        _sealed = _uncleared("char[]", SEALED_AT_ONCE)
    return _sealed
