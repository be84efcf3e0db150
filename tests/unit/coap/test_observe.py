import pytest

from lwm2m_fota.coap.observe import Freshness


@pytest.mark.parametrize(
    ("newest", "value", "fresh"),
    [
        (5, 6, True),
        (5, 5, False),
        (5, 4, False),
        (0, 0x7FFFFF, True),
        (0, 0x800000, False),
        (0xFFFFFF, 0, True),
        (0xFFFFFF, 0xFFFFFE, False),
        (0x900000, 1, True),
        (1, 0x900000, False),
        (5, 0x1000006, True),  # only 24 bits count
    ],
)
def test_serial_number_arithmetic(newest, value, fresh):
    assert Freshness(newest, 0.0).accept(value, 1.0) is fresh


def test_after_128_seconds_every_value_is_fresh():
    assert not Freshness(5, 0.0).accept(4, 128.0)
    assert Freshness(5, 0.0).accept(4, 128.1)


def test_the_accepted_value_is_the_newest():
    freshness = Freshness(1, 0.0)
    assert freshness.accept(9, 1.0)
    assert not freshness.accept(8, 100.0)
    assert not freshness.accept(8, 129.0)
    assert freshness.accept(8, 129.1)


def test_a_refused_value_changes_nothing():
    freshness = Freshness(5, 0.0)
    assert not freshness.accept(3, 100.0)
    assert freshness.accept(4, 128.5)
