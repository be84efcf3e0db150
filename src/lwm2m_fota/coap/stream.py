"""One connection over which messages go in a stream, without I/O: bytes in; messages, bytes and the next deadline out.

The first message of each end tells what it can take (CSM). Ping is answered, Release and Abort end the connection, and
an end that falls silent is pinged (RFC 8323 sections 3 to 5).
"""

from collections.abc import Callable
from math import inf
from typing import Final, final

import attrs

from lwm2m_fota.coap.message import HEADER_BYTES, Message, decode
from lwm2m_fota.coap.stream_frames import FrameReader, Parted, Rooms, frame_of, pieces_of
from lwm2m_fota.coap.stream_signals import (
    ABORT,
    BASE,
    CSM,
    MAX_UNITS,
    OPTION_ROOM_BYTES,
    PING,
    PONG,
    RELEASE,
    UNIT_BYTES,
    Capabilities,
    abort,
    bad_option,
    csm,
    diagnostic,
    is_signal,
    learn,
    signal,
)
from lwm2m_fota.errors import MessageFormatError, UsageError

MIN_MESSAGE_BYTES: Final = 1152


@final
@attrs.frozen(kw_only=True)
class StreamLimits:
    """Bounds of a connection.

    Attributes:
        message_bytes: the largest message that is ever taken, its head included; a larger one ends the connection
            before it is there.
        first_bytes: the largest message that is taken at first. Each time a message that needs more than half of what
            is taken came in `quick_s`, twice as much is taken from then on, and the other end told.
        quick_s: seconds. So a slow path never has to carry much for one answer, and a fast one is used.
        csm_s: how long the other end may take to tell what it can take.
        ping_s: an end that was silent for so long is pinged.
        pong_s: how long it may take to answer that.

    Raises:
        UsageError: a limit that is not positive, or messages smaller than every end must take.
    """

    message_bytes: int = MAX_UNITS * UNIT_BYTES + 2 * OPTION_ROOM_BYTES
    first_bytes: int = 64 * UNIT_BYTES + 2 * OPTION_ROOM_BYTES
    quick_s: float = 0.25
    csm_s: float = 30.0
    ping_s: float = 300.0
    pong_s: float = 30.0

    def __attrs_post_init__(self) -> None:
        if min(attrs.astuple(self)) <= 0:
            raise UsageError(f"a limit of a stream is not positive: {self!r}")
        if min(self.first_bytes, self.message_bytes) < MIN_MESSAGE_BYTES:
            raise UsageError(f"an end takes messages of at least {MIN_MESSAGE_BYTES} bytes")


@final
class StreamConnection:
    """One end of a connection.

    Args:
        limits: bounds.
        initiator: it has opened the connection, and so speaks first.
        now: monotonic seconds.
        rooms: memory for large messages, shared with other connections; None has some of its own.

    Attributes:
        capabilities: what the other end can take, as far as it has said.
        is_ready: it has said so.
        over: why the connection is to be closed, once its output is sent; None while it goes on.
    """

    __slots__ = (
        "_began_at",
        "_greeted",
        "_heard_at",
        "_limits",
        "_output",
        "_pinged_at",
        "_reader",
        "_started_at",
        "capabilities",
        "is_ready",
        "over",
    )

    def __init__(self, limits: StreamLimits, *, initiator: bool, now: float, rooms: Rooms | None = None) -> None:
        self._limits = limits
        rooms = rooms or Rooms(limits.message_bytes + HEADER_BYTES)
        self._reader = FrameReader(min(limits.first_bytes, limits.message_bytes), rooms)
        self._output: list[bytes] = []
        self._began_at = now
        self._started_at = self._heard_at = now
        self._pinged_at = inf
        self._greeted = False
        self.capabilities: Capabilities = BASE
        self.is_ready = False
        self.over: str | None = None
        if initiator:
            self._greet()

    def has_ended(self) -> bool:
        """It is to be closed."""
        return self.over is not None

    def _greet(self) -> None:
        """The acceptor may wait for the initiator, and the initiator for nobody (section 5.3)."""
        if not self._greeted:
            self._greeted = True
            self._tell()

    def _tell(self) -> None:
        """What we can take."""
        self._output.append(frame_of(csm(Capabilities(self._reader.max_message_bytes, block_wise=True))))

    def take_output(self) -> list[bytes]:
        """The bytes to send, in pieces."""
        output, self._output = self._output, []
        return output

    @property
    def room(self) -> memoryview | None:
        """Where the next bytes may be read into, and then told to `filled`; None while `feed` is to have them."""
        return self._reader.room

    def feed(self, data: bytes | memoryview, now: float) -> list[bytes]:
        """Take the next bytes: the messages for those above, as datagrams. Never raises; see `over`."""
        return self._take(lambda: self._reader.feed(data), now)

    def filled(self, size: int, now: float) -> list[bytes]:
        """So many bytes were read into `room`; as `feed`."""
        return self._take(lambda: self._reader.filled(size), now)

    def _take(self, read: Callable[[], list[bytes]], now: float) -> list[bytes]:
        if self.has_ended():
            return []
        self._heard_at = now
        self._pinged_at = inf
        self._greet()
        found: list[bytes] = []
        if self._reader.room is None:
            self._began_at = now
        try:
            for message in read():
                if not self._is_ours(message):
                    found.append(message)
                    self._widen(message, now)
                if self.has_ended():
                    break
        except MessageFormatError as error:
            self._break(str(error))
        return found

    def _widen(self, message: bytes, now: float) -> None:
        """Take larger messages from now on, if this one was large and quick."""
        taken, most = self._reader.max_message_bytes, self._limits.message_bytes
        size = len(message) + (len(message.payload) if isinstance(message, Parted) else 0)
        if taken < most and 2 * size > taken and now - self._began_at <= self._limits.quick_s:
            self._reader.max_message_bytes = min(2 * taken, most)
            self._tell()

    def close(self) -> None:
        """The connection is no more."""
        self._reader.close()

    def _is_ours(self, data: bytes) -> bool:
        """Take what is about the connection, and everything before the other end has said what it can take."""
        code = data[1]
        if code == CSM:
            self._learn(decode(data))
        elif not self.is_ready:
            self._break("the first message must tell what an end can take (CSM)")
        elif is_signal(code):
            self._take_signal(decode(data))
        else:
            return code == 0  # an empty message keeps a connection alive (section 3.4)
        return True

    def _learn(self, message: Message) -> None:
        unknown = bad_option(message)
        if unknown is not None:
            self._break("an option of the CSM is not known here", unknown)
            return
        self.capabilities = learn(self.capabilities, message)
        self.is_ready = True

    def _take_signal(self, message: Message) -> None:
        code = message.code
        if bad_option(message) is not None:
            self._break("an option of a signal is not known here")
        elif code == PING:
            self._output.append(frame_of(signal(PONG, token=message.token)))
        elif code == RELEASE:
            self.over = "the other end has released the connection"
        elif code == ABORT:
            self.over = f"the other end has aborted the connection: {diagnostic(message) or 'it does not say why'}"
        # a Pong has been counted already, and a signal that is not known is ignored (section 5.1)

    def _break(self, reason: str, option: int | None = None) -> None:
        """The other end has broken a rule."""
        self._output.append(frame_of(abort(reason, option)))
        self.over = f"the other end has broken the protocol: {reason}"

    def send(self, data: bytes) -> None:
        """A message, given as a datagram."""
        self._output += pieces_of(data)

    def abort(self, reason: str) -> None:
        """End the connection because of what the other end has done."""
        self._break(reason)

    def release(self) -> None:
        """End the connection, for it is not needed."""
        self._output.append(frame_of(signal(RELEASE)))
        self.over = "it was released"

    # -- time

    def due(self) -> float:
        """When to look at it, monotonic seconds."""
        if not self.is_ready:
            return self._started_at + self._limits.csm_s
        return min(self._heard_at + self._limits.ping_s, self._pinged_at + self._limits.pong_s)

    def handle_timeout(self, now: float) -> None:
        """Do what is due; see `over`."""
        if now < self.due():
            return
        if not self.is_ready:
            self._break("it has not told what it can take (CSM)")
        elif now >= self._pinged_at + self._limits.pong_s:
            self.over = "the other end does not answer any more"
        else:
            self._output.append(frame_of(signal(PING)))
            self._heard_at = self._pinged_at = now
