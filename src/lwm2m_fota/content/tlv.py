"""LwM2M TLV (LwM2M Core 7.4.4): typed by the object definitions, because the bytes do not say what they are.

Each item has a type (object instance, resource instance, multiple resource, resource with value), an id and bytes.
Integers are big-endian of 1, 2, 4 or 8 bytes.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from lwm2m_fota.content.values import Entries, type_of, unfit
from lwm2m_fota.errors import ContentError, UsageError
from lwm2m_fota.model.paths import MAX_PARTS, Path
from lwm2m_fota.model.registry import Definitions
from lwm2m_fota.model.resources import ObjectLink, Value, ValueType, fits_type

_INSTANCE, _RESOURCE_INSTANCE, _MULTIPLE, _RESOURCE = range(4)
_PARENT_PARTS: Final = {_INSTANCE: 1, _RESOURCE_INSTANCE: 3, _MULTIPLE: 2, _RESOURCE: 2}
"""The length of the path below which an item of each type stands."""

_LONG_ID: Final = 0x20
_SHORT_LENGTH: Final = 7
_MAX_LENGTH: Final = 2**24 - 1
_SIZES: Final = (1, 2, 4, 8)
_LINK_BYTES: Final = 4
_FLOATS: Final = {4: ">f", 8: ">d"}


def encode(entries: Entries, base: Path, definitions: Definitions) -> bytes:
    """Write entries below a path: an object, an instance, a resource or a resource instance.

    Args:
        entries: all below `base`, in the order in which they are to be written; what belongs together is gathered.
        base: what is read or written. With a multiple resource and no entries, an empty resource is written.
        definitions: for the types; a resource that is not known takes the type of its Python value.

    Raises:
        ContentError: more than 16 MiB in an item, or the root as base.
        UsageError: a resource with a value and resource instances.
    """
    match len(base.ids):
        case 0:
            raise ContentError("TLV has no form for several objects")
        case 1:
            return b"".join(
                _item(_INSTANCE, instance.ids[1], _resources(below, definitions))
                for instance, below in _grouped(entries, 2).items()
            )
        case 4:
            return b"".join(
                _item(_RESOURCE_INSTANCE, path.ids[3], _bytes(path, value, definitions)) for path, value in entries
            )
        case 3 if not entries:
            resource = definitions.resource(base)
            return _item(_MULTIPLE, base.ids[2], b"") if resource is not None and resource.multiple else b""
        case _:
            return _resources(entries, definitions)


def _grouped(entries: Iterable[tuple[Path, Value]], parts: int) -> dict[Path, Entries]:
    groups: dict[Path, Entries] = {}
    for path, value in entries:
        groups.setdefault(Path(path.ids[:parts]), []).append((path, value))
    return groups


def _resources(entries: Entries, definitions: Definitions) -> bytes:
    out = bytearray()
    for resource, below in _grouped(entries, 3).items():
        parts = [(path, _bytes(path, value, definitions)) for path, value in below]
        if all(len(path.ids) == MAX_PARTS for path, _ in below):
            content = b"".join(_item(_RESOURCE_INSTANCE, path.ids[3], value) for path, value in parts)
            out += _item(_MULTIPLE, resource.ids[2], content)
        elif len(parts) == 1:
            out += _item(_RESOURCE, resource.ids[2], parts[0][1])
        else:
            raise UsageError(f"{resource} has a value of its own and others")
    return bytes(out)


def _item(kind: int, identifier: int, content: bytes) -> bytes:
    length = len(content)
    if length > _MAX_LENGTH:
        raise ContentError(f"a TLV item holds at most {_MAX_LENGTH} bytes")
    length_bytes = b"" if length <= _SHORT_LENGTH else length.to_bytes((length.bit_length() + 7) // 8, "big")
    id_bytes = identifier.to_bytes(1 if identifier <= 0xFF else 2, "big")  # noqa: PLR2004 - what a byte holds
    head = kind << 6 | (_LONG_ID if len(id_bytes) > 1 else 0) | len(length_bytes) << 3
    if not length_bytes:
        head |= length
    return bytes((head,)) + id_bytes + length_bytes + content


def _bytes(path: Path, value: Value, definitions: Definitions) -> bytes:
    kind = type_of(path, definitions)
    match value:
        case str():
            return value.encode()
        case bytes():
            return value
        case ObjectLink():
            return struct.pack(">HH", value.object_id, value.instance_id)
        case bool():
            return bytes((value,))
        case int() if kind is not ValueType.FLOAT:
            return _integer(value, signed=kind is not ValueType.UNSIGNED)
        case _:
            return struct.pack(">d", value)


def _integer(value: int, *, signed: bool) -> bytes:
    bits = value.bit_length() if not signed else (value if value >= 0 else ~value).bit_length() + 1
    size = next(size for size in _SIZES if bits <= size * 8)
    return value.to_bytes(size, "big", signed=signed)


def decode(payload: bytes, base: Path, definitions: Definitions) -> Entries:
    """Read entries below a path.

    With an object as base, resources may stand without their instance if the object has only instance 0; below an
    instance or a resource, the wrapping instance or multiple resource may be there or not.

    Args:
        payload: TLV items one after another, possibly none.
        base: what was read or written; all entries lie at or below it.
        definitions: for the types; the value of a resource that is not known stays bytes.

    Raises:
        ContentError: not TLV, items out of place, or a value that is not of its type.
    """
    entries: Entries = []
    for kind, identifier, content in _items(payload):
        _collect(entries, kind, _child(_anchor(kind, base, definitions), identifier), content, definitions)
    for path, _ in entries:
        if not base.contains(path):
            raise ContentError(f"{path} does not lie below {base}")
    return entries


def _items(payload: bytes) -> Iterator[tuple[int, int, bytes]]:
    at, end = 0, len(payload)
    while at < end:
        head = payload[at]
        id_end = at + 2 + (head >> 5 & 1)
        length_end = id_end + (head >> 3 & 3)
        if length_end > end:
            raise ContentError("TLV ends within the head of an item")
        identifier = int.from_bytes(payload[at + 1 : id_end], "big")
        length = int.from_bytes(payload[id_end:length_end], "big") if length_end > id_end else head & _SHORT_LENGTH
        at = length_end + length
        if at > end:
            raise ContentError("TLV ends within an item")
        yield head >> 6, identifier, payload[length_end:at]


def _anchor(kind: int, base: Path, definitions: Definitions) -> Path:
    """The path below which an outermost item stands."""
    parts = _PARENT_PARTS[kind]
    if len(base.ids) >= parts:
        return Path(base.ids[:parts])
    if len(base.ids) == 1 and parts == 2:  # noqa: PLR2004 - a resource without its instance
        definition = definitions.get(base.ids[0])
        if definition is not None and not definition.multiple:
            return base / 0
    raise ContentError(f"a TLV item of type {kind} is out of place below {base}")


def _child(parent: Path, identifier: int) -> Path:
    try:
        return parent / identifier
    except ValueError as error:
        raise ContentError(str(error)) from error


def _collect(entries: Entries, kind: int, path: Path, content: bytes, definitions: Definitions) -> None:
    if kind in {_INSTANCE, _MULTIPLE}:
        for sub_kind, identifier, sub_content in _items(content):
            if _PARENT_PARTS[sub_kind] != len(path.ids):
                raise ContentError(f"a TLV item of type {sub_kind} is out of place below {path}")
            _collect(entries, sub_kind, _child(path, identifier), sub_content, definitions)
        return
    kind_of_value = type_of(path, definitions)
    entries.append((path, content if kind_of_value is None else _value(path, content, kind_of_value)))


def _value(path: Path, content: bytes, kind: ValueType) -> Value:
    value = _READERS[kind](content)
    if value is None or not fits_type(value, kind):
        raise unfit(f"{path}: a value of {len(content)} bytes", kind)
    return value


def _read_text(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _read_signed(content: bytes) -> int | None:
    return int.from_bytes(content, "big", signed=True) if len(content) in _SIZES else None


def _read_unsigned(content: bytes) -> int | None:
    return int.from_bytes(content, "big") if len(content) in _SIZES else None


def _read_float(content: bytes) -> float | None:
    if len(content) not in _FLOATS:
        return None
    value: float = struct.unpack(_FLOATS[len(content)], content)[0]
    return value


def _read_link(content: bytes) -> ObjectLink | None:
    return ObjectLink(*struct.unpack(">HH", content)) if len(content) == _LINK_BYTES else None


_READERS: Final[Mapping[ValueType, Callable[[bytes], Value | None]]] = {
    ValueType.STRING: _read_text,
    ValueType.INTEGER: _read_signed,
    ValueType.UNSIGNED: _read_unsigned,
    ValueType.TIME: _read_signed,
    ValueType.FLOAT: _read_float,
    ValueType.BOOLEAN: {b"\x00": False, b"\x01": True}.get,
    ValueType.OPAQUE: bytes,
    ValueType.OBJLNK: _read_link,
    ValueType.CORELNK: _read_text,
    ValueType.NONE: lambda _: None,
}
