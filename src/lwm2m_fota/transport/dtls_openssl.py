"""DTLS 1.2 by OpenSSL in memory: contexts and connections, with bytes in and bytes out.

The only module that knows pyOpenSSL. Three things have no public door there and go through its private `_lib`: the
PSK callbacks, the names that a certificate must have, and the signature algorithms. The extra pins the library, and the
interoperability tests tell when one of them moves. `dtls_shortcut` uses more of them where they are there.

A context keeps a reference to each of its callbacks: OpenSSL calls them as long as a connection of it lives.
"""

import hashlib
import ipaddress
import re
from collections.abc import Callable
from typing import Any, Final, final

from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.values import Certificate, Credential, Identity, PreSharedKey
from lwm2m_fota.errors import MalformedError, MissingExtraError, TransportError, UsageError
from lwm2m_fota.transport.certificates import identity_of, is_weak, read_certificates, read_private_key
from lwm2m_fota.transport.dtls_shortcut import Shortcuts

try:
    from OpenSSL import SSL, crypto
except ImportError as error:
    raise MissingExtraError("coaps needs: pip install 'lwm2m-fota[dtls]'") from error

_lib: Final[Any] = vars(SSL)["_lib"]
_ffi: Final[Any] = vars(SSL)["_ffi"]

PSK_SUITES: Final = ("PSK-AES128-CCM8", "PSK-AES128-GCM-SHA256", "PSK-AES128-CBC-SHA256")
CERTIFICATE_SUITES: Final = (
    "ECDHE-ECDSA-AES128-CCM8",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA256",
)
"""What LwM2M names (Transport 1.1 sections 5.2.8 and 5.2.9), and the same with GCM; the first is to be preferred."""

_SECURITY_LEVEL: Final = "@SECLEVEL=0"
"""OpenSSL counts the short tag of CCM_8 as 64 bits and offers it at level 0 alone. What else that level would let in is
kept out here: the suites are named, and `is_weak` judges the certificates."""

_SIGNATURES: Final = b"ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512"
_DTLS_1_2: Final = 0xFEFD
_MAX_PLAINTEXT_BYTES: Final = 1 << 14
_MAX_OUTPUT_BYTES: Final = 1 << 16
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_HOST_FLAGS: Final = 0x4  # X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS
_PSK_SERVER: Final = "unsigned int(SSL *, const char *, unsigned char *, unsigned int)"
_PSK_CLIENT: Final = "unsigned int(SSL *, const char *, char *, unsigned int, unsigned char *, unsigned int)"

KeyLookup = Callable[[str], Secret | None]
Offered = tuple[str, Secret]
CookieMaker = Callable[[bytes], bytes]
CookieJudge = Callable[[bytes, bytes], bool]


class DtlsError(TransportError):
    """A session that cannot begin, or cannot go on."""


def _raw(thing: SSL.Context | SSL.Connection) -> Any:  # noqa: ANN401 - a cffi pointer
    """What OpenSSL calls it; see the module."""
    return thing._context if isinstance(thing, SSL.Context) else thing._ssl  # noqa: SLF001


def _reason(error: SSL.Error, otherwise: str) -> str:
    """What OpenSSL says, in words of its own; it says nothing of keys."""
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    words = [str(entry[-1]) for entry in entries if entry and entry[-1]]
    return words[-1] if words else otherwise


# ---- contexts ------------------------------------------------------------------------------------------------------


def _context(suites: tuple[str, ...]) -> SSL.Context:
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_min_proto_version(_DTLS_1_2)
    context.set_max_proto_version(_DTLS_1_2)
    context.set_cipher_list(":".join((*suites, _SECURITY_LEVEL)).encode())
    context.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    if _lib.SSL_CTX_set1_sigalgs_list(_raw(context), _SIGNATURES) != 1:
        raise AssertionError("OpenSSL does not know a signature algorithm that is named here")
    return context


def _load_own(context: SSL.Context, certificate: Certificate) -> None:
    own, *between = read_certificates(certificate.chain_pem)
    key = read_private_key(certificate.key_pem)
    try:
        context.use_certificate(own)
        context.use_privatekey(key)
        context.check_privatekey()
    except SSL.Error:
        raise UsageError("the private key is not that of the certificate") from None
    for each in between:
        context.add_extra_chain_cert(each)


def _load_roots(context: SSL.Context, roots_pem: bytes) -> None:
    """Believe these certificates, also one that is no authority: then it is the other end's own."""
    store = context.get_cert_store()
    if store is None:
        raise AssertionError("a context has a store")
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    for each in read_certificates(roots_pem):
        store.add_cert(crypto.X509.from_cryptography(each))


def _verify(_connection: SSL.Connection, certificate: crypto.X509, _number: int, depth: int, good: int) -> bool:
    return bool(good) and not is_weak(certificate.to_cryptography(), depth)


@final
class ServerContext:
    """What a server proves itself with, and how it knows its devices.

    Args:
        key_of: the key of a PSK identity; None refuses it. Never raises.
        certificate: to show; whoever picks a suite with certificates must show one that its roots have signed. None
            leaves pre-shared keys alone.
        cookie: makes the cookie of an address.
        is_cookie: judges one.
        resumption_s: how long a session can be resumed.

    Raises:
        UsageError: the certificate or its key cannot be used, or it has no roots.
    """

    def __init__(
        self,
        key_of: KeyLookup,
        certificate: Certificate | None,
        cookie: CookieMaker,
        is_cookie: CookieJudge,
        resumption_s: int,
    ) -> None:
        context = _context((*CERTIFICATE_SUITES, *PSK_SUITES) if certificate is not None else PSK_SUITES)
        context.set_options(_lib.SSL_OP_COOKIE_EXCHANGE)
        # Tickets, which cost no memory here. A cache inside of OpenSSL would have bounds of its own.
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_session_id(b"lwm2m-fota")
        context.set_timeout(resumption_s)
        context.set_cookie_generate_callback(lambda connection: cookie(connection.get_app_data()))
        context.set_cookie_verify_callback(lambda connection, shown: is_cookie(connection.get_app_data(), shown))
        if certificate is not None:
            if not certificate.shows_one or not certificate.roots_pem:
                raise UsageError("a server needs a certificate with its key, and the authorities of its devices")
            _load_own(context, certificate)
            _load_roots(context, certificate.roots_pem)
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verify)
        self._context = context
        self.shortcuts = Shortcuts(_lib, _ffi)
        self._key_of = key_of
        self._offered: Offered | None = None
        self._callback = _ffi.callback(_PSK_SERVER, self._psk)
        _lib.SSL_CTX_set_psk_server_callback(_raw(context), self._callback)

    def _psk(self, _ssl: object, name: Any, out: Any, size: int) -> int:  # noqa: ANN401 - cffi pointers
        try:
            identity = _ffi.string(name).decode()
        except UnicodeDecodeError:
            return 0
        key = self._key_of(identity)
        if key is None or not 0 < len(key) <= size:
            return 0
        self._offered = identity, key
        _ffi.memmove(out, key.reveal(), len(key))
        return len(key)

    def take_offered(self) -> Offered | None:
        """The PSK identity whose key was given out since this was asked last, and that key."""
        offered, self._offered = self._offered, None
        return offered

    def connection(self, mtu_bytes: int) -> "DtlsConnection":
        """A connection that waits for a ClientHello; see `DtlsConnection.listen`."""
        raw = SSL.Connection(self._context, None)
        raw.set_accept_state()
        return DtlsConnection(raw, mtu_bytes, self)


@final
class ClientContext:
    """What a client proves itself with towards one server.

    Raises:
        UsageError: a certificate or its key cannot be used, or the certificate has no roots.
    """

    def __init__(self, credential: Credential) -> None:
        self._credential = credential
        if isinstance(credential, PreSharedKey):
            context = _context(PSK_SUITES)
            self._callback = _ffi.callback(_PSK_CLIENT, self._psk)
            _lib.SSL_CTX_set_psk_client_callback(_raw(context), self._callback)
        else:
            if not credential.roots_pem:
                raise UsageError("over DTLS a certificate needs the authorities to believe")
            context = _context(CERTIFICATE_SUITES)
            if credential.shows_one:
                _load_own(context, credential)
            _load_roots(context, credential.roots_pem)
            context.set_verify(SSL.VERIFY_PEER, _verify)
        self._context = context
        self.shortcuts = Shortcuts(_lib, _ffi)

    def _psk(self, _ssl: object, _hint: object, name: Any, size: int, out: Any, key_size: int) -> int:  # noqa: ANN401
        credential = self._credential
        if not isinstance(credential, PreSharedKey):
            return 0
        identity, key = credential.identity.encode() + b"\0", credential.key
        if len(identity) > size or len(key) > key_size:
            return 0
        _ffi.memmove(name, identity, len(identity))
        _ffi.memmove(out, key.reveal(), len(key))
        return len(key)

    def take_offered(self) -> None:
        """Only a server learns an identity."""

    def connection(self, host: str, mtu_bytes: int, resumed: object | None) -> "DtlsConnection":
        """A connection to a host; `resumed` is what an earlier one with it gave as `session`."""
        raw = SSL.Connection(self._context, None)
        if isinstance(self._credential, Certificate) and self._credential.check_host:
            _expect_host(raw, host)
        if isinstance(resumed, SSL.Session):
            raw.set_session(resumed)
        raw.set_connect_state()
        return DtlsConnection(raw, mtu_bytes, self)


def _expect_host(raw: SSL.Connection, host: str) -> None:
    parameters = _lib.SSL_get0_param(_raw(raw))
    try:
        address = ipaddress.ip_address(host).packed
    except ValueError:
        if not _HOST_NAME.fullmatch(host):
            raise DtlsError(f"no certificate can be for {host!r}") from None
        name = host.encode()
        raw.set_tlsext_host_name(name)
        _lib.X509_VERIFY_PARAM_set_hostflags(parameters, _HOST_FLAGS)
        done = _lib.X509_VERIFY_PARAM_set1_host(parameters, name, len(name))
    else:
        done = _lib.X509_VERIFY_PARAM_set1_ip(parameters, address, len(address))
    if done != 1:
        raise AssertionError("OpenSSL takes every host that was checked")


# ---- a connection --------------------------------------------------------------------------------------------------


@final
class DtlsConnection:
    """One session of OpenSSL, from the first ClientHello to its end.

    Args:
        raw: the connection.
        mtu_bytes: the largest datagram that a flight of the handshake is cut into.
        context: whose connection it is; kept, for its callbacks must live as long.
    """

    __slots__ = ("_context", "_mtu_bytes", "_offered", "_raw", "_shortcut")

    def __init__(self, raw: SSL.Connection, mtu_bytes: int, context: ServerContext | ClientContext) -> None:
        self._raw = raw
        self._mtu_bytes = mtu_bytes
        self._context = context
        self._offered: Offered | None = None
        self._shortcut = context.shortcuts.of(raw)
        raw.set_ciphertext_mtu(mtu_bytes)

    def feed(self, data: bytes) -> None:
        """Take whole records; `listen`, `handshake` or `read` looks at them."""
        if data:  # of nothing, OpenSSL says that it failed
            self._raw.bio_write(data)

    def listen(self, address: bytes) -> bool:
        """Look at a ClientHello: True if it has the cookie of its address; else there may be one to be sent.

        Raises:
            DtlsError: it cannot begin a session; another connection must be made.
        """
        self._raw.set_app_data(address)
        try:
            self._raw.DTLSv1_listen()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            raise DtlsError(_reason(error, "not a ClientHello")) from None
        self._raw.set_ciphertext_mtu(self._mtu_bytes)  # listening has forgotten it
        return True

    def handshake(self) -> bool:
        """Go on with the handshake: True once it is done.

        Raises:
            DtlsError: it has failed; there may be an alert to be sent.
        """
        try:
            self._raw.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            raise DtlsError(_reason(error, "the handshake failed")) from None
        finally:
            self._offered = self._context.take_offered() or self._offered
        return True

    def read(self) -> bytes | None:
        """The next datagram of the other end; None if there is none.

        Raises:
            DtlsError: the other end has ended the session, or broken it.
        """
        try:
            return self._raw.recv(_MAX_PLAINTEXT_BYTES)
        except SSL.WantReadError:
            return None
        except SSL.ZeroReturnError:
            raise DtlsError("the other end has closed the session") from None
        except SSL.Error as error:
            raise DtlsError(_reason(error, "the session is broken")) from None

    def write(self, data: bytes) -> None:
        """Protect one datagram; `take` gives it.

        Raises:
            DtlsError: it is too long or empty, or the session is over.
        """
        try:
            self._raw.send(data)
        except SSL.Error as error:
            raise DtlsError(_reason(error, "it cannot be sent")) from None

    def open(self, record: bytes) -> bytes | None:
        """The datagram in a record; None if there is none that counts.

        Raises:
            DtlsError: the other end has ended the session, or broken it.
        """
        shortcut = self._shortcut
        if shortcut is None:
            self._raw.bio_write(record)
        elif (data := shortcut.open(record)) is not None:
            return data
        return self.read()

    def seal(self, data: bytes) -> bytes:
        """A record with one datagram.

        Raises:
            DtlsError: it is too long or empty, or the session is over.
        """
        shortcut = self._shortcut
        if shortcut is not None and (record := shortcut.seal(data)) is not None:
            return record
        self.write(data)
        return self.take()

    def retransmit(self) -> None:
        """Send the last flight again, if OpenSSL's own clock says so too."""
        try:
            self._raw.DTLSv1_handle_timeout()
        except SSL.Error as error:
            raise DtlsError(_reason(error, "the other end does not answer")) from None

    def close(self) -> None:
        """Say goodbye; `take` gives the alert."""
        try:
            self._raw.shutdown()
        except SSL.Error:
            return  # there is nobody yet, or no more

    def take(self) -> bytes:
        """The records to be sent, one after the other."""
        parts = []
        while True:
            try:
                part = self._raw.bio_read(_MAX_OUTPUT_BYTES)
            except SSL.WantReadError:
                break
            parts.append(part)
            if len(part) < _MAX_OUTPUT_BYTES:
                break
        return parts[0] if len(parts) == 1 else b"".join(parts)

    # -- once the handshake is done

    @property
    def suite(self) -> str | None:
        """The cipher suite, as OpenSSL names it."""
        return self._raw.get_cipher_name()

    def is_resumed(self) -> bool:
        """It goes on with the keys of an earlier session."""
        return bool(_lib.SSL_session_reused(_raw(self._raw)))

    def fingerprint(self) -> bytes:
        """What a session and those resumed from it have in common."""
        return hashlib.sha256(self._raw.master_key() or b"").digest()

    def session(self) -> object | None:
        """What a later connection may be resumed from."""
        return self._raw.get_session()

    def identity(self) -> Identity | None:
        """What the other end has proven: by its certificate, or a client by its key; None if it does not show here.

        Raises:
            DtlsError: the names in its certificate cannot be read.
        """
        certificate = self._raw.get_peer_certificate(as_cryptography=True)
        if certificate is not None:
            try:
                return identity_of(certificate)
            except MalformedError as error:
                raise DtlsError(str(error)) from error
        return None if self._offered is None else Identity.of_psk(self._offered[0])

    def key(self) -> Secret | None:
        """The pre-shared key that the handshake rests on; None on a client, with certificates, or if it was resumed."""
        return None if self._offered is None else self._offered[1]
