"""What a server knows of its devices' credentials: keys by PSK identity, and which endpoint names an identity may use.

An identity may use only the endpoint names that are bound to it (LwM2M Transport 1.1 section 5.2.8.7 and Core 6.2.1):
by default its own name, or the names in its certificate. An endpoint name that is bound to an identity is closed to
everybody else, plain CoAP included.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeAlias, final

import attrs

from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.values import CredentialKind, Identity, PreSharedKey
from lwm2m_fota.errors import UsageError

EndedListener: TypeAlias = Callable[[CredentialKind, str], None]
"""Told that what this identity proved itself with no longer counts: its sessions are to end."""


@final
@attrs.frozen
class PskEntry:
    """A device with a pre-shared key.

    Attributes:
        credential: identity and key.
        endpoints: the endpoint names that it may use; none given means the identity itself.
    """

    credential: PreSharedKey
    endpoints: tuple[str, ...] = ()

    @property
    def kind(self) -> CredentialKind:
        """A pre-shared key."""
        return CredentialKind.PSK

    @property
    def name(self) -> str:
        """The PSK identity."""
        return self.credential.identity


@final
@attrs.frozen
class CertificateEntry:
    """A device with a certificate, named by one of the names in it. Its authority is trusted elsewhere.

    A certificate of a trusted authority needs no entry: without one it stands for the names in it that are not bound
    to another identity.

    Attributes:
        name: the common name, or a name of the subject's alternatives.
        endpoints: the endpoint names that it may use; none given means the names in the certificate that are not bound
            to another identity.
    """

    name: str
    endpoints: tuple[str, ...] = ()

    @property
    def kind(self) -> CredentialKind:
        """A certificate."""
        return CredentialKind.CERTIFICATE


@final
@attrs.frozen
class RevokedEntry:
    """An identity that is let in no more. The endpoint names that were bound to it stay closed to all others.

    Attributes:
        kind: how it proved itself.
        name: the PSK identity, or a name in the certificate.
        endpoints: the endpoint names that were given to it.
    """

    kind: CredentialKind
    name: str
    endpoints: tuple[str, ...] = ()


Entry: TypeAlias = PskEntry | CertificateEntry | RevokedEntry


class CredentialStore(Protocol):
    """What transports and registrations ask of a store."""

    def key(self, identity: str) -> Secret | None:
        """The key of a PSK identity; None if there is none, or no longer.

        Asked when a handshake needs it, and again at its end: a key that was rotated in between proves nothing.
        """
        ...

    def accepts(self, identity: Identity) -> bool:
        """Whether what an identity has proven still counts; asked at the end of every handshake."""
        ...

    def endpoints(self, identity: Identity) -> frozenset[str]:
        """The endpoint names that it may use."""
        ...

    def is_bound(self, endpoint: str) -> bool:
        """Whether an endpoint name belongs to an identity, and so to nobody without one."""
        ...

    def listen(self, listener: EndedListener) -> None:
        """Tell of every identity whose credential was rotated or revoked."""
        ...


def permits(store: CredentialStore, identity: Identity | None, endpoint: str) -> bool:
    """Whether someone may use an endpoint name.

    Args:
        store: the bindings.
        identity: what it has proven to be; None on plain CoAP.
        endpoint: the name.
    """
    return not store.is_bound(endpoint) if identity is None else endpoint in store.endpoints(identity)


@final
class MemoryCredentialStore:
    """A `CredentialStore` in memory, with what changes it.

    Args:
        entries: what is in it from the beginning.
        save: given all entries as they are to be, before a change counts; where it raises, nothing has changed.

    Raises:
        UsageError: two entries of the same kind and name.
    """

    __slots__ = ("_bound", "_entries", "_listeners", "_save")

    def __init__(
        self, entries: Iterable[Entry] = (), *, save: Callable[[tuple[Entry, ...]], None] | None = None
    ) -> None:
        self._entries: dict[tuple[CredentialKind, str], Entry] = {}
        self._bound: dict[str, int] = {}
        self._listeners: list[EndedListener] = []
        self._save: Callable[[tuple[Entry, ...]], None] | None = None
        for entry in entries:
            self.add(entry)
        self._save = save

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    # -- what is asked

    def key(self, identity: str) -> Secret | None:
        """The key of a PSK identity."""
        entry = self._entries.get((CredentialKind.PSK, identity))
        return entry.credential.key if isinstance(entry, PskEntry) else None

    def accepts(self, identity: Identity) -> bool:
        """A PSK identity that is listed; a certificate none of whose names is revoked."""
        entries = self._of(identity)
        revoked = any(isinstance(entry, RevokedEntry) for entry in entries)
        return not revoked and (bool(entries) or identity.kind is CredentialKind.CERTIFICATE)

    def endpoints(self, identity: Identity) -> frozenset[str]:
        """The endpoint names that it may use."""
        if not self.accepts(identity):
            return frozenset()
        entries = self._of(identity)
        given = frozenset(endpoint for entry in entries for endpoint in entry.endpoints)
        own = frozenset(entry.name for entry in entries)
        return given or frozenset(name for name in identity.names if name in own or name not in self._bound)

    def is_bound(self, endpoint: str) -> bool:
        """Whether an entry names it."""
        return endpoint in self._bound

    def listen(self, listener: EndedListener) -> None:
        """Tell of every identity whose credential was rotated or revoked."""
        self._listeners.append(listener)

    def _of(self, identity: Identity) -> list[Entry]:
        entries = (self._entries.get((identity.kind, name)) for name in identity.names)
        return [entry for entry in entries if entry is not None]

    # -- what changes

    def add(self, entry: Entry) -> None:
        """Take a new entry; it may take the place of a revoked one.

        Raises:
            UsageError: there is one of this kind and name.
            Exception: what `save` raises, here as with every change.
        """
        former = self._entries.get((entry.kind, entry.name))
        if former is not None and not isinstance(former, RevokedEntry):
            raise UsageError(f"there is an entry for {entry.kind.value} {entry.name!r} already")
        self._put(entry)

    def rotate(self, identity: str, key: Secret) -> None:
        """Replace the key of a PSK identity; sessions under the old one end, and none is resumed.

        Raises:
            UsageError: no such identity, or no such key can be.
        """
        entry = self._entries.get((CredentialKind.PSK, identity))
        if not isinstance(entry, PskEntry):
            raise UsageError(f"there is no entry for psk {identity!r}")
        self._put(PskEntry(PreSharedKey(identity, key), entry.endpoints))
        self._tell(entry.kind, entry.name)

    def revoke(self, kind: CredentialKind, name: str) -> None:
        """Let an identity in no more: its sessions end, and none is resumed.

        An identity that is not listed is revoked too: a certificate needs no entry to be let in.
        """
        former = self._entries.get((kind, name))
        self._put(RevokedEntry(kind, name, () if former is None else former.endpoints))
        self._tell(kind, name)

    def _put(self, entry: Entry) -> None:
        key = (entry.kind, entry.name)
        if self._save is not None:
            self._save(tuple({**self._entries, key: entry}.values()))
        former = self._entries.get(key)
        if former is not None:
            for name in _bound_names(former):
                self._bound[name] -= 1
                if not self._bound[name]:
                    del self._bound[name]
        self._entries[key] = entry
        for name in _bound_names(entry):
            self._bound[name] = self._bound.get(name, 0) + 1

    def _tell(self, kind: CredentialKind, name: str) -> None:
        for listener in tuple(self._listeners):
            listener(kind, name)


def _bound_names(entry: Entry) -> frozenset[str]:
    return frozenset(entry.endpoints or (entry.name,))
