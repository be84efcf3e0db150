"""Recognising messages that came before (RFC 7252 section 4.5), in bounded memory.

A message id alone does not tell a duplicate from a new message: a fast peer comes round all 65536 ids long before
EXCHANGE_LIFETIME has passed. So a duplicate is the same id with the same bytes; the same id with other bytes is a new
message (a retransmission is always a copy).
"""

from collections import OrderedDict
from typing import final


@final
class Entry:
    """One remembered message.

    Attributes:
        digest: hash of the datagram.
        expires: monotonic seconds; a copy that comes later is a new message.
        reply: the datagram to answer a copy with, or None.
        again: the answer was idempotent and is not kept: a copy is reported again.
        forgotten: no copy will find it any more.
    """

    __slots__ = ("again", "digest", "expires", "forgotten", "reply")

    def __init__(self, digest: int, expires: float) -> None:
        self.digest = digest
        self.expires = expires
        self.reply: bytes | None = None
        self.again = False
        self.forgotten = False


@final
class ReplyBudget:
    """The bytes of all replies kept for duplicates; when they exceed the limit, the oldest reply goes first.

    The entry stays without its reply: its request is not carried out twice, and not answered twice either.
    """

    __slots__ = ("_max_bytes", "_order", "used_bytes")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._order: OrderedDict[Entry, bytes] = OrderedDict()
        self.used_bytes = 0

    def __len__(self) -> int:
        return len(self._order)

    def keep(self, entry: Entry, reply: bytes) -> None:
        """Keep the reply of an entry, instead of the one it may have."""
        self._drop(entry)
        if entry.forgotten:
            return
        entry.reply = reply
        self._order[entry] = reply
        self.used_bytes += len(reply)
        while self.used_bytes > self._max_bytes:
            oldest, lost = self._order.popitem(last=False)
            oldest.reply = None
            self.used_bytes -= len(lost)

    def forget(self, entry: Entry) -> None:
        """The entry itself goes, and its reply with it."""
        entry.forgotten = True
        self._drop(entry)

    def _drop(self, entry: Entry) -> None:
        reply = self._order.pop(entry, None)
        if reply is not None:
            entry.reply = None
            self.used_bytes -= len(reply)


@final
class Recollection:
    """What one peer has sent, by message id, in order of arrival; when it is full, the oldest goes first."""

    __slots__ = ("_budget", "_entries", "_max_entries")

    def __init__(self, budget: ReplyBudget, max_entries: int) -> None:
        self._budget = budget
        self._max_entries = max_entries
        self._entries: OrderedDict[int, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, mid: int, digest: int, now: float) -> Entry | None:
        """The entry that this message is a duplicate of, or None if it is new."""
        entry = self._entries.get(mid)
        if entry is None or entry.digest != digest or entry.expires <= now:
            return None
        return entry

    def add(self, mid: int, digest: int, expires: float, now: float) -> Entry:
        """Remember a new message."""
        entries = self._entries
        former = entries.pop(mid, None)
        if former is not None:
            self._budget.forget(former)
        while entries:
            oldest = next(iter(entries.values()))
            if len(entries) < self._max_entries and oldest.expires > now:
                break
            entries.popitem(last=False)
            self._budget.forget(oldest)
        entry = entries[mid] = Entry(digest, expires)
        return entry

    def clear(self) -> None:
        """Forget everything, with its share of the budget."""
        for entry in self._entries.values():
            self._budget.forget(entry)
        self._entries.clear()
