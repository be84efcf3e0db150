"""One door to all content formats that carry values."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, final

import attrs

from lwm2m_fota.content import (
    cbor_values,
    lwm2m_cbor,
    oma_json,
    opaque,
    senml_cbor,
    senml_json,
    text,
    tlv,
)
from lwm2m_fota.content.link import parse_links
from lwm2m_fota.content.policies import DEFAULT_POLICIES, ContentPolicies
from lwm2m_fota.content.values import Entries, is_single, natural_type, type_of, unfit
from lwm2m_fota.errors import ContentError, NotAcceptableError, UnsupportedContentFormatError, UsageError
from lwm2m_fota.model.formats import ContentFormat
from lwm2m_fota.model.paths import MAX_PARTS, Path
from lwm2m_fota.model.registry import Definitions
from lwm2m_fota.model.resources import ObjectDefinition, ResourceDefinition, Value, ValueType, fits_type

_RESOURCE_PARTS: Final = 3
_Encode = Callable[[Entries, Path, Definitions, ContentPolicies], bytes]
_Decode = Callable[[bytes, Path, Definitions], Entries]


@final
@attrs.frozen
class _Format:
    """How one content format is written and read, and which paths it can carry.

    Attributes:
        encode: None for what is only read.
        decode: a payload.
        fits: whether it can carry a path.
    """

    encode: _Encode | None
    decode: _Decode
    fits: Callable[[Path, ResourceDefinition | None], bool]


def _plain(encode: Callable[[Entries, Path, Definitions], bytes]) -> _Encode:
    """An encoder in which nothing is left to choose."""
    return lambda entries, base, definitions, _: encode(entries, base, definitions)


def _anything(base: Path, resource: ResourceDefinition | None) -> bool:
    del base, resource
    return True


def _below_one_object(base: Path, resource: ResourceDefinition | None) -> bool:
    del resource
    return bool(base.ids)


def _composite(base: Path, resource: ResourceDefinition | None) -> bool:
    """A Patch Pack is for what is written by Write-Composite alone (LwM2M Transport 1.2, table 6.4.4-1)."""
    return not _below_one_object(base, resource)


_FORMATS: Final[Mapping[int, _Format]] = {
    ContentFormat.TEXT: _Format(_plain(text.encode), text.decode, is_single),
    ContentFormat.OPAQUE: _Format(_plain(opaque.encode), opaque.decode, opaque.fits),
    ContentFormat.CBOR: _Format(cbor_values.encode, cbor_values.decode, is_single),
    ContentFormat.SENML_JSON: _Format(_plain(senml_json.encode), senml_json.decode, _anything),
    ContentFormat.SENML_CBOR: _Format(_plain(senml_cbor.encode), senml_cbor.decode, _anything),
    ContentFormat.SENML_ETCH_JSON: _Format(None, senml_json.decode_patch, _composite),
    ContentFormat.SENML_ETCH_CBOR: _Format(None, senml_cbor.decode_patch, _composite),
    ContentFormat.TLV: _Format(_plain(tlv.encode), tlv.decode, _below_one_object),
    ContentFormat.OMA_JSON: _Format(None, oma_json.decode, _below_one_object),
    ContentFormat.LWM2M_CBOR: _Format(lwm2m_cbor.encode, lwm2m_cbor.decode, _anything),
}
_OLD_NUMBERS: Final[Mapping[int, int]] = {
    1541: ContentFormat.TEXT,
    1542: ContentFormat.TLV,
    1543: ContentFormat.OMA_JSON,
}
"""Of clients from before LwM2M 1.0; understood, never sent."""

SEVERAL_VALUES: Final = frozenset(
    {ContentFormat.SENML_JSON, ContentFormat.SENML_CBOR, ContentFormat.TLV, ContentFormat.LWM2M_CBOR}
)
"""The formats in which an instance can be read and written."""

COMPOSITE: Final = SEVERAL_VALUES - {ContentFormat.TLV}
"""The formats in which the values of several objects can be answered or sent (LwM2M Transport 1.2, 6.4.4 and 6.4.5)."""

COMPOSITE_WRITE: Final = COMPOSITE | {ContentFormat.SENML_ETCH_JSON, ContentFormat.SENML_ETCH_CBOR}
"""The formats of Write-Composite."""


def encode(
    entries: Entries,
    content_format: int,
    base: Path,
    definitions: Definitions,
    policies: ContentPolicies = DEFAULT_POLICIES,
) -> bytes:
    """Write the values of a path.

    Args:
        entries: all at or below `base`; each path ends at a resource or a resource instance.
        content_format: one that `choose_format` gives.
        base: what is read or written.
        definitions: for the types.
        policies: what is written where several forms are right.

    Raises:
        NotAcceptableError: the format cannot carry this path, or is not written here.
        ContentError: a value is not of its resource's type, or its path is not the path of a value.
        UsageError: an entry that is not below `base`.
    """
    chosen = _FORMATS.get(content_format)
    if chosen is None or chosen.encode is None:
        raise NotAcceptableError(f"content format {content_format} is not written here")
    for path, value in entries:
        if not base.contains(path):
            raise UsageError(f"{path} does not lie below {base}")
        _check_shape(path, definitions)
        kind = type_of(path, definitions) or natural_type(value)
        if not fits_type(value, kind):
            raise unfit(f"{path}: {type(value).__name__}", kind)
        _check_links(value, kind)
    return chosen.encode(entries, base, definitions, policies)


def decode(
    payload: bytes, content_format: int, base: Path, definitions: Definitions, *, keep_unknown: bool = True
) -> Entries:
    """Read the values of a path, in whichever known format they come: peers do not always heed Accept.

    Ranges are not checked: a peer may know values that we do not. See `values.validate`.

    Args:
        payload: the body.
        content_format: as stated by the peer; the numbers from before LwM2M 1.0 are understood.
        base: what was read or written.
        definitions: for the types.
        keep_unknown: if false, values of resources that are not in `definitions` are left out; if true they have the
            type that the format shows, which in TLV is bytes.

    Raises:
        UnsupportedContentFormatError: a format that is not known, or that cannot carry this path.
        ContentError: the payload is not valid in its format, or not for this path.
        CborError: the payload is not CBOR where it ought to be.
    """
    number = _OLD_NUMBERS.get(content_format, content_format)
    chosen = _FORMATS.get(number)
    if chosen is None or not chosen.fits(base, definitions.resource(base)):
        raise UnsupportedContentFormatError(f"content format {content_format} is not understood for {base}")
    entries = chosen.decode(payload, base, definitions)
    seen: set[Path] = set()
    for path, value in entries:
        _check_shape(path, definitions)
        _check_links(value, type_of(path, definitions))
        if path in seen:
            raise ContentError(f"{path} comes twice")
        seen.add(path)
    if keep_unknown:
        return entries
    return [(path, value) for path, value in entries if definitions.resource(path) is not None]


def _check_shape(path: Path, definitions: Definitions) -> None:
    """A value stands at a resource, or at a resource instance if its resource is known to be multiple."""
    resource = definitions.resource(path)
    parts = len(path.ids)
    if parts < _RESOURCE_PARTS or (resource is not None and resource.multiple != (parts == MAX_PARTS)):
        raise ContentError(f"{path} is not the path of a value")


def _check_links(value: Value, kind: ValueType | None) -> None:
    if kind is ValueType.CORELNK and isinstance(value, str):
        parse_links(value.encode())


def choose_format(
    accept: int | None,
    base: Path,
    definition: ObjectDefinition | None,
    preferred: int = ContentFormat.SENML_CBOR,
) -> int:
    """The content format of an answer.

    Args:
        accept: what the peer asks for, or None if it leaves the choice.
        base: what is read.
        definition: of its object, as far as known.
        preferred: what to take if the choice is left and the format can carry the path; else SenML CBOR is taken.

    Raises:
        NotAcceptableError: the format asked for is not written here, or cannot carry this path.
    """
    resource = None
    if definition is not None and base.resource_id is not None:
        resource = definition.resource(base.resource_id)
    wanted = preferred if accept is None else accept
    chosen = _FORMATS.get(wanted)
    if chosen is not None and chosen.encode is not None and chosen.fits(base, resource):
        return wanted
    if accept is None:
        return ContentFormat.SENML_CBOR
    raise NotAcceptableError(f"{base} cannot be read in content format {accept}")


# -- the paths of a composite request

_WRITE_PATHS: Final[Mapping[int, Callable[[Iterable[Path]], bytes]]] = {
    ContentFormat.SENML_JSON: senml_json.encode_paths,
    ContentFormat.SENML_CBOR: senml_cbor.encode_paths,
    ContentFormat.SENML_ETCH_JSON: senml_json.encode_paths,
    ContentFormat.SENML_ETCH_CBOR: senml_cbor.encode_paths,
}
_READ_PATHS: Final[Mapping[int, Callable[[bytes], tuple[Path, ...]]]] = {
    ContentFormat.SENML_JSON: senml_json.decode_paths,
    ContentFormat.SENML_CBOR: senml_cbor.decode_paths,
    ContentFormat.SENML_ETCH_JSON: senml_json.decode_fetch,
    ContentFormat.SENML_ETCH_CBOR: senml_cbor.decode_fetch,
}


def encode_paths(paths: Iterable[Path], content_format: int) -> bytes:
    """Write the paths that a Read-Composite or Observe-Composite asks for (LwM2M Transport 1.2, table 6.4.4-1).

    Args:
        paths: of objects, instances, resources and resource instances, or the root; one at least.
        content_format: SenML or SenML-ETCH, in JSON or CBOR.

    Raises:
        NotAcceptableError: another content format.
        UsageError: no path.
    """
    write = _WRITE_PATHS.get(content_format)
    if write is None:
        raise NotAcceptableError(f"content format {content_format} carries no paths")
    asked = tuple(paths)
    if not asked:
        raise UsageError("no path is asked for")
    return write(asked)


def decode_paths(payload: bytes, content_format: int) -> tuple[Path, ...]:
    """Read the paths that a Read-Composite or Observe-Composite asks for.

    Raises:
        UnsupportedContentFormatError: neither SenML nor SenML-ETCH.
        ContentError: the payload is not valid in its format, has values, or no path.
        CborError: the payload is not CBOR where it ought to be.
    """
    read = _READ_PATHS.get(content_format)
    if read is None:
        raise UnsupportedContentFormatError(f"content format {content_format} carries no paths")
    return read(payload)
