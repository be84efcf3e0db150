"""Listeners, credentials in files, and which transport they make: what is refused before anything begins."""

import attrs
import click
import pytest

from lwm2m_fota.cli.demo_road import managed_at
from lwm2m_fota.cli.options import Listener, listener, server_uri
from lwm2m_fota.cli.security import Credentials, SecurityOptions
from lwm2m_fota.cli.ways import connecting, listening, web_host
from lwm2m_fota.credentials.keyring import Held, Keyring, Origin
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import MemoryCredentialStore
from lwm2m_fota.credentials.values import Certificate, PreSharedKey
from lwm2m_fota.errors import StorageError, UsageError
from lwm2m_fota.transport.tls import HAS_PSK

PSK = PreSharedKey("dev", Secret(b"sixteen byte key"))
HERE = "127.0.0.1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:5683", ("coap", "127.0.0.1", 5683)),
        ("[::1]:0", ("coap", "::1", 0)),
        ("coap://server.example", ("coap", "server.example", 5683)),
        ("coaps://0.0.0.0:5684", ("coaps", "0.0.0.0", 5684)),  # noqa: S104
        ("COAPS://[::]", ("coaps", "::", 5684)),
        ("coap+tcp://[::1]:7", ("coap+tcp", "::1", 7)),
        ("coaps+tcp://here", ("coaps+tcp", "here", 5684)),
        ("http://here", ("http", "here", 80)),
        ("https://here", ("https", "here", 443)),
    ],
)
def test_where_a_server_listens_and_how(text, expected):
    assert attrs.astuple(listener(text)) == expected
    assert listener(listener(text)) == Listener(*expected)


@pytest.mark.parametrize(
    "text", ["", "here", "ftp://here", "coap://", "coap://:1", "::1:1", "coap://::1", "[::1", "a:65536", "a:-1", "a:x"]
)
def test_what_is_no_place_to_listen_at(text):
    with pytest.raises(click.BadParameter):
        listener(text)


@pytest.mark.parametrize("text", ["coaps://h:1", "coap+tcp://h:1", "coaps+tcp://h:1", "coap://h:1"])
def test_servers_are_of_all_schemes_of_coap(text):
    assert server_uri(text) == text


@pytest.mark.parametrize("text", ["http://h", "coap://h/path", "coaps://h?query", "h"])
def test_what_is_no_server_of_devices(text):
    with pytest.raises(click.BadParameter):
        server_uri(text)


# -- the options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--psk-identity", "dev"), "--psk-identity and --psk-key-file go together"),
        (("--cert", "FILE"), "--cert and --key go together"),
        (("--listen", "http://127.0.0.1:0"), "one --listen has to be of it"),
        (("--package-scheme", "http"), "--package-scheme http needs a --listen http://HOST:PORT"),
        (("--listen", "coaps://127.0.0.1:0"), "coaps needs a credential"),
        (("--listen", "coap://127.0.0.1:0", "--listen", "https://127.0.0.1:0"), "https needs a credential"),
    ],
)
def test_options_that_do_not_go_together_begin_nothing(command, tmp_path, options, words):
    (tmp_path / "file").write_bytes(b"firmware")
    options = [str(tmp_path / "file") if each == "FILE" else each for each in options]
    done = command("update", tmp_path / "file", "--endpoint", "dev", *options)
    assert done.exit_code == 2
    assert words in done.output


def test_a_device_needs_a_credential_for_a_secure_server(command, tmp_path):
    done = command("device", "--server", "coaps://127.0.0.1", "--endpoint", "dev", "--state-dir", tmp_path / "state")
    assert done.exit_code == 2
    assert "coaps needs a credential" in done.output
    assert not (tmp_path / "state").exists()


@pytest.fixture
def private(tmp_path):
    def write(data, mode=0o600):
        path = tmp_path / "secret"
        path.touch(mode)
        path.chmod(mode)
        path.write_bytes(data)
        return path

    return write


def test_a_key_is_read_from_hexadecimal_digits(private):
    options = SecurityOptions(psk_identity="dev", psk_key_file=private(b"7369787465656e2062797465206b6579\n"))
    assert options.read() == Credentials(PSK)


@pytest.mark.parametrize("data", [b"sixteen byte key", b"0", b"\xff\xfe", b""])
def test_what_is_no_key_is_not_shown(private, data):
    options = SecurityOptions(psk_identity="dev", psk_key_file=private(data))
    with pytest.raises(UsageError) as raised:
        options.read()
    assert data.decode("latin-1") not in str(raised.value) or data in {b"0", b""}
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_secrets_that_others_may_read_are_not_used(private, tmp_path, mode):
    path = private(b"00" * 16, mode)
    with pytest.raises(StorageError, match="chmod 600"):
        SecurityOptions(psk_identity="dev", psk_key_file=path).read()
    (tmp_path / "cert").write_bytes(b"a certificate")
    with pytest.raises(StorageError, match="chmod 600"):
        SecurityOptions(cert=tmp_path / "cert", key=path).read()


def test_a_file_that_is_gone_is_an_error_of_ours(tmp_path):
    with pytest.raises(StorageError, match="cannot read"):
        SecurityOptions(ca=tmp_path / "none").read()


# -- what they make


@pytest.fixture
def certified(authority):
    signed = authority.sign("dev", [HERE])
    return Certificate(roots_pem=authority.certificate, chain_pem=signed.chain, key_pem=Secret(signed.key))


def test_the_key_is_for_the_host_of_the_server_and_the_certificate_for_any(certified):
    keyring = Credentials(PSK, certified).keyring("coaps://[2001:db8::1]:7")
    held = [Held(Origin("coaps", "2001:db8::1", 7), PSK), Held(None, certified)]
    assert repr(keyring) == repr(Keyring(held))
    assert keyring.find(Origin("coaps", "2001:db8::1", 8), {PSK.kind, certified.kind}) == PSK
    assert keyring.find(Origin("https", "elsewhere", 8), {PSK.kind, certified.kind}) == certified


def test_the_name_of_the_device_is_bound_to_what_is_given(certified):
    assert not Credentials().store("dev").is_bound("dev")
    assert Credentials(PSK).store("meter").is_bound("meter")
    assert Credentials(None, certified).store("meter").is_bound("meter")


@pytest.mark.parametrize("scheme", ["coap", "coaps", "coap+tcp", "coaps+tcp"])
def test_each_scheme_has_its_transport(certified, scheme):
    credentials = Credentials(PSK, certified)
    assert listening(Listener(scheme, HERE, 0), credentials, credentials.store("dev")).scheme == scheme
    assert connecting(scheme, HERE, credentials.keyring(f"{scheme}://{HERE}")).scheme == scheme


@pytest.mark.parametrize("scheme", ["coaps", "coaps+tcp"])
@pytest.mark.parametrize("ours", [Credentials(), "roots", "no roots"])
def test_a_listener_that_could_let_in_nobody_is_refused(certified, scheme, ours):
    if ours == "roots":
        ours = Credentials(None, Certificate(roots_pem=certified.roots_pem))
    elif ours == "no roots":
        ours = Credentials(None, attrs.evolve(certified, roots_pem=None))
    with pytest.raises(UsageError, match="pre-shared key, or shows a certificate"):
        listening(Listener(scheme, HERE, 0), ours, ours.store("dev"))


@pytest.mark.skipif(HAS_PSK, reason="it can from Python 3.13 on")
def test_a_key_over_tls_is_refused_in_words_where_it_cannot_be_used():
    ours = Credentials(PSK)
    with pytest.raises(UsageError, match=r"Python 3\.13"):
        listening(Listener("coaps+tcp", HERE, 0), ours, ours.store("dev"))
    with pytest.raises(UsageError, match=r"cannot be spoken .* Python 3\.13"):
        connecting("coaps+tcp", HERE, ours.keyring(f"coaps+tcp://{HERE}"))


def test_a_host_of_packages_over_https_shows_a_certificate():
    for ours in (Credentials(PSK), Credentials(None, Certificate(roots_pem=b"roots"))):
        with pytest.raises(UsageError, match="https shows a certificate"):
            web_host(
                Listener("https", HERE, 0), ours, MemoryCredentialStore(), advertise_host=lambda: None, on_block=print
            )


def test_the_device_of_a_demo_goes_to_a_secure_place_if_there_is_any():
    assert managed_at(["coap://h:1", "coap+tcp://h:2", "https://h:3"]) == "coap://h:1"
    assert managed_at(["coap://h:1", "coaps+tcp://h:2", "coaps://h:3"]) == "coaps+tcp://h:2"
