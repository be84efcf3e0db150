"""What a package must show before it is installed: policy as a value, with units."""

from collections.abc import Collection, Iterable
from enum import Enum
from typing import Final, Self, TypeAlias, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.cose.rules import CoseRules
from lwm2m_fota.package.crypto import Algorithm, PublicKey
from lwm2m_fota.package.identity import DeviceIdentity, MadeFor
from lwm2m_fota.package.keyring import (
    ALL_ALGORITHMS,
    Authentication,
    DecryptionKey,
    KeyRing,
    Signer,
    TrustedKey,
)
from lwm2m_fota.package.rollback import Counter, RollbackFloor
from lwm2m_fota.package.verdicts import Refusal, refusal_error

MADE_FOR_ANYBODY: Final = MadeFor()
DEFAULT_MAX_PACKAGE_BYTES: Final = 64 * 1024 * 1024
SHA256_BYTES: Final = 32


@final
@attrs.frozen(init=False)
class AllOf:
    """Every one of these authorities has to sign; of none, nothing is enough.

    Attributes:
        of: names of authorities, or further requirements.
    """

    of: tuple["str | AllOf | AnyOf", ...]

    def __init__(self, *of: "str | AllOf | AnyOf") -> None:
        self.__attrs_init__(of)

    def is_met_by(self, authorities: Collection[str]) -> bool:
        """Whether these authorities are enough."""
        return bool(self.of) and all(_is_met(each, authorities) for each in self.of)


@final
@attrs.frozen(init=False)
class AnyOf:
    """One of these authorities has to sign; of none, nothing is enough.

    Attributes:
        of: names of authorities, or further requirements.
    """

    of: tuple["str | AllOf | AnyOf", ...]

    def __init__(self, *of: "str | AllOf | AnyOf") -> None:
        self.__attrs_init__(of)

    def is_met_by(self, authorities: Collection[str]) -> bool:
        """Whether these authorities are enough."""
        return any(_is_met(each, authorities) for each in self.of)


Requirement: TypeAlias = AllOf | AnyOf


def _is_met(each: str | Requirement, authorities: Collection[str]) -> bool:
    return each in authorities if isinstance(each, str) else each.is_met_by(authorities)


@final
class UnsafeChoice(Enum):
    """What an `UnsafeTrustPolicy` may do without."""

    ACCEPT_UNSIGNED = "packages that nobody signed are taken"
    PERMISSIVE_COSE = "COSE messages are read under the rules `permissive`"
    IGNORE_UNKNOWN_RECORDS = "protected records of unknown types are let pass"
    IGNORE_KEY_VALIDITY = "the times of keys do not count"
    ANY_DEVICE = "packages for other vendors, classes and devices are taken"


def _algorithms(values: Iterable[Algorithm]) -> frozenset[Algorithm]:
    return frozenset(values)


def _decryption(keys: Iterable[DecryptionKey]) -> tuple[DecryptionKey, ...]:
    return tuple(keys)


def _trusted(keys: Iterable[TrustedKey | PublicKey]) -> tuple[TrustedKey, ...]:
    return tuple(TrustedKey(key) if isinstance(key, PublicKey) else key for key in keys)


@attrs.frozen(kw_only=True)
class TrustPolicy:
    """The policy that a `PackageVerifier` applies; without keys and without a digest it refuses every package.

    Attributes:
        keys: the keys whose signatures count; a `PublicKey` alone is one of the authority "owner", without an id.
        required: the authorities that have to sign; None for any one that has a key here.
        algorithms: those that are allowed.
        expected_sha256: the digest that the whole file must have, learned over a way that is trusted. With keys, both
            are required; without, it alone is enough.
        decryption_keys: what opens packages that are encrypted.
        rollback_floor: the lowest counters that are taken; a device raises it with every package that it installs.
        identity: what the device is.
        max_package_bytes: the largest file that is taken.

    Raises:
        UsageError: a value out of range.
    """

    keys: tuple[TrustedKey, ...] = attrs.field(default=(), converter=_trusted)
    required: Requirement | None = None
    algorithms: frozenset[Algorithm] = attrs.field(default=ALL_ALGORITHMS, converter=_algorithms)
    expected_sha256: bytes | None = None
    decryption_keys: tuple[DecryptionKey, ...] = attrs.field(default=(), converter=_decryption)
    rollback_floor: RollbackFloor = attrs.field(factory=RollbackFloor)
    identity: DeviceIdentity = attrs.field(factory=DeviceIdentity)
    max_package_bytes: int = DEFAULT_MAX_PACKAGE_BYTES

    def __attrs_post_init__(self) -> None:
        if self.max_package_bytes <= 0:
            raise UsageError("max_package_bytes must be positive")
        if self.expected_sha256 is not None and len(self.expected_sha256) != SHA256_BYTES:
            raise UsageError(f"expected_sha256 has {SHA256_BYTES} bytes")

    @classmethod
    def of_digest(cls, sha256: bytes, *, max_package_bytes: int = DEFAULT_MAX_PACKAGE_BYTES) -> Self:
        """Take the one file that has this SHA-256 digest, of any format, signed or not.

        Raises:
            UsageError: a value out of range.
        """
        return cls(expected_sha256=sha256, max_package_bytes=max_package_bytes)

    @property
    def unsafe(self) -> frozenset[UnsafeChoice]:
        """What the policy does without: nothing."""
        return frozenset()

    @property
    def requires_signature(self) -> bool:
        """Whether a package must be signed."""
        return UnsafeChoice.ACCEPT_UNSIGNED not in self.unsafe and (bool(self.keys) or self.expected_sha256 is None)

    @property
    def cose_rules(self) -> CoseRules:
        """How COSE messages are read."""
        unsafe = UnsafeChoice.PERMISSIVE_COSE in self.unsafe
        return CoseRules.UNSAFE_PERMISSIVE if unsafe else CoseRules.STRICT

    def with_floor(self, floor: RollbackFloor) -> Self:
        """This policy with a rollback floor that is at least this one."""
        return attrs.evolve(self, rollback_floor=self.rollback_floor.joined(floor))

    def keyring(self, now: float | None) -> KeyRing:
        """The keys for a format to try, at a time: seconds since 1970, None while the clock is not set."""
        return KeyRing(
            self.keys,
            algorithms=self.algorithms,
            now=now,
            ignores_validity=UnsafeChoice.IGNORE_KEY_VALIDITY in self.unsafe,
        )

    def judge(self, found: Authentication, now: float | None) -> tuple[Signer, ...]:
        """Whether the signatures of a package are enough.

        Args:
            found: what a format found.
            now: seconds since 1970; None while the clock is not set.

        Returns:
            The signers that count; none if the policy does without.

        Raises:
            PackageError: they are not enough, or a signature of a trusted key does not hold and none else does.
        """
        ring = self.keyring(now)
        signers = tuple(
            signer
            for signer in found.signers
            if signer.key in self.keys and ring.objection(signer.key, signer.algorithm) is None
        )
        fault = found.gravest
        if self.requires_signature:
            self._check_authorities({signer.key.authority for signer in signers}, found)
        elif not signers and fault is not None and fault.refusal is Refusal.BAD_SIGNATURE:
            raise refusal_error(fault.refusal, fault.detail)
        return signers

    def _check_authorities(self, authorities: Collection[str], found: Authentication) -> None:
        required = self.required or AnyOf(*{key.authority for key in self.keys})
        if required.is_met_by(authorities):
            return
        fault = found.gravest
        if fault is not None:
            raise refusal_error(fault.refusal, fault.detail)
        if authorities:
            have = ", ".join(sorted(authorities))
            raise refusal_error(Refusal.MISSING_AUTHORITY, f"signed by {have}, and that is not enough")
        raise refusal_error(Refusal.UNSIGNED, "a signature is required")

    def check_claims(self, made_for: MadeFor = MADE_FOR_ANYBODY, counters: Collection[Counter] = ()) -> None:
        """Whether a package is for this device, and not older than the rollback floor.

        A format that knows what a package says before its payload calls this then, so that nothing is fetched in vain;
        the `PackageVerifier` does at the end in any case.

        Raises:
            UnsupportedPackageError: it is for others.
            IntegrityError: it is too old, or does not say.
        """
        self.check_made_for(made_for)
        self.check_counters(counters)

    def check_counters(self, counters: Collection[Counter]) -> None:
        """Whether a package is not older than the rollback floor.

        Raises:
            IntegrityError: it is, or it does not say.
        """
        problem = self.rollback_floor.problem(counters)
        if problem is not None:
            raise refusal_error(Refusal.ROLLBACK, problem)

    def check_made_for(self, made_for: MadeFor) -> None:
        """Whether a package is for this device.

        Raises:
            UnsupportedPackageError: it is not.
        """
        mismatch = made_for.mismatch(self.identity)
        if mismatch is not None and UnsafeChoice.ANY_DEVICE not in self.unsafe:
            raise refusal_error(Refusal.WRONG_DEVICE, mismatch)


def _choices(values: Iterable[UnsafeChoice]) -> frozenset[UnsafeChoice]:
    return frozenset(values)


@final
@attrs.frozen(kw_only=True)
class UnsafeTrustPolicy(TrustPolicy):
    """A policy that does without something: for laboratories, simulators and the vectors of others.

    Attributes:
        choices: what it does without.
    """

    choices: frozenset[UnsafeChoice] = attrs.field(
        default=frozenset({UnsafeChoice.ACCEPT_UNSIGNED}), converter=_choices
    )

    @property
    def unsafe(self) -> frozenset[UnsafeChoice]:
        """What the policy does without."""
        return self.choices
