"""How each effect of a row is filled in from the machine before and after, and the event."""

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final, TypeAlias

from lwm2m_fota.machines.component_events import ComponentEvent
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

_AnyEvent: TypeAlias = Event | ComponentEvent
Builder: TypeAlias = Callable[[FirmwareMachine, FirmwareMachine, _AnyEvent], Effect | None]
"""`builder(before, after, event)`: the effect, or None where there is nothing to do."""

NOTIFY_ORDER: Final = (12, 1, 6, 7, 5, 3, 11, 13, 14)
"""The time of the change before the Result before the State (SPEC 3.1); bit n of a mask is the n-th."""

_TEXTS: Final = slice(4, 7)  # uri, package_name, package_version of the machine
_TIME, _URI, _NAME, _VERSION, _RESULT, _STATE, _SEVERITY, _MAX_DEFER, _AUTO_UPGRADE = (1 << bit for bit in range(9))

CONSTANT: Final[Mapping[Do, Effect]] = MappingProxyType(
    {
        Do.PERSIST: Persist(),
        Do.STOP_TRANSFER: StopTransfer(),
        Do.DISCARD_IMAGE: DiscardImage(),
    }
)
"""The effects that are always the same."""


def _open_stage(_before: FirmwareMachine, after: FirmwareMachine, event: _AnyEvent) -> Effect:
    return OpenStage(event.size_bytes if type(event) is PackageBegun else None, after.transfer)


def _start_pull(_before: FirmwareMachine, after: FirmwareMachine, _event: _AnyEvent) -> Effect:
    return StartPull(after.uri, after.transfer)


def _resume_pull(_before: FirmwareMachine, after: FirmwareMachine, _event: _AnyEvent) -> Effect:
    return StartPull(after.uri, after.transfer, resume=True)


def _verify_image(_before: FirmwareMachine, after: FirmwareMachine, _event: _AnyEvent) -> Effect:
    return VerifyImage(after.transfer)


def _begin_install(_before: FirmwareMachine, after: FirmwareMachine, _event: _AnyEvent) -> Effect:
    return BeginInstall(after.attempt)


def _changed(before: FirmwareMachine, after: FirmwareMachine) -> int:
    """The resources whose value changed, as a mask over `NOTIFY_ORDER`."""
    mask = _RESULT if before.result is not after.result else 0
    if before.state is not after.state:
        mask |= _STATE
        if before.last_change != after.last_change:
            mask |= _TIME
    if before[_TEXTS] != after[_TEXTS]:
        mask |= (before.uri != after.uri) * _URI
        mask |= (before.package_name != after.package_name) * _NAME
        mask |= (before.package_version != after.package_version) * _VERSION
    if before.settings is not after.settings:
        old, new = before.settings, after.settings
        mask |= (old.severity != new.severity) * _SEVERITY
        mask |= (old.max_defer_s != new.max_defer_s) * _MAX_DEFER
        mask |= (old.auto_upgrade != new.auto_upgrade) * _AUTO_UPGRADE
    return mask


@cache
def _notification(mask: int) -> Notify | None:
    ids = tuple(resource for bit, resource in enumerate(NOTIFY_ORDER) if mask >> bit & 1)
    return Notify(ids) if ids else None


def _notify(before: FirmwareMachine, after: FirmwareMachine, _event: _AnyEvent) -> Effect | None:
    return _notification(_changed(before, after))


def notify_without_time(before: FirmwareMachine, after: FirmwareMachine, _event: _AnyEvent) -> Effect | None:
    """The builder of `Notify` for object version 1.0, which has no resource 12."""
    return _notification(_changed(before, after) & ~_TIME)


BUILDERS: Final[Mapping[Do, Builder]] = MappingProxyType(
    {
        Do.OPEN_STAGE: _open_stage,
        Do.START_PULL: _start_pull,
        Do.RESUME_PULL: _resume_pull,
        Do.VERIFY_IMAGE: _verify_image,
        Do.BEGIN_INSTALL: _begin_install,
        Do.NOTIFY: _notify,
    }
)
"""How the others are made."""
