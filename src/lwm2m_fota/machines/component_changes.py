"""What each `ComponentChange` does to the machine of a component beside State and Result."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from lwm2m_fota.machines.changes import Changer, clip
from lwm2m_fota.machines.component_events import BatchJoined, ComponentChange, PackageShared, UpdateResolved
from lwm2m_fota.machines.rows import Row
from lwm2m_fota.machines.state import FirmwareMachine


def _moved(machine: FirmwareMachine, row: Row, wall: float | None) -> FirmwareMachine:
    """In the state and with the Result of the row; a change of State is timed, and no wait goes on."""
    return machine._replace(
        state=row.target,
        result=machine.result if row.result is None else row.result,
        last_change=machine.last_change if row.target is machine.state else wall,
        deferral=None,
    )


def _share(machine: FirmwareMachine, row: Row, event: PackageShared, wall: float | None) -> FirmwareMachine:
    return _moved(machine, row, wall)._replace(
        delivery="sibling", received=True, package_name=clip(event.name), package_version=clip(event.version)
    )


def _join(
    machine: FirmwareMachine, row: Row, event: UpdateResolved | BatchJoined, wall: float | None
) -> FirmwareMachine:
    return _moved(machine, row, wall)._replace(attempt=event.attempt)


def _stop_waiting(machine: FirmwareMachine, row: Row, _event: object, wall: float | None) -> FirmwareMachine:
    return _moved(machine, row, wall)


COMPONENT_CHANGES: Final[Mapping[ComponentChange, Changer]] = MappingProxyType(
    {
        ComponentChange.SHARE: _share,
        ComponentChange.JOIN: _join,
        ComponentChange.STOP_WAITING: _stop_waiting,
    }
)
