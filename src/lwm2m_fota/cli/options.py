"""Values that commands take."""

from typing import Final, final

import attrs
import click

_MAX_PORT: Final = 65535


@final
@attrs.frozen
class Address:
    """A host and a port."""

    host: str
    port: int


def address(text: str | Address) -> Address:
    """Read `HOST:PORT`, with an IPv6 host in brackets.

    Raises:
        click.BadParameter: it is written otherwise.
    """
    if isinstance(text, Address):
        return text
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) <= _MAX_PORT):
        raise click.BadParameter(f"{text!r} is not HOST:PORT")
    return Address(host, int(port))
