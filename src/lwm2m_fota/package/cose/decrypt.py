"""Opens COSE messages that are encrypted, and finds the keys of those with recipients (RFC 9052 section 5).

Encryption tells nothing about who made a message: what is inside has to be authenticated in its own right.
"""

from collections.abc import Iterator, Sequence
from typing import final

import attrs

from lwm2m_fota import cbor
from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.cose import structure
from lwm2m_fota.package.cose.key import CoseKey
from lwm2m_fota.package.cose.message import CoseEncrypt0, CoseRecipient, Encrypted, Headers
from lwm2m_fota.package.cose.names import AGREEMENTS, CONTENT, KEY_WRAPS, Alg, Label, alg_name
from lwm2m_fota.package.cose.rules import CoseRules
from lwm2m_fota.package.crypto import PrivateKey, PublicKey, SecretKey
from lwm2m_fota.package.crypto.content import ContentAlgorithm, ContentCipher
from lwm2m_fota.package.crypto.wrapping import derive, unwrap_key
from lwm2m_fota.package.keyring import DecryptionKey
from lwm2m_fota.package.limits import DEFAULT_MAX_DECRYPTION_KEYS
from lwm2m_fota.package.verdicts import Refusal, refusal_error


@final
@attrs.frozen(kw_only=True)
class Opening:
    """How an encrypted message is opened.

    Attributes:
        external_aad: what is authenticated beside it.
        rules: how much is asked.
        supp_pub_other: what a profile mixes into agreed keys ("other" of SuppPubInfo, RFC 9053 section 5.2).
        is_under_digest: whether the caller compares the content with a digest that is authenticated: only then is
            AES-CTR opened, which notices no change itself.
        max_decryption_keys: how many keys are tried where a message does not name the one that encrypts it.
    """

    external_aad: bytes = b""
    rules: CoseRules = CoseRules.STRICT
    supp_pub_other: bytes | None = None
    is_under_digest: bool = False
    max_decryption_keys: int = DEFAULT_MAX_DECRYPTION_KEYS


def decrypt(
    message: Encrypted,
    keys: Sequence[DecryptionKey],
    *,
    ciphertext: bytes | None = None,
    opening: Opening | None = None,
) -> bytes:
    """Decrypt a message that fits memory.

    Args:
        message: the message.
        keys: the keys of this device.
        ciphertext: what is encrypted, if it is detached from the message.
        opening: how.

    Raises:
        UnsupportedPackageError: an algorithm is not supported, or there is no key for it.
        IntegrityError: it breaks the rules, or was changed; or the ciphertext is detached and was not given, or the
            other way round.
    """
    content = message.ciphertext if ciphertext is None else ciphertext
    if content is None or (ciphertext is not None and message.ciphertext is not None):
        where = "detached from the message and was not given" if content is None else "in the message and beside it"
        raise refusal_error(Refusal.MALFORMED, f"the ciphertext is {where}")
    for cipher in content_ciphers(message, keys, opening or Opening()):
        opened = cipher.decrypt(content)
        if opened is not None:
            return opened
    raise refusal_error(Refusal.DECRYPTION_FAILED, "the content was changed, or is for another key")


def content_ciphers(message: Encrypted, keys: Sequence[DecryptionKey], opening: Opening) -> tuple[ContentCipher, ...]:
    """What may decrypt the content of a message, for content of any size: one as a rule.

    There are several only where a message does not name the one secret that encrypts it, and several may be meant.

    Args:
        message: the message; its content may be detached.
        keys: the keys of this device.
        opening: how.

    Raises:
        UnsupportedPackageError: an algorithm is not supported, or there is no key for it.
        IntegrityError: it breaks the rules, or its key was changed.
        PackageError: more keys may be meant than are tried.
    """
    headers = message.headers
    algorithm = _content_algorithm(headers, opening)
    additional = b""
    if algorithm.is_authenticated:
        build = structure.encrypt0_structure if isinstance(message, CoseEncrypt0) else structure.encrypt_structure
        additional = build(headers.protected_bytes, opening.external_aad)
    found = [
        ContentCipher(algorithm=algorithm, key=secret, nonce=_nonce(headers, algorithm, base_iv), additional=additional)
        for secret, base_iv in _content_keys(message, keys, opening)
        if len(secret) == algorithm.key_bytes
    ]
    if not found:
        raise refusal_error(Refusal.NO_DECRYPTION_KEY, f"{algorithm.value}, and no key of this device opens it")
    most = opening.max_decryption_keys
    if len(found) > most:
        detail = f"{len(found)} keys of this device may be meant, at most {most} are tried (max_decryption_keys)"
        raise refusal_error(Refusal.VERIFIER_MEMORY, detail)
    return tuple(found)


def _content_algorithm(headers: Headers, opening: Opening) -> ContentAlgorithm:
    protected = headers.protected.get(Label.ALG)
    number = headers.get(Label.ALG)
    algorithm = CONTENT.get(number) if type(number) is int else None
    if algorithm is None:
        raise refusal_error(Refusal.UNSUPPORTED_ALGORITHM, f"content encryption with {alg_name(number)}")
    if algorithm.is_authenticated:
        if protected is None and opening.rules is CoseRules.STRICT:
            raise refusal_error(Refusal.MALFORMED, "no algorithm in the protected header")
        return algorithm
    # RFC 9459 section 5: nothing protects a header, so there must be none
    if headers.protected_bytes:
        raise refusal_error(Refusal.MALFORMED, f"{algorithm.value} with a protected header that nothing protects")
    if not opening.is_under_digest:
        raise refusal_error(Refusal.UNSUPPORTED_ALGORITHM, f"{algorithm.value} without a digest of the content")
    return algorithm


def _nonce(headers: Headers, algorithm: ContentAlgorithm, base_iv: bytes | None) -> bytes:
    """The IV of the message, or the one of the key with the partial one of the message (RFC 9052 section 3.1)."""
    nonce, partial = headers.get(Label.IV), headers.get(Label.PARTIAL_IV)
    if isinstance(partial, bytes) and base_iv is not None and len(partial) <= len(base_iv):
        nonce = bytes(a ^ b for a, b in zip(base_iv, partial.rjust(len(base_iv), b"\0"), strict=True))
    if not isinstance(nonce, bytes) or len(nonce) != algorithm.nonce_bytes:
        raise refusal_error(Refusal.MALFORMED, f"no IV of {algorithm.nonce_bytes} bytes")
    return nonce


def _content_keys(
    message: Encrypted, keys: Sequence[DecryptionKey], opening: Opening
) -> Iterator[tuple[bytes, bytes | None]]:
    """Secrets that may have encrypted the content, with the base IV of each."""
    if isinstance(message, CoseEncrypt0):
        yield from _direct(message.headers, message, keys)
        return
    for recipient in message.recipients:
        number = recipient.headers.get(Label.ALG)
        if number == Alg.DIRECT:
            if len(message.recipients) > 1 or recipient.ciphertext or recipient.headers.protected_bytes:
                raise refusal_error(Refusal.MALFORMED, "a key that is used directly, and something beside it")
            yield from _direct(recipient.headers, message, keys)
        elif type(number) is int and number in KEY_WRAPS:
            yield from ((key, None) for key in _unwrapped(recipient, number, keys))
        elif type(number) is int and number in AGREEMENTS:
            yield from ((key, None) for key in _agreed(recipient, number, keys, opening))


def _named(headers: Headers, keys: Sequence[DecryptionKey], number: object) -> Iterator[DecryptionKey]:
    """The keys for an algorithm that a header may mean: those of its id, and those without one; without an id, any."""
    key_id, alg = headers.key_id, number if isinstance(number, int) else None
    known = (key for key in keys if key_id is None or key.key_id is None or key.key_id == key_id)
    return (key for key in known if key.is_for(alg))


def _direct(
    headers: Headers, message: Encrypted, keys: Sequence[DecryptionKey]
) -> Iterator[tuple[bytes, bytes | None]]:
    """Secrets that encrypt the content of a message themselves, as these headers name them."""
    number = message.headers.get(Label.ALG)
    for known in _named(headers, keys, number):
        if isinstance(known.key, SecretKey) and not known.unwraps_only:
            yield known.key.secret, known.base_iv


def _unwrapped(recipient: CoseRecipient, number: int, keys: Sequence[DecryptionKey]) -> Iterator[bytes]:
    """AES key wrap: it notices by itself whether the key fits."""
    if recipient.headers.protected_bytes:
        raise refusal_error(Refusal.MALFORMED, "a recipient with a protected header that nothing protects")
    for known in _named(recipient.headers, keys, number):
        if isinstance(known.key, SecretKey) and len(known.key.secret) == KEY_WRAPS[number]:
            secret = unwrap_key(known.key.secret, recipient.ciphertext)
            if secret is not None:
                yield secret


def _agreed(recipient: CoseRecipient, number: int, keys: Sequence[DecryptionKey], opening: Opening) -> Iterator[bytes]:
    """Key agreement with an ephemeral key of the sender, then AES key wrap (RFC 9053 section 6.4)."""
    headers = recipient.headers
    if opening.rules is CoseRules.STRICT and Label.ALG not in headers.protected:
        raise refusal_error(Refusal.MALFORMED, "no algorithm in the protected header of a recipient")
    try:
        ephemeral = CoseKey.from_map(headers.get(Label.EPHEMERAL_KEY)).key
    except UsageError as error:
        raise refusal_error(Refusal.MALFORMED, f"the ephemeral key of a recipient: {error}") from error
    wrap = AGREEMENTS[number]
    salt = headers.get(Label.SALT)
    info = kdf_context(wrap, headers, opening.supp_pub_other)
    for known in _named(headers, keys, number):
        if not isinstance(known.key, PrivateKey) or not isinstance(ephemeral, PublicKey):
            continue
        shared = known.key.agree(ephemeral)
        if shared is not None:
            wrapping = derive(shared, KEY_WRAPS[wrap], info=info, salt=salt if isinstance(salt, bytes) else None)
            secret = unwrap_key(wrapping, recipient.ciphertext)
            if secret is not None:
                yield secret


def kdf_context(wrap: int, headers: Headers, supp_pub_other: bytes | None) -> bytes:
    """The COSE_KDF_Context of a key that wraps (RFC 9053 section 5.2).

    Args:
        wrap: the algorithm of the key wrap.
        headers: of the recipient.
        supp_pub_other: what a profile adds.
    """
    u = (Label.PARTY_U_IDENTITY, Label.PARTY_U_NONCE, Label.PARTY_U_OTHER)
    v = (Label.PARTY_V_IDENTITY, Label.PARTY_V_NONCE, Label.PARTY_V_OTHER)
    other = [] if supp_pub_other is None else [supp_pub_other]
    public = [KEY_WRAPS[wrap] * 8, headers.protected_bytes, *other]
    return cbor.dumps([wrap, [headers.get(each) for each in u], [headers.get(each) for each in v], public])
