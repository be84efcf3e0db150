"""Which formats a verifier knows, in the order in which they are asked."""

from typing import Self, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.formats.base import PackageFormat
from lwm2m_fota.package.formats.cose import CoseFormat
from lwm2m_fota.package.formats.mcuboot import McubootFormat
from lwm2m_fota.package.formats.plain import PlainFormat
from lwm2m_fota.package.formats.suit.format import SuitFormat
from lwm2m_fota.package.verdicts import Refusal, refusal_error


@final
@attrs.frozen
class FormatRegistry:
    """An ordered set of formats; the first that recognises a package reads it.

    Attributes:
        formats: the formats, of different names.

    Raises:
        UsageError: two formats have the same name.
    """

    formats: tuple[PackageFormat, ...]

    def __attrs_post_init__(self) -> None:
        if len({known.name for known in self.formats}) != len(self.formats):
            raise UsageError("two formats have the same name")

    def with_format(self, added: PackageFormat) -> Self:
        """These formats with one more, asked first; it takes the place of one of the same name."""
        return type(self)((added, *(known for known in self.formats if known.name != added.name)))

    @property
    def prefix_bytes(self) -> int:
        """How many bytes are enough to decide."""
        return max((known.prefix_bytes for known in self.formats), default=0)

    def recognise(self, prefix: bytes, *, complete: bool) -> PackageFormat | None:
        """The format of a package that begins with `prefix`; None if more of it is needed.

        Args:
            prefix: the first bytes, at most `prefix_bytes`.
            complete: whether the package ends there.

        Raises:
            UnsupportedPackageError: no format recognises it.
        """
        for known in self.formats:
            if len(prefix) >= known.prefix_bytes:
                if known.sniff(prefix[: known.prefix_bytes]):
                    return known
            elif not complete:
                return None
        raise refusal_error(Refusal.UNKNOWN_FORMAT, f"the package begins with {prefix.hex()}")


def default_formats() -> FormatRegistry:
    """MCUboot images, SUIT envelopes, COSE messages, and plain images by their digest."""
    return FormatRegistry((McubootFormat(), SuitFormat(), CoseFormat(), PlainFormat()))
