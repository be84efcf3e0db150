"""Updates of devices whose registration changes meanwhile: it may move, end, lapse, begin anew, or be claimed by others."""

import asyncio

import pytest

from lwm2m_fota.lwm2m.registry import RegistryLimits, SameName
from lwm2m_fota.machines.update_effects import Progressed
from lwm2m_fota.machines.update_outcome import Succeeded
from lwm2m_fota.machines.update_policy import UpdatePlan
from lwm2m_fota.model.paths import Path
from lwm2m_fota.runtime.entropy import SeededEntropy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer, ServerSettings
from lwm2m_fota.server.updater import Updater
from lwm2m_fota.sim.devices import DeviceModel, SimulatedDevice
from lwm2m_fota.sim.loop import run
from lwm2m_fota.sim.network import LossyNetwork
from lwm2m_fota.sim.scenario import package_of
from lwm2m_fota.storage.memory import MemoryPackageSource

URI, SERVER = "coap://192.0.2.1:5683", ("192.0.2.1", 5683)
PACKAGE = package_of(50_000, "1.1.0")
METHODS = pytest.mark.parametrize("method", ["push", "pull"])


class Site:
    """A server, and a device."""

    def __init__(self, registry=None, **model):
        self.network = LossyNetwork(1, latency_s=0.05)
        self.events = []
        transport = self.network.transport(*SERVER)
        self.server = Lwm2mServer(
            transport,
            ServerSettings(registry=registry or RegistryLimits()),
            pump=Pump(transport, entropy=SeededEntropy(1)),
            on_event=self.events.append,
        )
        self.device = SimulatedDevice(self.network, URI, "device", DeviceModel(**model))

    async def __aenter__(self):
        await self.server.start()
        await self.device.start()
        await self.server.registered("device")
        return self

    async def __aexit__(self, *_):
        await self.device.stop()
        await self.server.stop()

    def begin(self, method, *listeners):
        plan = UpdatePlan(
            method=method, package_bytes=len(PACKAGE), expected_version="1.1.0", schemes=self.server.packages.schemes
        )
        updater = Updater(self.server, self.server.packages)
        return updater.start("device", MemoryPackageSource(PACKAGE), plan, listeners=listeners)

    async def succeeded(self, running):
        outcome = await running.outcome()
        assert isinstance(outcome, Succeeded)
        assert self.device.image == PACKAGE

    def kinds(self):
        return [type(event).__name__ for event in self.events]


def at_a_site(main, *args, **model):
    async def whole():
        async with Site(*args, **model) as site:
            await main(site)

    run(whole())


@METHODS
def test_a_device_that_registers_anew_again_and_again_is_the_same_and_its_update_goes_on(method):
    async def main(site):
        marks = [10_000, 20_000, 30_000]

        def on_note(note):
            if isinstance(note, Progressed) and marks and note.bytes_done > marks[0]:
                del marks[0]
                site.device.client.address_changed()

        ids = {site.server.registration("device").id}
        running = site.begin(method, on_note)
        while running.is_running:
            await asyncio.sleep(0.1)
            ids |= {each.id for each in site.server.registrations()}
        await site.succeeded(running)
        assert marks == []
        assert len(ids) == 5  # the first, one for each mark, and that of the boot with the new image
        assert [each.endpoint for each in site.server.registrations()] == ["device"]

    at_a_site(main)


@METHODS
def test_a_lifetime_and_a_list_of_objects_may_change_in_an_update(method):
    async def main(site):
        running = site.begin(method)
        await asyncio.sleep(1.0)
        await site.server.write("device", Path.of(1, 0, 1), 600)
        site.device.client.objects_changed()
        await asyncio.sleep(1.0)
        assert site.server.registration("device").lifetime_s == 600
        await site.succeeded(running)
        assert "Updated" in site.kinds()

    at_a_site(main)


@METHODS
@pytest.mark.parametrize("away_s", [1.0, 200.0])
def test_a_device_that_has_left_in_good_order_is_updated_when_it_comes_back(method, away_s):
    async def main(site):
        await site.device.stop(leaves=True)
        assert site.server.registration("device") is None
        running = site.begin(method)
        await asyncio.sleep(away_s)
        await site.device.start()
        await site.succeeded(running)

    at_a_site(main)


@METHODS
def test_one_that_leaves_in_good_order_before_it_installs_is_no_failure(method):
    async def main(site):
        await site.succeeded(site.begin(method))
        assert site.kinds() == ["Registered", "Removed", "Registered"]
        assert not site.events[1].expired

    at_a_site(main, leaves=True)


@METHODS
def test_one_that_leaves_in_the_middle_of_the_transfer_goes_on_when_it_is_back(method):
    async def main(site):
        running = site.begin(method)
        await asyncio.sleep(1.5)
        await site.device.stop(leaves=True)
        await asyncio.sleep(100.0)
        await site.device.start()
        await site.succeeded(running)

    at_a_site(main)


@METHODS
def test_one_whose_registration_lapses_goes_on_when_it_is_back(method):
    async def main(site):
        running = site.begin(method)
        await asyncio.sleep(1.5)
        site.device.power_cut(off_s=150.0)
        await site.succeeded(running)
        assert [event.expired for event in site.events if type(event).__name__ == "Removed"] == [True]

    at_a_site(main, lifetime_s=60)


@METHODS
def test_a_name_that_is_taken_cannot_be_claimed_from_elsewhere_if_the_policy_says_so(method):
    same_host = RegistryLimits(same_name=SameName.REFUSED, same_device=lambda one, other: one.peer[0] == other.peer[0])

    async def main(site):
        running = site.begin(method)
        await asyncio.sleep(1.0)
        impostor = SimulatedDevice(site.network, URI, "device", host="203.0.113.66", seed=9)
        await impostor.start()
        await site.succeeded(running)
        assert not impostor.is_registered
        assert impostor.image is None
        await impostor.stop()

    at_a_site(main, same_host)


def test_without_that_policy_the_name_goes_to_whoever_claims_it_last():
    async def main(site):
        other = SimulatedDevice(site.network, URI, "device", host="203.0.113.66", seed=9)
        await other.start()
        await other.registered()
        await site.server.registered("device")
        running = site.begin("pull")
        assert isinstance(await running.outcome(), Succeeded)
        assert (other.image, site.device.image) == (PACKAGE, None)
        await other.stop()

    at_a_site(main)
