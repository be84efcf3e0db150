"""Q-Block for calls: who knows it, and what is done where it is not known (RFC 9177 section 4.1)."""

from typing import TYPE_CHECKING, Final, final

from lwm2m_fota.coap.batch import Pace
from lwm2m_fota.coap.block import MIN_BLOCK_BYTES
from lwm2m_fota.coap.block1 import Block1Sender, Restarted
from lwm2m_fota.coap.block2 import Block2Receiver
from lwm2m_fota.coap.call import Call, as_block1, as_block2
from lwm2m_fota.coap.calls import Stream
from lwm2m_fota.coap.message import Message
from lwm2m_fota.coap.numbers import Option
from lwm2m_fota.coap.peers import PeerState
from lwm2m_fota.coap.qblock import QBlock, Waits
from lwm2m_fota.coap.qpulling import QPull, is_of_set
from lwm2m_fota.coap.qpushing import REQUEST_TAG_BYTES, QPush
from lwm2m_fota.coap.reliability import Entropy
from lwm2m_fota.errors import BlockwiseError
from lwm2m_fota.model.codes import Code, is_success

if TYPE_CHECKING:
    from lwm2m_fota.coap.client import Client

_BLOCK2: Final = int(Option.BLOCK2)
_Q_BLOCK2: Final = int(Option.Q_BLOCK2)
_BAD_OPTION: Final = int(Code.BAD_OPTION)
_MORE: Final = 8
_MIN_TOKEN_BYTES: Final = 3  # 2**24 tokens, of which a body has at most 2**15 at a time


@final
class SetCalling:
    """The transfers by sets of one client."""

    __slots__ = ("_client", "_entropy")

    def __init__(self, client: "Client", entropy: Entropy) -> None:
        self._client = client
        self._entropy = entropy

    def _waits(self, q: QBlock, state: PeerState, now: float) -> Waits:
        return Waits(q, self._entropy.uniform(1.0, q.ack_random_factor), now, state.round_trip_s)

    # -- down

    def accepts(self, call: Call, message: Message, now: float) -> bool:
        """Look at the answer to a request with Q-Block2; False if the call has fallen back to Block2.

        It then begins anew, with nothing lost but this block: all requests for a body have the same options.
        """
        state = call.state
        if is_success(message.code):
            state.knows_q_block = message.first(_Q_BLOCK2) is not None
        elif message.code == _BAD_OPTION:  # who has shown that it knows it may have refused this resource alone
            state.knows_q_block = bool(state.knows_q_block)
        call.in_sets = is_of_set(message)
        if not call.in_sets and (message.code == _BAD_OPTION or _has_more(call, message)):
            self.fall_back(call, now)
            return False
        return True

    def pull(self, call: Call, q: QBlock, download: Block2Receiver, answer: Message, now: float) -> None:
        """Fetch what follows an answer by sets of blocks."""
        client = self._client
        waits = self._waits(q, call.state, now)
        client.enter(call, QPull(client, call, q, waits, download, answer, client.tokens()))

    def fall_back(self, call: Call, now: float) -> None:
        """The peer does not know Q-Block2: ask with Block2."""
        call.q_down = None
        self._client.ask_slowly(call, now)

    # -- up

    def push(self, call: Call, upload: Block1Sender, q: QBlock, now: float) -> None:
        """Send a body by sets, unless one block carries it, or the peer is known not to understand them.

        Nor if the peer did not answer to one lately, or tokens are so short that those of one body would come round.
        """
        client = self._client
        if (
            call.state.knows_q_block is False
            or upload.left_bytes <= MIN_BLOCK_BYTES << upload.szx
            or now < call.state.probing_until
            or client.limits.token_bytes < _MIN_TOKEN_BYTES
        ):
            call.q_up = None
            client.ask_slowly(call, now)
            return
        call.ahead_pace = Pace(q.ahead_bytes, client.limits.batch_s)
        tag, waits = self._entropy.token(REQUEST_TAG_BYTES), self._waits(q, call.state, now)
        lane = QPush(client, self, call, q, waits, upload.szx, tag, client.tokens())
        client.enter(call, lane)
        lane.ask(now)

    def pushed(self, call: Call, message: Message, now: float, *, complete: bool) -> None:
        """The peer has answered to a body that went up: to the whole of it, or before that."""
        client, upload = self._client, call.upload
        if upload is None:
            raise AssertionError("a body went up")
        if is_success(message.code):
            if not complete:
                client.fail_protocol(call, BlockwiseError("the peer took a part for the whole body"), now)
                return
            call.upload = None
            client.bodies.take(call, as_block2(message), now)
            return
        sent = upload.accept(as_block1(message))
        if isinstance(sent, Restarted):
            client.begin_anew(call, sent.reason, now)
        else:
            client.deliver(call, message, now)

    def push_otherwise(self, call: Call, now: float) -> None:
        """The peer does not know Q-Block1: send the body with Block1."""
        call.state.knows_q_block = False
        call.q_up = None
        call.ahead_pace = self._client.ahead_pace()
        self._client.begin_anew(call, "the peer does not know Q-Block1", now)


def _has_more(call: Call, message: Message) -> bool:
    """A block came, and others follow that cannot be fetched by sets."""
    if not is_success(message.code):
        return False
    value = message.first(_Q_BLOCK2)
    if value is None:
        return message.first(_BLOCK2) is not None
    return isinstance(call.body, Stream) or bool(value and value[-1] & _MORE)
