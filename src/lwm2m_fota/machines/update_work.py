"""One step of the server's update machine on its way: the machine as far as it has come, and the effects so far."""

from typing import Any, final

import attrs

from lwm2m_fota.machines import update_judge as judge
from lwm2m_fota.machines.update_codes import DIAGNOSES
from lwm2m_fota.machines.update_effects import Note, Report, Shown, UpdateEffect, Warned
from lwm2m_fota.machines.update_policy import UpdatePlan
from lwm2m_fota.machines.update_state import Control, Memory, UpdateMachine, VersionSeen
from lwm2m_fota.model.enums import State, UpdateResult


@final
class Work:
    """What a step is made with; it lives no longer than the step."""

    __slots__ = ("effects", "machine", "now")

    def __init__(self, machine: UpdateMachine, now: float) -> None:
        self.machine = machine
        self.now = now
        self.effects: list[UpdateEffect] = []

    @property
    def plan(self) -> UpdatePlan:
        """The plan of the update."""
        return self.machine.plan

    @property
    def control(self) -> Control:
        """The control state as far as it has come."""
        return self.machine.control

    @property
    def memory(self) -> Memory:
        """The memory as far as it has come."""
        return self.machine.memory

    def put(self, **changes: Any) -> None:  # noqa: ANN401 - the fields of Control, whatever their types
        """Change the control state."""
        self.machine = attrs.evolve(self.machine, control=attrs.evolve(self.control, **changes))

    def put_part(self, index: int, **changes: Any) -> None:  # noqa: ANN401 - the fields of Part, whatever their types
        """Change the control state of a part."""
        parts = list(self.control.parts)
        parts[index] = attrs.evolve(parts[index], **changes)
        self.put(parts=tuple(parts))

    def remember(self, **changes: Any) -> None:  # noqa: ANN401 - the fields of Memory, whatever their types
        """Change the memory."""
        self.machine = attrs.evolve(self.machine, memory=attrs.evolve(self.memory, **changes))

    def time(self, **changes: float | None) -> None:
        """Change the times."""
        times: Any = attrs.evolve
        self.machine = attrs.evolve(self.machine, times=times(self.machine.times, **changes))

    def report(self, note: Note) -> None:
        """A line for the event log."""
        self.effects.append(Report(note))

    def warn(self, code: str) -> None:
        """Note what is odd, each code once."""
        if code not in self.memory.warnings:
            self.remember(warnings=(*self.memory.warnings, code))
            self.report(Warned(DIAGNOSES[code]))

    def number(self, purpose: str) -> int:
        """A new command number, remembered as the last one of its purpose: `request`, `read` or `observe`."""
        command = self.memory.command + 1
        self.remember(**{"command": command, purpose: command})
        return command

    def remember_part(self, index: int, **changes: Any) -> None:  # noqa: ANN401 - the fields of PartMemory
        """Change the memory of a part."""
        parts = list(self.memory.parts)
        parts[index] = attrs.evolve(parts[index], **changes)
        self.remember(parts=tuple(parts))

    def name(self, index: int) -> str:
        """What a part is called in reports; empty in a basic update."""
        return self.plan.parts[index].name

    def hear(self, index: int, state: State | None, result: UpdateResult | None) -> None:
        """Note what a notification told: progress, but no report, for the other one of the two may have changed too."""
        if state is not None:
            self.put_part(index, state=state)
        if result is not None:
            self.put_part(index, result=result)
        self.time(heard=self.now)

    def show(self, index: int, pair: tuple[State, UpdateResult] | None, version: str | None) -> None:
        """Note what one read showed, None for what it did not; what is new counts as progress and is reported."""
        memory = self.memory.parts[index]
        state, result = pair or (None, None)
        is_new = pair not in {None, (memory.state, memory.result)} or version not in {None, memory.version_now}
        if pair is not None:
            self.put_part(index, state=state, result=result)
            self.remember_part(index, state=state, result=result)
            self.time(shown=self.now)
        if version is not None:
            self.remember_part(index, version_now=version)
        if is_new:
            self.time(heard=self.now)
            self.report(Shown(state, result, self.memory.parts[index].version_now, self.name(index)))

    def see(self, index: int, version: str | None) -> VersionSeen:
        """What the version of a part tells."""
        return judge.see_version(self.plan, index, self.memory.parts[index].version_before, version)
