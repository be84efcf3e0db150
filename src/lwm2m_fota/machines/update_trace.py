"""A trace of a server's update: what its machine was given and what it wanted done, as JSON values, and the replay.

A trace is the machine as it began and one entry for each event that it was given; nothing else is needed to come to
the same end. What people may have written into reasons is cut where a URI goes on after its host: the path of a
package is a secret, and no reason decides anything.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, final

import attrs

from lwm2m_fota.errors import SnapshotError
from lwm2m_fota.machines import update_events
from lwm2m_fota.machines.trace_values import redacted
from lwm2m_fota.machines.update import step
from lwm2m_fota.machines.update_effects import Report, UpdateEffect
from lwm2m_fota.machines.update_events import UpdateEvent
from lwm2m_fota.machines.update_snapshot import restore, snapshot
from lwm2m_fota.machines.update_state import UpdateMachine
from lwm2m_fota.machines.update_versions import OwnVersions
from lwm2m_fota.model.paths import Path

SCHEMA: Final = 1
"""The version of the layout; another one is refused."""

_PAIR: Final = 2

_EVENTS: Final[Mapping[str, type[UpdateEvent]]] = MappingProxyType(
    {each.__name__: each for each in update_events.UpdateEvent.__args__}
)


@final
@attrs.frozen
class Entry:
    """One event of a trace.

    Attributes:
        at: monotonic seconds, on the clock of the trace.
        event: what the machine was given.
        effects: what it wanted done, as plain values: their kind and fields, without reports.
        step: where it stood then.
    """

    at: float
    event: UpdateEvent
    effects: tuple[Mapping[str, Any], ...]
    step: str


@final
@attrs.frozen
class Trace:
    """One run of an update.

    Attributes:
        first: the machine as it began; `began` on the clock of the trace.
        entries: what happened, in order.
    """

    first: UpdateMachine
    began: float
    entries: tuple[Entry, ...]


# ---- recording -----------------------------------------------------------------------------------------------------


def first_line(machine: UpdateMachine, now: float) -> dict[str, Any]:
    """What a trace begins with."""
    return {"trace": SCHEMA, "at": now, "machine": snapshot(machine, now)}


def line(event: UpdateEvent, effects: Iterable[UpdateEffect], after: UpdateMachine, now: float) -> dict[str, Any]:
    """What is recorded of one event, and of what it led to."""
    wanted = [_encode(each) for each in effects if not isinstance(each, Report)]
    return {"at": now, "event": _encode(event), "effects": wanted, "step": after.control.step.value}


def _encode(value: Any) -> dict[str, Any]:  # noqa: ANN401 - an event or an effect
    plain = {each.name: _plain(getattr(value, each.name)) for each in attrs.fields(type(value))}
    if "reason" in plain:
        plain["reason"] = redacted(plain["reason"])
    return {"kind": type(value).__name__, **plain}


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, Path):
        return {"path": str(value)}
    if isinstance(value, Mapping):
        return {"map": [[_plain(key), _plain(each)] for key, each in value.items()]}
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | str):  # of an enum, what it stands for
        return int(value) if isinstance(value, int) else str(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_plain(each) for each in value]
    return None  # no step looks at what else may be read


# ---- reading -------------------------------------------------------------------------------------------------------


def read_trace(lines: Iterable[object], versions: Iterable[OwnVersions] = ()) -> Trace:
    """The trace that these JSON values are.

    Args:
        lines: the first line, and those of events.
        versions: the rules of one's own that its plan may have.

    Raises:
        SnapshotError: they are no trace of this schema, or damaged.
    """
    first, *others = list(lines) or [None]
    match first:
        case {"trace": int(schema)} if schema != SCHEMA:
            raise SnapshotError(f"a trace of schema {schema}, not {SCHEMA}")
        case {"trace": int(), "at": float() | int() as began, "machine": machine}:
            entries = tuple(_entry(each, number) for number, each in enumerate(others, 2))
            return Trace(restore(machine, float(began), versions), float(began), entries)
        case _:
            raise SnapshotError("not a trace: it begins with no machine")


def _entry(data: object, number: int) -> Entry:
    match data:
        case {"at": float() | int() as at, "event": dict(event), "effects": list(effects), "step": str(where)} if all(
            isinstance(each, dict) and isinstance(each.get("kind"), str) for each in effects
        ):
            return Entry(float(at), _event(event, number), tuple(effects), where)
        case _:
            raise SnapshotError(f"line {number} of the trace is damaged")


def _event(data: Mapping[str, Any], number: int) -> UpdateEvent:
    kind = _EVENTS.get(str(data.get("kind")))
    if kind is None:
        raise SnapshotError(f"line {number} of the trace has no event that is known: {data.get('kind')!r}")
    try:
        fields = {name: _value(value) for name, value in data.items() if name != "kind"}
    except (TypeError, ValueError) as error:  # of a path, of a key, or of what is no pair
        raise SnapshotError(f"line {number} of the trace is damaged: {error}") from error
    fits = set(fields) == {each.name for each in attrs.fields(kind)}
    if not (fits and all(isinstance(value, _TYPES[name]) for name, value in fields.items())):
        raise SnapshotError(f"line {number} of the trace has not the fields of {kind.__name__}")
    made: UpdateEvent = kind(**fields)
    return made


_TYPES: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "bytes_sent": int,
        "bytes_served": int,
        "code": int | None,
        "command": int,
        "epoch": int,
        "instances": tuple,
        "object_versions": Mapping,
        "path": Path,
        "reason": str,
        "value": object,
        "values": Mapping,
    }
)
"""What each field of an event is."""


def _value(data: Any) -> Any:  # noqa: ANN401 - JSON
    match data:
        case {"path": str(text)}:
            return Path.parse(text)
        case {"map": list(pairs)} if all(isinstance(each, list) and len(each) == _PAIR for each in pairs):
            return {_value(key): _value(each) for key, each in pairs}
        case list():
            return tuple(_value(each) for each in data)
        case dict():
            raise ValueError("neither a path nor a map")
        case _:
            return data


# ---- replaying -----------------------------------------------------------------------------------------------------


def replay(trace: Trace, watch: Callable[[UpdateMachine], object] = lambda _: None) -> UpdateMachine:
    """Give a machine the same events, and come to the same end.

    Args:
        trace: what was recorded.
        watch: is shown the machine after each event.

    Returns:
        The machine after the last event.

    Raises:
        SnapshotError: it comes to another step than the recorded one.
    """
    machine = trace.first
    for number, entry in enumerate(trace.entries, 2):
        machine = step(machine, entry.event, entry.at).machine
        if machine.control.step.value != entry.step:
            raise SnapshotError(f"line {number}: {machine.control.step.value}, and {entry.step} was recorded")
        watch(machine)
    return machine
