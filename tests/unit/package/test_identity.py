"""Ids of vendors, classes and devices."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.identity import DNS_NAMESPACE, DeviceIdentity, MadeFor, uuid5

# SPEC section 15.1: the vendor of the examples of SUIT.
VENDOR = "fa6b4a53d5ad5fdfbe9de663e4d41ffe"


def test_the_ids_of_the_examples():
    vendor = uuid5(DNS_NAMESPACE, "arm.com")
    assert vendor.hex() == VENDOR
    assert len(uuid5(vendor, "")) == 16


@given(st.binary(min_size=16, max_size=16), st.text(max_size=40))
def test_ids_are_those_of_the_standard_library(namespace, name):
    assert uuid5(namespace, name) == uuid.uuid5(uuid.UUID(bytes=namespace), name).bytes


@pytest.mark.parametrize("namespace", [b"", bytes(15), bytes(17)])
def test_a_namespace_is_a_uuid(namespace):
    with pytest.raises(UsageError, match="16"):
        uuid5(namespace, "name")


def test_ids_have_a_length():
    for ids in ([b""], [bytes(65)]):
        with pytest.raises(UsageError, match="1 to 64"):
            DeviceIdentity(device_ids=ids)
    assert DeviceIdentity(vendor_ids=[bytes(64)]).vendor_ids == (bytes(64),)


NOBODY = DeviceIdentity()
ME = DeviceIdentity(vendor_ids=[b"v1", b"v2"], class_ids=[b"c"], device_ids=[b"d"])


@pytest.mark.parametrize(
    ("made_for", "device", "mismatch"),
    [
        (MadeFor(), NOBODY, None),
        (MadeFor(vendor_id=b"v1"), NOBODY, "it is for vendor 7631, and this device knows of no vendor"),
        (MadeFor(device_id=b"d"), NOBODY, "it is for device 64, and this device knows of no device"),
        (MadeFor(vendor_id=b"v2", class_id=b"c"), ME, None),
        (MadeFor(vendor_id=b"v2", class_id=b"c", device_id=b"d"), ME, None),
        (MadeFor(vendor_id=b"v3", class_id=b"c"), ME, "it is for vendor 7633"),
        (MadeFor(vendor_id=b"v1", class_id=b"x"), ME, "it is for class 78"),
        (MadeFor(vendor_id=b"v1", class_id=b"c", device_id=b"e"), ME, "it is for device 65"),
        (MadeFor(class_id=b"c"), ME, "it names no vendor"),
        (MadeFor(vendor_id=b"v1"), ME, "it names no class"),
    ],
)
def test_who_may_take_it(made_for, device, mismatch):
    assert made_for.mismatch(device) == mismatch
