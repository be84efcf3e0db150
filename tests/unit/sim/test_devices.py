import asyncio

import attrs
import pytest

from lwm2m_fota.device.firmware import FirmwareSettings
from lwm2m_fota.errors import SnapshotError, UsageError
from lwm2m_fota.machines.update_outcome import Failed, Succeeded, TimedOut
from lwm2m_fota.machines.update_policy import Method, UpdatePlan
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.server.updater import Updater
from lwm2m_fota.sim.devices import DeviceModel, Fault, SimulatedDevice
from lwm2m_fota.sim.loop import run
from lwm2m_fota.sim.network import LossyNetwork
from lwm2m_fota.sim.scenario import package_of
from lwm2m_fota.storage.memory import MemoryPackageSource

URI = "coap://192.0.2.1:5683"
PACKAGE = package_of(9000, "1.1.0")


class Site:
    """A server and a device on a network without faults."""

    def __init__(self, **model):
        self.network = LossyNetwork(1, latency_s=0.01)
        self.blocks = []
        transport = self.network.transport("192.0.2.1", 5683)
        self.server = Lwm2mServer(transport, on_block=self.blocks.append)
        self.device = SimulatedDevice(self.network, URI, "device", DeviceModel(**model))

    async def __aenter__(self):
        await self.server.start()
        await self.device.start()
        return self

    async def __aexit__(self, *_):
        await self.device.stop()
        await self.server.stop()

    async def update(self, method=Method.PULL, package=PACKAGE):
        plan = UpdatePlan(
            method=method, package_bytes=len(package), expected_version="1.1.0", schemes=self.server.packages.schemes
        )
        return await Updater(self.server, self.server.packages).update("device", MemoryPackageSource(package), plan)


async def until(condition):
    while not condition():  # noqa: ASYNC110 - virtual time
        await asyncio.sleep(0.001)


def at_a_site(main, **model):
    async def whole():
        async with Site(**model) as site:
            return await main(site)

    return run(whole())


@pytest.mark.parametrize("method", [Method.PUSH, Method.PULL])
def test_an_update_makes_it_reboot_into_the_package(method):
    async def main(site):
        assert (site.device.version, site.device.image) == ("1.0.0", None)
        assert isinstance(await site.update(method), Succeeded)
        assert (site.device.version, site.device.image, site.device.boots) == ("1.1.0", PACKAGE, 2)
        assert (site.device.firmware.state, site.device.firmware.result) == (State.IDLE, UpdateResult.SUCCESS)

    at_a_site(main)


def test_the_capacity_of_its_flash_counts():
    async def main(site):
        outcome = await site.update()
        assert isinstance(outcome, Failed)
        assert outcome.result is UpdateResult.NOT_ENOUGH_STORAGE

    at_a_site(main, capacity_bytes=8999)


def test_a_power_cut_is_over_after_its_time_and_the_device_registers_anew():
    async def main(site):
        loop = asyncio.get_running_loop()
        await site.device.registered()
        before = site.server.registration("device").peer
        site.device.power_cut(7.0)
        site.device.power_cut(100.0)
        await asyncio.sleep(0.001)
        assert not site.device.is_on
        site.device.power_cut(100.0)
        cut_at = loop.time()
        await site.device.registered()
        assert loop.time() - cut_at == pytest.approx(7.0, abs=0.1)
        assert site.server.registration("device").peer != before
        assert (site.device.boots, site.device.is_registered) == (2, True)

    at_a_site(main)


def test_waiting_for_the_registration_outlasts_power_cuts():
    async def main(site):
        site.network.cut(("192.0.2.1", 5683))
        loop = asyncio.get_running_loop()
        loop.call_later(3.0, site.device.power_cut)
        loop.call_later(20.0, site.network.heal, ("192.0.2.1", 5683))
        await site.device.registered()
        assert (site.device.boots, loop.time() > 20.0) == (2, True)

    at_a_site(main)


def test_a_pull_goes_on_where_a_checkpoint_made_it_durable():
    async def main(site):
        updating = asyncio.ensure_future(site.update())
        await until(lambda: site.device.firmware.staged_bytes >= 6000)
        site.device.power_cut()
        assert isinstance(await updating, Succeeded)
        assert site.device.image == PACKAGE
        offsets = [block.offset for block in site.blocks]
        again = next(number for number in range(1, len(offsets)) if offsets[number] <= offsets[number - 1])
        assert offsets[again] == 8192  # 1, 1, 2 and 4 blocks were handed over

    settings = FirmwareSettings()
    download = attrs.evolve(settings.download, checkpoint_bytes=4096, checkpoint_gap_s=0.0)
    at_a_site(main, firmware=attrs.evolve(settings, download=download))


def test_a_device_that_forgets_its_state_comes_up_with_nothing_to_tell():
    async def main(site):
        outcome = await site.update()
        assert isinstance(outcome, Succeeded)
        assert [warning.code for warning in outcome.warnings] == ["execute.result-lost"]
        assert (site.device.firmware.result, site.device.version) == (UpdateResult.INITIAL, "1.1.0")

    at_a_site(main, faults={Fault.FORGETS_STATE})


def test_a_device_whose_new_image_crashes_comes_back_with_the_old_one():
    async def main(site):
        outcome = await site.update()
        assert isinstance(outcome, Failed)
        assert outcome.result is UpdateResult.UPDATE_FAILED
        assert (site.device.version, site.device.image, site.device.boots) == ("1.0.0", None, 2)

    at_a_site(main, faults={Fault.REVERTS_TRIAL})


def test_a_power_cut_during_the_trial_goes_back():
    async def main(site):
        updating = asyncio.ensure_future(site.update())
        await until(lambda: site.device.boots == 2)
        site.device.power_cut()
        assert isinstance(await updating, Failed)
        assert (site.device.version, site.device.image, site.device.boots) == ("1.0.0", None, 3)

    at_a_site(main)


def test_a_device_that_stays_off_is_waited_for_in_vain():
    async def main(site):
        outcome = await site.update()
        assert isinstance(outcome, TimedOut)
        assert outcome.diagnosis.code == "execute.no-return"
        with pytest.raises(UsageError, match="off"):
            await site.device.registered()

    at_a_site(main, faults={Fault.STAYS_OFF})


def test_a_device_is_switched_on_once_and_off_as_often_as_you_like():
    async def main(site):
        with pytest.raises(UsageError, match="on already"):
            await site.device.start()
        await site.device.stop()
        await site.device.stop()
        site.device.power_cut()
        assert not site.device.is_on
        await site.device.start()
        await site.device.registered()
        assert site.device.boots == 2

    at_a_site(main)


def test_a_device_that_was_never_on_has_nothing_to_show():
    async def main():
        device = SimulatedDevice(LossyNetwork(1), URI, "device")
        with pytest.raises(UsageError, match="never on"):
            _ = device.firmware
        with pytest.raises(UsageError, match="off"):
            await device.registered()
        async with device:
            assert device.is_on

    run(main())


def test_a_boot_that_fails_is_told_when_the_device_is_stopped():
    async def main():
        async with Site() as site:
            site.device._state.save(b"damaged")
            site.device.power_cut()
            await asyncio.sleep(60)
            with pytest.raises(SnapshotError):
                await site.device.stop()

    run(main())
