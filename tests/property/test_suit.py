"""SUIT envelopes of any bytes, cut in any way: only our errors, and never other content than was signed."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.errors import PackageError
from lwm2m_fota.package.cose.create import CoseSigner
from lwm2m_fota.package.crypto import KeyType, PrivateKey
from lwm2m_fota.package.formats.registry import FormatRegistry
from lwm2m_fota.package.formats.suit.format import SuitFormat
from lwm2m_fota.package.formats.suit.limits import SuitLimits
from lwm2m_fota.package.formats.suit.make import SuitComponent, SuitOptions, create_suit
from lwm2m_fota.package.trust import TrustPolicy, UnsafeTrustPolicy
from lwm2m_fota.package.types import VerifiedPackage, component_pieces
from lwm2m_fota.package.verifier import PackageVerifier

KEY = PrivateKey.from_seed(KeyType.P256, bytes(range(1, 33)))
TRUST = TrustPolicy(keys=[KEY.public_key])
NOBODY = UnsafeTrustPolicy()
FORMATS = FormatRegistry((SuitFormat(limits=SuitLimits(max_manifest_bytes=600, max_payloads=3)),))
COMPONENTS = (
    SuitComponent(id=(b"app",), image=b"application" * 3, version="1.0"),
    SuitComponent(id=(b"radio",), image=b"radio" * 5),
    SuitComponent(id=(b"far",), image=b"far away", uri="coap://host/far"),
)
IMAGES = {"app": COMPONENTS[0].image, "radio": COMPONENTS[1].image, "far": COMPONENTS[2].image}
OPTIONS = SuitOptions(sequence_number=1)
SIGNED = create_suit(COMPONENTS, options=OPTIONS, signers=[CoseSigner(key=KEY)]).whole
UNSIGNED = create_suit(COMPONENTS, options=OPTIONS).whole


def outcome(policy, pieces):
    """The package, or what is wrong with it."""
    verifier = PackageVerifier(policy, formats=FORMATS)
    try:
        for piece in pieces:
            verifier.feed(piece)
        return (verifier.finish(),)
    except PackageError as error:
        return type(error), error.result, error.reason, str(error)


def cut(data, places):
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


@st.composite
def mutated(draw, whole):
    """An envelope with bytes replaced, put in, taken out, or doubled."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data) - 1))
        match draw(st.sampled_from(["replace", "insert", "remove", "double"])):
            case "replace":
                data[at] = draw(st.integers(0, 255))
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=4))
            case "remove":
                del data[at : at + draw(st.integers(1, 8))]
            case _:
                data[at:at] = data[at : at + draw(st.integers(1, 40))]
    return bytes(data)


@given(data=mutated(SIGNED), places=st.lists(st.integers(0, 2000), max_size=8))
def test_what_is_accepted_is_what_was_signed(data, places):
    whole = outcome(TRUST, [data])
    assert outcome(TRUST, cut(data, places)) == whole
    if isinstance(whole[0], VerifiedPackage):
        found = {
            each.name: b"".join(component_pieces(each, lambda at, size: data[at : at + size]))
            for each in whole[0].components
        }
        assert found == IMAGES


@given(data=mutated(UNSIGNED))
def test_a_manifest_that_anybody_may_have_written_raises_package_errors_only(data):
    outcome(NOBODY, [data])


@given(
    head=st.sampled_from([b"\xd8\x6b\xa2\x02\x58", b"\xa2\x02\x58\x27\x81\x58\x24\x82\x2f\x58\x20", SIGNED[:150]]),
    rest=st.binary(max_size=200),
)
def test_random_bytes_raise_package_errors_only(head, rest):
    for policy in (TRUST, NOBODY):
        assert not isinstance(outcome(policy, [head, rest])[0], VerifiedPackage)
