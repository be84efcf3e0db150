"""The firmware of `lwm2m-fota device`: Object 5 or 33629, in a folder."""

import json

import pytest
from click.testing import CliRunner

from lwm2m_fota.cli.app import cli
from lwm2m_fota.cli.firmware import BasicFirmware, ComponentFirmware, ComponentOption
from lwm2m_fota.cli.output import Output
from lwm2m_fota.cli.state_dir import StateDir, running_images
from lwm2m_fota.errors import UsageError
from lwm2m_fota.lwm2m.operations import Execute, Read, Write
from lwm2m_fota.model.paths import Path
from lwm2m_fota.package.trust import UnsafeTrustPolicy
from lwm2m_fota.sim.loop import run


def events(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def without_time(told):
    return [{name: value for name, value in event.items() if name != "at"} for event in told]


def around(made):
    return {"trust": UnsafeTrustPolicy(), "state": made.state, "reboot": list}


def test_components_are_told_at_boot_and_with_each_change(tmp_path, capsys):
    async def main():
        say = Output("device", as_json=True)
        made = ComponentFirmware(StateDir(tmp_path), (ComponentOption("app", "1.0.0"), ComponentOption("modem", "5")))
        made.boot(say)
        device = made.make(say, **around(made))
        await device.start()
        uri = Path.of(33629, 1, 1)
        device.handle(Write(uri, ((uri, "ftp://nowhere/x"),)), 0.0)
        assert device.handle(Read(Path.of(33629, 1, 5)), 0.0).entries == [(Path.of(33629, 1, 5), 9)]
        assert device.handle(Execute(Path.of(33629, 0, 2)), 0.0).code == 0x85
        await device.stop()

    run(main())
    told = without_time(events(capsys))
    assert told[:3] == [
        {"event": "booted", "version": "1.0.0", "boot": "normal"},
        {"event": "component", "instance": 0, "name": "app", "version": "1.0.0"},
        {"event": "component", "instance": 1, "name": "modem", "version": "5"},
    ]
    states = [(event["component"], event["state"], event["result"]) for event in told[3:]]
    assert states == [("modem", 1, 0), ("modem", 0, 9)]
    assert told[-1]["diagnosis"]


def test_object_5_has_no_component(tmp_path, capsys):
    async def main():
        say = Output("device", as_json=True)
        made = BasicFirmware(StateDir(tmp_path), "2.0", "1.2")
        made.boot(say)
        device = made.make(say, **around(made))
        await device.start()
        uri = Path.of(5, 0, 1)
        device.handle(Write(uri, ((uri, "ftp://nowhere/x"),)), 0.0)
        await device.stop()

    run(main())
    told = without_time(events(capsys))
    assert told[0] == {"event": "booted", "version": "2.0", "boot": "normal"}
    assert [(event["component"], event["state"], event["result"]) for event in told[1:]] == [(None, 1, 0), (None, 0, 9)]


def test_a_name_may_be_the_number_of_another_instance(tmp_path, capsys):
    made = ComponentFirmware(StateDir(tmp_path), (ComponentOption("1", "1.0"), ComponentOption("0", "2.0")))
    made.boot(Output("device", as_json=True))
    _, *components = without_time(events(capsys))
    assert [(each["instance"], each["name"], each["version"]) for each in components] == [
        (0, "1", "1.0"),
        (1, "0", "2.0"),
    ]


def test_two_components_have_two_names(tmp_path):
    with pytest.raises(UsageError):
        ComponentFirmware(StateDir(tmp_path), (ComponentOption("app", "1"), ComponentOption("app", "2")))


def test_the_images_of_a_folder_can_be_looked_at(tmp_path):
    assert running_images(tmp_path, (0, 1)) == {0: None, 1: None}


@pytest.mark.parametrize(
    "options",
    [
        ("--object", "33629"),
        ("--component", "app=1.0.0"),
        ("--object", "5", "--component", "app=1.0.0"),
        ("--object", "33629", "--component", "app"),
        ("--object", "33629", "--component", "=1"),
        ("--object", "33629", "--component", "app="),
        ("--object", "33629", "--component", "a\tb=1"),
        ("--object", "33629", "--component", f"{'x' * 256}=1"),
        ("--object", "9"),
    ],
)
def test_components_belong_to_object_33629(tmp_path, options):
    command = ["device", "--server", "coap://h", "--endpoint", "x", "--state-dir", str(tmp_path / "state"), *options]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 2
    assert not (tmp_path / "state").exists()
