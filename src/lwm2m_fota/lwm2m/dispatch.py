"""From CoAP requests to operations on objects, and back (LwM2M Transport 6.4; `SPEC` section 6).

Pure: a request message in, a response out. Bodies of streamed resources are handed on block by block; any other body
is gathered, within a limit. Long answers are cut by Block2.
"""

import zlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final, final

import attrs

from lwm2m_fota.coap.block import MAX_SZX, Block
from lwm2m_fota.coap.block1 import Accepted, Block1Receiver
from lwm2m_fota.coap.block2 import block2_answer, block2_options
from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.coap.message import Message, Options, pack_uint, sort_options
from lwm2m_fota.coap.numbers import ContentFormat, Option
from lwm2m_fota.content.codec import SEVERAL_VALUES, choose_format, decode, encode
from lwm2m_fota.content.link import Link, format_links
from lwm2m_fota.content.policies import ContentPolicies
from lwm2m_fota.content.values import is_single
from lwm2m_fota.errors import ContentError, FotaError, NotAcceptableError, RefusedError, UsageError
from lwm2m_fota.lwm2m.objects import Lwm2mObject
from lwm2m_fota.lwm2m.observers import DEFAULT_MAX_OBSERVERS, Observer, ObserverTable
from lwm2m_fota.lwm2m.operations import CHANGED, Answer, Execute, Operation, Read, Write, WriteBlock, WriteMode
from lwm2m_fota.lwm2m.options import ADDRESSING, check_options
from lwm2m_fota.lwm2m.responses import diagnostic_payload, error_response
from lwm2m_fota.lwm2m.transfers import Transfer, TransferTable
from lwm2m_fota.model.codes import Code, is_success
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import Definitions
from lwm2m_fota.model.resources import Operations

_UNDERSTOOD: Final = ADDRESSING | {Option.ACCEPT, Option.BLOCK1, Option.BLOCK2}
_RESOURCE_IDS: Final = 3
_INSTANCE_IDS: Final = 2
_OBSERVE: Final = 0
_CANCEL: Final = 1
# Looked up once: in Python 3.11 a member of an enumeration costs as much as a call.
_BLOCK1: Final = int(Option.BLOCK1)
_SIZE1: Final = int(Option.SIZE1)
_CONTENT_FORMAT: Final = int(Option.CONTENT_FORMAT)
_URI_QUERY: Final = int(Option.URI_QUERY)
_CONTINUE: Final = int(Code.CONTINUE)


@final
@attrs.frozen(kw_only=True)
class DispatchSettings:
    """Bounds and choices of the device's request side.

    Attributes:
        max_body_bytes: of a gathered request body.
        max_transfers: block-wise request bodies at a time, over all peers; see `TransferTable` for which makes room.
        max_observers: observations at a time.
        max_streamed_bytes: of a streamed body; larger ones are refused with 4.13 before a byte is stored.
        max_szx: the largest block size offered, as exponent (6 is 1024 bytes).
        default_format: of what has several values, where the server leaves the choice: SenML CBOR, or TLV for a
            server of LwM2M 1.0. A single value is then always text (LwM2M Core 7.5).
        content: what is written where several forms are right.

    Raises:
        UsageError: a count below 1, a negative size, a block size or content format that is not offered here.
    """

    max_body_bytes: int = 16384
    max_transfers: int = 8
    max_observers: int = DEFAULT_MAX_OBSERVERS
    max_streamed_bytes: int = 1 << 30
    max_szx: int = MAX_SZX
    default_format: ContentFormat = ContentFormat.SENML_CBOR
    content: ContentPolicies = attrs.field(factory=ContentPolicies)

    def __attrs_post_init__(self) -> None:
        if min(self.max_transfers, self.max_observers) < 1 or min(self.max_body_bytes, self.max_streamed_bytes) < 0:
            raise UsageError("a device needs room for one transfer and one observer")
        if not 0 <= self.max_szx <= MAX_SZX:
            raise UsageError(f"size exponent {self.max_szx} out of range")
        if self.default_format not in SEVERAL_VALUES:
            raise UsageError(f"{self.default_format.name} does not carry several values here")


@final
class Dispatcher:
    """The objects of one client, and how requests reach them.

    Policies, where the documents leave a choice:

    - A body in blocks has one method and one content format; a block with another belongs to no body (4.08).
    - Block 0 begins a body anew, also where it is the block that came before. A later block that comes again under
      another message id gets its answer again, and nothing is carried out twice.
    - A refused block changes nothing: the peer may go on with the right one, or begin anew.
    - A streamed resource holds one body: where a peer has begun one, the blocks of others are refused with 4.08.
    - POST on a streamed resource is a Write: an early specification has it so in an example.
    - Attributes (Write-Attributes) and composite operations are not supported (4.05).
    """

    __slots__ = ("_definitions", "_objects", "_settings", "_transfers", "observers")

    def __init__(self, objects: Iterable[Lwm2mObject], settings: DispatchSettings | None = None) -> None:
        self._objects: dict[int, Lwm2mObject] = {each.definition.id: each for each in objects}
        self._definitions = Definitions(each.definition for each in self._objects.values())
        self._settings = settings or DispatchSettings()
        self._transfers = TransferTable(self._settings.max_transfers)
        self.observers = ObserverTable(self._settings.max_observers)

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
        check_options(message, _UNDERSTOOD)
        match message.code:
            case Code.GET:
                return self._get(message, peer, self._path(message), now)
            case Code.PUT:
                return self._put(message, peer, self._path(message), now)
            case Code.POST:
                return self._post(message, peer, self._path(message), now)
            case _:
                raise RefusedError("the method is not allowed here")

    def _path(self, message: Message) -> Path:
        segments = message.path()
        try:
            path = Path.parse("/" + "/".join(segments))
        except ValueError as error:
            raise RefusedError("no such path", code=Code.NOT_FOUND) from error
        if len(path.ids) != len(segments):  # a slash within a segment separates nothing
            raise RefusedError("no such path", code=Code.NOT_FOUND)
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
        max_szx = self._settings.max_szx
        block = _block(message, Option.BLOCK2)
        if accept == ContentFormat.LINK:
            return _cut(message, block, self._discover(path), (_content_format(ContentFormat.LINK),), max_szx)
        observe = message.uint(Option.OBSERVE)
        if observe == _CANCEL:
            self.observers.remove(peer, message.token)
        body, content_format = self.render(path, accept, now)
        options: Options = (_content_format(content_format),)
        if (
            observe == _OBSERVE
            and (block is None or block.num == 0)
            and self.observers.add(Observer(peer, message.token, path, accept))
        ):
            options = (self._sequence(), *options)
        return _cut(message, block, body, options, max_szx)

    def _sequence(self) -> tuple[int, bytes]:
        return int(Option.OBSERVE), pack_uint(self.observers.next_sequence())

    def render(self, path: Path, accept: int | None, now: float) -> tuple[bytes, int]:
        """The present value of a path and its content format.

        Raises:
            FotaError: with the code to answer.
        """
        each = self._object(path)
        resource = None if path.resource_id is None else each.definition.resource(path.resource_id)
        preferred = ContentFormat.TEXT if is_single(path, resource) else self._settings.default_format
        content_format = choose_format(accept, path, each.definition, preferred)
        answer = each.handle(Read(path), now)
        if answer.entries is None:
            raise RefusedError(answer.diagnostic or "not readable", code=answer.code)
        try:
            body = encode(answer.entries, content_format, path, self._definitions, self._settings.content)
        except NotAcceptableError:
            raise
        except ContentError as error:  # not the peer's fault: 5.00
            raise UsageError(f"the object's own value: {error}") from error
        return body, content_format

    def notification(self, observer: Observer, now: float) -> Response:
        """What an observer is told now; an error code if the path can no longer be read (it ends the observation)."""
        try:
            body, content_format = self.render(observer.path, observer.accept, now)
        except FotaError as error:
            return error_response(error)
        return _cut(None, None, body, (self._sequence(), _content_format(content_format)), self._settings.max_szx)

    def _discover(self, path: Path) -> bytes:
        if len(path.ids) > _RESOURCE_IDS:
            raise RefusedError("resource instances are not discovered")
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
        if len(path.ids) < _INSTANCE_IDS or message.first(_URI_QUERY) is not None:
            raise RefusedError("only instances and resources are written; attributes are not supported")
        return self._write(message, peer, path, WriteMode.REPLACE, now)

    def _post(self, message: Message, peer: Hashable, path: Path, now: float) -> Response:
        if len(path.ids) == _RESOURCE_IDS:
            each = self._object(path)
            definition = each.definition.resource(path.ids[2])
            if definition is not None and Operations.EXECUTE in definition.operations:
                return self._execute(message, path, now)
            if not each.streams(path):
                raise RefusedError("not executable")
            return self._write(message, peer, path, WriteMode.REPLACE, now)
        if len(path.ids) != _INSTANCE_IDS:
            raise RefusedError("instances are neither created nor deleted here")
        return self._write(message, peer, path, WriteMode.UPDATE, now)

    def _execute(self, message: Message, path: Path, now: float) -> Response:
        block = _block(message, _BLOCK1)
        if block is not None and (block.more or block.num):
            raise RefusedError("arguments come in one message", code=Code.BAD_OPTION)
        return _response(self._object(path).handle(Execute(path, message.payload), now))

    def _write(self, message: Message, peer: Hashable, path: Path, mode: WriteMode, now: float) -> Response:
        each = self._object(path)
        resource = None if path.resource_id is None else each.definition.resource(path.resource_id)
        if resource is not None and Operations.WRITE not in resource.operations:
            raise RefusedError("the resource cannot be written")
        block = _block(message, _BLOCK1)
        if block is not None:
            return self._write_block(message, peer, path, mode, block, now)
        self._transfers.drop(peer, path)  # a body in one piece takes the place of one that comes in blocks
        operation: Operation
        if self._streams(message, each, path):
            operation = _whole(path, message.payload)
        else:
            operation = self._decoded(message, each, path, mode, message.payload)
        return _response(each.handle(operation, now))

    def _write_block(
        self, message: Message, peer: Hashable, path: Path, mode: WriteMode, block: Block, now: float
    ) -> Response:
        transfer = self._transfer(message, peer, path, block)
        accepted = transfer.receiver.accept(block, message.payload, message.uint(_SIZE1))
        control = ((_BLOCK1, transfer.receiver.response_block(block)),)
        self._transfers.heard(peer, path, transfer)
        if not isinstance(accepted, Accepted):
            return transfer.answer or Response(_CONTINUE, control)
        try:
            answer = self._take(message, transfer, accepted, path, mode, now)
        except FotaError as error:
            response = error_response(error)
        else:
            if not accepted.final and is_success(answer.code):
                if transfer.streamed and accepted.first:
                    self._transfers.drop_others(peer, path)
                return Response(_CONTINUE, control)
            response = _response(answer, control)
        if accepted.final:
            transfer.answer = response
            transfer.body.clear()
        else:
            self._transfers.drop(peer, path)
        return response

    def _transfer(self, message: Message, peer: Hashable, path: Path, block: Block) -> Transfer:
        """The transfer that a block belongs to; a new one for block 0, and for a block that belongs to none."""
        kind = (message.code, message.uint(_CONTENT_FORMAT))
        transfer = self._transfers.get(peer, path) if block.num else None
        if transfer is not None and transfer.kind == kind:
            return transfer
        settings = self._settings
        streamed = self._streams(message, self._object(path), path)
        limit = settings.max_streamed_bytes if streamed else settings.max_body_bytes
        return Transfer(Block1Receiver(limit, settings.max_szx), kind, streamed=streamed)

    def _take(
        self, message: Message, transfer: Transfer, accepted: Accepted, path: Path, mode: WriteMode, now: float
    ) -> Answer:
        """Hand a block on, or the body that is complete with it."""
        each = self._object(path)
        if transfer.streamed:
            size = message.uint(_SIZE1)
            block = WriteBlock(path, accepted.offset, accepted.payload, accepted.first, accepted.final, size)
            return each.handle(block, now)
        transfer.body += accepted.payload
        if not accepted.final:
            return CHANGED
        return each.handle(self._decoded(message, each, path, mode, bytes(transfer.body)), now)

    def _streams(self, message: Message, each: Lwm2mObject, path: Path) -> bool:
        """True if the bytes of this request are the value itself, and the object takes them block by block."""
        return each.streams(path) and message.uint(_CONTENT_FORMAT) in {None, ContentFormat.OPAQUE}

    def _decoded(self, message: Message, each: Lwm2mObject, path: Path, mode: WriteMode, body: bytes) -> Operation:
        content_format = message.uint(_CONTENT_FORMAT)
        entries = decode(
            body, ContentFormat.TEXT if content_format is None else content_format, path, self._definitions
        )
        if len(entries) == 1:
            target, value = entries[0]
            if isinstance(value, bytes) and each.streams(target):
                return _whole(target, value)
        return Write(path, entries, mode)


def _whole(path: Path, value: bytes) -> WriteBlock:
    return WriteBlock(path, 0, value, first=True, final=True, size_bytes=len(value))


def _version_attribute(each: Lwm2mObject) -> tuple[tuple[str, str], ...]:
    return () if each.definition.version == "1.0" else (("ver", each.definition.version),)


def _content_format(number: int) -> tuple[int, bytes]:
    return _CONTENT_FORMAT, pack_uint(number)


def _block(message: Message, number: int) -> Block | None:
    value = message.first(number)
    return None if value is None else Block.decode(value)


def _response(answer: Answer, control: Sequence[tuple[int, bytes]] = ()) -> Response:
    """An answer as a response; Block1 goes with a success only: in an error it would ask for smaller blocks."""
    options = list(control) if is_success(answer.code) else []
    if answer.size_limit_bytes is not None:
        options.append((_SIZE1, pack_uint(answer.size_limit_bytes)))
    return Response(answer.code, sort_options(options), diagnostic_payload(answer.diagnostic))


def _cut(message: Message | None, block: Block | None, body: bytes, options: Options, max_szx: int) -> Response:
    """A 2.05 with the block of `body` that is asked for; a small body goes whole."""
    part = block2_answer(block, len(body), max_szx=max_szx)
    if part is None:
        return Response(Code.CONTENT, sort_options(options), body)
    want_size2 = message is not None and message.first(Option.SIZE2) is not None
    block_options = block2_options(part, len(body), _etag(body), want_size2=want_size2)
    payload = body[part.offset : part.offset + part.length]
    return Response(Code.CONTENT, sort_options((*options, *block_options)), payload)


def _etag(body: bytes) -> bytes:
    """Names a rendered value for as long as it stays the same: the client compares it across blocks."""
    return zlib.crc32(body).to_bytes(4, "big")
