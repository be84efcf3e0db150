"""The explorer: a search of small models, and devices of every version in every state."""

import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines.component_policies import AdvancedPolicies, ConcurrentDownloads, DependencyFailureTarget
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.machines.coordinator_events import (
    BatchFailed,
    BeginBatch,
    DropStage,
    GroupRestarted,
    On,
    PackageChecked,
    PackageContent,
    UpdateRequested,
)
from lwm2m_fota.machines.effects import OpenStage, Persist, VerifyImage
from lwm2m_fota.machines.events import AutoUpgradeWritten, CancelExecuted, PackageBegun, PackageReceived
from lwm2m_fota.machines.policies import FailureTarget, FirmwarePolicies, ResetScope
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.model.enums import UpdateResult
from lwm2m_fota.testing.explore.device import URI, DeviceModel, Surroundings
from lwm2m_fota.testing.explore.laws import Components, Firmware, Own
from lwm2m_fota.testing.explore.search import Broken, Move, TooManyStatesError, explore

FW = {0: [PackageChecked(name="fw", version="2")]}
PLAIN = {"settings": False, "defers": False, "uris": (URI,), "failures": False, "damages": False, "repeats": False}


class Steps:
    """A model out of a dictionary: where each number leads."""

    def __init__(self, ways, ends=(), bad=()):
        self.ways, self.ends, self.bad = ways, ends, bad

    def initial(self):
        return [0]

    def moves(self, state):
        return [Move("go", each, f"to {each}", ("row",), self.broken(each)) for each in self.ways.get(state, ())]

    def broken(self, state):
        return (Broken("no move to a bad one", str(state)),) if state in self.bad else ()

    def check(self, state):
        return [Broken("nothing is bad", f"{state} is")] if state in self.bad else []

    def is_end(self, state):
        return state in self.ends


# ---- searching


def test_every_state_is_found_once_and_every_move_counted():
    space = explore(Steps({0: [1, 2], 1: [2], 2: [0]}, ends=[2]))
    assert (space.states, space.transitions, space.fired["row"], space.findings) == ([0, 1, 2], 4, 4, [])


def test_the_shortest_way_to_what_must_not_be_is_told():
    space = explore(Steps({0: [1, 2], 1: [3], 2: [3], 3: [0]}, ends=[0], bad=[3]))
    by_rule = {each.rule: each for each in space.findings}
    assert by_rule["nothing is bad"].trace == ("go: to 1", "go: to 3")
    assert by_rule["no move to a bad one"].trace == ("go: to 1", "go: to 3")
    assert str(by_rule["nothing is bad"]) == "nothing is bad: 3 is, after\n  1. go: to 1\n  2. go: to 3"


def test_a_state_without_a_way_to_an_end_is_found():
    (finding,) = explore(Steps({0: [1, 2], 2: [2]}, ends=[1])).findings
    assert (finding.rule, finding.trace) == ("every state has a way to an end", ("go: to 2",))


def test_a_search_may_stop_at_the_first_finding():
    space = explore(Steps({0: [1], 1: [2], 2: [3]}, bad=[1, 2]), stop_at_finding=True)
    assert (len(space.findings), len(space.states)) == (1, 2)


def test_a_space_that_is_too_large_is_given_up():
    with pytest.raises(TooManyStatesError, match="more than 3"):
        explore(Steps({at: [at + 1] for at in range(9)}), most=3)


@pytest.mark.parametrize(
    ("ways", "words"),
    [
        ({0: [1], 1: [2], 2: [1]}, "round and round: go -> go"),
        ({0: [1], 1: [1]}, "round and round: go"),
        ({0: [1, 2], 1: [2]}, None),
    ],
)
def test_moves_that_go_round_for_ever_are_found(ways, words):
    space = explore(Steps(ways, ends=[0, 1, 2]), circles={"no circle": lambda kind: kind == "go"})
    assert [each.words for each in space.findings] == ([] if words is None else [words])


# ---- devices


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
@pytest.mark.parametrize(
    "policies",
    [FirmwarePolicies(), FirmwarePolicies(failure_target=FailureTarget.IDLE, reset_scope=ResetScope.DOWNLOADED_ONLY)],
)
def test_all_holds_in_every_state_of_object_5(version, policies):
    law = Firmware(FirmwareProfile(version=version, policies=policies), "1")
    space = explore(DeviceModel(law, Surroundings(packages=FW)))
    assert space.findings == []
    shown = {
        (int(each.group.components[0].machine.state), int(each.group.components[0].machine.result))
        for each in space.states
    }
    ends = {0, 1, 2, 3, 4, 5, 6, 7, 9} | (set() if version == "1.0" else {10})
    kept = {(2, 8)} if policies.failure_target is FailureTarget.DOWNLOADED else {(0, 8)}
    assert shown >= {(1, 0), (2, 0), (3, 0)} | kept | {(0, each) for each in ends}


@pytest.mark.parametrize(
    "policies",
    [
        AdvancedPolicies(),
        AdvancedPolicies(
            concurrent_downloads=ConcurrentDownloads.ONE_AT_A_TIME,
            dependency_failure_target=DependencyFailureTarget.IDLE,
        ),
    ],
)
def test_all_holds_in_every_state_of_two_components(policies):
    profile = AdvancedProfile(components=(ComponentSpec(0, "a"), ComponentSpec(1, "b")), advanced=policies)
    both = PackageChecked(components=(PackageContent("a", "2"), PackageContent("b", "2")))
    around = Surroundings(packages={0: [both], 1: [both]}, **{**PLAIN, "uris": ()})
    model = DeviceModel(Components(profile, "1"), around)
    space = explore(model)
    assert space.findings == []
    states = {tuple(int(each.machine.state) for each in world.group.components) for world in space.states}
    assert (3, 3) in states
    assert (3, 2) not in states


def test_a_component_has_no_automatic_upgrade():
    law = Components(AdvancedProfile(components=(ComponentSpec(0, "a"),)), "1")
    assert law.stored(law.new()) == law.new()
    with pytest.raises(UsageError, match="not of components"):
        law.step(law.new(), Own(AutoUpgradeWritten(enabled=True)), None)


class Liar:
    """A law that changes what another one does about one kind of event."""

    def __init__(self, law, kind, change):
        self._law, self._kind, self._change = law, kind, change
        self.profile, self.visible, self.new, self.stored = law.profile, law.visible, law.new, law.stored

    def step(self, group, event, wall):
        taken = self._law.step(group, event, wall)
        own = event.event if isinstance(event, On) else event
        return self._change(group, taken) if isinstance(own, self._kind) else taken


def shows(result):
    def change(_, taken):
        if not taken.rows:
            return taken
        (component,) = taken.group.components
        machine = component.machine._replace(result=result)
        return taken._replace(group=taken.group._replace(components=(component._replace(machine=machine),)))

    return change


def lacks(kind):
    def change(_, taken):
        kept = [each for each in taken.effects if not isinstance(getattr(each, "effect", each), kind)]
        return taken._replace(effects=tuple(kept))

    return change


def stays(group, taken):
    return taken._replace(group=group, effects=(Persist(),)) if taken.rows else taken


def is_polite(_, taken):
    return taken if taken.rows else taken._replace(code=0x44)


def is_busy(_, taken):
    return taken if taken.rows else taken._replace(effects=(Persist(),))


@pytest.mark.parametrize(
    ("kind", "change", "rule"),
    [
        (PackageBegun, shows(UpdateResult.SUCCESS), "success only where the new image runs"),
        (PackageBegun, shows(UpdateResult.DEFERRED), "only legal pairs of State and Result are shown"),
        (PackageBegun, lacks(Persist), "what is shown was saved first"),
        (PackageBegun, lacks(OpenStage), "every wait has a limit"),
        (PackageReceived, lacks(VerifyImage), "every wait has a limit"),
        (CancelExecuted, stays, "cancel always ends"),
        (CancelExecuted, lacks(DropStage), "what nobody holds is deleted"),
        (CancelExecuted, is_polite, "a refused event changes nothing"),
        (CancelExecuted, is_busy, "a refused event changes nothing"),
        (UpdateRequested, lacks(BeginBatch), "one accepted Execute, one installation"),
        (GroupRestarted, stays, "every wait has a limit"),
    ],
)
def test_a_law_that_does_not_hold_is_found_out(kind, change, rule):
    liar = Liar(Firmware(FirmwareProfile(version="1.1"), "1"), kind, change)
    space = explore(DeviceModel(liar, Surroundings(packages=FW, **{**PLAIN, "damages": True})), stop_at_finding=True)
    assert rule in {each.rule for each in space.findings}


def test_the_shortest_way_to_a_lie_is_one_move():
    liar = Liar(Firmware(FirmwareProfile(version="1.0"), "1"), PackageBegun, shows(UpdateResult.SUCCESS))
    space = explore(DeviceModel(liar, Surroundings(packages=FW, **PLAIN)), stop_at_finding=True)
    assert {len(each.trace) for each in space.findings} == {1}


def split(group, taken):
    """The first component stays behind."""
    if not taken.rows:
        return taken
    _, *others = taken.group.components
    return taken._replace(group=taken.group._replace(components=(group.components[0], *others)))


def test_a_batch_that_is_split_is_found_out():
    profile = AdvancedProfile(components=(ComponentSpec(0, "a"), ComponentSpec(1, "b")))
    both = PackageChecked(components=(PackageContent("a", "2"), PackageContent("b", "2")))
    liar = Liar(Components(profile, "1"), BatchFailed, split)
    around = Surroundings(packages={0: [both], 1: [both]}, **{**PLAIN, "uris": ()})
    space = explore(DeviceModel(liar, around), stop_at_finding=True)
    assert "a batch is all or none" in {each.rule for each in space.findings}
