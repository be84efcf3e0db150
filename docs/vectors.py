"""What comes of the public vectors under both policies: read, verified, and written down as a page.

The vectors lie in `spec/vectors` below the folder of LWM2M_FOTA_SHARED, or beside the project; the page is made anew
only where they are there. A test compares it with what the code says.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lwm2m_fota.errors import PackageError
from lwm2m_fota.package.cose.authenticate import authenticate
from lwm2m_fota.package.cose.decrypt import Opening, decrypt
from lwm2m_fota.package.cose.message import CoseEncrypt, CoseEncrypt0, read_message
from lwm2m_fota.package.cose.names import CoseTag
from lwm2m_fota.package.cose.rules import CoseRules
from lwm2m_fota.package.crypto import KeyType, PrivateKey, PublicKey, SecretKey
from lwm2m_fota.package.formats.suit.members import judge_of, open_envelope
from lwm2m_fota.package.keyring import DecryptionKey, KeyRing, TrustedKey
from lwm2m_fota.package.trust import TrustPolicy, UnsafeChoice, UnsafeTrustPolicy
from lwm2m_fota.package.verdicts import refusal_error
from lwm2m_fota.package.verifier import PackageVerifier

TAGS = {
    "sign0": CoseTag.SIGN1,
    "sign": CoseTag.SIGN,
    "mac0": CoseTag.MAC0,
    "mac": CoseTag.MAC,
    "encrypted": CoseTag.ENCRYPT0,
    "enveloped": CoseTag.ENCRYPT,
}
GOOD = "accepted"


class Row(NamedTuple):
    """A vector: whether it is meant to be good, and what each policy says, which is `GOOD` or why not."""

    name: str
    is_meant_good: bool
    permissive: str
    strict: str


def _b64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _part(key: Mapping[str, str], name: str) -> bytes:
    return bytes.fromhex(key[f"{name}_hex"]) if f"{name}_hex" in key else _b64(key[name])


def _key(key: Mapping[str, str]) -> PublicKey | SecretKey:
    match key["kty"]:
        case "oct":
            return SecretKey(_part(key, "k"))
        case "EC":
            return PublicKey.from_raw(KeyType(key["crv"]), b"\4" + _part(key, "x") + _part(key, "y"))
        case "OKP":
            return PublicKey.from_raw(KeyType(key["crv"]), _part(key, "x"))
        case _:
            return PublicKey.from_rsa(int.from_bytes(_part(key, "n")), int.from_bytes(_part(key, "e")))


class CoseVector:
    """One file of cose-wg/Examples."""

    def __init__(self, path: Path) -> None:
        plain: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        given = plain["input"]
        (self.kind,) = TAGS.keys() & given.keys()
        part = given[self.kind]
        self.name = f"{path.parent.name}/{path.stem}"
        self.is_meant_good = not plain.get("fail", False)
        self.data = bytes.fromhex(plain["output"]["cbor"])
        self.content = given["plaintext"].encode()
        ways = part.get("signers") or part.get("recipients") or [part]
        self.external_aad = bytes.fromhex(part.get("external") or ways[0].get("external") or "")
        self.keys = [(self._name(way, part), _key(way.get("key") or part["key"])) for way in ways]
        iv = bytes.fromhex(part.get("unsent", {}).get("IV_hex", ""))
        self.base_iv = iv[:-2] + bytes(2) if iv else None

    @staticmethod
    def _name(way: Mapping[str, Any], part: Mapping[str, Any]) -> bytes:
        """The id by which the message names its key: the key itself is called otherwise in some files."""
        for headers in (way.get("unprotected", {}), part.get("unprotected") or {}, way.get("key") or part["key"]):
            if "kid" in headers:
                return headers["kid"].encode()
        raise KeyError("kid")

    def check(self, rules: CoseRules) -> str:
        """`GOOD`, or why not."""
        try:
            message = read_message(self.data, rules=rules, untagged=TAGS[self.kind])
            if isinstance(message, CoseEncrypt0 | CoseEncrypt):
                keys = [DecryptionKey(key, key_id=name, base_iv=self.base_iv) for name, key in self.keys]
                content = decrypt(message, keys, opening=Opening(external_aad=self.external_aad, rules=rules))
            else:
                ring = KeyRing(tuple(TrustedKey(key, key_id=name) for name, key in self.keys))
                found = authenticate(message, ring, external_aad=self.external_aad, rules=rules)
                if not found.signers:
                    raise refusal_error(found.gravest.refusal, found.gravest.detail)
                content = message.payload
        except PackageError as error:
            return str(error)
        return GOOD if content == self.content else "another content"


def cose_rows(folder: Path) -> Iterator[Row]:
    """The COSE messages."""
    for path in sorted(folder.glob("cose/*/*.json")):
        vector = CoseVector(path)
        yield Row(
            vector.name,
            vector.is_meant_good,
            vector.check(CoseRules.UNSAFE_PERMISSIVE),
            vector.check(CoseRules.STRICT),
        )


def mcuboot_rows(folder: Path) -> Iterator[Row]:
    """The MCUboot images; the permissive policy for them is the one that takes unsigned packages."""
    folder = folder / "mcuboot"
    keys = [PrivateKey.from_pem(path.read_bytes()).public_key for path in sorted(folder.glob("*.pem"))]
    permissive = UnsafeTrustPolicy(keys=keys, choices=[UnsafeChoice.ACCEPT_UNSIGNED])
    for name, is_good in (("ed25519", True), ("ed25519-pure", True), ("nosig", False), ("p256", True)):
        data = (folder / f"{name}.bin").read_bytes()
        yield Row(f"mcuboot/{name}", is_good, _verify(permissive, data), _verify(TrustPolicy(keys=keys), data))


_TEXT_BLOCK = re.compile(r"~~~\n((?:[0-9a-f]+\n)+)~~~")


def suit_envelopes(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The envelopes of the drafts: of the manifest draft once without authentication, and then with all there is."""
    for path in sorted(folder.glob("suit/example*.txt")):
        found = [
            bytes.fromhex(each.replace("\n", "")) for each in _TEXT_BLOCK.findall(path.read_text(encoding="utf-8"))
        ]
        yield f"suit/{path.stem} (not signed)", found[0]
        if len(found) > 2:  # noqa: PLR2004 - the third has what was severed
            yield f"suit/{path.stem} (severed)", found[1]
        yield f"suit/{path.stem}", found[-1]
    for pattern in ("suit-encryption/suit-manifest-*.hex.signed", "suit-trust-domains/*.hex"):
        for path in sorted(folder.glob(pattern)):
            name = f"{path.parent.name}/{path.name.partition('.')[0]}"
            yield name, bytes.fromhex(path.read_text(encoding="ascii"))


def suit_rows(folder: Path) -> Iterator[Row]:
    """The envelopes under the keys that the drafts publish; the permissive policy takes those that nobody signed."""
    key = PrivateKey.from_pem((folder / "suit" / "private_key.pem").read_bytes()).public_key
    keys = (TrustedKey(key), TrustedKey(SecretKey(b"a" * 32), key_id=b"drafts"))
    permissive = UnsafeTrustPolicy(keys=keys, choices=[UnsafeChoice.ACCEPT_UNSIGNED])
    for name, data in suit_envelopes(folder):
        is_good = "not signed" not in name and "es-ecdh-dependency" not in name
        yield Row(name, is_good, _open(permissive, data), _open(TrustPolicy(keys=keys), data))


def _open(policy: TrustPolicy, data: bytes) -> str:
    try:
        open_envelope(data, judge_of(policy, None))
    except PackageError as error:
        return str(error)
    return GOOD


def _verify(policy: TrustPolicy, data: bytes) -> str:
    verifier = PackageVerifier(policy)
    try:
        verifier.feed(data)
        verifier.finish()
    except PackageError as error:
        return str(error)
    return GOOD


SECTIONS = (
    ("COSE", "Messages of cose-wg/Examples; `permissive` is `CoseRules.UNSAFE_PERMISSIVE`.", cose_rows),
    (
        "MCUboot",
        "Images of imgtool; `permissive` is an `UnsafeTrustPolicy` that takes unsigned ones.",
        mcuboot_rows,
    ),
    (
        "SUIT",
        "Envelopes of the drafts: signatures and digests. Their payloads are not published; `permissive` is as above.",
        suit_rows,
    ),
)

HEAD = """# What comes of the public vectors

<!-- Written by docs/generate.py; a test compares it with what the code says. -->

Each file, what its authors meant it to be, and what a policy makes of it. The strict policy, which is the default,
refuses some that are meant to be good, each for the reason that stands there.
"""


def page(folder: Path) -> str:
    """The page."""
    return "\n".join(
        [HEAD, *(text for title, intro, rows in SECTIONS for text in _section(title, intro, rows(folder)))]
    )


def _section(title: str, intro: str, rows: Iterable[Row]) -> Iterator[str]:
    rows = list(rows)
    refused = [row for row in rows if row.is_meant_good and row.strict != GOOD]
    yield f"## {title}\n\n{intro}\n"
    yield f"{len(rows)} files; {len(refused)} that are meant to be good are refused by the strict policy.\n"
    yield "| file | meant to be | permissive | strict |\n|---|---|---|---|"
    for row in rows:
        meant = "good" if row.is_meant_good else "refused"
        yield f"| {row.name} | {meant} | {row.permissive} | {row.strict} |"
    yield ""
