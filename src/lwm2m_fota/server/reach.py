"""Whom a server with several endpoints talks to: a peer, and the endpoint that reaches it."""

from typing import cast, final

import attrs

from lwm2m_fota.credentials.store import CredentialStore, permits
from lwm2m_fota.credentials.values import Identity
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.transport.base import Peer
from lwm2m_fota.transport.sessions import SessionPeer


@final
@attrs.frozen
class Reached:
    """A peer as a server knows it: `Registration.peer` and `BlockServed.peer`.

    Attributes:
        pump: the endpoint that reaches it.
        peer: as the transport names it.
    """

    pump: Pump = attrs.field(repr=False)
    peer: Peer

    def __str__(self) -> str:
        return f"{self.address} ({self.identity or 'nothing proven'})"

    @property
    def address(self) -> Peer:
        """Where it is: the transport's name for it, or for the address of its session."""
        return self.peer.address if isinstance(self.peer, SessionPeer) else self.peer

    @property
    def identity(self) -> Identity | None:
        """What it has proven to be; None without a session."""
        return self.peer.identity if isinstance(self.peer, SessionPeer) else None

    @property
    def scheme(self) -> str:
        """What it speaks."""
        return self.pump.scheme


def reached(peer: Peer) -> Reached:
    """A peer of a registration of a server: it was made by one of its endpoints."""
    return cast("Reached", peer)


def same_device(one: Peer, other: Peer) -> bool:
    """Whether two peers of a server are one device: by what both have proven, or where neither has, by the address."""
    first, second = reached(one), reached(other)
    if first.identity is None and second.identity is None:
        return first.pump is second.pump and first.address == second.address
    return first.identity == second.identity


@final
class Names:
    """Who may use which endpoint name, given the credential stores of all endpoints of a server.

    A session answers for its identity. Who has none may use only what no store binds to an identity.
    """

    __slots__ = ("_stores",)

    def __init__(self, pumps: tuple[Pump, ...]) -> None:
        stores = (pump.sessions.credentials for pump in pumps if pump.sessions is not None)
        self._stores: tuple[CredentialStore, ...] = tuple(store for store in stores if store is not None)

    def permit(self, peer: Peer, endpoint: str, holder: Peer | None = None) -> bool:
        """Whether a peer may register, or change the registration, under a name.

        Args:
            peer: who wants to.
            endpoint: the name.
            holder: who is registered under it now. What someone has proven to be is not given up to one who proves
                nothing.
        """
        at = reached(peer)
        if at.identity is None and holder is not None and reached(holder).identity is not None:
            return False
        sessions, identity = at.pump.sessions, at.identity
        own = None if sessions is None else sessions.credentials
        if own is not None and identity is not None:
            return permits(own, identity, endpoint)
        return all(permits(store, None, endpoint) for store in self._stores)


@final
class Holds:
    """The sessions that registrations need: held as long as one of them is there."""

    __slots__ = ("_counts", "_held")

    def __init__(self) -> None:
        self._held: dict[str, Reached] = {}
        self._counts: dict[Reached, int] = {}

    def hold(self, endpoint: str, peer: Peer) -> None:
        """This endpoint is registered from this peer."""
        at = reached(peer)
        if self._held.get(endpoint) == at:
            return
        self._counts[at] = self._counts.get(at, 0) + 1
        at.pump.hold(at.peer)
        self.release(endpoint)
        self._held[endpoint] = at

    def release(self, endpoint: str) -> None:
        """This endpoint is registered no more, or from another peer."""
        peer = self._held.pop(endpoint, None)
        if peer is None:
            return
        self._counts[peer] -= 1
        if not self._counts[peer]:
            del self._counts[peer]
            peer.pump.release(peer.peer)
