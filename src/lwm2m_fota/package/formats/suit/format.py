"""SUIT as a package format: an envelope, and behind it the payloads that are not in it.

A payload that is detached is part of the package all the same: it follows the envelope, in the order in which the
manifest fetches them, each with the length that the manifest says.
"""

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
from lwm2m_fota.package.formats.suit.machine import MachineState, Surroundings
from lwm2m_fota.package.formats.suit.manifest import Manifest
from lwm2m_fota.package.formats.suit.members import Intake, Opened, judge_of
from lwm2m_fota.package.formats.suit.payloads import Opener, PayloadCheck, check_written
from lwm2m_fota.package.formats.suit.plan import Plan, make_plan
from lwm2m_fota.package.formats.suit.processor import Processor
from lwm2m_fota.package.formats.suit.reading import id_text, malformed, unsupported
from lwm2m_fota.package.formats.suit.text import version_of
from lwm2m_fota.package.rollback import Counter
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
@attrs.frozen(kw_only=True)
class _Update:
    """What the members of an envelope come to."""

    opened: Opened
    state: MachineState
    plan: Plan
    opener: Opener


@final
class _SuitParser:
    __slots__ = ("_check", "_context", "_detached", "_format", "_intake", "_places", "_reader", "_update")

    def __init__(self, known: SuitFormat, context: PackageContext) -> None:
        self._format = known
        self._context = context
        self._reader = EnvelopeReader(known.limits)
        self._intake = Intake(judge_of(context.trust, context.ring.now), context.trust.cose_rules, known.limits)
        self._update: _Update | None = None
        self._places: dict[str, Payload] = {}
        self._check: PayloadCheck | None = None  # of the payload that is on its way
        self._detached: list[str] = []  # payloads that have not begun

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
            self._known()
        return 0

    @property
    def awaited_uri(self) -> str | None:
        """The next payload that is detached."""
        is_amid = self._check is not None and self._check.missing_bytes
        return None if is_amid or not self._detached else self._detached[0]

    def finish(self) -> Verdict:
        if not self._reader.is_complete:
            raise refusal_error(Refusal.TRUNCATED, "the envelope ends within a member")
        update = self._known()
        for uri in update.plan.payloads:
            if uri not in self._places:
                raise refusal_error(Refusal.TRUNCATED, f"payload {uri} is not there")
        if self._check is not None and self._check.missing_bytes:
            raise refusal_error(Refusal.TRUNCATED, f"{self._check.missing_bytes} bytes of a payload are missing")
        return self._verdict(update)

    def _known(self) -> _Update:
        """All members have come: run the commands, once."""
        if self._update is None:
            opened = self._intake.finish()
            trust, limits = self._context.trust, self._format.limits
            if opened.manifest.common.dependencies:
                raise unsupported("manifests that depend on others")
            surroundings = Surroundings(
                identity=trust.identity,
                is_any_device=UnsafeChoice.ANY_DEVICE in trust.unsafe,
                slots=self._format.slots,
                held=self._format.held,
            )
            state = Processor(opened.manifest, surroundings, limits).run()
            plan = make_plan(state, tuple(map(id_text, opened.manifest.common.components)))
            opener = Opener(plan, trust)
            check_written(opener)
            detached = {uri: size for uri, size in plan.payloads.items() if not is_integrated(uri)}
            for uri, size in detached.items():
                if size is None:
                    raise unsupported(f"payload {uri}, whose length the manifest does not say")
            self._detached = list(detached)
            self._update = _Update(opened=opened, state=state, plan=plan, opener=opener)
        return self._update

    # Payloads.

    def _begin(self, payload: Payload) -> None:
        update = self._known()
        end, told = payload.offset_bytes + payload.length_bytes, self._context.expected_size_bytes
        if end > self._context.trust.max_package_bytes:
            raise refusal_error(Refusal.TOO_LARGE, f"payload {payload.name} ends at {end} bytes")
        if told is not None and end > told:
            raise refusal_error(Refusal.TRUNCATED, f"payload {payload.name} ends at {end} bytes, in a file of {told}")
        self._check = PayloadCheck(payload.name, payload.length_bytes, update.opener)
        self._places[payload.name] = payload

    def _take(self, data: memoryview) -> None:
        if self._check is None:
            raise AssertionError
        self._check.update(data)

    def _take_detached(self, data: memoryview) -> None:
        """Bytes behind the envelope."""
        while data:
            if self._check is None or not self._check.missing_bytes:
                self._begin(self._next_detached())
                continue
            part = data[: self._check.missing_bytes]
            self._check.update(part)
            data = data[len(part) :]

    def _next_detached(self) -> Payload:
        update = self._known()
        if not self._detached:
            raise malformed("bytes follow the envelope and its payloads")
        uri = self._detached.pop(0)
        size = update.plan.payloads[uri]
        if size is None:
            raise AssertionError
        behind = [each for name, each in self._places.items() if not is_integrated(name)]
        return Payload(uri, self._reader.position + sum(each.length_bytes for each in behind), size)

    # What is told.

    def _verdict(self, update: _Update) -> Verdict:
        manifest, installs = update.opened.manifest, update.plan.installs
        components = tuple(self._component(update, name, content) for name, content in installs.items())
        is_decrypted = any(isinstance(each, Decrypted) for each in update.plan.contents)
        return Verdict(
            components=components,
            version=components[0].version if len(components) == 1 else None,
            name=None if manifest.component_id is None else id_text(manifest.component_id),
            counters=tuple(Counter(name, manifest.sequence_number) for name in installs),
            made_for=update.state.made_for,
            authentication=update.opened.authentication,
            checks={Check.DIGEST, Check.DECRYPTION} if is_decrypted else {Check.DIGEST},
            limits=attrs.asdict(self._format.limits),
        )

    def _component(self, update: _Update, name: str, content: NewContent) -> Component:
        inner = content.of if isinstance(content, Decrypted) else content
        offset, length = self._place(update, inner)
        envelope = None
        if isinstance(content, Decrypted):
            cipher = update.opener.cipher(content)
            envelope = Envelope(offset_bytes=offset, length_bytes=length, cipher=cipher)
            offset, length = 0, envelope.content_bytes
        return Component(
            name=name,
            version=_version(update.opened.manifest, name),
            offset_bytes=offset,
            length_bytes=length,
            envelope=envelope,
        )

    def _place(self, update: _Update, content: Written | Fetched) -> tuple[int, int]:
        """Where something begins in the file, and how long it is."""
        if isinstance(content, Fetched):
            place = self._places[content.uri]
            return place.offset_bytes, place.length_bytes
        for member in update.opened.members.values():  # it lies verbatim in one that was read
            at = member.data.find(content.data)
            if at >= 0:
                return member.offset_bytes + at, len(content.data)
        raise AssertionError


def _version(manifest: Manifest, name: str) -> str | None:
    """The version of a component, as the text has it."""
    found = (version_of(manifest.text, each) for each in manifest.common.components if id_text(each) == name)
    return next(found)
