"""Runs updates: it carries out what the update machine decides, against a device gateway and a package host."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, final

from lwm2m_fota.errors import FotaError, ResponseError, SnapshotError, StorageError, UsageError
from lwm2m_fota.lwm2m.registration import RegistrationSettings
from lwm2m_fota.lwm2m.registry import Registration
from lwm2m_fota.machines import update
from lwm2m_fota.machines.update_effects import (
    ClearUri,
    Execute,
    Finished,
    Note,
    Observe,
    PublishPackage,
    Push,
    Read,
    Report,
    StopPush,
    Unobserve,
    UpdateEffect,
    WithdrawPackage,
    WriteNul,
    WriteUri,
)
from lwm2m_fota.machines.update_events import (
    CancelRequested,
    Deregistered,
    ExecuteAnswered,
    Lapsed,
    Notified,
    ObserveAnswered,
    PullProgress,
    PushAnswered,
    PushProgress,
    ReadAnswered,
    ReadFailed,
    Registered,
    RequestFailed,
    Restarted,
    UpdateEvent,
    WriteAnswered,
)
from lwm2m_fota.machines.update_outcome import Outcome
from lwm2m_fota.machines.update_policy import UpdatePlan
from lwm2m_fota.machines.update_snapshot import restore, snapshot
from lwm2m_fota.machines.update_state import UpdateMachine
from lwm2m_fota.machines.update_why import Why, why
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.paths import Path
from lwm2m_fota.server.ports import DeviceGateway, Joined, PackageHost, Presence, Publication, Subscription
from lwm2m_fota.storage.base import PackageSource, StateStore

_RESET_PACKAGE: Final = b"\x00"
_PROGRESS_S: Final = 0.2
"""Progress is told to the machine at most this often; the limits it feeds are hundreds of seconds."""

NoteListener = Callable[[Note], None]
_ACCEPTED: Final = int(Code.CHANGED)


def check_package(source: PackageSource) -> None:
    """Refuse what no device takes for a package: nothing at all, and the single NUL byte that means reset.

    Raises:
        UsageError: it is one of these.
        StorageError: it cannot be read.
    """
    if source.size_bytes == 0:
        raise UsageError("an empty file is no package")
    if source.size_bytes == 1 and source.read_at(0, 1) == _RESET_PACKAGE:
        raise UsageError("a package of one NUL byte means reset (Object 5, resource 0)")


@final
class RunningUpdate:
    """One update of one device; made by `Updater.start`.

    Attributes:
        endpoint: the device.
        plan: what is to be done.
    """

    def __init__(
        self,
        endpoint: str,
        machine: UpdateMachine,
        *,
        source: PackageSource,
        gateway: DeviceGateway,
        host: PackageHost | None,
        state: StateStore | None,
        listeners: Iterable[NoteListener],
    ) -> None:
        self.endpoint = endpoint
        self.plan = machine.plan
        self._machine = machine
        self._source = source
        self._gateway = gateway
        self._host = host
        self._state = state
        self._listeners = tuple(listeners)
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[Outcome] = self._loop.create_future()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._observed: dict[Path, Subscription] = {}
        self._publication: Publication | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._progress_at = 0.0
        self._presence: Subscription | None = None

    def begin(self, *, restarted: bool) -> None:
        """Learn where the device is; the updater calls this once."""
        self._presence = self._gateway.watch(self.endpoint, self._on_presence)
        self._save()
        if restarted:
            self._feed(Restarted())
        registration = self._gateway.registration(self.endpoint)
        if registration is not None:
            self._feed(_registered(registration))
        self._arm()

    # -- what a user sees

    async def outcome(self) -> Outcome:
        """Wait for the end."""
        return await asyncio.shield(self._ended)

    @property
    def is_running(self) -> bool:
        """False once there is an outcome."""
        return not self._ended.done()

    def why(self) -> Why:
        """What is awaited, since when, the limit, what the device last showed, and what happens next."""
        return why(self._machine, self._loop.time())

    def cancel(self) -> None:
        """Ask for the end of the update; it comes as an outcome."""
        if self.is_running:
            self._feed(CancelRequested())

    def close(self) -> None:
        """Stop driving without an outcome: what is stored can be taken up again by `Updater.resume`."""
        self._stop_driving()
        if not self._ended.done():
            self._ended.cancel()

    # -- events in

    def _on_presence(self, presence: Presence) -> None:
        if isinstance(presence, Joined):
            self._feed(_registered(presence.registration))
        else:
            self._feed(Lapsed() if presence.expired else Deregistered())

    def _feed(self, event: UpdateEvent) -> None:
        if self._ended.done():
            return
        taken = update.step(self._machine, event, self._loop.time())
        self._take(taken)

    def _take(self, taken: update.Step) -> None:
        self._machine = taken.machine
        if taken.effects:
            self._save()
            self._carry_out(taken.effects)
        self._arm()

    def _save(self) -> None:
        if self._state is None:
            return
        try:
            self._state.save(json.dumps(snapshot(self._machine, self._loop.time())).encode())
        except StorageError as error:
            self._stop_driving()
            if not self._ended.done():
                self._ended.set_exception(error)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ended.done():
            return
        deadline = update.next_deadline(self._machine)
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._time_passed)

    def _time_passed(self) -> None:
        self._timer = None
        if not self._ended.done():
            self._take(update.handle_timeout(self._machine, self._loop.time()))

    # -- effects out

    def _carry_out(self, effects: tuple[UpdateEffect, ...]) -> None:
        for effect in effects:
            if self._ended.done():
                return
            self._one(effect)

    def _one(self, effect: UpdateEffect) -> None:  # noqa: C901, PLR0912 - one case for each effect
        gateway, endpoint = self._gateway, self.endpoint
        match effect:
            case Read(command, paths):
                self._run(command, self._read(command, paths))
            case Observe(command, paths):
                self._run(command, self._observe(command, paths))
            case WriteUri(command, path, _):
                self._run(command, self._write_uri(command, path))
            case ClearUri(command, path):
                self._run(command, self._request(command, WriteAnswered, gateway.write(endpoint, path, "")))
            case WriteNul(command, path):
                self._run(command, self._request(command, WriteAnswered, gateway.write(endpoint, path, _RESET_PACKAGE)))
            case Push(command, path):
                progress = self._push_progress(command)
                pushing = gateway.push(endpoint, path, self._source, progress)
                self._run(command, self._request(command, PushAnswered, pushing))
            case Execute(command, path):
                self._run(command, self._request(command, ExecuteAnswered, gateway.execute(endpoint, path)))
            case StopPush(command):
                task = self._tasks.pop(command, None)
                if task is not None:
                    task.cancel()
            case PublishPackage(scheme):
                self._publish(scheme)
            case WithdrawPackage():
                self._withdraw()
            case Unobserve(paths):
                for path in paths:
                    self._unobserve(path)
            case Report(note):
                self._tell(note)

    def _run(self, command: int, activity: "asyncio._CoroutineLike[None]") -> None:
        task = self._loop.create_task(activity)
        self._tasks[command] = task
        task.add_done_callback(lambda _: self._tasks.pop(command, None))

    def _tell(self, note: Note) -> None:
        for listener in self._listeners:
            listener(note)
        if isinstance(note, Finished):
            self._loop.call_soon(self._finish, note.outcome)

    def _finish(self, outcome: Outcome) -> None:
        self._stop_driving()
        if not self._ended.done():
            self._ended.set_result(outcome)

    def _stop_driving(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._presence is not None:
            self._presence.cancel()
        for task in tuple(self._tasks.values()):
            task.cancel()
        for path in tuple(self._observed):
            self._unobserve(path)
        self._withdraw()

    # -- commands

    async def _request(
        self, command: int, answered: Callable[[int, int], UpdateEvent], request: Awaitable[None]
    ) -> None:
        try:
            await request
        except ResponseError as error:
            self._feed(answered(command, error.response_code))
        except FotaError as error:
            self._feed(RequestFailed(command, str(error)))
        else:
            self._feed(answered(command, _ACCEPTED))

    async def _write_uri(self, command: int, path: Path) -> None:
        if self._publication is None:
            self._feed(RequestFailed(command, "the package is not published"))
            return
        writing = self._gateway.write(self.endpoint, path, self._publication.uri)
        await self._request(command, WriteAnswered, writing)

    async def _read(self, command: int, paths: tuple[Path, ...]) -> None:
        values: dict[Path, object] = {}
        failure: ResponseError | None = None
        for group in _grouped(paths):
            try:
                await self._read_group(group, values)
            except ResponseError as error:
                failure = error
            except FotaError as error:
                self._feed(ReadFailed(command, None, str(error)))
                return
        if failure is not None and not values:
            self._feed(ReadFailed(command, failure.response_code, str(failure)))
        else:
            self._feed(ReadAnswered(command, values))

    async def _read_group(self, group: tuple[Path, ...], values: dict[Path, object]) -> None:
        """Read resources of one instance: all at once, or one by one where the device cannot do that."""
        if len(group) > 1:
            try:
                entries = await self._gateway.read(self.endpoint, Path(group[0].ids[:2]))
            except ResponseError:
                pass
            else:
                wanted = set(group)
                values.update({path: value for path, value in entries if Path(path.ids[:3]) in wanted})
                return
        failure: ResponseError | None = None
        for path in group:
            try:
                values.update(await self._gateway.read(self.endpoint, path))
            except ResponseError as error:
                failure = error
        if failure is not None and not any(path in values for path in group):
            raise failure

    async def _observe(self, command: int, paths: tuple[Path, ...]) -> None:
        worst = int(Code.CONTENT)
        for path in paths:
            self._unobserve(path)
            try:
                entries, subscription = await self._gateway.observe(self.endpoint, path, self._notified)
            except ResponseError as error:
                worst = max(worst, error.response_code)
                continue
            except FotaError as error:
                self._feed(RequestFailed(command, str(error)))
                return
            self._observed[path] = subscription
            self._notified(entries)
        self._feed(ObserveAnswered(command, worst))

    def _notified(self, entries: Iterable[tuple[Path, object]]) -> None:
        for path, value in entries:
            self._feed(Notified(path, value))

    def _unobserve(self, path: Path) -> None:
        subscription = self._observed.pop(path, None)
        if subscription is not None:
            subscription.cancel()

    def _push_progress(self, command: int) -> Callable[[int], None]:
        def progress(sent_bytes: int) -> None:
            if self._is_time_for_progress(sent_bytes):
                self._feed(PushProgress(command, sent_bytes))

        return progress

    def _pull_progress(self, served_bytes: int) -> None:
        if self._is_time_for_progress(served_bytes):
            self._loop.call_soon(self._feed, PullProgress(served_bytes))

    def _is_time_for_progress(self, done_bytes: int) -> bool:
        now = self._loop.time()
        if done_bytes < self._source.size_bytes and now - self._progress_at < _PROGRESS_S:
            return False
        self._progress_at = now
        return True

    def _publish(self, scheme: str) -> None:
        self._withdraw()
        if self._host is None:
            return
        try:
            self._publication = self._host.publish(self._source, scheme, self._pull_progress)
        except StorageError:
            self._publication = None  # the write that follows reports it

    def _withdraw(self) -> None:
        if self._publication is not None and self._host is not None:
            self._host.withdraw(self._publication.token)
        self._publication = None


def _registered(registration: Registration) -> Registered:
    versions = {object_id: version or "1.0" for object_id, version in registration.objects.items()}
    return Registered(object_versions=versions, epoch=registration.epoch)


def _grouped(paths: tuple[Path, ...]) -> list[tuple[Path, ...]]:
    groups: dict[tuple[int, ...], list[Path]] = {}
    for path in paths:
        groups.setdefault(path.ids[:2], []).append(path)
    return [tuple(group) for group in groups.values()]


@final
class Updater:
    """Starts updates.

    Args:
        gateway: reaches devices; `Lwm2mServer` is one.
        host: serves packages to devices that pull; None if there are only pushes.
    """

    def __init__(self, gateway: DeviceGateway, host: PackageHost | None = None) -> None:
        self._gateway = gateway
        self._host = host
        self._running: dict[str, RunningUpdate] = {}

    @property
    def schemes(self) -> tuple[str, ...]:
        """The URI schemes that a plan can name."""
        return () if self._host is None else self._host.schemes

    def running(self, endpoint: str) -> RunningUpdate | None:
        """The update that runs on this device."""
        found = self._running.get(endpoint)
        return found if found is not None and found.is_running else None

    def start(
        self,
        endpoint: str,
        source: PackageSource,
        plan: UpdatePlan | None = None,
        *,
        state: StateStore | None = None,
        listeners: Iterable[NoteListener] = (),
    ) -> RunningUpdate:
        """Begin an update; the device need not be registered yet.

        Args:
            endpoint: the device.
            source: the package.
            plan: what to do; by default whatever method the device offers.
            state: keeps the update across restarts of this process.
            listeners: hear every note of the update, as it happens.

        Raises:
            UsageError: the package is empty or a reset, its size is not the plan's, or an update of this device
                already runs.
            StorageError: the package cannot be read, or the state cannot be saved.
        """
        check_package(source)
        plan = plan or UpdatePlan(package_bytes=source.size_bytes, schemes=self.schemes)
        if plan.package_bytes != source.size_bytes:
            raise UsageError("the plan is for another package")
        machine = update.start(plan, asyncio.get_running_loop().time())
        return self._begin(endpoint, machine, source, state, listeners, restarted=False)

    def resume(
        self,
        endpoint: str,
        source: PackageSource,
        state: StateStore,
        *,
        listeners: Iterable[NoteListener] = (),
    ) -> RunningUpdate:
        """Take up an update after a restart of this process: the device is read before anything is sent again.

        Raises:
            UsageError: an update of this device already runs.
            StorageError, SnapshotError: there is nothing stored, or it cannot be read.
        """
        data = state.load()
        if data is None:
            raise StorageError("no update is stored")
        try:
            plain: object = json.loads(data)
        except ValueError as error:
            raise SnapshotError(f"the stored update is damaged: {error}") from error
        machine = restore(plain, asyncio.get_running_loop().time())
        return self._begin(endpoint, machine, source, state, listeners, restarted=True)

    async def update(
        self,
        endpoint: str,
        source: PackageSource,
        plan: UpdatePlan | None = None,
        *,
        listeners: Iterable[NoteListener] = (),
    ) -> Outcome:
        """Update a device and wait for the end; raises as `start`."""
        running = self.start(endpoint, source, plan, listeners=listeners)
        try:
            return await running.outcome()
        except asyncio.CancelledError:
            running.close()
            raise

    def _begin(
        self,
        endpoint: str,
        machine: UpdateMachine,
        source: PackageSource,
        state: StateStore | None,
        listeners: Iterable[NoteListener],
        *,
        restarted: bool,
    ) -> RunningUpdate:
        if self.running(endpoint) is not None:
            raise UsageError(f"an update of {endpoint} already runs")
        RegistrationSettings(endpoint=endpoint)  # a name that no device can have is a mistake of the caller
        running = RunningUpdate(
            endpoint,
            machine,
            source=source,
            gateway=self._gateway,
            host=self._host,
            state=state,
            listeners=listeners,
        )
        self._running[endpoint] = running
        running.begin(restarted=restarted)
        return running
