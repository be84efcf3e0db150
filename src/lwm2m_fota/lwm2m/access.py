"""Which server may do what: asked before anything is read, written or executed (LwM2M Core 1.2, 7.3 and 8.2)."""

from collections.abc import Hashable
from typing import Protocol

from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import Operations


class Access(Protocol):
    """A rule for access."""

    def __call__(self, server: Hashable, path: Path, operation: Operations) -> None:
        """Pass over what is allowed.

        Args:
            server: who asks; of a peer that is no server, the peer.
            path: of an instance, or something below one.
            operation: READ also stands for Observe and Write-Attributes; Discover is never asked about.

        Raises:
            RefusedError: it is not allowed, with the code to answer: 4.01.
        """
        ...


def everything(server: Hashable, path: Path, operation: Operations) -> None:
    """Every server may do everything, as where there is one server alone (LwM2M Core 1.2, 8.2.1)."""
    del server, path, operation
