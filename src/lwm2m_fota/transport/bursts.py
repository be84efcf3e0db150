"""Several datagrams in one system call: UDP segmentation offload on sending (GSO) and receiving (GRO), on Linux.

Plain socket options do it. Where the system or the path does not take them, datagrams go one by one.
"""

import errno
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final, final

from lwm2m_fota.transport.base import Peer

SOL_UDP: Final = 17
UDP_SEGMENT: Final = 103
UDP_GRO: Final = 104
MAX_SEGMENTS: Final = 64
"""What the kernel takes at a time (UDP_MAX_SEGMENTS of older kernels)."""

MAX_BURST_BYTES: Final = 65_000
"""Of one call; an IPv4 datagram has at most 65507 bytes of payload before it is cut."""

QUIET_DATAGRAMS: Final = 4
"""After so many datagrams in a row to which nothing was sent, more at a time are expected."""

SENT: Final = -1
"""Below 0: the datagram that is being answered does not count, or the next one is an answer."""

LONELY_RECEIPTS: Final = 256
"""After so many receipts of a single datagram in a row, no more are expected."""

_SEGMENT_SIZE: Final = struct.Struct("=H")
_GRO_SIZE: Final = struct.Struct("=i")
_ANCILLARY_BYTES: Final = socket.CMSG_SPACE(_GRO_SIZE.size) if hasattr(socket, "CMSG_SPACE") else 0
_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.EIO, errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.EMSGSIZE})


def parts_of(datagrams: Sequence[bytes]) -> list[Sequence[bytes]]:
    """A burst in parts that one call takes."""
    size = max(len(datagrams[0]), 1)
    count = max(min(MAX_SEGMENTS, MAX_BURST_BYTES // size), 1)
    return [datagrams[at : at + count] for at in range(0, len(datagrams), count)]


def bundled(
    outbox: Sequence[tuple[bytes | tuple[bytes, ...], Peer]],
) -> Iterator[tuple[bytes | tuple[bytes, ...], Peer]]:
    """The same datagrams in the same order, those that may leave together as bursts."""
    run: list[bytes] = []
    to: Peer = None
    for data, peer in outbox:
        if run and (peer != to or not isinstance(data, bytes) or len(data) != len(run[0])):
            yield (run[0] if len(run) == 1 else tuple(run)), to
            run = []
        if isinstance(data, bytes):
            run.append(data)
            to = peer
        else:
            yield data, peer
    if run:
        yield (run[0] if len(run) == 1 else tuple(run)), to


@final
class Segmentation:
    """What one socket can do, found out by trying.

    Attributes:
        quiet: datagrams that came by themselves since we sent something; `SENT` when we do.
        sends: bursts leave in one call.
        receives: bursts come in one call.
    """

    __slots__ = ("_buffer", "_lonely", "_sock", "quiet", "receives", "sends")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self.quiet = 0
        self._lonely = 0
        self.sends = bool(_ANCILLARY_BYTES)
        self.receives = False

    def send(self, datagrams: Sequence[bytes], peer: Any) -> bool:  # noqa: ANN401 - a socket address
        """Send a part of a burst in one call; False if this socket cannot.

        Raises:
            OSError: it could, but not now.
        """
        if not self.sends or len(datagrams) == 1:
            return False
        size = _SEGMENT_SIZE.pack(len(datagrams[0]))
        try:
            self._sock.sendmsg(datagrams, [(SOL_UDP, UDP_SEGMENT, size)], 0, peer)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            self.sends = False
            return False
        return True

    def heard(self) -> None:
        """A datagram came by itself; several in a row without a word of ours are a burst."""
        self.quiet += 1
        if self.quiet == QUIET_DATAGRAMS and _ANCILLARY_BYTES:
            self.receives = self._switch(on=True)
            self._lonely = 0

    def _switch(self, *, on: bool) -> bool:
        try:
            self._sock.setsockopt(SOL_UDP, UDP_GRO, int(on))
        except OSError:
            return False
        return on

    def receive(self, limit: int) -> tuple[bytes, int, Any]:
        """What came in one call: the datagrams behind one another, the length of each but the last, and from whom.

        Raises:
            OSError: nothing came.
        """
        if not self._buffer:
            self._buffer = bytearray(max(1 << 16, limit + 1))
        count, ancillary, _, address = self._sock.recvmsg_into([self._buffer], _ANCILLARY_BYTES)
        size = count
        for level, kind, data in ancillary:
            if level == SOL_UDP and kind == UDP_GRO:
                (size,) = _GRO_SIZE.unpack(data)
        if size < count:
            self._lonely = 0
        else:
            self._lonely += 1
            if self._lonely == LONELY_RECEIPTS:
                self.receives = self._switch(on=False)
                self.quiet = 0
        with memoryview(self._buffer) as view:
            return bytes(view[:count]), size, address
