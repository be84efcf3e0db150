"""What the server's update machine is made of.

`Control` is finite but for the plan's own counts, and hashable: it alone decides what comes next, and an explorer may
walk it. Times, command numbers and texts that only people or the peer need stand beside it.
"""

from enum import StrEnum
from typing import final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines.update_codes import DIAGNOSES
from lwm2m_fota.machines.update_outcome import (
    Cancelled,
    Diagnosis,
    Failed,
    Outcome,
    Succeeded,
    TimedOut,
    Undetermined,
)
from lwm2m_fota.machines.update_policy import Method, UpdatePlan
from lwm2m_fota.machines.update_steps import UpdateStage, UpdateStep, stage_of
from lwm2m_fota.model.enums import State, UpdateResult


@final
class VersionSeen(StrEnum):
    """What the last read said of `/3/0/3`."""

    UNKNOWN = "unknown"
    SAME = "as before"
    EXPECTED = "changed to the expected one, or to any if none is expected"
    OTHER = "neither"


@final
class CancelMark(StrEnum):
    """What has become of a wish to cancel."""

    NONE = "none"
    ASKED = "asked"
    LATE = "too late"


@final
class Kind(StrEnum):
    """The kinds of outcome."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"
    UNDETERMINED = "undetermined"


@final
@attrs.frozen
class Verdict:
    """How the update ends, known before Cleanup and never changed by it but for a cancellation that came too late."""

    kind: Kind
    stage: UpdateStage
    code: str | None = None
    result: UpdateResult | None = None


@final
@attrs.frozen(kw_only=True)
class Control:
    """What decides.

    Attributes:
        step: where the update stands.
        registered: the device is registered.
        offers: its last registration offers Object 5.
        method: how the package goes, once known; `scheme`: the URI scheme of a pull, else empty.
        minor: the y of Object 5's version 1.y: resource 10 since 1.1, resource 14 since 1.2.
        upgrades_itself: resource 14 is true.
        reading: a read is on its way; `again`: something happened since, its answer is not to be judged.
        asking: a request other than a read is on its way; `observing`: so is a request to observe.
        settled: the device has been Idle without a telling result in one read before.
        moved: the device has shown, in a read or by fetching, that this attempt began.
        baseline: the Update Result from before this attempt; it is not this attempt's result.
        state, result: what the device last showed.
        version: what the last read said of the version.
        kept: Result 1 was seen while executing; it may be gone at the next look.
        accepted: Update was accepted once.
        published: the package is available for a pull.
        next_method: index of the next way to reset.
        transfers, executes, busies: how often so far.
        cancel: what has become of a wish to cancel.
        verdict: how it ends.
    """

    step: UpdateStep = UpdateStep.REGISTRATION
    registered: bool = False
    offers: bool = False
    method: Method | None = None
    scheme: str = ""
    minor: int = 0
    upgrades_itself: bool = False
    reading: bool = False
    again: bool = False
    asking: bool = False
    observing: bool = False
    settled: bool = False
    moved: bool = False
    baseline: UpdateResult = UpdateResult.INITIAL
    state: State | None = None
    result: UpdateResult | None = None
    version: VersionSeen = VersionSeen.UNKNOWN
    kept: bool = False
    accepted: bool = False
    published: bool = False
    next_method: int = 0
    transfers: int = 0
    executes: int = 0
    busies: int = 0
    cancel: CancelMark = CancelMark.NONE
    verdict: Verdict | None = None

    @property
    def stage(self) -> UpdateStage:
        """The stage of the present step."""
        return stage_of(self.step)


@final
@attrs.frozen(kw_only=True)
class Times:
    """When things happened, monotonic seconds.

    Attributes:
        started: the update; `stage`, `step`: their beginning.
        heard: the last progress in this step.
        shown: when State and Update Result were last read; None before.
        poll: when to read next; None for never.
    """

    started: float
    stage: float
    step: float
    heard: float
    shown: float | None = None
    poll: float | None = None


@final
@attrs.frozen(kw_only=True)
class Memory:
    """What is remembered for people and for the peer; nothing here decides but whether an answer is the awaited one.

    Attributes:
        command: the last number given out.
        request, read, observe: the number of the last of each.
        epoch: the number of the present registration; None if it is not known.
        bytes_done: the furthest byte of the package in this attempt.
        version_before, version_now: `/3/0/3` before the update and as last read.
        state, result: the last pair that one read showed; `Control` also knows what notifications have told since.
        warnings: the codes of what was odd, each once.
    """

    command: int = 0
    request: int = 0
    read: int = 0
    observe: int = 0
    epoch: int | None = None
    bytes_done: int = 0
    version_before: str | None = None
    version_now: str | None = None
    state: State | None = None
    result: UpdateResult | None = None
    warnings: tuple[str, ...] = ()


@final
@attrs.frozen(kw_only=True)
class UpdateMachine:
    """One update of one device, as a value; `update.step` makes the next one."""

    plan: UpdatePlan
    control: Control
    times: Times
    memory: Memory

    @property
    def stage(self) -> UpdateStage:
        """The present stage."""
        return self.control.stage

    @property
    def finished(self) -> bool:
        """True if nothing more will come."""
        return self.control.step is UpdateStep.FINISHED

    @property
    def outcome(self) -> Outcome | None:
        """How the update ended; None while it runs, its Cleanup included."""
        return outcome_of(self) if self.finished else None

    @property
    def warnings(self) -> tuple[Diagnosis, ...]:
        """What was odd so far."""
        return tuple(DIAGNOSES[code] for code in self.memory.warnings)


def outcome_of(machine: UpdateMachine) -> Outcome:
    """The outcome that the verdict stands for.

    Raises:
        UsageError: there is no verdict yet.
    """
    verdict, memory, warnings = machine.control.verdict, machine.memory, machine.warnings
    if verdict is None:
        raise UsageError("this update has not ended")
    if verdict.kind is Kind.SUCCEEDED:
        after = None if machine.control.version is VersionSeen.UNKNOWN else memory.version_now
        return Succeeded(version_before=memory.version_before, version_after=after, warnings=warnings)
    if verdict.kind is Kind.CANCELLED:
        return Cancelled(stage=verdict.stage, warnings=warnings)
    diagnosis = DIAGNOSES[verdict.code or ""]
    if verdict.kind is Kind.FAILED:
        return Failed(stage=verdict.stage, result=verdict.result, diagnosis=diagnosis, warnings=warnings)
    if verdict.kind is Kind.TIMED_OUT:
        return TimedOut(stage=verdict.stage, diagnosis=diagnosis, warnings=warnings)
    return Undetermined(diagnosis=diagnosis, warnings=warnings)
