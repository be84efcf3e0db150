"""What a caller gives to an endpoint: requests, responses, and how a body is to be taken."""

from typing import Final, Protocol, final

import attrs

from lwm2m_fota.coap.block import MAX_SZX, size_of
from lwm2m_fota.coap.message import Options
from lwm2m_fota.coap.qblock import QBlock
from lwm2m_fota.errors import UsageError

DEFAULT_MAX_BODY_BYTES: Final = 65_536
DEFAULT_MAX_STREAM_BYTES: Final = 1 << 30


@final
@attrs.frozen(kw_only=True)
class Shrink:
    """When to use smaller blocks: the larger a datagram, the likelier a part of it is lost on its way.

    Attributes:
        losses: after so many blocks in a row that had to be asked for, or sent, more than once, the size is halved.
        timeouts: who begins a fetch again halves it after so many in a row that timed out and brought nothing.
        again: how often in a row a block that was sent in vain, with all its copies, is sent in half the size before
            the call fails (RFC 7959 section 2.5). Each time the peer may be gone as well, and that is known so much
            later: by default never.
        smallest_szx: the smallest size, as exponent: 2 is 64 bytes, which a frame of IEEE 802.15.4 carries.

    Raises:
        UsageError: a count below 1 (of `again`, below 0), or SZX out of range.
    """

    losses: int = 4
    timeouts: int = 3
    again: int = 0
    smallest_szx: int = 2

    def __attrs_post_init__(self) -> None:
        size_of(self.smallest_szx)
        if min(self.losses, self.timeouts) < 1:
            raise UsageError("blocks get smaller after one loss at least")
        if self.again < 0:
            raise UsageError("a block is not sent a negative number of times")


@final
@attrs.frozen
class Request:
    """A request to send.

    Attributes:
        code: the method.
        options: without Observe, Block1, Block2, Size1 and Size2: those are the endpoint's.
        payload: the body; one that exceeds a block is sent block-wise.
        source_bytes: the size of a body that is not given here but block by block, BlockWanted by `supply`; None if
            `payload` is the body.
        confirmable: CON or NON.
        szx: the largest block to send, and below 6 also the largest to ask for: `16 << szx` bytes.
        observe: ask to be notified of changes (RFC 7641).
        q_block: send the body by sets of blocks (Q-Block1), all of them non-confirmable: to a peer that is known to
            understand that, see `Endpoint.knows_q_block`. A request without a body finds that out. Where the peer is
            known not to, the body goes with Block1; where nothing is known, a peer that passes the option over may take
            the first block for the whole body.
        shrink: send a body in smaller blocks (Block1) where many get lost; None never does. Sets of blocks keep their
            size, and so does what goes over a stream.
    """

    code: int
    options: Options = ()
    payload: bytes = b""
    source_bytes: int | None = None
    confirmable: bool = True
    szx: int = MAX_SZX
    observe: bool = False
    q_block: QBlock | None = None
    shrink: Shrink | None = None


class BlockBody(Protocol):
    """A body whose later blocks can be had one by one."""

    @property
    def size_bytes(self) -> int:
        """Its size."""
        ...

    def block(self, offset: int, length: int) -> "bytes | Response":
        """The bytes from `offset` on, exactly `length` of them; or a response that says why there are none."""
        ...


@final
@attrs.frozen
class Response:
    """A response or notification to send; its options are complete, Observe and Block options included.

    Attributes:
        code: the response code.
        options: in ascending order of number, or not: they are sorted (equal numbers keep their order).
        payload: at most one block.
        idempotent: the answer can be had again: it is not kept for duplicates of the request, which are reported
            again instead. For answers that are large and cheap, such as a block of a file.
        body: where the payload is a block that others follow (Block2 with M=1), what they can be had from: the endpoint
            then answers requests that differ in nothing but the number of the block with BodyWanted alone.
        is_for_known: what was asked for is known to nobody but whom it was told, such as an unguessable path: the peer
            is not a stranger, see `strangers`.
    """

    code: int
    options: Options = ()
    payload: bytes = b""
    idempotent: bool = False
    body: BlockBody | None = None
    is_for_known: bool = False


@final
@attrs.frozen
class Collect:
    """Gather the body of the answer, whatever blocks it comes in.

    Attributes:
        max_body_bytes: a larger body fails the call with TOO_LARGE.
    """

    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES


@final
@attrs.frozen
class Stream:
    """Hand the body of the answer out block by block.

    Attributes:
        offset: where to begin, bytes: what is stored already.
        etag: the version of what is stored; another version makes the body begin anew.
        szx: the block size to ask for; None leaves it to the peer.
        max_body_bytes: a larger body fails the call with TOO_LARGE.
        window: how many blocks may be asked for at a time; NSTART of the peer bounds it too, and a peer that does not
            tell the size of the body (Size2) is asked for one block at a time.
        q_block: fetch by sets of blocks (Q-Block2) if the peer knows that, else with Block2; None never tries, and
            neither does a call over a stream.
        shrink: ask for smaller blocks where many get lost; None never does. Sets of blocks keep their size.

    Raises:
        UsageError: a window below 1.
    """

    offset: int = 0
    etag: bytes | None = None
    szx: int | None = None
    max_body_bytes: int = DEFAULT_MAX_STREAM_BYTES
    window: int = 1
    q_block: QBlock | None = None
    shrink: Shrink | None = None

    def __attrs_post_init__(self) -> None:
        if self.window < 1:
            raise UsageError("a window has at least one block")
