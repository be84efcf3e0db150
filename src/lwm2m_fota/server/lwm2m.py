"""A LwM2M server over CoAP: registrations, operations on devices, and a package server on the same endpoint."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, final

import attrs

from lwm2m_fota.coap.endpoint import Request, Response
from lwm2m_fota.coap.events import RequestReceived
from lwm2m_fota.coap.message import Message, Options, pack_uint, path_options, sort_options
from lwm2m_fota.coap.numbers import ContentFormat, Option
from lwm2m_fota.content.codec import decode, encode
from lwm2m_fota.content.link import Link, parse_links
from lwm2m_fota.content.values import Entries
from lwm2m_fota.errors import FotaError, ResponseError, TransportError, UsageError
from lwm2m_fota.lwm2m.registry import Registration, RegistryEvent, RegistryLimits, Removed, Updated
from lwm2m_fota.model.codes import Code, is_success
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import Definitions, standard_definitions
from lwm2m_fota.model.resources import Value
from lwm2m_fota.runtime.pump import Observation, Pump
from lwm2m_fota.server.callbacks import tell
from lwm2m_fota.server.packages import BlockServed, PackageServerLimits
from lwm2m_fota.server.ports import EntriesListener, PresenceListener, ProgressListener, Subscription
from lwm2m_fota.server.reach import Holds, Names, Reached, reached
from lwm2m_fota.server.site import DEFAULT_ROOT, ServerSite
from lwm2m_fota.storage.base import PackageSource
from lwm2m_fota.transport.base import DatagramTransport

_RESOURCE_IDS: Final = 3
_WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - a comparison
_DIAGNOSTIC_BYTES: Final = 200
_ACCEPT_REFUSED: Final = frozenset({Code.NOT_ACCEPTABLE, Code.BAD_OPTION})
"""What devices answer that do not know the format asked for, or the very option (FIELD: they answer without it)."""


@final
@attrs.frozen(kw_only=True)
class ServerSettings:
    """How a server behaves.

    Attributes:
        advertise_host: the host in the URIs of packages, or what tells it when a package is published; needed where
            the server listens on all addresses (0.0.0.0 or ::), since no device can fetch from there. None takes the
            listening address.
        root: the path of the registration interface.
        registry: bounds of the registry.
        packages: bounds of the package server.
    """

    advertise_host: str | Callable[[], str | None] | None = None
    root: str = DEFAULT_ROOT
    registry: RegistryLimits = attrs.field(factory=RegistryLimits)
    packages: PackageServerLimits = attrs.field(factory=PackageServerLimits)


@final
class _Observed:
    """An observation that leaves the server's list when it is cancelled."""

    __slots__ = ("_observation", "_running")

    def __init__(self, running: set[Observation], observation: Observation) -> None:
        self._running = running
        self._observation = observation

    def cancel(self) -> None:
        self._running.discard(self._observation)
        self._observation.cancel()


@final
class Lwm2mServer:
    """Serves devices; implements `DeviceGateway`, and `packages` is a `PackageHost`.

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
        self._settings = settings or ServerSettings()
        first, *others = transport if isinstance(transport, Sequence) else (transport,)
        self._pumps = (pump or Pump(first), *map(Pump, others))
        self._names = Names(self._pumps)
        self._holds = Holds()
        for each in self._pumps:
            each.on_request = partial(self._on_request, each)
        self._definitions: Definitions = standard_definitions()
        self._observations: dict[str, set[Observation]] = {}
        self.on_event = on_event
        self._site = ServerSite(
            self._base_uris(),
            root=self._settings.root,
            registry=self._settings.registry,
            packages=self._settings.packages,
            entropy=self._pumps[0].entropy,
            on_event=self._on_registry_event,
            on_block=on_block,
            permit=self._names.permit,
        )
        self._registrations = self._site.registrations
        self.packages = self._site.packages

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
        return self._site.handle(received.message, Reached(pump, received.peer), now, pump.scheme)

    def _on_registry_event(self, event: RegistryEvent) -> None:
        if isinstance(event, Removed):
            self._holds.release(event.registration.endpoint)
        else:
            self._holds.hold(event.registration.endpoint, event.registration.peer)
        if not isinstance(event, Updated) or event.moved:
            for observation in self._observations.pop(event.registration.endpoint, ()):
                observation.forget()  # the device has none for us any more
        tell(self.on_event, event)

    # -- the device gateway

    def registration(self, endpoint: str) -> Registration | None:
        """The present registration of an endpoint."""
        return self._registrations.get(endpoint)

    def watch(self, endpoint: str, listener: PresenceListener) -> Subscription:
        """Tell of every registration of this endpoint, and of its end."""
        return self._registrations.watch(endpoint, listener)

    async def registered(self, endpoint: str) -> Registration:
        """Wait for a device."""
        return await self._registrations.registered(endpoint)

    async def read(self, endpoint: str, path: Path) -> Entries:
        """Read an instance or a resource, in the format that fits best, or else in the one that the device likes.

        Raises:
            PeerTimeoutError: no answer.
            TransportError: a reset, not registered, or the server was stopped.
            ResponseError: an error code.
            BlockwiseError: the blocks of the answer contradict each other, or are too many.
            MalformedError: an answer that cannot be understood.
        """
        accept = (int(Option.ACCEPT), pack_uint(self._accept(endpoint, path)))
        try:
            answer = await self._exchange(endpoint, path, Code.GET, accept)
        except ResponseError as error:
            if error.response_code not in _ACCEPT_REFUSED:
                raise
            answer = await self._exchange(endpoint, path, Code.GET)
        return self._entries(path, answer)

    async def discover(self, endpoint: str, path: Path) -> tuple[Link, ...]:
        """The links below a path.

        Raises:
            TransportError, ResponseError, BlockwiseError, MalformedError: as `read`.
        """
        accept = (int(Option.ACCEPT), pack_uint(ContentFormat.LINK))
        return parse_links((await self._exchange(endpoint, path, Code.GET, accept)).payload)

    async def write(self, endpoint: str, path: Path, value: Value) -> None:
        """Replace one resource.

        Raises:
            TransportError, ResponseError, BlockwiseError: as `read`.
            ContentError: the value does not fit the resource.
        """
        content_format = ContentFormat.OPAQUE if isinstance(value, bytes) else ContentFormat.TEXT
        payload = encode([(path, value)], content_format, path, self._definitions)
        option = (int(Option.CONTENT_FORMAT), pack_uint(content_format))
        await self._exchange(endpoint, path, Code.PUT, option, payload=payload)

    async def push(self, endpoint: str, path: Path, source: PackageSource, progress: ProgressListener) -> None:
        """Replace one opaque resource with a streamed body (Block1); `progress` hears the bytes acknowledged.

        Raises:
            TransportError, ResponseError: as `read`.
            BlockwiseError: the device breaks the rules of block-wise transfer.
            StorageError: the source cannot be read.
        """
        device = self._device(endpoint)
        options = _options(device, path, (int(Option.CONTENT_FORMAT), pack_uint(ContentFormat.OPAQUE)))
        request = Request(Code.PUT, options, source_bytes=source.size_bytes)
        at = reached(device.peer)
        answer = await at.pump.upload(at.peer, request, source, lambda done: tell(progress, done))
        _check(answer, "PUT", path)
        tell(progress, source.size_bytes)

    async def execute(self, endpoint: str, path: Path, arguments: bytes = b"") -> None:
        """Execute a resource.

        Raises:
            TransportError, ResponseError: as `read`.
        """
        extra = ((int(Option.CONTENT_FORMAT), pack_uint(ContentFormat.TEXT)),) if arguments else ()
        await self._exchange(endpoint, path, Code.POST, *extra, payload=arguments)

    async def observe(self, endpoint: str, path: Path, listener: EntriesListener) -> tuple[Entries, Subscription]:
        """Observe a resource, until the subscription is cancelled or the device registers anew.

        Raises:
            TransportError, ResponseError, BlockwiseError, MalformedError: as `read`.
        """
        device = self._device(endpoint)
        early: list[Entries] = []
        begun = False

        def on_notify(message: Message) -> None:
            if not is_success(message.code):
                return
            try:
                entries = self._entries(path, message)
            except FotaError:  # one unreadable notification: the next read will tell
                return
            tell(listener if begun else early.append, entries)

        options = _options(device, path, (int(Option.ACCEPT), pack_uint(self._accept(endpoint, path))))
        request = Request(Code.GET, options, observe=True)
        at = reached(device.peer)
        observation: Observation = await at.pump.observe(at.peer, request, on_notify)
        present = self._registrations.get(endpoint)
        if present is None or present.epoch != device.epoch:
            observation.forget()
            raise TransportError(f"{endpoint} was registered anew, and has forgotten the observation")
        try:
            _check(observation.first, "Observe", path)
            entries = self._entries(path, observation.first)
        except FotaError:
            observation.cancel()
            raise
        running = self._observations.setdefault(endpoint, set())
        running.add(observation)
        begun = True
        # what came in one batch with the first answer is fresher than it
        return early[-1] if early else entries, _Observed(running, observation)

    def _device(self, endpoint: str) -> Registration:
        registration = self._registrations.get(endpoint)
        if registration is None:
            raise TransportError(f"{endpoint} is not registered")
        return registration

    async def _exchange(
        self, endpoint: str, path: Path, code: Code, *extra: tuple[int, bytes], payload: bytes = b""
    ) -> Message:
        device = self._device(endpoint)
        at = reached(device.peer)
        answer = await at.pump.call(at.peer, Request(code, _options(device, path, *extra), payload))
        return _check(answer, code.name, path)

    def _accept(self, endpoint: str, path: Path) -> int:
        """Text for a single resource; TLV, which LwM2M 1.0 demands, or SenML CBOR above it."""
        definition = self._definitions.get(path.ids[0])
        resource = definition.resource(path.ids[2]) if definition and len(path.ids) == _RESOURCE_IDS else None
        if resource is not None and not resource.multiple:
            return ContentFormat.TEXT
        registration = self._registrations.get(endpoint)
        old = registration is None or registration.lwm2m_version == "1.0"
        return ContentFormat.TLV if old else ContentFormat.SENML_CBOR

    def _entries(self, path: Path, message: Message) -> Entries:
        number = message.uint(Option.CONTENT_FORMAT)
        return decode(bytes(message.payload), ContentFormat.TEXT if number is None else number, path, self._definitions)


def _options(device: Registration, path: Path, *extra: tuple[int, bytes]) -> Options:
    return sort_options((*path_options((*device.root, *map(str, path.ids))), *extra))


def _check(answer: Message, what: str, path: Path) -> Message:
    if is_success(answer.code):
        return answer
    diagnostic = bytes(answer.payload[:_DIAGNOSTIC_BYTES]).decode("utf-8", "replace")
    raise ResponseError(f"{what} {path}", response_code=answer.code, diagnostic=diagnostic)
