"""The machine as plain values for a store, and what a restart makes of it (SPEC 3.3)."""

import math
from collections.abc import Mapping
from typing import Final

from lwm2m_fota.errors import SnapshotError
from lwm2m_fota.machines.component_rows import COMPONENT_RESULTS
from lwm2m_fota.machines.events import Delivery, Found, Restarted
from lwm2m_fota.machines.firmware import Step, step
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.state import MAX_DEFER_LIMIT_S, MAX_STRING_BYTES, Deferral, FirmwareMachine, Settings
from lwm2m_fota.machines.table import VISIBLE_RESULTS
from lwm2m_fota.model.enums import Severity, State, UpdateResult

SCHEMA: Final = 1
"""The version of the snapshot; a reader refuses what it does not know."""

MAX_NUMBER: Final = 2**63 - 1
"""The largest number of a transfer or attempt that is taken."""

LARGEST_S: Final = math.nextafter(math.inf, 0.0)
"""The largest time that is taken; an integer of a file may be larger than any float."""


def snapshot(machine: FirmwareMachine) -> dict[str, object]:
    """The machine as a flat dict of plain values (int, float, bool, str, None), with its schema version."""
    return {
        "schema": SCHEMA,
        "state": int(machine.state),
        "result": int(machine.result),
        "delivery": machine.delivery,
        "received": machine.received,
        "uri": machine.uri,
        "package_name": machine.package_name,
        "package_version": machine.package_version,
        "severity": int(machine.settings.severity),
        "max_defer_s": machine.settings.max_defer_s,
        "auto_upgrade": machine.settings.auto_upgrade,
        "transfer": machine.transfer,
        "attempt": machine.attempt,
        **machine.times._asdict(),
    }


_FIELDS: Final = frozenset(snapshot(FirmwareMachine()))


def restore(data: Mapping[str, object], profile: FirmwareProfile) -> FirmwareMachine:
    """The machine that `snapshot` was given, in the object version of the profile.

    What another version has saved is taken over as it is, but for a Result that this one does not show (SPEC 3, state
    invariants): it becomes 0. So in 1.0 a deferred update is Downloaded, and waits for an Update.

    Args:
        data: the snapshot, of any version.
        profile: what the device, or component of Object 33629, is built to do.

    Raises:
        SnapshotError: `data` is no snapshot, of another schema, or of a machine that cannot exist.
    """
    is_component = profile.component is not None
    if _integer(data, "schema", MAX_NUMBER) != SCHEMA:
        raise SnapshotError(f"snapshot of schema {data['schema']!r}, not {SCHEMA}")
    if data.keys() != _FIELDS:
        raise SnapshotError(f"fields missing or unknown: {sorted(map(str, data.keys() ^ _FIELDS))}")
    machine = FirmwareMachine(
        State(_integer(data, "state", max(State))),
        UpdateResult(_integer(data, "result", max(UpdateResult))),
        _delivery(data),
        _boolean(data, "received"),
        _text(data, "uri"),
        _text(data, "package_name"),
        _text(data, "package_version"),
        Settings(
            Severity(_integer(data, "severity", Severity.OPTIONAL)),
            _integer(data, "max_defer_s", MAX_DEFER_LIMIT_S),
            _boolean(data, "auto_upgrade"),
        ),
        _integer(data, "transfer", MAX_NUMBER),
        _integer(data, "attempt", MAX_NUMBER),
        _time(data, "last_change"),
        _deferral(data),
    )
    _check(machine, COMPONENT_RESULTS if is_component else VISIBLE_RESULTS["1.1"])  # which are those of any version
    if machine.delivery == "sibling" and not is_component:
        raise SnapshotError("delivery: Object 5 has no siblings")
    if is_component or machine.result in VISIBLE_RESULTS[profile.version][machine.state]:
        return machine
    return machine._replace(result=UpdateResult.INITIAL, deferral=None)


def recover(machine: FirmwareMachine, found: Found, profile: FirmwareProfile, wall: float | None = None) -> Step:
    """The first step after a restart: judge the restored machine by what store and installer show.

    A deferral goes on; call `handle_timeout` afterwards, and again when the wall clock is set.

    Args:
        machine: as restored.
        found: what store and installer show.
        profile: what the device is built to do.
        wall: the wall clock in seconds since 1970, or None if it is not set.

    Returns:
        As from `step`.
    """
    return step(machine, Restarted(found), profile, wall)


def _check(machine: FirmwareMachine, results: Mapping[State, frozenset[UpdateResult]]) -> None:
    """The parts must fit each other, as they do in every machine that `step` made."""
    state = machine.state
    is_pull = machine.delivery == "pull"
    fits = {
        "state and result": machine.result in results[state],
        "delivery": (machine.delivery is None) == (state is State.IDLE),
        "sibling": machine.delivery != "sibling" or state is not State.DOWNLOADING,
        "received": state is State.DOWNLOADING or machine.received == (state is not State.IDLE),
        "uri": bool(machine.uri) == is_pull,
        "package name and version": state in {State.DOWNLOADED, State.UPDATING}
        or not (machine.package_name or machine.package_version),
        "deferral": machine.deferral is None or machine.is_deferred,
    }
    wrong = [name for name, fit in fits.items() if not fit]
    if wrong:
        raise SnapshotError(f"not the snapshot of a machine: {', '.join(wrong)}")


def _integer(data: Mapping[str, object], name: str, largest: int) -> int:
    value = data.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= largest:
        raise SnapshotError(f"{name}: not an integer of 0..{largest}: {value!r}")
    return value


def _boolean(data: Mapping[str, object], name: str) -> bool:
    value = data.get(name)
    if not isinstance(value, bool):
        raise SnapshotError(f"{name}: not a boolean: {value!r}")
    return value


def _text(data: Mapping[str, object], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str):
        raise SnapshotError(f"{name}: not a string: {value!r}")
    if len(value.encode("utf-8", "replace")) > MAX_STRING_BYTES:
        raise SnapshotError(f"{name}: over {MAX_STRING_BYTES} bytes")
    return value


def _time(data: Mapping[str, object], name: str) -> float | None:
    value = data.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not -LARGEST_S <= value <= LARGEST_S:
        raise SnapshotError(f"{name}: not a time: {value!r}")
    return float(value)


def _deferral(data: Mapping[str, object]) -> Deferral | None:
    since, deadline = _time(data, "deferred_since"), _time(data, "update_deadline")
    if since is None and deadline is None:
        return None
    if since is None or deadline is None or deadline < since:
        raise SnapshotError(f"a deferral that ends before it begins: {since!r}, {deadline!r}")
    return Deferral(since, deadline)


def _delivery(data: Mapping[str, object]) -> Delivery | None:
    match data.get("delivery"):
        case None:
            return None
        case "push":
            return "push"
        case "pull":
            return "pull"
        case "sibling":
            return "sibling"
        case value:
            raise SnapshotError(f"delivery: none of push, pull and sibling: {value!r}")
