"""The strict CBOR loader and its writer (RFC 8949): the only import of cbor2.

cbor2 alone is too kind for data that strangers send: it ignores what follows the first item, resolves tags (shared
references, dates, regular expressions), and hands out read-only containers within tags. Here the bytes are walked
before cbor2 sees them, so that size, nesting and claimed lengths are known to be harmless, and tags stay tags.

What `loads` returns is made of int, float, str, bytes, bool, None, list, dict and `Tag`. Keys of a dict are scalars
or tuples of them. Undefined, other simple values, and keys that hold maps or tags are refused.
"""

from collections.abc import Callable, Mapping
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
_SIMPLE: Final = frozenset({20, 21, 22})  # false, true, null
_FLOATS: Final = frozenset({25, 26, 27})
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


def loads(
    data: bytes,
    *,
    max_depth: int = DEFAULT_MAX_DEPTH,
    max_items: int = DEFAULT_MAX_ITEMS,
    max_bytes: int = DEFAULT_MAX_BYTES,
    canonical_ints: bool = False,
    allow_indefinite: bool = True,
) -> object:
    """Read exactly one data item.

    Args:
        data: the item, and nothing after it.
        max_depth: levels of nesting, the outermost item included; at most `DEEPEST`.
        max_items: data items in all, keys and tags included.
        max_bytes: of `data`.
        canonical_ints: if true, integers, lengths and tags must be written in their shortest form.
        allow_indefinite: if false, strings, arrays and maps must state their length.

    Raises:
        CborError: not well-formed, past a limit, a key comes twice in a map (in Python's sense: 1, 1.0 and true are
            one key), text that is not UTF-8, or something outside of the list above.
        UsageError: `max_depth` is too large.
    """
    scanner = _Scanner(
        data, max_depth, max_items, max_bytes, canonical_ints=canonical_ints, allow_indefinite=allow_indefinite
    )
    item = scanner.next_item()
    if scanner.at != len(data):
        raise CborError(f"{len(data) - scanner.at} bytes follow the item")
    return item


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
    scanner = _Scanner(
        data, max_depth, max_items, max_bytes, canonical_ints=canonical_ints, allow_indefinite=allow_indefinite
    )
    items: list[object] = []
    while scanner.at < len(data):
        items.append(scanner.next_item())
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


def _keep(number: int) -> Callable[[object, bool], Tag]:
    def decoder(value: object, immutable: bool) -> Tag:  # noqa: FBT001 - cbor2 calls it so
        del immutable
        return Tag(number, value)

    return decoder


@final
class _Scanner:
    """Walks data items and checks everything that can be known without building them."""

    __slots__ = ("_canonical_ints", "_data", "_indefinite", "_items_left", "_max_depth", "_tags", "at")

    def __init__(
        self,
        data: bytes,
        max_depth: int,
        max_items: int,
        max_bytes: int,
        *,
        canonical_ints: bool,
        allow_indefinite: bool,
    ) -> None:
        if max_depth > DEEPEST:
            raise UsageError(f"max_depth is at most {DEEPEST}")
        if len(data) > max_bytes:
            raise CborError(f"{len(data)} bytes of CBOR, at most {max_bytes} are read")
        self._data = data
        self._max_depth = max_depth
        self._items_left = max_items
        self._canonical_ints = canonical_ints
        self._indefinite = allow_indefinite
        self._tags: set[int] = set()
        self.at = 0

    def next_item(self) -> object:
        """Check and decode the item that starts here."""
        start = self.at
        self._item(1)
        # every tag that occurs gets a decoder of ours, which takes precedence over those built in
        decoders = {number: _keep(number) for number in self._tags}
        try:
            return cbor2.loads(
                self._data[start : self.at],
                semantic_decoders=decoders,
                allow_duplicate_keys=False,
                max_depth=self._max_depth + 1,
            )
        except cbor2.CBORError as error:
            raise CborError(f"not valid CBOR: {error}") from error

    def _item(self, depth: int, *, in_key: bool = False) -> None:
        self._items_left -= 1
        if self._items_left < 0:
            raise CborError("too many data items")
        if depth > self._max_depth:
            raise CborError(f"nested deeper than {self._max_depth} levels")
        major, argument = self._read_head()
        if major in {_BYTES, _TEXT}:
            self._string(major, argument)
        elif major == _ARRAY:
            self._array(argument, depth, in_key=in_key)
        elif in_key and major in {_MAP, _TAG}:
            raise CborError("a key holds a map or a tag")
        elif major == _MAP:
            self._map(argument, depth)
        elif major == _TAG:
            self._tags.add(_definite(argument))
            self._item(depth + 1)

    def _read_head(self) -> tuple[int, int | None]:
        """The major type and the argument; None for an indefinite length."""
        initial = self._take(1)[0]
        major, info = initial >> 5, initial & 0x1F
        if major == _OTHER:
            self._simple(info)
            return major, 0
        if info < _ONE_BYTE:
            return major, info
        if info <= _EIGHT_BYTES:
            size = 1 << info - _ONE_BYTE
            argument = int.from_bytes(self._take(size), "big")
            if self._canonical_ints and argument < _SMALLEST[size]:
                raise CborError("an argument is not in its shortest form")
            return major, argument
        if info != _INDEFINITE or major not in {_BYTES, _TEXT, _ARRAY, _MAP}:
            raise CborError(f"no such initial byte: {initial:#04x}")
        if not self._indefinite:
            raise CborError("indefinite length")
        return major, None

    def _simple(self, info: int) -> None:
        if info in _FLOATS:
            self._take(1 << info - _ONE_BYTE)
        elif info not in _SIMPLE:
            raise CborError("a break or a simple value other than false, true and null")

    def _string(self, major: int, length: int | None) -> None:
        if length is not None:
            self._take(length)
            return
        while not self._broken():
            chunk_major, chunk_length = self._read_head()
            if chunk_major != major:
                raise CborError("a chunk of another type within a string")
            self._take(_definite(chunk_length))

    def _array(self, count: int | None, depth: int, *, in_key: bool) -> None:
        while not self._broken() if count is None else count > 0:
            self._item(depth + 1, in_key=in_key)
            count = None if count is None else count - 1

    def _map(self, count: int | None, depth: int) -> None:
        seen: set[bytes] = set()  # as written: two NaN are not equal once they are decoded
        while not self._broken() if count is None else count > 0:
            start = self.at
            self._item(depth + 1, in_key=True)
            key = self._data[start : self.at]
            if key in seen:
                raise CborError("a key comes twice")
            seen.add(key)
            self._item(depth + 1)
            count = None if count is None else count - 1

    def _broken(self) -> bool:
        """True, and past it, if a break comes next."""
        if self._data[self.at : self.at + 1] != bytes((_BREAK,)):
            return False
        self.at += 1
        return True

    def _take(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self._data):
            raise CborError("ends within an item")
        taken = self._data[self.at : end]
        self.at = end
        return taken


def _definite(argument: int | None) -> int:
    if argument is None:
        raise CborError("an indefinite chunk within a string")
    return argument
