"""The staging area of one package: stored and verified in the same pass, never held whole."""

from typing import Final, final

from lwm2m_fota.errors import IntegrityError, UsageError
from lwm2m_fota.package.trust import Trust
from lwm2m_fota.package.types import VerifiedPackage
from lwm2m_fota.package.verifier import PackageVerifier
from lwm2m_fota.storage.base import ImageStore, SealedImage

_READ_BYTES: Final = 65536


@final
class Staging:
    """Takes a package block by block.

    Args:
        images: where the bytes go.
        trust: what the package must show.
    """

    def __init__(self, images: ImageStore, trust: Trust) -> None:
        self._images = images
        self._trust = trust
        self._verifier: PackageVerifier | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes staged so far."""
        return self._images.size_bytes

    @property
    def sealed(self) -> SealedImage | None:
        """The complete image, if it is complete."""
        return self._images.sealed

    def open(self, size_bytes: int | None) -> None:
        """Begin a package; what was there is dropped.

        Args:
            size_bytes: its size, if the peer told it.

        Raises:
            PackageTooLargeError: more than the trust policy allows.
            StorageFullError: there is no room for it.
            StorageError: the store failed.
        """
        self._verifier = self._new_verifier(size_bytes)
        self._images.open(size_bytes)

    def _new_verifier(self, size_bytes: int | None) -> PackageVerifier:
        return PackageVerifier(self._trust, expected_size_bytes=size_bytes)

    def add(self, offset: int, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            PackageError: they cannot belong to a package that will be accepted.
            StorageFullError, StorageError: they cannot be stored.
            UsageError: nothing was opened, or there is a gap.
        """
        if self._verifier is None or offset != self._verifier.bytes_fed:
            raise UsageError("bytes of a package come in order")
        self._verifier.feed(data)
        self._images.write_at(offset, data)

    def checkpoint(self) -> tuple[int, bytes]:
        """Make what is staged durable; its size and SHA-256."""
        if self._verifier is None:
            raise UsageError("nothing was opened")
        self._images.sync()
        return self._verifier.bytes_fed, self._verifier.digest_so_far()

    def resume(self, offset: int, sha256: bytes) -> bool:
        """Take up a package after a restart: what is staged up to `offset` must have this digest.

        Returns:
            False if it does not; then the stage is to be opened anew.

        Raises:
            PackageError: what is staged would never be accepted.
            StorageError: the store failed.
        """
        if self._images.sealed is not None or self._images.size_bytes < offset:
            return False
        self._images.truncate(offset)
        verifier = self._new_verifier(None)
        self._feed(verifier, offset)
        if verifier.digest_so_far() != sha256:
            return False
        self._verifier = verifier
        return True

    def finish(self) -> VerifiedPackage:
        """The last byte is there: seal the stage and say what it is.

        Raises:
            PackageError: it must not be installed.
            StorageError: the store failed.
        """
        if self._verifier is None:
            raise UsageError("nothing was opened")
        verifier, self._verifier = self._verifier, None
        package = verifier.finish()
        self._images.seal()
        return package

    def verify_again(self) -> VerifiedPackage:
        """After a restart: hash the sealed image anew. There is no other way back to a verified package.

        Raises:
            PackageError: it must not be installed.
            StorageError: the store failed.
        """
        image = self._images.sealed
        if image is None:
            raise IntegrityError("there is no sealed image")
        verifier = self._new_verifier(None)
        self._feed(verifier, image.size_bytes)
        return verifier.finish()

    def _feed(self, verifier: PackageVerifier, size_bytes: int) -> None:
        for offset in range(0, size_bytes, _READ_BYTES):
            verifier.feed(self._images.read_at(offset, min(_READ_BYTES, size_bytes - offset)))

    def discard(self) -> None:
        """Drop everything."""
        self._verifier = None
        self._images.discard()
