"""Tries trusted keys on COSE messages, in one pass over a payload of any size (RFC 9052 sections 4.4 and 6.3).

What does not hold is not raised but told, as an `Authentication`: which of several signatures are enough is for the
policy to say.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias, final

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.cose import structure
from lwm2m_fota.package.cose.message import (
    Authenticated,
    CoseMac0,
    CoseRecipient,
    CoseSign,
    CoseSign1,
    Headers,
)
from lwm2m_fota.package.cose.names import KEY_WRAPS, MACS, SIGNATURES, Alg, Label, MacWay, SignatureWay, alg_name
from lwm2m_fota.package.cose.proofs import Code, HashedSignature, HeldPayload, HeldSignature, NoProof, Proof
from lwm2m_fota.package.cose.rules import CoseRules
from lwm2m_fota.package.crypto import PublicKey, SecretKey
from lwm2m_fota.package.crypto.secret import MAX_SECRET_BYTES
from lwm2m_fota.package.crypto.wrapping import unwrap_key
from lwm2m_fota.package.keyring import Authentication, Fault, KeyRing, Signer, TrustedKey, show_id
from lwm2m_fota.package.limits import DEFAULT_MAX_HELD_BYTES
from lwm2m_fota.package.verdicts import Refusal, refusal_error

Data: TypeAlias = bytes | bytearray | memoryview

_ALG: Final = int(Label.ALG)
_STRICT: Final = CoseRules.STRICT  # reading a member of an enumeration costs as much as a call
_Public: TypeAlias = list[tuple[Signer, PublicKey]]
_Secret: TypeAlias = list[tuple[Signer, SecretKey]]


def authenticate(
    message: Authenticated,
    ring: KeyRing,
    *,
    payload: Data | HeldPayload | None = None,
    external_aad: bytes = b"",
    rules: CoseRules = CoseRules.STRICT,
) -> Authentication:
    """Try the keys of a ring on a message that fits memory.

    Args:
        message: the message.
        ring: the keys, at a time and under a policy.
        payload: the content, if it is detached from the message; one that is held needs no further copy.
        external_aad: what was signed beside it.
        rules: how much is asked.

    Raises:
        IntegrityError: the payload is detached and was not given, or the other way round.
    """
    content: Data | HeldPayload | None = message.payload if payload is None else payload
    if content is None or (payload is not None and message.payload is not None):
        where = "detached from the message and was not given" if content is None else "in the message and beside it"
        raise refusal_error(Refusal.MALFORMED, f"the payload is {where}")
    size = len(content)
    frame = _Frame(ring, external_aad, size, rules, size)
    if isinstance(content, HeldPayload):
        frame.held = content
        proofs = _proofs(message, frame)
        content = content.payload
    else:
        proofs = _proofs(message, frame)
        if frame.held is not None:
            frame.held.update(content)
    for proof, _ in proofs:
        proof.update(content)
    return _outcome(proofs)


@final
class PayloadCheck:
    """Takes a payload of known length in pieces, and tells at its end who has authenticated it.

    Args:
        message: the message; what it says of its payload does not count here.
        ring: the keys, at a time and under a policy.
        payload_bytes: the length of the payload.
        external_aad: what was signed beside it.
        rules: how much is asked.
        max_held_bytes: the longest payload that is held for EdDSA; a longer one leaves a fault.
    """

    __slots__ = ("_held", "_left", "_proofs")

    def __init__(
        self,
        message: Authenticated,
        ring: KeyRing,
        *,
        payload_bytes: int,
        external_aad: bytes = b"",
        rules: CoseRules = CoseRules.STRICT,
        max_held_bytes: int = DEFAULT_MAX_HELD_BYTES,
    ) -> None:
        self._left = payload_bytes
        frame = _Frame(ring, external_aad, payload_bytes, rules, max_held_bytes)
        self._proofs = _proofs(message, frame)
        self._held = frame.held

    @property
    def at_best(self) -> Authentication:
        """What would come of it if everything held that may hold: what is not enough now will never be."""
        signers = tuple(signer for proof, _ in self._proofs for signer in proof.candidates)
        hopeless = (proof.faults for proof, _ in self._proofs if not proof.candidates)
        return Authentication(signers, tuple(fault for faults in hopeless for fault in faults))

    def update(self, data: Data) -> None:
        """Take the next bytes of the payload.

        Raises:
            UsageError: they are more than was said.
        """
        self._left -= len(data)
        if self._left < 0:
            raise UsageError("the payload is longer than was said")
        if self._held is not None:
            self._held.update(data)
        for proof, _ in self._proofs:
            proof.update(data)

    def finish(self, value: bytes | None = None) -> Authentication:
        """The payload is complete.

        Args:
            value: the signature or code of a message with one, where it came after the payload.

        Raises:
            UsageError: the payload is shorter than was said.
        """
        if self._left:
            raise UsageError("the payload is shorter than was said")
        if value is None:
            return _outcome(self._proofs)
        ((proof, _),) = self._proofs
        return _outcome([(proof, value)])


_Proofs: TypeAlias = list[tuple[Proof, bytes]]


def _outcome(proofs: _Proofs) -> Authentication:
    signers: list[Signer] = []
    faults: list[Fault] = []
    for proof, value in proofs:
        signer = proof.holds(value)
        if signer is None:
            faults += proof.faults
        else:
            signers.append(signer)
    return Authentication(tuple(signers), tuple(faults))


def _proofs(message: Authenticated, frame: "_Frame") -> _Proofs:
    """Each signature or code of a message, with its value."""
    headers = message.headers
    body, aad, size = headers.protected_bytes, frame.external_aad, frame.payload_bytes
    match message:
        case CoseSign1():
            return [(frame.signature(headers, structure.sign1_prefix(body, aad, size)), message.signature)]
        case CoseSign():
            return [(frame.one_of_several(body, each.headers), each.signature) for each in message.signatures]
        case CoseMac0():
            return [(frame.code(headers, structure.mac0_prefix(body, aad, size), None), message.tag)]
        case _:
            prefix = structure.mac_prefix(body, aad, size)
            return [(frame.code(headers, prefix, message.recipients), message.tag)]


@final
class _Frame:
    """What all signatures and codes of one message have in common; `held` is the payload, if one of them needs that."""

    __slots__ = ("external_aad", "held", "is_strict", "max_held_bytes", "payload_bytes", "ring")

    def __init__(
        self, ring: KeyRing, external_aad: bytes, payload_bytes: int, rules: CoseRules, max_held_bytes: int
    ) -> None:
        self.ring = ring
        self.external_aad = external_aad
        self.payload_bytes = payload_bytes
        self.is_strict = rules is _STRICT
        self.max_held_bytes = max_held_bytes
        self.held: HeldPayload | None = None

    def one_of_several(self, body: bytes, headers: Headers) -> Proof:
        """Begin to check a signature of a COSE_Sign."""
        prefix = structure.sign_prefix(body, headers.protected_bytes, self.external_aad, self.payload_bytes)
        return self.signature(headers, prefix)

    def signature(self, headers: Headers, prefix: bytes) -> Proof:
        """Begin to check a signature."""
        number = self._algorithm(headers)
        if isinstance(number, Fault):
            return NoProof([number])
        way = SIGNATURES.get(number)
        if way is None:
            return NoProof([Fault(Refusal.UNSUPPORTED_ALGORITHM, f"signatures with {alg_name(number)}")])
        keys, faults = self._public(headers.key_id, way, number)
        if not keys:
            return NoProof(faults)
        if not way.is_pure:
            return HashedSignature(keys, faults, prefix, way)
        if self.payload_bytes <= self.max_held_bytes:
            if self.held is None:
                self.held = HeldPayload(self.payload_bytes, len(prefix))
            return HeldSignature(keys, faults, prefix, self.held)
        detail = f"EdDSA over {self.payload_bytes} bytes, at most {self.max_held_bytes} are held (max_held_bytes)"
        return NoProof([*faults, Fault(Refusal.VERIFIER_MEMORY, detail)])

    def code(self, headers: Headers, prefix: bytes, recipients: Sequence[CoseRecipient] | None) -> Proof:
        """Begin to check a code."""
        number = self._algorithm(headers)
        if isinstance(number, Fault):
            return NoProof([number])
        way = MACS.get(number)
        if way is None or (way.algorithm is None and self.is_strict):
            return NoProof([Fault(Refusal.UNSUPPORTED_ALGORITHM, f"codes with {alg_name(number)}")])
        keys, faults = self._secret(headers.key_id, way) if recipients is None else self._led_to(recipients, way)
        return Code(keys, faults, prefix, way) if keys else NoProof(faults)

    def _algorithm(self, headers: Headers) -> int | Fault:
        number = headers.protected.get(_ALG) if self.is_strict else headers.get(_ALG)
        if type(number) is int:
            return number
        if number is None:
            return Fault(
                Refusal.MALFORMED, f"no algorithm in the {'protected header' if self.is_strict else 'headers'}"
            )
        return Fault(Refusal.UNSUPPORTED_ALGORITHM, f"algorithm {number!r}")

    def _public(self, key_id: bytes | None, way: SignatureWay, number: int) -> tuple[_Public, list[Fault]]:
        """The keys that may have made a signature, and what is wrong with others."""
        usable: _Public = []
        faults: list[Fault] = []
        for trusted in self.ring.candidates(key_id):
            fitting = self._fitting(trusted, way)
            if fitting is None:
                if trusted.name == key_id:
                    detail = f"{alg_name(number)} with the {trusted.key.type.value} key {trusted.label}"
                    faults.append(Fault(Refusal.UNSUPPORTED_ALGORITHM, detail))
                continue
            objection = self.ring.objection(trusted, fitting[0].algorithm)
            if objection is None:
                usable.append(fitting)
            else:
                faults.append(objection)
        return usable, faults if usable or faults else [_nobody(key_id)]

    def _fitting(self, trusted: TrustedKey, way: SignatureWay) -> tuple[Signer, PublicKey] | None:
        """A key and what is told if it fits; None if it is not for the algorithm."""
        key = trusted.key
        if isinstance(key, SecretKey):
            return None
        for bound, algorithm in way.bound:
            if bound is key.type:
                return Signer(trusted, algorithm), key
        return None if self.is_strict or key.type not in way.loose else (Signer(trusted, None), key)

    def _secret(self, key_id: bytes | None, way: MacWay) -> tuple[_Secret, list[Fault]]:
        """The secrets that may have made a code, and what is wrong with others."""
        usable: _Secret = []
        faults: list[Fault] = []
        for trusted in self.ring.candidates(key_id):
            if isinstance(trusted.key, SecretKey):
                objection = self.ring.objection(trusted, way.algorithm)
                if objection is None:
                    usable.append((Signer(trusted, way.algorithm), trusted.key))
                else:
                    faults.append(objection)
        return usable, faults if usable or faults else [_nobody(key_id)]

    def _led_to(self, recipients: Sequence[CoseRecipient], way: MacWay) -> tuple[_Secret, list[Fault]]:
        """The secrets that recipients lead to, where the sender must have known one that is trusted.

        An agreement with an ephemeral key does not count: anybody can make one.
        """
        usable: _Secret = []
        faults: list[Fault] = []
        for recipient in recipients:
            number = recipient.headers.get(_ALG)
            if recipient.headers.protected_bytes:
                faults.append(Fault(Refusal.MALFORMED, "a recipient with a protected header that nothing protects"))
                continue
            keys, wrong = self._secret(recipient.headers.key_id, way)
            if number == Alg.DIRECT and len(recipients) == 1 and not recipient.ciphertext:
                usable += keys
            elif type(number) is int and number in KEY_WRAPS:
                keys, wrong = _unwrapped(keys, recipient, KEY_WRAPS[number], wrong)
                usable += keys
            else:
                wrong = [Fault(Refusal.UNSUPPORTED_ALGORITHM, f"a code with a key by {alg_name(number)}")]
            faults += wrong
        return usable, faults


def _unwrapped(
    keys: _Secret, recipient: CoseRecipient, wrapping_bytes: int, faults: list[Fault]
) -> tuple[_Secret, list[Fault]]:
    opened: _Secret = []
    for signer, key in keys:
        if len(key.secret) == wrapping_bytes:
            secret = unwrap_key(key.secret, recipient.ciphertext)
            if secret is not None and len(secret) <= MAX_SECRET_BYTES:
                opened.append((signer, SecretKey(secret)))
    if keys and not opened:
        faults = [*faults, Fault(Refusal.BAD_SIGNATURE, "the key of the code was not wrapped with a trusted one")]
    return opened, faults


def _nobody(key_id: bytes | None) -> Fault:
    named = "no trusted key is of its kind" if key_id is None else f"no trusted key is {show_id(key_id)}"
    return Fault(Refusal.UNTRUSTED_KEY, named)
