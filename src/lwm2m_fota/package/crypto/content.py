"""Ciphers for content of any length: AES-GCM, ChaCha20/Poly1305 and AES-CTR, piece by piece in both directions.

A cipher that authenticates puts its tag behind the ciphertext, as COSE does. Nothing that was decrypted is to be
believed before `finish` has come back.
"""

from enum import Enum
from typing import Final, Protocol, TypeAlias, final

import attrs
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

from lwm2m_fota.errors import UsageError
from lwm2m_fota.package.crypto.foreign import FOREIGN
from lwm2m_fota.package.crypto.secret import same

TAG_BYTES: Final = 16
GCM_NONCE_BYTES: Final = 12
CTR_NONCE_BYTES: Final = 16

_CHACHA_KEY_BYTES: Final = 32  # of Poly1305: the first half of a block of the key stream
_STREAM_BLOCK_BYTES: Final = 64
_BLOCK_BYTES: Final = 16

Data: TypeAlias = bytes | bytearray | memoryview


@final
class ContentAlgorithm(Enum):
    """What content is encrypted with."""

    A128GCM = "AES-128-GCM"
    A192GCM = "AES-192-GCM"
    A256GCM = "AES-256-GCM"
    CHACHA20_POLY1305 = "ChaCha20/Poly1305"
    A128CTR = "AES-128-CTR"
    A192CTR = "AES-192-CTR"
    A256CTR = "AES-256-CTR"

    @property
    def key_bytes(self) -> int:
        """The length of its key."""
        return _KEY_BYTES[self]

    @property
    def nonce_bytes(self) -> int:
        """The length of its nonce: 12, with AES-CTR 16."""
        return GCM_NONCE_BYTES if self.is_authenticated else CTR_NONCE_BYTES

    @property
    def is_authenticated(self) -> bool:
        """Whether a change of the ciphertext is noticed; AES-CTR does not notice it."""
        return self not in _COUNTER

    @property
    def tag_bytes(self) -> int:
        """How much longer the ciphertext is than the content."""
        return TAG_BYTES if self.is_authenticated else 0


_COUNTER: Final = frozenset({ContentAlgorithm.A128CTR, ContentAlgorithm.A192CTR, ContentAlgorithm.A256CTR})
_KEY_BYTES: Final = {
    ContentAlgorithm.A128GCM: 16,
    ContentAlgorithm.A192GCM: 24,
    ContentAlgorithm.A256GCM: 32,
    ContentAlgorithm.CHACHA20_POLY1305: 32,
    ContentAlgorithm.A128CTR: 16,
    ContentAlgorithm.A192CTR: 24,
    ContentAlgorithm.A256CTR: 32,
}


class Transform(Protocol):
    """Content on its way through a cipher."""

    def update(self, data: Data) -> bytes:
        """Take the next bytes; what of the other side is ready."""
        ...

    def finish(self) -> bytes | None:
        """No more comes: the rest, and the tag where content is encrypted; None if the tag does not hold."""
        ...


@final
@attrs.frozen(kw_only=True)
class ContentCipher:
    """Everything that is needed to encrypt or decrypt one content.

    Attributes:
        algorithm: the cipher.
        key: as long as the algorithm says.
        nonce: as long as the algorithm says; never twice with one key.
        additional: what is authenticated beside the content.

    Raises:
        UsageError: a key or a nonce of another length, or something to authenticate with AES-CTR.
    """

    algorithm: ContentAlgorithm
    key: bytes = attrs.field(repr=False)
    nonce: bytes
    additional: bytes = attrs.field(default=b"", repr=False)

    def __attrs_post_init__(self) -> None:
        if len(self.key) != self.algorithm.key_bytes:
            raise UsageError(f"a key of {self.algorithm.value} has {self.algorithm.key_bytes} bytes")
        if len(self.nonce) != self.algorithm.nonce_bytes:
            raise UsageError(f"a nonce of {self.algorithm.value} has {self.algorithm.nonce_bytes} bytes")
        if self.additional and not self.algorithm.is_authenticated:
            raise UsageError(f"{self.algorithm.value} authenticates nothing")

    def decryptor(self) -> Transform:
        """Begin to decrypt."""
        match self.algorithm:
            case ContentAlgorithm.CHACHA20_POLY1305:
                return _Decryptor(_ChaCha(self, encrypts=False))
            case algorithm if algorithm in _COUNTER:
                return _Counter(Cipher(algorithms.AES(self.key), modes.CTR(self.nonce)).decryptor())
            case _:
                return _Decryptor(_GcmOpen(self))

    def encryptor(self) -> Transform:
        """Begin to encrypt."""
        match self.algorithm:
            case ContentAlgorithm.CHACHA20_POLY1305:
                return _Encryptor(_ChaCha(self, encrypts=True))
            case algorithm if algorithm in _COUNTER:
                return _Counter(Cipher(algorithms.AES(self.key), modes.CTR(self.nonce)).encryptor())
            case _:
                return _Encryptor(_GcmSeal(self))

    def decrypt(self, ciphertext: Data) -> bytes | None:
        """Decrypt content that fits memory; None if its tag does not hold."""
        transform = self.decryptor()
        content = transform.update(ciphertext)
        rest = transform.finish()
        return None if rest is None else content + rest

    def encrypt(self, content: bytes) -> bytes:
        """Encrypt content that fits memory."""
        transform = self.encryptor()
        return transform.update(content) + (transform.finish() or b"")


class _Open(Protocol):
    """Decrypts, and says whether a tag holds."""

    def update(self, data: Data) -> bytes: ...

    def holds(self, tag: bytes) -> bool: ...


class _Seal(Protocol):
    """Encrypts, and says what the tag is."""

    def update(self, data: Data) -> bytes: ...

    def tag(self) -> bytes: ...


@final
class _Decryptor:
    """Holds the last bytes back: they may be the tag."""

    __slots__ = ("_open", "_tail")

    def __init__(self, opening: _Open) -> None:
        self._open = opening
        self._tail = b""

    def update(self, data: Data) -> bytes:
        joined = self._tail + data
        self._tail = joined[-TAG_BYTES:]
        return self._open.update(joined[:-TAG_BYTES])

    def finish(self) -> bytes | None:
        return b"" if self._open.holds(self._tail) else None


@final
class _Encryptor:
    __slots__ = ("_seal",)

    def __init__(self, seal: _Seal) -> None:
        self._seal = seal

    def update(self, data: Data) -> bytes:
        return self._seal.update(data)

    def finish(self) -> bytes:
        return self._seal.tag()


@final
class _Counter:
    __slots__ = ("_context",)

    def __init__(self, context: CipherContext) -> None:
        self._context = context

    def update(self, data: Data) -> bytes:
        return self._context.update(data)

    def finish(self) -> bytes:
        return self._context.finalize()


@final
class _GcmOpen:
    __slots__ = ("_context",)

    def __init__(self, cipher: ContentCipher) -> None:
        self._context = Cipher(algorithms.AES(cipher.key), modes.GCM(cipher.nonce)).decryptor()
        self._context.authenticate_additional_data(cipher.additional)

    def update(self, data: Data) -> bytes:
        return self._context.update(data)

    def holds(self, tag: bytes) -> bool:
        try:
            self._context.finalize_with_tag(tag)
        except FOREIGN:
            return False
        return True


@final
class _GcmSeal:
    __slots__ = ("_context",)

    def __init__(self, cipher: ContentCipher) -> None:
        self._context = Cipher(algorithms.AES(cipher.key), modes.GCM(cipher.nonce)).encryptor()
        self._context.authenticate_additional_data(cipher.additional)

    def update(self, data: Data) -> bytes:
        return self._context.update(data)

    def tag(self) -> bytes:
        self._context.finalize()
        return self._context.tag


@final
class _ChaCha:
    """The construction of RFC 8439 section 2.8, from its parts: cryptography has it for whole messages only."""

    __slots__ = ("_additional_bytes", "_bytes", "_context", "_encrypts", "_poly")

    def __init__(self, cipher: ContentCipher, *, encrypts: bool) -> None:
        counter = bytes(4)  # the first block of the key stream is the key of the tag; the content begins at the second
        self._context = Cipher(algorithms.ChaCha20(cipher.key, counter + cipher.nonce), None).encryptor()
        self._poly = Poly1305(self._context.update(bytes(_STREAM_BLOCK_BYTES))[:_CHACHA_KEY_BYTES])
        self._poly.update(cipher.additional + _padding(len(cipher.additional)))
        self._additional_bytes = len(cipher.additional)
        self._bytes = 0
        self._encrypts = encrypts

    def update(self, data: Data) -> bytes:
        changed = self._context.update(data)
        self._poly.update(changed if self._encrypts else data)
        self._bytes += len(data)
        return changed

    def tag(self) -> bytes:
        lengths = self._additional_bytes.to_bytes(8, "little") + self._bytes.to_bytes(8, "little")
        self._poly.update(_padding(self._bytes) + lengths)
        return self._poly.finalize()

    def holds(self, tag: bytes) -> bool:
        return same(self.tag(), tag)


def _padding(size_bytes: int) -> bytes:
    return bytes(-size_bytes % _BLOCK_BYTES)
