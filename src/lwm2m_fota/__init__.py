"""LwM2M firmware update for devices and servers: typed, exact, sans-IO.

The names below are what most users need; each room has more. They are loaded when they are first used, so importing
the package costs next to nothing and loads no event loop.
"""

import importlib
import typing

from lwm2m_fota._version import __version__

if typing.TYPE_CHECKING:
    from lwm2m_fota.device.advanced import AdvancedFirmwareDevice
    from lwm2m_fota.device.client import Lwm2mClient
    from lwm2m_fota.device.firmware import FirmwareDevice
    from lwm2m_fota.device.slots import SlotInstaller
    from lwm2m_fota.errors import FotaError
    from lwm2m_fota.machines.profile import FirmwareProfile
    from lwm2m_fota.machines.update_policy import UpdatePlan
    from lwm2m_fota.model.enums import State, UpdateResult
    from lwm2m_fota.package.crypto import PublicKey
    from lwm2m_fota.package.trust import TrustPolicy
    from lwm2m_fota.package.types import VerifiedPackage
    from lwm2m_fota.server.lwm2m import Lwm2mServer
    from lwm2m_fota.server.updater import Updater

__all__ = [
    "AdvancedFirmwareDevice",
    "FirmwareDevice",
    "FirmwareProfile",
    "FotaError",
    "Lwm2mClient",
    "Lwm2mServer",
    "PublicKey",
    "SlotInstaller",
    "State",
    "TrustPolicy",
    "UpdatePlan",
    "UpdateResult",
    "Updater",
    "VerifiedPackage",
    "__version__",
]

_HOMES: typing.Final = {
    "AdvancedFirmwareDevice": "device.advanced",
    "FirmwareDevice": "device.firmware",
    "FirmwareProfile": "machines.profile",
    "FotaError": "errors",
    "Lwm2mClient": "device.client",
    "Lwm2mServer": "server.lwm2m",
    "PublicKey": "package.crypto",
    "SlotInstaller": "device.slots",
    "State": "model.enums",
    "TrustPolicy": "package.trust",
    "UpdatePlan": "machines.update_policy",
    "UpdateResult": "model.enums",
    "Updater": "server.updater",
    "VerifiedPackage": "package.types",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
