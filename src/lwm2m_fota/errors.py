"""One error tree.

::

    FotaError
    ├── UsageError                 the caller broke a contract: a bug on our side of the wire
    ├── RefusedError               a request that is not legal in the present state (4.05 unless stated)
    │   └── BusyError                  no room at present (5.03)
    ├── MalformedError             bytes that break their format (4.00)
    │   ├── MessageFormatError     a CoAP message
    │   ├── ContentError           a payload in an LwM2M content format
    │   │   ├── UnsupportedContentFormatError   (4.15)
    │   │   └── NotAcceptableError              (4.06)
    │   ├── CborError              CBOR that the strict loader refuses
    │   └── SnapshotError          a stored snapshot that cannot be restored
    ├── BlockwiseError             a block-wise transfer that cannot go on (4.08, 4.13, ...)
    ├── PackageError               a package that must not be installed
    │   ├── UnsupportedPackageError    Result 6
    │   ├── IntegrityError             Result 5
    │   ├── PackageTooLargeError       Result 2
    │   └── DependencyError            Result 13
    ├── UriError                   a Package URI that cannot be fetched
    │   ├── InvalidUriError            Result 7
    │   ├── HostNotAllowedError        Result 7
    │   └── UnsupportedProtocolError   Result 9
    │       └── MissingCredentialError     Result 9
    ├── TransportError             the peer cannot be reached, or did not answer
    │   ├── PeerTimeoutError
    │   └── PeerResetError
    ├── ResponseError              the peer answered with an error code
    ├── StorageError               a store failed
    │   └── StorageFullError           Result 2
    ├── SimulationError            a simulated run that cannot go on
    └── MissingExtraError          an optional dependency is not installed

An error carries the CoAP code to answer and the Update Result to publish, where it has one.
"""

from typing import ClassVar

from lwm2m_fota.model.codes import Code, describe_code
from lwm2m_fota.model.enums import UpdateResult


class FotaError(Exception):
    """The root of every error that this library raises on purpose.

    Attributes:
        code: the CoAP response code that tells the peer, if the peer is to be told.
        result: the Update Result that tells the server, if the update ends with it.
    """

    default_code: ClassVar[int | None] = None
    default_result: ClassVar[UpdateResult | None] = None

    def __init__(self, message: str, *, code: int | None = None, result: UpdateResult | None = None) -> None:
        super().__init__(message)
        self.code: int | None = self.default_code if code is None else code
        self.result: UpdateResult | None = self.default_result if result is None else result


class UsageError(FotaError):
    """The caller broke a contract of this library."""


class RefusedError(FotaError):
    """A request that is not legal in the present state; nothing has changed."""

    default_code = Code.METHOD_NOT_ALLOWED


class BusyError(RefusedError):
    """A request for which there is no room at present; nothing has changed.

    Attributes:
        retry_after_s: when it may be made again, seconds: the Max-Age of the answer (RFC 7252 section 5.9.3.4).
    """

    default_code = Code.SERVICE_UNAVAILABLE

    def __init__(
        self, message: str, *, retry_after_s: float, code: int | None = None, result: UpdateResult | None = None
    ) -> None:
        super().__init__(message, code=code, result=result)
        self.retry_after_s = retry_after_s


class MalformedError(FotaError):
    """Bytes that break their format."""

    default_code = Code.BAD_REQUEST


class MessageFormatError(MalformedError):
    """Bytes that are not a CoAP message (RFC 7252 section 3)."""


class ContentError(MalformedError):
    """A payload that is not valid in its content format, or not for its resource."""


class UnsupportedContentFormatError(ContentError):
    """A payload in a content format that is not understood here."""

    default_code = Code.UNSUPPORTED_CONTENT_FORMAT


class NotAcceptableError(ContentError):
    """None of the formats that the peer accepts can carry the answer."""

    default_code = Code.NOT_ACCEPTABLE


class CborError(MalformedError):
    """CBOR that the strict loader refuses."""


class SnapshotError(MalformedError):
    """A stored snapshot that cannot be restored."""


class BlockwiseError(FotaError):
    """A block-wise transfer that cannot go on (RFC 7959 section 2.9).

    Attributes:
        size1: with 4.13, the largest body in bytes that would have been taken: the Size1 of the answer.
    """

    default_code = Code.REQUEST_ENTITY_INCOMPLETE

    def __init__(
        self, message: str, *, code: int | None = None, result: UpdateResult | None = None, size1: int | None = None
    ) -> None:
        super().__init__(message, code=code, result=result)
        self.size1 = size1


class PackageError(FotaError):
    """A package that must not be installed.

    Attributes:
        reason: the stable code of the verdict, such as "package.bad-signature"; None where no verifier spoke.
    """

    default_code = Code.BAD_REQUEST
    default_result = UpdateResult.INTEGRITY_FAILURE

    def __init__(
        self, message: str, *, code: int | None = None, result: UpdateResult | None = None, reason: str | None = None
    ) -> None:
        super().__init__(message, code=code, result=result)
        self.reason = reason


class UnsupportedPackageError(PackageError):
    """A package of a type, version or algorithm that is not supported, or not for this device."""

    default_result = UpdateResult.UNSUPPORTED_PACKAGE


class IntegrityError(PackageError):
    """A package whose digest or signature does not hold."""

    default_result = UpdateResult.INTEGRITY_FAILURE


class PackageTooLargeError(PackageError):
    """A package that does not fit the place it is meant for."""

    default_code = Code.REQUEST_ENTITY_TOO_LARGE
    default_result = UpdateResult.NOT_ENOUGH_STORAGE


class DependencyError(PackageError):
    """A package that needs another component in a version that is not there.

    Attributes:
        instances: of Object 33629, those that are to blame; at least one.
    """

    default_result = UpdateResult.DEPENDENCY_ERROR

    def __init__(self, message: str, *, instances: tuple[int, ...]) -> None:
        super().__init__(message)
        self.instances = instances


class UriError(FotaError):
    """A Package URI that cannot be fetched."""

    default_code = Code.BAD_REQUEST
    default_result = UpdateResult.INVALID_URI


class InvalidUriError(UriError):
    """A Package URI that is no URI, names no host, or leads nowhere."""


class HostNotAllowedError(UriError):
    """A URI leads to a host from which this device fetches nothing."""


class UnsupportedProtocolError(UriError):
    """A Package URI whose scheme this device does not speak."""

    default_result = UpdateResult.UNSUPPORTED_PROTOCOL


class MissingCredentialError(UnsupportedProtocolError):
    """There is no credential for where a URI leads."""


class TransportError(FotaError):
    """The peer cannot be reached, or did not answer."""

    default_result = UpdateResult.CONNECTION_LOST


class PeerTimeoutError(TransportError):
    """All retransmissions went unanswered (RFC 7252 section 4.2)."""


class PeerResetError(TransportError):
    """The peer answered with a Reset message: it has no context for the request."""


class ResponseError(FotaError):
    """The peer answered a request with an error code.

    Attributes:
        response_code: the CoAP code; that of an HTTP status is the one of the same digits.
        diagnostic: what it said.
        retry_after_s: when it wants to be asked again, seconds; None if it does not say.
    """

    def __init__(
        self, message: str, *, response_code: int, diagnostic: str = "", retry_after_s: float | None = None
    ) -> None:
        text = f"{message}: {describe_code(response_code)}"
        super().__init__(f"{text} ({diagnostic})" if diagnostic else text)
        self.response_code = response_code
        self.diagnostic = diagnostic
        self.retry_after_s = retry_after_s


class StorageError(FotaError):
    """A store failed."""

    default_code = Code.INTERNAL_SERVER_ERROR


class StorageFullError(StorageError):
    """A store has no room for the data."""

    default_code = Code.REQUEST_ENTITY_TOO_LARGE
    default_result = UpdateResult.NOT_ENOUGH_STORAGE


class SimulationError(FotaError):
    """A simulated run that cannot go on: everything waits, its time is over, or it asked for something real."""


class MissingExtraError(FotaError, ImportError):
    """An optional dependency is not installed; the message names the pip command."""
