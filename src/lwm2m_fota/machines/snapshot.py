"""The machine as plain values for a store, and what a restart makes of it (SPEC 3.3)."""

from collections.abc import Mapping

from lwm2m_fota.machines.events import Found
from lwm2m_fota.machines.firmware import Step
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.state import FirmwareMachine


def snapshot(machine: FirmwareMachine) -> dict[str, object]:
    """The machine as a flat dict of plain values (int, float, bool, str, None), with its schema version."""
    ...


def restore(data: Mapping[str, object]) -> FirmwareMachine:
    """The machine that `snapshot` was given.

    Raises:
        SnapshotError: `data` is no snapshot of a machine that can exist.
    """
    ...


def recover(machine: FirmwareMachine, found: Found, profile: FirmwareProfile, wall: float | None = None) -> Step:
    """The first step after a restart: judge the restored machine by what store and installer show."""
    ...
