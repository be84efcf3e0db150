"""What is seen and what it means, cell by cell."""

import attrs
import pytest

from lwm2m_fota.machines import update_judge as judge
from lwm2m_fota.machines.update_policy import Method, UpdatePlan, UpdatePolicy, VersionMatch
from lwm2m_fota.machines.update_state import Control, VersionSeen
from lwm2m_fota.machines.update_steps import UpdateStep
from lwm2m_fota.machines.update_words import Cue
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.model.paths import Path


def control(step, state, result, **changes):
    known = Control(step=UpdateStep(step), offers=True, registered=True)
    return attrs.evolve(known, state=State(state), result=UpdateResult(result), **changes)


@pytest.mark.parametrize(
    ("step", "code", "cue"),
    [
        ("push", 0x44, Cue.ACCEPTED),
        ("push", 0xA3, Cue.BUSY),
        ("push", 0x9D, Cue.BUSY),
        ("push", 0x88, Cue.BROKEN),
        ("push", 0xA0, Cue.BROKEN),
        ("push", 0xA2, Cue.BROKEN),
        ("push", 0xA4, Cue.NO_ANSWER),
        ("push", 0x8D, Cue.REFUSED),
        ("push", 0x81, Cue.REFUSED),
        ("write-uri", 0xA0, Cue.REFUSED),
        ("write-uri", 0x80, Cue.REFUSED),
        ("execute", 0x88, Cue.REFUSED),
        ("execute", 0xA4, Cue.NO_ANSWER),
        ("execute", 0x45, Cue.ACCEPTED),
    ],
)
def test_answers_to_a_request(step, code, cue):
    assert judge.cue_of_code(UpdateStep(step), code) is cue


@pytest.mark.parametrize(
    ("version", "minor"),
    [("1.0", 0), ("1.1", 1), ("1.2", 2), ("1.9", 2), ("2.0", 2), ("", 0), ("1", 0), ("1.x", 0), ("0.9", 2)],
)
def test_the_version_of_the_object(version, minor):
    assert judge.minor_of(version) == minor


def test_values_that_are_not_what_they_should_be_are_unknown():
    assert [judge.state_of(value) for value in (0, 3, 4, -1, True, "1", None, 1.0)] == [0, 3, *[None] * 6]
    assert [judge.result_of(value) for value in (0, 13, 99, False, "1", None)] == [0, 13, 99, None, None, None]
    assert [judge.text_of(value) for value in ("1", "", 1, None)] == ["1", "", None, None]


@pytest.mark.parametrize(
    ("expected", "before", "now", "seen"),
    [
        ("2", "1", None, VersionSeen.UNKNOWN),
        ("2", None, "2", VersionSeen.OTHER),
        (None, None, "2", VersionSeen.OTHER),
        ("2", "1", "1", VersionSeen.SAME),
        ("2", "2", "2", VersionSeen.SAME),
        (None, "1", "1", VersionSeen.SAME),
        ("2", "1", "2", VersionSeen.EXPECTED),
        (None, "1", "2", VersionSeen.EXPECTED),
        ("2", "1", "3", VersionSeen.OTHER),
        ("2", "1", "2.1", VersionSeen.OTHER),
    ],
)
def test_what_a_version_tells(expected, before, now, seen):
    assert judge.see_version(UpdatePlan(package_bytes=1, expected_version=expected), before, now) is seen


def test_versions_are_compared_by_the_policy():
    policy = UpdatePolicy(version_match=VersionMatch.TRIMMED)
    plan = UpdatePlan(package_bytes=1, expected_version="v2", policy=policy)
    assert judge.see_version(plan, "1", "2 ") is VersionSeen.EXPECTED


# (step, state, result, what else is known, cue); settled unless the row says otherwise
PAIRS = [
    ("learn", 0, 1, {}, Cue.IDLE),
    ("learn", 0, 8, {}, Cue.IDLE),
    ("reset-check", 1, 0, {}, Cue.DOWNLOADING),
    ("learn", 2, 8, {}, Cue.DOWNLOADED),
    ("learn", 2, 11, {}, Cue.DOWNLOADED),
    ("learn", 3, 0, {}, Cue.UPDATING),
    ("download", 0, 0, {"settled": False}, Cue.IDLE_UNSETTLED),
    ("download", 0, 0, {}, Cue.IDLE_WAITING),
    ("download", 0, 1, {}, Cue.IDLE_WAITING),
    ("download", 0, 7, {"baseline": UpdateResult(7)}, Cue.IDLE_WAITING),
    ("download", 0, 7, {"baseline": UpdateResult(7), "moved": True}, Cue.IDLE_FAILED),
    ("download", 0, 7, {"baseline": UpdateResult(1)}, Cue.IDLE_FAILED),
    ("download", 0, 7, {"settled": False}, Cue.IDLE_FAILED),
    ("download", 0, 4, {}, Cue.IDLE_CUT),
    ("download", 0, 10, {}, Cue.IDLE_FAILED),
    ("download", 0, 99, {}, Cue.IDLE_FAILED),
    ("download", 0, 0, {"moved": True}, Cue.IDLE_GONE),
    ("download", 0, 1, {"moved": True}, Cue.IDLE_GONE),
    ("download", 0, 0, {"moved": True, "settled": False}, Cue.IDLE_UNSETTLED),
    ("download", 0, 1, {"version": VersionSeen.EXPECTED}, Cue.IDLE_DONE),
    ("download", 0, 0, {"version": VersionSeen.EXPECTED}, Cue.IDLE_UPDATED),
    ("download", 0, 8, {"version": VersionSeen.EXPECTED}, Cue.IDLE_FAILED),
    ("download", 1, 0, {}, Cue.DOWNLOADING),
    ("verify", 2, 0, {}, Cue.DOWNLOADED),
    ("verify", 2, 8, {}, Cue.DOWNLOADED_FAILED),
    ("verify", 2, 8, {"baseline": UpdateResult(8), "moved": True}, Cue.DOWNLOADED),
    ("verify", 2, 11, {}, Cue.DOWNLOADED),
    ("verify", 2, 11, {"upgrades_itself": True}, Cue.DEFERRED),
    ("verify", 3, 0, {}, Cue.UPDATING),
    ("install", 0, 1, {"kept": True}, Cue.IDLE_DONE),
    ("install", 0, 0, {"kept": True}, Cue.IDLE_DONE),
    ("install", 0, 8, {"kept": True}, Cue.IDLE_FAILED),
    ("install", 0, 4, {}, Cue.IDLE_CUT),
    ("install", 0, 0, {"version": VersionSeen.EXPECTED}, Cue.IDLE_UPDATED),
    ("install", 0, 0, {"version": VersionSeen.UNKNOWN}, Cue.IDLE_UNVERSIONED),
    ("install", 0, 0, {"version": VersionSeen.SAME}, Cue.IDLE_GONE),
    ("install", 0, 0, {"version": VersionSeen.OTHER}, Cue.IDLE_GONE),
    ("install", 0, 0, {"version": VersionSeen.OTHER, "settled": False}, Cue.IDLE_UNSETTLED),
    ("install", 1, 0, {}, Cue.DOWNLOADING),
    ("install", 2, 0, {}, Cue.DOWNLOADED),
    ("install", 2, 1, {}, Cue.DOWNLOADED),
    ("install", 2, 11, {}, Cue.DEFERRED),
    ("install", 2, 8, {}, Cue.DOWNLOADED_FAILED),
    ("install", 2, 13, {}, Cue.DOWNLOADED_FAILED),
    ("install", 2, 8, {"baseline": UpdateResult(8)}, Cue.DOWNLOADED),
    ("install", 2, 8, {"baseline": UpdateResult(8), "moved": True}, Cue.DOWNLOADED_FAILED),
    ("install", 3, 0, {}, Cue.UPDATING),
    ("tidy-check", 0, 10, {}, Cue.IDLE),
    ("tidy-check", 0, 1, {}, Cue.IDLE),
    ("tidy-check", 0, 1, {"executes": 1}, Cue.IDLE_DONE),
    ("tidy-check", 0, 0, {"version": VersionSeen.EXPECTED}, Cue.IDLE_UPDATED),
    ("tidy-check", 2, 8, {}, Cue.DOWNLOADED),
    ("tidy-check", 3, 0, {}, Cue.UPDATING),
]


@pytest.mark.parametrize(("step", "state", "result", "known", "cue"), PAIRS)
def test_pairs_of_state_and_result(step, state, result, known, cue):
    assert judge.cue_of_pair(control(step, state, result, **{"settled": True, **known})) is cue


@pytest.mark.parametrize(
    ("step", "state", "moved"),
    [
        ("download", 0, False),
        ("download", 1, True),
        ("download", 2, True),
        ("download", 3, True),
        ("install", 2, False),
        ("install", 0, True),
        ("install", 3, True),
    ],
)
def test_what_shows_that_an_attempt_began(step, state, moved):
    before = control(step, 0, 0)
    after = judge.after_read(before, State(state), UpdateResult(0), VersionSeen.SAME)
    assert after.moved is moved
    again = judge.after_read(attrs.evolve(before, moved=True), State(state), UpdateResult(0), VersionSeen.SAME)
    assert again.moved is True


def test_a_result_that_went_away_is_no_baseline_any_more():
    before = control("download", 0, 7, baseline=UpdateResult(7))
    cleared = judge.after_read(before, State(0), UpdateResult(0), VersionSeen.SAME)
    assert cleared.baseline == 0
    again = judge.after_read(cleared, State(0), UpdateResult(7), VersionSeen.SAME)
    assert judge.cue_of_pair(again) is Cue.IDLE_FAILED


@pytest.mark.parametrize(
    ("step", "state", "result", "kept"),
    [("install", 0, 1, True), ("install", 2, 1, False), ("install", 0, 0, False), ("download", 0, 1, False)],
)
def test_when_result_1_is_kept(step, state, result, kept):
    after = judge.after_read(control(step, 3, 0), State(state), UpdateResult(result), VersionSeen.SAME)
    assert after.kept is kept


def values(delivery, protocols):
    known = {Path.of(5, 0, 9): delivery, Path.of(5, 0, 8): protocols}
    return {path: value for path, value in known.items() if value is not None}


@pytest.mark.parametrize(
    ("method", "delivery", "protocols", "schemes", "choice"),
    [
        ("auto", 2, (0, 1), ("coaps",), (Method.PULL, "coaps", None, ())),
        ("auto", 2, {0: 1, 1: 4}, ("coap+tcp",), (Method.PULL, "coap+tcp", None, ())),
        ("auto", 2, 3, ("https",), (Method.PULL, "https", None, ())),
        ("auto", 2, "3", ("https",), (Method.PUSH, "", None, ("prepare.protocols-empty", "prepare.pushed-instead"))),
        ("auto", 1, None, (), (Method.PUSH, "", None, ())),
        ("auto", 0, (99,), ("coap",), (Method.PULL, "", Cue.NO_PROTOCOL, ())),
        ("pull", 2, (1,), ("coap",), (Method.PULL, "", Cue.NO_PROTOCOL, ())),
        ("pull", 1, (0,), ("coap",), (Method.PULL, "", Cue.NO_PULL, ())),
        ("push", 0, (0,), ("coap",), (Method.PUSH, "", Cue.NO_PUSH, ())),
        ("auto", None, None, ("coap",), (Method.PULL, "coap", None, ("prepare.delivery-unread",))),
    ],
)
def test_choices(method, delivery, protocols, schemes, choice):
    plan = UpdatePlan(method=method, package_bytes=1, schemes=schemes)
    made = judge.learn(plan, values(delivery, protocols))
    assert (made.method, made.scheme, made.obstacle, made.odd) == choice


def test_the_policy_chooses_where_the_device_offers_both_and_lists_nothing():
    plan = UpdatePlan(package_bytes=1, schemes=("coap",), policy=UpdatePolicy(both=Method.PUSH))
    assert judge.learn(plan, values(2, (0,))).method is Method.PUSH
    plan = UpdatePlan(package_bytes=1, schemes=("coaps",), policy=UpdatePolicy(default_schemes=("coap", "coaps")))
    assert judge.learn(plan, values(2, None)).scheme == "coaps"
