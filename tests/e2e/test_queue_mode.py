"""Updates of devices that sleep (queue mode): across many sleeps, and without a datagram that meets a sleeping device."""

import asyncio
import itertools

import attrs
import pytest

from lwm2m_fota.lwm2m.dispatch import DispatchSettings
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.machines.update_effects import Progressed, StepChanged
from lwm2m_fota.machines.update_limits import limits_for
from lwm2m_fota.machines.update_outcome import Succeeded
from lwm2m_fota.machines.update_policy import Execution, ObserveBy, UpdatePlan, UpdatePolicy, Watch
from lwm2m_fota.machines.update_sleep import with_sleeps
from lwm2m_fota.model.formats import ContentFormat
from lwm2m_fota.runtime.entropy import SeededEntropy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.server.planning import plan_for
from lwm2m_fota.server.updater import Updater
from lwm2m_fota.sim.devices import DeviceModel, SimulatedDevice
from lwm2m_fota.sim.loop import run
from lwm2m_fota.sim.network import LossyNetwork
from lwm2m_fota.sim.scenario import package_of
from lwm2m_fota.storage.memory import MemoryPackageSource

URI = "coap://192.0.2.1:5683"
SERVER, DEVICE = "192.0.2.1", "192.0.2.2"
LIFETIME_S = 3600
AWAKE_S = 93.0
PACKAGE = package_of(40_000, "1.1.0")


class Site:
    """A server, and a device that sleeps and comes back every half hour."""

    def __init__(self, **model):
        self.network = LossyNetwork(1, latency_s=0.5, trace_datagrams=10_000)
        transport = self.network.transport(SERVER, 5683)
        self.server = Lwm2mServer(transport, pump=Pump(transport, entropy=SeededEntropy(1)))
        self.device = SimulatedDevice(
            self.network,
            URI,
            "device",
            DeviceModel(lifetime_s=LIFETIME_S, awake_s=AWAKE_S, **model),
            host=DEVICE,
        )

    async def __aenter__(self):
        await self.server.start()
        await self.device.start()
        await self.server.registered("device")
        return self

    async def __aexit__(self, *_):
        await self.device.stop()
        await self.server.stop()

    def sleeps(self):
        """How often the device slept between what it sent."""
        sent = [each.time_s for each in self.network.trace if each.source[0] == DEVICE]
        return sum(later - earlier > AWAKE_S for earlier, later in itertools.pairwise(sent))


def at_a_site(main, **model):
    async def whole():
        async with Site(**model) as site:
            return await main(site)

    return run(whole(), limit_s=1_000_000.0)


def plan_of(method, **policy):
    return UpdatePlan(
        method=method,
        package_bytes=len(PACKAGE),
        expected_version="1.1.0",
        schemes=("coap",),
        limits=with_sleeps(limits_for(len(PACKAGE)), LIFETIME_S),
        policy=UpdatePolicy(**policy),
    )


async def updated(site, plan, *listeners):
    """Update the device, which has fallen asleep before."""
    await asyncio.sleep(1000.0)
    updater = Updater(site.server, site.server.packages)
    outcome = await updater.update("device", MemoryPackageSource(PACKAGE), plan, listeners=listeners)
    assert isinstance(outcome, Succeeded)
    assert site.device.image == PACKAGE


@pytest.mark.parametrize("method", ["push", "pull"])
@pytest.mark.parametrize("watch", list(Watch))
def test_nothing_is_sent_to_a_sleeping_device(method, watch):
    async def main(site):
        await updated(site, plan_of(method, watch=watch))
        assert site.sleeps() >= 1
        assert site.device.missed == 0

    at_a_site(main)


@pytest.mark.parametrize("method", ["push", "pull"])
def test_an_update_that_is_interrupted_again_and_again_goes_on_after_each_sleep(method):
    """The power fails in the transfer, for longer than the device would be awake; three times."""

    async def main(site):
        cuts = [10_000, 20_000, 30_000]

        def on_note(note):
            if isinstance(note, Progressed) and cuts and note.bytes_done > cuts[0]:
                del cuts[0]
                site.device.power_cut(1200.0)

        await updated(site, plan_of(method), on_note)
        assert cuts == []
        assert site.device.boots == 5
        assert site.sleeps() >= 4

    at_a_site(main)


@pytest.mark.parametrize("method", ["push", "pull"])
@pytest.mark.parametrize("execution", Execution)
def test_components_are_updated_across_sleeps(method, execution):
    """Each package in its own transfer, with a sleep before the first one and wherever the power fails."""
    names = ("app", "modem", "sensor")
    profile = AdvancedProfile(components=tuple(ComponentSpec(at, name, (str(at),)) for at, name in enumerate(names)))
    packages = {name: MemoryPackageSource(package_of(20_000, "1.1.0", seed)) for seed, name in enumerate(names)}

    async def main(site):
        steps, cut = [], set()

        def on_note(note):
            """The power fails once in the transfer of each component."""
            if isinstance(note, StepChanged):
                steps.append(note)
            elif isinstance(note, Progressed) and note.bytes_done > 10_000 and steps[-1].component not in cut:
                cut.add(steps[-1].component)
                site.device.power_cut(1200.0)

        plan = plan_for(packages)
        limits = with_sleeps(plan.limits, LIFETIME_S)
        policy = UpdatePolicy(execution=execution)
        plan = attrs.evolve(plan, method=method, schemes=("coap",), limits=limits, policy=policy)
        await asyncio.sleep(1000.0)
        updater = Updater(site.server, site.server.packages)
        outcome = await updater.update("device", packages, plan, listeners=(on_note,))
        assert isinstance(outcome, Succeeded)
        images = {at: source.read_at(0, source.size_bytes) for at, source in enumerate(packages.values())}
        assert site.device.images == images
        assert cut == set(names)
        assert site.sleeps() >= 4

    at_a_site(main, profile=profile)


SPOKEN = (ContentFormat.TEXT, ContentFormat.OPAQUE)
TLV_ONLY = DispatchSettings(default_format=ContentFormat.TLV, formats=(*SPOKEN, ContentFormat.TLV), composite=False)
SENML_ONLY = DispatchSettings(formats=(*SPOKEN, ContentFormat.SENML_CBOR))
NO_COMPOSITE = DispatchSettings(composite=False)


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_a_fleet_of_unlike_devices_that_sleep_and_that_do_not(loss):
    """LwM2M 1.0 with TLV, 1.1 with and without composite operations, 1.2; some sleep; each observed in another way."""
    kinds = [
        (DeviceModel(lwm2m_version=version, dispatch=dispatch, awake_s=awake_s, lifetime_s=LIFETIME_S), by, method)
        for version, dispatch in [
            ("1.0", TLV_ONLY),
            ("1.1", SENML_ONLY),
            ("1.1", NO_COMPOSITE),
            ("1.2", DispatchSettings()),
        ]
        for awake_s in (None, AWAKE_S)
        for by in (ObserveBy.RESOURCES, ObserveBy.INSTANCES, ObserveBy.COMPOSITE)
        for method in ("push", "pull")
    ]

    async def main():
        network = LossyNetwork(3, loss=loss, latency_s=0.2)
        transport = network.transport(SERVER, 5683)
        devices = [
            SimulatedDevice(network, URI, f"device-{number}", model, host=f"198.51.100.{number}", seed=number)
            for number, (model, _, _) in enumerate(kinds)
        ]
        async with Lwm2mServer(transport, pump=Pump(transport, entropy=SeededEntropy(1))) as server:
            updater = Updater(server, server.packages)
            for device in devices:
                await device.start()
            await asyncio.sleep(1000.0)
            outcomes = await asyncio.gather(
                *(
                    updater.update(f"device-{number}", MemoryPackageSource(PACKAGE), plan_of(method, observe_by=by))
                    for number, (_, by, method) in enumerate(kinds)
                )
            )
            assert [type(each) for each in outcomes] == [Succeeded] * len(kinds)
            assert {device.image for device in devices} == {PACKAGE}
            if loss == 0.0:
                assert sum(device.missed for device in devices) == 0
            for device in devices:
                await device.stop()

    run(main(), limit_s=1_000_000.0)
