"""What a device says that it has: the list of a registration, and the answer to Discover (LwM2M Core 6.2.1, 6.3.2)."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from lwm2m_fota.content.link import Attributes as LinkAttributes
from lwm2m_fota.content.link import Link, format_links
from lwm2m_fota.errors import ContentError, FotaError, RefusedError
from lwm2m_fota.lwm2m.objects import Lwm2mObject
from lwm2m_fota.lwm2m.operations import Read
from lwm2m_fota.lwm2m.reading import HIDDEN
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import Operations

AttributesOf = Callable[[Path], LinkAttributes]
"""The notification attributes that a link of this path shows."""

_RESOURCE_IDS: Final = 3
_DEFAULT_DEPTHS: Final = {1: 2, 2: 1, 3: 0}
"""Levels below the target, by its length. For a resource later documents say 1, its instances; earlier ones 0."""

_MAX_DEPTH: Final = 3


def object_links(objects: Mapping[int, Lwm2mObject], content_format: int) -> bytes:
    """The payload of a registration: every object and instance; an object of a later version shows it.

    The root shows `content_format`, as the one that the client would be asked in.
    """
    links = [Link("/", (("rt", "oma.lwm2m"), ("ct", str(int(content_format)))))]
    for object_id, each in sorted(objects.items()):
        if object_id in HIDDEN:
            continue
        instances = each.instances()
        if each.definition.version != "1.0" or not instances:
            links.append(Link(f"/{object_id}", _version(each)))
        links.extend(Link(f"/{object_id}/{instance}") for instance in instances)
    return format_links(links)


def discover(each: Lwm2mObject, path: Path, queries: tuple[str, ...], attributes: AttributesOf, now: float) -> bytes:
    """The links of an object, an instance or a resource, down to a depth.

    Args:
        each: the object.
        path: leads to something in it.
        queries: `depth=0` to `depth=3` (LwM2M 1.2); others are passed over.
        attributes: what each link shows beside its version and dimension.
        now: monotonic seconds.

    Raises:
        RefusedError: a resource instance.
        ContentError: another depth.
    """
    if len(path.ids) > _RESOURCE_IDS:
        raise RefusedError("resource instances are not discovered")
    depth = _depth(queries, _DEFAULT_DEPTHS[len(path.ids)])
    return format_links(
        Link(str(found), (*_properties(each, found, now), *attributes(found)))
        for found in _below(each, path, len(path.ids) + depth, now)
    )


def _depth(queries: tuple[str, ...], default: int) -> int:
    for query in queries:
        name, _, value = query.partition("=")
        if name == "depth":
            if value not in map(str, range(_MAX_DEPTH + 1)):
                raise ContentError(f"depth is 0 to {_MAX_DEPTH}")
            return int(value)
    return default


def _below(each: Lwm2mObject, path: Path, parts: int, now: float) -> Iterator[Path]:
    """A path and what lies below it, down to paths of so many ids."""
    yield path
    if len(path.ids) < parts:
        for child in _children(each, path, now):
            yield from _below(each, child, parts, now)


def _children(each: Lwm2mObject, path: Path, now: float) -> list[Path]:
    match path.ids:
        case (_,):
            return [path / instance for instance in each.instances()]
        case (_, instance):
            return [path / resource for resource in each.resources(instance)]
        case (_, _, _):
            return _instances_of(each, path, now)
        case _:
            return []


def _properties(each: Lwm2mObject, path: Path, now: float) -> LinkAttributes:
    if len(path.ids) == 1:
        return _version(each)
    if len(path.ids) == _RESOURCE_IDS and _is_multiple(each, path):
        return (("dim", str(len(_instances_of(each, path, now)))),)
    return ()


def _version(each: Lwm2mObject) -> LinkAttributes:
    return () if each.definition.version == "1.0" else (("ver", each.definition.version),)


def _is_multiple(each: Lwm2mObject, path: Path) -> bool:
    """Its instances can be counted: a multiple resource that can be read."""
    definition = each.definition.resource(path.ids[2])
    return definition is not None and definition.multiple and Operations.READ in definition.operations


def _instances_of(each: Lwm2mObject, path: Path, now: float) -> list[Path]:
    if not _is_multiple(each, path):
        return []
    try:
        return [found for found, _ in each.handle(Read(path), now).entries or ()]
    except FotaError:
        return []
