"""An object of several instances that are tables of values."""

import pytest

from lwm2m_fota.errors import RefusedError, UsageError
from lwm2m_fota.lwm2m.instances import Instances
from lwm2m_fota.lwm2m.operations import Execute, Read, Write
from lwm2m_fota.lwm2m.value_object import ValueObject
from lwm2m_fota.model.device import DEVICE
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.server import SERVER


class Accounts:
    """Two instances, 3 and 5."""

    def __init__(self):
        self.lifetimes = {3: 60, 5: 90}
        self.triggered = []
        self.object = Instances(*map(self._member, (5, 3)))

    def _member(self, number):
        return ValueObject(
            definition=SERVER,
            readers={0: lambda: number, 1: lambda: self.lifetimes[number]},
            writers={1: lambda value: self.lifetimes.update({number: value})},
            executors={8: lambda _: self.triggered.append(number)},
            instance=number,
        )


def test_what_it_has():
    each = Accounts().object
    assert each.definition is SERVER
    assert list(each.instances()) == [3, 5]
    assert each.resources(5) == [0, 1, 8]
    assert not each.streams(Path.of(1, 3, 1))


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("/1", {"/1/3/0": 3, "/1/3/1": 60, "/1/5/0": 5, "/1/5/1": 90}),
        ("/1/5", {"/1/5/0": 5, "/1/5/1": 90}),
        ("/1/3/1", {"/1/3/1": 60}),
    ],
)
def test_read(path, values):
    answer = Accounts().object.handle(Read(Path.parse(path)), 0.0)
    assert (answer.code, {str(each): value for each, value in answer.entries}) == (0x45, values)


def test_write_and_execute_are_for_one_of_them_and_changes_are_told():
    accounts, told = Accounts(), []
    accounts.object.listen(told.extend)
    path = Path.of(1, 5, 1)
    accounts.object.check(Write(path, [(path, 70)]), 0.0)
    assert accounts.lifetimes == {3: 60, 5: 90}
    assert accounts.object.handle(Write(path, [(path, 70)]), 0.0).code == 0x44
    assert accounts.object.handle(Execute(Path.of(1, 3, 8)), 0.0).code == 0x44
    assert (accounts.lifetimes, accounts.triggered, told) == ({3: 60, 5: 70}, [3], [path])
    with pytest.raises(RefusedError):
        accounts.object.check(Write(Path.of(1, 3, 0), [(Path.of(1, 3, 0), 1)]), 0.0)


@pytest.mark.parametrize("operation", [Read(Path.of(1, 4)), Write(Path.of(1), []), Execute(Path.of(1, 0, 8))])
def test_there_is_no_such_instance(operation):
    with pytest.raises(RefusedError) as caught:
        Accounts().object.handle(operation, 0.0)
    assert caught.value.code == 0x84


def test_members_are_alike_and_have_different_ids():
    with pytest.raises(UsageError):
        Instances(ValueObject(definition=SERVER, readers={}), ValueObject(definition=SERVER, readers={}))
    with pytest.raises(UsageError):
        Instances(ValueObject(definition=SERVER, readers={}), ValueObject(definition=DEVICE, readers={}, instance=1))
