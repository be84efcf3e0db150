"""The device machine under any sequence of events and crashes, against stores that must agree, and an installer."""

import json

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lwm2m_fota.machines import effects as fx
from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines import policies
from lwm2m_fota.machines.events import BootOutcome, Found, StagedImage
from lwm2m_fota.machines.firmware import handle_timeout, next_deadline, step
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.snapshot import recover, restore, snapshot
from lwm2m_fota.machines.state import FirmwareMachine
from lwm2m_fota.model.enums import DeliveryMethod, State, UpdateResult
from lwm2m_fota.testing.agreement import CrashingStores

# State: the Results that it may show (SPEC 3), by hand.
ALLOWED = {
    "1.0": {0: set(range(10)), 1: {0}, 2: {0, 8}, 3: {0}},
    "1.1": {0: set(range(12)), 1: {0}, 2: {0, 8, 11}, 3: {0}},
    "1.2": {0: set(range(12)), 1: {0}, 2: {0, 8, 11}, 3: {0}},
}
URIS = st.sampled_from(["coap://host.example/fw", "ftp://host.example/fw", "no uri"])
MAYBE = st.one_of(st.none(), st.integers(0, 4))
EVENTS = st.one_of(
    st.builds(ev.PackageBegun, st.one_of(st.none(), st.integers(1, 9))),
    st.builds(ev.EmptyPackageWritten),
    st.builds(ev.ResetWritten, st.sampled_from(["package", "uri"])),
    st.builds(ev.UriWritten, URIS),
    st.builds(ev.UpdateExecuted, defer=st.booleans()),
    st.builds(ev.CancelExecuted),
    st.builds(ev.SeverityWritten, st.integers(-1, 3)),
    st.builds(ev.MaxDeferWritten, st.integers(-1, 20)),
    st.builds(ev.AutoUpgradeWritten, st.booleans()),
    st.builds(ev.PackageReceived, MAYBE),
    st.builds(ev.PackageVerified, st.text(max_size=300), st.just("1"), st.booleans(), MAYBE),
    st.builds(ev.TransferFailed, st.sampled_from(sorted(ev.TRANSFER_FAILURES)), transfer=MAYBE),
    st.builds(ev.InstallSucceeded, MAYBE),
    st.builds(ev.InstallFailed, st.sampled_from(sorted(ev.INSTALL_FAILURES)), st.booleans(), MAYBE),
    st.builds(ev.DeferralEnded),
    st.builds(ev.ClockRead, st.sampled_from([0.0, 1.0, 7.5, 20.0])),
)
PROFILES = st.builds(
    FirmwareProfile,
    version=st.sampled_from(["1.0", "1.1", "1.2"]),
    delivery=st.sampled_from([DeliveryMethod.PULL, DeliveryMethod.PUSH, DeliveryMethod.BOTH]),
    policies=st.builds(
        policies.FirmwarePolicies,
        **{
            field.name: st.sampled_from(list(type(getattr(policies.DEFAULT_POLICIES, field.name))))
            for field in attrs.fields(policies.FirmwarePolicies)
        },
    ),
)
WALLS = st.one_of(st.none(), st.integers(0, 60).map(float))
NEVER = 99  # more effects than a step has


class Device(RuleBasedStateMachine):
    """Carries out effects as a driver would; a crash may come between any two of them."""

    @initialize(profile=PROFILES)
    def power_on(self, profile):
        self.profile = profile
        self.machine = FirmwareMachine()
        self.stores = CrashingStores()
        self.save()
        self.stage = StagedImage.MISSING
        self.boot = (BootOutcome.NONE, 0)
        self.installing = None
        self.begun = set()

    def teardown(self):
        if hasattr(self, "stores"):
            self.stores.close()

    # -- the driver

    def save(self):
        data = json.dumps(snapshot(self.machine)).encode()
        self.stores.save(data)
        self.saved = json.loads(data)

    def take(self, taken, crash_after=NEVER):
        before = self.machine
        self.check(before, taken)
        self.machine = taken.machine
        for effect in taken.effects[:crash_after]:
            self.carry_out(effect)
        if crash_after < len(taken.effects):
            self.restart()

    def check(self, before, taken):
        after = taken.machine
        if taken.row is None:
            assert after is before
            assert taken.effects == ()
            return
        assert fx.Persist() not in taken.effects[1:]
        if after != before:
            assert taken.effects[0] == fx.Persist()
        if after.result is UpdateResult.SUCCESS and before.result is not UpdateResult.SUCCESS:
            assert before.state is State.UPDATING
        if after.state is State.UPDATING and before.state is not State.UPDATING:
            assert before.state is State.DOWNLOADED or self.profile.version == "1.2"
            assert taken.effects[-1] == fx.BeginInstall(before.attempt + 1)
        shown = [effect.resource_ids for effect in taken.effects if isinstance(effect, fx.Notify)]
        assert all(list(ids) == [each for each in (12, 1, 6, 7, 5, 3, 11, 13, 14) if each in ids] for ids in shown)
        assert (before.state is not after.state) == any(3 in ids for ids in shown)
        assert (before.result is not after.result) == any(5 in ids for ids in shown)

    def carry_out(self, effect):
        match effect:
            case fx.Persist():
                self.save()
            case fx.OpenStage(_, transfer):
                assert transfer == self.machine.transfer
                self.stage = StagedImage.PARTIAL
            case fx.StartPull(uri, transfer, resume):
                assert (uri, transfer) == (self.machine.uri, self.machine.transfer)
                assert not resume or self.stage is StagedImage.PARTIAL
            case fx.VerifyImage(transfer):
                assert transfer == self.machine.transfer
                self.stage = StagedImage.SEALED
            case fx.DiscardImage():
                self.stage = StagedImage.MISSING
            case fx.BeginInstall(attempt):
                assert self.saved["attempt"] == attempt
                assert self.saved["state"] == 3
                assert attempt not in self.begun
                assert self.stage is StagedImage.SEALED
                self.begun.add(attempt)
                self.installing = attempt

    def restart(self, wall=None):
        self.machine = restore(json.loads(self.stores.crash()), self.profile)
        self.save()
        found = Found(image=self.stage, boot=self.boot[0], attempt=self.boot[1])
        self.take(recover(self.machine, found, self.profile, wall))

    # -- what happens

    @rule(event=EVENTS, wall=WALLS, crash_after=st.one_of(st.just(NEVER), st.integers(0, 4)))
    def happen(self, event, wall, crash_after):
        taken = step(self.machine, event, self.profile, wall)
        assert taken == step(self.machine, event, self.profile, wall)
        kept = not isinstance(event, ev.InstallFailed) or event.image_kept
        if taken.accepted and not kept:
            self.stage = StagedImage.MISSING
        self.take(taken, crash_after)

    @precondition(lambda self: self.machine.state is State.DOWNLOADING)
    @rule(wall=WALLS, defer=st.booleans(), crash_after=st.one_of(st.just(NEVER), st.integers(0, 4)))
    def package_arrives(self, wall, defer, crash_after):
        if self.stage is StagedImage.MISSING:
            self.stage = StagedImage.PARTIAL
        if not self.machine.received:
            self.take(step(self.machine, ev.PackageReceived(self.machine.transfer), self.profile, wall))
        verified = ev.PackageVerified("name", "1", defer, self.machine.transfer)
        self.take(step(self.machine, verified, self.profile, wall), crash_after)

    @precondition(lambda self: self.machine.state is State.UPDATING)
    @rule(outcome=st.sampled_from(list(BootOutcome)), wall=WALLS)
    def boot_loader_runs(self, outcome, wall):
        self.boot = (outcome, self.installing if outcome is not BootOutcome.NONE else 0)
        self.restart(wall)
        assert (self.machine.result is UpdateResult.SUCCESS) == (
            outcome is BootOutcome.CONFIRMED and self.boot[1] == self.machine.attempt
        )

    @rule(wall=WALLS, version=st.sampled_from(["1.0", "1.1", "1.2"]))
    def crash_and_restore(self, wall, version):
        """The firmware that starts may have another object version."""
        self.profile = attrs.evolve(self.profile, version=version)
        self.restart(wall)
        again = restore(self.saved, self.profile)
        assert again == self.machine

    @precondition(lambda self: next_deadline(self.machine) is not None)
    @rule()
    def deadline_passes(self):
        self.take(handle_timeout(self.machine, self.profile, next_deadline(self.machine)))
        assert self.machine.state is State.UPDATING

    @precondition(
        lambda self: (
            next_deadline(self.machine) is not None and self.profile.policies.clock_lost is policies.ClockLost.COUNT_ON
        )
    )
    @rule(waited_s=st.sampled_from([1.0, 7.5, 20.0]), restarts=st.booleans())
    def period_passes_without_a_clock(self, waited_s, restarts):
        left = self.machine.deferral.deadline - self.machine.deferral.since
        while self.machine.is_deferred:
            assert left > 0
            left -= waited_s
            self.take(handle_timeout(self.machine, self.profile, None, waited_s))
            if restarts:
                self.restart()
        assert left <= 0
        assert restarts or self.machine.state is State.UPDATING

    # -- what holds always

    @invariant()
    def only_allowed_results_show(self):
        assert int(self.machine.result) in ALLOWED[self.profile.version][int(self.machine.state)]

    @invariant()
    def snapshot_is_the_machine(self):
        assert restore(snapshot(self.machine), self.profile) == self.machine
        assert self.saved == snapshot(self.machine)

    @invariant()
    def image_is_there_when_it_is_promised(self):
        if self.machine.state in {State.DOWNLOADED, State.UPDATING}:
            assert self.stage is StagedImage.SEALED
        if self.machine.state is State.IDLE:
            assert self.stage is StagedImage.MISSING

    @invariant()
    def update_in_flight_is_known(self):
        assert (self.machine.delivery is None) == (self.machine.state is State.IDLE)
        assert (self.machine.deferral is None) or self.machine.is_deferred


TestDevice = Device.TestCase
