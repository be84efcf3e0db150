"""The coordinator of Object 33629: stories transcribed from SPEC 4 in plain integers."""

import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines import effects as fx
from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines import policies
from lwm2m_fota.machines.component_policies import (
    AdvancedPolicies,
    ConcurrentDownloads,
    ConflictScope,
    DependencyFailureTarget,
    ListedNotDownloaded,
    PushDuringPull,
    RepeatedLinks,
    UpdateDuringBatch,
)
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.machines.coordinator import handle_timeout, next_deadline, step
from lwm2m_fota.machines.coordinator_events import (
    BatchFailed,
    BatchSucceeded,
    BeginBatch,
    DropStage,
    For,
    GroupFound,
    GroupRestarted,
    On,
    PackageChecked,
    PackageContent,
    UpdateRequested,
)
from lwm2m_fota.machines.coordinator_links import linked, links
from lwm2m_fota.machines.coordinator_state import Requirement, Stage, new_group
from lwm2m_fota.machines.state import Deferral
from lwm2m_fota.model.enums import UpdateResult

NAMES = ("app", "modem", "radio")
URI = "coap://host.example/fw"


def profile_of(firmware=policies.DEFAULT_POLICIES, **choices):
    return AdvancedProfile(
        components=tuple(ComponentSpec(instance, name) for instance, name in enumerate(NAMES)),
        policies=firmware,
        advanced=AdvancedPolicies(**choices),
    )


class Story:
    """A device that takes events; each `take` gives the answer's code or None, and keeps the last step."""

    def __init__(self, profile=None, *, tick=0.0):
        self.tick = tick
        self.profile = profile or profile_of()
        self.group = new_group(self.profile, ("1.0", "1.0", "1.0"))
        self.wall = 1000.0
        self.last = None

    def take(self, event):
        before = self.group
        self.last = step(before, event, self.profile, self.wall)
        self.wall = self.wall + self.tick if self.tick else self.wall
        self.group = self.last.group
        if not self.last.accepted:
            assert self.last.group is before
            assert self.last.effects == ()
        return None if self.last.answer is None else int(self.last.answer.code)

    def on(self, instance, event):
        return self.take(On(instance, event))

    def update(self, instance, others=None, *, defer=False):
        return self.on(instance, UpdateRequested(others, defer))

    def download(self, instance, version="2.0", needs=(), parts=(), name=""):
        """A push that is complete and passes its checks."""
        self.on(instance, ev.PackageBegun(10))
        self.on(instance, ev.PackageReceived())
        contents = tuple(PackageContent(part, of) for part, of in parts)
        requirements = tuple(Requirement(*need) for need in needs)
        return self.on(instance, PackageChecked(name, version, contents, requirements))

    def shown(self):
        """(State, Result) of each."""
        return [(int(each.machine.state), int(each.machine.result)) for each in self.group.components]

    def versions(self):
        return [each.version for each in self.group.components]

    def linked(self):
        return [list(each.linked) for each in links(self.group, self.profile).values()]

    def conflicting(self):
        return [list(each.conflicting) for each in links(self.group, self.profile).values()]

    def told(self):
        """Instance: resources notified by the last step."""
        return {
            each.instance: list(each.effect.resource_ids)
            for each in self.last.effects
            if isinstance(each, For) and isinstance(each.effect, fx.Notify)
        }


NEEDS_MODEM = (("modem", "2.0"),)


# ---- the flow of SPEC 4.1 ------------------------------------------------------------------------------------------


def test_dependency_then_both_together():
    story = Story(tick=1.0)
    story.download(0, needs=NEEDS_MODEM)
    assert story.shown() == [(2, 0), (0, 0), (0, 0)]
    assert story.conflicting() == [[1], [], []]
    assert story.linked() == [[], [], []]
    assert story.told() == {0: [12, 7, 17, 3]}

    assert story.update(0) == 68
    assert story.shown() == [(2, 13), (0, 0), (0, 0)]
    assert story.conflicting() == [[1], [], []]
    assert story.told() == {0: [5]}
    assert story.versions() == ["1.0", "1.0", "1.0"]

    story.download(1)
    assert story.conflicting() == [[], [], []]
    assert story.linked() == [[1], [0], []]
    assert story.told() == {0: [16, 17], 1: [12, 7, 16, 3]}

    assert story.update(1) == 68
    assert story.shown() == [(3, 0), (3, 0), (0, 0)]
    assert story.linked() == [[], [], []]
    assert story.group.batch == (0, 1)
    assert story.last.effects == (
        fx.Persist(),
        For(0, fx.Notify((12, 16, 5, 3))),
        For(1, fx.Notify((12, 16, 3))),
        BeginBatch(1, (0, 1)),
    )

    assert story.take(BatchSucceeded(1)) is None
    assert story.shown() == [(0, 1), (0, 1), (0, 0)]
    assert story.versions() == ["2.0", "2.0", "1.0"]
    assert story.told() == {0: [12, 7, 15, 5, 3], 1: [12, 7, 15, 5, 3]}
    assert [each for each in story.last.effects if isinstance(each, DropStage)] == [
        DropStage(Stage(0, 1)),
        DropStage(Stage(1, 1)),
    ]


def test_dependency_on_what_runs_is_met():
    story = Story()
    story.download(0, needs=(("modem", "1.0"), ("radio", "0.9")))
    assert story.conflicting() == [[], [], []]
    assert story.update(0) == 68
    assert story.shown() == [(3, 0), (0, 0), (0, 0)]
    assert story.last.effects[-1] == BeginBatch(1, (0,))


def test_downloaded_package_that_is_too_old_does_not_help():
    story = Story()
    story.download(0, needs=(("modem", "3.0"),))
    story.download(1, version="2.0")
    assert (story.conflicting(), story.linked()) == ([[1], [], []], [[], [], []])


def test_older_package_in_the_batch_breaks_what_the_installed_one_met():
    story = Story()
    story.download(0, needs=(("modem", "1.0"),))
    story.download(1, version="0.9")
    assert story.linked() == [[], [], []]
    assert story.update(0, (1,)) == 68
    assert story.shown() == [(2, 13), (2, 0), (0, 0)]
    assert story.conflicting() == [[1], [], []]


def test_package_that_needs_what_the_device_does_not_have_blames_itself():
    story = Story()
    story.download(0, needs=(("camera", "1.0"),))
    assert story.conflicting() == [[0], [], []]
    assert story.update(0) == 68
    assert story.shown()[0] == (2, 13)
    assert story.conflicting() == [[0], [], []]


def test_links_reach_through_others():
    story = Story()
    story.download(0, needs=NEEDS_MODEM)
    story.download(1, needs=(("radio", "2.0"),))
    assert story.linked() == [[1], [0], []]
    assert story.conflicting() == [[2], [2], []]
    story.download(2)
    assert story.linked() == [[1, 2], [0, 2], [0, 1]]
    assert story.conflicting() == [[], [], []]
    story.update(2)
    assert story.shown() == [(3, 0), (3, 0), (3, 0)]


def test_instance_without_a_package_is_linked_to_nobody():
    story = linked_pair()
    assert linked(story.group, 0, story.profile) == (1,)
    assert linked(story.group, 2, story.profile) == ()


def test_dependency_failure_to_idle():
    story = Story(profile_of(dependency_failure_target=DependencyFailureTarget.IDLE))
    story.download(0, needs=NEEDS_MODEM)
    assert story.update(0) == 68
    assert story.shown()[0] == (0, 13)
    assert story.conflicting()[0] == [1]
    assert DropStage(Stage(0, 1)) in story.last.effects
    story.download(1)
    assert story.conflicting()[0] == [1], "Result 13 names its culprits for as long as it is shown in Idle"
    story.on(0, ev.PackageBegun())
    assert story.conflicting()[0] == []


# ---- packages of several components --------------------------------------------------------------------------------

BOTH = (("app", "2.0"), ("modem", "2.1"))


def test_package_of_two_moves_both():
    story = Story(tick=1.0)
    assert story.download(0, parts=BOTH, name="bundle") is None
    assert story.shown() == [(2, 0), (2, 0), (0, 0)]
    assert story.linked() == [[1], [0], []]
    assert [each.stage for each in story.group.components] == [(0, 1), (0, 1), None]
    names = [(each.machine.package_name, each.machine.package_version) for each in story.group.components]
    assert names == [("bundle", "2.0"), ("bundle", "2.1"), ("", "")]
    assert story.told() == {0: [12, 6, 7, 16, 3], 1: [12, 6, 7, 16, 3]}
    story.update(1)
    story.take(BatchSucceeded())
    assert story.versions() == ["2.0", "2.1", "1.0"]


def test_parts_without_names_or_versions_take_those_of_the_package():
    story = Story()
    story.download(0, parts=(("app", ""), ("modem", "3")), version="7")
    machines = [each.machine for each in story.group.components]
    assert [(each.package_name, each.package_version) for each in machines] == [("app", "7"), ("modem", "3"), ("", "")]


def test_package_without_a_version_leaves_the_old_one_shown():
    story = Story()
    story.download(0, version="")
    story.update(0)
    story.take(BatchSucceeded())
    assert (story.shown()[0], story.versions()[0]) == ((0, 1), "1.0")


@pytest.mark.parametrize(
    ("prepare", "state"),
    [
        (lambda story: story.on(1, ev.PackageBegun()), 1),
        (lambda story: story.on(1, ev.UriWritten(URI)), 1),
        (lambda story: story.download(1), 2),
        (lambda story: (story.download(1), story.update(1)), 3),
    ],
)
def test_package_for_a_busy_sibling_is_rejected(prepare, state):
    story = Story(tick=1.0)
    prepare(story)
    code = story.download(0, parts=BOTH)
    assert code == 128
    assert story.shown()[:2] == [(0, 12), (state, 0)]
    assert story.conflicting()[0] == [1]
    assert story.told()[0] == [12, 17, 5, 3]
    assert story.last.effects[:3] == (fx.Persist(), For(0, fx.StopTransfer()), DropStage(Stage(0, 1)))
    assert Stage(1, 1) in story.group.stages


def test_sibling_that_has_failed_before_is_idle():
    story = Story()
    story.on(1, ev.PackageBegun())
    story.on(1, ev.TransferFailed(UpdateResult.CONNECTION_LOST))
    assert story.shown()[1] == (0, 4)
    story.download(0, parts=BOTH)
    assert story.shown() == [(2, 0), (2, 0), (0, 0)]


def test_busy_instance_that_the_package_is_not_for_counts_by_policy():
    for scope, shown in ((ConflictScope.AFFECTED, (2, 0)), (ConflictScope.ALL, (0, 12))):
        story = Story(profile_of(conflict_scope=scope))
        story.on(2, ev.PackageBegun())
        story.download(0, parts=BOTH)
        assert story.shown()[0] == shown
        assert story.conflicting()[0] == ([2] if shown == (0, 12) else [])
        story = Story(profile_of(conflict_scope=scope))
        story.on(2, ev.PackageBegun())
        story.download(0, parts=(("app", "2.0"),))
        assert story.shown()[0] == (2, 0)


@pytest.mark.parametrize(
    "parts",
    [(("camera", "1"),), (("modem", "1"),), (("app", "1"), ("camera", "1")), (("app", "1"), ("app", "2"))],
)
def test_package_that_is_not_for_this_instance_or_device(parts):
    story = Story()
    assert story.download(0, parts=parts) == 128
    assert story.shown() == [(0, 6), (0, 0), (0, 0)]


def test_check_of_a_package_that_is_not_there_or_is_late_is_refused():
    story = Story()
    checked = PackageChecked("n", "2.0", (PackageContent("app", "2"), PackageContent("modem", "2")))
    assert story.on(0, checked) is None
    story.on(0, ev.PackageBegun())
    story.on(0, checked)
    assert not story.last.accepted
    story.on(0, ev.PackageReceived())
    story.on(0, PackageChecked("n", "2.0", (PackageContent("camera", "2"),), transfer=0))
    assert not story.last.accepted
    assert story.shown() == [(1, 0), (0, 0), (0, 0)]


def test_shared_package_goes_when_its_last_holder_goes():
    story = Story()
    story.download(0, parts=BOTH)
    story.on(0, ev.ResetWritten())
    assert story.shown() == [(0, 0), (2, 0), (0, 0)]
    assert not any(isinstance(each, DropStage) for each in story.last.effects)
    story.on(0, ev.PackageBegun())
    assert Stage(0, 2) in story.group.stages
    assert For(0, fx.OpenStage(None, 2)) in story.last.effects
    story.on(1, ev.CancelExecuted())
    assert story.shown() == [(1, 0), (0, 10), (0, 0)]
    assert DropStage(Stage(0, 1)) in story.last.effects


def test_push_that_begins_again_drops_what_came():
    story = Story()
    story.on(0, ev.PackageBegun(5))
    story.on(0, ev.PackageBegun(7))
    assert story.last.effects == (
        fx.Persist(),
        For(0, fx.StopTransfer()),
        DropStage(Stage(0, 1)),
        For(0, fx.OpenStage(7, 2)),
    )


# ---- the arguments of Update ---------------------------------------------------------------------------------------


def linked_pair(profile=None):
    story = Story(profile)
    story.download(0, parts=BOTH)
    return story


def test_argument_0_takes_this_one_only():
    story = linked_pair()
    assert story.update(0, ()) == 68
    assert story.shown() == [(3, 0), (2, 0), (0, 0)]
    assert story.last.effects[-1] == BeginBatch(1, (0,))
    assert story.told()[1] == [16]


def test_argument_0_with_a_dependency_that_only_the_linked_one_meets():
    story = Story()
    story.download(0, needs=NEEDS_MODEM)
    story.download(1)
    assert story.update(0, ()) == 68
    assert story.shown() == [(2, 13), (2, 0), (0, 0)]
    assert story.conflicting()[0] == [1], "named though it could be taken: the argument excluded it"
    story.on(1, ev.ResetWritten())
    story.download(1)
    assert story.conflicting()[0] == [], "another package than then"


def test_list_takes_exactly_those():
    story = linked_pair()
    story.download(2)
    assert story.update(1, (2,)) == 68
    assert story.shown() == [(2, 0), (3, 0), (3, 0)]
    assert story.last.effects[-1] == BeginBatch(1, (1, 2))


def test_listed_instance_not_downloaded():
    story = linked_pair()
    assert story.update(0, (1, 2)) == 68
    assert story.shown() == [(2, 13), (2, 0), (0, 0)]
    assert story.conflicting() == [[2], [], []]
    assert not any(isinstance(each, BeginBatch) for each in story.last.effects)

    story = linked_pair(profile_of(listed_not_downloaded=ListedNotDownloaded.METHOD_NOT_ALLOWED))
    assert story.update(0, (1, 2)) == 133
    assert story.shown() == [(2, 0), (2, 0), (0, 0)]
    assert story.update(0, (1,)) == 68


def test_list_with_a_stranger():
    story = linked_pair()
    assert story.update(0, (1, 9)) == 128
    assert story.last.answer.diagnostic == "update executed, a batch starts: lists a stranger"


@pytest.mark.parametrize("others", [(1, 1), (0,), (1, 0)])
def test_list_that_repeats(others):
    story = linked_pair()
    assert story.update(0, others) == 128
    story = linked_pair(profile_of(repeated_links=RepeatedLinks.IGNORED))
    assert story.update(0, others) == 68
    assert story.group.batch == tuple(sorted({0, *others}))


@pytest.mark.parametrize("others", [None, (), (1,), (9,)])
def test_update_in_another_state_is_refused(others):
    story = Story()
    assert story.update(0, others) == 133
    story.on(0, ev.UriWritten(URI))
    assert story.update(0, others) == 133
    story = linked_pair()
    story.update(0)
    assert story.update(0, others) == 133


# ---- batches -------------------------------------------------------------------------------------------------------


def test_update_while_another_batch_runs():
    for choice, code in ((UpdateDuringBatch.SERVICE_UNAVAILABLE, 163), (UpdateDuringBatch.METHOD_NOT_ALLOWED, 133)):
        story = Story(profile_of(update_during_batch=choice))
        story.download(0)
        story.download(1)
        story.update(0)
        assert story.update(1) == code
        story.take(BatchSucceeded())
        assert story.update(1) == 68
        assert story.last.effects[-1] == BeginBatch(2, (1,))


def test_failed_batch_rolls_all_back():
    story = linked_pair()
    story.update(0)
    story.take(BatchFailed(attempt=1))
    assert story.shown() == [(2, 8), (2, 8), (0, 0)]
    assert story.versions() == ["1.0"] * 3
    assert story.linked() == [[1], [0], []]
    assert story.update(0) == 68
    assert story.last.effects[-1] == BeginBatch(2, (0, 1))


@pytest.mark.parametrize(
    ("firmware", "kept"),
    [(policies.FirmwarePolicies(failure_target=policies.FailureTarget.IDLE), True), (policies.DEFAULT_POLICIES, False)],
)
def test_failed_batch_to_idle(firmware, kept):
    story = linked_pair(profile_of(firmware))
    story.update(0)
    story.take(BatchFailed(images_kept=kept))
    assert story.shown() == [(0, 8), (0, 8), (0, 0)]
    assert DropStage(Stage(0, 1)) in story.last.effects


def test_integrity_failure_blames_who_holds_the_package():
    story = linked_pair()
    story.download(2)
    story.update(0, (1, 2))
    story.take(BatchFailed(UpdateResult.INTEGRITY_FAILURE, (1,)))
    assert story.shown() == [(0, 5), (0, 5), (2, 8)]


def test_integrity_failure_of_nobody_in_particular_is_of_all():
    story = Story()
    story.download(0)
    story.download(2)
    story.update(0, (2,))
    story.take(BatchFailed(UpdateResult.INTEGRITY_FAILURE))
    assert story.shown() == [(0, 5), (0, 0), (0, 5)]


@pytest.mark.parametrize(
    ("target", "kept", "shown"),
    [
        (DependencyFailureTarget.DOWNLOADED, True, (2, 13)),
        (DependencyFailureTarget.DOWNLOADED, False, (0, 13)),
        (DependencyFailureTarget.IDLE, True, (0, 13)),
    ],
)
def test_dependency_that_the_installer_misses(target, kept, shown):
    story = linked_pair(profile_of(dependency_failure_target=target))
    story.update(0)
    story.take(BatchFailed(UpdateResult.DEPENDENCY_ERROR, (2,), kept))
    assert story.shown() == [shown, shown, (0, 0)]
    assert story.conflicting() == [[2], [2], []]


@pytest.mark.parametrize(
    "event",
    [
        BatchSucceeded(1),
        BatchFailed(attempt=1),
        BatchFailed(UpdateResult.DEPENDENCY_ERROR, (0,), attempt=1),
        BatchFailed(UpdateResult.INTEGRITY_FAILURE, attempt=1),
    ],
)
def test_late_outcome_is_refused(event):
    story = linked_pair()
    story.take(event)
    assert not story.last.accepted
    story.update(0)
    story.take(BatchFailed())
    story.update(0)
    story.take(event)
    assert not story.last.accepted
    assert story.shown() == [(3, 0), (3, 0), (0, 0)]


def test_batch_failures_are_checked():
    with pytest.raises(UsageError):
        BatchFailed(UpdateResult.CONNECTION_LOST)
    with pytest.raises(UsageError, match="culprits"):
        BatchFailed(UpdateResult.DEPENDENCY_ERROR)
    story = linked_pair()
    story.update(0)
    with pytest.raises(UsageError):
        story.take(BatchFailed(UpdateResult.DEPENDENCY_ERROR, (9,)))


def test_nothing_stops_an_installation():
    story = linked_pair()
    story.update(0)
    for event in (ev.CancelExecuted(), ev.ResetWritten(), ev.PackageBegun(), ev.UriWritten(URI)):
        assert story.on(1, event) == 133


# ---- deferral ------------------------------------------------------------------------------------------------------


def deferred(others=None, profile=None):
    story = Story(profile)
    story.on(0, ev.MaxDeferWritten(60))
    story.download(0, needs=NEEDS_MODEM)
    story.download(1)
    assert story.update(0, others, defer=True) == 68
    assert story.shown() == [(2, 11), (2, 0), (0, 0)]
    return story


def test_deferred_update_takes_the_linked_ones_of_its_end():
    story = deferred()
    assert story.told() == {0: [5]}
    assert next_deadline(story.group) == 1060.0
    story.on(0, ev.DeferralEnded())
    assert story.last.answer is None
    assert story.shown() == [(3, 0), (3, 0), (0, 0)]
    assert next_deadline(story.group) is None


def test_deferred_update_takes_the_list_it_had():
    story = deferred((1,))
    story.download(2)
    story.wall = 1060.0
    taken = handle_timeout(story.group, story.profile, 1060.0)
    assert taken.group.batch == (0, 1)
    assert taken.answer is None
    assert [each.asked for each in taken.group.components] == [None, None, None]


@pytest.mark.parametrize("choice", ListedNotDownloaded)
def test_deferred_update_whose_list_is_gone_ends_with_13(choice):
    story = deferred((1,), profile_of(listed_not_downloaded=choice))
    story.on(1, ev.ResetWritten())
    taken = handle_timeout(story.group, story.profile, 1060.0)
    assert (int(taken.group.components[0].machine.state), int(taken.group.components[0].machine.result)) == (2, 13)
    assert next_deadline(taken.group) is None


def test_update_with_conflicts_is_not_deferred():
    story = Story()
    story.on(0, ev.MaxDeferWritten(60))
    story.download(0, needs=NEEDS_MODEM)
    assert story.update(0, defer=True) == 68
    assert story.shown()[0] == (2, 13)


def test_update_that_comes_again_ends_the_wait():
    story = deferred()
    assert story.update(0) == 68
    assert story.group.batch == (0, 1)


def test_deferred_instance_joins_the_batch_of_another():
    story = deferred()
    assert story.update(1) == 68
    assert story.shown() == [(3, 0), (3, 0), (0, 0)]
    assert next_deadline(story.group) is None


def test_second_deferral_waits_for_the_first_ones_batch():
    story = Story()
    for instance in (0, 2):
        story.on(instance, ev.MaxDeferWritten(60))
        story.download(instance)
        story.update(instance, defer=True)
    story.wall = 1060.0
    story.take(ev.ClockRead())
    assert story.shown() == [(3, 0), (0, 0), (2, 11)]
    assert next_deadline(story.group) is None
    story.on(2, ev.DeferralEnded())
    assert not story.last.accepted
    story.take(BatchSucceeded())
    assert next_deadline(story.group) == 1060.0
    story.take(ev.ClockRead())
    assert story.shown() == [(0, 1), (0, 0), (3, 0)]


def test_deferral_end_without_deferral_is_refused():
    story = linked_pair()
    story.on(0, ev.DeferralEnded())
    assert not story.last.accepted


def test_clock_that_is_not_due_or_went_back():
    story = deferred()
    story.wall = 1059.0
    story.take(ev.ClockRead())
    assert not story.last.accepted
    story.wall = 900.0
    story.take(ev.ClockRead())
    assert next_deadline(story.group) == 960.0
    assert story.last.effects == (fx.Persist(),)


def test_each_deferral_counts_on_without_a_clock():
    story = deferred()
    story.on(2, ev.MaxDeferWritten(600))
    story.download(2)
    story.update(2, defer=True)
    story.wall = None
    story.take(ev.ClockRead(50.0))
    assert story.last.effects == (fx.Persist(),)
    assert [story.group.component(each).machine.deferral for each in (0, 2)] == [
        Deferral(1050.0, 1060.0),
        Deferral(1050.0, 1600.0),
    ]
    taken = handle_timeout(story.group, story.profile, None, 10.0)
    assert taken.group.batch == (0, 1)
    assert taken.group.component(2).machine.deferral == Deferral(1060.0, 1600.0)


def test_deferral_without_a_clock():
    for choice, shown in ((policies.ClocklessDeferral.WAIT_FOR_USER, (2, 11)), (None, (3, 0))):
        firmware = policies.FirmwarePolicies(clockless_deferral=choice) if choice else policies.DEFAULT_POLICIES
        story = Story(profile_of(firmware))
        story.wall = None
        story.on(0, ev.MaxDeferWritten(60))
        story.download(0)
        story.update(0, defer=True)
        assert story.shown()[0] == shown


# ---- whose turn it is ----------------------------------------------------------------------------------------------


def starts(story):
    return [
        (each.instance, each.effect.transfer, each.effect.resume)
        for each in story.last.effects
        if isinstance(each, For) and isinstance(each.effect, fx.StartPull)
    ]


def test_many_receive_at_a_time():
    story = Story()
    for instance in (0, 1):
        assert story.on(instance, ev.UriWritten(URI)) == 68
        assert starts(story) == [(instance, 1, False)]
    assert story.on(2, ev.PackageBegun()) == 95


def test_push_during_a_pull_by_policy():
    story = Story(profile_of(push_during_pull=PushDuringPull.REFUSED))
    story.on(0, ev.UriWritten(URI))
    assert story.on(1, ev.PackageBegun()) == 133
    assert story.on(0, ev.PackageBegun()) == 133
    story.on(0, ev.PackageReceived())
    assert story.on(1, ev.PackageBegun()) == 95
    assert story.on(2, ev.PackageBegun()) == 95


def test_one_download_at_a_time():
    story = Story(profile_of(concurrent_downloads=ConcurrentDownloads.ONE_AT_A_TIME))
    story.on(1, ev.UriWritten(URI))
    assert starts(story) == [(1, 1, False)]
    for instance in (2, 0):
        assert story.on(instance, ev.UriWritten(URI)) == 68
        assert starts(story) == []
    assert story.shown() == [(1, 0), (1, 0), (1, 0)]
    story.on(1, ev.PackageReceived())
    assert starts(story) == [(2, 1, False)]
    story.on(1, PackageChecked())
    assert starts(story) == []
    story.on(2, ev.TransferFailed(UpdateResult.CONNECTION_LOST))
    assert starts(story) == [(0, 1, False)]
    assert story.group.waiting == ()


def test_cancelled_pull_leaves_the_queue():
    story = Story(profile_of(concurrent_downloads=ConcurrentDownloads.ONE_AT_A_TIME))
    for instance in (0, 1, 2):
        story.on(instance, ev.UriWritten(URI))
    story.on(1, ev.CancelExecuted())
    assert story.group.waiting == ((2, False),)
    story.on(0, ev.ResetWritten())
    assert starts(story) == [(2, 1, False)]


def test_one_push_at_a_time():
    story = Story(profile_of(concurrent_downloads=ConcurrentDownloads.ONE_AT_A_TIME))
    assert story.on(0, ev.PackageBegun()) == 95
    assert story.on(1, ev.PackageBegun()) == 133
    assert story.on(0, ev.PackageBegun()) == 95, "the same push again"
    assert story.on(1, ev.UriWritten(URI)) == 68
    assert starts(story) == []
    story.on(0, ev.PackageReceived())
    assert starts(story) == [(1, 1, False)]


# ---- the order of effects ------------------------------------------------------------------------------------------


def test_room_is_made_and_observers_are_told_before_a_pull_begins():
    story = Story(tick=1.0)
    story.on(0, ev.UriWritten(URI))
    pull = For(0, fx.StartPull(URI, 1))
    assert story.last.effects == (
        fx.Persist(),
        For(0, fx.OpenStage(None, 1)),
        For(0, fx.Notify((12, 1, 3))),
        pull,
    )


def test_what_runs_is_stopped_before_its_stage_goes():
    story = Story()
    story.on(0, ev.UriWritten(URI))
    story.on(0, ev.CancelExecuted())
    assert story.last.effects == (
        fx.Persist(),
        For(0, fx.StopTransfer()),
        DropStage(Stage(0, 1)),
        For(0, fx.Notify((1, 5, 3))),
    )


def test_all_that_an_update_changes_is_told_at_its_end():
    story = Story(tick=1.0)
    story.on(0, ev.UriWritten(URI))
    story.on(0, ev.PackageReceived())
    story.on(0, PackageChecked("name", "2.0"))
    assert story.told() == {0: [12, 6, 7, 3]}
    story.update(0)
    story.take(BatchSucceeded(1))
    assert story.told() == {0: [12, 1, 6, 7, 15, 5, 3]}


def test_version_that_a_restart_finds_is_told_before_the_links_that_it_ends():
    story = Story()
    story.download(0, needs=NEEDS_MODEM)
    story.download(1)
    assert story.linked() == [[1], [0], []]
    stages = tuple((each.stage, ev.StagedImage.SEALED) for each in story.group.components if each.stage)
    story.take(GroupRestarted(GroupFound(versions=("1.0", "2.0", "1.0"), stages=stages)))
    assert story.linked() == [[], [], []]
    assert story.told() == {0: [16], 1: [15, 16]}


def test_a_setting_is_told_alone():
    story = Story(tick=1.0)
    for event, told in ((ev.SeverityWritten(0), 11), (ev.MaxDeferWritten(9), 13)):
        story.on(0, event)
        assert story.told() == {0: [told]}


# ---- the rest ------------------------------------------------------------------------------------------------------


def test_settings_are_each_ones_own():
    story = Story()
    assert story.on(1, ev.SeverityWritten(2)) == 68
    assert story.told() == {1: [11]}
    assert story.on(1, ev.SeverityWritten(3)) == 128
    assert story.on(2, ev.EmptyPackageWritten()) == 128
    assert [int(each.machine.settings.severity) for each in story.group.components] == [1, 2, 1]


def test_resources_6_and_7_by_state():
    story = Story()
    story.on(0, ev.PackageBegun())
    story.on(0, ev.PackageReceived())
    assert story.group.components[0].machine.package_name == ""
    story.on(0, PackageChecked("n" * 300, "2.0"))
    assert story.group.components[0].machine.package_name == "n" * 255
    story.update(0)
    assert story.group.components[0].machine.package_version == "2.0"
    story.take(BatchSucceeded())
    assert story.group.components[0].machine.package_name == ""


def test_rows_tell_what_was_taken():
    story = linked_pair()
    story.update(0)
    assert [(instance, str(row.kind)) for instance, row in story.last.rows] == [
        (0, "update executed, a batch starts"),
        (1, "batch started on a sibling"),
    ]


def test_reset_of_an_idle_instance_changes_nothing_and_saves_nothing():
    story = Story()
    assert story.on(0, ev.ResetWritten()) == 68
    assert story.last.effects == ()
    assert story.last.accepted


def test_unknown_instance():
    story = Story()
    with pytest.raises(UsageError):
        story.update(9)
    with pytest.raises(UsageError):
        story.on(9, ev.ResetWritten())


def test_versions_for_each_component():
    with pytest.raises(UsageError):
        new_group(profile_of(), ("1", "2"))


def test_group_is_hashable_and_equal_by_value():
    one, other = linked_pair().group, linked_pair().group
    assert one == other
    assert hash(one) == hash(other)
