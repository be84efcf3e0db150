"""The one pump: it drives a pure CoAP endpoint over a datagram transport on asyncio.

Every turn has four steps: feed what arrived, hand out events, transmit, re-arm the one timer. There is no protocol in
here, and no task for a block or an exchange.

An exception of a handler that is not an answer to its call goes to the loop's exception handler; a request is then
answered 5.00, and the turn goes on. What a sink or a source raises ends its call, and is raised there.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final, final

import attrs

from lwm2m_fota.coap.endpoint import Collect, Endpoint, EndpointLimits, Entropy, Request, Response, Stream
from lwm2m_fota.coap.events import (
    BlockArrived,
    BlockWanted,
    BodyRestarted,
    BodyWanted,
    CallFailed,
    Event,
    Malformed,
    Notified,
    ObserverLost,
    RequestReceived,
    ResponseReceived,
)
from lwm2m_fota.coap.message import Message
from lwm2m_fota.coap.messaging import Burst
from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.errors import TransportError
from lwm2m_fota.model.codes import Code
from lwm2m_fota.runtime.entropy import SystemEntropy
from lwm2m_fota.runtime.pending import BlockSink, PendingCall, RequestHandler
from lwm2m_fota.storage.base import PackageSource
from lwm2m_fota.transport.base import BurstSender, DatagramTransport, Peer
from lwm2m_fota.transport.bursts import bundled
from lwm2m_fota.transport.sessions import SessionTransport

DEFAULT_MAX_BODY_BYTES = 65536
_NO_ANSWER: Final = b""


@final
class Observation:
    """A running observation; `first` is the answer that began it."""

    __slots__ = ("_call", "_pump", "first")

    def __init__(self, pump: "Pump", call: int, first: Message) -> None:
        self._pump = pump
        self._call = call
        self.first = first

    def cancel(self) -> None:
        """End the observation at the peer; twice is harmless."""
        self._pump.cancel(self._call)

    def forget(self) -> None:
        """End the observation here alone: the peer has lost it already."""
        self._pump.forget(self._call)


def _endpoint_limits(limits: EndpointLimits, transport: DatagramTransport) -> EndpointLimits:
    """Nobody forges the address of a session."""
    return limits if transport.sessions is None else attrs.evolve(limits, strangers=None)


@final
class Pump:
    """One endpoint, one transport, one timer.

    Attributes:
        on_request: answers requests; without one they are answered 4.04.
        on_observer_lost: told when a peer no longer takes our notifications.
        on_ended: told when the session that a peer was has ended, unless `end` did it.
        takes_parts: see `PartsReceiver`.
    """

    takes_parts: Final = True

    def __init__(
        self,
        transport: DatagramTransport,
        *,
        entropy: Entropy | None = None,
        parameters: TransmissionParameters | None = None,
        limits: EndpointLimits | None = None,
    ) -> None:
        self._transport = transport
        self.entropy: Entropy = entropy or SystemEntropy()
        self._endpoint = Endpoint(
            entropy=self.entropy,
            parameters=parameters or TransmissionParameters(),
            limits=_endpoint_limits(limits or EndpointLimits(), transport),
            capabilities=None if transport.sessions is None else transport.sessions.capabilities,
        )
        self.on_request: RequestHandler | None = None
        self.on_observer_lost: Callable[[Peer, bytes], None] | None = None
        self.on_ended: Callable[[Peer], None] | None = None
        self._calls: dict[int, PendingCall] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for: float | None = None
        self._bursts = transport if isinstance(transport, BurstSender) else None
        self._turning = False
        self._opened = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clock: Callable[[], float] | None = None

    @property
    def scheme(self) -> str:
        """The URI scheme that is spoken here."""
        return self._transport.scheme

    @property
    def sessions(self) -> SessionTransport | None:
        """The transport, if its peers are sessions."""
        return self._transport.sessions

    @property
    def local_address(self) -> tuple[str, int]:
        """Host and port of the open transport."""
        return self._transport.local_address

    def now(self) -> float:
        """The loop's monotonic time, seconds."""
        return self._clock() if self._clock is not None else self._running_loop().time()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            # a call less for each datagram, where the loop's own method does nothing else
            is_plain = type(self._loop).time is asyncio.BaseEventLoop.time
            self._clock = time.monotonic if is_plain else self._loop.time
        return self._loop

    async def open(self) -> None:
        """Open the transport and begin to serve.

        Raises:
            TransportError: the address cannot be had.
        """
        self._running_loop()
        await self._transport.open(self)
        self._opened = True

    async def close(self) -> None:
        """Close the transport; running calls fail with TransportError."""
        self._opened = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._armed_for = None
        calls, self._calls = self._calls, {}
        for call_id, call in calls.items():
            self._endpoint.cancel(call_id, self.now(), forget=True)
            call.fail(TransportError("the endpoint was closed"))
        await self._transport.close()

    async def resolve(self, host: str, port: int) -> Peer:
        """The transport address of a host.

        Raises:
            TransportError: the name has no address.
        """
        return await self._transport.resolve(host, port)

    def hold(self, peer: Peer) -> None:
        """Keep the session that a peer is, also while it is idle; harmless where there are no sessions."""
        if self.sessions is not None:
            self.sessions.hold(peer)

    def release(self, peer: Peer) -> None:
        """Let the session that a peer is end when it is idle; harmless where there are no sessions."""
        if self.sessions is not None:
            self.sessions.release(peer)

    def end(self, peer: Peer, why: str | None = None) -> None:
        """End the session that a peer is: its calls fail, and the next `resolve` opens another.

        Harmless where there are no sessions.

        Args:
            peer: the session.
            why: what the peer has done wrong, if that is the reason.
        """
        if self.sessions is not None and self._opened:
            self.sessions.end(peer, why)
            self._endpoint.ended(peer, self.now())
            self._turn()

    def knows_q_block(self, peer: Peer) -> bool | None:
        """Whether a peer understands Q-Block, as it has shown; None if it has not."""
        return self._endpoint.knows_q_block(peer)

    def set_parameters(self, peer: Peer, parameters: TransmissionParameters) -> None:
        """Transmission parameters for one peer."""
        self._endpoint.set_parameters(peer, parameters)

    # -- the transport's side

    def datagram_received(self, data: bytes, peer: Peer) -> bool:
        """Feed one datagram, and let what it led to go out at once: its peer waits for that.

        Returns:
            False if it is better sent together with what the next ones lead to, at `drained`.
        """
        endpoint = self._endpoint
        endpoint.receive(data, peer, self.now())
        if endpoint.gathers:
            return False
        if endpoint.events:
            self._turn()
        elif endpoint.outbox:
            self._transmit()
        return True

    def answer(self, data: bytes, peer: Peer) -> bytes | None:
        """Feed one datagram, and let the transport send what answers it; see `DatagramAnswerer`."""
        endpoint = self._endpoint
        answer = endpoint.answer(data, peer, self.now() if self._clock is None else self._clock())
        if answer:
            if not endpoint.events and not endpoint.outbox:
                if endpoint.alarms[0][0] != self._armed_for:
                    self._arm(endpoint.next_deadline())
                return answer
            endpoint.outbox.append((answer, peer))
        if endpoint.gathers:
            return None
        self.drained()
        return _NO_ANSWER

    def burst_received(self, data: bytes, size: int, peer: Peer) -> None:
        """Feed several datagrams that came together; `drained` ends the batch."""
        self._endpoint.receive_burst(data, size, peer, self.now())

    def unreachable(self, peer: Peer) -> None:
        """The transport was told that nobody listens there."""
        self._endpoint.unreachable(peer, self.now())

    def ended(self, peer: Peer) -> None:
        """The session that this peer was has ended."""
        self._endpoint.ended(peer, self.now())
        if self.on_ended is not None:
            self.on_ended(peer)

    def drained(self) -> None:
        """The transport has nothing more for now."""
        endpoint = self._endpoint
        if endpoint.events:
            self._turn()
        elif endpoint.outbox and self._opened:
            self._transmit()

    # -- the four steps

    def _turn(self) -> None:
        if self._turning or not self._opened:
            return
        self._turning = True
        endpoint = self._endpoint
        try:
            while endpoint.events:
                if endpoint.outbox:  # the peer goes on while we are busy
                    self._transmit()
                for event in endpoint.take_events():
                    try:
                        self._hand_out(event)
                    except Exception as error:  # noqa: BLE001 - others' code: it must not take the turn with it
                        self._broken(event, error)
        finally:
            self._turning = False
        self._transmit()

    def _transmit(self) -> None:
        endpoint, send = self._endpoint, self._transport.send
        outbox = endpoint.outbox
        for data, peer in outbox if len(outbox) == 1 or self._bursts is None else bundled(outbox):
            if isinstance(data, bytes):
                send(data, peer)
            else:
                self._send_burst(data, peer)
        outbox.clear()
        deadline = endpoint.next_deadline()
        if deadline != self._armed_for:
            self._arm(deadline)

    def _send_burst(self, datagrams: Burst, peer: Peer) -> None:
        if self._bursts is not None:
            self._bursts.send_burst(datagrams, peer)
        else:
            for data in datagrams:
                self._transport.send(data, peer)

    def _arm(self, deadline: float | None) -> None:
        self._armed_for = deadline
        timer = self._timer
        if deadline is None:
            if timer is not None:
                timer.cancel()
                self._timer = None
            return
        if timer is not None:
            if timer.when() <= deadline:
                return  # it fires early and looks again: cheaper than a new timer for each datagram
            timer.cancel()
        self._timer = self._running_loop().call_at(deadline, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._armed_for = None
        now = self.now()
        deadline = self._endpoint.next_deadline()
        if deadline is not None and deadline <= now:
            self._endpoint.handle_timeout(now)
        self._turn()

    def _hand_out(self, event: Event) -> None:  # noqa: C901, PLR0912 - one case for each event
        match event:
            case BlockArrived():
                self._block_arrived(event)
            case BlockWanted():
                self._block_wanted(event)
            case BodyWanted():
                self._endpoint.give(event, event.body.block(event.offset, event.length), self.now())
            case RequestReceived():
                self._request_received(event)
            case ResponseReceived():
                self._finished(event)
            case Notified():
                call = self._calls.get(event.call)
                if call is not None and call.on_notify is not None:
                    call.on_notify(event.message)
            case BodyRestarted():
                self._body_restarted(event)
            case CallFailed():
                call = self._calls.pop(event.call, None)
                if call is not None:
                    call.fail(event.error)
            case Malformed(peer):
                self.end(peer, why="that is no message")
            case ObserverLost():
                if self.on_observer_lost is not None:
                    self.on_observer_lost(event.peer, event.token)

    def _broken(self, event: Event, error: Exception) -> None:
        """Code that is not ours failed on an event: end what depends on it, and tell whoever can be told."""
        match event:
            case BlockArrived() | BlockWanted() | BodyRestarted():
                self._abort(event.call, error)  # whoever awaits the call hears of it
                return
            case RequestReceived():
                self._endpoint.respond(event.exchange, Response(Code.INTERNAL_SERVER_ERROR), self.now())
            case BodyWanted():
                self._endpoint.give(event, Response(Code.INTERNAL_SERVER_ERROR), self.now())
            case _:
                pass
        message = f"a handler failed on {type(event).__name__}"
        self._running_loop().call_exception_handler({"message": message, "exception": error})

    def _block_arrived(self, event: BlockArrived) -> None:
        call = self._calls.get(event.call)
        if call is None or call.sink is None:
            return
        call.sink.block(event)
        if not event.last:
            self._endpoint.proceed(event.call, self.now())

    def _body_restarted(self, event: BodyRestarted) -> None:
        call = self._calls.get(event.call)
        if call is None or call.sink is None:
            return
        call.sink.restarted(event.reason)

    def _block_wanted(self, event: BlockWanted) -> None:
        call = self._calls.get(event.call)
        if call is None or call.source is None:
            return
        data = call.source.read_at(event.offset, event.length)
        if call.on_progress is not None:
            call.on_progress(event.acknowledged)
        self._endpoint.supply(event.call, data, self.now())

    def _request_received(self, event: RequestReceived) -> None:
        now = self.now()
        response = self.on_request(event, now) if self.on_request is not None else Response(Code.NOT_FOUND)
        if response is not None:
            self._endpoint.respond(event.exchange, response, now)

    def _finished(self, event: ResponseReceived) -> None:
        call = self._calls.get(event.call) if event.observing else self._calls.pop(event.call, None)
        if call is not None:
            call.finish(event.message)

    def _abort(self, call_id: int, error: Exception) -> None:
        call = self._calls.pop(call_id, None)
        if call is not None:
            self._endpoint.cancel(call_id, self.now(), forget=True)
            call.fail(error)

    # -- calls

    def respond(self, exchange: int, response: Response) -> None:
        """Answer a request that `on_request` left open."""
        self._endpoint.respond(exchange, response, self.now())
        self._turn()

    def notify(self, peer: Peer, token: bytes, response: Response, *, confirmable: bool) -> None:
        """Send a notification to an observer."""
        self._endpoint.notify(peer, token, response, self.now(), confirmable=confirmable)
        self._turn()

    async def call(self, peer: Peer, request: Request, *, max_body_bytes: int = DEFAULT_MAX_BODY_BYTES) -> Message:
        """Send a request and await its whole answer.

        Raises:
            TransportError: no answer (PeerTimeoutError), a reset (PeerResetError), or the endpoint was closed.
            BlockwiseError: the body is too large or comes wrongly.
        """
        return await self._run(
            peer, request, Collect(max_body_bytes), PendingCall(self._running_loop().create_future())
        )

    async def upload(
        self, peer: Peer, request: Request, source: PackageSource, on_progress: Callable[[int], None] | None = None
    ) -> Message:
        """Send a body block by block from `source`; `on_progress` hears the bytes acknowledged.

        Raises:
            TransportError, BlockwiseError: as `call`.
            StorageError: the source cannot be read; and whatever else `source` or `on_progress` raises.
        """
        call = PendingCall(self._running_loop().create_future())
        call.source = source
        call.on_progress = on_progress
        return await self._run(peer, request, Collect(DEFAULT_MAX_BODY_BYTES), call)

    async def download(self, peer: Peer, request: Request, sink: BlockSink, stream: Stream) -> Message:
        """Fetch a body block by block into `sink`; the answer's code tells whether there was one.

        Raises:
            TransportError, BlockwiseError: as `call`.
            Exception: what `sink` raised.
        """
        call = PendingCall(self._running_loop().create_future())
        call.sink = sink
        return await self._run(peer, request, stream, call)

    async def observe(self, peer: Peer, request: Request, on_notify: Callable[[Message], None]) -> Observation:
        """Begin an observation; `on_notify` hears every fresh notification after the first answer.

        What the peer ends it with, such as 4.04, is the last that `on_notify` hears.

        Raises:
            TransportError, BlockwiseError: as `call`.
        """
        call = PendingCall(self._running_loop().create_future())
        call.on_notify = on_notify
        call_id = self._start(peer, request, Collect(DEFAULT_MAX_BODY_BYTES), call)
        try:
            first = await call.future
        except asyncio.CancelledError:
            self.forget(call_id)
            raise
        return Observation(self, call_id, first)

    def cancel(self, call_id: int) -> None:
        """End a call or an observation, telling the peer where it must know."""
        if self._calls.pop(call_id, None) is not None:
            self._endpoint.cancel(call_id, self.now())
            self._turn()

    def forget(self, call_id: int) -> None:
        """End a call or an observation without a word to the peer."""
        if self._calls.pop(call_id, None) is not None:
            self._endpoint.cancel(call_id, self.now(), forget=True)
            self._turn()

    def _start(self, peer: Peer, request: Request, body: Collect | Stream, call: PendingCall) -> int:
        if not self._opened:
            raise TransportError("the endpoint is not open")
        call_id = self._endpoint.request(peer, request, self.now(), body=body)
        self._calls[call_id] = call
        self._turn()
        return call_id

    async def _run(self, peer: Peer, request: Request, body: Collect | Stream, call: PendingCall) -> Message:
        call_id = self._start(peer, request, body, call)
        try:
            return await call.future
        except asyncio.CancelledError:
            self.forget(call_id)
            raise
