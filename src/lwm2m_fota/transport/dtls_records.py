"""DTLS records as they stand in datagrams (RFC 6347 section 4.1): where one ends, and what may begin a handshake.

Nothing here is trusted, and nothing is decrypted: it is what is looked at before a datagram costs anything.
"""

from collections.abc import Iterable, Iterator
from typing import Final

HEADER_BYTES: Final = 13
MAX_FRAGMENT_BYTES: Final = (1 << 14) + 2048  # RFC 5246 section 6.2.3

CHANGE_CIPHER_SPEC: Final = 20
ALERT: Final = 21
HANDSHAKE: Final = 22
APPLICATION_DATA: Final = 23

_KNOWN: Final = frozenset({CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA})
_MAJOR: Final = 0xFE
_CLIENT_HELLO: Final = 1
_HANDSHAKE_HEADER_BYTES: Final = 12
_CLIENT_HELLO_BYTES: Final = _HANDSHAKE_HEADER_BYTES + 2 + 32  # version and random follow


def cut(data: bytes) -> list[bytes]:
    """The whole records that a datagram begins with; what follows the first bad one is dropped (section 4.1.2.7)."""
    size = len(data)
    if size >= HEADER_BYTES and _is_record(data, 0) and HEADER_BYTES + (data[11] << 8 | data[12]) == size:
        return [data]  # most datagrams have one record
    found: list[bytes] = []
    start = 0
    while size - start >= HEADER_BYTES and _is_record(data, start):
        end = start + HEADER_BYTES + (data[start + 11] << 8 | data[start + 12])
        if end > size:
            break
        found.append(data[start:end])
        start = end
    return found


def _is_record(data: bytes, at: int) -> bool:
    length = data[at + 11] << 8 | data[at + 12]
    return data[at] in _KNOWN and data[at + 1] == _MAJOR and length <= MAX_FRAGMENT_BYTES


def is_data(data: bytes) -> bool:
    """A datagram that is one whole record of data, as it seems."""
    size = len(data)
    return (
        size >= HEADER_BYTES
        and data[0] == APPLICATION_DATA
        and HEADER_BYTES + (data[11] << 8 | data[12]) == size
        and _is_record(data, 0)
    )


def epoch_of(record: bytes) -> int:
    """0 before the keys are in use, 1 with them."""
    return record[3] << 8 | record[4]


def is_client_hello(record: bytes) -> bool:
    """A record in the clear that begins a ClientHello, whole or the first fragment of one."""
    return (
        record[0] == HANDSHAKE
        and epoch_of(record) == 0
        and len(record) >= HEADER_BYTES + _CLIENT_HELLO_BYTES
        and record[HEADER_BYTES] == _CLIENT_HELLO
        and record[HEADER_BYTES + 6 : HEADER_BYTES + 9] == b"\0\0\0"
    )


def pack(records: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    """Datagrams of whole records, as many as fit each; a record that is larger than that goes alone."""
    batch = b""
    for record in records:
        if batch and len(batch) + len(record) > max_bytes:
            yield batch
            batch = b""
        batch += record
    if batch:
        yield batch
