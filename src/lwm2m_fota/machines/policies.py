"""Named choices where the documents leave room, each with its default.

A policy is an enum member, so a row of the table names the choice that it belongs to and no code asks for it.
"""

from enum import Enum
from typing import Final, TypeAlias, final

import attrs


@final
class ResetScope(Enum):
    """Where a reset (Package = one NUL byte, or Package URI = "") is obeyed (SPEC 3.1 T3, T14, T22; OMA issue 219).

    The object text says always, the figure shows it from Downloaded only. The default follows the text: a server
    that finds a device in an unknown state has no other way to bring it back.
    """

    EVERYWHERE_BUT_UPDATING = "everywhere but Updating"
    DOWNLOADED_ONLY = "Downloaded only"


@final
class FailureTarget(Enum):
    """Where a failed installation lands while the image is still there (SPEC 3.1 T26; OMA issue 393).

    The default is Downloaded: it is the only target of the 1.0 text and allowed by all versions, and the server may
    execute again without a second transfer. A lost image always lands in Idle, since Downloaded would promise it.
    """

    DOWNLOADED = "Downloaded"
    IDLE = "Idle"


@final
class WrongStateWrite(Enum):
    """The answer to a Package or Package URI write that the state does not allow (SPEC 3.1 R-b, T16, T24; 3.4).

    The default says what is wrong: the method, in this state. Updating answers 4.05 under both (T28).
    """

    METHOD_NOT_ALLOWED = "4.05"
    BAD_REQUEST = "4.00"


@final
class SynchronousUriFailure(Enum):
    """What a Package URI does that is known to be useless when it is written (SPEC 3.1 T12, T13; OMA issue 136).

    The default answers 2.04 and passes through Downloading, so that every failed update looks the same to a server;
    the other answers 4.00 and shows Result 7 or 9 without leaving Idle.
    """

    THROUGH_DOWNLOADING = "through Downloading"
    STAY_IDLE = "stay Idle"


@final
class ZeroLengthPackage(Enum):
    """What an empty Package write means (SPEC 3.4, 19 item 5).

    The default refuses with 4.00: peers disagree on the meaning, and a refusal destroys nothing.
    """

    REFUSE = "refuse"
    RESET = "reset"
    EMPTY_IMAGE = "empty image"


@final
class RepeatedPush(Enum):
    """What a new first block does while a push is being received (SPEC 3.1 T16, 9.1).

    The default starts the transfer again (RFC 7959 section 2.5): an interrupted push must not block the next one.
    """

    RESTART = "restart"
    REFUSE = "refuse"


@final
class ClocklessDeferral(Enum):
    """What a deferral does on a device whose wall clock is not set (SPEC 3.1 T19, 3.3).

    The default installs at once: without a clock the end of the Maximum Defer Period cannot be kept.
    """

    INSTALL_AT_ONCE = "install at once"
    WAIT_FOR_USER = "wait for the user"


@final
class ClockSetBack(Enum):
    """What happens to a deferral when the wall clock is found before the deferral began (SPEC 3.3).

    The default counts the whole period once more from now, so the wait ends on every device that runs for so long.
    """

    RESTART_PERIOD = "restart the period"
    KEEP_DEADLINE = "keep the deadline"


@final
class ClockLost(Enum):
    """What a deferral that runs does while the wall clock is not set, as after a restart (SPEC 3.3).

    The default takes off what is left of the period what has passed without the clock, and saves what is left, so the
    wait ends over any number of restarts. A clock that is set again decides by the deadline, as ever.
    """

    COUNT_ON = "count on"
    WAIT_FOR_CLOCK = "wait for the clock"


@final
@attrs.frozen(kw_only=True)
class FirmwarePolicies:
    """The choices of one device.

    Attributes:
        reset_scope: where a reset is obeyed.
        failure_target: where a failed installation lands.
        wrong_state_write: the answer to a write that the state does not allow.
        synchronous_uri_failure: what a useless Package URI does.
        zero_length_package: what an empty Package write means.
        repeated_push: what a new first block does during a push.
        clockless_deferral: what a deferral does without a wall clock.
        clock_set_back: what a deferral does when the wall clock goes back.
        clock_lost: what a deferral does while the wall clock is not set any more.
    """

    reset_scope: ResetScope = ResetScope.EVERYWHERE_BUT_UPDATING
    failure_target: FailureTarget = FailureTarget.DOWNLOADED
    wrong_state_write: WrongStateWrite = WrongStateWrite.METHOD_NOT_ALLOWED
    synchronous_uri_failure: SynchronousUriFailure = SynchronousUriFailure.THROUGH_DOWNLOADING
    zero_length_package: ZeroLengthPackage = ZeroLengthPackage.REFUSE
    repeated_push: RepeatedPush = RepeatedPush.RESTART
    clockless_deferral: ClocklessDeferral = ClocklessDeferral.INSTALL_AT_ONCE
    clock_set_back: ClockSetBack = ClockSetBack.RESTART_PERIOD
    clock_lost: ClockLost = ClockLost.COUNT_ON


DEFAULT_POLICIES: Final = FirmwarePolicies()

Policy: TypeAlias = (
    ResetScope
    | FailureTarget
    | WrongStateWrite
    | SynchronousUriFailure
    | ZeroLengthPackage
    | RepeatedPush
    | ClocklessDeferral
    | ClockSetBack
    | ClockLost
)
