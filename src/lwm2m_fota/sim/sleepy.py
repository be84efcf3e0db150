"""A transport that sleeps: what comes while it does is lost, as it is at a device in queue mode."""

import asyncio
from typing import TYPE_CHECKING, final

from lwm2m_fota.transport.base import DatagramHandler, DatagramTransport, Peer

if TYPE_CHECKING:
    from lwm2m_fota.transport.sessions import SessionTransport


@final
class SleepyTransport:
    """A `DatagramTransport` that hears nothing unless something went out or came in a short while before.

    Args:
        inner: what it sleeps on.
        awake_s: from the last datagram until it sleeps, seconds.

    Attributes:
        missed: how many datagrams came while it slept.
    """

    def __init__(self, inner: DatagramTransport, awake_s: float) -> None:
        self._inner = inner
        self._awake_s = awake_s
        self._sleeps_at = float("-inf")
        self.missed = 0

    @property
    def scheme(self) -> str:
        """That of the transport below."""
        return self._inner.scheme

    @property
    def sessions(self) -> "SessionTransport | None":
        """Those of the transport below."""
        return self._inner.sessions

    @property
    def local_address(self) -> tuple[str, int]:
        """That of the transport below."""
        return self._inner.local_address

    async def open(self, handler: DatagramHandler) -> None:
        """Open the transport below; asleep until something is sent."""
        await self._inner.open(_Ears(self, handler))

    async def close(self) -> None:
        """Close the transport below."""
        await self._inner.close()

    async def resolve(self, host: str, port: int) -> Peer:
        """What the transport below says."""
        return await self._inner.resolve(host, port)

    def send(self, data: bytes, peer: Peer) -> None:
        """Wake, and send."""
        self.stay_awake()
        self._inner.send(data, peer)

    def hears(self) -> bool:
        """Whether it is awake; what comes while it is not counts as missed."""
        is_awake = asyncio.get_running_loop().time() <= self._sleeps_at
        self.missed += not is_awake
        return is_awake

    def stay_awake(self) -> None:
        """Begin the time anew until it sleeps."""
        self._sleeps_at = asyncio.get_running_loop().time() + self._awake_s


class _Ears:
    """Hands on what is heard."""

    def __init__(self, transport: SleepyTransport, handler: DatagramHandler) -> None:
        self._transport = transport
        self._handler = handler

    def datagram_received(self, data: bytes, peer: Peer) -> bool:
        if not self._transport.hears():
            return True
        self._transport.stay_awake()
        return self._handler.datagram_received(data, peer)

    def unreachable(self, peer: Peer) -> None:
        self._handler.unreachable(peer)

    def ended(self, peer: Peer) -> None:
        self._handler.ended(peer)

    def drained(self) -> None:
        self._handler.drained()
