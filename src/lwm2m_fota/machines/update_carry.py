"""Rows of the update table are carried out: notes made, junctions followed, steps entered, requests sent."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

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
    UpdateEffect,
    WithdrawPackage,
    WriteNul,
    WriteUri,
)
from lwm2m_fota.machines.update_guards import holds, reset_methods
from lwm2m_fota.machines.update_policy import ResetMethod, Watch
from lwm2m_fota.machines.update_state import CancelMark, Kind, Verdict, VersionSeen, outcome_of
from lwm2m_fota.machines.update_steps import STEPS, Ask, UpdateStep, stage_of
from lwm2m_fota.machines.update_table import JUNCTIONS
from lwm2m_fota.machines.update_words import Cue, End, Here, Junction, Mark, Row, Target
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
    _ASKS[STEPS[step].ask](work)


def _finish(work: Work) -> None:
    if work.control.registered and work.plan.policy.watch is Watch.OBSERVE_WITH_READ_FALLBACK:
        work.effects.append(Unobserve(judge.OBSERVED))
    work.report(Finished(outcome_of(work.machine)))


def _request(work: Work) -> int:
    work.put(asking=True)
    return work.number("request")


def _observe(work: Work) -> None:
    observes = work.plan.policy.watch is Watch.OBSERVE_WITH_READ_FALLBACK
    if observes and work.control.registered and work.control.offers:
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


def _read_later(work: Work) -> None:
    work.time(poll=work.now + work.plan.policy.retry_s)


def _reset(work: Work) -> None:
    method = reset_methods(work.plan, work.control)[work.control.next_method]
    work.put(next_method=work.control.next_method + 1)
    command = _request(work)
    effects: dict[ResetMethod, UpdateEffect] = {
        ResetMethod.CANCEL: Execute(command, judge.CANCEL),
        ResetMethod.EMPTY_URI: ClearUri(command, judge.PACKAGE_URI),
        ResetMethod.NUL_PACKAGE: WriteNul(command, judge.PACKAGE),
    }
    work.effects.append(effects[method])


def _write_uri(work: Work) -> None:
    work.put(transfers=work.control.transfers + 1, published=True)
    work.remember(bytes_done=0)
    work.effects.append(PublishPackage(work.control.scheme))
    work.effects.append(WriteUri(_request(work), judge.PACKAGE_URI, work.control.scheme))


def _push(work: Work) -> None:
    work.put(transfers=work.control.transfers + 1)
    work.remember(bytes_done=0)
    work.effects.append(Push(_request(work), judge.PACKAGE))


def _execute(work: Work) -> None:
    work.put(executes=work.control.executes + 1)
    work.effects.append(Execute(_request(work), judge.UPDATE))


_ASKS: Final[Mapping[Ask, Callable[[Work], None]]] = MappingProxyType(
    {
        Ask.NOTHING: lambda _: None,
        Ask.OBSERVE: _observe,
        Ask.LEARN: _read,
        Ask.READ: _read,
        Ask.READ_LATER: _read_later,
        Ask.VERSION: _read,
        Ask.RESET: _reset,
        Ask.URI: _write_uri,
        Ask.PUSH: _push,
        Ask.EXECUTE: _execute,
    }
)


def _begun(work: Work) -> None:
    """The device fetches: an answer to a read that was asked before tells of the time before."""
    control = work.control
    work.put(moved=True, again=control.again or (control.reading and not control.moved))


def _uncount_transfer(work: Work) -> None:
    work.put(transfers=work.control.transfers - 1, busies=work.control.busies + 1)


def _uncount_execute(work: Work) -> None:
    work.put(executes=work.control.executes - 1, busies=work.control.busies + 1)


_MARKS: Final[Mapping[Mark, Callable[[Work], None]]] = MappingProxyType(
    {
        Mark.REOBSERVE: _observe,
        Mark.FIRST_METHOD: lambda work: work.put(next_method=0),
        Mark.FRESH: lambda work: work.put(baseline=UpdateResult.INITIAL),
        Mark.MOVED: _begun,
        Mark.ACCEPTED: lambda work: work.put(accepted=True),
        Mark.UNCOUNT_TRANSFER: _uncount_transfer,
        Mark.UNCOUNT_EXECUTE: _uncount_execute,
        Mark.CANCEL: lambda work: work.put(cancel=CancelMark.ASKED),
        Mark.TOO_LATE: lambda work: work.put(cancel=CancelMark.LATE, verdict=None),
    }
)
