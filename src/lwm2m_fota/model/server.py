"""Object 1, LwM2M Server: how a client keeps itself registered with a server.

Source: LwM2M Core 1.0, object urn:oma:lwm2m:oma:1; and of version 1.1 (LwM2M 1.1) the one resource that Send needs.
"""

from enum import IntEnum
from typing import Final, final

import attrs

from lwm2m_fota.model.resources import ObjectDefinition, Operations, ResourceDefinition, ValueType

SERVER_OBJECT_ID: Final = 1
MAX_SHORT_SERVER_ID: Final = 65534


@final
class ServerResource(IntEnum):
    """Resource ids of Object 1."""

    SHORT_SERVER_ID = 0
    LIFETIME = 1
    DEFAULT_MIN_PERIOD = 2
    DEFAULT_MAX_PERIOD = 3
    DISABLE = 4
    DISABLE_TIMEOUT = 5
    NOTIFICATION_STORING = 6
    BINDING = 7
    REGISTRATION_UPDATE_TRIGGER = 8
    MUTE_SEND = 23


_RW: Final = Operations.READ | Operations.WRITE


def _seconds(resource_id: ServerResource, name: str, meaning: str, *, mandatory: bool = False) -> ResourceDefinition:
    return ResourceDefinition(
        id=resource_id,
        name=name,
        operations=_RW,
        mandatory=mandatory,
        type=ValueType.INTEGER,
        unit="s",
        meaning=meaning,
    )


def _executable(resource_id: ServerResource, name: str, meaning: str, *, mandatory: bool) -> ResourceDefinition:
    return ResourceDefinition(
        id=resource_id,
        name=name,
        operations=Operations.EXECUTE,
        mandatory=mandatory,
        type=ValueType.NONE,
        meaning=meaning,
    )


SERVER: Final = ObjectDefinition(
    id=SERVER_OBJECT_ID,
    name="LwM2M Server",
    version="1.0",
    urn="urn:oma:lwm2m:oma:1",
    lwm2m_version="1.0",
    multiple=True,
    mandatory=True,
    resources=(
        ResourceDefinition(
            id=ServerResource.SHORT_SERVER_ID,
            name="Short Server ID",
            operations=Operations.READ,
            mandatory=True,
            type=ValueType.INTEGER,
            low=1,
            high=MAX_SHORT_SERVER_ID,
            meaning="The number by which other objects name this server.",
        ),
        _seconds(ServerResource.LIFETIME, "Lifetime", "How long a registration lasts.", mandatory=True),
        _seconds(ServerResource.DEFAULT_MIN_PERIOD, "Default Minimum Period", "Notifications no closer than this."),
        _seconds(ServerResource.DEFAULT_MAX_PERIOD, "Default Maximum Period", "Notifications no further apart."),
        _executable(ServerResource.DISABLE, "Disable", "Leaves this server for a while.", mandatory=False),
        _seconds(ServerResource.DISABLE_TIMEOUT, "Disable Timeout", "How long Disable lasts."),
        ResourceDefinition(
            id=ServerResource.NOTIFICATION_STORING,
            name="Notification Storing When Disabled or Offline",
            operations=_RW,
            mandatory=True,
            type=ValueType.BOOLEAN,
            meaning="Whether notifications that cannot be sent are kept.",
        ),
        ResourceDefinition(
            id=ServerResource.BINDING,
            name="Binding",
            operations=_RW,
            mandatory=True,
            type=ValueType.STRING,
            meaning="The transport in use, a letter or two.",
        ),
        _executable(
            ServerResource.REGISTRATION_UPDATE_TRIGGER,
            "Registration Update Trigger",
            "Makes the client update its registration at once.",
            mandatory=True,
        ),
    ),
)

SERVER_1_1: Final = attrs.evolve(
    SERVER,
    version="1.1",
    urn="urn:oma:lwm2m:oma:1:1.1",
    lwm2m_version="1.1",
    resources=(
        *SERVER.resources,
        ResourceDefinition(
            id=ServerResource.MUTE_SEND,
            name="Mute Send",
            operations=_RW,
            type=ValueType.BOOLEAN,
            meaning="Whether the client sends nothing by itself to this server.",
            since="1.1",
        ),
    ),
)
