"""Messages of a block-wise transfer differ in message id, token and block option; the rest is encoded once.

An encoded option list is unique (RFC 7252 section 3.1), so bytes can be compared where options would be.
"""

from typing import Final, final

from lwm2m_fota.coap.message import VERSION, Options, encode_options

_MARKER: Final = b"\xff"
_LENGTHS: Final = range(4)  # of a block option's value, bytes


def head_of(kind: int, code: int, token_bytes: int) -> bytes:
    """The first two bytes of a message."""
    return bytes((VERSION | kind << 4 | token_bytes, code))


@final
class BlockTemplate:
    """The encoded options of a message, up to the payload, with a gap for the value of its block option.

    The bytes are `lead[len(value)] + value + after`.

    Attributes:
        lead: the options before the block option and the head of that, for values of 0..3 bytes.
        after: the options after it, and the payload marker if there is a payload.
    """

    __slots__ = ("after", "lead")

    def __init__(self, options: Options, number: int, *, payload: bool) -> None:
        """Make a template.

        Args:
            options: sorted; those with this number are left out.
            number: the block option.
            payload: whether a payload follows.

        Raises:
            MessageFormatError: the options are not ascending, or out of range.
        """
        before = bytearray()
        encode_options(before, tuple(option for option in options if option[0] < number))
        last = max((option[0] for option in options if option[0] < number), default=0)
        after = bytearray()
        encode_options(after, tuple(option for option in options if option[0] > number), number)
        if payload:
            after += _MARKER
        self.lead = tuple(bytes(before) + _head(number, last, length) for length in _LENGTHS)
        self.after = bytes(after)

    def encode(self, value: int) -> bytes:
        """The bytes with this value of the block option, `NUM << 4 | M << 3 | SZX`."""
        length = value.bit_length() + 7 >> 3
        return b"".join((self.lead[length], value.to_bytes(length, "big"), self.after))


def _head(number: int, last: int, length: int) -> bytes:
    out = bytearray()
    encode_options(out, ((number, bytes(length)),), last)
    return bytes(out[: len(out) - length])


@final
class TokenRun:
    """Tokens of one length that begin anywhere and count up: no two are alike until all were given out.

    Attributes:
        size_bytes: their length.
    """

    __slots__ = ("_next", "size_bytes")

    def __init__(self, first: bytes) -> None:
        self.size_bytes = len(first)
        self._next = int.from_bytes(first, "big")

    def take(self) -> bytes:
        """The next one."""
        size_bytes = self.size_bytes
        token = self._next
        self._next = token + 1 & (1 << 8 * size_bytes) - 1
        return token.to_bytes(size_bytes, "big")
