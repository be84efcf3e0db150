"""A bench with files and the command line."""

import json

import pytest
from click.testing import CliRunner

from lwm2m_fota.cli.app import cli


class Bench:
    def __init__(self, folder):
        self.folder = folder
        self.firmware = folder / "firmware.bin"
        self.firmware.write_bytes(b"firmware" * 100)
        self.key = folder / "key.pem"
        self.public = folder / "key.public.pem"
        self.package = folder / "firmware.signed.bin"

    def run(self, *arguments):
        return CliRunner().invoke(cli, ["package", *map(str, arguments)])

    def good(self, *arguments):
        done = self.run(*arguments)
        assert done.exit_code == 0, done.output
        return done.stdout

    def facts(self, *arguments):
        return json.loads(self.good(*arguments, "--json"))

    def new_key(self, name, kind="ed25519", *options):
        """The paths of a new key and of its public part."""
        path = self.folder / name
        made = self.facts("keys", "new", path, "--type", kind, *options)
        return path, self.folder / made["public"] if "public" in made else None

    def create(self, *options, version="1.2.3"):
        return self.run("create", self.firmware, self.package, "--version", version, *options)

    def made(self):
        done = self.create("--key", self.key, "--new-key")
        assert done.exit_code == 0, done.output
        return done

    def refused(self, done, line):
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr == f"{line}\n"

    def is_refused(self, *arguments):
        """The one line that says why."""
        done = self.run(*arguments)
        assert (done.exit_code, done.stdout) == (1, ""), done.output
        assert done.stderr.count("\n") == 1
        return done.stderr.strip()


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def command():
    """`command("update", ...)` runs a command in this process, for what ends before anything begins."""
    return lambda *arguments: CliRunner().invoke(cli, [str(each) for each in arguments])
