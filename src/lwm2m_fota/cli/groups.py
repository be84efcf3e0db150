"""Options that belong together: a command takes what they say as one argument."""

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

import attrs
import click

from lwm2m_fota.cli.options import COAP_SCHEMES, SCHEMES, Listener, listener

if TYPE_CHECKING:
    from lwm2m_fota.machines.update_policy import DeviceSettings

Decorator: TypeAlias = Callable[[Callable[..., None]], Callable[..., None]]


def grouped(name: str, make: Callable[..., object], *options: Decorator) -> Decorator:
    """Options whose values go to `make` by keyword, and what that returns to the command as `name`.

    `make` has a parameter for each option, of the same name; it may raise click.UsageError.
    """
    parameters = tuple(inspect.signature(make).parameters)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def collected(**given: Any) -> None:  # noqa: ANN401 - click calls it
            made = make(**{each: given.pop(each) for each in parameters})
            command(**{name: made}, **given)

        wrapped: Callable[..., None] = collected
        for option in reversed(options):  # as decorators written one above the other
            wrapped = option(wrapped)
        return wrapped

    return decorate


package_scheme_options: Final = click.option(
    "--package-scheme",
    "package_schemes",
    type=click.Choice(SCHEMES),
    multiple=True,
    help="Over which packages are fetched; several times for several.",
)


@final
@attrs.frozen
class Listening:
    """Where a server listens, and over which of these devices fetch packages.

    Attributes:
        places: where and how; over HTTP and HTTPS it hosts packages alone.
        package_schemes: over which a device may fetch, best first; empty for all that are listened for, in that order.

    Raises:
        click.UsageError: no device could be managed, or a package scheme is not listened for.
    """

    places: tuple[Listener, ...]
    package_schemes: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        if not set(self.schemes) & set(COAP_SCHEMES):
            raise click.UsageError("Devices are managed over CoAP: one --listen has to be of it.")
        for scheme in self.package_schemes:
            if scheme not in self.schemes:
                raise click.UsageError(f"--package-scheme {scheme} needs a --listen {scheme}://HOST:PORT.")

    @property
    def schemes(self) -> tuple[str, ...]:
        """Those that are listened for, each once."""
        return tuple(dict.fromkeys(each.scheme for each in self.places))

    @property
    def fetched(self) -> tuple[str, ...]:
        """The schemes over which a device may fetch, best first."""
        return self.package_schemes or self.schemes


def listening_options(default: str, words: str) -> Decorator:
    """Add the options of `Listening`, which the command takes as `listening`, with a default and help for --listen."""
    listen = click.option(
        "--listen",
        "places",
        type=listener,
        metavar="[SCHEME://]HOST:PORT",
        multiple=True,
        default=(default,),
        show_default=True,
        help=words,
    )
    return grouped("listening", Listening, listen, package_scheme_options)


def _settings(severity: int | None, max_defer_s: int | None, auto_upgrade: str | None) -> "DeviceSettings":
    from lwm2m_fota.machines.update_policy import DeviceSettings  # noqa: PLC0415 - see app
    from lwm2m_fota.model.enums import Severity  # noqa: PLC0415

    return DeviceSettings(
        severity=None if severity is None else Severity(severity),
        max_defer_s=max_defer_s,
        auto_upgrade=None if auto_upgrade is None else auto_upgrade == "on",
    )


settings_options: Final = grouped(
    "settings",
    _settings,
    click.option("--severity", type=click.IntRange(0, 2), help="Set resource 11 first: 0 critical to 2 optional."),
    click.option("--max-defer", "max_defer_s", type=click.IntRange(0), help="Set resource 13 first, seconds."),
    click.option("--auto-upgrade", type=click.Choice(["on", "off"]), help="Set resource 14 of Object 5 first."),
)
"""What is set on the device before its update; the command takes it as `settings`."""
