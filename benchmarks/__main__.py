"""`python -m benchmarks NAME`: run one benchmark, show its figures, and judge them.

A table goes to the standard output; `--json FILE` writes the figures as well, `--check` makes a missed goal the exit
status 1.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

from benchmarks.harness import MIN_ROUNDS, header, missed, pin, table, to_json

BENCHMARKS: Final = {
    "transfer": "push and pull over loopback, against libcoap and aiocoap",
    "concurrency": "many devices that fetch from one server, against the server of aiocoap",
    "counts": "instructions, copies, allocations and system calls a block, against a baseline",
    "codec": "decoding and encoding messages, against aiocoap",
    "verify": "packages and COSE messages, against what cannot be left out, and against cwt",
    "machines": "steps of the device machine, against transitions, and the memory of a million",
}
"""By name, which is that of the module, what it measures."""


def _benchmark(arguments: Sequence[str]) -> str | None:
    """Which benchmark is asked for: only that one is imported, since its contestants may not be installed."""
    return next((argument for argument in arguments if argument in BENCHMARKS), None)


def _parser(module: ModuleType | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True)
    for name, words in BENCHMARKS.items():
        each = names.add_parser(name, help=words)
        each.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
        each.add_argument("--check", action="store_true", help="exit with 1 if a goal is missed")
        each.add_argument("--rounds", type=int, default=MIN_ROUNDS, help=f"at least {MIN_ROUNDS} with --check")
        if module is not None and module.__name__ == f"benchmarks.{name}":
            module.add_arguments(each)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    name = _benchmark(given)
    benchmark = None if name is None else importlib.import_module(f"benchmarks.{name}")
    parser = _parser(benchmark)
    options = parser.parse_args(given)
    if benchmark is None:
        parser.error("no benchmark is named")
    if options.rounds < (MIN_ROUNDS if options.check else 1):
        parser.error(f"too few rounds: {options.rounds}")
    core = pin()
    print("\n".join(header(core, options.rounds, benchmark.PACKAGES)), flush=True)
    figures = benchmark.run(options)
    print(table(figures))
    if options.json is not None:
        options.json.write_text(to_json(figures), encoding="utf-8")
    return 1 if options.check and missed(figures) else 0


if __name__ == "__main__":
    sys.exit(main())
