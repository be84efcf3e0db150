import pytest

from lwm2m_fota.coap.limits import MidExhaustion
from lwm2m_fota.coap.reliability import MessageIds, Outgoing, Purpose, empty_ack, frame, reset, stamp
from lwm2m_fota.errors import MessageFormatError

LIFETIME = 247.0


def outgoing(*, confirmable=True):
    return Outgoing.of(
        confirmable=confirmable, code=1, token=b"\xa1", options=(), payload=b"", purpose=Purpose.REQUEST, call=1
    )


def take_all(ids, count, now, busy=()):
    return [ids.take(now, LIFETIME, busy) for _ in range(count)]


def test_frame_and_stamp():
    framed = frame(0, 2, b"\xc0", ((11, b"5"), (11, b"0"), (11, b"2")), b"")
    assert stamp(framed, 0x20).hex() == "41020020c0b13501300132"
    assert stamp(framed, 0xABCD).hex() == "4102abcdc0b13501300132"
    assert stamp(frame(2, 0x45, b"", (), b"x"), 1).hex() == "60450001ff78"


def test_a_long_token_is_refused():
    with pytest.raises(MessageFormatError):
        frame(0, 1, bytes(9), (), b"")


def test_empty_messages():
    assert empty_ack(0x1234).hex() == "60001234"
    assert reset(0xFF01).hex() == "7000ff01"


def test_retransmission_doubles_the_wait():
    message = outgoing()
    first = stamp(message.datagram, 1)
    message.begin(first, 1, 2.5, 4, 0.0)
    times = []
    while True:
        times.append(message.deadline)
        again = message.relaunch(message.deadline)
        if again is None:
            break
        assert again == first
    assert times == [2.5, 7.5, 17.5, 37.5, 77.5]


def test_a_non_confirmable_message_is_sent_once():
    message = outgoing(confirmable=False)
    message.begin(stamp(message.datagram, 1), 1, 2.5, 0, 0.0)
    assert message.datagram.hex() == "51010001a1"
    assert message.relaunch(2.5) is None


@pytest.mark.parametrize("policy", list(MidExhaustion))
def test_ids_ascend_and_wrap(policy):
    ids = MessageIds(0xFFFE, policy)
    assert take_all(ids, 4, 0.0) == [0xFFFE, 0xFFFF, 0, 1]
    assert MessageIds(65536, policy).take(0.0, LIFETIME, ()) == 0


def test_an_id_in_flight_is_skipped():
    ids = MessageIds(5, MidExhaustion.REUSE_COMPLETED)
    assert ids.take(0.0, LIFETIME, {5, 6}) == 7


def test_waiting_never_reuses_an_id_within_the_lifetime():
    ids = MessageIds(0, MidExhaustion.WAIT)
    assert take_all(ids, 1024, 0.0)[-1] == 1023
    assert take_all(ids, 65536 - 1024, 10.0)[-1] == 65535
    assert ids.take(246.9, LIFETIME, ()) is None
    assert ids.free_at == 247.0
    assert take_all(ids, 1024, 247.0) == list(range(1024))
    assert ids.take(256.9, LIFETIME, ()) is None
    assert ids.take(257.0, LIFETIME, ()) == 1024


def test_waiting_from_a_start_inside_a_segment():
    ids = MessageIds(1000, MidExhaustion.WAIT)
    taken = take_all(ids, 65536 - 1000, 0.0)
    assert taken == list(range(1000, 65536))
    assert ids.take(1.0, LIFETIME, ()) is None  # the segment of the start is watched as a whole


def test_completed_ids_are_reused_at_once():
    ids = MessageIds(0, MidExhaustion.REUSE_COMPLETED)
    assert take_all(ids, 65537, 0.0)[-1] == 0


def test_unsettled_ids_are_waited_for():
    ids = MessageIds(0, MidExhaustion.REUSE_COMPLETED)
    take_all(ids, 65536, 0.0)
    ids.unsettled(1500, 20.0)
    assert take_all(ids, 1024, 21.0)[-1] == 1023
    assert ids.take(266.9, LIFETIME, ()) is None
    assert ids.free_at == 267.0
    assert ids.take(267.0, LIFETIME, ()) == 1024


@pytest.mark.parametrize("first", [5, 1020, 1023, 0xFFFC, 0xFFFF, 0])
def test_ids_may_be_taken_in_a_run(first):
    ids = MessageIds(first, MidExhaustion.REUSE_COMPLETED)
    assert ids.take_run(10, 0.0, LIFETIME, {}) == first
    assert ids.take(0.0, LIFETIME, ()) == (first + 10) % 65536


def test_a_run_begins_behind_an_id_in_flight():
    ids = MessageIds(5, MidExhaustion.REUSE_COMPLETED)
    assert ids.take_run(4, 0.0, LIFETIME, {5, 11}) == 6
    assert ids.take_run(4, 0.0, LIFETIME, {5, 11}) == 13  # 10 and 12 were tried


def test_a_run_of_ids_waits_as_one_does():
    ids = MessageIds(0, MidExhaustion.WAIT)
    take_all(ids, 65536 - 4, 0.0)
    assert ids.take_run(8, 1.0, LIFETIME, {}) is None
    assert ids.take_run(1, 1.0, LIFETIME, {}) is None
    assert ids.take_run(8, 247.0, LIFETIME, {}) == 0


def test_ids_in_flight_at_every_turn_leave_no_run():
    busy = set(range(0, 65536, 4))
    ids = MessageIds(1, MidExhaustion.REUSE_COMPLETED)
    assert ids.take_run(3, 0.0, LIFETIME, busy) == 1
    assert ids.take_run(4, 0.0, LIFETIME, {2, 6}) == 8


@pytest.mark.parametrize(
    ("first", "busy", "expected"),
    [
        (5, (), range(5, 15)),
        (1020, (), range(1020, 1024)),
        (0xFFFC, {3}, range(0xFFFC, 0x10000)),
        (5, {5, 9}, range(6, 9)),
    ],
)
def test_ids_may_be_taken_as_they_come(first, busy, expected):
    ids = MessageIds(first, MidExhaustion.REUSE_COMPLETED)
    assert ids.take_some(10, 1.0, 0.0, LIFETIME, busy) == expected
    assert ids.take(0.0, LIFETIME, ()) == expected.stop % 65536


def test_ids_taken_as_they_come_count_as_used_to_the_end():
    ids = MessageIds(0, MidExhaustion.WAIT)
    for _ in range(1024):
        assert len(ids.take_some(64, 20.0, 0.0, LIFETIME, ())) == 64
    assert ids.take_some(64, 20.0, 0.0, LIFETIME, ()) is None
    assert ids.take_some(64, 267.0, 266.9, LIFETIME, ()) is None
    assert ids.take_some(64, 268.0, 267.0, LIFETIME, ()) == range(64)


def test_ids_that_were_not_used_are_given_back():
    ids = MessageIds(0xFFF0, MidExhaustion.REUSE_COMPLETED)
    assert ids.take_some(64, 1.0, 0.0, LIFETIME, ()) == range(0xFFF0, 0x10000)
    ids.give_back(range(0xFFF8, 0x10000))
    assert ids.take(0.0, LIFETIME, ()) == 0xFFF8
    ids.give_back(range(0xFFF1, 0xFFF8))  # one was taken behind them
    ids.give_back(range(0))
    assert ids.take(0.0, LIFETIME, ()) == 0xFFF9


def test_a_distrusted_peer_is_waited_for():
    ids = MessageIds(0, MidExhaustion.REUSE_COMPLETED)
    take_all(ids, 65536, 0.0)
    ids.distrust()
    assert ids.take(1.0, LIFETIME, ()) is None
