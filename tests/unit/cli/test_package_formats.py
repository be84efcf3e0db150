"""`lwm2m-fota package` with every format: create, sign, encrypt and verify fit together."""

import hashlib
import tracemalloc

import pytest

OF_SUIT_TOO = {"--version", "--counter", "--vendor", "--class", "--encrypt-for"}
SIGNING = ["ed25519", "ed448", "p256", "p384", "p521"]


@pytest.fixture
def signed(bench):
    """An MCUboot image and the public part of its key."""
    bench.made()
    return bench


def bitten(path):
    """The file with a byte in the middle changed."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("kind", SIGNING)
def test_a_cose_message_of_every_type_of_key_verifies(bench, kind):
    key, public = bench.new_key("key.cbor", kind, "--kid", "line 7")
    bench.good("create", bench.firmware, bench.package, "--format", "cose", "--key", key, "--kid", "line 7")
    found = bench.facts("verify", bench.package, "--trust", public)
    assert (found["format"], found["signer"]) == ("cose", "key line 7")
    assert found["components"] == [{"name": None, "version": None, "bytes": 800}]
    bitten(bench.package)
    assert bench.is_refused("verify", bench.package, "--trust", public).startswith("bad signature: ")


@pytest.mark.parametrize("bits", [2048, 3072])
def test_rsa_signs_and_verifies(bench, root, bits):
    key = root / f"tests/vectors/keys/TEST-ONLY-rsa{bits}.pem"
    bench.good("keys", "convert", key, bench.public, "--public")
    for kind in ("mcuboot", "cose"):
        version = ("--version", "1.0.0") if kind == "mcuboot" else ()
        bench.good("create", bench.firmware, bench.package, "--format", kind, "--key", key, *version)
        assert bench.facts("verify", bench.package, "--trust", bench.public)["format"] == kind


def test_a_plain_image_is_the_firmware_and_a_signature_beside_it(bench):
    key, public = bench.new_key("key.pem", "p256")
    line = bench.good("create", bench.firmware, bench.package, "--format", "plain", "--key", key)
    signature = bench.package.with_name("firmware.signed.bin.cose")
    assert f" in {signature}" in line
    assert bench.package.read_bytes() == bench.firmware.read_bytes()
    told = ("verify", bench.package, "--trust", public, "--signature", signature)
    assert bench.facts(*told)["format"] == "plain"
    bitten(bench.package)
    assert bench.is_refused(*told).startswith("bad signature: ")


def test_a_plain_image_without_a_key_is_told_by_its_digest(bench):
    assert "not signed" in bench.good("create", bench.firmware, bench.package, "--format", "plain")
    digest = hashlib.sha256(b"firmware" * 100).hexdigest()
    assert "good; plain, 800 bytes, not signed" in bench.good("verify", bench.package, "--sha256", digest)
    assert bench.is_refused("verify", bench.package, "--sha256", "0" * 64).startswith("digest mismatch: ")


@pytest.mark.parametrize("text", ["0" * 63, "0" * 65, "g" * 64, ""])
def test_a_digest_that_cannot_be_is_one_line(bench, text):
    line = "a SHA-256 digest has 64 hex digits"
    bench.refused(bench.run("verify", bench.firmware, "--sha256", text), line)


def test_nothing_trusted_is_one_line(bench):
    line = "nothing is trusted: give --trust, or --sha256"
    bench.refused(bench.run("verify", bench.firmware), line)


@pytest.mark.parametrize("kind", ["cose", "plain"])
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--version", "1.0.0"),
        ("--depends", "1=1.0.0"),
        ("--counter", "0"),
        ("--vendor", "example.com"),
        ("--class", "x"),
        ("--header-size", "64"),
        ("--digest", "sha512"),
        ("--pure", None),
        ("--encrypt-for", "key.pem"),
    ],
)
def test_what_only_an_image_says_is_refused_elsewhere(bench, kind, option, value):
    given = (option,) if value is None else (option, value)
    bench.refused(
        bench.run("create", bench.firmware, bench.package, "--format", kind, *given),
        f"{option} is for --format mcuboot{' and suit' if option in OF_SUIT_TOO else ''}",
    )


def test_an_image_needs_a_version_and_a_message_a_key(bench):
    bench.refused(bench.run("create", bench.firmware, bench.package), "an MCUboot image has a version: --version")
    line = "a COSE message needs a key: --key"
    bench.refused(bench.run("create", bench.firmware, bench.package, "--format", "cose"), line)


def test_an_image_says_for_whom_it_is_and_others_refuse(bench):
    options = ("--vendor", "example.com", "--class", "lamp", "--counter", "7")
    bench.create("--key", bench.key, "--new-key", *options)
    told = ("verify", bench.package, "--trust", bench.public)
    found = bench.facts(*told, "--vendor", "example.com", "--class", "lamp", "--minimum-counter", "7")
    assert found["counters"] == [{"of": "component", "name": None, "value": 7}]
    assert set(found["made_for"]) == {"vendor_id", "class_id"}
    # The same in UUIDs, as RFC 9562 makes version 5 of names.
    vendor, class_ = "cfbff0d1-9375-5685-968c-48ce8b15ae17", "7fd968df-da31-5a19-b454-35f5cb2264c7"
    assert bench.facts(*told, "--vendor", vendor, "--class", class_)["ok"]
    for other in (("--vendor", "example.org", "--class", "lamp"), ("--vendor", "example.com", "--class", "lock")):
        assert bench.is_refused(*told, *other).startswith("wrong device: ")
    theirs = ("--vendor", "example.com", "--class", "lamp", "--minimum-counter", "8")
    assert bench.is_refused(*told, *theirs).startswith("rollback: ")


def test_ids_that_cannot_be_read_are_one_line(bench):
    bench.made()
    told = ("verify", bench.package, "--trust", bench.public)
    assert "needs a vendor" in bench.is_refused(*told, "--class", "lamp")
    assert "hex digits" in bench.is_refused(*told, "--device", "lamp")
    assert bench.facts(*told, "--device", "00-11")["ok"]


@pytest.mark.parametrize("digest", ["sha256", "sha512"])
def test_an_image_signs_itself_or_a_digest(bench, digest):
    bench.create("--key", bench.key, "--new-key", "--digest", digest)
    assert bench.facts("verify", bench.package, "--trust", bench.public)["ok"]
    bench.create("--key", bench.key, "--pure")
    found = bench.facts("inspect", bench.package)
    assert "SIG_PURE" in [each["name"] for each in found["records"]]
    assert bench.facts("verify", bench.package, "--trust", bench.public)["ok"]


def test_a_header_has_the_size_that_is_told(bench):
    bench.create("--header-size", "512")
    assert bench.facts("inspect", bench.package)["header_bytes"] == 512


@pytest.mark.parametrize("kind", ["p256", "x25519"])
def test_an_encrypted_image_opens_with_the_key_of_the_device(bench, kind):
    key, public = bench.new_key("device.pem", kind)
    bench.create("--key", bench.key, "--new-key", "--encrypt-for", public)
    assert bench.firmware.read_bytes()[:16] not in bench.package.read_bytes()
    told = ("verify", bench.package, "--trust", bench.public)
    assert bench.facts(*told, "--decrypt-key", key)["checks"].count("decryption") == 1
    assert bench.is_refused(*told).startswith("no decryption key: ")
    assert "flags: encrypted with AES-128" in bench.good("inspect", bench.package)


def test_an_encrypted_image_opens_with_a_secret(bench):
    secret, _ = bench.new_key("device.cbor", "secret", "--kid", "d")
    bench.create("--key", bench.key, "--new-key", "--encrypt-for", secret)
    assert bench.facts("verify", bench.package, "--trust", bench.public, "--decrypt-key", secret)["ok"]


def test_a_key_to_which_nothing_is_encrypted_is_one_line(bench):
    _, public = bench.new_key("device.pem", "ed25519")
    done = bench.create("--encrypt-for", public)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"{public}: ")


# Sign.


def test_an_image_gets_one_more_signature_and_the_first_stays(signed):
    key, public = signed.new_key("second.pem", "ed25519")
    both = signed.folder / "both.bin"
    assert ", an MCUboot image" in signed.good("sign", signed.package, both, "--key", key)
    for trusted in (signed.public, public):
        assert signed.facts("verify", both, "--trust", trusted)["ok"]
    told = ("--trust", signed.public, "--trust", public, "--all")
    assert len(signed.facts("verify", both, *told)["signers"]) == 2
    assert signed.is_refused("verify", signed.package, *told).startswith("missing authority: ")


def test_an_image_is_not_signed_with_a_secret_or_with_bytes_after_it(signed):
    secret, _ = signed.new_key("secret.cbor", "secret", "--kid", "s")
    output = signed.folder / "out.bin"
    line = "an MCUboot image is signed with private keys"
    signed.refused(signed.run("sign", signed.package, output, "--key", secret), line)
    signed.package.write_bytes(signed.package.read_bytes() + b"more")
    line = "4 bytes follow the image: they would be lost"
    signed.refused(signed.run("sign", signed.package, output, "--key", signed.key), line)
    assert not output.exists()


@pytest.mark.parametrize("kind", ["ed25519", "secret"])
def test_any_file_is_signed_into_a_message_or_beside_it(bench, kind):
    key, public = bench.new_key("key.cbor", kind, "--kid", "k")
    trusted = public or key
    assert ", a COSE message" in bench.good("sign", bench.firmware, bench.package, "--key", key)
    assert bench.facts("verify", bench.package, "--trust", trusted)["signer"] == "key k"
    beside = bench.folder / "firmware.cose"
    shown = bench.good("sign", bench.firmware, beside, "--key", key, "--detached")
    assert shown.endswith(", to be kept beside the file\n")
    assert bench.facts("verify", bench.firmware, "--trust", trusted, "--signature", beside)["ok"]


def test_several_keys_make_one_message(bench):
    keys = [bench.new_key(f"{kind}.cbor", kind, "--kid", kind) for kind in ("p256", "ed25519")]
    given = [word for key, _ in keys for word in ("--key", key)]
    trusted = [word for _, public in keys for word in ("--trust", public)]
    bench.good("sign", bench.firmware, bench.package, *given)
    found = bench.facts("verify", bench.package, *trusted, "--all")
    assert [each["key"] for each in found["signers"]] == ["p256", "ed25519"]
    assert "signed by key p256 and key ed25519" in bench.good("verify", bench.package, *trusted, "--all")


def test_a_signature_of_a_secret_and_a_key_together_is_refused(bench):
    secret, _ = bench.new_key("secret.cbor", "secret", "--kid", "s")
    key, _ = bench.new_key("key.pem")
    line = "a signature needs a private key; a secret makes a code, alone"
    bench.refused(bench.run("sign", bench.firmware, bench.package, "--key", secret, "--key", key), line)


@pytest.mark.parametrize("command", ["sign", "encrypt"])
def test_an_empty_file_is_neither_signed_nor_encrypted(bench, command):
    key, public = bench.new_key("key.pem", "p256")
    bench.firmware.write_bytes(b"")
    given = ("--key", key) if command == "sign" else ("--for", public)
    bench.refused(bench.run(command, bench.firmware, bench.package, *given), f"{bench.firmware} is empty")


# Encrypt.


@pytest.mark.parametrize("cipher", ["a128gcm", "a192gcm", "a256gcm", "chacha20-poly1305"])
@pytest.mark.parametrize("kind", ["p256", "x25519", "secret"])
def test_an_encrypted_message_opens_to_the_package_in_it(signed, cipher, kind):
    key, public = signed.new_key("device.cbor", kind, "--kid", "device")
    hidden = signed.folder / "hidden.bin"
    signed.good("encrypt", signed.package, hidden, "--for", public or key, "--cipher", cipher)
    told = ("verify", hidden, "--trust", signed.public)
    assert signed.facts(*told, "--decrypt-key", key)["version"] == "1.2.3"
    assert signed.is_refused(*told).startswith("no decryption key: ")
    bitten(hidden)
    assert signed.is_refused(*told, "--decrypt-key", key)


def test_a_secret_encrypts_directly(signed):
    secret, _ = signed.new_key("secret.cbor", "secret", "--kid", "s")
    hidden = signed.folder / "hidden.bin"
    given = ("encrypt", signed.package, hidden, "--for", secret, "--direct")
    assert signed.is_refused(*given)  # 32 bytes, and the cipher takes 16
    assert signed.facts(*given, "--cipher", "a256gcm")["recipients"] == 1
    told = ("verify", hidden, "--trust", signed.public, "--decrypt-key", secret)
    assert signed.facts(*told)["version"] == "1.2.3"
    line = "--direct needs one secret"
    signed.refused(signed.run("encrypt", signed.package, hidden, "--for", signed.public, "--direct"), line)


def test_a_message_is_encrypted_to_several(signed):
    keys = [signed.new_key(f"{kind}.cbor", kind, "--kid", kind) for kind in ("p256", "x25519")]
    hidden = signed.folder / "hidden.bin"
    signed.good("encrypt", signed.package, hidden, *[word for _, public in keys for word in ("--for", public)])
    for key, _ in keys:
        assert signed.facts("verify", hidden, "--trust", signed.public, "--decrypt-key", key)["ok"]


def test_nothing_is_encrypted_to_keys_that_only_sign(signed):
    line = f"{signed.public}: nothing is encrypted to Ed25519 keys"
    signed.refused(signed.run("encrypt", signed.package, signed.folder / "hidden.bin", "--for", signed.public), line)


def test_a_key_that_decrypts_nothing_is_one_line(signed):
    told = ("verify", signed.package, "--trust", signed.public, "--decrypt-key", signed.public)
    assert signed.is_refused(*told).startswith(f"{signed.public}: ")


def test_the_permissive_rules_have_a_name_that_warns(bench):
    key, public = bench.new_key("key.cbor", "ed25519", "--kid", "k")
    bench.good("sign", bench.firmware, bench.package, "--key", key)
    bare = bench.folder / "bare.cbor"
    bare.write_bytes(bench.package.read_bytes().removeprefix(b"\xd2"))  # without its tag it begins like any array
    assert bench.is_refused("verify", bare, "--trust", public).startswith("unknown format: ")
    assert bench.facts("verify", bench.package, "--trust", public, "--unsafe-permissive")["ok"]


@pytest.mark.parametrize("kind", ["plain", "cose"])
def test_what_a_device_does_not_hold_is_refused_as_there(bench, kind):
    """EdDSA signs the image itself, not its digest."""
    bench.firmware.write_bytes(bytes((512 << 10) + 1))
    key, public = bench.new_key("key.pem", "ed25519")
    bench.good("create", bench.firmware, bench.package, "--format", kind, "--key", key)
    beside = ("--signature", f"{bench.package}.cose") if kind == "plain" else ()
    told = ("verify", bench.package, "--trust", public, *beside)
    assert bench.is_refused(*told) == (
        "verifier memory: EdDSA over 524289 bytes, at most 524288 are held (max_held_bytes)"
    )
    assert bench.facts(*told, "--max-held", 524289)["limits"].get("max_held_bytes", 524289) == 524289


def test_what_streams_on_a_device_streams_here(bench):
    bench.firmware.write_bytes(bytes(16 << 20))
    key, public = bench.new_key("key.pem", "ed25519")
    bench.good("create", bench.firmware, bench.package, "--key", key, "--version", "1.0.0")
    tracemalloc.start()
    bench.good("verify", bench.package, "--trust", public)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 << 20


def test_a_file_that_is_no_signature_is_not_read_to_its_end(bench):
    bench.firmware.write_bytes(b"firmware")
    _, public = bench.new_key("key.pem", "p256")
    with bench.package.open("wb") as stream:
        stream.truncate(1 << 28)
    tracemalloc.start()
    line = bench.is_refused("verify", bench.firmware, "--trust", public, "--signature", bench.package)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert line == "a detached signature has at most 16384 bytes"
    assert most < 8 << 20
