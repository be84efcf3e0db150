"""What an endpoint knows of its peers, bounded, and when it must look at one again.

A peer has few deadlines, and most of them pass unused: an acknowledgement comes long before its time-out. So there is
no timer for a message. Each peer has alarms, which may ring early (its owner then looks, and sets the next) but never
late; a transfer of thousands of blocks sets one alarm for each time-out that really passes.
"""

from collections import OrderedDict
from heapq import heapify, heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Final, TypeAlias, final

from lwm2m_fota.coap.dedup import Recollection, ReplyBudget
from lwm2m_fota.coap.events import Peer
from lwm2m_fota.coap.limits import EndpointLimits
from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.coap.reliability import MID_COUNT, Entropy, MessageIds, Outgoing

if TYPE_CHECKING:
    from lwm2m_fota.coap.call import Call
    from lwm2m_fota.coap.giving import GiveLane
    from lwm2m_fota.coap.pulling import PullLane
    from lwm2m_fota.coap.pulling_wide import WidePullLane
    from lwm2m_fota.coap.pushing import PushLane
    from lwm2m_fota.coap.qgiving import QGive
    from lwm2m_fota.coap.qpulling import QPull
    from lwm2m_fota.coap.qpushing import QPush
    from lwm2m_fota.coap.qrequests import Body
    from lwm2m_fota.coap.qtaking import QTake
    from lwm2m_fota.coap.serving import Exchange
    from lwm2m_fota.coap.taking import TakeLane

AskingLane: TypeAlias = "PullLane | WidePullLane | PushLane | QPull | QPush"
"""The hot path of a call."""

_EVICTION_TRIES: Final = 8
_MIN_STALE_ALARMS: Final = 64


@final
class PeerState:
    """All that is known of one peer.

    Attributes:
        address: the name that the transport gave.
        parameters: its transmission parameters.
        lifetime_s: EXCHANGE_LIFETIME of those, kept because every message needs it.
        ids: our message ids.
        in_flight: our messages that count for NSTART, by message id.
        queue: our messages that wait for NSTART.
        tokens: our calls by the tokens that answers may carry.
        calls: our running calls by number.
        bodies: what it sends by sets of blocks; the one heard of last is the last.
        exchanges: its requests that wait for `respond`, by exchange number.
        recalled: its messages that came lately.
        noted: the tokens of non-confirmable notifications lately sent to it, by message id.
        idle_at: monotonic seconds at which it may be forgotten if nothing runs.
        alarms: when it will be looked at, descending; the last one is the next.
        asking: the hot path of a call, see `pulling` and `pushing`.
        answering: the hot path of a body that it sends or fetches, see `taking` and `giving`.
        knows_q_block: whether it understands Q-Block; None if it has not shown.
        probing_until: monotonic seconds before which no body goes to it by sets, since it did not answer to one.
        round_trip_s: seconds that the last message took that it acknowledged at once; 0 as long as there is none.
        is_known: it has shown that it is where its datagrams say, see `strangers`.
        echo: the Echo value that it has to bring back to show that; empty if it was given none.
        gone: it was forgotten.
    """

    __slots__ = (
        "address",
        "alarms",
        "answering",
        "asking",
        "bodies",
        "calls",
        "echo",
        "exchanges",
        "gone",
        "idle_at",
        "ids",
        "in_flight",
        "is_known",
        "knows_q_block",
        "lifetime_s",
        "noted",
        "parameters",
        "probing_until",
        "queue",
        "recalled",
        "round_trip_s",
        "tokens",
    )

    def __init__(
        self, address: Peer, parameters: TransmissionParameters, ids: MessageIds, recalled: Recollection
    ) -> None:
        self.address = address
        self.parameters = parameters
        self.lifetime_s = parameters.exchange_lifetime_s
        self.ids = ids
        self.in_flight: dict[int, Outgoing] = {}
        self.queue: list[Outgoing] = []
        self.tokens: dict[bytes, Call] = {}
        self.calls: dict[int, Call] = {}
        self.bodies: dict[Body, QTake] = {}
        self.exchanges: dict[int, Exchange] = {}
        self.recalled = recalled
        self.noted: OrderedDict[int, bytes] = OrderedDict()
        self.idle_at = 0.0
        self.alarms: list[float] = []
        self.asking: AskingLane | None = None
        self.answering: TakeLane | GiveLane | QGive | QTake | None = None
        self.knows_q_block: bool | None = None
        self.probing_until = 0.0
        self.round_trip_s = 0.0
        self.is_known = False
        self.echo = b""
        self.gone = False

    def busy(self) -> bool:
        """Something runs that forgetting would lose."""
        return bool(self.in_flight or self.queue or self.tokens or self.calls or self.exchanges or self.bodies)


@final
class PeerTable:
    """The peers in order of activity, and their alarms."""

    __slots__ = (
        "_alarm_number",
        "_budget",
        "_defaults",
        "_entropy",
        "_limits",
        "_parameters",
        "_stale_alarms",
        "alarms",
        "states",
    )

    def __init__(self, entropy: Entropy, defaults: TransmissionParameters, limits: EndpointLimits) -> None:
        self._entropy = entropy
        self._defaults = defaults
        self._limits = limits
        self._budget = ReplyBudget(limits.cached_reply_bytes)
        self._parameters: dict[Peer, TransmissionParameters] = {}
        self.states: OrderedDict[Peer, PeerState] = OrderedDict()
        self.alarms: list[tuple[float, int, PeerState]] = []
        self._alarm_number = 0
        self._stale_alarms = 0

    def __len__(self) -> int:
        return len(self.states)

    @property
    def budget(self) -> ReplyBudget:
        """The replies kept for duplicates, of all peers."""
        return self._budget

    def get(self, peer: Peer) -> PeerState | None:
        """What is known of a peer."""
        return self.states.get(peer)

    def admit(self, peer: Peer, now: float) -> PeerState | None:
        """What is known of a peer, from now on at least its name; None if there is no room for a new one."""
        state = self.states.get(peer)
        if state is None:
            if len(self.states) >= self._limits.peers and not self._make_room():
                return None
            state = self.states[peer] = self._new_state(peer)
            self.alarm(state, now + state.lifetime_s)
        self.touch(state, now)
        return state

    def touch(self, state: PeerState, now: float) -> None:
        """A peer is active: its idle time begins anew."""
        state.idle_at = now + state.lifetime_s
        self.states.move_to_end(state.address)

    def _new_state(self, peer: Peer) -> PeerState:
        return PeerState(
            peer,
            self._parameters.get(peer, self._defaults),
            MessageIds(int(self._entropy.uniform(0, MID_COUNT)), self._limits.mid_exhaustion),
            Recollection(self._budget, self._limits.remembered_per_peer),
        )

    def _make_room(self) -> bool:
        for _ in range(min(_EVICTION_TRIES, len(self.states))):
            state = next(iter(self.states.values()))
            if not state.busy():
                self.forget(state)
                return True
            self.states.move_to_end(state.address)
        return False

    def forget(self, state: PeerState) -> None:
        """Forget a peer for which nothing runs."""
        del self.states[state.address]
        state.recalled.clear()
        state.gone = True
        self._stale_alarms += len(state.alarms)
        if self._stale_alarms > _MIN_STALE_ALARMS and self._stale_alarms * 2 > len(self.alarms):
            self.alarms[:] = [alarm for alarm in self.alarms if not alarm[2].gone]
            heapify(self.alarms)
            self._stale_alarms = 0
        while self.alarms and self.alarms[0][2].gone:
            heappop(self.alarms)
            self._stale_alarms -= 1

    def set_parameters(self, peer: Peer, parameters: TransmissionParameters | None) -> None:
        """Parameters for one peer, kept until they are set to None: those of the endpoint then hold again."""
        if parameters is None:
            self._parameters.pop(peer, None)
        else:
            self._parameters[peer] = parameters
        state = self.states.get(peer)
        if state is not None:
            state.parameters = parameters or self._defaults
            state.lifetime_s = state.parameters.exchange_lifetime_s

    def alarm(self, state: PeerState, when: float) -> None:
        """Look at a peer no later than `when`, monotonic seconds; infinite is never."""
        alarms = state.alarms
        if when < (alarms[-1] if alarms else inf):
            alarms.append(when)
            self._alarm_number += 1
            heappush(self.alarms, (when, self._alarm_number, state))

    def due(self, now: float) -> list[PeerState]:
        """The peers to look at, each once; the caller sets their next alarms."""
        found: dict[int, PeerState] = {}
        while self.alarms and self.alarms[0][0] <= now:
            state = heappop(self.alarms)[2]
            if state.gone:
                self._stale_alarms -= 1
            else:
                state.alarms.pop()
                found[id(state)] = state
        return list(found.values())

    def retire(self, state: PeerState, now: float) -> None:
        """Forget a peer without activity for EXCHANGE_LIFETIME: none of its messages can still be under way.

        If it cannot be forgotten yet, it is looked at again when it may be.
        """
        if state.idle_at <= now:
            if not state.busy():
                self.forget(state)
                return
            self.touch(state, now)
        self.alarm(state, state.idle_at)

    def next_deadline(self) -> float | None:
        """When `due` has something to do, monotonic seconds; None without peers."""
        alarms = self.alarms
        return alarms[0][0] if alarms else None
