"""`lwm2m-fota update`: a server for one update of one device."""

import asyncio
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path as FilePath
from typing import Final, final

import attrs

from lwm2m_fota.cli.events import authority
from lwm2m_fota.cli.exits import Exit
from lwm2m_fota.cli.groups import Listening
from lwm2m_fota.cli.output import Output
from lwm2m_fota.cli.package_verify import format_of
from lwm2m_fota.cli.security import Credentials, SecurityOptions
from lwm2m_fota.cli.trace_file import TraceFile
from lwm2m_fota.cli.update_log import UpdateLog
from lwm2m_fota.cli.ways import WEB, WebHost, listening, web_host
from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.errors import FotaError, MissingExtraError, TransportError, UsageError
from lwm2m_fota.machines.update_codes import DIAGNOSES
from lwm2m_fota.machines.update_outcome import (
    Cancelled,
    ComponentEnd,
    Diagnosis,
    Failed,
    Outcome,
    Succeeded,
    TimedOut,
    Undetermined,
)
from lwm2m_fota.machines.update_policy import (
    DeferralBound,
    DeviceSettings,
    Execution,
    Method,
    UpdatePlan,
    UpdatePolicy,
)
from lwm2m_fota.server.hosts import PackageHosts
from lwm2m_fota.server.lwm2m import Lwm2mServer, ServerSettings
from lwm2m_fota.server.planning import Packages, plan_for
from lwm2m_fota.server.reach import reached
from lwm2m_fota.server.updater import RunningUpdate, Updater, check_package
from lwm2m_fota.storage.base import PackageSource
from lwm2m_fota.storage.files import FilePackageSource
from lwm2m_fota.transport.udp import address_towards

_NEVER_CAME: Final = DIAGNOSES["prepare.not-registered"]


@final
@attrs.frozen(kw_only=True)
class UpdateOptions:
    """What the command was given.

    Attributes:
        file: the package; None if there are components.
        components: packages by component of Object 33629; empty if there is a file.
        endpoint: the device.
        listening: where the server listens, and over which schemes a device may fetch.
        security: what the server and the device prove themselves with.
        advertise: the host in package URIs; None takes the listening host, or if that is a wildcard, the address
            from which this machine reaches the device.
        method: push, pull or auto.
        execution: how Update is executed on components.
        expect_version: what runs after the update, of a file.
        settings: what is set on the device first.
        timeout_s: limit of the whole update, waiting for the device included.
        q_block: push by sets of blocks to a device that understands that; None never tries.
        trace: the file to record the update in.
    """

    file: FilePath | None = None
    components: Mapping[str, FilePath] = attrs.field(factory=dict)
    endpoint: str
    listening: Listening
    security: SecurityOptions = attrs.field(factory=SecurityOptions)
    advertise: str | None = None
    method: Method = Method.AUTO
    execution: Execution = Execution.LISTED
    expect_version: str | None = None
    settings: DeviceSettings = attrs.field(factory=DeviceSettings)
    timeout_s: float | None = None
    q_block: QBlock | None = None
    trace: FilePath | None = None


@final
@attrs.frozen
class End:
    """How the command ends: exit status, the kind of outcome, one line that says why, and what to do about it.

    `components` has name, version before, version after, and whether it was updated, of each component.
    """

    status: Exit
    outcome: str
    line: str
    hint: str = ""
    components: tuple[Mapping[str, object], ...] = ()


def end_of(outcome: Outcome, *, came: bool = True) -> End:
    """The end that an outcome stands for; a device that never `came` is named, whatever limit passed."""
    return attrs.evolve(_end_of(outcome, came=came), components=tuple(map(_component, outcome.components)))


def _component(end: ComponentEnd) -> Mapping[str, object]:
    return {"name": end.name, "before": end.version_before, "after": end.version_after, "updated": end.updated}


def _end_of(outcome: Outcome, *, came: bool) -> End:
    kind = type(outcome).__name__.lower()
    if isinstance(outcome, TimedOut) and not came:
        outcome = attrs.evolve(outcome, diagnosis=_NEVER_CAME)
    match outcome:
        case Succeeded(components=[_, *_] as components):
            return End(Exit.OK, kind, f"updated: {', '.join(each.name for each in components)}")
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


def _plan(options: UpdateOptions, source: PackageSource | Packages) -> UpdatePlan:
    plan = attrs.evolve(
        plan_for(source),
        method=options.method,
        expected_version=options.expect_version,
        schemes=options.listening.fetched,
        settings=options.settings,
    )
    timeout_s = options.timeout_s
    if timeout_s is None:
        return attrs.evolve(plan, policy=UpdatePolicy(execution=options.execution))
    stages = ("total_s", "preparing_s", "transferring_s", "executing_s", "deferral_s")
    return attrs.evolve(
        plan,
        policy=UpdatePolicy(execution=options.execution, deferral=DeferralBound.LIMIT),
        limits=attrs.evolve(plan.limits, **dict.fromkeys(stages, timeout_s)),
    )


def _advertised(options: UpdateOptions, log: UpdateLog) -> str | None:
    """The host in package URIs: a wildcard address is no place where a device could go."""
    if options.advertise is not None:
        return options.advertise
    hosts = {each.host for each in options.listening.places}
    if not hosts & {"0.0.0.0", "::"}:  # noqa: S104 - a comparison
        return None
    try:
        return None if log.peer is None else address_towards(reached(log.peer).address)
    except TransportError:
        return None


async def _end(running: RunningUpdate, log: UpdateLog) -> End:
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


@final
class _Server:
    """All that listens: a server of devices, and hosts of packages.

    Raises:
        UsageError, MissingExtraError: something cannot be served with what is given, or what is installed.
    """

    def __init__(self, options: UpdateOptions, credentials: Credentials, log: UpdateLog) -> None:
        def advertised() -> str | None:
            return _advertised(options, log)

        store, places = credentials.store(options.endpoint), options.listening.places
        transports = [listening(each, credentials, store) for each in places if each.scheme not in WEB]
        settings = ServerSettings(advertise_host=advertised, q_block=options.q_block)
        self.lwm2m = Lwm2mServer(transports, settings, on_event=log.registry, on_block=log.block)
        self._web: dict[str, WebHost] = {
            each.scheme: web_host(each, credentials, store, advertise_host=advertised, on_block=log.block)
            for each in places
            if each.scheme in WEB
        }
        self.packages = PackageHosts((self.lwm2m.packages, *self._web.values()))
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "_Server":
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.lwm2m)
            for each in self._web.values():
                await stack.enter_async_context(each)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def uris(self) -> list[str]:
        """Where it listens."""
        web = ((scheme, host.local_address) for scheme, host in self._web.items())
        return [f"{scheme}://{authority(*address)}" for scheme, address in (*self.lwm2m.addresses, *web)]


async def _run(options: UpdateOptions, credentials: Credentials, source: PackageSource | Packages, say: Output) -> Exit:
    log = UpdateLog(options.endpoint, say)
    async with _Server(options, credentials, log) as server, TraceFile(options.trace) as trace:
        updater = Updater(server.lwm2m, server.packages)
        running = updater.start(options.endpoint, source, _plan(options, source), listeners=(log.note,), trace=trace)
        log.follow(running)
        ending = asyncio.ensure_future(_end(running, log))
        await asyncio.sleep(0)  # the signals are heard before anyone is told that there is something to stop
        host, port = server.lwm2m.local_address
        say("listening", host=host, port=port, uris=server.uris, endpoint=options.endpoint)
        end = await ending
        running.close()
        log.close()
    return _close(end, say)


def _source(options: UpdateOptions, say: Output) -> PackageSource | Packages:
    """The package, or the packages; a file that is given for several components is one package.

    Raises:
        FotaError: one is no package, or cannot be read.
    """
    if options.file is not None:
        return _package(options.file, say)
    packages = {path: _package(path, say) for path in dict.fromkeys(options.components.values())}
    return {name: packages[path] for name, path in options.components.items()}


def _package(path: FilePath, say: Output) -> FilePackageSource:
    source = FilePackageSource(path)
    check_package(source)
    if format_of(source) is None:
        say("notice", message=f"{path} is of no format that is known here; it is sent as it is")
    return source


def run_update(options: UpdateOptions, say: Output) -> Exit:
    """Serve one update; the exit status."""
    try:
        source = _source(options, say)
    except FotaError as error:
        return _close(End(Exit.PACKAGE, "refused", f"not sent: {error}"), say)
    try:
        return asyncio.run(_run(options, options.security.read(), source, say))
    except TransportError as error:
        return _close(End(Exit.NETWORK, "refused", f"cannot serve: {error}"), say)
    except (UsageError, MissingExtraError) as error:
        return _close(End(Exit.FAILED, "refused", f"cannot serve: {error}"), say)
    except FotaError as error:
        return _close(End(Exit.PACKAGE, "refused", f"not sent: {error}"), say)
    except KeyboardInterrupt:  # before there was anything to cancel
        return _close(End(Exit.CANCELLED, "cancelled", "cancelled"), say)


def _close(end: End, say: Output) -> Exit:
    say(
        "outcome",
        outcome=end.outcome,
        status=int(end.status),
        line=end.line,
        hint=end.hint,
        components=list(end.components),
    )
    return end.status
