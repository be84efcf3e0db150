"""A device as a model: its object, its driver, store, installer and boot loader, under anything that a server can ask.

What `device.engine` does is done here in small: what is saved is saved before what needs it, an installation that was
cut off before anything was started is finished under the same attempt, the boot record is acknowledged once its
outcome is stored. Power may fail between any two things that are done.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple, final

import attrs

from lwm2m_fota.device.settings import InterruptedInstall
from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines.coordinator_events import (
    BatchFailed,
    BatchSucceeded,
    GroupFound,
    GroupRestarted,
    InstanceEvent,
    On,
    PackageChecked,
    UpdateRequested,
)
from lwm2m_fota.machines.coordinator_state import ComponentGroup, Stage
from lwm2m_fota.machines.events import BootOutcome, StagedImage
from lwm2m_fota.model.enums import UpdateResult
from lwm2m_fota.testing.explore.carry import carried_out, dark, findings, holds_alone, stages_of, without
from lwm2m_fota.testing.explore.laws import Happening, Law, Own, Taken
from lwm2m_fota.testing.explore.rules import ONE_INSTALLATION, WAITS_END, check_state, check_step, name_of
from lwm2m_fota.testing.explore.search import Broken, Move
from lwm2m_fota.testing.explore.world import NOW, PERIOD_S, Boot, Filling, World, canonical, is_at_rest

URI: Final = "coap://host.example/fw"
USELESS_URIS: Final = ("no uri", "ftp://host.example/fw")

BOOT_INTO_NEW: Final = "boot into the new images"
_OUTCOMES: Final[Mapping[Boot, BootOutcome]] = {
    Boot.NORMAL: BootOutcome.NONE,
    Boot.WRITTEN: BootOutcome.NONE,
    Boot.REJECTED: BootOutcome.REJECTED,
    Boot.TRIAL: BootOutcome.PENDING,
    Boot.CONFIRMED: BootOutcome.CONFIRMED,
    Boot.REVERTED: BootOutcome.REVERTED,
}
_MAY_FINISH: Final = frozenset({Boot.NORMAL, Boot.WRITTEN})
_PULL_FAILURES: Final = (
    *(UpdateResult.NOT_ENOUGH_STORAGE, UpdateResult.OUT_OF_MEMORY, UpdateResult.CONNECTION_LOST),
    *(UpdateResult.INTEGRITY_FAILURE, UpdateResult.UNSUPPORTED_PACKAGE, UpdateResult.INVALID_URI),
    UpdateResult.UNSUPPORTED_PROTOCOL,
)
_PUSH_FAILURES: Final = _PULL_FAILURES[:5]
_USELESS_FAILURES: Final = _PULL_FAILURES[5:]
_CLOCKS: Final = (
    *(("due", NOW + PERIOD_S, 0.0), ("set back", NOW - 1, 0.0), ("early", NOW, 0.0)),
    *(("lost", None, PERIOD_S / 2), ("due, and lost", None, PERIOD_S)),
)
"""What the wall clock shows, and how long it was not looked at."""

_CHECK_FAILURES: Final = (
    *(UpdateResult.NOT_ENOUGH_STORAGE, UpdateResult.INTEGRITY_FAILURE, UpdateResult.UNSUPPORTED_PACKAGE),
)


@final
@attrs.frozen(kw_only=True)
class Surroundings:
    """What a device is explored in.

    Attributes:
        packages: what may come to an instance, without the number of a transfer.
        interrupted: what becomes of an installation that was cut off before anything was started.
        settings: whether servers write the settings (resources 11, 13 and 14).
        lists: the lists of an Update that servers ask for.
        defers: whether users defer.
        uris: the Package URIs that servers write.
        failures: whether a transfer fails in every way that there is; otherwise in one.
        repeats: whether the device goes on after its first success.
        results: whether it matters how the last update of a component ended, once that is over: a server reads it.
        damages: whether a restart may find a sealed package damaged or gone; otherwise only an unsealed one.
    """

    packages: Mapping[int, Sequence[PackageChecked]]
    interrupted: InterruptedInstall = InterruptedInstall.FINISH
    settings: bool = True
    lists: Sequence[tuple[int, ...] | None] = (None,)
    defers: bool = True
    uris: Sequence[str] = (URI, *USELESS_URIS)
    failures: bool = True
    repeats: bool = True
    results: bool = False
    damages: bool = True


class Outcome(NamedTuple):
    """What became of one event.

    Attributes:
        world: the device after it, not yet in canonical form.
        cuts: the device without power, had that failed in between.
        taken: what the law said.
        broken: what does not hold of it.
    """

    world: World
    cuts: tuple[World, ...]
    taken: Taken
    broken: tuple[Broken, ...]


@final
class DeviceModel:
    """A device that a server may ask for anything at any time.

    Args:
        law: its object.
        around: what it is explored in.
    """

    def __init__(self, law: Law, around: Surroundings) -> None:
        self.law = law
        self.around = around
        self._schemes = law.profile.schemes
        self._taken: dict[tuple[ComponentGroup, Happening, float | None], Taken] = {}
        self._same: dict[World, World] = {}

    # -- the model

    def initial(self) -> Iterable[World]:
        """As it leaves the factory."""
        group = self.law.new()
        yield self.canonical(World(group, (), tuple(each.version for each in group.components)))

    def moves(self, state: World) -> Iterator[Move[World]]:
        """All that can happen."""
        if not self.around.repeats and self._has_succeeded(state):
            return
        if state.on and state.checking is None:
            for component in state.group.components:
                yield from self._requests(state, component.instance)
            yield from self._late_reports(state)
        yield from self.own_moves(state)

    def own_moves(self, world: World) -> Iterator[Move[World]]:
        """What can happen without a server."""
        if not world.on:
            yield from self._boots(world)
            return
        yield Move("power cut", self.without_power(world))
        if world.checking is not None:
            yield from self._checks(world, world.checking)
            return
        for stage, way in world.filling:
            yield from self._transfers(world, stage, way)
        yield from self._waits(world)
        if world.installing:
            yield from self._installs(world)
        if world.boot is Boot.TRIAL:
            yield from self._tries(world)

    def asked(self, world: World, words: str, event: Happening) -> Iterator[Move[World]]:
        """What a request leads to; nothing if it is refused."""
        yield from self._moves_of("server", words, self.give(world, event))

    def _has_succeeded(self, world: World) -> bool:
        """What was installed runs, and no trial is left."""
        new = tuple(each.version for each in self.law.new().components)
        return is_at_rest(world) and world.boot is Boot.NORMAL and world.flash != new

    def is_end(self, state: World) -> bool:
        """Nothing is under way."""
        return is_at_rest(state)

    def check(self, state: World) -> Iterator[Broken]:
        """What must hold in every state."""
        yield from check_state(self.law, state)

    # -- one event

    def give(self, world: World, event: Happening, wall: float | None = NOW) -> Outcome:
        """Let the law take an event, and do what it asks for."""
        taken = self._step(world.group, event, wall)
        broken = tuple(check_step(self.law, world, event, taken))
        if not taken.rows:
            return Outcome(world, (), taken, broken)
        steps = [dark(world), *carried_out(world, taken, self._schemes)]
        left = [dark(each) for each in steps]
        cuts = tuple(self.canonical(each) for before, each in pairwise(left[:-1]) if each != before)
        return Outcome(steps[-1], cuts, taken, broken)

    def _step(self, group: ComponentGroup, event: Happening, wall: float | None) -> Taken:
        """The law's step; the same one is asked for in many worlds."""
        asked = group, event, wall
        taken = self._taken.get(asked)
        if taken is None:
            taken = self._taken[asked] = self.law.step(group, event, wall)
        return taken

    def canonical(self, world: World) -> World:
        """The same device with the smallest numbers."""
        made = self._same.get(world)
        if made is None:
            made = self._same[world] = canonical(world, results=self.around.results)
        return made

    def without_power(self, world: World) -> World:
        """What is left of a device when its power fails."""
        return self.canonical(dark(world))

    def _moves_of(
        self, kind: str, words: str, outcome: Outcome, *, later: World | None = None
    ) -> Iterator[Move[World]]:
        """The move, and what is left of it where the power fails in between."""
        if later is None and not outcome.taken.rows and not outcome.broken:
            return  # refused, and nothing has changed
        fired = tuple(name_of(row) for _, row in outcome.taken.rows)
        yield Move(kind, self.canonical(later or outcome.world), words, fired, outcome.broken, outcome.taken.code)
        for number, cut in enumerate(outcome.cuts, 1):
            yield Move("power cut", cut, f"after {number} effects of: {kind}: {words}")

    # -- servers

    def _requests(self, world: World, instance: int) -> Iterator[Move[World]]:
        for words, event in self._asked(instance):
            outcome = self.give(world, event)
            code = outcome.taken.code
            answer = "" if code is None else f" -> {code >> 5}.{code & 31:02}"
            yield from self._moves_of("server", f"/{instance} {words}{answer}", outcome)

    def _asked(self, instance: int) -> Iterator[tuple[str, Happening]]:
        def on(words: str, event: InstanceEvent) -> tuple[str, Happening]:
            return words, On(instance, event)

        yield on("Package, first block", ev.PackageBegun())
        yield on("empty Package", ev.EmptyPackageWritten())
        yield on("reset", ev.ResetWritten())
        for uri in self.around.uris:
            yield on(f"Package URI {uri}", ev.UriWritten(uri))
        for others in self.around.lists:
            if others is None or instance not in others:
                told = "" if others is None else f" 0={list(others)}"
                yield on(f"Update{told}", UpdateRequested(others))
                if self.around.defers:
                    yield on(f"Update{told}, deferred", UpdateRequested(others, defer=True))
        yield on("Cancel", ev.CancelExecuted())
        if self.around.settings:
            yield from self._settings(instance)

    def _settings(self, instance: int) -> Iterator[tuple[str, Happening]]:
        for severity in (1, 3):
            yield f"Severity {severity}", On(instance, ev.SeverityWritten(severity))
        for period in (0, PERIOD_S, -1):
            yield f"Maximum Defer Period {period}", On(instance, ev.MaxDeferWritten(period))
        if self.law.profile.component is None:
            for enabled in (True, False):
                yield f"Automatic Upgrade {enabled}", Own(ev.AutoUpgradeWritten(enabled))

    # -- transfers

    def _transfers(self, world: World, stage: Stage, way: Filling) -> Iterator[Move[World]]:
        over = world._replace(filling=tuple(each for each in world.filling if each[0] != stage))
        failures = {
            Filling.PUSH: _PUSH_FAILURES,
            Filling.PULL: _PULL_FAILURES,
            Filling.USELESS_PULL: _USELESS_FAILURES,
        }[way]
        for result in failures[: None if self.around.failures else 1]:
            event = On(stage.instance, ev.TransferFailed(result, "", stage.transfer))
            words = f"/{stage.instance} Result {result.value}"
            yield from self._moves_of(f"{way} fails", words, self.give(over, event))
        if way is not Filling.USELESS_PULL:
            event = On(stage.instance, ev.PackageReceived(stage.transfer))
            yield from self._moves_of(f"{way} is complete", f"/{stage.instance}", self.give(over, event))

    def _checks(self, world: World, stage: Stage) -> Iterator[Move[World]]:
        done = world._replace(checking=None)
        for package in self.around.packages[stage.instance]:
            words = f"/{stage.instance} {package.name or package.version}"
            passed = attrs.evolve(package, transfer=stage.transfer)
            yield from self._moves_of("package passes", words, self.give(done, On(stage.instance, passed)))
            if self.around.defers and self.law.profile.component is None:
                deferred = On(stage.instance, attrs.evolve(passed, defer=True))
                yield from self._moves_of("package passes", f"{words}, deferred", self.give(done, deferred))
        for result in _CHECK_FAILURES[: None if self.around.failures else 1]:
            failed = On(stage.instance, ev.TransferFailed(result, "", stage.transfer))
            yield from self._moves_of("package fails", f"Result {result.value}", self.give(done, failed))

    def _late_reports(self, world: World) -> Iterator[Move[World]]:
        """Reports of transfers and attempts that are over change nothing."""
        for component in world.group.components:
            late = component.machine.transfer - 1
            for report in (
                ev.PackageReceived(late),
                PackageChecked(transfer=late),
                ev.TransferFailed(UpdateResult.CONNECTION_LOST, "", late),
            ):
                yield from self._never(world, On(component.instance, report))
        over = world.group.attempt - 1
        yield from self._never(world, BatchSucceeded(over))
        yield from self._never(world, BatchFailed(attempt=over))

    def _never(self, world: World, event: Happening) -> Iterator[Move[World]]:
        taken = self._step(world.group, event, NOW)
        if taken.rows:
            broken = Broken("a late report changes nothing", type(event).__name__)
            yield Move("late report", world, "", (), (broken,))

    # -- waiting

    def _waits(self, world: World) -> Iterator[Move[World]]:
        waiting = _deferred(world.group)
        for instance in waiting:
            event = On(instance, ev.DeferralEnded())
            yield from self._moves_of("user", f"/{instance} agrees", self.give(world, event))
        for words, wall, waited_s in _CLOCKS if waiting else ():
            outcome = self.give(world, ev.ClockRead(waited_s), wall)
            after = outcome.world.group
            if words.startswith("due") and _deferred(after) and not after.batch:
                outcome = outcome._replace(broken=(*outcome.broken, Broken(WAITS_END, "what is due waits on")))
            yield from self._moves_of(f"clock {words}", "", outcome)

    # -- installing

    def _installs(self, world: World) -> Iterator[Move[World]]:
        group, over = world.group, world._replace(installing=False)
        batch = group.batch
        for result, culprits in self._failures(batch):
            for kept in (True, False) if holds_alone(group, batch) else (True,):
                left = over if kept else over._replace(disk=without(over.disk, stages_of(group, batch)))
                event = BatchFailed(result, culprits, kept, group.attempt)
                words = f"Result {result.value} {list(culprits)}{'' if kept else ', images lost'}"
                yield from self._moves_of("installation fails", words, self.give(left, event))
        former = tuple((each, world.flash[index]) for index, each in self._indices(batch))
        if (world.boot, world.attempt) != (Boot.WRITTEN, group.attempt):
            written = world._replace(boot=Boot.WRITTEN, attempt=group.attempt)
            yield Move("written", self.canonical(written), str(list(batch)))
        else:
            applied = world._replace(boot=Boot.REQUESTED, batch=former)
            yield Move("applied", self.without_power(applied), str(list(batch)))

    def _failures(self, batch: Sequence[int]) -> Iterator[tuple[UpdateResult, tuple[int, ...]]]:
        yield UpdateResult.UPDATE_FAILED, ()
        for culprit in batch:
            yield UpdateResult.INTEGRITY_FAILURE, (culprit,)
            if self.law.profile.component is not None:
                yield UpdateResult.DEPENDENCY_ERROR, (culprit,)

    def _indices(self, batch: Iterable[int]) -> Iterator[tuple[int, int]]:
        instances = [each.instance for each in self.law.new().components]
        return ((instances.index(each), each) for each in batch)

    def _tries(self, world: World) -> Iterator[Move[World]]:
        yield Move("trial over", self.without_power(world))
        confirmed = world._replace(boot=Boot.CONFIRMED)
        outcome = self.give(confirmed, BatchSucceeded(world.attempt))
        cuts = (self.without_power(confirmed), *outcome.cuts, self.without_power(outcome.world))
        done = outcome.world._replace(boot=Boot.NORMAL, attempt=0, batch=())
        yield from self._moves_of("healthy", "", outcome._replace(cuts=cuts), later=done)

    # -- starting

    def _boots(self, world: World) -> Iterator[Move[World]]:
        for words, loaded in self._loaded(world):
            again = words == BOOT_INTO_NEW and (world.started or not _is_asked_for(world))
            for images in findings(loaded.disk, damages=self.around.damages):
                yield from self._starts(words, loaded, images, again=again)

    def _loaded(self, world: World) -> Iterator[tuple[str, World]]:
        """What the boot loader does."""
        match world.boot:
            case Boot.REQUESTED:
                flash = list(world.flash)
                for index, instance in self._indices(each for each, _ in world.batch):
                    flash[index] = self._version_in(world, instance)
                fresh = tuple(each for each, _ in world.batch)
                started = world._replace(flash=tuple(flash), boot=Boot.TRIAL, fresh=fresh, started=True)
                yield BOOT_INTO_NEW, started
                yield "loader rejects", world._replace(boot=Boot.REJECTED)
            case Boot.TRIAL:
                flash = list(world.flash)
                former = dict(world.batch)
                for index, instance in self._indices(former):
                    flash[index] = former[instance]
                yield "boot back", world._replace(flash=tuple(flash), boot=Boot.REVERTED, fresh=())
            case _:
                yield "boot", world

    def _version_in(self, world: World, instance: int) -> str:
        return world.group.component(instance).machine.package_version

    def _starts(
        self, kind: str, world: World, images: tuple[tuple[Stage, StagedImage], ...], *, again: bool
    ) -> Iterator[Move[World]]:
        group, batch = world.group, world.group.batch
        sealed = {stage for stage, image in images if image is StagedImage.SEALED}
        goes_on = (
            self.around.interrupted is InterruptedInstall.FINISH
            and bool(batch)
            and world.boot in _MAY_FINISH
            and sealed.issuperset(group.component(each).stage for each in batch)
        )
        boot, attempt = (BootOutcome.PENDING, group.attempt) if goes_on else (_OUTCOMES[world.boot], world.attempt)
        found = GroupFound(versions=world.flash, stages=images, boot=boot, attempt=attempt)
        disk = tuple((stage, stage in sealed) for stage, image in images if image is not StagedImage.MISSING)
        outcome = self.give(world._replace(on=True, disk=disk), GroupRestarted(found))
        after = outcome.world
        if again:
            outcome = _breaking(outcome, "images are started twice, or unasked")
        if goes_on:
            after = after._replace(installing=True)
            if world.started:
                outcome = _breaking(outcome, "what was started is installed again")
        elif world.boot not in {Boot.TRIAL, Boot.NORMAL}:
            cuts = (*outcome.cuts, self.without_power(after))
            after, outcome = after._replace(boot=Boot.NORMAL, attempt=0, batch=()), outcome._replace(cuts=cuts)
        words = ", ".join(f"/{stage.instance} {image.value}" for stage, image in images)
        yield from self._moves_of(kind, words, outcome, later=after)


def _deferred(group: ComponentGroup) -> list[int]:
    """The instances that wait for a user, or for the clock."""
    return [each.instance for each in group.components if each.machine.is_deferred]


def _is_asked_for(world: World) -> bool:
    """What the boot loader is to start is what is shown as Updating."""
    return world.attempt == world.group.attempt and tuple(each for each, _ in world.batch) == world.group.batch


def _breaking(outcome: Outcome, words: str) -> Outcome:
    return outcome._replace(broken=(*outcome.broken, Broken(ONE_INSTALLATION, words)))
