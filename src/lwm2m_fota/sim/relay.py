"""A bad UDP path between real programs: a relay whose faults come from a seed.

Whoever sends to the relay reaches its target, and gets the answers from it. Towards the target each of them has a port
of its own, which `move` changes, as a NAT does that has forgotten.
"""

import asyncio
import socket
from typing import Any, Final, final

from lwm2m_fota.errors import TransportError, UsageError
from lwm2m_fota.sim.weather import Fate, Weather

DEFAULT_MAX_PEERS: Final = 1024
DEFAULT_BUFFER_BYTES: Final = 1 << 20
_MAX_DATAGRAM_BYTES: Final = 65_536
_DRAIN_DATAGRAMS: Final = 64


@final
class UdpRelay:
    """Carries datagrams between peers and one target, as the weather has it.

    Use it as an asynchronous context manager.

    Args:
        target: host and port that it leads to; the host is a number.
        weather: the faults, of both directions.
        host: where it listens, an address of the target's family.
        port: where it listens; 0 takes a free one.
        max_peers: peers at a time; datagrams of more are lost.

    Attributes:
        weather: the faults, which may be changed while it runs.
        is_cut: nothing gets through while it is True.
    """

    def __init__(
        self,
        target: tuple[str, int],
        weather: Weather,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        max_peers: int = DEFAULT_MAX_PEERS,
    ) -> None:
        self._target = target
        self._host = host
        self._port = port
        self._max_peers = max_peers
        self._front: socket.socket | None = None
        self._backs: dict[Any, socket.socket] = {}  # by the address of the peer
        self.weather = weather
        self.is_cut = False

    async def __aenter__(self) -> "UdpRelay":
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def local_address(self) -> tuple[str, int]:
        """Where it listens.

        Raises:
            UsageError: it is not open.
        """
        host, port, *_ = self._opened().getsockname()
        return host, port

    def _opened(self) -> socket.socket:
        if self._front is None:
            raise UsageError("the relay is not open")
        return self._front

    async def open(self) -> None:
        """Begin to carry.

        Raises:
            TransportError: the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        self._front = front = self._socket((self._host, self._port))
        loop.add_reader(front, self._from_peers)

    async def close(self) -> None:
        """Stop; what is under way is lost. Twice is harmless."""
        loop = asyncio.get_running_loop()
        front, self._front = self._front, None
        backs, self._backs = self._backs, {}
        for sock in (*backs.values(), *([] if front is None else [front])):
            loop.remove_reader(sock)
            sock.close()

    def move(self) -> None:
        """Give every peer another port towards the target; answers that go to the old ones are lost."""
        loop = asyncio.get_running_loop()
        backs, self._backs = self._backs, {}
        for sock in backs.values():
            loop.remove_reader(sock)
            sock.close()

    def _socket(self, address: tuple[str, int]) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.settimeout(0)  # never block
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, DEFAULT_BUFFER_BYTES)
            sock.bind(address)
        except OSError as error:
            sock.close()
            raise TransportError(f"cannot bind to {address[0]} port {address[1]}: {error.strerror}") from error
        return sock

    # -- datagrams

    def _from_peers(self) -> None:
        front = self._opened()
        for _ in range(_DRAIN_DATAGRAMS):
            try:
                data, peer = front.recvfrom(_MAX_DATAGRAM_BYTES)
            except OSError:
                return
            back = self._back(peer)
            if back is not None:
                self._carry(data, back, self._target)

    def _back(self, peer: Any) -> socket.socket | None:  # noqa: ANN401 - a socket address
        back = self._backs.get(peer)
        if back is None and len(self._backs) < self._max_peers:
            back = self._backs[peer] = self._socket((self._host, 0))
            asyncio.get_running_loop().add_reader(back, self._from_target, back, peer)
        return back

    def _from_target(self, back: socket.socket, peer: Any) -> None:  # noqa: ANN401
        for _ in range(_DRAIN_DATAGRAMS):
            try:
                data = back.recv(_MAX_DATAGRAM_BYTES)
            except OSError:
                return
            self._carry(data, self._opened(), peer)

    def _carry(self, data: bytes, sock: socket.socket, address: Any) -> None:  # noqa: ANN401
        fate, delays = self.weather.draw(is_cut=self.is_cut)
        del fate
        loop = asyncio.get_running_loop()
        for delay_s in delays:
            if delay_s > 0:
                loop.call_later(delay_s, self._send, data, sock, address)
            else:
                self._send(data, sock, address)

    def _send(self, data: bytes, sock: socket.socket, address: Any) -> None:  # noqa: ANN401
        try:
            sock.sendto(data, address)
        except OSError:  # the socket is closed or full: the network loses datagrams
            self.weather.counts[Fate.LOST] += 1
