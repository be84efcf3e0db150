"""Several package hosts as one: each serves the schemes that it can."""

from collections.abc import Iterable
from typing import final

from lwm2m_fota.errors import UsageError
from lwm2m_fota.server.ports import PackageHost, ProgressListener, Publication
from lwm2m_fota.storage.base import PackageSource


@final
class PackageHosts:
    """A `PackageHost` made of others; where two serve the same scheme, the first does it.

    Args:
        hosts: best first.
    """

    def __init__(self, hosts: Iterable[PackageHost]) -> None:
        self._hosts = tuple(hosts)

    @property
    def schemes(self) -> tuple[str, ...]:
        """All schemes, best first."""
        return tuple(dict.fromkeys(scheme for host in self._hosts for scheme in host.schemes))

    def publish(
        self, source: PackageSource, scheme: str, progress: ProgressListener, token: str | None = None
    ) -> Publication:
        """Serve a package; see `PackageHost.publish`.

        Raises:
            StorageError: it cannot be read, or there is no room for another.
            UsageError: nobody serves this scheme.
        """
        for host in self._hosts:
            if scheme in host.schemes:
                return host.publish(source, scheme, progress, token)
        raise UsageError(f"{scheme} is not served here")

    def withdraw(self, token: str) -> None:
        """Serve it no longer; harmless if it is gone."""
        for host in self._hosts:
            host.withdraw(token)
