"""The way from bytes to trust: one streaming pass over a package, in bounded memory."""

from typing import Final, final

from lwm2m_fota.errors import PackageError, UsageError
from lwm2m_fota.package.crypto.secret import same
from lwm2m_fota.package.formats.registry import FormatRegistry, default_formats
from lwm2m_fota.package.keyring import Signer
from lwm2m_fota.package.stream import PackageStream
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.package.types import Check, Component, Verdict, VerifiedPackage, _certify
from lwm2m_fota.package.verdicts import Refusal, refusal_error

_DEFAULT_FORMATS: Final = default_formats()


@final
class PackageVerifier:
    """Verifies one package while it arrives.

    It keeps what the format needs to judge (for MCUboot the header and the records behind the body), and the body only
    up to a limit of the format that has a name. After an error it stays failed: each further call raises the same one.

    Args:
        trust: the policy.
        now: seconds since 1970, for keys that are not valid for ever; None while the clock is not set.
        formats: the formats that are understood.
        expected_size_bytes: the length of the file, if the sender told it; then it must be exactly that.

    Raises:
        PackageTooLargeError: the expected size is more than the policy takes.
        UsageError: a negative size.
    """

    __slots__ = (
        "_expected_size_bytes", "_failure", "_finished", "_free", "_granted", "_now", "_pass_by", "_stream", "_trust",
    )  # fmt: skip

    def __init__(
        self,
        trust: TrustPolicy,
        *,
        now: float | None = None,
        formats: FormatRegistry = _DEFAULT_FORMATS,
        expected_size_bytes: int | None = None,
    ) -> None:
        if expected_size_bytes is not None and expected_size_bytes < 0:
            raise UsageError("a size is not negative")
        self._trust = trust
        self._now = now
        self._expected_size_bytes = expected_size_bytes
        self._check_size(expected_size_bytes or 0)
        self._stream = PackageStream(trust, now, formats, expected_size_bytes=expected_size_bytes)
        self._pass_by = self._stream.digest.pass_by
        self._granted = self._free = 0
        self._failure: PackageError | None = None
        self._finished = False

    @property
    def bytes_fed(self) -> int:
        """How many bytes of the package were taken."""
        return self._stream.position + self._granted - self._free

    @property
    def awaited_uri(self) -> str | None:
        """Where the rest of the package is, once everything has come of the place where it began; else None.

        A SUIT envelope names places for payloads that are not in it. What is fetched from there is fed as what follows.
        """
        return None if self._failure is not None else self._stream.awaited_uri

    def digest_so_far(self) -> bytes:
        """SHA-256 of the bytes taken so far: with `bytes_fed`, a checkpoint to resume from."""
        return self._stream.digest_so_far()

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
        size = len(data)
        if 0 < size <= self._free:  # the way of nearly all bytes: there is nothing in them for the format
            self._free -= size
            self._pass_by(data)
            return
        self._check_open()
        self._settle()
        try:
            self._take_up_to_limit(memoryview(data))
        except PackageError as error:
            self._failure = error
            raise
        self._granted = self._free = min(self._stream.free_bytes, self._room)

    def finish(self) -> VerifiedPackage:
        """The package is complete: judge it.

        Raises:
            UnsupportedPackageError: no format is recognised, an algorithm is not supported, or it is for others.
            IntegrityError: it is truncated, unsigned or too old, or its digest, signature or key does not hold.
            UsageError: the package was finished.
        """
        self._check_open()
        self._settle()
        try:
            package = self._judge()
        except PackageError as error:
            self._failure = error
            raise
        self._finished = True
        return package

    def _settle(self) -> None:
        """Tell the stream what went by without it."""
        self._stream.passed(self._granted - self._free)
        self._granted = self._free = 0

    def _check_open(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._finished:
            raise UsageError("this package is finished; take a new verifier for the next")

    @property
    def _room(self) -> int:
        told = self._expected_size_bytes
        return (self._trust.max_package_bytes if told is None else told) - self._stream.position

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._trust.max_package_bytes:
            raise refusal_error(Refusal.TOO_LARGE, f"more than {self._trust.max_package_bytes} bytes")
        if self._expected_size_bytes is not None and size_bytes > self._expected_size_bytes:
            raise refusal_error(Refusal.MALFORMED, f"more than the {self._expected_size_bytes} bytes that were told")

    def _take_up_to_limit(self, data: memoryview) -> None:
        """Judge what lies within the limit before what is beyond it: the cuts do not change the verdict."""
        room = self._room
        self._stream.feed(data[:room])
        if len(data) > room:
            self._check_size(self._stream.position + 1)

    def _judge(self) -> VerifiedPackage:
        size, told = self._stream.position, self._expected_size_bytes
        if told is not None and size < told:
            raise refusal_error(Refusal.TRUNCATED, f"{size} of {told} bytes")
        verdict = self._stream.finish()
        sha256 = self._stream.digest_so_far()
        signers = self._apply_policy(verdict, sha256, size)
        return _certify(
            verdict,
            package_format=self._stream.format_name,
            size_bytes=size,
            sha256=sha256,
            signers=signers,
            checks=self._checks(verdict, signers),
            limits={"max_package_bytes": self._trust.max_package_bytes, **verdict.limits},
        )

    def _apply_policy(self, verdict: Verdict, sha256: bytes, size: int) -> tuple[Signer, ...]:
        """What every format has to meet, checked here so that no format can forget it."""
        trust = self._trust
        if trust.expected_sha256 is not None and not same(trust.expected_sha256, sha256):
            raise refusal_error(Refusal.DIGEST_MISMATCH, "the file is not the one that was expected")
        signers = trust.judge(verdict.authentication, self._now)
        trust.check_claims(verdict.made_for, verdict.counters)
        for part in verdict.components:
            _check_place(part, size)
        return signers

    def _checks(self, verdict: Verdict, signers: tuple[Signer, ...]) -> frozenset[Check]:
        """What was verified, by the format and here."""
        made_for = verdict.made_for
        found = {
            Check.FILE_DIGEST: self._trust.expected_sha256 is not None,
            Check.SIGNATURE: bool(signers),
            Check.ROLLBACK: not self._trust.rollback_floor.is_empty,
            Check.VENDOR: made_for.vendor_id is not None,
            Check.CLASS: made_for.class_id is not None,
            Check.DEVICE: made_for.device_id is not None,
        }
        return verdict.checks | {check for check, is_made in found.items() if is_made}


def _check_place(part: Component, size: int) -> None:
    """A component lies within the package, or within what an envelope of the package holds."""
    envelope = part.envelope
    places = [(part.offset_bytes, part.length_bytes, size if envelope is None else envelope.content_bytes)]
    if envelope is not None:
        places.append((envelope.offset_bytes, envelope.length_bytes, size))
    if any(not 0 <= offset <= offset + length <= within for offset, length, within in places):
        name = "a component" if part.name is None else f"component {part.name}"
        raise refusal_error(Refusal.MALFORMED, f"{name} lies outside of the package")
