import importlib
import sys

import pytest

import lwm2m_fota.testing
from lwm2m_fota.errors import MissingExtraError


def test_without_its_extra_the_error_names_the_pip_command(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pytest", None)
        with pytest.raises(MissingExtraError, match=r"pip install 'lwm2m-fota\[testing\]'"):
            importlib.reload(lwm2m_fota.testing)
    importlib.reload(lwm2m_fota.testing)
