"""What the branches of the update table ask, answered from the plan and the control state alone."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from lwm2m_fota.machines.update_judge import CANCEL_SINCE_MINOR
from lwm2m_fota.machines.update_policy import ExecuteAgain, Method, ResetMethod, UpdatePlan, Watch
from lwm2m_fota.machines.update_state import CancelMark, Control, Kind, VersionSeen
from lwm2m_fota.machines.update_words import Guard
from lwm2m_fota.model.enums import State

_LEAVES_NOTHING: Final = (Kind.SUCCEEDED, Kind.UNDETERMINED)


def is_cancelling(control: Control) -> bool:
    """True once the outcome is Cancelled."""
    return control.verdict is not None and control.verdict.kind is Kind.CANCELLED


def reset_methods(plan: UpdatePlan, control: Control) -> tuple[ResetMethod, ...]:
    """The ways to bring this device to Idle, in order; Cancel only where Object 5 has it."""
    methods = plan.policy.cancel_methods if is_cancelling(control) else plan.policy.reset_methods
    has_cancel = control.minor >= CANCEL_SINCE_MINOR
    return tuple(method for method in methods if has_cancel or method is not ResetMethod.CANCEL)


def _transfer_left(plan: UpdatePlan, control: Control) -> bool:
    most = plan.policy.max_pushes if control.method is Method.PUSH else plan.policy.max_pulls
    return control.transfers < most


def _may_execute(plan: UpdatePlan, control: Control) -> bool:
    again = plan.policy.execute_again is ExecuteAgain.IN_DOWNLOADED
    return again and not control.accepted and control.executes < plan.policy.max_executes


def _nothing_to_tidy(plan: UpdatePlan, control: Control) -> bool:
    """A cancelled transfer is always tidied: the device may show Idle during a push (FIELD)."""
    if control.transfers == 0 or control.verdict is None or control.verdict.kind in _LEAVES_NOTHING:
        return True
    if is_cancelling(control):
        return False
    left = control.state in {State.DOWNLOADING, State.DOWNLOADED}
    return not (plan.policy.tidy and control.registered and left)


_GUARDS: Final[Mapping[Guard, Callable[[UpdatePlan, Control], bool]]] = MappingProxyType(
    {
        Guard.OBSERVES: lambda plan, _: plan.policy.watch is Watch.OBSERVE_WITH_READ_FALLBACK,
        Guard.BY_PUSH: lambda _, control: control.method is Method.PUSH,
        Guard.METHOD_LEFT: lambda plan, control: control.next_method < len(reset_methods(plan, control)),
        Guard.SHOWS_IDLE: lambda _, control: control.state is State.IDLE,
        Guard.SHOWS_DOWNLOADING: lambda _, control: control.state is State.DOWNLOADING,
        Guard.SHOWS_DOWNLOADED: lambda _, control: control.state is State.DOWNLOADED,
        Guard.MOVED: lambda _, control: control.moved,
        Guard.TRANSFER_LEFT: _transfer_left,
        Guard.BUSY_LEFT: lambda plan, control: control.busies <= plan.policy.max_busy,
        Guard.UPGRADES_ITSELF: lambda _, control: control.upgrades_itself,
        Guard.CANCEL_ASKED: lambda _, control: control.cancel is CancelMark.ASKED,
        Guard.MAY_EXECUTE: _may_execute,
        Guard.UNREGISTERED: lambda _, control: not control.registered,
        Guard.VERSION_KNOWN: lambda _, control: control.version is not VersionSeen.UNKNOWN,
        Guard.CANCELLING: lambda _, control: is_cancelling(control),
        Guard.NOTHING_TO_TIDY: _nothing_to_tidy,
    }
)


def holds(guard: Guard | None, plan: UpdatePlan, control: Control) -> bool:
    """True if the branch with this guard is open."""
    return guard is None or _GUARDS[guard](plan, control)
