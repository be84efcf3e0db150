"""Envelopes that are made here: they verify, and are laid out as the draft has it."""

import pytest

from lwm2m_fota import cbor
from lwm2m_fota.errors import PackageError, UsageError
from lwm2m_fota.package.cose.create import CoseSigner, DirectKey
from lwm2m_fota.package.crypto import Algorithm, KeyType, PrivateKey, SecretKey
from lwm2m_fota.package.formats.suit.make import SuitComponent, SuitDependency, SuitOptions, create_suit, signed_again
from lwm2m_fota.package.formats.suit.members import judge_of, open_envelope
from lwm2m_fota.package.formats.suit.profiles import SuitProfile
from lwm2m_fota.package.identity import DeviceIdentity
from lwm2m_fota.package.keyring import DecryptionKey, TrustedKey
from lwm2m_fota.package.trust import AllOf, TrustPolicy, UnsafeChoice, UnsafeTrustPolicy
from lwm2m_fota.package.types import component_pieces
from lwm2m_fota.package.verifier import PackageVerifier

P256 = PrivateKey.from_seed(KeyType.P256, bytes(range(1, 33)))
ED25519 = PrivateKey.from_seed(KeyType.ED25519, bytes(range(1, 33)))
SECRET = SecretKey(bytes(range(32)))
KEK = SecretKey(bytes(range(16)))
DEVICE_P256 = PrivateKey.from_seed(KeyType.P256, bytes(range(2, 34)))
DEVICE_X25519 = PrivateKey.from_seed(KeyType.X25519, bytes(range(2, 34)))
SIGNERS = (CoseSigner(key=P256),)
VENDOR, CLASS = b"v" * 16, b"c" * 16
APP = SuitComponent(id=(b"app",), image=b"the application" * 20, version="1.2.3")
RADIO = SuitComponent(id=(b"radio",), image=b"the radio" * 9)
TRUST = TrustPolicy(
    keys=[P256.public_key, ED25519.public_key, TrustedKey(SECRET, key_id=b"mac")],
    decryption_keys=[DecryptionKey(KEK), DecryptionKey(DEVICE_P256), DecryptionKey(DEVICE_X25519)],
)


def verified(data, trust=TRUST):
    verifier = PackageVerifier(trust)
    verifier.feed(data)
    package = verifier.finish()
    images = {
        each.name: b"".join(component_pieces(each, lambda at, size: data[at : at + size]))
        for each in package.components
    }
    return package, images


def made(*components, signers=SIGNERS, number=5, **options):
    return create_suit(components, options=SuitOptions(sequence_number=number, **options), signers=signers)


def test_one_component_is_laid_out_as_the_first_examples_are():
    found, payloads = open_envelope(made(APP).data, judge_of(TRUST, None))
    manifest = cbor.loads(found.members[3].data)
    assert list(manifest) == [1, 2, 3, 7, 20, 23]
    assert (manifest[1], manifest[2]) == (1, 5)
    common = cbor.loads(manifest[3])
    assert common[2] == [[b"app"]]
    (command, parameters) = cbor.loads(common[4])
    assert (command, list(parameters), parameters[14]) == (20, [3, 14], 300)
    assert cbor.loads(manifest[7]) == [3, 15]
    assert cbor.loads(manifest[20]) == [20, {21: "#app"}, 21, 2, 3, 15]
    assert cbor.loads(found.members[23].data) == {"en": {(b"app",): {6: "1.2.3"}}}
    assert [each.name for each in payloads] == ["#app"]


def test_several_components_begin_each_sequence_with_an_index():
    found, _ = open_envelope(made(APP, RADIO, vendor_id=VENDOR).data, judge_of(TRUST, None))
    manifest = cbor.loads(found.members[3].data)
    shared = cbor.loads(cbor.loads(manifest[3])[4])
    assert [shared[at] for at in (0, 1, 2, 4, 5, 6)] == [12, 0, 20, 12, 1, 20]
    assert shared[8:] == [12, [0, 1], 1, 15]
    assert cbor.loads(manifest[7]) == [12, [0, 1], 3, 15]


def test_what_is_made_verifies():
    data = made(APP, RADIO, manifest_id=(b"root",), is_text_severed=False).whole
    package, images = verified(data)
    assert images == {"app": APP.image, "radio": RADIO.image}
    assert [(each.name, each.version) for each in package.components] == [("app", "1.2.3"), ("radio", None)]
    assert package.name == "root"
    assert {each.value for each in package.counters} == {5}


def test_it_is_for_a_vendor_and_a_class():
    mine = TrustPolicy(keys=TRUST.keys, identity=DeviceIdentity(vendor_ids=[VENDOR], class_ids=[CLASS]))
    for options in ({"vendor_id": VENDOR, "class_id": CLASS}, {"class_id": CLASS}, {"vendor_id": VENDOR}):
        data = made(APP, **options).data
        with pytest.raises(PackageError, match="wrong device"):
            verified(data)
        if len(options) == 2:
            assert verified(data, mine)[0].made_for.class_id == CLASS


def test_payloads_may_lie_elsewhere():
    away = SuitComponent(id=(b"radio",), image=RADIO.image, uri="coap://host/radio")
    envelope = made(APP, away)
    assert list(envelope.detached) == ["coap://host/radio"]
    assert verified(envelope.whole)[1] == {"app": APP.image, "radio": RADIO.image}
    with pytest.raises(PackageError, match="payload coap://host/radio is not there"):
        verified(envelope.data)


def test_without_signers_it_is_for_laboratories():
    data = made(APP, signers=()).data
    with pytest.raises(PackageError, match="unsigned"):
        verified(data)
    assert verified(data, UnsafeTrustPolicy(choices=[UnsafeChoice.ACCEPT_UNSIGNED]))


@pytest.mark.parametrize(
    ("profile", "key", "algorithm", "recipient"),
    [
        (SuitProfile.HMAC_A128KW_A128CTR, SECRET, Algorithm.HMAC_SHA256, KEK),
        (SuitProfile.ESP256_ECDH_A128CTR, P256, Algorithm.ECDSA_P256, DEVICE_P256.public_key),
        (SuitProfile.ED25519_ECDH_A128CTR, ED25519, Algorithm.ED25519, DEVICE_X25519.public_key),
        (SuitProfile.ESP256_ECDH_A128GCM, P256, Algorithm.ECDSA_P256, DEVICE_X25519.public_key),
        (SuitProfile.ED25519_ECDH_CHACHA_POLY, ED25519, Algorithm.ED25519, DEVICE_P256.public_key),
    ],
)
def test_every_profile_signs_and_encrypts(profile, key, algorithm, recipient):
    ephemeral = None
    if recipient is not KEK:
        ephemeral = PrivateKey.from_seed(recipient.type, bytes(range(3, 35)))
    components = [
        SuitComponent(
            id=each.id,
            image=each.image,
            encryption=profile.encryption(
                recipient, secret=bytes(profile.secret_bytes), nonce=bytes(profile.nonce_bytes), ephemeral=ephemeral
            ),
        )
        for each in (APP, RADIO)
    ]
    data = made(*components, signers=[profile.signer(key, b"mac" if key is SECRET else None)]).data
    assert APP.image not in data
    package, images = verified(data)
    assert images == {"app": APP.image, "radio": RADIO.image}
    assert [each.algorithm for each in package.signers] == [algorithm]


# Of draft-ietf-suit-mti, by hand: authentication, key exchange, encryption.
NUMBERS = {
    "hmac-a128kw-a128ctr": (5, -3, -65534),
    "esp256-ecdh-a128ctr": (-9, -29, -65534),
    "ed25519-ecdh-a128ctr": (-19, -29, -65534),
    "esp256-ecdh-a128gcm": (-9, -29, 1),
    "ed25519-ecdh-chacha-poly": (-19, -29, 24),
}


def test_profiles_have_the_numbers_of_the_draft():
    from lwm2m_fota.package.formats.suit import profiles

    found = {each.value: tuple(map(int, numbers)) for each, numbers in profiles._SETS.items()}
    assert found == NUMBERS
    assert {each.value for each in SuitProfile} == set(NUMBERS)


def test_keys_are_those_of_the_profile():
    with pytest.raises(UsageError, match="esp256-ecdh-a128gcm with a secret key"):
        SuitProfile.ESP256_ECDH_A128GCM.signer(SECRET)
    with pytest.raises(UsageError, match="hmac-a128kw-a128ctr with a P-256 key"):
        SuitProfile.HMAC_A128KW_A128CTR.signer(P256)
    with pytest.raises(UsageError, match="with a Ed25519 key"):
        SuitProfile.ESP256_ECDH_A128GCM.signer(ED25519)
    options = {"secret": bytes(16), "nonce": bytes(12)}
    with pytest.raises(UsageError, match="encrypts with no secret key of 16 bytes"):
        SuitProfile.ESP256_ECDH_A128GCM.encryption(KEK, **options)
    with pytest.raises(UsageError, match="encrypts with no secret key of 32 bytes"):
        SuitProfile.HMAC_A128KW_A128CTR.encryption(SECRET, **options)
    for key, ephemeral in ((DEVICE_P256, None), (ED25519, ED25519)):
        with pytest.raises(UsageError, match=r"encrypts with no .* key"):
            SuitProfile.ESP256_ECDH_A128GCM.encryption(key.public_key, ephemeral=ephemeral, **options)
    with pytest.raises(UsageError, match="encrypts with no P-256 key"):
        SuitProfile.HMAC_A128KW_A128CTR.encryption(DEVICE_P256.public_key, ephemeral=P256, **options)


def test_an_envelope_gets_one_more_signature():
    policy = TrustPolicy(
        keys=[TrustedKey(P256.public_key, authority="maker"), TrustedKey(ED25519.public_key, authority="operator")],
        required=AllOf("maker", "operator"),
    )
    data = made(APP).data
    opened, _ = open_envelope(data, judge_of(TRUST, None))
    both = signed_again(data, opened, CoseSigner(key=ED25519))
    assert verified(both, policy)[1] == {"app": APP.image}
    with pytest.raises(PackageError, match="that is not enough"):
        verified(data, policy)
    opened, _ = open_envelope(both, judge_of(TRUST, None))
    thrice = signed_again(both, opened, DirectKey(key=SECRET, key_id=b"mac"))
    assert len(verified(thrice)[0].signers) == 3


@pytest.mark.parametrize(
    ("wrong", "detail"),
    [
        (lambda: SuitComponent(id=(), image=b"x"), "has an id, and an image"),
        (lambda: SuitComponent(id=(b"a",), image=b""), "has an id, and an image"),
        (lambda: SuitComponent(id=(b"a",), image=b"x", uri="#a"), "begins with #"),
        (made, "at least one component"),
        (lambda: made(APP, APP), "different ids"),
        (
            lambda: made(*(SuitComponent(id=(name,), image=b"x", uri="coap://h/x") for name in (b"a", b"b"))),
            "different URIs",
        ),
        (lambda: made(APP, number=-1), "not negative"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, detail):
    with pytest.raises(UsageError, match=detail):
        wrong()


def test_an_envelope_depends_on_others():
    """Each of its own maker, encrypted for the device, under a prefix."""
    keys = {
        "secret": bytes(16),
        "nonce": bytes(12),
        "ephemeral": PrivateKey.from_seed(KeyType.P256, bytes(range(3, 35))),
    }
    encryption = SuitProfile.ESP256_ECDH_A128GCM.encryption(DEVICE_P256.public_key, **keys)
    radio = SuitComponent(id=(b"radio",), image=RADIO.image, version="2.0", encryption=encryption)
    inner = made(radio, signers=[CoseSigner(key=ED25519)], number=3).data
    other = made(SuitComponent(id=(b"sensor",), image=b"the sensor"), number=4).data
    needed = [SuitDependency(envelope=inner, prefix=(b"modem",)), SuitDependency(envelope=other)]
    for components in ((APP,), (APP, SuitComponent(id=(b"gps",), image=b"the gps", encryption=encryption))):
        data = create_suit(
            components, options=SuitOptions(sequence_number=5), signers=SIGNERS, dependencies=needed
        ).data
        package, images = verified(data)
        assert list(images)[:3] == ["modem/radio", "sensor", "app"]
        assert images["modem/radio"] == RADIO.image
        assert [each.version for each in package.components][:3] == ["2.0", None, "1.2.3"]
        assert [each.value for each in package.counters][:3] == [3, 4, 5]


def test_dependencies_are_few_and_come_first():
    needed = SuitDependency(envelope=made(RADIO).data)
    short = SuitComponent(id=(b"a",), image=b"x")
    options = SuitOptions(sequence_number=1)
    with pytest.raises(UsageError, match="at most 10 dependencies"):
        create_suit([APP], options=options, dependencies=[needed] * 11)
    with pytest.raises(UsageError, match="at least two characters"):
        create_suit([short], options=options, dependencies=[needed])
    with pytest.raises(PackageError, match="truncated"):
        SuitDependency(envelope=made(RADIO).data[:-1])
