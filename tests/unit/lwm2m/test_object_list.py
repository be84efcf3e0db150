"""Object lists of registrations."""

import pytest

from lwm2m_fota.errors import ContentError
from lwm2m_fota.lwm2m.object_list import ObjectList, read_object_list
from lwm2m_fota.model.paths import Path


@pytest.mark.parametrize(
    ("links", "listed"),
    [
        (b"", ObjectList(objects={}, instances=())),
        (
            b"</1/0>,</3/0>,</5>;ver=1.1,</5/0>",
            ObjectList(objects={1: None, 3: None, 5: "1.1"}, instances=(Path.of(1, 0), Path.of(3, 0), Path.of(5, 0))),
        ),
        (b"</5/0>;ver=1.1", ObjectList(objects={5: "1.1"}, instances=(Path.of(5, 0),))),
        (b"</5/1>,</5>;ver=1.0,</5/0>", ObjectList(objects={5: "1.0"}, instances=(Path.of(5, 0), Path.of(5, 1)))),
        (b"</9>", ObjectList(objects={9: None}, instances=())),
        (b'</>;rt="oma.lwm2m";ct=110,</3/0>', ObjectList(objects={3: None}, instances=(Path.of(3, 0),), formats=frozenset({110}))),
        (
            b'</>;rt="oma.lwm2m";ct="110 112 60",</3/0>',
            ObjectList(objects={3: None}, instances=(Path.of(3, 0),), formats=frozenset({110, 112, 60})),
        ),
        (b'</>;rt="oma.lwm2m";ct="x -1 \xd9\xa3 1234567"', ObjectList(objects={}, instances=())),
        (b"</>;ct=112", ObjectList(objects={}, instances=())),
        (
            b'</lwm2m>;rt="oma.lwm2m";ct=112,</lwm2m/5>;ver=1.0,</lwm2m/5/0>,</other/3/0>,</3/0>',
            ObjectList(objects={5: "1.0"}, instances=(Path.of(5, 0),), root=("lwm2m",), formats=frozenset({112})),
        ),
        (b'</a/b/>;rt="oma.lwm2m",</a/b/5/0>', ObjectList(objects={5: None}, instances=(Path.of(5, 0),), root=("a", "b"))),
        (b"</x>,</5/0/3>,</07>,</9/70000>,</3>", ObjectList(objects={3: None}, instances=())),
    ],
)  # fmt: skip
def test_what_is_read(links, listed):
    assert read_object_list(links) == listed


@pytest.mark.parametrize("links", [b"<", b"</5/0", b"</5/0>,", b"</2/0></2/1>", b"\xff", b"5/0"])
def test_what_is_no_list(links):
    with pytest.raises(ContentError):
        read_object_list(links)
