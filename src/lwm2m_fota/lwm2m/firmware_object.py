"""Object 5 as operations: reads and writes in, machine steps and effects out.

Pure: it holds the present machine, stages nothing, installs nothing. What it wants done comes back as effects, in
order; a failure of one is reported with `apply`.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, assert_never, final

import attrs

from lwm2m_fota.content.values import validate
from lwm2m_fota.errors import BlockwiseError, ContentError, RefusedError
from lwm2m_fota.lwm2m.operations import CHANGED, Answer, Execute, Operation, Read, Write, WriteBlock
from lwm2m_fota.lwm2m.value_object import read_entries
from lwm2m_fota.machines.effects import Effect
from lwm2m_fota.machines.events import (
    AutoUpgradeWritten,
    CancelExecuted,
    EmptyPackageWritten,
    Event,
    MaxDeferWritten,
    PackageBegun,
    ResetWritten,
    SeverityWritten,
    UpdateExecuted,
    UriWritten,
)
from lwm2m_fota.machines.firmware import Step, step
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.state import FirmwareMachine
from lwm2m_fota.model.codes import Code, is_success
from lwm2m_fota.model.enums import State
from lwm2m_fota.model.firmware import FIRMWARE_1_0, FIRMWARE_1_1, FIRMWARE_1_2, FirmwareResource
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import ObjectDefinition, Operations, Value

PACKAGE_PATH: Final = Path.of(5, 0, FirmwareResource.PACKAGE)
_DEFINITIONS: Final = {each.version: each for each in (FIRMWARE_1_0, FIRMWARE_1_1, FIRMWARE_1_2)}
RESET_PACKAGE: Final = b"\x00"
"""A package of this one byte is a reset (Object 5, resource 0)."""


@final
@attrs.frozen
class StageBlock:
    """Put a block of a push into the stage.

    Attributes:
        offset: in the package, bytes; the first block of a transfer has 0.
        payload: the bytes.
    """

    offset: int
    payload: bytes


@final
@attrs.frozen
class EndPush:
    """The last block of a push is in the stage: report `PackageReceived`."""


DeviceEffect: TypeAlias = Effect | StageBlock | EndPush


@final
@attrs.frozen
class Handled:
    """What an operation led to.

    Attributes:
        answer: for the peer, if every effect succeeds.
        effects: to be carried out in this order.
    """

    answer: Answer
    effects: tuple[DeviceEffect, ...] = ()


@final
class FirmwareObject:
    """Object 5 of one device, as its servers see it.

    Args:
        profile: what the device is built to do.
        machine: where it starts; `restore` makes one from a snapshot.
    """

    __slots__ = ("_defer", "_resource_ids", "definition", "machine", "profile")

    def __init__(self, profile: FirmwareProfile, machine: FirmwareMachine | None = None) -> None:
        self.profile = profile
        self.machine = machine or FirmwareMachine()
        self.definition: ObjectDefinition = _DEFINITIONS[profile.version]
        self._resource_ids = tuple(resource.id for resource in self.definition.resources)
        self._defer = False

    def resources(self) -> Sequence[int]:
        """All resources of the object version."""
        return self._resource_ids

    def defer_updates(self, *, defer: bool) -> None:
        """The user or application wants to install later, or no longer; counts at the next Update."""
        self._defer = defer

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
        machine, profile = self.machine, self.profile
        values: dict[int, Value | Mapping[int, Value]] = {
            FirmwareResource.PACKAGE_URI: machine.uri,
            FirmwareResource.STATE: int(machine.state),
            FirmwareResource.UPDATE_RESULT: int(machine.result),
            FirmwareResource.PKG_NAME: machine.package_name,
            FirmwareResource.PKG_VERSION: machine.package_version,
            FirmwareResource.PROTOCOL_SUPPORT: {index: int(each) for index, each in enumerate(profile.protocols)},
            FirmwareResource.DELIVERY_METHOD: int(profile.delivery),
            FirmwareResource.SEVERITY: int(machine.settings.severity),
            FirmwareResource.LAST_STATE_CHANGE_TIME: int(machine.last_change or 0),
            FirmwareResource.MAXIMUM_DEFER_PERIOD: machine.settings.max_defer_s,
            FirmwareResource.AUTOMATIC_UPGRADE: machine.settings.auto_upgrade,
        }
        known = set(self.resources())
        return {resource_id: value for resource_id, value in values.items() if resource_id in known}

    # -- writes

    def _write(self, events: Sequence[Event], wall: float | None) -> Handled:
        """All of them or none: the machine is a value, so a refusal just forgets the steps before it."""
        machine = self.machine
        effects: list[DeviceEffect] = []
        answer = CHANGED
        for event in events:
            taken = step(machine, event, self.profile, wall)
            if not taken.accepted:
                return Handled(_answer(taken))
            answer = _answer(taken) if is_success(answer.code) else answer
            machine = taken.machine
            effects.extend(taken.effects)
        self.machine = machine
        return Handled(answer, tuple(effects))

    def _event_of(self, path: Path, value: Value) -> Event:
        definition = self.definition.resource(path.ids[2]) if len(path.ids) == 3 else None  # noqa: PLR2004
        if definition is None:
            raise RefusedError("no such resource", code=Code.NOT_FOUND)
        if Operations.WRITE not in definition.operations:
            raise RefusedError("the resource cannot be written")
        validate(definition, value)
        match definition.id, value:
            case FirmwareResource.PACKAGE_URI, str():
                return UriWritten(value) if value else ResetWritten("uri")
            case FirmwareResource.SEVERITY, int():
                return SeverityWritten(value)
            case FirmwareResource.MAXIMUM_DEFER_PERIOD, int():
                return MaxDeferWritten(value)
            case FirmwareResource.AUTOMATIC_UPGRADE, bool():
                return AutoUpgradeWritten(value)
            case _:
                raise ContentError("Package is written by itself")

    def _execution(self, path: Path, arguments: bytes) -> Event:
        match path.resource_id:
            case FirmwareResource.UPDATE:
                return UpdateExecuted(arguments.decode("utf-8", "replace"), self._defer)
            case FirmwareResource.CANCEL if self.definition.resource(FirmwareResource.CANCEL) is not None:
                return CancelExecuted()
            case _:
                raise RefusedError("not executable")

    def _write_block(self, block: WriteBlock, wall: float | None) -> Handled:
        if block.path != PACKAGE_PATH:
            raise RefusedError("only Package is streamed")
        if not block.first:
            machine = self.machine
            if machine.state is not State.DOWNLOADING or machine.delivery != "push" or machine.received:
                raise BlockwiseError("this transfer has ended")
            return Handled(CHANGED, staged_effects(block))
        event = opening_event(block)
        taken = self.apply(event, wall)
        answer = _answer(taken)
        if not taken.accepted or self.machine.state is not State.DOWNLOADING:
            return Handled(answer, taken.effects)
        # whether more blocks follow is for the block-wise layer to say: 2.31 or 2.04
        return Handled(CHANGED, (*taken.effects, *staged_effects(block)))


def opening_event(block: WriteBlock) -> PackageBegun | ResetWritten | EmptyPackageWritten:
    """What the first block of a Package write begins."""
    if block.final and block.payload == RESET_PACKAGE:
        return ResetWritten("package")
    if block.final and not block.payload:
        return EmptyPackageWritten()
    return PackageBegun(len(block.payload) if block.final else block.size_bytes)


def staged_effects(block: WriteBlock) -> tuple[StageBlock | EndPush, ...]:
    """What is to be done with a block of a push that goes on."""
    staged: tuple[StageBlock | EndPush, ...] = (StageBlock(block.offset, block.payload),) if block.payload else ()
    return (*staged, EndPush()) if block.final else staged


def _answer(taken: Step) -> Answer:
    if taken.answer is None:
        raise AssertionError("the table answers every request")
    return Answer(taken.answer.code, diagnostic=taken.answer.diagnostic)
