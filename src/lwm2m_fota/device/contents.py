"""What a verified package holds, in the words of the machines."""

from collections.abc import Callable, Collection

from lwm2m_fota.errors import IntegrityError
from lwm2m_fota.machines.coordinator_events import PackageChecked, PackageContent
from lwm2m_fota.machines.coordinator_state import Requirement
from lwm2m_fota.package.types import Component, VerifiedPackage
from lwm2m_fota.package.verdicts import Refusal, refusal_error


def checked(package: VerifiedPackage, transfer: int, *, defer: bool) -> PackageChecked:
    """The event that says what passed every check, and whether the user or application wants to install later."""
    named = [(each.name, each.version or "") for each in package.components if each.name is not None]
    return PackageChecked(
        name=package.name or "",
        version=package.version or "",
        components=tuple(PackageContent(name, version) for name, version in named),
        requirements=requirements(package),
        transfer=transfer,
        defer=defer,
    )


def requirements(package: VerifiedPackage) -> tuple[Requirement, ...]:
    """What the package asks of components."""
    return tuple(Requirement(each.name, each.minimum_version) for each in package.dependencies)


def the_component(package: VerifiedPackage, names: Collection[str] | None = None) -> Component:
    """What a device with one firmware installs: the one part of a package.

    Args:
        package: the package.
        names: what its part may be called, if it is called something; None for anything.

    Raises:
        UnsupportedPackageError: it has several parts, or one that is for a component of another name.
    """
    component, *others = package.components
    if others:
        told = ", ".join(ascii(each.name) for each in package.components)
        raise refusal_error(Refusal.WRONG_DEVICE, f"it is for the components {told}, and this device has one firmware")
    if component.name is not None and names is not None and component.name not in names:
        known = ", ".join(map(ascii, sorted(names))) or "nothing"
        detail = f"it is for component {component.name!a}, and packages call the one of this device {known}"
        raise refusal_error(Refusal.WRONG_DEVICE, detail)
    return component


def component_of(package: VerifiedPackage, is_meant: Callable[[str], bool]) -> Component:
    """The part of a package that is for one component.

    Args:
        package: the package.
        is_meant: whether a name is that component's.

    Raises:
        IntegrityError: there is none.
    """
    for each in package.components:
        if each.name is None or is_meant(each.name):
            return each
    raise IntegrityError("the package holds nothing for this component")
