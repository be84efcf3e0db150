"""Observations, from both sides (RFC 7641)."""

import pytest

from lwm2m_fota.coap.endpoint import EndpointLimits, FailureReason, Request, Response
from lwm2m_fota.coap.events import CallFailed, Notified, ObserverLost, RequestReceived, ResponseReceived
from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.errors import MessageFormatError, UsageError

STATE = ((11, b"5"), (11, b"0"), (11, b"3"))
REGISTER = "41010001b06051350130" + "0133"


def only(events):
    assert len(events) == 1
    return events[0]


def observe(coap, *tokens, answer="61450001b06105ff30", **kw):
    """An observation of /5/0/3 whose registration was answered with Observe 5 and value 0."""
    endpoint = coap.make("b0", *tokens, **kw)
    call = endpoint.request("peer", Request(1, STATE, observe=True), 0.0)
    assert coap.sent(endpoint) == [REGISTER]
    event = only(coap.feed(endpoint, answer))
    assert isinstance(event, ResponseReceived)
    return endpoint, call, event


def test_registration_and_notifications(coap):
    endpoint, call, event = observe(coap)
    assert (event.call, event.observing, event.message.payload) == (call, True, b"0")
    event = only(coap.feed(endpoint, "41451000b06106ff31", 1.0))
    assert (type(event), event.call, event.peer, event.message.payload) == (Notified, call, "peer", b"1")
    assert coap.sent(endpoint) == ["60001000"]
    assert only(coap.feed(endpoint, "51451001b06107ff32", 2.0)).message.payload == b"2"
    assert coap.sent(endpoint) == []


def test_an_old_notification_is_acknowledged_and_not_reported(coap):
    endpoint, _, _ = observe(coap)
    assert len(coap.feed(endpoint, "41451001b06107ff32", 1.0)) == 1
    assert coap.feed(endpoint, "41451000b06106ff31", 2.0) == []
    assert coap.sent(endpoint) == ["60001001", "60001000"]
    assert len(coap.feed(endpoint, "51451002b06101ff33", 129.1)) == 1


def test_a_repeated_notification_is_reported_once(coap):
    endpoint, _, _ = observe(coap)
    assert len(coap.feed(endpoint, "41451000b06106ff31 41451000b06106ff31", 1.0)) == 1
    assert coap.sent(endpoint) == ["60001000", "60001000"]


def test_a_peer_that_does_not_take_the_observation(coap):
    endpoint, _call, event = observe(coap, answer="61450001b0ff30")
    assert not event.observing
    assert coap.feed(endpoint, "41451000b06106ff31") == []
    assert coap.sent(endpoint) == ["70001000"]


def test_an_error_is_no_observation(coap):
    _, _, event = observe(coap, answer="61840001b06105")
    assert not event.observing


@pytest.mark.parametrize("final", ["41841000b0", "41841000b06106", "41451000b0ff39"])
def test_the_peer_ends_the_observation(coap, final):
    endpoint, call, _ = observe(coap)
    event = only(coap.feed(endpoint, final, 1.0))
    assert (type(event), event.call, event.observing) == (ResponseReceived, call, False)
    coap.sent(endpoint)
    assert coap.feed(endpoint, "51451001b06107ff32", 2.0) == []
    assert coap.sent(endpoint) == ["70001001"]


def test_cancelling_tells_the_peer_and_resets_what_comes_late(coap):
    endpoint, call, _ = observe(coap)
    endpoint.cancel(call, 1.0)
    assert coap.sent(endpoint) == ["41010002b0610151350130" + "0133"]
    assert coap.feed(endpoint, "41451000b06106ff31", 1.1) == []
    assert coap.sent(endpoint) == ["70001000"]
    endpoint.handle_timeout(3.5)
    assert coap.sent(endpoint) == ["41010002b0610151350130" + "0133"]
    assert coap.feed(endpoint, "61450002b0ff31", 4.0) == []
    endpoint.handle_timeout(10.0)
    assert coap.sent(endpoint) == []
    endpoint.cancel(call, 11.0)
    with pytest.raises(UsageError):
        endpoint.cancel(call + 1, 11.0)


@pytest.mark.parametrize("reply", ["60000002", "70000002", ""])
def test_nobody_hears_how_a_cancellation_ends(coap, reply):
    endpoint, call, _ = observe(coap)
    endpoint.cancel(call, 0.0)
    assert coap.feed(endpoint, reply) == []
    for now in (2.5, 7.5, 17.5, 37.5, 77.5, 93.0):
        endpoint.handle_timeout(now)
    assert endpoint.take_events() == []


def test_forgetting_says_nothing(coap):
    endpoint, call, _ = observe(coap)
    endpoint.cancel(call, 1.0, forget=True)
    assert coap.sent(endpoint) == []
    coap.feed(endpoint, "51451000b06106ff31")
    assert coap.sent(endpoint) == ["70001000"]


def test_a_composite_observation_is_cancelled_with_its_body(coap):
    endpoint = coap.make("b0")
    call = endpoint.request("peer", Request(5, (), b"x", observe=True), 0.0)
    coap.feed(endpoint, "61450001b06105ff30")
    endpoint.cancel(call, 1.0)
    assert coap.sent(endpoint) == ["41050001b060ff78", "41050002b06101ff78"]


def test_cancelling_before_the_first_answer(coap):
    endpoint = coap.make("b0", "b1")
    call = endpoint.request("peer", Request(1, observe=True), 0.0)
    queued = endpoint.request("peer", Request(1), 0.0)
    endpoint.cancel(queued, 0.5)
    endpoint.cancel(call, 1.0)
    endpoint.handle_timeout(2.5)
    assert coap.sent(endpoint) == ["41010001b060"]
    assert endpoint.take_events() == []
    assert coap.feed(endpoint, "61450001b06105ff30") == []


def test_an_observation_outlives_silence(coap):
    endpoint, _, _ = observe(coap)
    for now in (2.5, 247.0, 500.0, 1000.0):
        endpoint.handle_timeout(now)
    assert endpoint.take_events() == []
    assert len(coap.feed(endpoint, "51451000b06100ff31", 1000.0)) == 1


def test_unreachable_spares_an_observation(coap):
    endpoint, _, _ = observe(coap, limits=EndpointLimits(fail_on_unreachable=True))
    endpoint.unreachable("peer", 1.0)
    assert endpoint.take_events() == []


def block(mid, token, num, more, payload, observe=None):
    head = f"4145{mid:04x}{token}" if observe is not None else f"6145{mid:04x}{token}"
    options = f"61{observe:02x}d104" if observe is not None else "d10a"
    return f"{head}{options}{num << 4 | more << 3:02x}ff{payload.hex()}"


def test_a_notification_in_blocks_is_reported_whole(coap):
    endpoint, call, _ = observe(coap, "b1")
    assert coap.feed(endpoint, block(0x1000, "b0", 0, 1, b"a" * 16, observe=6)) == []
    assert coap.sent(endpoint) == ["60001000", "41010002b1b13501300133c110"]
    event = only(coap.feed(endpoint, block(2, "b1", 1, 0, b"b")))
    assert (type(event), event.call, event.message.payload) == (Notified, call, b"a" * 16 + b"b")
    assert event.message.uint(6) == 6
    assert len(coap.feed(endpoint, "51451001b06107ff32", 2.0)) == 1


def test_a_newer_notification_replaces_one_that_is_still_gathered(coap):
    endpoint, _, _ = observe(coap, "b1")
    coap.feed(endpoint, block(0x1000, "b0", 0, 1, b"a" * 16, observe=6))
    event = only(coap.feed(endpoint, "51451001b06107ff32"))
    assert event.message.payload == b"2"
    coap.sent(endpoint)
    assert coap.feed(endpoint, block(2, "b1", 1, 0, b"b")) == []
    endpoint.handle_timeout(2.5)
    assert coap.sent(endpoint) == []


def test_a_first_answer_in_blocks(coap):
    endpoint = coap.make("b0", "b1")
    call = endpoint.request("peer", Request(1, observe=True), 0.0)
    assert coap.feed(endpoint, "61450001b06105d10408ff" + "61" * 16) == []
    event = only(coap.feed(endpoint, block(2, "b1", 1, 0, b"b")))
    assert (event.call, event.observing, event.message.payload) == (call, True, b"a" * 16 + b"b")


def test_an_error_while_a_notification_is_gathered_ends_the_observation(coap):
    endpoint, call, _ = observe(coap, "b1")
    coap.feed(endpoint, block(0x1000, "b0", 0, 1, b"a" * 16, observe=6))
    event = only(coap.feed(endpoint, "61840002b1"))
    assert (type(event), event.call, event.observing) == (ResponseReceived, call, False)


def test_a_reset_while_a_notification_is_gathered_ends_the_observation(coap):
    endpoint, call, _ = observe(coap, "b1")
    coap.feed(endpoint, block(0x1000, "b0", 0, 1, b"a" * 16, observe=6))
    event = only(coap.feed(endpoint, "70000002"))
    assert (type(event), event.call, event.reason) == (CallFailed, call, FailureReason.RESET)


# -- the server's side

CONTENT = Response(0x45, ((6, b"\x06"),), b"1")


def test_a_confirmable_notification(coap):
    endpoint = coap.make(mid=0x1000)
    event = only(coap.feed(endpoint, REGISTER))
    assert isinstance(event, RequestReceived)
    endpoint.respond(event.exchange, Response(0x45, ((6, b"\x05"),), b"0"), 0.0)
    endpoint.notify("peer", event.message.token, CONTENT, 1.0, confirmable=True)
    assert coap.sent(endpoint) == ["61450001b06105ff30", "41451000b06106ff31"]
    assert coap.feed(endpoint, "60001000", 1.5) == []
    endpoint.handle_timeout(3.5)
    assert coap.sent(endpoint) == []


def test_a_response_acknowledges_no_notification(coap):
    endpoint = coap.make(mid=0x1000)
    endpoint.notify("peer", b"\xb0", CONTENT, 0.0, confirmable=True)
    assert coap.feed(endpoint, "61451000b0") == []
    endpoint.handle_timeout(2.5)
    assert coap.sent(endpoint) == ["41451000b06106ff31"] * 2


def test_notification_numbers_ascend(coap):
    endpoint = coap.make()
    numbers = [endpoint.notify("peer", b"\xb0", CONTENT, 0.0, confirmable=False) for _ in range(3)]
    assert numbers == [1, 2, 3]


def test_a_refused_confirmable_notification_loses_the_observer(coap):
    endpoint = coap.make(mid=0x1000)
    endpoint.notify("peer", b"\xb0", CONTENT, 0.0, confirmable=True)
    endpoint.notify("peer", b"\xb0", CONTENT, 0.0, confirmable=True)
    endpoint.notify("peer", b"\xb1", CONTENT, 0.0, confirmable=True)
    assert coap.sent(endpoint) == ["41451000b06106ff31"]
    endpoint.handle_timeout(1.0)
    events = coap.feed(endpoint, "70001000", 1.0)
    assert events == [ObserverLost("peer", b"\xb0", FailureReason.RESET)]
    assert coap.sent(endpoint) == ["41451001b16106ff31"]


def test_an_unacknowledged_notification_loses_the_observer(coap):
    endpoint = coap.make(parameters=TransmissionParameters(max_retransmit=0))
    for _ in range(2):
        endpoint.notify("peer", b"\xb0", CONTENT, 0.0, confirmable=True)
    endpoint.handle_timeout(2.5)
    assert coap.sent(endpoint) == ["41450001b06106ff31"]
    assert endpoint.take_events() == [ObserverLost("peer", b"\xb0", FailureReason.TIMEOUT)]


def test_a_refused_non_confirmable_notification_loses_the_observer_once(coap):
    endpoint = coap.make(mid=0x1000)
    endpoint.notify("peer", b"\xb0", CONTENT, 0.0, confirmable=False)
    assert coap.sent(endpoint) == ["51451000b06106ff31"]
    assert coap.feed(endpoint, "70001000 70001000") == [ObserverLost("peer", b"\xb0", FailureReason.RESET)]


@pytest.mark.parametrize(("observe", "left"), [("6101", ["41451001b16106ff31"]), ("60", ["41451001b06106ff31"])])
def test_a_cancelled_observation_gets_none_that_waits_for_its_turn(coap, observe, left):
    """RFC 7641 section 3.6: what is under way already cannot be called back, and another observation goes on."""
    endpoint = coap.make(mid=0x1000)
    for token in (b"\xb0", b"\xb0", b"\xb1"):
        endpoint.notify("peer", token, CONTENT, 0.0, confirmable=True)
    assert coap.sent(endpoint) == ["41451000b06106ff31"]
    assert isinstance(only(coap.feed(endpoint, f"41010001b0{observe}513501300133", 0.1)), RequestReceived)
    assert coap.feed(endpoint, "60001000", 0.2) == []
    assert coap.sent(endpoint) == left


def test_noted_notifications_are_bounded(coap):
    endpoint = coap.make(mid=1, limits=EndpointLimits(noted_notifications_per_peer=2))
    for token in (b"\x01", b"\x02", b"\x03"):
        endpoint.notify("peer", token, CONTENT, 0.0, confirmable=False)
    assert coap.feed(endpoint, "70000001") == []
    assert len(coap.feed(endpoint, "70000002 70000003")) == 2


def test_a_waiting_notification_gives_way_to_a_newer_one(coap):
    endpoint = coap.make("a0", mid=1, limits=EndpointLimits(queued_per_peer=2))
    endpoint.request("peer", Request(1), 0.0)
    for value in (b"1", b"2"):
        endpoint.notify("peer", b"\xb0", Response(0x45, ((6, value),), value), 0.0, confirmable=True)
    endpoint.notify("peer", b"\xb1", CONTENT, 0.0, confirmable=True)
    assert endpoint.take_events() == []
    endpoint.notify("peer", b"\xb2", CONTENT, 0.0, confirmable=True)
    assert endpoint.take_events() == [ObserverLost("peer", b"\xb2", FailureReason.EXHAUSTED)]
    coap.feed(endpoint, "61450001a0 60000002 60000003")
    assert coap.sent(endpoint) == ["41010001a0", "41450002b06132ff32", "41450003b16106ff31"]


def test_notification_mistakes_of_the_caller(coap):
    endpoint = coap.make()
    with pytest.raises(UsageError):
        endpoint.notify("peer", b"", Response(1), 0.0, confirmable=True)
    with pytest.raises(MessageFormatError):
        endpoint.notify("peer", bytes(9), CONTENT, 0.0, confirmable=True)
    assert coap.sent(endpoint) == []


def test_an_observation_ends_with_its_session(coap):
    endpoint, call, _ = observe(coap)
    endpoint.ended("peer", 1.0)
    event = only(endpoint.take_events())
    assert (type(event), event.call, event.reason) == (CallFailed, call, FailureReason.UNREACHABLE)
    assert coap.feed(endpoint, "41451000b06106ff31", 1.0) == []
