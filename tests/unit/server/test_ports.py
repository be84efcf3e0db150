"""A device gateway of one's own: an updater over another LwM2M server, and the rows of the field it must bear."""

import asyncio
import inspect

import pytest

from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.errors import BlockwiseError, ContentError, PeerTimeoutError, ResponseError, TransportError
from lwm2m_fota.lwm2m.registry import Registry
from lwm2m_fota.machines.update_effects import Shown, StepChanged, Warned
from lwm2m_fota.machines.update_limits import UpdateLimits
from lwm2m_fota.machines.update_outcome import Cancelled, Failed, Succeeded, TimedOut
from lwm2m_fota.machines.update_policy import ObserveBy, ReadBy, ResetMethod, UpdatePlan, UpdatePolicy
from lwm2m_fota.model.enums import UpdateResult
from lwm2m_fota.model.paths import Path
from lwm2m_fota.server.ports import Joined, Left
from lwm2m_fota.server.reading import read_values
from lwm2m_fota.server.updater import Updater
from lwm2m_fota.sim.loop import run
from lwm2m_fota.storage.memory import MemoryPackageSource

BAD_REQUEST, FORBIDDEN, NOT_FOUND, NOT_ALLOWED, BUSY = 0x80, 0x83, 0x84, 0x85, 0xA3
INSTANCE, PACKAGE, URI, UPDATE = Path.of(5, 0), Path.of(5, 0, 0), Path.of(5, 0, 1), Path.of(5, 0, 2)
STATE, RESULT, PROTOCOLS, DELIVERY, CANCEL = (Path.of(5, 0, each) for each in (3, 5, 8, 9, 10))
VERSION = Path.of(3, 0, 3)


class Gateway:
    """A device gateway with one scripted device behind it: all that an `Updater` needs."""

    def __init__(self, **changes):
        self.values = {STATE: 0, RESULT: 0, PROTOCOLS / 0: 0, DELIVERY: 2, VERSION: "1"}
        self.errors = {}  # by path: raised instead of an answer
        self.asked, self.pushed, self.listeners, self.presence = [], b"", {}, []
        self.registry = Registry()
        self.register()
        self.on_execute = lambda: self.becomes((STATE, 3), after=lambda: self.boots(2, {RESULT: 1, VERSION: "2"}))
        vars(self).update(changes)

    def register(self, links=b"</5>;ver=1.1,</5/0>,</3/0>"):
        self.registry.register("address", ("ep=dev", "lwm2m=1.1"), links, new_id="a", now=0.0)
        for listener in tuple(self.presence):
            listener(Joined(self.registry.get("dev")))

    def boots(self, after_s, values):
        self.values |= {STATE: 0, **values}
        asyncio.get_running_loop().call_later(after_s, self.register)

    def becomes(self, *changes, after=None):
        """State is notified before Result (FIELD)."""
        for path, value in changes:
            self.values[path] = value
            asyncio.get_running_loop().call_soon(self.listeners.get(path, lambda _: None), [(path, value)])
        if after is not None:
            asyncio.get_running_loop().call_later(1, after)

    def registration(self, endpoint):
        return self.registry.get(endpoint)

    def watch(self, endpoint, listener):
        self.presence.append(listener)
        return Ending(lambda: self.presence.remove(listener))

    async def ask(self, verb, path):
        self.asked.append((verb, str(path)))
        await asyncio.sleep(0.05)
        if path in self.errors:
            raise self.errors[path]

    async def read(self, endpoint, path):
        await self.ask("read", path)
        return [(each, value) for each, value in self.values.items() if path.contains(each)]

    async def write(self, endpoint, path, value):
        await self.ask("write", path)
        self.becomes((STATE, 0), (RESULT, 0))

    async def push(self, endpoint, path, source, progress):
        await self.ask("push", path)
        self.pushed = source.read_at(0, source.size_bytes)
        self.becomes((STATE, 2))

    async def execute(self, endpoint, path, arguments=b""):
        await self.ask("execute", path)
        self.on_execute() if path == UPDATE else self.becomes((STATE, 0), (RESULT, 10))

    async def observe(self, endpoint, path, listener):
        await self.ask("observe", path)
        self.listeners[path] = listener
        return [(path, self.values[path])], Ending(lambda: self.listeners.pop(path, None))


class Ending:
    def __init__(self, cancel):
        self.cancel = cancel


def update(gateway, *, method="push", notes=None, during=None, **plan):
    """The outcome of an update through a gateway."""

    async def main():
        if during is not None:
            during()
        source = MemoryPackageSource(b"firmware")
        given = UpdatePlan(method=method, package_bytes=8, expected_version="2", **plan)
        return await Updater(gateway).update("dev", source, given, listeners=[] if notes is None else [notes.append])

    return run(main())


def answers(code):
    return ResponseError("no", response_code=code)


def test_a_gateway_is_written_in_a_few_lines():
    assert len([line for line in inspect.getsource(Gateway).splitlines() if line.strip()]) < 60
    gateway = Gateway()
    assert update(gateway) == Succeeded(version_before="1", version_after="2")
    assert gateway.pushed == b"firmware"
    assert gateway.asked.count(("execute", "/5/0/2")) == 1
    assert gateway.presence == []  # nobody listens any more
    assert gateway.listeners == {}


def test_the_instance_is_read_at_once():
    gateway = Gateway()
    update(gateway)
    reads = {path for verb, path in gateway.asked if verb == "read"}
    assert reads == {"/5/0", "/3/0/3"}


@pytest.mark.parametrize(
    "error", [answers(NOT_ALLOWED), answers(FORBIDDEN), ContentError("what is this"), BlockwiseError("too large")]
)
def test_field_a_device_that_cannot_show_its_instance_is_read_one_by_one(error):
    gateway = Gateway(errors={INSTANCE: error})
    assert isinstance(update(gateway), Succeeded)
    reads = [path for verb, path in gateway.asked if verb == "read"]
    assert reads[:6] == ["/5/0", "/5/0/3", "/5/0/5", "/5/0/8", "/5/0/9", "/5/0/13"]


@pytest.mark.parametrize("error", [answers(NOT_FOUND), ContentError("no")])
def test_what_cannot_be_read_is_missing_and_no_more(error):
    gateway = Gateway(errors={INSTANCE: answers(NOT_ALLOWED), PROTOCOLS: error, DELIVERY: error})
    notes = []
    assert isinstance(update(gateway, notes=notes), Succeeded)
    assert [note.diagnosis.code for note in notes if isinstance(note, Warned)] == ["prepare.delivery-unread"]


def test_a_version_that_cannot_be_read_is_only_a_warning():
    outcome = update(Gateway(errors={VERSION: answers(FORBIDDEN)}))
    assert outcome.version_before is outcome.version_after is None
    assert [each.code for each in outcome.warnings] == ["execute.version-unread"]


def test_a_device_that_can_not_be_read_at_all_times_out():
    gateway = Gateway(errors={INSTANCE: answers(FORBIDDEN), VERSION: answers(FORBIDDEN)})
    gateway.errors |= {path: answers(FORBIDDEN) for path in (STATE, RESULT, PROTOCOLS, DELIVERY)}
    outcome = update(gateway)
    assert isinstance(outcome, TimedOut)
    assert outcome.diagnosis.code == "prepare.unreadable"


def read(gateway, *paths):
    return run(read_values(gateway, "dev", paths))


@pytest.mark.parametrize("code", [BUSY, 0x9D])
def test_field_a_busy_device_is_not_asked_on(code):
    gateway = Gateway(errors={INSTANCE: answers(code)})
    with pytest.raises(ResponseError):
        read(gateway, STATE, RESULT, VERSION)
    assert gateway.asked == [("read", "/5/0")]


def test_a_read_without_an_answer_counts_for_nothing():
    gateway = Gateway(errors={VERSION: PeerTimeoutError("silence")})
    with pytest.raises(TransportError):
        read(gateway, STATE, RESULT, VERSION)


def test_values_of_what_was_not_asked_for_are_left_out():
    gateway = Gateway()
    gateway.values[Path.of(5, 0, 6)] = "name"
    assert read(gateway, STATE, PROTOCOLS) == {STATE: 0, PROTOCOLS / 0: 0}
    assert read(gateway) == {}


def test_field_5_03_during_the_preparation_is_asked_again_later():
    gateway = Gateway(errors={INSTANCE: answers(BUSY)})

    def during():
        asyncio.get_running_loop().call_later(100, gateway.errors.clear)

    assert isinstance(update(gateway, during=during), Succeeded)
    assert gateway.asked.count(("push", "/5/0/0")) == 1


@pytest.mark.parametrize("error", [answers(NOT_ALLOWED), PeerTimeoutError("silence")])
def test_a_device_that_cannot_be_observed_is_watched_by_reading(error):
    outcome = update(Gateway(errors={RESULT: error}))
    assert isinstance(outcome, Succeeded)
    assert [each.code for each in outcome.warnings] == ["observe.failed"]


def test_field_state_and_result_are_told_one_after_the_other_and_never_mixed():
    notes, gateway = [], Gateway()

    def fails():
        gateway.becomes((STATE, 3), after=lambda: gateway.becomes((STATE, 2), (RESULT, 8)))

    gateway.on_execute = fails
    outcome = update(gateway, notes=notes)
    assert isinstance(outcome, Failed)
    assert outcome.result is UpdateResult.UPDATE_FAILED
    shown = [(note.state, note.result) for note in notes if isinstance(note, Shown)]
    assert shown == [(0, 0), (2, 0), (3, 0), (2, 8), (0, 10)]


def test_a_device_is_reset_by_every_way_before_an_update():
    gateway = Gateway()
    gateway.values |= {STATE: 2, RESULT: 0}
    gateway.errors = {CANCEL: answers(NOT_ALLOWED), URI: answers(NOT_ALLOWED), PACKAGE: answers(NOT_ALLOWED)}
    limits = UpdateLimits(reset_s=5.0)
    outcome = update(gateway, limits=limits)
    assert isinstance(outcome, Failed)
    assert outcome.diagnosis.code == "prepare.stuck-downloaded"
    tried = [each for each in gateway.asked if each[0] in {"execute", "write"}]
    assert tried == [("execute", "/5/0/10"), ("write", "/5/0/1"), ("write", "/5/0/0")]
    assert gateway.presence == []


def test_a_device_is_reset_by_one_nul_byte_where_nothing_else_helps():
    gateway = Gateway()
    gateway.values[STATE] = 2
    policy = UpdatePolicy(reset_methods=(ResetMethod.NUL_PACKAGE,))
    assert isinstance(update(gateway, policy=policy), Succeeded)
    assert gateway.asked[3:5] == [("read", "/3/0/3"), ("write", "/5/0/0")]


def test_a_gateway_with_a_bug_is_shown_and_does_not_hang(faults):
    gateway = Gateway(errors={PACKAGE: ValueError("bug"), INSTANCE: answers(NOT_ALLOWED)})
    gateway.errors[PROTOCOLS] = KeyError("bug")
    outcome = update(gateway)
    assert isinstance(outcome, TimedOut)
    assert outcome.diagnosis.code == "prepare.unreadable"
    del gateway.errors[PROTOCOLS]
    assert isinstance(update(gateway), Failed)
    assert {type(fault) for fault in faults} == {ValueError, KeyError}


def test_subscriptions_with_a_bug_do_not_hinder_the_end(faults):
    class Stubborn(Gateway):
        def watch(self, endpoint, listener):
            super().watch(endpoint, listener)
            return Ending(lambda: 1 / 0)

        async def observe(self, endpoint, path, listener):
            entries, _ = await super().observe(endpoint, path, listener)
            return entries, Ending(lambda: 1 / 0)

    assert isinstance(update(Stubborn()), Succeeded)
    assert {type(fault) for fault in faults} == {ZeroDivisionError}


def test_a_request_that_nobody_answers_is_followed_by_what_the_device_shows():
    gateway = Gateway()

    async def execute(endpoint, path, arguments=b""):
        await gateway.ask("execute", path)
        gateway.on_execute()
        raise PeerTimeoutError("the answer was lost")

    gateway.execute = execute
    assert isinstance(update(gateway), Succeeded)
    assert gateway.asked.count(("execute", "/5/0/2")) == 1


def test_a_read_that_a_newer_one_replaces_is_given_up():
    gateway, given_up = Gateway(), []
    plain = gateway.read

    async def read(endpoint, path):
        if len(gateway.asked) == 2:  # the first read of all hangs, and the device registers anew
            asyncio.get_running_loop().call_later(3, gateway.register)
            gateway.asked.append(("read", "hangs"))
            try:
                await asyncio.sleep(10_000)
            except asyncio.CancelledError:
                given_up.append(asyncio.get_running_loop().time())
                raise
        return await plain(endpoint, path)

    gateway.read = read
    assert isinstance(update(gateway), Succeeded)
    assert len(given_up) == 1
    assert given_up[0] < 4


@pytest.mark.parametrize("expired", [True, False])
def test_a_device_that_leaves_during_the_preparation_is_waited_for(expired):
    gateway = Gateway()
    gateway.errors[INSTANCE] = answers(BUSY)

    def leave():
        for listener in tuple(gateway.presence):
            listener(Left(gateway.registry.get("dev"), expired))
        gateway.errors.clear()
        asyncio.get_running_loop().call_later(50, gateway.register)

    def during():
        asyncio.get_running_loop().call_later(10, leave)

    assert isinstance(update(gateway, during=during), Succeeded)


def test_a_stalled_push_is_stopped_and_begun_again():
    gateway, stopped = Gateway(), []
    plain = gateway.push

    async def push(endpoint, path, source, progress):
        if not stopped:
            gateway.asked.append(("push", "stalls"))
            try:
                await asyncio.sleep(10_000)
            except asyncio.CancelledError:
                stopped.append(asyncio.get_running_loop().time())
                raise
        await plain(endpoint, path, source, progress)

    gateway.push = push
    outcome = update(gateway)
    assert isinstance(outcome, Succeeded)
    assert [each.code for each in outcome.warnings] == ["transfer.no-progress"]
    assert 300 <= stopped[0] <= 302


def test_a_refused_push_is_judged_by_its_result():
    gateway = Gateway()

    async def push(endpoint, path, source, progress):
        gateway.values[RESULT] = 2
        raise answers(0xA0)

    gateway.push = push
    outcome = update(gateway)
    assert isinstance(outcome, Failed)
    assert outcome.result is UpdateResult.NOT_ENOUGH_STORAGE


# -- over the real server: an old client that speaks TLV ----------------------------------------------------------


class OldClient:
    """LwM2M 1.0 by hand: TLV for instances, text for resources, State 0 during a push, no list of protocols."""

    def __init__(self, peer):
        self.peer, self.state, self.result, self.version, self.body = peer, 0, 0, b"1", b""
        peer.answers |= {
            (1, "/5/0"): lambda _: self.content(bytes([0xC1, 3, self.state, 0xC1, 5, self.result, 0xC1, 9, 1]), 11542),
            (1, "/5/0/3"): lambda _: self.content(b"%d" % self.state),
            (1, "/5/0/5"): lambda _: self.content(b"%d" % self.result),
            (1, "/3/0/3"): lambda _: self.content(self.version),
            (3, "/5/0/0"): self.push,
            (2, "/5/0/2"): self.execute,
        }

    def content(self, payload, number=0):
        return Response(0x45, ((12, number.to_bytes(2, "big").lstrip(b"\x00")),), payload)

    def push(self, received):
        message = received.message
        value = message.uint(27) or 0
        self.body = (self.body if value >> 4 else b"") + message.payload
        if value & 8:
            return Response(0x5F, ((27, message.first(27)),))
        self.state = 2
        return Response(0x44, tuple((27, each) for each in message.every(27)))

    def execute(self, received):
        self.state = 3
        asyncio.get_running_loop().call_later(3, self.boot)
        return Response(0x44)

    def boot(self):
        self.state, self.result, self.version = 0, 1, b"2"
        self.registering = asyncio.ensure_future(self.peer.register())


def test_field_an_old_client_that_answers_in_tlv_is_updated(world_of):
    async def main():
        async with world_of() as world:
            peer = await world.peer()
            old = OldClient(peer)
            await peer.register()
            data = bytes(range(256)) * 10
            plan = UpdatePlan(package_bytes=len(data), expected_version="2", schemes=("coap",))
            updater = Updater(world.server, world.server.packages)
            outcome = await updater.update("dev", MemoryPackageSource(data), plan)
            await old.registering
            assert old.body == data
            return outcome

    outcome = run(main())
    assert outcome == Succeeded(version_before="1", version_after="2")


def test_what_a_note_leads_to_waits_until_the_step_is_carried_out():
    gateway = Gateway()

    async def main():
        def listener(note):
            if isinstance(note, StepChanged) and note.step.value == "push":
                running.cancel()  # before the push that this note tells of has begun

        running = Updater(gateway).start("dev", MemoryPackageSource(b"firmware"), listeners=[listener])
        return await running.outcome()

    assert isinstance(run(main()), Cancelled)
    assert ("push", "/5/0/0") not in gateway.asked
    assert ("execute", "/5/0/10") in gateway.asked


def test_an_update_can_be_cancelled_while_the_gateway_hangs():
    gateway = Gateway()

    async def read(endpoint, path):
        await asyncio.sleep(10_000)

    gateway.read = read

    async def main():
        running = Updater(gateway).start("dev", MemoryPackageSource(b"firmware"))
        await asyncio.sleep(5)
        running.cancel()
        return await running.outcome()

    assert isinstance(run(main()), Cancelled)


# -- ways to read and to observe (SERVICE R28)


class Rich(Gateway):
    """A gateway that can read and observe several paths at once, and hear what the device sends."""

    def __init__(self, **changes):
        super().__init__(**changes)
        self.reporting = []

    async def read_composite(self, endpoint, paths):
        await self.ask("read several", Path(()))
        return [(each, value) for each, value in self.values.items() if any(path.contains(each) for path in paths)]

    async def observe_composite(self, endpoint, paths, listener):
        await self.ask("observe several", Path(()))
        for path in paths:
            self.listeners[path] = listener
        ending = Ending(lambda: [self.listeners.pop(path, None) for path in paths])
        return [(path, self.values[path]) for path in paths], ending

    def reported(self, endpoint, listener):
        self.asked.append(("listen", endpoint))
        self.reporting.append(listener)
        return Ending(lambda: self.reporting.remove(listener) if listener in self.reporting else None)


def asked_for(gateway, *verbs):
    return [(verb, path) for verb, path in gateway.asked if verb in verbs]


def test_several_paths_are_read_at_once_where_the_gateway_can():
    gateway = Rich()
    assert isinstance(update(gateway), Succeeded)
    assert {verb for verb, _ in gateway.asked if verb.startswith("read")} == {"read several"}


@pytest.mark.parametrize(
    ("by", "reads"),
    [
        (ReadBy.COMPOSITE, [("read several", "/")]),
        (ReadBy.INSTANCE, [("read", "/5/0"), ("read", "/3/0/3")]),
        (ReadBy.RESOURCE, [("read", "/5/0/3"), ("read", "/5/0/5"), ("read", "/3/0/3")]),
    ],
)
def test_the_way_of_reading_is_a_policy(by, reads):
    gateway = Rich()
    values = run(read_values(gateway, "dev", (STATE, RESULT, VERSION), by))
    assert {path: values[path] for path in (STATE, RESULT, VERSION)} == {STATE: 0, RESULT: 0, VERSION: "1"}
    assert asked_for(gateway, "read", "read several") == reads


@pytest.mark.parametrize("error", [answers(NOT_ALLOWED), ContentError("what is this"), BlockwiseError("too large")])
def test_what_refuses_to_be_read_at_once_is_read_by_instances(error):
    gateway = Rich(errors={Path(()): error})
    values = run(read_values(gateway, "dev", (STATE, RESULT, VERSION)))
    assert set(values) >= {STATE, RESULT, VERSION}
    assert [path for _, path in gateway.asked] == ["/", "/5/0", "/3/0/3"]


def test_what_shows_nothing_at_once_is_read_by_instances():
    gateway = Rich()
    gateway.values = {}
    assert run(read_values(gateway, "dev", (STATE, VERSION))) == {}
    assert [path for _, path in gateway.asked] == ["/", "/5/0/3", "/3/0/3"]


@pytest.mark.parametrize("error", [answers(BUSY), PeerTimeoutError("gone")])
def test_a_busy_or_silent_device_is_not_asked_on(error):
    gateway = Rich(errors={Path(()): error})
    with pytest.raises(type(error)):
        run(read_values(gateway, "dev", (STATE, RESULT, VERSION)))
    assert len(gateway.asked) == 1


def test_one_path_is_read_alone():
    gateway = Rich()
    run(read_values(gateway, "dev", (VERSION,)))
    assert gateway.asked == [("read", "/3/0/3")]


@pytest.mark.parametrize(
    ("by", "observations"),
    [
        (ObserveBy.RESOURCES, [("observe", "/5/0/3"), ("observe", "/5/0/5")]),
        (ObserveBy.INSTANCES, [("observe", "/5/0")]),
        (ObserveBy.COMPOSITE, [("observe several", "/")]),
        (ObserveBy.SEND, [("listen", "dev")]),
    ],
)
def test_the_way_of_observing_is_a_policy(by, observations):
    gateway = Rich()
    gateway.values[INSTANCE] = 0  # what an observation of the instance shows
    assert isinstance(update(gateway, policy=UpdatePolicy(observe_by=by)), Succeeded)
    found = asked_for(gateway, "observe", "observe several", "listen")
    assert found[: len(observations)] == observations
    assert found == observations * 2  # again after the new registration
    assert (gateway.listeners, gateway.reporting) == ({}, [])


@pytest.mark.parametrize("by", [ObserveBy.COMPOSITE, ObserveBy.INSTANCES])
@pytest.mark.parametrize("error", [answers(NOT_ALLOWED), ContentError("what is this")])
def test_what_refuses_to_be_observed_together_is_observed_one_by_one(by, error):
    gateway = Rich(errors={Path(()): error, INSTANCE: error})
    assert isinstance(update(gateway, policy=UpdatePolicy(observe_by=by)), Succeeded)
    found = asked_for(gateway, "observe", "observe several")
    assert found[1:3] == [("observe", "/5/0/3"), ("observe", "/5/0/5")]


@pytest.mark.parametrize("by", [ObserveBy.COMPOSITE, ObserveBy.SEND])
def test_a_gateway_that_cannot_observe_so_observes_one_by_one(by):
    gateway = Gateway()
    assert isinstance(update(gateway, policy=UpdatePolicy(observe_by=by)), Succeeded)
    assert asked_for(gateway, "observe")[:2] == [("observe", "/5/0/3"), ("observe", "/5/0/5")]


def test_what_the_device_sends_moves_the_update():
    """Without a single notification, and long before the next read is due."""
    gateway = Rich()
    times = []

    def execute():
        gateway.values |= {STATE: 0, RESULT: 8}
        for listener in tuple(gateway.reporting):
            listener([(STATE, 0), (RESULT, 8), (VERSION, "1")])
        times.append(asyncio.get_running_loop().time())

    gateway.on_execute = execute
    notes = []
    outcome = update(gateway, policy=UpdatePolicy(observe_by=ObserveBy.SEND, poll_s=500), notes=notes)
    assert isinstance(outcome, Failed)
    assert outcome.result == UpdateResult.UPDATE_FAILED
