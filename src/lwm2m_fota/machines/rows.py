"""The law of the device machine: every transition of Object 5, one row of data each (SPEC 3.1 T1-T29, 3.3).

What is not here is refused. A row belongs to the object versions from `since` on, to devices that can receive
packages in the way it `needs`, and to one policy choice.
"""

from enum import StrEnum
from typing import Final, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines.component_events import ComponentChange, ComponentKind
from lwm2m_fota.machines.component_policies import AdvancedPolicy
from lwm2m_fota.machines.effects import Do
from lwm2m_fota.machines.events import Delivery, EventKind
from lwm2m_fota.machines.policies import (
    ClockLost,
    ClockSetBack,
    FailureTarget,
    Policy,
    RepeatedPush,
    ResetScope,
    SynchronousUriFailure,
    WrongStateWrite,
)
from lwm2m_fota.machines.readings import Version
from lwm2m_fota.model.advanced import ADVANCED_OBJECT_ID
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.model.firmware import FIRMWARE_OBJECT_ID


@final
class Change(StrEnum):
    """What a transition does to the machine beside State and Result."""

    KEEP = "nothing"
    BEGIN_PUSH = "a push begins"
    BEGIN_PULL = "a pull begins"
    RESUME_PULL = "the pull goes on"
    RECEIVE = "the package is complete"
    NAME = "the package gets its name"
    NAME_AND_DEFER = "the package gets its name, and waits"
    NAME_AND_INSTALL = "the package gets its name, and an attempt begins"
    DEFER = "the update waits"
    COUNT_AGAIN = "the wait is counted from now"
    COUNT_ON = "the wait is as much shorter as has passed"
    INSTALL = "an attempt begins"
    CLEAR = "the update is forgotten"
    SET_SEVERITY = "resource 11"
    SET_MAX_DEFER = "resource 13"
    SET_AUTO_UPGRADE = "resource 14"


@final
@attrs.frozen
class Row:
    """One transition.

    Attributes:
        state: where it starts.
        kind: what happens.
        target: where it ends.
        result: the Update Result that it sets; None keeps what is there.
        change: what else changes.
        effects: what is to be done, in this order.
        answer: what the peer is told, if one waits for it.
        source: where it comes from; T numbers are those of SPEC 3.1.
        since: the first object version that has this row.
        needs: the way of delivery without which the row is not there. Only what begins a transfer needs one: a
            transfer that runs must be able to end, also on a device that was built anew.
        policy: the choice that the row belongs to; None belongs to all.
        object_id: the object that the row belongs to, 5 or 33629; None belongs to both.

    Raises:
        UsageError: a component of Object 33629 has the resources of 1.1, so a row since 1.2 is of Object 5 alone, and
            one of Object 33629 alone has no version to begin with. And a wait ends by itself with its State.
    """

    state: State
    kind: EventKind | ComponentKind
    target: State
    result: UpdateResult | None
    change: Change | ComponentChange
    effects: tuple[Do, ...]
    answer: Code | None
    source: str
    since: Version = "1.0"
    needs: Delivery | None = None
    policy: Policy | AdvancedPolicy | None = None
    object_id: int | None = None

    def __attrs_post_init__(self) -> None:
        if (self.since == "1.2" and self.object_id != FIRMWARE_OBJECT_ID) or (
            self.since != "1.0" and self.object_id == ADVANCED_OBJECT_ID
        ):
            raise UsageError(f"no component has a row since {self.since}: {self!r}")
        if self.change is ComponentChange.STOP_WAITING and self.state is not self.target:
            raise UsageError(f"a wait ends with its State: {self!r}")


@final
@attrs.frozen
class Refusal:
    """A refusal that is answered with another code than 4.05.

    Attributes:
        state: where it is refused.
        kind: what is refused.
        code: what the peer is told.
        source: where it comes from.
        policy: the choice that it belongs to; None belongs to all.
    """

    state: State
    kind: EventKind
    code: Code
    source: str
    policy: Policy | None = None


_IDLE, _DOWNLOADING, _DOWNLOADED, _UPDATING = State
_K = EventKind
_R = UpdateResult
_C = Change

# What is to be done, by what happens. Persist first: nothing below it may be lost with it.
_NOTHING: Final = ()
_SAVE: Final = (Do.PERSIST,)
_SHOW: Final = (Do.PERSIST, Do.NOTIFY)
_OPEN_PUSH: Final = (Do.PERSIST, Do.OPEN_STAGE, Do.NOTIFY)
_REOPEN_PUSH: Final = (Do.PERSIST, Do.STOP_TRANSFER, Do.DISCARD_IMAGE, Do.OPEN_STAGE, Do.NOTIFY)
_OPEN_PULL: Final = (Do.PERSIST, Do.OPEN_STAGE, Do.NOTIFY, Do.START_PULL)
_FAIL_PULL: Final = (Do.PERSIST, Do.NOTIFY, Do.START_PULL)  # the pull ends at once: no stage is erased for it
_AGAIN_PULL: Final = (Do.PERSIST, Do.OPEN_STAGE, Do.START_PULL)
_GO_ON_PULL: Final = (Do.PERSIST, Do.RESUME_PULL)
_VERIFY: Final = (Do.PERSIST, Do.VERIFY_IMAGE)
_STOP: Final = (Do.PERSIST, Do.STOP_TRANSFER, Do.DISCARD_IMAGE, Do.NOTIFY)
_DISCARD: Final = (Do.PERSIST, Do.DISCARD_IMAGE, Do.NOTIFY)
_SWEEP: Final = (Do.DISCARD_IMAGE,)
_INSTALL: Final = (Do.PERSIST, Do.NOTIFY, Do.BEGIN_INSTALL)  # notify first: the installation may restart the device

_OK: Final = Code.CHANGED
_GO_ON: Final = Code.CONTINUE
_BAD: Final = Code.BAD_REQUEST
_TOO_LARGE: Final = Code.REQUEST_ENTITY_TOO_LARGE
_INTERNAL: Final = Code.INTERNAL_SERVER_ERROR
_ANYWHERE: Final = ResetScope.EVERYWHERE_BUT_UPDATING
_THROUGH: Final = SynchronousUriFailure.THROUGH_DOWNLOADING
_STAY: Final = SynchronousUriFailure.STAY_IDLE

_TO_DOWNLOADED: Final = FailureTarget.DOWNLOADED
_TO_IDLE: Final = FailureTarget.IDLE

_BEGIN: Final = (
    Row(_IDLE, _K.PACKAGE_BEGUN, _DOWNLOADING, _R.INITIAL, _C.BEGIN_PUSH, _OPEN_PUSH, _GO_ON, "T1", needs="push"),
    Row(_IDLE, _K.URI_WRITTEN, _DOWNLOADING, _R.INITIAL, _C.BEGIN_PULL, _OPEN_PULL, _OK, "T2", needs="pull"),
    Row(
        _IDLE,
        _K.URI_INVALID,
        _DOWNLOADING,
        _R.INITIAL,
        _C.BEGIN_PULL,
        _FAIL_PULL,
        _OK,
        "T2, then T12",
        "1.0",
        "pull",
        _THROUGH,
    ),
    Row(
        _IDLE,
        _K.URI_UNSUPPORTED,
        _DOWNLOADING,
        _R.INITIAL,
        _C.BEGIN_PULL,
        _FAIL_PULL,
        _OK,
        "T2, then T13",
        "1.0",
        "pull",
        _THROUGH,
    ),
    Row(_IDLE, _K.URI_INVALID, _IDLE, _R.INVALID_URI, _C.KEEP, _SHOW, _BAD, "SPEC 3.4", "1.0", "pull", _STAY),
    Row(
        _IDLE,
        _K.URI_UNSUPPORTED,
        _IDLE,
        _R.UNSUPPORTED_PROTOCOL,
        _C.KEEP,
        _SHOW,
        _BAD,
        "SPEC 3.4",
        "1.0",
        "pull",
        _STAY,
    ),
    Row(_IDLE, _K.RESET_WRITTEN, _IDLE, _R.INITIAL, _C.CLEAR, _SHOW, _OK, "T3", policy=_ANYWHERE),
)

_TRANSFER: Final = (
    Row(_DOWNLOADING, _K.PACKAGE_RECEIVED, _DOWNLOADING, None, _C.RECEIVE, _VERIFY, _OK, "T6, the checks not yet done"),
    Row(_DOWNLOADING, _K.PACKAGE_VERIFIED, _DOWNLOADED, _R.INITIAL, _C.NAME, _SHOW, None, "T6"),
    Row(_DOWNLOADING, _K.STORAGE_FULL, _IDLE, _R.NOT_ENOUGH_STORAGE, _C.CLEAR, _STOP, _TOO_LARGE, "T7"),
    Row(_DOWNLOADING, _K.OUT_OF_MEMORY, _IDLE, _R.OUT_OF_MEMORY, _C.CLEAR, _STOP, _INTERNAL, "T8"),
    Row(_DOWNLOADING, _K.CONNECTION_LOST, _IDLE, _R.CONNECTION_LOST, _C.CLEAR, _STOP, None, "T9"),
    Row(_DOWNLOADING, _K.INTEGRITY_FAILED, _IDLE, _R.INTEGRITY_FAILURE, _C.CLEAR, _STOP, _BAD, "T10"),
    Row(_DOWNLOADING, _K.PACKAGE_UNSUPPORTED, _IDLE, _R.UNSUPPORTED_PACKAGE, _C.CLEAR, _STOP, _BAD, "T11"),
    Row(_DOWNLOADING, _K.SOURCE_INVALID, _IDLE, _R.INVALID_URI, _C.CLEAR, _STOP, None, "T12"),
    Row(_DOWNLOADING, _K.PROTOCOL_UNSUPPORTED, _IDLE, _R.UNSUPPORTED_PROTOCOL, _C.CLEAR, _STOP, None, "T13"),
    Row(_DOWNLOADING, _K.RESET_WRITTEN, _IDLE, _R.INITIAL, _C.CLEAR, _STOP, _OK, "T14", policy=_ANYWHERE),
    Row(_DOWNLOADING, _K.CANCEL_EXECUTED, _IDLE, _R.CANCELLED, _C.CLEAR, _STOP, _OK, "T15", since="1.1"),
    Row(
        _DOWNLOADING,
        _K.PUSH_RESTARTED,
        _DOWNLOADING,
        _R.INITIAL,
        _C.BEGIN_PUSH,
        _REOPEN_PUSH,
        _GO_ON,
        "T16, RFC 7959 section 2.5",
        "1.0",
        "push",
        RepeatedPush.RESTART,
    ),
)

_UPDATE: Final = (
    Row(_DOWNLOADED, _K.UPDATE_EXECUTED, _UPDATING, _R.INITIAL, _C.INSTALL, _INSTALL, _OK, "T18", object_id=5),
    Row(_DOWNLOADED, _K.UPDATE_DEFERRED, _DOWNLOADED, _R.DEFERRED, _C.DEFER, _SHOW, _OK, "T19", since="1.1"),
    Row(
        _DOWNLOADED,
        _K.DEFERRAL_ENDED,
        _UPDATING,
        _R.INITIAL,
        _C.INSTALL,
        _INSTALL,
        None,
        "T20",
        since="1.1",
        object_id=5,
    ),
    Row(
        _DOWNLOADED,
        _K.DEFERRAL_EXPIRED,
        _UPDATING,
        _R.INITIAL,
        _C.INSTALL,
        _INSTALL,
        None,
        "T20",
        since="1.1",
        object_id=5,
    ),
    Row(
        _DOWNLOADED,
        _K.CLOCK_SET_BACK,
        _DOWNLOADED,
        None,
        _C.COUNT_AGAIN,
        _SAVE,
        None,
        "SPEC 3.3 (absolute deadline)",
        "1.1",
        None,
        ClockSetBack.RESTART_PERIOD,
    ),
    Row(
        _DOWNLOADED,
        _K.CLOCK_LOST,
        _DOWNLOADED,
        None,
        _C.COUNT_ON,
        _SAVE,
        None,
        "SPEC 3.3 (absolute deadline)",
        "1.1",
        None,
        ClockLost.COUNT_ON,
    ),
    Row(
        _DOWNLOADING,
        _K.VERIFIED_TO_UPGRADE,
        _UPDATING,
        _R.INITIAL,
        _C.NAME_AND_INSTALL,
        _INSTALL,
        None,
        "T6 and T21 in one step",
        since="1.2",
        object_id=5,
    ),
    Row(
        _DOWNLOADING,
        _K.VERIFIED_TO_DEFER,
        _DOWNLOADED,
        _R.DEFERRED,
        _C.NAME_AND_DEFER,
        _SHOW,
        None,
        "T6 and T21, deferred as T19",
        since="1.2",
        object_id=5,
    ),
    Row(_DOWNLOADED, _K.RESET_WRITTEN, _IDLE, _R.INITIAL, _C.CLEAR, _DISCARD, _OK, "T22"),
    Row(_DOWNLOADED, _K.CANCEL_EXECUTED, _IDLE, _R.CANCELLED, _C.CLEAR, _DISCARD, _OK, "T23", since="1.1"),
    Row(_UPDATING, _K.INSTALL_SUCCEEDED, _IDLE, _R.SUCCESS, _C.CLEAR, _DISCARD, None, "T25"),
    Row(
        _UPDATING, _K.INSTALL_FAILED, _DOWNLOADED, _R.UPDATE_FAILED, _C.KEEP, _SHOW, None, "T26", policy=_TO_DOWNLOADED
    ),
    Row(_UPDATING, _K.INSTALL_FAILED, _IDLE, _R.UPDATE_FAILED, _C.CLEAR, _DISCARD, None, "T26", policy=_TO_IDLE),
    Row(_UPDATING, _K.INSTALL_FAILED_IMAGE_LOST, _IDLE, _R.UPDATE_FAILED, _C.CLEAR, _DISCARD, None, "T26"),
    Row(_UPDATING, _K.INSTALL_REJECTED, _IDLE, _R.INTEGRITY_FAILURE, _C.CLEAR, _DISCARD, None, "T27"),
)

_RESTART: Final = (
    Row(_IDLE, _K.RESTARTED_BARE, _IDLE, None, _C.KEEP, _NOTHING, None, "SPEC 3.3"),
    Row(_IDLE, _K.RESTARTED_PARTIAL, _IDLE, None, _C.KEEP, _SWEEP, None, "SPEC 3.3"),
    Row(_IDLE, _K.RESTARTED_SEALED, _IDLE, None, _C.KEEP, _SWEEP, None, "SPEC 3.3"),
    Row(
        _DOWNLOADING,
        _K.RESTARTED_BARE,
        _IDLE,
        _R.CONNECTION_LOST,
        _C.CLEAR,
        _DISCARD,
        None,
        "SPEC 3.3 (a push cannot be resumed)",
    ),
    Row(
        _DOWNLOADING,
        _K.RESTARTED_PARTIAL,
        _IDLE,
        _R.CONNECTION_LOST,
        _C.CLEAR,
        _DISCARD,
        None,
        "SPEC 3.3 (a push cannot be resumed)",
    ),
    Row(
        _DOWNLOADING,
        _K.RESTARTED_SEALED,
        _DOWNLOADING,
        None,
        _C.RECEIVE,
        _VERIFY,
        None,
        "SPEC 3.3 (complete, not yet checked)",
    ),
    Row(
        _DOWNLOADING,
        _K.PULL_RESTARTED_BARE,
        _DOWNLOADING,
        None,
        _C.RESUME_PULL,
        _AGAIN_PULL,
        None,
        "SPEC 3.3 (from the start)",
    ),
    Row(
        _DOWNLOADING,
        _K.PULL_RESTARTED_PARTIAL,
        _DOWNLOADING,
        None,
        _C.RESUME_PULL,
        _GO_ON_PULL,
        None,
        "SPEC 3.3 (resumable pull)",
    ),
    Row(
        _DOWNLOADED,
        _K.RESTARTED_BARE,
        _IDLE,
        _R.INTEGRITY_FAILURE,
        _C.CLEAR,
        _DISCARD,
        None,
        "SPEC 3.3 (the image is gone)",
    ),
    Row(
        _DOWNLOADED,
        _K.RESTARTED_PARTIAL,
        _IDLE,
        _R.INTEGRITY_FAILURE,
        _C.CLEAR,
        _DISCARD,
        None,
        "SPEC 3.3 (the image is not whole)",
    ),
    Row(_DOWNLOADED, _K.RESTARTED_SEALED, _DOWNLOADED, None, _C.KEEP, _NOTHING, None, "SPEC 3.3"),
    Row(_UPDATING, _K.BOOT_CONFIRMED, _IDLE, _R.SUCCESS, _C.CLEAR, _DISCARD, None, "T25, SPEC 3.3"),
    Row(_UPDATING, _K.BOOT_PENDING, _UPDATING, None, _C.KEEP, _NOTHING, None, "SPEC 3.3 (the trial goes on)"),
    Row(_UPDATING, _K.BOOT_REJECTED, _IDLE, _R.INTEGRITY_FAILURE, _C.CLEAR, _DISCARD, None, "T27, SPEC 3.3"),
    Row(
        _UPDATING,
        _K.BOOT_FAILED,
        _DOWNLOADED,
        _R.UPDATE_FAILED,
        _C.KEEP,
        _SHOW,
        None,
        "T26, SPEC 3.3",
        policy=_TO_DOWNLOADED,
    ),
    Row(_UPDATING, _K.BOOT_FAILED, _IDLE, _R.UPDATE_FAILED, _C.CLEAR, _DISCARD, None, "T26, SPEC 3.3", policy=_TO_IDLE),
    Row(_UPDATING, _K.BOOT_FAILED_IMAGE_LOST, _IDLE, _R.UPDATE_FAILED, _C.CLEAR, _DISCARD, None, "T26, SPEC 3.3"),
)

_SETTINGS: Final = tuple(
    row
    for state in State
    for row in (
        Row(state, _K.SEVERITY_WRITTEN, state, None, _C.SET_SEVERITY, _SHOW, _OK, "resource 11", since="1.1"),
        Row(state, _K.MAX_DEFER_WRITTEN, state, None, _C.SET_MAX_DEFER, _SHOW, _OK, "resource 13", since="1.1"),
        Row(
            state,
            _K.AUTO_UPGRADE_WRITTEN,
            state,
            None,
            _C.SET_AUTO_UPGRADE,
            _SHOW,
            _OK,
            "resource 14",
            since="1.2",
            object_id=5,
        ),
    )
)

ROWS: Final[tuple[Row, ...]] = (*_BEGIN, *_TRANSFER, *_UPDATE, *_RESTART, *_SETTINGS)
"""Every transition of every version, delivery and policy."""

_PACKAGE_WRITES: Final = (_K.PACKAGE_BEGUN, _K.URI_WRITTEN, _K.URI_INVALID, _K.URI_UNSUPPORTED)

REFUSALS: Final[tuple[Refusal, ...]] = (
    *(Refusal(state, _K.SEVERITY_OUT_OF_RANGE, _BAD, "T29") for state in State),
    *(Refusal(state, _K.MAX_DEFER_OUT_OF_RANGE, _BAD, "T29") for state in State),
    *(Refusal(state, _K.EMPTY_PACKAGE_WRITTEN, _BAD, "SPEC 19 item 5") for state in (_IDLE, _DOWNLOADING, _DOWNLOADED)),
    *(
        Refusal(state, kind, _BAD, source, WrongStateWrite.BAD_REQUEST)
        for state, source in ((_DOWNLOADING, "T16"), (_DOWNLOADED, "T24"))
        for kind in _PACKAGE_WRITES
    ),
    Refusal(_DOWNLOADING, _K.PUSH_RESTARTED, _BAD, "T16", WrongStateWrite.BAD_REQUEST),
)
"""What is answered with another code than 4.05 when no row takes it."""
