"""What verification hands out: a package that may be installed, as a type.

Trust is a type (docs/adr/0004): an installer asks for a `VerifiedPackage`, and only `PackageVerifier.finish` makes one.
"""

from typing import Final, Never, Self, final

import attrs

from lwm2m_fota.errors import UsageError

WHOLE_PACKAGE: Final = "image"
"""What the one part of a package is called that names no component: it is for whichever received the package."""


@final
@attrs.frozen(kw_only=True)
class Component:
    """One part of a package that is installed on its own.

    Attributes:
        name: what the package calls it; `WHOLE_PACKAGE` where it calls it nothing.
        version: its version, if the package says so.
        offset_bytes: where it begins in the package.
        length_bytes: its length; bytes of the package outside of all components are not for installation.
    """

    name: str
    version: str | None
    offset_bytes: int
    length_bytes: int


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


@final
@attrs.frozen(kw_only=True)
class Verdict:
    """What a format found in a package that holds together.

    Anyone may make a verdict; `PackageVerifier` weighs it against the trust policy.

    Attributes:
        components: at least one part; a package that is one image is one component.
        version: the version of the whole.
        name: the name of the whole.
        security_counter: the anti-rollback counter, if the package has a protected one.
        dependencies: what else must be there.
        signed_by: `PublicKey.key_hash` of the trusted key whose signature holds; None if there is no such signature.
    """

    components: tuple[Component, ...]
    version: str | None = None
    name: str | None = None
    security_counter: int | None = None
    dependencies: tuple[Dependency, ...] = ()
    signed_by: bytes | None = None


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
        security_counter: its anti-rollback counter, if it has a protected one.
        dependencies: what else must be there.
        signed_by: `PublicKey.key_hash` of the trusted key that signed it; None if the policy did without.
    """

    format: str
    size_bytes: int
    sha256: bytes
    version: str | None
    name: str | None
    components: tuple[Component, ...]
    security_counter: int | None
    dependencies: tuple[Dependency, ...]
    signed_by: bytes | None

    def __new__(cls, *_args: object, **_fields: object) -> Self:
        """Refuse: this is what runs."""
        raise UsageError("only PackageVerifier.finish makes a VerifiedPackage")

    def __init__(self, never: Never, /) -> None:
        """Refuse: this is what a type checker reads; no value has the type that it asks for."""

    def __reduce__(self) -> Never:
        raise UsageError("a VerifiedPackage is not copied or stored; verify the bytes again")


def _certify(verdict: Verdict, *, package_format: str, size_bytes: int, sha256: bytes) -> VerifiedPackage:
    """The one factory; for `PackageVerifier` only."""
    package = object.__new__(VerifiedPackage)
    package.__attrs_init__(
        format=package_format,
        size_bytes=size_bytes,
        sha256=sha256,
        version=verdict.version,
        name=verdict.name,
        components=verdict.components,
        security_counter=verdict.security_counter,
        dependencies=verdict.dependencies,
        signed_by=verdict.signed_by,
    )
    return package
