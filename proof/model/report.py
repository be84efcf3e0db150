"""What an exploration tells, as values that one process can give to another. Loads no table."""

from typing import NamedTuple


class Finding(NamedTuple):
    """A rule that does not hold.

    Attributes:
        rule: its name.
        words: what was seen.
        trace: the shortest way there, move by move.
    """

    rule: str
    words: str
    trace: tuple[str, ...]

    def __str__(self) -> str:
        moves = "".join(f"\n  {number}. {words}" for number, words in enumerate(self.trace, 1))
        return f"{self.rule}: {self.words}, after{moves or ' nothing'}"


class Found(NamedTuple):
    """One space.

    Attributes:
        states: how many there are.
        transitions: how many moves they have together.
        rows: those of the tables that were taken, in words.
        findings: what does not hold.
        ends: how updates came to an end, in words.
        seconds: of one core.
    """

    states: int
    transitions: int
    rows: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    ends: tuple[str, ...] = ()
    seconds: float = 0.0
