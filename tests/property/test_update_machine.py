"""The server's update machine under any events in any order."""

import json
import random

from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.machines.update import Step, handle_timeout, next_deadline, start, step
from lwm2m_fota.machines.update_codes import DIAGNOSES
from lwm2m_fota.machines.update_effects import Execute, Finished, Push, Report, StepChanged, WriteUri
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
    WriteAnswered,
)
from lwm2m_fota.machines.update_outcome import Succeeded
from lwm2m_fota.machines.update_policy import ExecuteAgain, Method, UpdatePlan, UpdatePolicy, Watch
from lwm2m_fota.machines.update_snapshot import restore, snapshot
from lwm2m_fota.machines.update_state import CancelMark
from lwm2m_fota.machines.update_steps import UpdateStage, UpdateStep
from lwm2m_fota.machines.update_times import deadlines
from lwm2m_fota.machines.update_why import why
from lwm2m_fota.machines.update_words import Cue
from lwm2m_fota.model.paths import Path

STATE, RESULT, VERSION = Path.of(5, 0, 3), Path.of(5, 0, 5), Path.of(3, 0, 3)
UPDATE = Path.of(5, 0, 2)

CODES = [0x44] * 9 + [0x80, 0x81, 0x85, 0x88, 0x8D, 0xA0, 0xA3, 0xA4]
STATES = [0, 1, 2, 3, 9, None]
RESULTS = [0, 1, 2, 4, 5, 8, 9, 10, 11, 99, None]
# Pairs as devices show them, and some that none should.
ODD_PAIRS = [
    (0, 4),
    (0, 5),
    (0, 8),
    (0, 9),
    (0, 10),
    (0, 11),
    (2, 8),
    (2, 11),
    (2, 11),
    (2, 13),
    (2, 1),
    (3, 8),
    (1, 1),
]
NO_PAIRS = [(0, 99), (None, 0), (0, None), (9, 0)]
PAIRS = [(0, 0)] * 5 + [(1, 0)] * 3 + [(2, 0)] * 8 + [(3, 0)] * 3 + [(0, 1)] * 2 + ODD_PAIRS + NO_PAIRS
ABILITIES = (
    [(2, (0,), None)] * 6
    + [(2, (0,), True)] * 5
    + [(0, (1, 99), False), (1, None, None), (2, (), None), (7, (3,), None)]
)
VERSIONS = ["1", "1", "1", "2", "3", None]
OFFERS = [{5: "1.0"}, {5: "1.1"}, {5: "1.2"}, {5: "1.2"}, {5: "1.1", 3: "1.0"}, {5: "1.2"}, {}]
FIRST = Registered(object_versions={5: "1.2", 3: "1.0"}, epoch=2000)
plans = st.builds(
    UpdatePlan,
    method=st.sampled_from(list(Method)),
    package_bytes=st.just(4096),
    expected_version=st.sampled_from([None, "1", "2"]),
    schemes=st.sampled_from([("coap",), ("coaps", "coap"), ("http",)]),
    policy=st.builds(
        UpdatePolicy,
        watch=st.sampled_from(list(Watch)),
        execute_again=st.sampled_from(list(ExecuteAgain)),
        both=st.sampled_from([Method.PULL, Method.PUSH]),
        tidy=st.booleans(),
        max_busy=st.integers(0, 3),
    ),
)


def values_of(pair, ability, version):
    delivery, protocols, automatic = ability
    known = {
        STATE: pair[0],
        RESULT: pair[1],
        VERSION: version,
        Path.of(5, 0, 8): protocols,
        Path.of(5, 0, 9): delivery,
        Path.of(5, 0, 14): automatic,
    }
    return {path: value for path, value in known.items() if value is not None}


ANSWERS = {UpdateStep.PUSH: PushAnswered, UpdateStep.EXECUTE: ExecuteAnswered}


def _fitting(pair, ability, version, code):
    """What the machine waits for: an answer if a command is out, or time."""

    def make(machine, now):
        control, memory = machine.control, machine.memory
        if control.reading:
            return ReadAnswered(memory.read, values_of(pair, ability, version)), now
        if control.asking:
            return ANSWERS.get(control.step, WriteAnswered)(memory.request, code), now
        if control.observing:
            return ObserveAnswered(memory.observe, code), now
        return TimePassed(), max(now, next_deadline(machine) or now)

    return make


def _failing(code):
    """No answer, or an error, to what the machine waits for."""

    def make(machine, now):
        memory, reading = machine.memory, machine.control.reading
        if reading:
            return ReadFailed(memory.read, code), now
        number = memory.request if machine.control.asking else memory.observe
        return RequestFailed(number, "lost"), now

    return make


def _waiting(_machine, now):
    return TimePassed(), max(now, next_deadline(_machine) or now)


def _silent(machine, now):
    """Nothing but time, until a limit passes."""
    limits = [at for at, cue in deadlines(machine) if cue is not Cue.POLL]
    return TimePassed(), max(now, min(limits, default=now))


def _plainly(event):
    return lambda _machine, now: (event, now)


def _pushing(done):
    return lambda machine, now: (PushProgress(machine.memory.request, done), now + 1)


def _choose(rng):
    """One thing that happens: mostly what the machine waits for, so that long ways are gone; else anything."""
    pick = rng.choice
    if rng.random() < 0.75:
        return _fitting(pick(PAIRS), pick(ABILITIES), pick(VERSIONS), pick(CODES))
    return pick(
        [
            _failing(pick(CODES)),
            _failing(pick(CODES)),
            _waiting,
            _waiting,
            _silent,
            _pushing(rng.randrange(4097)),
            _plainly(Registered(object_versions=pick(OFFERS), epoch=rng.randrange(1000))),
            _plainly(pick([Deregistered(), Lapsed(), Restarted(), TimePassed()])),
            _plainly(Notified(STATE, pick(STATES))),
            _plainly(Notified(RESULT, pick(RESULTS))),
            _plainly(PullProgress(rng.randrange(4097))),
            _plainly(RequestFailed(rng.randrange(50))),
            lambda machine, now: (SourceFailed(machine.memory.request), now),
        ]
    )


def _script(seed):
    """A history from a seed: drawn item by item, hypothesis would seldom come further than the first stage."""
    rng = random.Random(seed)
    return [_choose(rng) for _ in range(rng.randrange(60))]


things = st.integers(0, 2**64).map(_script)


def run(plan, script):
    """Every step of a run: (machine before, event, now, Step)."""
    now = 1000.0
    machine = start(plan, now)
    taken = []
    for thing in [_plainly(FIRST), *script]:
        event, now = thing(machine, now)
        made = step(machine, event, now)
        taken.append((machine, event, now, made))
        machine = made.machine
    return machine, now, taken


@given(plans, things)
def test_every_update_ends_when_time_passes(plan, script):
    machine, now, _ = run(plan, script)
    begun = now
    for _ in range(2000):
        deadline = next_deadline(machine)
        if deadline is None:
            break
        now = max(now, deadline)
        machine = handle_timeout(machine, now).machine
    assert machine.finished
    assert machine.outcome is not None
    limits = plan.limits
    assert now - begun <= limits.total_s + limits.executing_s + 2 * limits.cleanup_s


@given(plans, things, st.booleans())
def test_the_same_inputs_give_the_same_outputs(plan, script, cancel):
    whole = [*script, _plainly(CancelRequested())] if cancel else script
    assert run(plan, whole) == run(plan, whole)


@given(plans, things)
def test_a_snapshot_at_any_point_goes_on_the_same(plan, script):
    for machine, event, now, made in run(plan, script)[2]:
        stored = json.loads(json.dumps(snapshot(machine, now)))
        assert step(restore(stored, now), event, now) == made


@given(plans, things)
def test_what_always_holds(plan, script):
    executed = 0
    for before, _, now, made in run(plan, script)[2]:
        after = made.machine
        executed += sum(isinstance(one, Execute) and one.path == UPDATE for one in made.effects)
        assert not (
            before.control.accepted and any(isinstance(one, Execute) and one.path == UPDATE for one in made.effects)
        )
        assert after.control.transfers <= max(plan.policy.max_pushes, plan.policy.max_pulls)
        assert after.control.executes <= plan.policy.max_executes
        assert after.control.busies <= plan.policy.max_busy + 1
        assert set(after.memory.warnings) <= set(DIAGNOSES)
        assert len(set(after.memory.warnings)) == len(after.memory.warnings)
        assert hash(after.control) == hash(after.control)
        deadline = next_deadline(after)
        assert (deadline is None) is after.finished
        told = why(after, now)
        assert told.awaits
        if not after.finished and after.stage is not UpdateStage.CLEANUP:
            assert told.deadline <= after.times.started + plan.limits.total_s
    assert executed <= plan.policy.max_executes + plan.policy.max_busy + 1


@given(plans, things)
def test_commands_are_numbered_once_and_upwards(plan, script):
    numbers = []
    for _, _, _, made in run(plan, script)[2]:
        numbers += [one.command for one in made.effects if hasattr(one, "command") and type(one).__name__ != "StopPush"]
    assert numbers == sorted(set(numbers))


@given(plans, things)
def test_nothing_is_sent_while_it_may_already_be_under_way(plan, script):
    """After Execute only a look may lead to another Execute; no transfer begins once Update was sent."""
    sent = False
    for _, _, _, made in run(plan, script)[2]:
        for one in made.effects:
            assert not (sent and isinstance(one, Push | WriteUri))
            sent = sent or (isinstance(one, Execute) and one.path == UPDATE)


@given(plans, things, things)
def test_a_cancelled_update_ends_and_is_told_apart(plan, script, more):
    machine, now, _ = run(plan, [*script, _plainly(CancelRequested()), *more])
    for _ in range(2000):
        deadline = next_deadline(machine)
        if deadline is None:
            break
        now = max(now, deadline)
        machine = handle_timeout(machine, now).machine
    assert machine.finished
    if machine.control.cancel is CancelMark.LATE:
        assert "cancel.too-late" in machine.memory.warnings


@given(plans, things)
def test_an_ignored_event_changes_nothing_and_a_finish_is_said_once(plan, script):
    finishes = 0
    for before, _, _, made in run(plan, script)[2]:
        assert isinstance(made, Step)
        if before.finished:
            assert made.machine is before
            assert made.effects == ()
        finishes += sum(isinstance(one, Report) and isinstance(one.note, Finished) for one in made.effects)
        steps = [one.note for one in made.effects if isinstance(one, Report) and isinstance(one.note, StepChanged)]
        assert not steps or steps[-1].step is made.machine.control.step
    assert finishes <= 1


@given(plans, things)
def test_success_needs_a_sign_of_it(plan, script):
    machine, _, taken = run(plan, script)
    if isinstance(machine.outcome, Succeeded):
        shown = [event for _, event, _, _ in taken if isinstance(event, ReadAnswered | Notified)]
        result_1 = any(
            (isinstance(event, ReadAnswered) and event.values.get(RESULT) == 1)
            or (isinstance(event, Notified) and event.path == RESULT and event.value == 1)
            for event in shown
        )
        versions = {event.values.get(VERSION) for event in shown if isinstance(event, ReadAnswered)} - {None}
        assert result_1 or len(versions) > 1
