"""Every cell of the device machine, transcribed by hand from SPEC 3.1, 3.3 and 3.4 in plain integers.

A cell says the State, the Update Result and the answer that follow; what else the machine keeps or forgets; and what
is to be done, in order. Answers are CoAP code bytes: 68 is 2.04, 95 is 2.31, 128 is 4.00, 133 is 4.05, 141 is 4.13,
160 is 5.00. What is not listed is refused. `@7` is the number of the transfer, `#4` of the attempt; `tell` is a
notification of all that has changed, in the order of SPEC 3.1.
"""

import itertools

import attrs
import pytest

from lwm2m_fota.machines import effects as fx
from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines import policies
from lwm2m_fota.machines.component_policies import AdvancedPolicies
from lwm2m_fota.machines.events import BootOutcome, Found, StagedImage
from lwm2m_fota.machines.firmware import step
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.rows import ROWS
from lwm2m_fota.machines.state import Deferral, FirmwareMachine, Settings
from lwm2m_fota.model.enums import DeliveryMethod, ProtocolSupport, Severity, State, UpdateResult

VERSIONS = ("1.0", "1.1", "1.2")
WALL = 5000.0
URI = "coap://host.example/fw"
AUTO = Settings(Severity.MANDATORY, 60, auto_upgrade=True)


def machine(state, result, delivery=None, *, received=False, **more):
    name, version = ("old", "1.1") if state in {2, 3} else ("", "")
    more.setdefault("settings", Settings(Severity.MANDATORY, 60))
    return FirmwareMachine(
        State(state),
        UpdateResult(result),
        delivery,
        received,
        URI if delivery == "pull" else "",
        name,
        version,
        transfer=7,
        attempt=3,
        last_change=1.0,
        **more,
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
    "deferred for the user": machine(2, 11, "push", received=True),
    "updating": machine(3, 0, "pull", received=True),
    # no store gives such machines back; what the table says of a cell holds for them too
    "odd idle": machine(0, 4, "pull", received=True, deferral=Deferral(4000.0, 5000.5)),
    "odd push": machine(1, 8, "push", deferral=Deferral(4000.0, 5000.5)),
    "odd pull complete": machine(1, 8, "pull", received=True, deferral=Deferral(4000.0, 5000.5)),
    "odd downloaded": machine(2, 8, "pull", received=False, deferral=Deferral(4000.0, 5000.5)),
    "odd updating": machine(3, 8, "pull", received=False, deferral=Deferral(4000.0, 5000.5)),
}
IDLE = ("idle", "updated", "odd idle")
UPDATING = ("updating", "odd updating")
PUSHING = ("push", "odd push")
BUSY = ("push complete", "pull", "pull complete", "odd pull complete", "auto")
DOWNLOADING = (*PUSHING, *BUSY)
DEFERRED = ("deferred", "deferred, clock back", "deferred, not due", "deferred for the user")
DOWNLOADED = ("downloaded", "failed", "odd downloaded", *DEFERRED)


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
    "auto upgrade": ev.AutoUpgradeWritten(enabled=True),
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
    "clock, 600 s": ev.ClockRead(600.0),
    "clock, 1000 s": ev.ClockRead(1000.0),
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
CLOCK = ("clock", "clock, 600 s", "clock, 1000 s")
BAD_VALUES = ("severity 3", "severity -1", "max defer -1", "max defer huge")


def everywhere(names, value):
    """The same for each of them."""
    return {name: value for name in names}  # noqa: C420 - dict.fromkeys is for what cannot change


# ---- the cells -----------------------------------------------------------------------------------------------------

STOP = "save stop discard tell"
DISCARD = "save discard tell"
INSTALL = "save tell install#4"

BEGIN = {
    "package": (1, 0, 95, "push begun", "save open:1000@8 tell"),
    "uri": (1, 0, 68, "pull begun", "save open:None@8 tell pull@8"),
    "bad uri": (1, 0, 68, "pull begun", "save tell pull@8"),
    "ftp uri": (1, 0, 68, "pull begun", "save tell pull@8"),
    "reset": (0, 0, 68, "cleared", "save tell"),
}
FAILS = {
    "failed 2": (0, 2, 141, "cleared", STOP),
    "failed 3": (0, 3, 160, "cleared", STOP),
    "failed 4": (0, 4, None, "cleared", STOP),
    "failed 5": (0, 5, 128, "cleared", STOP),
    "failed 6": (0, 6, 128, "cleared", STOP),
}
FAILS_OF_PULL = FAILS | {"failed 7": (0, 7, None, "cleared", STOP), "failed 9": (0, 9, None, "cleared", STOP)}
STOPS = {"reset": (0, 0, 68, "cleared", STOP), "cancel": (0, 10, 68, "cleared", STOP)}
DROPS = {"reset": (0, 0, 68, "cleared", DISCARD), "cancel": (0, 10, 68, "cleared", DISCARD)}
RECEIVED = {"received": (1, None, 68, "complete", "save verify@7")}
VERIFIED = {"verified": (2, 0, None, "named", "save tell"), "verified, defer": (2, 0, None, "named", "save tell")}
UPGRADES = {
    "verified": (3, 0, None, "named, attempt", INSTALL),
    "verified, defer": (2, 11, None, "named, waits", "save tell"),
}
EXECUTE = {"update": (3, 0, 68, "attempt", INSTALL), "update, defer": (2, 11, 68, "waits", "save tell")}
ACCEPT = {"deferral ended": (3, 0, None, "attempt", INSTALL)}


def restarts(sealed, missing, partial):
    """Outside Updating the boot outcome says nothing; what counts is the image."""
    boots = ("sealed", "confirmed", "confirmed of other", "pending", "rejected", "reverted")
    told = {f"restart, {name}": sealed for name in boots}
    return told | {"restart, nothing": missing, "restart, reverted, lost": missing, "restart, partial": partial}


SWEPT = (0, None, None, "same", "discard")
GONE = (0, 5, None, "cleared", DISCARD)
LOST = (0, 4, None, "cleared", DISCARD)
CHECKED_AGAIN = (1, None, None, "complete", "save verify@7")
STAYS_IDLE = restarts(SWEPT, (0, None, None, "same", ""), SWEPT)
HOLDS = restarts((2, None, None, "same", ""), GONE, GONE)
PUSH_LOST = restarts(CHECKED_AGAIN, LOST, LOST)
PULL_GOES_ON = restarts(
    CHECKED_AGAIN, (1, None, None, "anew", "save open:None@7 pull@7"), (1, None, None, "anew", "save resume@7")
)

EXPECTED = {
    "idle": {**BEGIN, **STAYS_IDLE},
    "updated": {**BEGIN, **STAYS_IDLE},
    "push": {
        "package": (1, 0, 95, "push begun", "save stop discard open:1000@8 tell"),
        **RECEIVED,
        **FAILS,
        **STOPS,
        **PUSH_LOST,
    },
    "push complete": {**VERIFIED, **FAILS, **STOPS, **PUSH_LOST},
    "pull": {**RECEIVED, **FAILS_OF_PULL, **STOPS, **PULL_GOES_ON},
    "pull complete": {**VERIFIED, **FAILS_OF_PULL, **STOPS, **PULL_GOES_ON},
    "auto": {**UPGRADES, **FAILS, **STOPS, **PUSH_LOST},
    "downloaded": {**EXECUTE, **DROPS, **HOLDS},
    "failed": {**EXECUTE, **DROPS, **HOLDS},
    "deferred": {
        **EXECUTE,
        **ACCEPT,
        **DROPS,
        **HOLDS,
        **everywhere(CLOCK, (3, 0, None, "attempt", INSTALL)),
    },
    "deferred, clock back": {
        **EXECUTE,
        **ACCEPT,
        **DROPS,
        **HOLDS,
        **everywhere(CLOCK, (2, None, None, "counted again", "save")),
    },
    "deferred, not due": {**EXECUTE, **ACCEPT, **DROPS, **HOLDS},
    "deferred for the user": {**EXECUTE, **ACCEPT, **DROPS, **HOLDS},
    "updating": {
        "installed": (0, 1, None, "cleared", DISCARD),
        "install failed": (2, 8, None, "same", "save tell"),
        "install failed, lost": (0, 8, None, "cleared", DISCARD),
        "install failed 5": (0, 5, None, "cleared", DISCARD),
        "restart, nothing": (0, 8, None, "cleared", DISCARD),
        "restart, partial": (0, 8, None, "cleared", DISCARD),
        "restart, sealed": (2, 8, None, "same", "save tell"),
        "restart, confirmed": (0, 1, None, "cleared", DISCARD),
        "restart, confirmed of other": (2, 8, None, "same", "save tell"),
        "restart, pending": (3, None, None, "same", ""),
        "restart, rejected": (0, 5, None, "cleared", DISCARD),
        "restart, reverted": (2, 8, None, "same", "save tell"),
        "restart, reverted, lost": (0, 8, None, "cleared", DISCARD),
    },
}
EXPECTED |= {
    "odd idle": {**EXPECTED["idle"]},
    "odd push": {**EXPECTED["push"]},
    "odd pull complete": {**EXPECTED["pull complete"]},
    "odd downloaded": {**EXPECTED["downloaded"]},
    "odd updating": {**EXPECTED["updating"]},
}
for name, cells in EXPECTED.items():
    stays = int(SITUATIONS[name].state), None, 68
    cells |= {each: (*stays, each, "save tell") for each in ("severity 0", "max defer 9", "auto upgrade")}
NOT_IN_1_0 = ("severity 0", "max defer 9", "cancel", "deferral ended", *CLOCK)

# Where a choice differs from the default: the cell instead, or the code of the refusal; None is refused in silence.
TO_IDLE = (0, 8, None, "cleared", DISCARD)
URIS_REFUSED = {"uri": 128, "bad uri": 128, "ftp uri": 128}
EMPTY_RESETS = {
    **everywhere(IDLE, "save tell"),
    **everywhere(DOWNLOADING, STOP),
    **everywhere(DOWNLOADED, DISCARD),
}
CHOICES = {
    "reset_scope": {
        policies.ResetScope.DOWNLOADED_ONLY: everywhere((*IDLE, *DOWNLOADING), {"reset": 133}),
    },
    "failure_target": {
        policies.FailureTarget.IDLE: everywhere(
            UPDATING,
            everywhere(
                ("install failed", "restart, sealed", "restart, confirmed of other", "restart, reverted"), TO_IDLE
            ),
        )
    },
    "wrong_state_write": {
        policies.WrongStateWrite.BAD_REQUEST: {
            **everywhere(PUSHING, URIS_REFUSED),
            **everywhere((*BUSY, *DOWNLOADED), {"package": 128, **URIS_REFUSED}),
        }
    },
    "synchronous_uri_failure": {
        policies.SynchronousUriFailure.STAY_IDLE: everywhere(
            IDLE, {"bad uri": (0, 7, 128, "same", "save tell"), "ftp uri": (0, 9, 128, "same", "save tell")}
        )
    },
    "zero_length_package": {
        policies.ZeroLengthPackage.RESET: {
            **everywhere(UPDATING, {"empty package": 133}),
            **{name: {"empty package": (0, 0, 68, "cleared", to_do)} for name, to_do in EMPTY_RESETS.items()},
        },
        policies.ZeroLengthPackage.EMPTY_IMAGE: {
            **everywhere(SITUATIONS, {"empty package": 133}),
            **everywhere(IDLE, {"empty package": (1, 0, 95, "push begun", "save open:None@8 tell")}),
            **everywhere(PUSHING, {"empty package": (1, 0, 95, "push begun", "save stop discard open:None@8 tell")}),
        },
    },
    "repeated_push": {policies.RepeatedPush.REFUSE: everywhere(PUSHING, {"package": 133})},
    "clockless_deferral": {policies.ClocklessDeferral.WAIT_FOR_USER: {}},
    "clock_set_back": {policies.ClockSetBack.KEEP_DEADLINE: {"deferred, clock back": everywhere(CLOCK, None)}},
    "clock_lost": {policies.ClockLost.WAIT_FOR_CLOCK: {}},
}
TOGETHER = {
    (policies.ResetScope.DOWNLOADED_ONLY, policies.ZeroLengthPackage.RESET): everywhere(
        (*IDLE, *DOWNLOADING), {"empty package": 133}
    ),
    (policies.WrongStateWrite.BAD_REQUEST, policies.ZeroLengthPackage.EMPTY_IMAGE): everywhere(
        (*BUSY, *DOWNLOADED), {"empty package": 128}
    ),
    (policies.WrongStateWrite.BAD_REQUEST, policies.RepeatedPush.REFUSE): everywhere(PUSHING, {"package": 128}),
    (policies.ZeroLengthPackage.EMPTY_IMAGE, policies.RepeatedPush.REFUSE): everywhere(PUSHING, {"empty package": 133}),
}
# A device that was built for one way of delivery begins no transfer of the other; one that runs goes on to its end.
DELIVERIES = {
    DeliveryMethod.BOTH: {},
    DeliveryMethod.PULL: everywhere((*IDLE, *PUSHING), {"package": 133}),
    DeliveryMethod.PUSH: everywhere(IDLE, {"uri": 133, "bad uri": 133, "ftp uri": 133}),
}
NOT_BEGUN = {
    (policies.WrongStateWrite.BAD_REQUEST, DeliveryMethod.PULL): everywhere(PUSHING, {"package": 128}),
    (policies.ZeroLengthPackage.EMPTY_IMAGE, DeliveryMethod.PULL): everywhere(
        (*IDLE, *PUSHING), {"empty package": 133}
    ),
}
# A component of Object 33629 leaves it to its coordinator to begin an installation.
COMPONENT = {
    **everywhere(DOWNLOADED, {"update": 133, "deferral ended": None}),
    "deferred": {"update": 133, "deferral ended": None, **everywhere(CLOCK, None)},
}
# Without a clock nothing is deferred, or for the user alone. What waits already has a period of 1000 s, or of 1000.5 s.
NO_CLOCK = everywhere(DEFERRED, everywhere(CLOCK, None))
COUNTED_ON = (2, None, None, "counted on", "save")
OVER = {"clock, 600 s": COUNTED_ON, "clock, 1000 s": (3, 0, None, "attempt", INSTALL)}
NOT_OVER = everywhere(CLOCK[1:], COUNTED_ON)
CLOCK_LOST = {
    policies.ClockLost.COUNT_ON: {
        **everywhere(("deferred", "deferred, clock back"), OVER),
        **everywhere(("deferred, not due", "odd downloaded"), NOT_OVER),
    },
    policies.ClockLost.WAIT_FOR_CLOCK: {},
}
CLOCK_LOST_COMPONENT = everywhere(("deferred", "deferred, clock back"), {"clock, 1000 s": None})
INSTALLS_AT_ONCE = {"update, defer": EXECUTE["update"]}
WAITS_FOR_USER = {"update, defer": (2, 11, 68, "same", "save tell")}
CLOCKLESS = {
    policies.ClocklessDeferral.INSTALL_AT_ONCE: {
        **everywhere(DOWNLOADED, INSTALLS_AT_ONCE),
        "auto": {"verified, defer": UPGRADES["verified"]},
    },
    policies.ClocklessDeferral.WAIT_FOR_USER: {
        **everywhere(DOWNLOADED, WAITS_FOR_USER),
        "auto": {"verified, defer": (2, 11, None, "named", "save tell")},
    },
}
CLOCKLESS_COMPONENT = {
    policies.ClocklessDeferral.INSTALL_AT_ONCE: everywhere(DOWNLOADED, {"update, defer": 133}),
    policies.ClocklessDeferral.WAIT_FOR_USER: {},
}

# ---- what the words mean -------------------------------------------------------------------------------------------


def begun(delivery, uri, transfer):
    forgotten = {"received": False, "package_name": "", "package_version": "", "deferral": None}
    return {"delivery": delivery, "uri": uri, "transfer": transfer, **forgotten}


NAMED = {"package_name": "name", "package_version": "1.2"}
# what becomes of a machine beside State, Result and the time of the last change
AFTER = {
    "same": lambda before, event: {},
    "cleared": lambda before, event: begun(None, "", 7),
    "push begun": lambda before, event: begun("push", "", 8),
    "pull begun": lambda before, event: begun("pull", event.uri, 8),
    "complete": lambda before, event: {"received": True, "deferral": None},
    "anew": lambda before, event: {"received": False, "deferral": None},
    "named": lambda before, event: NAMED,
    "named, waits": lambda before, event: NAMED | {"deferral": Deferral(5000.0, 5060.0)},
    "named, attempt": lambda before, event: NAMED | {"attempt": 4},
    "waits": lambda before, event: {"deferral": before.deferral or Deferral(5000.0, 5060.0)},
    "counted on": lambda before, event: {
        "deferral": Deferral(before.deferral.since + event.waited_s, before.deferral.deadline)
    },
    "counted again": lambda before, event: {"deferral": Deferral(5000.0, 6000.0)},
    "attempt": lambda before, event: {"attempt": 4},
    "severity 0": lambda before, event: {"settings": attrs.evolve(before.settings, severity=Severity(0))},
    "max defer 9": lambda before, event: {"settings": attrs.evolve(before.settings, max_defer_s=9)},
    "auto upgrade": lambda before, event: {"settings": attrs.evolve(before.settings, auto_upgrade=True)},
}
PLAIN = {fx.Persist(): "save", fx.StopTransfer(): "stop", fx.DiscardImage(): "discard"}
# what each resource shows, in the order to tell of changes: the time before the Result before the State (SPEC 3.1)
SHOWS = {
    12: lambda machine: machine.last_change,
    1: lambda machine: machine.uri,
    6: lambda machine: machine.package_name,
    7: lambda machine: machine.package_version,
    5: lambda machine: machine.result,
    3: lambda machine: machine.state,
    11: lambda machine: machine.settings.severity,
    13: lambda machine: machine.settings.max_defer_s,
    14: lambda machine: machine.settings.auto_upgrade,
}


def followed(cell, before, event, wall):
    """The machine after a cell."""
    state, result, _, kept, _ = cell
    moved = {"last_change": wall, "deferral": None} if state != int(before.state) else {}
    shown = before.result if result is None else UpdateResult(result)
    return before._replace(state=State(state), result=shown, **moved | AFTER[kept](before, event))


def to_be_done(cell, before, after, version):
    """The effects of a cell, in words."""
    told = [each for each, shows in SHOWS.items() if shows(before) != shows(after)]
    if version == "1.0":
        told = [each for each in told if each != 12]
    tell = "tell:" + ",".join(map(str, told)) if told else ""
    return " ".join(tell if word == "tell" else word for word in cell[4].split()).split()


def words(effects, after):
    """Effects in words."""
    return [word(effect, after) for effect in effects]


def word(effect, after):
    match effect:
        case fx.OpenStage(size_bytes, transfer):
            return f"open:{size_bytes}@{transfer}"
        case fx.StartPull(uri, transfer, resume):
            assert uri == after.uri
            return f"resume@{transfer}" if resume else f"pull@{transfer}"
        case fx.VerifyImage(transfer):
            return f"verify@{transfer}"
        case fx.BeginInstall(attempt):
            return f"install#{attempt}"
        case fx.Notify(resource_ids):
            return "tell:" + ",".join(map(str, resource_ids))
        case _:
            return PLAIN[effect]


def refusal(situation, event):
    """The code of a refusal under default policies; None is refused in silence."""
    if event not in REQUESTS:
        return None
    if event in BAD_VALUES or (event == "empty package" and situation not in UPDATING):
        return 128
    return 133


def expected(version, *differences):
    """What a device of this version does in every situation: a cell, or the code of a refusal."""
    every = {}
    for situation in SITUATIONS:
        cells = {event: refusal(situation, event) for event in EVENTS} | EXPECTED[situation]
        for difference in differences:
            cells |= difference.get(situation, {})
        if version != "1.2":
            cells |= {"auto upgrade": 133} | (VERIFIED if situation == "auto" else {})
        if version == "1.0":
            cells |= {event: refusal(situation, event) for event in NOT_IN_1_0} | {"update, defer": cells["update"]}
        every |= {(situation, event): cell for event, cell in cells.items()}
    return every


def compare(profile, *differences, wall=WALL):
    """Every cell of a device against what is expected of it; the rows that were taken."""
    taken_rows, wrong = set(), {}
    for (situation, name), cell in expected(profile.version, *differences).items():
        before, event = SITUATIONS[situation], EVENTS[name]
        taken = step(before, event, profile, wall)
        code = None if taken.answer is None else int(taken.answer.code)
        found = (taken.machine, words(taken.effects, taken.machine), code, taken.accepted)
        if isinstance(cell, tuple):
            after = followed(cell, before, event, wall)
            right = (after, to_be_done(cell, before, after, profile.version), cell[2], True)
        else:
            right = (before, [], cell, False)
            assert taken.accepted or taken.machine is before
        if found != right:
            wrong[situation, name] = {"found": found, "right": right}
        taken_rows.add(taken.row)
    assert wrong == {}
    return taken_rows - {None}


def built_as(kind, **more):
    """A device of a version, or a component of Object 33629."""
    if kind == "component":
        return FirmwareProfile(component=AdvancedPolicies(), **more)
    return FirmwareProfile(version=kind, **more)


# ---- the tests -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_every_cell_and_no_row_that_never_fires(version):
    profile = FirmwareProfile(version=version)
    defaults = CLOCKLESS[policies.ClocklessDeferral.INSTALL_AT_ONCE], CLOCK_LOST[policies.ClockLost.COUNT_ON]
    rows = compare(profile) | compare(profile, NO_CLOCK, *defaults, wall=None)
    assert rows == set(profile.table.rows.values())


@pytest.mark.parametrize("kind", [*VERSIONS, "component"])
@pytest.mark.parametrize("delivery", DELIVERIES)
def test_every_cell_under_every_choice(delivery, kind):
    for field, choices in CHOICES.items():
        for choice, difference in choices.items():
            profile = built_as(kind, delivery=delivery, policies=policies.FirmwarePolicies(**{field: choice}))
            never = NOT_BEGUN.get((choice, delivery), {})
            compare(profile, difference, DELIVERIES[delivery], never, COMPONENT if kind == "component" else {})


@pytest.mark.parametrize("kind", [*VERSIONS, "component"])
@pytest.mark.parametrize("choice", CLOCKLESS)
@pytest.mark.parametrize("lost", CLOCK_LOST)
@pytest.mark.parametrize("delivery", DELIVERIES)
def test_every_cell_without_a_clock(delivery, lost, choice, kind):
    chosen = policies.FirmwarePolicies(clockless_deferral=choice, clock_lost=lost)
    profile = built_as(kind, delivery=delivery, policies=chosen)
    if kind == "component":
        differences = (COMPONENT, CLOCKLESS_COMPONENT[choice], CLOCK_LOST[lost], CLOCK_LOST_COMPONENT)
    else:
        differences = (CLOCK_LOST[lost],)
    compare(profile, NO_CLOCK, CLOCKLESS[choice], DELIVERIES[delivery], *differences, wall=None)


def test_every_cell_under_every_two_choices():
    every = [(field, choice) for field, choices in CHOICES.items() for choice in choices]
    for one, other in itertools.combinations(every, 2):
        if one[0] != other[0]:
            profile = built_as("1.2", policies=policies.FirmwarePolicies(**dict([one, other])))
            together = TOGETHER.get((one[1], other[1]), {})
            compare(profile, *(CHOICES[field][choice] for field, choice in (one, other)), together)


def test_every_choice_is_tried_and_every_row_fires_under_one():
    defaults = attrs.asdict(policies.DEFAULT_POLICIES)
    every = {field: set(type(default)) - {default} for field, default in defaults.items()}
    assert {field: set(choices) for field, choices in CHOICES.items()} == every
    chosen = [policies.FirmwarePolicies(**{field: choice}) for field in every for choice in every[field]]
    tables = [FirmwareProfile(version="1.2", policies=each).table for each in (policies.DEFAULT_POLICIES, *chosen)]
    assert {row for table in tables for row in table.rows.values()} == {row for row in ROWS if row.object_id != 33629}


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
