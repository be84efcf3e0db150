"""The firmware of a device as a LwM2M object: it carries out what the machine of Object 5 decides.

It can be put into any LwM2M client: give it operations, pass its answers on, and tell observers what it says has
changed.
"""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import Enum
from typing import Final, final

import attrs

from lwm2m_fota.device.fetch import PackageFetcher
from lwm2m_fota.device.installer import BootReport, BootStatus, Installer
from lwm2m_fota.device.pull import Pull, PullListener
from lwm2m_fota.device.staging import Staging
from lwm2m_fota.errors import FotaError, PackageError, SnapshotError, StorageError
from lwm2m_fota.lwm2m.firmware_object import PACKAGE_PATH, DeviceEffect, EndPush, FirmwareObject, StageBlock
from lwm2m_fota.lwm2m.objects import ChangeListener
from lwm2m_fota.lwm2m.operations import Answer, Operation, WriteBlock
from lwm2m_fota.machines.download_words import Checkpoint, DownloadPolicy
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
    Event,
    Found,
    InstallFailed,
    InstallSucceeded,
    PackageReceived,
    PackageVerified,
    StagedImage,
    TransferFailed,
)
from lwm2m_fota.machines.firmware import Step, handle_timeout, next_deadline
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.snapshot import recover, restore, snapshot
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import ObjectDefinition
from lwm2m_fota.package.trust import Trust
from lwm2m_fota.package.types import VerifiedPackage
from lwm2m_fota.storage.base import ImageStore, StateStore

_SCHEMA: Final = 1
Offload = Callable[[Callable[[], None]], Awaitable[None]]

_BOOT_OUTCOMES: Final = {
    BootStatus.NORMAL: BootOutcome.NONE,
    BootStatus.UNAPPLIED: BootOutcome.NONE,
    BootStatus.PENDING: BootOutcome.PENDING,
    BootStatus.CONFIRMED: BootOutcome.CONFIRMED,
    BootStatus.REVERTED: BootOutcome.REVERTED,
}


@final
class InterruptedInstall(Enum):
    """What becomes of an installation that a restart cut off before the boot loader was told.

    FINISH goes on with it, after hashing the sealed image anew: nothing was applied, so it is still the one
    installation that Execute asked for. FAIL reports Result 8.
    """

    FINISH = "finish"
    FAIL = "fail"


@final
@attrs.frozen(kw_only=True)
class FirmwareSettings:
    """How the firmware of a device behaves.

    Attributes:
        download: retries and limits of a pull.
        push_no_progress_s: a push that brings no block for so long has lost its connection (Result 4).
        settle_s: the wait between an accepted Execute and the installation, and again before the reboot, so that
            answers and notifications get out.
        trial_limit_s: how long a new image may run on trial before it must have shown that it is healthy.
        interrupted_install: see `InterruptedInstall`.
    """

    download: DownloadPolicy = attrs.field(factory=DownloadPolicy)
    push_no_progress_s: float = 247.0
    settle_s: float = 0.2
    trial_limit_s: float = 600.0
    interrupted_install: InterruptedInstall = InterruptedInstall.FINISH


async def run_here(action: Callable[[], None]) -> None:
    """Carry out a blocking action in the loop's own thread."""
    action()


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
        if isinstance(operation, WriteBlock):
            self._push_heard = now
        handled = self._object.handle(operation, self._wall())
        failure = self._carry_out(handled.effects)
        if failure is not None:
            raise failure
        return handled.answer

    # -- life

    async def start(self) -> None:
        """Take up what a restart left: resume a pull, judge a boot, finish an installation.

        Raises:
            StorageError: a store or the boot record cannot be read.
            SnapshotError: what is stored is damaged.
        """
        report = self._installer.boot_report()
        self._load()
        if self._installs_again(report):
            self._spawn(self._install(self._object.machine.attempt))
            return
        found = Found(image=self._staged(), boot=_BOOT_OUTCOMES[report.status], attempt=report.attempt or 0)
        self._take(recover(self._object.machine, found, self._object.profile, self._wall()))
        if report.status is BootStatus.PENDING:
            self._trial_timer = asyncio.get_running_loop().call_later(self._settings.trial_limit_s, self._give_up_trial)
        elif report.status is not BootStatus.NORMAL:
            self._installer.acknowledge()

    async def stop(self) -> None:
        """Stop all activity; what is staged and stored stays for the next start."""
        for timer in (self._push_timer, self._deferral_timer, self._trial_timer):
            if timer is not None:
                timer.cancel()
        await self._pull.stop()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def healthy(self) -> None:
        """The health check of a new image has passed: keep it. Harmless at any other time.

        Raises:
            StorageError: the boot record or the state cannot be written.
        """
        report = self._installer.boot_report()
        if report.status is not BootStatus.PENDING:
            return
        if self._trial_timer is not None:
            self._trial_timer.cancel()
            self._trial_timer = None
        self._installer.confirm()
        self.report(InstallSucceeded(report.attempt))
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

    def _load(self) -> None:
        data = self._state.load()
        if data is None:
            return
        try:
            plain = json.loads(data)
            if plain["schema"] != _SCHEMA:
                raise SnapshotError("the stored state is of another schema")
            machine, checkpoint = plain["machine"], plain["checkpoint"]
        except (ValueError, KeyError, TypeError) as error:
            raise SnapshotError(f"the stored state is damaged: {error}") from error
        self._object.machine = restore(machine)
        self._checkpoint = None if checkpoint is None else Checkpoint.from_plain(checkpoint)

    def _save(self) -> None:
        checkpoint = None if self._checkpoint is None else self._checkpoint.to_plain()
        plain = {"schema": _SCHEMA, "machine": snapshot(self._object.machine), "checkpoint": checkpoint}
        self._state.save(json.dumps(plain).encode())

    # -- the machine's effects

    def report(self, event: Event) -> FotaError | None:
        """Give the machine an event of the device's own, and do what it asks; an error if something of that failed."""
        return self._take(self._object.apply(event, self._wall()))

    def _take(self, taken: Step) -> FotaError | None:
        self._object.machine = taken.machine
        return self._carry_out(taken.effects)

    def _carry_out(self, effects: Sequence[DeviceEffect]) -> FotaError | None:
        for effect in effects:
            try:
                failure = self._one(effect)
            except FotaError as error:
                failure = error
                self.report(self._failure_of(error))
            if failure is not None:
                return failure
        self._arm_deferral()
        return None

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
                self._staging.discard()
            case BeginInstall(attempt):
                self._spawn(self._install(attempt))
        return None

    def _failure_of(self, error: FotaError) -> Event:
        self._diagnosis = str(error)
        if self.state is State.UPDATING:
            return InstallFailed()
        result = error.result if error.result in TRANSFER_FAILURES else UpdateResult.NOT_ENOUGH_STORAGE
        return TransferFailed(result or UpdateResult.NOT_ENOUGH_STORAGE, self._diagnosis)

    def _notify(self, resource_ids: tuple[int, ...]) -> None:
        paths = [Path.of(5, 0, resource_id) for resource_id in resource_ids]
        for listener in self._listeners:
            listener(paths)

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

    async def _install(self, attempt: int) -> None:
        await asyncio.sleep(self._settings.settle_s)
        try:
            package = self._verified or self._staging.verify_again()
            image = self._staging.sealed
            if image is None:
                raise StorageError("the sealed image is gone")
            await self._offload(lambda: self._installer.write(package, image, attempt))
            await asyncio.sleep(self._settings.settle_s)
            await self._offload(lambda: self._installer.apply(attempt))
        except PackageError as error:
            self._diagnosis = str(error)
            self.report(InstallFailed(UpdateResult.INTEGRITY_FAILURE, image_kept=False, attempt=attempt))
        except FotaError as error:
            self._diagnosis = str(error)
            self.report(InstallFailed(attempt=attempt))
        else:
            self._reboot()

    def _arm_deferral(self) -> None:
        if self._deferral_timer is not None:
            self._deferral_timer.cancel()
            self._deferral_timer = None
        deadline, wall = next_deadline(self._object.machine), self._wall()
        if deadline is None or wall is None:
            return
        # wall clocks jump: look again at least once an hour
        wait = min(max(deadline - wall, 0.0), 3600.0)
        self._deferral_timer = asyncio.get_running_loop().call_later(wait, self._deferral_due)

    def _deferral_due(self) -> None:
        self._deferral_timer = None
        self._take(handle_timeout(self._object.machine, self._object.profile, self._wall()))
        self._arm_deferral()
