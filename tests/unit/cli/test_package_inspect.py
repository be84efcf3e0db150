"""`lwm2m-fota package inspect`: a tree that a person reads, and JSON."""

import hashlib

import pytest

FIRMWARE = b"firmware" * 100


def test_an_image_is_a_tree(bench):
    bench.create("--key", bench.key, "--new-key", "--depends", "1=1.2.0", "--counter", "7", "--vendor", "example.com")
    digest = bench.facts("inspect", bench.package)
    assert bench.good("inspect", bench.package).splitlines() == [
        str(bench.package),
        "├── format: mcuboot",
        "├── version: 1.2.3",
        "├── flags: none",
        "├── header bytes: 32",
        "├── body bytes: 800",
        f"├── image bytes: {bench.package.stat().st_size}",
        "├── trailing bytes: 0",
        f"├── sha256: {digest['sha256']}",
        "├── digest holds: yes",
        f"├── key hashes: {digest['key_hashes'][0]}",
        "└── records",
        "    ├── SEC_CNT: type 0x50, 4 bytes, protected, value 7",
        "    ├── DEPENDENCY: type 0x40, 12 bytes, protected, image 1, at least 1.2.0",
        "    ├── UUID_VID: type 0x74, 16 bytes, protected, value cfbff0d193755685968c48ce8b15ae17",
        "    ├── SHA256: type 0x10, 32 bytes, value " + digest["sha256"],
        "    ├── KEYHASH: type 0x01, 32 bytes, value " + digest["key_hashes"][0],
        "    └── ED25519: type 0x24, 64 bytes",
    ]


def test_an_image_is_taken_at_no_word(bench):
    bench.made()
    data = bench.package.read_bytes()
    bench.package.write_bytes(data[:40] + b"!" + data[41:])
    assert "├── digest holds: no\n" in bench.good("inspect", bench.package)


def test_an_image_that_is_not_signed_has_no_hash_of_a_key(bench):
    bench.create()
    assert "├── key hashes: none\n" in bench.good("inspect", bench.package)


def test_a_record_that_is_broken_says_nothing(bench):
    bench.create("--counter", "7", "--depends", "1=1.2.0")
    data = bytearray(bench.package.read_bytes())
    at = data.index(bytes.fromhex("50000400"))
    data[at] = 0x40  # a dependency of four bytes
    bench.package.write_bytes(data)
    found = bench.facts("inspect", bench.package)
    assert found["records"][0] == {"name": "DEPENDENCY", "type": "0x40", "bytes": 4, "protected": True}
    assert found["digest_holds"] is False


def test_flags_have_names_or_numbers(bench):
    bench.create()
    data = bytearray(bench.package.read_bytes())
    data[16:20] = (0x80000021).to_bytes(4, "little")
    bench.package.write_bytes(data)
    flags = bench.facts("inspect", bench.package)["flags"]
    assert flags == ["position independent", "loaded to RAM", "0x80000000"]


def test_a_message_is_a_tree(bench):
    key, _ = bench.new_key("key.cbor", "ed25519", "--kid", "line 7")
    bench.good("sign", bench.firmware, bench.package, "--key", key)
    digest = hashlib.sha256(FIRMWARE).hexdigest()
    assert bench.good("inspect", bench.package).splitlines() == [
        str(bench.package),
        "├── format: cose",
        "├── kind: COSE_Sign1",
        f"├── bytes: {bench.package.stat().st_size}",
        "├── protected",
        "│   └── alg: EdDSA",
        "├── unprotected",
        "│   └── kid: line 7",
        "├── payload",
        "│   ├── bytes: 800",
        f"│   ├── sha256: {digest}",
        "│   └── looks like: plain",
        "└── signature bytes: 64",
    ]


def test_a_message_around_an_image_says_so(bench):
    bench.made()
    around = bench.folder / "around.cbor"
    secret, _ = bench.new_key("secret.cbor", "secret", "--kid", "s")
    bench.firmware = bench.package
    bench.good("create", bench.package, around, "--format", "cose", "--key", bench.key)
    found = bench.facts("inspect", around)
    assert found["payload"]["looks_like"] == "mcuboot"
    bench.good("encrypt", bench.package, around, "--for", secret)
    found = bench.facts("inspect", around)
    assert (found["kind"], found["ciphertext"]["bytes"]) == ("COSE_Encrypt", bench.package.stat().st_size + 16)
    (recipient,) = found["recipients"]
    assert recipient["unprotected"] == {"alg": "A256KW", "kid": "s"}
    bench.good("encrypt", bench.package, around, "--for", secret, "--direct", "--cipher", "a256gcm")
    assert bench.facts("inspect", around)["kind"] == "COSE_Encrypt0"


def test_every_signature_is_a_branch(bench):
    keys = [bench.new_key(f"{kind}.cbor", kind, "--kid", kind)[0] for kind in ("p256", "ed25519")]
    bench.good("sign", bench.firmware, bench.package, "--detached", *[w for key in keys for w in ("--key", key)])
    lines = bench.good("inspect", bench.package).splitlines()
    assert lines[lines.index("├── payload: detached") :] == [
        "├── payload: detached",
        "└── signatures",
        "    ├── 0",
        "    │   ├── protected",
        "    │   │   └── alg: ES256",
        "    │   ├── unprotected",
        "    │   │   └── kid: p256",
        "    │   └── bytes: 64",
        "    └── 1",
        "        ├── protected",
        "        │   └── alg: EdDSA",
        "        ├── unprotected",
        "        │   └── kid: ed25519",
        "        └── bytes: 64",
    ]


def test_a_code_is_shown_by_its_length(bench):
    secret, _ = bench.new_key("secret.cbor", "secret", "--kid", "s")
    bench.good("sign", bench.firmware, bench.package, "--key", secret)
    found = bench.facts("inspect", bench.package)
    assert (found["kind"], found["protected"], found["code_bytes"]) == ("COSE_Mac0", {"alg": "HMAC 256/256"}, 32)


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("a1186381f5", {"99": "[True]"}),  # a list
        ("a1617841ff", {"x": "ff"}),  # bytes under a name of its own
        ("a10a1a000f4240", {"10": 1000000}),
        ("a11863a10102", {"99": "a map of 1"}),
        ("a1013a0001869f", {"alg": "-100000"}),
        ("a10163666f6f", {"alg": "foo"}),
    ],
)
def test_any_header_can_be_shown(bench, header, shown):
    bench.package.write_bytes(bytes.fromhex(f"d28440{header}4161{'58400' + '0' * 127}"))
    assert bench.facts("inspect", bench.package)["unprotected"] == shown


def test_anything_else_is_plain(bench):
    assert bench.facts("inspect", bench.firmware) == {
        "ok": True,
        "package": str(bench.firmware),
        "format": "plain",
        "bytes": 800,
        "sha256": hashlib.sha256(FIRMWARE).hexdigest(),
    }


def test_a_broken_message_is_one_line(bench):
    bench.package.write_bytes(bytes.fromhex("d28443a10126"))
    assert bench.is_refused("inspect", bench.package).startswith("malformed: ")
