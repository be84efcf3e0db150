"""README's commands, the marked examples and the links between documents."""

import re
import subprocess
import sys

import pytest

FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)#\s]+)(#[^)]*)?\)")
TOP_DOCUMENTS = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
EXAMPLE_LIMIT_S = 60


def marked_blocks(text: str, mark: str) -> list[str]:
    """The fenced blocks that follow a line `<!-- mark -->`."""
    parts = re.split(rf"^<!-- {re.escape(mark)} -->\s*$", text, flags=re.MULTILINE)[1:]
    blocks = [FENCE.match(part.lstrip()) for part in parts]
    assert all(blocks), f"a mark {mark!r} without a fenced block after it"
    return [block["body"] for block in blocks if block]


def documents(root):
    return [root / name for name in TOP_DOCUMENTS] + sorted(
        file for file in (root / "docs").rglob("*.md") if "_build" not in file.parts
    )


def test_a_marked_block_is_found_and_a_mark_without_block_is_an_error():
    assert marked_blocks("a\n<!-- x -->\n```python\n1\n```\n```\n2\n```\n", "x") == ["1\n"]
    assert marked_blocks("no mark", "x") == []
    with pytest.raises(AssertionError):
        marked_blocks("<!-- x -->\ntext\n", "x")


@pytest.mark.parametrize(("mark", "last_command"), [("main job", r"lwm2m-fota demo\b.*"), ("tests", r".*\bnox")])
def test_readme_has_the_command(root, mark, last_command):
    (block,) = marked_blocks((root / "README.md").read_text(encoding="utf-8"), mark)
    assert re.fullmatch(rf"(.*/)?{last_command}", block.strip().splitlines()[-1])


def test_marked_examples_run(root, tmp_path):
    for document in documents(root):
        for number, block in enumerate(marked_blocks(document.read_text(encoding="utf-8"), "example")):
            script = tmp_path / f"{document.stem}_{number}.py"
            script.write_text(block, encoding="utf-8")
            done = subprocess.run(
                [sys.executable, "-W", "error", str(script)],
                capture_output=True,
                text=True,
                cwd=tmp_path,
                timeout=EXAMPLE_LIMIT_S,
                check=False,
            )
            assert done.returncode == 0, f"{document.name}: {done.stderr}"


def test_links_between_documents_lead_somewhere(root):
    dangling = [
        f"{document.relative_to(root)}: {link['target']}"
        for document in documents(root)
        for link in LINK.finditer(FENCE.sub("", document.read_text(encoding="utf-8")))
        if not re.match(r"[a-z+]+:", link["target"])
        and not (document.parent / link["target"]).exists()
        and not link["target"].startswith("api/")  # written when the documentation is built
    ]
    assert dangling == []


def test_every_decision_record_says_what_was_decided_and_what_it_costs(root):
    records = sorted((root / "docs" / "adr").glob("[0-9]*.md"))
    assert records
    for record in records:
        headings = re.findall(r"^## (.+)$", record.read_text(encoding="utf-8"), re.MULTILINE)
        assert {"Context", "Decision", "Consequences"} <= set(headings), record.name
    numbers = [record.name[:4] for record in records]
    assert len(set(numbers)) == len(numbers)
