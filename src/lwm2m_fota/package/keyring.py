"""Keys that are trusted, with what belongs to each; and what came of trying them."""

from collections.abc import Iterable
from typing import Final, Self, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.crypto import ALGORITHMS, Algorithm, PrivateKey, PublicKey, SecretKey
from lwm2m_fota.package.verdicts import Refusal

DEFAULT_AUTHORITY: Final = "owner"
_SHOWN_BYTES: Final = 8

ALL_ALGORITHMS: Final = frozenset(Algorithm)


def show_id(key_id: bytes) -> str:
    """A key id for people: as text where it is some, else the beginning in hex."""
    text = key_id.decode("ascii", "replace")
    return text if text.isprintable() and text.isascii() and text else key_id[:_SHOWN_BYTES].hex()


def _set_of(algorithms: Iterable[Algorithm]) -> frozenset[Algorithm]:
    return frozenset(algorithms)


@final
@attrs.frozen
class TrustedKey:
    """A key whose signatures, or codes, count.

    Attributes:
        key: a public key, or a secret that the sender has too.
        key_id: the id by which messages name it (kid). Without one, messages may name it as they like; in records it
            has `PublicKey.key_hash`.
        authority: who holds it; several keys may belong to one authority.
        not_before: it is not valid before, seconds since 1970.
        not_after: it is not valid after.
        algorithms: for which it counts; those of its type that the policy allows.

    Raises:
        UsageError: a secret without an id, a key that verifies nothing, or a name or a time that is none.
    """

    key: PublicKey | SecretKey
    key_id: bytes | None = attrs.field(default=None, kw_only=True)
    authority: str = attrs.field(default=DEFAULT_AUTHORITY, kw_only=True)
    not_before: float | None = attrs.field(default=None, kw_only=True)
    not_after: float | None = attrs.field(default=None, kw_only=True)
    algorithms: frozenset[Algorithm] = attrs.field(default=ALL_ALGORITHMS, kw_only=True, converter=_set_of, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.key_id is None and isinstance(self.key, SecretKey):
            raise UsageError("a secret key needs a key_id: it has no other name")
        if not any(self.key.type is kind for kind, _ in ALGORITHMS.values()):
            raise UsageError(f"a {self.key.type.value} key verifies nothing")
        if not self.authority:
            raise UsageError("an authority has a name")
        if self.not_before is not None and self.not_after is not None and self.not_before > self.not_after:
            raise UsageError("a key is valid from not_before to not_after")

    @property
    def name(self) -> bytes:
        """`key_id`, or the hash of the key."""
        if self.key_id is not None:
            return self.key_id
        return self.key.key_hash if isinstance(self.key, PublicKey) else b""

    @property
    def label(self) -> str:
        """The name for people."""
        return show_id(self.name)

    def is_valid_at(self, now: float | None) -> bool:
        """Whether it is valid at a time; a key with limits is not while the time is unknown."""
        if self.not_before is None and self.not_after is None:
            return True
        if now is None:
            return False
        return (self.not_before is None or self.not_before <= now) and (self.not_after is None or now <= self.not_after)


@final
@attrs.frozen
class DecryptionKey:
    """A key that opens what was encrypted for this device.

    Attributes:
        key: a private key for key agreement or RSA, or a secret that wraps keys or encrypts content itself.
        key_id: the id by which messages name it (kid); without one, it is tried whatever they name.
        base_iv: the nonce from which messages complete partial ones.
        alg: the one algorithm that it is for, as the number of COSE; None for any of its type.
        unwraps_only: whether a secret opens keys alone, and no content itself.
    """

    key: PrivateKey | SecretKey = attrs.field(repr=False)
    key_id: bytes | None = attrs.field(default=None, kw_only=True)
    base_iv: bytes | None = attrs.field(default=None, kw_only=True)
    alg: int | None = attrs.field(default=None, kw_only=True)
    unwraps_only: bool = attrs.field(default=False, kw_only=True)

    def is_for(self, alg: int | None) -> bool:
        """Whether it may be used with an algorithm of COSE; with None for one that COSE does not have."""
        return self.alg is None or self.alg == alg


@final
@attrs.frozen
class Signer:
    """A trusted key whose signature, or code, holds.

    Attributes:
        key: the key as the policy has it.
        algorithm: of the signature; None if it is none that a strict policy knows.
    """

    key: TrustedKey
    algorithm: Algorithm | None


@final
@attrs.frozen
class Fault:
    """Why something that would authenticate does not.

    Attributes:
        refusal: what is wrong.
        detail: what exactly, for people.
    """

    refusal: Refusal
    detail: str


_GRAVEST_FIRST: Final = (
    Refusal.BAD_SIGNATURE,
    Refusal.DECRYPTION_FAILED,
    Refusal.MALFORMED,
    Refusal.KEY_NOT_VALID,
    Refusal.ALGORITHM_NOT_ALLOWED,
    Refusal.UNSUPPORTED_ALGORITHM,
    Refusal.VERIFIER_MEMORY,
    Refusal.UNTRUSTED_KEY,
)


@final
@attrs.frozen
class Authentication:
    """What came of the signatures and codes of a package or message, by whichever format they were found.

    Attributes:
        signers: those that hold.
        faults: what is wrong with the others.
    """

    signers: tuple[Signer, ...] = ()
    faults: tuple[Fault, ...] = ()

    def __add__(self, other: Self) -> Self:
        """Both together, as where several messages authenticate one manifest."""
        return type(self)(self.signers + other.signers, self.faults + other.faults)

    @property
    def gravest(self) -> Fault | None:
        """The fault that says most about a package that is not accepted."""
        for refusal in _GRAVEST_FIRST:
            for fault in self.faults:
                if fault.refusal is refusal:
                    return fault
        return None


@final
@attrs.frozen
class KeyRing:
    """Keys to be tried, at a time and under a policy.

    Attributes:
        keys: the keys.
        algorithms: those that are allowed.
        now: seconds since 1970; None while the clock is not set.
        ignores_validity: whether the times of keys do not count.
    """

    keys: tuple[TrustedKey, ...]
    algorithms: frozenset[Algorithm] = ALL_ALGORITHMS
    now: float | None = None
    ignores_validity: bool = False

    def candidates(self, key_id: bytes | None) -> tuple[TrustedKey, ...]:
        """The keys that a message may mean: those of that id; if there is none, those without an id of their own.

        A message without an id may mean any.
        """
        if key_id is None:
            return self.keys
        named = [key for key in self.keys if key.name == key_id]
        return tuple(named or [key for key in self.keys if key.key_id is None])

    def authenticate(self, algorithm: Algorithm, signature: bytes, digest: bytes) -> Authentication:
        """What comes of a signature over a digest, where a package names no key: all of the right type are tried.

        Args:
            algorithm: of the signature; with ECDSA it is in DER.
            signature: the signature.
            digest: of what is signed, by the hash of the algorithm. With EdDSA it is the message, by any hash.

        Raises:
            UsageError: the digest is one of another hash.
        """
        kind, hashing = ALGORITHMS[algorithm]
        if hashing is not None and len(digest) != hashing.size_bytes:
            raise UsageError(f"{algorithm.value} signs digests of {hashing.size_bytes} bytes")
        signers: list[Signer] = []
        faults: list[Fault] = []
        for known in self.keys:
            key = known.key
            if isinstance(key, PublicKey) and key.type is kind and key.verify_digest(signature, digest):
                objection = self.objection(known, algorithm)
                signers += [Signer(known, algorithm)] if objection is None else []
                faults += [] if objection is None else [objection]
        if not signers and not faults:
            faults = [Fault(Refusal.UNTRUSTED_KEY, "no trusted key has signed this")]
        return Authentication(tuple(signers), tuple(faults))

    def objection(self, key: TrustedKey, algorithm: Algorithm | None) -> Fault | None:
        """Why a signature of this key does not count even if it holds; None if it does."""
        if not (self.ignores_validity or key.is_valid_at(self.now)):
            when = "while the clock is not set" if self.now is None else "at this time"
            return Fault(Refusal.KEY_NOT_VALID, f"key {key.label} is not valid {when}")
        for allowed in (self.algorithms, key.algorithms):
            if algorithm is not None and allowed is not ALL_ALGORITHMS and algorithm not in allowed:
                return Fault(Refusal.ALGORITHM_NOT_ALLOWED, f"{algorithm.value} with key {key.label}")
        return None
