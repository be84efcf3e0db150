"""What a package host serves: packages under unguessable tokens that expire."""

import hashlib
import re
from collections.abc import Callable
from typing import Final, final

import attrs

from lwm2m_fota.coap.endpoint import Entropy
from lwm2m_fota.errors import StorageError, UsageError
from lwm2m_fota.server.callbacks import tell
from lwm2m_fota.server.ports import ProgressListener
from lwm2m_fota.storage.base import PackageSource

ROOT: Final = "fw"
"""The first segment of every path."""

TOKEN_BYTES: Final = 16
ETAG_BYTES: Final = 8
_HASH_CHUNK_BYTES: Final = 1 << 18
_TOKEN: Final = re.compile(rf"[0-9a-f]{{{2 * TOKEN_BYTES}}}")


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
class Published:
    """One package that is served.

    Attributes:
        token: names it.
        source: the package.
        size_bytes: its size.
        etag: names its content: the beginning of its digest, so that hosts of all protocols name it alike.
        progress: hears the end of the furthest block.
        expires_at: monotonic seconds.
        furthest: that end, bytes.
    """

    __slots__ = ("etag", "expires_at", "furthest", "progress", "size_bytes", "source", "token")

    def __init__(
        self, token: str, source: PackageSource, etag: bytes, progress: ProgressListener, expires_at: float
    ) -> None:
        self.token = token
        self.source = source
        self.size_bytes = source.size_bytes
        self.etag = etag
        self.progress = progress
        self.expires_at = expires_at
        self.furthest = 0


@final
class Publications:
    """The packages of one host.

    Args:
        entropy: makes the tokens.
        clock: monotonic seconds.
        lifetime_s: how long a token counts after its last use.
        max_publications: at a time.
        on_block: hears of every block served.
    """

    def __init__(
        self,
        entropy: Entropy,
        clock: Callable[[], float],
        *,
        lifetime_s: float,
        max_publications: int,
        on_block: Callable[[BlockServed], None] | None,
    ) -> None:
        self._entropy = entropy
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._max_publications = max_publications
        self._on_block = on_block
        self._published: dict[str, Published] = {}

    def publish(self, source: PackageSource, progress: ProgressListener, token: str | None) -> str:
        """Serve a package, under a new token or under an old one of this host; see `PackageHost.publish`.

        Raises:
            StorageError: it cannot be read, or too many are served already.
            UsageError: a token that is none of ours.
        """
        self._expire()
        if token is None:
            token = self._entropy.token(TOKEN_BYTES).hex()
        elif not _TOKEN.fullmatch(token):
            raise UsageError("not a token of this host")
        if token not in self._published and len(self._published) >= self._max_publications:
            raise StorageError("too many packages are published")
        expires_at = self._clock() + self._lifetime_s
        self._published[token] = Published(token, source, self._etag(source), progress, expires_at)
        return token

    def _etag(self, source: PackageSource) -> bytes:
        """Of the content; a source that is served already is not hashed once more."""
        known = (each.etag for each in self._published.values() if each.source is source)
        return next(known, None) or digest_of(source)[:ETAG_BYTES]

    def find(self, token: str) -> Published | None:
        """What is served under a token."""
        published = self._published.get(token)
        return published if published is not None and published.expires_at > self._clock() else None

    def is_served(self, published: Published) -> bool:
        """It was neither withdrawn nor replaced, and has not expired."""
        return self.find(published.token) is published

    def serve(self, published: Published, peer: object, num: int, offset: int, length: int) -> bytes:
        """Exactly these bytes, for a peer; the token counts anew for as long as a token does.

        Raises:
            StorageError: they cannot be read, or the package is shorter than it was.
        """
        payload = _read(published.source, offset, length)
        published.expires_at = self._clock() + self._lifetime_s
        if self._on_block is not None:
            tell(self._on_block, BlockServed(peer, published.token, num, offset, length))
        if offset + length > published.furthest:
            published.furthest = offset + length
            tell(published.progress, published.furthest)
        return payload

    def withdraw(self, token: str) -> None:
        """Serve it no longer; harmless if it is gone."""
        self._published.pop(token, None)

    def _expire(self) -> None:
        now = self._clock()
        for token in [token for token, each in self._published.items() if each.expires_at <= now]:
            del self._published[token]
