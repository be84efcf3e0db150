"""What the interoperability tests share: a device of ours on real UDP, and programs of others beside it."""

import asyncio
import contextlib
import functools
import os
import shutil
import socket
from types import SimpleNamespace

import pytest

from lwm2m_fota.coap.block import Block
from lwm2m_fota.device.client import ClientSettings, Lwm2mClient, OpenTo
from lwm2m_fota.device.fetch import CoapFetcher, protocols_of
from lwm2m_fota.device.firmware import FirmwareDevice, FirmwareSettings
from lwm2m_fota.device.slots import SlotInstaller
from lwm2m_fota.errors import ResponseError
from lwm2m_fota.lwm2m.registration import RegistrationSettings
from lwm2m_fota.lwm2m.value_object import ValueObject
from lwm2m_fota.machines.download_words import DownloadPolicy
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.resources import ObjectDefinition, Operations, ResourceDefinition, ValueType
from lwm2m_fota.package.crypto import KeyType, PrivateKey
from lwm2m_fota.package.formats.mcuboot_make import create_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageVersion
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.storage.memory import MemoryImageStore, MemoryPackageSource, MemoryStateStore
from lwm2m_fota.transport.udp import UdpTransport

try:
    import aiocoap
    import aiocoap.resource
except ImportError:  # the tests that need it say so
    aiocoap = None

KEY = PrivateKey.from_seed(KeyType.ED25519, bytes(range(32)))
ENDPOINT = "interop-device"
LIMIT_S = 20
LONG_TEXT = "".join(f"{number:04x}" for number in range(625))


def has_ipv6():
    """Whether this host has an IPv6 loopback address."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::1", 0))
        return True
    return False


HOSTS = [
    pytest.param("127.0.0.1", id="ipv4"),
    pytest.param("::1", id="ipv6", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback address")),
]


def program(name):
    """The path of a program of others; without it the test is skipped."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if path is None:
        package = "libcoap3-bin" if name.startswith("coap-") else name
        pytest.skip(f"{name} is not installed (Debian package {package})")
    return path


@pytest.fixture(params=HOSTS)
def host(request):
    """A local address of each family."""
    return request.param


def uri_of(address, path="", scheme="coap"):
    host, port = address
    return f"{scheme}://[{host}]:{port}{path}" if ":" in host else f"{scheme}://{host}:{port}{path}"


@pytest.fixture(scope="session")
def long_text():
    """What resource /32768/0/0 of the board holds: more than two of the largest blocks."""
    return LONG_TEXT


@pytest.fixture(scope="session")
def package():
    """`package(900, "1.1.0")` is a signed MCUboot image whose body has 900 bytes."""

    def make(body_bytes=900, version="1.1.0"):
        body = bytes(number * 7 % 251 for number in range(body_bytes))
        return create_mcuboot(body, version=ImageVersion.parse(version), key=KEY)

    return make


class Process:
    """A program beside us, killed if it has not ended by then."""

    def __init__(self, *command, stderr):
        self._command = [str(part) for part in command]
        self._stderr = stderr

    async def __aenter__(self):
        self.popen = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=self._stderr
        )
        return self

    async def __aexit__(self, *_):
        if self.popen.returncode is None:
            self.popen.kill()
            await self.popen.communicate()

    async def read(self, count):
        """Exactly so many bytes of its output."""
        return await self.popen.stdout.readexactly(count)

    async def end(self, number):
        """Send it a signal and wait for its end: the rest of its output."""
        self.popen.send_signal(number)
        rest, _ = await self.popen.communicate()
        return rest


TEXTS = ObjectDefinition(
    id=32768,
    name="Texts",
    urn="urn:oma:lwm2m:x:32768",
    version="1.0",
    lwm2m_version="1.0",
    multiple=False,
    mandatory=False,
    resources=(
        ResourceDefinition(id=0, name="Long", operations=Operations.READ, type=ValueType.STRING),
        ResourceDefinition(id=1, name="Kept", operations=Operations.READ | Operations.WRITE, type=ValueType.STRING),
    ),
)


class Board:
    """A device on real UDP, or over another transport: what it stores outlives a restart, as flash does."""

    def __init__(self, host, server_uri, new_transport=None, fetchers=()):
        self._new_transport = new_transport or (lambda: UdpTransport(host))
        self._fetchers = fetchers
        self._server_uri = server_uri
        self._images = MemoryImageStore()
        self._state = MemoryStateStore()
        self._messages = []
        self.kept = ""
        self.installer = SlotInstaller(MemoryStateStore(), (MemoryImageStore(), MemoryImageStore()), "1.0.0")
        self.reboots = asyncio.Event()

    async def __aenter__(self):
        await self.boot()
        return self

    async def __aexit__(self, *_):
        await self.halt()

    async def boot(self):
        """Switch on."""
        self.reboots.clear()
        self.installer.boot()
        self._pump = Pump(self._new_transport())
        fetchers = (CoapFetcher(self._pump), *self._fetchers)
        self.firmware = FirmwareDevice(
            profile=FirmwareProfile(protocols=protocols_of(fetchers)),
            trust=TrustPolicy(keys=(KEY.public_key,)),
            images=self._images,
            state=self._state,
            installer=self.installer,
            reboot=self.reboots.set,
            fetchers=fetchers,
            settings=FirmwareSettings(
                settle_s=0.02, download=DownloadPolicy(checkpoint_bytes=4096, checkpoint_gap_s=0.0)
            ),
        )
        settings = ClientSettings(registration=RegistrationSettings(endpoint=ENDPOINT), open_to=OpenTo.ANYONE)
        texts = ValueObject(
            definition=TEXTS,
            readers={0: lambda: LONG_TEXT, 1: lambda: self.kept},
            writers={1: lambda value: setattr(self, "kept", value)},
        )
        self.client = Lwm2mClient(
            self._pump,
            self._server_uri or f"{self._pump.scheme}://127.0.0.1:9",  # nobody is there
            self.firmware,
            settings,
            reboot=self.reboots.set,
            objects=(texts,),
        )
        await self.client.start()
        self._answer = self._pump.on_request
        self._pump.on_request = self._heard

    def _heard(self, received, now):
        self._messages.append(received.message)
        return self._answer(received, now)

    async def halt(self):
        """Switch off."""
        await self.client.stop()

    async def reboot(self):
        """Wait until the device wants to restart, and let it; the application finds itself healthy."""
        await self.reboots.wait()
        await self.halt()
        await self.boot()
        self.firmware.healthy()

    def uri(self, path):
        """Of a path on this device."""
        return uri_of(self._pump.local_address, path, self._pump.scheme)

    def blocks(self, option):
        """The blocks that all requests so far brought or asked for, in order."""
        found = []
        for message in self._messages:
            if message.first(option) is not None:
                first = Block.decode(message.first(option))
                found += [Block(first.num + number, True, first.szx) for number in range(message.blocks - 1)]
                found.append(Block(first.num + message.blocks - 1, first.more, first.szx))
        return found

    def state_reached(self, state):
        """A future that is done when resource 3 is told to have this value."""
        reached = asyncio.get_running_loop().create_future()

        def listener(paths):
            if self.firmware.state == state and not reached.done():
                reached.set_result(None)

        self.firmware.listen(listener)
        return reached

    @property
    def running(self):
        """The bytes of the running image; None for the factory's."""
        image = self.installer.running_image
        return None if image is None else image.read_at(0, image.size_bytes)


@pytest.fixture
def board():
    """`async with board(host) as device` is a device that answers anyone."""
    return lambda host="127.0.0.1", server_uri=None, **options: Board(host, server_uri, **options)


@pytest.fixture
def run():
    """`run(main())` runs a coroutine to its end, within LIMIT_S."""

    def runner(coroutine):
        async def limited():
            async with asyncio.timeout(LIMIT_S):
                return await coroutine

        return asyncio.run(limited())

    return runner


@pytest.fixture
def run_process():
    """`async with run_process("nginx", ...) as process` is a program beside us."""
    return lambda name, *arguments: Process(program(name), *arguments, stderr=asyncio.subprocess.STDOUT)


@pytest.fixture
def run_program(run_process):
    """`await run_program("curl", ...)` runs a program to its end, whatever that is: what it says."""

    async def go(name, *arguments):
        async with run_process(name, *arguments) as process:
            said, _ = await process.popen.communicate()
        return said.decode()

    return go


@pytest.fixture
def run_client(tmp_path):
    """`await run_client("coap-client-notls", "-m", "put", uri)` runs one of libcoap's clients.

    Its output, and what it says about errors.
    """

    async def client(name, *arguments):
        output = tmp_path / "output"
        output.unlink(missing_ok=True)
        command = (program(name), "-B", LIMIT_S, "-o", output, *arguments)
        async with Process(*command, stderr=asyncio.subprocess.STDOUT) as process:
            said, _ = await process.popen.communicate()
        assert process.popen.returncode == 0, said
        return SimpleNamespace(body=output.read_bytes() if output.exists() else b"", said=said.decode())

    return client


@pytest.fixture
def coap_client(run_client):
    """`await coap_client("-m", "put", uri)` runs libcoap's client without security."""
    program("coap-client-notls")
    return functools.partial(run_client, "coap-client-notls")


@pytest.fixture
def coap_observer():
    """`async with coap_observer(uri) as process` observes with libcoap's client; values come as output."""
    path = program("coap-client-notls")
    return lambda *arguments, name=path: Process(
        program(name), "-B", LIMIT_S, "-s", LIMIT_S, *arguments, stderr=asyncio.subprocess.STDOUT
    )


class Host:
    """A server of ours with its packages."""

    def __init__(self, transport):
        self.served = []
        self._server = Lwm2mServer(transport, on_block=self.served.append)
        self.registrations = self._server.registrations

    async def __aenter__(self):
        await self._server.start()
        return self

    async def __aexit__(self, *_):
        await self._server.stop()

    def uri(self, path):
        return uri_of(self._server.local_address, path, self._server.packages.schemes[0])

    def offsets(self, size):
        """Where the blocks began that were asked for, in blocks of this size."""
        return [at for each in self.served for at in range(each.offset, each.offset + each.length, size)]

    def publish(self, image):
        """The URI where a package is served from now on."""
        packages = self._server.packages
        return packages.publish(MemoryPackageSource(image), packages.schemes[0], lambda _: None).uri

    def withdraw(self, uri):
        self._server.packages.withdraw(uri.rpartition("/")[2])


@pytest.fixture
def package_server():
    """`async with package_server(host) as server` is a LwM2M server of ours."""

    return lambda host="127.0.0.1", transport=None: Host(transport or UdpTransport(host))


class Sink:
    """Keeps what a fetcher brings, as a device would."""

    def __init__(self):
        self.data = bytearray()
        self.etags = []
        self.lengths = []
        self.restarts = 0
        self.is_complete = False
        self.stop_at = None

    def block(self, offset, payload, *, etag, size_bytes, last):
        assert offset == len(self.data)
        self.data += payload
        self.etags.append(etag)
        self.lengths.append(len(payload))
        self.is_complete = last
        if self.stop_at is not None and len(self.data) >= self.stop_at:
            raise ResponseError("stopped", response_code=Code.GATEWAY_TIMEOUT)

    def restarted(self, reason):
        self.data.clear()
        self.restarts += 1


@pytest.fixture
def sink():
    """Where a package goes; it stops the fetch once it has `stop_at` bytes."""
    return Sink()


class CoapServer(Process):
    """libcoap's server: every path can be written; `log` holds what it tells of each datagram.

    It listens at a port for UDP and TCP, and with credentials at the next one for DTLS and TLS.
    """

    def __init__(self, host, *options, name="coap-server-notls", endpoints=("UDP", "TCP")):
        # a port of the system's choice leaves none that is known for the secure endpoints
        port = 0 if len(endpoints) == 2 else free_ports(host)
        super().__init__(
            program(name), "-A", host, "-p", port, "-d", 100, "-v", 7, *options, stderr=asyncio.subprocess.STDOUT
        )
        self.log = []
        self._endpoints = endpoints
        self.addresses = {}

    async def __aenter__(self):
        await super().__aenter__()
        while len(self.addresses) < len(self._endpoints):
            *_, kind, _, address = (await self.told(" created ", " endpoint ")).split()
            host, _, port = address.rpartition(":")
            self.addresses[kind] = (host.strip("[]"), int(port))
        self.address = self.addresses["UDP"]
        return self

    async def __aexit__(self, *_):
        if self.popen.returncode is None:
            self.popen.terminate()
            await self.popen.communicate()

    async def told(self, *words):
        """The next line of its log that has all these words."""
        while line := (await self.popen.stdout.readline()).decode("utf-8", "replace"):
            self.log.append(line)
            if all(word in line for word in words):
                return line
        pytest.fail(f"coap-server ended without {words}: {self.log}")

    def uri(self, path, kind="UDP"):
        scheme = {"UDP": "coap", "TCP": "coap+tcp", "DTLS": "coaps", "TLS": "coaps+tcp"}[kind]
        return uri_of(self.addresses[kind], path, scheme)


def free_ports(host):
    """A port that is free for UDP and TCP now, and so is the one above it."""
    for _ in range(100):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            first = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            first.bind((host, 0))
            port = first.getsockname()[1]
            for kind, at in ((socket.SOCK_DGRAM, port), (socket.SOCK_STREAM, port + 1), (socket.SOCK_DGRAM, port + 1)):
                stack.enter_context(socket.socket(family, kind)).bind((host, at))
            return port
    pytest.fail("no two ports are free")


@pytest.fixture
def coap_server():
    """`async with coap_server() as server` is libcoap's server with dynamic resources."""
    return lambda host="127.0.0.1", *options, **more: CoapServer(host, *options, **more)


@pytest.fixture
def pump():
    """`async with pump(host) as ours` is an endpoint of ours."""

    @contextlib.asynccontextmanager
    async def opened(host="127.0.0.1", transport=None, **options):
        ours = Pump(transport or UdpTransport(host), **options)
        await ours.open()
        try:
            yield ours
        finally:
            await ours.close()

    return opened


class Context:
    """An endpoint of aiocoap, client and server."""

    def __init__(self, site=None, host="::"):
        self._site = site
        self._host = host

    async def __aenter__(self):
        self.context = await aiocoap.Context.create_server_context(
            self._site, bind=(self._host, 0), transports=["udp6"]
        )
        (interface,) = self.context.request_interfaces
        self.address = (self._host, interface.token_interface.message_interface._local_port())
        return self

    async def __aexit__(self, *_):
        await self.context.shutdown()

    def uri(self, path):
        return uri_of(self.address, path)


@pytest.fixture
def theirs():
    """`async with theirs() as context` is a client of aiocoap."""

    @contextlib.asynccontextmanager
    async def opened():
        async with Context() as endpoint:
            yield endpoint.context

    return opened


@pytest.fixture
def origin():
    """`async with origin(fw=resource) as server` is a server of aiocoap with this resource at /fw."""

    def opened(host="127.0.0.1", **resources):
        site = aiocoap.resource.Site()
        for name, each in resources.items():
            site.add_resource([name], each)
        return Context(site, host)

    return opened


@pytest.fixture
def origin_of():
    """`async with origin_of(site) as endpoint` is an endpoint of aiocoap with this site."""
    return Context


@pytest.fixture
def met(request, record_property):
    """`met(peer, scheme, operation, outcome)` is called when all is proven; docs/reference/interop.md must say so too.

    The page is made of these calls: LWM2M_FOTA_INTEROP=write pytest tests/interop
    """
    page = (request.config.rootpath / "docs" / "reference" / "interop.md").read_text(encoding="utf-8")

    def record(peer, scheme, operation, outcome):
        row = f"| {peer} | {scheme} | {operation} | {outcome} |"
        record_property("met", row)
        if os.environ.get("LWM2M_FOTA_INTEROP") != "write":
            assert row in page.splitlines(), "the page of interoperability says otherwise"

    return record
