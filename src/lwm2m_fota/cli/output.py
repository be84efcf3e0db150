"""What a command prints: one JSON object a line, or lines for people."""

import io
import json
import os
import sys
import textwrap
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, final

from lwm2m_fota.cli.events import EVENTS, Line
from lwm2m_fota.package.verdicts import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_PROGRESS_S: Final = 1.0
"""Where there is no terminal, at most one line of progress in this time."""


@final
class Stdout(io.TextIOBase):
    """Standard output that may go away: nobody's listening must not end an update, or a device."""

    def __init__(self) -> None:
        self._file = sys.stdout  # None if the process was started without

    def write(self, text: str) -> int:
        """Write, or drop what nobody reads."""
        if self._file is not None:
            try:
                self._file.write(text)
            except OSError:
                self._drop()
        return len(text)

    def flush(self) -> None:
        """Hand over what is buffered."""
        if self._file is not None:
            try:
                self._file.flush()
            except OSError:
                self._drop()
            except ValueError:
                pass  # it was closed before us

    def isatty(self) -> bool:
        """Whether people look at it."""
        return self._file is not None and self._file.isatty()

    def _drop(self) -> None:
        """Let what is still buffered, and all that follows, go nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._file.fileno())
        os.close(nowhere)


@final
class Output:
    """Events of a command, each with a name and plain values; see `events`.

    Args:
        command: whose events they are.
        as_json: one object a line, with `event` and `at` (seconds since 1970) first.
        timed: begin each line for people with the seconds since the start and its source.
    """

    def __init__(self, command: str, *, as_json: bool, timed: bool = False) -> None:
        self._command = command
        self._started = time.monotonic() if timed else None
        self._stdout = Stdout()
        self._console: Console | None = None if as_json else _console(self._stdout)
        self._progress: Progress | None = None
        self._progress_at: float | None = None

    def __call__(self, event: str, /, **values: object) -> None:
        """Tell one event of the command's own."""
        self._tell(self._command, self._command if self._started is not None else "", event, values)

    def fail(self, message: str) -> None:
        """Tell why the command ends at once: as an event, or as one line to stderr."""
        self.close()
        if self._console is None:
            self("error", message=message)
        else:
            sys.stderr.write(f"Error: {message}\n")

    def relay(self, command: str, source: str, event: str, values: Mapping[str, object], *, hidden: bool) -> None:
        """Tell an event of another command that runs on behalf of this one; a hidden one is not for people."""
        if self._console is None or not hidden:
            self._tell(command, source, event, values)

    def _tell(self, command: str, source: str, event: str, values: Mapping[str, object]) -> None:
        if self._console is None:
            origin = {"source": source} if source else {}
            line = json.dumps({"event": event, "at": round(time.time(), 3), **origin, **values})
            self._stdout.write(line + "\n")
            self._stdout.flush()
            return
        if event == "progress" and not self._is_time_for_progress(values):
            return
        if event in {"transferred", "outcome"}:
            self.close()
        line_of = EVENTS[command][event].line(values)
        if line_of is not None:
            self._print(self._console, source, line_of)

    def _print(self, console: "Console", source: str, line: Line) -> None:
        prefix = "" if self._started is None else f"{time.monotonic() - self._started:6.2f} s  {source:<6}  "
        for part in line.text.split("\n"):
            text = printable(part)  # it may quote a device or a package
            if console.is_terminal:
                after = " " * (len(prefix) + len(text) - len(text.lstrip()) + 2)
                text = textwrap.fill(
                    prefix + text,
                    console.width,
                    subsequent_indent=after,
                    break_long_words=False,
                    break_on_hyphens=False,
                )
            else:
                text = prefix + text
            console.print(text, markup=False, style=line.style or None, soft_wrap=True)

    def _is_time_for_progress(self, values: Mapping[str, object]) -> bool:
        """Move the bar on a terminal; elsewhere say whether a line is due."""
        done, total = values["bytes"], values["total"]
        if self._console is None or not isinstance(done, int) or not isinstance(total, int):
            return False
        if not self._console.is_terminal:
            return self._is_time_for_a_line()
        if self._progress is None:
            self._progress = _bar(self._console)
            self._progress.add_task("package", total=total)
            self._progress.start()
        self._progress.update(self._progress.task_ids[0], completed=done)
        return False

    def _is_time_for_a_line(self) -> bool:
        now = time.monotonic()
        if self._progress_at is None:
            self._progress_at = now  # what is over within this time needs no line
        if now - self._progress_at < _PROGRESS_S:
            return False
        self._progress_at = now
        return True

    def close(self) -> None:
        """Take a progress bar away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def _console(stdout: Stdout) -> "Console":
    from rich.console import Console  # noqa: PLC0415 - a process that tells JSON starts sooner without

    return Console(file=stdout, highlight=False, emoji=False)  # type: ignore[arg-type]


def _bar(console: "Console") -> "Progress":
    from rich.progress import (  # noqa: PLC0415 - as above
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn("package"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=console, transient=True)
