"""The registry, plain images, and a format of somebody else made with public names only."""

import ast
import hashlib
from pathlib import Path

import attrs
import pytest

from lwm2m_fota.errors import IntegrityError, UnsupportedPackageError, UsageError
from lwm2m_fota.package.crypto import Algorithm, PublicKey
from lwm2m_fota.package.formats.base import PackageContext
from lwm2m_fota.package.formats.mcuboot import McubootFormat
from lwm2m_fota.package.formats.plain import PlainFormat
from lwm2m_fota.package.formats.registry import FormatRegistry, default_formats
from lwm2m_fota.package.keyring import Authentication, KeyRing, Signer
from lwm2m_fota.package.trust import TrustPolicy, UnsafeTrustPolicy
from lwm2m_fota.package.types import Component, Dependency, Verdict
from lwm2m_fota.package.verdicts import Refusal, refusal_error
from lwm2m_fota.package.verifier import PackageVerifier

BUNDLE = b"TOYBUNDLE\nmodem 2.1 5\napp 3.0 4\nneeds radio 1.7\n\nMODEMAPP!"


@attrs.define
class BundleParser:
    """A text header up to an empty line, the parts one after the other, and a signature over SHA-256 of all that."""

    ring: KeyRing
    kept: bytearray = attrs.field(factory=bytearray)

    def feed(self, data: memoryview) -> int:
        self.kept += data
        if len(self.kept) > 1000:
            raise refusal_error(Refusal.VERIFIER_MEMORY, "a bundle is short")
        return 0

    def finish(self) -> Verdict:
        head, gap, rest = bytes(self.kept).partition(b"\n\n")
        if not gap:
            raise refusal_error(Refusal.TRUNCATED, "no empty line")
        parts, needs, offset = [], [], len(head) + 2
        for name, *words in (line.split() for line in head.decode("ascii", "replace").splitlines()[1:]):
            if name == "needs":
                needs.append(Dependency(name=words[0], minimum_version=words[1]))
                continue
            parts.append(Component(name=name, version=words[0], offset_bytes=offset, length_bytes=int(words[1])))
            offset += int(words[1])
        signed, signature = bytes(self.kept)[:offset], rest[offset - len(head) - 2 :]
        signers = [Signer(key, Algorithm.ED25519) for key in self.ring.keys if key.key.verify(signature, signed)]
        return Verdict(
            components=tuple(parts),
            name="toy",
            dependencies=tuple(needs),
            authentication=Authentication(tuple(signers)),
        )


class BundleFormat:
    name = "toy-bundle"
    prefix_bytes = 10

    def sniff(self, prefix: bytes) -> bool:
        return prefix == b"TOYBUNDLE\n"

    def open(self, context: PackageContext) -> BundleParser:
        return BundleParser(context.ring)


def verify(trust, data, formats, step):
    verifier = PackageVerifier(trust, formats=formats)
    for offset in range(0, len(data), step):
        verifier.feed(data[offset : offset + step])
    return verifier.finish()


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_a_format_of_others_verifies_packages_of_several_components(ed25519_key, step):
    data = BUNDLE + ed25519_key.sign(BUNDLE)
    formats = default_formats().with_format(BundleFormat())
    package = verify(TrustPolicy(keys=(ed25519_key.public_key,)), data, formats, step)
    assert package.format == "toy-bundle"
    assert package.name == "toy"
    assert [(part.name, part.version) for part in package.components] == [("modem", "2.1"), ("app", "3.0")]
    cut = [data[part.offset_bytes : part.offset_bytes + part.length_bytes] for part in package.components]
    assert cut == [b"MODEM", b"APP!"]
    assert package.dependencies == (Dependency(name="radio", minimum_version="1.7"),)
    assert package.signed_by == (ed25519_key.public_key.key_hash,)


def test_a_format_of_others_is_held_to_the_policy(ed25519_key, p256_key):
    formats = default_formats().with_format(BundleFormat())
    for key in (ed25519_key, p256_key):
        with pytest.raises(IntegrityError):
            verify(TrustPolicy(keys=(key.public_key,)), BUNDLE + ed25519_key.sign(BUNDLE[:-1]), formats, 9)


def test_the_format_of_others_needs_no_private_name():
    tree = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    imported = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("lwm2m_fota")
        for alias in node.names
    ]
    assert "Verdict" in imported
    assert not [name for name in imported if name.startswith("_")]


def test_the_default_formats_are_these():
    assert [known.name for known in default_formats().formats] == ["mcuboot", "suit", "cose", "plain"]
    assert default_formats().prefix_bytes == 4
    assert FormatRegistry(()).prefix_bytes == 0


def test_a_registry_does_not_change(ed25519_key: PublicKey):
    first = default_formats()
    second = first.with_format(BundleFormat())
    assert [known.name for known in second.formats] == ["toy-bundle", "mcuboot", "suit", "cose", "plain"]
    assert second.prefix_bytes == 10
    assert first == default_formats()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        first.formats = ()


def test_a_format_replaces_the_one_of_its_name():
    wide = McubootFormat(max_tlv_bytes=1)
    formats = default_formats().with_format(wide)
    assert [known.name for known in formats.formats] == ["mcuboot", "suit", "cose", "plain"]
    assert formats.formats[0] is wide


def test_names_are_unique():
    with pytest.raises(UsageError, match="same name"):
        FormatRegistry((PlainFormat(), PlainFormat()))


def test_the_first_format_that_recognises_a_package_reads_it():
    formats = FormatRegistry((PlainFormat(), McubootFormat()))
    assert formats.recognise(b"", complete=False) == PlainFormat()


def test_a_format_waits_for_the_bytes_it_needs():
    formats = default_formats()
    assert formats.recognise(b"\x3d\xb8\xf3", complete=False) is None
    assert formats.recognise(b"\x3d\xb8\xf3\x96", complete=False) == McubootFormat()
    assert formats.recognise(b"\x3d\xb8\xf3", complete=True) == PlainFormat()
    with pytest.raises(UnsupportedPackageError, match="3db8f3"):
        FormatRegistry((McubootFormat(),)).recognise(b"\x3d\xb8\xf3", complete=True)


@pytest.mark.parametrize("data", [b"a", b"\x00", b"\x3d\xb8\xf3", b"no image at all" * 5000])
@pytest.mark.parametrize("step", [1, 1000, 100_000])
def test_a_plain_image_is_taken_by_its_digest(data, step):
    package = verify(TrustPolicy.of_digest(hashlib.sha256(data).digest()), data, default_formats(), step)
    assert (package.format, package.size_bytes) == ("plain", len(data))
    assert package.components == (Component(name=None, version=None, offset_bytes=0, length_bytes=len(data)),)


def test_a_plain_image_with_another_digest_is_refused():
    with pytest.raises(IntegrityError, match="digest mismatch") as caught:
        verify(TrustPolicy.of_digest(bytes(32)), b"image", default_formats(), 2)
    assert caught.value.result == 5


def test_a_plain_image_without_a_digest_needs_the_unsafe_policy(ed25519_key):
    assert verify(UnsafeTrustPolicy(), b"image", default_formats(), 2).signed_by == ()
    with pytest.raises(UnsupportedPackageError, match="holds no signature") as caught:
        verify(TrustPolicy(keys=(ed25519_key.public_key,)), b"image", default_formats(), 2)
    assert caught.value.result == 6


def test_an_empty_plain_image_is_refused():
    with pytest.raises(IntegrityError, match="empty"):
        verify(TrustPolicy.of_digest(hashlib.sha256(b"").digest()), b"", default_formats(), 1)
