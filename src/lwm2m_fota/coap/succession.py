"""The next requests of a transfer, and how each is acknowledged, made ready some dozens at a time.

Message ids, tokens and block numbers count up by one, so a request is the one before and a constant, and so is its
acknowledgement up to the payload; see `template`.
"""

from typing import TYPE_CHECKING, Final, final

from lwm2m_fota.coap.message import HEADER_BYTES
from lwm2m_fota.coap.numbers import ACK, CON
from lwm2m_fota.coap.template import BlockTemplate, TokenRun, head_of, values_left

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lwm2m_fota.coap.peers import PeerState

RUN_MESSAGES: Final = 64
"""Made ready at a time; their message ids are taken together."""

RUN_S: Final = 1.0
"""Seconds in which they are to go out: their ids count as used until then."""

_MORE: Final = 8
_NONE: Final[tuple[bytes, ...]] = ()


@final
class Succession:
    """Requests that follow one another, one under way at a time.

    Attributes:
        requests: what goes out next, up to the payload.
        answers: how each of these is acknowledged, up to the payload.
        until: monotonic seconds; later on these may not be used.
        token: where the token is in a request.
    """

    __slots__ = (
        "_answer", "_answer_head", "_mids", "_request", "_request_head", "_state", "_tokens", "answers", "requests",
        "token", "until",
    )  # fmt: skip

    def __init__(
        self,
        state: "PeerState",
        tokens: TokenRun,
        request: BlockTemplate,
        code: int,
        answer: BlockTemplate,
        answered: int,
    ) -> None:
        """Begin with none ready.

        Args:
            state: whom they go to.
            tokens: theirs.
            request: their options.
            code: theirs.
            answer: the options of the acknowledgements.
            answered: the code of those.
        """
        self._state = state
        self._tokens = tokens
        self._request = request
        self._request_head = head_of(CON, code, tokens.size_bytes)
        self._answer = answer
        self._answer_head = head_of(ACK, answered, tokens.size_bytes)
        self._mids = range(0)
        self.token = slice(HEADER_BYTES, HEADER_BYTES + tokens.size_bytes)
        self.requests: Iterator[bytes] = iter(_NONE)
        self.answers: Iterator[bytes] = iter(_NONE)
        self.until = 0.0

    def prepare(self, value: int, most: int, now: float) -> bool:
        """Make requests ready; False if no message id is free.

        Args:
            value: of the block option of the first.
            most: how many are wanted at most, at least 1.
            now: monotonic seconds.
        """
        state, tokens = self._state, self._tokens
        most = min(most, RUN_MESSAGES, values_left(value), tokens.left)
        until = now + RUN_S
        self.abandon()
        mids = state.ids.take_some(most, until, now, state.lifetime_s, state.in_flight)
        if mids is None:
            return False
        first, count = mids.start, len(mids)
        token = tokens.take_run(count)
        self._mids, self.until = mids, until
        self.requests = self._request.messages(self._request_head, first, token, value, count)
        self.answers = self._answer.messages(self._answer_head, first, token, value | _MORE, count)
        return True

    def abandon(self) -> None:
        """Those that were made ready are not used."""
        unused = next(self.requests, None)
        if unused is not None:
            self._state.ids.give_back(range(int.from_bytes(unused[2:HEADER_BYTES], "big"), self._mids.stop))
        self._mids = range(0)
        self.requests = self.answers = iter(_NONE)
