"""Plans for packages: which there are, what they say of themselves, and the order in which they go."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from lwm2m_fota.errors import PackageError, UsageError
from lwm2m_fota.machines.update_policy import ComponentPlan, UpdatePlan
from lwm2m_fota.package.trust import UnsafeChoice, UnsafeTrustPolicy
from lwm2m_fota.package.verifier import PackageVerifier
from lwm2m_fota.storage.base import PackageSource

Packages = Mapping[str, PackageSource]
"""By component: its name (resource 14 of Object 33629), or the number of its instance."""

_READ_BYTES: Final = 1 << 18


def plan_for(source: PackageSource | Packages) -> UpdatePlan:
    """A plan with the defaults: whatever method the device offers, components in the order of their dependencies.

    Args:
        source: a package, or packages by component; one that stands for several components is sent once.

    Raises:
        UsageError: no component, or a package without a byte.
        StorageError: a package cannot be read.
    """
    if not isinstance(source, Mapping):
        return UpdatePlan(package_bytes=source.size_bytes)
    distinct = _distinct(source.values())
    needs = [needs_of(each) for each in distinct]
    numbers = {name: _index(distinct, each) for name, each in source.items()}
    return UpdatePlan(
        components=tuple(
            ComponentPlan(name=name, package_bytes=each.size_bytes, package=numbers[name], needs=needs[numbers[name]])
            for name, each in source.items()
        )
    )


def packages_of(plan: UpdatePlan, source: PackageSource | Packages) -> tuple[PackageSource, ...]:
    """The packages of a plan, by their numbers.

    Raises:
        UsageError: they are not those of the plan.
    """
    if not isinstance(source, Mapping):
        if plan.components or plan.package_bytes != source.size_bytes:
            raise UsageError("the plan is for another package")
        return (source,)
    if set(source) != {each.name for each in plan.components}:
        raise UsageError(f"packages for {sorted(source)}, a plan for {sorted(each.name for each in plan.components)}")
    found: dict[int, PackageSource] = {}
    for component in plan.components:
        package = source[component.name]
        if package.size_bytes != component.package_bytes:
            raise UsageError(f"the plan is for another package of {component.name}")
        found.setdefault(component.package, package)
    return tuple(found[number] for number in range(len(found)))


def _distinct(sources: Iterable[PackageSource]) -> Sequence[PackageSource]:
    found: list[PackageSource] = []
    for each in sources:
        if not any(each is known for known in found):
            found.append(each)
    return found


def _index(sources: Sequence[PackageSource], source: PackageSource) -> int:
    return next(index for index, each in enumerate(sources) if each is source)


def needs_of(source: PackageSource) -> tuple[str, ...]:
    """Which other components a package needs, by what it says itself; none where its format is not known here.

    Nothing is trusted in this: the device decides. It is the order of delivery that follows.

    Raises:
        StorageError: it cannot be read.
    """
    verifier = PackageVerifier(
        UnsafeTrustPolicy(
            max_package_bytes=max(1, source.size_bytes),
            choices=[UnsafeChoice.ACCEPT_UNSIGNED, UnsafeChoice.ANY_DEVICE],  # it is only read here
        )
    )
    try:
        for offset in range(0, source.size_bytes, _READ_BYTES):
            verifier.feed(source.read_at(offset, _READ_BYTES))
        package = verifier.finish()
    except PackageError:
        return ()
    held = {each.name for each in package.components}
    return tuple(each.name for each in package.dependencies if each.name not in held)
