"""The law of the server's update machine: what each step does about each thing that can be learnt.

`TABLE[(step, cue)]` is the row. A cue that has no row in a step is ignored and changes nothing. A row leads to a step,
to the end, or to a junction: a list of branches, of which the first whose guard holds is taken. `update_judge` makes
cues of events; `update` carries rows out; neither decides anything that a row could decide.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines.update_state import Kind
from lwm2m_fota.machines.update_steps import UpdateStep
from lwm2m_fota.machines.update_words import Branch, Cue, End, Guard, Here, Junction, Mark, Row, Target

_S, _C, _J = UpdateStep, Cue, Junction
STAY, READ = Here.STAY, Here.READ


def _fail(code: str | None = None) -> End:
    """A failure; without a code, what the device reports says it all."""
    return End(Kind.FAILED, code, by_result=True)


def _stop(code: str) -> End:
    """A failure on our own finding, whatever result the device still shows."""
    return End(Kind.FAILED, code)


def _time_out(code: str) -> End:
    return End(Kind.TIMED_OUT, code)


def _undetermined(code: str) -> End:
    return End(Kind.UNDETERMINED, code)


_SUCCESS: Final = End(Kind.SUCCEEDED)
_CANCELLED: Final = End(Kind.CANCELLED)

_READS_FIRST: Final = (_S.LEARN, _S.OTHER_UPDATE, _S.RESET_CHECK, _S.RESET_LATER)
_ATTACHED: Final = (_S.COMPONENTS, _S.OBSERVE, _S.RESET, _S.CONFIGURE, *_READS_FIRST)
_PREPARING: Final = (_S.REGISTRATION, *_ATTACHED)
_URI_CHECKS: Final = (_S.URI_REFUSED, _S.URI_UNCERTAIN)
_PUSH_CHECKS: Final = (_S.PUSH_REFUSED, _S.PUSH_UNCERTAIN)
_FOLLOWS: Final = (*_URI_CHECKS, *_PUSH_CHECKS, _S.DOWNLOAD, _S.VERIFY)
_LOOKS_AT_TRANSFER: Final = (*_FOLLOWS, _S.TRANSFER_LATER)
_TRANSFERRING: Final = (_S.WRITE_URI, _S.PUSH, *_LOOKS_AT_TRANSFER)
_ASKED_ONCE: Final = (_S.EXECUTE_REFUSED, _S.EXECUTE_UNCERTAIN)
_NOT_BEGUN: Final = (_S.AUTOMATIC, _S.EXECUTE_LATER, _S.DEFERRED)
_LOOKS_AT_INSTALL: Final = (*_ASKED_ONCE, *_NOT_BEGUN, _S.INSTALL)
_UNPROVEN: Final = (_S.EXECUTE, *_LOOKS_AT_INSTALL)
_EXECUTING: Final = (*_UNPROVEN, _S.VERSION)
_WATCHES_TIDYING: Final = (_S.TIDY_CHECK, _S.TIDY_LATER, _S.TIDY_WAIT)
_TIDYING: Final = (_S.TIDY, *_WATCHES_TIDYING)
_GOES_ON: Final = (
    _C.IDLE_DONE,
    _C.IDLE_UPDATED,
    _C.DOWNLOADED,
    _C.DOWNLOADED_FAILED,
    _C.DEFERRED,
    _C.UPDATING,
)
_LEFTOVERS: Final = (_C.DOWNLOADING, _C.DOWNLOADED)
_AT_WORK: Final = (*_LEFTOVERS, _C.DEFERRED, _C.UPDATING)
_LATE_RESULTS: Final = (_C.IDLE_DONE, _C.IDLE_UPDATED, _C.IDLE_FAILED, _C.IDLE_CUT, _C.DOWNLOADED_FAILED)

# (steps, cues, target, source[, marks[, warn]])
_Block = tuple[Iterable[UpdateStep], Iterable[Cue], Row]


def _block(
    steps: Iterable[UpdateStep],
    cues: Iterable[Cue],
    target: Target,
    source: str,
    *marks: Mark,
    warn: str | None = None,
) -> _Block:
    return steps, cues, Row(target, marks, warn, source)


_PREPARING_ROWS: Final[tuple[_Block, ...]] = (
    _block(_PREPARING, [_C.REGISTERED], _J.START, "SPEC 3.2.7"),
    _block(_ATTACHED, [_C.RESTARTED], _S.REGISTRATION, "DESIGN law 4"),
    _block(_PREPARING, [_C.REGISTERED_WITHOUT], _stop("prepare.no-object"), "SERVICE R6"),
    _block(_ATTACHED, [_C.LOST], _S.REGISTRATION, "SPEC 3.2.7"),
    _block(_PREPARING, [_C.CANCEL], _CANCELLED, "SERVICE R10"),
    _block([_S.REGISTRATION], [_C.STAGE_LIMIT], _time_out("prepare.not-registered"), "SERVICE R22"),
    _block(_ATTACHED, [_C.STAGE_LIMIT], _time_out("prepare.stage-limit"), "SERVICE R22"),
    _block([_S.COMPONENTS], [_C.FOUND], _J.WATCH, "SPEC 4 resource 14"),
    _block([_S.COMPONENTS], [_C.NO_COMPONENT], _stop("prepare.no-component"), "SERVICE R6"),
    _block([_S.COMPONENTS], [_C.UNREAD], STAY, "FIELD 5.03: ask again later"),
    _block([_S.COMPONENTS], [_C.POLL], READ, "SERVICE R28"),
    _block([_S.OBSERVE], [_C.OBSERVED], _S.LEARN, "SPEC 3.2.2"),
    _block([_S.OBSERVE], [_C.OBSERVE_FAILED, _C.SILENCE], _S.LEARN, "SERVICE R28", warn="observe.failed"),
    _block([_S.LEARN], [_C.NO_PULL], _stop("prepare.pull-unsupported"), "SPEC 2 resource 9"),
    _block([_S.LEARN], [_C.NO_PUSH], _stop("prepare.push-unsupported"), "SPEC 2 resource 9"),
    _block([_S.LEARN], [_C.NO_PROTOCOL], _stop("prepare.no-common-protocol"), "SPEC 2 resource 8"),
    _block([_S.LEARN], [_C.GUARDED], _stop("prepare.version-guarded"), "SERVICE pains: versions as versions"),
    _block([_S.LEARN, _S.RESET_CHECK], [_C.IDLE], _J.READY, "SPEC 3.2.1"),
    _block([_S.RESET_CHECK], [_C.IDLE_NEXT], _J.NEXT_RESET, "SPEC 3.2.1", Mark.FIRST_METHOD),
    _block([_S.LEARN, _S.OTHER_UPDATE, _S.RESET_LATER], _LEFTOVERS, _J.NEXT_RESET, "SPEC 3.2.1", Mark.FIRST_METHOD),
    _block([_S.LEARN, _S.RESET_CHECK, _S.RESET_LATER], [_C.UPDATING], _S.OTHER_UPDATE, "SPEC 3.2.1"),
    _block([_S.OTHER_UPDATE, _S.RESET_LATER], [_C.IDLE], _S.LEARN, "SPEC 3.2.1"),
    _block([_S.OTHER_UPDATE], [_C.UPDATING], STAY, "SPEC 3.1 T28"),
    _block([_S.RESET_CHECK], _LEFTOVERS, STAY, "FIELD a 2.04 is no proof"),
    _block(_READS_FIRST, [_C.UNREAD], STAY, "FIELD 5.03: ask again later"),
    _block(_READS_FIRST, [_C.POLL], READ, "SERVICE R28"),
    _block([_S.OTHER_UPDATE, _S.RESET_CHECK, _S.RESET_LATER], [_C.NOTIFIED], READ, "FIELD State before Result"),
    _block([_S.RESET, _S.CONFIGURE], [_C.NOTIFIED], STAY, "FIELD State before Result"),
    _block([_S.COMPONENTS, _S.LEARN], [_C.SILENCE], _time_out("prepare.unreadable"), "SERVICE pains: silent stall"),
    _block([_S.OTHER_UPDATE], [_C.SILENCE], _time_out("prepare.device-updating"), "SERVICE pains: silent stall"),
    _block([_S.RESET], [_C.ACCEPTED, _C.REFUSED, _C.NO_ANSWER, _C.SILENCE], _S.RESET_CHECK, "FIELD a 2.04 is no proof"),
    _block([_S.RESET], [_C.BUSY], _S.RESET_LATER, "FIELD 5.03: ask again later"),
    _block(
        [_S.CONFIGURE],
        [_C.ACCEPTED, _C.REFUSED, _C.BUSY, _C.NO_ANSWER, _C.SILENCE],
        _S.LEARN,
        "FIELD a 2.04 is no proof",
    ),
    _block([_S.RESET_CHECK], [_C.SILENCE], _J.NEXT_RESET, "SERVICE bugs: a reset step that hangs"),
    _block([_S.RESET_LATER], [_C.SILENCE], _time_out("prepare.device-busy"), "FIELD 5.03: ask again later"),
)

_TRANSFERRING_ROWS: Final[tuple[_Block, ...]] = (
    _block(_TRANSFERRING, [_C.REGISTERED_WITHOUT], _stop("transfer.object-gone"), "SERVICE R6"),
    _block(_TRANSFERRING, [_C.LOST], STAY, "FIELD a lapsed registration is not the end"),
    _block(_TRANSFERRING, [_C.CANCEL], _CANCELLED, "SERVICE R10"),
    _block(_TRANSFERRING, [_C.STAGE_LIMIT], _time_out("transfer.stage-limit"), "SERVICE R22"),
    _block(_LOOKS_AT_TRANSFER, [_C.REGISTERED, _C.RESTARTED], READ, "SPEC 3.2.7", Mark.REOBSERVE),
    _block([_S.WRITE_URI], [_C.REGISTERED, _C.RESTARTED], _S.URI_UNCERTAIN, "SPEC 3.2.7", Mark.REOBSERVE),
    _block([_S.PUSH], [_C.REGISTERED], READ, "FIELD a lapsed registration is not the end", Mark.REOBSERVE),
    _block([_S.PUSH], [_C.RESTARTED], _S.PUSH_UNCERTAIN, "SPEC 3.3 (a push is not resumable)", Mark.REOBSERVE),
    _block(_TRANSFERRING, [_C.OBSERVED], STAY, "SPEC 3.2.7"),
    _block(_TRANSFERRING, [_C.OBSERVE_FAILED], STAY, "SERVICE R28", warn="observe.failed"),
    _block(_LOOKS_AT_TRANSFER, [_C.NOTIFIED], READ, "FIELD State before Result"),
    _block([_S.WRITE_URI, _S.PUSH], [_C.NOTIFIED], STAY, "FIELD 5.03 during a push"),
    _block((*_LOOKS_AT_TRANSFER, _S.PUSH), [_C.POLL], READ, "FIELD a fast transition is lost"),
    _block((*_LOOKS_AT_TRANSFER, _S.PUSH), [_C.UNREAD], STAY, "FIELD 5.03: ask again later"),
    _block([_S.WRITE_URI], [_C.ACCEPTED], _S.DOWNLOAD, "SPEC 3.1 T2"),
    _block([_S.WRITE_URI, _S.PUSH], [_C.BUSY], _J.BUSY, "FIELD 5.03: ask again later", Mark.UNCOUNT_TRANSFER),
    _block([_S.WRITE_URI], [_C.REFUSED], _S.URI_REFUSED, "FIELD unsupported scheme", Mark.FRESH),
    _block([_S.WRITE_URI], [_C.NO_ANSWER, _C.SILENCE], _S.URI_UNCERTAIN, "DESIGN law 6"),
    _block([_S.WRITE_URI, _S.DOWNLOAD, _S.URI_REFUSED], [_C.SERVED], STAY, "SERVICE pains: progress", Mark.MOVED),
    _block([_S.URI_UNCERTAIN], [_C.SERVED], _S.DOWNLOAD, "SERVICE pains: progress", Mark.MOVED),
    _block([_S.WRITE_URI, _S.PUSH], [_C.NO_PACKAGE], _stop("transfer.no-package"), "SERVICE pains: no diagnosis"),
    _block([_S.PUSH], [_C.SENT], STAY, "SERVICE pains: progress"),
    _block([_S.PUSH], [_C.ACCEPTED], _S.VERIFY, "FIELD a push that fails", Mark.FRESH),
    _block([_S.PUSH], [_C.REFUSED], _S.PUSH_REFUSED, "FIELD a push that fails", Mark.FRESH),
    _block([_S.PUSH], [_C.BROKEN], _S.PUSH_UNCERTAIN, "SPEC 9.1, SPEC 18", Mark.FRESH),
    _block([_S.PUSH], [_C.NO_ANSWER], _S.PUSH_UNCERTAIN, "FIELD users: an interrupted push"),
    _block([_S.PUSH], [_C.SILENCE], _J.STALLED_PUSH, "SERVICE pains: progress"),
    # What the device shows.
    _block(_FOLLOWS, [_C.IDLE_UNSETTLED], STAY, "FIELD State before Result"),
    _block([_S.PUSH], [_C.IDLE_UNSETTLED, _C.IDLE_WAITING], STAY, "FIELD State 0 during a push"),
    _block([_S.DOWNLOAD, _S.VERIFY], [_C.IDLE_WAITING], STAY, "FIELD a 2.04 is no proof"),
    _block(
        [_S.TRANSFER_LATER],
        [_C.IDLE_UNSETTLED, _C.IDLE_WAITING, _C.IDLE_CUT, _C.IDLE_GONE],
        _J.TRANSFER,
        "FIELD users: an interrupted push",
    ),
    _block([_S.URI_REFUSED], [_C.IDLE_WAITING, _C.IDLE_GONE], _fail("transfer.uri-refused"), "SPEC 3.1 T16"),
    _block([_S.PUSH_REFUSED], [_C.IDLE_WAITING, _C.IDLE_GONE], _fail("transfer.push-refused"), "SPEC 3.1 T16"),
    _block([_S.URI_UNCERTAIN, _S.PUSH_UNCERTAIN], [_C.IDLE_WAITING], _J.RETRY, "FIELD users: an interrupted push"),
    _block(
        [_S.PUSH, _S.DOWNLOAD, _S.VERIFY, _S.URI_UNCERTAIN, _S.PUSH_UNCERTAIN],
        [_C.IDLE_GONE],
        _J.RETRY,
        "FIELD users: a reset in mid-download",
    ),
    _block((_S.PUSH, *_FOLLOWS), [_C.IDLE_CUT], _J.RETRY, "SPEC 3.1 T9"),
    _block((_S.PUSH, *_LOOKS_AT_TRANSFER), [_C.IDLE_FAILED], _fail(), "SPEC 3.1 T7-T13"),
    _block(_LOOKS_AT_TRANSFER, [_C.IDLE_DONE], _J.NEXT, "SPEC 3.1 T21", Mark.DONE),
    _block(_LOOKS_AT_TRANSFER, [_C.IDLE_UPDATED], _J.NEXT, "SPEC 3.1 T21", Mark.DONE, warn="execute.result-lost"),
    _block([_S.PUSH], _GOES_ON, STAY, "FIELD 5.03 during a push"),
    _block([_S.PUSH, _S.DOWNLOAD, _S.VERIFY, _S.PUSH_REFUSED], [_C.DOWNLOADING], STAY, "SPEC 3.1 T5"),
    _block(_URI_CHECKS, [_C.DOWNLOADING], _S.DOWNLOAD, "SPEC 3.1 T2"),
    _block([_S.PUSH_UNCERTAIN], [_C.DOWNLOADING], _J.RETRY, "SPEC 9.1 (a new block 0 overwrites)"),
    _block([_S.TRANSFER_LATER], [_C.DOWNLOADING], _J.RESUME, "SPEC 9.1 (a new block 0 overwrites)"),
    _block(_LOOKS_AT_TRANSFER, [_C.DOWNLOADED], _J.DOWNLOADED, "FIELD State 0 during a push"),
    _block(_LOOKS_AT_TRANSFER, [_C.DOWNLOADED_FAILED], _fail(), "FIELD Result 8 in Downloaded or Idle"),
    _block(_LOOKS_AT_TRANSFER, [_C.DEFERRED], _S.DEFERRED, "SPEC 3.1 T19, T21"),
    _block(_LOOKS_AT_TRANSFER, [_C.UPDATING], _S.INSTALL, "SPEC 3.1 T21"),
    # Silence.
    _block([_S.DOWNLOAD], [_C.SILENCE], _J.SILENT_PULL, "SERVICE pains: silent stall"),
    _block([_S.VERIFY], [_C.SILENCE], _time_out("transfer.no-progress"), "SERVICE pains: silent stall"),
    _block([_S.URI_REFUSED], [_C.SILENCE], _fail("transfer.uri-refused"), "SERVICE pains: silent stall"),
    _block([_S.PUSH_REFUSED], [_C.SILENCE], _fail("transfer.push-refused"), "SERVICE pains: silent stall"),
    _block([_S.URI_UNCERTAIN, _S.PUSH_UNCERTAIN], [_C.SILENCE], _time_out("transfer.no-answer"), "DESIGN law 6"),
    _block([_S.TRANSFER_LATER], [_C.SILENCE], _time_out("transfer.device-busy"), "FIELD 5.03: ask again later"),
)

_EXECUTING_ROWS: Final[tuple[_Block, ...]] = (
    _block(
        (*_LOOKS_AT_INSTALL, _S.VERSION),
        [_C.REGISTERED, _C.REGISTERED_WITHOUT, _C.RESTARTED],
        READ,
        "FIELD Result 1 is shown once",
        Mark.REOBSERVE,
    ),
    _block(
        [_S.EXECUTE],
        [_C.REGISTERED, _C.REGISTERED_WITHOUT, _C.RESTARTED],
        _S.EXECUTE_UNCERTAIN,
        "DESIGN law 4",
        Mark.REOBSERVE,
    ),
    _block(_EXECUTING, [_C.LOST], STAY, "FIELD users: deregistration taken for a failure"),
    _block(_EXECUTING, [_C.OBSERVED], STAY, "SPEC 3.2.7"),
    _block(_EXECUTING, [_C.OBSERVE_FAILED], STAY, "SERVICE R28", warn="observe.failed"),
    _block(_UNPROVEN, [_C.STAGE_LIMIT], _time_out("execute.stage-limit"), "SERVICE R22"),
    _block([_S.VERSION], [_C.STAGE_LIMIT, _C.TOTAL_LIMIT], _J.LAST, "SERVICE R9"),
    _block([_S.VERSION], [_C.VERSION_READ, _C.UNREAD, _C.SILENCE], _J.NEXT, "SERVICE R9"),
    _block([_S.VERSION], [_C.CANCEL], STAY, "SPEC 3.1 T28", Mark.CANCEL),
    _block([_S.EXECUTE], [_C.NOTIFIED], STAY, "FIELD State before Result"),
    _block([_S.EXECUTE], [_C.ACCEPTED], _S.INSTALL, "FIELD a 2.04 is no proof", Mark.ACCEPTED),
    _block([_S.EXECUTE], [_C.BUSY], _J.EXECUTE_BUSY, "FIELD 5.03: ask again later", Mark.UNCOUNT_EXECUTE),
    _block([_S.EXECUTE], [_C.REFUSED], _S.EXECUTE_REFUSED, "SPEC 3.4"),
    _block([_S.EXECUTE], [_C.NO_ANSWER, _C.SILENCE], _S.EXECUTE_UNCERTAIN, "DESIGN law 6"),
    _block((_S.EXECUTE, _S.INSTALL, *_ASKED_ONCE), [_C.CANCEL], STAY, "SPEC 3.1 T28", Mark.CANCEL),
    _block(_NOT_BEGUN, [_C.CANCEL], _CANCELLED, "SPEC 3.1 T23"),
    _block(_LOOKS_AT_INSTALL, [_C.NOTIFIED], READ, "FIELD State before Result"),
    _block((*_LOOKS_AT_INSTALL, _S.VERSION), [_C.POLL], READ, "FIELD a fast transition is lost"),
    _block(_LOOKS_AT_INSTALL, [_C.UNREAD, _C.IDLE_UNSETTLED, _C.DOWNLOADING], STAY, "DESIGN law 6"),
    # What the device shows.
    _block(_LOOKS_AT_INSTALL, [_C.IDLE_DONE], _J.DONE, "SERVICE R3", Mark.DONE),
    _block(
        _LOOKS_AT_INSTALL,
        [_C.IDLE_UPDATED],
        _J.NEXT,
        "FIELD nothing was persisted",
        Mark.DONE,
        warn="execute.result-lost",
    ),
    _block(
        _LOOKS_AT_INSTALL,
        [_C.IDLE_FAILED, _C.IDLE_CUT, _C.DOWNLOADED_FAILED],
        _fail(),
        "FIELD Result 8 in Downloaded or Idle",
    ),
    _block(
        [_S.AUTOMATIC, _S.EXECUTE_UNCERTAIN, _S.INSTALL, _S.DEFERRED],
        [_C.IDLE_GONE],
        _undetermined("execute.no-evidence"),
        "FIELD nothing was persisted",
    ),
    _block([_S.AUTOMATIC, _S.DEFERRED], [_C.IDLE_UNVERSIONED], _S.INSTALL, "SERVICE R9"),
    _block([_S.EXECUTE_UNCERTAIN, _S.INSTALL], [_C.IDLE_UNVERSIONED], STAY, "SERVICE R9"),
    _block([_S.EXECUTE_REFUSED], [_C.IDLE_GONE, _C.IDLE_UNVERSIONED], _fail("execute.refused"), "SPEC 3.1 T4"),
    _block([_S.EXECUTE_LATER], [_C.IDLE_GONE, _C.IDLE_UNVERSIONED], _fail("execute.package-lost"), "SPEC 3.1 T22"),
    _block([_S.AUTOMATIC], [_C.DOWNLOADED], STAY, "SPEC 3.1 T21"),
    _block([_S.EXECUTE_REFUSED], [_C.DOWNLOADED], _J.EXECUTE_REFUSED, "SPEC 3.1 T4"),
    _block([_S.EXECUTE_UNCERTAIN], [_C.DOWNLOADED], _J.EXECUTE_AGAIN, "DESIGN law 4"),
    _block([_S.EXECUTE_LATER], [_C.DOWNLOADED], _S.EXECUTE, "FIELD 5.03: ask again later"),
    _block([_S.INSTALL], [_C.DOWNLOADED], _J.HOLD, "SPEC 3.2.6"),
    _block([_S.DEFERRED], [_C.DOWNLOADED], _S.INSTALL, "SPEC 3.1 T20"),
    _block([*_ASKED_ONCE, _S.AUTOMATIC, _S.EXECUTE_LATER, _S.INSTALL], [_C.DEFERRED], _J.DEFER, "SPEC 3.1 T19"),
    _block([_S.DEFERRED], [_C.DEFERRED], STAY, "SPEC 3.1 T19"),
    _block([*_ASKED_ONCE, *_NOT_BEGUN], [_C.UPDATING], _S.INSTALL, "SPEC 3.1 T18, T20"),
    _block([_S.INSTALL], [_C.UPDATING], STAY, "SPEC 3.1 T18"),
    # Silence.
    _block([_S.AUTOMATIC], [_C.SILENCE], _J.NOT_AUTOMATIC, "SPEC 3.1 T21"),
    _block([_S.EXECUTE_REFUSED], [_C.SILENCE], _fail("execute.refused"), "SERVICE pains: silent stall"),
    _block([_S.EXECUTE_UNCERTAIN], [_C.SILENCE], _J.SILENT_EXECUTE, "SERVICE pains: silent stall"),
    _block([_S.INSTALL], [_C.SILENCE], _J.SILENT_INSTALL, "SERVICE pains: silent stall"),
    _block([_S.EXECUTE_LATER], [_C.SILENCE], _time_out("execute.device-busy"), "FIELD 5.03: ask again later"),
    _block([_S.DEFERRED], [_C.SILENCE], _time_out("execute.deferred"), "SPEC 3.1 T19"),
)

_CLEANUP_ROWS: Final[tuple[_Block, ...]] = (
    _block(_TIDYING, [_C.STAGE_LIMIT], _J.END, "SERVICE R9: cleanup never masks", warn="cleanup.not-idle"),
    _block(_TIDYING, [_C.LOST], STAY, "SERVICE R9: cleanup never masks"),
    _block(_TIDYING, [_C.REGISTERED_WITHOUT], _J.END, "SERVICE R9: cleanup never masks", warn="cleanup.not-idle"),
    _block([_S.TIDY], [_C.REGISTERED, _C.RESTARTED], _S.TIDY_CHECK, "SPEC 3.2.7"),
    _block([_S.TIDY], [_C.ACCEPTED, _C.REFUSED, _C.NO_ANSWER, _C.SILENCE], _S.TIDY_CHECK, "SERVICE R10"),
    _block([_S.TIDY], [_C.BUSY], _S.TIDY_LATER, "FIELD 5.03: ask again later"),
    _block([_S.TIDY], [_C.NOTIFIED], STAY, "FIELD State before Result"),
    _block(_WATCHES_TIDYING, [_C.REGISTERED, _C.RESTARTED, _C.NOTIFIED, _C.POLL], READ, "SERVICE R28"),
    _block(_WATCHES_TIDYING, [_C.UNREAD], STAY, "FIELD 5.03: ask again later"),
    _block([_S.TIDY_CHECK, _S.TIDY_WAIT], _LEFTOVERS, STAY, "SERVICE R10"),
    _block([_S.TIDY_LATER], _LEFTOVERS, _J.NEXT_TIDY, "FIELD 5.03: ask again later", Mark.FIRST_METHOD),
    _block([_S.TIDY_CHECK], [_C.IDLE_NEXT], _J.NEXT_TIDY, "SERVICE R10", Mark.FIRST_METHOD),
    _block(_WATCHES_TIDYING, [_C.IDLE], _J.END, "SERVICE R10"),
    _block(_WATCHES_TIDYING, [_C.IDLE_DONE, _C.IDLE_UPDATED], _J.TIDY_DONE, "SPEC 3.1 T25", Mark.DONE),
    _block(_WATCHES_TIDYING, [_C.UPDATING], _J.TIDY_TOO_LATE, "SPEC 3.1 T28"),
    _block([_S.TIDY_CHECK], [_C.SILENCE], _J.NEXT_TIDY, "SERVICE R10"),
)

_LATE_ROWS: Final[tuple[_Block, ...]] = (
    _block([_S.LATE], [_C.REGISTERED], READ, "DESIGN law 6", Mark.REOBSERVE),
    _block(
        [_S.LATE],
        [_C.REGISTERED_WITHOUT, _C.RESTARTED, _C.NOTIFIED, _C.POLL],
        READ,
        "DESIGN law 6",
    ),
    _block(
        [_S.LATE],
        [_C.LOST, _C.UNREAD, _C.IDLE_UNSETTLED, _C.IDLE_GONE, _C.IDLE_UNVERSIONED, *_AT_WORK],
        STAY,
        "DESIGN law 6",
    ),
    _block([_S.LATE], _LATE_RESULTS, _S.FINISHED, "DESIGN law 6", Mark.DONE, Mark.LATE),
    _block([_S.LATE], [_C.SILENCE], _S.FINISHED, "DESIGN law 6"),
)

_TOTAL_ROWS: Final[tuple[_Block, ...]] = (
    _block((*_PREPARING, *_TRANSFERRING, *_UNPROVEN), [_C.TOTAL_LIMIT], _time_out("total.limit"), "SERVICE R22"),
)


def expand(blocks: Iterable[_Block]) -> dict[tuple[UpdateStep, Cue], Row]:
    """Every cell of the blocks.

    Raises:
        UsageError: two blocks speak of one cell.
    """
    table: dict[tuple[UpdateStep, Cue], Row] = {}
    for steps, cues, row in blocks:
        for cell in ((step, cue) for step in steps for cue in cues):
            if cell in table:
                raise UsageError(f"two rows for {cell[0]} and {cell[1]}")
            table[cell] = row
    return table


TABLE: Final[Mapping[tuple[UpdateStep, Cue], Row]] = MappingProxyType(
    expand((*_PREPARING_ROWS, *_TRANSFERRING_ROWS, *_EXECUTING_ROWS, *_CLEANUP_ROWS, *_LATE_ROWS, *_TOTAL_ROWS))
)
"""The law, cell by cell."""

JUNCTIONS: Final[Mapping[Junction, tuple[Branch, ...]]] = MappingProxyType(
    {
        _J.START: (Branch(Guard.NAMES_UNKNOWN, _S.COMPONENTS), Branch(None, _J.WATCH)),
        _J.WATCH: (Branch(Guard.OBSERVES, _S.OBSERVE), Branch(None, _S.LEARN)),
        _J.READY: (Branch(Guard.CONFIGURES, _S.CONFIGURE), Branch(None, _J.TRANSFER)),
        _J.TRANSFER: (Branch(Guard.BY_PUSH, _S.PUSH), Branch(None, _S.WRITE_URI)),
        _J.NEXT_RESET: (
            Branch(Guard.METHOD_LEFT, _S.RESET),
            Branch(Guard.SHOWS_DOWNLOADING, _stop("prepare.stuck-downloading")),
            Branch(None, _stop("prepare.stuck-downloaded")),
        ),
        _J.SILENT_PULL: (
            Branch(Guard.MOVED, _time_out("transfer.no-progress")),
            Branch(None, _time_out("transfer.not-started")),
        ),
        _J.STALLED_PUSH: (
            Branch(Guard.TRANSFER_LEFT, _S.PUSH_UNCERTAIN, warn="transfer.no-progress"),
            Branch(None, _time_out("transfer.no-progress")),
        ),
        _J.RETRY: (Branch(Guard.TRANSFER_LEFT, _S.TRANSFER_LATER), Branch(None, _fail("transfer.broken"))),
        _J.BUSY: (Branch(Guard.BUSY_LEFT, _S.TRANSFER_LATER), Branch(None, _stop("transfer.device-busy"))),
        _J.RESUME: (Branch(Guard.BY_PUSH, _S.PUSH), Branch(None, _S.DOWNLOAD)),
        _J.DOWNLOADED: (
            Branch(Guard.PART_LEFT, _J.TRANSFER, (Mark.NEXT_PART,)),
            Branch(Guard.UPGRADES_ITSELF, _S.AUTOMATIC),
            Branch(None, _S.EXECUTE, (Mark.BATCH,)),
        ),
        _J.DEFER: (Branch(Guard.CANCEL_ASKED, _CANCELLED), Branch(None, _S.DEFERRED)),
        _J.HOLD: (Branch(Guard.CANCEL_ASKED, _CANCELLED), Branch(None, STAY)),
        _J.EXECUTE_AGAIN: (
            Branch(Guard.CANCEL_ASKED, _CANCELLED),
            Branch(Guard.MAY_EXECUTE, _S.EXECUTE),
            Branch(None, _undetermined("execute.unanswered")),
        ),
        _J.EXECUTE_REFUSED: (Branch(Guard.CANCEL_ASKED, _CANCELLED), Branch(None, _fail("execute.refused"))),
        _J.EXECUTE_BUSY: (
            Branch(Guard.CANCEL_ASKED, _CANCELLED),
            Branch(Guard.BUSY_LEFT, _S.EXECUTE_LATER),
            Branch(None, _stop("execute.device-busy")),
        ),
        _J.SILENT_EXECUTE: (
            Branch(Guard.SHOWS_IDLE, _undetermined("execute.no-evidence")),
            Branch(None, _time_out("execute.no-answer")),
        ),
        _J.SILENT_INSTALL: (
            Branch(Guard.UNREGISTERED, _time_out("execute.no-return")),
            Branch(Guard.SHOWS_DOWNLOADED, _undetermined("execute.not-installed")),
            Branch(Guard.SHOWS_IDLE, _undetermined("execute.no-evidence")),
            Branch(None, _time_out("execute.no-end")),
        ),
        _J.NOT_AUTOMATIC: (
            Branch(Guard.EXECUTES_ANYWAY, _S.EXECUTE, warn="execute.not-automatic"),
            Branch(None, _time_out("execute.not-automatic")),
        ),
        _J.DONE: (Branch(Guard.VERSION_KNOWN, _J.NEXT), Branch(None, _S.VERSION)),
        _J.NEXT: (
            Branch(Guard.CANCEL_LEFT, _CANCELLED),
            Branch(Guard.PART_LEFT, _J.TRANSFER, (Mark.NEXT_PART,)),
            Branch(Guard.UNDONE_LEFT, _S.EXECUTE, (Mark.BATCH,)),
            Branch(None, _SUCCESS),
        ),
        _J.LAST: (
            Branch(Guard.CANCEL_LEFT, _CANCELLED),
            Branch(Guard.UNDONE_LEFT, _time_out("execute.stage-limit")),
            Branch(None, _SUCCESS),
        ),
        _J.AFTER: (
            Branch(Guard.NOTHING_TO_TIDY, _J.END),
            Branch(Guard.METHOD_LEFT, _S.TIDY),
            Branch(Guard.WAITS, _S.TIDY_WAIT),
            Branch(None, _J.END, warn="cleanup.not-idle"),
        ),
        _J.NEXT_TIDY: (
            Branch(Guard.METHOD_LEFT, _S.TIDY),
            Branch(Guard.WAITS, _S.TIDY_WAIT),
            Branch(None, _J.END, warn="cleanup.not-idle"),
        ),
        _J.TIDY_TOO_LATE: (
            Branch(Guard.CANCELLING, _S.INSTALL, (Mark.TOO_LATE,)),
            Branch(None, _J.END, warn="cleanup.not-idle"),
        ),
        _J.TIDY_DONE: (
            Branch(Guard.UNDONE_LEFT, _J.END),
            Branch(Guard.CANCELLING, _SUCCESS, (Mark.TOO_LATE,)),
            Branch(None, _J.END),
        ),
        _J.END: (Branch(None, _J.ENDED, (Mark.DONE,)),),
        _J.ENDED: (
            Branch(Guard.AWAITS_LATE, _S.LATE),
            Branch(Guard.CANCELLED_PARTLY, _S.FINISHED, warn="cancel.partly"),
            Branch(None, _S.FINISHED),
        ),
    }
)
"""Every junction; its last branch is always open."""

JUNCTION_SOURCES: Final[Mapping[Junction, str]] = MappingProxyType(
    {
        _J.START: "SPEC 4 resource 14",
        _J.WATCH: "SPEC 3.2.2, SERVICE R28",
        _J.READY: "Object 5, resources 11, 13 and 14",
        _J.TRANSFER: "SPEC 2 resource 9",
        _J.NEXT_RESET: "SPEC 3.2.1",
        _J.SILENT_PULL: "SERVICE pains: silent stall",
        _J.STALLED_PUSH: "SERVICE pains: progress",
        _J.RETRY: "FIELD users: an interrupted push",
        _J.BUSY: "FIELD 5.03: ask again later",
        _J.RESUME: "SPEC 9.1 (a new block 0 overwrites)",
        _J.DOWNLOADED: "SPEC 3.1 T21, SPEC 4.2",
        _J.DEFER: "SPEC 3.1 T19, T23",
        _J.HOLD: "FIELD a 2.04 is no proof",
        _J.EXECUTE_AGAIN: "DESIGN law 4",
        _J.EXECUTE_REFUSED: "SPEC 3.1 T4",
        _J.EXECUTE_BUSY: "FIELD 5.03: ask again later",
        _J.SILENT_EXECUTE: "DESIGN law 6",
        _J.SILENT_INSTALL: "DESIGN law 6",
        _J.NOT_AUTOMATIC: "SPEC 3.1 T21",
        _J.DONE: "SERVICE R9",
        _J.NEXT: "SPEC 4.2, SERVICE R10",
        _J.LAST: "SERVICE R9, R22",
        _J.AFTER: "SERVICE R9: cleanup never masks",
        _J.NEXT_TIDY: "SERVICE R10",
        _J.TIDY_TOO_LATE: "SPEC 3.1 T28",
        _J.TIDY_DONE: "SPEC 3.1 T25, DESIGN law 6",
        _J.END: "DESIGN law 6",
        _J.ENDED: "DESIGN law 6, SERVICE R10",
    }
)
"""Where the ways out of each junction come from."""
