"""What gathers the bodies of answers, block by block (RFC 7959 section 2.4).

A body is collected, to be handed out with the answer, or streamed: its blocks are handed over as they come, some at a
time while they come quickly. The lanes of streamed bodies begin here, behind a block that came the ordinary way.
"""

from typing import TYPE_CHECKING, Final, assert_never, final

from lwm2m_fota.coap.block import MIN_BLOCK_BYTES
from lwm2m_fota.coap.block2 import Block2Receiver, Received, Refused, Restart, Whole
from lwm2m_fota.coap.call import Call, Phase, whole
from lwm2m_fota.coap.calls import Collect, Stream
from lwm2m_fota.coap.events import BlockArrived, BodyRestarted, Event, FailureReason
from lwm2m_fota.coap.message import Message
from lwm2m_fota.coap.numbers import ACK, Option
from lwm2m_fota.coap.pulling import PullLane
from lwm2m_fota.coap.pulling_wide import WidePullLane
from lwm2m_fota.coap.qcalling import SetCalling
from lwm2m_fota.coap.qpulling import is_possible
from lwm2m_fota.errors import BlockwiseError
from lwm2m_fota.model.codes import is_success

if TYPE_CHECKING:
    from lwm2m_fota.coap.client import Client

_BLOCK2: Final = int(Option.BLOCK2)
_ETAG: Final = int(Option.ETAG)
_SIZE2: Final = int(Option.SIZE2)
# Looked up once: in Python 3.11 a member of an enumeration costs as much as a call.
_ANSWER: Final = Phase.ANSWER
_PROCEED: Final = Phase.PROCEED


@final
class Gathering:
    """The bodies of the answers to one client's calls."""

    __slots__ = ("_client", "_events", "_sets")

    def __init__(self, client: "Client", sets: SetCalling, events: list[Event]) -> None:
        self._client = client
        self._sets = sets
        self._events = events

    # -- what comes

    def take(self, call: Call, message: Message, now: float) -> None:
        """Take an answer, or a block of one."""
        download = call.download
        if download is None:
            if message.first(_BLOCK2) is None or not is_success(message.code):
                if len(message.payload) > call.body.max_body_bytes:
                    self._client.fail(call, FailureReason.TOO_LARGE, "the body is larger than allowed", now)
                else:
                    self._client.deliver(call, message, now)
                return
            download = call.download = Block2Receiver(
                max_body_bytes=call.body.max_body_bytes,
                szx=None,
                max_restarts=self._client.limits.body_restarts,
                bert=self._client.messages.is_reliable,
            )
        have = download.offset
        try:
            fetched = download.accept(message)
        except BlockwiseError as error:
            self._client.fail_protocol(call, error, now)
            return
        match fetched:
            case Received():
                self._received(call, message, fetched, now)
            case Whole():
                self._whole(call, message, have, now)
            case Restart():
                self.restart(call, fetched.reason, now)
            case Refused():
                if call.batch.size_bytes:
                    self.hand_over(call, now)
                self._client.end_observation(call)
                self._client.deliver(call, message, now)
            case _:
                assert_never(fetched)

    def _received(self, call: Call, message: Message, block: Received, now: float) -> None:
        if isinstance(call.body, Collect):
            call.head = call.head or message
            call.parts.append(block.payload)
            if block.last:
                self._client.deliver(call, whole(call.head, b"".join(call.parts)), now)
                return
            self._client.ask(call, now)
            return
        if block.offset != call.batch.offset + call.batch.size_bytes:
            call.batch.clear(block.offset)
        call.head, call.size2 = message, block.size2
        if block.last:
            call.batch.add(block.payload, now)
            self.hand_over(call, now, last=True)
            self._client.deliver(call, whole(message, b""), now)
            return
        if not call.note_block(repeated=call.repeated):
            self._take_pull_lane(call, message, now)
        full = len(block.payload) > 0 and call.batch.add(block.payload, now)
        if self._client.messages.is_reliable:
            self._client.ask_ahead(call, now)
            if full and call.batch.size_bytes:
                self.offer(call, now)
        elif call.phase is not _PROCEED and not (full and self.offer(call, now)):
            self._client.go_on(call, now)  # a busy caller asks on itself

    def _whole(self, call: Call, message: Message, have: int, now: float) -> None:
        if isinstance(call.body, Collect):
            self._client.deliver(call, message, now)
            return
        if have:
            self._events.append(BodyRestarted(call.number, "the body came whole"))
        size2, etag = message.uint(_SIZE2), message.first(_ETAG)
        self._events.append(BlockArrived(call.number, 0, message.payload, True, size2, etag, message.code))  # noqa: FBT003 - last
        self._client.deliver(call, whole(message, b""), now)

    def restart(self, call: Call, reason: str, now: float) -> None:
        """The body begins anew."""
        call.head = None
        call.parts.clear()
        if isinstance(call.body, Stream):
            call.batch.clear(0)
            self._events.append(BodyRestarted(call.number, reason))
        self._client.ask(call, now)

    # -- to the caller

    def offer(self, call: Call, now: float) -> bool:
        """Let the caller have the blocks gathered, if it is not busy with those before; True if it is busy now."""
        if call.phase is _ANSWER:
            call.phase = _PROCEED
            self.hand_over(call, now)
        return True

    def hand_over(self, call: Call, now: float, *, last: bool = False) -> None:
        """Let the caller have the blocks gathered."""
        batch, download, head = call.batch, call.download, call.head
        if download is None or head is None:
            raise AssertionError("blocks came")
        offset = batch.offset
        payload = batch.take(now)
        self._events.append(BlockArrived(call.number, offset, payload, last, call.size2, download.etag, head.code))

    # -- the hot path

    def _take_pull_lane(self, call: Call, message: Message, now: float) -> None:
        """The blocks that follow may come as this one did: acknowledgements, in the same block size."""
        download, request = call.download, call.request
        if call.q_down is not None:
            if call.in_sets and download is not None and is_possible(message, download):
                self._sets.pull(call, call.q_down, download, message, now)
                return
            call.q_down = None
        if download is None or message.type != ACK or not request.confirmable or request.payload:
            return
        szx = download.szx
        if call.upload is None and szx is not None and not download.offset % (MIN_BLOCK_BYTES << szx):
            client = self._client
            most, tokens = min(call.window, call.state.parameters.nstart), client.tokens()
            if most > 1:
                client.enter(call, WidePullLane(client, call, download, szx, message, tokens, most))
            else:
                client.enter(call, PullLane(client, call, download, szx, message, tokens))
