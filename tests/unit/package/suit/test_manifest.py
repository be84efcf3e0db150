"""Manifests, their commands, parameters and texts."""

import pytest
from suit_forge import CLASS, VENDOR, bstr, envelope, manifest, member_sha256, sha256, sign

from lwm2m_fota import cbor
from lwm2m_fota.errors import IntegrityError, PackageError, UnsupportedPackageError, UsageError
from lwm2m_fota.package.cose.create import WrappedKey, encrypt
from lwm2m_fota.package.crypto import Hash, KeyType, PrivateKey, SecretKey
from lwm2m_fota.package.formats.suit.codes import Condition, Directive, Key
from lwm2m_fota.package.formats.suit.commands import Act, Assign, Check, RunSequence, Select, TryEach
from lwm2m_fota.package.formats.suit.digests import SuitDigest
from lwm2m_fota.package.formats.suit.limits import SuitLimits
from lwm2m_fota.package.formats.suit.manifest import read_manifest
from lwm2m_fota.package.formats.suit.parameters import NO_PARAMETERS, Parameters
from lwm2m_fota.package.formats.suit.reading import id_text, parse_id
from lwm2m_fota.package.formats.suit.text import version_of

LIMITS = SuitLimits()
IMAGE = b"an image"
TWO = ((b"a",), (b"b",))


def read(*args, limits=LIMITS, **members):
    return read_manifest(manifest(*args, **members), limits)


def install(*commands, components=((b"\0",),), limits=LIMITS):
    return read(components, limits=limits, m20=bstr(list(commands))).sequences[Key.INSTALL]


def parameters(**given):
    """Parameters by their numbers: `p1=...`."""
    (assign,) = install(20, {int(key[1:]): value for key, value in given.items()})
    return assign.parameters


def test_everything_has_its_place():
    found = read_manifest(
        manifest(
            TWO,
            shared=[12, 0, 20, {1: VENDOR}, 1, 15],
            dependencies={2: {1: [b"sub"]}, 3: {}},
            number=9,
            m4="https://vendor.example/m",
            m5=[b"root"],
            m7=bstr([12, True, 3, 15]),
            m9=bstr([12, 0, 23, 0]),
            m20=sha256(b"x"),
            m23=bstr({"en": {1: "text"}}),
        ),
        LIMITS,
    )
    assert found.sequence_number == 9
    assert found.reference_uri == "https://vendor.example/m"
    assert found.component_id == (b"root",)
    assert found.common.components == TWO
    assert found.common.dependencies == {2: (b"sub",), 3: ()}
    assert found.common.shared == (
        Select((0,)),
        Assign(Parameters(vendor_id=VENDOR), is_forced=True),
        Check(Condition.VENDOR_ID),
    )
    assert found.sequences == {
        Key.VALIDATE: (Select((0, 1, 2, 3)), Check(Condition.IMAGE_MATCH)),
        Key.INVOKE: (Select((0,)), Act(Directive.INVOKE)),
    }
    assert found.severed.keys() == {Key.INSTALL}
    assert found.text[0].of_manifest == {1: "text"}


def test_an_update_of_dependencies_alone_has_no_components_of_its_own():
    found = read((), dependencies={0: {}})
    assert found.common.components == ()
    assert found.common.scope.indices == (0,)


@pytest.mark.parametrize(
    ("change", "error", "detail"),
    [
        ({"m1": 2}, UnsupportedPackageError, "version 2 of the manifest format"),
        ({"m1": None}, UnsupportedPackageError, "version None"),
        ({"m2": -1}, IntegrityError, "without a sequence number"),
        ({"m2": "1"}, IntegrityError, "without a sequence number"),
        ({"m3": {}}, IntegrityError, "common is not a map in a byte string"),
        ({"m3": bstr([1])}, IntegrityError, "common is not a map in a byte string"),
        ({"m3": bstr({})}, IntegrityError, "a manifest without components"),
        ({"m3": bstr({2: [[b"a"]], 5: 1})}, UnsupportedPackageError, "member 5 of common"),
        ({"m3": bstr({2: [[b"a"]], "x": 1})}, UnsupportedPackageError, "member 'x' of common"),
        ({"m3": bstr({2: []})}, IntegrityError, "not an array of some"),
        ({"m3": bstr({2: {}})}, IntegrityError, "not an array of some"),
        ({"m3": bstr({2: [b"a"]})}, IntegrityError, "not an array of byte strings"),
        ({"m3": bstr({2: [["a"]]})}, IntegrityError, "not an array of byte strings"),
        ({"m3": bstr({2: [[b"a"], [b"a"]]})}, IntegrityError, "two components have the same id"),
        ({"m3": bstr({1: {}, 2: [[b"a"]]})}, IntegrityError, "not a map of some"),
        ({"m3": bstr({1: [], 2: [[b"a"]]})}, IntegrityError, "not a map of some"),
        ({"m3": bstr({1: {-1: {}}, 2: [[b"a"]]})}, IntegrityError, "-1 is not the index of a dependency"),
        ({"m3": bstr({1: {"1": {}}, 2: [[b"a"]]})}, IntegrityError, "'1' is not the index of a dependency"),
        ({"m3": bstr({1: {1: []}, 2: [[b"a"]]})}, IntegrityError, "is not its prefix"),
        ({"m3": bstr({1: {1: {2: []}}, 2: [[b"a"]]})}, IntegrityError, "is not its prefix"),
        ({"m4": 4}, IntegrityError, "the reference URI is not text"),
        ({"m5": b"root"}, IntegrityError, "not an array of byte strings"),
        ({"m3": bstr({2: [[]]})}, UnsupportedPackageError, "a component whose id is empty"),
        ({"m3": bstr({2: [[b"app"], []]})}, UnsupportedPackageError, "a component whose id is empty"),
        ({"m5": []}, UnsupportedPackageError, "a component whose id is empty"),
        ({"m6": 0}, UnsupportedPackageError, "member 6 of a manifest"),
        ({"m20": {}}, IntegrityError, "sequence install is not an array in a byte string"),
        ({"m20": [-16]}, IntegrityError, "a digest is not an algorithm and its bytes"),
        ({"m20": [-18, bytes(32)]}, UnsupportedPackageError, "digests with algorithm -18"),
        ({"m20": [-16, bytes(31)]}, IntegrityError, "digest of 31 bytes"),
        ({"m7": sha256(b"")}, IntegrityError, "sequence validate is not an array in a byte string"),
    ],
)
def test_a_manifest_that_is_not_what_it_should_be_is_refused(change, error, detail):
    fields = {int(key[1:]): value for key, value in change.items()}
    with pytest.raises(error, match=detail):
        read_manifest(bstr({1: 1, 2: 1, 3: bstr({2: [[b"a"]]}), **fields}), LIMITS)


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        ("a2021802", "shortest form"),
        ("a202010101", "do not ascend"),
        ("a201010101", "do not ascend"),
        ("bf0101ff", "indefinite length"),
        ("80", "not a map in a byte string"),
        ("a1", "ends within an item"),
        ("a000", "1 bytes follow the item"),
        ("a101818181818181", "nested deeper"),
    ],
)
def test_cbor_is_read_strictly(data, detail):
    with pytest.raises(IntegrityError, match=f"the manifest.*{detail}"):
        read_manifest(bytes.fromhex(data), LIMITS)


def test_a_key_that_is_no_number_is_not_known():
    with pytest.raises(UnsupportedPackageError, match="member 'x' of a manifest"):
        read_manifest(bstr({"x": 1}), LIMITS)


def test_sequences_are_read_with_all_that_is_in_them():
    inner = bstr([14, 0])
    found = install(
        12, [1, 0], 20, {21: "#a"}, 19, {14: 5}, 21, 2, 15, [bstr([20, {13: False}, 3, 15]), bstr([22, 0]), None],
        32, inner, 24, 0, 5, 1,
        components=TWO,
    )  # fmt: skip
    assert found == (
        Select((1, 0)),
        Assign(Parameters(uri="#a"), is_forced=True),
        Assign(Parameters(image_size=5), is_forced=False),
        Act(Directive.FETCH),
        TryEach(
            (
                (Assign(Parameters(soft_failure=False), is_forced=True), Check(Condition.IMAGE_MATCH)),
                (Act(Directive.COPY),),
                (),
            )
        ),
        RunSequence((Check(Condition.ABORT),)),
        Check(Condition.DEVICE_ID),
        Check(Condition.COMPONENT_SLOT),
    )


@pytest.mark.parametrize(
    ("commands", "error", "detail"),
    [
        ([], IntegrityError, "not pairs of a command and its argument"),
        ([3], IntegrityError, "not pairs of a command and its argument"),
        (["3", 0], IntegrityError, "a command is no number"),
        ([True, 0], IntegrityError, "a command is no number"),
        ([4, 0], UnsupportedPackageError, "command 4"),
        ([-257, 0], UnsupportedPackageError, "command -257"),
        ([3, 16], IntegrityError, "a reporting policy is 0 to 15"),
        ([3, -1], IntegrityError, "a reporting policy is 0 to 15"),
        ([3, True], IntegrityError, "a reporting policy is 0 to 15"),
        ([21, None], IntegrityError, "a reporting policy is 0 to 15"),
        ([23, 0], IntegrityError, "invoke does not belong there"),
        ([12, 1], IntegrityError, "there is no component"),
        ([12, -1], IntegrityError, "there is no component"),
        ([12, False], IntegrityError, "there is no component"),
        ([12, []], IntegrityError, "no components, or one twice"),
        ([12, [0, 0]], IntegrityError, "no components, or one twice"),
        ([12, [True]], IntegrityError, "there is no component"),
        ([15, [bstr([3, 0])]], IntegrityError, "needs at least 2 sequences"),
        ([15, bstr([3, 0])], IntegrityError, "needs at least 2 sequences"),
        ([15, [None, bstr([3, 0])]], IntegrityError, "not an array in a byte string"),
        ([15, [None, None]], IntegrityError, "not an array in a byte string"),
        ([32, [3, 0]], IntegrityError, "not an array in a byte string"),
        ([20, {}], IntegrityError, "parameters are not a map of some"),
        ([20, []], IntegrityError, "parameters are not a map of some"),
        ([20, {13: True}], IntegrityError, "soft-failure is set outside"),
        ([20, {22: 1}], IntegrityError, "no source component 1"),
        ([20, {26: 1}], UnsupportedPackageError, "parameter 26"),
        ([20, {-257: 1}], UnsupportedPackageError, "parameter -257"),
        ([20, {"uri": 1}], UnsupportedPackageError, "parameter 'uri'"),
    ],
)
def test_a_sequence_that_is_not_what_it_should_be_is_refused(commands, error, detail):
    with pytest.raises(error, match=detail):
        install(*commands)


@pytest.mark.parametrize("command", [[21, 0], [18, 0], [22, 0], [31, 0], [23, 0], [11, 0], [33, 0]])
def test_the_shared_sequence_does_nothing_to_components(command):
    with pytest.raises(IntegrityError, match="does not belong there"):
        read(shared=command)
    with pytest.raises(IntegrityError, match="does not belong there"):
        read(shared=[32, bstr(command)])


def test_with_several_components_every_sequence_begins_with_an_index():
    assert install(12, 0, 3, 0, components=TWO)
    with pytest.raises(IntegrityError, match="sequence install does not begin with a component index"):
        install(3, 0, components=TWO)
    with pytest.raises(IntegrityError, match="the shared sequence does not begin"):
        read(TWO, shared=[3, 0])


def test_limits_hold():
    nested = bstr([3, 0])
    for _ in range(3):
        nested = bstr([32, nested])
    with pytest.raises(PackageError, match=r"4, at most 3 \(max_sequence_depth\)"):
        read(m20=nested, limits=SuitLimits(max_sequence_depth=3))
    assert read(m20=nested, limits=SuitLimits(max_sequence_depth=4))
    with pytest.raises(PackageError, match=r"components: 3, at most 2 \(max_components\)"):
        read(TWO, dependencies={2: {}}, limits=SuitLimits(max_components=2))
    with pytest.raises(PackageError, match=r"a URI: 5, at most 4 \(max_uri_bytes\)"):
        read(m20=bstr([20, {21: "#abcd"}]), limits=SuitLimits(max_uri_bytes=4))


def test_limits_are_positive_and_not_too_deep():
    with pytest.raises(UsageError, match="limits are positive"):
        SuitLimits(max_payloads=0)
    with pytest.raises(UsageError, match="max_sequence_depth is at most 32"):
        SuitLimits(max_sequence_depth=33)


def test_parameters_have_their_types():
    info = encrypt(
        bytes(16),
        bytes(12),
        [WrappedKey(key=SecretKey(bytes(16)), key_id=b"k")],
        alg=1,
    ).message(None)
    found = parameters(
        p1=VENDOR, p2=CLASS, p3=bstr(sha256(IMAGE)), p5=1, p12=False, p14=8, p18=b"x", p19=info, p21="#app",
        p22=0, p23=b"args", p24=bytes(16), p25=b"",
    )  # fmt: skip
    assert found.vendor_id == VENDOR
    assert found.class_id == CLASS
    assert found.device_id == bytes(16)
    assert found.image_digest == SuitDigest(Hash.SHA256, sha256(IMAGE)[1])
    assert (found.component_slot, found.strict_order, found.image_size) == (1, False, 8)
    assert (found.content, found.uri, found.source_component) == (b"x", "#app", 0)
    assert (found.invoke_args, found.fetch_arguments, found.soft_failure) == (b"args", b"", None)
    assert found.encryption_info.ciphertext is None
    assert parameters(p1=cbor.Tag(112, b"\x19\x84\x5c")).vendor_id == b"\x19\x84\x5c"


@pytest.mark.parametrize(
    "given",
    [
        {"p1": VENDOR[1:]}, {"p1": cbor.Tag(111, b"x")}, {"p1": cbor.Tag(112, b"")}, {"p2": cbor.Tag(112, b"x")},
        {"p2": "x"}, {"p24": 1}, {"p14": 0}, {"p14": True}, {"p14": (1 << 48) + 1}, {"p5": -1}, {"p5": b"1"},
        {"p18": "x"}, {"p12": 1}, {"p21": b"#"}, {"p21": ""}, {"p22": None}, {"p23": []}, {"p25": 0},
    ],
)  # fmt: skip
def test_parameters_of_other_types_are_refused(given):
    with pytest.raises(IntegrityError, match="is not what it should be"):
        parameters(**given)


def test_encryption_info_is_a_message_without_content():
    key = WrappedKey(key=SecretKey(bytes(16)), key_id=b"k")
    made = encrypt(bytes(16), bytes(12), [key], alg=1)
    with pytest.raises(IntegrityError, match="encryption_info is not what it should be"):
        parameters(p19=made.message(b"ciphertext" * 3))
    with pytest.raises(IntegrityError, match="encryption_info is not what it should be"):
        parameters(p19=sign_one())


def sign_one():
    digest = sign(sha256(b""), PrivateKey.from_seed(KeyType.ED25519, bytes(32)))
    return cbor.loads(digest)[1]


def test_a_digest_lies_in_a_byte_string_of_its_own():
    with pytest.raises(IntegrityError, match="a digest is not an array in a byte string"):
        parameters(p3=sha256(IMAGE))
    with pytest.raises(IntegrityError, match="a digest is not an algorithm and its bytes"):
        parameters(p3=bstr([-16]))


def test_parameters_lie_over_others():
    first = Parameters(uri="#a", image_size=1, strict_order=True)
    assert Parameters(uri="#b", strict_order=False).over(first) == Parameters(
        uri="#b", image_size=1, strict_order=False
    )
    assert NO_PARAMETERS.over(first) == first


def test_parameters_show_what_is_set_and_no_content():
    assert repr(NO_PARAMETERS) == "Parameters()"
    assert repr(Parameters(uri="#a", image_size=1)) == "Parameters(image_size=1, uri='#a')"
    assert repr(Parameters(content=b"secret")) == "Parameters(content='6 bytes')"


TEXT = {"en-US": {1: "manifest", -1: "own", (b"\0",): {6: "1.2.3", 1: "vendor"}}, "fr": {(b"\1",): {6: "7"}}}


def test_text_is_by_language_and_component():
    (english, french) = read(m23=bstr(TEXT)).text
    assert (english.language, french.language) == ("fr", "en-US") or (english.language, french.language) == (
        "en-US",
        "fr",
    )
    texts = read(m23=bstr(TEXT)).text
    assert version_of(texts, (b"\0",)) == "1.2.3"
    assert version_of(texts, (b"\1",)) == "7"
    assert version_of(texts, (b"\2",)) is None
    (english,) = [each for each in texts if each.language == "en-US"]
    assert english.of_manifest == {1: "manifest", -1: "own"}
    assert english.of_components == {(b"\0",): {6: "1.2.3", 1: "vendor"}}


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ({}, "0 languages"),
        ({f"l{number}": {1: "x"} for number in range(17)}, "17 languages"),
        ({1: {1: "x"}}, "not by language"),
        ({"en": "x"}, "not by language"),
        ({"en": {1: 1}}, "not text by its number"),
        ({"en": {"x": "y"}}, "not text by its number"),
        ({"en": {(b"\0",): "y"}}, "not text by its number"),
        ({"en": {("a",): {1: "y"}}}, "not an array of byte strings"),
    ],
)
def test_text_that_is_not_what_it_should_be_is_refused(text, detail):
    with pytest.raises(IntegrityError, match=detail):
        read(m23=bstr(text))


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        ((b"\0",), "0x00"),
        ((b"app",), "app"),
        ((b"usr", b"bin", b"env"), "usr/bin/env"),
        ((b"a/b", b"0x", b""), "0x612f62/0x3078/0x"),
        ((b"caf\xc3\xa9",), "0x636166c3a9"),
    ],
)
def test_components_have_names_for_people_that_differ(component, expected):
    assert id_text(component) == expected


def test_a_member_that_was_severed_fits_its_digest():
    data = bstr([20, {21: "#app"}, 21, 0])
    found = read(m20=member_sha256(data))
    assert found.with_member(Key.INSTALL, data).sequences[Key.INSTALL] == (
        Assign(Parameters(uri="#app"), is_forced=True),
        Act(Directive.FETCH),
    )
    with pytest.raises(IntegrityError, match="digest mismatch: install was changed"):
        found.with_member(Key.INSTALL, data + b"\0")
    with pytest.raises(IntegrityError, match="text lies beside the manifest, which has no digest of it"):
        found.with_member(Key.TEXT, data)
    text = bstr({"en": {1: "x"}})
    assert read(m23=member_sha256(text)).with_member(Key.TEXT, text).text[0].of_manifest == {1: "x"}


def test_an_envelope_is_made_as_the_examples_are():
    assert envelope(manifest())[:3] == bytes.fromhex("d86ba2")


@pytest.mark.parametrize("component", [(b"\0",), (b"app",), (b"usr", b"bin", b"env"), (b"a/b", b"0x", b"")])
def test_names_lead_back_to_components(component):
    assert parse_id(id_text(component)) == component


def test_hex_digits_of_a_name_are_some():
    with pytest.raises(UsageError, match="'0xz' is not the hex digits"):
        parse_id("0xz")
