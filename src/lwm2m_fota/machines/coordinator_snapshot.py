"""All components as plain values for a store, and what a restart makes of them (SPEC 3.3)."""

from collections.abc import Mapping, Sequence
from typing import Final

from lwm2m_fota.errors import SnapshotError
from lwm2m_fota.machines import snapshot as machine_snapshot
from lwm2m_fota.machines.component_profile import AdvancedProfile
from lwm2m_fota.machines.coordinator import GroupStep, step
from lwm2m_fota.machines.coordinator_events import GroupFound, GroupRestarted
from lwm2m_fota.machines.coordinator_gates import is_receiving
from lwm2m_fota.machines.coordinator_state import Component, ComponentGroup, Culprit, Requirement, Stage, Waiting
from lwm2m_fota.machines.snapshot import MAX_NUMBER
from lwm2m_fota.model.advanced import ADVANCED_OBJECT_ID
from lwm2m_fota.model.enums import State, UpdateResult

SCHEMA: Final = 1
"""The version of the snapshot; a reader refuses what it does not know."""

MAX_LIST: Final = 4096
"""The longest list that is taken, in items."""


def snapshot(group: ComponentGroup) -> dict[str, object]:
    """The group as plain values (dict, list, int, float, bool, str, None), with its schema version."""
    return {
        "schema": SCHEMA,
        "object": ADVANCED_OBJECT_ID,
        "attempt": group.attempt,
        "waiting": [list(each) for each in group.waiting],
        "components": [_component(each) for each in group.components],
    }


def _component(component: Component) -> dict[str, object]:
    return {
        "instance": component.instance,
        "machine": machine_snapshot.snapshot(component.machine),
        "version": component.version,
        "stage": _plain_stage(component.stage),
        "requirements": [list(each) for each in component.requirements],
        "culprits": [[each.instance, _plain_stage(each.stage)] for each in component.culprits],
        "asked": None if component.asked is None else list(component.asked),
    }


def _plain_stage(stage: Stage | None) -> list[int] | None:
    return None if stage is None else list(stage)


_FIELDS: Final = frozenset(snapshot(ComponentGroup(())))
_COMPONENT_FIELDS: Final = frozenset(_component(Component(0)))


def restore(data: Mapping[str, object], profile: AdvancedProfile) -> ComponentGroup:
    """The group that `snapshot` was given, for the components of the profile.

    A firmware may have brought a component: it is Idle, its version still unknown. One that is gone is forgotten.

    Raises:
        SnapshotError: `data` is no snapshot, of another schema, or of components that cannot exist.
    """
    schema, object_id = (_integer(data.get(each), each) for each in ("schema", "object"))
    if (schema, object_id) != (SCHEMA, ADVANCED_OBJECT_ID):
        raise SnapshotError(f"snapshot of schema {schema} of Object {object_id}, not {SCHEMA} of {ADVANCED_OBJECT_ID}")
    _same_fields(data, _FIELDS)
    components = [_restored(each, profile) for each in _list(data["components"], "components")]
    instances = [each.instance for each in components]
    if instances != sorted(set(instances)):
        raise SnapshotError(f"components: instances do not ascend: {instances}")
    group = ComponentGroup(
        tuple(components),
        _integer(data["attempt"], "attempt"),
        tuple(_waiting(each) for each in _list(data["waiting"], "waiting")),
    )
    _check(group)
    return _for_profile(group, profile)


def recover(group: ComponentGroup, found: GroupFound, profile: AdvancedProfile, wall: float | None = None) -> GroupStep:
    """The first step after a restart: judge the restored group by what store and installer show.

    Deferrals go on; call `handle_timeout` afterwards, and again when the wall clock is set.

    Args:
        group: as restored, or new.
        found: what store and installer show.
        profile: what the device is built to do.
        wall: the wall clock in seconds since 1970, or None if it is not set.

    Raises:
        UsageError: not one version for each component.
    """
    return step(group, GroupRestarted(found), profile, wall)


def _for_profile(group: ComponentGroup, profile: AdvancedProfile) -> ComponentGroup:
    """The components that the device has; what refers to others is forgotten."""
    known = {each.instance: each for each in group.components}
    there = frozenset(profile.instances)
    return ComponentGroup(
        tuple(_without_strangers(known.get(each, Component(each)), there) for each in profile.instances),
        group.attempt,
        tuple(each for each in group.waiting if each.instance in there),
    )


def _without_strangers(component: Component, there: frozenset[int]) -> Component:
    culprits = tuple(each for each in component.culprits if each.instance in there)
    if component.culprits and not culprits:  # somebody must be named
        culprits = (Culprit(component.instance, component.stage),)
    return component._replace(
        culprits=culprits,
        asked=None if component.asked is None else tuple(each for each in component.asked if each in there),
    )


def _check(group: ComponentGroup) -> None:
    """The parts must fit each other, as they do in every group that `step` made."""
    by_instance = {each.instance: each for each in group.components}
    wrong = {name for each in group.components for name, fits in _fits(each, group).items() if not fits}
    for waiting in group.waiting:
        component = by_instance.get(waiting.instance)
        if component is None or component.machine.delivery != "pull" or not is_receiving(component):
            wrong.add("waiting")
    if wrong:
        raise SnapshotError(f"not the snapshot of components: {', '.join(sorted(wrong))}")


def _fits(component: Component, group: ComponentGroup) -> dict[str, bool]:
    machine = component.machine
    own = Stage(component.instance, machine.transfer)
    if machine.delivery == "sibling":
        stage_fits = component.stage is not None and component.stage.instance != component.instance
    else:
        stage_fits = component.stage == (None if machine.state is State.IDLE else own)
    return {
        "stage": stage_fits,
        "requirements": not component.requirements or machine.state in {State.DOWNLOADED, State.UPDATING},
        "culprits": bool(component.culprits) == (machine.result >= UpdateResult.CONFLICTING_STATE),
        "asked": component.asked is None or machine.is_deferred,
        "attempt": machine.attempt <= group.attempt,
        "batch": machine.state is not State.UPDATING or machine.attempt == group.attempt,
    }


def _restored(data: object, profile: AdvancedProfile) -> Component:
    if not isinstance(data, Mapping):
        raise SnapshotError("a component is no mapping")
    _same_fields(data, _COMPONENT_FIELDS)
    machine = data["machine"]
    if not isinstance(machine, Mapping):
        raise SnapshotError("a machine is no mapping")
    return Component(
        _integer(data["instance"], "instance"),
        machine_snapshot.restore(machine, profile.firmware),
        _text(data["version"], "version"),
        _stage(data["stage"]),
        tuple(_requirement(each) for each in _list(data["requirements"], "requirements")),
        tuple(_culprit(each) for each in _list(data["culprits"], "culprits")),
        None if data["asked"] is None else tuple(_integer(each, "asked") for each in _list(data["asked"], "asked")),
    )


def _requirement(data: object) -> Requirement:
    name, version = _pair(data, "requirements")
    return Requirement(_text(name, "requirements"), _text(version, "requirements"))


def _culprit(data: object) -> Culprit:
    instance, stage = _pair(data, "culprits")
    return Culprit(_integer(instance, "culprits"), _stage(stage))


def _stage(data: object) -> Stage | None:
    if data is None:
        return None
    instance, transfer = _pair(data, "stage")
    return Stage(_integer(instance, "stage"), _integer(transfer, "stage"))


def _waiting(data: object) -> Waiting:
    instance, resume = _pair(data, "waiting")
    if not isinstance(resume, bool):
        raise SnapshotError(f"waiting: not a boolean: {resume!r}")
    return Waiting(_integer(instance, "waiting"), resume)


def _same_fields(data: Mapping[str, object], fields: frozenset[str]) -> None:
    if data.keys() != fields:
        raise SnapshotError(f"fields missing or unknown: {sorted(map(str, data.keys() ^ fields))}")


def _pair(data: object, name: str) -> tuple[object, object]:
    items = _list(data, name)
    if len(items) != 2:  # noqa: PLR2004 - a pair
        raise SnapshotError(f"{name}: not a pair: {data!r}")
    return items[0], items[1]


def _list(data: object, name: str) -> Sequence[object]:
    if not isinstance(data, list | tuple) or len(data) > MAX_LIST:
        raise SnapshotError(f"{name}: not a list of up to {MAX_LIST}: {data!r}")
    return data


def _integer(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_NUMBER:
        raise SnapshotError(f"{name}: not an integer of 0..{MAX_NUMBER}: {value!r}")
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise SnapshotError(f"{name}: not a string: {value!r}")
    return value
