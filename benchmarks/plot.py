"""Speed over size for all contestants, as an SVG of our own making: no library, no script, readable in the dark."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Final

from benchmarks.harness import Figure

_WIDTH: Final = 760
_HEIGHT: Final = 300
_LEFT: Final = 60
_BOTTOM: Final = 48
_TOP: Final = 28
_PANEL: Final = 330
_COLOURS: Final = {"ours": "#1f77b4", "libcoap": "#2ca02c", "aiocoap": "#d62728"}
_OTHER: Final = "#8c564b"
_FONT: Final = 'font-family="sans-serif" font-size="11"'
_RATE: Final = re.compile(r"transfer\.(pull|push)\.(\d+)(KiB|MiB)(?:\.(\w+))?\.rate")
_FACTORS: Final = {"KiB": 1 << 10, "MiB": 1 << 20}

Line = list[tuple[int, float]]


def speeds(figures: Iterable[Figure]) -> str:
    """Draw the rates among the figures, a panel for each direction, both axes logarithmic."""
    panels: dict[str, dict[str, Line]] = {}
    for figure in figures:
        found = _RATE.fullmatch(figure.name)
        if found is not None:
            direction, number, unit, library = found.groups()
            lines = panels.setdefault(direction, {})
            lines.setdefault(library or "ours", []).append((int(number) * _FACTORS[unit], figure.value))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
    ]
    for number, (direction, lines) in enumerate(sorted(panels.items())):
        parts += _panel(direction, lines, _LEFT + number * (_PANEL + 40))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(title: str, lines: dict[str, Line], left: float) -> list[str]:
    points = [point for line in lines.values() for point in line]
    sizes = sorted({size for size, _ in points})
    low = 10 ** math.floor(math.log10(min(rate for _, rate in points)))
    high = 10 ** math.ceil(math.log10(max(rate for _, rate in points)))
    width, bottom = _PANEL - 40, _HEIGHT - _BOTTOM

    def x(size: int) -> float:
        if len(sizes) == 1:
            return left + width / 2
        return left + width * math.log(size / sizes[0]) / math.log(sizes[-1] / sizes[0])

    def y(rate: float) -> float:
        return bottom - (bottom - _TOP) * math.log(rate / low) / math.log(high / low)

    parts = [f'<text x="{left}" y="{_TOP - 12}" font-weight="bold">{title}: MB/s over the size of the package</text>']
    for decade in range(round(math.log10(high / low)) + 1):
        rate = low * 10**decade
        parts.append(f'<path d="M{left} {y(rate):.1f}h{width}" stroke="#cccccc"/>')
        parts.append(f'<text x="{left - 6}" y="{y(rate) + 4:.1f}" text-anchor="end">{rate:g}</text>')
    parts += [f'<text x="{x(size):.1f}" y="{bottom + 16}" text-anchor="middle">{_text(size)}</text>' for size in sizes]
    for number, (library, line) in enumerate(sorted(lines.items(), reverse=True)):
        parts += _line(library, [(x(size), y(rate)) for size, rate in sorted(line)])
        parts.append(
            f'<text x="{left + number * 80}" y="{_HEIGHT - 10}" fill="{_COLOURS.get(library, _OTHER)}">{library}</text>'
        )
    return parts


def _line(library: str, points: Sequence[tuple[float, float]]) -> list[str]:
    colour = _COLOURS.get(library, _OTHER)
    path = " ".join(f"{'L' if number else 'M'}{x:.1f} {y:.1f}" for number, (x, y) in enumerate(points))
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
    return [f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>', *dots]


def _text(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"
