"""COSE messages as packages: an image that is authenticated, or an encrypted package."""

import hashlib
import tracemalloc

import attrs
import pytest

from lwm2m_fota import cbor
from lwm2m_fota.errors import IntegrityError, PackageError, PackageTooLargeError, UnsupportedPackageError
from lwm2m_fota.package.cose import structure
from lwm2m_fota.package.cose.create import CoseSigner, DirectKey, WrappedKey, encrypt, encrypt0, mac, mac0, sign, sign1
from lwm2m_fota.package.cose.names import Alg
from lwm2m_fota.package.crypto import Algorithm, KeyType, PrivateKey, SecretKey
from lwm2m_fota.package.crypto.keys import ecdsa_raw
from lwm2m_fota.package.digest import FileDigest
from lwm2m_fota.package.formats.base import PackageContext
from lwm2m_fota.package.formats.cose import CoseFormat
from lwm2m_fota.package.formats.mcuboot_make import create_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageVersion
from lwm2m_fota.package.formats.plain import DetachedSignature, PlainFormat
from lwm2m_fota.package.formats.registry import FormatRegistry, default_formats
from lwm2m_fota.package.formats.suit.make import SuitComponent, SuitOptions, create_suit
from lwm2m_fota.package.formats.suit.profiles import SuitProfile
from lwm2m_fota.package.identity import DeviceIdentity
from lwm2m_fota.package.keyring import DecryptionKey, TrustedKey
from lwm2m_fota.package.rollback import Counter, RollbackFloor
from lwm2m_fota.package.trust import AllOf, TrustPolicy, UnsafeChoice, UnsafeTrustPolicy
from lwm2m_fota.package.types import Check, component_pieces
from lwm2m_fota.package.verifier import PackageVerifier

IMAGE = bytes(range(256)) * 8
KID = b"kid-1"
SECRET = SecretKey(bytes(range(32)))
WRAPPING = SecretKey(bytes(range(16)))


def verify(trust, data, *, step=1 << 20, told=None, **limits):
    formats = default_formats().with_format(CoseFormat(**limits))
    verifier = PackageVerifier(trust, formats=formats, expected_size_bytes=told)
    for at in range(0, len(data), step):
        verifier.feed(data[at : at + step])
    return verifier.finish()


def content(package, data):
    (part,) = package.components
    return b"".join(component_pieces(part, lambda at, size: data[at : at + size]))


@pytest.fixture
def trust(key_of):
    keys = [TrustedKey(key_of(kind).public_key, key_id=kind.value.encode(), authority=kind.value) for kind in SIGNING]
    secrets = [TrustedKey(SECRET, key_id=b"secret"), TrustedKey(WRAPPING, key_id=b"wrapping")]
    return TrustPolicy(keys=[*keys, *secrets], decryption_keys=[DecryptionKey(WRAPPING, key_id=KID)])


SIGNING = (KeyType.P256, KeyType.ED25519, KeyType.RSA)


def signer(key_of, kind=KeyType.P256):
    return CoseSigner(key=key_of(kind), key_id=kind.value.encode())


@pytest.fixture
def messages(key_of):
    """One of each kind that carries an image."""
    return {
        "sign1": sign1(IMAGE, signer(key_of)),
        "sign1 eddsa": sign1(IMAGE, signer(key_of, KeyType.ED25519)),
        "sign1 pss": sign1(IMAGE, signer(key_of, KeyType.RSA)),
        "sign": sign(IMAGE, [signer(key_of), signer(key_of, KeyType.ED25519)]),
        "mac0": mac0(IMAGE, DirectKey(key=SECRET, key_id=b"secret")),
        "mac": mac(IMAGE, SECRET, [WrappedKey(key=WRAPPING, key_id=b"wrapping")]),
    }


@pytest.fixture
def sealed(messages, key_of):
    """Packages of other formats, encrypted."""
    inner = {
        "mcuboot": create_mcuboot(IMAGE, version=ImageVersion(1, 2, 3), key=key_of(KeyType.P256)),
        "sign1": messages["sign1"],
    }
    direct, wrapped = DirectKey(key=WRAPPING, key_id=KID), WrappedKey(key=WRAPPING, key_id=KID)

    def both(data):
        one = encrypt0(direct, bytes(12), alg=Alg.A128GCM)
        other = encrypt(bytes(32), bytes(12), [wrapped], alg=Alg.CHACHA20_POLY1305)
        return one.message(one.cipher.encrypt(data)), other.message(other.cipher.encrypt(data))

    return {name: both(data) for name, data in inner.items()}


NAMES = ("sign1", "sign1 eddsa", "sign1 pss", "sign", "mac0", "mac")


@pytest.mark.parametrize("step", [1, 100, 1 << 20])
@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_authenticated_however_it_comes(trust, messages, name, step):
    data = messages[name]
    package = verify(trust, data, step=step, told=len(data))
    assert (package.format, package.version, package.size_bytes) == ("cose", None, len(data))
    assert content(package, data) == IMAGE
    assert package.components[0].offset_bytes == data.index(IMAGE)
    assert package.checks == {Check.SIGNATURE}
    assert len(package.signers) == (2 if name == "sign" else 1)
    assert dict(package.limits) == {
        "max_package_bytes": 64 << 20,
        "max_head_bytes": 4096,
        "max_held_bytes": 512 << 10,
        "max_tail_bytes": 16 << 10,
        "max_decryption_keys": 8,
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_stranger_is_refused(messages, name):
    for policy in (TrustPolicy(), TrustPolicy(keys=[TrustedKey(SecretKey(bytes(16)), key_id=b"x")])):
        with pytest.raises(IntegrityError, match="untrusted key"):
            verify(policy, messages[name])


def test_all_authorities_may_have_to_sign(trust, messages):
    both = attrs.evolve(trust, required=AllOf("P-256", "Ed25519"))
    package = verify(both, messages["sign"])
    assert [signer.algorithm for signer in package.signers] == [Algorithm.ECDSA_P256, Algorithm.ED25519]
    with pytest.raises(IntegrityError, match="missing authority"):
        verify(both, messages["sign1"])


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_image_is_refused(trust, messages, name):
    data = bytearray(messages[name])
    data[data.index(IMAGE) + 5] ^= 1
    with pytest.raises(IntegrityError, match="bad signature"):
        verify(trust, bytes(data))


# Encrypted packages.


@pytest.mark.parametrize("step", [1, 100, 1 << 20])
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("name", ["mcuboot", "sign1"])
def test_an_encrypted_package_is_verified_inside(trust, sealed, name, which, step):
    data = sealed[name][which]
    package = verify(trust, data, step=step)
    assert package.format == "cose"
    assert package.version == ("1.2.3" if name == "mcuboot" else None)
    assert IMAGE in content(package, data)
    assert Check.DECRYPTION in package.checks
    assert len(package.signers) == 1


@pytest.mark.parametrize("which", [0, 1])
def test_encryption_is_no_signature(trust, sealed, which):
    with pytest.raises(IntegrityError, match="untrusted key"):
        verify(TrustPolicy(decryption_keys=trust.decryption_keys), sealed["mcuboot"][which])
    with pytest.raises(UnsupportedPackageError, match="no decryption key") as caught:
        verify(attrs.evolve(trust, decryption_keys=[]), sealed["mcuboot"][which])
    assert caught.value.result == 6


@pytest.mark.parametrize("which", [0, 1])
def test_a_changed_ciphertext_is_refused(trust, sealed, which):
    for at in (-1, -17, -61, -120):
        data = bytearray(sealed["sign1"][which])
        data[at] ^= 1
        with pytest.raises(PackageError):
            verify(trust, bytes(data))


def test_a_tag_that_does_not_hold_is_noticed_at_the_end(trust, sealed):
    data = bytearray(sealed["mcuboot"][0])
    data[-1] ^= 1
    with pytest.raises(IntegrityError, match="decryption failed"):
        verify(trust, bytes(data))
    held = cbor.loads(sealed["mcuboot"][1])
    held.value[2] = held.value[2][:-1] + bytes([held.value[2][-1] ^ 1])
    with pytest.raises(IntegrityError, match="decryption failed"):
        verify(trust, cbor.dumps(held))


def hidden(data, *, key=WRAPPING, key_id=None):
    """In a COSE_Encrypt0."""
    made = encrypt0(DirectKey(key=key, key_id=key_id), bytes(12), alg=Alg.A128GCM)
    return made.message(made.cipher.encrypt(data))


def opened_with(trust, *keys):
    return attrs.evolve(trust, decryption_keys=keys)


OTHERS = [SecretKey(bytes([each]) * 16) for each in range(1, 10)]


@pytest.mark.parametrize("step", [1, 1 << 20])
@pytest.mark.parametrize("name", ["sign1", "mcuboot"])
def test_a_wrong_key_is_told_as_one(trust, sealed, name, step):
    wrong = opened_with(trust, DecryptionKey(OTHERS[0], key_id=KID))
    with pytest.raises(IntegrityError, match="decryption failed: the content was changed, or is for") as caught:
        verify(wrong, sealed[name][0], step=step)
    assert (caught.value.reason, caught.value.result) == ("package.decryption-failed", 5)


def test_any_bit_of_a_ciphertext_that_is_flipped_is_told_so(trust, messages, record_property):
    data = hidden(messages["sign1"][:40])
    begin = data.index(bytes(12)) + 12 + 2  # behind the nonce, and the head of the content
    for bit in range(begin * 8, len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(IntegrityError, match="decryption failed"):
            verify(trust, bytes(changed))
    record_property("figure", f"COSE_Encrypt0: {(len(data) - begin) * 8} flips of a ciphertext, all told as such")


@pytest.mark.parametrize("step", [1, 100, 1 << 20])
@pytest.mark.parametrize("name", ["sign1", "mcuboot", "eddsa"])
@pytest.mark.parametrize("at", [0, 3, 7])
def test_every_key_that_may_be_meant_is_tried(trust, messages, key_of, name, at, step):
    image = create_mcuboot(IMAGE, version=ImageVersion(1, 2, 3), key=key_of(KeyType.P256))
    inner = {"sign1": messages["sign1"], "eddsa": messages["sign1 eddsa"], "mcuboot": image}[name]
    data, keys = hidden(inner), [DecryptionKey(each, key_id=bytes([number])) for number, each in enumerate(OTHERS[:7])]
    keys.insert(at, DecryptionKey(WRAPPING, key_id=KID))
    package = verify(opened_with(trust, *keys), data, step=step)
    assert IMAGE in content(package, data)
    assert len(package.signers) == 1
    with pytest.raises(IntegrityError, match="decryption failed"):
        verify(opened_with(trust, *keys[:at], *keys[at + 1 :]), data, step=step)


def test_keys_of_other_ids_are_not_tried(trust, messages):
    data = hidden(messages["sign1"], key_id=KID)
    for key in (DecryptionKey(WRAPPING), DecryptionKey(WRAPPING, key_id=KID)):
        assert verify(opened_with(trust, DecryptionKey(OTHERS[0], key_id=b"x"), key), data)
    with pytest.raises(UnsupportedPackageError, match="no decryption key"):
        verify(opened_with(trust, DecryptionKey(WRAPPING, key_id=b"x")), data)


def test_keys_that_are_tried_are_few(trust, messages):
    data, keys = hidden(messages["sign1"]), [DecryptionKey(each) for each in [*OTHERS[:8], WRAPPING]]
    with pytest.raises(
        PackageError, match=r"9 keys of this device may be meant, at most 8 .*max_decryption_keys"
    ) as caught:
        verify(opened_with(trust, *keys), data)
    assert (caught.value.reason, caught.value.result) == ("package.verifier-memory", 3)
    assert verify(opened_with(trust, *keys), data, max_decryption_keys=9)
    held = encrypt(WRAPPING.secret, bytes(12), [DirectKey(key=WRAPPING)], alg=Alg.A128GCM)
    data = held.message(held.cipher.encrypt(messages["sign1"]))
    with pytest.raises(PackageError, match="max_decryption_keys"):
        verify(opened_with(trust, *keys), data)
    assert verify(opened_with(trust, *keys[1:]), data)


def test_what_is_wrong_inside_is_told_when_the_key_was_right(trust, messages):
    with pytest.raises(UnsupportedPackageError, match="holds no signature"):
        verify(trust, hidden(IMAGE, key_id=KID))
    with pytest.raises(IntegrityError, match="truncated"):
        verify(trust, hidden(messages["sign1"][:500], key_id=KID))
    with pytest.raises(UnsupportedPackageError, match="within another"):
        verify(opened_with(trust, DecryptionKey(OTHERS[0]), DecryptionKey(WRAPPING)), hidden(hidden(IMAGE)))


def test_packages_that_are_encrypted_are_read_as_a_stream(trust, key_of):
    data = hidden(sign1(bytes(1 << 20), signer(key_of)))
    keys = [DecryptionKey(each) for each in [*OTHERS[:7], WRAPPING]]
    tracemalloc.start()
    try:
        assert verify(opened_with(trust, *keys), data, step=1024)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200_000


def test_plain_content_needs_a_digest_of_the_file(trust):
    made = encrypt0(DirectKey(key=WRAPPING, key_id=KID), bytes(12), alg=Alg.A128GCM)
    data = made.message(made.cipher.encrypt(IMAGE))
    with pytest.raises(UnsupportedPackageError, match="holds no signature"):
        verify(trust, data)
    expected = TrustPolicy(expected_sha256=hashlib.sha256(data).digest(), decryption_keys=trust.decryption_keys)
    assert content(verify(expected, data), data) == IMAGE


@pytest.mark.parametrize("which", [0, 1])
def test_an_encrypted_package_holds_no_other(trust, sealed, which):
    made = encrypt0(DirectKey(key=WRAPPING, key_id=KID), bytes(12), alg=Alg.A128GCM)
    with pytest.raises(UnsupportedPackageError, match="within another"):
        verify(trust, made.message(made.cipher.encrypt(sealed["sign1"][which])))


@pytest.mark.parametrize("which", [0, 1])
def test_an_encrypted_package_holds_no_encrypted_payload(trust, key_of, which):
    """What is inside would be read from the wrong place, by the wrong key."""
    profile = SuitProfile.ESP256_ECDH_A128GCM
    device = PrivateKey.from_seed(KeyType.P256, bytes(range(2, 34)))
    ephemeral = PrivateKey.from_seed(KeyType.P256, bytes(range(3, 35)))
    hidden = profile.encryption(device.public_key, secret=b"s" * 16, nonce=b"n" * 12, ephemeral=ephemeral)
    parts = [SuitComponent(id=(b"app",), image=IMAGE, encryption=hidden)]
    made = create_suit(parts, options=SuitOptions(sequence_number=7), signers=[signer(key_of)]).data
    opens = attrs.evolve(trust, decryption_keys=[*trust.decryption_keys, DecryptionKey(device)])
    assert content(verify(opens, made), made) == IMAGE
    direct, wrapped = DirectKey(key=WRAPPING, key_id=KID), WrappedKey(key=WRAPPING, key_id=KID)
    around = (
        encrypt0(direct, bytes(12), alg=Alg.A128GCM),
        encrypt(bytes(32), bytes(12), [wrapped], alg=Alg.CHACHA20_POLY1305),
    )[which]
    with pytest.raises(UnsupportedPackageError, match="an encrypted payload within an encrypted package"):
        verify(opens, around.message(around.cipher.encrypt(made)))


@pytest.mark.parametrize("step", [1, 1 << 20])
def test_what_was_signed_of_a_suit_manifest_is_no_image(trust, key_of, step):
    """Its signature has nothing in it that tells it from that of an image."""
    parts = [SuitComponent(id=(b"app",), image=IMAGE)]
    made = create_suit(parts, options=SuitOptions(sequence_number=7), signers=[signer(key_of)]).data
    digest, block = cbor.loads(cbor.loads(made).value[2])
    protected, unprotected, payload, signature = cbor.loads(block).value
    assert payload is None
    with pytest.raises(IntegrityError, match="signed of a SUIT manifest"):
        verify(trust, cbor.dumps(cbor.Tag(18, [protected, unprotected, digest, signature])), step=step)
    beside = FormatRegistry((PlainFormat(signature=DetachedSignature(message=block, size_bytes=len(digest))),))
    verifier = PackageVerifier(trust, formats=beside)
    for at in range(0, len(digest), step):
        verifier.feed(digest[at : at + step])
    with pytest.raises(IntegrityError, match="signed of a SUIT manifest"):
        verifier.finish()


@pytest.mark.parametrize("name", ["sign", "mac0", "mac"])
def test_nor_is_it_under_other_messages(trust, key_of, name):
    digest = cbor.dumps([-16, bytes(32)])
    made = {
        "sign": lambda: sign(digest, [signer(key_of)]),
        "mac0": lambda: mac0(digest, DirectKey(key=SECRET, key_id=b"secret")),
        "mac": lambda: mac(digest, SECRET, [WrappedKey(key=WRAPPING, key_id=b"wrapping")]),
    }[name]()
    with pytest.raises(IntegrityError, match="signed of a SUIT manifest"):
        verify(trust, made)


@pytest.mark.parametrize("image", [b"\x82\x2f", b"\x01", b"\x82\x01\x02", bytes(81)])
def test_small_images_are_images(trust, key_of, image):
    made = sign1(image, signer(key_of))
    assert content(verify(trust, made), made) == image


def test_ctr_is_not_taken_for_a_package(trust):
    made = encrypt0(DirectKey(key=WRAPPING, key_id=KID), bytes(16), alg=Alg.A128CTR)
    with pytest.raises(UnsupportedPackageError, match="without a digest"):
        verify(trust, made.message(made.cipher.encrypt(IMAGE)))


# Limits and broken messages.


def test_what_is_held_is_limited_with_the_head(trust, messages, sealed):
    for name, data in (("sign", messages["sign"]), ("mac", messages["mac"]), ("encrypt", sealed["sign1"][1])):
        size = len(cbor.loads(data).value[2])
        assert verify(trust, data, max_held_bytes=size)
        verifier = PackageVerifier(trust, formats=default_formats().with_format(CoseFormat(max_held_bytes=size - 1)))
        with pytest.raises(PackageError, match="max_held_bytes") as caught:
            verifier.feed(data[:60])
        assert caught.value.result == 3, name
    data = messages["sign1 eddsa"]
    verifier = PackageVerifier(trust, formats=default_formats().with_format(CoseFormat(max_held_bytes=len(IMAGE) - 1)))
    with pytest.raises(PackageError, match="max_held_bytes") as caught:
        verifier.feed(data[: data.index(IMAGE) + 1])
    assert caught.value.result == 3
    assert verify(trust, messages["sign1"], max_held_bytes=0)


def test_a_key_that_is_not_trusted_is_known_with_the_head(messages):
    for name in ("sign1", "sign1 eddsa", "mac0"):
        with pytest.raises(IntegrityError, match="untrusted key"):
            PackageVerifier(TrustPolicy()).feed(messages[name][: messages[name].index(IMAGE) + 1])


def test_an_image_without_a_counter_or_an_id_is_known_with_the_head(trust, messages):
    floor = attrs.evolve(trust, rollback_floor=RollbackFloor().raised([Counter("image", 1)]))
    ours = attrs.evolve(trust, identity=DeviceIdentity(class_ids=(bytes(16),)))
    for name in ("sign1", "sign", "mac0", "mac"):
        head = messages[name][: messages[name].index(IMAGE)]
        with pytest.raises(IntegrityError, match="rollback: it has no counter"):
            PackageVerifier(floor).feed(head)
        with pytest.raises(UnsupportedPackageError, match="it names no class"):
            PackageVerifier(ours).feed(head)


def test_an_image_with_many_signatures_is_held_once(trust, key_of):
    image = bytes(1 << 20)
    data = sign(image, [signer(key_of, KeyType.ED25519)] * 16)
    formats = default_formats().with_format(CoseFormat(max_held_bytes=len(image)))
    tracemalloc.start()
    verifier = PackageVerifier(trust, formats=formats)
    for at in range(0, len(data), 4096):
        verifier.feed(memoryview(data)[at : at + 4096])
    package = verifier.finish()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(package.signers) == 16
    assert most < len(image) + (128 << 10)


@pytest.mark.parametrize("step", [1, 1000])
def test_head_and_tail_are_limited(trust, key_of, messages, step):
    long = sign1(IMAGE, signer(key_of), protected={3: "x" * 500})
    head = long.index(IMAGE)
    assert verify(trust, long, max_head_bytes=head, step=step)
    with pytest.raises(PackageError, match="max_head_bytes") as caught:
        verify(trust, long, max_head_bytes=head - 1, step=step)
    assert caught.value.result == 3
    tail = len(messages["sign"]) - messages["sign"].index(IMAGE) - len(IMAGE)
    assert verify(trust, messages["sign"], max_tail_bytes=tail, step=step)
    with pytest.raises(PackageError, match="max_tail_bytes") as caught:
        verify(trust, messages["sign"], max_tail_bytes=tail - 1, step=step)
    assert caught.value.result == 3


def test_sizes_are_known_with_the_head(trust, messages):
    data = messages["sign1"]
    head = data.index(IMAGE)
    verifier = PackageVerifier(attrs.evolve(trust, max_package_bytes=head + len(IMAGE) - 1))
    with pytest.raises(PackageTooLargeError):
        verifier.feed(data[:head])
    verifier = PackageVerifier(trust, expected_size_bytes=head + len(IMAGE) - 1)
    with pytest.raises(IntegrityError, match="truncated"):
        verifier.feed(data[:head])


HEAD = bytes.fromhex("d28443a10126a0")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (HEAD + b"\xf6\x40", "malformed: the content is detached"),
        (HEAD + b"\x40\x40", "truncated: the content is empty"),
        (HEAD + b"\x61a\x40", "malformed: the content is not a byte string"),
        (HEAD + b"\x5f\x41a\xff\x40", "malformed: the content is not a byte string of known length"),
        (HEAD + b"\x5c" + bytes(9), "malformed: no such initial byte"),
        (HEAD + b"\x41a", "malformed: not a COSE_Sign1"),
        (HEAD + b"\x41a\x40\x40", "malformed: not a COSE_Sign1"),
        (HEAD + b"\x41a\x00", "malformed: not a COSE_Sign1"),
        (HEAD + b"\x41a\x58", "malformed: what follows the content"),
        (HEAD + b"\x42a", "truncated"),
        (HEAD[:4], "truncated"),
        (HEAD + b"\x58", "truncated"),
        (HEAD, "truncated"),
        (b"\xd2\x84\xff" + bytes(9), "malformed: COSE"),
        (b"\xd2\x84\x00\xa0\x41a\x40", "malformed: the headers are not"),
        (bytes.fromhex("d08343a10101a1054c") + bytes(12) + b"\x41a\x40", "malformed: not a COSE_Encrypt0"),
    ],
)
@pytest.mark.parametrize("step", [1, 100])
def test_broken_messages(trust, data, reason, step):
    direct = attrs.evolve(trust, decryption_keys=[DecryptionKey(WRAPPING)])
    with pytest.raises(IntegrityError, match=reason):
        verify(direct, data, step=step)


@pytest.mark.parametrize(
    "first", [b"\xd2\x98\x04", b"\xd2\x9f\x43", b"\xd2\x85\x43", b"\xd8\x6c\xa2", b"\xd8\x12\x84", b"\x84\x43\xa1"]
)
def test_other_first_bytes_are_no_messages(trust, first):
    with pytest.raises(UnsupportedPackageError) as caught:
        verify(trust, first + bytes(20))
    assert caught.value.reason == "package.unknown-format"


def test_the_permissive_rules_are_a_policy(trust, key_of):
    """The algorithm in the unprotected header."""
    data = structure.sign1_prefix(b"", b"", len(IMAGE)) + IMAGE
    signature = ecdsa_raw(key_of(KeyType.P256).sign(data), KeyType.P256)
    message = cbor.dumps(cbor.Tag(18, [b"", {1: -7, 4: b"P-256"}, IMAGE, signature]))
    with pytest.raises(IntegrityError, match="no algorithm in the protected header"):
        verify(trust, message)
    permissive = UnsafeTrustPolicy(keys=trust.keys, choices=[UnsafeChoice.PERMISSIVE_COSE])
    assert verify(permissive, message).signers


def test_a_parser_may_be_given_the_first_bytes_one_by_one(trust, messages):
    digest = FileDigest()
    context = PackageContext(
        trust=trust, ring=trust.keyring(None), digest=digest, expected_size_bytes=None, open_inner=None
    )
    parser = CoseFormat().open(context)
    for byte in messages["sign"]:
        assert parser.feed(memoryview(bytes([byte]))) == 0
    assert len(parser.finish().authentication.signers) == 2
