"""Query parameters of registrations, as clients of LwM2M 1.0 to 1.2 send them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.errors import ContentError
from lwm2m_fota.lwm2m.parameters import Parameters, parse_parameters


@pytest.mark.parametrize(
    ("queries", "parameters"),
    [
        ((), Parameters()),
        (("ep=dev", "lt=60", "lwm2m=1.0", "b=U"), Parameters(endpoint="dev", lifetime_s=60, lwm2m_version="1.0", binding="U", queue_mode=False)),
        (("b=UQ",), Parameters(binding="U", queue_mode=True)),  # 1.0
        (("b=UQS",), Parameters(binding="US", queue_mode=True)),
        (("b=Q",), Parameters(binding="U", queue_mode=True)),
        (("b=U", "Q"), Parameters(binding="U", queue_mode=True)),  # 1.1
        (("b=UT", "Q="), Parameters(binding="UT", queue_mode=True)),
        (("Q",), Parameters(queue_mode=True)),
        (("b=UMHTSN",), Parameters(binding="UMHTSN", queue_mode=False)),  # 1.2
        (("b=UX",), Parameters(binding="UX", queue_mode=False)),  # of a later version
        (("lt=0",), Parameters(lifetime_s=0)),
        (("lt=4294967295",), Parameters(lifetime_s=4294967295)),
        (("lwm2m=1.2.2",), Parameters(lwm2m_version="1.2")),
        (("lwm2m=2.0",), Parameters(lwm2m_version="2.0")),
        (("sms=48123456789",), Parameters(sms="48123456789")),
        (("sms=+48123456789",), Parameters(sms="+48123456789")),
        (("pid=6:1234abcd",), Parameters(has_profile=True)),
        (("ep=a=b", "other=1", "et=x", "flag"), Parameters(endpoint="a=b")),
        (("ep=urn:dev:ops:32473-Refrigerator-5002",), Parameters(endpoint="urn:dev:ops:32473-Refrigerator-5002")),
        (("ep=" + "x" * 255,), Parameters(endpoint="x" * 255)),
    ],
)  # fmt: skip
def test_what_is_read(queries, parameters):
    assert parse_parameters(queries) == parameters


@pytest.mark.parametrize(
    "query",
    [
        "ep=",
        "ep",
        "ep=" + "x" * 256,
        "ep=" + "ü" * 128,
        "lt=",
        "lt=-1",
        "lt=+1",
        "lt=1.5",
        "lt=4294967296",
        "lt=99999999999",
        "lt=\u0663",
        "lwm2m=",
        "lwm2m=1",
        "lwm2m=1.",
        "lwm2m=1.1.1.1",
        "lwm2m=one",
        "lwm2m=1000.0",
        "b=",
        "b=u",
        "b=U Q",
        "b=" + "U" * 9,
        "sms=",
        "sms=12a",
        "sms=" + "1" * 16,
    ],
)
def test_what_makes_no_sense(query):
    with pytest.raises(ContentError) as caught:
        parse_parameters((query,))
    assert caught.value.code == 0x80


@pytest.mark.parametrize("name", ["ep", "lt", "b", "Q", "lwm2m", "x"])
def test_nothing_is_given_twice(name):
    with pytest.raises(ContentError, match="twice"):
        parse_parameters((f"{name}=1", "sms=1", name))


queries = st.lists(
    st.builds(
        str.__add__,
        st.sampled_from(["ep=", "lt=", "lwm2m=", "b=", "Q", "Q=", "sms=", "pid=", "", "x="]),
        st.text(max_size=12) | st.text("0123456789.UQTSN", max_size=12),
    ),
    max_size=6,
).map(tuple)


@given(queries)
def test_random_queries(queries):
    try:
        found = parse_parameters(queries)
    except ContentError:
        return
    assert found.lifetime_s is None or 0 <= found.lifetime_s < 2**32
    assert found.endpoint is None or 1 <= len(found.endpoint.encode()) <= 255
    assert found.binding is None or "Q" not in found.binding
