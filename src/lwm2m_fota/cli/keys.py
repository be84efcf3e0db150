"""Keys in files, PEM or COSE_Key, and `lwm2m-fota package keys`."""

import os
import secrets
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Final

import attrs

from lwm2m_fota.cli.facts import Facts, why
from lwm2m_fota.errors import StorageError, UsageError
from lwm2m_fota.package.cose.key import CoseKey, read_keys
from lwm2m_fota.package.crypto import KeyType, PrivateKey, PublicKey, SecretKey
from lwm2m_fota.package.crypto.keys import SEED_BYTES
from lwm2m_fota.package.keyring import DEFAULT_AUTHORITY, DecryptionKey, TrustedKey, show_id

PRIVATE_MODE: Final = 0o600
PUBLIC_MODE: Final = 0o644
SECRET_BYTES: Final = 32

_MAX_KEY_BYTES: Final = 1 << 16
_PEM: Final = b"-----BEGIN"


def key_file(path: FilePath) -> bytes:
    """What is in a file that should hold keys.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise UsageError(f"cannot read the key {path}: {why(error)}") from error


def keys_of(path: FilePath) -> tuple[CoseKey, ...]:
    """The keys of a file: one in PEM, or one or more as COSE_Key.

    Raises:
        UsageError: it cannot be read, or holds none that is supported.
    """
    data = key_file(path)
    try:
        if b"PRIVATE KEY" in data:
            return (CoseKey(key=PrivateKey.from_pem(data)),)
        return _public_keys(data)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _public_keys(data: bytes) -> tuple[CoseKey, ...]:
    """The keys of a file that is no private key in PEM."""
    if _PEM in data:
        return (CoseKey(key=PublicKey.from_pem(data)),)
    try:
        return read_keys(data)
    except UsageError as error:
        raise UsageError(f"no key in PEM, and {error}") from error


def new_private_key(kind: KeyType) -> PrivateKey:
    """A fresh key of a type that is made from a seed."""
    while True:
        try:
            return PrivateKey.from_seed(kind, secrets.token_bytes(SEED_BYTES[kind]))
        except UsageError:  # of 2**32 seeds about one is no private number
            continue


def new_key() -> PrivateKey:
    """A fresh Ed25519 key."""
    return new_private_key(KeyType.ED25519)


def signing_key(path: FilePath) -> PrivateKey:
    """The private key of a file.

    Raises:
        UsageError: it cannot be read, or holds no private key that is supported, or several.
    """
    item = one_key(path)
    if not isinstance(item.key, PrivateKey):
        raise UsageError(f"{path}: this key has no private part; it does not sign")
    return item.key


def one_key(path: FilePath, key_id: str | None = None) -> CoseKey:
    """The only key of a file, under an id if one is given.

    Raises:
        UsageError: it cannot be read, or holds none that is supported, or several.
    """
    item, *more = keys_of(path)
    if more:
        raise UsageError(f"{path} holds {1 + len(more)} keys; one is used at a time")
    return item if key_id is None else attrs.evolve(item, key_id=key_id.encode())


def trusted_keys(paths: Sequence[FilePath], *, is_authority_each: bool = False) -> tuple[TrustedKey, ...]:
    """The keys of files whose signatures count.

    Args:
        paths: the files: public keys in PEM, or public keys and secrets as COSE_Key.
        is_authority_each: whether each file is an authority of its own, by its path; else all are one.

    Raises:
        UsageError: a file cannot be read, or holds a private key, or none that verifies.
    """
    found: list[TrustedKey] = []
    for path in paths:
        authority = str(path) if is_authority_each else DEFAULT_AUTHORITY
        data = key_file(path)
        try:
            found += _trusted(data, authority)
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from error
    return tuple(found)


def _trusted(data: bytes, authority: str) -> list[TrustedKey]:
    keys = _public_keys(data)
    if any(isinstance(each.key, PrivateKey) for each in keys):
        raise UsageError("this is a private key, a verifier needs the public one")
    return [each.trusted(authority=authority) for each in keys]


def decryption_keys(paths: Sequence[FilePath]) -> tuple[DecryptionKey, ...]:
    """The keys of files that open what is encrypted.

    Raises:
        UsageError: a file cannot be read, or holds none that decrypts.
    """
    return tuple(_decrypting(path, each) for path in paths for each in keys_of(path))


def _decrypting(path: FilePath, key: CoseKey) -> DecryptionKey:
    try:
        return key.decryption()
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def public_path(path: FilePath) -> FilePath:
    """Where the public part of a new key goes."""
    return path.with_suffix(f".public{'.cbor' if path.suffix == '.cbor' else '.pem'}")


def write_key(key: PrivateKey, path: FilePath, *, key_id: bytes | None = None) -> FilePath:
    """Write a private key that only its owner can read, and its public part beside it.

    The name says how: `.cbor` is a COSE_Key, anything else PEM, which has no place for an id.

    Returns:
        The path of the public part.

    Raises:
        UsageError: there is a file already, and nothing is written; or PEM is to hold an id.
        StorageError: it cannot be written.
    """
    public = public_path(path)
    if public.exists():
        raise UsageError(f"{public} is there already")
    item = CoseKey(key=key, key_id=key_id)
    write_new(path, encoded(item, path, is_private=True), PRIVATE_MODE)
    write_new(public, encoded(item, public, is_private=False), PUBLIC_MODE)
    return public


def encoded(item: CoseKey, path: FilePath, *, is_private: bool) -> bytes:
    """A key as the name of a file says: `.cbor` is a COSE_Key, anything else PEM.

    Raises:
        UsageError: PEM holds neither secrets nor ids, or the private part is asked for and not there.
    """
    if is_private and isinstance(item.key, PublicKey):
        raise UsageError("this is a public key; it has no private part")
    if path.suffix == ".cbor":
        return item.encode(private=is_private)
    if isinstance(item.key, SecretKey):
        raise UsageError(f"a secret is written as COSE_Key: give {path.name} the ending .cbor")
    if item.key_id is not None:
        raise UsageError(f"PEM has no place for an id: give {path.name} the ending .cbor")
    key = item.key.public_key if isinstance(item.key, PrivateKey) and not is_private else item.key
    return key.to_pem()


def write_new(path: FilePath, data: bytes, mode: int) -> None:
    """Write a file that must not be there.

    Raises:
        UsageError: it is.
        StorageError: it cannot be written.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
    except FileExistsError as error:
        raise UsageError(f"{path} is there already") from error
    except OSError as error:
        raise StorageError(f"cannot write {path}: {why(error)}") from error


# The commands.


def create_key(path: FilePath, kind: KeyType, key_id: str | None) -> Facts:
    """`package keys new`.

    Raises:
        FotaError: the file is there, cannot be written, or cannot hold such a key.
    """
    name = None if key_id is None else key_id.encode()
    if kind is not KeyType.SECRET:
        key = new_private_key(kind)
        public = write_key(key, path, key_id=name)
        return {"key": str(path), "public": str(public), **described(CoseKey(key=key, key_id=name))}
    if name is None:
        raise UsageError("a secret needs an id: --kid")
    item = CoseKey(key=SecretKey(secrets.token_bytes(SECRET_BYTES)), key_id=name)
    write_new(path, encoded(item, path, is_private=True), PRIVATE_MODE)
    return {"key": str(path), **described(item)}


def show_keys(path: FilePath) -> Facts:
    """`package keys show`.

    Raises:
        FotaError: the file cannot be read, or holds no key.
    """
    return {"file": str(path), "keys": [described(each) for each in keys_of(path)]}


def convert_key(source: FilePath, target: FilePath, key_id: str | None, *, is_public: bool) -> Facts:
    """`package keys convert`.

    Raises:
        FotaError: a file cannot be read or written, or cannot hold such a key.
    """
    item = one_key(source, key_id)
    if key_id is None and target.suffix != ".cbor":
        item = attrs.evolve(item, key_id=None)
    is_private = not is_public and not isinstance(item.key, PublicKey)
    write_new(target, encoded(item, target, is_private=is_private), PRIVATE_MODE if is_private else PUBLIC_MODE)
    shown = attrs.evolve(item, key=item.key.public_key) if is_public and isinstance(item.key, PrivateKey) else item
    return {"key": str(target), **described(shown)}


def described(item: CoseKey) -> Facts:
    """What a key is; never the secret part."""
    key = item.key
    public = key.public_key if isinstance(key, PrivateKey) else key
    return {
        "type": key.type.value,
        "part": "secret" if isinstance(key, SecretKey) else "private" if isinstance(key, PrivateKey) else "public",
        "kid": None if item.key_id is None else show_id(item.key_id),
        "key_hash": public.key_hash.hex() if isinstance(public, PublicKey) else None,
    }


def key_line(facts: Facts) -> str:
    """A key, for people."""
    kid = "" if facts["kid"] is None else f", id {facts['kid']}"
    named = "" if facts["key_hash"] is None else f", hash {facts['key_hash']}"
    return f"{facts['type']}, {facts['part']} part{kid}{named}".replace("secret, secret part", "secret")


def keys_lines(facts: Facts) -> str:
    """The keys of a file, for people."""
    found = facts["keys"]
    return "\n".join(f"{facts['file']}: {key_line(each)}" for each in found) if isinstance(found, list) else ""


def written_line(facts: Facts) -> str:
    """What was written, for people."""
    public = f"; its public part is in {facts['public']}" if "public" in facts else ""
    return f"{facts['key']}: {key_line(facts)}{public}"
