"""Carries out what the machines of a device's components decide: the part that Objects 5 and 33629 share."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NotRequired, TypedDict

import attrs

from lwm2m_fota.device.alarm import WallAlarm
from lwm2m_fota.device.bay import Bay, BayListener
from lwm2m_fota.device.bays import Bays
from lwm2m_fota.device.fetch import PackageFetcher
from lwm2m_fota.device.floor import DeviceFloor
from lwm2m_fota.device.installation import BOOT_OUTCOMES, Installation, InstallationListener
from lwm2m_fota.device.installer import BatchInstaller, BatchReport, BootStatus, Part
from lwm2m_fota.device.laws import Law
from lwm2m_fota.device.record import Kept
from lwm2m_fota.device.recorder import Recorder
from lwm2m_fota.device.settings import FirmwareSettings, InterruptedInstall, Offload, run_here
from lwm2m_fota.device.staging import Staging
from lwm2m_fota.errors import BlockwiseError, FotaError, RefusedError, StorageError
from lwm2m_fota.lwm2m.advanced_object import AdvancedEffect, ForStage
from lwm2m_fota.lwm2m.objects import ChangeListener
from lwm2m_fota.lwm2m.operations import Answer, Operation, WriteBlock
from lwm2m_fota.lwm2m.update_operations import EndPush, StageBlock
from lwm2m_fota.machines import table
from lwm2m_fota.machines.coordinator_events import (
    BatchFailed,
    BatchSucceeded,
    BeginBatch,
    DropStage,
    For,
    GroupEvent,
    GroupFound,
    GroupRestarted,
    InstanceEffect,
    On,
)
from lwm2m_fota.machines.coordinator_state import ComponentGroup, Stage
from lwm2m_fota.machines.effects import Notify, OpenStage, Persist, StartPull, StopTransfer, VerifyImage
from lwm2m_fota.machines.events import TRANSFER_FAILURES, BootOutcome, ClockRead, PackageReceived, TransferFailed
from lwm2m_fota.machines.trace_values import TraceListener
from lwm2m_fota.model.codes import Code, is_success
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import ObjectDefinition
from lwm2m_fota.package.formats.registry import FormatRegistry
from lwm2m_fota.package.rollback import RollbackFloor
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.package.types import VerifiedPackage
from lwm2m_fota.package.verdicts import Refusal, refusal_error
from lwm2m_fota.storage.base import ImageStore, StateStore


class Surroundings(TypedDict):
    """What the firmware of a device is put into, whichever object shows it.

    Attributes:
        trust: what a package must show.
        state: keeps the machines across restarts.
        reboot: restarts the device; called once new firmware is to be started, or a trial has failed.
        formats: the package formats that are understood; by default those of this library.
        fetchers: for pulls; their schemes should be those of the profile.
        settings: times and policies.
        wall_clock: seconds since 1970, or None while the clock is not set; by default the system's.
        chance: random numbers, 0 <= chance < 1, for the jitter of retries.
        offload: runs the installer's blocking calls, e.g. `asyncio.to_thread`; by default in the loop's thread.
        trace: is given each line of a trace, from which `machines.device_trace` replays what happened.
    """

    trust: TrustPolicy
    state: StateStore
    reboot: Callable[[], None]
    formats: NotRequired[FormatRegistry]
    fetchers: NotRequired[Iterable[PackageFetcher]]
    settings: NotRequired[FirmwareSettings]
    wall_clock: NotRequired[Callable[[], float | None]]
    chance: NotRequired[Callable[[], float]]
    offload: NotRequired[Offload]
    trace: NotRequired[TraceListener | None]


class Engine(BayListener, InstallationListener):
    """Runs the components of one object; `FirmwareDevice` and `AdvancedFirmwareDevice` are engines.

    What a request asks for is saved first; if that fails, the request is refused and nothing has changed. What has
    happened anyway (a failure, a confirmed boot) counts unsaved too: after a restart it is found once more.
    """

    def __init__(
        self, law: Law, images: Mapping[int, ImageStore], installer: BatchInstaller, around: Surroundings
    ) -> None:
        settings, offload = around.get("settings", FirmwareSettings()), around.get("offload", run_here)
        fetchers, chance = tuple(around.get("fetchers", ())), around.get("chance", random.random)

        def bay(area: int, store: ImageStore) -> Bay:
            staging = Staging(store, around["trust"], around.get("formats"), self._wall, lambda: self._floor_in(area))
            return Bay(staging, fetchers, settings, self, chance)

        self._law = law
        self._recorder = Recorder(law, around.get("trace"))
        self._state = around["state"]
        self._wall = around.get("wall_clock", time.time)
        self._finishes = settings.interrupted_install is InterruptedInstall.FINISH
        self._floor = DeviceFloor()
        self._bays = Bays({area: bay(area, store) for area, store in images.items()})
        self._installation = Installation(installer, settings, offload, around["reboot"], self)
        self._deferral = WallAlarm(self._wall, self._deferral_due)
        self._listeners: list[ChangeListener] = []
        self._diagnoses: dict[int, str] = {}
        self._saved: bytes | None = None

    # -- what a client sees

    @property
    def definition(self) -> ObjectDefinition:
        """The object, in its version."""
        return self._law.definition

    @property
    def version(self) -> str:
        """Of the running firmware (Object 3, resource 3): that of the main component, which is the first."""
        return self._installation.report.versions[0]

    @property
    def is_idle(self) -> bool:
        """No update is under way: every component is in State Idle."""
        return all(each.machine.state is State.IDLE for each in self._law.group.components)

    @property
    def has_result(self) -> bool:
        """The end of an update can be seen: a component shows an Update Result."""
        return any(each.machine.result is not UpdateResult.INITIAL for each in self._law.group.components)

    @property
    def staged_bytes(self) -> int:
        """Bytes of packages that are staged."""
        return self._bays.size_bytes

    def instances(self) -> Sequence[int]:
        """The instances; they are there from the start and stay."""
        return tuple(each.instance for each in self._law.group.components)

    def resources(self, instance_id: int) -> Sequence[int]:
        """All resources of the object version, alike in each instance."""
        del instance_id
        return tuple(each.id for each in self.definition.resources)

    def listen(self, listener: ChangeListener) -> None:
        """Tell of every change of a resource."""
        self._listeners.append(listener)

    def handle(self, operation: Operation, now: float) -> Answer:
        """Carry out an operation of a server.

        Raises:
            FotaError: with the code to answer.
        """
        before, wall = self._law.group, self._wall()
        if isinstance(operation, WriteBlock):
            self._check_place(operation)
        served = self._law.handle(operation, wall)
        self._recorder.happened(served.happened, wall)
        failure = self._carry_out(served.effects, before)
        if failure is not None:
            raise self._with_limit(failure, operation)
        if isinstance(operation, WriteBlock) and served.effects:
            self._heard(operation.path.instance_id, now)
        return served.answer

    def check(self, operation: Operation, now: float) -> None:
        """Raise what `handle` would raise, or answer with an error, for the present state; nothing changes.

        Raises:
            FotaError: with the code to answer.
        """
        del now
        before = self._law.group
        try:
            answer = self._law.handle(operation, self._wall()).answer
        finally:
            self._law.group = before
        if not is_success(answer.code):
            raise RefusedError(answer.diagnostic, code=answer.code)

    def _filling(self, instance: int | None) -> Bay | None:
        """Where a package comes in for an instance at present."""
        for each in self._law.group.components:
            if each.instance == instance and each.machine.state is State.DOWNLOADING:
                return self._bays.find(each.stage)
        return None

    def _check_place(self, block: WriteBlock) -> None:
        """Blocks of a push that another one has replaced must not harm that one."""
        bay = None if block.first else self._filling(block.path.instance_id)
        if bay is not None and block.offset != bay.size_bytes:
            raise BlockwiseError("this transfer was replaced by another")

    def _heard(self, instance: int | None, now: float) -> None:
        bay = self._filling(instance)
        if bay is not None:
            bay.heard(now)

    def _with_limit(self, failure: FotaError, operation: Operation) -> FotaError:
        """A 4.13 tells the largest body that would be taken (Size1), or the peer tries again with smaller blocks."""
        if failure.code != Code.REQUEST_ENTITY_TOO_LARGE or not isinstance(operation, WriteBlock):
            return failure
        limit = operation.offset or self._bays.limit_bytes
        return BlockwiseError(str(failure), code=failure.code, result=failure.result, size1=limit)

    # -- life

    async def start(self) -> None:
        """Take up what a restart left: resume pulls, judge a boot, finish an installation.

        Raises:
            StorageError: a store or the boot record cannot be read.
            SnapshotError: what is stored is damaged, or of another object.
        """
        report = self._installation.report
        data = self._state.load()
        if data is not None:
            kept = self._law.decode(data)
            self._law.group = kept.group
            self._floor = kept.floor
            self._bays.assign(kept.places)
            self._saved = data
            with contextlib.suppress(StorageError):  # what another firmware saved is taken over anew at each start
                self._save()
        self._bays.sweep()
        self._recorder.started(self._wall())
        goes_on = self._installs_again(report)
        failure = self._report(GroupRestarted(self._found(report, goes_on=goes_on)))
        if goes_on:
            self._installation.begin(self._law.group.attempt, self._law.group.batch)
        elif report.status is BootStatus.PENDING:
            self._installation.on_trial()
        elif report.status is not BootStatus.NORMAL and failure is None:
            self._installation.acknowledge()

    def _found(self, report: BatchReport, *, goes_on: bool) -> GroupFound:
        """What stores and installer show; of an installation that goes on the outcome is still to come."""
        boot, attempt = BOOT_OUTCOMES[report.status], report.attempt or 0
        if goes_on:
            boot, attempt = BootOutcome.PENDING, self._law.group.attempt
        return GroupFound(versions=report.versions, stages=self._bays.found, boot=boot, attempt=attempt)

    def _installs_again(self, report: BatchReport) -> bool:
        """A restart has cut an installation off before the boot loader was told of it: it is finished."""
        group = self._law.group
        return (
            self._finishes
            and bool(group.batch)
            and report.status in {BootStatus.NORMAL, BootStatus.UNAPPLIED}
            and self._bays.are_sealed(group.component(each).stage for each in group.batch)
        )

    async def stop(self) -> None:
        """Stop all activity; what is staged and stored stays for the next start.

        A call to the installer that `offload` has begun elsewhere goes on to its end.
        """
        self._deferral.stop()
        await self._bays.stop()
        await self._installation.stop()

    def healthy(self) -> None:
        """The health check of new firmware has passed: keep it. Harmless at any other time.

        Raises:
            StorageError, SnapshotError: the boot record or the state cannot be read or written; call it again.
                Firmware that is not confirmed when its trial is over goes back to the former one.
        """
        attempt = self._installation.confirm()
        if attempt is None:
            return
        self._report(BatchSucceeded(attempt))
        self._save()  # until the success is saved the boot record must go on telling it
        self._installation.acknowledge()

    def _deferral_due(self, waited_s: float) -> None:
        if self._report(ClockRead(waited_s)) is not None:
            self._deferral.set(self._law.next_deadline())

    # -- persistence

    def _save(self) -> None:
        places = self._bays.places(self._law.group)
        data = self._law.encode(Kept(self._law.group, places, self._floor))
        if data != self._saved:
            self._saved = None  # if it fails, either one may stand
            self._state.save(data)
            self._saved = data
        self._bays.assign(places)

    def _go_back(self, before: ComponentGroup) -> None:
        """The group could not be saved: forget it, in the store too, where the new one may stand all the same."""
        self._law.group = before
        self._recorder.forgotten()
        with contextlib.suppress(StorageError):
            self._save()

    # -- effects

    def _report(self, event: GroupEvent) -> FotaError | None:
        """Take an event of the device's own, and do what it asks; an error if something of that failed."""
        before, wall = self._law.group, self._wall()
        taken = self._law.apply(event, wall)
        self._recorder.happened(taken.happened, wall)
        failure = self._carry_out(taken.effects, None if _has_happened(event) else before)
        if failure is None:
            return _refusal(taken.answer)
        if isinstance(event, On) and self._law.group is before and self._filling(event.instance) is not None:
            self._fail(event.instance, failure)
        return failure

    def _carry_out(self, effects: Sequence[AdvancedEffect], before: ComponentGroup | None) -> FotaError | None:
        """Do what a step asks for; what fails for one instance keeps nothing from the others.

        Args:
            effects: in this order.
            before: the group to go back to if the new one cannot be saved; None if it counts all the same.
        """
        failures: dict[int, FotaError] = {}
        unsaved: FotaError | None = None
        for effect in effects:
            match effect:
                case Persist():
                    try:
                        self._save()
                    except FotaError as error:
                        if before is not None:
                            self._go_back(before)
                            return error
                        unsaved = error
                case DropStage(stage):
                    self._bays.drop(stage)
                case BeginBatch(attempt, instances):
                    self._tell(instances, "")
                    self._installation.begin(attempt, instances)
                case For() | ForStage():
                    instance = effect.stage.instance if isinstance(effect, ForStage) else effect.instance
                    failure = failures.get(instance) or self._for_instance(instance, effect)
                    if failure is not None:
                        failures[instance] = failure
        self._deferral.set(self._law.next_deadline())
        return next(iter(failures.values()), unsaved)

    def _for_instance(self, instance: int, effect: For | ForStage) -> FotaError | None:
        try:
            return self._push(effect) if isinstance(effect, ForStage) else self._one(instance, effect.effect)
        except FotaError as error:
            self._fail(instance, error)
            return error

    def _fail(self, instance: int, error: FotaError) -> None:
        """The package that comes in cannot be taken."""
        result = error.result if error.result in TRANSFER_FAILURES else None
        self._tell((instance,), str(error))
        self._report(On(instance, TransferFailed(result or UpdateResult.NOT_ENOUGH_STORAGE, str(error))))

    def _push(self, effect: ForStage) -> FotaError | None:
        match effect.effect:
            case StageBlock(offset, payload):
                self._bays.holding(effect.stage).add(offset, payload)
                return None
            case EndPush():
                return self._report(On(effect.stage.instance, PackageReceived(effect.stage.transfer)))

    def _one(self, instance: int, effect: InstanceEffect) -> FotaError | None:
        match effect:
            case OpenStage(size_bytes, transfer):
                self._tell((instance,), "")
                is_pushed = self._law.group.component(instance).machine.delivery == "push"
                self._bays.holding(Stage(instance, transfer)).open(size_bytes, pushed=is_pushed)
            case StartPull(uri, transfer, resume):
                self._bays.holding(Stage(instance, transfer)).pull(uri, resume=resume)
            case VerifyImage(transfer):
                package = self._bays.holding(Stage(instance, transfer)).verify()
                return self._report(On(instance, self._law.checked(package, transfer)))
            case StopTransfer():
                self._bays.halt(instance)
            case Notify(resource_ids):
                self._notify([Path.of(self.definition.id, instance, each) for each in resource_ids])
        return None

    def _notify(self, paths: Sequence[Path]) -> None:
        for listener in self._listeners:
            try:
                listener(paths)
            except Exception as error:  # noqa: BLE001 - shown, and what follows must not depend on it
                message = f"a listener of the firmware failed: {error!r}"
                asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})

    def _tell(self, instances: Iterable[int], diagnosis: str) -> None:
        self._diagnoses.update(dict.fromkeys(instances, diagnosis))

    # -- what bays and installation tell

    def checkpoint_moved(self) -> None:
        """The bytes of a pull are durable up to another point."""
        self._save()

    def package_received(self, stage: Stage) -> None:
        """All bytes of a pull are staged."""
        self._report(On(stage.instance, PackageReceived(stage.transfer)))

    def package_lost(self, stage: Stage, result: UpdateResult, diagnosis: str) -> None:
        """A transfer gave up."""
        self._tell((stage.instance,), diagnosis)
        self._report(On(stage.instance, TransferFailed(result, diagnosis, stage.transfer)))

    def part(self, instance: int) -> Part:
        """What is to be installed in one component; after a restart it is verified anew first.

        From now on nothing older is taken: the floor is saved before the installer runs.
        """
        package, image = self._bays.holding(self._law.group.component(instance).stage).contents()
        component = self._law.component(instance, package)
        self._raise_floor(package, instance)
        version = component.version or package.version or ""
        return Part(instance=instance, version=version, package=package, image=image, component=component)

    def _floor_in(self, area: int) -> RollbackFloor:
        return self._floor.of(self._bays.instance_in(area), self._law.called)

    def _raise_floor(self, package: VerifiedPackage, instance: int) -> None:
        """What was verified before another package was installed may be too old by now."""
        problem = self._floor.of(instance, self._law.called).problem(package.counters)
        if problem is not None:
            raise refusal_error(Refusal.ROLLBACK, problem)
        before, self._floor = self._floor, self._floor.after(package.counters, instance)
        try:
            self._save()
        except StorageError:
            self._floor = before
            raise

    def batch_failed(self, instances: tuple[int, ...], failure: BatchFailed, diagnosis: str) -> None:
        """An installation failed; everything runs as before. A package that is gone is not promised any more."""
        self._tell(instances, diagnosis)
        kept = self._bays.are_sealed(self._law.group.component(each).stage for each in instances)
        self._report(attrs.evolve(failure, images_kept=kept))


def _refusal(answer: table.Answer | None) -> FotaError | None:
    """What is told to the peer whose last block led to an event that is answered so."""
    if answer is None or is_success(answer.code):
        return None
    return RefusedError(answer.diagnostic, code=answer.code)


def _has_happened(event: GroupEvent) -> bool:
    """Whether it can be saved or not: a restart finds the same in stores and installer once more."""
    if isinstance(event, On):
        return isinstance(event.event, TransferFailed)
    return not isinstance(event, ClockRead)
