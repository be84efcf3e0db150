"""The staging area of one package: stored and verified in the same pass, never held whole."""

from collections.abc import Callable
from typing import Final, final

from lwm2m_fota.errors import IntegrityError, PackageError, PackageTooLargeError, UsageError
from lwm2m_fota.package.formats.registry import FormatRegistry, default_formats
from lwm2m_fota.package.rollback import RollbackFloor
from lwm2m_fota.package.trust import TrustPolicy
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
        formats: the formats that are understood; by default those of this library.
        wall_clock: seconds since 1970, or None while the clock is not set.
        floor: what a package must not be older than, beside what the policy says; asked for each package.
    """

    def __init__(
        self,
        images: ImageStore,
        trust: TrustPolicy,
        formats: FormatRegistry | None = None,
        wall_clock: Callable[[], float | None] = lambda: None,
        floor: Callable[[], RollbackFloor] = RollbackFloor,
    ) -> None:
        self._images = images
        self._trust = trust
        self._formats = formats or default_formats()
        self._wall = wall_clock
        self._floor = floor
        self._verifier: PackageVerifier | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes staged so far."""
        return self._images.size_bytes

    @property
    def awaited_uri(self) -> str | None:
        """Where the rest of the package is, where not all of it lies in one place: `PackageVerifier.awaited_uri`."""
        return None if self._verifier is None else self._verifier.awaited_uri

    @property
    def sealed(self) -> SealedImage | None:
        """The complete image, if it is complete."""
        return self._images.sealed

    @property
    def limit_bytes(self) -> int:
        """The largest package that trust policy and store take."""
        return min(self._trust.max_package_bytes, self._images.capacity_bytes)

    def open(self, size_bytes: int | None) -> None:
        """Begin a package; what was there is dropped.

        Args:
            size_bytes: its size, if the peer told it.

        Raises:
            PackageTooLargeError: more than the trust policy allows.
            StorageFullError: there is no room for it.
            StorageError: the store failed.
        """
        if size_bytes is not None:
            self.check_size(size_bytes)
        self._verifier = None
        self._images.open(size_bytes)
        self._verifier = self._new_verifier()

    def check_size(self, size_bytes: int) -> None:
        """Whether a package of this size could be taken; what peers announce is an estimate, so it binds nobody.

        Raises:
            PackageTooLargeError: more than the trust policy or the store allows.
        """
        if size_bytes > self.limit_bytes:
            raise PackageTooLargeError(f"{size_bytes} bytes; at most {self.limit_bytes} are taken")

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

    @property
    def boot_id(self) -> str | None:
        """Names the time in which nothing that was staged gets lost: `ImageStore.boot_id`."""
        return self._images.boot_id

    def checkpoint(self) -> tuple[int, bytes]:
        """Make what is staged durable; its size and SHA-256."""
        if self._verifier is None:
            raise UsageError("nothing was opened")
        self._images.sync()
        return self._verifier.bytes_fed, self._verifier.digest_so_far()

    def resume(self, offset: int, sha256: bytes, boot_id: str | None = None) -> bool:
        """Take up a package after a restart: what is staged up to `offset` must have this digest.

        What was staged behind it is taken up as well, as far as it could be part of a package, if nothing can have got
        lost since. All but its last byte: so the origin is asked for the last block again, and says whether it is the
        last, where asking for more than there is would be refused.

        Args:
            offset: bytes at the checkpoint.
            sha256: of these bytes.
            boot_id: at the checkpoint.

        Returns:
            False if the digest is another one; then the stage is to be opened anew.

        Raises:
            PackageError: what is staged up to `offset` would never be accepted.
            StorageError: the store failed.
        """
        images = self._images
        if images.sealed is not None or images.size_bytes < offset:
            return False
        nothing_lost = boot_id is not None and boot_id == images.boot_id
        images.truncate(max(offset, images.size_bytes - 1) if nothing_lost else offset)
        self._verifier = verifier = self._new_verifier()
        self._feed(verifier, 0, offset)
        if verifier.digest_so_far() != sha256:
            return False
        try:
            self._feed(verifier, offset, images.size_bytes)
        except PackageError:
            self.rewind(offset)
        return True

    def rewind(self, offset: int) -> None:
        """Keep only the first `offset` bytes.

        Raises:
            PackageError: they would never be accepted.
            StorageError: the store failed.
            UsageError: there are fewer, or the image is sealed.
        """
        if self._verifier is not None and self._verifier.bytes_fed == offset == self._images.size_bytes:
            return
        self._images.truncate(offset)
        self._verifier = self._new_verifier()
        self._feed(self._verifier, 0, offset)

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
        verifier = self._new_verifier()
        self._feed(verifier, 0, image.size_bytes)
        return verifier.finish()

    def _new_verifier(self) -> PackageVerifier:
        return PackageVerifier(self._trust.with_floor(self._floor()), now=self._wall(), formats=self._formats)

    def _feed(self, verifier: PackageVerifier, begin: int, end: int) -> None:
        for offset in range(begin, end, _READ_BYTES):
            verifier.feed(self._images.read_at(offset, min(_READ_BYTES, end - offset)))

    def discard(self) -> None:
        """Drop everything."""
        self._verifier = None
        self._images.discard()
