"""The CBOR loader, which agrees with itself."""

from typing import Final

from fuzz.target import target
from lwm2m_fota import cbor
from lwm2m_fota.errors import CborError

_SEEDS: Final = {
    "integers": bytes.fromhex("8400381863190100ff"[:-2]) + b"\x1b" + bytes(range(1, 9)),
    "texts": bytes.fromhex("8263657661a1617801"),
    "map": bytes.fromhex("a3010203f6056178"),
    "tags": bytes.fromhex("d28443a10126a10442313154546869732069732074686520636f6e74656e742e40"),
    "floats": bytes.fromhex("83f93c00fa47c35000fb7e37e43c8800759c"),
    "indefinite": bytes.fromhex("9f5f42010243030405ff7f657374726561646d696e67ffbf6346756ef5ffff"),
    "deep": b"\x81" * 15 + b"\x00",
    "sequence of one": b"\x18\x64",
}


@target(_SEEDS)
def cbor_loader(data: bytes) -> None:
    """What is read can be written, and is the same when it is read again."""
    item = cbor.loads(data)
    assert cbor.item_end(data) == len(data)
    assert repr(cbor.loads_sequence(data)) == repr([item])  # a NaN is not equal to itself
    written = cbor.dumps(item, canonical=True)
    assert cbor.dumps(cbor.loads(written), canonical=True) == written


@target(_SEEDS)
def cbor_ends(data: bytes) -> None:
    """An item that ends somewhere is one that is read; what has no end may still grow."""
    end = cbor.item_end(data)
    if end is not None:
        cbor.loads(data[:end])
        return
    for size in range(min(8, len(data))):
        try:
            assert cbor.item_end(data[:size]) is None
        except CborError as error:
            raise AssertionError("a beginning of what may grow cannot grow") from error


@target({**_SEEDS, "several": bytes.fromhex("0102f6a0404160")})
def cbor_sequence(data: bytes) -> None:
    """Each item of a sequence has its place."""
    items, at = cbor.loads_sequence(data), 0
    for _ in items:
        end = cbor.item_end(data, at)
        assert end is not None
        at = end
    assert at == len(data)
