"""Values that commands take: each function reads one, or raises click.BadParameter."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final, final

import attrs
import click

from lwm2m_fota.coap.qblock import QBlock, QTimers
from lwm2m_fota.coap.uri import DEFAULT_PORTS, CoapUri, parse_uri
from lwm2m_fota.device.hosts import AllowedHosts
from lwm2m_fota.errors import FotaError

_MAX_PORT: Final = 65535
_MAX_ENDPOINT_BYTES: Final = 255


COAP_SCHEMES: Final = tuple(DEFAULT_PORTS)
"""Over which devices are managed; packages go over them too."""

SCHEMES: Final = (*COAP_SCHEMES, "http", "https")
"""Over which packages go."""

_PORTS: Final = {**DEFAULT_PORTS, "http": 80, "https": 443}


@final
@attrs.frozen
class Listener:
    """Where and how a server listens."""

    scheme: str
    host: str
    port: int


def listener(text: str | Listener) -> Listener:
    """Read `[SCHEME://]HOST[:PORT]`, with an IPv6 host in brackets; plain CoAP needs no scheme, and then a port.

    Raises:
        click.BadParameter: it is written otherwise.
    """
    if isinstance(text, Listener):
        return text
    scheme, slashes, rest = text.rpartition("://")
    scheme = scheme.lower() if slashes else "coap"
    if scheme not in SCHEMES:
        raise click.BadParameter(f"{text!r} has none of the schemes {', '.join(SCHEMES)}")
    host, colon, port = rest.rpartition(":")
    if slashes and (not colon or rest.endswith("]")):
        host, port = rest, str(_PORTS[scheme])
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or (":" in bare) is not (host == f"[{bare}]"):
        raise click.BadParameter(f"{text!r} is not [SCHEME://]HOST:PORT, with an IPv6 host in brackets")
    if not (port.isascii() and port.isdecimal() and int(port) <= _MAX_PORT):
        raise click.BadParameter(f"{port!r} is not a port, 0 to {_MAX_PORT}")
    return Listener(scheme, bare, int(port))


def host(text: str) -> str:
    """Read a host name or an address; brackets around an IPv6 address are taken away.

    Raises:
        click.BadParameter: it is neither.
    """
    try:
        return CoapUri("coap", text.removeprefix("[").removesuffix("]"), 1).host
    except FotaError as error:
        raise click.BadParameter(f"{text!r} is not a host") from error


def allowed_host(text: str) -> str:
    """Read `HOST[:PORT]`, as an allow-list takes it.

    Raises:
        click.BadParameter: it is written otherwise.
    """
    try:
        AllowedHosts([text])
    except FotaError as error:
        raise click.BadParameter(str(error)) from error
    return text


def server_uri(text: str) -> str:
    """Read `SCHEME://HOST[:PORT]`, of a scheme of CoAP.

    Raises:
        click.BadParameter: it is written otherwise, or of another scheme.
    """
    try:
        uri = parse_uri(text)
    except FotaError as error:
        raise click.BadParameter(f"{text!r} is not coap://HOST[:PORT]: {error}") from error
    if uri.path or uri.query:
        raise click.BadParameter(f"{text!r} is not coap://HOST[:PORT]: a server has neither path nor query")
    return str(uri)


def endpoint_name(text: str) -> str:
    """Read an endpoint client name: 1 to 255 bytes of UTF-8, since it goes into one Uri-Query option.

    Raises:
        click.BadParameter: it is empty, too long, or cannot be shown.
    """
    if not text.isprintable() or not 1 <= len(text.encode()) <= _MAX_ENDPOINT_BYTES:
        raise click.BadParameter(f"a name has 1 to {_MAX_ENDPOINT_BYTES} bytes that can be printed")
    return text


@final
@attrs.frozen
class Named:
    """A component and what is said of it.

    Attributes:
        name: of the component.
        value: a version, or a file.
    """

    name: str
    value: str


def named(text: str | Named) -> Named:
    """Read `NAME=VALUE`.

    Raises:
        click.BadParameter: it is written otherwise, or the name is too long or cannot be shown.
    """
    if isinstance(text, Named):
        return text
    name, equals, value = text.partition("=")
    if not equals or not value or not name.isprintable() or not 1 <= len(name.encode()) <= _MAX_ENDPOINT_BYTES:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE, with a name of 1 to {_MAX_ENDPOINT_BYTES} bytes")
    return Named(name, value)


def component_files(components: Sequence[Named]) -> dict[str, Path]:
    """The files of components; a name is given once.

    Raises:
        click.BadParameter: a name is given twice, or a file is not there.
    """
    files = {each.name: Path(each.value) for each in components}
    if len(files) < len(components):
        raise click.BadParameter("a component is given twice", param_hint="--component")
    for name, path in files.items():
        if not path.is_file():
            raise click.BadParameter(f"the file {path} of {name} is not there", param_hint="--component")
    return files


def q_block(timers: str | None) -> QBlock | None:
    """How bodies go by sets of blocks, given where the waits come from; None if they do not."""
    return None if timers is None else QBlock(timers=QTimers(timers))


def seconds(text: str) -> float:
    """Read a positive number of seconds.

    Raises:
        click.BadParameter: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise click.BadParameter(f"{text!r} is not a positive number of seconds")
    return value
