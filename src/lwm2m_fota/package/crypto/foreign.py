"""What cryptography raises, in one place."""

from typing import Final

from cryptography import exceptions

FOREIGN: Final = (
    exceptions.AlreadyFinalized,
    exceptions.AlreadyUpdated,
    exceptions.InternalError,
    exceptions.InvalidKey,
    exceptions.InvalidSignature,
    exceptions.InvalidTag,
    exceptions.NotYetFinalized,
    exceptions.UnsupportedAlgorithm,
    OverflowError,
    TypeError,
    ValueError,
)
"""All that cryptography raises for bytes, keys or algorithms that it does not take; `InvalidUnwrap` of its key wrapping
is none of its exceptions' family, and is caught where keys are unwrapped."""
