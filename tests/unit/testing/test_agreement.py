"""Stores that must agree."""

import pytest

from lwm2m_fota.storage.memory import MemoryStateStore
from lwm2m_fota.testing.agreement import AgreeingStores, CrashingStores


def test_all_are_given_the_same():
    stores = MemoryStateStore(), MemoryStateStore()
    both = AgreeingStores(*stores)
    assert both.load() is None
    both.save(b"x")
    assert [each.load() for each in (*stores, both)] == [b"x"] * 3
    both.clear()
    assert [each.load() for each in stores] == [None, None]


def test_what_differs_is_told():
    with pytest.raises(AssertionError, match="2 stores do not agree"):
        AgreeingStores(MemoryStateStore(b"x"), MemoryStateStore(b"y")).load()


def test_a_crash_loses_nothing_that_was_saved():
    stores = CrashingStores()
    assert stores.crash() is None
    stores.save(b"one")
    assert stores.load() == stores.crash() == b"one"
    stores.close()
