"""Many devices at one server at once: all get there, and none waits for the others."""

import asyncio

import pytest

from lwm2m_fota.machines.update_outcome import Succeeded
from lwm2m_fota.machines.update_policy import UpdatePlan
from lwm2m_fota.runtime.entropy import SeededEntropy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.server.updater import Updater
from lwm2m_fota.sim.devices import SimulatedDevice
from lwm2m_fota.sim.loop import run
from lwm2m_fota.sim.network import LossyNetwork
from lwm2m_fota.sim.scenario import package_of
from lwm2m_fota.storage.memory import MemoryPackageSource

URI = "coap://192.0.2.1:5683"
DEVICES = 200
PACKAGE = package_of(16_384, "1.1.0")


async def update_fleet(method, loss):
    """The outcome and the time of the end for each device."""
    loop = asyncio.get_running_loop()
    network = LossyNetwork(1, loss=loss, duplicate=loss / 2, latency_s=0.05, reorder_s=0.05)
    transport = network.transport("192.0.2.1", 5683)
    devices = [
        SimulatedDevice(network, URI, f"device-{number}", host=f"198.51.100.{number}", seed=number)
        for number in range(DEVICES)
    ]
    plan = UpdatePlan(method=method, package_bytes=len(PACKAGE), expected_version="1.1.0", schemes=("coap",))
    async with Lwm2mServer(transport, pump=Pump(transport, entropy=SeededEntropy(1))) as server:
        updater = Updater(server, server.packages)

        async def one(number):
            outcome = await updater.update(f"device-{number}", MemoryPackageSource(PACKAGE), plan)
            return outcome, loop.time()

        for device in devices:
            await device.start()
        ends = await asyncio.gather(*(one(number) for number in range(DEVICES)))
        images = {device.image for device in devices}
        for device in devices:
            await device.stop()
    return ends, images


@pytest.mark.parametrize("method", ["push", "pull"])
def test_none_starves(method):
    ends, images = run(update_fleet(method, 0.0))
    assert all(isinstance(outcome, Succeeded) for outcome, _ in ends)
    assert images == {PACKAGE}
    times = [time_s for _, time_s in ends]
    assert max(times) < 1.5 * min(times)


@pytest.mark.parametrize("method", ["push", "pull"])
def test_the_losses_of_one_do_not_stop_the_others(method):
    ends, images = run(update_fleet(method, 0.1))
    assert all(isinstance(outcome, Succeeded) for outcome, _ in ends)
    assert images == {PACKAGE}
