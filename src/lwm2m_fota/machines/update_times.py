"""When the server's update machine must be woken, and what for."""

from lwm2m_fota.machines.update_policy import DeferralBound, PullWatch
from lwm2m_fota.machines.update_state import UpdateMachine
from lwm2m_fota.machines.update_steps import STEPS, UpdateStage, UpdateStep
from lwm2m_fota.machines.update_words import Cue
from lwm2m_fota.model.enums import State


def deadlines(machine: UpdateMachine) -> list[tuple[float, Cue]]:
    """Every limit that is running, the gravest first: (monotonic seconds, what its passing means)."""
    control, times, limits = machine.control, machine.times, machine.plan.limits
    if control.step is UpdateStep.FINISHED:
        return []
    found: list[tuple[float, Cue]] = []
    if control.stage is not UpdateStage.CLEANUP and not _rests(machine):
        found.append((times.started + limits.total_s, Cue.TOTAL_LIMIT))
    if control.step not in {UpdateStep.DEFERRED, UpdateStep.LATE}:
        found.append((times.stage + _stage_limit_s(machine), Cue.STAGE_LIMIT))
    limit = STEPS[control.step].limit
    if _rests(machine):
        found.append((times.step + _deferral_s(machine), Cue.SILENCE))
    elif limit is not None and not _is_blind(machine):
        seconds: float = getattr(limits, limit.value)
        found.append((times.heard + seconds, Cue.SILENCE))
    if times.poll is not None:
        found.append((times.poll, Cue.POLL))
    return found


def passed(machine: UpdateMachine, now: float) -> Cue | None:
    """The gravest limit that has passed; None if none has."""
    return next((cue for at, cue in deadlines(machine) if at <= now), None)


def next_deadline(machine: UpdateMachine) -> float | None:
    """When to call `update.handle_timeout`, monotonic seconds; None once the update has finished."""
    return min((at for at, _ in deadlines(machine)), default=None)


def _stage_limit_s(machine: UpdateMachine) -> float:
    limits = machine.plan.limits
    return {
        UpdateStage.PREPARING: limits.preparing_s,
        UpdateStage.TRANSFERRING: limits.transferring_s,
        UpdateStage.EXECUTING: limits.executing_s,
        UpdateStage.CLEANUP: limits.cleanup_s,
    }[machine.stage]


def _rests(machine: UpdateMachine) -> bool:
    """True while the user of the device has deferred the update, and the device's own period bounds that."""
    is_deferred = machine.control.step is UpdateStep.DEFERRED
    return is_deferred and machine.plan.policy.deferral is DeferralBound.DEVICE_PERIOD


def _deferral_s(machine: UpdateMachine) -> float:
    """What the device may take to go on by itself, and to show it."""
    period_s, limits = machine.control.defer_s, machine.plan.limits
    return period_s + limits.reboot_s if period_s else limits.deferral_s


def _is_blind(machine: UpdateMachine) -> bool:
    """True for a pull whose progress nobody reports, once the device says that it is downloading."""
    control = machine.control
    hidden = machine.plan.policy.pull_watch is PullWatch.HIDDEN
    return hidden and control.step is UpdateStep.DOWNLOAD and control.part.state is State.DOWNLOADING
