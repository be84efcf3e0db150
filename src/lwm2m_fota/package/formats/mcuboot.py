"""The MCUboot format: whether an image holds together and who signed it (SPEC section 16).

The digest of an image covers its header, its body and its protected records; signatures are over that digest, or over
the same bytes. The records behind are covered by nothing, so nothing is believed from there but digest, signatures and
the key of an encrypted body.
"""

from collections.abc import Iterator
from typing import ClassVar, Final, final

import attrs

from lwm2m_fota.package.crypto import Hash, KeyType, PublicKey
from lwm2m_fota.package.crypto.secret import same
from lwm2m_fota.package.formats.base import PackageContext, PackageParser
from lwm2m_fota.package.formats.mcuboot_covered import CoveredPart
from lwm2m_fota.package.formats.mcuboot_encrypt import body_cipher, content_keys
from lwm2m_fota.package.formats.mcuboot_keys import KEY_WAYS, SIGNATURE_RECORDS, is_named, signature_record
from lwm2m_fota.package.formats.mcuboot_read import DEFAULT_MAX_TLV_BYTES, McubootImage, McubootReader, Sink
from lwm2m_fota.package.formats.mcuboot_tlv import (
    IMAGE_MAGIC,
    INFO_BYTES,
    ImageDependency,
    ImageHeader,
    Tlv,
    TlvType,
    decode_counter,
)
from lwm2m_fota.package.identity import UUID_BYTES, MadeFor
from lwm2m_fota.package.keyring import Authentication, Fault, Signer, TrustedKey
from lwm2m_fota.package.limits import DEFAULT_MAX_HELD_BYTES
from lwm2m_fota.package.rollback import Counter
from lwm2m_fota.package.trust import UnsafeChoice
from lwm2m_fota.package.types import Check, Component, Dependency, Verdict
from lwm2m_fota.package.verdicts import Refusal, refusal_error

_MAGIC: Final = IMAGE_MAGIC.to_bytes(4, "little")
_ALL_DIGESTS: Final = frozenset(Hash)

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
    """MCUboot images, signed or not, encrypted or not.

    Attributes:
        max_tlv_bytes: the largest TLV area that is held in memory, of each of the two.
        max_held_bytes: the largest image that is held in memory, where it cannot stream: one that is encrypted, because
            its key stands behind it; and one that may be signed itself and not by its digest (SIG_PURE), which is any
            where an Ed25519 key is trusted.
        max_trailing_bytes: how many bytes may follow the image. They are covered by no signature, and what
            `imgtool sign --pad` or `--confirm` writes there would tell a boot loader to skip the trial boot; so the
            default is 0. They are in no component of the verified package.
        digests: the kinds of digest that an image may have: those of the boot loader. A large image is hashed once for
            each kind that a trusted key may have signed; SHA-256 costs nothing.
    """

    name: ClassVar[str] = "mcuboot"
    prefix_bytes: ClassVar[int] = len(_MAGIC)

    max_tlv_bytes: int = DEFAULT_MAX_TLV_BYTES
    max_held_bytes: int = DEFAULT_MAX_HELD_BYTES
    max_trailing_bytes: int = 0
    digests: frozenset[Hash] = _ALL_DIGESTS

    def sniff(self, prefix: bytes) -> bool:
        """Whether it begins with the magic number of images; that of version 1 (0x96f3b83c) is not supported."""
        return prefix == _MAGIC

    def open(self, context: PackageContext) -> PackageParser:
        """Begin an image."""
        return _McubootParser(self, context)


@final
class _McubootParser:
    __slots__ = ("_context", "_covered", "_limits", "_reader", "feed")

    def __init__(self, limits: McubootFormat, context: PackageContext) -> None:
        self._limits = limits
        self._context = context
        self._covered: CoveredPart | None = None
        self._reader = McubootReader(
            begin=self._begin, max_tlv_bytes=limits.max_tlv_bytes, max_trailing_bytes=limits.max_trailing_bytes
        )
        self.feed = self._reader.feed

    def finish(self) -> Verdict:
        image = self._reader.finish()
        if self._covered is None:
            raise AssertionError
        return _Judgement(image, self._covered, self._context, self._limits).verdict()

    def _begin(self, header: ImageHeader) -> Sink | None:
        """What can be known before the body arrives."""
        at_least = header.hashed_bytes + INFO_BYTES
        trust, told = self._context.trust, self._context.expected_size_bytes
        if at_least > trust.max_package_bytes:
            raise refusal_error(Refusal.TOO_LARGE, f"an image of {at_least} bytes, at most {trust.max_package_bytes}")
        if told is not None and at_least > told:
            raise refusal_error(Refusal.TRUNCATED, f"an image of {at_least} bytes in a file of {told}")
        if not header.protected_bytes:  # where counter and ids would be
            trust.check_claims()
        fits = header.hashed_bytes <= self._limits.max_held_bytes
        if header.is_encrypted:
            if not trust.decryption_keys:
                raise refusal_error(Refusal.NO_DECRYPTION_KEY, "the image is encrypted")
            if not fits:
                limit = self._limits.max_held_bytes
                raise refusal_error(
                    Refusal.VERIFIER_MEMORY,
                    f"an encrypted image of {header.hashed_bytes} bytes, at most {limit} are held (max_held_bytes)",
                )
        kinds = {key.key.type for key in self._context.ring.keys}
        is_held = header.is_encrypted or (fits and KeyType.ED25519 in kinds)
        self._covered = CoveredPart(header, self._context.digest, self._wanted(kinds), is_held=is_held)
        return self._covered.sink

    def _wanted(self, kinds: set[KeyType]) -> frozenset[Hash]:
        """The digests that a trusted key may have signed; any, where nobody has to sign and no digest is expected."""
        signed = {kind for key, way in KEY_WAYS.items() if key in kinds for kind in way.digests}
        trust = self._context.trust
        if not trust.requires_signature and trust.expected_sha256 is None:
            signed = set(Hash)
        return self._limits.digests & signed


@final
@attrs.frozen
class _Judgement:
    """An image that is all there, and everything by which it is judged."""

    image: McubootImage
    covered: CoveredPart
    context: PackageContext
    limits: McubootFormat

    def verdict(self) -> Verdict:
        """What was found.

        Raises:
            PackageError: the image does not hold together.
        """
        image = self.image
        self._check_records()
        if image.header.is_encrypted:
            self._decrypt()
        is_pure = _is_pure(image)
        digest = self._digest(is_required=not is_pure)
        version = str(image.header.version)
        whole = Component(name=None, version=version, offset_bytes=0, length_bytes=image.image_bytes)
        counters = (Counter(None, decode_counter(value)) for value in self._at_most_one(TlvType.SEC_CNT))
        return Verdict(
            components=(whole,),
            version=version,
            counters=tuple(counters),
            dependencies=tuple(map(_dependency, image.protected_values(TlvType.DEPENDENCY))),
            made_for=MadeFor(vendor_id=self._uuid(TlvType.UUID_VID), class_id=self._uuid(TlvType.UUID_CID)),
            authentication=self._authentication(digest, is_pure=is_pure),
            checks=[Check.DIGEST] * (digest is not None) + [Check.DECRYPTION] * image.header.is_encrypted,
            limits={
                "max_tlv_bytes": self.limits.max_tlv_bytes,
                "max_held_bytes": self.limits.max_held_bytes,
                "max_trailing_bytes": self.limits.max_trailing_bytes,
            },
        )

    def _check_records(self) -> None:
        for record in self.image.records:
            if record.type in _PROTECTED_ONLY:
                raise refusal_error(Refusal.MALFORMED, f"{record.name} outside of the protected area")
        if UnsafeChoice.IGNORE_UNKNOWN_RECORDS in self.context.trust.unsafe:
            return
        for record in self.image.protected:
            if record.type not in _KNOWN_PROTECTED and not record.is_vendor:
                raise refusal_error(Refusal.UNSUPPORTED_ALGORITHM, f"protected record {record.name} is not understood")

    def _at_most_one(self, kind: TlvType) -> tuple[bytes, ...]:
        values = self.image.protected_values(kind)
        if len(values) > 1:
            raise refusal_error(Refusal.MALFORMED, f"more than one {kind.name}")
        return values

    def _uuid(self, kind: TlvType) -> bytes | None:
        for value in self._at_most_one(kind):
            if len(value) != UUID_BYTES:
                raise refusal_error(Refusal.MALFORMED, f"{kind.name} of {len(value)} bytes")
            return value
        return None

    def _decrypt(self) -> None:
        header = self.image.header
        keys = content_keys(self.image.records, header.content_key_bytes, self.context.trust.decryption_keys)
        key = next(keys, None)
        if key is None:
            raise refusal_error(Refusal.NO_DECRYPTION_KEY, "the image is encrypted, and not to a key of this device")
        self.covered.decrypt(body_cipher(key))

    def _digest(self, *, is_required: bool) -> bytes | None:
        """The digest that the image holds and that is right; None if there is none, or none has to be compared."""
        told = self.image.digests
        if not told and not is_required:
            return None
        if len(told) != 1:
            raise refusal_error(Refusal.MALFORMED, f"{len(told)} digests in the image, there must be one")
        kind, value = told[0]
        mine = self.covered.digest(kind) if kind in self.limits.digests else None
        if mine is None and (self.context.trust.requires_signature or kind not in self.limits.digests):
            raise refusal_error(Refusal.UNSUPPORTED_ALGORITHM, f"{kind.value}: no trusted key signs such digests")
        if mine is None:
            return None
        if not same(mine, value):
            raise refusal_error(Refusal.DIGEST_MISMATCH, "the image is not what its digest says")
        return value

    def _authentication(self, digest: bytes | None, *, is_pure: bool) -> Authentication:
        """Whose signatures hold; they are over the digest, or if they are pure over the image itself."""
        signers: list[Signer] = []
        faults: list[Fault] = []
        for trusted, record in self._signatures():
            if trusted is None:
                faults.append(Fault(Refusal.UNTRUSTED_KEY, "the image is signed, but by no trusted key"))
            elif all(signer.key is not trusted for signer in signers):
                found = self._check(trusted, record, digest, is_pure=is_pure)
                if isinstance(found, Signer):
                    signers.append(found)
                else:
                    faults.append(found)
        return Authentication(tuple(signers), tuple(faults))

    def _signatures(self) -> Iterator[tuple[TrustedKey | None, Tlv]]:
        """Each signature, with the trusted key that the record before it names; there may be several pairs."""
        trusted: TrustedKey | None = None
        for record in self.image.records:
            if record.type in {TlvType.KEYHASH, TlvType.PUBKEY}:
                trusted = next((known for known in self.context.ring.keys if _names(record, known)), None)
            elif record.type in SIGNATURE_RECORDS:
                yield trusted, record

    def _check(self, trusted: TrustedKey, record: Tlv, digest: bytes | None, *, is_pure: bool) -> Signer | Fault:
        key = trusted.key
        if not isinstance(key, PublicKey) or signature_record(key) != record.type:
            return Fault(Refusal.BAD_SIGNATURE, f"{record.name} is not of the type of the key {trusted.label}")
        way = KEY_WAYS[key.type]
        objection = self.context.ring.objection(trusted, way.algorithm)
        if objection is not None:
            return objection
        if is_pure:
            return self._check_pure(Signer(trusted, way.algorithm), key, record)
        if digest is None or len(digest) not in {kind.size_bytes for kind in way.digests}:
            return Fault(Refusal.UNSUPPORTED_ALGORITHM, f"{way.algorithm.value} over another digest")
        holds = key.verify_digest(record.value, digest)
        return Signer(trusted, way.algorithm) if holds else _does_not_hold(trusted)

    def _check_pure(self, signer: Signer, key: PublicKey, record: Tlv) -> Signer | Fault:
        """A signature over the covered part itself."""
        if key.type is not KeyType.ED25519:
            return Fault(Refusal.UNSUPPORTED_ALGORITHM, "pure signatures are supported with Ed25519 only")
        message = self.covered.message
        if message is None:
            size, limit = self.image.header.hashed_bytes, self.limits.max_held_bytes
            detail = f"a pure signature over {size} bytes, at most {limit} are held (max_held_bytes)"
            return Fault(Refusal.VERIFIER_MEMORY, detail)
        return signer if key.verify(record.value, message) else _does_not_hold(signer.key)


def _names(record: Tlv, known: TrustedKey) -> bool:
    return isinstance(known.key, PublicKey) and is_named(known.key, record)


def _does_not_hold(trusted: TrustedKey) -> Fault:
    return Fault(Refusal.BAD_SIGNATURE, f"it does not hold with the trusted key {trusted.label}")


def _dependency(value: bytes) -> Dependency:
    found = ImageDependency.decode(value)
    return Dependency(name=str(found.image_id), minimum_version=str(found.minimum_version))


def _is_pure(image: McubootImage) -> bool:
    marks = image.values(TlvType.SIG_PURE)
    if marks not in {(), (b"\x01",)}:
        raise refusal_error(Refusal.MALFORMED, "SIG_PURE is not one byte 01")
    return bool(marks)
