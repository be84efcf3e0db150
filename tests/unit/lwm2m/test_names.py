"""Endpoint names are 1 to 255 bytes of UTF-8."""

import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.lwm2m.names import check_endpoint_name, is_endpoint_name


@pytest.mark.parametrize("name", ["d", "urn:dev:os:1", "x" * 255, "é" * 127])
def test_good_names(name):
    assert is_endpoint_name(name)
    check_endpoint_name(name)


@pytest.mark.parametrize("name", ["", "x" * 256, "é" * 128, "\udc80"])
def test_names_that_no_device_can_have(name):
    assert not is_endpoint_name(name)
    with pytest.raises(UsageError, match="255 bytes"):
        check_endpoint_name(name)
