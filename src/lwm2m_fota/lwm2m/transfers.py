"""Request bodies that come in blocks, of all peers of a device: bounded, and apart from each other (RFC 7959 2.5)."""

from collections.abc import Hashable
from typing import Final, final

from lwm2m_fota.coap.block1 import Block1Receiver
from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.errors import BusyError
from lwm2m_fota.lwm2m.places import Places, TransferLimits

_RETRY_S: Final = 1.0
"""When to come back where others gather more than there is room for: they end with the next blocks, or never."""


@final
class Transfer:
    """One request body.

    Attributes:
        receiver: which block comes next.
        kind: method and content format, the same in every block of a body.
        streamed: its blocks are handed on as they come.
        body: what is gathered of a body that is not streamed.
        answer: of the final block, for a peer that repeats it; None until then.
    """

    __slots__ = ("answer", "body", "kind", "receiver", "streamed")

    def __init__(self, receiver: Block1Receiver, kind: tuple[int, int | None], *, streamed: bool) -> None:
        self.receiver = receiver
        self.kind = kind
        self.streamed = streamed
        self.body = bytearray()
        self.answer: Response | None = None


@final
class TransferTable:
    """At most one transfer for each peer and path.

    Args:
        limits: how many at a time.
        gathered_bytes: how much of all bodies that are not streamed may be held at a time.
    """

    __slots__ = ("_max_gathered", "_places")

    def __init__(self, limits: TransferLimits, gathered_bytes: int) -> None:
        self._places: Places[Transfer] = Places(limits)
        self._max_gathered = gathered_bytes

    def __len__(self) -> int:
        return len(self._places)

    def get(self, peer: Hashable, path: Hashable) -> Transfer | None:
        """The transfer of a peer to a path."""
        return self._places.get(peer, path)

    def heard(self, peer: Hashable, path: Hashable, transfer: Transfer, now: float) -> None:
        """Keep a transfer that has just brought a block, in place of another of the same peer to the same path.

        Raises:
            BusyError: there are too many; see `TransferLimits`.
        """
        self._places.heard(peer, path, transfer, now)

    def gather(self, transfer: Transfer, data: bytes) -> None:
        """Hold the bytes of a block that is not handed on.

        Raises:
            BusyError: too much is held already.
        """
        held = sum(len(each.body) for each in self._places.values())
        if held + len(data) > self._max_gathered:
            raise BusyError(f"{held} bytes are held already", retry_after_s=_RETRY_S)
        transfer.body += data

    def end(self, peer: Hashable, path: Hashable, transfer: Transfer, answer: Response) -> None:
        """The last block of a running transfer was answered: its body goes, its answer stays for a repetition."""
        transfer.answer = answer
        transfer.body.clear()
        self._places.end(peer, path)

    def drop(self, peer: Hashable, path: Hashable) -> None:
        """Forget a transfer, if it is there."""
        self._places.drop(peer, path)

    def drop_others(self, peer: Hashable, path: Hashable) -> None:
        """Forget the transfers of other peers to a path whose present body is this peer's."""
        for other in self._places.peers(path):
            if other != peer:
                self._places.drop(other, path)
