"""Why a package is refused, and the Update Result that says so (SPEC section 17)."""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, final

from lwm2m_fota.errors import IntegrityError, PackageError, PackageTooLargeError, UnsupportedPackageError
from lwm2m_fota.model.enums import UpdateResult


@final
class Refusal(Enum):
    """A verdict that ends an update."""

    UNKNOWN_FORMAT = "unknown format"
    UNSUPPORTED_ALGORITHM = "unsupported algorithm"
    WRONG_DEVICE = "made for another device"
    MALFORMED = "malformed"
    TRUNCATED = "truncated"
    DIGEST_MISMATCH = "digest mismatch"
    UNSIGNED = "unsigned"
    UNTRUSTED_KEY = "untrusted key"
    BAD_SIGNATURE = "bad signature"
    ROLLBACK = "rollback"
    TOO_LARGE = "too large"
    VERIFIER_MEMORY = "too large for the verifier"
    MISSING_DEPENDENCY = "missing dependency"
    SIBLING_BUSY = "another component is busy"


RESULTS: Final[Mapping[Refusal, UpdateResult]] = MappingProxyType(
    {
        Refusal.UNKNOWN_FORMAT: UpdateResult.UNSUPPORTED_PACKAGE,
        Refusal.UNSUPPORTED_ALGORITHM: UpdateResult.UNSUPPORTED_PACKAGE,
        Refusal.WRONG_DEVICE: UpdateResult.UNSUPPORTED_PACKAGE,
        Refusal.MALFORMED: UpdateResult.INTEGRITY_FAILURE,
        Refusal.TRUNCATED: UpdateResult.INTEGRITY_FAILURE,
        Refusal.DIGEST_MISMATCH: UpdateResult.INTEGRITY_FAILURE,
        Refusal.UNSIGNED: UpdateResult.INTEGRITY_FAILURE,
        Refusal.UNTRUSTED_KEY: UpdateResult.INTEGRITY_FAILURE,
        Refusal.BAD_SIGNATURE: UpdateResult.INTEGRITY_FAILURE,
        Refusal.ROLLBACK: UpdateResult.INTEGRITY_FAILURE,
        Refusal.TOO_LARGE: UpdateResult.NOT_ENOUGH_STORAGE,
        Refusal.VERIFIER_MEMORY: UpdateResult.OUT_OF_MEMORY,
        Refusal.MISSING_DEPENDENCY: UpdateResult.UPDATE_FAILED,
        Refusal.SIBLING_BUSY: UpdateResult.UPDATE_FAILED,
    }
)
"""Of Object 5, while the package is on its way or when it has arrived."""

RESULTS_AT_UPDATE: Final[Mapping[Refusal, UpdateResult]] = MappingProxyType(
    {**RESULTS, Refusal.ROLLBACK: UpdateResult.UPDATE_FAILED}
)
"""Of Object 5, when Update was executed."""

RESULTS_33629: Final[Mapping[Refusal, UpdateResult]] = MappingProxyType(
    {
        Refusal.MISSING_DEPENDENCY: UpdateResult.DEPENDENCY_ERROR,
        Refusal.SIBLING_BUSY: UpdateResult.CONFLICTING_STATE,
    }
)
"""What Object 33629 says in another way, at any time."""

_ERRORS: Final[Mapping[UpdateResult, type[PackageError]]] = MappingProxyType(
    {
        UpdateResult.UNSUPPORTED_PACKAGE: UnsupportedPackageError,
        UpdateResult.INTEGRITY_FAILURE: IntegrityError,
        UpdateResult.NOT_ENOUGH_STORAGE: PackageTooLargeError,
    }
)


def refusal_error(refusal: Refusal, message: str) -> PackageError:
    """The error that carries the Update Result of a refusal, as Object 5 shows it before Update is executed."""
    result = RESULTS[refusal]
    return _ERRORS.get(result, PackageError)(f"{refusal.value}: {message}", result=result)
