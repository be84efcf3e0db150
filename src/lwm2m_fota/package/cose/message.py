"""Reads COSE messages: what is in them, and whether they keep the rules; it trusts nothing (RFC 9052 section 2).

The bytes of a protected header are kept as they came, because signatures are over them; an empty map and no bytes at
all mean the same and are made one (section 3).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias, final

import attrs

from lwm2m_fota import cbor
from lwm2m_fota.errors import CborError
from lwm2m_fota.package.cose.names import UNDERSTOOD, Alg, CoseTag, Label
from lwm2m_fota.package.cose.rules import CoseRules
from lwm2m_fota.package.verdicts import Refusal, refusal_error

MAX_DEPTH: Final = 10
"""Levels of nesting in a message or a header."""

MAX_ITEMS: Final = 1024
"""Data items in a message or a header."""

MAX_PROOFS: Final = 16
"""Signatures, or recipients, of one message."""

Map: TypeAlias = Mapping[object, object]

_SIGN1_PARTS: Final = 4
_CRIT, _KID, _IV, _PARTIAL_IV = (int(each) for each in (Label.CRIT, Label.KID, Label.IV, Label.PARTIAL_IV))
_STRICT: Final = CoseRules.STRICT  # reading a member of an enumeration costs as much as a call
_ARRAY: Final = 4  # the major type
_INFO: Final = 0x1F
_TAG_SIZES: Final = {**dict.fromkeys(range(0xC0, 0xD8), 0), 0xD8: 1, 0xD9: 2, 0xDA: 4, 0xDB: 8}
"""The initial bytes of tags, and how long the number is that follows."""

_KNOWN_HEADERS: Final[Mapping[bytes, Map]] = MappingProxyType(
    {b"": MappingProxyType({})}
    | {cbor.dumps({int(Label.ALG): int(each)}): MappingProxyType({int(Label.ALG): int(each)}) for each in Alg}
)
"""Protected headers that name an algorithm and nothing else, as in most messages: they need not be read again."""


@final
@attrs.frozen
class Headers:
    """The two headers of a message, a signature or a recipient.

    Attributes:
        protected_bytes: the protected one as it came; empty if there is nothing in it.
        protected: what it says.
        unprotected: what the other one says.
    """

    protected_bytes: bytes
    protected: Map
    unprotected: Map

    def get(self, label: int) -> object:
        """A parameter, from the protected header first; None if it is in neither."""
        value = self.protected.get(label)
        return self.unprotected.get(label) if value is None else value

    @property
    def key_id(self) -> bytes | None:
        """The id of the key, a hint that nobody has to have protected."""
        value = self.get(_KID)
        return value if isinstance(value, bytes) else None


@final
@attrs.frozen
class CoseSignature:
    """One signature of a COSE_Sign.

    Attributes:
        headers: its headers.
        signature: its bytes.
    """

    headers: Headers
    signature: bytes


@final
@attrs.frozen
class CoseRecipient:
    """One way to the key of a COSE_Mac or COSE_Encrypt.

    Attributes:
        headers: its headers.
        ciphertext: the wrapped key; empty if the key is used directly.
    """

    headers: Headers
    ciphertext: bytes


@final
@attrs.frozen
class CoseSign1:
    """A message with one signature; `payload` is None if it is detached."""

    headers: Headers
    payload: bytes | None = attrs.field(repr=False)
    signature: bytes = attrs.field(repr=False)


@final
@attrs.frozen
class CoseSign:
    """A message with several signatures; `payload` is None if it is detached."""

    headers: Headers
    payload: bytes | None = attrs.field(repr=False)
    signatures: tuple[CoseSignature, ...]


@final
@attrs.frozen
class CoseMac0:
    """A message with a code, made with a key that both sides know; `payload` is None if it is detached."""

    headers: Headers
    payload: bytes | None = attrs.field(repr=False)
    tag: bytes = attrs.field(repr=False)


@final
@attrs.frozen
class CoseMac:
    """A message with a code, and ways to its key; `payload` is None if it is detached."""

    headers: Headers
    payload: bytes | None = attrs.field(repr=False)
    tag: bytes = attrs.field(repr=False)
    recipients: tuple[CoseRecipient, ...]


@final
@attrs.frozen
class CoseEncrypt0:
    """An encrypted message, for a key that both sides know; `ciphertext` is None if it is detached."""

    headers: Headers
    ciphertext: bytes | None = attrs.field(repr=False)


@final
@attrs.frozen
class CoseEncrypt:
    """An encrypted message, and ways to its key; `ciphertext` is None if it is detached."""

    headers: Headers
    ciphertext: bytes | None = attrs.field(repr=False)
    recipients: tuple[CoseRecipient, ...]


Authenticated: TypeAlias = CoseSign1 | CoseSign | CoseMac0 | CoseMac
Encrypted: TypeAlias = CoseEncrypt0 | CoseEncrypt
CoseMessage: TypeAlias = Authenticated | Encrypted


def read_message(
    data: bytes,
    *,
    rules: CoseRules = CoseRules.STRICT,
    untagged: CoseTag | None = None,
    max_bytes: int = cbor.DEFAULT_MAX_BYTES,
) -> CoseMessage:
    """Read one message, and nothing after it.

    Args:
        data: the message.
        rules: how much is asked of it.
        untagged: what a message without a tag is, under the permissive rules; the strict ones take none.
        max_bytes: the longest message that is read.

    Raises:
        UnsupportedPackageError: the tag is that of no message.
        IntegrityError: it breaks the rules.
        PackageError: it is too long.
    """
    if len(data) > max_bytes:
        raise refusal_error(Refusal.VERIFIER_MEMORY, f"a COSE message of {len(data)} bytes, at most {max_bytes}")
    kind, start = _split_tag(data)
    if kind is None:
        if rules is CoseRules.STRICT or untagged is None:
            raise refusal_error(Refusal.MALFORMED, "a COSE message without its tag")
        kind = untagged
    if kind not in _READERS:
        raise refusal_error(Refusal.UNKNOWN_FORMAT, f"tag {kind} is not that of a COSE message")
    parts = _load(data[start:], max_bytes)
    if type(parts) is not list:
        raise refusal_error(Refusal.MALFORMED, "a COSE message that is not an array")
    return build_message(kind, parts, rules)


def build_message(tag: int, parts: list[object], rules: CoseRules) -> CoseMessage:
    """Make a message of the items of its array, as CBOR has them.

    Args:
        tag: the kind of message, a `CoseTag`.
        parts: the items.
        rules: how much is asked.

    Raises:
        UnsupportedPackageError: something critical is not understood.
        IntegrityError: they break the rules.
        PackageError: there are more signatures or recipients than are taken.
    """
    return _READERS[tag](parts, rules)


def _split_tag(data: bytes) -> tuple[int | None, int]:
    """The tag that the data begin with, and where they go on; None if they begin with an array."""
    initial = data[0] if data else 0
    if initial >> 5 == _ARRAY:
        return None, 0
    size = _TAG_SIZES.get(initial)
    if size is None or len(data) <= size:
        raise refusal_error(Refusal.UNKNOWN_FORMAT, "not a COSE message")
    return (int.from_bytes(data[1 : 1 + size]) if size else initial & _INFO), 1 + size


def _load(data: bytes, max_bytes: int) -> object:
    try:
        return cbor.loads(data, max_depth=MAX_DEPTH, max_items=MAX_ITEMS, max_bytes=max_bytes)
    except CborError as error:
        raise refusal_error(Refusal.MALFORMED, f"COSE: {error}") from error


def read_headers(protected: object, unprotected: object, rules: CoseRules) -> Headers:
    """Read the two headers of a message, a signature or a recipient.

    Args:
        protected: the byte string as it came.
        unprotected: the map.
        rules: how much is asked.

    Raises:
        UnsupportedPackageError: something critical is not understood.
        IntegrityError: they break the rules.
    """
    if type(protected) is not bytes or type(unprotected) is not dict:
        raise refusal_error(Refusal.MALFORMED, "the headers are not a byte string and a map")
    inner = _KNOWN_HEADERS.get(protected)
    if inner is None:
        found = _load(protected, len(protected))
        if type(found) is not dict:
            raise refusal_error(Refusal.MALFORMED, "the protected header is not a map")
        _check_labels(found)
        inner = found
    _check_labels(unprotected)
    headers = Headers(protected if inner else b"", inner, unprotected)
    _check_headers(headers, rules)
    return headers


def _check_labels(header: Map) -> None:
    for label in header:
        if type(label) is not int and type(label) is not str:
            raise refusal_error(Refusal.MALFORMED, "a header label is neither a number nor text")


def _check_headers(headers: Headers, rules: CoseRules) -> None:
    protected, unprotected = headers.protected, headers.unprotected
    if rules is _STRICT and not protected.keys().isdisjoint(unprotected):
        raise refusal_error(Refusal.MALFORMED, "a parameter stands in both headers")
    if _CRIT in protected or _CRIT in unprotected:
        _check_critical(headers)
    if headers.get(_PARTIAL_IV) is not None and headers.get(_IV) is not None:  # few have the first
        raise refusal_error(Refusal.MALFORMED, "both IV and Partial IV")


def _check_critical(headers: Headers) -> None:
    """Everything that is critical must be there, protected and understood (RFC 9052 section 3.1)."""
    critical = headers.protected.get(_CRIT)
    if not isinstance(critical, list) or not critical:
        raise refusal_error(Refusal.MALFORMED, "crit is not a protected list of labels")
    for label in critical:
        if type(label) not in {int, str} or label not in headers.protected:
            raise refusal_error(Refusal.MALFORMED, f"the critical parameter {label!r} is not there")
        if label not in UNDERSTOOD:
            raise refusal_error(Refusal.UNSUPPORTED_ALGORITHM, f"the critical parameter {label!r} is not understood")


def _read_sign1(parts: list[object], rules: CoseRules) -> CoseSign1:
    if len(parts) == _SIGN1_PARTS:  # most packages have one: a match would take twice as long
        protected, unprotected, payload, signature = parts
        if (payload is None or type(payload) is bytes) and type(signature) is bytes:
            return CoseSign1(read_headers(protected, unprotected, rules), payload, signature)
    raise refusal_error(Refusal.MALFORMED, "not a COSE_Sign1")


def _read_sign(parts: list[object], rules: CoseRules) -> CoseSign:
    match parts:
        case [protected, unprotected, bytes() | None as payload, list(entries)]:
            headers = read_headers(protected, unprotected, rules)
            _check_count(entries)
            return CoseSign(headers, payload, tuple(_read_signature(entry, rules) for entry in entries))
        case _:
            raise refusal_error(Refusal.MALFORMED, "not a COSE_Sign")


def _read_signature(entry: object, rules: CoseRules) -> CoseSignature:
    match entry:
        case [protected, unprotected, bytes(signature)]:
            return CoseSignature(read_headers(protected, unprotected, rules), signature)
        case _:
            raise refusal_error(Refusal.MALFORMED, "not a COSE_Signature")


def _read_mac0(parts: list[object], rules: CoseRules) -> CoseMac0:
    match parts:
        case [protected, unprotected, bytes() | None as payload, bytes(tag)]:
            return CoseMac0(read_headers(protected, unprotected, rules), payload, tag)
        case _:
            raise refusal_error(Refusal.MALFORMED, "not a COSE_Mac0")


def _read_mac(parts: list[object], rules: CoseRules) -> CoseMac:
    match parts:
        case [protected, unprotected, bytes() | None as payload, bytes(tag), list(entries)]:
            headers = read_headers(protected, unprotected, rules)
            return CoseMac(headers, payload, tag, _read_recipients(entries, rules))
        case _:
            raise refusal_error(Refusal.MALFORMED, "not a COSE_Mac")


def _read_encrypt0(parts: list[object], rules: CoseRules) -> CoseEncrypt0:
    match parts:
        case [protected, unprotected, bytes() | None as ciphertext]:
            return CoseEncrypt0(read_headers(protected, unprotected, rules), ciphertext)
        case _:
            raise refusal_error(Refusal.MALFORMED, "not a COSE_Encrypt0")


def _read_encrypt(parts: list[object], rules: CoseRules) -> CoseEncrypt:
    match parts:
        case [protected, unprotected, bytes() | None as ciphertext, list(entries)]:
            headers = read_headers(protected, unprotected, rules)
            return CoseEncrypt(headers, ciphertext, _read_recipients(entries, rules))
        case _:
            raise refusal_error(Refusal.MALFORMED, "not a COSE_Encrypt")


def _read_recipients(entries: list[object], rules: CoseRules) -> tuple[CoseRecipient, ...]:
    _check_count(entries)
    return tuple(_read_recipient(entry, rules) for entry in entries)


def _read_recipient(entry: object, rules: CoseRules) -> CoseRecipient:
    match entry:
        case [protected, unprotected, bytes() | None as ciphertext]:
            return CoseRecipient(read_headers(protected, unprotected, rules), ciphertext or b"")
        case [_, _, _, list()]:
            raise refusal_error(Refusal.UNSUPPORTED_ALGORITHM, "recipients of a recipient")
        case _:
            raise refusal_error(Refusal.MALFORMED, "not a COSE_recipient")


def _check_count(entries: list[object]) -> None:
    if not entries:
        raise refusal_error(Refusal.MALFORMED, "neither a signature nor a recipient")
    if len(entries) > MAX_PROOFS:
        raise refusal_error(
            Refusal.VERIFIER_MEMORY, f"{len(entries)} signatures or recipients, at most {MAX_PROOFS} (MAX_PROOFS)"
        )


_READERS: Final[Mapping[int, Callable[[list[object], CoseRules], CoseMessage]]] = MappingProxyType(
    {
        CoseTag.SIGN1: _read_sign1,
        CoseTag.SIGN: _read_sign,
        CoseTag.MAC0: _read_mac0,
        CoseTag.MAC: _read_mac,
        CoseTag.ENCRYPT0: _read_encrypt0,
        CoseTag.ENCRYPT: _read_encrypt,
    }
)
