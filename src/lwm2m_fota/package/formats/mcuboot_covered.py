"""What the digests and signatures of an MCUboot image cover: hashed as it arrives, or held where that cannot be."""

import functools
from collections.abc import Set as AbstractSet
from typing import Final, final

from lwm2m_fota.package.crypto import Hash
from lwm2m_fota.package.crypto.content import ContentCipher
from lwm2m_fota.package.digest import FileDigest
from lwm2m_fota.package.formats.mcuboot_read import Sink
from lwm2m_fota.package.formats.mcuboot_tlv import ImageHeader

_PIECE_BYTES: Final = 65536


@final
class CoveredPart:
    """Header, body and protected records of an image.

    It begins where the file begins, so its SHA-256 comes from the digest of the file; other digests are made here, of
    those kinds that are wanted.

    Args:
        header: of the image.
        file_digest: SHA-256 of the file.
        wanted: the digests that may be asked for.
        is_held: whether the whole part is kept in memory: it is encrypted, or a signature may be over the part itself.
    """

    __slots__ = ("_at", "_contexts", "_file_digest", "_header", "_held", "_is_plain")

    def __init__(
        self, header: ImageHeader, file_digest: FileDigest, wanted: AbstractSet[Hash], *, is_held: bool
    ) -> None:
        self._header = header
        self._file_digest = file_digest
        self._is_plain = not header.is_encrypted
        self._held = bytearray(header.hashed_bytes) if is_held else None
        self._at = 0
        kinds = () if is_held else sorted(wanted - {Hash.SHA256}, key=lambda kind: kind.size_bytes)
        self._contexts = {kind: kind.new() for kind in kinds}
        if self._is_plain:
            file_digest.mark(header.hashed_bytes)

    @property
    def sink(self) -> Sink | None:
        """What is to be given the bytes; None if they need not be seen."""
        if self._held is not None:
            return functools.partial(self._hold, self._held)
        return self._hash if self._contexts else None

    def _hold(self, held: bytearray, data: memoryview) -> None:
        end = self._at + len(data)
        held[self._at : end] = data
        self._at = end

    def _hash(self, data: memoryview) -> None:
        for context in self._contexts.values():
            context.update(data)

    @property
    def message(self) -> memoryview | None:
        """The part itself; None if it is not held."""
        return None if self._held is None else memoryview(self._held)

    def decrypt(self, cipher: ContentCipher) -> None:
        """Decrypt the body, in its place."""
        if self._held is None:
            raise AssertionError
        transform = cipher.decryptor()
        start, end = self._header.header_size, self._header.header_size + self._header.body_bytes
        for at in range(start, end, _PIECE_BYTES):
            piece = self._held[at : min(at + _PIECE_BYTES, end)]
            self._held[at : at + len(piece)] = transform.update(piece)

    def digest(self, kind: Hash) -> bytes | None:
        """A digest of the part; None if it was not wanted."""
        if kind is Hash.SHA256 and self._is_plain:
            return self._file_digest.at(self._header.hashed_bytes)
        if self._held is not None:
            context = kind.new()
            context.update(self._held)
            return context.digest()
        return self._contexts[kind].digest() if kind in self._contexts else None
