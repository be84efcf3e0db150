"""SUIT as a package format."""

import hashlib

import attrs
import pytest
from suit_forge import CLASS, SIGNER, VENDOR, bstr, envelope, manifest, member_sha256, sha256

from lwm2m_fota.errors import IntegrityError, PackageError, PackageTooLargeError, UnsupportedPackageError
from lwm2m_fota.package.cose.create import AgreedKey, DirectKey, WrappedKey, encrypt
from lwm2m_fota.package.cose.names import Alg
from lwm2m_fota.package.crypto import KeyType, PrivateKey, SecretKey
from lwm2m_fota.package.formats.registry import FormatRegistry, default_formats
from lwm2m_fota.package.formats.suit.format import SuitFormat
from lwm2m_fota.package.formats.suit.limits import SuitLimits
from lwm2m_fota.package.identity import DeviceIdentity
from lwm2m_fota.package.keyring import DecryptionKey, TrustedKey
from lwm2m_fota.package.rollback import Counted, Counter, RollbackFloor
from lwm2m_fota.package.trust import TrustPolicy, UnsafeChoice, UnsafeTrustPolicy
from lwm2m_fota.package.types import Check, component_pieces
from lwm2m_fota.package.verifier import PackageVerifier

IMAGE = bytes(range(256)) * 4
OTHER = b"another image"
TWO = ((b"app",), (b"radio",))
SECRET = SecretKey(bytes(range(16)))
DEVICE = PrivateKey.from_seed(KeyType.P256, bytes(range(2, 34)))
TRUST = TrustPolicy(
    keys=[SIGNER.public_key],
    decryption_keys=[DecryptionKey(SECRET, key_id=b"kek"), DecryptionKey(DEVICE, key_id=b"me")],
)


def fetch(data=IMAGE, uri="#app", size=True):
    given = {3: bstr(sha256(data)), 21: uri}
    return [20, {**given, 14: len(data)} if size else given, 21, 2, 3, 15]


def one(**members):
    """One component, with an integrated payload."""
    return envelope(manifest(((b"app",),), m20=bstr(fetch()), **members), payloads={"#app": IMAGE})


def verify(data, trust=TRUST, step=None, told=None, **options):
    formats = default_formats().with_format(SuitFormat(**options))
    verifier = PackageVerifier(trust, formats=formats, expected_size_bytes=told)
    for at in range(0, len(data), step or len(data)):
        verifier.feed(data[at : at + (step or len(data))])
    return verifier.finish()


def contents(package, data):
    def read(offset, size):
        return data[offset : offset + size]

    return {each.name: b"".join(component_pieces(each, read)) for each in package.components}


def test_what_an_update_does_not_run_is_checked_alone():
    """An uninstall section with an unlink, and one with a command that nobody knows."""
    data = one(m24=bstr([33, 0]))
    assert contents(verify(data), data) == {"app": IMAGE}
    with pytest.raises(UnsupportedPackageError, match="34"):
        verify(one(m24=bstr([34, 0])))


@pytest.mark.parametrize("step", [None, 1, 7])
def test_an_integrated_payload_is_verified_as_it_streams(step):
    data = one(number=7, m5=[b"root"], m23=bstr({"en": {(b"app",): {6: "1.2.3"}}}))
    package = verify(data, step=step, told=len(data))
    assert (package.format, package.version, package.name) == ("suit", "1.2.3", "root")
    assert package.counters == (Counter("app", 7), Counter("root", 7, Counted.MANIFEST))
    assert package.checks == {Check.DIGEST, Check.SIGNATURE}
    assert package.limits["max_manifest_bytes"] == 65536
    assert contents(package, data) == {"app": IMAGE}


def test_it_is_one_of_the_formats():
    assert [each.name for each in default_formats().formats] == ["mcuboot", "suit", "cose", "plain"]


def test_several_components_have_payloads_of_their_own():
    commands = [12, 0, *fetch(), 12, 1, *fetch(OTHER, "#radio")]
    data = envelope(manifest(TWO, m20=bstr(commands)), payloads={"#app": IMAGE, "#radio": OTHER})
    package = verify(data)
    assert contents(package, data) == {"app": IMAGE, "radio": OTHER}
    assert (package.version, package.name) == (None, None)
    assert package.counters == (Counter("app", 1), Counter("radio", 1))


def test_one_payload_may_go_to_several_components():
    data = envelope(manifest(TWO, m20=bstr([12, True, *fetch()])), payloads={"#app": IMAGE})
    assert contents(verify(data), data) == {"app": IMAGE, "radio": IMAGE}


def test_content_in_the_manifest_has_its_place_too():
    install = bstr([20, {18: b"hello world"}, 18, 0])
    for data in (
        envelope(manifest(((b"app",),), m20=install)),
        envelope(manifest(((b"app",),), m20=member_sha256(install)), {20: install}),
    ):
        assert contents(verify(data), data) == {"app": b"hello world"}


def test_a_payload_that_nothing_refers_to_is_not_installed():
    data = envelope(manifest(((b"app",),), m20=bstr(fetch())), payloads={"#app": IMAGE, "#zzz": b"whatever"})
    assert contents(verify(data), data) == {"app": IMAGE}


# Detached payloads follow the envelope.


def test_detached_payloads_follow_the_envelope_in_the_order_of_their_fetch():
    commands = [12, 1, *fetch(OTHER, "coap://host/radio"), 12, 0, *fetch(IMAGE, "http://host/app")]
    whole = envelope(manifest(TWO, m20=bstr(commands)))
    data = whole + IMAGE + OTHER  # the order of the components
    for step in (None, 1, 100):
        assert contents(verify(data, step=step, told=len(data)), data) == {"app": IMAGE, "radio": OTHER}
    with pytest.raises(IntegrityError, match="truncated: payload http://host/app is not there"):
        verify(whole)
    with pytest.raises(IntegrityError, match="truncated: payload coap://host/radio is not there"):
        verify(whole + IMAGE)
    with pytest.raises(IntegrityError, match="truncated: 3 bytes of a payload are missing"):
        verify(data[:-3])
    with pytest.raises(IntegrityError, match="malformed: bytes follow the envelope and its payloads"):
        verify(data + b"\0")
    with pytest.raises(IntegrityError, match="digest mismatch: payload http://host/app is not what the manifest says"):
        verify(whole + b"x" * len(IMAGE) + OTHER)


def test_the_verifier_tells_where_the_rest_is():
    commands = [12, 0, *fetch(IMAGE, "http://host/app"), 12, 1, *fetch(OTHER, "coap://host/radio")]
    data = envelope(manifest(TWO, m20=bstr(commands)))
    verifier = PackageVerifier(TRUST)
    assert verifier.awaited_uri is None
    verifier.feed(data[:-1])
    assert verifier.awaited_uri is None
    for piece, uri in (
        (data[-1:], "http://host/app"),
        (IMAGE[:5], None),
        (IMAGE[5:], "coap://host/radio"),
        (OTHER, None),
    ):
        verifier.feed(piece)
        assert verifier.awaited_uri == uri
    assert contents(verifier.finish(), data + IMAGE + OTHER) == {"app": IMAGE, "radio": OTHER}


def test_a_package_that_was_refused_awaits_nothing():
    data = envelope(manifest(((b"app",),), m20=bstr(fetch(uri="coap://host/app"))))
    verifier = PackageVerifier(TRUST)
    verifier.feed(data)
    assert verifier.awaited_uri == "coap://host/app"
    with pytest.raises(IntegrityError, match="digest mismatch"):
        verifier.feed(bytes(len(IMAGE)))
    assert verifier.awaited_uri is None


def test_other_formats_lie_in_one_place():
    verifier = PackageVerifier(TRUST)
    verifier.feed(b"\x3d\xb8\xf3\x96")
    assert verifier.awaited_uri is None


def test_an_integrated_and_a_detached_payload():
    commands = [12, 0, *fetch(), 12, 1, *fetch(OTHER, "coap://host/radio")]
    data = envelope(manifest(TWO, m20=bstr(commands)), payloads={"#app": IMAGE}) + OTHER
    assert contents(verify(data), data) == {"app": IMAGE, "radio": OTHER}


def test_a_detached_payload_needs_a_length():
    data = envelope(manifest(((b"app",),), m20=bstr(fetch(uri="coap://host/app", size=False)))) + IMAGE
    with pytest.raises(UnsupportedPackageError, match="whose length the manifest does not say"):
        verify(data)


def test_bytes_behind_an_envelope_with_all_its_payloads_are_refused():
    with pytest.raises(IntegrityError, match="malformed: bytes follow"):
        verify(one() + b"\0")


# What does not hold.


def test_a_payload_that_was_changed_is_refused():
    data = manifest(((b"app",),), m20=bstr(fetch()))
    with pytest.raises(IntegrityError, match="digest mismatch: payload #app is not what"):
        verify(envelope(data, payloads={"#app": IMAGE[:-1] + b"\0"}))
    with pytest.raises(IntegrityError, match="digest mismatch: payload #app has 3 bytes, not 1024"):
        verify(envelope(data, payloads={"#app": b"app"}))
    with pytest.raises(IntegrityError, match="truncated: payload #app is not there"):
        verify(envelope(data, payloads={"#other": IMAGE}))


def test_a_payload_of_unknown_length_is_refused_by_its_digest():
    data = manifest(((b"app",),), m20=bstr(fetch(size=False)))
    assert verify(envelope(data, payloads={"#app": IMAGE}))
    with pytest.raises(IntegrityError, match="digest mismatch"):
        verify(envelope(data, payloads={"#app": b"app"}))


def test_sha384_and_sha512_are_digests_of_images_too():
    for number, kind in ((-43, hashlib.sha384), (-44, hashlib.sha512)):
        commands = [20, {3: bstr([number, kind(IMAGE).digest()]), 21: "#app"}, 21, 0, 3, 0]
        data = envelope(manifest(((b"app",),), m20=bstr(commands)), payloads={"#app": IMAGE})
        assert contents(verify(data), data) == {"app": IMAGE}


def test_payloads_that_are_too_long_are_refused_before_they_arrive():
    data = one()
    begin = data.index(IMAGE)
    small = TrustPolicy(keys=TRUST.keys, max_package_bytes=len(data) - 1)
    with pytest.raises(PackageTooLargeError, match=f"payload #app ends at {len(data)} bytes"):
        verify(data[:begin], small)
    with pytest.raises(IntegrityError, match=f"truncated: payload #app ends at {len(data)} bytes, in a file of"):
        verify(data[:begin], told=len(data) - 1)


def test_who_has_not_signed_is_told_before_anything_arrives():
    data = one()
    stranger = TrustPolicy(keys=[DEVICE.public_key])
    head = data.index(bstr(fetch()))
    with pytest.raises(IntegrityError, match=r"bad signature|untrusted key"):
        verify(data[:head], stranger)


def test_truncated_at_every_byte_it_is_refused(record_property):
    data = one()
    codes = {}
    for size in range(1, len(data)):
        with pytest.raises(PackageError) as caught:
            verify(data[:size])
        codes[caught.value.reason] = codes.get(caught.value.reason, 0) + 1
    record_property("figure", f"SUIT: {len(data) - 1} truncations of a package with a payload: {codes}")
    assert codes.keys() <= {"package.truncated", "package.unknown-format"}


def test_with_any_bit_flipped_it_is_refused(record_property):
    data = envelope(manifest(((b"app",),), m20=bstr(fetch(OTHER))), payloads={"#app": OTHER})
    codes = {}
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(PackageError) as caught:
            verify(bytes(changed))
        codes[caught.value.reason] = codes.get(caught.value.reason, 0) + 1
    record_property("figure", f"SUIT: {len(data) * 8} flips in a package with a payload: {codes}")
    assert sum(codes.values()) == len(data) * 8


# The policy.


def test_the_sequence_number_is_a_rollback_floor_for_each_component():
    floor = RollbackFloor((Counter("app", 7),))
    trust = TrustPolicy(keys=TRUST.keys, rollback_floor=floor)
    assert verify(one(number=7), trust).checks == {Check.DIGEST, Check.SIGNATURE, Check.ROLLBACK}
    with pytest.raises(IntegrityError, match="rollback: counter 6 of component app, at least 7"):
        verify(one(number=6), trust)


def made_for(*commands):
    return envelope(manifest(((b"app",),), shared=list(commands), m20=bstr(fetch())), payloads={"#app": IMAGE})


def test_vendor_and_class_are_those_of_the_device():
    ids = [20, {1: VENDOR, 2: CLASS}, 1, 15, 2, 15]
    mine = TrustPolicy(keys=TRUST.keys, identity=DeviceIdentity(vendor_ids=(VENDOR,), class_ids=(CLASS,)))
    package = verify(made_for(*ids), mine)
    assert package.checks >= {Check.VENDOR, Check.CLASS}
    assert (package.made_for.vendor_id, package.made_for.class_id) == (VENDOR, CLASS)
    with pytest.raises(UnsupportedPackageError, match="wrong device: it is for vendor"):
        verify(made_for(*ids))
    with pytest.raises(UnsupportedPackageError, match="wrong device: it names no vendor"):
        verify(one(), mine)
    anybody = UnsafeTrustPolicy(keys=TRUST.keys, choices=[UnsafeChoice.ACCEPT_UNSIGNED, UnsafeChoice.ANY_DEVICE])
    assert verify(made_for(*ids), anybody)


FLOOR = RollbackFloor().raised([Counter("app", 7)])


def before_its_payload(data, trust):
    """The envelope up to its payload, or up to its end where that lies elsewhere."""
    PackageVerifier(trust).feed(data[: data.find(IMAGE)] if IMAGE in data else data)


@pytest.mark.parametrize("uri", ["#app", "coap://host/app"])
def test_for_whom_it_is_and_how_old_is_judged_before_a_payload_comes(uri):
    payloads = {uri: IMAGE} if uri == "#app" else None
    data = envelope(manifest(((b"app",),), number=6, m20=bstr(fetch(uri=uri))), payloads=payloads)
    before_its_payload(data, TRUST)
    with pytest.raises(IntegrityError, match="rollback: counter 6 of component app, at least 7"):
        before_its_payload(data, TrustPolicy(keys=TRUST.keys, rollback_floor=FLOOR))
    with pytest.raises(UnsupportedPackageError, match="wrong device: it names no class"):
        before_its_payload(data, TrustPolicy(keys=TRUST.keys, identity=DeviceIdentity(class_ids=(CLASS,))))


def test_slots_and_digests_of_the_device_are_given_to_the_format():
    given = {5: 1, 3: bstr(sha256(b"old"))}
    data = envelope(
        manifest(((b"app",),), m16=bstr([20, given, 5, 0, 3, 0]), m20=bstr(fetch())), payloads={"#app": IMAGE}
    )
    old = hashlib.sha256(b"old").digest()
    assert verify(data, slots={"app": 1}, held={"app": old})
    with pytest.raises(UnsupportedPackageError, match="condition failed"):
        verify(data, slots={"app": 1})
    with pytest.raises(UnsupportedPackageError, match="condition failed"):
        verify(data, held={"app": old})


def test_several_authorities_are_told():
    operator = PrivateKey.from_seed(KeyType.ED25519, bytes(range(32)))
    keys = [TrustedKey(SIGNER.public_key, authority="maker"), TrustedKey(operator.public_key, authority="operator")]
    data = envelope(manifest(((b"app",),), m20=bstr(fetch())), payloads={"#app": IMAGE}, signers=(SIGNER, operator))
    package = verify(data, TrustPolicy(keys=keys))
    assert [each.key.authority for each in package.signers] == ["maker", "operator"]


def test_limits_are_those_of_the_format():
    with pytest.raises(PackageError, match="max_manifest_bytes"):
        verify(one(), limits=SuitLimits(max_manifest_bytes=16))
    assert verify(one(), limits=SuitLimits(max_manifest_bytes=256)).limits["max_manifest_bytes"] == 256


def test_an_untagged_envelope_is_recognised():
    data = envelope(manifest(((b"app",),), m20=bstr(fetch())), payloads={"#app": IMAGE}, is_tagged=False)
    verifier = PackageVerifier(TRUST, formats=FormatRegistry((SuitFormat(),)))
    verifier.feed(data)
    assert verifier.finish().format == "suit"


# Encrypted payloads.


def encrypted(alg, recipient, key_bytes=16, data=IMAGE, digest=True, pin=False):
    """A payload that is decrypted when it is copied."""
    nonce = bytes(16 if alg in {Alg.A128CTR, Alg.A256CTR} else 12)
    made = encrypt(bytes(range(key_bytes)), nonce, [recipient], alg=alg)
    ciphertext = made.cipher.encrypt(data)
    first = [12, 1, 20, {14: len(ciphertext), 21: "#app"}, 21, 0]
    if pin:
        first += [20, {3: bstr(sha256(ciphertext))}, 3, 0]
    then = [12, 0, 20, {19: made.message(None), 22: 1}, 22, 0]
    if digest:
        then += [20, {3: bstr(sha256(data)), 14: len(data)}, 3, 15]
    components = ((b"app",), (b"staging",))
    return manifest(components, m20=bstr(first + then)), ciphertext


WRAPPED = WrappedKey(key=SECRET, key_id=b"kek")
AGREED = AgreedKey(
    key=DEVICE.public_key,
    ephemeral=PrivateKey.from_seed(KeyType.P256, bytes(range(3, 35))),
    key_id=b"me",
    supp_pub_other=b"SUIT Payload Encryption",
)


@pytest.mark.parametrize(
    ("alg", "recipient", "key_bytes"),
    [
        (Alg.A128GCM, WRAPPED, 16),
        (Alg.A256GCM, WRAPPED, 32),
        (Alg.CHACHA20_POLY1305, WRAPPED, 32),
        (Alg.A128CTR, WRAPPED, 16),
        (Alg.A128GCM, AGREED, 16),
        (Alg.A128CTR, AGREED, 16),
    ],
)
@pytest.mark.parametrize("step", [None, 1])
def test_an_encrypted_payload_is_decrypted_and_compared(alg, recipient, key_bytes, step):
    data, ciphertext = encrypted(alg, recipient, key_bytes)
    whole = envelope(data, payloads={"#app": ciphertext})
    package = verify(whole, step=step)
    assert contents(package, whole) == {"app": IMAGE}
    assert Check.DECRYPTION in package.checks
    for place in (0, -1):
        broken = bytearray(ciphertext)
        broken[place] ^= 1
        with pytest.raises(IntegrityError, match=r"decryption failed|digest mismatch: what is inside of payload #app"):
            verify(envelope(data, payloads={"#app": bytes(broken)}))


OTHERS = [DecryptionKey(SecretKey(bytes([each]) * 16), key_id=bytes([each])) for each in range(1, 9)]


@pytest.mark.parametrize("alg", [Alg.A128GCM, Alg.A128CTR])
@pytest.mark.parametrize("at", [0, 3, 7])
@pytest.mark.parametrize("step", [None, 1])
def test_every_key_is_tried_that_may_have_encrypted_a_payload(alg, at, step):
    data, ciphertext = encrypted(alg, DirectKey(key=SECRET))
    whole = envelope(data, payloads={"#app": ciphertext})
    keys = [*OTHERS[:at], DecryptionKey(SECRET, key_id=b"kek"), *OTHERS[at:7]]
    trust = attrs.evolve(TRUST, decryption_keys=keys)
    assert contents(verify(whole, trust, step=step), whole) == {"app": IMAGE}
    said = "digest mismatch: what is inside" if alg is Alg.A128CTR else "decryption failed"
    broken = envelope(data, payloads={"#app": ciphertext[:-1] + bytes([ciphertext[-1] ^ 1])})
    for refused, known in ((broken, keys), (whole, OTHERS), (broken, OTHERS[:1])):
        with pytest.raises(IntegrityError, match=said):
            verify(refused, attrs.evolve(TRUST, decryption_keys=known), step=step)
    _, another = encrypted(alg, DirectKey(key=SECRET), data=IMAGE[::-1])
    with pytest.raises(IntegrityError, match="digest mismatch: what is inside"):  # whatever the other keys make of it
        verify(envelope(data, payloads={"#app": another}), trust, step=step)
    with pytest.raises(PackageError, match=r"9 keys .* at most 8 are tried \(max_decryption_keys\)") as caught:
        verify(whole, attrs.evolve(TRUST, decryption_keys=[*keys, OTHERS[7]]))
    assert caught.value.reason == "package.verifier-memory"
    with pytest.raises(PackageError, match=r"8 keys .* at most 7"):
        verify(whole, trust, limits=SuitLimits(max_decryption_keys=7))


def decrypted_often(number, alg=Alg.A128GCM):
    """A payload that is decrypted so often: for two staging places in turn, each time with an info of its own."""
    made = [
        encrypt(SECRET.secret, bytes(12), [DirectKey(key=SECRET, key_id=bytes([each]))], alg=alg)
        for each in range(number)
    ]
    ciphertext = made[0].cipher.encrypt(IMAGE)
    first = [12, 1, 20, {14: len(ciphertext), 21: "#app"}, 21, 0, 12, 0]
    given = ({19: each.message(None), 22: 1, 3: bstr(sha256(IMAGE)), 14: len(IMAGE)} for each in made)
    then = [part for each in given for part in (20, each, 22, 0, 3, 15)]
    return envelope(manifest(((b"app",), (b"staging",)), m20=bstr(first + then)), payloads={"#app": ciphertext})


@pytest.mark.parametrize(("keys", "often"), [(1, 32), (2, 16), (8, 4)])
def test_what_decrypts_a_payload_at_once_is_bounded(keys, often):
    trust = attrs.evolve(TRUST, decryption_keys=[DecryptionKey(SECRET)] * keys)
    data = decrypted_often(often)
    assert contents(verify(data, trust), data) == {"app": IMAGE}
    most = rf"payload #app is decrypted at once: {32 + keys}, at most 32 \(max_decryptors\)"
    with pytest.raises(PackageError, match=most) as caught:
        verify(decrypted_often(often + 1), trust)
    assert caught.value.reason == "package.verifier-memory"
    assert verify(decrypted_often(often + 1), trust, limits=SuitLimits(max_decryptors=32 + keys))


def test_every_key_is_tried_that_may_have_encrypted_what_the_manifest_writes():
    made = encrypt(SECRET.secret, bytes(12), [DirectKey(key=SECRET)], alg=Alg.A128GCM)
    commands = [20, {18: made.cipher.encrypt(OTHER), 19: made.message(None)}, 18, 0]
    data = envelope(manifest(((b"app",),), m20=bstr(commands)))
    trust = attrs.evolve(TRUST, decryption_keys=[*OTHERS[:2], DecryptionKey(SECRET)])
    assert contents(verify(data, trust), data) == {"app": OTHER}
    with pytest.raises(IntegrityError, match="decryption failed: content was changed"):
        verify(data, attrs.evolve(TRUST, decryption_keys=OTHERS[:2]))


def test_a_digest_of_the_ciphertext_will_do_but_not_for_counter_mode():
    data, ciphertext = encrypted(Alg.A128GCM, WRAPPED, digest=False, pin=True)
    whole = envelope(data, payloads={"#app": ciphertext})
    assert contents(verify(whole), whole) == {"app": IMAGE}
    data, ciphertext = encrypted(Alg.A128CTR, WRAPPED, digest=False, pin=True)
    with pytest.raises(UnsupportedPackageError, match="AES-128-CTR without a digest of the content"):
        verify(envelope(data, payloads={"#app": ciphertext}))


def test_without_a_key_it_is_refused():
    data, ciphertext = encrypted(Alg.A128GCM, WRAPPED)
    with pytest.raises(UnsupportedPackageError, match="no decryption key"):
        verify(envelope(data, payloads={"#app": ciphertext}), TrustPolicy(keys=TRUST.keys))


def test_encrypted_content_in_the_manifest_is_judged_with_it():
    made = encrypt(bytes(range(16)), bytes(12), [WRAPPED], alg=Alg.A128GCM)
    ciphertext = made.cipher.encrypt(OTHER)

    def package(content):
        commands = [20, {18: content, 19: made.message(None)}, 18, 0]
        return envelope(manifest(((b"app",),), m20=bstr(commands)))

    data = package(ciphertext)
    assert contents(verify(data), data) == {"app": OTHER}
    with pytest.raises(IntegrityError, match="decryption failed: content was changed"):
        verify(package(ciphertext[:-1] + b"\0"))


def test_the_published_example_with_encrypted_content_is_installed(examples, published):
    trust = attrs.evolve(published, decryption_keys=[DecryptionKey(SecretKey(b"a" * 16), key_id=b"kid-1")])
    data = examples["suit-encryption/suit-manifest-aes-kw-content"]
    assert contents(verify(data, trust), data) == {"plaintext-firmware": b"This is a real firmware image."}


def test_the_published_encrypted_payloads_are_installed_only_under_a_digest(examples, published, spec):
    trust = attrs.evolve(published, decryption_keys=[DecryptionKey(SecretKey(b"a" * 16), key_id=b"kid-1")])
    payload = bytes.fromhex(
        (spec / "vectors/suit-encryption/encrypted-payload-aes-kw-aes-gcm.hex").read_text(encoding="ascii")
    )
    for name in ("aes-kw", "aes-kw-slot"):
        with pytest.raises(IntegrityError, match="nothing says what the digest of component"):
            verify(examples[f"suit-encryption/suit-manifest-{name}"] + payload, trust)
