"""Two stores that must agree: what a machine is restored from must not depend on where it was kept."""

import tempfile
from pathlib import Path
from typing import Final, final

from lwm2m_fota.storage.base import StateStore
from lwm2m_fota.storage.files import FileStateStore
from lwm2m_fota.storage.memory import MemoryStateStore


@final
class AgreeingStores:
    """A `StateStore` over several, each of which is given the same and must show the same.

    Args:
        stores: those that must agree.
    """

    def __init__(self, *stores: StateStore) -> None:
        self._stores = stores

    def load(self) -> bytes | None:
        """What all of them hold.

        Raises:
            AssertionError: they do not agree.
        """
        first, *others = [each.load() for each in self._stores]
        if any(each != first for each in others):
            raise AssertionError(f"{len(self._stores)} stores do not agree")
        return first

    def save(self, data: bytes) -> None:
        """Keep it in all of them."""
        for each in self._stores:
            each.save(data)

    def clear(self) -> None:
        """Forget it in all of them."""
        for each in self._stores:
            each.clear()


_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
"""Files without a disk, where the system has them: thousands of saves would each wait for it."""


@final
class CrashingStores:
    """A store in memory and one in a file, which must agree; the file's is opened anew after each crash."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None)
        self._memory = MemoryStateStore()
        self._opened = self._open()

    def _open(self) -> AgreeingStores:
        return AgreeingStores(self._memory, FileStateStore(Path(self._folder.name) / "state"))

    def load(self) -> bytes | None:
        """What both hold."""
        return self._opened.load()

    def save(self, data: bytes) -> None:
        """Keep it in both."""
        self._opened.save(data)

    def crash(self) -> bytes | None:
        """End the process that had opened them; what the next one finds."""
        self._opened = self._open()
        return self._opened.load()

    def close(self) -> None:
        """Delete the file."""
        self._folder.cleanup()
