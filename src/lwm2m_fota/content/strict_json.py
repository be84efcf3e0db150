"""The strict JSON loader (RFC 8259), for what strangers send: nothing of Python's tolerance, and bounded nesting."""

import json
import re
from typing import Final

from lwm2m_fota.errors import ContentError

MAX_DEPTH: Final = 8
"""Levels of arrays and objects, the outermost included."""

_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
_SHOWN: Final = 64
_INTEGER_CHARACTERS: Final = 20
"""Of every integer of 64 bits; longer ones are as good as floats."""


def loads(payload: bytes, *, max_depth: int = MAX_DEPTH) -> object:
    """Read one JSON text in UTF-8 into dict, list, str, int, float, bool and None.

    Args:
        payload: the text, and nothing but white space around it.
        max_depth: levels of nesting.

    Raises:
        ContentError: not JSON, not UTF-8, nested too deep, a name twice in an object, a number that is too large, or
            half of a surrogate pair, which no text can hold.
    """
    try:
        text = payload.decode()
        _check_depth(text, max_depth)
        found: object = json.loads(
            text, object_pairs_hook=_object, parse_constant=_refuse, parse_float=_finite, parse_int=_integer
        )
        if "\\u" in text:
            dumps(found)  # fails for half of a pair
    except ValueError as error:  # of the codec, or of the parser
        raise ContentError(f"not JSON: {str(error)[:_SHOWN]}") from error
    return found


def dumps(value: object) -> bytes:
    """Write without white space; the value consists of what `loads` returns."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _check_depth(text: str, max_depth: int) -> None:
    depth = 0
    for match in _BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        if depth > max_depth:
            raise ContentError(f"nested deeper than {max_depth} levels")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ContentError("a name comes twice in an object")
    return found


def _refuse(constant: str) -> object:
    raise ContentError(f"{constant} is no JSON")


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= _INTEGER_CHARACTERS else _finite(text)


def _finite(text: str) -> float:
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        raise ContentError(f"a number is too large: {text[:_SHOWN]}")
    return value
