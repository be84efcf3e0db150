"""The state of one call, and what its next request carries."""

from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Final, final

from lwm2m_fota.coap.batch import Batch, Pace
from lwm2m_fota.coap.block import BERT_SZX, MAX_SZX, pack_block, size_of
from lwm2m_fota.coap.block1 import Block1Sender
from lwm2m_fota.coap.block2 import Block2Receiver
from lwm2m_fota.coap.calls import Collect, Request, Shrink, Stream
from lwm2m_fota.coap.limits import EndpointLimits
from lwm2m_fota.coap.message import Message, Options, encode_options, sort_options
from lwm2m_fota.coap.numbers import Option
from lwm2m_fota.coap.peers import AskingLane, PeerState
from lwm2m_fota.errors import UsageError
from lwm2m_fota.model.codes import Code, describe_code, is_request

if TYPE_CHECKING:
    from lwm2m_fota.coap.observe import Freshness
    from lwm2m_fota.coap.reliability import Outgoing

_BLOCK2: Final = int(Option.BLOCK2)
_BLOCK1: Final = int(Option.BLOCK1)
_Q_BLOCK1: Final = int(Option.Q_BLOCK1)
_SIZE2: Final = int(Option.SIZE2)
_Q_BLOCK2: Final = int(Option.Q_BLOCK2)
_OBSERVE: Final = int(Option.OBSERVE)
_FETCH: Final = int(Code.FETCH)
_WITH_BLOCK2: Final = frozenset({int(Code.GET), int(Code.FETCH)})

REGISTER: Final = (_OBSERVE, b"")
DEREGISTER: Final = (_OBSERVE, b"\x01")


@final
class Phase(Enum):
    """What a call waits for."""

    ANSWER = "answer"
    """The peer's answer to the request that is under way."""

    SUPPLY = "supply"
    """The caller's bytes for the next block up."""

    PROCEED = "proceed"
    """The caller's word that the last block down is stored."""

    NOTIFICATION = "notification"
    """The peer's next notification."""


@final
class Call:
    """One call.

    Attributes:
        number: its name above.
        state: whom it asks.
        request: what it asks, its options sorted.
        body: how the body of the answer is taken.
        phase: what it waits for.
        token: the token of the request that is under way, or None.
        outgoing: that request's message, or None.
        expires: monotonic seconds at which the wait for a separate response ends.
        upload: the blocks up; None without a body, and after the last block was answered.
        ahead: bytes of the body up that are at hand.
        ahead_at: where they are in the body, bytes.
        ahead_pace: how many are asked for at once.
        wanted_bytes: how many the caller was asked for.
        wanted_at: where they are in the body, bytes.
        q_up: send the body up by sets; None if that is not wished, or the peer does not know it.
        download: the blocks down; None before the first answer, unless the blocks are streamed.
        head: of a body that is collected, the first message; of one that is streamed, that of the last block that came
            the ordinary way.
        parts: the payloads collected so far.
        batch: the blocks of a streamed body that wait to be handed over.
        size2: what the peer says of the size of that body.
        window: how many of its blocks may be asked for at a time.
        shrink: when blocks become smaller; None if they never do.
        losses: how many in a row had to be asked for, or sent, again.
        timeouts: how often in a row one was sent in vain, with all its copies.
        repeated: the last one on the ordinary way had to be.
        q_down: fetch that body by sets; None if that is not wished, or the peer does not know it.
        in_sets: the peer has answered with Q-Block2.
        lane: the hot path, while the call is on it.
        registering: the answer to the registration of an observation is awaited.
        announced: the first answer of the observation was reported.
        observed: the token of the observation while it lives.
        freshness: the newest notification.
    """

    __slots__ = (
        "ahead",
        "ahead_at",
        "ahead_pace",
        "announced",
        "batch",
        "body",
        "download",
        "expires",
        "freshness",
        "head",
        "in_sets",
        "lane",
        "losses",
        "number",
        "observed",
        "outgoing",
        "parts",
        "phase",
        "q_down",
        "q_up",
        "registering",
        "repeated",
        "request",
        "shrink",
        "size2",
        "state",
        "timeouts",
        "token",
        "upload",
        "wanted_at",
        "wanted_bytes",
        "window",
    )

    def __init__(
        self,
        number: int,
        state: PeerState,
        request: Request,
        body: Collect | Stream,
        limits: EndpointLimits,
        ahead_pace: Pace,
        units: tuple[int, int] = (1, 1),
        *,
        bert: bool = False,
    ) -> None:
        self.number = number
        self.state = state
        self.request = request
        self.body = body
        self.phase = Phase.ANSWER
        self.token: bytes | None = None
        self.outgoing: Outgoing | None = None
        self.expires = inf
        self.upload = _upload(request, limits.body_restarts, units[0])
        self.ahead = request.payload
        self.ahead_at = 0
        self.ahead_pace = ahead_pace
        self.wanted_bytes = self.wanted_at = 0
        self.download = _download(body, limits.body_restarts, units[1], bert=bert)
        self.head: Message | None = None
        self.parts: list[bytes] = []
        self.batch = Batch(limits.batch_bytes, limits.batch_s)
        self.size2: int | None = None
        self.window = body.window if isinstance(body, Stream) else 1
        shrink = body.shrink if self.upload is None and isinstance(body, Stream) else request.shrink
        self.shrink = None if bert else shrink  # a stream loses nothing
        self.losses = self.timeouts = 0
        self.repeated = False
        q_block = request.q_block if self.upload is not None or isinstance(body, Collect) else body.q_block
        self.q_up = None if bert or self.upload is None else q_block
        self.q_down = None if bert or self.upload is not None else q_block
        self.in_sets = False
        self.lane: AskingLane | None = None
        self.registering = request.observe
        self.announced = False
        self.observed: bytes | None = None
        self.freshness: Freshness | None = None

    def note_block(self, *, repeated: bool) -> bool:
        """A block of the body down came, or one of the body up was acknowledged.

        Args:
            repeated: it had to be asked for, or sent, more than once.

        Returns:
            True if blocks are smaller from now on.
        """
        self.timeouts = 0
        self.losses = self.losses + 1 if repeated else 0
        return self.shrink is not None and self.losses >= self.shrink.losses and self._halve(self.shrink)

    def note_timeout(self) -> bool:
        """A block was lost with all its copies; True if it is one of a body up, and goes again in half the size."""
        shrink, upload = self.shrink, self.upload
        if shrink is None or upload is None or self.timeouts >= shrink.again:
            return False
        if 2 * upload.left_bytes <= upload.step_bytes or not self._halve(shrink):
            return False
        self.timeouts += 1
        return True

    def drop_body(self) -> None:
        """Forget what came of the body down: another one follows."""
        self.head = None
        self.parts.clear()
        self.download = None

    def _halve(self, shrink: Shrink) -> bool:
        body = self.upload or self.download
        if body is None or not body.shrink(shrink.smallest_szx):
            return False
        self.losses = 0
        return True


def checked(request: Request, body: Collect | Stream) -> Request:
    """The request with its options in order.

    Raises:
        UsageError: the code is no method, the body is given twice, notifications are to be streamed, or what comes by
            sets of blocks cannot.
        MessageFormatError: an option is out of range.
    """
    if not is_request(request.code):
        raise UsageError(f"{describe_code(request.code)} is not a method")
    if request.source_bytes is not None and request.payload:
        raise UsageError("a body is either given or supplied")
    if request.observe and isinstance(body, Stream):
        raise UsageError("notifications are collected, not streamed")
    if isinstance(body, Stream) and body.q_block is not None and (request.source_bytes or request.payload):
        raise UsageError("sets of blocks are fetched with a request that has no body")
    if request.observe and request.q_block is not None:
        raise UsageError("an observation is no transfer by sets of blocks")
    size_of(request.szx)
    options = sort_options(request.options)
    encode_options(bytearray(), options)
    return Request(
        request.code,
        options,
        request.payload,
        request.source_bytes,
        request.confirmable,
        request.szx,
        request.observe,
        request.q_block,
        request.shrink,
    )


def _upload(request: Request, restarts: int, units: int) -> Block1Sender | None:
    size = len(request.payload) if request.source_bytes is None else request.source_bytes
    return Block1Sender(size, request.szx, units=units, max_restarts=restarts) if size else None


def _download(body: Collect | Stream, restarts: int, units: int, *, bert: bool) -> Block2Receiver | None:
    if isinstance(body, Collect):
        return None
    return Block2Receiver(
        max_body_bytes=body.max_body_bytes,
        offset=body.offset,
        etag=body.etag,
        szx=BERT_SZX if body.szx is None and units > 1 else body.szx,
        max_restarts=restarts,
        bert=bert,
    )


def next_options(call: Call) -> Options:
    """The options of the next request of a call.

    Raises:
        BlockwiseError: the next block has no number.
    """
    request, upload, download = call.request, call.upload, call.download
    extra: Options = ()
    final = True
    if upload is not None:
        extra = upload.options()
        final = not upload.current().more
    if final:  # only the last block of a request is answered with a body
        if call.q_down is not None:
            extra += _options_for_sets(request.szx, download)
        elif download is not None:
            extra += download.options()
        elif request.szx < MAX_SZX and request.code in _WITH_BLOCK2:
            extra += ((_BLOCK2, pack_block(0, False, request.szx)),)  # noqa: FBT003 - the M bit
        if call.registering:
            extra += (REGISTER,)
    return sort_options(request.options + extra) if extra else request.options


def _options_for_sets(szx: int, download: Block2Receiver | None) -> Options:
    """As `Block2Receiver.options`, to find out whether the peer knows Q-Block2: a request for one block."""
    offset = 0
    if download is not None:
        szx, offset = MAX_SZX if download.szx is None else download.szx, download.offset
    return (_SIZE2, b""), (_Q_BLOCK2, pack_block(offset >> szx + 4, False, szx))  # noqa: FBT003 - M is 0: this one alone


def next_payload(call: Call) -> bytes:
    """The payload of the next request of a call, whose bytes are at hand.

    The later blocks of an answer are asked for without the body of the request, except for FETCH: there the body says
    what is asked for.
    """
    request, upload = call.request, call.upload
    if upload is not None:
        part = upload.current()
        return call.ahead[part.offset - call.ahead_at :][: part.length]
    if request.code == _FETCH and len(request.payload) <= 16 << request.szx:
        return request.payload
    return b""


def as_block2(message: Message) -> Message:
    """A message with Block2 in place of Q-Block2."""
    return _renumbered(message, _Q_BLOCK2, _BLOCK2)


def as_block1(message: Message) -> Message:
    """A message with Block1 in place of Q-Block1."""
    return _renumbered(message, _Q_BLOCK1, _BLOCK1)


def _renumbered(message: Message, former: int, number: int) -> Message:
    options = sort_options((number if each == former else each, value) for each, value in message.options)
    return Message(message.type, message.code, message.mid, message.token, options, message.payload)


def whole(head: Message, payload: bytes) -> Message:
    """A message as if its body had not come in blocks."""
    options = tuple(option for option in head.options if option[0] != _BLOCK2)
    return Message(head.type, head.code, head.mid, head.token, options, payload)
