"""DTLS sessions under a clock of ours: how they begin, what they carry, how they end, and what strangers get."""

import pytest
from OpenSSL import SSL

from lwm2m_fota.credentials.keyring import Held, Keyring, Origin
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import MemoryCredentialStore, PskEntry
from lwm2m_fota.credentials.values import CredentialKind, Identity
from lwm2m_fota.errors import MissingCredentialError, UsageError
from lwm2m_fota.transport import dtls_openssl
from lwm2m_fota.transport.dtls_endpoint import Dropped, DtlsEndpoint, Ended, Failed, Ignored, Stands
from lwm2m_fota.transport.dtls_records import cut, epoch_of
from lwm2m_fota.transport.sessions import SessionPeer

PSK, CERTIFICATE = CredentialKind.PSK, CredentialKind.CERTIFICATE
GET = bytes.fromhex("40010001")


# -- a session


def test_a_handshake_with_a_key_takes_six_flights_and_proves_both_ends(dtls):
    wire = dtls.Wire()
    session = wire.connect()
    assert [name for name, _ in wire.sent] == ["client", "server"] * 3
    (at_client,), (at_server,) = wire.client.peers, wire.server.peers
    assert session.peer is at_client
    assert (at_client.address, at_client.identity) == ("server", Identity.of_psk("device-1"))
    assert (at_server.address, at_server.identity) == ("client", Identity.of_psk("device-1"))
    assert repr(at_server) == "SessionPeer('client', psk 'device-1')"


def test_datagrams_go_both_ways_and_never_in_the_clear(dtls):
    wire = dtls.Wire()
    wire.connect()
    assert wire.say(b"to the server")
    assert wire.answer(b"to the client")
    assert (wire.server.data, wire.client.data) == ([b"to the server"], [b"to the client"])
    assert not any(b"to the" in data for _, data in wire.sent)


@pytest.mark.parametrize("size", [1, 1024, 1152, 2048, 16384])
def test_datagrams_of_any_size_stay_whole(dtls, size):
    wire = dtls.Wire()
    wire.connect()
    assert wire.say(bytes(size))
    assert wire.server.data == [bytes(size)]


@pytest.mark.parametrize("data", [b"", bytes(16385)])
def test_what_no_record_can_carry_is_not_sent(dtls, data):
    wire = dtls.Wire()
    session = wire.connect()
    assert not wire.say(data)
    assert wire.client.endpoint.is_standing(session.peer)
    assert wire.say(b"still here")


def test_the_first_flight_of_a_server_is_no_larger_than_what_it_answers(dtls):
    wire = dtls.Wire()
    wire.lose = lambda number, data: number > 2
    wire.connect()
    (_, hello), (_, cookie) = wire.sent[:2]
    assert len(cookie) < len(hello)
    assert wire.server.endpoint.next_deadline() is None  # nothing is kept for a stranger


@pytest.mark.parametrize("suite", [*dtls_openssl.PSK_SUITES, *dtls_openssl.CERTIFICATE_SUITES])
def test_every_suite_that_lwm2m_names_works(dtls, certified, authority, server_certificate, monkeypatch, suite):
    """TLS_PSK and TLS_ECDHE_ECDSA, each with AES_128_CCM_8, AES_128_GCM_SHA256 and AES_128_CBC_SHA256."""
    store = MemoryCredentialStore([PskEntry(dtls.psk())])
    server = dtls.Side(store=store, certificate=server_certificate)
    monkeypatch.setattr(dtls_openssl, "PSK_SUITES", (suite,))
    monkeypatch.setattr(dtls_openssl, "CERTIFICATE_SUITES", (suite,))
    credential = dtls.psk() if suite.startswith("PSK") else certified(authority.sign("device-1"))
    wire = dtls.Wire(server, dtls.Side(keyring=dtls.ring(credential)))
    session = wire.connect()
    assert session.connection.suite == suite
    assert wire.say(b"data")
    assert wire.server.data == [b"data"]


def test_the_short_tag_is_preferred(dtls):
    assert dtls.Wire().connect().connection.suite == "PSK-AES128-CCM8"


# -- certificates


@pytest.fixture
def with_certificates(dtls, authority, certified, server_certificate):
    """A wire whose server shows `shown` and whose client shows `own`."""

    def make(own=None, shown=None, store=None):
        server = dtls.Side(
            store=MemoryCredentialStore() if store is None else store, certificate=shown or server_certificate
        )
        own = own or certified(authority.sign("device-1"))
        return dtls.Wire(server, dtls.Side(keyring=dtls.ring(own)))

    return make


def test_certificates_prove_both_ends_by_their_names(with_certificates, certified, authority):
    wire = with_certificates(certified(authority.sign("device-1", ["urn:dev:1", "one.example", "192.0.2.7"])))
    wire.connect()
    (at_server,), (at_client,) = wire.server.peers, wire.client.peers
    assert (at_server.identity.kind, at_server.identity.name) == (CERTIFICATE, "device-1")
    assert at_server.identity.names == {"device-1", "urn:dev:1", "one.example", "192.0.2.7"}
    assert len(at_server.identity.fingerprint) == 32
    assert at_client.identity.name == "server"
    assert wire.say(b"data")


def test_a_chain_of_authorities_goes_with_the_certificate(with_certificates, certified, middle_authority):
    wire = with_certificates(certified(middle_authority.sign("device-1")))
    wire.connect()
    assert len(wire.server.peers) == 1
    assert all(len(data) <= 1280 for _, data in wire.sent)


def test_the_certificate_of_the_server_itself_may_be_what_is_believed(
    with_certificates, authority, other_authority, certified
):
    shown = other_authority.sign("server", ["192.0.2.1"])
    own = certified(authority.sign("device-1"), roots=shown.certificate)
    wire = with_certificates(own, certified(shown, roots=authority.certificate))
    wire.connect()
    assert len(wire.client.peers) == 1


@pytest.mark.parametrize("host", ["server.example", "192.0.2.1"])
def test_a_server_is_known_by_name_or_address(with_certificates, host):
    wire = with_certificates()
    wire.connect(origin=Origin("coaps", host, 5684))
    assert len(wire.client.peers) == 1


@pytest.mark.parametrize("host", ["other.example", "192.0.2.2", "sub.server.example"])
def test_another_host_is_not_that_server(with_certificates, host):
    wire = with_certificates()
    wire.connect(origin=Origin("coaps", host, 5684))
    assert wire.client.reasons == ["certificate verify failed"]
    assert wire.server.peers == []


def test_the_host_need_not_be_compared(with_certificates, certified, authority):
    wire = with_certificates(certified(authority.sign("device-1"), check_host=False))
    wire.connect(origin=Origin("coaps", "other.example", 5684))
    assert len(wire.client.peers) == 1


@pytest.mark.parametrize("host", ["a\0b", "", "ä.example", "a" * 64 + ".example"])
def test_a_host_that_no_certificate_can_name_is_refused(with_certificates, host):
    with pytest.raises(dtls_openssl.DtlsError):
        with_certificates().connect(origin=Origin("coaps", host, 5684))


BAD = {
    "expired": {"days": (-10, -1)},
    "not yet valid": {"days": (1, 10)},
    "a short RSA key": {"rsa_bits": 1024},
}


@pytest.mark.parametrize("bad", [*BAD, "untrusted"])
@pytest.mark.parametrize("who", ["device", "server"])
def test_a_bad_certificate_is_refused(with_certificates, certified, authority, other_authority, bad, who):
    signer = other_authority if bad == "untrusted" else authority
    signed = certified(signer.sign("bad", ["192.0.2.1"], **BAD.get(bad, {})))
    wire = with_certificates(**{"own" if who == "device" else "shown": signed})
    wire.connect()
    assert (wire.server.of(Stands), len(wire.client.of(Failed))) == ([], 1)


def test_a_device_without_a_certificate_is_refused(with_certificates, certified, authority):
    nothing = authority.sign("nothing")
    nothing.chain = nothing.key = b""
    wire = with_certificates(certified(nothing))
    wire.connect()
    assert wire.server.reasons == ["peer did not return a certificate"]
    assert wire.client.peers == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda each: setattr(each, "chain", b"no certificate"),
        lambda each: setattr(each, "chain", each.chain.replace(b"M", b"N", 1)),
        lambda each: setattr(each, "key", b"no key"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_told_without_its_key(dtls, certified, authority, spoil):
    signed = authority.sign("server")
    spoil(signed)
    with pytest.raises(UsageError) as caught:
        dtls.Side(store=MemoryCredentialStore(), certificate=certified(signed))
    assert "PRIVATE" not in str(caught.value)
    with pytest.raises(UsageError):
        dtls.Wire(client=dtls.Side(keyring=dtls.ring(certified(signed)))).connect()


def test_the_key_of_another_certificate_is_refused(dtls, certified, authority, other_authority):
    signed, other = authority.sign("server"), other_authority.sign("other")
    signed.key = other.key
    with pytest.raises(UsageError, match="not that of the certificate"):
        dtls.Side(store=MemoryCredentialStore(), certificate=certified(signed))


def test_nobody_is_believed_without_authorities(dtls, certified, authority):
    signed = certified(authority.sign("server"), roots=None)
    with pytest.raises(UsageError, match="authorities"):
        dtls.Side(store=MemoryCredentialStore(), certificate=signed)
    with pytest.raises(UsageError, match="authorities"):
        dtls.Wire(client=dtls.Side(keyring=dtls.ring(signed))).connect()


# -- who is not let in


def test_an_unknown_identity_is_refused_by_name_of_the_fault(dtls):
    wire = dtls.Wire(client=dtls.Side(keyring=dtls.ring(dtls.psk("nobody"))))
    wire.connect()
    assert wire.server.reasons == ["psk identity not found"]
    assert wire.client.reasons == ["tlsv1 alert unknown psk identity"]
    assert (len(wire.server.endpoint), wire.server.peers) == (0, [])


def test_a_wrong_key_comes_to_nothing_and_is_named_on_both_ends(dtls):
    wire = dtls.Wire(client=dtls.Side(keyring=dtls.ring(dtls.psk(key=Secret(b"another key")))))
    wire.connect()
    assert (wire.server.events, wire.client.events) == ([], [])
    wire.pass_time(200.0)
    assert (wire.server.peers, wire.client.peers) == ([], [])
    for reason in (*wire.server.reasons, *wire.client.reasons):
        assert "the pre-shared key is likely another one" in reason
    assert len(wire.server.reasons) == len(wire.client.reasons) == 1


def test_an_identity_that_is_no_text_is_unknown(dtls, monkeypatch):
    wire = dtls.Wire()
    monkeypatch.setattr(dtls_openssl.ClientContext, "_psk", lambda *_: 0)
    wire.connect()
    assert wire.server.peers == []


def test_without_a_credential_there_is_no_handshake(dtls):
    wire = dtls.Wire(client=dtls.Side())
    with pytest.raises(MissingCredentialError, match=r"coaps://192\.0\.2\.1:5684"):
        wire.connect()
    assert wire.sent == []


def test_an_end_without_a_store_lets_nobody_in(dtls):
    wire = dtls.Wire(server=dtls.Side())
    wire.connect()
    assert wire.server.endpoint.dropped == {Dropped.STRAY: 1}


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"max": 0xFEFF}, "unsupported protocol"), ({"suites": b"PSK-NULL-SHA256:@SECLEVEL=0"}, "no shared cipher")],
    ids=["DTLS 1.0", "no encryption"],
)
def test_a_downgrade_is_refused(dtls, monkeypatch, options, reason):
    real = dtls_openssl._context

    def weak(suites):
        context = real(suites)
        if "suites" in options:
            context.set_cipher_list(options["suites"])
        else:
            context.set_min_proto_version(options["max"])
            context.set_max_proto_version(options["max"])
        return context

    wire = dtls.Wire()
    monkeypatch.setattr(dtls_openssl, "_context", weak)
    wire.connect()
    assert wire.server.peers == wire.client.peers == []
    assert reason in wire.server.reasons[0] if wire.server.reasons else wire.server.endpoint.dropped[Dropped.BAD_HELLO]


@pytest.mark.parametrize("data", [GET, b"", b"\x16\xfe\xfd", bytes(2000)])
def test_what_is_no_dtls_gets_no_answer(dtls, data):
    wire = dtls.Wire()
    wire.server.receive(data, "stranger", 0.0)
    wire.settle()
    assert (wire.sent, wire.server.endpoint.dropped) == ([], {Dropped.MALFORMED: 1})


def test_records_of_no_session_get_no_answer(dtls):
    wire = dtls.Wire()
    wire.connect()
    wire.client.send(b"data", wire.client.peers[0])
    ((data, _),) = wire.client.take_datagrams()
    wire.server.receive(data, "elsewhere", 0.0)
    wire.settle()
    assert (wire.server.data, wire.server.endpoint.dropped) == ([], {Dropped.STRAY: 1})


def test_a_replayed_record_is_dropped(dtls):
    wire = dtls.Wire()
    wire.connect()
    wire.say(b"once")
    _, record = wire.sent[-1]
    for _ in range(3):
        wire.server.receive(record, "client", 0.0)
        wire.settle()
    assert wire.server.data == [b"once"]
    assert wire.server.of(Ignored) == [Ignored("client", Dropped.UNREADABLE)] * 3
    wire.say(b"more")
    assert wire.server.data == [b"once", b"more"]


def test_a_changed_record_is_dropped(dtls):
    wire = dtls.Wire()
    wire.connect()
    wire.client.send(b"data", wire.client.peers[0])
    ((data, _),) = wire.client.take_datagrams()
    for at in range(len(data)):
        wire.server.receive(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], "client", 0.0)
    wire.settle()
    assert (wire.server.data, wire.server.reasons) == ([], [])
    wire.server.receive(data, "client", 0.0)
    wire.settle()
    assert wire.server.data == [b"data"]


def test_datagrams_in_another_order_come_through(dtls):
    wire = dtls.Wire()
    wire.connect()
    for number in range(5):
        wire.client.send(bytes([number]), wire.client.peers[0])
    for data, _ in reversed(wire.client.take_datagrams()):
        wire.server.receive(data, "client", 0.0)
    wire.settle()
    assert wire.server.data == [b"\4", b"\3", b"\2", b"\1", b"\0"]


def test_several_records_in_one_datagram_are_all_read(dtls):
    wire = dtls.Wire()
    wire.connect()
    for number in range(3):
        wire.client.send(bytes([number]), wire.client.peers[0])
    joined = b"".join(data for data, _ in wire.client.take_datagrams())
    wire.server.receive(joined, "client", 0.0)
    wire.settle()
    assert wire.server.data == [b"\0", b"\1", b"\2"]


# -- cookies


def hello_with_cookie(wire):
    """The second ClientHello of a handshake that got no further."""
    wire.lose = lambda number, data: number > 2
    wire.connect()
    _, data = wire.sent[2]
    return data


def test_a_cookie_is_good_for_one_address(dtls):
    wire = dtls.Wire()
    hello = hello_with_cookie(wire)
    wire.server.receive(hello, "forged", 0.0)
    assert wire.server.endpoint.next_deadline() is None
    wire.server.receive(hello, "client", 0.0)
    assert wire.server.endpoint.next_deadline() is not None


@pytest.mark.parametrize(("now", "counts"), [(59.0, True), (61.0, True), (119.0, True), (121.0, False)])
def test_a_cookie_lasts_for_one_or_two_of_its_lives(dtls, now, counts):
    wire = dtls.Wire()
    hello = hello_with_cookie(wire)
    for at in (61.0, 121.0):
        if at < now:
            wire.server.receive(hello, "other", at)  # somebody else makes it look at the clock
    wire.server.receive(hello, "client", now)
    assert (wire.server.endpoint.next_deadline() is not None) is counts


def test_a_cookie_is_not_kept_over_a_long_silence(dtls):
    wire = dtls.Wire()
    hello = hello_with_cookie(wire)
    wire.server.receive(hello, "client", 1000.0)
    assert wire.server.endpoint.next_deadline() is None


def test_any_changed_hello_is_refused_or_dropped_and_the_true_one_still_counts(dtls):
    wire = dtls.Wire()
    hello = hello_with_cookie(wire)
    for at in range(13, len(hello)):
        wire.server.receive(hello[:at] + bytes([hello[at] ^ 0x55]) + hello[at + 1 :], "client", 0.0)
    wire.server.take_datagrams()  # or the client would take an answer that is not to its own hello
    wire.server.receive(hello, "client", 0.0)
    wire.lose = lambda number, data: False
    wire.pass_time(10.0)
    assert len(wire.server.peers) == 1


def test_a_hello_at_which_openssl_fails_is_dropped(dtls, monkeypatch):
    def fail(_):
        raise SSL.Error([("a", "b", "c")])

    wire = dtls.Wire()
    with monkeypatch.context() as patched:
        patched.setattr(SSL.Connection, "DTLSv1_listen", fail)
        wire.connect()
    assert wire.server.endpoint.dropped == {Dropped.BAD_HELLO: 1}
    wire.pass_time(10.0)
    assert len(wire.server.peers) == 1


# -- loss and time


@pytest.mark.parametrize("lost", [1, 2, 3, 4, 5, 6, (1, 2), (3, 4), (5, 6), (1, 3, 5), (2, 4, 6), (1, 2, 3, 4, 5, 6)])
def test_each_flight_is_sent_again_until_it_arrives(dtls, lost):
    wire = dtls.Wire()
    numbers = {lost} if isinstance(lost, int) else set(lost)
    wire.lose = lambda number, data: number in numbers
    wire.connect()
    wire.pass_time(80.0)
    assert len(wire.server.peers) == len(wire.client.peers) == 1
    assert wire.say(b"data")
    assert wire.answer(b"answer")
    assert (wire.server.data, wire.client.data) == ([b"data"], [b"answer"])


@pytest.mark.parametrize("lost", range(1, 13))
def test_certificates_in_several_datagrams_survive_loss(with_certificates, certified, middle_authority, lost):
    wire = with_certificates(certified(middle_authority.sign("device-1")))
    wire.lose = lambda number, data: number == lost
    wire.connect()
    wire.pass_time(20.0)
    assert len(wire.server.peers) == len(wire.client.peers) == 1


@pytest.mark.parametrize("lost", range(1, 6))
def test_a_resumed_handshake_survives_loss(dtls, lost):
    wire = dtls.Wire()
    wire.client.endpoint.end(wire.connect().peer)
    wire.settle()
    before = len(wire.sent)
    wire.lose = lambda number, data: number == before + lost
    session = wire.connect()
    wire.pass_time(20.0)
    assert len(wire.server.peers) == len(wire.client.peers) == 2
    assert session.connection.is_resumed()


def test_the_last_flight_is_not_repeated_without_end(dtls):
    wire = dtls.Wire()
    wire.connect()
    finished = next(data for name, data in wire.sent[4:] if name == "client")
    assert any(epoch_of(record) for record in cut(finished))
    before = len(wire.sent)
    for _ in range(20):
        wire.server.receive(finished, "client", 0.0)
        wire.settle()
    assert len(wire.sent) - before == 8
    wire.say(b"data")
    before = len(wire.sent)
    wire.server.receive(finished, "client", 0.0)
    wire.settle()
    assert len(wire.sent) == before


def test_flights_are_sent_again_after_1_2_4_seconds_and_then_given_up(dtls):
    wire = dtls.Wire()
    wire.lose = lambda number, data: True
    wire.connect()
    times = []
    while not wire.client.events:
        wire.now = wire.client.endpoint.next_deadline()
        wire.client.endpoint.handle_timeout(wire.now)
        if wire.client.take_datagrams():
            times.append(wire.now)
        wire.client.events += wire.client.endpoint.take_events()
    assert times == [1.0, 3.0, 7.0, 15.0, 31.0, 63.0]
    assert wire.now == 90.0
    assert wire.client.reasons == ["no answer"]


def test_the_wait_between_flights_has_a_limit(dtls):
    wire = dtls.Wire(client=dtls.Side(keyring=dtls.ring(dtls.psk()), limits=dtls.Limits(retransmit_max_s=3.0)))
    wire.lose = lambda number, data: True
    wire.connect()
    wire.pass_time(12.5)
    assert len(wire.sent) == 6  # 0, 1, 3, 6, 9, 12


def test_a_handshake_that_a_client_leaves_is_given_up(dtls):
    wire = dtls.Wire()
    wire.lose = lambda number, data: number > 4
    wire.connect()
    wire.pass_time(100.0)
    assert wire.server.reasons == ["the handshake was not gone on with"]
    assert wire.server.endpoint.next_deadline() is None


# -- limits


def test_an_oversized_handshake_is_cut_off(dtls, with_certificates, certified, middle_authority):
    wire = with_certificates(certified(middle_authority.sign("device-1")))
    wire.server = dtls.Side(
        store=MemoryCredentialStore(),
        certificate=certified(middle_authority.sign("server", ["192.0.2.1"])),
        limits=dtls.Limits(handshake_bytes=1000),
    )
    wire.connect()
    assert wire.server.reasons == ["it sent more than 1000 bytes before it had proven anything"]
    assert wire.server.peers == []


def many(dtls, count):
    names = [f"c{number}" for number in range(count)]
    return names, {name: dtls.Side(keyring=dtls.ring(dtls.psk())) for name in names}


def test_when_there_are_too_many_sessions_the_idlest_that_nobody_holds_ends(dtls):
    names, clients = many(dtls, 4)
    server = dtls.Side(store=MemoryCredentialStore([PskEntry(dtls.psk())]), limits=dtls.Limits(sessions=2))
    wire = dtls.Wire(server, **clients)
    for name in names[:2]:
        wire.connect(name)
    wire.say(b"active", "c0")
    server.endpoint.hold(server.peers[0])
    wire.connect("c2")
    assert server.of(Ended) == [Ended(server.peers[1], "there was no room for more sessions")]
    server.endpoint.hold(server.peers[2])
    wire.connect("c3")
    assert server.reasons[-1] == "there is no room for more sessions"
    assert [wire.say(b"x", name) for name in ("c0", "c2")] == [True, True]
    assert len(server.endpoint) == 2


def test_when_there_are_too_many_handshakes_newcomers_wait(dtls):
    names, clients = many(dtls, 3)
    server = dtls.Side(store=MemoryCredentialStore([PskEntry(dtls.psk())]), limits=dtls.Limits(handshakes=2))
    wire = dtls.Wire(server, **clients)
    wire.lose = lambda number, data: any(epoch_of(record) for record in cut(data))  # none gets to its end
    for name in names:
        wire.connect(name)
    assert server.endpoint.dropped == {Dropped.BUSY: 1}
    wire.lose = lambda number, data: False
    wire.pass_time(20.0)
    assert len(server.peers) == 3


@pytest.mark.parametrize("name", ["sessions", "handshakes", "idle_s", "datagram_bytes"])
def test_limits_are_positive(dtls, name):
    with pytest.raises(UsageError):
        dtls.Limits(**{name: 0})


def test_a_datagram_has_room_for_a_handshake(dtls):
    with pytest.raises(UsageError):
        dtls.Limits(datagram_bytes=255)


# -- how long a session lives


def test_a_session_that_nobody_holds_ends_when_it_is_idle(dtls):
    wire = dtls.Wire()
    wire.client.endpoint.hold(wire.connect().peer)
    wire.pass_time(200.0)
    wire.say(b"data")
    wire.pass_time(400.0)
    assert len(wire.server.endpoint) == 1
    wire.pass_time(501.0)
    assert wire.server.reasons == ["it was idle"]
    assert wire.client.reasons == ["the other end has closed the session"]
    assert not wire.say(b"too late")


def test_a_session_that_is_held_stays(dtls):
    wire = dtls.Wire()
    wire.connect()
    wire.server.endpoint.hold(wire.server.peers[0])
    wire.client.endpoint.hold(wire.client.peers[0])
    wire.pass_time(100_000.0)
    assert wire.say(b"data")
    wire.server.endpoint.release(wire.server.peers[0], wire.now)
    wire.pass_time(wire.now + 299.0)
    assert wire.server.reasons == []
    wire.pass_time(wire.now + 2.0)
    assert wire.server.reasons == ["it was idle"]


def test_holding_and_ending_what_has_ended_is_harmless(dtls):
    wire = dtls.Wire()
    peer = wire.connect().peer
    for other in (peer, "no session", SessionPeer("server", None)):
        wire.client.endpoint.end(other)
        wire.client.endpoint.hold(other)
        wire.client.endpoint.release(other, 0.0)
        assert not wire.client.send(b"data", other)
    wire.settle()
    assert wire.server.reasons == ["the other end has closed the session"]
    assert wire.client.of(Ended) == []


def test_all_sessions_end_together_with_their_endpoint(dtls):
    wire = dtls.Wire()
    wire.connect()
    wire.server.endpoint.end_all()
    wire.settle()
    assert wire.client.reasons == ["the other end has closed the session"]
    assert (len(wire.server.endpoint), len(wire.client.endpoint)) == (0, 0)
    assert wire.server.endpoint.next_deadline() is None


# -- one address, several sessions


def test_a_client_that_has_lost_its_session_begins_anew_from_the_same_address(dtls):
    wire = dtls.Wire()
    wire.connect()
    old = wire.server.peers[0]
    wire.clients["client"] = dtls.Side(keyring=dtls.ring(dtls.psk()))
    wire.connect()
    assert wire.server.of(Ended) == [Ended(old, "another session with its address has taken its place")]
    assert wire.say(b"data")
    assert wire.server.data == [b"data"]


def test_a_session_stands_until_another_one_with_its_address_is_proven(dtls):
    wire = dtls.Wire()
    wire.connect()
    forger = dtls.Side(keyring=dtls.ring(dtls.psk(key=Secret(b"guessed"))))
    wire.clients["client"], owner = forger, wire.client
    wire.connect()
    wire.clients["client"] = owner
    assert wire.say(b"data")
    assert wire.server.data == [b"data"]
    wire.pass_time(100.0)
    assert len(wire.server.peers) == 1


def test_late_copies_of_a_hello_change_nothing(dtls):
    wire = dtls.Wire()
    wire.connect()
    hellos = [data for name, data in wire.sent if name == "client"][:2]
    for hello in hellos:
        wire.server.receive(hello, "client", 0.0)
    wire.settle()
    assert wire.server.endpoint.dropped == {Dropped.REPEATED: 1}  # the other one is as good as new, without a cookie
    assert wire.say(b"data")


def test_a_newer_hello_takes_the_place_of_a_handshake_that_stands_still(dtls):
    wire = dtls.Wire()
    wire.lose = lambda number, data: number > 4
    wire.connect()
    wire.lose = lambda number, data: False
    wire.clients["client"] = dtls.Side(keyring=dtls.ring(dtls.psk()))
    wire.connect()
    assert len(wire.server.peers) == 1


def test_the_same_origin_is_the_same_session(dtls):
    wire = dtls.Wire()
    session = wire.client.endpoint.connect("server", dtls.ORIGIN, 0.0)
    assert wire.client.endpoint.connect("server", dtls.ORIGIN, 0.0) is session
    wire.settle()
    assert wire.connect() is session
    assert wire.connect(origin=Origin("coaps", "other.example", 5684)) is session  # the same key


def test_another_credential_is_another_session(dtls):
    server = dtls.Side(store=MemoryCredentialStore([PskEntry(dtls.psk()), PskEntry(dtls.psk("device-2"))]))
    other = Origin("coaps", "other.example", 5684)
    ring = Keyring([Held(dtls.ORIGIN, dtls.psk()), Held(other, dtls.psk("device-2"))])
    wire = dtls.Wire(server, dtls.Side(keyring=ring))
    first = wire.connect()
    second = wire.connect(origin=other)
    assert first is not second
    assert [peer.identity.name for peer in wire.server.peers] == ["device-1", "device-2"]
    wire.client.endpoint.connect("server", dtls.ORIGIN, 0.0)
    wire.connect(origin=other)
    assert len(wire.client.endpoint) == 1


def test_a_new_handshake_takes_the_place_of_one_for_another_origin(dtls):
    other = Origin("coaps", "other.example", 5684)
    ring = Keyring([Held(dtls.ORIGIN, dtls.psk()), Held(other, dtls.psk("device-2"))])
    wire = dtls.Wire(client=dtls.Side(keyring=ring))
    first = wire.client.endpoint.connect("server", other, 0.0)
    wire.connect()
    assert wire.client.of(Failed)[0].session is first
    assert wire.client.peers[0].identity.name == "device-1"


def test_a_server_uses_the_session_that_a_device_has_opened(dtls):
    wire = dtls.Wire()
    wire.connect()
    session = wire.server.endpoint.connect("client", dtls.ORIGIN, 0.0)
    assert session.peer is wire.server.peers[0]
    with pytest.raises(MissingCredentialError):
        wire.server.endpoint.connect("elsewhere", dtls.ORIGIN, 0.0)


def test_an_end_that_is_both_uses_what_the_other_has_opened_with_the_same_key(dtls):
    store = MemoryCredentialStore([PskEntry(dtls.psk())])
    wire = dtls.Wire(dtls.Side(store=store, keyring=dtls.ring(dtls.psk())))
    wire.connect()
    assert wire.server.endpoint.connect("client", dtls.ORIGIN, 0.0).peer is wire.server.peers[0]
    wire = dtls.Wire(dtls.Side(store=store, keyring=dtls.ring(dtls.psk("other"))))
    wire.connect()
    assert wire.server.endpoint.connect("client", dtls.ORIGIN, 0.0).peer is None


# -- resumption


def test_a_session_is_resumed_with_fewer_flights_and_the_same_identity(dtls):
    wire = dtls.Wire()
    wire.client.endpoint.end(wire.connect().peer)
    wire.settle()
    before = len(wire.sent)
    session = wire.connect()
    assert session.connection.is_resumed()
    assert len(wire.sent) - before == 5
    assert [peer.identity.name for peer in wire.server.peers] == ["device-1", "device-1"]
    assert wire.say(b"data")


def test_a_session_with_certificates_is_resumed_with_the_same_names(with_certificates, certified, authority):
    wire = with_certificates(certified(authority.sign("device-1", ["urn:dev:1"])))
    wire.client.endpoint.end(wire.connect().peer)
    wire.settle()
    assert wire.connect().connection.is_resumed()
    first, second = wire.server.peers
    assert first.identity == second.identity
    assert wire.client.peers[0].identity == wire.client.peers[1].identity


def test_no_other_host_at_the_same_address_resumes_what_a_certificate_was_for(with_certificates, certified, authority):
    wire = with_certificates(certified(authority.sign("device-1", ["urn:dev:1"])))
    wire.client.endpoint.end(wire.connect().peer)
    wire.settle()
    other = Origin("coaps", "other.example", 5684)
    assert wire.connect(origin=other).peer is None


@pytest.mark.parametrize("change", ["rotate", "revoke"])
def test_nothing_is_resumed_under_a_credential_that_no_longer_counts(dtls, change):
    store = MemoryCredentialStore([PskEntry(dtls.psk())])
    wire = dtls.Wire(dtls.Side(store=store))
    store.listen(wire.server.endpoint.credential_ended)
    wire.client.endpoint.end(wire.connect().peer)
    wire.settle()
    store.rotate("device-1", Secret(b"new key")) if change == "rotate" else store.revoke(PSK, "device-1")
    wire.connect()
    assert wire.server.reasons[-1] == "a session that no longer counts was to be resumed"
    assert len(wire.server.peers) == 1
    assert len(wire.server.endpoint) == 0


def test_after_a_session_that_was_not_resumed_the_next_handshake_is_a_whole_one(dtls):
    store = MemoryCredentialStore([PskEntry(dtls.psk())])
    wire = dtls.Wire(dtls.Side(store=store))
    store.listen(wire.server.endpoint.credential_ended)
    wire.client.endpoint.end(wire.connect().peer)
    wire.settle()
    store.rotate("device-1", dtls.KEY)
    wire.connect()  # resumed, and thrown out
    session = wire.connect()
    assert not session.connection.is_resumed()
    assert wire.say(b"data")


def test_a_ticket_has_its_time(dtls):
    wire = dtls.Wire(
        dtls.Side(store=MemoryCredentialStore([PskEntry(dtls.psk())]), limits=dtls.Limits(resumption_s=60))
    )
    wire.client.endpoint.end(wire.connect().peer)
    wire.pass_time(61.0)
    wire.connect()
    assert wire.server.reasons[-1] == "a session that no longer counts was to be resumed"


def test_so_many_sessions_are_remembered(dtls):
    names, clients = many(dtls, 3)
    server = dtls.Side(store=MemoryCredentialStore([PskEntry(dtls.psk())]), limits=dtls.Limits(resumable=2))
    wire = dtls.Wire(server, **clients)
    for name in names:
        clients[name].endpoint.end(wire.connect(name).peer)
        wire.settle()
    assert wire.connect("c2").connection.is_resumed()
    wire.connect("c0")
    assert server.reasons[-1] == "a session that no longer counts was to be resumed"


def test_a_client_remembers_so_many_servers(dtls):
    store = MemoryCredentialStore([PskEntry(dtls.psk())])
    client = DtlsEndpoint(bytes, keyring=dtls.ring(dtls.psk()), limits=dtls.Limits(resumable=1))
    servers = {name: DtlsEndpoint(bytes, store=store) for name in ("a", "b")}

    def connect(name):
        session = client.connect(name, dtls.ORIGIN, 0.0)
        while datagrams := client.take_datagrams():
            for data, to in datagrams:
                servers[to].receive(data, "client", 0.0)
            for server_name, server in servers.items():
                for data, _ in server.take_datagrams():
                    client.receive(data, server_name, 0.0)
        assert session.peer is not None
        client.end(session.peer)
        client.take_datagrams()
        return len(client.take_events())

    assert [connect(name) for name in ("a", "b", "a")] == [1, 1, 1]


# -- a credential that ends


@pytest.mark.parametrize("change", ["rotate", "revoke"])
def test_sessions_end_with_their_credential(dtls, change):
    store = MemoryCredentialStore([PskEntry(dtls.psk()), PskEntry(dtls.psk("device-2"))])
    other = dtls.Side(keyring=dtls.ring(dtls.psk("device-2")))
    wire = dtls.Wire(dtls.Side(store=store), other=other)
    store.listen(wire.server.endpoint.credential_ended)
    wire.connect()
    wire.connect("other")
    store.rotate("device-1", Secret(b"new key")) if change == "rotate" else store.revoke(PSK, "device-1")
    wire.settle()
    assert wire.server.of(Ended) == [Ended(wire.server.peers[0], "its credential was rotated or revoked")]
    assert wire.client.reasons == ["the other end has closed the session"]
    assert wire.say(b"data", "other")


@pytest.mark.parametrize("change", ["rotate", "revoke", "replace"])
def test_a_handshake_under_way_is_judged_by_what_counts_at_its_end(dtls, change):
    store = MemoryCredentialStore([PskEntry(dtls.psk())])
    wire = dtls.Wire(dtls.Side(store=store))
    store.listen(wire.server.endpoint.credential_ended)
    held = []

    def hold_the_end(number, data):
        """Let the key exchange through, and keep what proves the key: the records from the ChangeCipherSpec on."""
        if wire.sent[-1][0] == "server" or data[:1] != b"\x16" or data[13] != 16:
            return False
        records = cut(data)
        held.append(b"".join(records[1:]))
        wire.server.receive(records[0], "client", wire.now)
        return True

    wire.lose = hold_the_end
    wire.connect()
    assert held
    if change == "rotate":
        store.rotate("device-1", Secret(b"new key"))
    else:
        store.revoke(PSK, "device-1")
    if change == "replace":
        store.add(PskEntry(dtls.psk(key=Secret(b"new key"))))
    wire.lose = lambda number, data: False
    wire.server.receive(held[0], "client", wire.now)
    wire.settle()
    assert wire.server.peers == []
    said = "psk 'device-1' is revoked"
    rotated = "the key of psk 'device-1' was rotated while the handshake was under way"
    assert wire.server.reasons == [said if change == "revoke" else rotated]
    assert len(wire.server.endpoint) == 0
    wire.connect()  # and nothing is resumed from it
    assert wire.server.peers == []


def test_a_revoked_certificate_is_let_in_no_more(with_certificates):
    store = MemoryCredentialStore()
    wire = with_certificates(store=store)
    store.listen(wire.server.endpoint.credential_ended)
    wire.connect()
    store.revoke(CERTIFICATE, "device-1")
    wire.settle()
    assert wire.server.reasons == ["its credential was rotated or revoked"]
    wire.clients["client"] = type(wire.client)(keyring=wire.client.endpoint._connector._keyring)
    wire.connect()
    assert wire.server.reasons[-1] == "certificate 'device-1' is revoked"


def test_a_store_that_is_not_there_has_nothing_to_end(dtls):
    wire = dtls.Wire()
    wire.connect()
    wire.client.endpoint.credential_ended(PSK, "device-1")
    assert wire.say(b"data")


# -- secrets


def test_no_reason_shows_a_key(dtls):
    wire = dtls.Wire(client=dtls.Side(keyring=dtls.ring(dtls.psk(key=Secret(b"another key")))))
    wire.connect()
    wire.pass_time(200.0)
    shown = repr((wire.server.events, wire.client.events, wire.server.endpoint, wire.server.reasons))
    for key in (b"another key", dtls.KEY.reveal()):
        assert key.decode() not in shown
        assert key.hex() not in shown
