"""What every image store checks before it touches its bytes."""

from typing import Final

from lwm2m_fota.errors import StorageError, StorageFullError, UsageError
from lwm2m_fota.storage.base import ImageStore, SealedImage

DEFAULT_CAPACITY_BYTES: Final = 64 * 1024 * 1024


def check_range(offset: int, length: int) -> None:
    """Refuse a negative offset or length.

    Raises:
        UsageError: one of them is negative.
    """
    if offset < 0 or length < 0:
        raise UsageError(f"no bytes are at offset {offset}, length {length}")


def check_open(announced_bytes: int | None, capacity_bytes: int) -> None:
    """Refuse an announced size that cannot fit.

    Raises:
        StorageFullError: it is over the capacity.
        UsageError: it is negative.
    """
    if announced_bytes is None:
        return
    check_range(0, announced_bytes)
    if announced_bytes > capacity_bytes:
        raise StorageFullError(f"an image of {announced_bytes} bytes is over the capacity of {capacity_bytes} bytes")


def check_write(offset: int, length: int, *, staged_bytes: int, capacity_bytes: int, sealed: bool) -> None:
    """Refuse a write to a sealed image, beyond a hole or over the capacity.

    Raises:
        StorageFullError: it ends over the capacity.
        UsageError: the image is sealed, or the write leaves a hole.
    """
    check_range(offset, length)
    if sealed:
        raise UsageError("the image is sealed")
    if offset > staged_bytes:
        raise UsageError(f"a write at {offset} would leave a hole: {staged_bytes} bytes are staged")
    if offset + length > capacity_bytes:
        raise StorageFullError(f"{offset + length} bytes are over the capacity of {capacity_bytes} bytes")


def check_repeated(repeated: bytes, staged: bytes) -> None:
    """Refuse to change what is staged.

    Raises:
        UsageError: the bytes differ.
    """
    if repeated != staged:
        raise UsageError("the write differs from what is staged: truncate first")


def check_truncate(size_bytes: int, *, staged_bytes: int, sealed: bool) -> None:
    """Refuse to shorten a sealed image, or to lengthen any.

    Raises:
        UsageError: the image is sealed, or fewer bytes are staged.
    """
    check_range(0, size_bytes)
    if sealed:
        raise UsageError("the image is sealed")
    if size_bytes > staged_bytes:
        raise UsageError(f"only {staged_bytes} bytes are staged, not {size_bytes}")


def sealed_image(store: ImageStore) -> SealedImage:
    """The image that `store` holds now; it reads as long as the store calls it its sealed one."""

    def read(offset: int, length: int) -> bytes:
        if store.sealed is not image:
            raise StorageError("the stage has dropped this image")
        return store.read_at(offset, length)

    image = SealedImage(store.size_bytes, read)
    return image
