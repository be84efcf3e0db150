"""Which server may do what (LwM2M Core 1.2, 7.3 and 8.2): asked for every operation but Discover."""

import pytest

from lwm2m_fota import cbor
from lwm2m_fota.coap.message import Message, pack_uint
from lwm2m_fota.content.codec import decode
from lwm2m_fota.errors import RefusedError
from lwm2m_fota.lwm2m.dispatch import Dispatcher, DispatchSettings
from lwm2m_fota.lwm2m.instances import Instances
from lwm2m_fota.lwm2m.value_object import ValueObject
from lwm2m_fota.model.device import DEVICE
from lwm2m_fota.model.formats import ContentFormat
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import standard_definitions
from lwm2m_fota.model.resources import Operations
from lwm2m_fota.model.server import SERVER

GET, POST, PUT, FETCH, IPATCH = 1, 2, 3, 5, 7
CHANGED, CONTENT, UNAUTHORIZED, NOT_FOUND = 0x44, 0x45, 0x81, 0x84
OBSERVE, CONTENT_FORMAT, URI_PATH, URI_QUERY, ACCEPT = 6, 12, 11, 15, 17
READ, WRITE, EXECUTE = Operations.READ, Operations.WRITE, Operations.EXECUTE


class Device:
    """Objects 1 and 3; a rule says what is refused: (server, object and instance, operation)."""

    def __init__(self, *refused):
        self.refused = set(refused)
        self.lifetimes = {0: 60, 1: 90}
        self.executed = []
        self.identity = ValueObject(
            definition=DEVICE,
            readers={2: lambda: "42"},
            executors={4: self.executed.append},
        )
        self.accounts = Instances(*map(self._account, self.lifetimes))
        self.dispatcher = Dispatcher(
            (self.accounts, self.identity), DispatchSettings(), server_of=str.upper, access=self._access
        )

    def _account(self, number):
        def write(value):
            self.lifetimes[number] = value

        readers = {1: lambda: self.lifetimes[number]}
        return ValueObject(definition=SERVER, readers=readers, writers={1: write}, instance=number)

    def _access(self, server, path, operation):
        if (server, str(Path(path.ids[:2])), operation) in self.refused:
            raise RefusedError("not yours", code=UNAUTHORIZED)

    def ask(self, code, path, payload=b"", *, peer="a", **numbers):
        options = [(URI_PATH, part.encode()) for part in path.split("/")[1:]]
        for name, value in numbers.items():
            options.append((globals()[name.upper()], value if isinstance(value, bytes) else pack_uint(value)))
        options.sort(key=lambda option: option[0])
        return self.dispatcher.handle(Message(0, code, 1, b"t", tuple(options), payload), peer, 0.0)

    def values(self, path, **more):
        answer = self.ask(GET, path, accept=112, **more)
        assert answer.code == CONTENT
        return dict(decode(answer.payload, ContentFormat.SENML_CBOR, Path.parse(path), standard_definitions()))


def test_what_is_not_refused_is_allowed():
    device = Device()
    assert device.ask(GET, "/3/0/2").payload == b"42"
    assert device.ask(PUT, "/1/0/1", b"70").code == CHANGED
    assert device.ask(POST, "/3/0/4").code == CHANGED
    assert (device.lifetimes[0], device.executed) == (70, [b""])


@pytest.mark.parametrize("path", ["/3/0", "/3/0/2", "/3"])
def test_reads_are_asked_about_by_server(path):
    device = Device(("A", "/3/0", READ))
    refused = device.ask(GET, path)
    assert (refused.code, refused.payload) == (UNAUTHORIZED, b"not yours")
    assert device.ask(GET, path, peer="b").code == CONTENT


def test_observe_and_attributes_are_reads():
    device = Device(("A", "/3/0", READ))
    assert device.ask(GET, "/3/0/2", observe=0).code == UNAUTHORIZED
    assert len(device.dispatcher.observers) == 0
    for path in ("/3/0/2", "/3/0", "/3"):
        assert device.ask(PUT, path, uri_query=b"pmin=5").code == UNAUTHORIZED
        assert device.ask(PUT, path, uri_query=b"pmin=5", peer="b").code == CHANGED


def test_discover_is_for_everybody():
    device = Device(("A", "/3/0", READ))
    assert device.ask(GET, "/3/0", accept=40).code == CONTENT


def test_of_an_object_those_instances_are_read_that_may_be():
    device = Device(("A", "/1/1", READ))
    assert device.values("/1") == {Path.of(1, 0, 1): 60}
    assert device.values("/1", peer="b") == {Path.of(1, 0, 1): 60, Path.of(1, 1, 1): 90}


def test_writes_and_executes_are_asked_about():
    device = Device(("A", "/1/0", WRITE), ("A", "/3/0", EXECUTE), ("B", "/1/0", READ), ("B", "/3/0", READ))
    for code, path in ((PUT, "/1/0/1"), (POST, "/3/0/4")):
        assert device.ask(code, path, b"70").code == UNAUTHORIZED
        assert device.ask(code, path, b"70", peer="b").code == CHANGED
    instance = bytes.fromhex("c10146")  # TLV: resource 1 is 70
    assert device.ask(POST, "/1/0", instance, content_format=11542).code == UNAUTHORIZED
    assert device.ask(POST, "/1/1", instance, content_format=11542).code == CHANGED
    assert (device.lifetimes, device.executed) == ({0: 70, 1: 70}, [b"70"])


def test_a_composite_read_leaves_out_what_may_not_be_read():
    device = Device(("A", "/1/1", READ))
    paths = cbor.dumps([{0: "/1/0/1"}, {0: "/1/1/1"}])
    answer = device.ask(FETCH, "", paths, content_format=112)
    assert cbor.loads(answer.payload) == [{0: "/1/0/1", 2: 60}]
    answer = device.ask(FETCH, "", cbor.dumps([{0: "/1/1/1"}]), content_format=112)
    assert answer.code == UNAUTHORIZED


def test_a_composite_write_is_all_or_nothing():
    device = Device(("A", "/1/1", WRITE))
    values = cbor.dumps([{0: "/1/0/1", 2: 70}, {0: "/1/1/1", 2: 80}])
    assert device.ask(IPATCH, "", values, content_format=112).code == UNAUTHORIZED
    assert device.lifetimes == {0: 60, 1: 90}
    assert device.ask(IPATCH, "", values, content_format=112, peer="b").code == CHANGED
    assert device.lifetimes == {0: 70, 1: 80}


def test_rights_count_for_notifications_too():
    device = Device()
    device.ask(GET, "/3/0/2", observe=0)
    device.ask(GET, "/1", observe=0, peer="b")
    device.refused |= {("A", "/3/0", READ), ("B", "/1/0", READ)}
    device.dispatcher.changed([Path.of(3, 0, 2), Path.of(1, 0, 1)])
    ended, rest = device.dispatcher.notifications(0.0)
    assert (ended.peer, ended.response.code) == ("a", UNAUTHORIZED)
    assert cbor.loads(rest.response.payload) == [{-2: "/1/", 0: "1/1", 2: 90}]
    assert len(device.dispatcher.observers) == 1


def test_what_is_sent_by_oneself_is_what_the_server_may_read():
    device = Device(("A", "/1/1", READ))
    body = device.dispatcher.report("A", [Path.of(1), Path.of(3, 0, 2)], 0.0)
    assert cbor.loads(body) == [{0: "/1/0/1", 2: 60}, {0: "/3/0/2", 3: "42"}]
    with pytest.raises(RefusedError):
        device.dispatcher.report("A", [Path.of(1, 1)], 0.0)


def test_an_object_without_instances_is_empty_for_everybody():
    class Empty:
        definition = DEVICE

        def instances(self):
            return ()

        def handle(self, operation, now):
            return ValueObject(definition=DEVICE, readers={}).handle(operation, now)

    dispatcher = Dispatcher((Empty(),), access=Device(("A", "/3/0", READ))._access)
    answer = dispatcher.handle(Message(0, GET, 1, b"t", ((URI_PATH, b"3"),), b""), "A", 0.0)
    assert answer.code == CONTENT
