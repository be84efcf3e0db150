"""Places for transfers: so many for each peer and so many in all, and what happens when they are taken."""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar, final

import attrs

from lwm2m_fota.errors import BusyError, UsageError

_V = TypeVar("_V")


@final
@attrs.frozen(kw_only=True)
class TransferLimits:
    """Bounds of the transfers of all peers together.

    Attributes:
        in_all: transfers at a time; one more is refused with 5.03, and Max-Age says when there may be room.
        per_peer: of one peer; likewise.
        idle_s: a transfer that nothing was heard of for so many seconds gives way to another; by default
            MAX_TRANSMIT_WAIT (RFC 7252 section 4.8.2), longer than any pause of a peer that is still there.

    Raises:
        UsageError: a count below 1, or a negative time.
    """

    in_all: int
    per_peer: int = 4
    idle_s: float = 93.0

    def __attrs_post_init__(self) -> None:
        if min(self.in_all, self.per_peer) < 1 or self.idle_s < 0:
            raise UsageError("there is room for one transfer at least, and no time is negative")


@final
class Places(Generic[_V]):
    """At most one transfer for each peer and key.

    One that has ended keeps its place until another one needs it: a peer may ask for its end again.
    """

    __slots__ = ("_ended", "_limits", "_of_peer", "_running")

    def __init__(self, limits: TransferLimits) -> None:
        self._limits = limits
        self._running: dict[tuple[Hashable, Hashable], tuple[_V, float]] = {}  # the one heard of last is the last
        self._ended: dict[tuple[Hashable, Hashable], _V] = {}
        self._of_peer: dict[Hashable, dict[Hashable, None]] = {}  # of the running ones, in the same order

    def __len__(self) -> int:
        return len(self._running) + len(self._ended)

    def get(self, peer: Hashable, key: Hashable) -> _V | None:
        """The transfer of a peer under a key."""
        running = self._running.get((peer, key))
        return self._ended.get((peer, key)) if running is None else running[0]

    def heard(self, peer: Hashable, key: Hashable, value: _V, now: float) -> None:
        """Give a transfer a place, or note that it goes on; it takes that of another under the same key.

        Raises:
            BusyError: no place is free; nothing has changed.
        """
        place = peer, key
        if place not in self._running and place not in self._ended:
            self._make_room(peer, now)
        self.drop(peer, key)
        self._running[place] = value, now
        self._of_peer.setdefault(peer, {})[key] = None

    def _make_room(self, peer: Hashable, now: float) -> None:
        own = self._of_peer.get(peer, {})
        if len(own) >= self._limits.per_peer:
            self._give_way((peer, next(iter(own))), "too many transfers of this peer", now)
        elif len(self) >= self._limits.in_all:
            if self._ended:
                del self._ended[next(iter(self._ended))]
            else:
                self._give_way(next(iter(self._running)), "too many transfers", now)

    def _give_way(self, place: tuple[Hashable, Hashable], why: str, now: float) -> None:
        wait_s = self._running[place][1] + self._limits.idle_s - now
        if wait_s > 0:
            raise BusyError(why, retry_after_s=wait_s)
        self.drop(*place)

    def end(self, peer: Hashable, key: Hashable) -> None:
        """A running transfer has ended: from now on it gives way to any other."""
        value, _ = self._running[peer, key]
        self.drop(peer, key)
        self._ended[peer, key] = value

    def drop(self, peer: Hashable, key: Hashable) -> None:
        """Forget a transfer, if it is there."""
        self._ended.pop((peer, key), None)
        if self._running.pop((peer, key), None) is not None:
            own = self._of_peer[peer]
            del own[key]
            if not own:
                del self._of_peer[peer]

    def values(self) -> Iterator[_V]:
        """All transfers."""
        for value, _ in self._running.values():
            yield value
        yield from self._ended.values()

    def peers(self, key: Hashable) -> list[Hashable]:
        """Whose transfers are under a key."""
        return [peer for peer, each in (*self._running, *self._ended) if each == key]
