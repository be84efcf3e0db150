"""An endpoint over streams: no types, no ids, several blocks in one message (RFC 8323 sections 2 and 6).

Messages are written as a stream carries them.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.coap.block import Block
from lwm2m_fota.coap.block1 import Accepted, Block1Receiver
from lwm2m_fota.coap.block2 import block2_answer, block2_options
from lwm2m_fota.coap.calls import Shrink
from lwm2m_fota.coap.endpoint import Collect, EndpointLimits, FailureReason, Request, Response, Stream
from lwm2m_fota.coap.events import (
    BlockArrived,
    BlockWanted,
    BodyRestarted,
    BodyWanted,
    CallFailed,
    Malformed,
    Notified,
    ObserverLost,
    RequestReceived,
    ResponseReceived,
)
from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.coap.stream_frames import FrameReader, frame_of
from lwm2m_fota.coap.stream_signals import Capabilities
from lwm2m_fota.errors import BlockwiseError

PACKAGE = ((11, b"5"), (11, b"0"), (11, b"0"), (12, b"\x2a"))
FIRMWARE = ((11, b"fw"),)
BERT = Capabilities(66048, block_wise=True)
BLOCKS = Capabilities(1152, block_wise=True)
WHOLE = Capabilities(1 << 20)


def make(coap, *tokens, can=BERT, limits=None):
    return coap.make(*tokens, limits=limits, capabilities=lambda peer: can)


def sent(endpoint):
    return [frame_of(data).hex() for data, _ in endpoint.take_datagrams()]


def feed(endpoint, hexes, now=0.0, peer="peer"):
    for frame in hexes.split():
        for data in FrameReader(1 << 20).feed(bytes.fromhex(frame)):
            endpoint.receive(data, peer, now)
    return endpoint.take_events()


def only(events):
    assert len(events) == 1
    return events[0]


# -- message by message


def test_v16_a_push_of_two_blocks_in_one_message(coap):
    endpoint = make(coap, "a1", can=Capabilities(2304, block_wise=True), limits=EndpointLimits(ahead_bytes=0))
    endpoint.request("peer", Request(3, PACKAGE, source_bytes=2148), 0.0)
    endpoint.supply(1, bytes(2048), 0.0)
    (frame,) = sent(endpoint)
    size1 = "d2140864"  # which the vector does without
    assert frame == "e1070303a1b13501300130112ad1020f" + size1 + "ff" + "00" * 2048


def test_a_question_and_its_answer(coap):
    client, server = make(coap, "42"), make(coap)
    call = client.request("peer", Request(1, FIRMWARE), 0.0)
    (asked,) = sent(client)
    assert asked == "310142b26677"
    request = only(feed(server, asked))
    server.respond(request.exchange, Response(0x45, (), b"hello"), 0.0)
    (answered,) = sent(server)
    assert answered == "614542ff68656c6c6f"
    event = only(feed(client, answered))
    assert (event.call, event.message.payload) == (call, b"hello")


def test_the_same_message_twice_is_two_requests(coap):
    server = make(coap)
    first, second = feed(server, "310142b26677 310142b26677")
    assert first.exchange != second.exchange
    assert not second.repeated


def test_more_requests_than_there_is_room_for_are_refused(coap):
    server = make(coap, limits=EndpointLimits(exchanges_per_peer=1))
    assert len(feed(server, "310142b26677 310143b26677")) == 1
    assert sent(server) == ["31a343d10101"]  # Max-Age 1


def test_nobody_is_taken_in_beyond_the_limit(coap):
    server = make(coap, limits=EndpointLimits(peers=1))
    feed(server, "310142b26677", peer="one")
    assert feed(server, "310142b26677", peer="two") == []


def test_what_is_no_message_is_told(coap):
    assert feed(make(coap), "1145abff") == [Malformed("peer")]  # a payload marker without a payload


@pytest.mark.parametrize("message", ["014542", "016542"])
def test_what_nobody_waits_for_is_dropped(coap, message):
    endpoint = make(coap)
    assert feed(endpoint, message) == []
    assert sent(endpoint) == []


def test_an_answer_that_does_not_come_is_waited_for_once(coap):
    endpoint = make(coap, "42")
    call = endpoint.request("peer", Request(1, FIRMWARE), 0.0)
    sent(endpoint)
    endpoint.handle_timeout(60.0)
    assert sent(endpoint) == []
    endpoint.handle_timeout(endpoint.next_deadline())
    event = only(endpoint.take_events())
    assert (type(event), event.call, event.reason) == (CallFailed, call, FailureReason.TIMEOUT)


def test_calls_and_exchanges_end_with_the_session(coap):
    endpoint = make(coap, "42")
    call = endpoint.request("peer", Request(1, FIRMWARE), 0.0)
    request = only(feed(endpoint, "310199b26677"))
    endpoint.ended("peer", 1.0)
    event = only(endpoint.take_events())
    assert (event.call, event.reason) == (call, FailureReason.UNREACHABLE)
    sent(endpoint)
    endpoint.respond(request.exchange, Response(0x45), 2.0)
    assert sent(endpoint) == []


def test_calls_do_not_wait_for_each_other(coap):
    endpoint = make(coap, "42", "43")
    endpoint.request("peer", Request(1, FIRMWARE), 0.0)
    endpoint.request("peer", Request(1, FIRMWARE), 0.0)
    assert sent(endpoint) == ["310142b26677", "310143b26677"]


# -- observing


def test_notifications_count_as_they_come(coap):
    """The value of Observe says nothing over a stream (RFC 8323 section 7.1)."""
    client = make(coap, "b0")
    call = client.request("peer", Request(1, FIRMWARE, observe=True), 0.0)
    assert sent(client) == ["4101b060526677"]
    assert isinstance(only(feed(client, "4145b06105ff30")), ResponseReceived)
    for value, payload in (("07", "31"), ("03", "32"), ("03", "33")):
        event = only(feed(client, f"4145b061{value}ff{payload}"))
        assert (type(event), event.call) == (Notified, call)
        assert event.message.payload == bytes.fromhex(payload)
    assert sent(client) == []
    client.cancel(call, 1.0)
    assert sent(client) == ["5101b06101526677"]


def test_an_observer_is_lost_with_its_session(coap):
    server = make(coap)
    request = only(feed(server, "4101b060526677"))
    server.respond(request.exchange, Response(0x45, ((6, b"\x01"),), b"0"), 0.0)
    server.notify("peer", b"\xb0", Response(0x45, ((6, b"\x02"),), b"1"), 0.0, confirmable=True)
    assert sent(server) == ["4145b06101ff30", "4145b06102ff31"]
    server.ended("peer", 1.0)
    assert all(isinstance(event, ObserverLost) for event in server.take_events())


# -- bodies that cannot go


def test_a_peer_without_blocks_takes_what_fits_a_message(coap):
    endpoint = make(coap, "a1", can=Capabilities(4096))
    endpoint.request("peer", Request(3, PACKAGE, bytes(100)), 0.0)
    assert len(sent(endpoint)) == 1
    with pytest.raises(BlockwiseError) as caught:
        endpoint.request("peer", Request(3, PACKAGE, bytes(4096)), 0.0)
    assert caught.value.code == 0x8D


# -- two endpoints


class Reframed:
    """An end that gets messages as they come out of a stream."""

    def __init__(self, end):
        self.end = end

    def receive(self, data, peer, now):
        reader, frame = FrameReader(1 << 20), frame_of(data)
        (message,) = (*reader.feed(frame[:100]), *reader.feed(frame[100:]))
        self.end.receive(message, peer, now)


def pair_of(coap, client, server, serve):
    class Pair(coap.Pair):
        def _carry(self, source, target, name):
            return super()._carry(source, Reframed(target), name)

    return Pair(client, server, serve)


class Store:
    """A server of one resource: takes it with PUT, gives it with GET."""

    def __init__(self, body=b"", max_szx=6):
        self.body, self.max_szx = bytearray(body), max_szx
        self.receiver = Block1Receiver(1 << 24, max_szx)
        self.failing = False

    def __call__(self, endpoint, event, now):
        if isinstance(event, BodyWanted):
            lost = Response(0xA0, (), b"gone")
            endpoint.give(event, lost if self.failing else event.body.block(event.offset, event.length), now)
        elif isinstance(event, RequestReceived):
            endpoint.respond(event.exchange, self.answer(event.message), now)

    @property
    def size_bytes(self):
        return len(self.body)

    def block(self, offset, length):
        return bytes(self.body[offset : offset + length])

    def answer(self, message):
        if message.code == 1:
            value = message.first(23)
            block = None if value is None else Block.decode(value)
            part = block2_answer(block, len(self.body), max_szx=self.max_szx)
            if part is None:
                return Response(0x45, ((4, b"\x01"),), bytes(self.body))
            payload = bytes(self.body[part.offset : part.offset + part.length])
            options = block2_options(part, len(self.body), b"\x01", want_size2=True)
            return Response(0x45, options, payload, idempotent=True, body=self)
        value = message.first(27)
        block = None if value is None else Block.decode(value)
        taken = self.receiver.accept(block, message.payload, blocks=message.blocks)
        if isinstance(taken, Accepted):
            if taken.first:
                self.body.clear()
            assert taken.offset == len(self.body)
            self.body += taken.payload
        options = () if block is None else ((27, self.receiver.response_block(block)),)
        return Response(0x44 if taken.final else 0x5F, options)


def body_of(size):
    return (bytes(range(251)) * (size // 251 + 1))[:size]


SIZES = (1, 1023, 1024, 1025, 65536, 65537, 200_000)
PEERS = [
    pytest.param(BERT, BERT, id="bert"),
    pytest.param(Capabilities(4352, block_wise=True), BERT, id="four-blocks"),
    pytest.param(BLOCKS, BERT, id="blocks-one-way"),
    pytest.param(BLOCKS, BLOCKS, id="blocks"),
]


def push(coap, size, store, client_sees, server_sees, **limits):
    client = make(coap, can=client_sees, limits=EndpointLimits(**limits))
    pair = pair_of(coap, client, make(coap, can=server_sees), store)
    body, done = body_of(size), []
    call = client.request("server", Request(3, PACKAGE, source_bytes=size), 0.0)

    def react(event):
        if isinstance(event, BlockWanted):
            client.supply(call, body[event.offset : event.offset + event.length], pair.now)
        else:
            done.append(event)

    pair.run(react, lambda: done)
    assert bytes(store.body) == body
    return pair, done


def pull(coap, body, store, client_sees, server_sees, stream):
    client = make(coap, can=client_sees)
    pair = pair_of(coap, client, make(coap, can=server_sees), store)
    done, got = [], bytearray(body[: stream.offset])
    call = client.request("server", Request(1, FIRMWARE), 0.0, body=stream)

    def react(event):
        if isinstance(event, BlockArrived):
            assert event.offset == len(got)
            got.extend(event.payload)
            if not event.last:
                client.proceed(call, pair.now)
        else:
            done.append(event)

    pair.run(react, lambda: done)
    return pair, done, bytes(got)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("client_sees", "server_sees"), PEERS)
def test_push_between_two_endpoints(coap, size, client_sees, server_sees):
    pair, done = push(coap, size, Store(), client_sees, server_sees)
    assert (type(only(done)), done[0].message.code) == (ResponseReceived, 0x44)
    assert pair.carried == 2 * -(-size // (client_sees.units * 1024))


@pytest.mark.parametrize("max_szx", [5, 2])
def test_push_to_who_wants_smaller_blocks(coap, max_szx):
    _, done = push(coap, 70_000, Store(max_szx=max_szx), BERT, BERT)
    assert [event.message.code for event in done if isinstance(event, ResponseReceived)] == [0x44]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("client_sees", "server_sees"), PEERS)
def test_pull_between_two_endpoints(coap, size, client_sees, server_sees):
    body = body_of(size)
    pair, done, got = pull(coap, body, Store(body), client_sees, server_sees, Stream())
    assert (type(only(done)), done[0].message.code, got) == (ResponseReceived, 0x45, body)
    if client_sees.units > 1:
        assert pair.carried == 2 * -(-size // (server_sees.units * 1024))


@given(size=st.integers(1, 150_000), offset=st.integers(0, 150_000), window=st.integers(1, 8))
def test_pull_from_anywhere(coap, size, offset, window):
    body, offset = body_of(size), min(offset, size - 1)
    stream = Stream(offset=offset, etag=b"\x01", window=window)
    _, done, got = pull(coap, body, Store(body), BERT, BERT, stream)
    assert (done[-1].message.code, got) == (0x45, body)


def two_blocks(token, num, more=True, etag="01"):
    """The answer with blocks `num` and `num + 1`."""
    block2 = num << 4 | more << 3 | 7
    value = block2.to_bytes((block2.bit_length() + 7) // 8, "big").hex()
    options = f"41{etag}d{len(value) // 2}06{value}"
    return f"e1{2048 + 1 + len(options) // 2 - 269:04x}45{token}{options}ff{'00' * 2048}"


def fetching(coap, *tokens, **stream):
    client = make(coap, *tokens)
    call = client.request("peer", Request(1, FIRMWARE), 0.0, body=Stream(**stream))
    sent(client)
    return client, call


def brief(events):
    return [(type(event).__name__, getattr(event, "offset", None)) for event in events]


def test_the_next_blocks_are_asked_for_while_the_caller_stores_these(coap):
    client, call = fetching(coap, "c0", "c1", "c2", "c3")
    assert brief(feed(client, two_blocks("c0", 0))) == [("BlockArrived", 0)]
    assert sent(client) == ["5101c1b26677c127"]
    client.proceed(call, 0.0)
    assert sent(client) == []  # it is asked for already
    assert brief(feed(client, two_blocks("c1", 2))) == [("BlockArrived", 2048)]
    assert sent(client) == ["5101c2b26677c147"]


def test_a_slow_caller_gets_the_next_blocks_when_it_is_ready_and_no_more_are_asked_for_before(coap):
    client, call = fetching(coap, "c0", "c1", "c2")
    assert brief(feed(client, two_blocks("c0", 0))) == [("BlockArrived", 0)]
    assert sent(client) == ["5101c1b26677c127"]
    assert feed(client, two_blocks("c1", 2)) == []
    assert sent(client) == []
    client.proceed(call, 60.0)
    assert brief(client.take_events()) == [("BlockArrived", 2048)]
    assert sent(client) == ["5101c2b26677c147"]


def test_the_end_comes_to_a_slow_caller_too(coap):
    client, call = fetching(coap, "c0", "c1")
    feed(client, two_blocks("c0", 0))
    first, second = feed(client, two_blocks("c1", 2, more=False))
    assert (first.offset, first.last, second.message.code) == (2048, True, 0x45)
    client.proceed(call, 0.0)
    assert client.take_events() == []


def test_a_body_that_begins_anew_while_the_caller_stores_the_former(coap):
    client, call = fetching(coap, "c0", "c1", "c2", "c3")
    feed(client, two_blocks("c0", 0))
    assert brief(feed(client, two_blocks("c1", 2, etag="02"))) == [("BodyRestarted", None)]
    assert sent(client) == ["5101c1b26677c127", "6101c2b26677c10750"]
    assert feed(client, two_blocks("c2", 0, etag="02")) == []
    client.proceed(call, 60.0)  # of the block of the former
    assert brief(client.take_events()) == [("BlockArrived", 0)]
    assert sent(client) == ["5101c3b26677c127"]


def test_an_echo_that_is_asked_for_while_the_caller_stores_blocks(coap):
    """4.01 with Echo (RFC 9175 section 2.3): the next blocks are asked for once more, and wait for the caller."""
    client, call = fetching(coap, "c0", "c1", "c2", "c3")
    feed(client, two_blocks("c0", 0))
    assert feed(client, "3181c1d1efaa") == []
    assert sent(client) == ["5101c1b26677c127", "8101c2b26677c127d1d8aa"]
    assert feed(client, two_blocks("c2", 2)) == []
    assert sent(client) == []
    client.proceed(call, 60.0)
    assert brief(client.take_events()) == [("BlockArrived", 2048)]
    assert sent(client) == ["8101c3b26677c147d1d8aa"]


def test_blocks_that_no_more_can_follow_are_handed_over_before_the_call_fails(coap):
    last_pair = (1 << 20) - 2
    client, call = fetching(coap, "c0", offset=last_pair << 10, etag=b"\x01", max_body_bytes=1 << 40)
    arrived, failed = feed(client, two_blocks("c0", last_pair))
    assert (arrived.offset, arrived.last) == (last_pair << 10, False)
    assert (type(failed), failed.reason) == (CallFailed, FailureReason.PROTOCOL)
    client.proceed(call, 0.0)
    assert client.take_events() == []


def test_so_are_blocks_that_a_slow_caller_was_not_ready_for(coap):
    pair_before = (1 << 20) - 4
    client, call = fetching(coap, "c0", "c1", offset=pair_before << 10, etag=b"\x01", max_body_bytes=1 << 40)
    assert len(feed(client, two_blocks("c0", pair_before))) == 1
    assert feed(client, two_blocks("c1", pair_before + 2)) == []
    client.proceed(call, 60.0)
    arrived, failed = client.take_events()
    assert (arrived.offset, type(failed)) == (pair_before + 2 << 10, CallFailed)


@given(size=st.integers(1, 300_000), slow=st.lists(st.booleans(), max_size=40), units=st.sampled_from((1, 3, 64)))
def test_pull_by_a_slow_caller(coap, size, slow, units):
    """It stores some of the blocks only when nothing moves any more."""
    body, can, slowness = body_of(size), Capabilities((units + 1) * 1024, block_wise=True), iter(slow)
    client = make(coap, can=can)
    pair = pair_of(coap, client, make(coap, can=can), Store(body))
    done, got, storing = [], bytearray(), []
    call = client.request("server", Request(1, FIRMWARE), 0.0, body=Stream())

    def react(event):
        if not isinstance(event, BlockArrived):
            done.append(event)
            return
        assert event.offset == len(got)
        got.extend(event.payload)
        if next(slowness, False):
            storing.append(event)
        elif not event.last:
            client.proceed(call, 0.0)

    pair.settle(react)
    while storing:
        storing.clear()
        client.proceed(call, 0.0)
        pair.settle(react)
    assert (only(done).message.code, bytes(got)) == (0x45, body)


@pytest.mark.parametrize("szx", [6, 2])
def test_pull_in_blocks_of_a_size_that_is_asked_for(coap, szx):
    body = body_of(5000)
    _, _, got = pull(coap, body, Store(body), BERT, BERT, Stream(szx=szx))
    assert got == body


def test_sets_of_blocks_are_for_datagrams(coap):
    body = body_of(70_000)
    pair, _, got = pull(coap, body, Store(body), BERT, BERT, Stream(q_block=QBlock()))
    assert (got, pair.carried) == (body, 4)


def test_blocks_do_not_shrink_where_nothing_is_lost(coap):
    body = body_of(70_000)
    for client, server in ((BERT, BERT), (BERT, BLOCKS), (BLOCKS, BLOCKS)):
        kept, _, _ = pull(coap, body, Store(body), client, server, Stream())
        pair, _, got = pull(coap, body, Store(body), client, server, Stream(shrink=Shrink(losses=1)))
        assert (got, pair.carried) == (body, kept.carried)


@pytest.mark.parametrize("max_szx", [5, 2])
def test_pull_from_who_gives_smaller_blocks(coap, max_szx):
    body = body_of(70_000)
    _, _, got = pull(coap, body, Store(body, max_szx), BERT, BERT, Stream())
    assert got == body


def test_a_body_that_breaks_off_is_answered_with_the_reason(coap):
    body = body_of(200_000)
    store = Store(body)
    store.failing = True
    _, done, got = pull(coap, body, store, BERT, BERT, Stream())
    assert (done[-1].message.code, got) == (0xA0, b"")


def test_a_server_may_begin_with_bert(coap):
    client = make(coap, "c0", "c1")
    client.request("peer", Request(1, FIRMWARE), 0.0)
    sent(client)
    payload = body_of(2048).hex()
    assert feed(client, "e106f745c0d10a0f" + "ff" + payload) == []
    assert sent(client) == ["5101c1b26677c127"]
    event = only(feed(client, "7145c1d10a27ff616263"))
    assert event.message.payload == body_of(2048) + b"abc"


@pytest.mark.parametrize(("can", "carried"), [(BERT, 8), (BLOCKS, 392)])
def test_who_names_no_size_gets_as_much_as_it_takes(coap, can, carried):
    """One that says that it can take BERT; and asks on with the size of the first answer."""
    store = Store(body_of(200_000))
    client = make(coap)
    pair = pair_of(coap, client, make(coap, can=can), store)
    done = []
    client.request("server", Request(1, FIRMWARE), 0.0, body=Collect(1 << 20))
    pair.run(done.append, lambda: done)
    assert only(done).message.payload == bytes(store.body)
    assert pair.carried == carried


def test_a_new_body_under_way_starts_again(coap):
    client = make(coap)
    store = Store(body_of(200_000))
    pair = pair_of(coap, client, make(coap), store)
    got, done = bytearray(), []
    call = client.request("server", Request(1, FIRMWARE), 0.0, body=Stream())

    def react(event):
        if isinstance(event, BodyRestarted):
            got.clear()
        elif isinstance(event, BlockArrived):
            got.extend(event.payload)
            if event.offset == 0:
                store.body[:] = body_of(190_001)
            if not event.last:
                client.proceed(call, pair.now)
        else:
            done.append(event)

    original = store.answer

    def answer(message):
        response = original(message)
        if len(store.body) == 190_001:
            options = tuple((number, b"\x02" if number == 4 else value) for number, value in response.options)
            return Response(0x45, options, response.payload, body=store)
        return response

    store.answer = answer
    pair.run(react, lambda: done)
    assert bytes(got) == body_of(190_001)


def test_a_fetch_brings_and_gets_several_blocks(coap):
    """Both bodies of one exchange in BERT: FETCH with a large question and a large answer."""
    client = make(coap)
    question, answer = body_of(100_000), body_of(150_000)
    receiver = Block1Receiver(1 << 20)
    asked, done = bytearray(), []

    class Body:
        size_bytes = len(answer)

        def block(self, offset, length):
            return answer[offset : offset + length]

    def serve(endpoint, event, now):
        if isinstance(event, BodyWanted):
            endpoint.give(event, event.body.block(event.offset, event.length), now)
            return
        message = event.message
        one, two = (None if value is None else Block.decode(value) for value in (message.first(27), message.first(23)))
        options, payload, code = (), b"", 0x5F
        if one is not None:
            taken = receiver.accept(one, message.payload, blocks=message.blocks)
            asked.extend(taken.payload)
            options = ((27, receiver.response_block(one)),)
        if one is None or not one.more:
            part = block2_answer(two, len(answer))
            code, payload = 0x45, answer[part.offset : part.offset + part.length]
            options += block2_options(part, len(answer), b"\x01", want_size2=False)
        endpoint.respond(event.exchange, Response(code, options, payload, body=Body()), now)

    pair = pair_of(coap, client, make(coap), serve)
    client.request("server", Request(5, (), question), 0.0, body=Collect(1 << 20))
    pair.run(done.append, lambda: done)
    assert only(done).message.payload == answer
    assert bytes(asked) == question


def test_an_error_needs_no_block(coap):
    server = make(coap)
    request = only(feed(server, "e1070003a1b13501300130112ad1020fff" + "00" * 2049))
    assert request.message.blocks == 3
    server.respond(request.exchange, Response(0x84), 0.0)
    assert sent(server) == ["0184a1"]


# -- ends that take little (RFC 8323 section 5.3.1)


class Measuring:
    """Both ends of a pair, and the largest frame that each has sent."""

    def __init__(self):
        self.largest = {}

    def pair(self, coap, client, server, serve):
        measuring = self

        class Pair(coap.Pair):
            def _carry(self, source, target, name):
                class Weighed(Reframed):
                    def receive(self, data, peer, now):
                        measuring.largest[name] = max(measuring.largest.get(name, 0), len(frame_of(data)))
                        super().receive(data, peer, now)

                return super()._carry(source, Weighed(target), name)

        return Pair(client, server, serve)


LITTLE = (64, 80, 100, 128, 200, 300, 600, 1000, 1040, 1060, 1152, 1153, 1279)


@pytest.mark.parametrize("most", LITTLE)
@pytest.mark.parametrize("size", [1, 15, 16, 17, 1000, 1024, 1025, 3000])
def test_no_message_is_larger_than_the_other_end_takes(coap, most, size):
    """Both ways: a body up, and the same one down."""
    little = Capabilities(most, block_wise=True)
    body, store, measuring = body_of(size), Store(), Measuring()
    client = make(coap, can=little)
    pair = measuring.pair(coap, client, make(coap, can=little), store)
    done = []
    client.request("server", Request(3, FIRMWARE, body), 0.0)
    pair.run(done.append, lambda: done)
    assert (only(done).message.code, bytes(store.body)) == (0x44, body)
    done.clear()
    client.request("server", Request(1, FIRMWARE), 0.0, body=Collect(1 << 20))
    pair.run(done.append, lambda: done)
    assert only(done).message.payload == body
    assert len(measuring.largest) == 2
    assert max(measuring.largest.values()) <= most


@pytest.mark.parametrize("most", [2304, 2900, 3328])
def test_fewer_blocks_go_beside_long_options(coap, most):
    """More than 256 bytes of them, which is what is left beside the blocks otherwise."""
    able, store, measuring = Capabilities(most, block_wise=True), Store(), Measuring()
    pair = measuring.pair(coap, make(coap, can=able), make(coap), store)
    body, done = body_of(9000), []
    pair.client.request("server", Request(3, ((11, b"x" * 200),) * 3, body), 0.0)
    pair.run(done.append, lambda: done)
    assert (only(done).message.code, bytes(store.body)) == (0x44, body)
    assert most - 1024 < measuring.largest["client"] <= most


@pytest.mark.parametrize("most", LITTLE)
def test_a_pull_by_who_takes_little(coap, most):
    body, measuring = body_of(3000), Measuring()
    client = make(coap)
    pair = measuring.pair(coap, client, make(coap, can=Capabilities(most, block_wise=True)), Store(body))
    got = bytearray()
    call = client.request("server", Request(1, FIRMWARE), 0.0, body=Stream())

    def react(event):
        if isinstance(event, BlockArrived):
            got.extend(event.payload)
            if not event.last:
                client.proceed(call, pair.now)

    pair.run(react, lambda: len(got) == len(body))
    assert got == body
    assert max(measuring.largest.values()) <= most


@pytest.mark.parametrize("most", [64, 100, 700])
def test_an_answer_that_knows_no_blocks_goes_in_blocks(coap, most):
    body, measuring = body_of(900), Measuring()

    def serve(endpoint, event, now):
        endpoint.respond(event.exchange, Response(0x45, ((12, b"\x2a"),), body), now)

    client = make(coap)
    pair = measuring.pair(coap, client, make(coap, can=Capabilities(most, block_wise=True)), serve)
    done = []
    client.request("server", Request(1, FIRMWARE), 0.0, body=Collect(1 << 20))
    pair.run(done.append, lambda: done)
    assert only(done).message.payload == body
    assert max(measuring.largest.values()) <= most


def answer_to(coap, asked, response, can):
    server = make(coap, can=can)
    request = only(feed(server, asked))
    server.respond(request.exchange, response, 0.0)
    (frame,) = sent(server)
    return frame


def test_a_block_that_is_not_there_of_an_answer_that_knows_no_blocks(coap):
    """Block2 number 4 of 16 bytes, of a body of 60: bytes 64 and on."""
    asked = "510142b26677" + "c140"
    little = Capabilities(64, block_wise=True)
    assert answer_to(coap, asked, Response(0x45, (), bytes(60)), little) == "018042"
    asked = "510142b26677" + "c130"  # number 3: bytes 48 to 59, the last ones
    assert (
        answer_to(coap, asked, Response(0x45, (), bytes(60)), little) == "d10345" + "42" + "d10a30" + "ff" + "00" * 12
    )


def test_a_question_whose_size_of_blocks_is_none_is_answered_from_the_beginning(coap):
    asked = "810142b26677" + "c4" + "01020304"
    frame = answer_to(coap, asked, Response(0x45, (), bytes(60)), Capabilities(64, block_wise=True))
    assert frame == "d11745" + "42" + "d10a09" + "ff" + "00" * 32


def test_what_is_said_to_people_is_cut(coap):
    frame = answer_to(coap, "310142b26677", Response(0x84, (), b"x" * 200), Capabilities(64, block_wise=True))
    assert bytes.fromhex(frame).count(b"x") == 64 - 15
    frame = answer_to(coap, "310142b26677", Response(0x84, ((12, bytes(60)),), b"x"), Capabilities(64))
    assert b"x" not in bytes.fromhex(frame)


@pytest.mark.parametrize("can", [Capabilities(64), Capabilities(64, block_wise=True)])
def test_an_answer_of_which_no_block_fits_is_an_error(coap, can):
    options = ((4, b"12345678"), (12, bytes(20)))
    assert answer_to(coap, "310142b26677", Response(0x45, options, bytes(60)), can) == "01a042"


def test_a_notification_begins_with_a_block_that_fits(coap):
    server = make(coap, can=Capabilities(100, block_wise=True))
    request = only(feed(server, "4101b060526677"))
    server.respond(request.exchange, Response(0x45, ((6, b"\x01"),), b"0"), 0.0)
    sent(server)
    server.notify("peer", b"\xb0", Response(0x45, ((6, b"\x02"),), bytes(900)), 0.0, confirmable=True)
    (frame,) = sent(server)
    assert frame == "d13945" + "b0" + "6102" + "d1040a" + "ff" + "00" * 64


def test_a_request_of_which_no_block_fits_is_refused_here(coap):
    endpoint = make(coap, "a1", can=Capabilities(64, block_wise=True))
    with pytest.raises(BlockwiseError) as caught:
        endpoint.request("peer", Request(3, ((11, bytes(20)),), bytes(100)), 0.0)
    assert caught.value.code == 0x8D
    with pytest.raises(BlockwiseError):
        endpoint.request("peer", Request(1, ((11, bytes(60)),)), 0.0)
    assert sent(endpoint) == []


def test_a_peer_without_blocks_gets_none(coap):
    endpoint = make(coap, "a1", can=Capabilities(4096))
    endpoint.request("peer", Request(3, FIRMWARE, bytes(2000)), 0.0)
    (frame,) = sent(endpoint)
    assert bytes.fromhex(frame).endswith(b"\xb2fw\xff" + bytes(2000))
