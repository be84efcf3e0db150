"""The device machine of Object 5: one pure step over the table (SPEC 3.1).

Everything that changes an update on the device goes through `step`; what the table does not hold is refused, and a
refusal changes nothing.
"""

from typing import Final, NamedTuple, final

from lwm2m_fota.machines.component_events import ComponentEvent, ComponentKind
from lwm2m_fota.machines.effects import Effect
from lwm2m_fota.machines.events import ClockRead, Event, EventKind
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.rows import Row
from lwm2m_fota.machines.state import FirmwareMachine
from lwm2m_fota.machines.table import Answer, Case

_new: Final = tuple.__new__  # as in `changes`


@final
class Step(NamedTuple):
    """What one event led to.

    Attributes:
        machine: the machine from now on; the same object if the event was refused.
        effects: what to carry out, in this order; empty if the event was refused.
        answer: what to tell the peer whose request this was; None if nobody waits for it.
        row: the row of the table that was taken; None if the event was refused.
    """

    machine: FirmwareMachine
    effects: tuple[Effect, ...]
    answer: Answer | None
    row: Row | None

    @property
    def accepted(self) -> bool:
        """The table held the event."""
        return self.row is not None


def step(
    machine: FirmwareMachine, event: Event | ComponentEvent, profile: FirmwareProfile, wall: float | None = None
) -> Step:
    """Take one event.

    Args:
        machine: the machine as it is.
        event: what happened; one of the component's own for a component of Object 33629 only.
        profile: what the device is built to do.
        wall: the wall clock in seconds since 1970, or None if it is not set.

    Returns:
        The machine as it will be, what to do, and what to answer.
    """
    case = _case_of(machine, event, profile, wall)
    plan = case.plan
    if plan is None:
        return Step(machine, (), case.refusal, None)
    row = plan.row
    after = plan.change(machine, row, event, wall)
    return _new(Step, (after, plan.make(machine, after, event), plan.answer, row))


def kind_of(
    machine: FirmwareMachine, event: Event | ComponentEvent, profile: FirmwareProfile, wall: float | None
) -> EventKind | ComponentKind:
    """Which kind of event this is for the machine as it is: the first reading whose guard holds."""
    return _case_of(machine, event, profile, wall).kind


def _case_of(
    machine: FirmwareMachine, event: Event | ComponentEvent, profile: FirmwareProfile, wall: float | None
) -> Case:
    for case in profile.table.cases[type(event)][machine.state]:
        guard = case.guard
        if guard is None or guard(machine, event, wall, profile.schemes):
            return case
    raise AssertionError("the last reading of an event has no guard")


def next_deadline(machine: FirmwareMachine) -> float | None:
    """The wall time at which `handle_timeout` is due, in seconds since 1970; None if nothing waits for a time."""
    return machine.times.update_deadline


def handle_timeout(
    machine: FirmwareMachine, profile: FirmwareProfile, wall: float | None, waited_s: float = 0.0
) -> Step:
    """Look at the wall clock: when the deadline passes, after a restart, and whenever the clock was set.

    Where it is not set, look at least every hour, and tell how long it was not looked at (`ClockRead.waited_s`).
    """
    return step(machine, ClockRead(waited_s), profile, wall)
