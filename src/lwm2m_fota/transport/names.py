"""Addresses of names, by the system's name service."""

import asyncio
import socket
from typing import Final

from lwm2m_fota.errors import InvalidUriError, TransportError

MAX_PORT: Final = 65535

_NO_SUCH_NAME: Final = frozenset(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY") if hasattr(socket, name)
)


async def resolve_host(
    host: str, port: int, kind: socket.SocketKind, family: int = socket.AF_UNSPEC, flags: int = 0
) -> tuple[str, int] | tuple[str, int, int, int]:
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
    address: tuple[str, int] | tuple[str, int, int, int] = infos[0][4]  # type: ignore[assignment]
    return address
