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


def made(bench, *options, key="key.pem", kind="p256"):
    """An envelope with one component more, and the public part of its key."""
    private, public = bench.new_key(key, kind)
    other = bench.firmware.with_name("radio.bin")
    other.write_bytes(b"radio" * 50)
    line = bench.good(
        "create", bench.firmware, bench.package, "--format", "suit", "--key", private, "--counter", "7", *options
    )
    assert "signed by key" in line
    return public


def test_one_component_is_made_and_verified(bench):
    public = made(bench, "--version", "1.2.3", "--vendor", "example.com", "--class", "lamp")
    told = ("verify", bench.package, "--trust", public, "--vendor", "example.com", "--class", "lamp")
    found = bench.facts(*told, "--minimum-counter", "7")
    assert (found["format"], found["version"]) == ("suit", "1.2.3")
    assert found["components"] == [{"name": "0x00", "version": "1.2.3", "bytes": 800}]
    assert bench.is_refused(*told, "--minimum-counter", "8").startswith("rollback: counter 7 of component 0x00")
    assert bench.facts("inspect", bench.package)["install"] == ["set(uri=#0x00)", "fetch", "image_match?"]


def test_a_version_cannot_move_the_cursor(bench):
    public = made(bench, "--version", "1\x1b[2K\n\u202e2")
    line = bench.good("verify", bench.package, "--trust", public)
    assert line.startswith(f"{bench.package}: good; suit, version 1\\x1b[2K\\n\\u202e2, ")
    assert len(line.splitlines()) == 1


def test_several_components_are_made_and_verified(bench):
    other = bench.firmware.with_name("radio.bin")
    public = made(bench, "--component", "app", "--add", f"radio@2.0={other}", "--add", f"sensor={bench.firmware}")
    assert bench.facts("verify", bench.package, "--trust", public)["components"] == [
        {"name": "app", "version": None, "bytes": 800},
        {"name": "radio", "version": "2.0", "bytes": 250},
        {"name": "sensor", "version": None, "bytes": 800},
    ]


def test_a_payload_may_lie_elsewhere(bench):
    public = made(bench, "--uri", "coap://host/app")
    assert bench.is_refused("verify", bench.package, "--trust", public) == (
        "truncated: payload coap://host/app is not there"
    )
    assert bench.facts("verify", bench.package, "--trust", public, "--payload", bench.firmware)["format"] == "suit"


@pytest.mark.parametrize(
    ("signing", "recipient", "profile"),
    [("p256", "p256", ()), ("ed25519", "x25519", ()), ("p256", "p256", ("--profile", "esp256-ecdh-a128ctr"))],
)
def test_it_is_encrypted_for_a_device(bench, signing, recipient, profile):
    device, device_public = bench.new_key("device.cbor", recipient, "--kid", "device")
    public = made(bench, "--encrypt-for", device_public, *profile, kind=signing)
    assert b"firmwarefirmware" not in bench.package.read_bytes()
    told = ("verify", bench.package, "--trust", public)
    assert bench.is_refused(*told).startswith("no decryption key")
    assert bench.facts(*told, "--decrypt-key", device)["format"] == "suit"


def test_secrets_on_both_sides_make_a_package(bench):
    """The profile of draft-ietf-suit-mti without public keys; the key that wraps is as a device would be given it."""
    signing, _ = bench.new_key("signing.cbor", "secret", "--kid", "maker")
    wrapping = bench.firmware.with_name("device.cbor")
    wrapping.write_bytes(bytes.fromhex("a3 01 04 02 46") + b"device" + bytes.fromhex("20 50") + bytes(range(16)))
    options = ("--counter", "7", "--key", signing, "--encrypt-for", wrapping, "--profile", "hmac-a128kw-a128ctr")
    line = bench.good("create", bench.firmware, bench.package, "--format", "suit", *options)
    assert "with the code of a secret" in line
    assert b"firmwarefirmware" not in bench.package.read_bytes()
    told = ("verify", bench.package, "--trust", signing)
    assert bench.is_refused(*told).startswith("no decryption key")
    found = bench.facts(*told, "--decrypt-key", wrapping)
    assert (found["format"], found["signer"]) == ("suit", "key maker")
    assert found["components"][0]["bytes"] == bench.firmware.stat().st_size
    other, _ = bench.new_key("other.cbor", "secret", "--kid", "maker")
    assert bench.is_refused("verify", bench.package, "--trust", other).startswith("bad signature")


def test_it_gets_one_more_signature(bench):
    public = made(bench, kind="p384")
    more, _ = bench.new_key("more.cbor", "secret", "--kid", "more")
    both = bench.package.with_name("both.suit")
    assert "a SUIT envelope" in bench.good("sign", bench.package, both, "--key", more)
    bench.good("verify", both, "--trust", public, "--trust", more, "--all")
    other, _ = bench.new_key("other.pem", "ed25519")
    thrice = bench.package.with_name("thrice.suit")
    bench.good("sign", both, thrice, "--key", other)
    assert len(bench.facts("inspect", thrice)["signatures"]) == 3


def test_what_cannot_be_made_is_told(bench):
    start = ("create", bench.firmware, bench.package, "--format", "suit")
    bench.refused(bench.run(*start), "a SUIT manifest has a sequence number: --counter")
    start = (*start, "--counter", "1")
    bench.refused(bench.run(*start, "--add", "radio"), "'radio' is not NAME=FILE or NAME@VERSION=FILE")
    bench.refused(bench.run(*start, "--depends", "1=1.0.0"), "--depends is for --format mcuboot")
    _, public = bench.new_key("device.pem", "x25519")
    bench.refused(bench.run(*start, "--encrypt-for", public), "what is encrypted needs --profile")
    mcuboot = ("create", bench.firmware, bench.package, "--version", "1.0.0")
    bench.refused(bench.run(*mcuboot, "--uri", "coap://host"), "--uri is for --format suit")


def test_a_public_key_signs_nothing(bench):
    public = made(bench)
    line = bench.is_refused("sign", bench.package, bench.package.with_name("more.suit"), "--key", public)
    assert line == "a signature needs a private key"


def test_one_envelope_is_put_into_another(bench):
    public = made(bench, "--component", "radio", "--version", "2.0")
    inner = bench.package.with_name("radio.suit")
    bench.package.rename(inner)
    key, other = bench.new_key("app.pem", "ed25519")
    start = ("create", bench.firmware, bench.package, "--format", "suit", "--counter", "1", "--key", key)
    bench.good(*start, "--component", "app", "--dependency", f"modem={inner}")
    found = bench.facts("verify", bench.package, "--trust", public, "--trust", other)
    assert [each["name"] for each in found["components"]] == ["modem/radio", "app"]
    assert bench.facts("inspect", bench.package)["dependencies"] == ["1 modem"]
    bench.good(*start, "--component", "app", "--dependency", inner)
    assert bench.is_refused("verify", bench.package, "--trust", other).startswith("untrusted key")
