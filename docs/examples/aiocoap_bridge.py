"""Messages of aiocoap and of lwm2m_fota: what both examples need to bring the two together."""

import asyncio
from collections.abc import Callable, Hashable, Sequence

import aiocoap
from aiocoap.numbers.optionnumbers import OptionNumber
from aiocoap.protocol import ClientObservation, ServerObservation
from aiocoap.resource import ObservableResource

from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.coap.message import Message
from lwm2m_fota.coap.numbers import CON
from lwm2m_fota.content.codec import decode
from lwm2m_fota.content.values import Entries
from lwm2m_fota.errors import ResponseError, TransportError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import standard_definitions

Handler = Callable[[Message, Hashable, float], Response]
Answered = tuple[aiocoap.Message, ClientObservation]
DEFINITIONS = standard_definitions()


class Bridge(ObservableResource):
    """Has every request answered by a handler, block by block; retransmission and observation stay with aiocoap."""

    def __init__(self, handler: Handler) -> None:
        super().__init__()
        self._handler = handler
        self._observed: dict[ServerObservation, Path] = {}

    async def needs_blockwise_assembly(self, request: aiocoap.Message) -> bool:
        del request
        return False  # a package is never held whole

    async def render(self, request: aiocoap.Message) -> aiocoap.Message:
        options = ((int(option.number), option.encode()) for option in request.opt.option_list())
        kept = tuple(option for option in options if option[0] != OptionNumber.OBSERVE)
        message = Message(CON, int(request.code), 0, options=kept, payload=request.payload)
        answer = self._handler(message, request.remote, asyncio.get_running_loop().time())
        response = aiocoap.Message(code=aiocoap.Code(answer.code), payload=answer.payload)
        for number, value in answer.options:
            response.opt.add_option(OptionNumber(number).create_option(decode=value))
        return response

    async def add_observation(self, request: aiocoap.Message, serverobservation: ServerObservation) -> None:
        self._observed[serverobservation] = Path.parse("/" + "/".join(request.opt.uri_path))
        serverobservation.accept(lambda: self._observed.pop(serverobservation))

    def changed(self, paths: Sequence[Path]) -> None:
        """Notify whoever observes one of these: a listener for objects."""
        for observation, observed in tuple(self._observed.items()):
            if any(observed.contains(path) for path in paths):
                observation.trigger()


async def ask(context: aiocoap.Context, message: aiocoap.Message, *, whole: bool = True) -> Answered:
    """Send a request and await its answer; what goes wrong becomes an error that the updater knows.

    With `whole`, aiocoap cuts the request and puts the answer together; without, the caller sends single blocks.
    """
    request = context.request(message, handle_blockwise=whole)
    try:
        answer = await request.response
    except aiocoap.error.Error as error:
        raise TransportError(str(error)) from error
    if not answer.code.is_successful():
        raise ResponseError(str(message.code), response_code=int(answer.code), diagnostic=answer.payload.decode())
    return answer, request.observation


def entries_of(path: Path, answer: aiocoap.Message) -> Entries:
    """The values in the answer to a read, or in a notification."""
    return decode(answer.payload, answer.opt.content_format or 0, path, DEFINITIONS)
