"""Every cell of the pull, transcribed by hand from SPEC 3.1 (T7 to T13), 3.3 and 9.2 and from FIELD."""

import attrs
import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines.download import (
    Checkpoint,
    Diagnosis,
    DownloadMachine,
    DownloadPolicy,
    Phase,
    step,
)
from lwm2m_fota.machines.download_table import (
    PULL_READINGS,
    PULL_ROWS,
    PULL_TABLE,
    PullChange,
    PullDo,
    PullKind,
    PullRow,
)
from lwm2m_fota.machines.download_words import (
    BlockStored,
    BodyChanged,
    ConnectionLost,
    CredentialMissing,
    DownloadTimes,
    DropCheckpoint,
    Fail,
    Fetch,
    Finish,
    OutOfMemory,
    PeerRefused,
    ResolutionFailed,
    Resolve,
    Resolved,
    SaveCheckpoint,
    Started,
    StopFetch,
    Stopped,
    StorageFull,
    TimePassed,
    TooLarge,
    TruncateStage,
)
from lwm2m_fota.model.enums import UpdateResult

URI = "coap://Host.example:5683/fw"
COAP = frozenset({"coap"})
ETAG = b"\x01\x02"
SHA = bytes(32)
POLICY = DownloadPolicy(
    max_attempts_without_progress=3,
    retry_initial_s=2.0,
    retry_max_s=10.0,
    no_progress_limit_s=100.0,
    total_limit_s=500.0,
    checkpoint_bytes=1000,
    checkpoint_gap_s=5.0,
    max_restarts=1,
    max_package_bytes=10_000,
)


def at(phase, **more):
    more = {"uri": URI, "etag": ETAG, "offset": 500, "furthest": 700, "saved": 300} | more
    times = DownloadTimes(
        **{name: more.pop(name) for name in ("started", "progressed", "retry", "checkpointed") if name in more}
    )
    return DownloadMachine(phase=Phase(phase), times=times, **more)


NEW = {"offset": 0, "furthest": 0, "saved": 0, "etag": None}
NO_ETAG = {"etag": None, "saved": 0}
MACHINES = {
    "idle": DownloadMachine(),
    "resolving": at("resolving"),
    "resolving, no etag": at("resolving", **NO_ETAG),
    "resolving, last": at("resolving", attempts=2),
    "resolving, last, no etag": at("resolving", attempts=2, **NO_ETAG),
    "resolving anew, last": at("resolving", attempts=2, **NEW),
    "fetching": at("fetching"),
    "fetching, no etag": at("fetching", attempts=1, **NO_ETAG),
    "fetching, last": at("fetching", attempts=2, restarts=1),
    "fetching, last, no etag": at("fetching", attempts=2, restarts=1, **NO_ETAG),
    "fetching anew": at("fetching", **NEW),
    "fetching anew, last": at("fetching", attempts=2, restarts=1, **NEW),
    "waiting": at("waiting", attempts=1, retry=50.0),
    "waiting, no etag": at("waiting", attempts=1, retry=50.0, **NO_ETAG),
    "waiting, not due": at("waiting", attempts=1, retry=50.5),
    "resolving, stalled": at("resolving", progressed=-50.0),
    "stalled": at("fetching", progressed=-50.0),
    "stalled, no etag": at("fetching", progressed=-50.0, **NO_ETAG),
    "resolving, stalled, no etag": at("resolving", progressed=-50.0, **NO_ETAG),
    "waiting, stalled": at("waiting", progressed=-50.0, retry=60.0),
    "waiting, stalled, no etag": at("waiting", progressed=-50.0, retry=60.0, **NO_ETAG),
    "resolving, endless": at("resolving", started=-450.0, progressed=-50.0),
    "resolving, endless, no etag": at("resolving", started=-450.0, **NO_ETAG),
    "fetching, endless": at("fetching", started=-450.0),
    "fetching, endless, no etag": at("fetching", started=-450.0, **NO_ETAG),
    "endless": at("waiting", started=-450.0, progressed=-50.0),
    "endless, no etag": at("waiting", started=-450.0, **NO_ETAG),
    "done": at("done"),
    "failed": at("failed"),
    "stopped": at("stopped"),
    # long idle in one of these phases means nothing
    "idle, stalled": at("idle", progressed=-50.0),
    "done, stalled": at("done", progressed=-50.0),
    "failed, endless": at("failed", started=-450.0, attempts=2, restarts=1),
    "stopped, endless": at("stopped", started=-450.0, attempts=2, restarts=1),
}
NOW = 50.0
EVENTS = {
    "start": Started(URI, COAP),
    "start, resume": Started(URI, COAP, Checkpoint(URI, ETAG, 2000, SHA)),
    "start, resume other": Started(URI, COAP, Checkpoint("coap://other/fw", ETAG, 2000, SHA)),
    "start, ftp": Started("ftp://host/fw", COAP, Checkpoint("ftp://host/fw", ETAG, 2000, SHA)),
    "start, no uri": Started("fw", COAP),
    "resolved": Resolved(),
    "unresolved": ResolutionFailed("no such name"),
    "no key": CredentialMissing("it needs a key"),
    "block": BlockStored(500, 300, ETAG),
    "block again": BlockStored(500, 100, ETAG),
    "block to save": BlockStored(500, 1000),
    "last block": BlockStored(500, 510, ETAG, 1010, last=True),
    "first block": BlockStored(0, 100, ETAG, 10_000),
    "other etag": BlockStored(500, 100, b"\x03"),
    "too large block": BlockStored(500, 9501),
    "too large size": BlockStored(500, 100, ETAG, 10_001),
    "4.00": PeerRefused(128),
    "4.01": PeerRefused(129),
    "4.03": PeerRefused(131),
    "4.04": PeerRefused(132),
    "4.08": PeerRefused(136),
    "4.12": PeerRefused(140),
    "4.29": PeerRefused(157),
    "5.00": PeerRefused(160),
    "5.01": PeerRefused(161),
    "5.02": PeerRefused(162),
    "5.03": PeerRefused(163),
    "5.04": PeerRefused(164),
    "5.05": PeerRefused(165),
    "lost": ConnectionLost("no answer"),
    "changed": BodyChanged(),
    "full": StorageFull(),
    "memory": OutOfMemory(),
    "large": TooLarge(),
    "stop": Stopped(),
    "clock": TimePassed(),
}

# A cell: the phase that follows; what else changes; what is to be done, in order, where `fail` has the Result and the
# diagnosis of the pull. What is not listed is refused.
FRESH = {"uri": URI, "started": 50.0, "progressed": 50.0}
BEGUN = ("resolving", FRESH, "drop truncate:0 resolve:host.example")
WAIT = ("waiting", {"attempts": 1, "saved": 500, "retry": 52.0}, f"stop save:{URI}@500")
WAIT_NO_ETAG = ("waiting", {"attempts": 2, "retry": 54.0}, "stop")
WAIT_NEW = ("waiting", {"attempts": 1, "retry": 52.0}, "stop")
OVER = ("fetching", {"etag": None, "offset": 0, "saved": 0, "restarts": 1}, f"stop drop truncate:0 fetch:{URI}@0")
AGAIN = ("resolving", {}, "truncate:500 resolve:host.example")


def fails(result, diagnosis):
    return ("failed", {}, f"stop fail:{result}:{diagnosis}")


ENDS = {
    "full": fails(2, "pull.storage-full"),
    "memory": fails(3, "pull.out-of-memory"),
    "large": fails(2, "pull.too-large"),
    "stop": ("stopped", {}, "stop"),
}
NO_PROGRESS, TOO_LONG = fails(4, "pull.no-progress"), fails(4, "pull.too-long")
LOST = fails(4, "pull.connection-lost: no answer")
CHANGES = fails(4, "pull.body-changes")
NO_KEY = {"no key": fails(9, "pull.credential-missing: it needs a key")}
GONE = fails(4, "pull.connection-lost: no such name")
RETRYABLE = {
    "4.29": "4.29 TOO_MANY_REQUESTS",
    "5.00": "5.00 INTERNAL_SERVER_ERROR",
    "5.02": "5.02 BAD_GATEWAY",
    "5.03": "5.03 SERVICE_UNAVAILABLE",
    "5.04": "5.04 GATEWAY_TIMEOUT",
}
REFUSED = {
    "4.00": fails(7, "pull.refused: 4.00 BAD_REQUEST"),
    "4.01": fails(7, "pull.refused: 4.01 UNAUTHORIZED"),
    "4.03": fails(7, "pull.refused: 4.03 FORBIDDEN"),
    "4.04": fails(7, "pull.refused: 4.04 NOT_FOUND"),
    "5.01": fails(7, "pull.refused: 5.01 NOT_IMPLEMENTED"),
    "5.05": fails(7, "pull.refused: 5.05 PROXYING_NOT_SUPPORTED"),
}


def of_resolving(wait):
    return {"resolved": ("fetching", {}, f"fetch:{URI}@500"), "unresolved": wait, "lost": wait, **NO_KEY, **ENDS}


def of_fetching(wait):
    """While bytes come that follow 500 others."""
    return {
        "block": ("fetching", {"offset": 800, "furthest": 800, "attempts": 0, "progressed": 50.0}, ""),
        "block again": ("fetching", {"offset": 600}, ""),
        "block to save": (
            "fetching",
            {"offset": 1500, "furthest": 1500, "saved": 1500, "attempts": 0, "progressed": 50.0, "checkpointed": 50.0},
            f"save:{URI}@1500",
        ),
        "last block": ("done", {"offset": 1010, "furthest": 1010, "attempts": 0, "progressed": 50.0}, "finish:1010"),
        "first block": wait,
        "other etag": OVER,
        "too large block": ENDS["large"],
        "too large size": ENDS["large"],
        **REFUSED,
        **dict.fromkeys(RETRYABLE, wait),
        "4.08": OVER,
        "4.12": OVER,
        "lost": wait,
        "unresolved": wait,
        **NO_KEY,
        "changed": OVER,
        **ENDS,
    }


def without_etag(wait):
    """No version is another one, and nothing is kept for later."""
    return {
        **of_fetching(wait),
        "block to save": ("fetching", {"offset": 1500, "furthest": 1500, "attempts": 0, "progressed": 50.0}, ""),
        "other etag": ("fetching", {"offset": 600}, ""),
        "4.08": wait,
        "4.12": fails(7, "pull.refused: 4.12 PRECONDITION_FAILED"),
        "changed": OVER,
    }


FETCHING = of_fetching(WAIT)
LAST = {  # nothing new came of the last attempt that was left, nor of the last version
    "first block": fails(4, "pull.connection-lost"),
    **{name: fails(4, f"pull.unavailable: {code}") for name, code in RETRYABLE.items()},
    "lost": LOST,
    "unresolved": GONE,
    "changed": CHANGES,
}
LAST_4_08 = fails(4, "pull.unavailable: 4.08 REQUEST_ENTITY_INCOMPLETE")
BEGUN_ANEW = fails(4, "pull.body-changes: 4.08 REQUEST_ENTITY_INCOMPLETE")
GONE_ANEW = fails(4, "pull.body-changes: 4.12 PRECONDITION_FAILED")
EXPECTED = {
    "idle": {
        "start": BEGUN,
        "start, resume": (
            "resolving",
            FRESH | {"etag": ETAG, "offset": 2000, "furthest": 2000, "saved": 2000},
            "truncate:2000 resolve:host.example",
        ),
        "start, resume other": BEGUN,
        "start, ftp": ("failed", FRESH | {"uri": "ftp://host/fw"}, "fail:9:pull.scheme-unsupported: ftp://host/fw"),
        "start, no uri": ("failed", FRESH | {"uri": "fw"}, "fail:7:pull.uri-invalid: fw"),
    },
    "resolving": of_resolving(WAIT),
    "resolving, no etag": of_resolving(WAIT_NEW),
    "resolving, last": {**of_resolving(None), "unresolved": GONE, "lost": LOST},
    "resolving, last, no etag": {**of_resolving(None), "unresolved": GONE, "lost": LOST},
    "resolving anew, last": {
        **of_resolving(None),
        "resolved": ("fetching", {}, f"fetch:{URI}@0"),
        "unresolved": fails(7, "pull.host-unresolved: no such name"),
        "lost": LOST,
    },
    "fetching": FETCHING,
    "fetching, no etag": without_etag(WAIT_NO_ETAG),
    "fetching, last": {**FETCHING, **LAST, "other etag": CHANGES, "4.08": BEGUN_ANEW, "4.12": GONE_ANEW},
    "fetching, last, no etag": {**without_etag(None), **LAST, "4.08": LAST_4_08},
    "fetching anew": {
        **dict.fromkeys(FETCHING, WAIT_NEW),
        **REFUSED,
        **NO_KEY,
        **ENDS,
        "first block": (
            "fetching",
            {"etag": ETAG, "offset": 100, "furthest": 100, "saved": 100, "progressed": 50.0, "checkpointed": 50.0},
            f"save:{URI}@100",
        ),
        "4.12": fails(7, "pull.refused: 4.12 PRECONDITION_FAILED"),
        "changed": OVER,
    },
    "fetching anew, last": {
        **dict.fromkeys(FETCHING, fails(4, "pull.connection-lost")),
        **{name: fails(4, f"pull.unavailable: {code}") for name, code in RETRYABLE.items()},
        **REFUSED,
        **NO_KEY,
        **ENDS,
        "first block": (
            "fetching",
            {
                "etag": ETAG,
                "offset": 100,
                "furthest": 100,
                "saved": 100,
                "attempts": 0,
                "progressed": 50.0,
                "checkpointed": 50.0,
            },
            f"save:{URI}@100",
        ),
        "4.08": LAST_4_08,
        "4.12": fails(7, "pull.refused: 4.12 PRECONDITION_FAILED"),
        "lost": LOST,
        "unresolved": fails(7, "pull.host-unresolved: no such name"),
        "changed": CHANGES,
    },
    "waiting": {"clock": AGAIN, **ENDS},
    "waiting, no etag": {"clock": ("resolving", {"offset": 0}, "truncate:0 resolve:host.example"), **ENDS},
    "waiting, not due": ENDS,
    "resolving, stalled": {**of_resolving(WAIT), "clock": NO_PROGRESS},
    "stalled": {**FETCHING, "clock": NO_PROGRESS},
    "stalled, no etag": {**without_etag(WAIT_NEW), "clock": NO_PROGRESS},
    "resolving, stalled, no etag": {**of_resolving(WAIT_NEW), "clock": NO_PROGRESS},
    "waiting, stalled": {"clock": NO_PROGRESS, **ENDS},
    "waiting, stalled, no etag": {"clock": NO_PROGRESS, **ENDS},
    "resolving, endless": {**of_resolving(WAIT), "clock": TOO_LONG},
    "resolving, endless, no etag": {**of_resolving(WAIT_NEW), "clock": TOO_LONG},
    "fetching, endless": {**FETCHING, "clock": TOO_LONG},
    "fetching, endless, no etag": {**without_etag(WAIT_NEW), "clock": TOO_LONG},
    "endless": {"clock": TOO_LONG, **ENDS},
    "endless, no etag": {"clock": TOO_LONG, **ENDS},
}
EXPECTED["idle, stalled"] = EXPECTED["idle"]


def followed(before, cell, event):
    """The pull after a cell."""
    phase, changes, _ = cell
    times = {name: changes[name] for name in ("started", "progressed", "retry", "checkpointed") if name in changes}
    others = {name: value for name, value in changes.items() if name not in times}
    start = DownloadMachine() if isinstance(event, Started) else before
    return attrs.evolve(start, phase=Phase(phase), times=attrs.evolve(start.times, **times), **others)


PLAIN = {Fetch: "fetch", SaveCheckpoint: "save", StopFetch: "stop", DropCheckpoint: "drop"}


def word(effect, after):
    match effect:
        case Resolve(host):
            return f"resolve:{host}"
        case Fetch(uri, offset, etag) | SaveCheckpoint(uri, etag, offset):
            assert etag == after.etag
            return f"{PLAIN[type(effect)]}:{uri}@{offset}"
        case TruncateStage(offset):
            return f"truncate:{offset}"
        case Finish(size_bytes):
            return f"finish:{size_bytes}"
        case Fail(result, diagnosis):
            return f"fail:{int(result)}:{diagnosis}"
        case _:
            return PLAIN[type(effect)]


@pytest.mark.parametrize("name", MACHINES)
def test_every_cell(name):
    before, wrong = MACHINES[name], {}
    for told, event in EVENTS.items():
        taken = step(before, event, POLICY, NOW)
        found = (taken.machine, " ".join(word(each, taken.machine) for each in taken.effects), taken.row is not None)
        cell = EXPECTED.get(name, {}).get(told)  # a pull that has ended takes nothing
        right = (before, "", False) if cell is None else (followed(before, cell, event), cell[2], True)
        if found != right or (cell is None and taken.machine is not before):
            wrong[told] = {"found": found, "right": right}
    assert wrong == {}


def test_no_row_never_fires():
    steps = (step(before, event, POLICY, NOW) for before in MACHINES.values() for event in EVENTS.values())
    assert {taken.row for taken in steps} - {None} == set(PULL_ROWS)


@pytest.mark.parametrize("phase", ["resolving", "fetching"])
def test_a_host_that_is_given_up_changes_nothing_else(phase):
    before = at(phase, attempts=2, furthest=0, **NO_ETAG)
    taken = step(before, EVENTS["unresolved"], POLICY, NOW)
    assert taken.machine == attrs.evolve(before, phase=Phase.FAILED)
    assert taken.effects[-1] == Fail(UpdateResult(7), "pull.host-unresolved: no such name")


def test_what_becomes_durable_is_saved_and_nothing_else():
    for row in PULL_ROWS:
        assert (PullDo.SAVE in row.effects) == (row.change in {PullChange.TAKE_AND_SAVE, PullChange.WAIT}), row


@pytest.mark.parametrize(
    ("effects", "result", "diagnosis"),
    [
        ((PullDo.FAIL,), None, Diagnosis.TOO_LONG),
        ((PullDo.FAIL,), UpdateResult.OUT_OF_MEMORY, None),
        ((PullDo.FAIL,), None, None),
        ((), UpdateResult.OUT_OF_MEMORY, Diagnosis.OUT_OF_MEMORY),
        ((), None, Diagnosis.OUT_OF_MEMORY),
    ],
)
def test_a_row_says_how_it_fails_or_does_not_fail(effects, result, diagnosis):
    with pytest.raises(UsageError, match="fails with a Result and a diagnosis"):
        PullRow(Phase.FETCHING, PullKind.BLOCK, Phase.FAILED, PullChange.KEEP, effects, result, diagnosis)


def test_every_reading_ends_without_a_guard():
    assert all(readings[-1].guard is None for readings in PULL_READINGS.values())
    assert {reading.kind for readings in PULL_READINGS.values() for reading in readings} == set(PullKind)


def test_no_two_rows_of_one_cell():
    assert len(PULL_TABLE) == len(PULL_ROWS)


def test_every_diagnosis_is_used():
    assert {row.diagnosis for row in PULL_ROWS} == {None, *Diagnosis}
