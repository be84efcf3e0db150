"""The pull of a package as a pure machine: resolve, fetch, retry, resume, give up with a named diagnosis.

One machine for each pull. A checkpoint belongs to its URI, ETag and digest or is dropped; only bytes beyond the
furthest ever reached are progress, and only progress buys further attempts.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines import download_words as words
from lwm2m_fota.machines.download_table import PULL_READINGS, PULL_TABLE, PullChange, PullDo, PullKind, PullRow
from lwm2m_fota.machines.download_words import (
    Checkpoint,
    Diagnosis,
    DownloadEffect,
    DownloadEvent,
    DownloadMachine,
    DownloadPolicy,
    DownloadTimes,
    Phase,
)
from lwm2m_fota.machines.uri import host_of
from lwm2m_fota.model.codes import describe_code

__all__ = [
    "Checkpoint",
    "Diagnosis",
    "DownloadMachine",
    "DownloadPolicy",
    "DownloadStep",
    "Phase",
    "handle_timeout",
    "next_deadline",
    "step",
]

ACTIVE: Final = frozenset({Phase.RESOLVING, Phase.FETCHING, Phase.WAITING})
"""The phases in which something is awaited."""

_MAX_DOUBLINGS: Final = 64  # far beyond any longest wait, and still a float


@final
class DownloadStep(NamedTuple):
    """What one event led to.

    Attributes:
        machine: the machine from now on; the same object if the event was refused.
        effects: what to carry out, in this order; empty if the event was refused.
        row: the row of the table that was taken; None if the event was refused.
    """

    machine: DownloadMachine
    effects: tuple[DownloadEffect, ...]
    row: PullRow | None


@final
@attrs.frozen
class _Moment:
    """What a change may look at beside machine and event."""

    policy: DownloadPolicy
    now: float
    entropy: float


def step(
    machine: DownloadMachine, event: DownloadEvent, policy: DownloadPolicy, now: float, entropy: float = 0.0
) -> DownloadStep:
    """Take one event.

    Args:
        machine: the pull as it is.
        event: what happened.
        policy: retries and limits.
        now: monotonic time, seconds.
        entropy: a random number, 0 <= entropy < 1; spreads retries.

    Returns:
        The pull as it will be, and what to do.

    Raises:
        UsageError: `entropy` is out of range.
    """
    if not 0 <= entropy < 1:
        raise UsageError(f"entropy is not in [0, 1): {entropy!r}")
    row = PULL_TABLE.get((machine.phase, _kind_of(machine, event, policy, now)))
    if row is None:
        return DownloadStep(machine, (), None)
    after = _CHANGES[row.change](machine, event, _Moment(policy, now, entropy))
    if after.phase is not row.target:
        after = attrs.evolve(after, phase=row.target)
    if not row.effects:  # most blocks
        return DownloadStep(after, (), row)
    made = (_BUILDERS[do](machine, after, event, row) for do in row.effects)
    return DownloadStep(after, tuple(effect for effect in made if effect is not None), row)


def next_deadline(machine: DownloadMachine, policy: DownloadPolicy) -> float | None:
    """The monotonic time at which `handle_timeout` is due; None if nothing is awaited."""
    if machine.phase not in ACTIVE:
        return None
    due = [machine.times.progressed + policy.no_progress_limit_s]
    if policy.total_limit_s is not None:
        due.append(machine.times.started + policy.total_limit_s)
    if machine.phase is Phase.WAITING:
        due.append(machine.times.retry)
    return min(due)


def handle_timeout(machine: DownloadMachine, policy: DownloadPolicy, now: float) -> DownloadStep:
    """Look at the clock; refused when nothing is due."""
    return step(machine, words.TimePassed(), policy, now)


def _kind_of(machine: DownloadMachine, event: DownloadEvent, policy: DownloadPolicy, now: float) -> PullKind:
    for reading in PULL_READINGS[type(event)]:
        guard = reading.guard
        if guard is None or guard(machine, event, policy, now):
            return reading.kind
    raise AssertionError("the last reading of an event has no guard")


# ---- changes -------------------------------------------------------------------------------------------------------

_Changer: TypeAlias = Callable[..., DownloadMachine]


def _keep(machine: DownloadMachine, _event: object, _moment: object) -> DownloadMachine:
    return machine


def _begin(_machine: object, event: words.Started, moment: _Moment) -> DownloadMachine:
    return DownloadMachine(uri=event.uri, times=DownloadTimes(started=moment.now, progressed=moment.now))


def _resume(machine: object, event: words.Started, moment: _Moment) -> DownloadMachine:
    begun = _begin(machine, event, moment)
    if event.resume is None:
        raise AssertionError("the guard checkpoint_fits lets no other in")
    offset = event.resume.offset
    return attrs.evolve(begun, etag=event.resume.etag, offset=offset, furthest=offset, saved=offset)


def _take(machine: DownloadMachine, event: words.BlockStored, moment: _Moment) -> DownloadMachine:
    end = event.offset + event.length
    etag = machine.etag if event.offset else event.etag
    if end <= machine.furthest:
        return attrs.evolve(machine, offset=end, etag=etag)
    times = machine.times
    return DownloadMachine(  # not evolved, which costs thrice as much: this is done for each block
        phase=machine.phase,
        uri=machine.uri,
        etag=etag,
        offset=end,
        furthest=end,
        saved=machine.saved,
        restarts=machine.restarts,
        times=DownloadTimes(
            started=times.started, progressed=moment.now, retry=times.retry, checkpointed=times.checkpointed
        ),
    )


def _take_and_save(machine: DownloadMachine, event: words.BlockStored, moment: _Moment) -> DownloadMachine:
    taken = _take(machine, event, moment)
    return attrs.evolve(taken, saved=taken.offset, times=attrs.evolve(taken.times, checkpointed=moment.now))


def _start_over(machine: DownloadMachine, _event: object, _moment: object) -> DownloadMachine:
    return attrs.evolve(machine, etag=None, offset=0, saved=0, restarts=machine.restarts + 1)


def _wait(machine: DownloadMachine, event: DownloadEvent, moment: _Moment) -> DownloadMachine:
    policy = moment.policy
    asked = event.retry_after_s if isinstance(event, words.PeerRefused) else None
    doubled = policy.retry_initial_s * 2.0 ** min(machine.attempts, _MAX_DOUBLINGS)
    pause = min(max(doubled, asked or 0.0), policy.retry_max_s) * (1 + policy.retry_jitter * moment.entropy)
    return attrs.evolve(
        machine,
        attempts=machine.attempts + 1,
        saved=machine.saved if machine.etag is None else machine.offset,
        times=attrs.evolve(machine.times, retry=moment.now + pause),
    )


def _retry(machine: DownloadMachine, _event: object, _moment: object) -> DownloadMachine:
    return machine if machine.etag is not None else attrs.evolve(machine, offset=0)


_CHANGES: Final[Mapping[PullChange, _Changer]] = MappingProxyType(
    {
        PullChange.KEEP: _keep,
        PullChange.BEGIN: _begin,
        PullChange.RESUME: _resume,
        PullChange.TAKE: _take,
        PullChange.TAKE_AND_SAVE: _take_and_save,
        PullChange.START_OVER: _start_over,
        PullChange.WAIT: _wait,
        PullChange.RETRY: _retry,
    }
)


# ---- effects -------------------------------------------------------------------------------------------------------

_Builder: TypeAlias = Callable[[DownloadMachine, DownloadMachine, DownloadEvent, PullRow], DownloadEffect | None]


def _save(before: DownloadMachine, after: DownloadMachine, _event: object, _row: object) -> DownloadEffect | None:
    """Nothing without an ETag, and nothing twice."""
    if after.etag is None or after.saved == before.saved:
        return None
    return words.SaveCheckpoint(after.uri, after.etag, after.saved)


def _fail(_before: object, _after: object, event: DownloadEvent, row: PullRow) -> DownloadEffect:
    if row.result is None or row.diagnosis is None:
        raise AssertionError("a row that fails says how")
    detail = _detail(event)
    return words.Fail(row.result, f"{row.diagnosis}: {detail}" if detail else str(row.diagnosis))


def _detail(event: DownloadEvent) -> str:
    match event:
        case words.PeerRefused(code):
            return describe_code(code)
        case (
            words.ConnectionLost(reason)
            | words.ResolutionFailed(reason)
            | words.CredentialMissing(reason)
            | words.StorageFull(reason)
            | words.TooLarge(reason)
        ):
            return reason
        case words.Started(uri):
            return uri
        case _:
            return ""


_BUILDERS: Final[Mapping[PullDo, _Builder]] = MappingProxyType(
    {
        PullDo.RESOLVE: lambda _before, after, _event, _row: words.Resolve(host_of(after.uri)),
        PullDo.FETCH: lambda _before, after, _event, _row: words.Fetch(after.uri, after.offset, after.etag),
        PullDo.STOP_FETCH: lambda _before, _after, _event, _row: words.StopFetch(),
        PullDo.TRUNCATE: lambda _before, after, _event, _row: words.TruncateStage(after.offset),
        PullDo.SAVE: _save,
        PullDo.DROP: lambda _before, _after, _event, _row: words.DropCheckpoint(),
        PullDo.FINISH: lambda _before, after, _event, _row: words.Finish(after.offset),
        PullDo.FAIL: _fail,
    }
)
