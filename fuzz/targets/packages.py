"""Package formats: nothing is accepted that would install other bytes, or say something else, than what was signed."""

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Final, TypeAlias

import attrs

from fuzz.target import add, chunks, joined, target
from lwm2m_fota.errors import MalformedError, PackageError, UsageError
from lwm2m_fota.package.cose.authenticate import authenticate
from lwm2m_fota.package.cose.create import (
    AgreedKey,
    CoseSigner,
    DirectKey,
    Recipient,
    WrappedKey,
    encrypt,
    encrypt0,
    mac,
    mac0,
    sign,
    sign1,
)
from lwm2m_fota.package.cose.decrypt import decrypt
from lwm2m_fota.package.cose.key import CoseKey, read_keys
from lwm2m_fota.package.cose.message import CoseEncrypt, CoseEncrypt0, read_message
from lwm2m_fota.package.cose.names import Alg
from lwm2m_fota.package.cose.rules import CoseRules
from lwm2m_fota.package.crypto import KeyType, PrivateKey, PublicKey, SecretKey
from lwm2m_fota.package.formats.mcuboot_encrypt import ImageEncryption
from lwm2m_fota.package.formats.mcuboot_make import ImageOptions, create_mcuboot
from lwm2m_fota.package.formats.mcuboot_read import inspect_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageDependency, ImageVersion
from lwm2m_fota.package.formats.plain import DetachedSignature, PlainFormat
from lwm2m_fota.package.formats.registry import FormatRegistry, default_formats
from lwm2m_fota.package.formats.suit.make import SuitComponent, SuitOptions, create_suit
from lwm2m_fota.package.formats.suit.profiles import SuitProfile
from lwm2m_fota.package.identity import DeviceIdentity
from lwm2m_fota.package.keyring import DecryptionKey, TrustedKey
from lwm2m_fota.package.trust import TrustPolicy, UnsafeChoice, UnsafeTrustPolicy
from lwm2m_fota.package.types import VerifiedPackage
from lwm2m_fota.package.verifier import PackageVerifier
from lwm2m_fota.testing.bundle import BundleFormat, make_bundle
from lwm2m_fota.testing.formats import contents

_BODY: Final = bytes(range(100))
_VERSION: Final = ImageVersion(1, 2, 3)
_SECRET: Final = SecretKey(bytes(range(32)))
_ED25519, _P256, _P384, _X25519 = (
    PrivateKey.from_seed(kind, bytes(range(1, 1 + size)))
    for kind, size in ((KeyType.ED25519, 32), (KeyType.P256, 32), (KeyType.P384, 48), (KeyType.X25519, 32))
)
_SIGNERS: Final = (_ED25519, _P256, _P384)
_TRUST: Final = TrustPolicy(
    keys=[
        *(key.public_key for key in _SIGNERS),
        *(TrustedKey(key.public_key, key_id=b"k%d" % number) for number, key in enumerate(_SIGNERS)),
        TrustedKey(_SECRET, key_id=b"s"),
    ],
    decryption_keys=[DecryptionKey(_SECRET, key_id=b"s"), DecryptionKey(_X25519, key_id=b"x")],
)
_RING: Final = _TRUST.keyring(1.0)
_DEFAULT_FORMATS: Final = default_formats()
_BUNDLE: Final = _DEFAULT_FORMATS.with_format(BundleFormat())
_PLAIN: Final = ImageOptions()
_EPHEMERAL: Final = PrivateKey.from_seed(KeyType.X25519, bytes(range(2, 34)))
_Facts: TypeAlias = tuple[object, ...]
_PERMISSIVE: Final = UnsafeTrustPolicy(
    keys=_TRUST.keys,
    decryption_keys=_TRUST.decryption_keys,
    choices=[UnsafeChoice.PERMISSIVE_COSE, UnsafeChoice.IGNORE_UNKNOWN_RECORDS, UnsafeChoice.IGNORE_KEY_VALIDITY],
)


def _verified(data: bytes, trust: TrustPolicy, formats: FormatRegistry) -> VerifiedPackage:
    verifier = PackageVerifier(trust, now=1.0, formats=formats)
    step = 1 + len(data) % 97
    for at in range(0, len(data), step):
        verifier.feed(data[at : at + step])
    return verifier.finish()


def _what(data: bytes, package: VerifiedPackage) -> _Facts:
    """What would be installed, and what the package says of it."""
    parts = []
    for content in contents(data, package):
        size = len(content)
        if package.format == "mcuboot" or content[:4] == b"\x3d\xb8\xf3\x96":  # header, image and protected records
            size = int.from_bytes(content[8:10], "little") + int.from_bytes(content[12:16], "little")
            size += int.from_bytes(content[10:12], "little")
        parts.append(content[:size])
    names = tuple((each.name, each.version) for each in package.components)
    return tuple(parts), names, package.version, package.counters, package.dependencies, package.made_for


def _check(good: frozenset[_Facts], trust: TrustPolicy, formats: FormatRegistry, data: bytes) -> None:
    found = _what(data, _verified(data, trust, formats))
    assert found in good, found


def _add(
    name: str, seeds: Mapping[str, bytes], trust: TrustPolicy = _TRUST, formats: FormatRegistry = _DEFAULT_FORMATS
) -> None:
    """A target whose accepted inputs say what the seeds say, and nothing else."""
    good = frozenset(_what(each, _verified(each, trust, formats)) for each in seeds.values())
    add(name, partial(_check, good, trust, formats), seeds)


def _image(key: PrivateKey = _ED25519, options: ImageOptions = _PLAIN) -> bytes:
    return create_mcuboot(_BODY, version=_VERSION, key=key, options=options)


_EVERYTHING: Final = ImageOptions(security_counter=7, dependencies=(ImageDependency(1, _VERSION),))
_OURS: Final = ImageOptions(vendor_id=bytes(16), class_id=bytes(range(16)))
_OUR_DEVICE: Final = DeviceIdentity(vendor_ids=(bytes(16),), class_ids=(bytes(range(16)),))
_SECRET_IMAGE: Final = ImageOptions(
    encryption=ImageEncryption(recipient=_X25519.public_key, content_key=bytes(16), ephemeral=_EPHEMERAL)
)
_add(
    "mcuboot",
    {
        "Ed25519": _image(),
        "P-256 with all records": _image(_P256, _EVERYTHING),
        "P-384": _image(_P384),
        "pure": _image(options=ImageOptions(is_pure=True)),
        "encrypted": _image(options=_SECRET_IMAGE),
    },
)


_add("mcuboot-for-a-class", {"for us": _image(options=_OURS)}, attrs.evolve(_TRUST, identity=_OUR_DEVICE))


def _signer(number: int) -> CoseSigner:
    return CoseSigner(key=_SIGNERS[number], key_id=b"k%d" % number)


def _around(recipient: Recipient, alg: int = Alg.A128GCM) -> bytes:
    made = encrypt(bytes(16), bytes(12), [recipient], alg=alg)
    return made.message(made.cipher.encrypt(_image()))


def _encrypted0() -> bytes:
    made = encrypt0(_DIRECT, bytes(12), alg=Alg.A256GCM)
    return made.message(made.cipher.encrypt(_image()))


_DIRECT: Final = DirectKey(key=_SECRET, key_id=b"s")
_WRAPPED: Final = WrappedKey(key=_SECRET, key_id=b"s")
_AUTHENTIC: Final = {
    "Sign1 with P-256": sign1(_BODY, _signer(1)),
    "Sign1 with Ed25519": sign1(_BODY, _signer(0)),
    "Sign": sign(_BODY, [_signer(1), _signer(2)]),
    "Mac0": mac0(_BODY, _DIRECT),
    "Mac": mac(_BODY, _SECRET, [_DIRECT]),
}
_ENCRYPTED: Final = {
    "Encrypt0": _encrypted0(),
    "Encrypt": _around(_WRAPPED),
    "Encrypt by agreement": _around(AgreedKey(key=_X25519.public_key, ephemeral=_EPHEMERAL, key_id=b"x")),
}
_add("cose", {**_AUTHENTIC, **_ENCRYPTED})
_add("cose-permissive", {**_AUTHENTIC, **_ENCRYPTED}, _PERMISSIVE)
_add("bundle", {"two": make_bundle(_ED25519, {"app": ("1", _BODY), "b": ("2", b"x")}, {"c": "1"})}, formats=_BUNDLE)


def _suit(*components: SuitComponent, number: int = 5) -> bytes:
    return create_suit(components, options=SuitOptions(sequence_number=number), signers=[_signer(1)]).whole


_SUIT_SECRET: Final = SuitProfile.ED25519_ECDH_CHACHA_POLY.encryption(
    _X25519.public_key, secret=bytes(32), nonce=bytes(12), ephemeral=_EPHEMERAL, key_id=b"x"
)
_APP: Final = SuitComponent(id=(b"app",), image=_BODY, version="1.2.3")
_add(
    "suit",
    {
        "one": _suit(_APP),
        "two, one of them detached": _suit(
            _APP, SuitComponent(id=(b"b",), image=b"radio" * 9, uri="coap://h/r"), number=6
        ),
        "encrypted": _suit(SuitComponent(id=(b"app",), image=_BODY, encryption=_SUIT_SECRET), number=7),
    },
)


@target({**_AUTHENTIC, **_ENCRYPTED, "detached": sign1(_BODY, _signer(1), is_detached=True)})
def cose_message(data: bytes) -> None:
    """A message by itself, under both rules."""
    refusals: list[PackageError] = []
    for rules in CoseRules:
        try:
            message = read_message(data, rules=rules)
            if isinstance(message, CoseEncrypt0 | CoseEncrypt):
                assert decrypt(message, _TRUST.decryption_keys) == _image()
            else:
                found = authenticate(message, _RING, payload=_BODY if message.payload is None else None, rules=rules)
                assert not found.signers or message.payload in {None, _BODY}
        except PackageError as error:
            refusals.append(error)
    if len(refusals) == len(CoseRules):
        raise refusals[0]


@target(
    {
        "P-256": CoseKey(key=_P256.public_key, key_id=b"k", alg=-7).encode(),
        "secret": CoseKey(key=_SECRET, key_id=b"s").encode(private=True),
    }
)
def cose_key(data: bytes) -> None:
    """A key, or several, are the same when they are written and read again."""
    try:
        keys = read_keys(data)
    except UsageError as error:  # a key is in the hands of those who use the library
        raise MalformedError(str(error)) from error
    for key in keys:
        private = not isinstance(key.key, PublicKey)
        assert CoseKey.decode(key.encode(private=private)).encode(private=private) == key.encode(private=private)


@target({"with all records": _image(_P256, _EVERYTHING), "trailing": _image() + bytes(9)})
def mcuboot_inspection(data: bytes) -> None:
    """What an image says of itself covers the whole of it."""
    image = inspect_mcuboot([data]).image
    assert image.image_bytes + image.trailing_bytes == len(data)


@target({"an image": joined(sign1(_BODY, _signer(1), is_detached=True), _BODY)})
def plain_with_signature(data: bytes) -> None:
    """An image with a detached signature: the one that was signed, or none."""
    message, *images = chunks(data)[:2] or [b""]
    image = images[0] if images else b""
    signature = DetachedSignature(message=message[:16_384], size_bytes=len(image) or 1)
    _verified(image, _TRUST, FormatRegistry((PlainFormat(signature=signature),)))
    assert image == _BODY


@target({"the file": _BODY})
def plain_with_digest(data: bytes) -> None:
    """A file of which the digest is known."""
    _verified(data, TrustPolicy.of_digest(hashlib.sha256(_BODY).digest()), _DEFAULT_FORMATS)
    assert data == _BODY
