"""A client's place at one server: its account there, and the registration that is kept alive."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, NamedTuple, final

import attrs

from lwm2m_fota.coap.endpoint import Request
from lwm2m_fota.coap.uri import CoapUri, parse_uri
from lwm2m_fota.device.tasks import show_failure
from lwm2m_fota.errors import FotaError, UnsupportedProtocolError, UsageError
from lwm2m_fota.lwm2m.attributes import Attributes
from lwm2m_fota.lwm2m.registration import Phase, Registrar, RegistrationRequest, RegistrationSettings
from lwm2m_fota.model.codes import describe_code, is_success
from lwm2m_fota.model.resources import Operations
from lwm2m_fota.model.server import MAX_SHORT_SERVER_ID
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.transport.base import Peer

EVERYTHING: Final = Operations.READ | Operations.WRITE | Operations.EXECUTE


@final
@attrs.frozen(kw_only=True)
class ServerAccount:
    """A server that a client is to be registered at: what the factory puts into Objects 0 and 1.

    Attributes:
        uri: `SCHEME://HOST[:PORT]`; its scheme is what the endpoint speaks.
        server_id: the short server id, 1 to 65534.
        registration: how the client registers there; None for that of its settings.
        pump: the endpoint for this server; None for that of the client.
        rights: what the server may do with the objects, its own instance of Object 1 apart (the part of Object 2): READ
            is also for Observe and Write-Attributes, and Discover is always allowed.
        min_period_s: between two notifications, where the server asks for nothing else (Object 1, resource 2).
        max_period_s: the same for resource 3.
        may_report: whether the client sends by itself (Send) before the server has allowed it (resource 23).

    Raises:
        UsageError: an id or a period that cannot be.
    """

    uri: str
    server_id: int = 1
    registration: RegistrationSettings | None = None
    pump: Pump | None = None
    rights: Operations = EVERYTHING
    min_period_s: int | None = None
    max_period_s: int | None = None
    may_report: bool = False

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.server_id <= MAX_SHORT_SERVER_ID:
            raise UsageError(f"no server has the id {self.server_id}")
        if any(each is not None and each < 0 for each in (self.min_period_s, self.max_period_s)):
            raise UsageError("a period is not negative")


class Party(NamedTuple):
    """Whom a client talks to: a peer, and the endpoint that reaches it."""

    pump: Pump
    peer: Peer


@final
class Membership:
    """Stays registered at one server.

    Args:
        account: which.
        registration: how.
        pump: the endpoint, which somebody else opens and closes.
        forgotten: told of a party that has no observations here any more.
        answered: told after every registration message, whether it was answered or not, and whether it has led to a new
            registration.
        trouble: hears, in words, why one failed.

    Attributes:
        server: where it is.
        server_id: of the account.
        rights: of the account.
        registration: how the client registers.
        pump: the endpoint.
        party: the server as it was reached last; None before.
        defaults: of notifications; a server may write them.
        is_muted: nothing is sent to it but what it asks for; a server may write that.

    Raises:
        UnsupportedProtocolError: the endpoint does not speak the scheme of the server.
    """

    def __init__(
        self,
        account: ServerAccount,
        registration: RegistrationSettings,
        pump: Pump,
        *,
        forgotten: Callable[[Party], None],
        answered: Callable[["Membership", bool], None],
        trouble: Callable[[str], None],
    ) -> None:
        self.server: CoapUri = parse_uri(account.uri)
        if self.server.scheme != pump.scheme:
            raise UnsupportedProtocolError(f"{self.server.scheme} is not spoken here, but {pump.scheme}")
        self.server_id = account.server_id
        self.rights = account.rights
        self.pump = pump
        self.defaults = Attributes(pmin=account.min_period_s, pmax=account.max_period_s)
        self.is_muted = not account.may_report
        self.registration = registration
        self._spoken = frozenset(registration.binding)
        self._forgotten = forgotten
        self._answered = answered
        self._trouble = trouble
        self.party: Party | None = None
        self._registrar: Registrar | None = None
        self._registered = asyncio.Event()
        self._wake = asyncio.Event()
        self._main: asyncio.Task[None] | None = None

    @property
    def is_registered(self) -> bool:
        """The server knows this client."""
        return self._registrar is not None and self._registrar.is_registered

    async def registered(self) -> None:
        """Wait until the server has accepted the registration."""
        await self._registered.wait()

    def start(self, links: bytes) -> None:
        """Begin to register, with this list of objects."""
        registrar = self._registrar = Registrar(self.registration, links, self.pump.now())
        self._main = asyncio.get_running_loop().create_task(self._stay_registered(registrar))
        self._main.add_done_callback(show_failure)

    async def leave(self, leave_s: float) -> None:
        """Deregister, which may take so long, and stay out."""
        if self._registrar is not None and self._main is not None:
            self._registrar.leave(self.pump.now())
            self._wake.set()
            await asyncio.wait({self._main}, timeout=leave_s)

    async def stop(self) -> None:
        """Send no registration message any more."""
        if self._main is not None:
            self._main.cancel()
            await asyncio.gather(self._main, return_exceptions=True)

    # -- what changes while it is registered

    def update(self) -> None:
        """Send an update at once; harmless before the start."""
        self._change(lambda registrar, now: registrar.update_now(now))

    def moved(self) -> None:
        """The client is reached from elsewhere now; harmless before the start.

        A session is opened anew, and an update tells of it. Without sessions a server cannot tell who moves a
        registration elsewhere, and is sent a new one (LwM2M Transport 1.2, 6.4.3).
        """
        if self.pump.sessions is None:
            self._change(lambda registrar, now: registrar.register_anew(now))
        else:
            self._disconnect()
            self.update()

    @property
    def takes_reports(self) -> bool:
        """Something may be sent to this server without being asked: it knows Send, and has allowed it."""
        return self.registration.lwm2m_version != "1.0" and not self.is_muted

    def set_links(self, links: bytes) -> None:
        """Tell another list of objects; harmless before the start."""
        self._change(lambda registrar, now: registrar.set_links(links, now))

    @property
    def lifetime_s(self) -> int:
        """Of the registration."""
        return self.registration.lifetime_s if self._registrar is None else self._registrar.lifetime_s

    def set_lifetime(self, lifetime_s: int) -> None:
        """Tell another lifetime; harmless before the start.

        Raises:
            UsageError: less than one second.
        """
        self._change(lambda registrar, now: registrar.set_lifetime(lifetime_s, now))

    @property
    def binding(self) -> str:
        """As resource 7 of Object 1 has it: LwM2M 1.0 writes queue mode into it."""
        settings = self.registration
        return settings.binding + ("Q" if settings.queue_mode and settings.lwm2m_version == "1.0" else "")

    def check_binding(self, binding: str | None) -> None:
        """See to it that `set_binding` takes it.

        Raises:
            UsageError: it does not.
        """
        if binding is not None and (len(set(binding)) != len(binding) or not set() < set(binding) <= self._spoken):
            raise UsageError(f"only {''.join(sorted(self._spoken))} is spoken here")

    def set_binding(self, binding: str | None, queue_mode: bool | None) -> None:  # noqa: FBT001 - as it is told
        """Tell another binding, or whether this client sleeps; None leaves it as it is.

        Raises:
            UsageError: there is a transport in it that the client did not begin with.
        """
        self.check_binding(binding)
        settings = self.registration
        binding = settings.binding if binding is None else binding
        queue_mode = settings.queue_mode if queue_mode is None else queue_mode
        self.registration = attrs.evolve(settings, binding=binding, queue_mode=queue_mode)
        self._change(lambda registrar, now: registrar.set_binding(binding, now, queue_mode=queue_mode))

    def _change(self, change: Callable[[Registrar, float], None]) -> None:
        if self._registrar is not None:
            change(self._registrar, self.pump.now())
            self._wake.set()

    # -- registration

    async def _stay_registered(self, registrar: Registrar) -> None:
        while True:
            self._wake.clear()
            request = registrar.poll(self.pump.now())
            if request is not None:
                await self._tell(registrar, request)
                continue
            deadline = registrar.next_deadline()
            if deadline is None:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._wake.wait()

    async def _tell(self, registrar: Registrar, request: RegistrationRequest) -> None:
        before = registrar.phase
        try:
            party = await self._connect()
            if before is Phase.REGISTERING:  # the server may ask as soon as it has answered
                self._forgotten(party)
            answer = await self.pump.call(party.peer, Request(request.code, request.options, request.payload))
        except FotaError as error:
            self._disconnect()
            registrar.failed(self.pump.now())
            self._trouble(str(error))
        else:
            registrar.answered(answer, self.pump.now())
            if not is_success(answer.code):
                self._trouble(f"the server answered {describe_code(answer.code)}")
        if registrar.is_registered:
            self._registered.set()
        else:
            self._registered.clear()
        self._answered(self, before is Phase.REGISTERING and registrar.is_registered)

    # -- the way to the server

    async def _connect(self) -> Party:
        """The server, as it is reached now: over sessions the one that stands, or another one."""
        party = Party(self.pump, await self.pump.resolve(self.server.host, self.server.port))
        if party != self.party:
            self._disconnect()  # of an address that the name no longer has
            self._forget()
            self.pump.hold(party.peer)
            self.party = party
        return party

    def _disconnect(self) -> None:
        """Give up the session with the server, if it is one: the server may have lost it."""
        if self.party is not None and self.pump.sessions is not None:
            peer = self.party.peer
            self._forget()
            self.pump.end(peer)

    def ended(self, peer: Peer) -> None:
        """Without its session the server reaches this client no more: tell it at once where the next one is."""
        if self.party is not None and self.party.peer == peer:
            self._forget()
            self.update()

    def _forget(self) -> None:
        if self.party is not None:
            self._forgotten(self.party)
            self.party = None
