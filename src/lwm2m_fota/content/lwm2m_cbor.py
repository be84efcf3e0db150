"""LwM2M CBOR (LwM2M Core 1.2, 7.5.4): maps within maps, from object id down to the value.

A key is an id, or an array of ids that stands for as many levels at once. Paths begin at the object, whatever is read
or written.
"""

from collections.abc import Iterator
from typing import Final

from lwm2m_fota import cbor
from lwm2m_fota.content.cbor_values import to_cbor
from lwm2m_fota.content.policies import ContentPolicies, PathKeys
from lwm2m_fota.content.senml import MAX_RECORDS
from lwm2m_fota.content.values import Entries, adopt, type_of
from lwm2m_fota.errors import ContentError, UsageError
from lwm2m_fota.model.paths import MAX_PARTS, Path
from lwm2m_fota.model.registry import Definitions

_MAX_DEPTH: Final = MAX_PARTS + 3
"""A map for each id, and a decimal fraction: a tag, an array, numbers; the ids of a folded key lie no deeper."""

_MAX_ITEMS: Final = MAX_RECORDS * 12

_Tree = dict[int, object]


def encode(entries: Entries, base: Path, definitions: Definitions, policies: ContentPolicies) -> bytes:
    """Write entries.

    Raises:
        UsageError: a path with a value of its own and others below it.
    """
    del base  # paths are absolute
    tree: _Tree = {}
    for path, value in entries:
        level = tree
        for part in path.ids[:-1]:
            below = level.setdefault(part, {})
            if not isinstance(below, dict):
                raise UsageError(f"a value of its own above {path}")
            level = below
        if path.ids[-1] in level:
            raise UsageError(f"{path} comes twice, or has others below it")
        level[path.ids[-1]] = to_cbor(value, type_of(path, definitions), policies)
    return cbor.dumps(_folded(tree) if policies.keys is PathKeys.FOLDED else tree)


def _folded(tree: _Tree) -> dict[int | tuple[int, ...], object]:
    folded: dict[int | tuple[int, ...], object] = {}
    for part, below in tree.items():
        ids, value = _chain(part, below)
        folded[ids[0] if len(ids) == 1 else ids] = _folded(value) if isinstance(value, dict) else value
    return folded


def _chain(part: int, below: object) -> tuple[tuple[int, ...], object]:
    """The ids down to the first level with several entries, or to a value; and what is there."""
    if isinstance(below, dict) and len(below) == 1:
        ids, value = _chain(*next(iter(below.items())))
        return (part, *ids), value
    return (part,), below


def decode(payload: bytes, base: Path, definitions: Definitions) -> Entries:
    """Read values below a path, whatever keys are folded and whether lengths are stated.

    Raises:
        ContentError: not LwM2M CBOR, a value not below `base` or not of its type, more than `MAX_RECORDS`.
        CborError: not CBOR.
    """
    found = cbor.loads(payload, max_depth=_MAX_DEPTH, max_items=_MAX_ITEMS, max_bytes=len(payload))
    if not isinstance(found, dict):
        raise ContentError("LwM2M CBOR is a map")
    entries: Entries = []
    for path, value in _leaves(found, Path(())):
        if not base.contains(path):
            raise ContentError(f"{path} does not lie below {base}")
        entries.append((path, adopt(value, type_of(path, definitions))))
    if len(entries) > MAX_RECORDS:
        raise ContentError(f"more than {MAX_RECORDS} values")
    return entries


def _leaves(tree: dict[object, object], above: Path) -> Iterator[tuple[Path, object]]:
    for key, below in tree.items():
        path = _below(above, key)
        if isinstance(below, dict):
            yield from _leaves(below, path)
        else:
            yield path, below


def _below(above: Path, key: object) -> Path:
    ids = key if isinstance(key, tuple) else (key,)
    if not ids or not all(isinstance(part, int) and not isinstance(part, bool) for part in ids):
        raise ContentError("a key of LwM2M CBOR is an id, or an array of ids")
    try:
        return Path((*above.ids, *ids))
    except ValueError as error:
        raise ContentError(str(error)) from error
