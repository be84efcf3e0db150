"""`lwm2m-fota update`: a server for one update of one device."""

import asyncio
import signal
from pathlib import Path as FilePath
from typing import Final, final

import attrs

from lwm2m_fota.cli.events import authority
from lwm2m_fota.cli.exits import Exit
from lwm2m_fota.cli.options import Address
from lwm2m_fota.cli.output import Output
from lwm2m_fota.cli.package import format_of
from lwm2m_fota.errors import FotaError, TransportError
from lwm2m_fota.lwm2m.registry import Registered, RegistryEvent, Removed
from lwm2m_fota.machines.update_codes import DIAGNOSES
from lwm2m_fota.machines.update_effects import CameLate, Finished, Note, Progressed, Shown, StepChanged, Warned
from lwm2m_fota.machines.update_limits import UpdateLimits, limits_for
from lwm2m_fota.machines.update_outcome import Cancelled, Diagnosis, Failed, Outcome, Succeeded, TimedOut, Undetermined
from lwm2m_fota.machines.update_policy import Method, UpdatePlan
from lwm2m_fota.machines.update_steps import UpdateStage
from lwm2m_fota.server.lwm2m import Lwm2mServer, ServerSettings
from lwm2m_fota.server.packages import BlockServed
from lwm2m_fota.server.reach import reached
from lwm2m_fota.server.updater import RunningUpdate, Updater, check_package
from lwm2m_fota.storage.files import FilePackageSource
from lwm2m_fota.transport.base import Peer
from lwm2m_fota.transport.udp import UdpTransport, address_towards

_STAGES: Final = tuple(UpdateStage)
_NEVER_CAME: Final = DIAGNOSES["prepare.not-registered"]
_WAIT_S: Final = 3.0
"""A wait of this length is worth a word."""


@final
@attrs.frozen(kw_only=True)
class UpdateOptions:
    """What the command was given.

    Attributes:
        file: the package.
        endpoint: the device.
        listen: where the server listens.
        advertise: the host in package URIs; None takes the listening host, or if that is a wildcard, the address
            from which this machine reaches the device.
        method: push, pull or auto.
        expect_version: `/3/0/3` after the update.
        timeout_s: limit of the whole update, waiting for the device included.
    """

    file: FilePath
    endpoint: str
    listen: Address
    advertise: str | None = None
    method: Method = Method.AUTO
    expect_version: str | None = None
    timeout_s: float | None = None


@final
class _Log:
    """Turns what happens into events."""

    def __init__(self, options: UpdateOptions, size_bytes: int, say: Output) -> None:
        self._endpoint = options.endpoint
        self._size_bytes = size_bytes
        self._say = say
        self._stage: UpdateStage | None = None
        self._stage_at = 0.0
        self._fetchers: set[Peer] = set()
        self._reminder: asyncio.TimerHandle | None = None
        self._running: RunningUpdate | None = None
        self.peer: Peer | None = None

    def follow(self, running: RunningUpdate) -> None:
        """Explain the waits of this update."""
        self._running = running
        self._remind()

    def note(self, note: Note) -> None:
        match note:
            case StepChanged(stage, step):
                if stage is not self._stage:
                    self._enter(stage)
                self._say("step", step=step.value)
                self._remind()
            case Progressed(done, total):
                elapsed = asyncio.get_running_loop().time() - self._stage_at
                speed = round(done / elapsed) if elapsed > 0 else None
                self._say("progress", bytes=done, total=total, bytes_per_s=speed)
                self._remind()
            case Shown(state, result, version):
                if state is not None and result is not None:
                    self._say("shown", state=int(state), result=int(result), version=version)
            case Warned(diagnosis):
                self._say("warning", code=diagnosis.code, message=diagnosis.text)
            case Finished() | CameLate():
                self.close()

    def _enter(self, stage: UpdateStage) -> None:
        now = asyncio.get_running_loop().time()
        if self._stage is UpdateStage.TRANSFERRING and stage is UpdateStage.EXECUTING:
            seconds = now - self._stage_at
            speed = round(self._size_bytes / max(seconds, 1e-6))
            self._say("transferred", bytes=self._size_bytes, seconds=round(seconds, 3), bytes_per_s=speed)
        self._stage, self._stage_at = stage, now
        self._say("stage", stage=stage.value, number=_STAGES.index(stage) + 1)

    def _remind(self) -> None:
        self.close()
        self._reminder = asyncio.get_running_loop().call_later(_WAIT_S, self._waiting)

    def _waiting(self) -> None:
        why = None if self._running is None else self._running.why()
        if why is not None and why.deadline is not None:
            limit_s = max(0, round(why.deadline - asyncio.get_running_loop().time()))
            self._say("waiting", step=why.step.value, awaits=why.awaits, limit_s=limit_s, then=why.next)

    def close(self) -> None:
        """No reminder any more."""
        if self._reminder is not None:
            self._reminder.cancel()
            self._reminder = None

    def registry(self, event: RegistryEvent) -> None:
        registration = event.registration
        if isinstance(event, Registered):
            if registration.endpoint == self._endpoint:
                self.peer = registration.peer
            peer, lwm2m = peer_name(reached(registration.peer).address), registration.lwm2m_version
            self._say("registered", endpoint=registration.endpoint, peer=peer, lwm2m=lwm2m)
        elif isinstance(event, Removed):
            self._say("gone", endpoint=registration.endpoint, expired=event.expired)

    def block(self, served: BlockServed) -> None:
        """Only the first block of each requester is news: it shows whether a download began, or went on."""
        if served.peer not in self._fetchers:
            self._fetchers.add(served.peer)
            self._say("first-block", peer=peer_name(reached(served.peer).address), num=served.num, offset=served.offset)


def peer_name(address: Peer) -> str:
    """A socket address, for people; an IPv4 address that an IPv6 socket saw is shown as such."""
    if isinstance(address, tuple):
        return authority(str(address[0]).removeprefix("::ffff:"), address[1])
    return str(address)


@final
@attrs.frozen
class End:
    """How the command ends: exit status, the kind of outcome, one line that says why, and what to do about it."""

    status: Exit
    outcome: str
    line: str
    hint: str = ""


def end_of(outcome: Outcome, *, came: bool = True) -> End:
    """The end that an outcome stands for; a device that never `came` is named, whatever limit passed."""
    kind = type(outcome).__name__.lower()
    if isinstance(outcome, TimedOut) and not came:
        outcome = attrs.evolve(outcome, diagnosis=_NEVER_CAME)
    match outcome:
        case Succeeded(version_before=before, version_after=after):
            return End(Exit.OK, kind, f"updated: {before or 'unknown version'} -> {after or 'unknown version'}")
        case Failed(stage=stage, result=result, diagnosis=diagnosis):
            shown = "" if result is None else f"; Update Result {result.value} {result.name.lower().replace('_', ' ')}"
            line = f"failed while {stage.value.lower()}: {_words(diagnosis)} ({diagnosis.code}{shown})"
            return End(Exit.FAILED, kind, line, diagnosis.hint)
        case TimedOut(stage=stage, diagnosis=diagnosis):
            line = f"timed out while {stage.value.lower()}: {_words(diagnosis)} ({diagnosis.code})"
            return End(Exit.TIMED_OUT, kind, line, diagnosis.hint)
        case Cancelled(stage=stage):
            return End(Exit.CANCELLED, kind, f"cancelled while {stage.value.lower()}")
        case Undetermined(diagnosis=diagnosis):
            line = f"undetermined: {_words(diagnosis)} ({diagnosis.code})"
            return End(Exit.UNDETERMINED, kind, line, diagnosis.hint)


def _words(diagnosis: Diagnosis) -> str:
    return diagnosis.text.removesuffix(".")


def _limits(size_bytes: int, timeout_s: float | None) -> UpdateLimits:
    limits = limits_for(size_bytes)
    if timeout_s is None:
        return limits
    return attrs.evolve(
        limits,
        total_s=timeout_s,
        preparing_s=timeout_s,
        transferring_s=timeout_s,
        executing_s=timeout_s,
    )


def _advertised(options: UpdateOptions, log: _Log) -> str | None:
    """The host in package URIs: a wildcard address is no place where a device could go."""
    if options.advertise is not None or options.listen.host not in {"0.0.0.0", "::"}:  # noqa: S104 - a comparison
        return options.advertise
    try:
        return None if log.peer is None else address_towards(reached(log.peer).address)
    except TransportError:
        return None


async def _end(running: RunningUpdate, log: _Log) -> End:
    """Wait for the outcome; a second signal does not wait for the device to be tidied up."""
    cancelled, hurry = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        if cancelled.is_set():
            hurry.set()
        cancelled.set()
        running.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    outcome = asyncio.ensure_future(running.outcome())
    hurried = asyncio.ensure_future(hurry.wait())
    await asyncio.wait({outcome, hurried}, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    if outcome.done():
        return end_of(outcome.result(), came=log.peer is not None)
    running.close()
    return End(Exit.CANCELLED, "cancelled", "cancelled; the device is left as it is")


async def _run(options: UpdateOptions, source: FilePackageSource, say: Output) -> Exit:
    log = _Log(options, source.size_bytes, say)
    transport = UdpTransport(options.listen.host, options.listen.port)
    settings = ServerSettings(advertise_host=lambda: _advertised(options, log))
    async with Lwm2mServer(transport, settings, on_event=log.registry, on_block=log.block) as server:
        plan = UpdatePlan(
            method=options.method,
            package_bytes=source.size_bytes,
            expected_version=options.expect_version,
            schemes=server.packages.schemes,
            limits=_limits(source.size_bytes, options.timeout_s),
        )
        running = Updater(server, server.packages).start(options.endpoint, source, plan, listeners=(log.note,))
        log.follow(running)
        ending = asyncio.ensure_future(_end(running, log))
        await asyncio.sleep(0)  # the signals are heard before anyone is told that there is something to stop
        host, port = server.local_address
        say("listening", host=host, port=port, endpoint=options.endpoint)
        end = await ending
        log.close()
    return _close(end, say)


def run_update(options: UpdateOptions, say: Output) -> Exit:
    """Serve one update; the exit status."""
    try:
        source = FilePackageSource(options.file)
        check_package(source)
        known = format_of(source) is not None
    except FotaError as error:
        return _close(End(Exit.PACKAGE, "refused", f"not sent: {error}"), say)
    if not known:
        say("notice", message=f"{options.file} is of no format that is known here; it is sent as it is")
    try:
        return asyncio.run(_run(options, source, say))
    except TransportError as error:
        return _close(End(Exit.NETWORK, "refused", f"cannot serve: {error}"), say)
    except FotaError as error:
        return _close(End(Exit.PACKAGE, "refused", f"not sent: {error}"), say)
    except KeyboardInterrupt:  # before there was anything to cancel
        return _close(End(Exit.CANCELLED, "cancelled", "cancelled"), say)


def _close(end: End, say: Output) -> Exit:
    say("outcome", outcome=end.outcome, status=int(end.status), line=end.line, hint=end.hint)
    return end.status
