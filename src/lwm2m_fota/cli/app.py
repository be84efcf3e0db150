"""The command line: options in, functions of this room called, exit status out."""

import sys
from collections.abc import Callable
from pathlib import Path as FilePath

import click

from lwm2m_fota import __version__
from lwm2m_fota.cli.demo import DemoOptions, run_demo
from lwm2m_fota.cli.device import DeviceOptions, run_device
from lwm2m_fota.cli.options import Address, address
from lwm2m_fota.cli.output import Output
from lwm2m_fota.cli.package import create, inspect, read_trust, verify
from lwm2m_fota.cli.update import UpdateOptions, run_update
from lwm2m_fota.errors import FotaError
from lwm2m_fota.machines.readings import Version
from lwm2m_fota.machines.update_policy import Method

_EXISTING = click.Path(exists=True, dir_okay=False, path_type=FilePath)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lwm2m-fota")
def cli() -> None:
    """LwM2M firmware update: a demo, a one-shot server, a device, and packages."""


@cli.command("demo")
@click.argument("file", type=_EXISTING, required=False)
@click.option("--method", type=click.Choice(["push", "pull"]), default="push", show_default=True)
@click.option("--size", type=click.IntRange(1), default=262144, show_default=True, help="Bytes of random firmware.")
@_JSON
def demo_command(file: FilePath | None, method: str, size: int, as_json: bool) -> None:  # noqa: FBT001 - click calls it
    """Update a simulated device on this machine, from a fresh key to equal bytes."""
    say = Output(as_json=as_json)
    try:
        sys.exit(run_demo(DemoOptions(file=file, size_bytes=size, method=method), say))
    except FotaError as error:
        raise click.ClickException(str(error)) from error


@cli.command("update")
@click.argument("file", type=_EXISTING)
@click.option("--endpoint", required=True, help="The endpoint client name of the device.")
@click.option("--listen", type=address, metavar="HOST:PORT", default="0.0.0.0:5683", show_default=True)
@click.option("--advertise", help="The host in package URIs, if devices reach this machine by another name.")
@click.option("--method", type=click.Choice([each.value for each in Method]), default="auto", show_default=True)
@click.option("--expect-version", help="The firmware version (/3/0/3) after the update.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), help="Seconds for everything.")
@_JSON
def update_command(
    file: FilePath,
    endpoint: str,
    listen: Address,
    advertise: str | None,
    method: str,
    expect_version: str | None,
    timeout_s: float | None,
    as_json: bool,  # noqa: FBT001 - click calls it
) -> None:
    """Wait for one device, update it, and exit.

    Exit status: 0 updated, 1 failed, 2 wrong usage, 3 timed out, 4 cancelled, 5 undetermined, 6 the file is no
    package that can be sent, 7 the address cannot be had.
    """
    options = UpdateOptions(
        file=file,
        endpoint=endpoint,
        listen=listen,
        advertise=advertise,
        method=Method(method),
        expect_version=expect_version,
        timeout_s=timeout_s,
    )
    sys.exit(run_update(options, Output(as_json=as_json)))


@cli.command("device")
@click.option("--server", required=True, help="coap://HOST[:PORT] of the LwM2M server.")
@click.option("--endpoint", required=True, help="The endpoint client name.")
@click.option("--state-dir", required=True, type=click.Path(file_okay=False, path_type=FilePath))
@click.option("--trust", "trusted", type=_EXISTING, multiple=True, help="A public key (PEM) that signs packages.")
@click.option("--version", "version", default="1.0.0", show_default=True, help="Of the firmware before any update.")
@click.option("--object-version", type=click.Choice(["1.0", "1.1", "1.2"]), default="1.1", show_default=True)
@click.option("--lifetime", "lifetime_s", type=click.IntRange(1), default=300, show_default=True, help="Seconds.")
@click.option("--capacity", "capacity_bytes", type=click.IntRange(1), default=1 << 30, show_default=True, help="Bytes.")
@_JSON
def device_command(  # noqa: PLR0917 - click calls it by keyword
    server: str,
    endpoint: str,
    state_dir: FilePath,
    trusted: tuple[FilePath, ...],
    version: str,
    object_version: Version,
    lifetime_s: int,
    capacity_bytes: int,
    as_json: bool,  # noqa: FBT001 - click calls it
) -> None:
    """Be a device: keep all state in a folder, go on from there after any end, reboot into new images.

    Without --trust every package is refused: nothing unverified is ever installed.
    """
    try:
        options = DeviceOptions(
            server=server,
            endpoint=endpoint,
            state_dir=state_dir,
            trust=read_trust(trusted),
            version=version,
            object_version=object_version,
            lifetime_s=lifetime_s,
            capacity_bytes=capacity_bytes,
        )
        run_device(options, Output(as_json=as_json))
    except FotaError as error:
        raise click.ClickException(str(error)) from error


@cli.group("package")
def package_group() -> None:
    """Make and read MCUboot packages."""


@package_group.command("create")
@click.argument("firmware", type=_EXISTING)
@click.argument("package", type=click.Path(dir_okay=False, path_type=FilePath))
@click.option("--version", "version", required=True, help="MAJOR.MINOR.REVISION[+BUILD]")
@click.option("--key", type=click.Path(dir_okay=False, path_type=FilePath), help="Signing key (PEM).")
@click.option("--new-key", is_flag=True, help="Make an Ed25519 key at --key, and its public part beside it.")
def create_command(firmware: FilePath, package: FilePath, version: str, key: FilePath | None, new_key: bool) -> None:  # noqa: FBT001
    """Make a signed package of a firmware image."""
    _exit_with(lambda: create(firmware, package, version, key, fresh=new_key))


@package_group.command("inspect")
@click.argument("package", type=_EXISTING)
@_JSON
def inspect_command(package: FilePath, as_json: bool) -> None:  # noqa: FBT001 - click calls it
    """Show what a package says of itself; nothing of it is checked."""
    _exit_with(lambda: inspect(package, as_json=as_json))


@package_group.command("verify")
@click.argument("package", type=_EXISTING)
@click.option("--trust", "trusted", type=_EXISTING, multiple=True, required=True, help="A public key (PEM).")
def verify_command(package: FilePath, trusted: tuple[FilePath, ...]) -> None:
    """Verify a package as a device would: exit status 0, or 1 and one line that says why."""
    _exit_with(lambda: verify(package, trusted))


def _exit_with(action: Callable[[], str]) -> None:
    try:
        click.echo(action())
    except FotaError as error:
        click.echo(f"{error}", err=True)
        sys.exit(1)
