"""The credential file: what it keeps, who may read it, and what a damaged one is worth."""

import os
import stat
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import CertificateEntry, PskEntry, RevokedEntry
from lwm2m_fota.credentials.values import CredentialKind, PreSharedKey
from lwm2m_fota.errors import StorageError
from lwm2m_fota.storage.credentials import file_credential_store, read_private

KEY = b"sixteen byte key"
ENTRIES = (
    PskEntry(PreSharedKey("device-1", Secret(KEY))),
    PskEntry(PreSharedKey("gerät-2", Secret(b"k")), ("meter-1", "meter-2")),
    CertificateEntry("device-3.example", ("meter-3",)),
    RevokedEntry(CredentialKind.PSK, "device-4", ("meter-4",)),
    RevokedEntry(CredentialKind.CERTIFICATE, "device-5"),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "credentials.json"


@pytest.fixture
def filled(path):
    store = file_credential_store(path)
    for entry in ENTRIES:
        store.add(entry)
    return path


def test_what_was_added_is_there_after_a_restart(filled):
    assert tuple(file_credential_store(filled)) == ENTRIES


def test_changes_outlive_a_restart(filled):
    store = file_credential_store(filled)
    store.rotate("device-1", Secret(b"new"))
    store.revoke(CredentialKind.PSK, "gerät-2")
    again = file_credential_store(filled)
    assert again.key("device-1") == Secret(b"new")
    assert again.key("gerät-2") is None
    assert len(again) == len(ENTRIES)


def test_no_file_is_an_empty_store_and_is_made_for_its_owner_alone(path):
    store = file_credential_store(path)
    assert not path.exists()
    store.add(ENTRIES[0])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o601, 0o644, 0o660])
def test_a_file_that_others_have_rights_to_is_refused(filled, mode):
    filled.chmod(mode)
    with pytest.raises(StorageError, match="chmod 600"):
        file_credential_store(filled)
    filled.chmod(0o400)
    assert len(file_credential_store(filled)) == len(ENTRIES)


def test_what_a_crash_left_of_a_successor_is_removed(filled):
    left = filled.with_name("credentials.json.tmp")
    left.write_text("half")
    file_credential_store(filled)
    assert not left.exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{",
        "[" * 100_000,
        '{"format": 2, "entries": []}',
        '{"format": 1, "entries": 5}',
        '{"format": 1, "entries": [5]}',
        '{"format": 1, "entries": [{"kind": "psk", "name": "a", "endpoints": []}]}',
        '{"format": 1, "entries": [{"kind": "psk", "name": "a", "endpoints": [1], "key": "00"}]}',
        '{"format": 1, "entries": [{"kind": "psk", "name": "a", "endpoints": [], "key": "0g"}]}',
        '{"format": 1, "entries": [{"kind": "psk", "name": "a", "endpoints": [], "key": ""}]}',
        '{"format": 1, "entries": [{"kind": "oscore", "name": "a", "endpoints": []}]}',
        '{"format": 1, "entries": [{"kind": "certificate", "name": 1, "endpoints": []}]}',
        (
            '{"format": 1, "entries": [{"kind": "certificate", "name": "a", "endpoints": []},'
            ' {"kind": "certificate", "name": "a", "endpoints": []}]}'
        ),
    ],
)
def test_a_damaged_file_is_refused(path, text):
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(StorageError, match="damaged"):
        file_credential_store(path)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.touch(0o600)
    path.write_bytes(data)
    with pytest.raises(StorageError):
        file_credential_store(path)


def test_no_error_shows_a_key(filled):
    whole = filled.read_text()
    assert KEY.hex() in whole
    for text in (whole[:-1], whole.replace("psk", "pks"), whole + whole, whole.replace(KEY.hex(), KEY.hex() + "x")):
        filled.write_text(text)
        with pytest.raises(StorageError) as caught:
            file_credential_store(filled)
        shown = "".join(traceback.format_exception(caught.value))
        assert KEY.hex() not in shown
        assert KEY.decode() not in shown
        assert caught.value.__context__ is None


def test_a_change_that_cannot_be_written_is_none(filled):
    store = file_credential_store(filled)
    filled.parent.chmod(0o500)
    try:
        if os.access(filled.parent, os.W_OK):
            filled.with_name("credentials.json.tmp").mkdir()  # root may write anywhere
        with pytest.raises(StorageError):
            store.rotate("device-1", Secret(b"new"))
    finally:
        filled.parent.chmod(0o700)
    assert store.key("device-1") == Secret(KEY)


def test_a_private_file_has_a_size_that_is_taken(filled):
    with pytest.raises(StorageError, match="at most 10"):
        read_private(filled, 10)


def test_what_is_no_file_is_not_read(tmp_path):
    with pytest.raises(StorageError):
        read_private(tmp_path / "none")
    with pytest.raises(StorageError):
        read_private(tmp_path)
