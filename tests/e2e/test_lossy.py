"""The whole stack over a network that loses a fifth of all datagrams each way, doubles some and lets others overtake."""

import hashlib
import os
import subprocess
import sys
from collections import Counter

import pytest

from lwm2m_fota.errors import SimulationError
from lwm2m_fota.machines.update_codes import DIAGNOSES
from lwm2m_fota.sim.network import Fate
from lwm2m_fota.sim.scenario import Scenario, run_update

PACKAGE_BYTES = 65536
LOSSY = {"package_bytes": PACKAGE_BYTES, "loss": 0.2, "duplicate": 0.1, "latency_s": 0.05, "reorder_s": 1.0}
WHOLE_TRACE = 100_000
AT_LEAST_PERCENT = {"push": 95, "pull": 99}

DIGEST = """
import hashlib, sys
from lwm2m_fota.sim.scenario import Scenario, run_update
report = run_update(Scenario(method=sys.argv[1], loss=0.2, duplicate=0.1, trace_datagrams=100_000), int(sys.argv[2]))
print(hashlib.sha256(repr((report, report.notes, report.trace)).encode()).hexdigest())
"""


@pytest.mark.parametrize("method", ["push", "pull"])
def test_updates_get_through_and_what_fails_says_why(method, counts, record_property):
    seeds = counts(100, 1_000)
    ends, hung, broken, seconds = Counter(), [], [], []
    for seed in range(seeds):
        try:
            report = run_update(Scenario(method=method, **LOSSY), seed)
        except SimulationError as error:
            hung.append((seed, str(error)))
            continue
        ends[report.why] += 1
        seconds.append(report.seconds)
        if not report.is_intact:
            broken.append(seed)
    good = ends.pop("Succeeded", 0)
    share = 100 * good / seeds
    record_property(
        "figure",
        f"{method}: {good} of {seeds} succeed ({share:.1f} %), {len(hung)} hang, {len(broken)} install wrong bytes; "
        f"failures: {dict(ends) or 'none'}; virtual seconds: {min(seconds):.0f} to {max(seconds):.0f}",
    )
    assert hung == []
    assert broken == []
    assert set(ends) <= set(DIAGNOSES)
    assert share >= AT_LEAST_PERCENT[method], ends


def test_the_network_is_as_bad_as_it_is_said_to_be():
    met = Counter()
    for seed in range(10):
        met.update(run_update(Scenario(method="pull", **LOSSY), seed).datagrams)
    sent = sum(met.values())
    assert met[Fate.LOST] / sent == pytest.approx(0.2, abs=0.03)
    assert met[Fate.DUPLICATED] / (sent - met[Fate.LOST]) == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("method", ["push", "pull"])
def test_a_seed_replays_the_whole_stack(method, counts):
    scenario = Scenario(method=method, **LOSSY, power_cuts_s=(45.0,), trace_datagrams=WHOLE_TRACE)
    for seed in range(counts(5, 50)):
        first, second = run_update(scenario, seed), run_update(scenario, seed)
        assert first.trace == second.trace
        assert first == second
        assert 100 < len(first.trace) == sum(first.datagrams.values()) < WHOLE_TRACE


def test_another_seed_is_another_run():
    scenario = Scenario(**LOSSY, trace_datagrams=WHOLE_TRACE)
    assert run_update(scenario, 1).trace != run_update(scenario, 2).trace


@pytest.mark.parametrize("method", ["push", "pull"])
def test_a_seed_replays_in_another_process(method):
    """Whatever order its sets have there."""

    def elsewhere(hash_seed):
        env = os.environ | {"PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", DIGEST, method, "5"], capture_output=True, check=True, env=env)
        return done.stdout

    report = run_update(Scenario(method=method, loss=0.2, duplicate=0.1, trace_datagrams=WHOLE_TRACE), 5)
    here = hashlib.sha256(repr((report, report.notes, report.trace)).encode()).hexdigest()
    assert {elsewhere("1"), elsewhere("2")} == {f"{here}\n".encode()}


@pytest.mark.parametrize("method", ["push", "pull"])
def test_power_cuts_on_top_of_it_end_with_the_old_image_or_the_new_one(method, counts):
    good = 0
    seeds = counts(30, 300)
    for seed in range(seeds):
        cuts = (17.0 * (seed % 13), 200.0 + 11.0 * (seed % 17))
        report = run_update(Scenario(method=method, **LOSSY, power_cuts_s=cuts), seed)
        assert report.is_intact, seed
        assert report.succeeded or report.why in DIAGNOSES
        good += report.succeeded
    assert good / seeds >= 0.9


@pytest.mark.parametrize("method", ["push", "pull"])
def test_a_mebibyte_gets_through_as_well(method, counts, record_property):
    seconds = []
    for seed in range(counts(3, 50)):
        path = {"loss": 0.1, "duplicate": 0.05, "latency_s": 0.025, "reorder_s": 0.05}
        report = run_update(Scenario(method=method, package_bytes=1 << 20, **path), seed)
        assert report.succeeded, report.why
        assert report.is_intact
        seconds.append(report.seconds)
    record_property("figure", f"{method} of 1 MiB: {min(seconds):.0f} to {max(seconds):.0f} virtual seconds")
