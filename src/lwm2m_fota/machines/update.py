"""The server's update of one device as a pure machine: `step(machine, event, now) -> Step(machine, effects)`.

The law is in `update_table`; what is seen is judged in `update_judge`; `update_intake` makes cues of events and
`update_carry` carries rows out.

Who drives it stores the machine before an effect leaves, carries the effects out in order, hands every answer back
with its command number, and wakes the machine at `next_deadline`. All times are monotonic seconds.
"""

from typing import final

import attrs

from lwm2m_fota.machines.update_carry import carry_out
from lwm2m_fota.machines.update_effects import UpdateEffect
from lwm2m_fota.machines.update_events import TimePassed, UpdateEvent
from lwm2m_fota.machines.update_intake import take_in
from lwm2m_fota.machines.update_policy import UpdatePlan
from lwm2m_fota.machines.update_state import Control, Memory, Part, PartMemory, Times, UpdateMachine
from lwm2m_fota.machines.update_table import TABLE
from lwm2m_fota.machines.update_times import next_deadline
from lwm2m_fota.machines.update_work import Work

__all__ = ["Step", "handle_timeout", "next_deadline", "start", "step"]


@final
@attrs.frozen
class Step:
    """What an event leads to: the next machine, and what to do, in order."""

    machine: UpdateMachine
    effects: tuple[UpdateEffect, ...] = ()


def start(plan: UpdatePlan, now: float) -> UpdateMachine:
    """An update that waits for its device: hand in `Registered` as soon as the device is registered."""
    times = Times(started=now, stage=now, step=now, heard=now)
    count = len(plan.parts)
    control = Control(parts=(Part(),) * count, order=tuple(range(count)))
    memory = Memory(parts=(PartMemory(),) * count)
    return UpdateMachine(plan=plan, control=control, times=times, memory=memory)


def step(machine: UpdateMachine, event: UpdateEvent, now: float) -> Step:
    """Take in one event.

    An event that means nothing in the present step, or that answers an older command, leaves the machine as it is.
    """
    work = Work(machine, now)
    cue = take_in(work, event)
    row = None if cue is None else TABLE.get((machine.control.step, cue))
    if cue is None or row is None:
        return Step(machine)
    carry_out(work, row, cue)
    return Step(work.machine, tuple(work.effects))


def handle_timeout(machine: UpdateMachine, now: float) -> Step:
    """Take in that time has passed; call it again while `next_deadline` is not later than `now`."""
    return step(machine, TimePassed(), now)
