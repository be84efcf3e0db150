"""The same inputs give the same datagrams: no clock, no chance, no order of a hash gets in (DESIGN, laws 2 and 3)."""

import os
import subprocess
import sys

from lwm2m_fota.coap.endpoint import Endpoint, Request
from lwm2m_fota.coap.events import ObserverLost, RequestReceived
from lwm2m_fota.coap.message import Message, encode, pack_uint
from lwm2m_fota.lwm2m.dispatch import Dispatcher, DispatchSettings
from lwm2m_fota.lwm2m.value_object import ValueObject
from lwm2m_fota.model.device import DEVICE
from lwm2m_fota.runtime.entropy import SeededEntropy

URI_PATH, CONTENT_FORMAT, OBSERVE, BLOCK1, BLOCK2, ACCEPT = 11, 12, 6, 27, 23, 17
IMAGE = bytes(range(256)) * 2


class Run:
    """A device and what its peers send it, by hand on a clock of its own."""

    def __init__(self, host, seed):
        reader = ValueObject(definition=DEVICE, readers={11: lambda: {0: 0}}, executors={4: lambda _: None})
        self.dispatcher = Dispatcher((reader, host), DispatchSettings(max_szx=2))
        self.endpoint = Endpoint(entropy=SeededEntropy(seed))
        self.now, self.mid, self.sent = 0.0, 0, []
        self.host = host
        host.listen(self._changed)

    def _changed(self, paths):
        self.dispatcher.changed(paths)
        for each in self.dispatcher.notifications(self.now):
            self.endpoint.notify(each.peer, each.token, each.response, self.now, confirmable=True)

    def _settle(self):
        for event in self.endpoint.take_events():
            match event:
                case RequestReceived():
                    response = self.dispatcher.handle(event.message, event.peer, self.now)
                    self.endpoint.respond(event.exchange, response, self.now)
                case ObserverLost():
                    self.dispatcher.observers.remove(event.peer, event.token)
        self.sent += [f"{self.now:.6f} {peer} {data.hex()}" for data, peer in self.endpoint.take_datagrams()]

    def ask(self, code, path, payload=b"", peer="one", **numbers):
        self.mid += 1
        options = [(URI_PATH, part.encode()) for part in path.split("/")[1:]]
        options += [(globals()[name.upper()], pack_uint(value)) for name, value in numbers.items()]
        options.sort(key=lambda option: option[0])
        token = b"%d" % self.mid
        self.feed(encode(Message(0, code, self.mid, token, tuple(options), payload)), peer)

    def feed(self, data, peer):
        self.now += 0.25
        self.endpoint.receive(data, peer, self.now)
        self._settle()

    def wait(self):
        """Let every timer run out: notifications that nobody acknowledges are sent again and given up."""
        while (deadline := self.endpoint.next_deadline()) is not None:
            self.now = max(self.now, deadline)
            self.endpoint.handle_timeout(self.now)
            self._settle()


def transcript(host, seed=5):
    """Every datagram that leaves the device, with its time."""
    run = Run(host, seed)
    for peer in ("one", "two", "three"):
        for path in ("/5/0", "/5/0/3", "/5/0/5", "/5/0/12"):
            run.ask(1, path, peer=peer, observe=0)
    run.ask(1, "/5", accept=40)
    run.ask(1, "/5/0", accept=11542, block2=2)
    run.ask(2, "/5/0", bytes.fromhex("c10b02c40d00015180"), content_format=11542)
    for num in range(8):
        run.ask(3, "/5/0/0", IMAGE[num * 64 : num * 64 + 64], block1=num << 4 | (num < 7) << 3 | 2)
    run.ask(2, "/5/0/2")
    run.ask(2, "/5/0/10")
    run.feed(b"\x40\xff\xff", "four")
    run.feed(b"\x70\x00\x12\x34", "one")
    run.endpoint.request("five", Request(1, ((11, b"rd"),)), run.now)
    run.wait()
    return run.sent


def test_the_same_inputs_give_the_same_datagrams(firmware_host):
    first, second = firmware_host(), firmware_host()
    sent = transcript(first)
    assert sent == transcript(second)
    assert len(sent) > 50
    assert int(first.firmware.machine.state) == 3
    assert first.firmware.machine == second.firmware.machine
    assert first.effects == second.effects


def test_another_seed_gives_others(firmware_host):
    assert transcript(firmware_host(), 5) != transcript(firmware_host(), 6)


def test_the_order_of_hashes_does_not_matter(firmware_host, root):
    """Two fresh interpreters that hash text differently, and this one, say the same."""
    script = (
        "import runpy, sys;"
        "host = runpy.run_path(sys.argv[2])['FirmwareHost'];"
        "print(*runpy.run_path(sys.argv[1])['transcript'](host()), sep='\\n')"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", script, __file__, str(root / "tests" / "conftest.py")],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout.splitlines()
        for seed in ("1", "2")
    ]
    assert told == [transcript(firmware_host())] * 2
