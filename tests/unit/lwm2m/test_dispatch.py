"""Requests through the dispatcher to a real Object 5: what is read, discovered, refused (SPEC 6, 7 and 13)."""

import pytest

from lwm2m_fota.coap.message import Message
from lwm2m_fota.content.codec import decode as read_content
from lwm2m_fota.content.policies import ContentPolicies, PathKeys, TimeForm
from lwm2m_fota.errors import UsageError
from lwm2m_fota.lwm2m.dispatch import Dispatcher, DispatchSettings
from lwm2m_fota.lwm2m.operations import Answer
from lwm2m_fota.lwm2m.value_object import ValueObject
from lwm2m_fota.machines.events import TransferFailed
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.model.enums import UpdateResult
from lwm2m_fota.model.formats import ContentFormat
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import standard_definitions
from lwm2m_fota.model.resources import ObjectDefinition, Operations, ResourceDefinition, ValueType

TEXT, LINK, OPAQUE, CBOR, SENML_JSON, SENML, TLV = 0, 40, 42, 60, 110, 112, 11542
OMA_JSON, LWM2M_CBOR = 11543, 11544
CREATED, CHANGED, CONTENT = 0x41, 0x44, 0x45
BAD_REQUEST, UNAUTHORIZED, BAD_OPTION, NOT_FOUND, NOT_ALLOWED = 0x80, 0x81, 0x82, 0x84, 0x85
NOT_ACCEPTABLE, UNSUPPORTED = 0x86, 0x8F
# SPEC 7: {1:"", 3:0, 5:0, 6:"", 7:"", 8:[0], 9:2, 11:1, 12:0, 13:0} by hand
INSTANCE_TLV = "c001c10300c10500c006c0078308410000c10902c10b01c10c00c10d00"


def options_of(response):
    return dict(response.options)


# -- the vectors of SPEC 13


def test_v1_to_v4_a_package_in_four_blocks(device):
    """V1 is answered V2; blocks 1 and 2 follow; V3 ends the body and is answered V4."""
    first = "41030001a1b13501300130112ad1020ad114c8ff" + bytes(range(64)).hex()
    assert device.exchange(first) == "615f0001a1d10e0a"
    assert device.exchange("41030002a2b13501300130112ad1021aff" + "11" * 64) == "615f0002a2d10e1a"
    assert device.exchange("41030003a3b13501300130112ad1022aff" + "22" * 64) == "615f0003a3d10e2a"
    assert device.exchange("41030004a4b13501300130112ad10232ff0000000000000000") == "61440004a4d10e32"
    assert bytes(device.host.staged) == bytes(range(64)) + b"\x11" * 64 + b"\x22" * 64 + bytes(8)
    assert device.get("/5/0/3").payload == b"2"


def test_v5_a_gap(device):
    """The code and the header are those of V5; a line for people follows."""
    device.exchange("41030001a1b13501300130112ad1020ad114c8ff" + "00" * 64)
    answer = device.exchange("41030003a3b13501300130112ad1022aff" + "22" * 64)
    assert answer[:12] == "61880003a3ff"
    assert device.host.staged == bytes(64)


def test_v6_too_large(make_device):
    """As V6 without its Block1: that would ask for smaller blocks, and no block size makes the body smaller."""
    device = make_device(max_streamed_bytes=65536)
    answer = device.exchange("41030001a1b13501300130112ad1020ad314010001ff" + "00" * 64)
    assert answer.startswith("618d0001a1d32f010000ff")
    assert (device.host.effects, device.get("/5/0/3").payload) == ([], b"0")


def test_v7_the_path_of_a_package_server_is_no_path_here(device):
    assert device.exchange("41010010b0b26677c10650")[:10] == "61840010b0"


def test_v8_a_block_with_its_etag_and_size(device):
    """The options and the block of V8, of a 40 byte value; the ETag is ours."""
    device.serial = "x" * 40
    # CON GET /3/0/2, Accept 0 empty, Block2 0/0/16 empty, Size2 0 empty
    answer = device.exchange("41010010b0b13301300132606050")
    assert answer[:12] == "61450010b044"
    assert answer[20:] == "80b1085128ff" + "78" * 16


def test_v9_execute(device):
    device.put("/5/0/0", b"image", content_format=OPAQUE)
    assert device.exchange("41020020c0b13501300132") == "61440020c0"
    assert device.get("/5/0/3").payload == b"3"
    assert device.exchange("41020021c0b13501300132")[:10] == "61850021c0"


def test_v10_reset_by_an_empty_uri(device):
    assert device.put("/5/0/1", b"coap://h/fw").code == CHANGED
    assert device.get("/5/0/3").payload == b"1"
    assert device.exchange("41030021c1b1350130013110") == "61440021c1"
    assert (device.get("/5/0/3").payload, device.get("/5/0/1").payload) == (b"0", b"")


def test_v11_reset_by_a_package_of_one_nul(device):
    device.put("/5/0/0", b"image", content_format=OPAQUE)
    assert device.exchange("41030022c2b13501300130112aff00") == "61440022c2"
    assert (device.get("/5/0/3").payload, device.host.staged) == (b"0", b"")


def test_v12_no_such_object(device):
    """The vector of Object 33629, which this device does not have."""
    vector = "41020023c3b533333632390130013210ff303d273c2f33333632392f313e2c3c2f33333632392f323e27"
    assert device.exchange(vector)[:10] == "61840023c3"


# -- Read


@pytest.mark.parametrize(
    ("path", "accept", "content_format", "payload"),
    [
        ("/5/0/3", None, TEXT, "30"),
        ("/5/0/3", TEXT, TEXT, "30"),
        ("/5/0/3", TLV, TLV, "c10300"),
        ("/5/0/3", SENML, SENML, "81a200662f352f302f330200"),
        ("/5/0/1", None, TEXT, ""),
        ("/5/0/8/0", None, TEXT, "30"),
        ("/5/0/8", None, SENML, "81a321672f352f302f382f0061300200"),
        ("/3/0/11", TLV, TLV, "860b410000410103"),
        ("/3/0/11", None, SENML, "82a321682f332f302f31312f0061300200a20061310203"),
        ("/5/0", TLV, TLV, INSTANCE_TLV),
        ("/5", TLV, TLV, "08001d" + INSTANCE_TLV),
        ("/5/0/3", CBOR, CBOR, "00"),
        ("/5/0/1", CBOR, CBOR, "60"),
        ("/5/0/8/0", CBOR, CBOR, "00"),
        ("/5/0/3", LWM2M_CBOR, LWM2M_CBOR, "a183050003 00"),
        ("/1/0", LWM2M_CBOR, LWM2M_CBOR, "a1820100 a3 0001 01183c 076155"),
        ("/5/0/3", SENML_JSON, SENML_JSON, b'[{"n":"/5/0/3","v":0}]'.hex()),
        ("/1/0", SENML_JSON, SENML_JSON, b'[{"bn":"/1/0/","n":"0","v":1},{"n":"1","v":60},{"n":"7","vs":"U"}]'.hex()),
        ("/1/0", TLV, TLV, "c10001c1013cc10755"),
        ("/1/0", SENML, SENML, "83a321652f312f302f0061300201a200613102183ca2006137036155"),
        ("/1", None, SENML, "83a321632f312f0063302f300201a20063302f3102183ca20063302f37036155"),
    ],
)
def test_read(device, path, accept, content_format, payload):
    answer = device.get(path) if accept is None else device.get(path, accept=accept)
    assert answer.code == CONTENT
    assert int.from_bytes(options_of(answer)[12], "big") == content_format
    assert set(options_of(answer)) == {12}
    assert answer.payload.hex() == payload.replace(" ", "")


@pytest.mark.parametrize("content_format", [SENML, SENML_JSON, LWM2M_CBOR, TLV])
def test_an_instance_holds_every_readable_resource(device, content_format):
    answer = device.get("/5/0", accept=content_format)
    entries = read_content(answer.payload, content_format, Path.of(5, 0), standard_definitions())
    assert dict(entries) == {
        Path.of(5, 0, 1): "",
        Path.of(5, 0, 3): 0,
        Path.of(5, 0, 5): 0,
        Path.of(5, 0, 6): "",
        Path.of(5, 0, 7): "",
        Path.of(5, 0, 8, 0): 0,
        Path.of(5, 0, 9): 2,
        Path.of(5, 0, 11): 1,
        Path.of(5, 0, 12): 0,
        Path.of(5, 0, 13): 0,
    }


def test_the_forms_of_values_are_a_matter_of_settings(make_device):
    device = make_device(content=ContentPolicies(time=TimeForm.EPOCH, keys=PathKeys.NESTED))
    assert device.get("/5/0/12", accept=CBOR).payload.hex() == "c100"
    assert device.get("/5/0/12", accept=LWM2M_CBOR).payload.hex() == "a105a100a10cc100"


def test_a_server_of_lwm2m_1_0_gets_tlv_where_it_leaves_the_choice(make_device):
    device = make_device(default_format=ContentFormat.TLV)
    assert device.get("/1/0").payload.hex() == "c10001c1013cc10755"
    assert device.get("/3/0/11").payload.hex() == "860b410000410103"
    assert device.get("/1/0/1").payload == b"60"
    assert device.get("/1/0", accept=SENML).payload.hex().startswith("83a3")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/", NOT_FOUND),
        ("/4/0/1", NOT_FOUND),
        ("/0", UNAUTHORIZED),
        ("/0/0/0", UNAUTHORIZED),
        ("/21/0", UNAUTHORIZED),  # OSCORE
        ("/5/1", NOT_FOUND),
        ("/5/1/3", NOT_FOUND),
        ("/5/0/4", NOT_FOUND),
        ("/5/0/14", NOT_FOUND),  # of object version 1.2
        ("/5/0/3/0", NOT_FOUND),  # a single resource has no instances
        ("/5/0/8/7", NOT_FOUND),
        ("/5/0/3/0/0", NOT_FOUND),
        ("/5/0/65535", NOT_FOUND),
        ("/five", NOT_FOUND),
        ("/05/0/3", NOT_FOUND),
        ("/5/0/3/", NOT_FOUND),
        ("/5/0/0", NOT_ALLOWED),
        ("/5/0/2", NOT_ALLOWED),
        ("/5/0/10", NOT_ALLOWED),
        ("/1/0/8", NOT_ALLOWED),
    ],
)
def test_what_cannot_be_read(device, path, code):
    assert device.get(path).code == code


@pytest.mark.parametrize("segments", [[b"5/0/3"], [b"5", b"0/3"], [b"", b"5", b"0", b"3"], [b""]])
def test_segments_are_taken_as_they_are(device, segments):
    answer = device.ask(1, "", options=[(11, segment) for segment in segments])
    assert answer.code == NOT_FOUND


def test_a_path_that_is_no_text_is_a_bad_request(device):
    assert device.ask(1, "", options=[(11, b"\xff")]).code == BAD_REQUEST


@pytest.mark.parametrize(
    ("path", "accept"),
    [("/5/0", TEXT), ("/5/0/8", TEXT), ("/5/0/3", OPAQUE), ("/5/0", CBOR), ("/5/0/8", CBOR), ("/5/0", 11543)],
)
def test_formats_that_cannot_carry_it_are_not_acceptable(device, path, accept):
    assert device.get(path, accept=accept).code == NOT_ACCEPTABLE


@pytest.mark.parametrize(
    "options",
    [
        [(1, b"\x01")],  # If-Match
        [(5, b"")],  # If-None-Match
        [(19, b"")],  # Q-Block1
        [(9, b"x")],  # of OSCORE
        [(17, b""), (17, b"")],  # Accept twice
        [(23, b""), (23, b"\x10")],  # Block2 twice
        [(23, b"\x00\x00\x00\x00")],  # Block2 of four bytes
    ],
)
def test_critical_options_that_are_not_understood_are_refused(device, options):
    assert device.ask(1, "/5/0/3", options=options).code == BAD_OPTION


def test_elective_options_and_queries_are_passed_over(device):
    options = [(3, b"host"), (7, b"\x16\x33"), (15, b"a"), (15, b"b"), (14, b"\x01"), (252, b"e"), (2, b"")]
    assert device.ask(1, "/5/0/3", options=options).payload == b"0"


def test_a_reserved_block_size_is_a_bad_request(device):
    assert device.get("/5/0/3", block2=7).code == BAD_REQUEST
    assert device.put("/5/0/0", b"", block1=7).code == BAD_REQUEST


def test_a_value_that_does_not_fit_its_resource_is_our_fault(device):
    device.lifetime = "an hour"
    answer = device.get("/1/0/1")
    assert (answer.code, b"the object's own value" in answer.payload) == (0xA0, True)


def test_only_the_resource_asked_for_is_read(device):
    device.account.readers[7] = lambda: 1 / 0
    assert device.get("/1/0/1").payload == b"60"


class Stubborn:
    """An object that refuses by its answer."""

    definition = ObjectDefinition(
        id=9,
        name="Stubborn",
        version="1.0",
        urn="urn:x",
        lwm2m_version="1.0",
        multiple=True,
        mandatory=False,
        resources=(
            ResourceDefinition(
                id=1, name="A", operations=Operations.READ | Operations.WRITE, type=ValueType.OPAQUE, mandatory=True
            ),
        ),
    )

    def __init__(self, answer, instances=(0, 3), streamed=False):
        self.answer, self._instances, self._streamed = answer, instances, streamed
        self.operations = []

    def instances(self):
        return self._instances

    def resources(self, instance_id):
        return (1,)

    def streams(self, path):
        return self._streamed

    def handle(self, operation, now):
        self.operations.append(operation)
        return self.answer


def test_an_object_may_refuse_by_its_answer(make_device):
    device = make_device()
    device.dispatcher = Dispatcher([Stubborn(Answer(0xA3, diagnostic="busy", size_limit_bytes=300))])
    assert (device.get("/9/3/1").code, device.get("/9/3/1").payload) == (0xA3, b"busy")
    answer = device.put("/9/0/1", b"", content_format=OPAQUE)
    assert (answer.code, options_of(answer), answer.payload) == (0xA3, {60: b"\x01\x2c"}, b"busy")


def test_an_object_that_answers_a_read_without_values_is_told_as_not_readable(make_device):
    device = make_device()
    device.dispatcher = Dispatcher([Stubborn(Answer(NOT_ALLOWED))])
    assert device.get("/9/0/1").payload == b"not readable"


# -- Discover and the object list


@pytest.mark.parametrize(
    ("path", "links"),
    [
        ("/3", b"</3>;ver=1.2,</3/0>,</3/0/2>,</3/0/4>,</3/0/11>;dim=2"),
        ("/1/0", b"</1/0>,</1/0/0>,</1/0/1>,</1/0/7>,</1/0/8>"),
        ("/5/0/3", b"</5/0/3>"),
        (
            "/5",
            (
                b"</5>;ver=1.1,</5/0>,</5/0/0>,</5/0/1>,</5/0/2>,</5/0/3>,</5/0/5>,</5/0/6>,</5/0/7>,</5/0/8>;dim=1,"
                b"</5/0/9>,</5/0/10>,</5/0/11>,</5/0/12>,</5/0/13>"
            ),
        ),
    ],
)
def test_discover(device, path, links):
    answer = device.get(path, accept=LINK)
    assert (answer.code, options_of(answer), answer.payload) == (CONTENT, {12: b"\x28"}, links)


def test_an_object_of_version_1_0_shows_none(make_device):
    device = make_device(FirmwareProfile(version="1.0"))
    assert device.get("/5", accept=LINK).payload.startswith(b"</5>,</5/0>,</5/0/0>")


def test_discover_of_a_resource_instance_is_not_allowed(device):
    assert device.get("/5/0/8/0", accept=LINK).code == NOT_ALLOWED


def test_a_long_list_comes_in_blocks_no_larger_than_the_device_has(make_device):
    device = make_device(max_szx=1)
    answer = device.get("/1", accept=LINK)
    assert (options_of(answer)[23], len(answer.payload)) == (b"\x09", 32)


def test_the_object_list_shows_later_versions_and_hides_security(firmware_host):
    bare = Stubborn(Answer(CONTENT), instances=())
    hidden = Stubborn(Answer(CONTENT))
    hidden.definition = ObjectDefinition(
        id=0,
        name="Security",
        version="1.0",
        urn="urn:x",
        lwm2m_version="1.0",
        multiple=True,
        mandatory=True,
        resources=(),
    )
    dispatcher = Dispatcher([bare, hidden, firmware_host()])
    assert dispatcher.object_links() == b'</>;rt="oma.lwm2m";ct=112,</5>;ver=1.1,</5/0>,</9>'
    assert set(dispatcher.objects) == {0, 5, 9}
    old = Dispatcher([firmware_host(FirmwareProfile(version="1.0"))])
    assert old.object_links() == b'</>;rt="oma.lwm2m";ct=112,</5/0>'


# -- Execute and what is not allowed


def test_execute_hands_over_its_arguments(device):
    assert device.post("/3/0/4", b"0='now'").code == CHANGED
    assert device.reboots == [b"0='now'"]


def test_execute_with_a_block_option_of_one_block_is_taken(device):
    assert device.post("/3/0/4", b"1", block1=6).code == CHANGED
    assert device.reboots == [b"1"]


@pytest.mark.parametrize("block1", [0x08, 0x0E, 0x10])
def test_arguments_in_blocks_are_not_understood(device, block1):
    assert device.post("/3/0/4", b"x" * 16, block1=block1).code == BAD_OPTION
    assert device.reboots == []


@pytest.mark.parametrize(
    ("code", "path"),
    [
        (2, "/5/0/3"),  # Execute of what is read
        (2, "/5/0/8/0"),
        (2, "/5"),  # Create
        (3, "/5"),
        (3, "/5/0/3"),
        (3, "/5/0/2"),
        (3, "/5/0/8/0"),
        (3, "/3/0/2"),
        (4, "/5/0"),  # Delete
        (5, "/"),  # Read-Composite
        (7, "/"),  # Write-Composite
        (31, "/5/0/3"),
    ],
)
def test_methods_that_are_not_allowed(device, code, path):
    assert device.ask(code, path, b"0", content_format=TEXT).code == NOT_ALLOWED


# -- Write in one piece


def test_write_a_resource(device):
    assert device.put("/1/0/1", b"3600", content_format=TEXT).code == CHANGED
    assert device.get("/1/0/1").payload == b"3600"


def test_a_write_without_a_content_format_is_text(device):
    assert device.put("/1/0/1", b"3600").code == CHANGED
    assert device.lifetime == 3600


@pytest.mark.parametrize(
    ("content_format", "payload"),
    [
        (TLV, "c10b00"),
        (1542, "c10b00"),
        (SENML, "81a200672f352f302f31310200"),
        (TEXT, "30"),
        (CBOR, "00"),
        (SENML_JSON, b'[{"n":"/5/0/11","v":0}]'.hex()),
        (LWM2M_CBOR, "a18305000b00"),
        (LWM2M_CBOR, "bf05bf00bf0b00ffffff"),
        (OMA_JSON, b'{"e":[{"v":0}]}'.hex()),
        (1543, b'{"bn":"/5/0/11","e":[{"v":0}]}'.hex()),
    ],
)
def test_write_in_every_format(device, content_format, payload):
    assert device.put("/5/0/11", bytes.fromhex(payload), content_format=content_format).code == CHANGED
    assert device.get("/5/0/11").payload == b"0"


@pytest.mark.parametrize(
    ("path", "payload", "content_format", "code"),
    [
        ("/1/0/1", b"soon", TEXT, BAD_REQUEST),
        ("/1/0/1", b"13", TEXT, BAD_REQUEST),  # the writer refuses
        ("/1/0/1", b"60", LINK, UNSUPPORTED),
        ("/1/0/1", b"60", CBOR, BAD_REQUEST),  # -17, and a byte behind it
        ("/1/0/1", b"[]", 320, UNSUPPORTED),  # a Patch Pack
        ("/1/0", b"\x02", CBOR, UNSUPPORTED),
        ("/1/0/1", b"60", OPAQUE, UNSUPPORTED),
        ("/5/0", b"60", TEXT, UNSUPPORTED),
        ("/1/0/1", b"\xc1", TLV, BAD_REQUEST),
        ("/1/0/1", b"\xff", SENML, BAD_REQUEST),
        ("/5/0/11", b"3", TEXT, BAD_REQUEST),  # T29
        ("/5/0/13", b"-1", TEXT, BAD_REQUEST),  # T29
        ("/5/0/14", b"1", TEXT, NOT_FOUND),
    ],
)
def test_a_write_that_is_refused_changes_nothing(device, path, payload, content_format, code):
    before = (device.host.firmware.machine, device.lifetime)
    assert device.put(path, payload, content_format=content_format).code == code
    assert (device.host.firmware.machine, device.lifetime) == before
    assert device.host.effects == []


class Sensors:
    """An object of ours with an array that is written and one value that is."""

    definition = ObjectDefinition(
        id=30001,
        name="Sensors",
        version="1.0",
        urn="urn:x",
        lwm2m_version="1.1",
        multiple=False,
        mandatory=False,
        resources=(
            ResourceDefinition(
                id=1,
                name="Limits",
                operations=Operations.READ | Operations.WRITE,
                type=ValueType.INTEGER,
                multiple=True,
            ),
            ResourceDefinition(
                id=2, name="Mode", operations=Operations.READ | Operations.WRITE, type=ValueType.INTEGER
            ),
        ),
    )

    def __init__(self):
        self.limits, self.mode = {0: 10, 1: 20}, 0
        self.object = ValueObject(
            definition=self.definition,
            readers={1: lambda: self.limits, 2: lambda: self.mode},
            writers={2: lambda value: setattr(self, "mode", value)},
            array_writers={1: lambda values: setattr(self, "limits", values)},
        )


@pytest.mark.parametrize(
    ("method", "path", "content_format", "payload", "code", "limits"),
    [
        (3, "/30001/0/1", TLV, "830141051e", CHANGED, {5: 30}),
        (3, "/30001/0/1", TLV, "41051e", CHANGED, {5: 30}),
        (3, "/30001/0/1", TLV, "830141051e00", BAD_REQUEST, {0: 10, 1: 20}),
        (3, "/30001/0/1", SENML_JSON, b'[{"bn":"/30001/0/1/","n":"5","v":30}]'.hex(), CHANGED, {5: 30}),
        (2, "/30001/0/1", SENML_JSON, b'[{"bn":"/30001/0/1/","n":"5","v":30}]'.hex(), CHANGED, {0: 10, 1: 20, 5: 30}),
        (2, "/30001/0/1", TLV, "830141051e", CHANGED, {0: 10, 1: 20, 5: 30}),
        (3, "/30001/0/1/1", TEXT, "3330", CHANGED, {0: 10, 1: 30}),
        (3, "/30001/0/1/7", TEXT, "3330", NOT_FOUND, {0: 10, 1: 20}),  # it is added by a Write of the resource
        (3, "/30001/0/1/7", TLV, "41071e", NOT_FOUND, {0: 10, 1: 20}),
        (2, "/30001/0", LWM2M_CBOR, "a1 197531 a100 a101 a1 05181e", CHANGED, {0: 10, 1: 20, 5: 30}),
        (3, "/30001/0", LWM2M_CBOR, "a1 197531 a100 a101 a1 05181e", CHANGED, {5: 30}),
        (2, "/30001/0/1/1", TEXT, "3330", NOT_ALLOWED, {0: 10, 1: 20}),
        (2, "/30001/0/2", TEXT, "31", NOT_ALLOWED, {0: 10, 1: 20}),
        (3, "/30001/0/2/0", TEXT, "31", NOT_FOUND, {0: 10, 1: 20}),  # not an array
        (3, "/30001/0/2/0", TLV, "410031", NOT_FOUND, {0: 10, 1: 20}),
        (1, "/30001/0/2/0", TEXT, "", NOT_FOUND, {0: 10, 1: 20}),
        (1, "/30001/0/1/7", TEXT, "", NOT_FOUND, {0: 10, 1: 20}),
        (3, "/30001/0/1", TEXT, "31", UNSUPPORTED, {0: 10, 1: 20}),
        (3, "/30001/0/3", TEXT, "31", NOT_FOUND, {0: 10, 1: 20}),
        (4, "/30001/0/1/0", TEXT, "", NOT_ALLOWED, {0: 10, 1: 20}),
    ],
)
def test_arrays_and_their_elements(make_device, method, path, content_format, payload, code, limits):
    device, sensors = make_device(), Sensors()
    device.dispatcher = Dispatcher((sensors.object,))
    assert device.ask(method, path, bytes.fromhex(payload), content_format=content_format).code == code
    assert sensors.limits == limits


def test_an_answer_to_blocks_together_names_the_one_that_comes_again(device):
    """RFC 7959 section 2.3: Block1 of an answer has the number of the block that is answered."""
    body = b'[{"bn":"/5/0/","n":"11","v":2},{"n":"13","v":3600}]'  # 51 bytes

    def post(num, more, part, blocks=1):
        block = num << 4 | more << 3
        options = ((11, b"5"), (11, b"0"), (12, b"\x6e"), (27, bytes((block,) if block else ())))
        return device.dispatcher.handle(Message(0, 2, 1, b"t", options, part, blocks), "server", 0.0)

    assert post(0, 1, body[:32], blocks=2).code == 0x5F
    assert post(2, 0, body[32:], blocks=2).code == CHANGED
    again = post(3, 0, body[48:])
    assert (again.code, dict(again.options)[27]) == (CHANGED, b"\x30")
    assert device.get("/5/0/13").payload == b"3600"


def test_arguments_in_a_single_block(device):
    answer = device.post("/1/0/8", block1=2)
    assert (answer.code, answer.options) == (CHANGED, ((27, b"\x02"),))


def test_a_partial_update_sets_severity_and_defer_period_together(device):
    """SPEC 6: R11 and R13 in one POST."""
    assert device.post("/5/0", bytes.fromhex("c10b02c40d00015180"), content_format=TLV).code == CHANGED
    assert (device.get("/5/0/11").payload, device.get("/5/0/13").payload) == (b"2", b"86400")


def test_a_partial_update_leaves_out_what_is_not_there(device):
    """LwM2M Core 1.2, 6.3.3: an optional resource that is not known is no error."""
    assert device.post("/5/0", bytes.fromhex("c10b02c10e01c1ff00"), content_format=TLV).code == CHANGED
    assert device.get("/5/0/11").payload == b"2"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("c10b02c30d000001", BAD_REQUEST),  # three bytes are no integer
        ("c10d05c10b03", BAD_REQUEST),  # R11 = 3
        ("c10b02c10301", NOT_ALLOWED),  # R3 is read only
        ("c10e01", NOT_FOUND),  # R14 is of version 1.2, and there is nothing else
        ("c10b02c10000", BAD_REQUEST),  # Package beside another
    ],
)
def test_a_partial_update_is_taken_whole_or_not_at_all(device, payload, code):
    machine = device.host.firmware.machine
    assert device.post("/5/0", bytes.fromhex(payload), content_format=TLV).code == code
    assert (device.host.firmware.machine, device.host.effects) == (machine, [])


@pytest.mark.parametrize(("path", "method"), [("/5/0", 2), ("/5/0", 3), ("/5/0/0", 3)])
def test_a_package_in_a_format_with_values_is_taken_in_one_piece(device, path, method):
    assert device.ask(method, path, bytes.fromhex("c800080001020304050607"), content_format=TLV).code == CHANGED
    assert device.host.staged == bytes(range(8))


def test_a_package_in_text_is_base64(device):
    assert device.put("/5/0/0", b"AA==", content_format=TEXT).code == CHANGED
    assert device.get("/5/0/3").payload == b"0"
    assert device.put("/5/0/0", b"AAE=", content_format=TEXT).code == CHANGED
    assert device.host.staged == b"\x00\x01"
    assert device.put("/5/0/0", b"A", content_format=TEXT).code == BAD_REQUEST


@pytest.mark.parametrize("method", [2, 3])
def test_a_package_in_one_message(device, method):
    """POST is tolerated: SPEC 6 has an example that writes so."""
    assert device.ask(method, "/5/0/0", b"image").code == CHANGED
    assert (device.host.staged, device.get("/5/0/3").payload) == (b"image", b"2")


def test_an_empty_package_is_refused(device):
    assert device.put("/5/0/0", b"", content_format=OPAQUE).code == BAD_REQUEST
    assert device.host.effects == []


# -- Block2


@pytest.mark.parametrize("szx", range(7))
def test_a_long_value_is_read_in_blocks_of_every_size(device, szx):
    size = 16 << szx
    device.serial = "".join(chr(97 + index % 26) for index in range(2 * size + 5))
    body, etags, num = b"", set(), 0
    while True:
        answer = device.get("/3/0/2", block2=num << 4 | szx)
        options = options_of(answer)
        etags.add(options[4])
        body += answer.payload
        more = num < 2
        assert int.from_bytes(options[23], "big") == num << 4 | more << 3 | szx
        if not more:
            break
        assert len(answer.payload) == size
        num += 1
    assert body.decode() == device.serial
    assert len(etags) == 1
    assert 1 <= len(etags.pop()) <= 8


def test_another_value_has_another_etag(device):
    device.serial = "x" * 100
    before = options_of(device.get("/3/0/2", block2=1))[4]
    device.serial = "y" * 100
    assert options_of(device.get("/3/0/2", block2=0x11))[4] != before


def test_a_block_behind_the_end_is_a_bad_request(device):
    device.serial = "x" * 32
    assert device.get("/3/0/2", block2=0x10).code == CONTENT
    assert device.get("/3/0/2", block2=0x20).code == BAD_REQUEST


def test_the_device_bounds_the_block_size(make_device):
    device = make_device(max_szx=0)
    device.serial = "x" * 40
    assert options_of(device.get("/3/0/2"))[23] == b"\x08"
    assert options_of(device.get("/3/0/2", block2=6))[23] == b"\x08"


# -- Observe


def test_observe_and_what_is_notified_in_which_order(device):
    """SPEC 3.1: 12 before 5 before 3, and no observer of the State reads a stale Result."""
    for token, path in ((b"s", "/5/0/3"), (b"r", "/5/0/5"), (b"c", "/5/0/12")):
        answer = device.get(path, token=token, observe=0)
        assert (answer.code, 6 in options_of(answer)) == (CONTENT, True)
    device.put("/5/0/1", b"coap://h/fw")
    device.notified.clear()
    device.host.wall = 1_700_000_001.0
    device.host.report(TransferFailed(UpdateResult.CONNECTION_LOST, "gone"))
    assert [(token, answer.payload) for token, answer in device.notified] == [
        (b"c", b"1700000001"),
        (b"r", b"4"),
        (b"s", b"0"),
    ]


def test_notifications_carry_an_ascending_number_and_a_format(device):
    first = device.get("/5/0/3", observe=0, accept=TLV)
    device.put("/5/0/1", b"coap://h/fw")
    device.put("/5/0/1", b"")
    answers = [first, *(answer for _, answer in device.notified)]
    numbers = [int.from_bytes(options_of(answer)[6], "big") for answer in answers]
    assert numbers == sorted(set(numbers))
    assert [answer.payload.hex() for answer in answers] == ["c10300", "c10301", "c10300"]
    assert all(options_of(answer)[12] == TLV.to_bytes(2, "big") for answer in answers)
    assert all(answer.code == CONTENT for answer in answers)


def test_an_observed_instance_hears_of_its_resources(device):
    device.get("/5/0", observe=0, accept=TLV)
    device.put("/5/0/11", b"2")
    ((_, answer),) = device.notified
    assert "c10b02" in answer.payload.hex()


def test_cancel(device):
    device.get("/5/0/3", token=b"a", observe=0)
    answer = device.get("/5/0/3", token=b"a", observe=1)
    assert (answer.code, 6 in options_of(answer), answer.payload) == (CONTENT, False, b"0")
    device.put("/5/0/1", b"coap://h/fw")
    assert device.notified == []


def test_cancelling_with_another_token_or_from_elsewhere_leaves_it(device):
    device.get("/5/0/3", token=b"a", observe=0)
    device.get("/5/0/3", token=b"b", observe=1)
    device.get("/5/0/3", token=b"a", observe=1, peer="another")
    assert len(device.dispatcher.observers) == 1


def test_one_observer_too_many_gets_a_plain_answer(make_device):
    device = make_device(max_observers=1)
    assert 6 in options_of(device.get("/5/0/3", token=b"a", observe=0))
    answer = device.get("/5/0/5", token=b"b", observe=0)
    assert (answer.code, 6 in options_of(answer), len(device.dispatcher.observers)) == (CONTENT, False, 1)


@pytest.mark.parametrize("more", [{"observe": 2}, {"observe": 0, "accept": LINK}, {"observe": 0, "accept": OPAQUE}])
def test_what_is_no_observation(device, more):
    assert 6 not in options_of(device.get("/5/0/3", **more))
    assert len(device.dispatcher.observers) == 0


def test_a_later_block_observes_nothing(device):
    device.serial = "x" * 100
    assert 6 not in options_of(device.get("/3/0/2", observe=0, block2=0x12))
    assert 6 in options_of(device.get("/3/0/2", observe=0, block2=0x02))


def test_a_long_notification_begins_with_its_first_block(make_device):
    device = make_device(max_szx=0)
    device.get("/5/0", observe=0, accept=TLV)
    device.put("/5/0/11", b"2")
    ((_, answer),) = device.notified
    options = options_of(answer)
    assert (options[23], len(options[4]), len(answer.payload)) == (b"\x08", 4, 16)
    rest = device.get("/5/0", accept=TLV, block2=0x10)
    assert (options_of(rest)[4], rest.payload[:1]) == (options[4], bytes.fromhex(INSTANCE_TLV)[16:17])


# -- settings


@pytest.mark.parametrize(
    "settings",
    [
        {"gathered_bytes": -1},
        {"max_observers": 0},
        {"max_body_bytes": -1},
        {"max_streamed_bytes": -1},
        {"max_szx": 7},
        {"max_szx": -1},
        {"default_format": ContentFormat.TEXT},
        {"default_format": ContentFormat.CBOR},
        {"default_format": ContentFormat.SENML_ETCH_CBOR},
        {"default_format": ContentFormat.OMA_JSON},
        {"formats": ()},
        {"formats": (ContentFormat.TEXT, ContentFormat.SENML_CBOR)},
        {"formats": (ContentFormat.TEXT, ContentFormat.OPAQUE, ContentFormat.TLV)},
    ],
)
def test_settings_that_make_no_sense(settings):
    with pytest.raises(UsageError):
        DispatchSettings(**settings)


def test_a_device_that_speaks_few_formats_refuses_the_others(make_device):
    spoken = (ContentFormat.TEXT, ContentFormat.OPAQUE, ContentFormat.TLV)
    device = make_device(FirmwareProfile(), formats=spoken, default_format=ContentFormat.TLV)
    assert device.dispatcher.object_links().startswith(b'</>;rt="oma.lwm2m";ct=11542,')
    assert device.get("/3/0").options == ((12, b"\x2d\x16"),)
    assert device.get("/3/0", accept=TLV).code == CONTENT
    assert device.get("/3/0", accept=LINK).code == CONTENT  # links are no values
    assert device.get("/3/0", accept=SENML).code == NOT_ACCEPTABLE
    assert device.post("/1/0", bytes.fromhex("c1015a"), content_format=TLV).code == CHANGED
    assert device.lifetime == 90
    assert device.post("/1/0", b"\x80", content_format=SENML).code == UNSUPPORTED
    assert device.fetch(b"\x80").code == UNSUPPORTED


def test_a_device_without_composite_operations(make_device):
    device = make_device(FirmwareProfile(), composite=False)
    paths = bytes.fromhex("81a100") + b"\x66/3/0/2"
    assert device.fetch(paths).code == NOT_ALLOWED
    assert device.ipatch(b"\x80").code == NOT_ALLOWED
