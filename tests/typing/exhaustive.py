"""A match that leaves out one State, event or outcome is an error. This file is never run; mypy reads it.

A line with a `type: ignore` must be an error: mypy refuses an ignore that is not needed. The first function of each
kind names all and needs none; each of the others leaves one out.
"""

from typing import assert_never

from lwm2m_fota.machines import coordinator_events as group
from lwm2m_fota.machines import events as device
from lwm2m_fota.machines import update_events as server
from lwm2m_fota.machines.update_outcome import Cancelled, Failed, Outcome, Succeeded, TimedOut, Undetermined
from lwm2m_fota.model.enums import State

# ---- State


def all_states(state: State) -> str:
    match state:
        case State.IDLE:
            return "idle"
        case State.DOWNLOADING:
            return "downloading"
        case State.DOWNLOADED:
            return "downloaded"
        case State.UPDATING:
            return "updating"


def without_idle(state: State) -> None:
    match state:  # type: ignore[exhaustive-match]
        case State.DOWNLOADING | State.DOWNLOADED | State.UPDATING:
            pass


def without_downloading(state: State) -> None:
    match state:  # type: ignore[exhaustive-match]
        case State.IDLE | State.DOWNLOADED | State.UPDATING:
            pass


def without_downloaded(state: State) -> None:
    match state:  # type: ignore[exhaustive-match]
        case State.IDLE | State.DOWNLOADING | State.UPDATING:
            pass


def without_updating(state: State) -> None:
    match state:  # type: ignore[exhaustive-match]
        case State.IDLE | State.DOWNLOADING | State.DOWNLOADED:
            pass


def without_updating_but_asserted(state: State) -> str:
    match state:
        case State.IDLE | State.DOWNLOADING | State.DOWNLOADED:
            return "not now"
        case _:
            assert_never(state)  # type: ignore[arg-type]  # Updating comes here


# ---- outcomes of the server's update


def all_outcomes(outcome: Outcome) -> str:
    match outcome:
        case Succeeded(version_after=version):
            return f"runs {version}"
        case Failed(stage=stage, result=result):
            return f"{stage} {result}"
        case Cancelled(stage=stage) | TimedOut(stage=stage):
            return stage
        case Undetermined():
            return "unknown"


def without_succeeded(outcome: Outcome) -> None:
    match outcome:  # type: ignore[exhaustive-match]
        case Failed() | Cancelled() | TimedOut() | Undetermined():
            pass


def without_failed(outcome: Outcome) -> None:
    match outcome:  # type: ignore[exhaustive-match]
        case Succeeded() | Cancelled() | TimedOut() | Undetermined():
            pass


def without_cancelled(outcome: Outcome) -> None:
    match outcome:  # type: ignore[exhaustive-match]
        case Succeeded() | Failed() | TimedOut() | Undetermined():
            pass


def without_timed_out(outcome: Outcome) -> None:
    match outcome:  # type: ignore[exhaustive-match]
        case Succeeded() | Failed() | Cancelled() | Undetermined():
            pass


def without_undetermined(outcome: Outcome) -> None:
    match outcome:  # type: ignore[exhaustive-match]
        case Succeeded() | Failed() | Cancelled() | TimedOut():
            pass


# ---- events of the device


def all_events(event: device.Event) -> bool:
    """Whether a server asked for it."""
    match event:
        case (
            device.PackageBegun()
            | device.EmptyPackageWritten()
            | device.ResetWritten()
            | device.UriWritten()
            | device.UpdateExecuted()
            | device.CancelExecuted()
            | device.SeverityWritten()
            | device.MaxDeferWritten()
            | device.AutoUpgradeWritten()
        ):
            return True
        case (
            device.PackageReceived()
            | device.PackageVerified()
            | device.TransferFailed()
            | device.InstallSucceeded()
            | device.InstallFailed()
            | device.DeferralEnded()
            | device.ClockRead()
            | device.Restarted()
        ):
            return False


def without_restarted(event: device.Event) -> None:
    match event:  # type: ignore[exhaustive-match]
        case (
            device.PackageBegun()
            | device.EmptyPackageWritten()
            | device.ResetWritten()
            | device.UriWritten()
            | device.UpdateExecuted()
            | device.CancelExecuted()
            | device.SeverityWritten()
            | device.MaxDeferWritten()
            | device.AutoUpgradeWritten()
        ):
            pass
        case (
            device.PackageReceived()
            | device.PackageVerified()
            | device.TransferFailed()
            | device.InstallSucceeded()
            | device.InstallFailed()
            | device.DeferralEnded()
            | device.ClockRead()
        ):
            pass


def all_group_events(event: group.GroupEvent) -> int | None:
    """The instance that it concerns."""
    match event:
        case group.On(instance):
            return instance
        case group.BatchSucceeded() | group.BatchFailed() | group.GroupRestarted() | device.ClockRead():
            return None


def without_a_failed_batch(event: group.GroupEvent) -> None:
    match event:  # type: ignore[exhaustive-match]
        case group.On() | group.BatchSucceeded() | group.GroupRestarted() | device.ClockRead():
            pass


# ---- events of the server's update


def all_update_events(event: server.UpdateEvent) -> int | None:
    """The command that it answers."""
    match event:
        case (
            server.ReadAnswered(command)
            | server.ReadFailed(command)
            | server.WriteAnswered(command)
            | server.PushAnswered(command)
            | server.ExecuteAnswered(command)
            | server.ObserveAnswered(command)
            | server.RequestFailed(command)
            | server.SourceFailed(command)
            | server.PushProgress(command)
        ):
            return command
        case (
            server.Registered()
            | server.Deregistered()
            | server.Lapsed()
            | server.Restarted()
            | server.Notified()
            | server.PullProgress()
            | server.CancelRequested()
            | server.TimePassed()
        ):
            return None


def without_silence(event: server.UpdateEvent) -> None:
    match event:  # type: ignore[exhaustive-match]
        case (
            server.ReadAnswered()
            | server.ReadFailed()
            | server.WriteAnswered()
            | server.PushAnswered()
            | server.ExecuteAnswered()
            | server.ObserveAnswered()
            | server.RequestFailed()
            | server.SourceFailed()
            | server.PushProgress()
        ):
            pass
        case (
            server.Registered()
            | server.Deregistered()
            | server.Lapsed()
            | server.Restarted()
            | server.Notified()
            | server.PullProgress()
            | server.CancelRequested()
        ):
            pass
