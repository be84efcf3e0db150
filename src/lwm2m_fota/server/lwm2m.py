"""A LwM2M server over CoAP: registrations, operations on devices, and a package server on the same endpoint."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, final

import attrs

from lwm2m_fota.coap.calls import Shrink
from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.coap.events import RequestReceived
from lwm2m_fota.coap.limits import EndpointLimits, Strangers
from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.errors import UsageError
from lwm2m_fota.lwm2m.bodies import BodyLimits
from lwm2m_fota.lwm2m.registry import Registration, RegistryEvent, RegistryLimits, Removed
from lwm2m_fota.model.registry import Definitions, standard_definitions
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.callbacks import tell
from lwm2m_fota.server.operations import DeviceOperations
from lwm2m_fota.server.packages import PackageServerLimits
from lwm2m_fota.server.ports import EntriesListener, PresenceListener, Subscription
from lwm2m_fota.server.publications import BlockServed
from lwm2m_fota.server.reach import Holds, Names, Reached, same_device
from lwm2m_fota.server.site import DEFAULT_ROOT, ServerSite
from lwm2m_fota.server.turns import QueueSettings
from lwm2m_fota.transport.base import DatagramTransport

SERVER_LIMITS: Final = EndpointLimits(strangers=Strangers())
"""Whoever is not known gets no more than three times what it sent."""

_WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - a comparison


@final
@attrs.frozen(kw_only=True)
class ServerSettings:
    """How a server behaves.

    Attributes:
        advertise_host: the host in the URIs of packages, or what tells it when a package is published; needed where
            the server listens on all addresses (0.0.0.0 or ::), since no device can fetch from there. None takes the
            listening address.
        root: the path of the registration interface.
        registry: bounds of the registry. Where it leaves `same_device` open, equal identities are one device, over
            whichever session; those who have proven none are told apart by their addresses.
        packages: bounds of the package server.
        bodies: bounds of request bodies that come in blocks: lists of objects, and what devices send.
        definitions: of the objects whose values are to be understood.
        queue: how long devices in queue mode are awake.
        endpoint: bounds and policies of the endpoints that it makes itself.
        q_block: push by sets of blocks (Q-Block1, RFC 9177) to devices that understand that; None never tries. Whoever
            fetches by sets is served so in any case.
        shrink: when to push in smaller blocks, where large ones get lost again and again; None never does.
    """

    advertise_host: str | Callable[[], str | None] | None = None
    root: str = DEFAULT_ROOT
    registry: RegistryLimits = attrs.field(factory=RegistryLimits)
    packages: PackageServerLimits = attrs.field(factory=PackageServerLimits)
    bodies: BodyLimits = attrs.field(factory=BodyLimits)
    definitions: Definitions = attrs.field(factory=standard_definitions)
    queue: QueueSettings = attrs.field(factory=QueueSettings)
    endpoint: EndpointLimits = SERVER_LIMITS
    q_block: QBlock | None = None
    shrink: Shrink | None = attrs.field(factory=Shrink)


@final
class Lwm2mServer(DeviceOperations):
    """Serves devices; implements `DeviceGateway` and its extensions, and `packages` is a `PackageHost`.

    Use it as an asynchronous context manager, or call `start` and `stop`. Over sessions it asks a device on the session
    that the device has opened, keeps that session as long as the registration, and lets an identity use only the
    endpoint names that the transport's credential store gives it.

    Args:
        transport: where it listens; or several, the scheme that is best for packages first.
        settings: how it behaves.
        pump: an endpoint of your own making; by default one over the (first) transport.
        on_event: hears of every registration, update and removal.
        on_block: hears of every block served.
    """

    def __init__(
        self,
        transport: DatagramTransport | Sequence[DatagramTransport],
        settings: ServerSettings | None = None,
        *,
        pump: Pump | None = None,
        on_event: Callable[[RegistryEvent], None] | None = None,
        on_block: Callable[[BlockServed], None] | None = None,
    ) -> None:
        self._settings = settings = settings or ServerSettings()
        first, *others = transport if isinstance(transport, Sequence) else (transport,)
        limits = settings.endpoint
        self._pumps = (pump or Pump(first, limits=limits), *(Pump(each, limits=limits) for each in others))
        self._names = Names(self._pumps)
        self._holds = Holds()
        for each in self._pumps:
            each.on_request = partial(self._on_request, each)
        self.on_event = on_event
        self._site = ServerSite(
            self._base_uris(),
            root=settings.root,
            registry=attrs.evolve(settings.registry, same_device=settings.registry.same_device or same_device),
            packages=settings.packages,
            bodies=settings.bodies,
            definitions=settings.definitions,
            entropy=self._pumps[0].entropy,
            on_event=self._on_registry_event,
            on_block=on_block,
            permit=self._names.permit,
        )
        self.packages = self._site.packages
        super().__init__(
            self._site.registrations, settings.definitions, settings.queue, settings.q_block, settings.shrink
        )

    async def __aenter__(self) -> "Lwm2mServer":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen.

        Raises:
            TransportError: an address cannot be had; then there is none that is listened at.
            UsageError: a certificate of a transport cannot be used.
        """
        try:
            for pump in self._pumps:
                await pump.open()
        except BaseException:
            await self._close()
            raise
        self._registrations.start()

    async def stop(self) -> None:
        """Stop listening; running operations fail with TransportError."""
        self._registrations.stop()
        await self._close()

    async def _close(self) -> None:
        for pump in self._pumps:
            await pump.close()

    @property
    def local_address(self) -> tuple[str, int]:
        """Host and port where it listens, by its first transport."""
        return self._pumps[0].local_address

    @property
    def addresses(self) -> tuple[tuple[str, tuple[str, int]], ...]:
        """Where it listens: the scheme, and host and port, of each transport."""
        return tuple((pump.scheme, pump.local_address) for pump in self._pumps)

    def registrations(self) -> tuple[Registration, ...]:
        """All present registrations."""
        return self._registrations.all()

    def _base_uris(self) -> dict[str, Callable[[], str]]:
        """What URIs of packages begin with, by scheme; of two endpoints with one scheme the first counts."""
        bases: dict[str, Callable[[], str]] = {}
        for pump in self._pumps:
            bases.setdefault(pump.scheme, partial(self._base_uri, pump))
        return bases

    def _base_uri(self, pump: Pump) -> str:
        host, port = pump.local_address
        advertised = self._settings.advertise_host
        host = (advertised() if callable(advertised) else advertised) or host
        if host in _WILDCARDS:
            raise UsageError(f"no device can fetch from {host}: set ServerSettings.advertise_host")
        return f"{pump.scheme}://[{host}]:{port}" if ":" in host else f"{pump.scheme}://{host}:{port}"

    # -- requests of devices

    def _on_request(self, pump: Pump, received: RequestReceived, now: float) -> Response:
        peer = Reached(pump, received.peer)
        response = self._site.handle(received.message, peer, now, pump.scheme)
        device = self._registrations.at(peer)
        if device is not None:
            self._turns.heard(device.endpoint)
        return response

    def _on_registry_event(self, event: RegistryEvent) -> None:
        if isinstance(event, Removed):
            self._holds.release(event.registration.endpoint)
        else:
            self._holds.hold(event.registration.endpoint, event.registration.peer)
        self.forget(event)
        tell(self.on_event, event)

    # -- who is there

    def registration(self, endpoint: str) -> Registration | None:
        """The present registration of an endpoint."""
        return self._registrations.get(endpoint)

    def watch(self, endpoint: str, listener: PresenceListener) -> Subscription:
        """Tell of every registration of this endpoint, and of its end."""
        return self._registrations.watch(endpoint, listener)

    async def registered(self, endpoint: str) -> Registration:
        """Wait for a device."""
        return await self._registrations.registered(endpoint)

    def reported(self, endpoint: str, listener: EntriesListener) -> Subscription:
        """Tell of everything that this device sends by itself (Send)."""
        return self._site.reported(endpoint, listener)
