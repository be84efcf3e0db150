"""A signature or a code on its way to be checked: it takes the payload piece by piece, and the value at the end."""

from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias, final

from lwm2m_fota.package.cose.names import MacWay, SignatureWay
from lwm2m_fota.package.crypto import KeyType, PublicKey, SecretKey
from lwm2m_fota.package.crypto.keys import ecdsa_der
from lwm2m_fota.package.crypto.secret import same
from lwm2m_fota.package.keyring import Fault, Signer
from lwm2m_fota.package.verdicts import Refusal

Data: TypeAlias = bytes | bytearray | memoryview

_RSA: Final = KeyType.RSA  # reading a member of an enumeration costs as much as a call

PublicWays: TypeAlias = Sequence[tuple[Signer, PublicKey]]
"""Keys to be tried, each with what is told if it fits."""

SecretWays: TypeAlias = Sequence[tuple[Signer, SecretKey]]
"""Secrets to be tried: the key of the signer itself, or one that was wrapped with it."""


class Proof(Protocol):
    """A signature or a code that is being checked."""

    def update(self, data: Data) -> None:
        """Take the next bytes of the payload."""
        ...

    def holds(self, value: bytes) -> Signer | None:
        """Whose signature or code this is; None if of none of the keys."""
        ...

    @property
    def faults(self) -> Sequence[Fault]:
        """Why it does not hold, if it does not."""
        ...


@final
class NoProof:
    """Nothing to be tried."""

    __slots__ = ("faults",)

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = faults

    def update(self, data: Data) -> None:
        """Nothing depends on the payload."""

    def holds(self, value: bytes) -> None:
        """Nothing holds."""


@final
class HashedSignature:
    """ECDSA and RSA-PSS: over a hash, so that nothing is held."""

    __slots__ = ("_context", "_faults", "_keys", "update")

    def __init__(self, keys: PublicWays, faults: Sequence[Fault], prefix: bytes, way: SignatureWay) -> None:
        self._keys = keys
        self._context = way.kind.new(prefix)
        self.update = self._context.update
        self._faults = faults

    @property
    def faults(self) -> Sequence[Fault]:
        """What is wrong with other keys, and that the signature does not hold with these."""
        return (*self._faults, _does_not_hold(self._keys))

    def holds(self, value: bytes) -> Signer | None:
        """The first key whose signature this is."""
        digest = self._context.digest()
        for signer, key in self._keys:
            signature = value if key.type is _RSA else ecdsa_der(value, key.type)
            if signature is not None and key.verify_digest(signature, digest):
                return signer
        return None


@final
class HeldSignature:
    """EdDSA: over the message, which is held whole."""

    __slots__ = ("_at", "_faults", "_held", "_keys")

    def __init__(self, keys: PublicWays, faults: Sequence[Fault], prefix: bytes, payload_bytes: int) -> None:
        self._keys = keys
        self._held = bytearray(len(prefix) + payload_bytes)
        self._held[: len(prefix)] = prefix
        self._at = len(prefix)
        self._faults = faults

    @property
    def faults(self) -> Sequence[Fault]:
        """What is wrong with other keys, and that the signature does not hold with these."""
        return (*self._faults, _does_not_hold(self._keys))

    def update(self, data: Data) -> None:
        """Hold the next bytes."""
        end = self._at + len(data)
        self._held[self._at : end] = data
        self._at = end

    def holds(self, value: bytes) -> Signer | None:
        """The first key whose signature this is."""
        return next((signer for signer, key in self._keys if key.verify(value, self._held)), None)


@final
class Code:
    """HMAC, with each of the secrets that may be meant."""

    __slots__ = ("_faults", "_keys", "_tag_bytes", "_ways")

    def __init__(self, keys: SecretWays, faults: Sequence[Fault], prefix: bytes, way: MacWay) -> None:
        self._ways = [(signer, key.mac(way.kind, prefix)) for signer, key in keys]
        self._tag_bytes = way.tag_bytes
        self._keys = keys
        self._faults = faults

    @property
    def faults(self) -> Sequence[Fault]:
        """What is wrong with other keys, and that the code does not hold with these."""
        return (*self._faults, _does_not_hold(self._keys))

    def update(self, data: Data) -> None:
        """Take the next bytes."""
        for _, context in self._ways:
            context.update(data)

    def holds(self, value: bytes) -> Signer | None:
        """The first key whose code this is."""
        fitting = [signer for signer, context in self._ways if same(context.digest()[: self._tag_bytes], value)]
        return fitting[0] if fitting else None


def _does_not_hold(keys: PublicWays | SecretWays) -> Fault:
    labels = ", ".join(signer.key.label for signer, _ in keys)
    return Fault(Refusal.BAD_SIGNATURE, f"it holds with none of the trusted keys ({labels})")
