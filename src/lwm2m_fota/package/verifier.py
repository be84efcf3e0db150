"""The way from bytes to trust: one streaming pass over a package, in bounded memory."""

import hashlib
from typing import TYPE_CHECKING, Final, final

from lwm2m_fota.errors import PackageError, UsageError
from lwm2m_fota.package.formats.registry import FormatRegistry, default_formats
from lwm2m_fota.package.trust import Trust
from lwm2m_fota.package.types import Verdict, VerifiedPackage, _certify
from lwm2m_fota.package.verdicts import Refusal, refusal_error

if TYPE_CHECKING:
    from lwm2m_fota.package.formats.base import PackageFormat, PackageParser

_DEFAULT_FORMATS: Final = default_formats()


@final
class PackageVerifier:
    """Verifies one package while it arrives.

    It keeps what the format needs to judge (for MCUboot the header and the records behind the body), never the body.
    After an error it stays failed: each further call raises the same error.

    Args:
        trust: the policy.
        formats: the formats that are understood.
        expected_size_bytes: the length of the file, if the sender told it; then it must be exactly that.

    Raises:
        PackageTooLargeError: the expected size is more than the policy takes.
        UsageError: a negative size.
    """

    __slots__ = (
        "_bytes_fed", "_expected_size_bytes", "_failure", "_finished", "_format", "_formats", "_parser", "_prefix",
        "_sha256", "_trust",
    )  # fmt: skip

    def __init__(
        self, trust: Trust, *, formats: FormatRegistry = _DEFAULT_FORMATS, expected_size_bytes: int | None = None
    ) -> None:
        if expected_size_bytes is not None and expected_size_bytes < 0:
            raise UsageError("a size is not negative")
        self._trust = trust
        self._formats = formats
        self._expected_size_bytes = expected_size_bytes
        self._check_size(expected_size_bytes or 0)
        self._sha256 = hashlib.sha256()
        self._bytes_fed = 0
        self._prefix = b""
        self._format: PackageFormat | None = None
        self._parser: PackageParser | None = None
        self._failure: PackageError | None = None
        self._finished = False

    @property
    def bytes_fed(self) -> int:
        """How many bytes of the package were taken."""
        return self._bytes_fed

    def digest_so_far(self) -> bytes:
        """SHA-256 of the bytes taken so far: with `bytes_fed`, a checkpoint to resume from."""
        return self._sha256.copy().digest()

    def feed(self, data: bytes | memoryview) -> None:
        """Take the next bytes.

        Args:
            data: not kept; a memoryview of bytes.

        Raises:
            UnsupportedPackageError: no format is recognised, or an algorithm is not supported.
            PackageTooLargeError: the package is, or says that it is, larger than the policy takes.
            IntegrityError: it is malformed, or longer than was told.
            PackageError: its records are more than the verifier holds.
            UsageError: the package was finished.
        """
        self._check_open()
        try:
            self._take_up_to_limit(memoryview(data))
        except PackageError as error:
            self._failure = error
            raise

    def finish(self) -> VerifiedPackage:
        """The package is complete: judge it.

        Raises:
            UnsupportedPackageError: no format is recognised, or an algorithm is not supported.
            IntegrityError: it is truncated, unsigned, or its digest, signature or key does not hold.
            UsageError: the package was finished.
        """
        self._check_open()
        try:
            package = self._judge()
        except PackageError as error:
            self._failure = error
            raise
        self._finished = True
        return package

    def _check_open(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._finished:
            raise UsageError("this package is finished; take a new verifier for the next")

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._trust.max_package_bytes:
            raise refusal_error(Refusal.TOO_LARGE, f"more than {self._trust.max_package_bytes} bytes")
        if self._expected_size_bytes is not None and size_bytes > self._expected_size_bytes:
            raise refusal_error(Refusal.MALFORMED, f"more than the {self._expected_size_bytes} bytes that were told")

    def _take_up_to_limit(self, data: memoryview) -> None:
        """Judge what lies within the limit before what is beyond it: the cuts do not change the verdict."""
        told = self._expected_size_bytes
        room = (self._trust.max_package_bytes if told is None else told) - self._bytes_fed
        self._take(data[:room])
        if len(data) > room:
            self._check_size(self._bytes_fed + 1)

    def _take(self, data: memoryview) -> None:
        self._sha256.update(data)
        self._bytes_fed += len(data)
        if self._parser is None:
            missing = self._formats.prefix_bytes - len(self._prefix)
            self._prefix += bytes(data[:missing])
            data = data[missing:]
            self._recognise(complete=False)
        if self._parser is not None:
            self._parser.feed(data)

    def _recognise(self, *, complete: bool) -> None:
        """Open the parser, if the first bytes tell which; it gets them at once."""
        self._format = self._formats.recognise(self._prefix, complete=complete)
        if self._format is not None:
            self._parser = self._format.open(self._trust, expected_size_bytes=self._expected_size_bytes)
            self._parser.feed(memoryview(self._prefix))

    def _judge(self) -> VerifiedPackage:
        if self._expected_size_bytes is not None and self._bytes_fed < self._expected_size_bytes:
            raise refusal_error(Refusal.TRUNCATED, f"{self._bytes_fed} of {self._expected_size_bytes} bytes")
        if self._parser is None:
            self._recognise(complete=True)
        if self._parser is None or self._format is None:
            raise AssertionError
        verdict = self._parser.finish()
        sha256 = self._sha256.digest()
        self._apply_policy(verdict, sha256)
        return _certify(verdict, package_format=self._format.name, size_bytes=self._bytes_fed, sha256=sha256)

    def _apply_policy(self, verdict: Verdict, sha256: bytes) -> None:
        """What every format has to meet, checked here so that no format can forget it."""
        trust = self._trust
        if trust.expected_sha256 not in {None, sha256}:
            raise refusal_error(Refusal.DIGEST_MISMATCH, "the file is not the one that was expected")
        if trust.require_signature and verdict.signed_by is None:
            raise refusal_error(Refusal.UNSIGNED, "a signature is required")
        if verdict.signed_by is not None and verdict.signed_by not in {key.key_hash for key in trust.keys}:
            raise refusal_error(Refusal.UNTRUSTED_KEY, f"signed by {verdict.signed_by.hex()}")
        minimum = trust.minimum_security_counter
        if minimum is not None and (verdict.security_counter is None or verdict.security_counter < minimum):
            raise refusal_error(Refusal.ROLLBACK, f"security counter {verdict.security_counter}, at least {minimum}")
        for part in verdict.components:
            if not 0 <= part.offset_bytes <= part.offset_bytes + part.length_bytes <= self._bytes_fed:
                raise refusal_error(Refusal.MALFORMED, f"component {part.name} lies outside of the package")
