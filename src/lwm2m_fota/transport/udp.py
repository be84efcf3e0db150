"""UDP over asyncio's readiness callbacks: one unconnected socket, IPv4 or IPv6.

A raw socket with `add_reader` and a bounded drain loop, because asyncio's own datagram transport makes room for
256 KiB before every datagram, and has no end of a batch at which answers could be sent together.

ICMP errors are not asked for (IP_RECVERR): anybody can forge them, and a device that restarts answers with them for a
while. So `unreachable` comes only for datagrams that this host itself could not send.
"""

import asyncio
import errno
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, cast, final

from lwm2m_fota.errors import TransportError, UsageError
from lwm2m_fota.transport.base import BurstReceiver, DatagramAnswerer, DatagramHandler, Peer
from lwm2m_fota.transport.bursts import SENT, Segmentation, parts_of
from lwm2m_fota.transport.names import SocketAddress, bind_socket, resolve_host
from lwm2m_fota.transport.patience import Patience

DEFAULT_MAX_DATAGRAM_BYTES: Final = 2048  # CoAP needs 1152 (RFC 7252 section 4.6)
DEFAULT_RECEIVE_BUFFER_BYTES: Final = 1 << 20
DEFAULT_SEND_QUEUE_DATAGRAMS: Final = 1024
DRAIN_DATAGRAMS: Final = 64  # read in one turn, so that a flood does not starve the timers

_NOTHING: Final = b""
_UNREACHABLE_ERRNOS: Final = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL, errno.ECONNREFUSED}
)


def normalised(address: SocketAddress) -> SocketAddress:
    """The one form of a socket address: without the flow label, which may differ between datagrams of one peer."""
    if len(address) == 4:  # noqa: PLR2004 - host, port, flow, scope: IPv6
        return (address[0], address[1], 0, address[3])
    return address


def address_towards(peer: Peer) -> str:
    """The address of this host from which datagrams to a peer leave: where that peer can answer. Nothing is sent.

    Raises:
        TransportError: no way leads there.
    """
    address = cast("SocketAddress", peer)
    family = socket.AF_INET if len(address) == 2 else socket.AF_INET6  # noqa: PLR2004 - host, port: IPv4
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            host: str = probe.getsockname()[0]
    except OSError as error:
        raise TransportError(f"no way leads to {address[0]}: {error.strerror}") from error
    return host.removeprefix("::ffff:")


class _Link:
    """An open socket with its handler."""

    __slots__ = ("_answer_to", "_burst_received", "_closed", "_handler", "_loop", "_lost", "_owner", "_patience", "_v6",
                 "segmentation", "sock", "waiting")  # fmt: skip

    def __init__(
        self, owner: "UdpTransport", sock: socket.socket, handler: DatagramHandler, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.sock = sock
        self.waiting: deque[tuple[bytes, Peer]] = deque()
        self.segmentation = Segmentation(sock)
        self._owner = owner
        self._handler = handler
        self._answer_to = handler.answer if isinstance(handler, DatagramAnswerer) else self._answer
        self._burst_received = handler.burst_received if isinstance(handler, BurstReceiver) else None
        self._loop = loop
        self._lost: dict[Peer, None] = {}  # in order, each once
        self._closed = False
        self._patience = Patience()
        self._v6 = sock.family == socket.AF_INET6
        loop.add_reader(sock, self._readable)

    def _readable(self) -> None:
        """Read what is there, and what comes while we send."""
        try:
            if self.segmentation.receives:
                self._read_bursts()
            else:
                self._read_datagrams()
        finally:
            if not self._closed:
                self._handler.drained()

    def _read_datagrams(self) -> None:  # noqa: C901 - the ways one read can end; a call for each would cost
        handler, answer_to, sock, limit = self._handler, self._answer_to, self.sock, self._owner.max_datagram_bytes
        segmentation, patience = self.segmentation, self._patience
        is_answered = True
        lent = False
        heard = 0
        for _ in range(DRAIN_DATAGRAMS):
            try:
                data, address = sock.recvfrom(limit + 1)
            except BlockingIOError:
                if not lent and (heard or not is_answered) and patience.looks_twice():
                    lent = True
                    continue
                if is_answered:
                    if heard == 1:
                        patience.vain()
                    return
                handler.drained()
                is_answered = True
                lent = False
            except OSError:  # some systems report here what an earlier datagram met
                continue
            else:
                if len(data) > limit:
                    self._owner.oversized += 1
                    continue
                peer = normalised(address) if self._v6 else address
                answer = answer_to(data, peer)
                is_answered = answer is not None
                lent = lent and not is_answered
                heard += 1
                if answer:
                    self.send(answer, peer)
                elif self._burst_received is not None:
                    segmentation.heard()
            if self._closed or segmentation.receives:
                return
            if is_answered and not patience.looks_again(heard):
                return

    def _answer(self, data: bytes, peer: Peer) -> bytes | None:
        """The same for a handler that sends by itself."""
        return _NOTHING if self._handler.datagram_received(data, peer) else None

    def _read_bursts(self) -> None:
        limit, burst_received, handler = self._owner.max_datagram_bytes, self._burst_received, self._handler
        patience = self._patience
        lent = False
        heard = 0
        for _ in range(DRAIN_DATAGRAMS):
            try:
                data, size, address = self.segmentation.receive(limit)
            except BlockingIOError:
                if not lent and heard and patience.looks_twice():
                    lent = True
                    continue
                if heard == 1:
                    patience.vain()
                return
            except OSError:
                continue
            lent = False
            heard += 1
            peer = normalised(address) if self._v6 else address
            if size > limit:
                self._owner.oversized += 1
            elif size < len(data) and burst_received is not None:
                burst_received(data, size, peer)
                handler.drained()  # before the processor is lent: the peer may wait for what that led to
            else:
                handler.datagram_received(data, peer)
            if self._closed or not patience.looks_again(heard):
                return

    def burst(self, datagrams: Sequence[bytes], peer: Peer) -> None:
        for part in parts_of(datagrams):
            try:
                if not self.waiting and self.segmentation.send(part, peer):
                    continue
            except OSError:
                pass  # one by one, each as it can
            for data in part:
                self.send(data, peer)

    def send(self, data: bytes, peer: Any) -> None:  # noqa: ANN401 - a socket address
        self.segmentation.quiet = SENT
        if self.waiting:
            self._wait(data, peer)
            return
        try:
            self.sock.sendto(data, peer)
        except BlockingIOError:
            self._wait(data, peer)
            self._loop.add_writer(self.sock, self._writable)
        except OSError as error:
            self._unsent(error, peer)

    def _wait(self, data: bytes, peer: Peer) -> None:
        if len(self.waiting) < self._owner.send_queue_datagrams:
            self.waiting.append((data, peer))
        else:
            self._owner.unsent += 1

    def _unsent(self, error: OSError, peer: Peer) -> None:
        self._owner.unsent += 1
        if error.errno in _UNREACHABLE_ERRNOS:
            if not self._lost:
                self._loop.call_soon(self._report_lost)
            self._lost[peer] = None

    def _writable(self) -> None:
        while self.waiting:
            data, peer = self.waiting[0]
            try:
                self.sock.sendto(data, cast("Any", peer))
            except BlockingIOError:
                return
            except OSError as error:
                self._unsent(error, peer)
            self.waiting.popleft()
        self._loop.remove_writer(self.sock)

    def _report_lost(self) -> None:
        if self._closed:
            return
        lost, self._lost = self._lost, {}
        for peer in lost:
            self._handler.unreachable(peer)
        self._handler.drained()

    def close(self) -> None:
        self._closed = True
        self.waiting.clear()
        self._loop.remove_reader(self.sock)
        self._loop.remove_writer(self.sock)
        self.sock.close()


@final
class UdpTransport:
    """A `DatagramTransport` over UDP. Its peers are socket addresses, see `normalised`.

    Args:
        host: the local address; `::` takes IPv6 and IPv4, whose peers are then `::ffff:` addresses.
        port: the local port; 0 takes a free one.
        max_datagram_bytes: longer datagrams that arrive are dropped whole.
        receive_buffer_bytes: what to ask of the kernel, for bursts; it may grant less.
        send_queue_datagrams: how many wait while the socket is full; more are lost.

    Attributes:
        oversized: datagrams dropped because of their length, since the object was made.
        unsent: datagrams that did not leave this host, since the object was made.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        max_datagram_bytes: int = DEFAULT_MAX_DATAGRAM_BYTES,
        receive_buffer_bytes: int = DEFAULT_RECEIVE_BUFFER_BYTES,
        send_queue_datagrams: int = DEFAULT_SEND_QUEUE_DATAGRAMS,
    ) -> None:
        self._host = host
        self._port = port
        self._receive_buffer_bytes = receive_buffer_bytes
        self._link: _Link | None = None
        self.max_datagram_bytes = max_datagram_bytes
        self.send_queue_datagrams = send_queue_datagrams
        self.oversized = 0
        self.unsent = 0

    def _opened(self) -> _Link:
        if self._link is None:
            raise UsageError("the transport is not open")
        return self._link

    @property
    def scheme(self) -> str:
        """Plain CoAP."""
        return "coap"

    @property
    def sessions(self) -> None:
        """There are none: peers are addresses."""

    async def open(self, handler: DatagramHandler) -> None:
        """Bind the socket and begin to receive.

        Raises:
            TransportError: the address cannot be had.
            UsageError: it is open already.
        """
        sock = await bind_socket(self._host, self._port, socket.SOCK_DGRAM, self._prepared)
        if self._link is not None:
            sock.close()
            raise UsageError("the transport is open already")
        loop = asyncio.get_running_loop()
        self._link = _Link(self, sock, handler, loop)

    def _prepared(self, sock: socket.socket) -> None:
        sock.settimeout(0)  # never block
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer_bytes)

    def send(self, data: bytes, peer: Peer) -> None:
        """Send one datagram, or lose it.

        Raises:
            UsageError: the transport is not open.
        """
        link = self._link
        if link is None:
            raise UsageError("the transport is not open")
        link.send(data, peer)

    def send_burst(self, datagrams: Sequence[bytes], peer: Peer) -> None:
        """Send several datagrams, in as few system calls as this system allows; see `BurstSender`.

        Raises:
            UsageError: the transport is not open.
        """
        self._opened().burst(datagrams, peer)

    async def close(self) -> None:
        """Close the socket; what still waits to be sent is lost."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    @property
    def local_address(self) -> tuple[str, int]:
        """Host and port that the socket is bound to.

        Raises:
            UsageError: the transport is not open.
        """
        host, port, *_ = self._opened().sock.getsockname()
        return host, port

    async def resolve(self, host: str, port: int) -> Peer:
        """The socket address of a host, in the family of this socket.

        Raises:
            InvalidUriError: there is no such host, or no such port.
            TransportError: the name service cannot tell at present.
            UsageError: the transport is not open.
        """
        family = self._opened().sock.family
        # IPv4 hosts are reached from an IPv6 socket by their mapped addresses
        flags = socket.AI_V4MAPPED if family == socket.AF_INET6 else 0
        return normalised(await resolve_host(host, port, socket.SOCK_DGRAM, family, flags))
