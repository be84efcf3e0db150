"""`lwm2m-fota package sign` and `encrypt`: what is put around a file, or beside it, with COSE."""

import secrets
from pathlib import Path as FilePath
from typing import Final

from lwm2m_fota.cli.facts import Facts, replace_file, whole
from lwm2m_fota.cli.keys import new_private_key, one_key
from lwm2m_fota.cli.package_suit_make import signed_envelope
from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.cose.create import (
    AgreedKey,
    CoseSigner,
    DirectKey,
    Recipient,
    WrappedKey,
    encrypt,
    encrypt0,
    mac0,
    sign,
    sign1,
)
from lwm2m_fota.package.cose.key import CoseKey
from lwm2m_fota.package.cose.names import CONTENT, Alg
from lwm2m_fota.package.crypto import KeyType, PrivateKey, PublicKey, SecretKey
from lwm2m_fota.package.formats.mcuboot import McubootFormat
from lwm2m_fota.package.formats.mcuboot_make import signed_again
from lwm2m_fota.package.formats.mcuboot_read import inspect_mcuboot
from lwm2m_fota.package.formats.suit.envelope import PREFIX_BYTES, is_envelope

CIPHERS: Final = {
    "a128gcm": Alg.A128GCM,
    "a192gcm": Alg.A192GCM,
    "a256gcm": Alg.A256GCM,
    "chacha20-poly1305": Alg.CHACHA20_POLY1305,
}
_AGREEING: Final = frozenset({KeyType.P256, KeyType.P384, KeyType.P521, KeyType.X25519})


def sign_file(
    package: FilePath, output: FilePath, keys: tuple[FilePath, ...], key_id: str | None, *, is_detached: bool
) -> Facts:
    """`package sign`: an MCUboot image or a SUIT envelope gets one more signature, others go into a COSE message.

    Raises:
        FotaError: a file cannot be read or written, or a key does not sign.
    """
    items = [one_key(path, key_id) for path in keys]
    data = whole(package)
    if not data:
        raise UsageError(f"{package} is empty")
    image = McubootFormat()
    if not is_detached and image.sniff(data[: image.prefix_bytes]):
        size, kind = replace_file(output, [_signed_image(data, items)]), "mcuboot"
    elif not is_detached and is_envelope(data[:PREFIX_BYTES]):
        size, kind = replace_file(output, [signed_envelope(data, items)]), "suit"
    else:
        size, kind = replace_file(output, [_signed(data, items, is_detached=is_detached)]), "cose"
    return {"package": str(output), "format": kind, "bytes": size, "detached": is_detached, "keys": len(items)}


def _signed_image(data: bytes, items: list[CoseKey]) -> bytes:
    for item in items:
        if not isinstance(item.key, PrivateKey):
            raise UsageError("an MCUboot image is signed with private keys")
        found = inspect_mcuboot([data])
        if found.image.trailing_bytes:
            raise UsageError(f"{found.image.trailing_bytes} bytes follow the image: they would be lost")
        data = signed_again(data, found, item.key)
    return data


def _signed(data: bytes, items: list[CoseKey], *, is_detached: bool) -> bytes:
    (first, *more) = items
    if isinstance(first.key, SecretKey) and not more:
        return mac0(data, DirectKey(key=first.key, key_id=first.key_id), is_detached=is_detached)
    signers = [_signer(item) for item in items]
    if more:
        return sign(data, signers, is_detached=is_detached)
    return sign1(data, signers[0], is_detached=is_detached)


def _signer(item: CoseKey) -> CoseSigner:
    if not isinstance(item.key, PrivateKey):
        raise UsageError("a signature needs a private key; a secret makes a code, alone")
    if item.alg is None:
        return CoseSigner(key=item.key, key_id=item.key_id)
    return CoseSigner(key=item.key, key_id=item.key_id, alg=item.alg)


def signed_line(facts: Facts) -> str:
    """What was signed, for people."""
    kind = {"mcuboot": "an MCUboot image", "suit": "a SUIT envelope", "cose": "a COSE message"}[str(facts["format"])]
    beside = ", to be kept beside the file" if facts["detached"] else ""
    return f"{facts['package']}: {facts['bytes']} bytes, {kind}{beside}"


def encrypt_file(
    package: FilePath, output: FilePath, recipients: tuple[FilePath, ...], cipher: str, *, is_direct: bool
) -> Facts:
    """`package encrypt`: a COSE message around a package of another format.

    Raises:
        FotaError: a file cannot be read or written, or a key does not receive.
    """
    items = [one_key(path) for path in recipients]
    data, alg = whole(package), CIPHERS[cipher]
    if not data:
        raise UsageError(f"{package} is empty")
    algorithm = CONTENT[alg]
    nonce = secrets.token_bytes(algorithm.nonce_bytes)
    if is_direct:
        key = items[0].key
        if len(items) > 1 or not isinstance(key, SecretKey):
            raise UsageError("--direct needs one secret")
        made = encrypt0(DirectKey(key=key, key_id=items[0].key_id), nonce, alg=alg)
    else:
        made = encrypt(
            secrets.token_bytes(algorithm.key_bytes),
            nonce,
            [_recipient(*each) for each in zip(recipients, items, strict=True)],
            alg=alg,
        )
    size = replace_file(output, [made.message(made.cipher.encrypt(data))])
    return {
        "package": str(output),
        "format": "cose",
        "bytes": size,
        "cipher": algorithm.value,
        "recipients": len(items),
    }


def _recipient(path: FilePath, item: CoseKey) -> Recipient:
    match item.key:
        case SecretKey() as key:
            return WrappedKey(key=key, key_id=item.key_id)
        case PrivateKey(public_key=key) | (PublicKey() as key):
            if key.type not in _AGREEING:
                raise UsageError(f"{path}: nothing is encrypted to {key.type.value} keys")
            return AgreedKey(key=key, ephemeral=new_private_key(key.type), key_id=item.key_id)


def encrypted_line(facts: Facts) -> str:
    """What was encrypted, for people."""
    return f"{facts['package']}: {facts['bytes']} bytes, encrypted with {facts['cipher']}"
