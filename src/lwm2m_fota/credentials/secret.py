"""Bytes that must not be seen."""

import hmac
from typing import NoReturn, final


@final
class Secret:
    """Key material. It shows itself nowhere: not in text, not in logs, not in pickles.

    `reveal` is the one way out; whoever calls it hands the bytes to a library that needs them, and keeps no copy.
    """

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = bytes(data)

    def reveal(self) -> bytes:
        """The bytes themselves."""
        return self._data

    def __len__(self) -> int:
        return len(self._data)

    def __bool__(self) -> bool:
        return bool(self._data)

    def __eq__(self, other: object) -> bool:
        """Equal bytes; how long the comparison takes does not tell where they differ."""
        return isinstance(other, Secret) and hmac.compare_digest(self._data, other._data)

    def __hash__(self) -> int:
        return hash((Secret, self._data))

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled or copied")
