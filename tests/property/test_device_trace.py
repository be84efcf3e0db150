"""Whatever happens to a device is recorded without secrets, and replayed to the same end; broken traces are refused."""

import json
from contextlib import suppress
from io import BytesIO

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_fota.cli.trace_file import read_stream
from lwm2m_fota.errors import SnapshotError
from lwm2m_fota.machines import component_policies as cp
from lwm2m_fota.machines import coordinator, coordinator_snapshot, firmware, policies
from lwm2m_fota.machines import coordinator_events as group
from lwm2m_fota.machines import events as ev
from lwm2m_fota.machines import snapshot as machine_snapshot
from lwm2m_fota.machines.component_profile import AdvancedProfile, ComponentSpec
from lwm2m_fota.machines.coordinator_state import Requirement, Stage, new_group
from lwm2m_fota.machines.device_trace import Happening, forgotten, happened, read_trace, replay, started
from lwm2m_fota.machines.profile import FirmwareProfile
from lwm2m_fota.machines.state import FirmwareMachine
from lwm2m_fota.machines.trace_values import redacted_uri
from lwm2m_fota.machines.uri import judge_uri
from lwm2m_fota.model.enums import DeliveryMethod

SECRETS = ("joe:pass", "hidden", "token=1")
URIS = st.sampled_from(
    [
        "coap://joe:pass@host.example/hidden?token=1",
        "coap://joe:pass@host.example:5683/hidden/other",
        "coap://host.example",
        "coap://host.example/",
        "ftp://joe:pass@host.example/hidden",
        "joe:pass hidden token=1",
        "://joe:pass",
        "",
    ]
)
MAYBE = st.one_of(st.none(), st.integers(0, 4))
TEXTS = st.text(max_size=20)
WALLS = st.one_of(st.none(), st.floats(0, 60))
FAILED = st.builds(
    ev.TransferFailed,
    st.sampled_from(sorted(ev.TRANSFER_FAILURES)),
    st.just("no answer from coap://joe:pass@host.example/hidden?token=1"),
    MAYBE,
)
REQUESTS = (
    st.builds(ev.PackageBegun, MAYBE),
    st.builds(ev.EmptyPackageWritten),
    st.builds(ev.ResetWritten, st.sampled_from(["package", "uri"])),
    st.builds(ev.UriWritten, URIS),
    st.builds(ev.CancelExecuted),
    st.builds(ev.SeverityWritten, st.integers(-1, 3)),
    st.builds(ev.MaxDeferWritten, st.integers(-1, 20)),
    st.builds(ev.PackageReceived, MAYBE),
    st.builds(ev.DeferralEnded),
    FAILED,
)
BASIC = st.one_of(
    *REQUESTS,
    st.builds(ev.UpdateExecuted, st.just("0='hidden token=1'"), st.booleans()),
    st.builds(ev.AutoUpgradeWritten, st.booleans()),
    st.builds(ev.PackageVerified, TEXTS, TEXTS, st.booleans(), MAYBE),
    st.builds(ev.InstallSucceeded, MAYBE),
    st.builds(ev.InstallFailed, st.sampled_from(sorted(ev.INSTALL_FAILURES)), st.booleans(), MAYBE),
    st.builds(ev.ClockRead, st.floats(0, 30)),
)
BOOTS = st.sampled_from(ev.BootOutcome)
IMAGES = st.sampled_from(ev.StagedImage)
FOUND = st.builds(ev.Found, image=IMAGES, boot=BOOTS, attempt=st.integers(0, 3)).map(ev.Restarted)

INSTANCES, NAMES = (0, 1, 4), ("app", "modem", "radio")
SITES = st.sampled_from(INSTANCES)
VERSIONS = st.sampled_from(["0.9", "1.0", "2.0", ""])
CHECKED = st.builds(
    group.PackageChecked,
    TEXTS,
    VERSIONS,
    st.lists(st.builds(group.PackageContent, st.sampled_from(NAMES), VERSIONS), max_size=3).map(tuple),
    st.lists(st.builds(Requirement, st.sampled_from(NAMES), VERSIONS), max_size=2).map(tuple),
    MAYBE,
    st.booleans(),
)
UPDATES = st.builds(group.UpdateRequested, st.one_of(st.none(), st.lists(SITES, max_size=3).map(tuple)), st.booleans())
GROUP = st.one_of(
    st.builds(group.On, SITES, st.one_of(*REQUESTS, CHECKED, UPDATES)),
    st.builds(group.BatchSucceeded, MAYBE),
    st.builds(
        group.BatchFailed,
        st.sampled_from(sorted(group.BATCH_FAILURES)),
        st.lists(SITES, min_size=1, max_size=2, unique=True).map(tuple),
        st.booleans(),
        MAYBE,
    ),
    st.builds(ev.ClockRead, st.floats(0, 30)),
)
STAGES = st.lists(st.tuples(st.builds(Stage, SITES, st.integers(0, 4)), IMAGES), max_size=3).map(tuple)
GROUP_FOUND = st.builds(
    group.GroupFound,
    versions=st.tuples(VERSIONS, VERSIONS, VERSIONS),
    stages=STAGES,
    boot=BOOTS,
    attempt=st.integers(0, 3),
).map(group.GroupRestarted)


def choices(kind):
    return st.builds(
        kind,
        **{each.name: st.sampled_from(list(type(getattr(kind(), each.name)))) for each in attrs.fields(kind)},
    )


PROFILES = st.builds(
    FirmwareProfile,
    version=st.sampled_from(["1.0", "1.1", "1.2"]),
    delivery=st.sampled_from([DeliveryMethod.PULL, DeliveryMethod.PUSH, DeliveryMethod.BOTH]),
    policies=choices(policies.FirmwarePolicies),
)
ADVANCED = st.builds(
    AdvancedProfile,
    components=st.just(
        tuple(ComponentSpec(*each, ("alias" + each[1],)) for each in zip(INSTANCES, NAMES, strict=True))
    ),
    policies=choices(policies.FirmwarePolicies),
    advanced=choices(cp.AdvancedPolicies),
)


@st.composite
def histories(draw, profiles, events, found):
    """Things that happen: one event, several of one request, a restart, or an event that cannot be saved."""
    several = st.lists(events, min_size=1, max_size=3).map(tuple)
    things = st.lists(st.tuples(st.sampled_from("eeesrf"), WALLS, several, found), max_size=25)
    return draw(profiles), draw(things)


class Recorded:
    """A device that does as a driver does, and what it records; the end that it comes to without secrets."""

    def __init__(self, profile, things):
        self.profile = profile
        self.advanced = isinstance(profile, AdvancedProfile)
        self.machine = new_group(profile, ("1.0",) * 3) if self.advanced else FirmwareMachine()
        self.step = coordinator.step if self.advanced else firmware.step
        self.lines = [started(self.machine, profile, None)]
        for kind, wall, events, found in things:
            self.take(kind, wall, events, found)

    def take(self, kind, wall, events, found):
        before = self.machine
        if kind == "r":
            self.machine = self.restored(self.snapshot())
            self.lines.append(started(self.machine, self.profile, wall))
            events = (found,)
        elif kind != "s":
            events = events[:1]
        effects = ()
        for each in events:
            after, more, _, accepted = self.step(self.machine, each, self.profile, wall)
            if not accepted:
                self.machine, effects = (after if len(events) == 1 else before), ()
                break
            self.machine, effects = after, (*effects, *more)
        self.lines.append(happened(Happening(events, effects, 68), self.machine, self.profile, wall))
        if kind == "f":
            self.machine = before
            self.lines.append(forgotten(before, self.profile))

    def snapshot(self):
        whole = coordinator_snapshot.snapshot if self.advanced else machine_snapshot.snapshot
        return json.loads(json.dumps(whole(self.machine)))

    def restored(self, data):
        restore = coordinator_snapshot.restore if self.advanced else machine_snapshot.restore
        return restore(data, self.profile)

    @property
    def text(self):
        return "".join(json.dumps(each) + "\n" for each in self.lines)


def read(text):
    return read_trace([json.loads(each) for each in text.splitlines()])


def without_uris(machine):
    """What of a machine no secret is in: all but the text of its URI."""
    if isinstance(machine, FirmwareMachine):
        return machine._replace(uri=bool(machine.uri))
    parts = (each._replace(machine=without_uris(each.machine)) for each in machine.components)
    return machine._replace(components=tuple(parts))


def check(history):
    done = Recorded(*history)
    seen = []
    again = replay(read(done.text), seen.append)
    assert without_uris(again) == without_uris(done.machine)
    assert len(seen) == len(done.lines)
    assert not any(each in done.text for each in SECRETS)


@given(histories(PROFILES, BASIC, FOUND))
def test_any_history_of_object_5_is_replayed_to_the_same_end_without_secrets(history):
    check(history)


@given(histories(ADVANCED, GROUP, GROUP_FOUND))
def test_any_history_of_components_is_replayed_to_the_same_end_without_secrets(history):
    check(history)


@given(st.one_of(URIS, st.text(), st.from_regex(r"[a-z]{1,3}://[^\s]{0,30}", fullmatch=True)))
def test_a_uri_without_secrets_is_worth_the_same(uri):
    schemes = frozenset({"coap", "a"})
    before = judge_uri(uri, schemes)
    after = redacted_uri(uri, is_valid=before != 7)
    assert judge_uri(after, schemes) == before
    assert redacted_uri(after, is_valid=before != 7) == after
    assert bool(after) == bool(uri)
    assert before == 7 or len(after) <= len(uri)


def examples():
    started_pull = [
        ("e", 1.0, (ev.UriWritten("coap://host.example/fw"),), None),
        ("r", None, (), ev.Restarted(ev.Found(image=ev.StagedImage.PARTIAL))),
        ("f", 2.5, (ev.PackageReceived(1),), None),
    ]
    on = [
        ("e", 1.0, (group.On(1, ev.PackageBegun(9)),), None),
        ("s", 1.5, (group.On(1, ev.SeverityWritten(0)), group.On(1, ev.MaxDeferWritten(3))), None),
        ("r", 2.0, (), group.GroupRestarted(group.GroupFound(versions=("1", "2", "3")))),
    ]
    advanced = AdvancedProfile(components=tuple(map(ComponentSpec, INSTANCES, NAMES)))
    return [Recorded(FirmwareProfile(), started_pull).text, Recorded(advanced, on).text]


def give(lines):
    with suppress(SnapshotError):
        replay(read_trace(lines))


@pytest.mark.parametrize("text", examples(), ids=["5", "33629"])
def test_a_file_that_is_cut_at_any_byte_is_refused_or_shorter(text):
    data = text.encode()
    ends = [at for at, byte in enumerate(data) if byte == ord("\n")]
    for cut in range(len(data)):
        if cut in ends or cut - 1 in ends:
            whole = sum(end <= cut for end in ends)
            assert len(read_stream(BytesIO(data[:cut])).entries) == whole
        else:
            with pytest.raises(SnapshotError):
                read_stream(BytesIO(data[:cut]))


@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b"{", b'{"device": 1', b"\n", b"[1]\n"]))))
def test_a_file_of_any_bytes_is_refused(parts):
    with pytest.raises(SnapshotError):
        read_stream(BytesIO(b"".join(parts)))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.just(10**400), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


def places(value, path=()):
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in pairs:
        yield from places(each, (*path, key))


@given(st.data(), st.sampled_from(examples()), JSON)
def test_a_trace_with_anything_else_anywhere_raises_only_our_errors(data, text, other):
    lines = [json.loads(each) for each in text.splitlines()]
    path = data.draw(st.sampled_from(list(places(lines))))
    if not path:
        lines = [other]
    else:
        at = lines
        for each in path[:-1]:
            at = at[each]
        at[path[-1]] = other
    give(lines)


@given(st.lists(JSON, max_size=4))
def test_any_values_raise_only_our_errors(lines):
    give(lines)
