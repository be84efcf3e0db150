"""What a device is built to do: object version, delivery, protocols, policies; and the table that follows from it."""

from typing import Final, final

import attrs

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines.component_policies import AdvancedPolicies
from lwm2m_fota.machines.policies import DEFAULT_POLICIES, FirmwarePolicies
from lwm2m_fota.machines.readings import Version
from lwm2m_fota.machines.table import VERSIONS, Table, table_for
from lwm2m_fota.model.enums import DeliveryMethod, ProtocolSupport

COMPONENT_VERSION: Final[Version] = "1.1"
"""The version of Object 5 whose resources 0-13 Object 33629 has."""


@final
@attrs.frozen(kw_only=True)
class FirmwareProfile:
    """One device type. Make one and share it: the table is built with it, once.

    Attributes:
        version: the version of Object 5.
        delivery: resource 9.
        protocols: resource 8; an empty one means CoAP (Object 5, resource 8).
        policies: named choices.
        component: choices of Object 33629, for a machine that is one of its components; None for Object 5.
        table: follows from the above.
        schemes: the URI schemes that can be fetched; follows from the protocols.

    Raises:
        UsageError: a version, delivery method or protocol that Object 5 does not list, or a component with the rows
            of another version than 1.1.
    """

    version: Version = "1.1"
    delivery: DeliveryMethod = DeliveryMethod.BOTH
    protocols: tuple[ProtocolSupport, ...] = (ProtocolSupport.COAP,)
    policies: FirmwarePolicies = DEFAULT_POLICIES
    component: AdvancedPolicies | None = None
    table: Table = attrs.field(init=False, eq=False, repr=False)
    schemes: frozenset[str] = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.version not in VERSIONS:
            raise UsageError(f"not a version of Object 5: {self.version!r}")
        if not (self.delivery.is_known and all(protocol.is_known for protocol in self.protocols)):
            raise UsageError(f"not listed by Object 5: {self.delivery!r}, {self.protocols!r}")
        if self.component is not None and self.version != COMPONENT_VERSION:
            raise UsageError(f"a component has the rows of {COMPONENT_VERSION}, not of {self.version}")
        protocols = self.protocols or (ProtocolSupport.COAP,)
        schemes = frozenset(protocol.scheme for protocol in protocols if protocol.scheme)
        object.__setattr__(self, "schemes", schemes)
        object.__setattr__(self, "table", table_for(self.version, self.delivery, self.policies, self.component))
