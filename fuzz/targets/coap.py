"""Messages, their options, URIs, and an endpoint that a stranger talks to."""

import random
from typing import Final

import attrs

from fuzz.target import chunks, joined, target
from lwm2m_fota.coap.block import Block
from lwm2m_fota.coap.calls import Request, Response, Shrink, Stream
from lwm2m_fota.coap.endpoint import Endpoint, EndpointLimits
from lwm2m_fota.coap.events import BlockArrived, BlockWanted, BodyWanted, RequestReceived
from lwm2m_fota.coap.message import Message, decode, decode_options, encode, encode_options, sort_options
from lwm2m_fota.coap.missing import ListForm, pack_missing, unpack_missing
from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.coap.qrequests import read_asked, unmixed
from lwm2m_fota.coap.stream import StreamConnection, StreamLimits
from lwm2m_fota.coap.stream_frames import FrameReader, frame_of
from lwm2m_fota.coap.uri import parse_uri

_MESSAGES: Final = {
    "first block of a PUT": bytes.fromhex("41030001a1b13501300130112ad1020ad114c8ff") + bytes(64),
    "2.31": bytes.fromhex("615f0001a1d10e0a"),
    "4.13 with Block1 and Size1": bytes.fromhex("618d0001a1d10e09d314010000"),
    "GET with Block2 and Size2": bytes.fromhex("41010010b0b26677c10650"),
    "2.05 with ETag and Block2": bytes.fromhex("61450010b0420102d106085128ff") + b"\xab" * 16,
    "Execute": bytes.fromhex("41020020c0b13501300132"),
    "Execute with arguments": bytes.fromhex("41020023c3b533333632390130013210ff303d273c2f33333632392f313e27"),
    "PUT with Q-Block1": bytes.fromhex("51030030d0b13501300130112a7108d11c28d1db01ff") + bytes(16),
    "missing blocks": bytes.fromhex("51880031d9c20110ff020507"),
    "acknowledgement": bytes.fromhex("6000a1b2"),
    "reset": bytes.fromhex("7000a1b2"),
}


@target(_MESSAGES)
def coap_message(data: bytes) -> None:
    """What is read is the same when it is written and read again."""
    message = decode(data)
    assert decode(encode(message)) == message
    assert str(message)


@target({"several": bytes.fromhex("b135013001336104d10a1e"), "long": b"\xbe\x00\x02" + bytes(271), "none": b""})
def coap_options(data: bytes) -> None:
    """Options come in their order, and are written as they were meant."""
    options, at = decode_options(data, 0)
    assert options == sort_options(options)
    assert at <= len(data)
    out = bytearray()
    encode_options(out, options)
    assert decode_options(bytes(out), 0)[0] == options


@target({"none": b"", "one byte": b"\x0e", "two": b"\x12\x3e", "three": b"\xff\xff\xf6"})
def coap_block_option(data: bytes) -> None:
    """A block lies within what numbers can reach."""
    block = Block.decode(data)
    assert Block.decode(block.encode()) == block
    assert block.size in {16, 32, 64, 128, 256, 512, 1024}
    assert block.offset == block.num * block.size


@target(
    {"a set": b"\x0e", "missing": joined(b"\x16", b"\x26", b"\x4e"), "far": joined(b"\xff\xff\xe6", b"\xff\xff\xfe")}
)
def coap_missing_blocks(data: bytes) -> None:
    """Whatever is asked for, it is a set of blocks at most, ascending, of the body."""
    wanted = chunks(data)[:64] or [b""]
    message = Message(1, 1, 7, b"t", sort_options([(31, each) for each in wanted]), b"")
    unmixed(message)
    asked, q = read_asked(message), QBlock()
    for count in (1, 12, 1000):
        numbers = asked.numbers(q, count)
        assert numbers == sorted(set(numbers))
        assert len(numbers) <= q.max_payloads
        assert all(0 <= each < count for each in numbers)


@target({"some": bytes.fromhex("020507181819012c"), "far": bytes.fromhex("1a000ffffe1a000fffff")})
def coap_missing_list(data: bytes) -> None:
    """A list of missing blocks is the same when it is written and read again."""
    numbers = unpack_missing(data)
    packed = pack_missing(numbers)
    assert numbers[: len(unpack_missing(packed, ListForm.STRICT))] == unpack_missing(packed, ListForm.STRICT)


_FRAMES: Final = {
    "messages": b"".join(frame_of(each) for each in _MESSAGES.values()),
    "capabilities": bytes.fromhex("40e122090020"),
    "ping and release": bytes.fromhex("01e27f01e47f"),
    "long": frame_of(b"\x50\x01\0\0\xff" + bytes(300)),
}


@target(_FRAMES)
def coap_frames(data: bytes) -> None:
    """A stream is cut into the same messages however it arrives."""
    whole = FrameReader(5000).feed(data)
    cut, reader = [], FrameReader(5000)
    for at in range(0, len(data), 7):
        cut += reader.feed(data[at : at + 7])
    assert cut == whole
    assert FrameReader(5000).feed(b"".join(map(frame_of, whole))) == whole


@target({name: bytes.fromhex("40e122090020") + data for name, data in _FRAMES.items()})
def coap_stream(data: bytes) -> None:
    """A connection takes a stream, or ends with a reason; what it sends are messages."""
    connection = StreamConnection(StreamLimits(), initiator=False, now=0.0)
    for at in range(0, len(data), 50):
        connection.feed(data[at : at + 50], 1.0)
    for each in FrameReader(1 << 20).feed(b"".join(connection.take_output())):
        decode(each)
    if not connection.has_ended():
        connection.handle_timeout(connection.due())
        connection.take_output()


class _Seeded:
    """Entropy from a seed."""

    def __init__(self) -> None:
        self._chance = random.Random(7)

    def token(self, size_bytes: int) -> bytes:
        return self._chance.randbytes(size_bytes)

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


class _Body:
    """A body of some blocks."""

    size_bytes = 5000

    def block(self, offset: int, length: int) -> bytes:
        return bytes(offset + length)[offset:]


_LIMITS: Final = EndpointLimits(peers=4, exchanges_per_peer=4, calls_per_peer=4, queued_per_peer=4, q_block=QBlock())
_TURNS: Final = 40


def _act(endpoint: Endpoint, now: float) -> None:
    """Give what is asked for."""
    for event in endpoint.take_events():
        match event:
            case RequestReceived():
                endpoint.respond(event.exchange, _response(event.message), now)
            case BodyWanted():
                endpoint.give(event, bytes(event.length), now)
            case BlockWanted():
                endpoint.supply(event.call, bytes(event.length), now)
            case BlockArrived():
                endpoint.proceed(event.call, now)
            case _:
                pass


def _response(request: Message) -> Response:
    value = request.first(27)
    if value:
        block1 = Block.decode(value)
        last = attrs.evolve(block1, num=block1.num + request.blocks - 1)
        return Response(0x5F if last.more else 0x44, ((27, last.encode()),))
    if any(number in {23, 31} for number, _ in request.options):
        return Response(0x45, _FIRST, bytes(64), body=_Body())
    return Response(0x45, payload=b"x")


def _talk(data: bytes, endpoint: Endpoint) -> None:
    """Feed the datagrams, give what is asked for, and let time pass."""
    now = 0.0
    _act(endpoint, now)
    for datagram in chunks(data)[:_TURNS]:
        now += 0.5
        endpoint.receive(datagram, "peer", now)
        _act(endpoint, now)
        for sent, _ in endpoint.take_datagrams():
            decode(sent)
    former = [-2.0, -1.0]
    for _ in range(_TURNS):
        deadline = endpoint.next_deadline()
        if deadline is None:
            return
        assert former[0] < deadline >= former[1], "the endpoint turns round and round"  # one look may be too early
        former = [former[1], deadline]
        endpoint.handle_timeout(deadline)
        _act(endpoint, deadline)
        endpoint.take_datagrams()


_FIRST: Final = ((4, b"e"), (23, b"\x0a"), (28, b"\x13\x88"))  # a block of 64 bytes, of 5000


def _server() -> Endpoint:
    return Endpoint(entropy=_Seeded(), limits=_LIMITS, parameters=TransmissionParameters(nstart=4))


def _client() -> Endpoint:
    """One that waits for the answers to a request of each kind."""
    endpoint = _server()
    endpoint.request("peer", Request(1, ((11, b"a"),), confirmable=False), 0.0)
    endpoint.request("peer", Request(1, ((11, b"b"),), observe=True, confirmable=False), 0.0)
    endpoint.request("peer", Request(3, ((11, b"c"),), bytes(200), szx=2), 0.0)
    endpoint.request("peer", Request(1, ((11, b"d"),), confirmable=False), 0.0, body=Stream(window=2))
    return endpoint


def _puller() -> Endpoint:
    """One that fetches a body by several requests at a time."""
    endpoint = _server()
    stream = Stream(szx=2, window=4, shrink=Shrink(losses=1))
    endpoint.request("peer", Request(1, ((11, b"f"),)), 0.0, body=stream)
    return endpoint


def _set_puller() -> Endpoint:
    """One that fetches a body by sets of blocks."""
    endpoint = _server()
    endpoint.request("peer", Request(1, ((11, b"f"),)), 0.0, body=Stream(szx=2, q_block=QBlock(max_payloads=4)))
    return endpoint


def _pusher() -> Endpoint:
    """One that sends a body block by block, in smaller ones once some are lost."""
    endpoint = _server()
    endpoint.request("peer", Request(3, ((11, b"f"),), bytes(1500), szx=2, shrink=Shrink(losses=1)), 0.0)
    return endpoint


def _set_pusher() -> Endpoint:
    """One that sends a body by sets of blocks."""
    endpoint = _server()
    request = Request(3, ((11, b"f"),), source_bytes=1500, szx=2, q_block=QBlock(max_payloads=4))
    endpoint.request("peer", request, 0.0)
    return endpoint


def _recorded(caller: Endpoint) -> tuple[bytes, bytes]:
    """What the two ends of a transfer have sent: who began it, and who answered."""
    server, now = _server(), 0.0
    up: list[bytes] = []
    down: list[bytes] = []
    _act(caller, now)
    while datagrams := caller.take_datagrams():
        now += 0.5
        for data, _ in datagrams:
            up.append(data)
            server.receive(data, "peer", now)
            _act(server, now)
        for data, _ in server.take_datagrams():
            down.append(data)
            caller.receive(data, "peer", now)
            _act(caller, now)
    return joined(*up), joined(*down)


def _asked() -> list[Message]:
    """What it has sent, in this order."""
    return [decode(data) for data, _ in _client().take_datagrams()]


def _answer(number: int, code: int, *options: tuple[int, bytes], payload: bytes = b"") -> bytes:
    request = _asked()[number]
    kind, mid = (2, request.mid) if request.type == 0 else (1, 900 + len(payload))
    return encode(Message(kind, code, mid, request.token, sort_options(options), payload))


def _request(code: int, mid: int, *options: tuple[int, bytes], payload: bytes = b"", kind: int = 0) -> bytes:
    return encode(Message(kind, code, mid, b"\x11", sort_options(((11, b"f"), *options)), payload))


@target(
    {
        "a request twice": joined(_request(1, 5), _request(1, 5), _request(1, 6)),
        "a body in blocks": joined(*(_request(1, 7 + each, (23, bytes([each << 4 | 2]))) for each in range(4))),
        "a body in sets": joined(
            _request(1, 7, (31, b"\x0a"), kind=1), _request(1, 8, (31, b"\x12"), (31, b"\x32"), kind=1)
        ),
        "an upload": joined(
            *(_request(3, 9 + each, (27, bytes([each << 4 | 8])), payload=bytes(16)) for each in range(3))
        ),
        "an upload in sets": joined(
            *(
                _request(3, 9 + each, (19, bytes([each << 4 | 8])), (292, b"r"), payload=bytes(16), kind=1)
                for each in (0, 2)
            )
        ),
        "an observation": joined(_request(1, 5, (6, b"")), _request(1, 6, (6, b"\1")), bytes.fromhex("70000001")),
        "a whole fetch": _recorded(_puller())[0],
        "a whole fetch in sets": _recorded(_set_puller())[0],
        "a whole upload": _recorded(_pusher())[0],
        "a whole upload in sets": _recorded(_set_pusher())[0],
    }
)
def coap_endpoint_asked(data: bytes) -> None:
    """An endpoint that answers a stranger."""
    _talk(data, _server())


@target(
    {
        "answers": joined(_answer(0, 0x45, payload=b"a"), _answer(2, 0x5F, (27, b"\x0a"))),
        "notifications": joined(
            _answer(1, 0x45, (6, b"\1"), payload=b"b"), _answer(1, 0x45, (6, b"\2"), payload=b"bb")
        ),
        "blocks": joined(
            _answer(0, 0x45, (23, b"\x0a"), (4, b"e"), payload=bytes(64)),
            _answer(0, 0x45, (23, b"\x12"), (4, b"e"), payload=bytes(9)),
        ),
        "an upload that ends": joined(_answer(2, 0x8D, (27, b"\x08"), (60, b"\x40")), _answer(2, 0x44)),
        "a reset": joined(encode(Message(3, 0, _asked()[2].mid, b"", (), b""))),
    }
)
def coap_endpoint_asking(data: bytes) -> None:
    """An endpoint that waits for answers of any kind."""
    _talk(data, _client())


_CALLERS: Final = (_puller, _set_puller, _pusher, _set_pusher)


@target(
    {
        "a fetch": b"\0" + _recorded(_puller())[1],
        "a fetch in sets": b"\1" + _recorded(_set_puller())[1],
        "an upload": b"\2" + _recorded(_pusher())[1],
        "an upload in sets": b"\3" + _recorded(_set_pusher())[1],
    }
)
def coap_endpoint_transfers(data: bytes) -> None:
    """An endpoint that fetches or sends a body, in each of the ways; the first byte says which."""
    _talk(data[1:], _CALLERS[data[0] % len(_CALLERS)]() if data else _puller())


@target(
    {
        "a package": b"coap://[2001:db8::1]:5684/fw/a%20b.bin?v=1&x=%26",
        "a name": b"coaps+tcp://updates.example.com/firmware",
        "an address": b"coap+tcp://192.0.2.1",
    }
)
def coap_uri(data: bytes) -> None:
    """A URI becomes options that a message can carry."""
    uri = parse_uri(data.decode("utf-8", "surrogateescape"))
    encode(Message(0, 1, 1, b"", sort_options(uri.request_options()), b""))
