"""Limits for a device that sleeps: each wait by one sleep longer, each stage by four, the whole by sixteen."""

import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines.update_limits import UpdateLimits, limits_for
from lwm2m_fota.machines.update_sleep import with_sleeps


def test_every_limit_has_room_for_sleep():
    assert with_sleeps(UpdateLimits(), 1000.0) == UpdateLimits(
        request_s=1120.0,
        no_progress_s=1300.0,
        busy_s=1420.0,
        reset_s=1030.0,
        reboot_s=1900.0,
        deferral_s=3600.0,
        version_s=1060.0,
        preparing_s=4900.0,
        transferring_s=5800.0,
        executing_s=5800.0,
        cleanup_s=4420.0,
        late_s=4600.0,
        total_s=19600.0,
    )


def test_a_device_that_does_not_sleep_keeps_its_limits():
    assert with_sleeps(limits_for(10_000_000), 0.0) == limits_for(10_000_000)


@pytest.mark.parametrize("sleep_s", [-1.0, float("inf"), float("nan")])
def test_sleeps_that_make_no_sense(sleep_s):
    with pytest.raises(UsageError):
        with_sleeps(UpdateLimits(), sleep_s)
