"""Addresses of names, by the system's name service, and sockets that are bound to them."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final, TypeAlias, cast

from lwm2m_fota.errors import InvalidUriError, TransportError

MAX_PORT: Final = 65535

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]

_NO_SUCH_NAME: Final = frozenset(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY") if hasattr(socket, name)
)


async def resolve_host(
    host: str, port: int, kind: socket.SocketKind, family: int = socket.AF_UNSPEC, flags: int = 0
) -> SocketAddress:
    """The first socket address of a host.

    Args:
        host: a name or an address.
        port: the port.
        kind: of the sockets.
        family: of the addresses.
        flags: as `getaddrinfo` takes them.

    Raises:
        InvalidUriError: there is no such host, or no such port.
        TransportError: the name service cannot tell at present.
    """
    if not host or not 0 < port <= MAX_PORT:
        raise InvalidUriError(f"nothing can be at host {host!r}, port {port}")
    loop = asyncio.get_running_loop()
    try:
        infos = await loop.getaddrinfo(host, port, family=family, type=kind, flags=flags)
    except socket.gaierror as error:
        wrong = InvalidUriError if error.errno in _NO_SUCH_NAME else TransportError
        raise wrong(f"cannot resolve {host!r}: {error.strerror}") from error
    except ValueError as error:  # not a name at all: empty or long labels, NUL
        raise InvalidUriError(f"cannot resolve {host!r}: {error}") from error
    return cast("SocketAddress", infos[0][4])


async def bind_socket(
    host: str, port: int, kind: socket.SocketKind, prepare: Callable[[socket.socket], None]
) -> socket.socket:
    """A socket that is bound to the first address of a local host; `::` takes IPv6 and IPv4.

    Args:
        host: a name or an address of this machine.
        port: the port; 0 takes a free one.
        kind: of the socket.
        prepare: sets what must be set before.

    Raises:
        TransportError: the address cannot be had.
    """
    if not 0 <= port <= MAX_PORT:  # the system would take it modulo 65536
        raise TransportError(f"cannot bind to port {port}: there is none")
    loop = asyncio.get_running_loop()
    try:
        infos = await loop.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)
        family, _, _, _, address = infos[0]
        return _bound(socket.socket(family, kind), cast("SocketAddress", address), prepare)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise TransportError(f"cannot bind to {host} port {port}: {why}") from error


def _bound(sock: socket.socket, address: SocketAddress, prepare: Callable[[socket.socket], None]) -> socket.socket:
    try:
        prepare(sock)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def prepare_listener(sock: socket.socket) -> None:
    """For `bind_socket`: a listener may take an address whose last connections have not faded away.

    What its connections send leaves at once, also the end of a message whose beginning has not been acknowledged yet:
    asyncio sees to that for sockets that it has made itself, and for no others.
    """
    sock.settimeout(0)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
