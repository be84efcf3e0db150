"""cwt in its own environment: which share of the bare signature's speed it reaches (`benchmarks.verify`).

Arguments: the message in hex, the private key in PEM, calls a round, rounds. One number goes to the standard output.
"""

import sys
import time
from collections.abc import Callable
from statistics import median

import cbor2  # noqa: TID251 - this library is not there
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cwt import COSE, COSEKey


def timed(call: Callable[[], object], loops: int) -> float:
    begun = time.process_time()
    for _ in range(loops):
        call()
    return (time.process_time() - begun) / loops


def main(message: bytes, pem: bytes, loops: int, rounds: int) -> float:
    private = serialization.load_pem_private_key(pem, None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise TypeError
    public = private.public_key()
    written = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    protected, _, payload, raw = cbor2.loads(message).value
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    signature = utils.encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    key, cose, algorithm = COSEKey.from_pem(written, kid="release", alg="ES256"), COSE.new(), ec.ECDSA(hashes.SHA256())
    ours, bare = [], []
    for _ in range(rounds + 1):  # the first warms up
        ours.append(timed(lambda: cose.decode(message, key), loops))
        bare.append(timed(lambda: public.verify(signature, signed, algorithm), loops))
    return median(bare[1:]) / median(ours[1:])


if __name__ == "__main__":
    print(main(bytes.fromhex(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3]), int(sys.argv[4])))
