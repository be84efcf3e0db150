"""Makes MCUboot images, also of bodies that are too large to hold (SPEC section 16)."""

from collections.abc import Iterable, Iterator
from typing import Final, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.crypto import Hash, KeyType, PrivateKey
from lwm2m_fota.package.crypto.content import Transform
from lwm2m_fota.package.formats.mcuboot_encrypt import ImageEncryption
from lwm2m_fota.package.formats.mcuboot_keys import KEY_WAYS, named_der, signature_record
from lwm2m_fota.package.formats.mcuboot_read import DIGESTS, McubootInspection
from lwm2m_fota.package.formats.mcuboot_tlv import (
    HEADER_BYTES,
    INFO_MAGIC,
    PROTECTED_INFO_MAGIC,
    ImageDependency,
    ImageHeader,
    ImageVersion,
    Tlv,
    TlvType,
    encode_area,
    encode_counter,
)
from lwm2m_fota.package.identity import UUID_BYTES

_ENCRYPTED_BLOCK_BYTES: Final = 16
_RECORD_OF_DIGEST: Final = {kind: record for record, kind in DIGESTS.items()}
_PURE: Final = Tlv(TlvType.SIG_PURE, b"\x01")


@final
@attrs.frozen(kw_only=True)
class ImageOptions:
    """What an image may have beside its body and version.

    Attributes:
        header_size: bytes of the header with its padding, at least 32: what the boot loader is built for.
        security_counter: the anti-rollback counter, if it is to have one.
        dependencies: other images that the boot loader must find.
        vendor_id: the UUID of the vendor that it is for.
        class_id: the UUID of the class of devices that it is for.
        digest: the kind of digest; by default the usual one of the key, and SHA-256 without a key.
        is_pure: whether the image itself is signed and not its digest: with Ed25519, and in memory.
        encryption: how the body is encrypted, if it is.

    Raises:
        UsageError: a number out of range, or an id that is no UUID.
    """

    header_size: int = HEADER_BYTES
    security_counter: int | None = None
    dependencies: tuple[ImageDependency, ...] = ()
    vendor_id: bytes | None = None
    class_id: bytes | None = None
    digest: Hash | None = None
    is_pure: bool = False
    encryption: ImageEncryption | None = None

    def __attrs_post_init__(self) -> None:
        if self.header_size < HEADER_BYTES:
            raise UsageError(f"a header has at least {HEADER_BYTES} bytes")
        if any(len(each) != UUID_BYTES for each in (self.vendor_id, self.class_id) if each is not None):
            raise UsageError(f"the ids of vendor and class have {UUID_BYTES} bytes")
        self.protected_records()

    def protected_records(self) -> tuple[Tlv, ...]:
        """The records that the digest covers.

        Raises:
            UsageError: a number out of range.
        """
        counters = (
            () if self.security_counter is None else (Tlv(TlvType.SEC_CNT, encode_counter(self.security_counter)),)
        )
        ids = ((TlvType.UUID_VID, self.vendor_id), (TlvType.UUID_CID, self.class_id))
        return (
            *counters,
            *(Tlv(TlvType.DEPENDENCY, needed.encode()) for needed in self.dependencies),
            *(Tlv(kind, value) for kind, value in ids if value is not None),
        )


DEFAULT_OPTIONS: Final = ImageOptions()


@final
class McubootBuilder:
    """Makes one image: first `header`, then what `feed` makes of the body, then `trailer`.

    Args:
        body_bytes: the length of the body.
        version: of the image.
        key: what signs: Ed25519, ECDSA P-256 or P-384, RSA with 2048 or 3072 bits; None for an image without signature.
        options: what else it may have.

    Raises:
        UsageError: a number is out of range, or the key does not sign images, or not such digests.
    """

    __slots__ = (
        "_context",
        "_held",
        "_key",
        "_kind",
        "_left",
        "_options",
        "_padding",
        "_protected",
        "_transform",
        "header",
    )

    def __init__(
        self,
        *,
        body_bytes: int,
        version: ImageVersion,
        key: PrivateKey | None,
        options: ImageOptions = DEFAULT_OPTIONS,
    ) -> None:
        self._key = key
        self._options = options
        self._kind = _digest_of(key, options)
        records = options.protected_records()
        self._protected = encode_area(records, magic=PROTECTED_INFO_MAGIC) if records else b""
        self._transform: Transform | None = None
        flags, padding = 0, 0
        if options.encryption is not None:
            flags = options.encryption.flag
            padding = -(options.header_size + body_bytes) % _ENCRYPTED_BLOCK_BYTES
            self._transform = options.encryption.cipher.encryptor()
        self._left = body_bytes
        self._padding = bytes(padding)
        self.header: Final = ImageHeader(
            header_size=options.header_size,
            protected_bytes=len(self._protected),
            body_bytes=body_bytes + padding,
            flags=flags,
            version=version,
        ).encode()
        self._context = self._kind.new(self.header)
        self._held = bytearray(self.header) if options.is_pure else None

    def feed(self, body: bytes | memoryview) -> bytes | memoryview:
        """Take the next bytes of the body; what of the image they become.

        Raises:
            UsageError: they are more than was said.
        """
        if len(body) > self._left:
            raise UsageError("the body is longer than body_bytes")
        self._cover(body)
        self._left -= len(body)
        return body if self._transform is None else self._transform.update(body)

    def _cover(self, data: bytes | memoryview) -> None:
        self._context.update(data)
        if self._held is not None:
            self._held += data

    def trailer(self) -> bytes:
        """What follows the body: the records, with the digest and the signature; to be called once.

        Raises:
            UsageError: the body is shorter than was said.
        """
        if self._left:
            raise UsageError(f"the body is {self._left} bytes shorter than body_bytes")
        self._cover(self._padding)
        self._cover(self._protected)
        padding = self._padding if self._transform is None else self._transform.update(self._padding)
        digest = self._context.digest()
        records = [Tlv(_RECORD_OF_DIGEST[self._kind], digest)]
        if self._key is not None:
            records += [_PURE] * self._options.is_pure
            records += signature_pair(self._key, self._kind, digest if self._held is None else bytes(self._held))
        if self._options.encryption is not None:
            records.append(self._options.encryption.record())
        return padding + self._protected + encode_area(tuple(records), magic=INFO_MAGIC)


def _digest_of(key: PrivateKey | None, options: ImageOptions) -> Hash:
    if key is None:
        if options.is_pure:
            raise UsageError("a pure signature needs a key")
        return options.digest or Hash.SHA256
    way = KEY_WAYS.get(key.type)
    if way is None or signature_record(key.public_key) is None:
        raise UsageError("images are signed with Ed25519, ECDSA P-256 or P-384, or RSA with 2048 or 3072 bits")
    if options.is_pure and key.type is not KeyType.ED25519:
        raise UsageError("pure signatures are made with Ed25519 only")
    usual = Hash.SHA512 if options.is_pure else way.digests[0]
    kind = options.digest or usual
    if kind not in way.digests:
        raise UsageError(f"{key.type.value} keys sign no {kind.value} digests")
    return kind


def signature_pair(key: PrivateKey, kind: Hash, signed: bytes) -> list[Tlv]:
    """The record that names a key, and its signature: of a digest, or with Ed25519 of an image.

    Raises:
        UsageError: the key signs no images.
    """
    record = signature_record(key.public_key)
    if record is None:
        raise UsageError(f"{key.type.value} keys sign no images")
    signature = key.sign(signed) if key.type is KeyType.ED25519 else key.sign_digest(signed)
    return [Tlv(TlvType.KEYHASH, kind.digest(named_der(key.public_key))), Tlv(record, signature)]


def mcuboot_parts(
    body: Iterable[bytes],
    *,
    body_bytes: int,
    version: ImageVersion,
    key: PrivateKey | None,
    options: ImageOptions = DEFAULT_OPTIONS,
) -> Iterator[bytes | memoryview]:
    """Make an image piece by piece: the header, the body as it comes, the records.

    Args:
        body: the body, in pieces of any size; each is passed on before the next is asked for.
        body_bytes: its length in all.
        version: of the image.
        key: what signs; None for an image without a signature.
        options: what else it may have.

    Raises:
        UsageError: a number is out of range, the key does not sign such images, or the body is not as long as was said.
    """
    builder = McubootBuilder(body_bytes=body_bytes, version=version, key=key, options=options)
    yield builder.header
    for piece in body:
        yield builder.feed(piece)
    yield builder.trailer()


def create_mcuboot(
    body: bytes, *, version: ImageVersion, key: PrivateKey | None, options: ImageOptions = DEFAULT_OPTIONS
) -> bytes:
    """Make an image of a body that fits memory; see `mcuboot_parts`.

    Raises:
        UsageError: a number is out of range, or the key does not sign such images.
    """
    return b"".join(mcuboot_parts([body], body_bytes=len(body), version=version, key=key, options=options))


def signed_again(image: bytes, found: McubootInspection, key: PrivateKey) -> bytes:
    """An image with one more signature, over the digest that it has.

    Args:
        image: its bytes, and nothing behind them.
        found: what `inspect_mcuboot` said of them.
        key: what signs.

    Raises:
        UsageError: its digest does not hold, or is none that the key signs; the signature in it is pure; or it is
            encrypted, which hides what would be signed.
    """
    told = found.image.digests
    if found.image.header.is_encrypted or found.image.values(TlvType.SIG_PURE) or not found.digest_holds:
        raise UsageError(
            "another signature goes only to an image that is not encrypted, has its digest, and is not pure"
        )
    kind, digest = told[0]
    way = KEY_WAYS.get(key.type)
    if way is None or kind not in way.digests:
        raise UsageError(f"{key.type.value} keys sign no {kind.value} digests of images")
    records = (*found.image.records, *signature_pair(key, kind, digest))
    return image[: found.image.header.hashed_bytes] + encode_area(records, magic=INFO_MAGIC)
