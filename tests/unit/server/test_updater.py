"""Updates of simulated devices with a real client and a real Object 5, in one virtual loop with the server."""

import asyncio
import json
import random

import attrs
import pytest

from lwm2m_fota.errors import ResponseError, SnapshotError, StorageError, UsageError
from lwm2m_fota.lwm2m.operations import Read
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.update_effects import Finished, Progressed, Shown, StepChanged
from lwm2m_fota.machines.update_limits import UpdateLimits
from lwm2m_fota.machines.update_outcome import Cancelled, Failed, Succeeded, TimedOut, Undetermined
from lwm2m_fota.machines.update_policy import DeviceSettings, Method, UpdatePlan
from lwm2m_fota.machines.update_steps import UpdateStage
from lwm2m_fota.machines.update_trace import read_trace, replay
from lwm2m_fota.model.enums import DeliveryMethod, Severity, State, UpdateResult
from lwm2m_fota.model.paths import Path
from lwm2m_fota.runtime.entropy import SeededEntropy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.server.updater import Updater, check_package
from lwm2m_fota.sim.devices import DeviceModel, Fault, SimulatedDevice
from lwm2m_fota.sim.loop import run
from lwm2m_fota.sim.network import LossyNetwork
from lwm2m_fota.sim.scenario import package_of
from lwm2m_fota.storage.memory import MemoryPackageSource, MemoryStateStore

SERVER = ("192.0.2.1", 5683)
PACKAGE = package_of(16_384, "1.1.0")
PUSH_ONLY = FirmwareProfile(delivery=DeliveryMethod.PUSH)
PULL_ONLY = FirmwareProfile(delivery=DeliveryMethod.PULL)


def plan_of(method="auto", package=PACKAGE, **changes):
    return UpdatePlan(method=method, package_bytes=len(package), expected_version="1.1.0", schemes=("coap",), **changes)


class Bench:
    """A server, a device and an updater; the server can be killed and started anew."""

    def __init__(self, *, model=None, device=True, endpoint="device"):
        self.network = LossyNetwork(3, latency_s=0.05)
        self.endpoint = endpoint
        self.device = SimulatedDevice(self.network, "coap://192.0.2.1:5683", endpoint, model or DeviceModel(), seed=4)
        self._with_device = device
        self._lives = 0
        self.blocks = []
        self.notes = []

    async def __aenter__(self):
        await self.start()
        if self._with_device:
            await self.device.start()
        return self

    async def __aexit__(self, *_):
        await self.device.stop()
        await self.server.stop()

    async def start(self):
        self._lives += 1
        transport = self.network.transport(*SERVER)
        pump = Pump(transport, entropy=SeededEntropy(100 + self._lives))
        self.server = Lwm2mServer(transport, pump=pump, on_block=self.blocks.append)
        self.updater = Updater(self.server, self.server.packages)
        await self.server.start()

    def begin(self, plan=None, *, package=PACKAGE, state=None, listener=None):
        listeners = [self.notes.append, *([] if listener is None else [listener])]
        return self.updater.start(self.endpoint, MemoryPackageSource(package), plan, state=state, listeners=listeners)

    async def blocks_served(self, count):
        """Wait until so many blocks were fetched."""
        while sum(block.length for block in self.blocks) < count * 1024:  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(0.01)

    def steps(self):
        return [note.step.value for note in self.notes if isinstance(note, StepChanged)]


def update(plan=None, **options):
    """One update of one device: the outcome and the bench."""

    async def main():
        async with Bench(**options) as bench:
            running = bench.begin(plan)
            outcome = await running.outcome()
            assert not running.is_running
            assert bench.updater.running("device") is None
            return outcome, bench

    return run(main())


# -- outcomes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "profile", "way"),
    [
        ("push", FirmwareProfile(), "push"),
        ("pull", FirmwareProfile(), "download"),
        ("auto", FirmwareProfile(), "download"),
        ("auto", PUSH_ONLY, "push"),
        ("auto", PULL_ONLY, "download"),
        ("auto", FirmwareProfile(version="1.0"), "download"),
        ("push", FirmwareProfile(version="1.2"), "push"),
    ],
)
def test_a_device_is_updated(method, profile, way):
    outcome, bench = update(plan_of(method), model=DeviceModel(profile=profile))
    assert outcome == Succeeded(version_before="1.0.0", version_after="1.1.0")
    assert way in bench.steps()
    assert bench.device.image == PACKAGE
    assert (bench.device.version, bench.device.boots) == ("1.1.0", 2)
    assert [note for note in bench.notes if isinstance(note, Finished)] == [Finished(outcome)]
    assert bench.notes[-1] == Finished(outcome)


@pytest.mark.parametrize("method", ["push", "pull"])
def test_a_trace_replays_to_the_same_end(method):
    lines = []

    async def main():
        async with Bench() as bench:
            source = MemoryPackageSource(PACKAGE)
            running = bench.updater.start("device", source, plan_of(method), trace=lines.append)
            return await running.outcome()

    outcome = run(main())
    machine = replay(read_trace(json.loads(json.dumps(lines))))
    assert isinstance(outcome, Succeeded)
    assert machine.outcome == outcome
    assert lines[-1]["step"] == "finished"


def test_a_trace_that_cannot_be_written_does_not_end_an_update(faults):
    def full(_):
        raise OSError("no space")

    async def main():
        async with Bench() as bench:
            running = bench.updater.start("device", MemoryPackageSource(PACKAGE), plan_of("push"), trace=full)
            return await running.outcome()

    assert isinstance(run(main()), Succeeded)
    assert str(faults[0]) == "no space"


def test_the_default_plan_takes_whatever_the_device_offers():
    outcome, bench = update()
    assert isinstance(outcome, Succeeded)
    assert bench.blocks


@pytest.mark.parametrize(("awake_s", "request_s", "total_s"), [(None, 120.0, 3600.0), (93.0, 420.0, 8400.0)])
def test_the_default_plan_of_a_device_in_queue_mode_lets_it_sleep(awake_s, request_s, total_s):
    """By its lifetime of 300 s in each wait, and sixteen times in all."""

    async def main():
        async with Bench(model=DeviceModel(awake_s=awake_s)) as bench:
            await bench.server.registered("device")
            limits = bench.begin().plan.limits
            assert (limits.request_s, limits.total_s) == (request_s, total_s)

    run(main())


def test_a_plan_without_schemes_gets_those_of_the_package_host():
    outcome, bench = update(UpdatePlan(method="pull", package_bytes=len(PACKAGE)))
    assert isinstance(outcome, Succeeded)
    assert bench.blocks


@pytest.mark.parametrize("method", ["push", "pull"])
def test_progress_ascends_to_the_whole_package_and_is_not_told_for_every_block(method):
    _, bench = update(plan_of(method))
    done = [note.bytes_done for note in bench.notes if isinstance(note, Progressed)]
    assert done == sorted(set(done))
    assert done[-1] == len(PACKAGE)
    assert 3 <= len(done) <= 12


@pytest.mark.parametrize("method", ["push", "pull"])
def test_only_pairs_that_the_device_had_are_shown(method):
    _, bench = update(plan_of(method))
    shown = [(note.state, note.result) for note in bench.notes if isinstance(note, Shown)]
    assert set(shown) <= {(0, 0), (1, 0), (2, 0), (3, 0), (0, 1)}
    assert shown[0] == (0, 0)
    assert shown[-1] == (0, 1)


def test_a_package_that_does_not_fit_fails_with_the_words_of_the_device():
    for method in ("push", "pull"):
        outcome, bench = update(plan_of(method), model=DeviceModel(capacity_bytes=8192))
        assert isinstance(outcome, Failed)
        assert outcome.result is UpdateResult.NOT_ENOUGH_STORAGE
        assert outcome.stage is UpdateStage.TRANSFERRING
        assert bench.device.version == "1.0.0"
        assert bench.device.firmware.state is State.IDLE


def test_an_image_that_is_reverted_fails():
    outcome, _ = update(plan_of(), model=DeviceModel(faults=[Fault.REVERTS_TRIAL]))
    assert isinstance(outcome, Failed)
    assert (outcome.stage, outcome.result) == (UpdateStage.EXECUTING, UpdateResult.UPDATE_FAILED)


def test_a_device_that_stays_away_times_out():
    outcome, bench = update(plan_of(), model=DeviceModel(faults=[Fault.STAYS_OFF]))
    assert isinstance(outcome, TimedOut)
    assert outcome.diagnosis.code in {"execute.no-return", "execute.no-end"}
    assert "download" in bench.steps()


def test_a_device_that_never_comes_times_out():
    outcome, _ = update(plan_of(), device=False)
    assert isinstance(outcome, TimedOut)
    assert outcome.diagnosis.code == "prepare.not-registered"


def test_a_device_that_forgets_everything_and_runs_what_it_ran_before_is_undetermined():
    model = DeviceModel(faults=[Fault.FORGETS_STATE, Fault.REVERTS_TRIAL])
    outcome, _ = update(plan_of(), model=model)
    assert isinstance(outcome, Undetermined)
    assert outcome.diagnosis.code == "execute.no-evidence"


def test_a_device_that_forgets_its_result_is_judged_by_its_version():
    outcome, _ = update(plan_of(), model=DeviceModel(faults=[Fault.FORGETS_STATE]))
    assert isinstance(outcome, Succeeded)


def test_a_method_that_the_device_does_not_offer():
    outcome, _ = update(plan_of("pull"), model=DeviceModel(profile=PUSH_ONLY))
    assert isinstance(outcome, Failed)
    assert outcome.diagnosis.code == "prepare.pull-unsupported"


def test_update_awaits_the_outcome_and_closes_when_it_is_cancelled():
    async def main():
        async with Bench() as bench:
            source = MemoryPackageSource(PACKAGE)
            waiting = asyncio.ensure_future(bench.updater.update("device", source, plan_of()))
            await asyncio.sleep(0.5)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert bench.updater.running("device") is None
            return await bench.updater.update("device", source, plan_of(), listeners=[bench.notes.append])

    assert isinstance(run(main()), Succeeded)


# -- why --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["push", "pull"])
def test_why_says_at_every_step_what_is_awaited(method):
    async def main():
        found = {}
        async with Bench() as bench:

            def listener(note):
                if isinstance(note, StepChanged):
                    found[note.step.value] = running.why()

            running = bench.begin(plan_of(method), listener=listener)
            before = running.why()
            assert (before.awaits, before.limit) == ("the device to register", "limit of the stage")
            assert before.last_shown.age_s is None
            await running.outcome()
            assert running.why().deadline is None
        return found

    found = run(main())
    transfer = {"push": "the device to take the package", "pull": "the end of the download"}[method]
    awaited = {step: each.awaits for step, each in found.items()}
    assert awaited["learn"] == "what the device can do and what it shows"
    assert awaited["push" if method == "push" else "download"] == transfer
    assert awaited["execute"] == "the answer to Update"
    assert awaited["install"] == "the end of the installation"
    for step, each in found.items():
        assert each.step.value == step
        if step != "finished":
            assert each.deadline > 0
            assert each.since_s == 0
    assert (found["execute"].last_shown.state, found["execute"].last_shown.result) == (2, 0)


# -- cancel -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "step", "delay_s", "kind"),
    [
        ("pull", "registration", 0.0, Cancelled),
        ("pull", "observe", 0.0, Cancelled),
        ("pull", "learn", 0.0, Cancelled),
        ("pull", "write-uri", 0.0, Cancelled),
        ("pull", "write-uri", 0.06, Cancelled),
        ("pull", "download", 0.0, Cancelled),
        ("pull", "download", 1.0, Cancelled),
        ("push", "push", 0.0, Cancelled),
        ("push", "push", 1.0, Cancelled),
        ("push", "verify", 0.0, Cancelled),
        ("push", "execute", 0.0, Succeeded),
        ("pull", "install", 0.0, Succeeded),
        ("pull", "install", 5.0, Succeeded),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_cancel_at_every_stage(method, step, delay_s, kind, at_once):
    async def main():
        async with Bench() as bench:
            loop = asyncio.get_running_loop()

            def listener(note):
                if isinstance(note, StepChanged) and note.step.value == step:
                    if at_once and not delay_s:
                        running.cancel()  # out of the note itself
                    else:
                        loop.call_later(delay_s, running.cancel)

            running = bench.begin(plan_of(method), listener=listener)
            if step == "registration":
                running.cancel()
            outcome = await running.outcome()
            running.cancel()  # harmless
            await asyncio.sleep(300)
            return outcome, bench

    outcome, bench = run(main())
    assert type(outcome) is kind
    if kind is Cancelled:
        assert bench.device.version == "1.0.0"
        assert bench.device.firmware.state is State.IDLE
        assert "execute" not in bench.steps()
    else:
        assert bench.device.boots == 2
        assert [each.code for each in outcome.warnings] == ["cancel.too-late"]


# -- one at a time ----------------------------------------------------------------------------------------------


def test_a_device_has_one_update_at_a_time_and_then_another():
    async def main():
        async with Bench() as bench:
            first = bench.begin(plan_of("push"))
            assert bench.updater.running("device") is first
            with pytest.raises(UsageError, match="already runs"):
                bench.begin(plan_of("push"))
            store = MemoryStateStore()
            Updater(bench.server).start("other", MemoryPackageSource(PACKAGE), plan_of(), state=store).close()
            with pytest.raises(UsageError, match="already runs"):
                bench.updater.resume("device", MemoryPackageSource(PACKAGE), store)
            assert isinstance(await first.outcome(), Succeeded)
            newer = package_of(9000, "1.2.0")
            plan = attrs.evolve(plan_of("pull", newer), expected_version="1.2.0")
            outcome = await bench.begin(plan, package=newer).outcome()
            return outcome, bench.device.version

    outcome, version = run(main())
    assert outcome == Succeeded(version_before="1.1.0", version_after="1.2.0")
    assert version == "1.2.0"


def test_the_next_update_may_be_started_by_the_note_that_ends_the_first():
    async def main():
        second = []
        async with Bench(device=False) as bench:

            def listener(note):
                if isinstance(note, Finished) and not second:
                    assert not running.is_running
                    second.append(bench.begin(plan_of("push")))

            running = bench.begin(plan_of("push"), listener=listener)
            running.cancel()
            await running.outcome()
            assert bench.updater.running("device") is second[0]
            second[0].close()
            second[0].close()
            with pytest.raises(asyncio.CancelledError):
                await second[0].outcome()

    run(main())


# -- what is refused before anything is sent --------------------------------------------------------------------


def test_what_is_no_package_is_refused():
    for data, words in ((b"", "empty"), (b"\x00", "NUL")):
        with pytest.raises(UsageError, match=words):
            check_package(MemoryPackageSource(data))
    for data in (b"\x01", b"\x00\x00"):
        check_package(MemoryPackageSource(data))


@pytest.mark.parametrize(
    ("endpoint", "package", "plan", "words"),
    [
        ("device", b"", None, "empty"),
        ("device", b"\x00", None, "NUL"),
        ("device", PACKAGE, UpdatePlan(package_bytes=1), "another package"),
        ("", PACKAGE, None, "255"),
        ("x" * 256, PACKAGE, None, "255"),
        ("\udcff", PACKAGE, None, "255"),
    ],
)
def test_mistakes_of_the_caller(endpoint, package, plan, words):
    async def main():
        async with Bench(device=False, endpoint="device") as bench:
            bench.endpoint = endpoint
            with pytest.raises(UsageError, match=words):
                bench.begin(plan, package=package)
            assert bench.updater.running(endpoint) is None
            assert not bench.notes

    run(main())


# -- users' code that fails -------------------------------------------------------------------------------------


def test_a_listener_that_raises_does_not_kill_an_update(faults):
    async def main():
        async with Bench() as bench:

            def broken(note):
                raise ValueError(type(note).__name__)

            running = bench.updater.start(
                "device", MemoryPackageSource(PACKAGE), plan_of(), listeners=[broken, bench.notes.append]
            )
            outcome = await running.outcome()
            return outcome, bench.notes

    outcome, notes = run(main())
    assert isinstance(outcome, Succeeded)
    assert [str(fault) for fault in faults] == [type(note).__name__ for note in notes]


class Host:
    """A package host that is no good."""

    schemes = ("coap",)

    def __init__(self, error):
        self.error = error
        self.withdrawn = 0

    def publish(self, source, scheme, progress, token=None):
        raise self.error

    def withdraw(self, token):
        self.withdrawn += 1


@pytest.mark.parametrize("host", [Host(StorageError("full")), Host(ValueError("bug")), None])
def test_a_host_that_cannot_publish_is_named_at_once(host, faults, caplog):
    async def main():
        async with Bench() as bench:
            updater = Updater(bench.server, host)
            running = updater.start("device", MemoryPackageSource(PACKAGE), plan_of("pull"))
            outcome = await running.outcome()
            return outcome, asyncio.get_running_loop().time()

    outcome, seconds = run(main())
    assert isinstance(outcome, Failed)
    assert outcome.diagnosis.code == "transfer.no-package"
    assert seconds < 5
    assert len(faults) == (host is not None and type(host.error) is ValueError)
    assert "device" in caplog.text


def test_without_a_host_there_are_no_schemes():
    assert Updater(None).schemes == ()
    assert Updater(None, Host(None)).schemes == ("coap",)


class Failing:
    """A package that cannot be read beyond its first bytes."""

    size_bytes = len(PACKAGE)

    def __init__(self, error):
        self.error = error

    def read_at(self, offset, length):
        if offset + length > 4096:
            raise self.error
        return PACKAGE[offset : offset + length]


@pytest.mark.parametrize("method", ["push", "pull"])
def test_a_package_that_cannot_be_read_any_more_is_named(method):
    async def main():
        async with Bench() as bench:
            source = Failing(StorageError("the disk is gone"))
            running = bench.updater.start("device", source, plan_of(method))
            return await running.outcome()

    outcome = run(main())
    assert isinstance(outcome, Failed)
    assert outcome.diagnosis.code == "transfer.no-package"


def test_a_source_with_a_bug_ends_the_push_and_the_bug_is_shown(faults):
    async def main():
        async with Bench() as bench:
            running = bench.updater.start("device", Failing(ValueError("bug")), plan_of("push"))
            return await running.outcome()

    assert isinstance(run(main()), Failed)
    assert {type(fault) for fault in faults} == {ValueError}


class Store:
    """A state store that fails from the n-th save on, and counts."""

    def __init__(self, fails_from=None, error=None):
        self.data = None
        self.saves = 0
        self.fails_from = fails_from
        self.error = error or StorageError("the store is gone")

    def load(self):
        return self.data

    def save(self, data):
        self.saves += 1
        if self.fails_from is not None and self.saves >= self.fails_from:
            raise self.error
        self.data = data

    def clear(self):
        self.data = None


def test_an_update_that_cannot_be_stored_is_not_begun():
    async def main():
        async with Bench() as bench:
            with pytest.raises(StorageError, match="gone"):
                bench.begin(plan_of(), state=Store(fails_from=1))
            assert bench.updater.running("device") is None
            await asyncio.sleep(60)
            assert not bench.notes

    run(main())


@pytest.mark.parametrize("saves", range(2, 7))  # the sixth comes before Execute
@pytest.mark.parametrize("error", [StorageError("the store is gone"), ValueError("bug")])
def test_nothing_leaves_that_could_not_be_stored(saves, error):
    async def main():
        async with Bench() as bench:
            running = bench.begin(plan_of("push"), state=Store(fails_from=saves, error=error))
            with pytest.raises(type(error), match=str(error)):
                await running.outcome()
            assert bench.updater.running("device") is None
            told = len(bench.notes)
            await asyncio.sleep(600)
            assert len(bench.notes) == told
            return bench.device.boots

    assert run(main()) == 1


# -- restarts of the server -------------------------------------------------------------------------------------

RESTARTS = [
    ("push", "observe", 0.0),
    ("pull", "learn", 0.0),
    ("pull", "learn", 0.06),
    ("pull", "write-uri", 0.0),
    ("pull", "write-uri", 0.06),
    ("pull", "download", 0.0),
    ("pull", "download", 0.7),
    ("pull", "download", 1.5),
    ("push", "push", 0.0),
    ("push", "push", 0.7),
    ("push", "verify", 0.0),
    ("push", "execute", 0.0),
    ("push", "execute", 0.06),
    ("pull", "execute", 0.06),
    ("pull", "install", 0.0),
    ("pull", "install", 0.3),
    ("push", "install", 4.0),
    ("pull", "install", 11.0),
]


@pytest.mark.parametrize("down_s", [0.1, 40.0])
@pytest.mark.parametrize(("method", "step", "delay_s"), RESTARTS)
def test_an_update_outlives_the_server_and_installs_once(method, step, delay_s, down_s):
    async def main():
        async with Bench(model=DeviceModel(lifetime_s=60)) as bench:
            crash, state = asyncio.Event(), MemoryStateStore()
            loop = asyncio.get_running_loop()

            def listener(note):
                if isinstance(note, StepChanged) and note.step.value == step and not crash.is_set():
                    loop.call_later(delay_s, crash.set) if delay_s else crash.set()

            running = bench.begin(plan_of(method), state=state, listener=listener)
            await crash.wait()
            kept = MemoryStateStore(state.load())  # what a crash leaves: nothing is said any more
            await bench.server.stop()
            running.close()
            await asyncio.sleep(down_s)
            await bench.start()
            source = MemoryPackageSource(PACKAGE)
            resumed = bench.updater.resume("device", source, kept, listeners=[bench.notes.append])
            assert resumed.plan == plan_of(method)
            outcome = await resumed.outcome()
            await asyncio.sleep(600)
            return outcome, bench

    outcome, bench = run(main())
    assert outcome == Succeeded(version_before="1.0.0", version_after="1.1.0")  # without a warning
    assert bench.device.image == PACKAGE
    assert bench.device.boots == 2  # one installation
    assert bench.device.firmware.state is State.IDLE


def test_a_pull_goes_on_where_it_was_for_its_uri_is_the_same():
    async def main():
        async with Bench(model=DeviceModel(lifetime_s=60)) as bench:
            state, big = MemoryStateStore(), package_of(200_000, "1.1.0")
            running = bench.begin(plan_of("pull", big), package=big, state=state)
            await bench.blocks_served(100)
            kept = MemoryStateStore(state.load())
            await bench.server.stop()
            running.close()
            await bench.start()
            resumed = bench.updater.resume("device", MemoryPackageSource(big), kept)
            outcome = await resumed.outcome()
            return outcome, bench.blocks

    outcome, blocks = run(main())
    assert isinstance(outcome, Succeeded)
    assert len({each.token for each in blocks}) == 1
    assert sum(block.length for block in blocks) < 235_000  # 200,000 are needed


def test_a_closed_update_is_taken_up_by_the_same_server():
    async def main():
        async with Bench() as bench:
            state = MemoryStateStore()
            running = bench.begin(plan_of("pull"), state=state)
            await bench.blocks_served(5)
            running.close()
            assert not running.is_running
            await asyncio.sleep(1)
            resumed = bench.updater.resume("device", MemoryPackageSource(PACKAGE), state)
            return await resumed.outcome(), bench.blocks

    outcome, blocks = run(main())
    assert isinstance(outcome, Succeeded)
    assert len({each.token for each in blocks}) == 1


def test_closing_leaves_the_package_for_those_who_resume_and_for_no_others():
    async def main():
        codes = []
        for state in (MemoryStateStore(), None):
            async with Bench() as bench:
                running = bench.begin(plan_of("pull"), state=state)
                await bench.blocks_served(1)
                running.close()
                fetched = len(bench.blocks)
                await asyncio.sleep(5)
                codes.append(len(bench.blocks) > fetched)
        return codes

    assert run(main()) == [True, False]


def test_an_update_that_had_ended_has_its_outcome_at_once():
    async def main():
        async with Bench() as bench:
            state = MemoryStateStore()
            first = await bench.begin(plan_of("push"), state=state).outcome()
            again = bench.updater.resume("device", MemoryPackageSource(PACKAGE), state)
            assert not again.is_running
            assert await again.outcome() == first
            assert bench.updater.running("device") is None
            return first

    assert isinstance(run(main()), Succeeded)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (None, StorageError),
        (b"", SnapshotError),
        (b"{", SnapshotError),
        (b"[" * 100_000, SnapshotError),
        (b"null", SnapshotError),
        (b'{"schema": 2}', SnapshotError),
        (b'{"schema": 2, "update": {}, "digests": [""], "token": null}', SnapshotError),
        (b'{"schema": 2, "update": {}, "digests": [""], "token": 5}', SnapshotError),
        (b"\xff\xfe", SnapshotError),
    ],
)
def test_what_cannot_be_resumed(data, error):
    async def main():
        async with Bench(device=False) as bench:
            with pytest.raises(error):
                bench.updater.resume("device", MemoryPackageSource(PACKAGE), MemoryStateStore(data))

    run(main())


def test_another_package_is_never_sent_in_place_of_the_first():
    async def main():
        async with Bench(device=False) as bench:
            state = MemoryStateStore()
            bench.begin(plan_of(), state=state).close()
            other = bytearray(PACKAGE)
            other[-1] ^= 1
            with pytest.raises(UsageError, match="another package"):
                bench.updater.resume("device", MemoryPackageSource(bytes(other)), state)
            stored = json.loads(state.load())
            assert [len(each) for each in stored["digests"]] == [64]

    run(main())


def test_progress_alone_is_not_stored():
    async def main():
        async with Bench() as bench:
            state, big = Store(), package_of(100_000, "1.1.0")
            await bench.begin(plan_of("push", big), package=big, state=state).outcome()
            progress = [note for note in bench.notes if isinstance(note, Progressed)]
            return state.saves, len(progress)

    saves, progress = run(main())
    assert progress > 20
    assert saves < 20


def test_limits_of_the_plan_end_a_wait():
    limits = UpdateLimits(total_s=50.0)
    outcome, _ = update(plan_of(Method.PUSH, limits=limits), device=False)
    assert isinstance(outcome, TimedOut)
    assert outcome.diagnosis.code == "total.limit"


@pytest.mark.parametrize("seed", range(4))
def test_restarts_at_any_moment(seed):
    rng = random.Random(seed)

    async def main():
        async with Bench(model=DeviceModel(lifetime_s=60)) as bench:
            state = MemoryStateStore()
            source = MemoryPackageSource(PACKAGE)
            running = bench.begin(plan_of(rng.choice(["push", "pull"])), state=state)
            for _ in range(4):
                done, _ = await asyncio.wait([asyncio.ensure_future(running.outcome())], timeout=rng.uniform(0.05, 6.0))
                if done:
                    break
                state = MemoryStateStore(state.load())
                await bench.server.stop()
                running.close()
                await asyncio.sleep(rng.uniform(0.0, 5.0))
                await bench.start()
                running = bench.updater.resume("device", source, state)
            outcome = await running.outcome()
            return outcome, bench.device.image, bench.device.boots

    outcome, image, boots = run(main())
    assert isinstance(outcome, Succeeded)
    assert image == PACKAGE
    assert boots == 2


# -- settings of the plan ---------------------------------------------------------------------------------------


def test_settings_are_written_before_the_update_and_stay():
    settings = DeviceSettings(severity=Severity.OPTIONAL, max_defer_s=60)
    outcome, bench = update(plan_of("push", settings=settings))
    assert outcome == Succeeded(version_before="1.0.0", version_after="1.1.0")
    assert [values(bench, each) for each in (11, 13)] == [2, 60]


def values(bench, resource_id):
    path = Path.of(5, 0, resource_id)
    return bench.device.firmware.handle(Read(path), 0.0).entries[0][1]


def test_with_automatic_upgrade_nothing_is_executed():
    model = DeviceModel(profile=FirmwareProfile(version="1.2"))
    outcome, bench = update(plan_of("pull", settings=DeviceSettings(auto_upgrade=True)), model=model)
    assert outcome == Succeeded(version_before="1.0.0", version_after="1.1.0")
    assert "execute" not in bench.steps()
    assert bench.device.image == PACKAGE
    assert bench.device.boots == 2


def test_automatic_upgrade_that_is_switched_off_by_the_plan_is_executed():
    model = DeviceModel(profile=FirmwareProfile(version="1.2"))

    async def main():
        async with Bench(model=model) as bench:
            await bench.device.registered()
            await bench.server.write("device", Path.of(5, 0, 14), value=True)
            plan = plan_of("pull", settings=DeviceSettings(auto_upgrade=False))
            return await bench.begin(plan).outcome(), bench.steps()

    outcome, steps = run(main())
    assert isinstance(outcome, Succeeded)
    assert steps.count("execute") == 1
    assert steps.index("configure") < steps.index("write-uri")


def test_settings_that_the_object_has_not_are_a_warning():
    model = DeviceModel(profile=FirmwareProfile(version="1.0"))
    outcome, _ = update(plan_of("push", settings=DeviceSettings(severity=Severity.OPTIONAL)), model=model)
    assert isinstance(outcome, Succeeded)
    assert [each.code for each in outcome.warnings] == ["prepare.settings-differ"]


def test_settings_that_the_device_refuses_are_a_warning():
    async def main():
        async with Bench() as bench:
            await bench.device.registered()
            write = bench.server.write

            async def refusing(endpoint, path, value):
                if path.ids[2] == 11:
                    raise ResponseError("no", response_code=0x81)
                await write(endpoint, path, value)

            bench.server.write = refusing
            settings = DeviceSettings(severity=Severity.OPTIONAL, max_defer_s=60)
            outcome = await bench.begin(plan_of("push", settings=settings)).outcome()
            return outcome, values(bench, 13)

    outcome, period_s = run(main())
    assert isinstance(outcome, Succeeded)
    assert [each.code for each in outcome.warnings] == ["prepare.settings-differ"]
    assert period_s == 60


def test_a_deferral_is_bounded_by_what_the_device_may_take():
    async def main():
        async with Bench() as bench:
            await bench.device.registered()
            bench.device.firmware.defer_updates(defer=True)
            running = bench.begin(plan_of("push", settings=DeviceSettings(max_defer_s=20_000)))
            outcome = await running.outcome()
            return outcome, asyncio.get_running_loop().time(), bench

    outcome, seconds, bench = run(main())
    assert outcome == Succeeded(version_before="1.0.0", version_after="1.1.0")
    assert seconds > 20_000
    assert bench.device.boots == 2


def test_a_late_result_that_cannot_be_stored_is_shown_and_ends_the_listening(faults):
    class Failing(MemoryStateStore):
        broken = False

        def save(self, data):
            if self.broken:
                raise StorageError("worn out")
            super().save(data)

    async def main():
        async with Bench(model=DeviceModel(boot_s=500.0)) as bench:
            state = Failing()
            running = bench.begin(plan_of("push", limits=UpdateLimits(reboot_s=20.0)), state=state)
            assert isinstance(await running.outcome(), TimedOut)
            state.broken = True
            while running.is_listening:  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(1.0)
            return asyncio.get_running_loop().time()

    assert run(main()) < 1000
    assert len(faults) == 1
