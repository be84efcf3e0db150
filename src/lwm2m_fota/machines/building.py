"""How each effect of a row is filled in from the machine before and after, and the event."""

from collections.abc import Callable, Iterable, Mapping
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

Maker: TypeAlias = Callable[[FirmwareMachine, FirmwareMachine, _AnyEvent], tuple[Effect, ...]]
"""`maker(before, after, event)`: all effects of a row."""

NOTIFY_ORDER: Final = (12, 1, 6, 7, 5, 3, 11, 13, 14)
"""The time of the change before the Result before the State (SPEC 3.1); bit n of a mask is the n-th."""

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


def _notification(mask: int) -> Notify | None:
    ids = tuple(resource for bit, resource in enumerate(NOTIFY_ORDER) if mask >> bit & 1)
    return Notify(ids) if ids else None


def _notifier(kept: int) -> Builder:
    """Tells of the resources whose value changed, those of the mask `kept`."""
    told = tuple(_notification(mask & kept) for mask in range(1 << len(NOTIFY_ORDER)))

    def notify(before: FirmwareMachine, after: FirmwareMachine, _event: _AnyEvent) -> Effect | None:
        """What was carried over is the same object, so most comparisons are of identities."""
        old_state, old_result, _, _, old_uri, old_name, old_version, old_settings, _, _, old_time, _ = before
        state, result, _, _, uri, name, version, settings, _, _, time, _ = after
        mask = 0
        if result is not old_result:
            mask = _RESULT
        if state is not old_state:
            mask |= _STATE
            if time != old_time:
                mask |= _TIME
        if uri is not old_uri and uri != old_uri:
            mask |= _URI
        if name is not old_name and name != old_name:
            mask |= _NAME
        if version is not old_version and version != old_version:
            mask |= _VERSION
        if settings is not old_settings:
            mask |= (settings.severity is not old_settings.severity) * _SEVERITY
            mask |= (settings.max_defer_s != old_settings.max_defer_s) * _MAX_DEFER
            mask |= (settings.auto_upgrade is not old_settings.auto_upgrade) * _AUTO_UPGRADE
        return told[mask]

    return notify


notify_without_time: Final = _notifier(~_TIME)
"""The builder of `Notify` for object version 1.0, which has no resource 12."""

BUILDERS: Final[Mapping[Do, Builder]] = MappingProxyType(
    {
        Do.OPEN_STAGE: _open_stage,
        Do.START_PULL: _start_pull,
        Do.RESUME_PULL: _resume_pull,
        Do.VERIFY_IMAGE: _verify_image,
        Do.BEGIN_INSTALL: _begin_install,
        Do.NOTIFY: _notifier(~0),
    }
)
"""How the others are made."""


def maker(effects: Iterable[Do], builders: Mapping[Do, Builder] = BUILDERS) -> Maker:
    """What makes these effects: those that are always the same come first, one that is made each time stands last."""
    every = tuple(effects)
    first = next((index for index, do in enumerate(every) if do not in CONSTANT), len(every))
    fixed = tuple(CONSTANT[do] for do in every[:first])
    made = tuple(builders[do] if do in builders else _always(CONSTANT[do]) for do in every[first:])
    if not made:
        return lambda _before, _after, _event: fixed
    if len(made) == 1:
        return _with_one(fixed, made[0])
    return _with_some(fixed, made)


def _with_one(fixed: tuple[Effect, ...], build: Builder) -> Maker:
    def make(before: FirmwareMachine, after: FirmwareMachine, event: _AnyEvent) -> tuple[Effect, ...]:
        last = build(before, after, event)
        return fixed if last is None else (*fixed, last)

    return make


def _with_some(fixed: tuple[Effect, ...], builders: tuple[Builder, ...]) -> Maker:
    def make(before: FirmwareMachine, after: FirmwareMachine, event: _AnyEvent) -> tuple[Effect, ...]:
        made = [*fixed]
        for build in builders:
            effect = build(before, after, event)
            if effect is not None:
                made.append(effect)
        return tuple(made)

    return make


def _always(effect: Effect) -> Builder:
    return lambda _before, _after, _event: effect
