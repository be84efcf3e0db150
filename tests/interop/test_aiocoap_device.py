"""The operations of our server on a device whose CoAP is aiocoap's and whose formats are those of Python's libraries."""

import asyncio
import json

import pytest

from lwm2m_fota.errors import ResponseError
from lwm2m_fota.lwm2m.operations import WriteMode
from lwm2m_fota.model.paths import Path
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.transport.udp import UdpTransport

aiocoap = pytest.importorskip("aiocoap", reason="aiocoap is not installed (pip install aiocoap)")
resource = pytest.importorskip("aiocoap.resource")
cbor2 = pytest.importorskip("cbor2")

pytestmark = pytest.mark.interop

TEXT, LINK, SENML_JSON, SENML_CBOR = 0, 40, 110, 112
LINKS = '</>;rt="oma.lwm2m",</1/0>,</3/0>,</5/0>'
LIFETIME, VERSION, STATE, RESULT = Path.of(1, 0, 1), Path.of(3, 0, 3), Path.of(5, 0, 3), Path.of(5, 0, 5)
READ = (STATE, RESULT, VERSION)


class Device:
    """A LwM2M device made by hand.

    Args:
        composite: the content format in which it serves several paths at once; None if it does not.
    """

    def __init__(self, composite=SENML_CBOR):
        self.values = {"/1/0/1": 60, "/3/0/3": "1.0.0", "/5/0/3": 0, "/5/0/5": 0}
        self.composite = composite
        self.executed = []
        self.attributes = []
        self.asked = []
        self.root = Root(self)
        self.site = resource.Site()
        self.site.add_resource([], self.root)
        self.resources = {}
        for path in ("/3/0/4", *self.values):
            self.resources[path] = One(self, path)
            self.site.add_resource(path.strip("/").split("/"), self.resources[path])
        self.site.add_resource(["1", "0"], Account(self))

    def set(self, path, value):
        self.values[path] = value
        self.resources[path].updated_state()
        self.root.updated_state()


class One(resource.ObservableResource):
    """A resource of the device, in plain text."""

    def __init__(self, device, path):
        super().__init__()
        self.device, self.path = device, path

    async def render_get(self, request):
        return aiocoap.Message(payload=str(self.device.values[self.path]).encode(), content_format=TEXT)

    async def render_put(self, request):
        if request.opt.uri_query:
            self.device.attributes.append((self.path, request.opt.uri_query))
        else:
            self.device.values[self.path] = int(request.payload)
        return aiocoap.Message(code=aiocoap.CHANGED)

    async def render_post(self, request):
        self.device.executed.append((self.path, request.payload))
        return aiocoap.Message(code=aiocoap.CHANGED)


class Account(resource.Resource):
    """An instance that knows SenML JSON alone, and links."""

    def __init__(self, device):
        super().__init__()
        self.device = device

    async def render_get(self, request):
        if request.opt.accept == LINK:
            return aiocoap.Message(payload=b"</1/0>;pmin=10,</1/0/1>", content_format=LINK)
        if request.opt.accept not in {None, SENML_JSON}:
            return aiocoap.Message(code=aiocoap.NOT_ACCEPTABLE)
        body = json.dumps([{"bn": "/1/0/", "n": "1", "v": self.device.values["/1/0/1"]}])
        return aiocoap.Message(payload=body.encode(), content_format=SENML_JSON)

    async def render_post(self, request):
        if request.opt.content_format != SENML_JSON:
            return aiocoap.Message(code=aiocoap.UNSUPPORTED_CONTENT_FORMAT)
        base = ""
        for record in json.loads(request.payload):
            base = record.get("bn", base)
            self.device.values[base + record.get("n", "")] = record["v"]
        return aiocoap.Message(code=aiocoap.CHANGED)


class Root(resource.ObservableResource):
    """What composite operations are asked of."""

    def __init__(self, device):
        super().__init__()
        self.device = device

    async def render_fetch(self, request):
        self.device.asked.append(request.opt.content_format)
        if request.opt.content_format != self.device.composite:
            return aiocoap.Message(code=aiocoap.UNSUPPORTED_CONTENT_FORMAT)
        found = [(path, self.device.values[path]) for path in self._paths(request)]
        if self.device.composite == SENML_CBOR:
            body = cbor2.dumps([{0: path, 3 if isinstance(value, str) else 2: value} for path, value in found])
        else:
            body = json.dumps([{"n": path, "vs" if isinstance(value, str) else "v": value} for path, value in found])
            body = body.encode()
        return aiocoap.Message(payload=body, content_format=self.device.composite)

    async def render_ipatch(self, request):
        if request.opt.content_format != self.device.composite:
            return aiocoap.Message(code=aiocoap.UNSUPPORTED_CONTENT_FORMAT)
        for path, record in zip(self._paths(request), self._records(request), strict=True):
            self.device.values[path] = record.get(2, record.get("v"))
        return aiocoap.Message(code=aiocoap.CHANGED)

    def _records(self, request):
        return (cbor2 if self.device.composite == SENML_CBOR else json).loads(request.payload)

    def _paths(self, request):
        paths, base = [], ""
        for record in self._records(request):
            base = record.get(-2, record.get("bn", base))
            paths.append(base + record.get(0, record.get("n", "")))
        return paths


@pytest.fixture
def meet(run, origin_of):
    """`meet(device, check)` registers a device at a server of ours, and runs `check(server, send)`."""

    def go(device, check):
        async def main():
            async with Lwm2mServer(UdpTransport("127.0.0.1")) as server, origin_of(device.site) as endpoint:
                host, port = server.local_address

                async def send(path, payload, content_format):
                    uri = f"coap://{host}:{port}{path}"
                    message = aiocoap.Message(
                        code=aiocoap.POST, uri=uri, payload=payload, content_format=content_format
                    )
                    return await endpoint.context.request(message).response

                answer = await send("/rd?ep=theirs&lt=60&lwm2m=1.1", LINKS.encode(), LINK)
                assert answer.code == aiocoap.CREATED
                await check(server, send)

        run(main())

    return go


def test_single_values_and_instances(meet, met):
    device = Device()

    async def check(server, send):
        assert await server.read("theirs", STATE) == [(STATE, 0)]
        await server.write("theirs", LIFETIME, 90)
        assert device.values["/1/0/1"] == 90
        assert await server.read("theirs", Path.of(1, 0)) == [(LIFETIME, 90)]  # after it has refused CBOR
        await server.write_values("theirs", Path.of(1, 0), [(LIFETIME, 120)], WriteMode.UPDATE)
        assert device.values["/1/0/1"] == 120
        await server.execute("theirs", Path.of(3, 0, 4), b"0='x'")
        assert device.executed == [("/3/0/4", b"0='x'")]
        await server.write_attributes("theirs", STATE, pmin=5, pmax=60)
        assert device.attributes == [("/5/0/3", ("pmin=5", "pmax=60"))]
        links = await server.discover("theirs", Path.of(1, 0))
        assert [(each.target, each.attributes) for each in links] == [("/1/0", (("pmin", "10"),)), ("/1/0/1", ())]

    meet(device, check)
    met("aiocoap device", "coap", "we read, write, execute, attach attributes, discover", "equal values")


@pytest.mark.parametrize("content_format", [SENML_CBOR, SENML_JSON])
def test_several_paths(meet, met, content_format):
    device = Device(content_format)

    async def check(server, send):
        values = {STATE: 0, RESULT: 0, VERSION: "1.0.0"}
        for _ in range(2):
            assert dict(await server.read_composite("theirs", READ)) == values
        assert device.asked == [SENML_CBOR, SENML_CBOR] if content_format == SENML_CBOR else [112, 110, 110]
        await server.write_composite("theirs", [(LIFETIME, 300)])
        assert device.values["/1/0/1"] == 300
        heard = asyncio.Queue()
        first, subscription = await server.observe_composite("theirs", READ, heard.put_nowait)
        assert dict(first) == values
        device.set("/5/0/3", 1)
        assert dict(await heard.get()) == {**values, STATE: 1}
        subscription.cancel()

    meet(device, check)
    met("aiocoap device", "coap", "we read, write and observe several paths at once", "equal values")


def test_one_that_refuses_several_paths(meet, met):
    device = Device(composite=None)

    async def check(server, send):
        for _ in range(2):
            with pytest.raises(ResponseError):
                await server.read_composite("theirs", READ)
        assert device.asked == [SENML_CBOR, SENML_JSON]  # and never again

    meet(device, check)
    met("aiocoap device", "coap", "it refuses several paths", "asked once for each format")


def test_it_is_observed_and_sends_by_itself(meet, met):
    device = Device()

    async def check(server, send):
        heard = asyncio.Queue()
        first, subscription = await server.observe("theirs", STATE, heard.put_nowait)
        assert first == [(STATE, 0)]
        for state in (1, 2):
            device.set("/5/0/3", state)
            assert await heard.get() == [(STATE, state)]
        subscription.cancel()
        server.reported("theirs", heard.put_nowait)
        answer = await send("/dp", cbor2.dumps([{-2: "/5/0/", 0: "3", 2: 3}, {0: "5", 2: 1}]), SENML_CBOR)
        assert answer.code == aiocoap.CHANGED
        assert await heard.get() == [(STATE, 3), (RESULT, 1)]
        answer = await send("/dp", b'[{"n":"/3/0/3","vs":"2.0"}]', SENML_JSON)
        assert answer.code == aiocoap.CHANGED
        assert await heard.get() == [(VERSION, "2.0")]

    meet(device, check)
    met("aiocoap device", "coap", "we observe", "every state")
    met("aiocoap device", "coap", "it sends by itself (Send)", "equal values")
