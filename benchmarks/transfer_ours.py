"""The transfers of this library, with what the product does on the way.

The device is a whole `FirmwareDevice` over files: the machine of Object 5, checkpoints, SHA-256 while the blocks come
in, the sealed image at the end. The server is `Lwm2mServer` with its package server, or a streamed upload.
"""

import asyncio
import hashlib
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path as FilePath
from typing import Final, final

import attrs

from benchmarks import wires
from benchmarks.far_end import until_closed
from benchmarks.harness import Cost, Watch
from benchmarks.ways import Way
from lwm2m_fota.coap.endpoint import Request
from lwm2m_fota.coap.message import pack_uint, path_options
from lwm2m_fota.coap.numbers import ContentFormat, Option
from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.coap.uri import parse_uri
from lwm2m_fota.device.fetch import CoapFetcher, PackageFetcher, protocols_of
from lwm2m_fota.device.firmware import FirmwareDevice
from lwm2m_fota.device.slots import SlotInstaller
from lwm2m_fota.lwm2m.dispatch import Dispatcher
from lwm2m_fota.lwm2m.firmware_object import PACKAGE_PATH
from lwm2m_fota.lwm2m.operations import Write
from lwm2m_fota.lwm2m.update_operations import RESET_PACKAGE
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.enums import State
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.update import UpdateResource
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.storage.files import FileImageStore, FilePackageSource, FileStateStore
from lwm2m_fota.transport.udp import UdpTransport

RECEIVED: Final = "staged.bin"
_CAPACITY_BYTES: Final = 1 << 30
URI_PATH: Final = Path.of(5, 0, UpdateResource.PACKAGE_URI)
PUT_PACKAGE: Final = (
    *path_options(map(str, PACKAGE_PATH.ids)),
    (int(Option.CONTENT_FORMAT), pack_uint(ContentFormat.OPAQUE)),
)


def device_of(fetcher: PackageFetcher, package: FilePath, folder: FilePath) -> FirmwareDevice:
    """A device over files in a folder, which trusts the digest of this package."""
    folder.mkdir(exist_ok=True)
    return FirmwareDevice(
        profile=FirmwareProfile(protocols=protocols_of((fetcher,))),
        trust=attrs.evolve(TrustPolicy.of_digest(_digest(package)), max_package_bytes=_CAPACITY_BYTES),
        images=FileImageStore(folder / RECEIVED, _CAPACITY_BYTES),
        state=FileStateStore(folder / "firmware.json"),
        installer=SlotInstaller(
            FileStateStore(folder / "boot.json"),
            (FileImageStore(folder / "slot-a.bin"), FileImageStore(folder / "slot-b.bin")),
            "1.0.0",
        ),
        reboot=_no_reboot,
        fetchers=(fetcher,),
    )


def _digest(package: FilePath) -> bytes:
    with package.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _no_reboot() -> None:
    raise AssertionError("nothing is installed here")


# -- pull: the server is far, the device near


def serve_package(link: Connection, package: FilePath, _folder: FilePath, scheme: str = "coap") -> None:
    """Serve the package to devices that fetch it."""

    async def serve() -> None:
        source = FilePackageSource(package)
        async with wires.serving(scheme) as packages:
            publication = packages.publish(source, scheme, lambda _furthest: None)
            await until_closed(link, publication.uri)

    asyncio.run(serve())


def pull_over(scheme: str) -> Way:
    """A pull by a device of ours from a server of ours."""
    return Way(partial(serve_package, scheme=scheme), pull, RECEIVED, fresh=True)


@final
class Downloaded:
    """Begins now; done when a device holds a verified package, or has failed."""

    def __init__(self, firmware: FirmwareDevice) -> None:
        self._firmware = firmware
        self._watch = Watch()
        self.future: asyncio.Future[Cost] = asyncio.get_running_loop().create_future()
        firmware.listen(self._changed)

    def _changed(self, _paths: object) -> None:
        firmware = self._firmware
        if firmware.state is State.DOWNLOADED and not self.future.done():
            self.future.set_result(self._watch.read())
        elif firmware.diagnosis and not self.future.done():
            self.future.set_exception(RuntimeError(firmware.diagnosis))


def pull(uri: str, package: FilePath, folder: FilePath, window: int = 1, q_block: QBlock | None = None) -> Cost:
    """Fetch a package once; the cost from the Write of its URI to the verified image.

    Args:
        uri: of the package.
        package: what it must be.
        folder: where the device lives.
        window: how many blocks it may ask for at a time.
        q_block: how it asks for sets of blocks; None does not.
    """

    async def run() -> Cost:
        async with wires.fetching(uri.partition(":")[0], window, q_block) as fetcher:
            firmware = device_of(fetcher, package, folder)
            await firmware.start()
            await fetcher.resolve(uri)  # what has sessions opens one
            downloaded = Downloaded(firmware)
            now = asyncio.get_running_loop().time()
            answer = firmware.handle(Write(URI_PATH, [(URI_PATH, uri)]), now)
            if answer.code != Code.CHANGED:
                raise RuntimeError(answer.diagnostic)
            cost = await downloaded.future
            await firmware.stop()
            return cost

    return asyncio.run(run())


# -- push: the device is far, the server near


def serve_device(link: Connection, package: FilePath, folder: FilePath) -> None:
    """Be a device that takes packages."""

    async def serve() -> None:
        pump = Pump(UdpTransport())
        firmware = device_of(CoapFetcher(pump), package, folder)
        dispatcher = Dispatcher((firmware,))
        pump.on_request = lambda received, now: dispatcher.handle(received.message, received.peer, now)
        await pump.open()
        await firmware.start()
        host, port = pump.local_address
        await until_closed(link, f"coap://{host}:{port}")
        await firmware.stop()
        await pump.close()

    asyncio.run(serve())


def push(uri: str, package: FilePath, _folder: FilePath, q_block: QBlock | None = None) -> Cost:
    """Send a package once; the cost from the first block to the answer to the last."""

    async def run() -> Cost:
        pump = Pump(UdpTransport())
        await pump.open()
        target = parse_uri(uri)
        peer = await pump.resolve(target.host, target.port)
        await pump.call(peer, Request(Code.PUT, PUT_PACKAGE, RESET_PACKAGE))
        source = FilePackageSource(package)
        request = Request(Code.PUT, PUT_PACKAGE, source_bytes=source.size_bytes, q_block=q_block)
        watch = Watch()
        answer = await pump.upload(peer, request, source)
        cost = watch.read()
        await pump.close()
        if answer.code != Code.CHANGED:
            raise RuntimeError(str(answer))
        return cost

    return asyncio.run(run())
