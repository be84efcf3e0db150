"""A body that is fetched by sets of blocks, message by message (RFC 9177 sections 4.4 and 7.2)."""

import pytest

from lwm2m_fota.coap.block import Block, pack_block
from lwm2m_fota.coap.block2 import block2_answer, block2_options
from lwm2m_fota.coap.endpoint import EndpointLimits, Response
from lwm2m_fota.coap.events import BodyWanted, RequestReceived
from lwm2m_fota.coap.limits import Strangers
from lwm2m_fota.coap.message import Message, decode, encode, sort_options
from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.coap.qblock import QBlock, QTimers
from lwm2m_fota.errors import BlockwiseError

FIRMWARE = ((11, b"fw"),)
BODY = bytes(range(256)) * 2 + b"end"  # 33 blocks of 16, the last one of 3
Q = QBlock(max_payloads=4, ahead_bytes=0)


class Giver:
    """A server with one body, and what it was told and asked for."""

    def __init__(self, coap, q=Q, body=BODY, max_szx=6, parameters=None, **limits):
        self.endpoint = coap.make(mid=2000, limits=EndpointLimits(q_block=q, **limits), parameters=parameters)
        self.stored, self.max_szx = body, max_szx
        self.etag = b"\x01"
        self.lends = True
        self.reported, self.read = [], []
        self.wanted = []
        self.now = 0.0
        self.mid = 0
        self.failing = None
        self.giving = True

    @property
    def size_bytes(self):
        return len(self.stored)

    def act(self):
        while events := self.endpoint.take_events():
            for event in events:
                if isinstance(event, BodyWanted):
                    self.read.append((event.offset, event.length))
                    if self.giving:
                        self.give(event)
                    else:
                        self.wanted.append(event)
                else:
                    assert isinstance(event, RequestReceived)
                    self.reported.append(event.message)
                    self.endpoint.respond(event.exchange, self.answer(event.message), self.now)

    def give(self, event):
        given = self.failing or self.stored[event.offset : event.offset + event.length]
        self.endpoint.give(event, given, self.now)

    def answer(self, message):
        if message.path() != ("fw",):
            return Response(0x84)
        value = message.first(23)
        try:
            requested = None if value is None else Block.decode(value)
            part = block2_answer(requested, len(self.stored), max_szx=self.max_szx)
        except BlockwiseError as error:
            return Response(error.code)
        if part is None:
            return Response(0x45, (), self.stored, idempotent=True)
        payload = self.stored[part.offset : part.offset + part.length]
        options = block2_options(part, len(self.stored), self.etag, want_size2=False)
        return Response(0x45, options, payload, True, self if self.lends else None)

    def hear(self, data):
        self.endpoint.receive(data, "peer", self.now)
        self.act()
        return self.sent()

    def sent(self):
        return [decode(data) for data, _ in self.endpoint.take_datagrams()]

    def ask(self, *blocks, kind=1, token=b"\xa1", szx=0, mid=None, path=FIRMWARE, extra=()):
        self.mid += 1
        values = ((31, pack_block(num, more, szx)) for num, more in blocks)
        options = sort_options((*path, *values, *extra))
        return self.hear(encode(Message(kind, 1, self.mid if mid is None else mid, token, options)))

    def pass_time(self, until):
        self.now = until
        self.endpoint.handle_timeout(self.now)
        self.act()
        return self.sent()

    def lane(self):
        return self.endpoint._messages.peers.get("peer").answering


@pytest.fixture
def giver(coap):
    return Giver(coap)


def blocks(messages):
    return [Block.decode(message.first(31)).num for message in messages]


def check(messages, token, *, szx=0, body=BODY, kind=1):
    """Every message is a block as it must be."""
    for message in messages:
        block = Block.decode(message.first(31))
        size = 16 << szx
        assert (message.type, message.code, message.token, block.szx) == (kind, 0x45, token, szx)
        assert message.payload == body[block.num * size : (block.num + 1) * size]
        assert block.more == ((block.num + 1) * size < len(body))
        assert (message.first(4), message.uint(28)) == (b"\x01", len(body))
        assert message.first(23) is None
    return blocks(messages)


# -- what the handler sees


def test_the_handler_sees_block2_and_the_answer_has_q_block2(giver):
    (answer,) = giver.ask((2, False), kind=0, token=b"\xa7", extra=((28, b""),))
    (reported,) = giver.reported
    assert reported.options == ((11, b"fw"), (23, b"\x20"), (28, b""))
    assert (answer.type, answer.mid, answer.token) == (2, 1, b"\xa7")
    assert answer.options == ((4, b"\x01"), (28, b"\x02\x03"), (31, b"\x28"))
    assert answer.payload == BODY[32:48]


def test_what_fits_one_block_is_told_with_q_block2_too(coap):
    giver = Giver(coap, body=b"small", q=Q)
    giver.lends = False
    (answer,) = giver.ask((0, False), kind=0)
    assert answer.options == ((4, b"\x01"), (28, b"\x05"), (31, b""))
    assert giver.lane() is None


def test_a_block_of_something_that_cannot_be_had_again_is_refused(giver):
    giver.lends = False
    (answer,) = giver.ask((0, False), kind=0)
    assert (answer.code, answer.options, answer.payload) == (0x82, (), b"")
    (answer,) = giver.ask((32, False), kind=0)  # the last one
    assert answer.code == 0x82


def test_a_body_without_an_etag_is_not_given_in_sets(giver):
    giver.etag = None
    (answer,) = giver.ask((0, True))
    assert answer.code == 0x82


def test_strangers_get_no_sets_however_small_the_blocks(coap):
    giver = Giver(coap, strangers=Strangers())
    for more in (False, True):
        (answer,) = giver.ask((0, more))
        assert (answer.code, answer.payload) == (0x82, b"")
    giver.endpoint._messages.peers.get("peer").is_known = True
    assert check(giver.ask((0, True), token=b"\xb0"), b"\xb0") == [0, 1, 2, 3]


def test_an_answer_without_blocks_stays_as_it_is(giver):
    (answer,) = giver.ask((0, True), path=((11, b"other"),))
    assert (answer.type, answer.code, answer.options) == (1, 0x84, ())
    (answer,) = giver.ask((40, True))
    assert (answer.type, answer.code) == (1, 0x80)  # behind the end


def test_an_endpoint_without_q_block_lets_the_handler_see_the_option(coap):
    giver = Giver(coap, q=None)
    giver.ask((0, False), kind=0)
    assert giver.reported[0].first(31) == b""


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (((31, b"\x20"), (31, b"\x10")), 0x80),
        (((31, b"\x07"),), 0x80),
        (((31, bytes(4)),), 0x82),
        (((23, b""), (31, b"")), 0x82),
    ],
)
@pytest.mark.parametrize("kind", [0, 1])
def test_malformed_requests_are_refused_unseen(giver, options, code, kind):
    (answer,) = giver.hear(encode(Message(kind, 1, 9, b"\xa1", sort_options((*FIRMWARE, *options)))))
    assert (answer.code, answer.token, answer.type) == (code, b"\xa1", 1 if kind else 2)
    assert answer.payload
    assert giver.reported == []


# -- sets


def test_a_set_goes_out_at_once_and_the_next_one_when_it_is_asked_for(giver):
    assert check(giver.ask((0, True), token=b"\xb0"), b"\xb0") == [0, 1, 2, 3]
    mids = []
    for begin in range(4, 36, 4):
        sent = giver.ask((begin, True), token=bytes((0xC0 + begin,)))
        assert check(sent, b"\xb0") == list(range(begin, min(begin + 4, 33)))  # under the token of the first request
        mids += [message.mid for message in sent]
    assert mids == list(range(2004, 2033))
    assert len(giver.reported) == 1
    assert giver.read == [(16, 48)] + [(at, min(64, len(BODY) - at)) for at in range(64, len(BODY), 64)]
    assert giver.pass_time(100.0) == []


def test_after_a_probe_the_rest_of_the_set_is_given_without_asking_the_handler(giver):
    giver.ask((0, False), kind=0, extra=((28, b""),))
    assert check(giver.ask((1, True), token=b"\xb1"), b"\xb1") == [1, 2, 3]
    assert check(giver.ask((4, True), token=b"\xb2"), b"\xb1") == [4, 5, 6, 7]
    assert len(giver.reported) == 1


def test_missing_blocks_are_given_again_under_the_token_of_their_request(giver):
    giver.ask((0, True), token=b"\xb0")
    assert check(giver.ask((1, False), (3, False), token=b"\xb1"), b"\xb1") == [1, 3]
    assert check(giver.ask((2, True), token=b"\xb2"), b"\xb2") == [2, 3]  # it and what follows in the set
    assert check(giver.ask((4, True), token=b"\xb3"), b"\xb0") == [4, 5, 6, 7]
    assert giver.read == [(16, 48), (64, 64)]  # it was still at hand


def test_missing_blocks_that_are_no_longer_at_hand_are_read_anew(giver):
    giver.ask((0, True), token=b"\xb0")
    giver.ask((4, True), token=b"\xb1")
    assert check(giver.ask((1, False), (2, False), (7, False), token=b"\xb2"), b"\xb2") == [1, 2, 7]
    assert giver.read[2:] == [(16, 32), (112, 16)]


def test_several_sets_are_read_at_a_time_where_the_peer_takes_them_fast(coap):
    giver = Giver(coap, QBlock(max_payloads=4, ahead_bytes=256))
    giver.ask((0, True))
    for begin in range(4, 33, 4):
        giver.ask((begin, True))
    assert giver.read == [(16, 48), (64, 96), (160, 192), (352, 163)]
    assert giver.lane()._ahead == b""  # all of it went out
    giver.ask((1, False), (2, False))
    assert giver.read[4:] == [(16, 32)]


def test_a_set_is_read_at_a_time_where_the_peer_takes_its_time(coap):
    giver = Giver(coap, QBlock(max_payloads=4, ahead_bytes=256))
    giver.ask((0, True))
    for begin in range(4, 20, 4):
        giver.now += 0.3
        giver.ask((begin, True))
    assert giver.read == [(16, 48), (64, 64), (128, 64), (192, 64), (256, 64)]


def test_what_is_at_hand_is_dropped_when_the_peer_falls_silent(coap):
    giver = Giver(coap, QBlock(max_payloads=4, ahead_bytes=256, unheard_sets=0))
    giver.ask((0, True))
    giver.ask((4, True))
    assert len(giver.lane()._ahead) == 96
    assert giver.pass_time(3.0) == []
    assert giver.lane()._ahead == b""


def test_blocks_behind_the_end_are_left_out_and_nothing_else_is_refused(giver):
    giver.ask((0, True))
    assert check(giver.ask((32, False), (40, False)), b"\xa1") == [32]
    (answer,) = giver.ask((40, False), token=b"\xb4")
    assert (answer.type, answer.code, answer.token) == (1, 0x80, b"\xb4")


def test_a_copy_of_a_request_is_answered_once(giver):
    giver.ask((0, True), mid=50)
    assert giver.ask((0, True), mid=50) == []
    assert blocks(giver.ask((4, True), mid=51)) == [4, 5, 6, 7]
    assert giver.ask((4, True), mid=51) == []
    assert blocks(giver.ask((8, True), mid=52)) == [8, 9, 10, 11]


def test_an_old_copy_of_a_request_is_not_taken_for_a_new_one(giver):
    giver.ask((0, True), mid=50)
    giver.ask((4, True), mid=51)
    giver.ask((0, True), mid=52)  # begins anew
    assert giver.ask((4, True), mid=51) == []
    assert blocks(giver.ask((4, True), mid=53)) == [4, 5, 6, 7]


def test_a_request_with_more_options_is_another_one(giver):
    giver.ask((0, True))
    assert blocks(giver.ask((4, True), extra=((0, b""),))) == [4, 5, 6, 7]
    assert len(giver.reported) == 2


def test_a_set_that_is_asked_for_twice_is_given_twice(giver):
    giver.ask((0, True), token=b"\xb0")
    giver.ask((4, True), token=b"\xb1")
    assert check(giver.ask((4, True), token=b"\xb2"), b"\xb2") == [4, 5, 6, 7]  # the first token may be lost too
    assert check(giver.ask((0, True), token=b"\xb3"), b"\xb3") == [0, 1, 2, 3]  # all of it, once more
    assert check(giver.ask((4, True), token=b"\xb4"), b"\xb3") == [4, 5, 6, 7]


def test_a_set_in_the_middle_may_come_first(giver):
    assert check(giver.ask((8, True), token=b"\xb0"), b"\xb0") == [8, 9, 10, 11]
    assert check(giver.ask((12, True), token=b"\xb1"), b"\xb0") == [12, 13, 14, 15]


def test_a_single_block_may_be_all(giver):
    assert check(giver.ask((3, False), token=b"\xb0"), b"\xb0") == [3]
    assert giver.pass_time(3.0) == []
    assert check(giver.ask((3, False), (5, False)), b"\xa1") == [3, 5]


def test_a_smaller_block_size_is_used_from_the_first_answer_on(coap):
    giver = Giver(coap, max_szx=0)
    (answer,) = giver.ask((1, False), kind=0, szx=2)
    assert (answer.first(31).hex(), answer.payload) == ("48", BODY[64:80])
    sent = giver.ask((1, True), szx=1)
    assert check(sent, b"\xa1") == [2, 3]
    assert check(giver.ask((4, True)), b"\xa1") == [4, 5, 6, 7]


def test_another_body_is_asked_of_the_handler(giver):
    giver.ask((0, True))
    (answer,) = giver.ask((4, True), path=((11, b"other"),))
    assert answer.code == 0x84
    assert blocks(giver.ask((4, True), extra=((15, b"a=b"),))) == [4, 5, 6, 7]
    assert len(giver.reported) == 3


def test_tokens_of_other_lengths(giver):
    giver.ask((0, True), token=b"\xb0\xb1")
    assert check(giver.ask((4, True), token=b""), b"\xb0\xb1") == [4, 5, 6, 7]
    assert check(giver.ask((8, True), token=bytes(8)), b"\xb0\xb1") == [8, 9, 10, 11]
    assert check(giver.ask((9, False), token=b""), b"") == [9]


def test_blocks_leave_in_bursts_of_one_length(coap):
    giver = Giver(coap, q=QBlock(max_payloads=40))
    mid = (31, pack_block(0, True, 0))
    giver.endpoint.receive(encode(Message(1, 1, 1, b"\xa1", (*FIRMWARE, mid))), "peer", 0.0)
    giver.act()
    bursts = [burst for burst, _ in giver.endpoint.outbox]
    assert [len(burst) for burst in bursts] == [16, 17]  # from block 16 on, the numbers have two bytes
    for burst in bursts:
        assert len({len(datagram) for datagram in burst[:-1]}) == 1
        assert len(burst[-1]) <= len(burst[0])
    assert check(giver.sent(), b"\xa1") == list(range(33))


# -- time


def test_the_next_set_follows_after_a_pause_a_few_times(giver):
    giver.ask((0, True), token=b"\xb0")
    assert giver.pass_time(2.4) == []
    assert check(giver.pass_time(2.5), b"\xb0") == [4, 5, 6, 7]  # NON_TIMEOUT_RANDOM: the middle of 2 to 3 s
    assert check(giver.pass_time(5.0), b"\xb0") == [8, 9, 10, 11]
    assert check(giver.pass_time(7.5), b"\xb0") == [12, 13, 14, 15]
    assert giver.pass_time(10.0) == []
    assert giver.pass_time(100.0) == []
    assert check(giver.ask((16, True), token=b"\xb1"), b"\xb0") == [16, 17, 18, 19]
    assert check(giver.pass_time(102.5), b"\xb0") == [20, 21, 22, 23]


def test_what_is_asked_for_again_puts_the_next_set_off(giver):
    giver.ask((0, True), token=b"\xb0")
    giver.now = 2.0
    giver.ask((1, False))
    assert giver.pass_time(4.4) == []
    assert blocks(giver.pass_time(4.5)) == [4, 5, 6, 7]


def test_a_late_continue_for_a_set_that_went_out_already_brings_nothing(giver):
    giver.ask((0, True), token=b"\xb0")
    giver.pass_time(2.5)
    assert giver.ask((4, True)) == []
    assert blocks(giver.ask((4, True))) == [4, 5, 6, 7]  # but a second one says that it was lost
    for at in (5.0, 7.5, 10.0):
        giver.pass_time(at)
    assert blocks(giver.ask((20, True))) == [20, 21, 22, 23]


def test_the_rest_of_a_set_alone_begins_no_sequence_of_sets(giver):
    giver.ask((0, False), kind=0)
    giver.ask((1, True))
    assert giver.pass_time(3.0) == []


def test_measured_pauses_follow_the_peer(coap):
    giver = Giver(coap, q=QBlock(max_payloads=4, timers=QTimers.MEASURED))
    giver.ask((0, True), token=b"\xb0")
    giver.now = 0.2
    giver.ask((4, True))  # a round trip of 0.2 s, and a deviation of 0.1: 0.6 s instead of 2, times 1.25
    assert giver.pass_time(0.94) == []
    assert blocks(giver.pass_time(0.96)) == [8, 9, 10, 11]
    giver.now = 1.0
    giver.ask((9, False))  # this one is not measured
    giver.now = 5.0
    assert blocks(giver.ask((12, True))) == [12, 13, 14, 15]
    assert blocks(giver.pass_time(5.76)) == [16, 17, 18, 19]


def test_a_reset_of_a_block_ends_it(giver):
    sent = giver.ask((0, True))
    assert giver.hear(encode(Message(3, 0, 77))) == []
    assert giver.lane() is not None
    assert giver.hear(encode(Message(3, 0, sent[2].mid))) == []
    assert giver.lane() is None
    assert giver.pass_time(2.5) == []
    assert blocks(giver.ask((4, True))) == [4, 5, 6, 7]


# -- the body


def test_a_body_that_cannot_be_read_is_told(giver):
    giver.ask((0, True), token=b"\xb0")
    giver.failing = Response(0xA0, ((60, b"\x01"), (14, b"")))
    (answer,) = giver.ask((4, True))
    assert (answer.type, answer.code, answer.token) == (1, 0xA0, b"\xb0")
    assert answer.options == ((14, b""), (60, b"\x01"))
    assert giver.lane() is None
    assert giver.pass_time(2.5) == []


def test_while_bytes_are_awaited_other_requests_are_lost(giver):
    giver.ask((0, True), token=b"\xb0")
    giver.giving = False
    assert giver.ask((4, True)) == []
    assert giver.ask((8, True), token=b"\xb2") == []
    assert giver.ask((1, False)) == []
    assert giver.pass_time(10.0) == []
    giver.give(giver.wanted.pop())
    assert blocks(giver.sent()) == [4, 5, 6, 7]
    assert giver.wanted == []


def test_a_body_that_is_given_when_another_has_taken_its_place(giver):
    giver.ask((0, True))
    giver.giving = False
    giver.ask((4, True))
    former = giver.wanted.pop()
    giver.ask((0, True), extra=((15, b"a=b"),))
    giver.failing = Response(0xA0)
    giver.give(former)
    assert giver.lane() is not None
    assert [message.code for message in giver.sent()] == [0xA0]


def test_without_free_message_ids_the_peer_has_to_ask_again(giver, monkeypatch):
    giver.ask((0, True))
    ids = type(giver.endpoint._messages.peers.get("peer").ids)
    monkeypatch.setattr(ids, "take_run", lambda *_: None)
    assert giver.ask((4, True)) == []
    monkeypatch.undo()
    assert blocks(giver.ask((4, True))) == [4, 5, 6, 7]


# -- confirmable


def test_a_confirmable_request_is_answered_with_confirmable_blocks_one_by_one(giver):
    first, second = giver.ask((0, True), kind=0, token=b"\xb0")
    assert check([first], b"\xb0", kind=2) == [0]
    assert check([second], b"\xb0", kind=0) == [1]
    (third,) = giver.hear(encode(Message(2, 0, second.mid)))
    assert check([third], b"\xb0", kind=0) == [2]
    (again,) = giver.pass_time(2.5)
    assert again == third
    (fourth,) = giver.hear(encode(Message(2, 0, third.mid)))
    assert blocks([fourth]) == [3]
    assert giver.hear(encode(Message(2, 0, fourth.mid))) == []
    assert giver.pass_time(300.0) == []


def test_a_list_of_confirmable_blocks(coap):
    giver = Giver(coap, parameters=TransmissionParameters(nstart=4))
    sent = giver.ask((2, False), (7, False), kind=0)
    assert (blocks(sent), [message.type for message in sent]) == ([2, 7], [2, 0])


def test_confirmable_blocks_that_find_no_room_are_left_out(coap):
    giver = Giver(coap, queued_per_peer=1)
    assert blocks(giver.ask((0, True), kind=0)) == [0, 1]
    state = giver.endpoint._messages.peers.get("peer")
    assert len(state.queue) == 1


def test_the_rest_of_the_last_set_may_be_nothing(giver):
    (answer,) = giver.ask((32, True), kind=0)
    assert blocks([answer]) == [32]


def test_a_late_answer_of_the_handler(giver):
    """The acknowledgement has gone out: the answer to a confirmable request is a message of its own."""
    giver.endpoint.receive(encode(Message(0, 1, 5, b"\xb0", (*FIRMWARE, (31, b"")))), "peer", 0.0)
    (event,) = giver.endpoint.take_events()
    giver.endpoint.handle_timeout(1.0)
    assert [message.code for message in giver.sent()] == [0]
    giver.endpoint.respond(event.exchange, giver.answer(event.message), 1.5)
    (answer,) = giver.sent()
    assert (answer.type, answer.first(31)) == (0, b"\x08")


def test_a_lane_that_took_a_body_gives_way(giver):
    """A push on the hot path of the same peer: what it has gathered goes up."""
    for num in (0, 1, 2):
        options = ((11, b"fw"), (27, pack_block(num, True, 0)))
        giver.endpoint.receive(encode(Message(0, 3, 70 + num, b"\xd0", options, bytes(16))), "peer", 0.0)
        for event in giver.endpoint.take_events():
            giver.endpoint.respond(event.exchange, Response(0x5F, options[1:]), 0.0)
    assert [message.code for message in giver.sent()] == [0x5F] * 3  # the last one was not handed up yet
    assert blocks(giver.ask((0, True))) == [0, 1, 2, 3]
    assert [(message.code, message.payload) for message in giver.reported] == [(1, b""), (3, bytes(16))]
