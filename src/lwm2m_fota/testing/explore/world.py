"""A device as the explorer sees it: what is stored, what runs, and what goes on; as few values as tell states apart.

Numbers of transfers and attempts count up for ever, so they are renamed: what matters is only which are the same and
which came later. The wall clock always shows the same time, and a deferral always began then.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple, final

from lwm2m_fota.machines.coordinator_state import Component, ComponentGroup, Culprit, Stage
from lwm2m_fota.machines.state import Deferral
from lwm2m_fota.model.enums import State, UpdateResult

NOW: Final = 1000.0
"""What the wall clock shows, as often as it is looked at."""

PERIOD_S: Final = 60
"""The Maximum Defer Period, where it is not 0."""


@final
class Boot(StrEnum):
    """What the boot loader remembers of the last attempt."""

    NORMAL = "nothing"
    WRITTEN = "written"
    REQUESTED = "to be started"
    REJECTED = "rejected"
    TRIAL = "on trial"
    CONFIRMED = "confirmed"
    REVERTED = "reverted"


@final
class Filling(StrEnum):
    """How a package comes in."""

    PUSH = "push"
    PULL = "pull"
    USELESS_PULL = "pull of a useless URI"


_TO_BE_OBEYED: Final = frozenset({Boot.REQUESTED, Boot.TRIAL})
"""What the boot loader acts on at the next start."""

_WAIT: Final = Deferral(NOW, NOW + PERIOD_S)


@final
class World(NamedTuple):
    """One device.

    Attributes:
        group: its components, as stored and as shown.
        disk: the packages in its stages: True for a sealed one.
        flash: what each component runs.
        boot: what the boot loader remembers; `attempt`: of which attempt, and `batch`: of which components, each with
            what it ran before.
        fresh: the components that run what the last attempt gave them.
        started: that was started once; a second time must not be.
        on: it has power and has come up.
        filling: the packages that come in; lost without power, as all below.
        checking: a package that is complete and is being verified.
        installing: an installation is under way.
    """

    group: ComponentGroup
    disk: tuple[tuple[Stage, bool], ...]
    flash: tuple[str, ...]
    boot: Boot = Boot.NORMAL
    attempt: int = 0
    batch: tuple[tuple[int, str], ...] = ()
    fresh: tuple[int, ...] = ()
    started: bool = False
    on: bool = True
    filling: tuple[tuple[Stage, Filling], ...] = ()
    checking: Stage | None = None
    installing: bool = False

    def image(self, stage: Stage | None) -> bool | None:
        """Whether a package is sealed; None if it is not there."""
        return next((sealed for each, sealed in self.disk if each == stage), None)

    def way(self, stage: Stage | None) -> Filling | None:
        """How a package comes in; None if it does not."""
        return next((way for each, way in self.filling if each == stage), None)


def canonical(world: World, *, results: bool = False) -> World:
    """The same device with the smallest numbers that tell the same apart, and nothing that no later step asks for.

    Args:
        world: the device.
        results: whether somebody asks how the last update of a component ended, once that is over.
    """
    group, numbers = world.group, _numbers(world)
    alone = len(group.components) == 1
    boot, attempt = world.boot, 1 if world.attempt == group.attempt else 0
    if not (group.batch or boot in _TO_BE_OBEYED):  # the next start acknowledges it, and that is all
        boot, attempt = Boot.NORMAL, 0
    return world._replace(
        group=ComponentGroup(
            tuple(_renamed(each, numbers, alone=alone, results=results) for each in group.components), 1, group.waiting
        ),
        disk=tuple(sorted([(_stage(stage, numbers), sealed) for stage, sealed in world.disk])),
        boot=boot,
        attempt=attempt,
        batch=world.batch if boot in _TO_BE_OBEYED else (),
        fresh=world.fresh if group.batch else (),
        started=world.started and bool(group.batch),
        filling=tuple(sorted([(_stage(stage, numbers), way) for stage, way in world.filling])),
        checking=world.checking and _stage(world.checking, numbers),
    )


def _numbers(world: World) -> dict[int, dict[int, int]]:
    """For each instance, which small number stands for which of its packages that somebody holds."""
    named: dict[int, set[int]] = {each.instance: set() for each in world.group.components}
    for stage, _ in (*world.disk, *world.filling):
        named[stage.instance].add(stage.transfer)
    for each in world.group.components:
        for held in (each.stage, *(culprit.stage for culprit in each.culprits)):
            if held is not None:
                named[held.instance].add(held.transfer)
    return {instance: {old: new for new, old in enumerate(sorted(each), 1)} for instance, each in named.items()}


def _stage(stage: Stage, numbers: Mapping[int, Mapping[int, int]]) -> Stage:
    return Stage(stage.instance, numbers[stage.instance][stage.transfer])


def _renamed(
    component: Component, numbers: Mapping[int, Mapping[int, int]], *, alone: bool, results: bool
) -> Component:
    machine, result, culprits = component.machine, component.machine.result, component.culprits
    if not alone and not machine.is_deferred:  # how its last update ended, or who was to blame, decides nothing
        result, culprits = result if results else UpdateResult.INITIAL, ()
    own = numbers[component.instance]
    return component._replace(
        machine=machine._replace(
            result=result,
            transfer=own.get(machine.transfer, len(own)),
            # the number of an installation that is over says nothing any more
            attempt=1 if alone or machine.state is State.UPDATING else 0,
            last_change=None,
            deferral=_WAIT if machine.deferral else None,
        ),
        stage=component.stage and _stage(component.stage, numbers),
        culprits=tuple(Culprit(each.instance, each.stage and _stage(each.stage, numbers)) for each in culprits),
    )


def shown(group: ComponentGroup) -> str:
    """State and Update Result of each component, in words."""
    pairs = (f"State {each.machine.state.value} Result {each.machine.result.value}" for each in group.components)
    return ", ".join(pairs)


def is_at_rest(world: World) -> bool:
    """Every component is Idle, and nothing goes on."""
    idle = all(each.machine.state is State.IDLE for each in world.group.components)
    return world.on and idle and not (world.filling or world.checking or world.installing)
