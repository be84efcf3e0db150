"""A package format for several components, for tests: what a manifest format does in the field, in its plainest form.

A bundle is a magic number, the length of a JSON header in four bytes, the header, the components one after the other,
and an Ed25519 signature over the SHA-256 of all that. It is read as a stream.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final, final

from lwm2m_fota.package.crypto import Algorithm, PrivateKey
from lwm2m_fota.package.formats.base import PackageContext
from lwm2m_fota.package.keyring import KeyRing
from lwm2m_fota.package.types import Component, Dependency, Verdict
from lwm2m_fota.package.verdicts import Refusal, refusal_error

MAGIC: Final = b"FOTABNDL"
MAX_HEADER_BYTES: Final = 16_384

_LENGTH_BYTES: Final = 4
_SIGNATURE_BYTES: Final = 64


def make_bundle(
    key: PrivateKey,
    parts: Mapping[str, tuple[str, bytes]],
    needs: Mapping[str, str] | None = None,
    *,
    name: str = "bundle",
    version: str = "",
) -> bytes:
    """Make a bundle.

    Args:
        key: an Ed25519 key that signs it.
        parts: by component name, its version and bytes.
        needs: by component name, the lowest version that must be there.
        name: of the whole.
        version: of the whole.
    """
    header = {
        "name": name,
        "version": version,
        "parts": [[each, text, len(data)] for each, (text, data) in parts.items()],
        "needs": dict(needs or {}),
    }
    encoded = json.dumps(header).encode()
    bodies = b"".join(data for _, data in parts.values())
    signed = MAGIC + len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded + bodies
    return signed + key.sign_digest(hashlib.sha256(signed).digest())


@final
class _BundleParser:
    """The header and the signature are kept, the rest is hashed."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._head = b""
        self._tail = b""
        self._digest = hashlib.sha256()
        self._signed_bytes = 0
        self._header: Mapping[str, Any] | None = None

    def feed(self, data: memoryview) -> int:
        if self._header is None:
            self._head += bytes(data)
            data = memoryview(b"")
            self._read_header()
        self._tail += bytes(data)
        signed, self._tail = self._tail[:-_SIGNATURE_BYTES], self._tail[-_SIGNATURE_BYTES:]
        self._sign(signed)
        return 0

    def _read_header(self) -> None:
        begin = len(MAGIC) + _LENGTH_BYTES
        if len(self._head) < begin:
            return
        end = begin + int.from_bytes(self._head[len(MAGIC) : begin], "big")
        if end > MAX_HEADER_BYTES:
            raise refusal_error(Refusal.VERIFIER_MEMORY, f"a header of {end} bytes, at most {MAX_HEADER_BYTES}")
        if len(self._head) >= end:
            self._header = _decode(self._head[begin:end])
            self._sign(self._head[:end])
            self._tail = self._head[end:]

    def _sign(self, data: bytes) -> None:
        self._digest.update(data)
        self._signed_bytes += len(data)

    def finish(self) -> Verdict:
        header = self._header
        if header is None or len(self._tail) != _SIGNATURE_BYTES:
            raise refusal_error(Refusal.TRUNCATED, "the bundle ends too early")
        components, offset = [], len(MAGIC) + _LENGTH_BYTES
        offset += int.from_bytes(self._head[len(MAGIC) : offset], "big")
        for name, version, length in header["parts"]:
            components.append(Component(name=name, version=version, offset_bytes=offset, length_bytes=length))
            offset += length
        if offset != self._signed_bytes:
            raise refusal_error(Refusal.MALFORMED, "the parts are not those of the header")
        return Verdict(
            components=tuple(components),
            name=header["name"],
            version=header["version"] or None,
            dependencies=tuple(Dependency(name=name, minimum_version=at) for name, at in header["needs"].items()),
            authentication=self._ring.authenticate(Algorithm.ED25519, self._tail, self._digest.digest()),
        )


def _decode(data: bytes) -> Mapping[str, Any]:
    try:
        plain: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise refusal_error(Refusal.MALFORMED, f"the header: {error}") from error
    match plain:
        case {"name": str(name), "version": str(version), "parts": [_, *_] as parts, "needs": dict(needs)} if all(
            map(_is_part, parts)
        ) and all(isinstance(each, str) for each in needs.values()):
            return {"name": name, "version": version, "parts": parts, "needs": needs}
        case _:
            raise refusal_error(Refusal.MALFORMED, "the header is not one")


def _is_part(plain: object) -> bool:
    match plain:
        case [str(), str(), int(length)]:
            return length >= 0
        case _:
            return False


@final
class BundleFormat:
    """Bundles, for a `FormatRegistry`."""

    name: ClassVar[str] = "bundle"
    prefix_bytes: ClassVar[int] = len(MAGIC)

    def sniff(self, prefix: bytes) -> bool:
        """Whether it begins with the magic number."""
        return prefix == MAGIC

    def open(self, context: PackageContext) -> _BundleParser:
        """Begin a bundle."""
        return _BundleParser(context.ring)
