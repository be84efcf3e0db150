"""Whole updates over DTLS on virtual time: the credentials of the management serve the download, and bind the names."""

import asyncio

import attrs
import pytest

from lwm2m_fota import Lwm2mServer, UpdatePlan, Updater
from lwm2m_fota.coap.endpoint import Request
from lwm2m_fota.coap.message import path_options
from lwm2m_fota.credentials.keyring import Held, Keyring, Origin
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import MemoryCredentialStore, PskEntry
from lwm2m_fota.credentials.values import Certificate, CredentialKind, PreSharedKey
from lwm2m_fota.errors import TransportError
from lwm2m_fota.lwm2m.registry import RegistryLimits, SameName
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.update_outcome import Failed, Succeeded
from lwm2m_fota.model.enums import ProtocolSupport
from lwm2m_fota.model.paths import Path
from lwm2m_fota.runtime.entropy import SeededEntropy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import ServerSettings
from lwm2m_fota.sim import loop
from lwm2m_fota.sim.devices import DeviceModel, SimulatedDevice
from lwm2m_fota.sim.network import LossyNetwork
from lwm2m_fota.sim.scenario import package_of
from lwm2m_fota.storage.memory import MemoryPackageSource
from lwm2m_fota.transport.dtls import DtlsTransport

HOST, PORT, DOWNLOADS = "192.0.2.1", 5684, 5694
SERVER = f"coaps://{HOST}:{PORT}"
ORIGIN = Origin("coaps", HOST, PORT)
KEY = Secret(b"sixteen byte key")
PACKAGE = package_of(20_000, version="1.1.0")
MODEL = DeviceModel(profile=FirmwareProfile(protocols=(ProtocolSupport.COAPS,)))


def psk(name, key=KEY):
    return PreSharedKey(name, key)


class World:
    """A server over DTLS on a network, and devices with keys; `plain` adds a listener of plain CoAP."""

    def __init__(self, *, network=None, entries=None, certificate=None, plain=False, registry=None):
        self.network = network or LossyNetwork(1, latency_s=0.01)
        self.store = MemoryCredentialStore([PskEntry(psk("device"))] if entries is None else entries)
        transport = DtlsTransport(
            self.network.transport(HOST, PORT),
            store=self.store,
            certificate=certificate,
            token=SeededEntropy(1).token,
        )
        more = (self.network.transport(HOST, 5683),) if plain else ()
        settings = ServerSettings(registry=registry or RegistryLimits())
        self.server = Lwm2mServer([transport, *more], settings, pump=Pump(transport, entropy=SeededEntropy(2)))
        self.updater = Updater(self.server, self.server.packages)

    async def __aenter__(self):
        await self.server.start()
        return self

    async def __aexit__(self, *_):
        await self.server.stop()

    def device(self, credential, name="device", *, held=None, uri=SERVER, model=MODEL):
        """A device that is managed with a credential, and holds others beside it."""
        keyring = Keyring([*(held or ()), Held(ORIGIN, credential)])
        over = (lambda under: DtlsTransport(under, keyring=keyring)) if uri.startswith("coaps") else None
        return SimulatedDevice(self.network, uri, name, model, over=over)

    async def update(self, method, name="device"):
        plan = UpdatePlan(method=method, package_bytes=len(PACKAGE), schemes=("coaps",))
        return await self.updater.update(name, MemoryPackageSource(PACKAGE), plan)


async def staged(device):
    """Wait until a device has the first bytes of a package."""
    while not device.firmware.staged_bytes:  # noqa: ASYNC110 - virtual time passes at once
        await asyncio.sleep(0.05)


def run(test, **options):
    async def main():
        async with World(**options) as world:
            return await test(world)

    return loop.run(main())


REBOUND = ("192.0.2.99", 4711)


class Rebound:
    """What a device has below DTLS, behind a NAT that gives it another address after `rebind`, which nobody tells it."""

    def __init__(self, world, under):
        self._network = world.network
        self._under, self._then = under, world.network.transport(*REBOUND)
        self._sends = under

    def __getattr__(self, name):
        return getattr(self._under, name)

    async def open(self, handler):
        await self._under.open(handler)
        await self._then.open(handler)

    async def close(self):
        await self._under.close()
        await self._then.close()

    def send(self, data, peer):
        self._sends.send(data, peer)

    def rebind(self):
        self._network.cut(self._under.local_address)
        self._sends = self._then


@pytest.mark.parametrize("method", ["push", "pull"])
def test_an_update_over_dtls_with_a_key(method):
    async def test(world):
        async with world.device(psk("device")) as device:
            assert isinstance(await world.update(method), Succeeded)
            assert device.image == PACKAGE
            assert device.boots == 2

    run(test)


@pytest.mark.parametrize("method", ["push", "pull"])
def test_an_update_over_dtls_with_certificates(method, authority):
    def certified(name, hosts=()):
        signed = authority.sign(name, hosts)
        return Certificate(roots_pem=authority.certificate, chain_pem=signed.chain, key_pem=Secret(signed.key))

    async def test(world):
        async with world.device(certified("device")) as device:
            assert isinstance(await world.update(method), Succeeded)
            assert device.image == PACKAGE

    run(test, entries=[], certificate=certified("server", [HOST]))


@pytest.mark.parametrize("method", ["push", "pull"])
@pytest.mark.parametrize("seed", range(5))
def test_an_update_over_dtls_gets_through_a_lossy_network(method, seed):
    async def test(world):
        async with world.device(psk("device")) as device:
            outcome = await world.update(method)
            assert isinstance(outcome, Succeeded), outcome
            assert device.image == PACKAGE

    run(test, network=LossyNetwork(seed, loss=0.1, duplicate=0.05, latency_s=0.05, reorder_s=0.2))


@pytest.mark.parametrize("method", ["push", "pull"])
def test_an_update_goes_on_after_a_power_cut_with_a_new_session(method):
    async def test(world):
        async with world.device(psk("device")) as device:
            await device.registered()
            running = asyncio.ensure_future(world.update(method))
            await staged(device)
            device.power_cut()
            assert isinstance(await running, Succeeded)
            assert (device.image, device.boots) == (PACKAGE, 3)

    run(test)


@pytest.mark.parametrize("method", ["push", "pull"])
def test_a_device_whose_address_changes_opens_a_new_session_and_its_update_goes_on(method):
    async def test(world):
        async with world.device(psk("device")) as device:
            await device.registered()
            before = world.server.registration("device")
            running = asyncio.ensure_future(world.update(method))
            await staged(device)
            device.client.address_changed()
            await asyncio.sleep(5.0)
            after = world.server.registration("device")
            assert (after.id, after.peer.address) == (before.id, before.peer.address)  # the same port in this network
            assert after.peer != before.peer
            assert isinstance(await running, Succeeded)
            assert (device.image, device.boots) == (PACKAGE, 2)

    run(test)


@pytest.mark.parametrize("method", ["push", "pull"])
def test_a_device_whose_nat_gives_it_another_port_shakes_hands_anew_and_its_update_goes_on(method):
    """Its records come from an address without a session, and are dropped: it hears nothing, and begins a new one."""
    paths = []

    async def test(world):
        def over(under):
            paths.append(Rebound(world, under))
            return DtlsTransport(paths[-1], keyring=Keyring([Held(ORIGIN, psk("device"))]))

        async with SimulatedDevice(world.network, SERVER, "device", MODEL, over=over) as device:
            await device.registered()
            before = world.server.registration("device")
            running = asyncio.ensure_future(world.update(method))
            await staged(device)
            paths[-1].rebind()
            while (after := world.server.registration("device")).peer.address != REBOUND:  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(1.0)
            assert (after.peer.identity, device.boots) == (before.peer.identity, 1)
            assert isinstance(await running, Succeeded)
            assert (device.image, device.boots) == (PACKAGE, 2)

    run(test)


def test_the_seeds_case_the_key_of_the_management_serves_a_download_from_another_port():
    """Managed over CoAPs on one port, told to fetch over CoAPs from another: it works, with nothing more configured."""

    async def test(world):
        origin = Lwm2mServer(DtlsTransport(world.network.transport(HOST, DOWNLOADS), store=world.store))
        async with origin, world.device(psk("device")) as device:
            updater = Updater(world.server, origin.packages)
            plan = UpdatePlan(method="pull", package_bytes=len(PACKAGE), schemes=("coaps",))
            assert isinstance(await updater.update("device", MemoryPackageSource(PACKAGE), plan), Succeeded)
            assert device.image == PACKAGE

    run(test)


def test_the_seeds_case_a_missing_credential_is_result_9_and_named():
    async def test(world):
        elsewhere = "198.51.100.7"
        store = MemoryCredentialStore([PskEntry(psk("other"))])
        origin = Lwm2mServer(DtlsTransport(world.network.transport(elsewhere, PORT), store=store))
        async with origin, world.device(psk("device")) as device:
            updater = Updater(world.server, origin.packages)
            plan = UpdatePlan(method="pull", package_bytes=len(PACKAGE), schemes=("coaps",))
            outcome = await updater.update("device", MemoryPackageSource(PACKAGE), plan)
            assert isinstance(outcome, Failed)
            assert outcome.result == 9
            assert device.firmware.diagnosis == (
                f"pull.credential-missing: no credential for coaps://{elsewhere}:5684: it needs a pre-shared key or a "
                f"certificate; there is a pre-shared key for {SERVER}"
            )

    run(test)


def test_a_credential_that_is_given_for_an_origin_serves_it():
    async def test(world):
        elsewhere = "198.51.100.7"
        store = MemoryCredentialStore([PskEntry(psk("other"))])
        origin = Lwm2mServer(DtlsTransport(world.network.transport(elsewhere, PORT), store=store))
        held = [Held(Origin("coaps", elsewhere, PORT), psk("other"))]
        async with origin, world.device(psk("device"), held=held) as device:
            updater = Updater(world.server, origin.packages)
            plan = UpdatePlan(method="pull", package_bytes=len(PACKAGE), schemes=("coaps",))
            assert isinstance(await updater.update("device", MemoryPackageSource(PACKAGE), plan), Succeeded)
            assert device.image == PACKAGE

    run(test)


# -- names


def test_an_identity_uses_only_its_own_names(caplog):
    async def test(world):
        async with world.device(psk("device"), "meter-1") as device:
            await asyncio.sleep(60)
            assert not device.is_registered
            assert world.server.registrations() == ()

    run(test)
    assert "(psk 'device') may not use the endpoint name 'meter-1'" in caplog.text


def test_names_can_be_given_to_an_identity():
    async def test(world):
        async with world.device(psk("gateway"), "meter-1") as one, world.device(psk("gateway"), "meter-2") as two:
            await one.registered()
            await two.registered()
            assert {each.endpoint for each in world.server.registrations()} == {"meter-1", "meter-2"}

    run(test, entries=[PskEntry(psk("gateway"), ("meter-1", "meter-2"))])


def test_plain_coap_cannot_take_a_name_that_is_bound():
    async def test(world):
        plain = f"coap://{HOST}:5683"
        async with world.device(None, "device", uri=plain) as thief, world.device(None, "free", uri=plain) as free:
            await free.registered()
            await asyncio.sleep(60)
            assert not thief.is_registered
        async with world.device(psk("device")) as device:
            await device.registered()

    run(test, plain=True)


def test_a_registration_can_be_ended_or_moved_by_its_own_identity_alone():
    async def test(world):
        async with world.device(psk("device")) as device:
            await device.registered()
            registration = world.server.registration("device")
            for pump in (
                Pump(DtlsTransport(world.network.transport("192.0.2.66"), keyring=Keyring([Held(None, psk("evil"))]))),
                Pump(world.network.transport("192.0.2.67")),
            ):
                await pump.open()
                peer = await pump.resolve(HOST, PORT if pump.sessions else 5683)
                for code in (0x02, 0x04):  # POST updates, DELETE ends
                    request = Request(code, tuple(path_options(("rd", registration.id))))
                    assert (await pump.call(peer, request)).code == 0x83
                await pump.close()
            assert world.server.registration("device") == registration

    run(test, entries=[PskEntry(psk("device")), PskEntry(psk("evil"))], plain=True)


# -- sessions and registrations


def test_a_name_is_kept_from_other_identities_but_not_from_a_new_session_of_the_same_one():
    keys = [PskEntry(psk("device")), PskEntry(psk("other"), ("device",))]

    async def test(world):
        async with world.device(psk("device")) as device:
            former = await world.server.registered("device")
            device.power_cut(off_s=5.0)  # its registration outlives it
            await asyncio.sleep(30.0)
            present = await world.server.registered("device")
            assert present.id != former.id
            assert (present.peer is former.peer, present.peer.identity) == (False, former.peer.identity)
            other = SimulatedDevice(
                world.network,
                SERVER,
                "device",
                MODEL,
                host="203.0.113.66",
                over=lambda under: DtlsTransport(under, keyring=Keyring([Held(ORIGIN, psk("other"))])),
            )
            await other.start()
            await asyncio.sleep(30.0)
            assert not other.is_registered
            assert (await world.server.registered("device")).id == present.id
            await other.stop()

    run(test, entries=keys, registry=RegistryLimits(same_name=SameName.REFUSED))


def test_a_session_lives_as_long_as_its_registration():
    async def test(world):
        model = attrs.evolve(MODEL, lifetime_s=86_400)
        async with world.device(psk("device"), model=model) as device:
            await device.registered()
            await asyncio.sleep(40_000)
            assert (await world.server.read("device", Path.parse("/5/0/3")))[0][1] == 0
            session = world.server.registration("device").peer
            world.network.cut((HOST, PORT))
            await asyncio.sleep(200_000)
            assert world.server.registration("device") is None
            assert not session.pump.sessions._endpoint.is_standing(session.peer)

    run(test)


@pytest.mark.parametrize("change", ["rotate", "revoke"])
def test_a_device_loses_its_session_with_its_credential_and_finds_back_with_the_new_one(change):
    async def test(world):
        async with world.device(psk("device")) as device:
            await device.registered()
            if change == "revoke":
                world.store.revoke(CredentialKind.PSK, "device")
                await asyncio.sleep(300)
                assert not device.is_registered
                with pytest.raises(TransportError):
                    await world.server.read("device", Path.parse("/5/0/3"))
                world.store.add(PskEntry(psk("device")))
            else:
                world.store.rotate("device", KEY)
            await asyncio.sleep(300)
            assert (await world.server.read("device", Path.parse("/5/0/3")))[0][1] == 0

    run(test)


def test_a_server_that_comes_back_is_found_with_a_new_session():
    async def test(world):
        async with world.device(psk("device")) as device:
            await device.registered()
            await world.server.stop()
            await asyncio.sleep(60)
            await world.server.start()
            await asyncio.sleep(200)
            assert (await world.server.read("device", Path.parse("/5/0/3")))[0][1] == 0

    run(test)


def test_a_server_that_was_killed_is_found_again_once_the_device_hears_nothing():
    async def test(world):
        async with world.device(psk("device")) as device:
            await device.registered()
            world.network.cut((HOST, PORT))
            await world.server.stop()  # its goodbyes are lost
            world.network.heal((HOST, PORT))
            await world.server.start()
            await asyncio.sleep(600)
            assert world.server.registration("device") is not None

    run(test)


def test_an_observation_ends_with_its_session_and_the_update_goes_on():
    async def test(world):
        async with world.device(psk("device")) as device:
            await device.registered()
            running = asyncio.ensure_future(world.update("pull"))
            await staged(device)
            at = world.server.registration("device").peer
            at.pump.end(at.peer)
            assert isinstance(await running, Succeeded)
            assert device.image == PACKAGE

    run(test)
