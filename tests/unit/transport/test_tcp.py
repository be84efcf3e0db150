"""CoAP over TCP and TLS: the conformance suite, who is let in, and how connections end."""

import asyncio
import contextlib
import gc
import logging
import socket
import ssl
import time
import types
import weakref

import pytest

from lwm2m_fota.coap.stream import StreamLimits
from lwm2m_fota.coap.stream_frames import Parted
from lwm2m_fota.coap.stream_signals import BASE, Capabilities
from lwm2m_fota.credentials.keyring import Held, Keyring
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import MemoryCredentialStore, PskEntry
from lwm2m_fota.credentials.values import Certificate, CredentialKind, PreSharedKey
from lwm2m_fota.errors import MissingCredentialError, TransportError, UsageError
from lwm2m_fota.testing.sessions import SessionConformance
from lwm2m_fota.testing.transports import Ends, Recorder
from lwm2m_fota.transport.tcp import TcpLimits, TcpTransport, _Gate
from lwm2m_fota.transport.tcp_link import Link
from lwm2m_fota.transport.tls import HAS_PSK

PSK = PreSharedKey("device-1", Secret(b"sixteen byte key"))
needs_psk = pytest.mark.skipif(not HAS_PSK, reason="needs Python 3.13")
without_psk = pytest.mark.skipif(HAS_PSK, reason="needs a Python before 3.13")


def message(payload=b"", token=b"\x01"):
    """A message as streams hand it up."""
    tail = b"\xff" + payload if payload else b""
    return bytes((0x50 | len(token), 0x45, 0, 0)) + token + tail


class OverStreams(SessionConformance):
    """Connections are made by one end, and what comes over one is answered over it."""

    __test__ = False

    def message(self, data):
        return message(data)

    @contextlib.asynccontextmanager
    async def ends(self):
        a, b = self.pair()
        at_a, at_b = Recorder(), Recorder()
        await a.open(at_a)
        await b.open(at_b)
        try:
            peer_b = await a.resolve(*b.local_address)
            a.send(message(b"first"), peer_b)
            ((_, peer_a),) = await at_b.datagrams(1)
            for told in (at_b.received, at_b.batches):
                told.clear()
            yield Ends(a, b, at_a, at_b, peer_a, peer_b)
        finally:
            await b.close()
            await a.close()

    def test_one_peer_is_one_key_however_it_is_learnt(self):
        async def main():
            async with self.ends() as ends:
                ends.a.send(message(b"one"), ends.peer_b)
                ends.a.send(message(b"two"), ends.peer_b)
                (_, first), (_, second) = await ends.at_b.datagrams(2)
                assert {first, second} == {ends.peer_a}
                assert await ends.a.resolve(*ends.b.local_address) is ends.peer_b
                assert await ends.b.resolve(*ends.a.local_address) is not ends.peer_a

        self.run(main())

    options = types.MappingProxyType({})

    def pair(self):
        return TcpTransport(**self.options), TcpTransport(**self.options)

    def twin(self, transport):
        return self.twin_at(transport, transport.local_address)

    def twin_at(self, transport, address):
        return TcpTransport(*address, **self.options)


class TestOverTcp(OverStreams):
    __test__ = True


class TestOverTls(OverStreams):
    __test__ = True

    @pytest.fixture(autouse=True)
    def _credentials(self, authority, certified):
        own = certified(authority.sign("peer", ["127.0.0.1"]))
        self.options = {
            "secure": True,
            "keyring": Keyring([Held(None, own)]),
            "store": MemoryCredentialStore(),
            "certificate": own,
        }


@needs_psk
class TestOverTlsWithKeys(TestOverTls):
    @pytest.fixture(autouse=True)
    def _credentials(self):
        self.options = {
            "secure": True,
            "keyring": Keyring([Held(None, PSK)]),
            "store": MemoryCredentialStore([PskEntry(PSK)]),
        }


# -- a server and a client of one credential each


class Both:
    """A listener and a client, open, with their recorders."""

    def __init__(self, server=None, client=None):
        self.server = server or TcpTransport()
        self.client = client or TcpTransport(None)

    async def __aenter__(self):
        self.at_server, self.at_client = Recorder(), Recorder()
        await self.server.open(self.at_server)
        await self.client.open(self.at_client)
        return self

    async def __aexit__(self, *_):
        await self.client.close()
        await self.server.close()

    async def connect(self):
        return await self.client.resolve(*self.server.local_address)

    async def introduce(self):
        """The session, as both ends see it."""
        peer = await self.connect()
        self.client.send(message(b"hello"), peer)
        ((data, at_server),) = (await self.at_server.datagrams(1))[-1:]
        assert data == message(b"hello")
        return peer, at_server


def run(test, **options):
    async def main():
        async with Both(**options) as both:
            async with asyncio.timeout(20):
                return await test(both)

    return asyncio.run(main())


def tls_server(store=None, certificate=None, **options):
    store = MemoryCredentialStore() if store is None else store
    return TcpTransport(secure=True, store=store, certificate=certificate, **options)


def tls_client(*credentials, **options):
    return TcpTransport(
        None, secure=True, keyring=Keyring([Held(None, credential) for credential in credentials]), **options
    )


async def until(done):
    deadline = asyncio.get_running_loop().time() + 5
    while not done():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)


@pytest.fixture
def server_shows(authority, certified):
    return certified(authority.sign("server", ["127.0.0.1"]))


@pytest.fixture
def device_shows(authority, certified):
    return certified(authority.sign("device-1"))


# -- what the ends know


def test_the_scheme_and_what_the_other_end_can_take():
    small = TcpTransport(None, limits=TcpLimits(stream=StreamLimits(message_bytes=2304)))

    async def test(both):
        peer, at_server = await both.introduce()
        assert (both.server.scheme, both.client.can_connect) == ("coap+tcp", True)
        assert both.server.capabilities(at_server) == Capabilities(2304, block_wise=True)
        assert both.client.capabilities(peer).units == 64
        assert both.client.capabilities("nobody") is BASE
        assert (at_server.identity, at_server.address[0]) == (None, "127.0.0.1")
        with pytest.raises(UsageError, match="does not listen"):
            _ = both.client.local_address

    run(test, client=small)


def test_certificates_name_both_ends(server_shows, device_shows):
    async def test(both):
        peer, at_server = await both.introduce()
        assert (both.server.scheme, both.client.can_connect) == ("coaps+tcp", True)
        assert (peer.identity.name, at_server.identity.name) == ("server", "device-1")
        assert at_server.identity.kind is CredentialKind.CERTIFICATE

    run(test, server=tls_server(certificate=server_shows), client=tls_client(device_shows))


@needs_psk
def test_pre_shared_keys_name_devices():
    others = [PskEntry(PreSharedKey(f"device-{number}", Secret(bytes([number]) * 16))) for number in range(2, 9)]

    async def test(both):
        clients = [tls_client(entry.credential) for entry in others]
        for client in clients:
            await client.open(Recorder())
        address = both.server.local_address
        peers = await asyncio.gather(both.connect(), *(client.resolve(*address) for client in clients))
        for client, peer in zip([both.client, *clients], peers, strict=True):
            client.send(message(str(peer.identity).encode()), peer)
        for data, peer in await both.at_server.datagrams(len(peers)):
            assert data.endswith(str(peer.identity).encode())
        for client in clients:
            await client.close()

    run(test, server=tls_server(MemoryCredentialStore([PskEntry(PSK), *others])), client=tls_client(PSK))


def test_those_who_wait_for_one_session_share_it():
    async def test(both):
        first, second = await asyncio.gather(both.connect(), both.connect())
        assert first is second
        assert await both.connect() is first

    run(test)


def test_who_no_longer_waits_does_not_harm_those_who_do():
    async def test(both):
        impatient, patient = asyncio.ensure_future(both.connect()), asyncio.ensure_future(both.connect())
        await asyncio.sleep(0)
        impatient.cancel()
        peer = await patient
        both.client.send(message(), peer)
        ((data, _),) = await both.at_server.datagrams(1)
        assert (data, impatient.cancelled()) == (message(), True)

    run(test)


# -- who is not let in


def refused(caplog, match, said=None, **ends):
    """The client gets no session that lasts, and the server hears nothing from it."""

    async def test(both):
        with pytest.raises(TransportError, match=match):
            await both.connect()
        if said is not None:
            await until(lambda: said in caplog.text)
        assert both.at_server.received == []

    run(test, **ends)


def test_a_server_that_is_not_believed_gets_no_session(caplog, server_shows, authority, other_authority, certified):
    for credential, match in (
        (certified(authority.sign("device-1"), other_authority.certificate), "certificate verify failed"),
        (Certificate(roots_pem=other_authority.certificate), "certificate verify failed"),
    ):
        refused(caplog, match, server=tls_server(certificate=server_shows), client=tls_client(credential))
    elsewhere = certified(authority.sign("server", ["192.0.2.1"]))
    client = tls_client(certified(authority.sign("device-1")))
    refused(caplog, "127.0.0.1", server=tls_server(certificate=elsewhere), client=client)
    expired = certified(authority.sign("server", ["127.0.0.1"], days=(-9, -1)))
    client = tls_client(certified(authority.sign("device-1")))
    refused(caplog, "expired", server=tls_server(certificate=expired), client=client)


@pytest.mark.parametrize("why", ["unbelieved", "expired", "none"])
def test_a_device_that_is_not_believed_is_not_let_in(caplog, server_shows, authority, other_authority, certified, why):
    match why:
        case "unbelieved":
            shown = certified(other_authority.sign("device-1"))
        case "expired":
            shown = certified(authority.sign("device-1", days=(-9, -1)))
        case "none":
            shown = Certificate(roots_pem=authority.certificate)
    said = "did not return a certificate" if why == "none" else "certificate verify failed"
    refused(caplog, "no session", said, server=tls_server(certificate=server_shows), client=tls_client(shown))


def test_a_revoked_certificate_is_not_let_in(caplog, server_shows, device_shows):
    store = MemoryCredentialStore()
    store.revoke(CredentialKind.CERTIFICATE, "device-1")
    server = tls_server(store, server_shows)
    refused(caplog, "no session", "is revoked", server=server, client=tls_client(device_shows))


@needs_psk
@pytest.mark.parametrize("psk", [PreSharedKey("device-1", Secret(b"another key")), PreSharedKey("nobody", PSK.key)])
def test_a_wrong_key_is_not_let_in(caplog, psk):
    server = tls_server(MemoryCredentialStore([PskEntry(PSK)]))
    refused(caplog, "no session", "no session with ('127.0.0.1'", server=server, client=tls_client(psk))
    assert "sixteen" not in caplog.text
    assert "another key" not in caplog.text


@needs_psk
def test_a_key_that_is_rotated_while_the_handshake_is_under_way_proves_nothing(caplog):
    class Rotating(MemoryCredentialStore):
        given = 0

        def key(self, identity):
            key = super().key(identity)
            self.given += 1
            if self.given == 1:
                self.rotate(identity, Secret(b"new key"))
            return key

    server = tls_server(Rotating([PskEntry(PSK)]))
    refused(caplog, "no session", "was rotated while the handshake", server=server, client=tls_client(PSK))


def test_a_certificate_that_is_revoked_while_the_handshake_is_under_way_proves_nothing(
    caplog, server_shows, device_shows
):
    store = MemoryCredentialStore()

    class Revoking(_Gate):
        def connection_made(self, transport):
            super().connection_made(transport)
            store.revoke(CredentialKind.CERTIFICATE, "device-1")

    server = tls_server(store, server_shows)
    server._new_protocol = lambda: Revoking(server._enter)
    refused(caplog, "no session", "is revoked", server=server, client=tls_client(device_shows))


@needs_psk
def test_a_store_that_fails_refuses(caplog):
    class Broken(MemoryCredentialStore):
        def key(self, identity):
            raise RuntimeError("the database is gone")

    refused(caplog, "no session", "the credential store failed", server=tls_server(Broken()), client=tls_client(PSK))


def test_a_store_that_fails_at_the_end_of_a_handshake_refuses(caplog, server_shows, device_shows):
    class Broken(MemoryCredentialStore):
        def accepts(self, identity):
            raise RuntimeError("the database is gone")

    server = tls_server(Broken(), server_shows)
    refused(caplog, "no session", "the credential store failed", server=server, client=tls_client(device_shows))


def test_a_missing_credential_is_told_before_anything_is_sent(server_shows):
    client = tls_client()
    assert not client.can_connect

    async def test(both):
        with pytest.raises(MissingCredentialError, match=r"no credential for coaps\+tcp://127\.0\.0\.1"):
            await both.connect()

    run(test, server=tls_server(certificate=server_shows), client=client)


@without_psk
def test_a_key_is_nothing_to_connect_with_before_python_3_13():
    assert not tls_client(PSK).can_connect
    with pytest.raises(UsageError, match=r"Python 3\.13"):
        tls_server(MemoryCredentialStore([PskEntry(PSK)]))


def test_a_listener_with_tls_needs_a_store():
    with pytest.raises(UsageError, match="store"):
        TcpTransport(secure=True)


def test_plain_and_secure_ends_do_not_meet(caplog, server_shows, device_shows):
    plain = TcpTransport(None, limits=TcpLimits(connect_s=0.5))
    refused(caplog, "no session with coap", server=tls_server(certificate=server_shows), client=plain)
    secure = tls_client(device_shows, limits=TcpLimits(connect_s=0.5))
    refused(caplog, "no session with coaps", client=secure)


def test_an_old_version_of_tls_is_not_spoken(caplog, server_shows):
    async def test(both):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(OSError):
            await asyncio.open_connection(*both.server.local_address, ssl=context)
        await until(lambda: "unsupported protocol" in caplog.text)

    run(test, server=tls_server(certificate=server_shows))


# -- how sessions end


@pytest.mark.parametrize("change", ["revoke", "other"])
def test_sessions_end_when_their_credential_does(server_shows, device_shows, change):
    store = MemoryCredentialStore()

    async def test(both):
        peer, at_server = await both.introduce()
        store.revoke(CredentialKind.CERTIFICATE, "device-1" if change == "revoke" else "device-2")
        if change == "revoke":
            assert both.at_server.over == [at_server]
            assert await both.at_client.endings(1) == [peer]
        else:
            both.server.send(message(b"still here"), at_server)
            await both.at_client.datagrams(1)

    run(test, server=tls_server(store, server_shows), client=tls_client(device_shows))


def test_sessions_that_nobody_holds_end_when_they_are_idle():
    async def test(both):
        _, held = await both.introduce()
        both.server.hold(held)
        other = TcpTransport(None)
        at_other = Recorder()
        await other.open(at_other)
        peer = await other.resolve(*both.server.local_address)
        assert await at_other.endings(1) == [peer]
        assert both.at_server.over != [held]
        both.server.release(held)
        await both.at_client.endings(1)
        assert both.at_server.over[-1] is held
        await other.close()

    run(test, server=TcpTransport(limits=TcpLimits(idle_s=0.2)))


def test_an_end_that_falls_silent_is_pinged_and_given_up():
    """A socket that reads and says nothing: it gets a CSM, a Ping, and the end."""

    async def test(both):
        reader, writer = await asyncio.open_connection(*both.server.local_address)
        writer.write(bytes.fromhex("00e1"))
        assert (await reader.readexactly(7))[1] == 0xE1
        assert await reader.readexactly(2) == bytes.fromhex("00e2")
        assert await reader.read() == b""
        writer.close()
        assert len(await both.at_server.endings(1)) == 1

    limits = TcpLimits(stream=StreamLimits(ping_s=0.1, pong_s=0.1))
    run(test, server=TcpTransport(limits=limits))


def test_who_never_says_what_it_can_take_is_sent_away():
    async def test(both):
        reader, writer = await asyncio.open_connection(*both.server.local_address)
        assert b"(CSM)" in await reader.read()
        writer.close()

    run(test, server=TcpTransport(limits=TcpLimits(stream=StreamLimits(csm_s=0.1))))


@pytest.mark.parametrize("cut", range(1, 24))
def test_a_connection_that_is_cut_anywhere_is_over(cut):
    """Some of CSM, an empty message and a message, then the end: whole messages count, and the session is over."""
    said = bytes.fromhex("00e10000") + bytes.fromhex("d1045501ff") + bytes(16)

    async def test(both):
        reader, writer = await asyncio.open_connection(*both.server.local_address)
        writer.write(said[:cut])
        await writer.drain()
        writer.close()
        await both.at_server.endings(1)
        assert both.at_server.received == []
        await reader.read()

    run(test)


def test_one_byte_at_a_time_is_as_good(monkeypatch):
    taken = asyncio.Queue()

    def buffer_updated(link, count, take=Link.buffer_updated):
        take(link, count)
        taken.put_nowait(count)

    monkeypatch.setattr(Link, "buffer_updated", buffer_updated)

    async def test(both):
        _, writer = await asyncio.open_connection(*both.server.local_address)
        for byte in bytes.fromhex("00e11145abff"):
            writer.write(bytes([byte]))
            assert await taken.get() == 1
        ((data, _),) = await both.at_server.datagrams(1)
        assert data == bytes.fromhex("51450000abff")
        writer.close()

    run(test)


def test_a_message_that_is_too_large_ends_the_connection_before_it_is_there():
    async def test(both):
        reader, writer = await asyncio.open_connection(*both.server.local_address)
        writer.write(bytes.fromhex("00e1f0ffffffff45"))
        said = await reader.read()
        assert b"bytes" in said
        assert len(await both.at_server.endings(1)) == 1
        writer.close()

    run(test)


def test_an_end_that_does_not_read_is_given_up():
    async def test(both):
        reader, writer = await asyncio.open_connection(*both.server.local_address, limit=1)
        writer.write(bytes.fromhex("00e1") + bytes.fromhex("1145abff"))
        ((_, peer),) = await both.at_server.datagrams(1)
        for _ in range(1000):
            both.server.send(message(bytes(60_000)), peer)
            if both.at_server.over:
                break
            await asyncio.sleep(0)
        assert both.at_server.over == [peer]
        writer.close()
        reader.feed_eof()

    run(test, server=TcpTransport(limits=TcpLimits(unsent_bytes=100_000)))


def test_there_are_not_more_sessions_than_were_allowed(caplog):
    async def test(both):
        await both.introduce()
        other = TcpTransport(None)
        await other.open(Recorder())
        with pytest.raises(TransportError, match="no session with"):
            await other.resolve(*both.server.local_address)
        await other.close()

    run(test, server=TcpTransport(limits=TcpLimits(sessions=1)))
    assert "there is no room for more sessions" in caplog.text


def test_there_are_not_more_handshakes_than_were_allowed(caplog, server_shows, device_shows):
    async def test(both):
        _, waits = await asyncio.open_connection(*both.server.local_address)
        with pytest.raises(TransportError, match="no session with"):
            await both.connect()
        waits.close()
        await asyncio.wait(both.server._entering)
        await both.introduce()

    server = tls_server(certificate=server_shows, limits=TcpLimits(handshakes=1))
    run(test, server=server, client=tls_client(device_shows))
    assert caplog.messages[0].startswith("no session with ('127.0.0.1', ")
    assert caplog.messages[0].endswith("there is no room for more connections")


def test_a_handshake_that_does_not_go_on_is_given_up(caplog, server_shows):
    async def test(both):
        reader, writer = await asyncio.open_connection(*both.server.local_address)
        assert await reader.read() == b""
        writer.close()
        await until(lambda: "no session with" in caplog.text)

    run(test, server=tls_server(certificate=server_shows, limits=TcpLimits(connect_s=0.2)))


def test_an_endless_handshake_is_given_up(server_shows):
    """What looks like the start of the largest handshake message that TLS can name."""

    async def test(both):
        reader, writer = await asyncio.open_connection(*both.server.local_address)
        writer.write(b"\x16\x03\x01\x40\x00" + b"\x01\xff\xff\xff\x03\x03" + bytes(16378))
        assert len(await reader.read()) < 100
        writer.close()

    run(test, server=tls_server(certificate=server_shows))


def test_where_nobody_answers_in_time_there_is_no_session():
    async def main():
        with socket.create_server(("127.0.0.1", 0), backlog=0) as silent:
            transport = TcpTransport(None, limits=TcpLimits(connect_s=0.2))
            await transport.open(Recorder())
            with pytest.raises(TransportError, match=r"no session with coap\+tcp://127.*: no answer"):
                await transport.resolve(*silent.getsockname())
            await transport.close()

    asyncio.run(main())


def test_what_waits_fails_when_the_transport_is_closed():
    async def main():
        with socket.create_server(("127.0.0.1", 0)) as silent:
            silent.setblocking(False)
            transport = TcpTransport(None)
            await transport.open(Recorder())
            waiting = asyncio.ensure_future(transport.resolve(*silent.getsockname()))
            came, _ = await asyncio.get_running_loop().sock_accept(silent)
            await transport.close()
            came.close()
            with pytest.raises(TransportError, match="closed"):
                await waiting

    asyncio.run(main())


def test_the_buffers_of_a_connection_over_tls_go_with_it(server_shows, device_shows):
    """Not only when garbage is looked for: there may be hundreds by then."""

    async def test(both):
        await both.connect()
        links = [link for end in (both.server, both.client) for link in end._links.values()]
        gone = [weakref.ref(link.transport._ssl_protocol) for link in links]
        assert len(gone) == 2
        links.clear()
        gc.disable()
        try:
            await both.client.close()
            await both.at_server.endings(1)
            await until(lambda: not any(ref() for ref in gone))
        finally:
            gc.enable()

    run(test, server=tls_server(certificate=server_shows), client=tls_client(device_shows))


def test_a_transport_that_is_closed_holds_no_memory_and_may_be_opened_again():
    async def main():
        server, client = TcpTransport(), TcpTransport(None)
        received = Recorder()
        await server.open(received)
        for _ in range(2):
            assert client.buffer.nbytes == 0
            await client.open(Recorder())
            client.send(message(bytes(50_000)), await client.resolve(*server.local_address))
            ((data, _),) = await received.datagrams(1)
            assert len(data.whole() if isinstance(data, Parted) else data) == 50_006
            for told in (received.received, received.batches):
                told.clear()
            await client.close()
            assert client.buffer.nbytes == 0
        await server.close()

    asyncio.run(main())


@pytest.mark.parametrize("is_secure", [False, True])
@pytest.mark.parametrize("turns", [3, 4, 5])
def test_who_comes_in_while_the_transport_is_closed_is_sent_away(server_shows, is_secure, turns):
    """So many turns of the loop after it came: taken, but not told of; told of, but not begun with; begun with."""

    async def main():
        errors = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        server = tls_server(certificate=server_shows) if is_secure else TcpTransport()
        await server.open(Recorder())
        with socket.create_connection(server.local_address) as device:
            device.settimeout(5)
            for _ in range(turns):
                await asyncio.sleep(0)
            await server.close()
            with contextlib.suppress(ConnectionError):
                device.send(b"\x00\xe1")
            with contextlib.suppress(ConnectionError):
                while await asyncio.to_thread(device.recv, 100):
                    pass
        assert errors == []

    asyncio.run(main())


def test_a_transport_may_be_closed_in_the_middle_of_a_batch():
    async def test(both):
        peer = await both.connect()
        closing = []

        class Closer(Recorder):
            def datagram_received(self, data, peer):
                closing.append(asyncio.ensure_future(both.server.close()))

        both.server._handler = Closer()
        for _ in range(3):
            both.client.send(message(b"hello"), peer)
        assert await both.at_client.endings(1) == [peer]
        await asyncio.gather(*closing)

    run(test)


def test_an_end_that_takes_no_last_words_does_not_hold_up_the_close():
    async def test(both):
        _, writer = await asyncio.open_connection(*both.server.local_address, limit=1)
        writer.write(bytes.fromhex("00e1") + bytes.fromhex("1145abff"))
        ((_, peer),) = await both.at_server.datagrams(1)
        for _ in range(100):
            both.server.send(message(bytes(60_000)), peer)
        begun = time.monotonic()
        await both.server.close()
        writer.close()
        return time.monotonic() - begun

    limits = TcpLimits(close_s=0.1, unsent_bytes=1 << 30)
    assert run(test, server=TcpTransport(limits=limits)) >= 0.1  # there was something to wait for


def test_a_message_to_a_session_that_is_over_is_counted():
    async def test(both):
        peer, at_server = await both.introduce()
        both.client.end(peer)
        await both.at_server.endings(1)
        both.server.send(message(), at_server)
        assert both.server.unsent == 1
        assert await both.at_server.endings(2) == [at_server] * 2

    run(test)


def test_an_end_with_a_reason_is_an_abort():
    async def test(both):
        reader, writer = await asyncio.open_connection(*both.server.local_address)
        writer.write(bytes.fromhex("00e1") + bytes.fromhex("1145abff"))
        ((_, peer),) = await both.at_server.datagrams(1)
        both.server.end(peer, "that is no message")
        assert (await reader.read()).endswith(b"that is no message")
        writer.close()

    run(test)


def test_logs_show_no_key(caplog, server_shows, device_shows):
    async def test(both):
        peer, at_server = await both.introduce()
        both.client.end(peer)
        await both.at_server.endings(1)
        return repr((both.server, both.client, peer, at_server, both.server.credentials))

    caplog.set_level(logging.DEBUG)
    shown = run(test, server=tls_server(certificate=server_shows), client=tls_client(device_shows)) + caplog.text
    assert "a session has ended" in shown
    for key in (server_shows.key_pem, device_shows.key_pem):
        assert key.reveal().decode().splitlines()[1] not in shown


@pytest.mark.parametrize("name", ["sessions", "handshakes", "connect_s", "idle_s", "unsent_bytes", "close_s"])
def test_limits_are_positive(name):
    with pytest.raises(UsageError):
        TcpLimits(**{name: 0})


class Answering(Recorder):
    """Answers every message three times, at once."""

    transport: TcpTransport

    def datagram_received(self, data, peer):
        for number in b"123":
            self.transport.send(message(bytes([number])), peer)
        return super().datagram_received(data, peer)


@pytest.mark.parametrize("is_secure", [False, True])
def test_answers_to_a_session_that_ended_with_its_question_harm_nobody(caplog, server_shows, device_shows, is_secure):
    async def test(both):
        both.at_server.transport = both.server
        peer = await both.connect()
        both.client.send(message(b"question"), peer)
        both.client.end(peer)
        await both.at_server.datagrams(1)
        await both.at_server.endings(1)

    async def main():
        server = tls_server(certificate=server_shows) if is_secure else TcpTransport()
        client = tls_client(device_shows) if is_secure else TcpTransport(None)
        both = Both(server, client)
        both.at_server = Answering()
        await server.open(both.at_server)
        await client.open(Recorder())
        async with asyncio.timeout(20):
            await test(both)
        await client.close()
        await server.close()

    asyncio.run(main())
    assert "Fatal error" not in caplog.text


@pytest.mark.parametrize("is_secure", [False, True])
def test_large_messages_go_both_ways_and_the_other_end_learns_that_they_may(server_shows, device_shows, is_secure):
    payload = bytes(range(256)) * 250
    head = message()

    async def test(both):
        peer, at_server = await both.introduce()
        for sender, to, recorder in ((both.client, peer, both.at_server), (both.server, at_server, both.at_client)):
            before = len(recorder.received)
            sender.send(Parted.of(head, payload), to)
            sender.send(message(b"and more"), to)
            await recorder.datagrams(before + 2)
            (large, _), (small, _) = recorder.received[before:]
            assert large == head + b"\xff" + payload  # whole, for a handler that does not know of parts
            assert small == message(b"and more")
        await until(lambda: both.client.capabilities(peer) == Capabilities(132_096, block_wise=True))
        await until(lambda: both.server.capabilities(at_server) == Capabilities(132_096, block_wise=True))

    ends = (tls_server(certificate=server_shows), tls_client(device_shows)) if is_secure else (None, None)
    run(test, server=ends[0], client=ends[1])
