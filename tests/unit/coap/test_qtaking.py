"""A body that comes by sets of blocks, message by message (RFC 9177 sections 4.3 and 7.2)."""

import pytest

from lwm2m_fota.coap.block import Block, pack_block
from lwm2m_fota.coap.endpoint import EndpointLimits, Response
from lwm2m_fota.coap.events import RequestReceived
from lwm2m_fota.coap.message import Message, decode, encode, pack_uint, sort_options
from lwm2m_fota.coap.qblock import QBlock, QTimers

PATH = ((11, b"fw"),)
BODY = bytes(range(256)) * 2 + b"end"  # 33 blocks of 16, the last one of 3
Q = QBlock(max_payloads=4)


class Taker:
    """A server that takes a body, and what it was told; the blocks are made by hand."""

    def __init__(self, coap, q=Q, **limits):
        self.endpoint = coap.make(mid=2000, limits=EndpointLimits(q_block=q, **limits))
        self.now = 0.0
        self.mid = 0
        self.reported = []
        self.waiting = []
        self.answering = True
        self.refusal = None
        self.got = {}

    def act(self):
        while events := self.endpoint.take_events():
            for event in events:
                assert isinstance(event, RequestReceived)
                self.reported.append(event.message)
                if self.answering:
                    self.answer(event)
                else:
                    self.waiting.append(event)

    def answer(self, event):
        """As whoever takes bodies with Block1 does."""
        message = event.message
        block = Block.decode(message.first(27))
        have = self.got.setdefault(event.peer, bytearray())
        assert block.offset in {0, len(have)}
        del have[block.offset :]
        have += message.payload
        code = 0x5F if block.more else 0x44
        options = ((27, pack_block(block.num, block.more, block.szx)),)
        response = self.refusal or Response(code, options)
        self.endpoint.respond(event.exchange, response, self.now)

    def answer_late(self):
        self.answer(self.waiting.pop(0))
        self.act()
        return self.sent()

    def datagram(self, num, *, body=BODY, szx=0, tag=b"\x01", size1=None, kind=1, token=None, more=None, extra=()):
        self.mid += 1
        size = 16 << szx
        more = (num + 1) * size < len(body) if more is None else more
        size1 = (60, pack_uint(len(body) if size1 is None else size1))
        tags = () if tag is None else ((292, tag),)
        options = sort_options((*PATH, (19, pack_block(num, more, szx)), size1, *tags, *extra))
        token = bytes((0xA0, num & 0xFF)) if token is None else token
        return encode(Message(kind, 3, self.mid, token, options, body[num * size : (num + 1) * size]))

    def hear(self, *nums, peer="peer", **fields):
        """These blocks, and what they led to."""
        for num in nums:
            self.endpoint.receive(self.datagram(num, **fields), peer, self.now)
            self.act()
        return self.sent()

    def sent(self):
        return [decode(data) for data, _ in self.endpoint.take_datagrams()]

    def pass_time(self, until):
        self.now = until
        self.endpoint.handle_timeout(until)
        self.act()
        return self.sent()

    def state(self, peer="peer"):
        return self.endpoint._messages.peers.get(peer)


@pytest.fixture
def taker(coap):
    return Taker(coap)


def told(messages):
    """(code, the block, or those missing, the number in the token) of the only one."""
    (message,) = messages
    assert message.type == 1
    if message.code == 0x88:
        assert message.first(12) == b"\x01\x10"  # 272
        return 0x88, list(message.payload), message.token[1]
    if message.code == 0x5F:
        block = Block.decode(message.first(19))
        assert block.more
        return 0x5F, block.num, message.token[1]
    return message.code, None, message.token[1]


def seen(taker):
    """What was reported: number, M, blocks."""
    found = []
    for message in taker.reported:
        block = Block.decode(message.first(27))
        found.append((block.num, block.more, message.blocks))
        length = len(BODY[block.num * 16 : (block.num + message.blocks) * 16])
        assert message.payload == BODY[block.num * 16 :][:length]
    return found


# -- in order


def test_a_set_goes_up_as_one_request_and_is_then_acknowledged(taker):
    assert taker.hear(0, 1, 2) == []
    assert told(taker.hear(3)) == (0x5F, 3, 3)
    (message,) = taker.reported
    assert message.options == ((11, b"fw"), (27, b"\x08"), (60, b"\x02\x03"))
    assert (message.blocks, message.payload) == (4, BODY[:64])
    for begin in range(4, 32, 4):
        assert told(taker.hear(*range(begin, begin + 4))) == (0x5F, begin + 3, begin + 3)
    (answer,) = taker.hear(32)
    assert (answer.code, answer.options, answer.token) == (0x44, (), b"\xa0\x20")
    assert bytes(taker.got["peer"]) == BODY
    assert seen(taker)[-1] == (32, False, 1)


def test_a_body_of_one_block(taker):
    (answer,) = taker.hear(0, body=b"small")
    assert answer.code == 0x44
    assert bytes(taker.got["peer"]) == b"small"


def test_v13_is_the_beginning_of_a_body(taker):
    taker.endpoint.receive(bytes.fromhex("51030030d0b13501300130112a7108d11c28d1db01ff") + bytes(16), "peer", 0.0)
    assert taker.sent() == []
    (body,) = taker.state().bodies.values()
    assert (body.szx, body.body[0]) == (0, 3)
    assert body.body[1] == ((11, b"5"), (11, b"0"), (11, b"0"), (12, b"\x2a"), (60, b"\x28"), (292, b"\x01"))


def test_the_peer_is_known_to_understand(taker):
    taker.hear(0)
    assert taker.endpoint.knows_q_block("peer") is True


# -- out of order


def test_blocks_of_a_set_may_come_in_any_order(taker):
    assert taker.hear(3, 1, 0) == []
    assert told(taker.hear(2)) == (0x5F, 3, 2)
    assert seen(taker) == [(0, True, 4)]


def test_a_block_of_a_later_set_makes_us_ask_for_what_is_missing(taker):
    taker.hear(0, 2)
    assert told(taker.hear(4)) == (0x88, [1, 3], 4)
    assert taker.hear(5) == []  # once for each set
    assert told(taker.hear(8)) == (0x88, [1, 3, 6, 7], 8)
    assert taker.hear(1) == []
    assert told(taker.hear(3)) == (0x5F, 5, 3)  # what follows the set goes along
    assert told(taker.hear(6, 7)) == (0x5F, 8, 7)
    assert seen(taker) == [(0, True, 6), (6, True, 3)]


def test_the_end_may_come_before_the_middle(taker):
    body = BODY[:100]  # 7 blocks
    taker.hear(0, 1, 2, 3, body=body)
    assert taker.hear(6, body=body) == []
    assert taker.hear(4, body=body) == []
    (answer,) = taker.hear(5, body=body)
    assert (answer.code, answer.token) == (0x44, b"\xa0\x05")


def test_a_copy_of_a_block_is_answered_as_the_first_was(taker):
    assert taker.hear(0, 1, 1, 2) == []
    assert told(taker.hear(3)) == (0x5F, 3, 3)
    assert told(taker.hear(3)) == (0x5F, 3, 3)  # the answer was lost
    assert taker.hear(2) == []
    assert seen(taker) == [(0, True, 4)]


def test_a_copy_of_the_newest_block_is_a_question_for_what_is_missing(taker):
    taker.hear(0, 3)
    assert told(taker.hear(3)) == (0x88, [1, 2], 3)


def test_blocks_that_find_no_room_are_asked_for_again(coap):
    taker = Taker(coap, QBlock(max_payloads=4, early_bytes=16))
    taker.hear(1, 2, 3)
    assert told(taker.pass_time(4.0)) == (0x88, [0, 2, 3], 3)
    assert taker.hear(0, 2) == []
    assert told(taker.hear(3)) == (0x5F, 3, 3)


# -- the handler takes its time


def test_a_set_is_acknowledged_when_the_handler_has_taken_it(taker):
    taker.answering = False
    assert taker.hear(0, 1, 2, 3) == []
    assert taker.hear(4, 5, 6, 7) == []
    assert len(taker.waiting) == 1
    assert taker.hear(3) == []
    assert taker.pass_time(10.0) == []
    assert told(taker.answer_late()) == (0x5F, 3, 3)
    assert told(taker.answer_late()) == (0x5F, 7, 3)
    assert seen(taker) == [(0, True, 4), (4, True, 4)]


def test_what_comes_while_the_handler_is_at_work_is_bounded(coap):
    taker = Taker(coap, QBlock(max_payloads=4, early_bytes=64))
    taker.answering = False
    taker.hear(*range(32))
    (body,) = taker.state().bodies.values()
    assert (len(body._parts), len(body._order.early)) == (8, 4)  # two sets, and 64 bytes
    assert told(taker.answer_late()) == (0x5F, 3, 31)
    assert told(taker.answer_late()) == (0x5F, 11, 31)
    assert told(taker.answer_late()) == (0x5F, 15, 31)
    assert seen(taker) == [(0, True, 4), (4, True, 8), (12, True, 4)]


def test_a_handler_that_never_answers_is_forgotten_with_its_body(coap):
    taker = Taker(coap, exchange_wait_s=30.0)
    taker.answering = False
    taker.hear(0, 1, 2, 3)
    taker.pass_time(30.0)
    assert not taker.state().bodies
    assert taker.state().answering is None


def test_a_handler_that_never_answers_for_a_body_that_gave_way(coap):
    taker = Taker(coap, exchange_wait_s=30.0)
    taker.answering = False
    taker.hear(0, 1, 2, 3)
    taker.hear(0, tag=b"\x02")
    taker.hear(0, tag=b"\x03")
    taker.pass_time(30.0)
    assert [dict(body[1])[292] for body in taker.state().bodies] == [b"\x02", b"\x03"]
    assert taker.endpoint._serving.bodies == 2


# -- the end


def test_the_last_answer_is_given_again(taker):
    body = BODY[:60]
    (answer,) = taker.hear(0, 1, 2, 3, body=body)
    assert (answer.code, answer.token) == (0x44, b"\xa0\x03")
    (again,) = taker.hear(3, body=body, token=b"\xb0\x03")
    assert (again.code, again.token) == (0x44, b"\xb0\x03")
    assert taker.hear(1, body=body) == []
    assert len(taker.reported) == 1


def test_a_refusal_is_given_again_at_the_end_of_a_set(taker):
    taker.refusal = Response(0x8D, ((27, b"\x08"), (60, b"\x10")), b"too large")
    (answer,) = taker.hear(0, 1, 2, 3)
    assert (answer.code, answer.options, answer.payload) == (0x8D, ((60, b"\x10"),), b"too large")
    assert taker.hear(4, 5, 6) == []
    (again,) = taker.hear(7)
    assert (again.code, again.token) == (0x8D, b"\xa0\x07")
    assert len(taker.reported) == 1


def test_a_body_is_kept_for_copies_and_then_forgotten(taker):
    taker.hear(0, 1, 2, 3, body=BODY[:60])
    taker.pass_time(246.0)
    assert taker.state().bodies
    taker.pass_time(247.0)  # NON_PARTIAL_TIMEOUT
    assert taker.state() is None or not taker.state().bodies


def test_the_same_body_under_another_tag_is_taken_anew(taker):
    body = BODY[:60]
    taker.hear(0, 1, 2, 3, body=body)
    (answer,) = taker.hear(0, 1, 2, 3, body=body, tag=b"\x02")
    assert answer.code == 0x44
    assert len(taker.reported) == 2


# -- silence


def test_what_is_missing_is_asked_for_when_nothing_comes(taker):
    taker.hear(0, 2)
    assert taker.pass_time(3.9) == []
    at = 0.0
    for wait_s in (4.0, 8.0, 16.0, 32.0):
        at += wait_s
        assert told(taker.pass_time(at)) == (0x88, [1, 3], 2)
    assert taker.pass_time(124.0) == []
    assert not taker.state().bodies


def test_after_a_sign_the_wait_begins_anew(taker):
    taker.hear(0)
    assert told(taker.pass_time(4.0)) == (0x88, [1, 2, 3], 0)
    taker.now = 5.0
    taker.hear(2)
    assert taker.pass_time(8.9) == []
    assert told(taker.pass_time(9.0)) == (0x88, [1, 3], 2)


def test_the_next_set_is_asked_for_if_it_does_not_come(taker):
    taker.hear(0, 1, 2, 3)
    assert told(taker.pass_time(4.0)) == (0x88, [4, 5, 6, 7], 3)


def test_the_end_of_the_body_is_asked_for_if_it_does_not_come(taker):
    body = BODY[:100]
    taker.hear(0, 1, 2, 3, body=body)
    taker.hear(5, body=body)
    assert told(taker.pass_time(4.0)) == (0x88, [4, 6], 5)


def test_a_peer_that_resets_our_answer_sends_the_body_no_longer(taker):
    (message,) = taker.hear(0, 1, 2, 3)
    taker.endpoint.receive(b"\x70\x00" + (message.mid - 1).to_bytes(2, "big"), "peer", 0.0)
    assert taker.state().bodies
    taker.endpoint.receive(b"\x70\x00" + message.mid.to_bytes(2, "big"), "peer", 0.0)
    assert not taker.state().bodies
    taker.endpoint.receive(b"\x70\x00" + message.mid.to_bytes(2, "big"), "peer", 0.0)


def test_without_a_free_message_id_it_is_as_if_the_answer_were_lost(taker, monkeypatch):
    taker.hear(0)
    with monkeypatch.context() as patch:
        patch.setattr(type(taker.state().ids), "take", lambda *_: None)
        assert taker.hear(1, 2, 3) == []
    assert told(taker.hear(3)) == (0x5F, 3, 3)


# -- what is refused, and what gives way


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"tag": None}, 0x80),
        ({"extra": ((19, b"\x18"),)}, 0x82),  # two of them
        ({"more": False}, 0x80),  # it says that it is the last
        ({"size1": 20}, 0x80),  # it ends before
        ({"size1": 0}, 0x80),
        ({"extra": ((27, b"\x08"),)}, 0x82),
        ({"extra": ((23, b"\x08"),)}, 0x82),
    ],
)
@pytest.mark.parametrize("kind", [0, 1])
def test_blocks_that_are_none_are_refused_unseen(taker, fields, code, kind):
    (answer,) = taker.hear(3, kind=kind, **fields)
    assert (answer.type, answer.code) == (2 if kind == 0 else 1, code)
    assert taker.reported == []
    assert not taker.state().bodies


def test_a_block_without_size1_is_refused(taker):
    options = (*PATH, (19, b"\x08"), (292, b"\x01"))
    taker.endpoint.receive(encode(Message(1, 3, 9, b"\xa0\x00", options, bytes(16))), "peer", 0.0)
    assert told(taker.sent()) == (0x80, None, 0)


def test_a_body_has_no_more_blocks_than_there_are_numbers(taker):
    (answer,) = taker.hear(0, size1=(1 << 20) * 16 + 1, more=True)
    assert answer.code == 0x80
    assert taker.hear(0, size1=(1 << 20) * 16, more=True) == []


def test_another_block_size_begins_the_body_anew(taker):
    taker.hear(0, 1, 2)
    taker.hear(0, szx=1)
    (body,) = taker.state().bodies.values()
    assert body.szx == 1
    assert told(taker.hear(1, 2, 3, szx=1)) == (0x5F, 3, 3)
    assert bytes(taker.got["peer"]) == BODY[:128]


def test_one_peer_sends_so_many_bodies_at_a_time(taker):
    taker.hear(0, tag=b"\x01")
    taker.hear(0, tag=b"\x02")
    taker.hear(1, tag=b"\x01")
    taker.hear(0, tag=b"\x03")  # the second one was not heard of for longest
    tags = [dict(body[1])[292] for body in taker.state().bodies]
    assert tags == [b"\x01", b"\x03"]
    assert taker.endpoint._serving.bodies == 2


def test_all_peers_together_send_so_many_bodies_at_a_time(coap):
    taker = Taker(coap, bodies=1)
    taker.hear(0)
    assert taker.hear(0, peer="other") == []
    assert not taker.state("other").bodies
    taker.hear(1, 2)
    assert told(taker.hear(3)) == (0x5F, 3, 3)
    taker.endpoint.ended("peer", 0.0)
    taker.hear(0, peer="other")
    assert taker.state("other").bodies


def test_two_bodies_from_one_peer_do_not_disturb_each_other(taker):
    for num in range(3):
        taker.hear(num, tag=b"\x01")
        taker.hear(num, tag=b"\x02")
    taker.hear(3, tag=b"\x01")
    del taker.got["peer"]
    assert told(taker.hear(3, tag=b"\x02")) == (0x5F, 3, 3)


# -- confirmable


def test_confirmable_blocks_are_acknowledged_one_by_one(taker):
    for num in range(3):
        (answer,) = taker.hear(num, kind=0)
        assert (answer.type, answer.code) == (2, 0)
    (answer,) = taker.hear(3, kind=0)
    assert (answer.type, answer.code) == (2, 0)  # "Continue" is for the others
    assert seen(taker) == [(0, True, 4)]
    assert taker.pass_time(4.0) == []  # the peer repeats what is lost
    (copy,) = taker.hear(3, kind=0)
    assert (copy.type, copy.code) == (2, 0)


def test_the_last_confirmable_block_is_acknowledged_with_the_answer(taker):
    body = BODY[:60]
    taker.hear(0, 1, 2, kind=0, body=body)
    (answer,) = taker.hear(3, kind=0, body=body)
    assert (answer.type, answer.code) == (2, 0x44)
    (again,) = taker.hear(3, kind=0, body=body)
    assert (again.type, again.code) == (2, 0x44)


def test_a_confirmable_set_that_the_handler_takes_late(taker):
    taker.answering = False
    taker.hear(0, 1, 2, kind=0)
    assert taker.hear(3, kind=0) == []
    (empty,) = taker.pass_time(1.0)
    assert (empty.type, empty.code) == (2, 0)
    assert taker.answer_late() == []


def test_a_confirmable_body_is_kept_for_non_partial_timeout(taker):
    taker.hear(0, 2, kind=0)
    taker.hear(5, kind=0)
    taker.pass_time(246.9)
    assert taker.state().bodies
    taker.pass_time(247.0)
    assert taker.state() is None or not taker.state().bodies


# -- bursts


def test_a_burst_is_taken_as_its_datagrams_would_be(taker):
    taker.hear(0)
    burst = b"".join(taker.datagram(num) for num in (1, 2, 3))
    taker.endpoint.receive_burst(burst, len(burst) // 3, "peer", 0.0)
    taker.act()
    assert told(taker.sent()) == (0x5F, 3, 3)
    assert seen(taker) == [(0, True, 4)]


def test_what_a_burst_leaves_goes_the_ordinary_way(taker):
    body = BODY[:60]
    taker.hear(0, body=body)
    datagrams = [taker.datagram(num, body=body) for num in (1, 2, 3)]
    taker.endpoint.receive_burst(b"".join(datagrams), len(datagrams[0]), "peer", 0.0)
    taker.act()
    assert told(taker.sent()) == (0x44, None, 3)


def test_blocks_with_longer_numbers_are_taken_too(taker):
    taker.hear(*range(15))
    assert told(taker.hear(15)) == (0x5F, 15, 15)
    assert told(taker.hear(16, 17, 18, 19)) == (0x5F, 19, 19)


def test_a_peer_that_fetches_meanwhile(taker):
    taker.hear(0, 1)
    options = (*PATH, (31, b""))
    taker.endpoint.receive(encode(Message(0, 1, 900, b"\xb0", options)), "peer", 0.0)
    (event,) = taker.endpoint.take_events()
    taker.endpoint.respond(event.exchange, Response(0x84), 0.0)
    taker.sent()
    assert told(taker.hear(2, 3)) == (0x5F, 3, 3)


def test_measured_waits_are_those_of_the_parameters_without_a_measure(coap):
    taker = Taker(coap, QBlock(max_payloads=4, timers=QTimers.MEASURED))
    taker.hear(0)
    assert taker.pass_time(3.9) == []
    assert told(taker.pass_time(4.0)) == (0x88, [1, 2, 3], 0)
