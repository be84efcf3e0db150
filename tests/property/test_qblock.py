"""By sets of blocks over a network that loses, doubles and reorders: every call ends, and what arrives is right."""

import heapq
import random

from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.coap.block import Block
from lwm2m_fota.coap.block1 import Accepted, Block1Receiver
from lwm2m_fota.coap.block2 import block2_answer, block2_options
from lwm2m_fota.coap.endpoint import Endpoint, EndpointLimits, FailureReason, Request, Response, Stream
from lwm2m_fota.coap.events import (
    BlockArrived,
    BlockWanted,
    BodyRestarted,
    BodyWanted,
    CallFailed,
    ResponseReceived,
)
from lwm2m_fota.coap.message import decode
from lwm2m_fota.coap.qblock import QBlock, QTimers
from lwm2m_fota.coap.qgiving import QGive
from lwm2m_fota.coap.qpulling import LATE_TOKENS, QPull
from lwm2m_fota.coap.qpushing import LATE_BURSTS, QPush
from lwm2m_fota.errors import BlockwiseError

PATH = ((11, b"fw"),)


class Seeded:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def token(self, size_bytes):
        return self.random.randbytes(size_bytes)

    def uniform(self, low, high):
        return self.random.uniform(low, high)


class Wire:
    """A client and a server with one body, which may change on the way."""

    def __init__(
        self,
        *,
        seed,
        loss,
        duplicate,
        slowest_s,
        body,
        client_limits,
        server_limits,
        max_szx,
        changes_at=None,
        late_s=0.0,
    ):
        self.random = random.Random(seed)
        self.loss, self.duplicate, self.slowest_s = loss, duplicate, slowest_s
        self.body, self.max_szx, self.changes_at = body, max_szx, changes_at
        self.version = 1
        self.ends = {
            "client": Endpoint(entropy=Seeded(f"client{seed}"), limits=client_limits),
            "server": Endpoint(entropy=Seeded(f"server{seed}"), limits=server_limits),
        }
        self.now, self.queue, self.count = 0.0, [], 0
        self.said = []
        self.held = []  # answers that the server will give later
        self.late_s = late_s
        self.q = server_limits.q_block
        self.receiver, self.stored, self.taken = Block1Receiver(1 << 20), bytearray(), 0

    @property
    def size_bytes(self):
        return len(self.body)

    def block(self, offset, length):
        return self.body[offset : offset + length]

    def serve(self, event):
        server = self.ends["server"]
        if isinstance(event, BodyWanted):
            body, version = event.body
            gone = version != self.version
            server.give(event, Response(0x84) if gone else body[event.offset : event.offset + event.length], self.now)
        else:
            answer = self.answer(event.message)
            if self.late_s:
                self.held.append((self.now + self.late_s, event.exchange, answer))
            else:
                server.respond(event.exchange, answer, self.now)

    def answer(self, message):
        if self.q is None and (message.first(31) is not None or message.first(19) is not None):
            return Response(0x82)
        if message.code == 3:
            return self.take(message)
        value = message.first(23)
        try:
            part = block2_answer(None if value is None else Block.decode(value), len(self.body), max_szx=self.max_szx)
        except BlockwiseError as error:
            return Response(error.code)
        if part is None:
            return Response(0x45, (), self.body, True)
        payload = self.body[part.offset : part.offset + part.length]
        options = block2_options(part, len(self.body), bytes((self.version,)), want_size2=True)
        return Response(0x45, options, payload, True, Version((self.body, self.version)))

    def take(self, message):
        """A body, or some blocks of one, that must come in order and once."""
        assert message.first(292) is None
        value = message.first(27)
        block = None if value is None else Block.decode(value)
        try:
            taken = self.receiver.accept(block, message.payload, message.uint(60), message.blocks)
        except BlockwiseError as error:
            return Response(error.code)
        options = () if block is None else ((27, self.receiver.response_block(block)),)
        if not isinstance(taken, Accepted):
            return Response(0x44 if taken.final else 0x5F, options)
        del self.stored[taken.offset :]
        self.stored += taken.payload
        self.taken += taken.final
        return Response(0x44 if taken.final else 0x5F, options)

    def release(self):
        """Give the answers that are due."""
        due = [held for held in self.held if held[0] <= self.now]
        self.held = [held for held in self.held if held[0] > self.now]
        for _, exchange, answer in due:
            self.ends["server"].respond(exchange, answer, self.now)

    def run(self, react):  # noqa: C901 - a network in one loop
        for _ in range(100_000):
            self.release()
            for event in self.ends["client"].take_events():
                react(event)
            for event in self.ends["server"].take_events():
                self.serve(event)
            for name, end in self.ends.items():
                for data, target in end.take_datagrams():
                    self.send(name, data, target)
            self.look()
            deadlines = [at for end in self.ends.values() if (at := end.next_deadline()) is not None]
            if self.queue:
                deadlines.append(self.queue[0][0])
            deadlines += [at for at, _, _ in self.held]
            if not deadlines:
                return
            self.now = max(self.now, min(deadlines))
            if self.changes_at is not None and self.now >= self.changes_at:
                self.changes_at = None
                self.body, self.version = bytes(reversed(self.body)), 2
            while self.queue and self.queue[0][0] <= self.now:
                _, _, source, data, target = heapq.heappop(self.queue)
                self.ends[target].receive(data, source, self.now)
            for end in self.ends.values():
                end.handle_timeout(self.now)
        raise AssertionError("it never ends")

    def look(self):
        """Nothing is held beyond the limits."""
        for state in self.ends["client"]._messages.peers.states.values():
            lane = state.asking
            if isinstance(lane, QPush):
                assert len(state.tokens) <= LATE_BURSTS * lane._q.max_payloads
                if lane._call.request.source_bytes is not None:
                    most = max(lane._q.ahead_bytes, lane._q.max_payloads * lane._sending.size)
                    assert len(lane._call.ahead) <= most
                assert lane._unheard <= lane._q.unheard_sets
            else:
                assert len(state.tokens) <= LATE_TOKENS + 1
            if isinstance(lane, QPull):
                order = lane._order
                most = lane._q.early_bytes // lane._size + 1
                assert len(order.early) <= most
                assert lane._call.batch.size_bytes <= lane._room_bytes + lane._size * most
        for state in self.ends["server"]._messages.peers.states.values():
            lane = state.answering
            assert len(state.bodies) <= 2
            for body in state.bodies.values():
                assert len(body._order.early) <= body._q.early_bytes // (16 << body.szx) + 1
                assert len(body._parts) <= body._room
            if isinstance(lane, QGive):
                assert len(lane._ahead) <= max(lane._q.ahead_bytes, lane._q.max_payloads * lane._sending.size)
                assert lane._unheard <= lane._q.unheard_sets

    def send(self, source, data, target):
        self.said.append((self.now, source, decode(data)))
        for _ in range(1 + (self.random.random() < self.duplicate)):
            if self.random.random() >= self.loss:
                self.count += 1
                arrives = self.now + self.random.uniform(0.0, self.slowest_s)
                heapq.heappush(self.queue, (arrives, self.count, source, data, target))

    def gone(self):
        """Everybody has forgotten everything."""
        for each in self.ends.values():
            assert len(each._client) == len(each._serving) == len(each._messages.peers) == 0
            assert each._messages.peers.alarms == []


class Version(tuple):
    """A body as it is now."""

    __slots__ = ()

    @property
    def size_bytes(self):
        return len(self[0])


def pull(wire, stream, have=b""):
    client, got, ends = wire.ends["client"], bytearray(have), []
    call = client.request("server", Request(1, PATH), 0.0, body=stream)

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
    wire.gone()
    return bytes(got), end


qblocks = st.builds(
    QBlock,
    max_payloads=st.integers(1, 12),
    timers=st.sampled_from(QTimers),
    unheard_sets=st.integers(0, 4),
    early_bytes=st.sampled_from([0, 64, 1024, 1 << 16]),
    ahead_bytes=st.sampled_from([0, 200, 1 << 16]),
)
networks = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 1 << 32),
        "loss": st.sampled_from([0.0, 0.02, 0.1, 0.3]),
        "duplicate": st.sampled_from([0.0, 0.3]),
        "slowest_s": st.sampled_from([0.0, 0.05, 0.5, 4.0]),
        "body": st.integers(1, 6000).map(lambda size: random.Random(size).randbytes(size)),
        "max_szx": st.integers(0, 6),
    }
)
limits = st.builds(
    EndpointLimits,
    batch_bytes=st.sampled_from([0, 100, 1 << 16]),
    token_bytes=st.sampled_from([3, 4, 8]),
    q_block=qblocks,
)


def judge(wire, got, end, loss):
    if isinstance(end, ResponseReceived):
        assert end.message.code == 0x45
        assert got == wire.body
    else:
        assert (type(end), end.reason) == (CallFailed, FailureReason.TIMEOUT)
        assert loss
        assert wire.body.startswith(got)


@given(networks, limits, limits, st.integers(0, 6), qblocks)
def test_a_pull_ends_and_what_arrived_is_right(network, client_limits, server_limits, szx, q):
    wire = Wire(**network, client_limits=client_limits, server_limits=server_limits)
    got, end = pull(wire, Stream(szx=szx, q_block=q))
    judge(wire, got, end, network["loss"])
    lossless = not network["loss"] and network["slowest_s"] < 2.0
    if lossless and q.max_payloads == server_limits.q_block.max_payloads and not network["duplicate"]:
        count = -(-len(wire.body) // (16 << min(szx, network["max_szx"])))
        sent = [message for _, source, message in wire.said if source == "server"]
        assert len(sent) == count or network["slowest_s"]  # no block went out twice


@given(networks, limits, limits, st.integers(0, 6), qblocks, st.integers(0, 4000))
def test_a_resumed_pull_ends_and_what_arrived_is_right(network, client_limits, server_limits, szx, q, offset):
    wire = Wire(**network, client_limits=client_limits, server_limits=server_limits)
    offset = min(offset, len(wire.body) - 1)
    stream = Stream(offset=offset, etag=b"\x01", szx=szx, q_block=q)
    got, end = pull(wire, stream, wire.body[:offset])
    judge(wire, got, end, network["loss"])


@given(networks, limits, limits, st.integers(0, 6), qblocks, st.floats(0.0, 10.0))
def test_a_body_that_changes_on_the_way_is_never_spliced(network, client_limits, server_limits, szx, q, changes_at):
    wire = Wire(**network, client_limits=client_limits, server_limits=server_limits, changes_at=changes_at)
    first = wire.body
    got, end = pull(wire, Stream(szx=szx, q_block=q))
    if isinstance(end, ResponseReceived) and end.message.code == 0x45:
        assert got in {first, bytes(reversed(first))}
    else:
        assert first.startswith(got) or bytes(reversed(first)).startswith(got)


@given(networks, limits, st.integers(0, 6), qblocks)
def test_a_server_that_knows_no_q_block_is_pulled_from_with_block2(network, client_limits, szx, q):
    server_limits = EndpointLimits(q_block=None)
    wire = Wire(**network, client_limits=client_limits, server_limits=server_limits)
    got, end = pull(wire, Stream(szx=szx, q_block=q))
    judge(wire, got, end, network["loss"])


def push(wire, request):
    client, ends, acknowledged = wire.ends["client"], [], [0]
    call = client.request("server", request, 0.0)

    def react(event):
        if isinstance(event, BlockWanted):
            assert acknowledged[-1] <= event.acknowledged
            acknowledged.append(event.acknowledged)
            client.supply(call, wire.body[event.offset : event.offset + event.length], wire.now)
        elif isinstance(event, BodyRestarted):
            acknowledged.append(0)
        else:
            ends.append(event)

    wire.run(react)
    (end,) = ends
    wire.gone()
    return end


def judge_push(wire, end, loss):
    if isinstance(end, ResponseReceived):
        assert end.message.code == 0x44
        assert bytes(wire.stored) == wire.body
    else:
        assert (type(end), end.reason) == (CallFailed, FailureReason.TIMEOUT)
        assert loss
        assert wire.body.startswith(bytes(wire.stored))
    assert wire.taken <= 1


@given(networks, limits, limits, st.integers(0, 6), qblocks, st.booleans(), st.sampled_from([0.0, 0.0, 0.3, 5.0]))
def test_a_push_ends_and_what_arrived_is_right(network, client_limits, server_limits, szx, q, streamed, late_s):
    wire = Wire(**network, client_limits=client_limits, server_limits=server_limits, late_s=late_s)
    body = {"source_bytes": len(wire.body)} if streamed else {"payload": wire.body}
    end = push(wire, Request(3, PATH, szx=szx, q_block=q, **body))
    judge_push(wire, end, network["loss"])


@given(networks, limits, st.integers(0, 6), qblocks)
def test_a_server_that_knows_no_q_block_is_pushed_to_with_block1(network, client_limits, szx, q):
    wire = Wire(**network, client_limits=client_limits, server_limits=EndpointLimits(q_block=None))
    end = push(wire, Request(3, PATH, szx=szx, q_block=q, source_bytes=len(wire.body)))
    judge_push(wire, end, network["loss"])
