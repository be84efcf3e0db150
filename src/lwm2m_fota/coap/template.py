"""Messages of a block-wise transfer differ in message id, token and block option; the rest is encoded once.

An encoded option list is unique (RFC 7252 section 3.1), so bytes can be compared where options would be.

In messages that follow one another all three count up by one. Seen as one number, each is then the one before and a
constant, as long as none of the three gets longer: a run of them is a range of numbers.
"""

from itertools import repeat
from typing import TYPE_CHECKING, Final, cast, final

from lwm2m_fota.coap.message import HEADER_BYTES, VERSION, Options, encode_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MARKER: Final = b"\xff"
_TO_BYTES: Final = cast("Callable[[int, int, str], bytes]", int.to_bytes)
_LENGTHS: Final = range(4)  # of a block option's value, bytes
_NUM: Final = 1 << 4  # from the value of a block option to that of the next block


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

    def messages(self, head: bytes, mid: int, token: bytes, value: int, count: int) -> "Iterator[bytes]":
        """Messages that follow one another, up to the payload.

        Args:
            head: their first two bytes, see `head_of`.
            mid: the message id of the first.
            token: the token of the first.
            value: of the block option of the first.
            count: how many; not so many that a message id, a token or the value of a block option gets longer.
        """
        first = b"".join((head, mid.to_bytes(2, "big"), token, self.encode(value)))
        after = 8 * len(self.after)
        step = (_NUM << after) + (1 << 8 * (len(first) - HEADER_BYTES))
        step += 1 << 8 * (len(first) - HEADER_BYTES - len(token))
        return _counting(first, step, count)

    def options(self, value: int, count: int) -> "Iterator[bytes]":
        """The options of messages that follow one another, with the payload marker if there is a payload.

        Args:
            value: of the block option of the first.
            count: how many; at most `values_left` of this.
        """
        return _counting(self.encode(value), _NUM << 8 * len(self.after), count)


def values_left(value: int) -> int:
    """How many block options in a row have values of the same length, this one included."""
    length = value.bit_length() + 7 >> 3
    return 1 + ((1 << 8 * length) - 1 - value) // _NUM


def _counting(first: bytes, step: int, count: int) -> "Iterator[bytes]":
    number = int.from_bytes(first, "big")
    return map(_TO_BYTES, range(number, number + count * step, step), repeat(len(first)), repeat("big"))


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

    @property
    def left(self) -> int:
        """How many come before they wrap."""
        return (1 << 8 * self.size_bytes) - self._next

    def take_run(self, count: int) -> bytes:
        """The next one, which stands for `count`, at most `left`."""
        first = self.take()
        self._next = self._next + count - 1 & (1 << 8 * self.size_bytes) - 1
        return first
