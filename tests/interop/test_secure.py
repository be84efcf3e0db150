"""Programs of others over DTLS: libcoap on OpenSSL and on GnuTLS, with pre-shared keys and with certificates."""

import asyncio
import signal
from types import SimpleNamespace

import pytest

from lwm2m_fota.coap.endpoint import Request
from lwm2m_fota.coap.message import path_options
from lwm2m_fota.credentials.keyring import Held, Keyring
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import MemoryCredentialStore, PskEntry
from lwm2m_fota.credentials.values import Certificate, CredentialKind, PreSharedKey
from lwm2m_fota.device.fetch import CoapFetcher
from lwm2m_fota.errors import TransportError
from lwm2m_fota.lwm2m.operations import Write
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.paths import Path
from lwm2m_fota.storage.memory import MemoryPackageSource
from lwm2m_fota.transport.dtls import DtlsLimits, DtlsTransport
from lwm2m_fota.transport.udp import UdpTransport

pytestmark = pytest.mark.interop

IDENTITY, KEY = "peer-1", "secretPSK"
PSK = PreSharedKey(IDENTITY, Secret(KEY.encode()))
PACKAGE, STATE, UPDATE, LONG, KEPT = "/5/0/0", "/5/0/3", "/5/0/2", "/32768/0/0", "/32768/0/1"
QUICK = DtlsLimits(handshake_s=2.0)
LIBRARIES = ["openssl", "gnutls"]
WITH = ["psk", "certificate"]

each_library = pytest.mark.parametrize("library", LIBRARIES)
each_credential = pytest.mark.parametrize("credential", WITH)


class Papers:
    """Certificates for both ends, as credentials of ours and as files for programs."""

    def __init__(self, folder, authority, other_authority):
        self._folder = folder
        self._authority = authority
        self.roots = folder / "roots.pem"
        self.roots.write_bytes(authority.certificate)
        self.other = other_authority
        self.ours = self.sign("ours")

    def sign(self, name, authority=None, **options):
        return (authority or self._authority).sign(name, ["127.0.0.1"], **options)

    def certificate(self, signed=None):
        signed = signed or self.ours
        return Certificate(roots_pem=self._authority.certificate, chain_pem=signed.chain, key_pem=Secret(signed.key))

    def arguments(self, credential, signed=None):
        """The options of libcoap's programs."""
        if credential == "psk":
            return ("-u", IDENTITY, "-k", KEY)
        certificate, key = (signed or self.sign("theirs")).write(self._folder, "theirs")
        return ("-c", certificate, "-j", key, "-C", self.roots)

    def listening(self, store=None):
        """A transport that lets libcoap in."""
        store = MemoryCredentialStore([PskEntry(PSK)]) if store is None else store
        return DtlsTransport(UdpTransport(), store=store, certificate=self.certificate(), limits=QUICK)

    def connecting(self, credential):
        """A transport that connects to libcoap."""
        held = PSK if credential == "psk" else self.certificate()
        return DtlsTransport(UdpTransport(), keyring=Keyring([Held(None, held)]), limits=QUICK)


@pytest.fixture
def papers(tmp_path, authority, other_authority):
    return Papers(tmp_path, authority, other_authority)


@pytest.fixture
def client(run_client, papers):
    """`await client(library, credential, ...)` runs libcoap's client with its credential."""

    async def go(library, credential, *arguments, **options):
        return await run_client(f"coap-client-{library}", *papers.arguments(credential, **options), *arguments)

    return go


@pytest.fixture
def lab(run, board, client, papers, met, tmp_path):
    """What most tests here need; `lab.file(b"...")` is a file with these bytes."""

    def write(data):
        (tmp_path / "input").write_bytes(data)
        return tmp_path / "input"

    return SimpleNamespace(run=run, board=board, client=client, papers=papers, met=met, file=write)


# -- libcoap's client


@each_library
@each_credential
def test_it_reads_and_writes_our_device(lab, library, credential, long_text):
    async def main():
        async with lab.board(new_transport=lab.papers.listening) as device:
            assert (await lab.client(library, credential, device.uri(STATE))).body == b"0"
            assert (await lab.client(library, credential, device.uri(LONG))).body == long_text.encode()
            write = ("-m", "put", "-b", 256, "-f", lab.file(long_text.encode()))
            assert (await lab.client(library, credential, *write, device.uri(KEPT))).said == ""
            assert device.kept == long_text

    lab.run(main())
    lab.met(f"coap-client-{library}", "coaps", f"reads and writes, {credential}", "equal values")


@each_library
@each_credential
def test_it_pushes_a_package_and_has_it_installed(lab, library, credential, package):
    image = package(20_000)

    async def main():
        async with lab.board(new_transport=lab.papers.listening) as device:
            put = ("-m", "put", "-t", 42, "-b", 1024, "-f", lab.file(image))
            assert (await lab.client(library, credential, *put, device.uri(PACKAGE))).said == ""
            assert (await lab.client(library, credential, "-m", "post", device.uri(UPDATE))).said == ""
            await device.reboot()
            assert device.running == image

    lab.run(main())
    lab.met(f"coap-client-{library}", "coaps", f"pushes and installs, {credential}", "equal bytes")


@each_library
@each_credential
def test_it_fetches_a_package(lab, package_server, library, credential, package):
    image = package(20_000)

    async def main():
        async with package_server(transport=lab.papers.listening()) as server:
            assert (await lab.client(library, credential, server.publish(image))).body == image

    lab.run(main())
    lab.met(f"coap-client-{library}", "coaps", f"fetches a package, {credential}", "equal bytes")


@each_library
def test_it_observes_our_device(lab, coap_observer, library, package):
    async def main():
        async with lab.board(new_transport=lab.papers.listening) as device:
            name, arguments = f"coap-client-{library}", lab.papers.arguments("psk")
            async with coap_observer(*arguments, device.uri(STATE), name=name) as observer:
                assert await observer.read(1) == b"0"
                put = ("-m", "put", "-t", 42, "-b", 512, "-f", lab.file(package()))
                assert (await lab.client(library, "psk", *put, device.uri(PACKAGE))).said == ""
                assert await observer.read(2) == b"12"
                await observer.end(signal.SIGINT)

    lab.run(main())
    lab.met(f"coap-client-{library}", "coaps", "observes", "every state")


# -- libcoap's client, not let in


@each_library
@pytest.mark.parametrize("arguments", [("-u", IDENTITY, "-k", "wrong"), ("-u", "nobody", "-k", KEY)])
def test_a_wrong_key_or_identity_is_refused(lab, run_client, library, arguments):
    async def main():
        async with lab.board(new_transport=lab.papers.listening) as device:
            answer = await run_client(f"coap-client-{library}", *arguments, "-B", 2, device.uri(STATE))
            assert answer.body == b""
            assert device.blocks(27) == []

    lab.run(main())
    lab.met(
        f"coap-client-{library}", "coaps", "wrong key" if arguments[-1] == "wrong" else "unknown identity", "refused"
    )


@each_library
@pytest.mark.parametrize("bad", ["expired", "untrusted", "revoked"])
def test_a_bad_certificate_is_refused(lab, library, bad):
    store = MemoryCredentialStore()
    options = {"days": (-10, -1)} if bad == "expired" else {}
    if bad == "revoked":
        store.revoke(CredentialKind.CERTIFICATE, "theirs")
    signed = lab.papers.sign("theirs", lab.papers.other if bad == "untrusted" else None, **options)

    async def main():
        async with lab.board(new_transport=lambda: lab.papers.listening(store)) as device:
            answer = await lab.client(library, "certificate", "-B", 2, device.uri(STATE), signed=signed)
            assert answer.body == b""

    lab.run(main())
    lab.met(f"coap-client-{library}", "coaps", f"{bad} certificate", "refused")


@each_library
def test_a_plain_request_is_not_answered(lab, run_client, library):
    async def main():
        async with lab.board(new_transport=lab.papers.listening) as device:
            plain = device.uri(STATE).replace("coaps:", "coap:")
            assert (await run_client(f"coap-client-{library}", "-B", 1, plain)).body == b""
            answer = await run_client(f"coap-client-{library}", *lab.papers.arguments("psk"), device.uri(STATE))
            assert answer.body == b"0"

    lab.run(main())
    lab.met(f"coap-client-{library}", "coaps", "plain request", "not answered")


# -- libcoap's server


@pytest.fixture
def secure_server(coap_server, papers):
    """`async with secure_server(library, credential) as server` is libcoap's server over DTLS."""

    def make(library, credential):
        arguments = ("-k", KEY, "-h", "hint") if credential == "psk" else papers.arguments(credential)
        endpoints = ("UDP", "TCP", "DTLS", "TLS")
        return coap_server("127.0.0.1", *arguments, name=f"coap-server-{library}", endpoints=endpoints)

    return make


def put(image):
    return Request(Code.PUT, path_options(["fw"]), source_bytes=len(image))


@each_library
@each_credential
def test_we_upload_and_fetch_there(lab, secure_server, pump, sink, library, credential, package):
    image = package(20_000)

    async def main():
        async with (
            secure_server(library, credential) as server,
            pump(transport=lab.papers.connecting(credential)) as ours,
        ):
            peer = await ours.resolve(*server.addresses["DTLS"])
            answer = await ours.upload(peer, put(image), MemoryPackageSource(image))
            assert answer.code == Code.CREATED
            await CoapFetcher(ours).fetch(server.uri("/fw", "DTLS"), sink, offset=0, etag=None)
            assert sink.data == image

    lab.run(main())
    lab.met(f"coap-server-{library}", "coaps", f"we upload and fetch, {credential}", "equal bytes")


@each_library
def test_our_device_pulls_from_there(lab, secure_server, pump, library, package):
    image = package(20_000)

    async def main():
        async with (
            secure_server(library, "psk") as server,
            pump(transport=lab.papers.connecting("psk")) as ours,
            lab.board(new_transport=lambda: lab.papers.connecting("psk")) as device,
        ):
            peer = await ours.resolve(*server.addresses["DTLS"])
            await ours.upload(peer, put(image), MemoryPackageSource(image))
            downloaded = device.state_reached(2)
            uri = server.uri("/fw", "DTLS")
            device.firmware.handle(
                Write(Path.of(5, 0, 1), [(Path.of(5, 0, 1), uri)]), asyncio.get_running_loop().time()
            )
            await downloaded
            assert device.firmware.staged_bytes == len(image)

    lab.run(main())
    lab.met(f"coap-server-{library}", "coaps", "our device pulls", "verified package")


@each_library
def test_a_session_is_resumed_there(lab, secure_server, pump, library):
    async def main():
        transport = lab.papers.connecting("psk")
        async with secure_server(library, "psk") as server, pump(transport=transport) as ours:
            for _ in range(2):
                peer = await ours.resolve(*server.addresses["DTLS"])
                assert (await ours.call(peer, Request(Code.GET))).code == Code.CONTENT
                resumed = transport._endpoint._sessions[peer.address].connection.is_resumed()
                ours.end(peer)
            return resumed

    outcome = "resumed" if lab.run(main()) else "a whole handshake"
    lab.met(f"coap-server-{library}", "coaps", "second session", outcome)


@each_library
@pytest.mark.parametrize("bad", ["wrong key", "untrusted certificate"])
def test_we_are_refused_there_and_say_so(lab, secure_server, pump, library, bad):
    credential = "psk" if bad == "wrong key" else "certificate"
    held = PreSharedKey(IDENTITY, Secret(b"wrong"))
    if bad != "wrong key":
        held = lab.papers.certificate(lab.papers.sign("ours", lab.papers.other))
    transport = DtlsTransport(UdpTransport(), keyring=Keyring([Held(None, held)]), limits=QUICK)

    async def main():
        async with secure_server(library, credential) as server, pump(transport=transport) as ours:
            with pytest.raises(TransportError) as caught:
                await ours.call(await ours.resolve(*server.addresses["DTLS"]), Request(Code.GET))
            return str(caught.value)

    said = lab.run(main())
    assert "coaps://127.0.0.1" in said or "has ended" in said
    lab.met(f"coap-server-{library}", "coaps", f"{bad} of ours", "refused")
