"""The command line: options in, functions of this room called, exit status out.

A command imports what it needs when it is called: a process starts in half the time.
"""
# ruff: noqa: PLC0415 - see above

import sys
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

import click

from lwm2m_fota import __version__
from lwm2m_fota.cli.exits import Exit
from lwm2m_fota.cli.groups import Decorator, Listening, listening_options, package_scheme_options, settings_options
from lwm2m_fota.cli.options import (
    COAP_SCHEMES,
    Named,
    allowed_host,
    component_files,
    endpoint_name,
    host,
    named,
    q_block,
    seconds,
    server_uri,
)
from lwm2m_fota.cli.output import Output
from lwm2m_fota.cli.package_app import package_group
from lwm2m_fota.cli.security import SecurityOptions, security_options
from lwm2m_fota.errors import FotaError

if TYPE_CHECKING:
    from lwm2m_fota.machines.readings import Version
    from lwm2m_fota.machines.update_policy import DeviceSettings

_EXISTING = click.Path(exists=True, dir_okay=False, path_type=FilePath)
_PATH = click.Path(path_type=FilePath)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


def _trace(words: str) -> Decorator:
    return click.option("--trace", "trace", type=_PATH, metavar="FILE", help=words)


_Q_BLOCK = click.option(
    "--q-block",
    "timers",
    type=click.Choice(["fixed", "measured"]),
    help="By sets of blocks (RFC 9177), where the other end knows them: with its waits, or with those of the path.",
)
_MAX_DEMO_BYTES = 1 << 29
_MAX_DEMO_COMPONENTS = 16


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lwm2m-fota")
def cli() -> None:
    """LwM2M firmware update: a demo, a one-shot server, a device, and packages."""


@cli.command("demo")
@click.argument("file", type=_EXISTING, required=False)
@click.option("--method", type=click.Choice(["push", "pull"]), default="push", show_default=True)
@click.option(
    "--size",
    type=click.IntRange(1, _MAX_DEMO_BYTES),
    default=262144,
    show_default=True,
    help="Bytes of random firmware, if there is no FILE.",
)
@click.option("--object", "object_id", type=click.Choice(["5", "33629"]), default="5", show_default=True)
@click.option(
    "--components",
    type=click.IntRange(1, _MAX_DEMO_COMPONENTS),
    default=3,
    show_default=True,
    help="Of Object 33629; the first MCUboot image needs the second.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["mcuboot", "suit", "plain"]),
    help="Of the packages. By default mcuboot, and suit in a conflict.",
)
@listening_options(
    "127.0.0.1:0",
    "Where and how the server listens; several times for several. Credentials are made where one needs them.",
)
@_Q_BLOCK
@click.option(
    "--scene",
    type=click.Choice(["update", "dependency", "conflict", "rollback"]),
    default="update",
    show_default=True,
    help="A good update, one whose dependency is missing, one in conflict with a busy component, or one whose new "
    "firmware dies on trial.",
)
@_trace("Record both sides, for `lwm2m-fota trace`: the server in FILE, the device beside it, `-device` in its name.")
@_JSON
def demo_command(  # noqa: PLR0917 - click calls it by keyword
    file: FilePath | None,
    method: str,
    size: int,
    object_id: str,
    components: int,
    kind: str | None,
    listening: Listening,
    timers: str | None,
    scene: str,
    trace: FilePath | None,
    as_json: bool,  # noqa: FBT001 - click calls it
) -> None:
    """Update a simulated device on this machine, from a fresh key to equal bytes.

    FILE is the firmware, of each component if there are several; without it, random bytes are made. Exit status 0
    means that the device shows State 0 and Result 1 and has installed the bytes that were sent; in a scene that fails,
    that it shows the Result of it and runs what it ran before.
    """
    from lwm2m_fota.cli.demo import run_demo
    from lwm2m_fota.cli.demo_options import DemoOptions, Scene

    count = components if object_id == "33629" else 0
    if kind is None:
        kind = "suit" if scene == "conflict" else "mcuboot"
    if scene == "dependency" and (count <= 1 or kind != "mcuboot"):
        raise click.UsageError(
            "a dependency is between MCUboot images: give --object 33629, at least 2 components and no other --format"
        )
    if scene == "conflict" and (count <= 1 or kind != "suit"):
        raise click.UsageError(
            "a conflict is over one SUIT envelope for several components: give --object 33629, at least 2 components "
            "and no other --format"
        )
    if kind == "plain" and count:
        raise click.UsageError("a plain image names no component: it goes with Object 5")
    options = DemoOptions(
        file=file,
        size_bytes=size,
        method=method,
        components=count,
        kind=kind,
        listening=listening,
        q_block=timers,
        scene=Scene(scene),
        trace=trace,
    )
    say = Output("demo", as_json=as_json, timed=True)
    _run(say, lambda: run_demo(options, say))


@cli.command("update")
@click.argument("file", type=_EXISTING, required=False)
@click.option("--endpoint", type=endpoint_name, metavar="NAME", required=True, help="The endpoint name of the device.")
@listening_options("0.0.0.0:5683", "Where and how; several times for several. Over http and https, packages alone.")
@security_options
@click.option("--advertise", type=host, metavar="HOST", help="The host in package URIs, if devices need another one.")
@click.option("--method", type=click.Choice(["pull", "push", "auto"]), default="auto", show_default=True)
@click.option(
    "--component",
    "components",
    type=named,
    metavar="NAME=FILE",
    multiple=True,
    help="In place of FILE: the package of a component (Object 33629).",
)
@click.option(
    "--execute",
    type=click.Choice(["listed", "linked", "each"]),
    default="listed",
    show_default=True,
    help="How components are updated: once with a list, by the device's links, or one by one.",
)
@click.option("--expect-version", metavar="V", help="The firmware version after the update of FILE.")
@settings_options
@click.option(
    "--timeout", "timeout_s", type=seconds, metavar="SECONDS", help="For everything, the device's coming too."
)
@_Q_BLOCK
@_trace("Record the update in a file, for `lwm2m-fota trace`; it holds no key and no path of a package.")
@_JSON
def update_command(  # noqa: PLR0917 - click calls it by keyword
    file: FilePath | None,
    endpoint: str,
    listening: Listening,
    security: SecurityOptions,
    advertise: str | None,
    method: str,
    components: tuple[Named, ...],
    execute: str,
    expect_version: str | None,
    settings: "DeviceSettings",
    timeout_s: float | None,
    timers: str | None,
    trace: FilePath | None,
    as_json: bool,  # noqa: FBT001 - click calls it
) -> None:
    """Wait for one device, update it, and exit.

    FILE is a package for the device, or each --component has one for a component of it.

    Exit status: 0 updated, 1 failed, 2 wrong usage, 3 timed out, 4 cancelled, 5 undetermined, 6 the file cannot be
    sent, 7 the address to listen at cannot be had.
    """
    from lwm2m_fota.cli.update import UpdateOptions, run_update
    from lwm2m_fota.machines.update_policy import Execution, Method

    if (file is None) is not bool(components):
        raise click.UsageError("Give FILE, or a --component, and not both.")
    if components and expect_version is not None:
        raise click.UsageError("--expect-version is of FILE.")
    security.check(listening.schemes)
    options = UpdateOptions(
        file=file,
        components=component_files(components),
        endpoint=endpoint,
        listening=listening,
        security=security,
        advertise=advertise,
        method=Method(method),
        execution=Execution[execute.upper()],
        expect_version=expect_version,
        settings=settings,
        timeout_s=timeout_s,
        q_block=q_block(timers),
        trace=trace,
    )
    say = Output("update", as_json=as_json)
    _run(say, lambda: run_update(options, say))


@cli.command("trace")
@click.argument("file", type=_EXISTING)
@click.option("--format", "form", type=click.Choice(["mermaid", "svg"]), default="mermaid", show_default=True)
@click.option("--output", type=_PATH, metavar="FILE", help="Where to write it; standard output by default.")
def trace_command(file: FilePath, form: str, output: FilePath | None) -> None:
    """Draw what was recorded with --trace, of a server's update or of a device, as a sequence diagram.

    It is replayed on the way: exit status 1 means that the file is no trace, or that the replay does not come to what
    was recorded.
    """
    from lwm2m_fota.cli.trace import run_trace

    _run(Output("trace", as_json=False), lambda: run_trace(file, form, output))


@cli.command("device")
@click.option("--server", type=server_uri, metavar="URI", required=True, help="SCHEME://HOST[:PORT] of its server.")
@click.option("--endpoint", type=endpoint_name, metavar="NAME", required=True, help="The endpoint name.")
@click.option("--state-dir", type=_PATH, required=True, help="The folder that keeps all state; made if need be.")
@click.option("--trust", "trusted", type=_PATH, multiple=True, help="A public key (PEM) that signs packages.")
@click.option("--sha256", metavar="HEX", help="The digest of the one package to take; with --trust, both have to hold.")
@click.option("--version", "version", default="1.0.0", show_default=True, help="Of the firmware before any update.")
@click.option("--object", "object_id", type=click.Choice(["5", "33629"]), default="5", show_default=True)
@click.option("--object-version", type=click.Choice(["1.0", "1.1", "1.2"]), default="1.1", show_default=True)
@click.option(
    "--component",
    "components",
    type=named,
    metavar="NAME=VERSION",
    multiple=True,
    help="A component of Object 33629, the main one first.",
)
@click.option(
    "--takes",
    "names",
    metavar="NAME",
    multiple=True,
    help="What packages may call the firmware of Object 5, in place of 0x00.",
)
@click.option("--lifetime", "lifetime_s", type=click.IntRange(1), default=300, show_default=True, help="Seconds.")
@click.option("--capacity", "capacity_bytes", type=click.IntRange(1), default=1 << 30, show_default=True, help="Bytes.")
@click.option(
    "--checkpoint",
    "checkpoint_bytes",
    type=click.IntRange(1),
    default=65536,
    show_default=True,
    help="Bytes that a power cut may cost of a pull; 1 makes each block durable.",
)
@security_options
@package_scheme_options
@click.option(
    "--allow-host",
    "allowed_hosts",
    type=allowed_host,
    metavar="HOST[:PORT]",
    multiple=True,
    help="Fetch packages from there only, wherever a URI, a manifest or a redirect leads; any host by default.",
)
@_Q_BLOCK
@_trace("Record in a file, for `lwm2m-fota trace`, and go on in it after a restart; it holds no key and no package.")
@_JSON
def device_command(  # noqa: PLR0917 - click calls it by keyword
    server: str,
    endpoint: str,
    state_dir: FilePath,
    trusted: tuple[FilePath, ...],
    sha256: str | None,
    version: str,
    object_id: str,
    object_version: "Version",
    components: tuple[Named, ...],
    names: tuple[str, ...],
    lifetime_s: int,
    capacity_bytes: int,
    checkpoint_bytes: int,
    security: SecurityOptions,
    package_schemes: tuple[str, ...],
    allowed_hosts: tuple[str, ...],
    timers: str | None,
    trace: FilePath | None,
    as_json: bool,  # noqa: FBT001 - click calls it
) -> None:
    """Be a device: keep all state in a folder, go on from there after any end, reboot into new images.

    Without --trust or --sha256 every package is refused: nothing unverified is ever installed. SIGINT or SIGTERM
    deregisters and ends it with exit status 0; a second one does not wait for the server.
    """
    from lwm2m_fota.cli.device import DeviceOptions, run_device
    from lwm2m_fota.cli.firmware import ComponentOption

    _check_components(object_id, components, names)
    security.check([each for each in (server.partition(":")[0], *package_schemes) if each in COAP_SCHEMES])
    options = DeviceOptions(
        server=server,
        endpoint=endpoint,
        state_dir=state_dir,
        trusted=trusted,
        sha256=sha256,
        version=version,
        object_version=object_version,
        components=tuple(ComponentOption(each.name, each.value) for each in components),
        names=names,
        lifetime_s=lifetime_s,
        capacity_bytes=capacity_bytes,
        checkpoint_bytes=checkpoint_bytes,
        security=security,
        package_schemes=package_schemes,
        allowed_hosts=allowed_hosts,
        q_block=q_block(timers),
        trace=trace,
    )
    say = Output("device", as_json=as_json)
    _run(say, lambda: run_device(options, say))


def _check_components(object_id: str, components: tuple[Named, ...], names: tuple[str, ...]) -> None:
    if (object_id == "33629") is not bool(components):
        raise click.UsageError("Object 33629 has at least one --component, and Object 5 has none.")
    if names and components:
        raise click.UsageError("--takes is for Object 5: a --component has its name.")


def _run(say: Output, action: Callable[[], int]) -> None:
    try:
        sys.exit(action())
    except FotaError as error:
        say.fail(str(error))
        sys.exit(Exit.FAILED)
    except KeyboardInterrupt:
        say.fail("cancelled")
        sys.exit(Exit.CANCELLED)


cli.add_command(package_group)
