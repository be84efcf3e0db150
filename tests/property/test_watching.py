"""Notification attributes over random histories: what no schedule may break (LwM2M Core 1.2, 7.3.2)."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.lwm2m.attributes import Attributes
from lwm2m_fota.lwm2m.watching import Rules, Watch
from lwm2m_fota.model.paths import Path

VALUE = Path.of(3303, 0, 5700)
END = 400.0

periods = st.none() | st.integers(0, 40)
attributes = st.builds(
    Attributes,
    pmin=periods,
    pmax=periods,
    epmin=periods,
    epmax=periods,
    gt=st.none() | st.integers(10, 20),
    lt=st.none() | st.integers(0, 9),
    st=st.none() | st.integers(1, 6),
)
histories = st.lists(st.tuples(st.integers(1, 300), st.integers(0, 25)), max_size=12).map(sorted)


def run(whole, history):
    """(time, value) of what was told, the answer that began the observation first."""
    present = [12]
    rules = Rules(whole, {VALUE: whole} if whole.has_thresholds else {})
    watch = Watch(0.0)
    told = [(0.0, 12)]

    def look(now):
        if rules.is_due(watch, now, lambda _: present[0]):
            told.append((now, present[0]))
            rules.told(watch, now, lambda _: present[0])

    def wait(until):
        now = 0.0
        while (deadline := rules.deadline(watch)) <= until:
            assert deadline >= now  # time never goes back
            now = deadline
            before = (watch.told_at, watch.looked_at)
            look(now)
            assert (watch.told_at, watch.looked_at) != before  # a deadline is worth waking for

    rules.told(watch, 0.0, lambda _: present[0])
    for at, value in history:
        wait(at)
        present[0] = value
        watch.changed[VALUE] = None
        look(float(at))
    wait(END)
    return told


@given(attributes, histories)
def test_pmin_and_pmax_hold(whole, history):
    told = run(whole, history)
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(told)]
    assert all(gap >= (whole.pmin or 0) for gap in gaps)
    if whole.pmax and whole.pmax >= (whole.pmin or 0):
        assert all(gap <= whole.pmax for gap in (*gaps, END - told[-1][0]))
    if not whole.pmax or whole.pmax < (whole.pmin or 0):
        assert len(told) - 1 <= len(history) + END  # nothing is told without end


@given(attributes, histories)
def test_without_thresholds_the_last_value_arrives(whole, history):
    whole = whole.changed({"gt": None, "lt": None, "st": None})
    assert run(whole, history)[-1][1] == (history[-1][1] if history else 12)


@given(attributes, histories)
def test_with_thresholds_the_server_knows_on_which_side_the_value_is(whole, history):
    """In the end, once every period has passed."""
    told, last = run(whole, history)[-1][1], (history[-1][1] if history else 12)
    if not whole.has_thresholds:
        return
    if whole.gt is not None:
        assert (told > whole.gt) == (last > whole.gt)
    if whole.lt is not None:
        assert (told < whole.lt) == (last < whole.lt)
    if whole.st is not None:
        assert abs(told - last) < whole.st
