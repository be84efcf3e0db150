"""The page of limits: every one has a name, a default and words."""

import importlib.util

import attrs
import pytest


@pytest.fixture(scope="module")
def limits(root):
    spec = importlib.util.spec_from_file_location("limits", root / "docs" / "limits.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_limit_is_on_the_page_with_words(limits):
    page = limits.page()
    for cls in limits.CLASSES:
        section = page.partition(f"## {cls.__name__}\n")[2].partition("\n## ")[0]
        rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
        assert [row[0] for row in rows] == [f"| `{each.name}`" for each in attrs.fields(cls)]
        assert all(len(row) == 3 and row[2].endswith(". |") for row in rows)
    assert "| `max_publications` | 10_000 | packages served at a time. |" in page
