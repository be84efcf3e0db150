"""What a verified package holds, in the words of the machines."""

from collections.abc import Callable

from lwm2m_fota.errors import IntegrityError
from lwm2m_fota.machines.coordinator_events import PackageChecked, PackageContent
from lwm2m_fota.machines.coordinator_state import Requirement
from lwm2m_fota.package.types import WHOLE_PACKAGE, Component, VerifiedPackage


def names_components(package: VerifiedPackage) -> bool:
    """It says which components it is for; otherwise it is for the one that received it."""
    return [each.name for each in package.components] != [WHOLE_PACKAGE]


def checked(package: VerifiedPackage, transfer: int, *, defer: bool) -> PackageChecked:
    """The event that says what passed every check, and whether the user or application wants to install later."""
    named = package.components if names_components(package) else ()
    return PackageChecked(
        name=package.name or "",
        version=package.version or "",
        components=tuple(PackageContent(each.name, each.version or "") for each in named),
        requirements=requirements(package),
        transfer=transfer,
        defer=defer,
    )


def requirements(package: VerifiedPackage) -> tuple[Requirement, ...]:
    """What the package asks of components."""
    return tuple(Requirement(each.name, each.minimum_version) for each in package.dependencies)


def the_component(package: VerifiedPackage) -> Component:
    """What a device with one firmware installs: the one part of a package; of one with several, the package as it is.

    How a package of several parts is installed on such a device is its installer's to know.
    """
    if len(package.components) == 1:
        return package.components[0]
    return Component(name=WHOLE_PACKAGE, version=package.version, offset_bytes=0, length_bytes=package.size_bytes)


def component_of(package: VerifiedPackage, is_meant: Callable[[str], bool]) -> Component:
    """The part of a package that is for one component.

    Args:
        package: the package.
        is_meant: whether a name is that component's.

    Raises:
        IntegrityError: there is none.
    """
    if not names_components(package):
        return package.components[0]
    for each in package.components:
        if is_meant(each.name):
            return each
    raise IntegrityError("the package holds nothing for this component")
