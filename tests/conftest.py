"""What all tests share: how much to run, and where the material of others lies."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from lwm2m_fota.lwm2m.firmware_object import PACKAGE_PATH, EndPush, FirmwareObject, StageBlock
from lwm2m_fota.machines.effects import DiscardImage, Notify, OpenStage, VerifyImage
from lwm2m_fota.machines.events import PackageReceived, PackageVerified
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.model.paths import Path as Lwm2mPath

ROOT = Path(__file__).resolve().parent.parent
FULL = os.environ.get("LWM2M_FOTA_FULL") == "1"
SHARED = Path(os.environ.get("LWM2M_FOTA_SHARED", ROOT.parent / "shared"))

settings.register_profile("slice", deadline=None, derandomize=True)
settings.register_profile("full", deadline=None, max_examples=2_000)
settings.load_profile("full" if FULL else "slice")


def pytest_report_header() -> list[str]:
    """Say what this run covers, so that a short run is never taken for the long one."""
    material = "present" if (SHARED / "spec").is_dir() else "absent: the tests that compare with it are skipped"
    return [
        f"long runs: {'full' if FULL else 'seeded slice (nox -s tests -- full runs all)'}",
        f"registry files and vectors of others: {material}",
    ]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests measured: `record_property("figure", "95 of 100 ...")`, also where they pass."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, ())]
    properties = [pair for report in reports if report.when == "call" for pair in report.user_properties]
    for name, figure in properties:
        if name == "figure":
            terminalreporter.write_line(figure)


@pytest.fixture(scope="session")
def counts() -> Callable[[int, int], int]:
    """`counts(20, 50)` is 20 in an ordinary run and 50 in a full one."""

    def choose(ordinary: int, full: int) -> int:
        return full if FULL else ordinary

    return choose


@pytest.fixture(scope="session")
def spec() -> Path:
    """The folder of registry XML and of vectors that come from others (`oma/`, `vectors/cose`, `vectors/suit*`).

    They are not ours to ship: set LWM2M_FOTA_SHARED to the folder above `spec`, or keep it beside the project.
    """
    folder = SHARED / "spec"
    if not folder.is_dir():
        pytest.skip("registry files and vectors of others are absent (LWM2M_FOTA_SHARED)")
    return folder


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


class FirmwareHost:
    """A real Object 5 as a LwM2M object without stores: it stages in memory and finds every package good.

    Attributes:
        firmware: the object.
        staged: the bytes of the package.
        effects: all that were asked for, in order.
        failure: raised in place of the next effect that touches the stage.
    """

    def __init__(self, profile=None):
        self.firmware = FirmwareObject(profile or FirmwareProfile())
        self.staged = bytearray()
        self.effects = []
        self.failure = None
        self.listeners = []
        self.wall = 1_700_000_000.0

    @property
    def definition(self):
        return self.firmware.definition

    def instances(self):
        return (0,)

    def resources(self, instance_id):
        return self.firmware.resources()

    def streams(self, path):
        return path == PACKAGE_PATH

    def listen(self, listener):
        self.listeners.append(listener)

    def handle(self, operation, now):
        handled = self.firmware.handle(operation, self.wall)
        self._carry_out(handled.effects)
        return handled.answer

    def report(self, event):
        self._carry_out(self.firmware.apply(event, self.wall).effects)

    def _carry_out(self, effects):
        for effect in effects:
            self.effects.append(effect)
            match effect:
                case OpenStage() | DiscardImage():
                    self.staged.clear()
                case StageBlock(offset, payload):
                    self._fail()
                    assert offset == len(self.staged)
                    self.staged += payload
                case EndPush():
                    self.report(PackageReceived())
                case VerifyImage(transfer):
                    self.report(PackageVerified("app", "2.0", transfer=transfer))
                case Notify(resource_ids):
                    for listener in self.listeners:
                        listener([Lwm2mPath.of(5, 0, each) for each in resource_ids])

    def _fail(self):
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure


@pytest.fixture(scope="session")
def firmware_host():
    """`firmware_host(profile)` is a `FirmwareHost`."""
    return FirmwareHost
