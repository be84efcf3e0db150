"""The pull in stories: resuming, retrying and giving up."""

import pytest

from lwm2m_fota.errors import SnapshotError, UsageError
from lwm2m_fota.machines.download import (
    Checkpoint,
    DownloadMachine,
    DownloadPolicy,
    Phase,
    handle_timeout,
    next_deadline,
    step,
)
from lwm2m_fota.machines.download_words import (
    BlockStored,
    BodyChanged,
    ConnectionLost,
    DropCheckpoint,
    Fail,
    Fetch,
    Finish,
    PeerRefused,
    ResolutionFailed,
    Resolve,
    Resolved,
    SaveCheckpoint,
    Started,
    StopFetch,
    Stopped,
    TimePassed,
    TruncateStage,
)
from lwm2m_fota.model.enums import UpdateResult

URI = "coap://Host.example:5683/fw"
COAP = frozenset({"coap"})
ETAG = b"\x01\x02"
SHA = bytes(32)
RESUME = Started(URI, COAP, Checkpoint(URI, ETAG, 2000, SHA))
POLICY = DownloadPolicy(
    max_attempts_without_progress=3,
    retry_initial_s=2.0,
    retry_max_s=10.0,
    no_progress_limit_s=100.0,
    total_limit_s=500.0,
    checkpoint_bytes=1000,
    checkpoint_gap_s=2.0,
    max_restarts=1,
    max_package_bytes=10_000,
)


def run(machine, *timed, policy=POLICY):
    """The last step of several; `timed` holds pairs of time and event."""
    taken = None
    for now, event in timed:
        taken = step(machine, event, policy, now)
        assert taken.row is not None, event
        machine = taken.machine
    return taken


def fetching(policy=POLICY):
    return run(DownloadMachine(), (0.0, Started(URI, COAP)), (1.0, Resolved()), policy=policy).machine


def test_pull_from_start_to_end():
    begun = run(DownloadMachine(), (0.0, Started(URI, COAP)))
    assert begun.effects == (DropCheckpoint(), TruncateStage(0), Resolve("host.example"))
    resolved = run(begun.machine, (1.0, Resolved()))
    assert resolved.effects == (Fetch(URI, 0, None),)
    first = run(resolved.machine, (2.0, BlockStored(0, 600, ETAG)))
    assert first.effects == (SaveCheckpoint(URI, ETAG, 600),)
    assert first.machine.etag == ETAG
    second = run(first.machine, (3.0, BlockStored(600, 999, ETAG)))
    assert second.effects == ()
    third = run(second.machine, (4.0, BlockStored(1599, 1)))
    assert third.effects == (SaveCheckpoint(URI, ETAG, 1600),)
    fourth = run(third.machine, (5.0, BlockStored(1600, 999)))
    assert fourth.effects == ()
    assert run(fourth.machine, (6.0, BlockStored(2599, 1, last=True))).effects == (Finish(2600),)


def test_what_has_no_etag_is_no_checkpoint():
    assert run(fetching(), (2.0, BlockStored(0, 5000))).effects == ()


def test_empty_package():
    assert run(fetching(), (2.0, BlockStored(0, 0, last=True))).effects == (Finish(0),)


def test_pull_goes_on_from_its_checkpoint():
    taken = run(DownloadMachine(), (0.0, RESUME))
    assert taken.effects == (TruncateStage(2000), Resolve("host.example"))
    assert run(taken.machine, (1.0, Resolved())).effects == (Fetch(URI, 2000, ETAG),)
    assert taken.machine.saved == 2000


def test_checkpoint_of_another_uri_is_dropped():
    taken = run(DownloadMachine(), (0.0, Started(URI, COAP, Checkpoint("coap://other/fw", ETAG, 2000, SHA))))
    assert taken.effects == (DropCheckpoint(), TruncateStage(0), Resolve("host.example"))
    assert run(taken.machine, (1.0, Resolved())).effects == (Fetch(URI, 0, None),)


def test_checkpoint_of_another_version_is_dropped():
    resumed = run(DownloadMachine(), (0.0, RESUME), (1.0, Resolved())).machine
    changed = run(resumed, (2.0, BodyChanged()))
    assert changed.effects == (StopFetch(), DropCheckpoint(), TruncateStage(0), Fetch(URI, 0, None))
    assert (changed.machine.etag, changed.machine.saved) == (None, 0)
    assert run(changed.machine, (3.0, BlockStored(0, 100, b"\x09"))).machine.etag == b"\x09"


def test_interruption_saves_what_came_and_goes_on_there():
    machine = run(fetching(), (2.0, BlockStored(0, 600, ETAG)), (2.0, BlockStored(600, 600))).machine
    lost = run(machine, (3.0, ConnectionLost()))
    assert lost.effects == (StopFetch(), SaveCheckpoint(URI, ETAG, 1200))
    again = run(lost.machine, (5.0, TimePassed()))
    assert again.effects == (TruncateStage(1200), Resolve("host.example"))
    assert run(again.machine, (5.0, Resolved())).effects == (Fetch(URI, 1200, ETAG),)
    twice = run(again.machine, (6.0, ConnectionLost()))
    assert twice.effects == (StopFetch(),)


def test_without_an_etag_an_interrupted_pull_starts_at_0():
    machine = run(fetching(), (2.0, BlockStored(0, 5000))).machine
    lost = run(machine, (3.0, ConnectionLost()))
    assert lost.effects == (StopFetch(),)
    again = run(lost.machine, (5.0, TimePassed()))
    assert again.effects == (TruncateStage(0), Resolve("host.example"))
    assert run(again.machine, (5.0, Resolved())).effects == (Fetch(URI, 0, None),)


def test_etag_that_comes_late_or_is_missing_once_changes_nothing():
    late = run(fetching(), (2.0, BlockStored(0, 10)), (3.0, BlockStored(10, 10, ETAG))).machine
    assert late.etag is None
    missing = run(fetching(), (2.0, BlockStored(0, 10, ETAG)), (3.0, BlockStored(10, 10))).machine
    assert missing.etag == ETAG


def test_only_bytes_beyond_the_furthest_are_progress():
    """An origin without ETags that breaks off at the same byte each time is given up."""
    machine = fetching()
    now = 1.0
    for attempt in range(3):
        stored = run(machine, (now, BlockStored(0, 100))).machine
        assert stored.attempts == attempt
        lost = run(stored, (now, ConnectionLost("reset")))
        if attempt == 2:
            assert lost.effects == (StopFetch(), Fail(UpdateResult(4), "pull.connection-lost: reset"))
            break
        now = lost.machine.times.retry
        machine = run(lost.machine, (now, TimePassed()), (now, Resolved())).machine
    assert stored.times.progressed == 1.0


def test_progress_buys_new_attempts():
    machine = run(fetching(), (2.0, ConnectionLost()), (4.0, TimePassed()), (4.0, Resolved())).machine
    assert machine.attempts == 1
    assert run(machine, (60.0, BlockStored(0, 1, ETAG))).machine.attempts == 0
    assert next_deadline(run(machine, (60.0, BlockStored(0, 1))).machine, POLICY) == 160.0


def test_waits_double_up_to_the_longest():
    policy = DownloadPolicy(max_attempts_without_progress=99, retry_initial_s=2.0, retry_max_s=10.0)
    machine, waits = fetching(policy), []
    for _ in range(5):
        machine = run(machine, (0.0, ConnectionLost()), policy=policy).machine
        waits.append(machine.times.retry)
        machine = run(machine, (10.0, TimePassed()), (0.0, Resolved()), policy=policy).machine
    assert waits == [2.0, 4.0, 8.0, 10.0, 10.0]


def test_wait_after_very_many_attempts_is_still_a_number():
    policy = DownloadPolicy(max_attempts_without_progress=10**9)
    machine = DownloadMachine(phase=Phase.FETCHING, uri=URI, attempts=10**6)
    assert step(machine, ConnectionLost(), policy, 0.0).machine.times.retry == 300.0


@pytest.mark.parametrize(("asked", "wait"), [(None, 2.0), (0.5, 2.0), (7.0, 7.0), (86400.0, 10.0)])
def test_origin_may_ask_for_a_longer_wait_within_the_limit(asked, wait):
    assert run(fetching(), (0.0, PeerRefused(163, asked))).machine.times.retry == wait


def test_chance_spreads_retries():
    waits = [step(fetching(), ConnectionLost(), POLICY, 0.0, entropy).machine.times.retry for entropy in (0.0, 0.5)]
    assert waits == [2.0, 2.25]


@pytest.mark.parametrize("entropy", [-0.1, 1.0])
def test_entropy_has_a_range(entropy):
    with pytest.raises(UsageError, match="entropy"):
        step(fetching(), ConnectionLost(), POLICY, 0.0, entropy)


def test_stop():
    assert run(fetching(), (2.0, Stopped())).effects == (StopFetch(),)


def test_without_a_limit_any_size_is_left_to_the_store():
    policy = DownloadPolicy()
    assert run(fetching(policy), (2.0, BlockStored(0, 10, size_bytes=2**40)), policy=policy).effects == ()


# ---- time ------------------------------------------------------------------------------------------------------------


def test_deadlines():
    assert next_deadline(DownloadMachine(), POLICY) is None
    machine = fetching()
    assert next_deadline(machine, POLICY) == 100.0
    lost = run(machine, (30.0, ConnectionLost())).machine
    assert next_deadline(lost, POLICY) == 32.0
    assert not handle_timeout(lost, POLICY, 31.9).effects
    assert handle_timeout(lost, POLICY, 32.0).machine.phase is Phase.RESOLVING
    late = run(machine, (450.0, BlockStored(0, 1))).machine
    assert next_deadline(late, POLICY) == 500.0
    assert handle_timeout(late, POLICY, 500.0).effects == (StopFetch(), Fail(UpdateResult(4), "pull.too-long"))


def test_no_progress_limit_ends_a_pull_that_only_waits():
    patient = DownloadPolicy(max_attempts_without_progress=999, retry_max_s=10.0, no_progress_limit_s=100.0)
    machine = fetching(patient)
    while machine.phase is not Phase.FAILED:
        now = next_deadline(machine, patient)
        machine = handle_timeout(machine, patient, now).machine
        if machine.phase is Phase.RESOLVING:
            machine = step(machine, ResolutionFailed(), patient, now).machine
    assert now == 100.0


def test_total_limit_is_off_by_default():
    policy = DownloadPolicy()
    machine = run(fetching(policy), (1e6, BlockStored(0, 1)), policy=policy).machine
    assert next_deadline(machine, policy) == 1e6 + 1800


# ---- policy and checkpoint -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blocks", "saved"),
    [
        (((0.0, 500), (1.0, 500), (1.5, 500)), [500]),  # the first bytes, and then not enough of them
        (((0.0, 500), (1.0, 500), (1.9, 500), (2.0, 500)), [500, 2000]),  # enough, and then long enough
        (((0.0, 500), (9.0, 500), (9.1, 500), (9.2, 500), (11.0, 500), (11.1, 500)), [500, 1500, 3000]),
    ],
)
def test_checkpoints_are_apart_in_bytes_and_in_time(blocks, saved):
    machine, offset, offsets = run(DownloadMachine(), (0.0, Started(URI, COAP)), (0.0, Resolved())).machine, 0, []
    for now, length in blocks:
        taken = run(machine, (now, BlockStored(offset, length, ETAG)))
        machine, offset = taken.machine, offset + length
        offsets += [effect.offset for effect in taken.effects if isinstance(effect, SaveCheckpoint)]
    assert offsets == saved


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_attempts_without_progress": 0},
        {"retry_initial_s": 0.0},
        {"retry_max_s": -1.0},
        {"no_progress_limit_s": 0.0},
        {"total_limit_s": 0.0},
        {"checkpoint_bytes": 0},
        {"checkpoint_gap_s": -0.1},
        {"max_package_bytes": 0},
        {"retry_jitter": -0.1},
        {"max_restarts": -1},
    ],
)
def test_limits_are_positive(wrong):
    with pytest.raises(UsageError, match="limit"):
        DownloadPolicy(**wrong)


def test_checkpoint_as_plain_values():
    plain = {"uri": URI, "etag": "0102", "offset": 2000, "sha256": "00" * 32}
    assert Checkpoint(URI, ETAG, 2000, SHA).to_plain() == plain
    assert Checkpoint.from_plain(plain) == Checkpoint(URI, ETAG, 2000, SHA)


def test_checkpoint_with_the_run_of_its_store():
    kept = Checkpoint(URI, ETAG, 2000, SHA, "b-1")
    assert kept.to_plain() == Checkpoint(URI, ETAG, 2000, SHA).to_plain() | {"boot_id": "b-1"}
    assert Checkpoint.from_plain(kept.to_plain()) == kept


@pytest.mark.parametrize("wrong", [{"etag": b""}, {"etag": bytes(256)}, {"offset": -1}, {"sha256": bytes(31)}])
def test_checkpoint_without_etag_or_digest_is_none(wrong):
    with pytest.raises(UsageError, match="not a checkpoint"):
        Checkpoint(**({"uri": URI, "etag": ETAG, "offset": 0, "sha256": SHA} | wrong))


@pytest.mark.parametrize(
    "change",
    [
        {"etag": ""},
        {"etag": "0"},
        {"etag": "zz"},
        {"etag": None},
        {"offset": -1},
        {"offset": "1"},
        {"offset": 1.0},
        {"sha256": "00"},
        {"sha256": 0},
        {"uri": None},
        {"more": 1},
    ],
)
def test_damaged_checkpoint(change):
    with pytest.raises(SnapshotError, match="not a checkpoint"):
        Checkpoint.from_plain(Checkpoint(URI, ETAG, 2000, SHA).to_plain() | change)


@pytest.mark.parametrize("data", [None, 1, "x", [], {}, {"uri": URI}])
def test_what_is_no_checkpoint(data):
    with pytest.raises(SnapshotError, match="not a checkpoint"):
        Checkpoint.from_plain(data)
