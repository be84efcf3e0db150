"""`lwm2m-fota update`: a server for one update of one device."""

import asyncio
import signal
from pathlib import Path as FilePath
from typing import Final, final

import attrs

from lwm2m_fota.cli.options import Address
from lwm2m_fota.cli.output import Output
from lwm2m_fota.cli.package import format_of
from lwm2m_fota.errors import FotaError, PackageError
from lwm2m_fota.lwm2m.registry import Registered, RegistryEvent, Removed
from lwm2m_fota.machines.update_effects import Finished, Note, Progressed, Shown, StepChanged, Warned
from lwm2m_fota.machines.update_outcome import Cancelled, Failed, Outcome, Succeeded, TimedOut, Undetermined
from lwm2m_fota.machines.update_policy import Method, UpdateLimits, UpdatePlan, limits_for
from lwm2m_fota.machines.update_steps import UpdateStage
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.server.lwm2m import Lwm2mServer, ServerSettings
from lwm2m_fota.server.packages import BlockServed
from lwm2m_fota.server.updater import Updater, check_package
from lwm2m_fota.storage.files import FilePackageSource
from lwm2m_fota.transport.udp import UdpTransport

EXIT_SUCCEEDED: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_TIMED_OUT: Final = 3
EXIT_CANCELLED: Final = 4
EXIT_UNDETERMINED: Final = 5
EXIT_PACKAGE: Final = 6
EXIT_NETWORK: Final = 7


@final
@attrs.frozen(kw_only=True)
class UpdateOptions:
    """What the command was given.

    Attributes:
        file: the package.
        endpoint: the device.
        listen: where the server listens.
        advertise: the host in package URIs; None takes the listening host.
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
    """Turns notes into lines."""

    def __init__(self, say: Output, size_bytes: int) -> None:
        self._say = say
        self._size_bytes = size_bytes
        self._stage: UpdateStage | None = None
        self._blocks: set[str] = set()
        self._started: float | None = None

    def note(self, note: Note) -> None:
        match note:
            case StepChanged(stage, step):
                if stage is not self._stage:
                    self._stage = stage
                    self._say("stage", stage.value, stage=stage.value)
                self._say("step", f"  {step.value}", step=step.value)
            case Progressed(done, total):
                self._progress(done, total)
            case Shown(state, result, version):
                self._shown(state, result, version)
            case Warned(diagnosis):
                text = f"  warning: {diagnosis.text} ({diagnosis.code})"
                self._say("warning", text, code=diagnosis.code, message=diagnosis.text)
            case Finished():
                pass

    def _progress(self, done: int, total: int) -> None:
        now = asyncio.get_running_loop().time()
        if self._started is None:
            self._started = now
        elapsed = now - self._started
        rate = done / elapsed if elapsed > 0 else None
        self._say("progress", bytes=done, total=total, bytes_per_s=None if rate is None else round(rate))

    def _shown(self, state: State | None, result: UpdateResult | None, version: str | None) -> None:
        if state is None or result is None:
            return
        text = f"  state {state.value} {state.name.lower()}, result {result.value} {result.name.lower()}"
        if version is not None:
            text += f", version {version}"
        self._say("shown", text, state=int(state), result=int(result), version=version)

    def registry(self, event: RegistryEvent) -> None:
        registration = event.registration
        if isinstance(event, Registered):
            text = f"{registration.endpoint} registered from {registration.peer}"
            self._say("registered", text, endpoint=registration.endpoint, lwm2m=registration.lwm2m_version)
        elif isinstance(event, Removed):
            self._say("gone", f"{registration.endpoint} is gone", endpoint=registration.endpoint, expired=event.expired)

    def block(self, served: BlockServed) -> None:
        """Only the first block of each requester is news: it shows whether a download began, or went on."""
        key = f"{served.peer}/{served.token}"
        if key not in self._blocks:
            self._blocks.add(key)
            text = f"  {served.peer} fetches from byte {served.offset} (block {served.num})"
            self._say("first-block", text, num=served.num, offset=served.offset)


def outcome_line(outcome: Outcome) -> tuple[int, str]:
    """The exit status of an outcome, and one line that says why."""
    match outcome:
        case Succeeded(version_before=before, version_after=after):
            return EXIT_SUCCEEDED, f"updated: {before or 'unknown version'} -> {after or 'unknown version'}"
        case Failed(stage=stage, result=result, diagnosis=diagnosis):
            shown = "" if result is None else f"; Update Result {result.value} {result.name.lower()}"
            return EXIT_FAILED, f"failed while {stage.value.lower()}: {diagnosis.text} ({diagnosis.code}{shown})"
        case TimedOut(stage=stage, diagnosis=diagnosis):
            return EXIT_TIMED_OUT, f"timed out while {stage.value.lower()}: {diagnosis.text} ({diagnosis.code})"
        case Cancelled(stage=stage):
            return EXIT_CANCELLED, f"cancelled while {stage.value.lower()}"
        case Undetermined(diagnosis=diagnosis):
            return EXIT_UNDETERMINED, f"undetermined: {diagnosis.text} ({diagnosis.code})"


def _limits(size_bytes: int, timeout_s: float | None) -> UpdateLimits:
    limits = limits_for(size_bytes)
    if timeout_s is None:
        return limits
    return attrs.evolve(
        limits, total_s=timeout_s, preparing_s=timeout_s, transferring_s=timeout_s, executing_s=timeout_s
    )


async def _run(options: UpdateOptions, source: FilePackageSource, say: Output) -> int:
    log = _Log(say, source.size_bytes)
    transport = UdpTransport(options.listen.host, options.listen.port)
    settings = ServerSettings(advertise_host=options.advertise)
    async with Lwm2mServer(transport, settings, on_event=log.registry, on_block=log.block) as server:
        host, port = server.local_address
        say("listening", f"listening on {host}:{port}, waiting for {options.endpoint}", host=host, port=port)
        plan = UpdatePlan(
            method=options.method,
            package_bytes=source.size_bytes,
            expected_version=options.expect_version,
            schemes=server.packages.schemes,
            limits=_limits(source.size_bytes, options.timeout_s),
        )
        running = Updater(server, server.packages).start(options.endpoint, source, plan, listeners=(log.note,))
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, running.cancel)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
        outcome = await running.outcome()
    status, line = outcome_line(outcome)
    say.close()
    say("outcome", line, outcome=type(outcome).__name__.lower(), status=status, line=line)
    return status


def run_update(options: UpdateOptions, say: Output) -> int:
    """Serve one update; the exit status."""
    try:
        source = FilePackageSource(options.file)
        check_package(source)
        form = format_of(source)
    except FotaError as error:
        say("outcome", f"not sent: {error}", outcome="refused", status=EXIT_PACKAGE, line=str(error))
        return EXIT_PACKAGE
    if form is None:
        say("notice", f"{options.file}: unknown format, sent as it is", format=None)
    try:
        return asyncio.run(_run(options, source, say))
    except PackageError as error:
        say("outcome", f"not sent: {error}", outcome="refused", status=EXIT_PACKAGE, line=str(error))
        return EXIT_PACKAGE
    except FotaError as error:
        say("outcome", f"cannot serve: {error}", outcome="error", status=EXIT_NETWORK, line=str(error))
        return EXIT_NETWORK
