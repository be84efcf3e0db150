"""The envelope as a stream: small members whole, payloads in pieces (draft-ietf-suit-manifest-37 section 8.2)."""

from collections.abc import Iterator
from enum import Enum
from typing import Final, TypeAlias, final

import attrs

from lwm2m_fota.package.formats.suit.codes import ENVELOPE_TAG, SEVERABLE, Key
from lwm2m_fota.package.formats.suit.limits import SuitLimits
from lwm2m_fota.package.formats.suit.reading import malformed, too_much, unsupported
from lwm2m_fota.package.verdicts import Refusal, refusal_error

PREFIX_BYTES: Final = 3
"""How many bytes tell an envelope from anything else."""

_TAG: Final = bytes((0xD8, ENVELOPE_TAG))
_UINT, _BYTES_MAJOR, _TEXT_MAJOR, _MAP, _TAG_MAJOR = 0, 2, 3, 5, 6
_INFO: Final = 0x1F
_EMPTY_MAP: Final = 0xA0
_WRAPPERS: Final = (b"\x02\x58", b"\x02\x59")
"""The key of the authentication wrapper and the first byte of its length: it holds a digest."""

_ONE_BYTE: Final = 24
_WIDTHS: Final = {24: 1, 25: 2, 26: 4, 27: 8}
_HEAD_BYTES: Final = bytes(1 + _WIDTHS.get(initial & _INFO, 0) for initial in range(256))
"""How long a head is that begins with this byte."""

_FIRST: Final = (Key.AUTHENTICATION, Key.MANIFEST)
_FEWEST_MEMBERS: Final = len(_FIRST)
_KNOWN: Final = {int(key): key for key in (*_FIRST, *SEVERABLE)}
_SMALLEST: Final = {1: 24, 2: 1 << 8, 4: 1 << 16, 8: 1 << 32}


@final
@attrs.frozen
class Member:
    """A small member, complete.

    Attributes:
        key: which.
        data: what is in its byte string.
        offset_bytes: where that begins.
    """

    key: Key
    data: bytes
    offset_bytes: int


@final
@attrs.frozen
class Payload:
    """An integrated payload begins; its pieces follow.

    Attributes:
        name: its key, which is its URI.
        offset_bytes: where it begins.
        length_bytes: its length.
    """

    name: str
    offset_bytes: int
    length_bytes: int


@final
@attrs.frozen
class Piece:
    """The next bytes of the payload that has begun; they are valid until the next event is asked for."""

    data: memoryview


@final
@attrs.frozen
class Behind:
    """Bytes that follow the envelope."""

    data: memoryview


EnvelopeEvent: TypeAlias = Member | Payload | Piece | Behind


def is_envelope(prefix: bytes) -> bool:
    """Whether something that begins with these `PREFIX_BYTES` bytes is an envelope, with its tag or without."""
    if prefix.startswith(_TAG):
        return True
    return (
        len(prefix) == PREFIX_BYTES
        and _FEWEST_MEMBERS <= prefix[0] - _EMPTY_MAP < _ONE_BYTE
        and prefix[1:] in _WRAPPERS
    )


@final
class _Part(Enum):
    """What of an envelope comes next."""

    START = "a tag, or the map"
    MAP = "the map"
    KEY = "the key of a member"
    NAME = "the text of a key"
    VALUE = "the head of a member"
    MEMBER = "a small member"


_START, _MAP_HEAD, _KEY, _NAME, _VALUE, _MEMBER = _Part  # reading a member of an enumeration costs as much as a call


@final
class EnvelopeReader:
    """Splits an envelope into what it is made of, while it arrives.

    Keys ascend, each comes once, and lengths are known and in their shortest form. So the authentication wrapper comes
    before the manifest, this before what was severed from it, and that before the payloads.

    Args:
        limits: how much is read.
    """

    __slots__ = (
        "_buffer", "_key", "_last", "_left", "_limits", "_missing", "_offset", "_pairs", "_part", "_payloads",
        "_seen",
    )  # fmt: skip

    def __init__(self, limits: SuitLimits) -> None:
        self._limits = limits
        self._part = _START
        self._buffer = b""
        self._missing = 0  # bytes that the buffer waits for; of a head, the first byte tells
        self._offset = 0  # of the next byte
        self._pairs = 1  # that have not come; how many there are is not known yet
        self._key: Key | str = ""
        self._last = b""  # the last key as it was written
        self._seen = 0
        self._left = 0  # of a payload
        self._payloads = 0

    @property
    def is_complete(self) -> bool:
        """Whether everything has come."""
        return not (self._pairs or self._left)

    @property
    def position(self) -> int:
        """How many bytes of it have come."""
        return self._offset

    def feed(self, data: memoryview) -> Iterator[EnvelopeEvent]:
        """Take the next bytes; what they complete. It is to be asked to its end.

        Raises:
            PackageError: it breaks the rules, or is past a limit.
        """
        at, end = 0, len(data)
        while at < end:
            if not (self._pairs or self._left):
                yield Behind(data[at:])
                return
            start = at
            if self._left:
                at = min(end, at + self._left)
                self._left -= at - start
                self._offset += at - start
                yield Piece(data[start:at])
                continue
            missing = self._missing or _HEAD_BYTES[data[at]]
            at = min(end, at + missing)
            self._missing = missing - (at - start)
            self._offset += at - start
            self._buffer += data[start:at]
            if not self._missing:
                event = self._advance()
                if event is not None:
                    yield event

    def _advance(self) -> EnvelopeEvent | None:
        """The buffer holds what was missing."""
        part = self._part
        if part is _MEMBER and isinstance(self._key, Key):
            return self._member(self._key)
        if part is _NAME:
            self._take_name()
            return None
        written, self._buffer = self._buffer, b""
        major, argument = _read_head(written)
        if part is _VALUE:
            return self._begin(major, argument)
        if part is _KEY:
            self._take_key(major, argument, written)
        else:
            self._take_start(major, argument)
        return None

    def _take_start(self, major: int, argument: int) -> None:
        if self._part is _START and major == _TAG_MAJOR:
            if argument != ENVELOPE_TAG:
                raise refusal_error(Refusal.UNKNOWN_FORMAT, f"tag {argument} is not that of an envelope")
            self._expect(_MAP_HEAD)
            return
        if major != _MAP or argument < _FEWEST_MEMBERS:
            raise malformed("an envelope is a map of at least a wrapper and a manifest")
        self._pairs = argument
        self._expect(_KEY)

    def _expect(self, part: _Part, size: int = 0) -> None:
        self._part = part
        self._missing = size

    def _take_key(self, major: int, argument: int, written: bytes) -> None:
        if major == _TEXT_MAJOR:
            if not 0 < argument <= self._limits.max_uri_bytes:
                raise too_much("the key of a payload", argument, "max_uri_bytes", self._limits.max_uri_bytes)
            self._buffer = written
            self._expect(_NAME, argument)
        else:
            key = _KNOWN.get(argument) if major == _UINT else None
            if key is None:
                raise unsupported(f"a member of an envelope with the key {written.hex()}")
            self._key = key
            self._check_order(written)

    def _take_name(self) -> None:
        written, self._buffer = self._buffer, b""
        start = 1 + _WIDTHS.get(written[0] & _INFO, 0)
        try:
            self._key = written[start:].decode()
        except UnicodeDecodeError as error:
            raise malformed("the key of a payload is not UTF-8") from error
        self._check_order(written)

    def _check_order(self, written: bytes) -> None:
        if written <= self._last:
            raise malformed("the keys of an envelope do not ascend")
        if self._seen < len(_FIRST) and self._key is not _FIRST[self._seen]:
            raise malformed(f"an envelope has no {_FIRST[self._seen].name.lower()} where it belongs")
        self._last = written
        self._seen += 1
        self._expect(_VALUE)

    def _begin(self, major: int, argument: int) -> EnvelopeEvent | None:
        """The head of a value has come."""
        if major != _BYTES_MAJOR or not argument:
            raise malformed("a member of an envelope is not a byte string of something")
        if isinstance(self._key, Key):
            name, most = self._limit_of(self._key)
            if argument > most:
                raise too_much(f"the member {self._key.name.lower()}", argument, name, most)
            self._expect(_MEMBER, argument)
            return None
        self._payloads += 1
        if self._payloads > self._limits.max_payloads:
            raise too_much("integrated payloads", self._payloads, "max_payloads", self._limits.max_payloads)
        self._left = argument
        self._end_pair()
        return Payload(self._key, self._offset, argument)

    def _limit_of(self, key: Key) -> tuple[str, int]:
        limits = self._limits
        if key is Key.AUTHENTICATION:
            return "max_authentication_bytes", limits.max_authentication_bytes
        if key is Key.MANIFEST:
            return "max_manifest_bytes", limits.max_manifest_bytes
        return "max_member_bytes", limits.max_member_bytes

    def _member(self, key: Key) -> EnvelopeEvent:
        data, self._buffer = self._buffer, b""
        self._end_pair()
        return Member(key, data, self._offset - len(data))

    def _end_pair(self) -> None:
        self._pairs -= 1
        self._expect(_KEY)


def _read_head(data: bytes) -> tuple[int, int]:
    """The major type and the argument of a head.

    Raises:
        IntegrityError: it is of unknown length, or not in its shortest form.
    """
    major, info = data[0] >> 5, data[0] & _INFO
    if info < _ONE_BYTE:
        return major, info
    width = _WIDTHS.get(info)
    if width is None:
        raise malformed(f"an envelope has no item that begins with {data[0]:#04x}")
    argument = int.from_bytes(data[1:])
    if argument < _SMALLEST[width]:
        raise malformed("a length is not in its shortest form")
    return major, argument
