"""The folder in which a device keeps everything, and which one process at a time may use."""

import fcntl
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Final, final

from lwm2m_fota.device.slots import BatchSlotInstaller, SlotInstaller
from lwm2m_fota.errors import StorageError
from lwm2m_fota.storage.base import SealedImage
from lwm2m_fota.storage.files import FileImageStore, FileStateStore

DEFAULT_CAPACITY_BYTES: Final = 1 << 30
_PRIVATE_MODE: Final = 0o600


@final
class StateDir:
    """The folder, made if it is not there, and locked until the process ends or `close` is called.

    The lock is the kernel's: it goes with the process, however that ends.

    Args:
        path: the folder.
        capacity_bytes: of the staging area and of each slot.

    Raises:
        StorageError: it cannot be made or written, or another process uses it.
    """

    def __init__(self, path: FilePath, capacity_bytes: int = DEFAULT_CAPACITY_BYTES) -> None:
        self.path = path
        self._capacity_bytes = capacity_bytes
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, _PRIVATE_MODE)
        except OSError as error:
            raise StorageError(f"the state folder {path} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise StorageError(f"the state folder {path} is in use by another process") from error

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._lock)

    def images(self) -> FileImageStore:
        """The staging area."""
        return self._image("staged")

    def firmware(self) -> FileStateStore:
        """What the firmware object keeps."""
        return FileStateStore(self.path / "firmware.json")

    def installer(self, factory_version: str) -> SlotInstaller:
        """The two slots and the boot record."""
        slots = (self._image("slot-a"), self._image("slot-b"))
        return SlotInstaller(FileStateStore(self.path / "boot.json"), slots, factory_version)

    def component_images(self, instances: Iterable[int]) -> dict[int, FileImageStore]:
        """A staging area for each component."""
        return {each: self._image(f"staged-{each}") for each in instances}

    def component_firmware(self) -> FileStateStore:
        """What the firmware object keeps of all components."""
        return FileStateStore(self.path / "components.json")

    def batch_installer(self, factory_versions: Mapping[int, str]) -> BatchSlotInstaller:
        """Two slots for each component, and the boot record of all."""
        slots = {each: (self._image(f"slot-{each}-a"), self._image(f"slot-{each}-b")) for each in factory_versions}
        return BatchSlotInstaller(FileStateStore(self.path / "components-boot.json"), slots, factory_versions)

    def _image(self, name: str) -> FileImageStore:
        return FileImageStore(self.path / f"{name}.bin", self._capacity_bytes)


def running_images(path: FilePath, instances: Iterable[int]) -> dict[int, SealedImage | None]:
    """The images that the components of a state folder run; None while it is the factory's.

    Raises:
        StorageError, SnapshotError: it cannot be told.
    """
    state_dir = StateDir(path)
    try:
        installer = state_dir.batch_installer(dict.fromkeys(instances, ""))
        return {each: installer.running_image(each) for each in instances}
    finally:
        state_dir.close()


def staged_images(path: FilePath, instances: Iterable[int]) -> Sequence[SealedImage]:
    """The packages that are staged for the components of a state folder, each whole and verified.

    Raises:
        StorageError: it cannot be told.
    """
    state_dir = StateDir(path)
    try:
        stores = state_dir.component_images(instances).values()
        return [store.sealed for store in stores if store.sealed is not None]
    finally:
        state_dir.close()


def running_image(path: FilePath) -> SealedImage | None:
    """The image that runs on the device of a state folder; None while it is the factory's.

    Raises:
        StorageError, SnapshotError: it cannot be told.
    """
    state_dir = StateDir(path)
    try:
        return state_dir.installer("").running_image
    finally:
        state_dir.close()
