"""`lwm2m-fota package`: make, show and verify packages in files."""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path as FilePath
from typing import Final

from lwm2m_fota.errors import PackageError, StorageError, UsageError
from lwm2m_fota.package.crypto import Hash, KeyType, PrivateKey, PublicKey
from lwm2m_fota.package.formats.mcuboot_make import ImageOptions, mcuboot_parts
from lwm2m_fota.package.formats.mcuboot_read import McubootImage, inspect_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageDependency, ImageVersion, TlvType
from lwm2m_fota.package.formats.registry import default_formats
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.package.verifier import PackageVerifier
from lwm2m_fota.storage.base import PackageSource

_CHUNK_BYTES: Final = 1 << 18
_MAX_KEY_BYTES: Final = 1 << 16
_PRIVATE_MODE: Final = 0o600
_MAX_IMAGE: Final = 255

Facts = dict[str, object]
"""What a command found, by name: one JSON object, or words for people."""


def _why(error: OSError) -> str:
    return error.strerror or str(error)


def chunks(path: FilePath) -> Iterator[bytes]:
    """A file in pieces.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            while piece := stream.read(_CHUNK_BYTES):
                yield piece
    except OSError as error:
        raise StorageError(f"cannot read {path}: {_why(error)}") from error


def _key_file(path: FilePath) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise UsageError(f"cannot read the key {path}: {_why(error)}") from error


def new_key() -> PrivateKey:
    """A fresh Ed25519 key."""
    return PrivateKey.from_seed(KeyType.ED25519, secrets.token_bytes(32))


def read_key(path: FilePath) -> PrivateKey:
    """The signing key of a PEM file.

    Raises:
        UsageError: it cannot be read, or holds no private key that is supported.
    """
    data = _key_file(path)
    try:
        return PrivateKey.from_pem(data)
    except UsageError as error:
        hint = "; it is a public key" if b"PUBLIC KEY" in data else ""
        raise UsageError(f"{path}: {error}{hint}") from error


def read_trust(paths: Sequence[FilePath], *, max_package_bytes: int = 1 << 30) -> TrustPolicy:
    """Trust in the keys of PEM files; without one, in nothing.

    Raises:
        UsageError: a file cannot be read, or holds no public key that is supported.
    """
    keys = []
    for path in paths:
        data = _key_file(path)
        try:
            keys.append(PublicKey.from_pem(data))
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from error
    return TrustPolicy(keys=tuple(keys), max_package_bytes=max_package_bytes)


def public_path(path: FilePath) -> FilePath:
    """Where the public part of a new key goes."""
    return path.with_suffix(".public.pem")


def write_key(key: PrivateKey, path: FilePath) -> FilePath:
    """Write a private key that only its owner can read, and its public part beside it.

    Returns:
        The path of the public part.

    Raises:
        UsageError: there is a file already; nothing is written then.
        StorageError: it cannot be written.
    """
    public = public_path(path)
    if public.exists():
        raise UsageError(f"{public} is there already")
    _write_new(path, key.to_pem(), _PRIVATE_MODE)
    _write_new(public, key.public_key.to_pem(), 0o644)
    return public


def _write_new(path: FilePath, data: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
    except FileExistsError as error:
        raise UsageError(f"{path} is there already") from error
    except OSError as error:
        raise StorageError(f"cannot write {path}: {_why(error)}") from error


def make(
    firmware: FilePath,
    package: FilePath,
    version: str,
    key: PrivateKey | None,
    dependencies: tuple[ImageDependency, ...] = (),
) -> int:
    """Make an MCUboot image of a firmware file, without holding it; the size in bytes.

    The package appears whole or not at all; one that was there is replaced.

    Raises:
        UsageError: the firmware is empty, or the version cannot be read.
        StorageError: a file cannot be read or written.
    """
    try:
        size = firmware.stat().st_size
    except OSError as error:
        raise StorageError(f"cannot read {firmware}: {_why(error)}") from error
    if size == 0:
        raise UsageError(f"{firmware} is empty: that is no firmware")
    parts = mcuboot_parts(
        chunks(firmware),
        body_bytes=size,
        version=ImageVersion.parse(version),
        key=key,
        options=ImageOptions(dependencies=dependencies),
    )
    unfinished = package.with_name(f"{package.name}.tmp")
    try:
        with unfinished.open("wb") as stream:
            written = sum(stream.write(part) for part in parts)
        unfinished.replace(package)
    except OSError as error:
        raise StorageError(f"cannot write {package}: {_why(error)}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return written


def dependency(text: str) -> ImageDependency:
    """Read `IMAGE=VERSION`: another image by its number, and the lowest version that will do.

    Raises:
        UsageError: it is written otherwise, or a number is out of range.
    """
    image, _, version = text.partition("=")
    if not (image.isascii() and image.isdecimal() and int(image) <= _MAX_IMAGE):
        raise UsageError(f"{text!r} is not IMAGE=VERSION, with the number of an image, 0 to {_MAX_IMAGE}")
    return ImageDependency(int(image), ImageVersion.parse(version))


def create(
    firmware: FilePath,
    package: FilePath,
    version: str,
    key: FilePath | None,
    *,
    fresh: bool,
    depends: Sequence[str] = (),
) -> Facts:
    """`package create`.

    Raises:
        FotaError: the key, the version or the firmware is not what it should be, or a file cannot be written.
    """
    ImageVersion.parse(version)  # before a key is written for it
    dependencies = tuple(map(dependency, depends))
    signer: PrivateKey | None = None
    public: FilePath | None = None
    if fresh:
        if key is None:
            raise UsageError("--new-key needs --key, where to put it")
        signer = new_key()
        public = write_key(signer, key)
    elif key is not None:
        signer = read_key(key)
    size = make(firmware, package, version, signer, dependencies)
    return {
        "package": str(package),
        "bytes": size,
        "version": version,
        "signed_by": None if signer is None else signer.public_key.key_hash.hex(),
        "public_key": None if public is None else str(public),
    }


def created_line(facts: Facts) -> str:
    """What was made, for people."""
    signer = facts["signed_by"]
    signed = "not signed" if signer is None else f"signed by key {str(signer)[:16]}"
    trusted = "" if facts["public_key"] is None else f"; devices trust {facts['public_key']}"
    return f"{facts['package']}: {facts['bytes']} bytes, version {facts['version']}, {signed}{trusted}"


def verify(package: FilePath, trusted: Sequence[FilePath]) -> Facts:
    """`package verify`.

    Raises:
        FotaError: why it would be refused, or what cannot be read.
    """
    verifier = PackageVerifier(read_trust(trusted))
    for piece in chunks(package):
        verifier.feed(piece)
    found = verifier.finish()
    return {
        "package": str(package),
        "format": found.format,
        "version": found.version,
        "bytes": found.size_bytes,
        "sha256": found.sha256.hex(),
        "signed_by": found.signers[0].key.name.hex() if found.signers else None,
    }


def verified_line(facts: Facts) -> str:
    """What was verified, for people."""
    signer = str(facts["signed_by"])[:16]
    return (
        f"{facts['package']}: good; {facts['format']}, version {facts['version']}, {facts['bytes']} bytes, "
        f"signed by key {signer}"
    )


def inspect(package: FilePath) -> Facts:
    """`package inspect`: what it says of itself.

    Raises:
        FotaError: it is no MCUboot image, or cannot be read.
    """
    found = inspect_mcuboot(chunks(package))
    image = found.image
    return {
        "format": "mcuboot",
        "version": str(image.header.version),
        "header_bytes": image.header.header_size,
        "body_bytes": image.header.body_bytes,
        "image_bytes": image.image_bytes,
        "trailing_bytes": image.trailing_bytes,
        "sha256": found.digests[Hash.SHA256].hex(),
        "digest_holds": found.digest_holds,
        "key_hashes": [value.hex() for value in image.values(TlvType.KEYHASH)],
        "records": list(_records(image)),
    }


def _records(image: McubootImage) -> Iterator[Facts]:
    for protected, group in ((True, image.protected), (False, image.records)):
        for record in group:
            yield {"type": f"0x{record.type:02x}", "bytes": len(record.value), "protected": protected}


def inspected_lines(facts: Facts) -> str:
    """What a package says of itself, for people."""
    lines = [f"{name.replace('_', ' '):>14}  {_plain(value)}" for name, value in facts.items() if name != "records"]
    records = facts["records"]
    if isinstance(records, list):
        lines += [f"{'record':>14}  {_record_words(record)}" for record in records]
    return "\n".join(lines)


def _record_words(record: Facts) -> str:
    protected = ", protected" if record["protected"] else ""
    return f"type {record['type']}, {record['bytes']} bytes{protected}"


def _plain(value: object) -> str:
    match value:
        case True:
            return "yes"
        case False:
            return "no"
        case list():
            return " ".join(map(str, value)) or "none"
        case _:
            return str(value)


def format_of(source: PackageSource) -> str | None:
    """The name of a package's format by its first bytes; None if it is not known here."""
    formats = default_formats()
    prefix = source.read_at(0, formats.prefix_bytes)
    try:
        known = formats.recognise(prefix, complete=len(prefix) < formats.prefix_bytes)
    except PackageError:
        return None
    return None if known is None or known.name == "plain" else known.name
