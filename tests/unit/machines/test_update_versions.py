"""When versions are the same, and which is older; against the rules as their specifications print them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import InvalidVersion, Version

from lwm2m_fota.machines.update_versions import OwnVersions, VersionMatch

EXACT, TRIMMED, MCUBOOT, SEMVER, PEP440 = VersionMatch


@pytest.mark.parametrize(
    ("match", "left", "right", "same"),
    [
        (EXACT, "1.0", "1.0", True),
        (EXACT, "1.0", "1.0 ", False),
        (EXACT, "1.0", "v1.0", False),
        (TRIMMED, " v1.0", "1.0", True),
        (TRIMMED, "1.0", "1.0.0", False),
        (MCUBOOT, "1.2.3", "1.2.3+0", True),
        (MCUBOOT, "v1.2.3+4", "1.2.3+4", True),
        (MCUBOOT, "1.2.3+4", "1.2.3+5", False),
        (MCUBOOT, "1.2.3+4", "1.2.3", False),
        (MCUBOOT, "01.2.3", "1.2.3", True),
        (MCUBOOT, "1.2", "1.2", True),
        (MCUBOOT, "1.2", "1.2.0", False),
        (SEMVER, "1.2.3", "1.2.3+build.7", True),
        (SEMVER, "1.2.3-rc.1", "1.2.3-rc.1+x", True),
        (SEMVER, "1.2.3-rc.1", "1.2.3", False),
        (SEMVER, "1.2.3", "v1.2.3", False),
        (SEMVER, "1.02.3", "1.2.3", False),
        (PEP440, "1.0", "1.0.0", True),
        (PEP440, "v1.0rc1", "1.0-RC-1", True),
        (PEP440, "1.0.post1", "1.0-1", True),
        (PEP440, "1.0+ubuntu-1", "1.0+ubuntu.1", True),
        (PEP440, "1.0+ubuntu.1", "1.0", False),
        (PEP440, "1.0.dev1", "1.0", False),
    ],
)
def test_equality(match, left, right, same):
    assert match.same(left, right) is same
    assert match.same(right, left) is same
    assert match.same(left, left)


@pytest.mark.parametrize("match", VersionMatch)
@pytest.mark.parametrize(
    ("left", "right"), [("1.2.3", "1.2.30"), ("1.2.3", "11.2.3"), ("1.2.3", "1.2.3.4"), ("2.0.0", "fw-2.0.0-release")]
)
def test_a_part_of_a_version_is_never_the_version(match, left, right):
    assert match.same(left, right) is False


ASCENDING = {
    MCUBOOT: ["0.0.1", "1.2.3", "1.2.3+1", "1.2.10", "1.10.0", "2.0.0"],
    # Semantic Versioning 2.0.0, section 11
    SEMVER: [
        "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
        "1.0.0-rc.1", "1.0.0", "2.0.0", "2.1.0", "2.1.1",
    ],
    # PEP 440, "Summary of permitted suffixes and relative ordering"
    PEP440: [
        "1.dev0", "1.0.dev456", "1.0a1", "1.0a2.dev456", "1.0a12.dev456", "1.0a12", "1.0b1.dev456", "1.0b2",
        "1.0b2.post345.dev456", "1.0b2.post345", "1.0rc1.dev456", "1.0rc1", "1.0", "1.0+abc.5", "1.0+abc.7", "1.0+5",
        "1.0.post456.dev34", "1.0.post456", "1.0.15", "1.1.dev1", "1!0.1",
    ],
}  # fmt: skip


@pytest.mark.parametrize("match", ASCENDING)
def test_order(match):
    versions = ASCENDING[match]
    for at, left in enumerate(versions):
        for position, right in enumerate(versions):
            assert match.is_older(left, right) is (at < position), (left, right)


@pytest.mark.parametrize("match", VersionMatch)
def test_what_is_no_version_of_a_kind_has_no_order_and_equals_itself_only(match):
    for odd in ("", "one", "1.0.0.0.0-", "1..0", "1.0.0\n", "\u0661.0.0", "9" * 300):
        assert match.is_older(odd, "1.0.0") is (None if match is not PEP440 or odd != "1.0.0\n" else False)
        assert match.same(odd, odd)


def test_texts_have_no_order():
    assert EXACT.is_older("1", "2") is None
    assert TRIMMED.is_older("1", "2") is None


@given(
    st.from_regex(
        r"v?([0-9]!)?[0-9]{1,2}(\.[0-9]{1,2}){0,3}([-_.]?(a|b|rc|c|pre|preview|alpha)[-_.]?[0-9]?)?"
        r"([-_.]?(post|r|rev)[-_.]?[0-9]?|-[0-9])?([-_.]?dev[-_.]?[0-9]?)?(\+[a-z0-9]{1,3}([-_.][a-z0-9]{1,3})?)?",
        fullmatch=True,
    ).flatmap(lambda one: st.tuples(st.just(one), st.sampled_from(ASCENDING[PEP440])))
)
def test_pep_440_agrees_with_the_reference_implementation(pair):
    left, right = pair
    one, other = Version(left), Version(right)
    assert PEP440.same(left, right) is (one == other)
    assert PEP440.is_older(left, right) is (one < other)
    assert PEP440.is_older(right, left) is (other < one)


@given(st.text("0123456789.abcdev+-_!rcpost ", max_size=12))
def test_pep_440_takes_what_the_reference_implementation_takes(text):
    try:
        known = Version(text) is not None
    except InvalidVersion:
        known = False
    assert (PEP440.is_older(text, "1.0") is not None) is known


def test_a_rule_of_ones_own():
    rule = OwnVersions("by length", lambda text: len(text) if text.startswith("x") else None)
    assert rule.same("xa", "xb")
    assert not rule.same("xa", "xbb")
    assert rule.is_older("x", "xx") is True
    assert rule.is_older("xx", "x") is False
    assert rule.is_older("a", "x") is None
    assert rule.same("a", "a")
    assert not rule.same("a", "x")
    assert OwnVersions("by length", str) == rule
