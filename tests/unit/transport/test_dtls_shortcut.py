"""The short way to open and seal records: the same as the public calls, whatever happens, and none where it is shut."""

from types import SimpleNamespace

import pytest

from lwm2m_fota.transport.dtls_openssl import ClientContext, DtlsError, ServerContext
from lwm2m_fota.transport.dtls_shortcut import Shortcuts

COOKIE = b"cookie of 16 byt"


def pair(dtls, monkeypatch, doors):
    """A client's and a server's connection whose handshake is done; `doors` says whether each has a shortcut."""
    ends = []
    for is_open, make in zip(doors, (client, server), strict=True):
        with monkeypatch.context() as patch:
            if not is_open:
                patch.setattr(Shortcuts, "of", lambda self, connection: None)
            ends.append(make(dtls))
    asking, asked = ends
    asking.handshake()
    for _ in range(2):  # without the cookie, and with it
        asked.feed(asking.take())
        if not asked.listen(b"client"):
            asking.feed(asked.take())
            asking.handshake()
    while not (asked.handshake() and asking.handshake()):
        asking.feed(asked.take())
        asking.handshake()
        asked.feed(asking.take())
    asking.feed(asked.take())
    asking.handshake()
    return asking, asked


def client(dtls):
    return ClientContext(dtls.psk()).connection("192.0.2.1", 1280, None)


def server(dtls):
    context = ServerContext(lambda name: dtls.KEY, None, lambda name: COOKIE, lambda name, shown: shown == COOKIE, 60)
    return context.connection(1280)


@pytest.mark.parametrize("doors", [(True, True), (True, False), (False, True), (False, False)])
class TestEachWay:
    def test_records_open_at_the_other_end(self, dtls, monkeypatch, doors):
        one, other = pair(dtls, monkeypatch, doors)
        for data in (b"\0", b"data", bytes(1024), bytes(range(256)) * 64):  # up to what a record holds, 2 ** 14
            for sender, receiver in ((one, other), (other, one)):
                record = sender.seal(data)
                assert (record[0], len(record) - len(data)) == (23, 13 + 8 + 8)  # head, nonce and tag of CCM_8
                assert data not in record or data == b"\0"
                assert receiver.open(record) == data

    def test_a_changed_record_is_nothing_and_the_next_one_is_read(self, dtls, monkeypatch, doors):
        one, other = pair(dtls, monkeypatch, doors)
        for at in range(13, 13 + 8 + 9 + 8):
            record = one.seal(b"some data")
            assert other.open(record[:at] + bytes((record[at] ^ 1,)) + record[at + 1 :]) is None
        record = one.seal(b"data")
        assert [other.open(record), other.open(record)] == [b"data", None]

    def test_what_cannot_be_sealed_is_refused_and_harms_nothing(self, dtls, monkeypatch, doors):
        one, other = pair(dtls, monkeypatch, doors)
        for data in (b"", bytes(2**14 + 1)):
            with pytest.raises(DtlsError):
                one.seal(data)
        assert other.open(one.seal(b"data")) == b"data"

    def test_a_session_that_is_over_says_so(self, dtls, monkeypatch, doors):
        one, other = pair(dtls, monkeypatch, doors)
        last = one.seal(b"last words")
        one.close()
        other.feed(one.take())
        with pytest.raises(DtlsError, match="the other end has closed the session"):
            other.open(last)
        with pytest.raises(DtlsError):
            one.seal(b"too late")


class Memory:
    """What stands in for cffi where nothing is called."""

    unpack = new = staticmethod(lambda kind, size: bytearray(size))


POINTERS = {"_ssl": 1, "_into_ssl": 2, "_from_ssl": 3}
FUNCTIONS = {"SSL_read": len, "SSL_write": len, "BIO_read": len, "BIO_write": len}


def test_a_shortcut_needs_every_door():
    assert Shortcuts(SimpleNamespace(**FUNCTIONS), Memory).of(SimpleNamespace(**POINTERS)) is not None
    for name in POINTERS:
        shut = SimpleNamespace(**{**POINTERS, name: None})
        assert Shortcuts(SimpleNamespace(**FUNCTIONS), Memory).of(shut) is None
        delattr(shut, name)
        assert Shortcuts(SimpleNamespace(**FUNCTIONS), Memory).of(shut) is None
    for name in FUNCTIONS:
        lib = SimpleNamespace(**FUNCTIONS)
        delattr(lib, name)
        assert Shortcuts(lib, Memory).of(SimpleNamespace(**POINTERS)) is None
