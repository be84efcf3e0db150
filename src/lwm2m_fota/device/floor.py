"""The rollback floor of a device, which has one for each of its components and for each name that packages count by."""

from lwm2m_fota.package.rollback import RollbackFloor
from lwm2m_fota.package.types import WHOLE_PACKAGE, VerifiedPackage


def _kept_name(name: str, instance: int) -> str:
    """Packages that name no component count for the one that receives them; other names mean the same everywhere."""
    return f"{WHOLE_PACKAGE}/{instance}" if name == WHOLE_PACKAGE else name


def floor_for(floor: RollbackFloor, instance: int) -> RollbackFloor:
    """The part of a device's floor that a package for one component has to meet."""
    mine, prefix = _kept_name(WHOLE_PACKAGE, instance), f"{WHOLE_PACKAGE}/"
    marks = ((WHOLE_PACKAGE if name == mine else name, value) for name, value in floor.marks)
    return RollbackFloor(tuple(mark for mark in marks if not mark[0].startswith(prefix)))


def floor_after(floor: RollbackFloor, package: VerifiedPackage, instance: int) -> RollbackFloor:
    """A device's floor once a package is installed in a component.

    Raises:
        UsageError: the names are more than a floor may have.
    """
    marks = ((_kept_name(counter.name, instance), counter.value) for counter in package.counters)
    return floor.joined(RollbackFloor(tuple(marks)))
