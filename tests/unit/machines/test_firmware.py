"""What a step does beside State and Result: effects in their order, numbers, names, times."""

import sys

import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines.effects import (
    BeginInstall,
    DiscardImage,
    Notify,
    OpenStage,
    Persist,
    StartPull,
    StopTransfer,
    VerifyImage,
)
from lwm2m_fota.machines.events import BootOutcome, Found, StagedImage
from lwm2m_fota.machines.firmware import handle_timeout, kind_of, next_deadline, step
from lwm2m_fota.machines.policies import (
    ClocklessDeferral,
    ClockLost,
    ClockSetBack,
    FailureTarget,
    FirmwarePolicies,
    ResetScope,
    SynchronousUriFailure,
    ZeroLengthPackage,
)
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.snapshot import recover, restore, snapshot
from lwm2m_fota.machines.state import Deferral, FirmwareMachine, Settings, Times
from lwm2m_fota.model.enums import DeliveryMethod, ProtocolSupport, Severity, State, UpdateResult

URI = "coap://host.example/fw"
V12 = FirmwareProfile(version="1.2")


def run(machine, *events, profile=V12, wall=None):
    """The last step of several."""
    taken = None
    for event in events:
        taken = step(machine, event, profile, wall)
        assert taken.accepted, event
        machine = taken.machine
    return taken


def downloaded(profile=V12, wall=None, **settings):
    events = (ev.UriWritten(URI), ev.PackageReceived(), ev.PackageVerified("name", "1.2"))
    return run(FirmwareMachine(settings=Settings(**settings)), *events, profile=profile, wall=wall).machine


def updating():
    return run(downloaded(), ev.UpdateExecuted()).machine


# ---- effects, in the order they must be carried out ------------------------------------------------------------------


def test_push_opens_a_stage_of_the_announced_size():
    taken = run(FirmwareMachine(), ev.PackageBegun(1000), wall=5.0)
    assert taken.effects == (Persist(), OpenStage(1000, 1), Notify((12, 3)))
    assert taken.answer.code == 95
    assert taken.machine == FirmwareMachine(State.DOWNLOADING, delivery="push", transfer=1, last_change=5.0)


def test_pull_opens_a_stage_and_notifies_before_it_starts():
    taken = run(FirmwareMachine(result=UpdateResult.CONNECTION_LOST), ev.UriWritten(URI), wall=5.0)
    assert taken.effects == (Persist(), OpenStage(None, 1), Notify((12, 1, 5, 3)), StartPull(URI, 1))
    assert taken.machine == FirmwareMachine(State.DOWNLOADING, delivery="pull", uri=URI, transfer=1, last_change=5.0)


@pytest.mark.parametrize("uri", ["no uri", "ftp://host.example/fw"])
def test_useless_uri_starts_a_pull_that_fails_without_erasing_a_stage(uri):
    taken = run(FirmwareMachine(), ev.UriWritten(uri))
    assert taken.effects == (Persist(), Notify((1, 3)), StartPull(uri, 1))


def test_useless_uri_in_idle_shows_the_result_and_keeps_no_uri():
    profile = FirmwareProfile(policies=FirmwarePolicies(synchronous_uri_failure=SynchronousUriFailure.STAY_IDLE))
    taken = run(FirmwareMachine(), ev.UriWritten("ftp://host.example/fw"), profile=profile, wall=5.0)
    assert taken.effects == (Persist(), Notify((5,)))
    assert taken.machine == FirmwareMachine(result=UpdateResult.UNSUPPORTED_PROTOCOL)


def test_second_first_block_starts_the_push_again_under_a_new_number():
    taken = run(FirmwareMachine(), ev.PackageBegun(1000), ev.PackageBegun(2000))
    assert taken.effects == (Persist(), StopTransfer(), DiscardImage(), OpenStage(2000, 2))
    assert taken.machine.transfer == 2


def test_empty_image_opens_a_stage_of_unknown_size():
    profile = FirmwareProfile(policies=FirmwarePolicies(zero_length_package=ZeroLengthPackage.EMPTY_IMAGE))
    assert run(FirmwareMachine(), ev.EmptyPackageWritten(), profile=profile).effects[1] == OpenStage(None, 1)


def test_complete_package_is_verified_under_its_number():
    taken = run(FirmwareMachine(), ev.PackageBegun(), ev.PackageReceived(1))
    assert taken.effects == (Persist(), VerifyImage(1))
    assert taken.machine.received


def test_verified_package_shows_its_name_before_the_state():
    taken = run(FirmwareMachine(), ev.UriWritten(URI), ev.PackageReceived(), ev.PackageVerified("n", "1.2"))
    assert taken.effects == (Persist(), Notify((6, 7, 3)))
    assert (taken.machine.package_name, taken.machine.package_version, taken.machine.uri) == ("n", "1.2", URI)


def test_failed_transfer_shows_the_result_before_the_state_and_forgets_the_update():
    begun = run(FirmwareMachine(), ev.UriWritten(URI), wall=5.0).machine
    taken = run(begun, ev.TransferFailed(UpdateResult.CONNECTION_LOST, "pull.no-progress"), wall=6.0)
    assert taken.effects == (Persist(), StopTransfer(), DiscardImage(), Notify((12, 1, 5, 3)))
    assert taken.machine == FirmwareMachine(result=UpdateResult.CONNECTION_LOST, transfer=1, last_change=6.0)


@pytest.mark.parametrize("event", [ev.ResetWritten(), ev.CancelExecuted()])
def test_reset_and_cancel_discard_a_downloaded_image(event):
    taken = run(downloaded(), event)
    assert taken.effects[:2] == (Persist(), DiscardImage())
    assert isinstance(taken.effects[2], Notify)
    assert taken.effects[2].resource_ids[-1] == 3


def test_reset_of_an_idle_object_without_a_result_tells_nobody():
    assert run(FirmwareMachine(), ev.ResetWritten()).effects == (Persist(),)


def test_execute_persists_and_notifies_before_it_installs():
    taken = run(downloaded(wall=5.0), ev.UpdateExecuted("0"), wall=6.0)
    assert taken.effects == (Persist(), Notify((12, 3)), BeginInstall(1))
    assert (taken.machine.attempt, taken.machine.package_name, taken.machine.uri) == (1, "name", URI)


def test_every_installation_has_a_number_of_its_own():
    failed = run(updating(), ev.InstallFailed()).machine
    assert run(failed, ev.UpdateExecuted()).effects[-1] == BeginInstall(2)


def test_success_shows_the_result_before_the_state():
    taken = run(updating(), ev.InstallSucceeded(1), wall=9.0)
    assert taken.effects == (Persist(), DiscardImage(), Notify((12, 1, 6, 7, 5, 3)))
    assert taken.machine == FirmwareMachine(result=UpdateResult.SUCCESS, transfer=1, attempt=1, last_change=9.0)


def test_failed_installation_keeps_the_image_for_another_execute():
    taken = run(updating(), ev.InstallFailed())
    assert taken.effects == (Persist(), Notify((5, 3)))
    assert (taken.machine.package_name, taken.machine.received) == ("name", True)


def test_failed_installation_to_idle_discards_the_image():
    profile = FirmwareProfile(policies=FirmwarePolicies(failure_target=FailureTarget.IDLE))
    assert run(updating(), ev.InstallFailed(), profile=profile).effects[:2] == (Persist(), DiscardImage())


def test_version_1_0_has_no_time_of_the_last_change():
    taken = run(FirmwareMachine(), ev.PackageBegun(), profile=FirmwareProfile(version="1.0"), wall=5.0)
    assert taken.effects[-1] == Notify((3,))


# ---- automatic upgrade (1.2) -----------------------------------------------------------------------------------------


def test_automatic_upgrade_installs_what_was_verified():
    complete = run(FirmwareMachine(settings=Settings(auto_upgrade=True)), ev.PackageBegun(), ev.PackageReceived())
    taken = run(complete.machine, ev.PackageVerified("n", "1"))
    assert taken.effects == (Persist(), Notify((6, 7, 3)), BeginInstall(1))
    assert taken.machine.state is State.UPDATING
    assert taken.answer is None


def test_automatic_upgrade_sets_the_result_whatever_stood_there():
    odd = FirmwareMachine(
        State.DOWNLOADING, UpdateResult.UPDATE_FAILED, "push", True, settings=Settings(auto_upgrade=True)
    )
    taken = run(odd, ev.PackageVerified("name", "1.2"))
    assert (taken.machine.state, taken.machine.result) == (State.UPDATING, UpdateResult.INITIAL)


def test_automatic_upgrade_may_be_deferred_as_an_execute():
    settings = Settings(max_defer_s=60, auto_upgrade=True)
    complete = run(FirmwareMachine(settings=settings), ev.PackageBegun(), ev.PackageReceived(), wall=90.0)
    taken = run(complete.machine, ev.PackageVerified("n", "1", defer=True), wall=100.0)
    assert taken.effects == (Persist(), Notify((12, 6, 7, 5, 3)))
    assert taken.machine.times == Times(100.0, 100.0, 160.0)


# ---- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "settings", "resource"),
    [
        (ev.SeverityWritten(2), Settings(Severity.OPTIONAL, 0), 11),
        (ev.MaxDeferWritten(2**63 - 1), Settings(Severity.MANDATORY, 2**63 - 1), 13),
        (ev.AutoUpgradeWritten(enabled=True), Settings(Severity.MANDATORY, 0, auto_upgrade=True), 14),
    ],
)
def test_setting_is_kept_and_told(event, settings, resource):
    taken = run(FirmwareMachine(), event)
    assert taken.machine.settings == settings
    assert taken.effects == (Persist(), Notify((resource,)))
    assert run(taken.machine, event).effects == (Persist(),)


def test_settings_outlive_an_update():
    set_up = run(FirmwareMachine(), ev.SeverityWritten(0), ev.MaxDeferWritten(7)).machine
    events = (ev.PackageBegun(), ev.PackageReceived(), ev.PackageVerified(), ev.UpdateExecuted(), ev.InstallSucceeded())
    assert run(set_up, *events).machine.settings == Settings(Severity.CRITICAL, 7)


# ---- deferral --------------------------------------------------------------------------------------------------------


def test_deferral_has_a_deadline_and_ends_by_itself():
    taken = run(downloaded(wall=90.0, max_defer_s=60), ev.UpdateExecuted(defer=True), wall=100.0)
    assert taken.effects == (Persist(), Notify((5,)))
    assert taken.machine.times == Times(90.0, 100.0, 160.0)
    assert next_deadline(taken.machine) == 160.0
    early = handle_timeout(taken.machine, V12, 159.9)
    assert early.machine is taken.machine
    assert early.effects == ()
    ended = handle_timeout(taken.machine, V12, 160.0)
    assert ended.effects == (Persist(), Notify((12, 5, 3)), BeginInstall(1))
    assert next_deadline(ended.machine) is None


def test_user_ends_a_deferral_before_its_deadline():
    deferred = run(downloaded(max_defer_s=60), ev.UpdateExecuted(defer=True), wall=100.0).machine
    assert run(deferred, ev.DeferralEnded(), wall=101.0).effects[-1] == BeginInstall(1)


def test_second_deferral_does_not_move_the_deadline():
    deferred = run(downloaded(max_defer_s=60), ev.UpdateExecuted(defer=True), wall=100.0).machine
    longer = run(deferred, ev.MaxDeferWritten(600), wall=110.0).machine
    assert next_deadline(run(longer, ev.UpdateExecuted(defer=True), wall=120.0).machine) == 160.0


def test_period_of_zero_allows_no_deferral():
    deferred = run(downloaded(max_defer_s=60), ev.UpdateExecuted(defer=True), wall=100.0).machine
    strict = run(deferred, ev.MaxDeferWritten(0), wall=110.0).machine
    assert next_deadline(strict) == 160.0
    assert run(strict, ev.UpdateExecuted(defer=True), wall=120.0).effects[-1] == BeginInstall(1)


def test_without_a_clock_an_update_is_not_deferred():
    assert run(downloaded(max_defer_s=60), ev.UpdateExecuted(defer=True)).effects[-1] == BeginInstall(1)


def test_without_a_clock_a_deferral_may_wait_for_the_user_alone():
    patient = FirmwareProfile(
        version="1.2", policies=FirmwarePolicies(clockless_deferral=ClocklessDeferral.WAIT_FOR_USER)
    )
    deferred = run(downloaded(max_defer_s=60), ev.UpdateExecuted(defer=True), profile=patient).machine
    assert deferred.is_deferred
    assert next_deadline(deferred) is None
    assert not handle_timeout(deferred, patient, 1e9).accepted
    assert run(deferred, ev.DeferralEnded(), profile=patient).effects[-1] == BeginInstall(1)


def test_without_a_clock_an_automatic_upgrade_may_wait_for_the_user_alone():
    patient = FirmwareProfile(
        version="1.2", policies=FirmwarePolicies(clockless_deferral=ClocklessDeferral.WAIT_FOR_USER)
    )
    start = FirmwareMachine(settings=Settings(max_defer_s=60, auto_upgrade=True))
    events = (ev.PackageBegun(), ev.PackageReceived(), ev.PackageVerified(defer=True))
    deferred = run(start, *events, profile=patient).machine
    assert deferred.is_deferred
    assert deferred.deferral is None


def test_clock_that_is_lost_is_counted_on_without_it_over_any_restart():
    deferred = run(downloaded(wall=90.0, max_defer_s=60), ev.UpdateExecuted(defer=True), wall=100.0).machine
    assert not handle_timeout(deferred, V12, None).accepted
    counted = handle_timeout(deferred, V12, None, 20.0)
    assert counted.effects == (Persist(),)
    assert counted.machine.times == Times(90.0, 120.0, 160.0)
    restarted = recover(restore(snapshot(counted.machine), V12), Found(image=StagedImage.SEALED), V12).machine
    assert handle_timeout(restarted, V12, None, 39.5).machine.times == Times(90.0, 159.5, 160.0)
    assert handle_timeout(restarted, V12, None, 40.0).effects[-1] == BeginInstall(1)


@pytest.mark.parametrize("scope", ResetScope)
def test_clock_that_is_lost_is_counted_on_wherever_resets_are_obeyed(scope):
    profile = FirmwareProfile(version="1.2", policies=FirmwarePolicies(reset_scope=scope))
    deferred = run(downloaded(max_defer_s=60), ev.UpdateExecuted(defer=True), profile=profile, wall=100.0).machine
    assert handle_timeout(deferred, profile, None, 20.0).machine.deferral == Deferral(120.0, 160.0)


def test_clock_that_is_set_again_decides_by_the_deadline():
    deferred = run(downloaded(max_defer_s=60), ev.UpdateExecuted(defer=True), wall=100.0).machine
    counted = handle_timeout(deferred, V12, None, 20.0).machine
    assert not handle_timeout(counted, V12, 159.0, 1e9).accepted
    assert handle_timeout(counted, V12, 160.0).effects[-1] == BeginInstall(1)


def test_clock_that_is_lost_may_be_waited_for():
    patient = FirmwareProfile(version="1.2", policies=FirmwarePolicies(clock_lost=ClockLost.WAIT_FOR_CLOCK))
    deferred = run(downloaded(max_defer_s=60), ev.UpdateExecuted(defer=True), profile=patient, wall=100.0).machine
    assert handle_timeout(deferred, patient, None, 1e9).machine is deferred
    assert handle_timeout(deferred, patient, 160.0).effects[-1] == BeginInstall(1)


def test_clock_set_back_counts_the_period_once_more():
    deferred = run(downloaded(wall=90.0, max_defer_s=60), ev.UpdateExecuted(defer=True), wall=100.0).machine
    back = handle_timeout(deferred, V12, 10.0)
    assert back.effects == (Persist(),)
    assert back.machine.times == Times(90.0, 10.0, 70.0)
    assert handle_timeout(back.machine, V12, 70.0).effects[-1] == BeginInstall(1)


def test_clock_set_back_may_be_left_to_itself():
    profile = FirmwareProfile(version="1.2", policies=FirmwarePolicies(clock_set_back=ClockSetBack.KEEP_DEADLINE))
    deferred = run(downloaded(max_defer_s=60), ev.UpdateExecuted(defer=True), wall=100.0).machine
    assert handle_timeout(deferred, profile, 10.0).machine is deferred


# ---- restart ---------------------------------------------------------------------------------------------------------


def recovered(machine, image, boot=BootOutcome.NONE, attempt=0, profile=V12):
    return recover(machine, Found(image=image, boot=boot, attempt=attempt), profile)


def test_pull_goes_on_from_what_is_staged():
    pulling = run(FirmwareMachine(), ev.UriWritten(URI)).machine
    taken = recovered(pulling, StagedImage.PARTIAL)
    assert taken.effects == (Persist(), StartPull(URI, 1, resume=True))
    assert taken.machine == pulling


def test_pull_without_a_stage_starts_from_its_first_byte():
    complete = run(FirmwareMachine(), ev.UriWritten(URI), ev.PackageReceived()).machine
    taken = recovered(complete, StagedImage.MISSING)
    assert taken.effects == (Persist(), OpenStage(None, 1), StartPull(URI, 1))
    assert not taken.machine.received


@pytest.mark.parametrize("begin", [ev.PackageBegun(), ev.UriWritten(URI)])
def test_sealed_image_that_was_not_yet_verified_is_verified(begin):
    taken = recovered(run(FirmwareMachine(), begin).machine, StagedImage.SEALED)
    assert taken.effects == (Persist(), VerifyImage(1))
    assert taken.machine.received


def test_push_is_lost():
    taken = recovered(run(FirmwareMachine(), ev.PackageBegun()).machine, StagedImage.PARTIAL)
    assert taken.effects == (Persist(), DiscardImage(), Notify((5, 3)))
    assert taken.machine.result is UpdateResult.CONNECTION_LOST


@pytest.mark.parametrize("image", [StagedImage.PARTIAL, StagedImage.SEALED])
def test_idle_sweeps_what_a_crash_left(image):
    assert recovered(FirmwareMachine(), image).effects == (DiscardImage(),)


@pytest.mark.parametrize("machine", [FirmwareMachine(), FirmwareMachine(result=UpdateResult.SUCCESS)])
def test_idle_without_an_image_stays_as_it_is(machine):
    taken = recovered(machine, StagedImage.MISSING)
    assert taken.accepted
    assert taken.effects == ()
    assert taken.machine == machine


def test_downloaded_image_is_kept_as_it_is():
    ready = downloaded()
    taken = recovered(ready, StagedImage.SEALED)
    assert taken.effects == ()
    assert taken.machine == ready


def test_an_installation_is_never_begun_twice_for_one_execute():
    taken = recovered(updating(), StagedImage.SEALED)
    assert taken.effects == (Persist(), Notify((5, 3)))
    assert taken.machine.result is UpdateResult.UPDATE_FAILED


def test_trial_boot_waits_for_its_confirmation():
    taken = recovered(updating(), StagedImage.SEALED, BootOutcome.PENDING, 1)
    assert taken.effects == ()
    assert run(taken.machine, ev.InstallSucceeded(1)).machine.result is UpdateResult.SUCCESS


def test_success_of_an_earlier_attempt_is_not_believed():
    again = run(run(updating(), ev.InstallFailed()).machine, ev.UpdateExecuted()).machine
    assert recovered(again, StagedImage.SEALED, BootOutcome.CONFIRMED, 1).machine.result is UpdateResult.UPDATE_FAILED
    assert recovered(again, StagedImage.SEALED, BootOutcome.CONFIRMED, 2).machine.result is UpdateResult.SUCCESS


# ---- names, values, limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a" * 255, "a" * 255),
        ("a" * 256, "a" * 255),
        ("é" * 200, "é" * 127),
        ("\N{FLOPPY DISK}" * 64, "\N{FLOPPY DISK}" * 63),
    ],
)
def test_name_is_cut_to_255_bytes_between_characters(name, kept):
    complete = run(FirmwareMachine(), ev.PackageBegun(), ev.PackageReceived()).machine
    named = run(complete, ev.PackageVerified(name, name)).machine
    assert (named.package_name, named.package_version) == (kept, kept)


def test_lone_surrogates_in_a_long_name_are_replaced():
    complete = run(FirmwareMachine(), ev.PackageBegun(), ev.PackageReceived()).machine
    assert run(complete, ev.PackageVerified("\ud800" * 70)).machine.package_name == "?" * 70


@pytest.mark.parametrize("result", [0, 1, 8, 10, 11, 12, 13, 99])
def test_transfer_cannot_fail_with_what_is_no_failure_of_a_transfer(result):
    with pytest.raises(UsageError, match="not a failure of a transfer"):
        ev.TransferFailed(UpdateResult(result))


@pytest.mark.parametrize("result", [0, 1, 2, 3, 4, 6, 7, 9, 10, 11])
def test_installation_cannot_fail_with_what_is_no_failure_of_an_installation(result):
    with pytest.raises(UsageError, match="not a failure of an installation"):
        ev.InstallFailed(UpdateResult(result))


@pytest.mark.parametrize("result", [7, 9])
def test_push_cannot_fail_for_its_uri(result):
    pushed = run(FirmwareMachine(), ev.PackageBegun()).machine
    assert kind_of(pushed, ev.TransferFailed(UpdateResult(result)), V12, None) is ev.EventKind.OUT_OF_TURN


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": "1.3"},
        {"delivery": DeliveryMethod(3)},
        {"protocols": (ProtocolSupport.COAP, ProtocolSupport(6))},
    ],
)
def test_profile_refuses_what_object_5_does_not_list(wrong):
    with pytest.raises(UsageError, match="Object 5"):
        FirmwareProfile(**wrong)


def test_equal_profiles_share_one_table():
    assert FirmwareProfile(version="1.2").table is V12.table
    assert FirmwareProfile(version="1.2") == V12
    assert FirmwareProfile(version="1.1").table is not V12.table


def test_same_step_twice_gives_equal_and_hashable_machines():
    first, second = (run(FirmwareMachine(), ev.UriWritten(URI), wall=5.0) for _ in range(2))
    assert first == second
    assert hash(first.machine) == hash(second.machine)


def test_machine_is_small():
    assert sys.getsizeof(FirmwareMachine()) <= 152
    assert not hasattr(FirmwareMachine(), "__dict__")


def test_times_without_a_deferral():
    assert FirmwareMachine(last_change=1.0).times == Times(1.0, None, None)
    assert FirmwareMachine(deferral=Deferral(1.0, 2.0)).times == Times(None, 1.0, 2.0)
