"""What Discover shows, and how deep (LwM2M Core 1.2, 6.3.2)."""

import pytest

from lwm2m_fota.errors import StorageError
from lwm2m_fota.lwm2m.operations import Answer

CONTENT, BAD_REQUEST, NOT_ALLOWED, UNAUTHORIZED = 0x45, 0x80, 0x85, 0x81
LINK = 40


def discover(device, path, *queries):
    return device.ask(1, path, accept=LINK, options=[(15, query) for query in queries])


@pytest.mark.parametrize(
    ("path", "depth", "links"),
    [
        ("/3", 0, "</3>;ver=1.2"),
        ("/3", 1, "</3>;ver=1.2,</3/0>"),
        ("/3", 2, "</3>;ver=1.2,</3/0>,</3/0/2>,</3/0/4>,</3/0/11>;dim=2"),
        ("/3", 3, "</3>;ver=1.2,</3/0>,</3/0/2>,</3/0/4>,</3/0/11>;dim=2,</3/0/11/0>,</3/0/11/1>"),
        ("/3", None, "</3>;ver=1.2,</3/0>,</3/0/2>,</3/0/4>,</3/0/11>;dim=2"),
        ("/3/0", 0, "</3/0>"),
        ("/3/0", 1, "</3/0>,</3/0/2>,</3/0/4>,</3/0/11>;dim=2"),
        ("/3/0", 2, "</3/0>,</3/0/2>,</3/0/4>,</3/0/11>;dim=2,</3/0/11/0>,</3/0/11/1>"),
        ("/3/0", 3, "</3/0>,</3/0/2>,</3/0/4>,</3/0/11>;dim=2,</3/0/11/0>,</3/0/11/1>"),
        ("/3/0", None, "</3/0>,</3/0/2>,</3/0/4>,</3/0/11>;dim=2"),
        ("/3/0/11", None, "</3/0/11>;dim=2"),
        ("/3/0/11", 0, "</3/0/11>;dim=2"),
        ("/3/0/11", 1, "</3/0/11>;dim=2,</3/0/11/0>,</3/0/11/1>"),
        ("/3/0/11", 3, "</3/0/11>;dim=2,</3/0/11/0>,</3/0/11/1>"),
        ("/3/0/2", 3, "</3/0/2>"),
    ],
)
def test_depth(device, path, depth, links):
    queries = () if depth is None else (f"depth={depth}".encode(),)
    answer = discover(device, path, *queries)
    assert (answer.code, answer.payload.decode()) == (CONTENT, links)


@pytest.mark.parametrize("query", [b"depth=4", b"depth=-1", b"depth=", b"depth", b"depth=01", b"depth=x"])
def test_another_depth(device, query):
    assert discover(device, "/3", query).code == BAD_REQUEST


def test_other_parameters_are_passed_over(device):
    assert discover(device, "/3", b"x=1", b"depth=0").payload == b"</3>;ver=1.2"


def test_what_is_no_target(device):
    assert discover(device, "/3/0/11/0").code == NOT_ALLOWED
    assert discover(device, "/0").code == UNAUTHORIZED


@pytest.mark.parametrize("read", [StorageError("worn out"), Answer(0xA3)])
def test_a_dimension_that_cannot_be_read_is_0(device, read):
    def handle(operation, now):
        if isinstance(read, Answer):
            return read
        raise read

    device.dispatcher._objects[3] = Unreadable(device.identity, handle)
    assert discover(device, "/3/0/11", b"depth=1").payload == b"</3/0/11>;dim=0"


class Unreadable:
    def __init__(self, each, handle):
        self.definition, self.instances, self.resources = each.definition, each.instances, each.resources
        self.handle = handle
