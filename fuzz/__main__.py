"""`python -m fuzz`: random and damaged inputs for every parser; 20,000 each, with `full` 1,000,000.

Exit status 0 if every target took or refused each input as it has to, 1 if one did not.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final

from fuzz.run import run
from fuzz.target import TARGETS

ORDINARY: Final = 20_000
FULL: Final = 1_000_000


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("full", nargs="?", choices=["full"], help=f"{FULL} inputs a target instead of {ORDINARY}")
    parser.add_argument("--only", action="append", default=[], choices=list(TARGETS), help="a target; may be repeated")
    parser.add_argument("--list", action="store_true", help="name the targets")
    parser.add_argument("--seed", type=int, default=1, help="another seed makes other inputs")
    parser.add_argument("--first", type=int, default=0, help="the number of the first input")
    parser.add_argument("--count", type=int, help="how many inputs a target")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="targets at a time")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; the exit status."""
    options = _parser().parse_args(arguments)
    if options.list:
        print("\n".join(TARGETS))
        return 0
    count = options.count or (ORDINARY if options.full is None else FULL)
    names = options.only or list(TARGETS)
    found = 0
    # Each target in a process of its own, so that what one leaves behind does not count for the next; and forked: the
    # peak of a process that was executed begins with that of its parent.
    context = get_context("forkserver")
    context.set_forkserver_preload(["fuzz.run"])
    with ProcessPoolExecutor(options.workers, context, max_tasks_per_child=1) as pool:
        waiting = [pool.submit(run, name, options.seed, options.first, count) for name in names]
        for each in waiting:
            report = each.result()
            found += len(report.findings)
            print("\n".join(report.lines()), flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
