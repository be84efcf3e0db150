import pytest

from lwm2m_fota.model.device import DEVICE, DeviceResource
from lwm2m_fota.model.firmware import (
    AUTOMATIC_UPGRADE,
    FIRMWARE_1_0,
    FIRMWARE_1_1,
    FIRMWARE_1_2,
    FIRMWARE_OBJECT_ID,
    FIRMWARE_VERSIONS,
)
from lwm2m_fota.model.resources import Operations, ValueType
from lwm2m_fota.model.server import SERVER, SERVER_1_1, ServerResource
from lwm2m_fota.model.update import UpdateResource

R, W, RW, E = Operations.READ, Operations.WRITE, Operations.READ | Operations.WRITE, Operations.EXECUTE
S, INT, U, B, OPAQUE, T, N = (
    ValueType.STRING,
    ValueType.INTEGER,
    ValueType.UNSIGNED,
    ValueType.BOOLEAN,
    ValueType.OPAQUE,
    ValueType.TIME,
    ValueType.NONE,
)

# id, operations, multiple, mandatory, type, low, high, since: transcribed from the registry
FIRMWARE = [
    (0, W, False, True, OPAQUE, None, None, "1.0"),
    (1, RW, False, True, S, 0, 255, "1.0"),
    (2, E, False, True, N, None, None, "1.0"),
    (3, R, False, True, INT, 0, 3, "1.0"),
    (5, R, False, True, INT, 0, 11, "1.0"),
    (6, R, False, False, S, 0, 255, "1.0"),
    (7, R, False, False, S, 0, 255, "1.0"),
    (8, R, True, False, INT, 0, 5, "1.0"),
    (9, R, False, True, INT, 0, 2, "1.0"),
    (10, E, False, False, N, None, None, "1.1"),
    (11, RW, False, False, INT, 0, 2, "1.1"),
    (12, R, False, False, T, None, None, "1.1"),
    (13, RW, False, False, U, None, None, "1.1"),
    (14, RW, False, False, B, None, None, "1.2"),
]
SERVER_ROWS = [
    (0, R, False, True, INT, 1, 65534, "1.0"),
    (1, RW, False, True, INT, None, None, "1.0"),
    (2, RW, False, False, INT, None, None, "1.0"),
    (3, RW, False, False, INT, None, None, "1.0"),
    (4, E, False, False, N, None, None, "1.0"),
    (5, RW, False, False, INT, None, None, "1.0"),
    (6, RW, False, True, B, None, None, "1.0"),
    (7, RW, False, True, S, None, None, "1.0"),
    (8, E, False, True, N, None, None, "1.0"),
]


MUTE_SEND_ROW = (23, RW, False, False, B, None, None, "1.1")


def rows(definition):
    return [
        (each.id, each.operations, each.multiple, each.mandatory, each.type, each.low, each.high, each.since)
        for each in definition.resources
    ]


def test_firmware_update_1_2():
    assert rows(FIRMWARE_1_2) == FIRMWARE
    assert FIRMWARE_1_2.urn == "urn:oma:lwm2m:oma:5:1.2"


def test_firmware_update_1_1_has_no_automatic_upgrade():
    assert rows(FIRMWARE_1_1) == FIRMWARE[:13]
    assert FIRMWARE_1_1.resource(14) is None


def test_firmware_update_1_0_ends_at_9_with_results_to_9():
    expected = list(FIRMWARE[:9])
    expected[4] = (5, R, False, True, INT, 0, 9, "1.0")
    assert rows(FIRMWARE_1_0) == expected
    assert FIRMWARE_1_0.urn == "urn:oma:lwm2m:oma:5"


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_firmware_by_version(version):
    definition = FIRMWARE_VERSIONS[version]
    assert definition.version == version
    assert definition.id == FIRMWARE_OBJECT_ID == 5
    assert not definition.multiple
    assert not definition.mandatory


def test_id_4_is_not_allocated():
    assert FIRMWARE_1_2.resource(4) is None
    assert FIRMWARE_1_2.resource(3).name == "State"


def test_units():
    assert FIRMWARE_1_2.resource(13).unit == "s"
    assert [each.id for each in SERVER.resources if each.unit == "s"] == [1, 2, 3, 5]


def test_names_of_ids():
    assert [*(each.value for each in UpdateResource), AUTOMATIC_UPGRADE] == [row[0] for row in FIRMWARE]
    assert [each.value for each in ServerResource] == [row[0] for row in (*SERVER_ROWS, MUTE_SEND_ROW)]
    assert [each.value for each in DeviceResource] == [each.id for each in DEVICE.resources]


def test_server():
    assert rows(SERVER) == SERVER_ROWS
    assert SERVER.multiple
    assert SERVER.mandatory


def test_server_1_1_can_be_muted():
    assert rows(SERVER_1_1) == [*SERVER_ROWS, MUTE_SEND_ROW]
    assert (SERVER_1_1.version, SERVER_1_1.urn, SERVER_1_1.lwm2m_version) == ("1.1", "urn:oma:lwm2m:oma:1:1.1", "1.1")


def test_device():
    kinds = {each.id: (each.operations, each.type) for each in DEVICE.resources}
    assert kinds == {
        0: (R, S), 1: (R, S), 2: (R, S), 3: (R, S), 4: (E, N), 10: (R, INT), 11: (R, INT), 13: (RW, T), 16: (R, S),
        17: (R, S), 18: (R, S), 19: (R, S), 21: (R, INT),
    }  # fmt: skip
    assert [each.id for each in DEVICE.resources if each.multiple] == [11]
    assert [each.id for each in DEVICE.resources if each.mandatory] == [4, 11, 16]


@pytest.mark.parametrize("definition", [SERVER_1_1, DEVICE, FIRMWARE_1_2])
def test_every_resource_says_what_it_means(definition):
    assert all(each.meaning.endswith(".") for each in definition.resources)
    assert [each.id for each in definition.resources] == sorted(each.id for each in definition.resources)


def test_equal_definitions_are_equal():
    assert FIRMWARE_1_1 != FIRMWARE_1_2
    assert "_by_id" not in repr(FIRMWARE_1_1)
