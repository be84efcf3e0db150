"""Which options a request may carry."""

from collections.abc import Collection, Mapping
from typing import Final

from lwm2m_fota.coap.message import Message
from lwm2m_fota.coap.numbers import Option, is_critical
from lwm2m_fota.errors import RefusedError
from lwm2m_fota.model.codes import Code

_REPEATABLE: Final = frozenset({Option.URI_PATH, Option.URI_QUERY})
_PROXY: Final = frozenset({Option.PROXY_URI, Option.PROXY_SCHEME})
_LENGTHS: Final[Mapping[int, tuple[int, int]]] = {
    Option.URI_HOST: (1, 255),
    Option.URI_PORT: (0, 2),
    Option.URI_PATH: (0, 255),
    Option.URI_QUERY: (0, 255),
    Option.ACCEPT: (0, 2),
}
"""The fewest and most bytes (RFC 7252 table 4); of Block, whoever reads it looks."""

_ANY: Final = (0, 65804)
"""What the head of an option can say."""

ADDRESSING: Final = _REPEATABLE | {Option.URI_HOST, Option.URI_PORT}
"""The critical options that say where a request goes."""


def check_options(message: Message, understood: Collection[int]) -> None:
    """Refuse critical options that are not understood, come too often, or have a length that they cannot have.

    RFC 7252 sections 5.4.1, 5.4.3 and 5.4.5.

    Args:
        message: the request, its options in ascending order.
        understood: the numbers of the options that its handler looks at or may pass over.

    Raises:
        RefusedError: 4.02, or 5.05 for what a proxy is asked for (section 5.10.2).
    """
    last = -1
    for number, value in message.options:
        if is_critical(number):
            fewest, most = _LENGTHS.get(number, _ANY)
            if number not in understood or not fewest <= len(value) <= most:
                code = Code.PROXYING_NOT_SUPPORTED if number in _PROXY else Code.BAD_OPTION
                raise RefusedError(f"option {number} is not understood", code=code)
            if number == last and number not in _REPEATABLE:
                raise RefusedError(f"option {number} comes twice", code=Code.BAD_OPTION)
        last = number
