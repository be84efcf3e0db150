"""Packages for devices that pull over CoAP: Block2 with ETag and Size2, on unguessable paths that expire.

The server is stateless towards its peers: each block request is answered from the source, so a device can stop, move
and come back at any block (RFC 7959 section 2.4).
"""

import logging
from collections.abc import Callable, Hashable
from typing import Final, final

import attrs

from lwm2m_fota.coap.block import Block
from lwm2m_fota.coap.block2 import block2_answer, block2_options
from lwm2m_fota.coap.endpoint import Entropy, Response
from lwm2m_fota.coap.message import Message, Options, pack_uint, sort_options
from lwm2m_fota.coap.numbers import ContentFormat, Option
from lwm2m_fota.errors import FotaError, StorageError, UsageError
from lwm2m_fota.lwm2m.options import ADDRESSING, check_options
from lwm2m_fota.lwm2m.places import Places, TransferLimits
from lwm2m_fota.lwm2m.responses import error_response
from lwm2m_fota.model.codes import Code
from lwm2m_fota.server.ports import ProgressListener, Publication
from lwm2m_fota.server.publications import ROOT, BlockServed, Publications, Published
from lwm2m_fota.storage.base import PackageSource

_UNDERSTOOD: Final = ADDRESSING | {Option.ACCEPT, Option.BLOCK2}
_CONTENT_FORMAT: Final = (int(Option.CONTENT_FORMAT), pack_uint(ContentFormat.OPAQUE))
# Looked up once: in Python 3.11 a member of an enumeration costs as much as a call.
_GET: Final = int(Code.GET)
_CONTENT: Final = int(Code.CONTENT)
_ACCEPT: Final = int(Option.ACCEPT)
_BLOCK2: Final = int(Option.BLOCK2)
_TRANSFERS: Final = TransferLimits(in_all=10_000)
_ACCEPTED: Final = frozenset({None, int(ContentFormat.OPAQUE)})
_LOG: Final = logging.getLogger(__name__)


@final
@attrs.frozen(kw_only=True)
class PackageServerLimits:
    """Bounds of a package server.

    Attributes:
        lifetime_s: how long a path is served after its last answered request.
        max_publications: packages served at a time.
        max_szx: the largest block size, as exponent (6 is 1024 bytes).
        transfers: packages on their way at a time; one more is refused with 5.03 and Max-Age.
    """

    lifetime_s: float = 86400.0
    max_publications: int = 10_000
    max_szx: int = 6
    transfers: TransferLimits = _TRANSFERS


@final
class PackageServer:
    """A `PackageHost` on the CoAP endpoint of its owner.

    Args:
        base_uri: what a URI begins with, e.g. `coap://192.0.2.1:5683`; a function, since the port may be known late.
        entropy: makes the tokens.
        clock: monotonic seconds.
        limits: bounds.
        on_block: hears of every block served.
        scheme: of the URIs.
    """

    def __init__(
        self,
        base_uri: Callable[[], str],
        entropy: Entropy,
        clock: Callable[[], float],
        limits: PackageServerLimits | None = None,
        on_block: Callable[[BlockServed], None] | None = None,
        *,
        scheme: str = "coap",
    ) -> None:
        self._base_uri = base_uri
        self._scheme = scheme
        self._limits = limits or PackageServerLimits()
        self._clock = clock
        self._places: Places[None] = Places(self._limits.transfers)
        self._publications = Publications(
            entropy,
            clock,
            lifetime_s=self._limits.lifetime_s,
            max_publications=self._limits.max_publications,
            on_block=on_block,
        )

    @property
    def schemes(self) -> tuple[str, ...]:
        """The one that its endpoint speaks."""
        return (self._scheme,)

    def publish(
        self, source: PackageSource, scheme: str, progress: ProgressListener, token: str | None = None
    ) -> Publication:
        """Serve a package; see `PackageHost.publish`.

        Raises:
            StorageError: it cannot be read, or too many are served already.
            UsageError: another scheme, or a token that is none of this class.
        """
        if scheme not in self.schemes:
            raise UsageError(f"{scheme} is not served here")
        token = self._publications.publish(source, progress, token)
        return Publication(f"{self._base_uri()}/{ROOT}/{token}", token)

    def withdraw(self, token: str) -> None:
        """Serve it no longer."""
        self._publications.withdraw(token)

    def serves(self, path: tuple[str, ...]) -> bool:
        """True if a request to this path is for `handle`."""
        return len(path) > 0 and path[0] == ROOT

    def handle(self, message: Message, peer: Hashable) -> Response:
        """Answer one request below `/fw`. Whatever is wrong with it becomes an error code; nothing is raised."""
        try:
            return self._handle(message, peer)
        except StorageError as error:
            return _unreadable(error)
        except FotaError as error:
            return error_response(error)

    def _handle(self, message: Message, peer: Hashable) -> Response:
        check_options(message, _UNDERSTOOD)
        path = message.path()
        published = self._publications.find(path[1]) if len(path) == 2 else None  # noqa: PLR2004 - root and token
        if published is None:
            return Response(Code.NOT_FOUND)
        if message.code != _GET:
            return Response(Code.METHOD_NOT_ALLOWED)
        if message.uint(_ACCEPT) not in _ACCEPTED:
            return Response(Code.NOT_ACCEPTABLE)
        return self._block(published, message, peer)

    def _block(self, published: Published, message: Message, peer: Hashable) -> Response:
        value = message.first(_BLOCK2)
        requested = None if value is None else Block.decode(value)
        part = block2_answer(requested, published.size_bytes, max_szx=self._limits.max_szx)
        options: Options
        if part is None:
            offset, num, length = 0, 0, published.size_bytes
            options = ((int(Option.ETAG), published.etag),)
        else:
            offset, num, length = part.offset, part.num, part.length
            options = block2_options(part, published.size_bytes, published.etag, want_size2=True)
        payload = self.serve(published, peer, num, offset, length)
        body = _Body(self, published, peer)
        return Response(
            _CONTENT, sort_options((*options, _CONTENT_FORMAT)), payload, idempotent=True, body=body, is_for_known=True
        )

    def is_served(self, published: Published) -> bool:
        """It was neither withdrawn nor replaced, and has not expired."""
        return self._publications.is_served(published)

    def serve(self, published: Published, peer: Hashable, num: int, offset: int, length: int) -> bytes:
        """Exactly these bytes, for a peer that has a place, or is given one.

        Raises:
            BusyError: too many packages are on their way.
            StorageError: the bytes cannot be read.
        """
        if offset + length < published.size_bytes:
            self._places.heard(peer, published.token, None, self._clock())
        else:
            self._places.drop(peer, published.token)
        return self._publications.serve(published, peer, num, offset, length)


def _unreadable(error: StorageError) -> Response:
    """What is wrong here is not the peer's business."""
    _LOG.warning("a published package cannot be read: %s", error)
    return Response(Code.INTERNAL_SERVER_ERROR)


@final
class _Body:
    """A published package, as one peer fetches it."""

    __slots__ = ("_peer", "_published", "_server", "size_bytes")

    def __init__(self, server: PackageServer, published: Published, peer: Hashable) -> None:
        self._server = server
        self._published = published
        self._peer = peer
        self.size_bytes = published.size_bytes

    def block(self, offset: int, length: int) -> bytes | Response:
        published = self._published
        if not self._server.is_served(published):
            return Response(Code.NOT_FOUND)
        try:
            return self._server.serve(published, self._peer, offset // length, offset, length)
        except StorageError as error:
            return _unreadable(error)
        except FotaError as error:
            return error_response(error)
