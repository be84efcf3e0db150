"""What the branches of the update table ask, answered from the plan and the control state alone."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from lwm2m_fota.machines.update_learn import settings_of
from lwm2m_fota.machines.update_places import has_cancel
from lwm2m_fota.machines.update_policy import (
    ExecuteAgain,
    Method,
    NotAutomatic,
    ResetMethod,
    UpdatePlan,
    Watch,
)
from lwm2m_fota.machines.update_state import CancelMark, Control, Kind, Part, VersionSeen
from lwm2m_fota.machines.update_steps import UpdateStage
from lwm2m_fota.machines.update_words import Guard
from lwm2m_fota.model.enums import State, UpdateResult

_LEAVES_NOTHING: Final = (Kind.SUCCEEDED, Kind.UNDETERMINED)
_UNKNOWN_END: Final = (Kind.TIMED_OUT, Kind.UNDETERMINED)
_LEFT: Final = frozenset({State.DOWNLOADING, State.DOWNLOADED})


def is_cancelling(control: Control) -> bool:
    """True once the outcome is Cancelled."""
    return control.verdict is not None and control.verdict.kind is Kind.CANCELLED


def reset_methods(plan: UpdatePlan, control: Control) -> tuple[ResetMethod, ...]:
    """The ways to bring this device to Idle, in order; Cancel only where the object has it."""
    methods = plan.policy.cancel_methods if is_cancelling(control) else plan.policy.reset_methods
    return tuple(method for method in methods if has_cancel(control) or method is not ResetMethod.CANCEL)


def next_reset(plan: UpdatePlan, control: Control) -> ResetMethod | None:
    """The way that is to be tried next; None if all were tried."""
    methods = reset_methods(plan, control)
    return methods[control.next_method] if control.next_method < len(methods) else None


def next_part(plan: UpdatePlan, control: Control) -> int | None:
    """The place in the order at which the next package is delivered; None if what is left is sent, or runs already."""
    packages = [plan.parts[index].package for index in control.order]
    sent = packages[: control.delivered + 1]
    undone = (at for at, index in enumerate(control.order) if at > control.delivered and not control.parts[index].done)
    return next((at for at in undone if packages[at] not in sent), None)


def left_parts(control: Control) -> tuple[int, ...]:
    """The parts that were last seen with a package, complete or not."""
    return tuple(index for index, part in enumerate(control.parts) if part.state in _LEFT)


def has_begun(control: Control) -> bool:
    """A package was sent, or a URI."""
    return control.transfers > 0 or control.delivered > 0


def _method_left(plan: UpdatePlan, control: Control) -> bool:
    return next_reset(plan, control) not in {None, ResetMethod.WAIT}


def _transfer_left(plan: UpdatePlan, control: Control) -> bool:
    most = plan.policy.max_pushes if control.method is Method.PUSH else plan.policy.max_pulls
    return control.transfers < most


def _may_execute(plan: UpdatePlan, control: Control) -> bool:
    again = plan.policy.execute_again is ExecuteAgain.IN_DOWNLOADED
    return again and not control.accepted and control.executes < plan.policy.max_executes


def _nothing_to_tidy(plan: UpdatePlan, control: Control) -> bool:
    """A cancelled transfer is always tidied: the device may show Idle during a push (FIELD)."""
    if not has_begun(control) or control.verdict is None or control.verdict.kind in _LEAVES_NOTHING:
        return True
    if is_cancelling(control):
        return False
    return not (plan.policy.tidy and control.registered and left_parts(control))


def _awaits_late(_: UpdatePlan, control: Control) -> bool:
    """A device that upgrades by itself may do so after the time for the transfer; one that was cancelled does not."""
    verdict = control.verdict
    if verdict is None or verdict.kind not in _UNKNOWN_END:
        return False
    if verdict.stage is UpdateStage.TRANSFERRING:
        return control.upgrades_itself and not _is_cancelled(control.part)
    return verdict.stage is UpdateStage.EXECUTING


def _is_cancelled(part: Part) -> bool:
    return part.state is State.IDLE and part.result is UpdateResult.CANCELLED


def _is_undone(control: Control) -> bool:
    return not all(part.done for part in control.parts)


def _versions_known(_: UpdatePlan, control: Control) -> bool:
    return all(part.version is not VersionSeen.UNKNOWN for part in control.parts if part.done)


_GUARDS: Final[Mapping[Guard, Callable[[UpdatePlan, Control], bool]]] = MappingProxyType(
    {
        Guard.NAMES_UNKNOWN: lambda _, control: not control.targets,
        Guard.OBSERVES: lambda plan, _: plan.policy.watch is Watch.OBSERVE_WITH_READ_FALLBACK,
        Guard.CONFIGURES: lambda plan, control: not control.configured and bool(settings_of(plan, control)),
        Guard.BY_PUSH: lambda _, control: control.method is Method.PUSH,
        Guard.METHOD_LEFT: _method_left,
        Guard.WAITS: lambda plan, control: next_reset(plan, control) is ResetMethod.WAIT,
        Guard.SHOWS_IDLE: lambda _, control: control.part.state is State.IDLE,
        Guard.SHOWS_DOWNLOADING: lambda _, control: control.part.state is State.DOWNLOADING,
        Guard.SHOWS_DOWNLOADED: lambda _, control: control.part.state is State.DOWNLOADED,
        Guard.MOVED: lambda _, control: control.part.moved,
        Guard.TRANSFER_LEFT: _transfer_left,
        Guard.BUSY_LEFT: lambda plan, control: control.busies <= plan.policy.max_busy,
        Guard.UPGRADES_ITSELF: lambda _, control: control.upgrades_itself,
        Guard.EXECUTES_ANYWAY: lambda plan, _: plan.policy.not_automatic is NotAutomatic.EXECUTE,
        Guard.PART_LEFT: lambda plan, control: next_part(plan, control) is not None,
        Guard.UNDONE_LEFT: lambda _, control: _is_undone(control),
        Guard.CANCEL_ASKED: lambda _, control: control.cancel is not CancelMark.NONE,
        Guard.CANCEL_LEFT: lambda _, control: control.cancel is not CancelMark.NONE and _is_undone(control),
        Guard.MAY_EXECUTE: _may_execute,
        Guard.UNREGISTERED: lambda _, control: not control.registered,
        Guard.VERSION_KNOWN: _versions_known,
        Guard.CANCELLING: lambda _, control: is_cancelling(control),
        Guard.CANCELLED_PARTLY: lambda _, control: is_cancelling(control) and any(part.done for part in control.parts),
        Guard.NOTHING_TO_TIDY: _nothing_to_tidy,
        Guard.AWAITS_LATE: _awaits_late,
    }
)


def holds(guard: Guard | None, plan: UpdatePlan, control: Control) -> bool:
    """True if the branch with this guard is open."""
    return guard is None or _GUARDS[guard](plan, control)
