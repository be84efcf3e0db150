"""Sequence diagrams, as Mermaid text and as SVG, made of plain values and without any network."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final, NamedTuple

from lwm2m_fota.model.codes import Code

WIDTH: Final = 260
"""Between two lifelines, in pixels."""

ROW: Final = 28
MARGIN: Final = 90
TOP: Final = 60
MAX_WORDS: Final = 72
"""A text that is longer is cut."""


class Arrow(NamedTuple):
    """A message from one to another.

    Attributes:
        source, target: who, by name.
        words: what.
        answer: it answers something: drawn dashed.
    """

    source: str
    target: str
    words: str
    answer: bool = False


class Remark(NamedTuple):
    """Something that happens at one of them.

    Attributes:
        over: at whom.
        words: what.
    """

    over: str
    words: str


Item = Arrow | Remark


def spaced(name: str) -> str:
    """The words that a name of a class or a constant is made of."""
    if "_" in name or name.isupper():
        return name.replace("_", " ").lower()
    return "".join(f" {each.lower()}" if each.isupper() else each for each in name).strip()


def code_words(code: int) -> str:
    """A CoAP code as people write it, with its name where it has one."""
    names = [spaced(each.name) for each in Code if each == code]
    return " ".join([f"{code >> 5}.{code & 31:02}", *names])


def _cut(words: str) -> str:
    """What fits on a line; what no line can show, as control characters, is a space."""
    words = "".join(each if each.isprintable() else " " for each in words[: MAX_WORDS + 1])
    return words if len(words) <= MAX_WORDS else words[: MAX_WORDS - 3] + "..."


def mermaid(who: Sequence[str], items: Iterable[Item]) -> str:
    """A sequence diagram as Mermaid text.

    Args:
        who: those who take part, from left to right.
        items: what happens, in order.
    """
    lines = ["sequenceDiagram", *(f"    participant {each}" for each in who)]
    for item in items:
        words = "".join(_ENTITIES.get(each, each) for each in _cut(item.words))
        if isinstance(item, Arrow):
            lines.append(f"    {item.source}{'-->>' if item.answer else '->>'}{item.target}: {words}")
        else:
            lines.append(f"    Note over {item.over}: {words}")
    return "\n".join(lines) + "\n"


_ENTITIES: Final = {"#": "#35;", ";": "#59;", "<": "#lt;", ">": "#gt;"}
"""What Mermaid would read as something else."""


def svg(who: Sequence[str], items: Sequence[Item]) -> str:
    """A sequence diagram as SVG; it needs no script, font or style from elsewhere.

    Args:
        who: those who take part, from left to right.
        items: what happens, in order.
    """
    places = {each: MARGIN + at * WIDTH for at, each in enumerate(who)}
    width, height = 2 * MARGIN + (len(who) - 1) * WIDTH + WIDTH, TOP + ROW * (len(items) + 1)
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        '<defs><marker id="head" markerWidth="9" markerHeight="7" refX="8" refY="3.5" orient="auto">',
        '<path d="M0,0 L9,3.5 L0,7 z"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for each, place in places.items():
        drawn.append(f'<text x="{place}" y="24" text-anchor="middle" font-weight="bold">{escape(each)}</text>')
        drawn.append(f'<line x1="{place}" y1="34" x2="{place}" y2="{height - 10}" stroke="#999"/>')
    for at, item in enumerate(items):
        drawn.extend(_drawn(item, places, TOP + ROW * at))
    return "\n".join([*drawn, "</svg>"]) + "\n"


def _drawn(item: Item, places: dict[str, int], y: int) -> Iterable[str]:
    words = escape(_cut(item.words))
    if isinstance(item, Remark):
        place = places[item.over]
        yield f'<circle cx="{place}" cy="{y}" r="3"/>'
        yield f'<text x="{place + 8}" y="{y + 4}" fill="#555">{words}</text>'
        return
    start, end = places[item.source], places[item.target]
    dashes = ' stroke-dasharray="5 3"' if item.answer else ""
    yield f'<line x1="{start}" y1="{y}" x2="{end}" y2="{y}" stroke="black" marker-end="url(#head)"{dashes}/>'
    yield f'<text x="{min(start, end) + 8}" y="{y - 4}">{words}</text>'
