"""The server's update of components: Object 33629 against scripted devices, one behaviour at a time."""

import heapq
import json
from itertools import count

import attrs
import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines.update import next_deadline, start, step
from lwm2m_fota.machines.update_effects import (
    CameLate,
    ClearUri,
    Configure,
    Execute,
    Observe,
    Push,
    Read,
    Report,
    Shown,
    StopPush,
    Unobserve,
    WriteNul,
    WriteUri,
)
from lwm2m_fota.machines.update_events import (
    CancelRequested,
    Deregistered,
    ExecuteAnswered,
    Notified,
    ObserveAnswered,
    PushAnswered,
    ReadAnswered,
    ReadFailed,
    Registered,
    RequestFailed,
    Restarted,
    TimePassed,
    WriteAnswered,
)
from lwm2m_fota.machines.update_guards import next_part
from lwm2m_fota.machines.update_outcome import Cancelled, Failed, Succeeded, TimedOut, Undetermined
from lwm2m_fota.machines.update_policy import (
    ComponentPlan,
    DeferralBound,
    DeviceSettings,
    Execution,
    Method,
    ResetMethod,
    UpdatePlan,
    UpdatePolicy,
    VersionGuard,
)
from lwm2m_fota.machines.update_snapshot import restore, snapshot
from lwm2m_fota.machines.update_state import Control, Part
from lwm2m_fota.machines.update_steps import UpdateStage
from lwm2m_fota.machines.update_versions import OwnVersions, VersionMatch
from lwm2m_fota.machines.update_why import why
from lwm2m_fota.model.enums import Severity, State, UpdateResult
from lwm2m_fota.model.paths import Path

CHANGED, CONTENT, BAD, NOT_FOUND, NOT_ALLOWED, BUSY = 0x44, 0x45, 0x80, 0x84, 0x85, 0xA3


class Component:
    def __init__(self, name, *, state=0, result=0, version="1"):
        self.name, self.state, self.result, self.version = name, state, result, version


class World:
    """A clock, a machine, and a device with components; what it does is replaced where a test wants it.

    Args:
        plan: of the update.
        parts: the device's components, by instance.
        restarting: the machine is laid through its snapshot before every event.
    """

    def __init__(self, plan, *parts, restarting=False, lists=True, object_id=33629, version="1.0"):
        self.parts = dict(enumerate(parts or (Component("app"), Component("modem"), Component("sensor"))))
        self.object_id, self.lists, self.restarting = object_id, lists, restarting
        self.offers = {object_id: version, 3: "1.0"}
        self.now, self.epoch, self.order = 1000.0, 0, count()
        self.queue, self.effects = [], []
        self.machine = start(plan, self.now)
        self.named = True
        self.delivers_to = {}  # instance: those that its package is for too
        self.extra = {}  # further values, by resource
        self.busy = False
        self.register()

    def register(self):
        self.epoch += 1
        epoch, instances = self.epoch, tuple(self.parts) if self.lists and self.object_id == 33629 else ()
        self.later(0, lambda: Registered(object_versions=self.offers, instances=instances, epoch=epoch))

    def later(self, delay, thing):
        heapq.heappush(self.queue, (self.now + delay, next(self.order), thing))

    def feed(self, event):
        if self.restarting:
            self.machine = restore(json.loads(json.dumps(snapshot(self.machine, self.now))), self.now)
        made = step(self.machine, event, self.now)
        self.machine = made.machine
        for effect in made.effects:
            self.effects.append(effect)
            if hasattr(effect, "command") and not isinstance(effect, StopPush):
                self.answer(effect)

    def turn(self):
        deadline = next_deadline(self.machine)
        if self.queue and (deadline is None or self.queue[0][0] <= deadline):
            at, _, thing = heapq.heappop(self.queue)
            self.now = max(self.now, at)
            event = thing() if callable(thing) else thing
            if event is not None:
                self.feed(event)
            return
        self.now = max(self.now, deadline)
        self.feed(TimePassed())

    def run(self, turns=3000):
        for _ in range(turns):
            if self.machine.finished:
                return self.machine.outcome
            self.turn()
        raise AssertionError(why(self.machine, self.now))

    def until(self, name):
        for _ in range(3000):
            if self.machine.control.step.value == name:
                return self
            self.turn()
        raise AssertionError(name)

    def sent(self, *kinds):
        return [effect for effect in self.effects if isinstance(effect, kinds)]

    def notes(self, kind):
        return [effect.note for effect in self.sent(Report) if isinstance(effect.note, kind)]

    # -- what the device does

    def show(self, instance, state, result):
        """A change, with its notifications: State before Result (FIELD)."""
        part = self.parts[instance]
        old, (part.state, part.result) = (part.state, part.result), (state, result)
        if old[0] != state:
            self.later(0, Notified(Path.of(self.object_id, instance, 3), state))
        if old[1] != result:
            self.later(0.001, Notified(Path.of(self.object_id, instance, 5), result))

    def answer(self, effect):
        number = effect.command
        if self.busy and not isinstance(effect, Observe):
            self.later(0, ReadFailed(number, BUSY) if isinstance(effect, Read) else WriteAnswered(number, BUSY))
            return
        match effect:
            case Read(_, paths):
                self.later(0, lambda: self.read(number, paths))
            case Observe():
                self.later(0, ObserveAnswered(number, CONTENT))
            case WriteUri(_, path, _):
                self.later(0, WriteAnswered(number, CHANGED))
                self.deliver(path.ids[1])
            case Push(_, path, _):
                self.deliver(path.ids[1])
                self.later(10, PushAnswered(number, CHANGED))
            case ClearUri(_, path) | WriteNul(_, path):
                self.show(path.ids[1], 0, 0)
                self.later(0, WriteAnswered(number, CHANGED))
            case Execute(_, path, others) if path.ids[2] == 2:
                self.update(number, path.ids[1], others)
            case Execute(_, path):
                self.cancel(number, path.ids[1])
            case Configure(_, values):
                self.configure(number, values)

    def read(self, number, paths):
        known = {Path.of(3, 0, 3): self.parts[0].version}
        for instance, part in self.parts.items():
            values = {3: part.state, 5: part.result, 9: 2, 8: (0,), 15: part.version, **self.extra}
            if self.named:
                values[14] = part.name
            if self.object_id in self.offers:
                known |= {Path.of(self.object_id, instance, each): value for each, value in values.items()}
        wanted = {path: value for path, value in known.items() if any(one.contains(path) for one in paths)}
        return ReadAnswered(number, wanted) if wanted else ReadFailed(number, NOT_FOUND)

    def deliver(self, instance):
        self.later(0, lambda: self.show(instance, 1, 0))
        for each in (instance, *self.delivers_to.get(instance, ())):
            self.later(10, lambda each=each: self.show(each, 2, 0))

    def batch(self, instance, others):
        """Which are updated: exactly those of the argument, or all that are Downloaded."""
        if others is None:
            return [each for each, part in self.parts.items() if part.state == 2]
        return [instance, *others]

    def update(self, number, instance, others):
        self.later(0, ExecuteAnswered(number, CHANGED))
        for each in self.batch(instance, others):
            self.later(0, lambda each=each: self.show(each, 3, 0))
        self.later(5, Deregistered())
        self.later(60, lambda: self.booted(self.batch(instance, others) if others is not None else None))

    def booted(self, batch):
        for each in [each for each, part in self.parts.items() if part.state == 3] if batch is None else batch:
            self.parts[each].state, self.parts[each].result, self.parts[each].version = 0, 1, "2"
        self.register()

    def cancel(self, number, instance):
        legal = self.parts[instance].state in {1, 2}
        if legal:
            self.show(instance, 0, 10)
        self.later(0, ExecuteAnswered(number, CHANGED if legal else NOT_ALLOWED))

    def configure(self, number, values):
        self.extra |= {path.ids[2]: value for path, value in values}
        self.later(0, WriteAnswered(number, CHANGED))


def plan(*names, packages=None, expected="2", method="pull", settings=None, **policy):
    parts = tuple(
        ComponentPlan(
            name=name,
            package_bytes=1000,
            package=at if packages is None else packages[at],
            expected_version=expected,
        )
        for at, name in enumerate(names)
    )
    return UpdatePlan(
        components=parts,
        method=method,
        schemes=("coap",),
        settings=settings or DeviceSettings(),
        policy=UpdatePolicy(**policy),
    )


def named(outcome):
    return {
        each.name: (each.instance, each.version_before, each.version_after, each.updated) for each in outcome.components
    }


def codes(outcome):
    return [each.code for each in outcome.warnings]


# ---- the way without obstacles


@pytest.mark.parametrize("restarting", [False, True])
@pytest.mark.parametrize("method", ["pull", "push"])
@pytest.mark.parametrize("execution", Execution)
def test_components_are_updated_together_or_one_by_one(execution, method, restarting):
    world = World(plan("app", "modem", method=method, execution=execution), restarting=restarting)
    outcome = world.run()
    assert isinstance(outcome, Succeeded)
    assert named(outcome) == {"app": (0, "1", "2", True), "modem": (1, "1", "2", True)}
    assert (outcome.version_before, outcome.version_after, codes(outcome)) == ("1", "2", [])
    executed = [(effect.path.ids[1], effect.others) for effect in world.sent(Execute)]
    assert (
        executed
        == {
            Execution.LISTED: [(0, (1,))],
            Execution.LINKED: [(0, None)],
            Execution.EACH: [(0, ()), (1, ())],
        }[execution]
    )
    assert [effect.path.ids[1] for effect in world.sent(WriteUri, Push)] == [0, 1]
    assert world.parts[2].version == "1"


def test_a_device_that_links_nothing_is_told_component_by_component():
    world = World(plan("app", "modem", "sensor", execution=Execution.LINKED))
    world.batch = lambda instance, others: [instance]
    world.booted = lambda batch: (
        (
            [
                world.show(each, 0, 1) or setattr(part, "version", "2")
                for each, part in world.parts.items()
                if part.state == 3
            ],
            world.register(),
        )[0]
        and None
    )
    assert isinstance(world.run(), Succeeded)
    assert [(effect.path.ids[1], effect.others) for effect in world.sent(Execute)] == [(0, None), (1, None), (2, None)]


def test_what_a_component_needs_is_delivered_before_it():
    parts = (
        ComponentPlan(name="app", package_bytes=1, package=0, needs=("modem",)),
        ComponentPlan(name="modem", package_bytes=2, package=1, needs=("2",)),
        ComponentPlan(name="sensor", package_bytes=3, package=2),
    )
    world = World(UpdatePlan(components=parts, schemes=("coap",), policy=UpdatePolicy(execution=Execution.EACH)))
    assert isinstance(world.run(), Succeeded)
    assert [effect.path.ids[1] for effect in world.sent(WriteUri)] == [2, 1, 0]
    assert [effect.path.ids[1] for effect in world.sent(Execute)] == [2, 1, 0]


def test_a_package_for_several_components_is_sent_once():
    world = World(plan("app", "sensor", packages=(0, 0)))
    world.delivers_to = {0: (2,)}
    outcome = world.run()
    assert isinstance(outcome, Succeeded)
    assert len(world.sent(WriteUri)) == 1
    assert [(effect.path.ids[1], effect.others) for effect in world.sent(Execute)] == [(0, (2,))]
    assert named(outcome)["sensor"] == (2, "1", "2", True)


def test_the_packages_go_by_their_numbers():
    world = World(plan("app", "modem", "sensor", packages=(1, 0, 1), method="push"))
    world.delivers_to = {0: (2,)}
    world.run()
    assert [(effect.path.ids[1], effect.package) for effect in world.sent(Push)] == [(0, 1), (1, 0)]


# ---- eligibility


def test_a_basic_update_prefers_object_33629_and_takes_the_main_component():
    world = World(UpdatePlan(package_bytes=9, schemes=("coap",)))
    world.offers = {5: "1.1", 33629: "1.0", 3: "1.0"}
    outcome = world.run()
    assert isinstance(outcome, Succeeded)
    assert (outcome.version_before, outcome.version_after, outcome.components) == ("1", "2", ())
    paths = {str(effect.path) for effect in world.sent(WriteUri, Execute)}
    assert paths == {"/33629/0/1", "/33629/0/2"}
    assert [effect.others for effect in world.sent(Execute)] == [None]
    read = {path for effect in world.sent(Read) for path in effect.paths}
    assert {path.object_id for path in read} == {33629}


def test_a_basic_update_takes_object_5_where_the_policy_prefers_it():
    world = World(UpdatePlan(package_bytes=9, schemes=("coap",), policy=UpdatePolicy(objects=(5, 33629))), object_id=5)
    world.offers = {5: "1.1", 33629: "1.0", 3: "1.0"}
    assert isinstance(world.run(), Succeeded)
    assert {path.object_id for effect in world.sent(Read) for path in effect.paths} == {3, 5}


def test_components_need_object_33629():
    world = World(plan("app"))
    world.offers = {5: "1.2"}
    outcome = world.run()
    assert (type(outcome), outcome.diagnosis.code) == (Failed, "prepare.no-object")
    assert outcome.components[0].instance is None


def test_a_component_that_is_not_there_is_told_before_anything_is_sent():
    world = World(plan("app", "radio"))
    outcome = world.run()
    assert (type(outcome), outcome.diagnosis.code) == (Failed, "prepare.no-component")
    assert not world.sent(WriteUri, Execute)


@pytest.mark.parametrize("lists", [True, False])
def test_components_without_names_go_by_their_numbers(lists):
    world = World(plan("1", "0"), lists=lists)
    world.named = False
    outcome = world.run()
    assert isinstance(outcome, Succeeded)
    assert [each.instance for each in outcome.components] == [1, 0]


def test_a_device_that_does_not_list_its_instances_is_asked_for_all_of_them():
    world = World(plan("modem"), lists=False)
    assert isinstance(world.run(), Succeeded)
    assert world.sent(Read)[0].paths == (Path.of(33629),)


def test_a_device_that_is_busy_when_its_names_are_read_is_asked_again():
    world = World(plan("app"))
    world.busy = True
    world.later(45, lambda: setattr(world, "busy", False))
    assert isinstance(world.run(), Succeeded)


def test_a_read_of_names_that_is_not_answered_is_asked_again():
    world = World(plan("app"))
    read, lost = world.read, [1]

    def once(number, paths):
        return RequestFailed(number, "lost") if lost and lost.pop() else read(number, paths)

    world.read = once
    assert isinstance(world.run(), Succeeded)


def test_a_device_whose_names_cannot_be_read_times_out():
    world = World(plan("app"))
    world.busy = True
    outcome = world.run()
    assert (type(outcome), outcome.diagnosis.code) == (TimedOut, "prepare.unreadable")


def test_a_guard_against_downgrades_looks_at_every_component():
    parts = tuple(
        ComponentPlan(name=name, package_bytes=1, package=at, expected_version="1.5.0")
        for at, name in enumerate(("app", "modem"))
    )
    policy = UpdatePolicy(version_match=VersionMatch.SEMVER, version_guard=VersionGuard.NO_DOWNGRADE)
    world = World(
        UpdatePlan(components=parts, schemes=("coap",), policy=policy),
        Component("app", version="1.4.0"),
        Component("modem", version="1.6.0"),
    )
    outcome = world.run()
    assert (type(outcome), outcome.diagnosis.code) == (Failed, "prepare.version-guarded")
    assert not world.sent(WriteUri)


# ---- what is in the way


def test_every_component_of_the_plan_is_brought_to_idle_first():
    world = World(plan("app", "modem"), Component("app", state=2), Component("modem", state=1), Component("x", state=2))
    assert isinstance(world.run(), Succeeded)
    cancelled = [effect.path.ids[1] for effect in world.sent(Execute) if effect.path.ids[2] == 10]
    assert cancelled == [0, 1]


def test_a_component_that_is_updating_is_waited_for():
    world = World(plan("app", "modem"), Component("app"), Component("modem", state=3))
    world.later(100, lambda: world.show(1, 0, 1))
    assert isinstance(world.run(), Succeeded)
    assert world.now > 1100


def test_a_component_that_cannot_be_reset_is_named_by_the_wait():
    world = World(plan("app", "modem"), Component("app"), Component("modem", state=1))
    world.cancel = lambda number, instance: world.later(0, ExecuteAnswered(number, NOT_ALLOWED))
    world.until("reset-check")
    told = why(world.machine, world.now)
    assert (told.component, told.last_shown.state) == ("modem", 1)
    assert str(told).startswith("Preparing update of modem, step reset-check: awaits State Idle after a reset, ")


# ---- failures


def fails(world, instance, state, result, *, others=()):
    """Update is accepted, and ends so: this one shows a result, the others what is given."""

    def update(number, _instance, _others):
        world.later(0, ExecuteAnswered(number, CHANGED))
        for each in (instance, *others):
            world.later(0, lambda each=each: world.show(each, 3, 0))
        for each in (instance, *others):
            world.later(30, lambda each=each: world.show(each, state, result))

    world.update = update


@pytest.mark.parametrize(("state", "result"), [(2, 13), (0, 13), (2, 8), (0, 5)])
def test_a_batch_that_fails_fails_as_a_whole_and_is_tidied(state, result):
    world = World(plan("app", "modem"))
    fails(world, 0, state, result, others=(1,))
    outcome = world.run()
    assert (type(outcome), outcome.result, outcome.stage) == (Failed, UpdateResult(result), UpdateStage.EXECUTING)
    assert [each.updated for each in outcome.components] == [False, False]
    assert [part.state for part in world.parts.values()] == [0, 0, 0]


class SlowReads(World):
    """Notifications come while a read is under way."""

    def answer(self, effect):
        if isinstance(effect, Read):
            self.later(0.01, lambda: self.read(effect.command, effect.paths))
        else:
            super().answer(effect)


def test_a_notification_during_a_read_does_not_skip_the_first_way_to_tidy():
    world = SlowReads(plan("app", "modem", "sensor"))
    fails(world, 0, 2, 8, others=(1, 2))
    world.until("tidy")
    began = world.now
    assert isinstance(world.run(), Failed)
    assert [effect.path.ids for effect in world.sent(Execute) if effect.path.ids[2] == 10] == [
        (33629, each, 10) for each in (0, 1, 2)
    ]
    assert world.sent(ClearUri) == []
    assert world.now - began < 1


def test_a_notification_during_a_read_does_not_skip_the_first_way_to_reset():
    world = SlowReads(plan("app", "modem"), Component("app", state=2), Component("modem", state=2))
    assert isinstance(world.run(), Succeeded)
    assert len([effect for effect in world.sent(Execute) if effect.path.ids[2] == 10]) == 2
    assert world.sent(ClearUri) == []


def test_one_component_that_fails_is_found_among_those_that_do_not():
    """A device that is not transactional: one runs the new version, the other does not."""
    world = World(plan("app", "modem"))

    def booted(_batch):
        world.parts[0].state, world.parts[0].result, world.parts[0].version = 0, 1, "2"
        world.parts[1].state, world.parts[1].result = 2, 8
        world.register()

    world.booted = booted
    outcome = world.run()
    assert (type(outcome), outcome.result, outcome.diagnosis.code) == (
        Failed, UpdateResult.UPDATE_FAILED, "device.update-failed",
    )  # fmt: skip
    assert named(outcome) == {"app": (0, "1", "2", True), "modem": (1, "1", "1", False)}
    assert world.parts[1].state == 0


def test_a_failure_counts_when_nothing_is_at_work_any_more():
    world = World(plan("app", "modem"))

    def update(number, _instance, _others):
        world.later(0, ExecuteAnswered(number, CHANGED))
        world.later(0, lambda: world.show(0, 3, 0))
        world.later(0, lambda: world.show(1, 3, 0))
        world.later(10, lambda: world.show(1, 0, 8))
        world.later(200, lambda: world.show(0, 0, 8))

    world.update = update
    outcome = world.run()
    assert isinstance(outcome, Failed)
    assert world.now > 1200


def test_a_component_of_which_nothing_is_seen_any_more_leaves_the_end_open():
    world = World(plan("app", "modem"))

    def booted(_batch):
        world.parts[0].state, world.parts[0].result, world.parts[0].version = 0, 1, "2"
        world.parts[1].state, world.parts[1].result = 0, 0
        world.register()

    world.booted = booted
    outcome = world.run()
    assert (type(outcome), outcome.diagnosis.code) == (Undetermined, "execute.no-evidence")
    assert named(outcome) == {"app": (0, "1", "2", True), "modem": (1, "1", "1", False)}


def test_the_second_of_several_updates_fails_after_the_first_is_done():
    world = World(plan("app", "modem", execution=Execution.EACH))
    first = world.update

    def update(number, instance, others):
        if instance == 0:
            first(number, instance, others)
        else:
            world.later(0, ExecuteAnswered(number, NOT_ALLOWED))

    world.update = update
    outcome = world.run()
    assert (type(outcome), outcome.diagnosis.code) == (Failed, "execute.refused")
    assert named(outcome) == {"app": (0, "1", "2", True), "modem": (1, "1", "1", False)}


def test_a_package_that_is_refused_ends_the_update_and_those_before_it_are_dropped():
    world = World(plan("app", "modem"))

    def deliver(instance):
        world.later(0, lambda: world.show(instance, 1, 0))
        world.later(5, lambda: world.show(instance, *((2, 0) if instance == 0 else (0, 12))))

    world.deliver = deliver
    outcome = world.run()
    assert (type(outcome), outcome.result, outcome.stage) == (
        Failed, UpdateResult.CONFLICTING_STATE, UpdateStage.TRANSFERRING,
    )  # fmt: skip
    assert [part.state for part in world.parts.values()] == [0, 0, 0]
    assert not any(effect.path.ids[2] == 2 for effect in world.sent(Execute))


def test_a_package_server_that_is_restarted_serves_the_package_that_is_due():
    world = World(plan("app", "modem")).until("download")
    while world.machine.control.delivered == 0:
        world.turn()
    world.until("download")
    world.effects.clear()
    world.feed(Restarted())
    published = [effect for effect in world.effects if type(effect).__name__ == "PublishPackage"]
    assert [effect.package for effect in published] == [1]


@pytest.mark.parametrize("execution", Execution)
def test_the_machine_may_be_restarted_at_every_step(execution):
    """A restart of the server at each turn of the way: nothing is executed twice, and the end is the same."""
    turns = 0
    while True:
        world = World(plan("app", "modem", execution=execution))
        for _ in range(turns):
            if world.machine.finished:
                break
            world.turn()
        if world.machine.finished:
            break
        world.machine = restore(json.loads(json.dumps(snapshot(world.machine, world.now))), world.now)
        world.queue = [each for each in world.queue if not hasattr(each[2], "command")]  # answers are lost
        heapq.heapify(world.queue)
        world.feed(Restarted())
        world.register()
        outcome = world.run()
        assert isinstance(outcome, Succeeded), (turns, outcome)
        executed = [effect.path.ids[1] for effect in world.sent(Execute) if effect.path.ids[2] == 2]
        assert len(executed) <= (3 if execution is Execution.EACH else 2)
        turns += 1
    assert turns > 20


# ---- cancel


@pytest.mark.parametrize("at", ["components", "learn", "download"])
def test_cancel_leaves_every_component_idle(at):
    world = World(plan("app", "modem")).until(at)
    world.feed(CancelRequested())
    assert isinstance(world.run(), Cancelled)
    assert {part.state for part in world.parts.values()} == {0}


def test_cancel_in_the_second_transfer_drops_the_first_package_too():
    world = World(plan("app", "modem"))
    while world.machine.control.delivered == 0:
        world.turn()
    world.feed(CancelRequested())
    outcome = world.run()
    assert (type(outcome), codes(outcome)) == (Cancelled, [])
    assert {part.state for part in world.parts.values()} == {0}
    assert [effect.path.ids for effect in world.sent(Execute)] == [(33629, 1, 10), (33629, 0, 10)]


def test_cancel_falls_back_for_each_component_by_itself():
    world = World(plan("app", "modem", cancel_methods=(ResetMethod.CANCEL, ResetMethod.EMPTY_URI)))
    world.cancel = lambda number, instance: world.later(0, ExecuteAnswered(number, NOT_ALLOWED))
    while world.machine.control.delivered == 0:
        world.turn()
    world.feed(CancelRequested())
    assert isinstance(world.run(), Cancelled)
    ways = [(type(effect).__name__, effect.path.ids[1]) for effect in world.sent(Execute, ClearUri)]
    assert ways == [("Execute", 1), ("ClearUri", 1), ("Execute", 0), ("ClearUri", 0)]


def deferred(execution=Execution.LISTED, **policy):
    """Both packages are Downloaded, and the user of the device has deferred what was executed."""
    world = World(plan("app", "modem", execution=execution, **policy))

    def update(number, instance, others):
        world.later(0, ExecuteAnswered(number, CHANGED))
        world.show(instance, 2, 11)

    world.update = update
    return world.until("deferred")


def install(world, *instances):
    """The user accepts; the installation ends well and without a restart, and no notification of it arrives."""
    for each in instances:
        world.parts[each].state, world.parts[each].result, world.parts[each].version = 0, 1, "2"


@pytest.mark.parametrize("execution", [Execution.EACH, Execution.LINKED, Execution.LISTED])
def test_a_cancel_that_finds_one_of_two_installed_is_no_success(execution):
    world = deferred(execution)
    install(world, 0)
    world.feed(CancelRequested())
    outcome = world.run()
    assert (type(outcome), codes(outcome)) == (Cancelled, ["cancel.partly"])
    assert named(outcome) == {"app": (0, "1", "2", True), "modem": (1, "1", "1", False)}
    assert [(part.state, part.result) for part in world.parts.values()][:2] == [(0, 1), (0, 10)]


@pytest.mark.parametrize("execution", [Execution.LINKED, Execution.LISTED])
def test_a_cancel_that_finds_all_installed_is_a_success_of_each(execution):
    world = deferred(execution)
    install(world, 0, 1)
    world.feed(CancelRequested())
    outcome = world.run()
    assert (type(outcome), codes(outcome)) == (Succeeded, ["cancel.too-late"])
    assert named(outcome) == {"app": (0, "1", "2", True), "modem": (1, "1", "2", True)}


def test_what_was_installed_is_told_even_where_the_other_component_cannot_be_reset():
    world = deferred(cancel_methods=(ResetMethod.CANCEL,))
    world.cancel = lambda number, instance: world.later(0, ExecuteAnswered(number, NOT_ALLOWED))
    install(world, 0)
    world.feed(CancelRequested())
    outcome = world.run()
    assert (type(outcome), codes(outcome)) == (Cancelled, ["cleanup.not-idle", "cancel.partly"])
    assert named(outcome) == {"app": (0, "1", "2", True), "modem": (1, "1", "1", False)}


@pytest.mark.parametrize("step", ["execute", "install", "version"])
def test_a_cancel_while_the_first_is_installed_leaves_the_others(step):
    world = World(plan("app", "modem", "sensor", execution=Execution.EACH))
    world.until("install" if step == "version" else step)
    if step == "version":
        read = world.read

        def without_version(number, paths):
            values = {path: value for path, value in read(number, paths).values.items() if path.ids[2] != 15}
            return ReadAnswered(number, values)

        world.read = without_version
        world.until("version")
        world.read = read
    world.feed(CancelRequested())
    outcome = world.run()
    assert (type(outcome), codes(outcome)) == (Cancelled, ["cancel.partly"])
    assert {name: each[3] for name, each in named(outcome).items()} == {"app": True, "modem": False, "sensor": False}
    assert [effect.path.ids[1:] for effect in world.sent(Execute)] == [(0, 2), (1, 10), (2, 10)]


def test_a_cancel_looks_at_all_that_one_package_is_for():
    """An Update that was thought to be lost arrives after the cancellation, and both are installed."""
    world = World(plan("app", "modem", packages=[0, 0]))
    world.delivers_to = {0: (1,)}
    world.update = lambda number, instance, others: None
    world.until("execute")
    world.feed(CancelRequested())
    world.cancel = lambda number, instance: install(world, 0, 1)
    outcome = world.run()
    assert (type(outcome), codes(outcome)) == (Succeeded, ["cancel.too-late"])
    assert named(outcome) == {"app": (0, "1", "2", True), "modem": (1, "1", "2", True)}


def test_a_cancel_while_the_last_is_installed_is_too_late():
    world = World(plan("app", "modem", execution=Execution.EACH))
    while len(world.sent(Execute)) < 2:
        world.turn()
    world.feed(CancelRequested())
    outcome = world.run()
    assert (type(outcome), codes(outcome)) == (Succeeded, ["cancel.too-late"])


def test_a_cancel_that_cannot_stop_the_first_stops_before_the_second():
    """The State is Updating when it is looked at after the cancel."""
    world = deferred(Execution.EACH)
    world.parts[0].state, world.parts[0].result = 3, 0
    world.later(60, lambda: world.booted([0]))
    world.feed(CancelRequested())
    outcome = world.run()
    assert (type(outcome), codes(outcome)) == (Cancelled, ["cancel.partly"])
    assert {name: each[3] for name, each in named(outcome).items()} == {"app": True, "modem": False}
    assert [effect.path.ids[2] for effect in world.sent(Execute)] == [2, 10, 10]


def by_itself(method="pull", result=0):
    """A device of Object 5 in 1.2 that upgrades by itself; it takes the package, or its URI, and no more."""
    wanted = UpdatePlan(package_bytes=9, method=method, schemes=("coap",), settings=DeviceSettings(auto_upgrade=True))
    world = World(wanted, Component("fw", result=result), object_id=5, version="1.2")
    world.named = False  # resource 14 is Automatic Upgrade there
    world.deliver = lambda instance: None if method == "push" else world.later(0, lambda: world.show(instance, 1, 0))
    return world.until("push" if method == "push" else "download")


def test_the_result_of_an_earlier_update_is_no_sign_of_this_one():
    """State 0 during a push (FIELD), and Result 1 of the last update."""
    world = by_itself("push", result=1)
    world.feed(CancelRequested())
    outcome = world.run()
    assert (type(outcome), codes(outcome)) == (Cancelled, [])


def test_a_device_that_upgraded_by_itself_before_the_cancel_came_has_succeeded():
    """Its version is the old one: nobody has said which is to come, and the image may be the same again."""
    world = by_itself()
    while world.parts[0].state == 0:
        world.turn()
    world.parts[0].state, world.parts[0].result = 0, 1
    world.feed(CancelRequested())
    outcome = world.run()
    assert (type(outcome), codes(outcome)) == (Succeeded, ["cancel.too-late"])


def test_a_push_that_answers_5_03_is_never_reset():
    """FIELD: during a push every other request gets 5.03 until the device gives the push up."""
    world = World(plan("app", method="push"))
    world.deliver = lambda instance: None
    world.until("push")
    world.queue.clear()  # the push stalls
    world.busy = True
    world.feed(CancelRequested())
    world.later(300, lambda: setattr(world, "busy", False))
    assert isinstance(world.run(), Cancelled)
    ways = [effect for effect in world.sent(Execute, ClearUri, WriteNul) if effect.path.ids[2] != 2]
    assert len(ways) == 1  # it was answered 5.03; from then on only reads
    assert world.sent(StopPush)


# ---- settings and deferral


SETTINGS = DeviceSettings(severity=Severity.CRITICAL, max_defer_s=7200)


def test_settings_are_written_to_every_component_and_read_back():
    world = World(plan("app", "modem", settings=SETTINGS))
    outcome = world.run()
    assert (type(outcome), codes(outcome)) == (Succeeded, [])
    (configured,) = world.sent(Configure)
    assert [(str(path), value) for path, value in configured.values] == [
        ("/33629/0/11", 0), ("/33629/0/13", 7200), ("/33629/1/11", 0), ("/33629/1/13", 7200),
    ]  # fmt: skip


def test_settings_that_a_device_does_not_take_are_a_warning():
    world = World(plan("app", settings=SETTINGS))
    world.configure = lambda number, values: world.later(0, WriteAnswered(number, NOT_ALLOWED))
    outcome = world.run()
    assert (type(outcome), codes(outcome)) == (Succeeded, ["prepare.settings-differ"])
    assert len(world.sent(Configure)) == 1


@pytest.mark.parametrize("answer", [RequestFailed, None])
def test_settings_without_an_answer_hold_nothing_up(answer):
    world = World(plan("app", settings=SETTINGS))
    world.configure = lambda number, values: answer and world.later(0, answer(number, "lost"))
    assert isinstance(world.run(), Succeeded)


def test_automatic_upgrade_is_switched_on_by_the_plan_and_nothing_is_executed():
    settings = DeviceSettings(auto_upgrade=True)
    basic = UpdatePlan(package_bytes=9, schemes=("coap",), settings=settings)
    world = World(basic, Component("fw"), object_id=5, version="1.2")
    world.named = False

    def deliver(instance):
        world.later(0, lambda: world.show(instance, 1, 0))
        world.later(5, lambda: world.show(instance, 3, 0))
        world.later(60, lambda: world.booted(None))

    world.deliver = deliver
    outcome = world.run()
    assert (type(outcome), codes(outcome)) == (Succeeded, [])
    assert not world.sent(Execute)


def deferring(settings=None, period_s=None, ends=True, **policy):
    world = World(plan("app", settings=settings, **policy))
    world.extra = {} if period_s is None else {13: period_s}

    def update(number, instance, others):
        world.later(0, ExecuteAnswered(number, CHANGED))
        world.later(0, lambda: world.show(instance, 2, 11))
        if ends:
            world.later(world.extra.get(13, 0) + 5, lambda: world.show(instance, 3, 0))
            world.later(world.extra.get(13, 0) + 60, lambda: world.booted([instance]))

    world.update = update
    return world


def test_a_deferred_update_is_waited_for_as_long_as_the_device_may_defer_it():
    """A day, though the update as a whole may take an hour."""
    world = deferring(DeviceSettings(max_defer_s=86_400))
    outcome = world.run(10_000)
    assert isinstance(outcome, Succeeded)
    assert world.now > 1000 + 86_400


def test_each_component_has_a_period_of_its_own():
    """The second may be deferred for a day, the first not at all."""
    world = World(plan("app", "modem", execution=Execution.EACH))
    read = world.read

    def with_periods(number, paths):
        values = dict(read(number, paths).values)
        return ReadAnswered(number, values | {path: 86_400 * path.ids[1] for path in paths if path.ids[2:] == (13,)})

    def update(number, instance, others):
        world.later(0, ExecuteAnswered(number, CHANGED))
        if instance == 1:
            world.show(1, 2, 11)
        world.later(40_000 * instance, lambda: world.booted([instance]))

    world.read, world.update = with_periods, update
    assert isinstance(world.run(10_000), Succeeded)
    assert world.machine.control.defer_s == 86_400


def test_settings_that_the_second_component_does_not_take_are_a_warning():
    world = World(plan("app", "modem", settings=DeviceSettings(max_defer_s=60)))
    read = world.read

    def without(number, paths):
        values = read(number, paths).values
        return ReadAnswered(number, {path: value for path, value in values.items() if path.ids[1:] != (1, 13)})

    world.read = without
    assert "prepare.settings-differ" in codes(world.run())


def test_a_device_that_does_not_go_on_after_its_period_times_out():
    world = deferring(period_s=5000, ends=False)
    outcome = world.run()
    assert (type(outcome), outcome.diagnosis.code) == (TimedOut, "execute.deferred")
    assert 1000 + 5000 < world.now < 1000 + 5000 + 1000 + 900


def test_a_deferral_may_be_bounded_by_the_plan():
    world = deferring(period_s=86_400, ends=False, deferral=DeferralBound.LIMIT)
    outcome = world.run()
    assert (type(outcome), outcome.diagnosis.code) in {(TimedOut, "execute.deferred"), (TimedOut, "total.limit")}
    assert world.now < 1000 + 5000


def test_a_deferral_of_no_known_period_is_bounded_by_its_limit():
    world = deferring(ends=False)
    outcome = world.run()
    assert (type(outcome), outcome.diagnosis.code) == (TimedOut, "execute.deferred")


# ---- late results


def timed_out(**changes):
    """An update whose device does not come back."""
    world = World(plan("app", "modem", **changes))

    def update(number, instance, others):
        world.later(0, ExecuteAnswered(number, CHANGED))
        world.later(0, lambda: world.show(0, 3, 0))
        world.later(0, lambda: world.show(1, 3, 0))
        world.later(1, Deregistered())

    world.update = update
    outcome = world.run()
    assert (type(outcome), outcome.diagnosis.code) == (TimedOut, "execute.no-return")
    assert world.machine.late == ()
    return world, outcome


@pytest.mark.parametrize("restarting", [False, True])
def test_a_result_after_the_end_is_recorded_as_late(restarting):
    world, outcome = timed_out()
    world.restarting = restarting
    world.later(100, lambda: world.booted([0, 1]))
    while world.machine.control.step.value == "late":
        world.turn()
    assert world.machine.outcome.diagnosis == outcome.diagnosis
    assert [(each.name, each.state, each.result, each.version_after, each.updated) for each in world.machine.late] == [
        ("app", State.IDLE, UpdateResult.SUCCESS, "2", True),
        ("modem", State.IDLE, UpdateResult.SUCCESS, "2", True),
    ]
    assert [(note.component, note.result, note.version) for note in world.notes(CameLate)] == [
        ("app", UpdateResult.SUCCESS, "2"), ("modem", UpdateResult.SUCCESS, "2"),
    ]  # fmt: skip
    assert world.sent(Unobserve)
    assert next_deadline(world.machine) is None


def test_a_failure_after_the_end_is_recorded_too():
    world, _ = timed_out()

    def booted():
        for each in (0, 1):
            world.parts[each].state, world.parts[each].result = 2, 8
        world.register()

    world.later(100, booted)
    while world.machine.control.step.value == "late":
        world.turn()
    assert [(each.state, each.result, each.updated) for each in world.machine.late] == [(2, 8, False), (2, 8, False)]


def test_a_result_that_never_comes_is_not_awaited_for_ever():
    world, _ = timed_out()
    begun = world.now
    while world.machine.control.step.value == "late":
        world.turn()
    assert world.now - begun == 3600
    assert world.machine.late == ()
    assert not world.notes(CameLate)


def test_a_basic_update_records_late_results_as_well():
    world = World(UpdatePlan(package_bytes=1, schemes=("coap",)), Component("fw"), object_id=5, version="1.1")
    world.update = lambda number, instance, others: (
        world.later(0, ExecuteAnswered(number, CHANGED)),
        world.later(1, Deregistered()),
    )
    assert isinstance(world.run(), TimedOut)
    world.later(100, lambda: world.booted([0]))
    while world.machine.control.step.value == "late":
        world.turn()
    (late,) = world.machine.late
    assert (late.result, late.version_after, late.instance) == (1, "2", 0)


@pytest.mark.parametrize("is_back", [False, True])
def test_a_device_that_upgrades_by_itself_may_do_so_after_the_time_for_the_transfer(is_back):
    world = by_itself()
    if not is_back:
        world.later(0, Deregistered())
    outcome = world.run()
    assert (type(outcome), outcome.stage) == (TimedOut, UpdateStage.TRANSFERRING)
    if is_back:  # it could be cancelled, so that nothing more is to come
        assert (world.parts[0].state, world.parts[0].result) == (0, 10)
        assert world.machine.control.step.value == "finished"
        return
    world.later(100, lambda: world.booted([0]))
    while world.machine.control.step.value == "late":
        world.turn()
    (late,) = world.machine.late
    assert (late.state, late.result, late.version_after, late.updated) == (0, 1, "2", True)


# ---- versions


def test_a_rule_of_ones_own_survives_a_restart_of_the_server():
    rule = OwnVersions("by number", lambda text: int(text[1:]) if text[:1] == "r" else None)
    made = World(UpdatePlan(package_bytes=1, policy=UpdatePolicy(version_match=rule)), object_id=5)
    stored = json.loads(json.dumps(snapshot(made.machine, 0.0)))
    assert stored["plan"]["policy"]["version_match"] == {"own": "by number"}
    assert restore(stored, 0.0, [rule]).plan.policy.version_match is rule


def test_a_part_of_the_expected_version_is_not_it():
    """A version comparison by substring has skipped updates in the field."""
    world = World(plan("app", expected="2"))

    def booted(_batch):
        world.parts[0].state, world.parts[0].result, world.parts[0].version = 0, 0, "2.1"
        world.register()

    world.booted = booted
    outcome = world.run()
    assert (type(outcome), outcome.diagnosis.code) == (Undetermined, "execute.no-evidence")


def test_versions_are_read_again_where_they_did_not_come_with_the_result():
    world = World(plan("app", "modem"))
    read, asked = world.read, []

    def without(number, paths):
        made = read(number, paths)
        versions = {path for path in made.values if path.ids[2:] == (15,)}
        if world.machine.control.stage is UpdateStage.EXECUTING and len(made.values) > len(versions):
            return ReadAnswered(number, {path: value for path, value in made.values.items() if path not in versions})
        asked.append(paths)
        return made

    world.read = without
    outcome = world.run()
    assert (type(outcome), codes(outcome)) == (Succeeded, [])
    assert asked[-1] == (Path.of(33629, 0, 15), Path.of(33629, 1, 15))
    assert named(outcome) == {"app": (0, "1", "2", True), "modem": (1, "1", "2", True)}


def test_a_device_that_comes_back_without_the_object_is_judged_by_its_main_version():
    world = World(UpdatePlan(package_bytes=1, schemes=("coap",), expected_version="2"))

    def booted(_batch):
        world.parts[0].version = "2"
        del world.offers[33629]
        world.register()

    world.booted = booted
    outcome = world.run()
    assert (type(outcome), codes(outcome)) == (Succeeded, ["execute.result-lost"])


def test_other_components_cannot_be_judged_without_the_object():
    world = World(plan("app", "modem"))

    def booted(_batch):
        world.parts[0].version = "2"
        del world.offers[33629]
        world.register()

    world.booted = booted
    outcome = world.run()
    assert not isinstance(outcome, Succeeded)


# ---- what is told


def test_what_is_shown_names_its_component():
    world = World(plan("app", "modem"))
    world.run()
    assert {note.component for note in world.notes(Shown)} == {"app", "modem"}


def test_a_notification_of_another_component_means_nothing():
    world = World(plan("app")).until("download")
    before = world.machine
    world.feed(Notified(Path.of(33629, 2, 3), 2))
    world.feed(Notified(Path.of(5, 0, 3), 2))
    world.feed(Notified(Path.of(33629, 0), 2))
    assert world.machine is before


@pytest.mark.parametrize(
    "wrong",
    [
        {"components": (ComponentPlan(name="", package_bytes=1),)},
        {"components": (ComponentPlan(name="a", package_bytes=0),)},
        {"components": (ComponentPlan(name="a", package_bytes=1), ComponentPlan(name="a", package_bytes=1))},
        {"components": (ComponentPlan(name="a", package_bytes=1, package=1),)},
        {"components": (ComponentPlan(name="a", package_bytes=1), ComponentPlan(name="b", package_bytes=2))},
        {"components": (ComponentPlan(name="a", package_bytes=1),), "expected_version": "1"},
        {"components": (ComponentPlan(name="a", package_bytes=1),), "package_bytes": 2},
        {"package_bytes": 0},
        {},
    ],
)
def test_plans_that_cannot_be(wrong):
    with pytest.raises(UsageError):
        UpdatePlan(**wrong)


def test_limits_follow_from_all_packages_together():
    parts = tuple(ComponentPlan(name=str(at), package_bytes=1_000_000, package=at) for at in range(3))
    made = UpdatePlan(components=parts)
    assert made.package_bytes == 3_000_000
    assert made.limits.transferring_s == 24_000
    assert made.method is Method.AUTO


def test_a_package_for_what_runs_already_is_not_delivered():
    parts = tuple(ComponentPlan(name=each, package_bytes=1, package=at) for at, each in enumerate(("a", "b", "c")))
    plan = UpdatePlan(components=parts)
    none, one, all_ = Part(), Part(done=True), (Part(done=True),) * 3
    control = Control(parts=(none, one, none), order=(0, 1, 2), targets=(0, 1, 2))
    assert next_part(plan, control) == 2
    assert next_part(plan, attrs.evolve(control, parts=all_)) is None
    assert next_part(plan, attrs.evolve(control, parts=(none,) * 3)) == 1
