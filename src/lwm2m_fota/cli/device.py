"""`lwm2m-fota device`: a device in a process of its own, with its state in a folder."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import final

import attrs

from lwm2m_fota.cli.output import Output
from lwm2m_fota.device.client import ClientSettings, Lwm2mClient
from lwm2m_fota.device.fetch import CoapFetcher
from lwm2m_fota.device.firmware import FirmwareDevice
from lwm2m_fota.device.slots import SlotInstaller
from lwm2m_fota.errors import StorageError
from lwm2m_fota.lwm2m.registration import RegistrationSettings
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.readings import Version
from lwm2m_fota.model.paths import Path
from lwm2m_fota.package.trust import Trust
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.storage.base import SealedImage
from lwm2m_fota.storage.files import FileImageStore, FileStateStore
from lwm2m_fota.transport.udp import UdpTransport


@final
@attrs.frozen(kw_only=True)
class DeviceOptions:
    """What the command was given.

    Attributes:
        server: `coap://HOST:PORT`.
        endpoint: the endpoint client name.
        state_dir: where everything is kept.
        trust: what packages must show.
        version: of the firmware before any update.
        object_version: of Object 5.
        lifetime_s: of the registration.
        capacity_bytes: of the staging area and of each slot.
        host: the local address.
    """

    server: str
    endpoint: str
    state_dir: FilePath
    trust: Trust
    version: str = "1.0.0"
    object_version: Version = "1.1"
    lifetime_s: int = 300
    capacity_bytes: int = 1 << 30
    host: str = "0.0.0.0"  # noqa: S104 - a client: it sends first


def installer_of(state_dir: FilePath, version: str, capacity_bytes: int = 1 << 30) -> SlotInstaller:
    """The two slots and the boot record in a state folder."""
    state_dir.mkdir(parents=True, exist_ok=True)
    slots = (
        FileImageStore(state_dir / "slot-a.bin", capacity_bytes),
        FileImageStore(state_dir / "slot-b.bin", capacity_bytes),
    )
    return SlotInstaller(FileStateStore(state_dir / "boot.json"), slots, version)


def running_image(state_dir: FilePath) -> SealedImage | None:
    """The image that runs on the device of a state folder; None while it is the factory's."""
    return installer_of(state_dir, "").running_image


@final
class DeviceProcess:
    """One life of the device, from power-on to reboot or power-off."""

    def __init__(self, options: DeviceOptions, say: Output) -> None:
        self._options = options
        self._say = say
        self._over = asyncio.Event()
        self._reboots = False

    async def run(self) -> bool:
        """Live; True if the device wants to be started again."""
        options = self._options
        installer = installer_of(options.state_dir, options.version, options.capacity_bytes)
        report = installer.boot()
        self._say("booted", f"booted {report.version} ({report.status.value})", version=report.version)
        pump = Pump(UdpTransport(options.host))
        firmware = FirmwareDevice(
            profile=FirmwareProfile(version=options.object_version),
            trust=options.trust,
            images=FileImageStore(options.state_dir / "staged.bin", options.capacity_bytes),
            state=FileStateStore(options.state_dir / "firmware.json"),
            installer=installer,
            reboot=self._reboot,
            fetchers=(CoapFetcher(pump),),
        )
        firmware.listen(lambda paths: self._changed(firmware, paths))
        registration = RegistrationSettings(endpoint=options.endpoint, lifetime_s=options.lifetime_s)
        client = Lwm2mClient(
            pump, options.server, firmware, ClientSettings(registration=registration), reboot=self._reboot
        )
        self._listen_to_signals()
        await client.start()
        self._say("started", f"started; {firmware.staged_bytes} bytes are staged", staged_bytes=firmware.staged_bytes)
        try:
            await self._until_over(client)
        finally:
            await client.stop(deregister=not self._reboots and client.is_registered)
        return self._reboots

    async def _until_over(self, client: Lwm2mClient) -> None:
        over = asyncio.ensure_future(self._over.wait())
        registered = asyncio.ensure_future(client.registered())
        await asyncio.wait({over, registered}, return_when=asyncio.FIRST_COMPLETED)
        if registered.done():
            self._say("registered", f"registered at {self._options.server}")
        registered.cancel()
        await over

    def _changed(self, firmware: FirmwareDevice, paths: Sequence[Path]) -> None:
        if any(path.resource_id in {3, 5} for path in paths):
            state, result = firmware.state, firmware.result
            why = f": {firmware.diagnosis}" if firmware.diagnosis else ""
            self._say(
                "state",
                f"state {state.value} {state.name.lower()}, result {result.value} {result.name.lower()}{why}",
                state=state.value,
                result=result.value,
                diagnosis=firmware.diagnosis,
            )

    def _reboot(self) -> None:
        self._reboots = True
        self._over.set()

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._over.set)


def run_device(options: DeviceOptions, say: Output) -> None:
    """Run the device; on a reboot the process starts itself anew, as a device would.

    Raises:
        FotaError: its state cannot be read, or its address cannot be had.
    """
    if not options.endpoint:
        raise StorageError("an endpoint name is needed")
    if asyncio.run(DeviceProcess(options, say).run()):
        say("rebooting", "rebooting")
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", "lwm2m_fota.cli", *sys.argv[1:]])  # noqa: S606 - ourselves
