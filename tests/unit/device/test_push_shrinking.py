"""Smaller blocks in a push where large ones get lost: a device takes them from the offset that it has."""

import pytest

from lwm2m_fota.coap.block1 import Block1Sender
from lwm2m_fota.coap.calls import Shrink
from lwm2m_fota.coap.endpoint import Request
from lwm2m_fota.coap.message import decode
from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.errors import PeerTimeoutError, UsageError
from lwm2m_fota.lwm2m.dispatch import Dispatcher
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.sim.loop import run
from lwm2m_fota.storage.memory import MemoryPackageSource
from lwm2m_fota.transport.memory import MemoryNetwork

PACKAGE = ((11, b"5"), (11, b"0"), (11, b"0"), (12, b"\x2a"))
BODY = bytes(number * 7 % 251 for number in range(12 * 1024))


class Path:
    """Between a server and a device; loses what `loses(datagram, times it was sent)` says, and notes the rest."""

    def __init__(self, inner, loses):
        self._inner, self._loses, self._sent = inner, loses, {}
        self.blocks = []

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def send(self, data, peer):
        times = self._sent[data] = self._sent.get(data, 0) + 1
        value = decode(data).uint(27)
        if value is not None:
            self.blocks.append((value >> 4, value & 8 != 0, 16 << (value & 7)))
        if not self._loses(data, times):
            self._inner.send(data, peer)


def pushing(kit, loses, *, acknowledgements=lambda data, times: False, **fields):
    """What was answered, and the blocks that were sent, as number, M and size."""

    async def main():
        data = kit.signed(BODY)
        board = kit.Board()
        await board.on()
        network = MemoryNetwork()
        path = Path(network.transport("10.0.0.2"), loses)
        server = Pump(path, parameters=TransmissionParameters(ack_timeout_s=0.1))
        device = Pump(Path(network.transport("10.0.0.1", 5683), acknowledgements))
        dispatcher = Dispatcher((board.device,))
        device.on_request = lambda received, now: dispatcher.handle(received.message, received.peer, now)
        await server.open()
        await device.open()
        try:
            peer = await server.resolve("10.0.0.1", 5683)
            request = Request(3, PACKAGE, source_bytes=len(data), **fields)
            answer = await server.upload(peer, request, MemoryPackageSource(data))
            assert board.device.staged_bytes == len(data)
            return answer.code, path.blocks
        finally:
            await server.close()
            await device.close()
            await board.device.stop()

    return run(main())


def sizes(blocks):
    """The sizes, as they change."""
    return [size for at, (_, _, size) in enumerate(blocks) if not at or blocks[at - 1][2] != size]


def over(size, copies=1):
    return lambda data, times: len(data) > size and times <= copies


def test_blocks_that_are_lost_again_and_again_get_smaller(kit):
    code, blocks = pushing(kit, over(300), shrink=Shrink())
    assert (code, sizes(blocks)) == (0x44, [1024, 512, 256])
    at = next(at for at, block in enumerate(blocks) if block[2] == 512)
    assert blocks[at] == (8, True, 512)  # behind four blocks of 1024 bytes
    assert [num for num, _, size in blocks if size == 1024] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_they_get_no_smaller_than_they_may(kit):
    code, blocks = pushing(kit, over(60), shrink=Shrink(losses=1, smallest_szx=4))
    assert (code, sizes(blocks)) == (0x44, [1024, 512, 256])


@pytest.mark.parametrize("shrink", [None, Shrink(losses=10_000)])
def test_without_the_policy_they_stay(kit, shrink):
    code, blocks = pushing(kit, over(300), shrink=shrink)
    assert (code, sizes(blocks)) == (0x44, [1024])


def test_losses_that_do_not_come_in_a_row_change_nothing(kit):
    code, blocks = pushing(
        kit, lambda data, times: len(data) > 300 and times == 1 and data[3] % 4 != 0, shrink=Shrink(losses=5)
    )
    assert (code, sizes(blocks)) == (0x44, [1024])
    assert len(blocks) > 16  # some were lost


def test_a_block_that_never_comes_through_goes_in_half_the_size(kit):
    code, blocks = pushing(kit, over(600, copies=9), shrink=Shrink(again=1))
    assert (code, sizes(blocks)) == (0x44, [1024, 512])
    assert blocks[:6] == [(0, True, 1024)] * 5 + [(0, True, 512)]


def test_so_does_one_in_the_middle(kit):
    sent = []

    def loses(data, times):
        if times == 1:
            sent.append(data)
        return len(sent) > 3 and len(data) > 600

    code, blocks = pushing(kit, loses, shrink=Shrink(again=1))
    assert (code, sizes(blocks)) == (0x44, [1024, 512])
    assert next(block for block in blocks if block[2] == 512) == (6, True, 512)


def test_where_only_acknowledgements_were_lost_the_body_begins_anew(kit):
    """The device has taken the block, and answers 4.08 to another one at its offset."""
    answers = []

    def lost(data, times):
        if times == 1:
            answers.append(data)
        return 2 < len(answers) <= 3

    code, blocks = pushing(kit, lambda data, times: False, acknowledgements=lost, shrink=Shrink(again=1))
    assert (code, sizes(blocks)) == (0x44, [1024, 512])
    assert [num for num, _, size in blocks if size == 512].count(0) == 1


@pytest.mark.parametrize(("again", "copies"), [(0, 5), (1, 10), (3, 20), (9, 25)])
def test_a_device_that_is_gone_is_given_up(kit, again, copies):
    sent = []

    def loses(data, times):
        sent.append(data)
        return True

    with pytest.raises(PeerTimeoutError):
        pushing(kit, loses, shrink=Shrink(again=again))
    assert len(sent) == copies  # down to 64 bytes at most


def test_a_rest_that_is_no_larger_than_half_a_block_is_not_sent_otherwise(kit):
    sent = []

    def loses(data, times):
        value = decode(data).uint(27)
        sent.append(value)
        return not value & 8

    with pytest.raises(PeerTimeoutError):
        pushing(kit, loses, shrink=Shrink(), szx=6)
    assert len({value & 7 for value in sent}) == 1


def test_the_numbers_of_smaller_blocks_have_an_end():
    assert not Block1Sender((1 << 24) + 1, szx=1).shrink(0)  # one block more than there are numbers
    assert Block1Sender(1 << 24, szx=1).shrink(0)
    assert not Block1Sender(5000, units=4).shrink(0)
    with pytest.raises(UsageError):
        Shrink(again=-1)
