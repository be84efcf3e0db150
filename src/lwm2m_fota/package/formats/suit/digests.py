"""SUIT_Digest: which hash, and its bytes (draft-ietf-suit-manifest-37 section 10)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, Self, final

from lwm2m_fota.errors import PackageError
from lwm2m_fota.package.cose.structure import bytes_head
from lwm2m_fota.package.crypto import Hash
from lwm2m_fota.package.crypto.secret import same
from lwm2m_fota.package.formats.suit.reading import load_array, malformed, unsupported
from lwm2m_fota.package.verdicts import Refusal, refusal_error

SHA256: Final = -16
HASHES: Final[Mapping[int, Hash]] = MappingProxyType({SHA256: Hash.SHA256, -43: Hash.SHA384, -44: Hash.SHA512})
"""The hashes by their numbers in the registry of COSE."""

_PARTS: Final = 2
_NUMBERS: Final = {kind: number for number, kind in HASHES.items()}


@final
class SuitDigest(NamedTuple):
    """A digest.

    Attributes:
        kind: of which hash.
        value: its bytes.
    """

    kind: Hash
    value: bytes

    def holds(self, data: bytes) -> bool:
        """Whether it is that of a member, which is taken with the head of its byte string."""
        return same(self.value, member_digest(self.kind, data))

    @classmethod
    def of(cls, data: bytes, kind: Hash = Hash.SHA256) -> Self:
        """That of an image."""
        return cls(kind, kind.digest(data))

    @classmethod
    def of_member(cls, data: bytes, kind: Hash = Hash.SHA256) -> Self:
        """That of a manifest, or of a severed member."""
        return cls(kind, member_digest(kind, data))

    def to_item(self) -> list[object]:
        """The array, before it is written."""
        return [_NUMBERS[self.kind], self.value]

    def is_value(self, value: bytes) -> bool:
        """Whether it is this."""
        return same(self.value, value)

    def mismatch(self, what: str) -> PackageError:
        """The error of something that has another digest."""
        return refusal_error(Refusal.DIGEST_MISMATCH, f"{what} was changed, or belongs to another manifest")


def member_digest(kind: Hash, data: bytes) -> bytes:
    """The digest of a manifest or of a severed member: of its byte string with the head of it."""
    context = kind.new(bytes_head(len(data)))
    context.update(data)
    return context.digest()


def read_digest(item: object) -> SuitDigest:
    """Take a digest that was read as CBOR.

    Raises:
        UnsupportedPackageError: another hash than SHA-256, SHA-384 or SHA-512.
        IntegrityError: it is none.
    """
    number, value = item if isinstance(item, list) and len(item) == _PARTS else (None, None)
    if not isinstance(number, int) or not isinstance(value, bytes):
        raise malformed("a digest is not an algorithm and its bytes")
    kind = HASHES.get(number)
    if kind is None:
        raise unsupported(f"digests with algorithm {number}")
    if len(value) != kind.size_bytes:
        raise malformed(f"a {kind.value} digest of {len(value)} bytes")
    return SuitDigest(kind, value)


def load_digest(data: object) -> SuitDigest:
    """Read a digest that lies in a byte string.

    Raises:
        UnsupportedPackageError: another hash.
        IntegrityError: it is none.
    """
    return read_digest(load_array(data, "a digest"))
