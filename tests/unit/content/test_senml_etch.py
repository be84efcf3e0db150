"""Fetch and Patch Packs in JSON and CBOR (RFC 8790 sections 3.1 and 3.2)."""

import pytest

from lwm2m_fota import cbor
from lwm2m_fota.content import senml_cbor, senml_json, strict_json
from lwm2m_fota.errors import ContentError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import standard_definitions

DEFINITIONS = standard_definitions()
ROOT = Path(())
LABELS = {"bn": -2, "bt": -3, "bu": -4, "bver": -1, "n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "t": 6, "vd": 8}


class Form:
    """A pack given with the labels of JSON, in either form."""

    def __init__(self, module):
        self.module = module

    def write(self, pack):
        if self.module is senml_json:
            return strict_json.dumps(pack)
        return cbor.dumps([{LABELS.get(label, label): value for label, value in record.items()} for record in pack])

    def fetch(self, *pack):
        return [str(path) for path in self.module.decode_fetch(self.write(pack))]

    def patch(self, *pack):
        return [(str(path), value) for path, value in self.module.decode_patch(self.write(pack), ROOT, DEFINITIONS)]


@pytest.fixture(params=[senml_json, senml_cbor], ids=["json", "cbor"])
def form(request):
    return Form(request.param)


def test_the_paths_of_a_fetch(form):
    assert form.fetch({"bn": "/5/0/", "n": "3"}, {"n": "5"}, {"bn": "/3/0"}, {"bn": "", "n": "/1"}) == [
        "/5/0/3",
        "/5/0/5",
        "/3/0",
        "/1",
    ]


def test_time_and_unit_may_be_there(form):
    assert form.fetch({"n": "/5", "t": 0, "u": "s", "bt": 1, "bu": "W"}) == ["/5"]


@pytest.mark.parametrize(
    "pack",
    [
        (),
        ({},),
        ({"u": "s"},),
        ({"bn": "/5/0/"}, {}),
        ({"n": "/5", "v": 1},),
        ({"n": "/5", "vs": "x"},),
        ({"n": "/5", "v": None},),
        ({"n": "/5", "bver": 10},),
        ({"n": "/5", "x": 1},),
        ({"n": "/5", "vlo": "1:1"},),
        ({"n": "5"},),
        ({"n": 5},),
    ],
)
def test_what_is_no_fetch(form, pack):
    with pytest.raises(ContentError) as caught:
        form.fetch(*pack)
    assert caught.value.code == 0x80


def test_the_values_of_a_patch(form):
    found = form.patch({"n": "/5/0/11", "v": 2}, {"bn": "/5/0/", "n": "14", "vb": True}, {"n": "13", "v": 5, "x": 1})
    assert found == [("/5/0/11", 2), ("/5/0/14", True), ("/5/0/13", 5)]


def test_nothing_is_removed_by_a_patch(form):
    with pytest.raises(ContentError, match="removed") as caught:
        form.patch({"n": "/5/0/11", "v": 2}, {"n": "/5/0/8/1", "v": None})
    assert caught.value.code == 0x85


@pytest.mark.parametrize("pack", [({"n": "/5/0/11"},), ({"n": "/5/0/11", "v": "2"},), ({"n": "/5", "v": 1, "x_": 0},)])
def test_what_is_no_patch(form, pack):
    with pytest.raises(ContentError):
        form.patch(*pack)


@pytest.mark.parametrize("payload", [b"", b"{}", b"\xa0", b"[5]", b"\x81\x05", b"\xff", b"["])
def test_what_is_no_pack(form, payload):
    for decode in (form.module.decode_fetch, lambda data: form.module.decode_patch(data, ROOT, DEFINITIONS)):
        with pytest.raises((ContentError, cbor.CborError)):
            decode(payload)
