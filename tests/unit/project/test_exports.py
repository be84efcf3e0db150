"""What is public is listed, and what is listed exists."""

import importlib
import pkgutil
import types

import pytest

import lwm2m_fota

MOST_TOP_LEVEL_NAMES = 15


def every_module() -> list[str]:
    found = pkgutil.walk_packages(lwm2m_fota.__path__, "lwm2m_fota.")
    return ["lwm2m_fota", *(module.name for module in found if not module.name.endswith("__main__"))]


def test_the_top_level_exports_few_names():
    assert 1 <= len(lwm2m_fota.__all__) <= MOST_TOP_LEVEL_NAMES


def test_nothing_private_or_unlisted_stands_at_the_top_level():
    public = {
        name
        for name, value in vars(lwm2m_fota).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert public <= set(lwm2m_fota.__all__)


@pytest.mark.parametrize("name", sorted(lwm2m_fota.__all__))
def test_every_name_at_the_top_level_is_there_and_shown(name):
    assert getattr(lwm2m_fota, name) is not None
    assert name in dir(lwm2m_fota)


def test_another_name_is_an_ordinary_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lwm2m_fota.nothing


@pytest.mark.parametrize("name", every_module())
def test_every_module_imports_and_has_what_it_lists(name):
    module = importlib.import_module(name)
    assert module.__doc__
    listed = getattr(module, "__all__", [])
    assert len(set(listed)) == len(listed)
    for item in listed:
        getattr(module, item)
