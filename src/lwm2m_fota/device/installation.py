"""The way of a batch through the installer: written, applied, on trial, confirmed."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, final

from lwm2m_fota.device.installer import BatchInstaller, BatchReport, BootStatus, Part
from lwm2m_fota.device.settings import FirmwareSettings, Offload
from lwm2m_fota.device.tasks import show_failure
from lwm2m_fota.errors import DependencyError, FotaError, PackageError
from lwm2m_fota.machines.coordinator_events import BatchFailed
from lwm2m_fota.machines.events import BootOutcome
from lwm2m_fota.model.enums import UpdateResult
from lwm2m_fota.package.verdicts import Refusal, result_of

BOOT_OUTCOMES: Final = {
    BootStatus.NORMAL: BootOutcome.NONE,
    BootStatus.UNAPPLIED: BootOutcome.NONE,
    BootStatus.PENDING: BootOutcome.PENDING,
    BootStatus.CONFIRMED: BootOutcome.CONFIRMED,
    BootStatus.REVERTED: BootOutcome.REVERTED,
    BootStatus.REJECTED: BootOutcome.REJECTED,
}


class InstallationListener(Protocol):
    """Knows what is to be installed, and hears what becomes of it."""

    def part(self, instance: int) -> Part:
        """What is to be installed in one component.

        Raises:
            PackageError: it must not be.
            StorageError: it is not there any more, or cannot be read.
        """
        ...

    def batch_failed(self, instances: tuple[int, ...], failure: BatchFailed, diagnosis: str) -> None:
        """All of these run what they ran before."""
        ...


@final
class Installation:
    """Drives an installer.

    Args:
        installer: does the work.
        settings: times.
        offload: runs its blocking calls.
        reboot: restarts the device.
        listener: knows what is to be installed.
    """

    def __init__(
        self,
        installer: BatchInstaller,
        settings: FirmwareSettings,
        offload: Offload,
        reboot: Callable[[], None],
        listener: InstallationListener,
    ) -> None:
        self._installer = installer
        self._settle_s = settings.settle_s
        self._trial_limit_s = settings.trial_limit_s
        self._offload = offload
        self._reboot = reboot
        self._listener = listener
        self._tasks: set[asyncio.Task[None]] = set()
        self._trial_timer: asyncio.TimerHandle | None = None

    @property
    def report(self) -> BatchReport:
        """How the device came up.

        Raises:
            StorageError, SnapshotError: the boot record cannot be read.
        """
        return self._installer.boot_report()

    def begin(self, attempt: int, instances: tuple[int, ...]) -> None:
        """Install these components, soon; it ends in a reboot, or in a failure that the listener hears."""
        task = asyncio.get_running_loop().create_task(self._install(attempt, instances))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(show_failure)

    async def _install(self, attempt: int, instances: tuple[int, ...]) -> None:
        await asyncio.sleep(self._settle_s)
        blamed: tuple[int, ...] = ()
        try:
            for instance in instances:
                blamed = (instance,)
                await self._write(self._listener.part(instance), attempt)
            blamed = ()
            await asyncio.sleep(self._settle_s)
            await self._offload(lambda: self._installer.apply(attempt, instances))
        except Exception as error:
            self._listener.batch_failed(instances, _failure(error, blamed, attempt), str(error) or repr(error))
            if not isinstance(error, FotaError):
                raise  # a fault of the installer: shown by the loop, but the update does not hang on it
        else:
            self._reboot()

    async def _write(self, part: Part, attempt: int) -> None:
        await self._offload(lambda: self._installer.write(part, attempt))

    # -- the trial

    def on_trial(self) -> None:
        """New firmware runs: it has so long to show that it is healthy."""
        self._trial_timer = asyncio.get_running_loop().call_later(self._trial_limit_s, self._give_up)

    def confirm(self) -> int | None:
        """Keep what runs on trial; the attempt that is confirmed now or was before, None if there is none.

        Raises:
            StorageError, SnapshotError: the boot record cannot be read or written.
        """
        report = self._installer.boot_report()
        if report.status not in {BootStatus.PENDING, BootStatus.CONFIRMED}:
            return None
        if report.status is BootStatus.PENDING:
            self._installer.confirm()
        self._stop_trial()
        return report.attempt

    def acknowledge(self) -> None:
        """The outcome is recorded.

        Raises:
            StorageError, SnapshotError: the boot record cannot be read or written.
        """
        self._installer.acknowledge()

    def _give_up(self) -> None:
        self._trial_timer = None
        self._reboot()

    def _stop_trial(self) -> None:
        if self._trial_timer is not None:
            self._trial_timer.cancel()
            self._trial_timer = None

    async def stop(self) -> None:
        """Stop; a call to the installer that runs elsewhere goes on to its end."""
        self._stop_trial()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _failure(error: Exception, blamed: tuple[int, ...], attempt: int) -> BatchFailed:
    if isinstance(error, DependencyError):
        return BatchFailed(UpdateResult.DEPENDENCY_ERROR, error.instances, attempt=attempt)
    if isinstance(error, PackageError):
        is_old = error.reason == Refusal.ROLLBACK.value
        result = result_of(Refusal.ROLLBACK, at_update=True) if is_old else UpdateResult.INTEGRITY_FAILURE
        return BatchFailed(result, blamed, attempt=attempt)
    return BatchFailed(attempt=attempt)
