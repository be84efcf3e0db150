"""Our tables against the registry's own files, resource by resource."""

import xml.etree.ElementTree as ET

import pytest

from lwm2m_fota.model.device import DEVICE
from lwm2m_fota.model.firmware import FIRMWARE_1_0, FIRMWARE_1_1, FIRMWARE_1_2
from lwm2m_fota.model.resources import Operations

OPERATIONS = {"": Operations(0), "R": Operations.READ, "W": Operations.WRITE, "E": Operations.EXECUTE}
OPERATIONS["RW"] = Operations.READ | Operations.WRITE


def read(path):
    item = ET.parse(path).getroot().find("Object")  # noqa: S314 - a file of the registry
    return item, {each.get("ID"): row(each) for each in item.find("Resources")}


def text(item, tag):
    return (item.findtext(tag) or "").strip()


def row(item):
    low, _, high = text(item, "RangeEnumeration").partition("..")
    return {
        "name": text(item, "Name"),
        "operations": OPERATIONS[text(item, "Operations")],
        "multiple": text(item, "MultipleInstances") == "Multiple",
        "mandatory": text(item, "Mandatory") == "Mandatory",
        "type": text(item, "Type"),
        "low": int(low) if low else None,
        "high": int(high) if high else None,
        "unit": text(item, "Units"),
    }


def ours(definition):
    return {
        str(int(each.id)): {
            "name": each.name,
            "operations": each.operations,
            "multiple": each.multiple,
            "mandatory": each.mandatory,
            "type": each.type.value,
            "low": each.low,
            "high": each.high,
            "unit": each.unit,
        }
        for each in definition.resources
    }


def head(definition):
    return {
        "Name": definition.name,
        "ObjectID": str(definition.id),
        "ObjectURN": definition.urn,
        "LWM2MVersion": definition.lwm2m_version,
        "ObjectVersion": definition.version,
        "MultipleInstances": "Multiple" if definition.multiple else "Single",
        "Mandatory": "Mandatory" if definition.mandatory else "Optional",
    }


@pytest.mark.parametrize(
    ("file", "definition"), [("5-1_0.xml", FIRMWARE_1_0), ("5-1_1.xml", FIRMWARE_1_1), ("5-1_2.xml", FIRMWARE_1_2)]
)
def test_object_5(spec, file, definition):
    item, rows = read(spec / "oma" / file)
    assert head(definition) == {tag: text(item, tag) for tag in head(definition)}
    assert ours(definition) == rows


def test_what_we_have_of_object_3(spec):
    item, rows = read(spec / "oma" / "3.xml")
    assert head(DEVICE) == {tag: text(item, tag) for tag in head(DEVICE)}
    mine = ours(DEVICE)
    assert mine == {resource_id: rows[resource_id] for resource_id in mine}
