"""Registrations, attributes, arguments, and a device's dispatcher that a stranger talks to."""

from collections.abc import Sequence
from typing import Final

from fuzz.target import chunks, joined, target
from lwm2m_fota.coap.message import Message, decode, encode, sort_options
from lwm2m_fota.errors import MessageFormatError, RefusedError
from lwm2m_fota.lwm2m.attributes import parse_changes
from lwm2m_fota.lwm2m.dispatch import Dispatcher, DispatchSettings
from lwm2m_fota.lwm2m.firmware_object import PACKAGE_PATH, FirmwareObject
from lwm2m_fota.lwm2m.objects import ChangeListener
from lwm2m_fota.lwm2m.operations import Answer, Operation
from lwm2m_fota.lwm2m.places import TransferLimits
from lwm2m_fota.lwm2m.registry import Registry, RegistryLimits
from lwm2m_fota.lwm2m.update_arguments import format_update, parse_update
from lwm2m_fota.lwm2m.value_object import ValueObject
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.model.device import DEVICE
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.resources import ObjectDefinition, Value
from lwm2m_fota.model.server import SERVER

_LINKS: Final = b'</>;rt="oma.lwm2m";ct=110,</1/0>,</3/0>,</5/0>;ver=1.1,</33629>;ver=1.0'


@target(
    {
        "full": joined(_LINKS, b"ep=device-1", b"lt=300", b"lwm2m=1.2", b"b=UT", b"Q", b"sms=+4912345"),
        "old": joined(_LINKS, b"ep=d", b"lwm2m=1.0", b"b=UQ"),
        "endless": joined(_LINKS, b"ep=d", b"lt=0"),
        "profile": joined(_LINKS, b"ep=d", b"pid=7"),
    }
)
def registration(data: bytes) -> None:
    """A registration and its update are answered, and leave no more than one device."""
    links, *queries = chunks(data)[:40] or [b""]
    texts = tuple(query.decode("utf-8", "replace") for query in queries)
    registry = Registry(RegistryLimits(max_registrations=2))
    answer = registry.register("peer", texts, links, new_id="a", now=0.0)
    registry.update("a", "other", texts, links, 1.0)
    assert answer.code >> 5 in {2, 4, 5}
    assert len(registry) == (answer.location_id is not None)
    for each in registry:
        assert each.objects is not None
        assert each.object_versions.keys() == each.objects.keys()
    deadline = registry.next_deadline()
    if deadline is not None:
        registry.expire(deadline)
        assert not len(registry)


@target(
    {"periods": joined(b"pmin=5", b"pmax=60", b"epmin=1"), "steps": joined(b"gt=1.5", b"lt=-2", b"st=0.1", b"con=1")}
)
def attributes(data: bytes) -> None:
    """Attributes of a Write-Attributes."""
    parse_changes(query.decode("utf-8", "replace") for query in chunks(data)[:20])


@target({"two": b"0='</33629/1>,</33629/2>'", "one": b"0='</33629/0>'", "none": b"", "bare": b"0=</33629/1>"})
def update_arguments(data: bytes) -> None:
    """The argument of an Update is the same when it is written and read again."""
    found = parse_update(data, accept_unquoted=True)
    assert parse_update(format_update(found)) == found


class _Firmware:
    """Object 5 that carries nothing out."""

    def __init__(self) -> None:
        self._firmware = FirmwareObject(FirmwareProfile(version="1.2"))

    @property
    def definition(self) -> ObjectDefinition:
        return self._firmware.definition

    def instances(self) -> Sequence[int]:
        return (0,)

    def resources(self, instance_id: int) -> Sequence[int]:
        del instance_id
        return self._firmware.resources()

    def streams(self, path: Path) -> bool:
        return path == PACKAGE_PATH

    def listen(self, listener: ChangeListener) -> None:
        del listener

    def handle(self, operation: Operation, now: float) -> Answer:
        return self._firmware.handle(operation, now).answer

    def check(self, operation: Operation, now: float) -> None:
        machine = self._firmware.machine
        try:
            answer = self._firmware.handle(operation, now).answer
        finally:
            self._firmware.machine = machine
        if answer.code >> 5 != 2:  # noqa: PLR2004 - the class of success
            raise RefusedError(answer.diagnostic, code=answer.code)


def _write(value: Value) -> None:
    del value


def _device() -> Dispatcher:
    account = ValueObject(
        definition=SERVER,
        readers={1: lambda: 60, 7: lambda: "U" * 70},
        writers={1: _write, 7: _write},
        executors={8: _write},
    )
    device = ValueObject(definition=DEVICE, readers={11: lambda: {0: 0}}, executors={4: _write})
    settings = DispatchSettings(
        transfers=TransferLimits(in_all=3), max_observers=3, max_body_bytes=200, max_streamed_bytes=400
    )
    return Dispatcher((account, device, _Firmware()), settings)


def _request(code: int, path: str, *options: tuple[int, bytes], payload: bytes = b"") -> bytes:
    segments = [(11, part.encode()) for part in path.split("/") if part]
    return encode(Message(0, code, 1, b"t", sort_options([*segments, *options]), payload))


_SENML: Final = (12, b"\x70")
_SEEDS: Final = {
    "a push": joined(
        *(_request(3, "5/0/0", (12, b"\x2a"), (27, bytes([n << 4 | 8])), payload=bytes(16)) for n in range(3)),
        _request(3, "5/0/0", (12, b"\x2a"), (27, b"\x30"), payload=bytes(3)),
        _request(2, "5/0/2"),
    ),
    "a pull": joined(
        _request(3, "5/0/1", payload=b"coap://h/f"), _request(1, "5/0/3", (17, b"")), _request(2, "5/0/2")
    ),
    "a reset": joined(_request(3, "5/0/0", (12, b"\x2a"), payload=b"\0"), _request(3, "5/0/1")),
    "reads": joined(_request(1, "5/0", (17, b"\x70")), _request(1, "1/0", (17, b"\x2d\x16")), _request(1, "3/0/11")),
    "an observation": joined(
        _request(3, "5/0/3", (15, b"pmin=5"), (15, b"gt=1")),
        _request(1, "5/0/3", (6, b"")),
        _request(1, "5/0/3", (6, b"\1")),
    ),
    "discover": joined(_request(1, "5", (17, b"\x28")), _request(1, "3/0", (17, b"\x28"), (15, b"depth=3"))),
    "composite": joined(
        _request(5, "", _SENML, (17, b"\x70"), payload=bytes.fromhex("82a100662f352f302f33a100662f352f302f35")),
        _request(7, "", _SENML, payload=bytes.fromhex("81a200662f312f302f310218 3c")),
    ),
    "a long read": joined(_request(1, "1/0/7", (23, b"\x02")), _request(1, "1/0/7", (23, b"\x12"))),
}


@target(_SEEDS)
def dispatcher(data: bytes) -> None:
    """Every request is answered, in bounds, by a message that can be sent."""
    device = _device()
    for datagram in chunks(data)[:40]:
        try:
            message = decode(datagram)
        except MessageFormatError:
            continue
        if not 1 <= message.code <= 31:  # noqa: PLR2004 - a request
            continue
        answer = device.handle(message, "peer", 0.0)
        assert 2 <= answer.code >> 5 <= 5  # noqa: PLR2004 - a response
        assert len(answer.payload) <= 1024  # noqa: PLR2004 - a block
        encode(Message(2, answer.code, 1, message.token, answer.options, answer.payload))
        device.changed([Path.of(5, 0, 3), Path.of(1, 0, 1)])
        for each in device.notifications(0.0):
            encode(Message(0, each.response.code, 1, each.token, each.response.options, each.response.payload))
