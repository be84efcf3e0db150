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

    @property
    def candidates(self) -> Sequence[Signer]:
        """Whose it may be; of none, nothing can come of it any more."""
        ...


@final
class NoProof:
    """Nothing to be tried."""

    __slots__ = ("candidates", "faults")

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.candidates: Sequence[Signer] = ()
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

    @property
    def candidates(self) -> Sequence[Signer]:
        """The keys that are tried."""
        return [signer for signer, _ in self._keys]

    def holds(self, value: bytes) -> Signer | None:
        """The first key whose signature this is."""
        digest = self._context.digest()
        for signer, key in self._keys:
            signature = value if key.type is _RSA else ecdsa_der(value, key.type)
            if signature is not None and key.verify_digest(signature, digest):
                return signer
        return None


@final
class HeldPayload:
    """A payload that is held whole, once for all signatures over it: in front is room for what each of them precedes.

    Args:
        payload_bytes: its length.
        room_bytes: the room; `reserve` makes more of it.
    """

    __slots__ = ("_at", "_held", "_room")

    def __init__(self, payload_bytes: int, room_bytes: int) -> None:
        self._room = self._at = room_bytes
        self._held = bytearray(room_bytes + payload_bytes)

    def __len__(self) -> int:
        """The length of the payload."""
        return len(self._held) - self._room

    def reserve(self, room_bytes: int) -> None:
        """Make room for something that precedes the payload; no view of it may be in use."""
        missing = room_bytes - self._room
        if missing > 0:
            self._held[:0] = bytes(missing)
            self._room += missing
            self._at += missing

    def update(self, data: Data) -> None:
        """Hold the next bytes."""
        end = self._at + len(data)
        self._held[self._at : end] = data
        self._at = end

    @property
    def payload(self) -> memoryview:
        """The payload."""
        return memoryview(self._held)[self._room :]

    def behind(self, prefix: bytes) -> memoryview:
        """The payload with something in front, for which there is room; until the next call."""
        begin = self._room - len(prefix)
        self._held[begin : self._room] = prefix
        return memoryview(self._held)[begin:]


@final
class HeldSignature:
    """EdDSA: over the message, which has to be there whole."""

    __slots__ = ("_faults", "_held", "_keys", "_prefix")

    def __init__(self, keys: PublicWays, faults: Sequence[Fault], prefix: bytes, held: HeldPayload) -> None:
        self._keys = keys
        self._prefix = prefix
        self._held = held
        self._faults = faults
        held.reserve(len(prefix))

    @property
    def faults(self) -> Sequence[Fault]:
        """What is wrong with other keys, and that the signature does not hold with these."""
        return (*self._faults, _does_not_hold(self._keys))

    @property
    def candidates(self) -> Sequence[Signer]:
        """The keys that are tried."""
        return [signer for signer, _ in self._keys]

    def update(self, data: Data) -> None:
        """The payload is held elsewhere."""

    def holds(self, value: bytes) -> Signer | None:
        """The first key whose signature this is."""
        message = self._held.behind(self._prefix)
        return next((signer for signer, key in self._keys if key.verify(value, message)), None)


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

    @property
    def candidates(self) -> Sequence[Signer]:
        """Whose secrets are tried."""
        return [signer for signer, _ in self._keys]

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
