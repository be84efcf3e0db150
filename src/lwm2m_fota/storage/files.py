"""Stores in files of a POSIX system.

Each store owns one path, and names beside it that begin with it. The folder must exist. Files are readable by their
owner alone.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias, final

from lwm2m_fota.errors import StorageError, StorageFullError
from lwm2m_fota.storage._file import (
    OpenFile,
    Translated,
    remove_file,
    replace_file,
    sync_folder,
    system_boot_id,
    temporary,
)
from lwm2m_fota.storage._image import (
    DEFAULT_CAPACITY_BYTES,
    check_open,
    check_range,
    check_repeated,
    check_truncate,
    check_write,
    sealed_image,
)
from lwm2m_fota.storage.base import SealedImage

AnyPath: TypeAlias = str | os.PathLike[str]

_MAX_SEAL_BYTES: Final = 32


@final
class FileStateStore:
    """A `StateStore` in one file, replaced as a whole.

    Args:
        path: the file; `path.tmp` is its successor while it is written.

    Raises:
        StorageError: what a crash left behind cannot be removed.
    """

    __slots__ = ("_path",)

    def __init__(self, path: AnyPath) -> None:
        self._path = Path(path)
        remove_file(temporary(self._path))

    def load(self) -> bytes | None:
        """The value last saved; None if there is none.

        Raises:
            StorageError: it cannot be read.
        """
        with Translated("read", self._path):
            try:
                return self._path.read_bytes()
            except FileNotFoundError:
                return None

    def save(self, data: bytes) -> None:
        """Replace the value; durable when it returns.

        Raises:
            StorageFullError: there is no room; the old value stands.
            StorageError: the store failed; the old value stands, or the new one.
        """
        replace_file(self._path, data)

    def clear(self) -> None:
        """Forget the value, durably.

        Raises:
            StorageError: the store failed.
        """
        remove_file(self._path)


@final
class FilePackageSource:
    """A `PackageSource` over a file that must not change while it is in use.

    A change shows in the size or in the time of modification, as far as the file system tells times apart. A file
    that another one has replaced under the same name is read on as it was.

    Args:
        path: the file.

    Raises:
        StorageError: it cannot be opened.
    """

    __slots__ = ("_file", "_modified_ns", "_size_bytes")

    def __init__(self, path: AnyPath) -> None:
        self._file = OpenFile(Path(path), writable=False)
        status = self._file.stat()
        self._size_bytes = status.st_size
        self._modified_ns = status.st_mtime_ns

    @property
    def size_bytes(self) -> int:
        """Its length in bytes."""
        return self._size_bytes

    def read_at(self, offset: int, length: int) -> bytes:
        """Read `length` bytes from `offset` on; fewer only at the end.

        Raises:
            StorageError: it cannot be read, or has changed since it was opened.
            UsageError: a negative argument.
        """
        check_range(offset, length)
        data = self._file.read(offset, min(length, self._size_bytes - offset))
        status = self._file.stat()  # after the read: a change that came before it, or during it, is seen
        if status.st_size != self._size_bytes or status.st_mtime_ns != self._modified_ns:
            raise StorageError(f"{self._file.path} has changed while it was in use")
        return data

    def close(self) -> None:
        """Close the file; it is also closed when the source is dropped."""
        self._file.close()


@final
class FileImageStore:
    """An `ImageStore` in one file, with a second one as its seal.

    The seal (`path.sealed`) holds the length of the image. It is written after the image is durable and removed,
    durably, before the image changes; a seal that does not fit the file counts for nothing.

    Args:
        path: the file.
        capacity_bytes: the largest image.

    Raises:
        StorageError: the files cannot be opened.
    """

    __slots__ = ("_boot_id", "_capacity_bytes", "_file", "_seal_path", "_sealed", "_size_bytes")

    def __init__(self, path: AnyPath, capacity_bytes: int = DEFAULT_CAPACITY_BYTES) -> None:
        check_range(0, capacity_bytes)
        image = Path(path)
        self._capacity_bytes = capacity_bytes
        self._seal_path = image.with_name(f"{image.name}.sealed")
        self._file = OpenFile(image, writable=True)
        self._size_bytes = self._file.stat().st_size
        self._sealed: SealedImage | None = None
        self._boot_id = system_boot_id()
        with Translated("sync", image.parent):
            sync_folder(image.parent)
        remove_file(temporary(self._seal_path))
        if self._read_seal() == self._size_bytes:
            self._sealed = sealed_image(self)
        else:
            remove_file(self._seal_path)  # or it might fit what is written next

    def _read_seal(self) -> int | None:
        with Translated("read", self._seal_path):
            try:
                with self._seal_path.open("rb") as seal:
                    text = seal.read(_MAX_SEAL_BYTES)
            except FileNotFoundError:
                return None
        return int(text) if text.isdigit() else None

    @property
    def capacity_bytes(self) -> int:
        """The largest image that it takes."""
        return self._capacity_bytes

    @property
    def size_bytes(self) -> int:
        """Bytes staged."""
        return self._size_bytes

    @property
    def boot_id(self) -> str | None:
        """The run of the system; None where it has no name."""
        return self._boot_id

    @property
    def sealed(self) -> SealedImage | None:
        """The sealed image, if it is sealed."""
        return self._sealed

    def open(self, size_bytes: int | None) -> None:
        """Begin a new image.

        Raises:
            StorageFullError: the announced size is over the capacity or the free space; nothing has changed.
            StorageError: the store failed.
            UsageError: a negative size.
        """
        check_open(size_bytes, self._capacity_bytes)
        free_bytes = self._file.free_bytes()
        if size_bytes is not None and free_bytes is not None and size_bytes > free_bytes + self._size_bytes:
            raise StorageFullError(f"an image of {size_bytes} bytes does not fit: {free_bytes} bytes are free")
        self.discard()

    def write_at(self, offset: int, data: bytes) -> None:
        """Append, or repeat what is there.

        Raises:
            StorageFullError: over the capacity, or no room below it; nothing has changed.
            StorageError: the store failed; nothing has changed.
            UsageError: sealed, a hole, or other bytes than are staged.
        """
        staged = self._size_bytes
        check_write(
            offset,
            len(data),
            staged_bytes=staged,
            capacity_bytes=self._capacity_bytes,
            sealed=self._sealed is not None,
        )
        known = min(staged - offset, len(data))
        if known:
            check_repeated(data[:known], self._file.read(offset, known))
            data = data[known:]
        self._file.append(data, staged)
        self._size_bytes = staged + len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        """Read staged bytes; fewer only where they end.

        Raises:
            StorageError: the store failed.
            UsageError: a negative argument.
        """
        check_range(offset, length)
        return self._file.read(offset, min(length, self._size_bytes - offset))

    def truncate(self, size_bytes: int) -> None:
        """Keep only the first bytes.

        Raises:
            StorageError: the store failed.
            UsageError: sealed, or fewer bytes are staged.
        """
        check_truncate(size_bytes, staged_bytes=self._size_bytes, sealed=self._sealed is not None)
        self._file.truncate(size_bytes)
        self._size_bytes = size_bytes

    def sync(self) -> None:
        """Make durable what is staged.

        Raises:
            StorageFullError, StorageError: the store failed.
        """
        self._file.sync()

    def seal(self) -> SealedImage:
        """Make the image durable and unchangeable; sealing it again gives it once more.

        Raises:
            StorageFullError, StorageError: the store failed; the image is not sealed.
        """
        if self._sealed is None:
            self._file.sync()
            try:
                replace_file(self._seal_path, str(self._size_bytes).encode())
            except StorageError:
                with suppress(StorageError):
                    remove_file(self._seal_path)  # it may be in place all the same
                raise
            self._sealed = sealed_image(self)
        return self._sealed

    def discard(self) -> None:
        """Drop the image, sealed or not, durably.

        Raises:
            StorageError: the store failed; the image is no longer sealed, unless the seal could not be removed.
        """
        remove_file(self._seal_path)
        self._sealed = None
        self._file.truncate(0)
        self._size_bytes = 0
        self._file.sync()

    def close(self) -> None:
        """Close the file; it is also closed when the store is dropped."""
        self._file.close()
