"""Operations on an update, as Objects 5 and 33629 have them in common: values, written events, pushes by block."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias, TypeVar, final

import attrs

from lwm2m_fota.content.values import validate
from lwm2m_fota.errors import ContentError, RefusedError
from lwm2m_fota.lwm2m.operations import CHANGED, Answer, WriteBlock
from lwm2m_fota.machines import table
from lwm2m_fota.machines.events import (
    EmptyPackageWritten,
    MaxDeferWritten,
    PackageBegun,
    ResetWritten,
    SeverityWritten,
    UriWritten,
)
from lwm2m_fota.machines.state import FirmwareMachine
from lwm2m_fota.model.codes import Code, is_success
from lwm2m_fota.model.enums import DeliveryMethod, ProtocolSupport, State
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import ObjectDefinition, Operations, ResourceDefinition, Value
from lwm2m_fota.model.update import UpdateResource

RESET_PACKAGE: Final = b"\x00"
"""A package of this one byte is a reset (Object 5, resource 0)."""

Values: TypeAlias = dict[int, Value | Mapping[int, Value]]

_RESOURCE_PARTS: Final = 3
_StateT = TypeVar("_StateT")
_EventT = TypeVar("_EventT")
_EffectT = TypeVar("_EffectT")


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


def values_of(machine: FirmwareMachine, protocols: Iterable[ProtocolSupport], delivery: DeliveryMethod) -> Values:
    """The readable resources that both objects have, by id."""
    return {
        UpdateResource.PACKAGE_URI: machine.uri,
        UpdateResource.STATE: int(machine.state),
        UpdateResource.UPDATE_RESULT: int(machine.result),
        UpdateResource.PKG_NAME: machine.package_name,
        UpdateResource.PKG_VERSION: machine.package_version,
        UpdateResource.PROTOCOL_SUPPORT: {index: int(each) for index, each in enumerate(protocols)},
        UpdateResource.DELIVERY_METHOD: int(delivery),
        UpdateResource.SEVERITY: int(machine.settings.severity),
        UpdateResource.LAST_STATE_CHANGE_TIME: int(machine.last_change or 0),
        UpdateResource.MAXIMUM_DEFER_PERIOD: machine.settings.max_defer_s,
    }


def writable(definition: ObjectDefinition, path: Path, value: Value) -> ResourceDefinition:
    """The resource that is written.

    Raises:
        RefusedError: there is none (4.04), or it cannot be written (4.05).
        ContentError: the value does not fit it.
    """
    resource = definition.resource(path.ids[2]) if len(path.ids) == _RESOURCE_PARTS else None
    if resource is None:
        raise RefusedError("no such resource", code=Code.NOT_FOUND)
    if Operations.WRITE not in resource.operations:
        raise RefusedError("the resource cannot be written")
    validate(resource, value)
    return resource


def written_event(
    resource: ResourceDefinition, value: Value
) -> UriWritten | ResetWritten | SeverityWritten | MaxDeferWritten:
    """What writing a resource means that both objects have.

    Raises:
        ContentError: it is the package, which comes by itself.
    """
    match resource.id, value:
        case UpdateResource.PACKAGE_URI, str():
            return UriWritten(value) if value else ResetWritten("uri")
        case UpdateResource.SEVERITY, int():
            return SeverityWritten(value)
        case UpdateResource.MAXIMUM_DEFER_PERIOD, int():
            return MaxDeferWritten(value)
        case _:
            raise ContentError("Package is written by itself")


def all_or_none(
    start: _StateT,
    events: Iterable[_EventT],
    step: Callable[[_StateT, _EventT], tuple[_StateT, tuple[_EffectT, ...], table.Answer | None, object]],
) -> tuple[_StateT, Answer, tuple[_EffectT, ...]]:
    """Take several events or none: the state is a value, so a refusal just forgets the steps before it.

    Args:
        start: the state before.
        events: in this order.
        step: the state after, effects, the answer, and what is false if it was refused.
    """
    state, answer = start, CHANGED
    effects: list[_EffectT] = []
    for event in events:
        state, more, told, accepted = step(state, event)
        if not accepted:
            return start, answer_of(told), ()
        answer = answer_of(told) if is_success(answer.code) else answer
        effects.extend(more)
    return state, answer, tuple(effects)


def answer_of(answer: table.Answer | None) -> Answer:
    """What the peer is told; the tables answer every request."""
    if answer is None:
        raise AssertionError("every request is answered")
    return Answer(answer.code, diagnostic=answer.diagnostic)


# ---- pushes


def is_pushed(machine: FirmwareMachine) -> bool:
    """A push goes on, and is not complete."""
    return machine.state is State.DOWNLOADING and machine.delivery == "push" and not machine.received


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
