"""An image store in memory that loses, like flash behind a cache, what was not synced when the power fails."""

from typing import final

from lwm2m_fota.storage.base import SealedImage
from lwm2m_fota.storage.memory import MemoryImageStore


@final
class SimulatedFlash:
    """An `ImageStore` with `cut_power`.

    Args:
        capacity_bytes: the largest image.
    """

    __slots__ = ("_boots", "_durable_bytes", "_fails", "_store")

    def __init__(self, capacity_bytes: int) -> None:
        self._store = MemoryImageStore(capacity_bytes)
        self._durable_bytes = 0
        self._boots = 0
        self._fails = False

    def fail(self) -> None:
        """The power is about to be cut: nothing more becomes durable by `sync` until then."""
        self._fails = True

    def cut_power(self) -> None:
        """Lose what neither `sync` nor `seal` made durable."""
        self._boots += 1
        self._fails = False
        if self._store.sealed is None:
            self._store.truncate(min(self._durable_bytes, self._store.size_bytes))

    @property
    def capacity_bytes(self) -> int:
        """The largest image that it takes."""
        return self._store.capacity_bytes

    @property
    def size_bytes(self) -> int:
        """Bytes staged."""
        return self._store.size_bytes

    @property
    def boot_id(self) -> str:
        """How often the power was cut."""
        return str(self._boots)

    @property
    def sealed(self) -> SealedImage | None:
        """The sealed image, if it is sealed."""
        return self._store.sealed

    def open(self, size_bytes: int | None) -> None:
        """Begin a new image; see `ImageStore`."""
        self._store.open(size_bytes)
        self._durable_bytes = 0

    def write_at(self, offset: int, data: bytes) -> None:
        """Append, or repeat what is there; see `ImageStore`."""
        self._store.write_at(offset, data)

    def read_at(self, offset: int, length: int) -> bytes:
        """Read staged bytes; see `ImageStore`."""
        return self._store.read_at(offset, length)

    def truncate(self, size_bytes: int) -> None:
        """Keep only the first bytes; see `ImageStore`."""
        self._store.truncate(size_bytes)
        self._durable_bytes = min(self._durable_bytes, size_bytes)

    def sync(self) -> None:
        """What is staged now outlives a power cut, unless it comes already."""
        if not self._fails:
            self._durable_bytes = self._store.size_bytes

    def seal(self) -> SealedImage:
        """Make the image durable and unchangeable."""
        return self._store.seal()

    def discard(self) -> None:
        """Drop the image, sealed or not."""
        self._store.discard()
        self._durable_bytes = 0
