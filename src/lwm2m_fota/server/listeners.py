"""Who wants to hear of a device: listeners by endpoint name."""

import contextlib
from typing import Generic, TypeVar, final

_Listener = TypeVar("_Listener")


@final
class Listening(Generic[_Listener]):
    """One listener of one endpoint, until it is cancelled."""

    __slots__ = ("_endpoint", "_listeners", "listener")

    def __init__(self, listeners: "Listeners[_Listener]", endpoint: str, listener: _Listener) -> None:
        self._listeners = listeners
        self._endpoint = endpoint
        self.listener = listener

    def cancel(self) -> None:
        """Hear no more; twice is harmless."""
        self._listeners.remove(self._endpoint, self)


@final
class Listeners(Generic[_Listener]):
    """Listeners by endpoint name."""

    __slots__ = ("_by_endpoint",)

    def __init__(self) -> None:
        self._by_endpoint: dict[str, list[Listening[_Listener]]] = {}

    def __len__(self) -> int:
        return len(self._by_endpoint)

    def add(self, endpoint: str, listener: _Listener) -> Listening[_Listener]:
        """Tell this listener too."""
        listening = Listening(self, endpoint, listener)
        self._by_endpoint.setdefault(endpoint, []).append(listening)
        return listening

    def of(self, endpoint: str) -> tuple[_Listener, ...]:
        """Whom to tell."""
        return tuple(each.listener for each in self._by_endpoint.get(endpoint, ()))

    def remove(self, endpoint: str, listening: Listening[_Listener]) -> None:
        """Tell it no more; harmless if it is gone."""
        present = self._by_endpoint.get(endpoint, [])
        with contextlib.suppress(ValueError):
            present.remove(listening)
            if not present:
                del self._by_endpoint[endpoint]
