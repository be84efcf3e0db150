"""What is to be installed, and what has to be compared before: made of what a processor has found."""

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias, final

import attrs

from lwm2m_fota.package.formats.suit.content import (
    Content,
    Decrypted,
    Expectation,
    Fetched,
    Home,
    Kept,
    NewContent,
    Written,
)
from lwm2m_fota.package.formats.suit.machine import MachineState
from lwm2m_fota.package.formats.suit.reading import malformed, unsupported

Place: TypeAlias = tuple[Home, str]
"""Where a payload is: the envelope that it lies in, and its URI (`Fetched.home` and `Fetched.uri`)."""

Coming: TypeAlias = Fetched | Decrypted
"""What comes of a payload: itself, or what is inside."""


@final
@attrs.frozen
class Plan:
    """What an update comes to.

    Attributes:
        installs: what each component is to hold, by its name, in the order of the manifest.
        expectations: what has to be compared.
    """

    installs: Mapping[str, NewContent]
    expectations: tuple[Expectation, ...]
    _expected: Mapping[NewContent, Sequence[Expectation]] = attrs.field(init=False, repr=False, eq=False)
    _at: Mapping[Place, Sequence[Coming]] = attrs.field(init=False, repr=False, eq=False)

    @_expected.default
    def _by_content(self) -> Mapping[NewContent, Sequence[Expectation]]:
        found: dict[NewContent, list[Expectation]] = {content: [] for content in self.installs.values()}
        for each in self.expectations:
            found.setdefault(each.content, []).append(each)
        return found

    @_at.default
    def _by_place(self) -> Mapping[Place, Sequence[Coming]]:
        found: dict[Place, list[Coming]] = {}
        for content in self._expected:
            match content:
                case (Fetched() as inner) | Decrypted(Fetched() as inner):
                    found.setdefault(_place(inner), []).append(content)
                case _:
                    pass
        return found

    def expectations_of(self, content: NewContent) -> Sequence[Expectation]:
        """Those of a content."""
        return self._expected.get(content, ())

    @property
    def contents(self) -> Collection[NewContent]:
        """Every content that matters, once."""
        return self._expected.keys()

    def contents_at(self, place: Place) -> Sequence[Coming]:
        """Those that come of a payload."""
        return self._at.get(place, ())

    @property
    def payloads(self) -> Mapping[Place, int | None]:
        """The payloads that are needed, by their places in order: their lengths, where manifests say them."""
        found: dict[Place, int | None] = dict.fromkeys(self._at)
        expected = {
            each.content: each.size_bytes for each in reversed(self.expectations) if each.size_bytes is not None
        }
        for content in self._expected:
            inner = _inner(content)
            if isinstance(inner, Fetched) and found[_place(inner)] is None:
                found[_place(inner)] = expected.get(inner) if inner.size_bytes is None else inner.size_bytes
        return found


def _inner(content: NewContent) -> Written | Fetched:
    """What a content is made of."""
    return content.of if isinstance(content, Decrypted) else content


def _place(fetched: Fetched) -> Place:
    return fetched.home, fetched.uri


def make_plan(state: MachineState, names: tuple[str, ...]) -> Plan:
    """What a processor has found, as a plan.

    What components were copied from, or swapped with, is a staging place: it is not installed.

    Args:
        state: where the processor ended.
        names: of the components, in the order in which they are told.

    Raises:
        UnsupportedPackageError: nothing is to be installed, or what the device holds is to go elsewhere.
        IntegrityError: nothing says what the digest of something is.
    """
    installs = {name: _new(state.contents[name], name) for name in names if _is_installed(state, name)}
    if not installs:
        raise unsupported("a manifest that brings nothing to install")
    plan = Plan(installs, state.expectations)
    for name, content in installs.items():
        _check_pinned(plan, name, content)
    return plan


def _is_installed(state: MachineState, name: str) -> bool:
    return name not in state.sources and state.content_of(name) != Kept(name)


def _new(content: Content, name: str) -> NewContent:
    if isinstance(content, Kept):
        raise unsupported(f"what the device holds is to go to component {name}")
    return content


def _check_pinned(plan: Plan, name: str, content: NewContent) -> None:
    """Whoever signed the manifest has said what this content is: by its digest, or by the bytes themselves.

    Of something encrypted, the ciphertext will do: what is inside follows from it. AES-CTR asks for more elsewhere.
    """
    inner = _inner(content)
    if not (isinstance(inner, Written) or plan.expectations_of(content) or plan.expectations_of(inner)):
        raise malformed(f"nothing says what the digest of component {name} is")
