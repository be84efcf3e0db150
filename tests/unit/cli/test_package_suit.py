"""`lwm2m-fota package` with SUIT envelopes."""

import pytest


@pytest.fixture
def example(spec, bench):
    """`example(name)` is a whole envelope of the manifest draft, in a file."""

    def write(name):
        text = (spec / f"vectors/suit/{name}.txt").read_text(encoding="utf-8")
        data = bytes.fromhex(text.rpartition("Envelope with COSE authentication object:")[2].replace("~", ""))
        bench.package.write_bytes(data)
        return bench.package

    return write


def test_a_manifest_is_shown_command_by_command(bench, example):
    assert bench.good("inspect", example("example3")).splitlines()[1:] == [
        "├── format: suit",
        "├── envelope bytes: 396",
        "├── trailing bytes: 0",
        "├── digest: SHA-256 f6d44a62ec906b392500c242e78e908e9cc5057f3f04104a06a8566200da2ee0",
        "├── signatures",
        "│   └── 0: kind COSE_Sign1, by ES256",
        "├── sequence number: 3",
        "├── manifest id: none",
        "├── reference uri: none",
        "├── components: 0x00",
        "├── dependencies: none",
        (
            "├── shared: set(vendor_id=fa6b4a53d5ad5fdfbe9de663e4d41ffe, class_id=1492af1425695e48bf429b2d51f2ab45)"
            " [set(component_slot=0) component_slot? set(image_digest=SHA-256"
            " 00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210, image_size=34768)]"
            " or [set(component_slot=1) component_slot? set(image_digest=SHA-256"
            " 0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff, image_size=76834)]"
            " vendor_id? class_id?"
        ),
        "├── validate: image_match?",
        (
            "├── install: [set(component_slot=0) component_slot? set(uri=http://example.com/file1.bin)]"
            " or [set(component_slot=1) component_slot? set(uri=http://example.com/file2.bin)] fetch image_match?"
        ),
        "├── severed: none",
        "├── text: none",
        "└── payloads: none",
    ]


def test_text_stays_on_its_line(bench, example):
    found = bench.facts("inspect", example("example2"))
    assert found["severed"] == ["install", "text"]
    assert found["reference_uri"] == "https://git.io/JJYoj"
    texts = found["text"]["en-US"]
    assert texts["description"].startswith("## Example 2: Simultaneous Download")
    assert "\n" not in texts["description"]
    assert texts["0x00"]["vendor_domain"] == "arm.com"


def test_what_is_not_in_the_envelope_is_given_beside_it(bench, example, spec):
    key = spec / "vectors/suit/private_key.pem"
    bench.good("keys", "convert", key, bench.public, "--public")
    ids = ("--vendor", "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe", "--class", "1492af14-2569-5e48-bf42-9b2d51f2ab45")
    told = ("verify", example("example1"), "--trust", bench.public, *ids)
    assert bench.is_refused(*told) == "truncated: payload http://example.com/file.bin is not there"
    payload = bench.firmware.with_name("file.bin")
    payload.write_bytes(bytes(34768))
    assert bench.is_refused(*told, "--payload", payload) == (
        "digest mismatch: payload http://example.com/file.bin is not what the manifest says"
    )


def test_an_envelope_that_is_broken_is_told(bench, example):
    data = example("example3").read_bytes()
    bench.package.write_bytes(data[:-1])
    assert bench.is_refused("inspect", bench.package) == "truncated: the envelope ends within a member"
