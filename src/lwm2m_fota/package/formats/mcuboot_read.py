"""Reads an MCUboot image as a stream: what is in it and what its digests are. It trusts nothing."""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Final, TypeAlias, final

import attrs

from lwm2m_fota.package.crypto import Hash
from lwm2m_fota.package.formats.mcuboot_tlv import (
    HEADER_BYTES,
    INFO_BYTES,
    INFO_MAGIC,
    PROTECTED_INFO_MAGIC,
    ImageHeader,
    Tlv,
    TlvType,
    decode_info,
    decode_tlvs,
)
from lwm2m_fota.package.verdicts import Refusal, refusal_error

DEFAULT_MAX_TLV_BYTES: Final = 16 * 1024  # of each of the two areas

DIGESTS: Final[Mapping[TlvType, Hash]] = MappingProxyType(
    {TlvType.SHA256: Hash.SHA256, TlvType.SHA384: Hash.SHA384, TlvType.SHA512: Hash.SHA512}
)
"""The records that hold a digest of header, body and protected records."""

Sink: TypeAlias = Callable[[memoryview], None]
"""Takes what the digests cover, piece by piece; a piece is valid during the call only."""


@final
@attrs.frozen(kw_only=True)
class McubootImage:
    """What an image says of itself.

    Attributes:
        header: its header.
        protected: the records that the digest covers.
        records: the records behind them.
        image_bytes: the length of the image, its records included.
        trailing_bytes: the length of what follows it in the file.
    """

    header: ImageHeader
    protected: tuple[Tlv, ...]
    records: tuple[Tlv, ...]
    image_bytes: int
    trailing_bytes: int

    def values(self, kind: TlvType) -> tuple[bytes, ...]:
        """The values of the unprotected records of one type."""
        return tuple(record.value for record in self.records if record.type == kind)

    def protected_values(self, kind: TlvType) -> tuple[bytes, ...]:
        """The values of the protected records of one type."""
        return tuple(record.value for record in self.protected if record.type == kind)

    @property
    def digests(self) -> tuple[tuple[Hash, bytes], ...]:
        """The digests that it holds: one, in an image as it should be."""
        return tuple((kind, value) for record, kind in DIGESTS.items() for value in self.values(record))


class _Stage(Enum):
    HEADER = auto()
    BODY = auto()
    PROTECTED = auto()
    INFO = auto()
    RECORDS = auto()
    TRAILING = auto()


_HASHED: Final = frozenset({_Stage.BODY, _Stage.PROTECTED})


def _no_sink(_header: ImageHeader) -> None:
    """Nobody wants what the digests cover."""


@final
class McubootReader:
    """Takes an image in pieces of any size.

    Args:
        begin: called once, as soon as the header is there; what it raises leaves `feed`. It returns what takes the
            bytes that the digests cover, from the first byte of the image; None if nobody wants them.
        max_tlv_bytes: the largest TLV area that is held, of each of the two.
        max_trailing_bytes: how much may follow the image; None for any length.
    """

    __slots__ = (
        "_begin", "_buffer", "_header", "_left", "_max_tlv_bytes", "_max_trailing_bytes", "_protected", "_records",
        "_records_bytes", "_sink", "_stage", "_trailing_bytes",
    )  # fmt: skip

    def __init__(
        self,
        *,
        begin: Callable[[ImageHeader], Sink | None] = _no_sink,
        max_tlv_bytes: int = DEFAULT_MAX_TLV_BYTES,
        max_trailing_bytes: int | None = None,
    ) -> None:
        self._begin = begin
        self._max_tlv_bytes = max_tlv_bytes
        self._max_trailing_bytes = max_trailing_bytes
        self._sink: Sink | None = None
        self._stage = _Stage.HEADER
        self._left = HEADER_BYTES  # until the present stage ends
        self._buffer = bytearray()  # of the present stage, but never of the body
        self._header: ImageHeader | None = None
        self._protected: tuple[Tlv, ...] = ()
        self._records: tuple[Tlv, ...] = ()
        self._records_bytes = 0
        self._trailing_bytes = 0

    def feed(self, data: memoryview) -> int:
        """Take the next bytes.

        Returns:
            How many of the following bytes must not be given to it, because nobody wants them: the rest of the body.

        Raises:
            UnsupportedPackageError: it is not an MCUboot image.
            IntegrityError: it is malformed.
            PackageError: a TLV area is larger than is held.
        """
        while data and self._left:
            part = data[: self._left]
            self._absorb(part)
            self._left -= len(part)
            data = data[len(part) :]
            while not self._left and self._stage is not _Stage.TRAILING:
                self._advance()
        if self._stage is _Stage.BODY and self._sink is None:
            return self._leave_body()
        self._trailing_bytes += len(data)
        if self._max_trailing_bytes is not None and self._trailing_bytes > self._max_trailing_bytes:
            raise refusal_error(
                Refusal.MALFORMED, f"more than {self._max_trailing_bytes} bytes (max_trailing_bytes) follow the image"
            )
        return 0

    def finish(self) -> McubootImage:
        """The file ends here.

        Raises:
            IntegrityError: it is truncated.
        """
        if self._stage is not _Stage.TRAILING or self._header is None:
            raise refusal_error(Refusal.TRUNCATED, "the file ends before the image does")
        return McubootImage(
            header=self._header,
            protected=self._protected,
            records=self._records,
            image_bytes=self._header.hashed_bytes + self._records_bytes,
            trailing_bytes=self._trailing_bytes,
        )

    def _leave_body(self) -> int:
        skipped, self._left = self._left, 0
        while not self._left and self._stage is not _Stage.TRAILING:
            self._advance()
        return skipped

    def _absorb(self, part: memoryview) -> None:
        if self._sink is not None and self._stage in _HASHED:
            self._sink(part)
        if self._stage is not _Stage.BODY:
            self._buffer += part

    def _advance(self) -> None:
        """The present stage is complete."""
        data = bytes(self._buffer)
        self._buffer.clear()
        match self._stage:
            case _Stage.HEADER:
                self._stage, self._left = _Stage.BODY, self._read_header(data)
            case _Stage.BODY if self._header is not None:
                self._stage, self._left = _Stage.PROTECTED, self._header.protected_bytes
            case _Stage.PROTECTED:
                self._protected = self._decode_protected(data)
                self._stage, self._left = _Stage.INFO, INFO_BYTES
            case _Stage.INFO:
                self._records_bytes = decode_info(data, magic=INFO_MAGIC)
                self._check_area(self._records_bytes)
                self._stage, self._left = _Stage.RECORDS, self._records_bytes - INFO_BYTES
            case _:
                self._records = decode_tlvs(data)
                self._stage = _Stage.TRAILING

    def _read_header(self, data: bytes) -> int:
        """The header is there; how much is to be hashed before the records begin."""
        header = ImageHeader.decode(data)
        self._check_area(header.protected_bytes)
        self._sink = self._begin(header)
        self._header = header
        if self._sink is not None:
            self._sink(memoryview(data))
        return header.header_size - HEADER_BYTES + header.body_bytes

    def _decode_protected(self, data: bytes) -> tuple[Tlv, ...]:
        if not data:
            return ()
        if decode_info(data[:INFO_BYTES], magic=PROTECTED_INFO_MAGIC) != len(data):
            raise refusal_error(Refusal.MALFORMED, "header and protected TLV area tell different sizes")
        return decode_tlvs(data[INFO_BYTES:])

    def _check_area(self, size_bytes: int) -> None:
        if size_bytes > self._max_tlv_bytes:
            raise refusal_error(
                Refusal.VERIFIER_MEMORY,
                f"a TLV area of {size_bytes} bytes, at most {self._max_tlv_bytes} (max_tlv_bytes)",
            )


@final
@attrs.frozen(kw_only=True)
class McubootInspection:
    """An image, and what its digests should be.

    Attributes:
        image: what it says of itself.
        digests: those of what the digests cover; of an encrypted image they cannot be told.
    """

    image: McubootImage
    digests: Mapping[Hash, bytes]

    @property
    def digest_holds(self) -> bool:
        """Whether there is one digest record, and it is right."""
        told = self.image.digests
        return len(told) == 1 and self.digests[told[0][0]] == told[0][1]


def inspect_mcuboot(chunks: Iterable[bytes]) -> McubootInspection:
    """Say what is in an image, without trusting it.

    Args:
        chunks: the file, in pieces of any size.

    Raises:
        UnsupportedPackageError: it is not an MCUboot image.
        IntegrityError: it is malformed or truncated.
        PackageError: a TLV area is larger than is held.
    """
    contexts = {kind: kind.new() for kind in Hash}

    def sink(data: memoryview) -> None:
        for context in contexts.values():
            context.update(data)

    reader = McubootReader(begin=lambda _header: sink)
    for chunk in chunks:
        reader.feed(memoryview(chunk))
    return McubootInspection(
        image=reader.finish(), digests={kind: context.digest() for kind, context in contexts.items()}
    )
