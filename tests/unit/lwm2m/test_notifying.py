"""Write-Attributes, and how notifications heed them, through the dispatcher."""

import pytest

from lwm2m_fota.lwm2m.attributes import Attributes
from lwm2m_fota.lwm2m.dispatch import Dispatcher
from lwm2m_fota.model.paths import Path

SENML, TLV = 112, 11542
CHANGED, CONTENT = 0x44, 0x45
BAD_REQUEST, UNAUTHORIZED, NOT_FOUND, NOT_ALLOWED, NOT_ACCEPTABLE = 0x80, 0x81, 0x84, 0x85, 0x86
LINK = 40


def links(device, path, **more):
    answer = device.get(path, accept=LINK, **more)
    assert answer.code == CONTENT
    return answer.payload.decode()


def told(device):
    return [(token, answer.payload) for token, answer in device.notified]


# -- Write-Attributes


@pytest.mark.parametrize(
    ("path", "queries", "code"),
    [
        ("/5", ("pmin=10",), CHANGED),
        ("/5/0", ("pmin=10", "pmax=60", "con=1"), CHANGED),
        ("/5/0/3", ("gt=1", "st=1"), CHANGED),
        ("/5/0/8/0", ("gt=1",), CHANGED),
        ("/5/0/2", ("pmin=10",), CHANGED),  # harmless
        ("/5/0/3", ("pmin",), CHANGED),
        ("/5/0/3", ("pmin=-1",), BAD_REQUEST),
        ("/5/0/3", ("other=1",), BAD_REQUEST),
        ("/5/0/3", ("pmin=1", "pmin=2"), BAD_REQUEST),
        ("/5/0/3", ("lt=5", "gt=4"), BAD_REQUEST),
        ("/5/0/1", ("gt=4",), BAD_REQUEST),
        ("/5/0", ("gt=4",), BAD_REQUEST),
        ("/5/1", ("pmin=1",), NOT_FOUND),
        ("/9", ("pmin=1",), NOT_FOUND),
        ("/0/0", ("pmin=1",), UNAUTHORIZED),
    ],
)
def test_what_may_be_attached(device, path, queries, code):
    assert device.attach(path, *queries).code == code


@pytest.mark.parametrize(("path", "code"), [("/3/0/11/1", 0x44), ("/3/0/11/9", 0x84), ("/3/0/2/0", 0x84)])
def test_nothing_is_attached_to_an_element_that_is_not_there(device, path, code):
    assert device.attach(path, "pmin=10").code == code


def test_a_value_and_attributes_at_once_are_refused(device):
    assert device.ask(3, "/5/0/11", b"2", options=[(15, b"pmin=1")]).code == BAD_REQUEST
    assert device.get("/5/0/11").payload == b"1"


def test_discover_shows_what_is_attached_and_at_its_target_what_it_inherits(device):
    device.attach("/5", "pmin=10")
    device.attach("/5/0", "pmax=60", "con=1")
    device.attach("/5/0/3", "gt=1", "lt=-2.5")
    assert links(device, "/5").startswith("</5>;ver=1.1;pmin=10,</5/0>;pmax=60;con=1,</5/0/0>,")
    assert links(device, "/5/0").startswith("</5/0>;pmin=10;pmax=60;con=1,</5/0/0>,")
    assert "</5/0/3>;gt=1;lt=-2.5," in links(device, "/5/0")
    assert links(device, "/5/0/3") == "</5/0/3>;pmin=10;pmax=60;gt=1;lt=-2.5;con=1"
    assert links(device, "/5/0/3", peer="another") == "</5/0/3>"


# -- notifications


def test_pmin_and_pmax(device):
    device.attach("/5/0/3", "pmin=10", "pmax=60")
    device.get("/5/0/3", observe=0, token=b"s")
    device.now = 4.0
    device.put("/5/0/1", b"coap://h/fw")
    assert (device.notified, device.dispatcher.next_deadline()) == ([], 10.0)
    device.now = 10.0
    device.notify()
    assert told(device) == [(b"s", b"1")]
    assert device.dispatcher.next_deadline() == 70.0
    device.now = 70.0
    device.notify()
    assert told(device) == [(b"s", b"1")] * 2


def test_thresholds(device):
    device.attach("/5/0/3", "gt=1")
    device.get("/5/0/3", observe=0)
    device.put("/5/0/1", b"coap://h/fw")
    device.put("/5/0/1", b"")
    assert told(device) == []
    device.put("/5/0/0", b"image", content_format=42)
    assert told(device) == [(b"t", b"2")]


def test_a_value_that_cannot_be_read_any_more_is_told(device):
    device.attach("/1/0/1", "gt=100")
    device.get("/1/0/1", observe=0)
    for lifetime, count in ((70, 0), ("never", 1)):
        device.lifetime = lifetime
        device.dispatcher.changed([Path.of(1, 0, 1)])
        notifications = device.dispatcher.notifications(0.0)
        assert len(notifications) == count
    assert notifications[0].response.code == 0xA0


def test_a_number_that_no_object_gives_any_more_is_told(device):
    device.attach("/5/0/8/0", "gt=3")
    device.get("/5/0/8/0", observe=0)
    device.dispatcher._objects[5] = device.account
    device.dispatcher.changed([Path.of(5, 0, 8)])
    (notification,) = device.dispatcher.notifications(0.0)
    assert notification.response.code >> 5 != 2


def test_what_is_attached_below_what_is_observed_does_not_count(device):
    device.attach("/5/0/3", "pmin=1000", "gt=7")
    device.get("/5/0", observe=0, accept=TLV)
    device.put("/5/0/1", b"coap://h/fw")
    assert len(device.notified) == 1


def test_attributes_of_the_request_count_before_attached_ones_and_for_it_alone(device):
    device.attach("/5/0/3", "pmin=50", "pmax=60")
    device.ask(1, "/5/0/3", observe=0, token=b"1", options=[(15, b"pmin=5"), (15, b"depth=1")])
    device.get("/5/0/3", observe=0, token=b"2", peer="another")
    device.now = 1.0
    device.put("/5/0/1", b"coap://h/fw")
    assert [token for token, _ in told(device)] == [b"2"]
    device.now = 5.0
    device.notify()
    assert [token for token, _ in told(device)] == [b"2", b"1"]
    assert links(device, "/5/0/3") == "</5/0/3>;pmin=50;pmax=60"


@pytest.mark.parametrize("queries", [(b"pmin=x",), (b"lt=5", b"gt=4"), (b"pmin=1", b"pmin=2")])
def test_attributes_of_the_request_that_make_no_sense(device, queries):
    assert device.ask(1, "/5/0/3", observe=0, options=[(15, each) for each in queries]).code == BAD_REQUEST
    assert len(device.dispatcher.observers) == 0


def test_thresholds_of_the_request_are_for_numbers(device):
    assert device.ask(1, "/5/0/1", observe=0, options=[(15, b"gt=1")]).code == BAD_REQUEST


def test_con_makes_notifications_confirmable(device):
    device.attach("/5/0", "con=1")
    device.get("/5/0/3", observe=0, token=b"1")
    device.get("/5/0/3", observe=0, token=b"2", peer="another")
    device.host.listeners.clear()
    device.put("/5/0/1", b"coap://h/fw")
    device.dispatcher.changed([Path.of(5, 0, 3)])
    notifications = device.dispatcher.notifications(0.0)
    assert [(each.peer, each.token, each.confirmable) for each in notifications] == [
        ("server", b"1", True),
        ("another", b"2", False),
    ]


def test_attributes_belong_to_a_server_wherever_it_asks_from(make_device):
    device = make_device()
    device.dispatcher = Dispatcher((device.host,), server_of=lambda peer: peer[0])
    device.attach("/5/0/3", "pmin=10", peer="a1")
    assert links(device, "/5/0/3", peer="a2") == "</5/0/3>;pmin=10"
    assert links(device, "/5/0/3", peer="b1") == "</5/0/3>"


def test_the_default_periods_of_a_server_count_where_nothing_is_attached(make_device):
    device = make_device()
    device.dispatcher = Dispatcher((device.host,), defaults=lambda server: Attributes(pmin=7, pmax=30))
    device.get("/5/0/3", observe=0)
    assert device.dispatcher.next_deadline() == 30.0
    device.attach("/5/0", "pmax=20")
    assert device.dispatcher.next_deadline() == 20.0
    device.now = 1.0
    device.put("/5/0/1", b"coap://h/fw")
    assert device.dispatcher.next_deadline() == 7.0
    assert links(device, "/5/0/3") == "</5/0/3>;pmax=20"


def test_a_multiple_resource_is_told_whenever_it_changes(device):
    """Thresholds are for single values: which of several would be meant?"""
    device.attach("/5/0/8", "gt=3")
    device.get("/5/0/8", observe=0, accept=SENML)
    device.dispatcher.changed([Path.of(5, 0, 8)])
    assert len(device.dispatcher.notifications(0.0)) == 1


@pytest.mark.parametrize(("szx", "length"), [(1, 32), (2, 64), (6, None), (None, None)])
def test_notifications_come_in_blocks_as_small_as_those_of_the_request(device, szx, length):
    """RFC 7959 section 2.4: the size that was asked for counts for what follows."""
    more = {} if szx is None else {"block2": szx}
    assert device.get("/5/0", observe=0, accept=SENML, **more).code == CONTENT
    device.put("/5/0/11", b"2")
    ((_, answer),) = device.notified
    assert len(answer.payload) == length if length else 23 not in dict(answer.options)
    if length:
        assert dict(answer.options)[23] == bytes((8 | szx,))


def test_an_observation_of_what_can_no_longer_be_read_ends_with_an_error(device):
    device.get("/1/0/1", observe=0)
    device.lifetime = "never"
    device.dispatcher.changed([Path.of(1, 0, 1)])
    (notification,) = device.dispatcher.notifications(0.0)
    assert (notification.response.code, dict(notification.response.options)) == (0xA0, {})
    assert len(device.dispatcher.observers) == 0


def test_cancelling_works_even_where_the_value_can_no_longer_be_read(device):
    device.get("/1/0/1", observe=0)
    device.lifetime = "never"
    assert device.get("/1/0/1", observe=1).code == 0xA0
    assert len(device.dispatcher.observers) == 0
