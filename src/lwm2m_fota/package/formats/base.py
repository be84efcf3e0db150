"""What a package format is: the interface for MCUboot, plain images, and formats of others.

A format needs no private name of this library: it returns a `Verdict`, and the `PackageVerifier` that called it
applies the policy and makes the `VerifiedPackage`.
"""

from typing import Protocol

from lwm2m_fota.package.trust import Trust
from lwm2m_fota.package.types import Verdict


class PackageParser(Protocol):
    """Reads one package as a stream, in bounded memory. After an error it is not called again."""

    def feed(self, data: memoryview) -> None:
        """Take the next bytes; how a package is cut into pieces must not matter.

        Args:
            data: valid during the call only, to be copied if it is kept.

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

    def open(self, trust: Trust, *, expected_size_bytes: int | None) -> PackageParser:
        """Begin a package.

        Args:
            trust: the policy; a parser tries signatures against `trust.keys` and names the key in its verdict.
            expected_size_bytes: the length of the file, if the sender told it.

        Raises:
            PackageError: the policy takes no package of this format.
        """
        ...
