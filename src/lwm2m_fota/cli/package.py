"""`lwm2m-fota package`: make, show and verify packages in files."""

import json
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path as FilePath
from typing import Final

from lwm2m_fota.errors import PackageError, UsageError
from lwm2m_fota.package.crypto import KeyAlgorithm, PrivateKey, PublicKey
from lwm2m_fota.package.formats.mcuboot_make import mcuboot_parts
from lwm2m_fota.package.formats.mcuboot_read import McubootImage, inspect_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageVersion, TlvType
from lwm2m_fota.package.formats.registry import default_formats
from lwm2m_fota.package.trust import Trust
from lwm2m_fota.package.verifier import PackageVerifier
from lwm2m_fota.storage.base import PackageSource

_CHUNK_BYTES: Final = 1 << 18
_PRIVATE_MODE: Final = 0o600


def chunks(path: FilePath) -> Iterator[bytes]:
    """A file in pieces."""
    with path.open("rb") as stream:
        while piece := stream.read(_CHUNK_BYTES):
            yield piece


def new_key() -> PrivateKey:
    """A fresh Ed25519 key."""
    return PrivateKey.from_seed(KeyAlgorithm.ED25519, secrets.token_bytes(32))


def write_key(key: PrivateKey, path: FilePath) -> FilePath:
    """Write a private key that only its owner can read, and its public part beside it.

    Returns:
        The path of the public part.

    Raises:
        UsageError: there is a file already.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_MODE)
    except FileExistsError as error:
        raise UsageError(f"{path} is there already") from error
    with os.fdopen(handle, "wb") as stream:
        stream.write(key.to_pem())
    public = path.with_suffix(".public.pem")
    public.write_bytes(key.public_key.to_pem())
    return public


def make(firmware: FilePath, package: FilePath, version: str, key: PrivateKey | None) -> int:
    """Make an MCUboot image of a firmware file, without holding it; the size in bytes.

    Raises:
        UsageError: the firmware is empty, or the version cannot be read.
    """
    size = firmware.stat().st_size
    if size == 0:
        raise UsageError(f"{firmware} is empty")
    parts = mcuboot_parts(chunks(firmware), body_bytes=size, version=ImageVersion.parse(version), key=key)
    with package.open("wb") as stream:
        return sum(stream.write(part) for part in parts)


def read_trust(paths: Sequence[FilePath], *, max_package_bytes: int = 1 << 30) -> Trust:
    """Trust in the keys of PEM files; without one, in nothing.

    Raises:
        FotaError: a file holds no public key.
    """
    if not paths:
        # the digest of nothing that exists: every package is refused
        return Trust.of_digest(bytes(32), max_package_bytes=max_package_bytes)
    keys = tuple(PublicKey.from_pem(path.read_bytes()) for path in paths)
    return Trust(keys=keys, max_package_bytes=max_package_bytes)


def create(firmware: FilePath, package: FilePath, version: str, key: FilePath | None, *, fresh: bool) -> str:
    """`package create`: one line that says what was made.

    Raises:
        FotaError: the key, the version or the firmware is not what it should be.
    """
    if fresh:
        if key is None:
            raise UsageError("--new-key needs --key, where to put it")
        signer: PrivateKey | None = new_key()
        public = write_key(signer, key) if signer is not None else None
    else:
        signer = None if key is None else PrivateKey.from_pem(key.read_bytes())
        public = None
    size = make(firmware, package, version, signer)
    signed = "not signed" if signer is None else f"signed by key {signer.public_key.key_hash.hex()[:16]}"
    trusted = "" if public is None else f"; devices trust {public}"
    return f"{package}: {size} bytes, version {version}, {signed}{trusted}"


def verify(package: FilePath, trusted: Sequence[FilePath]) -> str:
    """`package verify`: one line that says what was found.

    Raises:
        PackageError: why it would be refused.
    """
    verifier = PackageVerifier(read_trust(trusted))
    for piece in chunks(package):
        verifier.feed(piece)
    found = verifier.finish()
    signer = "nobody" if found.signed_by is None else found.signed_by.hex()[:16]
    return f"{package}: {found.format}, version {found.version}, {found.size_bytes} bytes, signed by {signer}"


def inspect(package: FilePath, *, as_json: bool) -> str:
    """`package inspect`: what it says of itself.

    Raises:
        PackageError: it is no MCUboot image.
    """
    image = inspect_mcuboot(chunks(package))
    shown = _shown(image)
    if as_json:
        return json.dumps(shown)
    return "\n".join(f"{key:>16}  {value}" for key, value in shown.items())


def _shown(image: McubootImage) -> dict[str, object]:
    records = {True: image.protected, False: image.records}
    return {
        "format": "mcuboot",
        "version": str(image.header.version),
        "header_bytes": image.header.header_size,
        "body_bytes": image.header.body_bytes,
        "image_bytes": image.image_bytes,
        "trailing_bytes": image.trailing_bytes,
        "sha256": image.sha256.hex(),
        "digest_holds": image.digest_holds,
        "key_hashes": [value.hex() for value in image.values(TlvType.KEYHASH)],
        "records": [
            {"type": f"0x{record.type:02x}", "bytes": len(record.value), "protected": protected}
            for protected, group in records.items()
            for record in group
        ],
    }


def format_of(source: PackageSource) -> str | None:
    """The name of a package's format by its first bytes; None if it is not known here."""
    formats = default_formats()
    prefix = source.read_at(0, formats.prefix_bytes)
    try:
        known = formats.recognise(prefix, complete=len(prefix) < formats.prefix_bytes)
    except PackageError:
        return None
    return None if known is None or known.name == "plain" else known.name
