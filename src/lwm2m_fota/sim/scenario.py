"""One update over a faulty network from one seed: a server, a device, and a report of how it went."""

import asyncio
import random
from collections.abc import Mapping
from typing import Final, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines.update_effects import Note
from lwm2m_fota.machines.update_outcome import Outcome, Succeeded
from lwm2m_fota.machines.update_policy import Method, UpdatePlan, UpdatePolicy
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.package.formats.mcuboot_make import create_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageVersion
from lwm2m_fota.runtime.entropy import SeededEntropy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.server.updater import Updater
from lwm2m_fota.sim.devices import DeviceModel, SimulatedDevice
from lwm2m_fota.sim.loop import run
from lwm2m_fota.sim.network import Fate, LossyNetwork, Passage
from lwm2m_fota.storage.memory import MemoryPackageSource

SERVER_HOST: Final = "192.0.2.1"
DEVICE_HOST: Final = "192.0.2.2"
SERVER_PORT: Final = 5683
SERVER_URI: Final = f"coap://{SERVER_HOST}:{SERVER_PORT}"
ENDPOINT: Final = "device"
GRACE_S: Final = 60.0
"""A run that goes on for so long after the last limit of the update hangs, virtual seconds."""

_SEED_BITS: Final = 64


@final
@attrs.frozen(kw_only=True)
class Scenario:
    """An update and the network that it has to get through.

    Attributes:
        method: how the package goes.
        package_bytes: the size of the package, its envelope included.
        version: of the new firmware.
        loss: the share of datagrams that vanish, in each direction, 0 to 1.
        duplicate: the share of the others that arrive twice, 0 to 1.
        latency_s: the least delay of a datagram.
        reorder_s: what comes to it, at most.
        device: what is to be updated.
        policy: the choices of the update.
        power_cuts_s: when the device loses its power, seconds from the beginning.
        trace_datagrams: how many of the last datagrams the report is to show.
    """

    method: Method = attrs.field(default=Method.PUSH, converter=Method)
    package_bytes: int = 64 * 1024
    version: str = "1.1.0"
    loss: float = 0.2
    duplicate: float = 0.05
    latency_s: float = 0.05
    reorder_s: float = 0.5
    device: DeviceModel = attrs.field(factory=DeviceModel)
    policy: UpdatePolicy = attrs.field(factory=UpdatePolicy)
    power_cuts_s: tuple[float, ...] = ()
    trace_datagrams: int = 0


@final
@attrs.frozen(kw_only=True)
class RunReport:
    """How a run went.

    Attributes:
        seed: gives the same run again.
        outcome: what the server found.
        seconds: of virtual time, from the start of both to the outcome.
        datagrams: how many met each fate.
        state: what the device shows at the end.
        result: what the device shows at the end.
        version: of the firmware that runs at the end.
        is_intact: the device runs the factory image or the whole package, byte for byte; the package if the server
            says so.
        boots: how often the device came up.
        notes: the log of the update, each with its time.
        trace: the last datagrams.
    """

    seed: int
    outcome: Outcome
    seconds: float
    datagrams: Mapping[Fate, int]
    state: State
    result: UpdateResult
    version: str
    is_intact: bool
    boots: int
    notes: tuple[tuple[float, Note], ...] = attrs.field(repr=False)
    trace: tuple[Passage, ...] = attrs.field(repr=False)

    @property
    def succeeded(self) -> bool:
        """The server saw the update succeed."""
        return isinstance(self.outcome, Succeeded)

    @property
    def why(self) -> str:
        """The code of the diagnosis of a failure; the name of the outcome if there is none."""
        diagnosis = getattr(self.outcome, "diagnosis", None)
        return type(self.outcome).__name__ if diagnosis is None else str(diagnosis.code)


def package_of(size_bytes: int, version: str, seed: int = 0) -> bytes:
    """An unsigned MCUboot image of random bytes, `size_bytes` long with its envelope.

    Raises:
        UsageError: the size leaves no room for a body, or the version is not `1.2.3` or `1.2.3+4`.
    """
    number = ImageVersion.parse(version)
    body_bytes = size_bytes - len(create_mcuboot(b"", version=number, key=None))
    if body_bytes < 1:
        raise UsageError(f"{size_bytes} bytes leave no room for a body")
    return create_mcuboot(SeededEntropy(seed).token(body_bytes), version=number, key=None)


def run_update(scenario: Scenario, seed: int) -> RunReport:
    """Run one update from a seed on a virtual loop of its own; the same seed gives the same report.

    Raises:
        SimulationError: the update came to no end: it hangs.
        UsageError: a value of the scenario is out of range.
    """
    package = package_of(scenario.package_bytes, scenario.version, seed)
    plan = UpdatePlan(
        method=scenario.method,
        package_bytes=len(package),
        expected_version=scenario.version,
        schemes=("coap",),
        policy=scenario.policy,
    )
    limit_s = plan.limits.total_s + plan.limits.cleanup_s + GRACE_S
    return run(_Run(scenario, seed, package, plan).report(), limit_s=limit_s)


@final
class _Run:
    """A run on its loop."""

    def __init__(self, scenario: Scenario, seed: int, package: bytes, plan: UpdatePlan) -> None:
        # seeds of their own: more draws of one part do not change the others
        seeds = random.Random(seed)  # noqa: S311 - repeatable on purpose
        faults, server, device = (seeds.getrandbits(_SEED_BITS) for _ in range(3))
        self._seed = seed
        self._package = package
        self._plan = plan
        self._cuts_s = scenario.power_cuts_s
        self._network = LossyNetwork(
            faults,
            loss=scenario.loss,
            duplicate=scenario.duplicate,
            latency_s=scenario.latency_s,
            reorder_s=scenario.reorder_s,
            trace_datagrams=scenario.trace_datagrams,
        )
        self._server_seed = server
        self._device = SimulatedDevice(
            self._network, SERVER_URI, ENDPOINT, scenario.device, host=DEVICE_HOST, seed=device
        )
        self._notes: list[tuple[float, Note]] = []

    async def report(self) -> RunReport:
        """Run, and say how it went."""
        loop = asyncio.get_running_loop()
        transport = self._network.transport(SERVER_HOST, SERVER_PORT)
        server = Lwm2mServer(transport, pump=Pump(transport, entropy=SeededEntropy(self._server_seed)))
        async with server, self._device as device:
            for cut_s in self._cuts_s:
                loop.call_at(cut_s, device.power_cut)
            updater = Updater(server, server.packages)
            outcome = await updater.update(
                ENDPOINT, MemoryPackageSource(self._package), self._plan, listeners=[self._note]
            )
            return RunReport(
                seed=self._seed,
                outcome=outcome,
                seconds=loop.time(),
                datagrams=dict(self._network.counts),
                state=device.firmware.state,
                result=device.firmware.result,
                version=device.version,
                is_intact=self._is_intact(outcome),
                boots=device.boots,
                notes=tuple(self._notes),
                trace=tuple(self._network.trace),
            )

    def _note(self, note: Note) -> None:
        self._notes.append((asyncio.get_running_loop().time(), note))

    def _is_intact(self, outcome: Outcome) -> bool:
        image = self._device.image
        return image == self._package or (image is None and not isinstance(outcome, Succeeded))
