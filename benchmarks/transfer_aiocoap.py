"""The same transfers with aiocoap as its documentation shows them: whole bodies, block-wise by default.

What arrives is written to a file, once and without waiting for the disk; there is no digest and no checkpoint.
"""

import asyncio
import socket
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import aiocoap
from aiocoap import resource

from benchmarks.far_end import until_closed
from benchmarks.harness import Cost, Watch

RECEIVED: Final = "received.bin"
_HOST: Final = "127.0.0.1"


class _Package(resource.Resource):  # type: ignore[misc]  # aiocoap has no types
    """Serves a file to GET, and takes one with PUT."""

    def __init__(self, package: Path, folder: Path) -> None:
        super().__init__()
        self._package = package
        self._folder = folder

    async def render_get(self, _request: aiocoap.Message) -> aiocoap.Message:
        return aiocoap.Message(payload=self._package.read_bytes())

    async def render_put(self, request: aiocoap.Message) -> aiocoap.Message:
        (self._folder / RECEIVED).write_bytes(request.payload)
        return aiocoap.Message(code=aiocoap.CHANGED)


_SERVERS: Final = {"coap": ("udp6", socket.SOCK_DGRAM), "coap+tcp": ("tcpserver", socket.SOCK_STREAM)}
_CLIENTS: Final = {"coap": "udp6", "coap+tcp": "tcpclient"}


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind((_HOST, 0))
        port: int = found.getsockname()[1]
    return port


def serve(link: Connection, package: Path, folder: Path, scheme: str = "coap") -> None:
    """Serve a package to GET and take one with PUT."""
    folder.mkdir(exist_ok=True)

    async def run() -> None:
        site = resource.Site()
        site.add_resource(["fw"], _Package(package, folder))
        transport, kind = _SERVERS[scheme]
        port = _free_port(kind)
        context = await aiocoap.Context.create_server_context(site, bind=(_HOST, port), transports=[transport])
        await until_closed(link, f"{scheme}://{_HOST}:{port}/fw")
        await context.shutdown()

    asyncio.run(run())


def pull(uri: str, _package: Path, folder: Path) -> Cost:
    """Fetch a package once; the cost from the request to the written file."""
    folder.mkdir(exist_ok=True)

    async def run() -> Cost:
        context = await aiocoap.Context.create_client_context(transports=[_CLIENTS[uri.partition(":")[0]]])
        watch = Watch()
        answer = await context.request(aiocoap.Message(code=aiocoap.GET, uri=uri)).response_raising
        (folder / RECEIVED).write_bytes(answer.payload)
        cost = watch.read()
        await context.shutdown()
        return cost

    return asyncio.run(run())


def push(uri: str, package: Path, _folder: Path) -> Cost:
    """Send a package once; the cost from the read of the file to the answer to the last block."""

    async def run() -> Cost:
        context = await aiocoap.Context.create_client_context(transports=["udp6"])
        watch = Watch()
        request = aiocoap.Message(code=aiocoap.PUT, uri=uri, payload=package.read_bytes())  # noqa: ASYNC240 - as any user would
        await context.request(request).response_raising
        cost = watch.read()
        await context.shutdown()
        return cost

    return asyncio.run(run())
