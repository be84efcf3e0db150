"""A transport of one's own: UDP over IPv4 by what every event loop has, also those without `add_reader`."""

import asyncio
import contextlib
import socket
from typing import cast

from lwm2m_fota.errors import TransportError, UsageError
from lwm2m_fota.transport.base import DatagramHandler, Peer
from lwm2m_fota.transport.names import resolve_host


class LoopTransport:
    scheme, sessions = "coap", None

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._wanted = (host, port)
        self._open_socket: socket.socket | None = None

    async def open(self, handler: DatagramHandler) -> None:
        if self._open_socket is not None:
            raise UsageError("the transport is open already")
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.settimeout(0)
        try:
            sock.bind(self._wanted)
        except OSError as error:
            sock.close()
            raise TransportError(f"{self._wanted} cannot be had: {error}") from error
        self._open_socket = sock
        self._listening = asyncio.create_task(self._listen(sock, handler))

    async def _listen(self, sock: socket.socket, handler: DatagramHandler) -> None:
        while True:
            handler.datagram_received(*await asyncio.get_running_loop().sock_recvfrom(sock, 2048))
            handler.drained()

    def _socket(self) -> socket.socket:
        if self._open_socket is None:
            raise UsageError("the transport is not open")
        return self._open_socket

    def send(self, data: bytes, peer: Peer) -> None:
        with contextlib.suppress(OSError):  # lost, as any datagram may be
            self._socket().sendto(data, cast("tuple[str, int]", peer))

    async def close(self) -> None:
        sock, self._open_socket = self._open_socket, None
        if sock is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
            sock.close()

    @property
    def local_address(self) -> tuple[str, int]:
        return cast("tuple[str, int]", self._socket().getsockname())

    async def resolve(self, host: str, port: int) -> Peer:
        return await resolve_host(host, port, socket.SOCK_DGRAM, self._socket().family)
