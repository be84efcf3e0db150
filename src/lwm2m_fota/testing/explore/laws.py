"""The objects as the device model sees them: one pure step over a group of components, with the rows that it took.

Object 5 is a group of one component. Its steps are those of `machines.firmware`, and those of Object 33629 are those
of `machines.coordinator`: nothing here decides.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol, TypeAlias, final

from lwm2m_fota.device.laws import event_of_object_5
from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines import coordinator, events, firmware
from lwm2m_fota.machines.component_profile import AdvancedProfile
from lwm2m_fota.machines.component_rows import COMPONENT_RESULTS
from lwm2m_fota.machines.coordinator_events import (
    BatchSucceeded,
    BeginBatch,
    DropStage,
    For,
    GroupEffect,
    GroupEvent,
    GroupRestarted,
)
from lwm2m_fota.machines.coordinator_state import Component, ComponentGroup, Stage, new_group
from lwm2m_fota.machines.effects import BeginInstall, DiscardImage, Effect, Persist
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.rows import Row
from lwm2m_fota.machines.state import FirmwareMachine
from lwm2m_fota.machines.table import VISIBLE_RESULTS
from lwm2m_fota.model.enums import State, UpdateResult


class Taken(NamedTuple):
    """What one event led to.

    Attributes:
        group: the components from now on.
        effects: to be carried out in this order.
        code: what the peer is told; None if nobody waits for it.
        rows: the rows that were taken, each with its instance; none if the event was refused.
    """

    group: ComponentGroup
    effects: tuple[GroupEffect, ...]
    code: int | None
    rows: tuple[tuple[int, Row], ...]


class Own(NamedTuple):
    """An event that Object 5 has and components have not."""

    event: events.AutoUpgradeWritten


Happening: TypeAlias = GroupEvent | Own
"""What a step is given."""


class Law(Protocol):
    """An object of a device."""

    @property
    def profile(self) -> FirmwareProfile:
        """What each component is built to do."""
        ...

    @property
    def visible(self) -> Mapping[State, frozenset[UpdateResult]]:
        """The Update Results that each State may show."""
        ...

    def new(self) -> ComponentGroup:
        """The components before any update."""
        ...

    def step(self, group: ComponentGroup, event: Happening, wall: float | None) -> Taken:
        """Take one event."""
        ...

    def stored(self, group: ComponentGroup) -> object:
        """What of it is stored."""
        ...


@final
class Components:
    """Object 33629.

    Args:
        profile: the device.
        version: what all of its components run at first.
    """

    def __init__(self, profile: AdvancedProfile, version: str) -> None:
        self._profile = profile
        self._version = version

    @property
    def profile(self) -> FirmwareProfile:
        """Alike in all components."""
        return self._profile.firmware

    @property
    def advanced(self) -> AdvancedProfile:
        """The device."""
        return self._profile

    @property
    def visible(self) -> Mapping[State, frozenset[UpdateResult]]:
        """Of Object 33629."""
        return COMPONENT_RESULTS

    def new(self) -> ComponentGroup:
        """All of them Idle."""
        return new_group(self._profile, (self._version,) * len(self._profile.components))

    def step(self, group: ComponentGroup, event: Happening, wall: float | None) -> Taken:
        """Take one event.

        Raises:
            UsageError: components do not have it.
        """
        if isinstance(event, Own):
            raise UsageError(f"not of components: {event.event!r}")
        taken = coordinator.step(group, event, self._profile, wall)
        return Taken(taken.group, taken.effects, None if taken.answer is None else taken.answer.code, taken.rows)

    def stored(self, group: ComponentGroup) -> object:
        """All of it."""
        return group


@final
class Firmware:
    """Object 5.

    Args:
        profile: the device.
        version: what it runs at first.
    """

    def __init__(self, profile: FirmwareProfile, version: str) -> None:
        self._profile = profile
        self._version = version

    @property
    def profile(self) -> FirmwareProfile:
        """The device."""
        return self._profile

    @property
    def visible(self) -> Mapping[State, frozenset[UpdateResult]]:
        """Of its version of Object 5."""
        return VISIBLE_RESULTS[self._profile.version]

    def new(self) -> ComponentGroup:
        """One component, Idle."""
        return _group_of(FirmwareMachine(), self._version)

    def step(self, group: ComponentGroup, event: Happening, wall: float | None) -> Taken:
        """Take one event."""
        (component,) = group.components
        taken = firmware.step(component.machine, _event_of(event), self._profile, wall)
        code = None if taken.answer is None else taken.answer.code
        if taken.row is None:
            return Taken(group, (), code, ())
        version, there = component.version, set(filter(None, [component.stage]))
        if isinstance(event, GroupRestarted):
            (version,) = event.found.versions
            there.update(stage for stage, _ in event.found.stages)
        elif isinstance(event, BatchSucceeded):
            version = component.machine.package_version
        effects = tuple(made for effect in taken.effects for made in _effects_of(effect, there))
        return Taken(_group_of(taken.machine, version), effects, code, ((component.instance, taken.row),))

    def stored(self, group: ComponentGroup) -> object:
        """Its machine; what runs is the installer's to tell."""
        return group.components[0].machine


def _group_of(machine: FirmwareMachine, version: str) -> ComponentGroup:
    stage = None if machine.state is State.IDLE else Stage(0, machine.transfer)
    return ComponentGroup((Component(0, machine, version, stage),), machine.attempt)


def _effects_of(effect: Effect, there: Iterable[Stage]) -> Iterator[GroupEffect]:
    match effect:
        case Persist():
            yield effect
        case DiscardImage():
            yield from map(DropStage, sorted(there))
        case BeginInstall(attempt):
            yield BeginBatch(attempt, (0,))
        case _:
            yield For(0, effect)


def _event_of(event: Happening) -> events.Event:
    return event.event if isinstance(event, Own) else event_of_object_5(event)
