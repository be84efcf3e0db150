"""The reference page says what the tables say."""

from lwm2m_fota.machines.update_codes import DIAGNOSES
from lwm2m_fota.machines.update_describe import page
from lwm2m_fota.machines.update_steps import UpdateStage, UpdateStep
from lwm2m_fota.machines.update_table import JUNCTIONS, TABLE


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


def test_the_diagram_has_the_ways_of_an_update():
    text = page()
    diagram = text.split("```mermaid\n")[1].split("```")[0]
    for edge in (
        "[*] --> registration",
        "registration --> observe",
        "learn --> write_uri",
        "write_uri --> download",
        "download --> execute",
        "execute --> install",
        "tidy_check --> install",
        "finished --> [*]",
    ):
        assert f"  {edge}\n" in diagram
