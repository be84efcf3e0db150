"""The server's side of DTLS: cookies, who is let in, and which sessions may be resumed."""

import hmac
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, final

from lwm2m_fota.credentials.store import CredentialStore
from lwm2m_fota.credentials.values import Certificate, CredentialKind, Identity
from lwm2m_fota.transport.asking import AskedStore
from lwm2m_fota.transport.base import Peer
from lwm2m_fota.transport.dtls_openssl import DtlsConnection, DtlsError, ServerContext
from lwm2m_fota.transport.dtls_session import DtlsLimits

_SECRET_BYTES: Final = 32
_COOKIE_BYTES: Final = 16


@final
class Cookies:
    """Cookies that prove an address, without memory of whom they were given to (RFC 6347 section 4.2.1).

    Args:
        token: unpredictable bytes, so many.
        lifetime_s: after so long a new secret is used; the former one counts for as long again.
    """

    __slots__ = ("_lifetime_s", "_renew_at", "_secrets", "_token")

    def __init__(self, token: Callable[[int], bytes], lifetime_s: float) -> None:
        self._token = token
        self._lifetime_s = lifetime_s
        self._secrets: tuple[bytes, ...] = ()
        self._renew_at = 0.0

    def renew(self, now: float) -> None:
        """Change the secret if it is time; call it before any use."""
        if not self._secrets or now >= self._renew_at:
            former = self._secrets[:1] if now < self._renew_at + self._lifetime_s else ()
            self._secrets = (self._token(_SECRET_BYTES), *former)
            self._renew_at = now + self._lifetime_s

    def make(self, address: bytes) -> bytes:
        """The cookie of an address."""
        return _cookie(self._secrets[0], address)

    def judge(self, address: bytes, cookie: bytes) -> bool:
        """Whether a cookie is that of this address."""
        return any(hmac.compare_digest(_cookie(secret, address), cookie) for secret in self._secrets)


def _cookie(secret: bytes, address: bytes) -> bytes:
    return hmac.digest(secret, address, "sha256")[:_COOKIE_BYTES]


@final
class Resumable:
    """Whose session the keys belong to that a later one may be resumed from.

    The ticket itself is with the device. What is remembered here is who it was given to, so that a rotated or revoked
    credential ends what rests on it.
    """

    __slots__ = ("_known", "_limits")

    def __init__(self, limits: DtlsLimits) -> None:
        self._limits = limits
        self._known: OrderedDict[bytes, tuple[Identity, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def remember(self, fingerprint: bytes, identity: Identity, now: float) -> None:
        """A session has begun under these keys."""
        self._known[fingerprint] = (identity, now + self._limits.resumption_s)
        while len(self._known) > self._limits.resumable:
            self._known.popitem(last=False)

    def find(self, fingerprint: bytes, now: float) -> Identity | None:
        """Who it was; None if it is not known, or no longer counts."""
        identity, expires = self._known.get(fingerprint, (None, 0.0))
        return identity if now < expires else None

    def forget(self, kind: CredentialKind, name: str) -> None:
        """What this identity proved itself with no longer counts."""
        gone = [key for key, (identity, _) in self._known.items() if identity.kind is kind and name in identity.names]
        for key in gone:
            del self._known[key]


@final
class Acceptor:
    """Lets devices in.

    Args:
        store: keys and bindings.
        certificate: of this server, with the authorities of its devices; None leaves pre-shared keys alone.
        limits: bounds.
        token: unpredictable bytes, so many.

    Raises:
        UsageError: the certificate cannot be used.
    """

    __slots__ = ("_context", "_cookies", "_limits", "_listening", "_resumable", "_store")

    def __init__(
        self,
        store: CredentialStore,
        certificate: Certificate | None,
        limits: DtlsLimits,
        token: Callable[[int], bytes],
    ) -> None:
        self._store = AskedStore(store)
        self._limits = limits
        self._cookies = Cookies(token, limits.cookie_s)
        self._resumable = Resumable(limits)
        self._context = ServerContext(
            self._store.key, certificate, self._cookies.make, self._cookies.judge, limits.resumption_s
        )
        self._listening: DtlsConnection | None = None

    def listen(self, data: bytes, address: Peer, now: float) -> tuple[DtlsConnection | None, bytes]:
        """Look at a ClientHello from a stranger.

        Returns:
            The connection that begins with it, if it had the cookie of its address; and what is to be sent.

        Raises:
            DtlsError: nothing can begin with it.
        """
        self._cookies.renew(now)
        name = repr(address).encode()
        connection, self._listening = self._listening, None
        if connection is None:
            connection = self._context.connection(self._limits.datagram_bytes)
        connection.feed(data)
        if connection.listen(name):
            return connection, b""
        self._listening = connection  # as good as new
        return None, connection.take()

    def admit(self, connection: DtlsConnection, now: float) -> Identity:
        """Who has come, once the handshake is done.

        Raises:
            DtlsError: nobody that is let in.
        """
        fingerprint = connection.fingerprint()
        resumed = connection.is_resumed()
        identity = self._resumable.find(fingerprint, now) if resumed else connection.identity()
        if identity is None:
            raise DtlsError("a session that no longer counts was to be resumed" if resumed else "nothing was proven")
        if not self._store.accepts(identity):
            raise DtlsError(f"{identity} is revoked")
        key = connection.key()
        if key is not None and key != self._store.key(identity.name):
            raise DtlsError(f"the key of {identity} was rotated while the handshake was under way")
        self._resumable.remember(fingerprint, identity, now)
        return identity

    def forget(self, kind: CredentialKind, name: str) -> None:
        """What this identity proved itself with no longer counts."""
        self._resumable.forget(kind, name)
