"""The words of a pull: policy, checkpoint, machine, events and effects, all frozen values.

Times are monotonic seconds. The driver fetches, stores and waits; it tells what happened as events.
"""

from enum import StrEnum
from typing import Final, Self, TypeAlias, final

import attrs

from lwm2m_fota.errors import SnapshotError, UsageError
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.enums import UpdateResult

SHA256_BYTES: Final = 32
MAX_ETAG_BYTES: Final = 255
"""The longest ETag that is kept; CoAP allows 8 bytes, HTTP sets no limit."""

RETRYABLE_CODES: Final = frozenset(
    {
        int(Code.REQUEST_ENTITY_INCOMPLETE),
        int(Code.TOO_MANY_REQUESTS),
        int(Code.INTERNAL_SERVER_ERROR),
        int(Code.BAD_GATEWAY),
        int(Code.SERVICE_UNAVAILABLE),
        int(Code.GATEWAY_TIMEOUT),
    }
)
"""What an origin may answer now and not the next time. All other errors, 4.01, 4.03 and 4.04 among them, end the
pull with Result 7: this URI leads nowhere for this device, however often it asks."""


@final
@attrs.frozen(kw_only=True)
class DownloadPolicy:
    """Retries and limits of a pull; every wait ends.

    Attributes:
        max_attempts_without_progress: attempts in a row that may bring nothing new.
        retry_initial_s: the first wait between attempts, seconds; it doubles each time.
        retry_max_s: the longest wait, also where the origin asks for a longer one (Max-Age, Retry-After).
        retry_jitter: the share of a wait that chance may add, so that a fleet does not return at once.
        no_progress_limit_s: the pull fails when nothing new came for so long.
        total_limit_s: the pull fails when it took so long in all; None sets no limit.
        checkpoint_bytes: make a checkpoint with the first bytes, and each time so many more came in; where they come
            fast, with the batch that they came in (`EndpointLimits.batch_bytes`). It is what a power cut may cost;
            1 makes each block durable.
        checkpoint_gap_s: make none sooner after the last one, for the sake of flash and speed: where more than
            `checkpoint_bytes` come in so short a time, a power cut may cost what came in it. 0 sets no gap.
        max_restarts: how often the package may change at its origin during the pull.
        max_package_bytes: a package that announces or brings more is refused; None leaves it to the store.
        retryable_codes: answers of the origin after which it is asked again.

    Raises:
        UsageError: a limit that is not positive.
    """

    max_attempts_without_progress: int = 8
    retry_initial_s: float = 2.0
    retry_max_s: float = 300.0
    retry_jitter: float = 0.25
    no_progress_limit_s: float = 1800.0
    total_limit_s: float | None = None
    checkpoint_bytes: int = 65536
    checkpoint_gap_s: float = 0.1
    max_restarts: int = 3
    max_package_bytes: int | None = None
    retryable_codes: frozenset[int] = RETRYABLE_CODES

    def __attrs_post_init__(self) -> None:
        positive = (
            self.max_attempts_without_progress,
            self.retry_initial_s,
            self.retry_max_s,
            self.no_progress_limit_s,
            1 if self.total_limit_s is None else self.total_limit_s,
            self.checkpoint_bytes,
            1 if self.max_package_bytes is None else self.max_package_bytes,
        )
        if min(positive) <= 0 or min(self.retry_jitter, self.max_restarts, self.checkpoint_gap_s) < 0:
            raise UsageError(f"a limit of a pull is not positive: {self!r}")


@final
@attrs.frozen
class Checkpoint:
    """What is durable of a pull. Belongs to this URI, this ETag and these bytes, or it is worth nothing.

    Attributes:
        uri: where the bytes came from.
        etag: which version of the package they belong to.
        offset: how many bytes there are.
        sha256: the digest of these bytes, 32 bytes.
        boot_id: while the store still names this one, what was written behind these bytes is of the same package too
            (`ImageStore.boot_id`); None if only these bytes are certain.

    Raises:
        UsageError: no ETag, a digest of another length, or a negative offset.
    """

    uri: str
    etag: bytes
    offset: int
    sha256: bytes
    boot_id: str | None = None

    def __attrs_post_init__(self) -> None:
        if not 0 < len(self.etag) <= MAX_ETAG_BYTES or len(self.sha256) != SHA256_BYTES or self.offset < 0:
            raise UsageError(f"not a checkpoint: {self!r}")

    def to_plain(self) -> dict[str, object]:
        """Plain values; the ETag and the digest in hexadecimal."""
        plain = {"uri": self.uri, "etag": self.etag.hex(), "offset": self.offset, "sha256": self.sha256.hex()}
        return plain if self.boot_id is None else plain | {"boot_id": self.boot_id}

    @classmethod
    def from_plain(cls, data: object) -> Self:
        """What `to_plain` was given.

        Raises:
            SnapshotError: `data` is no checkpoint.
        """
        match data:
            case {"uri": str(uri), "etag": str(etag), "offset": int(offset), "sha256": str(sha256), **rest}:
                boot_id = rest.pop("boot_id", None)
                if rest or not isinstance(boot_id, str | None):
                    raise SnapshotError("not a checkpoint")
                try:
                    return cls(uri, bytes.fromhex(etag), offset, bytes.fromhex(sha256), boot_id)
                except (ValueError, UsageError) as error:
                    raise SnapshotError(f"not a checkpoint: {error}") from error
            case _:
                raise SnapshotError("not a checkpoint")


@final
class Phase(StrEnum):
    """Where a pull is."""

    IDLE = "idle"
    RESOLVING = "resolving"
    FETCHING = "fetching"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


@final
@attrs.frozen(kw_only=True)
class DownloadTimes:
    """When things happened, monotonic seconds; apart from the control state.

    Attributes:
        started: when the pull began.
        progressed: when something new came last.
        retry: when the next attempt is due; counts while waiting.
        checkpointed: when a checkpoint was due and made last; counts once there is one.
    """

    started: float = 0.0
    progressed: float = 0.0
    retry: float = 0.0
    checkpointed: float = 0.0


@final
@attrs.frozen(kw_only=True)
class DownloadMachine:
    """One pull.

    Attributes:
        phase: where it is.
        uri: where from.
        etag: the version of the package that is being fetched, if the origin names it.
        offset: bytes that are in the stage.
        furthest: the most bytes that ever were; only what goes beyond is progress.
        saved: bytes at the last checkpoint.
        attempts: attempts in a row that brought nothing new.
        restarts: how often the package changed at its origin.
        times: when things happened.
    """

    phase: Phase = Phase.IDLE
    uri: str = ""
    etag: bytes | None = None
    offset: int = 0
    furthest: int = 0
    saved: int = 0
    attempts: int = 0
    restarts: int = 0
    times: DownloadTimes = DownloadTimes()


# ---- events --------------------------------------------------------------------------------------------------------


@final
@attrs.frozen
class Started:
    """The device machine asks for a package.

    Attributes:
        uri: where from.
        schemes: what the device can fetch, lower case.
        resume: what is durable of an earlier pull, if the stage still holds bytes of that digest.
    """

    uri: str
    schemes: frozenset[str]
    resume: Checkpoint | None = None


@final
@attrs.frozen
class Resolved:
    """The host has an address."""


@final
@attrs.frozen
class ResolutionFailed:
    """The host has no address, for now.

    Attributes:
        reason: for people.
    """

    reason: str = ""


@final
@attrs.frozen
class CredentialMissing:
    """The device has nothing to prove itself with where the URI leads.

    Attributes:
        reason: what is needed, for people.
    """

    reason: str = ""


@final
@attrs.frozen
class BlockStored:
    """The next bytes are in the stage.

    Attributes:
        offset: of the first byte in the package.
        length: how many bytes; 0 only for an empty package.
        etag: the version that the origin names with them, if any.
        size_bytes: the size of the whole package that the origin announces, if any: an estimate.
        last: the package ends here.
    """

    offset: int
    length: int
    etag: bytes | None = None
    size_bytes: int | None = None
    last: bool = False


@final
@attrs.frozen
class PeerRefused:
    """The origin answered with an error. An HTTP status is given as the CoAP code of the same digits.

    Attributes:
        code: the CoAP code.
        retry_after_s: when the origin wants to be asked again (Max-Age of a 5.03, Retry-After), seconds.
    """

    code: int
    retry_after_s: float | None = None


@final
@attrs.frozen
class ConnectionLost:
    """The origin cannot be reached, stopped answering, or broke its protocol.

    Attributes:
        reason: for people.
    """

    reason: str = ""


@final
@attrs.frozen
class BodyChanged:
    """The origin has another version of the package than the one that is being fetched; that fetch has ended."""


@final
@attrs.frozen
class StorageFull:
    """The store has no room for the package, or failed.

    Attributes:
        reason: for people.
    """

    reason: str = ""


@final
@attrs.frozen
class OutOfMemory:
    """The device has no memory for the pull."""


@final
@attrs.frozen
class TooLarge:
    """The package does not fit the place that it is meant for.

    Attributes:
        reason: for people.
    """

    reason: str = ""


@final
@attrs.frozen
class Stopped:
    """The device machine wants the pull no more."""


@final
@attrs.frozen
class TimePassed:
    """The clock was looked at; `handle_timeout` makes this event."""


DownloadEvent: TypeAlias = (
    Started
    | Resolved
    | ResolutionFailed
    | CredentialMissing
    | BlockStored
    | PeerRefused
    | ConnectionLost
    | BodyChanged
    | StorageFull
    | OutOfMemory
    | TooLarge
    | Stopped
    | TimePassed
)


# ---- effects -------------------------------------------------------------------------------------------------------


@final
@attrs.frozen
class Resolve:
    """Find the address of a host; ends in `Resolved` or `ResolutionFailed`.

    Attributes:
        host: name or address, without brackets.
    """

    host: str


@final
@attrs.frozen
class Fetch:
    """Ask for the package from `offset` on; ends in `BlockStored` with `last`, or one of the failures.

    Attributes:
        uri: where from.
        offset: bytes that are there already.
        etag: their version: another one is `BodyChanged`. None only with offset 0.
    """

    uri: str
    offset: int
    etag: bytes | None


@final
@attrs.frozen
class StopFetch:
    """Stop resolving and fetching; what still comes of it is refused."""


@final
@attrs.frozen
class TruncateStage:
    """Keep the first bytes of the stage only.

    Attributes:
        offset: how many.
    """

    offset: int


@final
@attrs.frozen
class SaveCheckpoint:
    """Make the bytes durable, then save the `Checkpoint` of them; the digest is the driver's.

    Attributes:
        uri: where from.
        etag: which version.
        offset: how many bytes.
    """

    uri: str
    etag: bytes
    offset: int


@final
@attrs.frozen
class DropCheckpoint:
    """Forget the stored checkpoint: its bytes are void."""


@final
@attrs.frozen
class Finish:
    """All bytes are in the stage.

    Attributes:
        size_bytes: how many.
    """

    size_bytes: int


@final
@attrs.frozen
class Fail:
    """The pull has failed.

    Attributes:
        result: what the device shows.
        diagnosis: a `Diagnosis`, a colon and words for people.
    """

    result: UpdateResult
    diagnosis: str


DownloadEffect: TypeAlias = (
    Resolve | Fetch | StopFetch | TruncateStage | SaveCheckpoint | DropCheckpoint | Finish | Fail
)


@final
class Diagnosis(StrEnum):
    """Why a pull failed; stable, for programs."""

    URI_INVALID = "pull.uri-invalid"
    SCHEME_UNSUPPORTED = "pull.scheme-unsupported"
    HOST_UNRESOLVED = "pull.host-unresolved"
    CREDENTIAL_MISSING = "pull.credential-missing"
    REFUSED = "pull.refused"
    UNAVAILABLE = "pull.unavailable"
    CONNECTION_LOST = "pull.connection-lost"
    NO_PROGRESS = "pull.no-progress"
    TOO_LONG = "pull.too-long"
    BODY_CHANGES = "pull.body-changes"
    STORAGE_FULL = "pull.storage-full"
    OUT_OF_MEMORY = "pull.out-of-memory"
    TOO_LARGE = "pull.too-large"
