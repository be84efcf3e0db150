"""From CoAP requests to operations on objects, and back (LwM2M Transport 6.4; `SPEC` section 6).

Pure: a request message in, a response out. Bodies of streamed resources are handed on block by block; any other body
is gathered, within a limit. Long answers are cut by Block2.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final, final

import attrs

from lwm2m_fota.coap.block import MAX_SZX, Block
from lwm2m_fota.coap.block1 import Accepted, Block1Receiver
from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.coap.message import Message, Options, pack_uint, sort_options
from lwm2m_fota.coap.numbers import ContentFormat, Option
from lwm2m_fota.content.codec import SEVERAL_VALUES, decode
from lwm2m_fota.content.policies import ContentPolicies
from lwm2m_fota.errors import (
    ContentError,
    FotaError,
    NotAcceptableError,
    RefusedError,
    UnsupportedContentFormatError,
    UsageError,
)
from lwm2m_fota.lwm2m.access import Access, everything
from lwm2m_fota.lwm2m.attributes import NO_ATTRIBUTES
from lwm2m_fota.lwm2m.bodies import BodyLimits
from lwm2m_fota.lwm2m.composite import CompositeRequests
from lwm2m_fota.lwm2m.discovery import discover, object_links
from lwm2m_fota.lwm2m.notifying import DefaultsOf, Notification, Notifier, ServerOf
from lwm2m_fota.lwm2m.objects import Lwm2mObject
from lwm2m_fota.lwm2m.observers import DEFAULT_MAX_OBSERVERS, Observer, ObserverTable
from lwm2m_fota.lwm2m.operations import CHANGED, Answer, Execute, Operation, WriteBlock, WriteMode
from lwm2m_fota.lwm2m.options import ADDRESSING, check_options
from lwm2m_fota.lwm2m.places import TransferLimits
from lwm2m_fota.lwm2m.reading import ObjectReader
from lwm2m_fota.lwm2m.responses import (
    block_option,
    content_format_option,
    cut,
    diagnostic_payload,
    error_response,
    repeated,
)
from lwm2m_fota.lwm2m.transfers import Transfer, TransferTable
from lwm2m_fota.lwm2m.writing import whole_block, write_operation
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
_TRANSFERS: Final = TransferLimits(in_all=8)
_NEEDED: Final = frozenset({ContentFormat.TEXT, ContentFormat.OPAQUE})


def _formats(formats: Iterable[ContentFormat]) -> frozenset[ContentFormat]:
    return frozenset(formats)


@final
@attrs.frozen(kw_only=True)
class DispatchSettings:
    """Bounds and choices of the device's request side.

    Attributes:
        max_body_bytes: of a gathered request body; a larger one is refused with 4.13, and Size1 says how much is taken.
        gathered_bytes: of all unfinished gathered bodies together; what exceeds it is refused with 5.03 and Max-Age.
        transfers: block-wise request bodies at a time; one more is refused with 5.03 and Max-Age.
        max_observers: observations at a time.
        max_streamed_bytes: of a streamed body; larger ones are refused with 4.13 before a byte is stored.
        max_szx: the largest block size offered, as exponent (6 is 1024 bytes).
        default_format: of what has several values, where the server leaves the choice: SenML CBOR, or TLV for a
            server of LwM2M 1.0. A single value is then always text (LwM2M Core 7.5).
        content: what is written where several forms are right.
        formats: the content formats that are spoken, beside that of links; None for all that are known here.
        composite: whether Read-Composite, Observe-Composite and Write-Composite are served.

    Raises:
        UsageError: a count below 1, a negative size, a block size or content format that is not offered here.
    """

    max_body_bytes: int = 16384
    gathered_bytes: int = 65536
    transfers: TransferLimits = _TRANSFERS
    max_observers: int = DEFAULT_MAX_OBSERVERS
    max_streamed_bytes: int = 1 << 30
    max_szx: int = MAX_SZX
    default_format: ContentFormat = ContentFormat.SENML_CBOR
    content: ContentPolicies = attrs.field(factory=ContentPolicies)
    formats: frozenset[ContentFormat] | None = attrs.field(default=None, converter=attrs.converters.optional(_formats))
    composite: bool = True

    def __attrs_post_init__(self) -> None:
        if self.max_observers < 1 or min(self.max_body_bytes, self.gathered_bytes, self.max_streamed_bytes) < 0:
            raise UsageError("a device needs room for one observer, and a body has at least 0 bytes")
        if not 0 <= self.max_szx <= MAX_SZX:
            raise UsageError(f"size exponent {self.max_szx} out of range")
        if self.default_format not in SEVERAL_VALUES:
            raise UsageError(f"{self.default_format.name} does not carry several values here")
        if self.formats is not None and not self.formats >= _NEEDED | {self.default_format}:
            raise UsageError("a device speaks text, opaque and the format that it answers in")


@final
class Dispatcher:
    """The objects of one client, and how requests reach them.

    Args:
        objects: by their ids.
        settings: bounds and choices.
        server_of: tells which server a peer is; by default each peer is one. Notification attributes are a server's.
        defaults: the default periods of a server (Object 1, resources 2 and 3); by default none.
        access: what each server may do; by default everything.

    Policies, where the documents leave a choice:

    - A body in blocks has one method and one content format; a block with another belongs to no body (4.08).
    - Block 0 begins a body anew, also where it is the block that came before. A later block that comes again under
      another message id gets its answer again, and nothing is carried out twice.
    - A refused block changes nothing: the peer may go on with the right one, or begin anew.
    - A streamed resource holds one body: where a peer has begun one, the blocks of others are refused with 4.08.
    - POST on a streamed resource is a Write: an early specification has it so in an example.
    - Values for resources that are not here are left out of a write to an instance (LwM2M Core 1.2, 6.3.3); a write
      that has no others is answered 4.04. Write-Composite is all or nothing, and refuses them.
    - Object instances are neither created nor deleted (4.05).
    - Resource instances come with a partial update of their resource (POST, or Write-Composite), and come and go with
      its replacement (PUT). One that is written by itself has to be there (4.04), and none is deleted by itself (4.05).
    """

    __slots__ = (
        "_composite",
        "_definitions",
        "_notifier",
        "_objects",
        "_reader",
        "_server_of",
        "_settings",
        "_transfers",
    )

    def __init__(
        self,
        objects: Iterable[Lwm2mObject],
        settings: DispatchSettings | None = None,
        *,
        server_of: ServerOf = lambda peer: peer,
        defaults: DefaultsOf = lambda _: NO_ATTRIBUTES,
        access: Access = everything,
    ) -> None:
        self._server_of = server_of
        self._objects: dict[int, Lwm2mObject] = {each.definition.id: each for each in objects}
        self._definitions = Definitions(each.definition for each in self._objects.values())
        self._settings = settings = settings or DispatchSettings()
        self._transfers = TransferTable(settings.transfers, settings.gathered_bytes)
        self._reader = reader = ObjectReader(
            self._objects, self._definitions, settings.default_format, settings.content, access
        )
        self._notifier = Notifier(
            reader, self._definitions, settings.max_observers, settings.max_szx, server_of, defaults
        )
        self._composite = CompositeRequests(
            self._objects,
            self._definitions,
            reader,
            BodyLimits(
                max_body_bytes=settings.max_body_bytes,
                gathered_bytes=settings.gathered_bytes,
                transfers=settings.transfers,
            ),
        )

    @property
    def objects(self) -> Mapping[int, Lwm2mObject]:
        """The objects by id."""
        return self._objects

    @property
    def observers(self) -> ObserverTable:
        """Who observes."""
        return self._notifier.observers

    def object_links(self) -> bytes:
        """The payload of a registration: every object and instance; an object of a later version shows it.

        Object 0 (Security) is never shown (LwM2M Core 6.2.1).
        """
        return object_links(self._objects, self._settings.default_format)

    # -- notifications

    def changed(self, paths: Iterable[Path]) -> None:
        """Note what has new values, in the order in which observers must hear of it; then call `notifications`."""
        self._notifier.changed(paths)

    def notifications(self, now: float) -> list[Notification]:
        """What is to be sent now; call it after every change, and at `next_deadline`."""
        return self._notifier.take(now)

    def next_deadline(self) -> float | None:
        """When a notification may be due without a change, monotonic seconds; None if none will be."""
        return self._notifier.next_deadline()

    def report(self, server: Hashable, paths: Iterable[Path], now: float) -> bytes:
        """The present values of paths in SenML CBOR, as a client sends them by itself (Send; LwM2M Core 1.2, 6.4.6).

        Raises:
            FotaError: this server may read none of them, or none is there.
        """
        return self._reader.render_several(server, paths, ContentFormat.SENML_CBOR, now)[0]

    # -- requests

    def handle(self, message: Message, peer: Hashable, now: float) -> Response:
        """Answer one request. Whatever is wrong with it becomes an error code; nothing is raised."""
        try:
            return self._handle(message, peer, now)
        except FotaError as error:
            return error_response(error)

    def _handle(self, message: Message, peer: Hashable, now: float) -> Response:
        check_options(message, _UNDERSTOOD)
        if self._settings.formats is not None:
            _check_formats(message, self._settings.formats)
        match message.code:
            case Code.GET:
                return self._get(message, peer, self._path(message), now)
            case Code.PUT:
                return self._put(message, peer, self._path(message), now)
            case Code.POST:
                return self._post(message, peer, self._path(message), now)
            case Code.FETCH | Code.IPATCH if self._settings.composite and not message.path():
                return self._several(message, peer, now)
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
        return self._reader.check(path)

    def _object(self, path: Path) -> Lwm2mObject:
        return self._objects[path.ids[0]]

    # -- GET: Read, Discover, Observe

    def _get(self, message: Message, peer: Hashable, path: Path, now: float) -> Response:
        self._cancelled(message, peer)
        accept = message.uint(Option.ACCEPT)
        if accept == ContentFormat.LINK:
            links = discover(
                self._object(path),
                path,
                message.queries(),
                lambda found: self._notifier.attached(peer, found, path).links(),
                now,
            )
            return cut(message, links, (content_format_option(ContentFormat.LINK),), self._settings.max_szx)
        body, content_format = self._reader.render(self._server_of(peer), path, accept, now)
        observer = Observer(peer, message.token, (path,), accept)
        return self._observed(message, observer, body, content_format, now)

    def _observed(self, message: Message, observer: Observer, body: bytes, content_format: int, now: float) -> Response:
        """The answer to a read, which may begin an observation; a later block of it does not."""
        block = block_option(message, Option.BLOCK2)
        options: Options = (content_format_option(content_format),)
        if message.uint(Option.OBSERVE) == _OBSERVE and (block is None or block.num == 0):
            own = self._notifier.own_attributes(observer.paths, message.queries())
            szx = None if block is None else block.szx
            if self._notifier.observe(attrs.evolve(observer, own=own, szx=szx), now):
                options = (self._notifier.sequence_option(), *options)
        return cut(message, body, options, self._settings.max_szx)

    def _cancelled(self, message: Message, peer: Hashable) -> None:
        if message.uint(Option.OBSERVE) == _CANCEL:
            self.observers.remove(peer, message.token)

    # -- FETCH and iPATCH: Read-Composite, Observe-Composite, Write-Composite

    def _several(self, message: Message, peer: Hashable, now: float) -> Response:
        body = self._composite.body(message, peer, now)
        if isinstance(body, Response):
            return body
        try:
            if message.code == Code.IPATCH:
                response = _response(self._composite.write(message, self._server_of(peer), body, now))
            else:
                response = self._fetch(message, peer, body, now)
        except FotaError as error:
            response = error_response(error)
        return self._composite.answered(message, peer, response)

    def _fetch(self, message: Message, peer: Hashable, body: bytes, now: float) -> Response:
        self._cancelled(message, peer)
        paths = self._composite.paths(message, peer, body)
        accept = message.uint(Option.ACCEPT)
        values, content_format = self._reader.render_several(self._server_of(peer), paths, accept, now)
        observer = Observer(peer, message.token, paths, accept, composite=True)
        return self._observed(message, observer, values, content_format, now)

    # -- PUT and POST: Write, Execute

    def _put(self, message: Message, peer: Hashable, path: Path, now: float) -> Response:
        if message.first(_URI_QUERY) is not None:
            return self._write_attributes(message, peer, path, now)
        if len(path.ids) < _INSTANCE_IDS:
            raise RefusedError("only instances and resources are written")
        return self._write(message, peer, path, WriteMode.REPLACE, now)

    def _post(self, message: Message, peer: Hashable, path: Path, now: float) -> Response:
        if len(path.ids) == _RESOURCE_IDS:
            each = self._object(path)
            definition = each.definition.resource(path.ids[2])
            if definition is not None and Operations.EXECUTE in definition.operations:
                self._reader.permit(self._server_of(peer), path, Operations.EXECUTE)
                return self._execute(message, path, now)
            if definition is not None and definition.multiple and Operations.WRITE in definition.operations:
                return self._write(message, peer, path, WriteMode.UPDATE, now)
            if not each.streams(path):
                raise RefusedError("not executable")
            return self._write(message, peer, path, WriteMode.REPLACE, now)
        if len(path.ids) != _INSTANCE_IDS:
            raise RefusedError("instances are neither created nor deleted here")
        return self._write(message, peer, path, WriteMode.UPDATE, now)

    def _write_attributes(self, message: Message, peer: Hashable, path: Path, now: float) -> Response:
        if message.payload:
            raise ContentError("Write-Attributes has no payload")
        self._notifier.write_attributes(peer, path, message.queries(), now)
        return Response(Code.CHANGED)

    def _execute(self, message: Message, path: Path, now: float) -> Response:
        block = block_option(message, _BLOCK1)
        if block is not None and (block.more or block.num):
            raise RefusedError("arguments come in one message", code=Code.BAD_OPTION)
        control = () if block is None else ((_BLOCK1, block.encode()),)
        return _response(self._object(path).handle(Execute(path, message.payload), now), control)

    def _write(self, message: Message, peer: Hashable, path: Path, mode: WriteMode, now: float) -> Response:
        each = self._object(path)
        resource = None if path.resource_id is None else each.definition.resource(path.resource_id)
        if resource is not None and Operations.WRITE not in resource.operations:
            raise RefusedError("the resource cannot be written")
        self._reader.permit(self._server_of(peer), path, Operations.WRITE)
        block = block_option(message, _BLOCK1)
        if block is not None:
            return self._write_block(message, peer, path, mode, block, now)
        self._transfers.drop(peer, path)  # a body in one piece takes the place of one that comes in blocks
        operation: Operation
        if self._streams(message, each, path):
            operation = whole_block(path, message.payload)
        else:
            operation = self._decoded(message, each, path, mode, message.payload)
        return _response(each.handle(operation, now))

    def _write_block(
        self, message: Message, peer: Hashable, path: Path, mode: WriteMode, block: Block, now: float
    ) -> Response:
        transfer = self._transfer(message, peer, path, block)
        accepted = transfer.receiver.accept(block, message.payload, message.uint(_SIZE1), message.blocks)
        control = ((_BLOCK1, transfer.receiver.response_block(block)),)
        if not isinstance(accepted, Accepted) and transfer.answer is not None:
            return repeated(transfer.answer, *control)
        self._transfers.heard(peer, path, transfer, now)
        if not isinstance(accepted, Accepted):
            return Response(_CONTINUE, control)
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
            self._transfers.end(peer, path, transfer, response)
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
        self._transfers.gather(transfer, accepted.payload)
        if not accepted.final:
            return CHANGED
        return each.handle(self._decoded(message, each, path, mode, bytes(transfer.body)), now)

    def _streams(self, message: Message, each: Lwm2mObject, path: Path) -> bool:
        """True if the bytes of this request are the value itself, and the object takes them block by block."""
        return each.streams(path) and message.uint(_CONTENT_FORMAT) in {None, ContentFormat.OPAQUE}

    def _decoded(self, message: Message, each: Lwm2mObject, path: Path, mode: WriteMode, body: bytes) -> Operation:
        content_format = message.uint(_CONTENT_FORMAT)
        number = ContentFormat.TEXT if content_format is None else content_format
        entries = decode(body, number, path, self._definitions)
        if len(path.ids) == _INSTANCE_IDS and entries:
            here = each.resources(path.ids[1])
            entries = [(target, value) for target, value in entries if target.ids[2] in here]
            if not entries:
                raise RefusedError("no such resources", code=Code.NOT_FOUND)
        return write_operation(each, path, entries, mode)


def _check_formats(message: Message, spoken: frozenset[ContentFormat]) -> None:
    accept, content_format = message.uint(Option.ACCEPT), message.uint(_CONTENT_FORMAT)
    if accept is not None and accept != ContentFormat.LINK and accept not in spoken:
        raise NotAcceptableError(f"content format {accept} is not written here")
    if content_format is not None and content_format not in spoken:
        raise UnsupportedContentFormatError(f"content format {content_format} is not understood here")


def _response(answer: Answer, control: Sequence[tuple[int, bytes]] = ()) -> Response:
    """An answer as a response; Block1 goes with a success only: in an error it would ask for smaller blocks."""
    options = list(control) if is_success(answer.code) else []
    if answer.size_limit_bytes is not None:
        options.append((_SIZE1, pack_uint(answer.size_limit_bytes)))
    return Response(answer.code, sort_options(options), diagnostic_payload(answer.diagnostic))
