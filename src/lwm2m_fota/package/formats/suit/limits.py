"""How much a SUIT package may ask of its reader."""

from typing import Final, final

import attrs

from lwm2m_fota.errors import UsageError

DEEPEST: Final = 32
"""The largest nesting that may be asked for, in levels."""


@final
@attrs.frozen(kw_only=True)
class SuitLimits:
    """Limits of one package; each is checked while the package arrives.

    Attributes:
        max_authentication_bytes: the longest authentication wrapper: the digest with all signatures.
        max_blocks: signatures and codes over one manifest.
        max_manifest_bytes: the longest manifest.
        max_member_bytes: the longest severed member: a command sequence, or the text.
        max_uri_bytes: the longest URI, and the longest key of an integrated payload.
        max_components: components of one manifest, its dependencies included.
        max_commands: commands that are run in all, each once for each component that it is for.
        max_sequence_depth: levels of command sequences within one another (try-each and run-sequence).
        max_payloads: integrated payloads.

    Raises:
        UsageError: a limit is not positive, or the depth is more than 32.
    """

    max_authentication_bytes: int = 8 * 1024
    max_blocks: int = 8
    max_manifest_bytes: int = 64 * 1024
    max_member_bytes: int = 64 * 1024
    max_uri_bytes: int = 1024
    max_components: int = 32
    max_commands: int = 4096
    max_sequence_depth: int = 8
    max_payloads: int = 64

    def __attrs_post_init__(self) -> None:
        if any(value <= 0 for value in attrs.asdict(self).values()):
            raise UsageError("limits are positive")
        if self.max_sequence_depth > DEEPEST:
            raise UsageError(f"max_sequence_depth is at most {DEEPEST} levels")


DEFAULT_LIMITS: Final = SuitLimits()
