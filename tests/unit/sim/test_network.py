import asyncio

import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.sim.loop import run
from lwm2m_fota.sim.network import Fate, LossyNetwork, Passage
from lwm2m_fota.testing.transports import Recorder, TransportConformance

A, B, C = ("10.0.0.1", 1), ("10.0.0.2", 2), ("10.0.0.3", 3)


class TestWithoutFaults(TransportConformance):
    def pair(self):
        self.network = LossyNetwork(1, latency_s=0.01, reorder_s=0.5)
        return self.network.transport(), self.network.transport()

    def twin(self, transport):
        return self.network.transport(*transport.local_address)

    def run(self, main):
        run(main)


class Clocked(Recorder):
    def __init__(self):
        super().__init__()
        self.times = []

    def datagram_received(self, data, peer):
        super().datagram_received(data, peer)
        self.times.append(asyncio.get_running_loop().time())


def sent_numbers(network, count, change=lambda number: None):
    """What arrives of `count` numbered datagrams from A to B, one a second, in order of arrival."""

    async def main():
        a, b = network.transport(*A), network.transport(*B)
        at_b = Clocked()
        await a.open(Recorder())
        await b.open(at_b)
        for number in range(count):
            change(number)
            a.send(number.to_bytes(2, "big"), B)
            await asyncio.sleep(1)
        await asyncio.sleep(100)
        return [int.from_bytes(data, "big") for data, _ in at_b.received], at_b.times

    return run(main())


def test_a_seed_decides_everything():
    faults = {"loss": 0.2, "duplicate": 0.1, "latency_s": 0.3, "reorder_s": 2.0}
    first = sent_numbers(LossyNetwork(7, **faults), 200)
    assert sent_numbers(LossyNetwork(7, **faults), 200) == first
    assert sent_numbers(LossyNetwork(8, **faults), 200) != first


def test_loss_takes_its_share():
    network = LossyNetwork(3, loss=0.2)
    numbers, _ = sent_numbers(network, 1000)
    assert 150 < network.counts[Fate.LOST] < 250
    assert network.counts == {Fate.LOST: 1000 - len(numbers), Fate.DELIVERED: len(numbers)}


@pytest.mark.parametrize(("loss", "arrived"), [(0.0, 50), (1.0, 0)])
def test_the_ends_of_the_scale_are_exact(loss, arrived):
    numbers, _ = sent_numbers(LossyNetwork(3, loss=loss), 50)
    assert len(numbers) == arrived


def test_duplicates_arrive_twice():
    network = LossyNetwork(4, duplicate=0.3)
    numbers, _ = sent_numbers(network, 100)
    doubled = [number for number in range(100) if numbers.count(number) == 2]
    assert network.counts[Fate.DUPLICATED] == len(doubled)
    assert 15 < len(doubled) < 45
    assert len(numbers) == 100 + len(doubled)


def test_delays_lie_between_latency_and_latency_with_reordering():
    numbers, times = sent_numbers(LossyNetwork(5, latency_s=0.5, reorder_s=3.0), 200)
    delays = [time - number for number, time in zip(numbers, times, strict=True)]
    assert 0.5 <= min(delays) < 0.6
    assert 3.4 < max(delays) <= 3.5
    assert numbers != sorted(numbers) == list(range(200))


def test_latency_alone_keeps_the_order():
    numbers, times = sent_numbers(LossyNetwork(5, latency_s=1.5), 20)
    assert numbers == list(range(20))
    assert times == [number + 1.5 for number in range(20)]


def test_a_fault_more_does_not_change_those_that_follow():
    def lossy_first_half(number):
        changed.weather.loss = 1.0 if number < 50 else 0.2

    plain, changed = LossyNetwork(9, loss=0.2), LossyNetwork(9, loss=1.0)
    numbers, _ = sent_numbers(plain, 100)
    later, _ = sent_numbers(changed, 100, lossy_first_half)
    assert later == [number for number in numbers if number >= 50]


def test_a_cut_parts_two_peers_in_both_directions_until_it_heals():
    async def main():
        network = LossyNetwork(1)
        ends = {address: network.transport(*address) for address in (A, B, C)}
        heard = {address: Recorder() for address in ends}
        for address, transport in ends.items():
            await transport.open(heard[address])

        async def exchange(text):
            for source, transport in ends.items():
                for destination in ends:
                    if source != destination:
                        transport.send(text, destination)
            await asyncio.sleep(1)
            pairs = {(peer, at) for at, each in heard.items() for data, peer in each.received if data == text}
            return {(A, B), (B, A), (A, C), (C, A), (B, C), (C, B)} - pairs

        assert await exchange(b"1") == set()
        network.cut(A, B)
        assert await exchange(b"2") == {(A, B), (B, A)}
        network.cut(C)
        assert len(await exchange(b"3")) == 6
        network.heal(B, A)
        assert await exchange(b"4") == {(A, C), (C, A), (B, C), (C, B)}
        network.heal(C)
        network.heal(C)
        assert await exchange(b"5") == set()
        assert network.counts == {Fate.DELIVERED: 18, Fate.CUT: 12}

    run(main())


def test_the_trace_holds_the_last_datagrams():
    network = LossyNetwork(1, latency_s=0.5, trace_datagrams=2)

    def lose_the_last(number):
        network.weather.loss = 1.0 if number == 2 else 0.0

    sent_numbers(network, 3, lose_the_last)
    assert list(network.trace) == [
        Passage(1.0, A, B, b"\x00\x01", Fate.DELIVERED, (0.5,)),
        Passage(2.0, A, B, b"\x00\x02", Fate.LOST, ()),
    ]


def test_nothing_is_traced_unless_it_is_asked_for():
    network = LossyNetwork(1)
    sent_numbers(network, 3)
    assert list(network.trace) == []


@pytest.mark.parametrize(
    "faults", [{"loss": -0.1}, {"loss": 1.1}, {"duplicate": 2}, {"latency_s": -1}, {"reorder_s": -1}]
)
def test_impossible_faults_are_refused(faults):
    with pytest.raises(UsageError):
        LossyNetwork(1, **faults)
