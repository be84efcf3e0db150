"""Named choices in content formats where the documents leave one; from a peer every reading is accepted."""

from enum import Enum
from typing import Final, final

import attrs


@final
class TimeForm(Enum):
    """How a Time value is written in the two CBOR formats (LwM2M Core 1.2, table C-2, names all three)."""

    NUMBER = "seconds since 1970 as a plain integer"
    EPOCH = "the same under tag 1"
    DATE = "a date in text under tag 0; a plain integer where there is no such date"


@final
class PathKeys(Enum):
    """How LwM2M CBOR writes the keys of its maps (LwM2M Core 1.2, 7.5.4)."""

    FOLDED = "levels with a single entry are folded into one key, an array of ids"
    NESTED = "a map for each level, every key a number"


@final
@attrs.frozen(kw_only=True)
class ContentPolicies:
    """What is written where several forms are right.

    Attributes:
        time: of Time values in CBOR and LwM2M CBOR; in SenML they are plain numbers always.
        keys: of LwM2M CBOR.
    """

    time: TimeForm = TimeForm.NUMBER
    keys: PathKeys = PathKeys.FOLDED


DEFAULT_POLICIES: Final = ContentPolicies()
