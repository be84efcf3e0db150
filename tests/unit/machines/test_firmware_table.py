"""Every cell of the device machine, transcribed by hand from SPEC 3.1, 3.3 and 3.4 in plain integers."""

import attrs
import pytest

from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines import policies
from lwm2m_fota.machines.events import BootOutcome, Found, StagedImage
from lwm2m_fota.machines.firmware import step
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.state import Deferral, FirmwareMachine, Settings
from lwm2m_fota.model.enums import DeliveryMethod, ProtocolSupport, Severity, State, UpdateResult

WALL = 5000.0
URI = "coap://host.example/fw"
AUTO = Settings(Severity.MANDATORY, 60, auto_upgrade=True)


def machine(state, result, delivery=None, *, received=False, **more):
    uri = URI if delivery == "pull" else ""
    more.setdefault("settings", Settings(Severity.MANDATORY, 60))
    return FirmwareMachine(
        State(state), UpdateResult(result), delivery, received, uri, transfer=7, attempt=3, last_change=1.0, **more
    )


SITUATIONS = {
    "idle": machine(0, 4),
    "updated": machine(0, 1),
    "push": machine(1, 0, "push"),
    "push complete": machine(1, 0, "push", received=True),
    "pull": machine(1, 0, "pull"),
    "pull complete": machine(1, 0, "pull", received=True),
    "auto": machine(1, 0, "push", received=True, settings=AUTO),
    "downloaded": machine(2, 0, "push", received=True),
    "failed": machine(2, 8, "pull", received=True),
    "deferred": machine(2, 11, "push", received=True, deferral=Deferral(4000.0, 5000.0)),
    "deferred, clock back": machine(2, 11, "push", received=True, deferral=Deferral(6000.0, 7000.0)),
    "deferred, not due": machine(2, 11, "push", received=True, deferral=Deferral(4000.0, 5000.5)),
    "updating": machine(3, 0, "pull", received=True),
}


def boot(outcome, image=StagedImage.SEALED, attempt=3):
    return ev.Restarted(Found(image=image, boot=outcome, attempt=attempt))


REQUESTS = {
    "package": ev.PackageBegun(1000),
    "empty package": ev.EmptyPackageWritten(),
    "reset": ev.ResetWritten("package"),
    "uri": ev.UriWritten(URI),
    "bad uri": ev.UriWritten("no uri"),
    "ftp uri": ev.UriWritten("ftp://host.example/fw"),
    "update": ev.UpdateExecuted(),
    "update, defer": ev.UpdateExecuted(defer=True),
    "cancel": ev.CancelExecuted(),
    "severity 0": ev.SeverityWritten(0),
    "severity 3": ev.SeverityWritten(3),
    "severity -1": ev.SeverityWritten(-1),
    "max defer 9": ev.MaxDeferWritten(9),
    "max defer -1": ev.MaxDeferWritten(-1),
    "max defer huge": ev.MaxDeferWritten(2**63),
    "auto upgrade": ev.AutoUpgradeWritten(enabled=False),
}
REPORTS = {
    "received": ev.PackageReceived(7),
    "received, late": ev.PackageReceived(6),
    "verified": ev.PackageVerified("name", "1.2", transfer=7),
    "verified, late": ev.PackageVerified("name", "1.2", transfer=6),
    "verified, defer": ev.PackageVerified("name", "1.2", defer=True),
    **{f"failed {result}": ev.TransferFailed(UpdateResult(result)) for result in (2, 3, 4, 5, 6, 7, 9)},
    "failed 4, late": ev.TransferFailed(UpdateResult.CONNECTION_LOST, transfer=6),
    "installed": ev.InstallSucceeded(3),
    "installed, late": ev.InstallSucceeded(2),
    "install failed": ev.InstallFailed(),
    "install failed, lost": ev.InstallFailed(image_kept=False),
    "install failed, late": ev.InstallFailed(attempt=2),
    "install failed 5": ev.InstallFailed(UpdateResult.INTEGRITY_FAILURE),
    "deferral ended": ev.DeferralEnded(),
    "clock": ev.ClockRead(),
    "restart, nothing": boot(BootOutcome.NONE, StagedImage.MISSING),
    "restart, partial": boot(BootOutcome.NONE, StagedImage.PARTIAL),
    "restart, sealed": boot(BootOutcome.NONE),
    "restart, confirmed": boot(BootOutcome.CONFIRMED),
    "restart, confirmed of other": boot(BootOutcome.CONFIRMED, attempt=2),
    "restart, pending": boot(BootOutcome.PENDING),
    "restart, rejected": boot(BootOutcome.REJECTED),
    "restart, reverted": boot(BootOutcome.REVERTED),
    "restart, reverted, lost": boot(BootOutcome.REVERTED, StagedImage.MISSING),
}
EVENTS = REQUESTS | REPORTS

# (State, Result, answer): answers are CoAP code bytes, 68 is 2.04, 95 is 2.31, 128 is 4.00, 133 is 4.05,
# 141 is 4.13, 160 is 5.00. What is not listed is refused.
SETTINGS_1_1 = ("severity 0", "max defer 9")
SETTINGS_1_2 = ("auto upgrade",)
RESTARTS_ANY_BOOT = ("sealed", "confirmed", "confirmed of other", "pending", "rejected", "reverted")


def _restarts(sealed, missing, partial):
    """Outside Updating the boot outcome says nothing; what counts is the image."""
    told = {f"restart, {name}": sealed for name in RESTARTS_ANY_BOOT}
    return told | {"restart, nothing": missing, "restart, reverted, lost": missing, "restart, partial": partial}


FAILS = {
    "failed 2": (0, 2, 141),
    "failed 3": (0, 3, 160),
    "failed 4": (0, 4, None),
    "failed 5": (0, 5, 128),
    "failed 6": (0, 6, 128),
}
FAILS_OF_PULL = FAILS | {"failed 7": (0, 7, None), "failed 9": (0, 9, None)}
STOPS = {"reset": (0, 0, 68), "cancel": (0, 10, 68)}
PUSH_LOST = _restarts((1, 0, None), (0, 4, None), (0, 4, None))
PULL_GOES_ON = _restarts((1, 0, None), (1, 0, None), (1, 0, None))
EXECUTE = {"update": (3, 0, 68), "update, defer": (2, 11, 68)}
ACCEPT = {"deferral ended": (3, 0, None)}

EXPECTED_1_2 = {
    "idle": {
        "package": (1, 0, 95),
        "uri": (1, 0, 68),
        "bad uri": (1, 0, 68),
        "ftp uri": (1, 0, 68),
        "reset": (0, 0, 68),
        **_restarts((0, 4, None), (0, 4, None), (0, 4, None)),
    },
    "updated": {
        "package": (1, 0, 95),
        "uri": (1, 0, 68),
        "bad uri": (1, 0, 68),
        "ftp uri": (1, 0, 68),
        "reset": (0, 0, 68),
        **_restarts((0, 1, None), (0, 1, None), (0, 1, None)),
    },
    "push": {"package": (1, 0, 95), "received": (1, 0, 68), **FAILS, **STOPS, **PUSH_LOST},
    "push complete": {"verified": (2, 0, None), "verified, defer": (2, 0, None), **FAILS, **STOPS, **PUSH_LOST},
    "pull": {"received": (1, 0, 68), **FAILS_OF_PULL, **STOPS, **PULL_GOES_ON},
    "pull complete": {
        "verified": (2, 0, None),
        "verified, defer": (2, 0, None),
        **FAILS_OF_PULL,
        **STOPS,
        **PULL_GOES_ON,
    },
    "auto": {"verified": (3, 0, None), "verified, defer": (2, 11, None), **FAILS, **STOPS, **PUSH_LOST},
    "downloaded": {**EXECUTE, **STOPS, **_restarts((2, 0, None), (0, 5, None), (0, 5, None))},
    "failed": {**EXECUTE, **STOPS, **_restarts((2, 8, None), (0, 5, None), (0, 5, None))},
    "deferred": {
        **EXECUTE,
        **ACCEPT,
        **STOPS,
        **_restarts((2, 11, None), (0, 5, None), (0, 5, None)),
        "clock": (3, 0, None),
    },
    "deferred, clock back": {
        **EXECUTE,
        **ACCEPT,
        **STOPS,
        **_restarts((2, 11, None), (0, 5, None), (0, 5, None)),
        "clock": (2, 11, None),
    },
    "deferred, not due": {**EXECUTE, **ACCEPT, **STOPS, **_restarts((2, 11, None), (0, 5, None), (0, 5, None))},
    "updating": {
        "installed": (0, 1, None),
        "install failed": (2, 8, None),
        "install failed, lost": (0, 8, None),
        "install failed 5": (0, 5, None),
        "restart, nothing": (0, 8, None),
        "restart, partial": (0, 8, None),
        "restart, sealed": (2, 8, None),
        "restart, confirmed": (0, 1, None),
        "restart, confirmed of other": (2, 8, None),
        "restart, pending": (3, 0, None),
        "restart, rejected": (0, 5, None),
        "restart, reverted": (2, 8, None),
        "restart, reverted, lost": (0, 8, None),
    },
}
for name, cells in EXPECTED_1_2.items():
    before = SITUATIONS[name]
    cells.update({event: (int(before.state), int(before.result), 68) for event in SETTINGS_1_1 + SETTINGS_1_2})

EXPECTED_1_1 = {
    name: {event: told for event, told in cells.items() if event not in SETTINGS_1_2}
    for name, cells in EXPECTED_1_2.items()
}
EXPECTED_1_1["auto"] |= {"verified": (2, 0, None), "verified, defer": (2, 0, None)}

EXPECTED_1_0 = {
    name: {
        event: told
        for event, told in cells.items()
        if event not in {*SETTINGS_1_1, "cancel", "deferral ended", "clock"}
    }
    for name, cells in EXPECTED_1_1.items()
}
for name in ("downloaded", "failed", "deferred", "deferred, clock back", "deferred, not due"):
    EXPECTED_1_0[name]["update, defer"] = (3, 0, 68)

EXPECTED = {"1.0": EXPECTED_1_0, "1.1": EXPECTED_1_1, "1.2": EXPECTED_1_2}
BAD_VALUES = ("severity 3", "severity -1", "max defer -1", "max defer huge")


def refusal(situation, event):
    if event not in REQUESTS:
        return None
    if event in BAD_VALUES or (event == "empty package" and situation != "updating"):
        return 128
    return 133


def take(situation, event, profile):
    before = SITUATIONS[situation]
    taken = step(before, EVENTS[event], profile, WALL)
    code = None if taken.answer is None else int(taken.answer.code)
    return before, taken, (int(taken.machine.state), int(taken.machine.result), code)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_cell(version, situation, event):
    before, taken, got = take(situation, event, FirmwareProfile(version=version))
    expected = EXPECTED[version][situation].get(event)
    if expected is not None:
        assert got == expected
        assert taken.accepted
        assert len(taken.machine) == len(FirmwareMachine._fields)
    else:
        assert taken.machine is before
        assert taken.effects == ()
        assert not taken.accepted
        assert got[2] == refusal(situation, event)


# (policy, situation, event, State, Result, answer), where the choice differs from the default
CHOICES = [
    ("reset_scope", policies.ResetScope.DOWNLOADED_ONLY, "idle", "reset", 0, 4, 133),
    ("reset_scope", policies.ResetScope.DOWNLOADED_ONLY, "push", "reset", 1, 0, 133),
    ("reset_scope", policies.ResetScope.DOWNLOADED_ONLY, "pull", "reset", 1, 0, 133),
    ("reset_scope", policies.ResetScope.DOWNLOADED_ONLY, "downloaded", "reset", 0, 0, 68),
    ("failure_target", policies.FailureTarget.IDLE, "updating", "install failed", 0, 8, None),
    ("failure_target", policies.FailureTarget.IDLE, "updating", "restart, reverted", 0, 8, None),
    ("failure_target", policies.FailureTarget.IDLE, "updating", "restart, sealed", 0, 8, None),
    ("wrong_state_write", policies.WrongStateWrite.BAD_REQUEST, "pull", "package", 1, 0, 128),
    ("wrong_state_write", policies.WrongStateWrite.BAD_REQUEST, "pull", "uri", 1, 0, 128),
    ("wrong_state_write", policies.WrongStateWrite.BAD_REQUEST, "push", "bad uri", 1, 0, 128),
    ("wrong_state_write", policies.WrongStateWrite.BAD_REQUEST, "push", "ftp uri", 1, 0, 128),
    ("wrong_state_write", policies.WrongStateWrite.BAD_REQUEST, "downloaded", "package", 2, 0, 128),
    ("wrong_state_write", policies.WrongStateWrite.BAD_REQUEST, "downloaded", "uri", 2, 0, 128),
    ("wrong_state_write", policies.WrongStateWrite.BAD_REQUEST, "downloaded", "bad uri", 2, 0, 128),
    ("wrong_state_write", policies.WrongStateWrite.BAD_REQUEST, "downloaded", "ftp uri", 2, 0, 128),
    ("wrong_state_write", policies.WrongStateWrite.BAD_REQUEST, "updating", "package", 3, 0, 133),
    ("wrong_state_write", policies.WrongStateWrite.BAD_REQUEST, "updating", "uri", 3, 0, 133),
    ("wrong_state_write", policies.WrongStateWrite.BAD_REQUEST, "push", "update", 1, 0, 133),
    ("synchronous_uri_failure", policies.SynchronousUriFailure.STAY_IDLE, "idle", "bad uri", 0, 7, 128),
    ("synchronous_uri_failure", policies.SynchronousUriFailure.STAY_IDLE, "idle", "ftp uri", 0, 9, 128),
    ("synchronous_uri_failure", policies.SynchronousUriFailure.STAY_IDLE, "idle", "uri", 1, 0, 68),
    ("zero_length_package", policies.ZeroLengthPackage.RESET, "idle", "empty package", 0, 0, 68),
    ("zero_length_package", policies.ZeroLengthPackage.RESET, "pull", "empty package", 0, 0, 68),
    ("zero_length_package", policies.ZeroLengthPackage.RESET, "downloaded", "empty package", 0, 0, 68),
    ("zero_length_package", policies.ZeroLengthPackage.RESET, "updating", "empty package", 3, 0, 133),
    ("zero_length_package", policies.ZeroLengthPackage.EMPTY_IMAGE, "idle", "empty package", 1, 0, 95),
    ("zero_length_package", policies.ZeroLengthPackage.EMPTY_IMAGE, "push", "empty package", 1, 0, 95),
    ("zero_length_package", policies.ZeroLengthPackage.EMPTY_IMAGE, "pull", "empty package", 1, 0, 133),
    ("repeated_push", policies.RepeatedPush.REFUSE, "push", "package", 1, 0, 133),
    ("clock_set_back", policies.ClockSetBack.KEEP_DEADLINE, "deferred, clock back", "clock", 2, 11, None),
]


@pytest.mark.parametrize(("field", "choice", "situation", "event", "state", "result", "code"), CHOICES)
@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_choice(version, field, choice, situation, event, state, result, code):
    profile = FirmwareProfile(version=version, policies=policies.FirmwarePolicies(**{field: choice}))
    assert take(situation, event, profile)[2] == (state, result, code)


def test_a_push_that_may_not_restart_is_answered_as_any_wrong_write():
    choices = policies.FirmwarePolicies(
        repeated_push=policies.RepeatedPush.REFUSE, wrong_state_write=policies.WrongStateWrite.BAD_REQUEST
    )
    assert take("push", "package", FirmwareProfile(policies=choices))[2] == (1, 0, 128)


@pytest.mark.parametrize(
    ("delivery", "event", "expected"),
    [
        (DeliveryMethod.PULL, "package", (0, 4, 133)),
        (DeliveryMethod.PULL, "uri", (1, 0, 68)),
        (DeliveryMethod.PULL, "reset", (0, 0, 68)),
        (DeliveryMethod.PUSH, "package", (1, 0, 95)),
        (DeliveryMethod.PUSH, "uri", (0, 4, 133)),
        (DeliveryMethod.PUSH, "bad uri", (0, 4, 133)),
        (DeliveryMethod.PUSH, "reset", (0, 0, 68)),
    ],
)
def test_delivery(delivery, event, expected):
    assert take("idle", event, FirmwareProfile(delivery=delivery))[2] == expected


@pytest.mark.parametrize("delivery", [DeliveryMethod.PULL, DeliveryMethod.PUSH])
@pytest.mark.parametrize("situation", ["push", "pull"])
@pytest.mark.parametrize("event", ["received", "failed 4", "restart, nothing", "restart, partial", "cancel"])
def test_a_transfer_that_runs_goes_on_whatever_the_device_was_rebuilt_for(delivery, situation, event):
    assert take(situation, event, FirmwareProfile(delivery=delivery))[1].accepted


@pytest.mark.parametrize(
    ("protocols", "scheme", "state"),
    [
        ((), "coap", 1),
        ((), "http", 0),
        ((ProtocolSupport.HTTPS,), "https", 1),
        ((ProtocolSupport.HTTPS,), "HTTPS", 1),
        ((ProtocolSupport.HTTPS,), "coap", 0),
        ((ProtocolSupport.COAP_TCP, ProtocolSupport.COAPS_TCP), "coap+tcp", 1),
        ((ProtocolSupport.COAP_TCP, ProtocolSupport.COAPS_TCP), "coaps+tcp", 1),
    ],
)
def test_protocols_decide_which_schemes_are_fetched(protocols, scheme, state):
    stay = policies.FirmwarePolicies(synchronous_uri_failure=policies.SynchronousUriFailure.STAY_IDLE)
    profile = FirmwareProfile(protocols=protocols, policies=stay)
    taken = step(FirmwareMachine(), ev.UriWritten(f"{scheme}://host.example/fw"), profile)
    assert int(taken.machine.state) == state


def test_every_policy_is_tried_above():
    tried = {(field, choice) for field, choice, *_ in CHOICES}
    defaults = set(attrs.asdict(policies.DEFAULT_POLICIES).items())
    every = {(field, each) for field, default in defaults for each in type(default)}
    assert every - tried - defaults == {("clockless_deferral", policies.ClocklessDeferral.WAIT_FOR_USER)}
