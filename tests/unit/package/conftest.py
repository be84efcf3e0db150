"""The MCUboot vectors and their TEST-ONLY keys."""

import importlib.util
import struct
from pathlib import Path

import pytest

from lwm2m_fota.package.crypto import KeyType, PrivateKey
from lwm2m_fota.package.crypto.keys import SEED_BYTES

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "mcuboot"
KEYS = Path(__file__).resolve().parents[2] / "vectors" / "keys"


def page_module(root, name):
    """A module of `docs` that makes a page."""
    found = importlib.util.spec_from_file_location(name, root / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def vectors_module(root):
    """`docs/vectors.py`: what comes of the public vectors."""
    return page_module(root, "vectors")


@pytest.fixture(scope="session")
def verdicts_module(root):
    """`docs/verdicts.py`: every code, with its sentence and its Update Results."""
    return page_module(root, "verdicts")


@pytest.fixture(scope="session")
def vector():
    return lambda name: (VECTORS / name).read_bytes()


@pytest.fixture(scope="session")
def ed25519_key(vector):
    return PrivateKey.from_pem(vector("TEST-ONLY-ed25519.pem"))


@pytest.fixture(scope="session")
def rsa_key():
    return PrivateKey.from_pem((KEYS / "TEST-ONLY-rsa2048.pem").read_bytes())


@pytest.fixture(scope="session")
def large_rsa_key():
    return PrivateKey.from_pem((KEYS / "TEST-ONLY-rsa3072.pem").read_bytes())


@pytest.fixture(scope="session")
def key_of(rsa_key):
    """`key_of(kind)` is a private key of a type, always the same."""

    def make(kind, number=0x11):
        return rsa_key if kind is KeyType.RSA else PrivateKey.from_seed(kind, bytes([number]) * SEED_BYTES[kind])

    return make


@pytest.fixture(scope="session")
def p256_key(vector):
    return PrivateKey.from_pem(vector("TEST-ONLY-p256.pem"))


def area(magic, records, total=None):
    """A TLV area, by hand."""
    body = b"".join(struct.pack("<HH", kind, len(value)) + value for kind, value in records)
    return struct.pack("<HH", magic, 4 + len(body) if total is None else total) + body


def hashed_part(
    body=b"body",
    *,
    header_size=32,
    flags=0,
    protected=(),
    protected_magic=0x6908,
    protected_bytes=None,
    body_bytes=None,
):
    """Header, body and protected records, by hand."""
    covered = area(protected_magic, protected) if protected else b""
    header = struct.pack(
        "<IIHHIIBBHII",
        0x96F3B83D,
        0,
        header_size,
        len(covered) if protected_bytes is None else protected_bytes,
        len(body) if body_bytes is None else body_bytes,
        flags,
        1,
        2,
        3,
        4,
        0,
    )
    return header.ljust(header_size, b"\0") + body + covered


@pytest.fixture(scope="session")
def forge():
    """Make an image by hand; `records(hashed)` says what stands behind the hashed part."""

    def make(records, **parts):
        hashed = hashed_part(**parts)
        return hashed + area(0x6907, records(hashed))

    return make
