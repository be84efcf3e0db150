import pytest

from lwm2m_fota.errors import SimulationError, UsageError
from lwm2m_fota.machines.update_effects import Finished
from lwm2m_fota.machines.update_outcome import Succeeded
from lwm2m_fota.machines.update_policy import UpdatePolicy
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.package.formats.mcuboot_read import inspect_mcuboot
from lwm2m_fota.server.updater import RunningUpdate
from lwm2m_fota.sim.devices import DeviceModel, SimulatedDevice
from lwm2m_fota.sim.network import Fate
from lwm2m_fota.sim.scenario import Scenario, package_of, run_update

CLEAN = {"package_bytes": 5000, "loss": 0.0, "duplicate": 0.0, "reorder_s": 0.0}


@pytest.mark.parametrize("method", ["push", "pull"])
def test_a_report_tells_how_it_went(method):
    report = run_update(Scenario(method=method, **CLEAN), 7)
    assert report.outcome == Succeeded(version_before="1.0.0", version_after="1.1.0")
    assert (report.succeeded, report.why, report.is_intact) == (True, "Succeeded", True)
    assert (report.seed, report.version, report.boots) == (7, "1.1.0", 2)
    assert (report.state, report.result) == (State.IDLE, UpdateResult.SUCCESS)
    assert set(report.datagrams) == {Fate.DELIVERED}
    assert 10 < report.seconds < 20
    assert isinstance(report.notes[-1][1], Finished)
    assert report.trace == ()
    assert "notes" not in repr(report)


def test_a_failure_has_its_name():
    report = run_update(Scenario(**CLEAN, device=DeviceModel(capacity_bytes=4999)), 1)
    assert (report.succeeded, report.why, report.is_intact) == (False, "device.not-enough-storage", True)


def test_the_trace_holds_the_last_datagrams():
    report = run_update(Scenario(**CLEAN, trace_datagrams=10), 1)
    assert len(report.trace) == 10
    assert [passage.time_s for passage in report.trace] == sorted(passage.time_s for passage in report.trace)


def test_power_is_cut_at_its_times():
    report = run_update(Scenario(**CLEAN, power_cuts_s=(0.3, 5.9)), 1)
    assert (report.succeeded, report.boots) == (True, 4)


def test_the_policy_counts():
    report = run_update(Scenario(**CLEAN | {"loss": 0.7}, policy=UpdatePolicy(max_pushes=1)), 1)
    assert not report.succeeded


@pytest.mark.parametrize("image", [b"other", None])
def test_another_image_than_the_package_is_told(monkeypatch, image):
    monkeypatch.setattr(SimulatedDevice, "image", property(lambda _: image))
    report = run_update(Scenario(**CLEAN), 1)
    assert (report.succeeded, report.is_intact) == (True, False)


def test_an_update_without_an_end_hangs(monkeypatch):
    monkeypatch.setattr(RunningUpdate, "_end", lambda *_: None)
    with pytest.raises(SimulationError):
        run_update(Scenario(**CLEAN), 1)


def test_a_package_has_its_size_and_its_version_and_its_seed():
    package = package_of(5000, "2.3.4+5", 1)
    assert len(package) == 5000
    assert str(inspect_mcuboot([package]).image.header.version) == "2.3.4+5"
    assert package_of(5000, "2.3.4+5", 1) == package != package_of(5000, "2.3.4+5", 2)


def test_a_package_needs_room_for_a_body():
    assert len(package_of(73, "1.0.0")) == 73
    with pytest.raises(UsageError, match="room"):
        package_of(72, "1.0.0")
