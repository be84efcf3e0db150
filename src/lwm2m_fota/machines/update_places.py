"""Where on the device the update machine reads, writes and executes: resources of the object that it uses."""

from collections.abc import Iterable
from typing import Final

from lwm2m_fota.machines.update_state import Control
from lwm2m_fota.model.advanced import ADVANCED_OBJECT_ID, AdvancedResource
from lwm2m_fota.model.firmware import AUTOMATIC_UPGRADE, FIRMWARE_OBJECT_ID
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.update import UpdateResource

FIRMWARE_VERSION: Final = Path.of(3, 0, 3)
"""Firmware Version of the Device object."""

CANCEL_SINCE_MINOR: Final = 1
AUTOMATIC_SINCE_MINOR: Final = 2

_SHOWN: Final = (UpdateResource.STATE, UpdateResource.UPDATE_RESULT)


def place(control: Control, index: int, resource_id: int) -> Path:
    """A resource of a part."""
    return Path.of(control.object_id, control.targets[index], resource_id)


def version_place(control: Control, index: int) -> Path | None:
    """Where the version of a part is read; None where it cannot be: without the object there is only the main one's."""
    if control.object_id != ADVANCED_OBJECT_ID:
        return FIRMWARE_VERSION
    if control.offers:
        return place(control, index, AdvancedResource.CURRENT_VERSION)
    return FIRMWARE_VERSION if control.targets[index] == min(control.instances, default=0) else None


def name_places(control: Control) -> tuple[Path, ...]:
    """The names of all components; of the object as a whole where the registration lists no instance."""
    names = (Path.of(ADVANCED_OBJECT_ID, each, AdvancedResource.COMPONENT_NAME) for each in control.instances)
    return tuple(names) or (Path.of(ADVANCED_OBJECT_ID),)


def observed(control: Control) -> tuple[Path, ...]:
    """State and Update Result of every part."""
    return tuple(place(control, index, each) for index in range(len(control.targets)) for each in _SHOWN)


def watched(control: Control, indices: Iterable[int]) -> tuple[Path, ...]:
    """State, Update Result and version of these parts; the version alone where the object is not there any more."""
    paths: list[Path] = []
    for index in indices:
        if control.offers:
            paths.extend(place(control, index, each) for each in _SHOWN)
        paths.extend(versions(control, (index,)))
    return tuple(paths)


def versions(control: Control, indices: Iterable[int]) -> tuple[Path, ...]:
    """The versions of these parts, as far as they can be read."""
    return tuple(path for path in (version_place(control, index) for index in indices) if path is not None)


def learnt(control: Control) -> tuple[Path, ...]:
    """What is read before an update, beside what is watched: what the device can, and what is set on it.

    How a package goes is asked of the first part, how long its user may defer it of each.
    """
    ids: list[int] = [UpdateResource.PROTOCOL_SUPPORT, UpdateResource.DELIVERY_METHOD]
    if has_automatic_upgrade(control):
        ids.append(AUTOMATIC_UPGRADE)
    return (*(place(control, 0, each) for each in ids), *defer_places(control))


def defer_places(control: Control) -> tuple[Path, ...]:
    """The Maximum Defer Period of each part."""
    if not has_cancel(control):
        return ()
    return tuple(place(control, index, UpdateResource.MAXIMUM_DEFER_PERIOD) for index in range(len(control.targets)))


def has_cancel(control: Control) -> bool:
    """Object 33629, and Object 5 since 1.1, has Cancel and the settings of a deferral."""
    return control.object_id == ADVANCED_OBJECT_ID or control.minor >= CANCEL_SINCE_MINOR


def has_automatic_upgrade(control: Control) -> bool:
    """Object 5 since 1.2; resource 14 of Object 33629 is another one."""
    return control.object_id == FIRMWARE_OBJECT_ID and control.minor >= AUTOMATIC_SINCE_MINOR


def part_of(control: Control, path: Path) -> tuple[int, int] | None:
    """The part and the resource that a path names; None if it is of no part."""
    ids = path.ids
    if len(ids) != 3 or ids[0] != control.object_id or ids[1] not in control.targets:  # noqa: PLR2004 - a resource
        return None
    return control.targets.index(ids[1]), ids[2]
