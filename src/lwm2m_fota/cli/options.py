"""Values that commands take."""

from typing import final

import attrs
import click


@final
@attrs.frozen
class Address:
    """A host and a port."""

    host: str
    port: int


class AddressType(click.ParamType):
    """`HOST:PORT`, with an IPv6 host in brackets."""

    name = "HOST:PORT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """Read it."""
        if isinstance(value, Address):
            return value
        host, colon, port = str(value).rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not port.isdecimal() or not port.isascii() or int(port) > 65535:  # noqa: PLR2004
            self.fail(f"{value!r} is not HOST:PORT", param, ctx)
        return Address(host, int(port))


ADDRESS = AddressType()
