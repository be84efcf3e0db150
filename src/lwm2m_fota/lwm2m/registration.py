"""The client's side of registration: register, update, deregister (LwM2M Core 6.2; Transport 6.4.3).

`Registrar` is told what happened and says what to send next and when to look again. It sends nothing itself.
"""

from enum import Enum
from typing import Final, TypeAlias, final

import attrs

from lwm2m_fota.coap.message import Message, Options, pack_uint, path_options, sort_options
from lwm2m_fota.coap.numbers import ContentFormat, Option
from lwm2m_fota.errors import UsageError
from lwm2m_fota.lwm2m.names import check_endpoint_name
from lwm2m_fota.model.codes import Code

_UPDATE_FRACTION: Final = 0.5
_MIN_LIFETIME_S: Final = 1
_UDP: Final = "U"
_TCP: Final = "T"
_KEEP_TRYING_CODES: Final = frozenset({Code.SERVICE_UNAVAILABLE, Code.TOO_MANY_REQUESTS})


_Telling: TypeAlias = tuple[tuple[str, ...], tuple[str, ...], bytes]
"""Lifetime, binding and list of objects, as a message tells them."""


@final
class Phase(Enum):
    """Where a registration stands."""

    OUT = "out"
    REGISTERING = "registering"
    IN = "in"
    UPDATING = "updating"
    LEAVING = "leaving"


@final
@attrs.frozen(kw_only=True)
class RegistrationSettings:
    """How a client registers.

    Attributes:
        endpoint: the endpoint client name, 1 to 255 bytes of UTF-8.
        lifetime_s: registration lifetime in seconds; the update goes out at half of it.
        binding: the binding mode, a letter for each transport: `U` for UDP, which becomes `T` over TCP by itself.
        queue_mode: the client sleeps, and is asked only for a while after each of its messages.
        lwm2m_version: what `lwm2m=` says.
        retry_initial_s: wait before the first retry of a failed registration.
        retry_max_s: the wait doubles up to this, and stays there: a device without a server has nothing else to do.
        root: the path of the registration interface.
    """

    endpoint: str
    lifetime_s: int = 300
    binding: str = _UDP
    queue_mode: bool = False
    lwm2m_version: str = "1.1"
    retry_initial_s: float = 2.0
    retry_max_s: float = 120.0
    root: tuple[str, ...] = ("rd",)

    def __attrs_post_init__(self) -> None:
        check_endpoint_name(self.endpoint)
        if self.lifetime_s < _MIN_LIFETIME_S:
            raise UsageError("a lifetime is at least one second")


def spoken_over(scheme: str, settings: RegistrationSettings) -> RegistrationSettings:
    """The same settings for an endpoint that speaks a scheme: the binding says so (LwM2M Core 1.1 section 6.2.1.2)."""
    if settings.binding == _UDP and scheme.endswith("+tcp"):
        return attrs.evolve(settings, binding=_TCP)
    return settings


@final
@attrs.frozen
class RegistrationRequest:
    """What goes to the server: a method, options in order, and a payload (CoRE links) or nothing."""

    code: int
    options: Options
    payload: bytes = b""


@final
class Registrar:
    """The registration of one client at one server.

    The owner calls `poll` after every event and at `next_deadline`; a request that it returns is answered by exactly
    one `answered` or `failed`.
    """

    __slots__ = (
        "_anew", "_failures", "_lifetime_s", "_links", "_location", "_next", "_phase", "_settings", "_told", "_wanted",
    )  # fmt: skip

    def __init__(self, settings: RegistrationSettings, links: bytes, now: float) -> None:
        self._settings = settings
        self._lifetime_s = settings.lifetime_s
        self._links = links
        self._told: _Telling = ((), (), b"")
        self._phase = Phase.OUT
        self._location: tuple[str, ...] = ()
        self._next: float | None = now
        self._failures = 0
        self._wanted = True
        self._anew = False

    @property
    def phase(self) -> Phase:
        """Where the registration stands."""
        return self._phase

    @property
    def is_registered(self) -> bool:
        """True from the first 2.01 until the registration is lost or given up."""
        return self._phase in {Phase.IN, Phase.UPDATING}

    @property
    def lifetime_s(self) -> int:
        """The lifetime that the next registration message tells, seconds."""
        return self._lifetime_s

    def set_lifetime(self, lifetime_s: int, now: float) -> None:
        """Another lifetime (Object 1, resource 1), told to the server at once.

        Raises:
            UsageError: less than one second.
        """
        if lifetime_s < _MIN_LIFETIME_S:
            raise UsageError("a lifetime is at least one second")
        self._lifetime_s = lifetime_s
        self.update_now(now)

    def set_links(self, links: bytes, now: float) -> None:
        """Another list of objects, told to the server at once."""
        self._links = links
        self.update_now(now)

    def set_binding(self, binding: str, now: float, *, queue_mode: bool) -> None:
        """Another binding, or another way to sleep, told to the server at once."""
        self._settings = attrs.evolve(self._settings, binding=binding, queue_mode=queue_mode)
        self.update_now(now)

    def next_deadline(self) -> float | None:
        """When `poll` has something to send next, monotonic seconds; None while an answer is awaited."""
        return self._next

    def poll(self, now: float) -> RegistrationRequest | None:
        """The request that is due, or None."""
        if self._next is None or now < self._next:
            return None
        self._next = None
        if not self._wanted:
            return self._leave()
        if self._phase is Phase.IN:
            self._phase = Phase.UPDATING
            return self._update()
        self._phase = Phase.REGISTERING
        return self._register()

    def _register(self) -> RegistrationRequest:
        settings = self._settings
        self._anew = False
        self._told = self._telling()
        lifetime, binding, _ = self._told
        queries = (f"ep={settings.endpoint}", *lifetime, f"lwm2m={settings.lwm2m_version}", *binding)
        return RegistrationRequest(Code.POST, _options(settings.root, queries, self._links), self._links)

    def _update(self) -> RegistrationRequest:
        """Tell what has changed, and nothing else (LwM2M Core 1.1 and later, 6.2.2)."""
        (told_lifetime, told_binding, told_links), self._told = self._told, self._telling()
        lifetime, binding, _ = self._told
        queries = (*(() if lifetime == told_lifetime else lifetime), *(() if binding == told_binding else binding))
        links = b"" if self._links == told_links else self._links
        return RegistrationRequest(Code.POST, _options(self._location, queries, links), links)

    def _telling(self) -> _Telling:
        """What may change while a client is registered."""
        return (f"lt={self._lifetime_s}",), self._binding(), self._links

    def _binding(self) -> tuple[str, ...]:
        """LwM2M 1.0 writes queue mode into the binding, later versions beside it."""
        settings = self._settings
        if not settings.queue_mode:
            return (f"b={settings.binding}",)
        return (f"b={settings.binding}Q",) if settings.lwm2m_version == "1.0" else (f"b={settings.binding}", "Q")

    def _leave(self) -> RegistrationRequest | None:
        if not self._location:
            self._phase = Phase.OUT
            return None
        self._phase = Phase.LEAVING
        return RegistrationRequest(Code.DELETE, sort_options(path_options(self._location)))

    def answered(self, message: Message, now: float) -> None:
        """The server answered the last request."""
        if self._phase is Phase.LEAVING:
            self._out()
        elif self._phase is Phase.REGISTERING and message.code == Code.CREATED:
            self._location = tuple(value.decode("utf-8", "replace") for value in message.every(Option.LOCATION_PATH))
            self._in(now)
        elif self._phase is Phase.UPDATING and message.code == Code.CHANGED:
            self._in(now)
        elif self._phase is Phase.UPDATING and message.code not in _KEEP_TRYING_CODES:
            self._again(now)  # the server does not know us (4.04 and alike): a new registration at once
        else:
            self.failed(now)

    def failed(self, now: float) -> None:
        """The last request was not answered, or was refused for now: try again later, with a longer wait each time."""
        if self._phase is Phase.LEAVING:
            self._out()
            return
        self._phase = Phase.OUT
        self._location = ()
        wait = min(self._settings.retry_initial_s * 2.0**self._failures, self._settings.retry_max_s)
        self._failures = min(self._failures + 1, 16)
        self._next = now + wait

    def _in(self, now: float) -> None:
        self._phase = Phase.IN
        self._failures = 0
        if self._anew and self._wanted:
            self._again(now)
        elif self._wanted and self._telling() == self._told:
            self._next = now + self._lifetime_s * _UPDATE_FRACTION
        else:  # it is to leave, or something has changed since what was answered
            self._next = now

    def _again(self, now: float) -> None:
        self._phase = Phase.OUT
        self._location = ()
        self._next = now

    def _out(self) -> None:
        self._phase = Phase.OUT
        self._location = ()
        self._next = None

    def update_now(self, now: float) -> None:
        """Send an update at once: the server asked for it, or our address changed. Harmless while one is on its way."""
        if self._phase is Phase.IN:
            self._next = now

    def register_anew(self, now: float) -> None:
        """Forget the registration and register again: after a restart of the server, or a new list of objects."""
        if self._wanted and self._phase in {Phase.IN, Phase.OUT}:
            self._again(now)
        elif self._phase is Phase.UPDATING:
            self._anew = self._wanted  # once the answer that is awaited has come; a registration on its way is one

    def leave(self, now: float) -> None:
        """Deregister, and stay out."""
        self._wanted = False
        if self._phase in {Phase.IN, Phase.OUT}:
            self._next = now


def _options(path: tuple[str, ...], queries: tuple[str, ...], links: bytes) -> Options:
    content_format = ((int(Option.CONTENT_FORMAT), pack_uint(ContentFormat.LINK)),) if links else ()
    return sort_options(
        (*path_options(path), *content_format, *((int(Option.URI_QUERY), query.encode()) for query in queries))
    )
