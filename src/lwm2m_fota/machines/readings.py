"""Which kind of event an event is: guards with names, as data.

The first reading of an event whose guard holds gives its kind; only kinds stand in the table. A guard looks at the
machine, the event and the clock, and decides nothing else.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, final

import attrs

from lwm2m_fota.machines import events
from lwm2m_fota.machines.events import BootOutcome, EventKind, StagedImage
from lwm2m_fota.machines.policies import ClocklessDeferral, ClockSetBack, Policy, ZeroLengthPackage
from lwm2m_fota.machines.state import MAX_DEFER_LIMIT_S, MAX_STRING_BYTES, FirmwareMachine
from lwm2m_fota.machines.uri import judge_uri
from lwm2m_fota.model.enums import Severity, State, UpdateResult

Version: TypeAlias = Literal["1.0", "1.1", "1.2"]
Guard: TypeAlias = Callable[..., bool]
"""`guard(machine, event, wall, schemes)`; its name and docstring stand in the reference."""


@final
@attrs.frozen
class Reading:
    """An event is of this kind where the guard holds.

    Attributes:
        kind: what the table is asked with.
        guard: None always holds.
        since: the first object version that has this reading.
        policy: the choice that this reading belongs to; None belongs to all.
    """

    kind: EventKind
    guard: Guard | None = None
    since: Version = "1.0"
    policy: Policy | None = None


def push_runs(machine: FirmwareMachine, _event: object, _wall: object, _schemes: object) -> bool:
    """A push is being received and not yet complete."""
    return machine.delivery == "push" and not machine.received


def uri_is_invalid(_machine: object, event: events.UriWritten, _wall: object, schemes: frozenset[str]) -> bool:
    """The text is no URI that names a host."""
    return judge_uri(event.uri, schemes) is UpdateResult.INVALID_URI


def scheme_is_unsupported(_machine: object, event: events.UriWritten, _wall: object, schemes: frozenset[str]) -> bool:
    """The scheme is none of resource 8."""
    return judge_uri(event.uri, schemes) is UpdateResult.UNSUPPORTED_PROTOCOL


def deferral_is_granted(
    machine: FirmwareMachine,
    event: events.UpdateExecuted | events.PackageVerified,
    wall: float | None,
    _schemes: object,
) -> bool:
    """The device wants to defer, resource 13 is not 0, and the clock is set."""
    return event.defer and machine.settings.max_defer_s > 0 and wall is not None


def deferral_is_granted_without_clock(
    machine: FirmwareMachine,
    event: events.UpdateExecuted | events.PackageVerified,
    wall: float | None,
    _schemes: object,
) -> bool:
    """The device wants to defer, resource 13 is not 0, and the clock is not set."""
    return event.defer and machine.settings.max_defer_s > 0 and wall is None


def severity_is_out_of_range(_machine: object, event: events.SeverityWritten, _wall: object, _schemes: object) -> bool:
    """The value is none of 0, 1, 2."""
    return not Severity.CRITICAL <= event.value <= Severity.OPTIONAL


def period_is_out_of_range(_machine: object, event: events.MaxDeferWritten, _wall: object, _schemes: object) -> bool:
    """The value is negative or over the limit."""
    return not 0 <= event.seconds <= MAX_DEFER_LIMIT_S


def not_of_this_transfer(
    machine: FirmwareMachine,
    event: events.PackageReceived | events.PackageVerified | events.TransferFailed,
    _wall: object,
    _schemes: object,
) -> bool:
    """The report names another transfer than the last one."""
    return event.transfer is not None and event.transfer != machine.transfer
