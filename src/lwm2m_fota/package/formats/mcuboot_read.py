"""Reads an MCUboot image as a stream: what is in it and what its digests are. It trusts nothing."""

import hashlib
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Final, final

import attrs

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


@final
@attrs.frozen(kw_only=True)
class McubootImage:
    """What an image says of itself.

    Attributes:
        header: its header.
        protected: the records that the digest covers.
        records: the records behind them.
        sha256: of header, body and protected records.
        sha512: of the same.
        image_bytes: the length of the image, its records included.
        trailing_bytes: the length of what follows it in the file.
        hashed: what the digests are of, if it was short enough to be kept; else None.
    """

    header: ImageHeader
    protected: tuple[Tlv, ...]
    records: tuple[Tlv, ...]
    sha256: bytes
    sha512: bytes
    image_bytes: int
    trailing_bytes: int
    hashed: bytes | None = attrs.field(repr=False)

    def values(self, kind: TlvType) -> tuple[bytes, ...]:
        """The values of the unprotected records of one type."""
        return tuple(record.value for record in self.records if record.type == kind)

    def protected_values(self, kind: TlvType) -> tuple[bytes, ...]:
        """The values of the protected records of one type."""
        return tuple(record.value for record in self.protected if record.type == kind)

    @property
    def digest_holds(self) -> bool:
        """Whether there is one digest record, SHA-256 or SHA-512, and it is right."""
        found = (self.values(TlvType.SHA256), self.values(TlvType.SHA512))
        return found in {((self.sha256,), ()), ((), (self.sha512,))}


class _Stage(Enum):
    HEADER = auto()
    BODY = auto()
    PROTECTED = auto()
    INFO = auto()
    RECORDS = auto()
    TRAILING = auto()


_HASHED: Final = frozenset({_Stage.HEADER, _Stage.BODY, _Stage.PROTECTED})


def _accept(_header: ImageHeader) -> None:
    """No check of the header."""


@final
class McubootReader:
    """Takes an image in pieces of any size.

    Args:
        check_header: called once, as soon as the header is there; what it raises leaves `feed`.
        max_tlv_bytes: the largest TLV area that is held, of each of the two.
        max_kept_bytes: up to this length the hashed part is kept for `McubootImage.hashed`.
        max_trailing_bytes: how much may follow the image; None for any length.
    """

    __slots__ = (
        "_buffer", "_check_header", "_header", "_kept", "_left", "_max_kept_bytes", "_max_tlv_bytes",
        "_max_trailing_bytes", "_protected", "_records", "_records_bytes", "_sha256", "_sha512", "_stage",
        "_trailing_bytes",
    )  # fmt: skip

    def __init__(
        self,
        *,
        check_header: Callable[[ImageHeader], None] = _accept,
        max_tlv_bytes: int = DEFAULT_MAX_TLV_BYTES,
        max_kept_bytes: int = 0,
        max_trailing_bytes: int | None = None,
    ) -> None:
        self._check_header = check_header
        self._max_tlv_bytes = max_tlv_bytes
        self._max_kept_bytes = max_kept_bytes
        self._max_trailing_bytes = max_trailing_bytes
        self._sha256 = hashlib.sha256()
        self._sha512 = hashlib.sha512()
        self._stage = _Stage.HEADER
        self._left = HEADER_BYTES  # until the present stage ends
        self._buffer = bytearray()  # of the present stage, but never of the body
        self._kept: bytearray | None = bytearray()
        self._header: ImageHeader | None = None
        self._protected: tuple[Tlv, ...] = ()
        self._records: tuple[Tlv, ...] = ()
        self._records_bytes = 0
        self._trailing_bytes = 0

    def feed(self, data: memoryview) -> None:
        """Take the next bytes.

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
        self._trailing_bytes += len(data)
        if self._max_trailing_bytes is not None and self._trailing_bytes > self._max_trailing_bytes:
            raise refusal_error(
                Refusal.MALFORMED, f"more than {self._max_trailing_bytes} bytes (max_trailing_bytes) follow the image"
            )

    def finish(self) -> McubootImage:
        """The file ends here.

        Raises:
            IntegrityError: it is truncated.
        """
        if self._stage is not _Stage.TRAILING or self._header is None:
            raise refusal_error(Refusal.TRUNCATED, f"the image ends {self._left} bytes too early or more")
        return McubootImage(
            header=self._header,
            protected=self._protected,
            records=self._records,
            sha256=self._sha256.digest(),
            sha512=self._sha512.digest(),
            image_bytes=self._header.hashed_bytes + self._records_bytes,
            trailing_bytes=self._trailing_bytes,
            hashed=None if self._kept is None else bytes(self._kept),
        )

    def _absorb(self, part: memoryview) -> None:
        if self._stage in _HASHED:
            self._sha256.update(part)
            self._sha512.update(part)
            if self._kept is not None:
                self._kept += part
        if self._stage is not _Stage.BODY:
            self._buffer += part

    def _advance(self) -> None:
        """The present stage is complete."""
        data = bytes(self._buffer)
        self._buffer.clear()
        match self._stage:
            case _Stage.HEADER:
                self._stage, self._left = _Stage.BODY, self._begin(ImageHeader.decode(data))
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

    def _begin(self, header: ImageHeader) -> int:
        """The header is there; how much is to be hashed before the records begin."""
        self._check_header(header)
        self._check_area(header.protected_bytes)
        self._header = header
        if header.hashed_bytes > self._max_kept_bytes:
            self._kept = None
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


def inspect_mcuboot(chunks: Iterable[bytes]) -> McubootImage:
    """Say what is in an image, without trusting it.

    Args:
        chunks: the file, in pieces of any size.

    Raises:
        UnsupportedPackageError: it is not an MCUboot image.
        IntegrityError: it is malformed or truncated.
        PackageError: a TLV area is larger than is held.
    """
    reader = McubootReader()
    for chunk in chunks:
        reader.feed(memoryview(chunk))
    return reader.finish()
