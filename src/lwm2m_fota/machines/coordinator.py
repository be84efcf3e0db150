"""The coordinator of Object 33629: one pure step over all component machines together (SPEC 4).

Each component moves by the table that it shares with Object 5. The coordinator decides what needs more than one of
them: packages for several, batches, whose turn it is; and derives what follows: links, stages that nobody holds.
What is refused changes nothing.
"""

from typing import NamedTuple, assert_never, final

from lwm2m_fota.machines.component_profile import AdvancedProfile
from lwm2m_fota.machines.coordinator_events import (
    BatchFailed,
    BatchSucceeded,
    GroupEffect,
    GroupEvent,
    GroupRestarted,
    InstanceEvent,
    On,
    PackageChecked,
    UpdateRequested,
)
from lwm2m_fota.machines.coordinator_moves import (
    take_alone,
    take_clock,
    take_deferral_end,
    take_failure,
    take_package,
    take_restart,
    take_success,
    take_update,
)
from lwm2m_fota.machines.coordinator_state import ComponentGroup
from lwm2m_fota.machines.coordinator_work import Work
from lwm2m_fota.machines.events import ClockRead, DeferralEnded
from lwm2m_fota.machines.firmware import next_deadline as component_deadline
from lwm2m_fota.machines.rows import Row
from lwm2m_fota.machines.table import Answer


@final
class GroupStep(NamedTuple):
    """What one event led to.

    Attributes:
        group: the components from now on; the same object if the event was refused.
        effects: what to carry out, in this order; empty if the event was refused.
        answer: what to tell the peer whose request this was; None if nobody waits for it.
        rows: the rows of the table that were taken, each with its instance; empty if the event was refused.
    """

    group: ComponentGroup
    effects: tuple[GroupEffect, ...]
    answer: Answer | None
    rows: tuple[tuple[int, Row], ...]

    @property
    def accepted(self) -> bool:
        """Some component moved."""
        return bool(self.rows)


def step(group: ComponentGroup, event: GroupEvent, profile: AdvancedProfile, wall: float | None = None) -> GroupStep:
    """Take one event.

    Args:
        group: the components as they are; those of the profile.
        event: what happened.
        profile: what the device is built to do.
        wall: the wall clock in seconds since 1970, or None if it is not set.

    Returns:
        The components as they will be, what to do, and what to answer.

    Raises:
        UsageError: the event names an instance that does not exist.
    """
    work = Work(group, profile, wall)
    match event:
        case On(instance, own):
            _take_on(work, instance, own)
        case BatchSucceeded():
            take_success(work, event)
        case BatchFailed():
            take_failure(work, event)
        case GroupRestarted(found):
            take_restart(work, found)
        case ClockRead():
            take_clock(work, event)
        case _:
            assert_never(event)
    after, effects = work.finish()
    return GroupStep(after, effects, work.answer, tuple(work.rows))


def _take_on(work: Work, instance: int, event: InstanceEvent) -> None:
    match event:
        case UpdateRequested():
            take_update(work, instance, event)
        case PackageChecked():
            take_package(work, instance, event)
        case DeferralEnded():
            take_deferral_end(work, instance, event)
        case _:
            take_alone(work, instance, event)


def next_deadline(group: ComponentGroup) -> float | None:
    """The wall time at which `handle_timeout` is due, in seconds since 1970; None if nothing waits for a time.

    While a batch runs no deferral ends, so ask again after each step.
    """
    if group.batch:
        return None
    deadlines = (component_deadline(each.machine) for each in group.components)
    return min((each for each in deadlines if each is not None), default=None)


def handle_timeout(
    group: ComponentGroup, profile: AdvancedProfile, wall: float | None, waited_s: float = 0.0
) -> GroupStep:
    """Look at the wall clock, as `firmware.handle_timeout` does."""
    return step(group, ClockRead(waited_s), profile, wall)
