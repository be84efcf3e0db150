"""Who observes what on a device, and what each observer must hear (RFC 7641; LwM2M Core 6.4).

Pure. Values are rendered by the owner when a notification goes out, so an observer sees the newest value even where
several changes came together.
"""

from collections.abc import Hashable, Iterable
from typing import Final, final

import attrs

from lwm2m_fota.model.paths import Path

_SEQUENCE_MASK: Final = 0xFFFFFF
DEFAULT_MAX_OBSERVERS: Final = 64


@final
@attrs.frozen
class Observer:
    """One observation.

    Attributes:
        peer: who observes.
        token: its token.
        path: what is observed.
        accept: the content format that it asked for, or None.
    """

    peer: Hashable
    token: bytes
    path: Path
    accept: int | None


@final
class ObserverTable:
    """All observations of one device, bounded."""

    __slots__ = ("_max_observers", "_observers", "_sequence")

    def __init__(self, max_observers: int = DEFAULT_MAX_OBSERVERS) -> None:
        self._max_observers = max_observers
        self._observers: dict[tuple[Hashable, bytes], Observer] = {}
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._observers)

    def add(self, observer: Observer) -> bool:
        """Take an observation; False if there is no room (it is then answered as a plain read, RFC 7641 4.1).

        The same peer observing the same path again replaces its older observation: it has lost that token.
        """
        for key, other in tuple(self._observers.items()):
            if other.peer == observer.peer and (other.path == observer.path or other.token == observer.token):
                del self._observers[key]
        if len(self._observers) >= self._max_observers:
            return False
        self._observers[observer.peer, observer.token] = observer
        return True

    def remove(self, peer: Hashable, token: bytes) -> bool:
        """End one observation; True if it was there."""
        return self._observers.pop((peer, token), None) is not None

    def clear(self) -> None:
        """End all observations: a new registration begins without any (LwM2M Core 6.4.2)."""
        self._observers.clear()

    def affected(self, changed: Iterable[Path]) -> tuple[Observer, ...]:
        """The observers to notify, in the order of the changes, each once."""
        found: dict[tuple[Hashable, bytes], Observer] = {}
        for path in changed:
            for key, observer in self._observers.items():
                if observer.path.contains(path) or path.contains(observer.path):
                    found.setdefault(key, observer)
        return tuple(found.values())

    def next_sequence(self) -> int:
        """The next value of the Observe option, 24 bits, ascending over all observers (RFC 7641 4.4)."""
        self._sequence = (self._sequence + 1) & _SEQUENCE_MASK
        return self._sequence
