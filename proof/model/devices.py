"""The device of a pair: all worlds of it that were met, and what each request leads to."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, assert_never, final

from lwm2m_fota.machines import events as device_events
from lwm2m_fota.machines import update_events as ev
from lwm2m_fota.machines.component_profile import AdvancedProfile
from lwm2m_fota.machines.coordinator_events import InstanceEvent, On, UpdateRequested
from lwm2m_fota.machines.update_effects import ClearUri, Configure, Execute, Push, WriteNul, WriteUri
from lwm2m_fota.model.advanced import ADVANCED_OBJECT_ID, AdvancedResource
from lwm2m_fota.model.firmware import AUTOMATIC_UPGRADE, FIRMWARE_OBJECT_ID
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.update import UpdateResource
from lwm2m_fota.testing.explore.device import URI, DeviceModel
from lwm2m_fota.testing.explore.laws import Components, Happening, Own
from lwm2m_fota.testing.explore.search import Broken, Move
from lwm2m_fota.testing.explore.world import World
from proof.model.server import NEW_EPOCH, Request


class Note(NamedTuple):
    """A notification in flight."""

    path: Path
    value: int


class Way(NamedTuple):
    """A move of the device.

    Attributes:
        kind: what sort of thing.
        words: more of it.
        device: the number of the world that follows.
        code: what the peer is told.
        broken: what does not hold of it.
        told: what may be notified.
    """

    kind: str
    words: str
    device: int
    code: int | None
    broken: tuple[Broken, ...]
    told: tuple[Note, ...]


@final
class Devices:
    """All worlds of one device that were met, by number, with what each request leads to.

    Args:
        model: of the device.
    """

    def __init__(self, model: DeviceModel) -> None:
        self.model = model
        self.worlds: list[World] = []
        self.fired: set[str] = set()
        self._numbers: dict[World, int] = {}
        self._own: dict[int, tuple[Way, ...]] = {}
        self._taken: dict[tuple[int, Request], tuple[Way, ...]] = {}
        law = model.law
        self.object_id = ADVANCED_OBJECT_ID if isinstance(law, Components) else FIRMWARE_OBJECT_ID
        self.profile: AdvancedProfile | None = law.advanced if isinstance(law, Components) else None

    def number(self, world: World) -> int:
        """The number of a world."""
        number = self._numbers.get(world)
        if number is None:
            number = self._numbers[world] = len(self.worlds)
            self.worlds.append(world)
        return number

    def own(self, number: int) -> tuple[Way, ...]:
        """What can happen to the device by itself."""
        ways = self._own.get(number)
        if ways is None:
            world = self.worlds[number]
            ways = self._own[number] = tuple(self._ways(world, self.model.own_moves(world)))
        return ways

    def take(self, number: int, request: Request) -> tuple[Way, ...]:
        """What a request that arrives leads to."""
        asked = number, request
        ways = self._taken.get(asked)
        if ways is None:
            world = self.worlds[number]
            made = [way for words, event in self._events(request) for way in self._answered(world, words, event)]
            ways = self._taken[asked] = tuple(made)
        return ways

    def _answered(self, world: World, words: str, event: Happening) -> Iterator[Way]:
        outcome = self.model.give(world, event)
        if outcome.taken.rows:
            yield from self._ways(world, self.model.asked(world, words, event))
        else:
            code = outcome.taken.code
            yield Way("device refuses", words, self.number(world), code, outcome.broken, ())

    def _ways(self, world: World, moves: Iterable[Move[World]]) -> Iterator[Way]:
        for move in moves:
            self.fired.update(move.fired)
            told = tuple(self._notes(world, move.state)) if move.state.on else ()
            yield Way(move.kind, move.words, self.number(move.state), move.code, move.broken, told)

    def _notes(self, before: World, after: World) -> Iterator[Note]:
        for was, now in zip(before.group.components, after.group.components, strict=True):
            if was.machine.result is not now.machine.result:
                path = Path.of(self.object_id, now.instance, UpdateResource.UPDATE_RESULT)
                yield Note(path, int(now.machine.result))
            if was.machine.state is not now.machine.state:
                yield Note(Path.of(self.object_id, now.instance, UpdateResource.STATE), int(now.machine.state))

    def _events(self, request: Request) -> Iterator[tuple[str, Happening]]:
        if isinstance(request, Configure):
            enabled = any(path.ids[2] == AUTOMATIC_UPGRADE and value is True for path, value in request.values)
            yield f"Automatic Upgrade {enabled}", Own(device_events.AutoUpgradeWritten(enabled))
            return
        instance = request.path.ids[1]
        for words, event in self._on_instance(request):
            yield f"/{instance} {words}", On(instance, event)

    def _on_instance(self, request: Request) -> Iterator[tuple[str, InstanceEvent]]:
        match request:
            case WriteUri():
                yield "Package URI", device_events.UriWritten(URI)
            case ClearUri():
                yield "empty Package URI", device_events.ResetWritten("uri")
            case WriteNul():
                yield "Package of one NUL byte", device_events.ResetWritten("package")
            case Push():
                yield "Package, first block", device_events.PackageBegun()
            case Execute(_, path, others) if path.ids[2] == UpdateResource.UPDATE:
                yield f"Update {'' if others is None else list(others)}", UpdateRequested(others)
                if self.model.around.defers:
                    yield "Update, deferred", UpdateRequested(others, defer=True)
            case Execute():
                yield "Cancel", device_events.CancelExecuted()
            case Configure():
                raise AssertionError("a setting is not of an instance")
            case _:
                assert_never(request)

    # -- what it shows

    def registration(self) -> ev.Registered:
        """What it registers with."""
        law = self.model.law
        version = "1.0" if self.profile is not None else law.profile.version
        instances = () if self.profile is None else self.profile.instances
        return ev.Registered(object_versions={self.object_id: version}, instances=instances, epoch=NEW_EPOCH)

    def values(self, number: int, paths: Sequence[Path]) -> tuple[tuple[Path, object], ...]:
        """What a read of these paths shows."""
        world = self.worlds[number]
        return tuple((path, self._value(world, path)) for path in paths)

    def _value(self, world: World, path: Path) -> object:
        object_id, instance, resource = path.ids
        if object_id not in {FIRMWARE_OBJECT_ID, ADVANCED_OBJECT_ID}:
            return world.flash[0]
        group = world.group
        machine, at = group.component(instance).machine, [each.instance for each in group.components].index(instance)
        values: dict[int, object] = {
            UpdateResource.STATE: int(machine.state),
            UpdateResource.UPDATE_RESULT: int(machine.result),
            UpdateResource.PROTOCOL_SUPPORT: 0,
            UpdateResource.DELIVERY_METHOD: int(self.model.law.profile.delivery),
            UpdateResource.MAXIMUM_DEFER_PERIOD: machine.settings.max_defer_s,
        }
        if self.profile is None:
            values[AUTOMATIC_UPGRADE] = machine.settings.auto_upgrade
        else:
            values[AdvancedResource.COMPONENT_NAME] = self.profile.name_of(instance)
            values[AdvancedResource.CURRENT_VERSION] = world.flash[at]
        return values[resource]
