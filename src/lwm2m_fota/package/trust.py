"""What a package must show before it is installed: policy as a value, with units."""

from enum import Enum
from typing import Final, Self, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.crypto import SHA256_BYTES, PublicKey

DEFAULT_MAX_PACKAGE_BYTES: Final = 64 * 1024 * 1024


@final
class UnknownTlv(Enum):
    """What to do with a protected record of a type that this library does not know (SPEC section 16).

    The default refuses it: its author meant it to be heeded. Vendor types (0xXXA0 to 0xXXFE) are always let pass.
    """

    REFUSE = "refuse"
    IGNORE = "ignore"


@final
@attrs.frozen(kw_only=True)
class Trust:
    """The policy that a `PackageVerifier` applies.

    Attributes:
        keys: the public keys whose signatures count; a signature of any one of them is enough.
        require_signature: whether a package must be signed by one of `keys`.
        expected_sha256: the digest that the whole file must have, learned over a way that is trusted.
        max_package_bytes: the largest file that is taken.
        minimum_security_counter: the lowest protected security counter that is taken; a package without one is then
            refused.
        unknown_protected_tlv: what to do with protected records of unknown types.
        unsafe: set by `unsafe_accept_unsigned`; without it, a policy with neither keys nor a digest is refused.

    Raises:
        UsageError: a value out of range, a policy that no package can meet, or one that anything meets.
    """

    keys: tuple[PublicKey, ...] = ()
    require_signature: bool = True
    expected_sha256: bytes | None = None
    max_package_bytes: int = DEFAULT_MAX_PACKAGE_BYTES
    minimum_security_counter: int | None = None
    unknown_protected_tlv: UnknownTlv = UnknownTlv.REFUSE
    unsafe: bool = False

    def __attrs_post_init__(self) -> None:
        if self.max_package_bytes <= 0:
            raise UsageError("max_package_bytes must be positive")
        if self.expected_sha256 is not None and len(self.expected_sha256) != SHA256_BYTES:
            raise UsageError(f"expected_sha256 has {SHA256_BYTES} bytes")
        if self.require_signature and not self.keys:
            raise UsageError("a signature is required and no key is trusted; see Trust.of_digest")
        if not (self.require_signature or self.unsafe or self.expected_sha256):
            raise UsageError("without a required signature a digest must be expected; see Trust.unsafe_accept_unsigned")

    @classmethod
    def of_digest(cls, sha256: bytes, *, max_package_bytes: int = DEFAULT_MAX_PACKAGE_BYTES) -> Self:
        """Take the one file that has this SHA-256 digest, of any format, signed or not.

        Raises:
            UsageError: a value out of range.
        """
        return cls(require_signature=False, expected_sha256=sha256, max_package_bytes=max_package_bytes)

    @classmethod
    def unsafe_accept_unsigned(cls, *, max_package_bytes: int = DEFAULT_MAX_PACKAGE_BYTES) -> Self:
        """Take any file from anyone: for laboratories and simulators only.

        Raises:
            UsageError: a value out of range.
        """
        return cls(require_signature=False, unsafe=True, max_package_bytes=max_package_bytes)
