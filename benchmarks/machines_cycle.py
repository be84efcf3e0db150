"""A walk through the device machine that takes every row of its table, found by search."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, final

import attrs

from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines.events import BootOutcome, Event, Found, StagedImage
from lwm2m_fota.machines.firmware import step
from lwm2m_fota.machines.policies import DEFAULT_POLICIES, FirmwarePolicies
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.rows import ROWS, Row
from lwm2m_fota.machines.state import FirmwareMachine
from lwm2m_fota.machines.table import VERSIONS
from lwm2m_fota.model.advanced import ADVANCED_OBJECT_ID

NEW: Final = FirmwareMachine()
_NOW: Final = 1_700_000_000.0
_PERIOD_S: Final = 60


class Input(NamedTuple):
    """An event and the wall time at which it comes; None where the clock is not set."""

    event: Event
    wall: float | None


@final
@attrs.frozen
class Walk:
    """Inputs for a new machine of one profile; the table takes every one of them."""

    profile: FirmwareProfile
    inputs: tuple[Input, ...]


def every_row() -> tuple[Walk, ...]:
    """Walks that together take every row of Object 5: of each version, and under each choice of a policy."""
    left = {row for row in ROWS if row.object_id != ADVANCED_OBJECT_ID}
    walks = []
    for profile in _profiles():
        inputs = tuple(_cover(profile, left))
        if inputs:
            walks.append(Walk(profile, inputs))
    if left:
        raise RuntimeError(f"no walk takes {left}")
    return tuple(walks)


def _profiles() -> Iterator[FirmwareProfile]:
    yield from (FirmwareProfile(version=version) for version in reversed(VERSIONS))
    for field in attrs.fields(FirmwarePolicies):
        for choice in type(getattr(DEFAULT_POLICIES, field.name)):
            yield FirmwareProfile(version="1.2", policies=FirmwarePolicies(**{field.name: choice}))


def _cover(profile: FirmwareProfile, left: set[Row]) -> Iterator[Input]:
    """Inputs that take all of `left` that this profile has; they are taken out of it."""
    machine = NEW
    wanted = left.intersection(profile.table.rows.values())
    while wanted:
        for given in _towards(machine, profile, wanted):
            yield given
            taken = step(machine, given.event, profile, given.wall)
            machine = taken.machine
            wanted.discard(taken.row) if taken.row else None
            left.discard(taken.row) if taken.row else None


def _towards(start: FirmwareMachine, profile: FirmwareProfile, wanted: set[Row]) -> Sequence[Input]:
    """The fewest inputs from a machine to the next row that is wanted."""
    ways: deque[tuple[FirmwareMachine, tuple[Input, ...]]] = deque([(start, ())])
    seen = {_shape(start)}
    while ways:
        machine, way = ways.popleft()
        for given in _inputs(machine):
            taken = step(machine, given.event, profile, given.wall)
            if taken.row in wanted:
                return (*way, given)
            if taken.row is not None and _shape(taken.machine) not in seen:
                seen.add(_shape(taken.machine))
                ways.append((taken.machine, (*way, given)))
    raise RuntimeError(f"no way to any of {wanted}")


def _shape(machine: FirmwareMachine) -> FirmwareMachine:
    """A machine but for what only counts."""
    return machine._replace(transfer=0, attempt=0, last_change=None)


def _inputs(machine: FirmwareMachine) -> Iterator[Input]:
    for event in _EVENTS:
        yield Input(event, _NOW)
    for wall in (_NOW - 1, _NOW + _PERIOD_S):
        yield Input(ev.ClockRead(), wall)
    yield Input(ev.ClockRead(_PERIOD_S / 2), None)
    for image in StagedImage:
        for boot in BootOutcome:
            yield Input(ev.Restarted(Found(image=image, boot=boot, attempt=machine.attempt)), _NOW)


_EVENTS: Final[tuple[Event, ...]] = (
    ev.PackageBegun(1000),
    ev.EmptyPackageWritten(),
    ev.ResetWritten(),
    *map(ev.UriWritten, ("coap://host.example/fw", "ftp://host.example/fw", "no uri")),
    *(ev.UpdateExecuted(defer=defer) for defer in (False, True)),
    ev.CancelExecuted(),
    ev.SeverityWritten(2),
    *map(ev.MaxDeferWritten, (0, _PERIOD_S)),
    *(ev.AutoUpgradeWritten(enabled=enabled) for enabled in (False, True)),
    ev.PackageReceived(),
    *(ev.PackageVerified("gateway", "2.1.0", defer) for defer in (False, True)),
    *map(ev.TransferFailed, sorted(ev.TRANSFER_FAILURES)),
    ev.InstallSucceeded(),
    ev.InstallFailed(),
    ev.InstallFailed(image_kept=False),
    *map(ev.InstallFailed, sorted(ev.INSTALL_FAILURES)),
    ev.DeferralEnded(),
)
