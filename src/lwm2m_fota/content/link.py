"""CoRE link format (RFC 6690): the object list of a registration, the answer to Discover, lists of instances.

Spaces and tabs are allowed after a comma and around a semicolon, because early examples have them.
"""

import re
from collections.abc import Iterable
from typing import Final, final

import attrs

from lwm2m_fota.errors import ContentError, UsageError

MAX_LINKS: Final = 4096
"""Links in one payload."""

_TARGET: Final = re.compile(r"<([^<>\"\s\x00-\x1f]*)>")
_NAME: Final = re.compile(r"[!#$&+\-.^_`|~0-9A-Za-z]+\*?")
_QUOTED: Final = r"\"((?:[^\"\\]|\\.)*)\""
_UNQUOTED: Final = r"([\x21\x23-\x2b\x2d-\x3a\x3d\x3f-\x5b\x5d-\x7e]+)"
_ATTRIBUTE: Final = re.compile(rf"[ \t]*;[ \t]*({_NAME.pattern})(?:={_QUOTED}|={_UNQUOTED})?", re.DOTALL)
_SEPARATOR: Final = re.compile(r"[ \t]*,[ \t]*")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_TO_ESCAPE: Final = re.compile(r"([\"\\])")
_BARE: Final = re.compile(r"[-0-9.]+")

Attributes = tuple[tuple[str, str | None], ...]
"""Names with values, in order; None for a name that stands alone."""


@final
@attrs.frozen
class Link:
    """One link: `</5>;ver=1.1` has the target `/5` and the attribute `("ver", "1.1")`."""

    target: str
    attributes: Attributes = ()

    def attribute(self, name: str) -> str | None:
        """The first value of an attribute; None if it is absent or has no value."""
        return next((value for each, value in self.attributes if each == name), None)

    def __str__(self) -> str:
        return f"<{self.target}>" + "".join(map(_attribute, self.attributes))


def _attribute(attribute: tuple[str, str | None]) -> str:
    name, value = attribute
    if value is None:
        return f";{name}"
    if _BARE.fullmatch(value):
        return f";{name}={value}"
    escaped = _TO_ESCAPE.sub(r"\\\1", value)
    return f';{name}="{escaped}"'


def format_links(links: Iterable[Link]) -> bytes:
    """Write links; numbers and versions stand bare, other values in quotes.

    Raises:
        UsageError: a target, an attribute name or a value with characters that it may not have.
    """
    ordered = list(links)
    for link in ordered:
        if not _TARGET.fullmatch(f"<{link.target}>") or not all(_NAME.fullmatch(name) for name, _ in link.attributes):
            raise UsageError(f"cannot be written as a link: {link!r}")
    try:
        return ",".join(map(str, ordered)).encode()
    except UnicodeEncodeError as error:
        raise UsageError("a link with a lone surrogate") from error


def parse_links(payload: bytes) -> tuple[Link, ...]:
    """Read links; an empty payload has none.

    Raises:
        ContentError: not link format, not UTF-8, or more than `MAX_LINKS`.
    """
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise ContentError("link format is UTF-8") from error
    links: list[Link] = []
    at = 0
    while at < len(text):
        if len(links) == MAX_LINKS:
            raise ContentError(f"more than {MAX_LINKS} links")
        if links:
            at = _match(_SEPARATOR, text, at).end()
        target = _match(_TARGET, text, at)
        attributes, at = _parse_attributes(text, target.end())
        links.append(Link(target[1], attributes))
    return tuple(links)


def _match(pattern: re.Pattern[str], text: str, at: int) -> re.Match[str]:
    match = pattern.match(text, at)
    if match is None:
        raise ContentError(f"not link format at character {at}")
    return match


def _parse_attributes(text: str, at: int) -> tuple[Attributes, int]:
    attributes: list[tuple[str, str | None]] = []
    while (match := _ATTRIBUTE.match(text, at)) is not None:
        name, quoted, bare = match.groups()
        attributes.append((name, bare if quoted is None else _ESCAPED.sub(r"\1", quoted)))
        at = match.end()
    return tuple(attributes), at
