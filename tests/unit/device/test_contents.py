"""For which component a package is: of one firmware, and of several components."""

import asyncio

import pytest

from lwm2m_fota.device.firmware import FirmwareSettings
from lwm2m_fota.errors import RefusedError, UnsupportedPackageError, UsageError
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.package.cose.create import CoseSigner
from lwm2m_fota.package.formats.suit.make import SuitComponent, SuitOptions, create_suit
from lwm2m_fota.sim.loop import run


def envelope(kit, *names):
    """A package that has a part for each of these components."""
    parts = [SuitComponent(id=(name,), image=b"image of " + name, version="2.0") for name in names]
    return create_suit(parts, options=SuitOptions(sequence_number=1), signers=[CoseSigner(key=kit.KEY)]).data


async def installed(board, kit, data):
    await kit.push(board.device, data)
    kit.execute(board.device)
    await asyncio.sleep(1.0)
    await board.again()
    board.device.healthy()


async def refused(board, kit, data, detail):
    with pytest.raises(UnsupportedPackageError, match=detail) as caught:
        await kit.push(board.device, data)
    assert caught.value.reason == "package.wrong-device"
    assert board.shows == (0, 6)
    assert detail in board.device.diagnosis
    kit.execute(board.device)
    await asyncio.sleep(1.0)
    assert board.installer_calls == []


def running(board):
    image = board.slots.running_image
    return image.read_at(0, image.size_bytes)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, b"\0"),
        ({"component_names": {"app", "main"}}, b"main"),
        ({"component_names": None}, b"whatever"),
        ({"component_names": None}, b"image"),
    ],
)
def test_a_firmware_takes_the_part_that_is_called_as_it_is(kit, settings, name):
    async def main():
        board = kit.Board()
        board.settings |= settings
        await board.on()
        await installed(board, kit, envelope(kit, name))
        assert board.shows == (0, 1)
        assert running(board) == b"image of " + name

    run(main())


@pytest.mark.parametrize("settings", [{}, {"component_names": ()}, {"component_names": {"app"}}])
def test_a_firmware_takes_what_names_no_component(kit, settings):
    async def main():
        board = kit.Board()
        board.settings |= settings
        await board.on()
        await installed(board, kit, kit.signed())
        assert board.shows == (0, 1)

    run(main())


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (None, "packages call the one of this device '0x00'"),
        ({"main", "app"}, "packages call the one of this device 'app', 'main'"),
        ((), "packages call the one of this device nothing"),
    ],
)
@pytest.mark.parametrize("name", [b"modem", b"image"])
def test_a_firmware_refuses_what_is_for_another_component(kit, names, told, name):
    async def main():
        board = kit.Board()
        board.settings |= {} if names is None else {"component_names": names}
        await board.on()
        await refused(board, kit, envelope(kit, name), f"it is for component '{name.decode()}', and {told}")

    run(main())


@pytest.mark.parametrize("names", [{"app"}, {"app", "modem"}, None])
def test_a_firmware_refuses_what_is_for_several_components(kit, names):
    async def main():
        board = kit.Board()
        board.settings |= {"component_names": names}
        await board.on()
        detail = "it is for the components 'app', 'modem', and this device has one firmware"
        await refused(board, kit, envelope(kit, b"app", b"modem"), detail)

    run(main())


def test_a_firmware_of_another_name_refuses_what_was_downloaded_before(kit, tmp_path):
    """What the device takes may change with its firmware."""

    async def main():
        board = kit.Board(tmp_path)
        await board.on()
        await kit.push(board.device, envelope(kit, b"\0"))
        assert board.shows == (2, 0)
        board.settings["component_names"] = {"app"}
        await board.again()
        kit.execute(board.device)
        await asyncio.sleep(1.0)
        assert board.installer_calls == []
        assert "wrong device" in board.device.diagnosis

    run(main())


def test_an_installer_that_is_used_alone_takes_one_part_too(kit):
    board = kit.Board()
    board.make()
    with pytest.raises(UnsupportedPackageError, match="one firmware"):
        board.slots.write(kit.verified(envelope(kit, b"a", b"b")), None, 1)


def test_names_are_a_set():
    assert FirmwareSettings().component_names == {"0x00"}
    assert FirmwareSettings(component_names=["a", "b"]).component_names == {"a", "b"}
    with pytest.raises(UsageError, match="set"):
        FirmwareSettings(component_names="app")


@pytest.mark.parametrize(
    ("called", "instance", "result"), [("image", 0, 0), ("image", 1, 6), ("app", 0, 6), ("app", 1, 6)]
)
def test_a_component_may_be_called_image(kit, called, instance, result):
    """A package that names a component so is for that one, and not for whichever receives it."""

    async def main():
        board = kit.Kit()
        board.profile = AdvancedProfile(
            components=(ComponentSpec(0, called), ComponentSpec(1, "modem"), ComponentSpec(2, "gps"))
        )
        await board.on()
        if result:
            with pytest.raises(RefusedError):
                await kit.push(board.device, envelope(kit, b"image"), instance=instance)
        else:
            await kit.push(board.device, envelope(kit, b"image"), instance=instance)
        machine = board.device.component(instance).machine
        assert (machine.state, machine.result) == ((0, result) if result else (2, 0))

    run(main())
