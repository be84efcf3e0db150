"""A LwM2M server over CoAP: registrations, operations on devices, and a package server on the same endpoint."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, final

import attrs

from lwm2m_fota.coap.endpoint import Request, Response
from lwm2m_fota.coap.events import RequestReceived
from lwm2m_fota.coap.message import Message, Options, pack_uint, path_options, sort_options
from lwm2m_fota.coap.numbers import ContentFormat, Option
from lwm2m_fota.content.codec import decode, encode
from lwm2m_fota.content.values import Entries
from lwm2m_fota.errors import FotaError, ResponseError, TransportError
from lwm2m_fota.lwm2m.registry import (
    Registered,
    Registration,
    Registry,
    RegistryAnswer,
    RegistryEvent,
    RegistryLimits,
    Removed,
)
from lwm2m_fota.lwm2m.responses import error_response
from lwm2m_fota.model.codes import Code, is_success
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import Definitions, standard_definitions
from lwm2m_fota.model.resources import Value
from lwm2m_fota.runtime.entropy import SystemEntropy
from lwm2m_fota.runtime.pump import Observation, Pump
from lwm2m_fota.server.packages import BlockServed, PackageServer, PackageServerLimits
from lwm2m_fota.server.ports import (
    EntriesListener,
    Joined,
    Left,
    Presence,
    PresenceListener,
    ProgressListener,
    Subscription,
)
from lwm2m_fota.storage.base import PackageSource
from lwm2m_fota.transport.base import DatagramTransport

_ID_BYTES: Final = 8
_RESOURCE_IDS: Final = 3
_LOCATION_SEGMENTS: Final = 2


@final
@attrs.frozen(kw_only=True)
class ServerSettings:
    """How a server behaves.

    Attributes:
        advertise_host: the host in the URIs of packages, or what tells it when a package is published; None takes the
            listening address.
        root: the path of the registration interface.
        registry: bounds of the registry.
        packages: bounds of the package server.
    """

    advertise_host: str | Callable[[], str | None] | None = None
    root: str = "rd"
    registry: RegistryLimits = attrs.field(factory=RegistryLimits)
    packages: PackageServerLimits = attrs.field(factory=PackageServerLimits)


@final
class _Watch:
    """One listener of the presence of one endpoint."""

    __slots__ = ("_listeners", "listener")

    def __init__(self, listeners: list["_Watch"], listener: PresenceListener) -> None:
        self._listeners = listeners
        self.listener = listener
        listeners.append(self)

    def cancel(self) -> None:
        with contextlib.suppress(ValueError):
            self._listeners.remove(self)


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

    Use it as an asynchronous context manager, or call `start` and `stop`.

    Args:
        transport: where it listens.
        settings: how it behaves.
        pump: an endpoint of your own making; by default one over `transport`.
        on_event: hears of every registration, update and removal.
    """

    def __init__(
        self,
        transport: DatagramTransport,
        settings: ServerSettings | None = None,
        *,
        pump: Pump | None = None,
        on_event: Callable[[RegistryEvent], None] | None = None,
        on_block: Callable[[BlockServed], None] | None = None,
    ) -> None:
        self._settings = settings or ServerSettings()
        self._pump = pump or Pump(transport, entropy=SystemEntropy())
        self._pump.on_request = self._on_request
        self._registry = Registry(self._settings.registry)
        self._definitions: Definitions = standard_definitions()
        self._watches: dict[str, list[_Watch]] = {}
        self._observations: dict[str, set[Observation]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.on_event = on_event
        self.packages = PackageServer(
            self._base_uri, self._pump.entropy, self._pump.now, self._settings.packages, on_block
        )

    async def __aenter__(self) -> "Lwm2mServer":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen.

        Raises:
            TransportError: the address cannot be had.
        """
        await self._pump.open()

    async def stop(self) -> None:
        """Stop listening; running operations fail with TransportError."""
        if self._timer is not None:
            self._timer.cancel()
        await self._pump.close()

    @property
    def local_address(self) -> tuple[str, int]:
        """Host and port where it listens."""
        return self._pump.local_address

    def registrations(self) -> tuple[Registration, ...]:
        """All present registrations."""
        return tuple(self._registry)

    def _base_uri(self) -> str:
        host, port = self.local_address
        advertised = self._settings.advertise_host
        host = (advertised() if callable(advertised) else advertised) or host
        return f"coap://[{host}]:{port}" if ":" in host else f"coap://{host}:{port}"

    # -- requests of devices

    def _on_request(self, received: RequestReceived, now: float) -> Response:
        message = received.message
        try:
            path = message.path()
            if self.packages.serves(path):
                return self.packages.handle(message, received.peer)
            if path and path[0] == self._settings.root:
                return self._on_registration(message, received, path[1:], now)
        except FotaError as error:
            return error_response(error)
        return Response(Code.NOT_FOUND)

    def _on_registration(
        self, message: Message, received: RequestReceived, rest: tuple[str, ...], now: float
    ) -> Response:
        peer, queries, payload = received.peer, message.queries(), bytes(message.payload)
        match message.code, rest:
            case Code.POST, ():
                new_id = self._pump.entropy.token(_ID_BYTES).hex()
                answer = self._registry.register(peer, queries, payload, new_id=new_id, now=now)
            case Code.POST, (registration_id,):
                answer = self._registry.update(registration_id, peer, queries, payload, now)
            case Code.DELETE, (registration_id,):
                answer = self._registry.deregister(registration_id)
            case _:
                return Response(Code.METHOD_NOT_ALLOWED)
        self._tell(answer.events)
        return self._registration_response(answer)

    def _registration_response(self, answer: RegistryAnswer) -> Response:
        options: Options = ()
        if answer.location_id is not None:
            location = (self._settings.root, answer.location_id)
            options = tuple((int(Option.LOCATION_PATH), part.encode()) for part in location)
        return Response(answer.code, options, answer.diagnostic.encode())

    def _tell(self, events: tuple[RegistryEvent, ...]) -> None:
        for event in events:
            if self.on_event is not None:
                self.on_event(event)
            presence: Presence | None = None
            if isinstance(event, Registered):
                for observation in self._observations.pop(event.registration.endpoint, ()):
                    observation.forget()  # a new registration has none (LwM2M Core 6.4.2)
                presence = Joined(event.registration)
            elif isinstance(event, Removed):
                presence = Left(event.registration, event.expired)
            if presence is not None:
                # after the answer to the registration has left: a request before it would meet a client not ready
                asyncio.get_running_loop().call_soon(self._announce, presence)
        self._arm()

    def _announce(self, presence: Presence) -> None:
        for watch in tuple(self._watches.get(presence.registration.endpoint, ())):
            watch.listener(presence)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._registry.next_deadline()
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._tell(self._registry.expire(self._pump.now()))

    # -- the device gateway

    def registration(self, endpoint: str) -> Registration | None:
        """The present registration of an endpoint."""
        return self._registry.get(endpoint)

    def watch(self, endpoint: str, listener: PresenceListener) -> Subscription:
        """Tell of every registration of this endpoint, and of its end."""
        return _Watch(self._watches.setdefault(endpoint, []), listener)

    async def registered(self, endpoint: str) -> Registration:
        """Wait for a device."""
        present = self._registry.get(endpoint)
        if present is not None:
            return present
        arrived: asyncio.Future[Registration] = asyncio.get_running_loop().create_future()

        def listener(presence: Presence) -> None:
            if isinstance(presence, Joined) and not arrived.done():
                arrived.set_result(presence.registration)

        subscription = self.watch(endpoint, listener)
        try:
            return await arrived
        finally:
            subscription.cancel()

    async def read(self, endpoint: str, path: Path) -> Entries:
        """Read an instance or a resource.

        Raises:
            TransportError: no answer, or not registered.
            ResponseError: an error code.
            ContentError: an answer that cannot be understood.
        """
        request = Request(Code.GET, _path(path, (int(Option.ACCEPT), pack_uint(self._accept(endpoint, path)))))
        return self._entries(path, await self._exchange(endpoint, path, request))

    async def discover(self, endpoint: str, path: Path) -> bytes:
        """The links below a path, in link format.

        Raises:
            TransportError, ResponseError: as `read`.
        """
        request = Request(Code.GET, _path(path, (int(Option.ACCEPT), pack_uint(ContentFormat.LINK))))
        return (await self._exchange(endpoint, path, request)).payload

    async def write(self, endpoint: str, path: Path, value: Value) -> None:
        """Replace one resource.

        Raises:
            TransportError, ResponseError: as `read`.
            ContentError: the value does not fit the resource.
        """
        content_format = ContentFormat.OPAQUE if isinstance(value, bytes) else ContentFormat.TEXT
        payload = encode([(path, value)], content_format, path, self._definitions)
        options = _path(path, (int(Option.CONTENT_FORMAT), pack_uint(content_format)))
        await self._exchange(endpoint, path, Request(Code.PUT, options, payload))

    async def push(self, endpoint: str, path: Path, source: PackageSource, progress: ProgressListener) -> None:
        """Replace one opaque resource with a streamed body (Block1).

        Raises:
            TransportError, ResponseError: as `read`.
            BlockwiseError: the device breaks the rules of block-wise transfer.
            StorageError: the source cannot be read.
        """
        options = _path(path, (int(Option.CONTENT_FORMAT), pack_uint(ContentFormat.OPAQUE)))
        request = Request(Code.PUT, options, source_bytes=source.size_bytes)
        answer = await self._pump.upload(self._peer(endpoint), request, source, progress)
        _check(answer, "PUT", path)

    async def execute(self, endpoint: str, path: Path, arguments: bytes = b"") -> None:
        """Execute a resource.

        Raises:
            TransportError, ResponseError: as `read`.
        """
        extra = ((int(Option.CONTENT_FORMAT), pack_uint(ContentFormat.TEXT)),) if arguments else ()
        await self._exchange(endpoint, path, Request(Code.POST, _path(path, *extra), arguments))

    async def observe(self, endpoint: str, path: Path, listener: EntriesListener) -> tuple[Entries, Subscription]:
        """Observe a resource.

        Raises:
            TransportError, ResponseError, ContentError: as `read`.
        """
        early: list[Entries] = []
        begun = False

        def on_notify(message: Message) -> None:
            if is_success(message.code):
                with contextlib.suppress(FotaError):  # one unreadable notification: the next read will tell
                    tell = listener if begun else early.append
                    tell(self._entries(path, message))

        options = _path(path, (int(Option.ACCEPT), pack_uint(self._accept(endpoint, path))))
        observation: Observation = await self._pump.observe(
            self._peer(endpoint), Request(Code.GET, options, observe=True), on_notify
        )
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

    def _peer(self, endpoint: str) -> object:
        registration = self._registry.get(endpoint)
        if registration is None:
            raise TransportError(f"{endpoint} is not registered")
        return registration.peer

    async def _exchange(self, endpoint: str, path: Path, request: Request) -> Message:
        answer = await self._pump.call(self._peer(endpoint), request)
        return _check(answer, Code(request.code).name, path)

    def _accept(self, endpoint: str, path: Path) -> int:
        """Text for a single resource; TLV, which LwM2M 1.0 demands, or SenML CBOR above it."""
        definition = self._definitions.get(path.ids[0])
        resource = definition.resource(path.ids[2]) if definition and len(path.ids) == _RESOURCE_IDS else None
        if resource is not None and not resource.multiple:
            return ContentFormat.TEXT
        registration = self._registry.get(endpoint)
        old = registration is None or registration.lwm2m_version == "1.0"
        return ContentFormat.TLV if old else ContentFormat.SENML_CBOR

    def _entries(self, path: Path, message: Message) -> Entries:
        number = message.uint(Option.CONTENT_FORMAT)
        return decode(bytes(message.payload), ContentFormat.TEXT if number is None else number, path, self._definitions)


def _path(path: Path, *extra: tuple[int, bytes]) -> Options:
    return sort_options((*path_options(map(str, path.ids)), *extra))


def _check(answer: Message, what: str, path: Path) -> Message:
    if is_success(answer.code):
        return answer
    diagnostic = bytes(answer.payload[:200]).decode("utf-8", "replace")
    raise ResponseError(f"{what} {path}", response_code=answer.code, diagnostic=diagnostic)
