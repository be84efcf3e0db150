"""The two small doors through which the updater reaches the world: a device gateway and a package host.

`Lwm2mServer` and `PackageServer` implement them; a server of your own does so in a few lines.
"""

from collections.abc import Callable, Iterable
from typing import Protocol, final, runtime_checkable

import attrs

from lwm2m_fota.content.values import Entries
from lwm2m_fota.lwm2m.registry import Registration
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import Value
from lwm2m_fota.storage.base import PackageSource


@final
@attrs.frozen
class Joined:
    """The device registered, or its address changed: observations from before are gone.

    The epoch of the registration tells a new one from the one that is known.
    """

    registration: Registration


@final
@attrs.frozen
class Left:
    """The device deregistered, or its registration lapsed."""

    registration: Registration
    expired: bool


Presence = Joined | Left
PresenceListener = Callable[[Presence], None]
EntriesListener = Callable[[Entries], None]
ProgressListener = Callable[[int], None]
"""Told the bytes of the body that the peer has acknowledged so far."""


class Subscription(Protocol):
    """Something that runs until it is cancelled, such as a task."""

    def cancel(self) -> object:
        """End it; twice is harmless."""
        ...


class DeviceGateway(Protocol):
    """Operations on registered devices, by endpoint name.

    Every operation raises TransportError where no answer comes (or the device is not registered), and ResponseError
    where the answer is an error code; other FotaErrors mean that the answer could not be understood. A cancelled
    operation is given up without a word to the device.
    """

    def registration(self, endpoint: str) -> Registration | None:
        """The present registration."""
        ...

    def watch(self, endpoint: str, listener: PresenceListener) -> Subscription:
        """Tell of every registration and its end from now on."""
        ...

    async def read(self, endpoint: str, path: Path) -> Entries:
        """Read an object, an instance or a resource."""
        ...

    async def write(self, endpoint: str, path: Path, value: Value) -> None:
        """Replace one resource; bytes go as opaque."""
        ...

    async def push(self, endpoint: str, path: Path, source: PackageSource, progress: ProgressListener) -> None:
        """Replace one opaque resource with a streamed body, block by block.

        `progress` hears the bytes that the device has acknowledged. StorageError means that the source cannot be read.
        """
        ...

    async def execute(self, endpoint: str, path: Path, arguments: bytes = b"") -> None:
        """Execute a resource."""
        ...

    async def observe(self, endpoint: str, path: Path, listener: EntriesListener) -> tuple[Entries, Subscription]:
        """Observe a resource: its present value, then every fresh notification to the listener."""
        ...


@runtime_checkable
class CompositeGateway(Protocol):
    """What a `DeviceGateway` may do beside: operations on several paths with one request.

    They raise what those of `DeviceGateway` do. A device that does not know them answers with an error, and is then
    asked path by path; it is for the gateway to remember that.
    """

    async def read_composite(self, endpoint: str, paths: Iterable[Path]) -> Entries:
        """Read several paths; what the device cannot read is missing."""
        ...

    async def observe_composite(
        self, endpoint: str, paths: Iterable[Path], listener: EntriesListener
    ) -> tuple[Entries, Subscription]:
        """Observe several paths: their present values, then all of them with every fresh notification."""
        ...


@runtime_checkable
class ReportGateway(Protocol):
    """What a `DeviceGateway` may do beside: hear what devices send by themselves."""

    def reported(self, endpoint: str, listener: EntriesListener) -> Subscription:
        """Tell of everything that this device sends from now on."""
        ...


@final
@attrs.frozen
class Publication:
    """A package that devices can fetch.

    Attributes:
        uri: unguessable; ends when it is withdrawn or expires.
        token: names it at `PackageHost.withdraw`.
    """

    uri: str
    token: str


class PackageHost(Protocol):
    """Serves packages to devices that pull."""

    @property
    def schemes(self) -> tuple[str, ...]:
        """The URI schemes that are served, best first."""
        ...

    def publish(
        self, source: PackageSource, scheme: str, progress: ProgressListener, token: str | None = None
    ) -> Publication:
        """Serve a package until it is withdrawn.

        Args:
            source: the package.
            scheme: of the URI, one of `schemes`.
            progress: hears the end of the furthest block fetched, in bytes.
            token: of an earlier publication, that this one takes the place of: the same URI is served again, since a
                device may hold it. None makes a new, unguessable one.

        Raises:
            StorageError: the package cannot be read, or there is no room for another.
        """
        ...

    def withdraw(self, token: str) -> None:
        """Serve it no longer; harmless if it is gone."""
        ...
