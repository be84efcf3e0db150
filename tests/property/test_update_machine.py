"""The server's update machine under any events in any order: Object 5, Object 33629, one component and several."""

import json
import random

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lwm2m_fota.machines.update import Step, handle_timeout, next_deadline, start, step
from lwm2m_fota.machines.update_codes import DIAGNOSES
from lwm2m_fota.machines.update_effects import Execute, Finished, Progressed, Push, Report, StepChanged, WriteUri
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
from lwm2m_fota.machines.update_policy import (
    ComponentPlan,
    DeferralBound,
    DeviceSettings,
    ExecuteAgain,
    Execution,
    Method,
    NotAutomatic,
    ResetMethod,
    UpdatePlan,
    UpdatePolicy,
    Watch,
)
from lwm2m_fota.machines.update_snapshot import restore, snapshot
from lwm2m_fota.machines.update_state import CancelMark
from lwm2m_fota.machines.update_steps import UpdateStage, UpdateStep
from lwm2m_fota.machines.update_times import deadlines
from lwm2m_fota.machines.update_trace import first_line, line, read_trace, replay
from lwm2m_fota.machines.update_why import why
from lwm2m_fota.machines.update_words import Cue
from lwm2m_fota.model.paths import Path
from lwm2m_fota.testing.agreement import CrashingStores

INSTANCES = (0, 1, 2)
NAMES = ("app", "modem", "sensor")

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
OBJECTS = [{5: "1.0"}, {5: "1.1"}, {5: "1.2"}, {5: "1.2"}, {5: "1.1", 3: "1.0"}, {5: "1.2"}, {}]
OFFERS = [*OBJECTS, *({**each, 33629: "1.0"} for each in OBJECTS)]
FIRST = Registered(object_versions={5: "1.2", 33629: "1.0", 3: "1.0"}, instances=INSTANCES, epoch=2000)


def a_plan(names, packages, expected, **fields):
    """Basic without names; else of components, of which two may be in one package."""
    if not names:
        return UpdatePlan(package_bytes=4096, expected_version=expected, **fields)
    parts = tuple(
        ComponentPlan(
            name=name,
            package_bytes=4096,
            package=min(at, packages - 1),
            needs=(NAMES[(at + 1) % 3],),
            expected_version=expected,
        )
        for at, name in enumerate(names)
    )
    return UpdatePlan(components=parts, **fields)


plans = st.builds(
    a_plan,
    names=st.sampled_from([(), (), NAMES[:1], NAMES[:2], NAMES, NAMES[::-1], ("1", "nobody")]),
    packages=st.integers(1, 3),
    expected=st.sampled_from([None, "1", "2"]),
    method=st.sampled_from(list(Method)),
    schemes=st.sampled_from([("coap",), ("coaps", "coap"), ("http",)]),
    settings=st.sampled_from([DeviceSettings(), DeviceSettings(max_defer_s=60, auto_upgrade=True)]),
    policy=st.builds(
        UpdatePolicy,
        objects=st.sampled_from([(33629, 5), (5,), (5, 33629)]),
        execution=st.sampled_from(list(Execution)),
        watch=st.sampled_from(list(Watch)),
        execute_again=st.sampled_from(list(ExecuteAgain)),
        not_automatic=st.sampled_from(list(NotAutomatic)),
        deferral=st.sampled_from(list(DeferralBound)),
        cancel_methods=st.lists(st.sampled_from(list(ResetMethod)), max_size=4).map(tuple),
        both=st.sampled_from([Method.PULL, Method.PUSH]),
        tidy=st.booleans(),
        max_busy=st.integers(0, 3),
    ),
)


def values_of(pairs, ability, versions):
    """What a device shows: every instance its own pair."""
    delivery, protocols, automatic = ability
    known = {Path.of(3, 0, 3): versions[0], Path.of(5, 0, 13): 30}
    for object_id, instances in ((5, (0,)), (33629, INSTANCES)):
        for instance in instances:
            state, result = pairs[instance]
            known |= {Path.of(object_id, instance, 3): state, Path.of(object_id, instance, 5): result}
            known |= {Path.of(object_id, instance, 8): protocols, Path.of(object_id, instance, 9): delivery}
    known[Path.of(5, 0, 14)] = automatic
    for instance in INSTANCES:
        known[Path.of(33629, instance, 14)] = NAMES[instance]
        known[Path.of(33629, instance, 15)] = versions[instance]
    return {path: value for path, value in known.items() if value is not None}


def is_update(effect):
    return isinstance(effect, Execute) and effect.path.ids[2] == 2


ANSWERS = {UpdateStep.PUSH: PushAnswered, UpdateStep.EXECUTE: ExecuteAnswered}


def _fitting(pairs, ability, versions, code):
    """What the machine waits for: an answer if a command is out, or time."""

    def make(machine, now):
        control, memory = machine.control, machine.memory
        if control.reading:
            return ReadAnswered(memory.read, values_of(pairs, ability, versions)), now
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
        # as a rule all components are alike, or one differs
        pair, version = pick(PAIRS), pick(VERSIONS)
        pairs = [pair if rng.random() < 0.8 else pick(PAIRS) for _ in INSTANCES]
        versions = [version if rng.random() < 0.8 else pick(VERSIONS) for _ in INSTANCES]
        return _fitting(pairs, pick(ABILITIES), versions, pick(CODES))
    place = Path.of(*pick([(5, 0), (33629, 0), (33629, 1), (33629, 2)]), pick([3, 5]))
    return pick(
        [
            _failing(pick(CODES)),
            _failing(pick(CODES)),
            _waiting,
            _waiting,
            _silent,
            _pushing(rng.randrange(4097)),
            _plainly(
                Registered(
                    object_versions=pick(OFFERS), instances=pick([INSTANCES, INSTANCES, ()]), epoch=rng.randrange(1000)
                )
            ),
            _plainly(pick([Deregistered(), Lapsed(), Restarted(), TimePassed()])),
            _plainly(Notified(place, pick(STATES if place.ids[2] == 3 else RESULTS))),
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
    most = limits.total_s + limits.executing_s + 2 * limits.cleanup_s + limits.deferral_s + limits.late_s
    assert now - begun <= most


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
def test_a_trace_of_any_run_replays_to_the_same_end(plan, script):
    machine, _, taken = run(plan, script)
    first, _, began, _ = taken[0]
    lines = [first_line(first, began)]
    lines += [line(event, made.effects, made.machine, now) for _, event, now, made in taken]
    again = replay(read_trace(json.loads(json.dumps(lines))))
    assert (again.control, again.memory, again.times) == (machine.control, machine.memory, machine.times)
    assert again.outcome == machine.outcome


@given(plans, things)
def test_what_always_holds(plan, script):
    executed, accepted, last = {}, set(), None
    for before, _, now, made in run(plan, script)[2]:
        after = made.machine
        for one in filter(is_update, made.effects):
            assert one.path not in accepted
            executed[one.path] = executed.get(one.path, 0) + 1
            last = one.path
        if after.control.accepted and not before.control.accepted:
            accepted.add(last)
        assert after.control.transfers <= max(plan.policy.max_pushes, plan.policy.max_pulls)
        assert after.control.executes <= plan.policy.max_executes
        assert after.control.busies <= plan.policy.max_busy + 1
        assert set(after.memory.warnings) <= set(DIAGNOSES)
        assert len(set(after.memory.warnings)) == len(after.memory.warnings)
        assert hash(after.control) == hash(after.control)
        deadline = next_deadline(after)
        assert (deadline is None) is (after.control.step is UpdateStep.FINISHED)
        told = why(after, now)
        assert told.awaits
        rests = after.control.step is UpdateStep.DEFERRED
        if not after.finished and not rests and after.stage is not UpdateStage.CLEANUP:
            assert told.deadline <= after.times.started + plan.limits.total_s
        assert all(path.object_id == after.control.object_id for path in accepted)
    assert all(times <= plan.policy.max_executes + plan.policy.max_busy + 1 for times in executed.values())


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
            sent = sent or is_update(one)


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
        if before.control.step is UpdateStep.FINISHED:
            assert made.machine is before
            assert made.effects == ()
        if before.finished:
            assert made.machine.outcome == before.outcome or made.machine.late
            assert not any(isinstance(one, Execute | Push | WriteUri) for one in made.effects)
        finishes += sum(isinstance(one, Report) and isinstance(one.note, Finished) for one in made.effects)
        steps = [one.note for one in made.effects if isinstance(one, Report) and isinstance(one.note, StepChanged)]
        assert not steps or steps[-1].step is made.machine.control.step
    assert finishes <= 1


@given(plans, things)
def test_success_needs_a_sign_of_it(plan, script):
    machine, _, taken = run(plan, script)
    if not isinstance(machine.outcome, Succeeded):
        return
    object_id, targets = machine.control.object_id, machine.control.targets
    for target in targets:
        version = Path.of(33629, target, 15) if object_id == 33629 else Path.of(3, 0, 3)
        reads = [event.values for _, event, _, _ in taken if isinstance(event, ReadAnswered)]
        told = [event for _, event, _, _ in taken if isinstance(event, Notified) and event.value == 1]
        result = Path.of(object_id, target, 5)
        result_1 = any(each.get(result) == 1 for each in reads) or any(each.path == result for each in told)
        versions = {each.get(path) for each in reads for path in (version, Path.of(3, 0, 3))} - {None}
        assert result_1 or len(versions) > 1


def but_for_reads(control):
    """Without what a restart finds out anew: an answer to a read that leads to nothing is not stored."""
    return attrs.evolve(control, reading=False, again=False, settled=False)


class Server(RuleBasedStateMachine):
    """Stores the machine before an effect leaves, as the updater does; a crash loses all that was on its way."""

    @initialize(plan=plans)
    def power_on(self, plan):
        self.now = 1000.0
        self.machine = start(plan, self.now)
        self.stores = CrashingStores()
        self.save()
        self.accepted = set()
        self.executed = None
        self.epoch = 3000

    def teardown(self):
        if hasattr(self, "stores"):
            self.stores.close()

    def save(self):
        self.stores.save(json.dumps(snapshot(self.machine, self.now)).encode())

    def take(self, event):
        before, made = self.machine, step(self.machine, event, self.now)
        self.machine = made.machine
        if any(not isinstance(each, Report) or not isinstance(each.note, Progressed) for each in made.effects):
            self.save()
        for effect in filter(is_update, made.effects):
            assert effect.path not in self.accepted, "what was accepted is not sent again"
            self.executed = effect.path
        if made.machine.control.accepted and not before.control.accepted:
            self.accepted.add(self.executed)
        return made

    # -- what happens

    @rule(seeds=st.lists(st.integers(0, 2**64), min_size=1, max_size=8))
    def things(self, seeds):
        for seed in seeds:
            event, self.now = _choose(random.Random(seed))(self.machine, self.now)
            self.take(event)

    @rule()
    def the_device_comes(self):
        self.epoch += 1
        self.take(attrs.evolve(FIRST, epoch=self.epoch))

    @rule()
    def somebody_cancels(self):
        self.take(CancelRequested())

    @precondition(lambda self: next_deadline(self.machine) is not None)
    @rule()
    def a_limit_passes(self):
        self.now = max(self.now, next_deadline(self.machine))
        self.take(TimePassed())

    @rule(away_s=st.integers(0, 10**6))
    def crash_and_restore(self, away_s):
        before = self.machine
        self.now += away_s
        self.machine = restore(json.loads(self.stores.crash()), self.now)
        stored, known = but_for_reads(self.machine.control), but_for_reads(before.control)
        assert stored == known or before.control.step is UpdateStep.PUSH
        assert self.machine.outcome == before.outcome
        made = self.take(Restarted())
        assert not any(isinstance(each, Push | WriteUri | Execute) for each in made.effects), "it looks before it acts"
        assert self.machine.finished == before.finished

    # -- what holds always

    @invariant()
    def every_wait_has_a_limit(self):
        assert (next_deadline(self.machine) is None) == (self.machine.control.step is UpdateStep.FINISHED)

    @invariant()
    def an_outcome_is_there_once_it_is_over(self):
        assert (self.machine.outcome is not None) == self.machine.finished


TestServer = Server.TestCase
TestServer.settings = settings(stateful_step_count=25)
