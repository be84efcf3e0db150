"""What the runtime asks of a transport, and what a transport tells the runtime.

A transport moves whole datagrams and promises nothing more: they may be lost, doubled or reordered. It has no
protocol in it; retransmission, order and deduplication belong to the CoAP core (RFC 7252 section 4).
"""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from lwm2m_fota.transport.sessions import SessionTransport

Peer: TypeAlias = Hashable
"""The address of the other end, as the transport names it.

Equal ends have equal peers, however they were learnt (from a datagram or by `resolve`). Its shape is the transport's
own; a UDP peer is `(host, port)` over IPv4 and `(host, port, 0, scope)` over IPv6, the host as a number.
"""


class DatagramHandler(Protocol):
    """Takes what a transport has to tell.

    Calls come from the event loop, one at a time, between `open` and `close`. A turn of the transport is any number of
    `datagram_received`, `unreachable` and `ended`, then one `drained`: time to work off the batch and to send.
    """

    def datagram_received(self, data: bytes, peer: Peer) -> bool:
        """One whole datagram from `peer`, as it came; it may be empty.

        Returns:
            False if what it leads to is sent at `drained`, so that more datagrams should be looked for before.
        """
        ...

    def unreachable(self, peer: Peer) -> None:
        """The network says that datagrams do not get to `peer`; a hint, for the next one may."""
        ...

    def ended(self, peer: Peer) -> None:
        """The session that this peer was has ended: nothing more comes from it or gets to it."""
        ...

    def drained(self) -> None:
        """There is no more for now."""
        ...


@runtime_checkable
class BurstReceiver(Protocol):
    """What a handler may be besides: one that takes several datagrams at once."""

    def burst_received(self, data: bytes, size: int, peer: Peer) -> None:
        """Several whole datagrams from `peer`, behind one another: each has `size` bytes, the last one 1 to `size`."""
        ...


@runtime_checkable
class DatagramAnswerer(Protocol):
    """What a handler may be besides: one that lets the transport send what answers a datagram, which is cheaper."""

    def answer(self, data: bytes, peer: Peer) -> bytes | None:
        """As `datagram_received`.

        Returns:
            The datagram to send to `peer` now; empty if everything was sent; None where `datagram_received` is False.
        """
        ...


@runtime_checkable
class PartsReceiver(Protocol):
    """What a handler may be besides: one that takes large messages of a stream in two parts."""

    @property
    def takes_parts(self) -> bool:
        """Whether `datagram_received` takes `coap.stream_frames.Parted`; other handlers are given whole datagrams."""
        ...


class DatagramTransport(Protocol):
    """Sends and receives datagrams, unconnected: one transport serves all peers."""

    @property
    def scheme(self) -> str:
        """The URI scheme of CoAP over it, in lower case."""
        ...

    @property
    def sessions(self) -> "SessionTransport | None":
        """This transport, if its peers are sessions; None if they are addresses."""
        ...

    async def open(self, handler: DatagramHandler) -> None:
        """Take the local address and begin to receive.

        A closed transport may be opened again.

        Raises:
            TransportError: the local address cannot be had.
            UsageError: the transport is open already.
        """
        ...

    def send(self, data: bytes, peer: Peer) -> None:
        """Send one datagram, or lose it; never blocks, and never calls the handler before it returns.

        Network errors do not raise: what the transport learns of them comes as `unreachable`.

        Raises:
            UsageError: the transport is not open.
        """
        ...

    async def close(self) -> None:
        """Stop, at once and for good: the handler hears nothing more. Twice is harmless."""
        ...

    @property
    def local_address(self) -> tuple[str, int]:
        """Host and port that the open transport is bound to; port 0 has become a real one.

        Raises:
            UsageError: the transport is not open.
        """
        ...

    async def resolve(self, host: str, port: int) -> Peer:
        """The peer behind a host name or address, in the address family of this open transport.

        Raises:
            InvalidUriError: there is no such host, or no such port.
            TransportError: the name service cannot tell at present.
            UsageError: the transport is not open.
        """
        ...


@runtime_checkable
class BurstSender(Protocol):
    """What a transport may be besides: one that sends several datagrams to a peer cheaper together than one by one."""

    def send_burst(self, datagrams: Sequence[bytes], peer: Peer) -> None:
        """Send them in this order, or lose them, as `send` would.

        Args:
            datagrams: at least one; all have the same length, but the last may be shorter.
            peer: to whom.

        Raises:
            UsageError: the transport is not open.
        """
        ...
