"""Open and seal records by the functions of OpenSSL itself, past pyOpenSSL, whose calls cost as much as OpenSSL does.

These doors are private. They are looked for with each connection, and where one is missing there is no shortcut: the
public calls do the same. A shortcut tells only that all went well; what else may have happened, and which error is to
be raised for it, is for the public calls to find out, for which everything is as if it had not been tried.
"""

from typing import Any, Final, final

_FUNCTIONS: Final = ("SSL_read", "SSL_write", "BIO_read", "BIO_write")
_POINTERS: Final = ("_ssl", "_into_ssl", "_from_ssl")
_MAX_PLAINTEXT_BYTES: Final = 1 << 14
_ROOM_BYTES: Final = 13 + _MAX_PLAINTEXT_BYTES + 2048
"""A whole record (RFC 5246 section 6.2.3)."""


@final
class Shortcuts:
    """Those of the connections of one context, which put one record after the other into the same memory.

    OpenSSL runs without the lock of the interpreter, so connections of one context are for one thread.

    Args:
        lib: the functions of OpenSSL, as cffi has them.
        ffi: makes the memory.
    """

    __slots__ = ("ffi", "lib", "room")

    def __init__(self, lib: Any, ffi: Any) -> None:  # noqa: ANN401 - modules of cffi
        self.lib = lib
        self.ffi = ffi
        self.room = ffi.new("char[]", _ROOM_BYTES)

    def of(self, connection: object) -> "Shortcut | None":
        """That of a connection of pyOpenSSL over memory; None if this pyOpenSSL has none."""
        pointers = [getattr(connection, name, None) for name in _POINTERS]
        if any(pointer is None for pointer in pointers) or not all(hasattr(self.lib, name) for name in _FUNCTIONS):
            return None
        return Shortcut(self, *pointers)


@final
class Shortcut:
    """The short way of one connection whose handshake is done.

    Args:
        shortcuts: of its context.
        ssl: the connection.
        into: where its records come from.
        out: where they go.
    """

    __slots__ = ("_into", "_lib", "_out", "_room", "_ssl", "_unpack")

    def __init__(self, shortcuts: Shortcuts, ssl: Any, into: Any, out: Any) -> None:  # noqa: ANN401 - cffi pointers
        self._lib = shortcuts.lib
        self._unpack = shortcuts.ffi.unpack
        self._room = shortcuts.room
        self._ssl = ssl
        self._into = into
        self._out = out

    def open(self, record: bytes) -> bytes | None:
        """Feed a record: the data in it; None if the public call for reading is to tell what is there."""
        lib, room = self._lib, self._room
        lib.BIO_write(self._into, record, len(record))
        size: int = lib.SSL_read(self._ssl, room, _MAX_PLAINTEXT_BYTES)
        return self._unpack(room, size) if size > 0 else None

    def seal(self, data: bytes) -> bytes | None:
        """The record with these data; None if nothing was written, and the public call is to tell why."""
        lib, room = self._lib, self._room
        if not data or lib.SSL_write(self._ssl, data, len(data)) <= 0:
            return None
        return self._unpack(room, lib.BIO_read(self._out, room, _ROOM_BYTES))  # type: ignore[no-any-return]  # as above
