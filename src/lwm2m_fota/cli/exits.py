"""The exit statuses of the commands."""

from enum import IntEnum
from typing import Self, final


@final
class Exit(IntEnum):
    """An exit status; `meaning` is what docs/reference/commands.md says of it."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Self:
        """A status with its meaning."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    OK = 0, "it is done"
    FAILED = 1, "it failed, or was refused by the device; the line says why, with the Update Result if there is one"
    USAGE = 2, "an option or an argument is wrong; nothing was begun"
    TIMED_OUT = 3, "a limit passed; the line names the wait"
    CANCELLED = 4, "it was cancelled by SIGINT or SIGTERM"
    UNDETERMINED = 5, "the update was executed, and the device shows neither success nor failure"
    PACKAGE = 6, "the file cannot be sent; nothing was sent"
    NETWORK = 7, "the address to listen at cannot be had; nothing was sent"
