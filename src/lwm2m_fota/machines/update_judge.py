"""From what is seen to what it means: answers, values and pairs of State and Update Result become cues.

The device is judged by what it shows (DESIGN law 6): by pairs that were read together, never by one of the two, and
never by a result that stood there before this attempt began.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, final

import attrs

from lwm2m_fota.machines.update_policy import Method, UpdatePlan
from lwm2m_fota.machines.update_state import Control, VersionSeen
from lwm2m_fota.machines.update_steps import UpdateStage, UpdateStep
from lwm2m_fota.machines.update_words import Cue
from lwm2m_fota.model.codes import Code, is_success
from lwm2m_fota.model.enums import DeliveryMethod, ProtocolSupport, State, UpdateResult
from lwm2m_fota.model.paths import Path

PACKAGE: Final = Path.of(5, 0, 0)
PACKAGE_URI: Final = Path.of(5, 0, 1)
UPDATE: Final = Path.of(5, 0, 2)
STATE: Final = Path.of(5, 0, 3)
RESULT: Final = Path.of(5, 0, 5)
PROTOCOLS: Final = Path.of(5, 0, 8)
DELIVERY: Final = Path.of(5, 0, 9)
CANCEL: Final = Path.of(5, 0, 10)
AUTOMATIC_UPGRADE: Final = Path.of(5, 0, 14)
VERSION: Final = Path.of(3, 0, 3)

OBSERVED: Final = (STATE, RESULT)
WATCHED: Final = (STATE, RESULT, VERSION)
LEARNT: Final = (*WATCHED, PROTOCOLS, DELIVERY)
AUTOMATIC_SINCE_MINOR: Final = 2
CANCEL_SINCE_MINOR: Final = 1

_BUSY: Final = (Code.SERVICE_UNAVAILABLE, Code.TOO_MANY_REQUESTS)
_BREAKS_A_PUSH: Final = (Code.REQUEST_ENTITY_INCOMPLETE, Code.INTERNAL_SERVER_ERROR, Code.BAD_GATEWAY)
_UNTELLING: Final = (UpdateResult.INITIAL, UpdateResult.SUCCESS)


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
    return min(int(minor), AUTOMATIC_SINCE_MINOR) if int(major) <= 1 else AUTOMATIC_SINCE_MINOR


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


def see_version(plan: UpdatePlan, before: str | None, now: str | None) -> VersionSeen:
    """What the version tells about the update."""
    if now is None:
        return VersionSeen.UNKNOWN
    same = plan.policy.version_match.same
    if before is None:
        return VersionSeen.OTHER
    if same(now, before):
        return VersionSeen.SAME
    wanted = plan.expected_version is None or same(now, plan.expected_version)
    return VersionSeen.EXPECTED if wanted else VersionSeen.OTHER


def is_error(result: UpdateResult | None) -> bool:
    """True for a result that tells of a failure."""
    return result is not None and result not in _UNTELLING


def is_fresh(control: Control) -> bool:
    """True if the Update Result shown is of this attempt: the device began it, or the result is another one."""
    return control.moved or control.result != control.baseline


def after_read(control: Control, state: State, result: UpdateResult, version: VersionSeen) -> Control:
    """Take in what one read showed."""
    executing = control.stage is UpdateStage.EXECUTING
    begun = state is not (State.DOWNLOADED if executing else State.IDLE)
    done = executing and state is State.IDLE and result is UpdateResult.SUCCESS
    return attrs.evolve(
        control,
        state=state,
        result=result,
        version=version,
        moved=control.moved or begun,
        baseline=UpdateResult.INITIAL if result is UpdateResult.INITIAL else control.baseline,
        kept=control.kept or done,
    )


def cue_of_pair(control: Control) -> Cue:
    """What the pair of State and Update Result means, after `after_read`."""
    if control.state is State.IDLE:
        return _idle(control)
    if control.state is State.DOWNLOADED:
        return _downloaded(control)
    return Cue.DOWNLOADING if control.state is State.DOWNLOADING else Cue.UPDATING


def _idle(control: Control) -> Cue:
    if control.stage is UpdateStage.PREPARING:
        return Cue.IDLE
    if control.stage is UpdateStage.CLEANUP:
        return _idle_tidying(control)
    judge = _idle_executing if control.stage is UpdateStage.EXECUTING else _idle_transferring
    return _settle(control, judge(control))


def _settle(control: Control, cue: Cue) -> Cue:
    """A State may be ahead of its Result (FIELD: about 1 ms): what tells nothing is looked at twice."""
    untold = cue in {Cue.IDLE_WAITING, Cue.IDLE_GONE}
    return Cue.IDLE_UNSETTLED if untold and not control.settled else cue


def _idle_transferring(control: Control) -> Cue:
    if is_error(control.result) and is_fresh(control):
        return _error(control)
    if control.version is VersionSeen.EXPECTED:
        return Cue.IDLE_DONE if control.result is UpdateResult.SUCCESS else Cue.IDLE_UPDATED
    return Cue.IDLE_GONE if control.moved else Cue.IDLE_WAITING


def _idle_executing(control: Control) -> Cue:
    if is_error(control.result):
        return _error(control)
    if control.kept:
        return Cue.IDLE_DONE
    if control.version is VersionSeen.EXPECTED:
        return Cue.IDLE_UPDATED
    return Cue.IDLE_UNVERSIONED if control.version is VersionSeen.UNKNOWN else Cue.IDLE_GONE


def _idle_tidying(control: Control) -> Cue:
    if control.executes and control.result is UpdateResult.SUCCESS:
        return Cue.IDLE_DONE
    return Cue.IDLE_UPDATED if control.version is VersionSeen.EXPECTED else Cue.IDLE


def _error(control: Control) -> Cue:
    return Cue.IDLE_CUT if control.result is UpdateResult.CONNECTION_LOST else Cue.IDLE_FAILED


def _downloaded(control: Control) -> Cue:
    executing = control.stage is UpdateStage.EXECUTING
    if not executing and control.stage is not UpdateStage.TRANSFERRING:
        return Cue.DOWNLOADED
    if control.result is UpdateResult.DEFERRED:
        return Cue.DEFERRED if executing or control.upgrades_itself else Cue.DOWNLOADED
    fresh = is_fresh(control) if executing else control.result != control.baseline
    return Cue.DOWNLOADED_FAILED if is_error(control.result) and fresh else Cue.DOWNLOADED


@final
@attrs.frozen(kw_only=True)
class Choice:
    """How the package goes: the method, the scheme of a pull, what stands against it, and the codes of what was odd."""

    method: Method | None = None
    scheme: str = ""
    obstacle: Cue | None = None
    odd: tuple[str, ...] = ()


def learn(plan: UpdatePlan, values: Mapping[Path, object]) -> Choice:
    """Choose how the package goes, from what the device says it can (Object 5, resources 8 and 9)."""
    delivery = integer(values.get(DELIVERY))
    pulls, pushes = delivery != DeliveryMethod.PUSH, delivery != DeliveryMethod.PULL
    odd = () if delivery in DeliveryMethod.__members__.values() else ("prepare.delivery-unread",)
    if _method(plan, pulls=pulls, pushes=pushes) is Method.PUSH:
        return Choice(method=Method.PUSH, obstacle=None if pushes else Cue.NO_PUSH, odd=odd)
    if not pulls:
        return Choice(method=Method.PULL, obstacle=Cue.NO_PULL, odd=odd)
    schemes, odd_schemes = _schemes(plan, values)
    common = next((scheme for scheme in plan.schemes if scheme in schemes), None)
    if common is not None:
        return Choice(method=Method.PULL, scheme=common, odd=odd + odd_schemes)
    if plan.method is Method.AUTO and pushes:
        return Choice(method=Method.PUSH, odd=(*odd, *odd_schemes, "prepare.pushed-instead"))
    return Choice(method=Method.PULL, obstacle=Cue.NO_PROTOCOL, odd=odd + odd_schemes)


def _method(plan: UpdatePlan, *, pulls: bool, pushes: bool) -> Method:
    if plan.method is not Method.AUTO:
        return plan.method
    if pulls and pushes:
        return plan.policy.both
    return Method.PULL if pulls else Method.PUSH


def _schemes(plan: UpdatePlan, values: Mapping[Path, object]) -> tuple[set[str], tuple[str, ...]]:
    """The schemes that the device supports; unlisted protocols are ignored (Object 5, resource 8)."""
    listed = list(_protocols(values))
    if listed:
        return {scheme for number in listed if (scheme := ProtocolSupport(number).scheme)}, ()
    present = any(PROTOCOLS.contains(path) for path in values)
    return set(plan.policy.default_schemes), ("prepare.protocols-empty",) if present else ()


def _protocols(values: Mapping[Path, object]) -> Iterator[int]:
    for path, value in values.items():
        if PROTOCOLS.contains(path):
            yield from (number for item in _items(value) if (number := integer(item)) is not None)


def _items(value: object) -> Sequence[object]:
    if isinstance(value, Mapping):
        return tuple(value.values())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return value
    return (value,)
