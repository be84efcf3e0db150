"""A server's update as JSON and back.

Monotonic time means nothing to the next process: times are stored as ages and laid on the clock of `restore`. So the
time that a server was away does not count; after `restore` hand in `Restarted`, and the machine reads before it acts.
"""

import types
import typing
from collections.abc import Iterable
from enum import Enum
from typing import Any, Final, TypeVar, final

import attrs

from lwm2m_fota.errors import SnapshotError, UsageError
from lwm2m_fota.machines.snapshot import LARGEST_S
from lwm2m_fota.machines.update_policy import UpdatePlan
from lwm2m_fota.machines.update_state import Control, Memory, Times, UpdateMachine
from lwm2m_fota.machines.update_versions import OwnVersions, VersionMatch, VersionRule

SCHEMA: Final = 2
"""The version of the layout; another one is refused."""

_EnumT = TypeVar("_EnumT", bound=Enum)


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


def restore(data: object, now: float, versions: Iterable[OwnVersions] = ()) -> UpdateMachine:
    """The machine that `snapshot` stored, on a clock that shows `now`.

    Args:
        data: what was stored.
        now: monotonic seconds.
        versions: the rules of one's own that plans may have; one is found by its name.

    Raises:
        SnapshotError: it is not a snapshot of this schema, or it holds something impossible, or a rule of one's own
            that is not here.
    """
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise SnapshotError(f"not a snapshot of schema {SCHEMA}")
    if set(data) != {"schema", "plan", "control", "ages", "memory"}:
        raise SnapshotError("a snapshot has a plan, a control state, ages and a memory")
    decoder = _Decoder(versions)
    ages = decoder.decode(Times, data["ages"])
    laid: dict[str, Any] = {name: None if age is None else now - age for name, age in attrs.asdict(ages).items()}
    machine = UpdateMachine(
        plan=decoder.decode(UpdatePlan, data["plan"]),
        control=decoder.decode(Control, data["control"]),
        times=Times(**laid),
        memory=decoder.decode(Memory, data["memory"]),
    )
    _check(machine)
    return machine


def _check(machine: UpdateMachine) -> None:
    """The parts must be those of the plan."""
    control, count = machine.control, len(machine.plan.parts)
    lengths = {len(control.parts), len(machine.memory.parts), len(control.targets) or count}
    if (
        lengths != {count}
        or sorted(control.order) != list(range(count))
        or not (0 <= control.at < count and 0 <= control.delivered < count)
    ):
        raise SnapshotError("the parts are not those of the plan")


def _encode(value: object) -> Any:  # noqa: ANN401 - JSON
    kind: Any = type(value)
    if isinstance(value, OwnVersions):
        return {"own": value.name}
    if attrs.has(kind):
        return {field.name: _encode(getattr(value, field.name)) for field in attrs.fields(kind)}
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    return value.value if isinstance(value, Enum) else value


@final
class _Decoder:
    """Reads values of annotated types, strictly."""

    def __init__(self, versions: Iterable[OwnVersions]) -> None:
        self._versions = {each.name: each for each in versions}

    def decode(self, kind: Any, data: Any) -> Any:  # noqa: ANN401 - any annotation of the classes above, any JSON
        """Read one value."""
        if kind == VersionRule:
            return self._version(data)
        if typing.get_origin(kind) is tuple:
            return self._tuple(typing.get_args(kind)[0], data)
        if isinstance(kind, types.UnionType):
            return None if data is None else self.decode(typing.get_args(kind)[0], data)
        if attrs.has(kind):
            return self._object(kind, data)
        if issubclass(kind, Enum):
            return _decode_enum(kind, data)
        return _decode_plain(kind, data)

    def _version(self, data: Any) -> VersionRule:  # noqa: ANN401 - as decode
        match data:
            case {"own": str(name)} if name in self._versions:
                return self._versions[name]
            case str():
                return _decode_enum(VersionMatch, data)
            case _:
                raise SnapshotError(f"not a rule for versions that is here: {data!r}")

    def _tuple(self, kind: Any, data: Any) -> tuple[Any, ...]:  # noqa: ANN401 - as decode
        if not isinstance(data, list):
            raise SnapshotError(f"not a list: {data!r}")
        return tuple(self.decode(kind, item) for item in data)

    def _object(self, kind: Any, data: Any) -> Any:  # noqa: ANN401 - as decode
        hints = typing.get_type_hints(kind)
        if not isinstance(data, dict) or set(data) != {field.name for field in attrs.fields(kind)}:
            raise SnapshotError(f"not the fields of a {kind.__name__}")
        try:
            return kind(**{name: self.decode(hints[name], value) for name, value in data.items()})
        except UsageError as error:
            raise SnapshotError(str(error)) from error


def _decode_plain(kind: Any, data: Any) -> Any:  # noqa: ANN401 - as decode
    if kind is float and isinstance(data, int) and not isinstance(data, bool) and abs(data) <= LARGEST_S:
        return float(data)
    if type(data) is not kind or data in (float("inf"), float("-inf")) or data != data:  # noqa: PLR0124 - NaN
        raise SnapshotError(f"not {kind.__name__}: {data!r}")
    return data


def _decode_enum(kind: type[_EnumT], data: Any) -> _EnumT:  # noqa: ANN401 - as decode
    if isinstance(data, bool) or not isinstance(data, int | str):
        raise SnapshotError(f"not a {kind.__name__}: {data!r}")
    try:
        return kind(data)
    except ValueError as error:
        raise SnapshotError(f"not a {kind.__name__}: {data!r}") from error
