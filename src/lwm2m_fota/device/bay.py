"""Where a package comes in: pushed or pulled, one at a time, stored and verified in the same pass."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol, final

from lwm2m_fota.device.fetch import PackageFetcher
from lwm2m_fota.device.pull import Pull, PullListener
from lwm2m_fota.device.settings import FirmwareSettings
from lwm2m_fota.device.staging import Staging
from lwm2m_fota.errors import StorageError
from lwm2m_fota.machines.coordinator_state import Stage
from lwm2m_fota.machines.download_words import Checkpoint
from lwm2m_fota.machines.events import StagedImage
from lwm2m_fota.model.enums import UpdateResult
from lwm2m_fota.package.types import VerifiedPackage
from lwm2m_fota.storage.base import SealedImage


class BayListener(Protocol):
    """Hears what becomes of the package in a bay."""

    def checkpoint_moved(self) -> None:
        """The bytes of a pull are durable up to another point: keep `Bay.checkpoint`."""
        ...

    def package_received(self, stage: Stage) -> None:
        """All bytes of a pull are staged."""
        ...

    def package_lost(self, stage: Stage, result: UpdateResult, diagnosis: str) -> None:
        """The transfer gave up."""
        ...


@final
class Bay(PullListener):
    """One staging area, with the transfer that fills it.

    Args:
        staging: the area.
        fetchers: for pulls.
        settings: times and limits.
        listener: hears what becomes of the package.
        chance: random numbers, 0 <= chance < 1, for the jitter of retries.

    Attributes:
        stage: the name of the package that is in here, or comes in; None if there is none.
        checkpoint: where a pull goes on after a restart.
        package: what the staged bytes are, once they are verified in this process.
    """

    def __init__(
        self,
        staging: Staging,
        fetchers: Sequence[PackageFetcher],
        settings: FirmwareSettings,
        listener: BayListener,
        chance: Callable[[], float],
    ) -> None:
        self._staging = staging
        self._listener = listener
        self._patience_s = settings.push_no_progress_s
        self._pull = Pull(staging, fetchers, settings.download, self, chance, settings.allowed_hosts)
        self._push_timer: asyncio.TimerHandle | None = None
        self._push_heard = 0.0
        self.stage: Stage | None = None
        self.checkpoint: Checkpoint | None = None
        self.package: VerifiedPackage | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes that are staged."""
        return self._staging.size_bytes

    @property
    def limit_bytes(self) -> int:
        """The largest package that is taken."""
        return self._staging.limit_bytes

    @property
    def found(self) -> StagedImage:
        """What the store shows."""
        if self._staging.sealed is not None:
            return StagedImage.SEALED
        return StagedImage.PARTIAL if self._staging.size_bytes else StagedImage.MISSING

    def assign(self, stage: Stage, checkpoint: Checkpoint | None = None) -> None:
        """From now on this package is what is in here."""
        if stage != self.stage:
            self.stage, self.checkpoint, self.package = stage, checkpoint, None

    # -- transfers

    def open(self, size_bytes: int | None, *, pushed: bool) -> None:
        """Begin an empty stage.

        Raises:
            PackageError, StorageError: there is no room for it.
        """
        self.checkpoint = self.package = None
        self._staging.open(size_bytes)
        if pushed:
            self._watch_push()

    def add(self, offset: int, payload: bytes) -> None:
        """Stage the next bytes of a push.

        Raises:
            PackageError, StorageError: they cannot belong to a package that is accepted, or cannot be stored.
        """
        self._staging.add(offset, payload)

    def heard(self, now: float) -> None:
        """A block of a push has come, at this time of the loop."""
        self._push_heard = now

    def pull(self, uri: str, *, resume: bool) -> None:
        """Begin a pull, or go on from the checkpoint.

        Raises:
            StorageError: the staging area failed.
        """
        self._pull.start(uri, self._named.transfer, self.checkpoint if resume else None)

    def verify(self) -> VerifiedPackage:
        """All bytes are there: seal them and say what they are.

        Raises:
            PackageError: it must not be installed.
            StorageError: the store failed.
        """
        self._stop_push_timer()
        self.package = self._staging.verify_again() if self._staging.sealed is not None else self._staging.finish()
        return self.package

    def contents(self) -> tuple[VerifiedPackage, SealedImage]:
        """What may be installed; after a restart the sealed bytes are hashed anew first.

        Raises:
            PackageError: it must not be installed.
            StorageError: the store failed, or the sealed bytes are gone.
        """
        self.package = self.package or self._staging.verify_again()
        image = self._staging.sealed
        if image is None:
            raise StorageError("the sealed image is gone")
        return self.package, image

    def halt(self) -> None:
        """Take nothing more."""
        self._stop_push_timer()
        self._pull.cancel()

    def discard(self) -> None:
        """Forget the package; a store that fails now is asked again by the next package, or the next start."""
        self.stage = self.checkpoint = self.package = None
        with contextlib.suppress(StorageError):
            self._staging.discard()

    async def stop(self) -> None:
        """Stop, and wait for the end of it; what is staged stays."""
        self._stop_push_timer()
        await self._pull.stop()

    @property
    def _named(self) -> Stage:
        if self.stage is None:
            raise AssertionError("a bay is assigned before it is used")
        return self.stage

    # -- pushes

    def _watch_push(self) -> None:
        self._stop_push_timer()
        loop = asyncio.get_running_loop()
        self._push_heard = loop.time()
        self._push_timer = loop.call_later(self._patience_s, self._look_at_push)

    def _look_at_push(self) -> None:
        loop = asyncio.get_running_loop()
        due = self._push_heard + self._patience_s
        if due > loop.time():
            self._push_timer = loop.call_at(due, self._look_at_push)
            return
        self._push_timer = None
        diagnosis = "push.no-progress: the server stopped sending"
        self._listener.package_lost(self._named, UpdateResult.CONNECTION_LOST, diagnosis)

    def _stop_push_timer(self) -> None:
        if self._push_timer is not None:
            self._push_timer.cancel()
            self._push_timer = None

    # -- pulls

    def pull_checkpoint(self, checkpoint: Checkpoint | None) -> None:
        """The pull has made its bytes durable."""
        self.checkpoint = checkpoint
        self._listener.checkpoint_moved()

    def pull_finished(self, transfer: int) -> None:
        """All bytes are staged."""
        self._listener.package_received(self._named._replace(transfer=transfer))

    def pull_failed(self, transfer: int, result: UpdateResult, diagnosis: str) -> None:
        """The pull gave up."""
        self._listener.package_lost(self._named._replace(transfer=transfer), result, diagnosis)
