"""Every parser and its inputs, in processes of their own: memory is measured there, and coverage is not."""

import os
import subprocess
import sys

import pytest

PARTS = 8
"""So that what is long is done at the same time, where tests are."""


@pytest.fixture(scope="module")
def fuzz(root):
    """`fuzz(*arguments)` is what `python -m fuzz` says, with its exit status."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}

    def run(*arguments):
        command = [sys.executable, "-m", "fuzz", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=root, env=env, check=False)

    return run


@pytest.fixture(scope="module")
def names(fuzz):
    return fuzz("--list").stdout.split()


@pytest.mark.slow
@pytest.mark.timeout(7_200)  # the harness stops an input that takes long: what is left is a machine with other work
@pytest.mark.parametrize("part", range(PARTS))
def test_every_input_is_taken_or_refused_in_our_words(fuzz, names, part, counts, record_property):
    count = counts(20_000, 1_000_000)
    chosen = names[part::PARTS]
    done = fuzz("--count", count, "--workers", 1, *(each for name in chosen for each in ("--only", name)))
    for line in done.stdout.splitlines():
        record_property("figure", line)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(f": {count} inputs, ") == len(chosen)


def test_all_parsers_of_the_library_are_targets(names):
    wanted = {"cbor-loader", "coap-message", "coap-options", "coap-block-option", "coap-missing-blocks", "link-format"}
    wanted |= {
        "coap-endpoint-asked",
        "coap-endpoint-asking",
        "coap-endpoint-transfers",
        "registration",
        "dtls-records",
        "dtls-strangers",
    }
    wanted |= {"coap-missing-list", "coap-frames", "coap-stream", "suit", "suit-envelope", "suit-manifest"}
    wanted |= {"mcuboot", "cose", "plain-with-signature", "plain-with-digest", "content-tlv", "content-lwm2m-cbor"}
    wanted |= {"content-senml-json", "content-senml-cbor", "content-text", "content-opaque", "content-cbor"}
    assert wanted <= set(names)
