"""The argument of Update on Object 33629: which other instances are to be updated together (SPEC 4.2).

Nothing leaves it to the device, `0` means none, and `0='</33629/1>,</33629/2>'` means exactly these.
"""

from collections.abc import Iterable
from typing import Final

from lwm2m_fota.content.execute import format_arguments, parse_arguments
from lwm2m_fota.content.link import Link, format_links, parse_links
from lwm2m_fota.errors import ContentError
from lwm2m_fota.model.advanced import ADVANCED_OBJECT_ID
from lwm2m_fota.model.paths import Path

_ARGUMENT: Final = 0
_INSTANCE_IDS: Final = 2
_UNQUOTED: Final = b"0=<"
_UNQUOTED_VALUE: Final = 2  # where the links begin


def parse_update(payload: bytes, *, accept_unquoted: bool = False) -> tuple[int, ...] | None:
    """Read the argument.

    Args:
        payload: of the Execute.
        accept_unquoted: take a list without quotes too, as documents print it.

    Returns:
        The other instances as they come, repeated or not; None without an argument.

    Raises:
        ContentError: another argument, or what is no list of links to instances of Object 33629.
    """
    if not payload:
        return None
    if accept_unquoted and payload.startswith(_UNQUOTED):
        return _instances(payload[_UNQUOTED_VALUE:])
    arguments = parse_arguments(payload)
    if len(arguments) != 1 or arguments[0][0] != _ARGUMENT:
        raise ContentError("Update has the argument 0 only")
    return _instances((arguments[0][1] or "").encode())


def format_update(others: Iterable[int] | None) -> bytes:
    """Write the argument, with its quotes.

    Args:
        others: the other instances; None writes no argument.

    Raises:
        UsageError: what is no instance.
    """
    if others is None:
        return b""
    links = format_links(Link(f"/{ADVANCED_OBJECT_ID}/{each}") for each in others).decode()
    return format_arguments(((_ARGUMENT, links or None),))


def _instances(links: bytes) -> tuple[int, ...]:
    return tuple(_instance(link) for link in parse_links(links))


def _instance(link: Link) -> int:
    try:
        path = Path.parse(link.target)
    except ValueError as error:
        raise ContentError(f"not a path: {link.target[:32]!r}") from error
    instance = path.instance_id
    if link != Link(str(path)) or len(path.ids) != _INSTANCE_IDS or instance is None:
        raise ContentError(f"not an instance: {str(link)[:32]!r}")
    if path.object_id != ADVANCED_OBJECT_ID:
        raise ContentError(f"not of Object {ADVANCED_OBJECT_ID}: {path}")
    return instance
