"""Observations over a network in memory, on virtual time."""

import asyncio

import pytest

from lwm2m_fota.coap.endpoint import Request, Response
from lwm2m_fota.errors import ResponseError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.runtime.entropy import SeededEntropy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.sim.loop import run
from lwm2m_fota.sim.network import LossyNetwork

STATE = Path.of(5, 0, 3)
SERVER = ("192.0.2.1", 5683)
POST, CONTENT, FORBIDDEN = 2, 0x45, 0x83
OBSERVE, URI_PATH, CONTENT_FORMAT, URI_QUERY = 6, 11, 12, 15


def value(number, payload):
    return Response(CONTENT, ((OBSERVE, bytes([number])), (CONTENT_FORMAT, b"")), payload)


async def observed(answer, *notifications, later=()):
    """What the server makes of an answer, of notifications that come in one batch with it, and of later ones."""
    network, heard = LossyNetwork(1, latency_s=0.01), []  # what is sent at one time arrives in one batch
    device = Pump(network.transport("192.0.2.2", 5683), entropy=SeededEntropy(2))
    transport = network.transport(*SERVER)
    tokens = []

    def on_request(received, now):
        tokens.append(received.message.token)
        loop = asyncio.get_running_loop()
        for at, response in (*((0, each) for each in notifications), *((1, each) for each in later)):
            loop.call_later(at, lambda response=response: notify(response))
        return answer

    def notify(response):
        device.notify(SERVER, tokens[0], response, confirmable=False)

    device.on_request = on_request
    await device.open()
    async with Lwm2mServer(transport, pump=Pump(transport, entropy=SeededEntropy(1))) as server:
        query = ((URI_PATH, b"rd"), (CONTENT_FORMAT, b"\x28"), (URI_QUERY, b"ep=device"), (URI_QUERY, b"lwm2m=1.1"))
        await device.call(SERVER, Request(POST, query, b"</5/0>"))
        entries, subscription = await server.observe("device", STATE, heard.append)
        await asyncio.sleep(5)
        subscription.cancel()
    await device.close()
    return entries, heard


def test_the_present_value_comes_first_and_what_follows_is_told():
    first, heard = run(observed(value(1, b"1"), later=[value(2, b"2"), value(3, b"3")]))
    assert first == [(STATE, 1)]
    assert heard == [[(STATE, 2)], [(STATE, 3)]]


def test_a_notification_in_one_batch_with_the_answer_is_the_present_value():
    first, heard = run(observed(value(1, b"3"), value(2, b"0"), later=[value(3, b"1")]))
    assert first == [(STATE, 0)]
    assert heard == [[(STATE, 1)]]


def test_a_notification_that_cannot_be_read_changes_nothing():
    first, heard = run(observed(value(1, b"3"), value(2, b"x"), later=[value(3, b"y"), value(4, b"2")]))
    assert first == [(STATE, 3)]
    assert heard == [[(STATE, 2)]]


def test_a_refusal_is_an_error():
    with pytest.raises(ResponseError):
        run(observed(Response(FORBIDDEN)))
