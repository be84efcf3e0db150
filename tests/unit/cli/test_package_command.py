"""`lwm2m-fota package`: keys and packages in files, and one line for whatever is wrong."""

import json
import stat

import pytest

EC_KEY = """\
-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE
-----END PUBLIC KEY-----
"""


def test_a_new_key_is_its_owners_alone_and_its_public_part_anyones(bench):
    done = bench.made()
    assert stat.S_IMODE(bench.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(bench.public.stat().st_mode) & 0o077 == 0o044
    assert b"PRIVATE KEY" in bench.key.read_bytes()
    assert b"PUBLIC KEY" in bench.public.read_bytes()
    start, end = f"{bench.package}: 976 bytes, version 1.2.3, signed by key ", f"; devices trust {bench.public}\n"
    assert done.stdout.startswith(start)
    assert done.stdout.endswith(end)
    key_hash = done.stdout.removeprefix(start).removesuffix(end)
    verified = bench.run("verify", bench.package, "--trust", bench.public)
    assert verified.exit_code == 0
    assert verified.stdout == (f"{bench.package}: good; mcuboot, version 1.2.3, 976 bytes, signed by key {key_hash}\n")


def test_a_key_of_ours_signs_again(bench):
    bench.made()
    first = bench.package.read_bytes()
    assert bench.create("--key", bench.key).exit_code == 0
    assert bench.package.read_bytes() == first  # Ed25519 is deterministic


@pytest.mark.parametrize("there", ["key", "public"])
def test_an_existing_key_is_never_replaced(bench, there):
    path = getattr(bench, there)
    path.write_text("mine")
    bench.refused(bench.create("--key", bench.key, "--new-key"), f"{path} is there already")
    assert path.read_text() == "mine"
    assert sorted(each.name for each in bench.folder.iterdir()) == ["firmware.bin", path.name]


def test_no_key_is_made_for_a_version_that_cannot_be(bench):
    done = bench.create("--key", bench.key, "--new-key", version="one")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in bench.folder.iterdir()] == ["firmware.bin"]


def test_a_new_key_needs_a_place(bench):
    bench.refused(bench.create("--new-key"), "--new-key needs --key, where to put it")


def test_a_key_that_cannot_be_written_is_one_line(bench):
    path = bench.folder / "none" / "key.pem"
    bench.refused(bench.create("--key", path, "--new-key"), f"cannot write {path}: No such file or directory")


def test_a_key_that_is_not_there_is_one_line(bench):
    bench.refused(bench.create("--key", bench.key), f"cannot read the key {bench.key}: No such file or directory")


def test_a_public_key_does_not_sign(bench):
    bench.made()
    line = f"{bench.public}: this key has no private part; it does not sign"
    bench.refused(bench.create("--key", bench.public), line)


def test_a_private_key_is_not_what_devices_trust(bench):
    bench.made()
    line = f"{bench.key}: not a public key in PEM; this is a private key, a verifier needs the public one"
    bench.refused(bench.run("verify", bench.package, "--trust", bench.key), line)


def test_a_file_that_is_no_key_is_one_line(bench):
    bench.made()
    bench.public.write_text(EC_KEY)
    bench.refused(
        bench.run("verify", bench.package, "--trust", bench.public), f"{bench.public}: not a public key in PEM"
    )
    bench.refused(
        bench.create("--key", bench.firmware),
        f"{bench.firmware}: no key in PEM, and not a COSE_Key: 793 bytes follow the item",
    )


def test_a_key_of_a_type_that_is_not_spoken_here_is_one_line(bench):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import x25519

    private = x25519.X25519PrivateKey.generate()
    pkcs8 = serialization.PrivateFormat.PKCS8
    bench.key.write_bytes(private.private_bytes(serialization.Encoding.PEM, pkcs8, serialization.NoEncryption()))
    line = "images are signed with Ed25519, ECDSA P-256 or P-384, or RSA with 2048 or 3072 bits"
    bench.refused(bench.create("--key", bench.key), line)


def test_a_p256_key_signs(bench):
    from lwm2m_fota.package.crypto import KeyType, PrivateKey

    key = PrivateKey.from_seed(KeyType.P256, bytes(31) + b"\7")
    bench.key.write_bytes(key.to_pem())
    bench.public.write_bytes(key.public_key.to_pem())
    assert bench.create("--key", bench.key).exit_code == 0
    assert bench.run("verify", bench.package, "--trust", bench.public).exit_code == 0


def test_without_a_key_it_is_not_signed_and_does_not_verify(bench):
    bench.made()
    assert bench.create().stdout == f"{bench.package}: 872 bytes, version 1.2.3, not signed\n"
    done = bench.run("verify", bench.package, "--trust", bench.public)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("unsigned: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda data: data[:-1], "truncated: "),
        (lambda data: data[:100], "truncated: "),
        (lambda data: data[:40] + b"!" + data[41:], "digest mismatch: "),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "bad signature: "),
        (lambda data: b"no package at all", "unknown format: "),
        (lambda data: b"", ""),
    ],
)
def test_a_package_that_does_not_hold_is_one_line_that_says_why(bench, change, why):
    bench.made()
    bench.package.write_bytes(change(bench.package.read_bytes()))
    done = bench.run("verify", bench.package, "--trust", bench.public)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(why)
    assert done.stderr.count("\n") == 1


def test_another_key_is_one_line_and_a_second_trusted_key_helps(bench):
    bench.made()
    other = bench.folder / "other.pem"
    bench.run("create", bench.firmware, bench.folder / "other.bin", "--version", "1.0.0", "--key", other, "--new-key")
    public = bench.folder / "other.public.pem"
    done = bench.run("verify", bench.package, "--trust", public)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("untrusted key: ")
    assert bench.run("verify", bench.package, "--trust", public, "--trust", bench.public).exit_code == 0


@pytest.mark.parametrize("command", ["verify", "inspect"])
def test_a_package_that_is_not_there_is_one_line(bench, command):
    bench.made()
    bench.package.unlink()
    trust = ("--trust", bench.public) if command == "verify" else ()
    bench.refused(bench.run(command, bench.package, *trust), f"cannot read {bench.package}: No such file or directory")


def test_a_missing_key_file_is_one_line(bench):
    bench.made()
    none = bench.folder / "none.pem"
    bench.refused(
        bench.run("verify", bench.package, "--trust", none), f"cannot read the key {none}: No such file or directory"
    )


def test_firmware_that_is_empty_or_not_there_is_one_line_and_the_package_stays(bench):
    bench.package.write_text("an older one")
    bench.firmware.write_bytes(b"")
    bench.refused(bench.create(), f"{bench.firmware} is empty: that is no firmware")
    bench.firmware.unlink()
    bench.refused(bench.create(), f"cannot read {bench.firmware}: No such file or directory")
    assert bench.package.read_text() == "an older one"


def test_a_package_that_cannot_be_written_is_one_line(bench):
    bench.package = bench.folder / "none" / "package.bin"
    bench.refused(bench.create(), f"cannot write {bench.package}: No such file or directory")


def test_firmware_and_package_may_be_one_file(bench):
    bench.package = bench.firmware
    assert bench.create().exit_code == 0
    assert bench.run("inspect", bench.package).exit_code == 0
    assert [path.name for path in bench.folder.iterdir()] == ["firmware.bin"]


def test_json_is_one_object_also_for_a_failure(bench):
    made = json.loads(bench.create("--key", bench.key, "--new-key", "--json").stdout)
    assert (made["ok"], made["bytes"], made["version"]) == (True, 976, "1.2.3")
    assert made["public_key"] == str(bench.public)
    verified = json.loads(bench.run("verify", bench.package, "--trust", bench.public, "--json").stdout)
    assert (verified["ok"], verified["format"], verified["signed_by"]) == (True, "mcuboot", made["signed_by"])
    inspected = json.loads(bench.run("inspect", bench.package, "--json").stdout)
    assert (inspected["ok"], inspected["digest_holds"], inspected["key_hashes"]) == (True, True, [made["signed_by"]])
    bench.package.write_bytes(bench.package.read_bytes()[:-1])
    for command in (("inspect",), ("verify", "--trust", bench.public)):
        done = bench.run(*command, bench.package, "--json")
        failed = json.loads(done.stdout)
        assert (done.exit_code, failed["ok"], done.stderr) == (1, False, "")
        assert failed["error"].startswith("truncated: ")
        assert (failed["code"], failed["result"]) == ("package.truncated", 5)


def test_a_package_tells_which_images_it_needs(bench):
    assert bench.create("--depends", "1=1.2.0", "--depends", "255=0.0.1+7").exit_code == 0
    facts = bench.facts("inspect", bench.package)
    assert [each for each in facts["records"] if each["protected"]] == [
        {"name": "DEPENDENCY", "type": "0x40", "bytes": 12, "protected": True, "image": 1, "at_least": "1.2.0"},
        {"name": "DEPENDENCY", "type": "0x40", "bytes": 12, "protected": True, "image": 255, "at_least": "0.0.1+7"},
    ]


@pytest.mark.parametrize("needed", ["1", "1=", "=1.0.0", "modem=1.0.0", "1=one", "-1=1.0.0", "256=1.0.0", "¹=1.0.0"])
def test_a_need_that_cannot_be_read_is_one_line_and_nothing_is_made(bench, needed):
    done = bench.create("--key", bench.key, "--new-key", "--depends", needed)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert not bench.key.exists()
    assert not bench.package.exists()
