"""docs/explanation/policies.md has every policy with its choices and its default."""

from enum import Enum

import attrs
import pytest

from lwm2m_fota.content.policies import ContentPolicies
from lwm2m_fota.device.settings import FirmwareSettings
from lwm2m_fota.lwm2m.registry import RegistryLimits
from lwm2m_fota.machines.component_policies import DEFAULT_ADVANCED_POLICIES
from lwm2m_fota.machines.policies import DEFAULT_POLICIES
from lwm2m_fota.machines.update_policy import UpdatePolicy

NUMBERS = ("max_pushes", "max_pulls", "max_executes", "max_busy", "poll_s", "settle_s", "retry_s")


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs" / "explanation" / "policies.md").read_text(encoding="utf-8")


def choices(settings):
    values = (getattr(settings, name) for name in attrs.fields_dict(type(settings)))
    return [value for value in values if isinstance(value, Enum)]


DEVICE = [*choices(DEFAULT_POLICIES), *choices(DEFAULT_ADVANCED_POLICIES), *choices(FirmwareSettings())]


def test_there_are_as_many_as_are_known():
    assert len(DEVICE) == 9 + 8 + 1


@pytest.mark.parametrize("default", DEVICE, ids=lambda default: type(default).__name__)
def test_a_policy_of_a_device_has_a_line_with_every_choice_and_its_default_in_bold(page, default):
    (line,) = [line for line in page.splitlines() if f"`{type(default).__name__}`: " in line]
    assert f"**{default.value}**" in line
    assert all(each.value in line for each in type(default))
    assert line.count("|") == 5
    assert line.split("|")[4].strip()  # a source


@pytest.mark.parametrize("name", [each for each in attrs.fields_dict(UpdatePolicy) if each not in NUMBERS])
def test_a_policy_of_a_server_has_a_line(page, name):
    default = getattr(UpdatePolicy(), name)
    assert f"`{name}`: **" in page or f"`{type(default).__name__}`: " in page


@pytest.mark.parametrize("settings", [ContentPolicies(), RegistryLimits()])
def test_other_rooms_name_theirs(page, settings):
    for default in choices(settings):
        assert f"`{type(default).__name__}`" in page
