"""What an update is to do: the plan and its named policies."""

from enum import StrEnum
from typing import Final, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines.update_limits import UpdateLimits, limits_for, seconds
from lwm2m_fota.machines.update_versions import VersionMatch, VersionRule
from lwm2m_fota.model.advanced import ADVANCED_OBJECT_ID
from lwm2m_fota.model.enums import Severity
from lwm2m_fota.model.firmware import FIRMWARE_OBJECT_ID

MAX_COMPONENTS: Final = 255
"""Components of one update."""


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
    WAIT = "wait for the device's own time-out"


@final
class ExecuteAgain(StrEnum):
    """What to do when nobody knows whether an Update request arrived, and the device shows Downloaded (SPEC 3.2.6).

    A request that was accepted is never repeated.
    """

    NEVER = "never"
    IN_DOWNLOADED = "in State Downloaded"


@final
class Execution(StrEnum):
    """How Update is executed on several components of Object 33629 (SPEC 4.2)."""

    LISTED = "once, with the others in its argument: all of them or none"
    LINKED = "without argument, so that the device takes those that are linked, until all are updated"
    EACH = "one after the other, each with the argument 0"


@final
class NotAutomatic(StrEnum):
    """What to do when a device does not update by itself though Automatic Upgrade is on (SPEC 3.1 T21)."""

    GIVE_UP = "end the update"
    EXECUTE = "execute Update"


@final
class DeferralBound(StrEnum):
    """What bounds the wait for the user of a device who has deferred the update (Object 5, resource 13)."""

    DEVICE_PERIOD = "the Maximum Defer Period that the device shows, or `deferral_s` where it shows none"
    LIMIT = "`deferral_s`"


@final
class VersionGuard(StrEnum):
    """Which expected versions are refused before anything is sent (SERVICE pains: versions as versions).

    Needs a version rule that knows an order.
    """

    NONE = "none"
    NO_DOWNGRADE = "older ones than what runs"
    NEWER_ONLY = "older ones, and what runs already"


@final
class Watch(StrEnum):
    """How the device is watched (SERVICE R28; FIELD a fast transition is lost)."""

    OBSERVE_WITH_READ_FALLBACK = "observe, and read when nothing comes"
    READ_ONLY = "read"


@final
class ReadBy(StrEnum):
    """How several resources are read; what a device refuses is read in the next way (SPEC 3.2.1)."""

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
    """Whether the progress of a pull can be seen (SERVICE pains: progress)."""

    VISIBLE = "our package server serves the package and reports each request"
    HIDDEN = "somebody else serves it: only the limit of the stage ends a silent download"


@final
@attrs.frozen(kw_only=True)
class UpdatePolicy:
    """The named choices where the documents leave one.

    Attributes:
        objects: which objects serve a plan without components, best first; an update uses one of them (SPEC 4).
        execution: see `Execution`.
        reset_methods: ways to reset a device that is not Idle at the start, in order (SPEC 3.2.1); Cancel needs
            object 1.1.
        cancel_methods: ways to cancel a transfer, in order (SERVICE R10); what is behind `WAIT` is never tried.
        tidy: whether a failed update resets a device that is left in Downloading or Downloaded (SERVICE R9).
        both: which method serves a device that offers both, when the plan leaves it open (SPEC 2 resource 9).
        default_schemes: what a device without resource 8, or with an empty one, is taken to support (SPEC 2
            resource 8).
        execute_again: see `ExecuteAgain`.
        not_automatic: see `NotAutomatic`.
        deferral: see `DeferralBound`.
        watch: see `Watch`.
        observe_by: see `ObserveBy`.
        read_by: see `ReadBy`.
        pull_watch: see `PullWatch`.
        version_match: when two versions are the same, never by a part of a text (SERVICE pains: versions as versions);
            a rule of one's own is an `OwnVersions`.
        version_guard: see `VersionGuard`.
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

    objects: tuple[int, ...] = (ADVANCED_OBJECT_ID, FIRMWARE_OBJECT_ID)
    execution: Execution = Execution.LISTED
    reset_methods: tuple[ResetMethod, ...] = (ResetMethod.CANCEL, ResetMethod.EMPTY_URI, ResetMethod.NUL_PACKAGE)
    cancel_methods: tuple[ResetMethod, ...] = tuple(ResetMethod)
    tidy: bool = True
    both: Method = Method.PULL
    default_schemes: tuple[str, ...] = ("coap",)
    execute_again: ExecuteAgain = ExecuteAgain.IN_DOWNLOADED
    not_automatic: NotAutomatic = NotAutomatic.GIVE_UP
    deferral: DeferralBound = DeferralBound.DEVICE_PERIOD
    watch: Watch = Watch.OBSERVE_WITH_READ_FALLBACK
    observe_by: ObserveBy = ObserveBy.RESOURCES
    read_by: ReadBy = ReadBy.COMPOSITE
    pull_watch: PullWatch = PullWatch.VISIBLE
    version_match: VersionRule = VersionMatch.EXACT
    version_guard: VersionGuard = VersionGuard.NONE
    max_pushes: int = 5
    max_pulls: int = 2
    max_executes: int = 2
    max_busy: int = 20
    poll_s: float = seconds(30.0)
    settle_s: float = seconds(2.0)
    retry_s: float = seconds(30.0)

    def __attrs_post_init__(self) -> None:
        if min(self.max_pushes, self.max_pulls, self.max_executes) < 1 or self.max_busy < 0:
            raise UsageError("a transfer and an Update must be allowed at least once")
        if self.both is Method.AUTO:
            raise UsageError("policy `both` must name a method")
        if not self.objects or not {FIRMWARE_OBJECT_ID, ADVANCED_OBJECT_ID}.issuperset(self.objects):
            raise UsageError(f"not objects that can be updated: {self.objects}")
        if ResetMethod.WAIT in self.reset_methods:
            raise UsageError("before an update nothing is waited for: reset_methods ends with what is tried last")
        if self.version_guard is not VersionGuard.NONE and self.version_match.is_older("1.0.0", "2.0.0") is None:
            raise UsageError(f"{self.version_match!r} knows no order: it guards against no downgrade")


@final
@attrs.frozen(kw_only=True)
class ComponentPlan:
    """One component of an update.

    Attributes:
        name: resource 14 of Object 33629, or the number of the instance; empty for the one firmware of a device with
            Object 5, and for the main component.
        package_bytes: the size of its package.
        package: which package it is: components with the same number are in one, which is sent once.
        needs: components, by name or number, that are to be delivered before this one.
        expected_version: what it runs after the update (resource 15, or `/3/0/3`); None if it is not known.
    """

    name: str
    package_bytes: int
    package: int = 0
    needs: tuple[str, ...] = ()
    expected_version: str | None = None


@final
@attrs.frozen(kw_only=True)
class DeviceSettings:
    """What is set on the device before its update; None leaves it as it is, and so does an object that lacks it.

    Attributes:
        severity: resource 11.
        max_defer_s: resource 13, seconds; 0 allows no deferral.
        auto_upgrade: resource 14 of Object 5, version 1.2; true has the device update without Execute.
    """

    severity: Severity | None = None
    max_defer_s: int | None = None
    auto_upgrade: bool | None = None

    def __attrs_post_init__(self) -> None:
        if self.max_defer_s is not None and self.max_defer_s < 0:
            raise UsageError("a Maximum Defer Period is not negative")
        if self.severity is not None and not self.severity.is_known:
            raise UsageError(f"not a severity: {self.severity!r}")


@final
@attrs.frozen(kw_only=True)
class UpdatePlan:
    """One update of one device.

    Attributes:
        method: pull, push, or what the device offers.
        package_bytes: the size of the package, or of all packages together.
        expected_version: what runs after the update; None if it is not known, or there are components.
        components: those of Object 33629, in the order in which they are delivered where none needs another before it;
            none for a basic update.
        schemes: URI schemes that our package server can serve, best first.
        settings: what is set on the device first.
        limits: how long each wait may last.
        policy: the named choices.

    Raises:
        UsageError: no package, a package of no bytes, components that are named twice or number their packages with
            gaps, or an expected version beside components.
    """

    method: Method = attrs.field(default=Method.AUTO, converter=Method)
    expected_version: str | None = None
    components: tuple[ComponentPlan, ...] = ()
    package_bytes: int = attrs.field()
    schemes: tuple[str, ...] = ()
    settings: DeviceSettings = DeviceSettings()
    limits: UpdateLimits = attrs.field()
    policy: UpdatePolicy = UpdatePolicy()

    @package_bytes.default
    def _together(self) -> int:
        return sum(self.packages.values())

    @limits.default
    def _derived(self) -> UpdateLimits:
        return limits_for(self.package_bytes)

    @property
    def packages(self) -> dict[int, int]:
        """The size of each package of the components, by its number."""
        return {each.package: each.package_bytes for each in self.components}

    @property
    def parts(self) -> tuple[ComponentPlan, ...]:
        """The components, or the one that a basic update is of."""
        if self.components:
            return self.components
        whole = ComponentPlan(name="", package_bytes=self.package_bytes, expected_version=self.expected_version)
        return (whole,)

    def __attrs_post_init__(self) -> None:
        if self.package_bytes < 1 or any(each.package_bytes < 1 for each in self.components):
            raise UsageError("a package has at least one byte")
        if not self.components:
            return
        names = [each.name for each in self.components]
        if len(names) > MAX_COMPONENTS or "" in names or len(set(names)) < len(names):
            raise UsageError(f"at most {MAX_COMPONENTS} components, each with a name of its own: {names}")
        sizes = {(each.package, each.package_bytes) for each in self.components}
        if [number for number, _ in sorted(sizes)] != list(range(len(sizes))):
            raise UsageError("packages are numbered from 0 on, each with one size")
        if self.expected_version is not None or self.package_bytes != sum(self.packages.values()):
            raise UsageError("versions and sizes are those of the components")
