"""A LwM2M client over CoAP: it registers, answers its servers, notifies observers, and hosts objects of yours."""

import asyncio
import contextlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from enum import Enum
from functools import partial
from typing import cast, final

import attrs

from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.coap.events import RequestReceived
from lwm2m_fota.device.advanced import AdvancedFirmwareDevice
from lwm2m_fota.device.firmware import FirmwareDevice
from lwm2m_fota.device.membership import Membership, Party, ServerAccount
from lwm2m_fota.device.objects import DeviceIdentity, device_object, security_object, server_object
from lwm2m_fota.device.ownership import OtherServer, Ownership
from lwm2m_fota.device.reporting import Reporter
from lwm2m_fota.errors import RefusedError, SnapshotError, StorageError, UsageError
from lwm2m_fota.lwm2m.attributes import NO_ATTRIBUTES, Attributes
from lwm2m_fota.lwm2m.dispatch import Dispatcher, DispatchSettings
from lwm2m_fota.lwm2m.instances import Instances
from lwm2m_fota.lwm2m.objects import Lwm2mObject
from lwm2m_fota.lwm2m.registration import RegistrationSettings, spoken_over
from lwm2m_fota.lwm2m.responses import retry_option
from lwm2m_fota.lwm2m.value_object import ValueObject
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import Operations
from lwm2m_fota.model.server import SERVER_OBJECT_ID
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.storage.base import StateStore
from lwm2m_fota.transport.base import Peer

__all__ = ["ClientSettings", "Lwm2mClient", "OpenTo", "OtherServer", "ServerAccount"]


@final
class OpenTo(Enum):
    """Whose requests a client answers: those of the servers that it is registered at, or anyone's (for tests)."""

    SERVER = "server"
    ANYONE = "anyone"


@final
@attrs.frozen(kw_only=True)
class ClientSettings:
    """How a client behaves.

    Attributes:
        registration: endpoint name, lifetime, retries; for every server whose account says nothing else.
        identity: what Object 3 tells.
        server_id: the short server id of Object 1, where no account says it.
        open_to: see `OpenTo`.
        other_server: see `OtherServer`.
        result_s: how long the server that has updated the device has it to itself after that, to look at the result.
        reports: what is sent to servers without being asked (Send), when it changes and after a registration; to a
            server only once that has allowed it (Object 1, resource 23).
        confirmable_notifications: CON, so that none is lost unnoticed; NON saves the acknowledgements, where the server
            has not asked for them (attribute `con`).
        leave_s: how long a deregistration may take when the client stops.
        dispatch: bounds and choices of the request side.
    """

    registration: RegistrationSettings
    identity: DeviceIdentity = attrs.field(factory=DeviceIdentity)
    server_id: int = 1
    open_to: OpenTo = OpenTo.SERVER
    other_server: OtherServer = OtherServer.BUSY
    result_s: float = 60.0
    reports: tuple[Path, ...] = ()
    confirmable_notifications: bool = True
    leave_s: float = 3.0
    dispatch: DispatchSettings = attrs.field(factory=DispatchSettings)


@final
class Lwm2mClient:
    """A device at its servers: Objects 0 (never shown), 1 and 3, its firmware, and further objects.

    Args:
        pump: the CoAP endpoint; the client opens and closes it, and those of the accounts.
        servers: `coap://HOST[:PORT]`, the factory's bootstrap information (Object 0); its scheme is what the endpoint
            speaks. Or an account for each server.
        firmware: Object 5 or 33629; the client starts and stops it, and calls its health check passed once registered
            at a server.
        settings: how it behaves.
        reboot: what Object 3's Reboot does.
        objects: further objects.
        owner: keeps whose update is under way across restarts; None if it need not be kept.
        on_trouble: hears, in words, why a registration message failed, or something was not sent; the client tries on
            by itself.

    Raises:
        UnsupportedProtocolError: an endpoint does not speak the scheme of its server.
        UsageError: there is no account, or two are of the same server.
    """

    def __init__(
        self,
        pump: Pump,
        servers: str | Sequence[ServerAccount],
        firmware: FirmwareDevice | AdvancedFirmwareDevice,
        settings: ClientSettings,
        *,
        reboot: Callable[[], None],
        objects: Iterable[Lwm2mObject] = (),
        owner: StateStore | None = None,
        on_trouble: Callable[[str], None] | None = None,
    ) -> None:
        self._on_trouble = on_trouble
        self._pump = pump
        self._settings = settings
        self._firmware = firmware
        self._anywhere = asyncio.Event()
        self._notify_timer: asyncio.TimerHandle | None = None
        if isinstance(servers, str):
            servers = (ServerAccount(uri=servers, server_id=settings.server_id),)
        self._places = tuple(map(self._place, servers))
        self._reporters = {each.server_id: self._reporter(each) for each in self._places}
        if not self._places or len({each.server_id for each in self._places}) < len(self._places):
            raise UsageError("a client has a server, and one account at each")
        self._pumps = tuple(dict.fromkeys((pump, *(each.pump for each in self._places))))
        self._ownership = Ownership(firmware, settings.other_server, settings.result_s, owner)
        self._dispatcher = Dispatcher(
            (
                Instances(*(security_object(number, each) for number, each in enumerate(self._places))),
                Instances(*(self._account(number, each) for number, each in enumerate(self._places))),
                device_object(settings.identity, lambda: firmware.version, reboot, self._bindings()),
                firmware,
                *objects,
            ),
            settings.dispatch,
            server_of=self._server_of,
            defaults=self._defaults,
            access=self._access,
        )
        for each in self._dispatcher.objects.values():
            each.listen(self._changed)
        for one in self._pumps:
            one.on_observer_lost = partial(self._observer_lost, one)
            one.on_ended = partial(self._session_ended, one)

    def _place(self, account: ServerAccount) -> Membership:
        pump = account.pump or self._pump
        return Membership(
            account,
            spoken_over(pump.scheme, account.registration or self._settings.registration),
            pump,
            forgotten=self._forgotten,
            answered=self._answered,
            trouble=self._trouble,
        )

    def _bindings(self) -> str:
        """The letters of all transports that are spoken to servers."""
        return "".join(sorted({letter for each in self._places for letter in each.registration.binding}))

    def _reporter(self, at: Membership) -> Reporter:
        def body(paths: Sequence[Path]) -> bytes:
            return self._dispatcher.report(at.server_id, paths, self._pump.now())

        return Reporter(at, self._settings.reports, body, self._trouble)

    def _account(self, number: int, at: Membership) -> ValueObject:
        return server_object(number, at, self._reporters[at.server_id].all)

    async def __aenter__(self) -> "Lwm2mClient":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the endpoints, take up what the firmware was doing, and register; returns before it is registered.

        Raises:
            TransportError: a local address cannot be had.
            StorageError, SnapshotError: what the firmware stored cannot be read; the endpoints are closed again.
        """
        try:
            for pump in self._pumps:
                pump.on_request = partial(self._on_request, pump)
                await pump.open()
            await self._firmware.start()
            self._ownership.start()
        except BaseException:
            await self._close()
            raise
        for each in self._places:
            each.start(self._dispatcher.object_links())

    async def stop(self, *, deregister: bool = False) -> None:
        """Stop; what the firmware staged stays for the next start.

        Args:
            deregister: tell the servers first.
        """
        if deregister:
            await asyncio.gather(*(each.leave(self._settings.leave_s) for each in self._places))
        for each in self._places:
            await each.stop()
        for reporter in self._reporters.values():
            await reporter.stop()
        for pump in self._pumps:
            pump.on_request = _unavailable  # nothing begins any more
        self._arm_notifications(None)
        await self._firmware.stop()
        await self._close()

    async def _close(self) -> None:
        for pump in self._pumps:
            await pump.close()

    # -- registration

    async def registered(self, server_id: int | None = None) -> None:
        """Wait until a server has accepted the registration.

        Args:
            server_id: this one; None for any.

        Raises:
            UsageError: it has no account there.
        """
        await (self._anywhere.wait() if server_id is None else self._at(server_id).registered())

    @property
    def is_registered(self) -> bool:
        """A server knows this client."""
        return any(each.is_registered for each in self._places)

    def is_registered_at(self, server_id: int) -> bool:
        """This server knows this client.

        Raises:
            UsageError: it has no account there.
        """
        return self._at(server_id).is_registered

    def update_registration(self) -> None:
        """Send a registration update to every server at once."""
        for each in self._places:
            each.update()

    def address_changed(self) -> None:
        """Tell every server of another address of this client: over a new session, or by a new registration."""
        for each in self._places:
            each.moved()

    def objects_changed(self) -> None:
        """An object has other instances now: tell every server."""
        for each in self._places:
            each.set_links(self._dispatcher.object_links())

    def binding_changed(self, binding: str | None = None, *, queue_mode: bool | None = None) -> None:
        """Tell every server over which transports this client is reached now, and whether it sleeps.

        Args:
            binding: letters of those that it began with; None for no change.
            queue_mode: from now on it is asked only for a while after each of its messages; None for no change.

        Raises:
            UsageError: a transport that a server was not told of at first; nothing has changed.
        """
        for each in self._places:
            each.check_binding(binding)
        for each in self._places:
            each.set_binding(binding, queue_mode)

    def _at(self, server_id: int) -> Membership:
        for each in self._places:
            if each.server_id == server_id:
                return each
        raise UsageError(f"no account at server {server_id}")

    def _answered(self, at: Membership, anew: bool) -> None:  # noqa: FBT001 - a callback
        if anew:
            self._reporters[at.server_id].all()
        else:
            self._reporters[at.server_id].again()
        if not self.is_registered:
            self._anywhere.clear()
            return
        self._anywhere.set()
        with contextlib.suppress(StorageError, SnapshotError):  # the next answer tries again, or the trial ends
            self._firmware.healthy()

    def _forgotten(self, party: Party) -> None:
        self._dispatcher.observers.clear(party)

    def _session_ended(self, pump: Pump, peer: Peer) -> None:
        for each in self._places:
            if each.pump is pump:
                each.ended(peer)

    def _trouble(self, message: str) -> None:
        if self._on_trouble is not None:
            self._on_trouble(message)

    # -- which server it is, and what it may do

    def _server_of(self, party: Hashable) -> Hashable:
        """The short id of a server; of a stranger the party."""
        return next((each.server_id for each in self._places if each.party == party), party)

    def _defaults(self, server: Hashable) -> Attributes:
        return next((each.defaults for each in self._places if each.server_id == server), NO_ATTRIBUTES)

    def _access(self, server: Hashable, path: Path, operation: Operations) -> None:
        for number, each in enumerate(self._places):
            own = path.object_id == SERVER_OBJECT_ID
            if each.server_id == server and not (path.instance_id == number if own else operation & each.rights):
                raise RefusedError("this server has no access", code=Code.UNAUTHORIZED)
        if isinstance(server, int) and operation is not Operations.READ:
            self._ownership.check(server, path)

    def release_update(self) -> None:
        """The server that owns the update is gone for good: it belongs to whichever moves it on."""
        self._ownership.release()

    # -- requests, notifications and what is sent without a request

    async def send(self, server_id: int, paths: Sequence[Path]) -> None:
        """Send a server the present values of paths, without being asked (Send).

        Raises:
            UsageError: there is no such account, or the server has not allowed it (Object 1, resource 23).
            TransportError: this client is not registered there, or no answer came.
            ResponseError: the server refused.
            FotaError: nothing of it can be read.
        """
        await self._reporters[self._at(server_id).server_id].send(paths)

    def _on_request(self, pump: Pump, received: RequestReceived, now: float) -> Response:
        party = Party(pump, received.peer)
        server = self._server_of(party)
        server_id = server if isinstance(server, int) else None  # a stranger is no server
        if self._settings.open_to is OpenTo.SERVER and server_id is None:
            return Response(Code.UNAUTHORIZED)
        with self._ownership.asked_by(server_id):
            response = self._dispatcher.handle(received.message, party, now)
        self._arm_notifications(self._dispatcher.next_deadline())
        return response

    def _changed(self, paths: Sequence[Path]) -> None:
        self._dispatcher.changed(paths)
        for reporter in self._reporters.values():
            reporter.changed(paths)
        self._notify()

    def _notify(self) -> None:
        for each in self._dispatcher.notifications(self._pump.now()):
            confirmable = each.confirmable or self._settings.confirmable_notifications
            party = cast("Party", each.peer)
            party.pump.notify(party.peer, each.token, each.response, confirmable=confirmable)
        self._arm_notifications(self._dispatcher.next_deadline())

    def _arm_notifications(self, deadline: float | None) -> None:
        if self._notify_timer is not None:
            self._notify_timer.cancel()
            self._notify_timer = None
        if deadline is not None:
            self._notify_timer = asyncio.get_running_loop().call_at(deadline, self._notify)

    def _observer_lost(self, pump: Pump, peer: Peer, token: bytes) -> None:
        self._dispatcher.observers.remove(Party(pump, peer), token)


def _unavailable(received: RequestReceived, now: float) -> Response:
    del received, now
    return Response(Code.SERVICE_UNAVAILABLE, (retry_option(),))
