"""The device machine of Object 5 on the package `transitions`: the same states, guards, changes and effects.

A machine of that package is an object with methods; its transitions call functions that change the object. So the
changes and effects here are those of our table, written for an object that changes.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, final

from transitions import EventData, Machine

from benchmarks.machines_cycle import Walk
from lwm2m_fota.machines.building import NOTIFY_ORDER
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
from lwm2m_fota.machines.events import ClockRead, Delivery, PackageBegun
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.readings import Guard
from lwm2m_fota.machines.rows import Change, Row
from lwm2m_fota.machines.state import Deferral, FirmwareMachine, Settings
from lwm2m_fota.model.enums import Severity, State, UpdateResult

_SEVERITIES: Final = tuple(Severity)


@final
class Device:
    """What `transitions` calls a model: it puts `state` and a method for each event on it."""

    state: State

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """As a new device, but for its State."""
        self.result = UpdateResult.INITIAL
        self.delivery: Delivery | None = None
        self.received = False
        self.uri = self.package_name = self.package_version = ""
        self.settings = Settings()
        self.transfer = self.attempt = 0
        self.last_change: float | None = None
        self.deferral: Deferral | None = None
        self.effects: tuple[Effect, ...] = ()
        self.before: tuple[object, ...] = ()

    @property
    def is_deferred(self) -> bool:
        """As of our machine; guards ask it."""
        return self.state is State.DOWNLOADED and self.result is UpdateResult.DEFERRED

    def shown(self) -> tuple[object, ...]:
        """The values of the resources, in the order to notify."""
        settings = self.settings
        return (
            *(self.last_change, self.uri, self.package_name, self.package_version, self.result, self.state),
            *(settings.severity, settings.max_defer_s, settings.auto_upgrade),
        )

    def as_ours(self) -> FirmwareMachine:
        """The same as a machine of ours, to compare."""
        return FirmwareMachine(
            self.state,
            self.result,
            self.delivery,
            self.received,
            self.uri,
            self.package_name,
            self.package_version,
            self.settings,
            self.transfer,
            self.attempt,
            self.last_change,
            self.deferral,
        )


@final
class Theirs:
    """The machine of one profile, with one device."""

    def __init__(self, profile: FirmwareProfile) -> None:
        self.device = Device()
        self._machine = Machine(self.device, State, initial=State.IDLE, auto_transitions=False, send_event=True)
        for event, readings in profile.table.readings.items():
            for state in State:
                for reading in readings:
                    row = profile.table.rows.get((state, reading.kind))
                    self._add(event.__name__, state, reading.guard, row, profile.schemes)

    def _add(self, trigger: str, state: State, guard: Guard | None, row: Row | None, schemes: frozenset[str]) -> None:
        conditions = [] if guard is None else [_condition(guard, schemes)]
        if row is None:  # refused: nothing moves
            self._machine.add_transition(trigger, state, None, conditions=conditions)
            return
        before, after = _before(row), _after(row)
        self._machine.add_transition(trigger, state, row.target, conditions=conditions, before=before, after=after)

    def walk(self, walk: Walk) -> None:
        """Take all inputs of a walk, as a new device."""
        device = self.device
        device.clear()
        device.state = State.IDLE
        for event, wall in walk.inputs:
            device.trigger(type(event).__name__, event, wall)  # type: ignore[attr-defined]  # put there by Machine


def _condition(guard: Guard, schemes: frozenset[str]) -> Callable[[EventData], bool]:
    return lambda data: guard(data.model, *data.args, schemes)


def _before(row: Row) -> Callable[[EventData], None]:
    change = _CHANGES[row.change] if isinstance(row.change, Change) else None
    if change is None:
        raise RuntimeError(f"not of Object 5: {row}")

    def before(data: EventData) -> None:
        device: Device = data.model
        event, wall = data.args
        device.before = device.shown()
        moves = row.target is not device.state
        deferral = device.deferral
        change(device, event, wall)
        if device.deferral is deferral and moves:
            device.deferral = None
        if row.result is not None:
            device.result = row.result
        if moves:
            device.last_change = wall

    return before


def _after(row: Row) -> Callable[[EventData], None]:
    makers = [_EFFECTS[do] for do in row.effects]

    def after(data: EventData) -> None:
        device: Device = data.model
        event = data.args[0]
        made = [make(device, event) for make in makers]
        device.effects = tuple(effect for effect in made if effect is not None)

    return after


# ---- changes -------------------------------------------------------------------------------------------------------


def _keep(_device: Device, _event: object, _wall: float) -> None:
    pass


def _begun(device: Device, delivery: Delivery | None, uri: str) -> None:
    device.delivery, device.received, device.uri = delivery, False, uri
    device.package_name = device.package_version = ""
    device.deferral = None


def _begin_push(device: Device, _event: object, _wall: float) -> None:
    _begun(device, "push", "")
    device.transfer += 1


def _begin_pull(device: Device, event: Any, _wall: float) -> None:
    _begun(device, "pull", event.uri)
    device.transfer += 1


def _resume_pull(device: Device, _event: object, _wall: float) -> None:
    device.received = False


def _receive(device: Device, _event: object, _wall: float) -> None:
    device.received = True


def _name(device: Device, event: Any, _wall: float) -> None:
    device.package_name, device.package_version = event.name, event.version


def _defer(device: Device, _event: object, wall: float) -> None:
    if device.deferral is None:
        device.deferral = Deferral(wall, wall + device.settings.max_defer_s)


def _name_and_defer(device: Device, event: Any, wall: float) -> None:
    _name(device, event, wall)
    _defer(device, event, wall)


def _name_and_install(device: Device, event: Any, wall: float) -> None:
    _name(device, event, wall)
    _install(device, event, wall)


def _count_again(device: Device, _event: object, wall: float) -> None:
    old = device.deferral
    device.deferral = Deferral(wall, wall + (old.deadline - old.since if old else 0.0))


def _count_on(device: Device, event: ClockRead, _wall: float | None) -> None:
    old = device.deferral
    device.deferral = old and Deferral(old.since + event.waited_s, old.deadline)


def _install(device: Device, _event: object, _wall: float) -> None:
    device.attempt += 1
    device.deferral = None


def _clear(device: Device, _event: object, _wall: float) -> None:
    _begun(device, None, "")


def _set_severity(device: Device, event: Any, _wall: float) -> None:
    old = device.settings
    device.settings = Settings(_SEVERITIES[event.value], old.max_defer_s, old.auto_upgrade)


def _set_max_defer(device: Device, event: Any, _wall: float) -> None:
    old = device.settings
    device.settings = Settings(old.severity, event.seconds, old.auto_upgrade)


def _set_auto_upgrade(device: Device, event: Any, _wall: float) -> None:
    old = device.settings
    device.settings = Settings(old.severity, old.max_defer_s, event.enabled)


_CHANGES: Final[Mapping[Change, Callable[[Device, Any, float], None]]] = {
    Change.KEEP: _keep,
    Change.BEGIN_PUSH: _begin_push,
    Change.BEGIN_PULL: _begin_pull,
    Change.RESUME_PULL: _resume_pull,
    Change.RECEIVE: _receive,
    Change.NAME: _name,
    Change.NAME_AND_DEFER: _name_and_defer,
    Change.NAME_AND_INSTALL: _name_and_install,
    Change.DEFER: _defer,
    Change.COUNT_AGAIN: _count_again,
    Change.COUNT_ON: _count_on,
    Change.INSTALL: _install,
    Change.CLEAR: _clear,
    Change.SET_SEVERITY: _set_severity,
    Change.SET_MAX_DEFER: _set_max_defer,
    Change.SET_AUTO_UPGRADE: _set_auto_upgrade,
}

# ---- effects -------------------------------------------------------------------------------------------------------

_PERSIST, _STOP, _DISCARD = Persist(), StopTransfer(), DiscardImage()


def _open_stage(device: Device, event: object) -> Effect:
    return OpenStage(event.size_bytes if type(event) is PackageBegun else None, device.transfer)


def _notify(device: Device, _event: object) -> Effect | None:
    after = device.shown()
    told = tuple(
        number
        for number, old, new in zip(NOTIFY_ORDER, device.before, after, strict=True)
        if old is not new and old != new
    )
    return Notify(told) if told else None


_EFFECTS: Final[Mapping[Do, Callable[[Device, object], Effect | None]]] = {
    Do.PERSIST: lambda _device, _event: _PERSIST,
    Do.STOP_TRANSFER: lambda _device, _event: _STOP,
    Do.DISCARD_IMAGE: lambda _device, _event: _DISCARD,
    Do.OPEN_STAGE: _open_stage,
    Do.START_PULL: lambda device, _event: StartPull(device.uri, device.transfer),
    Do.RESUME_PULL: lambda device, _event: StartPull(device.uri, device.transfer, resume=True),
    Do.VERIFY_IMAGE: lambda device, _event: VerifyImage(device.transfer),
    Do.BEGIN_INSTALL: lambda device, _event: BeginInstall(device.attempt),
    Do.NOTIFY: _notify,
}
