"""`lwm2m-fota package inspect` for SUIT envelopes: what a manifest says, command by command."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Final, assert_never

from lwm2m_fota.cli.facts import Facts, whole
from lwm2m_fota.package.cose.message import Authenticated, CoseEncrypt, CoseSign, Headers
from lwm2m_fota.package.cose.names import Label, alg_name
from lwm2m_fota.package.cose.rules import CoseRules
from lwm2m_fota.package.formats.suit.codes import ComponentText, ManifestText
from lwm2m_fota.package.formats.suit.commands import Act, Assign, Check, Command, Commands, RunSequence, Select, TryEach
from lwm2m_fota.package.formats.suit.digests import SuitDigest
from lwm2m_fota.package.formats.suit.envelope import Payload
from lwm2m_fota.package.formats.suit.manifest import Manifest
from lwm2m_fota.package.formats.suit.members import open_beginning
from lwm2m_fota.package.formats.suit.parameters import Parameters
from lwm2m_fota.package.formats.suit.reading import id_text
from lwm2m_fota.package.formats.suit.text import Numbered, Texts
from lwm2m_fota.package.keyring import Authentication, show_id

_SHOWN_BYTES: Final = 32


def suit_facts(package: FilePath) -> Facts:
    """What an envelope says of itself.

    Raises:
        FotaError: it is broken, or cannot be read.
    """
    data = whole(package)
    opened, payloads, size = open_beginning(data, lambda _: Authentication(), rules=CoseRules.UNSAFE_PERMISSIVE)
    manifest = opened.manifest
    return {
        "package": str(package),
        "format": "suit",
        "envelope_bytes": size,
        "trailing_bytes": len(data) - size,
        "digest": _digest(opened.wrapper.digest),
        "signatures": [_block(number, each) for number, each in enumerate(opened.wrapper.blocks)],
        "sequence_number": manifest.sequence_number,
        "manifest_id": None if manifest.component_id is None else id_text(manifest.component_id),
        "reference_uri": None if manifest.reference_uri is None else _shown(manifest.reference_uri),
        "components": [id_text(each) for each in manifest.common.components],
        "dependencies": [f"{index} {id_text(prefix)}".strip() for index, prefix in _dependencies(manifest)],
        "shared": list(_lines(manifest.common.shared)),
        **{key.name.lower(): list(_lines(commands)) for key, commands in sorted(manifest.sequences.items())},
        "severed": [key.name.lower() for key in sorted(manifest.severed)],
        "text": {_shown(each.language): _texts(each) for each in manifest.text},
        "payloads": [_payload(each, data) for each in payloads],
    }


def _dependencies(manifest: Manifest) -> list[tuple[int, tuple[bytes, ...]]]:
    return sorted(manifest.common.dependencies.items())


def _digest(digest: SuitDigest) -> str:
    return f"{digest.kind.value} {digest.value.hex()}"


def _block(number: int, block: Authenticated) -> Facts:
    kind = type(block).__name__.replace("Cose", "COSE_")
    headers = [each.headers for each in block.signatures] if isinstance(block, CoseSign) else [block.headers]
    return {"number": number, "kind": kind, "by": " and ".join(map(_signer, headers))}


def _signer(headers: Headers) -> str:
    key_id = "" if headers.key_id is None else f" with key {show_id(headers.key_id)}"
    return f"{alg_name(headers.get(Label.ALG))}{key_id}"


def _payload(payload: Payload, data: bytes) -> Facts:
    content = data[payload.offset_bytes : payload.offset_bytes + payload.length_bytes]
    return {"name": _shown(payload.name), "bytes": payload.length_bytes, "sha256": hashlib.sha256(content).hexdigest()}


def _texts(texts: Texts) -> Facts:
    of_manifest = _named(texts.of_manifest, {int(each): each.name.lower() for each in ManifestText})
    names = {int(each): each.name.lower() for each in ComponentText}
    return {**of_manifest, **{id_text(key): _named(each, names) for key, each in texts.of_components.items()}}


def _named(texts: Numbered, names: Mapping[int, str]) -> Facts:
    return {names.get(number, str(number)): _shown(text) for number, text in texts.items()}


def _shown(text: str) -> str:
    """Text of strangers on one line, without what would move the cursor."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _lines(commands: Commands) -> Iterator[str]:
    """A line for each command; those of sequences within are in brackets."""
    return map(_line, commands)


def _line(command: Command) -> str:
    match command:
        case Select(indices):
            return f"component {' '.join(map(str, indices))}:"
        case Assign(parameters, is_forced):
            return f"{'set' if is_forced else 'preset'}({', '.join(_parameters(parameters))})"
        case Check(condition):
            return f"{condition.name.lower()}?"
        case Act(directive):
            return directive.name.lower()
        case TryEach(alternatives):
            return " or ".join(f"[{' '.join(_lines(each))}]" for each in alternatives)
        case RunSequence(inner):
            return f"[{' '.join(_lines(inner))}]"
        case _ as never:
            assert_never(never)


def _parameters(parameters: Parameters) -> Iterator[str]:
    for name, value in parameters._asdict().items():
        if value is not None:
            yield f"{name}={_value(value)}"


def _value(value: object) -> str:
    match value:
        case SuitDigest():
            return _digest(value)
        case bytes():
            return value[:_SHOWN_BYTES].hex()
        case CoseEncrypt():
            return alg_name(value.headers.get(Label.ALG))
        case _:
            return _shown(str(value))
