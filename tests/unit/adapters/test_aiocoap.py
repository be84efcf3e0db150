"""Fetching on a context of aiocoap: what the suite for fetchers does not ask, with a context that answers as told."""

import asyncio
import importlib
import sys

import pytest

from lwm2m_fota.errors import (
    BlockwiseError,
    InvalidUriError,
    MissingExtraError,
    ResponseError,
    TransportError,
    UnsupportedProtocolError,
)
from lwm2m_fota.testing.fetchers import RecordingSink

aiocoap = pytest.importorskip("aiocoap", reason="aiocoap is not installed (pip install aiocoap)")
errors = pytest.importorskip("aiocoap.error")
adapter = pytest.importorskip("lwm2m_fota.adapters.aiocoap")

URI = "coap://127.0.0.1/fw"


class Context:
    """Gives one answer after the other; `asked` keeps the Block2 of each request."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.asked = []

    def request(self, message, handle_blockwise):
        assert not handle_blockwise
        self.asked.append(message.opt.block2 and tuple(message.opt.block2))
        answer = self._answers.pop(0)
        response = asyncio.get_running_loop().create_future()
        if isinstance(answer, Exception):
            response.set_exception(answer)
        else:
            response.set_result(answer)
        return type("Request", (), {"response": response})


def answer(payload=b"", code=None, **options):
    return aiocoap.Message(code=code or aiocoap.CONTENT, payload=payload, **options)


def fetch(*answers, offset=0, etag=None, **options):
    context, sink = Context(*answers), RecordingSink(b"x" * offset)
    fetcher = adapter.AiocoapFetcher(context, **options)
    asyncio.run(fetcher.fetch(URI, sink, offset=offset, etag=etag))
    return context.asked, sink


def test_blocks_are_asked_for_one_after_the_other():
    first = answer(b"a" * 64, block2=(0, True, 2), etag=b"1", size2=70)
    asked, sink = fetch(first, answer(b"b" * 6, block2=(1, False, 2), etag=b"1"))
    assert asked == [None, (1, False, 2)]
    assert (bytes(sink.data), sink.is_whole) == (b"a" * 64 + b"b" * 6, True)
    assert (sink.etags, sink.sizes) == ({b"1"}, {70, None})


def test_a_body_that_comes_whole_takes_the_place_of_what_is_there():
    _, sink = fetch(answer(b"whole", etag=b"2"), offset=10, etag=b"1")
    assert (bytes(sink.data), sink.restarts, sink.etags, sink.is_whole) == (b"whole", 1, {b"2"}, True)


def test_another_version_begins_anew():
    whole = answer(b"new", block2=(0, False, 6), etag=b"2")
    asked, sink = fetch(answer(b"y" * 5, block2=(1, False, 6), etag=b"2"), whole, offset=1024, etag=b"1")
    assert asked == [(1, False, 6), None]
    assert (bytes(sink.data), sink.restarts, sink.etags) == (b"new", 1, {b"2"})


def test_a_package_over_the_limit_is_refused():
    with pytest.raises(BlockwiseError):
        fetch(answer(b"a" * 64, block2=(0, True, 2)), max_body_bytes=63)


def test_a_refusal_is_told_with_its_words():
    with pytest.raises(ResponseError, match="gone for good") as caught:
        fetch(answer(b"gone for good", aiocoap.FORBIDDEN))
    assert caught.value.response_code == 0x83


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (errors.ResolutionError("nobody"), InvalidUriError),
        (errors.ConRetransmitsExceeded(), TransportError),
        (errors.NetworkError("unreachable"), TransportError),
        (errors.LibraryShutdown(), TransportError),
        (OSError("no route"), TransportError),
    ],
)
def test_errors_of_aiocoap_become_ours(raised, expected):
    with pytest.raises(expected):
        fetch(raised)


def test_every_error_of_aiocoap_is_of_the_family_that_is_translated():
    found = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)]
    warnings = [each for each in found if issubclass(each, Warning)]
    assert [each for each in found if not issubclass(each, errors.Error | OSError) and each not in warnings] == []


def test_other_schemes_are_refused():
    fetcher = adapter.AiocoapFetcher(Context())
    assert fetcher.schemes == {"coap"}
    with pytest.raises(UnsupportedProtocolError):
        asyncio.run(fetcher.resolve("coaps://127.0.0.1/fw"))


def test_without_its_extra_the_error_names_the_pip_command(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "aiocoap", None)
        with pytest.raises(MissingExtraError, match=r"pip install 'lwm2m-fota\[aiocoap\]'"):
            importlib.reload(adapter)
    importlib.reload(adapter)
