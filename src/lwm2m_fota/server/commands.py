"""The commands of an update, carried out at the device: each of them ends in the event that answers it."""

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, final

from lwm2m_fota.content.values import Entries
from lwm2m_fota.errors import FotaError, ResponseError, StorageError
from lwm2m_fota.machines.update_effects import ClearUri, Execute, Observe, Push, Read, WriteNul, WriteUri
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
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.paths import Path
from lwm2m_fota.server.callbacks import show_fault, tell
from lwm2m_fota.server.ports import DeviceGateway, Publication, Subscription
from lwm2m_fota.server.reading import read_values
from lwm2m_fota.storage.base import PackageSource

RESET_PACKAGE: Final = b"\x00"
"""Object 5, resource 0: a package of one NUL byte means reset."""

Request = WriteUri | ClearUri | WriteNul | Push | Execute
Command = Read | Observe | Request

_LOG: Final = logging.getLogger(__name__)
_ANSWERED: Final[Mapping[type[Observe | Request], Callable[[int, int], UpdateEvent]]] = MappingProxyType(
    {
        Observe: ObserveAnswered,
        WriteUri: WriteAnswered,
        ClearUri: WriteAnswered,
        WriteNul: WriteAnswered,
        Push: PushAnswered,
        Execute: ExecuteAnswered,
    }
)


@final
class DeviceCommands:
    """What an update does at one device, and what it observes there.

    Args:
        gateway: reaches the device.
        endpoint: the device.
        source: the package.
        feed: takes notifications and the progress of a push.

    Attributes:
        publication: where the device can fetch the package; None if it is not published.
        obstacle: why it is not.
    """

    def __init__(
        self, gateway: DeviceGateway, endpoint: str, source: PackageSource, feed: Callable[[UpdateEvent], None]
    ) -> None:
        self._gateway = gateway
        self._endpoint = endpoint
        self._source = source
        self._feed = feed
        self._observed: dict[Path, Subscription] = {}
        self.publication: Publication | None = None
        self.obstacle = "it is not published"

    async def answer(self, command: Command) -> UpdateEvent:
        """Carry a command out; whatever goes wrong is told by the event."""
        number = command.command
        try:
            if isinstance(command, Read):
                return ReadAnswered(number, await read_values(self._gateway, self._endpoint, command.paths))
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
            case Push(number, path):
                await gateway.push(endpoint, path, self._source, lambda sent: self._feed(PushProgress(number, sent)))
            case Execute(_, path):
                await gateway.execute(endpoint, path)
        return Code.CHANGED

    # -- observations

    async def _observe(self, command: Observe) -> int:
        """Observe every path; the worst of the answers."""
        worst = int(Code.CONTENT)
        for path in command.paths:
            self.unobserve(path)
            try:
                entries, subscription = await self._gateway.observe(self._endpoint, path, self._notified)
            except ResponseError as error:
                worst = max(worst, error.response_code)
                continue
            self._observed[path] = subscription
            self._notified(entries)
        return worst

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
