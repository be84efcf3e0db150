"""Tasks that nobody awaits."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


def show_failure(task: "asyncio.Task[None]") -> None:
    """A done callback: what a task failed of goes to the loop's exception handler at once, and not when it is dropped.

    Only faults get here: errors that belong to an update are dealt with inside of the task.
    """
    if task.cancelled() or (error := task.exception()) is None:
        return
    task.get_loop().call_exception_handler(
        {"message": f"{task.get_name()} failed: {error!r}", "exception": error, "task": task}
    )
