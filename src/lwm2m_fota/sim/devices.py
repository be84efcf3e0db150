"""Simulated devices: the device side of this library over a network in memory, with reboots, power cuts and faults.

A device keeps its stores from one boot to the next and nothing else: each boot makes a new client over them, as a
power-on does. It needs a running event loop, virtual (`sim.loop`) or real.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Final, final

import attrs

from lwm2m_fota.device.advanced import AdvancedFirmwareDevice
from lwm2m_fota.device.client import ClientSettings, Lwm2mClient, OtherServer, ServerAccount
from lwm2m_fota.device.engine import Surroundings
from lwm2m_fota.device.fetch import CoapFetcher, PackageFetcher
from lwm2m_fota.device.firmware import FirmwareDevice, FirmwareSettings
from lwm2m_fota.device.installer import BootStatus
from lwm2m_fota.device.slots import BatchSlotInstaller, SlotInstaller
from lwm2m_fota.errors import UsageError
from lwm2m_fota.lwm2m.dispatch import DispatchSettings
from lwm2m_fota.lwm2m.registration import RegistrationSettings
from lwm2m_fota.machines.component_profile import AdvancedProfile
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.model.paths import Path
from lwm2m_fota.package.formats.registry import FormatRegistry, default_formats
from lwm2m_fota.package.trust import TrustPolicy, UnsafeTrustPolicy
from lwm2m_fota.runtime.entropy import SeededEntropy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.sim.flash import SimulatedFlash
from lwm2m_fota.sim.sleepy import SleepyTransport
from lwm2m_fota.storage.memory import MemoryStateStore
from lwm2m_fota.transport.base import DatagramTransport
from lwm2m_fota.transport.memory import MemoryNetwork

POWER_ON_UNIX_S: Final = 1_767_225_600.0
"""What the wall clock of a simulated device shows at the loop's time 0: 2026-01-01, 00:00 UTC."""

_PROFILE: Final = FirmwareProfile()


@final
class Fault(Enum):
    """What is wrong with a simulated device.

    Attributes:
        FORGETS_STATE: its object does not outlive a reboot: it comes up with State 0 and Result 0.
        REVERTS_TRIAL: a new image crashes on its trial boot, and the boot loader goes back to the former one.
        STAYS_OFF: it never comes back from its first reboot.
    """

    FORGETS_STATE = "forgets its state at reboot"
    REVERTS_TRIAL = "reverts the trial"
    STAYS_OFF = "stays off at reboot"


def _faults(faults: Iterable[Fault]) -> frozenset[Fault]:
    return frozenset(faults)


@final
@attrs.frozen(kw_only=True)
class DeviceModel:
    """What a simulated device is.

    Attributes:
        factory_version: of the firmware before any update, and of each of its components.
        profile: of Object 5, or of Object 33629 with its components.
        trust: what a package must show; by default anything is taken.
        formats: the package formats that are understood.
        capacity_bytes: of each staging area and of each slot.
        lifetime_s: of the registration.
        lwm2m_version: that it registers with.
        leaves: it deregisters before it reboots; a power cut leaves no time for that.
        awake_s: it sleeps so long after its last message, seconds, and registers in queue mode; None if it never does.
        dispatch: which formats and operations it knows.
        reports: what it sends by itself, to a server that allows it.
        other_server: what another server may do during an update.
        boot_s: from a reboot until it is on the network again; a failed trial boot takes as long.
        firmware: times and policies of the firmware.
        faults: what is wrong with it.
    """

    factory_version: str = "1.0.0"
    profile: FirmwareProfile | AdvancedProfile = _PROFILE
    trust: TrustPolicy = attrs.field(factory=UnsafeTrustPolicy)
    formats: FormatRegistry = attrs.field(factory=default_formats)
    capacity_bytes: int = 1 << 20
    lifetime_s: int = 300
    lwm2m_version: str = "1.1"
    leaves: bool = False
    awake_s: float | None = None
    dispatch: DispatchSettings = attrs.field(factory=DispatchSettings)
    reports: tuple[Path, ...] = ()
    other_server: OtherServer = OtherServer.BUSY
    boot_s: float = 10.0
    firmware: FirmwareSettings = attrs.field(factory=FirmwareSettings)
    faults: frozenset[Fault] = attrs.field(default=frozenset(), converter=_faults)

    @property
    def instances(self) -> tuple[int, ...]:
        """Of its object."""
        return self.profile.instances if isinstance(self.profile, AdvancedProfile) else (0,)


@final
class SimulatedDevice:
    """One device with its flash; use it as an asynchronous context manager, or call `start` and `stop`.

    Args:
        network: what it is attached to.
        servers: `coap://HOST:PORT` of its server, or an account at each.
        endpoint: its endpoint name.
        model: what it is.
        host: its address; the network gives it a free port at every boot.
        seed: of its message ids, tokens and jitter.
        over: put over the transport of every boot, such as DTLS; or in its place, and then on a network of its own.
        fetchers: ways to get packages beside CoAP on the endpoint of the management.

    Attributes:
        boots: how often it has come up.
    """

    def __init__(
        self,
        network: MemoryNetwork,
        servers: str | Sequence[ServerAccount],
        endpoint: str,
        model: DeviceModel | None = None,
        *,
        host: str = "192.0.2.2",
        seed: int = 0,
        over: Callable[[DatagramTransport], DatagramTransport] | None = None,
        fetchers: Sequence[PackageFetcher] = (),
    ) -> None:
        self._network = network
        self._fetchers = tuple(fetchers)
        self._over = over
        self._servers = servers
        self._endpoint = endpoint
        self._model = model or DeviceModel()
        self._host = host
        self._entropy = SeededEntropy(seed)
        capacity = self._model.capacity_bytes
        instances = self._model.instances
        self._staged = {each: SimulatedFlash(capacity) for each in instances}
        self._slots = {each: (SimulatedFlash(capacity), SimulatedFlash(capacity)) for each in instances}
        self._state = MemoryStateStore()
        self._record = MemoryStateStore()
        self._owner = MemoryStateStore()
        self._client: Lwm2mClient | None = None
        self._firmware: FirmwareDevice | AdvancedFirmwareDevice | None = None
        self._life: asyncio.Task[None] | None = None
        self._down = asyncio.Event()
        self._up = asyncio.Event()
        self._off_s = 0.0
        self._loses_power = False
        self._sleepers: list[SleepyTransport] = []
        self.boots = 0

    async def __aenter__(self) -> "SimulatedDevice":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Switch it on; returns before it is registered.

        Raises:
            UsageError: it is on already.
            TransportError: its address is taken.
        """
        if self._life is not None:
            raise UsageError("the device is on already")
        await self._boot()
        self._life = asyncio.get_running_loop().create_task(self._live())

    async def stop(self, *, leaves: bool = False) -> None:
        """Switch it off for good; what it stored stays readable. Twice is harmless.

        Args:
            leaves: deregister first; by default without a word to the server.

        Raises:
            FotaError: what made an earlier reboot fail.
        """
        life, self._life = self._life, None
        if life is None:
            return
        life.cancel()
        try:
            await life
        except asyncio.CancelledError:
            pass
        finally:
            await self._halt(leaves=leaves)

    def power_cut(self, off_s: float = 5.0) -> None:
        """The power fails now and comes back after `off_s` seconds; `boots` and `registered` tell how it goes on.

        What was staged and not yet made durable is lost. While the device is down already, nothing happens.
        """
        self._loses_power = True
        self._go_down(off_s)

    async def registered(self) -> None:
        """Wait until the device, in whichever boot, is registered.

        Raises:
            UsageError: it was never switched on, or is off for good.
        """
        while not self.is_registered:
            life, client = self._life, self._client
            if life is None or life.done():
                raise UsageError("the device is off and stays so")
            events = (self._down.wait(), client.registered()) if self.is_on and client else (self._up.wait(),)
            waits = [asyncio.ensure_future(event) for event in events]
            try:
                await asyncio.wait([life, *waits], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    # -- what can be seen

    @property
    def is_on(self) -> bool:
        """False while it boots or has no power."""
        return self._up.is_set()

    @property
    def is_registered(self) -> bool:
        """It is on, and its server has accepted it."""
        return self.is_on and not self._down.is_set() and self._client is not None and self._client.is_registered

    @property
    def missed(self) -> int:
        """How many datagrams came while it slept."""
        return sum(each.missed for each in self._sleepers)

    @property
    def version(self) -> str:
        """Of the running firmware, or of its main component."""
        return self._loader.boot_report().versions[0]

    @property
    def versions(self) -> Mapping[int, str]:
        """What runs, by instance."""
        return dict(zip(self._model.instances, self._loader.boot_report().versions, strict=True))

    @property
    def image(self) -> bytes | None:
        """The bytes that run, or those of the main component; None while the factory image does."""
        return self.images[self._model.instances[0]]

    @property
    def images(self) -> Mapping[int, bytes | None]:
        """The bytes that run, by instance."""
        running = {each: self._loader.running_image(each) for each in self._model.instances}
        return {each: None if image is None else image.read_at(0, image.size_bytes) for each, image in running.items()}

    @property
    def client(self) -> Lwm2mClient:
        """The client of the present boot.

        Raises:
            UsageError: the device is off.
        """
        if self._client is None:
            raise UsageError("the device is off")
        return self._client

    @property
    def firmware(self) -> FirmwareDevice:
        """Object 5 of the present boot, or of the last one.

        Raises:
            UsageError: the device was never on, or it has Object 33629.
        """
        if not isinstance(self._firmware, FirmwareDevice):
            raise UsageError("the device was never on, or has no Object 5")
        return self._firmware

    @property
    def components(self) -> AdvancedFirmwareDevice:
        """Object 33629 of the present boot, or of the last one.

        Raises:
            UsageError: the device was never on, or it has Object 5.
        """
        if not isinstance(self._firmware, AdvancedFirmwareDevice):
            raise UsageError("the device was never on, or has no Object 33629")
        return self._firmware

    @property
    def _loader(self) -> BatchSlotInstaller:
        versions = dict.fromkeys(self._model.instances, self._model.factory_version)
        return BatchSlotInstaller(self._record, self._slots, versions)

    # -- life

    async def _live(self) -> None:
        while True:
            await self._down.wait()
            await self._halt(leaves=self._model.leaves)
            if Fault.STAYS_OFF in self._model.faults:
                return
            if Fault.FORGETS_STATE in self._model.faults:
                self._state.clear()
            await asyncio.sleep(self._off_s)
            await self._boot()

    def _go_down(self, off_s: float) -> None:
        if self._up.is_set() and not self._down.is_set():
            self._off_s = off_s
            self._down.set()

    def _reboot(self) -> None:
        self._go_down(self._model.boot_s)

    async def _halt(self, *, leaves: bool) -> None:
        self._up.clear()
        flashes = [flash for each, staged in self._staged.items() for flash in (staged, *self._slots[each])]
        loses_power, kept = self._loses_power, self._state.load()
        for flash in flashes if loses_power else ():
            flash.fail()
        if self._client is not None:
            await self._client.stop(deregister=leaves and not loses_power)
            self._client = None
        if loses_power:
            self._state.save(kept) if kept is not None else self._state.clear()
            for flash in flashes:
                flash.cut_power()
        self._loses_power = False

    async def _boot(self) -> None:
        report = self._loader.boot()
        if report.status is BootStatus.PENDING and Fault.REVERTS_TRIAL in self._model.faults:
            await asyncio.sleep(self._model.boot_s)
            self._loader.boot()
        self._down.clear()
        self._firmware, self._client = self._made()
        await self._client.start()
        self.boots += 1
        self._up.set()

    def _made(self) -> tuple[FirmwareDevice | AdvancedFirmwareDevice, Lwm2mClient]:
        model, loop = self._model, asyncio.get_running_loop()
        transport: DatagramTransport = self._network.transport(self._host)
        if model.awake_s is not None:
            transport = SleepyTransport(transport, model.awake_s)
            self._sleepers.append(transport)
        if self._over is not None:
            transport = self._over(transport)
        pump = Pump(transport, entropy=self._entropy)
        around: Surroundings = {
            "trust": model.trust,
            "formats": model.formats,
            "state": self._state,
            "reboot": self._reboot,
            "fetchers": (CoapFetcher(pump), *self._fetchers),
            "settings": model.firmware,
            "wall_clock": lambda: POWER_ON_UNIX_S + loop.time(),
            "chance": lambda: self._entropy.uniform(0.0, 1.0),
        }
        firmware: FirmwareDevice | AdvancedFirmwareDevice
        if isinstance(model.profile, AdvancedProfile):
            firmware = AdvancedFirmwareDevice(
                profile=model.profile, images=self._staged, installer=self._loader, **around
            )
        else:
            slots = SlotInstaller(self._record, self._slots[0], model.factory_version)
            firmware = FirmwareDevice(profile=model.profile, images=self._staged[0], installer=slots, **around)
        registration = RegistrationSettings(
            endpoint=self._endpoint,
            lifetime_s=model.lifetime_s,
            lwm2m_version=model.lwm2m_version,
            queue_mode=model.awake_s is not None,
        )
        settings = ClientSettings(
            registration=registration,
            dispatch=model.dispatch,
            other_server=model.other_server,
            reports=model.reports,
        )
        return firmware, Lwm2mClient(pump, self._servers, firmware, settings, reboot=self._reboot, owner=self._owner)
