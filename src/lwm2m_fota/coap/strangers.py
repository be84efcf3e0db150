"""What a peer gets that has not shown that it is where its datagrams say (RFC 7252 section 11.3, RFC 9175 section 2).

The address of a datagram can be forged, and whoever answers a few bytes with many is a weapon against others. A peer is
no stranger once it has answered a request of ours under its token, once it asks for what only it was told of
(`Response.is_for_known`), once it brings back an Echo value of ours, or where sessions show who it is.
"""

import hmac
from typing import Final

from lwm2m_fota.coap.calls import Response
from lwm2m_fota.coap.limits import Strangers
from lwm2m_fota.coap.message import Message, Options, encode, sort_options
from lwm2m_fota.coap.numbers import ACK, Option
from lwm2m_fota.coap.peers import PeerState
from lwm2m_fota.coap.reliability import Entropy
from lwm2m_fota.model.codes import Code, is_success

ECHO_BYTES: Final = 8

_ECHO: Final = int(Option.ECHO)
_UNAUTHORIZED: Final = int(Code.UNAUTHORIZED)


def bounded(policy: Strangers, state: PeerState, request: Message, response: Response, entropy: Entropy) -> Response:
    """What a peer gets for a response.

    Args:
        policy: how much strangers get.
        state: the peer; it is no stranger any more where the request or the response shows that.
        request: what it asked.
        response: the answer to that.
        entropy: makes Echo values.
    """
    state.is_known = state.is_known or response.is_for_known or _is_echoed(state, request)
    if state.is_known or _answer_bytes(request, response) <= policy.factor * len(encode(request)):
        return response
    if not is_success(response.code):
        return Response(response.code)
    if not policy.echo:
        return Response(_UNAUTHORIZED)
    state.echo = state.echo or entropy.token(ECHO_BYTES)
    return Response(_UNAUTHORIZED, ((_ECHO, state.echo),))


def with_echo(options: Options, answer: Message) -> Options | None:
    """The options of a request that is sent again because its answer asks for an Echo; None if it does not, or did.

    RFC 9175 section 2.3: a client that knows the option repeats the request with the value of the 4.01.
    """
    value = answer.first(_ECHO) if answer.code == _UNAUTHORIZED else None
    if value is None or any(number == _ECHO for number, _ in options):
        return None
    return sort_options((*options, (_ECHO, value)))


def _is_echoed(state: PeerState, request: Message) -> bool:
    value = request.first(_ECHO)
    return value is not None and bool(state.echo) and hmac.compare_digest(value, state.echo)


def _answer_bytes(request: Message, response: Response) -> int:
    answer = Message(ACK, response.code, request.mid, request.token, sort_options(response.options), response.payload)
    return len(encode(answer))
