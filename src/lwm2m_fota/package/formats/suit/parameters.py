"""Parameters: what commands read, of one component each (draft-ietf-suit-manifest-37 section 8.4.8)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, final

from lwm2m_fota import cbor
from lwm2m_fota.package.cose.message import CoseEncrypt, read_message
from lwm2m_fota.package.formats.suit.codes import PEN_TAG, Parameter
from lwm2m_fota.package.formats.suit.digests import SuitDigest, load_digest
from lwm2m_fota.package.formats.suit.limits import SuitLimits
from lwm2m_fota.package.formats.suit.reading import malformed, too_much, unsupported
from lwm2m_fota.package.identity import MAX_ID_BYTES, UUID_BYTES

MAX_SIZE_BYTES: Final = 1 << 48
"""The largest size that is believed."""


@final
class Parameters(NamedTuple):
    """Parameters of a component; None where one is not set.

    Attributes:
        vendor_id: 16 bytes, or a Private Enterprise Number as a relative object identifier.
        class_id: 16 bytes.
        device_id: 16 bytes.
        image_digest: of what the component is to hold.
        image_size: of it, in bytes.
        component_slot: the number of one of several places of the component.
        content: what the component is to hold, itself.
        encryption_info: how to decrypt what is copied or written.
        uri: where a payload is; "#..." is one of the same envelope.
        source_component: the index of the component that is copied from, or swapped with.
        invoke_args: for the boot loader.
        fetch_arguments: for whoever fetches.
        strict_order: whether commands go in order; here they always do.
        soft_failure: whether a condition that fails ends only the sequence that it is in.
    """

    vendor_id: bytes | None = None
    class_id: bytes | None = None
    device_id: bytes | None = None
    image_digest: SuitDigest | None = None
    image_size: int | None = None
    component_slot: int | None = None
    content: bytes | None = None
    encryption_info: CoseEncrypt | None = None
    uri: str | None = None
    source_component: int | None = None
    invoke_args: bytes | None = None
    fetch_arguments: bytes | None = None
    strict_order: bool | None = None
    soft_failure: bool | None = None

    def over(self, base: "Parameters") -> "Parameters":
        """These, and those of `base` where nothing is set here."""
        return Parameters(*(old if own is None else own for own, old in zip(self, base, strict=True)))  # type: ignore[arg-type]  # each in its place

    def __repr__(self) -> str:
        """Only what is set; of the content its length."""
        items = {name: value for name, value in self._asdict().items() if value is not None}
        if self.content is not None:
            items["content"] = f"{len(self.content)} bytes"
        return f"Parameters({', '.join(f'{name}={value!r}' for name, value in items.items())})"


NO_PARAMETERS: Final = Parameters()


def read_parameters(item: object, limits: SuitLimits) -> Parameters:
    """Take parameters that were read as CBOR.

    Raises:
        UnsupportedPackageError: one is not known, or needs something that is not supported.
        IntegrityError: one is not what it should be.
        PackageError: one is past a limit.
    """
    if type(item) is not dict or not item:
        raise malformed("parameters are not a map of some")
    found: dict[str, object] = {}
    for number, value in item.items():
        if type(number) is not int or number not in _FIELDS:
            raise unsupported(f"parameter {number!r}")
        field, parameter, reader = _FIELDS[number]
        found[field] = reader(value, parameter, limits)
    return Parameters(**found)  # type: ignore[arg-type]  # each reader gives what its field is


def _wrong(parameter: Parameter) -> Exception:
    return malformed(f"parameter {parameter.name.lower()} is not what it should be")


def _uuid(value: object, parameter: Parameter, _limits: SuitLimits) -> bytes:
    if type(value) is not bytes or len(value) != UUID_BYTES:
        raise _wrong(parameter)
    return value


def _vendor(value: object, parameter: Parameter, limits: SuitLimits) -> bytes:
    match value:
        case cbor.Tag(number, bytes(pen)) if number == PEN_TAG and 0 < len(pen) <= MAX_ID_BYTES:
            return pen
        case _:
            return _uuid(value, parameter, limits)


def _digest(value: object, _parameter: Parameter, _limits: SuitLimits) -> SuitDigest:
    return load_digest(value)


def _size(value: object, parameter: Parameter, _limits: SuitLimits) -> int:
    if type(value) is not int or not 0 < value <= MAX_SIZE_BYTES:
        raise _wrong(parameter)
    return value


def _number(value: object, parameter: Parameter, _limits: SuitLimits) -> int:
    if type(value) is not int or value < 0:
        raise _wrong(parameter)
    return value


def _bytes(value: object, parameter: Parameter, _limits: SuitLimits) -> bytes:
    if type(value) is not bytes:
        raise _wrong(parameter)
    return value


def _flag(value: object, parameter: Parameter, _limits: SuitLimits) -> bool:
    if type(value) is not bool:
        raise _wrong(parameter)
    return value


def _uri(value: object, parameter: Parameter, limits: SuitLimits) -> str:
    if type(value) is not str or not value:
        raise _wrong(parameter)
    if len(value.encode()) > limits.max_uri_bytes:
        raise too_much("a URI", len(value.encode()), "max_uri_bytes", limits.max_uri_bytes)
    return value


def _encryption(value: object, parameter: Parameter, limits: SuitLimits) -> CoseEncrypt:
    """A COSE_Encrypt without its ciphertext (draft-ietf-suit-firmware-encryption-24 section 6)."""
    message = read_message(_bytes(value, parameter, limits), max_bytes=limits.max_member_bytes)
    if not isinstance(message, CoseEncrypt) or message.ciphertext is not None:
        raise _wrong(parameter)
    return message


_Reader = Callable[[object, Parameter, SuitLimits], object]
_READERS: Final[Mapping[Parameter, _Reader]] = MappingProxyType(
    {
        Parameter.VENDOR_ID: _vendor,
        Parameter.CLASS_ID: _uuid,
        Parameter.DEVICE_ID: _uuid,
        Parameter.IMAGE_DIGEST: _digest,
        Parameter.IMAGE_SIZE: _size,
        Parameter.COMPONENT_SLOT: _number,
        Parameter.CONTENT: _bytes,
        Parameter.ENCRYPTION_INFO: _encryption,
        Parameter.URI: _uri,
        Parameter.SOURCE_COMPONENT: _number,
        Parameter.INVOKE_ARGS: _bytes,
        Parameter.FETCH_ARGUMENTS: _bytes,
        Parameter.STRICT_ORDER: _flag,
        Parameter.SOFT_FAILURE: _flag,
    }
)
_FIELDS: Final[Mapping[int, tuple[str, Parameter, _Reader]]] = MappingProxyType(
    {int(each): (each.name.lower(), each, reader) for each, reader in _READERS.items()}
)
"""By its number, the field of `Parameters` that each is, and how it is read."""
