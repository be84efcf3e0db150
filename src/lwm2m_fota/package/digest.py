"""The digest of a file while it arrives, and of its beginnings: formats share it, so that nothing is hashed twice."""

import hashlib
from typing import Final, TypeAlias, final

from lwm2m_fota.errors import UsageError

Data: TypeAlias = bytes | bytearray | memoryview

NO_MARK: Final = 1 << 62


@final
class FileDigest:
    """SHA-256 of everything that went by.

    A format that needs the digest of the first bytes of a file marks where they end, before they have gone by.
    """

    __slots__ = ("_marks", "_passed", "_position", "_sha256", "pass_by")

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._position = 0
        self._marks: list[int] = []  # ascending
        self._passed: dict[int, bytes] = {}
        self.pass_by = self._sha256.update
        """Hashes bytes that reach no mark; `advance` has to be told how many they were."""

    @property
    def position(self) -> int:
        """How many bytes have gone by."""
        return self._position

    @property
    def until_mark(self) -> int:
        """How many bytes may go by before a mark is reached."""
        return self._marks[0] - self._position if self._marks else NO_MARK

    def mark(self, offset: int) -> None:
        """Remember the digest of the first `offset` bytes.

        Raises:
            UsageError: more than that have gone by.
        """
        if offset < self._position:
            raise UsageError("this part of the file has gone by")
        self._marks = sorted({*self._marks, offset})

    def at(self, offset: int) -> bytes:
        """The digest at a mark that was reached.

        Raises:
            UsageError: there is no such mark, or it was not reached.
        """
        if offset in self._marks and offset == self._position:
            return self.digest()
        if offset not in self._passed:
            raise UsageError("this is no mark that was reached")
        return self._passed[offset]

    def advance(self, size_bytes: int) -> None:
        """So many bytes went by in `pass_by`."""
        self._position += size_bytes

    def update(self, data: Data) -> None:
        """Take the next bytes."""
        view = memoryview(data)
        while self._marks and self._marks[0] <= self._position + len(view):
            mark = self._marks.pop(0)
            part = view[: mark - self._position]
            self._sha256.update(part)
            self._passed[mark] = self._sha256.digest()
            self._position = mark
            view = view[len(part) :]
        self._sha256.update(view)
        self._position += len(view)

    def digest(self) -> bytes:
        """Of everything so far."""
        return self._sha256.digest()
