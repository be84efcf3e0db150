"""A device and the server that updates it, with a network that loses, copies and exchanges what is sent."""

from collections.abc import Iterator, Sequence
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar, final

from lwm2m_fota.machines import update_events as ev
from lwm2m_fota.machines.update_effects import Push
from lwm2m_fota.machines.update_policy import UpdatePlan
from lwm2m_fota.machines.update_state import Kind
from lwm2m_fota.machines.update_steps import UpdateStep
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.paths import Path
from lwm2m_fota.testing.explore.device import DeviceModel
from lwm2m_fota.testing.explore.search import Broken, Move
from lwm2m_fota.testing.explore.world import Boot, Filling, World
from proof.model.devices import Devices, Note, Way
from proof.model.server import OBSERVE, READ, REQUEST, Made, Request, Server

SUCCEEDED: Final = "success is reported only where the new image runs"
CANCELLED: Final = "just what is named was installed where cancelled is reported"
RESTARTS: Final = "server restarts"
LAPSES: Final = "registration lapses"

T = TypeVar("T")

MOST_REQUESTS: Final = 1
"""Requests in flight beside the one that is waited for."""

_ENDED: Final = -1
"""In place of the device's number: the server's update is over."""


class Sent(NamedTuple):
    """A request in flight.

    Attributes:
        request: what is asked.
        awaited: the server waits for its answer.
    """

    request: Request
    awaited: bool


class Pair(NamedTuple):
    """Both ends and what is between them; a number stands for each value, 0 for none but for machines and worlds.

    Attributes:
        server: its machine; `device`: its world.
        sent: requests in flight, the oldest first.
        answer: the code of the answer in flight to the request that is waited for.
        asked: the paths of the read in flight; `values`: what its answer holds, on its way back.
        note: a notification in flight.
        pushing: the push that comes in at the device is the one that the server waits for.
    """

    server: int
    device: int
    sent: int = 0
    answer: int = 0
    asked: int = 0
    values: int = 0
    note: int = 0
    pushing: bool = False


class Numbers(Generic[T]):
    """A number for each value, from 0 on."""

    def __init__(self, *first: T) -> None:
        self.values: list[T] = []
        self._numbers: dict[T, int] = {}
        for each in first:
            self.of(each)

    def of(self, value: T) -> int:
        """The number of a value; a new one gets the next."""
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = len(self.values)
            self.values.append(value)
        return number


Values: TypeAlias = tuple[tuple[Path, object], ...]


@final
class PairModel:
    """Both ends together.

    Args:
        model: the device.
        plan: what its server is to do.
        firsts: what the device may be like when the update begins.
        most: requests in flight beside the one that is waited for.
        late: notifications and what was read may be late; otherwise each comes at once or never.
    """

    def __init__(
        self,
        model: DeviceModel,
        plan: UpdatePlan,
        firsts: Sequence[World] = (),
        *,
        most: int = MOST_REQUESTS,
        late: bool = True,
    ) -> None:
        self.server = Server(plan)
        self.devices = Devices(model)
        self.kinds: set[Kind] = set()
        self._most = most
        self._late = late
        self._firsts = tuple(firsts) or tuple(model.initial())
        self._registration = self.devices.registration()
        self._sent = Numbers[tuple[Sent, ...]](())
        self._paths = Numbers[tuple[Path, ...]](())
        self._values = Numbers[Values](())
        self._notes = Numbers[Note | None](None)
        self._old = [each.version for each in model.law.new().components]
        self._quiet: dict[int, tuple[tuple[str, Made], ...]] = {}
        self._reads: dict[tuple[int, int], int] = {}
        self._afters: dict[tuple[int, int], tuple[int, int, int, int]] = {}

    def initial(self) -> Iterator[Pair]:
        """The server begins, and the device is as it is."""
        for world in self._firsts:
            yield Pair(self.server.start(), self.devices.number(world))

    def is_end(self, state: Pair) -> bool:
        """The server's update is over."""
        return state.device == _ENDED

    def check(self, _: Pair) -> Iterator[Broken]:
        """What does not hold in a state: all is checked where it comes from."""
        yield from ()

    def moves(self, state: Pair) -> Iterator[Move[Pair]]:
        """All that can happen."""
        if state.device == _ENDED:
            return
        yield from self._alone(state)
        yield from self._arrivals(state)
        world = self.devices.worlds[state.device]
        if world.on:
            yield from self._at_device(state, world)
        for way in self.devices.own(state.device):
            ends_push = way.kind.startswith("push") and state.pushing
            answer = way.code or 0 if ends_push else state.answer
            yield from self._moved(state, way, state.sent, answer, pushing=state.pushing and not ends_push)

    # -- the server

    def _alone(self, state: Pair) -> Iterator[Move[Pair]]:
        """What happens at the server with nothing from the device."""
        quiet = self._quiet.get(state.server)
        if quiet is None:
            quiet = self._quiet[state.server] = tuple(self._made_alone(state.server))
        is_up = self.devices.worlds[state.device].on
        for kind, made in quiet:
            if kind == LAPSES and is_up:
                continue
            if kind == RESTARTS:
                cut = Pair(state.server, state.device, state.sent, note=state.note)
                yield self._after(cut, kind, "", made)
            else:
                yield self._after(state, kind, "", made)

    def _made_alone(self, number: int) -> Iterator[tuple[str, Made]]:
        give, control = self.server.give, self.server.machines[number].control
        for cue in self.server.limits(number):
            yield f"time: {cue.value}", self.server.pass_limit(number, cue)
        if control.asking:
            yield "no answer", give(number, ev.RequestFailed(REQUEST))
        if control.reading:
            yield "read fails", give(number, ev.ReadFailed(READ))
        if control.observing:
            yield "observed", give(number, ev.ObserveAnswered(OBSERVE, Code.CONTENT))
            yield "observation fails", give(number, ev.RequestFailed(OBSERVE))
        if control.registered:
            yield LAPSES, give(number, ev.Lapsed())
        yield "user cancels", give(number, ev.CancelRequested())
        yield RESTARTS, self.server.restart(number)

    def _after(self, state: Pair, kind: str, words: str, made: Made) -> Move[Pair]:
        """The pair after the server has taken an event."""
        broken = made.broken
        verdict = self.server.kinds[made.number]
        if verdict is not None and verdict is not self.server.kinds[state.server]:
            self.kinds.add(verdict)
            if verdict is Kind.SUCCEEDED:
                broken = (*broken, *self._check_success(state))
        if self.server.over[made.number] and verdict is Kind.CANCELLED and not kind.startswith("time"):
            broken = (*broken, *self._check_cancelled(state, made.number))
        if self.server.over[made.number]:
            return Move(kind, Pair(made.number, _ENDED), words, (), broken)
        sent, answer, pushing = state.sent, state.answer, state.pushing
        control = self.server.machines[made.number].control
        if made.request is not None or not control.asking:
            sent, answer, pushing = self._resent(sent, made.request), 0, False
        asked, values = state.asked, state.values
        if made.reads is not None:
            asked, values = self._paths.of(made.reads), 0
        elif not control.reading:
            asked, values = 0, 0
        after = Pair(made.number, state.device, sent, answer, asked, values, state.note, pushing)
        return Move(kind, after, words, (), broken)

    def _resent(self, number: int, request: Request | None) -> int:
        """What is in flight once another request is, or none is waited for any more."""
        sent = tuple([Sent(each.request, awaited=False) for each in self._sent.values[number]])
        if request is not None:
            sent = (*sent[max(len(sent) - self._most, 0) :], Sent(request, awaited=True))
        else:
            sent = sent[max(len(sent) - self._most, 0) :]
        return self._sent.of(sent)

    def _check_success(self, state: Pair) -> Iterator[Broken]:
        world = self.devices.worlds[state.device]
        if self._old_left(world) or world.boot is Boot.TRIAL:
            yield Broken(SUCCEEDED, f"{list(world.flash)} runs, {world.boot.value}")

    def _check_cancelled(self, state: Pair, number: int) -> Iterator[Broken]:
        world = self.devices.worlds[state.device]
        named = [part.done for part in self.server.machines[number].control.parts]
        installed = [now != was for now, was in zip(world.flash, self._old, strict=True)]
        if installed != named[: len(installed)]:
            yield Broken(CANCELLED, f"{list(world.flash)} runs, named are {named}")

    def _old_left(self, world: World) -> int:
        """How many components run what they ran before."""
        return sum(now == was for now, was in zip(world.flash, self._old, strict=True))

    # -- the network

    def _arrivals(self, state: Pair) -> Iterator[Move[Pair]]:
        """What arrives at the server."""
        give, number = self.server.give, state.server
        server, device, sent, answer, asked, values, note, pushing = state
        if answer:
            made = give(number, self._answer(state, answer))
            yield self._after(
                Pair(server, device, sent, 0, asked, values, note, pushing), "answer", _told(answer), made
            )
        if values:
            yield self._shown(state)
        if note:
            yield from self._notified(state, note)

    def _shown(self, state: Pair) -> Move[Pair]:
        """What was read arrives."""
        server, device, sent, answer, _, values, note, pushing = state
        shown = self._values.values[values]
        made = self.server.give(server, ("read", values), lambda: ev.ReadAnswered(READ, dict(shown)))
        words = ", ".join(f"{path} {value}" for path, value in shown)
        return self._after(Pair(server, device, sent, answer, 0, 0, note, pushing), "read answered", words, made)

    def _notified(self, state: Pair, note: int) -> Iterator[Move[Pair]]:
        told = self._notes.values[note]
        if told is None:
            return
        made = self.server.give(state.server, ("note", note), lambda: ev.Notified(*told))
        if made.number == state.server:
            return  # it says nothing new, and may as well be lost
        server, device, sent, answer, asked, values, _, pushing = state
        words = f"{told.path} {told.value}"
        yield self._after(Pair(server, device, sent, answer, asked, values, 0, pushing), "notified", words, made)
        if self._late:
            yield self._after(state, "notified, by a copy", words, made)

    def _answer(self, state: Pair, code: int) -> ev.UpdateEvent:
        step = self.server.machines[state.server].control.step
        match step:
            case UpdateStep.PUSH:
                return ev.PushAnswered(REQUEST, code)
            case UpdateStep.EXECUTE:
                return ev.ExecuteAnswered(REQUEST, code)
            case _:
                return ev.WriteAnswered(REQUEST, code)

    # -- the device

    def _at_device(self, state: Pair, world: World) -> Iterator[Move[Pair]]:
        """What arrives at a device that is up."""
        server, device, sent, answer, asked, values, note, pushing = state
        if asked and not values:
            read = Pair(server, device, sent, answer, asked, self._read(device, asked), note, pushing)
            if self._late:
                yield Move("read", read)
            else:
                yield self._shown(read)
        registers = self.server.give(server, "registered", lambda: self._registration)
        yield self._after(state, "device registers", "", registers)
        if any(way is Filling.PULL for _, way in world.filling):
            served = self.server.give(server, ev.PullProgress(1))
            if served.number != server:
                yield self._after(state, "package served", "", served)
        if sent and world.checking is None:
            for at in range(len(self._sent.values[sent])):
                yield from self._taken(state, at)

    def _taken(self, state: Pair, at: int) -> Iterator[Move[Pair]]:
        """One of the requests arrives."""
        sent = self._sent.values[state.sent]
        request, awaited = sent[at]
        left = self._sent.of(sent[:at] + sent[at + 1 :])
        for way in self.devices.take(state.device, request):
            begins = isinstance(request, Push) and way.code == Code.CONTINUE
            answer = way.code or 0 if awaited and not begins else state.answer
            pushing = awaited if begins else state.pushing
            yield from self._moved(state, way, left, answer, pushing=pushing)

    def _read(self, device: int, asked: int) -> int:
        read = self._reads.get((device, asked))
        if read is None:
            values = self.devices.values(device, self._paths.values[asked])
            read = self._reads[device, asked] = self._values.of(values)
        return read

    def _moved(self, state: Pair, way: Way, sent: int, answer: int, *, pushing: bool) -> Iterator[Move[Pair]]:
        """The pair after a move of the device, whatever of it is told."""
        server, _, _, _, asked, values, note, _ = state
        if not self.devices.worlds[way.device].on:
            pushing = False
        after = Pair(server, way.device, sent, answer, asked, values, note, pushing)
        yield Move(way.kind, after, way.words, (), way.broken)
        for told in way.told:
            number = self._notes.of(told)
            if self._late:
                after = Pair(server, way.device, sent, answer, asked, values, number, pushing)
                yield Move(way.kind, after, way.words)
            else:
                yield from self._notified(after, number)


def _told(code: int) -> str:
    return f"{code >> 5}.{code & 31:02}"
