"""Datagrams between transports of one process, delivered by the event loop."""

import asyncio
import ipaddress
from collections.abc import Iterable
from typing import Final, TypeAlias, cast, final

from lwm2m_fota.errors import InvalidUriError, TransportError, UsageError
from lwm2m_fota.transport.base import DatagramHandler, Peer

Address: TypeAlias = tuple[str, int]

_FIRST_FREE_PORT: Final = 49152
_MAX_PORT: Final = 65535


class _Endpoint:
    """An open transport with its handler; what arrives in one turn of the loop is one batch."""

    __slots__ = ("_handler", "_inbox", "_loop", "address", "closed")

    def __init__(self, handler: DatagramHandler, loop: asyncio.AbstractEventLoop) -> None:
        self._handler = handler
        self._loop = loop
        self._inbox: list[tuple[bytes | None, Address]] = []
        self.address: Address = ("", 0)
        self.closed = False

    def deliver(self, data: bytes | None, peer: Address) -> None:
        """A datagram from `peer`; None says that the peer is unreachable."""
        if not self._inbox:
            self._loop.call_soon(self._drain)
        self._inbox.append((data, peer))

    def _drain(self) -> None:
        if self.closed:
            return
        batch, self._inbox = self._inbox, []
        try:
            for data, peer in batch:
                if data is None:
                    self._handler.unreachable(peer)
                else:
                    self._handler.datagram_received(data, peer)
        finally:
            self._handler.drained()


class MemoryNetwork:
    """Carries datagrams between its transports, by address.

    A subclass makes it worse: `fate` decides what becomes of each datagram.

    Args:
        reports_unreachable: tell senders when nobody listens; a real network need not do that.

    Attributes:
        names: host names and their addresses, for `resolve`.
        undelivered: datagrams that found nobody.
    """

    def __init__(self, *, reports_unreachable: bool = False) -> None:
        self._bound: dict[Address, _Endpoint] = {}
        self._hosts: set[str] = set()
        self._free_port = _FIRST_FREE_PORT
        self._reports_unreachable = reports_unreachable
        self.names: dict[str, str] = {}
        self.undelivered = 0

    def transport(self, host: str = "127.0.0.1", port: int = 0) -> "MemoryTransport":
        """A new transport of this network; it takes its address when it is opened, port 0 a free one."""
        return MemoryTransport(self, host, port)

    def fate(self, data: bytes, source: Address, destination: Address) -> Iterable[float]:
        """The delay in seconds of every copy that arrives; none at all if the datagram is lost."""
        del data, source, destination
        return (0.0,)

    def bind(self, endpoint: _Endpoint, host: str, port: int) -> Address:
        """Give an endpoint its address.

        Raises:
            TransportError: another one has it.
        """
        while port == 0:
            if (host, self._free_port) not in self._bound:
                port = self._free_port
            self._free_port = self._free_port + 1 if self._free_port < _MAX_PORT else _FIRST_FREE_PORT
        if (host, port) in self._bound:
            raise TransportError(f"cannot bind to {host} port {port}: it is in use")
        self._bound[host, port] = endpoint
        self._hosts.add(host)
        return host, port

    def unbind(self, address: Address) -> None:
        """Take an address back."""
        del self._bound[address]

    def carry(self, data: bytes, source: Address, destination: Address) -> None:
        """Take a datagram on its way."""
        for delay_s in self.fate(data, source, destination):
            if delay_s > 0:
                asyncio.get_running_loop().call_later(delay_s, self._arrive, data, source, destination)
            else:
                self._arrive(data, source, destination)

    def _arrive(self, data: bytes, source: Address, destination: Address) -> None:
        receiver = self._bound.get(destination)
        if receiver is not None:
            receiver.deliver(data, source)
            return
        self.undelivered += 1
        sender = self._bound.get(source)
        if self._reports_unreachable and sender is not None:
            sender.deliver(None, destination)

    def resolve(self, host: str, port: int) -> Address:
        """The address behind a host: in `names`, of a transport ever opened here, or a number.

        Raises:
            InvalidUriError: there is no such host, or no such port.
        """
        host = self.names.get(host, host)
        if not 0 < port <= _MAX_PORT:
            raise InvalidUriError(f"there is no port {port}")
        if host not in self._hosts:
            try:
                ipaddress.ip_address(host)
            except ValueError:
                raise InvalidUriError(f"there is no host {host!r}") from None
        return host, port


@final
class MemoryTransport:
    """A `DatagramTransport` of a `MemoryNetwork`. Its peers are `(host, port)`."""

    __slots__ = ("_endpoint", "_host", "_network", "_port")

    def __init__(self, network: MemoryNetwork, host: str, port: int) -> None:
        self._network = network
        self._host = host
        self._port = port
        self._endpoint: _Endpoint | None = None

    def _opened(self) -> _Endpoint:
        if self._endpoint is None:
            raise UsageError("the transport is not open")
        return self._endpoint

    @property
    def scheme(self) -> str:
        """Plain CoAP."""
        return "coap"

    @property
    def sessions(self) -> None:
        """There are none: peers are addresses."""

    async def open(self, handler: DatagramHandler) -> None:
        """Take the address and begin to receive.

        Raises:
            TransportError: another transport has it.
            UsageError: it is open already.
        """
        if self._endpoint is not None:
            raise UsageError("the transport is open already")
        endpoint = _Endpoint(handler, asyncio.get_running_loop())
        endpoint.address = self._network.bind(endpoint, self._host, self._port)
        self._endpoint = endpoint

    def send(self, data: bytes, peer: Peer) -> None:
        """Hand one datagram to the network.

        Raises:
            UsageError: the transport is not open.
        """
        self._network.carry(bytes(data), self._opened().address, cast("Address", peer))

    async def close(self) -> None:
        """Give the address back."""
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            endpoint.closed = True
            self._network.unbind(endpoint.address)

    @property
    def local_address(self) -> Address:
        """The address taken.

        Raises:
            UsageError: the transport is not open.
        """
        return self._opened().address

    async def resolve(self, host: str, port: int) -> Peer:
        """The address behind a host of this network.

        Raises:
            InvalidUriError: there is no such host, or no such port.
            UsageError: the transport is not open.
        """
        self._opened()
        return self._network.resolve(host, port)
