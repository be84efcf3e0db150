"""The client's side of DTLS: which credential, and which earlier session to go on with."""

from collections import OrderedDict
from typing import Final, TypeAlias, final

from lwm2m_fota.credentials.keyring import Keyring, Origin
from lwm2m_fota.credentials.values import Credential, CredentialKind, Identity, PreSharedKey
from lwm2m_fota.transport.base import Peer
from lwm2m_fota.transport.dtls_openssl import ClientContext, DtlsConnection, DtlsError
from lwm2m_fota.transport.dtls_session import DtlsLimits, DtlsSession

USABLE: Final = frozenset({CredentialKind.PSK, CredentialKind.CERTIFICATE})
"""What a device can prove itself with over DTLS."""

_MAX_CONTEXTS: Final = 64

_Key: TypeAlias = tuple[Peer, Origin | None, Credential]


@final
class Connector:
    """Opens sessions with servers.

    Args:
        keyring: the credentials.
        limits: bounds.
    """

    __slots__ = ("_contexts", "_keyring", "_limits", "_saved")

    def __init__(self, keyring: Keyring, limits: DtlsLimits) -> None:
        self._keyring = keyring
        self._limits = limits
        self._contexts: OrderedDict[Credential, ClientContext] = OrderedDict()
        self._saved: OrderedDict[_Key, object] = OrderedDict()

    def credential(self, origin: Origin) -> Credential:
        """The credential for an origin.

        Raises:
            MissingCredentialError: there is none.
        """
        return self._keyring.find(origin, USABLE)

    def connection(self, address: Peer, origin: Origin, credential: Credential) -> DtlsConnection:
        """A connection that begins with a ClientHello.

        Raises:
            UsageError: the credential cannot be used.
            DtlsError: no certificate can be for this host.
        """
        context = self._contexts.get(credential)
        if context is None:
            context = self._contexts[credential] = ClientContext(credential)
            if len(self._contexts) > _MAX_CONTEXTS:
                self._contexts.popitem(last=False)
        saved = self._saved.get(_key(address, origin, credential))
        return context.connection(origin.host, self._limits.datagram_bytes, saved)

    def admit(self, session: DtlsSession) -> Identity:
        """Who has answered, once the handshake is done; the session can be resumed later.

        Raises:
            DtlsError: nobody has proven anything.
        """
        connection, credential = session.connection, session.credential
        # with a pre-shared key, whoever has ended the handshake has it
        identity = (
            Identity.of_psk(credential.identity) if isinstance(credential, PreSharedKey) else connection.identity()
        )
        if identity is None or credential is None:
            raise DtlsError("the server has proven nothing")
        key = _key(session.address, session.origin, credential)
        self._saved[key] = connection.session()
        self._saved.move_to_end(key)
        if len(self._saved) > self._limits.resumable:
            self._saved.popitem(last=False)
        return identity

    def failed(self, session: DtlsSession) -> None:
        """The next handshake with this address begins from nothing."""
        if session.credential is not None:
            self._saved.pop(_key(session.address, session.origin, session.credential), None)


def _key(address: Peer, origin: Origin | None, credential: Credential) -> _Key:
    """Where a session can be resumed: with a certificate only at the origin that it was compared with."""
    return address, None if isinstance(credential, PreSharedKey) else origin, credential
