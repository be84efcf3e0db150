"""How much a SUIT package may ask of its reader."""

from typing import Final, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.limits import DEFAULT_MAX_DECRYPTION_KEYS, DEFAULT_MAX_HELD_BYTES

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
        max_commands: commands that are run in all, each once for each component that it is for. What is hashed to be
            compared counts as one more for each 4 KiB, and a manifest that is processed as one for each component.
        max_sequence_depth: levels of command sequences within one another (try-each and run-sequence).
        max_payloads: integrated payloads of an envelope.
        max_dependencies: manifests that others depend on, in all.
        max_dependency_depth: levels of manifests that depend on one another, the first one not counted.
        max_held_bytes: the longest envelope that another one depends on: it is held, with its integrated payloads.
        max_decryption_keys: how many keys a payload is read with at once, where the manifest does not name the one.
        max_decryptors: how often a payload is decrypted at once: for each content that comes of it, with each such key.

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
    max_dependencies: int = 8
    max_dependency_depth: int = 3
    max_held_bytes: int = DEFAULT_MAX_HELD_BYTES
    max_decryption_keys: int = DEFAULT_MAX_DECRYPTION_KEYS
    max_decryptors: int = 32

    def __attrs_post_init__(self) -> None:
        if any(value <= 0 for value in attrs.asdict(self).values()):
            raise UsageError("limits are positive")
        for name in ("max_sequence_depth", "max_dependency_depth"):
            if getattr(self, name) > DEEPEST:
                raise UsageError(f"{name} is at most {DEEPEST} levels")


DEFAULT_LIMITS: Final = SuitLimits()
