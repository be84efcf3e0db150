"""Object 0, transcribed from LwM2M Core 1.0: local to the device."""

import pytest

from lwm2m_fota.model.resources import Operations
from lwm2m_fota.model.security import SECURITY, SecurityMode, SecurityResource

TABLE = [
    (0, "LwM2M Server URI", True, "String", 0, 255),
    (1, "Bootstrap-Server", True, "Boolean", None, None),
    (2, "Security Mode", True, "Integer", 0, 3),
    (10, "Short Server ID", False, "Integer", 1, 65534),
]


def test_the_resources():
    found = [(each.id, each.name, each.mandatory, each.type.value, each.low, each.high) for each in SECURITY.resources]
    assert found == TABLE
    assert (SECURITY.id, SECURITY.version, SECURITY.urn) == (0, "1.0", "urn:oma:lwm2m:oma:0")


def test_names_of_ids_and_modes():
    assert [int(each) for each in SecurityResource] == [0, 1, 2, 10]
    assert [int(each) for each in SecurityMode] == [0, 1, 2, 3]


@pytest.mark.parametrize("resource", SECURITY.resources, ids=lambda each: each.name)
def test_no_operation_of_a_server_reaches_it(resource):
    assert resource.operations == Operations(0)
    assert resource.meaning
