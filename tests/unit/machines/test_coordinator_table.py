"""The table of a component: what it adds to Object 5, transcribed by hand from SPEC 4.1-4.3 in plain integers."""

import itertools

import attrs
import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines import component_events as cv
from lwm2m_fota.machines import effects as fx
from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines.component_changes import COMPONENT_CHANGES
from lwm2m_fota.machines.component_policies import DEFAULT_ADVANCED_POLICIES, AdvancedPolicies, DependencyFailureTarget
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec, at_least
from lwm2m_fota.machines.component_rows import COMPONENT_READINGS, COMPONENT_RESULTS, COMPONENT_ROWS
from lwm2m_fota.machines.coordinator_gates import GATES
from lwm2m_fota.machines.effects import Do
from lwm2m_fota.machines.events import EventKind
from lwm2m_fota.machines.firmware import step
from lwm2m_fota.machines.policies import DEFAULT_POLICIES, ClocklessDeferral, FailureTarget, FirmwarePolicies
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.rows import ROWS
from lwm2m_fota.machines.state import Deferral, FirmwareMachine, Settings
from lwm2m_fota.machines.table import table_for
from lwm2m_fota.model.enums import DeliveryMethod, Severity, State, UpdateResult

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
    "updating": machine(3, 0, "sibling", received=True, package_name="name", package_version="1.2"),
    # no store gives such machines back; what the table says of a cell holds for them too
    "odd idle": machine(0, 4, "push", received=True, package_name="old", deferral=Deferral(4000.0, 5000.5)),
    "odd push complete": machine(1, 8, "push", received=True, deferral=Deferral(4000.0, 5000.5)),
    "odd downloaded": machine(2, 8, "push", received=False, deferral=Deferral(4000.0, 5000.5)),
    "odd updating": machine(3, 8, "sibling", received=False, deferral=Deferral(4000.0, 5000.5)),
}
EVENTS = {
    "shared": cv.PackageShared("name", "1.2"),
    "busy": cv.SiblingsBusy(7),
    "busy, late": cv.SiblingsBusy(6),
    "update": cv.UpdateResolved(9),
    "update, defer": cv.UpdateResolved(9, defer=True),
    "update, conflicts": cv.UpdateResolved(9, conflicts=True, defer=True),
    "joined": cv.BatchJoined(9),
    "unsatisfied": cv.BatchUnsatisfied(attempt=3),
    "unsatisfied, of any": cv.BatchUnsatisfied(),
    "unsatisfied, lost": cv.BatchUnsatisfied(image_kept=False),
    "unsatisfied, late": cv.BatchUnsatisfied(attempt=2),
    # what Object 5 has, and a component leaves to its coordinator
    "execute": ev.UpdateExecuted(),
    "agreed": ev.DeferralEnded(),
    "clock": ev.ClockRead(),
    "clock, 600 s": ev.ClockRead(600.0),
    # and what both have
    "cancel": ev.CancelExecuted(),
    "installed": ev.InstallSucceeded(3),
    "install failed": ev.InstallFailed(),
    "auto upgrade": ev.AutoUpgradeWritten(enabled=True),
}

# (State, Result, answer; what else changes; what is to be done): answers are CoAP code bytes, 68 is 2.04, 128 is 4.00.
# `tell` stands for the notification of all that has changed. What is not listed is refused.
CLEARED = {"delivery": None, "received": False, "package_name": "", "package_version": "", "deferral": None}
SHOW, STOP, DISCARD = "save tell", "save stop discard tell", "save discard tell"
UPDATES = {
    "update": (3, 0, 68, {"attempt": 9}, SHOW),
    "update, defer": (2, 11, 68, {"deferral": Deferral(5000.0, 5060.0)}, SHOW),
    "update, conflicts": (2, 13, 68, {"deferral": None}, SHOW),
    "joined": (3, 0, None, {"attempt": 9}, SHOW),
}
GOES_ON_WAITING = {"update, defer": (2, 11, 68, {}, SHOW)}
CANCEL = {"cancel": (0, 10, 68, CLEARED, DISCARD)}
STOPS = {"cancel": (0, 10, 68, CLEARED, STOP)}
SHARED = {"delivery": "sibling", "received": True, "package_name": "name", "package_version": "1.2"}
EXPECTED = {
    "idle": {"shared": (2, 0, None, SHARED, SHOW)},
    "push": STOPS,
    "push complete": {"busy": (0, 12, 128, CLEARED, STOP), **STOPS},
    "downloaded": {**UPDATES, **CANCEL},
    "shared": {**UPDATES, **CANCEL},
    "deferred": {**UPDATES, **GOES_ON_WAITING, **CANCEL},
    "updating": {
        "unsatisfied": (2, 13, None, {}, SHOW),
        "unsatisfied, of any": (2, 13, None, {}, SHOW),
        "unsatisfied, lost": (0, 13, None, CLEARED, DISCARD),
        "installed": (0, 1, None, CLEARED, DISCARD),
        "install failed": (2, 8, None, {}, SHOW),
    },
}
READY = ("downloaded", "shared", "deferred", "odd downloaded")
EXPECTED |= {
    "odd idle": EXPECTED["idle"],
    "odd push complete": EXPECTED["push complete"],
    "odd downloaded": EXPECTED["downloaded"] | GOES_ON_WAITING,
    "odd updating": EXPECTED["updating"],
}
REQUESTS = {"update", "update, defer", "update, conflicts", "execute", "cancel", "auto upgrade"}
WORDS = {fx.Persist(): "save", fx.StopTransfer(): "stop", fx.DiscardImage(): "discard"}
SHOWS = {12: "last_change", 6: "package_name", 7: "package_version", 5: "result", 3: "state"}


def compare(profile, *differences, wall=WALL):
    """Every cell of a component against what is expected of it; the rows that were taken."""
    rows, wrong = set(), {}
    for situation, name in itertools.product(SITUATIONS, EVENTS):
        before = SITUATIONS[situation]
        cell = EXPECTED[situation].get(name, 133 if name in REQUESTS else None)
        for difference in differences:
            cell = difference.get(situation, {}).get(name, cell)
        taken = step(before, EVENTS[name], profile, wall)
        code = None if taken.answer is None else int(taken.answer.code)
        found = (taken.machine, code, taken.accepted, [WORDS.get(each, each) for each in taken.effects])
        if isinstance(cell, tuple):
            state, result, code, changes, to_do = cell
            moved = {"last_change": wall, "deferral": None} if state != before.state else {}
            after = before._replace(state=State(state), result=UpdateResult(result), **moved | changes)
            told = tuple(each for each, name in SHOWS.items() if getattr(before, name) != getattr(after, name))
            tell = [fx.Notify(told)] if told else []
            effects = [each for word in to_do.split() for each in (tell if word == "tell" else [word])]
            right = (after, code, True, effects)
        else:
            right = (before, cell, False, [])
            assert taken.accepted or taken.machine is before
        if found != right:
            wrong[situation, name] = {"found": found, "right": right}
        rows.add(taken.row)
    assert wrong == {}
    return rows - {None}


UNSATISFIED = dict.fromkeys(("unsatisfied", "unsatisfied, of any"), (0, 13, None, CLEARED, DISCARD))
CONFLICTS = {"update, conflicts": (0, 13, 68, CLEARED, DISCARD)}
TO_IDLE = dict.fromkeys(READY, CONFLICTS) | dict.fromkeys(("updating", "odd updating"), UNSATISFIED)


@pytest.mark.parametrize("delivery", [DeliveryMethod.BOTH, DeliveryMethod.PULL, DeliveryMethod.PUSH])
def test_every_cell_and_no_row_that_never_fires(delivery):
    rows = compare(FirmwareProfile(component=AdvancedPolicies(), delivery=delivery))
    to_idle = AdvancedPolicies(dependency_failure_target=DependencyFailureTarget.IDLE)
    rows |= compare(FirmwareProfile(component=to_idle, delivery=delivery), TO_IDLE)
    assert {row for row in rows if row.object_id == 33629} == set(COMPONENT_ROWS)


@pytest.mark.parametrize(
    "policies",
    [
        FirmwarePolicies(**{field.name: choice})
        for field in attrs.fields(FirmwarePolicies)
        for choice in type(field.default)
        if choice is not FailureTarget.IDLE
    ],
)
def test_every_cell_under_every_choice_of_object_5(policies):
    compare(FirmwareProfile(component=AdvancedPolicies(), policies=policies))


@pytest.mark.parametrize(
    "advanced",
    [
        AdvancedPolicies(**{field.name: choice})
        for field in attrs.fields(AdvancedPolicies)
        for choice in type(field.default)
        if choice is not DependencyFailureTarget.IDLE
    ],
)
def test_every_cell_under_every_choice_of_object_33629(advanced):
    compare(FirmwareProfile(component=advanced))


@pytest.mark.parametrize(
    ("choice", "deferred"),
    [
        (ClocklessDeferral.INSTALL_AT_ONCE, (3, 0, 68, {"attempt": 9}, SHOW)),
        (ClocklessDeferral.WAIT_FOR_USER, (2, 11, 68, {}, SHOW)),
    ],
)
def test_every_cell_without_a_clock(choice, deferred):
    profile = FirmwareProfile(component=AdvancedPolicies(), policies=FirmwarePolicies(clockless_deferral=choice))
    cells = {"update, defer": deferred}
    # what waits already has a deadline, and it counts on without the clock
    left = {"clock, 600 s": (2, 11, None, {"deferral": Deferral(4600.0, 5000.0)}, "save")}
    odd = {"clock, 600 s": (2, 8, None, {"deferral": Deferral(4600.0, 5000.5)}, "save")}
    compare(profile, dict.fromkeys(READY, cells), {"deferred": left, "odd downloaded": odd}, wall=None)


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
    assert (len(plain), len(own)) == (53, 57)


def test_a_wait_ends_with_its_state():
    row = next(row for row in COMPONENT_ROWS if row.change is cv.ComponentChange.STOP_WAITING)
    with pytest.raises(UsageError, match="a wait ends with its State"):
        attrs.evolve(row, target=State.IDLE)


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
    assert (profile.name_of(4), profile.name_of(9)) == ("modem", "")
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
