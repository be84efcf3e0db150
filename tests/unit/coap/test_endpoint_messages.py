"""The message layer, byte by byte: retransmission, acknowledgements, resets, duplicates, message ids."""

import pytest

from lwm2m_fota.coap.endpoint import EndpointLimits, FailureReason, MidExhaustion, Request, Response
from lwm2m_fota.coap.events import CallFailed, ObserverLost, RequestReceived, ResponseReceived
from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.errors import PeerResetError, PeerTimeoutError, TransportError, UsageError

EXECUTE = Request(2, ((11, b"5"), (11, b"0"), (11, b"2")))
V9 = "41020020c0b13501300132"


def execute(coap, **kw):
    endpoint = coap.make("c0", mid=0x20, **kw)
    call = endpoint.request("peer", EXECUTE, 0.0)
    assert coap.sent(endpoint) == [V9]
    return endpoint, call


def only(events):
    assert len(events) == 1
    return events[0]


# -- requests


def test_piggybacked_response(coap):
    endpoint, call = execute(coap)
    event = only(coap.feed(endpoint, "61440020c0"))
    assert isinstance(event, ResponseReceived)
    assert (event.call, event.peer, event.message.code, event.observing) == (call, "peer", 0x44, False)
    assert coap.sent(endpoint) == []


def test_retransmission_times_and_the_end(coap):
    endpoint, call = execute(coap)
    times = []
    while not (events := endpoint.take_events()):
        now = endpoint.next_deadline()
        endpoint.handle_timeout(now)
        if coap.sent(endpoint) == [V9]:
            times.append(now)
    assert times == [2.5, 7.5, 17.5, 37.5]
    assert now == 77.5
    event = only(events)
    assert isinstance(event, CallFailed)
    assert (event.call, event.peer, event.reason) == (call, "peer", FailureReason.TIMEOUT)
    assert isinstance(event.error, PeerTimeoutError)


def test_nothing_is_sent_before_its_time(coap):
    endpoint, _ = execute(coap)
    endpoint.handle_timeout(2.4)
    assert coap.sent(endpoint) == []
    assert endpoint.next_deadline() == 2.5


def test_own_parameters_for_one_peer(coap):
    endpoint = coap.make("c0", "c1", mid=0x20)
    endpoint.set_parameters("slow", TransmissionParameters(ack_timeout_s=8.0, max_retransmit=0))
    endpoint.request("slow", EXECUTE, 0.0)
    assert endpoint.next_deadline() == 10.0
    endpoint.handle_timeout(10.0)
    assert only(endpoint.take_events()).reason is FailureReason.TIMEOUT
    endpoint.set_parameters("slow", None)
    endpoint.request("slow", EXECUTE, 20.0)
    assert endpoint.next_deadline() == 22.5


def test_the_answer_to_a_retransmission_is_taken_once(coap):
    endpoint, _ = execute(coap)
    endpoint.handle_timeout(2.5)
    assert len(coap.feed(endpoint, "61440020c0 61440020c0", 3.0)) == 1
    endpoint.handle_timeout(7.5)
    assert coap.sent(endpoint) == [V9]  # that of 2.5 s


def test_reset_fails_the_call(coap):
    endpoint, call = execute(coap)
    event = only(coap.feed(endpoint, "70000020"))
    assert (event.call, event.reason) == (call, FailureReason.RESET)
    assert isinstance(event.error, PeerResetError)


def test_separate_response_is_acknowledged_again_and_reported_once(coap):
    endpoint, call = execute(coap)
    assert coap.feed(endpoint, "60000020") == []
    endpoint.handle_timeout(2.5)
    assert coap.sent(endpoint) == []
    event = only(coap.feed(endpoint, "41440777c0", 30.0))
    assert (event.call, event.message.code) == (call, 0x44)
    assert coap.sent(endpoint) == ["60000777"]
    assert coap.feed(endpoint, "41440777c0", 32.0) == []
    assert coap.sent(endpoint) == ["60000777"]


def test_the_copy_of_a_separate_response_is_silent_once_its_acknowledgement_had_to_go(coap):
    endpoint, _ = execute(coap, limits=EndpointLimits(cached_reply_bytes=0))
    coap.feed(endpoint, "60000020 41440777c0")
    assert coap.sent(endpoint) == ["60000777"]
    assert coap.feed(endpoint, "41440777c0") == []
    assert coap.sent(endpoint) == []


def test_separate_response_whose_acknowledgement_was_lost(coap):
    endpoint, _ = execute(coap)
    assert len(coap.feed(endpoint, "51440777c0")) == 1  # non-confirmable, before any acknowledgement
    assert coap.sent(endpoint) == []
    endpoint.handle_timeout(2.5)
    assert coap.sent(endpoint) == []


def test_the_wait_for_a_separate_response_ends(coap):
    endpoint, call = execute(coap)
    coap.feed(endpoint, "60000020", 1.0)
    endpoint.handle_timeout(93.9)
    assert endpoint.take_events() == []
    assert endpoint.next_deadline() == 94.0  # MAX_TRANSMIT_WAIT after the acknowledgement
    endpoint.handle_timeout(94.0)
    event = only(endpoint.take_events())
    assert (event.call, event.reason) == (call, FailureReason.TIMEOUT)


def test_the_wait_for_a_separate_response_is_a_limit(coap):
    endpoint, _ = execute(coap, limits=EndpointLimits(response_wait_s=5.0))
    coap.feed(endpoint, "60000020")
    endpoint.handle_timeout(5.0)
    assert only(endpoint.take_events()).reason is FailureReason.TIMEOUT


def test_non_confirmable_request(coap):
    endpoint = coap.make("c0", mid=0x20)
    call = endpoint.request("peer", Request(1, confirmable=False), 0.0)
    assert coap.sent(endpoint) == ["51010020c0"]
    assert coap.feed(endpoint, "61450020c0 60000020") == []  # nobody acknowledges this
    endpoint.handle_timeout(2.5)
    assert coap.sent(endpoint) == []
    assert endpoint.take_events() == []
    assert only(coap.feed(endpoint, "51450001c0", 50.0)).call == call


def test_non_confirmable_request_without_answer(coap):
    endpoint = coap.make("c0")
    endpoint.request("peer", Request(1, confirmable=False), 0.0)
    for now in (2.5, 92.9):
        endpoint.handle_timeout(now)
        assert endpoint.take_events() == []
    endpoint.handle_timeout(93.0)
    assert only(endpoint.take_events()).reason is FailureReason.TIMEOUT


@pytest.mark.parametrize(
    "noise",
    [
        "61440021c0",  # another message id
        "61020020c0",  # a request in an acknowledgement
        "61440020",  # cut off
        "71440020c0",  # a Reset is empty
        "60000021",
        "70000021",
        "50000020",  # an empty non-confirmable message
        "52450001ffff",  # non-confirmable, unknown token
        "51e10020c0",  # reserved code class
    ],
)
def test_what_answers_nothing_is_ignored(coap, noise):
    endpoint, _ = execute(coap)
    assert coap.feed(endpoint, noise) == []
    assert coap.sent(endpoint) == []
    endpoint.handle_timeout(2.5)
    assert coap.sent(endpoint) == [V9]


@pytest.mark.parametrize("noise", ["60000001", "70000001", "61450001c0", "5145000100", "51c0"])
def test_an_unknown_peer_leaves_no_trace(coap, noise):
    endpoint = coap.make()
    assert coap.feed(endpoint, noise) == []
    assert coap.sent(endpoint) == []
    assert endpoint.next_deadline() is None


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        ("40001234", "70001234"),  # ping
        ("41450005aa", "70000005"),  # response to nothing
        ("40e10006", "70000006"),  # reserved code class
        ("490100071122334455667788", "70000007"),  # token length 9
        ("4001000eff", "7000000e"),  # marker without payload
        ("40010008f1", "70000008"),  # reserved option nibble
        ("4100000901", "70000009"),  # Empty with a token
    ],
)
def test_confirmable_messages_without_a_place_are_reset(coap, data, answer):
    endpoint = coap.make()
    assert coap.feed(endpoint, data) == []
    assert coap.sent(endpoint) == [answer]


@pytest.mark.parametrize("data", ["", "40", "400100", "80011234", "c0011234ff", "59010007", "6f450001", "7000000101"])
def test_other_unreadable_bytes_are_dropped(coap, data):
    endpoint = coap.make()
    endpoint.receive(bytes.fromhex(data), "peer", 0.0)
    assert coap.sent(endpoint) == []
    assert endpoint.take_events() == []


# -- requests that arrive


def requested(coap, endpoint, data, now=0.0):
    event = only(coap.feed(endpoint, data, now))
    assert isinstance(event, RequestReceived)
    return event


def test_piggybacked_answer_and_its_copy(coap):
    endpoint = coap.make()
    event = requested(coap, endpoint, V9)
    assert (event.peer, event.message.code, event.message.path(), event.repeated) == ("peer", 2, ("5", "0", "2"), False)
    endpoint.respond(event.exchange, Response(0x44), 0.5)
    assert coap.sent(endpoint) == ["61440020c0"]
    assert coap.feed(endpoint, V9, 2.0) == []
    assert coap.sent(endpoint) == ["61440020c0"]


def test_a_copy_after_exchange_lifetime_is_a_new_request(coap):
    endpoint = coap.make()
    event = requested(coap, endpoint, V9)
    endpoint.respond(event.exchange, Response(0x44), 0.0)
    assert coap.feed(endpoint, V9, 246.9) == []
    assert not requested(coap, endpoint, V9, 247.0).repeated


def test_the_same_id_with_other_bytes_is_a_new_request(coap):
    endpoint = coap.make()
    endpoint.respond(requested(coap, endpoint, V9).exchange, Response(0x44), 0.0)
    other = requested(coap, endpoint, "41020020c1b13501300132")
    endpoint.respond(other.exchange, Response(0x85), 0.0)
    assert coap.sent(endpoint) == ["61440020c0", "61850020c1"]


def test_an_idempotent_answer_is_asked_for_again(coap):
    endpoint = coap.make()
    event = requested(coap, endpoint, "41010010b0")
    endpoint.respond(event.exchange, Response(0x45, payload=b"x", idempotent=True), 0.0)
    again = requested(coap, endpoint, "41010010b0", 2.0)
    assert again.repeated
    assert again.exchange != event.exchange
    endpoint.respond(again.exchange, Response(0x45, payload=b"x", idempotent=True), 2.0)
    assert coap.sent(endpoint) == ["61450010b0ff78"] * 2


def test_a_request_without_a_quick_answer_is_acknowledged_and_answered_separately(coap):
    endpoint = coap.make(mid=0x700)
    event = requested(coap, endpoint, V9)
    assert coap.feed(endpoint, V9, 0.5) == []  # an answer is still possible: say nothing
    assert coap.sent(endpoint) == []
    assert endpoint.next_deadline() == 1.0
    endpoint.handle_timeout(1.0)
    assert coap.sent(endpoint) == ["60000020"]
    assert coap.feed(endpoint, V9, 2.0) == []
    assert coap.sent(endpoint) == ["60000020"]
    endpoint.respond(event.exchange, Response(0x44), 10.0)
    assert coap.sent(endpoint) == ["41440700c0"]
    endpoint.handle_timeout(12.5)
    assert coap.sent(endpoint) == ["41440700c0"]
    assert coap.feed(endpoint, V9, 13.0) == []
    assert coap.sent(endpoint) == ["60000020"]
    coap.feed(endpoint, "60000700", 14.0)
    endpoint.handle_timeout(20.0)
    assert coap.sent(endpoint) == []


def test_a_separate_answer_that_is_refused_or_lost_ends_quietly(coap):
    endpoint = coap.make(mid=0x700)
    for reply in ("70000700", ""):
        event = requested(coap, endpoint, f"4102{0x20 + len(reply):04x}c0")
        endpoint.handle_timeout(1.0)
        endpoint.respond(event.exchange, Response(0x44), 1.0)
        assert coap.feed(endpoint, reply, 1.0) == []
    for now in (3.5, 8.5, 18.5, 38.5, 78.5):
        endpoint.handle_timeout(now)
    assert endpoint.take_events() == []
    assert len(coap.sent(endpoint)) == 2 + 2 + 4


def test_the_acknowledgement_delay_is_a_limit(coap):
    endpoint = coap.make(limits=EndpointLimits(ack_delay_s=0.0))
    requested(coap, endpoint, V9)
    assert endpoint.next_deadline() == 0.0
    endpoint.handle_timeout(0.0)
    assert coap.sent(endpoint) == ["60000020"]


def test_a_non_confirmable_request_gets_a_non_confirmable_answer_once(coap):
    endpoint = coap.make(mid=0x700)
    event = requested(coap, endpoint, "51010010b0")
    assert coap.feed(endpoint, "51010010b0") == []
    endpoint.respond(event.exchange, Response(0x45), 0.0)
    assert coap.feed(endpoint, "51010010b0", 144.9) == []
    assert coap.sent(endpoint) == ["51450700b0"]
    assert not requested(coap, endpoint, "51010010b0", 145.0).repeated  # NON_LIFETIME


def test_an_answer_comes_too_late_or_twice(coap):
    endpoint = coap.make(limits=EndpointLimits(exchange_wait_s=10.0))
    event = requested(coap, endpoint, V9)
    endpoint.handle_timeout(1.0)
    endpoint.handle_timeout(10.0)
    endpoint.respond(event.exchange, Response(0x44), 11.0)
    quick = requested(coap, endpoint, "41020021c0", 12.0)
    endpoint.respond(quick.exchange, Response(0x44), 12.0)
    endpoint.respond(quick.exchange, Response(0x45), 12.0)
    assert coap.sent(endpoint) == ["60000020", "61440021c0"]


def test_an_exchange_may_end_before_its_acknowledgement_is_due(coap):
    endpoint = coap.make(limits=EndpointLimits(exchange_wait_s=0.5))
    requested(coap, endpoint, V9)
    assert endpoint.next_deadline() == 0.5
    endpoint.handle_timeout(0.5)
    assert endpoint.next_deadline() == 247.0
    assert coap.sent(endpoint) == []


def test_response_mistakes_of_the_caller(coap):
    endpoint = coap.make()
    event = requested(coap, endpoint, V9)
    with pytest.raises(UsageError):
        endpoint.respond(event.exchange, Response(0x02), 0.0)
    with pytest.raises(UsageError):
        endpoint.respond(event.exchange + 1, Response(0x44), 0.0)
    with pytest.raises(UsageError):
        endpoint.respond(0, Response(0x44), 0.0)
    endpoint.respond(event.exchange, Response(0x44, ((12, b""), (4, b"\x01"))), 0.0)
    assert coap.sent(endpoint) == ["61440020c0410180"]


def test_open_exchanges_are_bounded_and_a_copy_finds_room_later(coap):
    endpoint = coap.make(limits=EndpointLimits(exchanges_per_peer=1))
    first = requested(coap, endpoint, "40010001")
    assert coap.feed(endpoint, "40010002") == []
    endpoint.respond(first.exchange, Response(0x45), 0.0)
    requested(coap, endpoint, "40010002")


# -- NSTART


def test_one_interaction_at_a_time(coap):
    endpoint = coap.make("a0", "a1", "a2", mid=1)
    for _ in range(3):
        endpoint.request("peer", Request(1), 0.0)
    assert coap.sent(endpoint) == ["41010001a0"]
    coap.feed(endpoint, "61450001a0")
    assert coap.sent(endpoint) == ["41010002a1"]
    coap.feed(endpoint, "60000002")  # acknowledged: no longer outstanding
    assert coap.sent(endpoint) == ["41010003a2"]
    assert [event.message.token.hex() for event in coap.feed(endpoint, "61450003a2 41450001a1")] == ["a2", "a1"]


def test_a_given_up_message_lets_the_next_one_go(coap):
    endpoint = coap.make("a0", "a1", parameters=TransmissionParameters(max_retransmit=0))
    for _ in range(2):
        endpoint.request("peer", Request(1), 0.0)
    endpoint.handle_timeout(2.5)
    assert coap.sent(endpoint) == ["41010001a0", "41010002a1"]
    endpoint.handle_timeout(4.9)
    assert len(endpoint.take_events()) == 1
    endpoint.handle_timeout(5.0)
    assert len(endpoint.take_events()) == 1


def test_nstart_of_two(coap):
    endpoint = coap.make("a0", "a1", "a2", parameters=TransmissionParameters(nstart=2))
    for now in (0.0, 1.0, 1.0):
        endpoint.request("peer", Request(1), now)
    assert coap.sent(endpoint) == ["41010001a0", "41010002a1"]
    endpoint.handle_timeout(2.5)
    assert coap.sent(endpoint) == ["41010001a0"]
    assert endpoint.next_deadline() == 3.5


def test_peers_do_not_wait_for_each_other(coap):
    endpoint = coap.make("a0", "a1")
    endpoint.request("one", Request(1), 0.0)
    endpoint.request("two", Request(1), 0.0)
    assert [peer for _, peer in endpoint.take_datagrams()] == ["one", "two"]


def test_the_queue_is_bounded(coap):
    endpoint = coap.make(limits=EndpointLimits(queued_per_peer=1))
    calls = [endpoint.request("peer", Request(1), 0.0) for _ in range(3)]
    event = only(endpoint.take_events())
    assert (event.call, event.reason) == (calls[2], FailureReason.EXHAUSTED)
    assert isinstance(event.error, TransportError)


def test_calls_are_bounded(coap):
    endpoint = coap.make(limits=EndpointLimits(calls_per_peer=1))
    calls = [endpoint.request("peer", Request(1), 0.0) for _ in range(2)]
    event = only(endpoint.take_events())
    assert (event.call, event.reason) == (calls[1], FailureReason.EXHAUSTED)


# -- message ids


def use_up(endpoint, count, now):
    """Give message ids out as so many exchanges would, without making them."""
    state = endpoint._messages.peers.admit("peer", now)
    for _ in range(count):
        state.ids.take(now, 247.0, ())


def test_waiting_for_a_free_message_id(coap):
    endpoint = coap.make("a0", mid=0, limits=EndpointLimits(mid_exhaustion=MidExhaustion.WAIT))
    use_up(endpoint, 65536, 1.0)
    endpoint.request("peer", Request(1), 2.0)
    endpoint.notify("peer", b"\x01", Response(0x45), 2.0, confirmable=False)  # lost, as such messages may be
    assert coap.sent(endpoint) == []
    endpoint.handle_timeout(247.9)
    assert coap.sent(endpoint) == []
    assert endpoint.next_deadline() == 248.0
    endpoint.handle_timeout(248.0)
    assert coap.sent(endpoint) == ["41010000a0"]


def test_completed_message_ids_come_round_at_once(coap):
    endpoint = coap.make("a0", mid=0)
    use_up(endpoint, 65536, 1.0)
    endpoint.request("peer", Request(1), 2.0)
    assert coap.sent(endpoint) == ["41010000a0"]


def test_a_peer_that_remembers_completed_ids_is_waited_for(coap):
    endpoint = coap.make("a0", "a1", mid=7)
    endpoint.request("peer", Request(1), 0.0)
    coap.feed(endpoint, "61450007a0")
    endpoint.request("peer", Request(1), 1.0)
    coap.sent(endpoint)
    assert coap.feed(endpoint, "61450008ee", 1.0) == []  # an answer of old to this id
    assert coap.sent(endpoint) == ["41010400a1"]  # the whole segment of ids is left behind
    assert coap.feed(endpoint, "61450008ee", 1.0) == []
    assert only(coap.feed(endpoint, "61450400a1", 1.0)).message.token == b"\xa1"
    use_up(endpoint, 65536 - 1025, 1.0)
    endpoint.request("peer", Request(1), 2.0)
    assert coap.sent(endpoint) == []  # and waited for


def leave_unsettled(endpoint, how):
    """Use message id 0 without a proof that the peer is done with it."""
    if how == "notification":
        endpoint.notify("peer", b"\xb0", Response(0x45), 0.0, confirmable=False)
        return
    call = endpoint.request("peer", Request(1), 0.0)
    if how == "cancelled":
        endpoint.cancel(call, 0.0)
    for now in (2.5, 7.5, 17.5, 37.5, 77.5):
        endpoint.handle_timeout(now)


@pytest.mark.parametrize("how", ["notification", "cancelled", "timed out"])
def test_ids_without_a_proof_are_waited_for(coap, how):
    endpoint = coap.make(mid=0)
    leave_unsettled(endpoint, how)
    use_up(endpoint, 65535, 80.0)
    coap.sent(endpoint)
    endpoint.request("peer", Request(1), 90.0)
    assert coap.sent(endpoint) == []
    endpoint.handle_timeout(247.0 + (77.5 if how == "timed out" else 0.0))
    assert len(coap.sent(endpoint)) == 1


def test_a_late_answer_stops_the_request_that_waits_for_a_new_id(coap):
    endpoint = coap.make("a0", mid=0, limits=EndpointLimits(mid_exhaustion=MidExhaustion.WAIT))
    use_up(endpoint, 65535, 1.0)
    endpoint.request("peer", Request(1), 2.0)
    assert coap.sent(endpoint) == ["4101ffffa0"]
    assert coap.feed(endpoint, "6145ffffee", 2.0) == []
    assert coap.sent(endpoint) == []  # no id is free
    assert len(coap.feed(endpoint, "51450001a0", 2.0)) == 1
    endpoint.handle_timeout(248.0)
    assert coap.sent(endpoint) == []


# -- peers


def test_an_idle_peer_is_forgotten_after_exchange_lifetime(coap):
    endpoint = coap.make()
    endpoint.respond(requested(coap, endpoint, V9).exchange, Response(0x44), 0.0)
    endpoint.handle_timeout(1.0)
    assert endpoint.next_deadline() == 247.0
    endpoint.handle_timeout(247.0)
    assert endpoint.next_deadline() is None


def test_every_message_of_ours_keeps_its_peer_known(coap):
    endpoint = coap.make("a0", "a1")
    endpoint.request("peer", Request(1), 0.0)
    coap.feed(endpoint, "61450001a0d10a08ff" + "61" * 16, 200.0)
    coap.feed(endpoint, "61450002a1d10a10ff62", 201.0)
    endpoint.handle_timeout(300.0)
    assert endpoint.next_deadline() == 447.0


def test_a_busy_peer_is_not_forgotten(coap):
    endpoint = coap.make("a0", "a1", limits=EndpointLimits(response_wait_s=1000.0))
    endpoint.request("peer", Request(1), 0.0)
    coap.feed(endpoint, "60000001")
    for now in (2.5, 247.0, 999.0):
        endpoint.handle_timeout(now)
    assert len(coap.feed(endpoint, "41450001a0", 999.5)) == 1


def test_the_least_recent_idle_peer_makes_room(coap):
    endpoint = coap.make(limits=EndpointLimits(peers=2))
    for peer in ("one", "two", "three"):
        (event,) = coap.feed(endpoint, V9, peer=peer)
        endpoint.respond(event.exchange, Response(0x44), 0.0)
    assert coap.feed(endpoint, V9, peer="two") == []
    assert len(coap.feed(endpoint, V9, peer="one")) == 1  # forgotten: a new request


def test_busy_peers_are_kept_and_newcomers_dropped(coap):
    endpoint = coap.make("a0", limits=EndpointLimits(peers=1))
    endpoint.request("one", Request(1), 0.0)
    assert coap.feed(endpoint, V9, peer="two") == []
    call = endpoint.request("two", Request(1), 0.0)
    event = only(endpoint.take_events())
    assert (event.call, event.peer, event.reason) == (call, "two", FailureReason.EXHAUSTED)
    endpoint.notify("two", b"\x01", Response(0x45), 0.0, confirmable=True)
    assert endpoint.take_events() == [ObserverLost("two", b"\x01", FailureReason.EXHAUSTED)]


def test_a_busy_peer_is_passed_over(coap):
    endpoint = coap.make("a0", limits=EndpointLimits(peers=2))
    endpoint.request("busy", Request(1), 0.0)
    (event,) = coap.feed(endpoint, V9, peer="idle")
    endpoint.respond(event.exchange, Response(0x44), 0.0)
    assert len(coap.feed(endpoint, V9, peer="new")) == 1
    assert len(coap.feed(endpoint, "61450001a0", peer="busy")) == 1


def test_unreachable_is_a_lost_datagram(coap):
    endpoint, _ = execute(coap)
    endpoint.unreachable("peer", 0.1)
    assert endpoint.take_events() == []


def test_unreachable_may_be_believed(coap):
    limits = EndpointLimits(fail_on_unreachable=True)
    endpoint, call = execute(coap, limits=limits)
    endpoint.unreachable("stranger", 0.1)
    endpoint.unreachable("peer", 0.1)
    event = only(endpoint.take_events())
    assert (event.call, event.reason) == (call, FailureReason.UNREACHABLE)
    endpoint.handle_timeout(2.5)
    assert coap.sent(endpoint) == []


# -- a session that has ended


def test_what_waits_for_a_session_that_has_ended_fails_at_once(coap):
    endpoint, sent = execute(coap)
    queued = endpoint.request("peer", EXECUTE, 0.0)
    other = endpoint.request("other", EXECUTE, 0.0)
    coap.sent(endpoint)
    endpoint.ended("stranger", 0.1)
    endpoint.ended("peer", 0.1)
    events = endpoint.take_events()
    assert [(event.call, event.reason) for event in events] == [
        (sent, FailureReason.UNREACHABLE),
        (queued, FailureReason.UNREACHABLE),
    ]
    assert all(isinstance(event.error, TransportError) for event in events)
    endpoint.handle_timeout(2.5)
    assert [peer for _, peer in endpoint.take_datagrams()] == ["other"]
    endpoint.cancel(other, 3.0)


def test_observers_and_requests_of_a_session_that_has_ended_are_forgotten(coap):
    endpoint = coap.make()
    for number in range(2):
        endpoint.notify(
            "peer",
            b"t",
            Response(
                0x45,
                (
                    (
                        6,
                        bytes([number]),
                    ),
                ),
            ),
            0.0,
            confirmable=True,
        )
    (asked,) = coap.feed(endpoint, V9)
    endpoint.ended("peer", 0.1)
    lost = only(endpoint.take_events())
    assert (type(lost), lost.token, lost.reason) == (ObserverLost, b"t", FailureReason.UNREACHABLE)
    coap.sent(endpoint)
    endpoint.respond(asked.exchange, Response(0x44), 0.2)
    assert coap.sent(endpoint) == []
    assert endpoint.next_deadline() is None


def test_a_session_that_comes_after_one_that_has_ended_is_a_new_peer(coap):
    endpoint, _ = execute(coap)
    endpoint.ended("peer", 0.1)
    endpoint.take_events()
    assert len(coap.feed(endpoint, V9, 0.2)) == 1
