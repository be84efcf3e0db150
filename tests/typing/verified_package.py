"""Trust is a type: what mypy must refuse. This file is never run; mypy reads it.

A line with a `type: ignore` must be an error: mypy refuses an ignore that is not needed.
"""

from typing import assert_type

from lwm2m_fota.device.installer import Installer
from lwm2m_fota.package.types import VerifiedPackage
from lwm2m_fota.package.verifier import PackageVerifier
from lwm2m_fota.storage.base import SealedImage


def made_by_users(data: bytes) -> None:
    VerifiedPackage()  # type: ignore[call-arg]  # nothing makes one
    VerifiedPackage(data)  # type: ignore[arg-type]  # not out of bytes
    VerifiedPackage(format="plain", size_bytes=3, sha256=data)  # type: ignore[call-arg]  # not out of its fields


def changed(package: VerifiedPackage) -> None:
    package.size_bytes = 4  # type: ignore[misc]  # it is frozen


def verified(verifier: PackageVerifier) -> None:
    assert_type(verifier.finish(), VerifiedPackage)
    verifier.feed("text")  # type: ignore[arg-type]  # packages are bytes


def installed(installer: Installer, package: VerifiedPackage, image: SealedImage, data: bytes) -> None:
    installer.write(package, image, 1)
    installer.write(data, image, 1)  # type: ignore[arg-type]  # an installer takes no bytes
    installer.write(None, image, 1)  # type: ignore[arg-type]  # nor nothing
    installer.write(package, data, 1)  # type: ignore[arg-type]  # nor bytes that can still change


class Forged(VerifiedPackage):  # type: ignore[misc]  # the type is final
    """Not allowed."""
