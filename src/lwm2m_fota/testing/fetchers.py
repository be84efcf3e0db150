"""What every `PackageFetcher` must do, against an origin of whoever runs the suite."""

# ruff: noqa: S101, D102 - a conformance suite speaks in asserts, and the names of its tests say what they check

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol, TypeAlias

import pytest

from lwm2m_fota.device.fetch import PackageFetcher
from lwm2m_fota.errors import (
    FotaError,
    ResponseError,
    StorageFullError,
    TransportError,
    UnsupportedProtocolError,
    UriError,
)

WAIT_S: Final = 110.0  # beyond MAX_TRANSMIT_WAIT (RFC 7252 section 4.8.2), for fetchers in virtual time
PACKAGE: Final = bytes(number * 7 % 251 for number in range(40_000))
LONG: Final = PACKAGE * 5
OTHER: Final = bytes(number * 5 % 241 for number in range(36_000))
NOT_FOUND: Final = 0x84  # 4.04
PRECONDITION_FAILED: Final = 0x8C  # 4.12

Test: TypeAlias = Callable[["FetchOrigin"], Coroutine[Any, Any, None]]


class FetchOrigin(Protocol):
    """An origin that is up, and a fetcher that reaches it."""

    @property
    def fetcher(self) -> PackageFetcher:
        """The fetcher under test."""
        ...

    def publish(self, data: bytes) -> str:
        """Serve these bytes under another URI, with an ETag that other bytes do not have; returns the URI."""
        ...

    def replace(self, uri: str, data: bytes) -> None:
        """Serve these bytes there from now on."""
        ...

    def withdraw(self, uri: str) -> None:
        """Serve nothing there from now on."""
        ...

    async def stop(self) -> None:
        """Answer nobody from now on."""
        ...


class RecordingSink:
    """A sink that remembers what it was told, and checks that it comes in order.

    Args:
        data: what is there already.
        on_block: called after each block; what it raises ends the fetch.

    Attributes:
        data: what is there now.
        begins: the offset of the first block since the fetch began, or began anew; None before.
        etags: the ETags of all blocks since.
        sizes: the sizes that were told.
        blocks: how many came in all.
        restarts: how often the package began anew.
        led_on: the URIs that the origin has led on to.
        is_whole: the last block has come.
    """

    def __init__(self, data: bytes = b"", on_block: Callable[[], None] | None = None) -> None:
        self.data = bytearray(data)
        self.begins: int | None = None
        self.etags: set[bytes | None] = set()
        self.sizes: set[int | None] = set()
        self.blocks = 0
        self.restarts = 0
        self.led_on: list[str] = []
        self.is_whole = False
        self._on_block = on_block

    def block(self, offset: int, payload: bytes, *, etag: bytes | None, size_bytes: int | None, last: bool) -> None:
        """Take a block."""
        assert not self.is_whole
        assert offset == len(self.data)
        assert payload or last
        self.begins = offset if self.begins is None else self.begins
        self.data += payload
        self.etags.add(etag)
        self.sizes.add(size_bytes)
        self.blocks += 1
        self.is_whole = last
        if self._on_block is not None:
            self._on_block()

    def restarted(self, reason: str) -> None:
        """Begin anew."""
        assert reason
        self.data.clear()
        self.begins = None
        self.etags.clear()
        self.restarts += 1

    def leads_on(self, uri: str) -> None:
        """Go there."""
        self.led_on.append(uri)


class FetcherConformance:
    """Subclass it, and implement `origin`.

    What it asks of a fetcher is what a device counts on: bytes come in order and once, an offset belongs to an ETag,
    and whatever goes wrong is an error of `lwm2m_fota.errors` that says whether asking again may help.
    """

    def origin(self) -> AbstractAsyncContextManager[FetchOrigin]:
        """An origin, up while the context is entered; entered within the loop of `run`."""
        raise NotImplementedError

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run a test in an event loop; a fetcher for a special loop has its own way."""
        asyncio.run(main)

    def at_origin(self, test: Test) -> None:
        """Run a test with an origin that is up."""

        async def main() -> None:
            async with asyncio.timeout(WAIT_S), self.origin() as origin:
                await test(origin)

        self.run(main())

    # -- from the beginning

    @pytest.mark.parametrize("size_bytes", [0, 1, 16, 1023, 1024, 1025, 2048, len(PACKAGE)])
    def test_a_package_comes_whole_and_in_order(self, size_bytes: int) -> None:
        async def test(origin: FetchOrigin) -> None:
            uri, sink = origin.publish(PACKAGE[:size_bytes]), RecordingSink()
            await origin.fetcher.resolve(uri)
            await origin.fetcher.fetch(uri, sink, offset=0, etag=None)
            assert bytes(sink.data) == PACKAGE[:size_bytes]
            assert (sink.is_whole, sink.restarts, sink.begins) == (True, 0, 0)
            assert sink.sizes <= {None, size_bytes}
            assert len(sink.etags) == 1
            assert not size_bytes or None not in sink.etags

        self.at_origin(test)

    def test_its_schemes_are_those_of_its_uris(self) -> None:
        async def test(origin: FetchOrigin) -> None:
            schemes = origin.fetcher.schemes
            assert origin.publish(PACKAGE).partition(":")[0] in schemes
            assert all(scheme == scheme.lower() for scheme in schemes)

        self.at_origin(test)

    def test_two_fetches_at_a_time_are_kept_apart(self) -> None:
        async def test(origin: FetchOrigin) -> None:
            uris = origin.publish(PACKAGE), origin.publish(OTHER)
            sinks = RecordingSink(), RecordingSink()
            async with asyncio.TaskGroup() as group:
                for uri, sink in zip(uris, sinks, strict=True):
                    group.create_task(origin.fetcher.fetch(uri, sink, offset=0, etag=None))
            assert [bytes(sink.data) for sink in sinks] == [PACKAGE, OTHER]
            assert sinks[0].etags != sinks[1].etags

        self.at_origin(test)

    # -- the rest

    @pytest.mark.parametrize("offset", [1, 16, 1000, 1024, 1025, 32_768, len(PACKAGE) - 1])
    def test_the_rest_of_a_package_begins_where_it_is_asked_for(self, offset: int) -> None:
        async def test(origin: FetchOrigin) -> None:
            uri = origin.publish(PACKAGE)
            etag = await _etag_of(origin.fetcher, uri)
            rest = RecordingSink(PACKAGE[:offset])
            await origin.fetcher.fetch(uri, rest, offset=offset, etag=etag)
            assert bytes(rest.data) == PACKAGE
            assert (rest.is_whole, rest.restarts, rest.begins) == (True, 0, offset)
            assert rest.etags == {etag}

        self.at_origin(test)

    def test_the_rest_of_another_version_is_never_taken(self) -> None:
        """The fetch begins anew by itself, or ends with 4.12: then the device begins anew."""

        async def test(origin: FetchOrigin) -> None:
            uri = origin.publish(PACKAGE)
            etag = await _etag_of(origin.fetcher, uri)
            origin.replace(uri, OTHER)
            rest, refused = RecordingSink(PACKAGE[:1024]), None
            try:
                await origin.fetcher.fetch(uri, rest, offset=1024, etag=etag)
            except ResponseError as error:
                refused = error.response_code
            if rest.is_whole:
                assert bytes(rest.data) == OTHER
                assert (rest.restarts, rest.begins, refused) == (1, 0, None)
                assert etag not in rest.etags
            else:
                assert bytes(rest.data) == PACKAGE[:1024]
                assert (rest.restarts, refused) == (0, PRECONDITION_FAILED)

        self.at_origin(test)

    def test_a_package_that_changes_on_the_way_is_never_a_mixture(self) -> None:
        async def test(origin: FetchOrigin) -> None:
            uri = origin.publish(PACKAGE)
            sink = RecordingSink(on_block=lambda: origin.replace(uri, OTHER) if sink.blocks == 1 else None)
            try:
                await origin.fetcher.fetch(uri, sink, offset=0, etag=None)
            except (ResponseError, TransportError):
                assert not sink.is_whole
                assert PACKAGE.startswith(sink.data) or OTHER.startswith(sink.data)
            else:
                assert bytes(sink.data) in {PACKAGE, OTHER}
                assert sink.is_whole

        self.at_origin(test)

    # -- the sink

    def test_what_the_sink_raises_ends_the_fetch(self) -> None:
        async def test(origin: FetchOrigin) -> None:
            uri, full = origin.publish(PACKAGE), StorageFullError("full")
            sink = RecordingSink(on_block=_raising(full))
            with pytest.raises(StorageFullError) as caught:
                await origin.fetcher.fetch(uri, sink, offset=0, etag=None)
            assert caught.value is full
            assert sink.blocks == 1
            again = RecordingSink()
            await origin.fetcher.fetch(uri, again, offset=0, etag=None)
            assert bytes(again.data) == PACKAGE
            assert sink.blocks == 1

        self.at_origin(test)

    def test_a_fetch_that_is_cancelled_is_silent_and_another_one_goes_on(self) -> None:
        async def test(origin: FetchOrigin) -> None:
            uri = origin.publish(LONG)
            begun = asyncio.Event()
            sink = RecordingSink(on_block=begun.set)
            running = asyncio.ensure_future(origin.fetcher.fetch(uri, sink, offset=0, etag=None))
            await begun.wait()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            had, (etag,) = sink.blocks, sink.etags
            rest = RecordingSink(bytes(sink.data))
            await origin.fetcher.fetch(uri, rest, offset=len(sink.data), etag=etag)
            assert bytes(rest.data) == LONG
            assert sink.blocks == had

        self.at_origin(test)

    # -- what goes wrong

    def test_what_is_not_there_is_4_04(self) -> None:
        async def test(origin: FetchOrigin) -> None:
            uri, sink = origin.publish(PACKAGE), RecordingSink()
            origin.withdraw(uri)
            with pytest.raises(ResponseError) as caught:
                await origin.fetcher.fetch(uri, sink, offset=0, etag=None)
            assert caught.value.response_code == NOT_FOUND
            assert (sink.blocks, sink.restarts) == (0, 0)

        self.at_origin(test)

    @pytest.mark.parametrize("rest", [f"//{'a' * 64}.invalid/x", "//127.0.0.1:0/x", "//127.0.0.1:65536/x", ""])
    def test_a_uri_that_leads_nowhere_is_a_uri_error(self, rest: str) -> None:
        async def test(origin: FetchOrigin) -> None:
            uri, sink = f"{origin.publish(PACKAGE).partition(':')[0]}:{rest}", RecordingSink()
            with pytest.raises(UriError):
                await origin.fetcher.resolve(uri)
            with pytest.raises(UriError):
                await origin.fetcher.fetch(uri, sink, offset=0, etag=None)
            assert sink.blocks == 0

        self.at_origin(test)

    def test_a_scheme_that_it_does_not_speak_is_refused(self) -> None:
        async def test(origin: FetchOrigin) -> None:
            with pytest.raises(UnsupportedProtocolError):
                await origin.fetcher.resolve("gopher://127.0.0.1/x")
            with pytest.raises(UnsupportedProtocolError):
                await origin.fetcher.fetch("gopher://127.0.0.1/x", RecordingSink(), offset=0, etag=None)

        self.at_origin(test)

    def test_an_origin_that_has_gone_is_a_transport_error(self) -> None:
        async def test(origin: FetchOrigin) -> None:
            uri, sink = origin.publish(PACKAGE), RecordingSink()
            await origin.stop()
            with pytest.raises(TransportError):
                await origin.fetcher.fetch(uri, sink, offset=0, etag=None)
            assert sink.blocks == 0

        self.at_origin(test)


async def _etag_of(fetcher: PackageFetcher, uri: str) -> bytes:
    """The ETag of a package, as the fetcher tells it."""
    enough = StorageFullError("enough")
    sink = RecordingSink(on_block=_raising(enough))
    with pytest.raises(StorageFullError):
        await fetcher.fetch(uri, sink, offset=0, etag=None)
    (etag,) = sink.etags
    assert etag
    return etag


def _raising(error: FotaError) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail
