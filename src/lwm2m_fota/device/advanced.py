"""The firmware of a device as Object 33629: several components, updated alone or together.

It can be put into any LwM2M client, as `FirmwareDevice` can.
"""

from collections.abc import Mapping
from typing import Unpack, final

from lwm2m_fota.device.engine import Engine, Surroundings
from lwm2m_fota.device.installer import BatchInstaller
from lwm2m_fota.device.laws import AdvancedLaw
from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines.component_profile import AdvancedProfile
from lwm2m_fota.machines.coordinator_events import On
from lwm2m_fota.machines.coordinator_links import Links, links
from lwm2m_fota.machines.coordinator_state import Component
from lwm2m_fota.machines.events import DeferralEnded
from lwm2m_fota.model.paths import Path
from lwm2m_fota.storage.base import ImageStore


@final
class AdvancedFirmwareDevice(Engine):
    """Object 33629 on a device.

    Args:
        profile: the components, delivery, protocols, policies.
        images: a staging area for each component, by its instance.
        installer: the way to the flash of all components and to their boot loader.
        around: what else it is put into, by keyword; see `Surroundings`.

    Raises:
        UsageError: the staging areas are not those of the components.
    """

    def __init__(
        self,
        *,
        profile: AdvancedProfile,
        images: Mapping[int, ImageStore],
        installer: BatchInstaller,
        **around: Unpack[Surroundings],
    ) -> None:
        if set(images) != set(profile.instances):
            raise UsageError(f"staging areas for {sorted(images)}, components {profile.instances}")
        law = AdvancedLaw(profile)
        super().__init__(law, images, installer, around)
        self._object = law.object

    def component(self, instance: int) -> Component:
        """One component as it is: its machine, its version, what it holds.

        Raises:
            UsageError: there is no such instance.
        """
        return self._object.group.component(instance)

    def links(self, instance: int) -> Links:
        """Whom an Update of this component would take along, and over whom it would fail (resources 16 and 17).

        Raises:
            UsageError: there is no such instance.
        """
        return links(self._object.group, self._object.profile)[self.component(instance).instance]

    def diagnosis(self, instance: int) -> str:
        """Why the last update of a component failed, for people; empty if it did not."""
        return self._diagnoses.get(instance, "")

    def streams(self, path: Path) -> bool:
        """Package comes in blocks."""
        return self._object.streams(path)

    def defer_updates(self, *, defer: bool) -> None:
        """The user wants to install later, or no longer; counts at the next Update."""
        self._object.defers = defer

    def accept_update(self, instance: int) -> None:
        """The user agrees to the deferred update of this component now; harmless if there is none.

        Raises:
            UsageError: there is no such instance.
        """
        self._report(On(instance, DeferralEnded()))
