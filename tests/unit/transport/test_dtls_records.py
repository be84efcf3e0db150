"""Records in datagrams: whole, cut at every byte, with what follows, and at random."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.transport.dtls_records import cut, epoch_of, is_client_hello, is_data, pack

# type, version, epoch, sequence number, length: RFC 6347 section 4.1
HELLO_BODY = bytes.fromhex("01 00002e 0000 000000 00002e fefd") + bytes(32) + bytes(12)
HELLO = bytes.fromhex("16 fefd 0000 000000000000 003a") + HELLO_BODY
DATA = bytes.fromhex("17 fefd 0001 000000000007 0003 aabbcc")
EMPTY = bytes.fromhex("14 feff 0000 000000000001 0000")


def test_whole_records_are_cut():
    assert cut(b"") == []
    assert cut(DATA) == [DATA]
    assert cut(EMPTY) == [EMPTY]
    assert cut(HELLO + DATA + EMPTY) == [HELLO, DATA, EMPTY]


@pytest.mark.parametrize("end", range(len(HELLO + DATA)))
def test_a_datagram_that_is_cut_short_keeps_its_whole_records(end):
    whole = HELLO + DATA
    assert cut(whole[:end]) == ([HELLO] if end >= len(HELLO) else [])


@pytest.mark.parametrize(
    "bad",
    [
        b"\x13" + DATA[1:],
        b"\x18" + DATA[1:],
        DATA[:1] + b"\x03" + DATA[2:],
        DATA[:11] + b"\x48\x01" + bytes(0x4801),
        b"\x00",
    ],
)
def test_what_follows_a_bad_record_is_dropped(bad):
    assert cut(bad) == []
    assert cut(DATA + bad + DATA) == [DATA]


def test_the_longest_record_is_one():
    longest = DATA[:11] + b"\x48\x00" + bytes(0x4800)
    assert cut(longest) == [longest]


def test_epochs():
    assert [epoch_of(record) for record in (HELLO, DATA)] == [0, 1]
    assert epoch_of(DATA[:3] + b"\x01\x02" + DATA[5:]) == 258


def test_a_client_hello_in_the_clear_may_begin_a_handshake():
    assert is_client_hello(HELLO)


@pytest.mark.parametrize(
    "record",
    [
        DATA,
        EMPTY,
        HELLO[:3] + b"\x00\x01" + HELLO[5:],
        HELLO[:13] + b"\x02" + HELLO[14:],
        HELLO[:19] + b"\x00\x00\x01" + HELLO[22:],
        HELLO[:11] + b"\x00\x2d" + HELLO[13 : 13 + 45],
    ],
    ids=["data", "empty", "epoch 1", "ServerHello", "a later fragment", "short"],
)
def test_nothing_else_may(record):
    assert not is_client_hello(record)


def test_one_whole_record_of_data_is_data():
    assert is_data(DATA)
    assert is_data(bytes.fromhex("17 fefd 0001 000000000007 0000"))
    for other in (b"", DATA[:12], DATA[:-1], DATA + b"\0", DATA + DATA, EMPTY, HELLO, b"\x15" + DATA[1:]):
        assert not is_data(other)
    assert not is_data(DATA[:1] + b"\x03" + DATA[2:])


@given(st.binary(max_size=100))
def test_random_bytes_are_cut_into_what_they_begin_with(data):
    records = cut(data)
    assert data.startswith(b"".join(records))
    assert not is_data(data) or records == [data]
    for record in records:
        is_client_hello(record)


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=20), st.integers(1, 100))
def test_records_are_packed_whole_and_in_order(records, most):
    datagrams = list(pack(records, most))
    assert b"".join(datagrams) == b"".join(records)
    assert all(len(datagram) <= most or datagram in records for datagram in datagrams)
    for first, second in itertools.pairwise(datagrams):
        assert len(first) + len(second) > most or len(first) + max(map(len, records)) > most


def test_packing_fills_datagrams():
    assert list(pack([b"aa", b"bb", b"c", b"dddddd"], 5)) == [b"aabbc", b"dddddd"]
    assert list(pack([], 5)) == []
