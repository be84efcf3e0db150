"""A manifest with those that it depends on: run again with each one that has come, until none is missing.

(draft-ietf-suit-trust-domains-11.)

Running changes nothing, so that it may begin anew. An envelope that another one depends on is held in memory, with the
payloads in it; who has signed it is judged as for the first one.
"""

from collections.abc import Iterator, Mapping
from typing import final

import attrs

from lwm2m_fota.package.cose.rules import CoseRules
from lwm2m_fota.package.formats.suit.content import Fetched, is_integrated
from lwm2m_fota.package.formats.suit.envelope import Payload
from lwm2m_fota.package.formats.suit.limits import SuitLimits
from lwm2m_fota.package.formats.suit.machine import MachineState, Surroundings
from lwm2m_fota.package.formats.suit.manifest import Manifest
from lwm2m_fota.package.formats.suit.members import Judge, Opened, open_envelope
from lwm2m_fota.package.formats.suit.plan import Place
from lwm2m_fota.package.formats.suit.processor import ManifestMissingError, Origin, Processor, Run
from lwm2m_fota.package.formats.suit.reading import malformed, too_much


@final
@attrs.frozen
class Resolved:
    """What came of all manifests.

    Attributes:
        state: where the processors ended.
        origins: where each component is from, by its name, in the order in which they are told.
        numbers: the sequence numbers of manifests that have names of their own, by these.
    """

    state: MachineState
    origins: Mapping[str, Origin]
    numbers: Mapping[str, int]


@final
@attrs.frozen
class _Held:
    """An envelope that another one depends on."""

    opened: Opened
    payloads: Mapping[str, Payload]
    data: bytes = attrs.field(repr=False)
    offset_bytes: int


@final
class Resolution:
    """Runs the manifests of one package.

    Args:
        root: the first one.
        surroundings: the device.
        judge: of the signatures of the others.
        rules: how COSE messages are read.
        limits: how much is read and run.
    """

    __slots__ = ("_held", "_judge", "_limits", "_root", "_rules", "_surroundings")

    def __init__(
        self, root: Opened, surroundings: Surroundings, judge: Judge, rules: CoseRules, limits: SuitLimits
    ) -> None:
        self._root = root
        self._surroundings = surroundings
        self._judge = judge
        self._rules = rules
        self._limits = limits
        self._held: dict[Fetched, _Held] = {}

    @property
    def first(self) -> Manifest:
        """The first manifest."""
        return self._root.manifest

    def advance(self) -> Resolved | Fetched:
        """Run all manifests as far as they are there; the one that is missing, if one is.

        Raises:
            PackageError: one breaks the rules, or cannot be run.
        """
        while True:
            run = Run(self._surroundings, self._limits, {key: each.opened for key, each in self._held.items()})
            try:
                state = Processor(self._root.manifest, run).run()
            except ManifestMissingError as missing:
                if not missing.content.home:
                    return missing.content
                self._adopt_inner(missing.content)
            else:
                return Resolved(state, run.origins, run.numbers)

    def adopt(self, content: Fetched, data: bytes, offset_bytes: int) -> None:
        """Take an envelope that was missing.

        Args:
            content: what it is.
            data: the envelope.
            offset_bytes: where it begins in the file.

        Raises:
            PackageError: it is not signed by whoever has to, was changed, breaks the rules, or is not understood.
        """
        if len(self._held) >= self._limits.max_dependencies:
            most = self._limits.max_dependencies
            raise too_much("manifests that others depend on", most + 1, "max_dependencies", most)
        if content.size_bytes not in {None, len(data)}:
            raise malformed(f"envelope {content.uri} has {len(data)} bytes, not {content.size_bytes}")
        opened, payloads = open_envelope(data, self._judge, rules=self._rules, limits=self._limits)
        self._held[content] = _Held(opened, {each.name: each for each in payloads}, data, offset_bytes)

    def _adopt_inner(self, content: Fetched) -> None:
        """One that lies in another one that is held."""
        inner = self.inner((content.home, content.uri))
        if inner is None:
            raise malformed(f"envelope {content.uri} is not there")
        self.adopt(content, *inner)

    def inner(self, place: Place) -> tuple[bytes, int] | None:
        """A payload that lies in an envelope that is held, and where it begins in the file."""
        home, uri = place
        for content, held in self._held.items():
            if content.inside == home and uri in held.payloads:
                payload = held.payloads[uri]
                end = payload.offset_bytes + payload.length_bytes
                return held.data[payload.offset_bytes : end], held.offset_bytes + payload.offset_bytes
        return None

    def find(self, data: bytes) -> int:
        """Where bytes that a manifest writes lie in the file."""
        for opened, begin in self._all():
            for member in opened.members.values():  # they lie verbatim in one that was read
                at = member.data.find(data)
                if at >= 0:
                    return begin + member.offset_bytes + at
        raise AssertionError

    def _all(self) -> Iterator[tuple[Opened, int]]:
        yield self._root, 0
        yield from ((each.opened, each.offset_bytes) for each in self._held.values())


def is_inner(place: Place) -> bool:
    """Whether a payload lies in an envelope that is held."""
    home, uri = place
    return bool(home) and is_integrated(uri)
