"""Who has signed a manifest: the wrapper that comes first (draft-ietf-suit-manifest-37 section 8.3).

What is signed is the digest of the manifest, as it is encoded in the wrapper; the manifest is not needed for that, and
nothing is read of it before.
"""

from typing import final

import attrs

from lwm2m_fota.package.cose.authenticate import authenticate
from lwm2m_fota.package.cose.message import Authenticated, CoseEncrypt, CoseEncrypt0, read_message
from lwm2m_fota.package.cose.rules import CoseRules
from lwm2m_fota.package.formats.suit.digests import SuitDigest, load_digest
from lwm2m_fota.package.formats.suit.limits import SuitLimits
from lwm2m_fota.package.formats.suit.reading import load_array, malformed, too_much
from lwm2m_fota.package.keyring import Authentication, KeyRing


@final
@attrs.frozen(kw_only=True)
class Wrapper:
    """The authentication wrapper.

    Attributes:
        digest: of the manifest.
        signed: the digest as it is encoded: what the blocks sign.
        blocks: signatures and codes, each alone enough for whoever trusts its key.
    """

    digest: SuitDigest
    signed: bytes
    blocks: tuple[Authenticated, ...]

    def authenticated_by(self, ring: KeyRing, rules: CoseRules) -> Authentication:
        """Try keys on all blocks."""
        found = Authentication()
        for block in self.blocks:
            found += authenticate(block, ring, payload=self.signed, rules=rules)
        return found


def read_wrapper(data: bytes, rules: CoseRules, limits: SuitLimits) -> Wrapper:
    """Read the authentication wrapper.

    Raises:
        UnsupportedPackageError: it needs something that is not supported.
        IntegrityError: it breaks the rules.
        PackageError: it has more blocks than are read.
    """
    items = load_array(data, "the authentication wrapper")
    if not items or not all(type(each) is bytes for each in items):
        raise malformed("the authentication wrapper is not an array of byte strings, a digest first")
    if len(items) - 1 > limits.max_blocks:
        raise too_much("authentication blocks", len(items) - 1, "max_blocks", limits.max_blocks)
    signed, *blocks = (bytes(each) for each in items)  # type: ignore[call-overload]  # they are
    return Wrapper(digest=load_digest(signed), signed=signed, blocks=tuple(_block(each, rules) for each in blocks))


def _block(data: bytes, rules: CoseRules) -> Authenticated:
    message = read_message(data, rules=rules)
    if isinstance(message, CoseEncrypt0 | CoseEncrypt):
        raise malformed("an authentication block that is encrypted")
    if message.payload is not None:
        raise malformed("an authentication block with a payload of its own")
    return message
