"""Snapshots of all components: golden files, round trips, restarts, and every way to be wrong."""

import json

import attrs
import pytest

from lwm2m_fota.errors import SnapshotError, UsageError
from lwm2m_fota.machines import effects as fx
from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines.component_policies import AdvancedPolicies, ConcurrentDownloads
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.machines.coordinator import step
from lwm2m_fota.machines.coordinator_events import (
    BatchFailed,
    BatchSucceeded,
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
from lwm2m_fota.machines.coordinator_state import ComponentGroup, Culprit, Requirement, Stage, new_group
from lwm2m_fota.machines.events import BootOutcome, StagedImage
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.snapshot import restore as restore_machine

SPECS = (ComponentSpec(0, "app"), ComponentSpec(1, "modem"), ComponentSpec(5, "radio"))
PROFILE = AdvancedProfile(components=SPECS)
ONE_BY_ONE = AdvancedProfile(
    components=SPECS, advanced=AdvancedPolicies(concurrent_downloads=ConcurrentDownloads.ONE_AT_A_TIME)
)
URI = ev.UriWritten("coap://host.example/fw")


def pushed(instance, checked):
    return (On(instance, ev.PackageBegun(9)), On(instance, ev.PackageReceived()), On(instance, checked))


BUNDLE = PackageChecked("bundle", "2.0", (PackageContent("app", "2.0"), PackageContent("modem", "2.1")))
NEEDY = PackageChecked("app", "2.0", requirements=(Requirement("radio", "3.0"),))
STORIES = {
    "new": (),
    "queue": (On(0, URI), On(5, URI), On(1, URI)),
    "shared": pushed(0, BUNDLE),
    "conflict": (On(1, URI), *pushed(0, BUNDLE)),
    "dependency": (*pushed(0, NEEDY), On(0, UpdateRequested((5,)))),
    "deferred": (*pushed(0, BUNDLE), On(1, ev.MaxDeferWritten(60)), On(1, UpdateRequested((0,), defer=True))),
    "updating": (*pushed(0, BUNDLE), *pushed(5, PackageChecked("r", "9")), On(0, UpdateRequested())),
    "updated": (*pushed(0, BUNDLE), On(0, UpdateRequested()), BatchSucceeded(1)),
    "failed": (*pushed(0, BUNDLE), On(0, UpdateRequested()), BatchFailed()),
}


def told(story):
    profile = ONE_BY_ONE if story == "queue" else PROFILE
    group = new_group(profile, ("1.0", "1.1", "1.2"))
    for number, event in enumerate(STORIES[story]):
        taken = step(group, event, profile, 1_700_000_000.0 + number)
        assert taken.accepted
        group = taken.group
    return group


@pytest.fixture
def golden(root):
    folder = root / "tests" / "golden" / "component_group"
    return lambda name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("story", STORIES)
def test_snapshot_is_the_stored_one(story, golden):
    assert snapshot(told(story)) == golden(story)


@pytest.mark.parametrize("story", STORIES)
def test_stored_snapshot_is_restored(story, golden):
    assert restore(golden(story), PROFILE) == told(story)


def test_every_golden_file_is_used(root):
    names = {path.stem for path in (root / "tests" / "golden" / "component_group").iterdir()}
    assert names == set(STORIES)


def test_snapshot_of_schema_1():
    plain = snapshot(told("dependency"))
    assert {key: plain[key] for key in ("schema", "object", "attempt", "waiting")} == {
        "schema": 1,
        "object": 33629,
        "attempt": 0,
        "waiting": [],
    }
    main = plain["components"][0]
    assert {key: main[key] for key in main if key != "machine"} == {
        "instance": 0,
        "version": "1.0",
        "stage": [0, 1],
        "requirements": [["radio", "3.0"]],
        "culprits": [[5, None]],
        "asked": None,
    }
    assert (main["machine"]["state"], main["machine"]["result"]) == (2, 13)


# ---- a device that was built anew ----------------------------------------------------------------------------------


def test_component_that_is_new_is_idle():
    grown = attrs.evolve(PROFILE, components=(*SPECS, ComponentSpec(7, "camera")))
    group = restore(snapshot(told("shared")), grown)
    assert group.components[:3] == told("shared").components
    assert [int(each.machine.state) for each in group.components] == [2, 2, 0, 0]


def test_component_that_is_gone_is_forgotten():
    shrunk = attrs.evolve(ONE_BY_ONE, components=SPECS[:2])
    assert restore(snapshot(told("queue")), shrunk).waiting == ((1, False),)
    group = restore(snapshot(told("dependency")), shrunk)
    assert group.components[0].culprits == (Culprit(0, Stage(0, 1)),), "somebody must be named"
    assert links(group, shrunk)[0].conflicting == (0,)
    alone = attrs.evolve(PROFILE, components=SPECS[1:])
    assert restore(snapshot(told("deferred")), alone).components[0].asked == ()
    assert restore(snapshot(restore(snapshot(told("conflict")), shrunk)), shrunk).component(0).culprits == (
        Culprit(1, Stage(1, 1)),
    )


# ---- restarts ------------------------------------------------------------------------------------------------------

OLD, NEW = ("1.0", "1.1", "1.2"), ("2.0", "2.1", "1.2")
SEALED = ((Stage(0, 1), StagedImage.SEALED), (Stage(5, 1), StagedImage.SEALED))


def shown(group):
    return [(int(each.machine.state), int(each.machine.result)) for each in group.components]


# (boot, attempt, versions found, sealed, States and Results, versions shown, batch that goes on)
OUTCOMES = [
    (BootOutcome.CONFIRMED, 1, NEW, True, [(0, 1), (0, 1), (2, 0)], NEW, ()),
    (BootOutcome.CONFIRMED, 7, OLD, True, [(2, 8), (2, 8), (2, 0)], OLD, ()),
    (BootOutcome.PENDING, 1, NEW, True, [(3, 0), (3, 0), (2, 0)], NEW, (0, 1)),
    (BootOutcome.REVERTED, 1, OLD, True, [(2, 8), (2, 8), (2, 0)], OLD, ()),
    (BootOutcome.REVERTED, 1, OLD, False, [(0, 8), (0, 8), (0, 5)], OLD, ()),
    (BootOutcome.NONE, 0, OLD, True, [(2, 8), (2, 8), (2, 0)], OLD, ()),
    (BootOutcome.REJECTED, 1, OLD, True, [(0, 5), (0, 5), (2, 0)], OLD, ()),
]


@pytest.mark.parametrize(("boot", "attempt", "found", "sealed", "states", "versions", "batch"), OUTCOMES)
def test_interrupted_batch_is_judged_as_a_whole(boot, attempt, found, sealed, states, versions, batch):
    group = restore(snapshot(told("updating")), PROFILE)
    taken = recover(
        group, GroupFound(versions=found, stages=SEALED if sealed else (), boot=boot, attempt=attempt), PROFILE, 5.0
    )
    assert shown(taken.group) == states
    assert tuple(each.version for each in taken.group.components) == versions
    assert taken.group.batch == batch
    assert taken.effects == () if taken.group == group else taken.effects[0] == fx.Persist()


def test_restart_sweeps_what_nobody_holds():
    group = told("shared")
    stages = ((Stage(0, 1), StagedImage.SEALED), (Stage(0, 9), StagedImage.PARTIAL), (Stage(9, 1), StagedImage.SEALED))
    taken = recover(group, GroupFound(versions=OLD, stages=stages), PROFILE, 5.0)
    assert taken.group == group
    assert taken.effects == (DropStage(Stage(0, 9)), DropStage(Stage(9, 1)))


def test_shared_package_that_is_lost_is_lost_to_all():
    taken = recover(told("shared"), GroupFound(versions=OLD), PROFILE, 5.0)
    assert shown(taken.group) == [(0, 5), (0, 5), (0, 0)]


def test_version_that_changed_by_itself_is_shown():
    taken = recover(new_group(PROFILE, OLD), GroupFound(versions=NEW), PROFILE)
    assert taken.effects == (fx.Persist(), For(0, fx.Notify((15,))), For(1, fx.Notify((15,))))


def test_queue_goes_on_in_its_order():
    group = told("queue")
    assert group.waiting == ((5, False), (1, False))
    stages = ((Stage(0, 1), StagedImage.PARTIAL), (Stage(5, 1), StagedImage.PARTIAL))
    taken = recover(group, GroupFound(versions=OLD, stages=stages), ONE_BY_ONE)
    pulls = [each for each in taken.effects if isinstance(each, For) and isinstance(each.effect, fx.StartPull)]
    assert [(each.instance, each.effect.resume) for each in pulls] == [(0, True)]
    assert taken.group.waiting == ((5, True), (1, False))
    taken = step(taken.group, On(0, ev.PackageReceived()), ONE_BY_ONE)
    assert For(5, fx.StartPull(URI.uri, 1, resume=True)) in taken.effects


def test_first_of_the_queue_goes_on_where_the_active_pull_was_complete():
    group = told("queue")
    stages = ((Stage(0, 1), StagedImage.SEALED), (Stage(5, 1), StagedImage.PARTIAL))
    taken = recover(group, GroupFound(versions=OLD, stages=stages), ONE_BY_ONE)
    pulls = [each for each in taken.effects if isinstance(each, For) and isinstance(each.effect, fx.StartPull)]
    assert [(each.instance, each.effect.resume) for each in pulls] == [(5, True)]
    assert taken.group.waiting == ((1, False),)


def test_queue_is_void_where_many_may_pull():
    taken = recover(told("queue"), GroupFound(versions=OLD), PROFILE)
    pulls = [each for each in taken.effects if isinstance(each, For) and isinstance(each.effect, fx.StartPull)]
    assert [each.instance for each in pulls] == [0, 1, 5]
    assert taken.group.waiting == ()


def test_queue_is_made_where_many_pulled():
    group = told("queue")._replace(waiting=())
    taken = recover(group, GroupFound(versions=OLD), ONE_BY_ONE)
    assert taken.group.waiting == ((1, False), (5, False))


def test_versions_found_for_each_component():
    with pytest.raises(UsageError):
        recover(told("new"), GroupFound(versions=("1",)), PROFILE)


# ---- what is no snapshot -------------------------------------------------------------------------------------------


def changed(story, path, value):
    plain = json.loads(json.dumps(snapshot(told(story))))
    at = plain
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return plain


MAIN = ("components", 0)


@pytest.mark.parametrize(
    ("story", "path", "value"),
    [
        ("new", ("schema",), 2),
        ("new", ("schema",), True),
        ("new", ("schema",), None),
        ("new", ("object",), 5),
        ("new", ("more",), 1),
        ("new", ("attempt",), -1),
        ("new", ("attempt",), "1"),
        ("new", ("waiting",), None),
        ("new", ("waiting",), [[0, True]]),
        ("new", ("waiting",), [[9, True]]),
        ("new", ("waiting",), [[0]]),
        ("queue", ("waiting",), [[0, 1]]),
        ("queue", ("waiting",), [0] * 4097),
        ("new", ("components",), {}),
        ("new", ("components",), [1]),
        ("new", (*MAIN, "more"), 1),
        ("new", (*MAIN, "machine"), None),
        ("new", (*MAIN, "machine"), {}),
        ("new", (*MAIN, "instance"), "0"),
        ("new", (*MAIN, "instance"), 1),
        ("new", (*MAIN, "instance"), 6),
        ("new", (*MAIN, "version"), None),
        ("new", (*MAIN, "stage"), [0, 1]),
        ("shared", (*MAIN, "stage"), None),
        ("shared", (*MAIN, "stage"), [0, 2]),
        ("shared", (*MAIN, "stage"), [0]),
        ("shared", (*MAIN, "stage"), [0, "1"]),
        ("shared", ("components", 1, "stage"), None),
        ("shared", ("components", 1, "stage"), [1, 1]),
        ("new", (*MAIN, "requirements"), [["a", "1"]]),
        ("shared", (*MAIN, "requirements"), [["a", 1]]),
        ("shared", (*MAIN, "requirements"), [["a"]]),
        ("shared", (*MAIN, "requirements"), ["ab"]),
        ("conflict", (*MAIN, "culprits"), []),
        ("shared", (*MAIN, "culprits"), [[1, None]]),
        ("conflict", (*MAIN, "culprits"), [[1, 1]]),
        ("conflict", (*MAIN, "culprits"), [["1", None]]),
        ("shared", (*MAIN, "asked"), []),
        ("deferred", ("components", 1, "asked"), ["0"]),
        ("deferred", ("components", 1, "asked"), 0),
        ("updating", ("attempt",), 0),
        ("updating", ("attempt",), 2),
        ("updated", ("attempt",), 0),
        ("shared", ("components", 1, "machine", "state"), 1),
        ("shared", ("components", 1, "machine", "uri"), "coap://h/"),
        ("shared", ("components", 1, "machine", "result"), 12),
    ],
)
def test_not_a_snapshot(story, path, value):
    with pytest.raises(SnapshotError):
        restore(changed(story, path, value), PROFILE)


def test_component_of_a_group_is_no_machine_of_object_5():
    plain = snapshot(told("shared"))["components"][1]["machine"]
    with pytest.raises(SnapshotError, match="sibling"):
        restore_machine(plain, FirmwareProfile())
    assert restore_machine(plain, PROFILE.firmware).delivery == "sibling"


def test_empty_group_is_restored():
    assert restore(snapshot(ComponentGroup(())), PROFILE) == new_group(PROFILE, ("", "", ""))
