"""What a package format is: the interface for MCUboot, COSE, plain images, and formats of others.

A format needs no private name of this library: it returns a `Verdict`, and the `PackageVerifier` that called it
applies the policy and makes the `VerifiedPackage`.
"""

from collections.abc import Callable
from typing import Final, Protocol, final, runtime_checkable

import attrs

from lwm2m_fota.package.digest import NO_MARK, FileDigest
from lwm2m_fota.package.keyring import KeyRing
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.package.types import Verdict

EVERYTHING: Final = NO_MARK
"""What `PackageParser.feed` returns if it needs to see nothing more of the package."""


class PackageParser(Protocol):
    """Reads one package as a stream, in bounded memory. After an error it is not called again."""

    def feed(self, data: memoryview) -> int:
        """Take the next bytes; how a package is cut into pieces must not matter.

        Args:
            data: valid during the call only, to be copied if it is kept.

        Returns:
            How many of the bytes that follow the parser can do without: they are hashed and not given to it. 0 to get
            all of them.

        Raises:
            PackageError: the package will not be accepted, whatever follows. Raise it as early as it is known.
        """
        ...

    def finish(self) -> Verdict:
        """The package is complete.

        Raises:
            PackageError: it must not be installed.
        """
        ...


@runtime_checkable
class ScatteredParser(PackageParser, Protocol):
    """A parser of packages whose parts may lie in several places."""

    @property
    def awaited_uri(self) -> str | None:
        """Where the bytes are that have to come next; None if they come from where the others came from.

        Whoever has reached the end of what there was fetches these, and feeds them as what follows.
        """
        ...


class InnerPackage(Protocol):
    """A package within a package, such as one that was encrypted: it is recognised and read like any other."""

    def feed(self, data: memoryview) -> None:
        """Take the next bytes.

        Raises:
            PackageError: the package will not be accepted.
        """
        ...

    def finish(self) -> Verdict:
        """The inner package is complete.

        Raises:
            PackageError: it must not be installed.
        """
        ...


@final
@attrs.frozen(kw_only=True)
class PackageContext:
    """What a format is given with a package.

    Attributes:
        trust: the policy.
        ring: the keys to be tried, as the policy has them at this time; a `Signer` names one of them in the verdict.
        digest: SHA-256 of the file. It runs behind the parser, so that a mark may be set anywhere in the bytes that the
            parser was given last, or after them.
        expected_size_bytes: the length of the file, if the sender told it.
        open_inner: begins a package within this one; None in a package that is one already.
    """

    trust: TrustPolicy
    ring: KeyRing
    digest: FileDigest
    expected_size_bytes: int | None
    open_inner: Callable[[], InnerPackage] | None


class PackageFormat(Protocol):
    """Recognises packages of one format, and opens parsers for them."""

    @property
    def name(self) -> str:
        """A short name in lower case: `VerifiedPackage.format`."""
        ...

    @property
    def prefix_bytes(self) -> int:
        """How many bytes `sniff` needs."""
        ...

    def sniff(self, prefix: bytes) -> bool:
        """Whether a package that begins with these `prefix_bytes` bytes is of this format."""
        ...

    def open(self, context: PackageContext) -> PackageParser:
        """Begin a package.

        Raises:
            PackageError: the policy takes no package of this format.
        """
        ...
