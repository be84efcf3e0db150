"""SUIT as a package format: an envelope, and behind it the payloads that are not in it.

A payload that is detached is part of the package all the same: it follows the envelope, in the order in which the
manifest fetches them, each with the length that the manifest says.
"""

from collections import deque
from collections.abc import Mapping
from typing import ClassVar, Final, assert_never, final

import attrs

from lwm2m_fota.package.formats.base import PackageContext, PackageParser
from lwm2m_fota.package.formats.suit.content import Decrypted, Fetched, NewContent, Written, is_integrated
from lwm2m_fota.package.formats.suit.envelope import (
    PREFIX_BYTES,
    Behind,
    EnvelopeReader,
    Member,
    Payload,
    Piece,
    is_envelope,
)
from lwm2m_fota.package.formats.suit.limits import DEFAULT_LIMITS, SuitLimits
from lwm2m_fota.package.formats.suit.machine import Surroundings
from lwm2m_fota.package.formats.suit.manifest import Manifest
from lwm2m_fota.package.formats.suit.members import Intake, Opened, judge_of
from lwm2m_fota.package.formats.suit.payloads import Opener, PayloadCheck, check_written
from lwm2m_fota.package.formats.suit.plan import Place, Plan, make_plan
from lwm2m_fota.package.formats.suit.reading import id_text, malformed, too_much, unsupported
from lwm2m_fota.package.formats.suit.resolution import Resolution, Resolved, is_inner
from lwm2m_fota.package.formats.suit.text import version_of
from lwm2m_fota.package.rollback import Counted, Counter
from lwm2m_fota.package.trust import UnsafeChoice
from lwm2m_fota.package.types import Check, Component, Envelope, Verdict
from lwm2m_fota.package.verdicts import Refusal, refusal_error

_NO_NUMBERS: Final[Mapping[str, int]] = {}
_NO_DIGESTS: Final[Mapping[str, bytes]] = {}


@final
@attrs.frozen(kw_only=True)
class SuitFormat:
    """SUIT envelopes (draft-ietf-suit-manifest-37).

    Attributes:
        limits: how much a package may ask for.
        slots: by the name of a component, the number of its place that an update goes to; conditions on the slot of a
            component that is not here do not hold.
        held: by the name of a component, the SHA-256 digest of what it holds now; conditions on what a component holds
            that is not here do not hold.
    """

    name: ClassVar[str] = "suit"
    prefix_bytes: ClassVar[int] = PREFIX_BYTES

    limits: SuitLimits = DEFAULT_LIMITS
    slots: Mapping[str, int] = attrs.field(default=_NO_NUMBERS, converter=dict)
    held: Mapping[str, bytes] = attrs.field(default=_NO_DIGESTS, converter=dict)

    def sniff(self, prefix: bytes) -> bool:
        """Whether it begins as an envelope does, with its tag or without."""
        return is_envelope(prefix)

    def open(self, context: PackageContext) -> PackageParser:
        """Begin a package."""
        return _SuitParser(self, context)


@final
@attrs.frozen
class _Update:
    """What the members of the envelopes come to."""

    resolved: Resolved
    plan: Plan
    opener: Opener


@final
class _Holding:
    """An envelope on its way that another one depends on."""

    __slots__ = ("content", "data", "missing_bytes", "offset_bytes")

    def __init__(self, content: Fetched, payload: Payload) -> None:
        self.content = content
        self.offset_bytes = payload.offset_bytes
        self.missing_bytes = payload.length_bytes
        self.data = bytearray()

    def update(self, data: memoryview) -> None:
        self.data += data
        self.missing_bytes -= len(data)


@final
class _SuitParser:
    __slots__ = (
        "_awaited", "_coming", "_context", "_end", "_format", "_intake", "_missing", "_opened", "_places", "_reader",
        "_resolution", "_update",
    )  # fmt: skip

    def __init__(self, known: SuitFormat, context: PackageContext) -> None:
        self._format = known
        self._context = context
        self._reader = EnvelopeReader(known.limits)
        self._intake = Intake(judge_of(context.trust, context.ring.now), context.trust.cose_rules, known.limits)
        self._opened: Opened | None = None
        self._resolution: Resolution | None = None
        self._awaited: deque[tuple[str, int]] = deque()  # detached payloads that have not begun, with their lengths
        self._missing: Fetched | None = None  # the next envelope that the first one depends on
        self._update: _Update | None = None
        self._places: dict[Place, Payload] = {}
        self._coming: PayloadCheck | _Holding | None = None
        self._end = 0  # of the last detached payload that has begun

    def feed(self, data: memoryview) -> int:
        for event in self._reader.feed(data):
            match event:
                case Member():
                    self._intake.take(event)
                case Payload():
                    self._begin(event)
                case Piece(piece):
                    self._take(piece)
                case Behind(rest):
                    self._take_detached(rest)
                case _ as never:
                    assert_never(never)
        if self._reader.is_complete:
            self._run()
        return 0

    @property
    def awaited_uri(self) -> str | None:
        """The next payload that is detached."""
        if not self._reader.is_complete or self._is_amid:
            return None
        return self._awaited[0][0] if self._awaited else None

    @property
    def _is_amid(self) -> bool:
        return self._coming is not None and self._coming.missing_bytes > 0

    def finish(self) -> Verdict:
        if not self._reader.is_complete:
            raise refusal_error(Refusal.TRUNCATED, "the envelope ends within a member")
        if self._coming is not None and self._is_amid:
            raise refusal_error(Refusal.TRUNCATED, f"{self._coming.missing_bytes} bytes of a payload are missing")
        if self._update is None:
            uri = "" if self._missing is None else self._missing.uri
            raise refusal_error(Refusal.TRUNCATED, f"payload {uri} is not there")
        for place in self._update.plan.payloads:
            if place not in self._places:
                raise refusal_error(Refusal.TRUNCATED, f"payload {place[1]} is not there")
        return self._verdict(self._update)

    # Manifests.

    def _run(self) -> None:
        """All members have come: run the commands, as far as the manifests are there that the first one depends on."""
        if self._update is not None or self._missing is not None or self._is_amid:
            return
        trust, limits = self._context.trust, self._format.limits
        if self._resolution is None:
            self._opened = self._intake.finish()
            surroundings = Surroundings(
                identity=trust.identity,
                is_any_device=UnsafeChoice.ANY_DEVICE in trust.unsafe,
                slots=self._format.slots,
                held=self._format.held,
            )
            judge = judge_of(trust, self._context.ring.now)
            self._resolution = Resolution(self._opened, surroundings, judge, trust.cose_rules, limits)
        resolved = self._resolution.advance()
        if isinstance(resolved, Fetched):
            self._missing = resolved
            self._await(resolved.uri, resolved.size_bytes)
            return
        plan = make_plan(resolved.state, tuple(resolved.origins))
        opener = Opener(plan, trust, limits)
        self._update = _Update(resolved, plan, opener)
        trust.check_claims(resolved.state.made_for, _counters(self._update, self._resolution.first))
        check_written(opener)
        for place, size in plan.payloads.items():
            if is_inner(place):
                self._check_inner(place, opener, self._resolution)
            else:
                self._await(place[1], size)

    def _check_inner(self, place: Place, opener: Opener, resolution: Resolution) -> None:
        """Judge a payload that lies in an envelope that is held."""
        found = resolution.inner(place)
        if found is None:
            raise refusal_error(Refusal.TRUNCATED, f"payload {place[1]} is not there")
        data, offset = found
        PayloadCheck(place, len(data), opener).update(data)
        self._places[place] = Payload(place[1], offset, len(data))

    # Payloads.

    def _begin(self, payload: Payload) -> None:
        """A payload of the first envelope, or a detached one, comes next."""
        self._run()
        end, told = payload.offset_bytes + payload.length_bytes, self._context.expected_size_bytes
        if end > self._context.trust.max_package_bytes:
            raise refusal_error(Refusal.TOO_LARGE, f"payload {payload.name} ends at {end} bytes")
        if told is not None and end > told:
            raise refusal_error(Refusal.TRUNCATED, f"payload {payload.name} ends at {end} bytes, in a file of {told}")
        if self._update is not None:
            self._coming = PayloadCheck(((), payload.name), payload.length_bytes, self._update.opener)
            self._places[(), payload.name] = payload
            return
        if self._missing is None or self._missing.uri != payload.name:
            if self._missing is not None and _precedes(self._missing.uri, payload.name):
                raise refusal_error(Refusal.TRUNCATED, f"payload {self._missing.uri} is not there")
            raise unsupported(f"payload {payload.name}, which comes before the manifests that tell what it is")
        most = self._format.limits.max_held_bytes
        if payload.length_bytes > most:
            raise too_much(f"envelope {payload.name}", payload.length_bytes, "max_held_bytes", most)
        self._coming = _Holding(self._missing, payload)

    def _take(self, data: memoryview) -> None:
        if self._coming is None:
            raise AssertionError
        self._coming.update(data)
        if isinstance(self._coming, _Holding) and not self._is_amid and self._resolution is not None:
            self._resolution.adopt(self._coming.content, bytes(self._coming.data), self._coming.offset_bytes)
            self._coming = self._missing = None

    def _take_detached(self, data: memoryview) -> None:
        """Bytes behind the envelope."""
        while data:
            if self._coming is None or not self._is_amid:
                self._begin(self._next_detached())
                continue
            part = data[: self._coming.missing_bytes]
            self._take(part)
            data = data[len(part) :]

    def _next_detached(self) -> Payload:
        self._run()
        if not self._awaited:
            raise malformed("bytes follow the envelope and its payloads")
        uri, size = self._awaited.popleft()
        begin = self._end or self._reader.position
        self._end = begin + size
        return Payload(uri, begin, size)

    def _await(self, uri: str, size: int | None) -> None:
        """A payload is needed; one that lies in an envelope comes without being awaited."""
        if is_integrated(uri):
            return
        if size is None:
            raise unsupported(f"payload {uri}, whose length the manifest does not say")
        self._awaited.append((uri, size))

    # What is told.

    def _verdict(self, update: _Update) -> Verdict:
        if self._opened is None:
            raise AssertionError
        manifest = self._opened.manifest
        components = tuple(self._component(update, name, content) for name, content in update.plan.installs.items())
        is_decrypted = any(isinstance(each, Decrypted) for each in update.plan.contents)
        return Verdict(
            components=components,
            version=components[0].version if len(components) == 1 else None,
            name=None if manifest.component_id is None else id_text(manifest.component_id),
            counters=_counters(update, manifest),
            made_for=update.resolved.state.made_for,
            authentication=self._opened.authentication,
            checks={Check.DIGEST, Check.DECRYPTION} if is_decrypted else {Check.DIGEST},
            limits=attrs.asdict(self._format.limits),
        )

    def _component(self, update: _Update, name: str, content: NewContent) -> Component:
        inner = content.of if isinstance(content, Decrypted) else content
        offset, length = self._place(inner)
        origin, envelope = update.resolved.origins[name], None
        if isinstance(content, Decrypted):
            cipher = update.opener.opened[content]
            envelope = Envelope(offset_bytes=offset, length_bytes=length, cipher=cipher)
            offset, length = 0, envelope.content_bytes
        return Component(
            name=name,
            version=version_of(origin.manifest.text, origin.id),
            offset_bytes=offset,
            length_bytes=length,
            envelope=envelope,
        )

    def _place(self, content: Written | Fetched) -> tuple[int, int]:
        """Where something begins in the file, and how long it is."""
        if isinstance(content, Fetched):
            place = self._places[content.home, content.uri]
            return place.offset_bytes, place.length_bytes
        if self._resolution is None:
            raise AssertionError
        return self._resolution.find(content.data), len(content.data)


def _counters(update: _Update, first: Manifest) -> tuple[Counter, ...]:
    """Every sequence number that tells whether this is older than something else, the first manifest's in any case."""
    origins = {name: update.resolved.origins[name].manifest for name in update.plan.installs}
    found = [Counter(name, origin.sequence_number) for name, origin in origins.items()]
    found += [Counter(name, number, Counted.MANIFEST) for name, number in update.resolved.numbers.items()]
    if first.component_id is None:
        others = (name for name, origin in origins.items() if origin is not first)
        found += [Counter(name, first.sequence_number, Counted.ROOT) for name in others]
    return tuple(found)


def _precedes(uri: str, other: str) -> bool:
    """Whether a payload of the envelope would have come before another one: names are in the order of their bytes."""
    first, second = uri.encode(), other.encode()
    return is_integrated(uri) and (len(first), first) < (len(second), second)
