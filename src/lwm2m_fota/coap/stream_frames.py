"""Messages in a stream: where each ends (RFC 8323 section 3.2).

A frame is a message without version, type and message id, with its length in front. Above, a message is a datagram, as
everywhere in this library: that of a non-confirmable message with id 0, whose type and id mean nothing.
"""

from typing import Final, final

from lwm2m_fota.coap.message import HEADER_BYTES, MAX_TOKEN_BYTES, VERSION, decode_options
from lwm2m_fota.coap.numbers import NON
from lwm2m_fota.errors import MessageFormatError, UsageError

_HEAD: Final = VERSION | NON << 4
_TOKEN_MASK: Final = 0x0F
_EXTENDED: Final = ((13, 1, 13), (14, 2, 269), (15, 4, 65805))
"""What the first four bits say: so many bytes of length follow, and so much comes to them."""

_MARKER: Final = b"\xff"

MAX_HEAD_BYTES: Final = 6
"""The first byte, at most four of length, and the code."""


LARGE_BYTES: Final = 4096
"""From this size on a message that does not come at once is read into memory of its own, and carried in two parts."""

_PARTED_HEAD_BYTES: Final = 1024


@final
class Parted(bytes):
    """A large message in two parts, so that neither its head nor its payload is copied for the other's sake.

    As bytes it is the datagram without payload; what carries a message only compares, counts and hands on bytes.

    Attributes:
        payload: what belongs behind it, and behind a payload marker.
    """

    payload: bytes = b""

    @classmethod
    def of(cls, head: bytes, payload: bytes) -> "Parted":
        """A message of these parts."""
        parted = cls(head)
        parted.payload = payload
        return parted

    def whole(self) -> bytes:
        """The datagram."""
        return b"".join((self, _MARKER, self.payload))


def frame_of(datagram: bytes) -> bytes:
    """The frame of a message."""
    return b"".join(pieces_of(datagram))


def pieces_of(datagram: bytes) -> tuple[bytes, ...]:
    """The frame of a message, in one piece or, if the message has two parts, in two."""
    token_bytes = datagram[0] & _TOKEN_MASK
    payload = datagram.payload if isinstance(datagram, Parted) else b""
    length = len(datagram) - HEADER_BYTES - token_bytes + (len(payload) + 1 if payload else 0)
    code, rest = datagram[1:2], memoryview(datagram)[HEADER_BYTES:]
    if length < 13:  # noqa: PLR2004 - the table above
        return (b"".join((bytes((length << 4 | token_bytes,)), code, rest)),)
    nibble, extra, base = next(each for each in reversed(_EXTENDED) if length >= each[2])
    head = b"".join((bytes((nibble << 4 | token_bytes,)), (length - base).to_bytes(extra, "big"), code, rest))
    return (head + _MARKER, payload) if payload else (head,)


@final
class Rooms:
    """Memory for large messages that are not whole yet, of all connections that share it.

    One piece of it is kept, for the next large message.

    Args:
        max_bytes: at a time.
    """

    __slots__ = ("_max_bytes", "_spare", "held_bytes")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._spare = bytearray()
        self.held_bytes = 0

    def take(self, size_bytes: int) -> bytearray:
        """Memory for a message of this size, or larger.

        Raises:
            MessageFormatError: too many messages are under way.
        """
        if self.held_bytes + size_bytes > self._max_bytes:
            raise MessageFormatError(f"large messages of more than {self._max_bytes} bytes are under way")
        room, self._spare = self._spare, bytearray()
        if len(room) < size_bytes:
            room = bytearray(size_bytes)
        self.held_bytes += len(room)
        return room

    def give_back(self, room: bytearray) -> None:
        """The message is whole, or will never be."""
        self.held_bytes -= len(room)
        if len(room) > len(self._spare):
            self._spare = room


@final
class FrameReader:
    """Cuts a stream into messages.

    Bytes are given to `feed`, or, while a large message is under way, read into `room` and told to `filled`, which
    spares a copy of them.

    Args:
        max_message_bytes: the largest frame, its head included; a larger one is refused as soon as its length is there.
        rooms: memory for large messages; None takes so much as one message may have.

    Attributes:
        max_message_bytes: as given, and may be changed.
        room: where the next bytes of a large message go; None while none is under way.
    """

    __slots__ = ("_buffer", "_room", "_rooms", "_size", "max_message_bytes", "room")

    def __init__(self, max_message_bytes: int, rooms: Rooms | None = None) -> None:
        self.max_message_bytes = max_message_bytes
        self._rooms = rooms or Rooms(max_message_bytes + HEADER_BYTES)
        self._buffer = bytearray()
        self._room = bytearray()
        self._size = 0
        self.room: memoryview | None = None

    @property
    def waiting_bytes(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._buffer) if self.room is None else self._size - len(self.room)

    def feed(self, data: bytes | memoryview) -> list[bytes]:
        """Take the next bytes of the stream: the messages that are whole with them, as datagrams.

        Raises:
            MessageFormatError: a token length that is none, a frame that is too large, or too many large ones at a
                time. The stream cannot be gone on with: where the next frame begins is not known.
        """
        found: list[bytes] = []
        room = self.room
        if room is not None:
            taken = min(len(room), len(data))
            room[:taken] = data[:taken]
            data = data[taken:]
            found += self.filled(taken)
        buffer = self._buffer
        buffer += data
        at, end = 0, len(buffer)
        while at < end:
            head = self._head(at)
            if head is None:
                break
            start, size = head
            if end - at < size:
                if size >= LARGE_BYTES and end - at >= start:
                    self._begin(at, start, size)
                    at = end
                break
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
        if size > self.max_message_bytes:
            raise MessageFormatError(f"a message of {size} bytes, at most {self.max_message_bytes} are taken")
        return start, size

    def _begin(self, at: int, start: int, size: int) -> None:
        """Go on with a large message in memory of its own."""
        buffer = self._buffer
        self._size = HEADER_BYTES + size - start
        self._room = room = self._rooms.take(self._size)
        room[:HEADER_BYTES] = bytes((_HEAD | buffer[at] & _TOKEN_MASK, buffer[at + start - 1], 0, 0))
        here = HEADER_BYTES + len(buffer) - at - start
        with memoryview(buffer) as came:
            room[HEADER_BYTES:here] = came[at + start :]
        self.room = memoryview(room)[here : self._size]

    def filled(self, size: int) -> list[bytes]:
        """So many bytes of the stream were put into `room`: the message, if it is whole with them.

        Raises:
            UsageError: there is no such room.
        """
        room = self.room
        if room is None or size > len(room):
            raise UsageError("no room was given for that")
        if size < len(room):
            self.room = room[size:]
            return []
        whole = _parted(memoryview(self._room)[: self._size])
        self.close()
        return [whole]

    def close(self) -> None:
        """Give back the memory of a large message that is under way."""
        if self.room is not None:
            self.room = None
            self._rooms.give_back(self._room)
            self._room = bytearray()


def _parted(data: memoryview) -> bytes:
    """A message in two parts; one whose options are many, or are none, as it is."""
    head = bytes(data[:_PARTED_HEAD_BYTES])
    try:
        _, payload_at = decode_options(head, HEADER_BYTES + (head[0] & _TOKEN_MASK))
    except MessageFormatError:
        return bytes(data)
    if payload_at == len(head):
        return bytes(data)
    return Parted.of(head[: payload_at - 1], bytes(data[payload_at:]))
