"""Packages for devices that pull over CoAP: Block2 with ETag and Size2, on unguessable paths that expire.

The server is stateless towards its peers: each block request is answered from the source, so a device can stop, move
and come back at any block (RFC 7959 section 2.4).
"""

import hashlib
import logging
import re
from collections.abc import Callable
from typing import Final, final

import attrs

from lwm2m_fota.coap.block import Block
from lwm2m_fota.coap.block2 import block2_answer, block2_options
from lwm2m_fota.coap.endpoint import Entropy, Response
from lwm2m_fota.coap.message import Message, Options, pack_uint, sort_options
from lwm2m_fota.coap.numbers import ContentFormat, Option
from lwm2m_fota.errors import FotaError, StorageError, UsageError
from lwm2m_fota.lwm2m.options import ADDRESSING, check_options
from lwm2m_fota.lwm2m.responses import error_response
from lwm2m_fota.model.codes import Code
from lwm2m_fota.server.callbacks import tell
from lwm2m_fota.server.ports import ProgressListener, Publication
from lwm2m_fota.storage.base import PackageSource

ROOT: Final = "fw"
TOKEN_BYTES: Final = 16
ETAG_BYTES: Final = 8
_HASH_CHUNK_BYTES: Final = 1 << 18
_UNDERSTOOD: Final = ADDRESSING | {Option.ACCEPT, Option.BLOCK2}
_TOKEN: Final = re.compile(rf"[0-9a-f]{{{2 * TOKEN_BYTES}}}")
_CONTENT_FORMAT: Final = (int(Option.CONTENT_FORMAT), pack_uint(ContentFormat.OPAQUE))
# Looked up once: in Python 3.11 a member of an enumeration costs as much as a call.
_GET: Final = int(Code.GET)
_CONTENT: Final = int(Code.CONTENT)
_ACCEPT: Final = int(Option.ACCEPT)
_BLOCK2: Final = int(Option.BLOCK2)
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
    """

    lifetime_s: float = 86400.0
    max_publications: int = 10_000
    max_szx: int = 6


@final
@attrs.frozen
class BlockServed:
    """Blocks that were asked for: who, which package, from which byte on.

    Where a device asks fast, a few blocks at a time are read for it, and then this tells of all of them at once.
    """

    peer: object
    token: str
    num: int
    offset: int
    length: int


@final
class _Published:
    __slots__ = ("etag", "expires_at", "furthest", "progress", "size_bytes", "source")

    def __init__(self, source: PackageSource, etag: bytes, progress: ProgressListener, expires_at: float) -> None:
        self.source = source
        self.size_bytes = source.size_bytes
        self.etag = etag
        self.progress = progress
        self.expires_at = expires_at
        self.furthest = 0


def digest_of(source: PackageSource) -> bytes:
    """SHA-256 of a package, read in pieces.

    Raises:
        StorageError: it cannot be read, or is shorter than it says.
    """
    digest = hashlib.sha256()
    for offset in range(0, source.size_bytes, _HASH_CHUNK_BYTES):
        digest.update(_read(source, offset, min(_HASH_CHUNK_BYTES, source.size_bytes - offset)))
    return digest.digest()


def _read(source: PackageSource, offset: int, length: int) -> bytes:
    data = source.read_at(offset, length)
    if len(data) != length:
        raise StorageError(f"the package ends before {offset + length} of {source.size_bytes} bytes")
    return data


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
        self._entropy = entropy
        self._clock = clock
        self._limits = limits or PackageServerLimits()
        self._published: dict[str, _Published] = {}
        self.on_block = on_block

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
        self._expire()
        if token is None:
            token = self._entropy.token(TOKEN_BYTES).hex()
        elif not _TOKEN.fullmatch(token):
            raise UsageError("not a token of this package server")
        if token not in self._published and len(self._published) >= self._limits.max_publications:
            raise StorageError("too many packages are published")
        etag = self._etag(source)
        self._published[token] = _Published(source, etag, progress, self._clock() + self._limits.lifetime_s)
        return Publication(f"{self._base_uri()}/{ROOT}/{token}", token)

    def _etag(self, source: PackageSource) -> bytes:
        """Of the content; a source that is served already is not hashed once more."""
        known = (each.etag for each in self._published.values() if each.source is source)
        return next(known, None) or digest_of(source)[:ETAG_BYTES]

    def withdraw(self, token: str) -> None:
        """Serve it no longer."""
        self._published.pop(token, None)

    def _expire(self) -> None:
        now = self._clock()
        for token in [token for token, each in self._published.items() if each.expires_at <= now]:
            del self._published[token]

    def serves(self, path: tuple[str, ...]) -> bool:
        """True if a request to this path is for `handle`."""
        return len(path) > 0 and path[0] == ROOT

    def handle(self, message: Message, peer: object) -> Response:
        """Answer one request below `/fw`. Whatever is wrong with it becomes an error code; nothing is raised."""
        try:
            return self._handle(message, peer)
        except StorageError as error:
            return _unreadable(error)
        except FotaError as error:
            return error_response(error)

    def _handle(self, message: Message, peer: object) -> Response:
        now = self._clock()
        check_options(message, _UNDERSTOOD)
        path = message.path()
        published = self._published.get(path[1]) if len(path) == 2 else None  # noqa: PLR2004 - root and token
        if published is None or published.expires_at <= now:
            return Response(Code.NOT_FOUND)
        if message.code != _GET:
            return Response(Code.METHOD_NOT_ALLOWED)
        if message.uint(_ACCEPT) not in _ACCEPTED:
            return Response(Code.NOT_ACCEPTABLE)
        return self._block(published, message, peer, path[1], now)

    def _block(self, published: _Published, message: Message, peer: object, token: str, now: float) -> Response:
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
        payload = self._serve(published, peer, token, num, offset, length, now)
        body = _Body(self, published, peer, token)
        return Response(_CONTENT, sort_options((*options, _CONTENT_FORMAT)), payload, idempotent=True, body=body)

    def _serve(
        self, published: _Published, peer: object, token: str, num: int, offset: int, length: int, now: float
    ) -> bytes:
        payload = _read(published.source, offset, length)
        published.expires_at = now + self._limits.lifetime_s
        if self.on_block is not None:
            tell(self.on_block, BlockServed(peer, token, num, offset, length))
        if offset + length > published.furthest:
            published.furthest = offset + length
            tell(published.progress, published.furthest)
        return payload

    def serve_next(self, published: _Published, peer: object, token: str, offset: int, length: int) -> bytes | Response:
        """A block behind one that was served to the same peer."""
        now = self._clock()
        if self._published.get(token) is not published or published.expires_at <= now:
            return Response(Code.NOT_FOUND)
        try:
            return self._serve(published, peer, token, offset // length, offset, length, now)
        except StorageError as error:
            return _unreadable(error)


def _unreadable(error: StorageError) -> Response:
    """What is wrong here is not the peer's business."""
    _LOG.warning("a published package cannot be read: %s", error)
    return Response(Code.INTERNAL_SERVER_ERROR)


@final
class _Body:
    """A published package, as one peer fetches it."""

    __slots__ = ("_peer", "_published", "_server", "_token", "size_bytes")

    def __init__(self, server: PackageServer, published: _Published, peer: object, token: str) -> None:
        self._server = server
        self._published = published
        self._peer = peer
        self._token = token
        self.size_bytes = published.size_bytes

    def block(self, offset: int, length: int) -> bytes | Response:
        return self._server.serve_next(self._published, self._peer, self._token, offset, length)
