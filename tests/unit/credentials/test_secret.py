"""Secrets show themselves nowhere."""

import copy
import json
import logging
import pickle
import traceback

import pytest

from lwm2m_fota.credentials.keyring import Held, Keyring, Origin
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import MemoryCredentialStore, PskEntry
from lwm2m_fota.credentials.values import Certificate, PreSharedKey
from lwm2m_fota.errors import UsageError

KEY = b"sixteen byte key"
SHOWN = (KEY.decode(), KEY.hex(), repr(KEY), KEY.hex().upper())


def shows(text):
    return [form for form in SHOWN if form in text]


PSK = PreSharedKey("device-1", Secret(KEY))
CERTIFICATE = Certificate(chain_pem=b"own", key_pem=Secret(KEY))


@pytest.mark.parametrize(
    "value",
    [
        Secret(KEY),
        PSK,
        CERTIFICATE,
        PskEntry(PSK),
        Held(None, PSK),
        Keyring([Held(None, PSK), Held(Origin("coaps", "a", 1), CERTIFICATE)]),
        MemoryCredentialStore([PskEntry(PSK)]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_text_of_what_holds_a_secret_shows_it(value, caplog):
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").warning("%s %r", value, value)
    for text in (repr(value), str(value), f"{value}", f"{value!r}", caplog.text):
        assert not shows(text)


def test_a_secret_gives_its_bytes_only_when_it_is_asked():
    secret = Secret(bytearray(KEY))
    assert secret.reveal() == KEY
    assert (len(secret), bool(secret), bool(Secret(b""))) == (16, True, False)


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, bytes])
def test_a_secret_does_not_leave_by_accident(leak):
    with pytest.raises(TypeError) as caught:
        leak(Secret(KEY))
    assert not shows("".join(traceback.format_exception(caught.value)))


def test_secrets_are_equal_by_their_bytes():
    assert Secret(KEY) == Secret(KEY)
    assert hash(Secret(KEY)) == hash(Secret(KEY))
    assert Secret(KEY) != Secret(KEY[::-1])
    assert Secret(KEY) != KEY


@pytest.mark.parametrize("key", [KEY * 5, b""])
def test_a_key_that_cannot_be_is_refused_without_being_shown(key):
    with pytest.raises(UsageError) as caught:
        PreSharedKey("device-1", Secret(key))
    assert not shows(str(caught.value))
