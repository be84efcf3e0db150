"""The firmware of a device as a LwM2M object: it carries out what the machine of Object 5 decides.

It can be put into any LwM2M client: give it operations, pass its answers on, and tell observers what it says has
changed.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, final

from lwm2m_fota.device import record
from lwm2m_fota.device.fetch import PackageFetcher
from lwm2m_fota.device.installer import BootReport, BootStatus, Installer
from lwm2m_fota.device.pull import Pull, PullListener
from lwm2m_fota.device.settings import FirmwareSettings, InterruptedInstall, Offload, run_here
from lwm2m_fota.device.staging import Staging
from lwm2m_fota.device.tasks import show_failure
from lwm2m_fota.errors import BlockwiseError, FotaError, PackageError, StorageError
from lwm2m_fota.lwm2m.firmware_object import PACKAGE_PATH, DeviceEffect, EndPush, FirmwareObject, StageBlock
from lwm2m_fota.lwm2m.objects import ChangeListener
from lwm2m_fota.lwm2m.operations import Answer, Operation, WriteBlock
from lwm2m_fota.machines.download_words import Checkpoint
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
from lwm2m_fota.machines.events import (
    TRANSFER_FAILURES,
    BootOutcome,
    ClockRead,
    Event,
    Found,
    InstallFailed,
    InstallSucceeded,
    PackageReceived,
    PackageVerified,
    Restarted,
    StagedImage,
    TransferFailed,
)
from lwm2m_fota.machines.firmware import next_deadline
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.state import FirmwareMachine
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import ObjectDefinition
from lwm2m_fota.package.trust import Trust
from lwm2m_fota.package.types import VerifiedPackage
from lwm2m_fota.storage.base import ImageStore, SealedImage, StateStore

__all__ = ["FirmwareDevice", "FirmwareSettings", "InterruptedInstall"]

_CLOCK_LOOK_S: Final = 3600.0
"""Wall clocks jump, and are set late: while an update is deferred the clock is looked at so often."""

_SAVE_AGAIN_S: Final = 60.0
"""The pause before a deferred update that was due, and could not be saved, is tried again."""

_ENDINGS: Final = (TransferFailed, InstallFailed, InstallSucceeded, Restarted)
"""What has happened whether it can be saved or not: a restart finds the same in store and installer once more."""

_BOOT_OUTCOMES: Final = {
    BootStatus.NORMAL: BootOutcome.NONE,
    BootStatus.UNAPPLIED: BootOutcome.NONE,
    BootStatus.PENDING: BootOutcome.PENDING,
    BootStatus.CONFIRMED: BootOutcome.CONFIRMED,
    BootStatus.REVERTED: BootOutcome.REVERTED,
}


@final
class FirmwareDevice(PullListener):
    """Object 5 on a device.

    Args:
        profile: object version, delivery, protocols, policies.
        trust: what a package must show.
        images: the staging area.
        state: keeps the machine across restarts.
        installer: the way to the flash and the boot loader.
        reboot: restarts the device; called once an image is to be started, or a trial has failed.
        fetchers: for pulls; their schemes should be those of the profile.
        settings: times and policies.
        wall_clock: seconds since 1970, or None while the clock is not set.
        chance: random numbers, 0 <= chance < 1, for the jitter of retries.
        offload: runs the installer's blocking calls, e.g. `asyncio.to_thread`; by default in the loop's thread.

    What a request asks for is saved first; if that fails, the request is refused and nothing has changed. What has
    happened anyway (a failure, a confirmed boot) counts unsaved too: after a restart it is found once more.
    """

    def __init__(
        self,
        *,
        profile: FirmwareProfile,
        trust: Trust,
        images: ImageStore,
        state: StateStore,
        installer: Installer,
        reboot: Callable[[], None],
        fetchers: Iterable[PackageFetcher] = (),
        settings: FirmwareSettings | None = None,
        wall_clock: Callable[[], float | None] = time.time,
        chance: Callable[[], float] = random.random,
        offload: Offload = run_here,
    ) -> None:
        self._object = FirmwareObject(profile)
        self._staging = Staging(images, trust)
        self._state = state
        self._installer = installer
        self._reboot = reboot
        self._settings = settings or FirmwareSettings()
        self._wall = wall_clock
        self._offload = offload
        self._pull = Pull(self._staging, tuple(fetchers), self._settings.download, self, chance)
        self._checkpoint: Checkpoint | None = None
        self._verified: VerifiedPackage | None = None
        self._listeners: list[ChangeListener] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._push_timer: asyncio.TimerHandle | None = None
        self._push_heard = 0.0
        self._deferral_timer: asyncio.TimerHandle | None = None
        self._trial_timer: asyncio.TimerHandle | None = None
        self._diagnosis = ""
        self._saved: bytes | None = None

    # -- what a client sees

    @property
    def definition(self) -> ObjectDefinition:
        """Object 5 in the version of the profile."""
        return self._object.definition

    @property
    def state(self) -> State:
        """Resource 3."""
        return self._object.machine.state

    @property
    def result(self) -> UpdateResult:
        """Resource 5."""
        return self._object.machine.result

    @property
    def diagnosis(self) -> str:
        """Why the last update failed, for people; empty if it did not."""
        return self._diagnosis

    @property
    def staged_bytes(self) -> int:
        """Bytes of a package that are staged."""
        return self._staging.size_bytes

    @property
    def version(self) -> str:
        """Of the running firmware (Object 3, resource 3)."""
        return self._installer.boot_report().version

    def instances(self) -> Sequence[int]:
        """Object 5 has one instance."""
        return (0,)

    def resources(self, instance_id: int) -> Sequence[int]:
        """All resources of the object version."""
        del instance_id
        return self._object.resources()

    def streams(self, path: Path) -> bool:
        """Package comes in blocks."""
        return path == PACKAGE_PATH

    def listen(self, listener: ChangeListener) -> None:
        """Tell of every change of a resource."""
        self._listeners.append(listener)

    def defer_updates(self, *, defer: bool) -> None:
        """The user wants to install later, or no longer; counts at the next Update."""
        self._object.defer_updates(defer=defer)

    def handle(self, operation: Operation, now: float) -> Answer:
        """Carry out an operation of a server.

        Raises:
            FotaError: with the code to answer.
        """
        before = self._object.machine
        if isinstance(operation, WriteBlock):
            self._check_place(operation)
        handled = self._object.handle(operation, self._wall())
        if isinstance(operation, WriteBlock) and handled.effects:
            self._push_heard = now
        failure = self._carry_out(handled.effects, before)
        if failure is not None:
            raise self._with_limit(failure, operation)
        return handled.answer

    def _check_place(self, block: WriteBlock) -> None:
        """Blocks of a push that another one has replaced must not harm that one."""
        if not block.first and self.state is State.DOWNLOADING and block.offset != self._staging.size_bytes:
            raise BlockwiseError("this transfer was replaced by another")

    def _with_limit(self, failure: FotaError, operation: Operation) -> FotaError:
        """A 4.13 tells the largest body that would be taken (Size1), or the peer tries again with smaller blocks."""
        if failure.code != Code.REQUEST_ENTITY_TOO_LARGE or not isinstance(operation, WriteBlock):
            return failure
        limit = operation.offset or self._staging.limit_bytes
        return BlockwiseError(str(failure), code=failure.code, result=failure.result, size1=limit)

    # -- life

    async def start(self) -> None:
        """Take up what a restart left: resume a pull, judge a boot, finish an installation.

        Raises:
            StorageError: a store or the boot record cannot be read.
            SnapshotError: what is stored is damaged.
        """
        report = self._installer.boot_report()
        data = self._state.load()
        if data is not None:
            self._object.machine, self._checkpoint = record.decode(data)
            self._saved = data
        if self._installs_again(report):
            self._spawn(self._install(self._object.machine.attempt))
            return
        found = Found(image=self._staged(), boot=_BOOT_OUTCOMES[report.status], attempt=report.attempt or 0)
        failure = self.report(Restarted(found))
        if report.status is BootStatus.PENDING:
            self._trial_timer = asyncio.get_running_loop().call_later(self._settings.trial_limit_s, self._give_up_trial)
        elif report.status is not BootStatus.NORMAL and failure is None:
            self._installer.acknowledge()

    async def stop(self) -> None:
        """Stop all activity; what is staged and stored stays for the next start.

        A call to the installer that `offload` has begun elsewhere goes on to its end.
        """
        for timer in (self._push_timer, self._deferral_timer, self._trial_timer):
            if timer is not None:
                timer.cancel()
        self._push_timer = self._deferral_timer = self._trial_timer = None
        await self._pull.stop()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def healthy(self) -> None:
        """The health check of a new image has passed: keep it. Harmless at any other time.

        Raises:
            StorageError, SnapshotError: the boot record or the state cannot be read or written; call it again. An
                image that is not confirmed when the trial is over goes back to the former one.
        """
        report = self._installer.boot_report()
        if report.status not in {BootStatus.PENDING, BootStatus.CONFIRMED}:
            return
        if report.status is BootStatus.PENDING:
            self._installer.confirm()
        if self._trial_timer is not None:
            self._trial_timer.cancel()
            self._trial_timer = None
        self.report(InstallSucceeded(report.attempt))
        self._save()  # until the success is saved the boot record must go on telling it
        self._installer.acknowledge()

    def _give_up_trial(self) -> None:
        self._trial_timer = None
        self._reboot()

    def _installs_again(self, report: BootReport) -> bool:
        return (
            self._settings.interrupted_install is InterruptedInstall.FINISH
            and self._object.machine.state is State.UPDATING
            and report.status in {BootStatus.NORMAL, BootStatus.UNAPPLIED}
            and self._staging.sealed is not None
        )

    def _staged(self) -> StagedImage:
        if self._staging.sealed is not None:
            return StagedImage.SEALED
        return StagedImage.PARTIAL if self._staging.size_bytes else StagedImage.MISSING

    # -- persistence

    def _save(self) -> None:
        data = record.encode(self._object.machine, self._checkpoint)
        if data != self._saved:
            self._saved = None  # if it fails, either one may stand
            self._state.save(data)
            self._saved = data

    def _go_back(self, before: FirmwareMachine) -> None:
        """The machine could not be saved: forget it, in the store too, where the new one may stand all the same."""
        self._object.machine = before
        with contextlib.suppress(StorageError):
            self._save()

    # -- the machine's effects

    def report(self, event: Event) -> FotaError | None:
        """Give the machine an event of the device's own, and do what it asks; an error if something of that failed."""
        before = self._object.machine
        taken = self._object.apply(event, self._wall())
        failure = self._carry_out(taken.effects, None if isinstance(event, _ENDINGS) else before)
        if failure is not None and self._object.machine is before and self.state is State.DOWNLOADING:
            self.report(self._failure_of(failure))
        return failure

    def _carry_out(self, effects: Sequence[DeviceEffect], before: FirmwareMachine | None) -> FotaError | None:
        """Do what a step asks for; `before` is the machine to go back to if the new one cannot be saved."""
        unsaved: FotaError | None = None
        for effect in effects:
            try:
                failure = self._one(effect)
            except FotaError as error:
                if isinstance(effect, Persist) and before is None:
                    unsaved = error
                    continue
                failure = error
                if isinstance(effect, Persist) and before is not None:
                    self._go_back(before)
                else:
                    self.report(self._failure_of(error))
            if failure is not None:
                return failure
        self._arm_deferral()
        return unsaved

    def _one(self, effect: DeviceEffect) -> FotaError | None:  # noqa: C901 - one case for each effect
        match effect:
            case Persist():
                self._save()
            case Notify(resource_ids):
                self._notify(resource_ids)
            case OpenStage(size_bytes, _):
                self._begin_stage(size_bytes)
            case StageBlock(offset, payload):
                self._staging.add(offset, payload)
            case EndPush():
                return self.report(PackageReceived())
            case StartPull(uri, transfer, resume):
                self._start_pull(uri, transfer, resume=resume)
            case VerifyImage(transfer):
                return self._verify(transfer)
            case StopTransfer():
                self._stop_push_timer()
                self._pull.cancel()
            case DiscardImage():
                self._checkpoint = None
                self._verified = None
                with contextlib.suppress(StorageError):  # the next package, or the next start, tries again
                    self._staging.discard()
            case BeginInstall(attempt):
                self._diagnosis = ""
                self._spawn(self._install(attempt))
        return None

    def _failure_of(self, error: FotaError) -> Event:
        self._diagnosis = str(error)
        result = error.result if error.result in TRANSFER_FAILURES else UpdateResult.NOT_ENOUGH_STORAGE
        return TransferFailed(result or UpdateResult.NOT_ENOUGH_STORAGE, self._diagnosis)

    def _notify(self, resource_ids: tuple[int, ...]) -> None:
        paths = [Path.of(5, 0, resource_id) for resource_id in resource_ids]
        for listener in self._listeners:
            try:
                listener(paths)
            except Exception as error:  # noqa: BLE001 - shown, and what follows must not depend on it
                message = f"a listener of the firmware failed: {error!r}"
                asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})

    def _begin_stage(self, size_bytes: int | None) -> None:
        self._diagnosis = ""
        self._checkpoint = None
        self._verified = None
        self._staging.open(size_bytes)
        if self._object.machine.delivery == "push":
            self._watch_push()

    def _verify(self, transfer: int) -> FotaError | None:
        self._stop_push_timer()
        package = self._staging.verify_again() if self._staging.sealed is not None else self._staging.finish()
        self._verified = package
        return self.report(PackageVerified(package.name or "", package.version or "", transfer=transfer))

    # -- pushes

    def _watch_push(self) -> None:
        self._stop_push_timer()
        loop = asyncio.get_running_loop()
        self._push_heard = loop.time()
        self._push_timer = loop.call_later(self._settings.push_no_progress_s, self._look_at_push)

    def _look_at_push(self) -> None:
        loop = asyncio.get_running_loop()
        due = self._push_heard + self._settings.push_no_progress_s
        if due > loop.time():
            self._push_timer = loop.call_at(due, self._look_at_push)
            return
        self._push_timer = None
        self._diagnosis = "push.no-progress: the server stopped sending"
        self.report(TransferFailed(UpdateResult.CONNECTION_LOST, self._diagnosis))

    def _stop_push_timer(self) -> None:
        if self._push_timer is not None:
            self._push_timer.cancel()
            self._push_timer = None

    # -- pulls

    def _start_pull(self, uri: str, transfer: int, *, resume: bool) -> None:
        checkpoint = self._checkpoint if resume else None
        self._pull.start(uri, transfer, checkpoint)

    def pull_checkpoint(self, checkpoint: Checkpoint | None) -> None:
        """The pull has made its bytes durable."""
        self._checkpoint = checkpoint
        self._save()

    def pull_finished(self, transfer: int) -> None:
        """All bytes are staged."""
        self.report(PackageReceived(transfer))

    def pull_failed(self, transfer: int, result: UpdateResult, diagnosis: str) -> None:
        """The pull gave up."""
        self._diagnosis = diagnosis
        self.report(TransferFailed(result, diagnosis, transfer))

    # -- installation

    def _spawn(self, activity: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(activity)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(show_failure)

    def _to_install(self) -> tuple[VerifiedPackage, SealedImage]:
        package = self._verified or self._staging.verify_again()
        image = self._staging.sealed
        if image is None:
            raise StorageError("the sealed image is gone")
        return package, image

    async def _install(self, attempt: int) -> None:
        await asyncio.sleep(self._settings.settle_s)
        try:
            package, image = self._to_install()
            await self._offload(lambda: self._installer.write(package, image, attempt))
            await asyncio.sleep(self._settings.settle_s)
            await self._offload(lambda: self._installer.apply(attempt))
        except PackageError as error:
            self._diagnosis = str(error)
            self.report(InstallFailed(UpdateResult.INTEGRITY_FAILURE, image_kept=False, attempt=attempt))
        except Exception as error:
            self._diagnosis = str(error) or repr(error)
            self.report(InstallFailed(attempt=attempt))
            if not isinstance(error, FotaError):
                raise  # a fault of the installer: shown by the loop, but the update does not hang on it
        else:
            self._reboot()

    def _arm_deferral(self, pause_s: float = 0.0) -> None:
        if self._deferral_timer is not None:
            self._deferral_timer.cancel()
            self._deferral_timer = None
        deadline = next_deadline(self._object.machine)
        if deadline is None:
            return
        wall = self._wall()
        wait_s = _CLOCK_LOOK_S if wall is None else min(max(deadline - wall, pause_s), _CLOCK_LOOK_S)
        self._deferral_timer = asyncio.get_running_loop().call_later(wait_s, self._deferral_due)

    def _deferral_due(self) -> None:
        self._deferral_timer = None
        if self.report(ClockRead()) is not None:
            self._arm_deferral(_SAVE_AGAIN_S)
