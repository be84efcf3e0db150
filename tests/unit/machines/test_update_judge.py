"""What is seen and what it means, cell by cell."""

import attrs
import pytest

from lwm2m_fota.machines import update_judge as judge
from lwm2m_fota.machines.update_policy import UpdatePlan, UpdatePolicy
from lwm2m_fota.machines.update_state import Control, Part, VersionSeen
from lwm2m_fota.machines.update_steps import UpdateStep
from lwm2m_fota.machines.update_versions import VersionMatch
from lwm2m_fota.machines.update_words import Cue
from lwm2m_fota.model.enums import State, UpdateResult

OF_PART = {"moved", "baseline", "version", "kept", "done"}


def control(step, state, result, **changes):
    """A control state of one part."""
    own = {name: value for name, value in changes.items() if name in OF_PART}
    part = Part(state=State(state), result=UpdateResult(result), **own)
    rest = {name: value for name, value in changes.items() if name not in OF_PART}
    return Control(
        step=UpdateStep(step), offers=True, registered=True, object_id=5, targets=(0,), parts=(part,), **rest
    )


def cue(known):
    return judge.cue_of_part(known, known.part)


def after_read(known, state, result):
    part = judge.after_read(known.part, known.stage, State(state), UpdateResult(result), VersionSeen.SAME)
    return attrs.evolve(known, parts=(part,))


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
    assert judge.see_version(UpdatePlan(package_bytes=1, expected_version=expected), 0, before, now) is seen


def test_versions_are_compared_by_the_policy():
    policy = UpdatePolicy(version_match=VersionMatch.TRIMMED)
    plan = UpdatePlan(package_bytes=1, expected_version="v2", policy=policy)
    assert judge.see_version(plan, 0, "1", "2 ") is VersionSeen.EXPECTED


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


@pytest.mark.parametrize(("step", "state", "result", "known", "means"), PAIRS)
def test_pairs_of_state_and_result(step, state, result, known, means):
    assert cue(control(step, state, result, **{"settled": True, **known})) is means


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
    assert after_read(before, state, 0).part.moved is moved
    assert after_read(control(step, 0, 0, moved=True), state, 0).part.moved is True


def test_a_result_that_went_away_is_no_baseline_any_more():
    cleared = after_read(control("download", 0, 7, baseline=UpdateResult(7)), 0, 0)
    assert cleared.part.baseline == 0
    assert cue(after_read(cleared, 0, 7)) is Cue.IDLE_FAILED


@pytest.mark.parametrize(
    ("step", "state", "result", "kept"),
    [("install", 0, 1, True), ("install", 2, 1, False), ("install", 0, 0, False), ("download", 0, 1, False)],
)
def test_when_result_1_is_kept(step, state, result, kept):
    assert after_read(control(step, 3, 0), state, result).part.kept is kept
