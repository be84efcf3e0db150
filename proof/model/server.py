"""The server's update as the explorer sees it: what decides, and nothing that is for people or only counts up.

Limits of time may pass whenever they run. Numbers of commands are named anew after each step, so that only the answer
to the command that is waited for has its number.
"""

from collections.abc import Callable, Hashable, Iterator
from typing import Any, Final, NamedTuple, final

import attrs

from lwm2m_fota.machines import update_carry, update_intake
from lwm2m_fota.machines import update_events as ev
from lwm2m_fota.machines.update import next_deadline, start, step
from lwm2m_fota.machines.update_codes import DIAGNOSES
from lwm2m_fota.machines.update_effects import (
    ClearUri,
    Configure,
    Execute,
    Push,
    Read,
    UpdateEffect,
    WriteNul,
    WriteUri,
)
from lwm2m_fota.machines.update_events import UpdateEvent
from lwm2m_fota.machines.update_guards import holds
from lwm2m_fota.machines.update_policy import UpdatePlan
from lwm2m_fota.machines.update_snapshot import restore, snapshot
from lwm2m_fota.machines.update_state import (
    CancelMark,
    Control,
    Kind,
    Part,
    PartMemory,
    Times,
    UpdateMachine,
    VersionSeen,
)
from lwm2m_fota.machines.update_steps import UpdateStage, UpdateStep
from lwm2m_fota.machines.update_table import JUNCTIONS, TABLE
from lwm2m_fota.machines.update_times import deadlines
from lwm2m_fota.machines.update_words import Cue, Junction
from lwm2m_fota.machines.update_work import Work
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.update import UpdateResource
from lwm2m_fota.testing.explore.rules import CANCEL_ENDS, REFUSED, WAITS_END
from lwm2m_fota.testing.explore.search import Broken

Request = WriteUri | ClearUri | WriteNul | Push | Execute | Configure
"""What changes something on the device."""

REQUEST, READ, OBSERVE, STALE = 1, 2, 3, 0
"""Numbers of the commands that are waited for, and of all others."""

NEW_EPOCH: Final = 1
CANCEL_STOPS: Final = "nothing is begun after a cancellation"
ACCEPTED_ONCE: Final = "an accepted Update is not sent again"
RESTORED: Final = "a server that was restarted goes on where it was"

_NAMES: Final = {"request": REQUEST, "read": READ, "observe": OBSERVE}
_ZERO: Final = Times(started=0.0, stage=0.0, step=0.0, heard=0.0)
_TO_POLL: Final = attrs.evolve(_ZERO, poll=0.0)
_ANY_CODE: Final = next(iter(DIAGNOSES))
_OPEN: Final = frozenset({UpdateStage.EXECUTING})
_OPEN_IF_AUTOMATIC: Final = _OPEN | {UpdateStage.TRANSFERRING}
"""Stages after whose limits an installation may still come to an end."""
_NO_RESETS: Final = frozenset({UpdateStage.TRANSFERRING, UpdateStage.EXECUTING})
_SHOWN: Final = State.IDLE, UpdateResult.INITIAL


class Made(NamedTuple):
    """What an event led to.

    Attributes:
        number: of the machine that follows.
        request: what is sent to the device, if anything is.
        reads: what is asked of it, if anything is.
        broken: what does not hold of this step.
    """

    number: int
    request: Request | None
    reads: tuple[Path, ...] | None
    broken: tuple[Broken, ...]


@final
class Server:
    """All machines of one plan that were met, by number, with what each event leads to.

    Args:
        plan: of the update.
        whole: what comes after the end is followed too, and the answers to observations, which decide nothing.

    Attributes:
        machines: by number.
        kinds: how each ends, as soon as that is known.
        over: whether it is.
        fired: the rows that were taken.
    """

    def __init__(self, plan: UpdatePlan, *, whole: bool = False) -> None:
        self.plan = plan
        self._whole = whole
        self.machines: list[UpdateMachine] = []
        self.fired: set[str] = set()
        self._numbers: dict[UpdateMachine, int] = {}
        self.kinds: list[Kind | None] = []
        self.over: list[bool] = []
        self._made: dict[tuple[int, Hashable], Made] = {}

    def start(self) -> int:
        """The number of an update that has just begun."""
        return self._number(start(self.plan, 0.0))

    def _number(self, machine: UpdateMachine) -> int:
        canonical = _canonical(machine, whole=self._whole)
        number = self._numbers.get(canonical)
        if number is None:
            number = self._numbers[canonical] = len(self.machines)
            self.machines.append(canonical)
            verdict = canonical.control.verdict
            self.kinds.append(None if verdict is None else verdict.kind)
            self.over.append(canonical.finished)
        return number

    def give(self, number: int, key: UpdateEvent | Hashable, event: Callable[[], UpdateEvent] | None = None) -> Made:
        """Let a machine take an event; `key` is the event, or stands for what makes it."""
        asked = number, key
        made = self._made.get(asked)
        if made is None:
            happened = key if event is None else event()
            made = self._made[asked] = self._take(self.machines[number], happened)  # type: ignore[arg-type]
        return made

    def pass_limit(self, number: int, cue: Cue) -> Made:
        """Let one of its limits pass, and none that is graver."""
        return self._take(_late_for(self.machines[number], cue), ev.TimePassed())

    def limits(self, number: int) -> tuple[Cue, ...]:
        """The limits that run."""
        return tuple(cue for _, cue in deadlines(self.machines[number]))

    def restart(self, number: int) -> Made:
        """Let the server's process end, and another one go on with what was stored."""
        machine = self.machines[number]
        stored = restore(snapshot(machine, 0.0), 0.0)
        made = self.give(number, ev.Restarted())
        if stored != machine:
            return made._replace(broken=(*made.broken, Broken(RESTORED, str(stored.control))))
        return made

    def _take(self, machine: UpdateMachine, event: UpdateEvent) -> Made:
        self.fired.update(_fired(machine, event))
        taken = step(machine, event, 0.0)
        after = taken.machine
        request = next((each for each in taken.effects if isinstance(each, Request)), None)
        reads = next((each.paths for each in taken.effects if isinstance(each, Read)), None)
        broken = tuple(_check(machine, event, after, taken.effects))
        return Made(self._number(after), request and attrs.evolve(request, command=REQUEST), reads, broken)


def _canonical(machine: UpdateMachine, *, whole: bool) -> UpdateMachine:
    """The same machine for all that decides."""
    if machine.control.step is UpdateStep.FINISHED or (machine.finished and not whole):  # it sends no request any more
        return _ended(machine)
    memory = machine.memory
    parts = tuple(
        PartMemory(
            version_before=each.version_before,
            state=None if each.state is None else _SHOWN[0],
            result=None if each.result is None else _SHOWN[1],
        )
        for each in memory.parts
    )
    return attrs.evolve(
        machine,
        control=_deciding(machine.control, whole=whole),
        times=_ZERO if machine.times.poll is None else _TO_POLL,
        memory=attrs.evolve(
            memory,
            command=OBSERVE,
            request=REQUEST,
            read=READ,
            observe=OBSERVE,
            epoch=None if memory.epoch is None else NEW_EPOCH - 1,
            bytes_done=min(memory.bytes_done, 1),
            parts=parts,
            warnings=(),
        ),
    )


def _ended(machine: UpdateMachine) -> UpdateMachine:
    """An update that is over, however it came to its end: what kind that is, and what is named as updated."""
    first, verdict = start(machine.plan, 0.0), machine.control.verdict
    if verdict is not None:
        verdict = attrs.evolve(verdict, code=_ANY_CODE, result=None)
    parts = tuple(Part(done=each.done) for each in machine.control.parts)
    return attrs.evolve(
        first, control=attrs.evolve(first.control, step=UpdateStep.FINISHED, verdict=verdict, parts=parts)
    )


def _deciding(control: Control, *, whole: bool) -> Control:
    """What of the control state a later step may still ask for."""
    changes: dict[str, Any] = {}
    if not (whole or control.step is UpdateStep.OBSERVE):  # elsewhere its answer is a warning at most
        changes["observing"] = False
    if control.stage in _NO_RESETS:
        changes["next_method"] = 0
    verdict = control.verdict
    if control.stage is UpdateStage.EXECUTING:
        changes["parts"] = tuple(_executed(each) for each in control.parts)
    if verdict is not None:
        open_stages = _OPEN_IF_AUTOMATIC if control.upgrades_itself else _OPEN
        is_open = verdict.stage in open_stages and verdict.kind in {Kind.TIMED_OUT, Kind.UNDETERMINED}
        stage = verdict.stage if is_open else UpdateStage.PREPARING
        changes["verdict"] = attrs.evolve(verdict, stage=stage, code=_ANY_CODE, result=None)
        changes["settled"] = control.settled and control.step is UpdateStep.LATE
        changes["accepted"] = False
        changes["executes"] = min(control.executes, 1)
        if verdict.kind is Kind.CANCELLED:
            changes["parts"] = tuple(_tidied(each) for each in control.parts)
        elif not is_open:  # whatever it shows, being Idle ends it
            changes["parts"] = tuple(Part(state=each.state, done=each.done) for each in control.parts)
            changes["executes"] = 0
    return attrs.evolve(control, **changes)


def _executed(part: Part) -> Part:
    """A part that has moved: what it showed before matters only where that was a success."""
    forgets = part.moved and part.baseline is not UpdateResult.SUCCESS
    return attrs.evolve(part, baseline=UpdateResult.INITIAL) if forgets else part


def _tidied(part: Part) -> Part:
    """A part that is being brought to Idle: only whether it was installed after all makes a difference."""
    told = part.result is UpdateResult.SUCCESS
    return Part(
        moved=part.moved,
        baseline=UpdateResult.INITIAL if part.moved or part.baseline is not UpdateResult.SUCCESS else part.baseline,
        state=part.state,
        result=UpdateResult.SUCCESS if told else UpdateResult.INITIAL,
        version=VersionSeen.EXPECTED if part.version is VersionSeen.EXPECTED else VersionSeen.SAME,
        kept=part.kept,
        done=part.done,
    )


def _late_for(machine: UpdateMachine, cue: Cue) -> UpdateMachine:
    """The machine at the time at which this limit has just passed."""
    at = next(at for at, each in deadlines(machine) if each is cue)
    times = machine.times
    match cue:
        case Cue.TOTAL_LIMIT:
            return attrs.evolve(machine, times=attrs.evolve(times, started=-at))
        case Cue.STAGE_LIMIT:
            return attrs.evolve(machine, times=attrs.evolve(times, stage=-at))
        case Cue.SILENCE:
            return attrs.evolve(machine, times=attrs.evolve(times, step=-at, heard=-at))
        case _:
            return machine


def _fired(machine: UpdateMachine, event: UpdateEvent) -> Iterator[str]:
    """The cell of the table, and the branches of junctions, that this event takes; found beside the step."""
    work = Work(machine, 0.0)
    cue = update_intake.take_in(work, event)
    row = None if cue is None else TABLE.get((machine.control.step, cue))
    if cue is None or row is None:
        return
    yield cell_name(machine.control.step, cue)
    taken: list[str] = []
    _watch(taken, work, row, cue)
    yield from taken


def _watch(taken: list[str], work: Work, row: object, cue: Cue) -> None:
    """Carry the row out once more, and note which branches are taken on the way."""
    go = getattr(update_carry, _GO)

    def noted(work: Work, target: object) -> None:
        if isinstance(target, Junction):
            branches = JUNCTIONS[target]
            at = next(at for at, one in enumerate(branches) if holds(one.guard, work.plan, work.control))
            taken.append(branch_name(target, at))
        go(work, target)

    setattr(update_carry, _GO, noted)
    try:
        update_carry.carry_out(work, row, cue)  # type: ignore[arg-type]
    finally:
        setattr(update_carry, _GO, go)


_GO: Final = "_go"


def cell_name(at: UpdateStep, cue: Cue) -> str:
    """A cell of the update table in words."""
    return f"{at.value}, {cue.value}"


def branch_name(junction: Junction, at: int) -> str:
    """A branch of a junction in words."""
    guard = JUNCTIONS[junction][at].guard
    return f"{junction.value}: {'otherwise' if guard is None else guard.value}"


# ---- what must hold ------------------------------------------------------------------------------------------------


def _check(
    before: UpdateMachine, event: UpdateEvent, after: UpdateMachine, effects: tuple[UpdateEffect, ...]
) -> Iterator[Broken]:
    if after is before and effects:
        yield Broken(REFUSED, f"{len(effects)} effects")
    if before.finished and any(isinstance(each, Request) for each in effects):
        yield Broken(REFUSED, "a request after the end")
    if after.control.step is not UpdateStep.FINISHED and next_deadline(after) is None:
        yield Broken(WAITS_END, after.control.step.value)
    told = after.control.cancel is not CancelMark.NONE or after.control.verdict is not None
    if isinstance(event, ev.CancelRequested) and not (told or before.finished):
        yield Broken(CANCEL_ENDS, f"nobody heard it in {before.control.step.value}")
    again = any(_is_update(each) for each in effects)
    begun = again or any(isinstance(each, Push | WriteUri) for each in effects)
    if begun and before.control.cancel is not CancelMark.NONE:
        yield Broken(CANCEL_STOPS, before.control.step.value)
    if again and before.control.accepted and not _is_other_batch(before, after):
        yield Broken(ACCEPTED_ONCE, before.control.step.value)


def _is_update(effect: UpdateEffect) -> bool:
    return isinstance(effect, Execute) and effect.path.ids[2] == UpdateResource.UPDATE


def _is_other_batch(before: UpdateMachine, after: UpdateMachine) -> bool:
    return [part.done for part in before.control.parts] != [part.done for part in after.control.parts]
