"""Who is at the other end of a TLS connection, and how it is proven: contexts for both sides."""

import ssl
from typing import Final, TypeAlias, cast, final

from lwm2m_fota.credentials.keyring import Keyring, Origin
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import CredentialStore
from lwm2m_fota.credentials.values import Certificate, Credential, CredentialKind, Identity, PreSharedKey
from lwm2m_fota.errors import MalformedError, TransportError, UsageError
from lwm2m_fota.transport.asking import AskedStore
from lwm2m_fota.transport.certificates import identity_of_der
from lwm2m_fota.transport.tls import (
    HAS_PSK,
    client_context,
    psk_client_context,
    psk_server_context,
    server_context,
)

PROTOCOLS: Final = ("coap",)  # RFC 8323 section 8.2
USABLE: Final = frozenset({CredentialKind.CERTIFICATE} | ({CredentialKind.PSK} if HAS_PSK else set()))
"""What a device can prove itself with over TLS; a pre-shared key needs Python 3.13."""

Proof: TypeAlias = ssl.SSLObject | None
"""What asyncio knows of a TLS connection."""


def shown_by(proof: Proof) -> Identity | None:
    """The identity that a verified certificate of the other end proves; None if it has shown none.

    Raises:
        TransportError: the names in it cannot be read.
    """
    der = None if proof is None else proof.getpeercert(binary_form=True)
    if der is None:
        return None
    try:
        return identity_of_der(der)
    except MalformedError as error:
        raise TransportError(str(error)) from error


@final
class ClientSecurity:
    """The side that connects.

    Args:
        keyring: the credentials.
    """

    __slots__ = ("_contexts", "_keyring")

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._contexts: dict[Credential, ssl.SSLContext] = {}

    @property
    def can_connect(self) -> bool:
        """There is a credential that TLS can use here."""
        return self._keyring.serves(USABLE)

    def credential(self, origin: Origin) -> Credential:
        """The credential for an origin.

        Raises:
            MissingCredentialError: there is none.
        """
        return self._keyring.find(origin, USABLE)

    def context(self, credential: Credential) -> ssl.SSLContext:
        """The context of a credential.

        Raises:
            UsageError: it cannot be used.
        """
        context = self._contexts.get(credential)
        if context is None:
            psk = isinstance(credential, PreSharedKey)
            context = self._contexts[credential] = (
                psk_client_context(cast("PreSharedKey", credential), PROTOCOLS)
                if psk
                else client_context(cast("Certificate", credential), PROTOCOLS)
            )
        return context

    def identity(self, credential: Credential, proof: Proof) -> Identity | None:
        """Who has answered, once the handshake is done.

        Raises:
            TransportError: the names in its certificate cannot be read.
        """
        return Identity.of_psk(credential.identity) if isinstance(credential, PreSharedKey) else shown_by(proof)


@final
class Admission:
    """One connection on its way in: its context, and who it will have proven to be."""

    __slots__ = ("context", "key", "offered")

    def __init__(self) -> None:
        self.context: ssl.SSLContext | None = None
        self.offered: str | None = None
        self.key: Secret | None = None

    def offer(self, identity: str, key: Secret) -> None:
        """This key was given out for this identity."""
        self.offered, self.key = identity, key


@final
class ServerSecurity:
    """The side that lets in.

    Args:
        store: keys and bindings.
        certificate: of this server, with the authorities of its devices; None lets in by pre-shared keys.

    Raises:
        UsageError: the certificate cannot be used, or there is none and this Python has no pre-shared keys.
    """

    __slots__ = ("_shared", "_store")

    def __init__(self, store: CredentialStore, certificate: Certificate | None) -> None:
        self._store = AskedStore(store)
        self._shared = None if certificate is None else server_context(certificate, PROTOCOLS, demand=True)
        if self._shared is None and not HAS_PSK:
            raise UsageError("without a certificate a TLS server needs pre-shared keys, and those Python 3.13")

    def admission(self) -> Admission:
        """For a connection that begins. With pre-shared keys each has a context of its own, to tell its identity by."""
        admission = Admission()
        admission.context = self._shared or psk_server_context(self._store.key, admission.offer, PROTOCOLS)
        return admission

    def admit(self, admission: Admission, proof: Proof) -> Identity:
        """Who has come, once the handshake is done.

        Raises:
            TransportError: nobody that is let in.
        """
        offered = admission.offered
        identity = shown_by(proof) if offered is None else Identity.of_psk(offered)
        if identity is None:
            raise TransportError("nothing was proven")
        if not self._store.accepts(identity):
            raise TransportError(f"{identity} is revoked")
        if offered is not None and admission.key != self._store.key(offered):
            raise TransportError(f"the key of {identity} was rotated while the handshake was under way")
        return identity
