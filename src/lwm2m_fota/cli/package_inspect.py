"""`lwm2m-fota package inspect`: what a package says of itself, without any trust."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Final

from lwm2m_fota.cli.facts import Facts, chunks, tree, whole
from lwm2m_fota.cli.package_suit import suit_facts
from lwm2m_fota.errors import PackageError
from lwm2m_fota.package.cose.message import (
    CoseEncrypt,
    CoseEncrypt0,
    CoseMac,
    CoseMac0,
    CoseMessage,
    CoseSign,
    CoseSign1,
    Headers,
    read_message,
)
from lwm2m_fota.package.cose.names import Label, alg_name
from lwm2m_fota.package.cose.rules import CoseRules
from lwm2m_fota.package.crypto import Hash
from lwm2m_fota.package.formats.mcuboot_read import inspect_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageDependency, ImageHeader, Tlv, TlvType, decode_counter
from lwm2m_fota.package.formats.registry import default_formats
from lwm2m_fota.package.keyring import show_id

_SHOWN_BYTES: Final = 32
_FLAGS: Final = MappingProxyType(
    {
        0x1: "position independent",
        0x4: "encrypted with AES-128",
        0x8: "encrypted with AES-256",
        0x10: "not bootable",
        0x20: "loaded to RAM",
        0x100: "for a fixed address",
        0x200: "compressed with LZMA1",
        0x400: "compressed with LZMA2",
        0x800: "ARM Thumb filter",
    }
)
_HASHED: Final = frozenset({TlvType.SHA256, TlvType.SHA384, TlvType.SHA512, TlvType.KEYHASH})
_IDS: Final = frozenset({TlvType.UUID_VID, TlvType.UUID_CID})


def inspect(package: FilePath) -> Facts:
    """`package inspect`.

    Raises:
        FotaError: it is broken, or cannot be read.
    """
    prefix = next(chunks(package), b"")[: default_formats().prefix_bytes]
    return INSPECTORS[_format(prefix)](package)


def _format(prefix: bytes) -> str:
    known = default_formats().recognise(prefix, complete=True)
    return "plain" if known is None else known.name


def inspected_lines(facts: Facts) -> str:
    """What a package says of itself, for people."""
    return tree(str(facts["package"]), {name: value for name, value in facts.items() if name != "package"})


# MCUboot.


def _mcuboot(package: FilePath) -> Facts:
    found = inspect_mcuboot(chunks(package))
    image, header = found.image, found.image.header
    return {
        "package": str(package),
        "format": "mcuboot",
        "version": str(header.version),
        "flags": list(_flags(header)),
        "header_bytes": header.header_size,
        "body_bytes": header.body_bytes,
        "image_bytes": image.image_bytes,
        "trailing_bytes": image.trailing_bytes,
        "sha256": found.digests[Hash.SHA256].hex(),
        "digest_holds": None if header.is_encrypted else found.digest_holds,
        "key_hashes": [value.hex() for value in image.values(TlvType.KEYHASH)],
        "records": [*_records(image.protected, is_protected=True), *_records(image.records, is_protected=False)],
    }


def _flags(header: ImageHeader) -> Iterator[str]:
    for bit in range(32):
        if header.flags >> bit & 1:
            yield _FLAGS.get(1 << bit, f"0x{1 << bit:x}")


def _records(records: Sequence[Tlv], *, is_protected: bool) -> Iterator[Facts]:
    for record in records:
        yield {
            "name": record.name,
            "type": f"0x{record.type:02x}",
            "bytes": len(record.value),
            "protected": is_protected,
            **_meaning(record),
        }


def _meaning(record: Tlv) -> Facts:
    """What a record says, where that is short enough; one that is broken says nothing."""
    try:
        if record.type == TlvType.SEC_CNT:
            return {"value": decode_counter(record.value)}
        if record.type == TlvType.DEPENDENCY:
            needed = ImageDependency.decode(record.value)
            return {"image": needed.image_id, "at_least": str(needed.minimum_version)}
    except PackageError:
        return {}
    return {"value": record.value.hex()} if record.type in _HASHED | _IDS else {}


# COSE.


def _cose(package: FilePath) -> Facts:
    data = whole(package)
    message = read_message(data, rules=CoseRules.UNSAFE_PERMISSIVE, max_bytes=len(data))
    return {
        "package": str(package),
        "format": "cose",
        "kind": type(message).__name__.replace("Cose", "COSE_"),
        "bytes": len(data),
        **_headers(message.headers),
        **_content(message),
        **_proofs(message),
    }


def _headers(headers: Headers) -> Facts:
    return {"protected": _parameters(headers.protected), "unprotected": _parameters(headers.unprotected)}


def _parameters(found: Mapping[object, object]) -> Facts:
    return {_label(label): _value(label, value) for label, value in found.items()}


def _label(label: object) -> str:
    known = isinstance(label, int) and label in set(Label)
    return Label(label).name.lower() if known else str(label)  # type: ignore[arg-type]


def _value(label: object, value: object) -> object:
    match value:
        case bytes():
            return show_id(value) if label == Label.KID else value[:_SHOWN_BYTES].hex()
        case int() if label == Label.ALG:
            return alg_name(value)
        case Mapping():
            return f"a map of {len(value)}"
        case int() | str() | bool() | None:
            return value
        case _:
            return str(value)


def _content(message: CoseMessage) -> Facts:
    is_hidden = isinstance(message, CoseEncrypt0 | CoseEncrypt)
    name = "ciphertext" if is_hidden else "payload"
    content: bytes | None = getattr(message, name)
    if content is None:
        return {name: "detached"}
    facts: Facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    if not is_hidden:
        facts["looks_like"] = _format(content[: default_formats().prefix_bytes])
    return {name: facts}


def _proofs(message: CoseMessage) -> Facts:
    match message:
        case CoseSign1():
            return {"signature_bytes": len(message.signature)}
        case CoseMac0():
            return {"code_bytes": len(message.tag)}
        case CoseSign():
            entries = [(each.headers, len(each.signature)) for each in message.signatures]
            return {"signatures": [_proof(number, *each) for number, each in enumerate(entries)]}
        case CoseMac() | CoseEncrypt():
            entries = [(each.headers, len(each.ciphertext)) for each in message.recipients]
            return {"recipients": [_proof(number, *each) for number, each in enumerate(entries)]}
        case _:
            return {}


def _proof(number: int, headers: Headers, size: int) -> Facts:
    return {"number": number, **_headers(headers), "bytes": size}


# Anything else.


def _plain_image(package: FilePath) -> Facts:
    digest, size = hashlib.sha256(), 0
    for piece in chunks(package):
        digest.update(piece)
        size += len(piece)
    return {"package": str(package), "format": "plain", "bytes": size, "sha256": digest.hexdigest()}


INSPECTORS: Final[Mapping[str, Callable[[FilePath], Facts]]] = MappingProxyType(
    {"mcuboot": _mcuboot, "suit": suit_facts, "cose": _cose, "plain": _plain_image}
)
"""By the name of the format."""
