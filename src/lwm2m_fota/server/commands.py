"""The commands of an update, carried out at the device: each of them ends in the event that answers it."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final, final

from lwm2m_fota.content.values import Entries
from lwm2m_fota.errors import FotaError, MalformedError, ResponseError, StorageError
from lwm2m_fota.lwm2m.update_arguments import format_update
from lwm2m_fota.machines.update_effects import ClearUri, Configure, Execute, Observe, Push, Read, WriteNul, WriteUri
from lwm2m_fota.machines.update_events import (
    ExecuteAnswered,
    Notified,
    ObserveAnswered,
    PushAnswered,
    PushProgress,
    ReadAnswered,
    ReadFailed,
    RequestFailed,
    SourceFailed,
    UpdateEvent,
    WriteAnswered,
)
from lwm2m_fota.machines.update_policy import ObserveBy, UpdatePolicy
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.paths import Path
from lwm2m_fota.server.callbacks import show_fault, tell
from lwm2m_fota.server.ports import CompositeGateway, DeviceGateway, Publication, ReportGateway, Subscription
from lwm2m_fota.server.reading import read_values
from lwm2m_fota.storage.base import PackageSource

RESET_PACKAGE: Final = b"\x00"
"""Object 5, resource 0: a package of one NUL byte means reset."""

Request = WriteUri | ClearUri | WriteNul | Push | Execute | Configure
Command = Read | Observe | Request

_INSTANCE_IDS: Final = 2
_LOG: Final = logging.getLogger(__name__)
_ANSWERED: Final[Mapping[type[Observe | Request], Callable[[int, int], UpdateEvent]]] = MappingProxyType(
    {
        Observe: ObserveAnswered,
        WriteUri: WriteAnswered,
        ClearUri: WriteAnswered,
        WriteNul: WriteAnswered,
        Push: PushAnswered,
        Execute: ExecuteAnswered,
        Configure: WriteAnswered,
    }
)


@final
class DeviceCommands:
    """What an update does at one device, and what it observes there.

    Args:
        gateway: reaches the device.
        endpoint: the device.
        sources: the packages, by their numbers.
        feed: takes notifications and the progress of a push.
        policy: how several resources are read and observed.

    Attributes:
        publication: where the device can fetch the present package; None if it is not published.
        obstacle: why it is not.
    """

    def __init__(
        self,
        gateway: DeviceGateway,
        endpoint: str,
        sources: Sequence[PackageSource],
        feed: Callable[[UpdateEvent], None],
        policy: UpdatePolicy,
    ) -> None:
        self._gateway = gateway
        self._endpoint = endpoint
        self._sources = sources
        self._feed = feed
        self._policy = policy
        self._observed: dict[Path, Subscription] = {}
        self.publication: Publication | None = None
        self.obstacle = "it is not published"

    async def answer(self, command: Command) -> UpdateEvent:
        """Carry a command out; whatever goes wrong is told by the event."""
        number = command.command
        try:
            if isinstance(command, Read):
                values = await read_values(self._gateway, self._endpoint, command.paths, self._policy.read_by)
                return ReadAnswered(number, values)
            code = await self._observe(command) if isinstance(command, Observe) else await self._request(command)
            return _ANSWERED[type(command)](number, code)
        except FotaError as error:
            if isinstance(error, StorageError):
                _LOG.warning("the package for %s: %s", self._endpoint, error)
            return _failed(command, error)
        except Exception as error:  # noqa: BLE001 - a gateway or a source that is not ours
            show_fault(f"{type(command).__name__} at {self._endpoint}", error)
            return _failed(command, FotaError(repr(error)))

    async def _request(self, command: Request) -> int:
        gateway, endpoint = self._gateway, self._endpoint
        match command:
            case WriteUri(_, path, _):
                if self.publication is None:
                    raise StorageError(self.obstacle)
                await gateway.write(endpoint, path, self.publication.uri)
            case ClearUri(_, path):
                await gateway.write(endpoint, path, "")
            case WriteNul(_, path):
                await gateway.write(endpoint, path, RESET_PACKAGE)
            case Push(number, path, package):
                source = self._sources[package]
                await gateway.push(endpoint, path, source, lambda sent: self._feed(PushProgress(number, sent)))
            case Execute(_, path, others):
                await gateway.execute(endpoint, path, format_update(others))
            case Configure(_, values):
                return await self._configure(values)
        return Code.CHANGED

    async def _configure(self, values: Sequence[tuple[Path, int | bool]]) -> int:
        """Write one resource after the other; the worst of the answers."""
        worst = int(Code.CHANGED)
        for path, value in values:
            try:
                await self._gateway.write(self._endpoint, path, value)
            except ResponseError as error:
                worst = max(worst, error.response_code)
        return worst

    # -- observations

    async def _observe(self, command: Observe) -> int:
        """Observe every path, in the way of the policy or else one by one; the worst of the answers."""
        for path in command.paths:
            self.unobserve(path)
        left = command.paths
        match self._policy.observe_by:
            case ObserveBy.SEND if isinstance(self._gateway, ReportGateway):
                self._observed.update(dict.fromkeys(left, self._gateway.reported(self._endpoint, self._notified)))
                return Code.CONTENT
            case ObserveBy.COMPOSITE if isinstance(self._gateway, CompositeGateway):
                observe = self._gateway.observe_composite
                left = await self._together(left, lambda: observe(self._endpoint, command.paths, self._notified))
            case ObserveBy.INSTANCES:
                left = await self._by_instances(left)
            case _:
                pass
        worst = int(Code.CONTENT)
        for path in left:
            worst = max(worst, await self._alone(path))
        return worst

    async def _by_instances(self, paths: tuple[Path, ...]) -> tuple[Path, ...]:
        left: tuple[Path, ...] = ()
        for instance in dict.fromkeys(Path(path.ids[:_INSTANCE_IDS]) for path in paths):
            below = tuple(path for path in paths if instance.contains(path))
            observe = partial(self._gateway.observe, self._endpoint, instance, self._notified)
            left += await self._together(below, observe)
        return left

    async def _together(
        self, paths: tuple[Path, ...], observe: Callable[[], Awaitable[tuple[Entries, Subscription]]]
    ) -> tuple[Path, ...]:
        """Observe paths by one observation; those that are left if the device refuses it."""
        try:
            entries, subscription = await observe()
        except (ResponseError, MalformedError):
            return paths
        self._observed.update(dict.fromkeys(paths, subscription))
        self._notified(entries)
        return ()

    async def _alone(self, path: Path) -> int:
        try:
            entries, subscription = await self._gateway.observe(self._endpoint, path, self._notified)
        except ResponseError as error:
            return error.response_code
        self._observed[path] = subscription
        self._notified(entries)
        return Code.CONTENT

    def _notified(self, entries: Entries) -> None:
        for path, value in entries:
            self._feed(Notified(path, value))

    def unobserve(self, path: Path) -> None:
        """End the observation of a path; harmless if there is none."""
        subscription = self._observed.pop(path, None)
        if subscription is not None:
            tell(subscription.cancel)

    def unobserve_all(self) -> None:
        """End every observation."""
        for path in tuple(self._observed):
            self.unobserve(path)


def _failed(command: Command, error: FotaError) -> UpdateEvent:
    """The event for a command that brought no good answer."""
    number, code = command.command, error.response_code if isinstance(error, ResponseError) else None
    if isinstance(command, Read):
        return ReadFailed(number, code, str(error))
    if code is not None:
        return _ANSWERED[type(command)](number, code)
    if isinstance(error, StorageError) and isinstance(command, WriteUri | Push):
        return SourceFailed(number, str(error))
    return RequestFailed(number, str(error))
