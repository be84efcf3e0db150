"""Commands, run over what components would hold."""

import hashlib
import sys

import pytest
from suit_forge import CLASS, VENDOR, bstr, manifest, sha256

from lwm2m_fota.errors import IntegrityError, PackageError, UnsupportedPackageError
from lwm2m_fota.package.cose.create import WrappedKey, encrypt
from lwm2m_fota.package.crypto import Hash, SecretKey
from lwm2m_fota.package.formats.suit.content import Decrypted, Expectation, Fetched, Kept, Written
from lwm2m_fota.package.formats.suit.digests import SuitDigest
from lwm2m_fota.package.formats.suit.limits import SuitLimits
from lwm2m_fota.package.formats.suit.machine import MachineState, Surroundings
from lwm2m_fota.package.formats.suit.manifest import read_manifest
from lwm2m_fota.package.formats.suit.plan import make_plan
from lwm2m_fota.package.formats.suit.processor import Processor, Run
from lwm2m_fota.package.identity import DeviceIdentity, MadeFor

IMAGE = b"an image"
DIGEST = SuitDigest(Hash.SHA256, hashlib.sha256(IMAGE).digest())
TWO = ((b"a",), (b"b",))
DEVICE = Surroundings(
    identity=DeviceIdentity(vendor_ids=(VENDOR,), class_ids=(b"c" * 16, CLASS), device_ids=(b"d" * 16,))
)
FETCH = [20, {3: bstr(sha256(IMAGE)), 14: 8, 21: "#app"}, 21, 2, 3, 15]
APP = Fetched("#app", 8)
KEY = WrappedKey(key=SecretKey(bytes(16)), key_id=b"k")
INFO = encrypt(bytes(16), bytes(12), [KEY], alg=1).message(None)


def run(*commands, components=((b"a",),), around=DEVICE, limits=None, **members):
    limits = limits or SuitLimits()
    if commands:
        members["m20"] = bstr(list(commands))
    return Processor(read_manifest(manifest(components, **members), limits), Run(around, limits)).run()


def plan(*commands, components=((b"a",),), **options):
    names = tuple(b"/".join(each).decode() for each in components)
    return make_plan(run(*commands, components=components, **options), names)


def test_an_image_is_fetched_and_has_to_have_its_digest():
    found = plan(*FETCH)
    assert found.installs == {"a": APP}
    assert found.expectations == (Expectation(APP, DIGEST, 8),)
    assert found.payloads == {((), "#app"): 8}


def test_sections_run_in_order_each_after_the_shared_sequence_and_parameters_stay():
    """Payload fetch (16), install (20), validate (7); what one sets, the next one finds."""
    state = run(
        components=TWO,
        shared=[12, 0, 20, {14: 8}],
        m7=bstr([12, 1, 3, 15]),
        m16=bstr([12, 1, 20, {3: bstr(sha256(IMAGE)), 21: "#app"}, 21, 0]),
        m20=bstr([12, 0, 20, {22: 1}, 22, 0]),
    )
    assert state.contents == {"a": Fetched("#app", None), "b": Fetched("#app", None)}
    assert state.expectations == (Expectation(Fetched("#app", None), DIGEST, None),)
    assert state.sources == {"b"}


def test_commands_are_for_each_component_that_is_selected():
    state = run(12, True, 20, {21: "#app"}, 12, [1, 0], 21, 0, components=TWO)
    assert state.contents == {"a": Fetched("#app", None), "b": Fetched("#app", None)}
    assert run(12, 1, 20, {21: "#b"}, 21, 0, components=TWO).contents == {"b": Fetched("#b", None)}


def test_forced_parameters_replace_and_others_do_not():
    assert run(20, {21: "#1"}, 20, {21: "#2"}, 21, 0).contents == {"a": Fetched("#2", None)}
    assert run(20, {21: "#1"}, 19, {21: "#2", 14: 5}, 21, 0).contents == {"a": Fetched("#1", 5)}


@pytest.mark.parametrize(
    ("number", "condition", "value", "made_for"),
    [
        (1, 1, VENDOR, MadeFor(vendor_id=VENDOR)),
        (2, 2, CLASS, MadeFor(class_id=CLASS)),
        (24, 24, b"d" * 16, MadeFor(device_id=b"d" * 16)),
    ],
)
def test_ids_are_those_of_the_device(number, condition, value, made_for):
    assert run(20, {number: value}, condition, 15).made_for == made_for
    with pytest.raises(UnsupportedPackageError, match="wrong device: it is for") as caught:
        run(20, {number: b"x" * 16}, condition, 15)
    assert caught.value.reason == "package.wrong-device"
    with pytest.raises(UnsupportedPackageError, match="id is not set") as caught:
        run(condition, 15)
    assert caught.value.reason == "package.condition-failed"
    with pytest.raises(UnsupportedPackageError, match="wrong device"):
        run(20, {number: value}, condition, 15, around=Surroundings())
    anybody = Surroundings(is_any_device=True)
    assert run(20, {number: b"x" * 16}, condition, 15, around=anybody).made_for != MadeFor()


def test_the_first_id_of_a_kind_is_told():
    state = run(20, {2: CLASS}, 2, 15, 20, {2: b"c" * 16}, 2, 15)
    assert state.made_for == MadeFor(class_id=CLASS)


def test_an_image_match_of_what_the_device_holds_needs_its_digest():
    held = Surroundings(held={"a": DIGEST.value})
    commands = [20, {3: bstr(sha256(IMAGE))}, 3, 15]
    assert run(*commands, around=held).contents == {}
    for around in (Surroundings(), Surroundings(held={"a": bytes(32)})):
        with pytest.raises(UnsupportedPackageError, match="condition failed: component a does not hold"):
            run(*commands, around=around)
    sha384 = [-43, hashlib.sha384(IMAGE).digest()]
    with pytest.raises(UnsupportedPackageError, match="does not hold"):
        run(20, {3: bstr(sha384)}, 3, 15, around=held)
    with pytest.raises(UnsupportedPackageError, match="the digest of the image is not set"):
        run(3, 15)


def test_an_image_match_of_what_is_written_is_judged_at_once():
    assert run(20, {18: IMAGE, 3: bstr(sha256(IMAGE)), 14: 8}, 18, 0, 3, 15).contents == {"a": Written(IMAGE)}
    for wrong in ({3: bstr(sha256(b"other"))}, {14: 9}):
        with pytest.raises(IntegrityError, match="digest mismatch: what is written to component a"):
            run(20, {18: IMAGE, 3: bstr(sha256(IMAGE)), **wrong}, 18, 0, 3, 15)


def test_content_is_compared_by_its_digest():
    assert run(20, {18: IMAGE}, 18, 0, 6, 15).contents == {"a": Written(IMAGE)}
    assert run(20, {18: IMAGE, 21: "#app"}, 21, 0, 6, 15).expectations == (
        Expectation(Fetched("#app", None), DIGEST, 8),
    )
    with pytest.raises(IntegrityError, match="digest mismatch"):
        run(20, {18: IMAGE}, 18, 0, 20, {18: b"other"}, 6, 15)
    with pytest.raises(UnsupportedPackageError, match="the content is not set"):
        run(6, 15)


def test_slots_are_those_that_the_device_tells():
    around = Surroundings(slots={"a": 1})
    assert run(20, {5: 1}, 5, 15, around=around)
    for other in (around, Surroundings()):
        with pytest.raises(UnsupportedPackageError, match="component a does not go to slot 0"):
            run(20, {5: 0}, 5, 15, around=other)
    with pytest.raises(UnsupportedPackageError, match="the slot is not set"):
        run(5, 15, around=around)


def test_abort_and_conditions_on_dependencies_fail():
    with pytest.raises(UnsupportedPackageError, match="does not fit"):
        run(14, 15)
    for condition in (7, 8):
        with pytest.raises(UnsupportedPackageError, match="is no dependency"):
            run(condition, 15)


def alternative(slot):
    return bstr([20, {5: slot}, 5, 0, 20, {21: f"#{slot}"}])


def test_the_first_alternative_that_fits_is_taken():
    for slot in (0, 1):
        around = Surroundings(slots={"a": slot})
        state = run(15, [alternative(0), alternative(1)], 21, 0, around=around)
        assert state.contents == {"a": Fetched(f"#{slot}", None)}


def test_without_one_that_fits_the_first_failure_is_told():
    with pytest.raises(UnsupportedPackageError, match="slot 0"):
        run(15, [alternative(0), alternative(1)])
    assert run(15, [alternative(0), None]).contents == {}


def test_an_alternative_that_fails_has_done_nothing():
    failing = bstr([20, {21: "#other", 14: 1}, 21, 0, 14, 0])
    state = run(20, {21: "#app"}, 15, [failing, None], 21, 0)
    assert state.contents == {"a": Fetched("#app", None)}


def test_a_failure_that_is_not_soft_ends_all_alternatives():
    hard = bstr([20, {13: False}, 14, 0])
    good = bstr([20, {21: "#app"}])
    with pytest.raises(UnsupportedPackageError, match="does not fit"):
        run(15, [hard, good])
    outer = bstr([15, [hard, good]])
    assert run(15, [outer, good], 21, 0).contents == {"a": Fetched("#app", None)}


def test_a_sequence_within_fails_hard_unless_it_says_otherwise():
    with pytest.raises(UnsupportedPackageError, match="does not fit"):
        run(32, bstr([14, 0]))
    assert run(32, bstr([20, {13: True, 21: "#x"}, 21, 0, 14, 0])).contents == {}
    assert run(32, bstr([20, {21: "#x"}, 21, 0])).contents == {"a": Fetched("#x", None)}
    assert run(15, [bstr([32, bstr([14, 0])]), None]).contents == {}


def test_sequences_within_run_once_for_each_component_and_leave_the_selection():
    inner = bstr([20, {21: "#in"}, 21, 0])
    state = run(12, True, 32, inner, 15, [inner, None], 20, {21: "#out"}, 21, 0, components=TWO)
    assert state.contents == {"a": Fetched("#out", None), "b": Fetched("#out", None)}


def test_a_copy_and_a_swap_take_what_the_other_component_holds():
    fetch = [12, 1, 20, {21: "#app"}, 21, 0, 12, 0, 20, {22: 1}]
    copied = run(*fetch, 22, 0, components=TWO)
    assert copied.contents == {"a": Fetched("#app", None), "b": Fetched("#app", None)}
    swapped = run(*fetch, 31, 0, components=TWO)
    assert swapped.contents == {"a": Fetched("#app", None), "b": Kept("a")}
    assert copied.sources == swapped.sources == {"b"}


def test_what_is_unlinked_is_not_installed():
    fetch = [12, 0, 20, {21: "#app"}, 21, 0]
    assert run(*fetch, 33, 0).contents == {}
    assert run(*fetch, 12, 1, 20, {18: b"x"}, 18, 0, 33, 0, components=TWO).contents == {"a": Fetched("#app", None)}
    with pytest.raises(UnsupportedPackageError, match="an unlink of a, which this update has not put there"):
        run(*fetch, 33, 0, 33, 0)


def test_what_is_encrypted_is_decrypted_on_its_way():
    state = run(12, 1, 20, {21: "#app"}, 21, 0, 12, 0, 20, {19: INFO, 22: 1}, 22, 0, components=TWO)
    assert isinstance(state.contents["a"], Decrypted)
    assert state.contents["a"].of == Fetched("#app", None)
    written = run(20, {18: b"secret", 19: INFO}, 18, 0).contents["a"]
    assert written.of == Written(b"secret")
    with pytest.raises(UnsupportedPackageError, match="encrypted twice"):
        run(12, 1, 20, {18: b"x", 19: INFO}, 18, 0, 12, 0, 20, {19: INFO, 22: 1}, 22, 0, components=TWO)


@pytest.mark.parametrize(
    ("commands", "detail"),
    [
        ([21, 0], "malformed: a fetch for component a, and no URI is set"),
        ([18, 0], "malformed: a write to component a, and no content is set"),
        ([20, {18: b""}, 18, 0], "malformed: a write to component a"),
        ([22, 0], "malformed: component a is to come from another one"),
        ([20, {22: 0}, 22, 0], "malformed: component a is to come from another one"),
        ([31, 0], "malformed: component a is to come from another one"),
        ([33, 0], "unsupported algorithm: an unlink of a, which this update has not put there"),
        ([11, 0], "malformed: a manifest is to be processed that is no dependency"),
        ([15, [bstr([33, 0]), None]], "an unlink of a"),
    ],
)
def test_a_directive_that_cannot_be_done_ends_the_update(commands, detail):
    with pytest.raises(PackageError, match=detail):
        run(*commands)


def test_what_the_device_holds_is_not_copied():
    with pytest.raises(UnsupportedPackageError, match="a copy of what the device holds already"):
        run(12, 0, 20, {22: 1}, 22, 0, components=TWO)


def check_count(most, *commands, **options):
    """So many commands are run, and not one less."""
    run(*commands, limits=SuitLimits(max_commands=most), **options)
    with pytest.raises(PackageError, match=rf"commands that are run: {most}, at most {most - 1} \(max_commands\)"):
        run(*commands, limits=SuitLimits(max_commands=most - 1), **options)


@pytest.mark.parametrize(
    ("count", "commands"),
    [
        (4, [12, True, 20, {5: 1}]),  # a selection and an assignment count for each component too
        (7, [12, [0, 1], 19, {5: 1}, 20, {5: 1}, 12, 1]),
        (10, [12, True, 20, {5: 1}, *[5, 0] * 3]),
        (5, [12, 0, 15, [bstr([14, 0]), bstr([20, {5: 1}])], 12, 1]),  # what fails was work, too
        (2 + 2 * (1 + 2 + 2), [12, True, 32, bstr([12, True, 20, {5: 1}])]),
        (2 + 2 * (1 + 2 + 2 * (1 + 2 + 2)), [12, True, 32, bstr([12, True, 32, bstr([12, True, 20, {5: 1}])])]),
        (4 + 2, [12, 0, 20, {18: bytes(4096)}, 18, 0, 6, 0]),  # hashed are the content, and what was written
        (4 + 4, [12, 0, 20, {18: bytes(20479), 3: bstr(sha256(bytes(20479)))}, 18, 0, 3, 0]),
    ],
)
def test_commands_are_counted(count, commands):
    check_count(count, *commands, components=TWO, around=Surroundings(slots={"a": 1, "b": 1}))


def test_few_bytes_make_no_more_work_than_the_limit():
    """What is run grows with the components to the power of the depth; a manifest of 300 bytes ends at once."""
    components = tuple((bytes([97 + each]),) for each in range(26))
    nested = [12, True, *[20, {14: 8}] * 30]
    for _ in range(6):
        nested = [12, True, 32, bstr(nested)]
    with pytest.raises(PackageError, match=r"commands that are run: 4097, at most 4096 \(max_commands\)"):
        run(*nested, components=components)


def test_what_was_severed_has_to_be_there():
    with pytest.raises(IntegrityError, match="malformed: install was severed, and is not there"):
        run(m20=sha256(b"gone"))
    assert run(m23=sha256(b"gone")).contents == {}


# Plans.


def steps_of(call):
    """How many functions of Python are called."""
    count = 0

    def step(_frame, event, _arg):
        nonlocal count
        count += event == "call"

    sys.setprofile(step)
    try:
        call()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("kind", ["one content", "many payloads", "one payload decrypted in many ways"])
def test_a_plan_takes_a_step_for_each_expectation(kind):
    def state(count):
        found = {
            "one content": [APP] * count,
            "many payloads": [Fetched(f"#{each}", None) for each in range(count)],
            "one payload decrypted in many ways": [
                Decrypted(APP, encrypt(bytes(16), each.to_bytes(12), [KEY], alg=1).message(None))
                for each in range(count)
            ],
        }[kind]
        return MachineState(
            selected=(), contents={"a": found[0]}, expectations=tuple(Expectation(each, DIGEST, None) for each in found)
        )

    def look(state):
        made = make_plan(state, ("a",))
        for place in made.payloads:
            for content in made.contents_at(place):
                assert made.expectations_of(content)

    few, many = state(100), state(1000)
    assert steps_of(lambda: look(many)) < 11 * steps_of(lambda: look(few))


def test_what_others_come_from_is_not_installed():
    fetch = [12, 1, 20, {3: bstr(sha256(IMAGE)), 21: "#app"}, 21, 0, 3, 0, 12, 0, 20, {22: 1}]
    for how in (22, 31):
        assert plan(*fetch, how, 0, components=TWO).installs == {"a": Fetched("#app", None)}


def test_what_the_device_holds_goes_nowhere_else():
    with pytest.raises(UnsupportedPackageError, match="what the device holds is to go to component a"):
        plan(12, 0, 20, {22: 1}, 31, 0, 12, 1, 20, {18: b"x"}, 18, 0, components=TWO)


def test_a_manifest_that_brings_nothing_is_no_update():
    with pytest.raises(UnsupportedPackageError, match="brings nothing to install"):
        plan(m7=bstr([20, {5: 1}, 15, [bstr([5, 0]), None]]))


def test_what_has_no_digest_is_not_installed():
    with pytest.raises(IntegrityError, match="nothing says what the digest of component a is"):
        plan(20, {21: "#app"}, 21, 0)
    decrypted = [12, 0, 20, {19: INFO, 22: 1}, 22, 0]
    with pytest.raises(IntegrityError, match="nothing says what the digest of component a is"):
        plan(12, 1, 20, {21: "#app"}, 21, 0, *decrypted, components=TWO)
    pinned = [12, 1, 20, {3: bstr(sha256(IMAGE)), 21: "#app"}, 21, 0, 3, 0]
    assert plan(*pinned, *decrypted, components=TWO).payloads == {((), "#app"): None}
    unpinned = [12, 1, 20, {21: "#app"}, 21, 0]
    after = [20, {3: bstr(sha256(IMAGE))}, 3, 0]
    assert plan(*unpinned, *decrypted, *after, components=TWO).payloads == {((), "#app"): None}
    assert plan(20, {18: IMAGE}, 18, 0).payloads == {}


def test_the_length_of_a_payload_is_said_at_the_fetch_or_at_the_match():
    digest = {3: bstr(sha256(IMAGE))}
    assert plan(20, {**digest, 21: "#app"}, 21, 0, 20, {14: 8}, 3, 0).payloads == {((), "#app"): 8}
    both = [12, True, 20, {**digest, 21: "#app"}, 12, 1, 20, {14: 8}, 12, True, 21, 0, 3, 0]
    assert plan(*both, components=TWO).payloads == {((), "#app"): 8}
    first = [12, True, 20, {**digest, 21: "#app"}, 12, 0, 20, {14: 8}, 12, True, 21, 0, 3, 0]
    assert plan(*first, components=TWO).payloads == {((), "#app"): 8}
