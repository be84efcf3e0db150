"""The command processor: runs the update procedure of a manifest, and changes nothing.

(draft-ietf-suit-manifest-37 section 6.)

What comes of it is what each component is to hold, and which digests that has to have.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final, TypeAlias, assert_never, final

import attrs

from lwm2m_fota.errors import PackageError
from lwm2m_fota.package.crypto import Hash
from lwm2m_fota.package.crypto.secret import same
from lwm2m_fota.package.formats.suit.codes import UPDATE, Condition, Directive, Key
from lwm2m_fota.package.formats.suit.commands import Act, Assign, Check, Commands, RunSequence, Select, TryEach
from lwm2m_fota.package.formats.suit.content import Decrypted, Expectation, Fetched, Home, Kept, Written, is_integrated
from lwm2m_fota.package.formats.suit.digests import SuitDigest
from lwm2m_fota.package.formats.suit.limits import SuitLimits
from lwm2m_fota.package.formats.suit.machine import MachineState, Surroundings
from lwm2m_fota.package.formats.suit.manifest import Manifest
from lwm2m_fota.package.formats.suit.members import Opened
from lwm2m_fota.package.formats.suit.reading import ComponentId, id_text, malformed, too_much, unsupported
from lwm2m_fota.package.verdicts import Refusal, refusal_error


class ConditionFailedError(Exception):
    """A condition does not hold; whether that ends the update is for the sequence around it to say."""

    def __init__(self, error: PackageError, *, is_soft: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.is_soft = is_soft


_COMPARED_BYTES: Final = 4096
"""What is hashed to be compared counts as one more command for each so many bytes."""

_NO_MANIFESTS: Final[Mapping[Fetched, Opened]] = MappingProxyType({})

_Test: TypeAlias = Callable[["Processor", MachineState, str], MachineState | PackageError]
_Deed: TypeAlias = Callable[["Processor", MachineState, str], MachineState]


class ManifestMissingError(Exception):
    """A manifest that another one depends on has not come yet."""

    def __init__(self, content: Fetched) -> None:
        super().__init__(content.uri)
        self.content = content


@final
@attrs.frozen
class Origin:
    """Which manifest a component is from.

    Attributes:
        manifest: the manifest.
        id: what it calls the component.
    """

    manifest: Manifest
    id: ComponentId


@final
class Run:
    """What the processors of one update share.

    Args:
        surroundings: the device.
        limits: how much is run.
        manifests: those that others depend on, as far as they have come, by their contents.

    Attributes:
        origins: where each component is from, by its name; those of manifests that others depend on come first.
        numbers: the sequence numbers of manifests that have names of their own, by these.
    """

    __slots__ = ("_commands_left", "limits", "manifests", "numbers", "origins", "surroundings")

    def __init__(
        self, surroundings: Surroundings, limits: SuitLimits, manifests: Mapping[Fetched, Opened] = _NO_MANIFESTS
    ) -> None:
        self.surroundings = surroundings
        self.limits = limits
        self.manifests = manifests
        self.origins: dict[str, Origin] = {}
        self.numbers: dict[str, int] = {}
        self._commands_left = limits.max_commands

    def count(self, commands: int) -> None:
        """So many commands are run: what is for several components counts once for each.

        Raises:
            PackageError: there are too many.
        """
        self._commands_left -= commands
        if self._commands_left < 0:
            most = self.limits.max_commands
            raise too_much("commands that are run", most + 1, "max_commands", most)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Take back what manifests have left, where a condition that does not hold ends what is run here."""
        origins, numbers = dict(self.origins), dict(self.numbers)
        try:
            yield
        except ConditionFailedError:
            self.origins, self.numbers = origins, numbers
            raise


@final
class Processor:
    """Runs the commands of one manifest.

    Args:
        manifest: the manifest.
        run: what it shares with those of other manifests.
        prefix: what goes before the ids of its components.
        home: its envelope.
        depth: how many manifests depend on it, one on the other.
    """

    __slots__ = ("_dependencies", "_depth", "_home", "_key", "_manifest", "_names", "_prefix", "_run")

    def __init__(
        self, manifest: Manifest, run: Run, *, prefix: ComponentId = (), home: Home = (), depth: int = 0
    ) -> None:
        self._manifest = manifest
        self._run = run
        self._prefix = prefix
        self._home = home
        self._depth = depth
        self._key = Key.INSTALL  # the section that is run
        common = manifest.common
        self._names = {index: self._name(index) for index in common.scope.indices}
        self._dependencies = {self._names[index]: prefix for index, prefix in common.dependencies.items()}

    def run(self) -> MachineState:
        """Run the update procedure: payload fetch, install, validate, each after the shared sequence.

        Raises:
            PackageError: a condition does not hold, a command cannot be run, or there are too many.
        """
        state = MachineState(selected=())
        for key in UPDATE:
            state = self.section(key, state)
        self._leave()
        return state

    def section(self, key: Key, state: MachineState) -> MachineState:
        """Run one section after the shared sequence; a condition that does not hold ends the update.

        Raises:
            PackageError: as `run`.
        """
        self._key = key
        if key in self._manifest.severed and key not in self._manifest.sequences:
            raise malformed(f"{key.name.lower()} was severed, and is not there")
        if key not in self._manifest.sequences:
            return state
        first, selected = self._selected(self._manifest.common.scope.indices[:1]), state.selected
        try:
            for commands in (self._manifest.common.shared, self._manifest.sequences[key]):
                state = self._sequence(commands, attrs.evolve(state, selected=first), is_soft=False)
        except ConditionFailedError as failed:
            raise failed.error from failed
        return attrs.evolve(state, selected=selected)

    def _leave(self) -> None:
        """Leave to the run what this manifest is called, and where its components are from."""
        manifest, numbers = self._manifest, self._run.numbers
        for index, each in enumerate(manifest.common.components):
            if index not in manifest.common.dependencies:
                self._run.origins[self.name_of(index)] = Origin(manifest, each)
        if manifest.component_id is not None:
            name = id_text((*self._prefix, *manifest.component_id))
            numbers[name] = max(manifest.sequence_number, numbers.get(name, 0))

    def _sequence(self, commands: Commands, state: MachineState, *, is_soft: bool) -> MachineState:
        """Run a sequence; `is_soft` is how its failures are until it sets that itself."""
        for command in commands:
            match command:
                case Select(indices):
                    self._run.count(len(indices))
                    state = attrs.evolve(state, selected=self._selected(indices))
                case Assign(parameters, is_forced):
                    self._run.count(len(state.selected))
                    state = state.assigned(parameters, is_forced=is_forced)
                    is_soft = is_soft if parameters.soft_failure is None else parameters.soft_failure
                case TryEach() | RunSequence() | Check() | Act():
                    selected = state.selected
                    for name in selected:
                        self._run.count(1)
                        state = self._one(command, attrs.evolve(state, selected=(name,)), name, is_soft=is_soft)
                    state = attrs.evolve(state, selected=selected)
                case _ as never:
                    assert_never(never)
        return state

    def _one(
        self, command: TryEach | RunSequence | Check | Act, state: MachineState, name: str, *, is_soft: bool
    ) -> MachineState:
        """Run a command for one component."""
        match command:
            case TryEach(alternatives):
                return self._try_each(alternatives, state, is_soft=is_soft)
            case RunSequence(commands):
                return self._run_sequence(commands, state, is_soft=is_soft)
            case Check(condition):
                found = _TESTS[condition](self, state, name)
                if isinstance(found, PackageError):
                    raise ConditionFailedError(found, is_soft=is_soft)
                return found
            case Act(directive):
                return _DEEDS[directive](self, state, name)
            case _ as never:
                assert_never(never)

    def _try_each(self, alternatives: tuple[Commands, ...], state: MachineState, *, is_soft: bool) -> MachineState:
        first: PackageError | None = None
        for commands in alternatives:
            try:
                with self._run.attempt():
                    return self._sequence(commands, state, is_soft=True)
            except ConditionFailedError as failed:
                first = first or failed.error
                if not failed.is_soft:
                    first = failed.error
                    break
        if first is None:
            raise AssertionError
        raise ConditionFailedError(first, is_soft=is_soft)

    def _run_sequence(self, commands: Commands, state: MachineState, *, is_soft: bool) -> MachineState:
        try:
            with self._run.attempt():
                return self._sequence(commands, state, is_soft=False)
        except ConditionFailedError as failed:
            if failed.is_soft:
                return state
            raise ConditionFailedError(failed.error, is_soft=is_soft) from failed

    # What conditions and directives need.

    def _selected(self, indices: tuple[int, ...]) -> tuple[str, ...]:
        return tuple(map(self.name_of, indices))

    def name_of(self, index: int) -> str:
        """What a component is called; a manifest that is only depended on has a name that nothing else has."""
        return self._names[index]

    def _name(self, index: int) -> str:
        common = self._manifest.common
        if index < len(common.components):
            return id_text((*self._prefix, *common.components[index]))
        # no id begins so, and no other manifest depends on something that is called the same
        return f"/{index}/{id_text(self._prefix)}//{self._home}"

    @property
    def surroundings(self) -> Surroundings:
        """The device."""
        return self._run.surroundings

    def content_at(self, uri: str, size_bytes: int | None) -> Fetched:
        """A payload that this manifest names."""
        return Fetched(uri, size_bytes, self._home if is_integrated(uri) else ())

    def compares(self, size_bytes: int) -> None:
        """So many bytes are hashed, which is work too.

        Raises:
            PackageError: there is too much of it.
        """
        self._run.count(size_bytes // _COMPARED_BYTES)

    def is_dependency(self, name: str) -> bool:
        """Whether a component is a manifest that this one depends on."""
        return name in self._dependencies

    def dependency(self, state: MachineState, name: str) -> tuple[Opened, Fetched]:
        """The manifest that a component holds.

        Raises:
            ManifestMissingError: it has not come yet.
            UnsupportedPackageError: it is not fetched.
        """
        content = state.content_of(name)
        if not isinstance(content, Fetched):
            raise unsupported("a manifest that is depended on, and not fetched")
        if content not in self._run.manifests:
            raise ManifestMissingError(content)
        return self._run.manifests[content], content

    def process(self, state: MachineState, name: str) -> MachineState:
        """Run the section that is run here of a manifest that this one depends on.

        Raises:
            PackageError: as `run`; or it has not been compared, or there are too many levels.
        """
        if name not in state.matched:
            raise malformed("a manifest is to be processed that is no dependency, or has not been compared")
        limits = self._run.limits
        if self._depth >= limits.max_dependency_depth:
            most = limits.max_dependency_depth
            raise too_much("manifests that depend on one another", most + 1, "max_dependency_depth", most)
        opened, content = self.dependency(state, name)
        self._run.count(len(opened.manifest.common.scope.indices))
        inner = Processor(
            opened.manifest,
            self._run,
            prefix=(*self._prefix, *self._dependencies[name]),
            home=content.inside,
            depth=self._depth + 1,
        )
        state = inner.section(self._key, state)
        inner._leave()
        return state


def _fails(detail: str) -> PackageError:
    return refusal_error(Refusal.CONDITION_FAILED, detail)


def _unset(what: str) -> PackageError:
    return _fails(f"{what} is not set")


# Conditions: the state after one that holds, or why it does not.


def _identity(word: str) -> _Test:
    """The condition on an id: of the vendor, the class or the device."""

    def test(processor: Processor, state: MachineState, name: str) -> MachineState | PackageError:
        wanted: bytes | None = getattr(state.parameters_of(name), f"{word}_id")
        around = processor.surroundings
        if wanted is None:
            return _unset(f"the {word} id")
        if around.is_any_device or wanted in getattr(around.identity, f"{word}_ids"):
            return state.made_for_also(**{f"{word}_id": wanted})
        return refusal_error(Refusal.WRONG_DEVICE, f"it is for {word} {wanted.hex()}")

    return test


def _image_match(processor: Processor, state: MachineState, name: str) -> MachineState | PackageError:
    parameters = state.parameters_of(name)
    if parameters.image_digest is None:
        return _unset("the digest of the image")
    return _compare(processor, state, name, parameters.image_digest, parameters.image_size)


def _check_content(processor: Processor, state: MachineState, name: str) -> MachineState | PackageError:
    wanted = state.parameters_of(name).content
    if wanted is None:
        return _unset("the content")
    processor.compares(len(wanted))
    return _compare(processor, state, name, SuitDigest(Hash.SHA256, Hash.SHA256.digest(wanted)), len(wanted))


def _compare(
    processor: Processor, state: MachineState, name: str, digest: SuitDigest, size: int | None
) -> MachineState | PackageError:
    """Compare what a component holds: now where it is at hand, later where it is on its way."""
    if processor.is_dependency(name):
        return _compare_manifest(processor, state, name, digest)
    match state.content_of(name):
        case Kept(kept):
            held = processor.surroundings.held.get(kept)
            is_held = held is not None and digest.kind is Hash.SHA256 and same(held, digest.value)
            return state if is_held else _fails(f"component {name} does not hold what it has to, or nobody knows")
        case Written(data) as content:
            processor.compares(len(data))
            is_met = Expectation(content, digest, size).is_met_by(digest.kind.digest(data), len(data))
            return state if is_met else refusal_error(Refusal.DIGEST_MISMATCH, f"what is written to component {name}")
        case content:
            return state.expecting(Expectation(content, digest, size))


def _compare_manifest(
    processor: Processor, state: MachineState, name: str, digest: SuitDigest
) -> MachineState | PackageError:
    """Of a manifest that is depended on, the manifest is compared, not its envelope; who signed it was judged."""
    opened, _ = processor.dependency(state, name)
    data = opened.members[Key.MANIFEST].data
    processor.compares(len(data))
    if not digest.holds(data):
        return digest.mismatch("a manifest that is depended on")
    return attrs.evolve(state, matched=state.matched | {name})


def _component_slot(processor: Processor, state: MachineState, name: str) -> MachineState | PackageError:
    wanted = state.parameters_of(name).component_slot
    if wanted is None:
        return _unset("the slot")
    slot = processor.surroundings.slots.get(name)
    return state if slot == wanted else _fails(f"component {name} does not go to slot {wanted}")


def _abort(_processor: Processor, _state: MachineState, _name: str) -> PackageError:
    return _fails("the manifest says that this does not fit")


def _is_dependency(processor: Processor, state: MachineState, name: str) -> MachineState | PackageError:
    return state if processor.is_dependency(name) else _fails(f"component {name} is no dependency")


def _dependency_integrity(processor: Processor, state: MachineState, name: str) -> MachineState | PackageError:
    found = _is_dependency(processor, state, name)
    return found if isinstance(found, PackageError) else _image_match(processor, state, name)


# Directives: the state after one.


def _fetch(processor: Processor, state: MachineState, name: str) -> MachineState:
    parameters = state.parameters_of(name)
    if parameters.uri is None:
        raise malformed(f"a fetch for component {name}, and no URI is set")
    return state.holding({name: processor.content_at(parameters.uri, parameters.image_size)})


def _write(_processor: Processor, state: MachineState, name: str) -> MachineState:
    parameters = state.parameters_of(name)
    if not parameters.content:
        raise malformed(f"a write to component {name}, and no content is set")
    content = Written(parameters.content)
    info = parameters.encryption_info
    return state.holding({name: content if info is None else Decrypted(content, info)})


def _source(processor: Processor, state: MachineState, name: str) -> str:
    index = state.parameters_of(name).source_component
    source = name if index is None else processor.name_of(index)
    if source == name:
        raise malformed(f"component {name} is to come from another one, and none is set")
    return source


def _copy(processor: Processor, state: MachineState, name: str) -> MachineState:
    source = _source(processor, state, name)
    content = state.content_of(source)
    if isinstance(content, Kept):
        raise unsupported("a copy of what the device holds already")
    info = state.parameters_of(name).encryption_info
    if info is not None:
        if isinstance(content, Decrypted):
            raise unsupported("a payload that is encrypted twice")
        content = Decrypted(content, info)
    return state.holding({name: content}, [source])


def _swap(processor: Processor, state: MachineState, name: str) -> MachineState:
    source = _source(processor, state, name)
    return state.holding({name: state.content_of(source), source: state.content_of(name)}, [source])


def _unlink(processor: Processor, state: MachineState, name: str) -> MachineState:
    """Give up what this update has put into a component; what is from former ones is not a manifest's to remove."""
    if processor.is_dependency(name) or isinstance(state.content_of(name), Kept):
        raise unsupported(f"an unlink of {name}, which this update has not put there")
    return state.without(name)


_TESTS: Final[Mapping[Condition, _Test]] = MappingProxyType(
    {
        Condition.VENDOR_ID: _identity("vendor"),
        Condition.CLASS_ID: _identity("class"),
        Condition.DEVICE_ID: _identity("device"),
        Condition.IMAGE_MATCH: _image_match,
        Condition.CHECK_CONTENT: _check_content,
        Condition.COMPONENT_SLOT: _component_slot,
        Condition.ABORT: _abort,
        Condition.IS_DEPENDENCY: _is_dependency,
        Condition.DEPENDENCY_INTEGRITY: _dependency_integrity,
    }
)
_DEEDS: Final[Mapping[Directive, _Deed]] = MappingProxyType(
    {
        Directive.FETCH: _fetch,
        Directive.WRITE: _write,
        Directive.COPY: _copy,
        Directive.SWAP: _swap,
        Directive.PROCESS_DEPENDENCY: Processor.process,
        Directive.UNLINK: _unlink,
    }
)
"""INVOKE is not here: it belongs to no sequence of an update."""
