"""The hot paths, block by block: what they take, and how they give everything else back to the ordinary way."""

import pytest

from lwm2m_fota.coap.block import Block, pack_block
from lwm2m_fota.coap.calls import Shrink
from lwm2m_fota.coap.endpoint import EndpointLimits, FailureReason, Request, Stream
from lwm2m_fota.coap.events import (
    BlockArrived,
    BlockWanted,
    BodyRestarted,
    CallFailed,
    ResponseReceived,
)
from lwm2m_fota.coap.message import Message, decode, encode, pack_uint, sort_options
from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.errors import UsageError

FIRMWARE = ((11, b"fw"),)
PACKAGE = ((11, b"5"), (11, b"0"), (11, b"0"), (12, b"\x2a"))
ETAG = (4, b"\x01")
BODY = bytes(range(256)) * 8  # 128 blocks of 16


def block_of(message, number):
    return Block.decode(message.first(number))


def content(request, *, szx=0, body=BODY, etag=ETAG, size2=True, kind=2, mid=None):
    """The answer to a request for a block, as bytes."""
    num = block_of(request, 23).num if request.first(23) is not None else 0
    size = 16 << szx
    payload = body[num * size : (num + 1) * size]
    more = (num + 1) * size < len(body)
    options = [etag, (23, pack_block(num, more, szx)), *([(28, pack_uint(len(body)))] if size2 else [])]
    mid = request.mid if mid is None else mid
    return encode(Message(kind, 0x45, mid, request.token, sort_options(options), payload))


class Client:
    """An endpoint, and the requests that it has sent."""

    def __init__(self, coap, **options):
        self.endpoint = coap.make(mid=1, **options)
        self.now = 0.0
        self.got = bytearray()
        self.events = []

    def sent(self):
        return [decode(data) for data, _ in self.endpoint.take_datagrams()]

    def only(self):
        (message,) = self.sent()
        return message

    def hear(self, data):
        """Take a datagram; store what comes, and ask on."""
        self.endpoint.receive(data, "peer", self.now)
        while events := self.endpoint.take_events():
            for event in events:
                if isinstance(event, BlockArrived):
                    assert event.offset == len(self.got)
                    self.got += event.payload
                    if not event.last:
                        self.endpoint.proceed(event.call, self.now)
                else:
                    self.events.append(event)

    def state(self):
        return self.endpoint._messages.peers.get("peer")

    def pull(self, blocks=0, *, window=1, **answer):
        """Begin, and fetch so many blocks."""
        self.call = self.endpoint.request("peer", Request(1, FIRMWARE), self.now, body=Stream(szx=0, window=window))
        for _ in range(blocks):
            self.hear(content(self.only(), **answer))


@pytest.fixture
def client(coap):
    return Client(coap)


def on_lane(client):
    return client.state().asking is not None


# -- pulls


def test_a_pull_is_on_its_lane_from_the_second_block_on(client):
    client.pull(1)
    assert on_lane(client)
    requests = []
    while not client.events:
        request = client.only()
        requests.append(request)
        client.hear(content(request))
    assert bytes(client.got) == BODY
    assert [block_of(request, 23).num for request in requests] == list(range(1, 128))
    assert {request.options[:1] for request in requests} == {FIRMWARE}
    assert len({request.token for request in requests}) == 127
    assert [request.mid for request in requests] == list(range(2, 129))
    (end,) = client.events
    assert (type(end), end.message.code, end.message.payload) == (ResponseReceived, 0x45, b"")
    assert not client.state().busy()
    assert not on_lane(client)


def test_blocks_gather_while_they_come_fast_and_not_when_they_come_slowly(coap):
    client = Client(coap, limits=EndpointLimits(batch_bytes=64, batch_s=0.25))
    lengths = []
    client.endpoint.request("peer", Request(1, FIRMWARE), 0.0, body=Stream(szx=0))
    for number in range(20):
        client.now += 0.3 if number > 10 else 0.0
        client.endpoint.receive(content(client.only()), "peer", client.now)
        for event in client.endpoint.take_events():
            lengths.append(len(event.payload))
            client.endpoint.proceed(event.call, client.now)
    assert lengths == [16, 16, 32, 64, 64, *[16] * 8]  # 11 fast blocks, and 9 slow ones


def test_a_block_that_is_not_as_expected_is_taken_the_ordinary_way(client):
    client.pull(2)
    request = client.only()
    odd = decode(content(request))
    client.hear(
        encode(Message(2, 0x45, odd.mid, odd.token, (*odd.options[:1], (14, b"\x3c"), *odd.options[1:]), odd.payload))
    )
    assert on_lane(client)  # a new one, that expects Max-Age
    client.hear(content(client.only()))
    assert len(client.got) == 4 * 16
    assert on_lane(client)


@pytest.mark.parametrize(
    "change",
    [
        lambda message: (message.mid ^ 0x100, message.token, message.payload),
        lambda message: (message.mid, b"\xff" * len(message.token), message.payload),
    ],
)
def test_an_answer_to_another_request_is_none_to_this_one(client, change):
    client.pull(2)
    expected = decode(content(client.only()))
    mid, token, payload = change(expected)
    client.hear(encode(Message(2, 0x45, mid, token, expected.options, payload)))
    assert len(client.got) == 2 * 16
    assert not client.events


def test_a_short_block_that_is_not_the_last_one_is_a_fault(client):
    client.pull(2)
    expected = decode(content(client.only()))
    client.hear(encode(Message(2, 0x45, expected.mid, expected.token, expected.options, b"short")))
    (end,) = client.events
    assert (type(end), end.reason) == (CallFailed, FailureReason.PROTOCOL)
    assert not client.state().busy()


def test_another_etag_begins_anew(client):
    client.pull(3)
    client.hear(content(client.only(), etag=(4, b"\x02")))
    assert isinstance(client.events.pop(), BodyRestarted)
    client.got.clear()
    while not client.events:
        client.hear(content(client.only(), etag=(4, b"\x02")))
    assert bytes(client.got) == BODY


def test_an_error_in_the_middle_ends_the_call_and_nothing_that_came_is_lost(coap):
    client = Client(coap)
    client.pull(6)  # 1, 1, 2 blocks were handed over; 2 wait for more
    assert len(client.got) == 4 * 16
    request = client.only()
    client.hear(encode(Message(2, 0xA3, request.mid, request.token)))
    (end,) = client.events
    assert (type(end), end.message.code) == (ResponseReceived, 0xA3)
    assert len(client.got) == 6 * 16


def test_a_peer_that_falls_silent_fails_the_call_and_nothing_that_came_is_lost(client):
    client.pull(6)
    first = client.only()
    again = []
    while not client.events:
        client.now = client.endpoint.next_deadline()
        client.endpoint.handle_timeout(client.now)
        again += client.sent()
        client.hear(b"")
    assert again == [first] * 4
    (end,) = client.events
    assert (type(end), end.reason) == (CallFailed, FailureReason.TIMEOUT)
    assert len(client.got) == 6 * 16
    assert not client.state().busy()


def test_a_retransmitted_request_is_answered_as_well(client):
    client.pull(3)
    request = client.only()
    client.now = client.endpoint.next_deadline()
    client.endpoint.handle_timeout(client.now)
    assert client.only() == request
    client.hear(content(request))
    client.hear(content(request))  # the answer comes twice: the second one answers nothing any more
    following = client.only()
    assert block_of(following, 23).num == 4
    client.hear(content(following))
    assert on_lane(client)
    assert not client.events


def test_a_separate_answer_ends_the_lane_and_the_transfer_goes_on(client):
    client.pull(3)
    request = client.only()
    client.hear(encode(Message(2, 0, request.mid)))  # an empty acknowledgement
    assert not on_lane(client)
    client.hear(content(request, kind=0, mid=0x7777))
    acknowledgement, following = client.sent()
    assert (acknowledgement.type, acknowledgement.code, acknowledgement.mid) == (2, 0, 0x7777)
    assert block_of(following, 23).num == 4
    assert not on_lane(client)  # the next answer may be a separate one too
    client.hear(content(following))
    assert on_lane(client)
    assert len(client.got) == 5 * 16 - 16  # one waits


def test_a_separate_answer_without_an_acknowledgement_before_it(client):
    client.pull(3)
    request = client.only()
    client.hear(content(request, kind=0, mid=0x7777))
    _, following = client.sent()
    assert block_of(following, 23).num == 4


def test_a_refused_request_fails_the_call(client):
    client.pull(3)
    client.hear(encode(Message(3, 0, client.only().mid)))
    (end,) = client.events
    assert (type(end), end.reason) == (CallFailed, FailureReason.RESET)


def test_a_cancelled_call_withdraws_its_request(client):
    client.pull(3)
    request = client.only()
    client.endpoint.cancel(client.call, client.now)
    assert not client.state().busy()
    assert not on_lane(client)
    client.hear(content(request))
    assert client.sent() == []


def test_an_unreachable_peer_fails_the_call(coap):
    client = Client(coap, limits=EndpointLimits(fail_on_unreachable=True))
    client.pull(3)
    client.endpoint.unreachable("peer", 0.0)
    client.hear(b"")
    assert client.events[-1].reason is FailureReason.UNREACHABLE


def test_another_message_to_the_peer_has_its_turn_between_two_blocks(client):
    client.pull(3)
    request = client.only()
    client.endpoint.request("peer", Request(1, ((11, b"other"),)), client.now)
    assert client.sent() == []  # NSTART
    client.hear(content(request))
    other = client.only()
    assert other.path() == ("other",)
    client.hear(encode(Message(2, 0x45, other.mid, other.token)))
    following = client.only()
    assert block_of(following, 23).num == 4
    client.hear(content(following))
    assert on_lane(client)


def test_requests_made_ready_are_not_used_long_after(client):
    client.pull(3)
    client.now += 3600.0
    following = client.only()
    client.hear(content(following))
    later = client.only()
    assert later.mid == following.mid + 1  # those that were made ready were given back
    assert int.from_bytes(later.token, "big") == int.from_bytes(following.token, "big") + 13  # their tokens are lost
    assert on_lane(client)


def test_two_pulls_from_one_peer_both_end(coap):
    client = Client(coap, parameters=TransmissionParameters(nstart=2))
    got = {}
    for _ in range(2):
        got[client.endpoint.request("peer", Request(1, FIRMWARE), 0.0, body=Stream(szx=0))] = bytearray()
    ends = []
    while len(ends) < 2:
        for request in client.sent():
            client.endpoint.receive(content(request), "peer", 0.0)
        for event in client.endpoint.take_events():
            if isinstance(event, BlockArrived):
                got[event.call] += event.payload
                if not event.last:
                    client.endpoint.proceed(event.call, 0.0)
            else:
                ends.append(event)
    assert [bytes(body) for body in got.values()] == [BODY, BODY]


def test_a_body_over_the_limit_is_found_out_on_the_way(coap):
    client = Client(coap)
    client.endpoint.request("peer", Request(1, FIRMWARE), 0.0, body=Stream(szx=0, max_body_bytes=100))
    for _ in range(6):
        client.hear(content(client.only(), size2=False))
    assert not client.events
    client.hear(content(client.only(), size2=False))
    (end,) = client.events
    assert (type(end), end.reason) == (CallFailed, FailureReason.TOO_LARGE)


def test_a_token_that_is_in_use_is_not_used_again(coap):
    # the lane's tokens begin at c5, and c6 belongs to a call that waits
    client = Client(coap)
    client.endpoint = coap.make("c6", "a1", "c5", "b1", "b2", mid=1, parameters=TransmissionParameters(nstart=2))
    client.endpoint.request("peer", Request(1, ((11, b"waits"),)), 0.0)
    client.endpoint.request("peer", Request(1, FIRMWARE), 0.0, body=Stream(szx=0))
    client.hear(content(client.sent()[1]))
    request = client.only()
    assert request.token.hex() == "c5"
    client.hear(content(request))
    assert client.only().token.hex() == "b1"


# -- several requests under way


@pytest.fixture
def fast(coap):
    return Client(coap, parameters=TransmissionParameters(nstart=4))


def answer_all(client, requests):
    for request in requests:
        client.hear(content(request))


def test_a_window_opens_with_the_answers(fast):
    fast.pull(1, window=4)
    widths = []
    while not fast.events:
        widths.append(len(fast.state().in_flight))
        answer_all(fast, fast.sent())
    assert bytes(fast.got) == BODY
    assert max(widths) == 4
    assert widths[0] == widths[-1] == 1


def under_way(client, count):
    """Fetch until so many requests are under way; those requests."""
    client.pull(1, window=4)
    waiting = client.sent()
    while len(waiting) < count:
        client.hear(content(waiting.pop(0)))
        waiting += client.sent()
    return waiting


def test_others_have_their_turn_between_the_requests_of_a_window(fast):
    waiting = under_way(fast, 4)
    fast.endpoint.request("peer", Request(1, ((11, b"other"),)), fast.now)
    assert fast.sent() == []  # NSTART
    fast.hear(content(waiting[0]))
    other, *more = fast.sent()
    assert other.path() == ("other",)
    fast.hear(encode(Message(2, 0x45, other.mid, other.token)))
    waiting = [*waiting[1:], *more]
    while not any(isinstance(event, ResponseReceived) and event.call == fast.call for event in fast.events):
        answer_all(fast, waiting)
        waiting = fast.sent()
    assert bytes(fast.got) == BODY


def test_a_window_shrinks_its_blocks_after_losses(coap):
    client = Client(coap, parameters=TransmissionParameters(nstart=4))
    client.endpoint.request(
        "peer", Request(1, FIRMWARE), 0.0, body=Stream(szx=1, window=4, shrink=Shrink(losses=1, smallest_szx=0))
    )
    client.hear(content(client.only(), szx=1))
    client.now = client.endpoint.next_deadline()
    (lost,) = client.sent()
    client.endpoint.handle_timeout(client.now)
    assert client.only() == lost
    client.hear(content(lost, szx=1))
    assert block_of(client.only(), 23) == Block(4, False, 0)


def test_a_window_token_that_is_in_use_is_not_used_again(coap):
    client = Client(coap)
    client.endpoint = coap.make("c6", "a1", "c5", "b1", "b2", mid=1, parameters=TransmissionParameters(nstart=2))
    client.endpoint.request("peer", Request(1, ((11, b"waits"),)), 0.0)
    client.endpoint.request("peer", Request(1, FIRMWARE), 0.0, body=Stream(szx=0, window=2))
    client.hear(content(client.sent()[1]))
    request = client.only()
    assert request.token.hex() == "c5"
    client.hear(content(request))
    assert client.only().token.hex() == "b1"


def test_a_window_ends_at_the_limit_of_the_body(coap):
    client = Client(coap, parameters=TransmissionParameters(nstart=4))
    client.endpoint.request("peer", Request(1, FIRMWARE), 0.0, body=Stream(szx=0, max_body_bytes=100, window=4))
    for _ in range(6):
        client.hear(content(client.only(), size2=False))
    assert not client.events
    client.hear(content(client.only(), size2=False))
    (end,) = client.events
    assert (type(end), end.reason) == (CallFailed, FailureReason.TOO_LARGE)


def test_answers_out_of_order_are_put_in_order(fast):
    waiting = under_way(fast, 4)
    while not fast.events:
        answer_all(fast, reversed(waiting))
        waiting = fast.sent()
    assert bytes(fast.got) == BODY


def test_without_a_size_one_block_is_asked_for_at_a_time(fast):
    fast.pull(1, window=4, size2=False)
    while not fast.events:
        fast.hear(content(fast.only(), size2=False))
    assert bytes(fast.got) == BODY


def test_nstart_bounds_the_window(coap):
    client = Client(coap, parameters=TransmissionParameters(nstart=1))
    client.pull(1, window=8)
    while not client.events:
        client.hear(content(client.only()))


def test_a_lost_request_goes_out_again_after_three_later_answers(fast):
    lost, *others = under_way(fast, 4)
    answer_all(fast, others[:2])
    assert lost not in fast.sent()
    fast.hear(content(others[2]))
    again = fast.sent()
    assert again.count(lost) == 1
    width = len(fast.state().in_flight)
    assert width <= 2  # halved
    fast.hear(content(lost))
    while not fast.events:
        answer_all(fast, [request for request in [*again, *fast.sent()] if request != lost])
        again = []
    assert bytes(fast.got) == BODY


def test_a_request_that_timed_out_halves_the_window(fast):
    waiting = under_way(fast, 4)
    fast.now = fast.endpoint.next_deadline()
    while not (again := fast.sent()):
        fast.now = fast.endpoint.next_deadline()
        fast.endpoint.handle_timeout(fast.now)
    answer_all(fast, waiting)
    assert len(fast.state().in_flight) == 2
    assert set(map(str, again)) <= set(map(str, waiting))


def test_requests_that_are_given_up_fail_the_call(fast):
    under_way(fast, 4)
    while not fast.events:
        fast.now = fast.endpoint.next_deadline()
        fast.endpoint.handle_timeout(fast.now)
        fast.hear(b"")
    assert fast.events[0].reason is FailureReason.TIMEOUT
    assert not fast.state().busy()


def test_a_lost_request_that_may_not_go_out_again_waits_for_its_end(coap):
    client = Client(coap, parameters=TransmissionParameters(nstart=4, max_retransmit=0))
    lost, *others = under_way(client, 4)
    answer_all(client, others)
    assert lost not in client.sent()


def test_something_unexpected_out_of_turn_begins_again_at_the_gap(fast):
    first, second, *_ = under_way(fast, 4)
    fast.hear(content(second, etag=(4, b"\x02")))
    again = fast.only()
    assert block_of(again, 23).num == block_of(first, 23).num
    assert not on_lane(fast)
    assert len(fast.state().in_flight) == 1
    fast.hear(content(again))
    while not fast.events:
        answer_all(fast, fast.sent())
    assert bytes(fast.got) == BODY


def test_something_unexpected_in_turn_is_taken_and_the_others_are_withdrawn(fast):
    first, *others = under_way(fast, 4)
    fast.hear(content(first, etag=(4, b"\x02")))
    assert isinstance(fast.events.pop(), BodyRestarted)
    fast.got.clear()
    assert block_of(fast.only(), 23).num == 0
    answer_all(fast, others)
    assert len(fast.state().in_flight) == 1
    assert not fast.events


def test_an_empty_acknowledgement_out_of_turn_begins_again_at_the_gap(fast):
    first, second, *_ = under_way(fast, 4)
    fast.hear(encode(Message(2, 0, second.mid)))
    assert block_of(fast.only(), 23).num == block_of(first, 23).num


def test_what_comes_while_the_caller_is_busy_waits_for_it(coap):
    client = Client(coap, parameters=TransmissionParameters(nstart=4), limits=EndpointLimits(batch_bytes=0))
    waiting = under_way(client, 4)
    for request in waiting:
        client.endpoint.receive(content(request), "peer", client.now)
    assert client.sent() == []
    (arrived,) = client.endpoint.take_events()
    assert len(arrived.payload) == 16
    client.got += arrived.payload
    client.endpoint.proceed(arrived.call, client.now)
    (arrived,) = client.endpoint.take_events()  # the three others at once
    assert len(arrived.payload) == 48
    assert client.sent() == []
    client.endpoint.proceed(arrived.call, client.now)
    assert len(client.sent()) == 4


@pytest.mark.parametrize(
    "odd",
    [lambda asked: content(asked, etag=(4, b"\x02")), lambda asked: encode(Message(2, 0, asked.mid))],
    ids=["another body", "no answer yet"],
)
def test_something_unexpected_out_of_turn_while_the_caller_is_busy(coap, odd):
    """The lane is over, and the block that is asked for anew waits for the caller too."""
    client = Client(coap, parameters=TransmissionParameters(nstart=4), limits=EndpointLimits(batch_bytes=0))
    first, _, third, _ = under_way(client, 4)
    client.endpoint.receive(content(first), "peer", client.now)
    client.endpoint.receive(odd(third), "peer", client.now)
    client.endpoint.receive(content(client.only()), "peer", client.now)
    assert client.sent() == []
    stored = len(client.got)
    client.hear(b"")
    assert len(client.got) == stored + 32
    while not client.events:
        answer_all(client, client.sent())
    assert bytes(client.got) == BODY


def test_a_window_has_at_least_one_block():
    with pytest.raises(UsageError):
        Stream(window=0)


# -- pushes


def acknowledged(request, code=0x5F, *, options=None, kind=2, payload=b""):
    options = ((27, request.first(27)),) if options is None else options
    return encode(Message(kind, code, request.mid, request.token, options, payload))


def push(client, blocks=0, body=BODY):
    client.call = client.endpoint.request("peer", Request(3, PACKAGE, body, szx=0), client.now)
    for _ in range(blocks):
        client.hear(acknowledged(client.only()))


def test_a_push_is_on_its_lane_between_the_first_and_the_last_block(client):
    push(client)
    sent = bytearray()
    while not client.events:
        request = client.only()
        block = block_of(request, 27)
        assert block.offset == len(sent)
        assert (request.first(60) is None) == (block.num > 0)
        assert on_lane(client) == (0 < block.num < 127)
        sent += request.payload
        client.hear(acknowledged(request, 0x5F if block.more else 0x44))
    assert bytes(sent) == BODY
    assert not client.state().busy()


def test_a_supplied_body_is_asked_for_ahead(coap):
    client = Client(coap, limits=EndpointLimits(ahead_bytes=70))
    client.endpoint.request("peer", Request(3, PACKAGE, source_bytes=len(BODY), szx=0), 0.0)
    wanted, sent = [], bytearray()
    while not wanted or sent != BODY:
        for event in client.endpoint.take_events():
            wanted.append((event.offset, event.length))
            client.endpoint.supply(event.call, BODY[event.offset : event.offset + event.length], 0.0)
        for request in client.sent():
            sent += request.payload
            client.endpoint.receive(acknowledged(request), "peer", 0.0)
    assert wanted[:5] == [(0, 16), (16, 32), (48, 64), (112, 64), (176, 64)]
    assert all(length % 16 == 0 for _, length in wanted)


def test_a_smaller_block_is_asked_for_on_the_way(client):
    client.endpoint.request("peer", Request(3, PACKAGE, BODY, szx=2), 0.0)
    client.hear(acknowledged(client.only()))
    request = client.only()
    client.hear(acknowledged(request, options=((27, pack_block(1, True, 0)),)))
    following = client.only()
    assert (block_of(following, 27), following.payload) == (Block(8, True, 0), BODY[128:144])
    client.hear(acknowledged(following))
    assert block_of(client.only(), 27) == Block(9, True, 0)


def test_a_lost_beginning_starts_the_push_again(client):
    push(client, 3)
    client.hear(acknowledged(client.only(), 0x88, options=()))
    assert block_of(client.only(), 27) == Block(0, True, 0)
    assert not client.events


def test_a_refusal_ends_the_push(client):
    push(client, 3)
    client.hear(acknowledged(client.only(), 0x80, options=(), payload=b"no"))
    assert client.events[-1].message.payload == b"no"


def test_a_push_over_separate_answers_goes_on(client):
    push(client, 3)
    request = client.only()
    client.hear(encode(Message(2, 0, request.mid)))
    client.hear(encode(Message(0, 0x5F, 0x7777, request.token, ((27, request.first(27)),))))
    _, following = client.sent()
    assert block_of(following, 27).num == 4


def test_a_push_that_is_cancelled_between_two_supplies(coap):
    client = Client(coap, limits=EndpointLimits(ahead_bytes=0))
    call = client.endpoint.request("peer", Request(3, PACKAGE, source_bytes=len(BODY), szx=0), 0.0)
    for number in range(4):
        (event,) = client.endpoint.take_events()
        assert isinstance(event, BlockWanted)
        if number < 3:
            client.endpoint.supply(call, bytes(16), 0.0)
            client.endpoint.receive(acknowledged(client.only()), "peer", 0.0)
    assert on_lane(client)
    client.endpoint.cancel(call, 0.0)
    assert not on_lane(client)
    assert not client.state().busy()


def test_a_push_waits_for_its_turn(client):
    push(client, 3)
    request = client.only()
    client.endpoint.request("peer", Request(1, ((11, b"other"),)), client.now)
    client.hear(acknowledged(request))
    other = client.only()
    assert other.path() == ("other",)
    client.hear(encode(Message(2, 0x45, other.mid, other.token)))
    assert block_of(client.only(), 27).num == 4


def test_an_acknowledgement_with_words_keeps_the_push_off_the_lane(client):
    push(client)
    client.hear(acknowledged(client.only(), payload=b"hm"))
    assert not on_lane(client)
    assert block_of(client.only(), 27).num == 1


def test_a_push_token_that_is_in_use_is_not_used_again(coap):
    client = Client(coap)
    client.endpoint = coap.make("c6", "a1", "c5", "b1", mid=1, parameters=TransmissionParameters(nstart=2))
    client.endpoint.request("peer", Request(1, ((11, b"waits"),)), 0.0)
    push(client)
    client.hear(acknowledged(client.sent()[1]))
    request = client.only()
    assert request.token.hex() == "c5"
    client.hear(acknowledged(request))
    following = client.only()
    assert (following.token.hex(), block_of(following, 27).num) == ("b1", 2)


@pytest.mark.parametrize(("peers", "share"), [(0, 65536), (1, 65536), (3, 21845), (16, 4096), (10_000, 4096)])
def test_what_is_read_ahead_is_shared_by_the_peers(peers, share):
    assert EndpointLimits().ahead_of(peers) == share


def test_less_than_a_share_is_no_share():
    assert EndpointLimits(ahead_bytes=100).ahead_of(10) == 100
    assert EndpointLimits(ahead_bytes=0).ahead_of(1) == 0
