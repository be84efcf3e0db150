"""The pure objects as an engine sees them: Object 33629 as it is, and Object 5 as a group of one component."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final, Protocol, assert_never, final

import attrs

from lwm2m_fota.device import contents, record
from lwm2m_fota.device.record import Kept, Place
from lwm2m_fota.errors import IntegrityError
from lwm2m_fota.lwm2m.advanced_object import AdvancedEffect, AdvancedObject, ForStage
from lwm2m_fota.lwm2m.firmware_object import DeviceEffect, FirmwareObject
from lwm2m_fota.lwm2m.operations import Answer, Operation
from lwm2m_fota.lwm2m.update_operations import EndPush, StageBlock
from lwm2m_fota.machines import coordinator, events, firmware, table
from lwm2m_fota.machines.component_profile import AdvancedProfile
from lwm2m_fota.machines.coordinator_events import (
    BatchFailed,
    BatchSucceeded,
    BeginBatch,
    DropStage,
    For,
    GroupEvent,
    GroupFound,
    GroupRestarted,
    InstanceEvent,
    On,
    PackageChecked,
    UpdateRequested,
)
from lwm2m_fota.machines.coordinator_state import Component as GroupComponent
from lwm2m_fota.machines.coordinator_state import ComponentGroup, Stage, new_group
from lwm2m_fota.machines.device_trace import DeviceMachine, DeviceProfile, Happening
from lwm2m_fota.machines.effects import BeginInstall, DiscardImage, Persist
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.state import FirmwareMachine
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.model.resources import ObjectDefinition
from lwm2m_fota.package.types import Component, VerifiedPackage

THE_INSTANCE: Final = 0
"""Of Object 5."""


@final
@attrs.frozen
class Taken:
    """What the law made of something.

    Attributes:
        effects: to be carried out in this order.
        answer: to the event itself, if it has one; a refusal of a package that came by push goes to its last block.
        happened: the same in the words of the object's own machine.
    """

    effects: Sequence[AdvancedEffect]
    answer: table.Answer | None
    happened: Happening


@final
@attrs.frozen
class Served:
    """What the law made of an operation.

    Attributes:
        answer: for the peer, if every effect succeeds.
        effects: to be carried out in this order.
        happened: what it meant to the object's own machine; None if it meant nothing, as a Read or a later block.
    """

    answer: Answer
    effects: Sequence[AdvancedEffect]
    happened: Happening | None


class Law(Protocol):
    """A pure object behind an engine.

    Attributes:
        group: its components; set it to go back.
    """

    group: ComponentGroup

    @property
    def definition(self) -> ObjectDefinition:
        """The object, in its version."""
        ...

    @property
    def profile(self) -> DeviceProfile:
        """What the device is built to do."""
        ...

    @property
    def machine(self) -> DeviceMachine:
        """The object's own machine: of Object 5 the one, of Object 33629 the group."""
        ...

    def handle(self, operation: Operation, wall: float | None) -> Served:
        """Take an operation of a server.

        Raises:
            FotaError: with the code to answer; nothing has changed.
        """
        ...

    def apply(self, event: GroupEvent, wall: float | None) -> Taken:
        """Take an event of the device's own."""
        ...

    def next_deadline(self) -> float | None:
        """The wall time at which `ClockRead` is due; None if nothing waits for a time."""
        ...

    @property
    def defers(self) -> bool:
        """The user or application wants to install later."""
        ...

    @property
    def called(self) -> Iterable[Collection[str]]:
        """What packages may call each component."""
        ...

    def checked(self, package: VerifiedPackage, transfer: int) -> PackageChecked:
        """The event of a package that passed every check.

        Raises:
            UnsupportedPackageError: it is for other components than this object can have.
        """
        ...

    def component(self, instance: int, package: VerifiedPackage) -> Component:
        """The part of a package that is for an instance.

        Raises:
            IntegrityError: it is not the package that the instance has taken.
            UnsupportedPackageError: as `checked`.
        """
        ...

    def encode(self, kept: Kept) -> bytes:
        """The bytes to store."""
        ...

    def decode(self, data: bytes) -> Kept:
        """What `encode` was given.

        Raises:
            SnapshotError: the bytes are damaged, of another schema, or of another object.
        """
        ...


@final
class AdvancedLaw:
    """Object 33629.

    Args:
        profile: what the device is built to do; its versions are known once it has started.
    """

    def __init__(self, profile: AdvancedProfile) -> None:
        self.object = AdvancedObject(profile, new_group(profile, ("",) * len(profile.components)))

    @property
    def group(self) -> ComponentGroup:
        """The components."""
        return self.object.group

    @group.setter
    def group(self, group: ComponentGroup) -> None:
        self.object.group = group

    @property
    def definition(self) -> ObjectDefinition:
        """Object 33629."""
        return self.object.definition

    @property
    def profile(self) -> AdvancedProfile:
        """What the device is built to do."""
        return self.object.profile

    @property
    def machine(self) -> ComponentGroup:
        """The components."""
        return self.object.group

    def handle(self, operation: Operation, wall: float | None) -> Served:
        """Take an operation of a server."""
        handled = self.object.handle(operation, wall)
        if not handled.events:
            return Served(handled.answer, handled.effects, None)
        own = tuple(effect for effect in handled.effects if not isinstance(effect, ForStage))
        return Served(handled.answer, handled.effects, Happening(handled.events, own, handled.answer.code))

    def apply(self, event: GroupEvent, wall: float | None) -> Taken:
        """Take an event of the device's own."""
        taken = self.object.apply(event, wall)
        return Taken(taken.effects, taken.answer, Happening((event,), taken.effects, _code_of(taken.answer)))

    def next_deadline(self) -> float | None:
        """When the first deferral ends."""
        return coordinator.next_deadline(self.group)

    @property
    def defers(self) -> bool:
        """The user or application wants to install later."""
        return self.object.defers

    @property
    def called(self) -> Iterable[Collection[str]]:
        """The name of each component with its aliases."""
        return [each.names for each in self.object.profile.components]

    def checked(self, package: VerifiedPackage, transfer: int) -> PackageChecked:
        """What the coordinator weighs: it knows which components there are."""
        return contents.checked(package, transfer, defer=self.defers)

    def component(self, instance: int, package: VerifiedPackage) -> Component:
        """The part that has the name of the component, of a package with the requirements that were weighed."""
        if contents.requirements(package) != self.group.component(instance).requirements:
            raise IntegrityError("the staged package is not the one that was downloaded")
        profile = self.object.profile
        return contents.component_of(package, lambda name: profile.instance_of(name) == instance)

    def encode(self, kept: Kept) -> bytes:
        """The bytes to store."""
        return record.encode_group(kept)

    def decode(self, data: bytes) -> Kept:
        """What `encode` was given."""
        return record.decode_group(data, self.object.profile)


@final
class FirmwareLaw:
    """Object 5.

    Args:
        profile: what the device is built to do.
        names: what packages may call its firmware; None for anything.
    """

    def __init__(self, profile: FirmwareProfile, names: Collection[str] | None) -> None:
        self.object = FirmwareObject(profile)
        self._names = names
        self._group = _group_of(self.object.machine)

    @property
    def group(self) -> ComponentGroup:
        """The one component."""
        machine = self.object.machine
        if self._group.components[0].machine is not machine:
            self._group = _group_of(machine)
        return self._group

    @group.setter
    def group(self, group: ComponentGroup) -> None:
        self._group = group
        self.object.machine = group.component(THE_INSTANCE).machine

    @property
    def definition(self) -> ObjectDefinition:
        """Object 5 in the version of the profile."""
        return self.object.definition

    @property
    def profile(self) -> FirmwareProfile:
        """What the device is built to do."""
        return self.object.profile

    @property
    def machine(self) -> FirmwareMachine:
        """The machine of the one firmware."""
        return self.object.machine

    def handle(self, operation: Operation, wall: float | None) -> Served:
        """Take an operation of a server."""
        before = self.object.machine
        handled = self.object.handle(operation, wall)
        effects = self._effects(handled.effects, before)
        if not handled.events:
            return Served(handled.answer, effects, None)
        own = tuple(effect for effect in handled.effects if not isinstance(effect, StageBlock | EndPush))
        return Served(handled.answer, effects, Happening(handled.events, own, handled.answer.code))

    def apply(self, event: GroupEvent, wall: float | None) -> Taken:
        """Take an event of the device's own."""
        before = self.object.machine
        own = event_of_object_5(event)
        taken = self.object.apply(own, wall)
        happened = Happening((own,), taken.effects, _code_of(taken.answer))
        return Taken(self._effects(taken.effects, before), taken.answer, happened)

    def next_deadline(self) -> float | None:
        """When the deferral ends."""
        return firmware.next_deadline(self.object.machine)

    @property
    def defers(self) -> bool:
        """The user or application wants to install later."""
        return self.object.defers

    @property
    def called(self) -> Iterable[Collection[str]]:
        """The names of the one firmware, where they are known."""
        return () if self._names is None else (self._names,)

    def checked(self, package: VerifiedPackage, transfer: int) -> PackageChecked:
        """What the machine takes, of a package for one firmware."""
        contents.the_component(package, self._names)
        return contents.checked(package, transfer, defer=self.defers)

    def component(self, instance: int, package: VerifiedPackage) -> Component:
        """What a device with one firmware installs."""
        del instance
        return contents.the_component(package, self._names)

    def encode(self, kept: Kept) -> bytes:
        """The bytes to store."""
        checkpoint = next((place.checkpoint for place in kept.places), None)
        return record.encode(self.object.machine, checkpoint, kept.floor)

    def decode(self, data: bytes) -> Kept:
        """What `encode` was given."""
        machine, checkpoint, floor = record.decode(data, self.object.profile)
        group = _group_of(machine)
        return Kept(group, tuple(Place(THE_INSTANCE, stage, checkpoint) for stage in group.stages), floor)

    def _effects(self, effects: Iterable[DeviceEffect], before: FirmwareMachine) -> tuple[AdvancedEffect, ...]:
        transfer = self.object.machine.transfer
        made = (_effect_of(effect, transfer, _stage_of(before)) for effect in effects)
        return tuple(effect for effect in made if effect is not None)


def _code_of(answer: table.Answer | None) -> int | None:
    return None if answer is None else answer.code


def _group_of(machine: FirmwareMachine) -> ComponentGroup:
    return ComponentGroup((GroupComponent(THE_INSTANCE, machine, "", _stage_of(machine)),), machine.attempt)


def _stage_of(machine: FirmwareMachine) -> Stage | None:
    return None if machine.state is State.IDLE else Stage(THE_INSTANCE, machine.transfer)


def _effect_of(effect: DeviceEffect, transfer: int, stage_before: Stage | None) -> AdvancedEffect | None:
    match effect:
        case Persist():
            return effect
        case DiscardImage():
            return None if stage_before is None else DropStage(stage_before)
        case BeginInstall(attempt):
            return BeginBatch(attempt, (THE_INSTANCE,))
        case StageBlock() | EndPush():
            return ForStage(Stage(THE_INSTANCE, transfer), effect)
        case _:
            return For(THE_INSTANCE, effect)


def event_of_object_5(event: GroupEvent) -> events.Event:
    """What an event of a group of one component is to the machine of Object 5."""
    match event:
        case On(_, own):
            return _own_event(own)
        case BatchSucceeded(attempt):
            return events.InstallSucceeded(attempt)
        case BatchFailed(result, _, images_kept, attempt):
            if result is UpdateResult.DEPENDENCY_ERROR:  # Object 5 has no word for it (SPEC 17)
                result = UpdateResult.UPDATE_FAILED
            return events.InstallFailed(result, images_kept, attempt)
        case GroupRestarted(found):
            return events.Restarted(_found(found))
        case events.ClockRead():
            return event
        case _:
            assert_never(event)


def _own_event(own: InstanceEvent) -> events.Event:
    match own:
        case PackageChecked(name, version, _, _, transfer, defer):
            return events.PackageVerified(name, version, defer, transfer)
        case UpdateRequested(_, defer):
            return events.UpdateExecuted(defer=defer)
        case _:
            return own


def _found(found: GroupFound) -> events.Found:
    image = next((image for _, image in found.stages), events.StagedImage.MISSING)
    return events.Found(image=image, boot=found.boot, attempt=found.attempt)
