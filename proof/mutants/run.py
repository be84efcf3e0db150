"""Runs tests against wrong tables: each in a process of its own, forked before anything has taken the table over."""

import contextlib
import importlib
import math
import os
import pickle
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Final, TypeVar, final

import attrs
import pytest

from proof.mutants.mutate import Mutant, Names
from proof.mutants.tables import TARGETS, Target

PASSED: Final = int(pytest.ExitCode.OK)
FAILED: Final = int(pytest.ExitCode.TESTS_FAILED)
BROKEN: Final = 99
"""The exit code of a child that never came to run its tests."""

TEST_LIMIT_S: Final = 30
"""One test may take so long before it counts as failed: a wrong table may turn for ever."""

SLICE: Final = 300
"""How many mutants an ordinary run takes of all tables together; of a large one more, but not in proportion."""

TESTS: Final = Path("tests/unit/machines")
_PYTEST: Final = (
    *("-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"),
    *("-p", "pytest_timeout", f"--timeout={TEST_LIMIT_S}", "--timeout-method=signal"),
)
_LOG_CHARACTERS: Final = 2000


@final
@attrs.frozen
class Verdict:
    """What became of one mutant.

    Attributes:
        mistake: its kind.
        what: the mistake.
        code: the exit code of the tests.
        log: what they said, if the code is neither 0 nor 1.
    """

    mistake: str
    what: str
    code: int
    log: str = ""


@final
@attrs.frozen
class Report:
    """The mutants of one target.

    Attributes:
        name: of the target.
        made: how many mutants there are.
        verdicts: of those that were run.
        seconds: how long that took.
    """

    name: str
    made: int
    verdicts: tuple[Verdict, ...]
    seconds: float

    def count(self, code: int) -> int:
        """How many ended with this code."""
        return sum(each.code == code for each in self.verdicts)


class HarnessError(Exception):
    """What was found says nothing about a mutant."""


def run(names: Sequence[str], *, full: bool, seed: int, workers: int) -> list[Report]:
    """Run the mutants of the named targets, or of all if none is named.

    Raises:
        HarnessError: the right table does not pass, or a table was taken over too early.
    """
    prepare()
    chosen = [target for target in TARGETS if not names or target.name in names]
    made = {target.name: apart(partial(_count, target)) for target in chosen}
    weight = sum(map(math.sqrt, made.values()))
    reports = []
    for target in chosen:
        share = made[target.name] if full else round(SLICE * math.sqrt(made[target.name]) / weight)
        report = apart(partial(_run_target, target, share, seed, workers))
        reports.append(report)
        print(line(report), *survivors(report), sep="\n", flush=True)
    return reports


def line(report: Report) -> str:
    """A report in one line."""
    return (
        f"{report.name:<20} {report.made:>6} made {len(report.verdicts):>6} run {report.count(FAILED):>6} killed "
        f"{report.count(PASSED):>4} survived {report.seconds:>6.1f} s"
    )


def survivors(report: Report) -> list[str]:
    """The mutants that no test has noticed, each in one line."""
    found = (each for each in report.verdicts if each.code == PASSED)
    return [f"SURVIVED {report.name}, {each.mistake}: {each.what}" for each in found]


def prepare() -> None:
    """Load once what every child needs and what takes over no table."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in ("_pytest.python", "_pytest.assertion.rewrite", "pytest_timeout", "lwm2m_fota.errors"):
        importlib.import_module(name)
    for name in ("advanced", "codes", "enums", "firmware", "paths"):
        importlib.import_module(f"lwm2m_fota.model.{name}")


T = TypeVar("T")


def apart(action: Callable[[], T]) -> T:
    """Carry something out in a fork, so that nothing it imports stays."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        with _exit(BROKEN), os.fdopen(write, "wb") as out:
            pickle.dump(action(), out)
            out.flush()
            os._exit(PASSED)
    os.close(write)
    with os.fdopen(read, "rb") as told:
        data = told.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != PASSED:
        raise HarnessError(f"a fork ended with {code}")
    made: T = pickle.loads(data)  # noqa: S301 - of our own child
    return made


@contextlib.contextmanager
def _exit(code: int) -> Iterator[None]:
    """Whatever happens inside a child, it ends there."""
    try:
        yield
    except BaseException:  # noqa: BLE001 - it must not go on as a second parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _mutants(target: Target) -> tuple[ModuleType, list[Mutant]]:
    module = importlib.import_module(f"lwm2m_fota.machines.{target.module}")
    return module, list(target.mutants(module))


def _count(target: Target) -> int:
    return len(_mutants(target)[1])


def _run_target(target: Target, share: int, seed: int, workers: int) -> Report:
    begun = time.monotonic()
    module, mutants = _mutants(target)
    _check_alone(module, mutants[0].names())
    picked = random.Random(f"{seed} {target.name}").sample(mutants, min(share, len(mutants)))  # noqa: S311
    with tempfile.TemporaryDirectory() as folder:
        children = Children(module, [TESTS / name for name in target.tests], Path(folder), workers)
        right = children.all([Mutant("none", "the right table", dict)])
        if right[0].code != PASSED:
            raise HarnessError(f"{target.name}: the right table does not pass: {right[0].log}")
        verdicts = children.all(picked)
    return Report(target.name, len(mutants), tuple(verdicts), time.monotonic() - begun)


def _check_alone(module: ModuleType, names: Names) -> None:
    """No other module may hold a table that is to be replaced."""
    for name in names:
        table = getattr(module, name)
        holders = [
            other
            for other, loaded in tuple(sys.modules.items())
            if loaded is not module and any(value is table for value in vars(loaded).values())
        ]
        if holders:
            raise HarnessError(f"{name} of {module.__name__} was taken over too early, by {holders}")


@final
class Children:
    """Forks a child for each mutant, some at a time.

    Args:
        module: defines the table.
        tests: files of tests, in the order to be run.
        folder: for what they print.
        workers: how many run at a time.
    """

    def __init__(self, module: ModuleType, tests: Sequence[Path], folder: Path, workers: int) -> None:
        self._module = module
        self._tests = tests
        self._folder = folder
        self._workers = workers
        self._running: dict[int, tuple[int, Mutant]] = {}
        self._verdicts: dict[int, Verdict] = {}

    def all(self, mutants: Sequence[Mutant]) -> list[Verdict]:
        """The verdict of each."""
        self._verdicts.clear()
        for number, mutant in enumerate(mutants):
            if len(self._running) >= self._workers:
                self._reap()
            self._running[self._fork(number, mutant)] = number, mutant
        while self._running:
            self._reap()
        return [self._verdicts[number] for number in range(len(mutants))]

    def _fork(self, number: int, mutant: Mutant) -> int:
        child = os.fork()
        if child == 0:
            with _exit(BROKEN):
                log = os.open(self._log(number), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(log, sys.stdout.fileno())
                os.dup2(log, sys.stderr.fileno())
                code = self._judge(mutant.names())
                sys.stdout.flush()
                os._exit(code)
        return child

    def _judge(self, names: Names) -> int:
        """In the child: the exit code of the first file of tests that does not pass."""
        for name, value in names.items():
            setattr(self._module, name, value)
        for file in self._tests:
            code = int(pytest.main([*_PYTEST, f"--confcutdir={file.parent}", str(file)]))
            if code != PASSED:
                return code
        return PASSED

    def _reap(self) -> None:
        child, status = os.wait()
        number, mutant = self._running.pop(child)
        code = os.waitstatus_to_exitcode(status)
        log = "" if code == FAILED else self._log(number).read_text(encoding="utf-8")[-_LOG_CHARACTERS:]
        self._log(number).unlink()
        self._verdicts[number] = Verdict(mutant.mistake, mutant.what, code, log)

    def _log(self, number: int) -> Path:
        return self._folder / f"{number}.log"
