"""Payloads on their way: hashed, decrypted and compared while they go by."""

from collections.abc import Iterable
from typing import Final, assert_never, final

import attrs

from lwm2m_fota.errors import PackageError
from lwm2m_fota.package.cose.decrypt import Opening, content_ciphers
from lwm2m_fota.package.crypto.content import ContentCipher, Data
from lwm2m_fota.package.formats.suit.content import Decrypted, Expectation, Fetched, Written
from lwm2m_fota.package.formats.suit.limits import SuitLimits
from lwm2m_fota.package.formats.suit.plan import Place, Plan
from lwm2m_fota.package.formats.suit.reading import too_much
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.package.verdicts import Refusal, refusal_error

SUPP_PUB_OTHER: Final = b"SUIT Payload Encryption"
"""What is mixed into keys that were agreed (draft-ietf-suit-firmware-encryption-24 section 6)."""


@final
@attrs.frozen
class Opener:
    """Finds out how the encrypted contents of a plan are decrypted.

    Attributes:
        plan: the plan.
        trust: the policy, with the keys of this device.
        limits: how many keys are tried, and how much is decrypted at once.
        opened: what has decrypted contents that have come.
    """

    plan: Plan
    trust: TrustPolicy
    limits: SuitLimits
    opened: dict[Decrypted, ContentCipher] = attrs.field(factory=dict, init=False, repr=False)

    def check(self, what: str, content: Decrypted) -> "DecryptedCheck":
        """Begin to decrypt a content, and to compare what is inside.

        Args:
            what: what it is, for people.
            content: the content.

        Raises:
            UnsupportedPackageError: an algorithm is not supported, or there is no key for it.
            IntegrityError: the encryption info breaks the rules.
            PackageError: more keys may be meant than are tried.
        """
        opening = Opening(
            rules=self.trust.cose_rules,
            supp_pub_other=SUPP_PUB_OTHER,
            is_under_digest=bool(self.plan.expectations_of(content)),
            max_decryption_keys=self.limits.max_decryption_keys,
        )
        return DecryptedCheck(what, content, self, content_ciphers(content.info, self.trust.decryption_keys, opening))


@final
class ContentCheck:
    """Compares a content with what is expected of it.

    Args:
        what: what it is, for people.
        expectations: all of them have to be met.
    """

    __slots__ = ("_expectations", "_hashes", "_size_bytes", "_what")

    def __init__(self, what: str, expectations: Iterable[Expectation]) -> None:
        self._what = what
        self._expectations = tuple(expectations)
        self._hashes = {each.digest.kind: each.digest.kind.new() for each in self._expectations}
        self._size_bytes = 0

    def update(self, data: Data) -> None:
        """Take the next bytes."""
        for context in self._hashes.values():
            context.update(data)
        self._size_bytes += len(data)

    def finish(self) -> PackageError | None:
        """The content is complete: why it is not the one; None if it is."""
        for each in self._expectations:
            if not each.is_met_by(self._hashes[each.digest.kind].digest(), self._size_bytes):
                return refusal_error(Refusal.DIGEST_MISMATCH, f"{self._what} is not what the manifest says")
        return None


@final
class _Attempt:
    """One key that may have encrypted a content, and what is inside if it has."""

    __slots__ = ("_inside", "_transform", "_what", "cipher")

    def __init__(self, what: str, cipher: ContentCipher, expectations: Iterable[Expectation]) -> None:
        self._what = what
        self.cipher = cipher
        self._transform = cipher.decryptor()
        self._inside = ContentCheck(f"what is inside of {what}", expectations)

    def update(self, data: Data) -> None:
        self._inside.update(self._transform.update(data))

    def finish(self) -> PackageError | None:
        """Why it is not the key, or not the content; None if they are."""
        rest = self._transform.finish()
        if rest is None:
            return refusal_error(Refusal.DECRYPTION_FAILED, f"{self._what} was changed, or is for another key")
        self._inside.update(rest)
        return self._inside.finish()


@final
class DecryptedCheck:
    """Decrypts a content with every key that may be meant, since it goes by once, and compares what is inside.

    Args:
        what: what it is, for people.
        content: the content.
        opener: is told what has decrypted it.
        ciphers: what may decrypt it, at least one.
    """

    __slots__ = ("_attempts", "_content", "_opener")

    def __init__(self, what: str, content: Decrypted, opener: Opener, ciphers: Iterable[ContentCipher]) -> None:
        self._content = content
        self._opener = opener
        self._attempts = [_Attempt(what, each, opener.plan.expectations_of(content)) for each in ciphers]

    @property
    def decryptors(self) -> int:
        """How often it decrypts: once with each key."""
        return len(self._attempts)

    def update(self, data: Data) -> None:
        """Take the next encrypted bytes."""
        for each in self._attempts:
            each.update(data)

    def finish(self) -> PackageError | None:
        """The content is complete: why it was changed, is for another key, or is not the one; None if it is good."""
        problem: PackageError | None = None
        for each in self._attempts:
            found = each.finish()
            if found is None:
                self._opener.opened[self._content] = each.cipher
                return None
            if problem is None or problem.reason == Refusal.DECRYPTION_FAILED.value:  # it says least
                problem = found
        return problem


@final
class PayloadCheck:
    """Takes one payload, and compares everything that comes of it.

    Args:
        place: of the payload.
        length_bytes: its length.
        opener: of the plan that it is for.

    Raises:
        UnsupportedPackageError: something that is encrypted cannot be opened.
        IntegrityError: it has not the length that it should have.
        PackageError: too much is decrypted from it at once.
    """

    __slots__ = ("_checks", "_left")

    def __init__(self, place: Place, length_bytes: int, opener: Opener) -> None:
        plan, name = opener.plan, f"payload {place[1]}"
        self._left = length_bytes
        decryptors, most = 0, opener.limits.max_decryptors
        self._checks: list[ContentCheck | DecryptedCheck] = []
        for content in plan.contents_at(place):
            match content:
                case Fetched(_, size_bytes, _):
                    expectations = plan.expectations_of(content)
                    sizes = {size_bytes, *(each.size_bytes for each in expectations)} - {None, length_bytes}
                    if sizes:
                        detail = f"{name} has {length_bytes} bytes, not {sizes.pop()}"
                        raise refusal_error(Refusal.DIGEST_MISMATCH, detail)
                    self._checks.append(ContentCheck(name, expectations))
                case Decrypted():
                    check = opener.check(name, content)
                    decryptors += check.decryptors
                    if decryptors > most:
                        raise too_much(f"{name} is decrypted at once", decryptors, "max_decryptors", most)
                    self._checks.append(check)
                case _ as never:
                    assert_never(never)

    @property
    def missing_bytes(self) -> int:
        """How many bytes have not come."""
        return self._left

    def update(self, data: Data) -> None:
        """Take the next bytes, and judge the payload with the last.

        Raises:
            IntegrityError: it is not the one that the manifest speaks of.
        """
        for each in self._checks:
            each.update(data)
        self._left -= len(data)
        if not self._left:
            _raise_first(each.finish() for each in self._checks)


def check_written(opener: Opener) -> None:
    """Judge what lies encrypted in the manifest itself.

    Raises:
        UnsupportedPackageError: something that is encrypted cannot be opened.
        IntegrityError: something was changed, or is not the one.
    """
    for content in opener.plan.contents:
        match content:
            case Decrypted(Written(data)):
                check = opener.check("content", content)
                check.update(data)
                _raise_first([check.finish()])
            case _:
                pass


def _raise_first(problems: Iterable[PackageError | None]) -> None:
    for problem in problems:
        if problem is not None:
            raise problem
