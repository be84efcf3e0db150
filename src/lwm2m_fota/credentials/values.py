"""What an end proves itself with (LwM2M Transport 1.1 sections 5.2.8 and 5.2.9; RFC 4279), and what it has proven."""

from enum import Enum
from typing import Final, TypeAlias, final

import attrs

from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.errors import UsageError

MAX_IDENTITY_BYTES: Final = 128
"""What every implementation must take (RFC 4279 section 5.3), so no more is given."""

MAX_KEY_BYTES: Final = 64
"""The same for keys."""


def check_identity(identity: str) -> None:
    """Make sure that a text can be a PSK identity.

    Raises:
        UsageError: it is empty or too long, has a NUL, or is no text that can be encoded.
    """
    try:
        size = len(identity.encode())
    except UnicodeEncodeError:
        raise UsageError("a PSK identity is text that can be encoded") from None
    if not 1 <= size <= MAX_IDENTITY_BYTES or "\0" in identity:
        raise UsageError(f"a PSK identity has 1 to {MAX_IDENTITY_BYTES} bytes of UTF-8, and no NUL")


@final
class CredentialKind(Enum):
    """How an end proves itself."""

    PSK = "psk"
    CERTIFICATE = "certificate"


@final
@attrs.frozen
class PreSharedKey:
    """A key that both ends have, and the name that says which.

    Attributes:
        identity: the name, 1 to 128 bytes of UTF-8.
        key: 1 to 64 bytes; 16 random ones are meant to be used.

    Raises:
        UsageError: one of them is out of range.
    """

    identity: str
    key: Secret

    def __attrs_post_init__(self) -> None:
        check_identity(self.identity)
        if not 1 <= len(self.key) <= MAX_KEY_BYTES:
            raise UsageError(f"a pre-shared key has 1 to {MAX_KEY_BYTES} bytes")

    @property
    def kind(self) -> CredentialKind:
        """A pre-shared key."""
        return CredentialKind.PSK


@final
@attrs.frozen(kw_only=True)
class Certificate:
    """A certificate to show, and those to believe.

    Attributes:
        roots_pem: whom to believe: certificates of authorities, or that of the other end itself. None believes whom
            the operating system believes (HTTPS and TLS), and nobody over DTLS.
        chain_pem: the own certificate, and those between it and its authority; empty to show none.
        key_pem: the private key of the own certificate; empty without one.
        check_host: compare the host of the URI with the names in the certificate of a server.

    Raises:
        UsageError: a certificate without its key, or the other way round.
    """

    roots_pem: bytes | None = None
    chain_pem: bytes = b""
    key_pem: Secret = attrs.field(factory=lambda: Secret(b""))
    check_host: bool = True

    def __attrs_post_init__(self) -> None:
        if bool(self.chain_pem) is not bool(self.key_pem):
            raise UsageError("a certificate and its private key go together")

    @property
    def kind(self) -> CredentialKind:
        """A certificate."""
        return CredentialKind.CERTIFICATE

    @property
    def shows_one(self) -> bool:
        """There is a certificate to show."""
        return bool(self.chain_pem)


Credential: TypeAlias = PreSharedKey | Certificate


@final
@attrs.frozen
class Identity:
    """What the other end of a session has proven to be.

    Attributes:
        kind: how.
        name: the PSK identity, or the common name of the certificate; for people and logs, it is no secret.
        names: all names that are proven: the same, and the names of the subject's alternatives.
        fingerprint: SHA-256 of the certificate, 32 bytes; empty for a PSK.
    """

    kind: CredentialKind
    name: str
    names: frozenset[str]
    fingerprint: bytes = attrs.field(default=b"", repr=False)

    @classmethod
    def of_psk(cls, identity: str) -> "Identity":
        """Whoever knows the key of this PSK identity."""
        return cls(CredentialKind.PSK, identity, frozenset({identity}))

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name!r}"
