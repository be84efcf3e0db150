"""The dispatcher against whatever a peer may send: it answers, it bounds, it mixes nothing up."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.coap.message import Message, decode, encode, pack_uint, sort_options
from lwm2m_fota.errors import MessageFormatError
from lwm2m_fota.lwm2m.dispatch import Dispatcher, DispatchSettings
from lwm2m_fota.lwm2m.places import TransferLimits
from lwm2m_fota.lwm2m.value_object import ValueObject
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.model.device import DEVICE
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.server import SERVER

SETTINGS = DispatchSettings(
    transfers=TransferLimits(in_all=3, idle_s=0.0),
    max_observers=3,
    max_body_bytes=200,
    gathered_bytes=300,
    max_streamed_bytes=400,
)
CHANGED, CONTINUE = 0x44, 0x5F


@pytest.fixture(scope="module")
def build(firmware_host):
    """A device with its host."""

    def make():
        host = firmware_host(FirmwareProfile(version="1.2"))
        written = {}
        account = ValueObject(
            definition=SERVER,
            readers={1: lambda: 60, 7: lambda: "U" * 70},
            writers={1: lambda value: written.update({1: value}), 7: lambda value: written.update({7: value})},
            executors={8: lambda _: None},
        )
        device = ValueObject(definition=DEVICE, readers={11: lambda: {0: 0}}, executors={4: lambda _: None})
        return Dispatcher((account, device, host), SETTINGS), host, written

    return make


methods = st.sampled_from((1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 31))
segments = st.sampled_from(
    (b"5", b"3", b"1", b"0", b"2", b"11", b"8", b"13", b"65535", b"", b"x", b"5/0", b"\xff", b"00")
)
paths = st.one_of(
    st.sampled_from(
        [tuple(part.encode() for part in path.split("/")) for path in ("5/0/0", "5/0/1", "5/0/3", "5/0", "1/0/7", "5")]
    ),
    st.just(()),
    st.lists(segments, max_size=5).map(tuple),
)
blocks = st.one_of(st.integers(0, 0x7F), st.integers(0, 0xFFFFFF)).map(pack_uint)
formats = st.sampled_from((0, 40, 42, 60, 110, 112, 112, 320, 322, 11542, 11543, 11544, 1542, 9999)).map(pack_uint)
queries = st.sampled_from(
    (b"pmin=5", b"pmax=9", b"gt=1", b"lt=0.5", b"st=1", b"epmin=1", b"con=1", b"depth=3", b"pmin", b"x")
)
option = st.one_of(
    st.tuples(st.sampled_from((23, 27)), blocks),
    st.tuples(st.sampled_from((12, 17)), formats),
    st.tuples(st.just(6), st.integers(0, 2).map(pack_uint)),
    st.tuples(st.just(15), queries),
    st.tuples(st.just(60), st.integers(0, 500).map(pack_uint)),
    st.tuples(st.integers(0, 300), st.binary(max_size=5)),
)
payloads = st.one_of(
    st.binary(max_size=40),
    st.sampled_from((b"\x00", b"", b"60", b"coap://h/f", bytes.fromhex("c10b02c10d05"), bytes(16), bytes(32))),
    st.sampled_from(
        (
            b'[{"n":"/5/0/3"},{"n":"/"}]',
            b'[{"n":"/5/0/11","v":2},{"n":"/1/0/1","v":60}]',
            bytes.fromhex("82a100662f352f302f33a100662f352f302f35"),
            bytes.fromhex("a1820500a10b02"),
        )
    ),
)


@st.composite
def requests(draw):
    options = [(11, segment) for segment in draw(paths)] + draw(st.lists(option, max_size=3))
    return Message(0, draw(methods), 1, draw(st.binary(max_size=2)), sort_options(options), draw(payloads))


traffic = st.lists(st.tuples(st.sampled_from(("a", "b", "c", "d")), requests()), max_size=25)


def check_bounds(dispatcher, host):
    assert len(dispatcher._transfers) <= 3
    assert len(dispatcher.observers) <= 3
    assert len(host.staged) <= 400
    for table in (dispatcher._transfers, dispatcher._composite._bodies._table):
        assert len(table) <= 3
        held = [len(each.body) for each in table._places.values()]
        assert max(held, default=0) <= 200
        assert sum(held) <= 300
    assert len(dispatcher._composite._fetched) <= 3


@given(traffic)
def test_every_request_is_answered_and_everything_stays_in_bounds(build, messages):
    dispatcher, host, _ = build()
    for peer, message in messages:
        answer = dispatcher.handle(message, peer, 0.0)
        assert 2 <= answer.code >> 5 <= 5
        assert list(answer.options) == sorted(answer.options, key=lambda each: each[0])
        assert len(answer.payload) <= 1024
        encode(Message(2, answer.code, 1, message.token, answer.options, answer.payload))
        check_bounds(dispatcher, host)
        dispatcher.changed([Path.of(5, 0, 3), Path.of(1, 0, 1)])
        for notification in dispatcher.notifications(0.0):
            encode(Message(0, notification.response.code, 1, notification.token, notification.response.options))
        assert (dispatcher.next_deadline() or 0.0) >= 0.0


@given(traffic)
def test_what_is_refused_changes_nothing_on_the_device(build, messages):
    dispatcher, host, written = build()
    for peer, message in messages:
        before = host.firmware.machine, dict(written), bytes(host.staged)
        if dispatcher.handle(message, peer, 0.0).code >> 5 != 2:
            assert (host.firmware.machine, written, host.staged) == before


@given(st.lists(st.binary(max_size=80), max_size=5))
def test_random_bytes_as_datagrams(build, datagrams):
    dispatcher, host, _ = build()
    for data in datagrams:
        try:
            message = decode(b"\x40" + data)
        except MessageFormatError:
            continue
        assert dispatcher.handle(message, "peer", 0.0).code >= 0x40
        check_bounds(dispatcher, host)


@given(st.data())
def test_a_package_arrives_whole_whatever_is_repeated_on_the_way(build, data):
    """Blocks in order, each sent one to three times; other requests between them; another peer's gathered body too."""
    dispatcher, host, written = build()
    body = data.draw(st.binary(min_size=2, max_size=300))
    szx = data.draw(st.integers(0, 2))
    size = 16 << szx
    path = tuple((11, part) for part in (b"5", b"0", b"0"))
    other = tuple((11, part) for part in (b"1", b"0", b"7"))
    count = -(-len(body) // size)
    for num in range(count):
        more = num + 1 < count
        block = (27, pack_uint(num << 4 | more << 3 | szx))
        message = Message(0, 3, 1, b"", (*path, (12, b"\x2a"), block), body[num * size : (num + 1) * size])
        # a body of one block may not be repeated: block 0 begins a body, and a complete package refuses another
        for _ in range(data.draw(st.integers(1, 3)) if count > 1 else 1):
            answer = dispatcher.handle(message, "one", 0.0)
            assert (answer.code, answer.options) == (CONTINUE if more else CHANGED, (block,))
        dispatcher.handle(Message(0, 1, 2, b"", ((11, b"5"), (11, b"0"), (11, b"3"))), "one", 0.0)
        if num < 4:
            gathered = (27, pack_uint(num << 4 | (num < 3) << 3))
            dispatcher.handle(Message(0, 3, 3, b"", (*other, gathered), bytes([65 + num]) * 16), "two", 0.0)
    assert host.staged == body
    assert int(host.firmware.machine.state) == 2
    assert written == ({7: "A" * 16 + "B" * 16 + "C" * 16 + "D" * 16} if count > 3 else {})


@given(st.integers(0, 6), st.integers(0, 400), st.integers(0, 2**32))
def test_a_long_answer_is_the_same_in_blocks_of_every_size(build, szx, length, seed):
    text = "".join(random.Random(seed).choices("abc", k=length))
    reader = ValueObject(definition=DEVICE, readers={0: lambda: text})
    dispatcher = Dispatcher((reader,))
    body, num, more = b"", 0, True
    while more:
        options = (*((11, part) for part in (b"3", b"0", b"0")), (23, pack_uint(num << 4 | szx)))
        answer = dispatcher.handle(Message(0, 1, 1, b"", options), "peer", 0.0)
        body += answer.payload
        value = int.from_bytes(dict(answer.options)[23], "big")
        assert (value >> 4, value & 7) == (num, szx)
        more, num = bool(value & 8), num + 1
    assert body.decode() == text
