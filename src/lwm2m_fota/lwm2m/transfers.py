"""Request bodies that come in blocks, of all peers of a device: bounded, and apart from each other (RFC 7959 2.5)."""

from collections.abc import Hashable
from typing import final

from lwm2m_fota.coap.block1 import Block1Receiver
from lwm2m_fota.coap.endpoint import Response


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

    Where there is no room, one that has ended gives way, else the one that was not heard of for longest.
    """

    __slots__ = ("_max_transfers", "_transfers")

    def __init__(self, max_transfers: int) -> None:
        self._max_transfers = max_transfers
        self._transfers: dict[tuple[Hashable, Hashable], Transfer] = {}  # the one heard of last is the last

    def __len__(self) -> int:
        return len(self._transfers)

    def get(self, peer: Hashable, path: Hashable) -> Transfer | None:
        """The transfer of a peer to a path."""
        return self._transfers.get((peer, path))

    def heard(self, peer: Hashable, path: Hashable, transfer: Transfer) -> None:
        """Keep a transfer that has just brought a block, in place of another of the same peer to the same path."""
        self._transfers.pop((peer, path), None)
        if len(self._transfers) >= self._max_transfers:
            oldest = next(iter(self._transfers))
            ended = (key for key, each in self._transfers.items() if each.answer is not None)
            del self._transfers[next(ended, oldest)]
        self._transfers[peer, path] = transfer

    def drop(self, peer: Hashable, path: Hashable) -> None:
        """Forget a transfer, if it is there."""
        self._transfers.pop((peer, path), None)

    def drop_others(self, peer: Hashable, path: Hashable) -> None:
        """Forget the transfers of other peers to a path whose present body is this peer's."""
        for key in tuple(self._transfers):
            if key[1] == path and key[0] != peer:
                del self._transfers[key]
