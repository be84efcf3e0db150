"""Notification attributes: when a server wants to be told of what it observes (LwM2M Core 1.2, 7.3.2).

Each server attaches its own, by Write-Attributes, to objects, instances, resources and resource instances; what is
attached to a path counts for everything below it, unless something nearer says otherwise.
"""

import re
from collections.abc import Hashable, Iterable, Mapping
from decimal import Decimal
from typing import Final, final

import attrs

from lwm2m_fota.content.link import Attributes as LinkAttributes
from lwm2m_fota.errors import BusyError, ContentError
from lwm2m_fota.lwm2m.responses import RETRY_AFTER_S
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import ResourceDefinition, ValueType

MAX_SERVERS: Final = 16
MAX_PATHS: Final = 256

Number = int | float

_PERIODS: Final = ("pmin", "pmax", "epmin", "epmax")
_THRESHOLDS: Final = ("gt", "lt", "st")
_NAMES: Final = (*_PERIODS, *_THRESHOLDS, "con")
_NUMERIC: Final = frozenset({ValueType.INTEGER, ValueType.UNSIGNED, ValueType.FLOAT, ValueType.TIME})
_RESOURCE_IDS: Final = 3

_FLAGS: Final = ("con", "edge")
_UNHEEDED: Final = ("edge", "hqmax")
"""Of LwM2M 1.2, not heeded here; other devices may."""

_WRITTEN: Final = frozenset({*_NAMES, *_UNHEEDED})
_SECONDS: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_FLAG: Final = re.compile(r"[01]", re.ASCII)
_DECIMAL: Final = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,2})?", re.ASCII)
"""The table of LwM2M has neither sign nor exponent, and negative thresholds could not be written; peers send them."""

_TOO_LARGE: Final = 10**30
_PLAIN: Final = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)

Changes = Mapping[str, Number | None]
"""Attributes to set by name; None takes one off."""


@final
@attrs.frozen(kw_only=True)
class Attributes:
    """The attributes that count for one path; None for what is not set.

    Attributes:
        pmin: seconds between two notifications, at least.
        pmax: seconds after which one is sent whatever happens; 0, or less than `pmin`, means never.
        gt: a numeric value that passes this threshold is told, in either direction.
        lt: as `gt`, from the other side.
        st: a numeric value that differs so much from the one last told is told.
        epmin: seconds between two looks at the conditions, at least.
        epmax: seconds after which they are looked at even if no change was heard of.
        con: 1 for confirmable notifications, 0 leaves it to the client.
    """

    pmin: Number | None = None
    pmax: Number | None = None
    gt: Number | None = None
    lt: Number | None = None
    st: Number | None = None
    epmin: Number | None = None
    epmax: Number | None = None
    con: Number | None = None

    @property
    def has_thresholds(self) -> bool:
        """Changes are judged by the value."""
        return self.gt is not None or self.lt is not None or self.st is not None

    def changed(self, changes: Changes) -> "Attributes":
        """These with some set or taken off."""
        return attrs.evolve(self, **changes) if changes else self

    def below(self, above: "Attributes") -> "Attributes":
        """These where they are set, and those from above elsewhere."""
        return above.changed({name: value for name, value in self._items() if value is not None})

    def fault(self) -> str | None:
        """Why they contradict each other, or None (LwM2M Core 1.2, 7.3.2)."""
        if self.lt is not None and self.gt is not None and self.lt + 2 * (self.st or 0) >= self.gt:
            return "lt + 2 st must be less than gt"
        if self.st is not None and self.st <= 0:
            return "st must be above 0"
        if self.epmin is not None and self.epmax is not None and self.epmin >= self.epmax:
            return "epmin must be less than epmax"
        return None

    def links(self) -> LinkAttributes:
        """As attributes of a link."""
        return tuple((name, _plain(value)) for name, value in self._items() if value is not None)

    def _items(self) -> Iterable[tuple[str, Number | None]]:
        return ((name, getattr(self, name)) for name in _NAMES)


NO_ATTRIBUTES: Final = Attributes()


def parse_changes(queries: Iterable[str]) -> Changes:
    """Read `pmin=10`, `pmax=60`; a name without a value takes the attribute off.

    Raises:
        ContentError: a name that is not known or comes twice, or a value that is not one.
    """
    changes: dict[str, Number | None] = {}
    for query in queries:
        name, _, text = query.partition("=")
        if name not in _NAMES or name in changes:
            raise ContentError(f"not an attribute, or twice: {name[:16]!r}")
        changes[name] = _number(name, text) if text else None
    return changes


def format_changes(changes: Changes) -> tuple[str, ...]:
    """Write what `parse_changes` reads, in the grammar of LwM2M Core 1.2, 7.3.2, with a sign where a threshold has one.

    Args:
        changes: also `edge` and `hqmax`; True and False stand for the 1 and 0 of `con` and `edge`.

    Raises:
        ContentError: none, a name that is not known, or a value that is not one.
    """
    if not changes:
        raise ContentError("no attribute to write")
    return tuple(name if value is None else f"{name}={_written(name, value)}" for name, value in _known(changes))


def _known(changes: Changes) -> Iterable[tuple[str, Number | None]]:
    for name, value in changes.items():
        if name not in _WRITTEN:
            raise ContentError(f"not an attribute: {name[:16]!r}")
        yield name, value


def _written(name: str, value: Number) -> str:
    if abs(value) < _TOO_LARGE and isinstance(value, bool) <= (name in _FLAGS):
        text = _plain(value)
        form = _PLAIN if name in _THRESHOLDS else _FLAG if name in _FLAGS else _SECONDS
        if form.fullmatch(text):
            return text
    raise ContentError(f"{name}: a value out of range")


def _plain(value: Number) -> str:
    """In digits, without an exponent, and without a decimal part where it is a whole number."""
    return str(int(value)) if value == int(value) else format(Decimal(repr(value)), "f")


def is_attribute(query: str) -> bool:
    """True for a query parameter that `parse_changes` knows."""
    return query.partition("=")[0] in _NAMES


def _number(name: str, text: str) -> Number:
    if name in _THRESHOLDS and _DECIMAL.fullmatch(text):
        value = int(text) if text.lstrip("-").isdigit() else float(text)
        return int(value) if value == int(value) else value
    if name in _PERIODS and _SECONDS.fullmatch(text):
        return int(text)
    if name == "con" and _FLAG.fullmatch(text):
        return int(text)
    raise ContentError(f"{name}={text[:16]!r} is out of range")


def check_place(changes: Changes, path: Path, resource: ResourceDefinition | None) -> None:
    """Refuse thresholds where there is no number.

    Args:
        changes: what is to be attached.
        path: where.
        resource: the definition of the resource that the path leads to or through.

    Raises:
        ContentError: a threshold above a resource, or at one that is not numeric.
    """
    if changes.keys().isdisjoint(_THRESHOLDS):
        return
    if len(path.ids) < _RESOURCE_IDS or (resource is not None and resource.type not in _NUMERIC):
        raise ContentError("thresholds are for numeric resources")


@final
class AttributeTable:
    """The attributes that servers have attached.

    Args:
        max_servers: who may have some, at a time; the one that attached for the last time longest ago gives way.
        max_paths: with attributes, for each of them.
    """

    __slots__ = ("_attached", "_max_paths", "_max_servers")

    def __init__(self, max_servers: int = MAX_SERVERS, max_paths: int = MAX_PATHS) -> None:
        self._max_servers = max_servers
        self._max_paths = max_paths
        self._attached: dict[Hashable, dict[Path, Attributes]] = {}  # who attached last is the last

    def attached(self, server: Hashable, path: Path) -> Attributes:
        """What is attached to a path itself."""
        return self._attached.get(server, {}).get(path, NO_ATTRIBUTES)

    def effective(self, server: Hashable, path: Path, default: Attributes = NO_ATTRIBUTES) -> Attributes:
        """What counts for a path: attached to it, or to what it lies in."""
        found = default
        if server in self._attached:
            for parts in range(1, len(path.ids) + 1):
                found = self.attached(server, Path(path.ids[:parts])).below(found)
        return found

    def write(self, server: Hashable, path: Path, changes: Changes) -> None:
        """Attach to a path.

        Raises:
            ContentError: they contradict each other, with those from above; nothing has changed.
            BusyError: the server has attached to too many paths (5.03).
        """
        own = self.attached(server, path).changed(changes)
        above = self.effective(server, Path(path.ids[:-1]))
        fault = own.below(above).fault()
        if fault is not None:
            raise ContentError(fault)
        table = self._attached.pop(server, {})
        if own == NO_ATTRIBUTES:
            table.pop(path, None)
        elif path in table or len(table) < self._max_paths:
            table[path] = own
        else:
            self._attached[server] = table
            raise BusyError("attributes at too many paths", retry_after_s=RETRY_AFTER_S)
        if not table:
            return
        if len(self._attached) >= self._max_servers:
            del self._attached[next(iter(self._attached))]
        self._attached[server] = table

    def forget(self, server: Hashable) -> None:
        """Drop whatever a server has attached."""
        self._attached.pop(server, None)
