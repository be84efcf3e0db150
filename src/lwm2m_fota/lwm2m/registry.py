"""The server's side of registration: who is there, where, with which objects, until when (LwM2M Core 6.2).

Pure: requests and time in, answers and events out. A registration whose lifetime has passed is removed by
`expire`, which the owner calls at `next_deadline`.
"""

import heapq
from collections.abc import Hashable, Iterator, Mapping
from typing import Final, final

import attrs

from lwm2m_fota.content.link import Link, parse_links
from lwm2m_fota.errors import ContentError
from lwm2m_fota.lwm2m.names import is_endpoint_name
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.firmware import FIRMWARE_OBJECT_ID
from lwm2m_fota.model.paths import Path

DEFAULT_LIFETIME_S: Final = 86400
"""LwM2M Core 6.2.1: what an absent `lt` means."""
_MAX_LIFETIME_S: Final = 2**32 - 1
_HEAP_SLACK: Final = 64
_FIRST_VERSIONS: Final = frozenset({"1.0", "1.1"})


@final
@attrs.frozen(kw_only=True)
class RegistryLimits:
    """Bounds of a registry.

    Attributes:
        max_registrations: devices at a time; one more is answered 5.03.
        grace_s: how long after its lifetime a registration is still kept.
    """

    max_registrations: int = 100_000
    grace_s: float = 0.0


@final
@attrs.frozen(kw_only=True)
class Registration:
    """One registered client.

    Attributes:
        id: the server's name of this registration, the last segment of its location.
        endpoint: the endpoint client name.
        peer: where it is reached (transport address).
        lifetime_s: seconds.
        binding: binding mode as sent.
        lwm2m_version: as sent; `1.0` if absent.
        objects: version by object id, of all objects in the list; None where the list shows none.
        instances: the instances in the list.
        root: the segments of the alternate path below which the client has its objects; mostly none.
        expires_at: monotonic seconds.
        epoch: ascends with every registration and change of address since the start of the server: a larger one
            means that all observations from before are gone.
    """

    id: str
    endpoint: str
    peer: Hashable
    lifetime_s: int
    binding: str
    lwm2m_version: str
    objects: Mapping[int, str | None]
    instances: tuple[Path, ...]
    root: tuple[str, ...]
    expires_at: float
    epoch: int

    @property
    def object_versions(self) -> dict[int, str]:
        """The version of every object in the list; where the list shows none, what LwM2M says for its own version.

        That is 1.0, but for Object 5 of a client of LwM2M 1.2, whose Appendix E lists 1.1.
        """
        own = {FIRMWARE_OBJECT_ID: "1.1"} if self.lwm2m_version not in _FIRST_VERSIONS else {}
        return {each: version or own.get(each, "1.0") for each, version in self.objects.items()}


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

    __slots__ = ("_by_endpoint", "_by_id", "_deadlines", "_epochs", "_limits")

    def __init__(self, limits: RegistryLimits | None = None) -> None:
        self._limits = limits or RegistryLimits()
        self._by_id: dict[str, Registration] = {}
        self._by_endpoint: dict[str, Registration] = {}
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

    def register(
        self, peer: Hashable, queries: tuple[str, ...], links: bytes, *, new_id: str, now: float
    ) -> RegistryAnswer:
        """Take a registration request.

        Args:
            peer: where it came from.
            queries: `ep`, `lt`, `lwm2m`, `b`; others are ignored.
            links: the payload, CoRE link format.
            new_id: a fresh, unguessable id.
            now: monotonic seconds.
        """
        try:
            arguments = _arguments(queries)
            endpoint = arguments.get("ep", "")
            lifetime = _lifetime(arguments.get("lt"), DEFAULT_LIFETIME_S)
            objects, instances = read_object_list(links)
            root = alternate_root(links)
        except ContentError as error:
            return RegistryAnswer(Code.BAD_REQUEST, diagnostic=str(error))
        if not is_endpoint_name(endpoint):
            return RegistryAnswer(Code.BAD_REQUEST, diagnostic="ep is missing or too long")
        former = self._by_endpoint.get(endpoint)
        if former is None and len(self._by_id) >= self._limits.max_registrations:
            return RegistryAnswer(Code.SERVICE_UNAVAILABLE, diagnostic="too many registrations")
        self._epochs += 1
        registration = Registration(
            id=new_id,
            endpoint=endpoint,
            peer=peer,
            lifetime_s=lifetime,
            binding=arguments.get("b", "U"),
            lwm2m_version=arguments.get("lwm2m", "1.0"),
            objects=objects,
            instances=instances,
            root=root,
            expires_at=now + lifetime + self._limits.grace_s,
            epoch=self._epochs,
        )
        if former is not None:
            del self._by_id[former.id]
        self._put(registration)
        return RegistryAnswer(Code.CREATED, new_id, (Registered(registration, former),))

    def update(
        self, registration_id: str, peer: Hashable, queries: tuple[str, ...], links: bytes, now: float
    ) -> RegistryAnswer:
        """Take a registration update; an unknown id is answered 4.04, and the client registers anew."""
        former = self._by_id.get(registration_id)
        if former is None:
            return RegistryAnswer(Code.NOT_FOUND)
        try:
            arguments = _arguments(queries)
            lifetime = _lifetime(arguments.get("lt"), former.lifetime_s)
            objects, instances = read_object_list(links) if links else (former.objects, former.instances)
            root = alternate_root(links) if links else former.root
        except ContentError as error:
            return RegistryAnswer(Code.BAD_REQUEST, diagnostic=str(error))
        moved = peer != former.peer
        self._epochs += moved
        registration = attrs.evolve(
            former,
            peer=peer,
            lifetime_s=lifetime,
            binding=arguments.get("b", former.binding),
            objects=objects,
            instances=instances,
            root=root,
            expires_at=now + lifetime + self._limits.grace_s,
            epoch=self._epochs if moved else former.epoch,
        )
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
        heapq.heappush(self._deadlines, (registration.expires_at, registration.id))
        if len(self._deadlines) > 2 * len(self._by_id) + _HEAP_SLACK:
            self._deadlines = [(each.expires_at, each.id) for each in self._by_id.values()]
            heapq.heapify(self._deadlines)

    def _drop(self, registration: Registration) -> None:
        del self._by_id[registration.id]
        del self._by_endpoint[registration.endpoint]


def _arguments(queries: tuple[str, ...]) -> dict[str, str]:
    arguments: dict[str, str] = {}
    for query in queries:
        name, _, value = query.partition("=")
        if name in arguments:
            raise ContentError(f"{name} is given twice")
        arguments[name] = value
    return arguments


def _lifetime(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or not 1 <= int(text) <= _MAX_LIFETIME_S:  # noqa: PLR2004 - digits of 2**32
        raise ContentError(f"not a lifetime: lt={text[:20]}")
    return int(text)


def read_object_list(links: bytes) -> tuple[dict[int, str | None], tuple[Path, ...]]:
    """The objects (with the version shown, if any) and the instances of a registration payload.

    An alternate path (`rt="oma.lwm2m"` on another root) is taken off. Links that are no LwM2M paths are ignored.

    Raises:
        ContentError: not link format.
    """
    parsed = parse_links(links)
    root = _alternate_root(parsed)
    objects: dict[int, str | None] = {}
    instances: list[Path] = []
    for link in parsed:
        path = _path_below(link.target, root)
        if path is None or path.object_id is None:
            continue
        version = link.attribute("ver")
        if path.instance_id is None:
            objects[path.object_id] = version
        elif path.resource_id is None:
            objects.setdefault(path.object_id, version)
            instances.append(path)
    return objects, tuple(sorted(instances))


def alternate_root(links: bytes) -> tuple[str, ...]:
    """The segments of the alternate path of a registration payload (`rt="oma.lwm2m"`); none for most.

    Raises:
        ContentError: not link format.
    """
    return tuple(filter(None, _alternate_root(parse_links(links)).split("/")))


def _alternate_root(links: tuple[Link, ...]) -> str:
    return next((link.target.rstrip("/") for link in links if link.attribute("rt") == "oma.lwm2m"), "")


def _path_below(target: str, root: str) -> Path | None:
    if not target.startswith(root + "/"):
        return None
    try:
        return Path.parse(target[len(root) :])
    except ValueError:
        return None
