"""The hot paths and the ordinary way are one and the same to the peer, and a window repairs whatever the network does."""

import heapq
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.coap.block import Block
from lwm2m_fota.coap.block1 import Accepted, Block1Receiver
from lwm2m_fota.coap.block2 import block2_answer, block2_options
from lwm2m_fota.coap.client import Client
from lwm2m_fota.coap.endpoint import Endpoint, EndpointLimits, FailureReason, Request, Response, Stream
from lwm2m_fota.coap.events import BlockArrived, BlockWanted, BodyRestarted, BodyWanted, CallFailed, ResponseReceived
from lwm2m_fota.coap.gathering import Gathering
from lwm2m_fota.coap.message import decode
from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.coap.serving import Serving
from lwm2m_fota.errors import BlockwiseError

PATH = ((11, b"fw"),)


class Even:
    """Tokens from a seed; no jitter, so that two runs keep the same time."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def token(self, size_bytes):
        return self.random.randbytes(size_bytes)

    def uniform(self, low, high):
        return (low + high) / 2


class Wire:
    """A client and a server with one body, and what each of their datagrams says."""

    def __init__(self, seed, loss, duplicate, slowest_s, body, max_szx, parameters, limits):
        self.random = random.Random(seed)
        self.loss, self.duplicate, self.slowest_s = loss, duplicate, slowest_s
        self.body, self.max_szx, self.stored = body, max_szx, bytearray()
        self.size_bytes = len(body)
        self.receiver = Block1Receiver(1 << 20, max_szx)
        self.ends = {
            name: Endpoint(entropy=Even(f"{name}{seed}"), parameters=parameters, limits=limits)
            for name in ("client", "server")
        }
        self.now, self.queue, self.count, self.said = 0.0, [], 0, []

    def block(self, offset, length):
        return self.body[offset : offset + length]

    def serve(self, event):
        server = self.ends["server"]
        if isinstance(event, BodyWanted):
            server.give(event, event.body.block(event.offset, event.length), self.now)
            return
        server.respond(event.exchange, self.answer(event.message), self.now)

    def answer(self, message):
        if message.code == 1:
            value = message.first(23)
            part = block2_answer(None if value is None else Block.decode(value), len(self.body), max_szx=self.max_szx)
            if part is None:
                return Response(0x45, (), self.body, True)
            payload = self.body[part.offset : part.offset + part.length]
            options = block2_options(part, len(self.body), b"\x01", want_size2=True)
            return Response(0x45, options, payload, True, self)
        value = message.first(27)
        block = None if value is None else Block.decode(value)
        try:
            taken = self.receiver.accept(block, message.payload, message.uint(60), message.blocks)
        except BlockwiseError as error:
            return Response(error.code)
        if isinstance(taken, Accepted):
            del self.stored[taken.offset :]
            self.stored += taken.payload
        options = () if block is None else ((27, self.receiver.response_block(block)),)
        return Response(0x44 if taken.final else 0x5F, options)

    def run(self, react):
        for _ in range(50_000):
            for event in self.ends["client"].take_events():
                react(event)
            for event in self.ends["server"].take_events():
                self.serve(event)
            for name, end in self.ends.items():
                for data, target in end.take_datagrams():
                    self.send(name, data, target)
            deadlines = [at for end in self.ends.values() if (at := end.next_deadline()) is not None]
            if self.queue:
                deadlines.append(self.queue[0][0])
            if not deadlines:
                return
            self.now = max(self.now, min(deadlines))
            while self.queue and self.queue[0][0] <= self.now:
                _, _, source, data, target = heapq.heappop(self.queue)
                self.ends[target].receive(data, source, self.now)
            for end in self.ends.values():
                end.handle_timeout(self.now)
        raise AssertionError("it never ends")

    def send(self, source, data, target):
        message = decode(data)
        self.said.append((self.now, source, message.type, message.code, message.options, message.payload))
        for _ in range(1 + (self.random.random() < self.duplicate)):
            if self.random.random() >= self.loss:
                self.count += 1
                arrives = self.now + self.random.uniform(0.0, self.slowest_s)
                heapq.heappush(self.queue, (arrives, self.count, source, data, target))


def pull(wire, szx, window=1):
    client, got, ends = wire.ends["client"], bytearray(), []
    call = client.request("server", Request(1, PATH), 0.0, body=Stream(szx=szx, window=window))

    def react(event):
        if isinstance(event, BlockArrived):
            assert event.offset == len(got)
            got.extend(event.payload)
            if not event.last:
                client.proceed(call, wire.now)
        elif isinstance(event, BodyRestarted):
            got.clear()
        else:
            ends.append(event)

    wire.run(react)
    (end,) = ends
    return bytes(got), end


def push(wire, szx):
    client, ends = wire.ends["client"], []
    call = client.request("server", Request(3, PATH, source_bytes=len(wire.body), szx=szx), 0.0)

    def react(event):
        if isinstance(event, BlockWanted):
            client.supply(call, wire.body[event.offset : event.offset + event.length], wire.now)
        elif not isinstance(event, BodyRestarted):
            ends.append(event)

    wire.run(react)
    (end,) = ends
    return bytes(wire.stored), end


wires = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 1 << 32),
        "loss": st.sampled_from([0.0, 0.1, 0.3]),
        "duplicate": st.sampled_from([0.0, 0.3]),
        "slowest_s": st.sampled_from([0.0, 0.05, 0.5, 4.0]),
        "body": st.binary(min_size=1, max_size=4000),
        "max_szx": st.integers(0, 6),
    }
)
limits = st.builds(
    EndpointLimits,
    batch_bytes=st.sampled_from([0, 100, 1 << 16]),
    ahead_bytes=st.sampled_from([0, 100, 4096]),
    token_bytes=st.sampled_from([2, 4, 8]),
)


def without_lanes(run):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Gathering, "_take_pull_lane", lambda *_: None)
        patched.setattr(Client, "_take_push_lane", lambda *_: None)
        patched.setattr(Serving, "_lead", lambda *_: None)
        return run()


@given(wires, limits, st.integers(0, 6), st.sampled_from([pull, push]))
def test_a_lane_says_what_the_ordinary_way_would_say(wire, limits, szx, transfer):
    def run():
        wired = Wire(**wire, parameters=TransmissionParameters(), limits=limits)
        return transfer(wired, szx), wired.said

    (on_lane, end), said = run()
    (ordinarily, other_end), would_say = without_lanes(run)
    assert said == would_say
    assert on_lane == ordinarily
    assert type(end) is type(other_end)


@given(wires, limits, st.integers(0, 6), st.integers(2, 12), st.sampled_from([1, 4, 16]))
def test_a_window_brings_every_byte_once_and_in_order(wire, limits, szx, window, nstart):
    parameters = TransmissionParameters(nstart=nstart, ack_timeout_s=0.5)
    wired = Wire(**wire, parameters=parameters, limits=limits)
    got, end = pull(wired, szx, window)
    if isinstance(end, ResponseReceived):
        assert got == wired.body
    else:
        assert (type(end), end.reason) == (CallFailed, FailureReason.TIMEOUT)
        assert wired.loss
        assert wired.body.startswith(got)
    for each in wired.ends.values():
        assert len(each._client) == len(each._messages.peers) == 0
        assert each._messages.peers.alarms == []
