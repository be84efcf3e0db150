"""Why a package is refused, and the Update Result that says so (SPEC section 17)."""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, final

import attrs

from lwm2m_fota.errors import IntegrityError, PackageError, PackageTooLargeError, UnsupportedPackageError
from lwm2m_fota.model.enums import UpdateResult


@final
class Refusal(Enum):
    """A verdict that ends an update; its value is a stable code."""

    UNKNOWN_FORMAT = "package.unknown-format"
    UNSUPPORTED_ALGORITHM = "package.unsupported-algorithm"
    ALGORITHM_NOT_ALLOWED = "package.algorithm-not-allowed"
    WRONG_DEVICE = "package.wrong-device"
    CONDITION_FAILED = "package.condition-failed"
    NO_DECRYPTION_KEY = "package.no-decryption-key"
    MALFORMED = "package.malformed"
    TRUNCATED = "package.truncated"
    DIGEST_MISMATCH = "package.digest-mismatch"
    DECRYPTION_FAILED = "package.decryption-failed"
    UNSIGNED = "package.unsigned"
    UNTRUSTED_KEY = "package.untrusted-key"
    KEY_NOT_VALID = "package.key-not-valid"
    BAD_SIGNATURE = "package.bad-signature"
    MISSING_AUTHORITY = "package.missing-authority"
    ROLLBACK = "package.rollback"
    TOO_LARGE = "package.too-large"
    VERIFIER_MEMORY = "package.verifier-memory"
    MISSING_DEPENDENCY = "package.missing-dependency"
    SIBLING_BUSY = "package.sibling-busy"

    @property
    def title(self) -> str:
        """The code in words: "bad signature"."""
        return self.value.removeprefix("package.").replace("-", " ")


@final
@attrs.frozen
class VerdictRow:
    """What a refusal means.

    Attributes:
        sentence: for people.
        result: of Object 5, while the package is on its way or when it has arrived.
        at_update: of Object 5, when Update was executed; None if it is the same.
        advanced: of Object 33629, at any time; None if it is the same as Object 5 has.
    """

    sentence: str
    result: UpdateResult
    at_update: UpdateResult | None = None
    advanced: UpdateResult | None = None


ACCEPTED_CODE: Final = "package.verified"
ACCEPTED_SENTENCE: Final = "The package is what it says it is, and the trust policy takes it."

_ROWS: Final = {
    Refusal.UNKNOWN_FORMAT: VerdictRow(
        "The package is of no format that this device knows.", UpdateResult.UNSUPPORTED_PACKAGE
    ),
    Refusal.UNSUPPORTED_ALGORITHM: VerdictRow(
        "The package needs an algorithm or a feature that is not supported.", UpdateResult.UNSUPPORTED_PACKAGE
    ),
    Refusal.ALGORITHM_NOT_ALLOWED: VerdictRow(
        "The package is signed with an algorithm that the trust policy does not allow.",
        UpdateResult.UNSUPPORTED_PACKAGE,
    ),
    Refusal.WRONG_DEVICE: VerdictRow("The package is made for another device.", UpdateResult.UNSUPPORTED_PACKAGE),
    Refusal.CONDITION_FAILED: VerdictRow(
        "A condition that the package sets does not hold on this device.", UpdateResult.UNSUPPORTED_PACKAGE
    ),
    Refusal.NO_DECRYPTION_KEY: VerdictRow(
        "The package is encrypted, and this device has no key for it.", UpdateResult.UNSUPPORTED_PACKAGE
    ),
    Refusal.MALFORMED: VerdictRow("The package breaks the rules of its format.", UpdateResult.INTEGRITY_FAILURE),
    Refusal.TRUNCATED: VerdictRow("The package ends too early.", UpdateResult.INTEGRITY_FAILURE),
    Refusal.DIGEST_MISMATCH: VerdictRow("The content is not what its digest says.", UpdateResult.INTEGRITY_FAILURE),
    Refusal.DECRYPTION_FAILED: VerdictRow(
        "The package cannot be decrypted: it was changed, or it is for another key.", UpdateResult.INTEGRITY_FAILURE
    ),
    Refusal.UNSIGNED: VerdictRow("The package is not signed.", UpdateResult.INTEGRITY_FAILURE),
    Refusal.UNTRUSTED_KEY: VerdictRow(
        "The package is signed, but by no key that this device trusts.", UpdateResult.INTEGRITY_FAILURE
    ),
    Refusal.KEY_NOT_VALID: VerdictRow(
        "The key that signed the package is not valid at this time.", UpdateResult.INTEGRITY_FAILURE
    ),
    Refusal.BAD_SIGNATURE: VerdictRow("The signature of the package does not hold.", UpdateResult.INTEGRITY_FAILURE),
    Refusal.MISSING_AUTHORITY: VerdictRow(
        "The package lacks the signature of an authority that has to agree.", UpdateResult.INTEGRITY_FAILURE
    ),
    Refusal.ROLLBACK: VerdictRow(
        "The package is older than what this device has accepted before.",
        UpdateResult.INTEGRITY_FAILURE,
        at_update=UpdateResult.UPDATE_FAILED,
    ),
    Refusal.TOO_LARGE: VerdictRow(
        "The package is larger than the place it is meant for.", UpdateResult.NOT_ENOUGH_STORAGE
    ),
    Refusal.VERIFIER_MEMORY: VerdictRow(
        "The package needs more memory to be verified than the verifier may take.", UpdateResult.OUT_OF_MEMORY
    ),
    Refusal.MISSING_DEPENDENCY: VerdictRow(
        "Another component that the package needs is missing or too old.",
        UpdateResult.UPDATE_FAILED,
        advanced=UpdateResult.DEPENDENCY_ERROR,
    ),
    Refusal.SIBLING_BUSY: VerdictRow(
        "Another component that the package is for is busy.",
        UpdateResult.UPDATE_FAILED,
        advanced=UpdateResult.CONFLICTING_STATE,
    ),
}

VERDICTS: Final[Mapping[Refusal, VerdictRow]] = MappingProxyType(_ROWS)
"""What each refusal means."""

_ERRORS: Final[Mapping[UpdateResult, type[PackageError]]] = MappingProxyType(
    {
        UpdateResult.UNSUPPORTED_PACKAGE: UnsupportedPackageError,
        UpdateResult.INTEGRITY_FAILURE: IntegrityError,
        UpdateResult.NOT_ENOUGH_STORAGE: PackageTooLargeError,
    }
)


def result_of(refusal: Refusal, *, at_update: bool = False, advanced: bool = False) -> UpdateResult:
    """The Update Result that tells a refusal.

    Args:
        refusal: what is wrong.
        at_update: whether Update was executed; else the package is on its way or has just arrived.
        advanced: whether the object is 33629; else 5.
    """
    row = VERDICTS[refusal]
    if advanced and row.advanced is not None:
        return row.advanced
    return row.at_update if at_update and row.at_update is not None else row.result


def printable(text: str) -> str:
    """A text for a terminal or a log: signs that do not print, such as line breaks, are escaped."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def refusal_error(refusal: Refusal, detail: str) -> PackageError:
    """The error that carries a refusal: its Update Result as Object 5 shows it before Update is executed, and its code.

    Args:
        refusal: what is wrong.
        detail: what exactly, for people; it follows the title of the refusal. It may quote the package: signs that do
            not print are escaped.
    """
    result = result_of(refusal)
    kind = _ERRORS.get(result, PackageError)
    return kind(f"{refusal.title}: {printable(detail)}", result=result, reason=refusal.value)
