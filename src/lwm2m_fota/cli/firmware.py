"""The firmware of `lwm2m-fota device`: Object 5, or Object 33629 with components, kept in a folder."""

from collections.abc import Sequence
from typing import Final, Unpack, final

import attrs

from lwm2m_fota.cli.output import Output
from lwm2m_fota.cli.state_dir import StateDir
from lwm2m_fota.device.advanced import AdvancedFirmwareDevice
from lwm2m_fota.device.engine import Surroundings
from lwm2m_fota.device.firmware import FirmwareDevice
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.readings import Version
from lwm2m_fota.model.enums import ProtocolSupport
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.update import UpdateResource

_SHOWN: Final = frozenset({UpdateResource.STATE, UpdateResource.UPDATE_RESULT})


@final
@attrs.frozen
class ComponentOption:
    """A component as the command line has it.

    Attributes:
        name: what it is called.
        version: of what the factory has put in.
    """

    name: str
    version: str


@final
class BasicFirmware:
    """Object 5.

    Args:
        state_dir: the folder.
        version: of the firmware before any update.
        object_version: of Object 5.
        protocols: over which packages are fetched.

    Attributes:
        state: keeps the machine across restarts.
    """

    def __init__(
        self,
        state_dir: StateDir,
        version: str,
        object_version: Version,
        protocols: tuple[ProtocolSupport, ...] = (ProtocolSupport.COAP,),
    ) -> None:
        self._state_dir = state_dir
        self._installer = state_dir.installer(version)
        self.state = state_dir.firmware()
        self._profile = FirmwareProfile(version=object_version, protocols=protocols)

    def boot(self, say: Output) -> None:
        """Be the boot loader, and tell what runs.

        Raises:
            StorageError, SnapshotError: the boot record cannot be read.
        """
        report = self._installer.boot()
        say("booted", version=report.version, boot=report.status.value)

    def make(self, say: Output, **around: Unpack[Surroundings]) -> FirmwareDevice:
        """The object; it tells of its changes."""
        device = FirmwareDevice(
            profile=self._profile, images=self._state_dir.images(), installer=self._installer, **around
        )

        def tell(paths: Sequence[Path]) -> None:
            if any(path.resource_id in _SHOWN for path in paths):
                state, result = int(device.state), int(device.result)
                say("state", state=state, result=result, diagnosis=device.diagnosis, component=None, conflicts=[])

        device.listen(tell)
        return device


@final
class ComponentFirmware:
    """Object 33629.

    Args:
        state_dir: the folder.
        components: in the order of their instances, which begin with 0. Packages may also call them by the number of
            their instance, as MCUboot's dependencies do.
        protocols: over which packages are fetched.

    Attributes:
        state: keeps the machines across restarts.

    Raises:
        UsageError: two have one name.
    """

    def __init__(
        self,
        state_dir: StateDir,
        components: Sequence[ComponentOption],
        protocols: tuple[ProtocolSupport, ...] = (ProtocolSupport.COAP,),
    ) -> None:
        names = {each.name for each in components}
        specs = tuple(
            ComponentSpec(instance, each.name, () if str(instance) in names else (str(instance),))
            for instance, each in enumerate(components)
        )
        self._state_dir = state_dir
        self.state = state_dir.component_firmware()
        self._profile = AdvancedProfile(components=specs, protocols=protocols)
        self._installer = state_dir.batch_installer({index: each.version for index, each in enumerate(components)})

    def boot(self, say: Output) -> None:
        """Be the boot loader, and tell what runs.

        Raises:
            StorageError, SnapshotError: the boot record cannot be read.
        """
        report = self._installer.boot()
        say("booted", version=report.versions[0], boot=report.status.value)
        for spec, version in zip(self._profile.components, report.versions, strict=True):
            say("component", instance=spec.instance, name=spec.name, version=version)

    def make(self, say: Output, **around: Unpack[Surroundings]) -> AdvancedFirmwareDevice:
        """The object; it tells of its changes."""
        images = self._state_dir.component_images(self._profile.instances)
        device = AdvancedFirmwareDevice(profile=self._profile, images=images, installer=self._installer, **around)

        def tell(paths: Sequence[Path]) -> None:
            for instance in dict.fromkeys(path.ids[1] for path in paths if path.resource_id in _SHOWN):
                machine = device.component(instance).machine
                say(
                    "state",
                    state=int(machine.state),
                    result=int(machine.result),
                    diagnosis=device.diagnosis(instance),
                    component=self._profile.name_of(instance),
                    conflicts=[self._profile.name_of(each) for each in device.links(instance).conflicting],
                )

        device.listen(tell)
        return device
