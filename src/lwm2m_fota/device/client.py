"""A LwM2M client over CoAP: it registers, answers its server, notifies observers, and hosts objects of yours."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import final

import attrs

from lwm2m_fota.coap.endpoint import Request, Response
from lwm2m_fota.coap.events import RequestReceived
from lwm2m_fota.coap.uri import CoapUri, parse_uri
from lwm2m_fota.device.advanced import AdvancedFirmwareDevice
from lwm2m_fota.device.firmware import FirmwareDevice
from lwm2m_fota.device.objects import DeviceIdentity, device_object, security_object, server_object
from lwm2m_fota.device.tasks import show_failure
from lwm2m_fota.errors import FotaError, SnapshotError, StorageError, UnsupportedProtocolError
from lwm2m_fota.lwm2m.dispatch import Dispatcher, DispatchSettings
from lwm2m_fota.lwm2m.objects import Lwm2mObject
from lwm2m_fota.lwm2m.registration import Phase, Registrar, RegistrationRequest, RegistrationSettings
from lwm2m_fota.model.codes import Code, describe_code, is_success
from lwm2m_fota.model.paths import Path
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.transport.base import Peer


@final
class OpenTo(Enum):
    """Whose requests a client answers: those of the server that it is registered at, or anyone's (for tests)."""

    SERVER = "server"
    ANYONE = "anyone"


@final
@attrs.frozen(kw_only=True)
class ClientSettings:
    """How a client behaves.

    Attributes:
        registration: endpoint name, lifetime, retries.
        identity: what Object 3 tells.
        server_id: the short server id of Object 1.
        open_to: see `OpenTo`.
        confirmable_notifications: CON, so that none is lost unnoticed; NON saves the acknowledgements, where the server
            has not asked for them (attribute `con`).
        leave_s: how long a deregistration may take when the client stops.
        dispatch: bounds and choices of the request side.
    """

    registration: RegistrationSettings
    identity: DeviceIdentity = attrs.field(factory=DeviceIdentity)
    server_id: int = 1
    open_to: OpenTo = OpenTo.SERVER
    confirmable_notifications: bool = True
    leave_s: float = 3.0
    dispatch: DispatchSettings = attrs.field(factory=DispatchSettings)


@final
class Lwm2mClient:
    """A device at one server: Objects 0 (never shown), 1 and 3, its firmware, and further objects.

    Args:
        pump: the CoAP endpoint; the client opens and closes it.
        server_uri: `coap://HOST[:PORT]`, the factory's bootstrap information (Object 0); its scheme is what the
            endpoint speaks.
        firmware: Object 5 or 33629; the client starts and stops it, and calls its health check passed once registered.
        reboot: what Object 3's Reboot does.
        settings: how it behaves.
        objects: further objects.
        on_trouble: hears, in words, why a registration message failed; the client tries on by itself.
    """

    def __init__(
        self,
        pump: Pump,
        server_uri: str,
        firmware: FirmwareDevice | AdvancedFirmwareDevice,
        settings: ClientSettings,
        *,
        reboot: Callable[[], None],
        objects: Iterable[Lwm2mObject] = (),
        on_trouble: Callable[[str], None] | None = None,
    ) -> None:
        self._on_trouble = on_trouble
        self._server: CoapUri = parse_uri(server_uri)
        if self._server.scheme != pump.scheme:
            raise UnsupportedProtocolError(f"{self._server.scheme} is not spoken here, but {pump.scheme}")
        self._pump = pump
        self._settings = settings
        self._firmware = firmware
        self._peer: Peer | None = None
        self._registrar: Registrar | None = None
        self._registered = asyncio.Event()
        self._wake = asyncio.Event()
        self._main: asyncio.Task[None] | None = None
        self._notify_timer: asyncio.TimerHandle | None = None
        account = server_object(
            server_id=settings.server_id,
            lifetime=self._lifetime,
            set_lifetime=self._set_lifetime,
            update_registration=self.update_registration,
        )
        device = device_object(settings.identity, lambda: firmware.version, reboot)
        security = security_object(str(self._server), settings.server_id)
        self._dispatcher = Dispatcher((security, account, device, firmware, *objects), settings.dispatch)
        for each in self._dispatcher.objects.values():
            each.listen(self._changed)
        pump.on_observer_lost = self._observer_lost
        pump.on_ended = self._session_ended

    async def __aenter__(self) -> "Lwm2mClient":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the endpoint, take up what the firmware was doing, and register; returns before it is registered.

        Raises:
            TransportError: the local address cannot be had.
            StorageError, SnapshotError: what the firmware stored cannot be read; the endpoint is closed again.
        """
        self._pump.on_request = self._on_request
        await self._pump.open()
        try:
            await self._firmware.start()
        except BaseException:
            await self._pump.close()
            raise
        registrar = Registrar(self._settings.registration, self._dispatcher.object_links(), self._pump.now())
        self._registrar = registrar
        self._main = asyncio.get_running_loop().create_task(self._stay_registered(registrar))
        self._main.add_done_callback(show_failure)

    async def stop(self, *, deregister: bool = False) -> None:
        """Stop; what the firmware staged stays for the next start.

        Args:
            deregister: tell the server first.
        """
        if deregister and self._registrar is not None and self._main is not None:
            self._registrar.leave(self._pump.now())
            self._wake.set()
            await asyncio.wait({self._main}, timeout=self._settings.leave_s)
        if self._main is not None:
            self._main.cancel()
            await asyncio.gather(self._main, return_exceptions=True)
        self._pump.on_request = _unavailable  # nothing begins any more
        self._arm_notifications(None)
        await self._firmware.stop()
        await self._pump.close()

    async def registered(self) -> None:
        """Wait until the server has accepted the registration."""
        await self._registered.wait()

    @property
    def is_registered(self) -> bool:
        """The server knows this client."""
        return self._registrar is not None and self._registrar.is_registered

    def update_registration(self) -> None:
        """Send a registration update at once, e.g. after a change of address."""
        if self._registrar is not None:
            self._registrar.update_now(self._pump.now())
            self._wake.set()

    def _lifetime(self) -> int:
        return self._settings.registration.lifetime_s if self._registrar is None else self._registrar.lifetime_s

    def _set_lifetime(self, lifetime_s: int) -> None:
        if self._registrar is not None:
            self._registrar.set_lifetime(lifetime_s, self._pump.now())
            self._wake.set()

    # -- registration

    async def _stay_registered(self, registrar: Registrar) -> None:
        while True:
            self._wake.clear()
            request = registrar.poll(self._pump.now())
            if request is not None:
                await self._send(registrar, request)
                continue
            deadline = registrar.next_deadline()
            if deadline is None:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._wake.wait()

    async def _send(self, registrar: Registrar, request: RegistrationRequest) -> None:
        before = registrar.phase
        try:
            peer = await self._connect()
            if before is Phase.REGISTERING:  # the server may ask as soon as it has answered
                self._dispatcher.observers.clear()
            answer = await self._pump.call(peer, Request(request.code, request.options, request.payload))
        except FotaError as error:
            self._disconnect()
            registrar.failed(self._pump.now())
            self._trouble(str(error))
        else:
            registrar.answered(answer, self._pump.now())
            if not is_success(answer.code):
                self._trouble(f"the server answered {describe_code(answer.code)}")
        if registrar.is_registered:
            self._registered.set()
            with contextlib.suppress(StorageError, SnapshotError):  # the next answer tries again, or the trial ends
                self._firmware.healthy()
        else:
            self._registered.clear()

    async def _connect(self) -> Peer:
        """The server, as it is reached now: over sessions the one that stands, or another one."""
        peer = await self._pump.resolve(self._server.host, self._server.port)
        if peer != self._peer:
            self._pump.hold(peer)
            self._peer = peer
        return peer

    def _disconnect(self) -> None:
        """Give up the session with the server, if it is one: the server may have lost it."""
        if self._peer is not None and self._pump.sessions is not None:
            peer, self._peer = self._peer, None
            self._pump.end(peer)

    def _session_ended(self, peer: Peer) -> None:
        """Without its session the server reaches this device no more: tell it at once where the next one is."""
        if peer == self._peer:
            self._peer = None
            self._dispatcher.observers.clear()
            self.update_registration()

    def _trouble(self, message: str) -> None:
        if self._on_trouble is not None:
            self._on_trouble(message)

    # -- requests and notifications

    def _on_request(self, received: RequestReceived, now: float) -> Response:
        if self._settings.open_to is OpenTo.SERVER and received.peer != self._peer:
            return Response(Code.UNAUTHORIZED)
        response = self._dispatcher.handle(received.message, received.peer, now)
        self._arm_notifications(self._dispatcher.next_deadline())
        return response

    def _changed(self, paths: Sequence[Path]) -> None:
        self._dispatcher.changed(paths)
        self._notify()

    def _notify(self) -> None:
        for each in self._dispatcher.notifications(self._pump.now()):
            confirmable = each.confirmable or self._settings.confirmable_notifications
            self._pump.notify(each.peer, each.token, each.response, confirmable=confirmable)
        self._arm_notifications(self._dispatcher.next_deadline())

    def _arm_notifications(self, deadline: float | None) -> None:
        if self._notify_timer is not None:
            self._notify_timer.cancel()
            self._notify_timer = None
        if deadline is not None:
            self._notify_timer = asyncio.get_running_loop().call_at(deadline, self._notify)

    def _observer_lost(self, peer: Peer, token: bytes) -> None:
        self._dispatcher.observers.remove(peer, token)


def _unavailable(received: RequestReceived, now: float) -> Response:
    del received, now
    return Response(Code.SERVICE_UNAVAILABLE)
