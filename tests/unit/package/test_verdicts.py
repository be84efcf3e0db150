"""The table of SPEC section 17, transcribed as numbers."""

import pytest

from lwm2m_fota.errors import IntegrityError, PackageError, PackageTooLargeError, UnsupportedPackageError
from lwm2m_fota.package.verdicts import ACCEPTED_CODE, VERDICTS, Refusal, refusal_error, result_of

# code: (Result of /5 before Update, of /5 at Update, of /33629)
TABLE = {
    "package.unknown-format": (6, 6, 6),
    "package.unsupported-algorithm": (6, 6, 6),
    "package.algorithm-not-allowed": (6, 6, 6),
    "package.wrong-device": (6, 6, 6),
    "package.condition-failed": (6, 6, 6),
    "package.no-decryption-key": (6, 6, 6),
    "package.malformed": (5, 5, 5),
    "package.truncated": (5, 5, 5),
    "package.digest-mismatch": (5, 5, 5),
    "package.decryption-failed": (5, 5, 5),
    "package.unsigned": (5, 5, 5),
    "package.untrusted-key": (5, 5, 5),
    "package.key-not-valid": (5, 5, 5),
    "package.bad-signature": (5, 5, 5),
    "package.missing-authority": (5, 5, 5),
    "package.rollback": (5, 8, 5),
    "package.too-large": (2, 2, 2),
    "package.verifier-memory": (3, 3, 3),
    "package.missing-dependency": (8, 8, 13),
    "package.sibling-busy": (8, 8, 12),
}
CLASSES = {6: UnsupportedPackageError, 5: IntegrityError, 2: PackageTooLargeError, 3: PackageError, 8: PackageError}


def test_every_refusal_has_a_row_and_a_code():
    assert {refusal.value for refusal in Refusal} == set(TABLE)
    assert set(VERDICTS) == set(Refusal)
    assert ACCEPTED_CODE == "package.verified"
    assert ACCEPTED_CODE not in TABLE


@pytest.mark.parametrize("code", TABLE)
def test_a_refusal_has_the_results_of_the_table(code):
    refusal = Refusal(code)
    before, at_update, advanced = TABLE[code]
    assert int(result_of(refusal)) == before
    assert int(result_of(refusal, at_update=True)) == at_update
    assert int(result_of(refusal, advanced=True)) == advanced


def test_a_rollback_at_update_is_8_whatever_the_object():
    assert int(result_of(Refusal.ROLLBACK, at_update=True, advanced=True)) == 8


@pytest.mark.parametrize("refusal", Refusal)
def test_a_refusal_has_a_sentence(refusal):
    sentence = VERDICTS[refusal].sentence
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert len({row.sentence for row in VERDICTS.values()}) == len(VERDICTS)


@pytest.mark.parametrize("code", TABLE)
def test_an_error_carries_result_code_and_reason(code):
    error = refusal_error(Refusal(code), "because")
    assert type(error) is CLASSES[TABLE[code][0]]
    assert error.result == TABLE[code][0]
    assert error.reason == code
    assert str(error) == code.removeprefix("package.").replace("-", " ") + ": because"


@pytest.mark.parametrize(
    ("detail", "shown"),
    [
        ("payload #a\r\nverified", r"payload #a\r\nverified"),
        ("\x1b[2J\x00\x7f\x9b", r"\x1b[2J\x00\x7f\x9b"),
        ("\u202eexe.\u2028\ud800", r"\u202eexe.\u2028\ud800"),
        ("\U000e0001", r"\U000e0001"),
        ("häuser 家 \\ '#'", "häuser 家 \\ '#'"),
    ],
)
def test_what_a_package_says_does_not_break_out_of_an_error(detail, shown):
    assert str(refusal_error(Refusal.MALFORMED, detail)) == f"malformed: {shown}"


def test_an_error_that_no_verifier_made_has_no_reason():
    assert IntegrityError("x").reason is None


def test_the_page_says_what_the_code_says(root, verdicts_module):
    stored = (root / "docs" / "reference" / "verdicts.md").read_text(encoding="utf-8")
    assert stored == verdicts_module.page(), "run: python docs/generate.py"
    for code, results in TABLE.items():
        (row,) = [line for line in stored.splitlines() if f"`{code}`" in line]
        assert row.split(" | ")[2] == str(results[0])
