from lwm2m_fota.sim.flash import SimulatedFlash
from lwm2m_fota.testing.stores import ImageStoreConformance


class TestImage(ImageStoreConformance):
    survives = False

    def make(self, folder, capacity_bytes):
        return SimulatedFlash(capacity_bytes)


def test_a_power_cut_leaves_what_was_synced():
    flash = SimulatedFlash(100)
    flash.open(None)
    flash.write_at(0, b"kept")
    flash.sync()
    flash.write_at(4, b"lost")
    flash.cut_power()
    assert flash.read_at(0, 100) == b"kept"


def test_a_power_cut_brings_nothing_back_that_was_truncated_or_dropped():
    flash = SimulatedFlash(100)
    flash.open(None)
    flash.write_at(0, b"abcd")
    flash.sync()
    flash.truncate(2)
    flash.write_at(2, b"xy")
    flash.cut_power()
    assert flash.read_at(0, 100) == b"ab"
    for drop in (flash.discard, lambda: flash.open(None)):
        drop()
        flash.write_at(0, b"z")
        flash.cut_power()
        assert flash.size_bytes == 0


def test_a_sealed_image_outlives_a_power_cut():
    flash = SimulatedFlash(100)
    flash.open(None)
    flash.write_at(0, b"whole")
    image = flash.seal()
    flash.cut_power()
    assert flash.sealed is image
    assert image.read_at(0, 100) == b"whole"
