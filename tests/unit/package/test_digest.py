"""SHA-256 of a file and of its beginnings."""

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.digest import NO_MARK, FileDigest


def sha256(data):
    return hashlib.sha256(data).digest()


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=5), st.lists(st.integers(0, 60), max_size=5))
def test_marks_are_kept_however_the_bytes_come(data, marks, cuts):
    digest = FileDigest()
    for mark in marks:
        digest.mark(mark)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        digest.update(data[start:end])
        assert digest.position == end
        assert digest.digest() == sha256(data[:end])
    for mark in marks:
        if mark <= len(data):
            assert digest.at(mark) == sha256(data[:mark])
        else:
            with pytest.raises(UsageError, match="no mark"):
                digest.at(mark)


def test_bytes_may_pass_by_up_to_a_mark():
    digest = FileDigest()
    assert digest.until_mark == NO_MARK
    digest.mark(5)
    assert digest.until_mark == 5
    digest.pass_by(b"abc")
    digest.advance(3)
    assert (digest.position, digest.until_mark) == (3, 2)
    digest.pass_by(b"de")
    digest.advance(2)
    assert digest.at(5) == sha256(b"abcde")
    digest.update(b"f")
    assert digest.at(5) == sha256(b"abcde")
    assert digest.until_mark == NO_MARK


def test_a_mark_lies_ahead():
    digest = FileDigest()
    digest.update(b"abc")
    digest.mark(3)
    assert digest.at(3) == sha256(b"abc")
    with pytest.raises(UsageError, match="gone by"):
        digest.mark(2)
    with pytest.raises(UsageError, match="no mark"):
        digest.at(2)
