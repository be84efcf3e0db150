"""Hosts packages over HTTP or HTTPS with uvicorn (extra `http`), in the loop that runs."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, cast, final

import attrs

from lwm2m_fota.credentials.store import CredentialStore
from lwm2m_fota.credentials.values import Certificate
from lwm2m_fota.errors import MissingExtraError, UsageError
from lwm2m_fota.server.ports import ProgressListener, Publication
from lwm2m_fota.server.publications import BlockServed
from lwm2m_fota.storage.base import PackageSource
from lwm2m_fota.transport.names import bind_socket, prepare_listener
from lwm2m_fota.transport.tls import server_context
from lwm2m_fota.web.connections import IDENTITY, Connection, ConnectionLimits, Crowd, Handshake
from lwm2m_fota.web.site import HttpPackageSite, HttpSiteLimits

try:
    import uvicorn
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send
except ImportError as error:
    raise MissingExtraError("http and https need: pip install 'lwm2m-fota[http]'") from error

_BACKLOG: Final = 128
_FORBIDDEN: Final = 403


@final
@attrs.frozen(kw_only=True)
class HttpHostLimits:
    """Bounds of the server.

    Attributes:
        connections: at a time; where there are more, one without a request goes for the newcomer, and if all have one,
            that is answered 503, with Retry-After, and closed.
        retry_after_s: when those may ask again.
        head_s: how long the handshake of TLS may take, and how long the head of a request.
        keep_alive_s: how long a connection may be idle between requests.
        stalled_s: how long an answer may wait for a device to read on.
        goodbye_s: how long downloads may go on when the host is stopped.
        warning_pause_s: no more than one line of the log in this time tells of connections that were refused or closed;
            how many there were is told with the next.
        site: of the packages.
    """

    connections: int = 1_000
    retry_after_s: int = 5
    head_s: float = 10.0
    keep_alive_s: int = 5
    stalled_s: float = 120.0
    goodbye_s: int = 1
    warning_pause_s: float = 1.0
    site: HttpSiteLimits = attrs.field(factory=HttpSiteLimits)


class _Server(uvicorn.Server):
    """Leaves the signals of the process to whoever owns it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@final
class HttpPackageHost:
    """A `PackageHost` over HTTP, or over HTTPS with a certificate. Use it as an asynchronous context manager.

    Args:
        host: the local address.
        port: the local port; 0 takes a free one.
        certificate: to show; None serves plain HTTP.
        demand_certificate: serve only who shows a certificate that the authorities in `certificate` have signed.
        store: what is known of those; who is revoked there gets no answer but 403, and what is under way breaks off.
        advertise_host: the host in URIs, or what tells it when a package is published; None takes the local address.
        limits: bounds.
        on_block: hears of every piece that is handed to the server.

    Raises:
        UsageError: the certificate cannot be used.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        certificate: Certificate | None = None,
        demand_certificate: bool = False,
        store: CredentialStore | None = None,
        advertise_host: str | Callable[[], str | None] | None = None,
        limits: HttpHostLimits | None = None,
        on_block: Callable[[BlockServed], None] | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._limits = limits or HttpHostLimits()
        self._advertised = advertise_host
        self._context = (
            None if certificate is None else server_context(certificate, ("http/1.1",), demand=demand_certificate)
        )
        self._scheme = "http" if certificate is None else "https"
        self._site = HttpPackageSite(self._base_uri, self._scheme, limits=self._limits.site, on_block=on_block)
        self._crowd = Crowd(
            ConnectionLimits(
                connections=self._limits.connections,
                head_s=self._limits.head_s,
                stalled_s=self._limits.stalled_s,
                warning_pause_s=self._limits.warning_pause_s,
            )
        )
        self._store = store
        if store is not None:
            store.listen(self._crowd.end)
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._address: tuple[str, int] | None = None

    async def __aenter__(self) -> "HttpPackageHost":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen.

        Raises:
            TransportError: the address cannot be had.
            UsageError: it listens already.
        """
        if self._serving is not None:
            raise UsageError("the host listens already")
        sock = await bind_socket(self._host, self._port, socket.SOCK_STREAM, prepare_listener)
        sock.listen(_BACKLOG)
        host, port, *_ = sock.getsockname()
        self._address = (host, port)
        context, crowd = self._context, self._crowd
        entrance = partial(Connection, crowd) if context is None else partial(Handshake, crowd, context)
        config = uvicorn.Config(
            self._app,
            interface="asgi3",  # not found out by itself of a method
            http=cast("type[asyncio.Protocol]", entrance),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=self._limits.keep_alive_s,
            timeout_graceful_shutdown=self._limits.goodbye_s,
        )
        crowd.lets_in = True
        self._server = _Server(config)
        self._serving = asyncio.get_running_loop().create_task(self._server.serve(sockets=[sock]))

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse who is revoked, and who is too many: uvicorn's own limit would not say when to come back."""
        limits, identity = self._limits, scope["state"].get(IDENTITY)
        if self._store is not None and identity is not None and not self._store.accepts(identity):
            now = asyncio.get_running_loop().time()
            self._crowd.refusals.refused(scope.get("client"), f"{identity} is revoked", now)
            await Response(status_code=_FORBIDDEN, headers={"Connection": "close"})(scope, receive, send)
            return
        if len(self._crowd) > limits.connections:
            now = asyncio.get_running_loop().time()
            self._crowd.refusals.refused(scope.get("client"), "there is no room for more connections", now)
            headers = {"Retry-After": str(limits.retry_after_s), "Connection": "close"}
            await Response(status_code=503, headers=headers)(scope, receive, send)
            return
        await self._site.app(scope, receive, send)

    async def stop(self) -> None:
        """Stop; twice is harmless."""
        serving, self._serving = self._serving, None
        if serving is None or self._server is None:
            return
        self._server.should_exit = True
        self._crowd.end_handshakes()
        await serving
        self._address = None

    @property
    def local_address(self) -> tuple[str, int]:
        """Host and port where it listens.

        Raises:
            UsageError: it does not listen.
        """
        if self._address is None:
            raise UsageError("the host does not listen")
        return self._address

    @property
    def schemes(self) -> tuple[str, ...]:
        """The one scheme."""
        return self._site.schemes

    def publish(
        self, source: PackageSource, scheme: str, progress: ProgressListener, token: str | None = None
    ) -> Publication:
        """Serve a package; see `PackageHost.publish`.

        Raises:
            StorageError: it cannot be read, or too many are served already.
            UsageError: another scheme, a token that is none of this host, or no device can fetch from its address.
        """
        return self._site.publish(source, scheme, progress, token)

    def withdraw(self, token: str) -> None:
        """Serve it no longer."""
        self._site.withdraw(token)

    def _base_uri(self) -> str:
        host, port = self.local_address
        advertised = self._advertised
        host = (advertised() if callable(advertised) else advertised) or host
        with contextlib.suppress(ValueError):
            if ipaddress.ip_address(host).is_unspecified:
                raise UsageError(f"no device can fetch from {host}: give advertise_host")
        return f"{self._scheme}://[{host}]:{port}" if ":" in host else f"{self._scheme}://{host}:{port}"
