"""The server's update with a device that may answer anything: every row that some device can make it take."""

from collections import Counter, deque
from collections.abc import Hashable, Iterator
from functools import partial
from typing import Final, final

from lwm2m_fota.machines import update_events as ev
from lwm2m_fota.machines.update_policy import UpdatePlan
from lwm2m_fota.machines.update_state import Control
from lwm2m_fota.machines.update_steps import STEPS, Ask, UpdateStep
from lwm2m_fota.model.advanced import ADVANCED_OBJECT_ID, AdvancedResource
from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.firmware import AUTOMATIC_UPGRADE, FIRMWARE_OBJECT_ID
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.update import UpdateResource
from proof.model.server import NEW_EPOCH, OBSERVE, READ, REQUEST, Made, Server

PAIRS: Final = ((0, 0), (0, 1), (0, 4), (0, 8), (1, 0), (2, 0), (2, 8), (2, 11), (3, 0))
"""State and Update Result that one read shows: one of each sort that the server tells apart."""

COMPONENTS: Final = ("main", "modem", "radio")
"""Their names, by instance."""

CODES: Final = (
    *(Code.CHANGED, Code.BAD_REQUEST, Code.REQUEST_ENTITY_INCOMPLETE),
    *(Code.SERVICE_UNAVAILABLE, Code.GATEWAY_TIMEOUT),
)
"""Answers to a request: one of each sort."""


def _sort(control: Control) -> Hashable:
    """What tells a state from another one in the same step, for what may come next."""
    part = control.part
    late = (part.version, part.kept) if control.step is UpdateStep.LATE else ()
    seen = control.settled, control.upgrades_itself, part.moved, part.state
    done = tuple(each.done for each in control.parts)
    return control.step, control.delivered, done, *seen, control.cancel, control.reading, *late


_LEARNT: Final[tuple[dict[int, object], ...]] = (
    {UpdateResource.DELIVERY_METHOD: 2, UpdateResource.PROTOCOL_SUPPORT: 0, AUTOMATIC_UPGRADE: False},
    {UpdateResource.DELIVERY_METHOD: 2, UpdateResource.PROTOCOL_SUPPORT: 0, AUTOMATIC_UPGRADE: True},
    {UpdateResource.DELIVERY_METHOD: 0, UpdateResource.PROTOCOL_SUPPORT: 0},
    {UpdateResource.DELIVERY_METHOD: 1, UpdateResource.PROTOCOL_SUPPORT: 0},
    {UpdateResource.DELIVERY_METHOD: 2, UpdateResource.PROTOCOL_SUPPORT: 3},
)
"""What a device can do."""


@final
class AloneModel:
    """A server's update with any device of one object.

    Args:
        plan: what it is to do.
        instances: those of Object 33629; none for Object 5.
        versions: what runs before the update, and after it.
    """

    def __init__(
        self, plan: UpdatePlan, instances: tuple[int, ...] = (), versions: tuple[str, str] = ("1.0.0", "2.0.0")
    ) -> None:
        self.server = Server(plan, whole=True)
        self._instances = instances
        self._versions = versions
        self._object = ADVANCED_OBJECT_ID if instances else FIRMWARE_OBJECT_ID

    def walk(self, each: int) -> Iterator[tuple[tuple[str, ...], Made]]:
        """What happens in the first states of every sort that are met; there are too many for all of them.

        Args:
            each: how many states of one sort are looked at.

        Yields:
            The way, event by event, and what its last one led to.
        """
        first = self.server.start()
        ways: dict[int, tuple[str, ...]] = {first: ()}
        waiting = deque([first])
        looked_at = Counter[Hashable]()
        while waiting:
            number = waiting.popleft()
            sort = _sort(self.server.machines[number].control)
            looked_at[sort] += 1
            if looked_at[sort] > each:
                continue
            for kind, made in (*self._by_itself(number), *self._by_device(number)):
                way = (*ways[number], kind)
                yield way, made
                if made.number not in ways:
                    ways[made.number] = way
                    waiting.append(made.number)

    def _by_itself(self, number: int) -> Iterator[tuple[str, Made]]:
        give = self.server.give
        for cue in self.server.limits(number):
            yield f"time: {cue.value}", self.server.pass_limit(number, cue)
        yield "user cancels", give(number, ev.CancelRequested())
        yield "server restarts", self.server.restart(number)
        if self.server.machines[number].control.registered:
            yield "registration lapses", give(number, ev.Lapsed())
        for version in ("1.2", None):
            yield f"registers {version}", give(number, ("registered", version), partial(self._registration, version))

    def _registration(self, version: str | None) -> ev.Registered:
        versions = {} if version is None else {self._object: version}
        return ev.Registered(object_versions=versions, instances=self._instances, epoch=NEW_EPOCH)

    def _by_device(self, number: int) -> Iterator[tuple[str, Made]]:
        give, control = self.server.give, self.server.machines[number].control
        if control.asking:
            for code in CODES:
                yield f"answer {code.name}", give(number, ev.PushAnswered(REQUEST, code))
            yield "no answer", give(number, ev.RequestFailed(REQUEST))
            yield "no package", give(number, ev.SourceFailed(REQUEST))
            yield "sent", give(number, ev.PushProgress(REQUEST, 1))
        if control.observing:
            yield "observed", give(number, ev.ObserveAnswered(OBSERVE, Code.CONTENT))
            yield "not observed", give(number, ev.RequestFailed(OBSERVE))
        yield "served", give(number, ev.PullProgress(1))
        if control.reading:
            yield "read fails", give(number, ev.ReadFailed(READ))
            for at, values in enumerate(self._shown(control)):
                key = "read", control.step, at
                yield f"read {at}", give(number, key, partial(ev.ReadAnswered, READ, values))
        for target in control.targets[:1]:
            for state in (0, 1, 2, 3):
                yield "notified", give(number, ev.Notified(Path.of(control.object_id, target, 3), state))
            for result in (0, 1, 8):
                yield "notified", give(number, ev.Notified(Path.of(control.object_id, target, 5), result))

    def _shown(self, control: Control) -> Iterator[dict[Path, object]]:
        ask = STEPS[control.step].ask
        if ask is Ask.COMPONENTS:
            names = {
                Path.of(ADVANCED_OBJECT_ID, each, AdvancedResource.COMPONENT_NAME): COMPONENTS[each]
                for each in self._instances
            }
            yield dict(names)
            yield {}
            yield {next(iter(names)): "another"}
            return
        for at, learnt in enumerate(_LEARNT if ask is Ask.LEARN else _LEARNT[:1]):
            for pair in PAIRS if at == 0 else PAIRS[:1]:
                for version in (*self._versions, None):
                    yield self._values(control, pair, version, learnt)
        if len(control.targets) > 1:
            yield from self._mixed(control)

    def _values(
        self, control: Control, pair: tuple[int, int], version: str | None, learnt: dict[int, object]
    ) -> dict[Path, object]:
        values: dict[Path, object] = {} if version is None else {Path.of(3, 0, 3): version}
        for target in control.targets:
            values[Path.of(control.object_id, target, UpdateResource.STATE)] = pair[0]
            values[Path.of(control.object_id, target, UpdateResource.UPDATE_RESULT)] = pair[1]
            if version is not None:
                values[Path.of(control.object_id, target, AdvancedResource.CURRENT_VERSION)] = version
            values.update({Path.of(control.object_id, target, each): value for each, value in learnt.items()})
        return values

    def _mixed(self, control: Control) -> Iterator[dict[Path, object]]:
        """The first component shows something else than the others."""
        first = control.targets[0]
        for pair, other in ((0, 0), (2, 0)), ((2, 0), (0, 0)), ((0, 1), (2, 0)):
            values = self._values(control, other, self._versions[0], _LEARNT[0])
            values[Path.of(control.object_id, first, UpdateResource.STATE)] = pair[0]
            values[Path.of(control.object_id, first, UpdateResource.UPDATE_RESULT)] = pair[1]
            version = self._versions[1 if pair == (0, 1) else 0]
            values[Path.of(control.object_id, first, AdvancedResource.CURRENT_VERSION)] = version
            yield values
