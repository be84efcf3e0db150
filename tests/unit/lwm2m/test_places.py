"""Places for transfers: bounded for each peer and in all, against a list that is searched from end to end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.errors import BusyError, UsageError
from lwm2m_fota.lwm2m.places import Places, TransferLimits

IN_ALL, PER_PEER, IDLE_S = 4, 2, 10.0
LIMITS = TransferLimits(in_all=IN_ALL, per_peer=PER_PEER, idle_s=IDLE_S)


class Model:
    """Transfers as [peer, key, value, heard at, ended], in the order in which they were heard of or ended."""

    def __init__(self):
        self.rows = []

    def find(self, peer, key):
        return next((row for row in self.rows if row[:2] == [peer, key]), None)

    def heard(self, peer, key, value, now):
        """How long to wait, if there is no room."""
        former = self.find(peer, key)
        if former is None:
            running = [row for row in self.rows if not row[4]]
            own = [row for row in running if row[0] == peer]
            if len(own) >= PER_PEER:
                victim = own[0]
            elif len(self.rows) >= IN_ALL:
                victim = next((row for row in self.rows if row[4]), None) or running[0]
            else:
                victim = None
            if victim is not None:
                if not victim[4] and victim[3] + IDLE_S > now:
                    return victim[3] + IDLE_S - now
                self.rows.remove(victim)
        else:
            self.rows.remove(former)
        self.rows.append([peer, key, value, now, False])
        return None

    def end(self, row):
        self.rows.remove(row)
        self.rows.append([*row[:4], True])


peers, keys = st.sampled_from("pqr"), st.sampled_from("abc")
steps = st.lists(
    st.tuples(st.sampled_from(["heard", "heard", "heard", "end", "drop"]), peers, keys, st.floats(0.0, 6.0)),
    max_size=40,
)


@given(steps)
def test_places_are_taken_and_given_back_as_in_a_list(history):
    places, model, now = Places(LIMITS), Model(), 0.0
    for number, (what, peer, key, passed) in enumerate(history):
        now += passed
        row = model.find(peer, key)
        if what == "heard":
            wait_s = model.heard(peer, key, number, now)
            if wait_s is None:
                places.heard(peer, key, number, now)
            else:
                with pytest.raises(BusyError) as caught:
                    places.heard(peer, key, number, now)
                assert caught.value.retry_after_s == wait_s
        elif what == "drop":
            places.drop(peer, key)
            model.rows = [each for each in model.rows if each is not row]
        elif row is not None and not row[4]:
            places.end(peer, key)
            model.end(row)
        assert len(places) == len(model.rows)
        assert sorted(places.values()) == sorted(each[2] for each in model.rows)
        for each in "abc":
            assert sorted(places.peers(each)) == sorted(row[0] for row in model.rows if row[1] == each)
            for other in "pqr":
                found = model.find(other, each)
                assert places.get(other, each) == (None if found is None else found[2])


def test_a_busy_error_says_when_to_come_back():
    error = BusyError("why", retry_after_s=2.5)
    assert (error.code, error.result, error.retry_after_s) == (0xA3, None, 2.5)


@pytest.mark.parametrize("limits", [{"in_all": 0}, {"in_all": 1, "per_peer": 0}, {"in_all": 1, "idle_s": -1.0}])
def test_limits_that_make_no_sense(limits):
    with pytest.raises(UsageError):
        TransferLimits(**limits)
