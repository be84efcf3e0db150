"""Makes MCUboot images, also of bodies that are too large to hold (SPEC section 16)."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final, final

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.crypto import KeyAlgorithm, PrivateKey
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

_SIGNATURE_OF: Final = {KeyAlgorithm.ED25519: TlvType.ED25519, KeyAlgorithm.ECDSA_P256: TlvType.ECDSA_SIG}


@final
class McubootBuilder:
    """Makes one image: first `header`, then the body as it was fed, then `trailer`.

    Args:
        body_bytes: the length of the body.
        version: of the image.
        header_size: bytes of the header with its padding, at least 32: what the boot loader is built for.
        security_counter: the anti-rollback counter, if the image is to have one.
        dependencies: other images that the boot loader must find.

    Raises:
        UsageError: a number is out of range.
    """

    __slots__ = ("_left", "_protected", "_sha256", "header")

    def __init__(
        self,
        *,
        body_bytes: int,
        version: ImageVersion,
        header_size: int = HEADER_BYTES,
        security_counter: int | None = None,
        dependencies: tuple[ImageDependency, ...] = (),
    ) -> None:
        if header_size < HEADER_BYTES:
            raise UsageError(f"a header has at least {HEADER_BYTES} bytes")
        counters = () if security_counter is None else (Tlv(TlvType.SEC_CNT, encode_counter(security_counter)),)
        records = (*counters, *(Tlv(TlvType.DEPENDENCY, needed.encode()) for needed in dependencies))
        self._protected = encode_area(records, magic=PROTECTED_INFO_MAGIC) if records else b""
        self.header: Final = ImageHeader(
            header_size=header_size, protected_bytes=len(self._protected), body_bytes=body_bytes, version=version
        ).encode()
        self._sha256 = hashlib.sha256(self.header)
        self._left = body_bytes

    def feed(self, body: bytes | memoryview) -> None:
        """Take the next bytes of the body.

        Raises:
            UsageError: they are more than was said.
        """
        if len(body) > self._left:
            raise UsageError("the body is longer than body_bytes")
        self._sha256.update(body)
        self._left -= len(body)

    def trailer(self, key: PrivateKey | None) -> bytes:
        """What follows the body: the records, with the digest and the signature; to be called once.

        Args:
            key: what signs; None for an image without a signature.

        Raises:
            UsageError: the body is shorter than was said.
        """
        if self._left:
            raise UsageError(f"the body is {self._left} bytes shorter than body_bytes")
        self._sha256.update(self._protected)
        digest = self._sha256.digest()
        signature: tuple[Tlv, ...] = ()
        if key is not None:
            named = Tlv(TlvType.KEYHASH, key.public_key.key_hash)
            signature = (named, Tlv(_SIGNATURE_OF[key.algorithm], key.sign_digest(digest)))
        return self._protected + encode_area((Tlv(TlvType.SHA256, digest), *signature), magic=INFO_MAGIC)


def mcuboot_parts(
    body: Iterable[bytes],
    *,
    body_bytes: int,
    version: ImageVersion,
    key: PrivateKey | None,
    header_size: int = HEADER_BYTES,
    security_counter: int | None = None,
    dependencies: tuple[ImageDependency, ...] = (),
) -> Iterator[bytes]:
    """Make an image piece by piece: the header, the body as it comes, the records.

    Args:
        body: the body, in pieces of any size; each is passed on before the next is asked for.
        body_bytes: its length in all.
        version: of the image.
        key: what signs, Ed25519 or ECDSA P-256 over SHA-256; None for an image without a signature.
        header_size: bytes of the header with its padding, at least 32.
        security_counter: the anti-rollback counter, if the image is to have one.
        dependencies: other images that the boot loader must find.

    Raises:
        UsageError: a number is out of range, or the body is not as long as was said.
    """
    builder = McubootBuilder(
        body_bytes=body_bytes,
        version=version,
        header_size=header_size,
        security_counter=security_counter,
        dependencies=dependencies,
    )
    yield builder.header
    for piece in body:
        builder.feed(piece)
        yield piece
    yield builder.trailer(key)


def create_mcuboot(
    body: bytes,
    *,
    version: ImageVersion,
    key: PrivateKey | None,
    header_size: int = HEADER_BYTES,
    security_counter: int | None = None,
    dependencies: tuple[ImageDependency, ...] = (),
) -> bytes:
    """Make an image of a body that fits memory; see `mcuboot_parts`.

    Raises:
        UsageError: a number is out of range.
    """
    parts = mcuboot_parts(
        [body],
        body_bytes=len(body),
        version=version,
        key=key,
        header_size=header_size,
        security_counter=security_counter,
        dependencies=dependencies,
    )
    return b"".join(parts)
