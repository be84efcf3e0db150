"""Command sequences: flat arrays of commands and their arguments (draft-ietf-suit-manifest-37 section 8.4.6).

They are read whole and checked before any of them is run: a command that is not known makes the manifest invalid, even
where it would not be reached.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias, final

import attrs

from lwm2m_fota.errors import PackageError
from lwm2m_fota.package.formats.suit.codes import ALL_REPORTING, SEQUENCES, Condition, Directive, Key
from lwm2m_fota.package.formats.suit.limits import SuitLimits
from lwm2m_fota.package.formats.suit.parameters import Parameters, read_parameters
from lwm2m_fota.package.formats.suit.reading import load_array, malformed, too_much, unsupported


@final
@attrs.frozen
class Check:
    """A condition."""

    condition: Condition


@final
@attrs.frozen
class Act:
    """A directive that does something to a component."""

    directive: Directive


@final
@attrs.frozen
class Select:
    """For which components the next commands are: their indices, in order."""

    indices: tuple[int, ...]


@final
@attrs.frozen
class Assign:
    """Sets parameters.

    Attributes:
        parameters: what is set.
        is_forced: whether what was set before is replaced.
    """

    parameters: Parameters
    is_forced: bool


@final
@attrs.frozen
class TryEach:
    """The first of these sequences whose conditions hold; an empty one always does."""

    alternatives: tuple["Commands", ...]


@final
@attrs.frozen
class RunSequence:
    """A sequence within another."""

    commands: "Commands"


Command: TypeAlias = Check | Act | Select | Assign | TryEach | RunSequence
Commands: TypeAlias = tuple[Command, ...]

_ACTS: Final = (
    Directive.PROCESS_DEPENDENCY,
    Directive.WRITE,
    Directive.FETCH,
    Directive.COPY,
    Directive.INVOKE,
    Directive.SWAP,
    Directive.UNLINK,
)
_CHECKS: Final = {int(each): Check(each) for each in Condition}
_FEWEST_ALTERNATIVES: Final = 2

_Known: TypeAlias = Mapping[int, Check | Act | None]
"""The commands that may come; what those are whose argument is a reporting policy."""

_STARTING: Final[_Known] = MappingProxyType(
    {**dict.fromkeys(map(int, Directive)), **_CHECKS, **{int(each): Act(each) for each in _ACTS}}
)
_UPDATING: Final[_Known] = MappingProxyType(
    {code: each for code, each in _STARTING.items() if code != Directive.INVOKE}
)
_SHARED: Final[_Known] = MappingProxyType({code: each for code, each in _STARTING.items() if type(each) is not Act})

_SELECT, _TRY_EACH, _RUN = (
    int(each) for each in (Directive.SET_COMPONENT_INDEX, Directive.TRY_EACH, Directive.RUN_SEQUENCE)
)
_OVERRIDE: Final = int(Directive.OVERRIDE_PARAMETERS)
_NAMES: Final[Mapping[Key, str]] = MappingProxyType({key: f"sequence {key.name.lower()}" for key in SEQUENCES})


@final
@attrs.frozen
class Scope:
    """What sequences of one manifest may speak of.

    Attributes:
        indices: of its components and dependencies, in order.
        limits: how much is read.
    """

    indices: tuple[int, ...]
    limits: SuitLimits

    def shared(self, data: object) -> Commands:
        """Read the sequence that precedes every other.

        Raises:
            PackageError: it breaks the rules, or is not understood.
        """
        return self._outer(data, "the shared sequence", _SHARED)

    def sequence(self, key: Key, data: object) -> Commands:
        """Read another sequence.

        Raises:
            PackageError: it breaks the rules, or is not understood.
        """
        allowed = _STARTING if key is Key.INVOKE else _UPDATING
        return self._outer(data, _NAMES[key], allowed)

    def _outer(self, data: object, what: str, allowed: _Known) -> Commands:
        commands = _Reading(self, what, allowed).sequence(data, 1)
        if len(self.indices) > 1 and not isinstance(commands[0], Select):
            raise malformed(f"{what} does not begin with a component index, and there are several")
        return commands


@final
class _Reading:
    """One sequence with those within it."""

    __slots__ = ("allowed", "scope", "what")

    def __init__(self, scope: Scope, what: str, allowed: _Known) -> None:
        self.scope = scope
        self.what = what
        self.allowed = allowed

    def sequence(self, data: object, depth: int) -> Commands:
        most = self.scope.limits.max_sequence_depth
        if depth > most:
            raise too_much("sequences within sequences", depth, "max_sequence_depth", most)
        items = load_array(data, self.what)
        if not items or len(items) % 2:
            raise malformed(f"{self.what} is not pairs of a command and its argument")
        found: list[Command] = []
        for code, argument in zip(items[::2], items[1::2], strict=True):
            if type(code) is not int or code not in self.allowed:
                raise self._refused(code)
            reported = self.allowed[code]
            if reported is None:
                found.append(self._directive(code, argument, depth))
            elif type(argument) is int and 0 <= argument <= ALL_REPORTING:
                found.append(reported)
            else:
                raise malformed(f"{self.what}: a reporting policy is 0 to {ALL_REPORTING}")
        return tuple(found)

    def _refused(self, code: object) -> PackageError:
        if type(code) is not int:
            return malformed(f"{self.what}: a command is no number")
        if code in _STARTING:
            return malformed(f"{self.what}: {Directive(code).name.lower()} does not belong there")
        return unsupported(f"{self.what}: command {code}")

    def _directive(self, code: int, argument: object, depth: int) -> Command:
        if code == _SELECT:
            return Select(self._indices(argument))
        if code == _TRY_EACH:
            return TryEach(self._alternatives(argument, depth))
        if code == _RUN:
            return RunSequence(self.sequence(argument, depth + 1))
        return Assign(self._parameters(argument, depth), code == _OVERRIDE)

    def _indices(self, argument: object) -> tuple[int, ...]:
        known = self.scope.indices
        if type(argument) is int and argument in known:  # as in most
            return (argument,)
        if argument is True:
            return known
        found = argument if type(argument) is list else [argument]
        if not found or len(set(map(repr, found))) != len(found):
            raise malformed(f"{self.what}: no components, or one twice")
        if not all(type(each) is int and each in known for each in found):
            raise malformed(f"{self.what}: there is no component {found}")
        return tuple(found)

    def _alternatives(self, argument: object, depth: int) -> tuple[Commands, ...]:
        if type(argument) is not list or len(argument) < _FEWEST_ALTERNATIVES:
            raise malformed(f"{self.what}: a try-each needs at least {_FEWEST_ALTERNATIVES} sequences")
        has_none = argument[-1] is None
        tried = tuple(self.sequence(each, depth + 1) for each in (argument[:-1] if has_none else argument))
        return (*tried, ()) if has_none else tried

    def _parameters(self, argument: object, depth: int) -> Parameters:
        found = read_parameters(argument, self.scope.limits)
        if found.soft_failure is not None and depth == 1:
            raise malformed(f"{self.what}: soft-failure is set outside of try-each and run-sequence")
        if found.source_component is not None and found.source_component not in self.scope.indices:
            raise malformed(f"{self.what}: there is no source component {found.source_component}")
        return found
