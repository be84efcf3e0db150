"""application/octet-stream: the bytes of one Opaque resource (LwM2M Core 7.4.2)."""

from lwm2m_fota.content.values import Entries, is_single
from lwm2m_fota.errors import NotAcceptableError, UnsupportedContentFormatError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import Definitions
from lwm2m_fota.model.resources import ResourceDefinition, ValueType


def fits(base: Path, resource: ResourceDefinition | None) -> bool:
    """True if a path has one value, and that is Opaque as far as known."""
    return is_single(base, resource) and (resource is None or resource.type is ValueType.OPAQUE)


def encode(entries: Entries, base: Path, definitions: Definitions) -> bytes:
    """The bytes themselves.

    Raises:
        NotAcceptableError: not one Opaque value.
    """
    if fits(base, definitions.resource(base)) and len(entries) == 1 and isinstance(value := entries[0][1], bytes):
        return value
    raise NotAcceptableError("octet-stream carries a single Opaque value")


def decode(payload: bytes, base: Path, definitions: Definitions) -> Entries:
    """The payload itself.

    Raises:
        UnsupportedContentFormatError: the resource is of another type, or has several values.
    """
    if not fits(base, definitions.resource(base)):
        raise UnsupportedContentFormatError("octet-stream carries a single Opaque value")
    return [(base, payload)]
