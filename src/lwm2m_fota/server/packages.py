"""Packages for devices that pull over CoAP: Block2 with ETag and Size2, on unguessable paths that expire.

The server is stateless towards its peers: each block request is answered from the source, so a device can stop, move
and come back at any block (RFC 7959 section 2.4).
"""

import hashlib
from collections.abc import Callable
from typing import Final, final

import attrs

from lwm2m_fota.coap.block import Block
from lwm2m_fota.coap.block2 import block2_answer, block2_options
from lwm2m_fota.coap.endpoint import Entropy, Response
from lwm2m_fota.coap.message import Message, sort_options
from lwm2m_fota.coap.numbers import Option, is_critical
from lwm2m_fota.errors import BlockwiseError, StorageError
from lwm2m_fota.lwm2m.responses import error_response
from lwm2m_fota.model.codes import Code
from lwm2m_fota.server.ports import ProgressListener, Publication
from lwm2m_fota.storage.base import PackageSource

ROOT: Final = "fw"
TOKEN_BYTES: Final = 16
ETAG_BYTES: Final = 8
_HASH_CHUNK_BYTES: Final = 1 << 18
_UNDERSTOOD: Final = frozenset(
    {Option.URI_HOST, Option.URI_PORT, Option.URI_PATH, Option.URI_QUERY, Option.ACCEPT, Option.BLOCK2}
)


@final
@attrs.frozen(kw_only=True)
class PackageServerLimits:
    """Bounds of a package server.

    Attributes:
        lifetime_s: how long a path is served after its last request.
        max_publications: packages served at a time.
        max_szx: the largest block size, as exponent (6 is 1024 bytes).
    """

    lifetime_s: float = 86400.0
    max_publications: int = 10_000
    max_szx: int = 6


@final
@attrs.frozen
class BlockServed:
    """One block that was asked for: who, which package, from which byte on."""

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
        StorageError: it cannot be read.
    """
    digest = hashlib.sha256()
    for offset in range(0, source.size_bytes, _HASH_CHUNK_BYTES):
        digest.update(source.read_at(offset, min(_HASH_CHUNK_BYTES, source.size_bytes - offset)))
    return digest.digest()


@final
class PackageServer:
    """A `PackageHost` on the CoAP endpoint of its owner.

    Args:
        base_uri: what a URI begins with, e.g. `coap://192.0.2.1:5683`; a function, since the port may be known late.
        entropy: makes the tokens.
        clock: monotonic seconds.
        limits: bounds.
        on_block: hears of every block served.
    """

    def __init__(
        self,
        base_uri: Callable[[], str],
        entropy: Entropy,
        clock: Callable[[], float],
        limits: PackageServerLimits | None = None,
        on_block: Callable[[BlockServed], None] | None = None,
    ) -> None:
        self._base_uri = base_uri
        self._entropy = entropy
        self._clock = clock
        self._limits = limits or PackageServerLimits()
        self._published: dict[str, _Published] = {}
        self.on_block = on_block

    @property
    def schemes(self) -> tuple[str, ...]:
        """Only plain CoAP here."""
        return ("coap",)

    def publish(self, source: PackageSource, scheme: str, progress: ProgressListener) -> Publication:
        """Serve a package.

        Raises:
            StorageError: it cannot be read, or too many are served already.
        """
        del scheme  # there is one
        self._expire()
        if len(self._published) >= self._limits.max_publications:
            raise StorageError("too many packages are published")
        token = self._entropy.token(TOKEN_BYTES).hex()
        etag = digest_of(source)[:ETAG_BYTES]
        self._published[token] = _Published(source, etag, progress, self._clock() + self._limits.lifetime_s)
        return Publication(f"{self._base_uri()}/{ROOT}/{token}", token)

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
        """Answer one request below `/fw`."""
        path = message.path()
        published = self._published.get(path[1]) if len(path) == 2 else None  # noqa: PLR2004 - root and token
        if published is None or published.expires_at <= self._clock():
            return Response(Code.NOT_FOUND)
        if message.code != Code.GET:
            return Response(Code.METHOD_NOT_ALLOWED)
        if any(is_critical(number) and number not in _UNDERSTOOD for number, _ in message.options):
            return Response(Code.BAD_OPTION)
        try:
            return self._block(published, message, peer, path[1])
        except (BlockwiseError, StorageError) as error:
            return error_response(error)

    def _block(self, published: _Published, message: Message, peer: object, token: str) -> Response:
        value = message.first(Option.BLOCK2)
        requested = None if value is None else Block.decode(value)
        part = block2_answer(requested, published.size_bytes, max_szx=self._limits.max_szx)
        if part is None:
            offset, num, length = 0, 0, published.size_bytes
            options = sort_options(((int(Option.ETAG), published.etag),))
        else:
            offset, num, length = part.offset, part.num, part.length
            options = block2_options(part, published.size_bytes, published.etag, want_size2=True)
        payload = published.source.read_at(offset, length)
        published.expires_at = self._clock() + self._limits.lifetime_s
        if self.on_block is not None:
            self.on_block(BlockServed(peer, token, num, offset, length))
        if offset + length > published.furthest:
            published.furthest = offset + length
            published.progress(published.furthest)
        return Response(Code.CONTENT, options, payload, idempotent=True)
