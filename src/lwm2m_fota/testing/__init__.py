"""Conformance suites that implementers of transports, fetchers, stores and package formats run against their own.

Subclass a suite under a name that pytest collects, and implement its factories:

    class TestMyStore(StateStoreConformance):
        def make(self, folder: Path) -> StateStore:
            return MyStore(folder / "state")

Needs the extra `testing`.
"""

from lwm2m_fota.errors import MissingExtraError

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("lwm2m_fota.testing needs pytest: pip install 'lwm2m-fota[testing]'") from error

_SUITES = ("transports", "sessions", "fetchers", "stores", "formats")
pytest.register_assert_rewrite(*(f"{__name__}.{suite}" for suite in _SUITES))
