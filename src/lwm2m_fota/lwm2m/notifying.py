"""What observers are told, and when: observations, the attributes that servers attach, and notifications."""

from collections.abc import Callable, Hashable, Iterable
from typing import final

import attrs

from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.coap.message import pack_uint
from lwm2m_fota.coap.numbers import Option
from lwm2m_fota.content.values import is_single
from lwm2m_fota.errors import ContentError, FotaError
from lwm2m_fota.lwm2m.attributes import (
    NO_ATTRIBUTES,
    Attributes,
    AttributeTable,
    Changes,
    check_place,
    is_attribute,
    parse_changes,
)
from lwm2m_fota.lwm2m.observers import Observer, ObserverTable
from lwm2m_fota.lwm2m.reading import ObjectReader
from lwm2m_fota.lwm2m.responses import content_format_option, cut, error_response
from lwm2m_fota.lwm2m.watching import Rules
from lwm2m_fota.model.codes import is_success
from lwm2m_fota.model.paths import MAX_PARTS, Path
from lwm2m_fota.model.registry import Definitions
from lwm2m_fota.model.resources import Operations

ServerOf = Callable[[Hashable], Hashable]
"""The server behind a peer: what it attaches counts for it alone, wherever it asks from."""

DefaultsOf = Callable[[Hashable], Attributes]
"""The attributes of a server that has attached none: the default periods of its Object 1."""


@final
@attrs.frozen
class Notification:
    """One notification to send.

    Attributes:
        peer: to whom.
        token: of the observation.
        response: what it says; an error code ends the observation.
        confirmable: the server asked for that; if false the client may choose.
    """

    peer: Hashable
    token: bytes
    response: Response
    confirmable: bool


@final
class Notifier:
    """The observations of one client.

    Args:
        reader: reads the objects.
        definitions: of these.
        max_observers: observations at a time.
        max_szx: the largest block of a notification, as exponent.
        server_of: see `ServerOf`.
        defaults: see `DefaultsOf`.

    Attributes:
        observers: who observes.
        attributes: what servers have attached.
    """

    __slots__ = ("_defaults", "_definitions", "_max_szx", "_reader", "_server_of", "attributes", "observers")

    def __init__(
        self,
        reader: ObjectReader,
        definitions: Definitions,
        max_observers: int,
        max_szx: int,
        server_of: ServerOf,
        defaults: DefaultsOf,
    ) -> None:
        self._reader = reader
        self._definitions = definitions
        self._max_szx = max_szx
        self._server_of = server_of
        self._defaults = defaults
        self.observers = ObserverTable(max_observers)
        self.attributes = AttributeTable()

    # -- attributes

    def write_attributes(self, peer: Hashable, path: Path, queries: tuple[str, ...], now: float) -> None:
        """Attach attributes to a path, or take them off.

        Raises:
            ContentError: they are not known, not for this path, or contradict each other; nothing has changed.
            RefusedError: the server may not read it, or has attached to too many paths; 4.04 for a resource instance
                that is not there.
        """
        server = self._server_of(peer)
        self._reader.permit(server, path, Operations.READ)
        if len(path.ids) == MAX_PARTS:
            self._reader.entries(path, now)
        changes = parse_changes(queries)
        check_place(changes, path, self._definitions.resource(path))
        self.attributes.write(server, path, changes)

    def own_attributes(self, paths: tuple[Path, ...], queries: tuple[str, ...]) -> Changes:
        """The attributes that come with an Observe (LwM2M Core 1.2, 6.4.1); other parameters are passed over.

        Raises:
            ContentError: they are not for one of these paths, or contradict each other.
        """
        changes = parse_changes(filter(is_attribute, queries))
        for path in paths:
            check_place(changes, path, self._definitions.resource(path))
        fault = NO_ATTRIBUTES.changed(changes).fault()
        if fault is not None:
            raise ContentError(fault)
        return changes

    def attached(self, peer: Hashable, path: Path, target: Path) -> Attributes:
        """What Discover of `target` shows at a path: what is attached there, and at the target what it inherits too."""
        server = self._server_of(peer)
        return self.attributes.effective(server, path) if path == target else self.attributes.attached(server, path)

    # -- observations

    def observe(self, observer: Observer, now: float) -> bool:
        """Take an observation, whose present values are about to be answered; False if there is no room."""
        return self.observers.add(observer, self._rules(observer), now, self._number_at(now))

    def changed(self, paths: Iterable[Path]) -> None:
        """Note what has new values, in the order in which observers must hear of it."""
        self.observers.changed(paths)

    def take(self, now: float) -> list[Notification]:
        """The notifications that are due now; an observation of what can no longer be read ends with its error."""
        due = self.observers.take_due(now, self._rules, self._number_at(now))
        return [self._notification(observer, rules, now) for observer, rules in due]

    def next_deadline(self) -> float | None:
        """When `take` has something to do, monotonic seconds; None if only a change can make it so."""
        return self.observers.next_deadline(self._rules)

    def sequence_option(self) -> tuple[int, bytes]:
        """The Observe option of an answer or a notification."""
        return int(Option.OBSERVE), pack_uint(self.observers.next_sequence())

    def _notification(self, observer: Observer, rules: Rules, now: float) -> Notification:
        server = self._server_of(observer.peer)
        try:
            body, content_format = (
                self._reader.render_several(server, observer.paths, observer.accept, now)
                if observer.composite
                else self._reader.render(server, observer.paths[0], observer.accept, now)
            )
            options = (self.sequence_option(), content_format_option(content_format))
            szx = self._max_szx if observer.szx is None else min(observer.szx, self._max_szx)
            response = cut(None, body, options, szx)
        except FotaError as error:
            response = error_response(error)
        if not is_success(response.code):
            self.observers.remove(observer.peer, observer.token)
        return Notification(observer.peer, observer.token, response, rules.confirmable)

    def _number_at(self, now: float) -> Callable[[Path], int | float | None]:
        return lambda path: self._reader.number(path, now)

    # -- rules

    def _rules(self, observer: Observer) -> Rules:
        server = self._server_of(observer.peer)
        default = self._defaults(server)
        each = {path: self.attributes.effective(server, path, default) for path in observer.paths}
        if observer.composite:
            whole = default.changed(observer.own) if observer.own else _together(each.values())
        else:
            whole = each[observer.paths[0]].changed(observer.own)
            each = {observer.paths[0]: whole}
        thresholds = {path: one for path, one in each.items() if one.has_thresholds and self._is_number(path)}
        return Rules(whole, thresholds)

    def _is_number(self, path: Path) -> bool:
        return is_single(path, self._definitions.resource(path))


def _together(every: Iterable[Attributes]) -> Attributes:
    """The periods of an observation of several paths: as rare as the rarest wants, and as confirmable."""
    found = tuple(every)

    def values(name: str) -> Iterable[int | float]:
        return (value for one in found if (value := getattr(one, name)))

    return Attributes(
        pmin=max(values("pmin"), default=None),
        pmax=min(values("pmax"), default=None),
        epmin=max(values("epmin"), default=None),
        epmax=min(values("epmax"), default=None),
        con=max(values("con"), default=None),
    )
