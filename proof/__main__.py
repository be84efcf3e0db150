"""`python -m proof mutants`: make the tables wrong, and see that tests notice.

Exit status 0 if every mutant was killed, 1 if one survived, 2 if the run says nothing.
"""

import argparse
import os
import sys
from collections.abc import Sequence

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
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        reports = run(options.only, full=options.full is not None, seed=options.seed, workers=options.workers)
    except HarnessError as error:
        print(f"no verdict: {error}", file=sys.stderr)
        return 2
    verdicts = [(report.name, verdict) for report in reports for verdict in report.verdicts]
    survived = [(name, each) for name, each in verdicts if each.code == PASSED]
    odd = [(name, each) for name, each in verdicts if each.code not in {PASSED, FAILED}]
    for name, each in survived:
        print(f"SURVIVED {name}, {each.mistake}: {each.what}")
    for name, each in odd:
        print(f"NO VERDICT {name}, {each.mistake}: {each.what}: exit code {each.code}\n{each.log}", file=sys.stderr)
    killed = len(verdicts) - len(survived) - len(odd)
    print(f"{killed} of {len(verdicts)} mutants killed, {sum(report.made for report in reports)} made")
    return 2 if odd else 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
