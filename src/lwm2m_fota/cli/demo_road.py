"""How the two processes of a demo meet: where the server listens, and fresh credentials if a scheme needs them."""

import secrets
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Final, final

import attrs

from lwm2m_fota.cli.certificates import SelfSigned, self_signed
from lwm2m_fota.cli.events import authority
from lwm2m_fota.cli.keys import PRIVATE_MODE, PUBLIC_MODE, write_new
from lwm2m_fota.cli.options import COAP_SCHEMES, Listener
from lwm2m_fota.credentials.keyring import SECURE_SCHEMES

_KEY_BYTES: Final = 16
HERE: Final = (Listener("coap", "127.0.0.1", 0),)


@final
@attrs.frozen
class Road:
    """Options of both commands.

    Attributes:
        server: of `update`.
        device: of `device`, but for the server's URI.
    """

    server: Sequence[str]
    device: Sequence[str]


def managed_at(uris: Sequence[str]) -> str:
    """Where a device goes: a secure place if there is any, since its name is closed to plain CoAP then.

    Args:
        uris: where the server listens; those of CoAP come first.
    """
    secure = (each for each in uris if each.partition(":")[0] in SECURE_SCHEMES & set(COAP_SCHEMES))
    return next(secure, uris[0])


def road(listen: Sequence[Listener], package_schemes: Sequence[str], endpoint: str, folder: FilePath) -> Road:
    """Options for a way between the two; credentials are written into the folder.

    Args:
        listen: where and how the server listens.
        package_schemes: over which packages are fetched; empty for all that are listened for, in that order.
        endpoint: the endpoint name of the device.
        folder: for the files.

    Raises:
        StorageError: one cannot be written.
    """
    schemes = [each.scheme for each in listen]
    offered = [part for scheme in package_schemes for part in ("--package-scheme", scheme)]
    fetched = [part for scheme in package_schemes or dict.fromkeys(schemes) for part in ("--package-scheme", scheme)]
    places = [part for each in listen for part in ("--listen", f"{each.scheme}://{authority(each.host, each.port)}")]
    if not SECURE_SCHEMES & set(schemes):
        return Road((*places, *offered), fetched)
    psk = _pre_shared_key(endpoint, folder)
    server, device = self_signed("server", {each.host for each in listen}), self_signed(endpoint, ())
    return Road(
        (*places, *offered, *psk, *_certificates("server", server, device, folder)),
        (*fetched, *psk, *_certificates("device", device, server, folder)),
    )


def _pre_shared_key(endpoint: str, folder: FilePath) -> Sequence[str]:
    path = folder / "psk.hex"
    write_new(path, secrets.token_hex(_KEY_BYTES).encode(), PRIVATE_MODE)
    return ("--psk-identity", endpoint, "--psk-key-file", str(path))


def _certificates(name: str, own: SelfSigned, other: SelfSigned, folder: FilePath) -> Sequence[str]:
    cert, key, ca = (folder / f"{name}.{kind}.pem" for kind in ("cert", "key", "ca"))
    write_new(cert, own.certificate, PUBLIC_MODE)
    write_new(key, own.key, PRIVATE_MODE)
    write_new(ca, other.certificate, PUBLIC_MODE)
    return ("--cert", str(cert), "--key", str(key), "--ca", str(ca))
