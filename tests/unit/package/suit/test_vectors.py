"""The envelopes of the drafts."""

import pytest

from lwm2m_fota.errors import IntegrityError, PackageError
from lwm2m_fota.package.crypto import Algorithm
from lwm2m_fota.package.formats.suit.members import judge_of, open_envelope

# Sequence number, components, and the payloads that are inside, as the drafts print them.
GOOD = {
    "suit/example0": (0, [(b"\0",)], []),
    "suit/example1": (1, [(b"\0",)], []),
    "suit/example2 (severed)": (2, [(b"\0",)], []),
    "suit/example2": (2, [(b"\0",)], []),
    "suit/example3": (3, [(b"\0",)], []),
    "suit/example4": (4, [(b"\0",), (b"\2",), (b"\1",)], []),
    "suit/example5": (5, [(b"\0",), (b"\1",)], []),
    "suit-encryption/suit-manifest-aes-kw": (1, [(b"plaintext-firmware",), (b"encrypted-firmware",)], []),
    "suit-encryption/suit-manifest-aes-kw-content": (1, [(b"plaintext-firmware",)], []),
    "suit-encryption/suit-manifest-aes-kw-slot": (1, [(b"\0",), (b"\1",)], []),
    "suit-encryption/suit-manifest-es-ecdh-content": (1, [(b"decrypted-firmware",)], []),
    "suit-trust-domains/example0_dependent": (0, [(b"00",)], []),
    "suit-trust-domains/example1_process": (0, [(b"10",)], []),
    "suit-trust-domains/example2_integrated": (0, [(b"10",)], ["#dependent.suit"]),
}
BAD_SIGNATURE = "suit-encryption/suit-manifest-es-ecdh-dependency"


def test_all_that_are_signed_well_are_verified(examples, published):
    found = {}
    for name, data in examples.items():
        if "not signed" in name or name == BAD_SIGNATURE:
            continue
        opened, payloads = open_envelope(data, judge_of(published, None))
        manifest = opened.manifest
        found[name] = manifest.sequence_number, list(manifest.common.components), [each.name for each in payloads]
        (signer,) = opened.authentication.signers
        is_mac = "aes-kw" in name
        assert signer.algorithm is (Algorithm.HMAC_SHA256 if is_mac else Algorithm.ECDSA_P256)
    assert found == GOOD


def test_those_without_a_signature_are_refused(examples, published):
    names = [name for name in examples if "not signed" in name]
    assert len(names) == 6
    for name in names:
        with pytest.raises(IntegrityError, match="unsigned: a signature is required"):
            open_envelope(examples[name], judge_of(published, None))


def test_the_one_whose_signature_does_not_hold_is_refused(examples, published):
    with pytest.raises(IntegrityError, match="bad signature: it holds with none of the trusted keys") as caught:
        open_envelope(examples[BAD_SIGNATURE], judge_of(published, None))
    assert caught.value.reason == "package.bad-signature"


def outcome(data, judge):
    try:
        opened, payloads = open_envelope(data, judge)
    except PackageError:
        return None
    return opened.manifest, payloads


def test_shortened_at_every_byte_they_are_refused(examples, published, record_property):
    judge = judge_of(published, None)
    count = 0
    for name in GOOD:
        data = examples[name]
        for size in range(len(data)):
            assert outcome(data[:size], judge) is None, (name, size)
            count += 1
    record_property("figure", f"SUIT: {len(GOOD)} envelopes of the drafts, {count} truncations, all refused")


def test_with_any_bit_flipped_they_are_refused_or_say_the_same(examples, published, record_property, counts):
    """What may be flipped without harm is the key of an integrated payload that nothing has been said about yet."""
    judge = judge_of(published, None)
    step = counts(7, 1)
    refused = same = 0
    for name in GOOD:
        data = examples[name]
        manifest = open_envelope(data, judge)[0].manifest
        for bit in range(0, len(data) * 8, step):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            found = outcome(bytes(changed), judge)
            if found is None:
                refused += 1
            else:
                assert found[0] == manifest, (name, bit)
                same += 1
    record_property("figure", f"SUIT: {refused + same} flips, {refused} refused, {same} with the same manifest")
    assert refused > same
