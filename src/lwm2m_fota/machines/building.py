"""How each effect of a row is filled in from the machine before and after, and the event."""

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final, TypeAlias

from lwm2m_fota.machines.effects import (
    BeginInstall,
    DiscardImage,
    Do,
    Effect,
    Notify,
    OpenStage,
    Persist,
    StartPull,
    StopTransfer,
    VerifyImage,
)
from lwm2m_fota.machines.events import Event, PackageBegun
from lwm2m_fota.machines.state import FirmwareMachine

Builder: TypeAlias = Callable[[FirmwareMachine, FirmwareMachine, Event], Effect | None]
"""`builder(before, after, event)`: the effect, or None where there is nothing to do."""

NOTIFY_ORDER: Final = (12, 1, 6, 7, 5, 3, 11, 13, 14)
"""The time of the change before the Result before the State (SPEC 3.1); bit n of a mask is the n-th."""

_TIME_BIT: Final = 1
_PERSIST: Final = Persist()
_STOP_TRANSFER: Final = StopTransfer()
_DISCARD_IMAGE: Final = DiscardImage()


def _open_stage(_before: FirmwareMachine, after: FirmwareMachine, event: Event) -> Effect:
    return OpenStage(event.size_bytes if isinstance(event, PackageBegun) else None, after.transfer)


def _changed(before: FirmwareMachine, after: FirmwareMachine) -> int:
    """The resources whose value changed, as a mask over `NOTIFY_ORDER`."""
    mask = 0
    if before.last_change != after.last_change:
        mask = _TIME_BIT
    if before.uri != after.uri:
        mask |= 2
    if before.package_name != after.package_name:
        mask |= 4
    if before.package_version != after.package_version:
        mask |= 8
    if before.result is not after.result:
        mask |= 16
    if before.state is not after.state:
        mask |= 32
    if before.settings is not after.settings:
        old, new = before.settings, after.settings
        mask |= (old.severity != new.severity) << 6
        mask |= (old.max_defer_s != new.max_defer_s) << 7
        mask |= (old.auto_upgrade != new.auto_upgrade) << 8
    return mask


@cache
def _notification(mask: int) -> Notify | None:
    ids = tuple(resource for bit, resource in enumerate(NOTIFY_ORDER) if mask >> bit & 1)
    return Notify(ids) if ids else None


def _notify(before: FirmwareMachine, after: FirmwareMachine, _event: Event) -> Effect | None:
    return _notification(_changed(before, after))


def notify_without_time(before: FirmwareMachine, after: FirmwareMachine, _event: Event) -> Effect | None:
    """The builder of `Notify` for object version 1.0, which has no resource 12."""
    return _notification(_changed(before, after) & ~_TIME_BIT)


BUILDERS: Final[Mapping[Do, Builder]] = MappingProxyType(
    {
        Do.PERSIST: lambda _before, _after, _event: _PERSIST,
        Do.OPEN_STAGE: _open_stage,
        Do.START_PULL: lambda _before, after, _event: StartPull(after.uri, after.transfer),
        Do.RESUME_PULL: lambda _before, after, _event: StartPull(after.uri, after.transfer, resume=True),
        Do.STOP_TRANSFER: lambda _before, _after, _event: _STOP_TRANSFER,
        Do.VERIFY_IMAGE: lambda _before, after, _event: VerifyImage(after.transfer),
        Do.DISCARD_IMAGE: lambda _before, _after, _event: _DISCARD_IMAGE,
        Do.BEGIN_INSTALL: lambda _before, after, _event: BeginInstall(after.attempt),
        Do.NOTIFY: _notify,
    }
)
