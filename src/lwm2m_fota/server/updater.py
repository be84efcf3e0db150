"""Starts updates of devices, takes them up after a restart, and sees to it that a device has one at a time."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import final

import attrs

from lwm2m_fota.errors import StorageError, UsageError
from lwm2m_fota.lwm2m.names import check_endpoint_name
from lwm2m_fota.machines import update
from lwm2m_fota.machines.trace_values import TraceListener
from lwm2m_fota.machines.update_outcome import Outcome
from lwm2m_fota.machines.update_policy import UpdatePlan
from lwm2m_fota.machines.update_sleep import with_sleeps
from lwm2m_fota.machines.update_versions import OwnVersions
from lwm2m_fota.server.commands import RESET_PACKAGE
from lwm2m_fota.server.planning import Packages, packages_of, plan_for
from lwm2m_fota.server.ports import DeviceGateway, PackageHost
from lwm2m_fota.server.publications import digest_of
from lwm2m_fota.server.record import UpdateRecord, decode
from lwm2m_fota.server.running import NoteListener, RunningUpdate
from lwm2m_fota.storage.base import PackageSource, StateStore

__all__ = ["NoteListener", "RunningUpdate", "TraceListener", "Updater", "check_package"]


def check_package(source: PackageSource) -> None:
    """Refuse what no device takes for a package: nothing at all, and the single NUL byte that means reset.

    Raises:
        UsageError: it is one of these.
        StorageError: it cannot be read.
    """
    if source.size_bytes == 0:
        raise UsageError("an empty file is no package")
    if source.size_bytes == 1 and source.read_at(0, 1) == RESET_PACKAGE:
        raise UsageError("a package of one NUL byte means reset (Object 5, resource 0)")


@final
class Updater:
    """Starts updates.

    Args:
        gateway: reaches devices; `Lwm2mServer` is one.
        host: serves packages to devices that pull; None if there are only pushes.
        versions: rules of one's own that plans of stored updates may have.
    """

    def __init__(
        self, gateway: DeviceGateway, host: PackageHost | None = None, *, versions: Iterable[OwnVersions] = ()
    ) -> None:
        self._gateway = gateway
        self._host = host
        self._versions = tuple(versions)
        self._running: dict[str, RunningUpdate] = {}
        self._listening: dict[str, RunningUpdate] = {}

    @property
    def schemes(self) -> tuple[str, ...]:
        """The URI schemes that a plan can name."""
        return () if self._host is None else self._host.schemes

    def running(self, endpoint: str) -> RunningUpdate | None:
        """The update that runs on this device."""
        return self._running.get(endpoint)

    def start(
        self,
        endpoint: str,
        source: PackageSource | Packages,
        plan: UpdatePlan | None = None,
        *,
        state: StateStore | None = None,
        listeners: Iterable[NoteListener] = (),
        trace: TraceListener | None = None,
    ) -> RunningUpdate:
        """Begin an update; the device need not be registered yet.

        Args:
            endpoint: the device.
            source: the package; or packages by component, of which one may stand for several components. They must
                not change while the update runs.
            plan: what to do; by default whatever method the device offers, components in the order of `source` as far
                as their dependencies allow, with time to sleep for a device that is registered in queue mode. A plan
                without schemes gets those of the package host.
            state: keeps the update across restarts of this process. What it held before is replaced; when the update
                has ended, the end stays in it until its owner clears it.
            listeners: hear every note of the update, as it happens.
            trace: is given each line of a trace, from which `machines.update_trace` replays the update.

        Raises:
            UsageError: a package is empty or a reset, is not what the plan says, no device can have this name, or an
                update of it already runs.
            StorageError: a package cannot be read, or the update cannot be stored.
        """
        for each in source.values() if isinstance(source, Mapping) else (source,):
            check_package(each)
        plan = plan or self._with_sleeps(endpoint, plan_for(source))
        sources = packages_of(plan, source)
        if not plan.schemes:
            plan = attrs.evolve(plan, schemes=self.schemes)
        machine = update.start(plan, asyncio.get_running_loop().time())
        digests = () if state is None else _digests(sources)
        return self._begin(endpoint, UpdateRecord(machine=machine, digests=digests), sources, state, listeners, trace)

    def resume(
        self,
        endpoint: str,
        source: PackageSource | Packages,
        state: StateStore,
        *,
        listeners: Iterable[NoteListener] = (),
        trace: TraceListener | None = None,
    ) -> RunningUpdate:
        """Take up an update after a restart of this process: the device is read before anything is sent again.

        A package that was published is served under the same path again. An update that had ended has its outcome at
        once.

        Args:
            endpoint: the device.
            source: what the update began with.
            state: what `start` was given.
            listeners: hear every note from now on.
            trace: is given each line of a trace that begins here.

        Raises:
            UsageError: another package, or an update of this device already runs.
            StorageError: nothing is stored, it cannot be read, or a package cannot.
            SnapshotError: what is stored is damaged, or needs a rule for versions that this updater was not given.
        """
        data = state.load()
        if data is None:
            raise StorageError("no update is stored")
        record = decode(data, asyncio.get_running_loop().time(), self._versions)
        sources = packages_of(record.machine.plan, source)
        if record.digests != _digests(sources):
            raise UsageError("the stored update is of another package")
        return self._begin(endpoint, record, sources, state, listeners, trace, restarted=True)

    async def update(
        self,
        endpoint: str,
        source: PackageSource | Packages,
        plan: UpdatePlan | None = None,
        *,
        listeners: Iterable[NoteListener] = (),
    ) -> Outcome:
        """Update a device and wait for the end; raises as `start`.

        Where the wait is cancelled the update is closed, and the device left as it is.
        """
        running = self.start(endpoint, source, plan, listeners=listeners)
        try:
            return await running.outcome()
        finally:
            running.close()

    def _with_sleeps(self, endpoint: str, plan: UpdatePlan) -> UpdatePlan:
        device = self._gateway.registration(endpoint)
        return plan if device is None else attrs.evolve(plan, limits=with_sleeps(plan.limits, device.longest_sleep_s))

    def _begin(
        self,
        endpoint: str,
        record: UpdateRecord,
        sources: Sequence[PackageSource],
        state: StateStore | None,
        listeners: Iterable[NoteListener],
        trace: TraceListener | None,
        *,
        restarted: bool = False,
    ) -> RunningUpdate:
        check_endpoint_name(endpoint)
        if endpoint in self._running:
            raise UsageError(f"an update of {endpoint} already runs")
        former = self._listening.get(endpoint)
        if former is not None:
            former.close()  # what the device shows from now on is of another update
        running = RunningUpdate(
            endpoint,
            record,
            sources=sources,
            gateway=self._gateway,
            host=self._host,
            state=state,
            listeners=listeners,
            trace=trace,
            on_end=lambda: self._ended(endpoint),
            on_over=lambda: self._listening.pop(endpoint, None),
        )
        self._running[endpoint] = running
        try:
            running.begin(restarted=restarted)
        except BaseException:
            running.close()
            raise
        return running

    def _ended(self, endpoint: str) -> None:
        """Another update of the device may begin; this one may go on listening."""
        running = self._running.pop(endpoint, None)
        if running is not None:
            self._listening[endpoint] = running


def _digests(sources: Iterable[PackageSource]) -> tuple[str, ...]:
    return tuple(digest_of(each).hex() for each in sources)
