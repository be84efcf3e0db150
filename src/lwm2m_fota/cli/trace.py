"""`lwm2m-fota trace`: draws what was recorded with `--trace`, of a server's update or of a device."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from lwm2m_fota.cli import trace_device
from lwm2m_fota.cli.diagram import Arrow, Item, Remark, code_words, mermaid, spaced, svg
from lwm2m_fota.cli.exits import Exit
from lwm2m_fota.cli.trace_file import read_file
from lwm2m_fota.errors import StorageError
from lwm2m_fota.machines import update_events as ev
from lwm2m_fota.machines.device_trace import DeviceTrace
from lwm2m_fota.machines.update_trace import Entry, Trace, replay

SERVER, DEVICE, USER = "Server", "Device", "User"
WHO: Final = (USER, SERVER, DEVICE)


# ---- drawing -------------------------------------------------------------------------------------------------------


def items(trace: Trace) -> list[Item]:
    """What happened, as a sequence."""
    drawn: list[Item] = []
    step = ""
    for entry in trace.entries:
        drawn.append(_happened(entry.event))
        drawn.extend(_wanted(entry))
        if entry.step != step:
            step = entry.step
            drawn.append(Remark(SERVER, f"{entry.at - trace.began:.1f} s: {step}"))
    outcome = replay(trace).outcome
    drawn.append(Remark(SERVER, "still running" if outcome is None else f"outcome: {type(outcome).__name__.lower()}"))
    return drawn


def _happened(event: ev.UpdateEvent) -> Item:
    return _SAYS[type(event)](event)


def _answered(words: str) -> Arrow:
    return Arrow(DEVICE, SERVER, words, answer=True)


def _code(event: Any) -> Item:  # noqa: ANN401 - any answer
    return Remark(SERVER, "the read brings nothing") if event.code is None else _answered(code_words(event.code))


def _joined(pairs: Mapping[Any, object], mark: str = "") -> str:
    return ", ".join(f"{mark}{key} {value}" for key, value in pairs.items())


_SAYS: Final[Mapping[type, Callable[[Any], Item]]] = MappingProxyType(
    {
        ev.CancelRequested: lambda _: Arrow(USER, SERVER, "cancel"),
        ev.TimePassed: lambda _: Remark(SERVER, "time passes"),
        ev.Restarted: lambda _: Remark(SERVER, "the server restarts"),
        ev.SourceFailed: lambda event: Remark(SERVER, f"no package: {event.reason}"),
        ev.RequestFailed: lambda event: Remark(SERVER, f"no answer: {event.reason}"),
        ev.Lapsed: lambda _: Remark(SERVER, "the registration lapses"),
        ev.Registered: lambda event: Arrow(DEVICE, SERVER, f"register {_joined(event.object_versions, '/')}"),
        ev.Deregistered: lambda _: Arrow(DEVICE, SERVER, "deregister"),
        ev.Notified: lambda event: Arrow(DEVICE, SERVER, f"notify {event.path} {event.value}"),
        ev.ReadAnswered: lambda event: _answered(_joined(event.values)),
        ev.ReadFailed: _code,
        ev.WriteAnswered: _code,
        ev.PushAnswered: _code,
        ev.ExecuteAnswered: _code,
        ev.ObserveAnswered: _code,
        ev.PushProgress: lambda event: Arrow(SERVER, DEVICE, f"blocks up to byte {event.bytes_sent}"),
        ev.PullProgress: lambda event: Arrow(DEVICE, SERVER, f"fetches up to byte {event.bytes_served}"),
    }
)

_SENT: Final = {
    "Read": "read",
    "Observe": "observe",
    "Unobserve": "end the observations",
    "WriteUri": "write a Package URI",
    "ClearUri": "write an empty Package URI",
    "WriteNul": "write a Package of one NUL byte",
    "Push": "push the package",
    "Execute": "execute",
    "Configure": "write settings",
}
"""What is sent to the device, by the kind of the effect; what else is wanted happens at the server."""


def _wanted(entry: Entry) -> Iterator[Item]:
    for effect in entry.effects:
        words = _SENT.get(effect["kind"])
        if words is None:
            yield Remark(SERVER, spaced(effect["kind"]))
        else:
            places = [each.get("path", "") for each in _places(effect)]
            yield Arrow(SERVER, DEVICE, f"{words} {', '.join(places)}".rstrip())


def _places(effect: Mapping[str, Any]) -> list[Mapping[str, str]]:
    one, many, pairs = effect.get("path"), effect.get("paths"), effect.get("values")
    found = [one] if one else many or [each[0] for each in pairs or []]
    return [each for each in found if isinstance(each, dict)]


def run_trace(path: Path, form: str, output: Path | None) -> Exit:
    """Draw a trace, to a file or to standard output.

    Raises:
        SnapshotError: it is no trace, or does not come to the end that was recorded.
        StorageError: a file cannot be read or written.
    """
    trace = read_file(path)
    who, drawn = (
        (trace_device.WHO, trace_device.items(trace)) if isinstance(trace, DeviceTrace) else (WHO, items(trace))
    )
    text = svg(who, drawn) if form == "svg" else mermaid(who, drawn)
    if output is None:
        print(text, end="")
        return Exit.OK
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {output}: {error}") from error
    return Exit.OK
