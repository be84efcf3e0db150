"""A device without I/O: Objects 1, 3 and 5 behind one dispatcher, fed with datagrams in hex."""

import pytest

from lwm2m_fota.coap.message import Message, decode, encode, pack_uint
from lwm2m_fota.coap.numbers import ACK, CON
from lwm2m_fota.errors import ContentError
from lwm2m_fota.lwm2m.dispatch import Dispatcher, DispatchSettings
from lwm2m_fota.lwm2m.value_object import ValueObject
from lwm2m_fota.model.device import DEVICE
from lwm2m_fota.model.server import SERVER

URI_PATH, CONTENT_FORMAT, ACCEPT, OBSERVE, BLOCK2, BLOCK1, SIZE2, SIZE1 = 11, 12, 17, 6, 23, 27, 28, 60
URI_QUERY = 15
GET, POST, PUT, FETCH, IPATCH = 1, 2, 3, 5, 7


class Device:
    """What a server meets: `ask` takes a request and gives the response."""

    def __init__(self, host, **settings):
        self.host = host
        self.now = 0.0
        self.serial = "42"
        self.lifetime = 60
        self.reboots = []
        self.account = ValueObject(
            definition=SERVER,
            readers={0: lambda: 1, 1: lambda: self.lifetime, 7: lambda: "U"},
            writers={1: self._set_lifetime, 7: lambda _: None},
            executors={8: lambda _: None},
        )
        self.identity = ValueObject(
            definition=DEVICE,
            readers={2: lambda: self.serial, 11: lambda: {0: 0, 1: 3}},
            executors={4: self.reboots.append},
        )
        self.dispatcher = Dispatcher((self.account, self.identity, host), DispatchSettings(**settings))
        self.notified = []
        host.listen(self._changed)

    def _set_lifetime(self, value):
        if value == 13:
            raise ContentError("not today")
        self.lifetime = value

    def _changed(self, paths):
        self.dispatcher.changed(paths)
        self.notify()

    def notify(self):
        self.notified.extend((each.token, each.response) for each in self.dispatcher.notifications(self.now))

    def exchange(self, data, peer="server"):
        """A datagram in hex, and the acknowledgement with its answer in hex."""
        request = decode(bytes.fromhex(data))
        answer = self.dispatcher.handle(request, peer, self.now)
        return encode(Message(ACK, answer.code, request.mid, request.token, answer.options, answer.payload)).hex()

    def ask(self, code, path, payload=b"", *, peer="server", token=b"t", options=(), **numbers):
        """A request by its parts; `numbers` are options by name, as integers or bytes."""
        every = [(URI_PATH, part.encode()) for part in path.split("/")[1:]]
        for name, value in numbers.items():
            number = globals()[name.upper()]
            every.append((number, value if isinstance(value, bytes) else pack_uint(value)))
        every.extend(options)
        every.sort(key=lambda option: option[0])
        return self.dispatcher.handle(Message(CON, code, 1, token, tuple(every), payload), peer, self.now)

    def get(self, path, **more):
        return self.ask(GET, path, **more)

    def put(self, path, payload, **more):
        return self.ask(PUT, path, payload, **more)

    def post(self, path, payload=b"", **more):
        return self.ask(POST, path, payload, **more)

    def attach(self, path, *queries, **more):
        """Write-Attributes."""
        return self.ask(PUT, path, options=[(URI_QUERY, query.encode()) for query in queries], **more)

    def fetch(self, payload, *, content_format=112, **more):
        """Read-Composite, or Observe-Composite."""
        return self.ask(FETCH, "", payload, content_format=content_format, **more)

    def ipatch(self, payload, *, content_format=112, **more):
        """Write-Composite."""
        return self.ask(IPATCH, "", payload, content_format=content_format, **more)

    def blocks(self, path, body, szx, *, code=PUT, start=0, **more):
        """Send a body in blocks of one size, from block `start` on; the codes of the answers."""
        size = 16 << szx
        codes = []
        for num in range(start, max(1, -(-len(body) // size))):
            part = body[num * size : (num + 1) * size]
            value = num << 4 | (((num + 1) * size < len(body)) << 3) | szx
            codes.append(self.ask(code, path, part, block1=value, **more).code)
        return codes


@pytest.fixture
def device(firmware_host):
    return Device(firmware_host())


@pytest.fixture(scope="session")
def make_device(firmware_host):
    """`make_device(profile, **settings)`."""

    def make(profile=None, **settings):
        return Device(firmware_host(profile), **settings)

    return make
