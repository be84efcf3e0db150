"""Options that belong together."""

import click
import pytest
from click.testing import CliRunner

from lwm2m_fota.cli.groups import Listening, grouped, listening_options, settings_options
from lwm2m_fota.cli.options import Listener
from lwm2m_fota.machines.update_policy import DeviceSettings
from lwm2m_fota.model.enums import Severity

COAP = Listener("coap", "127.0.0.1", 5683)
OTHER_COAP = Listener("coap", "127.0.0.2", 5683)
HTTPS = Listener("https", "127.0.0.1", 8443)


def given(decorate, *arguments):
    """What a command with these options, and one of its own, is called with."""
    heard = []

    @click.command()
    @decorate
    @click.option("--own")
    def command(**said):
        heard.append(said)

    CliRunner().invoke(command, arguments, catch_exceptions=False, standalone_mode=False)
    (said,) = heard
    return said


def test_a_group_is_one_argument_beside_the_others():
    pair = grouped("pair", lambda left, right: (left, right), click.option("--left"), click.option("--right"))
    assert given(pair, "--right", "2", "--own", "3") == {"pair": (None, "2"), "own": "3"}


def test_the_help_shows_a_group_in_its_order():
    @click.command()
    @grouped("pair", lambda left, right: (left, right), click.option("--left"), click.option("--right"))
    def command(pair):
        pass

    assert [each.name for each in command.params] == ["left", "right"]


def test_what_a_group_refuses_is_wrong_usage():
    def refuse(left):
        raise click.UsageError(f"not {left}")

    @click.command()
    @grouped("pair", refuse, click.option("--left"))
    def command(pair):
        pytest.fail("called")

    result = CliRunner().invoke(command, ["--left", "1"])
    assert (result.exit_code, "not 1" in result.output) == (2, True)


@pytest.mark.parametrize(
    ("places", "schemes", "fetched"),
    [
        ((COAP,), (), ("coap",)),
        ((COAP, HTTPS, OTHER_COAP), (), ("coap", "https")),
        ((COAP, HTTPS), ("https", "coap"), ("https", "coap")),
        ((COAP, HTTPS), ("https",), ("https",)),
    ],
)
def test_a_device_fetches_over_what_is_listened_for_unless_it_is_said(places, schemes, fetched):
    assert Listening(places, schemes).fetched == fetched


@pytest.mark.parametrize(
    ("places", "schemes", "words"),
    [((), (), "over CoAP"), ((HTTPS,), (), "over CoAP"), ((COAP,), ("https",), "needs a --listen https://")],
)
def test_a_server_that_could_not_serve_is_refused(places, schemes, words):
    with pytest.raises(click.UsageError, match=words):
        Listening(places, schemes)


def test_listening_has_a_default():
    options = listening_options("127.0.0.1:0", "Where.")
    assert given(options)["listening"] == Listening((Listener("coap", "127.0.0.1", 0),))
    said = given(options, "--listen", "https://127.0.0.1", "--listen", "127.0.0.2:5683", "--package-scheme", "https")
    assert said["listening"] == Listening((Listener("https", "127.0.0.1", 443), OTHER_COAP), ("https",))


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        ((), DeviceSettings()),
        (("--severity", "0", "--max-defer", "0"), DeviceSettings(severity=Severity.CRITICAL, max_defer_s=0)),
        (("--auto-upgrade", "on"), DeviceSettings(auto_upgrade=True)),
        (("--auto-upgrade", "off"), DeviceSettings(auto_upgrade=False)),
    ],
)
def test_settings_that_are_not_given_are_left_alone(arguments, settings):
    assert given(settings_options, *arguments)["settings"] == settings
