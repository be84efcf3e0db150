"""The generated reference pages are those of the present tables."""

import hashlib

import pytest

from lwm2m_fota.machines import component_describe, update_describe
from lwm2m_fota.machines.describe import DIAGRAMS, PAGES
from lwm2m_fota.machines.describe_words import attribute_words
from lwm2m_fota.machines.download_table import PULL_ROWS
from lwm2m_fota.machines.download_words import DownloadPolicy
from lwm2m_fota.machines.rows import ROWS


@pytest.mark.parametrize(("name", "page"), PAGES)
def test_page_is_not_stale(root, name, page):
    stored = (root / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert stored == page(), "run: python docs/generate.py"


def test_every_row_stands_in_its_page():
    device, pull = (page() for _, page in PAGES)
    assert device.count("\n| Idle | ") + device.count("\n| Downloading | ") >= 20
    for row in ROWS:
        assert f"| {row.state.name.title()} | {row.kind} | {row.target.name.title()} |" in device
    for row in PULL_ROWS:
        assert f"| {row.phase} | {row.kind} | {row.target} |" in pull


def test_lines_of_a_grid_have_equal_numbers_of_cells():
    for _, page in PAGES:
        for block in page().split("\n\n"):
            if block.startswith("|"):
                assert len({line.count(" | ") for line in block.splitlines()}) == 1, block


ALL_DIAGRAMS = (
    *DIAGRAMS,
    ("advanced-machine.svg", component_describe.advanced_diagram),
    *update_describe.DIAGRAMS,
)


@pytest.mark.parametrize(("name", "source"), ALL_DIAGRAMS, ids=[name for name, _ in ALL_DIAGRAMS])
def test_diagram_is_drawn_from_the_present_tables(root, name, source):
    drawn = (root / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert hashlib.sha256(source().encode()).hexdigest() in drawn, "run: python docs/generate.py"
    assert "</svg>" in drawn


def test_every_diagram_stands_on_a_page(root):
    pages = "".join(file.read_text(encoding="utf-8") for file in (root / "docs" / "reference").glob("*.md"))
    assert all(f"]({name})" in pages for name, _ in ALL_DIAGRAMS)


def test_the_diagram_of_object_5_has_the_ways_of_the_figure():
    source = dict(DIAGRAMS)["device-machine.svg"]()
    for start, end, label in (
        ("", "Idle", None),
        ("Idle", "Downloading", "package begun (0)"),
        ("Downloading", "Downloaded", "package verified (0)"),
        ("Downloading", "Idle", "integrity failed (5)"),
        ("Downloaded", "Updating", "update executed (0)"),
        ("Updating", "Idle", "install succeeded (1)"),
        ("Updating", "Downloaded", "install failed (8)"),
    ):
        (line,) = [line for line in source.splitlines() if line.startswith(f'  "{start}" -> "{end}"')]
        assert label is None or label in line


def test_words_of_attributes_are_those_of_the_docstring():
    words = attribute_words(DownloadPolicy)
    assert (
        words["retry_max_s"] == "the longest wait, also where the origin asks for a longer one (Max-Age, Retry-After)."
    )
    assert next(iter(words)) == "max_attempts_without_progress"
    assert attribute_words(int) == {}
