"""Which options a request may carry."""

from collections.abc import Collection
from typing import Final

from lwm2m_fota.coap.message import Message
from lwm2m_fota.coap.numbers import Option, is_critical
from lwm2m_fota.errors import RefusedError
from lwm2m_fota.model.codes import Code

_REPEATABLE: Final = frozenset({Option.URI_PATH, Option.URI_QUERY})

ADDRESSING: Final = _REPEATABLE | {Option.URI_HOST, Option.URI_PORT}
"""The critical options that say where a request goes."""


def check_options(message: Message, understood: Collection[int]) -> None:
    """Refuse critical options that are not understood, or come too often (RFC 7252 sections 5.4.1 and 5.4.5).

    Args:
        message: the request, its options in ascending order.
        understood: the numbers of the options that its handler looks at or may pass over.

    Raises:
        RefusedError: 4.02.
    """
    last = -1
    for number, _ in message.options:
        if is_critical(number) and (number not in understood or (number == last and number not in _REPEATABLE)):
            raise RefusedError(f"option {number} is not understood", code=Code.BAD_OPTION)
        last = number
