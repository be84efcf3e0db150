"""Certificates and their keys: read from PEM, judged, and what they say of their owner (RFC 5280).

The only import of cryptography in this room.
"""

from collections.abc import Iterator
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.values import CredentialKind, Identity
from lwm2m_fota.errors import MalformedError, UsageError

_MIN_EC_BITS: Final = 224
_MIN_RSA_BITS: Final = 2048
_BROKEN_DIGESTS: Final = frozenset({"md5", "sha1"})


def read_certificates(pem: bytes) -> list[x509.Certificate]:
    """All certificates of a PEM text, at least one.

    Raises:
        UsageError: there is none, or one cannot be read.
    """
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise UsageError(f"a certificate cannot be read: {error}") from error


def read_private_key(pem: Secret) -> EllipticCurvePrivateKey | RSAPrivateKey:
    """A private key that is not encrypted.

    Raises:
        UsageError: it cannot be read, or is of a kind that is not used here; the words do not show it.
    """
    try:
        key = load_pem_private_key(pem.reveal(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, EllipticCurvePrivateKey | RSAPrivateKey):
        raise UsageError("the private key cannot be read: PEM, of an elliptic curve or RSA, and not encrypted")
    return key


def is_weak(certificate: x509.Certificate, depth: int) -> bool:
    """A key of less than 112 bits of strength, or a signature over a broken digest; a root is believed as it is.

    What cannot be read is weak too.
    """
    try:
        key = certificate.public_key()
        digest = certificate.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return True
    least = _MIN_RSA_BITS if isinstance(key, RSAPublicKey) else _MIN_EC_BITS
    if getattr(key, "key_size", least) < least:
        return True
    is_root = depth > 0 and certificate.issuer == certificate.subject
    return digest is not None and digest.name in _BROKEN_DIGESTS and not is_root


def identity_of(certificate: x509.Certificate) -> Identity:
    """The identity that a certificate proves, once it was verified: its common name, and its alternative names.

    Raises:
        MalformedError: its names cannot be read.
    """
    fingerprint = certificate.fingerprint(SHA256())
    try:
        common = [str(each.value) for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        names = [*common, *_alternatives(certificate)]
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise MalformedError(f"a certificate cannot be read: {error}") from error
    name = names[0] if names else fingerprint.hex()
    return Identity(CredentialKind.CERTIFICATE, name, frozenset(names or [name]), fingerprint)


def identity_of_der(der: bytes) -> Identity:
    """As `identity_of`, for a certificate that a library gives in its binary form.

    Raises:
        MalformedError: it cannot be read.
    """
    try:
        return identity_of(x509.load_der_x509_certificate(der))
    except ValueError as error:
        raise MalformedError(f"a certificate cannot be read: {error}") from error


def _alternatives(certificate: x509.Certificate) -> Iterator[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return
    yield from extension.value.get_values_for_type(x509.DNSName)
    yield from extension.value.get_values_for_type(x509.UniformResourceIdentifier)
    yield from map(str, extension.value.get_values_for_type(x509.IPAddress))
