"""The components of Object 33629 together, as a value."""

from collections.abc import Sequence
from typing import NamedTuple, final

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines.component_profile import AdvancedProfile
from lwm2m_fota.machines.state import FirmwareMachine
from lwm2m_fota.model.enums import State


@final
class Stage(NamedTuple):
    """The name of a staged package; several components may hold the same one.

    Attributes:
        instance: the instance that it came through.
        transfer: the number of the transfer there.
    """

    instance: int
    transfer: int


@final
class Requirement(NamedTuple):
    """What a package asks of a component, in it or not.

    Attributes:
        name: of the component.
        minimum_version: the lowest version that will do.
    """

    name: str
    minimum_version: str


@final
class Culprit(NamedTuple):
    """An instance that a Result 12 or 13 is about.

    Attributes:
        instance: which.
        stage: what it had then; once another package is Downloaded there, it is a culprit no more.
    """

    instance: int
    stage: Stage | None


@final
class Waiting(NamedTuple):
    """A pull that waits for its turn.

    Attributes:
        instance: which.
        resume: it was interrupted by a restart.
    """

    instance: int
    resume: bool


@final
class Component(NamedTuple):
    """One instance.

    Attributes:
        instance: its id.
        machine: resources 1, 3, 5-7 and 11-13.
        version: resource 15, what runs.
        stage: the package that it receives or holds; None in Idle.
        requirements: of the package that it holds; empty before Downloaded.
        culprits: whom Result 12 or 13 is about; empty with any other Result.
        asked: the list of the Update that is deferred, or None if it had none; None too if nothing is deferred.
    """

    instance: int
    machine: FirmwareMachine = FirmwareMachine()
    version: str = ""
    stage: Stage | None = None
    requirements: tuple[Requirement, ...] = ()
    culprits: tuple[Culprit, ...] = ()
    asked: tuple[int, ...] | None = None


@final
class ComponentGroup(NamedTuple):
    """All instances. Compare, hash and keep it freely: it never changes.

    Attributes:
        components: in ascending order of instance.
        attempt: the number of the last batch that was begun.
        waiting: the pulls that wait for their turn, the next first.
    """

    components: tuple[Component, ...]
    attempt: int = 0
    waiting: tuple[Waiting, ...] = ()

    def component(self, instance: int) -> Component:
        """One of them.

        Raises:
            UsageError: there is no such instance.
        """
        for each in self.components:
            if each.instance == instance:
                return each
        raise UsageError(f"no such instance: {instance}")

    @property
    def batch(self) -> tuple[int, ...]:
        """The instances that are being installed: together, as attempt `attempt`; empty if none are."""
        return tuple(each.instance for each in self.components if each.machine.state is State.UPDATING)

    @property
    def stages(self) -> frozenset[Stage]:
        """The packages that are received or held."""
        return frozenset(each.stage for each in self.components if each.stage is not None)


def new_group(profile: AdvancedProfile, versions: Sequence[str]) -> ComponentGroup:
    """The components of a device before its first update.

    Args:
        profile: the device.
        versions: what runs, in the order of its components.

    Raises:
        UsageError: not one version for each component.
    """
    if len(versions) != len(profile.components):
        raise UsageError(f"{len(profile.components)} components, {len(versions)} versions")
    return ComponentGroup(
        tuple(
            Component(instance, version=version) for instance, version in zip(profile.instances, versions, strict=True)
        )
    )
