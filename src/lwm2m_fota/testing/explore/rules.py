"""What must hold of a device: in every state, and of every step."""

from collections.abc import Iterator
from typing import Final

from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines.coordinator_events import BeginBatch, On, PackageChecked, UpdateRequested
from lwm2m_fota.machines.coordinator_state import ComponentGroup
from lwm2m_fota.machines.effects import Persist
from lwm2m_fota.machines.rows import Row
from lwm2m_fota.model.codes import is_success
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.testing.explore.carry import waits_its_turn
from lwm2m_fota.testing.explore.laws import Happening, Law, Taken
from lwm2m_fota.testing.explore.search import Broken
from lwm2m_fota.testing.explore.world import Boot, World, shown

LEGAL_PAIRS: Final = "only legal pairs of State and Result are shown"
IS_THERE: Final = "what is Downloaded is there"
WAITS_END: Final = "every wait has a limit"
IS_DELETED: Final = "what nobody holds is deleted"
REFUSED: Final = "a refused event changes nothing"
SAVED_FIRST: Final = "what is shown was saved first"
HONEST: Final = "success only where the new image runs"
ONE_INSTALLATION: Final = "one accepted Execute, one installation"
ALL_OR_NONE: Final = "a batch is all or none"
CANCEL_ENDS: Final = "cancel always ends"


# ---- states --------------------------------------------------------------------------------------------------------


def check_state(law: Law, world: World) -> Iterator[Broken]:
    """What does not hold in a state."""
    for component in world.group.components:
        if component.machine.result not in law.visible[component.machine.state]:
            yield Broken(LEGAL_PAIRS, shown(world.group))
    if world.on:
        yield from _check_promises(world)


def _check_promises(world: World) -> Iterator[Broken]:
    """What is shown is there, and what goes on will end."""
    held = world.group.stages
    for component in world.group.components:
        machine, stage = component.machine, component.stage
        match machine.state:
            case State.DOWNLOADED | State.UPDATING if not (world.image(stage) or world.boot is Boot.TRIAL):
                yield Broken(IS_THERE, shown(world.group))
            case State.UPDATING if not (world.installing or world.boot is Boot.TRIAL):
                yield Broken(WAITS_END, "Updating, and nothing is being installed")
            case State.DOWNLOADING if machine.received != (world.checking == stage):
                yield Broken(WAITS_END, "complete, and not being verified")
            case State.DOWNLOADING if not (machine.received or world.way(stage) or waits_its_turn(world, stage)):
                yield Broken(WAITS_END, "Downloading, and nothing comes in")
            case _:
                pass
    if not held.issuperset(stage for stage, _ in world.disk):
        yield Broken(IS_DELETED, f"{len(world.disk)} packages in {len(held)} stages")


# ---- steps ---------------------------------------------------------------------------------------------------------


def check_step(law: Law, world: World, event: Happening, taken: Taken) -> Iterator[Broken]:
    """What does not hold of a step that is taken in a state."""
    before, after = world.group, taken.group
    if not taken.rows:
        yield from _check_refusal(before, taken)
        return
    saves = bool(taken.effects) and isinstance(taken.effects[0], Persist)
    if law.stored(after) != law.stored(before) and not saves:
        yield Broken(SAVED_FIRST, shown(after))
    yield from _check_success(world, taken)
    yield from _check_batch(before, event, taken)
    if isinstance(event, On) and isinstance(event.event, ev.CancelExecuted):
        machine = after.component(event.instance).machine
        if (machine.state, machine.result) != (State.IDLE, UpdateResult.CANCELLED):
            yield Broken(CANCEL_ENDS, shown(after))


def _check_refusal(before: ComponentGroup, taken: Taken) -> Iterator[Broken]:
    if taken.group != before or taken.effects:
        yield Broken(REFUSED, shown(taken.group))
    if taken.code is not None and is_success(taken.code):
        yield Broken(REFUSED, f"and is answered {taken.code >> 5}.{taken.code & 31:02}")


def _check_success(world: World, taken: Taken) -> Iterator[Broken]:
    for was, now in zip(world.group.components, taken.group.components, strict=True):
        succeeds = now.machine.result is UpdateResult.SUCCESS is not was.machine.result
        proven = now.instance in world.fresh and (world.boot, world.attempt) == (Boot.CONFIRMED, world.group.attempt)
        if succeeds and not proven:
            yield Broken(HONEST, shown(taken.group))


def _check_batch(before: ComponentGroup, event: Happening, taken: Taken) -> Iterator[Broken]:
    after = taken.group
    begun = [effect for effect in taken.effects if isinstance(effect, BeginBatch)]
    started = set(after.batch) - set(before.batch)
    if started != {instance for effect in begun for instance in effect.instances}:
        yield Broken(ONE_INSTALLATION, f"{sorted(started)} are Updating, and {begun} is asked")
    if begun and not (_may_begin(event) and begun[0].attempt == before.attempt + 1 and not before.batch):
        yield Broken(ONE_INSTALLATION, f"{begun} after {type(event).__name__}")
    ended = set(before.batch) - set(after.batch)
    if ended and after.batch:
        yield Broken(ALL_OR_NONE, shown(after))
    results = {after.component(each).machine.result for each in ended}
    if UpdateResult.SUCCESS in results and len(results) > 1:
        yield Broken(ALL_OR_NONE, shown(after))


def _may_begin(event: Happening) -> bool:
    match event:
        case On(_, UpdateRequested() | ev.DeferralEnded() | PackageChecked()) | ev.ClockRead():
            return True
        case _:
            return False


def name_of(row: Row) -> str:
    """A row in words that tell it from all others."""
    name = f"{row.state.name}, {row.kind}"
    return name if row.policy is None else f"{name} ({row.policy.value})"
