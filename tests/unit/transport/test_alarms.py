"""Alarms: never late, bounded in number, dropped without trace."""

from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.transport.alarms import Alarms

INF = float("inf")


def test_what_is_due_comes_once_in_order():
    alarms = Alarms()
    for name, when in (("a", 3.0), ("b", 1.0), ("c", 2.0), ("never", INF)):
        alarms.set(name, when)
    assert (alarms.next_deadline(), len(alarms)) == (1.0, 3)
    assert alarms.due(0.5) == []
    assert alarms.due(2.0) == ["b", "c"]
    assert alarms.due(9.0) == ["a"]
    assert alarms.next_deadline() is None


def test_an_alarm_moves_forward_in_time_only():
    alarms = Alarms()
    alarms.set("a", 5.0)
    alarms.set("a", 9.0)
    assert alarms.next_deadline() == 5.0
    alarms.set("a", 2.0)
    assert alarms.due(2.0) == ["a"]
    assert alarms.due(9.0) == []


def test_what_was_dropped_does_not_ring():
    alarms = Alarms()
    alarms.set("a", 1.0)
    alarms.drop("a")
    alarms.drop("a")
    assert (alarms.next_deadline(), alarms.due(9.0)) == (None, [])
    alarms.set("a", 2.0)
    assert alarms.due(9.0) == ["a"]


def test_what_no_longer_counts_is_not_kept_for_long():
    alarms = Alarms()
    for number in range(10_000):
        alarms.set(number, 1e6)
        alarms.drop(number)
    assert len(alarms._heap) <= 64


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 100), st.booleans()), max_size=60))
def test_nothing_rings_late_or_twice(steps):
    alarms, expected = Alarms(), {}
    for name, when, drop in steps:
        if drop:
            alarms.drop(name)
            expected.pop(name, None)
        else:
            alarms.set(name, when)
            expected[name] = min(when, expected.get(name, INF))
    if expected:
        assert alarms.next_deadline() <= min(expected.values())
    for now in (25.0, 50.0, 100.0):
        assert sorted(alarms.due(now)) == sorted(name for name, when in expected.items() if when <= now)
        expected = {name: when for name, when in expected.items() if when > now}
