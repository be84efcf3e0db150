"""The command line as processes: started, listened to event by event, and always ended."""

import json
import queue
import signal
import subprocess
import sys
import threading

import pytest
from click.testing import CliRunner

from lwm2m_fota.cli import app
from lwm2m_fota.cli.keys import new_key
from lwm2m_fota.cli.package import dependency, make
from lwm2m_fota.package.formats.mcuboot_make import ImageOptions

COMMAND = (sys.executable, "-m", "lwm2m_fota.cli")
LIMIT_S = 100


class Process:
    """A command with `--json` in a process of its own."""

    def __init__(self, *arguments, **popen):
        command = [*COMMAND, *map(str, arguments), "--json"]
        popen = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | popen
        self.popen = subprocess.Popen(command, **popen)
        self.events = []
        self._arriving = queue.Queue()
        self._errors = []
        if self.popen.stdout is not None:
            threading.Thread(target=self._read, daemon=True).start()
        self._error_reader = threading.Thread(target=self._read_errors, daemon=True)
        self._error_reader.start()

    def _read(self):
        for line in self.popen.stdout:
            self._arriving.put(json.loads(line))
        self._arriving.put(None)

    def _read_errors(self):
        self._errors.extend(self.popen.stderr)

    def until(self, name, **values):
        """The next event of this name with these values; all before it are kept in `events`."""
        while (event := self._arriving.get(timeout=LIMIT_S)) is not None:
            self.events.append(event)
            if event["event"] == name and values.items() <= event.items():
                return event
        pytest.fail(f"ended without {name} {values}: {self.events} {self._errors}")

    def names(self):
        return [event["event"] for event in self.events]

    def signal(self, number=signal.SIGTERM):
        self.popen.send_signal(number)

    def end(self):
        """Wait for the exit status; all events are in `events` then."""
        status = self.popen.wait(LIMIT_S)
        if self.popen.stdout is not None:
            while (event := self._arriving.get(timeout=LIMIT_S)) is not None:
                self.events.append(event)
        self._error_reader.join(LIMIT_S)
        return status

    @property
    def errors(self):
        """What was written to standard error; complete after `end`."""
        return "".join(self._errors)

    def close(self):
        self.popen.kill()
        self.popen.wait()
        self._error_reader.join(LIMIT_S)
        for stream in (self.popen.stdout, self.popen.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def start():
    """`start("device", "--server", ...)` is a running `Process`; it is ended with the test."""
    running = []

    def starter(*arguments, **popen):
        running.append(Process(*arguments, **popen))
        return running[-1]

    yield starter
    for process in running:
        process.close()


@pytest.fixture
def run():
    """`run("package", "verify", ...)` runs a command to its end."""

    def runner(*arguments, **options):
        command = [*COMMAND, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False, **options)

    return runner


class Bench:
    """A key, a package signed with it, and a device and a server that know each other."""

    def __init__(self, folder, start):
        self.folder = folder
        self._start = start
        self.key = new_key()
        self.public = folder / "public.pem"
        self.public.write_bytes(self.key.public_key.to_pem())
        self.package = self.signed("firmware.signed.bin", bytes(range(256)) * 16)

    def signed(self, name, firmware, *, version="1.1.0", key=None, needs=()):
        raw = self.folder / f"{name}.raw"
        raw.write_bytes(firmware)
        options = ImageOptions(dependencies=tuple(map(dependency, needs)))
        make(raw, self.folder / name, version, key or self.key, options)
        return self.folder / name

    def file(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path

    def update(self, package=None, *options, listen="127.0.0.1:0"):
        return self._start("update", package or self.package, "--endpoint", "dev", "--listen", listen, *options)

    def update_components(self, packages, *options):
        named = [part for name, path in packages.items() for part in ("--component", f"{name}={path}")]
        return self._start("update", *named, "--endpoint", "dev", "--listen", "127.0.0.1:0", *options)

    def device(self, port, *options, host="127.0.0.1", trust=True, state_dir="state"):
        trusted = ["--trust", self.public] if trust else []
        server = f"coap://{host}:{port}"
        state_dir = self.folder / state_dir
        return self._start(
            "device", "--server", server, "--endpoint", "dev", "--state-dir", state_dir, *trusted, *options
        )

    def pair(self, package=None, *options, device=(), trust=True):
        """A server and a device that has found it."""
        server = self.update(package, *options)
        return server, self.device(server.until("listening")["port"], *device, trust=trust)


@pytest.fixture
def bench(tmp_path, start):
    return Bench(tmp_path, start)


@pytest.fixture
def cli():
    """`cli("update", ...)` runs a command in this process, for what ends before anything begins."""

    def runner(*arguments):
        return CliRunner().invoke(app.cli, [str(argument) for argument in arguments])

    return runner
