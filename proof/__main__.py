"""`python -m proof mutants`: make the tables wrong, and see that tests notice. `python -m proof model`: explore them.

Exit status of mutants: 0 if every mutant was killed, 1 if one survived, 2 if the run says nothing.
Exit status of model: 0 if all holds, the counts are those of the baseline and every wrong table was found; else 1.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from proof.model import run as model
from proof.mutants.run import FAILED, PASSED, SLICE, HarnessError, run
from proof.mutants.tables import TARGETS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m proof", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True)
    mutants = names.add_parser("mutants", help="wrong tables must make tests fail")
    mutants.add_argument("full", nargs="?", choices=["full"], help=f"run every mutant, not a slice of about {SLICE}")
    mutants.add_argument("--only", action="append", default=[], choices=[each.name for each in TARGETS])
    mutants.add_argument("--seed", type=int, default=1, help="which slice")
    mutants.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    model = names.add_parser("model", help="every state that can be reached must be right")
    model.add_argument("full", nargs="?", choices=["full"], help="larger bounds, for hours; nothing is compared")
    model.add_argument("--only", action="append", default=[], help="spaces whose names hold this word; as `full`")
    model.add_argument("--write", action="store_true", help="keep the counts as the baseline")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; the exit status."""
    options = _parser().parse_args(arguments)
    return _model(options) if options.name == "model" else _mutants(options)


def _model(options: argparse.Namespace) -> int:
    is_full = options.full is not None
    found = model.explore(full=is_full, only=options.only)
    if is_full or options.only:
        wrong = [f"{name}: {each}" for name, space in found.items() for each in space.findings]
    else:
        if options.write:
            model.write_baseline(found)
        wrong = model.check(found, model.read_baseline())
        wrong += [f"not found: {each.name}" for each, finding in model.wrong_tables() if finding is None]
    print("\n".join(wrong or ["all holds"]))
    return 1 if wrong else 0


def _mutants(options: argparse.Namespace) -> int:
    try:
        reports = run(options.only, full=options.full is not None, seed=options.seed, workers=options.workers)
    except HarnessError as error:
        print(f"no verdict: {error}", file=sys.stderr)
        return 2
    verdicts = [(report.name, verdict) for report in reports for verdict in report.verdicts]
    survived = sum(report.count(PASSED) for report in reports)
    odd = [(name, each) for name, each in verdicts if each.code not in {PASSED, FAILED}]
    for name, each in odd:
        print(f"NO VERDICT {name}, {each.mistake}: {each.what}: exit code {each.code}\n{each.log}", file=sys.stderr)
    killed = len(verdicts) - survived - len(odd)
    print(f"{killed} of {len(verdicts)} mutants killed, {sum(report.made for report in reports)} made")
    return 2 if odd else 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
