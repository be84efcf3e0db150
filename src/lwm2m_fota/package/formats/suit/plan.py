"""What is to be installed, and what has to be compared before: made of what a processor has found."""

from collections.abc import Mapping
from typing import TypeAlias, final

import attrs

from lwm2m_fota.package.formats.suit.content import Content, Decrypted, Expectation, Fetched, Kept, NewContent, Written
from lwm2m_fota.package.formats.suit.machine import MachineState
from lwm2m_fota.package.formats.suit.reading import malformed, unsupported

Place: TypeAlias = tuple[str, str]
"""Where a payload is: the envelope that it lies in, and its URI (`Fetched.home` and `Fetched.uri`)."""


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

    def expectations_of(self, content: NewContent) -> tuple[Expectation, ...]:
        """Those of a content."""
        return tuple(each for each in self.expectations if each.content == content)

    @property
    def contents(self) -> tuple[NewContent, ...]:
        """Every content that matters, once."""
        found: list[NewContent] = []
        for content in (*self.installs.values(), *(each.content for each in self.expectations)):
            if content not in found:
                found.append(content)
        return tuple(found)

    @property
    def payloads(self) -> Mapping[Place, int | None]:
        """The payloads that are needed, by their places in order: their lengths, where manifests say them."""
        found: dict[Place, int | None] = {}
        for content in self.contents:
            inner = content.of if isinstance(content, Decrypted) else content
            if isinstance(inner, Fetched):
                sizes = (inner.size_bytes, *(each.size_bytes for each in self.expectations_of(inner)))
                known = next((each for each in sizes if each is not None), None)
                place = inner.home, inner.uri
                found[place] = known if found.get(place) is None else found[place]
        return found


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
    inner = content.of if isinstance(content, Decrypted) else content
    if not (isinstance(inner, Written) or plan.expectations_of(content) or plan.expectations_of(inner)):
        raise malformed(f"nothing says what the digest of component {name} is")
