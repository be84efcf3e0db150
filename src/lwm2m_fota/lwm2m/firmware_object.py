"""Object 5 as operations: reads and writes in, machine steps and effects out.

Pure: it holds the present machine, stages nothing, installs nothing. What it wants done comes back as effects, in
order; a failure of one is reported with `apply`.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, assert_never, final

import attrs

from lwm2m_fota.errors import BlockwiseError, RefusedError
from lwm2m_fota.lwm2m.operations import CHANGED, Answer, Execute, Operation, Read, Write, WriteBlock
from lwm2m_fota.lwm2m.update_operations import (
    EndPush,
    StageBlock,
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
from lwm2m_fota.machines.effects import Effect
from lwm2m_fota.machines.events import AutoUpgradeWritten, CancelExecuted, Event, UpdateExecuted
from lwm2m_fota.machines.firmware import Step, step
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.state import FirmwareMachine
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.enums import State
from lwm2m_fota.model.firmware import AUTOMATIC_UPGRADE, FIRMWARE_VERSIONS
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import ObjectDefinition, Value
from lwm2m_fota.model.update import UpdateResource

PACKAGE_PATH: Final = Path.of(5, 0, UpdateResource.PACKAGE)

DeviceEffect: TypeAlias = Effect | StageBlock | EndPush


@final
@attrs.frozen
class Handled:
    """What an operation led to.

    Attributes:
        answer: for the peer, if every effect succeeds.
        effects: to be carried out in this order.
        events: what it meant to the machine, all or none of them; a refusal is among them too.
    """

    answer: Answer
    effects: tuple[DeviceEffect, ...] = ()
    events: tuple[Event, ...] = ()


@final
class FirmwareObject:
    """Object 5 of one device, as its servers see it.

    Args:
        profile: what the device is built to do.
        machine: where it starts; `restore` makes one from a snapshot.

    Attributes:
        defers: the user or application wants to install later; counts at the next Update. Where the package was
            verified, and Automatic Upgrade is on, say it with `PackageVerified`.
    """

    __slots__ = ("_resource_ids", "defers", "definition", "machine", "profile")

    def __init__(self, profile: FirmwareProfile, machine: FirmwareMachine | None = None) -> None:
        self.profile = profile
        self.machine = machine or FirmwareMachine()
        self.definition: ObjectDefinition = FIRMWARE_VERSIONS[profile.version]
        self._resource_ids = tuple(resource.id for resource in self.definition.resources)
        self.defers = False

    def resources(self) -> Sequence[int]:
        """All resources of the object version."""
        return self._resource_ids

    def apply(self, event: Event, wall: float | None) -> Step:
        """Take one event of the device's own."""
        taken = step(self.machine, event, self.profile, wall)
        self.machine = taken.machine
        return taken

    def handle(self, operation: Operation, wall: float | None) -> Handled:
        """Take one operation of a server.

        Args:
            operation: on `/5`, `/5/0` or a resource below.
            wall: wall clock, seconds since 1970, or None.

        Raises:
            RefusedError, ContentError, BlockwiseError: with the code to answer; nothing has changed.
        """
        match operation:
            case Read(path):
                return Handled(Answer(Code.CONTENT, read_entries(self.definition, path, self.values())))
            case WriteBlock():
                return self._write_block(operation, wall)
            case Write(_, entries):
                return self._write([self._event_of(path, value) for path, value in entries], wall)
            case Execute(path, arguments):
                return self._write([self._execution(path, arguments)], wall)
            case _:
                assert_never(operation)

    def values(self) -> Mapping[int, Value | Mapping[int, Value]]:
        """Every readable resource of this object version, by id."""
        values = values_of(self.machine, self.profile.protocols, self.profile.delivery)
        values[AUTOMATIC_UPGRADE] = self.machine.settings.auto_upgrade
        known = set(self.resources())
        return {resource_id: value for resource_id, value in values.items() if resource_id in known}

    # -- writes

    def _write(self, events: Sequence[Event], wall: float | None) -> Handled:
        self.machine, answer, effects = all_or_none(
            self.machine, events, lambda machine, event: step(machine, event, self.profile, wall)
        )
        return Handled(answer, effects, tuple(events))

    def _event_of(self, path: Path, value: Value) -> Event:
        resource = writable(self.definition, path, value)
        if resource.id == AUTOMATIC_UPGRADE:
            return AutoUpgradeWritten(bool(value))
        return written_event(resource, value)

    def _execution(self, path: Path, arguments: bytes) -> Event:
        match path.resource_id:
            case UpdateResource.UPDATE:
                return UpdateExecuted(arguments.decode("utf-8", "replace"), self.defers)
            case UpdateResource.CANCEL if self.definition.resource(UpdateResource.CANCEL) is not None:
                return CancelExecuted()
            case _:
                raise RefusedError("not executable")

    def _write_block(self, block: WriteBlock, wall: float | None) -> Handled:
        if block.path != PACKAGE_PATH:
            raise RefusedError("only Package is streamed")
        if not block.first:
            if not is_pushed(self.machine):
                raise BlockwiseError("this transfer has ended")
            return Handled(CHANGED, staged_effects(block))
        event = opening_event(block)
        taken = self.apply(event, wall)
        if not taken.accepted or self.machine.state is not State.DOWNLOADING:
            return Handled(answer_of(taken.answer), taken.effects, (event,))
        # whether more blocks follow is for the block-wise layer to say: 2.31 or 2.04
        return Handled(CHANGED, (*taken.effects, *staged_effects(block)), (event,))
