"""A scripted source of tokens and jitter, and two endpoints on one wire under virtual time."""

from types import SimpleNamespace

import pytest

from lwm2m_fota.coap.endpoint import Endpoint, EndpointLimits


class Script:
    """Entropy by hand: given tokens, then c0, c1, ...; a given first message id; the middle of every jitter."""

    def __init__(self, mid, tokens):
        self.mid = mid
        self.tokens = [bytes.fromhex(token) for token in tokens]
        self.count = 0

    def token(self, size_bytes):
        if self.tokens:
            return self.tokens.pop(0)
        self.count += 1
        return (0xC000 + self.count & 0xFFFF).to_bytes(2, "big")

    def uniform(self, low, high):
        return self.mid if high == 65536 else (low + high) / 2


def make(*tokens, mid=1, limits=None, parameters=None, **extra):
    if parameters is not None:
        extra["parameters"] = parameters
    return Endpoint(entropy=Script(mid, tokens), limits=limits or EndpointLimits(), **extra)


def sent(endpoint):
    """The datagrams since the last look, in hex."""
    return [data.hex() for data, _ in endpoint.take_datagrams()]


def feed(endpoint, hexes, now=0.0, peer="peer"):
    """Give datagrams in hex, and take the events."""
    for data in hexes.split():
        endpoint.receive(bytes.fromhex(data), peer, now)
    return endpoint.take_events()


class Pair:
    """Client and server on a wire without delay; `lose(number, data)` says which datagrams vanish."""

    def __init__(self, client, server, serve, lose=lambda number, data: False):
        self.client, self.server, self.serve, self.lose = client, server, serve, lose
        self.now = 0.0
        self.carried = 0

    def _carry(self, source, target, name):
        moved = False
        for data, _ in source.take_datagrams():
            moved = True
            self.carried += 1
            if not self.lose(self.carried, data):
                target.receive(data, name, self.now)
        return moved

    def settle(self, react):
        """Run until nothing moves; `react(event)` for the client's events."""
        moved = True
        while moved:
            moved = False
            for event in self.client.take_events():
                moved = True
                react(event)
            for event in self.server.take_events():
                moved = True
                self.serve(self.server, event, self.now)
            moved |= self._carry(self.client, self.server, "client")
            moved |= self._carry(self.server, self.client, "server")

    def run(self, react, until):
        """Run, and let time pass from deadline to deadline, until `until()`."""
        self.settle(react)
        for _ in range(10_000):
            if until():
                return
            deadlines = [end.next_deadline() for end in (self.client, self.server)]
            self.now = max(self.now, min(deadline for deadline in deadlines if deadline is not None))
            self.client.handle_timeout(self.now)
            self.server.handle_timeout(self.now)
            self.settle(react)
        raise AssertionError("it never ends")


@pytest.fixture(scope="session")
def coap():
    return SimpleNamespace(make=make, sent=sent, feed=feed, Pair=Pair, Script=Script)
