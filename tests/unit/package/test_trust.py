"""The policy: what it requires, what is enough, and what weaker ones are called."""

import attrs
import pytest

from lwm2m_fota.errors import IntegrityError, PackageError, UnsupportedPackageError, UsageError
from lwm2m_fota.package import trust as module
from lwm2m_fota.package.cose.rules import CoseRules
from lwm2m_fota.package.crypto import Algorithm, KeyType, PrivateKey, SecretKey
from lwm2m_fota.package.identity import DeviceIdentity, MadeFor
from lwm2m_fota.package.keyring import Authentication, DecryptionKey, Fault, Signer, TrustedKey
from lwm2m_fota.package.rollback import Counter, RollbackFloor
from lwm2m_fota.package.trust import AllOf, AnyOf, TrustPolicy, UnsafeChoice, UnsafeTrustPolicy
from lwm2m_fota.package.verdicts import Refusal


def key(number, authority="owner", **fields):
    made = PrivateKey.from_seed(KeyType.ED25519, bytes([number]) * 32)
    return TrustedKey(made.public_key, authority=authority, **fields)


VENDOR, OPERATOR, OTHER = key(1, "vendor"), key(2, "operator"), key(3, "other")
KEYS = (VENDOR, OPERATOR, OTHER)


def by(*keys, faults=()):
    return Authentication(tuple(Signer(each, Algorithm.ED25519) for each in keys), tuple(faults))


def refused(policy, found, now=None):
    with pytest.raises(PackageError) as caught:
        policy.judge(found, now)
    return caught.value.reason


def test_the_default_refuses_everything():
    policy = TrustPolicy()
    assert policy.requires_signature
    assert policy.unsafe == frozenset()
    assert policy.cose_rules is CoseRules.STRICT
    assert policy.max_package_bytes == 67_108_864
    assert refused(policy, by()) == "package.unsigned"
    assert refused(policy, by(VENDOR)) == "package.unsigned"
    assert refused(policy, by(faults=[Fault(Refusal.UNTRUSTED_KEY, "x")])) == "package.untrusted-key"


def test_a_public_key_alone_is_one_of_the_owner(ed25519_key):
    policy = TrustPolicy(keys=[ed25519_key.public_key])
    assert policy.keys == (TrustedKey(ed25519_key.public_key),)
    assert policy.keys[0].authority == "owner"
    assert policy.judge(by(policy.keys[0]), None) == (Signer(policy.keys[0], Algorithm.ED25519),)


def test_any_key_is_enough_where_nothing_else_is_said():
    for each in KEYS:
        assert TrustPolicy(keys=KEYS).judge(by(each), None)[0].key == each
    assert refused(TrustPolicy(keys=KEYS[:2]), by(OTHER)) == "package.unsigned"


@pytest.mark.parametrize(
    ("required", "enough", "short"),
    [
        (
            AllOf("vendor", "operator"),
            [(VENDOR, OPERATOR), (OPERATOR, OTHER, VENDOR)],
            [(), (VENDOR,), (OTHER, OPERATOR)],
        ),
        (AnyOf("vendor", "operator"), [(VENDOR,), (OPERATOR,), (OTHER, VENDOR)], [(), (OTHER,)]),
        (AnyOf(AllOf("vendor", "operator"), "other"), [(OTHER,), (VENDOR, OPERATOR)], [(VENDOR,), (OPERATOR,)]),
        (AllOf(AnyOf("vendor", "other"), "operator"), [(OTHER, OPERATOR), (VENDOR, OPERATOR)], [(VENDOR, OTHER)]),
        (AllOf(), [], [(), KEYS]),
        (AnyOf(), [], [(), KEYS]),
        (AllOf("vendor", AnyOf()), [], [KEYS]),
        (AnyOf(AllOf()), [], [KEYS]),
        (AllOf("nobody"), [], [KEYS]),
    ],
)
def test_required_authorities(required, enough, short):
    policy = TrustPolicy(keys=KEYS, required=required)
    for keys in enough:
        assert [signer.key for signer in policy.judge(by(*keys), None)] == list(keys)
    for keys in short:
        reason = refused(policy, by(*keys))
        assert reason == ("package.missing-authority" if keys else "package.unsigned")


def test_two_keys_of_one_authority_are_one_authority():
    second = key(4, "vendor")
    policy = TrustPolicy(keys=(VENDOR, second, OPERATOR), required=AllOf("vendor", "operator"))
    assert refused(policy, by(VENDOR, second)) == "package.missing-authority"
    assert len(policy.judge(by(second, OPERATOR), None)) == 2


def test_the_gravest_fault_is_told():
    faults = [Fault(Refusal.UNTRUSTED_KEY, "a"), Fault(Refusal.BAD_SIGNATURE, "b"), Fault(Refusal.KEY_NOT_VALID, "c")]
    policy = TrustPolicy(keys=KEYS, required=AllOf("vendor", "operator"))
    with pytest.raises(IntegrityError, match="bad signature: b"):
        policy.judge(by(faults=faults), None)
    assert refused(policy, by(VENDOR, faults=faults[::2])) == "package.key-not-valid"
    assert policy.judge(by(VENDOR, OPERATOR, faults=faults), None)


def test_algorithms_and_times_count_whoever_found_the_signature():
    narrow = TrustPolicy(keys=KEYS, algorithms=[Algorithm.ECDSA_P256])
    assert refused(narrow, by(VENDOR)) == "package.unsigned"
    timed = key(5, not_after=10.0)
    policy = TrustPolicy(keys=[timed])
    assert policy.judge(by(timed), 10.0)
    assert refused(policy, by(timed), 11.0) == refused(policy, by(timed)) == "package.unsigned"
    lenient = UnsafeTrustPolicy(keys=[timed], choices=[UnsafeChoice.IGNORE_KEY_VALIDITY])
    assert lenient.judge(by(timed), None)


def test_a_digest_alone_is_a_policy():
    policy = TrustPolicy.of_digest(bytes(32), max_package_bytes=7)
    assert (policy.requires_signature, policy.expected_sha256, policy.max_package_bytes) == (False, bytes(32), 7)
    assert policy.unsafe == frozenset()
    assert policy.judge(by(), None) == ()
    assert policy.judge(by(faults=[Fault(Refusal.UNTRUSTED_KEY, "x")]), None) == ()


def test_a_digest_and_keys_are_both_required():
    policy = TrustPolicy(keys=KEYS, expected_sha256=bytes(32))
    assert policy.requires_signature
    assert refused(policy, by()) == "package.unsigned"


@pytest.mark.parametrize("digest", [b"", bytes(31), bytes(64)])
def test_a_digest_has_32_bytes(digest):
    with pytest.raises(UsageError, match="32"):
        TrustPolicy.of_digest(digest)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_is_positive(limit):
    with pytest.raises(UsageError, match="positive"):
        TrustPolicy(max_package_bytes=limit)


def test_the_floor_is_raised_and_never_lowered():
    policy = TrustPolicy(keys=KEYS, rollback_floor=RollbackFloor((Counter("a", 5), Counter("b", 1))))
    raised = policy.with_floor(RollbackFloor((Counter("a", 3), Counter("b", 2), Counter("c", 9))))
    assert raised.rollback_floor.marks == (Counter("a", 5), Counter("b", 2), Counter("c", 9))
    assert (raised.keys, type(raised)) == (policy.keys, TrustPolicy)
    raised.check_counters([Counter("a", 5)])
    with pytest.raises(IntegrityError, match="rollback: counter 4 of component a, at least 5"):
        raised.check_counters([Counter("a", 4)])
    assert type(UnsafeTrustPolicy().with_floor(RollbackFloor())) is UnsafeTrustPolicy


def test_it_is_for_this_device():
    policy = TrustPolicy(identity=DeviceIdentity(vendor_ids=[b"v"]))
    policy.check_made_for(MadeFor(vendor_id=b"v"))
    with pytest.raises(UnsupportedPackageError, match="wrong device: it is for vendor 77"):
        policy.check_made_for(MadeFor(vendor_id=b"w"))
    UnsafeTrustPolicy(choices=[UnsafeChoice.ANY_DEVICE]).check_made_for(MadeFor(vendor_id=b"w"))


def test_what_is_weaker_begins_with_unsafe():
    weaker = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, TrustPolicy) and value is not TrustPolicy
    ]
    assert [each.__name__ for each in weaker] == ["UnsafeTrustPolicy"]
    assert not {field.name for field in attrs.fields(TrustPolicy)} & {"unsafe", "choices"}
    with pytest.raises(TypeError):
        TrustPolicy(choices=list(UnsafeChoice))


def test_the_unsafe_policy_does_without_what_it_says():
    policy = UnsafeTrustPolicy()
    assert policy.unsafe == {UnsafeChoice.ACCEPT_UNSIGNED}
    assert not policy.requires_signature
    assert policy.judge(by(), None) == ()
    assert UnsafeTrustPolicy(keys=KEYS).judge(by(VENDOR), None)
    assert refused(policy, by(faults=[Fault(Refusal.BAD_SIGNATURE, "x")])) == "package.bad-signature"
    assert policy.cose_rules is CoseRules.STRICT
    permissive = UnsafeTrustPolicy(choices=[UnsafeChoice.PERMISSIVE_COSE])
    assert permissive.cose_rules is CoseRules.UNSAFE_PERMISSIVE
    assert permissive.requires_signature


def test_a_policy_is_a_value_and_shows_no_secret():
    secret = SecretKey(b"not to be shown!")
    policy = TrustPolicy(keys=[TrustedKey(secret, key_id=b"k")], decryption_keys=[DecryptionKey(secret)])
    assert "not to be shown" not in repr(policy)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        policy.keys = ()
    assert hash(policy) == hash(attrs.evolve(policy))
