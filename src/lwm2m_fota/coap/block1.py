"""Block1: a request body sent, or received, one block at a time (RFC 7959 sections 2.3, 2.5 and 2.9).

Neither side holds the body. The sender says which bytes go out next, the receiver says where the bytes that came in
belong; the bytes pass by.

In a request Block1 describes the payload. In the answer it controls: NUM echoes the block that is acknowledged, in the
block size of the request, M=1 says that the server collects the blocks, and SZX is the size that the server prefers
from now on.
"""

import zlib
from typing import Final, final

import attrs

from lwm2m_fota.coap.block import (
    MAX_NUM,
    MAX_SZX,
    MIN_BLOCK_BYTES,
    Block,
    Slice,
    check_numbers,
    pack_block,
    size_of,
    slice_at,
    unpack_block,
)
from lwm2m_fota.coap.message import Message, Options, pack_uint
from lwm2m_fota.coap.numbers import Option
from lwm2m_fota.errors import BlockwiseError, UsageError
from lwm2m_fota.model.codes import Code, is_success

DEFAULT_MAX_RESTARTS: Final = 3  # how often a transfer may start again from block 0

# Plain integers: enumeration members cost an attribute look-up on the class for every block.
_BLOCK1: Final = int(Option.BLOCK1)
_SIZE1: Final = int(Option.SIZE1)
_CONTINUE: Final = int(Code.CONTINUE)
_INCOMPLETE: Final = int(Code.REQUEST_ENTITY_INCOMPLETE)
_TOO_LARGE: Final = int(Code.REQUEST_ENTITY_TOO_LARGE)
_SERVER_ERROR: Final = int(Code.INTERNAL_SERVER_ERROR)


@final
@attrs.frozen(slots=True)
class NextBlock:
    """The block is acknowledged; `Block1Sender.current` is the next one."""


@final
@attrs.frozen(slots=True)
class Finished:
    """The transfer is over, with success or with an error: the code of the message says which.

    Attributes:
        message: the last answer.
        reason: why an error that might have been recovered from was not; empty otherwise.
    """

    message: Message
    reason: str = ""


@final
@attrs.frozen(slots=True)
class Restarted:
    """The transfer starts again: `Block1Sender.current` is block 0.

    Attributes:
        reason: why, for people.
    """

    reason: str


Sent = NextBlock | Finished | Restarted

_NEXT: Final = NextBlock()


@final
class Block1Sender:
    """The client's side of one body.

    Policies, where the document leaves a choice:

    - A body that fits one block goes without Block1, unless `always`.
    - Size1 goes with block 0 whenever Block1 does, so that a device without room can refuse at once.
    - The block size only ever shrinks; a larger SZX in an answer is ignored. After a smaller one, blocks are numbered
      anew from the offset that has been acknowledged.
    - A success other than 2.31 that carries Block1 on a block that is not the last is the answer of a stateless server
      to that block alone: the transfer goes on. Without Block1 the server took one block for the whole body, and that
      is an error. 2.31 without Block1 counts as an acknowledgement.
    - 4.13 with a smaller SZX in its Block1: again from block 0 with that size. 4.13 with a Size1 below the body: over.
      Any other 4.13: again from block 0 with half the size, once, and with Block1 even if one block carries all.
    - 4.08: again from block 0, at most `max_restarts` times; its Block1 has no defined meaning and is ignored.
    - 5.00 after block 0: the same, if `restart_on_server_error`. Some servers answer so to a gap, but others to a full
      store, so the default is to stop.
    - Every other error is over, 5.03 too: when to ask again is for the caller to know.
    - With BERT (RFC 8323 section 6) a request carries several blocks of 1024 bytes, until an answer has a smaller SZX,
      or is 4.13: then one at a time.

    Attributes:
        offset: how many bytes the server has acknowledged since the last start: the progress.
    """

    __slots__ = (
        "_always",
        "_done",
        "_halved",
        "_max_restarts",
        "_on_server_error",
        "_restarts",
        "_send_size1",
        "_szx",
        "_total",
        "_units",
        "offset",
    )

    def __init__(
        self,
        size_bytes: int,
        szx: int = MAX_SZX,
        *,
        units: int = 1,
        max_restarts: int = DEFAULT_MAX_RESTARTS,
        send_size1: bool = True,
        always: bool = False,
        restart_on_server_error: bool = False,
    ) -> None:
        """Start with block 0.

        Args:
            size_bytes: the size of the body.
            szx: the block size to begin with, as an exponent 0..6.
            units: how many blocks of 1024 bytes go into a request, with SZX 6 alone: above 1 that is BERT.
            max_restarts: how often 4.08 (and 5.00) may start the transfer again.
            send_size1: announce the size of the body with block 0.
            always: send Block1 even if one block carries the whole body.
            restart_on_server_error: take a 5.00 after block 0 for a 4.08.

        Raises:
            UsageError: a negative size, or SZX out of range.
            BlockwiseError: the body has more blocks of this size than there are numbers (4.13).
        """
        check_numbers(size_bytes, szx)
        self._total = size_bytes
        self.offset = 0
        self._szx = szx
        self._units = units if szx == MAX_SZX else 1
        self._restarts = 0
        self._max_restarts = max_restarts
        self._send_size1 = send_size1
        self._always = always
        self._on_server_error = restart_on_server_error
        self._halved = False
        self._done = False

    @property
    def left_bytes(self) -> int:
        """How many bytes have not been acknowledged."""
        return self._total - self.offset

    @property
    def szx(self) -> int:
        """The size exponent in use."""
        return self._szx

    def shrink(self, smallest_szx: int) -> bool:
        """Send blocks of half the size from now on, but none smaller than these; False if it stays as it is.

        Args:
            smallest_szx: an exponent.
        """
        size = MIN_BLOCK_BYTES << self._szx >> 1
        if self._units > 1 or self._szx <= smallest_szx or self._total > (MAX_NUM + 1) * size:
            return False
        self._szx -= 1
        return True

    @property
    def step_bytes(self) -> int:
        """The most bytes that go out at a time."""
        return self._units * (MIN_BLOCK_BYTES << self._szx)

    @property
    def restarts(self) -> int:
        """How often 4.08 (or 5.00) has started the transfer again."""
        return self._restarts

    def current(self) -> Slice:
        """The block that goes out now; the same one until an answer is accepted.

        Raises:
            UsageError: the transfer is over.
        """
        if self._done:
            raise UsageError("the transfer is over")
        return slice_at(self.offset, self._total, self._szx, self._units)

    def advance(self, size_bytes: int) -> None:
        """The block that went out last was acknowledged, as `accept` would have found; it was not the last one."""
        self.offset += size_bytes

    def options(self) -> Options:
        """Block1 and Size1 for the block that goes out now, to be sorted in with the request's own options.

        Raises:
            UsageError: the transfer is over.
        """
        part = self.current()
        if part.offset:
            return ((_BLOCK1, pack_block(part.num, part.more, part.szx)),)
        if not part.more and not self._always:
            return ()
        block1 = (_BLOCK1, pack_block(part.num, part.more, part.szx))
        return (block1, (_SIZE1, pack_uint(self._total))) if self._send_size1 else (block1,)

    def accept(self, message: Message) -> Sent:
        """Take the answer to the block that went out last.

        Args:
            message: the response; that it belongs to the request is for the caller to know, by its token.

        Raises:
            BlockwiseError: the answer echoes another block, acknowledges what was not sent, or asks for blocks so
                small that the body cannot be numbered.
            UsageError: the transfer is over.
        """
        part = self.current()
        if not is_success(message.code):
            return self._failed(message)
        value = message.first(_BLOCK1)
        szx = part.szx
        if value is not None:
            num, _, szx = unpack_block(value, max(MAX_SZX, part.szx))
            if num != part.num:
                raise BlockwiseError(f"block {part.num} went out, but the answer is about block {num}")
        if not part.more:
            if message.code == _CONTINUE:
                raise BlockwiseError("the peer waits for more after the last block")
            self._done = True
            return Finished(message)
        if value is None and message.code != _CONTINUE:
            raise BlockwiseError("the peer took one block for the whole body")
        if szx < part.szx:
            check_numbers(self._total, szx)
            self._szx, self._units = szx, 1
        self.offset = part.offset + part.length
        return _NEXT

    def _failed(self, message: Message) -> Finished | Restarted:
        code = message.code
        if code == _TOO_LARGE:
            return self._too_large(message)
        if code == _INCOMPLETE or (code == _SERVER_ERROR and self._on_server_error and self.offset):
            if self._restarts >= self._max_restarts:
                return self._finish(message, "started again too often")
            self._restarts += 1
            return self._restart(self._szx, "the peer lost the beginning")
        return self._finish(message, "")

    def _too_large(self, message: Message) -> Finished | Restarted:
        smaller = self._smaller_size(message)
        if smaller is not None:
            return self._resize(message, smaller, "the peer asks for smaller blocks")
        size1 = message.uint(_SIZE1)
        if size1 is not None and size1 < self._total:
            return self._finish(message, f"the peer takes at most {size1} bytes")
        if self._units > 1:
            return self._resize(message, self._szx, "too large: trying single blocks")
        if self._halved or not self._szx:
            return self._finish(message, "too large even in smaller blocks")
        self._halved = True
        return self._resize(message, self._szx - 1, "too large: trying smaller blocks")

    def _smaller_size(self, message: Message) -> int | None:
        value = message.first(_BLOCK1)
        if value is None:
            return None
        sent = self.current().szx
        _, _, szx = unpack_block(value, max(sent, MAX_SZX))
        return szx if szx < sent else None

    def _resize(self, message: Message, szx: int, reason: str) -> Finished | Restarted:
        try:
            check_numbers(self._total, szx)
        except BlockwiseError as error:
            return self._finish(message, str(error))
        self._always = True
        self._units = 1
        return self._restart(szx, reason)

    def _restart(self, szx: int, reason: str) -> Restarted:
        self.offset = 0
        self._szx = szx
        return Restarted(reason)

    def _finish(self, message: Message, reason: str) -> Finished:
        self._done = True
        return Finished(message, reason)


@final
@attrs.frozen(slots=True)
class Accepted:
    """A block that is to be stored.

    Attributes:
        offset: where the payload belongs in the body, in bytes.
        payload: the bytes, as they came.
        final: the body is complete with it.
        first: the body begins with it; whatever was there before is void.
        szx: the block size to answer with, as an exponent.
    """

    offset: int
    payload: bytes
    final: bool
    first: bool
    szx: int


@final
@attrs.frozen(slots=True)
class Repeated:
    """The last block once more, as after a lost answer: nothing to store, answer as before.

    Attributes:
        final: the body was complete with it.
    """

    final: bool


@final
class Block1Receiver:
    """The server's side of one body: what to keep for one peer and one resource.

    Policies, where the document leaves a choice:

    - Block 0, or a request without Block1, always starts a new body.
    - Blocks come in order. Where a block belongs follows from its offset alone, so a client may change the block size
      on the way, as it is asked to by an answer with a smaller SZX.
    - The same block again with the same bytes (by length and CRC-32; the bytes are not kept) is `Repeated`.
    - Any other block out of order is a gap, 4.08. A refused block changes nothing.
    - The limit is checked before a byte is taken, against Size1 and against the offset.
    """

    __slots__ = ("_expected", "_last_crc", "_last_final", "_last_length", "_last_offset", "_max_body", "_max_szx")

    def __init__(self, max_body_bytes: int, max_szx: int = MAX_SZX) -> None:
        """Wait for block 0.

        Args:
            max_body_bytes: the largest body that is taken.
            max_szx: the largest block size to agree to, as an exponent 0..6.

        Raises:
            UsageError: SZX is out of range, or the limit is negative.
        """
        size_of(max_szx)
        if max_body_bytes < 0:
            raise UsageError("a body has at least 0 bytes")
        self._max_body = max_body_bytes
        self._max_szx = max_szx
        self._expected = -1  # the offset that comes next; -1 before block 0 and after the last block
        self._last_offset = -1
        self._last_length = 0
        self._last_crc = 0
        self._last_final = False

    @property
    def offset(self) -> int | None:
        """How many bytes of an unfinished body are in; None if there is none."""
        return self._expected if self._expected >= 0 else None

    def accept(
        self, block: Block | None, payload: bytes, size1: int | None = None, blocks: int = 1
    ) -> Accepted | Repeated:
        """Take the payload of one request.

        Args:
            block: the request's Block1; None if it has none and carries the whole body.
            payload: the request's payload; it is passed through, never kept.
            size1: the request's Size1, if it has one.
            blocks: of how many blocks the payload is, `block` being the first of them; see `Message.blocks`.

        Raises:
            BlockwiseError: 4.08 for a gap or an unknown body, 4.00 for a payload that does not fit its block size,
                4.13 (with `size1` set to the limit) for a body that is too large.
        """
        if block is None:
            self._check_limit(len(payload), size1)
            self._expected = self._last_offset = -1
            return Accepted(0, payload, final=True, first=True, szx=self._max_szx)
        more = block.more
        szx = block.szx
        size = MIN_BLOCK_BYTES << szx
        length = len(payload)
        before = (blocks - 1) * size
        if length - before > size or (more and length - before != size):
            raise BlockwiseError(f"{length - before} bytes in a block of {size}", code=Code.BAD_REQUEST)
        offset = block.num * size
        if offset and offset != self._expected:
            if offset == self._last_offset and self._is_last(payload, more=more):
                return Repeated(self._last_final)
            raise BlockwiseError(f"a block at {offset}, but {self._describe_expected()}")
        end = offset + length
        if end > self._max_body or size1 is not None:
            self._check_limit(end, size1)
        self._expected = end if more else -1
        last = payload[before:] if before else payload
        self._last_offset = offset + before
        self._last_length = len(last)
        self._last_crc = zlib.crc32(last)
        self._last_final = not more
        return Accepted(offset, payload, not more, not offset, min(szx, self._max_szx))

    def response_block(self, block: Block) -> bytes:
        """The Block1 value of the answer to an accepted or repeated block.

        It echoes the number and M (1: collected, with 2.31; 0: final) and carries the block size to go on with.
        """
        return pack_block(block.num, block.more, min(block.szx, self._max_szx))

    def _check_limit(self, end: int, size1: int | None) -> None:
        announced = end if size1 is None else max(end, size1)
        if announced > self._max_body:
            raise BlockwiseError(
                f"a body of {announced} bytes, at most {self._max_body} are taken",
                code=Code.REQUEST_ENTITY_TOO_LARGE,
                size1=self._max_body,
            )

    def _is_last(self, payload: bytes, *, more: bool) -> bool:
        return more != self._last_final and len(payload) == self._last_length and zlib.crc32(payload) == self._last_crc

    def _describe_expected(self) -> str:
        return f"{self._expected} comes next" if self._expected >= 0 else "there is no body to go on with"
