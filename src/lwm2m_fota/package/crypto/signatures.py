"""How the keys of cryptography verify and sign: with which hash, and in which form."""

from collections.abc import Callable
from typing import Final, TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa, utils, x25519

from lwm2m_fota.package.crypto.algorithms import Hash

Data: TypeAlias = bytes | bytearray | memoryview

NativePublic: TypeAlias = (
    ed25519.Ed25519PublicKey
    | ed448.Ed448PublicKey
    | x25519.X25519PublicKey
    | ec.EllipticCurvePublicKey
    | rsa.RSAPublicKey
)
NativePrivate: TypeAlias = (
    ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | x25519.X25519PrivateKey
    | ec.EllipticCurvePrivateKey
    | rsa.RSAPrivateKey
)
Check: TypeAlias = Callable[[bytes, Data, Hash], None]
Sign: TypeAlias = Callable[[bytes, Hash], bytes]

_NATIVE_HASH: Final = {Hash.SHA256: hashes.SHA256(), Hash.SHA384: hashes.SHA384(), Hash.SHA512: hashes.SHA512()}
_PREHASHED: Final = {kind: utils.Prehashed(native) for kind, native in _NATIVE_HASH.items()}
_ECDSA: Final = {kind: ec.ECDSA(native) for kind, native in _NATIVE_HASH.items()}
_ECDSA_DIGEST: Final = {kind: ec.ECDSA(native) for kind, native in _PREHASHED.items()}
_PSS: Final = {
    kind: padding.PSS(padding.MGF1(native), salt_length=native.digest_size) for kind, native in _NATIVE_HASH.items()
}


def checks_of(native: NativePublic) -> tuple[Check, Check]:
    """How a key checks the signature of a message, and that of a digest; both raise where it does not hold."""
    match native:
        case ec.EllipticCurvePublicKey():
            return (
                lambda signature, message, kind: native.verify(signature, message, _ECDSA[kind]),
                lambda signature, digest, kind: native.verify(signature, digest, _ECDSA_DIGEST[kind]),
            )
        case rsa.RSAPublicKey():
            return (
                lambda signature, message, kind: native.verify(signature, message, _PSS[kind], _NATIVE_HASH[kind]),
                lambda signature, digest, kind: native.verify(signature, digest, _PSS[kind], _PREHASHED[kind]),
            )
        case x25519.X25519PublicKey():
            return _verifies_nothing, _verifies_nothing
        case _:
            check = native.verify
            return (
                lambda signature, message, _kind: check(signature, message),
                lambda signature, digest, _kind: check(signature, digest),
            )


def _verifies_nothing(signature: bytes, message: Data, kind: Hash) -> None:
    raise ValueError(signature, message, kind)


def signs_of(native: NativePrivate) -> tuple[Sign, Sign]:
    """How a key signs a message, and a digest."""
    match native:
        case ec.EllipticCurvePrivateKey():
            return (
                lambda message, kind: native.sign(message, ec.ECDSA(_NATIVE_HASH[kind], deterministic_signing=True)),
                lambda digest, kind: native.sign(digest, ec.ECDSA(_PREHASHED[kind], deterministic_signing=True)),
            )
        case rsa.RSAPrivateKey():
            return (
                lambda message, kind: native.sign(message, _PSS[kind], _NATIVE_HASH[kind]),
                lambda digest, kind: native.sign(digest, _PSS[kind], _PREHASHED[kind]),
            )
        case x25519.X25519PrivateKey():
            return _signs_nothing, _signs_nothing
        case _:
            sign = native.sign
            return (lambda message, _kind: sign(message)), (lambda digest, _kind: sign(digest))


def _signs_nothing(message: bytes, kind: Hash) -> bytes:
    raise ValueError(message, kind)
