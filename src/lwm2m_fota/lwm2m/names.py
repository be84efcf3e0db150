"""Endpoint client names (LwM2M Core 6.2.1: `ep`)."""

from typing import Final

from lwm2m_fota.errors import UsageError

MAX_ENDPOINT_BYTES: Final = 255
"""Of UTF-8: what is left of one Uri-Query option."""


def is_endpoint_name(name: str) -> bool:
    """True for 1 to 255 bytes of UTF-8."""
    try:
        return 1 <= len(name.encode()) <= MAX_ENDPOINT_BYTES
    except UnicodeEncodeError:  # a lone surrogate
        return False


def check_endpoint_name(name: str) -> None:
    """Refuse a name that no device can have.

    Raises:
        UsageError: it is empty or too long, or no text.
    """
    if not is_endpoint_name(name):
        raise UsageError(f"an endpoint name has 1 to {MAX_ENDPOINT_BYTES} bytes")
