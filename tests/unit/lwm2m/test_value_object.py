"""An object made of functions."""

import pytest

from lwm2m_fota.coap.message import Message
from lwm2m_fota.errors import ContentError, FotaError, RefusedError
from lwm2m_fota.lwm2m.dispatch import Dispatcher
from lwm2m_fota.lwm2m.operations import CHANGED, Execute, Read, Write, WriteBlock, WriteMode
from lwm2m_fota.lwm2m.value_object import ValueObject
from lwm2m_fota.model.device import DEVICE
from lwm2m_fota.model.paths import Path

NOT_FOUND, NOT_ALLOWED, BAD = 0x84, 0x85, 0x80
PRIVATE = 26241  # a resource of our own, that the definition does not have


class Bench:
    def __init__(self):
        self.time, self.kind, self.calls = 5, "sensor", []
        self.errors = {1: 2, 0: 1}
        self.object = ValueObject(
            definition=DEVICE,
            readers={
                13: lambda: self.time,
                11: lambda: self.errors,
                17: lambda: self.kind,
                PRIVATE: lambda: {0: "a", 1: "b"},
            },
            writers={13: self._set_time, 17: self._set_kind, PRIVATE: self.calls.append},
            array_writers={11: self._set_errors, 12: self.calls.append},
            executors={4: self.calls.append},
        )
        self.heard = []
        self.object.listen(self.heard.append)

    def _set_time(self, value):
        self.time = value

    def _set_errors(self, values):
        self.errors = values

    def _set_kind(self, value):
        if not value:
            raise ContentError("no kind")
        self.kind = value

    def read(self, *ids):
        answer = self.object.handle(Read(Path(ids)), 0.0)
        return [(str(path), value) for path, value in answer.entries]

    def write(self, *values):
        entries = [(Path.of(3, 0, number), value) for number, value in values]
        return self.object.handle(Write(Path.of(3, 0), entries), 0.0)


@pytest.fixture
def bench():
    return Bench()


def test_it_has_one_instance_and_what_has_a_function(bench):
    assert bench.object.instances() == (0,)
    assert bench.object.resources(0) == [4, 11, 12, 13, 17, PRIVATE]
    assert bench.object.streams(Path.of(3, 0, 13)) is False


def test_read(bench):
    everything = [
        ("/3/0/11/0", 1),
        ("/3/0/11/1", 2),
        ("/3/0/13", 5),
        ("/3/0/17", "sensor"),
        (f"/3/0/{PRIVATE}/0", "a"),
        (f"/3/0/{PRIVATE}/1", "b"),
    ]
    assert bench.read(3) == bench.read(3, 0) == everything
    assert bench.read(3, 0, 13) == [("/3/0/13", 5)]
    assert bench.read(3, 0, 11, 1) == [("/3/0/11/1", 2)]


@pytest.mark.parametrize(
    ("ids", "code"),
    [
        ((3, 0, 11, 2), NOT_FOUND),
        ((3, 0, 13, 0), NOT_FOUND),
        ((3, 0, 0), NOT_FOUND),  # known, without a function
        ((3, 0, 77), NOT_FOUND),
        ((3, 0, 4), NOT_ALLOWED),
    ],
)
def test_what_cannot_be_read(bench, ids, code):
    with pytest.raises(RefusedError) as caught:
        bench.read(*ids)
    assert caught.value.code == code


def test_write_tells_its_listeners(bench):
    assert bench.write((13, 9), (17, "meter")) == CHANGED
    assert (bench.time, bench.kind) == (9, "meter")
    assert bench.heard == [[Path.of(3, 0, 13)], [Path.of(3, 0, 17)]]


def test_a_resource_that_is_not_in_the_definition_is_written_as_it_comes(bench):
    assert bench.write((PRIVATE, b"x")) == CHANGED
    assert bench.calls == [b"x"]


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([(13, 9), (17, 5)], BAD),
        ([(13, 9), (11, 0)], NOT_ALLOWED),
        ([(13, 9), (4, 0)], NOT_ALLOWED),
        ([(13, "soon")], BAD),
    ],
)
def test_nothing_is_written_before_all_is_found_to_fit(bench, values, code):
    with pytest.raises(FotaError) as caught:
        bench.write(*values)
    assert (caught.value.code, bench.time, bench.heard) == (code, 5, [])


def test_a_writer_that_refuses_leaves_what_was_written_before(bench):
    with pytest.raises(ContentError):
        bench.write((13, 9), (17, ""))
    assert (bench.time, bench.heard) == (9, [[Path.of(3, 0, 13)]])


def test_a_value_of_the_whole_instance_is_refused(bench):
    with pytest.raises(RefusedError):
        bench.object.handle(Write(Path.of(3, 0), [(Path.of(3, 0), 1)]), 0.0)


def test_execute(bench):
    assert bench.object.handle(Execute(Path.of(3, 0, 4), b"0"), 0.0) == CHANGED
    assert bench.calls == [b"0"]


@pytest.mark.parametrize("path", [Path.of(3, 0, 13), Path.of(3, 0)])
def test_what_is_not_executable(bench, path):
    with pytest.raises(RefusedError):
        bench.object.handle(Execute(path), 0.0)


def test_nothing_is_streamed(bench):
    with pytest.raises(RefusedError):
        bench.object.handle(WriteBlock(Path.of(3, 0, 13), 0, b"9", first=True, final=True), 0.0)


def test_changes_are_told_together(bench):
    bench.object.changed(11, 13)
    assert bench.heard == [[Path.of(3, 0, 11), Path.of(3, 0, 13)]]


def test_a_private_resource_of_many_values_is_not_acceptable_as_text(bench):
    """Nothing says that it is multiple before it is read."""
    path = ((11, b"3"), (11, b"0"), (11, str(PRIVATE).encode()))
    dispatcher = Dispatcher([bench.object])
    assert dispatcher.handle(Message(0, 1, 1, b"", (*path, (17, b""))), "peer", 0.0).code == 0x86
    assert dispatcher.handle(Message(0, 1, 1, b"", (*path, (17, b"\x70"))), "peer", 0.0).code == 0x45


# -- multiple resources (LwM2M Core 1.2, 6.3.3)


def write_errors(bench, path, values, mode, number=11):
    entries = [(Path.of(3, 0, number, index), value) for index, value in values.items()]
    return bench.object.handle(Write(Path(path), entries, mode), 0.0)


@pytest.mark.parametrize(
    ("path", "values", "mode", "errors"),
    [
        ((3, 0, 11), {5: 7}, WriteMode.REPLACE, {5: 7}),
        ((3, 0, 11), {5: 7}, WriteMode.UPDATE, {0: 1, 1: 2, 5: 7}),
        ((3, 0, 11), {1: 8, 5: 7}, WriteMode.UPDATE, {0: 1, 1: 8, 5: 7}),
        ((3, 0), {5: 7}, WriteMode.REPLACE, {5: 7}),
        ((3, 0), {5: 7}, WriteMode.UPDATE, {0: 1, 1: 2, 5: 7}),
        ((3, 0, 11, 1), {1: 8}, WriteMode.REPLACE, {0: 1, 1: 8}),
    ],
)
def test_an_array_is_replaced_or_added_to(bench, path, values, mode, errors):
    assert write_errors(bench, path, values, mode) == CHANGED
    assert bench.errors == errors
    assert bench.heard == [[Path.of(3, 0, 11)]]


@pytest.mark.parametrize(("number", "index"), [(11, 5), (12, 0)])
def test_an_element_that_is_not_there_is_not_written(bench, number, index):
    """LwM2M Core 1.2, 6.3.3: elements come and go with a Write of their resource."""
    path = Path.of(3, 0, number, index)
    write = Write(path, [(path, 7)])
    for ask in (bench.object.check, bench.object.handle):
        with pytest.raises(FotaError) as caught:
            ask(write, 0.0)
        assert (caught.value.code, bench.errors, bench.calls) == (0x84, {1: 2, 0: 1}, [])


def test_an_array_without_a_reader_begins_empty(bench):
    assert write_errors(bench, (3, 0), {1: 2}, WriteMode.UPDATE, number=12) == CHANGED
    assert bench.calls == [{1: 2}]


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ([((3, 0, 13), 9), ((3, 0, 11, 0), 33)], BAD),  # out of range
        ([((3, 0, 13), 9), ((3, 0, 11, 0), "x")], BAD),
        ([((3, 0, 13), 9), ((3, 0, 11), 1)], NOT_ALLOWED),  # a value of the whole array
        ([((3, 0, 13), 9), ((3, 0, 17, 0), "x")], NOT_ALLOWED),  # not an array
    ],
)
def test_whether_a_write_fits_can_be_asked_beforehand(bench, entries, code):
    write = Write(Path.of(3, 0), [(Path(ids), value) for ids, value in entries])
    for ask in (bench.object.check, bench.object.handle):
        with pytest.raises(FotaError) as caught:
            ask(write, 0.0)
        assert (caught.value.code, bench.time, bench.errors) == (code, 5, {1: 2, 0: 1})
    bench.object.check(Write(Path.of(3, 0), [(Path.of(3, 0, 13), 9)]), 0.0)
    bench.object.check(Execute(Path.of(3, 0, 4)), 0.0)
    assert (bench.time, bench.calls) == (5, [])
