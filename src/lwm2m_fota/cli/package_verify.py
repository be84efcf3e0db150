"""`lwm2m-fota package verify`, and the trust, limits and identities that other commands need of packages."""

import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path as FilePath
from typing import Final, final

import attrs

from lwm2m_fota.cli.facts import Facts, beginning, chunks, size_of
from lwm2m_fota.cli.keys import decryption_keys, trusted_keys
from lwm2m_fota.errors import PackageError, UsageError
from lwm2m_fota.package.formats.cose import CoseFormat
from lwm2m_fota.package.formats.mcuboot import McubootFormat
from lwm2m_fota.package.formats.plain import MAX_SIGNATURE_BYTES, DetachedSignature, PlainFormat
from lwm2m_fota.package.formats.registry import FormatRegistry, default_formats
from lwm2m_fota.package.formats.suit.format import SuitFormat
from lwm2m_fota.package.formats.suit.limits import SuitLimits
from lwm2m_fota.package.identity import DNS_NAMESPACE, UUID_BYTES, DeviceIdentity, uuid5
from lwm2m_fota.package.limits import DEFAULT_MAX_HELD_BYTES
from lwm2m_fota.package.rollback import RollbackFloor
from lwm2m_fota.package.trust import AllOf, TrustPolicy, UnsafeChoice, UnsafeTrustPolicy
from lwm2m_fota.package.types import VerifiedPackage
from lwm2m_fota.package.verdicts import printable
from lwm2m_fota.package.verifier import PackageVerifier
from lwm2m_fota.storage.base import PackageSource

MAX_PACKAGE_BYTES: Final = 1 << 30

_SHA256_DIGITS: Final = 64


def read_trust(
    paths: Sequence[FilePath], *, sha256: str | None = None, max_package_bytes: int = MAX_PACKAGE_BYTES
) -> TrustPolicy:
    """Trust in the keys of files, and in the file of a digest in hex; without either, in nothing.

    Raises:
        UsageError: a file cannot be read, or holds no public key that is supported; or it is no digest.
    """
    digest = None if sha256 is None else _digest(sha256)
    return TrustPolicy(keys=trusted_keys(paths), expected_sha256=digest, max_package_bytes=max_package_bytes)


def formats(max_held_bytes: int) -> FormatRegistry:
    """The formats of a device that holds at most so many bytes, where one does not let them stream."""
    known = default_formats()
    for each in (
        CoseFormat(max_held_bytes=max_held_bytes),
        McubootFormat(max_held_bytes=max_held_bytes),
        SuitFormat(limits=SuitLimits(max_held_bytes=max_held_bytes)),
    ):
        known = known.with_format(each)
    return known


# Ids of vendors, classes and devices.


def vendor_id(text: str) -> bytes:
    """Read the id of a vendor: a UUID, or the domain name that it is made of."""
    return _uuid(text) or uuid5(DNS_NAMESPACE, text)


def class_id(text: str, vendor: bytes | None) -> bytes:
    """Read the id of a class: a UUID, or a name within the vendor.

    Raises:
        UsageError: a name without a vendor.
    """
    found = _uuid(text)
    if found is None and vendor is None:
        raise UsageError(f"{text!r} is no UUID, and a name of a class needs a vendor")
    return found or uuid5(vendor or b"", text)


def device_id(text: str) -> bytes:
    """Read the id of a device: hex digits, with dashes or without.

    Raises:
        UsageError: something else.
    """
    try:
        return bytes.fromhex(text.replace("-", ""))
    except ValueError as error:
        raise UsageError(f"{text!r} is not the id of a device in hex digits") from error


def _uuid(text: str) -> bytes | None:
    try:
        found = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        return None
    return found if len(found) == UUID_BYTES else None


# Create.


@final
@attrs.frozen(kw_only=True)
class VerifyOptions:
    """What `package verify` was given.

    Attributes:
        package: the file.
        trusted: files with keys that are trusted.
        are_all_required: whether every one of these files has to sign.
        signature: the file with a detached signature.
        sha256: the digest of the file, in hex.
        decrypting: files with keys that decrypt.
        vendor: of the device.
        class_name: of the device.
        device: of the device itself.
        counter: the lowest counter that is taken.
        is_permissive: whether COSE messages are read under the permissive rules.
        payloads: files with the payloads that a SUIT envelope does not hold, in the order of their fetch.
        max_held_bytes: what the device holds in memory of what does not stream.
    """

    package: FilePath
    trusted: tuple[FilePath, ...] = ()
    are_all_required: bool = False
    signature: FilePath | None = None
    sha256: str | None = None
    decrypting: tuple[FilePath, ...] = ()
    vendor: str | None = None
    class_name: str | None = None
    device: str | None = None
    counter: int | None = None
    is_permissive: bool = False
    payloads: tuple[FilePath, ...] = ()
    max_held_bytes: int = DEFAULT_MAX_HELD_BYTES


def policy_of(options: VerifyOptions) -> TrustPolicy:
    """The policy of a device that was given the same.

    Raises:
        UsageError: something cannot be read.
    """
    if not options.trusted and options.sha256 is None:
        raise UsageError("nothing is trusted: give --trust, or --sha256")
    keys = trusted_keys(options.trusted, is_authority_each=options.are_all_required)
    vendor = None if options.vendor is None else vendor_id(options.vendor)
    class_ = None if options.class_name is None else class_id(options.class_name, vendor)
    policy = TrustPolicy(
        keys=keys,
        required=AllOf(*{key.authority for key in keys}) if options.are_all_required else None,
        expected_sha256=None if options.sha256 is None else _digest(options.sha256),
        decryption_keys=decryption_keys(options.decrypting),
        rollback_floor=RollbackFloor() if options.counter is None else RollbackFloor.at_least(options.counter),
        identity=DeviceIdentity(
            vendor_ids=_known(vendor),
            class_ids=_known(class_),
            device_ids=_known(None if options.device is None else device_id(options.device)),
        ),
        max_package_bytes=MAX_PACKAGE_BYTES,
    )
    if not options.is_permissive:
        return policy
    fields = {field.name: getattr(policy, field.name) for field in attrs.fields(TrustPolicy)}
    return UnsafeTrustPolicy(**fields, choices=[UnsafeChoice.PERMISSIVE_COSE])


def _known(found: bytes | None) -> tuple[bytes, ...]:
    return () if found is None else (found,)


def _digest(text: str) -> bytes:
    if len(text) != _SHA256_DIGITS or not all(each in "0123456789abcdefABCDEF" for each in text):
        raise UsageError(f"a SHA-256 digest has {_SHA256_DIGITS} hex digits")
    return bytes.fromhex(text)


def verify(options: VerifyOptions) -> Facts:
    """`package verify`.

    Raises:
        FotaError: why it would be refused, or what cannot be read.
    """
    policy, known = policy_of(options), formats(options.max_held_bytes)
    if options.signature is not None:
        message = beginning(options.signature, MAX_SIGNATURE_BYTES + 1)
        signature = DetachedSignature(message=message, size_bytes=size_of(options.package))
        known = FormatRegistry((PlainFormat(signature=signature, max_held_bytes=options.max_held_bytes),))
    verifier = PackageVerifier(policy, now=time.time(), formats=known)
    for piece in chain.from_iterable(map(chunks, (options.package, *options.payloads))):
        verifier.feed(piece)
    return {"package": str(options.package), **verified_facts(verifier.finish())}


def verified_facts(found: VerifiedPackage) -> Facts:
    """What a verified package is, and what was verified."""
    made_for = {name: value.hex() for name, value in attrs.asdict(found.made_for).items() if value is not None}
    return {
        "format": found.format,
        "version": found.version,
        "bytes": found.size_bytes,
        "sha256": found.sha256.hex(),
        "signed_by": found.signed_by[0].hex() if found.signed_by else None,
        "signer": " and ".join(f"key {signer.key.label}" for signer in found.signers) or None,
        "signers": [
            {
                "key": signer.key.label,
                "authority": signer.key.authority,
                "algorithm": None if signer.algorithm is None else signer.algorithm.value,
            }
            for signer in found.signers
        ],
        "components": [
            {"name": part.name, "version": part.version, "bytes": part.length_bytes} for part in found.components
        ],
        "counters": [{"of": each.of.value, "name": each.name, "value": each.value} for each in found.counters],
        "dependencies": {needed.name: needed.minimum_version for needed in found.dependencies},
        "made_for": made_for,
        "checks": sorted(check.name.lower() for check in found.checks),
        "limits": dict(found.limits),
    }


def verified_line(facts: Facts) -> str:
    """What was verified, for people."""
    version = "" if facts["version"] is None else f", version {printable(str(facts['version']))}"
    signed = "not signed" if facts["signed_by"] is None else f"signed by {facts['signer']}"
    return f"{facts['package']}: good; {facts['format']}{version}, {facts['bytes']} bytes, {signed}"


def format_of(source: PackageSource) -> str | None:
    """The name of a package's format by its first bytes; None if it is not known here."""
    known_formats = default_formats()
    prefix = source.read_at(0, known_formats.prefix_bytes)
    try:
        known = known_formats.recognise(prefix, complete=len(prefix) < known_formats.prefix_bytes)
    except PackageError:
        return None
    return None if known is None or known.name == "plain" else known.name
