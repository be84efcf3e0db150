"""A credential store that fails lets nobody in, and its failures are told now and then."""

from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import MemoryCredentialStore, PskEntry
from lwm2m_fota.credentials.values import Identity, PreSharedKey
from lwm2m_fota.transport.asking import AskedStore

KEY = Secret(b"sixteen byte key")
DEVICE = Identity.of_psk("device")


class Failing:
    """A store whose database is gone."""

    def key(self, identity):
        raise RuntimeError("the database is gone")

    def accepts(self, identity):
        raise RuntimeError("the database is gone")


def test_what_a_store_says_is_handed_on():
    asked = AskedStore(MemoryCredentialStore([PskEntry(PreSharedKey("device", KEY))]))
    assert (asked.key("device"), asked.key("other")) == (KEY, None)
    assert asked.accepts(DEVICE)
    assert not asked.accepts(Identity.of_psk("other"))


def test_a_store_that_fails_knows_nobody_and_fills_no_log(caplog):
    now = [0.0]
    asked = AskedStore(Failing(), lambda: now[0])
    for _ in range(1000):
        assert asked.key("device") is None
        assert not asked.accepts(DEVICE)
    (record,) = caplog.records
    assert "the database is gone" in str(record.exc_info[1])
    now[0] = 1.0
    asked.accepts(DEVICE)
    asked.key("device")
    assert len(caplog.records) == 2
