"""The same transfers with libcoap's own client and server (Debian: libcoap3-bin), in blocks of 1024 bytes.

The client is a process for each transfer. What a process of it costs to start, look up and connect is measured beside
each transfer, with a resource of one byte, and taken off.
"""

import resource
import shutil
import socket
import subprocess
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from benchmarks.far_end import until_closed_for
from benchmarks.harness import Cost

RECEIVED: Final = "received.bin"
CLIENT: Final = "coap-client-notls"
SERVER: Final = "coap-server-notls"
_HOST: Final = "127.0.0.1"
_TRIES: Final = 100
_BLOCK: Final = "1024"


def present() -> bool:
    """True if both programs are here."""
    return shutil.which(CLIENT) is not None and shutil.which(SERVER) is not None


def version() -> str:
    """What the client says of itself."""
    said = subprocess.run([CLIENT], capture_output=True, text=True, check=False).stderr
    return next((word.removeprefix("v") for word in said.split() if word.startswith("v4")), "?")


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind((_HOST, 0))
        port: int = found.getsockname()[1]
    return port


def _run(*arguments: str | Path) -> None:
    done = subprocess.run([CLIENT, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode or done.stderr.strip():
        raise RuntimeError(f"{CLIENT}: {done.stderr.strip() or done.returncode}")


def _wait_for(pid: int, port: int) -> None:
    """Wait until a process listens on a UDP port."""
    for _ in range(_TRIES):
        lines = Path(f"/proc/{pid}/net/udp").read_text(encoding="ascii").splitlines()
        if any(f":{port:04X} " in line for line in lines):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{SERVER} does not listen")


def serve(link: Connection, package: Path, folder: Path) -> None:
    """Serve the package to GET at /fw, one byte at /one, and take a package with PUT at /new."""
    folder.mkdir(exist_ok=True)
    port = _free_port()
    base = f"coap://{_HOST}:{port}"
    command = [SERVER, "-A", _HOST, "-p", str(port), "-d", "10", "-v", "3"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(server.pid, port)
            one = folder / "one"
            one.write_bytes(b"1")
            _run("-m", "put", "-f", one, f"{base}/one")
            _run("-m", "put", "-b", _BLOCK, "-f", package, f"{base}/fw")
            until_closed_for(server.pid, link, f"{base}/fw")
        finally:
            server.kill()


def _timed(*arguments: str | Path) -> Cost:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    _run(*arguments)
    wall_s = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _without_start(uri: str, cost: Cost) -> Cost:
    start = _timed("-m", "get", "-o", "/dev/null", uri.removesuffix("/fw") + "/one")
    return Cost(cost.wall_s - start.wall_s, max(cost.cpu_s - start.cpu_s, 0.0))


def pull(uri: str, _package: Path, folder: Path) -> Cost:
    """Fetch the package once, into a file."""
    folder.mkdir(exist_ok=True)
    return _without_start(uri, _timed("-m", "get", "-b", _BLOCK, "-o", folder / RECEIVED, uri))


def push(uri: str, package: Path, folder: Path) -> Cost:
    """Send the package once, from a file; then fetch it, which is not timed."""
    new = uri.removesuffix("/fw") + "/new"
    cost = _without_start(uri, _timed("-m", "put", "-b", _BLOCK, "-f", package, new))
    _run("-m", "get", "-b", _BLOCK, "-o", folder / RECEIVED, new)
    return cost
