"""Blocks of a set that are known beforehand, but for message id, number and payload: read by comparing bytes."""

from struct import Struct
from typing import Final, final

from lwm2m_fota.coap.block import MIN_BLOCK_BYTES
from lwm2m_fota.coap.message import Options
from lwm2m_fota.coap.numbers import NON
from lwm2m_fota.coap.template import BlockTemplate, head_of

_MORE: Final = 8
_FIELDS: Final = 15  # M and SZX in a value
_MID_BYTES: Final = 2
_OF_NO_DATAGRAM: Final = 1 << 16  # bytes: none is so long


@final
class BlockReader:
    """Reads the blocks of one body that are not the last, with numbers that take as many bytes as a given one's.

    The last block of a body, and blocks whose numbers take more or fewer bytes, are left to others.
    """

    __slots__ = ("_bytes", "_fields", "_known", "_last", "_number", "_parts", "_size")

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
        self._known = (b"", b"", b"")
        self._parts = Struct("")
        self._bytes = _OF_NO_DATAGRAM

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
        head, prefix, after = head_of(NON, code, token_bytes), known + template.lead[value_bytes], template.after
        unknown = _MID_BYTES + token_bytes - len(known)
        self._known = (head, prefix, after)
        self._parts = Struct(f"{len(head)}s{unknown}x{len(prefix)}s{value_bytes}s{len(after)}s{self._size}s")
        self._bytes = self._parts.size

    def read(self, data: bytes, at: int, segment_bytes: int) -> tuple[list[int], list[bytes], int]:
        """Read the blocks at the front of several datagrams.

        Args:
            data: datagrams behind one another.
            at: where the first of them begins.
            segment_bytes: how long each of them is; the last may be shorter.

        Returns:
            Their numbers, their payloads, and where the first datagram begins that is none of them.
        """
        nums: list[int] = []
        payloads: list[bytes] = []
        stop = len(data) - (len(data) - at) % segment_bytes
        if segment_bytes != self._bytes or stop == at:
            return nums, payloads, at
        known, fields, last = self._known, self._fields, self._last
        with memoryview(data) as view:
            for head, prefix, value_bytes, after, payload in self._parts.iter_unpack(view[at:stop]):
                value = int.from_bytes(value_bytes, "big")
                num = value >> 4
                if (head, prefix, after) != known or value & _FIELDS != fields or num >= last:
                    break
                nums.append(num)
                payloads.append(payload)
        return nums, payloads, at + len(nums) * segment_bytes
