"""Objects 3, 5 and 33629 in every content format that can carry them."""

import pytest

from lwm2m_fota.content.codec import decode
from lwm2m_fota.lwm2m.advanced_object import AdvancedObject
from lwm2m_fota.lwm2m.dispatch import Dispatcher
from lwm2m_fota.lwm2m.operations import Read
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.machines.coordinator_state import new_group
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import standard_definitions

TEXT, OPAQUE, CBOR, SENML_JSON, SENML_CBOR, TLV, LWM2M_CBOR = 0, 42, 60, 110, 112, 11542, 11544
SEVERAL = (SENML_JSON, SENML_CBOR, TLV, LWM2M_CBOR)
SINGLE = (TEXT, CBOR, *SEVERAL)
CONTENT, NOT_ACCEPTABLE = 0x45, 0x86


class Components:
    """Object 33629 as a LwM2M object that only answers reads."""

    def __init__(self):
        components = (ComponentSpec(0, "app"), ComponentSpec(3, "modem"))
        profile = AdvancedProfile(components=components)
        self._object = AdvancedObject(profile, new_group(profile, ("1.0", "2.0")))
        self.definition = self._object.definition

    def instances(self):
        return self._object.instances()

    def resources(self, instance_id):
        return self._object.resources()

    def streams(self, path):
        return self._object.streams(path)

    def handle(self, operation, now):
        return self._object.handle(operation, None).answer


@pytest.fixture
def device(make_device):
    device = make_device(FirmwareProfile(version="1.2"))
    device.dispatcher = Dispatcher((device.identity, device.host, Components()))
    return device


def values_of(device, path):
    """What the object itself says."""
    answer = device.dispatcher.objects[path.ids[0]].handle(Read(path), 0.0)
    return answer.entries


@pytest.mark.parametrize("content_format", SEVERAL)
@pytest.mark.parametrize("path", ["/3", "/3/0", "/5", "/5/0", "/33629", "/33629/0", "/33629/3"])
def test_objects_and_instances(device, path, content_format):
    parsed = Path.parse(path)
    answer = device.get(path, accept=content_format)
    assert answer.code == CONTENT
    found = decode(answer.payload, content_format, parsed, standard_definitions())
    expected = values_of(device, parsed)
    assert dict(found) == dict(expected)
    assert len(found) >= 2


@pytest.mark.parametrize("path", ["/3/0", "/5/0", "/33629/0", "/33629/3"])
def test_every_value_alone(device, path):
    for target, value in values_of(device, Path.parse(path)):
        for content_format in SINGLE:
            answer = device.get(str(target), accept=content_format)
            assert answer.code == CONTENT
            found = decode(answer.payload, content_format, target, standard_definitions())
            assert found == [(target, value)]
            assert type(found[0][1]) is type(value)
        assert device.get(str(target), accept=OPAQUE).code == NOT_ACCEPTABLE


@pytest.mark.parametrize("path", ["/3/0/11", "/5/0/8", "/33629/0/8", "/33629/0/16"])
def test_multiple_resources(device, path):
    parsed = Path.parse(path)
    for content_format in SEVERAL:
        answer = device.get(path, accept=content_format)
        assert decode(answer.payload, content_format, parsed, standard_definitions()) == values_of(device, parsed)
    for content_format in (TEXT, CBOR, OPAQUE):
        assert device.get(path, accept=content_format).code == NOT_ACCEPTABLE
