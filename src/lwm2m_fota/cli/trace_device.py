"""What a device has recorded, as a sequence between its server, itself and its installer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, assert_never

from lwm2m_fota.cli.diagram import Arrow, Item, Remark, code_words, spaced
from lwm2m_fota.machines import coordinator_events as group
from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines.device_trace import DeviceTrace, Forgotten, Happened, Started, replay
from lwm2m_fota.model.codes import is_success
from lwm2m_fota.model.enums import State, UpdateResult

SERVER, DEVICE, INSTALLER = "Server", "Device", "Installer"
WHO: Final = (SERVER, DEVICE, INSTALLER)

_Shown = Mapping[int, tuple[int, int]]


def items(trace: DeviceTrace) -> list[Item]:
    """What happened, in order.

    Raises:
        SnapshotError: the replay does not come to what was recorded.
    """
    replay(trace)
    drawn: list[Item] = []
    shown: _Shown = {}
    for entry in trace.entries:
        match entry:
            case Started():
                drawn.append(Remark(DEVICE, "starts"))
            case Forgotten():
                drawn.append(Remark(DEVICE, "cannot save it: all is as before"))
            case Happened():
                drawn.extend(_happened(entry))
                now = _states(entry.after)
                drawn.extend(_changed(shown, now))
                shown = now
            case _:
                assert_never(entry)
    return drawn


def _states(after: Mapping[str, Any]) -> _Shown:
    """State and Result of each instance; Object 5 has one."""
    components = after.get("components", [{"instance": 0, "machine": after}])
    return {each["instance"]: (each["machine"]["state"], each["machine"]["result"]) for each in components}


def _changed(before: _Shown, after: _Shown) -> Iterator[Item]:
    for instance, (state, result) in after.items():
        if before.get(instance) != (state, result):
            of = f"instance {instance}: " if len(after) > 1 else ""
            names = f"{spaced(State(state).name)}, {spaced(UpdateResult(result).name)}"
            yield Remark(DEVICE, f"{of}State {state}, Result {result} ({names})")


# ---- events --------------------------------------------------------------------------------------------------------


def _happened(entry: Happened) -> Iterator[Item]:
    for event in entry.events:
        own, at = (event.event, f"instance {event.instance}: ") if isinstance(event, group.On) else (event, "")
        words = _ASKED.get(type(own))
        yield Arrow(SERVER, DEVICE, at + words(own)) if words is not None else _OWN[type(own)](own, at)
    if entry.answer is not None and not _is_silent(entry):
        yield Arrow(DEVICE, SERVER, code_words(entry.answer), answer=True)
    for effect in entry.effects:
        yield from _wanted(effect)


def _is_silent(entry: Happened) -> bool:
    """The end of a package is answered where it came by push, which is not seen here; a refusal is worth a word."""
    own = [each.event if isinstance(each, group.On) else each for each in entry.events]
    return is_success(entry.answer or 0) and all(isinstance(each, ev.PackageReceived) for each in own)


def _update(event: Any) -> str:  # noqa: ANN401 - of either object
    others = getattr(event, "others", None)
    return "execute Update" + ("" if others is None else f", with {', '.join(map(str, others)) or 'no other'}")


def _size(event: ev.PackageBegun) -> str:
    return "write Package" if event.size_bytes is None else f"write Package, {event.size_bytes} bytes"


_ASKED: Final[Mapping[type, Callable[[Any], str]]] = MappingProxyType(
    {
        ev.PackageBegun: _size,
        ev.EmptyPackageWritten: lambda _: "write an empty Package",
        ev.ResetWritten: lambda event: f"reset by {'an empty URI' if event.via == 'uri' else 'a NUL byte'}",
        ev.UriWritten: lambda event: f"write Package URI {event.uri}",
        ev.UpdateExecuted: _update,
        group.UpdateRequested: _update,
        ev.CancelExecuted: lambda _: "execute Cancel",
        ev.SeverityWritten: lambda event: f"write Severity {event.value}",
        ev.MaxDeferWritten: lambda event: f"write Maximum Defer Period {event.seconds}",
        ev.AutoUpgradeWritten: lambda event: f"write Automatic Upgrade {event.enabled}",
    }
)
"""What a server asks for."""


def _remark(words: str) -> Callable[[Any, str], Item]:
    return lambda _, at: Remark(DEVICE, at + words)


def _from_installer(words: str) -> Callable[[Any, str], Item]:
    return lambda _, at: Arrow(INSTALLER, DEVICE, at + words, answer=True)


def _checked(event: Any, at: str) -> Item:  # noqa: ANN401 - of either object
    return Remark(DEVICE, f"{at}package verified: {' '.join(filter(None, (event.name, event.version)))}")


def _lost(event: ev.TransferFailed, at: str) -> Item:
    return Remark(DEVICE, f"{at}transfer failed: {event.diagnosis or spaced(event.result.name)}")


def _failed(event: Any, _at: str) -> Item:  # noqa: ANN401 - of either object
    return Arrow(INSTALLER, DEVICE, f"failed: {spaced(event.result.name)}", answer=True)


def _restarted(event: Any, _at: str) -> Item:  # noqa: ANN401 - of either object
    return Arrow(INSTALLER, DEVICE, f"boot: {event.found.boot.value}", answer=True)


_OWN: Final[Mapping[type, Callable[[Any, str], Item]]] = MappingProxyType(
    {
        ev.PackageReceived: _remark("package received"),
        ev.PackageVerified: _checked,
        group.PackageChecked: _checked,
        ev.TransferFailed: _lost,
        ev.InstallSucceeded: _from_installer("confirmed"),
        group.BatchSucceeded: _from_installer("confirmed"),
        ev.InstallFailed: _failed,
        group.BatchFailed: _failed,
        ev.DeferralEnded: _remark("the user agrees"),
        ev.ClockRead: _remark("the clock is read"),
        ev.Restarted: _restarted,
        group.GroupRestarted: _restarted,
    }
)
"""What the device finds by itself."""


# ---- effects -------------------------------------------------------------------------------------------------------


def _wanted(effect: Mapping[str, Any]) -> Iterator[Item]:
    match effect:
        case {"kind": "For", "instance": instance, "effect": dict(own)}:
            yield from (_placed(each, f"instance {instance}: ") for each in _wanted(own))
        case {"kind": "Notify", "resource_ids": list(ids)}:
            yield Arrow(DEVICE, SERVER, f"notify {_joined(ids)}")
        case {"kind": "StartPull", "uri": uri}:
            yield Arrow(DEVICE, SERVER, f"fetch {uri}")
        case {"kind": "BeginInstall", "attempt": attempt}:
            yield Arrow(DEVICE, INSTALLER, f"install, attempt {attempt}")
        case {"kind": "BeginBatch", "attempt": attempt, "instances": list(instances)}:
            yield Arrow(DEVICE, INSTALLER, f"install {_joined(instances)}, attempt {attempt}")
        case _:
            yield Remark(DEVICE, spaced(effect["kind"]))


def _placed(item: Item, at: str) -> Item:
    return item._replace(words=at + item.words)


def _joined(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
