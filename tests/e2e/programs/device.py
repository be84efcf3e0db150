"""A device in a process of its own that takes packages of one digest: `device.py FOLDER SHA256 ACK_TIMEOUT_S`.

It tells its port on the standard output, and ends with its standard input.
"""

import asyncio
import sys
from pathlib import Path

from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.device.fetch import CoapFetcher
from lwm2m_fota.device.firmware import FirmwareDevice
from lwm2m_fota.device.slots import SlotInstaller
from lwm2m_fota.lwm2m.dispatch import Dispatcher
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.storage.files import FileImageStore, FileStateStore
from lwm2m_fota.transport.udp import UdpTransport


async def main(folder: Path, sha256: bytes, ack_timeout_s: float) -> None:
    pump = Pump(UdpTransport(), parameters=TransmissionParameters(ack_timeout_s=ack_timeout_s))
    slots = (FileImageStore(folder / "a.bin"), FileImageStore(folder / "b.bin"))
    firmware = FirmwareDevice(
        profile=FirmwareProfile(),
        trust=TrustPolicy.of_digest(sha256),
        images=FileImageStore(folder / "staged.bin"),
        state=FileStateStore(folder / "state.json"),
        installer=SlotInstaller(FileStateStore(folder / "boot.json"), slots, "1.0.0"),
        reboot=lambda: None,
        fetchers=(CoapFetcher(pump),),
    )
    dispatcher = Dispatcher((firmware,))
    pump.on_request = lambda received, now: dispatcher.handle(received.message, received.peer, now)
    await pump.open()
    await firmware.start()
    sys.stdout.write(f"{pump.local_address[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await firmware.stop()
    await pump.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]), float(sys.argv[3])))
