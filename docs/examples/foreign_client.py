"""A LwM2M client of one's own, on aiocoap, that hosts FirmwareDevice: `foreign_client.py SERVER_URI PEM FOLDER`."""

import asyncio
import sys
from pathlib import Path as FilePath

import aiocoap
from aiocoap_bridge import Bridge, ask

from lwm2m_fota import FirmwareDevice, FirmwareProfile, PublicKey, SlotInstaller, TrustPolicy
from lwm2m_fota.device.objects import DeviceIdentity, device_object
from lwm2m_fota.lwm2m.dispatch import Dispatcher
from lwm2m_fota.model.enums import DeliveryMethod
from lwm2m_fota.storage.files import FileImageStore, FileStateStore


async def live(server_uri: str, key: PublicKey, folder: FilePath) -> None:
    """One life of the device: from power-on until its firmware wants a restart."""
    restart = asyncio.Event()
    slots = FileImageStore(folder / "slot-a.bin"), FileImageStore(folder / "slot-b.bin")
    installer = SlotInstaller(FileStateStore(folder / "boot.json"), slots, "1.0.0")
    print("running", installer.boot().version, flush=True)
    firmware = FirmwareDevice(
        profile=FirmwareProfile(delivery=DeliveryMethod.PUSH),
        trust=TrustPolicy(keys=(key,)),
        images=FileImageStore(folder / "staged.bin"),
        state=FileStateStore(folder / "firmware.json"),
        installer=installer,
        reboot=restart.set,
    )
    device = device_object(DeviceIdentity(), lambda: firmware.version, restart.set)
    dispatcher = Dispatcher((device, firmware))  # it calls firmware.handle(operation, now)
    bridge = Bridge(dispatcher.handle)
    firmware.listen(bridge.changed)
    await firmware.start()
    context = await aiocoap.Context.create_server_context(bridge, bind=("::", 0), transports=["udp6"])
    try:
        uri = f"{server_uri}/rd?ep=foreign-client&lt=300&lwm2m=1.1&b=U"
        links = aiocoap.Message(code=aiocoap.POST, uri=uri, content_format=40, payload=dispatcher.object_links())
        await ask(context, links)
        firmware.healthy()  # an image that reaches its server is kept
        await restart.wait()
    finally:
        await context.shutdown()
        await firmware.stop()


def main(server_uri: str, pem: str, folder: str) -> None:
    """Live again and again, as a device does; without a server, end with an error."""
    FilePath(folder).mkdir(exist_ok=True)
    while True:
        asyncio.run(live(server_uri, PublicKey.from_pem(FilePath(pem).read_bytes()), FilePath(folder)))


if __name__ == "__main__":
    main(*sys.argv[1:])
