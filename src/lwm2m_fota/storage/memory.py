"""Stores in memory: for tests, for simulated devices, and for packages that are at hand."""

from typing import final

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


@final
class MemoryStateStore:
    """A `StateStore` that lives as long as the object."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes | None = None) -> None:
        self._data = data

    def load(self) -> bytes | None:
        """The value last saved; None if there is none."""
        return self._data

    def save(self, data: bytes) -> None:
        """Replace the value."""
        self._data = bytes(data)

    def clear(self) -> None:
        """Forget the value."""
        self._data = None


@final
class MemoryPackageSource:
    """A `PackageSource` over bytes."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = bytes(data)

    @property
    def size_bytes(self) -> int:
        """Its length in bytes."""
        return len(self._data)

    def read_at(self, offset: int, length: int) -> bytes:
        """Read `length` bytes from `offset` on; fewer only at the end.

        Raises:
            UsageError: a negative argument.
        """
        check_range(offset, length)
        return self._data[offset : offset + length]


@final
class MemoryImageStore:
    """An `ImageStore` that lives as long as the object.

    Args:
        capacity_bytes: the largest image.
    """

    __slots__ = ("_capacity_bytes", "_data", "_sealed")

    def __init__(self, capacity_bytes: int = DEFAULT_CAPACITY_BYTES) -> None:
        check_range(0, capacity_bytes)
        self._capacity_bytes = capacity_bytes
        self._data = bytearray()
        self._sealed: SealedImage | None = None

    @property
    def capacity_bytes(self) -> int:
        """The largest image that it takes."""
        return self._capacity_bytes

    @property
    def size_bytes(self) -> int:
        """Bytes staged."""
        return len(self._data)

    @property
    def boot_id(self) -> None:
        """None: memory does not outlive the process."""
        return

    @property
    def sealed(self) -> SealedImage | None:
        """The sealed image, if it is sealed."""
        return self._sealed

    def open(self, size_bytes: int | None) -> None:
        """Begin a new image.

        Raises:
            StorageFullError: the announced size is over the capacity; nothing has changed.
            UsageError: a negative size.
        """
        check_open(size_bytes, self._capacity_bytes)
        self.discard()

    def write_at(self, offset: int, data: bytes) -> None:
        """Append, or repeat what is there.

        Raises:
            StorageFullError: over the capacity.
            UsageError: sealed, a hole, or other bytes than are staged.
        """
        staged = len(self._data)
        check_write(
            offset,
            len(data),
            staged_bytes=staged,
            capacity_bytes=self._capacity_bytes,
            sealed=self._sealed is not None,
        )
        known = min(staged - offset, len(data))
        if known:
            check_repeated(data[:known], bytes(self._data[offset : offset + known]))
        self._data += data[known:]

    def read_at(self, offset: int, length: int) -> bytes:
        """Read staged bytes; fewer only where they end.

        Raises:
            UsageError: a negative argument.
        """
        check_range(offset, length)
        return bytes(self._data[offset : offset + length])

    def truncate(self, size_bytes: int) -> None:
        """Keep only the first bytes.

        Raises:
            UsageError: sealed, or fewer bytes are staged.
        """
        check_truncate(size_bytes, staged_bytes=len(self._data), sealed=self._sealed is not None)
        del self._data[size_bytes:]

    def sync(self) -> None:
        """Nothing is to be done: memory does not outlive the process."""

    def seal(self) -> SealedImage:
        """Make the image unchangeable; sealing it again gives it once more."""
        if self._sealed is None:
            self._sealed = sealed_image(self)
        return self._sealed

    def discard(self) -> None:
        """Drop the image, sealed or not."""
        self._data = bytearray()
        self._sealed = None
