"""How an error becomes a CoAP response."""

from typing import Final

from lwm2m_fota.coap.endpoint import Response
from lwm2m_fota.coap.message import Options, pack_uint
from lwm2m_fota.coap.numbers import Option
from lwm2m_fota.errors import BlockwiseError, FotaError
from lwm2m_fota.model.codes import Code

MAX_DIAGNOSTIC_BYTES: Final = 256
"""Of the text for people that goes into an error response (RFC 7252 section 5.5.2)."""


def diagnostic_payload(text: str) -> bytes:
    """A line for people as a payload: UTF-8, cut between characters."""
    return text.encode("utf-8", "replace")[:MAX_DIAGNOSTIC_BYTES].decode("utf-8", "ignore").encode()


def error_response(error: FotaError) -> Response:
    """The response that tells an error: its code, and its text for people."""
    options: Options = ()
    if isinstance(error, BlockwiseError) and error.size1 is not None:
        options = ((int(Option.SIZE1), pack_uint(error.size1)),)
    code = Code.INTERNAL_SERVER_ERROR if error.code is None else error.code
    return Response(code, options, diagnostic_payload(str(error)))
