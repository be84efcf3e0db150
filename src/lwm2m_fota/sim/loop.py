"""An asyncio event loop on virtual time: when nothing is ready it jumps to the next timer.

An hour of retransmissions costs as long as its callbacks run, and a run is the same every time. There is nothing real
in it: no sockets, no threads. What goes to an executor runs in place, in no time.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from typing import Any, Final, TypeVar, TypeVarTuple, final

from lwm2m_fota.errors import SimulationError, UsageError

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

MAX_LIMIT_S: Final = 8_000_000.0  # asyncio takes timers as due 1 ns early, which a float cannot tell beyond 2^23 s
DEFAULT_LIMIT_S: Final = 30 * 86_400.0
MAX_STILL_TURNS: Final = 1_000_000  # turns of the loop in which time does not move

_SHOWN_TASKS: Final = 10


class _Clock(selectors.BaseSelector):
    """Time that passes by being waited for: a selector with nothing to select but the loop's own wake-up pipe."""

    def __init__(self, limit_s: float, describe: Callable[[], str]) -> None:
        self.now_s = 0.0
        self._limit_s = limit_s
        self._describe = describe
        self._still_turns = 0
        self._keys: dict[int, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:  # noqa: ANN401 - as its base
        if self._keys:
            raise SimulationError("a virtual loop has no sockets")
        key = selectors.SelectorKey(fileobj, fileobj, events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:  # noqa: ANN401 - as its base
        return self._keys.pop(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise SimulationError(f"everything waits and no timer runs, at {self.now_s} s: {self._describe()}")
        if timeout > 0:
            self._still_turns = 0
            self.now_s += timeout
            if self.now_s > self._limit_s:
                raise SimulationError(f"the limit of {self._limit_s} s is over: {self._describe()}")
        else:
            self._still_turns += 1
            if self._still_turns > MAX_STILL_TURNS:
                raise SimulationError(f"time stands still, at {self.now_s} s: {self._describe()}")
        return []


def _place(task: "asyncio.Task[Any]") -> str:
    """A task, and where it waits."""
    stack = task.get_stack(limit=1)
    where = f" at {stack[0].f_code.co_filename}:{stack[0].f_lineno}" if stack else ""
    return f"{task.get_name()}{where}"


@final
class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose `time()` begins at 0 and is never waited for.

    Args:
        limit_s: the virtual time at which the run is given up, at most `MAX_LIMIT_S`.

    Raises:
        UsageError: that limit is out of range.

    Its `run_...` methods raise SimulationError when all tasks wait and no timer runs, when the limit is reached, and
    when the tasks keep each other busy without end.
    """

    def __init__(self, *, limit_s: float = DEFAULT_LIMIT_S) -> None:
        self._clock = _Clock(limit_s, self._describe)
        super().__init__(self._clock)
        if not 0 < limit_s <= MAX_LIMIT_S:
            self.close()
            raise UsageError(f"a virtual loop runs between 0 and {MAX_LIMIT_S} s, not {limit_s} s")

    def _describe(self) -> str:
        tasks = sorted(_place(task) for task in asyncio.all_tasks(self))
        more = [f"and {len(tasks) - _SHOWN_TASKS} more"] if len(tasks) > _SHOWN_TASKS else []
        return "; ".join(tasks[:_SHOWN_TASKS] + more) or "no tasks"

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._clock.now_s

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts
    ) -> "asyncio.Future[_T]":
        """Run `func` here and now; a thread would end at a time of its own."""
        del executor
        future: asyncio.Future[_T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever awaits the future
            future.set_exception(error)
        return future


def run(main: Coroutine[Any, Any, _T], *, limit_s: float = DEFAULT_LIMIT_S) -> _T:
    """Run a coroutine on a virtual loop of its own, as `asyncio.run` does on a real one.

    Args:
        main: what to run.
        limit_s: virtual seconds after which it is given up.

    Returns:
        What the coroutine returns.

    Raises:
        SimulationError: it cannot go on, see `VirtualLoop`.
        UsageError: the limit is out of range.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(limit_s=limit_s)) as runner:
        return runner.run(main)
