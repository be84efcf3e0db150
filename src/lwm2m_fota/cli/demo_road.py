"""How the two processes of a demo meet: where the server listens, and fresh credentials if a scheme needs them."""

import secrets
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Final, final

import attrs

from lwm2m_fota.cli.certificates import SelfSigned, self_signed
from lwm2m_fota.cli.events import authority
from lwm2m_fota.cli.groups import Listening
from lwm2m_fota.cli.keys import PRIVATE_MODE, PUBLIC_MODE, write_new
from lwm2m_fota.cli.options import COAP_SCHEMES, Listener
from lwm2m_fota.credentials.keyring import SECURE_SCHEMES

_KEY_BYTES: Final = 16
HERE: Final = Listening((Listener("coap", "127.0.0.1", 0),))


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


def road(listening: Listening, endpoint: str, folder: FilePath) -> Road:
    """Options for a way between the two; credentials are written into the folder.

    Args:
        listening: where the server listens, and over which schemes the device fetches.
        endpoint: the endpoint name of the device.
        folder: for the files.

    Raises:
        StorageError: one cannot be written.
    """
    listen = [
        part for each in listening.places for part in ("--listen", f"{each.scheme}://{authority(each.host, each.port)}")
    ]
    fetched = [part for scheme in listening.fetched for part in ("--package-scheme", scheme)]
    if not SECURE_SCHEMES & set(listening.schemes):
        return Road((*listen, *fetched), fetched)
    psk = _pre_shared_key(endpoint, folder)
    server, device = self_signed("server", {each.host for each in listening.places}), self_signed(endpoint, ())
    return Road(
        (*listen, *fetched, *psk, *_certificates("server", server, device, folder)),
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
