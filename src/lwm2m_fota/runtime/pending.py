"""What the pump delivers to: whoever answers requests, and whoever awaits calls."""

from typing import TYPE_CHECKING, Protocol, final

from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.coap.events import BlockArrived, RequestReceived
from lwm2m_fota.coap.message import Message
from lwm2m_fota.storage.base import PackageSource

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class BlockSink(Protocol):
    """Where the blocks of a download go."""

    def block(self, arrived: BlockArrived) -> None:
        """Store one block; blocks come in order. An error ends the download with that error."""
        ...

    def restarted(self, reason: str) -> None:
        """The body changed on the server: what was stored is void, the next block has offset 0.

        An error ends the download with that error.
        """
        ...


class RequestHandler(Protocol):
    """What answers requests."""

    def __call__(self, received: RequestReceived, now: float) -> Response | None:
        """The response, or None if `Pump.respond` will be called later."""
        ...


@final
class PendingCall:
    """What a running call delivers to.

    Attributes:
        future: the whole answer.
        source: where the body up is read.
        on_progress: told how many bytes of that were acknowledged.
        sink: takes the blocks of the body down.
        on_notify: told each notification.
    """

    __slots__ = ("future", "on_notify", "on_progress", "sink", "source")

    def __init__(self, future: "asyncio.Future[Message]") -> None:
        self.future = future
        self.source: PackageSource | None = None
        self.on_progress: Callable[[int], None] | None = None
        self.sink: BlockSink | None = None
        self.on_notify: Callable[[Message], None] | None = None

    def finish(self, message: Message) -> None:
        """Deliver the whole answer; to an observation that runs, it is what ends it."""
        if not self.future.done():
            self.future.set_result(message)
        elif self.on_notify is not None and not self.future.cancelled():
            self.on_notify(message)

    def fail(self, error: Exception) -> None:
        """Raise an error where the answer is awaited; an answer that is there stays."""
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # observed: a caller that is gone must not be reported
