"""A server with devices on a network in memory, on virtual time."""

import asyncio
import contextlib

import pytest

from lwm2m_fota.coap.endpoint import Request, Response
from lwm2m_fota.coap.message import Message, decode, encode, sort_options
from lwm2m_fota.runtime.entropy import SeededEntropy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.sim.network import LossyNetwork

SERVER = ("192.0.2.1", 5683)
GET, POST, PUT, DELETE = 1, 2, 3, 4
URI_PATH, CONTENT_FORMAT, URI_QUERY = 11, 12, 15
NOT_FOUND = 0x84


class Peer:
    """A device by hand: it registers, answers what `answers` says, and keeps what it was asked.

    Attributes:
        answers: by (method, path): a response, or a function of the request that gives one.
        asked: the requests so far.
    """

    def __init__(self, network, host, endpoint):
        self.pump = Pump(network.transport(host), entropy=SeededEntropy(hash(host) & 0xFFFF))
        self.pump.on_request = self._on_request
        self.endpoint = endpoint
        self.answers = {}
        self.asked = []
        self.location = ()

    async def register(self, links=b"</3/0>,</5/0>", *query):
        named = f"ep={self.endpoint}".encode()
        answer = await self.send(POST, ("rd",), (named, *query), links)
        self.location = tuple(value.decode() for number, value in answer.options if number == 8)
        return answer

    async def update(self, *query, links=b""):
        return await self.send(POST, self.location, query, links)

    async def leave(self):
        return await self.send(DELETE, self.location)

    async def send(self, code, path, query=(), payload=b"", options=()):
        given = [(URI_PATH, each.encode()) for each in path] + [(URI_QUERY, each) for each in query]
        return await self.pump.call(SERVER, Request(code, sort_options((*given, *options)), payload))

    def _on_request(self, received, now):
        message = received.message
        self.asked.append(message)
        answer = self.answers.get((message.code, "/" + "/".join(message.path())), Response(NOT_FOUND))
        return answer(received) if callable(answer) else answer

    def asked_for(self, code):
        """The paths that were asked for with a method."""
        return ["/" + "/".join(each.path()) for each in self.asked if each.code == code]


class Raw:
    """A peer that sends messages as they are given, and hears their answers."""

    def __init__(self, network, host):
        self.transport = network.transport(host)
        self._mid = 0
        self._answers = asyncio.Queue()

    def datagram_received(self, data, peer):
        self._answers.put_nowait(decode(data))

    def unreachable(self, peer):
        raise AssertionError("somebody is there")

    def ended(self, peer):
        raise AssertionError("there are no sessions")

    def drained(self):
        pass

    def send(self, data):
        self.transport.send(data, SERVER)

    async def ask(self, code, path, *options, query=(), payload=b"", mid=None):
        """The answer to one confirmable request; `mid` repeats an earlier message id."""
        self._mid += 1
        given = [(URI_PATH, each.encode()) for each in path] + [(URI_QUERY, each) for each in query]
        mid = self._mid if mid is None else mid
        self.send(encode(Message(0, code, mid, b"t", sort_options((*given, *options)), payload)))
        return await self._answers.get()


class World:
    """A server, and as many devices as wanted; an asynchronous context manager."""

    def __init__(self, settings=None, *, network=None, server=SERVER, **options):
        self.network = network or LossyNetwork(1, latency_s=0.01)
        transport = self.network.transport(*server)
        pump = Pump(transport, entropy=SeededEntropy(1))
        self.server = Lwm2mServer(transport, settings, pump=pump, **options)
        self._exits = contextlib.AsyncExitStack()

    async def __aenter__(self):
        await self._exits.enter_async_context(self.server)
        return self

    async def __aexit__(self, *exc):
        await self._exits.aclose()

    async def peer(self, endpoint="dev", host="192.0.2.2"):
        peer = Peer(self.network, host, endpoint)
        await peer.pump.open()
        self._exits.push_async_callback(peer.pump.close)
        return peer

    async def raw(self, host="192.0.2.66"):
        raw = Raw(self.network, host)
        await raw.transport.open(raw)
        self._exits.push_async_callback(raw.transport.close)
        return raw


@pytest.fixture(scope="session")
def world_of():
    """`world_of(settings, ...)` is a `World`."""
    return World


@pytest.fixture
def faults(monkeypatch):
    """What was handed to the exception handler of any loop, as the exceptions."""
    seen = []
    monkeypatch.setattr(
        "asyncio.base_events.BaseEventLoop.call_exception_handler",
        lambda loop, context: seen.append(context.get("exception")),
    )
    return seen
