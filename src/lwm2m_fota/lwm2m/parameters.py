"""The query parameters of a registration and of its updates (LwM2M Core 1.0 to 1.2, 6.2.1 and 6.2.2).

`ep`, `lt`, `lwm2m`, `b`, `Q` and `sms`; `pid` (1.2) is noticed. Others are passed over: a later client may have more.
"""

import re
from typing import Final, final

import attrs

from lwm2m_fota.errors import ContentError
from lwm2m_fota.lwm2m.names import is_endpoint_name

_LIFETIME: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_MAX_LIFETIME_S: Final = 2**32 - 1
_VERSION: Final = re.compile(r"([0-9]{1,3}\.[0-9]{1,3})(\.[0-9]{1,3})?", re.ASCII)
_BINDING: Final = re.compile(r"[A-Z]{1,8}", re.ASCII)
_SMS: Final = re.compile(r"\+?[0-9]{1,15}", re.ASCII)
_QUEUE: Final = "Q"
_SHOWN: Final = 20


@final
@attrs.frozen(kw_only=True)
class Parameters:
    """What a registration or an update tells; None for what it does not.

    Attributes:
        endpoint: `ep`, the endpoint client name.
        lifetime_s: `lt`, seconds; 0 means without end.
        lwm2m_version: `lwm2m`, major and minor number.
        binding: `b`, a letter for each transport, without that of queue mode.
        queue_mode: whether the client sleeps; None if the message does not say anything of how it is reached.
        sms: `sms`, the number for the SMS binding.
        has_profile: `pid` stands for the object list, or for a part of it.
    """

    endpoint: str | None = None
    lifetime_s: int | None = None
    lwm2m_version: str | None = None
    binding: str | None = None
    queue_mode: bool | None = None
    sms: str | None = None
    has_profile: bool = False


def parse_parameters(queries: tuple[str, ...]) -> Parameters:
    """Read them.

    LwM2M 1.0 writes queue mode into the binding (`b=UQ`), later versions beside it (`Q`): both are understood from
    everybody. A message that has `b` says with it whether the client sleeps.

    Raises:
        ContentError: a parameter comes twice, or its value is not one.
    """
    given: dict[str, str] = {}
    for query in queries:
        name, _, value = query.partition("=")
        if name in given:
            raise ContentError(f"{name[:_SHOWN]} is given twice")
        given[name] = value
    endpoint = given.get("ep")
    if endpoint is not None and not is_endpoint_name(endpoint):
        raise ContentError("ep is empty or too long")
    binding = _matched(given, "b", _BINDING)
    says_how = binding is not None or _QUEUE in given
    return Parameters(
        endpoint=endpoint,
        lifetime_s=_lifetime(given),
        lwm2m_version=_version(given),
        binding=None if binding is None else binding.replace(_QUEUE, "") or "U",
        queue_mode=_QUEUE in given or _QUEUE in (binding or "") if says_how else None,
        sms=_matched(given, "sms", _SMS),
        has_profile="pid" in given,
    )


def _matched(given: dict[str, str], name: str, pattern: re.Pattern[str]) -> str | None:
    text = given.get(name)
    if text is not None and not pattern.fullmatch(text):
        raise ContentError(f"{name}={text[:_SHOWN]!r} makes no sense")
    return text


def _lifetime(given: dict[str, str]) -> int | None:
    text = _matched(given, "lt", _LIFETIME)
    if text is not None and int(text) > _MAX_LIFETIME_S:
        raise ContentError(f"lt={text} is too long")
    return None if text is None else int(text)


def _version(given: dict[str, str]) -> str | None:
    text = _matched(given, "lwm2m", _VERSION)
    match = _VERSION.fullmatch(text or "")
    return None if match is None else match[1]
