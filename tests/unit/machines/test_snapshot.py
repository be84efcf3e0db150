"""Snapshots: golden files, round trips, and every way to be wrong."""

import json

import pytest

from lwm2m_fota.errors import SnapshotError
from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines.effects import BeginInstall
from lwm2m_fota.machines.events import Found, StagedImage
from lwm2m_fota.machines.firmware import handle_timeout, next_deadline, step
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.snapshot import SCHEMA, recover, restore, snapshot
from lwm2m_fota.machines.state import FirmwareMachine
from lwm2m_fota.model.enums import UpdateResult

V10, V11, V12 = (FirmwareProfile(version=each) for each in ("1.0", "1.1", "1.2"))
PULL = ev.UriWritten("coap://host.example/fw")
VERIFIED = ev.PackageVerified("gateway", "2.1.0")
SETTINGS = (ev.SeverityWritten(2), ev.MaxDeferWritten(3600), ev.AutoUpgradeWritten(enabled=False))
READY = (PULL, ev.PackageReceived(), VERIFIED)

STORIES = {
    "new": (),
    "pushing": (ev.PackageBegun(4096),),
    "push-complete": (ev.PackageBegun(4096), ev.PackageReceived()),
    "pulling": (PULL,),
    "lost": (PULL, ev.TransferFailed(UpdateResult.CONNECTION_LOST)),
    "downloaded": READY,
    "deferred": (*SETTINGS, *READY, ev.UpdateExecuted(defer=True)),
    "updating": (*READY, ev.UpdateExecuted()),
    "failed": (*READY, ev.UpdateExecuted(), ev.InstallFailed()),
    "updated": (*READY, ev.UpdateExecuted(), ev.InstallSucceeded()),
    "automatic": (ev.AutoUpgradeWritten(enabled=True), *READY),
}


def told(story):
    return lived(STORIES[story], V12)


def lived(events, profile):
    machine = FirmwareMachine()
    for number, event in enumerate(events):
        taken = step(machine, event, profile, 1_700_000_000.0 + number)
        assert taken.accepted
        machine = taken.machine
    return machine


@pytest.fixture
def golden(root):
    folder = root / "tests" / "golden" / "device_machine"
    return lambda name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("story", STORIES)
def test_snapshot_is_the_stored_one(story, golden):
    assert snapshot(told(story)) == golden(story)


@pytest.mark.parametrize("story", STORIES)
def test_stored_snapshot_is_restored(story, golden):
    assert restore(golden(story), V12) == told(story)


def test_every_golden_file_is_used(root):
    names = {path.stem for path in (root / "tests" / "golden" / "device_machine").iterdir()}
    assert names == set(STORIES)


def test_snapshot_of_schema_1():
    assert SCHEMA == 1
    assert snapshot(told("deferred")) == {
        "schema": 1,
        "state": 2,
        "result": 11,
        "delivery": "pull",
        "received": True,
        "uri": "coap://host.example/fw",
        "package_name": "gateway",
        "package_version": "2.1.0",
        "severity": 2,
        "max_defer_s": 3600,
        "auto_upgrade": False,
        "transfer": 1,
        "attempt": 0,
        "last_change": 1_700_000_005.0,
        "deferred_since": 1_700_000_006.0,
        "update_deadline": 1_700_003_606.0,
    }


# ---- another object version

SINCE = {
    "1.0": {
        name: STORIES[name]
        for name in (
            "new",
            "pushing",
            "push-complete",
            "pulling",
            "lost",
            "downloaded",
            "updating",
            "failed",
            "updated",
        )
    },
    "1.1": {
        "deferred": (ev.SeverityWritten(2), ev.MaxDeferWritten(3600), *READY, ev.UpdateExecuted(defer=True)),
        "cancelled": (PULL, ev.CancelExecuted()),
    },
    "1.2": {
        "deferred by itself": (
            *(ev.MaxDeferWritten(3600), ev.AutoUpgradeWritten(enabled=True), *READY[:2]),
            ev.PackageVerified("gateway", "2.1.0", defer=True),
        ),
        "automatic": STORIES["automatic"],
    },
}
# What 1.0 shows of what it does not know (SPEC 3); all else is as it was.
IN_1_0 = {"deferred": (2, 0), "deferred by itself": (2, 0), "cancelled": (0, 0)}
BETWEEN = [
    (events, before, after, IN_1_0.get(name) if after is V10 else None)
    for since, stories in SINCE.items()
    for name, events in stories.items()
    for before in (V10, V11, V12)
    for after in (V10, V11, V12)
    if before.version >= since
]


@pytest.mark.parametrize(("events", "before", "after", "shown"), BETWEEN)
def test_another_object_version_takes_over_what_it_knows(events, before, after, shown):
    machine = lived(events, before)
    restored = restore(snapshot(machine), after)
    if shown is None:
        assert restored == machine
    else:
        assert (int(restored.state), int(restored.result), restored.deferral) == (*shown, None)
        assert restored == machine._replace(result=restored.result, deferral=None)
        assert restore(snapshot(restored), V12) == restored


@pytest.mark.parametrize(("image", "shows"), [(StagedImage.SEALED, (2, 0)), (StagedImage.MISSING, (0, 5))])
def test_a_deferred_update_waits_for_an_execute_where_nothing_can_be_deferred(image, shows):
    restored = restore(snapshot(lived(SINCE["1.1"]["deferred"], V11)), V10)
    machine = recover(restored, Found(image=image), V10, 1_800_000_000.0).machine
    assert (int(machine.state), int(machine.result), next_deadline(machine)) == (*shows, None)
    assert handle_timeout(machine, V10, 1_800_000_000.0).machine == machine
    assert (step(machine, ev.UpdateExecuted(defer=True), V10).effects[-1:] == (BeginInstall(1),)) == (shows == (2, 0))


# ---- what is refused


def test_integral_times_are_taken():
    assert restore(snapshot(FirmwareMachine()) | {"last_change": 5}, V11).last_change == 5.0


@pytest.mark.parametrize("field", sorted(snapshot(FirmwareMachine())))
def test_missing_field(field):
    data = snapshot(FirmwareMachine())
    del data[field]
    with pytest.raises(SnapshotError):
        restore(data, V12)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"schema": 0},
        {"schema": "1"},
        {"schema": True},
        {"more": 1},
        {"state": 4},
        {"state": -1},
        {"state": True},
        {"state": 0.0},
        {"state": None},
        {"result": 12},
        {"result": -1},
        {"delivery": "both"},
        {"delivery": 0},
        {"received": 0},
        {"received": None},
        {"uri": None},
        {"uri": b""},
        {"uri": "a" * 256},
        {"package_name": "é" * 128},
        {"package_version": 1},
        {"severity": 3},
        {"severity": "1"},
        {"max_defer_s": -1},
        {"max_defer_s": 2**63},
        {"max_defer_s": 1.5},
        {"auto_upgrade": 1},
        {"transfer": -1},
        {"transfer": 2**63},
        {"attempt": None},
        {"last_change": "now"},
        {"last_change": True},
        {"last_change": float("nan")},
        {"last_change": float("inf")},
        {"last_change": 10**400},
    ],
)
def test_wrong_value(change):
    with pytest.raises(SnapshotError):
        restore(snapshot(FirmwareMachine()) | change, V12)


@pytest.mark.parametrize(
    ("story", "change", "named"),
    [
        ("new", {"result": 11, "state": 1, "delivery": "push"}, "state and result"),
        ("new", {"result": 8, "state": 1, "delivery": "push"}, "state and result"),
        ("downloaded", {"result": 1}, "state and result"),
        ("updating", {"result": 8}, "state and result"),
        ("new", {"delivery": "push"}, "delivery"),
        ("downloaded", {"delivery": None, "uri": ""}, "delivery"),
        ("new", {"received": True}, "received"),
        ("downloaded", {"received": False}, "received"),
        ("updating", {"received": False}, "received"),
        ("pushing", {"uri": "coap://h/"}, "uri"),
        ("pulling", {"uri": ""}, "uri"),
        ("new", {"package_name": "n"}, "package name"),
        ("pulling", {"package_version": "1"}, "package name"),
        ("downloaded", {"deferred_since": 1.0, "update_deadline": 2.0}, "deferral"),
        ("updating", {"deferred_since": 1.0, "update_deadline": 2.0}, "deferral"),
        ("deferred", {"deferred_since": None}, "ends before"),
        ("deferred", {"update_deadline": None}, "ends before"),
        ("deferred", {"update_deadline": 1.0}, "ends before"),
    ],
)
def test_parts_that_do_not_fit(story, change, named):
    with pytest.raises(SnapshotError, match=named):
        restore(snapshot(told(story)) | change, V12)


def test_clockless_deferral_is_restored():
    data = snapshot(told("deferred")) | {"deferred_since": None, "update_deadline": None}
    assert restore(data, V12).is_deferred
