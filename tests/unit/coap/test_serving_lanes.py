"""The hot paths of a server: bodies that are sent to it, and bodies that are fetched from it."""

import pytest

from lwm2m_fota.coap.block import Block, pack_block
from lwm2m_fota.coap.block1 import Accepted, Block1Receiver
from lwm2m_fota.coap.block2 import block2_answer, block2_options
from lwm2m_fota.coap.endpoint import EndpointLimits, Response
from lwm2m_fota.coap.events import BodyWanted, RequestReceived
from lwm2m_fota.coap.message import Message, decode, encode, pack_uint, sort_options
from lwm2m_fota.errors import BlockwiseError, UsageError

BODY = bytes(range(256)) * 8  # 128 blocks of 16
PACKAGE = ((11, b"5"), (11, b"0"), (11, b"0"), (12, b"\x2a"))


class Taker:
    """A server that takes one body with PUT, and the requests that it was told of."""

    def __init__(self, coap, **limits):
        self.endpoint = coap.make(limits=EndpointLimits(**limits))
        self.receiver = Block1Receiver(1 << 20)
        self.body = bytearray()
        self.reported = []
        self.now = 0.0
        self.mid = 0
        self.szx = None
        self.refuse_at = None

    def state(self):
        return self.endpoint._messages.peers.get("peer")

    def hear(self, data):
        self.endpoint.receive(data, "peer", self.now)
        for event in self.endpoint.take_events():
            assert isinstance(event, RequestReceived)
            self.reported.append(event.message)
            self.endpoint.respond(event.exchange, self.answer(event.message), self.now)
        return [decode(data) for data, _ in self.endpoint.take_datagrams()]

    def answer(self, message):
        if message.code != 3:
            return Response(0x45)
        block = Block.decode(message.first(27))
        if self.refuse_at is not None and block.num + message.blocks > self.refuse_at:
            return Response(0xA0)
        try:
            taken = self.receiver.accept(block, message.payload, message.uint(60), message.blocks)
        except BlockwiseError as error:
            return Response(error.code)
        if isinstance(taken, Accepted):
            del self.body[taken.offset :]
            self.body += taken.payload
        value = self.receiver.response_block(block)
        if self.szx is not None:
            value = pack_block(block.num, block.more, self.szx)
        return Response(0x5F if block.more else 0x44, ((27, value),))

    def block(self, num, *, more=None, mid=None, token=b"\xa1", extra=(), payload=None, kind=0):
        """A request with a block of BODY."""
        self.mid += 1
        more = num < 127 if more is None else more
        size1 = ((60, pack_uint(len(BODY))),) if num == 0 else ()
        options = sort_options((*PACKAGE, (27, pack_block(num, more, 0)), *size1, *extra))
        payload = BODY[num * 16 : num * 16 + 16] if payload is None else payload
        return encode(Message(kind, 3, self.mid if mid is None else mid, token, options, payload))

    def put(self, num, **fields):
        """Send a block; the one answer."""
        (answer,) = self.hear(self.block(num, **fields))
        return answer


@pytest.fixture
def taker(coap):
    return Taker(coap)


def echo(answer):
    return answer.code, answer.first(27).hex()


# -- bodies that come in


def test_blocks_are_acknowledged_one_by_one_and_reported_together(taker):
    for num in range(128):
        answer = taker.put(num, token=bytes((0xA0, num)))
        assert (answer.type, answer.mid, answer.token) == (2, num + 1, bytes((0xA0, num)))
        assert echo(answer) == (0x5F if num < 127 else 0x44, pack_block(num, num < 127, 0).hex())
    assert bytes(taker.body) == BODY
    assert [message.blocks for message in taker.reported] == [1, 1, 2, 4, 8, 16, 32, 64]
    assert [Block.decode(message.first(27)).num for message in taker.reported] == [0, 1, 2, 4, 8, 16, 32, 64]
    assert [Block.decode(message.first(27)).more for message in taker.reported] == [True] * 7 + [False]
    assert {message.options[:4] for message in taker.reported} == {PACKAGE}


def test_slow_blocks_are_reported_one_by_one(taker):
    for num in range(6):
        taker.now += 1.0
        taker.put(num)
    assert [message.blocks for message in taker.reported] == [1] * 6


def test_without_room_each_block_is_reported(coap):
    taker = Taker(coap, batch_bytes=0)
    for num in range(6):
        taker.put(num)
    assert [message.blocks for message in taker.reported] == [1] * 6
    assert taker.state().answering is None


def test_a_copy_of_a_block_gets_the_same_answer_and_counts_once(taker):
    for num in range(7):
        data = taker.block(num)
        first, again = taker.hear(data), taker.hear(data)
        assert first == again
    assert taker.put(7)
    early = taker.block(5, mid=6)
    assert [echo(answer) for answer in taker.hear(early)] == [(0x5F, pack_block(5, True, 0).hex())]
    for num in range(8, 128):
        taker.put(num)
    assert bytes(taker.body) == BODY


def test_a_copy_of_a_block_of_an_earlier_body_is_none_of_this_one(taker):
    for num in range(5):
        taker.put(num)
    old = taker.block(4, mid=5)
    taker.put(0)
    for num in range(1, 4):
        taker.put(num)
    taker.hear(old)
    assert taker.put(4, payload=b"x" * 16)
    taker.put(5)
    for num in range(6, 128):
        taker.put(num)
    assert taker.body[64:80] == b"x" * 16


def test_the_same_block_under_another_message_id(taker):
    for num in range(7):
        taker.put(num)  # 4, 5 and 6 wait to be reported
    assert taker.reported[-1].blocks == 2
    assert echo(taker.put(6)) == (0x5F, pack_block(6, True, 0).hex())
    assert [message.blocks for message in taker.reported[-2:]] == [3, 1]
    for num in range(7, 128):
        assert taker.put(num).code in {0x5F, 0x44}
    assert bytes(taker.body) == BODY


def test_a_body_that_begins_anew_makes_what_waits_void(taker):
    for num in range(7):
        taker.put(num)
    taker.put(0)
    assert len(taker.body) == 16
    for num in range(1, 128):
        taker.put(num)
    assert bytes(taker.body) == BODY


def test_a_gap_is_reported_behind_what_waits(taker):
    for num in range(7):
        taker.put(num)
    assert taker.put(9).code == 0x88
    assert [message.blocks for message in taker.reported[-2:]] == [3, 1]
    assert len(taker.body) == 7 * 16


def test_a_block_with_another_option_joins_what_waits(taker):
    for num in range(7):
        taker.put(num)
    assert echo(taker.put(7, extra=((60, b"\x08\x00"),))) == (0x5F, pack_block(7, True, 0).hex())
    assert taker.reported[-1].blocks == 4
    assert echo(taker.put(8)) == (0x5F, pack_block(8, True, 0).hex())


def test_another_token_length_is_taken_the_ordinary_way_once(taker):
    for num in range(5):
        taker.put(num)
    taker.put(5, token=b"\xa1\xa2")
    assert bytes(taker.body) == BODY[: 6 * 16]
    for num in range(6, 10):
        taker.put(num, token=b"\xa1\xa2")
    assert taker.reported[-1].blocks > 1


def test_another_resource_is_asked_between_two_blocks(taker):
    for num in range(7):
        taker.put(num)
    (answer,) = taker.hear(encode(Message(0, 1, 999, b"\x01", ((11, b"5"),))))
    assert answer.code == 0x45
    for num in range(7, 128):
        taker.put(num)
    assert bytes(taker.body) == BODY


def test_a_block_option_that_is_none_is_for_the_handler(taker):
    for num in range(7):
        taker.put(num)
    options = sort_options((*PACKAGE, (27, b"\x07")))
    taker.refuse_at = 0
    with pytest.raises(BlockwiseError):
        taker.hear(encode(Message(0, 3, 999, b"\x01", options, b"x")))


@pytest.mark.parametrize("payload", [b"", b"short", bytes(17)])
def test_a_block_of_the_wrong_length_is_for_the_handler(taker, payload):
    for num in range(7):
        taker.put(num)
    assert taker.put(7, payload=payload).code == 0x80


def test_a_refusal_is_told_with_the_batch_and_ends_the_lane(taker):
    for num in range(4):
        taker.put(num)
    taker.refuse_at = 6
    answers = [taker.put(num) for num in range(4, 8)]
    assert [answer.code for answer in answers] == [0x5F, 0x5F, 0x5F, 0xA0]
    assert taker.state().answering is None


def test_a_smaller_size_that_is_asked_for_ends_the_lane(coap):
    taker = Taker(coap)
    taker.mid = 100
    options = sort_options((*PACKAGE, (27, pack_block(0, True, 2)), (60, pack_uint(len(BODY)))))
    taker.szx = 0
    (answer,) = taker.hear(encode(Message(0, 3, 1, b"\xa1", options, BODY[:64])))
    assert answer.first(27).hex() == "08"
    assert taker.state().answering is None


def test_a_smaller_size_that_is_asked_for_with_a_batch(taker):
    for num in range(4):
        taker.put(num)

    taker.answer = lambda message: Response(0x5F, ((27, pack_block(4, True, 0)),), b"words")
    answers = [taker.put(num) for num in range(4, 8)]
    assert echo(answers[-1]) == (0x5F, pack_block(7, True, 0).hex())
    assert taker.state().answering is None


def test_a_response_to_a_batch_without_a_block_option(taker):
    for num in range(4):
        taker.put(num)
    taker.answer = lambda message: Response(0x5F)
    answers = [taker.put(num) for num in range(4, 8)]
    assert (answers[-1].code, answers[-1].options) == (0x5F, ())
    assert taker.state().answering is None


def test_non_confirmable_blocks_stay_off_the_lane(taker):
    for num in range(3):
        taker.hear(taker.block(num, kind=1))
    assert taker.state().answering is None


def test_a_handler_that_takes_its_time(coap):
    taker = Taker(coap)
    for num in range(3):
        taker.put(num)
    last = taker.block(3)
    taker.endpoint.receive(last, "peer", 0.0)
    (event,) = taker.endpoint.take_events()
    assert event.message.blocks == 2
    assert taker.endpoint.take_datagrams() == []
    taker.endpoint.receive(last, "peer", 0.5)  # its peer is impatient
    assert taker.endpoint.take_events() == taker.endpoint.take_datagrams() == []
    taker.endpoint.handle_timeout(1.0)
    (acknowledgement,) = taker.endpoint.take_datagrams()
    assert acknowledgement[0].hex() == "60000004"
    taker.endpoint.respond(event.exchange, taker.answer(event.message), 2.0)
    (separate,) = (decode(data) for data, _ in taker.endpoint.take_datagrams())
    assert (separate.type, separate.code, separate.first(27)) == (0, 0x5F, pack_block(3, True, 0))


def test_the_highest_number_is_the_last(coap):
    taker = Taker(coap)
    options = (*PACKAGE, (27, bytes.fromhex("fffff8")))  # number 1048575 with more: nothing can follow
    taker.answer = lambda message: Response(0x5F, ((27, bytes.fromhex("fffff8")),))
    (answer,) = taker.hear(encode(Message(0, 3, 1, b"\xa1", options, bytes(16))))
    assert answer.code == 0x5F
    taker.hear(encode(Message(0, 3, 2, b"\xa1", options, bytes(16))))
    assert len(taker.reported) == 2


# -- bodies that are fetched


class Giver:
    """A server of one body, and what it was asked for."""

    def __init__(self, coap, *, with_body=True, **limits):
        self.endpoint = coap.make(limits=EndpointLimits(**limits))
        self.with_body = with_body
        self.requests = 0
        self.wanted = []
        self.now = 0.0
        self.mid = 0
        self.size_bytes = len(BODY)
        self.gone = False

    def state(self):
        return self.endpoint._messages.peers.get("peer")

    def block(self, offset, length):
        return Response(0x84, (), b"gone") if self.gone else BODY[offset : offset + length]

    def hear(self, data):
        self.endpoint.receive(data, "peer", self.now)
        for event in self.endpoint.take_events():
            if isinstance(event, BodyWanted):
                self.wanted.append((event.offset, event.length))
                self.endpoint.give(event, event.body.block(event.offset, event.length), 0.0)
            else:
                self.requests += 1
                self.endpoint.respond(event.exchange, self.answer(event.message), self.now)
        return [decode(data) for data, _ in self.endpoint.take_datagrams()]

    def answer(self, message):
        value = message.first(23)
        part = block2_answer(None if value is None else Block.decode(value), len(BODY), max_szx=0)
        options = block2_options(part, len(BODY), b"\x01", want_size2=True)
        payload = BODY[part.offset : part.offset + part.length]
        return Response(0x45, options, payload, True, self if self.with_body else None)

    def get(self, num, *, mid=None, token=b"\xa1", kind=0, extra=(), size2=False):
        self.mid += 1
        block2 = () if num is None else ((23, pack_block(num, False, 0)),)
        options = sort_options(((11, b"fw"), *block2, *extra, *([(28, b"")] if size2 else [])))
        (answer,) = self.hear(encode(Message(kind, 1, self.mid if mid is None else mid, token, options)))
        return answer


def test_the_highest_number_is_the_last_that_is_given(coap):
    giver = Giver(coap)
    giver.size_bytes = 16 << 20  # a body of which the last block is asked for behind the last but one
    giver.block = lambda offset, length: bytes(length)
    giver.answer = lambda message: Response(
        0x45, ((23, pack_block(Block.decode(message.first(23)).num, True, 0)),), bytes(16), True, giver
    )
    assert giver.get(0xFFFFD).code == 0x45
    assert giver.get(0xFFFFE).payload == bytes(16)
    assert giver.requests == 1
    assert giver.get(0xFFFFF).code == 0x45
    assert giver.requests == 2
    assert giver.get(0xFFFFF).code == 0x45  # of the lane behind the highest number nothing can be asked for
    assert giver.requests == 3
    giver.size_bytes *= 2
    giver.answer = lambda message: Response(0x84)
    giver.hear(encode(Message(0, 1, 77, b"\xa1")))  # no options at all
    assert giver.requests == 4


def body_of(answers):
    return b"".join(answer.payload for answer in answers)


@pytest.fixture
def giver(coap):
    return Giver(coap)


def test_blocks_are_given_one_by_one_and_asked_for_together(giver):
    answers = [giver.get(0, size2=True)]
    answers += [giver.get(num, token=bytes((0xA1 + num % 3,))) for num in range(1, 128)]
    assert body_of(answers) == BODY
    for num, answer in enumerate(answers):
        assert (answer.type, answer.code, answer.mid, answer.first(4)) == (2, 0x45, num + 1, b"\x01")
        assert Block.decode(answer.first(23)) == Block(num, num < 127, 0)
        assert answer.uint(28) == len(BODY)
    assert giver.requests == 2  # the first and the last one
    assert giver.wanted[:4] == [(16, 16), (32, 32), (64, 64), (128, 128)]
    assert giver.wanted[-1][0] + giver.wanted[-1][1] == 127 * 16
    assert max(length for _, length in giver.wanted) <= 4096


def test_slow_requests_are_given_one_by_one(giver):
    for num in range(6):
        giver.now += 1.0
        giver.get(num)
    assert giver.wanted == [(16, 16), (32, 16), (48, 16), (64, 16), (80, 16)]


def test_the_first_request_may_leave_the_size_to_the_server(giver):
    answers = [giver.get(None), *(giver.get(num) for num in range(1, 128))]
    assert body_of(answers) == BODY
    assert giver.requests == 2


def test_a_peer_that_asks_for_the_size_each_time(giver):
    answers = [giver.get(num, size2=True) for num in range(128)]
    assert body_of(answers) == BODY
    assert giver.requests == 3  # the second one tells what the others look like


def test_a_copy_of_a_request_is_answered_again(giver):
    giver.get(0)
    for num in range(1, 5):
        assert giver.get(num, mid=num) == giver.get(num, mid=num)
    assert giver.get(3, mid=3).payload == BODY[48:64]
    assert body_of([giver.get(num) for num in range(5, 128)]) == BODY[80:]


def test_a_peer_that_jumps_is_followed(giver):
    giver.get(0)
    giver.get(1)
    assert giver.get(64).payload == BODY[1024:1040]
    assert giver.get(65).payload == BODY[1040:1056]
    assert giver.requests == 2


@pytest.mark.parametrize("fields", [{"kind": 1}, {"extra": ((17, b"\x2a"),)}, {"token": b"\xa1\xa2"}])
def test_another_kind_of_request_is_for_the_handler(giver, fields):
    giver.get(0)
    giver.get(1)
    assert giver.get(2, **fields).payload == BODY[32:48]
    assert giver.requests == 2


def test_a_handler_that_offers_no_body_is_asked_each_time(coap):
    giver = Giver(coap, with_body=False)
    for num in range(4):
        giver.get(num)
    assert (giver.requests, giver.wanted) == (4, [])


def test_a_body_that_is_gone_is_answered_with_what_it_says(giver):
    giver.get(0)
    giver.gone = True
    answer = giver.get(1)
    assert (answer.type, answer.code, answer.payload) == (2, 0x84, b"gone")


def test_a_wrong_number_of_bytes_is_a_mistake_of_the_caller(giver):
    giver.get(0)
    giver.endpoint.receive(encode(Message(0, 1, 2, b"\xa1", ((11, b"fw"), (23, b"\x10")))), "peer", 0.0)
    (event,) = giver.endpoint.take_events()
    with pytest.raises(UsageError):
        giver.endpoint.give(event, b"short", 0.0)


def test_requests_that_come_while_others_wait_are_answered_with_them(giver):
    giver.get(0)
    for num in range(1, 8):
        request = Message(0, 1, num + 1, bytes((num,)), ((11, b"fw"), (23, pack_block(num, False, 0))))
        giver.endpoint.receive(encode(request), "peer", 0.0)
    while events := giver.endpoint.take_events():
        for event in events:
            giver.wanted.append((event.offset, event.length))
            giver.endpoint.give(event, giver.block(event.offset, event.length), 0.0)
    answers = [decode(data) for data, _ in giver.endpoint.take_datagrams()]
    assert body_of(answers) == BODY[16:128]
    assert [(answer.mid, answer.token) for answer in answers] == [(num + 1, bytes((num,))) for num in range(1, 8)]
    assert giver.wanted == [(num * 16, 16) for num in range(1, 8)]
    assert giver.requests == 1


def test_all_requests_that_wait_are_told_that_the_body_is_gone(giver):
    giver.get(0)
    for num in (1, 2):
        request = Message(0, 1, num + 1, b"\xa1", ((11, b"fw"), (23, pack_block(num, False, 0))))
        giver.endpoint.receive(encode(request), "peer", 0.0)
    (event,) = giver.endpoint.take_events()
    giver.endpoint.give(event, Response(0x84), 0.0)
    answers = [decode(data) for data, _ in giver.endpoint.take_datagrams()]
    assert [(answer.code, answer.mid) for answer in answers] == [(0x84, 2), (0x84, 3)]


def test_a_body_in_one_block_opens_no_lane(giver):
    giver.answer = lambda message: Response(0x45, ((23, b"\x00"),), b"all", True, giver)
    giver.get(0)
    assert giver.state().answering is None


def test_a_fetch_takes_the_place_of_a_body_that_comes_in(coap):
    taker = Taker(coap)
    giver = Giver(coap)
    for num in range(7):
        taker.put(num)
    taker.answer = lambda message: giver.answer(message) if message.code == 1 else Taker.answer(taker, message)
    (answer,) = taker.hear(encode(Message(0, 1, 999, b"\x01", ((11, b"fw"), (23, b"\x00")))))
    assert answer.payload == BODY[:16]
    (flushed,) = taker.endpoint.take_events()
    assert (flushed.message.blocks, flushed.message.payload) == (3, BODY[64:112])
    taker.endpoint.respond(flushed.exchange, Response(0x5F), 0.0)  # it was acknowledged long ago
    assert taker.endpoint.take_datagrams() == []
