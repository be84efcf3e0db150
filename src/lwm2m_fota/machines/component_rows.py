"""What Object 33629 adds to the law of a component: rows and readings beside those of Object 5 (SPEC 4.1-4.3).

A component has the table of Object 5, version 1.1, but for the rows marked 5: an installation is begun by the
coordinator, for a batch of components.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

from lwm2m_fota.machines.component_events import (
    BatchJoined,
    BatchUnsatisfied,
    ComponentChange,
    ComponentEvent,
    ComponentKind,
    PackageShared,
    SiblingsBusy,
    UpdateResolved,
)
from lwm2m_fota.machines.component_policies import DependencyFailureTarget
from lwm2m_fota.machines.effects import Do
from lwm2m_fota.machines.events import Event, EventKind
from lwm2m_fota.machines.policies import ClocklessDeferral
from lwm2m_fota.machines.readings import (
    Reading,
    deferral_is_granted,
    deferral_is_granted_without_clock,
    image_was_lost,
    outcome_is_stale,
    package_is_incomplete,
    report_is_stale,
)
from lwm2m_fota.machines.rows import Change, Row
from lwm2m_fota.model.advanced import ADVANCED_OBJECT_ID
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.enums import State, UpdateResult

_IDLE, _DOWNLOADING, _DOWNLOADED, _UPDATING = State
_K = ComponentKind
_R = UpdateResult

_SHOW: Final = (Do.PERSIST, Do.NOTIFY)
_STOP: Final = (Do.PERSIST, Do.STOP_TRANSFER, Do.DISCARD_IMAGE, Do.NOTIFY)
_DISCARD: Final = (Do.PERSIST, Do.DISCARD_IMAGE, Do.NOTIFY)
_BAD: Final = Code.BAD_REQUEST
_OK: Final = Code.CHANGED
_JOIN: Final = ComponentChange.JOIN
_TO_DOWNLOADED: Final = DependencyFailureTarget.DOWNLOADED
_TO_IDLE: Final = DependencyFailureTarget.IDLE
_WAIT_ENDS: Final = ComponentChange.STOP_WAITING
_CLEAR: Final = Change.CLEAR

_ROWS: Final = (
    Row(_DOWNLOADING, _K.SIBLINGS_BUSY, _IDLE, _R.CONFLICTING_STATE, _CLEAR, _STOP, _BAD, "SPEC 4.1, SPEC 4.3"),
    Row(_IDLE, _K.PACKAGE_SHARED, _DOWNLOADED, _R.INITIAL, ComponentChange.SHARE, _SHOW, None, "SPEC 4.1, SPEC 4.3"),
    Row(_DOWNLOADED, _K.BATCH_STARTED, _UPDATING, _R.INITIAL, _JOIN, _SHOW, _OK, "T18, T20, SPEC 4.2"),
    Row(_DOWNLOADED, _K.BATCH_JOINED, _UPDATING, _R.INITIAL, _JOIN, _SHOW, None, "SPEC 4.3"),
    Row(
        _DOWNLOADED,
        _K.UPDATE_CONFLICTS,
        _DOWNLOADED,
        _R.DEPENDENCY_ERROR,
        _WAIT_ENDS,
        _SHOW,
        _OK,
        "T18 and SPEC 4.3 in one step",
        policy=_TO_DOWNLOADED,
    ),
    Row(
        _DOWNLOADED,
        _K.UPDATE_CONFLICTS,
        _IDLE,
        _R.DEPENDENCY_ERROR,
        _CLEAR,
        _DISCARD,
        _OK,
        "T18 and SPEC 4.3 in one step",
        policy=_TO_IDLE,
    ),
    Row(
        _UPDATING,
        _K.BATCH_UNSATISFIED,
        _DOWNLOADED,
        _R.DEPENDENCY_ERROR,
        Change.KEEP,
        _SHOW,
        None,
        "SPEC 4.3",
        policy=_TO_DOWNLOADED,
    ),
    Row(
        _UPDATING, _K.BATCH_UNSATISFIED, _IDLE, _R.DEPENDENCY_ERROR, _CLEAR, _DISCARD, None, "SPEC 4.3", policy=_TO_IDLE
    ),
    Row(_UPDATING, _K.BATCH_UNSATISFIED_IMAGE_LOST, _IDLE, _R.DEPENDENCY_ERROR, _CLEAR, _DISCARD, None, "SPEC 4.3"),
)

COMPONENT_ROWS: Final = tuple(attrs.evolve(row, object_id=ADVANCED_OBJECT_ID) for row in _ROWS)
"""Every transition that only components have."""


def update_conflicts(_machine: object, event: UpdateResolved, _wall: object, _schemes: object) -> bool:
    """A dependency is missing, or a listed instance is not Downloaded."""
    return event.conflicts


COMPONENT_READINGS: Final[Mapping[type[Event | ComponentEvent], tuple[Reading, ...]]] = MappingProxyType(
    {
        PackageShared: (Reading(_K.PACKAGE_SHARED),),
        SiblingsBusy: (
            Reading(EventKind.OUT_OF_TURN, report_is_stale),
            Reading(EventKind.OUT_OF_TURN, package_is_incomplete),
            Reading(_K.SIBLINGS_BUSY),
        ),
        UpdateResolved: (
            Reading(_K.UPDATE_CONFLICTS, update_conflicts),
            Reading(EventKind.UPDATE_DEFERRED, deferral_is_granted),
            Reading(
                EventKind.UPDATE_DEFERRED,
                deferral_is_granted_without_clock,
                policy=ClocklessDeferral.WAIT_FOR_USER,
            ),
            Reading(_K.BATCH_STARTED),
        ),
        BatchJoined: (Reading(_K.BATCH_JOINED),),
        BatchUnsatisfied: (
            Reading(EventKind.OUT_OF_TURN, outcome_is_stale),
            Reading(_K.BATCH_UNSATISFIED_IMAGE_LOST, image_was_lost),
            Reading(_K.BATCH_UNSATISFIED),
        ),
    }
)
"""The readings of each event that only components have; those of Object 5 hold beside them."""

COMPONENT_REQUESTS: Final = (UpdateResolved,)
"""Those for which a peer waits for an answer."""

COMPONENT_RESULTS: Final[Mapping[State, frozenset[UpdateResult]]] = MappingProxyType(
    {
        _IDLE: frozenset(_R),
        _DOWNLOADING: frozenset({_R.INITIAL}),
        _DOWNLOADED: frozenset({_R.INITIAL, _R.UPDATE_FAILED, _R.DEFERRED, _R.DEPENDENCY_ERROR}),
        _UPDATING: frozenset({_R.INITIAL}),
    }
)
"""The Update Results that each state of a component may show (SPEC 3, state invariants)."""
