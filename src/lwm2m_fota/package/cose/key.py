"""COSE_Key: keys as CBOR maps (RFC 9052 section 7, RFC 9053 section 7, RFC 8230 section 4)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Self, TypeAlias, final

import attrs

from lwm2m_fota import cbor
from lwm2m_fota.errors import CborError, UsageError
from lwm2m_fota.package.cose.names import (
    AGREEMENTS,
    CONTENT,
    COSE_CURVES,
    KEY_WRAPS,
    MACS,
    SIGNATURES,
    KeyLabel,
    KeyOp,
    Kty,
)
from lwm2m_fota.package.crypto import Algorithm, KeyType, PrivateKey, PublicKey, SecretKey
from lwm2m_fota.package.crypto.keys import CURVES, SEED_BYTES, RsaNumbers
from lwm2m_fota.package.keyring import ALL_ALGORITHMS, DEFAULT_AUTHORITY, DecryptionKey, TrustedKey

Map: TypeAlias = Mapping[object, object]

_CRV, _X, _Y, _D, _K = -1, -2, -3, -4, -1
_RSA_LABELS: Final = (-1, -2, -3, -4, -5, -6, -7, -8)  # n, e, d, p, q, dP, dQ, qInv
_MAX_KEYS: Final = 64
_NUMBER_OF: Final = MappingProxyType({kind: number for number, kind in COSE_CURVES.items()})
_VERIFIES: Final = frozenset({KeyOp.VERIFY, KeyOp.MAC_VERIFY})
_DECRYPTS: Final = frozenset({KeyOp.DECRYPT, KeyOp.UNWRAP})  # RFC 9053 sections 4 and 6.2, of secrets; of RSA keys too
_AGREES: Final = frozenset({KeyOp.DERIVE_KEY, KeyOp.DERIVE_BITS})  # RFC 9053 section 6.3


@final
@attrs.frozen(kw_only=True)
class CoseKey:
    """A key with what is said of it.

    Attributes:
        key: the key itself.
        key_id: its id (kid).
        alg: the one algorithm that it is for, as the number of COSE; None for any of its type.
        key_ops: what it may be used for; None for anything.
        base_iv: the nonce from which partial ones are completed.
    """

    key: PublicKey | PrivateKey | SecretKey
    key_id: bytes | None = None
    alg: int | None = None
    key_ops: frozenset[int] | None = None
    base_iv: bytes | None = None

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read one COSE_Key.

        Raises:
            UsageError: it is none, or of a type that is not supported.
        """
        return cls.from_map(_load(data))

    @classmethod
    def from_map(cls, item: object) -> Self:
        """Take a COSE_Key that was read as CBOR already.

        Raises:
            UsageError: it is none, or of a type that is not supported.
        """
        if not isinstance(item, Mapping):
            raise UsageError("not a COSE_Key")
        key_id, alg, key_ops = (item.get(label) for label in (KeyLabel.KID, KeyLabel.ALG, KeyLabel.KEY_OPS))
        base_iv = item.get(KeyLabel.BASE_IV)
        if not isinstance(key_id, bytes | None) or not isinstance(base_iv, bytes | None):
            raise UsageError("the id or the base IV of a COSE_Key is not a byte string")
        if alg is not None and type(alg) is not int:
            raise UsageError(f"the algorithm of a COSE_Key is {alg!r}")
        return cls(key=_read_key(item), key_id=key_id, alg=alg, key_ops=_read_ops(key_ops), base_iv=base_iv)

    def encode(self, *, private: bool = False) -> bytes:
        """Write it.

        Args:
            private: whether the private part, or a secret, is written too.

        Raises:
            UsageError: a secret has no public part.
        """
        return cbor.dumps(self.to_map(private=private), canonical=True)

    def to_map(self, *, private: bool = False) -> dict[int, object]:
        """What `encode` writes.

        Raises:
            UsageError: a secret has no public part.
        """
        said = {KeyLabel.KID: self.key_id, KeyLabel.ALG: self.alg, KeyLabel.BASE_IV: self.base_iv}
        common: dict[int, object] = {label: value for label, value in said.items() if value is not None}
        if self.key_ops is not None and private is isinstance(self.key, PrivateKey | SecretKey):
            common[KeyLabel.KEY_OPS] = sorted(self.key_ops)
        return common | _written(self.key, private=private)

    def trusted(
        self,
        *,
        authority: str = DEFAULT_AUTHORITY,
        not_before: float | None = None,
        not_after: float | None = None,
    ) -> TrustedKey:
        """This key as one whose signatures or codes count; of a private key, its public part.

        Args:
            authority: who holds it.
            not_before: it is not valid before, seconds since 1970.
            not_after: it is not valid after.

        Raises:
            UsageError: its `alg` or `key_ops` do not let it verify, or a secret has no id.
        """
        if self.key_ops is not None and self.key_ops.isdisjoint(_VERIFIES):
            raise UsageError("the key_ops of this COSE_Key do not let it verify")
        return TrustedKey(
            self.key.public_key if isinstance(self.key, PrivateKey) else self.key,
            key_id=self.key_id,
            authority=authority,
            not_before=not_before,
            not_after=not_after,
            algorithms=self._verifies_with(),
        )

    def _verifies_with(self) -> frozenset[Algorithm]:
        if self.alg is None:
            return ALL_ALGORITHMS
        if self.alg in MACS:
            code = MACS[self.alg].algorithm
            return frozenset() if code is None else frozenset({code})
        if self.alg in SIGNATURES:
            return frozenset(algorithm for _, algorithm in SIGNATURES[self.alg].bound)
        raise UsageError("the algorithm of this COSE_Key does not verify")

    def decryption(self) -> DecryptionKey:
        """This key as one that opens what is encrypted.

        Raises:
            UsageError: its `alg` or `key_ops` do not let it, or it is a public key.
        """
        if isinstance(self.key, PublicKey):
            raise UsageError("a public key decrypts nothing")
        agrees = isinstance(self.key, PrivateKey) and self.key.type is not KeyType.RSA
        if self.key_ops is not None and self.key_ops.isdisjoint(_AGREES if agrees else _DECRYPTS):
            raise UsageError("the key_ops of this COSE_Key do not let it decrypt")
        algorithms = AGREEMENTS.keys() if agrees else CONTENT.keys() | KEY_WRAPS.keys()
        if self.alg is not None and self.alg not in algorithms:
            raise UsageError("the algorithm of this COSE_Key does not decrypt")
        return DecryptionKey(
            self.key,
            key_id=self.key_id,
            base_iv=self.base_iv,
            alg=self.alg,
            unwraps_only=self.key_ops is not None and KeyOp.DECRYPT not in self.key_ops,
        )


def read_keys(data: bytes) -> tuple[CoseKey, ...]:
    """Read one COSE_Key, or a COSE_KeySet: an array of them.

    Raises:
        UsageError: it is neither, or there are more than 64.
    """
    item = _load(data)
    if not isinstance(item, list):
        return (CoseKey.from_map(item),)
    if not 0 < len(item) <= _MAX_KEYS:
        raise UsageError(f"a COSE_KeySet has 1 to {_MAX_KEYS} keys here")
    return tuple(CoseKey.from_map(each) for each in item)


def _load(data: bytes) -> object:
    try:
        return cbor.loads(data)
    except CborError as error:
        raise UsageError(f"not a COSE_Key: {error}") from error


def _read_ops(ops: object) -> frozenset[int] | None:
    if ops is None:
        return None
    if not isinstance(ops, list) or not ops or any(type(each) is not int for each in ops):
        raise UsageError("the key_ops of a COSE_Key are not numbers")
    return frozenset(ops)


def _read_key(item: Map) -> PublicKey | PrivateKey | SecretKey:
    match item.get(KeyLabel.KTY):
        case Kty.OKP:
            return _read_curve(item, is_point=False)
        case Kty.EC2:
            return _read_curve(item, is_point=True)
        case Kty.RSA:
            return _read_rsa(item)
        case Kty.SYMMETRIC:
            return SecretKey(_string(item, _K))
        case kty:
            raise UsageError(f"a COSE_Key of type {kty!r} is not supported")


def _read_curve(item: Map, *, is_point: bool) -> PublicKey | PrivateKey:
    number = item.get(_CRV)
    kind = COSE_CURVES.get(number) if type(number) is int else None
    if kind is None or (kind in CURVES) is not is_point:
        raise UsageError(f"a COSE_Key on curve {number!r} is not supported")
    public = PublicKey.from_raw(kind, _point(item, kind)) if _X in item else None
    if _D not in item:
        if public is None:
            raise UsageError("a COSE_Key without its x")
        return public
    private = PrivateKey.from_seed(kind, _string(item, _D))
    if public is not None and private.public_key != public:
        raise UsageError("the two halves of a COSE_Key do not belong together")
    return private


def _point(item: Map, kind: KeyType) -> bytes:
    """The public key as `PublicKey.from_raw` takes it; y may be no more than its sign."""
    x = _string(item, _X)
    if kind not in CURVES:
        return x
    if len(x) != SEED_BYTES[kind]:
        raise UsageError(f"an x of {len(x)} bytes on {kind.value}")
    y = item.get(_Y)
    if isinstance(y, bool):
        return (b"\x03" if y else b"\x02") + x
    if isinstance(y, bytes) and len(y) == len(x):
        return b"\x04" + x + y
    raise UsageError("the y of a COSE_Key is missing, or of another length than its x")


def _read_rsa(item: Map) -> PublicKey | PrivateKey:
    modulus, exponent, private = _RSA_LABELS[:3]
    if private not in item:
        return PublicKey.from_rsa(*(int.from_bytes(_string(item, label)) for label in (modulus, exponent)))
    return PrivateKey.from_rsa(RsaNumbers(*(int.from_bytes(_string(item, label)) for label in _RSA_LABELS)))


def _string(item: Map, label: int) -> bytes:
    value = item.get(label)
    if not isinstance(value, bytes):
        raise UsageError(f"parameter {label} of a COSE_Key is not a byte string")
    return value


def _written(key: PublicKey | PrivateKey | SecretKey, *, private: bool) -> dict[int, object]:
    if isinstance(key, SecretKey):
        if not private:
            raise UsageError("a secret key has no public part")
        return {KeyLabel.KTY: int(Kty.SYMMETRIC), _K: key.secret}
    public = key if isinstance(key, PublicKey) else key.public_key
    secret = key if private and isinstance(key, PrivateKey) else None
    if public.type is KeyType.RSA:
        return _written_rsa(public, secret)
    raw, size = public.raw, SEED_BYTES[public.type]
    found: dict[int, object] = {KeyLabel.KTY: int(Kty.OKP), _CRV: _NUMBER_OF[public.type], _X: raw}
    if public.type in CURVES:
        found |= {KeyLabel.KTY: int(Kty.EC2), _X: raw[1 : 1 + size], _Y: raw[1 + size :]}
    return found if secret is None else found | {_D: secret.seed}


def _written_rsa(public: PublicKey, secret: PrivateKey | None) -> dict[int, object]:
    numbers = public.rsa_numbers if secret is None else attrs.astuple(secret.rsa_numbers)
    strings = [number.to_bytes((number.bit_length() + 7) // 8) for number in numbers]
    return {KeyLabel.KTY: int(Kty.RSA), **dict(zip(_RSA_LABELS, strings, strict=False))}
