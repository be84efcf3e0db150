"""Packages that lie in several places: an envelope, and payloads that it fetches."""

import asyncio

import pytest

from lwm2m_fota.device.hosts import AllowedHosts
from lwm2m_fota.device.pull import Pull
from lwm2m_fota.device.staging import Staging
from lwm2m_fota.errors import PackageError, ResponseError, TransportError
from lwm2m_fota.package.cose.create import CoseSigner
from lwm2m_fota.package.formats.suit.make import SuitComponent, SuitOptions, create_suit
from lwm2m_fota.package.rollback import RollbackFloor
from lwm2m_fota.sim.loop import run
from lwm2m_fota.storage.memory import MemoryImageStore

APP, RADIO = b"application" * 200, b"radio" * 300
NO_FLOOR = RollbackFloor()
APP_URI, RADIO_URI = "coap://elsewhere/app", "coap://elsewhere/radio"


def scattered(kit):
    components = [
        SuitComponent(id=(b"app",), image=APP, uri=APP_URI),
        SuitComponent(id=(b"radio",), image=RADIO, uri=RADIO_URI),
    ]
    options = SuitOptions(sequence_number=1)
    return create_suit(components, options=options, signers=[CoseSigner(key=kit.KEY)])


class Shelf:
    """A fetcher of several bodies; `errors` are raised one by one at the URI and offset that they are for."""

    schemes = frozenset({"coap"})

    def __init__(self, bodies):
        self.bodies = bodies
        self.errors = {}
        self.etags = {}
        self.fetched = []

    async def resolve(self, uri):
        await asyncio.sleep(0)

    async def fetch(self, uri, sink, *, offset, etag):
        mine = self.etags.get(uri, b"etag")
        if etag is not None and etag != mine:
            sink.restarted("another version")
        self.fetched.append((uri, offset))
        data = self.bodies[uri]
        while True:
            await asyncio.sleep(0.01)
            if self.errors.get(uri) and offset >= self.errors[uri][0][0]:
                raise self.errors[uri].pop(0)[1]
            payload = data[offset : offset + 256]
            last = offset + len(payload) >= len(data)
            sink.block(offset, payload, etag=mine, size_bytes=len(data), last=last)
            offset += len(payload)
            if last:
                return


class Bench:
    def __init__(self, kit, shelf, capacity_bytes=1 << 20, hosts=None, floor=NO_FLOOR):
        self.kit, self.shelf = kit, shelf
        self.staging = Staging(MemoryImageStore(capacity_bytes), kit.TRUST, floor=lambda: floor)
        self.checkpoints = []
        self.ends = []
        self.pull = Pull(self.staging, (shelf,), kit.QUICK, self, lambda: 0.0, hosts)
        self.staging.open(None)

    def pull_checkpoint(self, checkpoint):
        self.checkpoints.append(checkpoint)

    def pull_finished(self, transfer):
        self.ends.append((transfer, "finished"))

    def pull_failed(self, transfer, result, diagnosis):
        self.ends.append((transfer, int(result), diagnosis))

    async def end(self):
        self.pull.start(self.kit.URI, 1, None)
        await asyncio.sleep(50_000.0)
        (end,) = self.ends
        return end


@pytest.fixture
def pulled(kit, quiet):
    """`pulled(prepare)` is the bench after a pull; `prepare(bench)` may change what is on the shelf first."""

    def make(prepare=lambda bench: None, **options):
        async def whole():
            seen = quiet()
            envelope = scattered(kit)
            bench = Bench(kit, Shelf({kit.URI: envelope.data, APP_URI: APP, RADIO_URI: RADIO}), **options)
            bench.envelope = envelope
            prepare(bench)
            bench.end_of_it = await bench.end()
            assert seen == []
            return bench

        return run(whole())

    return make


def test_payloads_are_fetched_after_the_envelope_and_stored_behind_it(pulled, kit):
    bench = pulled()
    assert bench.end_of_it == (1, "finished")
    assert [uri for uri, _ in bench.shelf.fetched] == [kit.URI, APP_URI, RADIO_URI]
    package = bench.staging.finish()
    image = bench.staging.sealed
    assert image.read_at(0, image.size_bytes) == bench.envelope.whole
    assert [(each.name, each.length_bytes) for each in package.components] == [("app", 2200), ("radio", 1500)]
    assert bench.staging.verify_again().sha256 == package.sha256
    assert bench.checkpoints[-1] is None


def test_a_fetch_that_breaks_off_goes_on_where_it_was(pulled):
    def prepare(bench):
        bench.shelf.errors[APP_URI] = [(512, TransportError("gone")), (1024, TransportError("gone again"))]

    bench = pulled(prepare)
    assert bench.end_of_it == (1, "finished")
    assert [offset for uri, offset in bench.shelf.fetched if uri == APP_URI] == [0, 512, 1024]
    assert bench.staging.finish().size_bytes == len(bench.envelope.whole)


def test_a_payload_that_changes_meanwhile_is_fetched_anew(pulled):
    def prepare(bench):
        class Changing(dict):
            def get(self, uri, default=None):
                return b"first" if uri == APP_URI and len(bench.shelf.fetched) < 2 else default

        bench.shelf.etags = Changing()
        bench.shelf.errors[APP_URI] = [(512, TransportError("gone"))]

    bench = pulled(prepare)
    assert bench.end_of_it == (1, "finished")
    assert [offset for uri, offset in bench.shelf.fetched if uri == APP_URI] == [0, 0]
    assert bench.staging.finish().size_bytes == len(bench.envelope.whole)


def test_a_payload_that_is_not_the_one_ends_the_pull(pulled):
    def prepare(bench):
        bench.shelf.bodies[RADIO_URI] = RADIO[:-1] + b"x"

    assert pulled(prepare).end_of_it[1:] == (
        5,
        f"pull.package-refused: digest mismatch: payload {RADIO_URI} is not what the manifest says",
    )


@pytest.mark.parametrize("change", [RADIO + b"more", RADIO[:-1]])
def test_a_payload_of_another_length_is_not_installed(pulled, change):
    def prepare(bench):
        bench.shelf.bodies[RADIO_URI] = change

    bench = pulled(prepare)
    if bench.end_of_it == (1, "finished"):
        with pytest.raises(PackageError, match="truncated: 1 bytes of a payload are missing"):
            bench.staging.finish()
    else:
        assert bench.end_of_it[1:] == (5, "pull.package-refused: malformed: bytes follow the envelope and its payloads")


def test_a_payload_that_is_refused_ends_the_pull(pulled):
    def prepare(bench):
        bench.shelf.errors[APP_URI] = [(0, ResponseError("not found", response_code=132))]

    result = pulled(prepare).end_of_it
    assert result[1] in {7, 8}


def test_a_place_that_is_not_allowed_ends_the_pull_before_anybody_goes_there(pulled, kit):
    first = kit.URI.split("/")[2]
    assert pulled(hosts=AllowedHosts([first, "elsewhere"])).end_of_it == (1, "finished")
    bench = pulled(hosts=AllowedHosts([first]))
    assert bench.end_of_it == (1, 7, "pull.host-not-allowed: elsewhere is not among the allowed hosts")
    assert {uri for uri, _ in bench.shelf.fetched} == {kit.URI}
    bench = pulled(hosts=AllowedHosts(["elsewhere"]))
    assert bench.end_of_it[1] == 7
    assert not bench.shelf.fetched


def test_a_place_that_no_fetcher_speaks_to_ends_the_pull(pulled, kit):
    def prepare(bench):
        away = SuitComponent(id=(b"app",), image=APP, uri="gopher://host/app")
        made = create_suit([away], options=SuitOptions(sequence_number=1), signers=[CoseSigner(key=kit.KEY)])
        bench.shelf.bodies[kit.URI] = made.data

    assert pulled(prepare).end_of_it[1] == 9


def test_what_is_too_old_is_refused_before_its_payloads_are_fetched(pulled, kit):
    result = "pull.package-refused: rollback: counter 1 of component app, at least 2"
    bench = pulled(floor=RollbackFloor.at_least(2))
    assert bench.end_of_it == (1, 5, result)
    assert [uri for uri, _ in bench.shelf.fetched] == [kit.URI]
    assert pulled(floor=RollbackFloor.at_least(1)).end_of_it == (1, "finished")


def test_all_of_it_counts_against_the_limit(pulled, kit):
    size = len(scattered(kit).whole)
    assert pulled(capacity_bytes=size).end_of_it == (1, "finished")
    assert pulled(capacity_bytes=size - 1).end_of_it[1] == 2
