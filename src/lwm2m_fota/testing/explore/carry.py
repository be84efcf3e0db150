"""What a device does about each effect, in small, and what is left of it when its power fails in between."""

from collections.abc import Iterable, Iterator, Sequence

from lwm2m_fota.machines.coordinator_events import BeginBatch, DropStage, For, GroupEffect, InstanceEffect
from lwm2m_fota.machines.coordinator_state import ComponentGroup, Stage
from lwm2m_fota.machines.effects import OpenStage, Persist, StartPull, StopTransfer, VerifyImage
from lwm2m_fota.machines.events import StagedImage
from lwm2m_fota.machines.uri import judge_uri
from lwm2m_fota.testing.explore.laws import Taken
from lwm2m_fota.testing.explore.world import Filling, World


def carried_out(world: World, taken: Taken, schemes: frozenset[str]) -> Iterator[World]:
    """The device after each effect; what is saved is there after the power failed, what runs is not."""
    stored = world.group
    live = world._replace(group=taken.group)
    for effect in taken.effects:
        if isinstance(effect, Persist):
            if taken.group.attempt != stored.attempt:
                live = live._replace(fresh=(), started=False)
            stored = taken.group
        live = _one(live, effect, schemes)
        yield live._replace(group=stored)
    yield live


def _one(world: World, effect: GroupEffect, schemes: frozenset[str]) -> World:
    match effect:
        case DropStage(stage):
            return world._replace(disk=without(world.disk, {stage}))
        case BeginBatch():
            return world._replace(installing=True)
        case For(instance, own):
            return _for_one(world, instance, own, schemes)
        case _:
            return world


def _for_one(world: World, instance: int, effect: InstanceEffect, schemes: frozenset[str]) -> World:
    stage = Stage(instance, world.group.component(instance).machine.transfer)
    match effect:
        case OpenStage():
            opened = world._replace(disk=(*without(world.disk, {stage}), (stage, False)))
            is_pushed = world.group.component(instance).machine.delivery == "push"
            return _fill(opened, stage, Filling.PUSH) if is_pushed else opened
        case StartPull(uri):
            return _fill(world, stage, Filling.PULL if judge_uri(uri, schemes) is None else Filling.USELESS_PULL)
        case StopTransfer():
            return world._replace(filling=tuple(each for each in world.filling if each[0].instance != instance))
        case VerifyImage():
            return world._replace(disk=(*without(world.disk, {stage}), (stage, True)), checking=stage)
        case _:
            return world


def _fill(world: World, stage: Stage, way: Filling) -> World:
    others = tuple(each for each in world.filling if each[0] != stage)
    return world._replace(filling=(*others, (stage, way)))


def without(disk: Iterable[tuple[Stage, bool]], stages: Iterable[Stage | None]) -> tuple[tuple[Stage, bool], ...]:
    """The packages but for these."""
    gone = set(stages)
    return tuple(each for each in disk if each[0] not in gone)


def stages_of(group: ComponentGroup, instances: Iterable[int]) -> set[Stage | None]:
    """What these hold."""
    return {group.component(each).stage for each in instances}


def findings(disk: Iterable[tuple[Stage, bool]], *, damages: bool) -> Iterator[tuple[tuple[Stage, StagedImage], ...]]:
    """What a restart may find: of what is not sealed something, or nothing yet; and what is sealed may be damaged."""
    found: list[tuple[tuple[Stage, StagedImage], ...]] = [()]
    for stage, sealed in disk:
        images = (StagedImage.PARTIAL, StagedImage.MISSING)
        if sealed:
            images = (StagedImage.SEALED, *(images if damages else ()))
        found = [(*before, (stage, image)) for before in found for image in images]
    yield from found


def dark(world: World) -> World:
    """The device without power, not yet in canonical form."""
    return world._replace(on=False, filling=(), checking=None, installing=False)


def waits_its_turn(world: World, stage: Stage | None) -> bool:
    """A pull into this stage begins when another one is over."""
    return stage is not None and any(each.instance == stage.instance for each in world.group.waiting)


def holds_alone(group: ComponentGroup, batch: Sequence[int]) -> bool:
    """Nobody else holds what these are installed from."""
    stages = stages_of(group, batch)
    return not any(each.stage in stages for each in group.components if each.instance not in batch)
