"""The table of SPEC section 17, transcribed as numbers."""

import pytest

from lwm2m_fota.errors import IntegrityError, PackageError, PackageTooLargeError, UnsupportedPackageError
from lwm2m_fota.package.verdicts import RESULTS, RESULTS_33629, RESULTS_AT_UPDATE, Refusal, refusal_error

# name: (Result of /5 before Update, of /5 at Update, of /33629 if it differs)
TABLE = {
    "UNKNOWN_FORMAT": (6, 6, None),
    "UNSUPPORTED_ALGORITHM": (6, 6, None),
    "WRONG_DEVICE": (6, 6, None),
    "MALFORMED": (5, 5, None),
    "TRUNCATED": (5, 5, None),
    "DIGEST_MISMATCH": (5, 5, None),
    "UNSIGNED": (5, 5, None),
    "UNTRUSTED_KEY": (5, 5, None),
    "BAD_SIGNATURE": (5, 5, None),
    "ROLLBACK": (5, 8, None),
    "TOO_LARGE": (2, 2, None),
    "VERIFIER_MEMORY": (3, 3, None),
    "MISSING_DEPENDENCY": (8, 8, 13),
    "SIBLING_BUSY": (8, 8, 12),
}
CLASSES = {6: UnsupportedPackageError, 5: IntegrityError, 2: PackageTooLargeError, 3: PackageError, 8: PackageError}


def test_every_refusal_has_a_row():
    assert {refusal.name for refusal in Refusal} == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_a_refusal_has_the_result_of_the_table(name):
    refusal = Refusal[name]
    before, at_update, advanced = TABLE[name]
    assert int(RESULTS[refusal]) == before
    assert int(RESULTS_AT_UPDATE[refusal]) == at_update
    assert RESULTS_33629.get(refusal) == advanced


@pytest.mark.parametrize("name", TABLE)
def test_an_error_carries_result_and_reason(name):
    error = refusal_error(Refusal[name], "because")
    assert type(error) is CLASSES[TABLE[name][0]]
    assert error.result == TABLE[name][0]
    assert str(error) == f"{Refusal[name].value}: because"
