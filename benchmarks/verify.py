"""Packages and messages that are verified: against what cannot be left out, and against cwt.

`sign1` is a COSE_Sign1 with ES256, read and verified under the strict rules, beside the bare signature by cryptography.
cwt runs in an environment of its own (`--cwt PYTHON`, or LWM2M_FOTA_CWT), beside the bare signature there: the two
ratios are compared. `image` is an MCUboot image with ECDSA in blocks of 1 KiB and of 64 KiB, beside SHA-256 at once.
`suit` is an envelope whose signatures are taken for good, beside plain decoding of all its nested strings by cbor2.
`memory` is what the verifier of an image holds at most, at several sizes. Times are those of the processor.
"""

import argparse
import hashlib
import os
import subprocess
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import cbor2  # noqa: TID251 - as those use it who look at nothing
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from benchmarks.harness import Figure, alternate, at_least, at_most
from lwm2m_fota import cbor
from lwm2m_fota.package.cose.authenticate import authenticate
from lwm2m_fota.package.cose.create import CoseSigner, sign1
from lwm2m_fota.package.cose.message import CoseSign1, read_message
from lwm2m_fota.package.crypto import KeyType, PrivateKey
from lwm2m_fota.package.formats.mcuboot_make import create_mcuboot
from lwm2m_fota.package.formats.mcuboot_tlv import ImageVersion
from lwm2m_fota.package.formats.suit.authentication import Wrapper
from lwm2m_fota.package.formats.suit.make import SuitComponent, SuitOptions, create_suit
from lwm2m_fota.package.formats.suit.members import open_envelope
from lwm2m_fota.package.keyring import Authentication, KeyRing, TrustedKey
from lwm2m_fota.package.trust import TrustPolicy
from lwm2m_fota.package.verifier import PackageVerifier

PACKAGES: Final = ("lwm2m-fota", "cryptography", "cbor2")
LOOPS: Final = 1_000
SIZE_MIB: Final = 64
SIGN1_GOAL: Final = 0.8
CWT_GOAL: Final = 1.15
PIECES: Final = {1024: 0.5, 65536: 0.9}
"""The length of pieces, and which share of the speed of SHA-256 is asked for."""
SUIT_GOAL: Final = 10.0
MEMORY_GOAL_BYTES: Final = 1 << 20

_US: Final = 1e6
_KEY: Final = PrivateKey.from_seed(KeyType.P256, bytes(range(1, 33)))
_KID: Final = b"release"
_PAYLOAD: Final = bytes(range(200))
_PEER: Final = Path(__file__).with_name("verify_cwt.py")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--loops", type=int, default=LOOPS, metavar="N", help=f"calls a round (default: {LOOPS})")
    parser.add_argument(
        "--mib", type=int, default=SIZE_MIB, metavar="N", help=f"size of the image (default: {SIZE_MIB})"
    )
    parser.add_argument("--cwt", default=os.environ.get("LWM2M_FOTA_CWT"), metavar="PYTHON", help="where cwt is")


def run(options: argparse.Namespace) -> list[Figure]:
    """Measure."""
    return [*_sign1(options), *_image(options), *_suit(options), *_memory(options.mib)]


def _timed(call: Callable[[], object], loops: int) -> Callable[[], float]:
    """Seconds of the processor for a call."""

    def measured() -> float:
        begun = time.process_time()
        for _ in range(loops):
            call()
        return (time.process_time() - begun) / loops

    return measured


def _medians(calls: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    return {name: median(times) for name, times in alternate(calls, rounds).items()}


def _sign1(options: argparse.Namespace) -> list[Figure]:
    message = sign1(_PAYLOAD, CoseSigner(key=_KEY, key_id=_KID))
    ring = KeyRing((TrustedKey(_KEY.public_key, key_id=_KID),))
    public = serialization.load_pem_public_key(_KEY.public_key.to_pem())
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise TypeError
    signed = cbor.dumps(["Signature1", bytes.fromhex("a10126"), b"", _PAYLOAD])
    raw = message[-64:]
    signature = utils.encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    algorithm = ec.ECDSA(hashes.SHA256())

    def ours() -> None:
        read = read_message(message)
        if not isinstance(read, CoseSign1) or not authenticate(read, ring).signers:
            raise RuntimeError("the signature does not hold")

    calls = {
        "ours": _timed(ours, options.loops),
        "bare": _timed(lambda: public.verify(signature, signed, algorithm), options.loops),
    }
    costs = _medians(calls, options.rounds)
    share = costs["bare"] / costs["ours"]
    figures = [Figure(name=f"verify.sign1.{name}", value=cost * _US, unit="us") for name, cost in costs.items()]
    figures.append(at_least(Figure(name="verify.sign1.share", value=share, unit="of bare"), "bare", share, SIGN1_GOAL))
    if options.cwt is None:
        if options.check:
            raise SystemExit("cwt is to be measured too: name the Python of its environment (--cwt)")
        return figures
    command = [options.cwt, str(_PEER), message.hex(), _KEY.to_pem().decode(), str(options.loops), str(options.rounds)]
    theirs = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    figures.append(Figure(name="verify.sign1.share.cwt", value=theirs, unit="of bare"))
    over = Figure(name="verify.sign1.over_cwt", value=share / theirs, unit="times")
    return [*figures, at_least(over, "cwt", share / theirs, CWT_GOAL)]


def _image(options: argparse.Namespace) -> list[Figure]:
    image = create_mcuboot(bytes(options.mib << 20), version=ImageVersion(1, 0, 0), key=_KEY)
    calls = {f"{size // 1024}KiB": _timed(partial(_verify, image, size), 1) for size in PIECES}
    costs = _medians({**calls, "sha256": _timed(lambda: hashlib.sha256(image).digest(), 1)}, options.rounds)
    figures = [
        Figure(name=f"verify.image.{name}", value=len(image) / cost / 1e6, unit="MB/s") for name, cost in costs.items()
    ]
    for size, goal in PIECES.items():
        share = costs["sha256"] / costs[f"{size // 1024}KiB"]
        figure = Figure(name=f"verify.image.{size // 1024}KiB.share", value=share, unit="of SHA-256")
        figures.append(at_least(figure, "SHA-256", share, goal))
    return figures


def _verify(image: bytes, piece_bytes: int) -> None:
    verifier = PackageVerifier(TrustPolicy(keys=[_KEY.public_key], max_package_bytes=len(image)))
    view, feed = memoryview(image), verifier.feed
    for at in range(0, len(view), piece_bytes):
        feed(view[at : at + piece_bytes])
    verifier.finish()


def _suit(options: argparse.Namespace) -> list[Figure]:
    parts = [SuitComponent(id=(name,), image=_PAYLOAD + name, version="1.2.3") for name in (b"app", b"radio")]
    settings = SuitOptions(sequence_number=7, vendor_id=bytes(16), class_id=bytes(range(16)), is_text_severed=False)
    data = create_suit(parts, options=settings, signers=[CoseSigner(key=_KEY, key_id=_KID)]).data

    def trusting(_wrapper: Wrapper) -> Authentication:
        return Authentication()

    calls = {
        "ours": _timed(lambda: open_envelope(data, trusting), options.loops),
        "cbor2": _timed(lambda: _decode_all(data), options.loops),
    }
    costs = _medians(calls, options.rounds)
    ratio = costs["ours"] / costs["cbor2"]
    figures = [Figure(name=f"verify.suit.{name}", value=cost * _US, unit="us") for name, cost in costs.items()]
    figure = Figure(name="verify.suit.over_decoding", value=ratio, unit="times")
    return [*figures, at_most(figure, "cbor2", ratio, SUIT_GOAL)]


def _decode_all(data: bytes) -> None:
    """Decode an envelope, and whatever its byte strings hold that is CBOR in the manifest format."""
    envelope = cbor2.loads(data).value
    for each in cbor2.loads(envelope[2]):
        cbor2.loads(each)
    manifest = cbor2.loads(envelope[3])
    common = cbor2.loads(manifest[3])
    for sequence in (common[4], *(manifest[key] for key in (7, 20, 23) if key in manifest)):
        for item in cbor2.loads(sequence):
            if isinstance(item, dict) and 3 in item:
                cbor2.loads(item[3])


def _memory(most_mib: int) -> list[Figure]:
    figures = []
    for mib in sorted({1, max(1, most_mib // 4), most_mib}):
        image = create_mcuboot(bytes(mib << 20), version=ImageVersion(1, 0, 0), key=_KEY)
        tracemalloc.start()
        try:
            _verify(image, 65536)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        figure = Figure(name=f"verify.memory.{mib}MiB", value=peak / 1024, unit="KiB")
        figures.append(at_most(figure, "1 MiB", peak / MEMORY_GOAL_BYTES, 1.0))
    return figures
