"""Give a target its inputs, and notice what must not happen: another error than ours, and too much time or memory."""

import gc
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterable
from types import FrameType
from typing import Final

import attrs

import fuzz.targets  # noqa: F401 - makes them
from fuzz.inputs import make_inputs
from fuzz.target import TARGETS, Target
from lwm2m_fota.errors import FotaError, UsageError

MAX_INPUT_S: Final = 2.0
"""Of the processor, for one input."""

MAX_GROWTH_BYTES: Final = 32 * 1024 * 1024
"""By how much the process may grow over all inputs, after the first few."""

_WARM_INPUTS: Final = 200
_MOST_FINDINGS: Final = 5
_MAXRSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024


class TooSlowError(BaseException):
    """An input took too long; no handler of errors stops it."""


@attrs.frozen(kw_only=True)
class Finding:
    """An input that a target did not take as it has to.

    Attributes:
        number: which input of the seed.
        origin: what the input was made of.
        data: the input.
        what: what happened.
    """

    number: int
    origin: str
    data: bytes
    what: str


@attrs.frozen(kw_only=True)
class Report:
    """How a target did.

    Attributes:
        name: the target.
        seed: where the inputs came from.
        inputs: how many there were.
        refused: how many were refused in our words.
        processor_s: how long it took.
        growth_bytes: by how much the process grew after the first inputs.
        findings: one for each place in the code; no more inputs are given after the fifth.
    """

    name: str
    seed: int
    inputs: int
    refused: int
    processor_s: float
    growth_bytes: int
    findings: tuple[Finding, ...]

    def lines(self) -> Iterable[str]:
        """For people."""
        taken = self.inputs - self.refused - len(self.findings)
        yield (
            f"{self.name}: {self.inputs} inputs, {self.refused} refused, {taken} taken, {len(self.findings)} findings; "
            f"{self.processor_s:.1f} s, {self.growth_bytes // 1024} KiB more"
        )
        for each in self.findings:
            yield f"FINDING {self.name}: {each.origin}\n{each.data.hex()}\n{each.what}"
            yield f"again: python -m fuzz --only {self.name} --seed {self.seed} --first {each.number} --count 1"


def run(name: str, seed: int, first: int, count: int) -> Report:
    """Give a target `count` inputs of a seed, from number `first` on."""
    target = TARGETS[name]
    began, refused, done = time.process_time(), 0, 0
    findings: dict[str, Finding] = {}
    for data in target.seeds.values():
        _check(target, data)
    former = signal.signal(signal.SIGPROF, _too_slow)
    base = _peak_bytes()
    try:
        for number, origin, data in make_inputs(target, seed, first, count):
            what = _outcome(target, data)
            done += 1
            if done == _WARM_INPUTS:
                gc.collect()
                base = _peak_bytes()
            elif what in _FINE and done > _WARM_INPUTS and _peak_bytes() - base > MAX_GROWTH_BYTES:
                what, base = f"the process has grown by more than {MAX_GROWTH_BYTES} bytes", _peak_bytes()
            refused += what == _REFUSED
            if what not in _FINE and _place(what) not in findings:
                findings[_place(what)] = Finding(number=number, origin=origin, data=data, what=what)
            if len(findings) == _MOST_FINDINGS:
                break
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, former)
    return Report(
        name=target.name,
        seed=seed,
        inputs=done,
        refused=refused,
        processor_s=time.process_time() - began,
        growth_bytes=_peak_bytes() - base,
        findings=tuple(findings.values()),
    )


_TAKEN: Final = "taken"
_REFUSED: Final = "refused"
_FINE: Final = frozenset({_TAKEN, _REFUSED})


def _check(target: Target, data: bytes) -> None:
    """A seed is good, or else damaging it would show little."""
    try:
        target.check(data)
    except FotaError as error:
        raise ValueError(f"a seed of {target.name} is refused: {error!r}") from error


def _outcome(target: Target, data: bytes) -> str:
    signal.setitimer(signal.ITIMER_PROF, MAX_INPUT_S)
    try:
        target.check(data)
    except UsageError:
        return traceback.format_exc()
    except FotaError:
        return _REFUSED
    except TooSlowError:
        return f"more than {MAX_INPUT_S} s\n{traceback.format_exc()}"
    except Exception:  # noqa: BLE001 - whatever it is, it is a finding
        return traceback.format_exc()
    return _TAKEN


def _place(what: str) -> str:
    """Where in the code something happened: the last line of the code in a traceback."""
    frames = [line for line in what.splitlines() if line.startswith("  File ")]
    return frames[-1] if frames else what.partition("\n")[0]


def _too_slow(_number: int, _frame: FrameType | None) -> None:
    raise TooSlowError


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT
