"""What the runtime asks of a store: state that survives, one staged image, and packages to send.

All calls are synchronous and short. Only StorageError (with StorageFullError) and UsageError leave them. A store has
one owner at a time: no two processes work on one.
"""

from collections.abc import Callable
from typing import Protocol, final

import attrs


class StateStore(Protocol):
    """Keeps one small value across restarts."""

    def load(self) -> bytes | None:
        """The value last saved; None if there is none.

        Raises:
            StorageError: it cannot be read.
        """
        ...

    def save(self, data: bytes) -> None:
        """Replace the value; durable when it returns.

        A crash at any moment leaves the old value or the new one, whole.

        Raises:
            StorageFullError: there is no room; the old value stands.
            StorageError: the store failed; the old value stands, or the new one.
        """
        ...

    def clear(self) -> None:
        """Forget the value, durably; harmless if there is none.

        Raises:
            StorageError: the store failed.
        """
        ...


class PackageSource(Protocol):
    """Bytes of fixed length that can be read anywhere: a package to send, a sealed image."""

    @property
    def size_bytes(self) -> int:
        """Its length in bytes."""
        ...

    def read_at(self, offset: int, length: int) -> bytes:
        """Read `length` bytes from `offset` on; fewer only where the source ends.

        Raises:
            StorageError: it cannot be read, or is no longer what it was.
            UsageError: a negative argument.
        """
        ...


@final
@attrs.frozen(eq=False)
class SealedImage:
    """A staged image that can no longer change: a `PackageSource`.

    It stands for these very bytes: once the stage is opened anew or discarded, reading raises StorageError, so what
    was verified is never mistaken for what came after it.

    Attributes:
        size_bytes: its length in bytes.
    """

    size_bytes: int
    _reader: Callable[[int, int], bytes] = attrs.field(repr=False)

    def read_at(self, offset: int, length: int) -> bytes:
        """Read `length` bytes from `offset` on; fewer only where the image ends.

        Raises:
            StorageError: it cannot be read, or the stage has dropped it.
            UsageError: a negative argument.
        """
        return self._reader(offset, length)


class ImageStore(Protocol):
    """The staging area of one firmware image, filled from its beginning, without holes.

    A new store is empty and may be written. A store that survives restarts comes back with what it held, sealed or
    not. After a power failure only what `sync` or `seal` confirmed is certain: to go on with an unsealed image,
    `truncate` to the last size that was confirmed. Where `boot_id` is still the same, all that was written is certain.
    """

    @property
    def capacity_bytes(self) -> int:
        """The largest image that it takes."""
        ...

    @property
    def size_bytes(self) -> int:
        """Bytes staged, from 0 on."""
        ...

    @property
    def boot_id(self) -> str | None:
        """Names the time in which nothing that was written gets lost, whatever becomes of the process.

        For a file that is the run of the system, whose cache holds what was not synced; a store that writes straight
        to where it stays has one name for ever. None if that is not known: then only what was synced counts.
        """
        ...

    @property
    def sealed(self) -> SealedImage | None:
        """The sealed image; None while it is still being staged."""
        ...

    def open(self, size_bytes: int | None) -> None:
        """Begin a new image: drop what was there, sealed or not.

        Args:
            size_bytes: the announced size, where it is known; it does not bind the writer.

        Raises:
            StorageFullError: that size cannot fit; nothing has changed.
            StorageError: the store failed.
            UsageError: a negative size.
        """
        ...

    def write_at(self, offset: int, data: bytes) -> None:
        """Append at `size_bytes`; what lies before it may only be repeated, with the same bytes.

        Raises:
            StorageFullError: over the capacity, or no room below it; nothing has changed.
            StorageError: the store failed; nothing has changed.
            UsageError: the image is sealed, the write would leave a hole, or it differs from what is staged.
        """
        ...

    def read_at(self, offset: int, length: int) -> bytes:
        """Read `length` staged bytes from `offset` on; fewer only where they end.

        Raises:
            StorageError: the store failed.
            UsageError: a negative argument.
        """
        ...

    def truncate(self, size_bytes: int) -> None:
        """Keep only the first `size_bytes` bytes.

        Raises:
            StorageError: the store failed.
            UsageError: the image is sealed, or fewer bytes are staged.
        """
        ...

    def sync(self) -> None:
        """Make durable what is staged.

        Raises:
            StorageError: the store failed.
        """
        ...

    def seal(self) -> SealedImage:
        """Make the image durable and unchangeable; sealing it again gives it once more.

        Raises:
            StorageFullError: there is no room for the seal.
            StorageError: the store failed; the image is not sealed.
        """
        ...

    def discard(self) -> None:
        """Drop the image, sealed or not, durably; harmless if there is none.

        Raises:
            StorageError: the store failed.
        """
        ...
