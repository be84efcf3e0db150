"""The generated page of Object 33629 is that of the present tables."""

from lwm2m_fota.machines.component_describe import advanced_machine_page
from lwm2m_fota.machines.component_rows import COMPONENT_ROWS
from lwm2m_fota.machines.coordinator_gates import GATES


def test_page_is_not_stale(root):
    stored = (root / "docs" / "reference" / "advanced-machine.md").read_text(encoding="utf-8")
    assert stored == advanced_machine_page(), "run: python docs/generate.py"


def test_every_row_and_gate_stands_in_it():
    page = advanced_machine_page()
    for row in COMPONENT_ROWS:
        assert f"| {row.state.name.title()} | {row.kind} | {row.target.name.title()} | {int(row.result)} |" in page
    for gate in GATES:
        assert gate.guard.__doc__ in page
    assert "update executed | Updating" in page


def test_lines_of_a_grid_have_equal_numbers_of_cells():
    for block in advanced_machine_page().split("\n\n"):
        if block.startswith("|"):
            assert len({line.count(" | ") for line in block.splitlines()}) == 1, block
