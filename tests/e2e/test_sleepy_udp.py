"""An update of a device in queue mode over real sockets: it sleeps between the updates of its registration."""

import asyncio
import itertools

import pytest

from lwm2m_fota.device.client import ClientSettings, Lwm2mClient
from lwm2m_fota.device.fetch import CoapFetcher
from lwm2m_fota.device.firmware import FirmwareDevice, FirmwareSettings
from lwm2m_fota.device.slots import SlotInstaller
from lwm2m_fota.lwm2m.registration import RegistrationSettings
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.update_outcome import Succeeded
from lwm2m_fota.machines.update_policy import UpdatePlan
from lwm2m_fota.model.paths import Path
from lwm2m_fota.package.crypto import KeyType, PrivateKey
from lwm2m_fota.package.formats.mcuboot_make import create_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageVersion
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer, ServerSettings
from lwm2m_fota.server.turns import QueueSettings
from lwm2m_fota.server.updater import Updater
from lwm2m_fota.sim.sleepy import SleepyTransport
from lwm2m_fota.storage.memory import MemoryImageStore, MemoryPackageSource, MemoryStateStore
from lwm2m_fota.transport.udp import UdpTransport

KEY = PrivateKey.from_seed(KeyType.ED25519, bytes(range(32)))
IMAGE = create_mcuboot(bytes(range(256)) * 40, version=ImageVersion(1, 1, 0), key=KEY)
VERSION = Path.of(3, 0, 3)
AWAKE_S, LIFETIME_S = 0.8, 4  # it wakes every two seconds
LIMIT_S = 90


class Diary:
    """UDP that notes when something was sent."""

    def __init__(self):
        self._udp, self.sent_at = UdpTransport("127.0.0.1"), []

    def __getattr__(self, name):
        return getattr(self._udp, name)

    def send(self, data, peer):
        self.sent_at.append(asyncio.get_running_loop().time())
        self._udp.send(data, peer)


async def live(server_uri, installer, stores, diary, restart):
    """One life of the device, until it wants a restart."""
    installer.boot()
    pump = Pump(SleepyTransport(diary, AWAKE_S))
    firmware = FirmwareDevice(
        profile=FirmwareProfile(),
        trust=TrustPolicy(keys=(KEY.public_key,)),
        images=stores[0],
        state=stores[1],
        installer=installer,
        reboot=restart.set,
        fetchers=(CoapFetcher(pump),),
        settings=FirmwareSettings(settle_s=0.02),
    )
    registration = RegistrationSettings(endpoint="sleeper", lifetime_s=LIFETIME_S, queue_mode=True)
    async with Lwm2mClient(pump, server_uri, firmware, ClientSettings(registration=registration), reboot=restart.set):
        await restart.wait()
    restart.clear()


async def fallen_asleep(diary):
    """Nothing was sent for so long that the device hears nothing any more; the time has to pass."""
    loop = asyncio.get_running_loop()
    while (left := diary.sent_at[-1] + AWAKE_S - loop.time()) >= 0:  # noqa: ASYNC110 - it is time that is awaited
        await asyncio.sleep(left + 0.001)


@pytest.mark.parametrize("method", ["push", "pull"])
def test_a_device_that_sleeps_is_updated_over_real_sockets(method):
    installer = SlotInstaller(MemoryStateStore(), (MemoryImageStore(), MemoryImageStore()), "1.0.0")
    stores, diary = (MemoryImageStore(), MemoryStateStore()), Diary()

    async def lives(uri):
        restart = asyncio.Event()
        while True:
            await live(uri, installer, stores, diary, restart)

    async def main():
        queue = QueueSettings(awake_s=AWAKE_S, margin_s=0.3)
        async with Lwm2mServer(UdpTransport("127.0.0.1"), ServerSettings(queue=queue)) as server:
            device = asyncio.create_task(lives(f"coap://127.0.0.1:{server.local_address[1]}"))
            await server.registered("sleeper")
            await fallen_asleep(diary)
            updater = Updater(server, server.packages)
            plan = UpdatePlan(method=method, package_bytes=len(IMAGE), schemes=updater.schemes)
            outcome = await updater.update("sleeper", MemoryPackageSource(IMAGE), plan)
            assert isinstance(outcome, Succeeded), outcome
            await server.registered("sleeper")
            await fallen_asleep(diary)
            assert await server.read("sleeper", VERSION) == [(VERSION, "1.1.0")]
            device.cancel()
            await asyncio.gather(device, return_exceptions=True)

    async def limited():
        async with asyncio.timeout(LIMIT_S):
            await main()

    asyncio.run(limited())
    pauses = [later - earlier for earlier, later in itertools.pairwise(diary.sent_at)]
    assert sum(pause > AWAKE_S for pause in pauses) >= 2
