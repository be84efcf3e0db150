"""What every `PackageFormat` must do."""

# ruff: noqa: S101, D102 - a conformance suite speaks in asserts, and the names of its tests say what they check

import hashlib
import random
import tracemalloc
from collections.abc import Callable, Iterable
from typing import ClassVar, Final, TypeAlias

import pytest

from lwm2m_fota.errors import PackageError
from lwm2m_fota.package.crypto import KeyType, PrivateKey
from lwm2m_fota.package.formats.base import PackageFormat
from lwm2m_fota.package.formats.registry import FormatRegistry
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.package.types import VerifiedPackage, component_pieces
from lwm2m_fota.package.verdicts import VERDICTS
from lwm2m_fota.package.verifier import PackageVerifier
from lwm2m_fota.testing.damage import damaged, flipped, truncated

BODY: Final = bytes(range(7, 107))
LARGE_BODY_BYTES: Final = 4 * 1024 * 1024
PIECE_BYTES: Final = 4096

Facts: TypeAlias = tuple[object, ...]
Record: TypeAlias = Callable[[str, object], None]


def contents(data: bytes, package: VerifiedPackage) -> tuple[bytes, ...]:
    """What would be installed, component by component."""
    return tuple(
        b"".join(component_pieces(each, lambda offset, size: data[offset : offset + size]))
        for each in package.components
    )


class PackageFormatConformance:
    """Subclass it, and implement `make_format` and `make_package`.

    Attributes:
        key: signs the packages; make it another one if the format needs that.
        random_inputs: how many changed and random inputs are tried.
        max_growth_bytes: by how much memory may grow while a package of 4 MiB is verified.
    """

    key: ClassVar[PrivateKey] = PrivateKey.from_seed(KeyType.ED25519, bytes(range(32)))
    random_inputs: ClassVar[int] = 2_000
    max_growth_bytes: ClassVar[int] = 1024 * 1024

    def make_format(self) -> PackageFormat:
        """The format."""
        raise NotImplementedError

    def make_package(self, body: bytes) -> bytes:
        """A package with one component of these bytes, signed with `key`: always the same for the same body."""
        raise NotImplementedError

    def body_of(self, content: bytes) -> bytes:
        """The body in what would be installed: the same, unless the format hands out more."""
        return content

    def signed_part(self, content: bytes) -> bytes:
        """What of the content must not change; all of it, unless the format lets a part be anything."""
        return content

    def formats(self) -> FormatRegistry:
        """What the verifier knows: the format, and further ones if its packages hold others."""
        return FormatRegistry((self.make_format(),))

    def trust(self, *keys: PrivateKey) -> TrustPolicy:
        """The policy that trusts these keys alone; with further fields if the format needs some."""
        return TrustPolicy(keys=[key.public_key for key in keys])

    def verified(self, pieces: Iterable[bytes | memoryview], trust: TrustPolicy | None = None) -> VerifiedPackage:
        """What comes of a package that arrives in these pieces."""
        policy = self.trust(self.key) if trust is None else trust
        verifier = PackageVerifier(policy, formats=self.formats())
        for piece in pieces:
            verifier.feed(piece)
        return verifier.finish()

    def facts(self, data: bytes) -> Facts:
        """All that an installer learns of a package and would install."""
        found = self.verified([data])
        names = tuple((each.name, each.version) for each in found.components)
        said = (found.version, found.name, found.counters, found.dependencies, found.made_for)
        return (tuple(map(self.signed_part, contents(data, found))), names, said, found.signed_by)

    def outcome(self, data: bytes) -> Facts | None:
        """The facts, or None if the package is refused, which is done in our words alone."""
        try:
            return self.facts(data)
        except PackageError as error:
            refusal = error
        assert refusal.reason in {known.value for known in VERDICTS}, refusal.reason
        assert refusal.result is not None
        return None

    # The package itself.

    def test_it_has_a_name_and_knows_its_packages(self) -> None:
        known, package = self.make_format(), self.make_package(BODY)
        assert known.name
        assert known.name == known.name.lower()
        assert 0 <= known.prefix_bytes <= len(package)
        assert known.sniff(package[: known.prefix_bytes]) is True

    def test_any_first_bytes_may_be_asked_about(self) -> None:
        known, chance = self.make_format(), random.Random(1)  # noqa: S311 - no secret
        for _ in range(1_000):
            assert known.sniff(chance.randbytes(known.prefix_bytes)) in {True, False}

    def test_a_package_verifies_and_holds_what_was_put_in(self) -> None:
        package = self.make_package(BODY)
        found = self.verified([package])
        assert self._bodies(package, found) == [BODY]
        assert (found.format, found.size_bytes) == (self.make_format().name, len(package))
        assert found.sha256 == hashlib.sha256(package).digest()
        assert found.signers

    def test_who_is_not_trusted_is_refused(self) -> None:
        package = self.make_package(BODY)
        other = PrivateKey.from_seed(KeyType.ED25519, b"other" + bytes(27))
        for trust in (self.trust(), self.trust(other)):
            with pytest.raises(PackageError):
                self.verified([package], trust)

    def test_two_packages_at_a_time_do_not_meet(self) -> None:
        formats, policy = self.formats(), self.trust(self.key)
        bodies = (BODY, BODY[::-1])
        packages = [self.make_package(body) for body in bodies]
        verifiers = [PackageVerifier(policy, formats=formats) for _ in packages]
        for at in range(max(map(len, packages))):
            for verifier, package in zip(verifiers, packages, strict=True):
                verifier.feed(package[at : at + 1])
        for verifier, package, body in zip(verifiers, packages, bodies, strict=True):
            assert self._bodies(package, verifier.finish()) == [body]

    # How it arrives.

    def test_the_cuts_do_not_matter(self) -> None:
        package = self.make_package(BODY)
        whole = self.verified([package])
        for cut in range(len(package) + 1):
            assert self.verified([package[:cut], package[cut:]]) == whole
        assert self.verified([package[at : at + 1] for at in range(len(package))]) == whole

    def test_the_callers_buffer_is_not_kept(self) -> None:
        package = self.make_package(BODY)
        verifier = PackageVerifier(self.trust(self.key), formats=self.formats())
        buffer = bytearray(16)
        for at in range(0, len(package), 16):
            piece = package[at : at + 16]
            buffer[: len(piece)] = piece
            verifier.feed(memoryview(buffer)[: len(piece)])
            buffer[:] = bytes(16)
        assert self._bodies(package, verifier.finish()) == [BODY]

    def test_memory_stays_bounded(self, record_property: Record) -> None:
        package = memoryview(self.make_package(bytes(LARGE_BODY_BYTES)))
        verifier = PackageVerifier(self.trust(self.key), formats=self.formats())
        tracemalloc.start()
        try:
            for at in range(0, len(package), PIECE_BYTES):
                verifier.feed(package[at : at + PIECE_BYTES])
            verifier.finish()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        record_property("figure", f"{self._name()}: {peak} bytes of memory for {len(package)} bytes of package")
        assert peak <= self.max_growth_bytes

    # What is wrong with it.

    def test_a_package_that_ends_early_is_refused(self, record_property: Record) -> None:
        package = self.make_package(BODY)
        self._check_changed(package, truncated(package), "truncations", record_property)

    def test_a_bit_that_is_flipped_is_noticed_or_changes_nothing(self, record_property: Record) -> None:
        package = self.make_package(BODY)
        self._check_changed(package, flipped(package), "flipped bits", record_property)

    def test_bytes_after_it_are_refused_or_change_nothing(self, record_property: Record) -> None:
        package = self.make_package(BODY)
        more = [package + extra for extra in (b"\0", b"\xff", bytes(70_000), package, package[:40])]
        self._check_changed(package, more, "additions", record_property)

    def test_other_bytes_are_refused_in_our_words(self, record_property: Record) -> None:
        package, chance = self.make_package(BODY), random.Random(2)  # noqa: S311 - no secret
        inputs = (damaged(package, chance) for _ in range(self.random_inputs))
        self._check_changed(package, inputs, "changed inputs", record_property)

    def _check_changed(self, package: bytes, inputs: Iterable[bytes], word: str, record: Record) -> None:
        """No input is accepted with anything changed that an installer would learn or install."""
        good, refused, harmless = self.facts(package), 0, 0
        for data in inputs:
            found = self.outcome(data)
            assert found in {None, good}, f"accepted with another content: {data.hex()}"
            refused, harmless = refused + (found is None), harmless + (found is not None)
        record("figure", f"{self._name()}: {refused + harmless} {word}, {refused} refused, {harmless} harmless")
        assert refused

    def _bodies(self, data: bytes, package: VerifiedPackage) -> list[bytes]:
        return [self.body_of(content) for content in contents(data, package)]

    def _name(self) -> str:
        return type(self).__name__.removeprefix("Test")
