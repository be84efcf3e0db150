"""Object 33629, transcribed by hand from SPEC 4."""

from lwm2m_fota.model.advanced import ADVANCED_1_0, ADVANCED_OBJECT_ID, AdvancedResource
from lwm2m_fota.model.firmware import FIRMWARE_1_2
from lwm2m_fota.model.registry import standard_definitions
from lwm2m_fota.model.resources import Operations, ValueType
from lwm2m_fota.model.update import UpdateResource

R, W, RW, E = Operations.READ, Operations.WRITE, Operations.READ | Operations.WRITE, Operations.EXECUTE
S, INT, U = ValueType.STRING, ValueType.INTEGER, ValueType.UNSIGNED

# id, operations, multiple, mandatory, type, low, high
RESOURCES = [
    (0, W, False, True, ValueType.OPAQUE, None, None),
    (1, RW, False, True, S, 0, 255),
    (2, E, False, True, ValueType.NONE, None, None),
    (3, R, False, True, INT, 0, 3),
    (5, R, False, True, INT, 0, 13),
    (6, R, False, False, S, 0, 255),
    (7, R, False, False, S, 0, 255),
    (8, R, True, False, INT, 0, 5),
    (9, R, False, True, INT, 0, 2),
    (10, E, False, False, ValueType.NONE, None, None),
    (11, RW, False, False, INT, 0, 2),
    (12, R, False, False, ValueType.TIME, None, None),
    (13, RW, False, False, U, None, None),
    (14, R, False, True, S, 0, 255),
    (15, R, False, True, S, 0, 255),
    (16, R, True, False, ValueType.OBJLNK, None, None),
    (17, R, True, False, ValueType.OBJLNK, None, None),
]


def test_resources():
    assert [
        (each.id, each.operations, each.multiple, each.mandatory, each.type, each.low, each.high)
        for each in ADVANCED_1_0.resources
    ] == RESOURCES
    assert {each.since for each in ADVANCED_1_0.resources} == {"1.0"}


def test_object():
    assert (ADVANCED_1_0.id, ADVANCED_1_0.version, ADVANCED_1_0.lwm2m_version) == (33629, "1.0", "1.1")
    assert ADVANCED_1_0.urn == "urn:oma:lwm2m:oma:33629"
    assert ADVANCED_1_0.multiple
    assert not ADVANCED_1_0.mandatory
    assert standard_definitions().get(ADVANCED_OBJECT_ID) is ADVANCED_1_0


def test_names_of_ids():
    assert [each.value for each in (*UpdateResource, *AdvancedResource)] == [row[0] for row in RESOURCES]


def test_resource_14_is_not_that_of_object_5():
    assert ADVANCED_1_0.resource(14).name == "Component Name"
    assert FIRMWARE_1_2.resource(14).name == "Automatic Upgrade at Download"


def test_every_resource_says_what_it_means():
    assert all(each.meaning.endswith(".") for each in ADVANCED_1_0.resources)
