"""Makes COSE messages. What is random (keys, nonces, ephemeral keys) is an argument."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias, final

import attrs

from lwm2m_fota import cbor
from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.cose import structure
from lwm2m_fota.package.cose.decrypt import kdf_context
from lwm2m_fota.package.cose.key import CoseKey
from lwm2m_fota.package.cose.message import Headers
from lwm2m_fota.package.cose.names import (
    AGREEMENTS,
    CONTENT,
    KEY_WRAPS,
    MACS,
    SIGNATURES,
    Alg,
    CoseTag,
    Label,
    alg_name,
)
from lwm2m_fota.package.crypto import KeyType, PrivateKey, PublicKey, SecretKey
from lwm2m_fota.package.crypto.content import ContentCipher
from lwm2m_fota.package.crypto.keys import CURVES, ecdsa_raw
from lwm2m_fota.package.crypto.wrapping import derive, wrap_key

Parameters: TypeAlias = Mapping[int, object]

_NONE: Final[Parameters] = MappingProxyType({})
_DEFAULT_ALG: Final[Mapping[KeyType, Alg]] = MappingProxyType(
    {
        KeyType.P256: Alg.ES256,
        KeyType.P384: Alg.ES384,
        KeyType.P521: Alg.ES512,
        KeyType.ED25519: Alg.EDDSA,
        KeyType.ED448: Alg.EDDSA,
        KeyType.RSA: Alg.PS256,
    }
)
_WRAP_OF_BYTES: Final = MappingProxyType({size: alg for alg, size in KEY_WRAPS.items()})


@final
@attrs.frozen(kw_only=True)
class CoseSigner:
    """Who signs.

    Attributes:
        key: a private key.
        key_id: the id by which the receiver knows it.
        alg: the number of the algorithm; by default the one that most receivers know, which is ES256, ES384 or ES512 by
            the curve, EdDSA, or PS256.

    Raises:
        UsageError: the key is not for the algorithm.
    """

    key: PrivateKey
    key_id: bytes | None = None
    alg: int = attrs.field()

    @alg.default
    def _default_alg(self) -> int:
        return _DEFAULT_ALG.get(self.key.type, 0)

    def __attrs_post_init__(self) -> None:
        way = SIGNATURES.get(self.alg)
        if way is None or self.key.type not in dict(way.bound):
            raise UsageError(f"{alg_name(self.alg)} with a {self.key.type.value} key")

    def signature(self, data: bytes) -> bytes:
        """Sign what a structure of COSE holds."""
        signature = self.key.sign(data, SIGNATURES[self.alg].kind)
        return ecdsa_raw(signature, self.key.type) if self.key.type in CURVES else signature


@final
@attrs.frozen(kw_only=True)
class DirectKey:
    """A secret that is used itself.

    Attributes:
        key: the secret.
        key_id: the id by which the receiver knows it.
    """

    key: SecretKey
    key_id: bytes | None = None


@final
@attrs.frozen(kw_only=True)
class WrappedKey:
    """A secret of 16, 24 or 32 bytes that wraps a key for one message (AES key wrap).

    Attributes:
        key: the secret.
        key_id: the id by which the receiver knows it.

    Raises:
        UsageError: a secret of another length.
    """

    key: SecretKey
    key_id: bytes | None = None

    def __attrs_post_init__(self) -> None:
        if len(self.key.secret) not in _WRAP_OF_BYTES:
            raise UsageError("a key that wraps has 16, 24 or 32 bytes")


@final
@attrs.frozen(kw_only=True)
class AgreedKey:
    """The public key of a receiver, with whom a key that wraps is agreed on (ECDH-ES with AES key wrap).

    Attributes:
        key: on a curve of NIST, or X25519.
        ephemeral: a private key on the same curve, made for this message alone.
        key_id: the id by which the receiver knows its key.
        alg: ECDH-ES+A128KW, or with A192KW or A256KW.
        supp_pub_other: what a profile mixes in; the receiver has to know it.

    Raises:
        UsageError: the algorithm is another one.
    """

    key: PublicKey
    ephemeral: PrivateKey
    key_id: bytes | None = None
    alg: int = Alg.ECDH_ES_A128KW
    supp_pub_other: bytes | None = None

    def __attrs_post_init__(self) -> None:
        if self.alg not in AGREEMENTS:
            raise UsageError(f"{alg_name(self.alg)} is no key agreement")


Recipient: TypeAlias = DirectKey | WrappedKey | AgreedKey


def sign1(
    payload: bytes,
    signer: CoseSigner,
    *,
    is_detached: bool = False,
    external_aad: bytes = b"",
    protected: Parameters = _NONE,
) -> bytes:
    """A message with one signature.

    Args:
        payload: what is signed.
        signer: who signs.
        is_detached: whether the payload stays outside.
        external_aad: what is signed beside it.
        protected: more parameters for the protected header.

    Raises:
        UsageError: the key does not sign.
    """
    header = _header(signer.alg, protected)
    signature = signer.signature(structure.sign1_prefix(header, external_aad, len(payload)) + payload)
    shown = None if is_detached else payload
    return _tagged(CoseTag.SIGN1, header, _named(signer.key_id), shown, signature)


def sign(
    payload: bytes,
    signers: Sequence[CoseSigner],
    *,
    is_detached: bool = False,
    external_aad: bytes = b"",
    protected: Parameters = _NONE,
) -> bytes:
    """A message with several signatures.

    Args:
        payload: what is signed.
        signers: who signs, in this order.
        is_detached: whether the payload stays outside.
        external_aad: what is signed beside it.
        protected: parameters for the protected header of the whole.

    Raises:
        UsageError: nobody signs, or a key does not.
    """
    if not signers:
        raise UsageError("nobody signs")
    body = cbor.dumps(dict(protected), canonical=True) if protected else b""
    entries: list[object] = []
    for signer in signers:
        header = _header(signer.alg, _NONE)
        data = structure.sign_prefix(body, header, external_aad, len(payload)) + payload
        entries.append([header, _named(signer.key_id), signer.signature(data)])
    return _tagged(CoseTag.SIGN, body, {}, None if is_detached else payload, entries)


def mac0(
    payload: bytes,
    key: DirectKey,
    *,
    alg: int = Alg.HMAC_256,
    is_detached: bool = False,
    external_aad: bytes = b"",
    protected: Parameters = _NONE,
) -> bytes:
    """A message with a code.

    Args:
        payload: what is authenticated.
        key: the secret.
        alg: HMAC 256/256, 384/384 or 512/512.
        is_detached: whether the payload stays outside.
        external_aad: what is authenticated beside it.
        protected: more parameters for the protected header.

    Raises:
        UsageError: another algorithm.
    """
    header = _header(alg, protected)
    code = _code(alg, key.key, structure.mac0_prefix(header, external_aad, len(payload)) + payload)
    return _tagged(CoseTag.MAC0, header, _named(key.key_id), None if is_detached else payload, code)


def mac(
    payload: bytes,
    secret: SecretKey,
    recipients: Sequence[DirectKey | WrappedKey],
    *,
    alg: int = Alg.HMAC_256,
    is_detached: bool = False,
    external_aad: bytes = b"",
) -> bytes:
    """A message with a code, and ways to its key.

    Args:
        payload: what is authenticated.
        secret: the key of the code, made for this message; that of a `DirectKey` itself.
        recipients: one direct key, or keys that wrap the secret.
        alg: HMAC 256/256, 384/384 or 512/512.
        is_detached: whether the payload stays outside.
        external_aad: what is authenticated beside it.

    Raises:
        UsageError: another algorithm, or recipients that do not go together.
    """
    header = _header(alg, _NONE)
    code = _code(alg, secret, structure.mac_prefix(header, external_aad, len(payload)) + payload)
    shown = None if is_detached else payload
    return _tagged(CoseTag.MAC, header, {}, shown, code, _recipients(recipients, secret.secret))


@final
@attrs.frozen(kw_only=True)
class Encryption:
    """An encrypted message that wants its content: `message(cipher.encrypt(content))`.

    Attributes:
        cipher: what encrypts the content, of any size.
        tag: the kind of message.
        protected: its protected header.
        unprotected: its unprotected header.
        recipients: the ways to its key, if it has any.
    """

    cipher: ContentCipher
    tag: CoseTag
    protected: bytes
    unprotected: Parameters
    recipients: tuple[list[object], ...]

    def message(self, ciphertext: bytes | None) -> bytes:
        """The message, with what `cipher` made of the content; with None that stays outside."""
        return _tagged(self.tag, self.protected, self.unprotected, ciphertext, *self.recipients)


def encrypt0(key: DirectKey, nonce: bytes, *, alg: int, external_aad: bytes = b"") -> Encryption:
    """A message encrypted for a key that both sides know.

    Args:
        key: the secret, as long as the algorithm says.
        nonce: random, and never twice with one key.
        alg: of the content.
        external_aad: what is authenticated beside it.

    Raises:
        UsageError: another algorithm, or a key or nonce that is not for it.
    """
    protected, unprotected = _content_headers(alg, nonce)
    additional = structure.encrypt0_structure(protected, external_aad) if protected else b""
    return Encryption(
        cipher=_cipher(alg, key.key.secret, nonce, additional),
        tag=CoseTag.ENCRYPT0,
        protected=protected,
        unprotected=unprotected | _named(key.key_id),
        recipients=(),
    )


def encrypt(
    secret: bytes, nonce: bytes, recipients: Sequence[Recipient], *, alg: int, external_aad: bytes = b""
) -> Encryption:
    """A message encrypted for recipients.

    Args:
        secret: the key of the content, random and made for this message; that of a `DirectKey` itself.
        nonce: random.
        recipients: who may open it: one direct key, or any number of others.
        alg: of the content.
        external_aad: what is authenticated beside it.

    Raises:
        UsageError: another algorithm, a key or nonce that is not for it, or recipients that do not go together.
    """
    protected, unprotected = _content_headers(alg, nonce)
    additional = structure.encrypt_structure(protected, external_aad) if protected else b""
    return Encryption(
        cipher=_cipher(alg, secret, nonce, additional),
        tag=CoseTag.ENCRYPT,
        protected=protected,
        unprotected=unprotected,
        recipients=(_recipients(recipients, secret),),
    )


def _content_headers(alg: int, nonce: bytes) -> tuple[bytes, dict[int, object]]:
    """AES-CTR protects no header, so that there must be none (RFC 9459 section 5)."""
    algorithm = CONTENT.get(alg)
    if algorithm is None:
        raise UsageError(f"{alg_name(alg)} encrypts no content")
    iv: dict[int, object] = {Label.IV.value: nonce}
    return (_header(alg, _NONE), iv) if algorithm.is_authenticated else (b"", {Label.ALG.value: alg, **iv})


def _cipher(alg: int, secret: bytes, nonce: bytes, additional: bytes) -> ContentCipher:
    return ContentCipher(algorithm=CONTENT[alg], key=secret, nonce=nonce, additional=additional)


def _recipients(recipients: Sequence[Recipient], secret: bytes) -> list[object]:
    if not recipients or (len(recipients) > 1 and any(isinstance(each, DirectKey) for each in recipients)):
        raise UsageError("a message has one direct key, or one or more recipients of another kind")
    return [_recipient(each, secret) for each in recipients]


def _recipient(recipient: Recipient, secret: bytes) -> list[object]:
    named = _named(recipient.key_id)
    match recipient:
        case DirectKey():
            if recipient.key.secret != secret:
                raise UsageError("a direct key is the key of the message")
            return [b"", {Label.ALG.value: int(Alg.DIRECT), **named}, b""]
        case WrappedKey():
            wrapping = recipient.key.secret
            return [b"", {Label.ALG.value: int(_WRAP_OF_BYTES[len(wrapping)]), **named}, wrap_key(wrapping, secret)]
        case _:
            header = _header(recipient.alg, _NONE)
            ephemeral = CoseKey(key=recipient.ephemeral.public_key).to_map()
            return [header, {Label.EPHEMERAL_KEY.value: ephemeral, **named}, _wrapped(recipient, header, secret)]


def _wrapped(recipient: AgreedKey, header: bytes, secret: bytes) -> bytes:
    wrap = AGREEMENTS[recipient.alg]
    shared = recipient.ephemeral.agree(recipient.key)
    if shared is None:
        raise UsageError("the ephemeral key and that of the receiver do not agree on a secret")
    info = kdf_context(wrap, Headers(header, {}, {}), recipient.supp_pub_other)
    return wrap_key(derive(shared, KEY_WRAPS[wrap], info=info), secret)


def _code(alg: int, key: SecretKey, data: bytes) -> bytes:
    way = MACS.get(alg)
    if way is None or way.algorithm is None:
        raise UsageError(f"{alg_name(alg)} makes no code")
    return key.mac(way.kind, data).digest()


def _header(alg: int, more: Parameters) -> bytes:
    return cbor.dumps({Label.ALG.value: int(alg), **more}, canonical=True)


def _named(key_id: bytes | None) -> dict[int, object]:
    return {} if key_id is None else {Label.KID.value: key_id}


def _tagged(tag: CoseTag, *parts: object) -> bytes:
    return cbor.dumps(cbor.Tag(tag.value, list(parts)))
