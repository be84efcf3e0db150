"""Who knows Q-Block: what a request without a body finds out (RFC 9177 section 4.1), and what is remembered of it."""

import pytest

from lwm2m_fota.coap.block import pack_block
from lwm2m_fota.coap.endpoint import EndpointLimits, Request, Stream
from lwm2m_fota.coap.events import ResponseReceived
from lwm2m_fota.coap.message import Message, decode, encode
from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.coap.stream_signals import Capabilities

STATE = ((11, b"5"), (11, b"0"), (11, b"3"))
Q = QBlock(max_payloads=4)


class Prober:
    """An endpoint that asks, and the answers by hand."""

    def __init__(self, coap):
        self.endpoint = coap.make()

    def ask(self, **fields):
        self.call = self.endpoint.request("peer", Request(1, STATE, q_block=Q, **fields), 0.0)
        return self.only()

    def only(self):
        ((data, _),) = self.endpoint.take_datagrams()
        return decode(data)

    def answer(self, request, code, *options, payload=b"1"):
        message = Message(2, code, request.mid, request.token, options, payload)
        self.endpoint.receive(encode(message), "peer", 0.0)
        return self.endpoint.take_events()


@pytest.fixture
def prober(coap):
    return Prober(coap)


def test_a_request_without_a_body_finds_out(prober):
    request = prober.ask()
    assert (request.type, request.options) == (0, (*STATE, (28, b""), (31, b"\x06")))
    assert prober.endpoint.knows_q_block("peer") is None
    (event,) = prober.answer(request, 0x45, (4, b"\x07"), (28, b"\x01"), (31, b"\x06"))
    assert isinstance(event, ResponseReceived)
    assert event.message.payload == b"1"
    assert prober.endpoint.knows_q_block("peer") is True
    assert prober.endpoint.knows_q_block("other") is None


def test_a_peer_that_refuses_the_option_is_asked_without(prober):
    request = prober.ask(szx=2)
    assert request.first(31) == b"\x02"
    assert prober.answer(request, 0x82, payload=b"") == []
    assert prober.endpoint.knows_q_block("peer") is False
    again = prober.only()
    assert (again.first(31), again.first(23)) == (None, b"\x02")
    (event,) = prober.answer(again, 0x45)
    assert event.message.payload == b"1"


def test_an_answer_that_does_not_name_the_option_says_no(prober):
    (event,) = prober.answer(prober.ask(), 0x45)
    assert event.message.payload == b"1"
    assert prober.endpoint.knows_q_block("peer") is False


def test_an_error_says_nothing(prober):
    prober.answer(prober.ask(), 0x84)
    assert prober.endpoint.knows_q_block("peer") is None


def test_a_refusal_of_one_resource_says_nothing_of_a_peer_that_knows(prober):
    prober.answer(prober.ask(), 0x45, (4, b"\x07"), (28, b"\x01"), (31, b"\x06"))
    prober.answer(prober.ask(), 0x82)
    assert prober.endpoint.knows_q_block("peer") is True


def test_a_body_of_several_blocks_that_is_collected_comes_block_by_block(prober):
    request = prober.ask(szx=0)
    more = ((4, b"\x07"), (28, b"\x14"), (31, pack_block(0, True, 0)))
    assert prober.answer(request, 0x45, *more, payload=bytes(16)) == []
    again = prober.only()
    assert (again.type, again.first(31), again.first(23)) == (0, b"\x10", None)
    last = ((4, b"\x07"), (28, b"\x14"), (31, pack_block(1, False, 0)))
    (event,) = prober.answer(again, 0x45, *last, payload=b"last")
    assert event.message.payload == bytes(16) + b"last"
    assert prober.endpoint.knows_q_block("peer") is True


def test_a_body_of_several_blocks_that_cannot_come_with_the_option_comes_with_block2(prober):
    request = prober.ask(szx=0)
    assert prober.answer(request, 0x45, (31, pack_block(0, True, 0)), payload=bytes(16)) == []  # without an ETag
    again = prober.only()
    assert (again.first(31), again.first(23)) == (None, b"")


def test_over_streams_there_are_no_sets(coap):
    capabilities = Capabilities(max_message_bytes=1152, block_wise=True)
    endpoint = type(coap.make())(
        entropy=coap.Script(1, []), limits=EndpointLimits(), capabilities=lambda _: capabilities
    )
    endpoint.request("peer", Request(1, STATE, q_block=Q), 0.0)
    endpoint.request("peer", Request(1, STATE), 0.0, body=Stream(q_block=Q))
    endpoint.request("peer", Request(3, STATE, payload=bytes(4000), q_block=Q), 0.0)
    for data, _ in endpoint.take_datagrams():
        message = decode(data)
        assert (message.first(19), message.first(31)) == (None, None)
