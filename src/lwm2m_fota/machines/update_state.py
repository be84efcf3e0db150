"""What the server's update machine is made of.

`Control` is finite but for the plan's own counts, and hashable: it alone decides what comes next, and an explorer may
walk it. Times, command numbers and texts that only people or the peer need stand beside it.

An update is of parts: the one firmware of a device with Object 5, or components of Object 33629. One of them is in
focus: the one that is being reset, delivered or executed.
"""

from enum import StrEnum
from typing import final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines.update_codes import DIAGNOSES
from lwm2m_fota.machines.update_outcome import (
    Cancelled,
    ComponentEnd,
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
    """What the last read said of a version."""

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
class Part:
    """What decides about one part.

    Attributes:
        moved: the device has shown, in a read or by fetching, that this attempt began.
        baseline: the Update Result from before this attempt; it is not this attempt's result.
        state, result: what the device last showed.
        version: what the last read said of the version.
        kept: Result 1 was seen while executing; it may be gone at the next look.
        done: it runs what it was given.
    """

    moved: bool = False
    baseline: UpdateResult = UpdateResult.INITIAL
    state: State | None = None
    result: UpdateResult | None = None
    version: VersionSeen = VersionSeen.UNKNOWN
    kept: bool = False
    done: bool = False


@final
@attrs.frozen(kw_only=True)
class Control:
    """What decides.

    Attributes:
        step: where the update stands.
        parts: those of the plan; `at`: the index of the one in focus.
        targets: the instances of the parts, once known; `order`: in which order they are delivered.
        delivered: the place in that order that is reached.
        registered: the device is registered.
        object_id: the object that is used, once known; `offers`: the last registration offers it.
        instances: those of Object 33629 in the registration; empty if it lists none.
        method: how the package goes, once known; `scheme`: the URI scheme of a pull, else empty.
        minor: the y of the object's version 1.y: Cancel is there since 1.1 of Object 5, resource 14 since 1.2.
        upgrades_itself: resource 14 of Object 5 is true.
        defer_s: the Maximum Defer Period that the device shows, seconds; None if it shows none.
        configured: the settings of the plan were sent.
        reading: a read is on its way; `again`: something happened since, its answer is not to be judged.
        asking: a request other than a read is on its way; `observing`: so is a request to observe.
        settled: the device has been Idle without a telling result in one read before.
        accepted: this Update was accepted once.
        published: a package is available for a pull.
        next_method: index of the next way to reset.
        transfers, executes, busies: how often so far; of the part that is delivered, and of the Update that is due.
        cancel: what has become of a wish to cancel.
        verdict: how it ends.
    """

    step: UpdateStep = UpdateStep.REGISTRATION
    parts: tuple[Part, ...] = (Part(),)
    at: int = 0
    targets: tuple[int, ...] = ()
    order: tuple[int, ...] = (0,)
    delivered: int = 0
    registered: bool = False
    object_id: int = 0
    offers: bool = False
    instances: tuple[int, ...] = ()
    method: Method | None = None
    scheme: str = ""
    minor: int = 0
    upgrades_itself: bool = False
    defer_s: int | None = None
    configured: bool = False
    reading: bool = False
    again: bool = False
    asking: bool = False
    observing: bool = False
    settled: bool = False
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

    @property
    def part(self) -> Part:
        """The part in focus."""
        return self.parts[self.at]


@final
@attrs.frozen(kw_only=True)
class Times:
    """When things happened, monotonic seconds.

    Attributes:
        started: the update, later by what it has rested since; `stage`, `step`: their beginning.
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
class PartMemory:
    """What is remembered of one part.

    Attributes:
        version_before, version_now: its version before the update and as last read.
        state, result: the last pair that one read showed; `Part` also knows what notifications have told since.
        late: State and Update Result that came after the end; None if none did.
    """

    version_before: str | None = None
    version_now: str | None = None
    state: State | None = None
    result: UpdateResult | None = None
    late: tuple[int, ...] | None = None


@final
@attrs.frozen(kw_only=True)
class Memory:
    """What is remembered for people and for the peer; nothing here decides but whether an answer is the awaited one.

    Attributes:
        command: the last number given out.
        request, read, observe: the number of the last of each.
        epoch: the number of the present registration; None if it is not known.
        bytes_done: the furthest byte of the package in this attempt.
        parts: of each part.
        warnings: the codes of what was odd, each once.
    """

    command: int = 0
    request: int = 0
    read: int = 0
    observe: int = 0
    epoch: int | None = None
    bytes_done: int = 0
    parts: tuple[PartMemory, ...] = (PartMemory(),)
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
        """True once there is an outcome; a late result may still be recorded."""
        return self.control.step in {UpdateStep.LATE, UpdateStep.FINISHED}

    @property
    def outcome(self) -> Outcome | None:
        """How the update ended; None while it runs, its Cleanup included."""
        return outcome_of(self) if self.finished else None

    @property
    def warnings(self) -> tuple[Diagnosis, ...]:
        """What was odd so far."""
        return tuple(DIAGNOSES[code] for code in self.memory.warnings)

    @property
    def late(self) -> tuple[ComponentEnd, ...]:
        """What the device has shown after the end, of each component that has shown anything."""
        return tuple(
            _end_of(self, index, State(memory.late[0]), UpdateResult(memory.late[1]))
            for index, memory in enumerate(self.memory.parts)
            if memory.late is not None
        )


def outcome_of(machine: UpdateMachine) -> Outcome:
    """The outcome that the verdict stands for.

    Raises:
        UsageError: there is no verdict yet.
    """
    verdict, warnings = machine.control.verdict, machine.warnings
    if verdict is None:
        raise UsageError("this update has not ended")
    ends = _ends(machine)
    components = ends if machine.plan.components else ()
    if verdict.kind is Kind.SUCCEEDED:
        before, after = ends[0].version_before, ends[0].version_after
        return Succeeded(version_before=before, version_after=after, components=components, warnings=warnings)
    if verdict.kind is Kind.CANCELLED:
        return Cancelled(stage=verdict.stage, components=components, warnings=warnings)
    diagnosis = DIAGNOSES[verdict.code or ""]
    if verdict.kind is Kind.FAILED:
        return Failed(
            stage=verdict.stage, result=verdict.result, diagnosis=diagnosis, components=components, warnings=warnings
        )
    if verdict.kind is Kind.TIMED_OUT:
        return TimedOut(stage=verdict.stage, diagnosis=diagnosis, components=components, warnings=warnings)
    return Undetermined(diagnosis=diagnosis, components=components, warnings=warnings)


def _ends(machine: UpdateMachine) -> tuple[ComponentEnd, ...]:
    memories = machine.memory.parts
    return tuple(_end_of(machine, index, each.state, each.result) for index, each in enumerate(memories))


def _end_of(machine: UpdateMachine, index: int, state: State | None, result: UpdateResult | None) -> ComponentEnd:
    control, memory = machine.control, machine.memory.parts[index]
    part = control.parts[index]
    return ComponentEnd(
        name=machine.plan.parts[index].name,
        instance=control.targets[index] if index < len(control.targets) else None,
        version_before=memory.version_before,
        version_after=None if part.version is VersionSeen.UNKNOWN else memory.version_now,
        state=state,
        result=result,
        updated=part.done,
    )
