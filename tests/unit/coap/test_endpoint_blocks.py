"""Bodies in blocks, up and down: the vectors of the specification digest, then two endpoints on one wire."""

import pytest

from lwm2m_fota.coap.block import Block
from lwm2m_fota.coap.block1 import Accepted, Block1Receiver
from lwm2m_fota.coap.block2 import block2_answer, block2_options
from lwm2m_fota.coap.endpoint import Collect, EndpointLimits, FailureReason, Request, Response, Stream
from lwm2m_fota.coap.events import (
    BlockArrived,
    BlockWanted,
    BodyRestarted,
    BodyWanted,
    CallFailed,
    RequestReceived,
    ResponseReceived,
)
from lwm2m_fota.errors import BlockwiseError, MessageFormatError, UsageError

PACKAGE = ((11, b"5"), (11, b"0"), (11, b"0"), (12, b"\x2a"))
FIRMWARE = ((11, b"fw"),)
BODY = bytes(range(256)) * 40  # 10 blocks of 1024

V1 = "41030001a1b13501300130112ad1020ad114c8ff" + bytes(range(64)).hex()
V2 = "615f0001a1d10e0a"
V3 = "41030004a4b13501300130112ad10232ff0000000000000000"
V4 = "61440004a4d10e32"
V7 = "41010010b0b26677c10650"
V8 = "61450010b0420102d106085128ff" + "ab" * 16


def only(events):
    assert len(events) == 1
    return events[0]


# -- byte by byte


def test_v1_to_v4_a_push_of_200_bytes(coap):
    body = bytes(range(64)) + bytes(136)
    endpoint = coap.make("a1", "a2", "a4")  # from block 1 on tokens count up; the last block has one of its own
    call = endpoint.request("peer", Request(3, PACKAGE, body, szx=2), 0.0)
    assert coap.sent(endpoint) == [V1]
    assert coap.feed(endpoint, V2) == []
    head = "b13501300130112ad102"
    assert coap.sent(endpoint) == ["41030002a2" + head + "1aff" + "00" * 64]
    assert coap.feed(endpoint, "615f0002a2d10e1a") == []
    assert coap.sent(endpoint) == ["41030003a3" + head + "2aff" + "00" * 64]
    assert coap.feed(endpoint, "615f0003a3d10e2a") == []
    assert coap.sent(endpoint) == [V3]
    event = only(coap.feed(endpoint, V4))
    assert isinstance(event, ResponseReceived)
    assert (event.call, event.message.code) == (call, 0x44)


def test_v1_to_v4_streamed_from_the_caller(coap):
    endpoint = coap.make("a1", "a2", "a4", limits=EndpointLimits(ahead_bytes=0))
    call = endpoint.request("peer", Request(3, PACKAGE, source_bytes=200, szx=2), 0.0)
    assert endpoint.take_events() == [BlockWanted(call, 0, 64, 0)]
    assert coap.sent(endpoint) == []
    endpoint.supply(call, bytes(range(64)), 0.0)
    assert coap.sent(endpoint) == [V1]
    assert coap.feed(endpoint, V2) == [BlockWanted(call, 64, 64, 64)]
    with pytest.raises(UsageError):
        endpoint.supply(call, bytes(63), 0.0)
    with pytest.raises(UsageError):
        endpoint.proceed(call, 0.0)
    endpoint.supply(call, bytes(64), 0.0)
    with pytest.raises(UsageError):
        endpoint.supply(call, bytes(64), 0.0)
    assert coap.feed(endpoint, "615f0002a2d10e1a") == [BlockWanted(call, 128, 64, 128)]
    endpoint.supply(call, bytes(64), 0.0)
    assert coap.feed(endpoint, "615f0003a3d10e2a") == [BlockWanted(call, 192, 8, 192)]
    endpoint.supply(call, bytes(8), 0.0)
    assert coap.sent(endpoint)[-1] == V3
    assert isinstance(only(coap.feed(endpoint, V4)), ResponseReceived)
    endpoint.supply(call, b"late", 0.0)
    endpoint.proceed(call, 0.0)
    with pytest.raises(UsageError):
        endpoint.supply(call + 1, b"", 0.0)


def test_v5_a_gap_starts_again(coap):
    endpoint = coap.make("a1", "a2", "a3", limits=EndpointLimits(ahead_bytes=0))
    call = endpoint.request("peer", Request(3, PACKAGE, source_bytes=200, szx=2), 0.0)
    endpoint.take_events()
    endpoint.supply(call, bytes(range(64)), 0.0)
    coap.feed(endpoint, V2)
    endpoint.supply(call, bytes(64), 0.0)
    restarted, wanted = coap.feed(endpoint, "61880002a2")
    assert (type(restarted), restarted.call) == (BodyRestarted, call)
    assert wanted == BlockWanted(call, 0, 64, 0)


def test_v6_too_large_answered_with_smaller_blocks(coap):
    endpoint = coap.make("a1", "a2")
    endpoint.request("peer", Request(3, PACKAGE, bytes(range(64)) + bytes(136), szx=2), 0.0)
    assert coap.sent(endpoint) == [V1]
    assert coap.feed(endpoint, "618d0001a1d10e09d314010000") == []
    (again,) = coap.sent(endpoint)
    assert again == "41030002a2b13501300130112ad10209d114c8ff" + bytes(range(32)).hex()


def test_v7_v8_a_pull(coap):
    endpoint = coap.make("b0", "b1", mid=0x10)
    call = endpoint.request("peer", Request(1, FIRMWARE), 0.0, body=Stream(szx=6))
    assert coap.sent(endpoint) == [V7]
    assert coap.feed(endpoint, V8) == [BlockArrived(call, 0, b"\xab" * 16, False, 40, b"\x01\x02", 0x45)]
    assert coap.sent(endpoint) == []
    with pytest.raises(UsageError):
        endpoint.supply(call, b"", 0.0)
    endpoint.proceed(call, 0.0)
    assert coap.sent(endpoint) == ["41010011b1b26677c110"]  # the server's 16 bytes, number 1
    with pytest.raises(UsageError):
        endpoint.proceed(call, 0.0)


def test_v9_to_v11_bodies_of_at_most_one_block(coap):
    endpoint = coap.make("c0", "c1", "c2", mid=0x20)
    uri = ((11, b"5"), (11, b"0"), (11, b"1"), (12, b""))
    for request in (
        Request(2, ((11, b"5"), (11, b"0"), (11, b"2"))),
        Request(3, uri),
        Request(3, PACKAGE, b"\x00"),
    ):
        endpoint.request("peer", request, 0.0)
    sent = []
    for answer in ("61440020c0", "61440021c1", "61440022c2"):
        sent += coap.sent(endpoint)
        assert isinstance(only(coap.feed(endpoint, answer)), ResponseReceived)
    assert sent == [
        "41020020c0b13501300132",
        "41030021c1b1350130013110",
        "41030022c2b13501300130112aff00",
    ]


def test_an_empty_supplied_body_needs_no_supply(coap):
    endpoint = coap.make("c0")
    endpoint.request("peer", Request(3, FIRMWARE, source_bytes=0), 0.0)
    assert coap.sent(endpoint) == ["41030001c0b26677"]


def test_smaller_blocks_are_asked_for_when_reading(coap):
    endpoint = coap.make("c0", "c1")
    endpoint.request("one", Request(1, FIRMWARE, szx=2), 0.0)
    endpoint.request("two", Request(5, FIRMWARE, b"x", szx=2), 0.0)
    assert coap.sent(endpoint) == ["41010001c0b26677c102", "41050001c1b26677c102ff78"]


def test_a_fetch_repeats_its_body_for_every_block(coap):
    endpoint = coap.make("c0", "c1")
    call = endpoint.request("peer", Request(5, (), b"x"), 0.0)
    coap.sent(endpoint)
    assert coap.feed(endpoint, "61450001c0d10a08ff" + "61" * 16) == []
    assert coap.sent(endpoint) == ["41050002c1d10a10ff78"]
    event = only(coap.feed(endpoint, "61450002c1d10a10ff62"))
    assert (event.call, event.message.payload, event.message.options) == (call, b"a" * 16 + b"b", ())


def test_only_the_last_block_up_asks_for_what_comes_down(coap):
    endpoint = coap.make("c0", "c1")
    endpoint.request("peer", Request(5, (), bytes(17), szx=0, observe=True), 0.0)
    coap.feed(endpoint, "615f0001c0d10e08")
    assert coap.sent(endpoint) == ["41050001c0d10e08d11411ff" + "00" * 16, "41050002c160d0044110ff00"]


def test_a_post_does_not_repeat_its_body(coap):
    endpoint = coap.make("c0", "c1")
    endpoint.request("peer", Request(2, (), b"x"), 0.0)
    coap.sent(endpoint)
    coap.feed(endpoint, "61440001c0d10a08ff" + "61" * 16)
    assert coap.sent(endpoint) == ["41020002c1d10a10"]


# -- collected answers


def ask(coap, body=None, limits=None):
    endpoint = coap.make("b0", "b1", "b2", "b3", "b4", "b5", limits=limits)
    call = endpoint.request("peer", Request(1, FIRMWARE), 0.0, body=body or Collect())
    coap.sent(endpoint)
    return endpoint, call


def answer(mid, token, num, more, payload, *, etag="", code="45"):
    block = num << 4 | more << 3
    tag = f"4{len(etag) // 2:x}{etag}" if etag else ""
    delta = f"d1{0x17 - 4 - 13:02x}" if etag else "d10a"
    return f"61{code}{mid:04x}{token}{tag}{delta}{block:02x}ff{payload.hex()}"


def test_a_body_in_blocks_is_reported_whole(coap):
    endpoint, call = ask(coap)
    assert coap.feed(endpoint, answer(1, "b0", 0, 1, b"a" * 16, etag="07")) == []
    event = only(coap.feed(endpoint, answer(2, "b1", 1, 0, b"b", etag="07")))
    assert (event.call, event.message.payload) == (call, b"a" * 16 + b"b")
    assert event.message.options == ((4, b"\x07"),)


def test_a_changed_body_is_gathered_anew(coap):
    endpoint, _ = ask(coap)
    coap.feed(endpoint, answer(1, "b0", 0, 1, b"a" * 16, etag="07"))
    assert coap.feed(endpoint, answer(2, "b1", 1, 0, b"c", etag="08")) == []
    assert coap.feed(endpoint, answer(3, "b2", 0, 1, b"b" * 16, etag="08")) == []
    event = only(coap.feed(endpoint, answer(4, "b3", 1, 0, b"c", etag="08")))
    assert event.message.payload == b"b" * 16 + b"c"
    assert event.message.options == ((4, b"\x08"),)


def test_a_body_that_keeps_changing_is_given_up(coap):
    endpoint, call = ask(coap, limits=EndpointLimits(body_restarts=0))
    coap.feed(endpoint, answer(1, "b0", 0, 1, b"a" * 16, etag="07"))
    event = only(coap.feed(endpoint, answer(2, "b1", 1, 0, b"c", etag="08")))
    assert (event.call, event.reason) == (call, FailureReason.PROTOCOL)


def test_a_body_over_the_limit(coap):
    endpoint, _ = ask(coap, Collect(20))
    coap.feed(endpoint, answer(1, "b0", 0, 1, b"a" * 16))
    event = only(coap.feed(endpoint, answer(2, "b1", 1, 1, b"a" * 16)))
    assert event.reason is FailureReason.TOO_LARGE
    assert isinstance(event.error, BlockwiseError)


def test_a_single_answer_over_the_limit(coap):
    endpoint, _ = ask(coap, Collect(3))
    assert only(coap.feed(endpoint, "61450001b0ff61626364")).reason is FailureReason.TOO_LARGE


def test_an_answer_about_another_block(coap):
    endpoint, _ = ask(coap)
    assert only(coap.feed(endpoint, answer(1, "b0", 1, 1, b"a" * 16))).reason is FailureReason.PROTOCOL


def test_an_error_in_mid_body_is_the_answer(coap):
    endpoint, _ = ask(coap)
    coap.feed(endpoint, answer(1, "b0", 0, 1, b"a" * 16))
    event = only(coap.feed(endpoint, "61840002b1"))
    assert (type(event), event.message.code) == (ResponseReceived, 0x84)


def test_an_error_with_a_block_is_the_answer(coap):
    endpoint, _ = ask(coap)
    event = only(coap.feed(endpoint, answer(1, "b0", 0, 1, b"a" * 16, code="84")))
    assert (type(event), event.message.code) == (ResponseReceived, 0x84)


def test_a_body_that_comes_whole_after_all(coap):
    endpoint, _ = ask(coap)
    coap.feed(endpoint, answer(1, "b0", 0, 1, b"a" * 16, etag="07"))
    coap.feed(endpoint, answer(2, "b1", 1, 0, b"c", etag="08"))  # another body: again from 0
    event = only(coap.feed(endpoint, "61450003b2ff6162"))
    assert event.message.payload == b"ab"


def test_time_out_in_mid_body(coap):
    endpoint, call = ask(coap)
    coap.feed(endpoint, answer(1, "b0", 0, 1, b"a" * 16))
    for now in (2.5, 7.5, 17.5, 37.5, 77.5):
        endpoint.handle_timeout(now)
    event = only(endpoint.take_events())
    assert (event.call, event.reason) == (call, FailureReason.TIMEOUT)


def test_an_answer_to_an_upload_that_makes_no_sense(coap):
    endpoint = coap.make("a1")
    endpoint.request("peer", Request(3, PACKAGE, bytes(200), szx=2), 0.0)
    assert only(coap.feed(endpoint, "61440001a1d10e1a")).reason is FailureReason.PROTOCOL


def test_a_queue_without_room_ends_a_transfer(coap):
    endpoint = coap.make("b0", "b1", "b2", "b3", limits=EndpointLimits(queued_per_peer=1))
    first = endpoint.request("peer", Request(1, FIRMWARE), 0.0)
    second = endpoint.request("peer", Request(1, FIRMWARE), 0.0)
    third = endpoint.request("peer", Request(1, FIRMWARE), 0.0)
    assert only(endpoint.take_events()).call == third
    assert coap.feed(endpoint, answer(1, "b0", 0, 1, b"a" * 16)) == []  # the second goes out, the first waits
    assert coap.feed(endpoint, "61450002b1ff61")[0].call == second
    assert coap.feed(endpoint, answer(3, "b3", 1, 0, b"a"))[0].call == first


# -- streamed answers


def test_resume_with_another_etag_starts_again(coap):
    endpoint, call = ask(coap, Stream(offset=32, etag=b"\x01", szx=0))
    restarted = only(coap.feed(endpoint, answer(1, "b0", 2, 1, b"c" * 16, etag="02")))
    assert (type(restarted), restarted.call) == (BodyRestarted, call)
    assert coap.sent(endpoint) == ["41010002b1b26677c050"]


def test_resume_drops_the_overlap(coap):
    endpoint, call = ask(coap, Stream(offset=24, etag=b"\x01", szx=0))
    event = only(coap.feed(endpoint, answer(1, "b0", 1, 1, b"12345678abcdefgh", etag="01")))
    assert event == BlockArrived(call, 24, b"abcdefgh", False, None, b"\x01", 0x45)


def test_a_block_that_is_in_hand_already_is_passed_over(coap):
    endpoint, _call = ask(coap, Stream(offset=1000, szx=6))
    coap.sent(endpoint)
    # the server's blocks are small: the one that answers lies below the offset
    assert coap.feed(endpoint, answer(1, "b0", 0, 1, b"a" * 16)) == []
    assert coap.sent(endpoint) == ["41010002b1b26677c203e0"]
    event = only(coap.feed(endpoint, "61450002b1d20a03e8ff" + "62" * 16))
    assert (event.offset, event.payload) == (1000, b"b" * 8)


def test_a_block_may_be_stored_slowly(coap):
    endpoint, call = ask(coap, Stream(szx=0))
    assert coap.feed(endpoint, "60000001") == []  # the wait for a separate response begins, and ends
    assert len(coap.feed(endpoint, "51450700b0d10a08ff" + "61" * 16)) == 1
    for now in (2.5, 93.0, 500.0):
        endpoint.handle_timeout(now)
    assert endpoint.take_events() == []
    endpoint.proceed(call, 500.0)
    assert coap.sent(endpoint) == ["41010002b1b26677c110"]


def test_a_stream_that_comes_whole(coap):
    endpoint, call = ask(coap, Stream())
    arrived, done = coap.feed(endpoint, "61450001b04107ff6162")
    assert arrived == BlockArrived(call, 0, b"ab", True, None, b"\x07", 0x45)
    assert (type(done), done.message.code, done.message.payload) == (ResponseReceived, 0x45, b"")


def test_a_resumed_stream_that_comes_whole_starts_again(coap):
    endpoint, _call = ask(coap, Stream(offset=10, szx=6))
    restarted, arrived, done = coap.feed(endpoint, "61450001b0ff6162")
    assert (type(restarted), arrived.offset, type(done)) == (BodyRestarted, 0, ResponseReceived)


def test_a_refused_stream_is_answered(coap):
    endpoint, call = ask(coap, Stream())
    event = only(coap.feed(endpoint, "61840001b0"))
    assert (type(event), event.call, event.message.code) == (ResponseReceived, call, 0x84)


def test_a_stream_without_a_suggested_size(coap):
    endpoint = coap.make("b0")
    endpoint.request("peer", Request(1, FIRMWARE), 0.0, body=Stream())
    assert coap.sent(endpoint) == ["41010001b0b26677d004"]  # Size2 alone


def test_numbers_run_out_in_mid_stream(coap):
    endpoint, call = ask(coap, Stream(offset=(1 << 24) - 16, szx=0, max_body_bytes=1 << 30))
    event = only(coap.feed(endpoint, "61450001b0d30afffff8ff" + "00" * 16))
    assert isinstance(event, BlockArrived)
    endpoint.proceed(call, 0.0)
    assert only(endpoint.take_events()).reason is FailureReason.PROTOCOL


# -- mistakes of the caller


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        (Request(0x45), Collect()),
        (Request(0), Collect()),
        (Request(3, payload=b"x", source_bytes=1), Collect()),
        (Request(1, observe=True), Stream()),
        (Request(3, payload=b"x", szx=7), Collect()),
        (Request(1), Stream(szx=7)),
        (Request(1), Stream(offset=-1)),
        (Request(3, source_bytes=-1), Collect()),
    ],
)
def test_requests_that_contradict_themselves(coap, request_, body):
    endpoint = coap.make()
    with pytest.raises(UsageError):
        endpoint.request("peer", request_, 0.0, body=body)
    assert coap.sent(endpoint) == []


def test_an_option_out_of_range(coap):
    with pytest.raises(MessageFormatError):
        coap.make().request("peer", Request(1, ((70000, b""),)), 0.0)


def test_a_body_without_enough_numbers(coap):
    with pytest.raises(BlockwiseError):
        coap.make().request("peer", Request(3, source_bytes=(1 << 24) + 1, szx=0), 0.0)


def test_options_may_come_in_any_order(coap):
    endpoint = coap.make("c0")
    endpoint.request("peer", Request(1, ((17, b"\x2a"), (11, b"fw"))), 0.0)
    assert coap.sent(endpoint) == ["41010001c0b26677612a"]


def test_entropy_that_repeats_itself_ends_a_call(coap):
    endpoint = coap.make(*["c0"] * 40)
    endpoint.request("peer", Request(1), 0.0)
    second = endpoint.request("peer", Request(1), 0.0)
    event = only(endpoint.take_events())
    assert (event.call, event.reason) == (second, FailureReason.EXHAUSTED)


# -- two endpoints


class Store:
    """A server of one resource: takes it with PUT, gives it with GET."""

    def __init__(self, body=b"", max_szx=6):
        self.body, self.max_szx = bytearray(body), max_szx
        self.receiver = Block1Receiver(1 << 20, max_szx)

    def __call__(self, endpoint, event, now):
        if isinstance(event, BodyWanted):
            endpoint.give(event, event.body.block(event.offset, event.length), 0.0)
            return
        assert isinstance(event, RequestReceived)
        endpoint.respond(event.exchange, self.answer(event.message), now)

    @property
    def size_bytes(self):
        return len(self.body)

    def block(self, offset, length):
        assert offset + length < len(self.body)
        return bytes(self.body[offset : offset + length])

    def answer(self, message):
        if message.code == 1:
            value = message.first(23)
            part = block2_answer(Block.decode(value), len(self.body), max_szx=self.max_szx)
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


def losing(*numbers):
    return lambda number, data: number in numbers


@pytest.mark.parametrize("max_szx", [6, 2])
@pytest.mark.parametrize("lose", [(), (1, 2, 5, 7, 8, 9)])
def test_push_between_two_endpoints(coap, max_szx, lose):
    store = Store(max_szx=max_szx)
    client = coap.make(mid=1)
    pair = coap.Pair(client, coap.make(mid=0x8000), store, losing(*lose))
    done = []
    call = client.request("server", Request(3, PACKAGE, source_bytes=len(BODY)), 0.0)

    def react(event):
        if isinstance(event, BlockWanted):
            client.supply(call, BODY[event.offset : event.offset + event.length], pair.now)
        else:
            done.append(event)

    pair.run(react, lambda: done)
    assert (type(only(done)), done[0].message.code) == (ResponseReceived, 0x44)
    assert bytes(store.body) == BODY


@pytest.mark.parametrize("max_szx", [6, 2])
@pytest.mark.parametrize("lose", [(), (1, 2, 5, 7, 8, 9)])
def test_pull_between_two_endpoints(coap, max_szx, lose):
    client = coap.make(mid=1)
    pair = coap.Pair(client, coap.make(mid=0x8000), Store(BODY, max_szx), losing(*lose))
    done, got = [], bytearray()
    call = client.request("server", Request(1, FIRMWARE), 0.0, body=Stream(szx=6))

    def react(event):
        if isinstance(event, BlockArrived):
            assert event.offset == len(got)
            got.extend(event.payload)
            if not event.last:
                client.proceed(call, pair.now)
        else:
            done.append(event)

    pair.run(react, lambda: done)
    assert (type(only(done)), done[0].message.code, done[0].message.payload) == (ResponseReceived, 0x45, b"")
    assert bytes(got) == BODY


def test_a_wire_that_is_cut_ends_a_push(coap):
    client = coap.make()
    pair = coap.Pair(client, coap.make(), Store(), lambda number, data: number > 4)
    done = []
    client.request("server", Request(3, PACKAGE, BODY), 0.0)
    pair.run(done.append, lambda: done)
    assert isinstance(only(done), CallFailed)
    assert pair.now == pytest.approx(77.5)


def test_a_long_transfer_keeps_nothing(coap):
    client = coap.make()
    server = coap.make()
    pair = coap.Pair(client, server, Store(bytes(1 << 20)))
    done, largest = [], 0
    call = client.request("server", Request(1, FIRMWARE), 0.0, body=Stream(szx=6))

    def react(event):
        nonlocal largest
        pair.now += 0.1  # 100 s in all: alarms ring on the way
        for end in (client, server):
            end.handle_timeout(pair.now)
        state = server._messages.peers.get("client")
        largest = max(largest, len(state.recalled), len(server._messages.peers.alarms))
        if isinstance(event, BlockArrived) and not event.last:
            client.proceed(call, pair.now)
        elif isinstance(event, ResponseReceived):
            done.append(event)

    pair.run(react, lambda: done)
    assert pair.carried == 2048
    assert largest <= 256
    state = client._messages.peers.get("server")
    assert not state.busy()
    assert len(client._client) == len(server._serving) == client._messages.peers.budget.used_bytes == 0
    assert len(client._messages.peers.alarms) <= 2
