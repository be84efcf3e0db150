"""How a device gets a package from a URI: a small door, and the CoAP way through it."""

from collections.abc import Iterable
from typing import Final, Protocol, final

from lwm2m_fota.coap.block import MAX_SZX
from lwm2m_fota.coap.calls import Shrink
from lwm2m_fota.coap.endpoint import Request, Stream
from lwm2m_fota.coap.events import BlockArrived
from lwm2m_fota.coap.message import Message
from lwm2m_fota.coap.numbers import Option
from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.coap.uri import CoapUri, parse_uri, shown
from lwm2m_fota.errors import PeerTimeoutError, ResponseError, UnsupportedProtocolError
from lwm2m_fota.model.codes import Code, is_success
from lwm2m_fota.model.enums import ProtocolSupport
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.transport.base import Peer

_SHRINK: Final = Shrink()
_DIAGNOSTIC_BYTES: Final = 200
_ASK_AGAIN: Final = frozenset({Code.SERVICE_UNAVAILABLE, Code.TOO_MANY_REQUESTS})  # 4.29: RFC 8516


class FetchSink(Protocol):
    """Where the bytes of a package go; its errors end the fetch."""

    def block(self, offset: int, payload: bytes, *, etag: bytes | None, size_bytes: int | None, last: bool) -> None:
        """Take the bytes that follow what is there; where blocks come fast, several of them at once.

        Args:
            offset: of the first byte in the package.
            payload: at least one byte, but for an empty package.
            etag: names this version of the package at its origin, if the origin says so.
            size_bytes: the whole size, if the origin tells it; an estimate.
            last: the package ends here.
        """
        ...

    def restarted(self, reason: str) -> None:
        """The origin has another version: what was taken is void, and the next block has offset 0."""
        ...

    def leads_on(self, uri: str) -> None:
        """The origin leads on to another URI, which is fetched next; an error says that nobody goes there."""
        ...


class PackageFetcher(Protocol):
    """Fetches packages over one or more URI schemes."""

    @property
    def schemes(self) -> frozenset[str]:
        """The URI schemes that it speaks."""
        ...

    async def resolve(self, uri: str) -> None:
        """Find out whether the host of a URI can be addressed.

        Raises:
            UriError: it is no URI, or its host does not exist.
            TransportError: the name service cannot tell at present.
        """
        ...

    async def fetch(self, uri: str, sink: FetchSink, *, offset: int, etag: bytes | None) -> None:
        """Fetch the rest of a package, from `offset` on.

        Args:
            uri: where.
            sink: takes the bytes, in order.
            offset: how many bytes are there already; 0 without an `etag`.
            etag: of what is there. If the origin has another version, `sink.restarted` is called first, or the fetch
                ends with a ResponseError of 4.12.

        Raises:
            UriError: it is no URI that can be fetched, or its host cannot be resolved.
            ResponseError: the origin refused.
            TransportError: the origin cannot be reached, or stopped answering.
            BlockwiseError: the origin broke the rules of block-wise transfer.
            FotaError: what the sink raised.
        """
        ...


def protocols_of(fetchers: Iterable[PackageFetcher]) -> tuple[ProtocolSupport, ...]:
    """What resource 8 of Object 5 lists, given the fetchers: a protocol that lacks its credential is not among them."""
    schemes = {scheme for fetcher in fetchers for scheme in fetcher.schemes}
    return tuple(protocol for protocol in ProtocolSupport if protocol.scheme in schemes)


@final
class _Blocks:
    """Hands the blocks of a CoAP download to a sink; `came` once there was one."""

    __slots__ = ("_sink", "came")

    def __init__(self, sink: FetchSink) -> None:
        self._sink = sink
        self.came = False

    def block(self, arrived: BlockArrived) -> None:
        self.came = True
        self._sink.block(
            arrived.offset, arrived.payload, etag=arrived.etag, size_bytes=arrived.size2, last=arrived.last
        )

    def restarted(self, reason: str) -> None:
        self._sink.restarted(reason)


@final
class CoapFetcher:
    """Fetches with Block2 over an endpoint that is open already: URIs of the scheme that the endpoint speaks.

    Args:
        pump: the endpoint; the one of the management session will do, and its session serves the download too.
        szx: the largest block to ask for, as exponent; None lets the origin choose.
        max_body_bytes: larger packages are refused.
        window: how many blocks to ask for at a time; above 1 it needs an NSTART above 1 too
            (`TransmissionParameters.nstart` of the pump), which RFC 7252 section 4.7 leaves to those who know the path.
        q_block: fetch by sets of blocks (Q-Block2, RFC 9177) where the origin knows that; None never tries.
        shrink: when to ask for smaller blocks; None never does.
    """

    def __init__(
        self,
        pump: Pump,
        *,
        szx: int | None = None,
        max_body_bytes: int = 1 << 30,
        window: int = 1,
        q_block: QBlock | None = None,
        shrink: Shrink | None = _SHRINK,
    ) -> None:
        self._pump = pump
        self._szx = szx
        self._max_body_bytes = max_body_bytes
        self._window = window
        self._q_block = q_block
        self._shrink = shrink
        self._silent = ("", 0)  # a URI, and how many fetches timed out and brought nothing

    @property
    def schemes(self) -> frozenset[str]:
        """That of the endpoint; none where it needs a credential and has none for anybody."""
        sessions = self._pump.sessions
        return frozenset({self._pump.scheme} if sessions is None or sessions.can_connect else ())

    async def resolve(self, uri: str) -> None:
        """Resolve the host, and open the session that it needs; see `PackageFetcher`."""
        await self._peer(self._target(uri))

    def _target(self, uri: str) -> CoapUri:
        target = parse_uri(uri)
        if target.scheme != self._pump.scheme:
            raise UnsupportedProtocolError(f"{target.scheme} is not fetched over {self._pump.scheme}")
        return target

    async def _peer(self, target: CoapUri) -> Peer:
        return await self._pump.resolve(target.host, target.port)

    async def fetch(self, uri: str, sink: FetchSink, *, offset: int, etag: bytes | None) -> None:
        """Fetch with Block2, or with Q-Block2; see `PackageFetcher`."""
        target = self._target(uri)
        peer = await self._peer(target)
        request = Request(Code.GET, target.request_options())
        blocks = _Blocks(sink)
        stream = Stream(
            offset=offset,
            etag=etag,
            szx=self._szx_for(uri),
            max_body_bytes=self._max_body_bytes,
            window=self._window,
            q_block=self._q_block,
            shrink=self._shrink,
        )
        try:
            answer = await self._pump.download(peer, request, blocks, stream)
        except PeerTimeoutError:
            if not blocks.came:
                self._silent = (uri, self._silences(uri) + 1)
            self._pump.end(peer)  # if it is a session, the other end may have lost it: the next attempt opens another
            raise
        self._silent = ("", 0)
        if not is_success(answer.code):
            raise refusal(uri, answer)

    def _silences(self, uri: str) -> int:
        silent, times = self._silent
        return times if silent == uri else 0

    def _szx_for(self, uri: str) -> int | None:
        """Smaller blocks may get through where nothing else did."""
        shrink, largest = self._shrink, MAX_SZX if self._szx is None else self._szx
        halvings = 0 if shrink is None else self._silences(uri) // shrink.timeouts
        if shrink is None or not halvings:
            return self._szx
        return max(largest - halvings, min(largest, shrink.smallest_szx))


def refusal(uri: str, answer: Message) -> ResponseError:
    """What an origin said in place of a package, and when it wants to be asked again (RFC 7252 section 5.9.3.4)."""
    diagnostic = bytes(answer.payload[:_DIAGNOSTIC_BYTES]).decode("utf-8", "replace")
    wait_s = answer.uint(Option.MAX_AGE) if answer.code in _ASK_AGAIN else None
    return ResponseError(f"GET {shown(uri)}", response_code=answer.code, diagnostic=diagnostic, retry_after_s=wait_s)
