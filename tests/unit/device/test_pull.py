"""One pull: what it fetches and stores, how it retries, and how each thing that breaks ends it."""

import asyncio

import pytest

from lwm2m_fota.device.pull import Pull
from lwm2m_fota.device.staging import Staging
from lwm2m_fota.errors import (
    IntegrityError,
    InvalidUriError,
    MissingCredentialError,
    ResponseError,
    StorageError,
    StorageFullError,
    TransportError,
)
from lwm2m_fota.machines.download import Checkpoint, DownloadPolicy, Phase
from lwm2m_fota.sim.loop import run
from lwm2m_fota.storage.memory import MemoryImageStore


class Bench:
    """A pull with its stage; hears it."""

    def __init__(self, kit, origin, *, policy=None, store=None, capacity_bytes=1 << 20):
        self.kit, self.origin = kit, origin
        self.faults = kit.Faults()
        self.store = store or kit.FaultyImages(MemoryImageStore(capacity_bytes), self.faults)
        self.staging = Staging(self.store, kit.TRUST)
        self.checkpoints = []
        self.ends = []
        self.keep_error = None
        self.pull = Pull(self.staging, (origin,), policy or kit.QUICK, self, lambda: 0.0)
        self.staging.open(None)

    def pull_checkpoint(self, checkpoint):
        if self.keep_error is not None and checkpoint is not None:
            raise self.keep_error
        self.checkpoints.append(checkpoint)

    def pull_finished(self, transfer):
        self.ends.append((transfer, "finished"))

    def pull_failed(self, transfer, result, diagnosis):
        self.ends.append((transfer, int(result), diagnosis))

    def start(self, transfer=1, checkpoint=None, uri=None):
        self.pull.start(uri or self.kit.URI, transfer, checkpoint)

    async def end(self, limit_s=3000.0):
        limit = self.kit.now() + limit_s
        while not self.ends:
            assert self.kit.now() < limit, self.pull.machine
            await asyncio.sleep(0.5)
        await asyncio.sleep(5000.0)  # nothing more comes
        assert len(self.ends) == 1
        return self.ends[0]


def in_virtual_time(main):
    def test(kit, quiet):
        async def whole():
            seen = quiet()
            await main(kit, seen)
            assert seen == []

        run(whole())

    test.__name__ = main.__name__
    return test


@in_virtual_time
async def test_all_bytes_arrive_with_checkpoints_on_the_way(kit, seen):
    data = kit.signed()
    bench = Bench(kit, kit.Origin(data))
    bench.start(7)
    assert bench.pull.machine.phase is Phase.RESOLVING
    assert await bench.end() == (7, "finished")
    assert bench.staging.finish().size_bytes == len(data)
    assert bench.checkpoints[0] is None
    assert [each.offset for each in bench.checkpoints[1:]] == list(range(256, len(data), 512))
    assert {(each.uri, each.etag) for each in bench.checkpoints[1:]} == {(kit.URI, kit.ETAG)}


@in_virtual_time
async def test_a_lost_connection_is_taken_up_where_it_broke(kit, seen):
    data = kit.signed()
    origin = kit.Origin(data)
    origin.errors = [(1024, TransportError("gone")), (2048, TransportError("gone")), (3072, TransportError("gone"))]
    bench = Bench(kit, origin)
    bench.start()
    assert await bench.end() == (1, "finished")
    assert origin.offsets == [0, 1024, 2048, 3072]
    assert bench.staging.finish().size_bytes == len(data)


def test_why_a_fetch_has_to_be_repeated_is_told_each_time_and_not_when_none_follows(kit, caplog):
    async def main():
        origin = kit.Origin(kit.signed())
        origin.resolutions = [TransportError("certificate verify failed")]
        origin.errors = [
            (1024, ResponseError("GET coap://origin", response_code=0xA3)),
            *[(1024, TransportError("gone"))] * 9,
        ]
        bench = Bench(kit, origin)
        bench.start()
        return await bench.end()

    assert run(main())[1] == 4
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert lines[0].startswith("a fetch of the package broke off: certificate verify failed; the next one begins in ")
    assert "GET coap://origin" in lines[1]
    assert lines[2:] == [
        "a fetch of the package broke off: gone; the next one begins in 2 s"
    ]  # the last is no try more


@in_virtual_time
async def test_without_an_etag_a_retry_begins_at_the_first_byte(kit, seen):
    origin = kit.Origin(kit.signed(), etag=None)
    origin.errors = [(1024, TransportError("gone"))]
    bench = Bench(kit, origin)
    bench.start()
    assert await bench.end() == (1, "finished")
    assert origin.offsets == [0, 0]
    assert bench.checkpoints == [None]
    bench.staging.finish()


@in_virtual_time
async def test_an_origin_that_stays_away_is_a_lost_connection(kit, seen):
    origin = kit.Origin(kit.signed())
    origin.errors = [(1024, TransportError("gone")) for _ in range(9)]
    bench = Bench(kit, origin)
    bench.start()
    begin = kit.now()
    transfer, result, diagnosis = await bench.end()
    assert (transfer, result) == (1, 4)
    assert diagnosis == "pull.connection-lost: gone"
    assert origin.offsets == [0, 1024, 1024]  # three attempts, 1 s and 2 s apart
    assert kit.now() - begin < 5010


@in_virtual_time
async def test_an_origin_that_falls_silent_is_given_up(kit, seen):
    origin = kit.Origin(kit.signed())
    origin.stalls_at = 1024
    bench = Bench(kit, origin)
    bench.start()
    assert (await bench.end())[1:] == (4, "pull.no-progress")


REFUSALS = {
    "4.04": (ResponseError("GET", response_code=0x84), 7),
    "4.03": (ResponseError("GET", response_code=0x83), 7),
    "5.03 for good": (ResponseError("GET", response_code=0xA3), 4),
    "no address any more": (InvalidUriError("no such host"), 7),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_the_origin_answers_decides(kit, case):
    async def main():
        error, result = REFUSALS[case]
        origin = kit.Origin(kit.signed())
        origin.errors = [(0, error)] * 9
        bench = Bench(kit, origin)
        bench.start()
        assert (await bench.end())[1] == result

    run(main())


@in_virtual_time
async def test_a_busy_origin_is_asked_again(kit, seen):
    origin = kit.Origin(kit.signed())
    origin.errors = [(0, ResponseError("GET", response_code=0xA3)), (512, ResponseError("GET", response_code=0xA3))]
    bench = Bench(kit, origin)
    bench.start()
    assert await bench.end() == (1, "finished")


@in_virtual_time
async def test_an_unknown_host_is_result_7_after_all_attempts(kit, seen):
    origin = kit.Origin(kit.signed())
    origin.resolutions = [InvalidUriError("no such host") for _ in range(3)]
    bench = Bench(kit, origin)
    bench.start()
    assert (await bench.end())[1:] == (7, "pull.host-unresolved: no such host")


@in_virtual_time
async def test_an_origin_without_a_credential_is_result_9_at_once_and_named(kit, seen):
    origin = kit.Origin(kit.signed())
    origin.resolutions = [MissingCredentialError("no credential for coaps://host:5684")]
    bench = Bench(kit, origin)
    bench.start()
    begin = kit.now()
    assert (await bench.end())[1:] == (9, "pull.credential-missing: no credential for coaps://host:5684")
    assert kit.now() - begin < 5001


@in_virtual_time
async def test_a_credential_that_goes_in_the_middle_is_result_9(kit, seen):
    origin = kit.Origin(kit.signed())
    origin.errors = [(1024, MissingCredentialError("no credential"))]
    bench = Bench(kit, origin)
    bench.start()
    assert (await bench.end())[1:] == (9, "pull.credential-missing: no credential")


@in_virtual_time
async def test_a_host_that_cannot_be_reached_is_result_4(kit, seen):
    origin = kit.Origin(kit.signed())
    origin.resolutions = [TransportError("the handshake failed") for _ in range(3)]
    bench = Bench(kit, origin)
    bench.start()
    assert (await bench.end())[1:] == (4, "pull.connection-lost: the handshake failed")


@in_virtual_time
async def test_a_name_service_that_comes_back_is_enough(kit, seen):
    origin = kit.Origin(kit.signed())
    origin.resolutions = [TransportError("try again"), TransportError("try again")]
    bench = Bench(kit, origin)
    bench.start()
    assert await bench.end() == (1, "finished")


@in_virtual_time
async def test_another_version_at_the_origin_begins_anew(kit, seen):
    data = kit.signed()
    origin = kit.Origin(data)
    bench = Bench(kit, origin)
    bench.start()
    await asyncio.sleep(0.05)
    origin.errors = [(0, TransportError("gone"))]
    await asyncio.sleep(0.02)
    origin.data, origin.etag = newer, _ = kit.signed(b"newer" * 700, "1.2.0"), b"\xee"
    assert await bench.end() == (1, "finished")
    assert bench.checkpoints.count(None) == 2
    assert bench.staging.finish().size_bytes == len(newer)


@in_virtual_time
async def test_a_block_of_another_version_begins_anew(kit, seen):
    data = kit.signed()
    origin = kit.Origin(data)
    bench = Bench(kit, origin)
    bench.start()
    await asyncio.sleep(0.055)
    origin.etag = b"\xee"
    assert await bench.end() == (1, "finished")
    assert origin.offsets == [0, 0]
    assert bench.staging.finish().size_bytes == len(data)


@in_virtual_time
async def test_a_package_that_changes_all_the_time_is_given_up(kit, seen):
    class Changing(kit.Origin):
        async def fetch(self, uri, sink, *, offset, etag):
            await asyncio.sleep(0.01)
            sink.block(0, self.data[:256], etag=b"a", size_bytes=None, last=False)
            await asyncio.sleep(0.01)
            sink.restarted("another version")

    bench = Bench(kit, Changing(kit.signed()))
    bench.start()
    assert (await bench.end())[1:] == (4, "pull.body-changes")


@in_virtual_time
async def test_an_announced_size_that_does_not_fit_ends_before_a_byte_is_stored(kit, seen):
    data = kit.signed()
    bench = Bench(kit, kit.Origin(data), capacity_bytes=1024)
    bench.start()
    assert (await bench.end())[1:] == (2, f"pull.too-large: {len(data)} bytes; at most 1024 are taken")
    assert bench.store.size_bytes == 0


@in_virtual_time
async def test_a_limit_of_the_policy_holds_too(kit, seen):
    policy = DownloadPolicy(max_package_bytes=1000)
    bench = Bench(kit, kit.Origin(kit.signed()), policy=policy)
    bench.start()
    assert (await bench.end())[1:] == (2, "pull.too-large")


@in_virtual_time
async def test_a_store_that_fills_up_is_result_2(kit, seen):
    bench = Bench(kit, kit.Origin(kit.signed(), tells_size=False), capacity_bytes=1024)
    bench.start()
    _, result, diagnosis = await bench.end()
    assert (result, diagnosis.partition(":")[0]) == (2, "pull.storage-full")
    assert "1024" in diagnosis


@in_virtual_time
async def test_bytes_that_no_format_knows_are_not_fetched_again(kit, seen):
    origin = kit.Origin(b"\x7fELF" + bytes(3000))
    bench = Bench(kit, origin)
    bench.start()
    _, result, diagnosis = await bench.end()
    assert (result, diagnosis.partition(":")[0]) == (6, "pull.package-refused")
    assert origin.offsets == [0]


@pytest.mark.parametrize("where", ["sync", "keeping"])
def test_a_checkpoint_that_cannot_be_made_is_result_2(kit, where):
    async def main():
        bench = Bench(kit, kit.Origin(kit.signed()))
        bench.start()
        if where == "keeping":
            bench.keep_error = StorageFullError("no room for the state")
        else:
            bench.faults.mode = "broken"
            bench.store.sync = lambda: bench.faults.run("sync", lambda: 1 / 0)
            await asyncio.sleep(0)
            bench.faults.fail_at = bench.faults.calls + 3
        _, result, diagnosis = await bench.end()
        assert (result, diagnosis.partition(":")[0]) == (2, "pull.storage-full")
        assert bench.pull.machine.phase is Phase.FAILED

    run(main())


@in_virtual_time
async def test_a_stage_that_fails_at_a_retry_ends_the_pull(kit, seen):
    """The retry is a timer's: nobody else would hear of the error."""
    origin = kit.Origin(kit.signed(), etag=None)
    origin.errors = [(1024, TransportError("gone"))]
    bench = Bench(kit, origin)
    bench.start()
    await asyncio.sleep(0.5)
    bench.faults.fail_at = bench.faults.calls + 1
    assert (await bench.end())[1] == 2
    assert bench.faults.fired == "truncate"


@in_virtual_time
async def test_a_stage_that_turns_out_to_be_worthless_at_a_retry_ends_the_pull(kit, seen):
    origin = kit.Origin(kit.signed())
    origin.errors = [(1024, TransportError("gone"))]
    bench = Bench(kit, origin)
    bench.start()
    await asyncio.sleep(0.5)

    def refuse(offset):
        raise IntegrityError("rotten")

    bench.staging.rewind = refuse
    assert (await bench.end())[1:] == (5, "pull.package-refused: rotten")


# ---- fetchers at fault


@in_virtual_time
async def test_a_fetch_that_ends_early_is_a_lost_connection(kit, seen):
    class Short(kit.Origin):
        async def fetch(self, uri, sink, *, offset, etag):
            self.offsets.append(offset)
            if len(self.offsets) == 1:
                sink.block(0, self.data[:256], etag=self.etag, size_bytes=None, last=False)
                return
            await super().fetch(uri, sink, offset=offset, etag=etag)

    origin = Short(kit.signed())
    bench = Bench(kit, origin)
    bench.start()
    assert await bench.end() == (1, "finished")
    assert origin.offsets == [0, 256, 256]


@pytest.mark.parametrize("where", ["resolve", "fetch"])
def test_a_fault_of_a_fetcher_is_shown_and_the_pull_goes_on(kit, quiet, where):
    async def main():
        seen = quiet()
        origin = kit.Origin(kit.signed())
        if where == "resolve":
            origin.resolutions = [OSError("broken pipe")]
        else:
            origin.errors = [(512, OSError())]
        bench = Bench(kit, origin)
        bench.start()
        assert await bench.end() == (1, "finished")
        assert [type(error) for error in seen] == [OSError]

    run(main())


@in_virtual_time
async def test_bytes_out_of_order_are_asked_for_again(kit, seen):
    class Skipping(kit.Origin):
        async def fetch(self, uri, sink, *, offset, etag):
            if not self.offsets:
                self.offsets.append(offset)
                sink.block(0, self.data[:256], etag=self.etag, size_bytes=None, last=False)
                sink.block(512, self.data[512:768], etag=self.etag, size_bytes=None, last=False)
            await super().fetch(uri, sink, offset=offset, etag=etag)

    origin = Skipping(kit.signed())
    bench = Bench(kit, origin)
    bench.start()
    assert await bench.end() == (1, "finished")
    assert origin.offsets == [0, 256]
    bench.staging.finish()


@in_virtual_time
async def test_what_a_stopped_fetch_still_brings_is_not_taken(kit, seen):
    sinks = []

    class Kept(kit.Origin):
        async def fetch(self, uri, sink, *, offset, etag):
            sinks.append(sink)
            await super().fetch(uri, sink, offset=offset, etag=etag)

    origin = Kept(kit.signed())
    bench = Bench(kit, origin)
    bench.start(1)
    await asyncio.sleep(0.005)  # no block yet
    bench.staging.open(None)
    bench.start(2)
    for late in (
        lambda: sinks[0].block(0, b"x" * 256, etag=None, size_bytes=None, last=False),
        lambda: sinks[0].restarted("late"),
    ):
        with pytest.raises(Exception, match="stopped"):
            late()
    assert bench.staging.size_bytes == 0
    assert await bench.end() == (2, "finished")
    bench.staging.finish()


# ---- stopping


@in_virtual_time
async def test_a_cancelled_pull_says_nothing(kit, seen):
    for wait_s in (0.0, 0.05, 0.5):
        origin = kit.Origin(kit.signed())
        origin.errors = [(1024, TransportError("gone"))]
        bench = Bench(kit, origin)
        bench.start()
        await asyncio.sleep(wait_s)
        bench.pull.cancel()
        bench.pull.cancel()
        await asyncio.sleep(5000.0)
        assert bench.ends == []


@in_virtual_time
async def test_stop_leaves_nothing_behind(kit, seen):
    loop = asyncio.get_running_loop()
    for wait_s in (None, 0.0, 0.05, 0.5):
        origin = kit.Origin(kit.signed())
        origin.errors = [(1024, TransportError("gone"))]
        bench = Bench(kit, origin)
        if wait_s is not None:
            bench.start()
            await asyncio.sleep(wait_s)
        await bench.pull.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert [handle for handle in loop._scheduled if not handle.cancelled()] == []
        await bench.pull.stop()
    assert bench.ends == []


@in_virtual_time
async def test_checkpoints_that_fit_are_used(kit, seen):
    data = kit.signed()
    origin = kit.Origin(data)
    bench = Bench(kit, origin)
    bench.start()
    await asyncio.sleep(0.1)
    kept = bench.checkpoints[-1]
    await bench.pull.stop()
    store = bench.store
    again = Bench.__new__(Bench)
    again.__dict__.update(bench.__dict__)
    again.ends = []
    again.staging = Staging(store, kit.TRUST)
    again.pull = Pull(again.staging, (origin,), kit.QUICK, again, lambda: 0.0)
    again.start(2, kept)
    assert await again.end() == (2, "finished")
    assert origin.offsets == [0, kept.offset]
    again.staging.finish()


@in_virtual_time
async def test_a_stage_that_cannot_be_read_raises_to_the_caller(kit, seen):
    bench = Bench(kit, kit.Origin(kit.signed()))
    await asyncio.sleep(0)
    bench.staging.add(0, kit.signed()[:512])
    bench.faults.fail_at = bench.faults.calls + 1
    with pytest.raises(StorageError):
        bench.start(1, Checkpoint(kit.URI, kit.ETAG, 256, bytes(32)))
    assert bench.faults.fired == "truncate"


@in_virtual_time
async def test_a_scheme_that_no_fetcher_speaks_ends_at_once(kit, seen):
    bench = Bench(kit, kit.Origin(kit.signed()))
    bench.start(3, uri="http://host/x")
    assert bench.ends[0][:2] == (3, 9)
    with pytest.raises(Exception, match="http is not fetched here"):
        bench.pull._fetcher("http://host/x")
