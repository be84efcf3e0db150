"""The strict CBOR loader and its writer (RFC 8949): the only import of cbor2.

cbor2 is too kind for data that strangers send: it ignores what follows the first item, resolves tags (shared
references, dates, regular expressions), and hands out read-only containers within tags. So it only writes; what is read
here is checked byte by byte before anything is built of it, and tags stay tags.

What `loads` returns is made of int, float, str, bytes, bool, None, list, dict and `Tag`. Keys of a dict are scalars
or tuples of them. Undefined, other simple values, and keys that hold maps or tags are refused.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, final

import attrs
import cbor2  # noqa: TID251 - this is the one place

from lwm2m_fota.errors import CborError, UsageError

DEFAULT_MAX_BYTES: Final = 65536
DEFAULT_MAX_DEPTH: Final = 16
DEFAULT_MAX_ITEMS: Final = 8192
DEEPEST: Final = 100
"""The largest `max_depth` that may be asked for, in levels."""

_UINT, _NINT, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _OTHER = range(8)
_ONE_BYTE: Final = 24
_EIGHT_BYTES: Final = 27
_INDEFINITE: Final = 31
_BREAK: Final = 0xFF
_SMALL_UINTS_END: Final = 24
"""Initial bytes below are numbers themselves."""

_SIMPLE: Final[Mapping[int | None, bool | None]] = {20: False, 21: True, 22: None}
_FLOATS: Final = {25: struct.Struct(">e"), 26: struct.Struct(">f"), 27: struct.Struct(">d")}
_MAY_BE_INDEFINITE: Final = frozenset({_BYTES, _TEXT, _ARRAY, _MAP})
_NOT_SIMPLE: Final = "a break or a simple value other than false, true and null"
_TWICE: Final = "a key comes twice"
_ENDS_WITHIN: Final = "ends within an item"
_SMALLEST: Final = {1: 24, 2: 1 << 8, 4: 1 << 16, 8: 1 << 32}
"""The smallest argument that needs this many bytes."""


@final
@attrs.frozen
class Tag:
    """A tagged value; no tag is ever interpreted.

    Attributes:
        number: the tag.
        value: what it is put on.
    """

    number: int
    value: object


class _EndsWithinError(CborError):
    """More bytes might mend it."""


def loads(
    data: bytes,
    *,
    max_depth: int = DEFAULT_MAX_DEPTH,
    max_items: int = DEFAULT_MAX_ITEMS,
    max_bytes: int = DEFAULT_MAX_BYTES,
    canonical_ints: bool = False,
    canonical_maps: bool = False,
    allow_indefinite: bool = True,
) -> object:
    """Read exactly one data item.

    Args:
        data: the item, and nothing after it.
        max_depth: levels of nesting, the outermost item included; at most `DEEPEST`.
        max_items: data items in all, keys and tags included.
        max_bytes: of `data`.
        canonical_ints: if true, integers, lengths and tags must be written in their shortest form.
        canonical_maps: if true, the keys of a map must ascend in the bytewise order of what is written (RFC 8949
            section 4.2.1).
        allow_indefinite: if false, strings, arrays and maps must state their length.

    Raises:
        CborError: not well-formed, past a limit, a key comes twice in a map (in Python's sense: 1, 1.0 and true are
            one key), text that is not UTF-8, or something outside of the list above.
        UsageError: `max_depth` is too large.
    """
    reader = _Reader(data, max_depth, max_items, max_bytes, canonical_ints, canonical_maps, allow_indefinite)
    item = reader.item()
    if reader.at != len(data):
        raise CborError(f"{len(data) - reader.at} bytes follow the item")
    return item


def item_end(
    data: bytes, start: int = 0, *, max_depth: int = DEFAULT_MAX_DEPTH, max_items: int = DEFAULT_MAX_ITEMS
) -> int | None:
    """Where an item ends that begins somewhere in data that may still grow; None if it is not all there.

    Args:
        data: what is there.
        start: where the item begins.
        max_depth: as for `loads`.
        max_items: as for `loads`.

    Raises:
        CborError: no item begins like this.
        UsageError: `max_depth` is too large.
    """
    reader = _Reader(data, max_depth, max_items, len(data))
    reader.at = start
    try:
        reader.item()
    except _EndsWithinError:
        return None
    return reader.at


def loads_sequence(
    data: bytes,
    *,
    max_depth: int = DEFAULT_MAX_DEPTH,
    max_items: int = DEFAULT_MAX_ITEMS,
    max_bytes: int = DEFAULT_MAX_BYTES,
    canonical_ints: bool = False,
    allow_indefinite: bool = True,
) -> list[object]:
    """Read a CBOR sequence (RFC 8742): items one after another, possibly none.

    Args:
        data: the items.
        max_depth: as for `loads`.
        max_items: as for `loads`, over the whole sequence.
        max_bytes: as for `loads`, over the whole sequence.
        canonical_ints: as for `loads`.
        allow_indefinite: as for `loads`.

    Raises:
        CborError, UsageError: as `loads`.
    """
    reader = _Reader(data, max_depth, max_items, max_bytes, canonical_ints, allow_indefinite=allow_indefinite)
    items: list[object] = []
    while reader.at < len(data):
        items.append(reader.item())
    return items


def dumps(value: object, *, canonical: bool = False) -> bytes:
    """Write one data item.

    Args:
        value: made of what `loads` returns; tuples and read-only mappings are welcome too.
        canonical: if true, write maps in bytewise order of their encoded keys and floats in the shortest form
            (RFC 8949 section 4.2.1); if not, maps keep their order.

    Raises:
        UsageError: a value that cannot be written.
    """
    try:
        return _canonical(value) if canonical else cbor2.dumps(value, default=_write_tag)
    except (cbor2.CBORError, UnicodeEncodeError) as error:
        raise UsageError(f"cannot be written as CBOR: {error}") from error


def _write_tag(encoder: cbor2.CBOREncoder, value: object) -> None:
    if not isinstance(value, Tag):
        raise UsageError(f"cannot be written as CBOR: {type(value).__name__}")
    encoder.encode(cbor2.CBORTag(value.number, value.value))


def _canonical(value: object) -> bytes:
    if isinstance(value, Mapping):
        pairs = sorted((_canonical(key), _canonical(each)) for key, each in value.items())
        return _head(_MAP, len(pairs)) + b"".join(key + each for key, each in pairs)
    if isinstance(value, list | tuple):
        return _head(_ARRAY, len(value)) + b"".join(map(_canonical, value))
    if isinstance(value, Tag):
        return _head(_TAG, value.number) + _canonical(value.value)
    return cbor2.dumps(value, canonical=True)


def _head(major: int, argument: int) -> bytes:
    plain = cbor2.dumps(argument)  # of an unsigned integer: the right argument under major type 0
    return bytes((major << 5 | plain[0], *plain[1:]))


@final
class _Reader:
    """Reads data items, and checks everything before anything is built of it."""

    __slots__ = (
        "_canonical_ints", "_canonical_maps", "_data", "_end", "_indefinite", "_is_key", "_items_left", "_max_depth",
        "at",
    )  # fmt: skip

    def __init__(
        self,
        data: bytes,
        max_depth: int,
        max_items: int,
        max_bytes: int,
        canonical_ints: bool = False,  # noqa: FBT001, FBT002 - names take time, and nobody else calls this
        canonical_maps: bool = False,  # noqa: FBT001, FBT002
        allow_indefinite: bool = True,  # noqa: FBT001, FBT002
    ) -> None:
        if max_depth > DEEPEST:
            raise UsageError(f"max_depth is at most {DEEPEST}")
        if len(data) > max_bytes:
            raise CborError(f"{len(data)} bytes of CBOR, at most {max_bytes} are read")
        self._data = data
        self._end = len(data)
        self._max_depth = max_depth
        self._items_left = max_items
        self._canonical_ints = canonical_ints
        self._canonical_maps = canonical_maps
        self._indefinite = allow_indefinite
        self._is_key = False
        self.at = 0

    def item(self) -> object:
        """Read an item that is in no other one."""
        if self._items_left < 1 or self._max_depth < 1:
            self._reserve(1, 1)
        self._items_left -= 1
        return self._value(1)

    def _reserve(self, count: int, depth: int) -> None:
        """So many items may follow, at this depth."""
        self._items_left -= count
        if self._items_left < 0:
            raise CborError("too many data items")
        if depth > self._max_depth:
            raise CborError(f"nested deeper than {self._max_depth} levels")

    def _value(self, depth: int) -> object:
        """Read an item for which there is room."""
        at = self.at
        if at >= self._end:
            raise _EndsWithinError(_ENDS_WITHIN)
        initial = self._data[at]
        self.at = at + 1
        major, info = initial >> 5, initial & 0x1F
        if info < _ONE_BYTE:  # as in most items
            argument: int | None = info
        elif major == _OTHER:
            return self._float(info)
        elif info == _ONE_BYTE and at + 1 < self._end and self._data[at + 1] >= _ONE_BYTE:  # in the shortest form
            argument = self._data[at + 1]
            self.at = at + 2
        else:
            argument = self._argument(initial)
        if argument is None or major > _MAP:
            return self._rare(major, argument, depth)
        value: object
        if major < _BYTES:
            value = argument if major == _UINT else -1 - argument
        elif major < _ARRAY:
            start = self.at
            self.at = end = start + argument
            if end > self._end:
                raise _EndsWithinError(_ENDS_WITHIN)
            written = self._data[start:end]
            value = written if major == _BYTES else _text(written)
        else:
            value = self._array(argument, depth + 1) if major == _ARRAY else self._map(argument, depth + 1)
        return value

    def _rare(self, major: int, argument: int | None, depth: int) -> object:
        """The value of a tag, a simple value, or something of indefinite length, whose argument is None."""
        value: object
        if major == _ARRAY:
            value = self._array(argument, depth + 1)
        elif major == _MAP:
            value = self._map(argument, depth + 1)
        elif major == _TEXT:
            value = "".join(map(_text, self._chunks(_TEXT)))
        elif major == _BYTES:
            value = b"".join(self._chunks(_BYTES))
        else:
            value = _simple(argument) if major == _OTHER else self._tag(argument, depth + 1)
        return value

    def _tag(self, number: int | None, depth: int) -> Tag:
        self._refuse_in_key()
        self._reserve(1, depth)
        return Tag(_definite(number), self._value(depth))

    def _refuse_in_key(self) -> None:
        if self._is_key:
            raise CborError("a key holds a map or a tag")

    def _argument(self, initial: int) -> int | None:
        """What follows an initial byte that does not hold the argument itself."""
        major, info = initial >> 5, initial & 0x1F
        if info <= _EIGHT_BYTES:
            size = 1 << info - _ONE_BYTE
            argument = int.from_bytes(self._string(size))
            if self._canonical_ints and argument < _SMALLEST[size]:
                raise CborError("an argument is not in its shortest form")
            return argument
        if info != _INDEFINITE or major not in _MAY_BE_INDEFINITE:
            raise CborError(f"no such initial byte: {initial:#04x}")
        if not self._indefinite:
            raise CborError("indefinite length")
        return None

    def _float(self, info: int) -> float:
        layout = _FLOATS.get(info)
        if layout is None:
            raise CborError(_NOT_SIMPLE)
        value: float = layout.unpack(self._string(layout.size))[0]
        return value

    def _string(self, size: int) -> bytes:
        start = self.at
        end = start + size
        if end > self._end:
            raise _EndsWithinError(_ENDS_WITHIN)
        self.at = end
        return self._data[start:end]

    def _chunks(self, major: int) -> Iterator[bytes]:
        while not self._broken():
            initial = self._string(1)[0]
            if initial >> 5 != major:
                raise CborError("a chunk of another type within a string")
            info = initial & 0x1F
            yield self._string(info if info < _ONE_BYTE else _definite(self._argument(initial)))

    def _array(self, count: int | None, depth: int) -> object:
        items: list[object] = []
        data, end, value = self._data, self._end, self._value
        for _ in self._rounds(count, 1, depth):
            at = self.at
            if at < end and data[at] < _SMALL_UINTS_END:  # as most are: read here, which spares a call
                items.append(data[at])
                self.at = at + 1
            else:
                items.append(value(depth))
        return tuple(items) if self._is_key else items

    def _map(self, count: int | None, depth: int) -> dict[object, object]:
        self._refuse_in_key()
        found: dict[object, object] = {}
        odd: set[bytes] = set()  # as they are written: two NaN are not equal once they are read
        last = b""
        data, end, value, ascends = self._data, self._end, self._value, self._canonical_maps
        for _ in self._rounds(count, 2, depth):
            start = self.at
            if start < end and data[start] < _SMALL_UINTS_END:  # as above
                key: object = data[start]
                self.at = start + 1
            else:
                key = self._key(depth)
                if type(key) is float or type(key) is tuple:
                    if data[start : self.at] in odd:
                        raise CborError(_TWICE)
                    odd.add(data[start : self.at])
            if ascends:
                written = data[start : self.at]
                if written <= last:
                    raise CborError("the keys of a map do not ascend")
                last = written
            if key in found:
                raise CborError(_TWICE)
            found[key] = value(depth)
        return found

    def _key(self, depth: int) -> object:
        self._is_key = True
        key = self._value(depth)
        self._is_key = False
        return key

    def _rounds(self, count: int | None, items: int, depth: int) -> Iterable[object]:
        """As many rounds as an array or a map has entries of so many items; None if it goes on to a break.

        Room is made for all of them at once; where there is not enough, for one after another, as they come.
        """
        if count is None:
            return self._until_break(items, depth)
        left = self._items_left - count * items
        if left < 0 or (count and depth > self._max_depth):
            return self._one_by_one(items, depth)
        self._items_left = left
        return range(count)

    def _one_by_one(self, items: int, depth: int) -> Iterator[None]:
        while True:  # there is no room for all of them
            self._reserve(items, depth)
            yield None

    def _until_break(self, items: int, depth: int) -> Iterator[None]:
        while not self._broken():
            self._reserve(items, depth)
            yield None

    def _broken(self) -> bool:
        """True, and past it, if a break comes next."""
        if self._data[self.at : self.at + 1] != bytes((_BREAK,)):
            return False
        self.at += 1
        return True


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise CborError(f"text that is not UTF-8: {error}") from error


def _simple(number: int | None) -> bool | None:
    if number not in _SIMPLE:
        raise CborError(_NOT_SIMPLE)
    return _SIMPLE[number]


def _definite(argument: int | None) -> int:
    if argument is None:
        raise CborError("an indefinite chunk within a string")
    return argument
