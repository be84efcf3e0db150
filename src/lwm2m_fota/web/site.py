"""Packages for devices that pull over HTTP: an ASGI application, for any server of such.

Conditions and ranges are evaluated here: a file response of a framework answers 206 to a Range whose If-Match is wrong,
and a device would join the halves of two packages.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final, final

import attrs

from lwm2m_fota.coap.endpoint import Entropy
from lwm2m_fota.errors import MissingExtraError, StorageError, UsageError
from lwm2m_fota.runtime.entropy import SystemEntropy
from lwm2m_fota.server.ports import ProgressListener, Publication
from lwm2m_fota.server.publications import ROOT, BlockServed, Publications, Published
from lwm2m_fota.storage.base import PackageSource
from lwm2m_fota.web.rules import Selected, quoted, select

try:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response, StreamingResponse
    from starlette.routing import Route
except ImportError as error:
    raise MissingExtraError("http and https need: pip install 'lwm2m-fota[http]'") from error

_OPAQUE: Final = "application/octet-stream"
_WITH_BODY: Final = frozenset({200, 206})
_NOT_FOUND: Final = 404
_LOG: Final = logging.getLogger(__name__)


@final
@attrs.frozen(kw_only=True)
class HttpSiteLimits:
    """Bounds of the packages that are served over HTTP.

    Attributes:
        lifetime_s: how long a path is served after the last piece that was fetched.
        max_publications: packages served at a time.
        piece_bytes: read, and given to the server, at a time.
    """

    lifetime_s: float = 86400.0
    max_publications: int = 10_000
    piece_bytes: int = 65_536


@final
class HttpPackageSite:
    """A `PackageHost` whose `app` serves the packages.

    Args:
        base_uri: what a URI begins with, e.g. `https://192.0.2.1:8443`; a function, since the port may be known late.
        scheme: http or https, as that URI says.
        limits: bounds.
        entropy: makes the tokens; by default from the operating system.
        clock: monotonic seconds; by default of the running event loop.
        on_block: hears of every piece that is handed to the server.

    Attributes:
        app: the ASGI application: GET and HEAD of `/fw/TOKEN`.
    """

    def __init__(
        self,
        base_uri: Callable[[], str],
        scheme: str,
        *,
        limits: HttpSiteLimits | None = None,
        entropy: Entropy | None = None,
        clock: Callable[[], float] | None = None,
        on_block: Callable[[BlockServed], None] | None = None,
    ) -> None:
        self._base_uri = base_uri
        self._scheme = scheme
        self._limits = limits or HttpSiteLimits()
        self._publications = Publications(
            entropy or SystemEntropy(),
            clock or (lambda: asyncio.get_running_loop().time()),
            lifetime_s=self._limits.lifetime_s,
            max_publications=self._limits.max_publications,
            on_block=on_block,
        )
        self.app = Starlette(routes=[Route(f"/{ROOT}/{{token}}", self._serve, methods=["GET", "HEAD"])])

    @property
    def schemes(self) -> tuple[str, ...]:
        """The one scheme."""
        return (self._scheme,)

    def publish(
        self, source: PackageSource, scheme: str, progress: ProgressListener, token: str | None = None
    ) -> Publication:
        """Serve a package; see `PackageHost.publish`.

        Raises:
            StorageError: it cannot be read, or too many are served already.
            UsageError: another scheme, or a token that is none of this host.
        """
        if scheme != self._scheme:
            raise UsageError(f"{scheme} is not served here")
        token = self._publications.publish(source, progress, token)
        return Publication(f"{self._base_uri()}/{ROOT}/{token}", token)

    def withdraw(self, token: str) -> None:
        """Serve it no longer."""
        self._publications.withdraw(token)

    async def _serve(self, request: Request) -> Response:
        published = self._publications.find(request.path_params["token"])
        if published is None:
            return Response(status_code=_NOT_FOUND)
        headers = request.headers
        etag = published.etag.hex().encode()
        selected = select(
            published.size_bytes,
            etag,
            if_match=headers.get("if-match"),
            if_none_match=headers.get("if-none-match"),
            if_range=headers.get("if-range"),
            wanted=headers.get("range") if request.method == "GET" else None,
        )
        answer = {"etag": quoted(etag), "accept-ranges": "bytes", "cache-control": "no-store"}
        placed = selected.content_range(published.size_bytes)
        if placed is not None:
            answer["content-range"] = placed
        if selected.status not in _WITH_BODY:
            return Response(status_code=selected.status, headers=answer)
        answer["content-length"] = str(selected.length)
        if request.method == "HEAD":
            return Response(status_code=selected.status, headers=answer, media_type=_OPAQUE)
        pieces = self._pieces(published, selected, request.client)
        return StreamingResponse(pieces, selected.status, answer, _OPAQUE)

    async def _pieces(self, published: Published, selected: Selected, peer: object) -> AsyncIterator[bytes]:
        """The bytes; if they cannot be read, the connection breaks off, and the device resumes."""
        size, end = self._limits.piece_bytes, selected.start + selected.length
        for at in range(selected.start, end, size):
            try:
                yield self._publications.serve(published, peer, at // size, at, min(size, end - at))
            except StorageError as error:  # what is wrong here is not the peer's business
                _LOG.warning("a published package cannot be read: %s", error)
                raise
