"""What a process holds and takes, as Linux tells it."""

import os
import re
from pathlib import Path
from typing import Final, final

_KIB: Final = 1024
_TICKS_S: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def _status(pid: int | str, name: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"the system tells no {name}")
    return int(found.group(1)) * _KIB


def proc_cpu_s(pid: int) -> float:
    """The processor time of a process and of its ended children, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS_S


@final
class Memory:
    """The resident memory of a process.

    Args:
        pid: whose; None is this one.
    """

    def __init__(self, pid: int | None = None) -> None:
        self._pid: int | str = "self" if pid is None else pid
        self._before = 0

    def mark(self) -> None:
        """Measure growth from now on."""
        Path(f"/proc/{self._pid}/clear_refs").write_text("5", encoding="ascii")  # forget the peak
        self._before = _status(self._pid, "VmRSS")

    def growth_bytes(self) -> int:
        """From the mark to the peak since."""
        return max(_status(self._pid, "VmHWM") - self._before, 0)
