"""Both stores, in memory and in a file, for the same tests."""

import pytest

from lwm2m_fota.credentials.store import MemoryCredentialStore
from lwm2m_fota.storage.credentials import file_credential_store


@pytest.fixture(params=["memory", "file"])
def new_store(request, tmp_path):
    """`new_store(entries)` is a store with these entries."""

    def make(entries=()):
        if request.param == "memory":
            return MemoryCredentialStore(entries)
        store = file_credential_store(tmp_path / "credentials.json")
        for entry in entries:
            store.add(entry)
        return store

    return make
