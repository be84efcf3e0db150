"""The commands below `lwm2m-fota package`: options in, functions of this room called, exit status out."""
# ruff: noqa: PLC0415 - a command imports what it needs when it is called; see app

import json
import sys
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

import click

from lwm2m_fota.cli.exits import Exit
from lwm2m_fota.errors import FotaError, PackageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lwm2m_fota.cli.facts import Facts

_PATH = click.Path(path_type=FilePath)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object.")
_TYPES = ("ed25519", "ed448", "x25519", "p256", "p384", "p521", "secret")
_PROFILES = (
    "hmac-a128kw-a128ctr",
    "esp256-ecdh-a128ctr",
    "ed25519-ecdh-a128ctr",
    "esp256-ecdh-a128gcm",
    "ed25519-ecdh-chacha-poly",
)
_CIPHERS = ("a128gcm", "a192gcm", "a256gcm", "chacha20-poly1305")


def show(action: "Callable[[], Facts]", line_of: "Callable[[Facts], str]", *, as_json: bool) -> None:
    """Print what an action found, or one line why not: JSON to stdout in any case, words to where they belong."""
    try:
        facts = action()
    except FotaError as error:
        click.echo(json.dumps({"ok": False, **_failure(error)}) if as_json else str(error), err=not as_json)
        sys.exit(Exit.FAILED)
    click.echo(json.dumps({"ok": True, **facts}) if as_json else line_of(facts))


def _failure(error: FotaError) -> "Facts":
    if not isinstance(error, PackageError) or error.reason is None:
        return {"error": str(error)}
    return {"error": str(error), "code": error.reason, "result": None if error.result is None else int(error.result)}


@click.group("package")
def package_group() -> None:
    """Make, sign, encrypt, show and verify packages, and the keys for that."""


@package_group.command("create")
@click.argument("firmware", type=_PATH)
@click.argument("package", type=_PATH)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["mcuboot", "suit", "cose", "plain"]),
    default="mcuboot",
    show_default=True,
    help="An MCUboot image, a SUIT envelope, a COSE message around the firmware, or the firmware as it is.",
)
@click.option("--version", "version", metavar="V", help="MAJOR.MINOR.REVISION[+BUILD] of an MCUboot image.")
@click.option("--key", type=_PATH, help="The key that signs: PEM, or COSE_Key.")
@click.option("--new-key", is_flag=True, help="Make an Ed25519 key at --key, and its public part beside it.")
@click.option("--kid", metavar="ID", help="By which a COSE message or SUIT envelope names the key.")
@click.option(
    "--depends", metavar="IMAGE=V", multiple=True, help="Another image, by its number, and the lowest version of it."
)
@click.option("--counter", type=click.IntRange(0, (1 << 32) - 1), help="The security counter, or SUIT's sequence.")
@click.option("--vendor", metavar="ID", help="For devices of this vendor alone: a UUID, or a domain name.")
@click.option("--class", "class_name", metavar="ID", help="For this class alone: a UUID, or a name within the vendor.")
@click.option("--header-size", "header_bytes", type=click.IntRange(32, 65535), help="Bytes, for the boot loader.")
@click.option("--digest", type=click.Choice(["sha256", "sha384", "sha512"]), help="By default that of the key.")
@click.option("--pure", is_flag=True, help="Sign the image and not its digest: Ed25519.")
@click.option("--encrypt-for", "recipient", type=_PATH, help="The key of the device: RSA, P-256, X25519 or a secret.")
@click.option("--component", metavar="NAME", help="What a SUIT manifest calls the firmware.")
@click.option("--add", "others", metavar="NAME[@V]=FILE", multiple=True, help="One more component of a SUIT manifest.")
@click.option("--dependency", "dependencies", metavar="[PREFIX=]FILE", multiple=True, help="A SUIT envelope inside.")
@click.option("--uri", metavar="URI", help="Where devices fetch the firmware, if not in the SUIT envelope.")
@click.option("--profile", type=click.Choice(_PROFILES), help="The algorithms of a SUIT envelope; else by its key.")
@_JSON
def create_command(  # noqa: PLR0917 - click calls it by keyword
    firmware: FilePath,
    package: FilePath,
    kind: str,
    version: str | None,
    key: FilePath | None,
    new_key: bool,  # noqa: FBT001 - click calls it
    kid: str | None,
    depends: tuple[str, ...],
    counter: int | None,
    vendor: str | None,
    class_name: str | None,
    header_bytes: int | None,
    digest: str | None,
    pure: bool,  # noqa: FBT001
    recipient: FilePath | None,
    component: str | None,
    others: tuple[str, ...],
    dependencies: tuple[str, ...],
    uri: str | None,
    profile: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Make a package of a firmware image; a key signs it."""
    from lwm2m_fota.cli.package import CreateOptions, create, created_line

    options = CreateOptions(
        firmware=firmware,
        package=package,
        kind=kind,
        version=version,
        key=key,
        is_new_key=new_key,
        key_id=kid,
        depends=depends,
        counter=counter,
        vendor=vendor,
        class_name=class_name,
        header_bytes=header_bytes,
        digest=digest,
        is_pure=pure,
        recipient=recipient,
        component=component,
        others=others,
        dependencies=dependencies,
        uri=uri,
        profile=profile,
    )
    show(lambda: create(options), created_line, as_json=as_json)


@package_group.command("sign")
@click.argument("package", type=_PATH)
@click.argument("output", type=_PATH)
@click.option("--key", "keys", type=_PATH, multiple=True, required=True, help="PEM, or COSE_Key; several for several.")
@click.option("--kid", metavar="ID", help="By which the message names the key.")
@click.option("--detached", is_flag=True, help="The signature alone, for a file that stays as it is.")
@_JSON
def sign_command(
    package: FilePath,
    output: FilePath,
    keys: tuple[FilePath, ...],
    kid: str | None,
    detached: bool,  # noqa: FBT001 - click calls it
    as_json: bool,  # noqa: FBT001
) -> None:
    """Sign a file: an MCUboot image or a SUIT envelope gets one more signature, others go into a COSE message."""
    from lwm2m_fota.cli.package_cose import sign_file, signed_line

    show(lambda: sign_file(package, output, keys, kid, is_detached=detached), signed_line, as_json=as_json)


@package_group.command("encrypt")
@click.argument("package", type=_PATH)
@click.argument("output", type=_PATH)
@click.option("--for", "recipients", type=_PATH, multiple=True, required=True, help="A public key, or a secret.")
@click.option("--cipher", type=click.Choice(_CIPHERS), default="a128gcm", show_default=True)
@click.option("--direct", is_flag=True, help="With the secret itself, as long as the cipher says: this streams.")
@_JSON
def encrypt_command(
    package: FilePath,
    output: FilePath,
    recipients: tuple[FilePath, ...],
    cipher: str,
    direct: bool,  # noqa: FBT001 - click calls it
    as_json: bool,  # noqa: FBT001
) -> None:
    """Encrypt a signed package into a COSE message. An MCUboot image that the boot loader decrypts: create it so."""
    from lwm2m_fota.cli.package_cose import encrypt_file, encrypted_line

    show(lambda: encrypt_file(package, output, recipients, cipher, is_direct=direct), encrypted_line, as_json=as_json)


@package_group.command("inspect")
@click.argument("package", type=_PATH)
@_JSON
def inspect_command(package: FilePath, as_json: bool) -> None:  # noqa: FBT001 - click calls it
    """Show what a package says of itself, as a tree; digests are compared, signatures are not."""
    from lwm2m_fota.cli.package_inspect import inspect, inspected_lines

    show(lambda: inspect(package), inspected_lines, as_json=as_json)


@package_group.command("verify")
@click.argument("package", type=_PATH)
@click.option("--trust", "trusted", type=_PATH, multiple=True, help="A key that is trusted: PEM, or COSE_Key.")
@click.option("--all", "all_required", is_flag=True, help="Every file given by --trust has to sign.")
@click.option("--signature", type=_PATH, help="A detached COSE signature of the file.")
@click.option("--sha256", metavar="HEX", help="The digest of the file; with --trust, both have to hold.")
@click.option("--decrypt-key", "decrypting", type=_PATH, multiple=True, help="A key that opens what is encrypted.")
@click.option("--vendor", metavar="ID", help="The vendor of the device: a UUID, or a domain name.")
@click.option("--class", "class_name", metavar="ID", help="Its class: a UUID, or a name within the vendor.")
@click.option("--device", metavar="HEX", help="The id of the device itself.")
@click.option("--minimum-counter", "counter", type=click.IntRange(0), help="The lowest counter that is taken.")
@click.option("--payload", "payloads", type=_PATH, multiple=True, help="What a SUIT envelope fetches, in its order.")
@click.option(
    "--max-held",
    "max_held_bytes",
    type=click.IntRange(1),
    default=512 * 1024,
    show_default=True,
    help="Bytes that the device holds of what does not stream, such as what EdDSA signs.",
)
@click.option("--unsafe-permissive", is_flag=True, help="Read COSE messages as the public vectors have them.")
@_JSON
def verify_command(  # noqa: PLR0917 - click calls it by keyword
    package: FilePath,
    trusted: tuple[FilePath, ...],
    all_required: bool,  # noqa: FBT001 - click calls it
    signature: FilePath | None,
    sha256: str | None,
    decrypting: tuple[FilePath, ...],
    vendor: str | None,
    class_name: str | None,
    device: str | None,
    counter: int | None,
    payloads: tuple[FilePath, ...],
    max_held_bytes: int,
    unsafe_permissive: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Verify a package as a device would: exit status 0, or 1 and one line that says why."""
    from lwm2m_fota.cli.package_verify import VerifyOptions, verified_line, verify

    options = VerifyOptions(
        package=package,
        trusted=trusted,
        are_all_required=all_required,
        signature=signature,
        sha256=sha256,
        decrypting=decrypting,
        vendor=vendor,
        class_name=class_name,
        device=device,
        counter=counter,
        is_permissive=unsafe_permissive,
        payloads=payloads,
        max_held_bytes=max_held_bytes,
    )
    show(lambda: verify(options), verified_line, as_json=as_json)


@package_group.group("keys")
def keys_group() -> None:
    """Make, show and convert keys: PEM, or COSE_Key in files that end with .cbor."""


@keys_group.command("new")
@click.argument("path", type=_PATH)
@click.option("--type", "kind", type=click.Choice(_TYPES), default="ed25519", show_default=True)
@click.option("--kid", metavar="ID", help="Its id; for files that end with .cbor.")
@_JSON
def new_key_command(path: FilePath, kind: str, kid: str | None, as_json: bool) -> None:  # noqa: FBT001
    """Make a key that only its owner can read, and its public part beside it."""
    from lwm2m_fota.cli.keys import create_key, written_line
    from lwm2m_fota.package.crypto import KeyType

    show(lambda: create_key(path, KeyType[kind.upper()], kid), written_line, as_json=as_json)


@keys_group.command("show")
@click.argument("path", type=_PATH)
@_JSON
def show_keys_command(path: FilePath, as_json: bool) -> None:  # noqa: FBT001
    """Show what the keys of a file are, and nothing that is secret."""
    from lwm2m_fota.cli.keys import keys_lines, show_keys

    show(lambda: show_keys(path), keys_lines, as_json=as_json)


@keys_group.command("convert")
@click.argument("source", type=_PATH)
@click.argument("target", type=_PATH)
@click.option("--kid", metavar="ID", help="The id that it gets; PEM has no place for one.")
@click.option("--public", is_flag=True, help="The public part alone.")
@_JSON
def convert_key_command(
    source: FilePath,
    target: FilePath,
    kid: str | None,
    public: bool,  # noqa: FBT001 - click calls it
    as_json: bool,  # noqa: FBT001
) -> None:
    """Write a key in the other form: the ending .cbor is a COSE_Key, anything else PEM."""
    from lwm2m_fota.cli.keys import convert_key, written_line

    show(lambda: convert_key(source, target, kid, is_public=public), written_line, as_json=as_json)
