"""A server's update as JSON and back.

Monotonic time means nothing to the next process: times are stored as ages and laid on the clock of `restore`. So the
time that a server was away does not count; after `restore` hand in `Restarted`, and the machine reads before it acts.
"""

import types
import typing
from enum import Enum
from typing import Any, Final

import attrs

from lwm2m_fota.errors import SnapshotError, UsageError
from lwm2m_fota.machines.update_policy import UpdatePlan
from lwm2m_fota.machines.update_state import Control, Memory, Times, UpdateMachine

SCHEMA: Final = 1
"""The version of the layout; another one is refused."""


def snapshot(machine: UpdateMachine, now: float) -> dict[str, Any]:
    """The machine as JSON values; `now` on the clock that made it."""
    ages = {name: None if at is None else now - at for name, at in attrs.asdict(machine.times).items()}
    return {
        "schema": SCHEMA,
        "plan": _encode(machine.plan),
        "control": _encode(machine.control),
        "ages": ages,
        "memory": _encode(machine.memory),
    }


def restore(data: object, now: float) -> UpdateMachine:
    """The machine that `snapshot` stored, on a clock that shows `now`.

    Raises:
        SnapshotError: it is not a snapshot of this schema, or it holds something impossible.
    """
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise SnapshotError(f"not a snapshot of schema {SCHEMA}")
    if set(data) != {"schema", "plan", "control", "ages", "memory"}:
        raise SnapshotError("a snapshot has a plan, a control state, ages and a memory")
    ages = _decode(Times, data["ages"])
    laid: dict[str, Any] = {name: None if age is None else now - age for name, age in attrs.asdict(ages).items()}
    return UpdateMachine(
        plan=_decode(UpdatePlan, data["plan"]),
        control=_decode(Control, data["control"]),
        times=Times(**laid),
        memory=_decode(Memory, data["memory"]),
    )


def _encode(value: object) -> Any:  # noqa: ANN401 - JSON
    kind: Any = type(value)
    if attrs.has(kind):
        return {field.name: _encode(getattr(value, field.name)) for field in attrs.fields(kind)}
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def _decode(kind: Any, data: Any) -> Any:  # noqa: ANN401 - any annotation of the classes above, any JSON
    """Read a value of an annotated type, strictly."""
    if typing.get_origin(kind) is tuple:
        return _decode_tuple(typing.get_args(kind)[0], data)
    if isinstance(kind, types.UnionType):
        return None if data is None else _decode(typing.get_args(kind)[0], data)
    if attrs.has(kind):
        return _decode_object(kind, data)
    if issubclass(kind, Enum):
        return _decode_enum(kind, data)
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if type(data) is not kind or data in (float("inf"), float("-inf")) or data != data:  # noqa: PLR0124 - NaN
        raise SnapshotError(f"not {kind.__name__}: {data!r}")
    return data


def _decode_tuple(kind: Any, data: Any) -> tuple[Any, ...]:  # noqa: ANN401 - as _decode
    if not isinstance(data, list):
        raise SnapshotError(f"not a list: {data!r}")
    return tuple(_decode(kind, item) for item in data)


def _decode_enum(kind: type[Enum], data: Any) -> Enum:  # noqa: ANN401 - as _decode
    if isinstance(data, bool) or not isinstance(data, int | str):
        raise SnapshotError(f"not a {kind.__name__}: {data!r}")
    try:
        return kind(data)
    except ValueError as error:
        raise SnapshotError(f"not a {kind.__name__}: {data!r}") from error


def _decode_object(kind: Any, data: Any) -> Any:  # noqa: ANN401 - as _decode
    hints = typing.get_type_hints(kind)
    if not isinstance(data, dict) or set(data) != {field.name for field in attrs.fields(kind)}:
        raise SnapshotError(f"not the fields of a {kind.__name__}")
    try:
        return kind(**{name: _decode(hints[name], value) for name, value in data.items()})
    except UsageError as error:
        raise SnapshotError(str(error)) from error
