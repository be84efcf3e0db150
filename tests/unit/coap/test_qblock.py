"""The parameters of Q-Block, with the defaults of RFC 9177 (section 7.2, table 3), and the waits that follow."""

from math import inf, nan

import pytest

from lwm2m_fota.coap.qblock import QBlock, QTimers, Waits
from lwm2m_fota.errors import UsageError


def test_the_defaults_are_those_of_the_document():
    q = QBlock()
    assert (q.max_payloads, q.non_timeout_s, q.ack_random_factor) == (10, 2.0, 1.5)
    assert (q.non_receive_timeout_s, q.non_max_retransmit) == (4.0, 4)
    assert q.non_partial_timeout_s == 247.0
    assert (q.non_probing_wait_s(2.0), q.non_probing_wait_s(3.0)) == (247.0, 248.0)
    assert q.patience_s == 4 + 8 + 16 + 32 + 64
    assert q.timers is QTimers.FIXED


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_payloads": 0},
        {"max_payloads": 1025},
        {"non_timeout_s": 0.0},
        {"non_timeout_s": inf},
        {"ack_random_factor": 0.9},
        {"ack_random_factor": nan},
        {"non_receive_timeout_s": -1.0},
        {"non_receive_timeout_s": 3.9},  # less than a second longer than 2 s times 1.5
        {"non_max_retransmit": -1},
        {"max_latency_s": -0.1},
        {"shortest_timeout_s": 0.0},
        {"unheard_sets": -1},
        {"early_bytes": -1},
    ],
)
def test_parameters_that_cannot_be_are_refused(wrong):
    with pytest.raises(UsageError):
        QBlock(**wrong)


def test_sets_begin_at_multiples():
    q = QBlock(max_payloads=4)
    assert [q.set_end(num, 10) for num in (0, 3, 4, 7, 8, 9)] == [4, 4, 8, 8, 10, 10]


def test_the_wait_doubles_and_ends():
    waits = Waits(QBlock(), 1.25, 100.0)
    assert waits.expires == inf
    now = waits.wait(100.0)
    seen = [now]
    while not waits.over(now):
        now = waits.wait(now, again=True)
        seen.append(now)
    assert seen == [104.0, 112.0, 128.0, 160.0, 224.0]
    assert waits.between_sets_s == 2.5


def test_a_sign_of_the_peer_begins_the_wait_anew():
    waits = Waits(QBlock(), 1.0, 0.0)
    waits.wait(0.0)
    assert waits.wait(4.0, again=True) == 12.0
    waits.heard(10.0)
    assert waits.wait(10.0) == 14.0
    assert not waits.over(133.9)
    assert waits.over(134.0)
    waits.rest()
    assert waits.expires == inf


def test_a_late_wait_ends_at_once():
    waits = Waits(QBlock(), 1.0, 0.0)
    assert waits.wait(500.0) == 500.0


def test_fixed_times_do_not_follow_the_round_trip():
    waits = Waits(QBlock(), 1.0, 0.0)
    waits.measured(0.1)
    assert (waits.between_sets_s, waits.wait(0.0)) == (2.0, 4.0)


def test_measured_times_follow_the_mean_and_the_deviation_of_the_round_trip():
    waits = Waits(QBlock(timers=QTimers.MEASURED), 1.5, 0.0)
    assert (waits.between_sets_s, waits.wait(0.0)) == (3.0, 4.0)
    waits.measured(0.1)  # mean 0.1, deviation 0.05: 0.3 in all
    assert waits.between_sets_s == pytest.approx(0.45)
    assert waits.wait(0.0) == pytest.approx(0.6)
    waits.measured(0.1)  # deviation 0.0375
    assert waits.between_sets_s == pytest.approx(0.375)
    waits.measured(0.18)  # deviation 0.0375 + (0.08 - 0.0375) / 4, mean 0.11
    assert waits.between_sets_s == pytest.approx(1.5 * (0.11 + 4 * 0.048125))
    for _ in range(100):
        waits.measured(0.001)
    assert waits.between_sets_s == pytest.approx(0.075)  # no shorter than 0.05
    for _ in range(100):
        waits.measured(30.0)
    assert waits.between_sets_s == 3.0  # no longer than without


def test_measured_waits_are_as_patient_as_fixed_ones():
    waits = Waits(QBlock(timers=QTimers.MEASURED), 1.0, 0.0)
    waits.measured(0.1)
    now, count = waits.wait(0.0), 0
    while not waits.over(now):
        now, count = waits.wait(now, again=True), count + 1
    assert now == 124.0
    assert count == 7  # 0.6, 1.2, ... 38.4, and 76.8 cut to what is left
