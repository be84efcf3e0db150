"""The page of limits: made from the classes that hold them."""

import enum
import inspect
import re
from collections.abc import Iterator

import attrs

from lwm2m_fota.coap.limits import EndpointLimits
from lwm2m_fota.coap.stream import StreamLimits
from lwm2m_fota.lwm2m.bodies import BodyLimits
from lwm2m_fota.lwm2m.dispatch import DispatchSettings
from lwm2m_fota.lwm2m.places import TransferLimits
from lwm2m_fota.lwm2m.registry import RegistryLimits
from lwm2m_fota.server.packages import PackageServerLimits
from lwm2m_fota.transport.dtls_session import DtlsLimits
from lwm2m_fota.transport.tcp_link import TcpLimits
from lwm2m_fota.web.fetcher import HttpLimits
from lwm2m_fota.web.host import HttpHostLimits
from lwm2m_fota.web.site import HttpSiteLimits

HEAD = """\
# Limits

Memory and time are bounded by configuration, and never by what a peer sends. Every limit has a name, a unit (`_bytes`,
`_s` for seconds; else a count) and a default, and is looked at while data arrive. This page is made from the source at
every build.

What a peer is told:

| what is too much | limit | answer |
|---|---|---|
| a package that is pushed | `TrustPolicy.max_package_bytes`, the store, `DispatchSettings.max_streamed_bytes` | 4.13, \
Size1 says how much is taken |
| another request body | `DispatchSettings.max_body_bytes`, `BodyLimits.max_body_bytes` | 4.13 with Size1 |
| request bodies at a time, for a peer and in all | `DispatchSettings.transfers`, `BodyLimits.transfers` | 5.03, \
Max-Age says when to come back |
| bytes of unfinished bodies | `DispatchSettings.gathered_bytes`, `BodyLimits.gathered_bytes` | 5.03 with Max-Age |
| packages on their way, for a peer and in all | `PackageServerLimits.transfers`, `HttpHostLimits.connections` | 5.03 \
with Max-Age, 503 with Retry-After |
| registrations | `RegistryLimits.max_registrations` | 5.03 with Max-Age |
| a package that is pulled | `TrustPolicy.max_package_bytes`, the store, `DownloadPolicy.max_package_bytes` | none: \
the pull ends with Update Result 2 |
| time | `TransferLimits.idle_s`, `EndpointLimits.exchange_wait_s`; `DownloadPolicy`, `UpdateLimits` | none: others \
get the place; the wait ends in a named diagnosis |

A device that pulls and is answered 5.03 waits as long as Max-Age says, `DownloadPolicy.retry_max_s` at most, and goes
on where it was. Those of [a pull](pull-machine.md) and of [an update](update-machine.md) stand on the pages of these.
"""

CLASSES = (
    TransferLimits,
    DispatchSettings,
    BodyLimits,
    PackageServerLimits,
    RegistryLimits,
    EndpointLimits,
    DtlsLimits,
    TcpLimits,
    StreamLimits,
    HttpLimits,
    HttpHostLimits,
    HttpSiteLimits,
)


def page() -> str:
    """The page."""
    return HEAD + "".join(map(_section, CLASSES))


def _section(cls: type) -> str:
    words = dict(_attributes(cls.__doc__ or ""))
    rows = "".join(f"| `{each.name}` | {_default(each)} | {words[each.name]} |\n" for each in attrs.fields(cls))
    head = (
        f"\n## {cls.__name__}\n\n`{cls.__module__}.{cls.__name__}`\n\n| name | default | what it is |\n|---|---|---|\n"
    )
    return head + rows


def _attributes(doc: str) -> Iterator[tuple[str, str]]:
    """Names and words below `Attributes:`."""
    doc = inspect.cleandoc(doc) + "\n"  # from Python 3.13 on it comes so
    block = re.search(r"^Attributes:\n((?:    .*\n|\n)*)", doc, re.MULTILINE)
    for name, text in re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", block[1] if block else "", re.MULTILINE):
        yield name, " ".join(text.split()).replace("|", r"\|")


def _default(field: "attrs.Attribute[object]") -> str:
    value = field.default
    if value is attrs.NOTHING:
        return ""
    if isinstance(value, attrs.Factory):  # type: ignore[arg-type]
        return "defaults"
    match value:
        case None | bool() | enum.Enum():
            return f"`{value.name if isinstance(value, enum.Enum) else value}`"
        case int() | float():
            return f"{value:_}".removesuffix(".0")
        case TransferLimits():
            return f"{value.in_all:_} in all, {value.per_peer} for a peer, {value.idle_s:g} s"
        case _:
            return "see there"
