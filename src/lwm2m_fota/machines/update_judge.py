"""From what is seen to what it means: answers, values and pairs of State and Update Result become cues.

The device is judged by what it shows (DESIGN law 6): by pairs that were read together, never by one of the two, and
never by a result that stood there before this attempt began. Each part is judged by itself; what several show at a
time is one cue, by the order of `_TOGETHER`.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from lwm2m_fota.machines.update_policy import Execution, UpdatePlan
from lwm2m_fota.machines.update_state import Control, Part, VersionSeen
from lwm2m_fota.machines.update_steps import UpdateStage, UpdateStep
from lwm2m_fota.machines.update_words import Cue
from lwm2m_fota.model.codes import Code, is_success
from lwm2m_fota.model.enums import State, UpdateResult

LATEST_MINOR: Final = 2

_BUSY: Final = (Code.SERVICE_UNAVAILABLE, Code.TOO_MANY_REQUESTS)
_BREAKS_A_PUSH: Final = (Code.REQUEST_ENTITY_INCOMPLETE, Code.INTERNAL_SERVER_ERROR, Code.BAD_GATEWAY)
_UNTELLING: Final = (UpdateResult.INITIAL, UpdateResult.SUCCESS)
_GOOD: Final = frozenset({Cue.IDLE_DONE, Cue.IDLE_UPDATED})

_TOGETHER: Final = (
    Cue.UPDATING,
    Cue.IDLE_UNSETTLED,
    Cue.DOWNLOADING,
    Cue.IDLE_FAILED,
    Cue.IDLE_CUT,
    Cue.DOWNLOADED_FAILED,
    Cue.DEFERRED,
    Cue.DOWNLOADED,
    Cue.IDLE_GONE,
    Cue.IDLE_UNVERSIONED,
    Cue.IDLE_UPDATED,
    Cue.IDLE_DONE,
)
"""What counts while Update is executed on several parts, the first that any of them shows: an end of one is an end of
all only when none is at work any more."""


def cue_of_code(step: UpdateStep, code: int) -> Cue:
    """What an answer to the request of this step means; a push may be begun again after some errors (SPEC 9.1, 18)."""
    if is_success(code):
        return Cue.ACCEPTED
    if code in _BUSY:
        return Cue.BUSY
    if code == Code.GATEWAY_TIMEOUT:
        return Cue.NO_ANSWER
    return Cue.BROKEN if step is UpdateStep.PUSH and code in _BREAKS_A_PUSH else Cue.REFUSED


def minor_of(version: str) -> int:
    """What of Object 5 a version stands for: 0, 1 or 2; a later one than 1.2 is taken for it, an odd text for 1.0."""
    major, _, minor = version.partition(".")
    if not (major.isdecimal() and minor.isdecimal()):
        return 0
    return min(int(minor), LATEST_MINOR) if int(major) <= 1 else LATEST_MINOR


def integer(value: object) -> int | None:
    """The value if it is an integer, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def state_of(value: object) -> State | None:
    """The State that a value stands for, or None."""
    number = integer(value)
    return State(number) if number is not None and number in State.__members__.values() else None


def result_of(value: object) -> UpdateResult | None:
    """The Update Result that a value stands for, or None; unlisted ones are kept."""
    number = integer(value)
    return None if number is None else UpdateResult(number)


def text_of(value: object) -> str | None:
    """The value if it is text, else None."""
    return value if isinstance(value, str) else None


def see_version(plan: UpdatePlan, index: int, before: str | None, now: str | None) -> VersionSeen:
    """What the version of a part tells about the update."""
    if now is None:
        return VersionSeen.UNKNOWN
    same, expected = plan.policy.version_match.same, plan.parts[index].expected_version
    if before is None:
        return VersionSeen.OTHER
    if same(now, before):
        return VersionSeen.SAME
    return VersionSeen.EXPECTED if expected is None or same(now, expected) else VersionSeen.OTHER


def is_error(result: UpdateResult | None) -> bool:
    """True for a result that tells of a failure."""
    return result is not None and result not in _UNTELLING


def is_fresh(part: Part) -> bool:
    """True if the Update Result shown is of this attempt: the device began it, or the result is another one."""
    return part.moved or part.result != part.baseline


def after_read(part: Part, stage: UpdateStage, state: State, result: UpdateResult, version: VersionSeen) -> Part:
    """Take in what one read showed of a part."""
    executing = stage is UpdateStage.EXECUTING
    begun = state is not (State.DOWNLOADED if executing else State.IDLE)
    told = executing and state is State.IDLE and result is UpdateResult.SUCCESS
    return attrs.evolve(
        part,
        state=state,
        result=result,
        version=version,
        moved=part.moved or begun,
        baseline=UpdateResult.INITIAL if result is UpdateResult.INITIAL else part.baseline,
        kept=part.kept or told,
    )


# ---- one part


def cue_of_part(control: Control, part: Part) -> Cue:
    """What the pair of State and Update Result of a part means, after `after_read`."""
    if part.state is State.IDLE:
        return _idle(control, part)
    if part.state is State.DOWNLOADED:
        return _downloaded(control, part)
    return Cue.DOWNLOADING if part.state is State.DOWNLOADING else Cue.UPDATING


def _is_executing(control: Control) -> bool:
    return control.stage is UpdateStage.EXECUTING or control.step is UpdateStep.LATE


def _idle(control: Control, part: Part) -> Cue:
    if control.stage is UpdateStage.PREPARING:
        return Cue.IDLE
    if _is_executing(control):
        return _settle(control, _idle_executing(part))
    if control.stage is UpdateStage.CLEANUP:
        return _idle_tidying(control, part)
    return _settle(control, _idle_transferring(part))


def _settle(control: Control, cue: Cue) -> Cue:
    """A State may be ahead of its Result (FIELD: about 1 ms): what tells nothing is looked at twice."""
    untold = cue in {Cue.IDLE_WAITING, Cue.IDLE_GONE}
    return Cue.IDLE_UNSETTLED if untold and not control.settled else cue


def _idle_transferring(part: Part) -> Cue:
    if is_error(part.result) and is_fresh(part):
        return _error(part)
    if part.version is VersionSeen.EXPECTED:
        return Cue.IDLE_DONE if part.result is UpdateResult.SUCCESS else Cue.IDLE_UPDATED
    return Cue.IDLE_GONE if part.moved else Cue.IDLE_WAITING


def _idle_executing(part: Part) -> Cue:
    if is_error(part.result):
        return _error(part)
    if part.kept:
        return Cue.IDLE_DONE
    if part.version is VersionSeen.EXPECTED:
        return Cue.IDLE_UPDATED
    return Cue.IDLE_UNVERSIONED if part.version is VersionSeen.UNKNOWN else Cue.IDLE_GONE


def _idle_tidying(control: Control, part: Part) -> Cue:
    if (control.executes or control.upgrades_itself) and part.result is UpdateResult.SUCCESS and is_fresh(part):
        return Cue.IDLE_DONE
    return Cue.IDLE_UPDATED if part.version is VersionSeen.EXPECTED else Cue.IDLE


def _error(part: Part) -> Cue:
    return Cue.IDLE_CUT if part.result is UpdateResult.CONNECTION_LOST else Cue.IDLE_FAILED


def _downloaded(control: Control, part: Part) -> Cue:
    executing = _is_executing(control)
    if not executing and control.stage is not UpdateStage.TRANSFERRING:
        return Cue.DOWNLOADED
    if part.result is UpdateResult.DEFERRED:
        return Cue.DEFERRED if executing or control.upgrades_itself else Cue.DOWNLOADED
    fresh = is_fresh(part) if executing else part.result != part.baseline
    return Cue.DOWNLOADED_FAILED if is_error(part.result) and fresh else Cue.DOWNLOADED


# ---- all that are looked at


def watched_parts(plan: UpdatePlan, control: Control) -> tuple[int, ...]:
    """The parts that count in the present step."""
    undone = tuple(index for index, part in enumerate(control.parts) if not part.done)
    if control.stage is UpdateStage.PREPARING:
        return undone
    if control.stage is UpdateStage.TRANSFERRING:
        return (control.at,)
    if _is_executing(control):
        return (control.at,) if plan.policy.execution is Execution.EACH else undone
    sent = {plan.parts[index].package for index in control.order[: control.delivered + 1]}
    return tuple(index for index in undone if plan.parts[index].package in sent)


def judge(plan: UpdatePlan, control: Control) -> tuple[Cue, int]:
    """What the parts that count show together, and which of them is to be in focus."""
    cues = {index: cue_of_part(control, control.parts[index]) for index in watched_parts(plan, control)}
    if _is_executing(control):
        return _together(plan, control, cues), control.at
    if control.stage is UpdateStage.TRANSFERRING:
        return cues[control.at], control.at
    return _one_by_one(control, cues)


def _together(plan: UpdatePlan, control: Control, cues: Mapping[int, Cue]) -> Cue:
    if plan.policy.execution is Execution.LINKED and cues.get(control.at) in _GOOD:
        cues = {index: cue for index, cue in cues.items() if cue is not Cue.DOWNLOADED}  # those were not linked
    return next((cue for cue in _TOGETHER if cue in cues.values()), Cue.IDLE_DONE)


def _one_by_one(control: Control, cues: Mapping[int, Cue]) -> tuple[Cue, int]:
    """One part after the other is brought to Idle; one that is Updating goes first."""
    at_work = [index for index, cue in cues.items() if cue is Cue.UPDATING]
    if at_work:
        return Cue.UPDATING, at_work[0]
    left = [index for index, cue in cues.items() if cue in {Cue.DOWNLOADING, Cue.DOWNLOADED}]
    own = cues.get(control.at, Cue.IDLE)
    if not left:
        return next((cue for cue in cues.values() if cue in _GOOD), own), control.at
    if control.at in left:
        return own, control.at
    is_next = control.step in {UpdateStep.RESET_CHECK, UpdateStep.TIDY_CHECK}
    return (Cue.IDLE_NEXT if is_next else cues[left[0]]), left[0]


def done_parts(plan: UpdatePlan, control: Control) -> Iterable[int]:
    """The parts that run what they were given, as far as they show it."""
    if control.stage is not UpdateStage.PREPARING:
        for index in watched_parts(plan, control):
            if cue_of_part(control, control.parts[index]) in _GOOD:
                yield index
