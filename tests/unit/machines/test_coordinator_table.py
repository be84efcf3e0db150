"""The table of a component: what it adds to Object 5, transcribed by hand from SPEC 4.1-4.3 in plain integers."""

import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines import component_events as cv
from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines.component_changes import COMPONENT_CHANGES
from lwm2m_fota.machines.component_policies import DEFAULT_ADVANCED_POLICIES, AdvancedPolicies, DependencyFailureTarget
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec, at_least
from lwm2m_fota.machines.component_rows import COMPONENT_READINGS, COMPONENT_RESULTS, COMPONENT_ROWS
from lwm2m_fota.machines.coordinator_gates import GATES
from lwm2m_fota.machines.effects import Do
from lwm2m_fota.machines.events import EventKind
from lwm2m_fota.machines.firmware import step
from lwm2m_fota.machines.policies import DEFAULT_POLICIES, ClocklessDeferral, FirmwarePolicies
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.rows import ROWS
from lwm2m_fota.machines.state import Deferral, FirmwareMachine, Settings
from lwm2m_fota.machines.table import table_for
from lwm2m_fota.model.enums import DeliveryMethod, Severity, State, UpdateResult

COMPONENT = FirmwareProfile(component=DEFAULT_ADVANCED_POLICIES)
TO_IDLE = FirmwareProfile(component=AdvancedPolicies(dependency_failure_target=DependencyFailureTarget.IDLE))
WALL = 5000.0


def machine(state, result, delivery=None, *, received=False, **more):
    more.setdefault("settings", Settings(Severity.MANDATORY, 60))
    return FirmwareMachine(
        State(state), UpdateResult(result), delivery, received, transfer=7, attempt=3, last_change=1.0, **more
    )


SITUATIONS = {
    "idle": machine(0, 12),
    "push": machine(1, 0, "push"),
    "push complete": machine(1, 0, "push", received=True),
    "downloaded": machine(2, 0, "push", received=True),
    "shared": machine(2, 13, "sibling", received=True, package_version="2"),
    "deferred": machine(2, 11, "push", received=True, deferral=Deferral(4000.0, 5000.0)),
    "updating": machine(3, 0, "sibling", received=True),
}
EVENTS = {
    "shared": cv.PackageShared("name", "1.2"),
    "busy": cv.SiblingsBusy(7),
    "busy, late": cv.SiblingsBusy(6),
    "update": cv.UpdateResolved(4),
    "update, defer": cv.UpdateResolved(4, defer=True),
    "update, conflicts": cv.UpdateResolved(4, conflicts=True, defer=True),
    "joined": cv.BatchJoined(4),
    "unsatisfied": cv.BatchUnsatisfied(attempt=3),
    "unsatisfied, lost": cv.BatchUnsatisfied(image_kept=False),
    "unsatisfied, late": cv.BatchUnsatisfied(attempt=2),
    # what Object 5 has, and a component leaves to its coordinator
    "execute": ev.UpdateExecuted(),
    "agreed": ev.DeferralEnded(),
    "clock": ev.ClockRead(),
    # and what both have
    "cancel": ev.CancelExecuted(),
    "installed": ev.InstallSucceeded(3),
    "install failed": ev.InstallFailed(),
    "auto upgrade": ev.AutoUpgradeWritten(enabled=True),
}

UPDATES = {"update": (3, 0, 68), "update, defer": (2, 11, 68), "update, conflicts": (2, 13, 68), "joined": (3, 0, None)}
EXPECTED = {
    "idle": {"shared": (2, 0, None)},
    "push": {"cancel": (0, 10, 68)},
    "push complete": {"busy": (0, 12, 128), "cancel": (0, 10, 68)},
    "downloaded": {**UPDATES, "cancel": (0, 10, 68)},
    "shared": {**UPDATES, "cancel": (0, 10, 68)},
    "deferred": {**UPDATES, "cancel": (0, 10, 68)},
    "updating": {
        "unsatisfied": (2, 13, None),
        "unsatisfied, lost": (0, 13, None),
        "installed": (0, 1, None),
        "install failed": (2, 8, None),
    },
}
REQUESTS = {"update", "update, defer", "update, conflicts", "execute", "cancel", "auto upgrade"}


def take(situation, event, profile=COMPONENT):
    before = SITUATIONS[situation]
    taken = step(before, EVENTS[event], profile, WALL)
    code = None if taken.answer is None else int(taken.answer.code)
    return before, taken, (int(taken.machine.state), int(taken.machine.result), code)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_cell(situation, event):
    before, taken, got = take(situation, event)
    expected = EXPECTED[situation].get(event)
    if expected is None:
        assert (taken.machine is before, taken.effects, taken.accepted) == (True, (), False)
        assert got[2] == (133 if event in REQUESTS else None)
    else:
        assert got == expected
        assert taken.machine.deferral is None or got[:2] == (2, 11)
        assert taken.machine.last_change == (1.0 if before.state is taken.machine.state else WALL)


@pytest.mark.parametrize(("situation", "event"), [("downloaded", "update, conflicts"), ("updating", "unsatisfied")])
def test_dependency_failure_to_idle(situation, event):
    _, taken, got = take(situation, event, TO_IDLE)
    assert got[:2] == (0, 13)
    assert taken.machine.delivery is None


def test_deferral_without_a_clock():
    waits = FirmwareProfile(
        component=DEFAULT_ADVANCED_POLICIES,
        policies=FirmwarePolicies(clockless_deferral=ClocklessDeferral.WAIT_FOR_USER),
    )
    taken = step(SITUATIONS["downloaded"], EVENTS["update, defer"], waits, None)
    assert (int(taken.machine.result), taken.machine.deferral) == (11, None)


def test_package_that_a_sibling_brought():
    _, taken, _ = take("idle", "shared")
    after = taken.machine
    assert (after.delivery, after.received, after.uri) == ("sibling", True, "")
    assert (after.package_name, after.package_version, after.transfer) == ("name", "1.2", 7)


@pytest.mark.parametrize("event", ["update", "joined"])
def test_attempt_is_that_of_the_batch(event):
    assert take("shared", event)[1].machine.attempt == 4


def test_rows_are_those_of_object_5_but_its_installations():
    own = table_for("1.1", DeliveryMethod.BOTH, DEFAULT_POLICIES, DEFAULT_ADVANCED_POLICIES).rows
    plain = table_for("1.1", DeliveryMethod.BOTH, DEFAULT_POLICIES).rows
    assert plain.keys() - own.keys() == {
        (State.DOWNLOADED, EventKind.UPDATE_EXECUTED),
        (State.DOWNLOADED, EventKind.DEFERRAL_ENDED),
        (State.DOWNLOADED, EventKind.DEFERRAL_EXPIRED),
    }
    assert {cell: row for cell, row in own.items() if row.object_id is None} == {
        cell: row for cell, row in plain.items() if row.object_id is None
    }
    assert (len(plain), len(own)) == (52, 56)


def test_rows_of_each_object_are_marked():
    assert {row.object_id for row in COMPONENT_ROWS} == {33629}
    assert {row.object_id for row in ROWS} == {None, 5}


def test_words_are_all_used():
    assert {reading.kind for readings in COMPONENT_READINGS.values() for reading in readings} >= set(cv.ComponentKind)
    assert {row.kind for row in COMPONENT_ROWS} == set(cv.ComponentKind)
    assert (
        set(COMPONENT_CHANGES)
        == set(cv.ComponentChange)
        == {row.change for row in COMPONENT_ROWS if isinstance(row.change, cv.ComponentChange)}
    )
    assert all(readings[-1].guard is None for readings in COMPONENT_READINGS.values())
    assert not set(map(str, cv.ComponentKind)) & set(map(str, EventKind))


def test_rows_keep_the_law():
    for row in COMPONENT_ROWS:
        assert row.result in COMPONENT_RESULTS[row.target], row
        assert row.effects[0] is Do.PERSIST, row
        assert Do.BEGIN_INSTALL not in row.effects, row
        assert row.source
    assert all(gate.source for gate in GATES)


def test_visible_results():
    assert [sorted(map(int, COMPONENT_RESULTS[state])) for state in State] == [
        list(range(14)),
        [0],
        [0, 8, 11, 13],
        [0],
    ]


# ---- profiles ------------------------------------------------------------------------------------------------------


def test_profile_of_a_component():
    profile = AdvancedProfile(components=(ComponentSpec(0, "app"), ComponentSpec(4, "modem")))
    assert profile.instances == (0, 4)
    assert (profile.instance_of("modem"), profile.instance_of("radio")) == (4, None)
    assert profile.firmware.component is profile.advanced
    assert hash(profile) == hash(AdvancedProfile(components=profile.components))


@pytest.mark.parametrize(
    "components",
    [
        (),
        tuple(ComponentSpec(each, str(each)) for each in range(256)),
        (ComponentSpec(1, "a"), ComponentSpec(0, "b")),
        (ComponentSpec(0, "a"), ComponentSpec(0, "b")),
        (ComponentSpec(-1, "a"),),
        (ComponentSpec(65535, "a"),),
        (ComponentSpec(0, "a"), ComponentSpec(1, "a")),
        (ComponentSpec(0, ""),),
        (ComponentSpec(0, "é" * 128),),
    ],
)
def test_profile_that_cannot_be(components):
    with pytest.raises(UsageError):
        AdvancedProfile(components=components)


@pytest.mark.parametrize("version", ["1.0", "1.2"])
def test_component_has_the_rows_of_1_1(version):
    with pytest.raises(UsageError, match=r"1\.1"):
        FirmwareProfile(version=version, component=DEFAULT_ADVANCED_POLICIES)


@pytest.mark.parametrize(
    ("version", "minimum", "does"),
    [
        ("1.10", "1.9", True),
        ("1.9", "1.10", False),
        ("1", "1.0.0", True),
        ("1.0.0", "1", True),
        ("0", "0.0", True),
        ("v2.1", "2.1", True),
        ("1.2.3+5", "1.2.3+9", True),
        ("2.0-rc1", "2.0", False),
        ("2.0-rc1", "2.0-rc1", True),
        ("3.0", "2.0-rc1", False),
        ("", "1", False),
        ("1", "", False),
        ("1." * 9 + "1", "1", False),
        ("٢", "1", False),
    ],
)
def test_at_least(version, minimum, does):
    assert at_least(version, minimum) is does
