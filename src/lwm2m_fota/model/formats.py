"""Content formats: the numbers that name how a payload is written (CoAP registry; LwM2M Core 7.4)."""

from enum import IntEnum
from typing import final


@final
class ContentFormat(IntEnum):
    """Content-Format and Accept values that LwM2M uses."""

    TEXT = 0
    LINK = 40
    OPAQUE = 42
    CBOR = 60
    SENML_JSON = 110
    SENML_CBOR = 112
    SENML_ETCH_JSON = 320
    SENML_ETCH_CBOR = 322
    TLV = 11542
    OMA_JSON = 11543
    LWM2M_CBOR = 11544
