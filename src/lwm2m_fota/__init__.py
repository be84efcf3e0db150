"""LwM2M firmware update for devices and servers: typed, exact, sans-IO."""

from lwm2m_fota._version import __version__

__all__ = ["__version__"]
