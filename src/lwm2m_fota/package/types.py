"""What verification hands out: a package that may be installed, as a type.

Trust is a type (docs/adr/0004): an installer asks for a `VerifiedPackage`, and only `PackageVerifier.finish` makes one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, Never, Self, TypeAlias, final

import attrs

from lwm2m_fota.errors import IntegrityError, UsageError
from lwm2m_fota.package.crypto.content import ContentCipher
from lwm2m_fota.package.identity import MadeFor
from lwm2m_fota.package.keyring import Authentication, Signer
from lwm2m_fota.package.rollback import Counter

ReadAt: TypeAlias = Callable[[int, int], bytes]
"""Reads so many bytes at an offset: that of a sealed image."""

PIECE_BYTES: Final = 65536


@final
class Check(Enum):
    """Something that was verified."""

    FILE_DIGEST = "the file has the digest that was expected"
    DIGEST = "the content has the digest that the package tells"
    DECRYPTION = "the content was decrypted"
    SIGNATURE = "those who have to sign have signed"
    ROLLBACK = "the package is not older than the rollback floor"
    VENDOR = "the package names a vendor of this device"
    CLASS = "the package names a class of this device"
    DEVICE = "the package names this device"


@final
@attrs.frozen(kw_only=True)
class Envelope:
    """Encryption around a part of a package; what is inside has offsets of its own.

    Attributes:
        offset_bytes: where the ciphertext begins in the package.
        length_bytes: its length, with its tag.
        cipher: what decrypts it.
    """

    offset_bytes: int
    length_bytes: int
    cipher: ContentCipher = attrs.field(repr=False)

    @property
    def content_bytes(self) -> int:
        """The length of what is inside."""
        return self.length_bytes - self.cipher.algorithm.tag_bytes


@final
@attrs.frozen(kw_only=True)
class Component:
    """One part of a package that is installed on its own.

    Attributes:
        name: what the package calls it; None where it calls it nothing: it is the only part then, and for whichever
            received the package.
        version: its version, if the package says so.
        offset_bytes: where it begins in the package, or in what is inside of `envelope`.
        length_bytes: its length; bytes of the package outside of all components are not for installation.
        envelope: the encryption around it; None if there is none that the installer would have to remove.
    """

    name: str | None
    version: str | None
    offset_bytes: int
    length_bytes: int
    envelope: Envelope | None = None


@final
@attrs.frozen(kw_only=True)
class Dependency:
    """Another component that must be there, in at least this version.

    Attributes:
        name: what the package calls it; with MCUboot, the image number in decimal.
        minimum_version: the lowest version that will do.
    """

    name: str
    minimum_version: str


def _set_of(checks: Iterable[Check]) -> frozenset[Check]:
    return frozenset(checks)


def _frozen(limits: Mapping[str, int]) -> Mapping[str, int]:
    return MappingProxyType(dict(limits))


@final
@attrs.frozen(kw_only=True)
class Verdict:
    """What a format found in a package that holds together.

    Anyone may make a verdict; `PackageVerifier` weighs it against the trust policy.

    Attributes:
        components: at least one part; a package that is one image is one component.
        version: the version of the whole.
        name: the name of the whole.
        counters: anti-rollback counters that are authenticated with the rest.
        dependencies: what else must be there.
        made_for: for whom the package says that it is made.
        authentication: whose signatures hold, and what is wrong with others.
        checks: what the format itself has verified: DIGEST, DECRYPTION.
        limits: the limits of the format under which it was read, by their names with units.

    Raises:
        UsageError: there is no part, or one of several has no name.
    """

    components: tuple[Component, ...]
    version: str | None = None
    name: str | None = None
    counters: tuple[Counter, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    made_for: MadeFor = attrs.field(factory=MadeFor)
    authentication: Authentication = attrs.field(factory=Authentication)
    checks: frozenset[Check] = attrs.field(default=frozenset(), converter=_set_of)
    limits: Mapping[str, int] = attrs.field(factory=dict, converter=_frozen, eq=False)

    def __attrs_post_init__(self) -> None:
        parts = self.components
        if len(parts) != 1 and (not parts or any(each.name is None for each in parts)):
            raise UsageError("a package has at least one part, and names its parts where they are several")


@final
@attrs.frozen(kw_only=True, init=False, getstate_setstate=False)
class VerifiedPackage:
    """A package that was verified in this process and may be installed.

    It cannot be made, changed, copied or unpickled by its users. After a restart it is made again only by feeding the
    stored bytes to a new `PackageVerifier`.

    Attributes:
        format: the name of its format, such as "mcuboot".
        size_bytes: the length of the whole file.
        sha256: the digest of the whole file, as it was received.
        version: its version, if the format has one.
        name: its name, if the format has one.
        components: its parts, at least one.
        counters: its anti-rollback counters; before it is installed, the floor is to be raised to them.
        dependencies: what else must be there.
        made_for: for whom it is made.
        signers: the keys that signed it, each with its authority; empty if the policy did without.
        checks: what was verified.
        limits: the limits under which it was, by their names with units.
    """

    format: str
    size_bytes: int
    sha256: bytes
    version: str | None
    name: str | None
    components: tuple[Component, ...]
    counters: tuple[Counter, ...]
    dependencies: tuple[Dependency, ...]
    made_for: MadeFor
    signers: tuple[Signer, ...]
    checks: frozenset[Check]
    limits: Mapping[str, int] = attrs.field(eq=False)

    @property
    def signed_by(self) -> tuple[bytes, ...]:
        """The names of the keys that signed it: `TrustedKey.name`, which is the hash of a key that has no id."""
        return tuple(signer.key.name for signer in self.signers)

    def __new__(cls, *_args: object, **_fields: object) -> Self:
        """Refuse: this is what runs."""
        raise UsageError("only PackageVerifier.finish makes a VerifiedPackage")

    def __init__(self, never: Never, /) -> None:
        """Refuse: this is what a type checker reads; no value has the type that it asks for."""

    def __reduce__(self) -> Never:
        raise UsageError("a VerifiedPackage is not copied or stored; verify the bytes again")


def component_pieces(component: Component, read_at: ReadAt) -> Iterator[bytes]:
    """The bytes of a component as they are to be installed, decrypted if need be.

    Args:
        component: of a verified package.
        read_at: reads the file that was verified.

    Raises:
        IntegrityError: the file is not the one that was verified any more. What came before must not be used then: a
            change of what is encrypted is noticed only at the end.
    """
    envelope = component.envelope
    if envelope is None:
        return _read(read_at, component.offset_bytes, component.length_bytes)
    return _window(_decrypted(envelope, read_at), component.offset_bytes, component.length_bytes)


def _read(read_at: ReadAt, offset: int, length: int) -> Iterator[bytes]:
    end = offset + length
    while offset < end:
        piece = read_at(offset, min(PIECE_BYTES, end - offset))
        if not piece:
            raise IntegrityError("the file is shorter than the verified package")
        offset += len(piece)
        yield piece


def _decrypted(envelope: Envelope, read_at: ReadAt) -> Iterator[bytes]:
    transform = envelope.cipher.decryptor()
    for piece in _read(read_at, envelope.offset_bytes, envelope.length_bytes):
        yield transform.update(piece)
    rest = transform.finish()
    if rest is None:
        raise IntegrityError("the file is not the verified package")
    yield rest


def _window(pieces: Iterable[bytes], offset: int, length: int) -> Iterator[bytes]:
    """A part of a stream, which is read to its end all the same: only there its tag is checked."""
    for piece in pieces:
        part = piece[offset : offset + length]
        offset = max(0, offset - len(piece))
        length -= len(part)
        if part:
            yield part


def _certify(
    verdict: Verdict,
    *,
    package_format: str,
    size_bytes: int,
    sha256: bytes,
    signers: tuple[Signer, ...],
    checks: frozenset[Check],
    limits: Mapping[str, int],
) -> VerifiedPackage:
    """The one factory; for `PackageVerifier` only."""
    package = object.__new__(VerifiedPackage)
    package.__attrs_init__(
        format=package_format,
        size_bytes=size_bytes,
        sha256=sha256,
        version=verdict.version,
        name=verdict.name,
        components=verdict.components,
        counters=verdict.counters,
        dependencies=verdict.dependencies,
        made_for=verdict.made_for,
        signers=signers,
        checks=checks,
        limits=_frozen(limits),
    )
    return package
