"""What a device with Object 33629 is built to do: its components, how they are delivered, policies."""

import re
from collections.abc import Callable
from typing import Final, TypeAlias, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines.component_policies import DEFAULT_ADVANCED_POLICIES, AdvancedPolicies
from lwm2m_fota.machines.policies import DEFAULT_POLICIES, FirmwarePolicies
from lwm2m_fota.machines.profile import COMPONENT_VERSION, FirmwareProfile
from lwm2m_fota.machines.state import MAX_STRING_BYTES
from lwm2m_fota.model.enums import DeliveryMethod, ProtocolSupport
from lwm2m_fota.model.paths import MAX_ID

MAX_COMPONENTS: Final = 255
"""Instances of one device."""

VersionRule: TypeAlias = Callable[[str, str], bool]
"""`rule(version, minimum)`: the version will do where at least `minimum` is asked for."""

_NUMBERS: Final = re.compile(r"[vV]?([0-9]{1,18}(?:\.[0-9]{1,18}){0,7})(?:\+.*)?", re.ASCII | re.DOTALL)


def at_least(version: str, minimum: str) -> bool:
    """Compare dotted numbers: 1.10 is later than 1.9, and 1 is 1.0.0; a build (`+5`) does not count.

    What is not of this form will do only where exactly it is asked for.
    """
    has, needs = _numbers(version), _numbers(minimum)
    if has is None or needs is None:
        return version == minimum
    return has >= needs


def _numbers(version: str) -> tuple[int, ...] | None:
    match = _NUMBERS.fullmatch(version)
    if match is None:
        return None
    numbers = [int(part) for part in match[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


@final
@attrs.frozen
class ComponentSpec:
    """One component.

    Attributes:
        instance: its instance of Object 33629; the main component should be 0.
        name: resource 14, and what packages call it.
        aliases: what packages call it too, such as the number of its image in MCUboot's dependencies.
    """

    instance: int
    name: str
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The name and its aliases."""
        return (self.name, *self.aliases)


@final
@attrs.frozen(kw_only=True)
class AdvancedProfile:
    """One device type. Make one and share it.

    Attributes:
        components: in ascending order of instance; they are there from the start and stay.
        delivery: resource 9 of all.
        protocols: resource 8 of all; an empty one means CoAP.
        policies: choices that Object 5 has too.
        advanced: choices of Object 33629.
        satisfies: decides whether a version meets a dependency.
        firmware: what each component is built to do; follows from the above.

    Raises:
        UsageError: no component or too many, instances not ascending, a name or alias that is empty, too long or
            given twice, or a delivery method or protocol that is not listed.
    """

    components: tuple[ComponentSpec, ...]
    delivery: DeliveryMethod = DeliveryMethod.BOTH
    protocols: tuple[ProtocolSupport, ...] = (ProtocolSupport.COAP,)
    policies: FirmwarePolicies = DEFAULT_POLICIES
    advanced: AdvancedPolicies = DEFAULT_ADVANCED_POLICIES
    satisfies: VersionRule = at_least
    firmware: FirmwareProfile = attrs.field(init=False, eq=False, repr=False)

    @firmware.default
    def _firmware(self) -> FirmwareProfile:
        return FirmwareProfile(
            version=COMPONENT_VERSION,
            delivery=self.delivery,
            protocols=self.protocols,
            policies=self.policies,
            component=self.advanced,
        )

    def __attrs_post_init__(self) -> None:
        if not 1 <= len(self.components) <= MAX_COMPONENTS:
            raise UsageError(f"not 1..{MAX_COMPONENTS} components")
        instances, names = self.instances, [name for each in self.components for name in each.names]
        if list(instances) != sorted(set(instances)) or not 0 <= instances[0] <= instances[-1] <= MAX_ID:
            raise UsageError(f"instances do not ascend within 0..{MAX_ID}: {instances}")
        if len(set(names)) != len(names) or not all(
            0 < len(name.encode("utf-8", "replace")) <= MAX_STRING_BYTES for name in names
        ):
            raise UsageError(f"a name is empty, over {MAX_STRING_BYTES} bytes, or given twice: {names}")

    @property
    def instances(self) -> tuple[int, ...]:
        """The instances that exist."""
        return tuple(each.instance for each in self.components)

    def name_of(self, instance: int) -> str:
        """Resource 14 of an instance; empty if there is no such instance."""
        return next((each.name for each in self.components if each.instance == instance), "")

    def instance_of(self, name: str) -> int | None:
        """The instance of the component that packages call so, or None."""
        return next((each.instance for each in self.components if name in each.names), None)
