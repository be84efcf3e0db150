"""Components of Object 33629 under any sequence of events and crashes, against stores that agree, and an installer."""

import json

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lwm2m_fota.machines import component_policies as cp
from lwm2m_fota.machines import effects as fx
from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines import policies
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.machines.coordinator import handle_timeout, next_deadline, step
from lwm2m_fota.machines.coordinator_events import (
    BatchFailed,
    BatchSucceeded,
    BeginBatch,
    DropStage,
    For,
    GroupFound,
    On,
    PackageChecked,
    PackageContent,
    UpdateRequested,
)
from lwm2m_fota.machines.coordinator_links import links
from lwm2m_fota.machines.coordinator_snapshot import recover, restore, snapshot
from lwm2m_fota.machines.coordinator_state import Requirement, Stage, new_group
from lwm2m_fota.machines.events import BootOutcome, StagedImage
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.testing.agreement import CrashingStores

# State: the Results that it may show (SPEC 3 and 4), by hand.
ALLOWED = {0: set(range(14)), 1: {0}, 2: {0, 8, 11, 13}, 3: {0}}
ORDER = (12, 1, 6, 7, 15, 16, 17, 5, 3, 11, 13)
NAMES = ("app", "modem", "radio")
INSTANCES = (0, 1, 4)
NEVER = 99  # more effects than a step has

SITES = st.sampled_from(INSTANCES)
MAYBE = st.one_of(st.none(), st.integers(0, 4))
VERSIONS = st.sampled_from(["0.9", "1.0", "2.0", ""])
PARTS = st.lists(st.builds(PackageContent, st.sampled_from([*NAMES, "camera"]), VERSIONS), max_size=3).map(tuple)
NEEDS = st.lists(
    st.builds(Requirement, st.sampled_from([*NAMES, "camera"]), st.sampled_from(["1.0", "2.0"])), max_size=2
).map(tuple)
CHECKED = st.builds(PackageChecked, st.just("n"), VERSIONS, PARTS, NEEDS, MAYBE)
UPDATES = st.builds(
    UpdateRequested,
    st.one_of(st.none(), st.lists(st.sampled_from([*INSTANCES, 9]), max_size=3).map(tuple)),
    st.booleans(),
)
OWN = st.one_of(
    st.builds(ev.PackageBegun, st.one_of(st.none(), st.integers(1, 9))),
    st.builds(ev.EmptyPackageWritten),
    st.builds(ev.ResetWritten),
    st.builds(ev.UriWritten, st.sampled_from(["coap://host.example/fw", "no uri"])),
    UPDATES,
    st.builds(ev.CancelExecuted),
    st.builds(ev.MaxDeferWritten, st.integers(-1, 20)),
    st.builds(ev.PackageReceived, MAYBE),
    CHECKED,
    st.builds(ev.TransferFailed, st.sampled_from(sorted(ev.TRANSFER_FAILURES)), transfer=MAYBE),
    st.builds(ev.DeferralEnded),
)
FAILURES = st.builds(
    BatchFailed,
    st.sampled_from([UpdateResult.UPDATE_FAILED, UpdateResult.INTEGRITY_FAILURE, UpdateResult.DEPENDENCY_ERROR]),
    st.lists(SITES, min_size=1, max_size=2, unique=True).map(tuple),
    st.booleans(),
    MAYBE,
)
EVENTS = st.one_of(st.builds(On, SITES, OWN), st.builds(BatchSucceeded, MAYBE), FAILURES, st.builds(ev.ClockRead))


def choices(kind):
    return st.builds(
        kind,
        **{each.name: st.sampled_from(list(type(getattr(kind(), each.name)))) for each in attrs.fields(kind)},
    )


PROFILES = st.builds(
    AdvancedProfile,
    components=st.just(tuple(map(ComponentSpec, INSTANCES, NAMES))),
    policies=choices(policies.FirmwarePolicies),
    advanced=choices(cp.AdvancedPolicies),
)
CRASHES = st.one_of(st.just(NEVER), st.integers(0, 5))
GROUPS = st.lists(SITES, min_size=1, max_size=3, unique=True)
WALLS = st.one_of(st.none(), st.integers(0, 60).map(float))


class Device(RuleBasedStateMachine):
    """Carries out effects as a driver would; a crash may come between any two of them."""

    @initialize(profile=PROFILES)
    def power_on(self, profile):
        self.profile = profile
        self.group = new_group(profile, ("1.0",) * 3)
        self.stores = CrashingStores()
        self.save()
        self.flash = ["1.0"] * 3  # what runs
        self.stages = {}
        self.boot = (BootOutcome.NONE, 0)
        self.begun = set()

    def teardown(self):
        if hasattr(self, "stores"):
            self.stores.close()

    # -- the driver

    def save(self):
        data = json.dumps(snapshot(self.group)).encode()
        self.stores.save(data)
        self.saved = json.loads(data)

    def take(self, taken, crash_after=NEVER):
        before, self.group = self.group, taken.group
        self.check(before, taken)
        for effect in taken.effects[:crash_after]:
            self.carry_out(effect)
        if crash_after < len(taken.effects):
            self.restart()

    def carry_out(self, effect):
        match effect:
            case fx.Persist():
                self.save()
            case DropStage(stage):
                self.stages.pop(stage, None)
            case For(instance, fx.OpenStage(_, transfer)):
                assert Stage(instance, transfer) not in self.stages or self.group.component(instance).machine.delivery
                self.stages[Stage(instance, transfer)] = StagedImage.PARTIAL
            case For(instance, fx.VerifyImage(transfer)):
                self.stages[Stage(instance, transfer)] = StagedImage.SEALED
            case BeginBatch(attempt, instances):
                assert attempt not in self.begun, "a batch begins once"
                assert self.saved == snapshot(self.group), "after it was saved"
                assert instances == self.group.batch
                self.begun.add(attempt)

    def check(self, before, taken):
        after = taken.group
        if not taken.accepted:
            assert after is before
            assert taken.effects == ()
            return
        kinds = [type(effect) for effect in taken.effects]
        assert (after != before) == (fx.Persist in kinds)
        assert fx.Persist not in kinds[1:]
        assert BeginBatch not in kinds[:-1]
        self.check_notifications(before, taken)
        self.check_batch(before, taken)

    def check_notifications(self, before, taken):
        told = {
            each.instance: each.effect.resource_ids
            for each in taken.effects
            if isinstance(each, For) and isinstance(each.effect, fx.Notify)
        }
        old, new = links(before, self.profile), links(taken.group, self.profile)
        for was, now in zip(before.components, taken.group.components, strict=True):
            ids = told.get(now.instance, ())
            assert list(ids) == [each for each in ORDER if each in ids]
            assert (was.machine.state is not now.machine.state) == (3 in ids)
            assert (was.machine.result is not now.machine.result) == (5 in ids)
            assert (was.version != now.version) == (15 in ids)
            assert (old[now.instance].linked != new[now.instance].linked) == (16 in ids)
            assert (old[now.instance].conflicting != new[now.instance].conflicting) == (17 in ids)

    def check_batch(self, before, taken):
        after = taken.group
        if before.batch != after.batch:
            assert not before.batch or not after.batch, "one batch at a time, and all of it or nothing"
        if after.batch and not before.batch:
            assert taken.effects[-1] == BeginBatch(before.attempt + 1, after.batch)
            assert all(before.component(each).machine.state is State.DOWNLOADED for each in after.batch)
        ended = [after.component(each) for each in before.batch] if not after.batch else []
        succeeded = {each.machine.result is UpdateResult.SUCCESS for each in ended}
        assert len(succeeded) <= 1, "all succeed or none"
        for was, now in zip(before.components, after.components, strict=True):
            shown = now.machine.result is UpdateResult.SUCCESS and was.machine.result is not UpdateResult.SUCCESS
            assert not shown or was.machine.state is State.UPDATING

    def found(self):
        return GroupFound(
            versions=tuple(self.flash), stages=tuple(self.stages.items()), boot=self.boot[0], attempt=self.boot[1]
        )

    def restart(self, wall=None):
        self.group = restore(json.loads(self.stores.crash()), self.profile)
        self.take(recover(self.group, self.found(), self.profile, wall))
        self.boot = (BootOutcome.NONE, 0) if not self.group.batch else self.boot

    # -- what happens

    @rule(event=EVENTS, wall=WALLS, crash_after=CRASHES)
    def anything(self, event, wall, crash_after):
        if isinstance(event, BatchSucceeded) and self.group.batch and event.attempt in {None, self.group.attempt}:
            self.flash_batch()
        self.take(step(self.group, event, self.profile, wall), crash_after)

    def flash_batch(self):
        """The installer has written and confirmed; it keeps the outcome until it is told otherwise."""
        for index, component in enumerate(self.group.components):
            if component.machine.state is State.UPDATING:
                self.flash[index] = component.machine.package_version or self.flash[index]
        self.boot = (BootOutcome.CONFIRMED, self.group.attempt)

    def bring(self, site, checked, wall, crash_after=NEVER):
        for event in (ev.ResetWritten(), ev.PackageBegun(), ev.PackageReceived()):
            self.take(step(self.group, On(site, event), self.profile, wall))
        transfer = self.group.component(site).machine.transfer
        event = attrs.evolve(checked, transfer=transfer)
        self.take(step(self.group, On(site, event), self.profile, wall), crash_after)

    @rule(site=SITES, checked=CHECKED, wall=WALLS, crash_after=CRASHES)
    def a_package_comes(self, site, checked, wall, crash_after):
        self.bring(site, checked, wall, crash_after)

    @rule(sites=GROUPS, version=VERSIONS, needs=NEEDS, wall=WALLS, crash_after=CRASHES)
    def a_package_for_several_comes(self, sites, version, needs, wall, crash_after):
        for site in sites[1:]:
            self.take(step(self.group, On(site, ev.ResetWritten()), self.profile, wall))
        parts = tuple(PackageContent(NAMES[INSTANCES.index(each)], version) for each in sites)
        self.bring(sites[0], PackageChecked("n", version, parts, needs), wall, crash_after)

    @rule(sites=GROUPS, period=st.integers(0, 20), listed=st.none() | GROUPS, defer=st.booleans(), wall=WALLS)
    def several_packages_come_and_are_updated(self, sites, period, listed, defer, wall):
        for site in sites:
            self.bring(site, PackageChecked("n", "2.0", requirements=(Requirement("modem", "2.0"),)), wall)
        first = sites[0]
        self.take(step(self.group, On(first, ev.MaxDeferWritten(period)), self.profile, wall))
        others = None if listed is None else tuple(each for each in listed if each != first)
        self.an_update_is_asked_for(first, UpdateRequested(others, defer), wall, NEVER)

    def an_update_is_asked_for(self, site, update, wall, crash_after):
        before = self.group
        taken = step(before, On(site, update), self.profile, wall)
        self.take(taken, crash_after)
        if taken.group.batch and not before.batch:
            others = links(before, self.profile)[site].linked if update.others is None else update.others
            assert taken.group.batch == tuple(sorted({site, *others})), "exactly those that were asked for"
        if taken.accepted and taken.group.component(site).machine.is_deferred:
            assert taken.group.component(site).asked == update.others

    @rule(site=SITES, update=UPDATES, wall=WALLS, crash_after=CRASHES)
    def any_update_is_asked_for(self, site, update, wall, crash_after):
        self.an_update_is_asked_for(site, update, wall, crash_after)

    @precondition(lambda self: self.group.batch)
    @rule(outcome=st.sampled_from(list(BootOutcome)), wall=WALLS)
    def boot_loader_runs(self, outcome, wall):
        batch, attempt = self.group.batch, self.group.attempt
        self.boot = (outcome, attempt if outcome is not BootOutcome.NONE else 0)
        if outcome in {BootOutcome.CONFIRMED, BootOutcome.PENDING}:
            self.flash_batch()
            self.boot = (outcome, attempt)
        self.restart(wall)
        results = {self.group.component(each).machine.result for each in batch}
        assert (results == {UpdateResult.SUCCESS}) == (outcome is BootOutcome.CONFIRMED)
        assert bool(self.group.batch) == (outcome is BootOutcome.PENDING)

    @rule(wall=WALLS)
    def crash_and_restore(self, wall):
        self.restart(wall)
        assert restore(self.saved, self.profile) == self.group

    @precondition(lambda self: next_deadline(self.group) is not None)
    @rule()
    def deadline_passes(self):
        before = self.group
        self.take(handle_timeout(self.group, self.profile, next_deadline(self.group)))
        waited = [each for each in before.components if each.machine.is_deferred]
        assert any(not self.group.component(each.instance).machine.is_deferred for each in waited)

    # -- what holds always

    @invariant()
    def only_allowed_results_show(self):
        for each in self.group.components:
            assert int(each.machine.result) in ALLOWED[int(each.machine.state)]

    @invariant()
    def links_are_to_others_that_exist_and_are_ready(self):
        every = links(self.group, self.profile)
        for instance, each in every.items():
            assert instance not in each.linked
            assert all(self.group.component(other).machine.state is State.DOWNLOADED for other in each.linked)
            assert set(each.conflicting) <= set(INSTANCES)
            assert all(instance in every[other].linked for other in each.linked)

    @invariant()
    def results_12_and_13_name_somebody(self):
        every = links(self.group, self.profile)
        for each in self.group.components:
            if each.machine.result in {UpdateResult.CONFLICTING_STATE, UpdateResult.DEPENDENCY_ERROR}:
                assert each.culprits
                named = every[each.instance].conflicting
                assert named or each.machine.state is State.DOWNLOADED

    @invariant()
    def snapshot_is_the_group(self):
        assert self.saved == snapshot(self.group)
        assert restore(self.saved, self.profile) == self.group

    @invariant()
    def packages_are_there_when_they_are_promised(self):
        for each in self.group.components:
            if each.machine.state in {State.DOWNLOADED, State.UPDATING}:
                assert self.stages[each.stage] is StagedImage.SEALED
        assert self.stages.keys() <= self.group.stages

    @invariant()
    def versions_are_what_runs(self):
        assert [each.version for each in self.group.components] == self.flash

    @invariant()
    def queue_is_of_pulls_and_one_is_active(self):
        waiting = [each.instance for each in self.group.waiting]
        receiving = [
            each.instance
            for each in self.group.components
            if each.machine.state is State.DOWNLOADING and not each.machine.received
        ]
        assert set(waiting) <= set(receiving)
        assert len(set(waiting)) == len(waiting)
        if self.profile.advanced.concurrent_downloads is cp.ConcurrentDownloads.ONE_AT_A_TIME:
            assert len(receiving) - len(waiting) == (1 if receiving else 0)


TestDevice = Device.TestCase
TestDevice.settings = settings(stateful_step_count=25, max_examples=150)
