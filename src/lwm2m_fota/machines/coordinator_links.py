"""Linked and conflicting instances (resources 16 and 17): derived from what is installed and what is Downloaded.

Two Downloaded instances belong together if they hold the same package, or if the package of one needs the version
that the other holds. What an Update without argument takes is all that belong together in this way, directly or
through others.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple, final

from lwm2m_fota.machines.component_profile import AdvancedProfile
from lwm2m_fota.machines.coordinator_state import Component, ComponentGroup, Culprit, Stage
from lwm2m_fota.model.enums import State


@final
class Links(NamedTuple):
    """Two resources of one instance; the instances ascend.

    Attributes:
        linked: resource 16.
        conflicting: resource 17.
    """

    linked: tuple[int, ...]
    conflicting: tuple[int, ...]


_NO_LINKS: Final = Links((), ())


def links(group: ComponentGroup, profile: AdvancedProfile) -> Mapping[int, Links]:
    """Resources 16 and 17 of every instance, by its id."""
    found = {each.instance: _NO_LINKS for each in group.components}
    for each in group.components:
        named = {culprit.instance for culprit in each.culprits if not _is_resolved(group, each, culprit)}
        if named:
            found[each.instance] = Links((), tuple(sorted(named)))
    for together in _clusters(group, profile):
        blocked = set(conflicts(group, together, profile))
        for instance in together:
            conflicting = blocked.union(found[instance].conflicting)
            found[instance] = Links(tuple(sorted(together - {instance})), tuple(sorted(conflicting)))
    return found


def linked(group: ComponentGroup, instance: int, profile: AdvancedProfile) -> tuple[int, ...]:
    """Which others an Update of this instance without argument would take; each is Downloaded."""
    for together in _clusters(group, profile):
        if instance in together:
            return tuple(sorted(together - {instance}))
    return ()


def _clusters(group: ComponentGroup, profile: AdvancedProfile) -> Iterable[frozenset[int]]:
    """The Downloaded instances, those that belong together in one set."""
    ready = {each.instance: each for each in group.components if is_ready(each)}
    clusters = {each: frozenset((each,)) for each in ready}
    for one, other in _pairs(group, ready, profile):
        joined = clusters[one] | clusters[other]
        clusters.update(dict.fromkeys(joined, joined))
    return dict.fromkeys(clusters.values())


def conflicts(group: ComponentGroup, batch: Collection[int], profile: AdvancedProfile) -> tuple[int, ...]:
    """Who keeps a batch from being installed: the components whose version would not be what a package needs.

    A package that needs a component which the device does not have is itself to blame.

    Args:
        group: the instances.
        batch: those to be installed together, each Downloaded.
        profile: the device.
    """
    named: set[int] = set()
    for instance in batch:
        for requirement in group.component(instance).requirements:
            target = profile.instance_of(requirement.name)
            if target is None:
                named.add(instance)
                continue
            component = group.component(target)
            version = component.machine.package_version if target in batch else component.version
            if not profile.satisfies(version, requirement.minimum_version):
                named.add(target)
    return tuple(sorted(named))


def is_ready(component: Component) -> bool:
    """It holds a package that may be installed."""
    return component.machine.state is State.DOWNLOADED


def _pairs(
    group: ComponentGroup, ready: Mapping[int, Component], profile: AdvancedProfile
) -> Iterable[tuple[int, int]]:
    """Those Downloaded that belong together directly."""
    holders: dict[Stage | None, int] = {}
    for one in ready.values():
        yield holders.setdefault(one.stage, one.instance), one.instance
        for requirement in one.requirements:
            target = profile.instance_of(requirement.name)
            if target is None or target not in ready:
                continue
            needed = not profile.satisfies(group.component(target).version, requirement.minimum_version)
            if needed and profile.satisfies(ready[target].machine.package_version, requirement.minimum_version):
                yield one.instance, target


def _is_resolved(group: ComponentGroup, component: Component, culprit: Culprit) -> bool:
    """Another package than then is Downloaded at the culprit, while the one that it stood against still waits."""
    other = group.component(culprit.instance)
    return is_ready(component) and is_ready(other) and other.stage != culprit.stage
