"""Object 5 as operations: every operation in every state, and what is read (SPEC 2 and 3)."""

import pytest

from lwm2m_fota.errors import FotaError
from lwm2m_fota.lwm2m.firmware_object import FirmwareObject
from lwm2m_fota.lwm2m.operations import Execute, Read, Write, WriteBlock, WriteMode
from lwm2m_fota.lwm2m.update_operations import EndPush, StageBlock
from lwm2m_fota.machines.effects import BeginInstall, Notify, OpenStage, Persist, StartPull
from lwm2m_fota.machines.events import InstallFailed, PackageReceived, PackageVerified, TransferFailed
from lwm2m_fota.machines.policies import (
    FirmwarePolicies,
    ResetScope,
    SynchronousUriFailure,
    WrongStateWrite,
    ZeroLengthPackage,
)
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.model.enums import DeliveryMethod, ProtocolSupport, UpdateResult
from lwm2m_fota.model.paths import Path

WALL = 1_700_000_000.5
PACKAGE = Path.of(5, 0, 0)
CHANGED, BAD, NOT_FOUND, NOT_ALLOWED, INCOMPLETE = 0x44, 0x80, 0x84, 0x85, 0x88


def resource(resource_id):
    return Path.of(5, 0, resource_id)


def write(resource_id, value):
    return Write(resource(resource_id), [(resource(resource_id), value)])


def block(payload, *, first=True, final=False, offset=0, size=None):
    return WriteBlock(PACKAGE, offset, payload, first=first, final=final, size_bytes=size)


def make(state="idle", **profile):
    """An object in one of six situations."""
    firmware = FirmwareObject(FirmwareProfile(**profile))
    if state in {"push", "push complete", "downloaded", "updating"}:
        firmware.handle(block(b"\x01" * 16), WALL)
    if state == "pull":
        firmware.handle(write(1, "coap://host/fw"), WALL)
    if state in {"push complete", "downloaded", "updating"}:
        firmware.apply(PackageReceived(), WALL)
    if state in {"downloaded", "updating"}:
        firmware.apply(PackageVerified("app", "2.0"), WALL)
    if state == "updating":
        firmware.handle(Execute(resource(2)), WALL)
    return firmware


def ask(firmware, operation):
    """The code of the answer, and the effects; an error has none."""
    try:
        handled = firmware.handle(operation, WALL)
    except FotaError as error:
        return error.code, ()
    return handled.answer.code, handled.effects


OPERATIONS = {
    "first block": block(b"\x02" * 16),
    "next block": block(b"\x02" * 16, first=False, offset=16),
    "whole package": block(b"\x02\x03", final=True),
    "NUL package": block(b"\x00", final=True),
    "empty package": block(b"", final=True),
    "uri": write(1, "coap://host/fw2"),
    "empty uri": write(1, ""),
    "long uri": write(1, "coap://" + "x" * 249),
    "update": Execute(resource(2)),
    "cancel": Execute(resource(10)),
    "severity": write(11, 2),
    "severity 3": write(11, 3),
    "defer": write(13, 60),
    "defer -1": write(13, -1),
    "state": write(3, 0),
    "name": write(6, "x"),
    "automatic": write(14, True),
    "no such": write(4, 1),
}
# (State, Result) after it and the code; what is not listed changes nothing and answers as in REFUSED.
ACCEPTED = {
    "idle": {
        "first block": (1, 0),
        "whole package": (1, 0),
        "NUL package": (0, 0),
        "uri": (1, 0),
        "empty uri": (0, 0),
        "severity": (0, 0),
        "defer": (0, 0),
    },
    "push": {
        "first block": (1, 0),
        "next block": (1, 0),
        "whole package": (1, 0),
        "NUL package": (0, 0),
        "empty uri": (0, 0),
        "cancel": (0, 10),
        "severity": (1, 0),
        "defer": (1, 0),
    },
    "push complete": {
        "NUL package": (0, 0),
        "empty uri": (0, 0),
        "cancel": (0, 10),
        "severity": (1, 0),
        "defer": (1, 0),
    },
    "pull": {
        "NUL package": (0, 0),
        "empty uri": (0, 0),
        "cancel": (0, 10),
        "severity": (1, 0),
        "defer": (1, 0),
    },
    "downloaded": {
        "NUL package": (0, 0),
        "empty uri": (0, 0),
        "update": (3, 0),
        "cancel": (0, 10),
        "severity": (2, 0),
        "defer": (2, 0),
    },
    "updating": {"severity": (3, 0), "defer": (3, 0)},
}
REFUSED = dict.fromkeys(OPERATIONS, NOT_ALLOWED) | {
    "next block": INCOMPLETE,
    "empty package": BAD,
    "long uri": BAD,
    "severity 3": BAD,
    "defer -1": BAD,
    "automatic": NOT_FOUND,
    "no such": NOT_FOUND,
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("state", ACCEPTED)
def test_every_operation_in_every_state(state, name):
    firmware = make(state)
    before = firmware.machine
    code, effects = ask(firmware, OPERATIONS[name])
    after = ACCEPTED[state].get(name)
    if after is not None:
        assert (code, (int(firmware.machine.state), int(firmware.machine.result))) == (CHANGED, after)
        return
    refused = NOT_ALLOWED if (state, name) == ("updating", "empty package") else REFUSED[name]
    assert (code, effects, firmware.machine) == (refused, (), before)


def test_a_refusal_says_what_is_wrong():
    handled = make("downloaded").handle(write(1, "coap://host/fw"), WALL)
    assert handled.answer.diagnostic.endswith("not in State 2 DOWNLOADED")


# -- what is to be done


def test_a_push_opens_a_stage_of_the_announced_size_and_stores_its_blocks():
    firmware = make()
    first = firmware.handle(block(b"\x01" * 16, size=20), WALL)
    assert first.effects == (Persist(), OpenStage(20, 1), Notify((12, 3)), StageBlock(0, b"\x01" * 16))
    last = firmware.handle(block(b"\x02" * 4, first=False, final=True, offset=16), WALL)
    assert last.effects == (StageBlock(16, b"\x02" * 4), EndPush())


def test_a_package_in_one_block_tells_its_own_size():
    effects = make().handle(block(b"\x02\x03", final=True, size=9), WALL).effects
    assert effects[1:2] + effects[3:] == (OpenStage(2, 1), StageBlock(0, b"\x02\x03"), EndPush())


@pytest.mark.parametrize("payload", [b"\x00\x00", b"\x00\x01"])
def test_a_longer_package_that_begins_with_nul_is_data(payload):
    """SPEC 19 item 6."""
    assert StageBlock(0, payload) in make().handle(block(payload, final=True), WALL).effects


def test_a_first_block_of_one_nul_is_no_reset_before_its_end():
    assert StageBlock(0, b"\x00") in make().handle(block(b"\x00"), WALL).effects


def test_a_pull_starts_after_it_was_saved():
    effects = make().handle(write(1, "coap://host/fw"), WALL).effects
    assert effects == (Persist(), OpenStage(None, 1), Notify((12, 1, 3)), StartPull("coap://host/fw", 1))


def test_an_update_is_saved_and_told_before_it_installs():
    assert make("downloaded").handle(Execute(resource(2)), WALL + 1).effects == (
        Persist(),
        Notify((12, 3)),
        BeginInstall(1),
    )


@pytest.mark.parametrize(("size", "accepted"), [(255, True), (256, False)])
def test_a_uri_has_at_most_255_bytes(size, accepted):
    firmware = make()
    code, _ = ask(firmware, write(1, "coap://host/" + "x" * (size - 12)))
    assert (code, firmware.machine.uri != "") == ((CHANGED, True) if accepted else (BAD, False))


def test_bytes_count_not_characters():
    assert ask(make(), write(1, "coap://host/" + "é" * 122))[0] == BAD


@pytest.mark.parametrize(
    ("resource_id", "value"), [(1, 5), (1, b"coap://h"), (11, "2"), (11, True), (13, 1.5), (13, True), (1, "\ud800")]
)
def test_a_value_of_another_type_is_a_bad_request(resource_id, value):
    firmware = make()
    before = firmware.machine
    assert (ask(firmware, write(resource_id, value)), firmware.machine) == ((BAD, ()), before)


def test_automatic_upgrade_of_version_1_2():
    firmware = make(version="1.2")
    assert ask(firmware, write(14, True))[0] == CHANGED
    assert firmware.machine.settings.auto_upgrade is True
    assert ask(firmware, write(14, 1))[0] == BAD


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_what_a_version_does_not_have_is_not_found_or_not_executable(version):
    firmware = make("push", version=version)
    before = firmware.machine
    if version != "1.2":
        assert ask(firmware, write(14, True))[0] == NOT_FOUND
    if version == "1.0":
        assert ask(firmware, write(11, 2))[0] == NOT_FOUND
        assert ask(firmware, write(13, 2))[0] == NOT_FOUND
        assert ask(firmware, Execute(resource(10)))[0] == NOT_ALLOWED
    assert firmware.machine == before


@pytest.mark.parametrize("path", [Path.of(5, 0), Path.of(5, 0, 3), Path.of(5, 0, 0)])
def test_what_is_not_executable(path):
    assert ask(make("downloaded"), Execute(path))[0] == NOT_ALLOWED


@pytest.mark.parametrize("path", [Path.of(5, 0, 1), Path.of(5, 0, 0, 0), Path.of(5, 0)])
def test_only_package_is_streamed(path):
    operation = WriteBlock(path, 0, b"image", first=True, final=True)
    assert ask(make(), operation) == (NOT_ALLOWED, ())


@pytest.mark.parametrize("path", [Path.of(5, 0, 8, 0), Path.of(5, 0, 1, 0), Path.of(5, 0)])
def test_values_below_or_above_a_resource_are_not_found(path):
    assert ask(make(), Write(Path.of(5, 0), [(path, 1)]))[0] == NOT_FOUND


# -- several values at once


def both(*values):
    return Write(Path.of(5, 0), [(resource(number), value) for number, value in values], WriteMode.UPDATE)


def test_several_values_are_taken_together():
    firmware = make()
    handled = firmware.handle(both((11, 0), (13, 3600)), WALL)
    assert (firmware.machine.settings.severity, firmware.machine.settings.max_defer_s) == (0, 3600)
    assert handled.effects == (Persist(), Notify((11,)), Persist(), Notify((13,)))


def test_no_values_change_nothing():
    assert make().handle(both(), WALL).effects == ()


@pytest.mark.parametrize(
    ("state", "values"),
    [
        ("idle", [(11, 0), (13, -1)]),
        ("idle", [(11, 0), (0, b"image")]),
        ("idle", [(11, 0), (3, 1)]),
        ("downloaded", [(11, 0), (1, "coap://host/fw")]),
        ("updating", [(11, 0), (1, "")]),
    ],
)
def test_one_that_is_refused_takes_all_with_it(state, values):
    firmware = make(state)
    before = firmware.machine
    code, effects = ask(firmware, both(*values))
    assert (code in {BAD, NOT_ALLOWED}, effects, firmware.machine) == (True, (), before)


def test_an_error_that_was_carried_out_is_not_hidden_by_what_follows():
    """Under this policy a bad URI shows Result 7 and answers 4.00; Severity beside it is set all the same."""
    stay = FirmwarePolicies(synchronous_uri_failure=SynchronousUriFailure.STAY_IDLE)
    firmware = make(policies=stay)
    code, effects = ask(firmware, both((1, "coap://"), (11, 0)))
    assert (code, int(firmware.machine.result), firmware.machine.settings.severity) == (BAD, 7, 0)
    assert effects != ()


# -- policies


def test_an_empty_package_by_policy():
    reset = make("downloaded", policies=FirmwarePolicies(zero_length_package=ZeroLengthPackage.RESET))
    assert (ask(reset, OPERATIONS["empty package"])[0], int(reset.machine.state)) == (CHANGED, 0)
    image = make(policies=FirmwarePolicies(zero_length_package=ZeroLengthPackage.EMPTY_IMAGE))
    code, effects = ask(image, OPERATIONS["empty package"])
    assert (code, int(image.machine.state), effects[-1]) == (CHANGED, 1, EndPush())
    assert not any(isinstance(each, StageBlock) for each in effects)


def test_a_reset_that_the_policy_does_not_allow_is_refused_and_stores_nothing():
    firmware = make("push", policies=FirmwarePolicies(reset_scope=ResetScope.DOWNLOADED_ONLY))
    assert ask(firmware, OPERATIONS["NUL package"]) == (NOT_ALLOWED, ())
    assert int(firmware.machine.state) == 1


def test_a_write_in_the_wrong_state_by_policy():
    firmware = make("downloaded", policies=FirmwarePolicies(wrong_state_write=WrongStateWrite.BAD_REQUEST))
    assert ask(firmware, OPERATIONS["first block"])[0] == BAD


@pytest.mark.parametrize(
    ("delivery", "uri", "package"),
    [
        (DeliveryMethod.PULL, CHANGED, NOT_ALLOWED),
        (DeliveryMethod.PUSH, NOT_ALLOWED, CHANGED),
        (DeliveryMethod.BOTH, CHANGED, CHANGED),
    ],
)
def test_only_the_delivery_of_the_device_begins_a_transfer(delivery, uri, package):
    assert ask(make(delivery=delivery), OPERATIONS["uri"])[0] == uri
    assert ask(make(delivery=delivery), OPERATIONS["first block"])[0] == package


def test_a_deferred_update_waits():
    firmware = make("downloaded")
    firmware.handle(write(13, 60), WALL)
    firmware.defers = True
    firmware.handle(Execute(resource(2), b"0"), WALL)
    assert (int(firmware.machine.state), int(firmware.machine.result)) == (2, 11)
    firmware.defers = False
    firmware.handle(Execute(resource(2), b"\xff"), WALL)
    assert int(firmware.machine.state) == 3


# -- what is read


def plain(firmware, path="/5/0"):
    entries = firmware.handle(Read(Path.parse(path)), WALL).answer.entries
    return {str(at).removeprefix("/5/0/"): value for at, value in entries}


@pytest.mark.parametrize(
    ("version", "more"),
    [
        ("1.0", {}),
        ("1.1", {"11": 1, "12": 1_700_000_000, "13": 0}),
        ("1.2", {"11": 1, "12": 1_700_000_000, "13": 0, "14": False}),
    ],
)
def test_values_by_object_version(version, more):
    firmware = make("downloaded", version=version)
    expected = {"1": "", "3": 2, "5": 0, "6": "app", "7": "2.0", "8/0": 0, "9": 2}
    assert plain(firmware) == expected | more
    assert plain(firmware, "/5") == expected | more
    assert list(firmware.resources()) == [
        0,
        1,
        2,
        3,
        5,
        6,
        7,
        8,
        9,
        *([10, 11, 12, 13] if more else []),
        *([14] * ("14" in more)),
    ]


def test_values_by_profile():
    protocols = (ProtocolSupport.COAP, ProtocolSupport.COAPS, ProtocolSupport.HTTP)
    firmware = make(protocols=protocols, delivery=DeliveryMethod.PULL)
    assert plain(firmware, "/5/0/8") == {"8/0": 0, "8/1": 1, "8/2": 2}
    assert plain(firmware, "/5/0/8/2") == {"8/2": 2}
    assert plain(firmware, "/5/0/9") == {"9": 0}


def test_values_after_a_failure():
    firmware = make("pull")
    assert plain(firmware)["1"] == "coap://host/fw"
    firmware.apply(TransferFailed(UpdateResult.NOT_ENOUGH_STORAGE, "full"), None)
    values = plain(firmware)
    assert (values["3"], values["5"], values["1"]) == (0, 2, "")
    assert values["12"] == 0  # the clock was not set


def test_values_after_a_failed_installation():
    firmware = make("updating")
    firmware.apply(InstallFailed(), WALL)
    assert (plain(firmware)["3"], plain(firmware)["5"]) == (2, 8)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/5/0/0", NOT_ALLOWED),
        ("/5/0/2", NOT_ALLOWED),
        ("/5/0/4", NOT_FOUND),
        ("/5/0/14", NOT_FOUND),
        ("/5/0/8/1", NOT_FOUND),
        ("/5/0/3/0", NOT_FOUND),
    ],
)
def test_what_cannot_be_read(path, code):
    assert ask(make(), Read(Path.parse(path)))[0] == code
