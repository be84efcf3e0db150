"""One update that runs: events go into its machine, and what the machine decides is stored and carried out."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, final

from lwm2m_fota.errors import FotaError
from lwm2m_fota.lwm2m.registry import Registration
from lwm2m_fota.machines import update, update_trace
from lwm2m_fota.machines.trace_values import TraceListener
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
from lwm2m_fota.machines.update_outcome import ComponentEnd, Outcome
from lwm2m_fota.machines.update_steps import UpdateStep
from lwm2m_fota.machines.update_why import Why, why
from lwm2m_fota.model.advanced import ADVANCED_OBJECT_ID
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
    """One update of one device; made by an `Updater`.

    Where an update ends and nobody knows how it came out on the device, it goes on listening for a while: what the
    device shows then is recorded as `late`, and told to the listeners.

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
        sources: Sequence[PackageSource],
        gateway: DeviceGateway,
        host: PackageHost | None,
        state: StateStore | None,
        listeners: Iterable[NoteListener],
        trace: TraceListener | None,
        on_end: Callable[[], object],
        on_over: Callable[[], object],
    ) -> None:
        self.endpoint = endpoint
        self.plan = record.machine.plan
        self._machine = record.machine
        self._digests = record.digests
        self._token = record.token
        self._sources = tuple(sources)
        self._gateway = gateway
        self._host = host
        self._state = state
        self._listeners = tuple(listeners)
        self._trace = trace
        self._on_end = on_end
        self._on_over = on_over
        self._is_over = False
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[Outcome] = self._loop.create_future()
        self._commands = DeviceCommands(gateway, endpoint, self._sources, self._heard, self.plan.policy)
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
        if self._trace is not None:
            tell(self._trace, update_trace.first_line(self._machine, self._loop.time()))
        outcome = self._machine.outcome
        if outcome is not None:  # it ended, and the process before anybody was told
            self._end(outcome)
        if self._is_over:
            return
        self._presence = self._gateway.watch(self.endpoint, self._on_presence)
        if restarted:
            self._republishes = True
            self._feed(Restarted())
            self._republishes = False
        registration = self._gateway.registration(self.endpoint)
        if registration is not None:
            self._feed(_registered(registration))
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

    @property
    def is_listening(self) -> bool:
        """There is an outcome, and the device may still show how it came out."""
        return self._ended.done() and not self._is_over

    @property
    def late(self) -> tuple[ComponentEnd, ...]:
        """What the device has shown after the end, of each component, or of its one firmware."""
        return self._machine.late

    def why(self) -> Why:
        """What is awaited, since when, the limit, what the device last showed, and what happens next."""
        return why(self._machine, self._loop.time())

    def cancel(self) -> None:
        """Ask for the end of the update; it comes as an outcome. An installation that has begun goes on to its end."""
        self._feed(CancelRequested())

    def close(self) -> None:
        """Stop driving without an outcome, or listening after one: `Updater.resume` can take up what is stored.

        The package stays published for it, since the device may be fetching; if nothing is stored, it does not.
        """
        if self._is_over:
            return
        if self.is_running:
            self._on_end()
            self._ended.cancel()
        self._stop(withdraw=self._state is None)

    # -- events in

    def _on_presence(self, presence: Presence) -> None:
        registration = presence.registration
        if isinstance(presence, Joined):
            self._feed(_registered(registration))
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
        size_bytes = self.plan.parts[self._machine.control.at].package_bytes
        if done_bytes < size_bytes and now - self._progress_at < PROGRESS_S:
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
            while self._events and not self._is_over:
                self._step(self._events.popleft(), self._loop.time())
        finally:
            self._events.clear()
            self._is_feeding = False
        self._arm()

    def _step(self, event: UpdateEvent, now: float) -> None:
        taken = update.step(self._machine, event, now)
        if self._trace is not None:
            tell(self._trace, update_trace.line(event, taken.effects, taken.machine, now))
        self._take(taken)

    def _take(self, taken: update.Step) -> None:
        self._machine = taken.machine
        for effect in taken.effects:
            if isinstance(effect, PublishPackage):
                self._publish(effect)  # before it is stored: nobody knows the URI yet, and its token is kept
        if any(map(_relies_on_store, taken.effects)):
            try:
                self._save()
            except Exception as error:  # noqa: BLE001 - whatever the store raises: nothing may leave that is not stored
                self._fail(error)
        for effect in taken.effects:
            if not self._is_over:
                self._carry_out(effect)
        if self._machine.control.step is UpdateStep.FINISHED and not self._is_over:
            self._stop()

    def _save(self) -> None:
        if self._state is not None:
            record = UpdateRecord(machine=self._machine, digests=self._digests, token=self._token)
            self._state.save(encode(record, self._loop.time()))

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = update.next_deadline(self._machine)
        if deadline is not None and not self._is_over:
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

    def _publish(self, package: PublishPackage) -> None:
        self._withdraw()
        if self._host is None:
            return
        token = self._token if self._republishes else None
        try:
            source = self._sources[package.package]
            publication = self._host.publish(source, package.scheme, self._pull_progress, token)
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
        self._ended.set_result(outcome)
        self._on_end()
        if self._machine.control.step is UpdateStep.FINISHED:
            self._stop()

    def _fail(self, error: Exception) -> None:
        """It cannot be stored: nothing more is driven."""
        if self.is_running:
            self._on_end()
            self._ended.set_exception(error)
        else:
            show_fault("the store of an update", error)
        self._stop()

    def _stop(self, *, withdraw: bool = True) -> None:
        self._is_over = True
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
        self._on_over()


def _registered(registration: Registration) -> Registered:
    return Registered(
        object_versions=registration.object_versions,
        instances=tuple(path.ids[1] for path in registration.instances if path.object_id == ADVANCED_OBJECT_ID),
        epoch=registration.epoch,
    )


def _relies_on_store(effect: UpdateEffect) -> bool:
    """False for mere progress: what is lost of it in a restart is seen again."""
    return not (isinstance(effect, Report) and isinstance(effect.note, Progressed))
