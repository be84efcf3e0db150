"""The neutral form between content formats and objects: a flat list of paths with their values."""

import re
from collections.abc import Mapping
from typing import Final

from lwm2m_fota.cbor import Tag
from lwm2m_fota.content.dates import parse_date
from lwm2m_fota.errors import ContentError
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.paths import MAX_PARTS, Path
from lwm2m_fota.model.registry import Definitions
from lwm2m_fota.model.resources import ObjectLink, ResourceDefinition, Value, ValueType, fits_type

Entries = list[tuple[Path, Value]]
"""A path ends at a single resource or at a resource instance; no path comes twice."""

_RESOURCE_PARTS: Final = 3
_LINK: Final = re.compile(r"([0-9]{1,5}):([0-9]{1,5})", re.ASCII)
TAG_DATE: Final = 0
"""Tag of a date in text (RFC 8949 section 3.4.1)."""

TAG_EPOCH: Final = 1
"""Tag of seconds since 1970 (RFC 8949 section 3.4.2)."""

TAG_DECIMAL: Final = 4
"""Tag of a decimal fraction (RFC 8949 section 3.4.4)."""

_MAX_DOUBLE_INT: Final = 2**53
_MAX_EXPONENT: Final = 400
"""Of a decimal fraction: beyond it a double is infinite, or 0."""

_MAX_INT_EXPONENT: Final = 19


def validate(resource: ResourceDefinition, value: Value | Mapping[int, Value]) -> None:
    """Check that a value may be written to a resource: its type and its range.

    Args:
        resource: the definition.
        value: of a single resource or one resource instance; of a multiple resource also all values by instance id.

    Raises:
        ContentError: it does not fit.
    """
    reason = resource.fault(value)
    if reason is not None:
        raise ContentError(reason)


def is_single(base: Path, resource: ResourceDefinition | None) -> bool:
    """True if a path has one value: a resource that is not multiple (as far as known), or a resource instance."""
    if len(base.ids) == MAX_PARTS:
        return True
    return len(base.ids) == _RESOURCE_PARTS and not (resource is not None and resource.multiple)


def type_of(path: Path, definitions: Definitions) -> ValueType | None:
    """The data type of the resource at a path; None if it is not known."""
    resource = definitions.resource(path)
    return None if resource is None else resource.type


def natural_type(value: Value) -> ValueType:
    """The type that a Python value has where no definition says otherwise."""
    match value:
        case bool():
            return ValueType.BOOLEAN
        case int():
            return ValueType.INTEGER
        case float():
            return ValueType.FLOAT
        case str():
            return ValueType.STRING
        case bytes():
            return ValueType.OPAQUE
        case _:
            return ValueType.OBJLNK


def unfit(what: str, kind: ValueType) -> ContentError:
    """The error that something is no value of a type; nothing is one of what is executed, and a Write is not allowed.

    That is 4.05 (LwM2M Core 1.2, 6.3.3), since another payload would not mend it.
    """
    if kind is ValueType.NONE:
        return ContentError("a resource that is executed has no value", code=Code.METHOD_NOT_ALLOWED)
    return ContentError(f"{what} is no {kind.value}")


def adopt(value: object, kind: ValueType | None) -> Value:
    """Take a value from a format that names its own types, as a value of the resource's type.

    A float that is a whole number is taken for an integer and an integer for a float, a decimal fraction for either,
    text for an object link, and for Time also tags 0 and 1 and a date in text: specifications and clients disagree on
    the form of Time.

    Args:
        value: what the format held.
        kind: the type of the resource; None if it is not known, which takes any value as it is that some type of LwM2M
            has, and a tagged time as seconds.

    Raises:
        ContentError: the value does not fit the type.
    """
    value = undivided(value)
    if kind is None:
        value = _time(value) if isinstance(value, Tag) else value
        if isinstance(value, str | int | float | bytes | ObjectLink) and _is_some_type(value):
            return value
        raise ContentError(f"a value cannot be {type(value).__name__}, or is out of its range")
    adopted = _converted(value, kind)
    if fits_type(adopted, kind):
        return adopted  # type: ignore[return-value] # fits_type has seen that it is a Value
    raise unfit(type(value).__name__, kind)


def undivided(value: object) -> object:
    """A decimal fraction (tag 4) as the number that it is, and anything else as it is.

    Raises:
        ContentError: it is none, or its exponent is beyond that of any double.
    """
    if not isinstance(value, Tag) or value.number != TAG_DECIMAL:
        return value
    parts = value.value if isinstance(value.value, list) else []
    if [type(part) for part in parts] != [int, int] or abs(parts[0]) > _MAX_EXPONENT:
        raise ContentError("not a decimal fraction")
    exponent, mantissa = parts
    return mantissa * 10**exponent if 0 <= exponent <= _MAX_INT_EXPONENT else float(f"{mantissa}e{exponent}")


def _is_some_type(value: Value) -> bool:
    """Finite, of 64 bits, or UTF-8: an unknown resource has one of the known types."""
    return fits_type(value, natural_type(value)) or fits_type(value, ValueType.UNSIGNED)


def _converted(value: object, kind: ValueType) -> object:
    match kind:
        case ValueType.TIME:
            value = _time(value)
            return _whole(value)
        case ValueType.INTEGER | ValueType.UNSIGNED:
            return _whole(value)
        case ValueType.FLOAT if isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        case ValueType.OBJLNK if isinstance(value, str):
            return parse_link_value(value)
        case _:
            return value


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and abs(value) <= _MAX_DOUBLE_INT and value.is_integer() else value


def _time(value: object) -> object:
    if isinstance(value, Tag) and value.number == TAG_EPOCH:
        return value.value
    if isinstance(value, Tag) and value.number == TAG_DATE:
        value = value.value
    return parse_date(value) if isinstance(value, str) else value


def parse_link_value(text: str) -> ObjectLink:
    """Read `33629:1`.

    Raises:
        ContentError: not two ids of 0..65535.
    """
    match = _LINK.fullmatch(text)
    if match is None:
        raise ContentError(f"not an object link: {text[:16]!r}")
    try:
        return ObjectLink(int(match[1]), int(match[2]))
    except ValueError as error:
        raise ContentError(str(error)) from error
