"""What a device keeps of its firmware across restarts, as bytes for a store: machines, and where packages lie."""

import json
from collections.abc import Mapping
from typing import Final, NamedTuple, final

from lwm2m_fota.device.floor import DeviceFloor
from lwm2m_fota.errors import SnapshotError
from lwm2m_fota.machines import coordinator_snapshot
from lwm2m_fota.machines.component_profile import AdvancedProfile
from lwm2m_fota.machines.coordinator_state import ComponentGroup, Stage
from lwm2m_fota.machines.download_words import Checkpoint
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.snapshot import restore, snapshot
from lwm2m_fota.machines.state import FirmwareMachine

SCHEMA: Final = 1


@final
class Place(NamedTuple):
    """Where a package lies.

    Attributes:
        area: the staging area, named by the instance that it belongs to.
        stage: the package.
        checkpoint: where its pull goes on after a restart; None if it begins anew.
    """

    area: int
    stage: Stage
    checkpoint: Checkpoint | None = None


@final
class Kept(NamedTuple):
    """What is kept.

    Attributes:
        group: the machines.
        places: where packages lie.
        floor: what packages must not be older than.
    """

    group: ComponentGroup
    places: tuple[Place, ...] = ()
    floor: DeviceFloor = DeviceFloor()


def encode(machine: FirmwareMachine, checkpoint: Checkpoint | None, floor: DeviceFloor) -> bytes:
    """The bytes to store for Object 5."""
    plain = {
        "schema": SCHEMA,
        "machine": snapshot(machine),
        "checkpoint": _plain(checkpoint),
        "floor": floor.to_plain(),
    }
    return json.dumps(plain).encode()


def decode(data: bytes, profile: FirmwareProfile) -> tuple[FirmwareMachine, Checkpoint | None, DeviceFloor]:
    """What `encode` was given, in the object version that the device has now.

    Raises:
        SnapshotError: the bytes are damaged, of another schema, or of Object 33629.
    """
    parsed = _parsed(data)
    match parsed:
        case {"machine": dict(machine), "checkpoint": checkpoint}:
            return restore(machine, profile), _checkpoint(checkpoint), _floor(parsed)
        case {"group": _}:
            raise SnapshotError("the stored state is of Object 33629, not of Object 5")
        case _:
            raise SnapshotError("the stored state is damaged: parts are missing")


def encode_group(kept: Kept) -> bytes:
    """The bytes to store for Object 33629."""
    places = [[place.area, *place.stage, _plain(place.checkpoint)] for place in kept.places]
    group, floor = coordinator_snapshot.snapshot(kept.group), kept.floor.to_plain()
    return json.dumps({"schema": SCHEMA, "group": group, "places": places, "floor": floor}).encode()


def decode_group(data: bytes, profile: AdvancedProfile) -> Kept:
    """What `encode_group` was given, for the components that the device has now.

    Raises:
        SnapshotError: the bytes are damaged, of another schema, or of Object 5.
    """
    parsed = _parsed(data)
    match parsed:
        case {"group": dict(group), "places": list(places)}:
            return Kept(
                coordinator_snapshot.restore(group, profile),
                tuple(map(_place, places)),
                _floor(parsed, of_several=True),
            )
        case {"machine": _}:
            raise SnapshotError("the stored state is of Object 5, not of Object 33629")
        case _:
            raise SnapshotError("the stored state is damaged: parts are missing")


def _floor(parsed: Mapping[str, object], *, of_several: bool = False) -> DeviceFloor:
    """Records that were stored before there was a floor have none."""
    return DeviceFloor.from_plain(parsed.get("floor", []), of_several=of_several)


def _place(plain: object) -> Place:
    match plain:
        case [int(area), int(instance), int(transfer), checkpoint]:
            return Place(area, Stage(instance, transfer), _checkpoint(checkpoint))
        case _:
            raise SnapshotError("the stored state is damaged: not a place")


def _parsed(data: bytes) -> Mapping[str, object]:
    try:
        plain: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SnapshotError(f"the stored state is damaged: {error}") from error
    if not isinstance(plain, dict) or not isinstance(plain.get("schema"), int):
        raise SnapshotError("the stored state is damaged: parts are missing")
    if plain["schema"] != SCHEMA:
        raise SnapshotError(f"the stored state is of schema {plain['schema']}, not {SCHEMA}")
    return plain


def _plain(checkpoint: Checkpoint | None) -> dict[str, object] | None:
    return None if checkpoint is None else checkpoint.to_plain()


def _checkpoint(plain: object) -> Checkpoint | None:
    return None if plain is None else Checkpoint.from_plain(plain)
