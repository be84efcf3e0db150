"""What all tests share: how much to run, and where the material of others lies."""

import datetime as dt
import ipaddress
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import HealthCheck, settings

from lwm2m_fota.errors import RefusedError
from lwm2m_fota.lwm2m.firmware_object import PACKAGE_PATH, FirmwareObject
from lwm2m_fota.lwm2m.update_operations import EndPush, StageBlock
from lwm2m_fota.machines.effects import DiscardImage, Notify, OpenStage, VerifyImage
from lwm2m_fota.machines.events import PackageReceived, PackageVerified
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.model.paths import Path as Lwm2mPath
from lwm2m_fota.transport.tls import HAS_PSK

ROOT = Path(__file__).resolve().parent.parent
FULL = os.environ.get("LWM2M_FOTA_FULL") == "1"
SHARED = Path(os.environ.get("LWM2M_FOTA_SHARED", ROOT.parent / "shared"))

# How long it takes to draw depends on how busy the machine is, and whether it was stopped meanwhile.
ANY_TIME = (HealthCheck.too_slow,)
settings.register_profile("slice", deadline=None, derandomize=True, suppress_health_check=ANY_TIME)
settings.register_profile("full", deadline=None, max_examples=2_000, suppress_health_check=ANY_TIME)
settings.load_profile("full" if FULL else "slice")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Run in the background of a shell, the tests ignore what they send to the programs that they start, which inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


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


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With LWM2M_FOTA_INTEROP=write, write the page of interoperability; with =check, see that nothing on it is old."""
    what = os.environ.get("LWM2M_FOTA_INTEROP")
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if what is None or reporter is None or hasattr(session.config, "workerinput"):
        return
    rows = {
        value
        for report in reporter.stats.get("passed", ())
        for name, value in report.user_properties
        if name == "met" and report.when == "call"
    }
    page = ROOT / "docs" / "reference" / "interop.md"
    text, mark = page.read_text(encoding="utf-8"), "| --- | --- | --- | --- |\n"
    above, _, below = text.partition(mark)
    if not HAS_PSK:
        rows |= {row for row in below.splitlines() if "Python 3.13" in row}  # those are for another run
    skipped = [
        report for report in reporter.stats.get("skipped", ()) if "needs Python 3.13" not in str(report.longrepr)
    ]
    if what == "write":
        page.write_text(above + mark + "".join(f"{row}\n" for row in sorted(rows)), encoding="utf-8")
    elif not skipped and (old := sorted(set(below.splitlines()) - rows)):
        reporter.write_line("no test shows any more:\n" + "\n".join(old), red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


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

    def check(self, operation, now):
        machine = self.firmware.machine
        try:
            answer = self.firmware.handle(operation, self.wall).answer
        finally:
            self.firmware.machine = machine
        if answer.code >> 5 != 2:
            raise RefusedError(answer.diagnostic, code=answer.code)

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


class Certified:
    """A certificate with its key, in PEM.

    Attributes:
        certificate: its own.
        chain: its own, and those between it and the root.
        key: the private key.
    """

    def __init__(self, certificate, key, above=b""):
        self.x509 = certificate
        self.private = key
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM)
        self.chain = self.certificate + above
        self.key = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def write(self, folder, name):
        """`folder/name.pem` and `folder/name.key`, for programs: the paths."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(self.chain)
        key.touch(0o600)
        key.write_bytes(self.key)
        return certificate, key


class Authority(Certified):
    """An authority that signs certificates of any kind, good ones and others."""

    def __init__(self, name, issuer=None):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, key, issuer, (), (-1, 3650), ca=True)
        super().__init__(certificate, key, b"" if issuer is None else issuer.chain)

    def sign(self, name, hosts=(), *, days=(-1, 30), rsa_bits=None):
        """A certificate for a name, and for hosts: DNS names, addresses or URIs; `days` from now on."""
        key = ec.generate_private_key(ec.SECP256R1())
        if rsa_bits is not None:
            key = rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)
        certificate = _certificate(name, key, self, hosts, days, ca=False)
        return Certified(certificate, key, b"" if self.x509.issuer == self.x509.subject else self.chain)


def _certificate(name, key, issuer, hosts, days, *, ca):
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)] if name else [])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.x509.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=days[0]))
        .not_valid_after(now + dt.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), False)
    return builder.sign(key if issuer is None else issuer.private, hashes.SHA256())


def _general_name(host):
    if ":" in host and host.startswith("urn:"):
        return x509.UniformResourceIdentifier(host)
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


@pytest.fixture(scope="session")
def authority():
    """`authority.sign("name", ["127.0.0.1"])` is a certificate that the root `authority.certificate` has signed."""
    return Authority("lwm2m-fota test root")


@pytest.fixture(scope="session")
def other_authority():
    """An authority that nobody here believes, unless told to."""
    return Authority("another test root")


@pytest.fixture(scope="session")
def middle_authority(authority):
    """An authority between the root and what it signs."""
    return Authority("lwm2m-fota test authority", authority)
