"""A trace of a device's firmware: what its machine or coordinator was given and wanted done, and the replay.

A trace begins with what was restored, and so does each restart in it; between them stands what happened, with the wall
clock that was read. Nothing else is needed to come to the same end. Of a URI only scheme, host and port are recorded,
which is all that a machine looks at, and of a package nothing but its names and versions.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias, assert_never, final

import attrs

from lwm2m_fota.errors import SnapshotError, UsageError
from lwm2m_fota.machines import coordinator, coordinator_snapshot, firmware
from lwm2m_fota.machines import snapshot as machine_snapshot
from lwm2m_fota.machines.component_profile import AdvancedProfile, VersionRule, at_least
from lwm2m_fota.machines.coordinator_events import GroupEffect, GroupEvent
from lwm2m_fota.machines.coordinator_state import ComponentGroup
from lwm2m_fota.machines.effects import Effect
from lwm2m_fota.machines.events import Event
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.state import FirmwareMachine
from lwm2m_fota.machines.trace_values import made, plain, redacted, redacted_uri
from lwm2m_fota.machines.uri import judge_uri
from lwm2m_fota.model.enums import UpdateResult

SCHEMA: Final = 1
"""The version of the layout; another one is refused."""

DeviceMachine: TypeAlias = FirmwareMachine | ComponentGroup
"""Of Object 5, or of Object 33629."""

DeviceProfile: TypeAlias = FirmwareProfile | AdvancedProfile
DeviceEvent: TypeAlias = Event | GroupEvent


@final
@attrs.frozen
class Happening:
    """What happened at once.

    Attributes:
        events: what the machine was given: several of a request that wrote several resources, all or none of them.
        effects: what it wanted done.
        answer: the code for the peer whose request it was, or that waits for what it led to.
    """

    events: tuple[DeviceEvent, ...]
    effects: tuple[Effect | GroupEffect, ...]
    answer: int | None = None


@final
@attrs.frozen
class Started:
    """The device began, or began again.

    Attributes:
        profile: what it is built to do.
        machine: as it was restored, or new.
        wall: the wall clock, seconds since 1970; None if it is not set.
    """

    profile: DeviceProfile
    machine: DeviceMachine
    wall: float | None


@final
@attrs.frozen
class Happened:
    """Something happened.

    Attributes:
        events: as in `Happening`.
        effects: as plain values: their kind and fields.
        answer: the code, as a number.
        after: the snapshot of the machine then.
        wall: the wall clock, seconds since 1970; None if it is not set.
    """

    events: tuple[DeviceEvent, ...]
    effects: list[Any]
    answer: int | None
    after: Mapping[str, Any]
    wall: float | None


@final
@attrs.frozen
class Forgotten:
    """What happened could not be saved: it was refused, and the machine is as before it.

    Attributes:
        machine: as it was before.
    """

    machine: DeviceMachine


Entry: TypeAlias = Started | Happened | Forgotten


@final
@attrs.frozen
class DeviceTrace:
    """What a device did, over all its restarts.

    Attributes:
        entries: in order; the first is a start, as `read_trace` makes sure.
    """

    entries: tuple[Entry, ...]


# ---- recording -----------------------------------------------------------------------------------------------------


def started(machine: DeviceMachine, profile: DeviceProfile, wall: float | None) -> dict[str, Any]:
    """What a trace begins with, and each restart."""
    cuts = _cuts(profile)
    return {"device": SCHEMA, "wall": wall, "profile": plain(profile, cuts), "machine": _shown(machine, profile)}


def happened(what: Happening, after: DeviceMachine, profile: DeviceProfile, wall: float | None) -> dict[str, Any]:
    """What is recorded of what happened, and of what it led to."""
    cuts = _cuts(profile)
    return {
        "wall": wall,
        "events": plain(what.events, cuts),
        "effects": plain(what.effects, cuts),
        "answer": what.answer if what.answer is None else int(what.answer),
        "after": _shown(after, profile),
    }


def forgotten(machine: DeviceMachine, profile: DeviceProfile) -> dict[str, Any]:
    """What is recorded where something could not be saved and is undone: the machine that was there before it."""
    return {"forgotten": _shown(machine, profile)}


def _cuts(profile: DeviceProfile) -> Mapping[str, Callable[[Any], object]]:
    """By the name of a field, what is recorded of it: no step reads more than that."""
    return MappingProxyType(
        {"uri": lambda uri: _cut_uri(uri, profile), "diagnosis": redacted, "arguments": lambda _: ""}
    )


def _cut_uri(uri: str, profile: DeviceProfile) -> str:
    schemes = profile.schemes if isinstance(profile, FirmwareProfile) else profile.firmware.schemes
    return redacted_uri(uri, is_valid=judge_uri(uri, schemes) is not UpdateResult.INVALID_URI)


def _shown(machine: DeviceMachine, profile: DeviceProfile) -> dict[str, Any]:
    if isinstance(machine, FirmwareMachine):
        return _without_uri(machine_snapshot.snapshot(machine), profile)
    shown: dict[str, Any] = coordinator_snapshot.snapshot(machine)
    for each in shown["components"]:
        each["machine"] = _without_uri(each["machine"], profile)
    return shown


def _without_uri(shown: dict[str, Any], profile: DeviceProfile) -> dict[str, Any]:
    return {**shown, "uri": _cut_uri(shown["uri"], profile)}


# ---- reading -------------------------------------------------------------------------------------------------------


def read_trace(lines: Iterable[object], satisfies: VersionRule = at_least) -> DeviceTrace:
    """The trace that these JSON values are.

    Args:
        lines: in order.
        satisfies: the rule for versions that the device has.

    Raises:
        SnapshotError: they are no trace of this schema, or damaged.
    """
    entries: list[Entry] = []
    profile: DeviceProfile | None = None
    for number, each in enumerate(lines, 1):
        try:
            entry = _entry(each, profile, satisfies)
        except SnapshotError as error:
            raise SnapshotError(f"line {number} of the trace: {error}") from error
        profile = entry.profile if isinstance(entry, Started) else profile
        entries.append(entry)
    if not entries:
        raise SnapshotError("not a trace: it is empty")
    return DeviceTrace(tuple(entries))


def _entry(data: object, profile: DeviceProfile | None, satisfies: VersionRule) -> Entry:
    match data:
        case {"device": int(schema)} if schema != SCHEMA:
            raise SnapshotError(f"of schema {schema}, not {SCHEMA}")
        case {"device": int(), "wall": wall, "profile": plain_profile, "machine": dict(machine)}:
            built: DeviceProfile = made(DeviceProfile, plain_profile)
            if isinstance(built, AdvancedProfile):
                built = attrs.evolve(built, satisfies=satisfies)
            return Started(built, _restored(machine, built), made(float | None, wall))
        case _ if profile is None:
            raise SnapshotError("no start of a device")
        case {"wall": wall, "events": events, "effects": list(effects), "answer": answer, "after": dict(after)}:
            return Happened(
                made(tuple[DeviceEvent, ...], events),
                effects,
                made(int | None, answer),
                after,
                made(float | None, wall),
            )
        case {"forgotten": dict(machine)}:
            return Forgotten(_restored(machine, profile))
        case _:
            raise SnapshotError("neither a start nor what happened")


def _restored(machine: dict[str, Any], profile: DeviceProfile) -> DeviceMachine:
    if isinstance(profile, FirmwareProfile):
        return machine_snapshot.restore(machine, profile)
    return coordinator_snapshot.restore(machine, profile)


# ---- replaying -----------------------------------------------------------------------------------------------------


def replay(trace: DeviceTrace, watch: Callable[[DeviceMachine], object] = lambda _: None) -> DeviceMachine:
    """Give a machine the same events, and come to the same end.

    Args:
        trace: what was recorded.
        watch: is shown the machine after each entry.

    Returns:
        The machine after the last entry.

    Raises:
        SnapshotError: it comes to another machine, or wants other things done, than was recorded.
    """
    profile, machine = _beginning(trace)
    for number, entry in enumerate(trace.entries, 1):
        match entry:
            case Started():
                profile, machine = entry.profile, entry.machine
            case Happened():
                machine = _after(machine, entry, profile, number)
            case Forgotten():
                machine = entry.machine
            case _:
                assert_never(entry)
        watch(machine)
    return machine


def _beginning(trace: DeviceTrace) -> tuple[DeviceProfile, DeviceMachine]:
    match trace.entries:
        case (Started(profile, machine), *_):
            return profile, machine
        case _:
            raise SnapshotError("not a trace: it begins with no start")


def _after(machine: DeviceMachine, entry: Happened, profile: DeviceProfile, number: int) -> DeviceMachine:
    try:
        after, effects = _take(machine, entry, profile)
    except UsageError as error:
        raise SnapshotError(f"line {number}: {error}") from error
    if plain(effects, _cuts(profile)) != entry.effects:
        raise SnapshotError(f"line {number}: other effects than were recorded")
    if _shown(after, profile) != entry.after:
        raise SnapshotError(f"line {number}: another machine than was recorded")
    return after


def _take(
    machine: DeviceMachine, entry: Happened, profile: DeviceProfile
) -> tuple[DeviceMachine, tuple[Effect | GroupEffect, ...]]:
    """All of the events or none, as in a request."""
    after, effects = machine, ()
    for event in entry.events:
        after, more, _, accepted = _step(after, event, profile, entry.wall)
        if not accepted:
            return machine, ()
        effects = (*effects, *more)
    return after, effects


def _step(machine: DeviceMachine, event: Any, profile: DeviceProfile, wall: float | None) -> Any:  # noqa: ANN401
    """By the step of the object; an event of the other object is refused."""
    match machine, profile:
        case FirmwareMachine(), FirmwareProfile() if type(event) in profile.table.cases:
            return firmware.step(machine, event, profile, wall)
        case ComponentGroup(), AdvancedProfile() if isinstance(event, GroupEvent):
            return coordinator.step(machine, event, profile, wall)
        case _:
            raise UsageError(f"{type(event).__name__} is no event of this object")
