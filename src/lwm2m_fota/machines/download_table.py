"""The law of a pull as data: which kind an event is, and what each kind does in each phase.

What is not here is refused and changes nothing; so is what still comes of a fetch that was stopped.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines import download_words as words
from lwm2m_fota.machines.download_words import Diagnosis, DownloadMachine, DownloadPolicy, Phase
from lwm2m_fota.machines.uri import judge_uri
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.enums import UpdateResult

PullGuard: TypeAlias = Callable[..., bool]
"""`guard(machine, event, policy, now)`."""


@final
class PullKind(StrEnum):
    """What the table is asked with."""

    STARTED = "started"
    STARTED_RESUMING = "started, resuming"
    URI_INVALID = "started, URI invalid"
    SCHEME_UNSUPPORTED = "started, scheme unsupported"
    RESOLVED = "resolved"
    UNRESOLVED = "not resolved"
    UNRESOLVED_LAST = "not resolved, last attempt"
    CREDENTIAL_MISSING = "credential missing"
    BLOCK = "block"
    BLOCK_TO_SAVE = "block, checkpoint due"
    BLOCK_LAST = "last block"
    BLOCK_MISPLACED = "block out of place"
    BLOCK_MISPLACED_LAST = "block out of place, last attempt"
    BLOCK_TOO_LARGE = "block of too large a package"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    UNAVAILABLE_LAST = "unavailable, last attempt"
    LOST = "connection lost"
    LOST_LAST = "connection lost, last attempt"
    CHANGED = "body changed"
    CHANGED_TOO_OFTEN = "body changed too often"
    STORAGE_FULL = "storage full"
    OUT_OF_MEMORY = "out of memory"
    TOO_LARGE = "too large"
    STOPPED = "stopped"
    RETRY_DUE = "retry due"
    NO_PROGRESS = "no progress"
    TOO_LONG = "total time over"
    NOT_DUE = "not due"


@final
class PullChange(StrEnum):
    """What a transition does to the machine beside the phase."""

    KEEP = "nothing"
    BEGIN = "the pull begins"
    RESUME = "the pull begins at the checkpoint"
    TAKE = "the block counts"
    TAKE_AND_SAVE = "the block counts, and all so far is durable"
    START_OVER = "what came is void"
    WAIT = "the next attempt is set"
    RETRY = "what has no ETag is void"


@final
class PullDo(StrEnum):
    """The effects as the table names them."""

    RESOLVE = "Resolve"
    FETCH = "Fetch"
    STOP_FETCH = "StopFetch"
    TRUNCATE = "TruncateStage"
    SAVE = "SaveCheckpoint"
    DROP = "DropCheckpoint"
    FINISH = "Finish"
    FAIL = "Fail"


@final
@attrs.frozen
class PullRow:
    """One transition.

    Attributes:
        phase: where it starts.
        kind: what happens.
        target: where it ends.
        change: what else changes.
        effects: what is to be done, in this order.
        result: with `Fail`, the Update Result.
        diagnosis: with `Fail`, why.

    Raises:
        UsageError: a row that fails does not say how, or one that does not fail says so.
    """

    phase: Phase
    kind: PullKind
    target: Phase
    change: PullChange
    effects: tuple[PullDo, ...]
    result: UpdateResult | None = None
    diagnosis: Diagnosis | None = None

    def __attrs_post_init__(self) -> None:
        if {self.result is None, self.diagnosis is None} != {PullDo.FAIL not in self.effects}:
            raise UsageError(f"a row fails with a Result and a diagnosis, or not at all: {self!r}")


_REST_IS_GONE: Final = frozenset({Code.PRECONDITION_FAILED, Code.REQUEST_ENTITY_INCOMPLETE})
"""What an origin answers to a request for the rest that it cannot serve. Some serve a block only to the peer that has
asked for the blocks before it (4.08), and a device that restarts is another peer."""

# ---- guards --------------------------------------------------------------------------------------------------------


def uri_is_usable(_machine: object, event: words.Started, _policy: object, _now: object) -> bool:
    """The text is a URI that names a host, and its scheme is spoken."""
    return judge_uri(event.uri, event.schemes) is None


def checkpoint_fits(machine: object, event: words.Started, policy: object, now: object) -> bool:
    """The URI is usable, and the checkpoint belongs to it."""
    fits = event.resume is not None and event.resume.uri == event.uri
    return fits and uri_is_usable(machine, event, policy, now)


def scheme_is_unsupported(_machine: object, event: words.Started, _policy: object, _now: object) -> bool:
    """The text is a URI that names a host, and its scheme is not spoken."""
    return judge_uri(event.uri, event.schemes) is UpdateResult.UNSUPPORTED_PROTOCOL


def is_last_attempt(machine: DownloadMachine, _event: object, policy: DownloadPolicy, _now: object) -> bool:
    """No attempt is left."""
    return machine.attempts + 1 >= policy.max_attempts_without_progress


def is_last_attempt_of_known_host(machine: DownloadMachine, event: object, policy: DownloadPolicy, now: object) -> bool:
    """No attempt is left, and bytes have come from this host."""
    return machine.furthest > 0 and is_last_attempt(machine, event, policy, now)


def is_misplaced(machine: DownloadMachine, event: words.BlockStored, _policy: object, _now: object) -> bool:
    """The bytes do not follow those that are there, though they are of the same version."""
    return event.offset != machine.offset


def is_misplaced_last(machine: DownloadMachine, event: words.BlockStored, policy: DownloadPolicy, now: object) -> bool:
    """The bytes do not follow those that are there, and no attempt is left."""
    return is_misplaced(machine, event, policy, now) and is_last_attempt(machine, event, policy, now)


def is_of_other_version(machine: DownloadMachine, event: words.BlockStored, _policy: object, _now: object) -> bool:
    """The ETag differs from that of the bytes before; a missing one says nothing."""
    return machine.etag is not None and event.etag is not None and event.etag != machine.etag


def is_of_other_version_again(
    machine: DownloadMachine, event: words.BlockStored, policy: DownloadPolicy, now: object
) -> bool:
    """The ETag differs from that of the bytes before, and the package has changed as often as it may."""
    return is_of_other_version(machine, event, policy, now) and has_changed_too_often(machine, event, policy, now)


def has_changed_too_often(machine: DownloadMachine, _event: object, policy: DownloadPolicy, _now: object) -> bool:
    """The package has changed as often as it may."""
    return machine.restarts >= policy.max_restarts


def is_too_large(_machine: object, event: words.BlockStored, policy: DownloadPolicy, _now: object) -> bool:
    """The package announces or brings more than the limit."""
    limit = policy.max_package_bytes
    return limit is not None and max(event.offset + event.length, event.size_bytes or 0) > limit


def is_last_block(_machine: object, event: words.BlockStored, _policy: object, _now: object) -> bool:
    """The package ends with these bytes."""
    return event.last


def checkpoint_is_due(machine: DownloadMachine, event: words.BlockStored, policy: DownloadPolicy, now: float) -> bool:
    """The bytes have an ETag, and are the first of it, or enough came since the last checkpoint, and long enough."""
    if (event.etag if machine.offset == 0 else machine.etag) is None:
        return False
    if not machine.saved:
        return True
    came = event.offset + event.length - machine.saved
    return came >= policy.checkpoint_bytes and now >= machine.times.checkpointed + policy.checkpoint_gap_s


def rest_is_gone(machine: DownloadMachine, event: words.PeerRefused, _policy: object, _now: object) -> bool:
    """4.12: the origin has no more the version that was asked for. Or 4.08: it has forgotten what was begun."""
    return event.code in _REST_IS_GONE and machine.etag is not None


def rest_is_gone_again(machine: DownloadMachine, event: words.PeerRefused, policy: DownloadPolicy, now: object) -> bool:
    """4.12 or 4.08, and the package has been begun anew as often as it may."""
    return rest_is_gone(machine, event, policy, now) and has_changed_too_often(machine, event, policy, now)


def may_come_back(_machine: object, event: words.PeerRefused, policy: DownloadPolicy, _now: object) -> bool:
    """The answer is one that may change with time."""
    return event.code in policy.retryable_codes


def may_not_come_back(machine: DownloadMachine, event: words.PeerRefused, policy: DownloadPolicy, now: object) -> bool:
    """The answer may change with time, but no attempt is left."""
    return may_come_back(machine, event, policy, now) and is_last_attempt(machine, event, policy, now)


def total_time_is_over(machine: DownloadMachine, _event: object, policy: DownloadPolicy, now: float) -> bool:
    """The pull took as long as it may in all."""
    return policy.total_limit_s is not None and now >= machine.times.started + policy.total_limit_s


def nothing_new_came(machine: DownloadMachine, _event: object, policy: DownloadPolicy, now: float) -> bool:
    """Nothing new came for as long as it may."""
    return now >= machine.times.progressed + policy.no_progress_limit_s


def retry_is_due(machine: DownloadMachine, _event: object, _policy: object, now: float) -> bool:
    """The wait between attempts is over."""
    return machine.phase is Phase.WAITING and now >= machine.times.retry


@final
@attrs.frozen
class PullReading:
    """An event is of this kind where the guard holds; None always holds."""

    kind: PullKind
    guard: PullGuard | None = None


_R = PullReading
_K = PullKind

PULL_READINGS: Final[Mapping[type[words.DownloadEvent], tuple[PullReading, ...]]] = MappingProxyType(
    {
        words.Started: (
            _R(_K.STARTED_RESUMING, checkpoint_fits),
            _R(_K.STARTED, uri_is_usable),
            _R(_K.SCHEME_UNSUPPORTED, scheme_is_unsupported),
            _R(_K.URI_INVALID),
        ),
        words.Resolved: (_R(_K.RESOLVED),),
        words.ResolutionFailed: (
            _R(_K.LOST_LAST, is_last_attempt_of_known_host),
            _R(_K.UNRESOLVED_LAST, is_last_attempt),
            _R(_K.UNRESOLVED),
        ),
        words.CredentialMissing: (_R(_K.CREDENTIAL_MISSING),),
        words.BlockStored: (
            _R(_K.CHANGED_TOO_OFTEN, is_of_other_version_again),
            _R(_K.CHANGED, is_of_other_version),
            _R(_K.BLOCK_MISPLACED_LAST, is_misplaced_last),
            _R(_K.BLOCK_MISPLACED, is_misplaced),
            _R(_K.BLOCK_TOO_LARGE, is_too_large),
            _R(_K.BLOCK_LAST, is_last_block),
            _R(_K.BLOCK_TO_SAVE, checkpoint_is_due),
            _R(_K.BLOCK),
        ),
        words.PeerRefused: (
            _R(_K.CHANGED_TOO_OFTEN, rest_is_gone_again),
            _R(_K.CHANGED, rest_is_gone),
            _R(_K.UNAVAILABLE_LAST, may_not_come_back),
            _R(_K.UNAVAILABLE, may_come_back),
            _R(_K.REFUSED),
        ),
        words.ConnectionLost: (_R(_K.LOST_LAST, is_last_attempt), _R(_K.LOST)),
        words.BodyChanged: (_R(_K.CHANGED_TOO_OFTEN, has_changed_too_often), _R(_K.CHANGED)),
        words.StorageFull: (_R(_K.STORAGE_FULL),),
        words.OutOfMemory: (_R(_K.OUT_OF_MEMORY),),
        words.TooLarge: (_R(_K.TOO_LARGE),),
        words.Stopped: (_R(_K.STOPPED),),
        words.TimePassed: (
            _R(_K.TOO_LONG, total_time_is_over),
            _R(_K.NO_PROGRESS, nothing_new_came),
            _R(_K.RETRY_DUE, retry_is_due),
            _R(_K.NOT_DUE),
        ),
    }
)
"""The readings of each event, in the order to be tried."""

# ---- rows ----------------------------------------------------------------------------------------------------------

_IDLE, _RESOLVING, _FETCHING, _WAITING, _DONE, _FAILED, _STOPPED = Phase
_C = PullChange
_D = Diagnosis
_U = UpdateResult

_FROM_START: Final = (PullDo.DROP, PullDo.TRUNCATE, PullDo.RESOLVE)
_FROM_CHECKPOINT: Final = (PullDo.TRUNCATE, PullDo.RESOLVE)
_PAUSE: Final = (PullDo.STOP_FETCH, PullDo.SAVE)
_OVER: Final = (PullDo.STOP_FETCH, PullDo.DROP, PullDo.TRUNCATE, PullDo.FETCH)
_SAVE: Final = (PullDo.SAVE,)
_FETCH: Final = (PullDo.FETCH,)
_FINISH: Final = (PullDo.FINISH,)
_FAIL: Final = (PullDo.FAIL,)
_BREAK: Final = (PullDo.STOP_FETCH, PullDo.FAIL)
_STOP: Final = (PullDo.STOP_FETCH,)

_LINES: Final = (
    PullRow(_IDLE, _K.STARTED, _RESOLVING, _C.BEGIN, _FROM_START),
    PullRow(_IDLE, _K.STARTED_RESUMING, _RESOLVING, _C.RESUME, _FROM_CHECKPOINT),
    PullRow(_IDLE, _K.URI_INVALID, _FAILED, _C.BEGIN, _FAIL, _U.INVALID_URI, _D.URI_INVALID),
    PullRow(_IDLE, _K.SCHEME_UNSUPPORTED, _FAILED, _C.BEGIN, _FAIL, _U.UNSUPPORTED_PROTOCOL, _D.SCHEME_UNSUPPORTED),
    PullRow(_RESOLVING, _K.RESOLVED, _FETCHING, _C.KEEP, _FETCH),
    PullRow(_FETCHING, _K.BLOCK, _FETCHING, _C.TAKE, ()),
    PullRow(_FETCHING, _K.BLOCK_TO_SAVE, _FETCHING, _C.TAKE_AND_SAVE, _SAVE),
    PullRow(_FETCHING, _K.BLOCK_LAST, _DONE, _C.TAKE, _FINISH),
    PullRow(_FETCHING, _K.BLOCK_MISPLACED, _WAITING, _C.WAIT, _PAUSE),
    PullRow(_FETCHING, _K.BLOCK_MISPLACED_LAST, _FAILED, _C.KEEP, _BREAK, _U.CONNECTION_LOST, _D.CONNECTION_LOST),
    PullRow(_FETCHING, _K.BLOCK_TOO_LARGE, _FAILED, _C.KEEP, _BREAK, _U.NOT_ENOUGH_STORAGE, _D.TOO_LARGE),
    PullRow(_FETCHING, _K.CHANGED, _FETCHING, _C.START_OVER, _OVER),
    PullRow(_FETCHING, _K.CHANGED_TOO_OFTEN, _FAILED, _C.KEEP, _BREAK, _U.CONNECTION_LOST, _D.BODY_CHANGES),
    PullRow(_FETCHING, _K.REFUSED, _FAILED, _C.KEEP, _BREAK, _U.INVALID_URI, _D.REFUSED),
    PullRow(_FETCHING, _K.UNAVAILABLE, _WAITING, _C.WAIT, _PAUSE),
    PullRow(_FETCHING, _K.UNAVAILABLE_LAST, _FAILED, _C.KEEP, _BREAK, _U.CONNECTION_LOST, _D.UNAVAILABLE),
    PullRow(_WAITING, _K.RETRY_DUE, _RESOLVING, _C.RETRY, _FROM_CHECKPOINT),
)
_CONNECTING: Final = tuple(
    row
    for phase in (_RESOLVING, _FETCHING)
    for row in (
        PullRow(phase, _K.UNRESOLVED, _WAITING, _C.WAIT, _PAUSE),
        PullRow(phase, _K.UNRESOLVED_LAST, _FAILED, _C.KEEP, _BREAK, _U.INVALID_URI, _D.HOST_UNRESOLVED),
        PullRow(phase, _K.CREDENTIAL_MISSING, _FAILED, _C.KEEP, _BREAK, _U.UNSUPPORTED_PROTOCOL, _D.CREDENTIAL_MISSING),
        PullRow(phase, _K.LOST, _WAITING, _C.WAIT, _PAUSE),
        PullRow(phase, _K.LOST_LAST, _FAILED, _C.KEEP, _BREAK, _U.CONNECTION_LOST, _D.CONNECTION_LOST),
    )
)
_ENDING: Final = tuple(
    row
    for phase in (_RESOLVING, _FETCHING, _WAITING)
    for row in (
        PullRow(phase, _K.STORAGE_FULL, _FAILED, _C.KEEP, _BREAK, _U.NOT_ENOUGH_STORAGE, _D.STORAGE_FULL),
        PullRow(phase, _K.OUT_OF_MEMORY, _FAILED, _C.KEEP, _BREAK, _U.OUT_OF_MEMORY, _D.OUT_OF_MEMORY),
        PullRow(phase, _K.TOO_LARGE, _FAILED, _C.KEEP, _BREAK, _U.NOT_ENOUGH_STORAGE, _D.TOO_LARGE),
        PullRow(phase, _K.NO_PROGRESS, _FAILED, _C.KEEP, _BREAK, _U.CONNECTION_LOST, _D.NO_PROGRESS),
        PullRow(phase, _K.TOO_LONG, _FAILED, _C.KEEP, _BREAK, _U.CONNECTION_LOST, _D.TOO_LONG),
        PullRow(phase, _K.STOPPED, _STOPPED, _C.KEEP, _STOP),
    )
)

PULL_ROWS: Final[tuple[PullRow, ...]] = (*_LINES, *_CONNECTING, *_ENDING)
"""Every transition of a pull."""

PULL_SOURCES: Final[Mapping[PullKind, str]] = MappingProxyType(
    {
        _K.STARTED: "T2",
        _K.STARTED_RESUMING: "SPEC 3.3 (URI, offset and ETag)",
        _K.URI_INVALID: "T12",
        _K.SCHEME_UNSUPPORTED: "T13",
        _K.RESOLVED: "T2",
        _K.UNRESOLVED: "SERVICE pains: unbounded retry",
        _K.UNRESOLVED_LAST: "T12",
        _K.CREDENTIAL_MISSING: "T13, SERVICE pains: security context",
        _K.BLOCK: "SPEC 9.2",
        _K.BLOCK_TO_SAVE: "SPEC 3.3 (URI, offset and ETag)",
        _K.BLOCK_LAST: "T6, the checks not yet done",
        _K.BLOCK_MISPLACED: "SPEC 9.2",
        _K.BLOCK_MISPLACED_LAST: "T9, SPEC 9.2",
        _K.BLOCK_TOO_LARGE: "T7",
        _K.REFUSED: "T12",
        _K.UNAVAILABLE: "SERVICE pains: unbounded retry",
        _K.UNAVAILABLE_LAST: "T9",
        _K.LOST: "SERVICE pains: unbounded retry",
        _K.LOST_LAST: "T9",
        _K.CHANGED: "SPEC 9.2, FIELD pulls over HTTP",
        _K.CHANGED_TOO_OFTEN: "T9, SPEC 9.2",
        _K.STORAGE_FULL: "T7",
        _K.OUT_OF_MEMORY: "T8",
        _K.TOO_LARGE: "T7",
        _K.STOPPED: "T14, T15",
        _K.RETRY_DUE: "SPEC 3.3 (URI, offset and ETag)",
        _K.NO_PROGRESS: "T9, SERVICE pains: progress",
        _K.TOO_LONG: "T9, SERVICE pains: progress",
    }
)
"""Where the rows of each kind come from, whatever the phase."""

PULL_TABLE: Final[Mapping[tuple[Phase, PullKind], PullRow]] = MappingProxyType(
    {(row.phase, row.kind): row for row in PULL_ROWS}
)
"""The same by cell."""
