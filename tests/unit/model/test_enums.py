import pytest

from lwm2m_fota.model.enums import DeliveryMethod, ProtocolSupport, Severity, State, UpdateResult


@pytest.mark.parametrize(
    ("enum", "names"),
    [
        (State, ["IDLE", "DOWNLOADING", "DOWNLOADED", "UPDATING"]),
        (
            UpdateResult,
            [
                "INITIAL", "SUCCESS", "NOT_ENOUGH_STORAGE", "OUT_OF_MEMORY", "CONNECTION_LOST", "INTEGRITY_FAILURE",
                "UNSUPPORTED_PACKAGE", "INVALID_URI", "UPDATE_FAILED", "UNSUPPORTED_PROTOCOL", "CANCELLED",
                "DEFERRED", "CONFLICTING_STATE", "DEPENDENCY_ERROR",
            ],
        ),
        (ProtocolSupport, ["COAP", "COAPS", "HTTP", "HTTPS", "COAP_TCP", "COAPS_TCP"]),
        (DeliveryMethod, ["PULL", "PUSH", "BOTH"]),
        (Severity, ["CRITICAL", "MANDATORY", "OPTIONAL"]),
    ],
)  # fmt: skip
def test_values_count_from_zero(enum, names):
    assert [(each.name, each.value) for each in enum] == [(name, number) for number, name in enumerate(names)]


@pytest.mark.parametrize("enum", [UpdateResult, ProtocolSupport, DeliveryMethod, Severity])
def test_an_unlisted_value_is_kept_and_never_remembered(enum):
    member = enum(200)
    assert member == 200
    assert member.name == "UNKNOWN_200"
    assert not member.is_known
    assert 200 not in enum._value2member_map_
    assert enum(-3).name == "UNKNOWN_MINUS_3"


@pytest.mark.parametrize("value", [None, "1", 1.5, [1]])
def test_only_integers_become_members(value):
    with pytest.raises(ValueError):
        UpdateResult(value)


def test_a_bool_is_no_number_of_an_unlisted_value():
    assert UpdateResult._missing_(True) is None


def test_a_state_is_one_of_four():
    with pytest.raises(ValueError):
        State(4)


def test_listed_values_are_known():
    assert all(result.is_known for result in UpdateResult)


@pytest.mark.parametrize(
    ("number", "scheme"),
    [(0, "coap"), (1, "coaps"), (2, "http"), (3, "https"), (4, "coap+tcp"), (5, "coaps+tcp"), (6, None)],
)
def test_the_scheme_of_a_protocol(number, scheme):
    assert ProtocolSupport(number).scheme == scheme
