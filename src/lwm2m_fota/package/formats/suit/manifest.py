"""The manifest: what an update is made of, and how it goes (draft-ietf-suit-manifest-37 section 8.4)."""

from collections.abc import Mapping
from typing import Final, final

import attrs

from lwm2m_fota.package.formats.suit.codes import (
    DEPENDENCY_PREFIX,
    MANIFEST_VERSION,
    SEQUENCES,
    SEVERABLE,
    CommonKey,
    Key,
    ManifestKey,
)
from lwm2m_fota.package.formats.suit.commands import Commands, Scope
from lwm2m_fota.package.formats.suit.digests import SuitDigest, read_digest
from lwm2m_fota.package.formats.suit.limits import SuitLimits
from lwm2m_fota.package.formats.suit.reading import (
    ComponentId,
    component_id,
    id_prefix,
    id_text,
    load_map,
    malformed,
    too_much,
    unsupported,
)
from lwm2m_fota.package.formats.suit.text import Texts, read_text

_MEMBERS: Final = SEQUENCES | {Key.TEXT}
_KNOWN: Final = frozenset(map(int, [*ManifestKey, *_MEMBERS]))
_COMMON_KEYS: Final = frozenset(map(int, CommonKey))


@final
@attrs.frozen(kw_only=True)
class Common:
    """What all sequences share.

    Attributes:
        components: by their index.
        dependencies: manifests that this one depends on, by their index, which is that of a component or beyond: what
            goes before the ids of their components.
        shared: the sequence that precedes every other; empty if there is none.
        scope: what sequences may speak of.
    """

    components: tuple[ComponentId, ...]
    dependencies: Mapping[int, ComponentId]
    shared: Commands
    scope: Scope


@final
@attrs.frozen(kw_only=True)
class Manifest:
    """A manifest, and what has come of what was severed from it.

    Attributes:
        sequence_number: grows with every release.
        component_id: what the manifest itself is called, as a component.
        reference_uri: where the whole of it can be found.
        common: what all sequences share.
        sequences: the command sequences that are there.
        text: for people.
        severed: the digests of members that belong beside the manifest, whether they are there or not.
    """

    sequence_number: int
    component_id: ComponentId | None
    reference_uri: str | None
    common: Common
    sequences: Mapping[Key, Commands]
    text: tuple[Texts, ...]
    severed: Mapping[Key, SuitDigest]

    def with_member(self, key: Key, data: bytes) -> "Manifest":
        """This manifest with a member that was severed from it.

        Raises:
            PackageError: it was not severed, was changed, breaks the rules, or is not understood.
        """
        digest = self.severed.get(key)
        if digest is None:
            raise malformed(f"{key.name.lower()} lies beside the manifest, which has no digest of it")
        if not digest.holds(data):
            raise digest.mismatch(key.name.lower())
        if key is Key.TEXT:
            return attrs.evolve(self, text=read_text(data))
        return attrs.evolve(self, sequences={**self.sequences, key: self.common.scope.sequence(key, data)})


def read_manifest(data: bytes, limits: SuitLimits) -> Manifest:
    """Read a manifest.

    Raises:
        UnsupportedPackageError: something in it is not understood.
        IntegrityError: it breaks the rules.
        PackageError: it is past a limit.
    """
    found = load_map(data, "the manifest")
    for key in found:
        if type(key) is not int or key not in _KNOWN:
            raise unsupported(f"member {key!r} of a manifest")
    if found.get(ManifestKey.VERSION) != MANIFEST_VERSION:
        raise unsupported(f"version {found.get(ManifestKey.VERSION)!r} of the manifest format")
    common = _common(found.get(ManifestKey.COMMON), limits)
    members = {key: found[key] for key in _MEMBERS if key in found}
    severed = {key: read_digest(each) for key, each in members.items() if key in SEVERABLE and type(each) is list}
    inside = {key: each for key, each in members.items() if key not in severed}
    text = inside.pop(Key.TEXT, None)
    return Manifest(
        sequence_number=_sequence_number(found.get(ManifestKey.SEQUENCE_NUMBER)),
        component_id=_optional_id(found.get(ManifestKey.COMPONENT_ID)),
        reference_uri=_uri(found.get(ManifestKey.REFERENCE_URI)),
        common=common,
        sequences={key: common.scope.sequence(key, each) for key, each in inside.items()},
        text=() if text is None else read_text(text),
        severed=severed,
    )


def _sequence_number(item: object) -> int:
    if type(item) is not int or item < 0:
        raise malformed("a manifest without a sequence number")
    return item


def _uri(item: object) -> str | None:
    if item is None or type(item) is str:
        return item
    raise malformed("the reference URI is not text")


def _optional_id(item: object) -> ComponentId | None:
    return None if item is None else component_id(item)


def _common(data: object, limits: SuitLimits) -> Common:
    found = load_map(data, "common")
    for key in found:
        if type(key) is not int or key not in _COMMON_KEYS:
            raise unsupported(f"member {key!r} of common")
    components = _components(found.get(CommonKey.COMPONENTS))
    dependencies = _dependencies(found.get(CommonKey.DEPENDENCIES))
    indices = sorted({*range(len(components)), *dependencies})
    if not indices:
        raise malformed("a manifest without components")
    if len(indices) > limits.max_components:
        raise too_much("components", len(indices), "max_components", limits.max_components)
    scope = Scope(tuple(indices), limits)
    shared = found.get(CommonKey.SHARED_SEQUENCE)
    return Common(
        components=components,
        dependencies=dependencies,
        shared=() if shared is None else scope.shared(shared),
        scope=scope,
    )


def _components(item: object) -> tuple[ComponentId, ...]:
    if item is None:
        return ()
    if type(item) is not list or not item:
        raise malformed("the components are not an array of some")
    found = tuple(map(component_id, item))
    if len(set(found)) != len(found) or len(set(map(id_text, found))) != len(found):
        raise malformed("two components have the same id")
    return found


def _dependencies(item: object) -> Mapping[int, ComponentId]:
    """What is said of manifests that this one depends on (draft-ietf-suit-trust-domains-11 section 5.1)."""
    if item is None:
        return {}
    if not isinstance(item, Mapping) or not item:
        raise malformed("the dependencies are not a map of some")
    return {_index(index): _prefix(each) for index, each in item.items()}


def _index(index: object) -> int:
    if type(index) is not int or index < 0:
        raise malformed(f"{index!r} is not the index of a dependency")
    return index


def _prefix(item: object) -> ComponentId:
    match item:
        case dict() if not item:
            return ()
        case dict() if list(item) == [DEPENDENCY_PREFIX]:
            return id_prefix(item[DEPENDENCY_PREFIX])
        case _:
            raise malformed("what is said of a dependency is not its prefix")
