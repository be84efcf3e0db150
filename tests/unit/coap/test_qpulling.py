"""A download by sets of blocks, message by message (RFC 9177 sections 4.4 and 7.2)."""

import pytest

from lwm2m_fota.coap.block import Block, pack_block
from lwm2m_fota.coap.endpoint import EndpointLimits, FailureReason, Request, Stream
from lwm2m_fota.coap.events import BlockArrived, BodyRestarted, CallFailed, ResponseReceived
from lwm2m_fota.coap.message import Message, decode, encode, pack_uint, sort_options
from lwm2m_fota.coap.qblock import QBlock, QTimers
from lwm2m_fota.coap.qpulling import LATE_TOKENS
from lwm2m_fota.errors import UsageError

FIRMWARE = ((11, b"fw"),)
BODY = bytes(range(256)) * 2 + b"end"  # 33 blocks of 16, the last one of 3
COUNT = 33
Q = QBlock(max_payloads=4)


def values(message, number=31):
    return [(block.num, block.more) for block in map(Block.decode, message.every(number))]


class Client:
    """An endpoint that pulls, and what it has sent; the answers are made by hand."""

    def __init__(self, coap, **limits):
        self.endpoint = coap.make(mid=1, limits=EndpointLimits(**limits))
        self.now = 0.0
        self.got = bytearray()
        self.events = []
        self.mid = 1000
        self.tokens = []
        self.storing = True

    def begin(self, q=Q, request=None, **stream):
        stream = Stream(**{"szx": 0, "q_block": q, **stream})
        self.got += BODY[: stream.offset]
        self.call = self.endpoint.request("peer", request or Request(1, FIRMWARE), self.now, body=stream)
        return self.only()

    def sent(self):
        messages = [decode(data) for data, _ in self.endpoint.take_datagrams()]
        self.tokens += [message.token for message in messages if message.code]
        return messages

    def only(self):
        (message,) = self.sent()
        return message

    def asked(self):
        """The one request that was sent: (type, its blocks)."""
        message = self.only()
        assert message.code == 1
        assert message.first(11) == b"fw"
        return message.type, values(message)

    def hear(self, data):
        self.endpoint.receive(data, "peer", self.now)
        self.act()

    def act(self):
        while events := self.endpoint.take_events():
            for event in events:
                if isinstance(event, BlockArrived):
                    assert event.offset == len(self.got)
                    self.got += event.payload
                    if not event.last and self.storing:
                        self.endpoint.proceed(event.call, self.now)
                elif isinstance(event, BodyRestarted):
                    self.got.clear()
                    self.events.append(event)
                else:
                    self.events.append(event)

    def block(
        self, num, *, token=None, kind=1, mid=None, body=BODY, szx=0, etag=b"\x01", size2=None, more=None, extra=()
    ):
        """A block under the token of the last request, as bytes."""
        self.mid += 1
        size = 16 << szx
        more = (num + 1) * size < len(body) if more is None else more
        size2 = len(body) if size2 is None else size2
        block2 = (31, pack_block(num, more, szx))
        options = sort_options([(4, etag), block2, (28, pack_uint(size2)), *extra])
        token = self.tokens[-1] if token is None else token
        payload = body[num * size : (num + 1) * size]
        return encode(Message(kind, 0x45, self.mid if mid is None else mid, token, options, payload))

    def blocks(self, *nums, **fields):
        for num in nums:
            self.hear(self.block(num, **fields))

    def pass_time(self, until):
        self.now = until
        self.endpoint.handle_timeout(self.now)
        self.act()

    def started(self, **stream):
        """Answer the probe; the request for the rest of the first set has gone out."""
        probe = self.begin(**stream)
        self.hear(self.block(values(probe)[0][0], kind=2, mid=probe.mid, szx=stream.get("szx", 0)))
        return self.asked()

    def have(self):
        """What the caller has, and what waits for it."""
        call = self.endpoint._client._calls.get(self.call)
        return bytes(self.got) + (b"".join(call.batch._parts) if call is not None else b"")

    def lane(self):
        return self.endpoint._messages.peers.get("peer").asking

    def end(self):
        (event,) = [event for event in self.events if not isinstance(event, BodyRestarted)]
        return event


@pytest.fixture
def client(coap):
    return Client(coap)


# -- finding out


def test_the_first_request_is_confirmable_and_for_one_block(client):
    probe = client.begin()
    assert (probe.type, probe.code) == (0, 1)
    assert probe.options == (
        (11, b"fw"),
        (28, b""),
        (31, b""),
    )  # the block 0 of 16 bytes alone, and how large it all is


def test_a_pull_asks_for_blocks_of_1024_bytes_unless_told_otherwise(client):
    probe = client.begin(szx=None)
    assert probe.options == ((11, b"fw"), (28, b""), (31, b"\x06"))


def test_a_peer_that_answers_with_q_block2_is_asked_for_the_rest_of_the_set_and_then_for_set_after_set(client):
    assert client.started() == (1, [(1, True)])
    client.blocks(1, 2)
    assert client.sent() == []
    client.blocks(3)
    assert client.asked() == (1, [(4, True)])  # Continue
    for begin in range(4, 32, 4):
        client.blocks(*range(begin, begin + 4))
        assert client.asked() == (1, [(begin + 4, True)])
    client.blocks(32)
    assert client.sent() == []
    assert client.got == BODY
    answer = client.end()
    assert isinstance(answer, ResponseReceived)
    assert (answer.message.code, answer.message.payload) == (0x45, b"")
    assert answer.message.options == ((4, b"\x01"), (28, pack_uint(len(BODY))))
    assert client.lane() is None
    assert client.endpoint._messages.peers.get("peer").tokens == {}


def test_a_body_of_one_block_needs_no_sets(client):
    probe = client.begin()
    client.hear(client.block(0, kind=2, mid=probe.mid, body=b"small"))
    assert client.got == b"small"
    assert client.end().message.options == ((4, b"\x01"), (28, b"\x05"))


def test_every_request_has_a_token_of_its_own(client):
    client.started()
    client.blocks(1, 2, 3)
    client.sent()
    client.blocks(4, 5, 6, 7)
    client.sent()
    assert len(set(client.tokens)) == len(client.tokens) == 4


@pytest.mark.parametrize("with_block2", [True, False])
@pytest.mark.parametrize("named", [(), ((31, b""),)])  # libcoap tells the option
def test_a_peer_that_refuses_the_option_is_asked_with_block2(client, with_block2, named):
    probe = client.begin()
    client.hear(encode(Message(2, 0x82, probe.mid, probe.token, named)))
    again = client.only()
    assert (again.type, again.options) == (0, ((11, b"fw"), (23, b""), (28, b"")))
    options = ((23, b""),) if with_block2 else ()
    client.hear(encode(Message(2, 0x45, again.mid, again.token, options, b"all")))
    assert client.got == b"all"


def test_a_peer_that_resets_the_probe_is_asked_with_block2(client):
    probe = client.begin()
    client.hear(encode(Message(3, 0, probe.mid)))
    assert client.only().options == ((11, b"fw"), (23, b""), (28, b""))


def test_a_peer_that_answers_with_block2_is_asked_anew_with_block2(client):
    probe = client.begin()
    options = ((4, b"\x01"), (23, pack_block(0, True, 0)), (28, pack_uint(len(BODY))))
    client.hear(encode(Message(2, 0x45, probe.mid, probe.token, options, BODY[:16])))
    assert client.only().options == ((11, b"fw"), (23, b""), (28, b""))  # aiocoap holds blocks together by all options


def test_a_body_without_blocks_is_taken_as_it_is(client):
    probe = client.begin()
    client.hear(encode(Message(2, 0x45, probe.mid, probe.token, (), b"all")))
    assert client.got == b"all"


def test_any_other_refusal_ends_the_call(client):
    probe = client.begin()
    client.hear(encode(Message(2, 0x84, probe.mid, probe.token)))
    assert client.end().message.code == 0x84


def test_a_reset_of_something_else_ends_the_call(client, coap):
    client.endpoint.request("peer", Request(1, FIRMWARE), 0.0, body=Stream())
    client.hear(encode(Message(3, 0, client.only().mid)))
    assert client.end().reason is FailureReason.RESET


@pytest.mark.parametrize(
    "fields",
    [
        {"size2": b"\x10"},  # no more than what came
        {"size2": b"\x7f\xff\xff\xff"},  # more than there are numbers
        {"size2": b"\x02\x04"},  # more than may come
    ],
)
def test_a_size_that_cannot_be_is_left_to_block2(client, fields):
    probe = client.begin(max_body_bytes=515)
    options = ((4, b"\x01"), (28, fields["size2"]), (31, pack_block(0, True, 0)))
    client.hear(encode(Message(2, 0x45, probe.mid, probe.token, options, BODY[:16])))
    assert client.only().options == ((11, b"fw"), (23, b"\x10"))


@pytest.mark.parametrize("options", [((28, b"\x02\x03"), (31, b"\x08")), ((4, b"\x01"), (31, b"\x08"))])
def test_a_body_that_says_too_little_of_itself_is_fetched_with_block2(client, options):
    probe = client.begin()
    client.hear(encode(Message(2, 0x45, probe.mid, probe.token, options, BODY[:16])))
    assert client.only().options == ((11, b"fw"), (23, b""), (28, b""))


@pytest.mark.parametrize("request_", [Request(5, payload=b"which"), Request(5, source_bytes=5)])
def test_a_request_with_a_body_is_not_asked_in_sets(client, request_):
    with pytest.raises(UsageError):
        client.begin(request=request_)


# -- resuming


def test_a_pull_goes_on_where_it_was(client):
    probe = client.begin(offset=16 * 7 + 5, etag=b"\x01")
    assert values(probe) == [(7, False)]
    client.hear(client.block(7, kind=2, mid=probe.mid))
    assert client.asked() == (1, [(8, True)])
    for begin in range(8, 32, 4):
        client.blocks(*range(begin, begin + 4))
        client.sent()
    client.blocks(32)
    assert client.got == BODY


def test_another_body_than_the_one_in_hand_begins_anew(client):
    probe = client.begin(offset=16 * 6, etag=b"\x01")
    client.hear(client.block(6, kind=2, mid=probe.mid, etag=b"\x02"))
    probe = client.only()
    assert (probe.type, values(probe)) == (0, [(0, False)])
    client.hear(client.block(0, kind=2, mid=probe.mid, etag=b"\x02"))
    assert client.asked() == (1, [(1, True)])


# -- what comes wrongly


def test_blocks_out_of_turn_wait_for_it(client):
    client.started()
    client.blocks(3, 2)
    assert (client.got, client.sent()) == (BODY[:16], [])
    client.blocks(1)
    assert client.asked() == (1, [(4, True)])
    assert client.have() == BODY[:64]


def test_a_block_that_comes_twice_counts_once(client):
    client.started()
    client.blocks(1, 1, 3, 3)
    client.blocks(0)
    assert client.sent() == []
    client.blocks(2)
    assert client.asked() == (1, [(4, True)])
    client.blocks(2, 3)
    assert client.sent() == []


def test_what_is_missing_is_asked_for_when_a_block_of_a_later_set_comes(client):
    client.started()
    client.blocks(1, 3)
    client.blocks(4)
    assert client.asked() == (1, [(2, False)])
    client.blocks(6)
    assert client.sent() == []  # once for each set
    client.blocks(8)
    assert client.asked() == (1, [(2, False), (5, False), (7, False)])
    late = client.tokens[-1]
    client.blocks(2, 5, 7, token=late)
    assert client.sent() == []  # the peer goes on by itself: the set of block 8 is under way
    client.blocks(9, 10, 11)
    assert client.asked() == (1, [(12, True)])
    assert client.have() == BODY[: 16 * 12]


def test_no_more_than_a_set_is_asked_for_at_a_time(client):
    client.started()
    client.blocks(12)
    assert client.asked() == (1, [(1, False), (2, False), (3, False), (4, False)])


def test_a_set_that_the_peer_sends_unasked_is_waited_for(client):
    client.started()
    client.blocks(1, 2, 3)
    assert client.asked() == (1, [(4, True)])
    client.blocks(4, 5, 6, 7)
    assert client.asked() == (1, [(8, True)])  # lost, so that the peer goes on by itself
    client.blocks(8, 9)
    assert client.sent() == []
    client.blocks(10, 11)
    assert client.asked() == (1, [(12, True)])


def test_a_set_unasked_behind_the_one_that_was_asked_for(client):
    client.started()
    client.blocks(1, 3, 4, 5)
    assert client.asked() == (1, [(2, False)])
    client.blocks(2)
    assert client.sent() == []
    client.blocks(6, 7)
    assert client.asked() == (1, [(8, True)])


def test_blocks_that_find_no_room_are_asked_for_again(client):
    client.started(q=QBlock(max_payloads=4, early_bytes=32))
    client.blocks(2, 3, 4)  # there is room for two
    assert client.sent() == []
    client.blocks(1)
    client.pass_time(4.0)
    client.blocks(4, 5, 6)
    assert client.have() == BODY[: 16 * 7]


def test_other_answers_under_the_token_are_judged(client):
    client.started()
    client.hear(client.block(1, kind=0))  # confirmable: acknowledged, and taken
    assert [message.type for message in client.sent()] == [2]
    client.hear(client.block(2, extra=((14, b"\x3c"),)))  # other options
    client.blocks(3, extra=((14, b"\x3c"),))
    assert client.asked() == (1, [(4, True)])


def test_blocks_under_another_token_of_the_call_are_taken(client):
    client.started()
    first = client.tokens[-1]
    client.blocks(1, 2, 3)
    client.sent()
    client.blocks(4, 5, token=first)
    client.blocks(6, 7, token=client.tokens[-1])
    assert client.asked() == (1, [(8, True)])


def test_the_token_that_answers_come_under_stays_while_others_go(client):
    client.started()
    first = client.tokens[-1]
    for begin in range(4, 32, 4):
        client.blocks(*range(begin - 3 if begin == 4 else begin - 4, begin), token=first)
        client.sent()
    client.blocks(28, token=client.tokens[-1])  # another one for once
    client.blocks(29, 30, 31, token=first)
    assert client.asked() == (1, [(32, True)])
    tokens = client.endpoint._messages.peers.get("peer").tokens
    assert first in tokens
    assert len(tokens) <= LATE_TOKENS
    client.blocks(32, token=first)
    assert client.got == BODY


def test_a_token_that_is_forgotten_brings_nothing(client):
    client.started()
    for begin in range(4, 4 + 4 * (LATE_TOKENS - 1), 4):
        token = client.tokens[-1]
        client.blocks(*range(begin - 3 if begin == 4 else begin - 4, begin), token=token)
        client.sent()
    state = client.endpoint._messages.peers.get("peer")
    assert len(state.tokens) == LATE_TOKENS
    client.blocks(28, 29, 30, 31)
    client.sent()
    assert client.tokens[1] in state.tokens  # the first one stays
    stale = client.tokens[2]
    assert stale not in state.tokens
    client.blocks(32, token=stale)
    assert client.events == []


def test_another_etag_begins_the_body_anew_and_says_so(client):
    client.started()
    client.blocks(1)
    other = bytes(reversed(BODY))
    client.hear(client.block(2, body=other, etag=b"\x02"))
    assert [type(event) for event in client.events] == [BodyRestarted]
    probe = client.only()
    assert (probe.type, values(probe)) == (0, [(0, False)])
    client.blocks(2, 3, token=client.tokens[-2])  # late: nobody waits for them
    assert client.got == b""
    client.hear(client.block(0, kind=2, mid=probe.mid, body=other, etag=b"\x02"))
    assert client.asked() == (1, [(1, True)])
    assert client.have() == other[:16]


def test_a_body_that_changes_for_ever_ends_the_call(coap):
    client = Client(coap, body_restarts=1)
    client.started()
    client.hear(client.block(1, etag=b"\x02"))
    probe = client.only()
    client.hear(client.block(0, kind=2, mid=probe.mid, etag=b"\x02"))
    client.asked()
    client.hear(client.block(1, etag=b"\x03"))
    assert client.end().reason is FailureReason.PROTOCOL


@pytest.mark.parametrize(
    "fields",
    [
        {"num": 1, "more": False},  # the last one is another
        {"num": 32, "more": True},
        {"num": 33, "body": bytes(16 * 33) + b"end", "size2": 515},  # behind the end
        {"num": 33, "body": bytes(16 * 40), "size2": 515},
        {"num": 1, "size2": 514},
        {"num": 1, "body": BODY[:20], "more": True, "size2": 515},  # too short
        {"num": 32, "body": BODY[:-1], "size2": 515},
    ],
)
def test_a_block_that_contradicts_what_came_before_ends_the_call(client, fields):
    client.started()
    client.hear(client.block(**fields))
    failed = client.end()
    assert isinstance(failed, CallFailed)
    assert (failed.reason, failed.error.result) == (FailureReason.PROTOCOL, 4)
    assert client.lane() is None


def test_a_value_that_is_none_ends_the_call(client):
    client.started()
    client.hear(encode(Message(1, 0x45, 9, client.tokens[-1], ((4, b"\x01"), (31, b"\x07")), b"x")))
    assert client.end().reason is FailureReason.PROTOCOL


def test_another_block_size_is_found_out_about_from_what_is_in_hand(client):
    client.started(szx=1)
    client.blocks(1, szx=1)
    client.hear(client.block(4, szx=0))
    probe = client.only()
    assert (probe.type, values(probe)) == (0, [(2, False)])
    client.hear(client.block(4, kind=2, mid=probe.mid))
    assert client.asked() == (1, [(5, True)])
    assert client.have() == BODY[:80]


def test_an_error_in_between_is_the_answer(client):
    client.started()
    client.blocks(1)
    client.hear(encode(Message(1, 0xA3, 9, client.tokens[-1])))
    assert client.end().message.code == 0xA3
    assert client.got == BODY[:32]
    assert client.endpoint._messages.peers.get("peer").tokens == {}


def test_a_body_that_has_become_shorter_begins_anew(client):
    client.started()
    client.blocks(1, 2, 3)
    client.asked()
    client.hear(encode(Message(1, 0x80, 9, client.tokens[-1])))
    assert [type(event) for event in client.events] == [BodyRestarted]
    assert values(client.only()) == [(0, False)]


@pytest.mark.parametrize("how", ["4.02", "reset"])
def test_a_peer_that_forgets_the_option_is_asked_on_with_block2(client, how):
    client.started()
    client.blocks(1, 2, 3)
    request = client.only()
    refusal = Message(1, 0x82, 9, request.token) if how == "4.02" else Message(3, 0, request.mid)
    client.hear(encode(refusal))
    again = client.only()
    assert (again.type, again.options) == (0, ((11, b"fw"), (23, b"\x40")))
    assert client.events == []


def test_a_reset_of_another_message_is_none_of_this(client):
    client.started()
    client.hear(encode(Message(3, 0, 77)))
    assert client.sent() == []
    assert client.lane() is not None


# -- time


def test_what_is_missing_is_asked_for_when_nothing_comes(client):
    client.started()
    client.now = 1.0
    client.blocks(2)
    client.pass_time(4.9)
    assert client.sent() == []
    client.pass_time(5.0)  # NON_RECEIVE_TIMEOUT after the last block
    assert client.asked() == (1, [(1, False), (3, False)])
    client.pass_time(12.9)
    assert client.sent() == []
    client.pass_time(13.0)  # twice as long
    assert client.asked() == (1, [(1, False), (3, False)])
    client.blocks(3)
    client.pass_time(17.0)  # a sign of the peer: as at first
    assert client.asked() == (1, [(1, False)])


def test_the_end_of_a_set_is_asked_for_with_one_option(client):
    client.started()
    client.blocks(1)
    client.pass_time(4.0)
    assert client.asked() == (1, [(2, True)])
    client.blocks(2, 3)
    assert client.asked() == (1, [(4, True)])
    client.pass_time(8.0)
    assert client.asked() == (1, [(4, True)])  # nothing came of it: Continue once more


def test_a_peer_that_falls_silent_is_given_up_after_so_many_repeats(client):
    client.started()
    for at in (4.0, 12.0, 28.0, 60.0):
        client.pass_time(at)
        assert client.asked() == (1, [(1, True)])
    client.pass_time(123.9)
    assert (client.sent(), client.events) == ([], [])
    client.pass_time(124.0)
    failed = client.end()
    assert (type(failed), failed.reason) == (CallFailed, FailureReason.TIMEOUT)
    assert client.lane() is None
    assert client.got == BODY[:16]


def test_a_caller_that_takes_its_time_is_waited_for(client):
    client.storing = False
    probe = client.begin()
    client.hear(client.block(0, kind=2, mid=probe.mid))
    assert client.sent() == []
    client.pass_time(1000.0)
    client.endpoint.proceed(client.call, client.now)
    assert client.asked() == (1, [(1, True)])
    client.blocks(1)  # handed over: the caller is at work again
    client.blocks(2, 3)
    assert client.sent() == []
    client.pass_time(1500.0)
    assert (client.sent(), client.events, client.got) == ([], [], BODY[:32])
    client.endpoint.proceed(client.call, client.now)
    assert client.got == BODY[:32]
    client.act()
    assert client.have() == BODY[:64]
    client.endpoint.proceed(client.call, client.now)
    assert client.asked() == (1, [(4, True)])


def test_what_comes_before_anything_was_asked_for_is_nothing(client):
    client.storing = False
    probe = client.begin()
    client.hear(client.block(0, kind=2, mid=probe.mid))
    client.blocks(1, token=b"\xff\xff")
    assert (client.got, client.sent()) == (BODY[:16], [])
    client.endpoint.proceed(client.call, 0.0)
    assert client.asked() == (1, [(1, True)])


def test_what_comes_while_the_caller_is_at_work_is_bounded(coap):
    client = Client(coap, batch_bytes=16)
    client.storing = False
    probe = client.begin(q=QBlock(max_payloads=4, early_bytes=48))
    client.hear(client.block(0, kind=2, mid=probe.mid))
    client.endpoint.proceed(client.call, client.now)
    client.sent()
    client.blocks(*range(1, 32))  # unasked
    batch, order = client.endpoint._client._calls[client.call].batch, client.lane()._order
    assert batch.size_bytes == 16 + 4 * 16  # behind block 1, which the caller has
    assert sorted(order.early) == [7, 8, 9]
    client.storing = True
    client.endpoint.proceed(client.call, client.now)
    client.act()
    assert client.have() == BODY[: 16 * 10]


def test_the_last_block_waits_for_the_caller(client):
    client.storing = False
    probe = client.begin()
    client.hear(client.block(0, kind=2, mid=probe.mid, body=BODY[:40]))
    client.endpoint.proceed(client.call, client.now)
    client.sent()
    client.blocks(1, 2, body=BODY[:40])
    assert (client.got, client.events) == (BODY[:32], [])
    client.endpoint.proceed(client.call, client.now)
    client.act()
    assert client.got == BODY[:40]
    assert client.end().message.code == 0x45


def test_measured_waits_follow_the_peer(client):
    client.started(q=QBlock(max_payloads=4, timers=QTimers.MEASURED))
    client.now = 0.2
    client.blocks(1, 2, 3)  # a round trip of 0.2 s, and a deviation of 0.1: 0.6 s instead of 2
    client.sent()
    client.now = 0.5
    client.blocks(5)  # not the one that the request was for: nothing is measured
    client.pass_time(1.6)
    assert client.sent() == []
    client.pass_time(1.8)
    assert client.asked() == (1, [(4, False), (6, False), (7, False)])
    client.blocks(4)
    client.pass_time(2.9)
    assert client.sent() == []  # what was asked for again measures nothing
    client.pass_time(3.0)
    assert client.asked() == (1, [(6, True)])


# -- other ends


def test_a_call_that_is_cancelled_waits_for_nothing(client):
    client.started()
    client.endpoint.cancel(client.call, 0.0)
    assert client.endpoint._messages.peers.get("peer").tokens == {}
    assert client.lane() is None
    client.blocks(1, 2, 3)
    client.pass_time(4.0)
    assert (client.sent(), client.events) == ([], [])


def test_an_unreachable_peer_ends_the_call_if_the_limits_say_so(coap):
    client = Client(coap, fail_on_unreachable=True)
    client.started()
    client.endpoint.unreachable("peer", 0.0)
    client.act()
    assert client.end().reason is FailureReason.UNREACHABLE


def test_an_acknowledgement_of_nothing_is_nothing(client):
    client.started()
    client.hear(encode(Message(2, 0, client.endpoint._messages.peers.get("peer").asking._last_mid)))
    assert client.sent() == []


def test_without_a_free_message_id_it_is_as_if_the_request_were_lost(client, monkeypatch):
    client.started()
    state = client.endpoint._messages.peers.get("peer")
    monkeypatch.setattr(type(state.ids), "take", lambda *_: None)
    client.blocks(1, 2, 3)
    assert client.sent() == []
    monkeypatch.undo()
    client.pass_time(4.0)
    assert client.asked() == (1, [(4, True)])


def test_two_pulls_from_one_peer_do_not_disturb_each_other(client):
    client.started()
    token = client.tokens[-1]
    client.endpoint.request("peer", Request(1, ((11, b"other"),)), 0.0, body=Stream(szx=0, q_block=Q))
    probe = client.only()
    client.got.clear()
    client.hear(client.block(0, kind=2, mid=probe.mid))
    client.only()
    second = client.tokens[-1]
    client.got = bytearray(BODY[:16])
    client.blocks(1, 2, 3, token=token)  # of the one that is not on the hot path
    assert client.asked() == (1, [(4, True)])
    client.got = bytearray(BODY[:16])
    client.blocks(1, 2, 3, token=second)
    assert client.only().first(11) == b"other"


# -- bursts


def test_a_burst_is_taken_as_its_datagrams_would_be(client):
    client.started()
    first = client.tokens[-1]
    datagrams = [client.block(num) for num in (1, 2, 3)]
    size = len(datagrams[0])
    client.endpoint.receive_burst(b"".join(datagrams), size, "peer", 0.0)
    client.act()
    assert client.asked() == (1, [(4, True)])
    strange = [client.block(4, token=first), b"\x50" * size, client.block(5, token=first), client.block(7, token=first)]
    client.endpoint.receive_burst(b"".join(strange), size, "peer", 0.0)
    client.act()
    assert client.have() == BODY[:96]
    client.endpoint.receive_burst(client.block(6, token=first) + b"\x40\x00", size, "peer", 0.0)
    client.act()
    assert client.have() == BODY[:128]
    assert client.asked() == (1, [(8, True)])


def test_a_burst_of_strangers(coap):
    endpoint = coap.make()
    endpoint.receive_burst(bytes.fromhex("40000001" + "40000002"), 4, "peer", 0.0)
    assert coap.sent(endpoint) == ["70000001", "70000002"]


def test_what_a_burst_leaves(client):
    client.started()
    datagrams = [client.block(num) for num in (1, 2)]
    size = len(datagrams[0])
    burst = b"".join((*datagrams, client.block(3, etag=b"\x09")))
    assert client.lane().receive_burst(burst, 0, size, 0.0) == 2 * size
    client.act()
    assert client.lane().receive_burst(burst, 2 * size, size, 0.0) == 2 * size


def test_a_burst_out_of_order(client):
    client.started()
    datagrams = [client.block(num) for num in (2, 1, 3, 3)]
    size = len(datagrams[0])
    assert client.lane().receive_burst(b"".join(datagrams), 0, size, 0.0) == 4 * size
    client.act()
    assert client.got == BODY[:64]
    assert client.lane().receive_burst(b"".join(datagrams), 0, size, 0.0) == 4 * size  # all of them came before
    assert len(client.sent()) == 1
