"""The client's registration: what is sent, and when (LwM2M Core 6.2)."""

import pytest

from lwm2m_fota.coap.message import Message
from lwm2m_fota.coap.numbers import ACK
from lwm2m_fota.errors import UsageError
from lwm2m_fota.lwm2m.registration import Phase, Registrar, RegistrationSettings

LINKS = b"</1/0>,</3/0>,</5/0>"
CREATED = Message(ACK, 0x41, 1, b"", ((8, b"rd"), (8, b"17")))
CHANGED = Message(ACK, 0x44, 1)
DELETED = Message(ACK, 0x42, 1)
NOT_FOUND = Message(ACK, 0x84, 1)
BAD_REQUEST = Message(ACK, 0x80, 1)
UNAVAILABLE = Message(ACK, 0xA3, 1)


def registrar(**settings):
    return Registrar(RegistrationSettings(endpoint="dev", lifetime_s=60, **settings), LINKS, now=100.0)


def registered():
    client = registrar()
    client.poll(100.0)
    client.answered(CREATED, 101.0)
    return client


def test_the_first_request_registers():
    client = registrar()
    assert client.next_deadline() == 100.0
    assert client.poll(99.9) is None
    request = client.poll(100.0)
    assert request.code == 2
    assert request.payload == LINKS
    assert request.options == (
        (11, b"rd"),
        (12, b"\x28"),
        (15, b"ep=dev"),
        (15, b"lt=60"),
        (15, b"lwm2m=1.1"),
        (15, b"b=U"),
    )
    assert client.phase is Phase.REGISTERING
    assert not client.is_registered


def test_nothing_is_due_while_an_answer_is_awaited():
    client = registrar()
    client.poll(100.0)
    assert client.next_deadline() is None
    assert client.poll(10_000.0) is None


def test_an_update_goes_to_the_location_at_half_the_lifetime():
    client = registered()
    assert client.is_registered
    assert client.next_deadline() == 131.0
    request = client.poll(131.0)
    assert (request.code, request.options, request.payload) == (2, ((11, b"rd"), (11, b"17")), b"")
    client.answered(CHANGED, 132.0)
    assert client.phase is Phase.IN
    assert client.next_deadline() == 162.0


def options(request):
    return [value for number, value in request.options if number == 15]


def test_a_lifetime_that_changes_while_an_answer_is_awaited_is_told_after_it():
    client = registered()
    client.poll(131.0)
    client.set_lifetime(86_400, 131.5)
    assert client.next_deadline() is None
    client.answered(CHANGED, 132.0)
    assert client.next_deadline() == 132.0
    assert options(client.poll(132.0)) == [b"lt=86400"]
    client.answered(CHANGED, 133.0)
    assert client.next_deadline() == 133.0 + 43_200


def test_objects_that_change_while_the_registration_is_under_way_are_told_after_it():
    client = registrar()
    client.poll(100.0)
    client.set_links(b"</33629/0>", 100.5)
    client.answered(CREATED, 101.0)
    assert client.next_deadline() == 101.0
    request = client.poll(101.0)
    assert (options(request), request.payload) == ([], b"</33629/0>")


@pytest.mark.parametrize("answer", [CHANGED, NOT_FOUND])
def test_a_new_registration_that_is_wanted_meanwhile_follows_the_answer(answer):
    client = registered()
    client.poll(131.0)
    client.register_anew(131.5)
    client.answered(answer, 132.0)
    assert options(client.poll(132.0))[0] == b"ep=dev"
    client.answered(CREATED, 133.0)
    assert client.next_deadline() == 163.0, "once"


def test_who_leaves_meanwhile_does_not_register_anew():
    client = registered()
    client.poll(131.0)
    client.register_anew(131.2)
    client.leave(131.5)
    client.answered(CHANGED, 132.0)
    assert client.poll(132.0).code == 4
    client.register_anew(132.5)
    client.answered(DELETED, 133.0)
    assert client.next_deadline() is None


@pytest.mark.parametrize("refusal", [NOT_FOUND, BAD_REQUEST])
def test_a_refused_update_registers_anew_at_once(refusal):
    client = registered()
    client.poll(131.0)
    client.answered(refusal, 132.0)
    assert client.next_deadline() == 132.0
    assert (11, b"17") not in client.poll(132.0).options


def test_a_server_without_time_is_asked_again_later():
    client = registered()
    client.poll(131.0)
    client.answered(UNAVAILABLE, 132.0)
    assert not client.is_registered
    assert client.next_deadline() == 134.0


def test_failures_wait_longer_each_time_up_to_a_limit():
    client = registrar(retry_initial_s=2.0, retry_max_s=15.0)
    waits = []
    now = 100.0
    for _ in range(5):
        client.poll(now)
        client.failed(now)
        waits.append(client.next_deadline() - now)
        now = client.next_deadline()
    assert waits == [2.0, 4.0, 8.0, 15.0, 15.0]
    client.poll(now)
    client.answered(CREATED, now)
    client.poll(client.next_deadline())
    client.failed(500.0)
    assert client.next_deadline() == 502.0


def test_many_failures_do_not_overflow():
    client = registrar()
    now = 0.0
    for _ in range(3000):
        now = client.next_deadline()
        client.poll(now)
        client.failed(now)
    assert client.next_deadline() - now == 120.0


def test_a_refused_registration_is_tried_again():
    client = registrar()
    client.poll(100.0)
    client.answered(BAD_REQUEST, 101.0)
    assert client.phase is Phase.OUT
    assert client.next_deadline() == 103.0


def test_leaving_deregisters():
    client = registered()
    client.leave(110.0)
    request = client.poll(110.0)
    assert (request.code, request.options) == (4, ((11, b"rd"), (11, b"17")))
    client.answered(DELETED, 111.0)
    assert (client.phase, client.next_deadline()) == (Phase.OUT, None)


def test_leaving_ends_even_if_the_server_is_gone():
    client = registered()
    client.leave(110.0)
    client.poll(110.0)
    client.failed(150.0)
    assert (client.phase, client.next_deadline()) == (Phase.OUT, None)


def test_leaving_before_the_registration_sends_nothing():
    client = registrar()
    client.leave(100.0)
    assert client.poll(100.0) is None
    assert client.next_deadline() is None


def test_leaving_while_registering_deregisters_after_the_answer():
    client = registrar()
    client.poll(100.0)
    client.leave(100.5)
    assert client.poll(100.5) is None
    client.answered(CREATED, 101.0)
    assert client.poll(101.0).code == 4


def test_an_update_can_be_asked_for_at_any_time():
    client = registered()
    client.update_now(105.0)
    assert client.poll(105.0).code == 2
    client.update_now(106.0)
    assert client.poll(106.0) is None


def test_registering_anew_forgets_the_location():
    client = registered()
    client.register_anew(105.0)
    assert not client.is_registered
    assert client.poll(105.0).options[0] == (11, b"rd")
    assert client.phase is Phase.REGISTERING
    client.register_anew(106.0)
    assert client.phase is Phase.REGISTERING
    client.answered(CREATED, 107.0)
    client.leave(108.0)
    client.register_anew(109.0)
    assert client.poll(109.0).code == 4


def test_a_new_lifetime_is_told_at_once():
    client = registered()
    client.set_lifetime(30, 110.0)
    assert client.lifetime_s == 30
    assert (15, b"lt=30") in client.poll(110.0).options
    client.answered(CHANGED, 111.0)
    assert client.next_deadline() == 126.0
    with pytest.raises(UsageError):
        client.set_lifetime(0, 112.0)


@pytest.mark.parametrize(("endpoint", "lifetime"), [("", 60), ("x" * 256, 60), ("dev", 0)])
def test_settings_are_checked(endpoint, lifetime):
    with pytest.raises(UsageError):
        RegistrationSettings(endpoint=endpoint, lifetime_s=lifetime)


# -- what is told, and when


def queries(request):
    return [value.decode() for number, value in request.options if number == 15]


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.0", ["ep=dev", "lt=60", "lwm2m=1.0", "b=UQ"]),
        ("1.1", ["ep=dev", "lt=60", "lwm2m=1.1", "b=U", "Q"]),
        ("1.2", ["ep=dev", "lt=60", "lwm2m=1.2", "b=U", "Q"]),
    ],
)
def test_queue_mode_is_told_as_the_version_has_it(version, expected):
    assert queries(registrar(queue_mode=True, lwm2m_version=version).poll(100.0)) == expected


def test_an_update_tells_what_has_changed_and_nothing_else():
    client = registered()
    client.set_lifetime(90, 110.0)
    request = client.poll(110.0)
    assert (queries(request), request.payload) == (["lt=90"], b"")
    client.answered(CHANGED, 111.0)
    assert client.next_deadline() == 156.0
    assert queries(client.poll(156.0)) == []
    client.answered(CHANGED, 157.0)
    client.set_links(b"</1/0>,</3/0>", 160.0)
    request = client.poll(160.0)
    assert (queries(request), request.payload) == ([], b"</1/0>,</3/0>")
    assert (12, b"\x28") in request.options
    client.answered(CHANGED, 161.0)
    request = client.poll(client.next_deadline())
    assert (request.options, request.payload) == (((11, b"rd"), (11, b"17")), b"")


@pytest.mark.parametrize(
    ("version", "began", "queue_mode", "expected"),
    [
        ("1.1", False, True, ["b=T", "Q"]),
        ("1.1", True, True, ["b=T", "Q"]),
        ("1.1", True, False, ["b=T"]),  # `b` without `Q`: it sleeps no longer
        ("1.0", False, True, ["b=TQ"]),
        ("1.0", True, False, ["b=T"]),
    ],
)
def test_an_update_tells_another_binding(version, began, queue_mode, expected):
    client = registrar(binding="UT", queue_mode=began, lwm2m_version=version)
    client.poll(100.0)
    client.answered(CREATED, 101.0)
    client.set_binding("T", 110.0, queue_mode=queue_mode)
    request = client.poll(110.0)
    assert (queries(request), request.payload) == (expected, b"")
    client.answered(CHANGED, 111.0)
    assert queries(client.poll(client.next_deadline())) == []
    client.answered(NOT_FOUND, 150.0)
    assert queries(client.poll(150.0)) == ["ep=dev", "lt=60", f"lwm2m={version}", *expected]


def test_what_changed_while_it_was_out_is_told_by_the_next_registration():
    client = registered()
    client.poll(131.0)
    client.set_lifetime(90, 132.0)
    client.set_links(b"</3/0>", 132.0)
    client.answered(NOT_FOUND, 133.0)
    request = client.poll(133.0)
    assert (queries(request)[1], request.payload) == ("lt=90", b"</3/0>")
    client.answered(CREATED, 134.0)
    assert client.poll(client.next_deadline()).options == ((11, b"rd"), (11, b"17"))
