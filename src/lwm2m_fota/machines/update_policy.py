"""What an update is to do and how long it may take: the plan, its limits and its named policies."""

from enum import StrEnum
from typing import Final, final

import attrs

from lwm2m_fota.errors import UsageError

SLOW_LINK_BYTES_PER_S: Final = 250.0
"""Goodput that a default plan reckons with, bytes per second: 1024-byte blocks, one at a time, about 4 s each."""

MARGIN: Final = 2.0
"""A derived transfer limit is this many times the reckoned time."""

SERVICE_TIMEOUT_S: Final = 3600.0
"""The total limit that the service shows for a new update, seconds (SERVICE R22)."""


@final
class Method(StrEnum):
    """How the package is to reach the device."""

    PULL = "pull"
    PUSH = "push"
    AUTO = "auto"


@final
class ResetMethod(StrEnum):
    """A way to bring a device back to Idle (Object 5, resources 0, 1 and 10)."""

    CANCEL = "execute Cancel"
    EMPTY_URI = "write an empty Package URI"
    NUL_PACKAGE = "write a Package of one NUL byte"


@final
class ExecuteAgain(StrEnum):
    """What to do when nobody knows whether an Update request arrived, and the device shows Downloaded."""

    NEVER = "never"
    IN_DOWNLOADED = "in State Downloaded"


@final
class Watch(StrEnum):
    """How the device is watched (SERVICE R28)."""

    OBSERVE_WITH_READ_FALLBACK = "observe, and read when nothing comes"
    READ_ONLY = "read"


@final
class ReadBy(StrEnum):
    """How several resources are read; what a device refuses is read in the next way."""

    COMPOSITE = "all with one request, where the device knows Read-Composite"
    INSTANCE = "an instance with each request"
    RESOURCE = "a resource with each request"


@final
class ObserveBy(StrEnum):
    """What is observed where a device is watched by observation (SERVICE R28).

    What it refuses is observed resource by resource.
    """

    RESOURCES = "each resource"
    INSTANCES = "the instance"
    COMPOSITE = "all resources with one request (Observe-Composite)"
    SEND = "nothing: the device sends by itself (Send)"


@final
class PullWatch(StrEnum):
    """Whether the progress of a pull can be seen."""

    VISIBLE = "our package server serves the package and reports each request"
    HIDDEN = "somebody else serves it: only the limit of the stage ends a silent download"


@final
class VersionMatch(StrEnum):
    """When two versions are the same; always the whole text, never a part of it."""

    EXACT = "the same text"
    TRIMMED = "the same text but for blanks around it and a leading v"

    def same(self, left: str, right: str) -> bool:
        """True if the two are one version under this policy."""
        if self is VersionMatch.TRIMMED:
            return _trim(left) == _trim(right)
        return left == right


def _trim(version: str) -> str:
    return version.strip().removeprefix("v").removeprefix("V")


def _positive(_instance: object, attribute: "attrs.Attribute[float]", value: float) -> None:
    if not 0 < value < float("inf"):
        raise UsageError(f"{attribute.name} must be a positive number, not {value!r}")


def _limit(default: float) -> float:
    seconds: float = attrs.field(default=default, validator=_positive)
    return seconds


@final
@attrs.frozen(kw_only=True)
class UpdateLimits:
    """How long each wait may last, in seconds. Every wait ends at the first limit that passes.

    Attributes:
        request_s: one request without an answer; above CoAP's MAX_TRANSMIT_WAIT of 93 s. A device that sleeps (queue
            mode) needs more than its longest sleep.
        no_progress_s: a transfer, or a read that is tried again and again, without anything new.
        busy_s: a device that answers 5.03; a common client does so for 300 s after an abandoned push.
        reset_s: State Idle after one way to reset.
        reboot_s: an installation without any sign of the device.
        deferral_s: a device whose user has deferred the update; the limit of the stage rests meanwhile.
        version_s: the version after a success.
        preparing_s: the whole stage Preparing update.
        transferring_s: the whole stage Transferring package; `limits_for` derives it from the size and the link.
        executing_s: the whole stage Executing update.
        cleanup_s: the whole stage Cleanup, which the total does not cut short.
        total_s: everything up to Cleanup.
    """

    request_s: float = _limit(120.0)
    no_progress_s: float = _limit(300.0)
    busy_s: float = _limit(420.0)
    reset_s: float = _limit(30.0)
    reboot_s: float = _limit(900.0)
    deferral_s: float = _limit(3600.0)
    version_s: float = _limit(60.0)
    preparing_s: float = _limit(900.0)
    transferring_s: float = _limit(1800.0)
    executing_s: float = _limit(1800.0)
    cleanup_s: float = _limit(420.0)
    total_s: float = _limit(SERVICE_TIMEOUT_S)


def limits_for(package_bytes: int, link_bytes_per_s: float = SLOW_LINK_BYTES_PER_S) -> UpdateLimits:
    """The default limits for a package of this size over a link of this goodput.

    The transfer may take twice the reckoned time and never less than the plain default; the total grows with it.

    Raises:
        UsageError: the size is negative or the goodput is not a positive number.
    """
    if package_bytes < 0 or not 0 < link_bytes_per_s < float("inf"):
        raise UsageError(f"no limits for {package_bytes} bytes at {link_bytes_per_s} bytes/s")
    plain = UpdateLimits()
    transferring_s = max(plain.transferring_s, MARGIN * package_bytes / link_bytes_per_s)
    return UpdateLimits(transferring_s=transferring_s, total_s=plain.total_s + transferring_s - plain.transferring_s)


@final
@attrs.frozen(kw_only=True)
class UpdatePolicy:
    """The named choices where the documents leave one.

    Attributes:
        reset_methods: ways to reset a device that is not Idle at the start, in order; Cancel needs object 1.1.
        cancel_methods: ways to cancel a transfer, in order (SERVICE R10); after the last one the end is awaited.
        tidy: whether a failed update resets a device that is left in Downloading or Downloaded.
        both: which method serves a device that offers both, when the plan leaves it open.
        default_schemes: what a device without resource 8, or with an empty one, is taken to support (Object 5: CoAP).
        execute_again: see `ExecuteAgain`; a request that was accepted is never repeated.
        watch: see `Watch`.
        observe_by: see `ObserveBy`.
        read_by: see `ReadBy`.
        pull_watch: see `PullWatch`.
        version_match: see `VersionMatch`.
        max_pushes: how often a push may begin. A push cannot be resumed, so one exchange that fails ends it. Where a
            fifth of the datagrams is lost each way, an exchange of CoAP's five transmissions fails with 0.6 %, a push
            of 64 blocks with a third: three leave 3 % of such updates undone, five 0.4 %.
        max_pulls: how often a Package URI may be written.
        max_executes: how often Update may be executed.
        max_busy: how often a 5.03 to a transfer or to Update is met by asking again.
        poll_s: pause between two reads of a watched device, seconds.
        settle_s: pause before a second look at a device that is Idle and shows nothing telling: its State may be
            ahead of its Result, seconds.
        retry_s: pause before a transfer or Update is tried again, seconds.
    """

    reset_methods: tuple[ResetMethod, ...] = (ResetMethod.CANCEL, ResetMethod.EMPTY_URI, ResetMethod.NUL_PACKAGE)
    cancel_methods: tuple[ResetMethod, ...] = (ResetMethod.CANCEL, ResetMethod.EMPTY_URI)
    tidy: bool = True
    both: Method = Method.PULL
    default_schemes: tuple[str, ...] = ("coap",)
    execute_again: ExecuteAgain = ExecuteAgain.IN_DOWNLOADED
    watch: Watch = Watch.OBSERVE_WITH_READ_FALLBACK
    observe_by: ObserveBy = ObserveBy.RESOURCES
    read_by: ReadBy = ReadBy.COMPOSITE
    pull_watch: PullWatch = PullWatch.VISIBLE
    version_match: VersionMatch = VersionMatch.EXACT
    max_pushes: int = 5
    max_pulls: int = 2
    max_executes: int = 2
    max_busy: int = 20
    poll_s: float = _limit(30.0)
    settle_s: float = _limit(2.0)
    retry_s: float = _limit(30.0)

    def __attrs_post_init__(self) -> None:
        if min(self.max_pushes, self.max_pulls, self.max_executes) < 1 or self.max_busy < 0:
            raise UsageError("a transfer and an Update must be allowed at least once")
        if self.both is Method.AUTO:
            raise UsageError("policy `both` must name a method")


@final
@attrs.frozen(kw_only=True)
class UpdatePlan:
    """One update of one device.

    Attributes:
        method: pull, push, or what the device offers.
        package_bytes: the size of the package.
        expected_version: `/3/0/3` after the update; None if it is not known.
        schemes: URI schemes that our package server can serve, best first.
        limits: how long each wait may last.
        policy: the named choices.
    """

    method: Method = attrs.field(default=Method.AUTO, converter=Method)
    package_bytes: int
    expected_version: str | None = None
    schemes: tuple[str, ...] = ()
    limits: UpdateLimits = attrs.field()
    policy: UpdatePolicy = UpdatePolicy()

    @limits.default
    def _derived(self) -> UpdateLimits:
        return limits_for(self.package_bytes)

    def __attrs_post_init__(self) -> None:
        if self.package_bytes < 1:
            raise UsageError("a package has at least one byte")
