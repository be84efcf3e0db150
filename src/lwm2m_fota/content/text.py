"""text/plain: one value as text (LwM2M Core 7.4.1).

Integers and Time in ASCII digits, Boolean as 0 or 1, Objlnk as `33629:1`, Opaque as Base64 (RFC 4648 section 4).
"""

import base64
import re
from collections.abc import Callable, Mapping
from typing import Final

from lwm2m_fota.content.values import Entries, is_single, parse_link_value, unfit
from lwm2m_fota.errors import ContentError, NotAcceptableError, UnsupportedContentFormatError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import Definitions
from lwm2m_fota.model.resources import Value, ValueType, fits_type

_INTEGER: Final = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_FLOAT: Final = re.compile(r"-?[0-9]{1,400}(\.[0-9]{0,400})?([eE][-+]?[0-9]{1,4})?", re.ASCII)


def encode(entries: Entries, base: Path, definitions: Definitions) -> bytes:
    """The value of one resource or resource instance as text.

    Raises:
        NotAcceptableError: `base` has more than one value.
    """
    if not is_single(base, definitions.resource(base)) or len(entries) != 1:
        raise NotAcceptableError("text/plain carries a single value")
    return format_text(entries[0][1])


def decode(payload: bytes, base: Path, definitions: Definitions) -> Entries:
    """Text as the value of one resource or resource instance; one that is not known is taken for a String.

    Raises:
        UnsupportedContentFormatError: `base` has more than one value.
        ContentError: not a value of this type.
    """
    resource = definitions.resource(base)
    if not is_single(base, resource):
        raise UnsupportedContentFormatError("text/plain carries a single value")
    return [(base, parse_text(payload, ValueType.STRING if resource is None else resource.type))]


def format_text(value: Value) -> bytes:
    """A value as text; floats are finite and strings are UTF-8."""
    match value:
        case bool():
            return b"1" if value else b"0"
        case int():
            return str(int(value)).encode()
        case float():
            return repr(value).encode()
        case str():
            return value.encode()
        case bytes():
            return base64.b64encode(value)
        case _:
            return str(value).encode()


def parse_text(payload: bytes, kind: ValueType) -> Value:
    """Text as a value of a type.

    Raises:
        ContentError: not a value of this type.
    """
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise ContentError("text is not UTF-8") from error
    value = _PARSERS[kind](text)
    if value is None or not fits_type(value, kind):
        raise unfit(repr(text[:32]), kind)
    return value


def _integer(text: str) -> int | None:
    return int(text) if _INTEGER.fullmatch(text) else None


def _float(text: str) -> float | None:
    return float(text) if _FLOAT.fullmatch(text) else None


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:  # binascii.Error is one, text that is not ASCII another
        return None


_PARSERS: Final[Mapping[ValueType, Callable[[str], Value | None]]] = {
    ValueType.STRING: str,
    ValueType.INTEGER: _integer,
    ValueType.UNSIGNED: _integer,
    ValueType.TIME: _integer,
    ValueType.FLOAT: _float,
    ValueType.BOOLEAN: {"0": False, "1": True}.get,
    ValueType.OPAQUE: _base64,
    ValueType.OBJLNK: parse_link_value,
    ValueType.CORELNK: str,
    ValueType.NONE: lambda _: None,
}
