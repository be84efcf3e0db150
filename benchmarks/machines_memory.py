"""`python -m benchmarks.machines_memory N`: keep N machines with histories of their own; print the bytes they take."""

import resource
import sys
from pathlib import Path
from typing import Final

from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines.events import Event
from lwm2m_fota.machines.firmware import step
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.state import FirmwareMachine
from lwm2m_fota.model.enums import UpdateResult

PROFILE: Final = FirmwareProfile(version="1.2")
_SINCE: Final = 1_700_000_000.0
_APART_S: Final = 100  # longer than a history: no two devices change at the same time


def history(number: int) -> tuple[Event, ...]:
    """What one of many devices went through: attempts that failed, and an update that has come so far."""
    received = (ev.PackageReceived(), ev.PackageVerified("gateway", f"2.{number // 1000}.{number % 1000}"))
    lost = (ev.PackageBegun(65536), ev.TransferFailed(UpdateResult.CONNECTION_LOST)) * (1 + number % 5)
    pulls = ev.UriWritten(f"coap://198.51.100.7/fw/{number:016x}")
    so_far: tuple[tuple[Event, ...], ...] = (
        (),
        (ev.PackageBegun(65536),),
        (pulls,),
        (ev.PackageBegun(65536), *received),
        (ev.MaxDeferWritten(3600 * (1 + number % 7)), ev.PackageBegun(65536), *received, ev.UpdateExecuted(defer=True)),
        (ev.PackageBegun(65536), *received, ev.UpdateExecuted()),
        (ev.PackageBegun(65536), *received, ev.UpdateExecuted(), ev.InstallSucceeded()),
        (ev.PackageBegun(65536), *received, ev.UpdateExecuted(), ev.InstallFailed()),
    )
    return (*lost, *so_far[number % len(so_far)])


def device(number: int) -> FirmwareMachine:
    """One of many machines."""
    machine, wall = FirmwareMachine(), _SINCE + _APART_S * number
    for event in history(number):
        wall += 1.0
        machine = step(machine, event, PROFILE, wall).machine
    return machine


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def main(count: int) -> int:
    """How many bytes the process grows by for so many machines, and for the list that keeps them."""
    device(0)
    before = _resident()
    kept = [device(number) for number in range(count)]
    grown = _resident() - before
    del kept
    return grown


if __name__ == "__main__":
    print(main(int(sys.argv[1])))
