"""Messages in a stream: where each ends (RFC 8323 section 3.2).

A frame is a message without version, type and message id, with its length in front. Above, a message is a datagram, as
everywhere in this library: that of a non-confirmable message with id 0, whose type and id mean nothing.
"""

from typing import Final, final

from lwm2m_fota.coap.message import HEADER_BYTES, MAX_TOKEN_BYTES, VERSION
from lwm2m_fota.coap.numbers import NON
from lwm2m_fota.errors import MessageFormatError

_HEAD: Final = VERSION | NON << 4
_TOKEN_MASK: Final = 0x0F
_EXTENDED: Final = ((13, 1, 13), (14, 2, 269), (15, 4, 65805))
"""What the first four bits say: so many bytes of length follow, and so much comes to them."""

MAX_HEAD_BYTES: Final = 6
"""The first byte, at most four of length, and the code."""


def frame_of(datagram: bytes) -> bytes:
    """The frame of a message."""
    token_bytes = datagram[0] & _TOKEN_MASK
    rest = datagram[HEADER_BYTES:]
    length = len(rest) - token_bytes
    if length < 13:  # noqa: PLR2004 - the table above
        return b"".join((bytes((length << 4 | token_bytes, datagram[1])), rest))
    nibble, extra, base = next(each for each in reversed(_EXTENDED) if length >= each[2])
    head = bytes((nibble << 4 | token_bytes,)) + (length - base).to_bytes(extra, "big")
    return b"".join((head, datagram[1:2], rest))


@final
class FrameReader:
    """Cuts a stream into messages.

    Args:
        max_message_bytes: the largest frame, its head included; a larger one is refused as soon as its length is there.
    """

    __slots__ = ("_buffer", "_max_message_bytes")

    def __init__(self, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._buffer = bytearray()

    @property
    def waiting_bytes(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._buffer)

    def feed(self, data: bytes | memoryview) -> list[bytes]:
        """Take the next bytes of the stream: the messages that are whole with them, as datagrams.

        Raises:
            MessageFormatError: a token length that is none, or a frame that is too large. The stream cannot be gone on
                with: where the next frame begins is not known.
        """
        buffer = self._buffer
        buffer += data
        found: list[bytes] = []
        at, end = 0, len(buffer)
        while at < end:
            head = self._head(at)
            if head is None or end - at < head[1]:
                break
            start, size = head
            found.append(
                b"".join(
                    (
                        bytes((_HEAD | buffer[at] & _TOKEN_MASK, buffer[at + start - 1], 0, 0)),
                        memoryview(buffer)[at + start : at + size],
                    )
                )
            )
            at += size
        del buffer[:at]
        return found

    def _head(self, at: int) -> tuple[int, int] | None:
        """How many bytes of a frame are its head, and how many it has in all; None until that is there."""
        buffer = self._buffer
        length, token_bytes = buffer[at] >> 4, buffer[at] & _TOKEN_MASK
        if token_bytes > MAX_TOKEN_BYTES:
            raise MessageFormatError("bad token length")
        extra = 0
        if length >= 13:  # noqa: PLR2004 - the table above
            _, extra, base = _EXTENDED[length - 13]
            if len(buffer) - at <= extra:
                return None
            length = base + int.from_bytes(buffer[at + 1 : at + 1 + extra], "big")
        start = 2 + extra
        size = start + token_bytes + length
        if size > self._max_message_bytes:
            raise MessageFormatError(f"a message of {size} bytes, at most {self._max_message_bytes} are taken")
        return start, size
