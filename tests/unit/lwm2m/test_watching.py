"""The schedule of one observer, second by second (LwM2M Core 1.2, 7.3.2)."""

import pytest

from lwm2m_fota.lwm2m.attributes import Attributes
from lwm2m_fota.lwm2m.watching import Rules, Watch
from lwm2m_fota.model.paths import Path

VALUE, OTHER, INSTANCE = Path.of(3303, 0, 5700), Path.of(3303, 0, 5701), Path.of(3303, 0)


class Bench:
    """One observer of one numeric resource, on a clock by hand.

    Attributes:
        value: what the resource holds.
        told: (time, value) of every notification.
    """

    def __init__(self, *, value=20, thresholds=None, **attributes):
        self.value = value
        whole = Attributes(**attributes)
        judged = whole.has_thresholds if thresholds is None else thresholds
        self.rules = Rules(whole, {VALUE: whole} if judged else {})
        self.watch = Watch(0.0)
        self.rules.told(self.watch, 0.0, self.number)
        self.told = []

    def number(self, path):
        assert path == VALUE
        return self.value

    def at(self, now, value=None, path=VALUE):
        """Let time pass until `now`, then let the value change."""
        while (deadline := self.rules.deadline(self.watch)) <= now:
            self.look(deadline)
        if value is not None:
            self.value = value
            self.watch.changed[path] = None
            self.look(now)
        return self

    def look(self, now):
        if self.rules.is_due(self.watch, now, self.number):
            self.told.append((now, self.value))
            self.rules.told(self.watch, now, self.number)


def test_without_attributes_every_change_is_told_at_once():
    bench = Bench()
    assert bench.rules.deadline(bench.watch) == float("inf")
    bench.at(1, 21).at(1, 22).at(50, 22)
    assert bench.told == [(1, 21), (1, 22), (50, 22)]


def test_pmin_holds_changes_back_and_tells_the_newest():
    bench = Bench(pmin=10)
    bench.at(3, 21).at(7, 22).at(9.5, 23)
    assert bench.told == []
    assert bench.rules.deadline(bench.watch) == 10
    bench.at(12, 24)
    assert bench.told == [(10, 23)]
    bench.at(100)
    assert bench.told == [(10, 23), (20, 24)]
    bench.at(101, 25)
    assert bench.told[2:] == [(101, 25)]


def test_pmax_tells_whatever_happens():
    bench = Bench(pmax=20)
    bench.at(45)
    assert bench.told == [(20, 20), (40, 20)]
    bench.at(50, 21).at(69)
    assert bench.told == [(20, 20), (40, 20), (50, 21)]
    bench.at(70)
    assert bench.told[3:] == [(70, 21)]


@pytest.mark.parametrize(
    ("attributes", "told"), [({"pmax": 0}, 0), ({"pmin": 10, "pmax": 9}, 0), ({"pmin": 10, "pmax": 10}, 10)]
)
def test_pmax_below_pmin_or_nothing_is_ignored(attributes, told):
    bench = Bench(**attributes)
    bench.at(100)
    assert len(bench.told) == told


def test_gt_tells_of_each_crossing_in_either_direction():
    bench = Bench(gt=25)
    for now, value in enumerate((22, 25, 26, 30, 25.5, 25, 24, 26), start=1):
        bench.at(now, value)
    assert bench.told == [(3, 26), (6, 25), (8, 26)]


def test_lt_tells_of_each_crossing_in_either_direction():
    bench = Bench(lt=10)
    for now, value in enumerate((12, 10, 9, 5, 9.5, 10, 12, 9), start=1):
        bench.at(now, value)
    assert bench.told == [(3, 9), (6, 10), (8, 9)]


def test_st_counts_from_the_value_that_was_told():
    bench = Bench(st=5)
    for now, value in enumerate((22, 24, 25, 27, 29.9, 30, 26, 25), start=1):
        bench.at(now, value)
    assert bench.told == [(3, 25), (6, 30), (8, 25)]


def test_any_threshold_will_do():
    bench = Bench(lt=10, gt=30, st=8)
    for now, value in enumerate((25, 28, 31, 24, 16, 9), start=1):
        bench.at(now, value)
    assert bench.told == [(2, 28), (3, 31), (4, 24), (5, 16), (6, 9)]


def test_thresholds_with_pmax():
    bench = Bench(gt=25, pmax=20)
    bench.at(5, 23).at(36, 26).at(37)
    assert bench.told == [(20, 23), (36, 26)]


def test_a_crossing_within_pmin_is_told_even_if_the_value_goes_back():
    bench = Bench(gt=25, pmin=10)
    bench.at(3, 26).at(5, 20).at(11)
    assert bench.told == [(10, 20)]


def test_epmin_looks_no_sooner():
    bench = Bench(gt=25, epmin=10)
    bench.at(2, 26).at(4, 20)
    assert bench.told == []
    assert bench.rules.deadline(bench.watch) == 10
    bench.at(12)
    assert bench.told == []  # at 10 it was back
    assert bench.rules.deadline(bench.watch) == float("inf")
    bench.at(13, 27).at(19)
    assert bench.told == []
    bench.at(21)
    assert bench.told == [(20, 27)]


def test_epmax_finds_what_nobody_told_of():
    bench = Bench(gt=25, epmax=10)
    bench.value = 26
    bench.at(9)
    assert bench.told == []
    bench.at(25)
    assert bench.told == [(10, 26)]
    bench.value = 27
    bench.at(45)
    assert bench.told == [(10, 26)]


def test_epmax_without_thresholds_has_nothing_to_look_at():
    bench = Bench(epmax=10)
    assert bench.rules.deadline(bench.watch) == float("inf")


def test_a_change_beside_the_thresholds_is_told():
    bench = Bench(gt=25)
    bench.at(1, 21, OTHER)
    assert bench.told == [(1, 21)]
    bench.at(2, 22, INSTANCE)  # may have changed it
    assert bench.told == [(1, 21)]
    bench.at(3, 26, INSTANCE)
    assert bench.told == [(1, 21), (3, 26)]


def test_a_value_that_cannot_be_read_any_more_is_told_and_so_is_its_return():
    bench = Bench(gt=25)
    bench.value = None
    bench.watch.changed[VALUE] = None
    bench.look(1.0)
    bench.watch.changed[VALUE] = None
    bench.look(2.0)
    bench.at(3, 20).at(4, 21)
    assert bench.told == [(1.0, None), (3, 20)]


@pytest.mark.parametrize(("con", "confirmable"), [(None, False), (0, False), (1, True)])
def test_con(con, confirmable):
    assert Rules(Attributes(con=con), {}).confirmable is confirmable
