"""Rows of the update table are carried out: notes made, junctions followed, steps entered, requests sent."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from lwm2m_fota.machines import update_judge as judge
from lwm2m_fota.machines import update_places as places
from lwm2m_fota.machines.update_codes import code_of_result
from lwm2m_fota.machines.update_effects import (
    CameLate,
    ClearUri,
    Configure,
    Execute,
    Finished,
    Observe,
    PublishPackage,
    Push,
    Read,
    StepChanged,
    StopPush,
    Unobserve,
    UpdateEffect,
    WithdrawPackage,
    WriteNul,
    WriteUri,
)
from lwm2m_fota.machines.update_guards import holds, left_parts, next_part, reset_methods
from lwm2m_fota.machines.update_learn import settings_of
from lwm2m_fota.machines.update_policy import DeferralBound, Execution, ResetMethod, Watch
from lwm2m_fota.machines.update_state import CancelMark, Kind, Verdict, VersionSeen, outcome_of
from lwm2m_fota.machines.update_steps import STEPS, Ask, UpdateStep, stage_of
from lwm2m_fota.machines.update_table import JUNCTIONS
from lwm2m_fota.machines.update_words import Cue, End, Here, Junction, Mark, Row, Target
from lwm2m_fota.machines.update_work import Work
from lwm2m_fota.model.advanced import ADVANCED_OBJECT_ID
from lwm2m_fota.model.enums import UpdateResult
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.update import UpdateResource

_DELIVERS: Final = frozenset({UpdateStep.PUSH, UpdateStep.WRITE_URI})
_BEGINS: Final = _DELIVERS | {UpdateStep.EXECUTE, UpdateStep.AUTOMATIC}
"""Steps that begin something whose signs are told apart from older ones."""

_ENDS: Final = frozenset({UpdateStep.LATE, UpdateStep.FINISHED})


def carry_out(work: Work, row: Row, cue: Cue) -> None:
    """Do what the row says."""
    _note(work, row.marks, row.warn)
    if row.target is Here.READ and cue is Cue.NOTIFIED and work.control.reading:
        work.put(again=True)
    else:
        _go(work, row.target)


def _note(work: Work, marks: tuple[Mark, ...], warn: str | None) -> None:
    for mark in marks:
        _MARKS[mark](work)
    if warn is not None:
        work.warn(warn)


def _go(work: Work, target: Target) -> None:
    if isinstance(target, Junction):
        branch = next(one for one in JUNCTIONS[target] if holds(one.guard, work.plan, work.control))
        _note(work, branch.marks, branch.warn)
        _go(work, branch.target)
    elif isinstance(target, End):
        _end(work, target)
    elif isinstance(target, UpdateStep):
        _enter(work, target)
    elif target is Here.READ:
        _read(work)


def _end(work: Work, end: End) -> None:
    _mark_done(work)
    control = work.control
    told = _told_result(work) if end.by_result else None
    code = code_of_result(told) if told is not None else end.code
    if end.kind is Kind.SUCCEEDED:
        _check_versions(work)
    if end.kind is not Kind.CANCELLED and control.cancel is not CancelMark.NONE:
        work.warn("cancel.too-late")
    left = left_parts(control)
    stays = not left or control.at in left or (end.kind is Kind.CANCELLED and not control.part.done)
    at = control.at if stays else left[0]
    work.put(verdict=Verdict(end.kind, control.stage, code, told), next_method=0, at=at)
    if control.published:
        work.put(published=False)
        work.effects.append(WithdrawPackage())
    _go(work, Junction.AFTER)


def _told_result(work: Work) -> UpdateResult | None:
    """The error that the device itself reports in this attempt: of the part in focus, or of another that counts."""
    control = work.control
    for index in (control.at, *judge.watched_parts(work.plan, control)):
        part = control.parts[index]
        if judge.is_error(part.result) and judge.is_fresh(part):
            return part.result
    return None


def _check_versions(work: Work) -> None:
    """A version never turns a good result bad (SERVICE R9): it only warns."""
    same = work.plan.policy.version_match.same
    for index, (plan, part) in enumerate(zip(work.plan.parts, work.control.parts, strict=True)):
        now = work.memory.parts[index].version_now
        if part.version is VersionSeen.UNKNOWN:
            work.warn("execute.version-unread")
        elif plan.expected_version is not None and not same(now or "", plan.expected_version):
            work.warn("execute.version-mismatch")


def _enter(work: Work, step: UpdateStep) -> None:
    before, now = work.control, work.now
    if before.step is UpdateStep.PUSH and before.asking:
        work.effects.append(StopPush(work.memory.request))
    if before.step is UpdateStep.DEFERRED and work.plan.policy.deferral is DeferralBound.DEVICE_PERIOD:
        work.time(started=work.machine.times.started + now - work.machine.times.step)
    if stage_of(step) is not before.stage or before.step is UpdateStep.DEFERRED:
        work.time(stage=now)
    work.time(step=now, heard=now, poll=None)
    work.put(step=step, reading=False, asking=False, again=False, settled=False)
    if step in _BEGINS:
        _begin(work, step)
    work.report(StepChanged(stage_of(step), step, work.name(work.control.at)))
    if step in _ENDS:
        _finish(work, before.step)
    _ASKS[STEPS[step].ask](work)


def _begin(work: Work, step: UpdateStep) -> None:
    if step in _DELIVERS:
        work.put(at=work.control.order[work.control.delivered])
    for index in judge.watched_parts(work.plan, work.control):
        result = work.control.parts[index].result
        work.put_part(index, moved=False, baseline=result or UpdateResult.INITIAL)


def _finish(work: Work, before: UpdateStep) -> None:
    step, control = work.control.step, work.control
    observes = work.plan.policy.watch is Watch.OBSERVE_WITH_READ_FALLBACK
    if step is UpdateStep.FINISHED and control.registered and observes and control.targets:
        work.effects.append(Unobserve(places.observed(control)))
    if before is not UpdateStep.LATE:
        work.report(Finished(outcome_of(work.machine)))


def _request(work: Work) -> int:
    work.put(asking=True)
    return work.number("request")


def _observe(work: Work) -> None:
    observes = work.plan.policy.watch is Watch.OBSERVE_WITH_READ_FALLBACK
    if observes and work.control.registered and work.control.offers:
        work.put(observing=True)
        work.effects.append(Observe(work.number("observe"), places.observed(work.control)))


def _read(work: Work) -> None:
    """Read, and read again if even that brings no answer: a lost read must not end the watch."""
    control = work.control
    match STEPS[control.step].ask:
        case Ask.COMPONENTS:
            paths = places.name_places(control)
        case Ask.VERSION:
            paths = places.versions(control, range(len(control.parts)))
        case Ask.LEARN:
            watched = places.watched(control, judge.watched_parts(work.plan, control))
            set_ = (path for path, _ in _settings(work))
            paths = tuple(dict.fromkeys((*watched, *places.learnt(control), *set_)))
        case _:
            paths = places.watched(control, judge.watched_parts(work.plan, control))
    work.put(reading=True, again=False)
    work.time(poll=None if control.step is UpdateStep.PUSH else work.now + work.plan.limits.request_s)
    work.effects.append(Read(work.number("read"), paths))


def _read_later(work: Work) -> None:
    work.time(poll=work.now + work.plan.policy.retry_s)


def _reset(work: Work) -> None:
    control = work.control
    method = reset_methods(work.plan, control)[control.next_method]
    work.put(next_method=control.next_method + 1)
    command, at = _request(work), control.at
    effects: dict[ResetMethod, UpdateEffect] = {
        ResetMethod.CANCEL: Execute(command, places.place(control, at, UpdateResource.CANCEL)),
        ResetMethod.EMPTY_URI: ClearUri(command, places.place(control, at, UpdateResource.PACKAGE_URI)),
        ResetMethod.NUL_PACKAGE: WriteNul(command, places.place(control, at, UpdateResource.PACKAGE)),
    }
    work.effects.append(effects[method])


def _configure(work: Work) -> None:
    work.put(configured=True)
    work.effects.append(Configure(_request(work), _settings(work)))


def _settings(work: Work) -> tuple[tuple[Path, int | bool], ...]:
    """What the plan sets, for each part."""
    control = work.control
    return tuple(
        (places.place(control, index, resource_id), value)
        for index in range(len(control.targets))
        for resource_id, value in settings_of(work.plan, control)
    )


def _write_uri(work: Work) -> None:
    control = work.control
    work.put(transfers=control.transfers + 1, published=True)
    work.remember(bytes_done=0)
    work.effects.append(PublishPackage(control.scheme, work.plan.parts[control.at].package))
    path = places.place(control, control.at, UpdateResource.PACKAGE_URI)
    work.effects.append(WriteUri(_request(work), path, control.scheme))


def _push(work: Work) -> None:
    control = work.control
    work.put(transfers=control.transfers + 1)
    work.remember(bytes_done=0)
    path = places.place(control, control.at, UpdateResource.PACKAGE)
    work.effects.append(Push(_request(work), path, work.plan.parts[control.at].package))


def _execute(work: Work) -> None:
    control = work.control
    work.put(executes=control.executes + 1)
    path = places.place(control, control.at, UpdateResource.UPDATE)
    work.effects.append(Execute(_request(work), path, _others(work)))


def _others(work: Work) -> tuple[int, ...] | None:
    """The argument of Update: exactly those of the plan, or what the device decides (SPEC 4.2)."""
    control, execution = work.control, work.plan.policy.execution
    is_one = control.object_id != ADVANCED_OBJECT_ID or not work.plan.components
    if is_one or execution is Execution.LINKED:
        return None
    if execution is Execution.EACH:
        return ()
    undone = (index for index, part in enumerate(control.parts) if not part.done and index != control.at)
    return tuple(sorted(control.targets[index] for index in undone))


_ASKS: Final[Mapping[Ask, Callable[[Work], None]]] = MappingProxyType(
    {
        Ask.NOTHING: lambda _: None,
        Ask.COMPONENTS: _read,
        Ask.OBSERVE: _observe,
        Ask.LEARN: _read,
        Ask.READ: _read,
        Ask.READ_LATER: _read_later,
        Ask.VERSION: _read,
        Ask.RESET: _reset,
        Ask.CONFIGURE: _configure,
        Ask.URI: _write_uri,
        Ask.PUSH: _push,
        Ask.EXECUTE: _execute,
    }
)


def _begun(work: Work) -> None:
    """The device fetches: an answer to a read that was asked before tells of the time before."""
    control = work.control
    work.put(again=control.again or (control.reading and not control.part.moved))
    work.put_part(control.at, moved=True)


def _fresh(work: Work) -> None:
    work.put_part(work.control.at, baseline=UpdateResult.INITIAL)


def _next_part(work: Work) -> None:
    after = next_part(work.plan, work.control)
    work.put(delivered=work.control.delivered if after is None else after, transfers=0, busies=0)


def _batch(work: Work) -> None:
    at = next(index for index in work.control.order if not work.control.parts[index].done)
    work.put(at=at, executes=0, busies=0, accepted=False)


def _mark_done(work: Work) -> None:
    for index in tuple(judge.done_parts(work.plan, work.control)):
        work.put_part(index, done=True)


def _late(work: Work) -> None:
    for index, memory in enumerate(work.memory.parts):
        if memory.state is None or memory.result is None:
            raise AssertionError("no Update is executed before every part was read")
        work.remember_part(index, late=(int(memory.state), int(memory.result)))
        is_known = work.control.parts[index].version is not VersionSeen.UNKNOWN
        version = memory.version_now if is_known else None
        work.report(CameLate(memory.state, memory.result, version, work.name(index)))


def _uncount_transfer(work: Work) -> None:
    work.put(transfers=work.control.transfers - 1, busies=work.control.busies + 1)


def _uncount_execute(work: Work) -> None:
    work.put(executes=work.control.executes - 1, busies=work.control.busies + 1)


_MARKS: Final[Mapping[Mark, Callable[[Work], None]]] = MappingProxyType(
    {
        Mark.REOBSERVE: _observe,
        Mark.FIRST_METHOD: lambda work: work.put(next_method=0),
        Mark.FRESH: _fresh,
        Mark.MOVED: _begun,
        Mark.NEXT_PART: _next_part,
        Mark.BATCH: _batch,
        Mark.DONE: _mark_done,
        Mark.LATE: _late,
        Mark.ACCEPTED: lambda work: work.put(accepted=True),
        Mark.UNCOUNT_TRANSFER: _uncount_transfer,
        Mark.UNCOUNT_EXECUTE: _uncount_execute,
        Mark.CANCEL: lambda work: work.put(cancel=CancelMark.ASKED),
        Mark.TOO_LATE: lambda work: work.put(cancel=CancelMark.LATE, verdict=None),
    }
)
