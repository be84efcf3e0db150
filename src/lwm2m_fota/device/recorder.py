"""Records what the machines of a device go through, line by line, for whoever listens."""

import asyncio
from collections.abc import Mapping
from typing import Any, final

from lwm2m_fota.device.laws import Law
from lwm2m_fota.machines import device_trace
from lwm2m_fota.machines.device_trace import Happening
from lwm2m_fota.machines.trace_values import TraceListener


@final
class Recorder:
    """Gives lines of a trace (`machines.device_trace`) to a listener; what that raises is shown, and changes nothing.

    Args:
        law: what is recorded.
        listener: None records nothing.
    """

    def __init__(self, law: Law, listener: TraceListener | None) -> None:
        self._law = law
        self._listener = listener

    def started(self, wall: float | None) -> None:
        """The machines are restored, or new."""
        if self._listener is not None:
            self._tell(self._listener, device_trace.started(self._law.machine, self._law.profile, wall))

    def happened(self, what: Happening | None, wall: float | None) -> None:
        """The machines took a step, or refused to; None for what was no event at all."""
        if self._listener is not None and what is not None:
            self._tell(self._listener, device_trace.happened(what, self._law.machine, self._law.profile, wall))

    def forgotten(self) -> None:
        """Something could not be saved, and the machines are as before it."""
        if self._listener is not None:
            self._tell(self._listener, device_trace.forgotten(self._law.machine, self._law.profile))

    @staticmethod
    def _tell(listener: TraceListener, line: Mapping[str, Any]) -> None:
        try:
            listener(line)
        except Exception as error:  # noqa: BLE001 - shown, and no update depends on it
            message = f"the listener of a trace failed: {error!r}"
            asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
