import pytest

from lwm2m_fota.model.paths import Path


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("/", ()),
        ("", ()),
        ("/5", (5,)),
        ("/5/0", (5, 0)),
        ("5/0/3", (5, 0, 3)),
        ("/33629/1/16/65534", (33629, 1, 16, 65534)),
    ],
)
def test_a_path_is_read(text, ids):
    assert Path.parse(text).ids == ids


@pytest.mark.parametrize(
    "text", ["/5/0/3/0/0", "/5/", "//5", "/05", "/65535", "/-1", "/a", "/5/ 0", "/\u0665", "/5/0x1", "/+5", "/5//3"]
)
def test_what_is_no_path_is_refused(text):
    with pytest.raises(ValueError):
        Path.parse(text)


def test_a_path_is_written():
    assert str(Path.of(5, 0, 3)) == "/5/0/3"
    assert str(Path(())) == "/"


def test_parts():
    path = Path.of(5, 0, 3)
    assert (path.object_id, path.instance_id, path.resource_id) == (5, 0, 3)
    root = Path(())
    assert (root.object_id, root.instance_id, root.resource_id) == (None, None, None)


def test_a_step_down():
    assert Path.of(5) / 0 / 8 / 1 == Path.of(5, 0, 8, 1)
    with pytest.raises(ValueError):
        Path.of(5, 0, 8, 1) / 0


def test_what_lies_below():
    assert Path(()).contains(Path.of(5, 0))
    assert Path.of(5, 0).contains(Path.of(5, 0))
    assert Path.of(5, 0).contains(Path.of(5, 0, 3))
    assert not Path.of(5, 0).contains(Path.of(5))
    assert not Path.of(5, 0).contains(Path.of(5, 1, 0))


def test_paths_are_in_order():
    assert sorted([Path.of(5, 0, 10), Path.of(3), Path.of(5, 0, 9)]) == [
        Path.of(3),
        Path.of(5, 0, 9),
        Path.of(5, 0, 10),
    ]
