"""The generated reference pages are those of the present tables."""

import pytest

from lwm2m_fota.machines.describe import PAGES
from lwm2m_fota.machines.download_table import PULL_ROWS
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
