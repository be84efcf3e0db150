"""Operations on registered devices over CoAP (LwM2M Core 6.3 and 6.4): what a `DeviceGateway` does, and more."""

from collections.abc import Iterable
from typing import Final

import attrs

from lwm2m_fota.coap.calls import Shrink
from lwm2m_fota.coap.endpoint import Request
from lwm2m_fota.coap.message import Message, Options, pack_uint, path_options, sort_options
from lwm2m_fota.coap.numbers import ContentFormat, Option
from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.content.codec import decode, encode, encode_paths
from lwm2m_fota.content.link import Link, parse_links
from lwm2m_fota.content.values import Entries
from lwm2m_fota.errors import FotaError, MalformedError, ResponseError, TransportError, UsageError
from lwm2m_fota.lwm2m.attributes import format_changes
from lwm2m_fota.lwm2m.operations import WriteMode
from lwm2m_fota.lwm2m.registry import Registration, RegistryEvent, Removed, Updated
from lwm2m_fota.model.codes import Code, is_success
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import Definitions
from lwm2m_fota.model.resources import Value
from lwm2m_fota.runtime.pump import Observation
from lwm2m_fota.server.callbacks import tell
from lwm2m_fota.server.ports import EntriesListener, ProgressListener, Subscription
from lwm2m_fota.server.reach import Reached, reached
from lwm2m_fota.server.registrations import Registrations
from lwm2m_fota.server.turns import QueueSettings, Turns
from lwm2m_fota.server.ways import PREFERRED, Ways, ways_of
from lwm2m_fota.storage.base import PackageSource

BUSY: Final = frozenset({Code.SERVICE_UNAVAILABLE, Code.TOO_MANY_REQUESTS})
"""A device that answers so is asked again later; it says nothing of what it can."""

_RESOURCE_IDS: Final = 3
_STATE_ID: Final = 3  # of both objects for firmware update
_ROOT: Final = Path(())
_DIAGNOSTIC_BYTES: Final = 200
_ACCEPT_REFUSED: Final = frozenset({Code.NOT_ACCEPTABLE, Code.BAD_OPTION})
"""What devices answer that do not know the format asked for, or the very option (FIELD: they answer without it)."""
_FORMAT_REFUSED: Final = frozenset({Code.UNSUPPORTED_CONTENT_FORMAT, Code.NOT_ACCEPTABLE})


class _Observed:
    """An observation that leaves the server's list when it is cancelled."""

    __slots__ = ("_observation", "_running")

    def __init__(self, running: set[Observation], observation: Observation) -> None:
        self._running = running
        self._observation = observation

    def cancel(self) -> None:
        self._running.discard(self._observation)
        self._observation.cancel()


class DeviceOperations:
    """Operations on the devices that are registered.

    Every operation raises TransportError where no answer comes, or the device is not registered (PeerTimeoutError if it
    does not answer), ResponseError where the answer is an error code, BlockwiseError where the blocks of an answer
    contradict each other or are too many, and MalformedError where it cannot be understood.

    A device in queue mode is asked only while it is awake; an operation waits until then, behind those that were begun
    before it.

    Args:
        registrations: who is there, and how each is reached.
        definitions: of the objects whose values are to be understood.
        queue: how long devices in queue mode are awake.
        q_block: push by sets of blocks to devices that understand that; None never tries.
        shrink: when to push in smaller blocks; None never does.
    """

    def __init__(
        self,
        registrations: Registrations,
        definitions: Definitions,
        queue: QueueSettings,
        q_block: QBlock | None = None,
        shrink: Shrink | None = None,
    ) -> None:
        self._registrations = registrations
        self._definitions = definitions
        self._q_block = q_block
        self._shrink = shrink
        self._turns = Turns(queue, registrations.get)
        self._observations: dict[str, set[Observation]] = {}
        self._ways: dict[str, Ways] = {}

    def forget(self, event: RegistryEvent) -> None:
        """A device registered anew, moved, or is gone: it has no observation for us any more, and may be another."""
        endpoint = event.registration.endpoint
        if isinstance(event, Removed):
            self._turns.gone(endpoint)
        if isinstance(event, Updated) and not event.moved:
            return
        for observation in self._observations.pop(endpoint, ()):
            observation.forget()
        if not isinstance(event, Updated):
            self._ways.pop(endpoint, None)

    # -- reads

    async def read(self, endpoint: str, path: Path) -> Entries:
        """Read an object, an instance, a resource or a resource instance, in the format that fits best.

        A device that refuses the format is asked without one, from then on too.
        """
        ways = self._ways_of(self._device(endpoint))
        if ways.heeds_accept:
            try:
                answer = await self._exchange(endpoint, path, Code.GET, _accept(self._format(ways, path)))
            except ResponseError as error:
                if error.response_code not in _ACCEPT_REFUSED:
                    raise
            else:
                return self._entries(path, answer)
        answer = await self._exchange(endpoint, path, Code.GET)
        ways.heeds_accept = False
        return self._entries(path, answer)

    async def read_composite(self, endpoint: str, paths: Iterable[Path]) -> Entries:
        """Read several paths with one request (Read-Composite, FETCH); what the device cannot read is missing.

        A device that has refused once is not asked again until it registers anew: that is a ResponseError at once.
        """
        asked = tuple(paths)
        for content_format in self._composite_formats(endpoint):
            try:
                answer = await self._exchange(
                    endpoint, _ROOT, Code.FETCH, *_asking(content_format), payload=encode_paths(asked, content_format)
                )
                entries = self._entries(_ROOT, answer)
            except (ResponseError, MalformedError) as error:
                if not self._refuses(endpoint, content_format, error):
                    raise
            else:
                return entries
        raise _unsupported("Read-Composite")

    async def discover(self, endpoint: str, path: Path, *, depth: int | None = None) -> tuple[Link, ...]:
        """The links below a path, with what is attached to them; `depth` is of LwM2M 1.2, and others pass it over."""
        query = () if depth is None else ((int(Option.URI_QUERY), f"depth={depth}".encode()),)
        answer = await self._exchange(endpoint, path, Code.GET, _accept(ContentFormat.LINK), *query)
        return parse_links(answer.payload)

    # -- writes

    async def write(self, endpoint: str, path: Path, value: Value) -> None:
        """Replace one resource, or one resource instance.

        Raises:
            ContentError: the value does not fit the resource.
        """
        content_format = ContentFormat.OPAQUE if isinstance(value, bytes) else ContentFormat.TEXT
        payload = encode([(path, value)], content_format, path, self._definitions)
        await self._exchange(endpoint, path, Code.PUT, _content_format(content_format), payload=payload)

    async def write_values(
        self, endpoint: str, path: Path, entries: Entries, mode: WriteMode = WriteMode.UPDATE
    ) -> None:
        """Write several values of an instance, or of a multiple resource.

        Args:
            endpoint: the device.
            path: the instance or resource.
            entries: at or below `path`.
            mode: by default a partial update, which leaves everything else as it is.

        Raises:
            ContentError: a value does not fit its resource.
            UsageError: an entry that is not below `path`.
        """
        ways = self._ways_of(self._device(endpoint))
        code = Code.PUT if mode is WriteMode.REPLACE else Code.POST
        formats = (ways.several, *(each for each in PREFERRED if each != ways.several))
        ways.several = await self._write_in(formats, endpoint, path, code, entries)

    async def write_composite(self, endpoint: str, entries: Entries) -> None:
        """Write values of several objects with one request (Write-Composite, iPATCH): all or none of them.

        Raises:
            ContentError: a value does not fit its resource.
            UsageError: there is none.
        """
        if not entries:
            raise UsageError("nothing is written")
        await self._write_in(self._composite_formats(endpoint), endpoint, _ROOT, Code.IPATCH, entries)

    async def _write_in(self, formats: tuple[int, ...], endpoint: str, path: Path, code: Code, entries: Entries) -> int:
        """Write in the first format that the device takes; which it is."""
        refusal = _unsupported(code.name)
        for content_format in formats:
            payload = encode(entries, content_format, path, self._definitions)
            try:
                await self._exchange(endpoint, path, code, _content_format(content_format), payload=payload)
            except ResponseError as error:
                if error.response_code not in _FORMAT_REFUSED:
                    raise
                refusal = error
            else:
                return content_format
        raise refusal

    async def write_attributes(self, endpoint: str, path: Path, **attributes: float | None) -> None:
        """Attach notification attributes to a path.

        Those are `pmin`, `pmax`, `gt`, `lt`, `st`, `epmin`, `epmax`, `con`, and of LwM2M 1.2 `edge` and `hqmax`.

        Args:
            endpoint: the device.
            path: an object, an instance, a resource or a resource instance.
            attributes: by name, one at least; None takes one off.

        Raises:
            ContentError: a name that is not known, or a value that its attribute cannot have.
        """
        queries = ((int(Option.URI_QUERY), each.encode()) for each in format_changes(attributes))
        await self._exchange(endpoint, path, Code.PUT, *queries)

    async def push(self, endpoint: str, path: Path, source: PackageSource, progress: ProgressListener) -> None:
        """Replace one opaque resource with a streamed body; `progress` hears the bytes acknowledged.

        It goes with Block1, or with Q-Block1 where that is wished and the device understands it: a device that has not
        shown whether it does is asked for the State beside the resource first.

        Raises:
            StorageError: the source cannot be read.
        """
        async with self._turns.turn(endpoint):
            device = self._device(endpoint)
            options = _options(device, path, _content_format(ContentFormat.OPAQUE))
            at = reached(device.peer)
            q_block = await self._sets(at, _options(device, Path((*path.ids[:-1], _STATE_ID))))
            size_bytes, shrink = source.size_bytes, self._shrink
            request = Request(Code.PUT, options, source_bytes=size_bytes, q_block=q_block, shrink=shrink)
            answer = await at.pump.upload(at.peer, request, source, lambda done: tell(progress, done))
        _check(answer, "PUT", path)
        tell(progress, source.size_bytes)

    async def _sets(self, at: Reached, probe: Options) -> QBlock | None:
        """How sets of blocks go to a device; None if they do not."""
        if self._q_block is not None and at.pump.knows_q_block(at.peer) is None:
            await at.pump.call(at.peer, Request(Code.GET, probe, q_block=self._q_block))
        return self._q_block if at.pump.knows_q_block(at.peer) else None

    async def execute(self, endpoint: str, path: Path, arguments: bytes = b"") -> None:
        """Execute a resource."""
        extra = (_content_format(ContentFormat.TEXT),) if arguments else ()
        await self._exchange(endpoint, path, Code.POST, *extra, payload=arguments)

    # -- observations

    async def observe(self, endpoint: str, path: Path, listener: EntriesListener) -> tuple[Entries, Subscription]:
        """Observe a path, until the subscription is cancelled or the device registers anew."""
        accept = _accept(self._format(self._ways_of(self._device(endpoint)), path))
        return await self._observe(endpoint, path, Request(Code.GET, (accept,), observe=True), listener)

    async def observe_composite(
        self, endpoint: str, paths: Iterable[Path], listener: EntriesListener
    ) -> tuple[Entries, Subscription]:
        """Observe several paths with one request; every notification brings all of them.

        A device that has refused a composite operation once is not asked again until it registers anew.
        """
        asked = tuple(paths)
        for content_format in self._composite_formats(endpoint):
            body = encode_paths(asked, content_format)
            request = Request(Code.FETCH, _asking(content_format), body, observe=True)
            try:
                return await self._observe(endpoint, _ROOT, request, listener)
            except (ResponseError, MalformedError) as error:
                if not self._refuses(endpoint, content_format, error):
                    raise
        raise _unsupported("Observe-Composite")

    async def _observe(
        self, endpoint: str, path: Path, request: Request, listener: EntriesListener
    ) -> tuple[Entries, Subscription]:
        """Observe; the options of the request are those beside its path."""
        early: list[Entries] = []
        begun = False

        def on_notify(message: Message) -> None:
            self._turns.heard(endpoint)
            if not is_success(message.code):
                return
            try:
                entries = self._entries(path, message)
            except FotaError:  # one unreadable notification: the next read will tell
                return
            tell(listener if begun else early.append, entries)

        async with self._turns.turn(endpoint):
            device = self._device(endpoint)
            at = reached(device.peer)
            request = attrs.evolve(request, options=_options(device, path, *request.options))
            observation: Observation = await at.pump.observe(at.peer, request, on_notify)
        present = self._registrations.get(device.endpoint)
        if present is None or present.epoch != device.epoch:
            observation.forget()
            raise TransportError(f"{device.endpoint} was registered anew, and has forgotten the observation")
        try:
            _check(observation.first, "Observe", path)
            entries = self._entries(path, observation.first)
        except FotaError:
            observation.cancel()
            raise
        running = self._observations.setdefault(device.endpoint, set())
        running.add(observation)
        begun = True
        # what came in one batch with the first answer is fresher than it
        return early[-1] if early else entries, _Observed(running, observation)

    # -- exchanges

    def _device(self, endpoint: str) -> Registration:
        registration = self._registrations.get(endpoint)
        if registration is None:
            raise TransportError(f"{endpoint} is not registered")
        return registration

    async def _exchange(
        self, endpoint: str, path: Path, code: Code, *extra: tuple[int, bytes], payload: bytes = b""
    ) -> Message:
        async with self._turns.turn(endpoint):
            device = self._device(endpoint)
            at = reached(device.peer)
            answer = await at.pump.call(at.peer, Request(code, _options(device, path, *extra), payload))
        return _check(answer, code.name, path)

    def _entries(self, path: Path, message: Message) -> Entries:
        number = message.uint(Option.CONTENT_FORMAT)
        return decode(bytes(message.payload), ContentFormat.TEXT if number is None else number, path, self._definitions)

    # -- what is known of a device

    def _ways_of(self, device: Registration) -> Ways:
        ways = self._ways.get(device.endpoint)
        if ways is None:
            ways = self._ways[device.endpoint] = ways_of(device)
        return ways

    def _format(self, ways: Ways, path: Path) -> int:
        """Text for a single resource; what the device likes best for the rest."""
        resource = self._definitions.resource(path)
        is_single = resource is not None and not resource.multiple and len(path.ids) == _RESOURCE_IDS
        return ContentFormat.TEXT if is_single else ways.several

    def _composite_formats(self, endpoint: str) -> tuple[int, ...]:
        return self._ways_of(self._device(endpoint)).composite

    def _refuses(self, endpoint: str, content_format: int, error: FotaError) -> bool:
        """Remember what a device does not understand; true if another format may be tried."""
        code = error.response_code if isinstance(error, ResponseError) else None
        ways = self._ways.get(endpoint)
        if code in BUSY or ways is None:
            return False
        left = tuple(each for each in ways.composite if each != content_format)
        ways.composite = left if code in _FORMAT_REFUSED else ()
        return bool(ways.composite)


def _unsupported(operation: str) -> ResponseError:
    diagnostic = "the device has refused it before, or in every form"
    return ResponseError(operation, response_code=Code.METHOD_NOT_ALLOWED, diagnostic=diagnostic)


def _accept(content_format: int) -> tuple[int, bytes]:
    return int(Option.ACCEPT), pack_uint(content_format)


def _content_format(content_format: int) -> tuple[int, bytes]:
    return int(Option.CONTENT_FORMAT), pack_uint(content_format)


def _asking(content_format: int) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
    """The paths go in one format, and the values come back in it."""
    return _content_format(content_format), _accept(content_format)


def _options(device: Registration, path: Path, *extra: tuple[int, bytes]) -> Options:
    return sort_options((*path_options((*device.root, *map(str, path.ids))), *extra))


def _check(answer: Message, what: str, path: Path) -> Message:
    if is_success(answer.code):
        return answer
    diagnostic = bytes(answer.payload[:_DIAGNOSTIC_BYTES]).decode("utf-8", "replace")
    raise ResponseError(f"{what} {path}", response_code=answer.code, diagnostic=diagnostic)
