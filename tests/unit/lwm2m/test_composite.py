"""Read-, Observe- and Write-Composite through the dispatcher (LwM2M Core 1.2, 6.3.8 to 6.4.5)."""

import pytest

from lwm2m_fota import cbor
from lwm2m_fota.content.codec import decode, encode_paths
from lwm2m_fota.errors import StorageError
from lwm2m_fota.lwm2m.dispatch import Dispatcher
from lwm2m_fota.lwm2m.places import TransferLimits
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.model.formats import ContentFormat
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import standard_definitions

TEXT, CBOR, SENML_JSON, SENML_CBOR, ETCH_JSON, ETCH_CBOR = 0, 60, 110, 112, 320, 322
TLV, LWM2M_CBOR = 11542, 11544
CHANGED, CONTENT, CONTINUE = 0x44, 0x45, 0x5F
BAD_REQUEST, UNAUTHORIZED, NOT_FOUND, NOT_ALLOWED, NOT_ACCEPTABLE, UNSUPPORTED = 0x80, 0x81, 0x84, 0x85, 0x86, 0x8F
PAIR = bytes.fromhex("82a100662f352f302f33a100662f352f302f35")  # SPEC 7: /5/0/3 and /5/0/5


def paths(*texts, content_format=SENML_CBOR):
    return encode_paths([Path.parse(text) for text in texts], content_format)


def values(answer):
    number = int.from_bytes(dict(answer.options)[12], "big")
    entries = decode(answer.payload, number, Path(()), standard_definitions())
    return {str(path): value for path, value in entries}


def patch(*pairs):
    """SenML CBOR."""
    labels = {bool: 4, int: 2, str: 3, bytes: 8}
    return cbor.dumps([{0: path, labels[type(value)]: value} for path, value in pairs])


# -- Read-Composite


def test_the_vector(device):
    answer = device.fetch(PAIR)
    assert (answer.code, dict(answer.options)) == (CONTENT, {12: b"\x70"})
    assert answer.payload.hex() == "82a200662f352f302f330200a200662f352f302f350200"


@pytest.mark.parametrize("content_format", [SENML_JSON, SENML_CBOR, ETCH_JSON, ETCH_CBOR])
@pytest.mark.parametrize("accept", [SENML_JSON, SENML_CBOR, LWM2M_CBOR])
def test_every_format_asks_and_answers(device, content_format, accept):
    payload = paths("/5/0/3", "/3/0/2", "/1/0/1", content_format=content_format)
    answer = device.fetch(payload, content_format=content_format, accept=accept)
    assert (answer.code, int.from_bytes(dict(answer.options)[12], "big")) == (CONTENT, accept)
    assert values(answer) == {"/5/0/3": 0, "/3/0/2": "42", "/1/0/1": 60}


def test_objects_instances_resources_and_their_instances(device):
    found = values(device.fetch(paths("/1", "/3/0", "/5/0/3", "/5/0/8/0")))
    assert found == {
        "/1/0/0": 1,
        "/1/0/1": 60,
        "/1/0/7": "U",
        "/3/0/2": "42",
        "/3/0/11/0": 0,
        "/3/0/11/1": 3,
        "/5/0/3": 0,
        "/5/0/8/0": 0,
    }


def test_paths_that_lie_within_each_other_are_answered_once(device):
    assert values(device.fetch(paths("/3", "/3/0/2", "/3/0/2", "/3/0/11/1"))) == {
        "/3/0/2": "42",
        "/3/0/11/0": 0,
        "/3/0/11/1": 3,
    }


def test_the_root_is_every_object_but_security(device):
    found = values(device.fetch(paths("/")))
    assert {path.split("/")[1] for path in found} == {"1", "3", "5"}
    assert len(found) == 3 + 3 + 10


def test_what_cannot_be_read_is_left_out(device):
    found = values(device.fetch(paths("/0/0/0", "/9/0", "/5/0/2", "/5/0/0", "/5/7/3", "/5/0/3")))
    assert found == {"/5/0/3": 0}


@pytest.mark.parametrize(
    ("only", "code"),
    [
        ("/9/0", NOT_FOUND),
        ("/5/0/4", NOT_FOUND),
        ("/5/0/2", NOT_ALLOWED),
        ("/0", UNAUTHORIZED),
        ("/5/0/3/0", NOT_FOUND),
    ],
)
def test_where_nothing_can_be_read_the_first_reason_is_told(device, only, code):
    assert device.fetch(paths(only, "/77/0/1")).code == code


@pytest.mark.parametrize(
    ("content_format", "payload"),
    [(SENML_CBOR, b"\x80"), (SENML_CBOR, b"\x9f\xff"), (SENML_JSON, b"[]"), (ETCH_CBOR, b"\x80"), (ETCH_JSON, b"[ ]")],
)
@pytest.mark.parametrize("more", [{}, {"observe": 0}, {"observe": 1}])
def test_who_asks_for_nothing_is_refused(device, content_format, payload, more):
    assert device.fetch(payload, content_format=content_format, **more).code == BAD_REQUEST
    assert len(device.dispatcher.observers) == 0


@pytest.mark.parametrize("accept", [TEXT, CBOR, TLV, 40, ETCH_CBOR, 11543])
def test_formats_that_cannot_answer(device, accept):
    assert device.fetch(PAIR, accept=accept).code == NOT_ACCEPTABLE


@pytest.mark.parametrize("content_format", [TEXT, CBOR, TLV, LWM2M_CBOR, 11543, 9999])
def test_formats_that_cannot_ask(device, content_format):
    assert device.fetch(PAIR, content_format=content_format).code == UNSUPPORTED


def test_a_content_format_is_stated(device):
    assert device.ask(5, "", PAIR).code == UNSUPPORTED
    assert device.ask(7, "", PAIR).code == UNSUPPORTED


@pytest.mark.parametrize("payload", [b"", b"\x81", b"\xff", b"\x05", patch(("/5/0/3", 1))])
def test_what_asks_for_nothing_sensible(device, payload):
    assert device.fetch(payload).code == BAD_REQUEST


@pytest.mark.parametrize("code", [5, 7])
def test_only_at_the_root(device, code):
    for path in ("/5", "/5/0/3", "/"):  # the last one has an empty segment
        assert device.ask(code, path, PAIR, content_format=SENML_CBOR).code == NOT_ALLOWED


def test_a_device_of_lwm2m_1_0_that_prefers_tlv_answers_several_paths_in_senml(make_device):
    device = make_device(default_format=ContentFormat.TLV)
    assert dict(device.fetch(PAIR).options)[12] == b"\x70"
    device = make_device(default_format=ContentFormat.LWM2M_CBOR)
    assert device.fetch(PAIR).payload.hex() == "a1820500a203000500"


# -- in blocks


def test_a_long_answer_in_blocks_with_the_paths_or_without(device):
    """A peer may send the paths with every request for a block, or with the first alone."""
    device.serial = "x" * 100
    whole = device.fetch(paths("/3/0/2", "/5/0/3")).payload
    for repeat in (True, False):
        body, num, more = b"", 0, True
        while more:
            payload = paths("/3/0/2", "/5/0/3") if repeat or not num else b""
            answer = device.fetch(payload, block2=num << 4 | 1)
            assert answer.code == CONTENT
            body += answer.payload
            more, num = bool(dict(answer.options)[23][-1] & 8), num + 1
        assert body == whole
        assert num == 4


def test_a_later_block_of_nothing(device):
    assert device.fetch(b"", block2=0x11).code == BAD_REQUEST


def test_paths_of_few_peers_are_kept(make_device):
    device = make_device(transfers=TransferLimits(in_all=2))
    device.serial = "x" * 100
    for peer in "abc":
        assert device.fetch(paths("/3/0/2"), peer=peer, block2=1).code == CONTENT
    codes = [device.fetch(b"", peer=peer, block2=0x11).code for peer in "abc"]
    assert codes == [BAD_REQUEST, CONTENT, CONTENT]


def test_a_long_request_in_blocks(device):
    payload = paths("/5/0/3", "/5/0/5", "/3/0/2", "/1/0/1")
    codes = []
    for num in range(3):
        part = payload[num * 16 : num * 16 + 16]
        answer = device.fetch(part, block1=num << 4 | (num < 2) << 3)
        codes.append(answer.code)
    assert codes == [CONTINUE, CONTINUE, CONTENT]
    assert dict(answer.options)[27] == b"\x20"
    assert values(answer) == {"/5/0/3": 0, "/5/0/5": 0, "/3/0/2": "42", "/1/0/1": 60}
    again = device.fetch(payload[32:], block1=0x20)
    assert (again.code, again.payload) == (CONTENT, answer.payload)


def test_a_long_request_that_is_refused_is_refused_again(device):
    payload = paths("/9/0/3", "/9/0/5")
    assert device.fetch(payload[:16], block1=0x08).code == CONTINUE
    assert device.fetch(payload[16:], block1=0x10).code == NOT_FOUND
    assert device.fetch(payload[16:], block1=0x10).code == NOT_FOUND


def test_requests_are_bounded(make_device):
    device = make_device(max_body_bytes=32)
    assert device.fetch(b"x" * 32, block1=0x09).code == CONTINUE
    assert device.fetch(b"x" * 32, block1=0x19).code == 0x8D


# -- Observe-Composite


def test_every_path_is_told_whichever_changes(device):
    answer = device.fetch(PAIR, observe=0, token=b"o")
    assert dict(answer.options)[6] == b"\x01"
    assert values(answer) == {"/5/0/3": 0, "/5/0/5": 0}
    device.put("/5/0/1", b"coap://h/fw")
    device.put("/5/0/11", b"2")  # not observed
    ((token, told),) = device.notified
    assert (token, told.code, values(told)) == (b"o", CONTENT, {"/5/0/3": 1, "/5/0/5": 0})


def test_notifications_keep_the_format_that_was_asked_for(device):
    device.fetch(PAIR, observe=0, accept=LWM2M_CBOR)
    device.put("/5/0/1", b"coap://h/fw")
    ((_, told),) = device.notified
    assert told.payload.hex() == "a1820500a203010500"


def test_the_observation_is_cancelled_by_token(device):
    device.fetch(PAIR, observe=0, token=b"o")
    answer = device.fetch(PAIR, observe=1, token=b"o")
    assert (answer.code, 6 in dict(answer.options)) == (CONTENT, False)
    device.put("/5/0/1", b"coap://h/fw")
    assert device.notified == []


def test_its_own_attributes_count_in_place_of_attached_ones(device):
    device.attach("/5/0", "pmin=50")
    device.fetch(PAIR, observe=0, options=[(15, b"pmin=10"), (15, b"x=1")])
    device.now = 1.0
    device.put("/5/0/1", b"coap://h/fw")
    assert (device.notified, device.dispatcher.next_deadline()) == ([], 10.0)
    device.now = 10.0
    device.notify()
    assert len(device.notified) == 1


def test_attached_attributes_of_its_paths_are_put_together(device):
    """As rare as the rarest path wants, at the shortest of the longest periods."""
    device.attach("/5/0/3", "pmin=5", "pmax=100", "con=0")
    device.attach("/5/0/5", "pmin=8", "pmax=50", "con=1")
    device.fetch(PAIR, observe=0)
    assert device.dispatcher.next_deadline() == 50.0
    device.now = 1.0
    device.put("/5/0/1", b"coap://h/fw")
    assert device.dispatcher.next_deadline() == 8.0
    (notification,) = device.dispatcher.notifications(8.0)
    assert notification.confirmable


def test_thresholds_count_for_their_own_path(device):
    device.attach("/5/0/3", "gt=1")
    device.fetch(PAIR, observe=0)
    device.put("/5/0/1", b"coap://h/fw")  # State 1
    assert device.notified == []
    device.put("/5/0/1", b"")
    device.put("/5/0/0", b"image", content_format=42)  # State 2
    assert [values(told) for _, told in device.notified] == [{"/5/0/3": 2, "/5/0/5": 0}]


@pytest.mark.parametrize("query", [b"pmin=x", b"gt=1", b"epmin=5&", b"pmin"])
def test_attributes_that_an_observation_of_several_paths_cannot_have(device, query):
    code = CONTENT if query == b"pmin" else BAD_REQUEST
    assert device.fetch(paths("/5/0", "/3/0"), observe=0, options=[(15, query)]).code == code


# -- Write-Composite


@pytest.mark.parametrize(
    ("content_format", "payload"),
    [
        (SENML_CBOR, patch(("/5/0/11", 2), ("/5/0/13", 86400), ("/1/0/1", 300))),
        (ETCH_CBOR, patch(("/5/0/11", 2), ("/5/0/13", 86400), ("/1/0/1", 300))),
        (SENML_JSON, b'[{"bn":"/5/0/","n":"11","v":2},{"n":"13","v":86400},{"bn":"","n":"/1/0/1","v":300}]'),
        (ETCH_JSON, b'[{"bn":"/5/0/","n":"11","v":2},{"n":"13","v":86400},{"bn":"","n":"/1/0/1","v":300}]'),
        (LWM2M_CBOR, cbor.dumps({(5, 0): {11: 2, 13: 86400}, (1, 0, 1): 300})),
    ],
)
def test_several_objects_are_written_at_once(device, content_format, payload):
    assert device.ipatch(payload, content_format=content_format).code == CHANGED
    assert device.lifetime == 300
    settings = device.host.firmware.machine.settings
    assert (int(settings.severity), settings.max_defer_s) == (2, 86400)


@pytest.mark.parametrize(
    ("pairs", "code"),
    [
        ([("/1/0/1", 300), ("/9/0/1", 1)], NOT_FOUND),
        ([("/1/0/1", 300), ("/5/1/11", 1)], NOT_FOUND),
        ([("/1/0/1", 300), ("/5/0/14", True)], NOT_FOUND),  # of object version 1.2
        ([("/1/0/1", 300), ("/0/0/0", "coap://x")], UNAUTHORIZED),
        ([("/1/0/1", 300), ("/5/0/3", 1)], NOT_ALLOWED),
        ([("/1/0/1", 300), ("/3/0/2", "43")], NOT_ALLOWED),
        ([("/1/0/1", 300), ("/5/0/11", 3)], BAD_REQUEST),
        ([("/1/0/1", 300), ("/5/0/0", b"image"), ("/5/0/11", 2)], BAD_REQUEST),
        ([("/1/0/1", 300), ("/5/0/2", 1)], NOT_ALLOWED),  # it is executed
        ([], BAD_REQUEST),
    ],
)
def test_all_or_nothing(device, pairs, code):
    machine = device.host.firmware.machine
    assert device.ipatch(patch(*pairs)).code == code
    assert (device.lifetime, device.host.firmware.machine, device.host.effects) == (60, machine, [])


def test_what_the_state_does_not_allow_is_found_before_the_first_is_written(device):
    device.put("/5/0/1", b"coap://h/fw")
    answer = device.ipatch(patch(("/1/0/1", 300), ("/5/0/1", "coap://h/other")))
    assert answer.code >> 5 == 4
    assert (device.lifetime, device.get("/5/0/1").payload) == (60, b"coap://h/fw")


def test_an_object_that_fails_after_all_is_told(device):
    device.host.failure = StorageError("worn out")
    assert device.ipatch(patch(("/5/0/0", b"image"))).code == 0xA0


def test_a_writer_that_refuses_is_told(device):
    assert device.ipatch(patch(("/1/0/1", 13))).code == BAD_REQUEST


def test_an_object_may_refuse_by_its_answer(make_device):
    device = make_device()
    host = device.host
    host.handle = lambda operation, now: host.firmware.handle(operation, 0.0).answer
    device.dispatcher = Dispatcher((device.account, Unchecked(host)))
    device.put("/5/0/1", b"coap://h/fw")
    assert device.ipatch(patch(("/5/0/1", "coap://h/other"), ("/1/0/1", 300))).code >> 5 == 4
    assert device.lifetime == 60


class Unchecked:
    """An object without `check`."""

    def __init__(self, host):
        self.definition = host.definition
        self.instances = host.instances
        self.resources = host.resources
        self.streams = host.streams
        self.handle = host.handle


@pytest.mark.parametrize("content_format", [TEXT, CBOR, TLV, 11543, 9999])
def test_formats_that_do_not_write_several(device, content_format):
    assert device.ipatch(patch(("/5/0/11", 2)), content_format=content_format).code == UNSUPPORTED


def test_nothing_is_removed(device):
    payload = cbor.dumps([{0: "/5/0/11", 2: None}])
    assert device.ipatch(payload, content_format=ETCH_CBOR).code == NOT_ALLOWED


def test_a_package_by_write_composite(make_device):
    device = make_device(FirmwareProfile(version="1.2"))
    assert device.ipatch(patch(("/5/0/0", b"image"), ("/1/0/1", 90))).code == CHANGED
    assert (device.host.staged, device.lifetime) == (b"image", 90)


def test_a_long_write_in_blocks(device):
    payload = patch(("/5/0/11", 2), ("/1/0/7", "U" * 40), ("/1/0/1", 300))
    last = -(-len(payload) // 32) - 1
    codes = [
        device.ipatch(payload[num * 32 : num * 32 + 32], block1=num << 4 | (num < last) << 3 | 1).code
        for num in range(last + 1)
    ]
    assert codes == [CONTINUE] * last + [CHANGED]
    assert device.lifetime == 300
