"""Objects 0, 1 and 3 of a device."""

import pytest

from lwm2m_fota.device.objects import DeviceIdentity, device_object, security_object, server_object
from lwm2m_fota.errors import ContentError, FotaError
from lwm2m_fota.lwm2m.operations import Execute, Read, Write
from lwm2m_fota.model.paths import Path


def values(each, object_id):
    return {path.ids[2]: value for path, value in each.handle(Read(Path.of(object_id, 0)), 0.0).entries}


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


def test_the_security_object_names_the_server_and_no_security():
    found = values(security_object("coap://server:5683", 7), 0)
    assert (found[0], found[1], found[2], found[10]) == ("coap://server:5683", False, 3, 7)


def account(lifetimes, updates):
    return server_object(
        server_id=7,
        lifetime=lambda: lifetimes[-1],
        set_lifetime=lifetimes.append,
        update_registration=lambda: updates.append(1),
    )


def test_the_account_tells_lifetime_and_binding():
    found = values(account([300], []), 1)
    assert (found[0], found[1], found[6], found[7]) == (7, 300, False, "U")


def test_a_written_lifetime_counts_and_is_at_least_a_second():
    lifetimes = [300]
    path = Path.of(1, 0, 1)
    assert account(lifetimes, []).handle(Write(path, ((path, 60),)), 0.0).code == 0x44
    assert lifetimes == [300, 60]
    for wrong in (0, -1, "60"):
        with pytest.raises(FotaError) as caught:
            account(lifetimes, []).handle(Write(path, ((path, wrong),)), 0.0)
        assert isinstance(caught.value, ContentError)
    assert lifetimes == [300, 60]


def test_the_server_may_ask_for_a_registration_update():
    updates = []
    assert account([300], updates).handle(Execute(Path.of(1, 0, 8)), 0.0).code == 0x44
    assert updates == [1]
