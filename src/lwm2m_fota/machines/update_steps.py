"""The stages and the steps of a server's update, and what each step asks, awaits and bears.

The four stages are those of the service's status card (SERVICE R8); the steps are its sub-steps (R9).
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, final

import attrs


@final
class UpdateStage(StrEnum):
    """Where an update stands, in the words of its status card."""

    PREPARING = "Preparing update"
    TRANSFERRING = "Transferring package"
    EXECUTING = "Executing update"
    CLEANUP = "Cleanup"


@final
class UpdateStep(StrEnum):
    """Where an update stands within its stage; the values are stable."""

    REGISTRATION = "registration"
    COMPONENTS = "components"
    OBSERVE = "observe"
    LEARN = "learn"
    OTHER_UPDATE = "other-update"
    RESET = "reset"
    RESET_CHECK = "reset-check"
    RESET_LATER = "reset-later"
    CONFIGURE = "configure"
    WRITE_URI = "write-uri"
    URI_REFUSED = "uri-refused"
    URI_UNCERTAIN = "uri-uncertain"
    DOWNLOAD = "download"
    PUSH = "push"
    PUSH_REFUSED = "push-refused"
    PUSH_UNCERTAIN = "push-uncertain"
    VERIFY = "verify"
    TRANSFER_LATER = "transfer-later"
    AUTOMATIC = "automatic"
    EXECUTE = "execute"
    EXECUTE_REFUSED = "execute-refused"
    EXECUTE_UNCERTAIN = "execute-uncertain"
    EXECUTE_LATER = "execute-later"
    INSTALL = "install"
    DEFERRED = "deferred"
    VERSION = "version"
    TIDY = "tidy"
    TIDY_CHECK = "tidy-check"
    TIDY_LATER = "tidy-later"
    TIDY_WAIT = "tidy-wait"
    LATE = "late"
    FINISHED = "finished"


@final
class Ask(StrEnum):
    """What a step sends to the device when it is entered."""

    NOTHING = "nothing"
    COMPONENTS = "read the names of its components"
    OBSERVE = "observe State and Update Result"
    LEARN = "read what the device can do, what it shows and which version it runs"
    READ = "read State, Update Result and version"
    READ_LATER = "read State, Update Result and version, but not at once"
    VERSION = "read the version"
    RESET = "the next way to bring the device to Idle"
    CONFIGURE = "write the settings of the plan"
    URI = "publish the package and write its URI"
    PUSH = "push the package block by block"
    EXECUTE = "execute Update"


@final
class Limit(StrEnum):
    """How long a step may go without progress: the field of `UpdateLimits` that says so."""

    REQUEST = "request_s"
    NO_PROGRESS = "no_progress_s"
    RESET = "reset_s"
    BUSY = "busy_s"
    REBOOT = "reboot_s"
    DEFERRAL = "deferral_s"
    VERSION = "version_s"
    LATE = "late_s"


@final
@attrs.frozen
class StepInfo:
    """One step as data.

    Attributes:
        stage: the stage that it belongs to.
        ask: what is sent when it is entered.
        limit: how long it may go without progress; None leaves it to the limits of the stage and the whole.
        awaits: what is awaited, for people.
        then: what happens when the limit passes, for people.
    """

    stage: UpdateStage
    ask: Ask
    limit: Limit | None
    awaits: str
    then: str


_P, _T, _E, _C = UpdateStage
_S = UpdateStep

STEPS: Final[Mapping[UpdateStep, StepInfo]] = MappingProxyType(
    {
        _S.REGISTRATION: StepInfo(_P, Ask.NOTHING, None, "the device to register", "the update times out"),
        _S.COMPONENTS: StepInfo(
            _P, Ask.COMPONENTS, Limit.NO_PROGRESS, "the names of the device's components", "the update times out"
        ),
        _S.OBSERVE: StepInfo(
            _P, Ask.OBSERVE, Limit.REQUEST, "the answer to the observations", "the update goes on by reading"
        ),
        _S.LEARN: StepInfo(
            _P, Ask.LEARN, Limit.NO_PROGRESS, "what the device can do and what it shows", "the update times out"
        ),
        _S.OTHER_UPDATE: StepInfo(
            _P, Ask.READ, Limit.REBOOT, "the end of an installation that was running", "the update times out"
        ),
        _S.RESET: StepInfo(_P, Ask.RESET, Limit.REQUEST, "the answer to a reset", "the State is read"),
        _S.RESET_CHECK: StepInfo(_P, Ask.READ, Limit.RESET, "State Idle after a reset", "the next way is tried"),
        _S.RESET_LATER: StepInfo(
            _P, Ask.READ_LATER, Limit.BUSY, "the device to have time (it answered 5.03)", "the update times out"
        ),
        _S.CONFIGURE: StepInfo(
            _P, Ask.CONFIGURE, Limit.REQUEST, "the answer to the settings", "what the device shows is read again"
        ),
        _S.WRITE_URI: StepInfo(_T, Ask.URI, Limit.REQUEST, "the answer to the Package URI", "the State is read"),
        _S.URI_REFUSED: StepInfo(
            _T, Ask.READ, Limit.NO_PROGRESS, "the Update Result after a refused Package URI", "the update fails"
        ),
        _S.URI_UNCERTAIN: StepInfo(
            _T, Ask.READ, Limit.NO_PROGRESS, "a sign that the Package URI arrived", "the update times out"
        ),
        _S.DOWNLOAD: StepInfo(_T, Ask.READ, Limit.NO_PROGRESS, "the end of the download", "the update times out"),
        _S.PUSH: StepInfo(
            _T, Ask.PUSH, Limit.NO_PROGRESS, "the device to take the package", "the push is stopped and begun again"
        ),
        _S.PUSH_REFUSED: StepInfo(
            _T, Ask.READ, Limit.BUSY, "the Update Result after a refused push", "the update fails"
        ),
        _S.PUSH_UNCERTAIN: StepInfo(_T, Ask.READ, Limit.BUSY, "what became of a broken push", "the update times out"),
        _S.VERIFY: StepInfo(
            _T, Ask.READ, Limit.NO_PROGRESS, "the device to accept the pushed package", "the update times out"
        ),
        _S.TRANSFER_LATER: StepInfo(
            _T, Ask.READ_LATER, Limit.BUSY, "the time to begin the transfer again", "the update times out"
        ),
        _S.AUTOMATIC: StepInfo(
            _E,
            Ask.READ,
            Limit.NO_PROGRESS,
            "the device to update by itself",
            "the update times out",
        ),
        _S.EXECUTE: StepInfo(_E, Ask.EXECUTE, Limit.REQUEST, "the answer to Update", "the State is read"),
        _S.EXECUTE_REFUSED: StepInfo(
            _E, Ask.READ, Limit.NO_PROGRESS, "the Update Result after a refused Update", "the update fails"
        ),
        _S.EXECUTE_UNCERTAIN: StepInfo(
            _E, Ask.READ, Limit.REBOOT, "a sign whether Update arrived", "the update times out"
        ),
        _S.EXECUTE_LATER: StepInfo(
            _E, Ask.READ_LATER, Limit.BUSY, "the time to execute Update again", "the update times out"
        ),
        _S.INSTALL: StepInfo(
            _E, Ask.READ, Limit.REBOOT, "the end of the installation", "the update ends without a result"
        ),
        _S.DEFERRED: StepInfo(
            _E, Ask.READ_LATER, Limit.DEFERRAL, "the user of the device to accept the update", "the update times out"
        ),
        _S.VERSION: StepInfo(_E, Ask.VERSION, Limit.VERSION, "the version after the update", "it stays unknown"),
        _S.TIDY: StepInfo(_C, Ask.RESET, Limit.REQUEST, "the answer to a reset", "the State is read"),
        _S.TIDY_CHECK: StepInfo(_C, Ask.READ, Limit.RESET, "State Idle after a reset", "the next way is tried"),
        _S.TIDY_LATER: StepInfo(
            _C, Ask.READ_LATER, None, "the device to have time (it answered 5.03)", "the update ends with a warning"
        ),
        _S.TIDY_WAIT: StepInfo(_C, Ask.READ_LATER, None, "State Idle by itself", "the update ends with a warning"),
        _S.LATE: StepInfo(_C, Ask.NOTHING, Limit.LATE, "a result that comes late", "nothing"),
        _S.FINISHED: StepInfo(_C, Ask.NOTHING, None, "nothing", "nothing"),
    }
)
"""Every step, in the order of the status card."""


def stage_of(step: UpdateStep) -> UpdateStage:
    """The stage of a step."""
    return STEPS[step].stage
