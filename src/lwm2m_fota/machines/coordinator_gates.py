"""What one instance is refused because of others: rules as data, in the order to be tried.

They stand before the table of a component, for what the table would take.
"""

from collections.abc import Callable
from functools import cache
from typing import Final, TypeAlias, final

import attrs

from lwm2m_fota.machines.component_events import ComponentKind
from lwm2m_fota.machines.component_policies import (
    AdvancedPolicies,
    AdvancedPolicy,
    ConcurrentDownloads,
    ListedNotDownloaded,
    PushDuringPull,
    RepeatedLinks,
    UpdateDuringBatch,
)
from lwm2m_fota.machines.coordinator_events import UpdateRequested
from lwm2m_fota.machines.coordinator_links import is_ready
from lwm2m_fota.machines.coordinator_state import Component, ComponentGroup
from lwm2m_fota.machines.events import EventKind
from lwm2m_fota.machines.table import Answer
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.enums import State

GateGuard: TypeAlias = Callable[..., bool]
"""`guard(group, instance, event)`; its name and docstring stand in the reference."""


@final
@attrs.frozen
class Gate:
    """One reason to refuse.

    Attributes:
        kinds: what it is about.
        guard: when it holds.
        code: what the peer is told.
        source: where it comes from.
        policy: the choice that it belongs to; None belongs to all.
    """

    kinds: frozenset[EventKind | ComponentKind]
    guard: GateGuard
    code: Code
    source: str
    policy: AdvancedPolicy | None = None


def is_receiving(component: Component) -> bool:
    """Its package is on the way, or waits for its turn, and is not complete."""
    return component.machine.state is State.DOWNLOADING and not component.machine.received


def lists_a_stranger(group: ComponentGroup, _instance: int, event: UpdateRequested) -> bool:
    """The list names an instance that does not exist."""
    known = {each.instance for each in group.components}
    return not known.issuperset(event.others or ())


def lists_twice(_group: ComponentGroup, instance: int, event: UpdateRequested) -> bool:
    """The list names this instance, or another one twice."""
    others = event.others or ()
    return instance in others or len(set(others)) != len(others)


def lists_what_is_not_downloaded(group: ComponentGroup, _instance: int, event: UpdateRequested) -> bool:
    """The list names an instance that is not Downloaded."""
    return not all(is_ready(group.component(each)) for each in event.others or ())


def batch_runs(group: ComponentGroup, _instance: int, _event: object) -> bool:
    """Other instances are Updating."""
    return bool(group.batch)


def sibling_pulls(group: ComponentGroup, instance: int, _event: object) -> bool:
    """Another instance pulls, or waits to."""
    return any(
        each.instance != instance and is_receiving(each) and each.machine.delivery == "pull"
        for each in group.components
    )


def sibling_receives(group: ComponentGroup, instance: int, _event: object) -> bool:
    """Another instance receives a package, or waits to."""
    return any(each.instance != instance and is_receiving(each) for each in group.components)


_UPDATE: Final = frozenset({ComponentKind.BATCH_STARTED})
_PUSH: Final = frozenset({EventKind.PACKAGE_BEGUN, EventKind.PUSH_RESTARTED})
_BAD: Final = Code.BAD_REQUEST
_NOT_ALLOWED: Final = Code.METHOD_NOT_ALLOWED

GATES: Final = (
    Gate(_UPDATE, lists_a_stranger, _BAD, "SPEC 4.2"),
    Gate(_UPDATE, lists_twice, _BAD, "SPEC 4.2", RepeatedLinks.BAD_REQUEST),
    Gate(_UPDATE, batch_runs, Code.SERVICE_UNAVAILABLE, "SPEC 3.1 R-b", UpdateDuringBatch.SERVICE_UNAVAILABLE),
    Gate(_UPDATE, batch_runs, _NOT_ALLOWED, "SPEC 3.1 R-b", UpdateDuringBatch.METHOD_NOT_ALLOWED),
    Gate(_UPDATE, lists_what_is_not_downloaded, _NOT_ALLOWED, "SPEC 4.2", ListedNotDownloaded.METHOD_NOT_ALLOWED),
    Gate(_PUSH, sibling_pulls, _NOT_ALLOWED, "FIELD pulls of components", PushDuringPull.REFUSED),
    Gate(_PUSH, sibling_receives, _NOT_ALLOWED, "FIELD pulls of components", ConcurrentDownloads.ONE_AT_A_TIME),
)
"""Every rule of every policy."""


def refusal(
    group: ComponentGroup,
    instance: int,
    kind: EventKind | ComponentKind,
    event: object,
    policies: AdvancedPolicies,
) -> Answer | None:
    """Why an event is refused because of other instances; None if it is not."""
    for gate in _gates_of(policies):
        if kind in gate.kinds and gate.guard(group, instance, event):
            return Answer(gate.code, f"{kind}: {gate.guard.__name__.replace('_', ' ')}")
    return None


@cache
def _gates_of(policies: AdvancedPolicies) -> tuple[Gate, ...]:
    choices = attrs.astuple(policies, recurse=False)
    return tuple(gate for gate in GATES if gate.policy is None or gate.policy in choices)
