"""The credentials of a server's devices in one file that only its owner can read."""

import json
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import CertificateEntry, Entry, MemoryCredentialStore, PskEntry, RevokedEntry
from lwm2m_fota.credentials.values import CredentialKind, PreSharedKey
from lwm2m_fota.errors import FotaError, StorageError, UsageError
from lwm2m_fota.storage._file import OpenFile, Translated, remove_file, replace_file, temporary
from lwm2m_fota.storage.files import AnyPath

MAX_FILE_BYTES: Final = 64 << 20
_FORMAT: Final = 1
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def read_private(path: AnyPath, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """The content of a file that nobody but its owner may read.

    Raises:
        StorageError: it is not there or too long, or the group or others have any right to it.
    """
    file = OpenFile(Path(path), writable=False)
    try:
        status = file.stat()
        if status.st_mode & _OTHERS:
            raise StorageError(f"{path} holds secrets, and others have rights to it: chmod 600 {path}")
        if status.st_size > max_bytes:
            raise StorageError(f"{path} has {status.st_size} bytes, at most {max_bytes} are read")
        return file.read(0, status.st_size)
    finally:
        file.close()


def file_credential_store(path: AnyPath) -> MemoryCredentialStore:
    """A `CredentialStore` in one file, replaced as a whole with every change; JSON, with the keys in hexadecimal.

    A change counts once it is durable: if it cannot be saved, StorageError is raised and nothing has changed.

    Args:
        path: the file; it is made with the first entry. `path.tmp` is its successor while it is written.

    Raises:
        StorageError: it cannot be read, is damaged, or others than its owner have rights to it.
    """
    file = Path(path)
    remove_file(temporary(file))
    with Translated("look at", file):
        there = file.exists()
    data = read_private(file) if there else None
    # None of the causes is shown: their messages may hold what the file holds.
    try:
        return MemoryCredentialStore(
            () if data is None else _decoded(data), save=lambda entries: replace_file(file, _encoded(entries))
        )
    except (ValueError, RecursionError, FotaError):
        pass
    raise StorageError(f"{path} is damaged: it is no credential file of this version")


def _encoded(entries: Iterable[Entry]) -> bytes:
    return json.dumps({"format": _FORMAT, "entries": [_plain(entry) for entry in entries]}, indent=1).encode()


def _plain(entry: Entry) -> dict[str, Any]:
    plain: dict[str, Any] = {"kind": entry.kind.value, "name": entry.name, "endpoints": list(entry.endpoints)}
    match entry:
        case PskEntry():
            plain["key"] = entry.credential.key.reveal().hex()
        case RevokedEntry():
            plain["revoked"] = True
        case CertificateEntry():
            pass
    return plain


def _decoded(data: bytes) -> list[Entry]:
    match json.loads(data):
        case {"format": 1, "entries": [*entries]}:
            return [_entry(each) for each in entries]
        case _:
            raise UsageError("not a credential file")


def _entry(plain: object) -> Entry:
    match plain:
        case {"kind": str(word), "name": str(name), "endpoints": [*given], **rest}:
            kind, endpoints = CredentialKind(word), tuple(each for each in given if isinstance(each, str))
            if len(endpoints) == len(given):
                return _known_entry(kind, name, endpoints, rest)
        case _:
            pass
    raise UsageError("not an entry")


def _known_entry(kind: CredentialKind, name: str, endpoints: tuple[str, ...], rest: dict[object, object]) -> Entry:
    match rest:
        case {"revoked": True}:
            return RevokedEntry(kind, name, endpoints)
        case {"key": str(key)} if kind is CredentialKind.PSK:
            return PskEntry(PreSharedKey(name, Secret(bytes.fromhex(key))), endpoints)
        case _ if kind is CredentialKind.CERTIFICATE:
            return CertificateEntry(name, endpoints)
        case _:
            raise UsageError("not an entry")
