"""A device of two servers: whoever has begun an update owns it until its end, over every restart in between."""

import asyncio

import pytest

from lwm2m_fota.device.client import OtherServer, ServerAccount
from lwm2m_fota.errors import ResponseError
from lwm2m_fota.machines.update_outcome import Succeeded
from lwm2m_fota.machines.update_policy import ObserveBy, UpdatePlan, UpdatePolicy
from lwm2m_fota.model.enums import State
from lwm2m_fota.model.paths import Path
from lwm2m_fota.runtime.entropy import SeededEntropy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.server.updater import Updater
from lwm2m_fota.sim.devices import DeviceModel, SimulatedDevice
from lwm2m_fota.sim.loop import run
from lwm2m_fota.sim.network import LossyNetwork
from lwm2m_fota.sim.scenario import package_of
from lwm2m_fota.storage.memory import MemoryPackageSource

FIRST, SECOND = "192.0.2.1", "192.0.2.3"
PACKAGE, NEXT = package_of(30_000, "1.1.0"), package_of(20_000, "1.2.0")
BUSY = 0xA3


class Site:
    """Two servers with an updater each, and a device that is registered at both."""

    def __init__(self, *, may_report=False, **model):
        self.network = LossyNetwork(1, latency_s=0.05)
        self.servers, self.updaters = {}, {}
        for number, host in enumerate((FIRST, SECOND)):
            transport = self.network.transport(host, 5683)
            self.servers[host] = Lwm2mServer(transport, pump=Pump(transport, entropy=SeededEntropy(number)))
            self.updaters[host] = Updater(self.servers[host], self.servers[host].packages)
        accounts = [
            ServerAccount(uri=f"coap://{host}", server_id=number + 1, may_report=may_report)
            for number, host in enumerate((FIRST, SECOND))
        ]
        self.device = SimulatedDevice(self.network, accounts, "device", DeviceModel(**model))

    async def __aenter__(self):
        for server in self.servers.values():
            await server.start()
        await self.device.start()
        for server in self.servers.values():
            await server.registered("device")
        return self

    async def __aexit__(self, *_):
        await self.device.stop()
        for server in self.servers.values():
            await server.stop()

    def begin(self, host, package, version, method, *, listeners=(), **policy):
        plan = UpdatePlan(
            method=method,
            package_bytes=len(package),
            expected_version=version,
            schemes=("coap",),
            policy=UpdatePolicy(**policy),
        )
        return self.updaters[host].start("device", MemoryPackageSource(package), plan, listeners=listeners)

    async def update(self, *args, **named):
        return await self.begin(*args, **named).outcome()


def at_a_site(main, **options):
    async def whole():
        async with Site(**options) as site:
            await main(site)

    run(whole())


@pytest.mark.parametrize("method", ["push", "pull"])
def test_the_update_of_the_second_server_begins_when_that_of_the_first_is_over(method):
    """It looks, is told that the device is busy, and looks again until the first one has seen its result."""

    async def main(site):
        first = site.begin(FIRST, PACKAGE, "1.1.0", method)
        await asyncio.sleep(1.0)
        assert site.device.firmware.state is State.DOWNLOADING
        second = site.begin(SECOND, NEXT, "1.2.0", method)
        outcome = await first.outcome()
        assert outcome == Succeeded(version_before="1.0.0", version_after="1.1.0")
        assert site.device.image == PACKAGE
        outcome = await second.outcome()
        assert isinstance(outcome, Succeeded)
        assert (outcome.version_before, outcome.version_after) == ("1.1.0", "1.2.0")
        assert site.device.image == NEXT

    at_a_site(main)


def test_the_owner_is_known_in_every_boot():
    async def main(site):
        running = site.begin(FIRST, PACKAGE, "1.1.0", "pull")
        refusals = 0
        for _ in range(3):
            await asyncio.sleep(2.0)
            site.device.power_cut()
            await asyncio.sleep(6.0)
            await site.device.registered()
            await asyncio.sleep(0.5)  # at the other server, too
            with pytest.raises(ResponseError) as caught:
                await site.servers[SECOND].write("device", Path.of(5, 0, 1), "")
            refusals += caught.value.response_code == BUSY
        assert refusals == 3
        assert isinstance(await running.outcome(), Succeeded)

    at_a_site(main)


def test_a_policy_lets_the_second_server_take_over():
    async def main(site):
        running = site.begin(FIRST, PACKAGE, "1.1.0", "push")
        await asyncio.sleep(1.0)
        assert isinstance(await site.update(SECOND, NEXT, "1.2.0", "push"), Succeeded)
        assert site.device.image == NEXT
        outcome = await running.outcome()
        assert outcome.version_after == "1.2.0"
        assert [warning.code for warning in outcome.warnings] == ["execute.version-mismatch"]

    at_a_site(main, other_server=OtherServer.SERVED)


@pytest.mark.parametrize("method", ["push", "pull"])
def test_an_update_that_waits_for_what_the_device_sends(method):
    """SERVICE R28: neither observations nor reads but those that the update begins and ends with."""
    reports = (Path.of(5, 0, 3), Path.of(5, 0, 5), Path.of(3, 0, 3))

    async def main(site):
        outcome = await site.update(FIRST, PACKAGE, "1.1.0", method, observe_by=ObserveBy.SEND)
        assert isinstance(outcome, Succeeded)
        assert site.device.image == PACKAGE

    at_a_site(main, may_report=True, reports=reports)
