"""Handshakes over real sockets: thousands of them with flat memory, and those that are refused while others go on."""

import asyncio
import contextlib
import gc
import itertools
import logging
import shutil
import sys
from pathlib import Path

import pytest

from lwm2m_fota.credentials.keyring import Held, Keyring
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import MemoryCredentialStore, PskEntry
from lwm2m_fota.credentials.values import Certificate, PreSharedKey
from lwm2m_fota.errors import TransportError
from lwm2m_fota.sim.relay import UdpRelay
from lwm2m_fota.sim.weather import Weather
from lwm2m_fota.testing.transports import Recorder
from lwm2m_fota.transport.dtls import DtlsLimits, DtlsTransport
from lwm2m_fota.transport.tcp import TcpTransport
from lwm2m_fota.transport.udp import UdpTransport

HOST = "127.0.0.1"
LIMIT_S = 30
GOOD, WRONG, UNKNOWN = (
    PreSharedKey("device", Secret(b"sixteen byte key")),
    PreSharedKey("device", Secret(b"another key of 16")),
    PreSharedKey("nobody", Secret(b"sixteen byte key")),
)
HELLO = bytes.fromhex("51450000 01 ff") + b"hello"  # a message, as datagrams and streams have it
FLAT_BYTES = 4 << 20


def certified(authority, name, *hosts, **more):
    signed = authority.sign(name, hosts, **more)
    return Certificate(roots_pem=authority.certificate, chain_pem=signed.chain, key_pem=Secret(signed.key))


@contextlib.asynccontextmanager
async def opened(transport):
    recorder = Recorder()
    await transport.open(recorder)
    try:
        yield recorder
    finally:
        await transport.close()


def dtls_client(credential, limits=None):
    return DtlsTransport(UdpTransport(HOST), keyring=Keyring([Held(None, credential)]), limits=limits)


def tls_client(credential):
    return TcpTransport(None, secure=True, keyring=Keyring([Held(None, credential)]))


def dtls_server(certificate=None, **limits):
    store = MemoryCredentialStore([PskEntry(GOOD)])
    return DtlsTransport(UdpTransport(HOST), store=store, certificate=certificate, limits=DtlsLimits(**limits))


async def visit(client, address, at_server):
    """Open a session, say one thing that is heard, and go."""
    async with opened(client):
        peer = await client.resolve(*address)
        client.send(HELLO, peer)
        ((data, _),) = await at_server.datagrams(1)
        assert data == HELLO
    for told in (at_server.received, at_server.batches, at_server.over):
        told.clear()


async def refused(client, address):
    async with opened(client):
        with pytest.raises(TransportError):
            await client.resolve(*address)


def run(main):
    async def limited():
        async with asyncio.timeout(LIMIT_S):
            await main()

    asyncio.run(limited())


def resident_bytes():
    gc.collect()
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError("the system tells no VmRSS")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the resident memory is read from /proc")
def test_thousands_of_handshakes_leave_nothing_behind(authority, counts, record_property):
    """Keys and certificates over DTLS, certificates over TLS, and between them one that is refused."""
    number = counts(300, 10_000)
    shown, device = certified(authority, "server", HOST), certified(authority, "device")
    makers = (
        lambda: dtls_client(GOOD),
        lambda: dtls_client(device),
        lambda: tls_client(device),
        lambda: dtls_client(UNKNOWN),
    )
    marks = []

    async def main():
        datagrams = dtls_server(shown, resumable=16)
        stream = TcpTransport(HOST, secure=True, store=MemoryCredentialStore(), certificate=shown)
        async with opened(datagrams) as at_datagrams, opened(stream) as at_stream:
            for count, make in zip(range(number), itertools.cycle(makers), strict=False):
                if count in {number // 4, number // 2}:
                    marks.append(resident_bytes())
                client = make()
                if make is makers[3]:
                    await refused(client, datagrams.local_address)
                elif make is makers[2]:
                    await visit(client, stream.local_address, at_stream)
                else:
                    await visit(client, datagrams.local_address, at_datagrams)
            marks.append(resident_bytes())

    logging.getLogger("lwm2m_fota").setLevel(logging.ERROR)  # a line a second, and the log of a test is kept
    try:
        asyncio.run(main())
    finally:
        logging.getLogger("lwm2m_fota").setLevel(logging.NOTSET)
    grown = marks[-1] - marks[0]
    assert grown < FLAT_BYTES, [mark >> 10 for mark in marks]
    record_property("figure", f"{number} handshakes: from the first quarter on the process grew by {grown >> 10} KiB")


# -- who is refused, while a session that stands goes on


QUICK = DtlsLimits(handshake_s=1.0, retransmit_initial_s=0.1)


@contextlib.asynccontextmanager
async def guest_at(server):
    """A good device with a session before and after; what is sent meanwhile is not its business."""
    async with opened(server) as at_server, opened(client := dtls_client(GOOD)):
        peer = await client.resolve(*server.local_address)
        yield server.local_address
        client.send(HELLO, peer)
        ((data, _),) = await at_server.datagrams(1)
        assert data == HELLO


@pytest.fixture
def wrong(authority, other_authority):
    """Credentials that are not let in, by what is wrong with them."""

    def shown(signed):
        return Certificate(roots_pem=authority.certificate, chain_pem=signed.chain, key_pem=Secret(signed.key))

    return {
        "key": WRONG,
        "identity": UNKNOWN,
        "untrusted": shown(other_authority.sign("device")),
        "expired": shown(authority.sign("device", days=(-9, -2))),
    }


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("key", "the pre-shared key is likely another one"),
        ("identity", "no session with"),
        ("untrusted", "certificate"),
        ("expired", "certificate"),
    ],
)
def test_who_cannot_prove_itself_is_refused_and_logged(authority, wrong, caplog, bad, words):
    async def main():
        async with guest_at(dtls_server(certified(authority, "server", HOST), handshake_s=0.5)) as address:
            await refused(dtls_client(wrong[bad], QUICK), address)
            while not caplog.records:  # noqa: ASYNC110 - the other end gives up by itself
                await asyncio.sleep(0.02)

    run(main)
    assert words in caplog.text
    assert "sixteen byte key" not in caplog.text


def test_a_plain_message_gets_no_answer():
    async def main():
        async with guest_at(dtls_server()) as address, opened(plain := UdpTransport(HOST)) as heard:
            plain.send(HELLO, address)
            await visit_again(address)
            assert heard.received == []

    async def visit_again(address):
        async with opened(client := dtls_client(GOOD)):
            await client.resolve(*address)

    run(main)


def test_an_oversized_handshake_is_cut_off(authority, caplog):
    """A certificate, where there is room for a pre-shared key alone."""
    server = dtls_server(certified(authority, "server", HOST), handshake_bytes=1000)

    async def main():
        async with guest_at(server) as address:
            await refused(dtls_client(certified(authority, "device"), QUICK), address)

    run(main)
    assert "it sent more than 1000 bytes before it had proven anything" in caplog.text


def test_records_that_come_twice_count_once():
    async def main():
        server, client = dtls_server(), dtls_client(GOOD)
        async with opened(server) as at_server, UdpRelay(server.local_address, Weather(1, duplicate=1.0)) as relay:
            async with opened(client):
                peer = await client.resolve(*relay.local_address)
                for number in range(20):
                    client.send(HELLO + bytes((number,)), peer)
                await at_server.datagrams(20)
            assert [data for data, _ in at_server.received] == [HELLO + bytes((number,)) for number in range(20)]

    run(main)


@pytest.mark.parametrize("version", ["-dtls1", "-dtls1_2"])
def test_an_older_dtls_of_openssl_is_refused(version):
    """With the same key and suites its DTLS 1.2 gets a session, and 1.0 none."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed (Debian package openssl)")

    async def main():
        async with guest_at(dtls_server()) as (host, port):
            process = await asyncio.create_subprocess_exec(
                openssl, "s_client", version, "-connect", f"{host}:{port}", "-cipher", "PSK:@SECLEVEL=0",
                "-psk_identity", GOOD.identity, "-psk", GOOD.key.reveal().hex(), "-brief",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            said, started = b"", asyncio.get_running_loop().time()
            while asyncio.get_running_loop().time() < started + 2 and b"ESTABLISHED" not in said:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        said += await process.stdout.read(1000) or b""
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            assert (b"CONNECTION ESTABLISHED" in said) is (version == "-dtls1_2"), said

    run(main)
