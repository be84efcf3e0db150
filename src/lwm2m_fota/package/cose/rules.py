"""Two ways to read COSE: by the letter of its security considerations, and as the public vectors have it."""

from enum import Enum
from typing import final


@final
class CoseRules(Enum):
    """How much is asked of a message.

    STRICT, the default: the message carries its tag; the algorithm stands in the protected header; a key of a curve is
    used only with the hash that belongs to it; a label is not in both headers; codes are not shortened; a key does only
    what its `alg` and `key_ops` say.

    UNSAFE_PERMISSIVE does without these, for messages of others in a laboratory. A critical header is honoured, a
    foreign tag and an algorithm of another kind are refused under both.
    """

    STRICT = "strict"
    UNSAFE_PERMISSIVE = "permissive"
