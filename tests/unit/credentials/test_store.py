"""What a server's store answers, and how it changes."""

import pytest

from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import CertificateEntry, MemoryCredentialStore, PskEntry, RevokedEntry, permits
from lwm2m_fota.credentials.values import CredentialKind, Identity, PreSharedKey
from lwm2m_fota.errors import StorageError, UsageError

OLD, NEW = Secret(b"old key"), Secret(b"new key")
PSK, CERTIFICATE = CredentialKind.PSK, CredentialKind.CERTIFICATE


def psk_entry(name, *endpoints):
    return PskEntry(PreSharedKey(name, OLD), endpoints)


def shown(*names):
    return Identity(CERTIFICATE, names[0], frozenset(names), bytes(32))


def test_an_empty_store_knows_nobody_and_binds_nothing(new_store):
    store = new_store()
    assert store.key("device-1") is None
    assert not store.accepts(Identity.of_psk("device-1"))
    assert store.endpoints(Identity.of_psk("device-1")) == frozenset()
    assert not store.is_bound("device-1")
    assert len(store) == 0


def test_a_psk_identity_may_use_its_own_name_or_those_given_to_it(new_store):
    store = new_store([psk_entry("own"), psk_entry("other", "meter-1", "meter-2")])
    assert store.key("own") == OLD
    assert store.accepts(Identity.of_psk("own"))
    assert store.endpoints(Identity.of_psk("own")) == {"own"}
    assert store.endpoints(Identity.of_psk("other")) == {"meter-1", "meter-2"}
    assert [store.is_bound(name) for name in ("own", "other", "meter-1")] == [True, False, True]


def test_a_certificate_may_use_its_names_or_those_given_to_one_of_them(new_store):
    store = new_store([CertificateEntry("meter-1.example", ("meter-1",)), CertificateEntry("plain")])
    assert store.accepts(shown("unlisted"))
    assert store.endpoints(shown("unlisted", "alias")) == {"unlisted", "alias"}
    assert store.endpoints(shown("plain", "alias")) == {"plain", "alias"}
    assert store.endpoints(shown("unlisted", "meter-1.example")) == {"meter-1"}
    assert not store.is_bound("unlisted")


def test_a_certificate_has_no_name_that_is_bound_to_another_identity(new_store):
    store = new_store([psk_entry("device-1"), psk_entry("other", "meter-1"), CertificateEntry("listed")])
    assert store.endpoints(shown("device-1")) == frozenset()
    assert store.endpoints(shown("alias", "meter-1")) == {"alias"}
    assert store.endpoints(shown("listed", "device-1", "free")) == {"listed", "free"}
    store.revoke(PSK, "device-1")
    assert store.endpoints(shown("device-1")) == frozenset()


def test_a_psk_identity_is_no_certificate_of_that_name(new_store):
    store = new_store([psk_entry("device-1", "meter-1")])
    assert store.endpoints(shown("device-1")) == {"device-1"}


@pytest.mark.parametrize(
    ("identity", "endpoint", "permitted"),
    [
        (None, "device-1", False),
        (None, "free", True),
        (Identity.of_psk("device-1"), "device-1", True),
        (Identity.of_psk("device-1"), "device-2", False),
        (Identity.of_psk("device-1"), "free", False),
        (Identity.of_psk("device-9"), "device-9", False),
        (shown("cn", "alias"), "alias", True),
        (shown("cn", "alias"), "device-1", False),
    ],
)
def test_an_endpoint_name_is_for_whom_it_is_bound_to(new_store, identity, endpoint, permitted):
    store = new_store([psk_entry("device-1"), psk_entry("device-2")])
    assert permits(store, identity, endpoint) is permitted


def test_rotation_replaces_the_key_keeps_the_names_and_tells(new_store):
    store, told = new_store([psk_entry("device-1", "meter-1")]), []
    store.listen(lambda kind, name: told.append((kind, name)))
    store.rotate("device-1", NEW)
    assert store.key("device-1") == NEW
    assert store.endpoints(Identity.of_psk("device-1")) == {"meter-1"}
    assert told == [(PSK, "device-1")]


def test_revocation_takes_the_key_away_keeps_the_names_closed_and_tells(new_store):
    store, told = new_store([psk_entry("device-1", "meter-1")]), []
    store.listen(lambda kind, name: told.append((kind, name)))
    store.revoke(PSK, "device-1")
    assert store.key("device-1") is None
    assert not store.accepts(Identity.of_psk("device-1"))
    assert store.endpoints(Identity.of_psk("device-1")) == frozenset()
    assert not permits(store, None, "meter-1")
    assert told == [(PSK, "device-1")]


def test_a_certificate_is_revoked_by_any_of_its_names_listed_or_not(new_store):
    store = new_store([CertificateEntry("listed", ("meter-1",))])
    store.revoke(CERTIFICATE, "listed")
    store.revoke(CERTIFICATE, "alias")
    assert not store.accepts(shown("listed"))
    assert not store.accepts(shown("unlisted", "alias"))
    assert store.accepts(shown("unlisted"))
    assert not permits(store, None, "meter-1")


def test_a_revoked_identity_may_be_let_in_again(new_store):
    store = new_store([psk_entry("device-1")])
    store.revoke(PSK, "device-1")
    store.add(PskEntry(PreSharedKey("device-1", NEW)))
    assert store.key("device-1") == NEW
    assert len(store) == 1


def test_names_are_free_again_once_no_entry_gives_them(new_store):
    store = new_store([psk_entry("device-1", "meter-1"), psk_entry("device-2", "meter-1")])
    store.revoke(PSK, "device-1")
    store.add(psk_entry("device-1", "meter-9"))
    assert store.is_bound("meter-1")
    store.revoke(PSK, "device-2")
    store.add(psk_entry("device-2", "meter-8"))
    assert not store.is_bound("meter-1")


def test_what_is_there_is_not_added_and_what_is_not_is_not_rotated(new_store):
    store = new_store([psk_entry("device-1"), CertificateEntry("device-2")])
    for entry in (psk_entry("device-1"), CertificateEntry("device-2"), RevokedEntry(PSK, "device-1")):
        with pytest.raises(UsageError):
            store.add(entry)
    for name in ("device-2", "device-3"):
        with pytest.raises(UsageError):
            store.rotate(name, NEW)
    with pytest.raises(UsageError):
        store.rotate("device-1", Secret(b""))
    assert store.key("device-1") == OLD


def test_a_change_that_cannot_be_saved_is_none():
    saved = []

    def save(entries):
        saved.append(entries)
        if len(saved) > 1:
            raise StorageError("full")

    store, told = MemoryCredentialStore(save=save), []
    store.listen(lambda *what: told.append(what))
    store.add(psk_entry("device-1"))
    for change in (
        lambda: store.rotate("device-1", NEW),
        lambda: store.revoke(PSK, "device-1"),
        lambda: store.add(psk_entry("device-2")),
    ):
        with pytest.raises(StorageError):
            change()
    assert list(store) == [psk_entry("device-1")]
    assert not store.is_bound("device-2")
    assert told == []
    assert saved[0] == (psk_entry("device-1"),)
