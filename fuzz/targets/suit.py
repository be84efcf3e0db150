"""SUIT: what an envelope is split into, and the manifest within."""

import hashlib
from typing import Final

from fuzz.target import target
from lwm2m_fota import cbor
from lwm2m_fota.package.formats.suit.envelope import EnvelopeReader
from lwm2m_fota.package.formats.suit.limits import SuitLimits
from lwm2m_fota.package.formats.suit.manifest import read_manifest

_LIMITS: Final = SuitLimits()


def _pack(item: object) -> bytes:
    return cbor.dumps(item, canonical=True)


_DIGEST: Final = _pack([-16, hashlib.sha256(b"image").digest()])
_SET: Final = (20, {1: bytes(16), 2: bytes(16), 3: _DIGEST, 14: 5}, 1, 15, 2, 15)
_COMMON: Final = _pack({2: [[b"\0"], [b"\1"]], 4: _pack([12, 0, *_SET])})
_TRIES: Final = (15, [_pack([5, 15]), _pack([12, 1])], 21, 2, 3, 15)
_MANIFESTS: Final = {
    "small": _pack({1: 1, 2: 7, 3: _pack({2: [[b"\0"]]})}),
    "an update": _pack(
        {1: 1, 2: 7, 3: _COMMON, 7: _pack([12, 0, 3, 15]), 20: _pack([12, 0, 19, {21: "#app"}, *_TRIES])}
    ),
    "a dependency": _pack({1: 1, 2: 7, 3: _pack({1: {1: {1: [b"d"]}}, 2: [[b"\0"]]}), 20: _pack([12, 1, 11, 0])}),
    "severed, with a text": _pack(
        {1: 1, 2: 7, 3: _COMMON, 4: "http://h", 16: [-16, bytes(32)], 23: _pack({"en": {1: "a", (b"\0",): {6: "1.0"}}})}
    ),
}


@target(
    {
        "members and a payload": bytes.fromhex("d86ba402417703426d6d17581974")
        + b"t" * 24
        + bytes.fromhex("642361707058186c")
        + b"l" * 23,
        "without a tag": bytes.fromhex("a2024177034160"),
    }
)
def suit_envelope(data: bytes) -> None:
    """An envelope is split in the same way however it is cut."""
    whole = EnvelopeReader(_LIMITS)
    for _ in whole.feed(memoryview(data)):
        pass
    cut = EnvelopeReader(_LIMITS)
    for at in range(len(data)):
        for _ in cut.feed(memoryview(data)[at : at + 1]):
            pass
    assert cut.is_complete == whole.is_complete


@target(_MANIFESTS)
def suit_manifest(data: bytes) -> None:
    """A manifest and all its command sequences."""
    assert read_manifest(data, _LIMITS).sequence_number >= 0
