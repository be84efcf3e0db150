"""What arrives before anybody has proven anything: DTLS records and handshakes, and the fields of HTTP answers."""

import random
from typing import Final

from fuzz.target import chunks, joined, target
from lwm2m_fota.credentials.keyring import Held, Keyring, Origin
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import MemoryCredentialStore, PskEntry
from lwm2m_fota.credentials.values import PreSharedKey
from lwm2m_fota.transport.dtls_endpoint import DtlsEndpoint
from lwm2m_fota.transport.dtls_records import HEADER_BYTES, cut, epoch_of, is_client_hello, pack
from lwm2m_fota.transport.dtls_session import DtlsLimits
from lwm2m_fota.web.rules import content_range, retry_after_s, strong_etag

_KEY: Final = PreSharedKey("device-1", Secret(b"sixteen byte key"))
_ORIGIN: Final = Origin("coaps", "192.0.2.1", 5684)


def _server() -> DtlsEndpoint:
    limits = DtlsLimits(handshakes=4)
    return DtlsEndpoint(random.Random(1).randbytes, store=MemoryCredentialStore([PskEntry(_KEY)]), limits=limits)


def _client() -> DtlsEndpoint:
    return DtlsEndpoint(random.Random(2).randbytes, keyring=Keyring([Held(None, _KEY)]))


def _handshake() -> tuple[list[bytes], list[bytes]]:
    """The datagrams of a handshake: those of the client, and those of the server."""
    server, client = _server(), _client()
    client.connect("server", _ORIGIN, 0.0)
    asked: list[bytes] = []
    answered: list[bytes] = []
    while sent := client.take_datagrams():
        for data, _ in sent:
            asked.append(data)
            server.receive(data, "client", 0.0)
        for data, _ in server.take_datagrams():
            answered.append(data)
            client.receive(data, "server", 0.0)
    return asked, answered


_ASKED, _ANSWERED = _handshake()
_NAMED: Final = {f"flight {number} of the client": data for number, data in enumerate(_ASKED)}


@target({**_NAMED, **{f"flight {number} of the server": data for number, data in enumerate(_ANSWERED)}})
def dtls_records(data: bytes) -> None:
    """Records are cut out of a datagram in their order, each whole."""
    records = cut(data)
    assert data.startswith(b"".join(records))
    for record in records:
        assert len(record) >= HEADER_BYTES
        assert 0 <= epoch_of(record) < 1 << 16
        is_client_hello(record)
    assert b"".join(pack(records, 1200)) == b"".join(records)


_STRANGERS: Final = _server()  # one for all inputs: it keeps nothing of those who have not proven anything


@target({**{name: joined(data) for name, data in _NAMED.items()}, "all flights": joined(*_ASKED)})
def dtls_strangers(data: bytes) -> None:
    """A server takes whatever a stranger sends, answers little, and lets nobody in."""
    chance = random.Random(data)
    address = f"stranger {chance.randrange(1 << 30)}"
    heard = said = 0
    for datagram in chunks(data)[:8]:
        heard += len(datagram)
        _STRANGERS.receive(datagram, address, 0.0)
        said += sum(len(sent) for sent, _ in _STRANGERS.take_datagrams())
    _STRANGERS.take_events()
    assert len(_STRANGERS) == 0
    assert said <= heard


@target(
    {
        "part": joined(b"bytes 0-99/200", b'"abc"', b"120", b""),
        "date": joined(b"bytes 5-9/*", b'W/"abc"', b"Wed, 25 Nov 2026 21:00:00 GMT", b"Wed, 25 Nov 2026 20:59:00 GMT"),
    }
)
def http_fields(data: bytes) -> None:
    """Fields of an HTTP answer make sense, or are passed over."""
    texts = [each.decode("latin-1") for each in chunks(data)[:4]]
    span, etag, after, date = texts + [""] * (4 - len(texts))
    found = content_range(span)
    assert found is None or (found.start >= 0 and found.length > 0)
    tag = strong_etag(etag)
    assert tag is None or len(tag) > 0
    wait = retry_after_s(after, date)
    assert wait is None or wait >= 0
