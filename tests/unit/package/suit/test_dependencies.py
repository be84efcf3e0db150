"""Manifests that depend on others (draft-ietf-suit-trust-domains-11)."""

import pytest
from suit_forge import SIGNER, bstr, envelope, manifest, member_sha256, sha256

from lwm2m_fota.errors import IntegrityError, PackageError, UnsupportedPackageError, UsageError
from lwm2m_fota.package.crypto import KeyType, PrivateKey
from lwm2m_fota.package.formats.registry import FormatRegistry
from lwm2m_fota.package.formats.suit.format import SuitFormat
from lwm2m_fota.package.formats.suit.limits import SuitLimits
from lwm2m_fota.package.rollback import Counted, Counter
from lwm2m_fota.package.trust import TrustPolicy, UnsafeChoice, UnsafeTrustPolicy
from lwm2m_fota.package.types import component_pieces
from lwm2m_fota.package.verifier import PackageVerifier

TRUST = TrustPolicy(keys=[SIGNER.public_key])
APP, RADIO = b"application" * 9, b"radio" * 30
STRANGER = PrivateKey.from_seed(KeyType.ED25519, bytes(range(32)))


def verify(data, trust=TRUST, step=None, **limits):
    formats = FormatRegistry((SuitFormat(limits=SuitLimits(**limits)),))
    verifier = PackageVerifier(trust, formats=formats)
    for at in range(0, len(data), step or len(data)):
        verifier.feed(data[at : at + (step or len(data))])
    return verifier.finish()


def contents(data, *args, **options):
    package = verify(data, *args, **options)

    def read(offset, size):
        return data[offset : offset + size]

    return {each.name: b"".join(component_pieces(each, read)) for each in package.components}


def image(data, uri):
    return [20, {3: bstr(sha256(data)), 14: len(data), 21: uri}, 21, 2, 3, 15]


RADIO_MANIFEST = manifest(
    ((b"radio",),), number=3, m20=bstr(image(RADIO, "#r")), m23=bstr({"en": {(b"radio",): {6: "2"}}})
)
RADIO_ENVELOPE = envelope(RADIO_MANIFEST, payloads={"#r": RADIO})


def resolve(inner=RADIO_MANIFEST, uri="#d", size=None, index=1):
    """Fetch and compare a dependency."""
    given = {3: bstr(member_sha256(inner)), 21: uri}
    return [12, index, 20, given if size is None else {**given, 14: size}, 21, 0, 7, 15]


PROCESS = [12, 1, 11, 0]
INSTALL = [*PROCESS, 12, 0, *image(APP, "#app")]


def root(resolution=None, install=None, prefix=None, **members):
    prefixes = {1: {} if prefix is None else {1: prefix}}
    members = {"m15": bstr(resolution or resolve()), "m20": bstr(install or INSTALL), **members}
    return manifest(((b"app",),), dependencies=prefixes, number=9, **members)


def package(manifest_bytes=None, inner=RADIO_ENVELOPE, **payloads):
    found = {"#d": inner, "#app": APP, **{f"#{name}": data for name, data in payloads.items()}}
    return envelope(manifest_bytes or root(), payloads=found)


@pytest.mark.parametrize("step", [None, 1, 50])
def test_a_dependency_is_installed_with_its_own_payload(step):
    data = package()
    assert contents(data, step=step) == {"radio": RADIO, "app": APP}
    found = verify(data)
    assert [each.name for each in found.components] == ["radio", "app"]
    assert [each.version for each in found.components] == ["2", None]
    assert found.counters == (Counter("radio", 3), Counter("app", 9), Counter("radio", 9, Counted.ROOT))


def test_the_published_example_with_an_integrated_dependency_is_installed(examples, published):
    data = examples["suit-trust-domains/example2_integrated"]
    expected = {"dependent.suit/00": b"hello world", "10": b" in multiple trust domains"}
    assert contents(data, published) == expected
    assert contents(data, published, step=1) == expected


def test_the_published_example_with_a_detached_dependency_is_installed(examples, published):
    first, inner = (examples[f"suit-trust-domains/{name}"] for name in ("example1_process", "example0_dependent"))
    verifier = PackageVerifier(published)
    verifier.feed(first)
    assert verifier.awaited_uri == "http://example.com/dependent.suit"
    expected = {"dependent.suit/00": b"hello world", "10": b" in multiple trust domains"}
    assert contents(first + inner, published, step=7) == expected
    with pytest.raises(IntegrityError, match=r"truncated: payload http://example.com/dependent.suit is not there"):
        verify(first, published)
    with pytest.raises(IntegrityError, match="truncated: 1 bytes of a payload are missing"):
        verify((first + inner)[:-1], published)
    with pytest.raises(IntegrityError, match="malformed: bytes follow"):
        verify(first + inner + b"x", published)


def test_with_any_bit_flipped_it_is_refused(examples, published, record_property, counts):
    data = examples["suit-trust-domains/example2_integrated"]
    step, refused = counts(3, 1), 0
    for bit in range(0, len(data) * 8, step):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(PackageError):
            verify(bytes(changed), published)
        refused += 1
    for size in range(1, len(data)):
        with pytest.raises(PackageError):
            verify(data[:size], published)
    record_property("figure", f"SUIT: {refused} flips and {len(data) - 1} truncations with a dependency, all refused")


def test_detached_payloads_follow_those_of_dependencies():
    inner = envelope(manifest(((b"radio",),), m20=bstr(image(RADIO, "coap://host/r"))))
    bytes_of_manifest = manifest(((b"radio",),), m20=bstr(image(RADIO, "coap://host/r")))
    first = root(
        resolve(bytes_of_manifest, "coap://host/d", len(inner)),
        [*PROCESS, 12, 0, *image(APP, "coap://host/app")],
    )
    data = envelope(first)
    verifier = PackageVerifier(TRUST)
    awaited = []
    for piece in (data, inner, RADIO, APP):
        verifier.feed(piece)
        awaited.append(verifier.awaited_uri)
    assert awaited == ["coap://host/d", "coap://host/r", "coap://host/app", None]
    assert contents(data + inner + RADIO + APP) == {"radio": RADIO, "app": APP}


@pytest.mark.parametrize("name", ["#1", "0x2f312f2f", "0x/1/0x/0x", "1"])
def test_a_component_is_not_the_manifest_that_is_depended_on_whatever_it_is_called(name):
    """A manifest that is no component is called as no id is written."""
    component = tuple(bytes.fromhex(each[2:]) if each.startswith("0x") else each.encode() for each in name.split("/"))
    first = manifest((component,), dependencies={1: {}}, m15=bstr(resolve()), m20=bstr(INSTALL))
    assert contents(package(first)) == {name: APP, "radio": RADIO}


@pytest.mark.parametrize("name", [b"modem#1", b"modem"])
def test_a_component_is_not_what_another_manifest_depends_on(name):
    middle = root()
    install = [12, 0, *image(RADIO, "#r"), *PROCESS]  # what holds the component comes before what depends
    first = manifest(
        ((name,),), dependencies={1: {1: [b"modem"]}}, m15=bstr([*resolve(middle, "#m"), 11, 0]), m20=bstr(install)
    )
    data = envelope(first, payloads={"#m": package(middle), "#r": RADIO})
    assert contents(data) == {"modem/radio": RADIO, "modem/app": APP, name.decode(): RADIO}


def test_an_envelope_is_not_the_one_within_another_whose_names_read_the_same():
    """#a#b of the first envelope, and #b of the one that is #a: each has its own payload, and what it depends on."""

    def pair(name):
        """A manifest that depends on another one, and its envelope; both bring a component."""
        leaf = manifest(((b"leaf-" + name,),), m20=bstr(image(name * 9, "#r")))
        install = bstr([*PROCESS, 12, 0, *image(name * 8, "#r")])
        upper = manifest(((name,),), dependencies={1: {}}, m15=bstr([*resolve(leaf, "#z"), 11, 0]), m20=install)
        return upper, envelope(upper, payloads={"#r": name * 8, "#z": envelope(leaf, payloads={"#r": name * 9})})

    (inside, inside_envelope), (beside, beside_envelope) = pair(b"in"), pair(b"by")
    middle = manifest((), dependencies={0: {}}, m15=bstr([*resolve(inside, "#b", index=0), 11, 0]), m20=bstr([11, 0]))
    first = manifest(
        (),
        dependencies={0: {}, 1: {}},
        m15=bstr([*resolve(middle, "#a", index=0), 11, 0, *resolve(beside, "#a#b"), 11, 0]),
        m20=bstr([12, 0, 11, 0, *PROCESS]),
    )
    data = envelope(first, payloads={"#a": envelope(middle, payloads={"#b": inside_envelope}), "#a#b": beside_envelope})
    assert contents(data) == {"leaf-in": b"in" * 9, "in": b"in" * 8, "leaf-by": b"by" * 9, "by": b"by" * 8}


def test_the_ids_of_a_dependency_get_its_prefix():
    assert contents(package(root(prefix=[b"modem"]))) == {"modem/radio": RADIO, "app": APP}


def test_a_dependency_may_be_one_of_the_components():
    first = manifest(((b"app",), (b"manifest",)), dependencies={1: {}}, m15=bstr(resolve()), m20=bstr(INSTALL))
    assert contents(package(first)) == {"radio": RADIO, "app": APP}


def test_dependencies_are_told_from_components_in_a_try_each():
    process = bstr([8, 0, 3, 15, 11, 0])
    fetch = bstr([20, {21: "#app"}, 21, 0, 3, 15])
    install = [12, 0, 20, {3: bstr(sha256(APP)), 14: len(APP)}, 12, True, 15, [process, fetch]]
    assert contents(package(root(install=install))) == {"radio": RADIO, "app": APP}
    with pytest.raises(UnsupportedPackageError, match="component app is no dependency"):
        verify(package(root(install=[12, 0, 8, 0])))
    with pytest.raises(UnsupportedPackageError, match="component app is no dependency"):
        verify(package(root(install=[12, 0, 7, 0])))


def test_a_manifest_that_is_depended_on_is_not_unlinked():
    with pytest.raises(UnsupportedPackageError, match="an unlink of"):
        verify(package(root(install=[*PROCESS, 33, 0])))


def test_who_depends_may_set_parameters_first():
    inner = manifest(((b"radio",),), m20=bstr([19, {21: "#no"}, 20, {3: bstr(sha256(RADIO))}, 21, 0, 3, 15]))
    first = manifest(
        ((b"app",), (b"radio",)),
        dependencies={2: {}},
        m15=bstr(resolve(inner, index=2)),
        m20=bstr([12, 1, 20, {21: "#r"}, 12, 2, 11, 0, 12, 0, *image(APP, "#app")]),
    )
    data = package(first, envelope(inner, payloads={"#r": RADIO}))
    assert contents(data) == {"radio": RADIO, "app": APP}


def test_dependencies_have_dependencies():
    middle = root()
    middle_envelope = package(middle)
    first = manifest((), dependencies={0: {}}, m15=bstr([*resolve(middle, "#m", index=0), 11, 0]), m20=bstr([11, 0]))
    data = envelope(first, payloads={"#m": middle_envelope})
    assert contents(data) == {"radio": RADIO, "app": APP}
    with pytest.raises(PackageError, match=r"at most 1 \(max_dependency_depth\)"):
        verify(data, max_dependency_depth=1)
    with pytest.raises(PackageError, match=r"at most 1 \(max_dependencies\)"):
        verify(data, max_dependencies=1)
    without = envelope(middle, payloads={"#app": APP})
    with pytest.raises(IntegrityError, match="malformed: envelope #d is not there"):
        verify(envelope(first, payloads={"#m": without}))


def around(number, manifest_id=None, inner=RADIO_MANIFEST):
    """A package whose first manifest installs nothing itself."""
    members = {} if manifest_id is None else {"m5": [manifest_id]}
    resolution, install = bstr([*resolve(inner, index=0), 11, 0]), bstr([11, 0])
    first = manifest((), dependencies={0: {}}, number=number, m15=resolution, m20=install, **members)
    return envelope(first, payloads={"#d": envelope(inner, payloads={"#r": RADIO})})


@pytest.mark.parametrize(
    ("manifest_id", "key"), [(b"root", ("root", Counted.MANIFEST)), (None, ("radio", Counted.ROOT))]
)
def test_a_manifest_that_only_depends_on_others_is_not_older_than_the_last_one(manifest_id, key):
    package = verify(around(5, manifest_id))
    name, of = key
    assert package.counters == (Counter("radio", 3), Counter(name, 5, of))
    later = TRUST.with_floor(TRUST.rollback_floor.raised(package.counters))
    assert verify(around(5, manifest_id), later)
    assert verify(around(6, manifest_id), later)
    with pytest.raises(IntegrityError, match=f"rollback: counter 4 of .* {name}, at least 5"):
        verify(around(4, manifest_id), later)


def test_a_manifest_counts_under_its_own_name_wherever_it_stands():
    inner = manifest(((b"radio",),), number=3, m5=[b"root"], m20=bstr(image(RADIO, "#r")))
    assert verify(around(5, inner=inner)).counters == (
        Counter("radio", 3),
        Counter("root", 3, Counted.MANIFEST),
        Counter("radio", 5, Counted.ROOT),
    )
    first = root(resolve(inner), prefix=[b"modem"], m5=[b"modem", b"root"])
    assert verify(package(first, envelope(inner, payloads={"#r": RADIO}))).counters == (
        Counter("modem/radio", 3),
        Counter("app", 9),
        Counter("modem/root", 9, Counted.MANIFEST),
    )


@pytest.mark.parametrize(
    "tried",
    [
        lambda new, old: [15, [bstr([*new, 14, 0]), bstr(old)]],  # try-each: the first one does not hold
        lambda new, old: [*old, 12, 0, 32, bstr([20, {13: True}, *new, 14, 0])],  # run-sequence, with soft failure
    ],
    ids=["try-each", "run-sequence"],
)
def test_what_an_alternative_has_tried_in_vain_counts_for_nothing(tried):
    """Two releases of what is called alike: the newer one is processed, and given up for the older one."""
    old = manifest(((b"radio",),), number=3, m5=[b"m"], m20=bstr(image(RADIO, "#r")))
    new = manifest(((b"radio",),), number=50, m5=[b"m"], m20=bstr(image(RADIO, "#r")))
    resolution = bstr([*resolve(new, "#n", index=0), *resolve(old, "#o")])
    install = bstr([12, 0, *tried([12, 0, 11, 0], [12, 1, 11, 0])])
    first = manifest((), dependencies={0: {}, 1: {}}, number=9, m15=resolution, m20=install)
    payloads = {f"#{name}": envelope(each, payloads={"#r": RADIO}) for name, each in (("n", new), ("o", old))}
    data = envelope(first, payloads=payloads)
    assert verify(data).counters == (
        Counter("radio", 3),
        Counter("m", 3, Counted.MANIFEST),
        Counter("radio", 9, Counted.ROOT),
    )
    floor = TRUST.rollback_floor.raised([Counter("m", 10, Counted.MANIFEST)])
    with pytest.raises(IntegrityError, match="rollback: counter 3 of manifest m, at least 10"):
        verify(data, TRUST.with_floor(floor))


def test_manifests_of_two_levels_may_number_their_dependencies_alike():
    """Each has the manifest that it depends on at index 1, and a component that it installs itself."""
    middle = manifest(
        ((b"middle",),),
        dependencies={1: {}},
        number=4,
        m15=bstr([*resolve(), 11, 0]),
        m20=bstr([*PROCESS, 12, 0, *image(APP, "#mid")]),
    )
    first = root([*resolve(middle, "#m"), 11, 0])
    data = envelope(first, payloads={"#m": package(middle, mid=APP), "#app": APP})
    assert contents(data) == {"radio": RADIO, "middle": APP, "app": APP}


@pytest.mark.parametrize("uri", ["#\x1b[31mred", "#line\nand line", "#\x00", "#\u202egnp"])
def test_names_of_payloads_are_told_without_what_they_would_do_to_a_terminal(uri):
    shown = ascii(uri)[1:-1]
    far = f"coap://host/{uri[1:]}"
    wrong = envelope(manifest(((b"app",),), m20=bstr(image(APP, uri))), payloads={uri: APP[:-1] + b"x"})
    short = envelope(manifest(((b"app",),), m20=bstr(image(APP, uri))), payloads={uri: APP[:-1]})
    packages = [
        package(root(resolve(uri=uri)), inner=b"x"),
        envelope(root(resolve(uri=uri)), payloads={uri: b"x"}),
        envelope(root(resolve(uri=uri, size=7)), payloads={uri: RADIO_ENVELOPE}),
        envelope(root(resolve(uri=uri))),
        envelope(root(resolve(uri=far))),
        envelope(root(), payloads={uri: APP}),
        envelope(manifest(((b"app",),), m20=bstr(image(APP, uri)))),
        wrong,
        short,
        package(root([12, 1, 20, {3: bstr(member_sha256(RADIO_MANIFEST)), 21: uri}, 21, 0, 8, 15, 11, 0])),
    ]
    told = []
    for data in packages:
        for step, limits in ((None, {}), (1, {"max_held_bytes": 8})):
            with pytest.raises(PackageError) as caught:
                verify(data, step=step, **limits)
            assert str(caught.value).isprintable()
            told.append(str(caught.value))
    assert sum(shown in each for each in told) >= 8


def test_sections_that_a_dependency_does_not_have_are_nothing():
    assert contents(package(root(m7=bstr(PROCESS), m16=bstr(PROCESS)))) == {"radio": RADIO, "app": APP}


def test_a_condition_of_a_dependency_ends_the_update():
    inner = manifest(((b"radio",),), m20=bstr([14, 15]))
    tried = bstr([11, 0])
    first = root(resolve(inner), [12, 1, 15, [tried, None]])
    with pytest.raises(UnsupportedPackageError, match="condition failed"):
        verify(package(first, envelope(inner)))


@pytest.mark.parametrize(
    ("first", "detail"),
    [
        (root(resolve(manifest(number=4))), "digest mismatch: a manifest that is depended on was changed"),
        (root([12, 1, 20, {21: "#d"}, 21, 0, 7, 15]), "the digest of the image is not set"),
        (
            root(resolve()[:-2]),
            "malformed: a manifest is to be processed that is no dependency, or has not been compared",
        ),
        (root([*resolve(), 21, 0]), "has not been compared"),
        (root(install=[12, 0, 11, 0]), "has not been compared"),
        (
            root([12, 1, 20, {3: bstr(member_sha256(RADIO_MANIFEST))}, 7, 15]),
            "a manifest that is depended on, and not fetched",
        ),
    ],
)
def test_a_dependency_is_fetched_and_compared_before_it_is_processed(first, detail):
    with pytest.raises(PackageError, match=detail):
        verify(package(first))


def test_a_dependency_is_signed_by_whoever_has_to():
    for signers, detail in (((), "unsigned"), ((STRANGER,), "untrusted key")):
        inner = envelope(RADIO_MANIFEST, payloads={"#r": RADIO}, signers=signers)
        with pytest.raises(IntegrityError, match=detail):
            verify(package(inner=inner))
    nobody = UnsafeTrustPolicy(choices=[UnsafeChoice.ACCEPT_UNSIGNED])
    assert verify(package(inner=envelope(RADIO_MANIFEST, payloads={"#r": RADIO}, signers=())), nobody)


def test_the_payload_of_a_dependency_is_compared():
    with pytest.raises(IntegrityError, match="digest mismatch: payload #r is not what"):
        verify(package(inner=envelope(RADIO_MANIFEST, payloads={"#r": RADIO[:-1] + b"x"})))
    with pytest.raises(IntegrityError, match="truncated: payload #r is not there"):
        verify(package(inner=envelope(RADIO_MANIFEST)))


def test_payloads_of_two_envelopes_may_have_one_name():
    inner = manifest(((b"radio",),), m20=bstr(image(RADIO, "#app")))
    data = package(root(resolve(inner)), envelope(inner, payloads={"#app": RADIO}))
    assert contents(data) == {"radio": RADIO, "app": APP}


def test_an_envelope_that_is_held_is_not_too_long():
    size = len(RADIO_ENVELOPE)
    assert verify(package(), max_held_bytes=size)
    with pytest.raises(PackageError, match=rf"envelope #d: {size}, at most {size - 1} \(max_held_bytes\)"):
        verify(package(), max_held_bytes=size - 1)
    with pytest.raises(UsageError, match="max_dependency_depth is at most 32"):
        SuitLimits(max_dependency_depth=33)


def test_an_envelope_has_the_length_that_is_said():
    assert verify(package(root(resolve(size=len(RADIO_ENVELOPE)))))
    with pytest.raises(IntegrityError, match=r"envelope #d has .* bytes, not 7"):
        verify(package(root(resolve(size=7))))
    with pytest.raises(UnsupportedPackageError, match="payload coap://host/d, whose length the manifest does not say"):
        verify(envelope(root(resolve(uri="coap://host/d"))))


def test_payloads_do_not_come_before_the_manifests_that_tell_what_they_are():
    first = root(resolve(uri="#zzz"))
    data = envelope(first, payloads={"#app": APP, "#zzz": RADIO_ENVELOPE})
    with pytest.raises(UnsupportedPackageError, match="payload #app, which comes before the manifests"):
        verify(data)
    with pytest.raises(IntegrityError, match="truncated: payload #zzz is not there"):
        verify(envelope(first))
    with pytest.raises(IntegrityError, match="malformed: bytes follow the envelope"):
        verify(envelope(first) + b"x")


def test_an_envelope_that_is_not_where_its_name_belongs_is_missing():
    for payloads in ({"#app": APP}, {"#e": APP}):
        with pytest.raises(IntegrityError, match="truncated: payload #d is not there"):
            verify(envelope(root(), payloads=payloads))
    with pytest.raises(UnsupportedPackageError, match="payload #c, which comes before the manifests"):
        verify(envelope(root(), payloads={"#c": APP, "#d": RADIO_ENVELOPE}))
    far = root(resolve(uri="coap://host/d", size=len(RADIO_ENVELOPE)))
    with pytest.raises(UnsupportedPackageError, match="payload #app, which comes before the manifests"):
        verify(envelope(far, payloads={"#app": APP}))


def test_what_follows_a_dependency_is_refused():
    with pytest.raises(IntegrityError, match="1 bytes follow the envelope"):
        verify(package(inner=RADIO_ENVELOPE + b"\0"))


def test_content_that_a_dependency_writes_has_its_place():
    inner = manifest(((b"radio",),), m20=bstr([20, {18: RADIO}, 18, 0]))
    assert contents(package(root(resolve(inner)), envelope(inner))) == {"radio": RADIO, "app": APP}
