"""A verified package comes from verification and from nowhere else (law 5)."""

import copy
import hashlib
import pickle

import attrs
import pytest

from lwm2m_fota.errors import IntegrityError, UsageError
from lwm2m_fota.package.crypto.content import ContentAlgorithm, ContentCipher
from lwm2m_fota.package.identity import MadeFor
from lwm2m_fota.package.trust import TrustPolicy, UnsafeTrustPolicy
from lwm2m_fota.package.types import Check, Component, Envelope, Verdict, VerifiedPackage, component_pieces
from lwm2m_fota.package.verifier import PackageVerifier

FIELDS = {
    "format": "plain",
    "size_bytes": 3,
    "sha256": bytes(32),
    "version": None,
    "name": None,
    "components": (),
    "counters": (),
    "dependencies": (),
    "made_for": None,
    "signers": (),
    "checks": frozenset(),
    "limits": {},
}


@pytest.fixture
def package():
    verifier = PackageVerifier(TrustPolicy.of_digest(hashlib.sha256(b"abc").digest()))
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
    assert package.components == (Component(name=None, version=None, offset_bytes=0, length_bytes=3),)
    assert (package.version, package.name, package.made_for) == (None, None, MadeFor())
    assert (package.dependencies, package.counters, package.signers, package.signed_by) == ((), (), (), ())
    assert package.checks == {Check.FILE_DIGEST}
    assert dict(package.limits) == {"max_package_bytes": 67_108_864}
    with pytest.raises(TypeError):
        package.limits["max_package_bytes"] = 1


def parts(*names):
    return [Component(name=name, version=None, offset_bytes=0, length_bytes=1) for name in names]


@pytest.mark.parametrize("names", [(), (None, None), ("app", None), (None, "app")])
def test_a_verdict_has_parts_and_names_for_several(names):
    with pytest.raises(UsageError, match="at least one part"):
        Verdict(components=tuple(parts(*names)))


@pytest.mark.parametrize("names", [(None,), ("image",), ("app", "image")])
def test_one_part_may_do_without_a_name_and_any_name_is_one(names):
    assert tuple(each.name for each in Verdict(components=tuple(parts(*names))).components) == names


def test_equal_packages_are_equal(package):
    verifier = PackageVerifier(TrustPolicy.of_digest(package.sha256, max_package_bytes=3))
    verifier.feed(b"abc")
    again = verifier.finish()
    assert again == package
    assert hash(again) == hash(package)
    verifier = PackageVerifier(UnsafeTrustPolicy())
    verifier.feed(b"abc")
    assert verifier.finish() != package  # less was verified


DATA = bytes(range(256)) * 600


def read_at(offset, size):
    return DATA[offset : offset + min(size, 1000)]


@pytest.mark.parametrize(("offset", "length"), [(0, len(DATA)), (5, 100_000), (7, 0), (len(DATA), 0)])
def test_a_component_is_read_where_it_lies(offset, length):
    part = Component(name="part", version=None, offset_bytes=offset, length_bytes=length)
    pieces = list(component_pieces(part, read_at))
    assert b"".join(pieces) == DATA[offset : offset + length]
    assert b"" not in pieces


def test_a_file_that_has_become_shorter_is_noticed():
    part = Component(name="part", version=None, offset_bytes=len(DATA) - 5, length_bytes=6)
    with pytest.raises(IntegrityError, match="shorter"):
        list(component_pieces(part, read_at))


@pytest.mark.parametrize("algorithm", [ContentAlgorithm.A128GCM, ContentAlgorithm.A128CTR])
@pytest.mark.parametrize(
    ("offset", "length"), [(0, 150_000), (0, 1), (70_000, 5), (65_536, 65_536), (3, 149_997), (9, 0)]
)
def test_a_component_is_decrypted_on_the_way(algorithm, offset, length):
    cipher = ContentCipher(algorithm=algorithm, key=bytes(16), nonce=bytes(algorithm.nonce_bytes))
    content = DATA[:150_000]
    stored = b"head" + cipher.encrypt(content) + b"tail"
    envelope = Envelope(offset_bytes=4, length_bytes=len(stored) - 8, cipher=cipher)
    assert envelope.content_bytes == len(content)
    part = Component(name="part", version=None, offset_bytes=offset, length_bytes=length, envelope=envelope)
    assert (
        b"".join(component_pieces(part, lambda at, size: stored[at : at + size])) == content[offset : offset + length]
    )
    if algorithm.is_authenticated:
        changed = bytearray(stored)
        changed[-10] ^= 1
        with pytest.raises(IntegrityError, match="not the verified package"):
            list(component_pieces(part, lambda at, size: bytes(changed[at : at + size])))


def test_an_envelope_shows_no_key():
    cipher = ContentCipher(algorithm=ContentAlgorithm.A128CTR, key=b"not to be shown!", nonce=bytes(16))
    assert "not to be" not in repr(Envelope(offset_bytes=0, length_bytes=1, cipher=cipher)) + repr(cipher)
