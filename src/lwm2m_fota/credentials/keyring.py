"""Which credential serves which origin: a device's keys, those of its management first of all.

A Package URI names an origin, and Object 5 names no credential for it. So what the device is managed with serves the
download too, as far as it fits: first the credential of the same scheme, host and port, then one of the same host.
"""

from collections.abc import Collection, Iterable
from typing import Final, final

import attrs

from lwm2m_fota.credentials.values import Credential, CredentialKind
from lwm2m_fota.errors import MissingCredentialError

_WORDS: Final = {CredentialKind.PSK: "a pre-shared key", CredentialKind.CERTIFICATE: "a certificate"}
SECURE_SCHEMES: Final = frozenset({"coaps", "coaps+tcp", "https"})
"""The schemes that need a credential; whatever else is fetched goes unprotected."""


@final
@attrs.frozen
class Origin:
    """Where something is: `scheme://host:port`.

    Attributes:
        scheme: in lower case.
        host: a name or an address, in lower case and without brackets.
        port: the port.
    """

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@final
@attrs.frozen
class Held:
    """A credential and what it is for: an origin, or with None any origin at all."""

    origin: Origin | None
    credential: Credential


@final
class Keyring:
    """The credentials of one end towards others.

    Args:
        held: in the order to be tried; where two fit equally well, the first is taken. Those given for a download go
            before those of the management.
    """

    __slots__ = ("_held",)

    def __init__(self, held: Iterable[Held] = ()) -> None:
        self._held = tuple(held)

    def __repr__(self) -> str:
        return f"Keyring({[str(each.origin or 'any origin') for each in self._held]})"

    def find(self, origin: Origin, kinds: Collection[CredentialKind]) -> Credential:
        """The credential for an origin: of the origin itself, of its host, or of any origin.

        Args:
            origin: where to.
            kinds: what the protocol of that origin can use here.

        Raises:
            MissingCredentialError: there is none; the message says what is needed and what is there (Result 9).
        """
        for fits in (_same_origin, _same_host, _any_origin):
            for each in self._held:
                if each.credential.kind in kinds and fits(each.origin, origin):
                    return each.credential
        raise MissingCredentialError(self._missing(origin, kinds))

    def serves(self, kinds: Collection[CredentialKind]) -> bool:
        """Whether any origin at all could be reached with these kinds."""
        return any(each.credential.kind in kinds for each in self._held)

    def _missing(self, origin: Origin, kinds: Collection[CredentialKind]) -> str:
        needed = " or ".join(_WORDS[kind] for kind in CredentialKind if kind in kinds)
        there = [f"{_WORDS[each.credential.kind]} for {each.origin}" for each in self._held if each.origin is not None]
        return f"no credential for {origin}: it needs {needed or 'what this build lacks'}; there is " + (
            ", ".join(there) or "none"
        )


def _same_origin(held: Origin | None, origin: Origin) -> bool:
    return held == origin


def _same_host(held: Origin | None, origin: Origin) -> bool:
    return held is not None and held.host == origin.host


def _any_origin(held: Origin | None, _origin: Origin) -> bool:
    return held is None
