"""Object 0, LwM2M Security: how a client finds and trusts a server. It is the device's own; servers never see it.

Source: LwM2M Core 1.0, object urn:oma:lwm2m:oma:0 (key material and SMS resources are not used here).
"""

from enum import IntEnum
from typing import Final, final

from lwm2m_fota.model.resources import ObjectDefinition, Operations, ResourceDefinition, ValueType
from lwm2m_fota.model.server import MAX_SHORT_SERVER_ID

SECURITY_OBJECT_ID: Final = 0
MAX_SERVER_URI_BYTES: Final = 255


@final
class SecurityResource(IntEnum):
    """Resource ids of Object 0."""

    SERVER_URI = 0
    BOOTSTRAP_SERVER = 1
    SECURITY_MODE = 2
    SHORT_SERVER_ID = 10


@final
class SecurityMode(IntEnum):
    """Resource 2, Security Mode."""

    PRE_SHARED_KEY = 0
    RAW_PUBLIC_KEY = 1
    CERTIFICATE = 2
    NO_SECURITY = 3


_LOCAL: Final = Operations(0)  # no operation of a server reaches it

SECURITY: Final = ObjectDefinition(
    id=SECURITY_OBJECT_ID,
    name="LwM2M Security",
    version="1.0",
    urn="urn:oma:lwm2m:oma:0",
    lwm2m_version="1.0",
    multiple=True,
    mandatory=True,
    resources=(
        ResourceDefinition(
            id=SecurityResource.SERVER_URI,
            name="LwM2M Server URI",
            operations=_LOCAL,
            mandatory=True,
            type=ValueType.STRING,
            low=0,
            high=MAX_SERVER_URI_BYTES,
            meaning="Where the server is reached.",
        ),
        ResourceDefinition(
            id=SecurityResource.BOOTSTRAP_SERVER,
            name="Bootstrap-Server",
            operations=_LOCAL,
            mandatory=True,
            type=ValueType.BOOLEAN,
            meaning="Whether that server hands out accounts; never so here.",
        ),
        ResourceDefinition(
            id=SecurityResource.SECURITY_MODE,
            name="Security Mode",
            operations=_LOCAL,
            mandatory=True,
            type=ValueType.INTEGER,
            low=SecurityMode.PRE_SHARED_KEY,
            high=SecurityMode.NO_SECURITY,
            meaning="How the session with the server is protected.",
        ),
        ResourceDefinition(
            id=SecurityResource.SHORT_SERVER_ID,
            name="Short Server ID",
            operations=_LOCAL,
            type=ValueType.INTEGER,
            low=1,
            high=MAX_SHORT_SERVER_ID,
            meaning="The number by which other objects name this server.",
        ),
    ),
)
