"""A real device process, killed again and again in the middle of its work: nothing is lost, nothing is half done.

The device pulls from a server in this process, over loopback. Its answers are held back for a moment each, so that
kills land inside of the pull; where they land comes from a seed.
"""

import asyncio
import itertools
import random
import socket

import attrs
import pytest

from lwm2m_fota.cli.state_dir import running_image
from lwm2m_fota.machines.update_effects import Shown
from lwm2m_fota.machines.update_outcome import Failed, Succeeded
from lwm2m_fota.machines.update_policy import Method, UpdatePlan
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.server.lwm2m import Lwm2mServer
from lwm2m_fota.server.updater import Updater
from lwm2m_fota.storage.files import FilePackageSource
from lwm2m_fota.transport.udp import UdpTransport

SEED = 20_261_124
BLOCK_BYTES = 1024
CHECKPOINT_BYTES = 4096
BYTES_A_LIFE = 16_384  # the most that is served between two kills
PACE_S = 0.002  # for each block
LIFE_LIMIT_S = 30.0


class Site:
    """A server in this process, and a device in one of its own.

    Args:
        bench: makes packages and devices.
        seed: of where the kills land.
        checkpoint_bytes: of the device.
        pace_s: for each block.

    Attributes:
        served: of each life of the device, the offsets that were asked for.
        kills: how often it was killed.
    """

    def __init__(self, bench, seed, checkpoint_bytes=CHECKPOINT_BYTES, pace_s=PACE_S):
        self.bench = bench
        self.checkpoint_bytes = checkpoint_bytes
        self.pace_s = pace_s
        self.state_dir = f"state-{seed}"
        self.random = random.Random(seed)
        self.served = []
        self.kills = 0
        self.on_block = lambda offset: None
        self.device = None

    async def __aenter__(self):
        transport = UdpTransport()
        self.pump = Pump(transport)
        self.server = Lwm2mServer(transport, pump=self.pump, on_block=self._on_block)
        await self.server.start()
        self._answer = self.pump.on_request
        self.pump.on_request = self._on_request
        return self

    async def __aexit__(self, *_):
        await self.server.stop()

    def _on_request(self, received, now):
        response = self._answer(received, now)
        if received.message.path()[:1] != ("fw",):
            return response
        response = attrs.evolve(response, body=None)  # each block comes by here
        asyncio.get_running_loop().call_later(self.pace_s, self._respond, received.exchange, response)
        return None

    def _respond(self, exchange, response):
        if self.pump._opened:
            self.pump.respond(exchange, response)

    def _on_block(self, block):
        self.served[-1].append(block.offset)
        self.on_block(block.offset)

    def power_on(self):
        """Begin a life. Not by its port is it told from the others: the system gives ports out again."""
        self.served.append([])
        self.device = self.bench.device(
            self.server.local_address[1], "--checkpoint", self.checkpoint_bytes, state_dir=self.state_dir
        )

    async def kill(self):
        self.device.popen.kill()
        self.device.popen.wait()
        self.kills += 1
        await self.heard_out()

    async def heard_out(self):
        """What the device has still sent is read as of its life, not of the next: a ping behind it is answered."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asks:
            asks.setblocking(False)
            asks.connect(("127.0.0.1", self.server.local_address[1]))
            asks.send(bytes.fromhex("40000001"))
            async with asyncio.timeout(LIFE_LIMIT_S):
                answer = await asyncio.get_running_loop().sock_recv(asks, 16)
        assert answer == bytes.fromhex("70000001")

    def update(self, package, *listeners):
        """Begin an update by pull."""
        source = FilePackageSource(package)
        plan = UpdatePlan(
            method=Method.PULL, package_bytes=source.size_bytes, expected_version="1.1.0", schemes=("coap",)
        )
        return Updater(self.server, self.server.packages).start("dev", source, plan, listeners=listeners)

    async def end(self, running):
        async with asyncio.timeout(LIFE_LIMIT_S):
            return await running.outcome()

    async def off(self):
        """Stop the device in good order, and read what is installed."""
        self.device.popen.terminate()
        assert await asyncio.to_thread(self.device.end) == 0
        image = running_image(self.bench.folder / self.state_dir)
        return None if image is None else image.read_at(0, image.size_bytes)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kills_during_a_pull_lose_nothing(bench, counts):
    kills = counts(20, 50)

    async def main():
        async with Site(bench, SEED) as site:
            body = site.random.randbytes((kills + 2) * BYTES_A_LIFE)
            package = bench.signed("large.signed.bin", body)
            running = site.update(package)
            for _ in range(kills):
                await one_life(site)
            assert site.kills == kills
            site.power_on()
            outcome = await site.end(running)
            assert isinstance(outcome, Succeeded), (outcome, running.why())
            assert (outcome.version_before, outcome.version_after) == ("1.0.0", "1.1.0")
            assert await site.off() == package.read_bytes()
        check_lives(site.served, package.stat().st_size)

    asyncio.run(main())


async def one_life(site):
    """Start the device, and kill it at some point of its pull: with a block asked for, under way, or being stored."""
    enough = asyncio.Event()
    blocks = site.random.randint(1, BYTES_A_LIFE // BLOCK_BYTES)

    def on_block(_):
        if len(site.served[-1]) >= blocks:
            enough.set()

    site.on_block = on_block
    site.power_on()
    try:
        async with asyncio.timeout(LIFE_LIMIT_S):
            await enough.wait()
    except TimeoutError:
        await site.kill()
        site.device.end()
        pytest.fail(f"life {site.kills} stands still: {site.served[-1]} {site.device.events} {site.device.errors}")
    await asyncio.sleep(site.random.uniform(0.0, 2 * PACE_S))
    await site.kill()


def check_lives(lives, size_bytes):
    """Each life goes on at most one batch before the end of those before it, and at the end every byte has come."""
    end = 0
    for offsets in lives:
        assert end - CHECKPOINT_BYTES - BLOCK_BYTES <= offsets[0] <= end + BLOCK_BYTES, (offsets[0], end)
        assert offsets == sorted(offsets)
        end = max(end, *offsets)
    assert sum(offsets[0] > 0 for offsets in lives) > len(lives) // 2
    assert lives[-1][-1] == (size_bytes - 1) // BLOCK_BYTES * BLOCK_BYTES
    asked_for = {offset for offsets in lives for offset in offsets}
    assert asked_for == set(range(0, size_bytes, BLOCK_BYTES))


EXACT = {  # checkpoint_bytes, pace_s, blocks of a life, and how far before the block that it died for the next one begins
    "each block is durable": (1, 0.05, 12, 0),
    "slow blocks": (65_536, 0.3, 4, BLOCK_BYTES),  # slower than `batch_s`: each is written as it comes
}


@pytest.mark.parametrize("case", EXACT)
def test_a_killed_pull_goes_on_at_the_very_block(bench, counts, case):
    checkpoint_bytes, pace_s, blocks, again_bytes = EXACT[case]
    kills = counts(2, 5)

    async def main():
        async with Site(bench, SEED, checkpoint_bytes, pace_s) as site:
            package = bench.signed("exact.signed.bin", site.random.randbytes((kills + 1) * blocks * BLOCK_BYTES))
            running = site.update(package)
            for _ in range(kills):
                await one_exact_life(site, blocks)
            site.pace_s = 0.0
            site.power_on()
            outcome = await site.end(running)
            assert isinstance(outcome, Succeeded), (outcome, running.why())
            assert await site.off() == package.read_bytes()
        for before, after in itertools.pairwise(site.served):
            assert after[0] == before[-1] - again_bytes

    asyncio.run(main())


async def one_exact_life(site, blocks):
    """Start the device, and kill it while it waits for a block."""
    enough = asyncio.Event()
    site.on_block = lambda _: enough.set() if len(site.served[-1]) == blocks else None
    site.power_on()
    async with asyncio.timeout(LIFE_LIMIT_S):
        await enough.wait()
    await site.kill()


async def after_a_kill(site, running, package):
    """Start the device again: the update succeeds, or it was a trial that nobody confirmed and the next one does."""
    site.power_on()
    await asyncio.to_thread(site.device.until, "registered")
    outcome = await site.end(running)
    if not isinstance(outcome, Succeeded):
        assert isinstance(outcome, Failed), (outcome, running.why())
        assert outcome.result is UpdateResult.UPDATE_FAILED
        assert any(event.get("boot") == "reverted" for event in site.device.events)
        outcome = await site.end(site.update(package))
    assert isinstance(outcome, Succeeded)
    assert await site.off() == package.read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kills_during_the_installation(bench, counts):
    """From the moment in which the device shows Updating: before, between and after writing and applying."""

    async def main(seed):
        updating = asyncio.Event()

        def listener(note):
            if isinstance(note, Shown) and note.state is State.UPDATING:
                updating.set()

        async with Site(bench, seed) as site:
            running = site.update(bench.package, listener)
            site.power_on()
            async with asyncio.timeout(LIFE_LIMIT_S):
                await updating.wait()
            await asyncio.sleep(site.random.uniform(0.0, 0.4))
            await site.kill()
            await after_a_kill(site, running, bench.package)

    for seed in range(SEED, SEED + counts(3, 8)):
        asyncio.run(main(seed))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kills_during_the_reboot(bench, counts):
    """From the last word of the old firmware on: before the boot loader has run, or in the middle of the trial."""

    async def main(seed):
        async with Site(bench, seed) as site:
            running = site.update(bench.package)
            site.power_on()
            await asyncio.to_thread(site.device.until, "rebooting")
            await asyncio.sleep(site.random.uniform(0.0, 0.6))
            await site.kill()
            await after_a_kill(site, running, bench.package)

    for seed in range(SEED, SEED + counts(3, 8)):
        asyncio.run(main(seed))
