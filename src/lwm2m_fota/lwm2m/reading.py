"""What a device shows of its objects: values in a content format, one path or several at once."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final, final

from lwm2m_fota.content.codec import COMPOSITE, choose_format, encode
from lwm2m_fota.content.policies import ContentPolicies
from lwm2m_fota.content.values import Entries, is_single
from lwm2m_fota.errors import ContentError, FotaError, NotAcceptableError, RefusedError, UsageError
from lwm2m_fota.lwm2m.access import Access, everything
from lwm2m_fota.lwm2m.attributes import Number
from lwm2m_fota.lwm2m.objects import Lwm2mObject
from lwm2m_fota.lwm2m.operations import Read
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.formats import ContentFormat
from lwm2m_fota.model.paths import MAX_PARTS, Path
from lwm2m_fota.model.registry import Definitions
from lwm2m_fota.model.resources import Operations, Value

HIDDEN: Final = frozenset({0, 21, 23})
"""Security, OSCORE and COSE: no server may touch them (LwM2M Core 1.2, 6.3)."""

_ROOT: Final = Path(())
_INSTANCE_IDS: Final = 2


@final
class ObjectReader:
    """Reads the objects of one client, for servers that may read them.

    Args:
        objects: by id.
        definitions: of these.
        several: the format of what has several values, where the server leaves the choice.
        policies: what is written where several forms are right.
        access: what each server may do.
    """

    __slots__ = ("_access", "_definitions", "_objects", "_policies", "_several")

    def __init__(
        self,
        objects: Mapping[int, Lwm2mObject],
        definitions: Definitions,
        several: ContentFormat,
        policies: ContentPolicies,
        access: Access = everything,
    ) -> None:
        self._access = access
        self._objects = objects
        self._definitions = definitions
        self._several = several
        self._policies = policies

    def check(self, path: Path) -> Path:
        """A path that leads to something; whether a resource instance is there, its object tells alone.

        Raises:
            RefusedError: 4.01 for an object that is no server's business, 4.04 for what is not there.
        """
        if path.object_id in HIDDEN:
            raise RefusedError("no server has access to this object", code=Code.UNAUTHORIZED)
        each = None if path.object_id is None else self._objects.get(path.object_id)
        if each is None:
            raise RefusedError("no such object", code=Code.NOT_FOUND)
        if path.instance_id is not None and path.instance_id not in each.instances():
            raise RefusedError("no such instance", code=Code.NOT_FOUND)
        if path.resource_id is not None and path.resource_id not in each.resources(path.instance_id or 0):
            raise RefusedError("no such resource", code=Code.NOT_FOUND)
        resource = self._definitions.resource(path)
        if len(path.ids) == MAX_PARTS and resource is not None and not resource.multiple:
            raise RefusedError("the resource has no instances", code=Code.NOT_FOUND)
        return path

    def permit(self, server: Hashable, path: Path, operation: Operations) -> Sequence[Path]:
        """The part of a path that a server has access to: itself, or of an object those instances.

        Raises:
            RefusedError: it has access to nothing of it.
        """
        if len(path.ids) >= _INSTANCE_IDS:
            self._access(server, path, operation)
            return (path,)
        instances = [path / each for each in self._objects[path.ids[0]].instances()]
        permitted, refusal = [], None
        for instance in instances:
            try:
                self._access(server, instance, operation)
            except RefusedError as error:
                refusal = refusal or error
            else:
                permitted.append(instance)
        if refusal is not None and not permitted:
            raise refusal
        return permitted

    def entries(self, path: Path, now: float) -> Entries:
        """The present values at and below a path.

        Raises:
            FotaError: with the code to answer.
        """
        answer = self._objects[path.ids[0]].handle(Read(path), now)
        if answer.entries is None:
            raise RefusedError(answer.diagnostic or "not readable", code=answer.code)
        return answer.entries

    def number(self, path: Path, now: float) -> Number | None:
        """The present value of a single numeric resource; None if it cannot be read, or is none."""
        try:
            entries = self.entries(path, now)
        except FotaError:
            return None
        value = entries[0][1] if len(entries) == 1 else None
        return value if isinstance(value, int | float) else None

    def _permitted(self, server: Hashable, path: Path, now: float) -> Entries:
        """Those of the entries that a server may read."""
        permitted = self.permit(server, path, Operations.READ)
        entries = self.entries(path, now)
        if len(path.ids) >= _INSTANCE_IDS:
            return entries
        return [(each, value) for each, value in entries if Path(each.ids[:_INSTANCE_IDS]) in permitted]

    def render(self, server: Hashable, path: Path, accept: int | None, now: float) -> tuple[bytes, int]:
        """The present value of a path and its content format.

        Raises:
            FotaError: with the code to answer.
        """
        each = self._objects[path.ids[0]]
        resource = None if path.resource_id is None else each.definition.resource(path.resource_id)
        preferred = ContentFormat.TEXT if is_single(path, resource) else self._several
        content_format = choose_format(accept, path, each.definition, preferred)
        return self._encode(self._permitted(server, path, now), path, content_format), content_format

    def render_several(
        self, server: Hashable, paths: Iterable[Path], accept: int | None, now: float
    ) -> tuple[bytes, int]:
        """The present values of several paths, the root meaning every object; what cannot be read is left out.

        Raises:
            FotaError: with the code to answer; that of the first path if nothing can be read.
        """
        preferred = self._several if self._several in COMPOSITE else ContentFormat.SENML_CBOR
        content_format = preferred if accept is None else accept
        if content_format not in COMPOSITE:
            raise NotAcceptableError(f"several paths cannot be read in content format {content_format}")
        values: dict[Path, Value] = {}
        failure: FotaError | None = None
        readable = False
        for path in self._spread(paths):
            try:
                values.update(self._permitted(server, self.check(path), now))
                readable = True
            except FotaError as error:
                failure = failure or error
        if failure is not None and not readable:
            raise failure
        return self._encode(list(values.items()), _ROOT, content_format), content_format

    def _spread(self, paths: Iterable[Path]) -> Iterable[Path]:
        for path in paths:
            if path.ids:
                yield path
            else:
                yield from (Path.of(each) for each in sorted(self._objects) if each not in HIDDEN)

    def _encode(self, entries: Entries, base: Path, content_format: int) -> bytes:
        try:
            return encode(entries, content_format, base, self._definitions, self._policies)
        except NotAcceptableError:
            raise
        except ContentError as error:  # not the peer's fault: 5.00
            raise UsageError(f"the object's own value: {error}") from error
