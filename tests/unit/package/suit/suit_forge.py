"""Envelopes by hand: maps as the draft prints them, signed with a TEST-ONLY key."""

import hashlib

from lwm2m_fota import cbor
from lwm2m_fota.package.cose.create import CoseSigner, sign1
from lwm2m_fota.package.crypto import KeyType, PrivateKey

SIGNER = PrivateKey.from_seed(KeyType.P256, bytes(range(1, 33)))
VENDOR = bytes.fromhex("fa6b4a53d5ad5fdfbe9de663e4d41ffe")
CLASS = bytes.fromhex("1492af1425695e48bf429b2d51f2ab45")


def bstr(value):
    """What is nested: CBOR in a byte string."""
    return cbor.dumps(value, canonical=True)


def sha256(data):
    """A SUIT_Digest."""
    return [-16, hashlib.sha256(data).digest()]


def member_sha256(data):
    """A SUIT_Digest of a member: with the head of its byte string."""
    return sha256(cbor.dumps(data))


def sign(digest, *signers):
    """The wrapper around a digest."""
    signed = cbor.dumps(digest)
    blocks = [sign1(signed, CoseSigner(key=each), is_detached=True) for each in signers]
    return cbor.dumps([signed, *blocks])


def manifest(components=((b"\0",),), shared=None, dependencies=None, number=1, **members):
    """A manifest as bytes; members are `m7=...` and the like."""
    common = {2: [list(each) for each in components]} if components else {}
    if dependencies is not None:
        common[1] = dependencies
    if shared is not None:
        common[4] = bstr(shared)
    return bstr({1: 1, 2: number, 3: bstr(common), **{int(key[1:]): value for key, value in members.items()}})


def envelope(data, severed=None, payloads=None, *, signers=(SIGNER,), is_tagged=True):
    """An envelope around a manifest."""
    members = {2: sign(member_sha256(data), *signers), 3: data, **(severed or {}), **(payloads or {})}
    return bstr(cbor.Tag(107, members) if is_tagged else members)
