"""One step of the coordinator while it is being made: components move one by one, then all that follows is derived."""

from collections.abc import Mapping
from typing import Final, final

from lwm2m_fota.machines.component_events import ComponentEvent
from lwm2m_fota.machines.component_policies import ConcurrentDownloads
from lwm2m_fota.machines.component_profile import AdvancedProfile
from lwm2m_fota.machines.coordinator_events import BeginBatch, DropStage, For, GroupEffect
from lwm2m_fota.machines.coordinator_gates import is_receiving
from lwm2m_fota.machines.coordinator_links import Links, links
from lwm2m_fota.machines.coordinator_state import Component, ComponentGroup, Culprit, Stage, Waiting
from lwm2m_fota.machines.effects import (
    BeginInstall,
    DiscardImage,
    Notify,
    OpenStage,
    Persist,
    StartPull,
    StopTransfer,
    VerifyImage,
)
from lwm2m_fota.machines.events import Event
from lwm2m_fota.machines.firmware import Step, step
from lwm2m_fota.machines.rows import Row
from lwm2m_fota.machines.state import FirmwareMachine
from lwm2m_fota.machines.table import Answer
from lwm2m_fota.model.advanced import AdvancedResource
from lwm2m_fota.model.enums import State, UpdateResult

_NOTIFY_ORDER: Final = (12, 1, 6, 7, 15, 16, 17, 5, 3, 11, 13)
"""As for Object 5: the time of the change before the Result before the State, and who is to blame before the Result."""

_ORDER: Final = (
    *((Persist,), (StopTransfer,), (DropStage,), (OpenStage,), (Notify,)),
    (StartPull, VerifyImage, BeginBatch),
)
"""Save first, make room, tell, and only then begin what takes long; an installation may restart the device."""

_WITH_CULPRITS: Final = frozenset({UpdateResult.CONFLICTING_STATE, UpdateResult.DEPENDENCY_ERROR})
_WITH_PACKAGE: Final = frozenset({State.DOWNLOADED, State.UPDATING})


@final
class Work:
    """What a step has done so far. Lives within one call of `coordinator.step`."""

    __slots__ = ("_before", "_effects", "_found", "_notified", "answer", "group", "profile", "rows", "wall")

    def __init__(self, group: ComponentGroup, profile: AdvancedProfile, wall: float | None) -> None:
        self._before = group
        self._effects: list[GroupEffect] = []
        self._notified: dict[int, set[int]] = {}
        self._found: set[Stage] = set()
        self.group = group
        self.profile = profile
        self.wall = wall
        self.answer: Answer | None = None
        self.rows: list[tuple[int, Row]] = []

    # -- moving

    def move(self, instance: int, event: Event | ComponentEvent) -> Step:
        """Let one component take an event by its table."""
        component = self.group.component(instance)
        taken = step(component.machine, event, self.profile.firmware, self.wall)
        if taken.row is not None:
            self.rows.append((instance, taken.row))
            self.put(_settled(component, taken.machine))
            for effect in taken.effects:
                if isinstance(effect, Notify):
                    self._notified.setdefault(instance, set()).update(effect.resource_ids)
                elif not isinstance(effect, Persist | DiscardImage | BeginInstall):
                    self._effects.append(For(instance, effect))
        return taken

    def put(self, component: Component) -> None:
        """Take this for the component of its instance."""
        components = tuple(component if each.instance == component.instance else each for each in self.group.components)
        self.group = self.group._replace(components=components)

    def blame(self, instance: int, culprits: tuple[int, ...]) -> None:
        """Say whom the Result 12 or 13 of an instance is about."""
        named = tuple(Culprit(each, self.group.component(each).stage) for each in culprits)
        self.put(self.group.component(instance)._replace(culprits=named))

    def begin_batch(self, attempt: int, instances: tuple[int, ...]) -> None:
        """These are to be installed together."""
        self.group = self.group._replace(attempt=attempt)
        self._effects.append(BeginBatch(attempt, instances))

    def find(self, stages: Mapping[Stage, object]) -> None:
        """A restart has found these in the store."""
        self._found.update(stages)

    # -- what follows

    def finish(self) -> tuple[ComponentGroup, tuple[GroupEffect, ...]]:
        """The group after the step, and what to do in which order."""
        if not self.rows:
            return self._before, ()
        self._take_turns()
        after = self.group
        self._effects.extend(map(DropStage, sorted((self._before.stages | self._found) - after.stages)))
        self._effects.extend(self._notifications())
        if after != self._before:
            self._effects.append(Persist())
        return after, tuple(sorted(self._effects, key=_rank))

    def _notifications(self) -> list[GroupEffect]:
        old, new = links(self._before, self.profile), links(self.group, self.profile)
        told: list[GroupEffect] = []
        for was, now in zip(self._before.components, self.group.components, strict=True):
            changed = self._notified.get(now.instance, set())
            if was.version != now.version:
                changed.add(AdvancedResource.CURRENT_VERSION)
            changed.update(_changed_links(old[now.instance], new[now.instance]))
            if changed:
                told.append(For(now.instance, Notify(tuple(each for each in _NOTIFY_ORDER if each in changed))))
        return told

    def _take_turns(self) -> None:
        """With one download at a time, a pull that is not the first waits; the next begins when nothing is received."""
        if self.profile.advanced.concurrent_downloads is ConcurrentDownloads.MANY:
            self.group = self.group._replace(waiting=())
            return
        receiving = {each.instance for each in self.group.components if is_receiving(each)}
        waiting = {each.instance: each for each in self.group.waiting if each.instance in receiving}
        begun = {
            each.instance: each.effect.resume
            for each in self._effects
            if isinstance(each, For) and isinstance(each.effect, StartPull)
        }
        active = receiving - waiting.keys() - begun.keys()
        for instance, resume in begun.items():
            if instance in waiting or active:
                waiting[instance] = Waiting(instance, resume)
            else:
                active.add(instance)
        if not active and waiting:
            active.add(next(iter(waiting)))
        self._effects = [
            each
            for each in self._effects
            if not (isinstance(each, For) and isinstance(each.effect, StartPull) and each.instance not in active)
        ]
        for instance in active & waiting.keys():
            turn = waiting.pop(instance)
            if instance not in begun:
                machine = self.group.component(instance).machine
                self._effects.append(For(instance, StartPull(machine.uri, machine.transfer, turn.resume)))
        self.group = self.group._replace(waiting=tuple(waiting.values()))


def _settled(component: Component, machine: FirmwareMachine) -> Component:
    """The component with its machine moved; what belongs to a state or Result that is over goes."""
    stage = component.stage
    if machine.state is State.IDLE:
        stage = None
    elif machine.delivery != "sibling":
        stage = Stage(component.instance, machine.transfer)
    return Component(
        component.instance,
        machine,
        component.version,
        stage,
        component.requirements if machine.state in _WITH_PACKAGE else (),
        component.culprits if machine.result in _WITH_CULPRITS else (),
        component.asked if machine.is_deferred else None,
    )


def _changed_links(old: Links, new: Links) -> set[int]:
    changed = set()
    if old.linked != new.linked:
        changed.add(int(AdvancedResource.LINKED_INSTANCES))
    if old.conflicting != new.conflicting:
        changed.add(int(AdvancedResource.CONFLICTING_INSTANCES))
    return changed


def _rank(effect: GroupEffect) -> int:
    kind = type(effect.effect if isinstance(effect, For) else effect)
    return next(rank for rank, kinds in enumerate(_ORDER) if kind in kinds)
