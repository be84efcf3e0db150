"""Whole updates over connections that break: each transport goes on where it was, and ends with equal bytes."""

import asyncio
import random

import pytest

from lwm2m_fota import Lwm2mServer, UpdatePlan, Updater
from lwm2m_fota.credentials.keyring import Held, Keyring
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import MemoryCredentialStore, PskEntry
from lwm2m_fota.credentials.values import Certificate, PreSharedKey
from lwm2m_fota.device.settings import FirmwareSettings
from lwm2m_fota.machines.download_words import DownloadPolicy
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.update_outcome import Succeeded
from lwm2m_fota.machines.update_policy import UpdatePolicy
from lwm2m_fota.model.enums import ProtocolSupport
from lwm2m_fota.server.lwm2m import ServerSettings
from lwm2m_fota.sim.devices import DeviceModel, SimulatedDevice
from lwm2m_fota.sim.relay import UdpRelay
from lwm2m_fota.sim.scenario import package_of
from lwm2m_fota.sim.tcp_relay import TcpRelay
from lwm2m_fota.sim.weather import Fate, Weather
from lwm2m_fota.storage.memory import MemoryPackageSource
from lwm2m_fota.transport.dtls import DtlsTransport
from lwm2m_fota.transport.memory import MemoryNetwork
from lwm2m_fota.transport.tcp import TcpTransport
from lwm2m_fota.transport.tls import HAS_PSK
from lwm2m_fota.transport.udp import UdpTransport
from lwm2m_fota.web.fetcher import HttpFetcher
from lwm2m_fota.web.host import HttpPackageHost

SERVER, RELAY = "127.0.0.1", "127.0.0.2"
PACKAGE = package_of(400_000, version="1.1.0")
PSK = PreSharedKey("device", Secret(b"sixteen byte key"))
POLICY = UpdatePolicy(retry_s=0.2, poll_s=0.2, settle_s=0.1)
FIRMWARE = FirmwareSettings(settle_s=0.05, download=DownloadPolicy(retry_initial_s=0.05, retry_max_s=0.1))


def model_of(scheme):
    protocol = next(each for each in ProtocolSupport if each.scheme == scheme)
    return DeviceModel(profile=FirmwareProfile(protocols=(protocol,)), boot_s=0.1, firmware=FIRMWARE, lifetime_s=60)


@pytest.fixture
def certified(authority):
    def make(name, *hosts):
        signed = authority.sign(name, hosts)
        return Certificate(roots_pem=authority.certificate, chain_pem=signed.chain, key_pem=Secret(signed.key))

    return make


class Road:
    """A server, and a relay that leads to it; devices go to the relay, which has the server's port."""

    def __init__(self, transport, credential, cuts, seed):
        self.settings = ServerSettings(advertise_host=RELAY)
        self.server = Lwm2mServer(transport, self.settings)
        self.credential = credential
        self.cuts, self.seed = cuts, seed

    async def __aenter__(self):
        await self.server.start()
        ((self.scheme, (_, port)),) = self.server.addresses
        self.relay = TcpRelay((SERVER, port), self.cuts, seed=self.seed, host=RELAY, port=port)
        await self.relay.open()
        self.uri = f"{self.scheme}://{RELAY}:{port}"
        return self

    async def __aexit__(self, *_):
        await self.relay.close()
        await self.server.stop()

    def device(self):
        keyring = Keyring([Held(None, self.credential)] if self.credential else [])
        return SimulatedDevice(
            MemoryNetwork(),
            self.uri,
            "device",
            model_of(self.scheme),
            over=lambda _: TcpTransport(None, secure=bool(self.credential), keyring=keyring),
        )

    async def update(self, method):
        plan = UpdatePlan(method=method, package_bytes=len(PACKAGE), schemes=(self.scheme,), policy=POLICY)
        async with asyncio.timeout(60):
            return await Updater(self.server, self.server.packages).update("device", MemoryPackageSource(PACKAGE), plan)


def road(kind, certified, cuts, seed=1):
    match kind:
        case "tcp":
            return Road(TcpTransport(SERVER), None, cuts, seed)
        case "tls":
            shown = certified("server", RELAY)
            transport = TcpTransport(SERVER, secure=True, store=MemoryCredentialStore(), certificate=shown)
            return Road(transport, certified("device"), cuts, seed)
        case "tls-psk":
            store = MemoryCredentialStore([PskEntry(PSK)])
            return Road(TcpTransport(SERVER, secure=True, store=store), PSK, cuts, seed)


KINDS = ["tcp", "tls", pytest.param("tls-psk", marks=pytest.mark.skipif(not HAS_PSK, reason="needs Python 3.13"))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["push", "pull"])
def test_an_update_over_connections_that_hold(kind, method, certified):
    async def main():
        async with road(kind, certified, ()) as way, way.device() as device:
            assert isinstance(await way.update(method), Succeeded)
            assert device.image == PACKAGE
            assert way.relay.cuts == 0

    asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_a_pull_goes_on_over_the_next_connection(kind, seed, certified):
    cuts = [random.Random(seed).randint(90_000, 200_000) for _ in range(6)]

    async def main():
        async with road(kind, certified, cuts, seed) as way, way.device() as device:
            assert isinstance(await way.update("pull"), Succeeded)
            assert device.image == PACKAGE
            assert way.relay.cuts >= 2
            assert way.relay.carried_bytes < 3 * len(PACKAGE)  # it has not begun again each time

    asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_a_push_begins_again_over_the_next_connection(kind, certified):
    async def main():
        async with road(kind, certified, (150_000, 90_000)) as way, way.device() as device:
            assert isinstance(await way.update("push"), Succeeded)
            assert device.image == PACKAGE
            assert way.relay.cuts == 2

    asyncio.run(main())


@pytest.mark.parametrize("scheme", ["coap", "coaps"])
def test_a_pull_in_datagrams_goes_on_when_the_path_is_there_again(scheme):
    """Nothing gets through for a while, twice; over UDP there is no connection that could tell."""
    store = MemoryCredentialStore([PskEntry(PSK)])
    under = UdpTransport(SERVER)
    transport = under if scheme == "coap" else DtlsTransport(under, store=store)
    keyring = Keyring([Held(None, PSK)])

    async def main():
        async with Lwm2mServer(transport, ServerSettings(advertise_host=RELAY)) as server:
            port = server.local_address[1]
            async with UdpRelay((SERVER, port), Weather(1), host=RELAY, port=port) as relay:
                device = SimulatedDevice(
                    MemoryNetwork(),
                    f"{scheme}://{RELAY}:{port}",
                    "device",
                    model_of(scheme),
                    over=lambda _: (
                        UdpTransport(SERVER)
                        if scheme == "coap"
                        else DtlsTransport(UdpTransport(SERVER), keyring=keyring)
                    ),
                )
                plan = UpdatePlan(method="pull", package_bytes=len(PACKAGE), schemes=(scheme,), policy=POLICY)
                async with device, asyncio.timeout(60):
                    updater = Updater(server, server.packages)
                    running = asyncio.ensure_future(updater.update("device", MemoryPackageSource(PACKAGE), plan))
                    for share in (4, 2):
                        while device.firmware.staged_bytes < len(PACKAGE) // share:  # noqa: ASYNC110 - real time
                            await asyncio.sleep(0.001)
                        relay.is_cut = True
                        lost = relay.weather.counts[Fate.CUT]
                        while relay.weather.counts[Fate.CUT] == lost:  # noqa: ASYNC110 - real time
                            await asyncio.sleep(0.001)
                        assert not running.done()
                        relay.is_cut = False
                    assert isinstance(await running, Succeeded)
                    assert device.image == PACKAGE

    asyncio.run(main())


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("seed", range(3))
def test_a_download_from_the_web_goes_on_over_the_next_connection(scheme, seed, certified):
    """Managed over CoAP, fetched over HTTP: only that breaks."""
    cuts = [random.Random(seed).randint(50_000, 150_000) for _ in range(6)]

    async def main():
        shown = certified("origin", RELAY) if scheme == "https" else None
        believed = Keyring([Held(None, certified("device"))])
        transport = UdpTransport(SERVER)
        async with (
            Lwm2mServer(transport) as server,
            HttpPackageHost(SERVER, certificate=shown, advertise_host=RELAY) as host,
        ):
            port = host.local_address[1]
            async with TcpRelay((SERVER, port), cuts, seed=seed, host=RELAY, port=port) as relay:
                _, (_, coap_port) = server.addresses[0]
                device = SimulatedDevice(
                    MemoryNetwork(),
                    f"coap://{SERVER}:{coap_port}",
                    "device",
                    model_of(scheme),
                    over=lambda _: UdpTransport(SERVER),
                    fetchers=(HttpFetcher(believed),),
                )
                plan = UpdatePlan(method="pull", package_bytes=len(PACKAGE), schemes=(scheme,), policy=POLICY)
                async with device, asyncio.timeout(60):
                    outcome = await Updater(server, host).update("device", MemoryPackageSource(PACKAGE), plan)
                    assert isinstance(outcome, Succeeded)
                    assert device.image == PACKAGE
                assert relay.cuts >= 2
                assert relay.carried_bytes < 1.5 * len(PACKAGE)

    asyncio.run(main())
