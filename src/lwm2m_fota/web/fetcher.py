"""How a device gets a package over HTTP or HTTPS (extra `http`): in one stream, resumed with Range.

A part is asked for under two conditions, If-Match and If-Range: an origin that has another version answers 412, or with
the whole of the new one. Only strong ETags count, for only they name bytes.
"""

import socket
import ssl
from typing import Final, cast, final

import attrs

from lwm2m_fota.coap.uri import scheme_of
from lwm2m_fota.credentials.keyring import Keyring, Origin
from lwm2m_fota.credentials.values import Certificate, CredentialKind
from lwm2m_fota.device.fetch import FetchSink
from lwm2m_fota.errors import (
    InvalidUriError,
    MissingExtraError,
    ResponseError,
    TransportError,
    UnsupportedProtocolError,
)
from lwm2m_fota.transport.names import MAX_PORT, resolve_host
from lwm2m_fota.transport.tls import client_context
from lwm2m_fota.web.rules import code_of, content_range, quoted, retry_after_s, strong_etag

try:
    import httpx
except ImportError as error:
    raise MissingExtraError("http and https need: pip install 'lwm2m-fota[http]'") from error

USABLE: Final = frozenset({CredentialKind.CERTIFICATE})
"""What a device can believe, and prove itself with, over HTTPS."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_NO_KEYS: Final = Keyring()
_OK: Final = 200
_PARTIAL: Final = 206
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_NOT_SATISFIABLE: Final = 416
_PRECONDITION_FAILED: Final = code_of(412)


@final
@attrs.frozen(kw_only=True)
class HttpLimits:
    """How long a fetch may wait, and how far it may be sent.

    Attributes:
        connect_s: for the connection, the handshake of TLS included.
        silence_s: between two pieces of the answer.
        redirects: that are followed in a row; never from https to http.
    """

    connect_s: float = 30.0
    silence_s: float = 60.0
    redirects: int = 3


_DEFAULT_LIMITS: Final = HttpLimits()


@final
class HttpFetcher:
    """Fetches `http://` URIs, and `https://` ones if there is any certificate to go by; a `PackageFetcher`.

    Proxies and other settings of the environment count for nothing.

    Args:
        keyring: whom to believe, and what to show. `Certificate()` for any origin believes whom the system believes.
        limits: times.
    """

    def __init__(self, keyring: Keyring = _NO_KEYS, limits: HttpLimits = _DEFAULT_LIMITS) -> None:
        self._keyring = keyring
        self._limits = limits

    @property
    def schemes(self) -> frozenset[str]:
        """HTTP, and HTTPS if there is a certificate to go by."""
        return frozenset({"http", "https"} if self._keyring.serves(USABLE) else {"http"})

    async def resolve(self, uri: str) -> None:
        """Find out whether the host has an address, and for HTTPS whether there is a certificate to go by.

        Raises:
            InvalidUriError: it is no such URI, or there is no such host.
            UnsupportedProtocolError: another scheme.
            MissingCredentialError: nobody is believed there.
            TransportError: the name service cannot tell at present.
        """
        url = _parsed(uri)
        self._context(url)
        await resolve_host(_host(url), _port(url), socket.SOCK_STREAM)

    async def fetch(self, uri: str, sink: FetchSink, *, offset: int, etag: bytes | None) -> None:
        """Fetch the rest of a package; see `PackageFetcher`.

        Raises:
            InvalidUriError, UnsupportedProtocolError, MissingCredentialError: as `resolve`.
            ResponseError: the origin refused; 4.12 if it has another version.
            TransportError: it cannot be reached, stopped answering, or broke its protocol.
            FotaError: what the sink raised.
        """
        url = first = _parsed(uri)
        for _ in range(self._limits.redirects + 1):
            onward = await self._translated(url, _Part(sink, offset, etag))
            if onward is None:
                return
            sink.leads_on(str(onward))
            url = onward
        raise TransportError(f"{_shown(first)}: it leads on without end")

    async def _translated(self, url: httpx.URL, part: "_Part") -> httpx.URL | None:
        """One request, with errors of ours."""
        try:
            return await self._fetch(url, part)
        except httpx.InvalidURL as error:
            raise InvalidUriError(f"{_shown(url)}: {error}") from error
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:  # OSError: those of TLS too
            if isinstance(error, httpx.ConnectError):
                await resolve_host(_host(url), _port(url), socket.SOCK_STREAM)  # perhaps there is no such host
            raise TransportError(f"{_shown(url)}: {str(error) or type(error).__name__}") from error

    async def _fetch(self, url: httpx.URL, part: "_Part") -> httpx.URL | None:
        """One request: None once the package is whole, or where it leads on to.

        A client of httpx would log each URI, and the path of a package is a secret; a transport of it does not.
        """
        timeout = httpx.Timeout(self._limits.silence_s, connect=self._limits.connect_s)
        request = httpx.Request("GET", url, headers=part.headers(), extensions={"timeout": timeout.as_dict()})
        async with httpx.AsyncHTTPTransport(verify=self._context(url), trust_env=False) as transport:
            response = await transport.handle_async_request(request)
            try:
                if response.status_code in _REDIRECTS:
                    return _led_on(url, response)
                await part.take(url, response)
                return None
            finally:
                await response.aclose()

    def _context(self, url: httpx.URL) -> ssl.SSLContext | bool:
        """Whom to believe at a URL; False where nobody need be."""
        if url.scheme == "http":
            return False
        credential = self._keyring.find(Origin("https", _host(url), _port(url)), USABLE)
        return client_context(cast("Certificate", credential), ("http/1.1",))


@final
class _Part:
    """The rest of a package: what is asked for, and how the answer is taken."""

    def __init__(self, sink: FetchSink, offset: int, etag: bytes | None) -> None:
        self._sink = sink
        self._offset = offset
        self._etag = etag

    def headers(self) -> dict[str, str]:
        """What goes with the request."""
        headers = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "lwm2m-fota"}
        if self._offset and self._etag is not None:
            tag = quoted(self._etag)
            headers |= {"range": f"bytes={self._offset}-", "if-match": tag, "if-range": tag}
        return headers

    async def take(self, url: httpx.URL, response: httpx.Response) -> None:
        """Hand the body of an answer to the sink."""
        status, headers = response.status_code, response.headers
        if status == _NOT_SATISFIABLE and self._offset:
            raise _refused(url, _PRECONDITION_FAILED, response)  # what is there is longer than the package is now
        if status not in {_OK, _PARTIAL}:
            raise _refused(url, code_of(status), response)
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise TransportError(f"{_shown(url)}: a content coding that was not asked for")
        etag = strong_etag(headers.get("etag"))
        size_bytes: int | None
        if status == _PARTIAL:
            start, size_bytes = self._placed(url, response, etag)
        else:
            start, size_bytes = self._whole(response, etag)
        await self._stream(response, start, size_bytes, etag)

    def _placed(self, url: httpx.URL, response: httpx.Response, etag: bytes | None) -> tuple[int, int]:
        """Where a part belongs, and how large the whole is."""
        part = content_range(response.headers.get("content-range"))
        if part is None or not self._offset or part.start != self._offset:
            raise TransportError(f"{_shown(url)}: a part that was not asked for")
        if etag is None or etag != self._etag:  # an answer must say of which version its part is (section 15.3.7)
            raise _refused(url, _PRECONDITION_FAILED, response, "a part of another version")
        if part.size_bytes is None:
            raise _refused(url, _PRECONDITION_FAILED, response, "a part of a package whose end is not told")
        if response.headers.get("content-length", str(part.length)) != str(part.length):
            raise TransportError(f"{_shown(url)}: a part that is not as long as it says")
        return part.start, part.size_bytes

    def _whole(self, response: httpx.Response, etag: bytes | None) -> tuple[int, int | None]:
        """The whole comes: of the same version, what is there already is passed over."""
        if self._offset and (etag is None or etag != self._etag):
            self._sink.restarted("the origin has another version")
            self._offset = 0
        length = response.headers.get("content-length", "")
        return 0, int(length) if length.isascii() and length.isdigit() else None

    async def _stream(self, response: httpx.Response, at: int, size_bytes: int | None, etag: bytes | None) -> None:
        """Each piece goes on when the next is there, if the size is not told: the last one must be known as such."""
        held = b""
        async for piece in response.aiter_raw():
            if held:
                self._hand_on(held, at, size_bytes, etag, last=False)
                at += len(held)
            held = piece
            if size_bytes is not None and at + len(held) < size_bytes:
                self._hand_on(held, at, size_bytes, etag, last=False)
                at += len(held)
                held = b""
        if size_bytes is not None and at + len(held) != size_bytes:
            raise TransportError("the origin has sent less than there is")
        self._hand_on(held, at, size_bytes, etag, last=True)

    def _hand_on(self, data: bytes, at: int, size_bytes: int | None, etag: bytes | None, *, last: bool) -> None:
        skipped = min(max(self._offset - at, 0), len(data))
        if skipped < len(data) or last:
            self._sink.block(at + skipped, data[skipped:], etag=etag, size_bytes=size_bytes, last=last)


def _parsed(uri: str) -> httpx.URL:
    scheme = scheme_of(uri)
    if scheme not in _DEFAULT_PORTS:
        raise UnsupportedProtocolError(f"{scheme} is not fetched here")
    try:
        url = httpx.URL(uri)
        url.host  # noqa: B018 - read, since what begins with "xn--" may be no name
    except (httpx.InvalidURL, UnicodeError) as error:
        raise InvalidUriError(f"not a URI: {error}") from error
    if url.userinfo or not 0 < _port(url) <= MAX_PORT:
        raise InvalidUriError("an HTTP URI names no user, and a port that there is")
    return url


def _host(url: httpx.URL) -> str:
    """The host as it is connected to: `url.host` is what people read for a name that begins with "xn--"."""
    return url.raw_host.decode("ascii").lower()


def _port(url: httpx.URL) -> int:
    return _DEFAULT_PORTS[url.scheme] if url.port is None else url.port


def _shown(url: httpx.URL) -> str:
    """Without what may be a secret: the path of a package is not to be guessed."""
    return f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"


def _led_on(url: httpx.URL, response: httpx.Response) -> httpx.URL:
    onward = _parsed(str(url.join(response.headers.get("location", ""))))
    if url.scheme == "https" and onward.scheme != "https":
        raise TransportError(f"{_shown(url)}: it leads from https to http")
    return onward


def _refused(url: httpx.URL, code: int, response: httpx.Response, why: str = "") -> ResponseError:
    wait = retry_after_s(response.headers.get("retry-after"), response.headers.get("date"))
    return ResponseError(f"GET {_shown(url)}", response_code=code, diagnostic=why, retry_after_s=wait)
