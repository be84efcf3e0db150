"""Read-, Observe- and Write-Composite: requests that concern several paths at once (LwM2M Core 1.2, 6.3.8 to 6.4.5)."""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import final

from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.coap.message import Message
from lwm2m_fota.coap.numbers import Option
from lwm2m_fota.content.codec import COMPOSITE_WRITE, decode, decode_paths
from lwm2m_fota.content.values import Entries, validate
from lwm2m_fota.errors import ContentError, RefusedError, UnsupportedContentFormatError
from lwm2m_fota.lwm2m.bodies import BodyLimits, RequestBodies
from lwm2m_fota.lwm2m.objects import CheckedObject, Lwm2mObject
from lwm2m_fota.lwm2m.operations import CHANGED, Answer, Operation, WriteMode
from lwm2m_fota.lwm2m.reading import ObjectReader
from lwm2m_fota.lwm2m.responses import block_option
from lwm2m_fota.lwm2m.writing import write_operation
from lwm2m_fota.model.codes import is_success
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import Definitions
from lwm2m_fota.model.resources import Operations

_ROOT = Path(())
_INSTANCE_IDS = 2


@final
class CompositeRequests:
    """The composite requests of all peers of one client.

    Args:
        objects: by id.
        definitions: of these.
        reader: reads them.
        limits: of the bodies of requests; the paths of `transfers.in_all` peers are kept for later blocks of answers.
    """

    __slots__ = ("_bodies", "_definitions", "_fetched", "_max_kept", "_objects", "_reader")

    def __init__(
        self,
        objects: Mapping[int, Lwm2mObject],
        definitions: Definitions,
        reader: ObjectReader,
        limits: BodyLimits,
    ) -> None:
        self._objects = objects
        self._definitions = definitions
        self._reader = reader
        self._bodies = RequestBodies(limits)
        self._max_kept = limits.transfers.in_all
        self._fetched: OrderedDict[Hashable, tuple[int, bytes]] = OrderedDict()

    def body(self, message: Message, peer: Hashable, now: float) -> bytes | Response:
        """The whole body of a request, or the response to a block that does not complete one.

        Raises:
            BlockwiseError, BusyError: as `RequestBodies.take`.
        """
        return self._bodies.take(message, peer, now)

    def answered(self, message: Message, peer: Hashable, response: Response) -> Response:
        """The response to a whole body as it goes out."""
        return self._bodies.answered(message, peer, response)

    # -- Read-Composite and Observe-Composite

    def paths(self, message: Message, peer: Hashable, body: bytes) -> tuple[Path, ...]:
        """The paths that a FETCH asks for.

        A peer that asks for a later block of the answer may send the paths again, or leave them out.

        Raises:
            UnsupportedContentFormatError, ContentError, CborError: as `codec.decode_paths`.
        """
        content_format = _content_format(message)
        block = block_option(message, Option.BLOCK2)
        if block is not None and block.num and not body:
            kept_format, body = self._fetched.get(peer, (content_format, body))
            content_format = kept_format
        paths = decode_paths(body, content_format)
        self._fetched.pop(peer, None)
        if len(self._fetched) >= self._max_kept:
            self._fetched.popitem(last=False)
        self._fetched[peer] = content_format, body
        return paths

    # -- Write-Composite

    def write(self, message: Message, server: Hashable, body: bytes, now: float) -> Answer:
        """Write values of several objects: all or none, as far as the objects can be asked beforehand.

        Before the first is written every target is known to exist and to be writable by this server, every value to
        fit, and every object that is a `CheckedObject` to take its part.

        Raises:
            FotaError: with the code to answer; nothing has changed.
        """
        content_format = _content_format(message)
        if content_format not in COMPOSITE_WRITE:
            raise UnsupportedContentFormatError(f"content format {content_format} does not write several paths")
        entries = decode(body, content_format, _ROOT, self._definitions)
        if not entries:
            raise ContentError("there is nothing to write")
        operations = self._operations(server, entries)
        for each, operation in operations:
            if isinstance(each, CheckedObject):
                each.check(operation, now)
        for each, operation in operations:
            answer = each.handle(operation, now)
            if not is_success(answer.code):
                return answer
        return CHANGED

    def _operations(self, server: Hashable, entries: Entries) -> list[tuple[Lwm2mObject, Operation]]:
        groups: dict[Path, Entries] = {}
        for path, value in entries:
            self._reader.check(path)
            definition = self._definitions.resource(path)
            if definition is None or Operations.WRITE not in definition.operations:
                raise RefusedError(f"{path} cannot be written")
            self._reader.permit(server, path, Operations.WRITE)
            validate(definition, value)
            groups.setdefault(Path(path.ids[:_INSTANCE_IDS]), []).append((path, value))
        return [
            (each, write_operation(each, instance, below, WriteMode.UPDATE))
            for instance, below in groups.items()
            for each in (self._objects[instance.ids[0]],)
        ]


def _content_format(message: Message) -> int:
    number = message.uint(Option.CONTENT_FORMAT)
    if number is None:
        raise UnsupportedContentFormatError("a composite request states its content format")
    return number
