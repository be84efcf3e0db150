"""The object list of a registration: what a client has, below which path, in which formats (LwM2M Core 6.2.1)."""

from collections.abc import Mapping
from typing import Final, final

import attrs

from lwm2m_fota.content.link import Link, parse_links
from lwm2m_fota.model.paths import Path

_ROOT_TYPE: Final = "oma.lwm2m"


@final
@attrs.frozen(kw_only=True)
class ObjectList:
    """What a registration payload says.

    Attributes:
        objects: version by object id, of all objects in the list; None where the list shows none.
        instances: the instances in the list, ascending.
        root: the segments of the alternate path below which the client has its objects; mostly none.
        formats: the content formats that the client lists as supported (`ct` of the root link); mostly none.
    """

    objects: Mapping[int, str | None]
    instances: tuple[Path, ...]
    root: tuple[str, ...] = ()
    formats: frozenset[int] = frozenset()


def read_object_list(links: bytes) -> ObjectList:
    """Read a registration payload.

    An alternate path (`rt="oma.lwm2m"` on another root) is taken off. Links that are no LwM2M paths are ignored.

    Raises:
        ContentError: not link format.
    """
    parsed = parse_links(links)
    top = next((link for link in parsed if link.attribute("rt") == _ROOT_TYPE), Link("/"))
    root = top.target.rstrip("/")
    objects: dict[int, str | None] = {}
    instances: list[Path] = []
    for link in parsed:
        path = _path_below(link.target, root)
        if path is None or path.object_id is None or path.resource_id is not None:
            continue
        version = link.attribute("ver")  # with a single instance it may stand there alone
        objects[path.object_id] = version or objects.get(path.object_id)
        if path.instance_id is not None:
            instances.append(path)
    return ObjectList(
        objects=objects,
        instances=tuple(sorted(instances)),
        root=tuple(filter(None, root.split("/"))),
        formats=_formats(top.attribute("ct") or ""),
    )


def _formats(text: str) -> frozenset[int]:
    """`110` or `110 112`."""
    return frozenset(int(each) for each in text.split() if each.isascii() and each.isdigit() and len(each) <= 5)  # noqa: PLR2004 - digits of 65535


def _path_below(target: str, root: str) -> Path | None:
    if not target.startswith(root + "/"):
        return None
    try:
        return Path.parse(target[len(root) :])
    except ValueError:
        return None
