"""What the documents say of the commands: every option, status and event, and none that is not there."""

import re
import shlex

import click
import pytest
from click.testing import CliRunner

from lwm2m_fota.cli.app import cli
from lwm2m_fota.cli.events import EVENTS
from lwm2m_fota.cli.exits import Exit

DOCUMENTS = (
    "README.md",
    "docs/reference/commands.md",
    "docs/tutorials/first-update.md",
    "docs/howto/update-a-device.md",
    "docs/howto/verify-packages.md",
)
ROW = re.compile(r"^\| (?P<first>.+?) \| (?P<rest>.*)\|$", re.MULTILINE)
FENCE = re.compile(r"^```(?:console|bash)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def sections(root):
    """The reference page, by heading."""
    text = (root / "docs/reference/commands.md").read_text(encoding="utf-8")
    parts = re.split(r"^##+ (.+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def rows(section):
    """The rows of a table below its head: first cell, and the rest."""
    found = [(row["first"].strip(), row["rest"]) for row in ROW.finditer(section)]
    return [row for row in found if not set(row[0]) <= set("-|")][1:]


def commands(group=cli, prefix=""):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


ALL_COMMANDS = dict(commands())


def name_of(parameter):
    return parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name


@pytest.mark.parametrize("name", sorted(ALL_COMMANDS))
def test_every_option_of_a_command_is_documented_with_its_default(sections, name):
    documented = {first.strip("`"): rest for first, rest in rows(sections[name])}
    parameters = {name_of(parameter): parameter for parameter in ALL_COMMANDS[name].params}
    assert documented.keys() == parameters.keys()
    for option, parameter in parameters.items():
        if isinstance(parameter, click.Option) and parameter.show_default:
            defaults = parameter.default if isinstance(parameter.default, tuple) else (parameter.default,)
            assert all(str(each) in documented[option] for each in defaults), option


def test_every_exit_status_is_documented(sections):
    documented = {int(first): rest.strip() for first, rest in rows(sections["Exit status"])}
    assert documented == {int(status): status.meaning for status in Exit}


def test_the_help_of_update_names_every_exit_status():
    text = CliRunner().invoke(cli, ["update", "--help"]).output.partition("Exit status:")[2].partition("Options:")[0]
    assert [int(number) for number in re.findall(r"\b\d\b", text)] == [int(status) for status in Exit]


@pytest.mark.parametrize("command", sorted(EVENTS))
def test_every_event_is_documented_with_its_fields(sections, command):
    documented = {
        first.strip("`"): tuple(re.findall(r"`(\w+)`", rest.partition(" | ")[0]))
        for first, rest in rows(sections[f"Events of {command}"])
    }
    assert documented == {name: kind.fields for name, kind in EVENTS[command].items()}


def documented_commands(text):
    """Every command line of ours in the fenced blocks of a document, as words."""
    for block in FENCE.finditer(text):
        for line in block["body"].splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words and words[0].rpartition("/")[2] == "lwm2m-fota":
                yield words[1:]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_line_in_the_documents_can_be_given(root, document):
    text = (root / document).read_text(encoding="utf-8")
    found = list(documented_commands(text))
    assert found or document.endswith("commands.md")
    for words in found:
        name = next(name for name in sorted(ALL_COMMANDS, reverse=True) if words[: name.count(" ") + 1] == name.split())
        options = {option for parameter in ALL_COMMANDS[name].params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= options, words


@pytest.mark.parametrize("document", DOCUMENTS[1:])
def test_every_option_in_the_documents_exists(root, document):
    text = (root / document).read_text(encoding="utf-8")
    known = {option for command in ALL_COMMANDS.values() for parameter in command.params for option in parameter.opts}
    named = set(
        re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", re.sub(r"^\$ .*(?:pip|imgtool).*$", "", text, flags=re.MULTILINE))
    )
    assert named <= known | {"--help", "--version"}


def test_the_commands_about_packages_work_as_they_are_written(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "firmware.bin").write_bytes(b"firmware" * 1000)
    (tmp_path / "modem.bin").write_bytes(b"modem" * 100)
    text = (root / "docs/howto/verify-packages.md").read_text(encoding="utf-8")
    lines = list(documented_commands(text))
    assert {words[1] for words in lines} == {"create", "sign", "encrypt", "inspect", "verify", "keys"}
    for words in lines:
        done = CliRunner().invoke(cli, words)
        assert done.exit_code == 0, done.output


def test_readme_shows_the_machine_as_it_is(root):
    page = (root / "docs/reference/device-machine.md").read_text(encoding="utf-8")
    (picture,) = re.findall(r"!\[[^]]*\]\(([^)]+)\)", page)
    assert f"(docs/reference/{picture})" in (root / "README.md").read_text(encoding="utf-8")
