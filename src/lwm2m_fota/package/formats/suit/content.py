"""What components come to hold, before any of it has arrived: commands are run over these."""

from typing import TypeAlias, final

import attrs

from lwm2m_fota.package.cose.message import CoseEncrypt
from lwm2m_fota.package.formats.suit.digests import SuitDigest

Home: TypeAlias = tuple[str, ...]
"""An envelope: the URIs that lead to it from the first one, which is ()."""


def is_integrated(uri: str) -> bool:
    """Whether a payload lies in the same envelope."""
    return uri.startswith("#")


@final
@attrs.frozen
class Kept:
    """What a component of the device holds already, by its name."""

    name: str


@final
@attrs.frozen
class Written:
    """Bytes that lie in the manifest."""

    data: bytes = attrs.field(repr=False)


@final
@attrs.frozen
class Fetched:
    """A payload.

    Attributes:
        uri: where it is; "#..." is one of the same envelope.
        size_bytes: its length, if the manifest says so.
        home: the envelope that it lies in; that of the first one too for what lies in none.
    """

    uri: str
    size_bytes: int | None
    home: Home = ()

    @property
    def inside(self) -> Home:
        """What lies in this payload, which is an envelope, has this home."""
        return (*self.home, self.uri)


@final
@attrs.frozen
class Decrypted:
    """What is inside of something encrypted."""

    of: Written | Fetched
    info: CoseEncrypt = attrs.field(repr=False, eq=repr)  # maps have no hash


Content: TypeAlias = Kept | Written | Fetched | Decrypted
NewContent: TypeAlias = Written | Fetched | Decrypted


@final
@attrs.frozen
class Expectation:
    """A content that has to have a digest, which is compared when it has arrived.

    Attributes:
        content: which.
        digest: of it.
        size_bytes: its length; None for any.
    """

    content: NewContent
    digest: SuitDigest
    size_bytes: int | None

    def is_met_by(self, digest: bytes, size_bytes: int) -> bool:
        """Whether content of this digest and length is the one."""
        return self.digest.is_value(digest) and self.size_bytes in {None, size_bytes}
