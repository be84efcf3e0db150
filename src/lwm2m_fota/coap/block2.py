"""Block2: a response body fetched, or served, one block at a time (RFC 7959 sections 2.4 and 2.8).

In a request Block2 asks for a block of at most a size; in the answer it describes the payload. The receiver keeps an
offset and an ETag, never the body; the server's side keeps nothing at all.
"""

from typing import Final, final

import attrs

from lwm2m_fota.coap.block import (
    BERT_SZX,
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
from lwm2m_fota.model.enums import UpdateResult

DEFAULT_MAX_RESTARTS: Final = 3  # how often a fetch may start again from block 0
MAX_ETAG_BYTES: Final = 8

_ETAG: Final = int(Option.ETAG)
_BLOCK2: Final = int(Option.BLOCK2)
_SIZE2: Final = int(Option.SIZE2)
_CONTENT: Final = int(Code.CONTENT)
_NO_BODY: Final = frozenset({int(Code.VALID), int(Code.CONTINUE)})
_OUT_OF_RANGE: Final = frozenset({int(Code.BAD_REQUEST), int(Code.BAD_OPTION)})


@final
@attrs.frozen(slots=True)
class Received:
    """Bytes of the body, in order and without overlap.

    Attributes:
        offset: where the payload belongs in the body, in bytes.
        payload: the bytes; may be empty where all of them were in hand before.
        last: the body is complete with them.
        size2: what the peer says the whole body has, in bytes: an estimate, or None.
        etag: the ETag of the body, to be kept for a later resume; None if no answer had one.
    """

    offset: int
    payload: bytes
    last: bool
    size2: int | None
    etag: bytes | None


@final
@attrs.frozen(slots=True)
class Whole:
    """The body came whole in one answer without Block2; it replaces whatever is in hand.

    Attributes:
        message: the answer.
    """

    message: Message


@final
@attrs.frozen(slots=True)
class Restart:
    """What is in hand belongs to another body: drop it; the next request asks for block 0.

    Attributes:
        reason: why, for people.
    """

    reason: str


@final
@attrs.frozen(slots=True)
class Refused:
    """The peer answered with a code that carries no body; the same request may be sent again, or given up.

    Attributes:
        message: the answer.
    """

    message: Message


Fetched = Received | Whole | Restart | Refused


@final
class Block2Receiver:
    """The client's side of one body.

    Policies, where the document leaves a choice:

    - The first request carries Block2 only if a size is to be suggested or the fetch resumes, and Size2=0, which asks
      for the size of the body.
    - The peer's block size is used from its first answer on, and may shrink later: blocks are then numbered anew from
      the offset in hand. A block larger than asked for is taken, but not asked for.
    - A resume asks for the block that holds the offset and drops the overlap. Its first answer must carry the ETag that
      was kept, if one was: an answer without one cannot confirm that the body is the same.
    - Within a fetch, an answer without an ETag says nothing; two different ETags mean another body.
    - Another body, or one that turns out to be shorter than what is in hand (also: 4.00 or 4.02 to any block but
      block 0), is a restart from block 0, at most `max_restarts` times.
    - Size2 is an estimate and never refused; the limit is checked block by block.
    - With BERT (RFC 8323 section 6) an answer may bring several blocks of 1024 bytes at once; one with a smaller SZX
      ends that.
    """

    __slots__ = (
        "_bert",
        "_confirm",
        "_done",
        "_etag",
        "_first",
        "_max_body",
        "_max_restarts",
        "_offset",
        "_restarts",
        "_szx",
    )

    def __init__(
        self,
        *,
        max_body_bytes: int,
        offset: int = 0,
        etag: bytes | None = None,
        szx: int | None = MAX_SZX,
        max_restarts: int = DEFAULT_MAX_RESTARTS,
        bert: bool = False,
    ) -> None:
        """Start at an offset.

        Args:
            max_body_bytes: the largest body that is taken.
            offset: how many bytes of the body are in hand.
            etag: the ETag they came with; None if they had none.
            szx: the block size to suggest, as an exponent 0..6; None leaves it to the peer.
            max_restarts: how often the fetch may start again from block 0.
            bert: take several blocks of 1024 bytes at once, if no smaller size is suggested; SZX 7 asks for it.

        Raises:
            UsageError: a number is out of range.
        """
        if szx is not None and not (bert and szx == BERT_SZX):
            size_of(szx)
        if offset < 0 or max_body_bytes < 0:
            raise UsageError("offset and limit are at least 0")
        self._max_body = max_body_bytes
        self._bert = bert
        self._offset = offset
        self._etag = etag if offset else None
        self._confirm = self._etag is not None
        self._szx = szx
        self._max_restarts = max_restarts
        self._restarts = 0
        self._first = True
        self._done = False

    @property
    def offset(self) -> int:
        """How many bytes of the body are in hand."""
        return self._offset

    @property
    def max_body_bytes(self) -> int:
        """The largest body that is taken."""
        return self._max_body

    def advance(self, size_bytes: int) -> None:
        """The next block has come, as `accept` would have found; it was not the last one."""
        self._offset += size_bytes

    @property
    def etag(self) -> bytes | None:
        """The ETag of the body, if it has shown one."""
        return self._etag

    @property
    def szx(self) -> int | None:
        """The size exponent in use; None until it is known."""
        return self._szx

    def shrink(self, smallest_szx: int) -> bool:
        """Ask for blocks of half the size from now on, but for none smaller than these; False if it stays as it is.

        Args:
            smallest_szx: an exponent.
        """
        if self._szx is None or self._szx <= smallest_szx or self._offset >> self._szx + 3 > MAX_NUM:
            return False
        self._szx -= 1
        return True

    @property
    def restarts(self) -> int:
        """How often the fetch has started again."""
        return self._restarts

    def options(self) -> Options:
        """Block2 and Size2 of the next request, to be sorted in with the request's own options.

        Raises:
            BlockwiseError: the next block has no number: the body is too large for its block size.
            UsageError: the fetch is over.
        """
        if self._done:
            raise UsageError("the fetch is over")
        szx = self._szx
        if szx is None and not self._offset:
            return ((_SIZE2, b""),)
        if szx is None:
            szx = MAX_SZX
        num = self._offset >> min(szx, MAX_SZX) + 4
        if num > MAX_NUM:
            raise _broken(f"offset {self._offset} has no number in blocks of this size")
        block2 = (_BLOCK2, pack_block(num, False, szx))  # noqa: FBT003 - M is 0 in requests
        return (block2, (_SIZE2, b"")) if self._first else (block2,)

    def accept(self, message: Message) -> Fetched:
        """Take the answer to the last request.

        Args:
            message: the response; that it belongs to the request is for the caller to know, by its token.

        Raises:
            BlockwiseError: the answer is about another block, is too short or too long, passes the limit (4.13, Result
                2), or the body changed too often. Where nothing else is said the Result is 4.
            UsageError: the fetch is over.
        """
        if self._done:
            raise UsageError("the fetch is over")
        code = message.code
        if code != _CONTENT and (not is_success(code) or code in _NO_BODY):
            if code in _OUT_OF_RANGE and self._asked():
                return self.restart("the body ends before the offset in hand")
            return Refused(message)
        value = message.first(_BLOCK2)
        if value is None:
            return self._whole(message)
        bert = self._bert and self._szx in {None, BERT_SZX}
        return self._block(message, *unpack_block(value, BERT_SZX if bert else MAX_SZX))

    def _asked(self) -> int:
        """Where the block starts that the last request asked for."""
        shift = (MAX_SZX if self._szx is None else min(self._szx, MAX_SZX)) + 4
        return self._offset >> shift << shift

    def _whole(self, message: Message) -> Whole:
        if self._asked():
            raise _broken("asked for a block, got an answer without Block2")
        self._check_limit(len(message.payload))
        self._done = True
        return Whole(message)

    def _block(self, message: Message, num: int, more: bool, szx: int) -> Fetched:  # noqa: FBT001 - as in the option
        payload = message.payload
        size = MIN_BLOCK_BYTES << min(szx, MAX_SZX)
        length = len(payload)
        start = num * size
        if start != self._asked():
            raise _broken(f"asked for the block at {self._asked()}, got the one at {start}")
        units = max(length // size, 1) if szx == BERT_SZX else 1
        if (more and length != units * size) or (length > size and szx != BERT_SZX):
            raise _broken(f"{length} bytes in a block of {size}")
        etag = message.first(_ETAG)
        if etag != self._etag and not self._same_body(etag):
            return self.restart("another ETag: the body is another one")
        end = start + length
        have = self._offset
        if end < have and not more:
            return self.restart("the body ends before the offset in hand")
        if end > self._max_body:
            self._check_limit(end)
        if self._szx is None or szx < self._szx:
            self._szx = szx
        self._first = self._confirm = False
        if end > have:
            self._offset = end
        self._done = not more
        size2 = message.uint(_SIZE2)
        return Received(have, payload[have - start :] if have > start else payload, not more, size2, self._etag)

    def _same_body(self, etag: bytes | None) -> bool:
        """Compare an ETag that is not the one in hand; the first one to show up is adopted."""
        if etag is None:
            return not self._confirm
        if self._etag is not None:
            return False
        self._etag = etag
        return True

    def restart(self, reason: str) -> Restart:
        """Begin again from block 0, for a reason that its user has found.

        Raises:
            BlockwiseError: too often.
        """
        if self._restarts >= self._max_restarts:
            raise _broken(f"started again too often: {reason}")
        self._restarts += 1
        self._offset = 0
        self._etag = None
        self._confirm = False
        self._first = True
        return Restart(reason)

    def _check_limit(self, end: int) -> None:
        if end > self._max_body:
            raise BlockwiseError(
                f"the body has more than {self._max_body} bytes",
                code=Code.REQUEST_ENTITY_TOO_LARGE,
                result=UpdateResult.NOT_ENOUGH_STORAGE,
            )


def _broken(message: str) -> BlockwiseError:
    return BlockwiseError(message, result=UpdateResult.CONNECTION_LOST)


def block2_answer(requested: Block | None, size_bytes: int, *, max_szx: int = MAX_SZX) -> Slice | None:
    """Which block of a body answers a request.

    Args:
        requested: the request's Block2, or None; its M is ignored.
        size_bytes: the size of the body.
        max_szx: the largest block size to serve, as an exponent 0..6.

    Returns:
        The block to send with Block2, not larger than asked for, and numbered in its own size; None if the body fits
        one block and none was asked for: then it goes whole, without Block2.

    Raises:
        BlockwiseError: the body ends before the block (4.00), or has more blocks of this size than there are numbers
            (4.02).
        UsageError: a negative size, or SZX out of range.
    """
    szx = max_szx if requested is None else min(requested.szx, max_szx)
    try:
        check_numbers(size_bytes, szx)
    except BlockwiseError as error:
        raise BlockwiseError(str(error), code=Code.BAD_OPTION) from error
    if requested is None:
        return None if size_bytes <= MIN_BLOCK_BYTES << szx else slice_at(0, size_bytes, szx)
    offset = requested.offset
    if offset and offset >= size_bytes:
        raise BlockwiseError(f"a block at {offset} of {size_bytes} bytes", code=Code.BAD_REQUEST)
    return slice_at(offset, size_bytes, szx)


def block2_options(part: Slice, size_bytes: int, etag: bytes | None, *, want_size2: bool) -> Options:
    """ETag, Block2 and Size2 of the answer that carries a block, to be sorted in with its other options.

    Raises:
        UsageError: an ETag does not have 1 to 8 bytes (RFC 7252 section 5.10).
    """
    block2 = (_BLOCK2, pack_block(part.num, part.more, part.szx))
    rest = (block2, (_SIZE2, pack_uint(size_bytes))) if want_size2 else (block2,)
    if etag is None:
        return rest
    if not 1 <= len(etag) <= MAX_ETAG_BYTES:
        raise UsageError(f"an ETag has 1 to {MAX_ETAG_BYTES} bytes, not {len(etag)}")
    return ((_ETAG, etag), *rest)
