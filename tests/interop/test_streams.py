"""Programs of others over TCP and TLS: libcoap without TLS, on OpenSSL and on GnuTLS; and aiocoap with BERT."""

import asyncio
import signal
import socket
import ssl

import pytest

from lwm2m_fota.coap.endpoint import Request
from lwm2m_fota.coap.message import path_options
from lwm2m_fota.coap.stream import StreamLimits
from lwm2m_fota.credentials.keyring import Held, Keyring
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import MemoryCredentialStore, PskEntry
from lwm2m_fota.credentials.values import Certificate, PreSharedKey
from lwm2m_fota.device.fetch import CoapFetcher
from lwm2m_fota.errors import TransportError
from lwm2m_fota.lwm2m.operations import Write
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.paths import Path
from lwm2m_fota.storage.memory import MemoryPackageSource
from lwm2m_fota.transport.tcp import TcpLimits, TcpTransport
from lwm2m_fota.transport.tls import HAS_PSK

try:
    import aiocoap
    import aiocoap.resource
except ImportError:
    aiocoap = None

pytestmark = pytest.mark.interop

IDENTITY, KEY = "peer-1", "secretPSK"
PSK = PreSharedKey(IDENTITY, Secret(KEY.encode()))
PACKAGE, STATE, UPDATE, LONG, KEPT = "/5/0/0", "/5/0/3", "/5/0/2", "/32768/0/0", "/32768/0/1"
HOST = "127.0.0.1"

needs_psk = pytest.mark.skipif(not HAS_PSK, reason="needs Python 3.13")
needs_aiocoap = pytest.mark.skipif(aiocoap is None, reason="aiocoap is not installed (pip install aiocoap)")

WAYS = [
    pytest.param(("notls", None), id="tcp"),
    pytest.param(("openssl", "certificate"), id="openssl"),
    pytest.param(("gnutls", "certificate"), id="gnutls"),
    pytest.param(("openssl", "psk"), id="openssl-psk", marks=needs_psk),
    pytest.param(("gnutls", "psk"), id="gnutls-psk", marks=needs_psk),
]
each_way = pytest.mark.parametrize("way", WAYS, indirect=True)


class Way:
    """How a library and we meet: plain, or with a credential."""

    def __init__(self, library, credential, folder, authority):
        self.library, self.credential = library, credential
        self.scheme = "coap+tcp" if credential is None else "coaps+tcp"
        self._folder, self._authority = folder, authority
        self._ours = authority.sign("ours", [HOST])

    def said(self, words):
        """A row for both credentials, or one with the name of the credential that every Python has."""
        return words if self.credential is None else f"{words}, {self.credential}"

    def _certificate(self):
        ours = self._ours
        return Certificate(roots_pem=self._authority.certificate, chain_pem=ours.chain, key_pem=Secret(ours.key))

    def arguments(self, *, server=False):
        """The options of libcoap's programs."""
        match self.credential:
            case None:
                return ()
            case "psk":
                return ("-k", KEY, "-h", "hint") if server else ("-u", IDENTITY, "-k", KEY)
            case _:
                roots = self._folder / "roots.pem"
                roots.write_bytes(self._authority.certificate)
                certificate, key = self._authority.sign("theirs", [HOST]).write(self._folder, "theirs")
                return ("-c", certificate, "-j", key, "-C", roots)

    def listening(self):
        match self.credential:
            case None:
                return TcpTransport()
            case "psk":
                return TcpTransport(secure=True, store=MemoryCredentialStore([PskEntry(PSK)]))
            case _:
                return TcpTransport(secure=True, store=MemoryCredentialStore(), certificate=self._certificate())

    def connecting(self):
        """libcoap 4.3.1 on GnuTLS never sends what goes beyond the first record of a message: 16 KiB."""
        message_bytes = 8448 if self.library == "gnutls" else 65536 + 512
        limits = TcpLimits(stream=StreamLimits(message_bytes=message_bytes))
        if self.credential is None:
            return TcpTransport(None, limits=limits)
        held = PSK if self.credential == "psk" else self._certificate()
        return TcpTransport(None, secure=True, keyring=Keyring([Held(None, held)]), limits=limits)


@pytest.fixture
def way(request, tmp_path, authority):
    return Way(*request.param, tmp_path, authority)


@pytest.fixture
def client(run_client, way):
    """`await client(...)` runs libcoap's client with its credential."""

    async def go(*arguments):
        return await run_client(f"coap-client-{way.library}", *way.arguments(), *arguments)

    return go


@pytest.fixture
def note(met, way):
    """Say what a program could do; with pre-shared keys, that needs Python 3.13."""

    def tell(kind, operation, outcome):
        how = " (psk, Python 3.13)" if way.credential == "psk" else ""
        met(f"coap-{kind}-{way.library}", way.scheme, operation + how, outcome)

    return tell


@pytest.fixture
def file(tmp_path):
    def write(data):
        (tmp_path / "input").write_bytes(data)
        return tmp_path / "input"

    return write


# -- libcoap's client


@each_way
def test_it_reads_writes_and_pushes(run, board, client, way, note, file, package, long_text):
    image = package(20_000)

    async def main():
        async with board(new_transport=way.listening) as device:
            assert (await client(device.uri(STATE))).body == b"0"
            assert (await client(device.uri(LONG))).body == long_text.encode()
            assert (await client("-m", "put", "-b", 256, "-f", file(long_text.encode()), device.uri(KEPT))).said == ""
            assert device.kept == long_text
            assert (await client("-m", "put", "-t", 42, "-b", 1024, "-f", file(image), device.uri(PACKAGE))).said == ""
            assert (await client("-m", "post", device.uri(UPDATE))).said == ""
            await device.reboot()
            assert device.running == image

    run(main())
    note("client", "reads, writes, pushes and installs", "equal bytes")


@each_way
def test_it_fetches_a_package(run, package_server, client, way, note, package):
    image = package(20_000)

    async def main():
        async with package_server(transport=way.listening()) as server:
            assert (await client(server.publish(image))).body == image
            assert (await client("-b", 256, server.publish(image))).body == image

    run(main())
    note("client", "fetches a package", "equal bytes")


@each_way
def test_it_observes_our_device(run, board, client, coap_observer, way, note, file, package):
    async def main():
        async with board(new_transport=way.listening) as device:
            name = f"coap-client-{way.library}"
            async with coap_observer(*way.arguments(), device.uri(STATE), name=name) as observer:
                assert await observer.read(1) == b"0"
                assert (
                    await client("-m", "put", "-t", 42, "-b", 512, "-f", file(package()), device.uri(PACKAGE))
                ).said == ""
                assert await observer.read(2) == b"12"
                await observer.end(signal.SIGINT)

    run(main())
    note("client", "observes", "every state")


@pytest.mark.parametrize("way", [WAYS[1], WAYS[2]], indirect=True)
def test_a_plain_connection_to_a_secure_listener_is_refused(run, board, run_client, way, note):
    async def main():
        async with board(new_transport=way.listening) as device:
            plain = device.uri(STATE).replace("coaps+tcp:", "coap+tcp:")
            assert (await run_client(f"coap-client-{way.library}", "-B", 2, plain)).body == b""

    run(main())
    note("client", "plain request", "refused")


# -- libcoap's server


@pytest.fixture
def server(coap_server, way):
    """`async with server() as there` is libcoap's server, with all its endpoints."""
    kinds = ("UDP", "TCP") if way.credential is None else ("UDP", "TCP", "DTLS", "TLS")
    arguments = way.arguments(server=True)
    return lambda: coap_server(HOST, *arguments, name=f"coap-server-{way.library}", endpoints=kinds)


def put(image):
    return Request(Code.PUT, path_options(["fw"]), source_bytes=len(image))


@each_way
def test_we_upload_and_fetch_there_and_our_device_pulls(run, server, board, pump, sink, way, note, package):
    image = package(20_000)

    async def main():
        async with (
            server() as there,
            pump(transport=way.connecting()) as ours,
            board(new_transport=way.connecting) as device,
        ):
            kind = "TCP" if way.credential is None else "TLS"
            peer = await ours.resolve(*there.addresses[kind])
            assert (await ours.upload(peer, put(image), MemoryPackageSource(image))).code == Code.CREATED
            uri = there.uri("/fw", kind)
            await CoapFetcher(ours).fetch(uri, sink, offset=0, etag=None)
            assert sink.data == image
            downloaded = device.state_reached(2)
            device.firmware.handle(
                Write(Path.of(5, 0, 1), [(Path.of(5, 0, 1), uri)]), asyncio.get_running_loop().time()
            )
            await downloaded
            assert device.firmware.staged_bytes == len(image)

    run(main())
    note("server", "we upload, fetch, and our device pulls", "verified package")


@pytest.mark.parametrize("way", [WAYS[1], WAYS[2]], indirect=True)
def test_a_server_that_we_do_not_believe_gets_nothing(run, server, pump, way, note, other_authority):
    believed = Certificate(roots_pem=other_authority.certificate)
    transport = TcpTransport(None, secure=True, keyring=Keyring([Held(None, believed)]))

    async def main():
        async with server() as there, pump(transport=transport) as ours:
            with pytest.raises(TransportError, match="certificate verify failed"):
                await ours.resolve(*there.addresses["TLS"])

    run(main())
    note("server", "an authority that we do not believe", "refused")


# -- aiocoap


def free_port():
    with socket.create_server((HOST, 0)) as probe:
        return probe.getsockname()[1]


class Theirs:
    """An endpoint of aiocoap over TCP, or TLS with this context."""

    def __init__(self, site=None, context=None):
        self._site, self._ssl = site, context
        self.port = free_port()

    async def __aenter__(self):
        kinds = ["tcpclient"]
        if self._site is not None:
            kinds = ["tlsserver" if self._ssl else "tcpserver"]
        bind = (HOST, self.port - 1 if self._ssl else self.port)  # theirs is one above what it is told
        self.context = await aiocoap.Context.create_server_context(
            self._site, bind=bind, transports=kinds, _ssl_context=self._ssl
        )
        return self

    async def __aexit__(self, *_):
        await self.context.shutdown()

    async def ask(self, code, uri, payload=b"", **options):
        return await self.context.request(aiocoap.Message(code=code, uri=uri, payload=payload, **options)).response


@needs_aiocoap
def test_aiocoap_reads_writes_pushes_and_fetches(run, board, package_server, met, package, long_text):
    image = package(800_000)

    async def main():
        async with board(new_transport=TcpTransport) as device, Theirs() as theirs:
            assert (await theirs.ask(aiocoap.GET, device.uri(STATE))).payload == b"0"
            assert (await theirs.ask(aiocoap.GET, device.uri(LONG))).payload == long_text.encode()
            written = await theirs.ask(aiocoap.PUT, device.uri(KEPT), long_text.encode())
            assert (written.code, device.kept) == (aiocoap.CHANGED, long_text)
            pushed = await theirs.ask(aiocoap.PUT, device.uri(PACKAGE), image, content_format=42)
            assert pushed.code == aiocoap.CHANGED
        async with package_server(transport=TcpTransport()) as server, Theirs() as theirs:
            assert (await theirs.ask(aiocoap.GET, server.publish(image))).payload == image
            assert len(server.served) < 30  # and not one for each 1024 bytes

    run(main())
    met("aiocoap client", "coap+tcp", "reads, writes, pushes and fetches, BERT", "equal bytes")


class Kept(aiocoap.resource.Resource if aiocoap else object):
    """Takes with PUT, gives with GET."""

    def __init__(self):
        super().__init__()
        self.data = b""

    async def render_get(self, request):
        return aiocoap.Message(payload=self.data, etag=b"1")

    async def render_put(self, request):
        self.data = request.payload
        return aiocoap.Message(code=aiocoap.CHANGED)


@needs_aiocoap
@pytest.mark.parametrize("scheme", ["coap+tcp", "coaps+tcp"])
def test_we_upload_and_fetch_at_aiocoap(run, pump, sink, met, package, scheme, tmp_path, authority):
    """It answers with as many blocks as we say that we can take, which is 64."""
    image = package(1_500_000)
    context, transport = None, TcpTransport(None)
    if scheme == "coaps+tcp":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.sign("theirs", [HOST]).write(tmp_path, "theirs"))
        believed = Certificate(roots_pem=authority.certificate)
        transport = TcpTransport(None, secure=True, keyring=Keyring([Held(None, believed)]))

    async def main():
        kept = Kept()
        site = aiocoap.resource.Site()
        site.add_resource(["fw"], kept)
        async with Theirs(site, context) as theirs, pump(transport=transport) as ours:
            peer = await ours.resolve(HOST, theirs.port)
            assert (await ours.upload(peer, put(image), MemoryPackageSource(image))).code == Code.CHANGED
            assert kept.data == image
            await CoapFetcher(ours).fetch(f"{scheme}://{HOST}:{theirs.port}/fw", sink, offset=0, etag=None)
            assert sink.data == image
            assert max(sink.lengths) >= 65536

    run(main())
    met("aiocoap server", scheme, "we upload and fetch, BERT", "equal bytes")
