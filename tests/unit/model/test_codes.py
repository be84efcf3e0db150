import pytest

from lwm2m_fota.model.codes import Code, describe_code, dotted, is_request, is_response, is_success


@pytest.mark.parametrize(
    ("code", "text"),
    [(0x00, "0.00"), (0x01, "0.01"), (0x45, "2.05"), (0x5F, "2.31"), (0x8D, "4.13"), (0x8F, "4.15"), (0xA3, "5.03")],
)
def test_dotted(code, text):
    assert dotted(code) == text


def test_a_listed_code_is_shown_with_its_name():
    assert describe_code(0x88) == "4.08 REQUEST_ENTITY_INCOMPLETE"


def test_an_unlisted_code_is_shown_by_its_digits():
    assert describe_code(0x9F) == "4.31"


@pytest.mark.parametrize(
    ("code", "request_", "success", "response"),
    [
        (0x00, False, False, False),
        (0x01, True, False, False),
        (0x1F, True, False, False),
        (0x20, False, False, False),
        (0x40, False, True, True),
        (0x5F, False, True, True),
        (0x60, False, False, True),
        (0x84, False, False, True),
        (0xBF, False, False, True),
        (0xC0, False, False, False),
        (0xE1, False, False, False),
    ],
)
def test_classes_of_codes(code, request_, success, response):
    assert (is_request(code), is_success(code), is_response(code)) == (request_, success, response)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("GET", 1), ("POST", 2), ("PUT", 3), ("DELETE", 4), ("FETCH", 5), ("PATCH", 6), ("IPATCH", 7),
        ("CREATED", 65), ("DELETED", 66), ("VALID", 67), ("CHANGED", 68), ("CONTENT", 69), ("CONTINUE", 95),
        ("BAD_REQUEST", 128), ("UNAUTHORIZED", 129), ("BAD_OPTION", 130), ("FORBIDDEN", 131), ("NOT_FOUND", 132),
        ("METHOD_NOT_ALLOWED", 133), ("NOT_ACCEPTABLE", 134), ("REQUEST_ENTITY_INCOMPLETE", 136), ("CONFLICT", 137),
        ("PRECONDITION_FAILED", 140), ("REQUEST_ENTITY_TOO_LARGE", 141), ("UNSUPPORTED_CONTENT_FORMAT", 143),
        ("UNPROCESSABLE_ENTITY", 150), ("TOO_MANY_REQUESTS", 157), ("INTERNAL_SERVER_ERROR", 160),
        ("NOT_IMPLEMENTED", 161), ("BAD_GATEWAY", 162), ("SERVICE_UNAVAILABLE", 163), ("GATEWAY_TIMEOUT", 164),
        ("PROXYING_NOT_SUPPORTED", 165), ("CSM", 225), ("PING", 226), ("PONG", 227), ("RELEASE", 228), ("ABORT", 229),
    ],
)  # fmt: skip
def test_numbers(name, number):
    assert Code[name] == number
