"""Which kind of event an event is: guards with names, as data.

The first reading of an event whose guard holds gives its kind; only kinds stand in the table. A guard looks at the
machine, the event and the clock, and decides nothing else.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, final

import attrs

from lwm2m_fota.machines import events
from lwm2m_fota.machines.component_events import ComponentKind
from lwm2m_fota.machines.events import BootOutcome, EventKind, StagedImage
from lwm2m_fota.machines.policies import ClocklessDeferral, ClockLost, Policy, ZeroLengthPackage
from lwm2m_fota.machines.state import MAX_DEFER_LIMIT_S, FirmwareMachine
from lwm2m_fota.machines.uri import judge_uri
from lwm2m_fota.model.enums import Severity, State, UpdateResult

Version: TypeAlias = Literal["1.0", "1.1", "1.2"]
Guard: TypeAlias = Callable[..., bool]
"""`guard(machine, event, wall, schemes)`; its name and docstring stand in the reference."""


@final
@attrs.frozen
class Reading:
    """An event is of this kind where the guard holds.

    Attributes:
        kind: what the table is asked with.
        guard: None always holds.
        since: the first object version that has this reading.
        policy: the choice that this reading belongs to; None belongs to all.
    """

    kind: EventKind | ComponentKind
    guard: Guard | None = None
    since: Version = "1.0"
    policy: Policy | None = None


def push_runs(machine: FirmwareMachine, _event: object, _wall: object, _schemes: object) -> bool:
    """A push is being received and not yet complete."""
    return machine.delivery == "push" and not machine.received


def uri_is_usable(_machine: object, event: events.UriWritten, _wall: object, schemes: frozenset[str]) -> bool:
    """The text is a URI that names a host, and its scheme is one of resource 8."""
    return judge_uri(event.uri, schemes) is None


def scheme_is_unsupported(_machine: object, event: events.UriWritten, _wall: object, schemes: frozenset[str]) -> bool:
    """The text is a URI that names a host, and its scheme is none of resource 8."""
    return judge_uri(event.uri, schemes) is UpdateResult.UNSUPPORTED_PROTOCOL


def deferral_is_granted(
    machine: FirmwareMachine,
    event: events.UpdateExecuted | events.PackageVerified,
    wall: float | None,
    _schemes: object,
) -> bool:
    """The device wants to defer, resource 13 is not 0, and the clock is set."""
    return event.defer and machine.settings.max_defer_s > 0 and wall is not None


def deferral_is_granted_without_clock(
    machine: FirmwareMachine,
    event: events.UpdateExecuted | events.PackageVerified,
    wall: float | None,
    _schemes: object,
) -> bool:
    """The device wants to defer, resource 13 is not 0, and the clock is not set."""
    return event.defer and machine.settings.max_defer_s > 0 and wall is None


def severity_is_out_of_range(_machine: object, event: events.SeverityWritten, _wall: object, _schemes: object) -> bool:
    """The value is none of 0, 1, 2."""
    return not Severity.CRITICAL <= event.value <= Severity.OPTIONAL


def period_is_out_of_range(_machine: object, event: events.MaxDeferWritten, _wall: object, _schemes: object) -> bool:
    """The value is negative or over the limit."""
    return not 0 <= event.seconds <= MAX_DEFER_LIMIT_S


def report_is_stale(
    machine: FirmwareMachine,
    event: events.PackageReceived | events.PackageVerified | events.TransferFailed,
    _wall: object,
    _schemes: object,
) -> bool:
    """The report names another transfer than the last one."""
    return event.transfer is not None and event.transfer != machine.transfer


def package_is_complete(machine: FirmwareMachine, _event: object, _wall: object, _schemes: object) -> bool:
    """The package is already complete in the stage."""
    return machine.received


def package_is_incomplete(machine: FirmwareMachine, _event: object, _wall: object, _schemes: object) -> bool:
    """The package is not yet complete in the stage."""
    return not machine.received


def upgrade_is_automatic(machine: FirmwareMachine, _event: object, _wall: object, _schemes: object) -> bool:
    """Resource 14 is true."""
    return machine.settings.auto_upgrade


def upgrade_is_deferred(
    machine: FirmwareMachine, event: events.PackageVerified, wall: float | None, schemes: object
) -> bool:
    """Resource 14 is true, and a deferral is granted."""
    return machine.settings.auto_upgrade and deferral_is_granted(machine, event, wall, schemes)


def upgrade_is_deferred_without_clock(
    machine: FirmwareMachine, event: events.PackageVerified, wall: float | None, schemes: object
) -> bool:
    """Resource 14 is true, and a deferral is granted though the clock is not set."""
    return machine.settings.auto_upgrade and deferral_is_granted_without_clock(machine, event, wall, schemes)


def no_pull_runs(machine: FirmwareMachine, event: events.TransferFailed, _wall: object, _schemes: object) -> bool:
    """The failure is one of a Package URI (Result 7 or 9), and the package does not come by pull."""
    return event.result in _URI_FAILURES and machine.delivery != "pull"


def outcome_is_stale(
    machine: FirmwareMachine, event: events.InstallSucceeded | events.InstallFailed, _wall: object, _schemes: object
) -> bool:
    """The report names another attempt than the last one."""
    return event.attempt is not None and event.attempt != machine.attempt


def image_was_lost(_machine: object, event: events.InstallFailed, _wall: object, _schemes: object) -> bool:
    """The sealed image is not there any more."""
    return not event.image_kept


def nothing_is_deferred(machine: FirmwareMachine, _event: object, _wall: object, _schemes: object) -> bool:
    """No deferral runs."""
    return not machine.is_deferred


def deadline_has_passed(machine: FirmwareMachine, _event: object, wall: float | None, _schemes: object) -> bool:
    """The wall clock has reached the deadline of the deferral."""
    return wall is not None and machine.deferral is not None and wall >= machine.deferral.deadline


def clock_went_back(machine: FirmwareMachine, _event: object, wall: float | None, _schemes: object) -> bool:
    """The wall clock stands before the start of the deferral."""
    return wall is not None and machine.deferral is not None and wall < machine.deferral.since


def time_has_passed_without_clock(
    machine: FirmwareMachine, event: events.ClockRead, wall: float | None, _schemes: object
) -> bool:
    """A deferral runs, the clock is not set, and some time has passed."""
    return wall is None and machine.deferral is not None and event.waited_s > 0


def period_has_passed_without_clock(
    machine: FirmwareMachine, event: events.ClockRead, wall: float | None, _schemes: object
) -> bool:
    """The clock is not set, and what was left of the deferral has passed."""
    deferral = machine.deferral
    return wall is None and deferral is not None and event.waited_s >= deferral.deadline - deferral.since


def _failed_with(result: UpdateResult) -> Guard:
    def guard(
        _machine: object, event: events.TransferFailed | events.InstallFailed, _wall: object, _schemes: object
    ) -> bool:
        return event.result is result

    guard.__name__ = f"result_is_{int(result)}"
    guard.__doc__ = f"The failure is of Result {int(result)}."
    return guard


def _staged(image: StagedImage, *, pull: bool) -> Guard:
    def guard(machine: FirmwareMachine, event: events.Restarted, _wall: object, _schemes: object) -> bool:
        in_pull = machine.state is State.DOWNLOADING and machine.delivery == "pull"
        return event.found.image is image and (in_pull or not pull)

    guard.__name__ = f"image_is_{image.value}" + ("_in_pull" if pull else "")
    guard.__doc__ = f"The stage is {image.value}" + (", and a pull runs." if pull else ".")
    return guard


def _booted(outcome: BootOutcome) -> Guard:
    def guard(machine: FirmwareMachine, event: events.Restarted, _wall: object, _schemes: object) -> bool:
        return (
            machine.state is State.UPDATING and event.found.boot is outcome and event.found.attempt == machine.attempt
        )

    guard.__name__ = f"boot_is_{outcome.value}"
    guard.__doc__ = f"In Updating, and the installer shows the outcome {outcome.value} of this attempt."
    return guard


def install_did_not_hold(machine: FirmwareMachine, _event: object, _wall: object, _schemes: object) -> bool:
    """In Updating, and the installer shows no success of this attempt; the sealed image is still there."""
    return machine.state is State.UPDATING


def install_did_not_hold_image_lost(
    machine: FirmwareMachine, event: events.Restarted, _wall: object, _schemes: object
) -> bool:
    """In Updating, and the installer shows no success of this attempt; the sealed image is gone."""
    return machine.state is State.UPDATING and event.found.image is not StagedImage.SEALED


_URI_FAILURES: Final = frozenset({UpdateResult.INVALID_URI, UpdateResult.UNSUPPORTED_PROTOCOL})
_STALE: Final = Reading(EventKind.OUT_OF_TURN, report_is_stale)
_STALE_OUTCOME: Final = Reading(EventKind.OUT_OF_TURN, outcome_is_stale)

READINGS: Final = MappingProxyType(
    {
        events.PackageBegun: (
            Reading(EventKind.PUSH_RESTARTED, push_runs),
            Reading(EventKind.PACKAGE_BEGUN),
        ),
        events.EmptyPackageWritten: (
            Reading(EventKind.EMPTY_PACKAGE_WRITTEN, policy=ZeroLengthPackage.REFUSE),
            Reading(EventKind.RESET_WRITTEN, policy=ZeroLengthPackage.RESET),
            Reading(EventKind.PUSH_RESTARTED, push_runs, policy=ZeroLengthPackage.EMPTY_IMAGE),
            Reading(EventKind.PACKAGE_BEGUN, policy=ZeroLengthPackage.EMPTY_IMAGE),
        ),
        events.ResetWritten: (Reading(EventKind.RESET_WRITTEN),),
        events.UriWritten: (
            Reading(EventKind.URI_WRITTEN, uri_is_usable),
            Reading(EventKind.URI_UNSUPPORTED, scheme_is_unsupported),
            Reading(EventKind.URI_INVALID),
        ),
        events.UpdateExecuted: (
            Reading(EventKind.UPDATE_DEFERRED, deferral_is_granted, "1.1"),
            Reading(
                EventKind.UPDATE_DEFERRED, deferral_is_granted_without_clock, "1.1", ClocklessDeferral.WAIT_FOR_USER
            ),
            Reading(EventKind.UPDATE_EXECUTED),
        ),
        events.CancelExecuted: (Reading(EventKind.CANCEL_EXECUTED),),
        events.SeverityWritten: (
            Reading(EventKind.SEVERITY_OUT_OF_RANGE, severity_is_out_of_range),
            Reading(EventKind.SEVERITY_WRITTEN),
        ),
        events.MaxDeferWritten: (
            Reading(EventKind.MAX_DEFER_OUT_OF_RANGE, period_is_out_of_range),
            Reading(EventKind.MAX_DEFER_WRITTEN),
        ),
        events.AutoUpgradeWritten: (Reading(EventKind.AUTO_UPGRADE_WRITTEN),),
        events.PackageReceived: (
            _STALE,
            Reading(EventKind.OUT_OF_TURN, package_is_complete),
            Reading(EventKind.PACKAGE_RECEIVED),
        ),
        events.PackageVerified: (
            _STALE,
            Reading(EventKind.OUT_OF_TURN, package_is_incomplete),
            Reading(EventKind.VERIFIED_TO_DEFER, upgrade_is_deferred, "1.2"),
            Reading(
                EventKind.VERIFIED_TO_DEFER, upgrade_is_deferred_without_clock, "1.2", ClocklessDeferral.WAIT_FOR_USER
            ),
            Reading(EventKind.VERIFIED_TO_UPGRADE, upgrade_is_automatic, "1.2"),
            Reading(EventKind.PACKAGE_VERIFIED),
        ),
        events.TransferFailed: (
            _STALE,
            Reading(EventKind.OUT_OF_TURN, no_pull_runs),
            Reading(EventKind.CONNECTION_LOST, _failed_with(UpdateResult.CONNECTION_LOST)),
            Reading(EventKind.INTEGRITY_FAILED, _failed_with(UpdateResult.INTEGRITY_FAILURE)),
            Reading(EventKind.PACKAGE_UNSUPPORTED, _failed_with(UpdateResult.UNSUPPORTED_PACKAGE)),
            Reading(EventKind.STORAGE_FULL, _failed_with(UpdateResult.NOT_ENOUGH_STORAGE)),
            Reading(EventKind.OUT_OF_MEMORY, _failed_with(UpdateResult.OUT_OF_MEMORY)),
            Reading(EventKind.SOURCE_INVALID, _failed_with(UpdateResult.INVALID_URI)),
            Reading(EventKind.PROTOCOL_UNSUPPORTED),
        ),
        events.InstallSucceeded: (_STALE_OUTCOME, Reading(EventKind.INSTALL_SUCCEEDED)),
        events.InstallFailed: (
            _STALE_OUTCOME,
            Reading(EventKind.INSTALL_REJECTED, _failed_with(UpdateResult.INTEGRITY_FAILURE)),
            Reading(EventKind.INSTALL_FAILED_IMAGE_LOST, image_was_lost),
            Reading(EventKind.INSTALL_FAILED),
        ),
        events.DeferralEnded: (
            Reading(EventKind.OUT_OF_TURN, nothing_is_deferred),
            Reading(EventKind.DEFERRAL_ENDED),
        ),
        events.ClockRead: (
            Reading(EventKind.DEFERRAL_EXPIRED, deadline_has_passed),
            Reading(EventKind.CLOCK_SET_BACK, clock_went_back),
            Reading(EventKind.DEFERRAL_EXPIRED, period_has_passed_without_clock, policy=ClockLost.COUNT_ON),
            Reading(EventKind.CLOCK_LOST, time_has_passed_without_clock),
            Reading(EventKind.OUT_OF_TURN),
        ),
        events.Restarted: (
            Reading(EventKind.BOOT_CONFIRMED, _booted(BootOutcome.CONFIRMED)),
            Reading(EventKind.BOOT_PENDING, _booted(BootOutcome.PENDING)),
            Reading(EventKind.BOOT_REJECTED, _booted(BootOutcome.REJECTED)),
            Reading(EventKind.BOOT_FAILED_IMAGE_LOST, install_did_not_hold_image_lost),
            Reading(EventKind.BOOT_FAILED, install_did_not_hold),
            Reading(EventKind.RESTARTED_SEALED, _staged(StagedImage.SEALED, pull=False)),
            Reading(EventKind.PULL_RESTARTED_BARE, _staged(StagedImage.MISSING, pull=True)),
            Reading(EventKind.PULL_RESTARTED_PARTIAL, _staged(StagedImage.PARTIAL, pull=True)),
            Reading(EventKind.RESTARTED_BARE, _staged(StagedImage.MISSING, pull=False)),
            Reading(EventKind.RESTARTED_PARTIAL),
        ),
    }
)
"""The readings of each event, in the order to be tried; the last holds always."""

REQUESTS: Final = (
    events.PackageBegun,
    events.EmptyPackageWritten,
    events.ResetWritten,
    events.UriWritten,
    events.UpdateExecuted,
    events.CancelExecuted,
    events.SeverityWritten,
    events.MaxDeferWritten,
    events.AutoUpgradeWritten,
)
"""The events for which a peer waits for an answer."""
