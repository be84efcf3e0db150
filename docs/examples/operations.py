"""FirmwareDevice by operations alone, for a client that reads its requests itself: `operations.py`."""

import asyncio
import secrets

from lwm2m_fota import FirmwareDevice, FirmwareProfile, SlotInstaller, TrustPolicy
from lwm2m_fota.lwm2m.operations import Execute, Read, WriteBlock
from lwm2m_fota.model.paths import Path
from lwm2m_fota.package.crypto import KeyType, PrivateKey
from lwm2m_fota.package.formats.mcuboot_make import create_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageVersion
from lwm2m_fota.storage.memory import MemoryImageStore, MemoryStateStore

PACKAGE, UPDATE, STATE = Path.of(5, 0, 0), Path.of(5, 0, 2), Path.of(5, 0, 3)


async def main() -> None:
    """What a server's requests come to: four blocks of a package, a read, an execute."""
    key = PrivateKey.from_seed(KeyType.ED25519, secrets.token_bytes(32))
    package = create_mcuboot(bytes(3000), version=ImageVersion(1, 1, 0), key=key)
    installer = SlotInstaller(MemoryStateStore(), (MemoryImageStore(), MemoryImageStore()), "1.0.0")
    restart = asyncio.Event()
    firmware = FirmwareDevice(
        profile=FirmwareProfile(),
        trust=TrustPolicy(keys=(key.public_key,)),
        images=MemoryImageStore(),
        state=MemoryStateStore(),
        installer=installer,
        reboot=restart.set,
    )
    firmware.listen(lambda paths: print("changed:", *paths))
    await firmware.start()
    now = asyncio.get_running_loop().time
    for offset in range(0, len(package), 1024):
        block = package[offset : offset + 1024]
        final = offset + len(block) == len(package)
        answer = firmware.handle(WriteBlock(PACKAGE, offset, block, first=offset == 0, final=final), now())
        print(f"{len(block)} bytes at {offset}: {answer.code >> 5}.{answer.code & 31:02}")
    print("state:", firmware.handle(Read(STATE), now()).entries)
    firmware.handle(Execute(UPDATE), now())
    await restart.wait()
    await firmware.stop()
    print("the boot loader starts", installer.boot().version)


if __name__ == "__main__":
    asyncio.run(main())
