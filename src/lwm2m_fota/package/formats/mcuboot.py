"""The MCUboot format: whether an image holds together and who signed it (SPEC section 16).

The digest of an image covers its header, its body and its protected records; signatures are over that digest. The
records behind are covered by nothing, so nothing is believed from there but the digest and the signatures themselves.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import ClassVar, Final, TypeAlias, final

import attrs

from lwm2m_fota.package.crypto import SHA256_BYTES, KeyAlgorithm, PublicKey
from lwm2m_fota.package.formats.base import PackageParser
from lwm2m_fota.package.formats.mcuboot_read import DEFAULT_MAX_TLV_BYTES, McubootImage, McubootReader
from lwm2m_fota.package.formats.mcuboot_tlv import (
    IMAGE_MAGIC,
    INFO_BYTES,
    ImageDependency,
    ImageHeader,
    Tlv,
    TlvType,
    decode_counter,
)
from lwm2m_fota.package.trust import Trust, UnknownTlv
from lwm2m_fota.package.types import WHOLE_PACKAGE, Component, Dependency, Verdict
from lwm2m_fota.package.verdicts import Refusal, refusal_error

DEFAULT_MAX_PURE_BYTES: Final = 0

_MAGIC: Final = IMAGE_MAGIC.to_bytes(4, "little")
_ALGORITHM_OF: Final[Mapping[int, KeyAlgorithm]] = MappingProxyType(
    {TlvType.ED25519: KeyAlgorithm.ED25519, TlvType.ECDSA_SIG: KeyAlgorithm.ECDSA_P256}
)
_SIGNATURES: Final = frozenset({*_ALGORITHM_OF, TlvType.RSA2048_PSS, TlvType.RSA3072_PSS})

_Fault: TypeAlias = tuple[Refusal, str]
_NOT_OF_THIS_KEY: Final[_Fault] = (Refusal.BAD_SIGNATURE, "a signature is not of the algorithm of its key")
_DOES_NOT_HOLD: Final[_Fault] = (Refusal.BAD_SIGNATURE, "the signature of a trusted key does not hold")
_GRAVEST_FIRST: Final = (Refusal.BAD_SIGNATURE, Refusal.UNSUPPORTED_ALGORITHM, Refusal.UNTRUSTED_KEY)

# What must not be believed outside of the protected area, and is refused there.
_PROTECTED_ONLY: Final = frozenset({TlvType.DEPENDENCY, TlvType.SEC_CNT, TlvType.UUID_VID, TlvType.UUID_CID})
_KNOWN_PROTECTED: Final = _PROTECTED_ONLY | {
    TlvType.BOOT_RECORD,
    TlvType.DECOMP_SIZE,
    TlvType.DECOMP_SHA,
    TlvType.DECOMP_SIGNATURE,
    TlvType.COMP_DEC_SIZE,
}


@final
@attrs.frozen(kw_only=True)
class McubootFormat:
    """MCUboot images, signed with Ed25519 or ECDSA P-256 or not at all; encrypted ones are not supported.

    Attributes:
        max_tlv_bytes: the largest TLV area that is held in memory, of each of the two.
        max_pure_bytes: a pure Ed25519 signature (SIG_PURE) is over the image and not over its digest, so the image
            has to be held whole. Images up to this length are; 0, the default, supports no pure signature.
        max_trailing_bytes: how many bytes may follow the image. They are covered by no signature, and what
            `imgtool sign --pad` or `--confirm` writes there would tell a boot loader to skip the trial boot; so the
            default is 0. They are in no component of the verified package.
    """

    name: ClassVar[str] = "mcuboot"
    prefix_bytes: ClassVar[int] = len(_MAGIC)

    max_tlv_bytes: int = DEFAULT_MAX_TLV_BYTES
    max_pure_bytes: int = DEFAULT_MAX_PURE_BYTES
    max_trailing_bytes: int = 0

    def sniff(self, prefix: bytes) -> bool:
        """Whether it begins with the magic number of images; that of version 1 (0x96f3b83c) is not supported."""
        return prefix == _MAGIC

    def open(self, trust: Trust, *, expected_size_bytes: int | None) -> PackageParser:
        """Begin an image."""
        return _McubootParser(self, trust, expected_size_bytes)


@final
class _McubootParser:
    __slots__ = ("_expected_size_bytes", "_reader", "_trust")

    def __init__(self, limits: McubootFormat, trust: Trust, expected_size_bytes: int | None) -> None:
        self._trust = trust
        self._expected_size_bytes = expected_size_bytes
        self._reader = McubootReader(
            check_header=self._check_header,
            max_tlv_bytes=limits.max_tlv_bytes,
            max_kept_bytes=limits.max_pure_bytes,
            max_trailing_bytes=limits.max_trailing_bytes,
        )

    def feed(self, data: memoryview) -> None:
        self._reader.feed(data)

    def finish(self) -> Verdict:
        return _judge(self._reader.finish(), self._trust)

    def _check_header(self, header: ImageHeader) -> None:
        """What can be known before the body arrives."""
        at_least = header.hashed_bytes + INFO_BYTES
        if at_least > self._trust.max_package_bytes:
            raise refusal_error(
                Refusal.TOO_LARGE, f"an image of {at_least} bytes, at most {self._trust.max_package_bytes}"
            )
        if self._expected_size_bytes is not None and at_least > self._expected_size_bytes:
            raise refusal_error(
                Refusal.TRUNCATED, f"an image of {at_least} bytes in a file of {self._expected_size_bytes}"
            )
        if header.is_encrypted:
            raise refusal_error(Refusal.UNSUPPORTED_ALGORITHM, "the image is encrypted")


def _judge(image: McubootImage, trust: Trust) -> Verdict:
    _check_records(image, trust)
    counters = image.protected_values(TlvType.SEC_CNT)
    if len(counters) > 1:
        raise refusal_error(Refusal.MALFORMED, "more than one security counter")
    is_pure = _is_pure(image)
    digest = _digest(image, required=not is_pure)
    version = str(image.header.version)
    return Verdict(
        components=(Component(name=WHOLE_PACKAGE, version=version, offset_bytes=0, length_bytes=image.image_bytes),),
        version=version,
        security_counter=decode_counter(counters[0]) if counters else None,
        dependencies=tuple(map(_dependency, image.protected_values(TlvType.DEPENDENCY))),
        signed_by=_signed_by(image, trust, None if is_pure else digest),
    )


def _check_records(image: McubootImage, trust: Trust) -> None:
    for record in image.records:
        if record.type in _PROTECTED_ONLY:
            raise refusal_error(Refusal.MALFORMED, f"{record.name} outside of the protected area")
    if trust.unknown_protected_tlv is UnknownTlv.IGNORE:
        return
    for record in image.protected:
        if record.type not in _KNOWN_PROTECTED and not record.is_vendor:
            raise refusal_error(Refusal.UNSUPPORTED_ALGORITHM, f"protected record {record.name} is not understood")


def _dependency(value: bytes) -> Dependency:
    found = ImageDependency.decode(value)
    return Dependency(name=str(found.image_id), minimum_version=str(found.minimum_version))


def _is_pure(image: McubootImage) -> bool:
    marks = image.values(TlvType.SIG_PURE)
    if marks not in {(), (b"\x01",)}:
        raise refusal_error(Refusal.MALFORMED, "SIG_PURE is not one byte 01")
    return bool(marks)


def _digest(image: McubootImage, *, required: bool) -> bytes | None:
    """The digest that the image holds and that is right; None only if there is none and none is required."""
    if image.values(TlvType.SHA384):
        raise refusal_error(Refusal.UNSUPPORTED_ALGORITHM, "SHA-384")
    found = (*image.values(TlvType.SHA256), *image.values(TlvType.SHA512))
    if not found and not required:
        return None
    if len(found) != 1:
        raise refusal_error(Refusal.MALFORMED, f"{len(found)} digests in the image, there must be one")
    if not image.digest_holds:
        raise refusal_error(Refusal.DIGEST_MISMATCH, "the image is not what its digest says")
    return found[0]


def _signed_by(image: McubootImage, trust: Trust, digest: bytes | None) -> bytes | None:
    """The hash of the first trusted key whose signature holds; None if there is none and none is required.

    A signature by a trusted key that does not hold is refused even if none is required, unless another one holds.
    Signatures are over the digest; without one, they are pure.
    """
    faults: dict[Refusal, str] = {}
    for key, signature in _signatures(image, trust):
        if signature.type not in _ALGORITHM_OF:
            faults[Refusal.UNSUPPORTED_ALGORITHM] = f"signatures of type {signature.name} are not supported"
        elif key is None:
            faults[Refusal.UNTRUSTED_KEY] = "the image is signed, but by no trusted key"
        else:
            fault = _check_pure(key, signature, image) if digest is None else _check(key, signature, digest)
            if fault is None:
                return key.key_hash
            faults[fault[0]] = fault[1]
    for refusal in _GRAVEST_FIRST:
        if refusal in faults and (trust.require_signature or refusal is Refusal.BAD_SIGNATURE):
            raise refusal_error(refusal, faults[refusal])
    return None


def _signatures(image: McubootImage, trust: Trust) -> Iterator[tuple[PublicKey | None, Tlv]]:
    """Each signature, with the trusted key that the record before it names; there may be several pairs."""
    key: PublicKey | None = None
    for record in image.records:
        if record.type in {TlvType.KEYHASH, TlvType.PUBKEY}:
            key = next((known for known in trust.keys if _is_named(known, record)), None)
        elif record.type in _SIGNATURES:
            yield key, record


def _is_named(key: PublicKey, name: Tlv) -> bool:
    """Whether a record names this key: by its hash, or by the key itself in DER."""
    return name.value in ({key.key_hash, key.key_hash_sha512} if name.type == TlvType.KEYHASH else {key.der})


def _check(key: PublicKey, signature: Tlv, digest: bytes) -> _Fault | None:
    """What is wrong with a signature over the digest."""
    if key.algorithm is not _ALGORITHM_OF.get(signature.type):
        return _NOT_OF_THIS_KEY
    if key.algorithm is KeyAlgorithm.ECDSA_P256 and len(digest) != SHA256_BYTES:
        return Refusal.UNSUPPORTED_ALGORITHM, "ECDSA P-256 is supported over SHA-256 only"
    return None if key.verify_digest(signature.value, digest) else _DOES_NOT_HOLD


def _check_pure(key: PublicKey, signature: Tlv, image: McubootImage) -> _Fault | None:
    """What is wrong with a signature over the hashed part itself."""
    if key.algorithm is not _ALGORITHM_OF.get(signature.type):
        return _NOT_OF_THIS_KEY
    if key.algorithm is not KeyAlgorithm.ED25519:
        return Refusal.UNSUPPORTED_ALGORITHM, "pure signatures are supported with Ed25519 only"
    if image.hashed is None:
        size = image.header.hashed_bytes
        return Refusal.UNSUPPORTED_ALGORITHM, f"a pure signature over {size} bytes, more than max_pure_bytes"
    return None if key.verify(signature.value, image.hashed) else _DOES_NOT_HOLD
