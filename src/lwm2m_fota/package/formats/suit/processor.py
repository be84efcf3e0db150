"""The command processor: runs the update procedure of a manifest, and changes nothing.

(draft-ietf-suit-manifest-37 section 6.)

What comes of it is what each component is to hold, and which digests that has to have.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias, assert_never, final

import attrs

from lwm2m_fota.errors import PackageError
from lwm2m_fota.package.crypto import Hash
from lwm2m_fota.package.crypto.secret import same
from lwm2m_fota.package.formats.suit.codes import UPDATE, Condition, Directive
from lwm2m_fota.package.formats.suit.commands import Act, Assign, Check, Commands, RunSequence, Select, TryEach
from lwm2m_fota.package.formats.suit.content import Decrypted, Expectation, Fetched, Kept, Written
from lwm2m_fota.package.formats.suit.digests import SuitDigest
from lwm2m_fota.package.formats.suit.limits import SuitLimits
from lwm2m_fota.package.formats.suit.machine import MachineState, Surroundings
from lwm2m_fota.package.formats.suit.manifest import Manifest
from lwm2m_fota.package.formats.suit.reading import id_text, malformed, too_much, unsupported
from lwm2m_fota.package.verdicts import Refusal, refusal_error


class ConditionFailedError(Exception):
    """A condition does not hold; whether that ends the update is for the sequence around it to say."""

    def __init__(self, error: PackageError, *, is_soft: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.is_soft = is_soft


_Test: TypeAlias = Callable[["Processor", MachineState, str], MachineState | PackageError]
_Deed: TypeAlias = Callable[["Processor", MachineState, str], MachineState]


@final
class Processor:
    """Runs the commands of one manifest.

    Args:
        manifest: the manifest.
        surroundings: the device.
        limits: how much is run.
    """

    __slots__ = ("_commands_left", "_limits", "_manifest", "_surroundings")

    def __init__(self, manifest: Manifest, surroundings: Surroundings, limits: SuitLimits) -> None:
        self._manifest = manifest
        self._surroundings = surroundings
        self._limits = limits
        self._commands_left = limits.max_commands

    def run(self) -> MachineState:
        """Run the update procedure: payload fetch, install, validate, each after the shared sequence.

        Raises:
            PackageError: a condition does not hold, a command cannot be run, or there are too many.
        """
        first = self._names(self._manifest.common.scope.indices[:1])
        state = MachineState(selected=first)
        for key in UPDATE:
            if key in self._manifest.sequences:
                for commands in (self._manifest.common.shared, self._manifest.sequences[key]):
                    state = self._outer(commands, attrs.evolve(state, selected=first))
            elif key in self._manifest.severed:
                raise malformed(f"{key.name.lower()} was severed, and is not there")
        return state

    def _outer(self, commands: Commands, state: MachineState) -> MachineState:
        try:
            return self._sequence(commands, state, is_soft=False)
        except ConditionFailedError as failed:
            raise failed.error from failed

    def _sequence(self, commands: Commands, state: MachineState, *, is_soft: bool) -> MachineState:
        """Run a sequence; `is_soft` is how its failures are until it sets that itself."""
        for command in commands:
            match command:
                case Select(indices):
                    state = attrs.evolve(state, selected=self._names(indices))
                case Assign(parameters, is_forced):
                    state = state.assigned(parameters, is_forced=is_forced)
                    is_soft = is_soft if parameters.soft_failure is None else parameters.soft_failure
                case TryEach() | RunSequence() | Check() | Act():
                    selected = state.selected
                    for name in selected:
                        self._count()
                        state = self._one(command, attrs.evolve(state, selected=(name,)), name, is_soft=is_soft)
                    state = attrs.evolve(state, selected=selected)
                case _ as never:
                    assert_never(never)
        return state

    def _count(self) -> None:
        self._commands_left -= 1
        if self._commands_left < 0:
            most = self._limits.max_commands
            raise too_much("commands that are run", most + 1, "max_commands", most)

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
            return self._sequence(commands, state, is_soft=False)
        except ConditionFailedError as failed:
            if failed.is_soft:
                return state
            raise ConditionFailedError(failed.error, is_soft=is_soft) from failed

    # What conditions and directives need.

    def _names(self, indices: tuple[int, ...]) -> tuple[str, ...]:
        return tuple(map(self.name_of, indices))

    def name_of(self, index: int) -> str:
        """What a component is called."""
        return id_text(self._manifest.common.components[index])

    @property
    def surroundings(self) -> Surroundings:
        """The device."""
        return self._surroundings


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
    return _compare(processor, state, name, SuitDigest(Hash.SHA256, Hash.SHA256.digest(wanted)), len(wanted))


def _compare(
    processor: Processor, state: MachineState, name: str, digest: SuitDigest, size: int | None
) -> MachineState | PackageError:
    """Compare what a component holds: now where it is at hand, later where it is on its way."""
    match state.content_of(name):
        case Kept(kept):
            held = processor.surroundings.held.get(kept)
            is_held = held is not None and digest.kind is Hash.SHA256 and same(held, digest.value)
            return state if is_held else _fails(f"component {name} does not hold what it has to, or nobody knows")
        case Written(data) as content:
            is_met = Expectation(content, digest, size).is_met_by(digest.kind.digest(data), len(data))
            return state if is_met else refusal_error(Refusal.DIGEST_MISMATCH, f"what is written to component {name}")
        case content:
            return state.expecting(Expectation(content, digest, size))


def _component_slot(processor: Processor, state: MachineState, name: str) -> MachineState | PackageError:
    wanted = state.parameters_of(name).component_slot
    if wanted is None:
        return _unset("the slot")
    slot = processor.surroundings.slots.get(name)
    return state if slot == wanted else _fails(f"component {name} does not go to slot {wanted}")


def _abort(_processor: Processor, _state: MachineState, _name: str) -> PackageError:
    return _fails("the manifest says that this does not fit")


def _no_dependency(_processor: Processor, _state: MachineState, _name: str) -> PackageError:
    return _fails("this component is no dependency")


# Directives: the state after one.


def _fetch(_processor: Processor, state: MachineState, name: str) -> MachineState:
    parameters = state.parameters_of(name)
    if parameters.uri is None:
        raise malformed(f"a fetch for component {name}, and no URI is set")
    return state.holding({name: Fetched(parameters.uri, parameters.image_size)})


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


def _refused(directive: Directive) -> _Deed:
    def deed(_processor: Processor, _state: MachineState, _name: str) -> MachineState:
        raise unsupported(f"the directive {directive.name.lower()}")

    return deed


_TESTS: Final[Mapping[Condition, _Test]] = MappingProxyType(
    {
        Condition.VENDOR_ID: _identity("vendor"),
        Condition.CLASS_ID: _identity("class"),
        Condition.DEVICE_ID: _identity("device"),
        Condition.IMAGE_MATCH: _image_match,
        Condition.CHECK_CONTENT: _check_content,
        Condition.COMPONENT_SLOT: _component_slot,
        Condition.ABORT: _abort,
        Condition.IS_DEPENDENCY: _no_dependency,
        Condition.DEPENDENCY_INTEGRITY: _no_dependency,
    }
)
_DEEDS: Final[Mapping[Directive, _Deed]] = MappingProxyType(
    {
        Directive.FETCH: _fetch,
        Directive.WRITE: _write,
        Directive.COPY: _copy,
        Directive.SWAP: _swap,
        Directive.PROCESS_DEPENDENCY: _refused(Directive.PROCESS_DEPENDENCY),
        Directive.UNLINK: _refused(Directive.UNLINK),
    }
)
"""INVOKE is not here: it belongs to no sequence of an update."""
