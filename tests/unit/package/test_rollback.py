"""The floor under counters."""

import json

import pytest

from lwm2m_fota.errors import SnapshotError, UsageError
from lwm2m_fota.package.rollback import Counter, RollbackFloor


def test_without_marks_everything_passes():
    floor = RollbackFloor()
    assert floor.problem([]) is None
    assert floor.problem([Counter("a", 0)]) is None
    assert floor.lowest("a") == 0


@pytest.mark.parametrize(
    ("marks", "counters", "passes"),
    [
        ([("a", 5)], [("a", 5)], True),
        ([("a", 5)], [("a", 4)], False),
        ([("a", 5)], [], False),
        ([("a", 0)], [], False),
        ([("a", 0)], [("a", 0)], True),
        ([("a", 5)], [("b", 0)], True),
        ([("a", 5)], [("b", 0), ("a", 4)], False),
        ([("", 5)], [("b", 4)], False),
        ([("", 5)], [("b", 5), ("a", 6)], True),
        ([("", 5), ("a", 7)], [("a", 6)], False),
        ([("", 7), ("a", 5)], [("a", 6)], False),
    ],
)
def test_marks(marks, counters, passes):
    problem = RollbackFloor(marks).problem([Counter(*each) for each in counters])
    assert (problem is None) is passes


def test_at_least_is_for_every_name():
    assert RollbackFloor.at_least(3).marks == (("", 3),)
    assert RollbackFloor.at_least(3).lowest("any") == 3


def test_it_is_raised_to_what_is_installed_and_never_lowered():
    floor = RollbackFloor([("a", 5), ("b", 1)])
    assert floor.raised([Counter("a", 4), Counter("b", 2), Counter("c", 3)]).marks == (("a", 5), ("b", 2), ("c", 3))
    assert floor.raised([]) == floor


def test_the_order_of_marks_does_not_matter():
    assert RollbackFloor([("b", 1), ("a", 2)]) == RollbackFloor([("a", 2), ("b", 1)])


def test_it_is_bounded():
    full = RollbackFloor([(str(number), 0) for number in range(64)])
    with pytest.raises(UsageError, match="at most 64"):
        full.raised([Counter("one more", 1)])
    assert full.raised([Counter("5", 1)]).lowest("5") == 1
    with pytest.raises(UsageError, match="negative"):
        RollbackFloor([("a", -1)])


@pytest.mark.parametrize("marks", [[], [("a", 5)], [("", 0), ("x", 2**40)]])
def test_it_is_stored_and_read_again(marks):
    floor = RollbackFloor(marks)
    assert RollbackFloor.from_plain(json.loads(json.dumps(floor.to_plain()))) == floor


@pytest.mark.parametrize(
    "plain", [None, [], "a", {"a": "5"}, {"a": True}, {"a": 1.0}, {5: 5}, {"a": -1}, {str(n): 0 for n in range(65)}]
)
def test_what_is_damaged_is_refused(plain):
    with pytest.raises(SnapshotError, match="damaged"):
        RollbackFloor.from_plain(plain)
