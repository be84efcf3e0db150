"""Object 33629 as operations: reads and writes of all instances in, steps of their coordinator and effects out.

Pure, as `FirmwareObject` is for Object 5: what it wants done comes back as effects, in order; a failure of one is
reported with `apply`.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, assert_never, final

import attrs

from lwm2m_fota.content.values import Entries
from lwm2m_fota.errors import BlockwiseError, RefusedError
from lwm2m_fota.lwm2m.operations import CHANGED, Answer, Execute, Operation, Read, Write, WriteBlock
from lwm2m_fota.lwm2m.update_arguments import parse_update
from lwm2m_fota.lwm2m.update_operations import (
    EndPush,
    StageBlock,
    Values,
    all_or_none,
    answer_of,
    is_pushed,
    opening_event,
    staged_effects,
    values_of,
    writable,
    written_event,
)
from lwm2m_fota.lwm2m.value_object import read_entries
from lwm2m_fota.machines.component_policies import UnquotedLinks
from lwm2m_fota.machines.component_profile import AdvancedProfile
from lwm2m_fota.machines.coordinator import GroupStep, step
from lwm2m_fota.machines.coordinator_events import GroupEffect, GroupEvent, InstanceEvent, On, UpdateRequested
from lwm2m_fota.machines.coordinator_links import Links, links
from lwm2m_fota.machines.coordinator_state import Component, ComponentGroup, Stage
from lwm2m_fota.machines.events import CancelExecuted
from lwm2m_fota.model.advanced import ADVANCED_1_0, ADVANCED_OBJECT_ID, AdvancedResource
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import ObjectDefinition, ObjectLink, Value
from lwm2m_fota.model.update import UpdateResource

_RESOURCE_IDS: Final = tuple(resource.id for resource in ADVANCED_1_0.resources)


@final
@attrs.frozen
class ForStage:
    """What is to be done with the stage that a push fills.

    Attributes:
        stage: which; its instance is the one that is pushed to.
        effect: a block of the push, or its end: report `PackageReceived` on the instance.
    """

    stage: Stage
    effect: StageBlock | EndPush


AdvancedEffect: TypeAlias = GroupEffect | ForStage


@final
@attrs.frozen
class GroupHandled:
    """What an operation led to.

    Attributes:
        answer: for the peer, if every effect succeeds.
        effects: to be carried out in this order.
        events: what it meant to the coordinator, all or none of them; a refusal is among them too.
    """

    answer: Answer
    effects: tuple[AdvancedEffect, ...] = ()
    events: tuple[GroupEvent, ...] = ()


@final
class AdvancedObject:
    """Object 33629 of one device, as its servers see it.

    Args:
        profile: what the device is built to do.
        group: where it starts; `new_group` makes one, or `coordinator_snapshot.restore`.

    Attributes:
        defers: the user or application wants to install later; counts at the next Update.
    """

    __slots__ = ("defers", "group", "profile")

    definition: Final[ObjectDefinition] = ADVANCED_1_0

    def __init__(self, profile: AdvancedProfile, group: ComponentGroup) -> None:
        self.profile = profile
        self.group = group
        self.defers = False

    def instances(self) -> Sequence[int]:
        """The instances of the profile: none is ever created or deleted."""
        return self.profile.instances

    def resources(self) -> Sequence[int]:
        """All resources of the object, alike in each instance."""
        return _RESOURCE_IDS

    def streams(self, path: Path) -> bool:
        """Package comes in blocks."""
        return path.object_id == ADVANCED_OBJECT_ID and path.ids[2:] == (UpdateResource.PACKAGE,)

    def apply(self, event: GroupEvent, wall: float | None) -> GroupStep:
        """Take one event of the device's own."""
        taken = step(self.group, event, self.profile, wall)
        self.group = taken.group
        return taken

    def handle(self, operation: Operation, wall: float | None) -> GroupHandled:
        """Take one operation of a server.

        Args:
            operation: on `/33629` or below; anything but a Read names an instance.
            wall: wall clock, seconds since 1970, or None.

        Raises:
            RefusedError, ContentError, BlockwiseError: with the code to answer; nothing has changed.
        """
        match operation:
            case Read(path):
                return GroupHandled(Answer(Code.CONTENT, self._read(path)))
            case WriteBlock():
                return self._write_block(operation, wall)
            case Write(path, entries):
                instance = self._instance(path)
                return self._write(instance, [_written(each, value) for each, value in entries], wall)
            case Execute(path, arguments):
                return self._write(self._instance(path), [self._execution(path, arguments)], wall)
            case _:
                assert_never(operation)

    # -- reads

    def _read(self, path: Path) -> Entries:
        every = links(self.group, self.profile)
        instances = self.instances() if path.instance_id is None else (self._instance(path),)
        entries: Entries = []
        for instance in instances:
            below = path if path.instance_id is not None else path / instance
            values = self._values(self.group.component(instance), every[instance])
            entries.extend(read_entries(self.definition, below, values))
        return entries

    def _instance(self, path: Path) -> int:
        instance = path.instance_id
        if instance is None or instance not in self.instances():
            raise RefusedError("no such instance", code=Code.NOT_FOUND)
        return instance

    def _values(self, component: Component, own: Links) -> Values:
        profile = self.profile
        values = values_of(component.machine, profile.protocols, profile.delivery)
        values[AdvancedResource.COMPONENT_NAME] = profile.name_of(component.instance)
        values[AdvancedResource.CURRENT_VERSION] = component.version
        values[AdvancedResource.LINKED_INSTANCES] = _link_values(own.linked)
        values[AdvancedResource.CONFLICTING_INSTANCES] = _link_values(own.conflicting)
        return values

    # -- writes

    def _write(self, instance: int, events: Sequence[InstanceEvent], wall: float | None) -> GroupHandled:
        on_it = tuple(On(instance, event) for event in events)
        self.group, answer, effects = all_or_none(
            self.group, on_it, lambda group, event: step(group, event, self.profile, wall)
        )
        return GroupHandled(answer, effects, on_it)

    def _execution(self, path: Path, arguments: bytes) -> InstanceEvent:
        match path.resource_id:
            case UpdateResource.UPDATE:
                unquoted = self.profile.advanced.unquoted_links is UnquotedLinks.ACCEPTED
                return UpdateRequested(parse_update(arguments, accept_unquoted=unquoted), self.defers)
            case UpdateResource.CANCEL:
                return CancelExecuted()
            case _:
                raise RefusedError("not executable")

    def _write_block(self, block: WriteBlock, wall: float | None) -> GroupHandled:
        instance = self._instance(block.path)
        if not self.streams(block.path):
            raise RefusedError("only Package is streamed")
        if not block.first:
            if not is_pushed(self.group.component(instance).machine):
                raise BlockwiseError("this transfer has ended")
            return GroupHandled(CHANGED, self._staged(instance, block))
        event = On(instance, opening_event(block))
        taken = self.apply(event, wall)
        if not taken.accepted or not is_pushed(self.group.component(instance).machine):
            return GroupHandled(answer_of(taken.answer), taken.effects, (event,))
        # whether more blocks follow is for the block-wise layer to say: 2.31 or 2.04
        return GroupHandled(CHANGED, (*taken.effects, *self._staged(instance, block)), (event,))

    def _staged(self, instance: int, block: WriteBlock) -> tuple[ForStage, ...]:
        stage = Stage(instance, self.group.component(instance).machine.transfer)
        return tuple(ForStage(stage, effect) for effect in staged_effects(block))


def _written(path: Path, value: Value) -> InstanceEvent:
    return written_event(writable(ADVANCED_1_0, path, value), value)


def _link_values(instances: Sequence[int]) -> Mapping[int, Value]:
    return {index: ObjectLink(ADVANCED_OBJECT_ID, each) for index, each in enumerate(instances)}
