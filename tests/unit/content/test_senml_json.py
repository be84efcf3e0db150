"""What JSON makes different; the rules of records themselves are tested with SenML CBOR."""

import json

import pytest

from lwm2m_fota.content import senml_json
from lwm2m_fota.content.senml import MAX_RECORDS
from lwm2m_fota.errors import ContentError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import standard_definitions
from lwm2m_fota.model.resources import ObjectLink

DEFINITIONS = standard_definitions()
ROOT = Path(())


def read(text, base="/"):
    entries = senml_json.decode(text.encode(), Path.parse(base), DEFINITIONS)
    return [(str(path), value) for path, value in entries]


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        ("/5/0/3", '"v":2', 2),
        ("/5/0/3", '"v":2.0', 2),
        ("/5/0/3", '"v":2e0', 2),
        ("/5/0/13", '"v":18446744073709551615', 18446744073709551615),
        ("/5/0/1", '"vs":"coap://h/f"', "coap://h/f"),
        ("/5/0/0", '"vd":"3q2-7w"', b"\xde\xad\xbe\xef"),
        ("/5/0/0", '"vd":"3q2+7w=="', b"\xde\xad\xbe\xef"),
        ("/5/0/0", '"vd":""', b""),
        ("/5/0/14", '"vb":true', True),
        ("/5/0/12", '"v":1700000000', 1_700_000_000),
        ("/5/0/12", '"vs":"2023-11-14T22:13:20Z"', 1_700_000_000),
        ("/5/0/8/1", '"v":1', 1),
        ("/33629/0/16/0", '"vlo":"33629:1"', ObjectLink(33629, 1)),
        ("/3303/0/1", '"v":21.5', 21.5),
        ("/3303/0/2", '"vb":false', False),
    ],
)
def test_values_by_label(path, field, value):
    found = read(f'[{{"n":"{path}",{field}}}]')
    assert found == [(path, value)]
    assert type(found[0][1]) is type(value)


def test_base_fields_hold_until_they_are_replaced():
    text = """[{"bn":"/5/0/","bt":100,"n":"3","v":2},{"n":"5","v":0},{"n":"3","t":5,"v":1},{"bn":"/3/0","n":"/3","vs":"1"}]"""
    assert read(text) == [("/5/0/3", 1), ("/5/0/5", 0), ("/3/0/3", "1")]


def test_fields_that_need_not_be_understood_are_passed_over():
    text = '[{"n":"/5/0/3","v":1,"u":"Cel","bu":"W","ut":3,"bver":10,"x":[{"y":1}],"-2":"/3"}]'
    assert read(text) == [("/5/0/3", 1)]


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "5",
        "[5]",
        "[[]]",
        '[{"n":"/5/0/3"}]',
        '[{"n":"/5/0/3","v":null}]',
        '[{"n":"/5/0/3","v":"2"}]',
        '[{"n":"/5/0/3","v":true}]',
        '[{"n":"/5/0/3","v":2.5}]',
        '[{"n":"/5/0/3","v":9223372036854775808}]',
        '[{"n":"/5/0/3","v":1,"vs":"1"}]',
        '[{"n":"/5/0/14","vb":1}]',
        '[{"n":"/5/0/0","vd":"!"}]',
        '[{"n":"/5/0/0","vd":1}]',
        '[{"n":"/5/0/1","vs":1}]',
        '[{"n":"/5/0/1","vs":"\\ud800"}]',
        '[{"n":"/33629/0/16/0","vlo":"x"}]',
        '[{"n":"/5/0/3","v":1,"bv":1}]',
        '[{"n":"/5/0/3","v":1,"bs":1}]',
        '[{"n":"/5/0/3","v":1,"s":1}]',
        '[{"n":"/5/0/3","v":1,"must_":1}]',
        '[{"n":"/5/0/3","v":1,"bver":11}]',
        '[{"n":"/5/0/3","v":1,"t":"now"}]',
        '[{"n":"/5/0/3","v":1,"bt":true}]',
        f'[{{"n":"/5/0/3","v":1,"t":1{"0" * 400}}}]',  # no float is as large
        f'[{{"n":"/5/0/3","v":1,"bt":-1{"0" * 400}}}]',
        f'[{{"n":"/5/0/3","v":1{"0" * 400}}}]',
        '[{"n":"5/0/3","v":1}]',
        '[{"n":3,"v":1}]',
        '[{"n":"/5/0/2","v":1}]',
        '[{"n":"/5/0/3","v":1},{"n":"/5/0/3","v":1}]',
        '[{"n":"/5/0/3","v":1}] []',
        '[{"n":"/5/0/3","v":1',
    ],
)
def test_what_is_refused(text):
    with pytest.raises(ContentError):
        read(text)


def test_the_number_of_records_is_bounded():
    records = [{"n": "/5"}] * MAX_RECORDS
    assert len(senml_json.decode_paths(json.dumps(records).encode())) == MAX_RECORDS
    with pytest.raises(ContentError, match="at most"):
        senml_json.decode_paths(json.dumps([*records, {"n": "/5"}]).encode())


@pytest.mark.parametrize(
    ("base", "rows", "expected"),
    [
        ("/5", [("/5/0/3", 2)], '[{"bn":"/5/","n":"0/3","v":2}]'),
        ("/5/0/3", [("/5/0/3", 2)], '[{"n":"/5/0/3","v":2}]'),
        ("/5/0/8", [("/5/0/8/0", 1), ("/5/0/8/1", 5)], '[{"bn":"/5/0/8/","n":"0","v":1},{"n":"1","v":5}]'),
        ("/", [("/5/0/14", True), ("/3/0/0", "é")], '[{"n":"/5/0/14","vb":true},{"n":"/3/0/0","vs":"é"}]'),
        ("/33629/0/16/0", [("/33629/0/16/0", ObjectLink(1, 2))], '[{"n":"/33629/0/16/0","vlo":"1:2"}]'),
        ("/3303/0", [("/3303/0/1", 1.5)], '[{"bn":"/3303/0/","n":"1","v":1.5}]'),
        ("/5/0", [], "[]"),
    ],
)
def test_what_is_written(base, rows, expected):
    entries = [(Path.parse(path), value) for path, value in rows]
    assert senml_json.encode(entries, Path.parse(base), DEFINITIONS).decode() == expected
