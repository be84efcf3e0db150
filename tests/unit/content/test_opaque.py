import pytest

from lwm2m_fota.content import opaque
from lwm2m_fota.errors import NotAcceptableError, UnsupportedContentFormatError
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import standard_definitions

DEFINITIONS = standard_definitions()
PACKAGE = Path.of(5, 0, 0)
UNKNOWN = Path.of(3303, 0, 1)


@pytest.mark.parametrize("path", [PACKAGE, UNKNOWN])
def test_bytes_are_the_payload(path):
    assert opaque.encode([(path, b"\x00\xff")], path, DEFINITIONS) == b"\x00\xff"
    assert opaque.decode(b"", path, DEFINITIONS) == [(path, b"")]


@pytest.mark.parametrize(
    ("base", "rows"),
    [
        ("/5/0", [("/5/0/0", b"a")]),
        ("/5/0/3", [("/5/0/3", b"a")]),
        ("/5/0/0", []),
        ("/3303/0/1", [("/3303/0/1", "a")]),
    ],
)
def test_anything_else_cannot_be_written(base, rows):
    with pytest.raises(NotAcceptableError):
        opaque.encode([(Path.parse(path), value) for path, value in rows], Path.parse(base), DEFINITIONS)


@pytest.mark.parametrize("base", ["/5", "/5/0", "/5/0/1", "/5/0/8"])
def test_nor_read(base):
    with pytest.raises(UnsupportedContentFormatError):
        opaque.decode(b"a", Path.parse(base), DEFINITIONS)
