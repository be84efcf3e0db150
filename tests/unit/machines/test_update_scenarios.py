"""The server's update machine against scripted devices: one test for each row of the field and each known pain."""

import heapq
import json
from itertools import count
from pathlib import Path as File

import pytest

from lwm2m_fota.machines.update import next_deadline, start, step
from lwm2m_fota.machines.update_describe import flow
from lwm2m_fota.machines.update_effects import (
    ClearUri,
    Execute,
    Finished,
    Observe,
    Progressed,
    PublishPackage,
    Push,
    Read,
    Report,
    Shown,
    StepChanged,
    StopPush,
    WithdrawPackage,
    WriteNul,
    WriteUri,
)
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
from lwm2m_fota.machines.update_limits import UpdateLimits
from lwm2m_fota.machines.update_outcome import Cancelled, Failed, Succeeded, TimedOut, Undetermined
from lwm2m_fota.machines.update_policy import (
    ExecuteAgain,
    NotAutomatic,
    PullWatch,
    ResetMethod,
    UpdatePlan,
    UpdatePolicy,
    Watch,
)
from lwm2m_fota.machines.update_snapshot import restore, snapshot
from lwm2m_fota.machines.update_steps import UpdateStage, UpdateStep
from lwm2m_fota.machines.update_versions import VersionMatch
from lwm2m_fota.machines.update_why import LastShown, why
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.model.paths import Path

CHANGED, CONTENT = 0x44, 0x45
BAD_REQUEST, FORBIDDEN, NOT_ALLOWED, INCOMPLETE, TOO_LARGE = 0x80, 0x83, 0x85, 0x88, 0x8D
SERVER_ERROR, BUSY = 0xA0, 0xA3
GOLDEN = File(__file__).resolve().parents[2] / "golden"


class Device:
    """A device as the server sees it: answers now, and what it does by itself later."""

    def __init__(self, **changes):
        self.state, self.result, self.version = 0, 0, "1.0"
        self.delivery, self.protocols = 2, (0,)
        self.offers = {5: "1.1", 3: "1.0"}
        self.busy = False  # answers 5.03 to everything
        self.silent = False  # answers nothing
        self.notifies = True
        self.automatic = None
        self.readable = True  # the version
        for name, value in changes.items():
            assert hasattr(self, name)
            setattr(self, name, value)

    # What it is asked. Each gives a list of (delay in s, event or action).

    def answer(self, effect):
        if self.silent:
            return [(93, RequestFailed(effect.command, "no answer"))]
        if isinstance(effect, Execute):
            return (self.update if effect.path == Path.of(5, 0, 2) else self.cancel)(effect.command)
        answers = {
            Read: self.read,
            Observe: lambda effect: [(0, ObserveAnswered(effect.command, CONTENT))],
            WriteUri: lambda effect: self.take_uri(effect.command),
            Push: lambda effect: self.take_push(effect.command),
            ClearUri: lambda effect: self.clear(effect.command),
            WriteNul: lambda effect: self.nul(effect.command),
        }
        return answers[type(effect)](effect)

    def read(self, effect):
        if self.busy:
            return [(0, ReadFailed(effect.command, BUSY))]
        return [(0, lambda drive: ReadAnswered(effect.command, self.values(effect.paths)))]

    def values(self, paths):
        known = {"/5/0/3": self.state, "/5/0/5": self.result, "/5/0/9": self.delivery}
        if self.readable:
            known["/3/0/3"] = self.version
        if self.protocols is not None:
            known["/5/0/8"] = self.protocols
        if self.automatic is not None:
            known["/5/0/14"] = self.automatic
        if 5 not in self.offers:
            known = {"/3/0/3": self.version}
        return {path: known[str(path)] for path in paths if str(path) in known}

    def take_uri(self, command):
        return [(0, WriteAnswered(command, CHANGED)), (0, shows(1, 0)), (20, shows(2, 0))]

    def take_push(self, command):
        return [(20, shows(2, 0)), (20, PushAnswered(command, CHANGED))]

    def clear(self, command):
        if self.state == 3:
            return [(0, WriteAnswered(command, NOT_ALLOWED))]
        return [(0, shows(0, 0)), (0, WriteAnswered(command, CHANGED))]

    def nul(self, command):
        return [(0, shows(0, 0)), (0, WriteAnswered(command, CHANGED))]

    def cancel(self, command):
        if self.state in {0, 3}:
            return [(0, ExecuteAnswered(command, NOT_ALLOWED))]
        return [(0, shows(0, 10)), (0, ExecuteAnswered(command, CHANGED))]

    def update(self, command):
        return [
            (0, ExecuteAnswered(command, CHANGED)),
            (0, shows(3, 0)),
            (5, Deregistered()),
            (60, boots(0, 1, "2.0")),
        ]


def shows(state, result, *, gap=0.001):
    """The device changes; State is notified before Result, each only when it changes (FIELD)."""

    def act(drive):
        device = drive.device
        old = device.state, device.result
        device.state, device.result = state, result
        if device.notifies:
            if state != old[0]:
                drive.later(0, Notified(Path.of(5, 0, 3), state))
            if result != old[1]:
                drive.later(gap, Notified(Path.of(5, 0, 5), result))

    return act


def boots(state, result, version=None):
    """The device starts anew and registers."""

    def act(drive):
        drive.device.state, drive.device.result = state, result
        drive.device.version = version or drive.device.version
        drive.device.busy = drive.device.silent = False
        drive.register()

    return act


def becomes(**changes):
    """The device changes in any way, and says nothing."""

    def act(drive):
        for name, value in changes.items():
            setattr(drive.device, name, value)

    return act


class Drive:
    """A clock, a machine and a device; `restarting` lays the machine through its snapshot before every event."""

    def __init__(self, device, plan, *, restarting=False):
        self.device, self.plan, self.restarting = device, plan, restarting
        self.now, self.epoch, self.order = 1000.0, 0, count()
        self.queue, self.effects, self.steps = [], [], []
        self.machine = start(plan, self.now)
        self.register()

    def register(self):
        self.epoch += 1
        self.later(0, Registered(object_versions=self.device.offers, epoch=self.epoch))

    def later(self, delay, thing):
        heapq.heappush(self.queue, (self.now + delay, next(self.order), thing))

    def feed(self, event):
        if self.restarting:
            self.machine = restore(json.loads(json.dumps(snapshot(self.machine, self.now))), self.now)
        made = step(self.machine, event, self.now)
        self.machine = made.machine
        for effect in made.effects:
            self.effects.append(effect)
            if isinstance(effect, Report):
                if isinstance(effect.note, StepChanged):
                    self.steps.append(effect.note.step.value)
            elif not isinstance(effect, StopPush | PublishPackage | WithdrawPackage) and hasattr(effect, "command"):
                for delay, thing in self.device.answer(effect):
                    self.later(delay, thing)

    def turn(self):
        """The next thing that happens: something in the queue, or a deadline."""
        deadline = next_deadline(self.machine)
        if self.queue and (deadline is None or self.queue[0][0] <= deadline):
            at, _, thing = heapq.heappop(self.queue)
            self.now = max(self.now, at)
            event = thing(self) if callable(thing) else thing
            if event is not None:
                self.feed(event)
            return
        assert deadline is not None
        self.now = max(self.now, deadline)
        self.feed(TimePassed())

    def run(self, turns=3000):
        for _ in range(turns):
            if self.machine.finished:
                return self.machine.outcome
            self.turn()
        raise AssertionError(f"no end: {why(self.machine, self.now)}")

    def until(self, name, turns=3000):
        for _ in range(turns):
            if self.machine.control.step.value == name:
                return self
            self.turn()
        raise AssertionError(f"never in {name}: {self.steps}")

    def sent(self, kind):
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def notes(self, kind):
        return [effect.note for effect in self.sent(Report) if isinstance(effect.note, kind)]

    def executed(self, resource):
        return [effect for effect in self.sent(Execute) if effect.path == Path.of(5, 0, resource)]


def plan_for(method="auto", *, limits=None, size=100_000, expected="2.0", schemes=("coap",), **policy):
    return UpdatePlan(
        method=method,
        package_bytes=size,
        expected_version=expected,
        schemes=schemes,
        limits=limits or UpdateLimits(),
        policy=UpdatePolicy(**policy),
    )


def drive(device=None, method="auto", *, restarting=False, **choices):
    return Drive(device or Device(), plan_for(method, **choices), restarting=restarting)


def codes(outcome):
    return [warning.code for warning in outcome.warnings]


def ends(outcome, kind, code=None, **fields):
    assert type(outcome) is kind, outcome
    if code is not None:
        assert outcome.diagnosis.code == code
    for name, value in fields.items():
        assert getattr(outcome, name) == value
    return True


def scripted(**methods):
    """A device with some of its answers replaced: `take_uri=lambda device, command: [...]`."""
    return type("Scripted", (Device,), methods)


# -- the way without obstacles ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["pull", "push"])
def test_an_update_without_obstacles_takes_the_previewed_steps(method):
    made = drive(method=method)
    outcome = made.run()
    assert outcome == Succeeded(version_before="1.0", version_after="2.0")
    assert ["registration", *made.steps] == [one.value for one in flow(push=method == "push")]


@pytest.mark.parametrize("method", ["pull", "push"])
def test_the_machine_may_be_stored_and_restored_before_every_event(method):
    plain, restarting = drive(method=method), drive(method=method, restarting=True)
    assert plain.run() == restarting.run()
    assert plain.effects == restarting.effects


@pytest.mark.parametrize("method", ["pull", "push"])
def test_the_transcript_is_the_golden_one(method):
    made = drive(method=method)
    made.run()
    transcript = [f"{type(one).__name__} {_told(one)}".rstrip() for one in made.effects]
    assert transcript == json.loads((GOLDEN / f"update-{method}.json").read_text(encoding="utf-8"))


def _told(effect):
    if isinstance(effect, Report):
        note = effect.note
        return type(note).__name__ + (f" {note.step.value}" if isinstance(note, StepChanged) else "")
    paths = getattr(effect, "paths", None) or ((effect.path,) if hasattr(effect, "path") else ())
    return " ".join([*map(str, paths), *filter(None, [getattr(effect, "scheme", "")])])


def test_what_is_shown_was_read_together_and_never_mixed_from_notifications():
    class FailsLate(Device):
        def update(self, command):
            return [(0, ExecuteAnswered(command, CHANGED)), (0, shows(3, 0)), (60, shows(2, 8, gap=9))]

    made = drive(FailsLate())
    assert ends(made.run(), Failed)
    pairs = [(note.state, note.result) for note in made.notes(Shown)]
    assert pairs == [(0, 0), (1, 0), (2, 0), (3, 0), (2, 8), (0, 10)]


def test_a_notification_counts_as_progress_but_is_shown_to_nobody_before_a_read():
    made = start(UpdatePlan(package_bytes=5), 0.0)
    for event in (
        Registered(object_versions={5: "1.1"}),
        ObserveAnswered(1, CONTENT),
        ReadAnswered(2, {Path.of(5, 0, 3): 0, Path.of(5, 0, 5): 0, Path.of(3, 0, 3): "1"}),
    ):
        made = step(made, event, 1.0).machine
    taken = step(made, Notified(Path.of(5, 0, 5), 1), 8.0)
    assert taken.machine.control.part.result == 1
    assert taken.machine.times.heard == 8.0
    assert not any(isinstance(one, Report) for one in taken.effects)
    shown = why(taken.machine, 9.0).last_shown
    assert (shown.state, shown.result, shown.version, shown.age_s) == (0, 0, "1", 8.0)


def test_a_version_that_was_read_without_the_pair_is_shown_without_it():
    class NewFirmwareHasNoObject(Device):
        def update(self, command):
            def gone(drive):
                drive.device.offers = {3: "1.0"}

            return [(0, ExecuteAnswered(command, CHANGED)), (30, gone), (30, boots(0, 0, "2.0"))]

    made = drive(NewFirmwareHasNoObject())
    assert ends(made.run(), Succeeded)
    assert made.notes(Shown)[-1] == Shown(None, None, "2.0")


@pytest.mark.parametrize("method", ["push", "pull"])
def test_a_package_that_cannot_be_read_here_is_named_at_once_and_not_tried_again(method):
    class NoPackage(Device):
        def take_push(self, command):
            return [(0, SourceFailed(command, "gone"))]

        take_uri = take_push

    made = drive(NoPackage(), method)
    outcome = made.run()
    assert ends(outcome, Failed)
    assert (outcome.diagnosis.code, outcome.result) == ("transfer.no-package", None)
    assert len(made.sent(Push)) + len(made.sent(WriteUri)) == 1


def test_after_a_restart_of_the_server_a_device_is_observed_once_it_registers():
    plan = UpdatePlan(package_bytes=5, method="push")
    ready = start(plan, 0.0)
    for event in (
        Registered(object_versions={5: "1.1"}, epoch=1),
        ObserveAnswered(1, CONTENT),
        ReadAnswered(2, {Path.of(5, 0, 3): 0, Path.of(5, 0, 5): 0, Path.of(3, 0, 3): "1"}),
    ):
        ready = step(ready, event, 1.0).machine
    assert ready.control.step is UpdateStep.PUSH
    restarted = step(ready, Restarted(), 2.0)
    assert not any(isinstance(one, Observe) for one in restarted.effects)
    again = step(restarted.machine, Registered(object_versions={5: "1.1"}, epoch=1), 3.0)
    assert any(isinstance(one, Observe) for one in again.effects)


def test_a_restart_during_the_preparation_waits_for_the_registration():
    made = step(start(UpdatePlan(package_bytes=5), 0.0), Registered(object_versions={5: "1.1"}, epoch=1), 0.0).machine
    restarted = step(made, Restarted(), 2.0).machine
    assert restarted.control.step is UpdateStep.REGISTRATION
    again = step(restarted, Registered(object_versions={5: "1.1"}, epoch=1), 3.0).machine
    assert again.control.step is UpdateStep.OBSERVE


def test_the_stages_come_in_order():
    made = drive()
    made.run()
    stages = list(dict.fromkeys(note.stage for note in made.notes(StepChanged)))
    assert stages == list(UpdateStage)


# -- the field --------------------------------------------------------------------------------------------------


def test_field_state_stays_0_during_a_push_and_jumps_to_2():
    made = drive(method="push")
    assert ends(made.run(), Succeeded)
    shown = {effect.note.state for effect in made.sent(Report) if type(effect.note).__name__ == "Shown"}
    assert 1 not in shown


def test_field_an_abandoned_push_answers_5_03_for_300_s_and_lapses_but_is_no_end():
    class C1(Device):
        pushes = 0

        def take_push(self, command):
            self.pushes += 1
            if self.pushes > 1:
                return super().take_push(command)
            return [
                (0, becomes(busy=True)),
                (93, RequestFailed(command, "no answer")),
                (153, Lapsed()),
                (393, boots(0, 4)),
            ]

    made = drive(C1(), "push")
    assert ends(made.run(), Succeeded)
    assert len(made.sent(Push)) == 2
    assert not made.sent(ClearUri)
    assert not made.sent(WriteNul)
    assert not made.executed(10)


def test_field_a_push_that_answers_5_03_is_asked_again_later_and_never_reset():
    class Occupied(Device):
        answers = (BUSY, BUSY, CHANGED)

        def take_push(self, command):
            code = self.answers[0]
            self.answers = self.answers[1:]
            return [(0, PushAnswered(command, code))] if code == BUSY else super().take_push(command)

    made = drive(Occupied(), "push")
    assert ends(made.run(), Succeeded)
    assert len(made.sent(Push)) == 3
    assert not made.sent(ClearUri)
    assert not made.executed(10)


def test_field_a_device_that_never_stops_answering_5_03_ends_the_update_after_a_count():
    made = drive(scripted(take_push=lambda device, command: [(0, PushAnswered(command, BUSY))])(), "push", max_busy=4)
    assert ends(made.run(), Failed, "transfer.device-busy", result=None)
    assert len(made.sent(Push)) == 5


@pytest.mark.parametrize("state", [2, 0])
def test_field_result_8_may_land_in_downloaded_or_in_idle_and_state_comes_first(state):
    made = drive(
        scripted(
            update=lambda device, command: [
                (0, ExecuteAnswered(command, CHANGED)),
                (0, shows(3, 0)),
                (4, shows(state, 8)),
            ]
        )()
    )
    assert ends(made.run(), Failed, "device.update-failed", stage=UpdateStage.EXECUTING, result=8)


def test_field_state_2_alone_after_state_3_is_not_judged():
    made = drive(scripted(update=lambda device, command: [(0, ExecuteAnswered(command, CHANGED)), (0, shows(3, 0))])())
    made.until("install")
    for _ in range(6):
        made.turn()
    made.device.state = 2
    made.feed(Notified(Path.of(5, 0, 3), 2))
    made.turn()
    assert made.machine.control.step is UpdateStep.INSTALL
    made.device.result = 13
    made.feed(Notified(Path.of(5, 0, 5), 13))
    assert ends(made.run(), Failed, "device.dependency-error", result=13)


def test_field_an_idle_state_ahead_of_its_result_is_looked_at_twice():
    made = drive(
        scripted(take_uri=lambda device, command: [(0, WriteAnswered(command, CHANGED)), (0, shows(1, 0))])(),
        max_pulls=1,
    )
    made.until("download")
    for _ in range(6):
        made.turn()
    made.device.state = 0
    made.feed(Notified(Path.of(5, 0, 3), 0))
    made.turn()
    assert made.machine.control.step is UpdateStep.DOWNLOAD
    made.device.result = 7  # no notification: the second look finds it
    assert ends(made.run(), Failed, "device.invalid-uri", result=7)


def test_field_deferral_is_waited_for():
    made = drive(
        scripted(
            update=lambda device, command: [
                (0, ExecuteAnswered(command, CHANGED)),
                (0, shows(3, 0)),
                (1, shows(2, 11)),
                (2000, shows(3, 0)),
                (2100, boots(0, 1, "2.0")),
            ]
        )()
    )
    assert ends(made.run(), Succeeded)
    assert "deferred" in made.steps


def test_field_deferral_is_bounded_and_rests_the_limit_of_the_stage():
    made = drive(
        scripted(
            update=lambda device, command: [(0, ExecuteAnswered(command, CHANGED)), (1, shows(2, 11))],
        )(),
        limits=UpdateLimits(deferral_s=5000.0, total_s=90000.0),
    )
    outcome = made.run()
    assert ends(outcome, TimedOut, "execute.deferred", stage=UpdateStage.EXECUTING)
    assert made.now - 1000 > 5000
    assert len(made.executed(10)) == 1  # cleanup takes the package away


@pytest.mark.parametrize("watch", [Watch.READ_ONLY, Watch.OBSERVE_WITH_READ_FALLBACK])
def test_field_transitions_lost_to_an_observer_are_found_by_reading(watch):
    made = drive(Device(notifies=False), watch=watch)
    assert ends(made.run(), Succeeded)
    assert bool(made.sent(Observe)) is (watch is Watch.OBSERVE_WITH_READ_FALLBACK)


def test_field_all_observations_are_made_anew_after_a_registration():
    made = drive()
    made.until("install")
    before = len(made.sent(Observe))
    made.feed(Registered(object_versions=made.device.offers, epoch=99))
    tail = [type(effect) for effect in made.effects[-2:]]
    assert (len(made.sent(Observe)), tail) == (before + 1, [Observe, Read])


def test_field_2_04_on_execute_is_not_success():
    made = drive(scripted(update=lambda device, command: [(0, shows(0, 8)), (0, ExecuteAnswered(command, CHANGED))])())
    assert ends(made.run(), Failed, "device.update-failed", result=8)


def test_field_nothing_persisted_over_the_reboot_is_judged_by_the_version():
    def update(version):
        return scripted(
            update=lambda device, command: [(0, ExecuteAnswered(command, CHANGED)), (60, boots(0, 0, version))]
        )()

    good = drive(update("2.0")).run()
    assert ends(good, Succeeded, version_after="2.0")
    assert codes(good) == ["execute.result-lost"]
    assert ends(drive(update("1.0")).run(), Undetermined, "execute.no-evidence")
    assert ends(drive(update("1.5")).run(), Undetermined, "execute.no-evidence")
    assert ends(drive(update("1.5"), expected=None).run(), Succeeded)


def test_field_result_1_shown_once_is_kept():
    def update(device, command):
        return [
            (0, ExecuteAnswered(command, CHANGED)),
            (60, boots(0, 0)),
            (60, Notified(Path.of(5, 0, 5), 1)),
            (60, Notified(Path.of(5, 0, 5), 0)),
        ]

    outcome = drive(scripted(update=update)(), expected="1.0").run()
    assert ends(outcome, Succeeded)


def test_field_a_uri_that_is_ignored_ends_with_a_diagnosis():
    made = drive(scripted(take_uri=lambda device, command: [(0, WriteAnswered(command, CHANGED))])())
    assert ends(made.run(), TimedOut, "transfer.not-started", stage=UpdateStage.TRANSFERRING)


def test_field_unsupported_scheme_is_4_00_with_result_9_or_2_04_with_result_9():
    c1 = scripted(take_uri=lambda device, command: [(0, shows(0, 9)), (0, WriteAnswered(command, BAD_REQUEST))])
    z = scripted(take_uri=lambda device, command: [(0, WriteAnswered(command, CHANGED)), (0.5, shows(0, 9))])
    for kind in (c1, z):
        made = drive(kind(), "pull")
        assert ends(made.run(), Failed, "device.unsupported-protocol", result=9)
        assert len(made.sent(WriteUri)) == 1


def test_field_unsupported_scheme_again_is_told_from_the_old_result_by_the_refusal():
    c1 = scripted(take_uri=lambda device, command: [(0, WriteAnswered(command, BAD_REQUEST))])
    made = drive(c1(result=9), "pull")
    assert ends(made.run(), Failed, "device.unsupported-protocol", result=9)


@pytest.mark.parametrize(("result", "writes"), [(7, 1), (3, 1), (9, 1), (4, 2)])
def test_field_a_download_that_cannot_start_is_2_04_and_then_a_result(result, writes):
    made = drive(
        scripted(take_uri=lambda device, command: [(0, WriteAnswered(command, CHANGED)), (1, shows(0, result))])()
    )
    made.device.notifies = False
    outcome = made.run()
    assert type(outcome) in {Failed, TimedOut}
    assert len(made.sent(WriteUri)) == writes
    if result != 4:
        assert outcome.result == result


@pytest.mark.parametrize("code", [SERVER_ERROR, TOO_LARGE])
def test_field_push_without_space_is_told_by_the_result(code):
    made = drive(
        scripted(take_push=lambda device, command: [(1, shows(0, 2)), (1, PushAnswered(command, code))])(), "push"
    )
    assert ends(made.run(), Failed, "device.not-enough-storage", stage=UpdateStage.TRANSFERRING, result=2)
    assert len(made.sent(Push)) == 1


@pytest.mark.parametrize("code", [CHANGED, BAD_REQUEST, SERVER_ERROR])
@pytest.mark.parametrize("before", [0, 5])
def test_field_push_whose_check_fails_is_told_by_the_result(code, before):
    made = drive(
        scripted(take_push=lambda device, command: [(1, shows(0, 5)), (1, PushAnswered(command, code))])(result=before),
        "push",
    )
    assert ends(made.run(), Failed, "device.integrity-failure", result=5)


def test_field_an_idle_device_that_reports_state_1_for_ever_ends_with_a_diagnosis():
    w = scripted(
        clear=lambda device, command: [(0, WriteAnswered(command, CHANGED))],
        nul=lambda device, command: [(0, WriteAnswered(command, BAD_REQUEST))],
        cancel=lambda device, command: [(0, ExecuteAnswered(command, NOT_ALLOWED))],
    )
    made = drive(w(state=1))
    assert ends(made.run(), Failed, "prepare.stuck-downloading", stage=UpdateStage.PREPARING, result=None)
    assert made.now - 1000 < 300


@pytest.mark.parametrize("state", [1, 2])
def test_field_a_leftover_is_reset_by_cancel_then_empty_uri_then_nul(state):
    z = scripted(
        cancel=lambda device, command: [(0, ExecuteAnswered(command, NOT_ALLOWED))],
        clear=lambda device, command: [(0, WriteAnswered(command, CHANGED))],  # 2.04 without effect
    )
    made = drive(z(state=state))
    assert ends(made.run(), Succeeded)
    ways = [one for one in made.effects if isinstance(one, WriteNul | ClearUri) or one in made.executed(10)]
    assert [type(one) for one in ways] == [Execute, ClearUri, WriteNul]


def test_field_cancel_is_not_tried_on_object_1_0():
    made = drive(Device(state=2, offers={5: "1.0", 3: "1.0"}))
    assert ends(made.run(), Succeeded)
    assert not made.executed(10)
    assert len(made.sent(ClearUri)) == 1


def test_field_state_3_at_the_start_is_waited_for_and_never_reset():
    made = drive(Device(state=3))
    made.until("other-update")
    made.later(100, boots(0, 1, "1.5"))
    outcome = made.run()
    assert ends(outcome, Succeeded, version_before="1.5", version_after="2.0")
    assert not made.sent(ClearUri)


def test_field_state_3_for_ever_at_the_start_ends_with_a_diagnosis():
    made = drive(Device(state=3), limits=UpdateLimits(preparing_s=2000.0))
    assert ends(made.run(), TimedOut, "prepare.device-updating")


def test_field_5_03_to_a_reset_is_asked_again_later():
    class Receiving(Device):
        def cancel(self, command):
            self.busy = True
            return [(0, ExecuteAnswered(command, BUSY)), (200, becomes(busy=False, state=0, result=4))]

    made = drive(Receiving(state=1))
    assert ends(made.run(), Succeeded)
    assert len(made.executed(10)) == 1
    assert not made.sent(ClearUri)


def test_field_5_03_to_a_reset_for_ever_ends_with_a_diagnosis():
    made = drive(
        scripted(cancel=lambda device, command: [(0, becomes(busy=True)), (0, ExecuteAnswered(command, BUSY))])(state=1)
    )
    assert ends(made.run(), TimedOut, "prepare.device-busy")


# -- results of another time --------------------------------------------------------------------------------------


def test_an_old_result_1_is_not_taken_for_this_update():
    made = drive(Device(result=1))
    made.until("download")
    assert made.machine.control.part.baseline == 1
    made = drive(scripted(take_uri=lambda device, command: [(0, WriteAnswered(command, CHANGED))])(result=1))
    assert ends(made.run(), TimedOut, "transfer.not-started")


def test_pain_a_device_reset_in_mid_download_is_not_shown_as_updated():
    made = drive(
        scripted(
            take_uri=lambda device, command: [(0, WriteAnswered(command, CHANGED)), (0, shows(1, 0)), (9, boots(0, 1))]
        )(result=1),
        max_pulls=1,
    )
    assert ends(made.run(), Failed, "transfer.broken", stage=UpdateStage.TRANSFERRING)


def test_an_old_error_result_is_not_taken_for_this_update():
    assert ends(drive(Device(result=8)).run(), Succeeded)
    ignored = scripted(take_uri=lambda device, command: [(0, WriteAnswered(command, CHANGED))])
    assert ends(drive(ignored(result=7)).run(), TimedOut, "transfer.not-started")


def test_the_same_error_again_is_taken_once_the_device_fetched():
    again = scripted(take_uri=lambda device, command: [(0, WriteAnswered(command, CHANGED)), (1, PullProgress(1024))])
    made = drive(again(result=5))
    assert ends(made.run(), Failed, "device.integrity-failure", result=5)


def test_an_answer_to_an_older_command_changes_nothing():
    made = drive()
    made.until("download")
    read = made.sent(Read)[0].command
    for event in (
        ReadAnswered(read, {Path.of(5, 0, 3): 0, Path.of(5, 0, 5): 8}),
        ReadFailed(read),
        WriteAnswered(made.sent(WriteUri)[0].command, BAD_REQUEST),
        RequestFailed(0),
        ExecuteAnswered(77, CHANGED),
        ObserveAnswered(77, CHANGED),
        PushProgress(77, 5),
    ):
        made_step = step(made.machine, event, made.now)
        assert made_step.machine is made.machine
        assert made_step.effects == ()


# -- choosing the method --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "delivery", "protocols", "schemes", "sent"),
    [
        ("auto", 0, (0,), ("coap",), WriteUri),
        ("auto", 1, (0,), ("coap",), Push),
        ("auto", 2, (0,), ("coap",), WriteUri),
        ("auto", 2, None, ("coap",), WriteUri),
        ("auto", 2, (), ("coap",), WriteUri),
        ("auto", 2, (1, 77), ("coap", "coaps"), WriteUri),
        ("auto", 2, (3,), ("coap", "coaps"), Push),
        ("auto", 2, (0,), (), Push),
        ("auto", None, (0,), ("coap",), WriteUri),
        ("auto", 7, {0: 5}, ("coaps+tcp",), WriteUri),
        ("pull", 2, (0,), ("coap",), WriteUri),
        ("push", 2, (0,), ("coap",), Push),
    ],
)
def test_the_method_follows_what_the_device_says(method, delivery, protocols, schemes, sent):
    made = drive(Device(delivery=delivery, protocols=protocols), method, schemes=schemes)
    assert ends(made.run(), Succeeded)
    assert len(made.sent(sent)) == 1
    assert len(made.sent(WriteUri)) + len(made.sent(Push)) == 1


def test_the_first_common_scheme_is_taken():
    made = drive(Device(protocols=(0, 1, 2)), schemes=("https", "coaps", "coap"))
    made.run()
    assert [one.scheme for one in made.sent(WriteUri)] == ["coaps"]
    assert [one.scheme for one in made.sent(PublishPackage)] == ["coaps"]


@pytest.mark.parametrize(
    ("method", "delivery", "protocols", "code"),
    [
        ("push", 0, (0,), "prepare.push-unsupported"),
        ("pull", 1, (0,), "prepare.pull-unsupported"),
        ("pull", 2, (3,), "prepare.no-common-protocol"),
        ("auto", 0, (99,), "prepare.no-common-protocol"),
    ],
)
def test_a_method_that_the_device_does_not_offer_fails_before_anything_is_written(method, delivery, protocols, code):
    made = drive(Device(state=2, delivery=delivery, protocols=protocols), method)
    assert ends(made.run(), Failed, code, stage=UpdateStage.PREPARING, result=None)
    assert not any(made.sent(kind) for kind in (WriteUri, ClearUri, WriteNul, Execute, Push, PublishPackage))


def test_bug_an_empty_list_of_protocols_is_the_default_with_a_warning():
    assert codes(drive(Device(protocols=())).run()) == ["prepare.protocols-empty"]
    assert codes(drive(Device(protocols=None)).run()) == []
    assert codes(drive(Device(delivery=None)).run()) == ["prepare.delivery-unread"]
    assert codes(drive(Device(protocols=(3,))).run()) == ["prepare.pushed-instead"]


def test_a_device_without_object_5_fails():
    assert ends(drive(Device(offers={3: "1.0"})).run(), Failed, "prepare.no-object")


def test_resource_instances_of_the_protocols_are_understood():
    class Instances(Device):
        def values(self, paths):
            values = super().values(paths)
            if values.pop(Path.of(5, 0, 8), None):
                values[Path.of(5, 0, 8, 0)] = 2
                values[Path.of(5, 0, 8, 1)] = "odd"
            return values

    made = drive(Instances(), schemes=("coap", "http"))
    made.run()
    assert [one.scheme for one in made.sent(WriteUri)] == ["http"]


# -- transfers ------------------------------------------------------------------------------------------------------


def test_pain_limits_are_not_blind_to_progress():
    def slow(device, command):
        blocks = [(100.0 * n, PullProgress(1000 * n)) for n in range(1, 30)]
        return [(0, WriteAnswered(command, CHANGED)), (0, shows(1, 0)), *blocks, (3000, shows(2, 0))]

    limits = UpdateLimits(no_progress_s=150.0, transferring_s=5000.0, total_s=9000.0)
    made = drive(scripted(take_uri=slow)(notifies=False), limits=limits)
    assert ends(made.run(), Succeeded)
    assert [note.bytes_done for note in made.notes(Progressed)][:2] == [1000, 2000]


def test_pain_a_stall_ends_long_before_the_stage():
    def stalls(device, command):
        return [(0, WriteAnswered(command, CHANGED)), (0, shows(1, 0)), (10, PullProgress(5000))]

    made = drive(scripted(take_uri=stalls)(), limits=UpdateLimits(transferring_s=90000.0, total_s=99999.0))
    assert ends(made.run(), TimedOut, "transfer.no-progress")
    assert made.now - 1000 < 600
    assert made.executed(10)  # the device is not left downloading


def test_a_device_that_begins_again_and_again_makes_no_progress():
    def loops(device, command):
        blocks = [(10.0 * n, PullProgress(1000 * (n % 5))) for n in range(1, 100)]
        return [(0, WriteAnswered(command, CHANGED)), (0, shows(1, 0)), *blocks]

    assert ends(drive(scripted(take_uri=loops)()).run(), TimedOut, "transfer.no-progress")


def test_a_pull_from_elsewhere_is_bounded_by_the_stage_only():
    def silent(device, command):
        return [(0, WriteAnswered(command, CHANGED)), (0, shows(1, 0)), (1500, shows(2, 0))]

    assert ends(drive(scripted(take_uri=silent)()).run(), TimedOut, "transfer.no-progress")
    assert ends(drive(scripted(take_uri=silent)(), pull_watch=PullWatch.HIDDEN).run(), Succeeded)


def test_pain_an_interrupted_push_starts_again_at_its_start_and_ends_after_a_count():
    broken = scripted(take_push=lambda device, command: [(5, PushAnswered(command, INCOMPLETE))])
    made = drive(broken(), "push", max_pushes=3)
    assert ends(made.run(), Failed, "transfer.broken", result=None)
    assert len(made.sent(Push)) == 3
    lost = scripted(take_push=lambda device, command: [(5, shows(0, 4)), (9, RequestFailed(command))])
    made = drive(lost(), "push", max_pushes=2)
    outcome = made.run()
    assert type(outcome) is Failed
    assert len(made.sent(Push)) == 2


def test_a_stalled_push_is_stopped_and_begun_again_and_ends_with_its_own_code():
    stalled = scripted(take_push=lambda device, command: [(5, PushProgress(command, 1024))])
    made = drive(stalled(), "push", max_pushes=2)
    outcome = made.run()
    assert ends(outcome, TimedOut, "transfer.no-progress")
    assert codes(outcome) == ["transfer.no-progress"]
    assert [one.command for one in made.sent(StopPush)] == [one.command for one in made.sent(Push)]


def test_a_push_to_a_device_that_stays_in_downloading_overwrites_the_old_one():
    class Z(Device):
        tries = 0

        def take_push(self, command):
            self.tries += 1
            if self.tries == 1:
                return [(0, shows(1, 0)), (93, RequestFailed(command))]
            return super().take_push(command)

    made = drive(Z(), "push")
    assert ends(made.run(), Succeeded)
    assert not made.sent(ClearUri)


def test_a_push_that_answers_into_the_void_goes_on_by_the_state():
    lost = scripted(take_push=lambda device, command: [(20, shows(2, 0)), (93, RequestFailed(command))])
    made = drive(lost(), "push")
    assert ends(made.run(), Succeeded)
    assert len(made.sent(Push)) == 1


def test_a_refused_push_without_a_result_fails():
    refused = scripted(take_push=lambda device, command: [(1, PushAnswered(command, FORBIDDEN))])
    assert ends(drive(refused(), "push").run(), Failed, "transfer.push-refused", result=None)


def test_a_push_that_is_taken_but_never_shown_times_out():
    odd = scripted(take_push=lambda device, command: [(1, PushAnswered(command, CHANGED))])
    assert ends(drive(odd(), "push").run(), TimedOut, "transfer.no-progress")


def test_a_registration_during_a_push_does_not_stop_it():
    class Chatty(Device):
        def take_push(self, command):
            return [(2, lambda drive: drive.register()), *super().take_push(command)]

    made = drive(Chatty(), "push")
    assert ends(made.run(), Succeeded)
    assert len(made.sent(Push)) == 1
    assert not made.sent(StopPush)


def test_a_registration_during_a_push_that_shows_its_end_stops_it():
    class Rebooted(Device):
        tries = 0

        def take_push(self, command):
            self.tries += 1
            return [(2, boots(0, 4))] if self.tries == 1 else super().take_push(command)

    made = drive(Rebooted(), "push")
    assert ends(made.run(), Succeeded)
    assert len(made.sent(StopPush)) == 1


def test_a_uri_without_an_answer_is_written_again_only_if_nothing_moved():
    class Deaf(Device):
        tries = 0

        def take_uri(self, command):
            self.tries += 1
            return [(93, RequestFailed(command))] if self.tries == 1 else super().take_uri(command)

    made = drive(Deaf())
    assert ends(made.run(), Succeeded)
    assert len(made.sent(WriteUri)) == 2
    moved = scripted(
        take_uri=lambda device, command: [(1, shows(1, 0)), (93, RequestFailed(command)), (99, shows(2, 0))]
    )
    made = drive(moved())
    assert ends(made.run(), Succeeded)
    assert len(made.sent(WriteUri)) == 1


def test_a_uri_without_an_answer_on_an_unreachable_device_times_out():
    gone = scripted(take_uri=lambda device, command: [(0, becomes(silent=True))])
    assert ends(drive(gone()).run(), TimedOut, "transfer.no-answer")


def test_a_uri_that_is_refused_without_a_result_fails():
    refused = scripted(take_uri=lambda device, command: [(0, WriteAnswered(command, FORBIDDEN))])
    assert ends(drive(refused()).run(), Failed, "transfer.uri-refused", result=None)


def test_a_device_that_loses_object_5_in_the_transfer_fails():
    class Loses(Device):
        def take_uri(self, command):
            return [(0, becomes(offers={3: "1.0"})), (1, lambda drive: drive.register())]

    assert ends(drive(Loses()).run(), Failed, "transfer.object-gone", result=None)


def test_the_limit_of_the_stage_ends_a_lively_transfer():
    def endless(device, command):
        return [(0, WriteAnswered(command, CHANGED)), (0, shows(1, 0))] + [
            (60.0 * n, PullProgress(n)) for n in range(1, 90)
        ]

    assert ends(drive(scripted(take_uri=endless)()).run(), TimedOut, "transfer.stage-limit")


def test_the_limit_of_the_whole_has_its_own_code():
    made = drive(limits=UpdateLimits(total_s=15.0))
    assert ends(made.run(), TimedOut, "total.limit", stage=UpdateStage.TRANSFERRING)


# -- execute ----------------------------------------------------------------------------------------------------------


def test_an_execute_without_an_answer_is_followed_by_a_look_and_repeated_only_in_downloaded():
    class Deaf(Device):
        tries = 0

        def update(self, command):
            self.tries += 1
            return [(93, RequestFailed(command))] if self.tries == 1 else super().update(command)

    made = drive(Deaf())
    assert ends(made.run(), Succeeded)
    assert len(made.executed(2)) == 2
    made = drive(Deaf(), execute_again=ExecuteAgain.NEVER)
    assert ends(made.run(), Undetermined, "execute.unanswered")
    assert len(made.executed(2)) == 1


def test_an_execute_whose_answer_was_lost_is_not_repeated():
    lost = scripted(
        update=lambda device, command: [(0, shows(3, 0)), (60, boots(0, 1, "2.0")), (93, RequestFailed(command))]
    )
    made = drive(lost())
    assert ends(made.run(), Succeeded)
    assert len(made.executed(2)) == 1


def test_an_accepted_execute_starts_at_most_one_installation():
    back = scripted(update=lambda device, command: [(0, ExecuteAnswered(command, CHANGED)), (60, boots(2, 0))])
    made = drive(back())
    assert ends(made.run(), Undetermined, "execute.not-installed")
    assert len(made.executed(2)) == 1


def test_executes_end_after_a_count():
    made = drive(scripted(update=lambda device, command: [(9, RequestFailed(command))])(), max_executes=3)
    assert ends(made.run(), Undetermined, "execute.unanswered")
    assert len(made.executed(2)) == 3


def test_an_execute_that_is_answered_5_03_is_asked_again_and_ends_after_a_count():
    class Later(Device):
        tries = 0

        def update(self, command):
            self.tries += 1
            return [(0, ExecuteAnswered(command, BUSY))] if self.tries < 3 else super().update(command)

    assert ends(drive(Later(), max_executes=1).run(), Succeeded)
    never = scripted(update=lambda device, command: [(0, ExecuteAnswered(command, BUSY))])
    made = drive(never(), max_busy=2)
    assert ends(made.run(), Failed, "execute.device-busy")
    assert len(made.executed(2)) == 3


def test_an_execute_that_is_refused_fails_by_the_result_or_by_its_own_code():
    bare = scripted(update=lambda device, command: [(0, ExecuteAnswered(command, NOT_ALLOWED))])
    assert ends(drive(bare()).run(), Failed, "execute.refused", result=None)
    told = scripted(update=lambda device, command: [(0, shows(2, 8)), (0, ExecuteAnswered(command, SERVER_ERROR))])
    assert ends(drive(told()).run(), Failed, "device.update-failed", result=8)
    dropped = scripted(update=lambda device, command: [(0, shows(0, 0)), (0, ExecuteAnswered(command, NOT_ALLOWED))])
    assert ends(drive(dropped()).run(), Failed, "execute.refused", result=None)


def test_pain_deregistration_during_the_update_is_no_failure():
    outcome = drive().run()  # the device deregisters before its reboot
    assert ends(outcome, Succeeded)


def test_a_device_that_does_not_come_back_ends_with_a_diagnosis():
    gone = scripted(
        update=lambda device, command: [
            (0, ExecuteAnswered(command, CHANGED)),
            (0, shows(3, 0)),
            (5, Deregistered()),
            (5, becomes(silent=True)),
        ]
    )
    assert ends(drive(gone()).run(), TimedOut, "execute.no-return", stage=UpdateStage.EXECUTING)


def test_an_installation_that_does_not_end_has_a_diagnosis():
    stuck = scripted(update=lambda device, command: [(0, ExecuteAnswered(command, CHANGED)), (0, shows(3, 0))])
    made = drive(stuck())
    assert ends(made.run(), TimedOut, "execute.no-end")
    assert not made.executed(10)  # State 3 is never reset


def test_bug_a_failed_version_read_does_not_turn_a_good_result_bad():
    class Unread(Device):
        def update(self, command):
            return [*super().update(command), (59, becomes(readable=False))]

    outcome = drive(Unread()).run()
    assert ends(outcome, Succeeded, version_before="1.0", version_after=None)
    assert codes(outcome) == ["execute.version-unread"]


def test_an_unreadable_version_with_no_result_stays_undetermined():
    class Unread(Device):
        def update(self, command):
            return [(0, ExecuteAnswered(command, CHANGED)), (9, becomes(readable=False)), (9, boots(0, 0))]

    assert ends(drive(Unread()).run(), Undetermined, "execute.no-evidence")


def test_another_version_than_expected_is_a_warning():
    outcome = drive(expected="3.0").run()
    assert ends(outcome, Succeeded, version_after="2.0")
    assert codes(outcome) == ["execute.version-mismatch"]


def test_versions_are_never_compared_by_a_part():
    made = drive(Device(version="12.0"), expected="2.0")
    assert codes(made.run()) == []
    assert codes(drive(expected=" v2.0 ").run()) == ["execute.version-mismatch"]
    assert codes(drive(expected=" v2.0 ", version_match=VersionMatch.TRIMMED).run()) == []


def test_an_update_to_the_version_that_runs_already_is_warned_of():
    assert codes(drive(Device(version="2.0")).run()) == ["prepare.already-there"]


def test_a_new_firmware_without_object_5_is_judged_by_its_version():
    def update(version):
        return scripted(
            update=lambda device, command: [
                (0, ExecuteAnswered(command, CHANGED)),
                (30, becomes(offers={3: "1.0"})),
                (30, boots(0, 0, version)),
            ]
        )()

    assert ends(drive(update("2.0")).run(), Succeeded, version_after="2.0")
    assert ends(drive(update("1.0")).run(), Undetermined, "execute.no-evidence")


# -- automatic upgrade (Object 5, 1.2) ----------------------------------------------------------------------------------


def automatic(**methods):
    return scripted(**methods)(offers={5: "1.2", 3: "1.2"}, automatic=True)


@pytest.mark.parametrize("seen", [True, False])
def test_a_device_that_upgrades_itself_needs_no_execute(seen):
    between = [(20, shows(2, 0)), (21, shows(3, 0))] if seen else []
    made = drive(
        automatic(
            take_uri=lambda device, command: [
                (0, WriteAnswered(command, CHANGED)),
                (0, shows(1, 0)),
                *between,
                (60, boots(0, 1, "2.0")),
            ]
        )
    )
    assert ends(made.run(), Succeeded)
    assert not made.executed(2)


def test_a_device_that_says_so_but_does_not_is_given_up():
    """Object 5, 1.2: with Automatic Upgrade on, the server sends no Execute."""
    made = drive(automatic())
    assert ends(made.run(), TimedOut, "execute.not-automatic")
    assert not made.executed(2)


def test_a_device_that_says_so_but_does_not_is_told_to_update_by_policy():
    made = drive(automatic(), not_automatic=NotAutomatic.EXECUTE)
    outcome = made.run()
    assert ends(outcome, Succeeded)
    assert codes(outcome) == ["execute.not-automatic"]
    assert len(made.executed(2)) == 1


def test_a_device_that_upgrades_itself_may_fail_or_defer():
    failing = automatic(
        take_uri=lambda device, command: [
            (0, WriteAnswered(command, CHANGED)),
            (0, shows(1, 0)),
            (9, shows(2, 8)),
        ]
    )
    assert ends(drive(failing).run(), Failed, "device.update-failed", result=8)
    deferring = automatic(
        take_uri=lambda device, command: [
            (0, WriteAnswered(command, CHANGED)),
            (0, shows(1, 0)),
            (9, shows(2, 11)),
            (99, shows(3, 0)),
            (150, boots(0, 1, "2.0")),
        ]
    )
    made = drive(deferring)
    assert ends(made.run(), Succeeded)
    assert not made.executed(2)


# -- cancel ---------------------------------------------------------------------------------------------------------------


def test_cancel_before_anything_was_written_ends_at_once():
    made = drive().until("learn")
    made.feed(CancelRequested())
    assert made.run() == Cancelled(stage=UpdateStage.PREPARING)
    assert not made.executed(10)


def test_cancel_of_a_pull_executes_cancel_and_waits_for_idle():
    made = drive().until("download")
    made.feed(CancelRequested())
    assert made.run() == Cancelled(stage=UpdateStage.TRANSFERRING)
    assert len(made.executed(10)) == 1
    assert made.device.state == 0
    assert made.sent(WithdrawPackage) == [WithdrawPackage()]


def test_cancel_without_resource_10_writes_an_empty_uri():
    made = drive(Device(offers={5: "1.0", 3: "1.0"})).until("download")
    made.feed(CancelRequested())
    assert made.run() == Cancelled(stage=UpdateStage.TRANSFERRING)
    assert len(made.sent(ClearUri)) == 1


def test_cancel_of_a_push_stops_it_and_waits_while_the_device_answers_5_03():
    receiving = scripted(
        take_push=lambda device, command: [(0, becomes(busy=True)), (300, becomes(busy=False, result=4))],
        cancel=lambda device, command: [(0, ExecuteAnswered(command, BUSY if device.busy else NOT_ALLOWED))],
        clear=lambda device, command: [(0, WriteAnswered(command, BUSY))],
    )
    made = drive(receiving(), "push").until("push")
    made.turn()
    made.feed(CancelRequested())
    assert made.run() == Cancelled(stage=UpdateStage.TRANSFERRING)
    assert len(made.sent(StopPush)) == 1
    assert made.device.busy is False
    assert len(made.executed(10)) == 1
    assert not made.sent(ClearUri)


def test_cancel_that_is_answered_5_03_is_asked_again():
    class Later(Device):
        tries = 0

        def cancel(self, command):
            self.tries += 1
            return [(0, ExecuteAnswered(command, BUSY))] if self.tries == 1 else super().cancel(command)

    stays = Later()
    stays.take_uri = lambda command: [(0, WriteAnswered(command, CHANGED)), (0, shows(1, 0))]
    made = drive(stays).until("download")
    made.feed(CancelRequested())
    assert made.run() == Cancelled(stage=UpdateStage.TRANSFERRING)
    assert len(made.executed(10)) == 2
    assert not made.sent(ClearUri)


def test_cancel_always_ends_and_says_what_is_left():
    deaf = scripted(
        take_uri=lambda device, command: [(0, WriteAnswered(command, CHANGED)), (0, shows(1, 0))],
        cancel=lambda device, command: [(0, ExecuteAnswered(command, NOT_ALLOWED))],
        clear=lambda device, command: [(0, WriteAnswered(command, CHANGED))],
        nul=lambda device, command: [(0, WriteAnswered(command, BAD_REQUEST))],
    )
    made = drive(deaf()).until("download")
    made.feed(CancelRequested())
    outcome = made.run()
    assert ends(outcome, Cancelled)
    assert codes(outcome) == ["cleanup.not-idle"]
    assert "tidy-wait" in made.steps
    ways = [type(one) for one in made.effects if isinstance(one, Execute | ClearUri | WriteNul)]
    assert ways == [Execute, ClearUri, WriteNul]


def test_cancel_may_only_wait():
    made = drive(cancel_methods=(ResetMethod.WAIT, ResetMethod.CANCEL)).until("download")
    made.feed(CancelRequested())
    assert codes(made.run()) == ["cleanup.not-idle"]
    assert made.steps[-2:] == ["tidy-wait", "finished"]
    assert not made.executed(10)


def test_cancel_without_any_method_leaves_the_device_as_it_is():
    made = drive(cancel_methods=()).until("download")
    made.feed(CancelRequested())
    assert codes(made.run()) == ["cleanup.not-idle"]
    assert made.steps[-2:] == ["download", "finished"]


def test_cancel_while_installing_comes_too_late():
    made = drive().until("install")
    made.turn()
    made.turn()
    made.feed(CancelRequested())
    made.feed(CancelRequested())
    outcome = made.run()
    assert ends(outcome, Succeeded)
    assert codes(outcome) == ["cancel.too-late"]
    assert not made.executed(10)


def test_cancel_while_deferred_is_in_time():
    deferring = scripted(update=lambda device, command: [(0, ExecuteAnswered(command, CHANGED)), (0, shows(2, 11))])
    made = drive(deferring()).until("deferred")
    made.feed(CancelRequested())
    assert made.run() == Cancelled(stage=UpdateStage.EXECUTING)


def test_cancel_during_execute_is_done_when_the_device_still_shows_downloaded():
    for answer in (
        lambda device, command: [(9, RequestFailed(command))],
        lambda device, command: [(9, ExecuteAnswered(command, NOT_ALLOWED))],
        lambda device, command: [(9, ExecuteAnswered(command, BUSY))],
        lambda device, command: [(9, ExecuteAnswered(command, CHANGED))],
        lambda device, command: [(9, ExecuteAnswered(command, CHANGED)), (9, shows(2, 11))],
    ):
        made = drive(scripted(update=answer)()).until("execute")
        made.feed(CancelRequested())
        assert made.run() == Cancelled(stage=UpdateStage.EXECUTING)
        assert len(made.executed(2)) == 1


def test_cancel_that_meets_an_installation_gives_way_to_its_result():
    class Races(Device):
        def cancel(self, command):
            return [
                (0, shows(3, 0)),
                (0, ExecuteAnswered(command, NOT_ALLOWED)),
                (60, boots(0, 1, "2.0")),
            ]

    made = drive(Races())
    made.device.update = lambda command: [(9, ExecuteAnswered(command, CHANGED))]
    made.until("execute")
    made.feed(CancelRequested())
    outcome = made.run()
    assert ends(outcome, Succeeded)
    assert codes(outcome) == ["cancel.too-late"]
    assert made.steps[-2:] == ["install", "finished"]


def test_cancel_that_meets_a_finished_installation_is_a_success():
    class Races(Device):
        def update(self, command):
            return [(9, ExecuteAnswered(command, CHANGED))]

        def cancel(self, command):
            return [(0, becomes(state=0, result=1, version="2.0")), (0, ExecuteAnswered(command, CHANGED))]

    made = drive(Races()).until("execute")
    made.feed(CancelRequested())
    outcome = made.run()
    assert ends(outcome, Succeeded, version_after="2.0")
    assert codes(outcome) == ["cancel.too-late"]


def test_bug_a_failed_retry_is_not_shown_as_cancelled():
    failing = scripted(
        take_uri=lambda device, command: [(0, WriteAnswered(command, CHANGED)), (0, shows(1, 0)), (5, shows(0, 4))]
    )
    made = drive(failing())
    assert ends(made.run(), Failed, "device.connection-lost", result=4)
    assert len(made.sent(WriteUri)) == 2


# -- cleanup ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["refused", "silent"])
def test_bug_a_cleanup_error_does_not_mask_the_outcome(way):
    answers = {
        "refused": lambda device, command: [(0, ExecuteAnswered(command, FORBIDDEN))],
        "silent": lambda device, command: [(0, becomes(silent=True))],
    }
    failing = scripted(
        update=lambda device, command: [(0, ExecuteAnswered(command, CHANGED)), (1, shows(3, 0)), (2, shows(2, 8))],
        cancel=answers[way],
        clear=lambda device, command: [(0, WriteAnswered(command, FORBIDDEN))],
        nul=lambda device, command: [(0, WriteAnswered(command, FORBIDDEN))],
    )
    outcome = drive(failing()).run()
    assert ends(outcome, Failed, "device.update-failed", result=8)
    assert codes(outcome) == ["cleanup.not-idle"]


def test_cleanup_is_left_out_by_policy():
    failing = scripted(
        update=lambda device, command: [(0, ExecuteAnswered(command, CHANGED)), (1, shows(3, 0)), (2, shows(2, 8))]
    )
    made = drive(failing(), tidy=False)
    assert ends(made.run(), Failed, "device.update-failed")
    assert not made.executed(10)
    assert made.device.state == 2


def test_cleanup_does_not_touch_a_device_that_went_on_to_update():
    class Odd(Device):
        def update(self, command):
            return [(0, ExecuteAnswered(command, CHANGED)), (1, shows(3, 0)), (2, shows(2, 8))]

        def cancel(self, command):
            return [(0, shows(3, 0)), (0, ExecuteAnswered(command, NOT_ALLOWED))]

        def clear(self, command):
            return [(0, WriteAnswered(command, CHANGED))]

    outcome = drive(Odd()).run()
    assert ends(outcome, Failed, "device.update-failed")
    assert codes(outcome) == ["cleanup.not-idle"]


def test_cleanup_of_a_device_that_registers_without_object_5_ends():
    class Odd(Device):
        def update(self, command):
            return [(0, ExecuteAnswered(command, CHANGED)), (1, shows(3, 0)), (2, shows(2, 8))]

        def cancel(self, command):
            return [(0, becomes(offers={3: "1.0"})), (1, lambda drive: drive.register())]

    assert codes(drive(Odd()).run()) == ["cleanup.not-idle"]


# -- restarts, registrations, silence ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("pull", "observe"),
        ("pull", "learn"),
        ("pull", "write-uri"),
        ("pull", "download"),
        ("pull", "execute"),
        ("pull", "install"),
        ("push", "push"),
        ("push", "verify"),
        ("push", "execute"),
    ],
)
def test_pain_a_restart_of_the_server_neither_loses_nor_doubles_an_update(method, name):
    made = drive(method=method).until(name)
    made.queue = [item for item in made.queue if callable(item[2]) and item[2].__name__ == "act"]
    made.machine = restore(json.loads(json.dumps(snapshot(made.machine, made.now))), 5.0)
    made.queue = [(at - made.now + 5.0, order, thing) for at, order, thing in made.queue]
    made.now = 5.0
    before = len(made.effects)
    made.feed(Restarted())
    first = [one for one in made.effects[before:] if not isinstance(one, Report | StopPush | PublishPackage)]
    assert {type(one) for one in first} <= {Observe, Read}
    made.register()
    outcome = made.run()
    assert ends(outcome, Succeeded)
    assert len(made.executed(2)) <= 2


def test_a_restart_publishes_the_package_again():
    made = drive().until("download")
    made.feed(Restarted())
    assert made.sent(PublishPackage) == [PublishPackage("coap"), PublishPackage("coap")]


def test_a_repeated_registration_changes_nothing():
    made = drive().until("download")
    again = step(made.machine, Registered(object_versions=made.device.offers, epoch=made.epoch), made.now)
    assert again.machine is made.machine


def test_a_device_that_never_registers_has_a_diagnosis():
    made = drive()
    made.queue.clear()
    assert ends(made.run(), TimedOut, "prepare.not-registered")


def test_a_device_that_leaves_while_preparing_is_waited_for():
    made = drive().until("learn")
    made.feed(Lapsed())
    assert made.machine.control.step is UpdateStep.REGISTRATION
    made.later(100, boots(0, 0))
    assert ends(made.run(), Succeeded)


def test_a_device_that_cannot_be_read_has_a_diagnosis():
    forbidden = Device(busy=True)
    assert ends(drive(forbidden).run(), TimedOut, "prepare.unreadable")


def test_a_device_that_says_half_is_read_again():
    class Half(Device):
        reads = 0

        def values(self, paths):
            self.reads += 1
            values = super().values(paths)
            if self.reads < 3:
                values[Path.of(5, 0, 5)] = "odd"
            if self.reads == 4:
                values[Path.of(5, 0, 3)] = 9
            return values

    assert ends(drive(Half()).run(), Succeeded)


def test_bug_a_step_that_hangs_under_observation_falls_back_to_reading():
    made = drive(Device(state=2, notifies=False))
    assert ends(made.run(), Succeeded)


def test_a_device_that_cannot_be_observed_is_read():
    class Unobservable(Device):
        def answer(self, effect):
            if isinstance(effect, Observe):
                return [(0, ObserveAnswered(effect.command, NOT_ALLOWED))]
            return super().answer(effect)

    outcome = drive(Unobservable(notifies=False)).run()
    assert ends(outcome, Succeeded)
    assert codes(outcome) == ["observe.failed"]


def test_an_observation_without_an_answer_does_not_hold_up_the_update():
    class Deaf(Device):
        def answer(self, effect):
            return [] if isinstance(effect, Observe) else super().answer(effect)

    assert codes(drive(Deaf(notifies=False)).run()) == ["observe.failed"]


def test_a_read_without_any_answer_is_repeated():
    class Forgets(Device):
        reads = 0

        def answer(self, effect):
            if isinstance(effect, Read):
                self.reads += 1
                if self.reads % 2:
                    return []
            return super().answer(effect)

    assert ends(drive(Forgets()).run(), Succeeded)


def test_pain_why_says_what_is_awaited_since_when_what_was_shown_and_what_is_next():
    made = drive().until("download")
    while made.machine.control.part.state != 1:
        made.turn()
    told = why(made.machine, made.now + 10)
    assert told.stage is UpdateStage.TRANSFERRING
    assert told.awaits == "the end of the download"
    assert told.since_s == pytest.approx(10, abs=0.1)
    assert (told.last_shown.state, told.last_shown.result, told.last_shown.version) == (1, 0, "1.0")
    assert told.last_shown.age_s == pytest.approx(10, abs=0.1)
    assert told.deadline == pytest.approx(made.now + 300, abs=0.1)
    assert told.limit == "limit of the step"
    assert told.next == "the update times out"
    assert 0 <= told.next_read_s <= 30
    assert told.left_s == pytest.approx(290, abs=0.1)
    assert str(told) == (
        "Transferring package, step download: awaits the end of the download, for 10 s so far and 290 s more at most "
        "(limit of the step); then the update times out. The device last showed: State 1 downloading, Result 0 "
        "initial, version 1.0, 10 s ago. It is asked again in 20 s."
    )


def test_why_names_the_limit_that_strikes_first_and_the_end():
    made = drive(limits=UpdateLimits(total_s=100.0))
    told = why(made.machine, made.now)
    assert (told.limit, told.next, told.next_read_s) == ("limit of the whole", "the update times out", None)
    assert told.last_shown.age_s is None
    assert str(told) == (
        "Preparing update, step registration: awaits the device to register, for 0 s so far and 100 s more at most "
        "(limit of the whole); then the update times out. The device last showed: nothing yet."
    )
    made.run()
    done = why(made.machine, made.now)
    assert (done.awaits, done.deadline, done.limit, done.next) == ("nothing", None, None, "nothing")
    assert done.left_s is None
    assert str(done).startswith(
        "Cleanup, step finished: nothing is awaited any more. The device last showed: State 0 idle, Result 1 success, "
        "version 2.0, "
    )


@pytest.mark.parametrize(
    ("state", "result", "version", "words"),
    [
        (2, 13, None, "State 2 downloaded, Result 13 dependency error, 1,000 s ago"),
        (None, None, "1.0", "version 1.0, 1,000 s ago"),
        (0, 99, "", "State 0 idle, Result 99 unknown 99, 1,000 s ago"),
    ],
)
def test_what_was_shown_in_words(state, result, version, words):
    known = (None if state is None else State(state), None if result is None else UpdateResult(result))
    assert str(LastShown(state=known[0], result=known[1], version=version, age_s=1000.0)) == words


def test_after_the_end_nothing_changes():
    made = drive()
    outcome = made.run()
    assert made.notes(Finished) == [Finished(outcome)]
    assert next_deadline(made.machine) is None
    for event in (TimePassed(), Restarted(), CancelRequested(), Lapsed(), PullProgress(1), RequestFailed(1)):
        after = step(made.machine, event, made.now)
        assert after.machine is made.machine
        assert after.effects == ()


def test_reset_methods_follow_the_policy():
    made = drive(Device(state=2), reset_methods=(ResetMethod.NUL_PACKAGE,))
    assert ends(made.run(), Succeeded)
    assert len(made.sent(WriteNul)) == 1
    made = drive(Device(state=2), reset_methods=())
    assert ends(made.run(), Failed, "prepare.stuck-downloaded")
