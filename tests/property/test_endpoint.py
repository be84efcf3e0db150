"""Whatever the network does, a call ends, and what it delivers is right; whatever the bytes, nothing is raised."""

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
    Notified,
    ObserverLost,
    RequestReceived,
    ResponseReceived,
)
from lwm2m_fota.errors import BlockwiseError

LIMITS = EndpointLimits(peers=4, calls_per_peer=4, queued_per_peer=4, exchanges_per_peer=4, remembered_per_peer=16)


class Seeded:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def token(self, size_bytes):
        return self.random.randbytes(size_bytes)

    def uniform(self, low, high):
        return self.random.uniform(low, high)


class Network:
    """Two endpoints; datagrams vanish, double and overtake each other as a seed has it."""

    def __init__(self, seed, loss, duplicate, slowest_s):
        self.random = random.Random(seed)
        self.loss, self.duplicate, self.slowest_s = loss, duplicate, slowest_s
        self.ends = {name: Endpoint(entropy=Seeded(f"{name}{seed}"), limits=LIMITS) for name in ("client", "server")}
        self.now = 0.0
        self.wire = []
        self.count = 0
        self.held = []  # answers that the server will give later

    def _send(self, source, data, target):
        for _ in range(1 + (self.random.random() < self.duplicate)):
            if self.random.random() >= self.loss:
                self.count += 1
                arrives = self.now + self.random.uniform(0.0, self.slowest_s)
                heapq.heappush(self.wire, (arrives, self.count, source, data, target))

    def step(self, react):
        """Act on events, send, and go on to whatever comes next; False if nothing ever will."""
        for name, end in self.ends.items():
            for event in end.take_events():
                react(name, event)
        for name, end in self.ends.items():
            for data, target in end.take_datagrams():
                self._send(name, data, target)
        deadlines = [at for end in self.ends.values() if (at := end.next_deadline()) is not None]
        if self.wire:
            deadlines.append(self.wire[0][0])
        deadlines += [at for at, _, _ in self.held]
        if not deadlines:
            return False
        self.now = max(self.now, min(deadlines))
        while self.wire and self.wire[0][0] <= self.now:
            _, _, source, data, target = heapq.heappop(self.wire)
            self.ends[target].receive(data, source, self.now)
        for end in self.ends.values():
            end.handle_timeout(self.now)
        return True


class Store:
    """A server of one resource, that counts what it is made to do and sometimes thinks before it answers."""

    def __init__(self, network, body=b"", max_szx=6, late_s=0.0):
        self.network, self.max_szx, self.late_s = network, max_szx, late_s
        self.body = bytearray(body)
        self.receiver = Block1Receiver(1 << 20, max_szx)
        self.executed = []

    def __call__(self, event):
        server = self.network.ends["server"]
        if isinstance(event, ObserverLost):
            return
        if isinstance(event, BodyWanted):
            server.give(event, event.body.block(event.offset, event.length), self.network.now)
            return
        assert isinstance(event, RequestReceived)
        answer = self.answer(event.message)
        if self.late_s:
            self.network.held.append((self.network.now + self.late_s, event.exchange, answer))
        else:
            server.respond(event.exchange, answer, self.network.now)

    @property
    def size_bytes(self):
        return len(self.body)

    def block(self, offset, length):
        assert offset + length < len(self.body)
        return bytes(self.body[offset : offset + length])

    def release(self):
        """Give the answers that are due."""
        network = self.network
        for at, exchange, answer in network.held:
            if at <= network.now:
                network.ends["server"].respond(exchange, answer, network.now)
        network.held = [held for held in network.held if held[0] > network.now]

    def answer(self, message):
        if message.code == 1:
            part = block2_answer(Block.decode(message.first(23)), len(self.body), max_szx=self.max_szx)
            payload = bytes(self.body[part.offset : part.offset + part.length])
            return Response(0x45, block2_options(part, len(self.body), b"\x01", want_size2=True), payload, True, self)
        if message.code == 2:
            self.executed.append(message.payload)
            return Response(0x44)
        value = message.first(27)
        block = None if value is None else Block.decode(value)
        try:
            taken = self.receiver.accept(block, message.payload, blocks=message.blocks)
        except BlockwiseError as error:
            return Response(error.code)
        if isinstance(taken, Accepted):
            del self.body[taken.offset :]
            self.body += taken.payload
        options = () if block is None else ((27, self.receiver.response_block(block)),)
        return Response(0x44 if taken.final else 0x5F, options)


networks = st.builds(
    Network,
    seed=st.integers(0, 1 << 32),
    loss=st.sampled_from([0.0, 0.1, 0.3, 0.6]),
    duplicate=st.sampled_from([0.0, 0.3]),
    slowest_s=st.sampled_from([0.0, 0.5, 4.0]),
)


def run(network, store, react):
    """Run until nothing is left to wait for: every call must have ended long before."""
    for _ in range(100_000):
        store.release()
        if not network.step(lambda name, event: store(event) if name == "server" else react(event)):
            break
    else:
        raise AssertionError("it never ends")
    for end in network.ends.values():
        assert len(end._client) == len(end._serving) == len(end._messages.peers) == 0
        assert end._messages.peers.budget.used_bytes == 0
        assert end._messages.peers.alarms == []


@given(networks, st.binary(max_size=5000), st.integers(0, 6), st.integers(0, 6), st.sampled_from([0.0, 1.5]))
def test_a_push_ends_and_what_arrived_is_right(network, body, szx, max_szx, late_s):
    store = Store(network, max_szx=max_szx, late_s=late_s)
    client = network.ends["client"]
    call = client.request("server", Request(3, source_bytes=len(body), szx=szx), 0.0)
    ends = []

    def react(event):
        if isinstance(event, BlockWanted):
            client.supply(call, body[event.offset : event.offset + event.length], network.now)
        elif not isinstance(event, BodyRestarted):
            ends.append(event)

    run(network, store, react)
    (end,) = ends
    if isinstance(end, ResponseReceived) and end.message.code == 0x44:
        assert bytes(store.body) == body
    else:
        assert network.loss or network.slowest_s
    if not network.loss and network.slowest_s < 4.0:
        assert end.message.code == 0x44


@given(networks, st.binary(min_size=1, max_size=5000), st.integers(0, 6), st.integers(0, 6), st.integers(0, 5000))
def test_a_pull_ends_and_what_arrived_is_right(network, body, szx, max_szx, offset):
    offset = min(offset, len(body) - 1)
    store = Store(network, body, max_szx)
    client = network.ends["client"]
    got = bytearray(body[:offset])
    stream = Stream(offset=offset, etag=b"\x01", szx=szx)
    call = client.request("server", Request(1), 0.0, body=stream)
    ends = []

    def react(event):
        if isinstance(event, BlockArrived):
            assert event.offset == len(got)
            got.extend(event.payload)
            if not event.last:
                client.proceed(call, network.now)
        else:
            ends.append(event)

    run(network, store, react)
    (end,) = ends
    if isinstance(end, ResponseReceived):
        assert bytes(got) == body
    else:
        assert (type(end), end.reason) == (CallFailed, FailureReason.TIMEOUT)
        assert network.loss


@given(networks, st.sampled_from([0.0, 0.9, 1.5, 30.0]), st.integers(1, 8))
def test_nothing_is_carried_out_twice(network, late_s, count):
    store = Store(network, late_s=late_s)
    client = network.ends["client"]
    calls = [client.request("server", Request(2, payload=bytes((number,))), 0.0) for number in range(count)]
    ends = {}

    def react(event):
        assert event.call not in ends
        ends[event.call] = event

    run(network, store, react)
    assert sorted(ends) == calls
    assert len(set(store.executed)) == len(store.executed)
    for number, call in enumerate(calls):
        if isinstance(ends[call], ResponseReceived):
            assert bytes((number,)) in store.executed
    if not network.loss:
        failed = [end for end in ends.values() if isinstance(end, CallFailed)]
        assert all(end.reason is FailureReason.EXHAUSTED for end in failed)


def accept_observer(server, event, now):
    if isinstance(event, RequestReceived):
        options = () if event.message.uint(6) else ((6, b""),)
        server.respond(event.exchange, Response(0x45, options), now)


@given(networks, st.lists(st.booleans(), min_size=1, max_size=20))
def test_notifications_only_go_forward(network, confirmable):
    client, server = network.ends["client"], network.ends["server"]
    call = client.request("server", Request(1, observe=True), 0.0)
    seen, ended, token = [0], [], []

    def react(event):
        if isinstance(event, Notified):
            seen.append(event.message.uint(6))
        elif isinstance(event, ResponseReceived) and event.observing:
            token.append(event.message.token)
        else:
            ended.append(event)

    def go(until):
        while network.now < until and network.step(
            lambda name, event: accept_observer(server, event, network.now) if name == "server" else react(event)
        ):
            pass

    go(100.0)
    if token:
        for number, con in enumerate(confirmable, 1):
            response = Response(0x45, ((6, bytes((number,))),), bytes((number,)))
            server.notify("client", token[0], response, network.now, confirmable=con)
            go(network.now + 1.0)
        go(network.now + 100.0)
        assert seen == sorted(set(seen))
        if not network.loss:
            assert seen[-1] == len(confirmable)
        client.cancel(call, network.now)
    assert token or isinstance(ended[0], CallFailed)
    go(1e9)
    assert all(len(end._messages.peers) == len(end._client) == 0 for end in network.ends.values())


def bounded(endpoint):
    peers = endpoint._messages.peers
    assert len(peers) <= LIMITS.peers
    for state in peers.states.values():
        assert len(state.recalled) <= LIMITS.remembered_per_peer
        assert len(state.exchanges) <= LIMITS.exchanges_per_peer
        assert len(state.queue) <= LIMITS.queued_per_peer
        assert len(state.calls) <= LIMITS.calls_per_peer
        assert len(state.tokens) <= 2 * LIMITS.calls_per_peer
        assert len(state.noted) <= LIMITS.noted_notifications_per_peer
    assert peers.budget.used_bytes <= LIMITS.cached_reply_bytes
    assert len(peers.alarms) <= 300


# Random bytes seldom pass for a message: half of them get a header that the endpoint can use.
datagrams = st.binary(max_size=40) | st.builds(
    lambda kind, code, mid, token, rest: bytes((0x40 | kind << 4 | len(token), code, 0, mid)) + token + rest,
    st.integers(0, 3),
    st.sampled_from([0, 1, 2, 3, 0x44, 0x45, 0x5F, 0x84, 0x88, 0x8D, 0xE1]),
    st.integers(0, 8),
    st.binary(min_size=1, max_size=1),
    st.sampled_from([b"", b"\x60", b"\x61\x07", b"\xd1\x0a\x08\xff" + bytes(16), b"\xd1\x0e\x08", b"\xd1\x0e\x09"])
    | st.binary(max_size=8),
)


def act(endpoint, event, payload, *, idempotent, now):
    if isinstance(event, BlockWanted):
        endpoint.supply(event.call, bytes(event.length), now)
    elif isinstance(event, BlockArrived) and not event.last:
        endpoint.proceed(event.call, now)
    elif isinstance(event, RequestReceived):
        endpoint.respond(event.exchange, Response(0x45, (), payload, idempotent), now)


class Tiny(Seeded):
    """Few tokens and low message ids, so that random datagrams hit them."""

    def token(self, size_bytes):
        return bytes((self.random.randrange(256),))

    def uniform(self, low, high):
        return 0.0 if high == 65536 else low


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["receive", "request", "notify", "cancel", "act", "time"]), datagrams, st.integers(0, 5)
        ),
        max_size=80,
    ),
    st.integers(0, 99),
)
def test_no_datagram_raises_and_state_stays_bounded(actions, seed):
    endpoint = Endpoint(entropy=Tiny(seed), limits=LIMITS)
    requests = (
        (Request(1, observe=True), {}),
        (Request(3, payload=bytes(100), szx=0), {}),
        (Request(3, source_bytes=100, szx=0, confirmable=False), {}),
        (Request(1), {"body": Stream(szx=0)}),
    )
    now, last = 0.0, 0
    for action, data, number in actions:
        if action == "receive":
            endpoint.receive(data, number, now)
        elif action == "request":
            request, body = requests[number % 4]
            last = endpoint.request(number, request, now, **body)
        elif action == "notify":
            endpoint.notify(number, data[:1], Response(0x45, ((6, b"\x01"),)), now, confirmable=bool(number % 2))
        elif action == "cancel" and last:
            endpoint.cancel(last, now)
        elif action == "time":
            now += (0.0, 0.5, 3.0, 30.0, 100.0, 300.0)[number]
            endpoint.handle_timeout(now)
        else:
            for event in endpoint.take_events():
                act(endpoint, event, data[:5], idempotent=bool(number % 2), now=now)
        endpoint.take_datagrams()
        deadline = endpoint.next_deadline()
        assert deadline is None or deadline > now - 400
        bounded(endpoint)
