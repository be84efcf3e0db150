"""Arguments of Execute (LwM2M Core 6.3.5): `0,1='hello',5=''`.

An argument is a digit, alone or with a quoted value; a value has printable ASCII characters except space, quotes and
backslash. Values without quotes, which some documents show, are refused: a comma in them would start an argument.
"""

import re
from typing import Final

from lwm2m_fota.errors import ContentError, UsageError

Arguments = tuple[tuple[int, str | None], ...]
"""Digits with values, in order; None for a digit that stands alone."""

_ARGUMENT: Final = re.compile(rb"([0-9])(?:='([\x21\x23-\x26\x28-\x5b\x5d-\x7e]*)')?")


def parse_arguments(payload: bytes) -> Arguments:
    """Read arguments; an empty payload has none.

    Raises:
        ContentError: not in this grammar, or a digit comes twice.
    """
    if not payload:
        return ()
    arguments: dict[int, str | None] = {}
    at = 0
    while True:
        match = _ARGUMENT.match(payload, at)
        if match is None:
            raise ContentError(f"not an Execute argument at byte {at}")
        digit = int(match[1])
        if digit in arguments:
            raise ContentError(f"Execute argument {digit} comes twice")
        arguments[digit] = None if match[2] is None else match[2].decode()
        at = match.end()
        if at == len(payload):
            return tuple(arguments.items())
        if payload[at : at + 1] != b",":
            raise ContentError(f"no comma after the Execute argument at byte {at}")
        at += 1


def format_arguments(arguments: Arguments) -> bytes:
    """Write arguments.

    Raises:
        UsageError: they would not be read back as they are.
    """
    parts = [str(digit) if value is None else f"{digit}='{value}'" for digit, value in arguments]
    payload = ",".join(parts).encode(errors="replace")
    try:
        same = parse_arguments(payload) == tuple(arguments)
    except ContentError as error:
        raise UsageError(str(error)) from error
    if not same:
        raise UsageError("not Execute arguments")
    return payload
