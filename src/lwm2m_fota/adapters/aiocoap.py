"""How a device whose CoAP stack is aiocoap gets a package (extra `aiocoap`): by Block2, on a context that it has.

aiocoap would put a body together in memory. So it is asked for single blocks, and what they are to each other is judged
here, by the same rules as on an endpoint of this library.
"""

import socket
from typing import Final, assert_never, final

from lwm2m_fota.coap.block2 import Block2Receiver, Received, Refused, Restart, Whole
from lwm2m_fota.coap.message import Message, sort_options
from lwm2m_fota.coap.numbers import ACK, Option
from lwm2m_fota.coap.uri import parse_uri, shown
from lwm2m_fota.device.fetch import FetchSink, refusal
from lwm2m_fota.errors import (
    InvalidUriError,
    MissingExtraError,
    TransportError,
    UnsupportedProtocolError,
)
from lwm2m_fota.transport.names import resolve_host

try:
    import aiocoap
    import aiocoap.error
    from aiocoap.numbers.optionnumbers import OptionNumber
except ImportError as error:
    raise MissingExtraError("fetching with aiocoap needs: pip install 'lwm2m-fota[aiocoap]'") from error

_SCHEME: Final = "coap"


@final
class AiocoapFetcher:
    """Fetches `coap://` URIs on a context of aiocoap; a `PackageFetcher`.

    Args:
        context: it stays with whoever made it, and is not shut down here.
        szx: the largest block to ask for, as exponent; None lets the origin choose.
        max_body_bytes: larger packages are refused.
    """

    def __init__(self, context: aiocoap.Context, *, szx: int | None = None, max_body_bytes: int = 1 << 30) -> None:
        self._context = context
        self._szx = szx
        self._max_body_bytes = max_body_bytes

    @property
    def schemes(self) -> frozenset[str]:
        """CoAP over UDP."""
        return frozenset({_SCHEME})

    async def resolve(self, uri: str) -> None:
        """Find out whether the host has an address; see `PackageFetcher`."""
        target = parse_uri(uri)
        if target.scheme != _SCHEME:
            raise UnsupportedProtocolError(f"{target.scheme} is not fetched here")
        await resolve_host(target.host, target.port, socket.SOCK_DGRAM)

    async def fetch(self, uri: str, sink: FetchSink, *, offset: int, etag: bytes | None) -> None:
        """Fetch block by block; see `PackageFetcher`."""
        await self.resolve(uri)
        receiver = Block2Receiver(max_body_bytes=self._max_body_bytes, offset=offset, etag=etag, szx=self._szx)
        is_over = False
        while not is_over:
            is_over = _take(uri, receiver, await self._ask(uri, receiver), sink)

    async def _ask(self, uri: str, receiver: Block2Receiver) -> Message:
        request = aiocoap.Message(code=aiocoap.GET, uri=uri)
        for number, value in receiver.options():
            request.opt.add_option(OptionNumber(number).create_option(decode=value))
        try:
            answer = await self._context.request(request, handle_blockwise=False).response
        except aiocoap.error.ResolutionError as error:
            raise InvalidUriError(f"{shown(uri)} leads nowhere: {error}") from error
        except (aiocoap.error.Error, OSError) as error:
            raise TransportError(str(error) or type(error).__name__) from error
        options = sort_options((int(option.number), option.encode()) for option in answer.opt.option_list())
        return Message(ACK, int(answer.code), 0, options=options, payload=answer.payload)


def _take(uri: str, receiver: Block2Receiver, answer: Message, sink: FetchSink) -> bool:
    """Hand an answer to the sink; True if it was the last one."""
    match fetched := receiver.accept(answer):
        case Received(offset, payload, last, size2, etag):
            sink.block(offset, payload, etag=etag, size_bytes=size2, last=last)
            return last
        case Whole(message):
            body = message.payload
            if receiver.offset:
                sink.restarted("the package came whole")
            sink.block(0, body, etag=message.first(Option.ETAG), size_bytes=len(body), last=True)
            return True
        case Restart(reason):
            sink.restarted(reason)
            return False
        case Refused(message):
            raise refusal(uri, message)
        case _:
            assert_never(fetched)
