"""The OMA cases over real sockets, for Object 5 in each version and for Object 33629."""

import asyncio
import struct
from contextlib import asynccontextmanager

import attrs
import pytest

from lwm2m_fota.device.settings import FirmwareSettings
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.model.enums import DeliveryMethod
from lwm2m_fota.package.formats.mcuboot import McubootFormat
from lwm2m_fota.package.formats.registry import FormatRegistry
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.sim.devices import DeviceModel, Fault, SimulatedDevice
from lwm2m_fota.sim.scenario import package_of
from lwm2m_fota.storage.memory import MemoryPackageSource
from lwm2m_fota.testing.oma import CASES, Grade, OmaConformance, Subject, packages_from, run_cases
from lwm2m_fota.transport.udp import UdpTransport

CAPACITY = 65_536
GOOD = package_of(20_000, "1.1.0")
HUNGRY = struct.pack("<IIHHIIBBHII", 0x96F3B83D, 0, 32, 65_000, 100, 0, 1, 1, 0, 0, 0) + bytes(30_000)
"""An image whose header tells of more protected records than a verifier holds."""

PACKAGES = attrs.evolve(
    packages_from(GOOD, "1.1.0", oversized_bytes=CAPACITY + 1),
    hungry=MemoryPackageSource(HUNGRY),
    doomed=MemoryPackageSource(GOOD),
)
COMPONENTS = AdvancedProfile(components=(ComponentSpec(0, "app"), ComponentSpec(1, "modem")))


class Loopback:
    """A network whose transports are real sockets on this machine."""

    def transport(self, host, port=0):
        return UdpTransport("127.0.0.1", port)


@asynccontextmanager
async def device(profile, *, faults=(), object_id=5, instance_id=0):
    """A device at a server; "installing" and "rebooting" take no time to speak of."""
    model = DeviceModel(
        profile=profile,
        capacity_bytes=CAPACITY,
        boot_s=0.1,
        formats=FormatRegistry((McubootFormat(),)),
        firmware=FirmwareSettings(push_no_progress_s=1.0, settle_s=0.05),
        faults=faults,
    )
    async with Lwm2mServer(UdpTransport("127.0.0.1", 0)) as server:
        uri = f"coap://127.0.0.1:{server.local_address[1]}"
        async with SimulatedDevice(Loopback(), uri, "dev", model):
            yield Subject(
                gateway=server,
                endpoint="dev",
                packages=PACKAGES,
                host=server.packages,
                object_id=object_id,
                instance_id=instance_id,
                patience_s=30.0,
                answer_s=0.5,
                poll_s=0.02,
            )


def faults_of(number):
    return [Fault.REVERTS_TRIAL] if number == 779 else []


class TestObject5(OmaConformance):
    def subject(self, number):
        return device(FirmwareProfile(version="1.1"), faults=faults_of(number))


class TestObject5Version10(OmaConformance):
    def subject(self, number):
        return device(FirmwareProfile(version="1.0"), faults=faults_of(number))


class TestObject5Version12(OmaConformance):
    def subject(self, number):
        return device(FirmwareProfile(version="1.2"), faults=faults_of(number))


class TestObject33629(OmaConformance):
    def subject(self, number):
        return device(COMPONENTS, faults=faults_of(number), object_id=33629)


class TestAnotherComponent(OmaConformance):
    def subject(self, number):
        return device(COMPONENTS, faults=faults_of(number), object_id=33629, instance_id=1)


@pytest.mark.parametrize(
    ("delivery", "skipped"),
    [(DeliveryMethod.PUSH, {756, 771, 778}), (DeliveryMethod.PULL, {755, 771, 775})],
)
def test_one_device_runs_all_cases_one_after_the_other(delivery, skipped):
    """775 is left out where it needs an address that does not answer for as long as the device tries."""

    async def main():
        profile = FirmwareProfile(delivery=delivery)
        numbers = [number for number in CASES if (number, delivery) != (775, DeliveryMethod.PULL)]
        async with device(profile) as subject:
            without_doomed = attrs.evolve(subject, packages=attrs.evolve(PACKAGES, doomed=None))
            return await run_cases(without_doomed, numbers)

    reports = {report.case.number: report for report in asyncio.run(main())}
    grades = {number: report.grade for number, report in reports.items()}
    assert {number for number, grade in grades.items() if grade is Grade.SKIPPED} == (skipped - {775}) | {779}
    assert {number for number, grade in grades.items() if grade is Grade.FAILED} == set(), reports
