"""Blocks of a set that are known beforehand, but for message id, number and payload: read by comparing bytes."""

from typing import Final, final

from lwm2m_fota.coap.block import MIN_BLOCK_BYTES
from lwm2m_fota.coap.message import HEADER_BYTES, Options
from lwm2m_fota.coap.numbers import NON
from lwm2m_fota.coap.template import BlockTemplate, head_of

_MORE: Final = 8
_FIELDS: Final = 15  # M and SZX in a value
_OF_NO_DATAGRAM: Final = 1 << 16  # bytes: none is so long


@final
class BlockReader:
    """Reads the blocks of one body that are not the last, with numbers that take as many bytes as a given one's.

    The last block of a body, and blocks whose numbers take more or fewer bytes, are left to others.
    """

    __slots__ = ("_after", "_after_at", "_fields", "_head", "_last", "_number", "_payload_at", "_prefix", "_prefix_at",
                 "_size", "_value_at")  # fmt: skip

    def __init__(self, number: int, szx: int, count: int) -> None:
        """Read nothing before `expect`.

        Args:
            number: Q-Block1 or Q-Block2.
            szx: the block size, as exponent.
            count: of how many blocks the body is.
        """
        self._number = number
        self._fields = _MORE | szx
        self._size = MIN_BLOCK_BYTES << szx
        self._last = count - 1
        self._head = self._prefix = self._after = b""
        self._prefix_at = self._value_at = self._after_at = 0
        self._payload_at = _OF_NO_DATAGRAM

    def expect(self, code: int, token: bytes | int, options: Options, num: int) -> None:
        """The next blocks are non-confirmable messages like this one.

        Args:
            code: of the message.
            token: of the message; or the length of tokens, if they differ.
            options: with or without the block option.
            num: the number of the block that is expected next.
        """
        template = BlockTemplate(options, self._number, payload=True)
        value_bytes = (num << 4 | _MORE).bit_length() + 7 >> 3
        token_bytes, known = (token, b"") if isinstance(token, int) else (len(token), token)
        self._head = head_of(NON, code, token_bytes)
        self._prefix = known + template.lead[value_bytes]
        self._prefix_at = HEADER_BYTES + token_bytes - len(known)
        self._after = template.after
        self._value_at = self._prefix_at + len(self._prefix)
        self._after_at = self._value_at + value_bytes
        self._payload_at = self._after_at + len(template.after)

    def read(self, data: bytes, at: int, segment_bytes: int) -> tuple[list[int], list[bytes], int]:
        """Read the blocks at the front of several datagrams.

        Args:
            data: datagrams behind one another.
            at: where the first of them begins.
            segment_bytes: how long each of them is; the last may be shorter.

        Returns:
            Their numbers, their payloads, and where the first datagram begins that is none of them.
        """
        head, prefix, after, fields = self._head, self._prefix, self._after, self._fields
        prefix_at, value_at, after_at, payload_at = self._prefix_at, self._value_at, self._after_at, self._payload_at
        end, last, bytes_of_each = len(data), self._last, payload_at + self._size
        nums: list[int] = []
        payloads: list[bytes] = []
        while at < end:
            stop = at + segment_bytes
            if (
                min(stop, end) - at != bytes_of_each
                or not data.startswith(head, at)
                or not data.startswith(prefix, at + prefix_at)
                or not data.startswith(after, at + after_at)
            ):
                break
            value = int.from_bytes(data[at + value_at : at + after_at], "big")
            num = value >> 4
            if value & _FIELDS != fields or num >= last:
                break
            nums.append(num)
            payloads.append(data[at + payload_at : stop])
            at = stop
        return nums, payloads, at
