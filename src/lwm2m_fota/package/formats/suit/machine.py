"""The state of a manifest processor: frozen, so that a sequence that fails has done nothing.

Commands are run before payloads arrive. A payload is taken to be what the manifest says that it is, and has to show
that later: an image match of one is an expectation, and one that is not met ends the update.
"""

from collections.abc import Iterable, Mapping
from typing import final

import attrs

from lwm2m_fota.package.formats.suit.content import Content, Expectation, Kept
from lwm2m_fota.package.formats.suit.parameters import NO_PARAMETERS, Parameters
from lwm2m_fota.package.identity import DeviceIdentity, MadeFor


@final
@attrs.frozen(kw_only=True)
class Surroundings:
    """What a processor knows of the device that it is for.

    Attributes:
        identity: what the device is.
        is_any_device: whether conditions on vendor, class and device hold in any case.
        slots: by the name of a component, the number of its place that an update goes to.
        held: by the name of a component, the SHA-256 digest of what it holds.
    """

    identity: DeviceIdentity = attrs.field(factory=DeviceIdentity)
    is_any_device: bool = False
    slots: Mapping[str, int] = attrs.field(factory=dict)
    held: Mapping[str, bytes] = attrs.field(factory=dict)


@final
@attrs.frozen(kw_only=True)
class MachineState:
    """Where a processor is.

    Attributes:
        selected: the components that commands are for, by their names, as everything here is.
        parameters: of each component that has some.
        contents: of each component that has changed.
        expectations: what has to be compared later.
        sources: components that others were copied from, or swapped with.
        matched: manifests that others depend on, and that have been compared.
        made_for: the ids that conditions have met.
    """

    selected: tuple[str, ...]
    parameters: Mapping[str, Parameters] = attrs.field(factory=dict)
    contents: Mapping[str, Content] = attrs.field(factory=dict)
    expectations: tuple[Expectation, ...] = ()
    sources: frozenset[str] = frozenset()
    matched: frozenset[str] = frozenset()
    made_for: MadeFor = attrs.field(factory=MadeFor)

    def parameters_of(self, name: str) -> Parameters:
        """The parameters of a component."""
        return self.parameters.get(name, NO_PARAMETERS)

    def content_of(self, name: str) -> Content:
        """What a component holds."""
        return self.contents.get(name, Kept(name))

    def assigned(self, parameters: Parameters, *, is_forced: bool) -> "MachineState":
        """With parameters set for what is selected."""
        new = {
            name: parameters.over(old) if is_forced else old.over(parameters)
            for name, old in ((name, self.parameters_of(name)) for name in self.selected)
        }
        return attrs.evolve(self, parameters={**self.parameters, **new})

    def holding(self, contents: Mapping[str, Content], sources: Iterable[str] = ()) -> "MachineState":
        """With other contents, which come from these components."""
        return attrs.evolve(
            self,
            contents={**self.contents, **contents},
            sources=self.sources | {*sources},
            matched=self.matched - contents.keys(),
        )

    def without(self, name: str) -> "MachineState":
        """With a component as the device has it."""
        return attrs.evolve(self, contents={each: content for each, content in self.contents.items() if each != name})

    def expecting(self, expectation: Expectation) -> "MachineState":
        """With one more thing to compare later."""
        return attrs.evolve(self, expectations=(*self.expectations, expectation))

    def made_for_also(self, **ids: bytes) -> "MachineState":
        """With an id that was met; the first of a kind is told."""
        known = attrs.asdict(self.made_for)
        return attrs.evolve(
            self, made_for=MadeFor(**{name: ids.get(name) if known[name] is None else known[name] for name in known})
        )
