"""Rows of the update table are carried out: notes made, junctions followed, steps entered, requests sent."""

from typing import Final

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines import update_judge as judge
from lwm2m_fota.machines.update_codes import code_of_result
from lwm2m_fota.machines.update_effects import (
    ClearUri,
    Execute,
    Finished,
    Observe,
    PublishPackage,
    Push,
    Read,
    StepChanged,
    StopPush,
    Unobserve,
    WithdrawPackage,
    WriteNul,
    WriteUri,
)
from lwm2m_fota.machines.update_guards import holds, reset_methods
from lwm2m_fota.machines.update_policy import ResetMethod, Watch
from lwm2m_fota.machines.update_state import CancelMark, Kind, Verdict, VersionSeen, outcome_of
from lwm2m_fota.machines.update_steps import STEPS, Ask, UpdateStep, stage_of
from lwm2m_fota.machines.update_table import JUNCTIONS, Cue, End, Here, Junction, Mark, Row, Target
from lwm2m_fota.machines.update_work import Work
from lwm2m_fota.model.enums import UpdateResult

_BEGINS: Final = frozenset({UpdateStep.PUSH, UpdateStep.WRITE_URI, UpdateStep.EXECUTE, UpdateStep.AUTOMATIC})
"""Steps that begin something whose signs are told apart from older ones."""


def carry_out(work: Work, row: Row, cue: Cue) -> None:
    """Do what the row says."""
    _note(work, row.marks, row.warn)
    if row.target is Here.READ and cue is Cue.NOTIFIED and work.control.reading:
        work.put(again=True)
    else:
        _go(work, row.target)


def _note(work: Work, marks: tuple[Mark, ...], warn: str | None) -> None:
    for mark in marks:
        _mark(work, mark)
    if warn is not None:
        work.warn(warn)


def _mark(work: Work, mark: Mark) -> None:
    control = work.control
    match mark:
        case Mark.REOBSERVE:
            _observe(work)
        case Mark.FIRST_METHOD:
            work.put(next_method=0)
        case Mark.FRESH:
            work.put(baseline=UpdateResult.INITIAL)
        case Mark.MOVED:
            work.put(moved=True, again=control.again or (control.reading and not control.moved))
        case Mark.ACCEPTED:
            work.put(accepted=True)
        case Mark.UNCOUNT_TRANSFER:
            work.put(transfers=control.transfers - 1, busies=control.busies + 1)
        case Mark.UNCOUNT_EXECUTE:
            work.put(executes=control.executes - 1, busies=control.busies + 1)
        case Mark.CANCEL:
            work.put(cancel=CancelMark.ASKED)
        case Mark.TOO_LATE:
            work.put(cancel=CancelMark.LATE, verdict=None)


def _go(work: Work, target: Target) -> None:
    match target:
        case Junction():
            branch = next(one for one in JUNCTIONS[target] if holds(one.guard, work.plan, work.control))
            _note(work, branch.marks, branch.warn)
            _go(work, branch.target)
        case End():
            _end(work, target)
        case UpdateStep():
            _enter(work, target)
        case Here.READ:
            _read(work)
        case Here.STAY:
            return


def _end(work: Work, end: End) -> None:
    control = work.control
    result = control.result if judge.is_error(control.result) and judge.is_fresh(control) else None
    told = result if end.by_result else None
    code = code_of_result(told) if told is not None else end.code
    if end.kind is Kind.SUCCEEDED:
        _check_version(work)
    if end.kind is not Kind.CANCELLED and control.cancel is not CancelMark.NONE:
        work.warn("cancel.too-late")
    work.put(verdict=Verdict(end.kind, control.stage, code, told), next_method=0)
    if control.published:
        work.put(published=False)
        work.effects.append(WithdrawPackage())
    _go(work, Junction.AFTER)


def _check_version(work: Work) -> None:
    """A version never turns a good result bad (SERVICE R9): it only warns."""
    expected, now = work.plan.expected_version, work.memory.version_now
    if work.control.version is VersionSeen.UNKNOWN:
        work.warn("execute.version-unread")
    elif expected is not None and not work.plan.policy.version_match.same(now or "", expected):
        work.warn("execute.version-mismatch")


def _enter(work: Work, step: UpdateStep) -> None:
    before, now = work.control, work.now
    if before.step is UpdateStep.PUSH and before.asking:
        work.effects.append(StopPush(work.memory.request))
    if stage_of(step) is not before.stage or before.step is UpdateStep.DEFERRED:
        work.time(stage=now)
    work.time(step=now, heard=now, poll=None)
    work.put(step=step, reading=False, asking=False, again=False, settled=False)
    if step in _BEGINS:
        work.put(moved=False, baseline=work.control.result or UpdateResult.INITIAL)
    work.report(StepChanged(stage_of(step), step))
    if step is UpdateStep.FINISHED:
        _finish(work)
    _ask(work, STEPS[step].ask)


def _finish(work: Work) -> None:
    if work.control.registered and work.plan.policy.watch is Watch.OBSERVE_WITH_READ_FALLBACK:
        work.effects.append(Unobserve(judge.OBSERVED))
    outcome = outcome_of(work.machine)
    if outcome is not None:
        work.report(Finished(outcome))


def _ask(work: Work, ask: Ask) -> None:
    match ask:
        case Ask.NOTHING:
            return
        case Ask.OBSERVE:
            _observe(work)
        case Ask.LEARN | Ask.READ | Ask.VERSION:
            _read(work)
        case Ask.READ_LATER:
            work.time(poll=work.now + work.plan.policy.retry_s)
        case Ask.RESET:
            _reset(work)
        case Ask.URI:
            _write_uri(work)
        case Ask.PUSH:
            work.put(transfers=work.control.transfers + 1)
            work.remember(bytes_done=0)
            work.effects.append(Push(_request(work), judge.PACKAGE))
        case Ask.EXECUTE:
            work.put(executes=work.control.executes + 1)
            work.effects.append(Execute(_request(work), judge.UPDATE))


def _request(work: Work) -> int:
    work.put(asking=True)
    return work.number("request")


def _observe(work: Work) -> None:
    if work.plan.policy.watch is Watch.OBSERVE_WITH_READ_FALLBACK and work.control.offers:
        work.put(observing=True)
        work.effects.append(Observe(work.number("observe"), judge.OBSERVED))


def _read(work: Work) -> None:
    """Read, and read again if even that brings no answer: a lost read must not end the watch."""
    paths = {Ask.LEARN: judge.LEARNT, Ask.VERSION: (judge.VERSION,)}.get(STEPS[work.control.step].ask, judge.WATCHED)
    if work.control.step is UpdateStep.LEARN and work.control.minor >= judge.AUTOMATIC_SINCE_MINOR:
        paths = (*paths, judge.AUTOMATIC_UPGRADE)
    if not work.control.offers:
        paths = (judge.VERSION,)
    work.put(reading=True, again=False)
    work.time(poll=None if work.control.step is UpdateStep.PUSH else work.now + work.plan.limits.request_s)
    work.effects.append(Read(work.number("read"), paths))


def _reset(work: Work) -> None:
    method = reset_methods(work.plan, work.control)[work.control.next_method]
    work.put(next_method=work.control.next_method + 1)
    command = _request(work)
    match method:
        case ResetMethod.CANCEL:
            work.effects.append(Execute(command, judge.CANCEL))
        case ResetMethod.EMPTY_URI:
            work.effects.append(ClearUri(command, judge.PACKAGE_URI))
        case ResetMethod.NUL_PACKAGE:
            work.effects.append(WriteNul(command, judge.PACKAGE))


def _write_uri(work: Work) -> None:
    scheme = work.control.scheme
    if scheme is None:
        raise UsageError("a pull without a scheme")
    work.put(transfers=work.control.transfers + 1, published=True)
    work.remember(bytes_done=0)
    work.effects.append(PublishPackage(scheme))
    work.effects.append(WriteUri(_request(work), judge.PACKAGE_URI, scheme))
