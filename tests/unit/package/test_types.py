"""A verified package comes from verification and from nowhere else (law 5)."""

import copy
import hashlib
import pickle

import attrs
import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.trust import Trust
from lwm2m_fota.package.types import Component, VerifiedPackage
from lwm2m_fota.package.verifier import PackageVerifier

FIELDS = {
    "format": "plain",
    "size_bytes": 3,
    "sha256": bytes(32),
    "version": None,
    "name": None,
    "components": (),
    "security_counter": None,
    "dependencies": (),
    "signed_by": None,
}


@pytest.fixture
def package():
    verifier = PackageVerifier(Trust.of_digest(hashlib.sha256(b"abc").digest()))
    verifier.feed(b"abc")
    return verifier.finish()


def test_the_fields_are_these():
    assert {field.name for field in attrs.fields(VerifiedPackage)} == set(FIELDS)


@pytest.mark.parametrize("arguments", [(), (None,), tuple(FIELDS.values())])
def test_it_cannot_be_made_by_position(arguments):
    with pytest.raises(UsageError, match=r"PackageVerifier\.finish"):
        VerifiedPackage(*arguments)


def test_it_cannot_be_made_by_name():
    with pytest.raises(UsageError, match=r"PackageVerifier\.finish"):
        VerifiedPackage(**FIELDS)


def test_it_cannot_be_changed(package):
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        package.size_bytes = 4
    with pytest.raises(UsageError):
        attrs.evolve(package, size_bytes=4)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_not_stored(package, protocol):
    with pytest.raises(UsageError, match="verify the bytes again"):
        pickle.dumps(package, protocol)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_it_is_not_copied(package, duplicate):
    with pytest.raises(UsageError, match="verify the bytes again"):
        duplicate(package)


def test_a_written_pickle_makes_none():
    handwritten = b"\x80\x02clwm2m_fota.package.types\nVerifiedPackage\n)\x81."
    with pytest.raises(UsageError, match=r"PackageVerifier\.finish"):
        pickle.loads(handwritten)  # noqa: S301 - what must fail


def test_it_says_what_was_verified(package):
    assert package.format == "plain"
    assert package.size_bytes == 3
    assert package.sha256.hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert package.components == (Component(name="image", version=None, offset_bytes=0, length_bytes=3),)
    assert (package.version, package.name, package.security_counter, package.signed_by) == (None, None, None, None)
    assert package.dependencies == ()


def test_equal_packages_are_equal(package):
    verifier = PackageVerifier(Trust.unsafe_accept_unsigned())
    verifier.feed(b"abc")
    assert verifier.finish() == package
    assert hash(package) == hash(package)
