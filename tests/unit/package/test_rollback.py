"""The floor under counters."""

import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.rollback import Counted, Counter, RollbackFloor


def counters(*pairs):
    return tuple(Counter(*each) for each in pairs)


def floor_of(*pairs, every=None):
    return RollbackFloor(counters(*pairs), every=every)


def test_without_marks_everything_passes():
    floor = RollbackFloor()
    assert floor.is_empty
    assert floor.problem([]) is None
    assert floor.problem([Counter("a", 0)]) is None
    assert floor.lowest(Counter("a", 0)) == 0


@pytest.mark.parametrize(
    ("floor", "found", "passes"),
    [
        (floor_of(("a", 5)), [("a", 5)], True),
        (floor_of(("a", 5)), [("a", 4)], False),
        (floor_of(("a", 5)), [], False),
        (floor_of(("a", 0)), [], False),
        (floor_of(("a", 0)), [("a", 0)], True),
        (floor_of(("a", 5)), [("b", 0)], True),
        (floor_of(("a", 5)), [("b", 0), ("a", 4)], False),
        (floor_of(every=0), [], False),
        (floor_of(every=5), [("b", 4)], False),
        (floor_of(every=5), [(None, 4)], False),
        (floor_of(every=5), [("b", 5), ("a", 6)], True),
        (floor_of(("a", 7), every=5), [("a", 6)], False),
        (floor_of(("a", 5), every=7), [("a", 6)], False),
        (floor_of((None, 5)), [(None, 4)], False),
        (floor_of((None, 5)), [("", 4)], True),
        (floor_of(("", 5)), [("a", 4)], True),
        (floor_of(("a", 5)), [("a", 4, Counted.MANIFEST)], True),
        (floor_of(("a", 5, Counted.MANIFEST)), [("a", 4)], True),
        (floor_of(("a", 5, Counted.MANIFEST)), [("a", 4, Counted.MANIFEST)], False),
    ],
)
def test_marks(floor, found, passes):
    assert (floor.problem(counters(*found)) is None) is passes


def test_what_is_too_old_is_named():
    floor = floor_of((None, 2), ("app", 3), ("app", 4, Counted.MANIFEST))
    assert floor.problem([Counter(None, 1)]) == "counter 1 of the package, at least 2"
    assert floor.problem([Counter("app", 1)]) == "counter 1 of component app, at least 3"
    assert floor.problem([Counter("app", 1, Counted.MANIFEST)]) == "counter 1 of manifest app, at least 4"


def test_at_least_is_for_every_name():
    assert RollbackFloor.at_least(3) == floor_of(every=3)
    assert RollbackFloor.at_least(3).lowest(Counter("any", 0)) == 3


def test_it_is_raised_to_what_is_installed_and_never_lowered():
    floor = floor_of(("a", 5), ("b", 1), every=1)
    assert floor.raised(counters(("a", 4), ("b", 2), ("c", 3))) == floor_of(("a", 5), ("b", 2), ("c", 3), every=1)
    assert floor.raised([]) == floor


def test_of_two_floors_the_higher_marks_count():
    low, high = floor_of(("a", 5), ("b", 1), every=2), floor_of(("a", 4), ("b", 2), every=3)
    assert low.joined(high) == high.joined(low) == floor_of(("a", 5), ("b", 2), every=3)
    assert floor_of().joined(low).every == low.joined(floor_of()).every == 2
    assert floor_of(("a", 1)).joined(floor_of()).every is None


def test_the_order_of_marks_does_not_matter():
    assert floor_of(("b", 1), ("a", 2), (None, 3)) == floor_of((None, 3), ("a", 2), ("b", 1))


def test_counters_are_not_negative():
    for wrong in ({"marks": (Counter("a", -1),)}, {"every": -1}):
        with pytest.raises(UsageError, match="negative"):
            RollbackFloor(**wrong)
