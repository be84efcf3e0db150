"""Drives one pull: the download machine decides, a fetcher brings the bytes, the staging area takes them."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol, final

from lwm2m_fota.device.fetch import PackageFetcher
from lwm2m_fota.device.hosts import AllowedHosts
from lwm2m_fota.device.staging import Staging
from lwm2m_fota.device.tasks import show_failure
from lwm2m_fota.errors import (
    FotaError,
    HostNotAllowedError,
    MissingCredentialError,
    PackageError,
    PackageTooLargeError,
    ResponseError,
    StorageError,
    TransportError,
    UnsupportedProtocolError,
    UriError,
)
from lwm2m_fota.machines.download import (
    ACTIVE,
    Checkpoint,
    DownloadMachine,
    DownloadPolicy,
    DownloadStep,
    Phase,
    handle_timeout,
    next_deadline,
    step,
)
from lwm2m_fota.machines.download_words import (
    BlockStored,
    BodyChanged,
    ConnectionLost,
    CredentialMissing,
    DownloadEffect,
    DownloadEvent,
    DropCheckpoint,
    Fail,
    Fetch,
    Finish,
    PeerRefused,
    ResolutionFailed,
    Resolve,
    Resolved,
    SaveCheckpoint,
    Started,
    StopFetch,
    Stopped,
    StorageFull,
    TooLarge,
    TruncateStage,
)
from lwm2m_fota.model.enums import UpdateResult

_LOG: Final = logging.getLogger(__name__)


class PullListener(Protocol):
    """Hears how a pull goes."""

    def pull_checkpoint(self, checkpoint: Checkpoint | None) -> None:
        """The bytes up to here are durable: keep this; or, with None, forget what was kept."""
        ...

    def pull_finished(self, transfer: int) -> None:
        """All bytes are staged."""
        ...

    def pull_failed(self, transfer: int, result: UpdateResult, diagnosis: str) -> None:
        """The pull gave up."""
        ...


class _EndOfFetchError(FotaError):
    """Raised by the sink to end a fetch whose end the machine already knows."""


@final
class Pull:
    """The pull of a device; one at a time.

    Args:
        staging: takes the bytes.
        fetchers: bring them; the first that speaks the scheme is used.
        policy: retries and limits.
        listener: hears how it goes.
        chance: a random number, 0 <= chance < 1, for the jitter of retries.
        hosts: from where it fetches; None for every host.
    """

    def __init__(
        self,
        staging: Staging,
        fetchers: Sequence[PackageFetcher],
        policy: DownloadPolicy,
        listener: PullListener,
        chance: Callable[[], float],
        hosts: AllowedHosts | None = None,
    ) -> None:
        self._staging = staging
        self._fetchers = {scheme: fetcher for fetcher in reversed(fetchers) for scheme in fetcher.schemes}
        self._policy = policy
        self._hosts = hosts
        self._listener = listener
        self._chance = chance
        self._machine = DownloadMachine()
        self._transfer = 0
        self._begin = 0  # what was staged before the URI that is fetched
        self._sink: _Sink | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def machine(self) -> DownloadMachine:
        """The pull as it stands."""
        return self._machine

    def start(self, uri: str, transfer: int, checkpoint: Checkpoint | None) -> None:
        """Begin a pull, or take it up where the checkpoint says.

        Raises:
            StorageError: the staging area failed.
        """
        self.cancel()
        if checkpoint is not None and not (checkpoint.uri == uri and self._resumes(checkpoint)):
            checkpoint = None
            self._staging.open(None)
        self._transfer = transfer
        self._begin = 0
        if checkpoint is not None and self._staging.size_bytes > checkpoint.offset:
            checkpoint = self._checkpoint(uri, checkpoint.etag)
            self._listener.pull_checkpoint(checkpoint)
        self._begin_with(uri, checkpoint)

    def _begin_with(self, uri: str, checkpoint: Checkpoint | None) -> None:
        self._machine = DownloadMachine()
        try:
            self.check_host(uri)
        except HostNotAllowedError as error:
            self._listener.pull_failed(self._transfer, UpdateResult.INVALID_URI, _not_allowed(error))
        else:
            self._feed(Started(uri, frozenset(self._fetchers), checkpoint))

    def check_host(self, uri: str) -> None:
        """Whether anything is fetched from there.

        Raises:
            HostNotAllowedError: nothing is.
        """
        if self._hosts is not None:
            self._hosts.check(uri)

    def _resumes(self, checkpoint: Checkpoint) -> bool:
        try:
            return self._staging.resume(checkpoint.offset, checkpoint.sha256, checkpoint.boot_id)
        except PackageError:
            return False

    def _checkpoint(self, uri: str, etag: bytes) -> Checkpoint:
        """Make what is staged durable."""
        offset, sha256 = self._staging.checkpoint()
        return Checkpoint(uri, etag, offset, sha256, self._staging.boot_id)

    def cancel(self) -> None:
        """Stop without a word to the listener; harmless if nothing runs."""
        self._machine = step(self._machine, Stopped(), self._policy, self._now()).machine
        self._stop_fetch()
        self._arm()

    async def stop(self) -> None:
        """Stop, and wait for the fetch to be gone; a restart goes on with the very next block."""
        task, machine = self._task, self._machine
        self.cancel()
        if task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if machine.phase in ACTIVE and machine.etag is not None and machine.offset > machine.saved and not self._begin:
            with contextlib.suppress(StorageError):  # the checkpoint before stands
                self._listener.pull_checkpoint(self._checkpoint(machine.uri, machine.etag))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # -- the machine

    def _feed(self, event: DownloadEvent) -> None:
        self._take(step(self._machine, event, self._policy, self._now(), self._chance()))

    def _take(self, taken: DownloadStep) -> None:
        self._machine = taken.machine
        try:
            for effect in taken.effects:
                self._carry_out(effect)
        except StorageError as error:
            self._feed(StorageFull(str(error)))
        except PackageError as error:
            self._refuse(error)
        self._arm()

    def _refuse(self, error: PackageError) -> None:
        """What came can be no part of a package that would be installed: no retry helps."""
        self.cancel()
        result = error.result or UpdateResult.INTEGRITY_FAILURE
        self._listener.pull_failed(self._transfer, result, f"pull.package-refused: {error}")

    def _arm(self) -> None:
        deadline = next_deadline(self._machine, self._policy)
        timer = self._timer
        if timer is not None:
            if deadline is not None and timer.when() <= deadline:
                return  # it fires early and looks again
            timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._time_passed)

    def _time_passed(self) -> None:
        self._timer = None
        self._take(handle_timeout(self._machine, self._policy, self._now()))

    def _carry_out(self, effect: DownloadEffect) -> None:
        match effect:
            case Resolve():
                self._run(self._resolve(self._machine.uri))
            case Fetch(uri, offset, etag):
                sink = _Sink(self)
                self._run(self._fetch(uri, offset, etag, sink))
                self._sink = sink
            case StopFetch():
                self._stop_fetch()
            case TruncateStage(offset):
                self._staging.rewind(self._begin + offset)
            case SaveCheckpoint() if self._begin:
                pass  # after a restart the package is fetched anew, from where it begins
            case SaveCheckpoint(uri, etag, _):
                self._listener.pull_checkpoint(self._checkpoint(uri, etag))
            case DropCheckpoint():
                self._listener.pull_checkpoint(None)
            case Finish():
                self._finished()
            case Fail(result, diagnosis):
                self._listener.pull_failed(self._transfer, result, diagnosis)

    def _finished(self) -> None:
        """Everything has come of one URI; what the package has elsewhere is fetched likewise."""
        uri = self._staging.awaited_uri
        if uri is None:
            self._listener.pull_finished(self._transfer)
            return
        if not self._begin:
            self._listener.pull_checkpoint(None)
        self._begin = self._staging.size_bytes
        self._begin_with(uri, None)

    # -- fetching

    def _run(self, activity: "asyncio._CoroutineLike[None]") -> None:
        self._stop_fetch()
        self._task = asyncio.get_running_loop().create_task(activity)
        self._task.add_done_callback(show_failure)

    def _stop_fetch(self) -> None:
        task, self._task = self._task, None
        self._sink = None
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def _fetcher(self, uri: str) -> PackageFetcher:
        scheme = uri.partition(":")[0].lower()
        fetcher = self._fetchers.get(scheme)
        if fetcher is None:
            raise UnsupportedProtocolError(f"{scheme} is not fetched here")
        return fetcher

    async def _resolve(self, uri: str) -> None:
        try:
            await self._fetcher(uri).resolve(uri)
        except MissingCredentialError as error:
            self._feed(CredentialMissing(str(error)))
        except TransportError as error:
            self._interrupted(ConnectionLost(str(error)), str(error))
        except Exception as error:
            self._feed(ResolutionFailed(str(error) or repr(error)))
            if not isinstance(error, FotaError):
                raise  # a fault of the fetcher: shown by the loop, but the pull does not hang on it
        else:
            self._feed(Resolved())

    async def _fetch(self, uri: str, offset: int, etag: bytes | None, sink: "_Sink") -> None:
        try:
            await self._fetcher(uri).fetch(uri, sink, offset=offset, etag=etag)
        except _EndOfFetchError:
            pass
        except ResponseError as error:
            self._interrupted(PeerRefused(error.response_code, error.retry_after_s), str(error))
        except MissingCredentialError as error:
            self._feed(CredentialMissing(str(error)))
        except UriError as error:
            self._feed(ResolutionFailed(str(error)))
        except Exception as error:
            reason = str(error) or repr(error)
            self._interrupted(ConnectionLost(reason), reason)
            if not isinstance(error, FotaError):
                raise  # as above
        else:
            if self._sink is sink:
                reason = "the fetch ended before the package did"
                self._interrupted(ConnectionLost(reason), reason)

    def _interrupted(self, event: DownloadEvent, reason: str) -> None:
        """A fetch has come to nothing; where it is tried again, nobody would hear why it had to be."""
        self._feed(event)
        if self._machine.phase is Phase.WAITING:
            wait_s = self._machine.times.retry - self._now()
            _LOG.warning("a fetch of the package broke off: %s; the next one begins in %.0f s", reason, wait_s)

    def is_current(self, sink: "_Sink") -> bool:
        """False for the sink of a fetch that was stopped: nothing is taken from it any more."""
        return self._sink is sink

    def store(self, offset: int, payload: bytes, etag: bytes | None, size_bytes: int | None, *, last: bool) -> None:
        """Take bytes from the fetcher.

        Raises:
            FotaError: the fetch is to end.
        """
        try:
            if size_bytes is not None and offset == 0:
                self._staging.check_size(self._begin + size_bytes)
            self._staging.add(self._begin + offset, payload)
        except PackageTooLargeError as error:
            self._feed(TooLarge(str(error)))
            raise _EndOfFetchError(str(error)) from error
        except PackageError as error:
            self._refuse(error)
            raise _EndOfFetchError(str(error)) from error
        except StorageError as error:
            self._feed(StorageFull(str(error)))
            raise _EndOfFetchError(str(error)) from error
        self._feed(BlockStored(offset, len(payload), etag, size_bytes, last))
        if not last and self._machine.phase is not Phase.FETCHING:
            raise _EndOfFetchError("the pull has ended")

    def led_on(self, uri: str) -> None:
        """The origin leads on.

        Raises:
            FotaError: the fetch is to end: the device does not go there.
        """
        try:
            self.check_host(uri)
        except HostNotAllowedError as error:
            self.cancel()
            self._listener.pull_failed(self._transfer, UpdateResult.INVALID_URI, _not_allowed(error))
            raise _EndOfFetchError(str(error)) from error

    def changed(self) -> None:
        """The origin has another version.

        Raises:
            FotaError: the fetch is to end; the machine begins another.
        """
        self._feed(BodyChanged())
        raise _EndOfFetchError("the package changed")


def _not_allowed(error: HostNotAllowedError) -> str:
    return f"pull.host-not-allowed: {error}"


@final
class _Sink:
    """The pull as its fetcher sees it."""

    __slots__ = ("_pull",)

    def __init__(self, pull: Pull) -> None:
        self._pull = pull

    def block(self, offset: int, payload: bytes, *, etag: bytes | None, size_bytes: int | None, last: bool) -> None:
        self._check()
        self._pull.store(offset, payload, etag, size_bytes, last=last)

    def restarted(self, reason: str) -> None:
        del reason
        self._check()
        self._pull.changed()

    def leads_on(self, uri: str) -> None:
        self._check()
        self._pull.led_on(uri)

    def _check(self) -> None:
        if not self._pull.is_current(self):
            raise _EndOfFetchError("this fetch was stopped")
