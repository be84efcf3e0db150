"""Packages hosted over HTTP: to our own fetcher, and to requests that nobody else would send."""

import asyncio
import contextlib
import socket

import httpx
import pytest

from lwm2m_fota.coap.message import Message, path_options
from lwm2m_fota.credentials.keyring import Held, Keyring
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import MemoryCredentialStore
from lwm2m_fota.credentials.values import Certificate, CredentialKind
from lwm2m_fota.errors import ResponseError, StorageError, TransportError, UsageError
from lwm2m_fota.runtime.entropy import SeededEntropy
from lwm2m_fota.server.packages import PackageServer
from lwm2m_fota.server.publications import digest_of
from lwm2m_fota.storage.memory import MemoryPackageSource
from lwm2m_fota.web.fetcher import HttpFetcher
from lwm2m_fota.web.host import HttpHostLimits, HttpPackageHost
from lwm2m_fota.web.site import HttpPackageSite, HttpSiteLimits

DATA = bytes(number * 7 % 251 for number in range(200_000))
SOURCE = MemoryPackageSource(DATA)


def nothing(_):
    pass


@contextlib.asynccontextmanager
async def hosting(**options):
    """A host on the loopback address, and a client of it."""
    async with HttpPackageHost(**options) as host, httpx.AsyncClient(trust_env=False) as client:
        yield host, client


def on_host(main=None, **options):
    def decorate(main):
        def test(web):
            async def whole():
                async with hosting(**options) as (host, client):
                    await main(web, host, client)

            web.run(whole())

        test.__name__ = main.__name__
        return test

    return decorate if main is None else decorate(main)


@on_host
async def test_a_published_package_is_fetched(web, host, client):
    reached = []
    publication = host.publish(SOURCE, "http", reached.append)
    name, port = host.local_address
    assert publication.uri == f"http://{name}:{port}/fw/{publication.token}"
    sink = web.Sink()
    await HttpFetcher().fetch(publication.uri, sink, offset=0, etag=None)
    assert (bytes(sink.data), sink.lasts) == (DATA, 1)
    await asyncio.sleep(0)
    assert reached == [65536, 131072, 196608, 200_000]
    assert {size for _, _, size in sink.pieces} == {len(DATA)}


@on_host
async def test_the_etag_is_the_digest_as_over_coap(web, host, client):
    uri = host.publish(SOURCE, "http", nothing).uri
    answer = await client.head(uri)
    assert answer.headers["etag"] == f'"{digest_of(SOURCE)[:8].hex()}"'
    coap = PackageServer(lambda: "coap://h", SeededEntropy(1), lambda: 0.0)
    token = coap.publish(SOURCE, "coap", nothing).token
    etag = coap.handle(Message(0, 1, 0, options=tuple(path_options(("fw", token)))), "peer").options[0]
    assert etag == (4, bytes.fromhex(answer.headers["etag"].strip('"')))


@on_host
async def test_a_pull_is_resumed_at_any_byte(web, host, client):
    uri = host.publish(SOURCE, "http", nothing).uri
    for offset in (0, 1, 65_535, 65_536, 199_999):
        etag = digest_of(SOURCE)[:8].hex().encode() if offset else None
        sink = web.Sink(DATA[:offset])
        await HttpFetcher().fetch(uri, sink, offset=offset, etag=etag)
        assert (bytes(sink.data), sink.restarts) == (DATA, [])


@on_host
async def test_another_version_is_412_for_who_has_the_old_one(web, host, client):
    publication = host.publish(SOURCE, "http", nothing)
    old = (await client.head(publication.uri)).headers["etag"]
    host.publish(MemoryPackageSource(DATA[::-1]), "http", nothing, publication.token)
    fields = {"range": "bytes=5-", "if-match": old}
    answer = await client.get(publication.uri, headers=fields)
    assert (answer.status_code, answer.content) == (412, b"")
    with pytest.raises(ResponseError) as caught:
        await HttpFetcher().fetch(publication.uri, web.Sink(DATA[:5]), offset=5, etag=old.strip('"').encode())
    assert caught.value.response_code == 0x8C
    answer = await client.get(publication.uri, headers={"range": "bytes=5-", "if-range": old})
    assert (answer.status_code, answer.content) == (200, DATA[::-1])


@pytest.mark.parametrize(
    ("fields", "status", "body", "placed"),
    [
        ({}, 200, DATA, None),
        ({"range": "bytes=0-9"}, 206, DATA[:10], "bytes 0-9/200000"),
        ({"range": "bytes=-5"}, 206, DATA[-5:], "bytes 199995-199999/200000"),
        ({"range": "bytes=200000-"}, 416, b"", "bytes */200000"),
        ({"range": "bytes=0-1,3-4"}, 200, DATA, None),
        ({"if-none-match": "*"}, 304, b"", None),
    ],
)
def test_ranges_and_conditions(web, fields, status, body, placed):
    async def main():
        async with hosting() as (host, client):
            uri = host.publish(SOURCE, "http", nothing).uri
            answer = await client.get(uri, headers=fields)
            assert (answer.status_code, answer.content) == (status, body)
            assert answer.headers.get("content-range") == placed
            assert answer.headers["accept-ranges"] == "bytes"
            assert answer.headers["etag"]
            head = await client.head(uri, headers=fields)
            assert head.content == b""
            if status == 200:
                assert head.headers["content-length"] == "200000"

    web.run(main())


@on_host
async def test_what_is_not_served(web, host, client):
    publication = host.publish(SOURCE, "http", nothing)
    base = publication.uri.rpartition("/")[0]
    other = publication.token[:-1] + ("1" if publication.token.endswith("0") else "0")
    for path in ("/nothing", "/", "", f"/{publication.token}/more", f"/{other}", "/%00", "/..%2f"):
        assert (await client.get(base + path)).status_code in {404, 307}
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert (await client.request(method, publication.uri)).status_code == 405
    host.withdraw(publication.token)
    host.withdraw(publication.token)
    assert (await client.get(publication.uri)).status_code == 404


@on_host
async def test_a_token_may_be_used_again_after_a_restart_of_the_server(web, host, client):
    publication = host.publish(SOURCE, "http", nothing)
    host.withdraw(publication.token)
    assert host.publish(SOURCE, "http", nothing, publication.token) == publication
    assert (await client.get(publication.uri)).content == DATA
    for token in ("", "../x", publication.token.upper() + "G", publication.token + "0"):
        with pytest.raises(UsageError):
            host.publish(SOURCE, "http", nothing, token)
    with pytest.raises(UsageError):
        host.publish(SOURCE, "https", nothing)


def test_paths_expire_after_their_last_use_and_there_are_so_many():
    now = [0.0]
    limits = HttpSiteLimits(lifetime_s=10.0, max_publications=2)
    site = HttpPackageSite(lambda: "http://h", "http", limits=limits, entropy=SeededEntropy(1), clock=lambda: now[0])
    transport = httpx.ASGITransport(site.app)

    async def status(token):
        async with httpx.AsyncClient(transport=transport, base_url="http://h") as client:
            return (await client.get(f"/fw/{token}")).status_code

    async def main():
        first = site.publish(SOURCE, "http", nothing).token
        second = site.publish(SOURCE, "http", nothing).token
        with pytest.raises(StorageError):
            site.publish(SOURCE, "http", nothing)
        now[0] = 9.0
        assert await status(first) == 200
        now[0] = 15.0
        assert (await status(first), await status(second)) == (200, 404)
        site.publish(SOURCE, "http", nothing)

    asyncio.run(main())


def test_blocks_are_told_and_a_listener_that_fails_harms_nobody(web):
    told, faults = [], []

    def listener(served):
        told.append((served.token, served.offset, served.length))
        raise ValueError("not ours")

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))
        async with hosting(on_block=listener) as (host, client):
            publication = host.publish(SOURCE, "http", listener)
            answer = await client.get(publication.uri, headers={"range": "bytes=65536-150000"})
            assert answer.content == DATA[65536:150001]
            await asyncio.sleep(0)
            assert told[0] == (publication.token, 65536, 65536)

    web.run(main())
    assert faults


class Broken:
    size_bytes = 100_000

    def __init__(self):
        self.broken = False

    def read_at(self, offset, length):
        if self.broken and offset >= 65536:
            raise StorageError("secret path /srv/firmware.bin is gone")
        return bytes(length)


def test_a_package_that_cannot_be_read_breaks_the_connection_off(web, caplog):
    async def main():
        async with hosting() as (host, client):
            source = Broken()
            uri = host.publish(source, "http", nothing).uri
            source.broken = True
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(uri)
            sink = web.Sink()
            with pytest.raises(TransportError):
                await HttpFetcher().fetch(uri, sink, offset=0, etag=None)
            assert (len(sink.data), sink.lasts) == (65536, 0)

    web.run(main())
    assert "a published package cannot be read" in caplog.text


def test_a_package_that_is_shorter_than_it_says_is_refused(web):
    class Short(Broken):
        def read_at(self, offset, length):
            return b""

    async def main():
        async with hosting() as (host, _):
            with pytest.raises(StorageError):
                host.publish(Short(), "http", nothing)

    web.run(main())


# -- HTTPS


@pytest.fixture
def own(authority):
    signed = authority.sign("host", ["127.0.0.1"])
    return Certificate(chain_pem=signed.chain, key_pem=Secret(signed.key), roots_pem=authority.certificate)


def test_https_with_a_certificate(web, own, authority):
    async def main():
        async with HttpPackageHost(certificate=own) as host:
            assert host.schemes == ("https",)
            uri = host.publish(SOURCE, "https", nothing).uri
            sink = web.Sink()
            ring = Keyring([Held(None, Certificate(roots_pem=authority.certificate))])
            await HttpFetcher(ring).resolve(uri)
            await HttpFetcher(ring).fetch(uri, sink, offset=0, etag=None)
            assert bytes(sink.data) == DATA

    web.run(main())


def believing(authority):
    return HttpFetcher(Keyring([Held(None, Certificate(roots_pem=authority.certificate))]))


def test_a_handshake_that_never_ends_is_not_waited_for(web, own, authority, caplog):
    async def main():
        async with HttpPackageHost(certificate=own, limits=HttpHostLimits(head_s=0.2)) as host:
            reader, writer = await asyncio.open_connection(*host.local_address)
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
            sink = web.Sink()
            await believing(authority).fetch(host.publish(SOURCE, "https", nothing).uri, sink, offset=0, etag=None)
            assert bytes(sink.data) == DATA

    web.run(main())
    assert "closed the connection of" in caplog.text


def test_handshakes_that_never_end_do_not_lock_others_out(web, own, authority, caplog):
    async def main():
        async with HttpPackageHost(certificate=own, limits=HttpHostLimits(connections=3)) as host:
            held = [await asyncio.open_connection(*host.local_address) for _ in range(20)]
            sink = web.Sink()
            await believing(authority).fetch(host.publish(SOURCE, "https", nothing).uri, sink, offset=0, etag=None)
            assert bytes(sink.data) == DATA
            with contextlib.suppress(ConnectionError):
                assert await held[0][0].read() == b""
            for _, writer in held:
                writer.close()

    web.run(main())
    assert "there was no room for a connection without a request" in caplog.text


def test_a_plain_request_to_https_is_refused(web, own, caplog):
    async def main():
        async with HttpPackageHost(certificate=own) as host:
            reader, writer = await asyncio.open_connection(*host.local_address)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                assert b"HTTP" not in await reader.read()
            writer.close()

    web.run(main())
    assert "closed the connection of" in caplog.text


def test_a_host_that_stops_waits_for_no_handshake_and_may_start_again(web, own, authority):
    async def main():
        host = HttpPackageHost(certificate=own)
        for _ in range(2):
            await host.start()
            sink = web.Sink()
            await believing(authority).fetch(host.publish(SOURCE, "https", nothing).uri, sink, offset=0, etag=None)
            assert bytes(sink.data) == DATA
            reader, writer = await asyncio.open_connection(*host.local_address)
            async with asyncio.timeout(5):  # head_s is 10
                await host.stop()
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
            writer.close()

    web.run(main())


def test_https_may_demand_a_certificate(web, own, authority, other_authority):
    def ring(signer):
        signed = signer.sign("device-1")
        credential = Certificate(chain_pem=signed.chain, key_pem=Secret(signed.key), roots_pem=authority.certificate)
        return Keyring([Held(None, credential)])

    async def main():
        async with HttpPackageHost(certificate=own, demand_certificate=True) as host:
            uri = host.publish(SOURCE, "https", nothing).uri
            sink = web.Sink()
            await HttpFetcher(ring(authority)).fetch(uri, sink, offset=0, etag=None)
            assert bytes(sink.data) == DATA
            for bad in (ring(other_authority), Keyring([Held(None, Certificate(roots_pem=authority.certificate))])):
                with pytest.raises(TransportError):
                    await HttpFetcher(bad).fetch(uri, web.Sink(), offset=0, etag=None)

    web.run(main())


@pytest.fixture
def device(authority):
    """What two devices show."""

    def make(name):
        signed = authority.sign(name)
        credential = Certificate(chain_pem=signed.chain, key_pem=Secret(signed.key), roots_pem=authority.certificate)
        return HttpFetcher(Keyring([Held(None, credential)]))

    return make


def test_a_revoked_certificate_fetches_nothing(web, own, device, caplog):
    store = MemoryCredentialStore()
    one, other = device("device-1"), device("device-2")

    async def main():
        async with HttpPackageHost(certificate=own, demand_certificate=True, store=store) as host:
            uri = host.publish(SOURCE, "https", nothing).uri
            for fetcher in (one, other):
                await fetcher.fetch(uri, web.Sink(), offset=0, etag=None)
            store.revoke(CredentialKind.CERTIFICATE, "device-1")
            sink = web.Sink()
            with pytest.raises(ResponseError) as caught:
                await one.fetch(uri, sink, offset=0, etag=None)
            assert (caught.value.response_code, sink.data) == (0x83, b"")
            await other.fetch(uri, sink, offset=0, etag=None)
            assert sink.data == DATA

    web.run(main())
    assert "certificate 'device-1' is revoked" in caplog.text


def test_a_download_breaks_off_when_its_certificate_is_revoked(web, own, device, caplog):
    store = MemoryCredentialStore()

    class Revoking(web.Sink):
        def block(self, offset, payload, **more):
            super().block(offset, payload, **more)
            store.revoke(CredentialKind.CERTIFICATE, "device-1")

    async def main():
        async with HttpPackageHost(certificate=own, demand_certificate=True, store=store) as host:
            uri = host.publish(MemoryPackageSource(bytes(50_000_000)), "https", nothing).uri
            sink = Revoking()
            with pytest.raises(TransportError):
                await device("device-1").fetch(uri, sink, offset=0, etag=None)
            assert 0 < len(sink.data) < 50_000_000

    web.run(main())
    assert "the credential of certificate 'device-1' was rotated or revoked" in caplog.text


def test_who_shows_no_certificate_is_nobody_to_the_store(web, own, authority):
    async def main():
        async with HttpPackageHost(certificate=own, store=MemoryCredentialStore()) as host:
            uri = host.publish(SOURCE, "https", nothing).uri
            sink = web.Sink()
            ring = Keyring([Held(None, Certificate(roots_pem=authority.certificate))])
            await HttpFetcher(ring).fetch(uri, sink, offset=0, etag=None)
            assert sink.data == DATA

    web.run(main())


def test_a_certificate_whose_names_cannot_be_read_is_refused(web, own, device, monkeypatch, caplog):
    def unreadable(_):
        raise TransportError("the names cannot be read")

    monkeypatch.setattr("lwm2m_fota.web.connections.shown_by", unreadable)

    async def main():
        async with HttpPackageHost(certificate=own, demand_certificate=True) as host:
            uri = host.publish(SOURCE, "https", nothing).uri
            with pytest.raises(TransportError):
                await device("device-1").fetch(uri, web.Sink(), offset=0, etag=None)

    web.run(main())
    assert "the names cannot be read" in caplog.text


def test_a_plain_request_to_https_gets_no_package(web, own):
    async def main():
        async with HttpPackageHost(certificate=own) as host:
            uri = host.publish(SOURCE, "https", nothing).uri.replace("https:", "http:")
            with pytest.raises(TransportError):
                await HttpFetcher().fetch(uri, web.Sink(), offset=0, etag=None)

    web.run(main())


def test_a_certificate_that_cannot_be_used_is_told_at_once(authority, other_authority):
    key = Secret(other_authority.key)
    for options in (
        {"certificate": Certificate(chain_pem=authority.certificate, key_pem=key)},
        {"certificate": Certificate(chain_pem=b"x", key_pem=Secret(b"y"))},
        {"certificate": Certificate(roots_pem=authority.certificate)},
    ):
        with pytest.raises(UsageError) as caught:
            HttpPackageHost(**options)
        assert "PRIVATE" not in str(caught.value)


# -- life


def test_addresses(web, own):
    async def main():
        host = HttpPackageHost()
        with pytest.raises(UsageError):
            _ = host.local_address
        await host.stop()
        async with host:
            with pytest.raises(UsageError):
                await host.start()
            with pytest.raises(TransportError):
                await HttpPackageHost(port=host.local_address[1]).start()
        for bad in (HttpPackageHost("no.such.invalid"), HttpPackageHost(port=70_000), HttpPackageHost("a\0b")):
            with pytest.raises(TransportError):
                await bad.start()
        async with host:
            assert host.local_address[1] > 0

    web.run(main())


@pytest.mark.parametrize("wildcard", ["0.0.0.0", "::"])  # noqa: S104
def test_a_wildcard_needs_a_host_to_tell(web, wildcard):
    async def main():
        try:
            async with HttpPackageHost(wildcard) as host:
                with pytest.raises(UsageError, match="advertise_host"):
                    host.publish(SOURCE, "http", nothing)
        except TransportError:
            pytest.skip("no IPv6 here")
        async with HttpPackageHost(wildcard, advertise_host=lambda: "2001:db8::1") as host:
            port = host.local_address[1]
            assert host.publish(SOURCE, "http", nothing).uri.startswith(f"http://[2001:db8::1]:{port}/fw/")
        async with HttpPackageHost(wildcard, advertise_host="fota.example") as host:
            assert host.publish(SOURCE, "http", nothing).uri.startswith("http://fota.example:")

    web.run(main())


def test_a_host_is_stopped_in_the_middle_of_a_download(web):
    async def main():
        async with HttpPackageHost() as host:
            uri = host.publish(MemoryPackageSource(bytes(50_000_000)), "http", nothing).uri
            address = host.local_address
            reader, writer = await asyncio.open_connection(*address)
            writer.write(f"GET {httpx.URL(uri).path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await reader.readexactly(1000)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(50_000_000)
        writer.close()

    web.run(main())


def test_more_connections_than_allowed_are_refused(web):
    async def main():
        async with hosting(limits=HttpHostLimits(connections=2, retry_after_s=7)) as (host, client):
            uri = host.publish(MemoryPackageSource(bytes(50_000_000)), "http", nothing).uri
            held = [await downloading(host, uri) for _ in range(2)]
            refused = await client.get(uri)
            assert (refused.status_code, refused.headers["retry-after"], refused.content) == (503, "7", b"")
            assert refused.headers["connection"] == "close"
            _, writer = held.pop()
            writer.close()
            await writer.wait_closed()
            async with asyncio.timeout(20):
                while (await client.head(uri)).status_code == 503:
                    pass
            held[0][1].close()

    web.run(main())


async def downloading(host, uri):
    """A connection with an answer under way that is not read."""
    reader, writer = await asyncio.open_connection(*host.local_address, limit=1000)
    writer.write(f"GET {httpx.URL(uri).path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await reader.readexactly(100)
    return reader, writer


def test_silent_connections_do_not_lock_others_out(web, caplog):
    async def main():
        async with hosting(limits=HttpHostLimits(connections=3)) as (host, client):
            uri = host.publish(SOURCE, "http", nothing).uri
            held = [await asyncio.open_connection(*host.local_address) for _ in range(20)]
            assert (await client.get(uri)).content == DATA
            assert await held[0][0].read() == b""
            for _, writer in held:
                writer.close()

    web.run(main())
    assert "there was no room for a connection without a request" in caplog.text


@pytest.mark.parametrize(
    "begin",
    [b"", b"GET /fw/x HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1"],
    ids=["nothing", "half a head", "half a body"],
)
def test_a_request_that_is_never_whole_is_not_waited_for(web, begin, caplog):
    async def main():
        async with hosting(limits=HttpHostLimits(head_s=0.2, keep_alive_s=60)) as (host, client):
            reader, writer = await asyncio.open_connection(*host.local_address)
            writer.write(begin)

            async def drip():
                while True:
                    await asyncio.sleep(0.05)
                    writer.write(b"2" if begin.endswith(b"1") else b"X: y\r\n" if begin else b"")

            dripping = asyncio.create_task(drip())
            with contextlib.suppress(ConnectionError):
                await reader.read()
                assert await reader.read() == b""
            dripping.cancel()
            writer.close()
            assert (await client.get(host.publish(SOURCE, "http", nothing).uri)).content == DATA

    web.run(main())
    assert "no whole request came in time" in caplog.text


def test_a_connection_is_idle_for_so_long(web):
    async def main():
        async with hosting(limits=HttpHostLimits(keep_alive_s=0.1)) as (host, _):
            reader, writer = await asyncio.open_connection(*host.local_address)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 404")
            writer.close()

    web.run(main())


@pytest.mark.parametrize("more", [b"", b"G"], ids=["says nothing", "goes on to ask"])
def test_who_does_not_read_is_not_waited_for(web, more, caplog):
    async def main():
        async with hosting(limits=HttpHostLimits(connections=1, stalled_s=0.1)) as (host, client):
            uri = host.publish(MemoryPackageSource(bytes(50_000_000)), "http", nothing).uri
            _, writer = await downloading(host, uri)
            async with asyncio.timeout(20):
                while (await client.head(uri)).status_code == 503:
                    writer.write(more)
            writer.close()

    web.run(main())
    assert "the other end does not read" in caplog.text


@pytest.mark.parametrize(
    "data", [b"\0" * 1000, b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00" + bytes(600), b"GET /" + b"a" * 200_000]
)
def test_what_is_no_http_is_closed(web, data):
    async def main():
        async with hosting() as (host, client):
            reader, writer = await asyncio.open_connection(*host.local_address)
            writer.write(data)
            with contextlib.suppress(ConnectionError):
                assert b"200" not in await reader.read(100)
            writer.close()
            assert (await client.get(host.publish(SOURCE, "http", nothing).uri)).content == DATA

    web.run(main())


def test_the_signals_of_the_process_are_left_alone(web):
    import signal

    async def main():
        before = signal.getsignal(signal.SIGTERM)
        async with hosting() as (host, client):
            assert (await client.get(host.publish(SOURCE, "http", nothing).uri)).content == DATA
            assert signal.getsignal(signal.SIGTERM) == before

    web.run(main())
    assert socket.getdefaulttimeout() is None
