"""What a server has learnt of how each device wants to be asked; a new registration begins anew.

Devices are told apart by what they refuse: the documents let a client support few formats and no composite operation,
and do not let it say so beforehand.
"""

from typing import Final, final

import attrs

from lwm2m_fota.lwm2m.registry import Registration
from lwm2m_fota.model.formats import ContentFormat

PREFERRED: Final = (ContentFormat.SENML_CBOR, ContentFormat.SENML_JSON, ContentFormat.LWM2M_CBOR, ContentFormat.TLV)
"""The formats of what has several values, best first."""

_ASKED_IN: Final = (ContentFormat.SENML_CBOR, ContentFormat.SENML_JSON)
"""The formats in which paths are sent; those of SenML-ETCH hold the same, and fewer devices know them."""


@final
@attrs.define
class Ways:
    """How one device wants to be asked.

    Attributes:
        several: the format of what has several values.
        heeds_accept: it takes the Accept option; if not, its answers come in whichever format it likes.
        composite: the formats in which a composite operation may be asked for, best first; none if it refuses them.
    """

    several: int
    heeds_accept: bool = True
    composite: tuple[int, ...] = ()


def ways_of(registration: Registration) -> Ways:
    """What can be known of a device before it was asked anything.

    TLV for a device of LwM2M 1.0, which has to know it, and for one with an alternate path: in the other formats the
    names of values hold that path, or do not, by version. Else the best format that the device has listed, or SenML
    CBOR if it listed none.
    """
    if registration.lwm2m_version == "1.0" or registration.root:
        return Ways(ContentFormat.TLV)
    listed = registration.formats
    several = next((each for each in PREFERRED if each in listed), ContentFormat.SENML_CBOR)
    asked_in = tuple(each for each in _ASKED_IN if each in listed)
    return Ways(several, composite=(*asked_in, *(each for each in _ASKED_IN if each not in asked_in)))
