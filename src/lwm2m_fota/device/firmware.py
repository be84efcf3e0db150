"""The firmware of a device as Object 5.

It can be put into any LwM2M client: give it operations, pass its answers on, and tell observers what it says has
changed.
"""

from typing import Unpack, final

from lwm2m_fota.device.engine import Engine, Surroundings
from lwm2m_fota.device.installer import Alone, Installer
from lwm2m_fota.device.laws import THE_INSTANCE, FirmwareLaw
from lwm2m_fota.device.settings import FirmwareSettings, InterruptedInstall
from lwm2m_fota.lwm2m.firmware_object import PACKAGE_PATH
from lwm2m_fota.machines.coordinator_events import On
from lwm2m_fota.machines.events import DeferralEnded
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.model.paths import Path
from lwm2m_fota.storage.base import ImageStore

__all__ = ["FirmwareDevice", "FirmwareSettings", "InterruptedInstall"]


@final
class FirmwareDevice(Engine):
    """Object 5 on a device.

    Args:
        profile: object version, delivery, protocols, policies.
        images: the staging area.
        installer: the way to the flash and the boot loader.
        around: what else it is put into, by keyword; see `Surroundings`.

    What a request asks for is saved first; if that fails, the request is refused and nothing has changed. What has
    happened anyway (a failure, a confirmed boot) counts unsaved too: after a restart it is found once more.
    """

    def __init__(
        self, *, profile: FirmwareProfile, images: ImageStore, installer: Installer, **around: Unpack[Surroundings]
    ) -> None:
        law = FirmwareLaw(profile, around.get("settings", FirmwareSettings()).component_names)
        super().__init__(law, {THE_INSTANCE: images}, Alone(installer), around)
        self._object = law.object

    @property
    def state(self) -> State:
        """Resource 3."""
        return self._object.machine.state

    @property
    def result(self) -> UpdateResult:
        """Resource 5."""
        return self._object.machine.result

    @property
    def diagnosis(self) -> str:
        """Why the last update failed, for people; empty if it did not."""
        return self._diagnoses.get(THE_INSTANCE, "")

    def streams(self, path: Path) -> bool:
        """Package comes in blocks."""
        return path == PACKAGE_PATH

    def defer_updates(self, *, defer: bool) -> None:
        """The user wants to install later, or no longer; counts at the next Update or Automatic Upgrade."""
        self._object.defers = defer

    def accept_update(self) -> None:
        """The user agrees to a deferred update now; harmless if there is none."""
        self._report(On(THE_INSTANCE, DeferralEnded()))
