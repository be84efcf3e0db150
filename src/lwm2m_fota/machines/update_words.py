"""The words of the update table: cues, targets, junctions, guards and marks."""

from enum import StrEnum
from typing import final

import attrs

from lwm2m_fota.machines.update_state import Kind
from lwm2m_fota.machines.update_steps import UpdateStep


@final
class Cue(StrEnum):
    """What an event comes to, seen from the present step."""

    REGISTERED = "registered"
    REGISTERED_WITHOUT = "registered without the object"
    LOST = "deregistered or lapsed"
    RESTARTED = "server restarted"
    OBSERVED = "observation answered"
    OBSERVE_FAILED = "observation failed"
    ACCEPTED = "request answered 2.xx"
    BUSY = "request answered 5.03"
    REFUSED = "request refused"
    BROKEN = "push broken off by an answer"
    NO_ANSWER = "request without an answer"
    NO_PACKAGE = "package not readable on our side"
    FOUND = "components found"
    NO_COMPONENT = "a component is not there"
    GUARDED = "the version is refused by its guard"
    NO_PULL = "device does not pull"
    NO_PUSH = "device does not take a push"
    NO_PROTOCOL = "no protocol in common"
    UNREAD = "read failed"
    IDLE = "Idle"
    IDLE_NEXT = "Idle, another component is not"
    IDLE_UNSETTLED = "Idle, nothing told, first look"
    IDLE_WAITING = "Idle, as before this attempt"
    IDLE_GONE = "Idle again without a result"
    IDLE_UNVERSIONED = "Idle without a result or a version"
    IDLE_UPDATED = "Idle, new version, no result"
    IDLE_DONE = "Idle, result 1"
    IDLE_CUT = "Idle, result 4"
    IDLE_FAILED = "Idle, another error"
    DOWNLOADING = "Downloading"
    DOWNLOADED = "Downloaded"
    DOWNLOADED_FAILED = "Downloaded, an error"
    DEFERRED = "Downloaded, result 11"
    UPDATING = "Updating"
    VERSION_READ = "version read"
    NOTIFIED = "notified"
    SENT = "bytes pushed"
    SERVED = "bytes served"
    POLL = "time to read"
    SILENCE = "limit of the step"
    STAGE_LIMIT = "limit of the stage"
    TOTAL_LIMIT = "limit of the whole"
    CANCEL = "cancel"


@final
class Here(StrEnum):
    """Targets that leave the step as it is."""

    STAY = "stay"
    READ = "stay and read"


@final
class Junction(StrEnum):
    """Where the way on depends on more than step and cue."""

    START = "start over"
    WATCH = "watch the device"
    READY = "Idle, and known"
    TRANSFER = "begin the transfer"
    NEXT_RESET = "next way to reset"
    SILENT_PULL = "silent pull"
    STALLED_PUSH = "stalled push"
    RETRY = "transfer again"
    BUSY = "transfer later"
    RESUME = "watch or push again"
    DOWNLOADED = "package is there"
    DEFER = "deferred"
    HOLD = "still Downloaded"
    EXECUTE_AGAIN = "execute again"
    EXECUTE_REFUSED = "Update was refused"
    EXECUTE_BUSY = "execute later"
    SILENT_EXECUTE = "silent after Update"
    SILENT_INSTALL = "silent installation"
    NOT_AUTOMATIC = "no upgrade by itself"
    DONE = "result 1"
    NEXT = "the next component"
    LAST = "too late for the next component"
    AFTER = "after the end"
    NEXT_TIDY = "next way to tidy"
    TIDY_TOO_LATE = "Updating after the end"
    TIDY_DONE = "installed after the end"
    END = "the end"
    ENDED = "after all was looked at"


@final
class Guard(StrEnum):
    """What a branch asks."""

    NAMES_UNKNOWN = "the components are not found yet"
    OBSERVES = "the policy observes"
    CONFIGURES = "the plan sets something that is not sent yet"
    BY_PUSH = "the package is pushed"
    METHOD_LEFT = "another way to reset is left"
    WAITS = "the next way is to wait"
    SHOWS_IDLE = "the device shows Idle"
    SHOWS_DOWNLOADING = "the device shows Downloading"
    SHOWS_DOWNLOADED = "the device shows Downloaded"
    MOVED = "the device began"
    TRANSFER_LEFT = "another attempt is allowed"
    BUSY_LEFT = "another 5.03 is allowed"
    UPGRADES_ITSELF = "Automatic Upgrade is on"
    EXECUTES_ANYWAY = "the policy executes Update even so"
    PART_LEFT = "another package is to be delivered"
    UNDONE_LEFT = "another component is to be updated"
    CANCEL_ASKED = "a cancellation is asked for"
    CANCEL_LEFT = "a cancellation was asked for, and another component is to be updated"
    MAY_EXECUTE = "the policy allows another Update, and none was accepted"
    UNREGISTERED = "the device is not registered"
    VERSION_KNOWN = "the version was read with the result"
    CANCELLING = "the outcome is Cancelled"
    CANCELLED_PARTLY = "the outcome is Cancelled, and a component is updated"
    NOTHING_TO_TIDY = "nothing is left on the device, or the policy leaves it"
    AWAITS_LATE = "an installation may have begun or begin, and its end is not known"


@final
class Mark(StrEnum):
    """What a row notes beside its target."""

    REOBSERVE = "observe again"
    FIRST_METHOD = "first way to reset"
    FRESH = "any error shown from now on is new"
    MOVED = "the device began"
    NEXT_PART = "the next package"
    BATCH = "Update is due for what is not yet updated"
    DONE = "what shows it runs what it was given"
    LATE = "recorded as late"
    ACCEPTED = "Update was accepted"
    UNCOUNT_TRANSFER = "this attempt does not count; one more 5.03"
    UNCOUNT_EXECUTE = "this Update does not count; one more 5.03"
    CANCEL = "a cancellation is asked for"
    TOO_LATE = "the cancellation came too late"


@final
@attrs.frozen
class End:
    """The end: a kind of outcome, and its code.

    `by_result` lets an error that the device itself reports in this attempt go before the code.
    """

    kind: Kind
    code: str | None = None
    by_result: bool = False


Target = UpdateStep | Junction | Here | End


@final
@attrs.frozen
class Row:
    """One cell: where it leads, what it notes, what it warns of, and where it comes from."""

    target: Target
    marks: tuple[Mark, ...] = ()
    warn: str | None = None
    source: str = ""


@final
@attrs.frozen
class Branch:
    """One way out of a junction; without a guard it is always open."""

    guard: Guard | None
    target: Target
    marks: tuple[Mark, ...] = ()
    warn: str | None = None
