"""Single values in CBOR (LwM2M Core 1.2, table C-2), and application/cbor, which carries one of them (7.5.3)."""

from typing import Final

from lwm2m_fota import cbor
from lwm2m_fota.cbor import Tag
from lwm2m_fota.content.dates import format_date
from lwm2m_fota.content.policies import ContentPolicies, TimeForm
from lwm2m_fota.content.values import TAG_DATE, TAG_EPOCH, Entries, adopt, is_single, type_of
from lwm2m_fota.errors import NotAcceptableError, UnsupportedContentFormatError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import Definitions
from lwm2m_fota.model.resources import ObjectLink, Value, ValueType

_MAX_DEPTH: Final = 3
"""A tag, and the array of a decimal fraction with its numbers."""

_MAX_ITEMS: Final = 1024
"""Chunks of a string of indefinite length are not counted; a tag and what it is put on are two."""


def to_cbor(value: Value, kind: ValueType | None, policies: ContentPolicies) -> object:
    """A value as what `cbor.dumps` writes."""
    if isinstance(value, ObjectLink):
        return str(value)
    if kind is ValueType.TIME and isinstance(value, int):
        return _time(value, policies.time)
    return float(value) if kind is ValueType.FLOAT and isinstance(value, int) else value


def _time(value: int, form: TimeForm) -> object:
    if form is TimeForm.EPOCH:
        return Tag(TAG_EPOCH, value)
    date = format_date(value) if form is TimeForm.DATE else None
    return value if date is None else Tag(TAG_DATE, date)


def encode(entries: Entries, base: Path, definitions: Definitions, policies: ContentPolicies) -> bytes:
    """The value of one resource or resource instance.

    Raises:
        NotAcceptableError: `base` has more than one value.
    """
    if not is_single(base, definitions.resource(base)) or len(entries) != 1:
        raise NotAcceptableError("application/cbor carries a single value")
    return cbor.dumps(to_cbor(entries[0][1], type_of(base, definitions), policies))


def decode(payload: bytes, base: Path, definitions: Definitions) -> Entries:
    """The value of one resource or resource instance.

    Raises:
        UnsupportedContentFormatError: `base` has more than one value.
        ContentError: not a value of this type.
        CborError: not CBOR.
    """
    if not is_single(base, definitions.resource(base)):
        raise UnsupportedContentFormatError("application/cbor carries a single value")
    value = cbor.loads(payload, max_depth=_MAX_DEPTH, max_items=_MAX_ITEMS, max_bytes=len(payload))
    return [(base, adopt(value, type_of(base, definitions)))]
