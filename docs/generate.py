"""Write the reference pages that follow from tables in the code.

Usage: python docs/generate.py
"""

from pathlib import Path

from lwm2m_fota.machines import component_describe, describe, update_describe

REFERENCE = Path(__file__).parent / "reference"

PAGES = (
    *describe.PAGES,
    ("advanced-machine.md", component_describe.advanced_machine_page),
    ("update-machine.md", update_describe.page),
)

for name, page in PAGES:
    (REFERENCE / name).write_text(page(), encoding="utf-8")
    print(f"wrote {REFERENCE / name}")
