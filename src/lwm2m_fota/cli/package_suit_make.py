"""`lwm2m-fota package create --format suit`, and `sign` for envelopes."""

import secrets
from collections.abc import Sequence
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Final, NamedTuple, final

from lwm2m_fota.cli.facts import whole
from lwm2m_fota.cli.keys import new_private_key, one_key
from lwm2m_fota.device.settings import SOLE_COMPONENT
from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.cose.create import CoseSigner, Encryption
from lwm2m_fota.package.cose.key import CoseKey
from lwm2m_fota.package.cose.rules import CoseRules
from lwm2m_fota.package.crypto import KeyType, PrivateKey, PublicKey
from lwm2m_fota.package.formats.suit.make import (
    SuitComponent,
    SuitDependency,
    SuitOptions,
    SuitSigner,
    create_suit,
    signed_again,
)
from lwm2m_fota.package.formats.suit.members import open_beginning
from lwm2m_fota.package.formats.suit.profiles import SuitProfile
from lwm2m_fota.package.formats.suit.reading import parse_id
from lwm2m_fota.package.keyring import Authentication

DEFAULT_COMPONENT: Final = SOLE_COMPONENT
"""What a manifest calls the firmware of a device that has one."""

_PROFILE_OF: Final = MappingProxyType(
    {
        KeyType.P256: SuitProfile.ESP256_ECDH_A128GCM,
        KeyType.ED25519: SuitProfile.ED25519_ECDH_CHACHA_POLY,
        KeyType.SECRET: SuitProfile.HMAC_A128KW_A128CTR,
    }
)


@final
class Source(NamedTuple):
    """A component: its name, its version, the file with its image, and where the image will be."""

    name: str
    version: str | None
    path: FilePath
    uri: str | None = None


def parse_source(text: str) -> Source:
    """Read `NAME=FILE` or `NAME@VERSION=FILE`.

    Raises:
        UsageError: it is written otherwise.
    """
    named, _, path = text.partition("=")
    name, _, version = named.partition("@")
    if not name or not path:
        raise UsageError(f"{text!r} is not NAME=FILE or NAME@VERSION=FILE")
    return Source(name, version or None, FilePath(path))


def make_suit(
    sources: Sequence[Source],
    options: SuitOptions,
    key: CoseKey | None,
    *,
    dependencies: Sequence[str] = (),
    profile: str | None = None,
    recipient: FilePath | None = None,
) -> bytes:
    """Make an envelope of files, which fit memory.

    Args:
        sources: the components.
        options: what the manifest says beside them.
        key: who signs; None for nobody.
        dependencies: `FILE` or `PREFIX=FILE` for each envelope that is installed together with this one.
        profile: the name of the algorithms; by default those of the key.
        recipient: the file with the key to which images are encrypted; None for not at all.

    Raises:
        UsageError: a key is not for the profile, or two components are called the same.
        StorageError: a file cannot be read.
    """
    known = SuitProfile(profile) if profile is not None else None if key is None else _PROFILE_OF.get(key.key.type)
    components = [
        SuitComponent(
            id=parse_id(each.name),
            image=whole(each.path),
            version=each.version,
            uri=each.uri,
            encryption=None if recipient is None else _encryption(known, recipient),
        )
        for each in sources
    ]
    signers = [] if key is None else [_signer(key, known)]
    needed = [_dependency(each) for each in dependencies]
    return create_suit(components, options=options, signers=signers, dependencies=needed).data


def _dependency(text: str) -> SuitDependency:
    prefix, is_given, path = text.rpartition("=")
    return SuitDependency(envelope=whole(FilePath(path)), prefix=parse_id(prefix) if is_given else ())


def _signer(item: CoseKey, profile: SuitProfile | None) -> SuitSigner:
    """A key as it signs under a profile; one of a type that is in none signs as COSE has it."""
    if isinstance(item.key, PublicKey):
        raise UsageError("a signature needs a private key")
    if profile is None and isinstance(item.key, PrivateKey):
        return CoseSigner(key=item.key, key_id=item.key_id)
    return (profile or SuitProfile.HMAC_A128KW_A128CTR).signer(item.key, item.key_id)


def _encryption(profile: SuitProfile | None, path: FilePath) -> Encryption:
    """To a key of a file, with a key of its own for each payload."""
    if profile is None:
        raise UsageError("what is encrypted needs --profile")
    item = one_key(path)
    recipient = item.key.public_key if isinstance(item.key, PrivateKey) else item.key
    has_ephemeral = recipient.type in {KeyType.P256, KeyType.X25519}
    return profile.encryption(
        recipient,
        secret=secrets.token_bytes(profile.secret_bytes),
        nonce=secrets.token_bytes(profile.nonce_bytes),
        ephemeral=new_private_key(recipient.type) if has_ephemeral else None,
        key_id=item.key_id,
    )


def signed_envelope(data: bytes, items: Sequence[CoseKey]) -> bytes:
    """An envelope with one more block for each key.

    Raises:
        FotaError: it is broken, or a key does not sign.
    """
    for item in items:
        opened, _, _ = open_beginning(data, lambda _: Authentication(), rules=CoseRules.UNSAFE_PERMISSIVE)
        data = signed_again(data, opened, _signer(item, _PROFILE_OF.get(item.key.type)))
    return data
