"""COSE as a package format: a message whose payload is the image, or whose ciphertext is another package.

The image of a COSE_Sign1 or COSE_Mac0, and the package in a COSE_Encrypt0, stream. In a COSE_Sign, COSE_Mac or
COSE_Encrypt the keys are named behind the content, so that the content is held up to a limit.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import ClassVar, Final, Protocol, final

import attrs

from lwm2m_fota import cbor
from lwm2m_fota.errors import CborError, PackageError
from lwm2m_fota.package.cose.authenticate import PayloadCheck, authenticate
from lwm2m_fota.package.cose.decrypt import Opening, content_ciphers
from lwm2m_fota.package.cose.message import (
    CoseEncrypt,
    CoseEncrypt0,
    CoseMac,
    CoseMac0,
    CoseMessage,
    CoseSign,
    CoseSign1,
    build_message,
)
from lwm2m_fota.package.cose.names import CoseTag
from lwm2m_fota.package.cose.proofs import HeldPayload
from lwm2m_fota.package.crypto.content import ContentCipher
from lwm2m_fota.package.formats.base import InnerPackage, PackageContext, PackageParser
from lwm2m_fota.package.formats.digests import MAX_DIGEST_BYTES, refuse_digest
from lwm2m_fota.package.keyring import Authentication
from lwm2m_fota.package.limits import DEFAULT_MAX_DECRYPTION_KEYS, DEFAULT_MAX_HELD_BYTES
from lwm2m_fota.package.types import Check, Component, Envelope, Verdict
from lwm2m_fota.package.verdicts import Refusal, refusal_error

DEFAULT_MAX_HEAD_BYTES: Final = 4 * 1024
DEFAULT_MAX_TAIL_BYTES: Final = 16 * 1024

_PREFIX_BYTES: Final = 3
_ONE_BYTE: Final = 24  # an argument of CBOR that follows in a byte of its own
_EIGHT_BYTES: Final = 27
_ITEMS: Final[Mapping[CoseTag, int]] = MappingProxyType(
    {CoseTag.ENCRYPT0: 3, CoseTag.MAC0: 4, CoseTag.SIGN1: 4, CoseTag.ENCRYPT: 4, CoseTag.MAC: 5, CoseTag.SIGN: 4}
)
"""How many items the array of each kind has: protected and unprotected header, content, and what follows."""

_STARTS: Final[Mapping[bytes, CoseTag]] = MappingProxyType(
    {
        bytes((0xC0 | tag, 0x80 | count) if tag < _ONE_BYTE else (0xD8, tag, 0x80 | count)): tag
        for tag, count in _ITEMS.items()
    }
)
"""The first bytes of each kind."""

_ENCRYPTED: Final = frozenset({CoseTag.ENCRYPT0, CoseTag.ENCRYPT})
_STEP_BYTES: Final = 8192
_FRAME_BYTES: Final = 64
_BYTES_MAJOR: Final = 2
_INDEFINITE: Final = 0x5F
_NULL: Final = 0xF6


@final
@attrs.frozen(kw_only=True)
class CoseFormat:
    """COSE messages that carry an image or an encrypted package, with their tag.

    Attributes:
        max_head_bytes: the longest part before the content, which is the headers.
        max_held_bytes: the longest content that is held in memory: of EdDSA, which signs no digest, and of messages
            whose keys are named behind it (COSE_Sign, COSE_Mac, COSE_Encrypt).
        max_tail_bytes: the longest part behind the content: signatures, codes and recipients.
        max_decryption_keys: how many keys are tried where a message does not name the one that encrypts it. A
            COSE_Encrypt0 is read with all of them at once.
    """

    name: ClassVar[str] = "cose"
    prefix_bytes: ClassVar[int] = _PREFIX_BYTES

    max_head_bytes: int = DEFAULT_MAX_HEAD_BYTES
    max_held_bytes: int = DEFAULT_MAX_HELD_BYTES
    max_tail_bytes: int = DEFAULT_MAX_TAIL_BYTES
    max_decryption_keys: int = DEFAULT_MAX_DECRYPTION_KEYS

    def sniff(self, prefix: bytes) -> bool:
        """Whether it begins with a tag of COSE and the array that belongs to it."""
        return _start(prefix) is not None

    def open(self, context: PackageContext) -> PackageParser:
        """Begin a message."""
        return _CoseParser(self, context)


def _start(prefix: bytes) -> tuple[CoseTag, int] | None:
    """The kind of message, and where its items begin."""
    for start, tag in _STARTS.items():
        if prefix.startswith(start):
            return tag, len(start)
    return None


@final
@attrs.frozen(kw_only=True)
class _Head:
    """What precedes the content."""

    tag: CoseTag
    protected: object
    unprotected: object
    size_bytes: int
    content_bytes: int

    def message(self, context: PackageContext, *tail: object) -> CoseMessage:
        parts = [self.protected, self.unprotected, None, *tail]
        return build_message(self.tag, parts, context.trust.cose_rules)


class _Content(Protocol):
    """Takes the content of a message."""

    def take(self, data: memoryview) -> None: ...

    def finish(self, tail: list[object]) -> Verdict: ...


@final
class _CoseParser:
    __slots__ = ("_buffer", "_content", "_context", "_left", "_limits")

    def __init__(self, limits: CoseFormat, context: PackageContext) -> None:
        self._limits = limits
        self._context = context
        self._buffer = bytearray()  # the head, later the tail
        self._content: _Content | None = None
        self._left = 0  # of the content

    def feed(self, data: memoryview) -> int:
        if self._content is None:
            data = self._begin(data)
        if self._content is not None:
            part = data[: self._left]
            self._content.take(part)
            self._left -= len(part)
            self._hold(data[len(part) :], self._limits.max_tail_bytes, "max_tail_bytes")
        return 0

    def finish(self) -> Verdict:
        if self._content is None or self._left:
            raise refusal_error(Refusal.TRUNCATED, "the message ends within its headers or its content")
        limits = attrs.asdict(self._limits)
        verdict = self._content.finish(_items(bytes(self._buffer)))
        return attrs.evolve(verdict, limits={**limits, **verdict.limits})

    def _begin(self, data: memoryview) -> memoryview:
        """Take bytes until the content begins; what of them is content."""
        room = self._limits.max_head_bytes - len(self._buffer)
        had = len(self._buffer)
        self._buffer += data[:room]
        head = _read_head(bytes(self._buffer))
        if head is None:
            if len(data) >= room:
                raise refusal_error(
                    Refusal.VERIFIER_MEMORY,
                    f"headers of more than {self._limits.max_head_bytes} bytes (max_head_bytes)",
                )
            return data[:0]
        self._check_size(head)
        self._buffer.clear()
        self._left = head.content_bytes
        self._content = self._open(head)
        return data[head.size_bytes - had :]

    def _hold(self, data: memoryview, limit: int, name: str) -> None:
        if len(self._buffer) + len(data) > limit:
            raise refusal_error(Refusal.VERIFIER_MEMORY, f"more than {limit} bytes follow the content ({name})")
        self._buffer += data

    def _check_size(self, head: _Head) -> None:
        """What can be known before the content arrives."""
        at_least = head.size_bytes + head.content_bytes
        most = self._context.trust.max_package_bytes
        if at_least > most:
            raise refusal_error(Refusal.TOO_LARGE, f"a message of {at_least} bytes, at most {most}")
        told = self._context.expected_size_bytes
        if told is not None and at_least > told:
            raise refusal_error(Refusal.TRUNCATED, f"a message of {at_least} bytes in a file of {told}")
        if not head.content_bytes:
            raise refusal_error(Refusal.TRUNCATED, "the content is empty")

    def _open(self, head: _Head) -> _Content:
        if head.tag not in _ENCRYPTED:  # an image says nothing of itself
            self._context.trust.check_claims()
        match head.tag:
            case CoseTag.SIGN1 | CoseTag.MAC0:
                return _Checked(head, self._context, self._limits.max_held_bytes)
            case CoseTag.ENCRYPT0:
                return _Opened(head, self._context, self._limits.max_decryption_keys)
            case _:
                if head.content_bytes > self._limits.max_held_bytes:
                    raise refusal_error(
                        Refusal.VERIFIER_MEMORY,
                        f"a content of {head.content_bytes} bytes with keys behind it, at most "
                        f"{self._limits.max_held_bytes} are held (max_held_bytes)",
                    )
                return _Held(head, self._context, self._limits)


def _read_head(data: bytes) -> _Head | None:
    """Everything up to the first byte of the content; None if it is not all there."""
    start = _start(data)
    if start is None:
        return None
    tag, at = start
    try:
        middle = cbor.item_end(data, at)
        end = None if middle is None else cbor.item_end(data, middle)
        if middle is None or end is None or end >= len(data):
            return None
        size = _content_size(data, end)
        if size is None:
            return None
        return _Head(
            tag=tag,
            protected=cbor.loads(data[at:middle]),
            unprotected=cbor.loads(data[middle:end]),
            size_bytes=end + size[0],
            content_bytes=size[1],
        )
    except CborError as error:
        raise refusal_error(Refusal.MALFORMED, f"COSE: {error}") from error


def _content_size(data: bytes, at: int) -> tuple[int, int] | None:
    """The length of the head of the content, and that of the content; None if it is not all there."""
    initial = data[at]
    if initial == _NULL:
        raise refusal_error(Refusal.MALFORMED, "the content is detached: this is no package")
    if initial >> 5 != _BYTES_MAJOR or initial == _INDEFINITE:
        raise refusal_error(Refusal.MALFORMED, "the content is not a byte string of known length")
    info = initial & 0x1F
    if info < _ONE_BYTE:
        return 1, info
    if info > _EIGHT_BYTES:
        raise refusal_error(Refusal.MALFORMED, f"no such initial byte: {initial:#04x}")
    width = 1 << info - _ONE_BYTE
    argument = data[at + 1 : at + 1 + width]
    return (1 + width, int.from_bytes(argument)) if len(argument) == width else None


def _items(tail: bytes) -> list[object]:
    try:
        return cbor.loads_sequence(tail, max_bytes=len(tail))
    except CborError as error:
        raise refusal_error(Refusal.MALFORMED, f"what follows the content: {error}") from error


def _image(head: _Head, authentication: Authentication, start: bytes | bytearray) -> Verdict:
    """The content, of which `start` are the first bytes, is an image."""
    refuse_digest(start, head.content_bytes)
    image = Component(name=None, version=None, offset_bytes=head.size_bytes, length_bytes=head.content_bytes)
    return Verdict(components=(image,), authentication=authentication)


@final
class _Checked:
    """The image of a COSE_Sign1 or COSE_Mac0."""

    __slots__ = ("_check", "_context", "_head", "_start")

    def __init__(self, head: _Head, context: PackageContext, max_held_bytes: int) -> None:
        self._head = head
        self._context = context
        self._start = bytearray()
        match head.message(context, b""):
            case CoseSign1() | CoseMac0() as message:
                self._check = PayloadCheck(
                    message,
                    context.ring,
                    payload_bytes=head.content_bytes,
                    rules=context.trust.cose_rules,
                    max_held_bytes=max_held_bytes,
                )
            case _:
                raise AssertionError
        context.trust.judge(self._check.at_best, context.ring.now)

    def take(self, data: memoryview) -> None:
        if len(self._start) < MAX_DIGEST_BYTES:
            self._start += data[:MAX_DIGEST_BYTES]
        self._check.update(data)

    def finish(self, tail: list[object]) -> Verdict:
        match self._head.message(self._context, *tail):
            case CoseSign1(signature=value) | CoseMac0(tag=value):
                return _image(self._head, self._check.finish(value), self._start)
            case _:
                raise AssertionError


def _open_inner(context: PackageContext) -> InnerPackage:
    if context.open_inner is None:
        raise refusal_error(Refusal.UNSUPPORTED_ALGORITHM, "an encrypted package within another one")
    return context.open_inner()


def _ciphers(message: CoseMessage, context: PackageContext, most: int) -> tuple[ContentCipher, ...]:
    """What may decrypt a message, at most so many."""
    match message:
        case CoseEncrypt0() | CoseEncrypt():
            opening = Opening(rules=context.trust.cose_rules, max_decryption_keys=most)
            return content_ciphers(message, context.trust.decryption_keys, opening)
        case _:
            raise AssertionError


def _around(head: _Head, cipher: ContentCipher, verdict: Verdict) -> Verdict:
    """What was found inside, with the way to it."""
    if any(each.envelope is not None for each in verdict.components):
        raise refusal_error(Refusal.UNSUPPORTED_ALGORITHM, "an encrypted payload within an encrypted package")
    envelope = Envelope(offset_bytes=head.size_bytes, length_bytes=head.content_bytes, cipher=cipher)
    components = tuple(attrs.evolve(each, envelope=envelope) for each in verdict.components)
    return attrs.evolve(verdict, components=components, checks=verdict.checks | {Check.DECRYPTION})


def _failed() -> Exception:
    return refusal_error(Refusal.DECRYPTION_FAILED, "the content was changed, or is for another key")


@final
class _Attempt:
    """One key that may have encrypted a package, and what is inside if it has.

    What a wrong key makes of the content, or the right one of content that was changed, may break any rule: only the
    tag at the end tells whether that means anything.
    """

    __slots__ = ("_cipher", "_error", "_inner", "_transform")

    def __init__(self, cipher: ContentCipher, inner: InnerPackage) -> None:
        self._cipher = cipher
        self._transform = cipher.decryptor()
        self._inner = inner
        self._error: PackageError | None = None

    def take(self, data: memoryview) -> None:
        self._read(self._transform.update(data))

    def _read(self, content: bytes) -> None:
        if self._error is None:
            try:
                self._inner.feed(memoryview(content))
            except PackageError as error:
                self._error = error

    def finish(self, head: _Head) -> Verdict | None:
        """What is inside; None if it is not the key, or the content was changed."""
        rest = self._transform.finish()
        if rest is None:
            return None
        self._read(rest)
        if self._error is not None:
            raise self._error
        return _around(head, self._cipher, self._inner.finish())


@final
class _Opened:
    """The package in a COSE_Encrypt0: read with every key that may be meant, since it goes by once."""

    __slots__ = ("_attempts", "_context", "_head")

    def __init__(self, head: _Head, context: PackageContext, max_decryption_keys: int) -> None:
        self._head = head
        self._context = context
        ciphers = _ciphers(head.message(context), context, max_decryption_keys)
        self._attempts = [_Attempt(each, _open_inner(context)) for each in ciphers]

    def take(self, data: memoryview) -> None:
        for each in self._attempts:
            each.take(data)

    def finish(self, tail: list[object]) -> Verdict:
        self._head.message(self._context, *tail)
        for each in self._attempts:
            verdict = each.finish(self._head)
            if verdict is not None:
                return verdict
        raise _failed()


@final
class _Held:
    """The content of a message whose keys are named behind it."""

    __slots__ = ("_context", "_head", "_held", "_max_decryption_keys", "take")

    def __init__(self, head: _Head, context: PackageContext, limits: CoseFormat) -> None:
        self._head = head
        self._context = context
        # what is signed in front of the content: headers, and a word with a few lengths
        self._held = HeldPayload(head.content_bytes, head.size_bytes + limits.max_tail_bytes + _FRAME_BYTES)
        self.take = self._held.update
        self._max_decryption_keys = limits.max_decryption_keys

    def finish(self, tail: list[object]) -> Verdict:
        message = self._head.message(self._context, *tail)
        if isinstance(message, CoseSign | CoseMac):
            rules = self._context.trust.cose_rules
            authentication = authenticate(message, self._context.ring, payload=self._held, rules=rules)
            return _image(self._head, authentication, bytes(self._held.payload[:MAX_DIGEST_BYTES]))
        for cipher in _ciphers(message, self._context, self._max_decryption_keys):
            if all(piece is not None for piece in self._pieces(cipher)):
                inner = _open_inner(self._context)
                for piece in self._pieces(cipher):
                    inner.feed(memoryview(piece or b""))
                return _around(self._head, cipher, inner.finish())
        raise _failed()

    def _pieces(self, cipher: ContentCipher) -> Iterator[bytes | None]:
        """What is inside, in pieces, so that it is not held as a whole too; a last one of None if it does not hold."""
        content, transform = self._held.payload, cipher.decryptor()
        for at in range(0, len(content), _STEP_BYTES):
            yield transform.update(content[at : at + _STEP_BYTES])
        yield transform.finish()
