"""Hold every room of the package to its coverage bound.

Usage: coverage_rooms.py REPORT.json      (the output of `coverage json`)

Lines and branches count alike. A room is a folder or a module directly below the package. Exit status 1 if a room
is under its bound, or if a pure room has no figures at all.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

PACKAGE: Final = "lwm2m_fota"
PURE_ROOMS: Final = frozenset(
    {"model", "errors", "cbor", "machines", "coap", "content", "credentials", "package", "lwm2m"}
)
PURE_PERCENT: Final = 100.0
OTHER_PERCENT: Final = 90.0

Counts = tuple[int, int]  # covered, all


def room_of(path: str) -> str:
    """The room of a source file: `.../lwm2m_fota/coap/message.py` is `coap`, `.../lwm2m_fota/cbor.py` is `cbor`."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    below = parts[len(parts) - parts[::-1].index(PACKAGE) :]
    return below[0].removesuffix(".py")


def bound_of(room: str) -> float:
    """The least percentage that a room must reach."""
    return PURE_PERCENT if room in PURE_ROOMS else OTHER_PERCENT


def count_rooms(files: Mapping[str, Any]) -> dict[str, Counts]:
    """Covered and existing lines and branches of each room."""
    rooms: dict[str, Counts] = {}
    for path, report in files.items():
        summary = report["summary"]
        covered, total = rooms.get(room_of(path), (0, 0))
        covered += summary["covered_lines"] + summary.get("covered_branches", 0)
        total += summary["num_statements"] + summary.get("num_branches", 0)
        rooms[room_of(path)] = covered, total
    return rooms


def percent(counts: Counts) -> float:
    """What part is covered; nothing to cover is all of it."""
    covered, total = counts
    return 100.0 * covered / total if total else 100.0


def failures(rooms: Mapping[str, Counts]) -> list[str]:
    """One line for each room that is under its bound or absent."""
    short = [
        f"{room}: {percent(counts):.2f} % is under {bound_of(room):.0f} %"
        for room, counts in sorted(rooms.items())
        if percent(counts) < bound_of(room)
    ]
    return short + [f"{room}: no figures" for room in sorted(PURE_ROOMS - rooms.keys())]


def table(rooms: Mapping[str, Counts]) -> Iterable[str]:
    """The rooms with their figures, one a line."""
    yield f"{'room':<12} {'covered':>9} {'of':>7} {'percent':>9} {'bound':>7}"
    for room, counts in sorted(rooms.items()):
        yield f"{room:<12} {counts[0]:>9} {counts[1]:>7} {percent(counts):>8.2f}% {bound_of(room):>6.0f}%"


def main(arguments: list[str]) -> int:
    """Print the table; the exit status says whether every bound holds."""
    (report,) = arguments
    rooms = count_rooms(json.loads(Path(report).read_text(encoding="utf-8"))["files"])
    print("\n".join(table(rooms)))
    short = failures(rooms)
    for line in short:
        print(f"coverage: {line}", file=sys.stderr)
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
