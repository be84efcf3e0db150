"""A LwM2M server of one's own, on aiocoap, with Updater: `foreign_server.py PACKAGE ENDPOINT HOST PORT push|pull`."""

import asyncio
import contextlib
import sys

import aiocoap
from aiocoap import Code
from aiocoap_bridge import Answered, Bridge, ask, entries_of

from lwm2m_fota import UpdatePlan, Updater
from lwm2m_fota.content.values import Entries
from lwm2m_fota.errors import TransportError
from lwm2m_fota.machines.update_policy import Method
from lwm2m_fota.model.paths import Path
from lwm2m_fota.server.ports import EntriesListener, ProgressListener, Subscription
from lwm2m_fota.server.site import ServerSite
from lwm2m_fota.storage.base import PackageSource
from lwm2m_fota.storage.files import FilePackageSource


class Gateway:
    """Operations on registered devices: a DeviceGateway."""

    def __init__(self, context: aiocoap.Context, site: ServerSite) -> None:
        self._context, self.registration, self.watch = context, site.registration, site.watch

    async def _ask(self, endpoint: str, code: Code, path: Path, *, whole: bool = True, **options: object) -> Answered:
        registration = self.registration(endpoint)
        if registration is None:
            raise TransportError(f"{endpoint} is not registered")
        message = aiocoap.Message(code=code, uri_path=[str(each) for each in path.ids], **options)
        message.remote = registration.peer
        return await ask(self._context, message, whole=whole)

    async def read(self, endpoint: str, path: Path) -> Entries:
        answer, _ = await self._ask(endpoint, Code.GET, path)
        return entries_of(path, answer)

    async def write(self, endpoint: str, path: Path, value: object) -> None:
        form, data = (42, value) if isinstance(value, bytes) else (0, str(value).encode())
        await self._ask(endpoint, Code.PUT, path, payload=data, content_format=form)

    async def push(self, endpoint: str, path: Path, source: PackageSource, progress: ProgressListener) -> None:
        offset, szx, size = 0, 6, source.size_bytes
        while offset < size:
            data = source.read_at(offset, 16 << szx)
            block = {"block1": (offset >> szx + 4, offset + len(data) < size, szx), "size1": size, "content_format": 42}
            answer, _ = await self._ask(endpoint, Code.PUT, path, whole=False, payload=data, **block)
            offset, szx = offset + len(data), min(szx, answer.opt.block1.size_exponent)
            progress(offset)

    async def execute(self, endpoint: str, path: Path, arguments: bytes = b"") -> None:
        await self._ask(endpoint, Code.POST, path, payload=arguments)

    async def observe(self, endpoint: str, path: Path, listener: EntriesListener) -> tuple[Entries, Subscription]:
        answer, observation = await self._ask(endpoint, Code.GET, path, observe=0)

        async def follow() -> None:
            with contextlib.suppress(aiocoap.error.Error):  # the device is gone; it will register again
                async for notification in observation:
                    listener(entries_of(path, notification))

        return entries_of(path, answer), asyncio.create_task(follow())


async def main(package: str, endpoint: str, host: str, port: str, method: str) -> None:
    site, source = ServerSite(f"coap://{host}:{port}"), FilePackageSource(package)
    context = await aiocoap.Context.create_server_context(Bridge(site.handle), (host, int(port)), transports=["udp6"])
    plan = UpdatePlan(method=Method(method), package_bytes=source.size_bytes, schemes=site.packages.schemes)
    try:
        print(await Updater(Gateway(context, site), site.packages).update(endpoint, source, plan))
    finally:
        await context.shutdown()
        source.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
