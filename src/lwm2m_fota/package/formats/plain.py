"""A plain image: any bytes, taken for what they are only if their digest or a detached signature is known."""

from typing import ClassVar, Final, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.cose.authenticate import PayloadCheck
from lwm2m_fota.package.cose.message import Authenticated, CoseEncrypt, CoseEncrypt0, read_message
from lwm2m_fota.package.digest import FileDigest
from lwm2m_fota.package.formats.base import EVERYTHING, PackageContext, PackageParser
from lwm2m_fota.package.formats.digests import MAX_DIGEST_BYTES, refuse_digest
from lwm2m_fota.package.limits import DEFAULT_MAX_HELD_BYTES
from lwm2m_fota.package.types import Component, Verdict
from lwm2m_fota.package.verdicts import Refusal, refusal_error

MAX_SIGNATURE_BYTES: Final = 16 * 1024


@final
@attrs.frozen(kw_only=True)
class DetachedSignature:
    """What authenticates an image and came beside it.

    Attributes:
        message: a COSE_Sign1, COSE_Sign, COSE_Mac0 or COSE_Mac whose payload, the image, is detached.
        size_bytes: the length of the image. It is part of what is signed, so it needs no trust.

    Raises:
        UsageError: an empty image, or a message of more than 16 KiB.
    """

    message: bytes
    size_bytes: int

    def __attrs_post_init__(self) -> None:
        if self.size_bytes <= 0:
            raise UsageError("an image is not empty")
        if len(self.message) > MAX_SIGNATURE_BYTES:
            raise UsageError(f"a detached signature has at most {MAX_SIGNATURE_BYTES} bytes")


@final
class _PlainParser:
    """An image whose digest is compared elsewhere: nothing of it has to be seen here."""

    __slots__ = ("_digest",)

    def __init__(self, digest: FileDigest) -> None:
        self._digest = digest

    def feed(self, data: memoryview) -> int:
        del data
        return EVERYTHING

    def finish(self) -> Verdict:
        return _verdict(self._digest.position)


@final
class _SignedParser:
    """An image with a detached signature."""

    __slots__ = ("_check", "_left", "_signed_bytes", "_start")

    def __init__(self, check: PayloadCheck, signed_bytes: int) -> None:
        self._check = check
        self._signed_bytes = self._left = signed_bytes
        self._start = bytearray()

    def feed(self, data: memoryview) -> int:
        self._left -= len(data)
        if self._left < 0:
            raise refusal_error(Refusal.MALFORMED, f"more than the {self._signed_bytes} bytes that were signed")
        if len(self._start) < MAX_DIGEST_BYTES:
            self._start += data[:MAX_DIGEST_BYTES]
        self._check.update(data)
        return 0

    def finish(self) -> Verdict:
        if self._left:
            raise refusal_error(Refusal.TRUNCATED, f"{self._left} of {self._signed_bytes} bytes are missing")
        refuse_digest(self._start, self._signed_bytes)
        return attrs.evolve(_verdict(self._signed_bytes), authentication=self._check.finish())


def _verdict(size_bytes: int) -> Verdict:
    if not size_bytes:
        raise refusal_error(Refusal.TRUNCATED, "the package is empty")
    return Verdict(components=(Component(name=None, version=None, offset_bytes=0, length_bytes=size_bytes),))


@final
@attrs.frozen(kw_only=True)
class PlainFormat:
    """Recognises everything, and holds no signature: keep it last.

    Under a policy that requires a signature, and without a detached one, it takes nothing: an unknown format is refused
    with its first bytes.

    Attributes:
        signature: what authenticates the image.
        max_held_bytes: the longest image that is held in memory for a signature with EdDSA; other signatures and codes
            hold nothing.
    """

    name: ClassVar[str] = "plain"
    prefix_bytes: ClassVar[int] = 0

    signature: DetachedSignature | None = None
    max_held_bytes: int = DEFAULT_MAX_HELD_BYTES

    def sniff(self, prefix: bytes) -> bool:  # noqa: ARG002 - any bytes will do
        """Any package is a plain image."""
        return True

    def open(self, context: PackageContext) -> PackageParser:
        """Begin a package.

        Raises:
            UnsupportedPackageError: the policy requires a signature, and none is there; or an id, which no image has.
            IntegrityError: the policy requires a counter; or the detached signature breaks the rules, or cannot be
                enough whatever the image is.
            PackageError: the image is longer than what may be held for it.
        """
        if self.signature is None and context.trust.requires_signature:  # no image at all, for all that is known
            raise refusal_error(Refusal.UNKNOWN_FORMAT, "a plain image holds no signature, and one is required")
        context.trust.check_claims()
        if self.signature is None:
            return _PlainParser(context.digest)
        check = PayloadCheck(
            _detached(self.signature.message, context),
            context.ring,
            payload_bytes=self.signature.size_bytes,
            rules=context.trust.cose_rules,
            max_held_bytes=self.max_held_bytes,
        )
        context.trust.judge(check.at_best, context.ring.now)
        return _SignedParser(check, self.signature.size_bytes)


def _detached(data: bytes, context: PackageContext) -> Authenticated:
    message = read_message(data, rules=context.trust.cose_rules)
    if isinstance(message, CoseEncrypt0 | CoseEncrypt):
        raise refusal_error(Refusal.MALFORMED, "a detached signature that is encrypted")
    if message.payload is not None:
        raise refusal_error(Refusal.MALFORMED, "a detached signature with a payload of its own")
    return message
