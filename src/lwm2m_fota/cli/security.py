"""The credentials that commands are given: a pre-shared key, and certificates, in files."""

from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Final, final

import attrs
import click

from lwm2m_fota.cli.groups import grouped
from lwm2m_fota.coap.uri import parse_uri
from lwm2m_fota.credentials.keyring import SECURE_SCHEMES, Held, Keyring, Origin
from lwm2m_fota.credentials.secret import Secret
from lwm2m_fota.credentials.store import CertificateEntry, MemoryCredentialStore, PskEntry
from lwm2m_fota.credentials.values import Certificate, PreSharedKey
from lwm2m_fota.errors import StorageError, UsageError
from lwm2m_fota.storage.credentials import read_private

_MAX_FILE_BYTES: Final = 1 << 20
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=FilePath)


@final
@attrs.frozen(kw_only=True)
class SecurityOptions:
    """What a command was given; nothing of it is read yet.

    Attributes:
        psk_identity: the name of the pre-shared key.
        psk_key_file: holds the key in hexadecimal, and nobody but its owner may read it.
        cert: the own certificate (PEM), and those between it and its authority.
        key: its private key (PEM), and nobody but its owner may read it.
        ca: the certificates to believe (PEM).

    Raises:
        click.UsageError: one of two that go together is missing.
    """

    psk_identity: str | None = None
    psk_key_file: FilePath | None = None
    cert: FilePath | None = None
    key: FilePath | None = None
    ca: FilePath | None = None

    def __attrs_post_init__(self) -> None:
        if (self.psk_identity is None) is not (self.psk_key_file is None):
            raise click.UsageError("--psk-identity and --psk-key-file go together.")
        if (self.cert is None) is not (self.key is None):
            raise click.UsageError("--cert and --key go together.")

    @property
    def is_given(self) -> bool:
        """There is a credential."""
        return self.psk_identity is not None or self.cert is not None or self.ca is not None

    def check(self, schemes: Sequence[str]) -> None:
        """Make sure that there is something for the schemes that need a credential.

        Raises:
            click.UsageError: there is none.
        """
        secure = [scheme for scheme in schemes if scheme in SECURE_SCHEMES]
        if secure and not self.is_given:
            raise click.UsageError(
                f"{secure[0]} needs a credential: --psk-identity with --psk-key-file, or --cert with --key and --ca."
            )

    def read(self) -> "Credentials":
        """Read the files.

        Raises:
            StorageError: one cannot be read, or others than its owner may read a secret.
            UsageError: what they hold is no key.
        """
        psk, certificate = None, None
        if self.psk_identity is not None and self.psk_key_file is not None:
            psk = PreSharedKey(self.psk_identity, _hexadecimal(self.psk_key_file))
        if self.cert is not None or self.ca is not None:
            certificate = Certificate(
                roots_pem=None if self.ca is None else _content(self.ca),
                chain_pem=b"" if self.cert is None else _content(self.cert),
                key_pem=Secret(b"" if self.key is None else read_private(self.key, _MAX_FILE_BYTES)),
            )
        return Credentials(psk, certificate)


def _hexadecimal(path: FilePath) -> Secret:
    data = read_private(path, _MAX_FILE_BYTES)
    try:
        return Secret(bytes.fromhex(data.decode("ascii")))
    except ValueError:
        pass  # the cause would show what the file holds
    raise UsageError(f"{path} holds no key: it is written in hexadecimal digits")


def _content(path: FilePath) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error


@final
@attrs.frozen
class Credentials:
    """What the files hold; None for what was not given."""

    psk: PreSharedKey | None = None
    certificate: Certificate | None = None

    def store(self, endpoint: str) -> MemoryCredentialStore:
        """For a server of one device: its name is closed to all who do not prove themselves with one of these."""
        key = () if self.psk is None else (PskEntry(self.psk, (endpoint,)),)
        certificate = () if self.certificate is None else (CertificateEntry(endpoint),)
        return MemoryCredentialStore((*key, *certificate))

    def keyring(self, server: str) -> Keyring:
        """For a device: the key is for the host of its server alone, the certificate for whomever it lets believe."""
        uri = parse_uri(server)
        key = () if self.psk is None else (Held(Origin(uri.scheme, uri.host, uri.port), self.psk),)
        certificate = () if self.certificate is None else (Held(None, self.certificate),)
        return Keyring((*key, *certificate))


security_options: Final = grouped(
    "security",
    SecurityOptions,
    click.option("--psk-identity", metavar="NAME", help="The name of the pre-shared key."),
    click.option("--psk-key-file", type=_FILE, metavar="FILE", help="The pre-shared key, in hexadecimal; mode 600."),
    click.option("--cert", type=_FILE, metavar="FILE", help="The own certificate (PEM)."),
    click.option("--key", type=_FILE, metavar="FILE", help="The private key of --cert (PEM); mode 600."),
    click.option("--ca", type=_FILE, metavar="FILE", help="The certificates to believe (PEM)."),
)
"""The options of `SecurityOptions`, which the command takes as `security`."""
