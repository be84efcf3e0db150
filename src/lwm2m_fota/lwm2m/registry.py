"""The server's side of registration: who is there, where, with which objects, until when (LwM2M Core 6.2).

Pure: requests and time in, answers and events out. A registration whose lifetime has passed is removed by
`expire`, which the owner calls at `next_deadline`.
"""

import heapq
import operator
from collections.abc import Callable, Hashable, Iterator, Mapping
from enum import Enum
from typing import Any, Final, final

import attrs

from lwm2m_fota.errors import ContentError
from lwm2m_fota.lwm2m.object_list import ObjectList, read_object_list
from lwm2m_fota.lwm2m.parameters import Parameters, parse_parameters
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.firmware import FIRMWARE_OBJECT_ID
from lwm2m_fota.model.paths import Path

DEFAULT_LIFETIME_S: Final = 86400
"""LwM2M Core 6.2.1: what an absent `lt` means."""
DEFAULT_BINDING: Final = "U"
KNOWN_VERSIONS: Final = frozenset({"1.0", "1.1", "1.2"})
"""Of LwM2M."""

_HEAP_SLACK: Final = 64
_FIRST_VERSIONS: Final = frozenset({"1.0", "1.1"})
_ENDLESS: Final = float("inf")


@final
class SameName(Enum):
    """What happens when a client registers under a name whose registration from elsewhere is alive.

    By the documents a client that registers again has lost its state, and its new registration counts (Core 6.2.1).
    So has a thief of its name: where nothing but the address tells devices apart, the former may be protected.
    """

    REPLACES = "the later registration takes the place of the former"
    REFUSED = "4.03 until the former has ended"


@final
class OtherVersion(Enum):
    """What happens when a client states a version of LwM2M that is not known here (Core 1.1 and later, 6.2.1)."""

    REFUSED = "4.12"
    TAKEN = "it is served as far as it goes"


@final
class Moved(Enum):
    """What happens when an update comes from another address than the registration.

    Transport 1.1 and later, 6.4.3, have a client without security register again after such a change; many only update.
    """

    FOLLOWED = "the device is asked at its new address from then on"
    REFUSED = "4.04, upon which it registers again"


@final
@attrs.frozen(kw_only=True)
class RegistryLimits:
    """Bounds of a registry.

    Attributes:
        max_registrations: devices at a time; one more is answered 5.03.
        grace_s: how long after its lifetime a registration is still kept.
        same_name: see `SameName`.
        other_version: see `OtherVersion`.
        moved: see `Moved`.
        same_device: whether two peers are one device for `same_name`; None leaves it to whoever names the peers (see
            `ServerSettings.registry`), and takes only equal ones for one. Over UDP the host alone may decide: a device
            that restarts has another port.
    """

    max_registrations: int = 100_000
    grace_s: float = 0.0
    same_name: SameName = SameName.REPLACES
    other_version: OtherVersion = OtherVersion.REFUSED
    moved: Moved = Moved.FOLLOWED
    same_device: Callable[[Hashable, Hashable], bool] | None = None


@final
@attrs.frozen(kw_only=True)
class Registration:
    """One registered client.

    Attributes:
        id: the server's name of this registration, the last segment of its location.
        endpoint: the endpoint client name.
        peer: where it is reached (transport address).
        lifetime_s: seconds; 0 means without end.
        binding: a letter for each transport, as sent; `U` if absent.
        queue_mode: the client sleeps, and is asked only while it is awake.
        sms: the number for the SMS binding; empty if absent.
        lwm2m_version: as sent; `1.0` if absent.
        objects: version by object id, of all objects in the list; None where the list shows none.
        instances: the instances in the list.
        root: the segments of the alternate path below which the client has its objects; mostly none.
        formats: the content formats that the client lists as supported; mostly none.
        expires_at: monotonic seconds; infinite for a lifetime without end.
        epoch: ascends with every registration and change of address since the start of the server: a larger one
            means that all observations from before are gone.
    """

    id: str
    endpoint: str
    peer: Hashable
    lifetime_s: int
    binding: str = DEFAULT_BINDING
    queue_mode: bool = False
    sms: str = ""
    lwm2m_version: str
    objects: Mapping[int, str | None]
    instances: tuple[Path, ...]
    root: tuple[str, ...]
    formats: frozenset[int] = frozenset()
    expires_at: float
    epoch: int

    @property
    def object_versions(self) -> dict[int, str]:
        """The version of every object in the list; where the list shows none, what LwM2M says for its own version.

        That is 1.0, but for Object 5 of a client of LwM2M 1.2, whose Appendix E lists 1.1.
        """
        own = {FIRMWARE_OBJECT_ID: "1.1"} if self.lwm2m_version not in _FIRST_VERSIONS else {}
        return {each: version or own.get(each, "1.0") for each, version in self.objects.items()}

    @property
    def longest_sleep_s(self) -> int:
        """How long it may be silent in queue mode: its lifetime, or the default one if that is endless.

        0 if it does not sleep.
        """
        return (self.lifetime_s or DEFAULT_LIFETIME_S) if self.queue_mode else 0


@final
@attrs.frozen
class Registered:
    """A client registered; `replaced` is its former registration, if it had one."""

    registration: Registration
    replaced: Registration | None = None


@final
@attrs.frozen
class Updated:
    """A client updated its registration; `moved` if its address changed: notifications would come from elsewhere."""

    registration: Registration
    moved: bool


@final
@attrs.frozen
class Removed:
    """A client is gone: `expired`, or it said so itself."""

    registration: Registration
    expired: bool


RegistryEvent = Registered | Updated | Removed


@final
@attrs.frozen
class RegistryAnswer:
    """A code, the location of a new registration, and what happened."""

    code: int
    location_id: str | None = None
    events: tuple[RegistryEvent, ...] = ()
    diagnostic: str = ""


@final
class Registry:
    """All registrations of one server."""

    __slots__ = ("_by_endpoint", "_by_id", "_by_peer", "_deadlines", "_epochs", "_limits")

    def __init__(self, limits: RegistryLimits | None = None) -> None:
        self._limits = limits or RegistryLimits()
        self._by_id: dict[str, Registration] = {}
        self._by_endpoint: dict[str, Registration] = {}
        self._by_peer: dict[Hashable, dict[str, Registration]] = {}  # several clients may share an address
        self._epochs = 0
        self._deadlines: list[tuple[float, str]] = []  # a heap; entries that no longer hold are skipped

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Registration]:
        return iter(tuple(self._by_id.values()))

    def get(self, endpoint: str) -> Registration | None:
        """The registration of an endpoint, if it is there."""
        return self._by_endpoint.get(endpoint)

    def find(self, registration_id: str) -> Registration | None:
        """The registration under an id, if it is there."""
        return self._by_id.get(registration_id)

    def at(self, peer: Hashable) -> Registration | None:
        """The registration that was made or updated last from an address."""
        there = self._by_peer.get(peer)
        return None if there is None else next(reversed(there.values()))

    def register(
        self, peer: Hashable, queries: tuple[str, ...], links: bytes, *, new_id: str, now: float
    ) -> RegistryAnswer:
        """Take a registration request.

        Args:
            peer: where it came from.
            queries: see `Parameters`.
            links: the payload, CoRE link format.
            new_id: a fresh, unguessable id.
            now: monotonic seconds.
        """
        try:
            given, listed = parse_parameters(queries), read_object_list(links)
        except ContentError as error:
            return RegistryAnswer(Code.BAD_REQUEST, diagnostic=str(error))
        endpoint = given.endpoint
        if endpoint is None:
            return RegistryAnswer(Code.BAD_REQUEST, diagnostic="ep is missing")
        former = self._by_endpoint.get(endpoint)
        refusal = self._refusal(given, links, former, peer)
        if refusal is not None:
            return refusal
        self._epochs += 1
        lifetime_s = DEFAULT_LIFETIME_S if given.lifetime_s is None else given.lifetime_s
        registration = Registration(
            id=new_id,
            endpoint=endpoint,
            peer=peer,
            lifetime_s=lifetime_s,
            binding=given.binding or DEFAULT_BINDING,
            queue_mode=bool(given.queue_mode),
            sms=given.sms or "",
            lwm2m_version=given.lwm2m_version or "1.0",
            **_listed(listed),
            expires_at=self._end_of(lifetime_s, now),
            epoch=self._epochs,
        )
        if former is not None:
            self._drop(former)
        self._put(registration)
        return RegistryAnswer(Code.CREATED, new_id, (Registered(registration, former),))

    def _refusal(
        self, given: Parameters, links: bytes, former: Registration | None, peer: Hashable
    ) -> RegistryAnswer | None:
        """Why a registration that can be read is not taken; None if it is."""
        limits = self._limits
        version = given.lwm2m_version or "1.0"
        if version not in KNOWN_VERSIONS and limits.other_version is OtherVersion.REFUSED:
            return RegistryAnswer(Code.PRECONDITION_FAILED, diagnostic=f"LwM2M {version} is not known here")
        if given.has_profile and not links:
            return RegistryAnswer(Code.CONFLICT, diagnostic="profiles are not known here: send the list of objects")
        if former is None and len(self._by_id) >= limits.max_registrations:
            return RegistryAnswer(Code.SERVICE_UNAVAILABLE, diagnostic="too many registrations")
        same_device = limits.same_device or operator.eq
        if former is not None and limits.same_name is SameName.REFUSED and not same_device(former.peer, peer):
            return RegistryAnswer(Code.FORBIDDEN, diagnostic="this name is registered from elsewhere")
        return None

    def _end_of(self, lifetime_s: int, now: float) -> float:
        return now + lifetime_s + self._limits.grace_s if lifetime_s else _ENDLESS

    def update(
        self, registration_id: str, peer: Hashable, queries: tuple[str, ...], links: bytes, now: float
    ) -> RegistryAnswer:
        """Take a registration update; an unknown id is answered 4.04, and the client registers anew."""
        former = self._by_id.get(registration_id)
        moved = former is not None and peer != former.peer
        if former is None or (moved and self._limits.moved is Moved.REFUSED):
            return RegistryAnswer(Code.NOT_FOUND)
        try:
            given = parse_parameters(queries)
            listed = _listed(read_object_list(links)) if links else {}
        except ContentError as error:
            return RegistryAnswer(Code.BAD_REQUEST, diagnostic=str(error))
        self._epochs += moved
        lifetime_s = former.lifetime_s if given.lifetime_s is None else given.lifetime_s
        registration = attrs.evolve(
            former,
            peer=peer,
            lifetime_s=lifetime_s,
            binding=given.binding or former.binding,
            queue_mode=former.queue_mode if given.queue_mode is None else given.queue_mode,
            sms=former.sms if given.sms is None else given.sms,
            **listed,
            expires_at=self._end_of(lifetime_s, now),
            epoch=self._epochs if moved else former.epoch,
        )
        self._drop(former)
        self._put(registration)
        return RegistryAnswer(Code.CHANGED, events=(Updated(registration, moved),))

    def deregister(self, registration_id: str) -> RegistryAnswer:
        """Take a deregistration."""
        former = self._by_id.get(registration_id)
        if former is None:
            return RegistryAnswer(Code.NOT_FOUND)
        self._drop(former)
        return RegistryAnswer(Code.DELETED, events=(Removed(former, expired=False),))

    def next_deadline(self) -> float | None:
        """When the next registration lapses, monotonic seconds."""
        heap = self._deadlines
        while heap and not self._holds(*heap[0]):
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def expire(self, now: float) -> tuple[Removed, ...]:
        """Remove what has lapsed."""
        removed: list[Removed] = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            registration = self._by_id[heapq.heappop(self._deadlines)[1]]
            self._drop(registration)
            removed.append(Removed(registration, expired=True))
        return tuple(removed)

    def _holds(self, deadline: float, registration_id: str) -> bool:
        registration = self._by_id.get(registration_id)
        return registration is not None and registration.expires_at == deadline

    def _put(self, registration: Registration) -> None:
        self._by_id[registration.id] = registration
        self._by_endpoint[registration.endpoint] = registration
        self._by_peer.setdefault(registration.peer, {})[registration.id] = registration
        if registration.expires_at == _ENDLESS:
            return
        heapq.heappush(self._deadlines, (registration.expires_at, registration.id))
        if len(self._deadlines) > 2 * len(self._by_id) + _HEAP_SLACK:
            self._deadlines = [(each.expires_at, each.id) for each in self._by_id.values()]
            heapq.heapify(self._deadlines)

    def _drop(self, registration: Registration) -> None:
        del self._by_id[registration.id]
        del self._by_endpoint[registration.endpoint]
        there = self._by_peer[registration.peer]
        del there[registration.id]
        if not there:
            del self._by_peer[registration.peer]


def _listed(objects: ObjectList) -> dict[str, Any]:
    """The fields of a registration that come from its object list."""
    return {field.name: getattr(objects, field.name) for field in attrs.fields(ObjectList)}
