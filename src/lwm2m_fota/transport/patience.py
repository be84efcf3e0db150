"""Whether a transport looks for the next datagram at once, or when the event loop comes round.

A peer on the same processor answers while the processor is lent to it, and then its answer is there before the loop
comes round: that spares both of them the loop, a sleep and a wake-up, a third of what a block costs. Where that is
seldom so, each look is a system call in vain; and where others wait for the processor as well, a loan is a long one.
Both are found out by trying.
"""

import os
from collections.abc import Callable
from time import monotonic
from typing import Final, final

VAIN_LOOKS: Final = 8
"""After so many looks in vain, only every so many-th is taken."""

LONG_LOAN_S: Final = 0.002
"""A loan that took longer did not go to a peer alone: one that stores a batch takes up to 1 ms, but others keep the
processor for a slice of some 3 ms."""

LOAN_PAUSE_S: Final = 1.0
"""How long nothing is lent after a long loan."""


def _keep() -> None:
    """Where the system cannot lend the processor."""


_LEND: Final[Callable[[], object]] = getattr(os, "sched_yield", _keep)


@final
class Patience:
    """For one socket.

    Args:
        lend: lets others use the processor.
        clock: monotonic seconds.
    """

    __slots__ = ("_clock", "_lend", "_lend_again_at", "_looks", "_vain")

    def __init__(self, lend: Callable[[], object] = _LEND, clock: Callable[[], float] = monotonic) -> None:
        self._lend = lend
        self._clock = clock
        self._vain = 0
        self._looks = 0
        self._lend_again_at = 0.0

    def vain(self) -> None:
        """There was nothing behind the first datagram."""
        self._vain = min(self._vain + 1, VAIN_LOOKS)

    def looks_again(self, heard: int) -> bool:
        """Whether to look for another datagram behind number `heard` (from 1) of a batch."""
        if heard > 1:
            self._vain = 0
        elif self._vain == VAIN_LOOKS:
            self._looks += 1
            if self._looks % VAIN_LOOKS:
                return False
        self._lend_once()
        return True

    def looks_twice(self) -> bool:
        """Whether to look once more behind a look in vain: the processor may come back before the peer is done."""
        if self._vain == VAIN_LOOKS:
            return False
        self._lend_once()
        return True

    def _lend_once(self) -> None:
        before = self._clock()
        if before >= self._lend_again_at:
            self._lend()
            if self._clock() - before > LONG_LOAN_S:
                self._lend_again_at = before + LOAN_PAUSE_S
