"""`lwm2m-fota package keys`: keys in PEM and as COSE_Key, made, shown and converted."""

import stat

import pytest

TYPES = ["ed25519", "ed448", "x25519", "p256", "p384", "p521"]
NAMES = ["Ed25519", "Ed448", "X25519", "P-256", "P-384", "P-521"]


@pytest.mark.parametrize(("kind", "name"), list(zip(TYPES, NAMES, strict=True)))
@pytest.mark.parametrize("ending", ["pem", "cbor"])
def test_a_new_key_of_every_type_is_shown_as_what_it_is(bench, kind, name, ending):
    key, public = bench.new_key(f"key.{ending}", kind)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    (private_part,) = bench.facts("keys", "show", key)["keys"]
    (public_part,) = bench.facts("keys", "show", public)["keys"]
    assert (private_part["type"], private_part["part"], private_part["kid"]) == (name, "private", None)
    assert public_part == private_part | {"part": "public"}
    assert len(public_part["key_hash"]) == 64


def test_a_new_key_is_ed25519_without_a_word(bench):
    shown = bench.good("keys", "new", bench.key)
    assert shown.startswith(f"{bench.key}: Ed25519, private part, hash ")
    assert shown.endswith(f"; its public part is in {bench.public}\n")


def test_two_new_keys_differ(bench):
    one, other = bench.new_key("one.pem")[0], bench.new_key("other.pem")[0]
    assert one.read_bytes() != other.read_bytes()


def test_a_secret_is_a_cose_key_with_an_id(bench):
    path = bench.folder / "secret.cbor"
    assert bench.good("keys", "new", path, "--type", "secret", "--kid", "line 7") == f"{path}: secret, id line 7\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert bench.facts("keys", "show", path)["keys"] == [
        {"type": "secret", "part": "secret", "kid": "line 7", "key_hash": None}
    ]


@pytest.mark.parametrize(
    ("name", "options", "line"),
    [
        ("s.cbor", ("--type", "secret"), "a secret needs an id: --kid"),
        (
            "s.pem",
            ("--type", "secret", "--kid", "a"),
            "a secret is written as COSE_Key: give s.pem the ending .cbor",
        ),
        ("k.pem", ("--kid", "a"), "PEM has no place for an id: give k.pem the ending .cbor"),
    ],
)
def test_a_key_that_a_file_cannot_hold_is_one_line_and_not_written(bench, name, options, line):
    bench.refused(bench.run("keys", "new", bench.folder / name, *options), line)
    assert [path.name for path in bench.folder.iterdir()] == ["firmware.bin"]


@pytest.mark.parametrize("ending", ["pem", "cbor"])
def test_a_key_there_is_never_replaced(bench, ending):
    path = bench.folder / f"key.{ending}"
    path.write_text("mine")
    bench.refused(bench.run("keys", "new", path), f"{path} is there already")
    assert path.read_text() == "mine"


def test_a_key_goes_to_cose_key_and_back(bench):
    key, public = bench.new_key("key.pem", "p256")
    cose, pem = bench.folder / "key.cbor", bench.folder / "again.pem"
    assert bench.facts("keys", "convert", key, cose, "--kid", "line 7")["kid"] == "line 7"
    bench.good("keys", "convert", cose, pem)
    assert pem.read_bytes() == key.read_bytes()
    assert stat.S_IMODE(cose.stat().st_mode) == stat.S_IMODE(pem.stat().st_mode) == 0o600
    only = bench.folder / "only.pem"
    assert bench.facts("keys", "convert", cose, only, "--public")["part"] == "public"
    assert only.read_bytes() == public.read_bytes()


def test_an_id_stays_with_a_cose_key(bench):
    key, public = bench.new_key("key.cbor", "ed25519", "--kid", "line 7")
    shown = bench.folder / "shown.cbor"
    bench.good("keys", "convert", key, shown, "--public")
    assert shown.read_bytes() == public.read_bytes()
    assert "id line 7" in bench.good("keys", "show", shown)


def test_a_conversion_replaces_nothing(bench):
    key, public = bench.new_key("key.pem")
    bench.refused(bench.run("keys", "convert", key, public), f"{public} is there already")


def test_a_set_of_keys_is_shown_line_by_line_and_not_converted(bench):
    parts = [bench.new_key(f"{name}.cbor", "ed25519", "--kid", name)[1].read_bytes() for name in ("one", "two")]
    both = bench.folder / "both.cbor"
    both.write_bytes(b"\x82" + b"".join(parts))
    lines = bench.good("keys", "show", both).splitlines()
    assert [line.split(", hash ")[0] for line in lines] == [
        f"{both}: Ed25519, public part, id one",
        f"{both}: Ed25519, public part, id two",
    ]
    target = bench.folder / "k.pem"
    bench.refused(bench.run("keys", "convert", both, target), f"{both} holds 2 keys; one is used at a time")


def test_a_file_that_is_no_key_is_one_line(bench):
    line = f"{bench.firmware}: no key in PEM, and not a COSE_Key: 793 bytes follow the item"
    bench.refused(bench.run("keys", "show", bench.firmware), line)
