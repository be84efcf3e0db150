"""What two ends of a stream tell each other about the connection itself (RFC 8323 section 5)."""

from typing import Final, final

import attrs

from lwm2m_fota.coap.message import Message, Options, encode, pack_uint
from lwm2m_fota.coap.numbers import NON, is_critical
from lwm2m_fota.errors import MessageFormatError

CSM: Final = 0xE1  # 7.01, capabilities and settings
PING: Final = 0xE2  # 7.02
PONG: Final = 0xE3  # 7.03
RELEASE: Final = 0xE4  # 7.04
ABORT: Final = 0xE5  # 7.05

_SIGNAL_CLASS: Final = 7
_MAX_MESSAGE_SIZE: Final = 2
_BLOCK_WISE: Final = 4
_BAD_CSM_OPTION: Final = 2
_MAX_UINT_BYTES: Final = 4
_DIAGNOSTIC_BYTES: Final = 200

BASE_MESSAGE_BYTES: Final = 1152
"""What an end can take that has not said otherwise (section 5.3.1)."""

SMALLEST_MESSAGE_BYTES: Final = 64
"""An end that takes less is not spoken to: a block of 16 bytes and what an answer says of it would not fit."""

OPTION_ROOM_BYTES: Final = 256
"""What is left for head, token and options of a message that carries a block."""

UNIT_BYTES: Final = 1024
"""The blocks that BERT counts in (section 6)."""

MAX_UNITS: Final = 512
"""The most units in one message of ours: 512 KiB."""


@final
@attrs.frozen
class Capabilities:
    """What an end of a stream can take.

    Attributes:
        max_message_bytes: the largest message, its head included.
        block_wise: bodies in blocks.
    """

    max_message_bytes: int = BASE_MESSAGE_BYTES
    block_wise: bool = False

    @property
    def units(self) -> int:
        """How many units of 1024 bytes one message may carry: above 1 with BERT alone."""
        room = self.max_message_bytes - OPTION_ROOM_BYTES if self.block_wise else 0
        return min(max(room // UNIT_BYTES, 1), MAX_UNITS)


BASE: Final = Capabilities()


def is_signal(code: int) -> bool:
    """A message about the connection, and for nobody above."""
    return code >> 5 == _SIGNAL_CLASS


def signal(code: int, options: Options = (), payload: bytes = b"", token: bytes = b"") -> bytes:
    """A signalling message, as a datagram."""
    return encode(Message(NON, code, 0, token, options, payload))


def csm(own: Capabilities) -> bytes:
    """What we can take."""
    block_wise = ((_BLOCK_WISE, b""),) if own.block_wise else ()
    return signal(CSM, ((_MAX_MESSAGE_SIZE, pack_uint(own.max_message_bytes)), *block_wise))


def abort(reason: str, bad_option: int | None = None) -> bytes:
    """The connection ends at once, and why."""
    options = () if bad_option is None else ((_BAD_CSM_OPTION, pack_uint(bad_option)),)
    return signal(ABORT, options, reason.encode()[:_DIAGNOSTIC_BYTES])


def learn(known: Capabilities, message: Message) -> Capabilities:
    """What is known of the other end after a CSM of it: options count on until they are given anew (section 5.3).

    Raises:
        MessageFormatError: a size that is none, or too small to speak to.
    """
    for number, value in message.options:
        if number == _MAX_MESSAGE_SIZE:
            if len(value) > _MAX_UINT_BYTES:
                raise MessageFormatError("Max-Message-Size has at most 4 bytes")
            known = attrs.evolve(known, max_message_bytes=int.from_bytes(value, "big"))
            if known.max_message_bytes < SMALLEST_MESSAGE_BYTES:
                raise MessageFormatError(f"Max-Message-Size is at least {SMALLEST_MESSAGE_BYTES} here")
        elif number == _BLOCK_WISE:
            known = attrs.evolve(known, block_wise=True)
    return known


def bad_option(message: Message) -> int | None:
    """The first option of a signalling message that is not known here and must be; None if there is none.

    Those of the known signals are all elective, and so not to be known.
    """
    return next((number for number, _ in message.options if is_critical(number)), None)


def diagnostic(message: Message) -> str:
    """What an Abort says."""
    return bytes(message.payload[:_DIAGNOSTIC_BYTES]).decode("utf-8", "replace")
