"""Named choices of Object 33629 where the documents or implementations differ, each with its default."""

from enum import Enum
from typing import Final, TypeAlias, final

import attrs


@final
class DependencyFailureTarget(Enum):
    """Where an Update lands that fails with Result 13 while its image is still there (SPEC 4.1, 4.3).

    The figure has both arrows. The default keeps the package: the server may deliver what is missing and execute
    again without a second transfer.
    """

    DOWNLOADED = "Downloaded"
    IDLE = "Idle"


@final
class ConflictScope(Enum):
    """Which busy instances refuse a package of several components with Result 12 (SPEC 4.1, 19 item 8).

    The default looks at the other instances that the package is for. The other choice reads the text wider: any
    other instance that is not Idle. The instance that received the package is busy with it, and never counts.
    """

    AFFECTED = "affected instances"
    ALL = "all instances"


@final
class PushDuringPull(Enum):
    """What a push to one instance does while another one pulls (FIELD).

    The default allows it, as no text forbids it; some devices answer 4.05.
    """

    ALLOWED = "allowed"
    REFUSED = "refused"


@final
class ConcurrentDownloads(Enum):
    """How many instances receive packages at a time (FIELD).

    The default is many, as no text limits it. With one at a time a pull waits its turn in State 1, and a push while
    anything is received is answered 4.05.
    """

    MANY = "many"
    ONE_AT_A_TIME = "one at a time"


@final
class ListedNotDownloaded(Enum):
    """What an Update does that lists an instance which is not Downloaded (SPEC 4.2).

    The default is the specification's Result 13 with the instance named; some devices answer 4.05 and change nothing.
    """

    RESULT_13 = "Result 13"
    METHOD_NOT_ALLOWED = "4.05"


@final
class RepeatedLinks(Enum):
    """What an Update does whose list names this instance, or another one twice (SPEC 4.2).

    The default answers 4.00; the other choice reads the list as a set.
    """

    BAD_REQUEST = "4.00"
    IGNORED = "ignored"


@final
class UnquotedLinks(Enum):
    """What an Update does whose list of links has no quotes around it, as documents print it (SPEC 4.2).

    The default answers 4.00: the grammar of arguments has no such value.
    """

    BAD_REQUEST = "4.00"
    ACCEPTED = "accepted"


@final
class UpdateDuringBatch(Enum):
    """What an Update is answered while other instances are Updating; no text says.

    One batch runs at a time, so that the installer's one outcome tells how it ended. The default asks the server to
    come again (5.03).
    """

    SERVICE_UNAVAILABLE = "5.03"
    METHOD_NOT_ALLOWED = "4.05"


@final
@attrs.frozen(kw_only=True)
class AdvancedPolicies:
    """The choices of one device with Object 33629, beside those of its components (`FirmwarePolicies`).

    Attributes:
        dependency_failure_target: where Result 13 lands.
        conflict_scope: which busy instances refuse a package of several components.
        push_during_pull: what a push does while another instance pulls.
        concurrent_downloads: how many instances receive at a time.
        listed_not_downloaded: what an Update does that lists an instance which is not Downloaded.
        repeated_links: what an Update does that names an instance twice.
        unquoted_links: what an Update does whose list has no quotes.
        update_during_batch: what an Update is answered while other instances are Updating.
    """

    dependency_failure_target: DependencyFailureTarget = DependencyFailureTarget.DOWNLOADED
    conflict_scope: ConflictScope = ConflictScope.AFFECTED
    push_during_pull: PushDuringPull = PushDuringPull.ALLOWED
    concurrent_downloads: ConcurrentDownloads = ConcurrentDownloads.MANY
    listed_not_downloaded: ListedNotDownloaded = ListedNotDownloaded.RESULT_13
    repeated_links: RepeatedLinks = RepeatedLinks.BAD_REQUEST
    unquoted_links: UnquotedLinks = UnquotedLinks.BAD_REQUEST
    update_during_batch: UpdateDuringBatch = UpdateDuringBatch.SERVICE_UNAVAILABLE


DEFAULT_ADVANCED_POLICIES: Final = AdvancedPolicies()

AdvancedPolicy: TypeAlias = (
    DependencyFailureTarget
    | ConflictScope
    | PushDuringPull
    | ConcurrentDownloads
    | ListedNotDownloaded
    | RepeatedLinks
    | UnquotedLinks
    | UpdateDuringBatch
)
