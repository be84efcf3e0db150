"""UDP carries datagrams of no bytes: they are malformed messages, also in the middle of every kind of transfer."""

import pytest

from lwm2m_fota.coap.block import Block
from lwm2m_fota.coap.calls import Request, Response, Stream
from lwm2m_fota.coap.endpoint import EndpointLimits
from lwm2m_fota.coap.events import (
    BlockArrived,
    BlockWanted,
    BodyWanted,
    Malformed,
    RequestReceived,
    ResponseReceived,
)
from lwm2m_fota.coap.qblock import QBlock

BODY = bytes(range(250)) * 2
SETS = QBlock(max_payloads=4)
FETCH = Request(1, ((11, b"f"),))
KINDS = {
    "fetch": (FETCH, Stream(szx=0)),
    "fetch in sets": (FETCH, Stream(szx=0, q_block=SETS)),
    "upload": (Request(3, ((11, b"f"),), source_bytes=len(BODY), szx=0), None),
    "upload in sets": (Request(3, ((11, b"f"),), source_bytes=len(BODY), szx=0, q_block=SETS), None),
}


class Body:
    size_bytes = len(BODY)

    def block(self, offset, length):
        return BODY[offset : offset + length]


def response(request):
    value = request.first(27)
    if value is None:
        block2 = Block.decode(request.first(23))
        given = BODY[block2.offset : block2.offset + 16]
        more = block2.offset + 16 < len(BODY)
        return Response(0x45, ((4, b"e"), (23, Block(block2.num, more, 0).encode())), given, body=Body())
    block1 = Block.decode(value)
    last = Block(block1.num + request.blocks - 1, block1.more, 0)
    return Response(0x5F if last.more else 0x44, ((27, last.encode()),))


def act(endpoint, seen):
    """Do what is asked for; before that an empty datagram comes, and while it is done."""
    endpoint.receive(b"", "peer", 0.0)
    for event in endpoint.take_events():
        endpoint.receive(b"", "peer", 0.0)
        match event:
            case RequestReceived():
                endpoint.respond(event.exchange, response(event.message), 0.0)
            case BodyWanted():
                endpoint.give(event, BODY[event.offset : event.offset + event.length], 0.0)
            case BlockWanted():
                endpoint.supply(event.call, BODY[event.offset : event.offset + event.length], 0.0)
            case BlockArrived():
                seen.append(event.payload)
                endpoint.proceed(event.call, 0.0)
            case Malformed():
                pass
            case _:
                seen.append(event)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_datagram_is_no_part_of_a_transfer(coap, kind):
    request, body = KINDS[kind]
    limits = EndpointLimits(token_bytes=3, batch_bytes=0, ahead_bytes=0, q_block=SETS)
    caller, server = (coap.make(*(f"{side}{number:05x}" for number in range(99)), limits=limits) for side in "ab")
    caller.request("peer", request, 0.0, **({} if body is None else {"body": body}))
    seen = []
    for _ in range(200):
        act(caller, seen)
        for data, _ in caller.take_datagrams():
            server.receive(data, "peer", 0.0)
        act(server, [])
        for data, _ in server.take_datagrams():
            caller.receive(data, "peer", 0.0)
    *payloads, end = seen
    assert isinstance(end, ResponseReceived)
    assert end.message.code == (0x44 if body is None else 0x45)
    assert b"".join(payloads) == (b"" if body is None else BODY)
