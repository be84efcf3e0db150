"""Objects 0, 1 and 3 of a device."""

import pytest

from lwm2m_fota.device.membership import Membership, ServerAccount
from lwm2m_fota.device.objects import DeviceIdentity, device_object, security_object, server_object
from lwm2m_fota.errors import ContentError, UsageError
from lwm2m_fota.lwm2m.attributes import Attributes
from lwm2m_fota.lwm2m.operations import Execute, Read, Write
from lwm2m_fota.lwm2m.registration import RegistrationSettings
from lwm2m_fota.model.paths import Path
from lwm2m_fota.runtime.pump import Pump
from lwm2m_fota.transport.memory import MemoryNetwork


def values(each, object_id):
    return {path.ids[2]: value for path, value in each.handle(Read(Path.of(object_id)), 0.0).entries}


def test_the_device_tells_who_it_is_and_what_it_runs():
    version = ["1.0.0"]
    identity = DeviceIdentity(manufacturer="Maker", model="M1", serial="0815")
    device = device_object(identity, lambda: version[0], list)
    found = values(device, 3)
    assert (found[0], found[1], found[2], found[3], found[16]) == ("Maker", "M1", "0815", "1.0.0", "U")
    version[0] = "1.1.0"
    assert values(device, 3)[3] == "1.1.0"
    assert device.handle(Read(Path.of(3, 0, 11)), 0.0).entries == [(Path.of(3, 0, 11, 0), 0)]


def test_reboot_restarts_the_device():
    reboots = []
    device = device_object(DeviceIdentity(), lambda: "", lambda: reboots.append(1))
    assert device.handle(Execute(Path.of(3, 0, 4)), 0.0).code == 0x44
    assert reboots == [1]


class Place:
    """A membership that is never started, and what its account leads to."""

    def __init__(self, *, version="1.1", server_id=7, instance=0, binding="U", queue_mode=False, **account):
        self.heard = []
        self.at = Membership(
            ServerAccount(uri="coap://server", server_id=server_id, **account),
            RegistrationSettings(endpoint="dev", lwm2m_version=version, binding=binding, queue_mode=queue_mode),
            Pump(MemoryNetwork().transport()),
            forgotten=self.heard.append,
            answered=self.heard.append,
            trouble=self.heard.append,
        )
        self.object = server_object(instance, self.at, lambda: self.heard.append("allowed"))

    def write(self, resource_id, value):
        path = Path.of(1, *self.object.instances(), resource_id)
        return self.object.handle(Write(path, [(path, value)]), 0.0).code

    def values(self):
        return values(self.object, 1)


def test_the_security_object_names_the_server_and_no_security():
    found = values(security_object(0, Place().at), 0)
    assert (found[0], found[1], found[2], found[10]) == ("coap://server", False, 3, 7)


def test_the_account_of_lwm2m_1_0():
    place = Place(version="1.0")
    assert place.object.definition.version == "1.0"
    assert place.values() == {0: 7, 1: 300, 2: 0, 3: 0, 6: False, 7: "U"}
    assert place.object.resources(0) == [0, 1, 2, 3, 6, 7, 8]


def test_the_account_of_later_versions_says_whether_it_may_be_sent_to():
    place = Place(min_period_s=5, max_period_s=60)
    assert place.object.definition.version == "1.1"
    assert place.values() == {0: 7, 1: 300, 2: 5, 3: 60, 6: False, 7: "U", 23: True}
    assert Place(may_report=True).values()[23] is False


def test_the_server_may_allow_and_forbid_to_send():
    place = Place()
    assert place.write(23, value=False) == 0x44
    assert (place.at.is_muted, place.heard) == (False, ["allowed"])
    assert place.write(23, value=True) == 0x44
    assert (place.at.is_muted, place.heard) == (True, ["allowed"])


def test_written_periods_count_for_notifications():
    place = Place()
    assert (place.write(2, 10), place.write(3, 90)) == (0x44, 0x44)
    assert (place.values()[2], place.values()[3]) == (10, 90)
    assert place.at.defaults == Attributes(pmin=10, pmax=90)


@pytest.mark.parametrize(
    ("resource_id", "value"), [(1, 0), (1, -1), (1, "60"), (2, -1), (3, -1), (3, "9"), (7, "UQ"), (7, "T"), (23, 1)]
)
def test_what_cannot_be_written(resource_id, value):
    place = Place()
    before = place.values()
    with pytest.raises(ContentError):
        place.write(resource_id, value)
    assert place.values() == before


def test_the_binding_may_be_written_as_it_is():
    assert Place().write(7, "U") == 0x44


def test_another_binding_that_is_spoken_may_be_written():
    place = Place(binding="UT")
    assert place.write(7, "T") == 0x44
    assert place.values()[7] == "T"
    assert place.write(7, "TU") == 0x44
    for wrong in ("", "TT", "S", "TUS"):
        with pytest.raises(ContentError):
            place.write(7, wrong)
    assert place.values()[7] == "TU"


def test_lwm2m_1_0_has_queue_mode_in_its_binding():
    place = Place(version="1.0", binding="UT", queue_mode=True)
    assert place.values()[7] == "UTQ"
    assert place.write(7, "TQ") == 0x44
    assert place.values()[7] == "TQ"
    with pytest.raises(ContentError, match="sleeps"):
        place.write(7, "T")


@pytest.mark.parametrize("wrong", [{"server_id": 0}, {"server_id": 65535}, {"min_period_s": -1}, {"max_period_s": -1}])
def test_accounts_that_cannot_be(wrong):
    with pytest.raises(UsageError):
        ServerAccount(uri="coap://server", **wrong)
