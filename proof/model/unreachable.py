"""Rows of the tables that no space takes, each with the reason."""

from collections.abc import Mapping
from typing import Final

_DEFERRED: Final = "the wait for a user is bounded by its own limit, or by the whole; the limit of the stage rests"
_FIRST_LOOK: Final = "the first look at an Idle device begins the transfer again; there is no second one"

UNREACHABLE: Final[Mapping[str, str]] = {
    "server: deferred, limit of the stage": _DEFERRED,
    "server: transfer-later, Idle again without a result": _FIRST_LOOK,
    "server: transfer-later, Idle, as before this attempt": _FIRST_LOOK,
}
