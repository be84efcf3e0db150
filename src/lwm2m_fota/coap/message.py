"""The CoAP message and its datagram codec (RFC 7252 section 3).

Option values stay bytes: a message is decoded once for every datagram, and most options are never looked at.
`uint` and `text` read them; `pack_uint` writes them.
"""

from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Final, NamedTuple, final

from lwm2m_fota.coap.numbers import CON, RST, Option
from lwm2m_fota.errors import MessageFormatError
from lwm2m_fota.model.codes import describe_code

MAX_TOKEN_BYTES: Final = 8
MAX_MID: Final = 0xFFFF
VERSION: Final = 0x40
"""The version bits of the first byte."""

HEADER_BYTES: Final = 4
TYPE_NAMES: Final = ("CON", "NON", "ACK", "RST")

_MARKER: Final = 0xFF
_EXTEND_1: Final = 13
_EXTEND_2: Final = 14
_EXTEND_1_BASE: Final = 13
_EXTEND_2_BASE: Final = 269
_MAX_OPTION: Final = 0xFFFF
_URI_PATH: Final = int(Option.URI_PATH)
_URI_QUERY: Final = int(Option.URI_QUERY)
_number: Final = itemgetter(0)

Options = tuple[tuple[int, bytes], ...]


@final
class Message(NamedTuple):
    """One CoAP message over datagrams. A tuple, because one is made for every datagram.

    Attributes:
        type: CON, NON, ACK or RST.
        code: method or response code; an integer, so that unknown codes survive.
        mid: message id, 0..65535.
        token: 0..8 bytes.
        options: (number, value) pairs in ascending order of number.
        payload: empty if the message has no payload marker.
        blocks: of how many blocks the payload is; above 1 where an endpoint has put requests together, one behind the
            other: Block1 then has the number of the first one, and says whether more follow the last one.
    """

    type: int
    code: int
    mid: int
    token: bytes = b""
    options: Options = ()
    payload: bytes = b""
    blocks: int = 1

    def first(self, number: int) -> bytes | None:
        """The first value of an option, or None if it is absent."""
        for have, value in self.options:
            if have == number:
                return value
            if have > number:
                return None
        return None

    def every(self, number: int) -> list[bytes]:
        """All values of a repeatable option, in order."""
        return [value for have, value in self.options if have == number]

    def uint(self, number: int) -> int | None:
        """The first value of an option as an unsigned integer (RFC 7252 section 3.2), or None."""
        value = self.first(number)
        return None if value is None else int.from_bytes(value, "big")

    def path(self) -> tuple[str, ...]:
        """The Uri-Path segments.

        Raises:
            MessageFormatError: a segment is not UTF-8.
        """
        return _texts(self.every(_URI_PATH))

    def queries(self) -> tuple[str, ...]:
        """The Uri-Query arguments.

        Raises:
            MessageFormatError: an argument is not UTF-8.
        """
        return _texts(self.every(_URI_QUERY))

    def __str__(self) -> str:
        options = " ".join(f"{number}={value.hex() or '-'}" for number, value in self.options)
        return (
            f"{TYPE_NAMES[self.type]} {describe_code(self.code)} mid={self.mid} token={self.token.hex() or '-'}"
            f" [{options}] {len(self.payload)} B"
        )


def _texts(values: Iterable[bytes]) -> tuple[str, ...]:
    try:
        return tuple(map(bytes.decode, values))
    except UnicodeDecodeError as error:
        raise MessageFormatError(f"option is not UTF-8: {error}") from error


def pack_uint(value: int) -> bytes:
    """The shortest big-endian form; zero is the empty string (RFC 7252 section 3.2)."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def sort_options(options: Iterable[tuple[int, bytes]]) -> Options:
    """Options in ascending order; equal numbers keep their order."""
    return tuple(sorted(options, key=_number))


def encode(message: Message) -> bytes:
    """The datagram of a message whose options are sorted.

    Raises:
        MessageFormatError: a field is out of range, options are not ascending, or an Empty message carries more
            than a header.
    """
    token, code, mid, kind = message.token, message.code, message.mid, message.type
    options, payload = message.options, message.payload
    if len(token) > MAX_TOKEN_BYTES or not 0 <= mid <= MAX_MID or not 0 <= code <= 0xFF:  # noqa: PLR2004
        raise MessageFormatError("token, message id or code out of range")
    if not CON <= kind <= RST:
        raise MessageFormatError("no such message type")
    if not code and (token or options or payload):
        raise MessageFormatError("an Empty message has nothing after its message id")
    out = bytearray((VERSION | kind << 4 | len(token), code, mid >> 8, mid & 0xFF))
    out += token
    encode_options(out, options)
    if payload:
        out.append(_MARKER)
        out += payload
    return bytes(out)


def encode_options(out: bytearray, options: Options, last: int = 0) -> None:
    """Append options in delta form (RFC 7252 section 3.1).

    Args:
        out: grows.
        options: in ascending order of number.
        last: the number of the option that stands before them.

    Raises:
        MessageFormatError: numbers are not ascending or out of range, or a value is too long.
    """
    append = out.append
    for number, value in options:
        delta = number - last
        length = len(value)
        last = number
        if length < _EXTEND_1 and 0 <= delta < _EXTEND_1:
            append(delta << 4 | length)
        elif length < _EXTEND_1 <= delta < _EXTEND_2_BASE:  # the block options, behind most others
            append(_EXTEND_1 << 4 | length)
            append(delta - _EXTEND_1_BASE)
        else:
            if delta < 0 or number > _MAX_OPTION or length > _MAX_OPTION:
                raise MessageFormatError("options must ascend, and stay in range")
            delta_nibble, delta_tail = _extended(delta)
            length_nibble, length_tail = _extended(length)
            append(delta_nibble << 4 | length_nibble)
            out += delta_tail
            out += length_tail
        out += value
    if last > _MAX_OPTION:
        raise MessageFormatError("options must ascend, and stay in range")


def _extended(value: int) -> tuple[int, bytes]:
    if value < _EXTEND_1_BASE:
        return value, b""
    if value < _EXTEND_2_BASE:
        return _EXTEND_1, bytes((value - _EXTEND_1_BASE,))
    return _EXTEND_2, (value - _EXTEND_2_BASE).to_bytes(2, "big")


def decode(data: bytes) -> Message:
    """Read one datagram.

    Raises:
        MessageFormatError: the bytes are not a well-formed CoAP version 1 message.
    """
    if len(data) < HEADER_BYTES:
        raise MessageFormatError("shorter than a CoAP header")
    head = data[0]
    if head & 0xC0 != VERSION:
        raise MessageFormatError("not CoAP version 1")
    token_end = HEADER_BYTES + (head & 0x0F)
    code = data[1]
    if token_end > HEADER_BYTES + MAX_TOKEN_BYTES or token_end > len(data):
        raise MessageFormatError("bad token length")
    if code == 0 and len(data) != HEADER_BYTES:
        raise MessageFormatError("an Empty message has nothing after its message id")
    options, payload_at = decode_options(data, token_end)
    return Message(
        head >> 4 & 3,
        code,
        data[2] << 8 | data[3],
        data[HEADER_BYTES:token_end],
        options,
        data[payload_at:],
    )


def decode_options(data: bytes, at: int) -> tuple[Options, int]:
    """Read options from `at`; the second value is where the payload starts (`len(data)` without one).

    Raises:
        MessageFormatError: an option runs past the end, uses the reserved nibble 15, exceeds 65535, or the payload
            marker is followed by nothing.
    """
    options: list[tuple[int, bytes]] = []
    number = 0
    end = len(data)
    while at < end:
        head = data[at]
        at += 1
        if head == _MARKER:
            if at == end:
                raise MessageFormatError("payload marker without payload")
            return tuple(options), at
        delta = head >> 4
        length = head & 0x0F
        if delta >= _EXTEND_1:
            delta, at = _extension(data, at, delta)
        if length >= _EXTEND_1:
            length, at = _extension(data, at, length)
        number += delta
        stop = at + length
        if stop > end or number > _MAX_OPTION:
            raise MessageFormatError("option runs past the end or out of range")
        options.append((number, data[at:stop]))
        at = stop
    return tuple(options), end


def _extension(data: bytes, at: int, nibble: int) -> tuple[int, int]:
    """The value of a nibble 13 or 14, and where its extra bytes end."""
    extra = nibble - _EXTEND_1 + 1
    if nibble > _EXTEND_2 or at + extra > len(data):
        raise MessageFormatError("bad option header")
    base = _EXTEND_1_BASE if extra == 1 else _EXTEND_2_BASE
    return base + int.from_bytes(data[at : at + extra], "big"), at + extra


def path_options(segments: Iterable[str]) -> Iterator[tuple[int, bytes]]:
    """Uri-Path options for the given segments."""
    return ((_URI_PATH, segment.encode()) for segment in segments)
