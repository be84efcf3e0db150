"""Files with their errors translated, and a replacement of whole files that a crash cannot tear."""

import errno
import os
import stat
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Final, final

from lwm2m_fota.errors import StorageError, StorageFullError

FULL_ERRNOS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PRIVATE_MODE: Final = 0o600
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@final
class Translated:
    """Turns what the operating system says, within its block, into an error of ours.

    Not a generator: a block of a package passes through four of them.

    Args:
        action: a verb, for the message.
        path: the file.

    Raises:
        StorageFullError: no room on the device, in the quota, or in one file.
        StorageError: anything else, also a path that cannot be a path.
    """

    __slots__ = ("_action", "_path")

    def __init__(self, action: str, path: Path) -> None:
        self._action = action
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, OSError):
            kind = StorageFullError if error.errno in FULL_ERRNOS else StorageError
            raise kind(f"cannot {self._action} {self._path}: {error.strerror or error}") from error
        if isinstance(error, ValueError):  # a NUL in the path
            raise StorageError(f"cannot {self._action} {str(self._path)!r}: {error}") from error


def write_all(fd: int, data: bytes, offset: int) -> None:
    """Write all of `data` at `offset`.

    Raises:
        OSError: not all could be written.
    """
    rest = memoryview(data)
    while rest:
        count = os.pwrite(fd, rest, offset)
        if count == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rest = rest[count:]
        offset += count


def sync_folder(folder: Path) -> None:
    """Make durable which files a folder holds.

    Raises:
        OSError: it cannot be synced.
    """
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def temporary(path: Path) -> Path:
    """Where the next content of `path` is written: in the same folder, so that a rename replaces it."""
    return path.with_name(f"{path.name}.tmp")


def replace_file(path: Path, data: bytes) -> None:
    """Replace the content of a file, durably; a crash at any moment leaves the old content or the new one.

    Raises:
        StorageError, StorageFullError: it failed; the old content stands, unless only the last sync failed.
    """
    new = temporary(path)
    with Translated("save", path):
        try:
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE_MODE)
            try:
                write_all(fd, data, 0)
                os.fsync(fd)
            finally:
                os.close(fd)
            os.replace(new, path)  # noqa: PTH105 - one name for each system call, as the crash tests need it
        except BaseException:
            with suppress(OSError, ValueError):
                new.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def remove_file(path: Path) -> None:
    """Remove a file, durably; harmless if it is not there.

    Raises:
        StorageError: it cannot be removed.
    """
    with Translated("remove", path):
        try:
            os.unlink(path)  # noqa: PTH108 - as above
        except FileNotFoundError:
            return
        sync_folder(path.parent)


def system_boot_id() -> str | None:
    """What Linux calls its present run; None elsewhere."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None


@final
class OpenFile:
    """An open file whose errors are ours. It closes when it is dropped, at the latest.

    Args:
        path: the file.
        writable: create it if it is not there, and write it.

    Raises:
        StorageError: it cannot be opened, or is no regular file.
    """

    __slots__ = ("__weakref__", "_close", "_fd", "path")

    def __init__(self, path: Path, *, writable: bool) -> None:
        self.path = path
        with Translated("open", path):
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT if writable else os.O_RDONLY, _PRIVATE_MODE)
        self._close = weakref.finalize(self, os.close, self._fd)
        if not stat.S_ISREG(self.stat().st_mode):
            self.close()
            raise StorageError(f"cannot open {path}: it is not a regular file")

    def close(self) -> None:
        """Close it; twice is harmless, and any other use is a StorageError from now on."""
        self._fd = -1
        self._close()

    def stat(self) -> os.stat_result:
        """What the system knows of it.

        Raises:
            StorageError: it is closed, or the system fails.
        """
        with Translated("look at", self.path):
            return os.fstat(self._fd)

    def free_bytes(self) -> int | None:
        """Free space around it for us; None where the file system does not tell.

        Raises:
            StorageError: the system fails.
        """
        with Translated("look at", self.path):
            space = os.fstatvfs(self._fd)
        return space.f_bavail * space.f_frsize if space.f_blocks else None

    def read(self, offset: int, length: int) -> bytes:
        """Read exactly so many bytes.

        Raises:
            StorageError: it fails, or the file ends before.
        """
        parts = []
        with Translated("read", self.path):
            while length > 0:
                part = os.pread(self._fd, length, offset)
                if not part:
                    raise StorageError(f"cannot read {self.path}: it is shorter than it was")
                parts.append(part)
                offset += len(part)
                length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def append(self, data: bytes, size_bytes: int) -> None:
        """Write at the end, which is at `size_bytes`; if it fails, the end stays there.

        Raises:
            StorageFullError, StorageError: it fails.
        """
        with Translated("write", self.path):
            try:
                write_all(self._fd, data, size_bytes)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._fd, size_bytes)
                raise

    def truncate(self, size_bytes: int) -> None:
        """Cut it after so many bytes.

        Raises:
            StorageError: it fails.
        """
        with Translated("truncate", self.path):
            os.ftruncate(self._fd, size_bytes)

    def sync(self) -> None:
        """Make its content durable.

        Raises:
            StorageFullError, StorageError: it fails.
        """
        with Translated("sync", self.path):
            os.fsync(self._fd)
