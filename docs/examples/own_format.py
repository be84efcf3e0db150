"""A package format of one's own: magic, version and Ed25519 signature, 76 bytes, and then the firmware."""

from lwm2m_fota import TrustPolicy
from lwm2m_fota.package.crypto import Algorithm, Hash, KeyType, PrivateKey
from lwm2m_fota.package.formats.base import PackageContext
from lwm2m_fota.package.formats.registry import FormatRegistry
from lwm2m_fota.package.types import Component, Verdict
from lwm2m_fota.package.verdicts import Refusal, refusal_error
from lwm2m_fota.package.verifier import PackageVerifier

MAGIC, HEADER_BYTES = b"ACME-FW1", 76


class _AcmeParser:
    def __init__(self, context: PackageContext) -> None:
        self._context, self._header, self._firmware = context, b"", Hash.SHA256.new()

    def feed(self, data: memoryview) -> int:  # in whatever pieces the package comes
        missing = HEADER_BYTES - len(self._header)
        self._header += data[:missing]
        self._firmware.update(data[missing:])
        return 0  # every byte after these is wanted too

    def finish(self) -> Verdict:  # what was found; the verifier holds it against the policy
        if (size := self._context.digest.position - HEADER_BYTES) <= 0:
            raise refusal_error(Refusal.TRUNCATED, "there is no firmware")
        named, signature = self._header[:12], self._header[12:]
        version = str(int.from_bytes(named[8:], "big"))
        image = Component(name=None, version=version, offset_bytes=HEADER_BYTES, length_bytes=size)
        digest = Hash.SHA256.digest(named + self._firmware.digest())
        found = self._context.ring.authenticate(Algorithm.ED25519, signature, digest)
        return Verdict(components=(image,), version=version, authentication=found)


class AcmeFormat:
    """What a registry of formats takes."""

    name, prefix_bytes = "acme", len(MAGIC)

    def sniff(self, prefix: bytes) -> bool:
        """Whether a package that begins with these bytes is one."""
        return prefix == MAGIC

    def open(self, context: PackageContext) -> _AcmeParser:
        """Begin a package."""
        return _AcmeParser(context)


def make_package(firmware: bytes, version: int, key: PrivateKey) -> bytes:
    """What the build of the firmware does."""
    named = MAGIC + version.to_bytes(4, "big")
    return named + key.sign_digest(Hash.SHA256.digest(named + Hash.SHA256.digest(firmware))) + firmware


if __name__ == "__main__":
    owner = PrivateKey.from_seed(KeyType.ED25519, bytes(32))
    verifier = PackageVerifier(TrustPolicy(keys=[owner.public_key]), formats=FormatRegistry((AcmeFormat(),)))
    verifier.feed(make_package(b"firmware" * 100, 7, owner))
    print("verified: version", verifier.finish().version)
