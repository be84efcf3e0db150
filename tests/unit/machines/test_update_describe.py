"""The reference page says what the tables say."""

from lwm2m_fota.machines.update_codes import DIAGNOSES
from lwm2m_fota.machines.update_describe import DIAGRAMS, page
from lwm2m_fota.machines.update_steps import UpdateStage, UpdateStep
from lwm2m_fota.machines.update_table import JUNCTION_SOURCES, JUNCTIONS, TABLE


def test_the_page_in_the_docs_is_not_stale(root):
    stored = (root / "docs" / "reference" / "update-machine.md").read_text(encoding="utf-8")
    assert stored == page(), "python docs/generate.py"


def test_the_page_names_every_stage_step_junction_and_diagnosis():
    text = page()
    for stage in UpdateStage:
        assert stage.value in text
    for one in UpdateStep:
        assert f"`{one.value}`" in text
    for junction in JUNCTIONS:
        assert f"*{junction.value}*" in text
    for code in DIAGNOSES:
        assert f"`{code}`" in text


def test_the_page_has_a_line_for_every_cell():
    rows = page().split("## Rows\n")[1].split("## Junctions\n")[0]
    lines = [line for line in rows.splitlines() if line.startswith("|") and not line.startswith(("| cue ", "|---"))]
    assert len(lines) == len(TABLE)


def test_every_junction_has_a_source():
    assert set(JUNCTION_SOURCES) == set(JUNCTIONS)
    lines = [
        line for line in page().split("## Junctions\n")[1].split("\n## ")[0].splitlines() if line.startswith("| *")
    ]
    assert len(lines) == sum(map(len, JUNCTIONS.values()))
    assert all(line.split("|")[4].strip() for line in lines)


def test_the_diagrams_have_the_ways_of_an_update():
    text = "\n".join(source() for _, source in DIAGRAMS)
    for start, end in (
        ("", "registration"),
        ("observe", "learn"),
        ("Preparing update", "write-uri"),
        ("write-uri", "download"),
        ("Transferring package", "execute"),
        ("execute", "install"),
        ("*Updating after the end*", "Executing update"),
        ("*after all was looked at*", "finished"),
    ):
        assert f'  "{start}" -> "{end}"\n' in text
    for step in UpdateStep:
        assert f'"{step.value}"' in text
