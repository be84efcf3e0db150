"""Object 33629 as operations, alone and through the dispatcher (SPEC 4)."""

import pytest

from lwm2m_fota.content.codec import decode as read_content
from lwm2m_fota.errors import FotaError
from lwm2m_fota.lwm2m.advanced_object import AdvancedObject, ForStage
from lwm2m_fota.lwm2m.operations import Execute, Read, Write, WriteBlock
from lwm2m_fota.lwm2m.update_operations import EndPush, StageBlock
from lwm2m_fota.machines import effects as fx
from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines.component_policies import AdvancedPolicies, UnquotedLinks
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.machines.coordinator_events import (
    BatchSucceeded,
    BeginBatch,
    For,
    On,
    PackageChecked,
    PackageContent,
)
from lwm2m_fota.machines.coordinator_state import Requirement, Stage, new_group
from lwm2m_fota.machines.policies import FirmwarePolicies, SynchronousUriFailure
from lwm2m_fota.model.enums import ProtocolSupport, UpdateResult
from lwm2m_fota.model.paths import Path
from lwm2m_fota.model.registry import standard_definitions
from lwm2m_fota.model.resources import ObjectLink

WALL = 1_700_000_000.5
CHANGED, CONTENT = 0x44, 0x45
BAD, NOT_FOUND, NOT_ALLOWED, INCOMPLETE = 0x80, 0x84, 0x85, 0x88
DELETE = 4
PARTS = (PackageContent("app", "2.0"), PackageContent("modem", "2.1"))


def make(**choices):
    firmware = choices.pop("policies", FirmwarePolicies())
    profile = AdvancedProfile(
        components=(ComponentSpec(0, "app"), ComponentSpec(1, "modem"), ComponentSpec(3, "radio")),
        protocols=(ProtocolSupport.COAP, ProtocolSupport.COAPS),
        policies=firmware,
        advanced=AdvancedPolicies(**choices),
    )
    return AdvancedObject(profile, new_group(profile, ("1.0", "1.1", "1.2")))


def at(*ids):
    return Path.of(33629, *ids)


def write(instance, resource, value):
    return Write(at(instance, resource), [(at(instance, resource), value)])


def block(instance, payload, *, first=True, final=False, offset=0, size=None):
    return WriteBlock(at(instance, 0), offset, payload, first=first, final=final, size_bytes=size)


def ask(advanced, operation):
    try:
        handled = advanced.handle(operation, WALL)
    except FotaError as error:
        return error.code, ()
    return handled.answer.code, handled.effects


def download(advanced, instance, checked):
    assert ask(advanced, block(instance, b"abc", final=True))[0] == CHANGED
    advanced.apply(On(instance, ev.PackageReceived()), WALL)
    advanced.apply(On(instance, checked), WALL)


def value(advanced, *ids):
    entries = advanced.handle(Read(at(*ids)), WALL).answer.entries
    return [each for _, each in entries]


# ---- reads ---------------------------------------------------------------------------------------------------------

# SPEC 4, a component that nothing has happened to
FRESH = {
    (1,): "", (3,): 0, (5,): 0, (6,): "", (7,): "", (8, 0): 0, (8, 1): 1, (9,): 2, (11,): 1, (12,): 0, (13,): 0,
    (14,): "modem", (15,): "1.1",
}  # fmt: skip


def test_read_an_instance():
    entries = make().handle(Read(at(1)), WALL).answer.entries
    assert {path.ids[2:]: each for path, each in entries} == FRESH


def test_read_all_instances():
    entries = make().handle(Read(at()), WALL).answer.entries
    assert sorted({path.instance_id for path, _ in entries}) == [0, 1, 3]
    assert len(entries) == 3 * len(FRESH)


def test_read_links():
    advanced = make()
    download(advanced, 1, PackageChecked("n", "2.0", requirements=(Requirement("radio", "2"),)))
    assert value(advanced, 1, 17) == [ObjectLink(33629, 3)]
    assert value(advanced, 1, 17, 0) == [ObjectLink(33629, 3)]
    assert value(advanced, 1, 16) == []
    download(advanced, 3, PackageChecked("n", "2.0"))
    assert (value(advanced, 1, 16), value(advanced, 1, 17)) == ([ObjectLink(33629, 3)], [])
    assert value(advanced, 3, 16) == [ObjectLink(33629, 1)]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (at(2), NOT_FOUND),
        (at(2, 3), NOT_FOUND),
        (at(0, 4), NOT_FOUND),
        (at(0, 16, 0), NOT_FOUND),
        (at(0, 0), NOT_ALLOWED),
        (at(0, 2), NOT_ALLOWED),
    ],
)
def test_what_cannot_be_read(path, code):
    assert ask(make(), Read(path))[0] == code


# ---- writes --------------------------------------------------------------------------------------------------------


def test_pull():
    advanced = make()
    code, effects = ask(advanced, write(1, 1, "coaps://h/p"))
    assert code == CHANGED
    assert effects == (
        fx.Persist(),
        For(1, fx.OpenStage(None, 1)),
        For(1, fx.Notify((12, 1, 3))),
        For(1, fx.StartPull("coaps://h/p", 1)),
    )
    assert value(advanced, 1, 3) == [1]
    assert ask(advanced, write(1, 1, ""))[0] == CHANGED
    assert value(advanced, 1, 3) == [0]


def test_several_values_are_written_together_or_not_at_all():
    advanced = make()
    both = Write(at(0), [(at(0, 11), 2), (at(0, 13), 60)])
    assert ask(advanced, both)[0] == CHANGED
    assert (value(advanced, 0, 11), value(advanced, 0, 13)) == ([2], [60])
    assert ask(advanced, Write(at(0), [(at(0, 11), 0), (at(0, 13), 2**63)])) == (BAD, ())
    assert value(advanced, 0, 11) == [2]


def test_answer_of_the_first_that_is_not_a_success():
    advanced = make(policies=FirmwarePolicies(synchronous_uri_failure=SynchronousUriFailure.STAY_IDLE))
    code, _ = ask(advanced, Write(at(0), [(at(0, 1), "no uri"), (at(0, 11), 0)]))
    assert (code, value(advanced, 0, 5), value(advanced, 0, 11)) == (BAD, [7], [0])


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (write(0, 3, 0), NOT_ALLOWED),
        (write(0, 14, "x"), NOT_ALLOWED),
        (write(0, 16, ObjectLink(33629, 1)), NOT_ALLOWED),
        (write(0, 4, 0), NOT_FOUND),
        (write(2, 11, 0), NOT_FOUND),
        (write(0, 11, 3), BAD),
        (write(0, 13, -1), BAD),
        (write(0, 1, "x" * 256), BAD),
        (write(0, 0, b"abc"), BAD),
        (Write(at(0), [(at(0, 11, 0), 1)]), NOT_FOUND),
        (Write(at(), [(at(0, 11), 1)]), NOT_FOUND),
        (Execute(at(0, 3)), NOT_ALLOWED),
        (Execute(at(2, 2)), NOT_FOUND),
        (Execute(at(0, 2)), NOT_ALLOWED),
        (Execute(at(0, 10)), NOT_ALLOWED),
        (WriteBlock(at(0, 1), 0, b"x", first=True, final=True), NOT_ALLOWED),
        (WriteBlock(at(2, 0), 0, b"x", first=True, final=True), NOT_FOUND),
        (block(0, b"x", first=False, offset=16), INCOMPLETE),
        (block(0, b"", final=True), BAD),
    ],
)
def test_what_is_refused(operation, code):
    advanced = make()
    before = advanced.group
    assert ask(advanced, operation) == (code, ())
    assert advanced.group is before


# ---- pushes --------------------------------------------------------------------------------------------------------


def test_push_in_blocks():
    advanced = make()
    code, effects = ask(advanced, block(3, b"a" * 16, size=20))
    assert code == CHANGED
    assert effects == (
        fx.Persist(),
        For(3, fx.OpenStage(20, 1)),
        For(3, fx.Notify((12, 3))),
        ForStage(Stage(3, 1), StageBlock(0, b"a" * 16)),
    )
    assert ask(advanced, block(3, b"bbbb", first=False, final=True, offset=16)) == (
        CHANGED,
        (ForStage(Stage(3, 1), StageBlock(16, b"bbbb")), ForStage(Stage(3, 1), EndPush())),
    )
    advanced.apply(On(3, ev.PackageReceived()), WALL)
    assert ask(advanced, block(3, b"c", first=False, offset=32))[0] == INCOMPLETE


def test_nul_package_resets():
    advanced = make()
    ask(advanced, block(0, b"a" * 16))
    assert ask(advanced, block(0, b"\x00", final=True))[0] == CHANGED
    assert value(advanced, 0, 3) == [0]


def test_push_where_none_may_begin():
    advanced = make()
    ask(advanced, write(0, 1, "coap://h/p"))
    assert ask(advanced, block(0, b"a" * 16)) == (NOT_ALLOWED, ())


# ---- Update and Cancel ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "batch"),
    [(b"", (0, 1)), (b"0", (1,)), (b"0='</33629/0>'", (0, 1)), (b"0='</33629/3>'", (1, 3))],
)
def test_update(arguments, batch):
    advanced = make()
    download(advanced, 0, PackageChecked("bundle", "2", PARTS))
    download(advanced, 3, PackageChecked("r", "9"))
    code, effects = ask(advanced, Execute(at(1, 2), arguments))
    assert (code, effects[-1]) == (CHANGED, BeginBatch(1, batch))
    advanced.apply(BatchSucceeded(1), WALL)
    versions = {0: "2.0", 1: "2.1", 3: "9"}
    old = {0: "1.0", 1: "1.1", 3: "1.2"}
    for instance in (0, 1, 3):
        assert value(advanced, instance, 15) == [versions[instance] if instance in batch else old[instance]]


@pytest.mark.parametrize(
    "arguments", [b"1", b"0='</33629/1>'", b"0='</5/0>'", b"0='</33629/0>,</33629/0>'", b"0='</33629/2>'"]
)
def test_update_with_a_bad_argument(arguments):
    advanced = make()
    download(advanced, 0, PackageChecked("bundle", "2", PARTS))
    before = advanced.group
    assert ask(advanced, Execute(at(1, 2), arguments)) == (BAD, ())
    assert advanced.group is before


def test_list_without_quotes_by_policy():
    for choice, code in ((UnquotedLinks.BAD_REQUEST, BAD), (UnquotedLinks.ACCEPTED, CHANGED)):
        advanced = make(unquoted_links=choice)
        download(advanced, 0, PackageChecked("bundle", "2", PARTS))
        assert ask(advanced, Execute(at(1, 2), b"0=</33629/0>"))[0] == code


def test_deferral():
    advanced = make()
    ask(advanced, write(0, 13, 60))
    download(advanced, 0, PackageChecked("n", "2"))
    advanced.defers = True
    assert ask(advanced, Execute(at(0, 2)))[0] == CHANGED
    assert value(advanced, 0, 5) == [11]
    advanced.defers = False
    assert ask(advanced, Execute(at(0, 2)))[0] == CHANGED
    assert value(advanced, 0, 3) == [3]


def test_cancel():
    advanced = make()
    ask(advanced, block(0, b"a" * 16))
    assert ask(advanced, Execute(at(0, 10)))[0] == CHANGED
    assert (value(advanced, 0, 5), value(advanced, 1, 5)) == ([10], [0])


def test_failure_of_an_effect_is_reported():
    advanced = make()
    ask(advanced, block(0, b"a" * 16))
    taken = advanced.apply(On(0, ev.TransferFailed(UpdateResult.NOT_ENOUGH_STORAGE)), WALL)
    assert (int(taken.answer.code), value(advanced, 0, 5)) == (0x8D, [2])


# ---- through the dispatcher ----------------------------------------------------------------------------------------


class Host:
    """The object in a client; effects are kept."""

    def __init__(self, advanced):
        self.object = advanced
        self.definition = advanced.definition
        self.effects = []

    def instances(self):
        return self.object.instances()

    def resources(self, instance_id):
        return self.object.resources()

    def streams(self, path):
        return self.object.streams(path)

    def listen(self, listener):
        pass

    def handle(self, operation, now):
        handled = self.object.handle(operation, WALL)
        self.effects.extend(handled.effects)
        return handled.answer


@pytest.fixture
def client(make_device):
    return type(make_device())(Host(make()))


def test_instances_are_neither_created_nor_deleted(client):
    assert client.post("/33629", b"").code == NOT_ALLOWED
    for path in ("/33629", "/33629/0", "/33629/9"):
        assert client.ask(DELETE, path).code == NOT_ALLOWED
    assert client.put("/33629", b"").code == NOT_ALLOWED
    assert client.put("/33629/9/11", b"1").code == NOT_FOUND
    assert client.host.instances() == (0, 1, 3)


def test_registration_names_every_instance(client):
    assert b"</33629/0>,</33629/1>,</33629/3>" in client.dispatcher.object_links()


def test_resources_over_coap(client):
    assert client.get("/33629/1/14").payload == b"modem"
    assert client.get("/33629/3/3").payload == b"0"
    answer = client.get("/33629/1", accept=112)
    entries = read_content(answer.payload, 112, at(1), standard_definitions())
    assert {path.ids[2:]: each for path, each in entries} == FRESH
    answer = client.get("/33629/0/16", accept=11542)
    assert (answer.code, answer.payload.hex()) == (CONTENT, "8010")


def test_push_and_update_over_coap(client):
    assert client.blocks("/33629/0/0", b"x" * 40, 0) == [0x5F, 0x5F, CHANGED]
    staged = [each.effect for each in client.host.effects if isinstance(each, ForStage)]
    assert staged == [StageBlock(0, b"x" * 16), StageBlock(16, b"x" * 16), StageBlock(32, b"x" * 8), EndPush()]
    client.host.object.apply(On(0, ev.PackageReceived()), WALL)
    client.host.object.apply(On(0, PackageChecked("bundle", "2", PARTS)), WALL)
    linked = client.get("/33629/1/16", accept=11542)
    assert linked.payload.hex() == "86104400835d0000"
    assert client.post("/33629/0/2", b"0='</33629/1>'").code == CHANGED
    assert client.host.effects[-1] == BeginBatch(1, (0, 1))
    assert client.post("/33629/0/10").code == NOT_ALLOWED
