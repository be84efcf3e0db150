from lwm2m_fota.storage.memory import MemoryImageStore, MemoryPackageSource, MemoryStateStore
from lwm2m_fota.testing.stores import ImageStoreConformance, PackageSourceConformance, StateStoreConformance


class TestState(StateStoreConformance):
    def make(self, folder):
        return MemoryStateStore()


class TestPackage(PackageSourceConformance):
    def make(self, folder, data):
        return MemoryPackageSource(data)


class TestImage(ImageStoreConformance):
    survives = False

    def make(self, folder, capacity_bytes):
        return MemoryImageStore(capacity_bytes)


def test_a_state_store_may_begin_with_a_value():
    assert MemoryStateStore(b"value").load() == b"value"
