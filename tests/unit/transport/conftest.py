"""Two DTLS endpoints on one wire under a clock of ours, and credentials for them."""

import random
from types import SimpleNamespace

import pytest

from lwm2m_fota.credentials.keyring import Held, Keyring, Origin
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import MemoryCredentialStore, PskEntry
from lwm2m_fota.credentials.values import Certificate, PreSharedKey
from lwm2m_fota.transport.dtls_endpoint import DtlsEndpoint, Ended, Failed, Received, Stands
from lwm2m_fota.transport.dtls_session import DtlsLimits

KEY = Secret(b"sixteen byte key")
ORIGIN = Origin("coaps", "192.0.2.1", 5684)


def psk(identity="device-1", key=KEY):
    return PreSharedKey(identity, key)


def ring(credential):
    return Keyring([Held(None, credential)])


class Side:
    """One end: its endpoint, and what it was told."""

    def __init__(self, **options):
        self.endpoint = DtlsEndpoint(random.Random(1).randbytes, **options)
        self.events = []
        self._protected = []

    def receive(self, data, address, now=0.0):
        """Take a datagram of the other end."""
        received = self.endpoint.receive(data, address, now)
        if received is not None:
            data, peer = received
            self.events.append(Received(peer, data))

    def send(self, data, peer):
        """Protect data for the other end; `take_datagrams` has them."""
        protected = self.endpoint.protect(data, peer)
        self._protected += [] if protected is None else [protected]
        return protected is not None

    def take_datagrams(self):
        taken, self._protected = self.endpoint.take_datagrams() + self._protected, []
        return taken

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def data(self):
        return [event.data for event in self.of(Received)]

    @property
    def peers(self):
        return [event.session.peer for event in self.of(Stands)]

    @property
    def reasons(self):
        return [event.reason for event in self.of((Failed, Ended))]


class Wire:
    """A server, and clients by name; `lose(number, data)` says which datagrams vanish, `sent` keeps all of them."""

    def __init__(self, server=None, client=None, **clients):
        self.server = server or Side(store=MemoryCredentialStore([PskEntry(psk())]))
        self.clients = {"client": client or Side(keyring=ring(psk())), **clients}
        self.now = 0.0
        self.sent = []
        self.lose = lambda number, data: False

    @property
    def client(self):
        return self.clients["client"]

    def _carry(self, source, target, name):
        datagrams = source.take_datagrams()
        for data, _ in datagrams:
            self.sent.append((name, data))
            if not self.lose(len(self.sent), data):
                target.receive(data, name, self.now)
        return bool(datagrams)

    def settle(self):
        """Carry datagrams until nothing moves."""
        moved = True
        while moved:
            moved = False
            for name, client in self.clients.items():
                moved |= self._carry(client, self.server, name)
            for data, name in self.server.take_datagrams():
                moved = True
                self.sent.append(("server", data))
                if not self.lose(len(self.sent), data) and name in self.clients:
                    self.clients[name].receive(data, "server", self.now)
            for side in (self.server, *self.clients.values()):
                side.events += side.endpoint.take_events()

    def pass_time(self, until):
        """Let time pass from deadline to deadline up to `until`."""
        while True:
            self.settle()
            sides = (self.server, *self.clients.values())
            deadlines = [when for side in sides if (when := side.endpoint.next_deadline()) is not None]
            if not deadlines or min(deadlines) > until:
                self.now = until
                return
            self.now = max(self.now, min(deadlines))
            for side in sides:
                side.endpoint.handle_timeout(self.now)

    def connect(self, name="client", origin=ORIGIN):
        session = self.clients[name].endpoint.connect("server", origin, self.now)
        self.settle()
        return session

    def say(self, data, name="client"):
        """Send from a client to the server."""
        side = self.clients[name]
        sent = side.send(data, side.peers[-1])
        self.settle()
        return sent

    def answer(self, data, peer=None):
        """Send from the server to a client."""
        sent = self.server.send(data, peer or self.server.peers[-1])
        self.settle()
        return sent


@pytest.fixture(scope="session")
def dtls():
    """The parts."""
    return SimpleNamespace(Wire=Wire, Side=Side, psk=psk, ring=ring, KEY=KEY, ORIGIN=ORIGIN, Limits=DtlsLimits)


@pytest.fixture(scope="session")
def certified(authority):
    """`certified(signed)` is the credential of what an authority has signed, believing the test root."""

    def make(signed, roots=authority.certificate, **options):
        return Certificate(roots_pem=roots, chain_pem=signed.chain, key_pem=Secret(signed.key), **options)

    return make


@pytest.fixture(scope="session")
def server_certificate(authority, certified):
    return certified(authority.sign("server", ["192.0.2.1", "server.example"]))
