"""Our formats, and the one of the guide, pass the suite that formats of others are asked to pass."""

import importlib.util
import runpy
from pathlib import Path

import attrs
import pytest

from lwm2m_fota.package.cose.create import CoseSigner, DirectKey, WrappedKey, encrypt, encrypt0, mac0, sign, sign1
from lwm2m_fota.package.cose.names import Alg
from lwm2m_fota.package.crypto import Algorithm, KeyType, PrivateKey, SecretKey
from lwm2m_fota.package.formats.cose import CoseFormat
from lwm2m_fota.package.formats.mcuboot import McubootFormat
from lwm2m_fota.package.formats.mcuboot_make import ImageOptions, create_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageDependency, ImageVersion
from lwm2m_fota.package.formats.registry import FormatRegistry
from lwm2m_fota.package.formats.suit.format import SuitFormat
from lwm2m_fota.package.formats.suit.make import SuitComponent, SuitOptions, create_suit
from lwm2m_fota.package.keyring import Authentication, DecryptionKey, Signer, TrustedKey
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.testing.bundle import BundleFormat, make_bundle
from lwm2m_fota.testing.formats import PackageFormatConformance

VERSION = ImageVersion(1, 2, 3)
P256 = PrivateKey.from_seed(KeyType.P256, bytes(range(32)))
SECRET = SecretKey(bytes(range(32)))
EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "own_format.py"
MAX_LINES = 60


def example():
    """The format of the guide."""
    found = importlib.util.spec_from_file_location("own_format", EXAMPLE)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


OWN = example()


def test_the_guide_needs_few_lines_and_does_what_it_says(capsys):
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) < MAX_LINES
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert capsys.readouterr().out == "verified: version 7\n"


class TestOwnFormat(PackageFormatConformance):
    def make_format(self):
        return OWN.AcmeFormat()

    def make_package(self, body):
        return OWN.make_package(body, 7, self.key)


class TestBundle(PackageFormatConformance):
    def make_format(self):
        return BundleFormat()

    def make_package(self, body):
        return make_bundle(self.key, {"app": ("1.2.3", body)}, {"modem": "2.0"}, version="7")


class TestMcuboot(PackageFormatConformance):
    options = ImageOptions(security_counter=7, dependencies=(ImageDependency(1, VERSION),))

    def make_format(self):
        return McubootFormat()

    def make_package(self, body):
        return create_mcuboot(body, version=VERSION, key=self.key, options=self.options)

    def body_of(self, content):
        return content[32 : 32 + int.from_bytes(content[12:16], "little")]


class TestMcubootP256(TestMcuboot):
    key = P256


class TestMcubootP384(TestMcuboot):
    key = PrivateKey.from_seed(KeyType.P384, bytes(range(48)))


class TestMcubootPure(TestMcuboot):
    options = ImageOptions(is_pure=True)
    max_growth_bytes = 10 * 1024 * 1024  # the image itself, which is allowed here

    def make_format(self):
        return McubootFormat(max_held_bytes=1 << 23)

    def signed_part(self, content):
        return content[: 32 + len(self.body_of(content))]  # records behind it that are not known are passed over


class TestSign1(PackageFormatConformance):
    key = P256

    def make_format(self):
        return CoseFormat()

    def make_package(self, body):
        return sign1(body, CoseSigner(key=self.key, key_id=b"k"))

    def trust(self, *keys):
        return TrustPolicy(keys=[TrustedKey(key.public_key, key_id=b"k") for key in keys])


class TestSign1Ed25519(TestSign1):
    key = PackageFormatConformance.key
    max_growth_bytes = 10 * 1024 * 1024  # EdDSA takes the message as a whole

    def make_format(self):
        return CoseFormat(max_held_bytes=1 << 23)


class TestSign(TestSign1):
    max_growth_bytes = 10 * 1024 * 1024  # what each signature is about begins with what comes behind the payload

    def make_format(self):
        return CoseFormat(max_held_bytes=1 << 23)

    def make_package(self, body):
        second = PrivateKey.from_seed(KeyType.P384, bytes(range(48)))
        return sign(body, [CoseSigner(key=each, key_id=b"k") for each in (self.key, second)])


class TestMac0(TestSign1):
    def make_package(self, body):
        return mac0(body, DirectKey(key=SECRET, key_id=b"k"))

    def trust(self, *keys):
        return TrustPolicy(keys=[TrustedKey(SECRET, key_id=b"k")] if self.key in keys else [])


class TestEncrypt0(TestMcuboot):
    """A message around an image: what is inside is judged."""

    def make_format(self):
        return CoseFormat()

    def formats(self):
        return FormatRegistry((self.make_format(), McubootFormat()))

    def made(self):
        return encrypt0(DirectKey(key=SECRET, key_id=b"d"), bytes(12), alg=Alg.A256GCM)

    def make_package(self, body):
        made = self.made()
        return made.message(made.cipher.encrypt(super().make_package(body)))

    def trust(self, *keys):
        trusted = [key.public_key for key in keys]
        return TrustPolicy(keys=trusted, decryption_keys=[DecryptionKey(SECRET, key_id=b"d")])


class TestEncrypt(TestEncrypt0):
    max_growth_bytes = 10 * 1024 * 1024  # the key comes behind the content

    def make_format(self):
        return CoseFormat(max_held_bytes=1 << 23)

    def made(self):
        return encrypt(bytes(16), bytes(12), [WrappedKey(key=SECRET, key_id=b"d")], alg=Alg.A128GCM)


class TestSuit(PackageFormatConformance):
    """An envelope with its payload within."""

    key = P256
    uri = None
    encryption = None

    def make_format(self):
        return SuitFormat()

    def make_package(self, body):
        component = SuitComponent(id=(b"app",), image=body, version="1.2.3", uri=self.uri, encryption=self.encryption)
        options = SuitOptions(sequence_number=5, is_text_severed=False)
        return create_suit([component], options=options, signers=[CoseSigner(key=self.key)]).whole


class TestSuitDetached(TestSuit):
    """The payload behind the envelope."""

    uri = "coap://host/app"


class LooksAtNoSignature(OWN.AcmeFormat):
    """A format with a mistake: any package counts as signed."""

    def open(self, context):
        return Careless(context)


class Careless:
    def __init__(self, context):
        self._context = context
        self._parser = OWN.AcmeFormat().open(context)

    def feed(self, data):
        return self._parser.feed(data)

    def finish(self):
        signers = tuple(Signer(key, Algorithm.ED25519) for key in self._context.ring.keys)
        return attrs.evolve(self._parser.finish(), authentication=Authentication(signers))


class LeavesKeyError(OWN.AcmeFormat):
    """A format with a mistake: another error than ours."""

    def open(self, context):
        raise KeyError(context)


class KnowsNothing(OWN.AcmeFormat):
    """A format with a mistake: it does not say `True`."""

    def sniff(self, prefix):
        return prefix and None


@pytest.mark.parametrize(
    ("mistaken", "error"),
    [(LooksAtNoSignature, AssertionError), (LeavesKeyError, KeyError), (KnowsNothing, AssertionError)],
)
def test_the_suite_notices_mistakes(mistaken, error):
    class Suite(TestOwnFormat):
        def make_format(self):
            return mistaken()

    with pytest.raises(error):
        _run_some(Suite())


def _run_some(suite):
    suite.test_it_has_a_name_and_knows_its_packages()
    suite.test_a_package_verifies_and_holds_what_was_put_in()
    suite.test_a_bit_that_is_flipped_is_noticed_or_changes_nothing(lambda *_: None)


def test_a_suite_without_a_format_says_what_is_missing():
    for make in (PackageFormatConformance().make_format, lambda: PackageFormatConformance().make_package(b"")):
        with pytest.raises(NotImplementedError):
            make()
