"""Plans, limits and policies of an update."""

import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines.update_limits import UpdateLimits, limits_for
from lwm2m_fota.machines.update_policy import (
    DeviceSettings,
    Method,
    ResetMethod,
    UpdatePlan,
    UpdatePolicy,
    VersionGuard,
)
from lwm2m_fota.machines.update_versions import OwnVersions, VersionMatch
from lwm2m_fota.model.enums import Severity


def test_the_default_limits_are_the_documented_ones():
    limits = UpdateLimits()
    assert (limits.request_s, limits.no_progress_s, limits.busy_s, limits.reset_s) == (120, 300, 420, 30)
    assert (limits.reboot_s, limits.deferral_s, limits.version_s) == (900, 3600, 60)
    assert (limits.preparing_s, limits.transferring_s, limits.executing_s) == (900, 1800, 1800)
    assert (limits.cleanup_s, limits.total_s, limits.late_s) == (420, 3600, 3600)


@pytest.mark.parametrize(
    ("size", "rate", "transfer", "total"),
    [
        (1, 250.0, 1800, 3600),
        (225_000, 250.0, 1800, 3600),
        (1_048_576, 250.0, 8388.608, 10188.608),
        (1_000_000, 100_000.0, 1800, 3600),
        (0, 1.0, 1800, 3600),
    ],
)
def test_the_transfer_may_take_twice_the_reckoned_time(size, rate, transfer, total):
    limits = limits_for(size, rate)
    assert limits.transferring_s == pytest.approx(transfer)
    assert limits.total_s == pytest.approx(total)


@pytest.mark.parametrize(("size", "rate"), [(-1, 1.0), (1, 0.0), (1, float("inf")), (1, float("nan"))])
def test_limits_need_a_size_and_a_rate(size, rate):
    with pytest.raises(UsageError):
        limits_for(size, rate)


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_a_limit_is_a_positive_number(value):
    with pytest.raises(UsageError, match="reboot_s"):
        UpdateLimits(reboot_s=value)
    with pytest.raises(UsageError, match="poll_s"):
        UpdatePolicy(poll_s=value)


@pytest.mark.parametrize("name", ["max_pushes", "max_pulls", "max_executes"])
def test_everything_is_allowed_at_least_once(name):
    with pytest.raises(UsageError):
        UpdatePolicy(**{name: 0})
    assert UpdatePolicy(max_busy=0).max_busy == 0
    with pytest.raises(UsageError):
        UpdatePolicy(max_busy=-1)


def test_both_names_a_method():
    with pytest.raises(UsageError):
        UpdatePolicy(both=Method.AUTO)


def test_a_plan_takes_its_method_by_name_and_its_limits_from_the_size():
    plan = UpdatePlan(method="push", package_bytes=10_000_000)
    assert plan.method is Method.PUSH
    assert plan.limits == limits_for(10_000_000)
    with pytest.raises(UsageError):
        UpdatePlan(package_bytes=0)


@pytest.mark.parametrize(
    "choices",
    [
        {"objects": ()},
        {"objects": (9,)},
        {"objects": (5, 3)},
        {"reset_methods": (ResetMethod.CANCEL, ResetMethod.WAIT)},
        {"version_guard": VersionGuard.NO_DOWNGRADE},
        {"version_guard": VersionGuard.NEWER_ONLY, "version_match": VersionMatch.TRIMMED},
        {"version_guard": VersionGuard.NEWER_ONLY, "version_match": OwnVersions("none", lambda _: None)},
    ],
)
def test_choices_that_make_no_sense(choices):
    with pytest.raises(UsageError):
        UpdatePolicy(**choices)


def test_a_guard_needs_an_order():
    for match in (VersionMatch.MCUBOOT, VersionMatch.SEMVER, VersionMatch.PEP440):
        assert UpdatePolicy(version_guard=VersionGuard.NO_DOWNGRADE, version_match=match).version_match is match


def test_the_default_ways_to_cancel_are_tried_in_this_order():
    assert [way.value for way in UpdatePolicy().cancel_methods] == [
        "execute Cancel",
        "write an empty Package URI",
        "write a Package of one NUL byte",
        "wait for the device's own time-out",
    ]


@pytest.mark.parametrize("wrong", [{"max_defer_s": -1}, {"severity": Severity(7)}])
def test_settings_are_what_the_object_takes(wrong):
    with pytest.raises(UsageError):
        DeviceSettings(**wrong)
    assert DeviceSettings(severity=Severity(2), max_defer_s=0).max_defer_s == 0
