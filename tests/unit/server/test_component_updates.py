"""Updates of components, with a real client and a real Object 33629, in one virtual loop with the server."""

import asyncio

import attrs
import pytest

from lwm2m_fota.device.advanced import AdvancedFirmwareDevice
from lwm2m_fota.errors import SnapshotError, UsageError
from lwm2m_fota.lwm2m.operations import Execute
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.machines.update_effects import CameLate, StepChanged
from lwm2m_fota.machines.update_limits import UpdateLimits
from lwm2m_fota.machines.update_outcome import Cancelled, Failed, Succeeded, TimedOut
from lwm2m_fota.machines.update_policy import ComponentPlan, Execution, UpdatePlan, UpdatePolicy
from lwm2m_fota.machines.update_versions import OwnVersions
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.model.paths import Path
from lwm2m_fota.package.crypto import KeyType, PrivateKey
from lwm2m_fota.package.formats.mcuboot_make import ImageOptions, create_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageDependency, ImageVersion
from lwm2m_fota.package.formats.registry import default_formats
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.server.planning import needs_of, packages_of, plan_for
from lwm2m_fota.server.updater import Updater
from lwm2m_fota.sim.devices import DeviceModel, Fault, SimulatedDevice
from lwm2m_fota.sim.loop import run
from lwm2m_fota.storage.memory import MemoryPackageSource, MemoryStateStore
from lwm2m_fota.testing.bundle import BundleFormat, make_bundle
from lwm2m_fota.transport.memory import MemoryNetwork

KEY = PrivateKey.from_seed(KeyType.ED25519, bytes(range(32)))
PROFILE = AdvancedProfile(
    components=tuple(ComponentSpec(at, name, (str(at),)) for at, name in enumerate(("app", "modem", "sensor")))
)
MODEL = DeviceModel(profile=PROFILE, formats=default_formats().with_format(BundleFormat()), lifetime_s=60)


def image(body, version, *needs):
    """A package, as a source; `needs` has image numbers and versions."""
    needed = tuple(ImageDependency(number, ImageVersion.parse(least)) for number, least in needs)
    data = create_mcuboot(
        body, version=ImageVersion.parse(version), key=None, options=ImageOptions(dependencies=needed)
    )
    return MemoryPackageSource(data)


def bytes_of(source):
    return source.read_at(0, source.size_bytes)


APP, MODEM, SENSOR = image(b"app" * 900, "2.0.0", (1, "1.1.0")), image(b"modem" * 500, "1.1.0"), image(b"s", "3.0.0")
BOTH = {"app": APP, "modem": MODEM}


class Bench:
    """A server and a device with three components."""

    def __init__(self, model=MODEL):
        self.network = MemoryNetwork()
        self.device = SimulatedDevice(self.network, "coap://192.0.2.1:5683", "dev", model, seed=4)
        self.notes = []

    async def __aenter__(self):
        await self.start()
        await self.device.start()
        return self

    async def __aexit__(self, *_):
        await self.device.stop()
        await self.server.stop()

    async def start(self):
        self.server = Lwm2mServer(self.network.transport("192.0.2.1", 5683))
        self.updater = Updater(self.server, self.server.packages)
        await self.server.start()

    def begin(self, packages, plan=None, **options):
        return self.updater.start("dev", packages, plan, listeners=[self.notes.append], **options)

    @property
    def shows(self):
        machines = [self.device.components.component(each).machine for each in range(3)]
        return [(int(each.state), int(each.result)) for each in machines]


def updated(packages, plan=None, model=MODEL, before=None):
    """One update; the outcome and the bench, an hour later."""

    async def main():
        async with Bench(model) as bench:
            if before is not None:
                await before(bench)
            outcome = await bench.begin(packages, plan).outcome()
            await asyncio.sleep(3600)
            return outcome, bench

    return run(main())


def choose(packages, **fields):
    policy = {name: fields.pop(name) for name in ("execution",) if name in fields}
    return attrs.evolve(plan_for(packages), policy=UpdatePolicy(**policy), **fields)


# ---- outcomes


@pytest.mark.parametrize("method", ["pull", "push"])
@pytest.mark.parametrize("execution", Execution)
def test_a_dependency_goes_first_and_both_are_updated(execution, method):
    outcome, bench = updated(BOTH, choose(BOTH, execution=execution, method=method))
    assert isinstance(outcome, Succeeded)
    assert [(each.name, each.version_after, each.updated) for each in outcome.components] == [
        ("app", "2.0.0", True), ("modem", "1.1.0", True),
    ]  # fmt: skip
    begun = [
        note.component
        for note in bench.notes
        if isinstance(note, StepChanged) and note.step.value in {"push", "write-uri"}
    ]
    assert begun == ["modem", "app"]
    assert bench.device.versions == {0: "2.0.0", 1: "1.1.0", 2: "1.0.0"}
    assert bench.device.images == {0: bytes_of(APP), 1: bytes_of(MODEM), 2: None}
    assert bench.shows == [(0, 1), (0, 1), (0, 0)]
    assert bench.device.boots == (3 if execution is Execution.EACH else 2)


def test_a_dependency_that_is_missing_is_the_diagnosis():
    outcome, bench = updated({"app": APP})
    assert isinstance(outcome, Failed)
    assert (outcome.result, outcome.diagnosis.code) == (UpdateResult.DEPENDENCY_ERROR, "device.dependency-error")
    assert bench.device.images == {0: None, 1: None, 2: None}
    assert [state for state, _ in bench.shows] == [0, 0, 0]


def test_a_batch_that_crashes_goes_back_as_a_whole():
    outcome, bench = updated(BOTH, model=attrs.evolve(MODEL, faults=[Fault.REVERTS_TRIAL]))
    assert isinstance(outcome, Failed)
    assert (outcome.result, outcome.diagnosis.code) == (UpdateResult.UPDATE_FAILED, "device.update-failed")
    assert [each.updated for each in outcome.components] == [False, False]
    assert bench.device.versions == {0: "1.0.0", 1: "1.0.0", 2: "1.0.0"}
    assert [state for state, _ in bench.shows] == [0, 0, 0]


def test_one_package_for_several_components_is_sent_once():
    bundle = MemoryPackageSource(make_bundle(KEY, {"sensor": ("4", b"S" * 99), "app": ("5", b"A" * 99)}))
    outcome, bench = updated({"app": bundle, "sensor": bundle})
    assert isinstance(outcome, Succeeded)
    assert bench.device.images == {0: b"A" * 99, 1: None, 2: b"S" * 99}
    assert sum(isinstance(note, StepChanged) and note.step.value == "write-uri" for note in bench.notes) == 1


def test_a_package_for_a_component_that_is_busy_is_a_conflict():
    async def busy(bench):
        await bench.device.registered()
        await bench.server.push("dev", Path.of(33629, 2, 0), SENSOR, lambda _: None)
        assert bench.shows[2] == (2, 0)

    bundle = MemoryPackageSource(make_bundle(KEY, {"sensor": ("4", b"S" * 99), "app": ("5", b"A" * 99)}))
    outcome, bench = updated({"app": bundle}, before=busy)
    assert isinstance(outcome, Failed)
    assert (outcome.result, outcome.diagnosis.code) == (UpdateResult.CONFLICTING_STATE, "device.conflicting-state")
    assert bench.shows == [(0, 12), (0, 0), (2, 0)]


def test_leftovers_of_components_are_reset_first():
    async def leftovers(bench):
        await bench.device.registered()
        for each in (0, 1, 2):
            await bench.server.push("dev", Path.of(33629, each, 0), SENSOR, lambda _: None)

    outcome, bench = updated(BOTH, before=leftovers)
    assert isinstance(outcome, Succeeded)
    assert bench.shows == [(0, 1), (0, 1), (2, 0)]


def test_a_basic_update_is_of_the_main_component():
    outcome, bench = updated(MODEM)
    assert (type(outcome), outcome.version_after, outcome.components) == (Succeeded, "1.1.0", ())
    assert bench.device.versions[0] == "1.1.0"


def test_components_may_be_named_by_number():
    outcome, bench = updated({"2": SENSOR})
    assert isinstance(outcome, Succeeded)
    assert bench.device.versions[2] == "3.0.0"


def test_a_deferred_batch_is_waited_for():
    async def defers(bench):
        await bench.device.registered()
        bench.device.components.defer_updates(defer=True)
        for each in (0, 1):
            await bench.server.write("dev", Path.of(33629, each, 13), 10_000)

    outcome, bench = updated(BOTH, before=defers)
    assert isinstance(outcome, Succeeded)
    assert bench.device.versions == {0: "2.0.0", 1: "1.1.0", 2: "1.0.0"}


@pytest.mark.parametrize(("step", "component"), [("push", "modem"), ("verify", "modem"), ("push", "app")])
def test_cancel_in_a_transfer_leaves_nothing_behind(step, component):
    async def main():
        async with Bench() as bench:

            def cancel(note):
                if isinstance(note, StepChanged) and (note.step.value, note.component) == (step, component):
                    running.cancel()

            running = bench.updater.start("dev", BOTH, choose(BOTH, method="push"), listeners=[cancel])
            return await running.outcome(), bench.shows

    outcome, shows = run(main())
    assert isinstance(outcome, Cancelled)
    assert [state for state, _ in shows] == [0, 0, 0]


# ---- late results


def test_what_a_device_shows_after_the_end_is_recorded_and_another_update_may_begin():
    limits = UpdateLimits(reboot_s=20.0)

    async def main():
        async with Bench(attrs.evolve(MODEL, boot_s=500.0)) as bench:
            running = bench.begin(BOTH, choose(BOTH, limits=limits))
            outcome = await running.outcome()
            assert (running.is_running, running.is_listening, running.late) == (False, True, ())
            assert bench.updater.running("dev") is None
            while running.is_listening:  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(1.0)
            again = await bench.updater.update("dev", {"sensor": SENSOR})
            return outcome, running.late, again, bench.notes

    outcome, late, again, notes = run(main())
    assert isinstance(outcome, TimedOut)
    assert [(each.name, each.state, each.result, each.version_after) for each in late] == [
        ("app", State.IDLE, UpdateResult.SUCCESS, "2.0.0"),
        ("modem", State.IDLE, UpdateResult.SUCCESS, "1.1.0"),
    ]
    assert [note.component for note in notes if isinstance(note, CameLate)] == ["app", "modem"]
    assert isinstance(again, Succeeded)


def test_another_update_ends_the_wait_for_late_results():
    async def main():
        async with Bench(attrs.evolve(MODEL, faults=[Fault.STAYS_OFF])) as bench:
            running = bench.begin(BOTH, choose(BOTH, limits=UpdateLimits(reboot_s=20.0)))
            assert isinstance(await running.outcome(), TimedOut)
            assert running.is_listening
            other = bench.begin({"sensor": SENSOR})
            assert not running.is_listening
            other.close()
            other.close()
            return asyncio.all_tasks()

    assert len(run(main())) <= 2


def test_a_late_result_is_stored_and_outlives_the_server():
    async def main():
        async with Bench(attrs.evolve(MODEL, boot_s=500.0)) as bench:
            state = MemoryStateStore()
            running = bench.begin(BOTH, choose(BOTH, limits=UpdateLimits(reboot_s=20.0)), state=state)
            outcome = await running.outcome()
            kept = MemoryStateStore(state.load())
            await bench.server.stop()
            running.close()
            await bench.start()
            resumed = bench.updater.resume("dev", BOTH, kept)
            assert await resumed.outcome() == outcome
            while resumed.is_listening:  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(1.0)
            return [each.result for each in resumed.late], kept

    late, kept = run(main())
    assert late == [1, 1]

    async def again():
        async with Bench() as bench:
            return [each.result for each in bench.updater.resume("dev", BOTH, kept).late]

    assert run(again()) == [1, 1]


# ---- restarts of the server


class CountingStore(MemoryStateStore):
    """Tells of the n-th save."""

    def __init__(self, at):
        super().__init__()
        self.left, self.reached = at, asyncio.Event()

    def save(self, data):
        super().save(data)
        self.left -= 1
        if self.left == 0:
            self.reached.set()


@pytest.mark.parametrize(
    ("execution", "method"), [(Execution.LISTED, "pull"), (Execution.LISTED, "push"), (Execution.EACH, "pull")]
)
def test_an_update_of_components_outlives_the_server_at_every_step(execution, method):
    """The server dies after each of its saves; what was stored then is taken up by the next one."""

    async def main(at):
        async with Bench() as bench:
            state = CountingStore(at)
            running = bench.begin(BOTH, choose(BOTH, execution=execution, method=method), state=state)
            ended = asyncio.ensure_future(running.outcome())
            reached = asyncio.ensure_future(state.reached.wait())
            await asyncio.wait({ended, reached}, return_when=asyncio.FIRST_COMPLETED)
            if not reached.done():
                reached.cancel()
                return None, bench.device
            kept = MemoryStateStore(state.load())
            await bench.server.stop()
            running.close()
            ended.cancel()
            await asyncio.sleep(1.0)
            await bench.start()
            resumed = bench.updater.resume("dev", BOTH, kept)
            outcome = await resumed.outcome()
            return outcome, bench.device

    for at in range(1, 200):
        outcome, device = run(main(at))
        if outcome is None:
            break
        assert isinstance(outcome, Succeeded), (at, outcome)
        assert device.images == {0: bytes_of(APP), 1: bytes_of(MODEM), 2: None}
        assert device.boots == (3 if execution is Execution.EACH else 2)
    assert at > 12


def test_a_stored_update_is_taken_up_with_its_own_packages_only():
    async def main():
        async with Bench() as bench:
            state = MemoryStateStore()
            bench.begin(BOTH, state=state).close()
            for other in ({"app": MODEM, "modem": APP}, {"app": APP}, APP, {**BOTH, "sensor": SENSOR}):
                with pytest.raises(UsageError):
                    bench.updater.resume("dev", other, state)
            bench.updater.resume("dev", BOTH, state).close()

    run(main())


def test_a_rule_of_ones_own_is_brought_by_the_updater():
    rule = OwnVersions("ours", str.lower)
    plan = UpdatePlan(package_bytes=MODEM.size_bytes, policy=UpdatePolicy(version_match=rule))

    async def main():
        async with Bench() as bench:
            state = MemoryStateStore()
            bench.begin(MODEM, plan, state=state).close()
            with pytest.raises(SnapshotError):
                bench.updater.resume("dev", MODEM, state)
            updater = Updater(bench.server, versions=[rule])
            resumed = updater.resume("dev", MODEM, state)
            assert resumed.plan.policy.version_match is rule
            resumed.close()

    run(main())


# ---- plans


def test_a_plan_follows_from_the_packages():
    plan = plan_for({"app": APP, "modem": MODEM, "radio": APP})
    assert plan.components == (
        ComponentPlan(name="app", package_bytes=APP.size_bytes, package=0, needs=("1",)),
        ComponentPlan(name="modem", package_bytes=MODEM.size_bytes, package=1),
        ComponentPlan(name="radio", package_bytes=APP.size_bytes, package=0, needs=("1",)),
    )
    assert packages_of(plan, {"app": APP, "modem": MODEM, "radio": APP}) == (APP, MODEM)
    assert plan_for(APP) == UpdatePlan(package_bytes=APP.size_bytes)


def test_what_a_package_needs_and_does_not_bring_itself():
    assert needs_of(APP) == ("1",)
    assert needs_of(MemoryPackageSource(b"anything")) == ()
    assert needs_of(MemoryPackageSource(bytes_of(APP)[:-1])) == ()


def test_packages_are_those_of_the_plan():
    plan = plan_for(BOTH)
    for wrong in ({"app": APP}, {"app": MODEM, "modem": APP}, {"app": APP, "sensor": MODEM}, APP):
        with pytest.raises(UsageError):
            packages_of(plan, wrong)
    with pytest.raises(UsageError):
        packages_of(plan_for(APP), BOTH)
    with pytest.raises(UsageError):
        plan_for({})


@pytest.mark.parametrize("bad", [b"", b"\x00"])
def test_every_package_is_looked_at_before_anything_begins(bad):
    async def main():
        async with Bench() as bench:
            with pytest.raises(UsageError):
                bench.begin({"app": APP, "modem": MemoryPackageSource(bad)})

    run(main())


def test_the_argument_of_update_goes_over_the_wire_with_its_quotes(monkeypatch):
    seen, handle = [], AdvancedFirmwareDevice.handle

    def spy(self, operation, now):
        if isinstance(operation, Execute):
            seen.append(operation.arguments)
        return handle(self, operation, now)

    monkeypatch.setattr(AdvancedFirmwareDevice, "handle", spy)
    updated(BOTH)
    assert seen == [b"0='</33629/0>'"]
