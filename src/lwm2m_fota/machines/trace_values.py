"""What traces of devices and of servers share: what is cut out of texts, and frozen values as JSON and back.

The types of the fields say how a value is read; what does not fit them is refused.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final, Literal, TypeAlias, get_args, get_origin, get_type_hints

import attrs

from lwm2m_fota.errors import SnapshotError, UsageError
from lwm2m_fota.machines.snapshot import LARGEST_S

TraceListener: TypeAlias = Callable[[Mapping[str, object]], object]
"""Is given each line of a trace, as JSON values."""

_IN_TEXT: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)(?:[^\s/@]*@)?([^\s/?#]+)[^\s]*")
_WHOLE: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)(?:[^/?#@]*@)?([^/?#@]+)(.*)", re.DOTALL)
_CUT: Final = "/..."
NO_URI: Final = "not a URI"
"""Recorded in place of a text that is none: nobody knows what stands in it."""


def redacted(text: str) -> str:
    """The text with each URI cut after its host."""
    return _IN_TEXT.sub(r"\1\2/...", text)


def redacted_uri(uri: str, *, is_valid: bool) -> str:
    """A URI without user, path and query: worth the same as before, and never longer.

    Args:
        uri: as written.
        is_valid: a device takes it for a URI.
    """
    parts = _WHOLE.fullmatch(uri)
    if not is_valid or parts is None:
        return uri and NO_URI
    return parts[1] + parts[2] + _CUT[: len(parts[3])]


# ---- to JSON -------------------------------------------------------------------------------------------------------


def plain(value: object, cuts: Mapping[str, Callable[[Any], object]]) -> Any:  # noqa: ANN401 - JSON
    """A value as JSON: one of attrs as its kind and fields, a tuple as a list, an enum as what it stands for.

    Args:
        value: of attrs, a tuple, an enum, or plain.
        cuts: by the name of a field, what is recorded in place of its value.
    """
    if attrs.has(type(value)):
        fields = {each.name: getattr(value, each.name) for each in _fields(type(value))}
        shown = {name: cuts[name](each) if name in cuts else each for name, each in fields.items()}
        return {"kind": type(value).__name__, **{name: plain(each, cuts) for name, each in shown.items()}}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [plain(each, cuts) for each in value]
    return value


def _fields(kind: type) -> "list[attrs.Attribute[Any]]":
    """What is given to make one; a rule in code is not a value."""
    return [each for each in attrs.fields(kind) if each.init and not callable(each.default)]


# ---- from JSON -----------------------------------------------------------------------------------------------------


def made(hint: Any, data: object) -> Any:  # noqa: ANN401, PLR0911 - any type; one way out for each kind of it
    """The value of this type that `plain` was given.

    Args:
        hint: a class of attrs, a named tuple, an enum, a plain type, a tuple, a union or a literal.
        data: JSON.

    Raises:
        SnapshotError: the data are no such value.
    """
    options = get_args(hint)
    match get_origin(hint):
        case origin if origin is UnionType:
            return _of_union(options, data)
        case origin if origin is Literal:
            return _checked(data, isinstance(data, str) and data in options, hint)
        case origin if origin is tuple:
            return _of_tuple(options, data)
    if attrs.has(hint):
        return _of_attrs(hint, data)
    if issubclass(hint, tuple):
        return hint(*_of_tuple(tuple(_hints(hint).values()), data))
    if issubclass(hint, Enum):
        return _of_enum(hint, data)
    if hint is float:
        is_number = isinstance(data, int | float) and not isinstance(data, bool)
        return float(_checked(data, is_number and -LARGEST_S <= data <= LARGEST_S, hint))  # type: ignore[operator]
    return _checked(data, type(data) is hint, hint)


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return MappingProxyType(get_type_hints(kind))


def _checked(data: object, fits: bool, hint: Any) -> Any:  # noqa: ANN401, FBT001 - as `made`
    if not fits:
        raise SnapshotError(f"not a {getattr(hint, '__name__', hint)}: a {type(data).__name__}")
    return data


def _of_union(options: Sequence[Any], data: object) -> Any:  # noqa: ANN401 - as `made`
    if data is None and NoneType in options:
        return None
    kind = data.get("kind") if isinstance(data, dict) else None
    if not isinstance(kind, str | None):
        raise SnapshotError(f"a kind is no {type(kind).__name__}")
    fitting = [each for each in options if each is not NoneType and kind in {None, each.__name__}]
    if not fitting:
        raise SnapshotError(f"no kind that fits: {kind!r:.80}")
    return made(fitting[0], data)


def _of_tuple(options: Sequence[Any], data: object) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise SnapshotError(f"not a list: a {type(data).__name__}")
    is_open = options[-1:] == (Ellipsis,)
    each = [options[0]] * len(data) if is_open else options
    if len(each) != len(data):
        raise SnapshotError(f"not {len(each)} values, but {len(data)}")
    return tuple(made(hint, item) for hint, item in zip(each, data, strict=True))


def _of_attrs(kind: type, data: object) -> Any:  # noqa: ANN401 - as `made`
    names = [each.name for each in _fields(kind)]
    if not isinstance(data, dict) or data.get("kind") != kind.__name__ or data.keys() != {"kind", *names}:
        raise SnapshotError(f"not the fields of {kind.__name__}")
    values = {name: made(_hints(kind)[name], data[name]) for name in names}
    try:
        return kind(**values)
    except UsageError as error:
        raise SnapshotError(str(error)) from error


def _of_enum(kind: type[Enum], data: object) -> Enum:
    _checked(data, type(data) in {int, str}, kind)
    try:
        return kind(data)
    except ValueError as error:
        raise SnapshotError(str(error)) from error
