"""For which devices a package is made: ids of vendor, class and device, 16 bytes each as a rule (RFC 9562)."""

import hashlib
from typing import Final, final

import attrs

from lwm2m_fota.errors import UsageError

UUID_BYTES: Final = 16
DNS_NAMESPACE: Final = bytes.fromhex("6ba7b8109dad11d180b400c04fd430c8")
"""The namespace of vendors: their ids are made of their domain names (RFC 9562 section 6.6)."""

MAX_ID_BYTES: Final = 64


def uuid5(namespace: bytes, name: str) -> bytes:
    """The id of a name within a namespace (RFC 9562 section 5.5): `uuid5(DNS_NAMESPACE, "vendor.example")`.

    Raises:
        UsageError: the namespace is no UUID.
    """
    if len(namespace) != UUID_BYTES:
        raise UsageError(f"a namespace has {UUID_BYTES} bytes")
    digest = bytearray(hashlib.sha1(namespace + name.encode(), usedforsecurity=False).digest()[:UUID_BYTES])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)


def _ids(values: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return tuple(values)


@final
@attrs.frozen(kw_only=True)
class DeviceIdentity:
    """What a device is.

    Attributes:
        vendor_ids: any of these vendors.
        class_ids: any of these classes.
        device_ids: any of these ids of the device itself.

    Raises:
        UsageError: an id that is empty or has more than 64 bytes.
    """

    vendor_ids: tuple[bytes, ...] = attrs.field(default=(), converter=_ids)
    class_ids: tuple[bytes, ...] = attrs.field(default=(), converter=_ids)
    device_ids: tuple[bytes, ...] = attrs.field(default=(), converter=_ids)

    def __attrs_post_init__(self) -> None:
        for each in (*self.vendor_ids, *self.class_ids, *self.device_ids):
            if not 0 < len(each) <= MAX_ID_BYTES:
                raise UsageError(f"an id has 1 to {MAX_ID_BYTES} bytes")


@final
@attrs.frozen(kw_only=True)
class MadeFor:
    """For whom a package says that it is made; None where it says nothing.

    Attributes:
        vendor_id: only devices of this vendor.
        class_id: only devices of this class.
        device_id: only this device.
    """

    vendor_id: bytes | None = None
    class_id: bytes | None = None
    device_id: bytes | None = None

    def mismatch(self, device: DeviceIdentity) -> str | None:
        """Why a device must not take the package; None if it may.

        What the package names, the device must be. Where the device knows its vendor or its class, the package must
        name them; no package needs to name a single device.
        """
        for word, named, known, is_needed in (
            ("vendor", self.vendor_id, device.vendor_ids, True),
            ("class", self.class_id, device.class_ids, True),
            ("device", self.device_id, device.device_ids, False),
        ):
            if named is None:
                if known and is_needed:
                    return f"it names no {word}"
            elif not known:
                return f"it is for {word} {named.hex()}, and this device knows of no {word}"
            elif named not in known:
                return f"it is for {word} {named.hex()}"
        return None
