"""Whatever the tables name as a source is explained in docs/reference/sources.md."""

import re

import pytest

from lwm2m_fota.machines.component_rows import COMPONENT_ROWS
from lwm2m_fota.machines.coordinator_gates import GATES
from lwm2m_fota.machines.download_table import PULL_ROWS, PULL_SOURCES
from lwm2m_fota.machines.rows import REFUSALS, ROWS
from lwm2m_fota.machines.update_table import TABLE

SOURCES = sorted(
    {each.source for each in (*ROWS, *REFUSALS, *COMPONENT_ROWS, *GATES, *TABLE.values())} | set(PULL_SOURCES.values())
)
EXPLAINED_AS_A_KIND = re.compile(r"resource \d+|DESIGN law [1-7]|RFC \d+ section [\d.]+")


def names(source):
    """The names that a source is made of, without remarks in brackets."""
    plain = re.sub(r" \([^)]*\)", "", source)
    if plain.startswith(("FIELD", "SERVICE")) and "," not in plain:
        return [plain]
    found = []
    for part in re.split(r", then |, deferred as | and | in one step|, ", plain):
        transitions = re.fullmatch(r"(?:SPEC 3\.1 )?T(\d+)(?:-T(\d+))?", part)
        if transitions:
            first, last = int(transitions[1]), int(transitions[2] or transitions[1])
            found += [f"T{number}" for number in range(first, last + 1)]
        elif part and part != "the checks not yet done":
            found.append(part)
    return found


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs" / "reference" / "sources.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def code(root):
    files = sorted((root / "src" / "lwm2m_fota").rglob("*.py"))
    text = " ".join(" ".join(file.read_text(encoding="utf-8").split()) for file in files)
    return text.replace("SPEC section ", "SPEC ")


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_is_explained(page, source):
    assert names(source)
    for name in names(source):
        assert EXPLAINED_AS_A_KIND.fullmatch(name) or f"\n| {name} | " in page, name


def test_every_explanation_is_of_something(page, code):
    """What stands on the page is cited: by a table, or in the code."""
    cited = {name for source in SOURCES for name in names(source)}
    sections = page[page.index("## Sections of SPEC") :]
    explained = re.findall(r"^\| ((?:SPEC|FIELD|SERVICE) [^|]*) \|", sections, re.MULTILINE)
    assert len(explained) > 40
    assert [name for name in explained if name not in cited and name not in code] == []


def test_every_section_that_the_code_cites_is_explained(page, code):
    cited = set(re.findall(r"SPEC \d+(?:\.\d+)*", code)) | set(re.findall(r"SERVICE R\d+", code))
    assert len(cited) > 15
    assert [name for name in sorted(cited) if f"\n| {name} | " not in page] == []


def test_all_transitions_of_the_digest_are_there(page):
    assert re.findall(r"^\| T(\d+) \|", page, re.MULTILINE) == [str(number) for number in range(1, 30)]


def test_every_kind_that_a_pull_acts_on_has_a_source():
    assert set(PULL_SOURCES) == {row.kind for row in PULL_ROWS}


def test_a_source_is_taken_apart():
    assert names("T6 and T21, deferred as T19") == ["T6", "T21", "T19"]
    assert names("SPEC 3.1 T7-T13") == ["T7", "T8", "T9", "T10", "T11", "T12", "T13"]
    assert names("SPEC 3.3 (URI, offset and ETag)") == ["SPEC 3.3"]
    assert names("T16, RFC 7959 section 2.5") == ["T16", "RFC 7959 section 2.5"]
    assert names("FIELD a fast transition is lost") == ["FIELD a fast transition is lost"]
