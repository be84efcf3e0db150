"""The members of an envelope in their order: nothing is read of a manifest that nobody has signed.

The wrapper is judged first; then the manifest is compared with the digest that was signed; only then it is decoded.
What was severed is compared with the digests in the manifest.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias, assert_never, final

import attrs

from lwm2m_fota.package.cose.rules import CoseRules
from lwm2m_fota.package.formats.suit.authentication import Wrapper, read_wrapper
from lwm2m_fota.package.formats.suit.codes import Key
from lwm2m_fota.package.formats.suit.envelope import Behind, EnvelopeReader, Member, Payload, Piece
from lwm2m_fota.package.formats.suit.limits import DEFAULT_LIMITS, SuitLimits
from lwm2m_fota.package.formats.suit.manifest import Manifest, read_manifest
from lwm2m_fota.package.formats.suit.reading import malformed
from lwm2m_fota.package.keyring import Authentication
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.package.verdicts import Refusal, refusal_error

Judge: TypeAlias = Callable[[Wrapper], Authentication]
"""Tries keys on a wrapper, and raises where what comes of it is not enough."""


def judge_of(trust: TrustPolicy, now: float | None) -> Judge:
    """The judge under a policy, at a time."""
    ring = trust.keyring(now)

    def judge(wrapper: Wrapper) -> Authentication:
        found = wrapper.authenticated_by(ring, trust.cose_rules)
        trust.judge(found, now)
        return found

    return judge


@final
@attrs.frozen(kw_only=True)
class Opened:
    """What an envelope says, without its payloads.

    Attributes:
        wrapper: its authentication wrapper.
        manifest: its manifest, with what was severed from it and is there.
        authentication: what the judge has found.
        members: what all that was read from.
    """

    wrapper: Wrapper
    manifest: Manifest
    authentication: Authentication
    members: Mapping[Key, Member]


@final
class Intake:
    """Takes the members of one envelope in their order.

    Args:
        judge: of the signatures.
        rules: how COSE messages are read.
        limits: how much is read.
    """

    __slots__ = ("_authentication", "_judge", "_limits", "_manifest", "_members", "_rules", "_wrapper")

    def __init__(self, judge: Judge, rules: CoseRules, limits: SuitLimits) -> None:
        self._judge = judge
        self._rules = rules
        self._limits = limits
        self._members: dict[Key, Member] = {}
        self._wrapper: Wrapper | None = None
        self._authentication = Authentication()
        self._manifest: Manifest | None = None

    def take(self, member: Member) -> None:
        """Take the next member.

        Raises:
            PackageError: it is not signed by whoever has to, was changed, breaks the rules, or is not understood.
        """
        if self._wrapper is None:
            self._wrapper = read_wrapper(member.data, self._rules, self._limits)
            self._authentication = self._judge(self._wrapper)
        elif self._manifest is None:
            if not self._wrapper.digest.holds(member.data):
                raise self._wrapper.digest.mismatch("the manifest")
            self._manifest = read_manifest(member.data, self._limits)
        else:
            self._manifest = self._manifest.with_member(member.key, member.data)
        self._members[member.key] = member

    def finish(self) -> Opened:
        """All members have come: the reader has told of a payload, or is complete."""
        if self._wrapper is None or self._manifest is None:
            raise AssertionError
        return Opened(
            wrapper=self._wrapper,
            manifest=self._manifest,
            authentication=self._authentication,
            members=self._members,
        )


def open_envelope(
    data: bytes, judge: Judge, *, rules: CoseRules = CoseRules.STRICT, limits: SuitLimits = DEFAULT_LIMITS
) -> tuple[Opened, tuple[Payload, ...]]:
    """Open an envelope that fits memory.

    Args:
        data: the envelope, and nothing after it.
        judge: of the signatures.
        rules: how COSE messages are read.
        limits: how much is read.

    Returns:
        What it says, and where its payloads are.

    Raises:
        PackageError: it is not signed by whoever has to, was changed, breaks the rules, or is not understood.
    """
    opened, payloads, size = open_beginning(data, judge, rules=rules, limits=limits)
    if size < len(data):
        raise malformed(f"{len(data) - size} bytes follow the envelope")
    return opened, payloads


def open_beginning(
    data: bytes, judge: Judge, *, rules: CoseRules = CoseRules.STRICT, limits: SuitLimits = DEFAULT_LIMITS
) -> tuple[Opened, tuple[Payload, ...], int]:
    """Open an envelope that fits memory, and that detached payloads may follow.

    Args:
        data: the envelope, and what follows it.
        judge: of the signatures.
        rules: how COSE messages are read.
        limits: how much is read.

    Returns:
        What it says, where its payloads are, and how long it is.

    Raises:
        PackageError: it is not signed by whoever has to, was changed, breaks the rules, or is not understood.
    """
    reader, intake = EnvelopeReader(limits), Intake(judge, rules, limits)
    payloads: list[Payload] = []
    for event in reader.feed(memoryview(data)):
        match event:
            case Member():
                intake.take(event)
            case Payload():
                payloads.append(event)
            case Piece() | Behind():
                pass
            case _ as never:
                assert_never(never)
    if not reader.is_complete:
        raise refusal_error(Refusal.TRUNCATED, "the envelope ends within a member")
    return intake.finish(), tuple(payloads), reader.position
