"""The words of MCUboot images: header, version, and type-length-value records; little-endian (SPEC section 16)."""

import re
import struct
from enum import IntEnum, IntFlag
from typing import Final, Self, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.verdicts import Refusal, refusal_error

IMAGE_MAGIC: Final = 0x96F3B83D
HEADER_BYTES: Final = 32
INFO_BYTES: Final = 4  # of the head of a TLV area
TLV_HEAD_BYTES: Final = 4
INFO_MAGIC: Final = 0x6907
PROTECTED_INFO_MAGIC: Final = 0x6908

# In the order of the documents: magic number, load address, sizes of header, protected TLVs and body, flags, the four
# numbers of the version, padding.
_HEADER: Final = struct.Struct("<IIHHIIBBHII")
_VERSION: Final = struct.Struct("<BBHI")
_PAIR: Final = struct.Struct("<HH")
_DEPENDENCY: Final = struct.Struct("<B3x8s")
_COUNTER: Final = struct.Struct("<I")
_ERASED: Final = b"\xff"  # fills the header, as imgtool does: what erased flash reads as
_VERSION_TEXT: Final = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,5})(?:\+(\d{1,10}))?", re.ASCII)


@final
class TlvType(IntEnum):
    """Types of records that have a meaning here."""

    KEYHASH = 0x01
    PUBKEY = 0x02
    SHA256 = 0x10
    SHA384 = 0x11
    SHA512 = 0x12
    RSA2048_PSS = 0x20
    ECDSA_SIG = 0x22
    RSA3072_PSS = 0x23
    ED25519 = 0x24
    SIG_PURE = 0x25
    ENC_RSA2048 = 0x30
    ENC_KW = 0x31
    ENC_EC256 = 0x32
    ENC_X25519 = 0x33
    ENC_X25519_SHA512 = 0x34
    DEPENDENCY = 0x40
    SEC_CNT = 0x50
    BOOT_RECORD = 0x60
    DECOMP_SIZE = 0x70
    DECOMP_SHA = 0x71
    DECOMP_SIGNATURE = 0x72
    COMP_DEC_SIZE = 0x73
    UUID_VID = 0x74
    UUID_CID = 0x75


@final
class HeaderFlag(IntFlag):
    """Flags of the header that have a meaning here."""

    ENCRYPTED_AES128 = 0x4
    ENCRYPTED_AES256 = 0x8


@final
@attrs.frozen
class ImageVersion:
    """A version of an image.

    Attributes:
        major: 0 to 255.
        minor: 0 to 255.
        revision: 0 to 65535.
        build: 0 to 2**32 - 1.

    Raises:
        UsageError: a number out of range.
    """

    major: int
    minor: int
    revision: int
    build: int = 0

    def __attrs_post_init__(self) -> None:
        try:
            self.encode()
        except struct.error as error:
            raise UsageError(f"{self} is not a version: a number is out of range") from error

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `1.2.3` or `1.2.3+4`.

        Raises:
            UsageError: it is not written so, or a number is out of range.
        """
        found = _VERSION_TEXT.fullmatch(text)
        if found is None:
            raise UsageError(f"{text!r} is not a version such as 1.2.3 or 1.2.3+4")
        return cls(*(int(number or "0") for number in found.groups()))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the 8 bytes of a version."""
        return cls(*_VERSION.unpack(data))

    def encode(self) -> bytes:
        """The 8 bytes of the version."""
        return _VERSION.pack(self.major, self.minor, self.revision, self.build)

    def __str__(self) -> str:
        build = f"+{self.build}" if self.build else ""
        return f"{self.major}.{self.minor}.{self.revision}{build}"

    def is_older_than(self, other: Self, *, compare_build: bool = False) -> bool:
        """Compare major, minor and revision; the build number only if asked, as in MCUboot's configuration."""
        mine = (self.major, self.minor, self.revision, self.build if compare_build else 0)
        return mine < (other.major, other.minor, other.revision, other.build if compare_build else 0)


@final
@attrs.frozen(kw_only=True)
class ImageHeader:
    """The header of an image.

    Attributes:
        load_address: where the image is loaded, for those that run from RAM.
        header_size: bytes of the header with its padding.
        protected_bytes: bytes of the protected TLV area, its head included; 0 if there is none.
        body_bytes: bytes of the body.
        flags: what the body is.
        version: of the image.
    """

    load_address: int = 0
    header_size: int = HEADER_BYTES
    protected_bytes: int = 0
    body_bytes: int
    flags: int = 0
    version: ImageVersion

    @property
    def is_encrypted(self) -> bool:
        """Whether the body is encrypted."""
        return bool(self.flags & (HeaderFlag.ENCRYPTED_AES128 | HeaderFlag.ENCRYPTED_AES256))

    @property
    def content_key_bytes(self) -> int:
        """The length of the key that encrypts the body; 0 if it is not encrypted."""
        if self.flags & HeaderFlag.ENCRYPTED_AES256:
            return 32
        return 16 if self.is_encrypted else 0

    @property
    def hashed_bytes(self) -> int:
        """The length of what the digest covers: header, body and protected TLV area."""
        return self.header_size + self.body_bytes + self.protected_bytes

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the first 32 bytes of an image.

        Raises:
            UnsupportedPackageError: it does not begin with the magic number.
            IntegrityError: the sizes contradict each other.
        """
        magic, load_address, header_size, protected_bytes, body_bytes, flags, *version, _pad = _HEADER.unpack(data)
        if magic != IMAGE_MAGIC:
            raise refusal_error(Refusal.UNKNOWN_FORMAT, f"magic number 0x{magic:08x} is not that of MCUboot")
        if header_size < HEADER_BYTES or 0 < protected_bytes < INFO_BYTES:
            raise refusal_error(Refusal.MALFORMED, "the sizes in the header are impossible")
        return cls(
            load_address=load_address,
            header_size=header_size,
            protected_bytes=protected_bytes,
            body_bytes=body_bytes,
            flags=flags,
            version=ImageVersion(*version),
        )

    def encode(self) -> bytes:
        """The header with its padding.

        Raises:
            UsageError: a number is out of range.
        """
        sizes = (self.load_address, self.header_size, self.protected_bytes, self.body_bytes, self.flags)
        version = attrs.astuple(self.version)
        try:
            return _HEADER.pack(IMAGE_MAGIC, *sizes, *version, 0).ljust(self.header_size, _ERASED)
        except struct.error as error:
            raise UsageError("a number does not fit the header of an image") from error


@final
@attrs.frozen
class Tlv:
    """A record.

    Attributes:
        type: a number of 16 bits; see `TlvType`.
        value: at most 65535 bytes.
    """

    type: int
    value: bytes

    @property
    def is_vendor(self) -> bool:
        """Whether the type is reserved for vendors: 0xXXA0 to 0xXXFE."""
        return 0xA0 <= self.type & 0xFF <= 0xFE  # noqa: PLR2004 - the range of the format

    @property
    def name(self) -> str:
        """The name of the type, or its number."""
        known = self.type in set(TlvType)
        return TlvType(self.type).name if known else f"0x{self.type:04x}"

    def encode(self) -> bytes:
        """The record with its head.

        Raises:
            UsageError: the value does not fit.
        """
        try:
            return _PAIR.pack(self.type, len(self.value)) + self.value
        except struct.error as error:
            raise UsageError("a record takes at most 65535 bytes") from error


@final
@attrs.frozen
class ImageDependency:
    """Another image of the same device, which must have at least this version.

    Attributes:
        image_id: its number, 0 to 255.
        minimum_version: the lowest version that will do.
    """

    image_id: int
    minimum_version: ImageVersion

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the value of a DEPENDENCY record.

        Raises:
            IntegrityError: it does not have 12 bytes.
        """
        if len(data) != _DEPENDENCY.size:
            raise refusal_error(Refusal.MALFORMED, f"a dependency of {len(data)} bytes")
        image_id, version = _DEPENDENCY.unpack(data)
        return cls(image_id, ImageVersion.decode(version))

    def encode(self) -> bytes:
        """The value of a DEPENDENCY record.

        Raises:
            UsageError: the image number is out of range.
        """
        try:
            return _DEPENDENCY.pack(self.image_id, self.minimum_version.encode())
        except struct.error as error:
            raise UsageError("an image number is 0 to 255") from error


def decode_counter(data: bytes) -> int:
    """Read the value of a SEC_CNT record.

    Raises:
        IntegrityError: it does not have 4 bytes.
    """
    if len(data) != _COUNTER.size:
        raise refusal_error(Refusal.MALFORMED, f"a security counter of {len(data)} bytes")
    return int.from_bytes(data, "little")


def encode_counter(counter: int) -> bytes:
    """The value of a SEC_CNT record.

    Raises:
        UsageError: it does not fit 32 bits.
    """
    try:
        return _COUNTER.pack(counter)
    except struct.error as error:
        raise UsageError("a security counter is 0 to 2**32 - 1") from error


def decode_info(data: bytes, *, magic: int) -> int:
    """Read the head of a TLV area: its length in bytes, the head included.

    Raises:
        IntegrityError: another magic number, or a length that is too short.
    """
    found, total = _PAIR.unpack(data)
    if found != magic or total < INFO_BYTES:
        raise refusal_error(Refusal.MALFORMED, f"no TLV area where it should be (0x{found:04x}, {total} bytes)")
    return int(total)


def decode_tlvs(data: bytes) -> tuple[Tlv, ...]:
    """Read the records of an area, without its head.

    Raises:
        IntegrityError: a record ends outside of the area.
    """
    records: list[Tlv] = []
    position = 0
    while position < len(data):
        if len(data) - position < TLV_HEAD_BYTES:
            raise refusal_error(Refusal.MALFORMED, "a TLV area ends inside of a record")
        kind, length = _PAIR.unpack_from(data, position)
        position += TLV_HEAD_BYTES
        if length > len(data) - position:
            raise refusal_error(Refusal.MALFORMED, f"record 0x{kind:04x} is longer than its area")
        records.append(Tlv(kind, data[position : position + length]))
        position += length
    return tuple(records)


def encode_area(records: tuple[Tlv, ...], *, magic: int) -> bytes:
    """A TLV area with its head.

    Raises:
        UsageError: the area takes more than 65535 bytes.
    """
    body = b"".join(record.encode() for record in records)
    try:
        return _PAIR.pack(magic, INFO_BYTES + len(body)) + body
    except struct.error as error:
        raise UsageError("a TLV area takes at most 65535 bytes") from error
