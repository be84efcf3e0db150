"""Write the reference pages that follow from tables in the code.

Usage: python docs/generate.py
"""

from pathlib import Path

from lwm2m_fota.machines import describe, update_describe

REFERENCE = Path(__file__).parent / "reference"

for name, page in (*describe.PAGES, ("update-machine.md", update_describe.page)):
    (REFERENCE / name).write_text(page(), encoding="utf-8")
    print(f"wrote {REFERENCE / name}")
