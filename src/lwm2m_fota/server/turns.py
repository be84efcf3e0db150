"""Queue mode: a device that sleeps is asked only while it is awake, one request after the other (Transport 1.2, 6.5).

A device is awake for a while after every message that came from it. What is asked meanwhile waits for the next one, and
goes then, in the order in which it was asked, each request once the one before was answered.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import final

import attrs

from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.errors import PeerTimeoutError, TransportError, UsageError
from lwm2m_fota.lwm2m.registry import Registration


@final
@attrs.frozen(kw_only=True)
class QueueSettings:
    """How long devices in queue mode are reckoned to be awake.

    Attributes:
        awake_s: from the last message of a device until it sleeps, seconds; by default MAX_TRANSMIT_WAIT, 93 s, as the
            documents recommend it to devices.
        margin_s: a request that would begin so shortly before that waits for the next time: it has a way to go.

    Raises:
        UsageError: a device would never be asked.
    """

    awake_s: float = TransmissionParameters().max_transmit_wait_s
    margin_s: float = 3.0

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.margin_s < self.awake_s:
            raise UsageError("the margin is less than the time for which a device is awake")


class _Line:
    """Who waits for one device; the first in line alone waits for it to be awake."""

    __slots__ = ("asks_until", "gone", "heard", "lock")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()  # lets in whoever came first
        self.asks_until = float("-inf")
        self.heard = asyncio.Event()
        self.gone = False


@final
class Turns:
    """Whose turn it is to ask a device.

    Args:
        settings: how long devices are awake.
        registration_of: the present registration of an endpoint.
    """

    def __init__(self, settings: QueueSettings, registration_of: Callable[[str], Registration | None]) -> None:
        self._settings = settings
        self._registration_of = registration_of
        self._lines: dict[str, _Line] = {}

    def heard(self, endpoint: str) -> None:
        """A message came from a device: it is awake."""
        device = self._registration_of(endpoint)
        if device is None or not device.queue_mode:
            self._let_all_go(endpoint)
            return
        line = self._lines.setdefault(endpoint, _Line())
        line.asks_until = asyncio.get_running_loop().time() + self._settings.awake_s - self._settings.margin_s
        line.heard.set()

    def gone(self, endpoint: str) -> None:
        """A device is not registered any more: who waits for it is told."""
        line = self._lines.pop(endpoint, None)
        if line is not None:
            line.gone = True
            line.heard.set()

    def _let_all_go(self, endpoint: str) -> None:
        line = self._lines.pop(endpoint, None)
        if line is not None:
            line.asks_until = float("inf")
            line.heard.set()

    @contextlib.asynccontextmanager
    async def turn(self, endpoint: str) -> AsyncIterator[None]:
        """Wait for the turn to ask a device; a device that does not sleep is asked at once.

        A device that does not answer has gone to sleep; whoever asked is told so, since the request may have arrived.

        Raises:
            TransportError: the device is not registered any more.
        """
        device = self._registration_of(endpoint)
        if device is None or not device.queue_mode:
            yield
            return
        line = self._lines.setdefault(endpoint, _Line())
        async with line.lock:
            await self._awake(endpoint, line)
            try:
                yield
            except PeerTimeoutError:
                line.asks_until = float("-inf")
                raise
            self.heard(endpoint)

    async def _awake(self, endpoint: str, line: _Line) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() > line.asks_until:
            if line.gone:
                raise TransportError(f"{endpoint} is not registered any more")
            line.heard.clear()
            await line.heard.wait()
