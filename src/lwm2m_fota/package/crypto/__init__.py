"""Keys, signatures, ciphers: the only import of cryptography is in this package.

No exception of cryptography leaves it. Keys, nonces and ephemeral keys are made from bytes that the caller brings, and
ECDSA signatures are deterministic (RFC 6979). Two things cannot be had from OpenSSL without chance of its own, and are
for those who make packages, never for those who verify them: the salt of a signature with RSA-PSS, and the seed of
RSA-OAEP.
"""

from lwm2m_fota.package.crypto.algorithms import ALGORITHMS as ALGORITHMS
from lwm2m_fota.package.crypto.algorithms import Algorithm as Algorithm
from lwm2m_fota.package.crypto.algorithms import Hash as Hash
from lwm2m_fota.package.crypto.algorithms import KeyType as KeyType
from lwm2m_fota.package.crypto.keys import PrivateKey as PrivateKey
from lwm2m_fota.package.crypto.keys import PublicKey as PublicKey
from lwm2m_fota.package.crypto.secret import SecretKey as SecretKey
