"""What each `Change` of the table does to the machine beside State and Result. Plain constructors: this is hot."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, TypeAlias

from lwm2m_fota.machines import events
from lwm2m_fota.machines.events import Delivery
from lwm2m_fota.machines.rows import Change, Row
from lwm2m_fota.machines.state import MAX_STRING_BYTES, Deferral, FirmwareMachine, Settings
from lwm2m_fota.model.enums import Severity

Changer: TypeAlias = Callable[..., FirmwareMachine]
"""`changer(machine, row, event, wall)`: the machine after the transition."""

_new: Final = tuple.__new__  # half the time of the class's own, which takes the fields one by one

_SEVERITIES: Final = tuple(Severity)  # an enumeration by value takes twice as long as all the rest

_settings: Final = lru_cache(maxsize=1024)(Settings)
"""Many devices have the same settings: they share them."""

_BYTES_A_CHARACTER: Final = 4  # the most that UTF-8 takes


def clip(text: str) -> str:
    """At most 255 bytes of UTF-8: a package may carry any name, the resource may not."""
    if len(text) * _BYTES_A_CHARACTER <= MAX_STRING_BYTES:
        return text
    return text.encode("utf-8", "replace")[:MAX_STRING_BYTES].decode("utf-8", "ignore")


def _deferral(machine: FirmwareMachine, wall: float | None) -> Deferral | None:
    """A wait that already runs keeps its deadline; without a clock there is none."""
    if wall is None or machine.deferral is not None:
        return machine.deferral
    return Deferral(wall, wall + machine.settings.max_defer_s)


def _made(
    machine: FirmwareMachine,
    row: Row,
    wall: float | None,
    received: bool,  # noqa: FBT001 - by position, as all here
    settings: Settings,
    attempt: int,
    deferral: Deferral | None,
) -> FirmwareMachine:
    """The same update in another state; a change of State is timed."""
    state, result, delivery, _, uri, name, version, _, transfer, _, last_change, _ = machine
    return _new(
        FirmwareMachine,
        (
            row.target,
            result if row.result is None else row.result,
            delivery,
            received,
            uri,
            name,
            version,
            settings,
            transfer,
            attempt,
            last_change if row.target is state else wall,
            deferral,
        ),
    )


def _keep(machine: FirmwareMachine, row: Row, _event: object, wall: float | None) -> FirmwareMachine:
    deferral = machine.deferral if row.target is machine.state else None
    return _made(machine, row, wall, machine.received, machine.settings, machine.attempt, deferral)


def _defer(machine: FirmwareMachine, row: Row, _event: object, wall: float | None) -> FirmwareMachine:
    deferral = _deferral(machine, wall)
    return _made(machine, row, wall, machine.received, machine.settings, machine.attempt, deferral)


def _count_again(machine: FirmwareMachine, row: Row, _event: object, wall: float) -> FirmwareMachine:
    old = machine.deferral
    period = old.deadline - old.since if old else 0.0
    deferral = Deferral(wall, wall + period)
    return _made(machine, row, wall, machine.received, machine.settings, machine.attempt, deferral)


def _count_on(machine: FirmwareMachine, row: Row, event: events.ClockRead, wall: float | None) -> FirmwareMachine:
    old = machine.deferral
    deferral = old and Deferral(old.since + event.waited_s, old.deadline)
    return _made(machine, row, wall, machine.received, machine.settings, machine.attempt, deferral)


def _install(machine: FirmwareMachine, row: Row, _event: object, wall: float | None) -> FirmwareMachine:
    return _made(machine, row, wall, machine.received, machine.settings, machine.attempt + 1, None)


def _begun(machine: FirmwareMachine, row: Row, wall: float | None, delivery: Delivery, uri: str) -> FirmwareMachine:
    return _new(
        FirmwareMachine,
        (
            row.target,
            machine.result if row.result is None else row.result,
            delivery,
            False,
            uri,
            "",
            "",
            machine.settings,
            machine.transfer + 1,
            machine.attempt,
            machine.last_change if row.target is machine.state else wall,
            None,
        ),
    )


def _begin_push(machine: FirmwareMachine, row: Row, _event: object, wall: float | None) -> FirmwareMachine:
    return _begun(machine, row, wall, "push", "")


def _begin_pull(machine: FirmwareMachine, row: Row, event: events.UriWritten, wall: float | None) -> FirmwareMachine:
    return _begun(machine, row, wall, "pull", event.uri)


def _resume_pull(machine: FirmwareMachine, row: Row, _event: object, wall: float | None) -> FirmwareMachine:
    return _made(machine, row, wall, False, machine.settings, machine.attempt, None)  # noqa: FBT003 - as in _made


def _receive(machine: FirmwareMachine, row: Row, _event: object, wall: float | None) -> FirmwareMachine:
    return _made(machine, row, wall, True, machine.settings, machine.attempt, None)  # noqa: FBT003 - as in _made


def _named(
    machine: FirmwareMachine,
    row: Row,
    event: events.PackageVerified,
    wall: float | None,
    attempt: int,
    deferral: Deferral | None,
) -> FirmwareMachine:
    return _new(
        FirmwareMachine,
        (
            row.target,
            machine.result if row.result is None else row.result,
            machine.delivery,
            machine.received,
            machine.uri,
            clip(event.name),
            clip(event.version),
            machine.settings,
            machine.transfer,
            attempt,
            machine.last_change if row.target is machine.state else wall,
            deferral,
        ),
    )


def _name(machine: FirmwareMachine, row: Row, event: events.PackageVerified, wall: float | None) -> FirmwareMachine:
    return _named(machine, row, event, wall, machine.attempt, None)


def _name_and_defer(
    machine: FirmwareMachine, row: Row, event: events.PackageVerified, wall: float | None
) -> FirmwareMachine:
    return _named(machine, row, event, wall, machine.attempt, _deferral(machine, wall))


def _name_and_install(
    machine: FirmwareMachine, row: Row, event: events.PackageVerified, wall: float | None
) -> FirmwareMachine:
    return _named(machine, row, event, wall, machine.attempt + 1, None)


def _clear(machine: FirmwareMachine, row: Row, _event: object, wall: float | None) -> FirmwareMachine:
    return _new(
        FirmwareMachine,
        (
            row.target,
            machine.result if row.result is None else row.result,
            None,
            False,
            "",
            "",
            "",
            machine.settings,
            machine.transfer,
            machine.attempt,
            machine.last_change if row.target is machine.state else wall,
            None,
        ),
    )


def _set(machine: FirmwareMachine, row: Row, wall: float | None, settings: Settings) -> FirmwareMachine:
    return _made(machine, row, wall, machine.received, settings, machine.attempt, machine.deferral)


def _set_severity(
    machine: FirmwareMachine, row: Row, event: events.SeverityWritten, wall: float | None
) -> FirmwareMachine:
    old = machine.settings
    return _set(machine, row, wall, _settings(_SEVERITIES[event.value], old.max_defer_s, old.auto_upgrade))


def _set_max_defer(
    machine: FirmwareMachine, row: Row, event: events.MaxDeferWritten, wall: float | None
) -> FirmwareMachine:
    old = machine.settings
    return _set(machine, row, wall, _settings(old.severity, event.seconds, old.auto_upgrade))


def _set_auto_upgrade(
    machine: FirmwareMachine, row: Row, event: events.AutoUpgradeWritten, wall: float | None
) -> FirmwareMachine:
    old = machine.settings
    return _set(machine, row, wall, _settings(old.severity, old.max_defer_s, event.enabled))


CHANGES: Final[Mapping[Change, Changer]] = MappingProxyType(
    {
        Change.KEEP: _keep,
        Change.BEGIN_PUSH: _begin_push,
        Change.BEGIN_PULL: _begin_pull,
        Change.RESUME_PULL: _resume_pull,
        Change.RECEIVE: _receive,
        Change.NAME: _name,
        Change.NAME_AND_DEFER: _name_and_defer,
        Change.NAME_AND_INSTALL: _name_and_install,
        Change.DEFER: _defer,
        Change.COUNT_AGAIN: _count_again,
        Change.COUNT_ON: _count_on,
        Change.INSTALL: _install,
        Change.CLEAR: _clear,
        Change.SET_SEVERITY: _set_severity,
        Change.SET_MAX_DEFER: _set_max_defer,
        Change.SET_AUTO_UPGRADE: _set_auto_upgrade,
    }
)
