"""One update that runs: events go into its machine, and what the machine decides is stored and carried out."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, final

from lwm2m_fota.errors import FotaError
from lwm2m_fota.machines import update
from lwm2m_fota.machines.update_effects import (
    Finished,
    Note,
    Observe,
    Progressed,
    PublishPackage,
    Read,
    Report,
    StopPush,
    Unobserve,
    UpdateEffect,
    WithdrawPackage,
)
from lwm2m_fota.machines.update_events import (
    CancelRequested,
    Deregistered,
    Lapsed,
    PullProgress,
    PushProgress,
    Registered,
    Restarted,
    TimePassed,
    UpdateEvent,
)
from lwm2m_fota.machines.update_outcome import Outcome
from lwm2m_fota.machines.update_why import Why, why
from lwm2m_fota.server.callbacks import show_fault, tell
from lwm2m_fota.server.commands import Command, DeviceCommands
from lwm2m_fota.server.ports import DeviceGateway, Joined, PackageHost, Presence, Subscription
from lwm2m_fota.server.record import UpdateRecord, encode
from lwm2m_fota.storage.base import PackageSource, StateStore

NoteListener = Callable[[Note], None]

PROGRESS_S: Final = 0.2
"""Progress is told to the machine at most this often; the limits it feeds are hundreds of seconds."""


@final
class RunningUpdate:
    """One update of one device; made by `Updater.start` and `Updater.resume`.

    Attributes:
        endpoint: the device.
        plan: what is to be done.

    An exception of a listener goes to the loop's exception handler, and the update goes on.
    """

    def __init__(
        self,
        endpoint: str,
        record: UpdateRecord,
        *,
        source: PackageSource,
        gateway: DeviceGateway,
        host: PackageHost | None,
        state: StateStore | None,
        listeners: Iterable[NoteListener],
        on_end: Callable[[], object],
    ) -> None:
        self.endpoint = endpoint
        self.plan = record.machine.plan
        self._machine = record.machine
        self._digest = record.digest
        self._token = record.token
        self._source = source
        self._gateway = gateway
        self._host = host
        self._state = state
        self._listeners = tuple(listeners)
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[Outcome] = self._loop.create_future()
        self._commands = DeviceCommands(gateway, endpoint, source, self._heard, self.plan.policy)
        self._tasks: dict[str, tuple[int, asyncio.Task[None]]] = {}
        self._events: deque[UpdateEvent] = deque()
        self._is_feeding = False
        self._republishes = False
        self._timer: asyncio.TimerHandle | None = None
        self._progress_at = float("-inf")
        self._presence: Subscription | None = None

    def begin(self, *, restarted: bool) -> None:
        """Store the update and learn where the device is; the updater calls this once.

        Raises:
            StorageError: the update cannot be stored.
        """
        self._save()
        outcome = self._machine.outcome
        if outcome is not None:  # it ended, and the process before anybody was told
            self._end(outcome)
            return
        self._presence = self._gateway.watch(self.endpoint, self._on_presence)
        if restarted:
            self._republishes = True
            self._feed(Restarted())
            self._republishes = False
        registration = self._gateway.registration(self.endpoint)
        if registration is not None:
            self._feed(Registered(object_versions=registration.object_versions, epoch=registration.epoch))
        self._arm()

    # -- what a user sees

    async def outcome(self) -> Outcome:
        """Wait for the end.

        Raises:
            StorageError: the update could not be stored, and is not driven on.
            asyncio.CancelledError: it was closed.
        """
        return await asyncio.shield(self._ended)

    @property
    def is_running(self) -> bool:
        """False once there is an outcome, or it was closed."""
        return not self._ended.done()

    def why(self) -> Why:
        """What is awaited, since when, the limit, what the device last showed, and what happens next."""
        return why(self._machine, self._loop.time())

    def cancel(self) -> None:
        """Ask for the end of the update; it comes as an outcome. An installation that has begun goes on to its end."""
        self._feed(CancelRequested())

    def close(self) -> None:
        """Stop driving without an outcome: what is stored can be taken up again by `Updater.resume`.

        The package stays published for it, since the device may be fetching; if nothing is stored, it does not.
        """
        if self.is_running:
            self._stop(withdraw=self._state is None)
            self._ended.cancel()

    # -- events in

    def _on_presence(self, presence: Presence) -> None:
        registration = presence.registration
        if isinstance(presence, Joined):
            self._feed(Registered(object_versions=registration.object_versions, epoch=registration.epoch))
        else:
            self._feed(Lapsed() if presence.expired else Deregistered())

    def _heard(self, event: UpdateEvent) -> None:
        if not isinstance(event, PushProgress) or self._is_time_for_progress(event.bytes_sent):
            self._feed(event)

    def _pull_progress(self, served_bytes: int) -> None:
        if self._is_time_for_progress(served_bytes):
            self._loop.call_soon(self._feed, PullProgress(served_bytes))  # once the block is on its way

    def _is_time_for_progress(self, done_bytes: int) -> bool:
        now = self._loop.time()
        if done_bytes < self._source.size_bytes and now - self._progress_at < PROGRESS_S:
            return False
        self._progress_at = now
        return True

    def _feed(self, event: UpdateEvent) -> None:
        """Take an event in; one that comes of what another leads to waits until that is carried out."""
        self._events.append(event)
        if self._is_feeding:
            return
        self._is_feeding = True
        try:
            while self._events and self.is_running:
                self._take(update.step(self._machine, self._events.popleft(), self._loop.time()))
        finally:
            self._events.clear()
            self._is_feeding = False
        self._arm()

    def _take(self, taken: update.Step) -> None:
        self._machine = taken.machine
        for effect in taken.effects:
            if isinstance(effect, PublishPackage):
                self._publish(effect.scheme)  # before it is stored: nobody knows the URI yet, and its token is kept
        if any(map(_relies_on_store, taken.effects)):
            try:
                self._save()
            except Exception as error:  # noqa: BLE001 - whatever the store raises: nothing may leave that is not stored
                self._stop()
                self._ended.set_exception(error)
        for effect in taken.effects:
            if self.is_running:
                self._carry_out(effect)

    def _save(self) -> None:
        if self._state is not None:
            record = UpdateRecord(machine=self._machine, digest=self._digest, token=self._token)
            self._state.save(encode(record, self._loop.time()))

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = update.next_deadline(self._machine)
        if deadline is not None and self.is_running:
            self._timer = self._loop.call_at(deadline, self._feed, TimePassed())

    # -- effects out

    def _carry_out(self, effect: UpdateEffect) -> None:
        match effect:
            case Report(note):
                self._report(note)
            case StopPush(command):
                self._stop_task("request", command)
            case PublishPackage():
                pass  # done before it was stored
            case WithdrawPackage():
                self._withdraw()
            case Unobserve(paths):
                for path in paths:
                    self._commands.unobserve(path)
            case _:
                self._start(effect)

    def _start(self, command: Command) -> None:
        """Start a command; one of its kind that still waits for an answer is given up, for nobody asks for it now."""
        lane = "read" if isinstance(command, Read) else "observe" if isinstance(command, Observe) else "request"
        self._stop_task(lane)
        self._tasks[lane] = (command.command, self._loop.create_task(self._answer(command)))

    async def _answer(self, command: Command) -> None:
        self._feed(await self._commands.answer(command))

    def _stop_task(self, lane: str, command: int | None = None) -> None:
        number, task = self._tasks.get(lane, (None, None))
        if task is not None and command in {None, number}:
            del self._tasks[lane]
            task.cancel()

    def _report(self, note: Note) -> None:
        if isinstance(note, Finished):
            self._end(note.outcome)
        for listener in self._listeners:
            tell(listener, note)

    # -- the package

    def _publish(self, scheme: str) -> None:
        self._withdraw()
        if self._host is None:
            return
        token = self._token if self._republishes else None
        try:
            publication = self._host.publish(self._source, scheme, self._pull_progress, token)
        except FotaError as error:
            self._commands.obstacle = str(error)  # the write that follows fails of it
        except Exception as error:  # noqa: BLE001 - a host that is not ours
            show_fault("a package host", error)
        else:
            self._commands.publication = publication
            self._token = publication.token

    def _withdraw(self) -> None:
        publication, self._commands.publication = self._commands.publication, None
        if publication is not None and self._host is not None:
            tell(self._host.withdraw, publication.token)

    # -- the end

    def _end(self, outcome: Outcome) -> None:
        self._stop()
        self._ended.set_result(outcome)

    def _stop(self, *, withdraw: bool = True) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._presence is not None:
            tell(self._presence.cancel)
        for lane in tuple(self._tasks):
            self._stop_task(lane)
        self._commands.unobserve_all()
        if withdraw:
            self._withdraw()
        self._on_end()


def _relies_on_store(effect: UpdateEffect) -> bool:
    """False for mere progress: what is lost of it in a restart is seen again."""
    return not (isinstance(effect, Report) and isinstance(effect.note, Progressed))
