"""`lwm2m-fota package create`: packages of all formats, and the parts of it that other commands need."""

import secrets
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Final, final

import attrs

from lwm2m_fota.cli.facts import Facts, chunks, replace_file, size_of, whole
from lwm2m_fota.cli.keys import new_key, new_private_key, one_key, signing_key, write_key
from lwm2m_fota.cli.package_suit_make import DEFAULT_COMPONENT, Source, make_suit, parse_source
from lwm2m_fota.cli.package_verify import class_id, vendor_id
from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.cose.create import CoseSigner, sign1
from lwm2m_fota.package.cose.key import CoseKey
from lwm2m_fota.package.crypto import Hash, KeyType, PrivateKey, PublicKey, SecretKey
from lwm2m_fota.package.formats.mcuboot_encrypt import ImageEncryption
from lwm2m_fota.package.formats.mcuboot_make import ImageOptions, mcuboot_parts
from lwm2m_fota.package.formats.mcuboot_tlv import ImageDependency, ImageVersion
from lwm2m_fota.package.formats.suit.make import SuitOptions

_MAX_IMAGE: Final = 255


@final
@attrs.frozen(kw_only=True)
class CreateOptions:
    """What `package create` was given.

    Attributes:
        firmware: the file with the firmware.
        package: where the package goes.
        kind: mcuboot, suit, cose or plain.
        version: of the firmware; a COSE message and a plain image tell none.
        key: the file with the key that signs; None for a package without a signature.
        is_new_key: whether that key is made now.
        key_id: by which a COSE message or a SUIT envelope names the key.
        depends: `IMAGE=VERSION` for each image that must be there.
        counter: the security counter, or the sequence number of a SUIT manifest.
        vendor: for which vendor it is.
        class_name: for which class.
        header_bytes: the size of the header.
        digest: the kind of digest.
        is_pure: whether the image itself is signed.
        recipient: the file with the key to which the image is encrypted.
        component: what a SUIT manifest calls the firmware.
        others: `NAME=FILE` or `NAME@VERSION=FILE` for each further component of a SUIT manifest.
        dependencies: `FILE` or `PREFIX=FILE` for each SUIT envelope that is installed together with this one.
        uri: where the firmware of a SUIT manifest will be, if not in the envelope.
        profile: the algorithms of a SUIT envelope.
    """

    firmware: FilePath
    package: FilePath
    kind: str = "mcuboot"
    version: str | None = None
    key: FilePath | None = None
    is_new_key: bool = False
    key_id: str | None = None
    depends: tuple[str, ...] = ()
    counter: int | None = None
    vendor: str | None = None
    class_name: str | None = None
    header_bytes: int | None = None
    digest: str | None = None
    is_pure: bool = False
    recipient: FilePath | None = None
    component: str | None = None
    others: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    uri: str | None = None
    profile: str | None = None


_MCUBOOT: Final = ("mcuboot",)
_SUIT: Final = ("suit",)
_ONLY_FOR: Final = MappingProxyType(
    {
        "version": ("--version", _MCUBOOT + _SUIT),
        "depends": ("--depends", _MCUBOOT),
        "counter": ("--counter", _MCUBOOT + _SUIT),
        "vendor": ("--vendor", _MCUBOOT + _SUIT),
        "class_name": ("--class", _MCUBOOT + _SUIT),
        "header_bytes": ("--header-size", _MCUBOOT),
        "digest": ("--digest", _MCUBOOT),
        "is_pure": ("--pure", _MCUBOOT),
        "recipient": ("--encrypt-for", _MCUBOOT + _SUIT),
        "component": ("--component", _SUIT),
        "others": ("--add", _SUIT),
        "dependencies": ("--dependency", _SUIT),
        "uri": ("--uri", _SUIT),
        "profile": ("--profile", _SUIT),
    }
)
"""The formats that an option is for, of those that are not for all."""


def make(
    firmware: FilePath,
    package: FilePath,
    version: str,
    key: PrivateKey | None,
    options: ImageOptions | None = None,
) -> int:
    """Make an MCUboot image of a firmware file, without holding it; the size in bytes.

    The package appears whole or not at all; one that was there is replaced.

    Raises:
        UsageError: the firmware is empty, or the version or the key is not what it should be.
        StorageError: a file cannot be read or written.
    """
    parts = mcuboot_parts(
        chunks(firmware),
        body_bytes=_firmware_bytes(firmware),
        version=ImageVersion.parse(version),
        key=key,
        options=options or ImageOptions(),
    )
    return replace_file(package, parts)


def _firmware_bytes(firmware: FilePath) -> int:
    size = size_of(firmware)
    if size == 0:
        raise UsageError(f"{firmware} is empty: that is no firmware")
    return size


def dependency(text: str) -> ImageDependency:
    """Read `IMAGE=VERSION`: another image by its number, and the lowest version that will do.

    Raises:
        UsageError: it is written otherwise, or a number is out of range.
    """
    image, _, version = text.partition("=")
    if not (image.isascii() and image.isdecimal() and int(image) <= _MAX_IMAGE):
        raise UsageError(f"{text!r} is not IMAGE=VERSION, with the number of an image, 0 to {_MAX_IMAGE}")
    return ImageDependency(int(image), ImageVersion.parse(version))


def image_options(options: CreateOptions) -> ImageOptions:
    """What an image has beside its body and version.

    Raises:
        UsageError: something cannot be read, or is out of range.
    """
    vendor = None if options.vendor is None else vendor_id(options.vendor)
    sizes = {} if options.header_bytes is None else {"header_size": options.header_bytes}
    return ImageOptions(
        security_counter=options.counter,
        dependencies=tuple(map(dependency, options.depends)),
        vendor_id=vendor,
        class_id=None if options.class_name is None else class_id(options.class_name, vendor),
        digest=None if options.digest is None else Hash[options.digest.upper()],
        is_pure=options.is_pure,
        encryption=None if options.recipient is None else _encryption(options.recipient),
        **sizes,
    )


def _encryption(path: FilePath) -> ImageEncryption:
    """To a key of a file, with a key of its own for the image."""
    key = one_key(path).key
    recipient = key.public_key if isinstance(key, PrivateKey) else key
    has_ephemeral = recipient.type in {KeyType.P256, KeyType.X25519}
    try:
        return ImageEncryption(
            content_key=secrets.token_bytes(16),
            recipient=recipient,
            ephemeral=new_private_key(recipient.type) if has_ephemeral else None,
        )
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def create(options: CreateOptions) -> Facts:
    """`package create`.

    Raises:
        FotaError: a key, a version or the firmware is not what it should be, or a file cannot be read or written.
    """
    fields = attrs.fields_dict(CreateOptions)
    for name, (flag, kinds) in _ONLY_FOR.items():
        if options.kind not in kinds and getattr(options, name) != fields[name].default:
            raise UsageError(f"{flag} is for --format {' and '.join(kinds)}")
    if options.kind == "suit":
        return _create_suit(options)
    if options.kind == "mcuboot":
        if options.version is None:
            raise UsageError("an MCUboot image has a version: --version")
        ImageVersion.parse(options.version)  # before a key is written for it
    image = image_options(options)
    signer, public = _signer(options)
    signature: FilePath | None = None
    if options.kind == "mcuboot":
        size = make(options.firmware, options.package, options.version or "", signer, image)
    elif options.kind == "cose":
        size = _make_cose(options, signer)
    else:
        size, signature = _make_plain(options, signer)
    return _created(options, size, signer, public, signature)


def _created(
    options: CreateOptions,
    size: int,
    signer: PrivateKey | SecretKey | None,
    public: FilePath | None,
    signature: FilePath | None = None,
) -> Facts:
    """What was made."""
    return {
        "package": str(options.package),
        "format": options.kind,
        "bytes": size,
        "version": options.version,
        "signed_by": signer.public_key.key_hash.hex() if isinstance(signer, PrivateKey) else None,
        "has_code": isinstance(signer, SecretKey),
        "signature": None if signature is None else str(signature),
        "public_key": None if public is None else str(public),
    }


def _create_suit(options: CreateOptions) -> Facts:
    """A SUIT envelope around the firmware, and around what else belongs to it."""
    if options.counter is None:
        raise UsageError("a SUIT manifest has a sequence number: --counter")
    vendor = None if options.vendor is None else vendor_id(options.vendor)
    about = SuitOptions(
        sequence_number=options.counter,
        vendor_id=vendor,
        class_id=None if options.class_name is None else class_id(options.class_name, vendor),
    )
    first = Source(options.component or DEFAULT_COMPONENT, options.version, options.firmware, options.uri)
    sources = [first, *map(parse_source, options.others)]
    for each in sources:
        _firmware_bytes(each.path)
    item, public = _suit_signer(options)
    envelope = make_suit(
        sources,
        about,
        item,
        dependencies=options.dependencies,
        profile=options.profile,
        recipient=options.recipient,
    )
    signer = None if item is None or isinstance(item.key, PublicKey) else item.key
    return _created(options, replace_file(options.package, [envelope]), signer, public)


def _suit_signer(options: CreateOptions) -> tuple[CoseKey | None, FilePath | None]:
    """As `_signer`, with its id; an envelope may have a code too, that of a secret."""
    if options.key is not None and not options.is_new_key:
        item = one_key(options.key, options.key_id)
        if isinstance(item.key, SecretKey):
            return item, None
    signer, public = _signer(options)
    return None if signer is None else CoseKey(key=signer, key_id=_key_id(options)), public


def _signer(options: CreateOptions) -> tuple[PrivateKey | None, FilePath | None]:
    """The key that signs, and where its public part was written if it is new."""
    if not options.is_new_key:
        return None if options.key is None else signing_key(options.key), None
    if options.key is None:
        raise UsageError("--new-key needs --key, where to put it")
    signer = new_key()
    return signer, write_key(signer, options.key)


def _key_id(options: CreateOptions) -> bytes | None:
    return None if options.key_id is None else options.key_id.encode()


def _make_cose(options: CreateOptions, signer: PrivateKey | None) -> int:
    if signer is None:
        raise UsageError("a COSE message needs a key: --key")
    _firmware_bytes(options.firmware)
    message = sign1(whole(options.firmware), CoseSigner(key=signer, key_id=_key_id(options)))
    return replace_file(options.package, [message])


def _make_plain(options: CreateOptions, signer: PrivateKey | None) -> tuple[int, FilePath | None]:
    """The firmware as it is; a key signs it in a file beside it."""
    _firmware_bytes(options.firmware)
    if signer is None:
        return replace_file(options.package, chunks(options.firmware)), None
    data = whole(options.firmware)
    signature = options.package.with_name(f"{options.package.name}.cose")
    replace_file(signature, [sign1(data, CoseSigner(key=signer, key_id=_key_id(options)), is_detached=True)])
    return replace_file(options.package, [data]), signature


def created_line(facts: Facts) -> str:
    """What was made, for people."""
    signer = facts["signed_by"]
    version = "" if facts["version"] is None else f", version {facts['version']}"
    signed = "not signed" if signer is None else f"signed by key {str(signer)[:16]}"
    signed = "with the code of a secret" if facts["has_code"] else signed
    beside = "" if facts["signature"] is None else f" in {facts['signature']}"
    trusted = "" if facts["public_key"] is None else f"; devices trust {facts['public_key']}"
    return f"{facts['package']}: {facts['bytes']} bytes{version}, {signed}{beside}{trusted}"


# Verify.
