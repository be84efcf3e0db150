"""What an event brings is noted, and the event becomes a cue for the table."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from lwm2m_fota.machines import update_judge as judge
from lwm2m_fota.machines import update_learn as learn
from lwm2m_fota.machines import update_places as places
from lwm2m_fota.machines.update_effects import Progressed, PublishPackage
from lwm2m_fota.machines.update_events import (
    CancelRequested,
    Deregistered,
    ExecuteAnswered,
    Lapsed,
    Notified,
    ObserveAnswered,
    PullProgress,
    PushAnswered,
    PushProgress,
    ReadAnswered,
    ReadFailed,
    Registered,
    RequestFailed,
    Restarted,
    SourceFailed,
    TimePassed,
    UpdateEvent,
    WriteAnswered,
)
from lwm2m_fota.machines.update_state import CancelMark, Control
from lwm2m_fota.machines.update_steps import STEPS, Ask, UpdateStage, UpdateStep
from lwm2m_fota.machines.update_times import passed
from lwm2m_fota.machines.update_words import Cue
from lwm2m_fota.machines.update_work import Work
from lwm2m_fota.model.codes import Code, is_success
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.model.firmware import AUTOMATIC_UPGRADE
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.update import UpdateResource

POLLED: Final = frozenset({Ask.COMPONENTS, Ask.LEARN, Ask.READ, Ask.READ_LATER, Ask.VERSION})
"""What a step that reads again and again asks."""

_Answer = (
    ReadAnswered
    | ReadFailed
    | WriteAnswered
    | PushAnswered
    | ExecuteAnswered
    | ObserveAnswered
    | RequestFailed
    | SourceFailed
)


def _registered(work: Work, event: Registered) -> Cue | None:
    control = work.control
    if control.registered and event.epoch == work.memory.epoch:
        return None
    if control.stage is UpdateStage.PREPARING:
        _choose_object(work, event)
    version = event.object_versions.get(work.control.object_id)
    offers = version is not None
    work.put(registered=True, offers=offers, minor=judge.minor_of(version or ""), observing=False)
    work.remember(epoch=event.epoch)
    work.time(heard=work.now)
    return Cue.REGISTERED if offers else Cue.REGISTERED_WITHOUT


def _choose_object(work: Work, event: Registered) -> None:
    """Until something is sent the device may come back with another object; from then on it is that one."""
    chosen = learn.choose_object(work.plan, event.object_versions)
    targets = work.control.targets
    if chosen != work.control.object_id or event.instances != work.control.instances:
        targets = learn.first_targets(work.plan, chosen, event.instances)
    work.put(object_id=chosen, instances=event.instances, targets=targets)


def _restarted(work: Work, _event: Restarted) -> Cue:
    work.remember(epoch=None)
    work.put(registered=False, observing=False)
    if work.control.published:
        package = work.plan.parts[work.control.order[work.control.delivered]].package
        work.effects.append(PublishPackage(work.control.scheme, package))
    return Cue.RESTARTED


def _notified(work: Work, event: Notified) -> Cue | None:
    found = places.part_of(work.control, event.path)
    if found is None:
        return None
    index, resource_id = found
    part = work.control.parts[index]
    state = judge.state_of(event.value) if resource_id == UpdateResource.STATE else None
    result = judge.result_of(event.value) if resource_id == UpdateResource.UPDATE_RESULT else None
    if (state is None or state is part.state) and (result is None or result == part.result):
        return None
    work.hear(index, state, result)
    done = result is UpdateResult.SUCCESS and work.control.stage is UpdateStage.EXECUTING
    if done and part.baseline is not UpdateResult.SUCCESS:
        work.put_part(index, kept=True)
    return Cue.NOTIFIED


def _progress(work: Work, bytes_done: int, cue: Cue) -> Cue | None:
    """Progress is what goes beyond the furthest byte: a device that begins again and again makes none."""
    if bytes_done <= work.memory.bytes_done:
        return None
    work.remember(bytes_done=bytes_done)
    work.time(heard=work.now)
    part = work.plan.parts[work.control.at]
    work.report(Progressed(bytes_done, part.package_bytes, part.name))
    return cue


def _answer(work: Work, event: _Answer) -> Cue | None:
    """The cue of an answer to a command that is still waited for."""
    control, memory = work.control, work.memory
    if control.reading and event.command == memory.read:
        return _read_answer(work, event)
    if control.observing and event.command == memory.observe:
        work.put(observing=False)
        good = isinstance(event, ObserveAnswered) and is_success(event.code)
        return Cue.OBSERVED if good else Cue.OBSERVE_FAILED
    if control.asking and event.command == memory.request:
        return _request_answer(work, event)
    return None


def _request_answer(work: Work, event: _Answer) -> Cue:
    work.put(asking=False)
    if isinstance(event, WriteAnswered | PushAnswered | ExecuteAnswered):
        return judge.cue_of_code(work.control.step, event.code)
    return Cue.NO_PACKAGE if isinstance(event, SourceFailed) else Cue.NO_ANSWER


def _read_answer(work: Work, event: _Answer) -> Cue:
    polled = STEPS[work.control.step].ask in POLLED
    again = work.control.again
    work.put(reading=False, again=False)
    work.time(poll=work.now + work.plan.policy.poll_s if polled else None)
    if work.control.step is UpdateStep.COMPONENTS:
        return _find(work, event)
    before = work.control
    cue = _read(work, event) if isinstance(event, ReadAnswered) else Cue.UNREAD
    if again:  # what was notified meanwhile may not be in it: judge by the next read, which this one does not prepare
        work.put(at=before.at, settled=before.settled)
        return Cue.NOTIFIED
    return cue


def _find(work: Work, event: _Answer) -> Cue:
    """The components by their names; a device that answers, and has none, numbers them."""
    if not isinstance(event, ReadAnswered) and not _has_no_names(event):
        return Cue.UNREAD
    values = event.values if isinstance(event, ReadAnswered) else {}
    targets = learn.find_components(work.plan, work.control.instances, values)
    if targets is None:
        return Cue.NO_COMPONENT
    work.put(targets=targets, order=learn.order_parts(work.plan, targets))
    return Cue.FOUND


def _has_no_names(event: _Answer) -> bool:
    if not isinstance(event, ReadFailed) or event.code is None:
        return False
    is_refusal = judge.cue_of_code(UpdateStep.COMPONENTS, event.code) is Cue.REFUSED
    return is_refusal and event.code < Code.INTERNAL_SERVER_ERROR


def _read(work: Work, event: ReadAnswered) -> Cue:
    if work.control.step is UpdateStep.VERSION:
        return _read_versions(work, event.values)
    watched = judge.watched_parts(work.plan, work.control)
    unread = [index for index in watched if not _take_part(work, index, event.values)]
    if unread:
        return Cue.UNREAD
    cue, at = judge.judge(work.plan, work.control)
    work.put(settled=cue in {Cue.IDLE_UNSETTLED, Cue.IDLE_WAITING}, at=at)
    if cue is Cue.IDLE_UNSETTLED:
        work.time(poll=work.now + work.plan.policy.settle_s)
    return _learn(work, event.values) or cue


def _read_versions(work: Work, values: Mapping[Path, object]) -> Cue:
    """The versions of what is done, which were not read with the result."""
    read = False
    for index, part in enumerate(work.control.parts):
        version = _version(work.control, index, values)
        if part.done and version is not None:
            work.show(index, None, version)
            work.put_part(index, version=work.see(index, version))
            read = True
    return Cue.VERSION_READ if read else Cue.UNREAD


def _take_part(work: Work, index: int, values: Mapping[Path, object]) -> bool:
    """Note what was read of a part; False if that does not tell how it stands."""
    control = work.control
    version = _version(control, index, values)
    if control.step is UpdateStep.LEARN:
        work.remember_part(index, version_before=version)
    pair = _pair(control, index, values, version)
    work.show(index, pair if control.offers else None, version)
    if pair is None:
        return False
    seen = work.see(index, version)
    parts = list(work.control.parts)
    parts[index] = judge.after_read(parts[index], control.stage, *pair, seen)
    work.put(parts=tuple(parts))
    return True


def _version(control: Control, index: int, values: Mapping[Path, object]) -> str | None:
    path = places.version_place(control, index)
    return None if path is None else judge.text_of(values.get(path))


def _pair(
    control: Control, index: int, values: Mapping[Path, object], version: str | None
) -> tuple[State, UpdateResult] | None:
    """State and Update Result, read together; None if one is missing.

    A device whose new firmware has not the object any more shows neither: then its version alone tells.
    """
    if not control.offers:
        return None if version is None else (State.IDLE, UpdateResult.INITIAL)
    state = judge.state_of(values.get(places.place(control, index, UpdateResource.STATE)))
    result = judge.result_of(values.get(places.place(control, index, UpdateResource.UPDATE_RESULT)))
    return None if state is None or result is None else (state, result)


def _learn(work: Work, values: Mapping[Path, object]) -> Cue | None:
    """Choose the way of the package; the obstacle, if there is one."""
    if work.control.step is not UpdateStep.LEARN:
        return None
    plan, control = work.plan, work.control
    choice = learn.choose(plan, control, values)
    before = [each.version_before for each in work.memory.parts]
    odd = {
        "prepare.already-there": learn.is_there(plan, before),
        "prepare.settings-differ": learn.settings_differ(plan, control, values),
    }
    for code in (*choice.odd, *(code for code, is_odd in odd.items() if is_odd)):
        work.warn(code)
    work.put(
        method=choice.method,
        scheme=choice.scheme,
        upgrades_itself=_has(control, values, AUTOMATIC_UPGRADE) is True and places.has_automatic_upgrade(control),
        defer_s=max(_periods(control, values), default=None),
    )
    return Cue.GUARDED if learn.is_guarded(plan, before) else choice.obstacle


def _periods(control: Control, values: Mapping[Path, object]) -> Iterator[int]:
    """How long the users of the parts may defer them, as far as that could be read."""
    for path in places.defer_places(control):
        period = judge.integer(values.get(path))
        if period is not None:
            yield period


def _has(control: Control, values: Mapping[Path, object], resource_id: int) -> object:
    return values.get(places.place(control, 0, resource_id))


def _cancelled(work: Work, _event: CancelRequested) -> Cue | None:
    return Cue.CANCEL if work.control.cancel is CancelMark.NONE else None


def _lost(work: Work, _event: Deregistered | Lapsed) -> Cue:
    work.put(registered=False)
    return Cue.LOST


def _pushed(work: Work, event: PushProgress) -> Cue | None:
    running = work.control.asking and event.command == work.memory.request
    return _progress(work, event.bytes_sent, Cue.SENT) if running else None


def _served(work: Work, event: PullProgress) -> Cue | None:
    return _progress(work, event.bytes_served, Cue.SERVED)


def _time_passed(work: Work, _event: TimePassed) -> Cue | None:
    return passed(work.machine, work.now)


_TAKERS: Final[Mapping[type, Callable[[Work, Any], Cue | None]]] = MappingProxyType(
    {
        Registered: _registered,
        Deregistered: _lost,
        Lapsed: _lost,
        Restarted: _restarted,
        ReadAnswered: _answer,
        ReadFailed: _answer,
        WriteAnswered: _answer,
        PushAnswered: _answer,
        ExecuteAnswered: _answer,
        ObserveAnswered: _answer,
        RequestFailed: _answer,
        SourceFailed: _answer,
        Notified: _notified,
        PushProgress: _pushed,
        PullProgress: _served,
        CancelRequested: _cancelled,
        TimePassed: _time_passed,
    }
)


def take_in(work: Work, event: UpdateEvent) -> Cue | None:
    """Note what the event brings and say what it comes to; None if it means nothing now."""
    return _TAKERS[type(event)](work, event)
