"""A package on its way through its format: recognised by its first bytes, hashed and parsed in one pass."""

import hashlib
from typing import final

from lwm2m_fota.package.digest import FileDigest
from lwm2m_fota.package.formats.base import InnerPackage, PackageContext, PackageFormat, PackageParser, ScatteredParser
from lwm2m_fota.package.formats.registry import FormatRegistry
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.package.types import Verdict


@final
class PackageStream:
    """Feeds one package, or one within another, to the format that recognises it.

    Args:
        trust: the policy.
        now: seconds since 1970; None while the clock is not set.
        formats: the formats that are understood.
        expected_size_bytes: the length of the package, if it is known.
        is_inner: whether it is within another package; then none may be within it.
    """

    __slots__ = (
        "_expected_size_bytes", "_format", "_formats", "_is_inner", "_now", "_parser", "_prefix", "_skip", "_trust",
        "digest",
    )  # fmt: skip

    def __init__(
        self,
        trust: TrustPolicy,
        now: float | None,
        formats: FormatRegistry,
        *,
        expected_size_bytes: int | None = None,
        is_inner: bool = False,
    ) -> None:
        self._trust = trust
        self._now = now
        self._formats = formats
        self._expected_size_bytes = expected_size_bytes
        self._is_inner = is_inner
        self.digest = FileDigest()
        self._prefix = b""
        self._skip = 0  # bytes that the parser can do without
        self._format: PackageFormat | None = None
        self._parser: PackageParser | None = None

    @property
    def format_name(self) -> str:
        """The name of the format; empty while it is not recognised."""
        return "" if self._format is None else self._format.name

    @property
    def position(self) -> int:
        """How many bytes were taken."""
        return self.digest.position + (len(self._prefix) if self._parser is None else 0)

    def digest_so_far(self) -> bytes:
        """SHA-256 of them."""
        return hashlib.sha256(self._prefix).digest() if self._parser is None else self.digest.digest()

    @property
    def awaited_uri(self) -> str | None:
        """Where the bytes are that have to come next; None if they come from where the others came from."""
        return self._parser.awaited_uri if isinstance(self._parser, ScatteredParser) else None

    @property
    def free_bytes(self) -> int:
        """How many of the next bytes need only `digest.pass_by`; `passed` has to be told of them."""
        return min(self._skip, self.digest.until_mark)

    def passed(self, size_bytes: int) -> None:
        """So many bytes went by without `feed`."""
        self.digest.advance(size_bytes)
        self._skip -= size_bytes

    def feed(self, data: memoryview) -> None:
        """Take the next bytes.

        Raises:
            PackageError: the package will not be accepted.
        """
        if self._parser is None:
            missing = self._formats.prefix_bytes - len(self._prefix)
            self._prefix += data[:missing]
            data = data[missing:]
            if not self._recognise(complete=False):
                return
        skipped = data[: self._skip]
        self.digest.update(skipped)
        self._skip -= len(skipped)
        self._parse(data[len(skipped) :])

    def _parse(self, data: memoryview) -> None:
        if self._parser is not None and data:
            self._skip = self._parser.feed(data)
            self.digest.update(data)

    def _recognise(self, *, complete: bool) -> bool:
        """Open the parser, if the first bytes tell which; it gets them at once."""
        self._format = self._formats.recognise(self._prefix, complete=complete)
        if self._format is None:
            return False
        context = PackageContext(
            trust=self._trust,
            ring=self._trust.keyring(self._now),
            digest=self.digest,
            expected_size_bytes=self._expected_size_bytes,
            open_inner=None if self._is_inner else self._inner,
        )
        self._parser = self._format.open(context)
        self._parse(memoryview(self._prefix))
        return True

    def _inner(self) -> InnerPackage:
        return PackageStream(self._trust, self._now, self._formats, is_inner=True)

    def finish(self) -> Verdict:
        """The package is complete.

        Raises:
            PackageError: it must not be installed.
        """
        if self._parser is None:
            self._recognise(complete=True)
        if self._parser is None:
            raise AssertionError
        return self._parser.finish()
