"""What an event brings is noted, and the event becomes a cue for the table."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from lwm2m_fota.machines import update_judge as judge
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
from lwm2m_fota.model.codes import is_success
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.model.paths import Path

POLLED: Final = frozenset({Ask.LEARN, Ask.READ, Ask.READ_LATER, Ask.VERSION})
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
    if work.control.registered and event.epoch == work.memory.epoch:
        return None
    version = event.object_versions.get(judge.STATE.ids[0])
    work.put(registered=True, offers=version is not None, minor=judge.minor_of(version or ""), observing=False)
    work.remember(epoch=event.epoch)
    work.time(heard=work.now)
    return Cue.REGISTERED_WITHOUT if version is None else Cue.REGISTERED


def _restarted(work: Work, _event: Restarted) -> Cue:
    work.remember(epoch=None)
    work.put(registered=False, observing=False)
    if work.control.published:
        work.effects.append(PublishPackage(work.control.scheme))
    return Cue.RESTARTED


def _notified(work: Work, event: Notified) -> Cue | None:
    control = work.control
    state = judge.state_of(event.value) if event.path == judge.STATE else None
    result = judge.result_of(event.value) if event.path == judge.RESULT else None
    if (state is None or state is control.state) and (result is None or result == control.result):
        return None
    work.hear(state, result)
    done = result is UpdateResult.SUCCESS and control.stage is UpdateStage.EXECUTING
    if done and control.baseline is not UpdateResult.SUCCESS:
        work.put(kept=True)
    return Cue.NOTIFIED


def _progress(work: Work, bytes_done: int, cue: Cue) -> Cue | None:
    """Progress is what goes beyond the furthest byte: a device that begins again and again makes none."""
    if bytes_done <= work.memory.bytes_done:
        return None
    work.remember(bytes_done=bytes_done)
    work.time(heard=work.now)
    work.report(Progressed(bytes_done, work.plan.package_bytes))
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
    cue = _read(work, event) if isinstance(event, ReadAnswered) else Cue.UNREAD
    return Cue.NOTIFIED if again else cue


def _read(work: Work, event: ReadAnswered) -> Cue:
    version = judge.text_of(event.values.get(judge.VERSION))
    if work.control.step is UpdateStep.LEARN:
        work.remember(version_before=version)
    seen = judge.see_version(work.plan, work.memory.version_before, version)
    if work.control.step is UpdateStep.VERSION:
        work.show(None, version)
        work.put(version=seen)
        return Cue.UNREAD if version is None else Cue.VERSION_READ
    pair = _pair(work.control, event.values, version)
    if pair is None:
        work.show(None, version)
        return Cue.UNREAD
    work.show(pair if work.control.offers else None, version)
    work.machine = attrs.evolve(work.machine, control=judge.after_read(work.control, *pair, seen))
    cue = judge.cue_of_pair(work.control)
    work.put(settled=cue in {Cue.IDLE_UNSETTLED, Cue.IDLE_WAITING})
    if cue is Cue.IDLE_UNSETTLED:
        work.time(poll=work.now + work.plan.policy.settle_s)
    return _learn(work, event.values) or cue


def _pair(control: Control, values: Mapping[Path, object], version: str | None) -> tuple[State, UpdateResult] | None:
    """State and Update Result, read together; None if one is missing.

    A device whose new firmware has no Object 5 shows neither: then its version alone tells.
    """
    if not control.offers:
        return None if version is None else (State.IDLE, UpdateResult.INITIAL)
    state, result = judge.state_of(values.get(judge.STATE)), judge.result_of(values.get(judge.RESULT))
    return None if state is None or result is None else (state, result)


def _learn(work: Work, values: Mapping[Path, object]) -> Cue | None:
    """Choose the way of the package; the obstacle, if there is one."""
    if work.control.step is not UpdateStep.LEARN:
        return None
    choice = judge.learn(work.plan, values)
    for code in choice.odd:
        work.warn(code)
    if work.plan.expected_version is not None and work.memory.version_before == work.plan.expected_version:
        work.warn("prepare.already-there")
    upgrades_itself = values.get(judge.AUTOMATIC_UPGRADE) is True
    work.put(method=choice.method, scheme=choice.scheme, upgrades_itself=upgrades_itself)
    return choice.obstacle


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
