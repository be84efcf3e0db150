"""`why <update>`: what is awaited, since when, how long, what the device last showed, and what happens next."""

from typing import final

import attrs

from lwm2m_fota.machines.update_state import UpdateMachine
from lwm2m_fota.machines.update_steps import STEPS, UpdateStage, UpdateStep
from lwm2m_fota.machines.update_times import deadlines
from lwm2m_fota.machines.update_words import Cue
from lwm2m_fota.model.enums import State, UpdateResult


@final
@attrs.frozen(kw_only=True)
class LastShown:
    """What reads last showed of the part in focus; `age_s` is of State and Update Result, None if never read."""

    state: State | None
    result: UpdateResult | None
    version: str | None
    age_s: float | None

    def __str__(self) -> str:
        """For people: `State 1 downloading, Result 0 initial, version 1.0, 10 s ago`."""
        if self.age_s is None:
            return "nothing yet"
        parts = [
            _word(name, value) for name, value in (("State", self.state), ("Result", self.result)) if value is not None
        ]
        if self.version:
            parts.append(f"version {self.version}")
        return ", ".join((*parts, f"{_seconds(self.age_s)} ago"))


@final
@attrs.frozen(kw_only=True)
class Why:
    """Why an update is where it is; `str()` of it is a text for people.

    Attributes:
        stage, step: where it is.
        awaits: what is awaited.
        since_s: for how long already, seconds.
        deadline: when the wait ends at the latest, monotonic seconds; None once the update has finished.
        left_s: in how many seconds that is; None once the update has finished.
        limit: the limit that ends it then.
        component: the part in focus, in an update of components; else empty.
        last_shown: what the device last showed.
        next: what happens when the limit passes.
        next_read_s: in how many seconds the device is asked again; None if it is not.
    """

    stage: UpdateStage
    step: UpdateStep
    awaits: str
    since_s: float
    deadline: float | None
    left_s: float | None
    limit: str | None
    component: str
    last_shown: LastShown
    next: str
    next_read_s: float | None

    def __str__(self) -> str:
        """What is awaited and how long, what happens then, and what the device last showed."""
        of = f" of {self.component}" if self.component else ""
        place = f"{self.stage.value}{of}, step {self.step.value}"
        shown = f"The device last showed: {self.last_shown}."
        if self.left_s is None:
            return f"{place}: nothing is awaited any more. {shown}"
        wait = f"awaits {self.awaits}, for {_seconds(self.since_s)} so far and {_seconds(self.left_s)} more at most"
        ask = "" if self.next_read_s is None else f" It is asked again in {_seconds(self.next_read_s)}."
        return f"{place}: {wait} ({self.limit}); then {self.next}. {shown}{ask}"


_LATE: dict[Cue, str] = {
    Cue.STAGE_LIMIT: "the update times out",
    Cue.TOTAL_LIMIT: "the update times out",
}


def _word(name: str, value: State | UpdateResult) -> str:
    return f"{name} {value.value} {value.name.lower().replace('_', ' ')}"


def _seconds(seconds: float) -> str:
    return f"{seconds:,.0f} s"


def why(machine: UpdateMachine, now: float) -> Why:
    """Explain the present wait."""
    info, times, at = STEPS[machine.control.step], machine.times, machine.control.at
    memory = machine.memory.parts[at]
    limits = [(at, cue) for at, cue in deadlines(machine) if cue is not Cue.POLL]
    deadline, cue = min(limits, default=(None, None))
    return Why(
        stage=info.stage,
        step=machine.control.step,
        awaits=info.awaits,
        since_s=now - times.step,
        deadline=deadline,
        left_s=None if deadline is None else max(0.0, deadline - now),
        limit=None if cue is None else cue.value,
        component=machine.plan.parts[at].name,
        last_shown=LastShown(
            state=memory.state,
            result=memory.result,
            version=memory.version_now,
            age_s=None if times.shown is None else now - times.shown,
        ),
        next=info.then if cue is None else _LATE.get(cue, info.then),
        next_read_s=None if times.poll is None else max(0.0, times.poll - now),
    )
