"""A network in memory with faults drawn from a seed: loss, duplicates, delay, reordering, cuts."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from typing import Final, final

import attrs

from lwm2m_fota.sim.weather import Fate, Weather
from lwm2m_fota.transport.base import Peer
from lwm2m_fota.transport.memory import Address, MemoryNetwork

__all__ = ["Fate", "LossyNetwork", "Passage"]

_EVERYBODY: Final = None


@final
@attrs.frozen
class Passage:
    """One datagram that was sent.

    Attributes:
        time_s: when, on the loop's clock.
        source: who sent it.
        destination: to whom.
        data: the datagram.
        fate: what became of it.
        delays_s: of every copy that arrives, in seconds.
    """

    time_s: float
    source: Address
    destination: Address
    data: bytes
    fate: Fate
    delays_s: tuple[float, ...]


@final
class LossyNetwork(MemoryNetwork):
    """A `MemoryNetwork` with faults. The same seed and the same datagrams meet the same faults.

    Args:
        seed: of the faults.
        loss: the share of datagrams that vanish, 0 to 1.
        duplicate: the share of the others that arrive twice, 0 to 1.
        latency_s: the least delay.
        reorder_s: what comes to it, at most, drawn for each copy: later datagrams may overtake.
        reports_unreachable: tell senders when nobody listens.
        trace_datagrams: how many of the last datagrams to keep in `trace`.

    Attributes:
        weather: the faults, which may be changed while it runs.
        trace: the last datagrams, oldest first.
    """

    def __init__(
        self,
        seed: int,
        *,
        loss: float = 0.0,
        duplicate: float = 0.0,
        latency_s: float = 0.0,
        reorder_s: float = 0.0,
        reports_unreachable: bool = False,
        trace_datagrams: int = 0,
    ) -> None:
        super().__init__(reports_unreachable=reports_unreachable)
        self.weather = Weather(seed, loss=loss, duplicate=duplicate, latency_s=latency_s, reorder_s=reorder_s)
        self._cuts: set[frozenset[Peer]] = set()
        self.trace: deque[Passage] = deque(maxlen=trace_datagrams)

    @property
    def counts(self) -> Counter[Fate]:
        """How many datagrams met each fate."""
        return self.weather.counts

    def cut(self, a: Peer, b: Peer | None = None) -> None:
        """Lose whatever is sent between two peers from now on, or between one and all others."""
        self._cuts.add(frozenset({a, b}))

    def heal(self, a: Peer, b: Peer | None = None) -> None:
        """Undo the `cut` of the same peers; harmless if there is none."""
        self._cuts.discard(frozenset({a, b}))

    def fate(self, data: bytes, source: Address, destination: Address) -> Iterable[float]:
        """Draw what becomes of a datagram: the delays in seconds of the copies that arrive."""
        is_cut = bool(self._cuts) and self._is_cut(source, destination)
        fate, delays = self.weather.draw(is_cut=is_cut)
        if self.trace.maxlen:
            now = asyncio.get_running_loop().time()
            self.trace.append(Passage(now, source, destination, data, fate, tuple(delays)))
        return delays

    def _is_cut(self, a: Address, b: Address) -> bool:
        return any(frozenset(pair) in self._cuts for pair in ((a, b), (a, _EVERYBODY), (b, _EVERYBODY)))
