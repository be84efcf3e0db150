"""A plain image: any bytes, taken for what they are only if their digest is expected."""

from typing import ClassVar, final

import attrs

from lwm2m_fota.package.formats.base import PackageParser
from lwm2m_fota.package.trust import Trust
from lwm2m_fota.package.types import WHOLE_PACKAGE, Component, Verdict
from lwm2m_fota.package.verdicts import Refusal, refusal_error


@final
class _PlainParser:
    __slots__ = ("_size_bytes",)

    def __init__(self) -> None:
        self._size_bytes = 0

    def feed(self, data: memoryview) -> None:
        self._size_bytes += len(data)

    def finish(self) -> Verdict:
        if not self._size_bytes:
            raise refusal_error(Refusal.TRUNCATED, "the package is empty")
        whole = Component(name=WHOLE_PACKAGE, version=None, offset_bytes=0, length_bytes=self._size_bytes)
        return Verdict(components=(whole,))


@final
@attrs.frozen
class PlainFormat:
    """Recognises everything, and holds no signature: keep it last.

    Under a policy that requires a signature it takes nothing, so an unknown format is refused with its first bytes.
    """

    name: ClassVar[str] = "plain"
    prefix_bytes: ClassVar[int] = 0

    def sniff(self, prefix: bytes) -> bool:  # noqa: ARG002 - any bytes will do
        """Any package is a plain image."""
        return True

    def open(self, trust: Trust, *, expected_size_bytes: int | None) -> PackageParser:  # noqa: ARG002 - of the interface
        """Begin a package.

        Raises:
            UnsupportedPackageError: the policy requires a signature.
        """
        if trust.require_signature:
            raise refusal_error(Refusal.UNKNOWN_FORMAT, "a plain image holds no signature, and one is required")
        return _PlainParser()
