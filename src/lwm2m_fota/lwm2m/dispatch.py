"""From CoAP requests to operations on objects, and back (LwM2M Transport 6.4; `SPEC` section 6).

Pure: a request message in, a response out. Bodies of streamed resources are handed on block by block; any other body
is gathered, within a limit. Long answers are cut by Block2.
"""

import zlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final, final

import attrs

from lwm2m_fota.coap.block import Block
from lwm2m_fota.coap.block1 import Accepted, Block1Receiver
from lwm2m_fota.coap.block2 import block2_answer, block2_options
from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.coap.message import Message, Options, pack_uint, sort_options
from lwm2m_fota.coap.numbers import ContentFormat, Option, is_critical
from lwm2m_fota.content.codec import choose_format, decode, encode
from lwm2m_fota.content.link import Link, format_links
from lwm2m_fota.errors import FotaError, RefusedError
from lwm2m_fota.lwm2m.objects import Lwm2mObject
from lwm2m_fota.lwm2m.observers import Observer, ObserverTable
from lwm2m_fota.lwm2m.operations import Answer, Execute, Operation, Read, Write, WriteBlock, WriteMode
from lwm2m_fota.lwm2m.responses import error_response
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import Definitions
from lwm2m_fota.model.resources import Operations

_UNDERSTOOD: Final = frozenset(
    {Option.URI_HOST, Option.URI_PORT, Option.URI_PATH, Option.URI_QUERY, Option.ACCEPT, Option.BLOCK1, Option.BLOCK2}
)
_RESOURCE_IDS: Final = 3
_INSTANCE_IDS: Final = 2
_OBSERVE: Final = 0
_CANCEL: Final = 1


@final
@attrs.frozen(kw_only=True)
class DispatchLimits:
    """Bounds of the device's request side.

    Attributes:
        max_body_bytes: of a gathered request body.
        max_transfers: block-wise request bodies at a time, over all peers; the oldest makes room.
        max_observers: observations at a time.
        max_streamed_bytes: of a streamed body; larger ones are refused with 4.13 before a byte is stored.
        max_szx: the largest block size offered, as exponent (6 is 1024 bytes).
    """

    max_body_bytes: int = 16384
    max_transfers: int = 8
    max_observers: int = 64
    max_streamed_bytes: int = 1 << 30
    max_szx: int = 6


@final
class _Transfer:
    """A request body that comes in blocks."""

    __slots__ = ("answer", "body", "receiver")

    def __init__(self, receiver: Block1Receiver) -> None:
        self.receiver = receiver
        self.body = bytearray()
        self.answer: Response | None = None  # of the final block, for a peer that repeats it


@final
class Dispatcher:
    """The objects of one client, and how requests reach them."""

    __slots__ = ("_definitions", "_limits", "_objects", "_transfers", "observers")

    def __init__(self, objects: Iterable[Lwm2mObject], limits: DispatchLimits | None = None) -> None:
        self._objects: dict[int, Lwm2mObject] = {each.definition.id: each for each in objects}
        self._definitions = Definitions(each.definition for each in self._objects.values())
        self._limits = limits or DispatchLimits()
        self._transfers: dict[tuple[Hashable, Path], _Transfer] = {}
        self.observers = ObserverTable(self._limits.max_observers)

    @property
    def objects(self) -> Mapping[int, Lwm2mObject]:
        """The objects by id."""
        return self._objects

    def object_links(self) -> bytes:
        """The payload of a registration: every object and instance; an object of a later version shows it.

        Object 0 (Security) is never shown (LwM2M Core 6.2.1).
        """
        links = [Link("/", (("rt", "oma.lwm2m"), ("ct", str(ContentFormat.SENML_CBOR.value))))]
        for object_id, each in sorted(self._objects.items()):
            if object_id == 0:
                continue
            instances = each.instances()
            if each.definition.version != "1.0" or not instances:
                links.append(Link(f"/{object_id}", _version_attribute(each)))
            links.extend(Link(f"/{object_id}/{instance}") for instance in instances)
        return format_links(links)

    def handle(self, message: Message, peer: Hashable, now: float) -> Response:
        """Answer one request. Whatever is wrong with it becomes an error code; nothing is raised."""
        try:
            return self._handle(message, peer, now)
        except FotaError as error:
            return error_response(error)

    def _handle(self, message: Message, peer: Hashable, now: float) -> Response:
        for number, _ in message.options:
            if is_critical(number) and number not in _UNDERSTOOD:
                raise RefusedError(f"option {number} is not understood", code=Code.BAD_OPTION)
        path = self._path(message)
        match message.code:
            case Code.GET:
                return self._get(message, peer, path, now)
            case Code.PUT:
                return self._put(message, peer, path, now)
            case Code.POST:
                return self._post(message, peer, path, now)
            case _:
                raise RefusedError("the method is not allowed here")

    def _path(self, message: Message) -> Path:
        try:
            path = Path.parse("/".join(message.path()))
        except ValueError as error:
            raise RefusedError("no such path", code=Code.NOT_FOUND) from error
        if path.object_id not in self._objects or path.object_id == 0:
            raise RefusedError("no such object", code=Code.NOT_FOUND)
        each = self._objects[path.object_id]
        if path.instance_id is not None and path.instance_id not in each.instances():
            raise RefusedError("no such instance", code=Code.NOT_FOUND)
        if path.resource_id is not None and path.resource_id not in each.resources(path.instance_id or 0):
            raise RefusedError("no such resource", code=Code.NOT_FOUND)
        return path

    def _object(self, path: Path) -> Lwm2mObject:
        return self._objects[path.ids[0]]

    # -- GET: Read, Discover, Observe

    def _get(self, message: Message, peer: Hashable, path: Path, now: float) -> Response:
        accept = message.uint(Option.ACCEPT)
        if accept == ContentFormat.LINK:
            return _cut(message, self._discover(path), (_content_format(ContentFormat.LINK),))
        block = _block(message, Option.BLOCK2)
        observe = message.uint(Option.OBSERVE)
        extra: tuple[tuple[int, bytes], ...] = ()
        if observe == _CANCEL:
            self.observers.remove(peer, message.token)
        body, content_format = self.render(path, accept, now)
        if (
            observe == _OBSERVE
            and (block is None or block.num == 0)
            and self.observers.add(Observer(peer, message.token, path, accept))
        ):
            extra = ((int(Option.OBSERVE), pack_uint(self.observers.next_sequence())),)
        return _cut(message, body, (*extra, _content_format(content_format)), max_szx=self._limits.max_szx)

    def render(self, path: Path, accept: int | None, now: float) -> tuple[bytes, int]:
        """The present value of a path and its content format.

        Raises:
            FotaError: with the code to answer.
        """
        each = self._object(path)
        content_format = choose_format(accept, path, each.definition, ContentFormat.TEXT)
        answer = each.handle(Read(path), now)
        if answer.entries is None:
            raise RefusedError(answer.diagnostic or "not readable", code=answer.code)
        return encode(answer.entries, content_format, path, self._definitions), content_format

    def notification(self, observer: Observer, now: float) -> Response:
        """What an observer is told now; an error code if the path can no longer be read (it ends the observation)."""
        try:
            body, content_format = self.render(observer.path, observer.accept, now)
        except FotaError as error:
            return error_response(error)
        options: Options = (
            (int(Option.OBSERVE), pack_uint(self.observers.next_sequence())),
            _content_format(content_format),
        )
        return _first_block(body, options, self._limits.max_szx)

    def _discover(self, path: Path) -> bytes:
        each = self._object(path)
        links: list[Link] = []
        instances = each.instances() if path.instance_id is None else (path.instance_id,)
        if path.instance_id is None:
            links.append(Link(str(path), _version_attribute(each)))
        for instance in instances:
            if path.resource_id is None:
                links.append(Link(f"/{path.object_id}/{instance}"))
            resources = each.resources(instance) if path.resource_id is None else (path.resource_id,)
            links.extend(Link(f"/{path.object_id}/{instance}/{resource}") for resource in resources)
        return format_links(links)

    # -- PUT and POST: Write, Execute

    def _put(self, message: Message, peer: Hashable, path: Path, now: float) -> Response:
        if len(path.ids) < _INSTANCE_IDS or message.first(Option.URI_QUERY) is not None:
            raise RefusedError("only instances and resources are written; attributes are not supported")
        return self._write(message, peer, path, WriteMode.REPLACE, now)

    def _post(self, message: Message, peer: Hashable, path: Path, now: float) -> Response:
        if len(path.ids) == _RESOURCE_IDS:
            each = self._object(path)
            definition = each.definition.resource(path.ids[2])
            if definition is not None and Operations.EXECUTE in definition.operations:
                return _response(each.handle(Execute(path, message.payload), now))
            if not each.streams(path):
                raise RefusedError("not executable")
            # POST on Package: the example in an early specification writes so, and devices are asked to be tolerant
            return self._write(message, peer, path, WriteMode.REPLACE, now)
        if len(path.ids) != _INSTANCE_IDS:
            raise RefusedError("instances are neither created nor deleted here")
        return self._write(message, peer, path, WriteMode.UPDATE, now)

    def _write(self, message: Message, peer: Hashable, path: Path, mode: WriteMode, now: float) -> Response:
        each = self._object(path)
        streamed = each.streams(path)
        if streamed and message.uint(Option.CONTENT_FORMAT) not in {None, ContentFormat.OPAQUE}:
            streamed = False
        block = _block(message, Option.BLOCK1)
        if block is None:
            return self._write_whole(message, each, path, mode, now, streamed=streamed)
        key = (peer, path)
        transfer = self._transfers.get(key)
        if transfer is None or (block.num == 0 and transfer.answer is not None):
            transfer = self._begin(key, streamed=streamed)
        try:
            accepted = transfer.receiver.accept(block, message.payload, message.uint(Option.SIZE1))
            control = ((int(Option.BLOCK1), transfer.receiver.response_block(block)),)
            if not isinstance(accepted, Accepted):
                return transfer.answer or Response(Code.CONTINUE, control)
            operation = self._operation(message, transfer, accepted, path, mode, streamed=streamed)
            if operation is None:
                return Response(Code.CONTINUE, control)
            answer = each.handle(operation, now)
        except FotaError:
            self._transfers.pop(key, None)
            raise
        if not accepted.final:
            if answer.code == Code.CHANGED:
                return Response(Code.CONTINUE, control)
            self._transfers.pop(key, None)
        response = _response(answer, control)
        transfer.answer = response
        transfer.body.clear()
        return response

    def _operation(
        self, message: Message, transfer: _Transfer, accepted: Accepted, path: Path, mode: WriteMode, *, streamed: bool
    ) -> Operation | None:
        """What an accepted block asks of the object; None while a gathered body is not complete."""
        if streamed:
            size = message.uint(Option.SIZE1)
            return WriteBlock(path, accepted.offset, accepted.payload, accepted.first, accepted.final, size)
        transfer.body += accepted.payload
        if not accepted.final:
            return None
        return self._decoded(message, self._object(path), path, mode, bytes(transfer.body))

    def _begin(self, key: tuple[Hashable, Path], *, streamed: bool) -> _Transfer:
        if len(self._transfers) >= self._limits.max_transfers:
            del self._transfers[next(iter(self._transfers))]
        limit = self._limits.max_streamed_bytes if streamed else self._limits.max_body_bytes
        transfer = _Transfer(Block1Receiver(max_body_bytes=limit, max_szx=self._limits.max_szx))
        self._transfers[key] = transfer
        return transfer

    def _write_whole(
        self, message: Message, each: Lwm2mObject, path: Path, mode: WriteMode, now: float, *, streamed: bool
    ) -> Response:
        if streamed:
            size = len(message.payload)
            return _response(
                each.handle(WriteBlock(path, 0, message.payload, first=True, final=True, size_bytes=size), now)
            )
        return _response(each.handle(self._decoded(message, each, path, mode, message.payload), now))

    def _decoded(self, message: Message, each: Lwm2mObject, path: Path, mode: WriteMode, body: bytes) -> Operation:
        content_format = message.uint(Option.CONTENT_FORMAT)
        entries = decode(
            body, ContentFormat.TEXT if content_format is None else content_format, path, self._definitions
        )
        if each.streams(path) and len(entries) == 1 and isinstance(value := entries[0][1], bytes):
            return WriteBlock(path, 0, value, first=True, final=True, size_bytes=len(value))
        return Write(path, entries, mode)


def _version_attribute(each: Lwm2mObject) -> tuple[tuple[str, str], ...]:
    return () if each.definition.version == "1.0" else (("ver", each.definition.version),)


def _content_format(number: int) -> tuple[int, bytes]:
    return int(Option.CONTENT_FORMAT), pack_uint(number)


def _block(message: Message, number: int) -> Block | None:
    value = message.first(number)
    return None if value is None else Block.decode(value)


def _response(answer: Answer, options: Sequence[tuple[int, bytes]] = ()) -> Response:
    every = list(options)
    if answer.size_limit_bytes is not None:
        every.append((int(Option.SIZE1), pack_uint(answer.size_limit_bytes)))
    return Response(answer.code, sort_options(every), answer.diagnostic.encode())


def _cut(message: Message, body: bytes, options: Iterable[tuple[int, bytes]], max_szx: int = 6) -> Response:
    """A 2.05 with the block of `body` that the request asks for; a small body goes whole."""
    requested = _block(message, Option.BLOCK2)
    part = block2_answer(requested, len(body), max_szx=max_szx)
    if part is None:
        return Response(Code.CONTENT, sort_options(options), body)
    want_size2 = message.first(Option.SIZE2) is not None
    block_options = block2_options(part, len(body), _etag(body), want_size2=want_size2)
    payload = body[part.offset : part.offset + part.length]
    return Response(Code.CONTENT, sort_options((*options, *block_options)), payload)


def _first_block(body: bytes, options: Options, max_szx: int) -> Response:
    part = block2_answer(None, len(body), max_szx=max_szx)
    if part is None:
        return Response(Code.CONTENT, sort_options(options), body)
    block_options = block2_options(part, len(body), _etag(body), want_size2=False)
    return Response(Code.CONTENT, sort_options((*options, *block_options)), body[: part.length])


def _etag(body: bytes) -> bytes:
    """Names a rendered value for as long as it stays the same: the client compares it across blocks."""
    return zlib.crc32(body).to_bytes(4, "big")
