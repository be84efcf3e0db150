"""How the firmware of a device behaves: times and named policies."""

from collections.abc import Awaitable, Callable, Iterable
from enum import Enum
from typing import Final, TypeAlias, final

import attrs

from lwm2m_fota.device.hosts import AllowedHosts
from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines.download_words import DownloadPolicy

Offload: TypeAlias = Callable[[Callable[[], None]], Awaitable[None]]
"""Carries out a blocking action and waits for its end; `asyncio.to_thread` is one."""


@final
class InterruptedInstall(Enum):
    """What becomes of an installation that a restart cut off before the boot loader was told.

    FINISH goes on with it, after hashing the sealed image anew: nothing was applied, so it is still the one
    installation that Execute asked for. FAIL reports Result 8.
    """

    FINISH = "finish"
    FAIL = "fail"


SOLE_COMPONENT: Final = "0x00"
"""What SUIT manifests call the component of a device that has one, as the drafts do in their examples: [h'00']."""


def _names(names: Iterable[str] | None) -> frozenset[str] | None:
    if isinstance(names, str):
        raise UsageError("names of components are a set of them")
    return None if names is None else frozenset(names)


@final
@attrs.frozen(kw_only=True)
class FirmwareSettings:
    """How the firmware of a device behaves.

    Attributes:
        download: retries and limits of a pull.
        push_no_progress_s: a push that brings no block for so long has lost its connection (Result 4).
        settle_s: the wait between an accepted Execute and the installation, and again before the reboot, so that
            answers and notifications get out.
        trial_limit_s: how long a new image may run on trial before it must have shown that it is healthy.
        interrupted_install: see `InterruptedInstall`.
        component_names: of Object 5, what packages may call its one firmware; None for anything, where each name has a
            rollback floor of its own. A package that names no component is taken in any case, one that names several
            is not.
        allowed_hosts: from where packages are fetched, whether a server, a manifest or a redirect names the place;
            another one fails the update (Result 7). None allows every host.

    Raises:
        UsageError: one name where a set of them belongs.
    """

    download: DownloadPolicy = attrs.field(factory=DownloadPolicy)
    push_no_progress_s: float = 247.0
    settle_s: float = 0.2
    trial_limit_s: float = 600.0
    interrupted_install: InterruptedInstall = InterruptedInstall.FINISH
    component_names: frozenset[str] | None = attrs.field(default=frozenset({SOLE_COMPONENT}), converter=_names)
    allowed_hosts: AllowedHosts | None = None


async def run_here(action: Callable[[], None]) -> None:
    """Carry out a blocking action in the loop's own thread."""
    action()
