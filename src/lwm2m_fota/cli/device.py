"""`lwm2m-fota device`: a device in a process of its own, with its state in a folder."""

import asyncio
import os
import signal
import sys
from pathlib import Path as FilePath
from typing import Final, final

import attrs

from lwm2m_fota.cli.exits import Exit
from lwm2m_fota.cli.firmware import BasicFirmware, ComponentFirmware, ComponentOption
from lwm2m_fota.cli.output import Output
from lwm2m_fota.cli.package_verify import read_trust
from lwm2m_fota.cli.security import SecurityOptions
from lwm2m_fota.cli.state_dir import DEFAULT_CAPACITY_BYTES, StateDir
from lwm2m_fota.cli.trace_file import TraceFile
from lwm2m_fota.cli.ways import WEB, any_address_towards, connecting, web_fetchers
from lwm2m_fota.coap.limits import EndpointLimits, Strangers
from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.coap.uri import parse_uri
from lwm2m_fota.device.advanced import AdvancedFirmwareDevice
from lwm2m_fota.device.client import ClientSettings, Lwm2mClient
from lwm2m_fota.device.fetch import CoapFetcher, PackageFetcher, protocols_of
from lwm2m_fota.device.firmware import FirmwareDevice
from lwm2m_fota.device.hosts import AllowedHosts
from lwm2m_fota.device.settings import SOLE_COMPONENT, FirmwareSettings
from lwm2m_fota.errors import FotaError, SnapshotError
from lwm2m_fota.lwm2m.registration import RegistrationSettings
from lwm2m_fota.machines.download_words import DownloadPolicy
from lwm2m_fota.machines.readings import Version
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.runtime.pump import Pump

_PATIENCE_S: Final = 3.0
"""A server that has not answered after this time is worth a word; the registration goes on."""


@final
@attrs.frozen(kw_only=True)
class DeviceOptions:
    """What the command was given.

    Attributes:
        server: `SCHEME://HOST:PORT`.
        endpoint: the endpoint client name.
        state_dir: where everything is kept.
        trusted: files with the keys that sign packages.
        sha256: the digest of the one package to take, in hex.
        version: of the firmware before any update.
        object_version: of Object 5.
        components: those of Object 33629; empty for Object 5.
        names: what packages may call the firmware of Object 5; empty for what SUIT manifests call it as a rule.
        lifetime_s: of the registration.
        capacity_bytes: of the staging area and of each slot.
        checkpoint_bytes: a pull makes what it has durable each time so many bytes came in.
        security: what it proves itself with, and whom it believes.
        package_schemes: over which it fetches packages; empty for that of its server.
        q_block: fetch by sets of blocks where the server understands that; None never tries.
        allowed_hosts: from where it fetches packages, each `HOST` or `HOST:PORT`; empty for every host.
        trace: the file to record in; it goes on there after a restart. None records nothing.
    """

    server: str
    endpoint: str
    state_dir: FilePath
    trusted: tuple[FilePath, ...] = ()
    sha256: str | None = None
    version: str = "1.0.0"
    object_version: Version = "1.1"
    components: tuple[ComponentOption, ...] = ()
    names: tuple[str, ...] = ()
    lifetime_s: int = 300
    capacity_bytes: int = DEFAULT_CAPACITY_BYTES
    checkpoint_bytes: int = DownloadPolicy().checkpoint_bytes
    security: SecurityOptions = attrs.field(factory=SecurityOptions)
    package_schemes: tuple[str, ...] = ()
    q_block: QBlock | None = None
    allowed_hosts: tuple[str, ...] = ()
    trace: FilePath | None = None

    @property
    def schemes(self) -> tuple[str, ...]:
        """Over which it fetches packages."""
        return self.package_schemes or (parse_uri(self.server).scheme,)


@final
class Net:
    """The endpoints of a device: that of its server, and one for each other scheme of CoAP that it fetches over.

    Attributes:
        pump: the endpoint of the server.
        fetchers: all ways to packages.
        protocols: what resource 8 lists.

    Raises:
        FotaError: the credentials cannot be read or used, or a library is not installed.
    """

    def __init__(self, options: DeviceOptions) -> None:
        credentials = options.security.read()
        keyring = credentials.keyring(options.server)
        local = any_address_towards(options.server)
        limits = EndpointLimits(strangers=Strangers())
        batch_bytes = min(limits.batch_bytes, options.checkpoint_bytes)  # a checkpoint needs the bytes in hand
        limits = attrs.evolve(limits, batch_bytes=batch_bytes)
        own = parse_uri(options.server).scheme
        others = [scheme for scheme in dict.fromkeys(options.schemes) if scheme != own and scheme not in WEB]
        self.pump, *more = (Pump(connecting(each, local, keyring), limits=limits) for each in (own, *others))
        self._more = tuple(more)
        self.fetchers: tuple[PackageFetcher, ...] = (
            *(CoapFetcher(each, q_block=options.q_block) for each in (self.pump, *more)),
            *web_fetchers(options.schemes, credentials, keyring),
        )
        self.protocols = tuple(each for each in protocols_of(self.fetchers) if each.scheme in options.schemes)

    async def open(self) -> None:
        """Open the endpoints of packages; the client opens that of the server.

        Raises:
            TransportError: a local address cannot be had.
        """
        for each in self._more:
            await each.open()

    async def close(self) -> None:
        """Close them."""
        for each in self._more:
            await each.close()


@final
class DeviceProcess:
    """One life of the device, from power-on to reboot or power-off."""

    def __init__(self, options: DeviceOptions, trust: TrustPolicy, state_dir: StateDir, say: Output) -> None:
        self._options = options
        self._trust = trust
        self._state_dir = state_dir
        self._say = say
        self._over = asyncio.Event()
        self._hurry = asyncio.Event()
        self._reboots = False
        self._signalled = False
        self._troubled: str | None = None

    async def run(self) -> bool:
        """Live; True if the device wants to be started again.

        Raises:
            FotaError: its state cannot be read, or its address cannot be had.
        """
        self._listen_to_signals()
        options = self._options
        net = Net(options)
        made = self._firmware(net)
        made.boot(self._say)
        async with TraceFile(options.trace, goes_on=True) as trace:
            firmware = made.make(
                self._say,
                trust=self._trust,
                state=made.state,
                reboot=self._reboot,
                fetchers=net.fetchers,
                settings=FirmwareSettings(
                    download=DownloadPolicy(checkpoint_bytes=options.checkpoint_bytes, checkpoint_gap_s=0.0),
                    component_names=frozenset(options.names or {SOLE_COMPONENT}),
                    allowed_hosts=AllowedHosts(options.allowed_hosts) if options.allowed_hosts else None,
                ),
                trace=None if options.trace is None else trace,
            )
            await self._live(net, firmware)
        return self._reboots and not self._signalled

    async def _live(self, net: Net, firmware: FirmwareDevice | AdvancedFirmwareDevice) -> None:
        options = self._options
        settings = ClientSettings(
            registration=RegistrationSettings(endpoint=options.endpoint, lifetime_s=options.lifetime_s)
        )
        client = Lwm2mClient(
            net.pump, options.server, firmware, settings, reboot=self._reboot, on_trouble=self._trouble
        )
        try:
            await net.open()
            await client.start()
            self._say("started", server=options.server, staged_bytes=firmware.staged_bytes)
            await self._until_over(client)
        finally:
            await self._leave(client)
            await net.close()

    def _firmware(self, net: "Net") -> BasicFirmware | ComponentFirmware:
        options = self._options
        if options.components:
            return ComponentFirmware(self._state_dir, options.components, net.protocols)
        return BasicFirmware(self._state_dir, options.version, options.object_version, net.protocols)

    async def _until_over(self, client: Lwm2mClient) -> None:
        over = asyncio.ensure_future(self._over.wait())
        registered = asyncio.ensure_future(client.registered())
        awaited = {over, registered}
        done, _ = await asyncio.wait(awaited, timeout=_PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            if self._troubled is None:
                self._trouble(f"no answer from {self._options.server} so far")
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        if registered.done():
            self._say("registered", server=self._options.server)
        registered.cancel()
        await over

    async def _leave(self, client: Lwm2mClient) -> None:
        """Deregister, unless it reboots; a second signal ends the wait for the server's answer."""
        if client.is_registered and not self._reboots:
            leaving = asyncio.ensure_future(client.stop(deregister=True))
            hurry = asyncio.ensure_future(self._hurry.wait())
            await asyncio.wait({leaving, hurry}, return_when=asyncio.FIRST_COMPLETED)
            hurry.cancel()
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
        await client.stop()

    def _trouble(self, message: str) -> None:
        """The same trouble is told once."""
        if message != self._troubled and not self._over.is_set():
            self._troubled = message
            self._say("trouble", message=message)

    def _reboot(self) -> None:
        self._reboots = True
        self._over.set()

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        if self._signalled:
            self._hurry.set()
        self._signalled = True
        self._over.set()


def run_device(options: DeviceOptions, say: Output) -> int:
    """Run the device; the exit status. On a reboot the process starts itself anew, as a device would.

    Raises:
        FotaError: its state or a key cannot be read, or its address cannot be had.
    """
    trust = read_trust(options.trusted, sha256=options.sha256)
    state_dir = StateDir(options.state_dir, options.capacity_bytes)
    try:
        reboots = asyncio.run(DeviceProcess(options, trust, state_dir, say).run())
    except SnapshotError as error:
        raise FotaError(f"the state folder {options.state_dir}: {error}") from error
    if reboots:
        say("rebooting")
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves
    say("stopped")
    return Exit.OK
