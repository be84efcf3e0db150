"""What a package host serves: packages under unguessable tokens that expire."""

import re
from collections.abc import Callable
from typing import Final, final

from lwm2m_fota.coap.endpoint import Entropy
from lwm2m_fota.errors import StorageError, UsageError
from lwm2m_fota.server.callbacks import tell
from lwm2m_fota.server.packages import ETAG_BYTES, TOKEN_BYTES, digest_of
from lwm2m_fota.server.ports import ProgressListener
from lwm2m_fota.storage.base import PackageSource

_TOKEN: Final = re.compile(rf"[0-9a-f]{{{2 * TOKEN_BYTES}}}")


@final
class Published:
    """One package that is served.

    Attributes:
        source: the package.
        size_bytes: its size.
        etag: names its content: the beginning of its digest, so that hosts of all protocols name it alike.
    """

    __slots__ = ("_furthest", "_progress", "etag", "expires_at", "size_bytes", "source")

    def __init__(self, source: PackageSource, etag: bytes, progress: ProgressListener, expires_at: float) -> None:
        self.source = source
        self.size_bytes = source.size_bytes
        self.etag = etag
        self.expires_at = expires_at
        self._progress = progress
        self._furthest = 0

    def read(self, offset: int, length: int) -> bytes:
        """Exactly these bytes.

        Raises:
            StorageError: they cannot be read, or the package is shorter than it was.
        """
        data = self.source.read_at(offset, length)
        if len(data) != length:
            raise StorageError(f"the package ends before {offset + length} of {self.size_bytes} bytes")
        return data

    def reached(self, end: int) -> None:
        """A device has got the package up to here."""
        if end > self._furthest:
            self._furthest = end
            tell(self._progress, end)


@final
class Publications:
    """The packages of one host.

    Args:
        entropy: makes the tokens.
        clock: monotonic seconds.
        lifetime_s: how long a token counts after its last use.
        max_publications: at a time.
    """

    def __init__(
        self, entropy: Entropy, clock: Callable[[], float], *, lifetime_s: float, max_publications: int
    ) -> None:
        self._entropy = entropy
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._max_publications = max_publications
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
        self._published[token] = Published(source, self._etag(source), progress, expires_at)
        return token

    def _etag(self, source: PackageSource) -> bytes:
        """Of the content; a source that is served already is not hashed once more."""
        known = (each.etag for each in self._published.values() if each.source is source)
        return next(known, None) or digest_of(source)[:ETAG_BYTES]

    def find(self, token: str) -> Published | None:
        """What is served under a token; it counts anew for as long as a token does."""
        now = self._clock()
        published = self._published.get(token)
        if published is None or published.expires_at <= now:
            return None
        published.expires_at = now + self._lifetime_s
        return published

    def withdraw(self, token: str) -> None:
        """Serve it no longer; harmless if it is gone."""
        self._published.pop(token, None)

    def _expire(self) -> None:
        now = self._clock()
        for token in [token for token, each in self._published.items() if each.expires_at <= now]:
            del self._published[token]
