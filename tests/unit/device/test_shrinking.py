"""Smaller blocks where large ones get lost: within a fetch, and from one fetch to the next."""

import pytest

from lwm2m_fota.coap.block2 import Block2Receiver
from lwm2m_fota.coap.calls import Shrink
from lwm2m_fota.coap.params import TransmissionParameters
from lwm2m_fota.device.fetch import CoapFetcher
from lwm2m_fota.errors import PeerTimeoutError, UsageError
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.packages import PackageServer, PackageServerLimits
from lwm2m_fota.sim.loop import run
from lwm2m_fota.storage.memory import MemoryPackageSource
from lwm2m_fota.testing.fetchers import RecordingSink
from lwm2m_fota.transport.memory import MemoryNetwork

DATA = bytes(number * 7 % 251 for number in range(20 * 1024))


class Narrow:
    """A transport that loses what `loses(datagram, times it was sent)` says."""

    def __init__(self, inner, loses):
        self._inner, self._loses, self._sent = inner, loses, {}

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def send(self, data, peer):
        times = self._sent[data] = self._sent.get(data, 0) + 1
        if not self._loses(data, times):
            self._inner.send(data, peer)


def fetching(main, loses, *, nstart=1, max_szx=6, **options):
    """What `main` gives with a fetcher, a function that publishes, and the lengths of all blocks that were asked for."""

    async def whole():
        network, lengths = MemoryNetwork(), []
        origin = Pump(Narrow(network.transport("10.0.0.1", 5683), loses))
        host = PackageServer(
            lambda: "coap://10.0.0.1",
            origin.entropy,
            origin.now,
            PackageServerLimits(max_szx=max_szx),
            lambda served: lengths.append(served.length),
        )
        origin.on_request = lambda received, _: host.handle(received.message, received.peer)
        device = Pump(network.transport("10.0.0.2"), parameters=TransmissionParameters(nstart=nstart))
        await origin.open()
        await device.open()
        try:
            fetcher = CoapFetcher(device, **options)
            return await main(
                fetcher, lambda: host.publish(MemoryPackageSource(DATA), "coap", lambda _: None).uri, lengths
            )
        finally:
            await device.close()
            await origin.close()

    return run(whole())


def over(size):
    return lambda data, times: len(data) > size and times == 1


async def fetch_once(fetcher, publish, lengths):
    sink = RecordingSink()
    await fetcher.fetch(publish(), sink, offset=0, etag=None)
    assert bytes(sink.data) == DATA
    assert (sink.restarts, sink.is_whole) == (0, True)
    return lengths


@pytest.mark.parametrize("window", [1, 4])
def test_blocks_that_are_lost_again_and_again_get_smaller(window):
    lengths = fetching(fetch_once, over(300), nstart=window, window=window)
    assert lengths[0] == 1024
    assert 512 in lengths
    assert min(lengths) == 256  # these get through


def test_they_get_no_smaller_than_they_may():
    assert min(fetching(fetch_once, over(50), shrink=Shrink(losses=2, smallest_szx=3))) == 128


@pytest.mark.parametrize("shrink", [None, Shrink(losses=10_000)])
def test_without_the_policy_they_stay(shrink):
    assert min(fetching(fetch_once, over(300), shrink=shrink)) == 1024


def test_losses_that_do_not_come_in_a_row_change_nothing():
    sent = []

    def loses(data, times):
        if len(data) > 300 and times == 1:
            sent.append(data)
        return len(data) > 300 and times == 1 and len(sent) % 5 != 0

    assert min(fetching(fetch_once, loses, shrink=Shrink(losses=5))) == 1024


def test_a_block_that_came_the_ordinary_way_counts_too():
    """The first block of a fetch does."""
    lengths = fetching(fetch_once, over(200), max_szx=4, shrink=Shrink(losses=1))
    assert lengths[0] == 256
    assert min(lengths) == 128


def test_where_nothing_gets_through_the_next_fetches_ask_for_less():
    async def main(fetcher, publish, lengths):
        uri, sink = publish(), RecordingSink()
        for _ in range(6):
            with pytest.raises(PeerTimeoutError):
                await fetcher.fetch(uri, sink, offset=0, etag=None)
        await fetcher.fetch(uri, sink, offset=0, etag=None)
        assert bytes(sink.data) == DATA
        with pytest.raises(PeerTimeoutError):  # another package begins with large ones
            await fetcher.fetch(publish(), RecordingSink(), offset=0, etag=None)
        return lengths

    lengths = fetching(main, lambda data, _: len(data) > 400)
    first = {size: lengths.index(size) for size in (1024, 512, 256)}
    assert first[1024] < first[512] < first[256]
    assert min(lengths) == 256
    assert lengths[-1] == 1024


def test_silence_of_one_origin_says_nothing_of_another():
    async def main(fetcher, publish, lengths):
        first, second = publish(), publish()
        for uri in (first, second) * 4:
            with pytest.raises(PeerTimeoutError):
                await fetcher.fetch(uri, RecordingSink(), offset=0, etag=None)
        return lengths

    assert set(fetching(main, lambda data, _: len(data) > 400)) == {1024}


def test_without_the_policy_every_fetch_asks_alike():
    async def main(fetcher, publish, lengths):
        uri = publish()
        for _ in range(5):
            with pytest.raises(PeerTimeoutError):
                await fetcher.fetch(uri, RecordingSink(), offset=0, etag=None)
        return lengths

    assert set(fetching(main, lambda data, _: len(data) > 400, shrink=None)) == {1024}


def test_a_smallest_size_above_that_which_is_asked_for_is_none():
    async def main(fetcher, publish, lengths):
        uri = publish()
        for _ in range(3):
            with pytest.raises(PeerTimeoutError):
                await fetcher.fetch(uri, RecordingSink(), offset=0, etag=None)
        return lengths

    lengths = fetching(main, lambda data, _: len(data) > 60, szx=2, shrink=Shrink(timeouts=1, smallest_szx=4))
    assert set(lengths) == {64}


def test_the_numbers_of_smaller_blocks_have_an_end():
    receiver = Block2Receiver(max_body_bytes=1 << 40, offset=1 << 24, szx=1)
    assert not receiver.shrink(0)  # 2^24 bytes are 2^20 blocks of 16 bytes: one more than there are numbers
    assert Block2Receiver(max_body_bytes=1 << 40, offset=(1 << 24) - 16, szx=1).shrink(0)
    assert not Block2Receiver(max_body_bytes=1, szx=None).shrink(0)


@pytest.mark.parametrize("shrink", [{"losses": 0}, {"timeouts": 0}, {"smallest_szx": 7}])
def test_policies_that_make_no_sense(shrink):
    with pytest.raises(UsageError):
        Shrink(**shrink)
