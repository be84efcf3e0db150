"""Every truncation and every flipped bit of the small vectors: refused in our words, or harmless.

Formats made by this library meet the same in tests/unit/testing/test_formats.py.
"""

import hashlib

import attrs
import pytest

from lwm2m_fota.errors import PackageError
from lwm2m_fota.package.cose.create import CoseSigner, DirectKey, WrappedKey, mac, mac0, sign, sign1
from lwm2m_fota.package.cose.rules import CoseRules
from lwm2m_fota.package.crypto import KeyType, PrivateKey, SecretKey
from lwm2m_fota.package.formats.mcuboot import McubootFormat
from lwm2m_fota.package.formats.plain import DetachedSignature, PlainFormat
from lwm2m_fota.package.formats.registry import FormatRegistry, default_formats
from lwm2m_fota.package.keyring import TrustedKey
from lwm2m_fota.package.trust import TrustPolicy, UnsafeTrustPolicy
from lwm2m_fota.package.verifier import PackageVerifier
from lwm2m_fota.testing.damage import flipped, truncated
from lwm2m_fota.testing.formats import contents

IMAGE = bytes(range(100))
SECRET = SecretKey(bytes(range(32)))
MCUBOOT = FormatRegistry((McubootFormat(),))  # alone: without keys, whatever is no image is a plain one
MOST_BYTES = 1_000


@attrs.define
class Tally:
    """What came of inputs."""

    inputs: int = 0
    refused: int = 0
    harmless: int = 0

    def count(self, data, outcome, good):
        """`outcome` is None for a refusal, else what was accepted."""
        assert outcome in {None, good}, f"accepted with another content: {data.hex()}"
        self.inputs += 1
        self.refused += outcome is None
        self.harmless += outcome is not None

    def __str__(self):
        return f"{self.inputs}, {self.refused} refused, {self.harmless} harmless"


@pytest.fixture
def damage(request, record_property):
    """`damage((data, outcome), ...)` tries all of it on each; `outcome(data)` is None or what was accepted."""

    def check(*files):
        cut, flips = Tally(), Tally()
        for data, outcome in files:
            assert len(data) <= MOST_BYTES
            good = outcome(data)
            assert good is not None
            for each in truncated(data):
                cut.count(each, outcome(each), good)
            for each in flipped(data):
                flips.count(each, outcome(each), good)
        assert cut.harmless == 0
        assert flips.refused > flips.harmless
        record_property("figure", f"{request.node.name}: {len(files)} files, truncations: {cut}; flipped bits: {flips}")

    return check


def verified(data, trust, formats=None):
    """What would be installed, and what the package says of it; None if it is refused."""
    verifier = PackageVerifier(trust, formats=formats or default_formats())
    try:
        verifier.feed(data)
        package = verifier.finish()
    except PackageError:
        return None
    said = (package.version, package.name, package.counters, package.dependencies, package.made_for, package.signed_by)
    return contents(data, package), said


@pytest.mark.parametrize("name", ["ed25519", "ed25519-pure", "nosig", "p256"])
def test_images_of_imgtool(root, damage, name):
    folder = root / "tests" / "vectors" / "mcuboot"
    keys = [PrivateKey.from_pem(path.read_bytes()).public_key for path in folder.glob("*.pem")]
    trust = UnsafeTrustPolicy(keys=keys) if name == "nosig" else TrustPolicy(keys=keys)

    def outcome(data):
        found = verified(data, trust, MCUBOOT)
        if found is None or name != "ed25519-pure":
            return found
        (image,), said = found
        return image[: 32 + 300], said  # header and body; the records behind them may be any

    damage(((folder / f"{name}.bin").read_bytes(), outcome))


@pytest.mark.parametrize("rules", CoseRules)
def test_public_messages_of_cose(spec, vectors_module, damage, rules):
    def outcome_of(vector):
        def outcome(data):
            vector.data = data
            said = vector.check(rules)
            return said if said in {vectors_module.GOOD, "another content"} else None

        return outcome

    vectors = [vectors_module.CoseVector(path) for path in sorted((spec / "vectors").glob("cose/*/*.json"))]
    good = [vector for vector in vectors if vector.check(rules) == vectors_module.GOOD]
    damage(*((vector.data, outcome_of(vector)) for vector in good))


SIGNERS = [
    CoseSigner(key=PrivateKey.from_seed(kind, bytes([1]) * 32), key_id=kind.value.encode())
    for kind in (KeyType.P256, KeyType.ED25519)
]
KEYS = [*(TrustedKey(each.key.public_key, key_id=each.key_id) for each in SIGNERS), TrustedKey(SECRET, key_id=b"s")]
SIGNATURES = {
    "Sign1 with P-256": sign1(IMAGE, SIGNERS[0], is_detached=True),
    "Sign1 with Ed25519": sign1(IMAGE, SIGNERS[1], is_detached=True),
    "Sign": sign(IMAGE, SIGNERS[:1], is_detached=True),
    "Mac0": mac0(IMAGE, DirectKey(key=SECRET, key_id=b"s"), is_detached=True),
    "Mac": mac(IMAGE, SECRET, [WrappedKey(key=SECRET, key_id=b"s")], is_detached=True),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_plain_images_with_a_signature_beside_them(damage, name):
    def plain(signature):
        return FormatRegistry((PlainFormat(signature=DetachedSignature(message=signature, size_bytes=len(IMAGE))),))

    trust, message = TrustPolicy(keys=KEYS), SIGNATURES[name]
    damage(
        (IMAGE, lambda data: verified(data, trust, plain(message))),
        (message, lambda data: verified(IMAGE, trust, plain(data))),
    )


def test_plain_images_of_a_digest(damage):
    trust = TrustPolicy.of_digest(hashlib.sha256(IMAGE).digest())
    damage((IMAGE, lambda data: verified(data, trust)))
