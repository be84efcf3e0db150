import pytest

from lwm2m_fota.model.advanced import ADVANCED_1_0
from lwm2m_fota.model.device import DEVICE
from lwm2m_fota.model.firmware import FIRMWARE_1_0, FIRMWARE_1_1, FIRMWARE_1_2
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import Definitions, standard_definitions
from lwm2m_fota.model.server import SERVER, SERVER_1_1


def test_without_a_version_the_newest_is_meant_in_whatever_order_they_come():
    for order in [(FIRMWARE_1_2, FIRMWARE_1_0), (FIRMWARE_1_0, FIRMWARE_1_2)]:
        assert Definitions(order).get(5) is FIRMWARE_1_2


def test_an_object_by_version():
    definitions = standard_definitions()
    assert definitions.get(5, "1.0") is FIRMWARE_1_0
    assert definitions.get(5, "1.1") is FIRMWARE_1_1
    assert definitions.get(5, "1.3") is None
    assert definitions.get(9) is None


def test_the_standard_ones():
    servers, firmware = {SERVER, SERVER_1_1}, {FIRMWARE_1_0, FIRMWARE_1_1, FIRMWARE_1_2}
    assert set(standard_definitions()) == {*servers, DEVICE, *firmware, ADVANCED_1_0}


def test_none_at_all():
    assert list(Definitions()) == []
    assert Definitions().get(5) is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/5/0/3", "State"),
        ("/5/0/8/1", "Firmware Update Protocol Support"),
        ("/5/0", None),
        ("/", None),
        ("/5/0/4", None),
        ("/9/0/3", None),
        ("/3/0/3", "Firmware Version"),
        ("/33629/1/14", "Component Name"),
    ],
)
def test_the_resource_of_a_path(path, name):
    resource = standard_definitions().resource(Path.parse(path))
    assert (None if resource is None else resource.name) == name
