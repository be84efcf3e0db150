"""What a command prints: one JSON object a line, or lines for people."""

import json
import sys
import time
from typing import Final, final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

_QUIET: Final = frozenset({"progress"})


@final
class Output:
    """Events of a command, each with a name and plain values.

    Args:
        as_json: one object a line, with `event` and `at` (seconds since 1970) first.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json
        self._console = Console(highlight=False, stderr=False)
        self._progress: Progress | None = None
        self._bar: TaskID | None = None

    def __call__(self, event: str, text: str = "", /, **values: object) -> None:
        """Print one event: `values` as JSON, or `text` for people."""
        if self._json:
            sys.stdout.write(json.dumps({"event": event, "at": round(time.time(), 3), **values}) + "\n")
            sys.stdout.flush()
            return
        if event == "progress":
            self._show_progress(values)
            return
        self._console.print(text or event, markup=False)

    def _show_progress(self, values: dict[str, object]) -> None:
        done, total = values.get("bytes"), values.get("total")
        if not isinstance(done, int) or not isinstance(total, int) or not self._console.is_terminal:
            return
        if self._progress is None:
            columns = (TextColumn("  package"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
            self._progress = Progress(*columns, console=self._console)
            self._progress.start()
            self._bar = self._progress.add_task("package", total=total)
        if self._bar is not None:
            self._progress.update(self._bar, completed=done, total=total)
        if done >= total:
            self.close()

    def close(self) -> None:
        """End a progress bar that is shown."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
            self._bar = None
