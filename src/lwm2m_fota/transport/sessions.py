"""What is asked of a transport whose peers are sessions: connections that are opened, proven, and end.

A peer of such a transport is one session. It is equal to itself alone: another session with the same address is
another peer, with message ids, tokens and observations of its own (RFC 7252 section 9.1.1).
"""

from collections.abc import Callable
from typing import Protocol, final

from lwm2m_fota.coap.stream_signals import Capabilities
from lwm2m_fota.credentials.store import CredentialStore
from lwm2m_fota.credentials.values import Identity
from lwm2m_fota.transport.base import DatagramTransport, Peer


@final
class SessionPeer:
    """One session, as a peer.

    Attributes:
        address: where the other end is, as the transport below names it.
        identity: what the other end has proven to be; None where it need not prove anything.
    """

    __slots__ = ("__weakref__", "address", "identity")

    def __init__(self, address: Peer, identity: Identity | None) -> None:
        self.address = address
        self.identity = identity

    def __repr__(self) -> str:
        return f"SessionPeer({self.address!r}, {self.identity})"


class SessionTransport(DatagramTransport, Protocol):
    """A `DatagramTransport` whose peers are `SessionPeer`s.

    `resolve` opens a session, if there is none, and raises TransportError where that fails. A session that nobody
    holds ends when it has been idle for some time.
    """

    @property
    def credentials(self) -> CredentialStore | None:
        """What is known of those who are let in; None lets nobody in."""
        ...

    @property
    def can_connect(self) -> bool:
        """There is a credential that a session might be opened with."""
        ...

    @property
    def capabilities(self) -> Callable[[Peer], Capabilities] | None:
        """What the other end of a session can take, where its datagrams are messages in a stream (RFC 8323)."""
        ...

    def hold(self, peer: Peer) -> None:
        """Keep this session while it is idle; harmless if it has ended."""
        ...

    def release(self, peer: Peer) -> None:
        """Let this session end when it is idle; harmless if it has ended or was not held."""
        ...

    def end(self, peer: Peer, why: str | None = None) -> None:
        """End this session and tell the other end; harmless if it has ended. The handler is not told.

        Args:
            peer: the session.
            why: what the other end has done wrong, if that is the reason.
        """
        ...
