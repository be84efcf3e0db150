"""What the commands tell, as one table: the names and fields of their events, and the lines that people read.

docs/reference/commands.md lists the same names and fields; a test compares the two.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, final

import attrs

from lwm2m_fota.model.enums import State, UpdateResult

STAGES: Final = 4

Values = Mapping[str, Any]


@final
@attrs.frozen
class Line:
    """What people read of one event; `style` is a style of rich, for terminals."""

    text: str
    style: str = ""


@final
@attrs.frozen
class EventKind:
    """One kind of event.

    Attributes:
        fields: the names of its values, besides `event`, `at` and `source`.
        line: what people read of it; None shows nothing.
    """

    fields: tuple[str, ...]
    line: Callable[[Values], Line | None]


def count(size_bytes: int) -> str:
    """A number of bytes, for people."""
    return f"{size_bytes:,} byte{'' if size_bytes == 1 else 's'}"


def rate(bytes_per_s: float) -> str:
    """A rate, for people."""
    return f"{round(bytes_per_s):,} bytes/s"


def authority(host: str, port: int) -> str:
    """`HOST:PORT`, with an IPv6 host in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def shown(state: int, result: int) -> str:
    """A State and an Update Result, by number and by name."""
    words = UpdateResult(result).name.lower().replace("_", " ")
    return f"State {state} {State(state).name.lower()}, Result {result} {words}"


def _nothing(_: Values) -> None:
    return None


def _of(values: Values) -> str:
    """The component that an event is of, in an update of components."""
    return f"{values['component']}: " if values["component"] else ""


def _shown(values: Values) -> Line:
    version = "" if values["version"] is None else f", version {values['version']}"
    return Line(f"  {_of(values)}{shown(values['state'], values['result'])}{version}")


def _state(values: Values) -> Line:
    why = f": {values['diagnosis']}" if values["diagnosis"] else ""
    conflicts = f", in conflict with {', '.join(values['conflicts'])}" if values["conflicts"] else ""
    color = "red" if why or conflicts else ""
    return Line(f"{_of(values)}{shown(values['state'], values['result'])}{conflicts}{why}", color)


def _progress(values: Values) -> Line:
    speed = "" if values["bytes_per_s"] is None else f", {rate(values['bytes_per_s'])}"
    return Line(f"  {_of(values)}{values['bytes']:,} of {count(values['total'])}{speed}")


def _transferred(values: Values) -> Line:
    speed = rate(values["bytes_per_s"])
    return Line(f"  {_of(values)}{count(values['bytes'])} in {values['seconds']:.2f} s, verified; {speed}")


def _outcome(values: Values) -> Line:
    parts = "".join(f"\n  {_version(each)}" for each in values["components"])
    hint = f"\n{values['hint']}" if values["hint"] else ""
    return Line(f"{values['line']}{parts}{hint}", "bold red" if values["status"] else "bold green")


def _version(component: Values) -> str:
    before, after = component["before"] or "unknown version", component["after"] or "unknown version"
    return f"{component['name']}: {before} -> {after}" if component["updated"] else f"{component['name']}: {before}"


_BOOTS: Final = {
    "pending": ", on trial",
    "reverted": ": the new one was not confirmed",
    "rejected": ": the boot loader refused the new one",
}


def _booted(values: Values) -> Line:
    return Line(f"booted version {values['version']}{_BOOTS.get(values['boot'], '')}")


def _started(values: Values) -> Line:
    staged = f"; {count(values['staged_bytes'])} are staged" if values["staged_bytes"] else ""
    return Line(f"started{staged}")


def _gone(values: Values) -> Line:
    how = "its registration lapsed" if values["expired"] else "it deregistered"
    return Line(f"{values['endpoint']} is gone: {how}", "yellow")


def _package(values: Values) -> Line:
    return Line(f"package: {_of(values)}{count(values['bytes'])}, version {values['version']}, with a fresh key")


def _demo(values: Values) -> Line:
    if not values["ok"]:
        return Line(f"FAILED: {values['line']}", "bold red")
    transfer, update, total = values["transfer_s"], values["update_s"], values["total_s"]
    if values["scene"] != "update":
        end = f"Result {values['result']} was shown; the device runs what it ran before\nall {total:.2f} s\nsuccess"
        return Line(end, "bold green")
    return Line(
        f"{shown(values['state'], values['result'])}; the installed bytes are equal\n"
        f"transfer {transfer:.2f} s ({rate(values['bytes_per_s'])}), update {update:.2f} s, "
        f"all {total:.2f} s\n"
        "success",
        "bold green",
    )


_ERROR: Final = EventKind(("message",), lambda values: Line(f"Error: {values['message']}", "bold red"))

UPDATE_EVENTS: Final[Mapping[str, EventKind]] = MappingProxyType(
    {
        "notice": EventKind(
            ("message",),
            lambda values: Line(f"notice: {values['message']}", "yellow"),
        ),
        "listening": EventKind(
            ("host", "port", "uris", "endpoint"),
            lambda values: Line(f"listening on {' '.join(values['uris'])}, waiting for {values['endpoint']}"),
        ),
        "registered": EventKind(
            ("endpoint", "peer", "lwm2m"),
            lambda values: Line(f"{values['endpoint']} registered from {values['peer']}, LwM2M {values['lwm2m']}"),
        ),
        "gone": EventKind(("endpoint", "expired"), _gone),
        "stage": EventKind(
            ("stage", "number"), lambda values: Line(f"{values['number']}/{STAGES} {values['stage']}", "bold")
        ),
        "step": EventKind(("step", "component"), _nothing),
        "waiting": EventKind(
            ("step", "awaits", "limit_s", "then"),
            lambda values: Line(
                f"  waiting for {values['awaits']}\n  at most {values['limit_s']:,} s, then {values['then']}", "yellow"
            ),
        ),
        "shown": EventKind(("state", "result", "version", "component"), _shown),
        "first-block": EventKind(
            ("peer", "num", "offset"),
            lambda values: Line(f"  {values['peer']} fetches the package from byte {values['offset']:,} on"),
        ),
        "progress": EventKind(("bytes", "total", "bytes_per_s", "component"), _progress),
        "transferred": EventKind(("bytes", "seconds", "bytes_per_s", "component"), _transferred),
        "warning": EventKind(
            ("code", "message"),
            lambda values: Line(f"  warning: {values['message'].removesuffix('.')} ({values['code']})", "yellow"),
        ),
        "outcome": EventKind(("outcome", "status", "line", "hint", "components"), _outcome),
    }
)

DEVICE_EVENTS: Final[Mapping[str, EventKind]] = MappingProxyType(
    {
        "booted": EventKind(("version", "boot"), _booted),
        "started": EventKind(("server", "staged_bytes"), _started),
        "registered": EventKind(("server",), lambda values: Line(f"registered at {values['server']}")),
        "trouble": EventKind(
            ("message",), lambda values: Line(f"not registered: {values['message']}; trying on", "yellow")
        ),
        "component": EventKind(
            ("instance", "name", "version"),
            lambda values: Line(f"  component {values['name']}, version {values['version']}"),
        ),
        "state": EventKind(("state", "result", "diagnosis", "component", "conflicts"), _state),
        "rebooting": EventKind((), lambda _: Line("rebooting")),
        "stopped": EventKind((), lambda _: Line("stopped")),
        "error": _ERROR,
    }
)

DEMO_EVENTS: Final[Mapping[str, EventKind]] = MappingProxyType(
    {
        "package": EventKind(("bytes", "version", "component"), _package),
        "power-cut": EventKind((), lambda _: Line("the power of the device is cut, during the trial", "yellow")),
        "busy": EventKind(
            ("component",),
            lambda values: Line(f"{_of(values)}busy with a package of another server", "yellow"),
        ),
        "error": _ERROR,
        "demo": EventKind(
            (
                "ok",
                "scene",
                "line",
                "state",
                "result",
                "equal",
                "bytes",
                "transfer_s",
                "bytes_per_s",
                "update_s",
                "total_s",
            ),
            _demo,
        ),
    }
)

EVENTS: Final[Mapping[str, Mapping[str, EventKind]]] = MappingProxyType(
    {"demo": DEMO_EVENTS, "update": UPDATE_EVENTS, "device": DEVICE_EVENTS}
)
"""Of each command; `demo` tells those of `update` (source `server`) and `device` (source `device`) too."""
