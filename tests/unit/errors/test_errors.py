"""The error tree: what each error tells the peer and the server."""

import re

import pytest

from lwm2m_fota import errors

CLASSES = {
    name: value for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, BaseException)
}

# (CoAP code to answer, Update Result to publish), transcribed by hand; None where the error has none.
CARRIED = {
    "FotaError": (None, None),
    "UsageError": (None, None),
    "RefusedError": (0x85, None),
    "MalformedError": (0x80, None),
    "MessageFormatError": (0x80, None),
    "ContentError": (0x80, None),
    "UnsupportedContentFormatError": (0x8F, None),
    "NotAcceptableError": (0x86, None),
    "BlockwiseError": (0x88, None),
    "BusyError": (0xA3, None),
    "PackageError": (0x80, 5),
    "UnsupportedPackageError": (0x80, 6),
    "IntegrityError": (0x80, 5),
    "PackageTooLargeError": (0x8D, 2),
    "InvalidUriError": (0x80, 7),
    "UnsupportedProtocolError": (0x80, 9),
    "MissingCredentialError": (0x80, 9),
    "PeerTimeoutError": (None, 4),
    "PeerResetError": (None, 4),
    "StorageError": (0xA0, None),
    "StorageFullError": (0x8D, 2),
}


@pytest.mark.parametrize("name", CARRIED)
def test_an_error_carries_its_code_and_result(name):
    error = CLASSES[name]("why", **({"retry_after_s": 1.0} if name == "BusyError" else {}))
    assert (error.code, error.result) == CARRIED[name]
    assert str(error) == "why"


def test_what_is_given_goes_before_what_the_class_says():
    error = errors.PackageError("why", code=0x8D, result=errors.UpdateResult.UPDATE_FAILED)
    assert (error.code, error.result) == (0x8D, 8)


def test_every_error_is_in_the_tree_that_the_module_draws():
    assert errors.__doc__
    drawn = re.findall(r"^[ │├└─]*([A-Z]\w+Error)\b", errors.__doc__, re.MULTILINE)
    assert sorted(drawn) == sorted(CLASSES)
    assert all(issubclass(error, errors.FotaError) for error in CLASSES.values())


def test_an_error_answer_of_a_peer_is_shown_with_its_code():
    error = errors.ResponseError("read /5/0/3", response_code=0x84)
    assert str(error) == "read /5/0/3: 4.04 NOT_FOUND"
    assert (error.response_code, error.diagnostic, error.code) == (0x84, "", None)


def test_the_diagnostic_of_a_peer_is_shown_and_an_unlisted_code_is_kept():
    error = errors.ResponseError("write /5/0/1", response_code=0x9F, diagnostic="no thanks")
    assert str(error) == "write /5/0/1: 4.31 (no thanks)"


def test_a_missing_extra_is_an_import_error_too():
    with pytest.raises(ImportError):
        raise errors.MissingExtraError("pip install 'lwm2m-fota[cli]'")
