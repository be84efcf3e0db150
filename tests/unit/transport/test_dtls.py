"""DTLS over datagrams of a memory network and of UDP: the conformance suite, and what the pump adds to the sessions."""

import asyncio
import contextlib
import logging

import pytest

from lwm2m_fota.credentials.keyring import Held, Keyring
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import MemoryCredentialStore, PskEntry
from lwm2m_fota.credentials.values import Certificate, CredentialKind, PreSharedKey
from lwm2m_fota.errors import InvalidUriError, MissingCredentialError, TransportError, UsageError
from lwm2m_fota.sim import loop as sim_loop
from lwm2m_fota.sim.network import LossyNetwork
from lwm2m_fota.testing.sessions import SessionConformance
from lwm2m_fota.testing.transports import Recorder
from lwm2m_fota.transport.dtls import DtlsLimits, DtlsTransport
from lwm2m_fota.transport.memory import MemoryNetwork
from lwm2m_fota.transport.udp import UdpTransport

PSK = PreSharedKey("device-1", Secret(b"sixteen byte key"))
SERVER, DEVICE = ("192.0.2.1", 5684), ("192.0.2.2", 40000)
QUICK = DtlsLimits(handshake_s=0.5, retransmit_initial_s=0.05)


def both(under, limits=None):
    """An end that is client and server."""
    return DtlsTransport(
        under, keyring=Keyring([Held(None, PSK)]), store=MemoryCredentialStore([PskEntry(PSK)]), limits=limits
    )


class TestOverMemory(SessionConformance):
    def pair(self):
        self.network = MemoryNetwork()
        return both(self.network.transport(*DEVICE), QUICK), both(self.network.transport(*SERVER), QUICK)

    def twin(self, transport):
        return both(self.network.transport(*transport.local_address))


class TestOverMemoryOnVirtualTime(TestOverMemory):
    def run(self, main):
        sim_loop.run(main)


class TestOverUdp(SessionConformance):
    def pair(self):
        return both(UdpTransport(), QUICK), both(UdpTransport(), QUICK)

    def twin(self, transport):
        return both(UdpTransport(*transport.local_address))

    def twin_at(self, transport, address):
        return both(UdpTransport(*address))


class Ends:
    """A server and a device on a network, open; their recorders, and their transports."""

    def __init__(self, network=None, psk=PSK, limits=None, **server):
        self.network = network or MemoryNetwork()
        self.store = MemoryCredentialStore([PskEntry(PSK)])
        self.server = DtlsTransport(self.network.transport(*SERVER), store=self.store, limits=limits, **server)
        keyring = Keyring([Held(None, psk)] if psk else [])
        self.device = DtlsTransport(self.network.transport(*DEVICE), keyring=keyring, limits=limits)

    async def __aenter__(self):
        self.at_server, self.at_device = Recorder(), Recorder()
        await self.server.open(self.at_server)
        await self.device.open(self.at_device)
        return self

    async def __aexit__(self, *_):
        await self.device.close()
        await self.server.close()

    async def connect(self):
        return await self.device.resolve(*SERVER)


def run(test, **options):
    async def main():
        async with Ends(**options) as ends:
            return await test(ends)

    return sim_loop.run(main())


def test_the_names_of_both_ends_are_proven():
    async def test(ends):
        peer = await ends.connect()
        ends.device.send(b"hello", peer)
        ((data, at_server),) = await ends.at_server.datagrams(1)
        assert data == b"hello"
        assert (at_server.address, str(at_server.identity)) == (DEVICE, "psk 'device-1'")
        assert (peer.address, str(peer.identity)) == (SERVER, "psk 'device-1'")

    run(test)


def test_those_who_wait_for_one_session_share_it():
    async def test(ends):
        first, second = await asyncio.gather(ends.connect(), ends.connect())
        assert first is second
        assert await ends.connect() is first

    run(test)


def test_who_no_longer_waits_does_not_harm_those_who_do():
    async def test(ends):
        impatient = asyncio.ensure_future(ends.connect())
        patient = asyncio.ensure_future(ends.connect())
        await asyncio.sleep(0)
        impatient.cancel()
        assert (await patient).identity is not None

    run(test, network=LossyNetwork(1, latency_s=0.1))


@pytest.mark.parametrize("seed", range(20))
def test_a_handshake_gets_through_a_lossy_network(seed):
    """A fifth is lost and a tenth doubled each way; what takes too long begins anew."""

    async def test(ends):
        for _ in range(5):
            try:
                peer = await ends.connect()
                break
            except TransportError:
                continue
        for number in range(100):
            ends.device.send(bytes([number]), peer)
            await asyncio.sleep(1)
        assert 50 < len(ends.at_server.received) < 100
        assert len({data for data, _ in ends.at_server.received}) == len(ends.at_server.received)

    run(test, network=LossyNetwork(seed, loss=0.2, duplicate=0.1, latency_s=0.05, reorder_s=0.5))


def test_no_answer_is_a_transport_error_that_names_the_origin():
    async def test(ends):
        ends.network.cut(SERVER)
        with pytest.raises(TransportError, match=r"no session with coaps://192\.0\.2\.1:5684: no answer"):
            await ends.connect()
        assert asyncio.get_running_loop().time() == 90.0

    run(test, network=LossyNetwork(1))


def test_a_wrong_key_is_named_on_both_ends(caplog):
    async def test(ends):
        with pytest.raises(TransportError, match="the pre-shared key is likely another one"):
            await ends.connect()
        await asyncio.sleep(10)
        assert ends.at_server.received == []

    run(test, psk=PreSharedKey("device-1", Secret(b"another key")))
    (record,) = caplog.records
    assert "no session with ('192.0.2.2', 40000)" in record.message
    assert "the pre-shared key is likely another one" in record.message


def test_an_unknown_identity_is_refused_at_once(caplog):
    async def test(ends):
        with pytest.raises(TransportError, match="unknown psk identity"):
            await ends.connect()
        assert asyncio.get_running_loop().time() == 0.0

    run(test, psk=PreSharedKey("nobody", Secret(b"key")))
    assert "psk identity not found" in caplog.text


def test_a_missing_credential_is_told_before_anything_is_sent():
    async def test(ends):
        with pytest.raises(MissingCredentialError, match=r"no credential for coaps://192\.0\.2\.1:5684"):
            await ends.connect()
        with pytest.raises(InvalidUriError):
            await ends.device.resolve("nobody.example", 5684)

    run(test, psk=None)


def test_strangers_make_one_line_a_second(caplog):
    async def test(ends):
        for _ in range(5):
            with pytest.raises(TransportError):
                await ends.connect()
        await asyncio.sleep(1)
        with pytest.raises(TransportError):
            await ends.connect()

    run(test, psk=PreSharedKey("nobody", Secret(b"key")))
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert caplog.records[1].message.endswith("(and 4 more before)")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (bytes.fromhex("40010001b135"), "no whole record"),  # GET /5 without DTLS
        (bytes.fromhex("17fefd0001000000000001000101"), "no session with this address"),
        # a ClientHello of 44 bytes whose session id is said to have 255
        (
            bytes.fromhex("16fefd000000000000000000380100002c000000000000002cfefd" + "00" * 32 + "ff" + "00" * 9),
            "nothing",
        ),
    ],
)
def test_a_flood_of_what_is_dropped_makes_one_line_in_a_while(caplog, data, why):
    async def test(ends):
        await ends.connect()  # others are let in meanwhile
        for _ in range(500):
            ends.server.datagram_received(data, "stranger")
        ends.server.drained()
        await asyncio.sleep(0.2)
        ends.server.datagram_received(data, "stranger")
        ends.server.drained()

    run(test, limits=DtlsLimits(warning_pause_s=0.2))
    said = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(said) == 2
    assert all(line.startswith("dropped what came from stranger: ") for line in said)
    assert why in said[0]
    assert said[1].endswith("(and 499 more before)")


def test_logs_show_no_key(caplog):
    async def test(ends):
        peer = await ends.connect()
        ends.device.send(b"hello", peer)
        await ends.at_server.datagrams(1)
        ends.store.rotate("device-1", Secret(b"the next key"))
        await ends.at_device.endings(1)
        with pytest.raises(TransportError):
            await ends.connect()
        return repr((ends.server, ends.device, peer, ends.store))

    with caplog.at_level(logging.DEBUG):
        shown = run(test) + caplog.text
    assert "a session stands" in shown
    for key in (b"sixteen byte key", b"the next key"):
        assert key.decode() not in shown
        assert key.hex() not in shown


@pytest.mark.parametrize("change", ["rotate", "revoke"])
def test_sessions_end_when_their_credential_does(change):
    async def test(ends):
        peer = await ends.connect()
        ends.device.send(b"hello", peer)
        ((_, at_server),) = await ends.at_server.datagrams(1)
        if change == "rotate":
            ends.store.rotate("device-1", Secret(b"the next key"))
        else:
            ends.store.revoke(CredentialKind.PSK, "device-1")
        assert ends.at_server.over == [at_server]
        assert await ends.at_device.endings(1) == [peer]
        await ends.server.close()
        ends.store.revoke(CredentialKind.PSK, "device-1")

    run(test)


@pytest.mark.parametrize("question", ["key", "accepts"])
def test_a_store_that_fails_refuses(caplog, question):
    class Broken:
        def key(self, identity):
            return PSK.key if question == "accepts" else self.accepts(identity)

        def accepts(self, identity):
            raise RuntimeError("the database is gone")

    async def test(ends):
        ends.server._store = Broken()
        await ends.server.close()
        await ends.server.open(ends.at_server)
        with contextlib.suppress(TransportError):  # at the end of a handshake the client has what it needs
            await ends.connect()
            await ends.at_device.endings(1)
        assert (ends.at_server.received, ends.at_server.over) == ([], [])

    run(test)
    assert "the credential store failed" in caplog.text
    assert "no session with" in caplog.text
    run(test)
    assert "the credential store failed" in caplog.text


def test_sessions_that_nobody_holds_end_when_they_are_idle():
    async def test(ends):
        peer = await ends.connect()
        ends.device.hold(peer)
        ends.device.send(b"hello", peer)
        ((_, at_server),) = await ends.at_server.datagrams(1)
        ends.server.hold(at_server)
        await asyncio.sleep(1000)
        assert ends.at_server.over == ends.at_device.over == []
        ends.server.release(at_server)
        await asyncio.sleep(301)
        assert (ends.at_server.over, ends.at_device.over) == ([at_server], [peer])

    run(test)


def test_what_waits_fails_when_the_transport_is_closed():
    async def test(ends):
        ends.network.cut(SERVER)
        waiting = asyncio.ensure_future(ends.connect())
        await asyncio.sleep(1)
        await ends.device.close()
        with pytest.raises(TransportError, match="closed"):
            await waiting

    run(test, network=LossyNetwork(1))


def test_a_transport_may_be_closed_in_the_middle_of_a_batch():
    async def test(ends):
        peer = await ends.connect()
        closing = []

        class Closer(Recorder):
            def datagram_received(self, data, peer):
                with contextlib.suppress(StopIteration):
                    ends.server.close().send(None)  # all of it happens at once
                closing.append(peer)

        ends.server._handler = Closer()
        ends.device.send(b"hello", peer)
        assert await ends.at_device.endings(1) == [peer]
        assert len(closing) == 1

    run(test)


def test_an_identity_may_be_client_and_server_by_turns():
    async def test(ends):
        peer = await ends.connect()
        ends.device.send(b"hello", peer)
        ((_, at_server),) = await ends.at_server.datagrams(1)
        assert await ends.server.resolve(*DEVICE) is at_server

    run(test)


def test_a_certificate_that_cannot_be_used_is_told_when_it_opens():
    async def test(ends):
        bad = DtlsTransport(
            ends.network.transport("192.0.2.9"),
            store=ends.store,
            certificate=Certificate(roots_pem=b"x", chain_pem=b"x", key_pem=Secret(b"secret")),
        )
        with pytest.raises(UsageError):
            await bad.open(Recorder())

    run(test)


def test_network_hints_are_not_believed():
    async def test(ends):
        peer = await ends.connect()
        ends.device.unreachable(SERVER)
        ends.device.ended(SERVER)
        ends.device.send(b"still here", peer)
        ((data, _),) = await ends.at_server.datagrams(1)
        assert (data, ends.at_device.over) == (b"still here", [])

    run(test, network=MemoryNetwork(reports_unreachable=True))


class Answerer(Recorder):
    """Answers what it hears, by the transport."""

    def __init__(self, before=lambda peer: None):
        super().__init__()
        self.before = before

    def answer(self, data, peer):
        self.datagram_received(data, peer)
        self.before(peer)
        return data.upper()


async def between(server, at_server, test):
    at_device = Recorder()
    device = both(UdpTransport())
    await server.open(at_server)
    await device.open(at_device)
    try:
        return await test(device, await device.resolve(*server.local_address), at_device)
    finally:
        await device.close()
        await server.close()


def test_an_answer_of_the_handler_goes_back_protected():
    async def test(device, peer, at_device):
        for number, word in enumerate((b"one", b"two", b"three")):
            device.send(word, peer)
            heard = await at_device.datagrams(number + 1)
        return [data for data, _ in heard]

    assert asyncio.run(between(both(UdpTransport()), Answerer(), test)) == [b"ONE", b"TWO", b"THREE"]


def test_an_answer_on_a_session_that_the_handler_has_ended_is_lost():
    server = both(UdpTransport())

    async def test(device, peer, at_device):
        device.send(b"one", peer)
        assert await at_device.endings(1) == [peer]
        assert await at_server.datagrams(1)
        return at_device.received

    at_server = Answerer(before=server.end)
    assert asyncio.run(between(server, at_server, test)) == []
    assert server.unsent == 1


def test_a_closed_transport_answers_nothing():
    with pytest.raises(UsageError):
        both(UdpTransport()).answer(b"x", ("127.0.0.1", 1))
