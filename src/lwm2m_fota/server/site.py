"""What a server answers its devices: registrations, what they send, packages, each at a path; on any CoAP stack.

`Lwm2mServer` is this on our own endpoint, with operations on devices beside it. A server that has a CoAP stack already
gives its requests to `ServerSite.handle`, and brings a `DeviceGateway` of its own.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, final

from lwm2m_fota.coap.endpoint import Entropy, Response
from lwm2m_fota.coap.message import Message
from lwm2m_fota.errors import FotaError
from lwm2m_fota.lwm2m.bodies import BodyLimits
from lwm2m_fota.lwm2m.registry import Registration, RegistryEvent, RegistryLimits
from lwm2m_fota.lwm2m.responses import error_response
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.registry import Definitions, standard_definitions
from lwm2m_fota.runtime.entropy import SystemEntropy
from lwm2m_fota.server import reports
from lwm2m_fota.server.callbacks import tell
from lwm2m_fota.server.hosts import PackageHosts
from lwm2m_fota.server.packages import PackageServer, PackageServerLimits
from lwm2m_fota.server.ports import EntriesListener, PresenceListener, Subscription
from lwm2m_fota.server.publications import BlockServed
from lwm2m_fota.server.registrations import Permit, Registrations
from lwm2m_fota.server.reports import Reports
from lwm2m_fota.transport.base import Peer

DEFAULT_ROOT: Final = "rd"


@final
class ServerSite:
    """The server's side of registration and of pulls. Registrations lapse by timers of the running event loop.

    Args:
        base_uri: what the URIs of packages begin with, `coap://HOST:PORT`; a function, if it is known late. With
            several endpoints, such a function for the scheme of each, best first: a package that is published for one
            is served there alone.
        root: the path of the registration interface.
        registry: bounds of the registry.
        packages: bounds of the package server.
        bodies: bounds of request bodies that come in blocks: lists of objects, and what devices send.
        definitions: of the objects whose values are to be understood.
        entropy: makes ids and tokens; by default from the operating system.
        on_event: hears of every registration, update and removal.
        on_block: hears of every block served.
        permit: whether a peer may use an endpoint name; without it, all may.

    Attributes:
        registrations: who is there.
        packages: a `PackageHost`.
        reports: what devices send by themselves.
    """

    def __init__(
        self,
        base_uri: str | Callable[[], str] | Mapping[str, Callable[[], str]],
        *,
        root: str = DEFAULT_ROOT,
        registry: RegistryLimits | None = None,
        packages: PackageServerLimits | None = None,
        bodies: BodyLimits | None = None,
        definitions: Definitions | None = None,
        entropy: Entropy | None = None,
        on_event: Callable[[RegistryEvent], None] | None = None,
        on_block: Callable[[BlockServed], None] | None = None,
        permit: Permit | None = None,
    ) -> None:
        entropy = entropy or SystemEntropy()
        bodies = bodies or BodyLimits()
        self._root = root
        self.registrations = Registrations(
            root, registry or RegistryLimits(), entropy, _now, lambda event: tell(on_event, event), permit, bodies
        )
        self._packages = {
            scheme: PackageServer(base, entropy, _now, packages, on_block, scheme=scheme)
            for scheme, base in _bases(base_uri).items()
        }
        self.packages = PackageHosts(self._packages.values())
        self.reports = Reports(self.registrations.at, definitions or standard_definitions(), bodies)

    def registration(self, endpoint: str) -> Registration | None:
        """The present registration of an endpoint."""
        return self.registrations.get(endpoint)

    def watch(self, endpoint: str, listener: PresenceListener) -> Subscription:
        """Tell of every registration of this endpoint, and of its end."""
        return self.registrations.watch(endpoint, listener)

    def reported(self, endpoint: str, listener: EntriesListener) -> Subscription:
        """Tell of everything that this device sends by itself."""
        return self.reports.listen(endpoint, listener)

    def handle(self, message: Message, peer: Peer, now: float, scheme: str | None = None) -> Response:
        """Answer one request. Whatever is wrong with it becomes an error code; nothing is raised.

        Args:
            message: the request; one block of a body is as good as a whole one.
            peer: whom it came from, and where operations on it go: `Registration.peer`.
            now: monotonic seconds, of the event loop.
            scheme: over which endpoint it came; None for the first or only one.
        """
        packages = self._packages[scheme or next(iter(self._packages))]
        try:
            path = message.path()
            if packages.serves(path):
                return packages.handle(message, peer)
            if path[:1] == (self._root,):
                return self.registrations.handle(message, peer, now)
            if path == (reports.PATH,):
                return self.reports.handle(message, peer, now)
        except FotaError as error:
            return error_response(error)
        return Response(Code.NOT_FOUND)


def _bases(base_uri: str | Callable[[], str] | Mapping[str, Callable[[], str]]) -> Mapping[str, Callable[[], str]]:
    """The beginning of URIs, by scheme."""
    if isinstance(base_uri, Mapping):
        return base_uri
    if callable(base_uri):
        return {"coap": base_uri}
    return {base_uri.partition(":")[0]: lambda: base_uri}


def _now() -> float:
    return asyncio.get_running_loop().time()
